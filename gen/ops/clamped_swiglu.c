/* SPDX-License-Identifier: MIT */
/* clamped_swiglu: one vector gated by another, both kept within limits, as gpt-oss has it. */
#include "gen/ops/bound.h"
#include "gen/ops/elementwise.h"

#include <float.h>
#include <math.h>

static const struct kgen_field fields[] = {
    KGEN_SIZE_FIELD("size", "n", KGEN_SIZE_MAX, "elements of gate, up and y"),
    KGEN_REAL_FIELD("alpha", "a", 1.702, 1e-3, 1e3, "factor of the gate in the sigmoid"),
    KGEN_REAL_FIELD("limit", "l", 7, 1e-3, 1e6, "of the gate from above, of up from above and below"),
};

static const struct kgen_buffer buffers[] = {
    {"gate", KGEN_INPUT, "f32", "size", KGEN_RUN, NULL, NULL},
    {"up", KGEN_INPUT, "f32", "size", KGEN_RUN, NULL, NULL},
    {"y", KGEN_OUTPUT, "f32", "size", KGEN_RUN, NULL, "gate up"},
};

static double operations(const struct kgen_problem *problem)
{
    return 8 * (double)kgen_problem_get(problem, "size");
}

/* y = g * sigmoid(alpha g) * (u + 1). The limits are those numbers rounded to float. The sigmoid S is off by
 * (1 - S) times what alpha g is off, 4 u |alpha g|; the rest has 16 roundings. Below alpha g = -87 it is less
 * than FLT_MIN: a kernel may give 0, or clamp. */
static void reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                      struct kgen_expected *expected)
{
    const float *gate = arguments->buffers[0], *up = arguments->buffers[1];
    const int64_t size = kgen_problem_get(problem, "size");
    const double alpha = kgen_problem_real(problem, "alpha");
    const double limit = (double)(float)kgen_problem_real(problem, "limit");
    for (int64_t i = 0; i < size; i++) {
        const double g = fmin((double)gate[i], limit), u = fmax(-limit, fmin((double)up[i], limit)) + 1;
        const double s = alpha * g, share = 1 / (1 + exp(-s)), value = g * share * u;
        const double steepness = fabs(s) < 200 ? fabs(s) * (1 - share) : 0;
        expected->values[2][i] = value;
        expected->bounds[2][i] = (16 + 4 * steepness) * KGEN_UNIT * fabs(value) +
                                 (double)FLT_MIN * (2 * fabs(g * u) + fabs(u) + 1);
    }
}

/* Gates and ups within and beyond the limits, and at them. */
static void fill_limits(const struct kgen_problem *problem, struct kgen_random *random,
                        struct kgen_arguments *arguments)
{
    const float limit = (float)kgen_problem_real(problem, "limit");
    const int64_t size = kgen_problem_get(problem, "size");
    float *gate = arguments->buffers[0], *up = arguments->buffers[1];
    for (int64_t i = 0; i < size; i++) {
        gate[i] = limit * (4 * kgen_random_uniform(random) - 2);
        up[i] = limit * (4 * kgen_random_uniform(random) - 2);
        if (i % 7 == 3)
            gate[i] = i % 2 == 0 ? limit : -1000;
        if (i % 7 == 5)
            up[i] = i % 2 == 0 ? limit : -limit;
    }
}

static const struct kgen_generator generators[] = {
    {"random", kgen_elementwise_random, NULL},
    {"limits", fill_limits, NULL},
    {"extreme", kgen_elementwise_extreme, NULL},
};

const struct kgen_op kgen_op_clamped_swiglu = {
    .name = "clamped_swiglu",
    .summary = "Gates one vector by another within limits, as gpt-oss: y = g * sigmoid(alpha * g) * (u + 1).",
    .formula = "g = min(gate, limit), u = max(-limit, min(up, limit)),\n"
               "y = g / (1 + exp(-alpha * g)) * (u + 1), for elements begin to end.\n",
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
