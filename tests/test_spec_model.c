/* SPDX-License-Identifier: MIT */
/* Models that are accepted, and the problems derived from them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spec_fixture.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define COMPARE(spec, expected) spec_compare(spec, expected, KGEN_COUNT_OF(expected))

/* ---- the specs that ship ---- */

/* Both activations of a matrix, one after the other. */
#define TWICE(name, calls, tensors)                                                                          \
    {name "_i24", calls, tensors},                                                                           \
    {                                                                                                        \
        name "_i8", calls, tensors                                                                           \
    }

#define QWEN3_8B(format)                                                                                     \
    {"dequantize_n1_k4096_" format, 1, "embed_tokens"},                                                      \
        {"rms_norm_r1_s4096_eps1em06", 1, "layers.0.input_layernorm"},                                       \
        TWICE("qmv_n6144_k4096_" format, 36, "layers.*.self_attn.{q,k,v}_proj"),                             \
        {"rms_norm_r32_s128_eps1em06", 36, "layers.*.self_attn.q_norm"},                                     \
        {"rms_norm_r8_s128_eps1em06", 36, "layers.*.self_attn.k_norm"},                                      \
        {"rope_h32_d128_r128_half_t1000000", 36, "layers.*.self_attn.q_rope"},                               \
        {"rope_h8_d128_r128_half_t1000000", 36, "layers.*.self_attn.k_rope"},                                \
        {"attention_decode_h32_kv8_d128_c4096", 36, "layers.*.self_attn.attention"},                         \
        TWICE("qmv_n4096_k4096_" format, 36, "layers.*.self_attn.o_proj"),                                   \
        {"rms_norm_r1_s4096_residual_eps1em06", 72,                                                          \
         "layers.*.post_attention_layernorm, layers.1-35.input_layernorm, norm"},                            \
        TWICE("qmv_n24576_k4096_" format, 36, "layers.*.mlp.{gate,up}_proj"),                                \
        {"swiglu_n12288", 36, "layers.*.mlp.swiglu"},                                                        \
        TWICE("qmv_n4096_k12288_" format, 36, "layers.*.mlp.down_proj"),                                     \
        TWICE("qmv_n151936_k4096_" format, 1, "lm_head")

static void test_qwen(void **state)
{
    (void)state;
    static const struct spec_expected qwen[] = {QWEN3_8B("b4_g64_f16")}, bonsai[] = {QWEN3_8B("b1_g128_f16")};
    struct kgen_spec *spec = spec_read("specs/qwen.json", NULL);
    COMPARE(spec, qwen);
    assert_string_equal(spec->name, "qwen");
    assert_string_equal(spec->summary, "Qwen3ForCausalLM, 36 layers, hidden 4096, 4 bits, group 64");
    assert_int_equal(spec->warning_count, 0);
    kgen_spec_free(spec);
    spec = spec_read("specs/bonsai-8b.json", NULL);
    COMPARE(spec, bonsai);
    assert_string_equal(spec->identifier, "bonsai_8b");
    assert_string_equal(spec->summary, "Qwen3ForCausalLM, 36 layers, hidden 4096, 1 bit, group 128");
    kgen_spec_free(spec);
}

static void test_qwen_small(void **state)
{
    (void)state;
    static const struct spec_expected expected[] = {
        {"dequantize_n1_k1024_b4_g64_f16", 1, "embed_tokens"},
        {"rms_norm_r1_s1024_eps1em06", 1, "layers.0.input_layernorm"},
        TWICE("qmv_n4096_k1024_b4_g64_f16", 28, "layers.*.self_attn.{q,k,v}_proj"),
        {"rms_norm_r16_s128_eps1em06", 28, "layers.*.self_attn.q_norm"},
        {"rms_norm_r8_s128_eps1em06", 28, "layers.*.self_attn.k_norm"},
        {"rope_h16_d128_r128_half_t1000000", 28, "layers.*.self_attn.q_rope"},
        {"rope_h8_d128_r128_half_t1000000", 28, "layers.*.self_attn.k_rope"},
        {"attention_decode_h16_kv8_d128_c4096", 28, "layers.*.self_attn.attention"},
        TWICE("qmv_n1024_k2048_b4_g64_f16", 28, "layers.*.self_attn.o_proj"),
        {"rms_norm_r1_s1024_residual_eps1em06", 56,
         "layers.*.post_attention_layernorm, layers.1-27.input_layernorm, norm"},
        TWICE("qmv_n6144_k1024_b4_g64_f16", 28, "layers.*.mlp.{gate,up}_proj"),
        {"swiglu_n3072", 28, "layers.*.mlp.swiglu"},
        TWICE("qmv_n1024_k3072_b4_g64_f16", 28, "layers.*.mlp.down_proj"),
        TWICE("qmv_n151936_k1024_b4_g64_f16", 1, "lm_head (embed_tokens)"),
    };
    struct kgen_spec *spec = spec_read("specs/qwen3-0.6b.json", NULL);
    COMPARE(spec, expected);
    assert_string_equal(spec->name, "qwen3-0.6b");
    kgen_spec_free(spec);
}

static void test_llama(void **state)
{
    (void)state;
    static const struct spec_expected expected[] = {
        {"dequantize_n1_k4096_b4_g64_f16", 1, "embed_tokens"},
        {"rms_norm_r1_s4096_eps1em05", 1, "layers.0.input_layernorm"},
        TWICE("qmv_n6144_k4096_b4_g64_f16", 32, "layers.*.self_attn.{q,k,v}_proj"),
        {"rope_h32_d128_r128_half_t500000_llama3_f8_l1_h4_o8192", 32, "layers.*.self_attn.q_rope"},
        {"rope_h8_d128_r128_half_t500000_llama3_f8_l1_h4_o8192", 32, "layers.*.self_attn.k_rope"},
        {"attention_decode_h32_kv8_d128_c4096", 32, "layers.*.self_attn.attention"},
        TWICE("qmv_n4096_k4096_b4_g64_f16", 32, "layers.*.self_attn.o_proj"),
        {"rms_norm_r1_s4096_residual_eps1em05", 64,
         "layers.*.post_attention_layernorm, layers.1-31.input_layernorm, norm"},
        TWICE("qmv_n28672_k4096_b4_g64_f16", 32, "layers.*.mlp.{gate,up}_proj"),
        {"swiglu_n14336", 32, "layers.*.mlp.swiglu"},
        TWICE("qmv_n4096_k14336_b4_g64_f16", 32, "layers.*.mlp.down_proj"),
        TWICE("qmv_n128256_k4096_b4_g64_f16", 1, "lm_head"),
    };
    struct kgen_spec *spec = spec_read("specs/llama-3.1-8b.json", NULL);
    COMPARE(spec, expected);
    kgen_spec_free(spec);
}

/* ---- real configs, as they are ---- */

#define CONFIGS "../shared/configs"

static bool have_configs(void)
{
    struct stat status;
    return stat(CONFIGS, &status) == 0 && S_ISDIR(status.st_mode);
}

/* A config that says bfloat16 has bf16 scales; else it gives what the shipped spec gives. */
static void same_as(const char *config, const char *shipped)
{
    static const struct kgen_spec_options options = {
        .bits = 4, .group_size = 64, .activation_dtypes = {KGEN_I24, KGEN_I8}};
    struct kgen_spec *spec = spec_read(config, &options), *other = spec_read(shipped, NULL);
    assert_int_equal(spec->count, other->count);
    assert_true(spec->count > 0);
    for (size_t i = 0; i < spec->count; i++) {
        struct kgen_problem *problem = &spec->entries[i].problem;
        if (problem->op == kgen_op_find("qmv") || problem->op == kgen_op_find("dequantize")) {
            assert_int_equal(kgen_problem_get(problem, "scale_dtype"), KGEN_BF16);
            kgen_problem_set(problem, "scale_dtype", KGEN_F16);
        }
        struct kgen_text a = {0}, b = {0};
        kgen_problem_write(problem, &a);
        kgen_problem_write(&other->entries[i].problem, &b);
        assert_string_equal(a.data, b.data);
        assert_string_equal(spec->entries[i].tensors, other->entries[i].tensors);
        kgen_text_free(&a);
        kgen_text_free(&b);
    }
    kgen_spec_free(spec);
    kgen_spec_free(other);
}

static void test_configs(void **state)
{
    (void)state;
    if (!have_configs()) {
        puts("skipped: there is no " CONFIGS " here");
        skip();
    }
    same_as(CONFIGS "/Qwen3-8B.json", "specs/qwen.json");
    same_as(CONFIGS "/Qwen3-0.6B.json", "specs/qwen3-0.6b.json");
    same_as(CONFIGS "/Meta-Llama-3.1-8B.json", "specs/llama-3.1-8b.json");
}

/* ---- derivation: what configs vary ---- */

#define HEAD(type)                                                                                           \
    "{\"model_type\": \"" type "\", \"hidden_size\": 256, \"intermediate_size\": 512, \"vocab_size\": 1000," \
    "\"num_hidden_layers\": 6, \"num_attention_heads\": 4, \"num_key_value_heads\": 2,"
#define FOUR_BITS "\"quantization\": {\"bits\": 4, \"group_size\": 64}"

#define COMPARE_OP(spec, op, expected) spec_compare_op(spec, op, expected, KGEN_COUNT_OF(expected))

static void test_overrides(void **state)
{
    (void)state;
    /* Per tensor as MLX writes it, then patterns over it, the later ones over the earlier. */
    struct kgen_spec *spec =
        spec_parse(HEAD("llama") "\"quantization\": {\"bits\": 4, \"group_size\": 64, \"mode\": \"affine\","
                                 "  \"model.layers.1.self_attn.v_proj\": {\"bits\": 6, \"group_size\": 32},"
                                 "  \"model.layers.4.mlp.up_proj\": {\"bits\": 8}, \"lm_head\": true},"
                                 "\"overrides\": {\"*.down_proj\": {\"bits\": 6},"
                                 "  \"model.layers.[0-2].mlp.down_proj\": {\"group_size\": 128},"
                                 "  \"*.3.*.down_proj\": {\"bits\": 5, \"mode\": \"symmetric\"},"
                                 "  \"model.embed_tokens\": {\"bits\": 8}}}",
                   NULL);
    assert_string_equal(spec->summary, "LlamaForCausalLM, 6 layers, hidden 256, 4 bits, group 64, mixed");
    assert_string_equal(spec->entries[0].tensors, "embed_tokens");
    assert_int_equal(kgen_problem_get(&spec->entries[0].problem, "bits"), 8);
    static const struct spec_expected expected[] = {
        {"qmv_n512_k256_b4_g64_f16_f32", 6, "layers.0,2-5.self_attn.{q,k,v}_proj, layers.4.mlp.gate_proj"},
        {"qmv_n256_k256_b4_g64_f16_f32", 6, "layers.*.self_attn.o_proj"},
        {"qmv_n1024_k256_b4_g64_f16_f32", 5, "layers.0-3,5.mlp.{gate,up}_proj"},
        {"qmv_n256_k512_b6_g128_f16_f32", 3, "layers.0-2.mlp.down_proj"},
        {"qmv_n384_k256_b4_g64_f16_f32", 1, "layers.1.self_attn.{q,k}_proj"},
        {"qmv_n128_k256_b6_g32_f16_f32", 1, "layers.1.self_attn.v_proj"},
        {"qmv_n256_k512_b5_g64_symmetric_f16_f32", 1, "layers.3.mlp.down_proj"},
        {"qmv_n512_k256_b8_g64_f16_f32", 1, "layers.4.mlp.up_proj"},
        {"qmv_n256_k512_b6_g64_f16_f32", 2, "layers.4-5.mlp.down_proj"},
        {"qmv_n1000_k256_b4_g64_f16_f32", 1, "lm_head"},
    };
    COMPARE_OP(spec, kgen_op_find("qmv"), expected);
}

/* MLX writes the object under either name, and under both. */
static void test_quantization_config(void **state)
{
    (void)state;
    static const char *const texts[] = {
        FOUR_BITS,
        "\"quantization_config\": {\"bits\": 4, \"group_size\": 64}",
        FOUR_BITS ", \"quantization_config\": {\"group_size\": 64, \"bits\": 4}",
        "\"quantization\": null, \"quantization_config\": {\"bits\": 4, \"group_size\": 64}",
        FOUR_BITS ", \"quantization_config\": null",
        "\"quantization_config\": {\"bits\": 4, \"group_size\": 64, \"lm_head\": true}",
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(texts); i++) {
        char text[500];
        snprintf(text, sizeof text, HEAD("llama") "%s}", texts[i]);
        struct kgen_spec *spec = spec_parse(text, NULL);
        assert_string_equal(spec->summary, "LlamaForCausalLM, 6 layers, hidden 256, 4 bits, group 64");
        kgen_spec_free(spec);
    }
    /* Options stand in for a method that is not read. */
    static const struct kgen_spec_options options = {.bits = 8, .group_size = 32};
    struct kgen_spec *spec = spec_parse(
        HEAD("llama") "\"quantization_config\": {\"quant_method\": \"fp8\", \"fmt\": \"e4m3\"}}", &options);
    assert_string_equal(spec->summary, "LlamaForCausalLM, 6 layers, hidden 256, 8 bits, group 32");
    assert_false(spec_warns(spec, "quantization_config"));
    kgen_spec_free(spec);
}

/* One differing key of the format is enough to part fused matrices; those that agree stay together. */
static void test_parted(void **state)
{
    (void)state;
    static const char *const formats[] = {"{\"bits\": 2}", "{\"group_size\": 32}",
                                          "{\"mode\": \"symmetric\"}"};
    static const char *const names[] = {"b2_g64", "b4_g32", "b4_g64_symmetric"};
    for (size_t i = 0; i < KGEN_COUNT_OF(formats); i++) {
        char text[1000], parted[100];
        snprintf(text, sizeof text, "%s%s, \"overrides\": {\"*.k_proj\": %s}}", HEAD("llama"), FOUR_BITS,
                 formats[i]);
        snprintf(parted, sizeof parted, "qmv_n128_k256_%s_f16_f32", names[i]);
        const struct spec_expected expected[] = {
            {"qmv_n384_k256_b4_g64_f16_f32", 6, "layers.*.self_attn.{q,v}_proj"},
            {parted, 6, "layers.*.self_attn.k_proj"},
            {"qmv_n256_k256_b4_g64_f16_f32", 6, "layers.*.self_attn.o_proj"},
            {"qmv_n1024_k256_b4_g64_f16_f32", 6, "layers.*.mlp.{gate,up}_proj"},
            {"qmv_n256_k512_b4_g64_f16_f32", 6, "layers.*.mlp.down_proj"},
            {"qmv_n1000_k256_b4_g64_f16_f32", 1, "lm_head"},
        };
        COMPARE_OP(spec_parse(text, NULL), kgen_op_find("qmv"), expected);
    }
}

/* Qwen3's heads have 128 elements whatever hidden_size is; others' share it. */
static void test_head_dim(void **state)
{
    (void)state;
    static const struct spec_expected qwen3[] = {
        {"rope_h4_d128_r128_half_t10000", 6, "layers.*.self_attn.q_rope"},
        {"rope_h2_d128_r128_half_t10000", 6, "layers.*.self_attn.k_rope"}};
    static const struct spec_expected given[] = {
        {"rope_h4_d32_r32_half_t10000", 6, "layers.*.self_attn.q_rope"},
        {"rope_h2_d32_r32_half_t10000", 6, "layers.*.self_attn.k_rope"}};
    COMPARE_OP(spec_parse(HEAD("qwen3") FOUR_BITS "}", NULL), kgen_op_find("rope"), qwen3);
    COMPARE_OP(spec_parse(HEAD("qwen3") FOUR_BITS ", \"head_dim\": 32}", NULL), kgen_op_find("rope"), given);
    COMPARE_OP(spec_parse(HEAD("mistral") FOUR_BITS ", \"head_dim\": 32}", NULL), kgen_op_find("rope"),
               given);
}

/* The room of the caches: an option, or kgen's own key, or what the model was made for up to a limit. */
static void test_context(void **state)
{
    (void)state;
    static const struct {
        const char *keys;
        int64_t option, context;
    } cases[] = {
        {"", 0, 4096},
        {", \"max_position_embeddings\": 2048", 0, 2048},
        {", \"max_position_embeddings\": 131072", 0, 4096},
        {", \"max_position_embeddings\": null", 0, 4096},
        {", \"max_position_embeddings\": 2048, \"context\": 8192", 0, 8192},
        {", \"max_position_embeddings\": 2048, \"context\": 8192", 16384, 16384},
        {", \"sliding_window\": null", 0, 4096},
        {", \"sliding_window\": 4096", 0, 4096},
        {", \"sliding_window\": 32, \"use_sliding_window\": false", 0, 4096},
    };
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++, executed++) {
        const struct kgen_spec_options options = {.context = cases[i].option};
        struct kgen_text text = {0}, name = {0};
        kgen_text_printf(&text, "%s%s}", HEAD("mistral") FOUR_BITS, cases[i].keys);
        kgen_text_printf(&name, "attention_decode_h4_kv2_d64_c%lld", (long long)cases[i].context);
        const struct spec_expected expected[] = {{name.data, 6, "layers.*.self_attn.attention"}};
        COMPARE_OP(spec_parse(text.data, &options), kgen_op_find("attention_decode"), expected);
        kgen_text_free(&text);
        kgen_text_free(&name);
    }
    assert_int_equal(executed, 9);
}

/* Problems of several rows: an option, or kgen's own key. The tensors of the others are views, or the result,
 * or meet a bias. */
static void test_prompt_rows(void **state)
{
    (void)state;
    static const struct {
        const char *keys;
        int64_t option, rows;
    } cases[] = {
        {"", 0, 1},
        {", \"prompt_rows\": 1", 0, 1},
        {", \"prompt_rows\": 8", 0, 8},
        {", \"prompt_rows\": 8", 16, 16},
        {", \"prompt_rows\": 8", 1, 1},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        const struct kgen_spec_options options = {.prompt_rows = cases[i].option};
        const int64_t rows = cases[i].rows;
        struct kgen_text text = {0};
        kgen_text_printf(&text, "%s%s}", HEAD("qwen2") FOUR_BITS, cases[i].keys);
        struct kgen_spec *spec = spec_parse(text.data, &options);
        assert_int_equal(spec->graph->prompt_rows, rows);
        size_t batches = 0;
        for (size_t j = 0; j < spec->graph->node_count; j++) {
            const struct kgen_graph_node *node = &spec->graph->nodes[j];
            batches += node->batch_count;
            const struct kgen_problem *batch =
                node->batch_count > 0 ? &spec->entries[node->batches[0]].problem : NULL;
            if (batch != NULL && kgen_problem_has(batch, "M"))
                assert_int_equal(kgen_problem_get(batch, "M"), rows);
            else if (batch != NULL)
                assert_int_equal(kgen_problem_range_outer(batch),
                                 (size_t)rows * kgen_problem_range_outer(&node->problem));
            if (strcmp(node->op, "add") == 0 || strcmp(node->op, "swiglu") == 0)
                assert_int_equal(node->batch_count, 0);
        }
        /* The embedding, and the two norms of each layer and the last. */
        assert_int_equal(batches >= 1 + 2 * 6 + 1, rows > 1);
        kgen_spec_free(spec);
        kgen_text_free(&text);
    }
}

/* The precision of the output projection: kgen's own key, or an option, once in the place of the others. */
static void test_output_activation_dtype(void **state)
{
    (void)state;
    static const struct {
        const char *keys;
        int64_t option;
        size_t count; /* of the precisions of the output projection */
        int64_t output;
    } cases[] = {
        {"", KGEN_CONSTANT_NONE, 2, KGEN_F32},
        {", \"output_activation_dtype\": null", KGEN_CONSTANT_NONE, 2, KGEN_F32},
        {", \"output_activation_dtype\": \"i24\"", KGEN_CONSTANT_NONE, 1, KGEN_I24},
        {", \"output_activation_dtype\": \"i8\"", KGEN_CONSTANT_NONE, 1, KGEN_I8},
        {", \"output_activation_dtype\": \"i8\"", KGEN_I16, 1, KGEN_I16},
        {"", KGEN_I24, 1, KGEN_I24},
    };
    static const char *const ties[] = {"", ", \"tie_word_embeddings\": true"};
    size_t executed = 0;
    for (size_t i = 0; i < 2 * KGEN_COUNT_OF(cases); i++) {
        const struct kgen_spec_options options = {.output_activation_dtype = cases[i / 2].option};
        struct kgen_text text = {0};
        kgen_text_printf(
            &text,
            "%s%s%s, \"activation_dtype\": [\"f32\", \"i8\"], \"sequences\": 2, \"layout\": \"tiles16\"}",
            HEAD("qwen2") FOUR_BITS, cases[i / 2].keys, ties[i % 2]);
        struct kgen_spec *spec = spec_parse(text.data, &options);
        for (size_t j = 0; j < spec->graph->node_count; j++) {
            const struct kgen_graph_node *node = &spec->graph->nodes[j];
            const struct kgen_problem *first = &spec->entries[node->entries[0]].problem;
            if (!kgen_problem_has(first, "activation_dtype"))
                continue;
            const bool output = strcmp(node->name, "lm_head") == 0;
            assert_int_equal(node->entry_count, output ? cases[i / 2].count : 2);
            assert_int_equal(kgen_problem_get(first, "activation_dtype"),
                             output ? cases[i / 2].output : KGEN_F32);
            if (output)
                assert_int_equal(node->sequence_batch_counts[0], node->entry_count);
            executed += output;
        }
        kgen_spec_free(spec);
        kgen_text_free(&text);
    }
    assert_int_equal(executed, 2 * KGEN_COUNT_OF(cases));
}

/* What the op cannot do is a warning, and the nodes are no problems. */
static void test_unsupported_attention(void **state)
{
    (void)state;
    static const struct {
        const char *keys, *warning;
    } cases[] = {
        {", \"head_dim\": 1024", "attention is not derived: \"head_dim\" of attention_decode"},
    };
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++, executed++) {
        struct kgen_text text = {0};
        kgen_text_printf(&text, "%s%s}", HEAD("mistral") FOUR_BITS, cases[i].keys);
        struct kgen_spec *spec = spec_parse(text.data, NULL);
        assert_true(spec_warns(spec, cases[i].warning));
        assert_int_equal(spec->warning_count, 1);
        for (size_t j = 0; j < spec->count; j++)
            assert_string_not_equal(spec->entries[j].problem.op->name, "attention_decode");
        for (size_t j = 0; j < spec->graph->node_count; j++)
            assert_int_equal(spec->graph->nodes[j].status == KGEN_GRAPH_UNSUPPORTED,
                             strcmp(spec->graph->nodes[j].op, "attention_decode") == 0);
        kgen_spec_free(spec);
        kgen_text_free(&text);
    }
    assert_int_equal(executed, 1);
}

/* --bits replaces the default of the spec, not what it says of a tensor. */
static void test_model_options(void **state)
{
    (void)state;
    static const struct kgen_spec_options options = {.bits = 2,
                                                     .group_size = 32,
                                                     .scale_dtype = KGEN_F32,
                                                     .activation_dtypes = {KGEN_I16},
                                                     .layout = KGEN_TILES16};
    struct kgen_spec *spec = spec_parse(
        HEAD("qwen3") "\"scales\": \"bf16\", \"activations\": [\"f32\", \"i8\"], "
                      "\"head_dim\": 64, " FOUR_BITS ", \"overrides\": {\"lm_head\": {\"bits\": 8}}}",
        &options);
    static const struct spec_expected expected[] = {
        {"qmv_n512_k256_b2_g32_f32_i16_tiles16", 6, "layers.*.self_attn.{q,k,v}_proj"},
        {"qmv_n256_k256_b2_g32_f32_i16_tiles16", 6, "layers.*.self_attn.o_proj"},
        {"qmv_n1024_k256_b2_g32_f32_i16_tiles16", 6, "layers.*.mlp.{gate,up}_proj"},
        {"qmv_n256_k512_b2_g32_f32_i16_tiles16", 6, "layers.*.mlp.down_proj"},
        {"qmv_n1000_k256_b8_g32_f32_i16_tiles16", 1, "lm_head"},
    };
    COMPARE_OP(spec, kgen_op_find("qmv"), expected);
}

static void test_biases(void **state)
{
    (void)state;
    static const struct spec_expected qwen2[] = {{"add_n512", 6, "layers.*.self_attn.{q,k,v}_proj.bias"}};
    static const struct spec_expected llama[] = {
        {"add_n512", 6, "layers.*.self_attn.{q,k,v}_proj.bias"},
        {"add_n256", 12, "layers.*.self_attn.o_proj.bias, layers.*.mlp.down_proj.bias"},
        {"add_n1024", 6, "layers.*.mlp.{gate,up}_proj.bias"},
    };
    COMPARE_OP(spec_parse(HEAD("qwen2") FOUR_BITS "}", NULL), kgen_op_find("add"), qwen2);
    COMPARE_OP(spec_parse(HEAD("llama") FOUR_BITS ", \"attention_bias\": true, \"mlp_bias\": true}", NULL),
               kgen_op_find("add"), llama);
    struct kgen_spec *mistral = spec_parse(HEAD("mistral") FOUR_BITS "}", NULL);
    for (size_t i = 0; i < mistral->count; i++)
        assert_int_not_equal(mistral->entries[i].problem.op, kgen_op_find("add"));
    kgen_spec_free(mistral);
}

static void test_rope(void **state)
{
    (void)state;
    static const struct {
        const char *keys, *q_name;
    } cases[] = {
        {"\"rope_scaling\": null", "rope_h4_d64_r64_half_t10000"},
        {"\"rope_pairing\": \"interleaved\", \"rope_theta\": 5e5", "rope_h4_d64_r64_interleaved_t500000"},
        {"\"partial_rotary_factor\": 0.5", "rope_h4_d64_r32_half_t10000"},
        {"\"rope_scaling\": {\"type\": \"linear\", \"factor\": 4.0}",
         "rope_h4_d64_r64_half_t10000_linear_f4"},
        {"\"rope_scaling\": {\"rope_type\": \"default\"}", "rope_h4_d64_r64_half_t10000"},
        {"\"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 1e6}",
         "rope_h4_d64_r64_half_t1000000"},
        {"\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 32, \"low_freq_factor\": 1.0,"
         "\"high_freq_factor\": 4.0, \"original_max_position_embeddings\": 4096}",
         "rope_h4_d64_r64_half_t10000_llama3_f32_l1_h4_o4096"},
        {"\"rope_scaling\": {\"type\": \"yarn\", \"factor\": 4.0, \"attention_factor\": 1.5, \"truncate\": "
         "false,"
         "\"original_max_position_embeddings\": 4096, \"beta_fast\": 16}",
         "rope_h4_d64_r64_half_t10000_yarn_f4_o4096_bf16_bs1_untruncated_a1p5"},
        {"\"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 4, \"beta_slow\": 2, \"attention_factor\": "
         "null,"
         "\"original_max_position_embeddings\": 4096}",
         "rope_h4_d64_r64_half_t10000_yarn_f4_o4096_bf32_bs2_a1p138629436111989"},
        {"\"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 40, \"mscale\": 0.707, \"mscale_all_dim\": "
         "1.0,"
         "\"original_max_position_embeddings\": 4096}, \"rope_pairing\": \"interleaved\"",
         "rope_h4_d64_r64_interleaved_t10000_yarn_f40_o4096_bf32_bs1_a0p9210423553163399"},
        {"\"rope_parameters\": {\"rope_type\": \"proportional\", \"rope_theta\": 1e6,"
         "\"partial_rotary_factor\": 0.25}",
         "rope_h4_d64_r64_half_t1000000_proportional_f1_p16"},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        char text[1000], k_name[120] = "rope_h2";
        snprintf(text, sizeof text, "%s%s, %s}", HEAD("llama"), FOUR_BITS, cases[i].keys);
        strncat(k_name, cases[i].q_name + strlen(k_name), sizeof k_name - 1 - strlen(k_name));
        const struct spec_expected expected[] = {{cases[i].q_name, 6, "layers.*.self_attn.q_rope"},
                                                 {k_name, 6, "layers.*.self_attn.k_rope"}};
        COMPARE_OP(spec_parse(text, NULL), kgen_op_find("rope"), expected);
    }
}

/* What is not derived is said, and the rest is derived. */
static void test_warnings(void **state)
{
    (void)state;
    struct kgen_spec *spec = spec_parse(
        HEAD("llama") FOUR_BITS ", \"hidden_act\": \"gelu\", \"rope_scaling\": {\"rope_type\": \"dynamic\"},"
                                "\"overrides\": {\"*[01].*.down_proj\": false, \"lm_head\": false}}",
        NULL);
    assert_true(spec_warns(spec, "activation \"gelu\" is not supported yet"));
    assert_true(spec_warns(spec, "rope scaling of type \"dynamic\" is not supported yet"));
    assert_true(
        spec_warns(spec, "not quantised, which no op serves yet: layers.0-1.mlp.down_proj, lm_head."));
    assert_int_equal(spec->warning_count, 3);
    for (size_t i = 0; i < spec->count; i++) {
        assert_int_not_equal(spec->entries[i].problem.op, kgen_op_find("rope"));
        assert_int_not_equal(spec->entries[i].problem.op, kgen_op_find("swiglu"));
        assert_null(strstr(spec->entries[i].tensors, "lm_head"));
    }
    kgen_spec_free(spec);
}

/* A tied head has no tensor of its own. */
static void test_tied(void **state)
{
    (void)state;
    struct kgen_spec *spec = spec_parse(
        HEAD("llama") "\"tie_word_embeddings\": true, \"quantization\": {\"bits\": 4, \"lm_head\": "
                      "{\"bits\": 8}},"
                      "\"overrides\": {\"lm_head\": {\"bits\": 2}, \"model.embed_tokens\": {\"bits\": 6}}}",
        NULL);
    assert_true(spec_warns(spec, "the override \"lm_head\" meets no tensor"));
    const struct kgen_spec_entry *first = &spec->entries[0], *last = &spec->entries[spec->count - 1];
    assert_ptr_equal(first->problem.op, kgen_op_find("dequantize"));
    assert_int_equal(kgen_problem_get(&first->problem, "bits"), 6);
    assert_int_equal(kgen_problem_get(&first->problem, "group_size"), 64); /* MLX's default */
    assert_string_equal(last->tensors, "lm_head (embed_tokens)");
    assert_int_equal(kgen_problem_get(&last->problem, "bits"), 6);
    kgen_spec_free(spec);
}

/* Python writes infinities and NaN as JSON does not; keys that do not matter may have them, and strings are
 * strings. */
static void test_not_finite(void **state)
{
    (void)state;
    static const char text[] =
        HEAD("llama") "\"time_step_limit\": [0.0, Infinity], \"a\": {\"b\": -Infinity, \"c\" : NaN},\n"
                      "\"d\":NaN ,\"Infinity\": 1, \"e\": \"x\\\": NaN, \", \"name\": \"NaN\", " FOUR_BITS
                      "}";
    struct kgen_spec *spec = spec_parse(text, NULL);
    assert_string_equal(spec->name, "NaN");
    assert_int_equal(spec->count, 12);
    assert_true(spec->hash == kgen_hash(KGEN_HASH_START, text, strlen(text)));
    kgen_spec_free(spec);
    /* A string with the mark that stands for them is a string. */
    spec = spec_parse("{\"problems\": [{\"op\": \"add\", \"size\": 1, \"tensors\": \"\x7f+\"}]}", NULL);
    assert_string_equal(spec->entries[0].tensors, "?+");
    kgen_spec_free(spec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_qwen),
        cmocka_unit_test(test_qwen_small),
        cmocka_unit_test(test_llama),
        cmocka_unit_test(test_configs),
        cmocka_unit_test(test_overrides),
        cmocka_unit_test(test_quantization_config),
        cmocka_unit_test(test_parted),
        cmocka_unit_test(test_head_dim),
        cmocka_unit_test(test_model_options),
        cmocka_unit_test(test_context),
        cmocka_unit_test(test_prompt_rows),
        cmocka_unit_test(test_output_activation_dtype),
        cmocka_unit_test(test_unsupported_attention),
        cmocka_unit_test(test_biases),
        cmocka_unit_test(test_rope),
        cmocka_unit_test(test_warnings),
        cmocka_unit_test(test_tied),
        cmocka_unit_test(test_not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
