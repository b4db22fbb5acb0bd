/* SPDX-License-Identifier: MIT */
#ifndef KGEN_ROPE_H
#define KGEN_ROPE_H

#include "gen/ops/problem.h"

/* The frequency of pair index (0 to rotary_dim/2 - 1) of a rope problem, in radians a position: theta^(-2
 * index/rotary_dim), then the scaling (gen/ops/rope_scaling.h). */
double kgen_rope_frequency(const struct kgen_problem *problem, int64_t index);

#endif
