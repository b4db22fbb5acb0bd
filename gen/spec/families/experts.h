/* SPDX-License-Identifier: MIT */
/* The steps of a mixture of experts, in place of a gated mlp: the router's scores, the choice, the gated mlp
 * of each chosen expert, and their weighted sum. Tensors are named as mlx-lm names them, which keeps the
 * matrices of all experts in one. */
#ifndef KGEN_FAMILY_EXPERTS_H
#define KGEN_FAMILY_EXPERTS_H

#include "gen/spec/families/family.h"

/* The product of one matrix of each chosen expert, from symbol input to symbol output. path is what the name
 * of the matrix has before it, within the layer. */
#define EXPERTS_PRODUCT_AT(path, condition, matrix, input, output, size, columns_, each)                     \
    {                                                                                                        \
        .op = "gather_qmv", .when = condition,                                                               \
        .fields = {{"experts_per_token", "experts_per_token"}, {"x_per_expert", each}},                      \
        .tensors = {READS("x", input), READS("ids", "expert_ids"),                                           \
                    WRITES("y", output, "experts_per_token," size)},                                         \
        .matrices = {{"model.layers.%." path "." matrix, output, size}}, .columns = columns_,                \
        .experts = "experts"                                                                                 \
    }
#define EXPERTS_PRODUCT(block, condition, matrix, input, output, size, columns_, each)                       \
    EXPERTS_PRODUCT_AT(block ".switch_mlp", condition, matrix, input, output, size, columns_, each)

/* Quantities: experts, experts_per_token, expert_size, normalised. condition: as the member when of a step.
 */
#define EXPERTS(block, condition)                                                                            \
    {.op = "qmv",                                                                                            \
     .when = condition,                                                                                      \
     .tensors = {READS("x", "normed")},                                                                      \
     .matrices = {{"model.layers.%." block ".gate", "scores", "experts"}},                                   \
     .columns = "hidden_size"},                                                                              \
        {.op = "router",                                                                                     \
         .name = block ".router",                                                                            \
         .when = condition,                                                                                  \
         .fields = {{"experts", "experts"},                                                                  \
                    {"experts_per_token", "experts_per_token"},                                              \
                    {"normalised", "normalised"}},                                                           \
         .tensors = {READS("x", "scores"), WRITES("ids", "expert_ids", "experts_per_token"),                 \
                     WRITES("y", "expert_weights", "experts_per_token")}},                                   \
        EXPERTS_PRODUCT(block, condition, "gate_proj", "normed", "gate", "expert_size", "hidden_size", "0"), \
        EXPERTS_PRODUCT(block, condition, "up_proj", "normed", "up", "expert_size", "hidden_size", "0"),     \
        {.op = "swiglu",                                                                                     \
         .name = block ".swiglu",                                                                            \
         .when = condition,                                                                                  \
         .supported = "gating_supported",                                                                    \
         .fields = {{"size", "experts_per_token*expert_size"}},                                              \
         .tensors = {READS("gate", "gate"), READS("up", "up"),                                               \
                     WRITES("y", "gated", "experts_per_token,expert_size")}},                                \
        EXPERTS_PRODUCT(block, condition, "down_proj", "gated", "outputs", "hidden_size", "expert_size",     \
                        "1"),                                                                                \
    {                                                                                                        \
        .op = "weighted_sum", .name = block ".weighted_sum", .when = condition,                              \
        .fields = {{"rows", "experts_per_token"}, {"size", "hidden_size"}}, .tensors = {                     \
            READS("x", "outputs"),                                                                           \
            READS("weights", "expert_weights"),                                                              \
            WRITES("y", "branch", "hidden_size")                                                             \
        }                                                                                                    \
    }

#endif
