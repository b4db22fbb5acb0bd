/* SPDX-License-Identifier: MIT */
/* The scalings of rope's frequencies that have more than a factor. */
#ifndef KGEN_ROPE_SCALING_H
#define KGEN_ROPE_SCALING_H

#include "gen/ops/problem.h"

/* frequency is the unscaled one of pair index, in radians a position. All return that after the scaling, and
 * may be called from several threads. */

/* Llama 3's, as Hugging Face transformers' _compute_llama3_parameters. */
double kgen_rope_llama3(const struct kgen_problem *problem, double frequency);
/* YaRN, as _compute_yarn_parameters: pairs that turn more than beta_fast times within the original context
 * keep their frequency, those that turn less than beta_slow times are slowed by the factor, and between them
 * the frequency goes linearly with the index. With truncate the limits are whole indices. theta must be more
 * than 1. */
double kgen_rope_yarn(const struct kgen_problem *problem, double frequency, int64_t index);
/* Proportional, as Gemma 4 has it: the first rotated_dim/2 pairs are slowed by the factor, the others do not
 * turn. */
double kgen_rope_proportional(const struct kgen_problem *problem, double frequency, int64_t index);

#endif
