/* SPDX-License-Identifier: MIT */
/* Progress on stderr while candidates are tried: one line that is rewritten, on a terminal; elsewhere a line
 * for each problem that is searched, or with -v for each candidate. */
#ifndef KGEN_PROGRESS_H
#define KGEN_PROGRESS_H

#include "runtime/command/command.h"

struct kgen_progress {
    bool live;           /* one line that is rewritten */
    bool plain;          /* a line for each step that takes time: stderr is no terminal */
    bool verbose;        /* a line for each candidate */
    bool drawn;          /* the line is on the screen */
    bool said;           /* the problem has its line */
    const char *problem; /* described */
    size_t number, total;
    double bytes; /* of one call of the problem */
    double best;  /* bytes per second; 0: none yet */
    double last_drawn;
};

void kgen_progress_init(struct kgen_progress *progress, const struct kgen_options *options, size_t total);
/* Begins a problem. described must stay valid until the next one begins. */
void kgen_progress_begin(struct kgen_progress *progress, size_t number, const char *described, double bytes);
/* A kgen_tune_progress. */
void kgen_progress_candidate(void *context, const struct kgen_problem *problem,
                             const struct kgen_record *record, unsigned done, unsigned total);
/* Shows a phrase in place of the line; where stderr is no terminal, as a line of its own. */
void kgen_progress_note(struct kgen_progress *progress, const char *phrase);
/* Clears the line. */
void kgen_progress_clear(struct kgen_progress *progress);

#endif
