/* SPDX-License-Identifier: MIT */
#include "gen/ops/rope_scaling.h"

#include <math.h>

static const double two_pi = 6.283185307179586476925286766559;

/* Turns within the original context: few turns are slowed by the factor, many are kept, between the two
 * limits the frequency goes from one to the other. */
double kgen_rope_llama3(const struct kgen_problem *problem, double frequency)
{
    const double factor = kgen_problem_real(problem, "factor");
    const double low = kgen_problem_real(problem, "low_freq_factor");
    const double high = kgen_problem_real(problem, "high_freq_factor");
    const double turns =
        (double)kgen_problem_get(problem, "original_max_position_embeddings") * frequency / two_pi;
    if (turns > high)
        return frequency;
    if (turns < low)
        return frequency / factor;
    const double smooth = (turns - low) / (high - low);
    return (1 - smooth) * frequency / factor + smooth * frequency;
}

/* The index, of pairs and not whole, of the frequency that turns so often within the original context. */
static double index_of_turns(const struct kgen_problem *problem, double turns)
{
    const double context = (double)kgen_problem_get(problem, "original_max_position_embeddings");
    return (double)kgen_problem_get(problem, "rotary_dim") * log(context / (turns * two_pi)) /
           (2 * log(kgen_problem_real(problem, "theta")));
}

double kgen_rope_yarn(const struct kgen_problem *problem, double frequency, int64_t index)
{
    const double last = (double)kgen_problem_get(problem, "rotary_dim") - 1;
    double low = index_of_turns(problem, kgen_problem_real(problem, "beta_fast"));
    double high = index_of_turns(problem, kgen_problem_real(problem, "beta_slow"));
    if (kgen_problem_get(problem, "truncate")) {
        low = floor(low);
        high = ceil(high);
    }
    low = fmax(low, 0);
    high = fmin(high, last);
    if (low >= high && low <= high)
        high += 0.001;
    const double slowed = fmin(fmax(((double)index - low) / (high - low), 0), 1);
    return slowed * frequency / kgen_problem_real(problem, "factor") + (1 - slowed) * frequency;
}

double kgen_rope_proportional(const struct kgen_problem *problem, double frequency, int64_t index)
{
    return 2 * index < kgen_problem_get(problem, "rotated_dim")
               ? frequency / kgen_problem_real(problem, "factor")
               : 0;
}
