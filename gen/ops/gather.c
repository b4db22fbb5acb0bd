/* SPDX-License-Identifier: MIT */
#include "gen/ops/gather.h"

void kgen_gather_fill_ids(struct kgen_random *random, int64_t rows, int64_t count, int32_t *ids)
{
    const int64_t first = kgen_random_below(random, rows);
    for (int64_t i = 0; i < count; i++)
        ids[i] = (int32_t)((first + rows - i % rows) % rows);
}
