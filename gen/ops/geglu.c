/* SPDX-License-Identifier: MIT */
/* geglu: one vector gated by another through GELU. */
#include "gen/ops/bound.h"
#include "gen/ops/elementwise.h"

#include <float.h>
#include <math.h>

static const struct kgen_field fields[] = {
    KGEN_SIZE_FIELD("size", "n", KGEN_SIZE_MAX, "elements of gate, up and y"),
    KGEN_BOOLEAN_FIELD("exact", "exact", "GELU by the error function, not by the hyperbolic tangent"),
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

/* By the tangent, gelu(g) = g * sigmoid(s) with s = g (a + b g^2). The sigmoid S is off by (1 - S) times what
 * s is off, 6 u |s|; the rest has 16 roundings. Below s = -87 it is less than FLT_MIN, and a kernel may give
 * 0 or clamp. By the error function, gelu(g) = g * P(g), with the normal distribution P. A kernel may have it
 * by a formula that is off by 1.5e-7 / 2 for all g, which is less than 2 u, besides up to 10 roundings: the
 * bound is one on P, not relative to it. */
static void reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                      struct kgen_expected *expected)
{
    const double a = 1.5957691216057308, b = 0.044715 * 1.5957691216057308; /* a = 2 sqrt(2 / pi) */
    const float *gate = arguments->buffers[0], *up = arguments->buffers[1];
    const int64_t size = kgen_problem_get(problem, "size");
    const bool exact = kgen_problem_get(problem, "exact") != 0;
    for (int64_t i = 0; i < size; i++) {
        const double g = (double)gate[i], u = (double)up[i];
        const double slack = (double)FLT_MIN * (2 * fabs(g * u) + fabs(u) + 1);
        if (exact) {
            expected->values[2][i] = g * 0.5 * erfc(-g * sqrt(0.5)) * u;
            expected->bounds[2][i] = 12 * KGEN_UNIT * fabs(g * u) + slack;
            continue;
        }
        const double s = g * (a + b * g * g), share = 1 / (1 + exp(-s)), value = g * share * u;
        const double steepness = fabs(s) < 200 ? fabs(s) * (1 - share) : 0;
        expected->values[2][i] = value;
        expected->bounds[2][i] = (16 + 6 * steepness) * KGEN_UNIT * fabs(value) + slack;
    }
}

/* Gates from -12 to 12 evenly, where GELU leaves 0 and the identity, and a few far beyond. */
static void fill_gates(const struct kgen_problem *problem, struct kgen_random *random,
                       struct kgen_arguments *arguments)
{
    static const float far[] = {-1e4f, 1e4f, -1e20f, 1e20f, -14.0f, 14.0f, -0.0f, 1e-40f};
    const int64_t size = kgen_problem_get(problem, "size");
    float *gate = arguments->buffers[0];
    for (int64_t i = 0; i < size; i++) {
        gate[i] = 24.0f * kgen_random_uniform(random) - 12.0f;
        if (i % 5 == 2)
            gate[i] = far[i / 5 % (int64_t)KGEN_COUNT_OF(far)];
    }
    kgen_random_fill_normal(random, arguments->buffers[1], size);
}

static const struct kgen_generator generators[] = {
    {"random", kgen_elementwise_random, NULL},
    {"gates", fill_gates, NULL},
    {"extreme", kgen_elementwise_extreme, NULL},
};

const struct kgen_op kgen_op_geglu = {
    .name = "geglu",
    .summary = "Gates one vector by another: y = gelu(gate) * up.",
    .formula = "y = gate / 2 * (1 + tanh(sqrt(2 / pi) * (gate + 0.044715 * gate^3))) * up, for elements\n"
               "begin to end. With exact: y = gate / 2 * (1 + erf(gate / sqrt(2))) * up.\n",
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
