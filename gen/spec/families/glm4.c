/* SPDX-License-Identifier: MIT */
/* GLM-4: norms before and after attention and mlp, of a head half rotates, in interleaved pairs. */
#include "gen/spec/families/family.h"

static const struct kgen_config_key keys[] = {
    DERIVED("attention_bias", "0"), /* o_proj has none */
    FLAG("qkv_bias", "attention_bias"),
    DERIVED("post_norms", "1"),
    KEYS_END,
};

static const struct kgen_step between[] = {
    {.op = "rms_norm",
     .name = "post_self_attn_layernorm",
     .fields = {{"rows", "1"}, {"size", "hidden_size"}},
     .tensors = {READS("x", "branch"), WRITES("y", "branch", "hidden_size")},
     .weights = {{"weight", "model.layers.%.post_self_attn_layernorm.weight", "hidden_size", true}}},
    {.op = "rms_norm",
     .name = "post_attention_layernorm",
     .fields = {{"rows", "1"}, {"size", "hidden_size"}, {"residual", "1"}},
     .tensors = {READS("x", "branch"), UPDATES("residual", "hidden"), WRITES("y", "normed", "hidden_size")},
     .weights = {{"weight", "model.layers.%.post_attention_layernorm.weight", "hidden_size", true}}},
    {0},
};

static const struct kgen_step after_mlp[] = {
    {.op = "rms_norm",
     .name = "post_mlp_layernorm",
     .fields = {{"rows", "1"}, {"size", "hidden_size"}},
     .tensors = {READS("x", "branch"), WRITES("y", "branch", "hidden_size")},
     .weights = {{"weight", "model.layers.%.post_mlp_layernorm.weight", "hidden_size", true}}},
    {0},
};

static const struct kgen_recipe recipe = {
    kgen_dense_before,
    {kgen_dense_attention, between, kgen_fused_mlp, after_mlp},
    kgen_dense_after,
};

extern const struct kgen_family kgen_family_glm4;
const struct kgen_family kgen_family_glm4 = {
    .architecture = "Glm4ForCausalLM",
    .model_type = "glm4",
    .shared = kgen_dense_keys,
    .own = keys,
    .recipe = &recipe,
    .standards = "{\"partial_rotary_factor\": 0.5, \"rope_pairing\": \"interleaved\"}",
};
