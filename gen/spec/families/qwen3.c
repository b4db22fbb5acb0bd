/* SPDX-License-Identifier: MIT */
#include "gen/spec/families/family.h"

static const struct kgen_config_key keys[] = {
    OPTIONAL("head_dim", "head_dim", "128", KGEN_HEAD_DIM_MAX),
    FLAG("attention_bias", "attention_bias"),
    DERIVED("qk_norm", "1"),
    KEYS_END,
};

extern const struct kgen_family kgen_family_qwen3;
const struct kgen_family kgen_family_qwen3 = {
    .architecture = "Qwen3ForCausalLM",
    .model_type = "qwen3",
    .shared = kgen_dense_keys,
    .own = keys,
    .recipe = &kgen_dense_recipe,
};
