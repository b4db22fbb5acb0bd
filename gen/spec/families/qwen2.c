/* SPDX-License-Identifier: MIT */
#include "gen/spec/families/family.h"

static const struct kgen_config_key keys[] = {
    DERIVED("qkv_bias", "1"), /* always, whatever the config says */
    KEYS_END,
};

extern const struct kgen_family kgen_family_qwen2;
const struct kgen_family kgen_family_qwen2 = {
    .architecture = "Qwen2ForCausalLM",
    .model_type = "qwen2",
    .shared = kgen_dense_keys,
    .own = keys,
    .recipe = &kgen_dense_recipe,
};
