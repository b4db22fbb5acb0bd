/* SPDX-License-Identifier: MIT */
/* The decoder that most families share: grouped attention, then a gated mlp. What differs
 * between the families are quantities, which their own keys replace. In layers where sparse is not 0 the mlp
 * is left out: a family with experts puts steps of its own in its place. */
#include "gen/spec/families/family.h"

const struct kgen_config_key kgen_dense_keys[] = {
    REQUIRED("hidden_size", "hidden_size", KGEN_SIZE_MAX),
    REQUIRED("intermediate_size", "intermediate_size", KGEN_SIZE_MAX),
    REQUIRED("vocab_size", "vocab_size", KGEN_SIZE_MAX),
    REQUIRED("layers", "num_hidden_layers", KGEN_LAYERS_MAX),
    REQUIRED("heads", "num_attention_heads", KGEN_SIZE_MAX),
    {KGEN_CONFIG_INTEGER, "kv_heads", "num_key_value_heads", "heads", KGEN_SIZE_MAX, "heads", NULL},
    OPTIONAL("head_dim", "head_dim", "hidden_size/heads", KGEN_HEAD_DIM_MAX),
    DERIVED("attention_bias", "0"), /* a bias on o_proj; on q, k and v, too, unless qkv_bias is replaced */
    DERIVED("qkv_bias", "attention_bias"),
    DERIVED("mlp_bias", "0"),
    FLAG("tied", "tie_word_embeddings"),
    DERIVED("qk_norm", "0"), /* an RMSNorm on each head of q and k */
    DERIVED("sparse", "0"),  /* the layer has no gated mlp */
    KEYS_END,
};

#define NORM(symbol, shape) READS("x", symbol), WRITES("y", symbol, shape)

const struct kgen_step kgen_dense_before[] = {
    /* A step looks one row of the table up. */
    {.op = "dequantize",
     .tensors = {READS("row", "token"), WRITES("y", "hidden", "hidden_size")},
     .matrices = {{"model.embed_tokens", "hidden", "vocab_size"}},
     .columns = "hidden_size",
     .rows = "1"},
    {0},
};

/* The residual of a layer's end is added in the norm that follows it; the first norm follows none. */
const struct kgen_step kgen_dense_attention[] = {
    {.op = "rms_norm",
     .name = "input_layernorm",
     .when = "first_layer",
     .fields = {{"rows", "1"}, {"size", "hidden_size"}},
     .tensors = {READS("x", "hidden"), WRITES("y", "normed", "hidden_size")},
     .weights = {{"weight", "model.layers.%.input_layernorm.weight", "hidden_size", true}}},
    {.op = "rms_norm",
     .name = "input_layernorm",
     .when = "!first_layer",
     .fields = {{"rows", "1"}, {"size", "hidden_size"}, {"residual", "1"}},
     .tensors = {READS("x", "branch"), UPDATES("residual", "hidden"), WRITES("y", "normed", "hidden_size")},
     .weights = {{"weight", "model.layers.%.input_layernorm.weight", "hidden_size", true}}},
    {.op = "qmv",
     .tensors = {READS("x", "normed")},
     .matrices = {{"model.layers.%.self_attn.q_proj", "q", "heads,head_dim"},
                  {"model.layers.%.self_attn.k_proj", "k", "kv_heads,head_dim"},
                  {"model.layers.%.self_attn.v_proj", "v", "kv_heads,head_dim"}},
     .columns = "hidden_size",
     .bias = "qkv_bias"},
    {.op = "rms_norm",
     .name = "self_attn.q_norm",
     .when = "qk_norm",
     .fields = {{"rows", "heads"}, {"size", "head_dim"}},
     .tensors = {NORM("q", "heads,head_dim")},
     .weights = {{"weight", "model.layers.%.self_attn.q_norm.weight", "head_dim", true}}},
    {.op = "rms_norm",
     .name = "self_attn.k_norm",
     .when = "qk_norm",
     .fields = {{"rows", "kv_heads"}, {"size", "head_dim"}},
     .tensors = {NORM("k", "kv_heads,head_dim")},
     .weights = {{"weight", "model.layers.%.self_attn.k_norm.weight", "head_dim", true}}},
    {.op = "rope",
     .name = "self_attn.q_rope",
     .supported = "position_supported",
     .fields = {{"heads", "heads"}},
     .tensors = {READS("x", "q"), READS("position", "position"), WRITES("y", "q", "heads,head_dim")}},
    {.op = "rope",
     .name = "self_attn.k_rope",
     .supported = "position_supported",
     .fields = {{"heads", "kv_heads"}},
     .tensors = {READS("x", "k"), READS("position", "position"), WRITES("y", "k", "kv_heads,head_dim")}},
    {.op = "attention_decode",
     .name = "self_attn.attention",
     .supported = "attention_supported",
     .fields = {{"heads", "heads"},
                {"kv_heads", "kv_heads"},
                {"head_dim", "head_dim"},
                {"context", "context"},
                {"cache_dtype", "cache_dtype"}},
     .tensors = {READS("q", "q"), READS("k", "k"), READS("v", "v"), READS("position", "position"),
                 WRITES("y", "attended", "heads,head_dim")},
     .states = {{"k_cache", "self_attn.k_cache", "kv_heads,head_dim"},
                {"v_cache", "self_attn.v_cache", "kv_heads,head_dim"}}},
    {.op = "qmv",
     .tensors = {READS("x", "attended")},
     .matrices = {{"model.layers.%.self_attn.o_proj", "branch", "hidden_size"}},
     .columns = "heads*head_dim",
     .bias = "attention_bias"},
    {.op = "rms_norm",
     .name = "post_attention_layernorm",
     .fields = {{"rows", "1"}, {"size", "hidden_size"}, {"residual", "1"}},
     .tensors = {READS("x", "branch"), UPDATES("residual", "hidden"), WRITES("y", "normed", "hidden_size")},
     .weights = {{"weight", "model.layers.%.post_attention_layernorm.weight", "hidden_size", true}}},
    {0},
};

const struct kgen_step kgen_dense_mlp[] = {
    {.op = "qmv",
     .when = "!sparse",
     .tensors = {READS("x", "normed")},
     .matrices = {{"model.layers.%.mlp.gate_proj", "gate", "intermediate_size"},
                  {"model.layers.%.mlp.up_proj", "up", "intermediate_size"}},
     .columns = "hidden_size",
     .bias = "mlp_bias"},
    {.op = "swiglu",
     .name = "mlp.swiglu",
     .when = "!sparse",
     .supported = "gating_supported",
     .fields = {{"size", "intermediate_size"}},
     .tensors = {READS("gate", "gate"), READS("up", "up"), WRITES("y", "gated", "intermediate_size")}},
    {.op = "qmv",
     .when = "!sparse",
     .tensors = {READS("x", "gated")},
     .matrices = {{"model.layers.%.mlp.down_proj", "branch", "hidden_size"}},
     .columns = "intermediate_size",
     .bias = "mlp_bias"},
    {0},
};

const struct kgen_step kgen_dense_after[] = {
    {.op = "rms_norm",
     .name = "norm",
     .fields = {{"rows", "1"}, {"size", "hidden_size"}, {"residual", "1"}},
     .tensors = {READS("x", "branch"), UPDATES("residual", "hidden"), WRITES("y", "normed", "hidden_size")},
     .weights = {{"weight", "model.norm.weight", "hidden_size", true}}},
    {.op = "qmv",
     .when = "!tied",
     .tensors = {READS("x", "normed")},
     .matrices = {{"lm_head", "logits", "vocab_size"}},
     .columns = "hidden_size"},
    {.op = "qmv",
     .name = "lm_head",
     .when = "tied",
     .tensors = {READS("x", "normed")},
     .matrices = {{"model.embed_tokens", "logits", "vocab_size"}},
     .columns = "hidden_size",
     .label = "lm_head (embed_tokens)",
     .ignored = "lm_head"},
    {0},
};

const struct kgen_recipe kgen_dense_recipe = {
    kgen_dense_before,
    {kgen_dense_attention, kgen_dense_mlp},
    kgen_dense_after,
};
