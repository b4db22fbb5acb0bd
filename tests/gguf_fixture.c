/* SPDX-License-Identifier: MIT */
#include "gguf_fixture.h"

#include "gen/base/file.h"
#include "gen/ops/dtype.h"
#include "gen/ops/random.h"
#include "ggml_blocks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void require(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "GGUF fixture: %s\n", what);
    abort();
}

void kgen_test_put(struct kgen_text *text, uint64_t number, size_t bytes)
{
    char data[8];
    for (size_t i = 0; i < bytes; i++)
        data[i] = (char)(number >> 8 * i & 0xff);
    kgen_text_append(text, data, bytes);
}

void kgen_test_put_string(struct kgen_text *text, const char *data, size_t length)
{
    kgen_test_put(text, length, 8);
    kgen_text_append(text, data, length);
}

/* ---- values ---- */

void kgen_test_gguf_raw(struct kgen_test_gguf *file, const char *key, enum kgen_gguf_type type,
                        const void *data, size_t length)
{
    kgen_test_put_string(&file->values, key, strlen(key));
    kgen_test_put(&file->values, (uint64_t)type, 4);
    kgen_text_append(&file->values, data, length);
    file->value_count++;
}

void kgen_test_gguf_integer(struct kgen_test_gguf *file, const char *key, enum kgen_gguf_type type,
                            int64_t value)
{
    static const size_t bytes[KGEN_GGUF_TYPE_COUNT] = {1, 1, 2, 2, 4, 4, 0, 1, 0, 0, 8, 8, 0};
    struct kgen_text text = {0};
    kgen_test_put(&text, (uint64_t)value, bytes[type]);
    kgen_test_gguf_raw(file, key, type, text.data, text.length);
    kgen_text_free(&text);
}

void kgen_test_gguf_u32(struct kgen_test_gguf *file, const char *key, uint32_t value)
{
    kgen_test_gguf_integer(file, key, KGEN_GGUF_U32, value);
}

void kgen_test_gguf_f32(struct kgen_test_gguf *file, const char *key, float value)
{
    kgen_test_gguf_raw(file, key, KGEN_GGUF_F32, &value, sizeof value);
}

void kgen_test_gguf_bool(struct kgen_test_gguf *file, const char *key, bool value)
{
    kgen_test_gguf_integer(file, key, KGEN_GGUF_BOOL, value);
}

void kgen_test_gguf_string(struct kgen_test_gguf *file, const char *key, const char *value)
{
    struct kgen_text text = {0};
    kgen_test_put_string(&text, value, strlen(value));
    kgen_test_gguf_raw(file, key, KGEN_GGUF_STRING, text.data, text.length);
    kgen_text_free(&text);
}

static void put_array_head(struct kgen_text *text, enum kgen_gguf_type element, size_t count)
{
    kgen_test_put(text, (uint64_t)element, 4);
    kgen_test_put(text, count, 8);
}

void kgen_test_gguf_strings(struct kgen_test_gguf *file, const char *key, const char *const *strings,
                            size_t count)
{
    struct kgen_text text = {0};
    put_array_head(&text, KGEN_GGUF_STRING, count);
    for (size_t i = 0; i < count; i++)
        kgen_test_put_string(&text, strings[i], strlen(strings[i]));
    kgen_test_gguf_raw(file, key, KGEN_GGUF_ARRAY, text.data, text.length);
    kgen_text_free(&text);
}

void kgen_test_gguf_i32s(struct kgen_test_gguf *file, const char *key, const int32_t *values, size_t count)
{
    struct kgen_text text = {0};
    put_array_head(&text, KGEN_GGUF_I32, count);
    kgen_text_append(&text, (const char *)values, count * sizeof *values);
    kgen_test_gguf_raw(file, key, KGEN_GGUF_ARRAY, text.data, text.length);
    kgen_text_free(&text);
}

void kgen_test_gguf_f32s(struct kgen_test_gguf *file, const char *key, const float *values, size_t count)
{
    struct kgen_text text = {0};
    put_array_head(&text, KGEN_GGUF_F32, count);
    kgen_text_append(&text, (const char *)values, count * sizeof *values);
    kgen_test_gguf_raw(file, key, KGEN_GGUF_ARRAY, text.data, text.length);
    kgen_text_free(&text);
}

/* ---- tensors ---- */

static uint64_t alignment_of(const struct kgen_test_gguf *file)
{
    return file->alignment != 0 ? file->alignment : 32;
}

static void pad(struct kgen_text *text, uint64_t alignment)
{
    while (text->length % alignment != 0 && !text->failed)
        kgen_text_append(text, "", 1);
}

static size_t bytes_of(uint32_t type, unsigned rank, const int64_t *dims)
{
    const struct kgen_gguf_tensor_type *info = kgen_gguf_tensor_type(type);
    require(info != NULL, "no such type of a tensor");
    int64_t elements = 1;
    for (unsigned i = 0; i < rank; i++)
        elements *= dims[i];
    return (size_t)(elements / info->block_values * info->block_bytes);
}

void kgen_test_gguf_tensor(struct kgen_test_gguf *file, const char *name, uint32_t type, unsigned rank,
                           const int64_t *dims, const void *data)
{
    const size_t bytes = bytes_of(type, rank, dims);
    pad(&file->data, alignment_of(file));
    kgen_test_put_string(&file->tensors, name, strlen(name));
    kgen_test_put(&file->tensors, rank, 4);
    for (unsigned i = 0; i < rank; i++)
        kgen_test_put(&file->tensors, (uint64_t)dims[i], 8);
    kgen_test_put(&file->tensors, type, 4);
    kgen_test_put(&file->tensors, file->data.length, 8);
    for (size_t i = 0; i < bytes && data == NULL; i++)
        kgen_text_append(&file->data, "", 1);
    if (data != NULL)
        kgen_text_append(&file->data, data, bytes);
    file->tensor_count++;
}

/* Blocks whose integers are uniform, with a scale that gives the deviation. */
static void fill_blocks(uint32_t type, unsigned char *data, size_t bytes, float deviation,
                        struct kgen_random *random)
{
    for (size_t i = 0; i < bytes; i++)
        data[i] = (unsigned char)kgen_random_next(random);
    ggml_set_scales(type, data, bytes, deviation, random);
}

void kgen_test_gguf_random(struct kgen_test_gguf *file, const char *name, uint32_t type, unsigned rank,
                           const int64_t *dims, float deviation, bool ones, uint64_t seed)
{
    static const int64_t dtypes[] = {[KGEN_GGUF_TENSOR_F32] = KGEN_F32,
                                     [KGEN_GGUF_TENSOR_F16] = KGEN_F16,
                                     [KGEN_GGUF_TENSOR_BF16] = KGEN_BF16};
    const int64_t dtype = type < KGEN_COUNT_OF(dtypes) ? dtypes[type] : 0;
    const size_t bytes = bytes_of(type, rank, dims);
    struct kgen_random random = {kgen_hash_string(seed, name)};
    unsigned char *data = malloc(bytes);
    require(data != NULL, "out of memory");
    if (dtype == 0)
        fill_blocks(type, data, bytes, deviation, &random);
    for (size_t i = 0; dtype != 0 && i < bytes / kgen_dtype_bytes(dtype); i++)
        kgen_dtype_store(data, dtype, (int64_t)i,
                         (ones ? 1.0f : 0.0f) + deviation * kgen_random_normal(&random));
    kgen_test_gguf_tensor(file, name, type, rank, dims, data);
    free(data);
}

void kgen_test_gguf_finish(struct kgen_test_gguf *file, struct kgen_text *text)
{
    require(text->length == 0, "the text must be empty");
    if (alignment_of(file) != 32)
        kgen_test_gguf_u32(file, "general.alignment", file->alignment);
    kgen_text_puts(text, "GGUF");
    kgen_test_put(text, file->version != 0 ? file->version : 3, 4);
    kgen_test_put(text, file->tensor_count, 8);
    kgen_test_put(text, file->value_count, 8);
    kgen_text_append(text, file->values.data, file->values.length);
    kgen_text_append(text, file->tensors.data, file->tensors.length);
    pad(text, alignment_of(file));
    kgen_text_append(text, file->data.data, file->data.length);
    require(!text->failed && !file->values.failed && !file->tensors.failed && !file->data.failed,
            "out of memory");
    kgen_text_free(&file->values);
    kgen_text_free(&file->tensors);
    kgen_text_free(&file->data);
    *file = (struct kgen_test_gguf){0};
}

/* ---- models ---- */

const struct kgen_test_llama kgen_test_small_llama = {
    .hidden = 64, .intermediate = 96, .layers = 2, .heads = 4, .kv_heads = 2, .head_dim = 16, .vocab = 50};

const struct kgen_test_llama_types kgen_test_mixed_types = {KGEN_GGUF_TENSOR_Q8_0, KGEN_GGUF_TENSOR_Q4_0,
                                                            KGEN_GGUF_TENSOR_Q4_1, KGEN_GGUF_TENSOR_Q8_0,
                                                            KGEN_GGUF_TENSOR_F32};

static void tokenizer_values(struct kgen_test_gguf *file, const struct kgen_test_tokenizer *tokenizer)
{
    if (tokenizer->model != NULL)
        kgen_test_gguf_string(file, "tokenizer.ggml.model", tokenizer->model);
    if (tokenizer->pre != NULL)
        kgen_test_gguf_string(file, "tokenizer.ggml.pre", tokenizer->pre);
    kgen_test_gguf_strings(file, "tokenizer.ggml.tokens", tokenizer->tokens, tokenizer->count);
    if (tokenizer->scores != NULL)
        kgen_test_gguf_f32s(file, "tokenizer.ggml.scores", tokenizer->scores, tokenizer->count);
    if (tokenizer->types != NULL)
        kgen_test_gguf_i32s(file, "tokenizer.ggml.token_type", tokenizer->types, tokenizer->count);
    if (tokenizer->merges != NULL)
        kgen_test_gguf_strings(file, "tokenizer.ggml.merges", tokenizer->merges, tokenizer->merge_count);
    kgen_test_gguf_u32(file, "tokenizer.ggml.bos_token_id", tokenizer->bos);
    kgen_test_gguf_u32(file, "tokenizer.ggml.eos_token_id", tokenizer->eos);
    kgen_test_gguf_bool(file, "tokenizer.ggml.add_bos_token", tokenizer->add_bos);
    if (tokenizer->chat_template != NULL)
        kgen_test_gguf_string(file, "tokenizer.chat_template", tokenizer->chat_template);
}

static const char *architecture_of(const struct kgen_test_llama *shape)
{
    return shape->architecture != NULL ? shape->architecture : "llama";
}

static const char *key_of(const struct kgen_test_llama *shape, const char *key, char full[80])
{
    snprintf(full, 80, "%s.%s", architecture_of(shape), key);
    return full;
}

void kgen_test_llama_values(struct kgen_test_gguf *file, const struct kgen_test_llama *shape)
{
    const struct {
        const char *key;
        int64_t value;
    } integers[] = {
        {"embedding_length", shape->hidden},
        {"feed_forward_length", shape->intermediate},
        {"block_count", shape->layers},
        {"attention.head_count", shape->heads},
        {"attention.head_count_kv", shape->kv_heads},
        {"attention.key_length", shape->head_dim},
        {"attention.value_length", shape->head_dim},
        {"rope.dimension_count", shape->head_dim},
        {"context_length", shape->context > 0 ? shape->context : 256},
    };
    char key[80];
    kgen_test_gguf_string(file, "general.architecture", architecture_of(shape));
    for (size_t i = 0; i < KGEN_COUNT_OF(integers); i++)
        kgen_test_gguf_u32(file, key_of(shape, integers[i].key, key), (uint32_t)integers[i].value);
    kgen_test_gguf_f32(file, key_of(shape, "attention.layer_norm_rms_epsilon", key),
                       shape->eps > 0 ? shape->eps : 1e-5f);
    kgen_test_gguf_f32(file, key_of(shape, "rope.freq_base", key), shape->theta > 0 ? shape->theta : 10000);
    if (shape->rope_context > 0)
        kgen_test_gguf_u32(file, key_of(shape, "rope.scaling.original_context_length", key),
                           (uint32_t)shape->rope_context);
    if (shape->experts > 0) {
        kgen_test_gguf_u32(file, key_of(shape, "expert_count", key), (uint32_t)shape->experts);
        kgen_test_gguf_u32(file, key_of(shape, "expert_used_count", key), (uint32_t)shape->experts_per_token);
        kgen_test_gguf_u32(file, key_of(shape, "expert_feed_forward_length", key),
                           (uint32_t)shape->intermediate);
    }
    if (shape->tokenizer != NULL)
        tokenizer_values(file, shape->tokenizer);
}

double kgen_test_rope_factor(const struct kgen_test_llama *shape, int64_t pair)
{
    const double theta = shape->theta > 0 ? (double)shape->theta : 10000, factor = (double)shape->rope_factor;
    const double positions = shape->rope_context > 0 ? (double)shape->rope_context : 8192;
    const double turns =
        positions / (2 * acos(-1.0) * pow(theta, 2 * (double)pair / (double)shape->head_dim));
    if (shape->rope_factor <= 0 || turns > 4)
        return 1;
    if (turns < 1)
        return factor;
    const double smooth = (turns - 1) / (4 - 1);
    return 1 / ((1 - smooth) / factor + smooth);
}

static void matrix(struct kgen_test_gguf *file, const char *name, uint32_t type, int64_t rows,
                   int64_t columns, uint64_t seed)
{
    /* Outputs are as great as inputs. */
    kgen_test_gguf_random(file, name, type, 2, (const int64_t[]){columns, rows}, 1 / sqrtf((float)columns),
                          false, seed);
}

static void norm(struct kgen_test_gguf *file, const char *name, uint32_t type, int64_t size, uint64_t seed)
{
    kgen_test_gguf_random(file, name, type, 1, &size, 0.1f, true, seed);
}

/* What a family has besides the weights of llama. */
static void family_tensors(struct kgen_test_gguf *file, const struct kgen_test_llama *shape, int64_t layer,
                           uint32_t type, uint64_t seed)
{
    const bool qwen2 = strcmp(architecture_of(shape), "qwen2") == 0;
    const bool qwen3 = strncmp(architecture_of(shape), "qwen3", 5) == 0;
    const int64_t queries = shape->heads * shape->head_dim, keys = shape->kv_heads * shape->head_dim;
    const struct {
        const char *name;
        bool has, is_norm;
        int64_t size;
    } vectors[] = {
        {"attn_q.bias", qwen2, false, queries},
        {"attn_k.bias", qwen2, false, keys},
        {"attn_v.bias", qwen2, false, keys},
        {"attn_q_norm.weight", qwen3, true, shape->head_dim},
        {"attn_k_norm.weight", qwen3, true, shape->head_dim},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(vectors); i++) {
        char name[64];
        snprintf(name, sizeof name, "blk.%lld.%s", (long long)layer, vectors[i].name);
        if (vectors[i].has)
            kgen_test_gguf_random(file, name, type, 1, &vectors[i].size, 0.3f, vectors[i].is_norm, seed);
    }
}

/* The router's matrix, and those of all experts one below the other. */
static void expert_tensors(struct kgen_test_gguf *file, const struct kgen_test_llama *shape, int64_t layer,
                           uint32_t type, uint64_t seed)
{
    const int64_t hidden = shape->hidden, size = shape->intermediate, experts = shape->experts;
    const struct {
        const char *name;
        uint32_t type;
        unsigned rank;
        int64_t dims[3];
    } tensors[] = {
        {"ffn_gate_inp", KGEN_GGUF_TENSOR_F32, 2, {hidden, experts}},
        {"ffn_gate_exps", type, 3, {hidden, size, experts}},
        {"ffn_up_exps", type, 3, {hidden, size, experts}},
        {"ffn_down_exps", type, 3, {size, hidden, experts}},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(tensors); i++) {
        char name[64];
        snprintf(name, sizeof name, "blk.%lld.%s.weight", (long long)layer, tensors[i].name);
        kgen_test_gguf_random(file, name, tensors[i].type, tensors[i].rank, tensors[i].dims,
                              1 / sqrtf((float)tensors[i].dims[0]), false, seed);
    }
}

static void rope_tensor(struct kgen_test_gguf *file, const struct kgen_test_llama *shape)
{
    const int64_t pairs = shape->head_dim / 2;
    float factors[256];
    require(pairs <= (int64_t)KGEN_COUNT_OF(factors), "heads are too large");
    for (int64_t i = 0; i < pairs; i++)
        factors[i] = (float)kgen_test_rope_factor(shape, i);
    if (shape->rope_factor > 0)
        kgen_test_gguf_tensor(file, "rope_freqs.weight", KGEN_GGUF_TENSOR_F32, 1, &pairs, factors);
}

void kgen_test_llama_tensors(struct kgen_test_gguf *file, const struct kgen_test_llama *shape, uint64_t seed,
                             const struct kgen_test_llama_types *types)
{
    const int64_t hidden = shape->hidden, queries = shape->heads * shape->head_dim,
                  keys = shape->kv_heads * shape->head_dim;
    const struct {
        const char *name;
        uint32_t type;
        int64_t rows, columns;
    } matrices[] = {
        {"attn_q", types->attention, queries, hidden},
        {"attn_k", types->attention, keys, hidden},
        {"attn_v", types->attention, keys, hidden},
        {"attn_output", types->attention, hidden, queries},
        {"ffn_gate", types->mlp, shape->intermediate, hidden},
        {"ffn_up", types->mlp, shape->intermediate, hidden},
        {"ffn_down", types->mlp, hidden, shape->intermediate},
    };
    matrix(file, "token_embd.weight", types->embedding, shape->vocab, hidden, seed);
    for (int64_t layer = 0; layer < shape->layers; layer++) {
        char name[64];
        for (size_t i = 0; i < KGEN_COUNT_OF(matrices); i++) {
            if (shape->experts > 0 && strncmp(matrices[i].name, "ffn", 3) == 0)
                continue;
            snprintf(name, sizeof name, "blk.%lld.%s.weight", (long long)layer, matrices[i].name);
            matrix(file, name, matrices[i].type, matrices[i].rows, matrices[i].columns, seed);
        }
        snprintf(name, sizeof name, "blk.%lld.attn_norm.weight", (long long)layer);
        norm(file, name, types->norm, hidden, seed);
        snprintf(name, sizeof name, "blk.%lld.ffn_norm.weight", (long long)layer);
        norm(file, name, types->norm, hidden, seed);
        family_tensors(file, shape, layer, types->norm, seed);
        if (shape->experts > 0)
            expert_tensors(file, shape, layer, types->mlp, seed);
    }
    rope_tensor(file, shape);
    norm(file, "output_norm.weight", types->norm, hidden, seed);
    if (!shape->tied)
        matrix(file, "output.weight", types->output, shape->vocab, hidden, seed);
}

void kgen_test_make_llama(const struct kgen_test_llama *shape, uint64_t seed,
                          const struct kgen_test_llama_types *types, struct kgen_text *text)
{
    struct kgen_test_gguf file = {0};
    kgen_test_llama_values(&file, shape);
    kgen_test_llama_tensors(&file, shape, seed, types);
    kgen_test_gguf_finish(&file, text);
}

void kgen_test_write_llama(const char *path, const struct kgen_test_llama *shape, uint64_t seed,
                           const struct kgen_test_llama_types *types)
{
    struct kgen_text text = {0};
    struct kgen_error error = {0};
    kgen_test_make_llama(shape, seed, types, &text);
    require(kgen_file_write(path, text.data, text.length, &error) == 0, error.message);
    kgen_text_free(&text);
}
