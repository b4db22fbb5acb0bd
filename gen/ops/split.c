/* SPDX-License-Identifier: MIT */
/* split: rows cut in two, such as heads of which a part rotates. */
#include "gen/ops/buffers.h"

static const struct kgen_field fields[] = {
    KGEN_INTEGER_FIELD("rows", "r", 1, 1, KGEN_SIZE_MAX, "rows of x, a and b"),
    KGEN_SIZE_FIELD("first", "a", KGEN_ROW_MAX, "elements of a row of a"),
    KGEN_SIZE_FIELD("second", "b", KGEN_ROW_MAX, "elements of a row of b"),
};

static const struct kgen_buffer buffers[] = {
    {"x", KGEN_INPUT, "f32", "rows, first + second", KGEN_RUN, NULL, NULL},
    {"a", KGEN_OUTPUT, "f32", "rows, first", KGEN_RUN, NULL, NULL},
    {"b", KGEN_OUTPUT, "f32", "rows, second", KGEN_RUN, NULL, NULL},
};

/* A copy has no arithmetic. */
static double operations(const struct kgen_problem *problem)
{
    (void)problem;
    return 0;
}

static void reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                      struct kgen_expected *expected)
{
    const int64_t first = kgen_problem_get(problem, "first"), second = kgen_problem_get(problem, "second");
    const float *x = arguments->buffers[0];
    for (int64_t i = 0; i < kgen_problem_get(problem, "rows") * (first + second); i++) {
        const int64_t row = i / (first + second), column = i % (first + second);
        const int buffer = column < first ? 1 : 2;
        const int64_t at = column < first ? row * first + column : row * second + column - first;
        expected->values[buffer][at] = (double)x[i];
        expected->bounds[buffer][at] = 0;
    }
}

/* ---- inputs ---- */

static int64_t element_count(const struct kgen_problem *problem)
{
    return kgen_problem_get(problem, "rows") *
           (kgen_problem_get(problem, "first") + kgen_problem_get(problem, "second"));
}

static void fill_random(const struct kgen_problem *problem, struct kgen_random *random,
                        struct kgen_arguments *arguments)
{
    kgen_random_fill_normal(random, arguments->buffers[0], element_count(problem));
}

static void fill_extreme(const struct kgen_problem *problem, struct kgen_random *random,
                         struct kgen_arguments *arguments)
{
    kgen_random_fill_extreme(random, arguments->buffers[0], element_count(problem), 1e30f);
}

static const struct kgen_generator generators[] = {
    {"random", fill_random, NULL},
    {"extreme", fill_extreme, NULL},
};

static const size_t proof_ranges[] = {1, 2, 3, 7, 0};

const struct kgen_op kgen_op_split = {
    .name = "split",
    .summary = "Cuts rows in two: a = x[:, :first], b = x[:, first:].",
    .formula = "For rows row_begin to row_end: a are the first elements of x, b those that follow.\n",
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
