/* SPDX-License-Identifier: MIT */
/* Decoding in memory: small random models of GGUF's architectures, held against double precision. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api_fixture.h"
#include "gen/base/file.h"
#include "llama_reference.h"
#include "runtime/api/model.h"
#include "runtime/model/arena.h"

#define SEED UINT64_C(71)
/* Of the greatest logit. The sums of these small models have about 200 terms, and 12 products follow one
 * another: 2^-24 * 200 * 12. */
#define TOLERANCE 1.5e-4

enum { STEPS = 24, CONTEXT = 32 };

struct shape_case {
    const char *name;
    struct kgen_test_llama shape;
    struct kgen_test_llama_types types;
};

static const struct shape_case shapes[] = {
    {"mixed types",
     {.hidden = 64, .intermediate = 96, .layers = 2, .heads = 4, .kv_heads = 2, .head_dim = 16, .vocab = 50},
     {KGEN_GGUF_TENSOR_Q8_0, KGEN_GGUF_TENSOR_Q4_1, KGEN_GGUF_TENSOR_Q4_0, KGEN_GGUF_TENSOR_Q8_0,
      KGEN_GGUF_TENSOR_F32}},
    {"tied, as SmolLM2",
     {.hidden = 96,
      .intermediate = 160,
      .layers = 3,
      .heads = 3,
      .kv_heads = 1,
      .head_dim = 32,
      .vocab = 70,
      .eps = 1e-6f,
      .theta = 100000,
      .tied = true},
     {KGEN_GGUF_TENSOR_Q8_0, KGEN_GGUF_TENSOR_Q4_1, KGEN_GGUF_TENSOR_Q4_1, KGEN_GGUF_TENSOR_Q8_0,
      KGEN_GGUF_TENSOR_F32}},
    /* Matrices are read and packed 1024 rows at a time. */
    {"many rows",
     {.hidden = 64,
      .intermediate = 1056,
      .layers = 1,
      .heads = 4,
      .kv_heads = 2,
      .head_dim = 16,
      .vocab = 2100},
     {KGEN_GGUF_TENSOR_Q8_0, KGEN_GGUF_TENSOR_Q4_1, KGEN_GGUF_TENSOR_Q4_1, KGEN_GGUF_TENSOR_Q4_0,
      KGEN_GGUF_TENSOR_F32}},
    {"every head its own keys",
     {.hidden = 64, .intermediate = 64, .layers = 1, .heads = 8, .kv_heads = 8, .head_dim = 8, .vocab = 33},
     {KGEN_GGUF_TENSOR_Q4_0, KGEN_GGUF_TENSOR_Q8_0, KGEN_GGUF_TENSOR_Q8_0, KGEN_GGUF_TENSOR_Q4_1,
      KGEN_GGUF_TENSOR_F32}},
    {"five bits",
     {.hidden = 96,
      .intermediate = 160,
      .layers = 1,
      .heads = 3,
      .kv_heads = 1,
      .head_dim = 32,
      .vocab = 70,
      .tied = true},
     {KGEN_GGUF_TENSOR_Q5_1, KGEN_GGUF_TENSOR_Q5_0, KGEN_GGUF_TENSOR_Q5_1, KGEN_GGUF_TENSOR_Q5_1,
      KGEN_GGUF_TENSOR_F16}},
    {"the types of Q4_K_M files",
     {.hidden = 256,
      .intermediate = 256,
      .layers = 1,
      .heads = 4,
      .kv_heads = 2,
      .head_dim = 64,
      .vocab = 60,
      .tied = true},
     {KGEN_GGUF_TENSOR_Q6_K, KGEN_GGUF_TENSOR_Q4_K, KGEN_GGUF_TENSOR_Q6_K, KGEN_GGUF_TENSOR_Q6_K,
      KGEN_GGUF_TENSOR_F32}},
    {"few bits",
     {.hidden = 256,
      .intermediate = 256,
      .layers = 1,
      .heads = 4,
      .kv_heads = 2,
      .head_dim = 64,
      .vocab = 60},
     {KGEN_GGUF_TENSOR_MXFP4, KGEN_GGUF_TENSOR_Q3_K, KGEN_GGUF_TENSOR_Q2_K, KGEN_GGUF_TENSOR_IQ4_NL,
      KGEN_GGUF_TENSOR_F32}},
    {"not quantised",
     {.hidden = 96, .intermediate = 160, .layers = 1, .heads = 3, .kv_heads = 1, .head_dim = 32, .vocab = 70},
     {KGEN_GGUF_TENSOR_F16, KGEN_GGUF_TENSOR_BF16, KGEN_GGUF_TENSOR_F32, KGEN_GGUF_TENSOR_F16,
      KGEN_GGUF_TENSOR_F32}},
    {"blocks of 256 beside groups of 32",
     {.hidden = 256,
      .intermediate = 256,
      .layers = 1,
      .heads = 4,
      .kv_heads = 2,
      .head_dim = 64,
      .vocab = 60},
     {KGEN_GGUF_TENSOR_Q4_K, KGEN_GGUF_TENSOR_Q4_1, KGEN_GGUF_TENSOR_Q5_K, KGEN_GGUF_TENSOR_Q5_K,
      KGEN_GGUF_TENSOR_BF16}},
    {"qwen2: biases, pairs of halves",
     {.hidden = 96,
      .intermediate = 160,
      .layers = 2,
      .heads = 3,
      .kv_heads = 1,
      .head_dim = 32,
      .vocab = 70,
      .eps = 1e-6f,
      .theta = 1000000,
      .tied = true,
      .architecture = "qwen2"},
     {KGEN_GGUF_TENSOR_Q8_0, KGEN_GGUF_TENSOR_Q4_0, KGEN_GGUF_TENSOR_Q4_1, KGEN_GGUF_TENSOR_Q8_0,
      KGEN_GGUF_TENSOR_F32}},
    {"qwen3: norms of q and k, heads that are not hidden / heads",
     {.hidden = 64,
      .intermediate = 96,
      .layers = 2,
      .heads = 4,
      .kv_heads = 2,
      .head_dim = 32,
      .vocab = 50,
      .eps = 1e-6f,
      .theta = 1000000,
      .architecture = "qwen3"},
     {KGEN_GGUF_TENSOR_Q8_0, KGEN_GGUF_TENSOR_Q8_0, KGEN_GGUF_TENSOR_Q4_0, KGEN_GGUF_TENSOR_Q8_0,
      KGEN_GGUF_TENSOR_F32}},
    {"mixtral",
     {.hidden = 64,
      .intermediate = 96,
      .layers = 2,
      .heads = 4,
      .kv_heads = 2,
      .head_dim = 16,
      .vocab = 50,
      .experts = 5,
      .experts_per_token = 2},
     {KGEN_GGUF_TENSOR_Q8_0, KGEN_GGUF_TENSOR_Q8_0, KGEN_GGUF_TENSOR_Q4_1, KGEN_GGUF_TENSOR_Q8_0,
      KGEN_GGUF_TENSOR_F32}},
    {"qwen3moe, with the types of Q4_K_M files",
     {.hidden = 256,
      .intermediate = 256,
      .layers = 1,
      .heads = 4,
      .kv_heads = 2,
      .head_dim = 64,
      .vocab = 60,
      .eps = 1e-6f,
      .experts = 6,
      .experts_per_token = 3,
      .architecture = "qwen3moe"},
     {KGEN_GGUF_TENSOR_Q6_K, KGEN_GGUF_TENSOR_Q4_K, KGEN_GGUF_TENSOR_Q6_K, KGEN_GGUF_TENSOR_Q6_K,
      KGEN_GGUF_TENSOR_F32}},
    {"Llama 3's scaling",
     {.hidden = 64,
      .intermediate = 96,
      .layers = 2,
      .heads = 4,
      .kv_heads = 2,
      .head_dim = 16,
      .vocab = 50,
      .rope_factor = 8,
      .rope_context = 64},
     {KGEN_GGUF_TENSOR_Q8_0, KGEN_GGUF_TENSOR_Q4_1, KGEN_GGUF_TENSOR_Q4_0, KGEN_GGUF_TENSOR_Q8_0,
      KGEN_GGUF_TENSOR_F32}},
};

static struct kgen_context *open_estimate(struct api_fixture *fixture, int threads)
{
    struct kgen_settings settings = api_settings(fixture, KGEN_ESTIMATE);
    settings.threads = threads;
    return api_open(&settings);
}

static struct kgen_model *open_with_rows(struct kgen_context *context, const char *path,
                                         const char *activation_dtype, const char *layout,
                                         const char *cache_dtype, int64_t prompt_rows)
{
    const struct kgen_model_options options = {.activation_dtype = activation_dtype,
                                               .layout = layout,
                                               .cache_dtype = cache_dtype,
                                               .context = CONTEXT,
                                               .prompt_rows = prompt_rows};
    struct kgen_status status = {0};
    struct kgen_model *model = kgen_model_of_checkpoint(context, path, &options, &status);
    char text[1024];
    if (model == NULL)
        fail_msg("%s: %s", path, kgen_status_format(&status, text, sizeof text));
    return model;
}

static struct kgen_model *open_model(struct kgen_context *context, const char *path,
                                     const char *activation_dtype, const char *layout,
                                     const char *cache_dtype)
{
    return open_with_rows(context, path, activation_dtype, layout, cache_dtype, 1);
}

static int64_t token_at(int64_t step, int64_t vocab)
{
    return (step * 7919 + 13) % vocab;
}

static size_t compare_logits(const char *name, int64_t step, const float *logits, const double *expected,
                             int64_t vocab)
{
    double greatest = 0;
    for (int64_t i = 0; i < vocab; i++)
        greatest = fmax(greatest, fabs(expected[i]));
    for (int64_t i = 0; i < vocab; i++) {
        if (!(fabs((double)logits[i] - expected[i]) <= TOLERANCE * greatest))
            fail_msg("%s, seed %llu: logit %lld of step %lld is %.9g, expected %.9g", name,
                     (unsigned long long)SEED, (long long)i, (long long)step, (double)logits[i], expected[i]);
    }
    return (size_t)vocab;
}

static size_t check_shape(struct api_fixture *fixture, const struct shape_case *item, int threads,
                          const char *activation_dtype, const char *layout)
{
    char path[128];
    snprintf(path, sizeof path, "%s/model.gguf", fixture->folder);
    kgen_test_write_llama(path, &item->shape, SEED, &item->types);
    struct kgen_context *context = open_estimate(fixture, threads);
    struct kgen_model *model = open_model(context, path, activation_dtype, layout, "f32");
    struct llama_reference *reference = llama_reference_new(model->checkpoint, &item->shape, CONTEXT);
    struct kgen_error error = {0};
    size_t compared = 0;
    assert_int_equal(kgen_decoder_vocabulary(model->decoder), item->shape.vocab);
    assert_int_equal(kgen_decoder_context(model->decoder), CONTEXT);
    for (int64_t step = 0; step < STEPS; step++) {
        const int64_t token = token_at(step, item->shape.vocab);
        const float *logits = kgen_decoder_step(model->decoder, token, step, &error);
        assert_non_null(logits);
        compared += compare_logits(item->name, step, logits, llama_reference_step(reference, token, step),
                                   item->shape.vocab);
    }
    llama_reference_free(reference);
    kgen_model_close(model);
    kgen_close(context);
    remove(path);
    return compared;
}

static void test_logits_are_right(void **state)
{
    static const char *const dtypes[] = {"f32", "i24"}, *const layouts[] = {"stored", "tiles16"};
    size_t compared = 0;
    for (size_t i = 0; i < 4 * KGEN_COUNT_OF(shapes); i++) {
        for (int threads = 1; threads <= 2; threads++)
            compared += check_shape(*state, &shapes[i / 4], threads, dtypes[i % 2], layouts[i / 2 % 2]);
    }
    assert_true(compared > 20000);
}

/* ---- prompts ---- */

/* A prompt in pieces, then steps, and a prompt after those: each ends with the logits of its last token. */
struct piece {
    int64_t count;
    bool is_prompt;
};

static const struct piece pieces[] = {{11, true}, {1, true}, {2, false}, {7, true}, {1, false}, {8, true}};

static size_t check_prompts(struct api_fixture *fixture, const struct shape_case *item, int threads,
                            int64_t prompt_rows, const char *activation_dtype)
{
    char path[128];
    int32_t tokens[CONTEXT];
    snprintf(path, sizeof path, "%s/model.gguf", fixture->folder);
    kgen_test_write_llama(path, &item->shape, SEED, &item->types);
    struct kgen_context *context = open_estimate(fixture, threads);
    struct kgen_model *model = open_with_rows(context, path, activation_dtype, NULL, "f32", prompt_rows);
    struct llama_reference *reference = llama_reference_new(model->checkpoint, &item->shape, CONTEXT);
    struct kgen_error error = {0};
    size_t compared = 0;
    int64_t position = 0;
    assert_int_equal(kgen_decoder_prompt_rows(model->decoder), prompt_rows);
    for (int64_t i = 0; i < CONTEXT; i++)
        tokens[i] = (int32_t)token_at(i, item->shape.vocab);
    for (size_t i = 0; i < KGEN_COUNT_OF(pieces); i++) {
        const float *logits = NULL;
        const double *expected = NULL;
        for (int64_t j = 0; j < pieces[i].count; j++)
            expected = llama_reference_step(reference, tokens[position + j], position + j);
        if (pieces[i].is_prompt)
            logits = kgen_decoder_prompt(model->decoder, tokens + position, (size_t)pieces[i].count, position,
                                         &error);
        for (int64_t j = 0; !pieces[i].is_prompt && j < pieces[i].count; j++)
            logits = kgen_decoder_step(model->decoder, tokens[position + j], position + j, &error);
        assert_non_null(logits);
        position += pieces[i].count;
        compared += compare_logits(item->name, position - 1, logits, expected, item->shape.vocab);
    }
    llama_reference_free(reference);
    kgen_model_close(model);
    kgen_close(context);
    remove(path);
    return compared;
}

/* As many rows as the prompts have, fewer, and more; by one thread and two. */
static void test_prompts_are_right(void **state)
{
    static const int64_t rows[] = {16, 4, 5};
    size_t compared = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(shapes); i++) {
        compared += check_prompts(*state, &shapes[i], 2, rows[i % KGEN_COUNT_OF(rows)], "i24");
        compared +=
            check_prompts(*state, &shapes[i], 1 + (int)(i % 2), rows[(i + 1) % KGEN_COUNT_OF(rows)], "f32");
    }
    assert_true(compared > 20000);
}

/* The caches have the dtype that is asked for, f16 where none is: as many bytes, and logits as near to those
 * of exact keys and values as its rounding allows, but not equal to them. */
static void test_cache_types(void **state)
{
    struct api_fixture *fixture = *state;
    static const struct {
        const char *dtype;
        size_t sixteenths;  /* of a byte, an element */
        double least, most; /* the greatest difference, of the greatest logit */
    } cases[] = {{"f32", 64, 0, TOLERANCE}, {"f16", 32, 1e-6, 2e-3},  {"bf16", 32, 1e-4, 2e-2},
                 {NULL, 32, 1e-6, 2e-3},    {"q8_0", 17, 1e-4, 2e-2}, {"q4_0", 9, 1e-3, 5e-1}};
    const struct shape_case *item = &shapes[1]; /* heads are whole blocks */
    size_t executed = 0;
    char path[128];
    snprintf(path, sizeof path, "%s/model.gguf", fixture->folder);
    kgen_test_write_llama(path, &item->shape, SEED, &item->types);
    struct kgen_context *context = open_estimate(fixture, 2);
    for (size_t c = 0; c < KGEN_COUNT_OF(cases); c++, executed++) {
        struct kgen_model *model = open_model(context, path, "f32", "stored", cases[c].dtype);
        struct llama_reference *reference = llama_reference_new(model->checkpoint, &item->shape, CONTEXT);
        struct kgen_decoder_sizes sizes;
        struct kgen_error error = {0};
        double greatest = 0, difference = 0;
        kgen_decoder_query(model->decoder, &sizes);
        assert_int_equal(
            sizes.caches,
            2 * (size_t)(item->shape.layers * CONTEXT * item->shape.kv_heads * item->shape.head_dim) *
                cases[c].sixteenths / 16);
        for (int64_t step = 0; step < CONTEXT; step++) {
            const int64_t token = token_at(step, item->shape.vocab);
            const float *logits = kgen_decoder_step(model->decoder, token, step, &error);
            const double *expected = llama_reference_step(reference, token, step);
            assert_non_null(logits);
            for (int64_t i = 0; i < item->shape.vocab; i++) {
                greatest = fmax(greatest, fabs(expected[i]));
                difference = fmax(difference, fabs((double)logits[i] - expected[i]));
            }
        }
        if (!(difference >= cases[c].least * greatest && difference <= cases[c].most * greatest))
            fail_msg("case %zu, seed %llu: the logits differ by %.3g of the greatest", c,
                     (unsigned long long)SEED, difference / greatest);
        llama_reference_free(reference);
        kgen_model_close(model);
    }
    kgen_close(context);
    remove(path);
    assert_int_equal(executed, 6);
}

/* Runs count steps from a position on, with tokens that depend on salt, and checks the last logits against
 * expected, which it fills where that is asked for. */
static void run_steps(struct kgen_decoder *decoder, int64_t begin, int64_t count, int64_t salt,
                      float *expected, bool fill)
{
    struct kgen_error error = {0};
    const int64_t vocab = kgen_decoder_vocabulary(decoder);
    const float *logits = NULL;
    for (int64_t i = begin; i < begin + count; i++) {
        logits = kgen_decoder_step(decoder, token_at(i + salt, vocab), i, &error);
        assert_non_null(logits);
    }
    if (fill)
        memcpy(expected, logits, (size_t)vocab * sizeof *expected);
    else if (expected != NULL)
        assert_memory_equal(expected, logits, (size_t)vocab * sizeof *expected);
}

/* Position 0 begins anew, and an earlier position goes on from there: to the last bit as if nothing else had
 * been. */
static void test_begin_anew(void **state)
{
    struct api_fixture *fixture = *state;
    enum { VOCAB = 50 };
    char path[128];
    float first[VOCAB], later[VOCAB];
    struct kgen_error error = {0};
    snprintf(path, sizeof path, "%s/model.gguf", fixture->folder);
    kgen_test_write_llama(path, &shapes[0].shape, SEED, &shapes[0].types);
    struct kgen_context *context = open_estimate(fixture, 2);
    struct kgen_model *model = open_model(context, path, NULL, NULL, NULL);
    run_steps(model->decoder, 0, 7, 0, first, true);
    run_steps(model->decoder, 7, 6, 0, later, true);
    run_steps(model->decoder, 13, CONTEXT - 13, 1000, NULL, false);
    run_steps(model->decoder, 0, CONTEXT, 2000, NULL, false);
    run_steps(model->decoder, 0, 7, 0, first, false);
    run_steps(model->decoder, 7, 20, 3000, NULL, false);
    run_steps(model->decoder, 7, 6, 0, later, false);
    /* What an earlier position took back is not there. */
    assert_null(kgen_decoder_step(model->decoder, 0, 14, &error));
    kgen_model_close(model);
    kgen_close(context);
    remove(path);
}

static void test_limits(void **state)
{
    struct api_fixture *fixture = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/model.gguf", fixture->folder);
    kgen_test_write_llama(path, &shapes[0].shape, SEED, &shapes[0].types);
    struct kgen_context *context = open_estimate(fixture, 1);
    struct kgen_model *model = open_model(context, path, NULL, NULL, NULL);
    static const struct {
        int64_t token, position;
        const char *message;
    } cases[] = {
        {-1, 0, "token -1 is not below 50"},
        {50, 0, "token 50 is not below 50"},
        {0, -1, "room for 32 positions"},
        {0, CONTEXT, "room for 32 positions"},
        {0, 1, "position 1 is asked for, 0 are filled"},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_error error = {0};
        assert_null(kgen_decoder_step(model->decoder, cases[i].token, cases[i].position, &error));
        assert_non_null(strstr(error.message, cases[i].message));
    }
    static const int32_t tokens[CONTEXT + 1] = {[2] = 50};
    static const struct {
        size_t first, count;
        int64_t position;
        const char *message;
    } prompts[] = {
        {0, 0, 0, "there are no tokens"},
        {0, 3, 0, "token 50 is not below 50"},
        {3, 2, -1, "room for 32 positions"},
        {3, 3, CONTEXT - 2, "room for 32 positions"},
        {3, 3, 1, "position 1 is asked for, 0 are filled"},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(prompts); i++) {
        struct kgen_error error = {0};
        assert_null(kgen_decoder_prompt(model->decoder, tokens + prompts[i].first, prompts[i].count,
                                        prompts[i].position, &error));
        assert_non_null(strstr(error.message, prompts[i].message));
    }
    kgen_model_close(model);
    kgen_close(context);
    remove(path);
}

/* A model that lacks tensors is refused, and the first is named. */
static void test_a_tensor_is_missing(void **state)
{
    struct api_fixture *fixture = *state;
    struct kgen_status status = {0};
    struct kgen_test_gguf file = {0};
    struct kgen_text text = {0};
    char path[128], message[1024];
    struct kgen_test_llama deeper = shapes[0].shape;
    deeper.layers++;
    kgen_test_llama_values(&file, &deeper);
    kgen_test_llama_tensors(&file, &shapes[0].shape, SEED, &shapes[0].types);
    kgen_test_gguf_finish(&file, &text);
    snprintf(path, sizeof path, "%s/model.gguf", fixture->folder);
    assert_int_equal(kgen_file_write(path, text.data, text.length, NULL), 0);
    kgen_text_free(&text);
    struct kgen_context *context = open_estimate(fixture, 1);
    assert_null(kgen_model_of_checkpoint(context, path, NULL, &status));
    assert_int_equal(status.code, KGEN_BAD_SPEC);
    kgen_status_format(&status, message, sizeof message);
    if (strstr(message, "model.layers.2.") == NULL)
        fail_msg("%s", message);
    kgen_close(context);
    remove(path);
}

/* ---- the arena ---- */

static bool overlap(const struct kgen_arena *arena, const struct kgen_graph *graph, size_t a, size_t b)
{
    return arena->offsets[a] < arena->offsets[b] + graph->tensors[b].bytes &&
           arena->offsets[b] < arena->offsets[a] + graph->tensors[a].bytes;
}

/* Tensors that live at one node share no byte; a view lies within its tensor; the whole is hardly larger than
 * the most that lives at one node. */
static void test_arena(void **state)
{
    (void)state;
    static const char config[] =
        "{\"architectures\": [\"Qwen3ForCausalLM\"], \"hidden_size\": 64, \"intermediate_size\": 192, "
        "\"num_hidden_layers\": 4, \"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"head_dim\": 32, "
        "\"vocab_size\": 100, \"quantization\": {\"bits\": 4, \"group_size\": 32}}";
    struct kgen_error error = {0};
    struct kgen_spec *spec = kgen_spec_parse("arena.json", config, strlen(config), NULL, &error);
    struct kgen_arena arena;
    size_t pairs = 0;
    if (spec == NULL)
        fail_msg("%s", error.message);
    const struct kgen_graph *graph = spec->graph;
    assert_int_equal(kgen_arena_plan(&arena, graph, &error), 0);
    for (size_t i = 0; i < graph->tensor_count; i++) {
        const struct kgen_graph_tensor *a = &graph->tensors[i];
        assert_true(arena.offsets[i] + a->bytes <= arena.bytes);
        if (a->view_of != KGEN_GRAPH_NONE) {
            assert_true(arena.offsets[i] >= arena.offsets[a->view_of]);
            assert_true(arena.offsets[i] + a->bytes <=
                        arena.offsets[a->view_of] + graph->tensors[a->view_of].bytes);
            continue;
        }
        assert_int_equal(arena.offsets[i] % KGEN_ARENA_ALIGNMENT, 0);
        for (size_t j = 0; j < i; j++) {
            const struct kgen_graph_tensor *b = &graph->tensors[j];
            if (b->view_of != KGEN_GRAPH_NONE || a->first > b->last || b->first > a->last)
                continue;
            if (overlap(&arena, graph, i, j))
                fail_msg("%s and %s share bytes", a->name, b->name);
            pairs++;
        }
    }
    assert_true(pairs > 20);
    assert_true(arena.bytes <= 2 * kgen_graph_peak(graph, NULL));
    kgen_arena_free(&arena);
    kgen_spec_free(spec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_logits_are_right, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_prompts_are_right, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_cache_types, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_begin_anew, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_limits, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_a_tensor_is_missing, api_setup, api_teardown),

        cmocka_unit_test(test_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
