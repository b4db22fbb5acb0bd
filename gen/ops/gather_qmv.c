/* SPDX-License-Identifier: MIT */
/* gather_qmv: the matrices of the experts that a router chose, each times a vector. */
#include "gen/ops/buffers.h"
#include "gen/ops/product.h"
#include "gen/ops/signature.h"
#include "gen/ops/weights.h"

/* The greatest number of chosen experts. */
enum { CHOSEN_MAX = 256, EXPERTS_MAX = 65536 };
/* The fewest rows of a prompt for which it pays to group them by expert. */
enum { EXPERT_ROWS = 32 };

static const struct kgen_field fields[] = {
    KGEN_SIZE_FIELD("experts", "e", EXPERTS_MAX, "matrices W"),
    KGEN_SIZE_FIELD("experts_per_token", "top", CHOSEN_MAX,
                    "matrices that a call multiplies, at most experts"),
    KGEN_BOOLEAN_FIELD("x_per_expert", "x_per_expert",
                       "x has a row for each of them, in place of one for all"),
    KGEN_WEIGHT_FIELDS,
    KGEN_PRODUCT_FIELDS,
};

static const struct kgen_buffer buffers[] = {
    {"weights", KGEN_WEIGHTS, NULL, "experts, N, K", KGEN_RUN, NULL, NULL},
    {"x", KGEN_INPUT, "f32", "1 + (experts_per_token - 1) * x_per_expert, K", KGEN_PREPARE, NULL, NULL},
    {"ids", KGEN_INPUT, "i32", "experts_per_token", KGEN_RUN, NULL, NULL},
    {"workspace", KGEN_WORKSPACE, NULL, NULL, KGEN_PREPARE | KGEN_RUN, NULL, NULL},
    {"y", KGEN_OUTPUT, "f32", "experts_per_token, N", KGEN_RUN, NULL, NULL},
};

static const struct kgen_scalar scalars[] = {
    {"expert_rows", 1, KGEN_SIZE_MAX, NULL, KGEN_RUN, "rows of each matrix, N", "N"},
    {"y_stride", 1, KGEN_SIZE_MAX, NULL, KGEN_RUN, "elements from a row of y to the next, N or more", "N"},
};

int kgen_experts_check(const struct kgen_problem *problem, const struct kgen_check_place *place)
{
    const int64_t experts = kgen_problem_get(problem, "experts");
    const int64_t chosen = kgen_problem_get(problem, "experts_per_token");
    if (chosen > experts)
        return kgen_check_fail(place, "%s: \"experts_per_token\" is %lld, and there are %lld experts",
                               problem->op->name, (long long)chosen, (long long)experts);
    return kgen_format_check(problem, place);
}

static struct kgen_problem of_one_expert(const struct kgen_problem *problem, const char *op)
{
    struct kgen_problem one;
    kgen_problem_init(&one, kgen_op_find(op));
    for (size_t i = 0; i < one.op->field_count; i++)
        *kgen_problem_value(&one, &one.op->fields[i]) =
            *kgen_problem_value_of(problem, kgen_op_field(problem->op, one.op->fields[i].name));
    return one;
}

void kgen_experts_names(const struct kgen_problem *problem, const char *op,
                        const struct kgen_name_receiver *receiver)
{
    const struct kgen_problem one = of_one_expert(problem, op);
    struct kgen_text parameters = {0}, arrays = {0};
    struct kgen_matrix matrix;
    struct kgen_buffers list;
    kgen_weights_names(problem, receiver);
    kgen_signature_parameters(&one, KGEN_RUN, 40, &parameters);
    kgen_problem_matrix(problem, NULL, &matrix);
    kgen_problem_buffers(problem, &list);
    for (size_t i = 0; i < list.count; i++) {
        if (list.items[i].array >= 0)
            kgen_text_printf(&arrays, "(const uint8_t *)%s + expert_row * %lld, ", list.items[i].name,
                             (long long)matrix.format->arrays[list.items[i].array].row_bytes(&matrix));
    }
    receiver->text(receiver->context, "expert_parameters", parameters.failed ? NULL : parameters.data);
    receiver->text(receiver->context, "expert_arrays", arrays.failed ? NULL : arrays.data);
    kgen_text_free(&parameters);
    kgen_text_free(&arrays);
}

static void names(const struct kgen_problem *problem, const struct kgen_name_receiver *receiver)
{
    kgen_experts_names(problem, "qmv", receiver);
}

/* The rows of a prompt that chose the same expert are multiplied together. */
static bool batched(const struct kgen_problem *problem, int64_t rows, struct kgen_problem *batch)
{
    kgen_problem_init(batch, kgen_op_find("gather_qmm"));
    for (size_t i = 0; i < KGEN_COUNT_OF(fields); i++)
        *kgen_problem_value(batch, kgen_op_field(batch->op, fields[i].name)) = problem->values[i];
    kgen_problem_set(batch, "M", rows);
    const bool unpacks_fast = kgen_problem_get(problem, "layout") == KGEN_TILES16;
    const bool blocks = kgen_problem_format(problem)->block_values > 0;
    return rows >= EXPERT_ROWS && (unpacks_fast || blocks);
}

const struct kgen_op kgen_op_gather_qmv = {
    .name = "gather_qmv",
    .summary = "Multiplies the quantised matrices of chosen experts by a vector: y[j] = W[ids[j]] x.",
    .formula =
        "y[j] = W[ids[j]] x for j from 0 to experts_per_token - 1, where W [experts, N, K] are matrices one\n"
        "below the other; with x_per_expert y[j] = W[ids[j]] x[j]. Each of ids is at least 0 and less than\n"
        "experts, which is not checked. With tiles16 each matrix is packed apart. Of each matrix rows "
        "row_begin\n"
        "to row_end are taken: y[j * y_stride + row] is written.\n",
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
    .timing_room = "experts_per_token",
    .proof_room = "experts_per_token + 3",
    .threaded = true,
    .batched = batched,
    .complete = kgen_format_complete,
    .check = kgen_experts_check,
    .names = names,
    .operations = kgen_product_operations,
    .reference = kgen_product_reference,
    .generators = kgen_product_generators,
    .generator_count = KGEN_PRODUCT_GENERATORS,
    .proof_ranges = (const size_t[]){1, 7, 17, 37, 0},
};
