/* SPDX-License-Identifier: MIT */
/* gpt-oss: attention with sinks, and with a window in every other layer; experts with biases, and weights
 * that are the softmax of the chosen scores. Tensors are named as mlx-lm names them. */
#include "gen/spec/families/experts.h"

static const struct kgen_config_key keys[] = {
    FLAG("attention_bias", "attention_bias"),
    DERIVED("sinks", "1"),
    DERIVED("sparse", "1"), /* every layer has experts */
    REQUIRED("experts", "num_local_experts", KGEN_EXPERTS_MAX),
    REQUIRED("experts_per_token", "num_experts_per_tok", KGEN_EXPERTS_MAX),
    DERIVED("expert_size", "intermediate_size"),
    KEYS_END,
};

#define MLP "mlp.experts"

/* The biases of the chosen experts, added to symbol. */
#define BIAS(matrix, symbol, size_)                                                                          \
    {                                                                                                        \
        .op = "gather_add", .name = MLP "." matrix ".bias",                                                  \
        .fields = {{"experts", "experts"}, {"experts_per_token", "experts_per_token"}, {"size", size_}},     \
        .tensors = {READS("x", symbol), READS("ids", "expert_ids"), UPDATES("y", symbol)}, .weights = {      \
            {"table", "model.layers.%." MLP "." matrix ".bias", "experts," size_, true}                      \
        }                                                                                                    \
    }

static const struct kgen_step experts[] = {
    {.op = "qmv",
     .tensors = {READS("x", "normed")},
     .matrices = {{"model.layers.%.mlp.router", "scores", "experts"}},
     .columns = "hidden_size",
     .bias = "sparse"},
    {.op = "router",
     .name = "mlp.top_k",
     .fields = {{"experts", "experts"}, {"experts_per_token", "experts_per_token"}, {"normalised", "sparse"}},
     .tensors = {READS("x", "scores"), WRITES("ids", "expert_ids", "experts_per_token"),
                 WRITES("y", "expert_weights", "experts_per_token")}},
    EXPERTS_PRODUCT_AT(MLP, NULL, "gate_proj", "normed", "gate", "expert_size", "hidden_size", "0"),
    BIAS("gate_proj", "gate", "expert_size"),
    EXPERTS_PRODUCT_AT(MLP, NULL, "up_proj", "normed", "up", "expert_size", "hidden_size", "0"),
    BIAS("up_proj", "up", "expert_size"),
    {.op = "clamped_swiglu",
     .name = "mlp.clamped_swiglu",
     .supported = "gating_supported",
     .fields = {{"size", "experts_per_token*expert_size"}},
     .tensors = {READS("gate", "gate"), READS("up", "up"),
                 WRITES("y", "gated", "experts_per_token,expert_size")}},
    EXPERTS_PRODUCT_AT(MLP, NULL, "down_proj", "gated", "outputs", "hidden_size", "expert_size", "1"),
    BIAS("down_proj", "outputs", "hidden_size"),
    {.op = "weighted_sum",
     .name = "mlp.weighted_sum",
     .fields = {{"rows", "experts_per_token"}, {"size", "hidden_size"}},
     .tensors = {READS("x", "outputs"), READS("weights", "expert_weights"),
                 WRITES("y", "branch", "hidden_size")}},
    {0},
};

static const struct kgen_recipe recipe = {
    kgen_dense_before,
    {kgen_dense_attention, experts},
    kgen_dense_after,
};

extern const struct kgen_family kgen_family_gpt_oss;
const struct kgen_family kgen_family_gpt_oss = {
    .architecture = "GptOssForCausalLM",
    .model_type = "gpt_oss",
    .shared = kgen_dense_keys,
    .own = keys,
    .recipe = &recipe,
    .standards =
        "{\"attention_bias\": true, \"head_dim\": 64, \"rope_theta\": 150000.0, \"sliding_window\": 128,"
        " \"sliding_window_pattern\": 2}",
};
