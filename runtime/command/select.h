/* SPDX-License-Identifier: MIT */
/* The problems of a spec that a word of the command line selects. */
#ifndef KGEN_COMMAND_SELECT_H
#define KGEN_COMMAND_SELECT_H

#include "runtime/command/command.h"

/* Whether a word selects an entry of a spec: it is the entry's number, from 1; its canonical text
 * (kgen_problem_write), with any number of threads; a part of that text, of its name, of its description or
 * of its tensors; or a tensor that it serves. NULL selects all. */
int kgen_entry_is_selected(const struct kgen_spec_entry *entry, size_t number, const char *wanted,
                           bool *selected, struct kgen_error *error);

/* Fails with KGEN_ERROR_USAGE: no problem of the spec, which has count of them, is called so. Returns -1. */
int kgen_fail_unselected(const struct kgen_options *options, const char *wanted, size_t count,
                         struct kgen_error *error);

#endif
