/* SPDX-License-Identifier: MIT */
#include "gen/spec/families/family.h"

static const struct kgen_config_key keys[] = {KEYS_END};

extern const struct kgen_family kgen_family_mistral;
const struct kgen_family kgen_family_mistral = {
    .architecture = "MistralForCausalLM",
    .model_type = "mistral",
    .shared = kgen_dense_keys,
    .own = keys,
    .recipe = &kgen_dense_recipe,
};
