/* SPDX-License-Identifier: MIT */
/* add: the sum of two vectors. */
#include "gen/ops/bound.h"
#include "gen/ops/elementwise.h"

#include <math.h>

static const struct kgen_field fields[] = {
    KGEN_SIZE_FIELD("size", "n", KGEN_SIZE_MAX, "elements of a, b and y"),
};

static const struct kgen_buffer buffers[] = {
    {"a", KGEN_INPUT, "f32", "size", KGEN_RUN, NULL, NULL},
    {"b", KGEN_INPUT, "f32", "size", KGEN_RUN, NULL, NULL},
    {"y", KGEN_OUTPUT, "f32", "size", KGEN_RUN, NULL, "a b"},
};

static double operations(const struct kgen_problem *problem)
{
    return (double)kgen_problem_get(problem, "size");
}

/* One rounding: the nearest float. */
static void reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                      struct kgen_expected *expected)
{
    const float *a = arguments->buffers[0], *b = arguments->buffers[1];
    const int64_t size = kgen_problem_get(problem, "size");
    for (int64_t i = 0; i < size; i++) {
        expected->values[2][i] = (double)a[i] + (double)b[i];
        expected->bounds[2][i] = KGEN_UNIT * fabs(expected->values[2][i]);
    }
}

static const struct kgen_generator generators[] = {
    {"random", kgen_elementwise_random, NULL},
    {"extreme", kgen_elementwise_extreme, NULL},
};

const struct kgen_op kgen_op_add = {
    .name = "add",
    .summary = "Adds two vectors: y = a + b.",
    .formula = "y = a + b, for elements begin to end.\n",
    .fields = fields,
    .field_count = KGEN_COUNT_OF(fields),
    .buffers = buffers,
    .buffer_count = KGEN_COUNT_OF(buffers),
    .range = "size",
    .range_name = "",
    .elementwise = true,
    .batched = kgen_problem_multiply_range,
    .operations = operations,
    .reference = reference,
    .generators = generators,
    .generator_count = KGEN_COUNT_OF(generators),
};
