/* SPDX-License-Identifier: MIT */
#include "safetensors_fixture.h"

#include "gen/ops/dtype.h"
#include "gen/ops/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void require(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "safetensors fixture: %s\n", what);
    abort();
}

static const struct {
    const char *name;
    int64_t bytes, dtype;
} dtypes[] = {
    {"F32", 4, KGEN_F32}, {"F16", 2, KGEN_F16}, {"BF16", 2, KGEN_BF16}, {"U32", 4, 0},
    {"I8", 1, 0},         {"U8", 1, 0},         {"F64", 8, 0},
};

struct kgen_test_tensor *kgen_test_tensor_find(struct kgen_test_tensors *tensors, const char *name)
{
    for (size_t i = 0; i < tensors->count; i++) {
        if (strcmp(tensors->items[i].name, name) == 0)
            return &tensors->items[i];
    }
    require(false, name);
    return NULL;
}

void kgen_test_tensor_add(struct kgen_test_tensors *tensors, const char *name, const char *dtype, size_t rank,
                          int64_t rows, int64_t columns)
{
    require(tensors->count < KGEN_TEST_TENSORS_MAX, "too many tensors");
    struct kgen_test_tensor *tensor = &tensors->items[tensors->count++];
    *tensor = (struct kgen_test_tensor){.dtype = dtype, .rank = rank, .shape = {rows, columns}};
    snprintf(tensor->name, sizeof tensor->name, "%s", name);
}

void kgen_test_tensor_remove(struct kgen_test_tensors *tensors, const char *name)
{
    struct kgen_test_tensor *tensor = kgen_test_tensor_find(tensors, name);
    const size_t after = tensors->count - (size_t)(tensor - tensors->items) - 1;
    memmove(tensor, tensor + 1, after * sizeof *tensor);
    tensors->count--;
}

static void add_matrix(struct kgen_test_tensors *tensors, const char *name, int64_t rows, int64_t columns,
                       int64_t bits)
{
    static const char *const parts[] = {"weight", "scales", "biases"};
    for (size_t i = 0; i < (bits > 0 ? 3 : 1); i++) {
        char full[80];
        snprintf(full, sizeof full, "%s.%s", name, parts[i]);
        if (bits == 0)
            kgen_test_tensor_add(tensors, full, "BF16", 2, rows, columns);
        else if (i == 0)
            kgen_test_tensor_add(tensors, full, "U32", 2, rows, columns * bits / 32);
        else
            kgen_test_tensor_add(tensors, full, "F16", 2, rows, columns / 32);
    }
}

void kgen_test_qwen3_tensors(struct kgen_test_tensors *tensors, int64_t bits)
{
    static const struct {
        const char *name;
        int64_t rows;
    } matrices[] = {
        {"model.embed_tokens", 20},
        {"model.layers.0.self_attn.q_proj", 32},
        {"model.layers.0.self_attn.k_proj", 16},
        {"model.layers.0.self_attn.v_proj", 16},
        {"model.layers.0.self_attn.o_proj", 32},
        {"model.layers.0.mlp.gate_proj", 32},
        {"model.layers.0.mlp.up_proj", 32},
        {"model.layers.0.mlp.down_proj", 32},
    };
    static const struct {
        const char *name;
        int64_t size;
    } norms[] = {
        {"model.norm.weight", 32},
        {"model.layers.0.input_layernorm.weight", 32},
        {"model.layers.0.post_attention_layernorm.weight", 32},
        {"model.layers.0.self_attn.q_norm.weight", 16},
        {"model.layers.0.self_attn.k_norm.weight", 16},
    };
    tensors->count = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(matrices); i++)
        add_matrix(tensors, matrices[i].name, matrices[i].rows, 32, bits);
    for (size_t i = 0; i < KGEN_COUNT_OF(norms); i++)
        kgen_test_tensor_add(tensors, norms[i].name, "BF16", 1, norms[i].size, 1);
}

void kgen_test_qwen3_config(const char *more, struct kgen_text *config)
{
    kgen_text_printf(config,
                     "{%s\"architectures\": [\"Qwen3ForCausalLM\"], \"hidden_size\": 32, "
                     "\"intermediate_size\": 32, \"num_hidden_layers\": 1, \"num_attention_heads\": 2, "
                     "\"num_key_value_heads\": 1, \"head_dim\": 16, \"vocab_size\": 20, "
                     "\"max_position_embeddings\": 64, \"rms_norm_eps\": 1e-6}",
                     more);
    require(!config->failed, "out of memory");
}

/* Appends the bytes of a tensor. */
static void write_data(const struct kgen_test_tensor *tensor, uint64_t seed, struct kgen_text *data)
{
    struct kgen_random random = {
        kgen_hash_string(seed + tensor->seed, tensor->seed != 0 ? "" : tensor->name)};
    size_t row = 0;
    while (row < KGEN_COUNT_OF(dtypes) && strcmp(dtypes[row].name, tensor->dtype) != 0)
        row++;
    require(row < KGEN_COUNT_OF(dtypes), tensor->dtype);
    int64_t elements = 1;
    for (size_t i = 0; i < tensor->rank; i++)
        elements *= tensor->shape[i];
    for (int64_t i = 0; i < elements; i++) {
        uint64_t element = kgen_random_next(&random);
        if (dtypes[row].dtype != 0)
            kgen_dtype_store(&element, dtypes[row].dtype, 0, kgen_random_normal(&random));
        kgen_text_append(data, (const char *)&element, (size_t)dtypes[row].bytes);
    }
}

void kgen_test_safetensors_put(const char *header, size_t header_length, const char *data, size_t length,
                               struct kgen_text *text)
{
    char bytes[8];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)((uint64_t)header_length >> 8 * i & 0xff);
    kgen_text_append(text, bytes, sizeof bytes);
    kgen_text_append(text, header, header_length);
    kgen_text_append(text, data, length);
    require(!text->failed, "out of memory");
}

void kgen_test_safetensors_write(const struct kgen_test_tensors *tensors, uint64_t seed,
                                 struct kgen_text *text)
{
    struct kgen_text header = {0}, data = {0};
    kgen_text_puts(&header, "{\"__metadata__\":{\"format\":\"mlx\"}");
    for (size_t i = 0; i < tensors->count; i++) {
        const struct kgen_test_tensor *tensor = &tensors->items[i];
        const size_t begin = data.length;
        write_data(tensor, seed, &data);
        kgen_text_printf(&header, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", tensor->name, tensor->dtype);
        for (size_t j = 0; j < tensor->rank; j++)
            kgen_text_printf(&header, "%s%lld", j > 0 ? "," : "", (long long)tensor->shape[j]);
        kgen_text_printf(&header, "],\"data_offsets\":[%zu,%zu]}", begin, data.length);
    }
    kgen_text_puts(&header, "}");
    require(!header.failed && !data.failed, "out of memory");
    kgen_test_safetensors_put(header.data, header.length, data.data, data.length, text);
    kgen_text_free(&header);
    kgen_text_free(&data);
}
