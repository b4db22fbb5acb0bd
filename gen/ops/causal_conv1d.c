/* SPDX-License-Identifier: MIT */
/* causal_conv1d: each channel convolved over time with a few taps of its own, then silu. A call is one
 * position; the inputs of the positions before it are a state. */
#include "gen/ops/bound.h"
#include "gen/ops/buffers.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { TAPS_MIN = 2, TAPS_MAX = 8 };

static const struct kgen_field fields[] = {
    KGEN_SIZE_FIELD("channels", "c", KGEN_ROW_MAX / TAPS_MAX, "channels, each with taps of its own"),
    KGEN_INTEGER_FIELD("kernel_size", "taps", 4, TAPS_MIN, TAPS_MAX, "taps of a channel"),
};

static const struct kgen_buffer buffers[] = {
    {"x", KGEN_INPUT, "f32", "channels", KGEN_RUN, NULL, NULL},
    {"weight", KGEN_INPUT, "f32", "channels, kernel_size", KGEN_RUN, NULL, NULL},
    {"state", KGEN_STATE, "f32", "kernel_size - 1, channels", KGEN_RUN, NULL, NULL},
    {"y", KGEN_OUTPUT, "f32", "channels", KGEN_RUN, NULL, NULL},
};

enum { X, WEIGHT, STATE, Y };

static double operations(const struct kgen_problem *problem)
{
    return (double)kgen_problem_get(problem, "channels") *
           (double)(2 * kgen_problem_get(problem, "kernel_size") + 4);
}

/* s = sum of the taps times the inputs, of which a term passes through one rounding of each of the sum's
 * steps. y = s sigmoid(s), whose slope is 1.1 at the most, with the 16 roundings of swiglu. What is kept is
 * copied. */
static void reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                      struct kgen_expected *expected)
{
    const int64_t channels = kgen_problem_get(problem, "channels");
    const int64_t taps = kgen_problem_get(problem, "kernel_size");
    const float *x = arguments->buffers[X], *weight = arguments->buffers[WEIGHT];
    const float *state = arguments->buffers[STATE];
    for (int64_t channel = 0; channel < channels; channel++) {
        double sum = 0, magnitude = 0;
        for (int64_t tap = 0; tap < taps; tap++) {
            const double input = (double)(tap + 1 < taps ? state[tap * channels + channel] : x[channel]);
            const double term = (double)weight[channel * taps + tap] * input;
            sum += term;
            magnitude += fabs(term);
            if (tap > 0) {
                expected->values[STATE][(tap - 1) * channels + channel] = input;
                expected->bounds[STATE][(tap - 1) * channels + channel] = 0;
            }
        }
        const double value = sum / (1 + exp(-sum));
        const double off = (double)(taps + 1) * (KGEN_UNIT * magnitude + (double)FLT_MIN);
        expected->values[Y][channel] = value;
        expected->bounds[Y][channel] =
            1.1 * off + 16 * KGEN_UNIT * fabs(value) + (double)FLT_MIN * (2 * fabs(sum) + 1);
    }
}

/* ---- inputs ---- */

static void fill(const struct kgen_problem *problem, struct kgen_random *random,
                 struct kgen_arguments *arguments, float scale)
{
    const int64_t channels = kgen_problem_get(problem, "channels");
    const int64_t taps = kgen_problem_get(problem, "kernel_size");
    float *weight = arguments->buffers[WEIGHT];
    kgen_random_fill_normal(random, arguments->buffers[X], channels);
    kgen_random_fill_normal(random, weight, channels * taps);
    kgen_random_fill_normal(random, arguments->buffers[STATE], channels * (taps - 1));
    for (int64_t i = 0; i < channels * taps; i++)
        weight[i] *= scale;
}

static void fill_random(const struct kgen_problem *problem, struct kgen_random *random,
                        struct kgen_arguments *arguments)
{
    fill(problem, random, arguments, 1.0f);
}

/* Sums so far from 0 that exp() leaves the floats. */
static void fill_far(const struct kgen_problem *problem, struct kgen_random *random,
                     struct kgen_arguments *arguments)
{
    fill(problem, random, arguments, 60.0f);
}

/* Small whole numbers, whose sums are exact. */
static void fill_integers(const struct kgen_problem *problem, struct kgen_random *random,
                          struct kgen_arguments *arguments)
{
    const int64_t channels = kgen_problem_get(problem, "channels");
    const int64_t taps = kgen_problem_get(problem, "kernel_size");
    const int64_t counts[] = {channels, channels * taps, channels * (taps - 1)};
    for (int i = 0; i < 3; i++) {
        float *values = arguments->buffers[i];
        for (int64_t j = 0; j < counts[i]; j++)
            values[j] = (float)(kgen_random_below(random, 7) - 3);
    }
}

static void fill_extreme(const struct kgen_problem *problem, struct kgen_random *random,
                         struct kgen_arguments *arguments)
{
    const int64_t channels = kgen_problem_get(problem, "channels");
    const int64_t taps = kgen_problem_get(problem, "kernel_size");
    kgen_random_fill_extreme(random, arguments->buffers[X], channels, 1e15f);
    kgen_random_fill_extreme(random, arguments->buffers[WEIGHT], channels * taps, 1e15f);
    kgen_random_fill_extreme(random, arguments->buffers[STATE], channels * (taps - 1), 1e15f);
}

static const struct kgen_generator generators[] = {
    {"random", fill_random, NULL},
    {"far from zero", fill_far, NULL},
    {"integers", fill_integers, NULL},
    {"extreme", fill_extreme, NULL},
};

const struct kgen_op kgen_op_causal_conv1d = {
    .name = "causal_conv1d",
    .summary = "Convolves each channel over time, one position a call: y = silu(sum of taps * inputs).",
    .formula =
        "For channels channel_begin to channel_end: the inputs are the kernel_size - 1 rows of state,\n"
        "the oldest first, then x; s = sum of weight[channel][tap] * input[tap][channel] over the taps,\n"
        "y = s / (1 + exp(-s)). Then state has the last kernel_size - 1 inputs.\n",
    .fields = fields,
    .field_count = KGEN_COUNT_OF(fields),
    .buffers = buffers,
    .buffer_count = KGEN_COUNT_OF(buffers),
    .range = "channels",
    .range_name = "channel",
    .fixed_range = true,
    .operations = operations,
    .reference = reference,
    .generators = generators,
    .generator_count = KGEN_COUNT_OF(generators),
};
