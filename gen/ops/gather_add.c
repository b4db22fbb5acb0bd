/* SPDX-License-Identifier: MIT */
/* gather_add: the biases of the experts that a router chose, added to what their matrices made. */
#include "gen/ops/bound.h"
#include "gen/ops/buffers.h"
#include "gen/ops/gather.h"

#include <math.h>

/* The greatest number of chosen experts. */
enum { CHOSEN_MAX = 256, EXPERTS_MAX = 65536 };

static const struct kgen_field fields[] = {
    KGEN_SIZE_FIELD("experts", "e", EXPERTS_MAX, "rows of table"),
    KGEN_SIZE_FIELD("experts_per_token", "top", CHOSEN_MAX, "rows of x and y, at most experts"),
    KGEN_SIZE_FIELD("size", "s", KGEN_ROW_MAX, "elements of a row"),
};

static const struct kgen_buffer buffers[] = {
    {"x", KGEN_INPUT, "f32", "experts_per_token, size", KGEN_RUN, NULL, NULL},
    {"table", KGEN_INPUT, "f32", "experts, size", KGEN_RUN, NULL, NULL},
    {"ids", KGEN_INPUT, "i32", "experts_per_token", KGEN_RUN, NULL, NULL},
    {"y", KGEN_OUTPUT, "f32", "experts_per_token, size", KGEN_RUN, NULL, "x"},
};

enum { X, TABLE, IDS, Y };

static int check(const struct kgen_problem *problem, const struct kgen_check_place *place)
{
    const int64_t experts = kgen_problem_get(problem, "experts");
    const int64_t chosen = kgen_problem_get(problem, "experts_per_token");
    if (chosen <= experts)
        return 0;
    return kgen_check_fail(place, "gather_add: \"experts_per_token\" is %lld, and there are %lld experts",
                           (long long)chosen, (long long)experts);
}

static double operations(const struct kgen_problem *problem)
{
    return (double)kgen_problem_get(problem, "experts_per_token") * (double)kgen_problem_get(problem, "size");
}

/* One rounding: the nearest float. */
static void reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                      struct kgen_expected *expected)
{
    const float *x = arguments->buffers[X], *table = arguments->buffers[TABLE];
    const int32_t *ids = arguments->buffers[IDS];
    const int64_t rows = kgen_problem_get(problem, "experts_per_token");
    const int64_t size = kgen_problem_get(problem, "size");
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t i = 0; i < size; i++) {
            const double sum = (double)x[row * size + i] + (double)table[ids[row] * size + i];
            expected->values[Y][row * size + i] = sum;
            expected->bounds[Y][row * size + i] = KGEN_UNIT * fabs(sum);
        }
    }
}

/* ---- inputs ---- */

static void fill_random(const struct kgen_problem *problem, struct kgen_random *random,
                        struct kgen_arguments *arguments)
{
    const int64_t rows = kgen_problem_get(problem, "experts_per_token");
    const int64_t experts = kgen_problem_get(problem, "experts"), size = kgen_problem_get(problem, "size");
    kgen_random_fill_normal(random, arguments->buffers[X], rows * size);
    kgen_random_fill_normal(random, arguments->buffers[TABLE], experts * size);
    kgen_gather_fill_ids(random, experts, rows, arguments->buffers[IDS]);
}

static void fill_extreme(const struct kgen_problem *problem, struct kgen_random *random,
                         struct kgen_arguments *arguments)
{
    const int64_t rows = kgen_problem_get(problem, "experts_per_token");
    const int64_t experts = kgen_problem_get(problem, "experts"), size = kgen_problem_get(problem, "size");
    kgen_random_fill_extreme(random, arguments->buffers[X], rows * size, 1e18f);
    kgen_random_fill_extreme(random, arguments->buffers[TABLE], experts * size, 1e18f);
    kgen_gather_fill_ids(random, experts, rows, arguments->buffers[IDS]);
}

static const struct kgen_generator generators[] = {
    {"random", fill_random, NULL},
    {"extreme", fill_extreme, NULL},
};

static const size_t proof_ranges[] = {1, 2, 3, 0};

const struct kgen_op kgen_op_gather_add = {
    .name = "gather_add",
    .summary = "Adds the rows of a table that ids name: y[j] = x[j] + table[ids[j]].",
    .formula =
        "y[j] = x[j] + table[ids[j]], for rows row_begin to row_end. Each of ids is at least 0 and less\n"
        "than experts, which is not checked.\n",
    .fields = fields,
    .field_count = KGEN_COUNT_OF(fields),
    .buffers = buffers,
    .buffer_count = KGEN_COUNT_OF(buffers),
    .range = "experts_per_token",
    .range_name = "row",
    .fixed_range = true,
    .check = check,
    .operations = operations,
    .reference = reference,
    .generators = generators,
    .generator_count = KGEN_COUNT_OF(generators),
    .proof_ranges = proof_ranges,
};
