/* SPDX-License-Identifier: MIT */
/* softcap: a vector kept within a cap by the hyperbolic tangent. */
#include "gen/ops/bound.h"
#include "gen/ops/elementwise.h"

#include <float.h>
#include <math.h>

static const struct kgen_field fields[] = {
    KGEN_SIZE_FIELD("size", "n", KGEN_SIZE_MAX, "elements of x and y"),
    KGEN_REAL_FIELD("cap", "c", 30, 1e-3, 1e6, "greater than any result"),
};

static const struct kgen_buffer buffers[] = {
    {"x", KGEN_INPUT, "f32", "size", KGEN_RUN, NULL, NULL},
    {"y", KGEN_OUTPUT, "f32", "size", KGEN_RUN, NULL, "x"},
};

static double operations(const struct kgen_problem *problem)
{
    return 4 * (double)kgen_problem_get(problem, "size");
}

/* tanh(t) = (1 - e) / (1 + e) with e = exp(-2 |t|) is off by 8 u, as gen/ops/attention.c says: the bound is
 * one on the whole range of results, not relative to each. */
static void reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                      struct kgen_expected *expected)
{
    const float *x = arguments->buffers[0];
    const int64_t size = kgen_problem_get(problem, "size");
    const double cap = kgen_problem_real(problem, "cap");
    for (int64_t i = 0; i < size; i++) {
        expected->values[1][i] = cap * tanh((double)x[i] / cap);
        expected->bounds[1][i] = 8 * KGEN_UNIT * cap + (double)FLT_MIN;
    }
}

/* About as great as the cap, where the tangent bends, and far beyond. */
static void fill_bend(const struct kgen_problem *problem, struct kgen_random *random,
                      struct kgen_arguments *arguments)
{
    const int64_t size = kgen_problem_get(problem, "size");
    const float cap = (float)kgen_problem_real(problem, "cap");
    float *x = arguments->buffers[0];
    for (int64_t i = 0; i < size; i++)
        x[i] = cap * (i % 5 == 2 ? 100 : 2) * (2 * kgen_random_uniform(random) - 1);
}

static const struct kgen_generator generators[] = {
    {"random", kgen_elementwise_random_one, NULL},
    {"bend", fill_bend, NULL},
    {"extreme", kgen_elementwise_extreme_one, NULL},
};

static void names(const struct kgen_problem *problem, const struct kgen_name_receiver *receiver)
{
    const double factor = -2 / kgen_problem_real(problem, "cap");
    receiver->reals(receiver->context, "cap_factor", &factor, 1);
}

const struct kgen_op kgen_op_softcap = {
    .name = "softcap",
    .summary = "Keeps a vector within a cap: y = cap * tanh(x / cap).",
    .formula = "y = cap * tanh(x / cap), for elements begin to end.\n",
    .fields = fields,
    .field_count = KGEN_COUNT_OF(fields),
    .buffers = buffers,
    .buffer_count = KGEN_COUNT_OF(buffers),
    .range = "size",
    .range_name = "",
    .elementwise = true,
    .batched = kgen_problem_multiply_range,
    .names = names,
    .operations = operations,
    .reference = reference,
    .generators = generators,
    .generator_count = KGEN_COUNT_OF(generators),
};
