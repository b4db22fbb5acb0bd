/* SPDX-License-Identifier: MIT */
/* The known name nearest to one that is not known, for the hint of an error. Upper and lower case count as
 * the same. */
#ifndef KGEN_NEAREST_H
#define KGEN_NEAREST_H

#include "gen/base/base.h"

struct kgen_nearest {
    char wanted[64];
    char best[64];   /* empty where no name is near */
    size_t distance; /* edits from wanted to best */
};

/* Starts the search for a name; names longer than 63 characters are cut. */
void kgen_nearest_start(struct kgen_nearest *nearest, const char *wanted, size_t length);
/* Compares a known name. Of equally near names the first is kept. */
void kgen_nearest_offer(struct kgen_nearest *nearest, const char *name, size_t length);
/* Adds the hint "did you mean '...'?" to error where a name was near. */
void kgen_nearest_hint(const struct kgen_nearest *nearest, struct kgen_error *error);

#endif
