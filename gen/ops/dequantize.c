/* SPDX-License-Identifier: MIT */
/* dequantize: rows of a quantised matrix as floats. */
#include "gen/ops/bound.h"
#include "gen/ops/buffers.h"
#include "gen/ops/weights.h"

#include <float.h>
#include <stdlib.h>

static const struct kgen_field fields[] = {
    KGEN_WEIGHT_FIELDS,
};

static const struct kgen_buffer buffers[] = {
    {"weights", KGEN_WEIGHTS, NULL, "N, K", KGEN_RUN, NULL, NULL},
    {"y", KGEN_OUTPUT, "f32", "N, K", KGEN_RUN, NULL, NULL},
};

static double operations(const struct kgen_problem *problem)
{
    return 2 * (double)kgen_problem_get(problem, "N") * (double)kgen_problem_get(problem, "K");
}

/* y[n][k] = w[n][k]: the conversion, a product, a sum, and one more where the zero point is subtracted. */
static void reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                      struct kgen_expected *expected)
{
    struct kgen_buffers list;
    struct kgen_matrix matrix;
    kgen_problem_buffers(problem, &list);
    kgen_problem_matrix(problem, arguments, &matrix);
    const int y = kgen_buffers_find(&list, "y");
    for (int64_t n = 0; n < matrix.N; n++) {
        double *values = expected->values[y] + n * matrix.K, *bounds = expected->bounds[y] + n * matrix.K;
        matrix.format->decode(&matrix, n, 0, matrix.K, values, bounds);
        for (int64_t k = 0; k < matrix.K; k++)
            bounds[k] = 4 * KGEN_UNIT * bounds[k] + 2 * (double)FLT_MIN;
    }
}

static void fill_random(const struct kgen_problem *problem, struct kgen_random *random,
                        struct kgen_arguments *arguments)
{
    kgen_weights_fill(problem, KGEN_WEIGHTS_ORDINARY, random, arguments);
}

static void fill_greatest(const struct kgen_problem *problem, struct kgen_random *random,
                          struct kgen_arguments *arguments)
{
    kgen_weights_fill(problem, KGEN_WEIGHTS_GREATEST, random, arguments);
}

static void fill_scales(const struct kgen_problem *problem, struct kgen_random *random,
                        struct kgen_arguments *arguments)
{
    kgen_weights_fill(problem, KGEN_WEIGHTS_ODD, random, arguments);
}

static const struct kgen_generator generators[] = {
    {"random", fill_random, NULL},
    {"greatest", fill_greatest, NULL},
    {"scales", fill_scales, NULL},
};

const struct kgen_op kgen_op_dequantize = {
    .name = "dequantize",
    .summary = "Expands rows of a quantised matrix to floats: y[N,K] = W[N,K].",
    .formula = "Row r of W, for rows row_begin to row_end, to y + r * K.\n",
    .fields = fields,
    .field_count = KGEN_COUNT_OF(fields),
    .buffers = buffers,
    .buffer_count = KGEN_COUNT_OF(buffers),
    .range = "N",
    .range_name = "row",
    .complete = kgen_format_complete,
    .check = kgen_format_check,
    .batched = kgen_problem_multiply_range,
    .names = kgen_weights_names,
    .operations = operations,
    .reference = reference,
    .generators = generators,
    .generator_count = KGEN_COUNT_OF(generators),
};
