/* SPDX-License-Identifier: MIT */
#include "gen/ops/product.h"

#include "gen/ops/bound.h"
#include "gen/ops/buffers.h"
#include "gen/ops/weights.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const int kgen_product_precisions[] = {KGEN_F32, KGEN_I24, KGEN_I16, KGEN_I8, -1};
const int kgen_product_layouts[] = {KGEN_STORED, KGEN_TILES16, -1};

/* Rows of x of a token: one, or one for each chosen expert. */
static int64_t inputs_of_token(const struct kgen_problem *problem)
{
    return kgen_problem_get(problem, "x_per_expert") != 0 ? kgen_problem_get(problem, "experts_per_token")
                                                          : 1;
}

/* Rows of y of a token. */
static int64_t results_of_token(const struct kgen_problem *problem)
{
    return kgen_problem_has(problem, "experts") ? kgen_problem_get(problem, "experts_per_token") : 1;
}

/* The greatest number of tokens of a call. */
static int64_t tokens_of(const struct kgen_problem *problem)
{
    return kgen_problem_has(problem, "M") ? kgen_problem_get(problem, "M") : 1;
}

int64_t kgen_product_rows(const struct kgen_problem *problem)
{
    return tokens_of(problem) * inputs_of_token(problem);
}

/* The rows of y. */
static int64_t results_of(const struct kgen_problem *problem)
{
    return tokens_of(problem) * results_of_token(problem);
}

double kgen_product_operations(const struct kgen_problem *problem)
{
    return 2 * (double)results_of(problem) * (double)kgen_problem_get(problem, "N") *
           (double)kgen_problem_get(problem, "K");
}

/* The tokens that a call has: the scalar "rows", or all. */
static int64_t tokens_of_call(const struct kgen_problem *problem, const struct kgen_arguments *arguments)
{
    const int scalar = kgen_scalar_find(problem->op, "rows");
    return scalar >= 0 ? arguments->scalars[scalar] : tokens_of(problem);
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

/* Rows of x are taken in blocks, so that a row of W is decoded once for all of them. */
enum { BLOCK = 16 };

/* Memory for the rows of a block. */
struct block {
    const float *x; /* row 0 of the block */
    int64_t rows;
    double *errors;       /* [BLOCK, K]: of each activation, for every row of W alike */
    double *w, *size;     /* a group of a row of W */
    int64_t N, first_row; /* rows of the matrix of W that is taken, and the first of them */
};

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

/* What the terms of one element of y add up to. */
struct sums {
    double sum, magnitude, quantisation;
};

static void add_group(const struct block *block, int64_t row, int64_t K, int64_t first, int64_t count,
                      struct sums *sums)
{
    const float *x = block->x + row * K + first;
    const double *errors = block->errors + row * K + first;
    struct sums s = *sums;
    for (int64_t i = 0; i < count; i++) {
        const double value = (double)x[i];
        s.sum += block->w[i] * value;
        s.magnitude += block->size[i] * fabs(value);
        s.quantisation += fabs(block->w[i]) * errors[i];
    }
    *sums = s;
}

/* Row n of W with the rows of a block, of which y and bounds are row 0, and lie N elements apart.
 *
 * Kernels add up s * (sum q x) + b * (sum x) group by group, so the magnitudes S = sum_k (|s q| + |b|) |x_k|
 * take s q and b apart although they may cancel in w. A serial sum within a group makes group_size roundings,
 * one over the groups K / group_size, and 16 are left for the products, the scaling, and the split of x into
 * integers; every shorter order is within. */
static void multiply_row(const struct kgen_matrix *matrix, const struct block *block, int64_t n, double *y,
                         double *bounds)
{
    const int64_t group_size = matrix->group_size;
    const double c = (double)(group_size + matrix->K / group_size + 16);
    const double q_greatest = (double)kgen_matrix_unit_greatest(matrix);
    struct sums sums[BLOCK] = {{0, 0, 0}};
    double underflow = 0;
    for (int64_t first = 0; first < matrix->K; first += group_size) {
        matrix->format->decode(matrix, block->first_row + n, first, group_size, block->w, block->size);
        for (int64_t i = 0; i < group_size; i++)
            underflow += block->size[i] + q_greatest;
        for (int64_t row = 0; row < block->rows; row++)
            add_group(block, row, matrix->K, first, group_size, &sums[row]);
    }
    for (int64_t row = 0; row < block->rows; row++) {
        y[row * block->N + n] = sums[row].sum;
        bounds[row * block->N + n] =
            c * KGEN_UNIT * sums[row].magnitude + sums[row].quantisation + (double)FLT_MIN * underflow;
    }
}

static double levels_of(const struct kgen_problem *problem)
{
    const int64_t dtype = kgen_problem_get(problem, "activation_dtype");
    return dtype == KGEN_I8 ? 127 : dtype == KGEN_I16 ? 32767 : dtype == KGEN_I24 ? I24_LEVELS : 0;
}

/* y[m][n] = sum_k w[n][k] x[m][k], for all rows with the matrix of W whose number is expert. */
static void multiply(const struct kgen_problem *problem, const struct kgen_matrix *matrix, int64_t expert,
                     const float *x, int64_t rows, double *y, double *bounds)
{
    const int64_t block_rows = rows < BLOCK ? rows : BLOCK, N = kgen_problem_get(problem, "N");
    const double levels = levels_of(problem);
    double *errors = malloc((size_t)(block_rows * matrix->K + 2 * matrix->group_size) * sizeof *errors);
    if (errors == NULL)
        return;
    struct block block = {
        .errors = errors, .w = errors + block_rows * matrix->K, .N = N, .first_row = expert * N};
    block.size = block.w + matrix->group_size;
    for (int64_t first = 0; first < rows; first += BLOCK) {
        block.x = x + first * matrix->K;
        block.rows = rows - first < BLOCK ? rows - first : BLOCK;
        for (int64_t row = 0; row < block.rows; row++)
            activation_errors(matrix, block.x + row * matrix->K, levels, errors + row * matrix->K);
        for (int64_t n = 0; n < N; n++)
            multiply_row(matrix, &block, n, y + first * N, bounds + first * N);
    }
    free(errors);
}

/* The products of one expert, with all rows that chose it, so that its weights are decoded once. */
static void multiply_expert(const struct kgen_problem *problem, const struct kgen_matrix *matrix,
                            const int32_t *ids, int64_t count, int64_t expert, const float *x, double *y,
                            double *bounds)
{
    const int64_t N = kgen_problem_get(problem, "N"), K = matrix->K;
    const int64_t shared = results_of_token(problem) / inputs_of_token(problem);
    int64_t rows = 0;
    for (int64_t j = 0; j < count; j++)
        rows += ids[j] == expert;
    float *from = malloc((size_t)(rows * K + 1) * sizeof *from);
    double *to = malloc((size_t)(2 * rows * N + 1) * sizeof *to);
    int64_t row = 0;
    for (int64_t j = 0; j < count && from != NULL && to != NULL; j++) {
        if (ids[j] == expert)
            memcpy(from + row++ * K, x + j / shared * K, (size_t)K * sizeof *x);
    }
    if (row > 0)
        multiply(problem, matrix, expert, from, rows, to, to + rows * N);
    for (int64_t j = 0, at = 0; j < count && row > 0; j++) {
        if (ids[j] != expert)
            continue;
        memcpy(y + j * N, to + at * N, (size_t)N * sizeof *y);
        memcpy(bounds + j * N, to + (rows + at++) * N, (size_t)N * sizeof *bounds);
    }
    free(from);
    free(to);
}

void kgen_product_reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                            struct kgen_expected *expected)
{
    struct kgen_buffers list;
    struct kgen_matrix matrix;
    kgen_problem_buffers(problem, &list);
    kgen_problem_matrix(problem, arguments, &matrix);
    const int y = kgen_buffers_find(&list, "y"), ids = kgen_buffers_find(&list, "ids");
    const float *x = arguments->buffers[kgen_buffers_find(&list, "x")];
    double *values = expected->values[y], *bounds = expected->bounds[y];
    const int64_t N = kgen_problem_get(problem, "N");
    const int64_t count = tokens_of_call(problem, arguments) * results_of_token(problem);
    if (ids < 0)
        multiply(problem, &matrix, 0, x, count, values, bounds);
    for (int64_t expert = 0; ids >= 0 && expert < kgen_problem_get(problem, "experts"); expert++)
        multiply_expert(problem, &matrix, arguments->buffers[ids], count, expert, x, values, bounds);
    for (int64_t i = count * N; i < results_of(problem) * N; i++)
        values[i] = NAN;
}

/* ---- inputs ---- */

/* x [M, K]. Rows that a call does not have are NaNs, which no kernel may use. */
struct inputs {
    float *x;
    int64_t rows, K, group_size;
};

/* Chooses as many experts as each token has, no two of them the same: for the first the last one, and others
 * that depend on a number, in no order; for the next others, and for some the same. Tokens that a call does
 * not have chose none that there are. */
static void choose_experts(const struct kgen_problem *problem, struct kgen_arguments *arguments,
                           int64_t number, int64_t tokens)
{
    int32_t *ids = kgen_argument(problem, arguments, "ids");
    const int64_t experts = kgen_problem_get(problem, "experts");
    const int64_t count = kgen_problem_get(problem, "experts_per_token");
    const int scalar = kgen_scalar_find(problem->op, "expert_rows");
    if (ids == NULL)
        return;
    int64_t step = experts > 2 ? 2 + number % (experts - 2) : 1; /* shares no factor with the experts */
    for (int64_t i = 2; i <= step; i++) {
        if (experts % i == 0 && step % i == 0) {
            step--;
            i = 1;
        }
    }
    for (int64_t token = 0; token < tokens_of(problem); token++) {
        const int64_t first = experts - 1 + token * (token / 3);
        for (int64_t i = 0; i < count; i++)
            *ids++ = token < tokens ? (int32_t)((first + i * step) % experts) : INT32_MAX;
    }
    arguments->scalars[scalar] = kgen_problem_get(problem, "N");
}

/* Sets the number of tokens, and finds x. Where a call has fewer than there may be, it is M - fewer, at
 * least 1; where that makes more products than most, it is less by a multiple of 16, so that the last tile of
 * rows is as full. */
static struct inputs begin(const struct kgen_problem *problem, struct kgen_arguments *arguments,
                           int64_t fewer, double most)
{
    struct inputs inputs = {.x = kgen_argument(problem, arguments, "x"),
                            .K = kgen_problem_get(problem, "K"),
                            .group_size = kgen_problem_get(problem, "group_size")};
    const int64_t M = tokens_of(problem);
    const double each =
        (double)kgen_problem_get(problem, "N") * (double)(inputs.K * results_of_token(problem));
    const int scalar = kgen_scalar_find(problem->op, "rows");
    int64_t tokens = scalar >= 0 ? M - fewer : M;
    while (scalar >= 0 && tokens > BLOCK && (double)tokens * each > most)
        tokens -= BLOCK;
    tokens = tokens > 1 ? tokens : 1;
    if (scalar >= 0)
        arguments->scalars[scalar] = tokens;
    choose_experts(problem, arguments, fewer, tokens);
    inputs.rows = tokens * inputs_of_token(problem);
    for (int64_t i = inputs.rows * inputs.K; i < M * inputs_of_token(problem) * inputs.K; i++)
        inputs.x[i] = NAN;
    return inputs;
}

/* Products of a case whose kernels run often. */
#define FEW 5e6
#define ALL HUGE_VAL

static void fill_random(const struct kgen_problem *problem, struct kgen_random *random,
                        struct kgen_arguments *arguments)
{
    const struct inputs in = begin(problem, arguments, 0, FEW);
    kgen_weights_fill(problem, KGEN_WEIGHTS_ORDINARY, random, arguments);
    kgen_random_fill_normal(random, in.x, in.rows * in.K);
}

static void fill_scales(const struct kgen_problem *problem, struct kgen_random *random,
                        struct kgen_arguments *arguments)
{
    const struct inputs in = begin(problem, arguments, 6, FEW);
    kgen_weights_fill(problem, KGEN_WEIGHTS_ODD, random, arguments);
    kgen_random_fill_normal(random, in.x, in.rows * in.K);
}

/* x in runs of one sign: the greatest sums, which narrow integers overflow. */
static void fill_greatest(const struct kgen_problem *problem, struct kgen_random *random,
                          struct kgen_arguments *arguments)
{
    const struct inputs in = begin(problem, arguments, 3, FEW);
    kgen_weights_fill(problem, KGEN_WEIGHTS_GREATEST, random, arguments);
    for (int64_t m = 0; m < in.rows; m++) {
        for (int64_t k = 0; k < in.K; k++)
            in.x[m * in.K + k] = (k / 16 + k / in.group_size + m) % 2 == 0 ? 1.0f : -1.0f;
    }
}

/* Every weight counts, with either sign, and neighbours with opposite signs: those of even places with the
 * next, or with the one before. */
static void fill_pairs(const struct kgen_problem *problem, struct kgen_random *random,
                       const struct kgen_arguments *arguments, const struct inputs *in,
                       int64_t paired_with_one_before)
{
    kgen_weights_fill(problem, KGEN_WEIGHTS_UNIT, random, arguments);
    for (int64_t m = 0; m < in->rows; m++) {
        float *x = in->x + m * in->K;
        for (int64_t k = 0; k < in->K; k++)
            x[k] = (k + paired_with_one_before) % 2 == 1 && k > 0 ? -x[k - 1] : kgen_random_sign(random);
    }
}

/* As many rows as there can be. */
static void fill_signs(const struct kgen_problem *problem, struct kgen_random *random,
                       struct kgen_arguments *arguments)
{
    const struct inputs in = begin(problem, arguments, 0, ALL);
    fill_pairs(problem, random, arguments, &in, 0);
}

static void fill_other_signs(const struct kgen_problem *problem, struct kgen_random *random,
                             struct kgen_arguments *arguments)
{
    const struct inputs in = begin(problem, arguments, 1, FEW);
    fill_pairs(problem, random, arguments, &in, 1);
}

/* One weight of each group counts, at another place in each group: a value in the wrong place shows. */
static void fill_sparse(const struct kgen_problem *problem, struct kgen_random *random,
                        struct kgen_arguments *arguments)
{
    const struct inputs in = begin(problem, arguments, 2, FEW);
    fill_pairs(problem, random, arguments, &in, 0);
    for (int64_t m = 0; m < in.rows; m++) {
        const int64_t start = kgen_random_below(random, in.group_size);
        for (int64_t k = 0; k < in.K; k++) {
            if (k % in.group_size != (start + k / in.group_size * 37) % in.group_size)
                in.x[m * in.K + k] = 0.0f;
        }
    }
}

/* Great and tiny activations. */
static void fill_extreme(const struct kgen_problem *problem, struct kgen_random *random,
                         struct kgen_arguments *arguments)
{
    const struct inputs in = begin(problem, arguments, 5, FEW);
    kgen_weights_fill(problem, KGEN_WEIGHTS_ORDINARY, random, arguments);
    kgen_random_fill_normal(random, in.x, in.rows * in.K);
    for (int64_t m = 0; m < in.rows; m++) {
        for (int64_t k = 0; k < in.K; k += in.group_size) {
            if ((k / in.group_size + m) % 3 != 1)
                kgen_random_fill_extreme(random, in.x + m * in.K + k, in.group_size,
                                         k % 3 == 0 ? 1e30f : 100.0f);
        }
    }
}

/* Groups of zeros and of denormals, whose quantisation step is nothing. */
static void fill_zero(const struct kgen_problem *problem, struct kgen_random *random,
                      struct kgen_arguments *arguments)
{
    static const float values[] = {0.0f, 1e-40f, -0.0f};
    const struct inputs in = begin(problem, arguments, 7, FEW);
    kgen_weights_fill(problem, KGEN_WEIGHTS_ORDINARY, random, arguments);
    for (int64_t m = 0; m < in.rows; m++) {
        for (int64_t k = 0; k < in.K; k++)
            in.x[m * in.K + k] = values[(size_t)(k / in.group_size + m) % KGEN_COUNT_OF(values)];
    }
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
    for (int64_t i = 0; i < results_of(problem) * kgen_problem_get(problem, "N"); i++)
        bounds[i] = fmin(bounds[i], 0.25);
}

const struct kgen_generator kgen_product_generators[KGEN_PRODUCT_GENERATORS] = {
    {"random", fill_random, NULL},
    {"signs", fill_signs, tighten},
    {"other signs", fill_other_signs, tighten},
    {"sparse", fill_sparse, tighten},
    {"greatest", fill_greatest, tighten},
    {"extreme", fill_extreme, NULL},
    {"scales", fill_scales, NULL},
    {"zero", fill_zero, NULL},
};
