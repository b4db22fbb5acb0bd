/* SPDX-License-Identifier: MIT */
/* split: rows taken apart into halves, such as those of a product that gives queries and their gates. */
#include "gen/ops/buffers.h"

static const struct kgen_field fields[] = {
    KGEN_INTEGER_FIELD("rows", "r", 1, 1, KGEN_SIZE_MAX, "rows that are taken apart"),
    KGEN_SIZE_FIELD("size", "s", KGEN_ROW_MAX, "elements of half a row"),
};

static const struct kgen_buffer buffers[] = {
    {"x", KGEN_INPUT, "f32", "rows, 2, size", KGEN_RUN, NULL, NULL},
    {"first", KGEN_OUTPUT, "f32", "rows, size", KGEN_RUN, NULL, NULL},
    {"second", KGEN_OUTPUT, "f32", "rows, size", KGEN_RUN, NULL, NULL},
};

static double operations(const struct kgen_problem *problem)
{
    return 2 * (double)kgen_problem_get(problem, "rows") * (double)kgen_problem_get(problem, "size");
}

/* Copies, which are exact. */
static void reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                      struct kgen_expected *expected)
{
    const float *x = arguments->buffers[0];
    const int64_t rows = kgen_problem_get(problem, "rows"), size = kgen_problem_get(problem, "size");
    for (int64_t i = 0; i < rows * size; i++) {
        for (int half = 0; half < 2; half++) {
            expected->values[1 + half][i] = (double)x[i / size * 2 * size + half * size + i % size];
            expected->bounds[1 + half][i] = 0;
        }
    }
}

static int64_t element_count(const struct kgen_problem *problem)
{
    return 2 * kgen_problem_get(problem, "rows") * kgen_problem_get(problem, "size");
}

static void fill_random(const struct kgen_problem *problem, struct kgen_random *random,
                        struct kgen_arguments *arguments)
{
    kgen_random_fill_normal(random, arguments->buffers[0], element_count(problem));
}

static void fill_extreme(const struct kgen_problem *problem, struct kgen_random *random,
                         struct kgen_arguments *arguments)
{
    kgen_random_fill_extreme(random, arguments->buffers[0], element_count(problem), 1e38f);
}

static const struct kgen_generator generators[] = {
    {"random", fill_random, NULL},
    {"extreme", fill_extreme, NULL},
};

static const size_t proof_ranges[] = {1, 2, 3, 7, 0};

const struct kgen_op kgen_op_split = {
    .name = "split",
    .summary = "Takes rows apart into halves: first = x[:, 0, :], second = x[:, 1, :].",
    .formula = "first and second are the halves of x, for rows row_begin to row_end.\n",
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
