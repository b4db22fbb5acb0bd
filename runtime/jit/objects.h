/* SPDX-License-Identifier: MIT */
/* The folder in which the cc engine keeps shared objects. What lies there is loaded and run, so it must be
 * the user's own: a folder or file that belongs to another user than this one or root, or that its group or
 * others may write, is refused. Thread-safe. */
#ifndef KGEN_OBJECTS_H
#define KGEN_OBJECTS_H

#include "gen/base/base.h"

/* Makes the folder for this user alone, and its parents, and checks it. Returns 0, or -1 with KGEN_ERROR_IO.
 */
int kgen_objects_folder(const char *folder, struct kgen_error *error);

/* Checks a kept object. Returns 1 where it may be loaded, 0 where there is none, -1 with KGEN_ERROR_IO where
 * it is refused. */
int kgen_objects_check(const char *path, struct kgen_error *error);

/* Compilers that are killed leave folders called "<object>.so.XXXXXX". Removes those that nothing was written
 * to for so many seconds. What cannot be removed stays. */
void kgen_objects_remove_abandoned(const char *folder, double seconds);

#endif
