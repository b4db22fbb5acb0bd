/* SPDX-License-Identifier: MIT */
/* DeepSeek V2, V3 and Kimi K2: multi-head latent attention, and experts in groups beside shared ones. The
 * cache has one row for each position, which all heads share. Two products for each head go from its queries
 * to that row's space and back: embed_q and unembed_out, as mlx-lm names the halves of kv_b_proj. head_dim is
 * what rotates of a head. */
#include "gen/spec/families/experts.h"

static const struct kgen_config_key keys[] = {
    REQUIRED("head_dim", "qk_rope_head_dim", KGEN_HEAD_DIM_MAX),
    REQUIRED("qk_nope_head_dim", "qk_nope_head_dim", KGEN_HEAD_DIM_MAX),
    REQUIRED("v_head_dim", "v_head_dim", KGEN_HEAD_DIM_MAX),
    REQUIRED("kv_lora_rank", "kv_lora_rank", KGEN_SIZE_MAX),
    OPTIONAL("q_lora_rank", "q_lora_rank", "0", KGEN_SIZE_MAX), /* 0: queries are one product */
    FLAG("attention_bias", "attention_bias"),
    REQUIRED("experts", "n_routed_experts", KGEN_EXPERTS_MAX),
    REQUIRED("experts_per_token", "num_experts_per_tok", KGEN_EXPERTS_MAX),
    REQUIRED("expert_size", "moe_intermediate_size", KGEN_SIZE_MAX),
    OPTIONAL("shared_experts", "n_shared_experts", "0", KGEN_EXPERTS_MAX),
    DERIVED("shared_size", "shared_experts*expert_size"),
    FLAG("normalised", "norm_topk_prob"),
    KEYS_END,
};

#define LAYER "model.layers.%."
#define NORM(symbol, shape) READS("x", symbol), WRITES("y", symbol, shape)

static const struct kgen_step before[] = {
    {.op = "dequantize",
     .tensors = {READS("row", "token"), WRITES("y", "hidden", "hidden_size")},
     .matrices = {{"model.embed_tokens", "hidden", "vocab_size"}},
     .columns = "hidden_size",
     .rows = "1"},
    {.op = "arange",
     .name = "head_ids",
     .fields = {{"size", "heads"}},
     .tensors = {WRITES("ids", "head_ids", "heads")}},
    {0},
};

/* The norms within attention do not have the eps of the config. */
#define INNER_EPS .real_field = "eps", .real_value = 1e-6

/* A product of one matrix for each head. */
#define HEADS_PRODUCT(matrix, input, output, size, columns_)                                                 \
    {                                                                                                        \
        .op = "gather_qmv", .fields = {{"experts_per_token", "heads"}, {"x_per_expert", "1"}},               \
        .tensors = {READS("x", input), READS("ids", "head_ids"), WRITES("y", output, "heads," size)},        \
        .matrices = {{LAYER "self_attn." matrix, output, size}}, .columns = columns_, .experts = "heads"     \
    }

static const struct kgen_step queries[] = {
    {.op = "rms_norm",
     .name = "input_layernorm",
     .when = "first_layer",
     .fields = {{"rows", "1"}, {"size", "hidden_size"}},
     .tensors = {READS("x", "hidden"), WRITES("y", "normed", "hidden_size")},
     .weights = {{"weight", LAYER "input_layernorm.weight", "hidden_size", true}}},
    {.op = "rms_norm",
     .name = "input_layernorm",
     .when = "!first_layer",
     .fields = {{"rows", "1"}, {"size", "hidden_size"}, {"residual", "1"}},
     .tensors = {READS("x", "branch"), UPDATES("residual", "hidden"), WRITES("y", "normed", "hidden_size")},
     .weights = {{"weight", LAYER "input_layernorm.weight", "hidden_size", true}}},
    {.op = "qmv",
     .when = "!q_lora_rank",
     .tensors = {READS("x", "normed")},
     .matrices = {{LAYER "self_attn.q_proj", "q", "heads,qk_head_dim"}},
     .columns = "hidden_size"},
    {.op = "qmv",
     .when = "q_lora_rank",
     .tensors = {READS("x", "normed")},
     .matrices = {{LAYER "self_attn.q_a_proj", "q_a", "q_lora_rank"}},
     .columns = "hidden_size",
     .bias = "attention_bias"},
    {.op = "rms_norm",
     .name = "self_attn.q_a_layernorm",
     .when = "q_lora_rank",
     .fields = {{"rows", "1"}, {"size", "q_lora_rank"}},
     INNER_EPS,
     .tensors = {NORM("q_a", "q_lora_rank")},
     .weights = {{"weight", LAYER "self_attn.q_a_layernorm.weight", "q_lora_rank", true}}},
    {.op = "qmv",
     .when = "q_lora_rank",
     .tensors = {READS("x", "q_a")},
     .matrices = {{LAYER "self_attn.q_b_proj", "q", "heads,qk_head_dim"}},
     .columns = "q_lora_rank"},
    {.op = "split",
     .name = "self_attn.q_split",
     .fields = {{"rows", "heads"}, {"first", "qk_nope_head_dim"}, {"second", "head_dim"}},
     .tensors = {READS("x", "q"), WRITES("a", "q_nope", "heads,qk_nope_head_dim"),
                 WRITES("b", "q_rope", "heads,head_dim")}},
    {.op = "rope",
     .name = "self_attn.q_rope",
     .supported = "position_supported",
     .fields = {{"heads", "heads"}},
     .tensors = {READS("x", "q_rope"), READS("position", "position"),
                 WRITES("y", "q_rope", "heads,head_dim")}},
    HEADS_PRODUCT("embed_q", "q_nope", "q_latent", "kv_lora_rank", "qk_nope_head_dim"),
    {0},
};

static const struct kgen_step attention[] = {
    {.op = "qmv",
     .tensors = {READS("x", "normed")},
     .matrices = {{LAYER "self_attn.kv_a_proj_with_mqa", "latent", "kv_lora_rank"},
                  {LAYER "self_attn.kv_a_proj_with_mqa", "k_rope", "head_dim"}},
     .columns = "hidden_size",
     .bias = "attention_bias"},
    {.op = "rms_norm",
     .name = "self_attn.kv_a_layernorm",
     .fields = {{"rows", "1"}, {"size", "kv_lora_rank"}},
     INNER_EPS,
     .tensors = {NORM("latent", "kv_lora_rank")},
     .weights = {{"weight", LAYER "self_attn.kv_a_layernorm.weight", "kv_lora_rank", true}}},
    {.op = "rope",
     .name = "self_attn.k_rope",
     .supported = "position_supported",
     .fields = {{"heads", "1"}},
     .tensors = {READS("x", "k_rope"), READS("position", "position"), WRITES("y", "k_rope", "head_dim")}},
    {.op = "mla_decode",
     .name = "self_attn.attention",
     .fields = {{"heads", "heads"},
                {"kv_lora_rank", "kv_lora_rank"},
                {"qk_rope_head_dim", "head_dim"},
                {"context", "context"},
                {"cache_dtype", "cache_dtype"}},
     .tensors = {READS("q", "q_latent"), READS("q_rope", "q_rope"), READS("k", "latent"),
                 READS("k_rope", "k_rope"), READS("position", "position"),
                 WRITES("y", "attended_latent", "heads,kv_lora_rank")},
     .states = {{"kv_cache", "self_attn.kv_cache", "1,cache_row"}}},
    HEADS_PRODUCT("unembed_out", "attended_latent", "attended", "v_head_dim", "kv_lora_rank"),
    {.op = "qmv",
     .tensors = {READS("x", "attended")},
     .matrices = {{LAYER "self_attn.o_proj", "branch", "hidden_size"}},
     .columns = "heads*v_head_dim",
     .bias = "attention_bias"},
    {.op = "rms_norm",
     .name = "post_attention_layernorm",
     .fields = {{"rows", "1"}, {"size", "hidden_size"}, {"residual", "1"}},
     .tensors = {READS("x", "branch"), UPDATES("residual", "hidden"), WRITES("y", "normed", "hidden_size")},
     .weights = {{"weight", LAYER "post_attention_layernorm.weight", "hidden_size", true}}},
    {0},
};

static const struct kgen_step experts[] = {
    {.op = "qmv",
     .when = "sparse",
     .tensors = {READS("x", "normed")},
     .matrices = {{LAYER "mlp.gate", "scores", "experts"}},
     .columns = "hidden_size"},
    {.op = "router",
     .name = "mlp.router",
     .when = "sparse",
     .fields = {{"experts", "experts"},
                {"experts_per_token", "experts_per_token"},
                {"normalised", "normalised"}},
     .tensors = {READS("x", "scores"), WRITES("ids", "expert_ids", "experts_per_token"),
                 WRITES("y", "expert_weights", "experts_per_token")},
     .weights = {{"bias", LAYER "mlp.gate.e_score_correction_bias", "experts", true}}},
    EXPERTS_PRODUCT("mlp", "sparse", "gate_proj", "normed", "gate", "expert_size", "hidden_size", "0"),
    EXPERTS_PRODUCT("mlp", "sparse", "up_proj", "normed", "up", "expert_size", "hidden_size", "0"),
    {.op = "swiglu",
     .name = "mlp.swiglu",
     .when = "sparse",
     .supported = "gating_supported",
     .fields = {{"size", "experts_per_token*expert_size"}},
     .tensors = {READS("gate", "gate"), READS("up", "up"),
                 WRITES("y", "gated", "experts_per_token,expert_size")}},
    EXPERTS_PRODUCT("mlp", "sparse", "down_proj", "gated", "outputs", "hidden_size", "expert_size", "1"),
    {.op = "weighted_sum",
     .name = "mlp.weighted_sum",
     .when = "sparse",
     .fields = {{"rows", "experts_per_token"}, {"size", "hidden_size"}},
     .tensors = {READS("x", "outputs"), READS("weights", "expert_weights"),
                 WRITES("y", "branch", "hidden_size")}},
    {0},
};

/* One mlp for all tokens, which is as wide as the shared experts together. */
static const struct kgen_step shared_experts[] = {
    {.op = "qmv",
     .when = "sparse*shared_experts",
     .tensors = {READS("x", "normed")},
     .matrices = {{LAYER "mlp.shared_experts.gate_proj", "gate", "shared_size"},
                  {LAYER "mlp.shared_experts.up_proj", "up", "shared_size"}},
     .columns = "hidden_size"},
    {.op = "swiglu",
     .name = "mlp.shared_experts.swiglu",
     .when = "sparse*shared_experts",
     .supported = "gating_supported",
     .fields = {{"size", "shared_size"}},
     .tensors = {READS("gate", "gate"), READS("up", "up"), WRITES("y", "gated", "shared_size")}},
    {.op = "qmv",
     .when = "sparse*shared_experts",
     .tensors = {READS("x", "gated")},
     .matrices = {{LAYER "mlp.shared_experts.down_proj", "shared", "hidden_size"}},
     .columns = "shared_size"},
    {.op = "add",
     .name = "mlp.add",
     .when = "sparse*shared_experts",
     .fields = {{"size", "hidden_size"}},
     .tensors = {READS("a", "branch"), READS("b", "shared"), WRITES("y", "branch", "hidden_size")}},
    {0},
};

static const struct kgen_recipe recipe = {
    before,
    {queries, attention, experts, shared_experts, kgen_dense_mlp},
    kgen_dense_after,
};

extern const struct kgen_family kgen_family_deepseek_v3;
const struct kgen_family kgen_family_deepseek_v3 = {
    .architecture = "DeepseekV3ForCausalLM",
    .model_type = "deepseek_v3",
    .shared = kgen_dense_keys,
    .own = keys,
    .recipe = &recipe,
    .standards = "{\"rope_pairing\": \"interleaved\", \"scoring_func\": \"sigmoid\","
                 " \"topk_method\": \"noaux_tc\", \"norm_topk_prob\": true}",
};

extern const struct kgen_family kgen_family_deepseek_v2;
const struct kgen_family kgen_family_deepseek_v2 = {
    .architecture = "DeepseekV2ForCausalLM",
    .model_type = "deepseek_v2",
    .shared = kgen_dense_keys,
    .own = keys,
    .recipe = &recipe,
    .standards = "{\"rope_pairing\": \"interleaved\", \"scoring_func\": \"softmax\","
                 " \"topk_method\": \"greedy\"}",
};
