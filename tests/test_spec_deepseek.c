/* SPDX-License-Identifier: MIT */
/* What the configs of DeepSeek V2 and V3 become. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spec_fixture.h"

#include <stdio.h>
#include <string.h>

#define SHAPE                                                                                                \
    "\"hidden_size\": 64, \"intermediate_size\": 96, \"vocab_size\": 40, \"num_attention_heads\": 4, "       \
    "\"num_key_value_heads\": 4, \"num_hidden_layers\": 4, \"kv_lora_rank\": 64, \"qk_rope_head_dim\": 16, " \
    "\"qk_nope_head_dim\": 32, \"v_head_dim\": 32, \"n_routed_experts\": 8, \"num_experts_per_tok\": 2, "    \
    "\"moe_intermediate_size\": 32, \"rms_norm_eps\": 1e-5"
#define BITS ", \"quantization\": {\"bits\": 4, \"group_size\": 32}"
#define V3 "\"model_type\": \"deepseek_v3\", " SHAPE
#define V2 "\"model_type\": \"deepseek_v2\", " SHAPE

/* The problem of the node of a name; empty where there is none. */
static void write_problem(const struct kgen_spec *spec, const char *name, struct kgen_text *text)
{
    kgen_text_puts(text, "");
    for (size_t i = 0; i < spec->graph->node_count; i++) {
        if (strcmp(spec->graph->nodes[i].name, name) == 0)
            kgen_problem_name(&spec->graph->nodes[i].problem, text);
    }
}

static const struct {
    const char *config, *node, *problem;
} cases[] = {
    {V3, "head_ids", "arange_n4"},
    {V3, "layers.0.self_attn.q_proj", "qmv_n192_k64_b4_g32_f16_f32"},
    {V3 ", \"q_lora_rank\": 32", "layers.0.self_attn.q_b_proj", "qmv_n192_k32_b4_g32_f16_f32"},
    {V3 ", \"q_lora_rank\": 32", "layers.0.self_attn.q_a_layernorm", "rms_norm_r1_s32_eps1em06"},
    {V3, "layers.0.self_attn.kv_a_layernorm", "rms_norm_r1_s64_eps1em06"},
    {V3, "layers.0.post_attention_layernorm", "rms_norm_r1_s64_residual_eps1em05"},
    {V3, "layers.0.self_attn.q_split", "split_r4_a32_b16"},
    {V3, "layers.3.self_attn.q_rope", "rope_h4_d16_r16_interleaved_t10000"},
    {V3, "layers.3.self_attn.k_rope", "rope_h1_d16_r16_interleaved_t10000"},
    {V3, "layers.3.self_attn.embed_q", "gather_qmv_e4_top4_x_per_expert_n64_k32_b4_g32_f16_f32"},
    {V3, "layers.3.self_attn.unembed_out", "gather_qmv_e4_top4_x_per_expert_n32_k64_b4_g32_f16_f32"},
    {V3, "layers.3.self_attn.o_proj", "qmv_n64_k128_b4_g32_f16_f32"},
    /* The scale is 1 / sqrt(48), with YaRN times (0.1 ln 4 + 1)^2. */
    {V3, "layers.0.self_attn.attention", "mla_decode_h4_r64_d16_c64_s0p14433756729740646_hp8_kp4"},
    {V3 ", \"rope_scaling\": {\"type\": \"yarn\", \"factor\": 4, \"original_max_position_embeddings\": 16, "
        "\"mscale\": 1, \"mscale_all_dim\": 1}",
     "layers.0.self_attn.attention", "mla_decode_h4_r64_d16_c64_s0p18713033519502434_hp8_kp4"},
    {V3, "layers.0.mlp.router", "router_r1_e8_top2_sigmoid_normalised_corrected"},
    {V3 ", \"n_group\": 4, \"topk_group\": 2, \"routed_scaling_factor\": 2.5", "layers.0.mlp.router",
     "router_r1_e8_top2_sigmoid_normalised_corrected_g4_gt2_f2p5"},
    {V3 ", \"first_k_dense_replace\": 2", "layers.1.mlp.router", ""},
    {V3 ", \"first_k_dense_replace\": 2", "layers.1.mlp.down_proj", "qmv_n64_k96_b4_g32_f16_f32"},
    {V3 ", \"first_k_dense_replace\": 2", "layers.2.mlp.switch_mlp.gate_proj",
     "gather_qmv_e8_top2_n32_k64_b4_g32_f16_f32"},
    {V3 ", \"moe_layer_freq\": 2", "layers.1.mlp.router", ""},
    {V3 ", \"n_shared_experts\": 3", "layers.1.mlp.shared_experts.down_proj", "qmv_n64_k96_b4_g32_f16_f32"},
    {V3, "layers.1.mlp.add", ""},
    {V2, "layers.0.mlp.router", "router_r1_e8_top2_softmax"},
    {V2 ", \"topk_method\": \"group_limited_greedy\", \"n_group\": 4, \"topk_group\": 2",
     "layers.0.mlp.router", "router_r1_e8_top2_softmax_g4_gt2"},
};

static void test_problems(void **state)
{
    (void)state;
    static const struct kgen_spec_options options = {.context = 64};
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++, executed++) {
        char config[2048];
        struct kgen_text text = {0};
        snprintf(config, sizeof config, "{%s" BITS "}", cases[i].config);
        struct kgen_spec *spec = spec_parse(config, &options);
        write_problem(spec, cases[i].node, &text);
        if (strcmp(text.data, cases[i].problem) != 0)
            fail_msg("{%s}: %s is\n%s, not\n%s", cases[i].config, cases[i].node, text.data, cases[i].problem);
        assert_int_equal(spec->warning_count, 0);
        kgen_text_free(&text);
        kgen_spec_free(spec);
    }
    assert_int_equal(executed, KGEN_COUNT_OF(cases));
}

static void test_errors(void **state)
{
    (void)state;
    static const struct {
        const char *config, *message;
    } errors[] = {
        {V3 ",\n\"scoring_func\": \"relu\"", "\"scoring_func\" \"relu\" is not supported"},
        {V3 ",\n\"topk_method\": \"best\"", "\"topk_method\" \"best\" is not supported"},
        {V3 ",\n\"rope_interleave\": false", "\"rope_interleave\" false is not supported"},
        {V3 ",\n\"n_group\": 3, \"topk_group\": 2", "8 experts are not a multiple of 3 groups"},
        {V3 ",\n\"cache_dtype\": \"q8_0\"", "\"cache_dtype\" of mla_decode"},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(errors); i++) {
        char config[2048];
        struct kgen_error error = {0};
        snprintf(config, sizeof config, "{%s" BITS "}", errors[i].config);
        struct kgen_spec *spec = kgen_spec_parse("deepseek.json", config, strlen(config), NULL, &error);
        assert_null(spec);
        if (strstr(error.message, errors[i].message) == NULL)
            fail_msg("\"%s\" does not hold \"%s\"", error.message, errors[i].message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_problems),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
