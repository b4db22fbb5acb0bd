/* SPDX-License-Identifier: MIT */
#include "gen/ops/weights.h"

const int kgen_weight_bits[] = {1, 2, 3, 4, 5, 6, 8, 16, 32, -1};
const int kgen_weight_group_sizes[] = {16, 32, 64, 128, -1};
const int kgen_scale_dtypes[] = {KGEN_F16, KGEN_BF16, KGEN_F32, -1};

void kgen_weights_names(const struct kgen_problem *problem, const struct kgen_name_receiver *receiver)
{
    const struct kgen_format *format = kgen_problem_format(problem);
    receiver->integer(receiver->context, "block_values", format->block_values);
    receiver->integer(receiver->context, "block_bytes", format->block_bytes);
    receiver->integer(receiver->context, "block_integers", format->block_integers);
    receiver->integer(receiver->context, "block_scales",
                      format->block_values > 0 && format->array_count > 1
                          ? format->block_values / kgen_problem_get(problem, "group_size")
                          : 0);
    /* Of one matrix only: ops with several have a field of that name. */
    if (!kgen_problem_has(problem, "experts"))
        receiver->integer(receiver->context, "experts", 0);
    if (format->names != NULL)
        format->names(problem, receiver);
}

void kgen_weights_fill(const struct kgen_problem *problem, enum kgen_weights_kind kind,
                       struct kgen_random *random, const struct kgen_arguments *arguments)
{
    struct kgen_matrix matrix;
    kgen_problem_matrix(problem, arguments, &matrix);
    matrix.format->fill(&matrix, kind, random);
}
