/* SPDX-License-Identifier: MIT */
/* rms_norm: rows divided by their root mean square, after an optional residual add. */
#include "gen/ops/bound.h"
#include "gen/ops/buffers.h"

#include <float.h>
#include <math.h>
#include <string.h>

static const struct kgen_field fields[] = {
    KGEN_INTEGER_FIELD("rows", "r", 1, 1, KGEN_SIZE_MAX, "vectors that are normalised"),
    KGEN_SIZE_FIELD("size", "s", KGEN_ROW_MAX, "elements of a vector"),
    KGEN_BOOLEAN_FIELD("residual", "residual", "residual += x comes first, and the sum is normalised"),
    KGEN_BOOLEAN_FIELD("weight_plus_one", "plus_one", "the weight is stored less one"),
    KGEN_REAL_FIELD("eps", "eps", 1e-6, 1e-12, 1, "added to the mean of the squares"),
    {"unweighted", NULL, KGEN_FIELD_BOOLEAN, false, 0, 0, 1, NULL, "there is no weight", "unweighted", false,
     false, NULL},
};

static const struct kgen_buffer buffers[] = {
    {"x", KGEN_INPUT, "f32", "rows, size", KGEN_RUN, NULL, NULL},
    {"weight", KGEN_INPUT, "f32", "size", KGEN_RUN, "unweighted == 0", NULL},
    {"residual", KGEN_UPDATED, "f32", "rows, size", KGEN_RUN, "residual", NULL},
    {"y", KGEN_OUTPUT, "f32", "rows, size", KGEN_RUN, NULL, "x"},
};

static int check(const struct kgen_problem *problem, const struct kgen_check_place *place)
{
    if (kgen_problem_get(problem, "unweighted") == 0 || kgen_problem_get(problem, "weight_plus_one") == 0)
        return 0;
    return kgen_check_fail(place, "rms_norm: \"weight_plus_one\" means nothing with \"unweighted\"");
}

static double operations(const struct kgen_problem *problem)
{
    const double elements =
        (double)kgen_problem_get(problem, "rows") * (double)kgen_problem_get(problem, "size");
    return (kgen_problem_get(problem, "residual") != 0 ? 5 : 4) * elements;
}

/* y = h r w with r = 1 / sqrt(mean(h^2) + eps), where h = x, or x + residual rounded to float, which is then
 * the new residual.
 *
 * A serial sum of size squares, all positive, is off by at most size * u, of which the root leaves half;
 * size/8 is met by a serial sum of anything but equal numbers, and by every sum over lanes. */
static void reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                      struct kgen_expected *expected)
{
    struct kgen_buffers list;
    kgen_problem_buffers(problem, &list);
    const int y = kgen_buffers_find(&list, "y"), updated = kgen_buffers_find(&list, "residual");
    const float *x = kgen_argument(problem, arguments, "x");
    const float *weight = kgen_argument(problem, arguments, "weight");
    const float *residual = updated >= 0 ? arguments->buffers[updated] : NULL;
    const int64_t rows = kgen_problem_get(problem, "rows"), size = kgen_problem_get(problem, "size");
    const bool plus_one = kgen_problem_get(problem, "weight_plus_one") != 0;
    double *values = expected->values[y], *bounds = expected->bounds[y];
    for (int64_t first = 0; first < rows * size; first += size) {
        double squares = 0;
        for (int64_t i = first; i < first + size; i++) {
            const double exact = residual != NULL ? (double)x[i] + (double)residual[i] : (double)x[i];
            const double h = (double)(float)exact;
            squares += h * h;
            values[i] = h;
            if (residual != NULL) {
                expected->values[updated][i] = exact;
                expected->bounds[updated][i] = KGEN_UNIT * fabs(exact);
            }
        }
        const double mean = squares / (double)size + kgen_problem_real(problem, "eps");
        const double r = 1 / sqrt(mean);
        const double relative = ((double)size / 8 + 16) * KGEN_UNIT + (double)FLT_MIN / mean;
        for (int64_t i = 0; i < size; i++) {
            const double w = weight != NULL ? (double)weight[i] : 1, h = values[first + i];
            const double w_size = plus_one ? 1 + fabs(w) : fabs(w); /* 1 + w may be multiplied out */
            values[first + i] = h * r * (plus_one ? 1 + w : w);
            bounds[first + i] = relative * fabs(h * r) * w_size + (double)FLT_MIN * (w_size + 1);
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
    const int64_t size = kgen_problem_get(problem, "size");
    const bool plus_one = kgen_problem_get(problem, "weight_plus_one") != 0;
    float *weight = kgen_argument(problem, arguments, "weight");
    float *residual = kgen_argument(problem, arguments, "residual");
    kgen_random_fill_normal(random, kgen_argument(problem, arguments, "x"), element_count(problem));
    if (residual != NULL)
        kgen_random_fill_normal(random, residual, element_count(problem));
    for (int64_t i = 0; weight != NULL && i < size; i++)
        weight[i] = (plus_one ? 0.0f : 1.0f) + 0.3f * kgen_random_normal(random);
}

/* The squares are integers, so their sum is exact and one missing element shows. */
static void fill_integers(const struct kgen_problem *problem, struct kgen_random *random,
                          struct kgen_arguments *arguments)
{
    fill_random(problem, random, arguments);
    float *x = kgen_argument(problem, arguments, "x");
    float *residual = kgen_argument(problem, arguments, "residual");
    for (int64_t i = 0; i < element_count(problem); i++) {
        const float h = kgen_random_sign(random) * (float)(1 + kgen_random_below(random, 3));
        x[i] = residual != NULL ? 8.0f * h : h;
        if (residual != NULL)
            residual[i] = -7.0f * h;
    }
}

/* An exact sum leaves the roundings of the mean, the root, the quotient and two products. */
static void tighten(const struct kgen_problem *problem, struct kgen_expected *expected)
{
    const int64_t size = kgen_problem_get(problem, "size");
    if (size > (INT64_C(1) << 24) / 9)
        return;
    struct kgen_buffers list;
    kgen_problem_buffers(problem, &list);
    double *bounds = expected->bounds[kgen_buffers_find(&list, "y")];
    for (int64_t i = 0; i < element_count(problem); i++)
        bounds[i] *= 16 / ((double)size / 8 + 16);
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
    const size_t bytes = (size_t)element_count(problem) * sizeof(float);
    float *residual = kgen_argument(problem, arguments, "residual");
    memset(kgen_argument(problem, arguments, "x"), 0, bytes);
    if (residual != NULL)
        memset(residual, 0, bytes);
}

static const struct kgen_generator generators[] = {
    {"random", fill_random, NULL},
    {"integers", fill_integers, tighten},
    {"extreme", fill_extreme, NULL},
    {"zero", fill_zero, NULL},
};

static const size_t proof_ranges[] = {1, 2, 3, 7, 0};

const struct kgen_op kgen_op_rms_norm = {
    .name = "rms_norm",
    .summary = "Normalises rows by their root mean square, after an optional residual add.",
    .formula = "y = x / sqrt(mean(x^2) + eps) * weight, for rows row_begin to row_end.\n"
               "With unweighted there is no weight.\n"
               "With residual: residual += x first, and the sum is what is normalised.\n",
    .fields = fields,
    .field_count = KGEN_COUNT_OF(fields),
    .buffers = buffers,
    .buffer_count = KGEN_COUNT_OF(buffers),
    .range = "rows",
    .range_name = "row",
    .batched = kgen_problem_multiply_range,
    .check = check,
    .operations = operations,
    .reference = reference,
    .generators = generators,
    .generator_count = KGEN_COUNT_OF(generators),
    .proof_ranges = proof_ranges,
};
