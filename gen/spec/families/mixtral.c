/* SPDX-License-Identifier: MIT */
#include "gen/spec/families/experts.h"

static const struct kgen_config_key keys[] = {
    DERIVED("sparse", "1"), /* every layer has experts */
    REQUIRED("experts", "num_local_experts", KGEN_EXPERTS_MAX),
    REQUIRED("experts_per_token", "num_experts_per_tok", KGEN_EXPERTS_MAX),
    DERIVED("expert_size", "intermediate_size"),
    DERIVED("normalised", "1"), /* softmax over those that are chosen */
    KEYS_END,
};

static const struct kgen_step experts[] = {EXPERTS("block_sparse_moe", "sparse"), {0}};

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
};
