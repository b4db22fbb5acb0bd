/* SPDX-License-Identifier: MIT */
#include "gen/spec/families/family.h"

static const struct kgen_config_key keys[] = {
    FLAG("attention_bias", "attention_bias"),
    FLAG("mlp_bias", "mlp_bias"),
    KEYS_END,
};

extern const struct kgen_family kgen_family_llama;
const struct kgen_family kgen_family_llama = {
    .architecture = "LlamaForCausalLM",
    .model_type = "llama",
    .shared = kgen_dense_keys,
    .own = keys,
    .recipe = &kgen_dense_recipe,
};
