/* SPDX-License-Identifier: MIT */
/* What the user sees while candidates are tried: on stderr, a line that renews itself on a terminal, or with
 * -v a line for each candidate. */
#ifndef KGEN_PROGRESS_H
#define KGEN_PROGRESS_H

#include "runtime/command/command.h"

struct kgen_progress {
    bool live;           /* a line that renews itself */
    bool verbose;        /* a line for each candidate */
    bool drawn;          /* the line is on the screen */
    const char *problem; /* described */
    size_t number, total;
    double bytes; /* of one call of the problem */
    double best;  /* bytes per second; 0: none yet */
    double last_drawn;
};

void kgen_progress_init(struct kgen_progress *progress, const struct kgen_options *options, size_t total);
/* A problem begins. described must last until the next begins. */
void kgen_progress_begin(struct kgen_progress *progress, size_t number, const char *described, double bytes);
/* A kgen_tune_progress. */
void kgen_progress_candidate(void *context, const struct kgen_problem *problem,
                             const struct kgen_record *record, unsigned done, unsigned total);
/* Shows a phrase in place of the line. */
void kgen_progress_note(struct kgen_progress *progress, const char *phrase);
/* Takes the line off the screen. */
void kgen_progress_clear(struct kgen_progress *progress);

#endif
