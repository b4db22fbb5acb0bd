/* SPDX-License-Identifier: MIT */
/* gather_qmm: the matrices of the experts that a router chose for each row of a prompt, times these rows. */
#include "gen/ops/product.h"
#include "gen/ops/weights.h"

/* The greatest bucket of rows, and numbers of experts as gather_qmv has them. */
enum { ROWS_MAX = 4096, CHOSEN_MAX = 256, EXPERTS_MAX = 65536 };

static const struct kgen_field fields[] = {
    KGEN_SIZE_FIELD("M", "m", ROWS_MAX, "tokens at most; a call says how many it has"),
    KGEN_SIZE_FIELD("experts", "e", EXPERTS_MAX, "matrices W"),
    KGEN_SIZE_FIELD("experts_per_token", "top", CHOSEN_MAX,
                    "matrices that each token is multiplied by, at most experts"),
    KGEN_BOOLEAN_FIELD("x_per_expert", "x_per_expert",
                       "x has a row for each of them, in place of one for all"),
    KGEN_WEIGHT_FIELDS,
    KGEN_PRODUCT_FIELDS,
};

static const struct kgen_buffer buffers[] = {
    {"weights", KGEN_WEIGHTS, NULL, "experts, N, K", KGEN_RUN, NULL, NULL},
    {"x", KGEN_INPUT, "f32", "M * (1 + (experts_per_token - 1) * x_per_expert), K", KGEN_PREPARE, NULL, NULL},
    {"ids", KGEN_INPUT, "i32", "M, experts_per_token", KGEN_PREPARE | KGEN_RUN, NULL, NULL},
    {"workspace", KGEN_WORKSPACE, NULL, NULL, KGEN_PREPARE | KGEN_RUN, NULL, NULL},
    {"scratch", KGEN_SCRATCH, NULL, NULL, KGEN_RUN, NULL, NULL},
    {"y", KGEN_OUTPUT, "f32", "M * experts_per_token, N", KGEN_RUN, NULL, NULL},
};

static const struct kgen_scalar scalars[] = {
    {"rows", 1, ROWS_MAX, "M", KGEN_PREPARE | KGEN_RUN, "tokens of this call", "M"},
    {"expert_rows", 1, KGEN_SIZE_MAX, NULL, KGEN_RUN, "rows of each matrix, N", "N"},
    {"y_stride", 1, KGEN_SIZE_MAX, NULL, KGEN_RUN, "elements from a row of y to the next, N or more", "N"},
};

static void names(const struct kgen_problem *problem, const struct kgen_name_receiver *receiver)
{
    kgen_experts_names(problem, "qmm", receiver);
}

const struct kgen_op kgen_op_gather_qmm = {
    .name = "gather_qmm",
    .summary = "Multiplies rows by the quantised matrices of the experts that each chose: y[m,j] = "
               "W[ids[m,j]] x[m].",
    .formula = "For each of the first `rows` tokens m what gather_qmv computes: y[m][j] = W[ids[m][j]] x[m], "
               "or with\n"
               "x_per_expert W[ids[m][j]] x[m][j]. Of each matrix rows row_begin to row_end are taken:\n"
               "y[(m * experts_per_token + j) * y_stride + row] is written.\n",
    .fields = fields,
    .field_count = KGEN_COUNT_OF(fields),
    .buffers = buffers,
    .buffer_count = KGEN_COUNT_OF(buffers),
    .scalars = scalars,
    .scalar_count = KGEN_COUNT_OF(scalars),
    .range = "N",
    .range_stride = "y_stride",
    .range_name = "row",
    .room = "experts",
    .timing_room = "4 * experts_per_token",
    .proof_room = "experts_per_token + 3",
    .threaded = true,
    .complete = kgen_format_complete,
    .check = kgen_experts_check,
    .names = names,
    .operations = kgen_product_operations,
    .reference = kgen_product_reference,
    .generators = kgen_product_generators,
    .generator_count = KGEN_PRODUCT_GENERATORS,
    .proof_ranges = (const size_t[]){1, 7, 17, 37, 0},
};
