/* SPDX-License-Identifier: MIT */
/* What the ops share that read rows by their numbers. */
#ifndef KGEN_GATHER_H
#define KGEN_GATHER_H

#include "gen/ops/random.h"

/* count numbers from 0 to rows - 1, which differ where there are enough. */
void kgen_gather_fill_ids(struct kgen_random *random, int64_t rows, int64_t count, int32_t *ids);

#endif
