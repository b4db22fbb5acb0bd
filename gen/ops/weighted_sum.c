/* SPDX-License-Identifier: MIT */
/* weighted_sum: rows added up, each times its weight: what the chosen experts of a token come to. */
#include "gen/ops/bound.h"
#include "gen/ops/buffers.h"

#include <float.h>
#include <math.h>

enum { ROWS_MAX = 256 };

static const struct kgen_field fields[] = {
    KGEN_SIZE_FIELD("rows", "r", ROWS_MAX, "rows of x"),
    KGEN_SIZE_FIELD("size", "s", KGEN_ROW_MAX, "elements of a row of x, and of y"),
};

static const struct kgen_buffer buffers[] = {
    {"x", KGEN_INPUT, "f32", "rows, size", KGEN_RUN, NULL, NULL},
    {"weights", KGEN_INPUT, "f32", "rows", KGEN_RUN, NULL, NULL},
    {"y", KGEN_OUTPUT, "f32", "size", KGEN_RUN, NULL, NULL},
};

static double operations(const struct kgen_problem *problem)
{
    return 2 * (double)kgen_problem_get(problem, "rows") * (double)kgen_problem_get(problem, "size");
}

/* y[i] = sum_j weights[j] x[j][i]: a term passes through the rounding of its product, and through rows - 1 of
 * the sum at the most. Products below the smallest normal number may become 0. */
static void reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                      struct kgen_expected *expected)
{
    const float *x = arguments->buffers[0], *weights = arguments->buffers[1];
    const int64_t rows = kgen_problem_get(problem, "rows"), size = kgen_problem_get(problem, "size");
    for (int64_t i = 0; i < size; i++) {
        double sum = 0, magnitude = 0;
        for (int64_t row = 0; row < rows; row++) {
            const double term = (double)weights[row] * (double)x[row * size + i];
            sum += term;
            magnitude += fabs(term);
        }
        expected->values[2][i] = sum;
        expected->bounds[2][i] = (double)(rows + 1) * (KGEN_UNIT * magnitude + (double)FLT_MIN);
    }
}

/* ---- inputs ---- */

static void fill_random(const struct kgen_problem *problem, struct kgen_random *random,
                        struct kgen_arguments *arguments)
{
    const int64_t rows = kgen_problem_get(problem, "rows"), size = kgen_problem_get(problem, "size");
    float *weights = arguments->buffers[1];
    kgen_random_fill_normal(random, arguments->buffers[0], rows * size);
    for (int64_t i = 0; i < rows; i++)
        weights[i] = kgen_random_uniform(random);
}

/* One weight is not 0: y is that row, exactly. */
static void fill_single(const struct kgen_problem *problem, struct kgen_random *random,
                        struct kgen_arguments *arguments)
{
    const int64_t rows = kgen_problem_get(problem, "rows");
    float *weights = arguments->buffers[1];
    fill_random(problem, random, arguments);
    const int64_t only = kgen_random_below(random, rows);
    for (int64_t i = 0; i < rows; i++)
        weights[i] = i == only ? 1.0f : 0.0f;
}

static void tighten_single(const struct kgen_problem *problem, struct kgen_expected *expected)
{
    for (int64_t i = 0; i < kgen_problem_get(problem, "size"); i++)
        expected->bounds[2][i] = 0;
}

static void fill_extreme(const struct kgen_problem *problem, struct kgen_random *random,
                         struct kgen_arguments *arguments)
{
    const int64_t rows = kgen_problem_get(problem, "rows"), size = kgen_problem_get(problem, "size");
    kgen_random_fill_extreme(random, arguments->buffers[0], rows * size, 1e18f);
    kgen_random_fill_extreme(random, arguments->buffers[1], rows, 1e17f);
}

static const struct kgen_generator generators[] = {
    {"random", fill_random, NULL},
    {"single", fill_single, tighten_single},
    {"extreme", fill_extreme, NULL},
};

const struct kgen_op kgen_op_weighted_sum = {
    .name = "weighted_sum",
    .summary = "Adds rows up, each times its weight: y[size] = weights[rows] x[rows,size].",
    .formula = "y = sum of weights[j] * x[j] over the rows j, for elements begin to end.\n",
    .fields = fields,
    .field_count = KGEN_COUNT_OF(fields),
    .buffers = buffers,
    .buffer_count = KGEN_COUNT_OF(buffers),
    .range = "size",
    .range_name = "",
    .fixed_range = true,
    .operations = operations,
    .reference = reference,
    .generators = generators,
    .generator_count = KGEN_COUNT_OF(generators),
};
