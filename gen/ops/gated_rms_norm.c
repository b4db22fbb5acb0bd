/* SPDX-License-Identifier: MIT */
/* gated_rms_norm: rows divided by their root mean square, then gated, as linear attention ends. */
#include "gen/ops/bound.h"
#include "gen/ops/buffers.h"

#include <float.h>
#include <math.h>
#include <string.h>

static const struct kgen_field fields[] = {
    KGEN_INTEGER_FIELD("rows", "r", 1, 1, KGEN_SIZE_MAX, "vectors that are normalised"),
    KGEN_SIZE_FIELD("size", "s", KGEN_ROW_MAX, "elements of a vector"),
    KGEN_REAL_FIELD("eps", "eps", 1e-6, 1e-12, 1, "added to the mean of the squares"),
};

static const struct kgen_buffer buffers[] = {
    {"x", KGEN_INPUT, "f32", "rows, size", KGEN_RUN, NULL, NULL},
    {"gate", KGEN_INPUT, "f32", "rows, size", KGEN_RUN, NULL, NULL},
    {"weight", KGEN_INPUT, "f32", "size", KGEN_RUN, NULL, NULL},
    {"y", KGEN_OUTPUT, "f32", "rows, size", KGEN_RUN, NULL, "x gate"},
};

enum { X, GATE, WEIGHT, Y };

static double operations(const struct kgen_problem *problem)
{
    return 8 * (double)kgen_problem_get(problem, "rows") * (double)kgen_problem_get(problem, "size");
}

/* y = x r w silu(gate) with r = 1 / sqrt(mean(x^2) + eps): the roundings of rms_norm, which are size / 8 + 16
 * as its file says, and 16 of silu, as in swiglu. */
static void reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                      struct kgen_expected *expected)
{
    const float *weight = arguments->buffers[WEIGHT];
    const int64_t rows = kgen_problem_get(problem, "rows"), size = kgen_problem_get(problem, "size");
    for (int64_t first = 0; first < rows * size; first += size) {
        const float *x = (const float *)arguments->buffers[X] + first;
        const float *gate = (const float *)arguments->buffers[GATE] + first;
        double squares = 0;
        for (int64_t i = 0; i < size; i++)
            squares += (double)x[i] * (double)x[i];
        const double mean = squares / (double)size + kgen_problem_real(problem, "eps");
        const double relative = ((double)size / 8 + 32) * KGEN_UNIT + (double)FLT_MIN / mean;
        for (int64_t i = 0; i < size; i++) {
            const double g = (double)gate[i], silu = g / (1 + exp(-g)), w = (double)weight[i];
            const double normed = (double)x[i] / sqrt(mean) * w;
            expected->values[Y][first + i] = normed * silu;
            expected->bounds[Y][first + i] =
                relative * fabs(normed * silu) +
                (double)FLT_MIN * ((2 * fabs(g) + 1) * fabs(normed) + (fabs(w) + 1) * (fabs(silu) + 1));
        }
    }
}

/* ---- inputs ---- */

static int64_t element_count(const struct kgen_problem *problem)
{
    return kgen_problem_get(problem, "rows") * kgen_problem_get(problem, "size");
}

static void fill_random(const struct kgen_problem *problem, struct kgen_random *random,
                        struct kgen_arguments *arguments)
{
    float *weight = arguments->buffers[WEIGHT];
    kgen_random_fill_normal(random, arguments->buffers[X], element_count(problem));
    kgen_random_fill_normal(random, arguments->buffers[GATE], element_count(problem));
    for (int64_t i = 0; i < kgen_problem_get(problem, "size"); i++)
        weight[i] = 1.0f + 0.3f * kgen_random_normal(random);
}

/* So small that eps counts. */
static void fill_small(const struct kgen_problem *problem, struct kgen_random *random,
                       struct kgen_arguments *arguments)
{
    fill_random(problem, random, arguments);
    float *x = arguments->buffers[X];
    for (int64_t i = 0; i < element_count(problem); i++)
        x[i] *= 1e-3f;
}

/* Gates from -110 to 110, where exp() leaves the floats on either side. */
static void fill_gates(const struct kgen_problem *problem, struct kgen_random *random,
                       struct kgen_arguments *arguments)
{
    fill_random(problem, random, arguments);
    float *gate = arguments->buffers[GATE];
    for (int64_t i = 0; i < element_count(problem); i++)
        gate[i] = 220.0f * kgen_random_uniform(random) - 110.0f;
}

/* Great numbers would hide the others of their row: they stand in every other row. */
static void fill_extreme(const struct kgen_problem *problem, struct kgen_random *random,
                         struct kgen_arguments *arguments)
{
    fill_random(problem, random, arguments);
    const int64_t rows = kgen_problem_get(problem, "rows"), size = kgen_problem_get(problem, "size");
    float *x = arguments->buffers[X];
    for (int64_t row = 0; row < rows; row++)
        kgen_random_fill_extreme(random, x + row * size, size, row % 2 == 0 ? 1e15f : 10.0f);
}

static void fill_zero(const struct kgen_problem *problem, struct kgen_random *random,
                      struct kgen_arguments *arguments)
{
    fill_random(problem, random, arguments);
    memset(arguments->buffers[X], 0, (size_t)element_count(problem) * sizeof(float));
}

static const struct kgen_generator generators[] = {
    {"random", fill_random, NULL},   {"small", fill_small, NULL}, {"gates", fill_gates, NULL},
    {"extreme", fill_extreme, NULL}, {"zero", fill_zero, NULL},
};

static const size_t proof_ranges[] = {1, 2, 3, 7, 0};

const struct kgen_op kgen_op_gated_rms_norm = {
    .name = "gated_rms_norm",
    .summary = "Normalises rows by their root mean square and gates them: y = rms_norm(x) * silu(gate).",
    .formula = "y = x / sqrt(mean(x^2) + eps) * weight * gate / (1 + exp(-gate)), for rows row_begin to\n"
               "row_end.\n",
    .fields = fields,
    .field_count = KGEN_COUNT_OF(fields),
    .buffers = buffers,
    .buffer_count = KGEN_COUNT_OF(buffers),
    .range = "rows",
    .range_name = "row",
    .batched = kgen_problem_multiply_range,
    .operations = operations,
    .reference = reference,
    .generators = generators,
    .generator_count = KGEN_COUNT_OF(generators),
    .proof_ranges = proof_ranges,
};
