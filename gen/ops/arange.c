/* SPDX-License-Identifier: MIT */
/* arange: the numbers from 0 on, as ids that take all matrices of a stack, one after the other. */
#include "gen/ops/buffers.h"

enum { SIZE_MAX_OF_IDS = 1 << 24 };

static const struct kgen_field fields[] = {
    KGEN_SIZE_FIELD("size", "n", SIZE_MAX_OF_IDS, "elements of ids"),
};

static const struct kgen_buffer buffers[] = {
    {"ids", KGEN_OUTPUT, "i32", "size", KGEN_RUN, NULL, NULL},
};

static double operations(const struct kgen_problem *problem)
{
    return (double)kgen_problem_get(problem, "size");
}

static void reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                      struct kgen_expected *expected)
{
    (void)arguments;
    for (int64_t i = 0; i < kgen_problem_get(problem, "size"); i++) {
        expected->values[0][i] = (double)i;
        expected->bounds[0][i] = 0;
    }
}

/* There is no input. */
static void fill(const struct kgen_problem *problem, struct kgen_random *random,
                 struct kgen_arguments *arguments)
{
    (void)problem;
    (void)random;
    (void)arguments;
}

static const struct kgen_generator generators[] = {{"none", fill, NULL}};

const struct kgen_op kgen_op_arange = {
    .name = "arange",
    .summary = "Writes the numbers from 0 on: ids[i] = i.",
    .formula = "ids[i] = i, for elements begin to end.\n",
    .fields = fields,
    .field_count = KGEN_COUNT_OF(fields),
    .buffers = buffers,
    .buffer_count = KGEN_COUNT_OF(buffers),
    .range = "size",
    .range_name = "",
    .fixed_range = true,
    .operations = operations,
    .reference = reference,
    .generators = generators,
    .generator_count = KGEN_COUNT_OF(generators),
};
