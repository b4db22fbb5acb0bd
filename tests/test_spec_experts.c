/* SPDX-License-Identifier: MIT */
/* Models with experts, and the problems derived from them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spec_fixture.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define QWEN3_30B "../shared/configs/Qwen3-30B-A3B.json"

#define HEAD(type)                                                                                           \
    "{\"model_type\": \"" type "\", \"hidden_size\": 256, \"intermediate_size\": 512, \"vocab_size\": 1000," \
    "\"num_hidden_layers\": 6, \"num_attention_heads\": 4, \"num_key_value_heads\": 2,"
#define COMPARE_OP(spec, op, expected) spec_compare_op(spec, op, expected, KGEN_COUNT_OF(expected))

static void test_experts(void **state)
{
    (void)state;
    if (access(QWEN3_30B, R_OK) != 0) {
        puts("skipped: there is no " QWEN3_30B " here");
        skip();
    }
    static const struct kgen_spec_options options = {.bits = 4, .group_size = 64};
    static const struct spec_expected expected[] = {
        {"dequantize_n1_k2048_b4_g64_bf16", 1, "embed_tokens"},
        {"rms_norm_r1_s2048_eps1em06", 1, "layers.0.input_layernorm"},
        {"qmv_n5120_k2048_b4_g64_bf16_f32", 48, "layers.*.self_attn.{q,k,v}_proj"},
        {"rms_norm_r32_s128_eps1em06", 48, "layers.*.self_attn.q_norm"},
        {"rms_norm_r4_s128_eps1em06", 48, "layers.*.self_attn.k_norm"},
        {"rope_h32_d128_r128_half_t1000000", 48, "layers.*.self_attn.q_rope"},
        {"rope_h4_d128_r128_half_t1000000", 48, "layers.*.self_attn.k_rope"},
        {"attention_decode_h32_kv4_d128_c4096", 48, "layers.*.self_attn.attention"},
        {"qmv_n2048_k4096_b4_g64_bf16_f32", 48, "layers.*.self_attn.o_proj"},
        {"rms_norm_r1_s2048_residual_eps1em06", 96,
         "layers.*.post_attention_layernorm, layers.1-47.input_layernorm, norm"},
        {"qmv_n128_k2048_b4_g64_bf16_f32", 48, "layers.*.mlp.gate"},
        {"router_r1_e128_top8_softmax_normalised", 48, "layers.*.mlp.router"},
        {"gather_qmv_e128_top8_n768_k2048_b4_g64_bf16_f32", 96,
         "layers.*.mlp.switch_mlp.gate_proj, layers.*.mlp.switch_mlp.up_proj"},
        {"swiglu_n6144", 48, "layers.*.mlp.swiglu"},
        {"gather_qmv_e128_top8_x_per_expert_n2048_k768_b4_g64_bf16_f32", 48,
         "layers.*.mlp.switch_mlp.down_proj"},
        {"weighted_sum_r8_s2048", 48, "layers.*.mlp.weighted_sum"},
        {"qmv_n151936_k2048_b4_g64_bf16_f32", 1, "lm_head"},
    };
    struct kgen_spec *spec = spec_read(QWEN3_30B, &options);
    spec_compare(spec, expected, KGEN_COUNT_OF(expected));
    assert_string_equal(spec->name, "Qwen3-30B-A3B");
    assert_false(spec_warns(spec, "not derived"));
    kgen_spec_free(spec);
}

/* Layers that mlp_only_layers and decoder_sparse_step leave dense have their mlp derived. */
static void test_dense_layers(void **state)
{
    (void)state;
    static const char text[] =
        HEAD("qwen3_moe") "\"num_experts\": 8, \"num_experts_per_tok\": 2, \"moe_intermediate_size\": 64,"
                          "\"decoder_sparse_step\": 2, \"mlp_only_layers\": [3],"
                          "\"quantization\": {\"bits\": 4, \"model.layers.1.mlp.gate\": {\"bits\": 8}},"
                          "\"overrides\": {\"*.mlp.gate\": {\"bits\": 8}}}";
    struct kgen_spec *spec = spec_parse(text, NULL);
    assert_false(spec_warns(spec, "not derived"));
    static const struct spec_expected expected[] = {{"swiglu_n512", 4, "layers.0,2-4.mlp.swiglu"},
                                                    {"swiglu_n128", 2, "layers.1,5.mlp.swiglu"}};
    COMPARE_OP(spec, kgen_op_find("swiglu"), expected);
    static const struct spec_expected routers[] = {{"router_r1_e8_top2_softmax", 2, "layers.1,5.mlp.router"}};
    spec = spec_parse(text, NULL); /* a comparison frees it */
    COMPARE_OP(spec, kgen_op_find("router"), routers);
}

/* Every layer of Mixtral has experts, whose tensors are not called as those of other families. */
static void test_mixtral(void **state)
{
    (void)state;
    static const char text[] = HEAD("mixtral") "\"num_local_experts\": 8, \"num_experts_per_tok\": 2,"
                                               "\"quantization\": {\"bits\": 4, "
                                               "\"model.layers.1.block_sparse_moe.gate\": {\"bits\": 8}}}";
    struct kgen_spec *spec = spec_parse(text, NULL);
    assert_false(spec_warns(spec, "not derived"));
    static const struct spec_expected products[] = {
        {"qmv_n512_k256_b4_g64_f16_f32", 6, "layers.*.self_attn.{q,k,v}_proj"},
        {"qmv_n256_k256_b4_g64_f16_f32", 6, "layers.*.self_attn.o_proj"},
        {"qmv_n8_k256_b4_g64_f16_f32", 5, "layers.0,2-5.block_sparse_moe.gate"},
        {"qmv_n8_k256_b8_g64_f16_f32", 1, "layers.1.block_sparse_moe.gate"},
        {"qmv_n1000_k256_b4_g64_f16_f32", 1, "lm_head"}};
    static const struct spec_expected experts[] = {
        {"gather_qmv_e8_top2_n512_k256_b4_g64_f16_f32", 12,
         "layers.*.block_sparse_moe.switch_mlp.gate_proj, layers.*.block_sparse_moe.switch_mlp.up_proj"},
        {"gather_qmv_e8_top2_x_per_expert_n256_k512_b4_g64_f16_f32", 6,
         "layers.*.block_sparse_moe.switch_mlp.down_proj"}};
    COMPARE_OP(spec, kgen_op_find("gather_qmv"), experts);
    static const struct spec_expected routers[] = {
        {"router_r1_e8_top2_softmax_normalised", 6, "layers.*.block_sparse_moe.router"}};
    spec = spec_parse(text, NULL); /* a comparison frees it */
    COMPARE_OP(spec, kgen_op_find("router"), routers);
    spec = spec_parse(text, NULL); /* a comparison frees it */
    COMPARE_OP(spec, kgen_op_find("qmv"), products);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_experts), cmocka_unit_test(test_dense_layers),
                                       cmocka_unit_test(test_mixtral)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
