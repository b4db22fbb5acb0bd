/* SPDX-License-Identifier: MIT */
/* layer_norm: rows less their mean, divided by their standard deviation. */
#include "gen/ops/bound.h"
#include "gen/ops/buffers.h"

#include <float.h>
#include <math.h>
#include <string.h>

static const struct kgen_field fields[] = {
    KGEN_INTEGER_FIELD("rows", "r", 1, 1, KGEN_SIZE_MAX, "vectors that are normalised"),
    KGEN_SIZE_FIELD("size", "s", KGEN_ROW_MAX, "elements of a vector"),
    KGEN_BOOLEAN_FIELD("bias", "bias", "the bias is added at the end"),
    KGEN_REAL_FIELD("eps", "eps", 1e-5, 1e-12, 1, "added to the variance"),
};

static const struct kgen_buffer buffers[] = {
    {"x", KGEN_INPUT, "f32", "rows, size", KGEN_RUN, NULL, NULL},
    {"weight", KGEN_INPUT, "f32", "size", KGEN_RUN, NULL, NULL},
    {"bias", KGEN_INPUT, "f32", "size", KGEN_RUN, "bias", NULL},
    {"y", KGEN_OUTPUT, "f32", "rows, size", KGEN_RUN, NULL, "x"},
};

static double operations(const struct kgen_problem *problem)
{
    return 6 * (double)kgen_problem_get(problem, "rows") * (double)kgen_problem_get(problem, "size");
}

/* y = d r w + b with d = x - mean(x) and r = 1 / sqrt(mean(d^2) + eps).
 *
 * A sum of size terms is off by (size/8 + 16) u = c of the sum of their magnitudes, as in rms_norm: the mean
 * by c mean|x|, so d by e = c mean|x| + u |d|. The mean of the squares is off by c of itself, and by what e
 * makes of it, 2 e mean|d| + e^2; half of that over the sum with eps is the relative error of r. */
static void normalise(const float *x, const float *weight, const float *bias, int64_t size, double eps,
                      double *values, double *bounds)
{
    const double c = ((double)size / 8 + 16) * KGEN_UNIT, count = (double)size;
    double mean = 0, magnitude = 0, squares = 0, distance = 0;
    for (int64_t i = 0; i < size; i++) {
        mean += (double)x[i] / count;
        magnitude += fabs((double)x[i]) / count;
    }
    for (int64_t i = 0; i < size; i++) {
        const double d = (double)x[i] - mean;
        squares += d * d / count;
        distance += fabs(d) / count;
    }
    const double r = 1 / sqrt(squares + eps), shared = c * magnitude + (double)FLT_MIN;
    const double off = shared + KGEN_UNIT * distance;
    const double relative =
        0.5 * (c * squares + 2 * off * distance + off * off + (double)FLT_MIN) * r * r + 8 * KGEN_UNIT;
    for (int64_t i = 0; i < size; i++) {
        const double d = (double)x[i] - mean, w = (double)weight[i], b = bias != NULL ? (double)bias[i] : 0;
        values[i] = d * r * w + b;
        bounds[i] = (shared + KGEN_UNIT * fabs(d)) * r * fabs(w) * (1 + relative) +
                    relative * fabs(d * r * w) + 2 * KGEN_UNIT * (fabs(values[i]) + fabs(b)) +
                    (double)FLT_MIN * (fabs(w) + 1);
    }
}

static void reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                      struct kgen_expected *expected)
{
    struct kgen_buffers list;
    kgen_problem_buffers(problem, &list);
    const int y = kgen_buffers_find(&list, "y");
    const float *x = kgen_argument(problem, arguments, "x");
    const float *weight = kgen_argument(problem, arguments, "weight");
    const float *bias = kgen_argument(problem, arguments, "bias");
    const int64_t rows = kgen_problem_get(problem, "rows"), size = kgen_problem_get(problem, "size");
    const double eps = kgen_problem_real(problem, "eps");
    for (int64_t first = 0; first < rows * size; first += size)
        normalise(x + first, weight, bias, size, eps, expected->values[y] + first,
                  expected->bounds[y] + first);
}

/* ---- inputs ---- */

static int64_t element_count(const struct kgen_problem *problem)
{
    return kgen_problem_get(problem, "rows") * kgen_problem_get(problem, "size");
}

static void fill_random(const struct kgen_problem *problem, struct kgen_random *random,
                        struct kgen_arguments *arguments)
{
    const int64_t size = kgen_problem_get(problem, "size");
    float *weight = kgen_argument(problem, arguments, "weight");
    float *bias = kgen_argument(problem, arguments, "bias");
    kgen_random_fill_normal(random, kgen_argument(problem, arguments, "x"), element_count(problem));
    for (int64_t i = 0; i < size; i++)
        weight[i] = 1.0f + 0.3f * kgen_random_normal(random);
    if (bias != NULL)
        kgen_random_fill_normal(random, bias, size);
}

/* All elements far from 0 and near to each other: only their distances from the mean count. */
static void fill_far(const struct kgen_problem *problem, struct kgen_random *random,
                     struct kgen_arguments *arguments)
{
    fill_random(problem, random, arguments);
    float *x = kgen_argument(problem, arguments, "x");
    for (int64_t i = 0; i < element_count(problem); i++)
        x[i] += 100.0f;
}

/* Great numbers would hide the others of their row: they stand in every other row. */
static void fill_extreme(const struct kgen_problem *problem, struct kgen_random *random,
                         struct kgen_arguments *arguments)
{
    fill_random(problem, random, arguments);
    const int64_t rows = kgen_problem_get(problem, "rows"), size = kgen_problem_get(problem, "size");
    float *x = kgen_argument(problem, arguments, "x");
    for (int64_t row = 0; row < rows; row++)
        kgen_random_fill_extreme(random, x + row * size, size, row % 2 == 0 ? 1e15f : 10.0f);
}

static void fill_zero(const struct kgen_problem *problem, struct kgen_random *random,
                      struct kgen_arguments *arguments)
{
    fill_random(problem, random, arguments);
    memset(kgen_argument(problem, arguments, "x"), 0, (size_t)element_count(problem) * sizeof(float));
}

static const struct kgen_generator generators[] = {
    {"random", fill_random, NULL},
    {"far from zero", fill_far, NULL},
    {"extreme", fill_extreme, NULL},
    {"zero", fill_zero, NULL},
};

static const size_t proof_ranges[] = {1, 2, 3, 7, 0};

const struct kgen_op kgen_op_layer_norm = {
    .name = "layer_norm",
    .summary = "Normalises rows by their mean and standard deviation.",
    .formula =
        "y = (x - mean(x)) / sqrt(mean((x - mean(x))^2) + eps) * weight, for rows row_begin to row_end.\n"
        "With bias: y += bias at the end.\n",
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
