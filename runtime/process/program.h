/* SPDX-License-Identifier: MIT */
/* Running another program, without a shell. */
#ifndef KGEN_PROGRAM_H
#define KGEN_PROGRAM_H

#include "gen/base/base.h"

/* Runs a program found along PATH, with stdin from /dev/null, and waits for it. arguments ends with NULL and
 * begins with the program's name. Appends what the program writes on stdout and stderr to output. Returns its
 * exit status; -1 with an error where it could not be started or died of a signal. Thread-safe. */
int kgen_program_run(const char *const *arguments, struct kgen_text *output, struct kgen_error *error);

#endif
