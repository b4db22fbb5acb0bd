/* SPDX-License-Identifier: MIT */
/* qmv: a quantised matrix times a vector. */
#include "gen/ops/product.h"
#include "gen/ops/weights.h"

static const struct kgen_field fields[] = {
    KGEN_WEIGHT_FIELDS,
    KGEN_PRODUCT_FIELDS,
};

static const struct kgen_buffer buffers[] = {
    {"weights", KGEN_WEIGHTS, NULL, "N, K", KGEN_RUN, NULL, NULL},
    {"x", KGEN_INPUT, "f32", "K", KGEN_PREPARE, NULL, NULL},
    {"workspace", KGEN_WORKSPACE, NULL, NULL, KGEN_PREPARE | KGEN_RUN, NULL, NULL},
    {"y", KGEN_OUTPUT, "f32", "N", KGEN_RUN, NULL, NULL},
};

/* Weights are unpacked once for many rows where they lie in tiles. Those in blocks take longer to unpack for
 * many rows than for one, which some rows make up for. */
enum { BLOCK_ROWS = 8 };

static bool batched(const struct kgen_problem *problem, int64_t rows, struct kgen_problem *batch)
{
    kgen_problem_init(batch, kgen_op_find("qmm"));
    for (size_t i = 0; i < KGEN_COUNT_OF(fields); i++)
        *kgen_problem_value(batch, kgen_op_field(batch->op, fields[i].name)) = problem->values[i];
    kgen_problem_set(batch, "M", rows);
    return kgen_problem_get(problem, "layout") == KGEN_TILES16 ||
           (rows >= BLOCK_ROWS && kgen_problem_format(problem)->block_values > 0);
}

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
    .batched = batched,
    .complete = kgen_format_complete,
    .check = kgen_format_check,
    .names = kgen_weights_names,
    .operations = kgen_product_operations,
    .reference = kgen_product_reference,
    .generators = kgen_product_generators,
    .generator_count = KGEN_PRODUCT_GENERATORS,
};
