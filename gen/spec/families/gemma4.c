/* SPDX-License-Identifier: MIT */
/* Gemma 4, its text: layers with a window, and layers without, which have other heads, whose values may be
 * the keys; experts beside the mlp; a scalar of each layer. Tensors are named as mlx-lm names them. Inputs of
 * each layer and caches that layers share, which small models have, are not derived. */
#include "gen/spec/families/experts.h"

static const struct kgen_config_key keys[] = {
    OPTIONAL("head_dim", "head_dim", "256", KGEN_HEAD_DIM_MAX),
    OPTIONAL("global_head_dim", "global_head_dim", "head_dim", KGEN_HEAD_DIM_MAX),
    OPTIONAL("global_kv_heads", "num_global_key_value_heads", "kv_heads", KGEN_SIZE_MAX),
    FLAG("k_eq_v", "attention_k_eq_v"),
    DERIVED("k_is_v", "0"),
    FULL_LAYERS("head_dim", "global_head_dim", NULL),
    FULL_LAYERS("kv_heads", "global_kv_heads", "k_eq_v"),
    FULL_LAYERS("k_is_v", "k_eq_v", NULL),
    DERIVED("qk_norm", "1"),
    DERIVED("post_norms", "1"),
    DERIVED("embedding_scaled", "1"),
    FLAG("attention_bias", "attention_bias"),
    {KGEN_CONFIG_FLAG, "tied", "tie_word_embeddings", "1", 1, NULL, NULL},
    FLAG("moe", "enable_moe_block"),
    OPTIONAL("experts", "num_experts", "1", KGEN_EXPERTS_MAX),
    OPTIONAL("experts_per_token", "top_k_experts", "1", KGEN_EXPERTS_MAX),
    OPTIONAL("expert_size", "moe_intermediate_size", "intermediate_size", KGEN_SIZE_MAX),
    COUNT("per_layer_size", "hidden_size_per_layer_input", KGEN_SIZE_MAX),
    COUNT("kv_shared", "num_kv_shared_layers", KGEN_LAYERS_MAX),
    KEYS_END,
};

#define LAYER "model.layers.%."
/* The norm of a vector of hidden_size elements, with a condition. */
#define NORM(name_, condition, weight_, from, to)                                                            \
    {                                                                                                        \
        .op = "rms_norm", .name = name_, .when = condition,                                                  \
        .fields = {{"rows", "1"}, {"size", "hidden_size"}},                                                  \
        .tensors = {READS("x", from), WRITES("y", to, "hidden_size")}, .weights = {                          \
            {"weight", LAYER weight_, "hidden_size", true}                                                   \
        }                                                                                                    \
    }
/* The norm of each head. */
#define HEAD_NORM(name_, symbol, count)                                                                      \
    {                                                                                                        \
        .op = "rms_norm", .name = "self_attn." name_, .fields = {{"rows", count}, {"size", "head_dim"}},     \
        .tensors = {READS("x", symbol), WRITES("y", symbol, count ",head_dim")}, .weights = {                \
            {"weight", LAYER "self_attn." name_ ".weight", "head_dim", true}                                 \
        }                                                                                                    \
    }
#define VALUE_NORM(condition, from)                                                                          \
    {                                                                                                        \
        .op = "rms_norm", .name = "self_attn.v_norm", .when = condition,                                     \
        .fields = {{"rows", "kv_heads"}, {"size", "head_dim"}, {"unweighted", "1"}}, .tensors = {            \
            READS("x", from),                                                                                \
            WRITES("y", "v", "kv_heads,head_dim")                                                            \
        }                                                                                                    \
    }
#define ROPE(symbol, count)                                                                                  \
    {                                                                                                        \
        .op = "rope", .name = "self_attn." symbol "_rope", .supported = "position_supported",                \
        .fields = {{"heads", count}}, .tensors = {                                                           \
            READS("x", symbol),                                                                              \
            READS("position", "position"),                                                                   \
            WRITES("y", symbol, count ",head_dim")                                                           \
        }                                                                                                    \
    }

static const struct kgen_step attention[] = {
    NORM("input_layernorm", NULL, "input_layernorm.weight", "hidden", "normed"),
    {.op = "qmv",
     .when = "!k_is_v",
     .tensors = {READS("x", "normed")},
     .matrices = {{LAYER "self_attn.q_proj", "q", "heads,head_dim"},
                  {LAYER "self_attn.k_proj", "k", "kv_heads,head_dim"},
                  {LAYER "self_attn.v_proj", "v", "kv_heads,head_dim"}},
     .columns = "hidden_size",
     .bias = "attention_bias"},
    {.op = "qmv",
     .when = "k_is_v",
     .tensors = {READS("x", "normed")},
     .matrices = {{LAYER "self_attn.q_proj", "q", "heads,head_dim"},
                  {LAYER "self_attn.k_proj", "k", "kv_heads,head_dim"}},
     .columns = "hidden_size",
     .bias = "attention_bias"},
    /* The values are the keys before these have their own norm. */
    VALUE_NORM("!k_is_v", "v"),
    VALUE_NORM("k_is_v", "k"),
    HEAD_NORM("q_norm", "q", "heads"),
    HEAD_NORM("k_norm", "k", "kv_heads"),
    ROPE("q", "heads"),
    ROPE("k", "kv_heads"),
    {.op = "shared_cache",
     .name = "self_attn.shared_cache",
     .when = "kv_shared",
     .tensors = {READS("x", "k"), WRITES("y", "k", "kv_heads,head_dim")}},
    {.op = "attention_decode",
     .name = "self_attn.attention",
     .supported = "attention_supported",
     .fields = {{"heads", "heads"},
                {"kv_heads", "kv_heads"},
                {"head_dim", "head_dim"},
                {"context", "context"},
                {"cache_dtype", "cache_dtype"},
                {"window", "window*sliding"}},
     .tensors = {READS("q", "q"), READS("k", "k"), READS("v", "v"), READS("position", "position"),
                 WRITES("y", "attended", "heads,head_dim")},
     .states = {{"k_cache", "self_attn.k_cache", "kv_heads,head_dim"},
                {"v_cache", "self_attn.v_cache", "kv_heads,head_dim"}}},
    {.op = "qmv",
     .tensors = {READS("x", "attended")},
     .matrices = {{LAYER "self_attn.o_proj", "branch", "hidden_size"}},
     .columns = "heads*head_dim",
     .bias = "attention_bias"},
    NORM("post_attention_layernorm", NULL, "post_attention_layernorm.weight", "branch", "branch"),
    {.op = "rms_norm",
     .name = "pre_feedforward_layernorm",
     .fields = {{"rows", "1"}, {"size", "hidden_size"}, {"residual", "1"}},
     .tensors = {READS("x", "branch"), UPDATES("residual", "hidden"), WRITES("y", "normed", "hidden_size")},
     .weights = {{"weight", LAYER "pre_feedforward_layernorm.weight", "hidden_size", true}}},
    {0},
};

static const struct kgen_step mlp[] = {
    {.op = "qmv",
     .tensors = {READS("x", "normed")},
     .matrices = {{LAYER "mlp.gate_proj", "gate", "intermediate_size"},
                  {LAYER "mlp.up_proj", "up", "intermediate_size"}},
     .columns = "hidden_size"},
    {.op = "geglu",
     .name = "mlp.geglu",
     .supported = "gating_supported",
     .fields = {{"size", "intermediate_size"}},
     .tensors = {READS("gate", "gate"), READS("up", "up"), WRITES("y", "gated", "intermediate_size")}},
    {.op = "qmv",
     .tensors = {READS("x", "gated")},
     .matrices = {{LAYER "mlp.down_proj", "branch", "hidden_size"}},
     .columns = "intermediate_size"},
    {0},
};

#define EXPERTS_OF(matrix, input, output, size, columns, each)                                               \
    EXPERTS_PRODUCT_AT("experts.switch_glu", "moe", matrix, input, output, size, columns, each)

/* The experts see what the mlp sees, before its norm; so does their router. Its factor, the inverse root of
 * hidden_size, is that of scale within layers. */
static const struct kgen_step experts[] = {
    NORM("post_feedforward_layernorm_1", "moe", "post_feedforward_layernorm_1.weight", "branch", "dense"),
    NORM("router.norm", "moe", "router.scale", "hidden", "routed"),
    {.op = "scale",
     .name = "router.scale",
     .when = "moe",
     .fields = {{"size", "hidden_size"}},
     .tensors = {READS("x", "routed"), UPDATES("y", "routed")}},
    {.op = "qmv",
     .when = "moe",
     .tensors = {READS("x", "routed")},
     .matrices = {{LAYER "router.proj", "scores", "experts"}},
     .columns = "hidden_size"},
    {.op = "router",
     .name = "router.top_k",
     .when = "moe",
     .fields = {{"experts", "experts"}, {"experts_per_token", "experts_per_token"}, {"normalised", "1"}},
     .tensors = {READS("x", "scores"), WRITES("ids", "expert_ids", "experts_per_token"),
                 WRITES("y", "expert_weights", "experts_per_token")}},
    {.op = "scale_rows",
     .name = "router.per_expert_scale",
     .when = "moe",
     .fields = {{"rows", "experts_per_token"}, {"size", "1"}, {"experts", "experts"}},
     .tensors = {READS("x", "expert_weights"), READS("ids", "expert_ids"), UPDATES("y", "expert_weights")},
     .weights = {{"factors", LAYER "router.per_expert_scale", "experts", true}}},
    NORM("pre_feedforward_layernorm_2", "moe", "pre_feedforward_layernorm_2.weight", "hidden", "normed"),
    EXPERTS_OF("gate_proj", "normed", "gate", "expert_size", "hidden_size", "0"),
    EXPERTS_OF("up_proj", "normed", "up", "expert_size", "hidden_size", "0"),
    {.op = "geglu",
     .name = "experts.geglu",
     .when = "moe",
     .supported = "gating_supported",
     .fields = {{"size", "experts_per_token*expert_size"}},
     .tensors = {READS("gate", "gate"), READS("up", "up"),
                 WRITES("y", "gated", "experts_per_token,expert_size")}},
    EXPERTS_OF("down_proj", "gated", "outputs", "hidden_size", "expert_size", "1"),
    {.op = "weighted_sum",
     .name = "experts.weighted_sum",
     .when = "moe",
     .fields = {{"rows", "experts_per_token"}, {"size", "hidden_size"}},
     .tensors = {READS("x", "outputs"), READS("weights", "expert_weights"),
                 WRITES("y", "branch", "hidden_size")}},
    NORM("post_feedforward_layernorm_2", "moe", "post_feedforward_layernorm_2.weight", "branch", "branch"),
    {.op = "add",
     .name = "experts.add",
     .when = "moe",
     .fields = {{"size", "hidden_size"}},
     .tensors = {READS("a", "dense"), READS("b", "branch"), WRITES("y", "branch", "hidden_size")}},
    {0},
};

static const struct kgen_step end[] = {
    NORM("post_feedforward_layernorm", NULL, "post_feedforward_layernorm.weight", "branch", "branch"),
    {.op = "add",
     .name = "residual",
     .fields = {{"size", "hidden_size"}},
     .tensors = {READS("a", "hidden"), READS("b", "branch"), UPDATES("y", "hidden")}},
    {.op = "per_layer_input",
     .name = "per_layer_input",
     .when = "per_layer_size",
     .fields = {{"size", "per_layer_size"}},
     .tensors = {READS("x", "hidden"), WRITES("y", "hidden", "hidden_size")}},
    {.op = "scale_rows",
     .name = "layer_scalar",
     .fields = {{"rows", "1"}, {"size", "hidden_size"}, {"experts", "0"}},
     .tensors = {READS("x", "hidden"), UPDATES("y", "hidden")},
     .weights = {{"factors", LAYER "layer_scalar", "1", true}}},
    {0},
};

static const struct kgen_step after[] = {
    {.op = "rms_norm",
     .name = "norm",
     .fields = {{"rows", "1"}, {"size", "hidden_size"}},
     .tensors = {READS("x", "hidden"), WRITES("y", "normed", "hidden_size")},
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
    {.op = "softcap",
     .name = "logit_softcap",
     .when = "final_softcap",
     .fields = {{"size", "vocab_size"}},
     .tensors = {READS("x", "logits"), UPDATES("y", "logits")}},
    {0},
};

static const struct kgen_recipe recipe = {kgen_dense_before, {attention, mlp, experts, end}, after};

extern const struct kgen_family kgen_family_gemma4;
const struct kgen_family kgen_family_gemma4 = {
    .architecture = "Gemma4ForCausalLM",
    .model_type = "gemma4_text",
    .shared = kgen_dense_keys,
    .own = keys,
    .recipe = &recipe,
    .gating = "geglu",
    .standards =
        "{\"global_head_dim\": 512, \"query_pre_attn_scalar\": 1, \"sliding_window\": 512,"
        " \"sliding_window_pattern\": 5, \"max_position_embeddings\": 131072, \"final_logit_softcapping\": "
        "30.0, \"hidden_activation\": \"gelu_pytorch_tanh\", \"hidden_size_per_layer_input\": 256,"
        " \"num_kv_shared_layers\": 20, \"rope_parameters\": {\"full_attention\": {\"rope_type\": "
        "\"proportional\", \"rope_theta\": 1000000.0, \"partial_rotary_factor\": 0.25},"
        " \"sliding_attention\": {\"rope_type\": \"default\", \"rope_theta\": 10000.0}}}",
};
