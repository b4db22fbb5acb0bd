/* SPDX-License-Identifier: MIT */
/* Gemma 3, its text: layers with a window, which have a base of rope of their own, and every sixth without.
 */
#include "gen/spec/families/family.h"

static const struct kgen_config_key keys[] = {
    /* The configs of models that also see images give little besides what differs from these. */
    OPTIONAL("vocab_size", "vocab_size", "262208", KGEN_SIZE_MAX),
    OPTIONAL("heads", "num_attention_heads", "8", KGEN_SIZE_MAX),
    {KGEN_CONFIG_INTEGER, "kv_heads", "num_key_value_heads", "4", KGEN_SIZE_MAX, "heads", NULL},
    OPTIONAL("head_dim", "head_dim", "256", KGEN_HEAD_DIM_MAX),
    DERIVED("qk_norm", "1"),
    DERIVED("post_norms", "1"),
    DERIVED("embedding_scaled", "1"),
    {KGEN_CONFIG_FLAG, "norm_plus_one", "norm_weights_less_one", "1", 1, NULL, NULL},
    FLAG("attention_bias", "attention_bias"),
    {KGEN_CONFIG_FLAG, "tied", "tie_word_embeddings", "1", 1, NULL, NULL},
    KEYS_END,
};

extern const struct kgen_family kgen_family_gemma3;
const struct kgen_family kgen_family_gemma3 = {
    .architecture = "Gemma3ForCausalLM",
    .model_type = "gemma3_text",
    .shared = kgen_dense_keys,
    .own = keys,
    .recipe = &kgen_gemma_recipe,
    .gating = "geglu",
    .standards =
        "{\"query_pre_attn_scalar\": 256, \"rope_theta\": 1000000.0, \"rope_local_base_freq\": 10000.0,"
        " \"sliding_window\": 4096, \"sliding_window_pattern\": 6, \"max_position_embeddings\": 131072,"
        " \"hidden_activation\": \"gelu_pytorch_tanh\"}",
};
