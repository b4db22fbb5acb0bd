/* SPDX-License-Identifier: MIT */
/* The tuning of a spec, for kgen SPEC and kgen tune. */
#ifndef KGEN_COMMAND_TUNING_H
#define KGEN_COMMAND_TUNING_H

#include "runtime/command/progress.h"

/* Tunes the problems of the session's spec as the options say, until all are done, the time limit, which
 * counts from begin on kgen_clock, is met, or a signal came. Where sources will be written, a part of the
 * time is kept back for their proof. choices has room for all problems, and *done says how many, from the
 * first, are filled. Returns 0; 1 where a search was stopped; -1 on an error, also where --retune names no
 * problem. */
int kgen_session_tune(struct kgen_session *session, const struct kgen_options *options, double begin,
                      struct kgen_progress *progress, struct kgen_choice *choices, size_t *done,
                      struct kgen_error *error);

/* Warns where choices were timed in noisy moments. */
void kgen_warn_of_noise(const struct kgen_choice *choices, size_t count);

#endif
