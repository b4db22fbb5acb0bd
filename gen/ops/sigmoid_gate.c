/* SPDX-License-Identifier: MIT */
/* sigmoid_gate: a vector times the sigmoid of another, such as the output gate of attention. */
#include "gen/ops/bound.h"
#include "gen/ops/elementwise.h"

#include <float.h>
#include <math.h>

static const struct kgen_field fields[] = {
    KGEN_SIZE_FIELD("size", "n", KGEN_SIZE_MAX, "elements of x, gate and y"),
};

static const struct kgen_buffer buffers[] = {
    {"x", KGEN_INPUT, "f32", "size", KGEN_RUN, NULL, NULL},
    {"gate", KGEN_INPUT, "f32", "size", KGEN_RUN, NULL, NULL},
    {"y", KGEN_OUTPUT, "f32", "size", KGEN_RUN, NULL, "x gate"},
};

static double operations(const struct kgen_problem *problem)
{
    return 4 * (double)kgen_problem_get(problem, "size");
}

/* y = x * sigmoid(gate), with 16 roundings. Below gate = -87 the sigmoid is less than FLT_MIN and exp(-gate)
 * about to overflow: a kernel may give 0, or clamp the exponent. */
static void reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                      struct kgen_expected *expected)
{
    const float *x = arguments->buffers[0], *gate = arguments->buffers[1];
    const int64_t size = kgen_problem_get(problem, "size");
    for (int64_t i = 0; i < size; i++) {
        const double value = (double)x[i] / (1 + exp(-(double)gate[i]));
        expected->values[2][i] = value;
        expected->bounds[2][i] =
            16 * KGEN_UNIT * fabs(value) + (double)FLT_MIN * (2 * fabs((double)x[i]) + 1);
    }
}

/* Gates from -110 to 110 evenly, where exp() leaves the floats on either side, and a few far beyond. */
static void fill_gates(const struct kgen_problem *problem, struct kgen_random *random,
                       struct kgen_arguments *arguments)
{
    static const float far[] = {-1e4f, 1e4f, -1000.0f, 1000.0f, -88.5f, 88.5f, -0.0f, 1e-40f};
    const int64_t size = kgen_problem_get(problem, "size");
    float *gate = arguments->buffers[1];
    kgen_random_fill_normal(random, arguments->buffers[0], size);
    for (int64_t i = 0; i < size; i++) {
        gate[i] = 220.0f * kgen_random_uniform(random) - 110.0f;
        if (i % 5 == 2)
            gate[i] = far[i / 5 % (int64_t)KGEN_COUNT_OF(far)];
    }
}

static const struct kgen_generator generators[] = {
    {"random", kgen_elementwise_random, NULL},
    {"gates", fill_gates, NULL},
    {"extreme", kgen_elementwise_extreme, NULL},
};

const struct kgen_op kgen_op_sigmoid_gate = {
    .name = "sigmoid_gate",
    .summary = "Gates one vector by the sigmoid of another: y = x * sigmoid(gate).",
    .formula = "y = x / (1 + exp(-gate)), for elements begin to end.\n",
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
