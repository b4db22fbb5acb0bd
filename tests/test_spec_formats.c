/* SPDX-License-Identifier: MIT */
/* The dtype of scales, where a model says it by tensor. */
#include "gen/spec/spec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MODEL(members)                                                                                       \
    "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", \"hidden_size\": 256, "          \
    "\"intermediate_size\": 512, \"num_hidden_layers\": 2, \"num_attention_heads\": 4, "                     \
    "\"num_key_value_heads\": 2, \"vocab_size\": 1000, \"rms_norm_eps\": 1e-5, \"rope_theta\": 10000, "      \
    "\"max_position_embeddings\": 2048, \"torch_dtype\": \"bfloat16\", \"tie_word_embeddings\": false, "     \
    "\"hidden_act\": \"silu\", " members "}"
#define LIST(members)                                                                                        \
    "{\"kgen_schema\": 1, \"name\": \"list\", \"problems\": [{\"op\": \"qmv\", \"N\": 3, \"K\": 256" members \
    "}]}"
#define FOUR_BITS(members) MODEL("\"quantization\": {\"bits\": 4, \"group_size\": 32" members "}")

static bool has_problem(const struct kgen_spec *spec, const char *wanted)
{
    bool found = false;
    for (size_t i = 0; i < spec->count; i++) {
        struct kgen_text name = {0};
        kgen_problem_name(&spec->entries[i].problem, &name);
        found = found || strcmp(name.data, wanted) == 0;
        kgen_text_free(&name);
    }
    return found;
}

static void test_scale_dtype(void **state)
{
    static const struct {
        const char *text;
        int64_t option;        /* --scale-dtype */
        const char *result[3]; /* names of problems that there are, or what the error says */
    } table[] = {
        {FOUR_BITS(", \"scale_dtype\": \"f32\""),
         0,
         {"qmv_n1000_k256_b4_g32_f32_f32", "qmv_n512_k256_b4_g32_f32_f32"}},
        /* The earlier name. */
        {FOUR_BITS(", \"scales\": \"f16\""), 0, {"qmv_n1000_k256_b4_g32_f16_f32"}},
        {FOUR_BITS(", \"lm_head\": {\"scale_dtype\": \"f32\"}"),
         0,
         {"qmv_n1000_k256_b4_g32_f32_f32", "qmv_n512_k256_b4_g32_bf16_f32"}},
        /* Parts of a fused product that differ in it are two products. */
        {FOUR_BITS(", \"model.layers.1.self_attn.k_proj\": {\"scale_dtype\": \"f32\"}"),
         0,
         {"qmv_n512_k256_b4_g32_bf16_f32", "qmv_n384_k256_b4_g32_bf16_f32", "qmv_n128_k256_b4_g32_f32_f32"}},
        {MODEL("\"quantization\": {\"bits\": 4, \"scale_dtype\": \"f16\"}, \"overrides\": {\"lm_head\": "
               "{\"scale_dtype\": \"f32\"}}"),
         0,
         {"qmv_n1000_k256_b4_g64_f32_f32", "qmv_n512_k256_b4_g64_f16_f32"}},
        /* It goes with the scheme it was said with. */
        {FOUR_BITS(", \"scale_dtype\": \"f32\", \"lm_head\": {\"mode\": \"q8_0\"}"),
         0,
         {"qmv_n1000_k256_b8_g32_q8_0_f16_f32", "qmv_n512_k256_b4_g32_f32_f32"}},
        {FOUR_BITS(", \"scale_dtype\": \"f32\", \"lm_head\": {\"mode\": \"affine\", \"bits\": 6}"),
         0,
         {"qmv_n1000_k256_b6_g32_f32_f32"}},
        {MODEL("\"quantization\": {\"bits\": 4, \"scale_dtype\": \"f32\"}, \"overrides\": {\"lm_head\": "
               "{\"mode\": \"symmetric\"}}"),
         0,
         {"qmv_n1000_k256_b4_g64_symmetric_bf16_f32", "qmv_n512_k256_b4_g64_f32_f32"}},
        /* The option stands above the whole spec, and below what a tensor says. */
        {FOUR_BITS(", \"scale_dtype\": \"f32\", \"lm_head\": {\"scale_dtype\": \"bf16\"}"),
         KGEN_F16,
         {"qmv_n1000_k256_b4_g32_bf16_f32", "qmv_n512_k256_b4_g32_f16_f32"}},
        {FOUR_BITS(", \"lm_head\": {\"mode\": \"q8_0\", \"scale_dtype\": \"f32\"}"),
         0,
         {"the scheme q8_0 has scales of f16, not f32"}},
        /* A list of problems: the scheme's own dtype, where nobody says another. */
        {LIST(", \"scheme\": \"bf16\""), 0, {"qmv_n3_k256_b16_g32_bf16_bf16_f32"}},
        {LIST(", \"scheme\": \"q6_k\""), 0, {"qmv_n3_k256_b6_g16_q6_k_f16_f32"}},
        {LIST(", \"scheme\": \"bf16\", \"scales\": \"f16\""),
         0,
         {"the scheme bf16 has scales of bf16, not f16"}},
        {LIST(", \"scheme\": \"bf16\""), KGEN_F16, {"the scheme bf16 has scales of bf16, not f16"}},
        /* MLX's floating-point modes; a tensor with an object of its own has MLX's defaults. */
        {FOUR_BITS(", \"mode\": \"mxfp4\""),
         0,
         {"qmv_n1000_k256_b4_g32_mxfp4_f32_f32", "dequantize_n1_k256_b4_g32_mxfp4_f32"}},
        {MODEL("\"quantization\": {\"mode\": \"nvfp4\"}"), 0, {"qmv_n1000_k256_b4_g16_nvfp4_f32_f32"}},
        {MODEL("\"quantization_config\": {\"group_size\": 32, \"bits\": 8, \"mode\": \"mxfp8\"}"),
         0,
         {"qmv_n1000_k256_b8_g32_mxfp8_f32_f32"}},
        {FOUR_BITS(", \"mode\": \"mxfp4\", \"lm_head\": {\"bits\": 8}"),
         0,
         {"qmv_n1000_k256_b8_g64_bf16_f32", "qmv_n512_k256_b4_g32_mxfp4_f32_f32"}},
        {FOUR_BITS(", \"mode\": \"mxfp4\", \"lm_head\": {\"mode\": \"mxfp8\"}"),
         0,
         {"qmv_n1000_k256_b8_g32_mxfp8_f32_f32"}},
        {MODEL("\"quantization\": {\"mode\": \"mxfp4\", \"bits\": 8}"),
         0,
         {"\"bits\" of the scheme mxfp4 is 4, not 8"}},
        {MODEL("\"quantization\": {\"mode\": \"nvfp4\", \"group_size\": 32}"),
         0,
         {"\"group_size\" of the scheme nvfp4 is 16, not 32"}},
        {LIST(", \"scheme\": \"mxfp4\""), 0, {"qmv_n3_k256_b4_g32_mxfp4_f32_f32"}},
        {LIST(", \"scheme\": \"mxfp8\""), 0, {"qmv_n3_k256_b8_g32_mxfp8_f32_f32"}},
        {LIST(", \"scheme\": \"nvfp4\", \"bits\": 4, \"group_size\": 16"),
         0,
         {"qmv_n3_k256_b4_g16_nvfp4_f32_f32"}},
        {FOUR_BITS(", \"scale_dtype\": \"f64\""), 0, {"\"scale_dtype\" of quantization must be"}},
        {FOUR_BITS(", \"lm_head\": {\"scale_dtype\": \"f16\", \"scales\": \"f16\"}"),
         0,
         {"\"scales\" and \"scale_dtype\" are one field"}},
    };
    (void)state;
    size_t cases = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(table); i++) {
        struct kgen_error error = {0};
        const struct kgen_spec_options options = {.scale_dtype = table[i].option};
        struct kgen_spec *spec =
            kgen_spec_parse("m.json", table[i].text, strlen(table[i].text), &options, &error);
        for (size_t j = 0; j < 3 && table[i].result[j] != NULL; j++, cases++) {
            if (spec != NULL ? !has_problem(spec, table[i].result[j])
                             : strstr(error.message, table[i].result[j]) == NULL)
                fail_msg("case %zu: %s; not %s", i, spec != NULL ? "no such problem" : error.message,
                         table[i].result[j]);
        }
        kgen_spec_free(spec);
    }
    assert_true(cases > KGEN_COUNT_OF(table));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_scale_dtype)};
    return cmocka_run_group_tests_name("formats of tensors", tests, NULL, NULL);
}
