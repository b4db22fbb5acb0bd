/* SPDX-License-Identifier: MIT */
/* scale: a vector times a number. */
#include "gen/ops/bound.h"
#include "gen/ops/elementwise.h"

#include <float.h>
#include <math.h>

static const struct kgen_field fields[] = {
    KGEN_SIZE_FIELD("size", "n", KGEN_SIZE_MAX, "elements of x and y"),
    KGEN_REAL_FIELD("factor", "f", 1, 1e-9, 1e9, "of each element"),
};

static const struct kgen_buffer buffers[] = {
    {"x", KGEN_INPUT, "f32", "size", KGEN_RUN, NULL, NULL},
    {"y", KGEN_OUTPUT, "f32", "size", KGEN_RUN, NULL, "x"},
};

static double operations(const struct kgen_problem *problem)
{
    return (double)kgen_problem_get(problem, "size");
}

/* Two roundings: that of the factor and that of the product. */
static void reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                      struct kgen_expected *expected)
{
    const float *x = arguments->buffers[0];
    const int64_t size = kgen_problem_get(problem, "size");
    const double factor = kgen_problem_real(problem, "factor");
    for (int64_t i = 0; i < size; i++) {
        expected->values[1][i] = (double)x[i] * factor;
        expected->bounds[1][i] =
            2.001 * KGEN_UNIT * fabs(expected->values[1][i]) + (double)FLT_MIN; /* 2 u + u^2 */
    }
}

static const struct kgen_generator generators[] = {
    {"random", kgen_elementwise_random_one, NULL},
    {"extreme", kgen_elementwise_extreme_one, NULL},
};

const struct kgen_op kgen_op_scale = {
    .name = "scale",
    .summary = "Multiplies a vector by a number: y = factor * x.",
    .formula = "y = factor * x, for elements begin to end.\n",
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
