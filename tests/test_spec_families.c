/* SPDX-License-Identifier: MIT */
/* What the configs of families with windows, soft caps, sinks and norms of their own become. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spec_fixture.h"

#include <stdio.h>
#include <string.h>

#define BITS ", \"quantization\": {\"bits\": 4, \"group_size\": 32}"
#define SHAPE                                                                                                \
    "\"hidden_size\": 64, \"intermediate_size\": 96, \"vocab_size\": 40, \"num_attention_heads\": 4, "       \
    "\"num_key_value_heads\": 2, \"head_dim\": 32, \"num_hidden_layers\": 4"

/* The names of the problems that serve a step, of layer after layer: equal ones in a row once. */
static void write_problems(const struct kgen_spec *spec, const char *step, struct kgen_text *text)
{
    struct kgen_text last = {0}, name = {0};
    for (size_t i = 0; i < spec->graph->node_count; i++) {
        const struct kgen_graph_node *node = &spec->graph->nodes[i];
        if (strcmp(node->label, step) != 0)
            continue;
        kgen_text_clear(&name);
        if (node->status == KGEN_GRAPH_DERIVED)
            kgen_problem_name(&node->problem, &name);
        else
            kgen_text_puts(&name, kgen_graph_status_name(node->status));
        if (last.data == NULL || strcmp(last.data, name.data) != 0)
            kgen_text_printf(text, "%s%s", text->length > 0 ? " " : "", name.data);
        kgen_text_clear(&last);
        kgen_text_puts(&last, name.data);
    }
    kgen_text_free(&last);
    kgen_text_free(&name);
}

#define PLAIN "attention_decode_h4_kv2_d32_c64"
#define LINEAR                                                                                               \
    "\"linear_num_value_heads\": 6, \"linear_num_key_heads\": 2, \"linear_key_head_dim\": 8, "               \
    "\"linear_value_head_dim\": 16"
#define SEEN "attention_decode_h4_kv2_d32_c64_w16"

#define GPT_OSS "\"model_type\": \"gpt_oss\", " SHAPE ", \"num_local_experts\": 4, \"num_experts_per_tok\": 2"
#define MXFP4                                                                                                \
    ", \"quantization_config\": {\"quant_method\": \"mxfp4\", \"modules_to_not_convert\": ["                 \
    "\"model.layers.*.self_attn\", \"model.layers.*.mlp.router\", \"model.embed_tokens\", \"lm_head\"]}"
/* The values of some keys: moe, k_eq_v and so on. */
#define GEMMA4_WITH(moe, k_eq_v, global_kv, per_layer, shared)                                               \
    "\"model_type\": \"gemma4_text\", \"hidden_size\": 64, \"intermediate_size\": 96, \"vocab_size\": 40, "  \
    "\"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"head_dim\": 32, \"global_head_dim\": 64, "    \
    "\"num_hidden_layers\": 2, \"layer_types\": [\"sliding_attention\", \"full_attention\"], "               \
    "\"sliding_window\": 16, \"num_experts\": 4, \"top_k_experts\": 2, \"moe_intermediate_size\": 32, "      \
    "\"rope_parameters\": {\"full_attention\": {\"partial_rotary_factor\": 0.25, \"rope_theta\": 1e6, "      \
    "\"rope_type\": \"proportional\"}, \"sliding_attention\": {\"rope_theta\": 100, \"rope_type\": "         \
    "\"default\"}}, \"enable_moe_block\": " moe ", \"attention_k_eq_v\": " k_eq_v                            \
    ", \"num_global_key_value_heads\": " global_kv ", \"hidden_size_per_layer_input\": " per_layer           \
    ", \"num_kv_shared_layers\": " shared
#define GEMMA4 GEMMA4_WITH("true", "true", "1", "0", "0")

static const struct {
    const char *config, *step, *problems;
} cases[] = {
    /* Windows by layer. */
    {"\"model_type\": \"mistral\", " SHAPE ", \"sliding_window\": 16", "self_attn.attention", SEEN},
    {"\"model_type\": \"mistral\", " SHAPE ", \"sliding_window\": 64", "self_attn.attention", PLAIN},
    {"\"model_type\": \"mistral\", " SHAPE ", \"sliding_window\": null", "self_attn.attention", PLAIN},
    {"\"model_type\": \"llama\", " SHAPE ", \"sliding_window\": 16, \"layer_types\": [\"sliding_attention\", "
     "\"full_attention\", \"full_attention\", \"sliding_attention\"]",
     "self_attn.attention", SEEN " " PLAIN " " SEEN},
    {"\"model_type\": \"qwen2\", " SHAPE
     ", \"sliding_window\": 16, \"use_sliding_window\": false, \"max_window_layers\": 2",
     "self_attn.attention", PLAIN},
    {"\"model_type\": \"qwen2\", " SHAPE
     ", \"sliding_window\": 16, \"use_sliding_window\": true, \"max_window_layers\": 2",
     "self_attn.attention", PLAIN " " SEEN},
    /* Gemma 2: every other layer, caps of scores and logits. */
    {"\"model_type\": \"gemma2\", " SHAPE ", \"sliding_window\": 16, \"query_pre_attn_scalar\": 16",
     "self_attn.attention",
     PLAIN "_s0p25_w16_sc50 " PLAIN "_s0p25_sc50 " PLAIN "_s0p25_w16_sc50 " PLAIN "_s0p25_sc50"},
    {"\"model_type\": \"gemma2\", " SHAPE, "logit_softcap", "softcap_n40_c30"},
    {"\"model_type\": \"gemma2\", " SHAPE ", \"final_logit_softcapping\": null", "logit_softcap", ""},
    {"\"model_type\": \"gemma2\", " SHAPE, "embedding_scale", "scale_n64_f8"},
    {"\"model_type\": \"gemma2\", " SHAPE, "mlp.geglu", "geglu_n96"},
    {"\"model_type\": \"gemma2\", " SHAPE ", \"hidden_activation\": \"gelu\"", "mlp.geglu",
     "geglu_n96_exact"},
    {"\"model_type\": \"gemma2\", " SHAPE ", \"hidden_activation\": \"silu\"", "mlp.geglu", "unsupported"},
    {"\"model_type\": \"gemma2\", " SHAPE, "pre_feedforward_layernorm",
     "rms_norm_r1_s64_residual_plus_one_eps1em06"},
    {"\"model_type\": \"gemma2\", " SHAPE ", \"norm_weights_less_one\": false", "post_feedforward_layernorm",
     "rms_norm_r1_s64_eps1em06"},
    /* Gemma 3: two bases of rope. */
    {"\"model_type\": \"gemma3_text\", " SHAPE
     ", \"sliding_window_pattern\": 2, \"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": 8}",
     "self_attn.q_rope",
     "rope_h4_d32_r32_half_t10000 rope_h4_d32_r32_half_t1000000_linear_f8 rope_h4_d32_r32_half_t10000 "
     "rope_h4_d32_r32_half_t1000000_linear_f8"},
    {"\"model_type\": \"gemma3_text\", " SHAPE ", \"layer_types\": [\"full_attention\", \"full_attention\", "
     "\"full_attention\", \"sliding_attention\"], "
     "\"rope_parameters\": {\"full_attention\": {\"rope_type\": \"default\", \"rope_theta\": 2000}, "
     "\"sliding_attention\": {\"rope_type\": \"default\", \"rope_theta\": 500}}",
     "self_attn.q_rope", "rope_h4_d32_r32_half_t2000 rope_h4_d32_r32_half_t500"},
    {"\"model_type\": \"gemma3_text\", " SHAPE, "self_attn.q_norm", "rms_norm_r4_s32_plus_one_eps1em06"},
    /* The text's part, with keys of the whole. */
    {"\"architectures\": [\"Gemma3ForConditionalGeneration\"], \"model_type\": \"gemma3\", \"text_config\": "
     "{\"model_type\": \"gemma3_text\", \"hidden_size\": 64, \"intermediate_size\": 96, "
     "\"num_hidden_layers\": 6}",
     "self_attn.attention", "attention_decode_h8_kv4_d256_c64"},
    /* Phi-3: rows of one tensor. */
    {"\"model_type\": \"phi3\", " SHAPE, "self_attn.qkv_proj", "qmv_n256_k64_b4_g32_f16_f32"},
    {"\"model_type\": \"phi3\", " SHAPE, "mlp.gate_up_proj", "qmv_n192_k64_b4_g32_f16_f32"},
    {"\"model_type\": \"phi3\", " SHAPE ", \"rope_scaling\": {\"type\": \"longrope\", \"long_factor\": [1]}",
     "self_attn.q_rope", "unsupported"},
    {"\"model_type\": \"glm4\", " SHAPE, "self_attn.q_rope", "rope_h4_d32_r16_interleaved_t10000"},
    {"\"model_type\": \"glm4\", " SHAPE ", \"attention_bias\": true", "self_attn.{q,k,v}_proj.bias",
     "add_n256"},
    {"\"model_type\": \"glm4\", " SHAPE ", \"attention_bias\": true", "self_attn.o_proj.bias", ""},
    /* gpt-oss: sinks. */
    {"\"model_type\": \"gpt_oss\", " SHAPE
     ", \"num_local_experts\": 4, \"num_experts_per_tok\": 2, \"sliding_window\": 16",
     "self_attn.attention", SEEN "_sinks " PLAIN "_sinks " SEEN "_sinks " PLAIN "_sinks"},
    /* Its experts, in mxfp4 where a list does not except them. */
    {GPT_OSS, "mlp.experts.down_proj", "gather_qmv_e4_top2_x_per_expert_n64_k96_b4_g32_f16_f32"},
    {GPT_OSS MXFP4, "mlp.experts.down_proj", "gather_qmv_e4_top2_x_per_expert_n64_k96_b4_g32_mxfp4_f32_f32"},
    {GPT_OSS MXFP4, "mlp.router", "qmv_n4_k64_b4_g32_f16_f32"},
    {GPT_OSS MXFP4, "self_attn.o_proj", "qmv_n64_k128_b4_g32_f16_f32"},
    {GPT_OSS MXFP4, "mlp.experts.gate_proj.bias", "gather_add_e4_top2_s96"},
    {GPT_OSS MXFP4 ", \"swiglu_limit\": 5", "mlp.clamped_swiglu", "clamped_swiglu_n192_a1p702_l5"},
    /* Gemma 4: other heads in layers without a window, whose values are the keys. */
    {GEMMA4, "self_attn.attention",
     "attention_decode_h4_kv2_d32_c64_s1_w16 attention_decode_h4_kv1_d64_c64_s1"},
    {GEMMA4, "self_attn.{q,k,v}_proj", "qmv_n256_k64_b4_g32_f16_f32"},
    {GEMMA4, "self_attn.{q,k}_proj", "qmv_n320_k64_b4_g32_f16_f32"},
    {GEMMA4, "self_attn.q_rope",
     "rope_h4_d32_r32_half_t100 rope_h4_d64_r64_half_t1000000_proportional_f1_p16"},
    {GEMMA4, "self_attn.v_norm", "rms_norm_r2_s32_eps1em06_unweighted rms_norm_r1_s64_eps1em06_unweighted"},
    {GEMMA4, "router.scale", "scale_n64_f0p125"},
    {GEMMA4, "router.per_expert_scale", "scale_rows_r2_s1_e4"},
    {GEMMA4, "experts.switch_glu.down_proj", "gather_qmv_e4_top2_x_per_expert_n64_k32_b4_g32_f16_f32"},
    {GEMMA4, "experts.geglu", "geglu_n64"},
    {GEMMA4, "layer_scalar", "scale_rows_r1_s64_e0"},
    {GEMMA4_WITH("true", "true", "null", "0", "0"), "self_attn.attention",
     "attention_decode_h4_kv2_d32_c64_s1_w16 attention_decode_h4_kv2_d64_c64_s1"},
    {GEMMA4_WITH("true", "false", "1", "0", "0"), "self_attn.{q,k,v}_proj",
     "qmv_n256_k64_b4_g32_f16_f32 qmv_n512_k64_b4_g32_f16_f32"},
    {GEMMA4_WITH("false", "true", "1", "0", "0"), "experts.geglu", ""},
    {GEMMA4_WITH("false", "true", "1", "0", "0"), "post_feedforward_layernorm", "rms_norm_r1_s64_eps1em06"},
    {GEMMA4_WITH("true", "true", "1", "32", "0"), "per_layer_input", "no op"},
    {GEMMA4_WITH("true", "true", "1", "0", "1"), "self_attn.shared_cache", "no op"},
    /* Qwen3.5: linear attention in three of four layers, or where a list says so. */
    {"\"model_type\": \"qwen3_5_text\", " SHAPE ", " LINEAR,
     "linear_attn.{in_proj_qkv,in_proj_z,in_proj_b,in_proj_a}", "qmv_n236_k64_b4_g32_f16_f32"},
    {"\"model_type\": \"qwen3_5_text\", " SHAPE ", " LINEAR, "linear_attn.conv1d",
     "causal_conv1d_c128_taps4"},
    {"\"model_type\": \"qwen3_5_text\", " SHAPE ", " LINEAR, "linear_attn.delta",
     "gated_delta_h6_kh2_k8_v16_eps1em06"},
    {"\"model_type\": \"qwen3_5_text\", " SHAPE ", \"rms_norm_eps\": 1e-4, " LINEAR, "linear_attn.norm",
     "gated_rms_norm_r6_s16_eps0p0001"},
    {"\"model_type\": \"qwen3_5_text\", " SHAPE ", " LINEAR, "self_attn.split", "split_r4_a32_b32"},
    {"\"model_type\": \"qwen3_5_text\", " SHAPE ", " LINEAR, "self_attn.q_norm",
     "rms_norm_r4_s32_plus_one_eps1em06"},
    {"\"model_type\": \"qwen3_5_text\", " SHAPE ", " LINEAR, "self_attn.q_rope",
     "rope_h4_d32_r8_half_t10000"},
    {"\"model_type\": \"qwen3_5_text\", " SHAPE ", " LINEAR, "self_attn.gate", "sigmoid_gate_n128"},
    {"\"model_type\": \"qwen3_5_text\", " SHAPE ", \"attn_output_gate\": false, " LINEAR, "self_attn.split",
     "unsupported"},
};

static struct kgen_spec *parse(const char *config)
{
    static const struct kgen_spec_options options = {.context = 64},
                                          with_bits = {.context = 64, .bits = 4, .group_size = 32};
    const bool has_method = strstr(config, "quant_method") != NULL;
    char text[2048];
    snprintf(text, sizeof text, "{%s%s}", config, has_method ? "" : BITS);
    return spec_parse(text, has_method ? &with_bits : &options);
}

static void test_problems(void **state)
{
    (void)state;
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++, executed++) {
        struct kgen_spec *spec = parse(cases[i].config);
        struct kgen_text text = {0};
        kgen_text_puts(&text, "");
        write_problems(spec, cases[i].step, &text);
        if (strcmp(text.data, cases[i].problems) != 0)
            fail_msg("{%s}: %s is\n%s, not\n%s", cases[i].config, cases[i].step, text.data,
                     cases[i].problems);
        kgen_text_free(&text);
        kgen_spec_free(spec);
    }
    assert_true(executed > 20);
}

/* The sinks are weights of attention; other families have none. */
static void test_weights(void **state)
{
    (void)state;
    static const struct {
        const char *config, *weight;
        int64_t rows; /* 0: there is no such weight */
    } weights[] = {
        {"\"model_type\": \"gpt_oss\", " SHAPE ", \"num_local_experts\": 4, \"num_experts_per_tok\": 2",
         "model.layers.3.self_attn.sinks", 4},
        {"\"model_type\": \"llama\", " SHAPE, "model.layers.3.self_attn.sinks", 0},
        {"\"model_type\": \"phi3\", " SHAPE, "model.layers.0.self_attn.qkv_proj.weight", 256},
        {"\"model_type\": \"phi3\", " SHAPE, "model.layers.3.mlp.gate_up_proj.weight", 192},
        {"\"model_type\": \"glm4\", " SHAPE, "model.layers.3.post_mlp_layernorm.weight", 64},
        {"\"model_type\": \"gemma3_text\", " SHAPE, "model.layers.3.post_feedforward_layernorm.weight", 64},
        {"\"model_type\": \"gemma3_text\", " SHAPE, "lm_head.weight", 0},
        {"\"model_type\": \"qwen3_5_text\", " SHAPE ", " LINEAR, "model.layers.2.linear_attn.conv1d.weight",
         128 * 4},
        {"\"model_type\": \"qwen3_5_text\", " SHAPE ", " LINEAR, "model.layers.3.linear_attn.A_log", 0},
        {"\"model_type\": \"qwen3_5_text\", " SHAPE ", \"full_attention_interval\": 3, " LINEAR,
         "model.layers.3.linear_attn.A_log", 6},
        {"\"model_type\": \"qwen3_5_text\", " SHAPE
         ", \"layer_types\": [\"full_attention\", \"full_attention\", \"linear_attention\", "
         "\"linear_attention\"], " LINEAR,
         "model.layers.3.linear_attn.A_log", 6},
        {"\"model_type\": \"qwen3_5_text\", " SHAPE
         ", \"layer_types\": [\"full_attention\", \"full_attention\", \"linear_attention\", "
         "\"linear_attention\"], " LINEAR,
         "model.layers.1.self_attn.q_proj.weight", 256},
    };
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(weights); i++, executed++) {
        struct kgen_spec *spec = parse(weights[i].config);
        const size_t found = kgen_graph_find_weight(spec->graph, weights[i].weight);
        if ((found == KGEN_GRAPH_NONE) != (weights[i].rows == 0))
            fail_msg("{%s}: %s", weights[i].config, weights[i].weight);
        if (found != KGEN_GRAPH_NONE)
            assert_int_equal(spec->graph->weights[found].shape[0], weights[i].rows);
        kgen_spec_free(spec);
    }
    assert_int_equal(executed, 12);
}

/* Errors have a place, also within the text's part. */
static void test_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
        int line;
    } errors[] = {
        {"{\"model_type\": \"mistral\", " SHAPE ",\n\"layer_types\": [\"full_attention\"]}",
         "must be an array with the kind of each of 4 layers", 2},
        {"{\"model_type\": \"mistral\", " SHAPE
         ",\n\"layer_types\": [\"full_attention\",\n\"full_attention\", "
         "\"full_attention\", \"chunked_attention\"]}",
         "the kind of layer \"chunked_attention\" is not supported", 3},
        {"{\"model_type\": \"qwen3_5_text\", " SHAPE ", " LINEAR
         ",\n\"layer_types\": [\"linear_attention\",\n\"sliding_attention\", "
         "\"full_attention\", \"full_attention\"]}",
         "the kind of layer \"sliding_attention\" is not supported", 3},
        {"{\"model_type\": \"llama\", " SHAPE
         ",\n\"layer_types\": [\"linear_attention\", \"full_attention\", "
         "\"full_attention\", \"full_attention\"]}",
         "the kind of layer \"linear_attention\" is not supported", 2},
        {"{\"model_type\": \"gemma2\", " SHAPE ",\n\"query_pre_attn_scalar\": 0}",
         "\"query_pre_attn_scalar\" must be from", 2},
        {"{\"model_type\": \"gemma2\", " SHAPE ",\n\"attn_logit_softcapping\": -1}", "\"softcap\"", 2},
        {"{\"model_type\": \"gemma2\", " SHAPE ",\n\"final_logit_softcapping\": -1}", "\"cap\"", 2},
        {"{\"hidden_size\": 64,\n\"text_config\": {\"model_type\": \"gemma3_text\",\n\"hidden_size\": "
         "\"64\"}}",
         "\"hidden_size\" must be", 3},
        {"{\n\"architectures\": [\"OtherForConditionalGeneration\"],\n\"text_config\": {\"model_type\": "
         "\"other_text\"}}",
         "the architecture \"OtherForConditionalGeneration\" is not supported", 2},
    };
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(errors); i++, executed++) {
        static const struct kgen_spec_options options = {0};
        struct kgen_error error = {0};
        struct kgen_spec *spec =
            kgen_spec_parse("spec.json", errors[i].text, strlen(errors[i].text), &options, &error);
        assert_null(spec);
        if (strstr(error.message, errors[i].message) == NULL || error.line != errors[i].line)
            fail_msg("%s: line %d: \"%s\", not line %d: \"%s\"", errors[i].text, error.line, error.message,
                     errors[i].line, errors[i].message);
    }
    assert_int_equal(executed, 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_problems),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
