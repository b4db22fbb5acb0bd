/* SPDX-License-Identifier: MIT */
/* The inputs on which kernels are proven and timed: the same for the same seed, everywhere. */
#ifndef KGEN_FILL_H
#define KGEN_FILL_H

#include "runtime/jit/kernel.h"

/* A generator of random numbers (splitmix64): any state is a seed. */
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

/* One kind of input of an op. */
struct kgen_fill {
    const char *name;
    /* Fills every input buffer of the problem, the residual included, and sets the position. */
    void (*fill)(const struct kgen_problem *problem, struct kgen_random *random,
                 struct kgen_arguments *arguments);
    /* NULL, or lowers the bounds to what these inputs deserve: they are chosen so that a right kernel has
     * hardly anything to round, and one wrong bit of one weight is seen. */
    void (*sharpen)(const struct kgen_problem *problem, double *bound, size_t count);
};

/* The kinds of an op; the first is plain random numbers. */
const struct kgen_fill *kgen_fills(enum kgen_op op, size_t *count);

#endif
