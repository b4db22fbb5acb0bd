/* SPDX-License-Identifier: MIT */
/* qmv: a quantised matrix times a vector. */
#include "gen/ops/bound.h"
#include "gen/ops/buffers.h"
#include "gen/ops/weights.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

static const int precisions[] = {KGEN_F32, KGEN_I24, KGEN_I16, KGEN_I8, -1};
static const int layouts[] = {KGEN_STORED, KGEN_TILES16, -1};

static const struct kgen_field fields[] = {
    KGEN_WEIGHT_FIELDS,
    KGEN_CONSTANT_FIELD("activation_dtype", "activations", KGEN_F32, precisions,
                        "precision of x inside the kernel; x is f32 in memory", true, true),
    KGEN_CONSTANT_FIELD("layout", NULL, KGEN_STORED, layouts,
                        "order of weights, scales and biases: as stored, or 16 rows side by side", false,
                        false),
};

static const struct kgen_buffer buffers[] = {
    {"weights", KGEN_WEIGHTS, NULL, "N, K", KGEN_RUN, NULL, NULL},
    {"x", KGEN_INPUT, "f32", "K", KGEN_PREPARE, NULL, NULL},
    {"workspace", KGEN_WORKSPACE, NULL, NULL, KGEN_PREPARE | KGEN_RUN, NULL, NULL},
    {"y", KGEN_OUTPUT, "f32", "N", KGEN_RUN, NULL, NULL},
};

static double operations(const struct kgen_problem *problem)
{
    return 2 * (double)kgen_problem_get(problem, "N") * (double)kgen_problem_get(problem, "K");
}

/* ---- the reference ---- */

/* The levels of i24: the greatest integer is 127 * 254 * 254, as kernels make it of three int8 with the base
 * 254. */
#define I24_LEVELS 8193532.0

/* How far a quantised activation may be from x. A group is quantised with step = greatest / levels and
 * rounded to nearest, so half a step; its greatest magnitude and zero are met exactly. The steps of i24 are
 * hardly greater than the roundings of floats that lead to them, a quotient, a product and the rounding to
 * nearest: two steps. In a group of almost nothing (below 2^-100) the reciprocal of the step may overflow:
 * there any value of the group's size will do. */
static double activation_error(double x, double greatest, double levels)
{
    if (levels == 0 || x == 0 || (fabs(x) == greatest && greatest >= 0x1p-100))
        return 0;
    if (greatest < 0x1p-100)
        return 2 * greatest;
    return greatest / levels * (levels == I24_LEVELS ? 2 : 0.5) * (1 + 8 * KGEN_UNIT);
}

/* The error of each activation, for every row alike. */
static void activation_errors(const struct kgen_matrix *matrix, const float *x, double levels, double *errors)
{
    for (int64_t first = 0; first < matrix->K; first += matrix->group_size) {
        double greatest = 0;
        for (int64_t k = first; k < first + matrix->group_size; k++)
            greatest = fmax(greatest, fabs((double)x[k]));
        for (int64_t k = first; k < first + matrix->group_size; k++)
            errors[k] = activation_error((double)x[k], greatest, levels);
    }
}

/* y[n] = sum_k w[n][k] x[k].
 *
 * Kernels add up s * (sum q x) + b * (sum x) group by group, so the magnitudes S = sum_k (|s q| + |b|) |x_k|
 * take s q and b apart although they may cancel in w. A serial sum within a group makes group_size roundings,
 * one over the groups K / group_size, and 16 are left for the products, the scaling, and the split of x into
 * integers; every shorter order is within. */
static void reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                      struct kgen_expected *expected)
{
    struct kgen_buffers list;
    struct kgen_matrix matrix;
    kgen_problem_buffers(problem, &list);
    kgen_problem_matrix(problem, arguments, &matrix);
    const int y = kgen_buffers_find(&list, "y");
    const float *x = arguments->buffers[kgen_buffers_find(&list, "x")];
    const int64_t dtype = kgen_problem_get(problem, "activation_dtype"), group_size = matrix.group_size;
    const double levels = dtype == KGEN_I8    ? 127
                          : dtype == KGEN_I16 ? 32767
                          : dtype == KGEN_I24 ? I24_LEVELS
                                              : 0;
    const double c = (double)(group_size + matrix.K / group_size + 16);
    const double q_greatest = (double)kgen_matrix_unit_greatest(&matrix);
    double *errors = malloc((size_t)(matrix.K + 2 * group_size) * sizeof *errors);
    if (errors == NULL)
        return;
    double *w = errors + matrix.K, *size = w + group_size;
    activation_errors(&matrix, x, levels, errors);
    for (int64_t n = 0; n < matrix.N; n++) {
        double sum = 0, magnitude = 0, quantisation = 0, underflow = 0;
        for (int64_t first = 0; first < matrix.K; first += group_size) {
            matrix.format->decode(&matrix, n, first, group_size, w, size);
            for (int64_t i = 0; i < group_size; i++) {
                const double value = (double)x[first + i];
                sum += w[i] * value;
                magnitude += size[i] * fabs(value);
                quantisation += fabs(w[i]) * errors[first + i];
                underflow += size[i] + q_greatest;
            }
        }
        expected->values[y][n] = sum;
        expected->bounds[y][n] = c * KGEN_UNIT * magnitude + quantisation + (double)FLT_MIN * underflow;
    }
    free(errors);
}

/* ---- inputs ---- */

static float *x_of(const struct kgen_problem *problem, const struct kgen_arguments *arguments)
{
    return kgen_argument(problem, arguments, "x");
}

static void fill_random(const struct kgen_problem *problem, struct kgen_random *random,
                        struct kgen_arguments *arguments)
{
    kgen_weights_fill(problem, KGEN_WEIGHTS_ORDINARY, random, arguments);
    kgen_random_fill_normal(random, x_of(problem, arguments), kgen_problem_get(problem, "K"));
}

static void fill_scales(const struct kgen_problem *problem, struct kgen_random *random,
                        struct kgen_arguments *arguments)
{
    kgen_weights_fill(problem, KGEN_WEIGHTS_ODD, random, arguments);
    kgen_random_fill_normal(random, x_of(problem, arguments), kgen_problem_get(problem, "K"));
}

/* x in runs of one sign: the greatest sums, which narrow integers overflow. */
static void fill_greatest(const struct kgen_problem *problem, struct kgen_random *random,
                          struct kgen_arguments *arguments)
{
    kgen_weights_fill(problem, KGEN_WEIGHTS_GREATEST, random, arguments);
    const int64_t K = kgen_problem_get(problem, "K"), group_size = kgen_problem_get(problem, "group_size");
    float *x = x_of(problem, arguments);
    for (int64_t k = 0; k < K; k++)
        x[k] = (k / 16 + k / group_size) % 2 == 0 ? 1.0f : -1.0f;
}

/* Every weight counts, with either sign, and neighbours with opposite signs: those of even places with the
 * next, or with the one before. */
static void fill_pairs(const struct kgen_problem *problem, struct kgen_random *random,
                       const struct kgen_arguments *arguments, int64_t paired_with_one_before)
{
    kgen_weights_fill(problem, KGEN_WEIGHTS_UNIT, random, arguments);
    const int64_t K = kgen_problem_get(problem, "K");
    float *x = x_of(problem, arguments);
    for (int64_t k = 0; k < K; k++)
        x[k] = (k + paired_with_one_before) % 2 == 1 && k > 0 ? -x[k - 1] : kgen_random_sign(random);
}

static void fill_signs(const struct kgen_problem *problem, struct kgen_random *random,
                       struct kgen_arguments *arguments)
{
    fill_pairs(problem, random, arguments, 0);
}

static void fill_other_signs(const struct kgen_problem *problem, struct kgen_random *random,
                             struct kgen_arguments *arguments)
{
    fill_pairs(problem, random, arguments, 1);
}

/* One weight of each group counts, at another place in each group: a value in the wrong place shows. */
static void fill_sparse(const struct kgen_problem *problem, struct kgen_random *random,
                        struct kgen_arguments *arguments)
{
    fill_signs(problem, random, arguments);
    const int64_t K = kgen_problem_get(problem, "K"), group_size = kgen_problem_get(problem, "group_size");
    float *x = x_of(problem, arguments);
    const int64_t start = kgen_random_below(random, group_size);
    for (int64_t k = 0; k < K; k++) {
        if (k % group_size != (start + k / group_size * 37) % group_size)
            x[k] = 0.0f;
    }
}

/* Great and tiny activations. */
static void fill_extreme(const struct kgen_problem *problem, struct kgen_random *random,
                         struct kgen_arguments *arguments)
{
    fill_random(problem, random, arguments);
    const int64_t K = kgen_problem_get(problem, "K"), group_size = kgen_problem_get(problem, "group_size");
    float *x = x_of(problem, arguments);
    for (int64_t k = 0; k < K; k += group_size) {
        if (k / group_size % 3 != 1)
            kgen_random_fill_extreme(random, x + k, group_size, k % 3 == 0 ? 1e30f : 100.0f);
    }
}

/* Groups of zeros and of denormals, whose quantisation step is nothing. */
static void fill_zero(const struct kgen_problem *problem, struct kgen_random *random,
                      struct kgen_arguments *arguments)
{
    static const float values[] = {0.0f, 1e-40f, -0.0f};
    fill_random(problem, random, arguments);
    const int64_t K = kgen_problem_get(problem, "K"), group_size = kgen_problem_get(problem, "group_size");
    float *x = x_of(problem, arguments);
    for (int64_t k = 0; k < K; k++)
        x[k] = values[(size_t)(k / group_size) % KGEN_COUNT_OF(values)];
}

/* Where all terms are integers and their magnitudes add up to less than 2^24, every order of float summation
 * is exact; activations of 1 and -1 are so after quantisation too, up to the factor of each group. One
 * weight's lowest bit is 1, four times this bound. */
static void tighten(const struct kgen_problem *problem, struct kgen_expected *expected)
{
    struct kgen_matrix matrix;
    struct kgen_buffers list;
    kgen_problem_matrix(problem, NULL, &matrix);
    if (matrix.K > (INT64_C(1) << 24) / kgen_matrix_unit_greatest(&matrix))
        return;
    kgen_problem_buffers(problem, &list);
    double *bounds = expected->bounds[kgen_buffers_find(&list, "y")];
    for (int64_t n = 0; n < matrix.N; n++)
        bounds[n] = fmin(bounds[n], 0.25);
}

static const struct kgen_generator generators[] = {
    {"random", fill_random, NULL},
    {"signs", fill_signs, tighten},
    {"other signs", fill_other_signs, tighten},
    {"sparse", fill_sparse, tighten},
    {"greatest", fill_greatest, tighten},
    {"extreme", fill_extreme, NULL},
    {"scales", fill_scales, NULL},
    {"zero", fill_zero, NULL},
};

const struct kgen_op kgen_op_qmv = {
    .name = "qmv",
    .summary = "Multiplies a quantised matrix by a vector: y[N] = W[N,K] x[K].",
    .formula = "y = W x, for rows row_begin to row_end of W [N, K]; y[row] is written.\n",
    .fields = fields,
    .field_count = KGEN_COUNT_OF(fields),
    .buffers = buffers,
    .buffer_count = KGEN_COUNT_OF(buffers),
    .range = "N",
    .range_name = "row",
    .threaded = true,
    .complete = kgen_format_complete,
    .check = kgen_format_check,
    .names = kgen_weights_names,
    .operations = operations,
    .reference = reference,
    .generators = generators,
    .generator_count = KGEN_COUNT_OF(generators),
};
