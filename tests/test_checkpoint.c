/* SPDX-License-Identifier: MIT */
/* Checkpoints: the config made of a file's metadata, tensors by name, and every mismatch with the model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gen/spec/spec.h"
#include "gguf_fixture.h"
#include "runtime/model/checkpoint.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEED = 11 };

static struct kgen_checkpoint *parse(const struct kgen_text *text)
{
    struct kgen_error error = {0};
    struct kgen_checkpoint *checkpoint =
        kgen_checkpoint_parse("dir/Tiny model.gguf", text->data, text->length, &error);
    if (checkpoint == NULL)
        fail_msg("%s", error.message);
    return checkpoint;
}

static struct kgen_spec *spec_of(const struct kgen_checkpoint *checkpoint)
{
    struct kgen_error error = {0};
    struct kgen_text config = {0};
    if (kgen_checkpoint_config(checkpoint, &config, &error) != 0)
        fail_msg("%s", error.message);
    struct kgen_spec *spec = kgen_spec_parse("config", config.data, config.length, NULL, &error);
    if (spec == NULL)
        fail_msg("%s: %s", config.data, error.message);
    kgen_text_free(&config);
    return spec;
}

/* ---- config ---- */

static json_t *config_of(const struct kgen_checkpoint *checkpoint)
{
    struct kgen_error error = {0};
    struct kgen_text config = {0};
    if (kgen_checkpoint_config(checkpoint, &config, &error) != 0)
        fail_msg("%s", error.message);
    json_t *root = json_loads(config.data, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    kgen_text_free(&config);
    return root;
}

static void test_config(void **state)
{
    static const struct {
        const char *key, *value; /* as JSON */
    } expected[] = {
        {"name", "\"Tiny_model\""},
        {"architectures", "[\"LlamaForCausalLM\"]"},
        {"hidden_size", "64"},
        {"intermediate_size", "96"},
        {"num_hidden_layers", "2"},
        {"num_attention_heads", "4"},
        {"num_key_value_heads", "2"},
        {"head_dim", "16"},
        {"vocab_size", "50"},
        {"max_position_embeddings", "256"},
        {"rms_norm_eps", "1e-5"},
        {"rope_theta", "10000.0"},
        {"tie_word_embeddings", "false"},
        {"attention_bias", "false"},
        {"rope_pairing", "\"interleaved\""},
        {"torch_dtype", "\"float16\""},
        {"scale_dtype", "\"f16\""},
        {"partial_rotary_factor", NULL},
        {"rope_scaling", NULL},
        {"overrides", NULL},
    };
    (void)state;
    struct kgen_text text = {0};
    kgen_test_make_llama(&kgen_test_small_llama, SEED, &kgen_test_mixed_types, &text);
    struct kgen_checkpoint *checkpoint = parse(&text);
    json_t *config = config_of(checkpoint);
    size_t cases = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(expected); i++, cases++) {
        json_t *value = json_object_get(config, expected[i].key);
        json_t *wanted =
            expected[i].value != NULL ? json_loads(expected[i].value, JSON_DECODE_ANY, NULL) : NULL;
        if (value != wanted && !json_equal(value, wanted))
            fail_msg("\"%s\" is not %s", expected[i].key,
                     expected[i].value != NULL ? expected[i].value : "absent");
        json_decref(wanted);
    }
    assert_int_equal(cases, KGEN_COUNT_OF(expected));
    json_decref(config);
    struct kgen_spec *spec = spec_of(checkpoint);
    assert_string_equal(spec->summary, "LlamaForCausalLM, 2 layers, hidden 64, 4 bits, group 32, mixed");
    for (size_t i = 0; i < spec->graph->node_count; i++) {
        const struct kgen_graph_node *node = &spec->graph->nodes[i];
        if (strcmp(node->op, "rope") == 0)
            assert_int_equal(kgen_problem_get(&node->problem, "pairing"), KGEN_INTERLEAVED);
    }
    kgen_spec_free(spec);
    kgen_checkpoint_free(checkpoint);
    kgen_checkpoint_free(NULL);
    kgen_text_free(&text);
}

/* What is added to the metadata of a small model, what is left out, and what comes of it. */
struct variation {
    const char *key; /* replaces that of the model; NULL: nothing */
    char kind;       /* 'u' u32, 'f' f32, 'b' bool, 's' string, 'a' an array; '-': it is left out */
    double number;
    const char *text;
    const char *config, *value; /* a key of the config, and its value as JSON; or NULL and an error */
};

/* Copies the values of a model, but for the varied one. */
static void make_varied(const struct variation *variation, struct kgen_text *text)
{
    struct kgen_test_gguf original = {0}, file = {0};
    struct kgen_text model = {0};
    static const int32_t list[] = {96, 96};
    kgen_test_llama_values(&original, &kgen_test_small_llama);
    kgen_test_gguf_finish(&original, &model);
    struct kgen_gguf *gguf = kgen_gguf_parse("original", model.data, model.length, NULL);
    assert_non_null(gguf);
    for (size_t i = 0; i < kgen_gguf_value_count(gguf); i++) {
        const struct kgen_gguf_value *value = kgen_gguf_value_at(gguf, i);
        char key[80];
        kgen_gguf_show(value->key, key, sizeof key);
        if (strcmp(key, variation->key) != 0)
            kgen_test_gguf_raw(&file, key, value->type, value->data, value->bytes);
    }
    switch (variation->kind) {
    case 'u':
        kgen_test_gguf_u32(&file, variation->key, (uint32_t)variation->number);
        break;
    case 'f':
        kgen_test_gguf_f32(&file, variation->key, (float)variation->number);
        break;
    case 'b':
        kgen_test_gguf_bool(&file, variation->key, variation->number > 0);
        break;
    case 's':
        kgen_test_gguf_string(&file, variation->key, variation->text);
        break;
    case 'a':
        kgen_test_gguf_i32s(&file, variation->key, list, KGEN_COUNT_OF(list));
        break;
    default:
        break;
    }
    kgen_gguf_close(gguf);
    kgen_text_free(&model);
    kgen_test_llama_tensors(&file, &kgen_test_small_llama, SEED, &kgen_test_mixed_types);
    kgen_test_gguf_finish(&file, text);
}

static void test_metadata(void **state)
{
    static const struct variation table[] = {
        {"llama.attention.head_count_kv", '-', 0, NULL, "num_key_value_heads", NULL},
        {"llama.attention.head_count_kv", 'u', 4, NULL, "num_key_value_heads", "4"},
        {"llama.attention.key_length", '-', 0, NULL, "head_dim", "16"},
        {"llama.rope.dimension_count", 'u', 8, NULL, "partial_rotary_factor", "0.5"},
        {"llama.rope.dimension_count", '-', 0, NULL, "partial_rotary_factor", NULL},
        {"llama.rope.freq_base", 'f', 500000, NULL, "rope_theta", "500000.0"},
        {"llama.rope.freq_base", '-', 0, NULL, "rope_theta", NULL},
        {"llama.attention.layer_norm_rms_epsilon", 'f', 1e-6, NULL, "rms_norm_eps", "1e-6"},
        {"llama.context_length", '-', 0, NULL, "max_position_embeddings", NULL},
        {"llama.rope.scaling.type", 's', 0, "none", "rope_scaling", NULL},
        {"llama.rope.scale_linear", 'f', 4, NULL, "rope_scaling",
         "{\"rope_type\": \"linear\", \"factor\": 4.0}"},
        {"llama.rope.scale_linear", 'f', 1, NULL, "rope_scaling", NULL},
        {"llama.expert_count", 'u', 0, NULL, "num_local_experts", NULL},
        {"llama.expert_count", 'u', 8, NULL, "num_local_experts", "8"},
        {"llama.expert_count", 'u', 8, NULL, "architectures", "[\"MixtralForCausalLM\"]"},
        {"llama.attention.causal", 'b', 1, NULL, "overrides", NULL},
        {"general.quantization_version", 'u', 2, NULL, "overrides", NULL},
        /* Refused, with a message. */
        {"general.architecture", '-', 0, NULL, NULL, "the metadata lack \"general.architecture\""},
        {"general.architecture", 's', 0, "gpt2", NULL, "the architecture \"gpt2\" is not supported"},
        {"general.architecture", 'u', 1, NULL, NULL, "\"general.architecture\" must be a string, not u32"},
        {"llama.embedding_length", '-', 0, NULL, NULL, "the metadata lack \"llama.embedding_length\""},
        {"llama.block_count", '-', 0, NULL, NULL, "the metadata lack \"llama.block_count\""},
        {"llama.feed_forward_length", 'a', 0, NULL, NULL,
         "\"llama.feed_forward_length\" must be an integer below 2^63, not an array of i32"},
        {"llama.attention.head_count", 'u', 0, NULL, NULL, "the metadata say 0 attention heads"},
        {"llama.attention.value_length", 'u', 8, NULL, NULL,
         "heads have values of 8 elements and keys of 16"},
        {"llama.rope.dimension_count", 'u', 17, NULL, NULL,
         "\"llama.rope.dimension_count\" is 17 of a head of 16"},
        {"llama.rope.dimension_count", 'u', 0, NULL, NULL, "\"llama.rope.dimension_count\" is 0"},
        {"llama.rope.scaling.type", 's', 0, "longrope", NULL, "\"llama.rope.scaling.type\" is \"longrope\""},
        {"llama.rope.scaling.type", 's', 0, "yarn", NULL,
         "the metadata lack \"llama.rope.scaling.factor\", which yarn needs"},
        {"llama.expert_group_count", 'u', 4, NULL, NULL,
         "\"llama.expert_group_count\" is 4, which is not supported"},
        {"llama.expert_gating_func", 'u', 2, NULL, NULL, "\"llama.expert_gating_func\" is 2"},
        {"llama.attention.sliding_window", 'u', 64, NULL, NULL, "\"llama.attention.sliding_window\" is 64"},
        {"llama.attention.causal", 'b', 0, NULL, NULL, "\"llama.attention.causal\" is 0"},
        {"llama.logit_scale", 'f', 0.5, NULL, NULL, "\"llama.logit_scale\" is 0.5"},
        {"llama.rope.freq_base", 'f', INFINITY, NULL, NULL,
         "\"llama.rope.freq_base\" is not a finite number"},
        {"general.quantization_version", 'u', 1, NULL, NULL, "\"general.quantization_version\" is 1"},
    };
    (void)state;
    size_t cases = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(table); i++, cases++) {
        struct kgen_text text = {0}, config = {0};
        struct kgen_error error = {0};
        make_varied(&table[i], &text);
        struct kgen_checkpoint *checkpoint = parse(&text);
        const int result = kgen_checkpoint_config(checkpoint, &config, &error);
        const bool refused = table[i].config == NULL;
        if ((result != 0) != refused || (refused && strstr(error.message, table[i].value) == NULL))
            fail_msg("case %zu, %s: %s", i, table[i].key, result != 0 ? error.message : "no error");
        if (!refused) {
            json_t *root = json_loads(config.data, 0, NULL), *wanted = NULL;
            json_t *value = json_object_get(root, table[i].config);
            if (table[i].value != NULL)
                wanted = json_loads(table[i].value, JSON_DECODE_ANY, NULL);
            if (value != wanted && !json_equal(value, wanted))
                fail_msg("case %zu, %s: %s", i, table[i].key, config.data);
            json_decref(wanted);
            json_decref(root);
        }
        kgen_checkpoint_free(checkpoint);
        kgen_text_free(&text);
        kgen_text_free(&config);
    }
    assert_int_equal(cases, KGEN_COUNT_OF(table));
}

/* ---- names ---- */

static void test_names(void **state)
{
    static const struct {
        const char *name, *stored;
    } table[] = {
        {"model.embed_tokens.weight", "token_embd.weight"},
        {"model.norm.weight", "output_norm.weight"},
        {"lm_head.weight", "output.weight"},
        {"model.layers.1.input_layernorm.weight", "blk.1.attn_norm.weight"},
        {"model.layers.1.post_attention_layernorm.weight", "blk.1.ffn_norm.weight"},
        {"model.layers.0.self_attn.q_proj.weight", "blk.0.attn_q.weight"},
        {"model.layers.0.self_attn.k_proj.weight", "blk.0.attn_k.weight"},
        {"model.layers.0.self_attn.v_proj.weight", "blk.0.attn_v.weight"},
        {"model.layers.0.self_attn.o_proj.weight", "blk.0.attn_output.weight"},
        {"model.layers.1.mlp.gate_proj.weight", "blk.1.ffn_gate.weight"},
        {"model.layers.1.mlp.up_proj.weight", "blk.1.ffn_up.weight"},
        {"model.layers.1.mlp.down_proj.weight", "blk.1.ffn_down.weight"},
    };
    static const char *const absent[] = {
        "",
        "model",
        "model.norm",
        "model.norm.weight2",
        "model.norm.bias",
        "model.layers.2.mlp.up_proj.weight",
        "model.layers..mlp.up_proj.weight",
        "model.layers.01.mlp.up_proj.weight",
        "blk.0.attn_q.weight",
        "model.layers.99999999999999999999.mlp.up_proj.weight",
    };
    (void)state;
    struct kgen_text text = {0};
    struct kgen_checkpoint_tensor tensor;
    kgen_test_make_llama(&kgen_test_small_llama, SEED, &kgen_test_mixed_types, &text);
    struct kgen_checkpoint *checkpoint = parse(&text);
    size_t cases = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(table); i++, cases++) {
        if (!kgen_checkpoint_find(checkpoint, table[i].name, &tensor) ||
            !kgen_gguf_text_is(tensor.stored_name, table[i].stored) ||
            strcmp(tensor.name, table[i].name) != 0)
            fail_msg("%s is not %s", table[i].name, table[i].stored);
    }
    for (size_t i = 0; i < KGEN_COUNT_OF(absent); i++, cases++) {
        if (kgen_checkpoint_find(checkpoint, absent[i], &tensor))
            fail_msg("\"%s\" was found", absent[i]);
    }
    assert_true(cases > 0);
    kgen_checkpoint_free(checkpoint);
    kgen_text_free(&text);
}

/* ---- whether it is whole ---- */

static void check(const struct kgen_text *text, const char *const (*expected)[2], size_t count)
{
    struct kgen_checkpoint *checkpoint = parse(text);
    struct kgen_spec *spec = spec_of(checkpoint);
    struct kgen_checkpoint_mismatches found = {0};
    struct kgen_error error = {0};
    assert_int_equal(kgen_checkpoint_check(checkpoint, spec->graph, &found, &error), 0);
    for (size_t i = 0; i < found.count && i < count; i++) {
        if (strcmp(found.items[i].name, expected[i][0]) != 0 ||
            strstr(found.items[i].what, expected[i][1]) == NULL)
            fail_msg("mismatch %zu: %s %s; expected %s %s", i, found.items[i].name, found.items[i].what,
                     expected[i][0], expected[i][1]);
    }
    if (found.count != count)
        fail_msg("%zu mismatches, not %zu; the last: %s %s", found.count, count,
                 found.count > 0 ? found.items[found.count - 1].name : "",
                 found.count > 0 ? found.items[found.count - 1].what : "");
    kgen_checkpoint_mismatches_free(&found);
    kgen_spec_free(spec);
    kgen_checkpoint_free(checkpoint);
}

static void test_whole(void **state)
{
    static const uint32_t matrices[] = {
        KGEN_GGUF_TENSOR_Q4_0, KGEN_GGUF_TENSOR_Q4_1, KGEN_GGUF_TENSOR_Q8_0,   KGEN_GGUF_TENSOR_Q5_0,
        KGEN_GGUF_TENSOR_Q5_1, KGEN_GGUF_TENSOR_Q4_K, KGEN_GGUF_TENSOR_Q5_K,   KGEN_GGUF_TENSOR_Q6_K,
        KGEN_GGUF_TENSOR_Q3_K, KGEN_GGUF_TENSOR_Q2_K, KGEN_GGUF_TENSOR_IQ4_NL, KGEN_GGUF_TENSOR_MXFP4,
        KGEN_GGUF_TENSOR_F32,  KGEN_GGUF_TENSOR_F16,  KGEN_GGUF_TENSOR_BF16};
    static const uint32_t norms[] = {KGEN_GGUF_TENSOR_F32, KGEN_GGUF_TENSOR_F16, KGEN_GGUF_TENSOR_BF16};
    (void)state;
    enum { TYPES = KGEN_COUNT_OF(matrices) };
    size_t cases = 0;
    for (size_t i = 0; i < TYPES * TYPES; i++) {
        for (int tied = 0; tied < 2; tied++, cases++) {
            struct kgen_test_llama shape = kgen_test_small_llama;
            const struct kgen_test_llama_types types = {matrices[i % TYPES], matrices[i / TYPES % TYPES],
                                                        matrices[(i + i / TYPES) % TYPES],
                                                        matrices[(i * 3 + 1) % TYPES], norms[i % 3]};
            /* Columns that blocks of 256 divide. */
            shape.hidden = 256;
            shape.intermediate = 512;
            shape.head_dim = 64;
            struct kgen_text text = {0};
            shape.tied = tied != 0;
            kgen_test_make_llama(&shape, SEED, &types, &text);
            check(&text, NULL, 0);
            kgen_text_free(&text);
        }
    }
    assert_true(cases > 0);
}

static void test_mismatches(void **state)
{
    static const char *const expected[][2] = {
        {"model.layers.0.self_attn.q_proj.weight",
         "is a matrix of type Q8_1, which kgen has no weight format for (it has F32, F16,"},
        {"model.layers.0.self_attn.k_proj.weight", "matrix of type Q8_1"},
        {"model.layers.0.self_attn.v_proj.weight", "matrix of type Q8_1"},
        {"model.layers.0.self_attn.o_proj.weight", "matrix of type Q8_1"},
        {"model.layers.1.input_layernorm.weight", "is not in the file"},
        {"model.layers.1.self_attn.q_proj.weight", "is not in the file"},
        {"model.layers.1.self_attn.k_proj.weight", "is not in the file"},
        {"model.layers.1.self_attn.v_proj.weight", "is not in the file"},
        {"model.layers.1.self_attn.o_proj.weight", "is not in the file"},
        {"model.layers.1.post_attention_layernorm.weight", "is not in the file"},
        {"model.layers.1.mlp.gate_proj.weight", "is not in the file"},
        {"model.layers.1.mlp.up_proj.weight", "is not in the file"},
        {"model.layers.1.mlp.down_proj.weight", "has the shape [96, 64], and the model wants [64, 96]"},
        {"model.norm.weight", "is Q8_0; F32, F16 and BF16 are read as vectors"},
        {"rope_factors_long.weight", "is in the file, and nothing in the model uses it"},
        {"blk.0.un?named", "is in the file, and nothing in the model uses it"},
        {"model.layers.5.mlp.up_proj.weight", "nothing in the model uses it"},
        {"model.layers.0.mlp.up_proj.bias", "nothing in the model uses it"},
    };
    (void)state;
    struct kgen_test_llama shape = kgen_test_small_llama;
    struct kgen_test_llama_types types = kgen_test_mixed_types;
    struct kgen_test_gguf file = {0};
    struct kgen_text text = {0};
    kgen_test_llama_values(&file, &shape);
    shape.layers = 1;
    types.attention = 9; /* Q8_1 */
    types.norm = KGEN_GGUF_TENSOR_F32;
    const struct {
        const char *name;
        uint32_t type;
        unsigned rank;
        int64_t dims[2];
    } more[] = {
        {"blk.1.ffn_down.weight", KGEN_GGUF_TENSOR_Q4_1, 2, {64, 96}},
        {"rope_factors_long.weight", KGEN_GGUF_TENSOR_F32, 1, {8, 1}},
        {"blk.0.un\nnamed", KGEN_GGUF_TENSOR_F32, 1, {8, 1}},
        {"blk.5.ffn_up.weight", KGEN_GGUF_TENSOR_Q4_1, 2, {64, 96}},
        {"blk.0.ffn_up.bias", KGEN_GGUF_TENSOR_F32, 1, {96, 1}},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(more); i++)
        kgen_test_gguf_random(&file, more[i].name, more[i].type, more[i].rank, more[i].dims, 1, false, SEED);
    /* The norm at the end becomes Q8_0: the small model has it last but one. */
    kgen_test_llama_tensors(&file, &shape, SEED, &types);
    char *norm = NULL;
    for (size_t i = 0; i + 18 < file.tensors.length && norm == NULL; i++) {
        if (memcmp(file.tensors.data + i, "output_norm.weight", 18) == 0)
            norm = file.tensors.data + i;
    }
    assert_non_null(norm);
    norm[18 + 4 + 8] = KGEN_GGUF_TENSOR_Q8_0;
    kgen_test_gguf_finish(&file, &text);
    check(&text, expected, KGEN_COUNT_OF(expected));
    kgen_text_free(&text);
}

/* Matrices of which kgen has no format are a mismatch each, never quantised on the way. */
static void test_no_format(void **state)
{
    static const uint32_t types[] = {9, 24}; /* Q8_1, I8 */
    (void)state;
    size_t cases = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(types); i++, cases++) {
        const struct kgen_test_llama_types all = {types[i], types[i], types[i], types[i],
                                                  KGEN_GGUF_TENSOR_F32};
        struct kgen_text text = {0};
        struct kgen_checkpoint_mismatches found = {0};
        kgen_test_make_llama(&kgen_test_small_llama, SEED, &all, &text);
        struct kgen_checkpoint *checkpoint = parse(&text);
        struct kgen_spec *spec = spec_of(checkpoint);
        assert_int_equal(kgen_checkpoint_check(checkpoint, spec->graph, &found, NULL), 0);
        assert_int_equal(found.count, 16);
        assert_string_equal(found.items[0].name, "model.embed_tokens.weight");
        assert_non_null(strstr(found.items[0].what, kgen_gguf_tensor_type(types[i])->name));
        kgen_checkpoint_mismatches_free(&found);
        kgen_spec_free(spec);
        kgen_checkpoint_free(checkpoint);
        kgen_text_free(&text);
    }
    assert_int_equal(cases, KGEN_COUNT_OF(types));
}

/* ---- factors of rope ---- */

struct rope_case {
    float factors[8];
    uint32_t type;
    int64_t count;
    uint32_t context; /* 0: none */
    float linear;
    bool refused;
    const char *value; /* of the config, NULL: none; or a part of the error */
};

static void check_rope(const struct rope_case *item, size_t index)
{
    struct kgen_test_gguf file = {0};
    struct kgen_text text = {0}, config = {0};
    struct kgen_error error = {0};
    kgen_test_llama_values(&file, &kgen_test_small_llama);
    if (item->context > 0)
        kgen_test_gguf_u32(&file, "llama.rope.scaling.original_context_length", item->context);
    kgen_test_gguf_f32(&file, "llama.rope.scale_linear", item->linear);
    kgen_test_gguf_tensor(&file, "rope_freqs.weight", item->type, 1, &item->count, item->factors);
    kgen_test_llama_tensors(&file, &kgen_test_small_llama, SEED, &kgen_test_mixed_types);
    kgen_test_gguf_finish(&file, &text);
    struct kgen_checkpoint *checkpoint = parse(&text);
    const bool refused = kgen_checkpoint_config(checkpoint, &config, &error) != 0;
    if (refused != item->refused || (refused && strstr(error.message, item->value) == NULL))
        fail_msg("case %zu: %s", index, refused ? error.message : config.data);
    if (!refused) {
        json_t *root = json_loads(config.data, 0, NULL), *value = json_object_get(root, "rope_scaling");
        json_t *wanted = item->value != NULL ? json_loads(item->value, 0, NULL) : NULL;
        if (value != wanted && !json_equal(value, wanted))
            fail_msg("case %zu: %s", index, config.data);
        json_decref(wanted);
        json_decref(root);
        check(&text, NULL, 0);
    }
    kgen_checkpoint_free(checkpoint);
    kgen_text_free(&config);
    kgen_text_free(&text);
}

/* Files of Llama 3 have the scaling in a tensor alone. */
static void test_rope_factors(void **state)
{
    static const struct rope_case table[] = {
        {{1, 1, 1, 1, 1, 1, 4.6814826f, 8},
         KGEN_GGUF_TENSOR_F32,
         8,
         0,
         1,
         false,
         "{\"rope_type\": \"llama3\", \"factor\": 8.0, \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0, "
         "\"original_max_position_embeddings\": 8192}"},
        {{1, 1, 1, 1, 3.2396418f, 8, 8, 8},
         KGEN_GGUF_TENSOR_F32,
         8,
         1024,
         1,
         false,
         "{\"rope_type\": \"llama3\", \"factor\": 8.0, \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0, "
         "\"original_max_position_embeddings\": 1024}"},
        {{1, 1, 1, 1, 1, 1, 1, 1}, KGEN_GGUF_TENSOR_F32, 8, 0, 1, false, NULL},
        {{1, 1, 2, 1, 1, 1, 4.6814826f, 8},
         KGEN_GGUF_TENSOR_F32,
         8,
         0,
         1,
         true,
         "the factor 2 for pair 2, and Llama 3's scaling by 8, from 8192 positions, has 1"},
        {{1, 1, 1, 1, 1, 1, 4.7f, 8}, KGEN_GGUF_TENSOR_F32, 8, 0, 1, true, "the factor 4.7 for pair 6"},
        {{1, 1, 1, 1, 1, 1, 4.6814826f, 8},
         KGEN_GGUF_TENSOR_F32,
         8,
         1024,
         1,
         true,
         "the factor 1 for pair 4"},
        {{1, 1, 1, 1, 1, 1, NAN, 8}, KGEN_GGUF_TENSOR_F32, 8, 0, 1, true, "for pair 6"},
        {{0.5f, 1, 1, 1, 1, 1, 1, 1}, KGEN_GGUF_TENSOR_F32, 8, 0, 1, true, "the factor 0.5 for pair 0"},
        {{1, 1, 1, 1, 1, 1, 8},
         KGEN_GGUF_TENSOR_F32,
         7,
         0,
         1,
         true,
         "the first of 7, and rope turns 8 pairs"},
        {{1}, KGEN_GGUF_TENSOR_F16, 8, 0, 1, true, "rope_freqs.weight is F16; only F32 is supported"},
        {{1, 1, 1, 1, 1, 1, 4.6814826f, 8},
         KGEN_GGUF_TENSOR_F32,
         8,
         0,
         2,
         true,
         "besides linear scaling of rope"},
    };
    (void)state;
    size_t cases = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(table); i++, cases++)
        check_rope(&table[i], i);
    assert_int_equal(cases, KGEN_COUNT_OF(table));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config),    cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_names),

        cmocka_unit_test(test_whole),     cmocka_unit_test(test_mismatches),
        cmocka_unit_test(test_no_format), cmocka_unit_test(test_rope_factors),
    };
    return cmocka_run_group_tests_name("checkpoint", tests, NULL, NULL);
}
