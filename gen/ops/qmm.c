/* SPDX-License-Identifier: MIT */
/* qmm: rows of activations times a quantised matrix: a prompt, or several sequences at once. */
#include "gen/ops/product.h"
#include "gen/ops/weights.h"

/* The greatest bucket of rows. */
enum { ROWS_MAX = 4096 };

static const struct kgen_field fields[] = {
    KGEN_SIZE_FIELD("M", "m", ROWS_MAX, "rows of x at most; a call says how many it has"),
    KGEN_WEIGHT_FIELDS,
    KGEN_PRODUCT_FIELDS,
};

static const struct kgen_buffer buffers[] = {
    {"weights", KGEN_WEIGHTS, NULL, "N, K", KGEN_RUN, NULL, NULL},
    {"x", KGEN_INPUT, "f32", "M, K", KGEN_PREPARE, NULL, NULL},
    {"workspace", KGEN_WORKSPACE, NULL, NULL, KGEN_PREPARE | KGEN_RUN, NULL, NULL},
    {"scratch", KGEN_SCRATCH, NULL, NULL, KGEN_RUN, NULL, NULL},
    {"y", KGEN_OUTPUT, "f32", "M, N", KGEN_RUN, NULL, NULL},
};

static const struct kgen_scalar scalars[] = {
    {"rows", 1, ROWS_MAX, "M", KGEN_PREPARE | KGEN_RUN, "of x and y in this call", "M"},
    {"y_stride", 1, KGEN_SIZE_MAX, NULL, KGEN_RUN, "elements from a row of y to the next, N or more", "N"},
};

const struct kgen_op kgen_op_qmm = {
    .name = "qmm",
    .summary = "Multiplies rows of activations by a quantised matrix: y[M,N] = x[M,K] W[N,K]^T.",
    .formula = "y = x W^T, for the first `rows` rows of x and y, and rows row_begin to row_end of W [N, K], "
               "which are\n"
               "columns of y: y[m * y_stride + row] is written for m from 0 to rows - 1.\n",
    .fields = fields,
    .field_count = KGEN_COUNT_OF(fields),
    .buffers = buffers,
    .buffer_count = KGEN_COUNT_OF(buffers),
    .scalars = scalars,
    .scalar_count = KGEN_COUNT_OF(scalars),
    .range = "N",
    .range_stride = "y_stride",
    .range_name = "row",
    .threaded = true,
    .complete = kgen_format_complete,
    .check = kgen_format_check,
    .names = kgen_weights_names,
    .operations = kgen_product_operations,
    .reference = kgen_product_reference,
    .generators = kgen_product_generators,
    .generator_count = KGEN_PRODUCT_GENERATORS,
};
