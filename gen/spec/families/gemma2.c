/* SPDX-License-Identifier: MIT */
/* Gemma 2, and what Gemma 3 has of it: norms before and after attention and mlp, gating by GELU, embeddings
 * times the root of their size. The weights of norms are stored less one in Hugging Face's checkpoints, and
 * whole in GGUF files, whose config says so. */
#include "gen/spec/families/family.h"

static const struct kgen_config_key keys[] = {
    DERIVED("post_norms", "1"),
    DERIVED("embedding_scaled", "1"),
    {KGEN_CONFIG_FLAG, "norm_plus_one", "norm_weights_less_one", "1", 1, NULL, NULL},
    FLAG("attention_bias", "attention_bias"),
    {KGEN_CONFIG_FLAG, "tied", "tie_word_embeddings", "1", 1, NULL, NULL},
    KEYS_END,
};

static const struct kgen_step between[] = {
    {.op = "rms_norm",
     .name = "post_attention_layernorm",
     .fields = {{"rows", "1"}, {"size", "hidden_size"}},
     .tensors = {READS("x", "branch"), WRITES("y", "branch", "hidden_size")},
     .weights = {{"weight", "model.layers.%.post_attention_layernorm.weight", "hidden_size", true}}},
    {.op = "rms_norm",
     .name = "pre_feedforward_layernorm",
     .fields = {{"rows", "1"}, {"size", "hidden_size"}, {"residual", "1"}},
     .tensors = {READS("x", "branch"), UPDATES("residual", "hidden"), WRITES("y", "normed", "hidden_size")},
     .weights = {{"weight", "model.layers.%.pre_feedforward_layernorm.weight", "hidden_size", true}}},
    {0},
};

static const struct kgen_step mlp[] = {
    {.op = "qmv",
     .tensors = {READS("x", "normed")},
     .matrices = {{"model.layers.%.mlp.gate_proj", "gate", "intermediate_size"},
                  {"model.layers.%.mlp.up_proj", "up", "intermediate_size"}},
     .columns = "hidden_size"},
    {.op = "geglu",
     .name = "mlp.geglu",
     .supported = "gating_supported",
     .fields = {{"size", "intermediate_size"}},
     .tensors = {READS("gate", "gate"), READS("up", "up"), WRITES("y", "gated", "intermediate_size")}},
    {.op = "qmv",
     .tensors = {READS("x", "gated")},
     .matrices = {{"model.layers.%.mlp.down_proj", "branch", "hidden_size"}},
     .columns = "intermediate_size"},
    {.op = "rms_norm",
     .name = "post_feedforward_layernorm",
     .fields = {{"rows", "1"}, {"size", "hidden_size"}},
     .tensors = {READS("x", "branch"), WRITES("y", "branch", "hidden_size")},
     .weights = {{"weight", "model.layers.%.post_feedforward_layernorm.weight", "hidden_size", true}}},
    {0},
};

const struct kgen_recipe kgen_gemma_recipe = {
    kgen_dense_before,
    {kgen_dense_attention, between, mlp},
    kgen_dense_after,
};

extern const struct kgen_family kgen_family_gemma2;
const struct kgen_family kgen_family_gemma2 = {
    .architecture = "Gemma2ForCausalLM",
    .model_type = "gemma2",
    .shared = kgen_dense_keys,
    .own = keys,
    .recipe = &kgen_gemma_recipe,
    .gating = "geglu",
    .standards =
        "{\"head_dim\": 256, \"query_pre_attn_scalar\": 256, \"attn_logit_softcapping\": 50.0,"
        " \"final_logit_softcapping\": 30.0, \"sliding_window\": 4096, \"sliding_window_pattern\": 2,"
        " \"max_position_embeddings\": 8192, \"hidden_activation\": \"gelu_pytorch_tanh\"}",
};
