/* SPDX-License-Identifier: MIT */
/* scale_rows: rows times numbers that are data: the scalar of a layer, or those of the experts that a router
 * chose. */
#include "gen/ops/bound.h"
#include "gen/ops/buffers.h"
#include "gen/ops/gather.h"

#include <float.h>
#include <math.h>

enum { ROWS_MAX = 65536, EXPERTS_MAX = 65536 };

static const struct kgen_field fields[] = {
    KGEN_INTEGER_FIELD("rows", "r", 1, 1, ROWS_MAX, "vectors that are scaled"),
    KGEN_SIZE_FIELD("size", "s", KGEN_ROW_MAX, "elements of a vector"),
    KGEN_INTEGER_FIELD("experts", "e", 0, 0, EXPERTS_MAX,
                       "factors, of which ids name one for each row; 0: a factor for each row"),
};

static const struct kgen_buffer buffers[] = {
    {"x", KGEN_INPUT, "f32", "rows, size", KGEN_RUN, NULL, NULL},
    {"factors", KGEN_INPUT, "f32", "rows * (experts == 0) + experts", KGEN_RUN, NULL, NULL},
    {"ids", KGEN_INPUT, "i32", "rows", KGEN_RUN, "experts > 0", NULL},
    {"y", KGEN_OUTPUT, "f32", "rows, size", KGEN_RUN, NULL, "x"},
};

static double operations(const struct kgen_problem *problem)
{
    return (double)kgen_problem_get(problem, "rows") * (double)kgen_problem_get(problem, "size");
}

static int64_t factor_count(const struct kgen_problem *problem)
{
    const int64_t experts = kgen_problem_get(problem, "experts");
    return experts > 0 ? experts : kgen_problem_get(problem, "rows");
}

/* One rounding; products below the smallest normal number may become 0. */
static void reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                      struct kgen_expected *expected)
{
    struct kgen_buffers list;
    kgen_problem_buffers(problem, &list);
    const int y = kgen_buffers_find(&list, "y");
    const float *x = kgen_argument(problem, arguments, "x");
    const float *factors = kgen_argument(problem, arguments, "factors");
    const int32_t *ids = kgen_argument(problem, arguments, "ids");
    const int64_t rows = kgen_problem_get(problem, "rows"), size = kgen_problem_get(problem, "size");
    for (int64_t row = 0; row < rows; row++) {
        const double factor = (double)factors[ids != NULL ? ids[row] : row];
        for (int64_t i = row * size; i < (row + 1) * size; i++) {
            expected->values[y][i] = (double)x[i] * factor;
            expected->bounds[y][i] = KGEN_UNIT * fabs(expected->values[y][i]) + (double)FLT_MIN;
        }
    }
}

/* ---- inputs ---- */

static void fill_ids(const struct kgen_problem *problem, struct kgen_random *random,
                     struct kgen_arguments *arguments)
{
    int32_t *ids = kgen_argument(problem, arguments, "ids");
    if (ids != NULL)
        kgen_gather_fill_ids(random, kgen_problem_get(problem, "experts"), kgen_problem_get(problem, "rows"),
                             ids);
}

static void fill_random(const struct kgen_problem *problem, struct kgen_random *random,
                        struct kgen_arguments *arguments)
{
    const int64_t rows = kgen_problem_get(problem, "rows"), size = kgen_problem_get(problem, "size");
    kgen_random_fill_normal(random, kgen_argument(problem, arguments, "x"), rows * size);
    kgen_random_fill_normal(random, kgen_argument(problem, arguments, "factors"), factor_count(problem));
    fill_ids(problem, random, arguments);
}

static void fill_extreme(const struct kgen_problem *problem, struct kgen_random *random,
                         struct kgen_arguments *arguments)
{
    const int64_t rows = kgen_problem_get(problem, "rows"), size = kgen_problem_get(problem, "size");
    kgen_random_fill_extreme(random, kgen_argument(problem, arguments, "x"), rows * size, 1e18f);
    kgen_random_fill_extreme(random, kgen_argument(problem, arguments, "factors"), factor_count(problem),
                             1e18f);
    fill_ids(problem, random, arguments);
}

static const struct kgen_generator generators[] = {
    {"random", fill_random, NULL},
    {"extreme", fill_extreme, NULL},
};

static const size_t proof_ranges[] = {1, 2, 3, 0};

const struct kgen_op kgen_op_scale_rows = {
    .name = "scale_rows",
    .summary = "Multiplies each row by a number of its own: y[j] = factors[j] x[j].",
    .formula =
        "y[j] = factors[j] * x[j], for rows row_begin to row_end. With experts y[j] = factors[ids[j]] *\n"
        "x[j]. Each of ids is at least 0 and less than experts, which is not checked.\n",
    .fields = fields,
    .field_count = KGEN_COUNT_OF(fields),
    .buffers = buffers,
    .buffer_count = KGEN_COUNT_OF(buffers),
    .range = "rows",
    .range_name = "row",
    .fixed_range = true,
    .operations = operations,
    .reference = reference,
    .generators = generators,
    .generator_count = KGEN_COUNT_OF(generators),
    .proof_ranges = proof_ranges,
};
