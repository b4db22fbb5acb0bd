/* SPDX-License-Identifier: MIT */
#include "gen/spec/families/family.h"

static const struct kgen_config_key keys[] = {
    DERIVED("sparse", "1"), /* every layer has experts */
    REQUIRED("experts", "num_local_experts", KGEN_EXPERTS_MAX),
    REQUIRED("experts_per_token", "num_experts_per_tok", KGEN_EXPERTS_MAX),
    DERIVED("expert_size", "intermediate_size"),
    KEYS_END,
};

#define BLOCK "model.layers.%.block_sparse_moe."

static const struct kgen_step experts[] = {
    {.op = "moe_router",
     .name = "block_sparse_moe.gate",
     .fields = {{"experts", "experts"}, {"experts_per_token", "experts_per_token"}, {"size", "hidden_size"}},
     .tensors = {READS("x", "normed"), WRITES("scores", "scores", "experts")},
     .weights = {{"weights", BLOCK "gate.weight", "experts,hidden_size", false}}},
    {.op = "moe_experts",
     .name = "block_sparse_moe.experts",
     .fields = {{"experts", "experts"}, {"experts_per_token", "experts_per_token"}, {"size", "expert_size"}},
     .tensors = {READS("x", "normed"), READS("scores", "scores"), WRITES("y", "branch", "hidden_size")},
     .weights = {{"gate", BLOCK "experts.*.w1.weight", "experts,expert_size,hidden_size", false},
                 {"up", BLOCK "experts.*.w3.weight", "experts,expert_size,hidden_size", false},
                 {"down", BLOCK "experts.*.w2.weight", "experts,hidden_size,expert_size", false}}},
    {0},
};

static const struct kgen_recipe recipe = {
    kgen_dense_before,
    {kgen_dense_attention, experts},
    kgen_dense_after,
};

extern const struct kgen_family kgen_family_mixtral;
const struct kgen_family kgen_family_mixtral = {
    .architecture = "MixtralForCausalLM",
    .model_type = "mixtral",
    .shared = kgen_dense_keys,
    .own = keys,
    .recipe = &recipe,
    .other_weights = "model.layers.*.block_sparse_moe.*",
};
