/* SPDX-License-Identifier: MIT */
/* Inputs for ops of one or two vectors of `size` elements. */
#ifndef KGEN_ELEMENTWISE_H
#define KGEN_ELEMENTWISE_H

#include "gen/ops/buffers.h"

/* Fill the first two buffers of the problem: with normal numbers, or with great and tiny ones too. */
void kgen_elementwise_random(const struct kgen_problem *problem, struct kgen_random *random,
                             struct kgen_arguments *arguments);
void kgen_elementwise_extreme(const struct kgen_problem *problem, struct kgen_random *random,
                              struct kgen_arguments *arguments);

/* The same for the first buffer only. */
void kgen_elementwise_random_one(const struct kgen_problem *problem, struct kgen_random *random,
                                 struct kgen_arguments *arguments);
void kgen_elementwise_extreme_one(const struct kgen_problem *problem, struct kgen_random *random,
                                  struct kgen_arguments *arguments);

#endif
