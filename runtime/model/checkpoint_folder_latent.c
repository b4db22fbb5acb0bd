/* SPDX-License-Identifier: MIT */
/* kv_b_proj of latent attention, as Hugging Face's library saves it: for each head rows that make keys of a
 * latent row, then rows that make values. Attention wants two stacks of matrices, one matrix for each head:
 * embed_q, the first rows transposed, and unembed_out. */
#include "gen/ops/dtype.h"
#include "runtime/model/checkpoint_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char ending[] = ".self_attn.kv_b_proj.weight";

static bool is_kv_b(const struct kgen_checkpoint_tensor *tensor)
{
    const size_t length = tensor->stored_name.length, size = sizeof ending - 1;
    return length > size && memcmp(tensor->stored_name.data + length - size, ending, size) == 0;
}

/* What the config says of heads. */
struct sizes {
    int64_t heads, nope, values;
};

static int fail(const struct kgen_checkpoint_folder *folder, const struct kgen_checkpoint_tensor *tensor,
                const char *what, const char *hint, struct kgen_error *error)
{
    char shown[KGEN_CHECKPOINT_NAME_MAX];
    kgen_error_set(error, KGEN_ERROR_SPEC, folder->source, 0, 0, "the tensor %s %s",
                   kgen_gguf_show(tensor->stored_name, shown, sizeof shown), what);
    kgen_error_hint(error, "%s", hint);
    return -1;
}

static int check(const struct kgen_checkpoint_folder *folder, const struct kgen_checkpoint_tensor *tensor,
                 const struct sizes *sizes, struct kgen_error *error)
{
    if (!tensor->plain || tensor->rank != 2)
        return fail(folder, tensor, "is quantised, and its halves are needed as matrices of their own",
                    "mlx-lm converts it to embed_q and unembed_out before it quantises", error);
    if (sizes->heads < 1 || sizes->nope < 1 || sizes->values < 1 || tensor->shape[0] % sizes->heads != 0 ||
        tensor->shape[0] / sizes->heads != sizes->nope + sizes->values)
        return fail(folder, tensor, "has other rows than config.json says",
                    "it has qk_nope_head_dim + v_head_dim rows for each of num_attention_heads", error);
    return 0;
}

/* Describes a stack of matrices, whose elements lie in memory of their own. */
static int describe(const struct kgen_checkpoint_tensor *whole, const char *leaf, int64_t matrices,
                    int64_t rows, int64_t columns, const unsigned char *data,
                    struct kgen_checkpoint_tensor *tensor)
{
    static const struct {
        int64_t dtype;
        uint32_t type;
    } types[] = {{KGEN_F32, KGEN_GGUF_TENSOR_F32},
                 {KGEN_F16, KGEN_GGUF_TENSOR_F16},
                 {KGEN_BF16, KGEN_GGUF_TENSOR_BF16}};
    const int before = (int)(whole->stored_name.length - strlen("kv_b_proj.weight"));
    *tensor = *whole;
    const int length =
        snprintf(tensor->name, sizeof tensor->name, "%.*s%s.weight", before, whole->stored_name.data, leaf);
    tensor->rank = 3;
    tensor->shape[0] = matrices;
    tensor->shape[1] = rows;
    tensor->shape[2] = columns;
    tensor->elements = matrices * rows * columns;
    tensor->bytes = (uint64_t)tensor->elements * kgen_dtype_bytes(whole->dtype);
    tensor->data = data;
    tensor->copied = true;
    tensor->matrix = (struct kgen_matrix){0};
    for (size_t i = 0; i < KGEN_COUNT_OF(types); i++) {
        if (types[i].dtype == whole->dtype)
            kgen_checkpoint_set_matrix(tensor, types[i].type, matrices * rows, columns);
    }
    return length < (int)sizeof tensor->name ? 0 : -1;
}

/* Makes both halves of a tensor. Returns their memory, or NULL. */
static unsigned char *split(const struct kgen_checkpoint_tensor *whole, const struct sizes *sizes,
                            struct kgen_checkpoint_tensor halves[2])
{
    const int64_t rank = whole->shape[1], each = sizes->nope + sizes->values;
    const size_t width = kgen_dtype_bytes(whole->dtype);
    unsigned char *memory = malloc((size_t)whole->bytes), *keys = memory;
    if (memory == NULL)
        return NULL;
    unsigned char *values = memory + (size_t)(sizes->heads * sizes->nope * rank) * width;
    for (int64_t h = 0; h < sizes->heads; h++) {
        const unsigned char *rows = whole->data + (size_t)(h * each * rank) * width;
        for (int64_t i = 0; i < sizes->nope * rank; i++)
            memcpy(keys + (size_t)(h * sizes->nope * rank + i % rank * sizes->nope + i / rank) * width,
                   rows + (size_t)i * width, width);
        memcpy(values + (size_t)(h * sizes->values * rank) * width,
               rows + (size_t)(sizes->nope * rank) * width, (size_t)(sizes->values * rank) * width);
    }
    if (describe(whole, "embed_q", sizes->heads, rank, sizes->nope, keys, &halves[0]) == 0 &&
        describe(whole, "unembed_out", sizes->heads, sizes->values, rank, values, &halves[1]) == 0)
        return memory;
    free(memory);
    return NULL;
}

/* Makes the new list, in which the halves are in the place of the whole tensors. */
static int split_all(struct kgen_checkpoint_folder *folder, struct kgen_checkpoint_tensor *tensors,
                     size_t *count, struct kgen_error *error)
{
    const json_t *config = folder->config;
    const struct sizes sizes = {json_integer_value(json_object_get(config, "num_attention_heads")),
                                json_integer_value(json_object_get(config, "qk_nope_head_dim")),
                                json_integer_value(json_object_get(config, "v_head_dim"))};
    for (size_t i = 0; i < folder->count; i++) {
        const struct kgen_checkpoint_tensor *tensor = &folder->tensors[i];
        if (!is_kv_b(tensor)) {
            tensors[(*count)++] = *tensor;
            continue;
        }
        if (check(folder, tensor, &sizes, error) != 0)
            return -1;
        folder->copies[folder->copy_count] = split(tensor, &sizes, &tensors[*count]);
        if (folder->copies[folder->copy_count] == NULL)
            return kgen_error_set(error, KGEN_ERROR_MEMORY, folder->source, 0, 0, "out of memory");
        folder->copy_count++;
        *count += 2;
    }
    return 0;
}

int kgen_checkpoint_folder_split_latent(struct kgen_checkpoint_folder *folder, struct kgen_error *error)
{
    size_t found = 0, count = 0;
    for (size_t i = 0; i < folder->count; i++)
        found += is_kv_b(&folder->tensors[i]);
    if (found == 0)
        return 0;
    const size_t room = folder->count + found;
    struct kgen_checkpoint_tensor *tensors = calloc(room, sizeof *tensors);
    const struct kgen_checkpoint_tensor **by_name = calloc(room, sizeof *by_name);
    folder->copies = calloc(found, sizeof *folder->copies);
    int result = tensors == NULL || by_name == NULL || folder->copies == NULL
                     ? kgen_error_set(error, KGEN_ERROR_MEMORY, folder->source, 0, 0, "out of memory")
                     : split_all(folder, tensors, &count, error);
    if (result != 0) {
        free(tensors);
        free(by_name);
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        if (tensors[i].copied || tensors[i].experts != NULL) /* whose names are not in the file */
            tensors[i].stored_name = (struct kgen_gguf_text){tensors[i].name, strlen(tensors[i].name)};
    }
    free(folder->tensors);
    free(folder->by_name);
    folder->tensors = tensors;
    folder->by_name = by_name;
    folder->count = count;
    kgen_checkpoint_folder_sort(folder);
    return 0;
}
