/* SPDX-License-Identifier: MIT */
/* Reading tensors: plain ones as f32, matrices in weight formats of kgen. */
#include "gen/ops/dtype.h"
#include "runtime/model/checkpoint_internal.h"

#include <string.h>

static int64_t plain_dtype(uint32_t type)
{
    switch (type) {
    case KGEN_GGUF_TENSOR_F32:
        return KGEN_F32;
    case KGEN_GGUF_TENSOR_F16:
        return KGEN_F16;
    case KGEN_GGUF_TENSOR_BF16:
        return KGEN_BF16;
    default:
        return KGEN_CONSTANT_NONE;
    }
}

void kgen_checkpoint_describe(const struct kgen_gguf_tensor *stored, struct kgen_checkpoint_tensor *tensor)
{
    const struct kgen_checkpoint_conversion *conversion = kgen_checkpoint_conversion_of(stored->type->number);
    tensor->plain = plain_dtype(stored->type->number) != KGEN_CONSTANT_NONE;
    if (conversion == NULL || stored->rank != 2)
        return;
    const struct kgen_format *format = kgen_format_find(conversion->scheme);
    if (format->block_values != 0 && stored->dims[0] % format->block_values != 0)
        return; /* plain numbers, of any count in the file */
    tensor->matrix = (struct kgen_matrix){.format = format,
                                          .N = stored->dims[1],
                                          .K = stored->dims[0],
                                          .bits = conversion->bits,
                                          .group_size = kgen_checkpoint_conversion_group(conversion),
                                          .scale_dtype = conversion->scale_dtype};
}

static const struct kgen_gguf_tensor *find(const struct kgen_checkpoint *checkpoint, const char *name,
                                           struct kgen_error *error)
{
    char stored_name[KGEN_CHECKPOINT_NAME_MAX];
    const struct kgen_gguf_tensor *tensor = kgen_checkpoint_name_to_gguf(name, stored_name)
                                                ? kgen_gguf_find_tensor(checkpoint->gguf, stored_name)
                                                : NULL;
    if (tensor == NULL)
        kgen_error_set(error, KGEN_ERROR_SPEC, kgen_checkpoint_source(checkpoint), 0, 0,
                       "there is no tensor %s", name);
    return tensor;
}

int kgen_checkpoint_values(const struct kgen_checkpoint *checkpoint, const char *name, float *values,
                           int64_t count, struct kgen_error *error)
{
    const char *source = kgen_checkpoint_source(checkpoint);
    const struct kgen_gguf_tensor *tensor = find(checkpoint, name, error);
    if (tensor == NULL)
        return -1;
    const int64_t dtype = plain_dtype(tensor->type->number);
    if (dtype == KGEN_CONSTANT_NONE) {
        kgen_error_set(error, KGEN_ERROR_SPEC, source, 0, 0, "%s is %s, and is wanted as plain numbers", name,
                       tensor->type->name);
        kgen_error_hint(error, "F32, F16 and BF16 are read as plain numbers");
        return -1;
    }
    const int64_t elements = tensor->dims[0] * tensor->dims[1] * tensor->dims[2] * tensor->dims[3];
    if (count != elements)
        return kgen_error_set(error, KGEN_ERROR_SPEC, source, 0, 0, "%s has %lld elements, not %lld", name,
                              (long long)elements, (long long)count);
    /* An element lies anywhere where the alignment of the file is 1. */
    const size_t bytes = kgen_dtype_bytes(dtype);
    for (int64_t i = 0; i < count; i++) {
        uint32_t element = 0;
        memcpy(&element, tensor->data + (size_t)i * bytes, bytes);
        values[i] = (float)kgen_dtype_value(&element, dtype, 0);
    }
    return 0;
}

/* ---- matrices ---- */

static int fail_format(const struct kgen_checkpoint *checkpoint, const char *name,
                       const struct kgen_gguf_tensor *tensor, struct kgen_error *error)
{
    if (tensor->rank != 2)
        return kgen_error_set(error, KGEN_ERROR_SPEC, kgen_checkpoint_source(checkpoint), 0, 0,
                              "%s has %u dimensions; a matrix has 2", name, tensor->rank);
    kgen_error_set(error, KGEN_ERROR_SPEC, kgen_checkpoint_source(checkpoint), 0, 0,
                   "%s is a matrix of type %s, which kgen has no weight format for", name,
                   tensor->type->name);
    kgen_error_hint(error, "matrices may be %s", kgen_checkpoint_types);
    return -1;
}

static bool formats_agree(const struct kgen_matrix *a, const struct kgen_matrix *b)
{
    return a->format == b->format && a->K == b->K && a->bits == b->bits && a->group_size == b->group_size &&
           a->scale_dtype == b->scale_dtype;
}

int kgen_checkpoint_matrix(const struct kgen_checkpoint *checkpoint, const char *name, int64_t begin,
                           int64_t end, const struct kgen_matrix *matrix, int64_t at,
                           struct kgen_error *error)
{
    const struct kgen_gguf_tensor *stored = find(checkpoint, name, error);
    if (stored == NULL)
        return -1;
    struct kgen_checkpoint_tensor tensor = {0};
    kgen_checkpoint_describe(stored, &tensor);
    if (tensor.matrix.format == NULL)
        return fail_format(checkpoint, name, stored, error);
    const char *source = kgen_checkpoint_source(checkpoint);
    if (!formats_agree(&tensor.matrix, matrix))
        return kgen_error_set(error, KGEN_ERROR_SPEC, source, 0, 0,
                              "%s, a %s, is wanted in another format or with another number of columns", name,
                              stored->type->name);
    if (begin < 0 || begin > end || end > tensor.matrix.N || at < 0 || end - begin > matrix->N - at)
        return kgen_error_set(
            error, KGEN_ERROR_SPEC, source, 0, 0,
            "%s has %lld rows, and rows %lld to %lld are wanted as rows of %lld from %lld on", name,
            (long long)tensor.matrix.N, (long long)begin, (long long)end, (long long)matrix->N,
            (long long)at);
    const struct kgen_checkpoint_conversion *conversion = kgen_checkpoint_conversion_of(stored->type->number);
    const int64_t blocks = matrix->K / stored->type->block_values;
    const size_t row_bytes = (size_t)(blocks * stored->type->block_bytes);
    const struct kgen_format *format = matrix->format;
    for (int64_t row = begin; row < end; row++) {
        unsigned char *rows[KGEN_FORMAT_ARRAYS_MAX] = {0};
        for (size_t i = 0; i < format->array_count; i++)
            rows[i] =
                (unsigned char *)matrix->arrays[i] + (at + row - begin) * format->arrays[i].row_bytes(matrix);
        const unsigned char *from = stored->data + (size_t)row * row_bytes;
        if (conversion->convert != NULL)
            conversion->convert(from, blocks, rows);
        else
            memcpy(rows[0], from, row_bytes);
    }
    return 0;
}
