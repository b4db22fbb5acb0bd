/* SPDX-License-Identifier: MIT */
/* kgen SPEC --dry-run */
#ifndef KGEN_DRY_RUN_H
#define KGEN_DRY_RUN_H

#include "runtime/command/command.h"

/* Prints the problems of the session's spec and how many candidates of each template the effort would try.
 * Compiles and writes nothing. Returns an exit status: KGEN_EXIT_NO_CANDIDATE where a problem has none. */
int kgen_dry_run(const struct kgen_session *session, const struct kgen_options *options);

#endif
