/* SPDX-License-Identifier: MIT */
/* What may have been meant by the path of a file that is not there. */
#ifndef KGEN_COMMAND_MISSING_H
#define KGEN_COMMAND_MISSING_H

#include "gen/base/base.h"

/* Adds a hint to an error that has none, where there is no file at path: how to use an op, where it is the
 * name of one; else the file of the same folder whose name is near. Where path is a folder:
 * the file path.json beside it, if it is there. Nothing where path is empty or a file is there. */
void kgen_hint_missing(const char *path, struct kgen_error *error);

#endif
