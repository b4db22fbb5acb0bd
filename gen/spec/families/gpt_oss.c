/* SPDX-License-Identifier: MIT */
/* gpt-oss: attention with sinks, and with a window in every other layer. Its experts are not derived. */
#include "gen/spec/families/family.h"

static const struct kgen_config_key keys[] = {
    FLAG("attention_bias", "attention_bias"),
    DERIVED("sinks", "1"),
    DERIVED("sparse", "1"), /* every layer has experts */
    REQUIRED("experts", "num_local_experts", KGEN_EXPERTS_MAX),
    REQUIRED("experts_per_token", "num_experts_per_tok", KGEN_EXPERTS_MAX),
    DERIVED("expert_size", "intermediate_size"),
    KEYS_END,
};

#define MLP "model.layers.%.mlp."

static const struct kgen_step experts[] = {
    {.op = "moe_router",
     .name = "mlp.router",
     .fields = {{"experts", "experts"}, {"experts_per_token", "experts_per_token"}, {"size", "hidden_size"}},
     .tensors = {READS("x", "normed"), WRITES("scores", "scores", "experts")},
     .weights = {{"weights", MLP "router.weight", "experts,hidden_size", false}}},
    {.op = "moe_experts",
     .name = "mlp.experts",
     .fields = {{"experts", "experts"}, {"experts_per_token", "experts_per_token"}, {"size", "expert_size"}},
     .tensors = {READS("x", "normed"), READS("scores", "scores"), WRITES("y", "branch", "hidden_size")},
     .weights = {{"gate_up", MLP "experts.gate_up_proj.weight", "experts,expert_size,hidden_size", false},
                 {"down", MLP "experts.down_proj.weight", "experts,hidden_size,expert_size", false}}},
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
    .other_weights = "model.layers.*.mlp.*",
    .standards =
        "{\"attention_bias\": true, \"head_dim\": 64, \"rope_theta\": 150000.0, \"sliding_window\": 128,"
        " \"sliding_window_pattern\": 2}",
};
