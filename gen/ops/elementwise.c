/* SPDX-License-Identifier: MIT */
#include "gen/ops/elementwise.h"

void kgen_elementwise_random(const struct kgen_problem *problem, struct kgen_random *random,
                             struct kgen_arguments *arguments)
{
    for (int i = 0; i < 2; i++)
        kgen_random_fill_normal(random, arguments->buffers[i], kgen_problem_get(problem, "size"));
}

void kgen_elementwise_extreme(const struct kgen_problem *problem, struct kgen_random *random,
                              struct kgen_arguments *arguments)
{
    for (int i = 0; i < 2; i++)
        kgen_random_fill_extreme(random, arguments->buffers[i], kgen_problem_get(problem, "size"), 1e18f);
}

void kgen_elementwise_random_one(const struct kgen_problem *problem, struct kgen_random *random,
                                 struct kgen_arguments *arguments)
{
    kgen_random_fill_normal(random, arguments->buffers[0], kgen_problem_get(problem, "size"));
}

void kgen_elementwise_extreme_one(const struct kgen_problem *problem, struct kgen_random *random,
                                  struct kgen_arguments *arguments)
{
    kgen_random_fill_extreme(random, arguments->buffers[0], kgen_problem_get(problem, "size"), 1e18f);
}
