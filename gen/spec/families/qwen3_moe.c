/* SPDX-License-Identifier: MIT */
#include "gen/spec/families/experts.h"

static const struct kgen_config_key keys[] = {
    FLAG("attention_bias", "attention_bias"),
    DERIVED("qk_norm", "1"),
    REQUIRED("experts", "num_experts", KGEN_EXPERTS_MAX),
    REQUIRED("experts_per_token", "num_experts_per_tok", KGEN_EXPERTS_MAX),
    REQUIRED("expert_size", "moe_intermediate_size", KGEN_SIZE_MAX),
    FLAG("normalised", "norm_topk_prob"),
    SOME_LAYERS("sparse", "decoder_sparse_step", "mlp_only_layers"),
    KEYS_END,
};

/* In place of the mlp in the layers where sparse is not 0. */
static const struct kgen_step experts[] = {EXPERTS("mlp", "sparse"), {0}};

static const struct kgen_recipe recipe = {
    kgen_dense_before,
    {kgen_dense_attention, experts, kgen_dense_mlp},
    kgen_dense_after,
};

extern const struct kgen_family kgen_family_qwen3_moe;
const struct kgen_family kgen_family_qwen3_moe = {
    .architecture = "Qwen3MoeForCausalLM",
    .model_type = "qwen3_moe",
    .shared = kgen_dense_keys,
    .own = keys,
    .recipe = &recipe,
};
