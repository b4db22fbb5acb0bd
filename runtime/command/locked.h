/* SPDX-License-Identifier: MIT */
/* kgen SPEC --locked and --check */
#ifndef KGEN_LOCKED_H
#define KGEN_LOCKED_H

#include "runtime/command/command.h"

/* Makes the sources of the session's spec from the lock in the output folder, without tuning. --check holds
 * the folder against them; --locked proves what this machine can run and writes them. Sets the threads of the
 * problems to those of the lock. Prints what came of it, and returns an exit status: KGEN_EXIT_FAILED where
 * the folder differs or the lock does not fit any more. */
int kgen_locked(struct kgen_session *session, const struct kgen_options *options);

#endif
