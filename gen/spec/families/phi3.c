/* SPDX-License-Identifier: MIT */
/* Phi-3 and Phi-4: q, k and v are rows of one tensor, gate and up of another. */
#include "gen/spec/families/family.h"

static const struct kgen_config_key keys[] = {
    DERIVED("fused_qkv", "1"),
    KEYS_END,
};

static const struct kgen_recipe recipe = {
    kgen_dense_before,
    {kgen_dense_attention, kgen_fused_mlp},
    kgen_dense_after,
};

extern const struct kgen_family kgen_family_phi3;
const struct kgen_family kgen_family_phi3 = {
    .architecture = "Phi3ForCausalLM",
    .model_type = "phi3",
    .shared = kgen_dense_keys,
    .own = keys,
    .recipe = &recipe,
};
