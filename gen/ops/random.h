/* SPDX-License-Identifier: MIT */
/* Random numbers: the same for the same seed, everywhere. */
#ifndef KGEN_RANDOM_H
#define KGEN_RANDOM_H

#include "gen/base/base.h"

/* A generator (splitmix64): any state is a seed. One thread at a time. */
struct kgen_random {
    uint64_t state;
};

uint64_t kgen_random_next(struct kgen_random *random);
/* 0 to count - 1. */
int64_t kgen_random_below(struct kgen_random *random, int64_t count);
/* In [0, 1). */
float kgen_random_uniform(struct kgen_random *random);
/* Mean 0, variance 1, nearly normal, never beyond 3.5. */
float kgen_random_normal(struct kgen_random *random);
/* 1 or -1. */
float kgen_random_sign(struct kgen_random *random);

/* Arrays of count floats: normal numbers; and normal numbers with great ones (up to great), tiny ones,
 * denormals and zeros among them. */
void kgen_random_fill_normal(struct kgen_random *random, float *x, int64_t count);
void kgen_random_fill_extreme(struct kgen_random *random, float *x, int64_t count, float great);

#endif
