/* SPDX-License-Identifier: MIT */
/* softmax: the exponentials of a row over their sum. */
#include "gen/ops/bound.h"
#include "gen/ops/buffers.h"

#include <float.h>
#include <math.h>

static const struct kgen_field fields[] = {
    KGEN_INTEGER_FIELD("rows", "r", 1, 1, KGEN_SIZE_MAX, "vectors, each with a sum of its own"),
    KGEN_SIZE_FIELD("size", "s", KGEN_ROW_MAX, "elements of a vector"),
};

static const struct kgen_buffer buffers[] = {
    {"x", KGEN_INPUT, "f32", "rows, size", KGEN_RUN, NULL, NULL},
    {"y", KGEN_OUTPUT, "f32", "rows, size", KGEN_RUN, NULL, "x"},
};

/* A comparison, a subtraction, an exponential, an addition and a product for each element. */
static double operations(const struct kgen_problem *problem)
{
    return 5 * (double)kgen_problem_get(problem, "rows") * (double)kgen_problem_get(problem, "size");
}

/* y[i] = exp(d[i]) / sum exp(d), with d[i] = x[i] - max(x).
 *
 * The difference is rounded once, relatively, so that exp is off by |d| u, and a few u more of its own. The
 * sum is off by the mean of these errors, weighted by y, and by the roundings of a sum of positive numbers,
 * as in rms_norm. What lies below the normal numbers may become 0. */
static void reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                      struct kgen_expected *expected)
{
    const float *inputs = arguments->buffers[0];
    const int64_t rows = kgen_problem_get(problem, "rows"), size = kgen_problem_get(problem, "size");
    for (int64_t first = 0; first < rows * size; first += size) {
        const float *x = inputs + first;
        double *y = expected->values[1] + first, *bound = expected->bounds[1] + first;
        double greatest = (double)x[0], sum = 0, weighted = 0;
        for (int64_t i = 1; i < size; i++)
            greatest = fmax(greatest, (double)x[i]);
        for (int64_t i = 0; i < size; i++) {
            const double d = (double)x[i] - greatest;
            y[i] = exp(d);
            bound[i] = fabs(d);
            sum += y[i];
            weighted += y[i] * fabs(d);
        }
        for (int64_t i = 0; i < size; i++) {
            y[i] /= sum;
            bound[i] =
                KGEN_UNIT * y[i] * (bound[i] + weighted / sum + (double)size / 8 + 24) + (double)FLT_MIN;
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
    float *x = arguments->buffers[0];
    for (int64_t i = 0; i < element_count(problem); i++)
        x[i] = 4.0f * kgen_random_normal(random);
}

/* Far below 0, where exp itself is 0: only the differences count. */
static void fill_low(const struct kgen_problem *problem, struct kgen_random *random,
                     struct kgen_arguments *arguments)
{
    float *x = arguments->buffers[0];
    for (int64_t i = 0; i < element_count(problem); i++)
        x[i] = -1000.0f + kgen_random_normal(random);
}

/* All elements of a row are equal: every difference is 0, and each element counts as much as any other. */
static void fill_equal(const struct kgen_problem *problem, struct kgen_random *random,
                       struct kgen_arguments *arguments)
{
    float *x = arguments->buffers[0];
    const int64_t size = kgen_problem_get(problem, "size");
    float value = 0;
    for (int64_t i = 0; i < element_count(problem); i++) {
        if (i % size == 0)
            value = 100.0f * kgen_random_normal(random);
        x[i] = value;
    }
}

/* One element that is greater than all others, by little or by so much that the others become 0: at any
 * place, the last, the first. */
static void fill_peak(const struct kgen_problem *problem, struct kgen_random *random,
                      struct kgen_arguments *arguments)
{
    float *x = arguments->buffers[0];
    const int64_t size = kgen_problem_get(problem, "size");
    fill_random(problem, random, arguments);
    for (int64_t row = 0; row < kgen_problem_get(problem, "rows"); row++) {
        const int64_t place = row % 3 == 1 ? size - 1 : row % 3 == 2 ? 0 : kgen_random_below(random, size);
        x[row * size + place] = row % 3 == 0 ? 40.0f : 1e6f;
    }
}

static void fill_extreme(const struct kgen_problem *problem, struct kgen_random *random,
                         struct kgen_arguments *arguments)
{
    kgen_random_fill_extreme(random, arguments->buffers[0], element_count(problem), 1e30f);
}

static const struct kgen_generator generators[] = {
    {"random", fill_random, NULL}, {"low", fill_low, NULL},         {"equal", fill_equal, NULL},
    {"peak", fill_peak, NULL},     {"extreme", fill_extreme, NULL},
};

static const size_t proof_ranges[] = {1, 2, 3, 7, 0};

const struct kgen_op kgen_op_softmax = {
    .name = "softmax",
    .summary = "Makes rows positive, with a sum of 1: y = exp(x) / sum(exp(x)).",
    .formula = "y = exp(x - max(x)) / sum(exp(x - max(x))), for rows row_begin to row_end.\n",
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
