/* SPDX-License-Identifier: MIT */
/* Reading tensors: plain ones as f32, matrices in weight formats of kgen. */
#include "gen/ops/dtype.h"
#include "gen/ops/layout.h"
#include "runtime/model/checkpoint_internal.h"
#include "runtime/model/file_map.h"
#include "runtime/model/package.h"

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

void kgen_checkpoint_set_matrix(struct kgen_checkpoint_tensor *tensor, uint32_t type, int64_t N, int64_t K)
{
    const struct kgen_checkpoint_conversion *conversion = kgen_checkpoint_conversion_of(type);
    if (conversion == NULL)
        return;
    const struct kgen_format *format = kgen_format_find(conversion->scheme);
    if (format->block_values != 0 && K % format->block_values != 0)
        return; /* plain numbers, of any count in the file */
    tensor->matrix = (struct kgen_matrix){.format = format,
                                          .N = N,
                                          .K = K,
                                          .bits = conversion->bits,
                                          .group_size = kgen_checkpoint_conversion_group(conversion),
                                          .scale_dtype = conversion->scale_dtype};
    tensor->conversion = conversion->convert != NULL ? conversion : NULL;
    tensor->arrays[0] = tensor->data;
}

void kgen_checkpoint_describe(const struct kgen_gguf_tensor *stored, struct kgen_checkpoint_tensor *tensor)
{
    tensor->dtype = plain_dtype(stored->type->number);
    tensor->plain = tensor->dtype != KGEN_CONSTANT_NONE;
    if (stored->rank == 2 || stored->rank == 3)
        kgen_checkpoint_set_matrix(tensor, stored->type->number,
                                   stored->dims[1] * (stored->rank == 3 ? stored->dims[2] : 1),
                                   stored->dims[0]);
}

static int find(const struct kgen_checkpoint *checkpoint, const char *name,
                struct kgen_checkpoint_tensor *tensor, struct kgen_error *error)
{
    return kgen_checkpoint_find(checkpoint, name, tensor)
               ? 0
               : kgen_error_set(error, KGEN_ERROR_SPEC, kgen_checkpoint_source(checkpoint), 0, 0,
                                "there is no tensor %s", name);
}

int kgen_checkpoint_values(const struct kgen_checkpoint *checkpoint, const char *name, float *values,
                           int64_t count, struct kgen_error *error)
{
    const char *source = kgen_checkpoint_source(checkpoint);
    struct kgen_checkpoint_tensor tensor;
    if (find(checkpoint, name, &tensor, error) != 0)
        return -1;
    if (!tensor.plain) {
        kgen_error_set(error, KGEN_ERROR_SPEC, source, 0, 0, "%s is %s, and is wanted as plain numbers", name,
                       tensor.type);
        kgen_error_hint(error, "F32, F16 and BF16 are read as plain numbers");
        return -1;
    }
    if (count != tensor.elements)
        return kgen_error_set(error, KGEN_ERROR_SPEC, source, 0, 0, "%s has %lld elements, not %lld", name,
                              (long long)tensor.elements, (long long)count);
    /* An element lies anywhere where the alignment of the file is 1. */
    const size_t bytes = kgen_dtype_bytes(tensor.dtype);
    for (int64_t i = 0; i < count; i++) {
        uint32_t element = 0;
        const int64_t at = tensor.row_step > 0 ? tensor.first_row + i * tensor.row_step : i;
        memcpy(&element, tensor.data + (size_t)at * bytes, bytes);
        values[i] = (float)kgen_dtype_value(&element, tensor.dtype, 0);
    }
    return 0;
}

/* ---- matrices ---- */

static int fail_format(const struct kgen_checkpoint *checkpoint, const char *name,
                       const struct kgen_checkpoint_tensor *tensor, struct kgen_error *error)
{
    if (tensor->rank != 2 && tensor->rank != 3)
        return kgen_error_set(error, KGEN_ERROR_SPEC, kgen_checkpoint_source(checkpoint), 0, 0,
                              "%s has %zu dimensions; a matrix has 2, and those of experts have 3", name,
                              tensor->rank);
    kgen_error_set(error, KGEN_ERROR_SPEC, kgen_checkpoint_source(checkpoint), 0, 0,
                   "%s is a matrix of type %s, which kgen has no weight format for", name, tensor->type);
    kgen_error_hint(error, "matrices may be %s", kgen_checkpoint_types);
    return -1;
}

static bool formats_agree(const struct kgen_matrix *a, const struct kgen_matrix *b)
{
    return a->format == b->format && a->K == b->K && a->bits == b->bits && a->group_size == b->group_size &&
           a->scale_dtype == b->scale_dtype;
}

/* Bytes of a row of an array in the file; 0: none, or the first array has all. */
static int64_t stored_row_bytes(const struct kgen_checkpoint_tensor *tensor, size_t array)
{
    if (tensor->conversion == NULL)
        return tensor->matrix.format->arrays[array].row_bytes(&tensor->matrix);
    const struct kgen_gguf_tensor_type *type = kgen_gguf_tensor_type(tensor->conversion->type);
    return array == 0 ? tensor->matrix.K / type->block_values * type->block_bytes : 0;
}

/* Reads one row into row `at` of the arrays of matrix. */
static void read_row(const struct kgen_checkpoint_tensor *tensor, int64_t row,
                     const struct kgen_matrix *matrix, int64_t at)
{
    const struct kgen_format *format = matrix->format;
    unsigned char *rows[KGEN_FORMAT_ARRAYS_MAX] = {0};
    if (tensor->experts != NULL) {
        const int64_t each = tensor->shape[1];
        tensor = tensor->experts[row / each];
        row %= each;
    }
    const int64_t stored = tensor->row_step > 0 ? tensor->first_row + row * tensor->row_step : row;
    for (size_t i = 0; i < format->array_count; i++) {
        const int64_t bytes = format->arrays[i].row_bytes(matrix);
        rows[i] = (unsigned char *)matrix->arrays[i] + at * bytes;
        if (bytes == 0)
            continue;
        if (tensor->packed != NULL)
            kgen_layout_unpack_row(&tensor->packed->problem, (int)i, tensor->arrays[i],
                                   tensor->first_row + row, rows[i]);
        else if (tensor->conversion == NULL)
            memcpy(rows[i], tensor->arrays[i] + stored * bytes, (size_t)bytes);
    }
    if (tensor->conversion == NULL)
        return;
    const struct kgen_gguf_tensor_type *type = kgen_gguf_tensor_type(tensor->conversion->type);
    const int64_t blocks = matrix->K / type->block_values;
    tensor->conversion->convert(tensor->arrays[0] + row * stored_row_bytes(tensor, 0), blocks, rows);
}

int kgen_checkpoint_matrix(const struct kgen_checkpoint *checkpoint, const char *name, int64_t begin,
                           int64_t end, const struct kgen_matrix *matrix, int64_t at,
                           struct kgen_error *error)
{
    struct kgen_checkpoint_tensor tensor;
    if (find(checkpoint, name, &tensor, error) != 0)
        return -1;
    if (tensor.matrix.format == NULL)
        return fail_format(checkpoint, name, &tensor, error);
    const char *source = kgen_checkpoint_source(checkpoint);
    if (!formats_agree(&tensor.matrix, matrix))
        return kgen_error_set(error, KGEN_ERROR_SPEC, source, 0, 0,
                              "%s, a %s, is wanted in another format or with another number of columns", name,
                              tensor.type);
    if (begin < 0 || begin > end || end > tensor.matrix.N || at < 0 || end - begin > matrix->N - at)
        return kgen_error_set(
            error, KGEN_ERROR_SPEC, source, 0, 0,
            "%s has %lld rows, and rows %lld to %lld are wanted as rows of %lld from %lld on", name,
            (long long)tensor.matrix.N, (long long)begin, (long long)end, (long long)matrix->N,
            (long long)at);
    for (int64_t row = begin; row < end; row++)
        read_row(&tensor, row, matrix, at + row - begin);
    return 0;
}

static void let_go(const struct kgen_checkpoint_tensor *tensor, int64_t begin, int64_t end)
{
    const struct kgen_matrix *matrix = &tensor->matrix;
    for (size_t i = 0; i < matrix->format->array_count; i++) {
        const int64_t bytes = stored_row_bytes(tensor, i);
        const int64_t step = tensor->row_step > 0 ? tensor->row_step : 1;
        const unsigned char *first = tensor->arrays[i] + (tensor->first_row + begin * step) * bytes;
        if (bytes > 0 && begin < end)
            kgen_file_map_let_go(first, (size_t)(((end - begin - 1) * step + 1) * bytes));
    }
}

void kgen_checkpoint_let_go(const struct kgen_checkpoint *checkpoint, const char *name, int64_t begin,
                            int64_t end)
{
    struct kgen_checkpoint_tensor tensor;
    if (!checkpoint->mapped || !kgen_checkpoint_find(checkpoint, name, &tensor) ||
        tensor.matrix.format == NULL || tensor.copied)
        return;
    if (tensor.experts == NULL) {
        let_go(&tensor, begin, end);
        return;
    }
    const int64_t rows = tensor.experts[0]->matrix.N;
    for (int64_t i = begin / rows; i * rows < end; i++) {
        const int64_t first = i * rows, last = first + rows;
        let_go(tensor.experts[i], begin > first ? begin - first : 0, (end < last ? end : last) - first);
    }
}

/* ---- in place ---- */

/* Whether names are those that a package has one below the other. */
static bool names_agree(const struct kgen_package_weights *weights, const char *const *names, size_t count)
{
    bool agree = weights->count == count;
    for (size_t i = 0; i < count && agree; i++)
        agree = strcmp(weights->names[i], names[i]) == 0;
    return agree;
}

/* Words of weights, scales and blocks have four bytes at most. */
static bool is_aligned(const void *address)
{
    return (uintptr_t)address % sizeof(uint32_t) == 0;
}

/* Sets the arrays of matrix to those that a tensor begins, or holds those of a later tensor, so many rows
 * behind the first, against them. */
static bool take_arrays(const struct kgen_checkpoint_tensor *tensor, int64_t rows, struct kgen_matrix *matrix)
{
    for (size_t i = 0; i < matrix->format->array_count; i++) {
        const int64_t bytes = matrix->format->arrays[i].row_bytes(matrix);
        if (bytes == 0)
            continue;
        if (rows == 0)
            matrix->arrays[i] = (void *)(uintptr_t)tensor->arrays[i];
        const unsigned char *begin = matrix->arrays[i];
        /* All parts of packed weights have the same arrays. */
        if (!is_aligned(begin) || tensor->arrays[i] != begin + (tensor->packed != NULL ? 0 : rows * bytes))
            return false;
    }
    return true;
}

bool kgen_checkpoint_in_place(const struct kgen_checkpoint *checkpoint, const char *const *names,
                              size_t count, int64_t layout, struct kgen_matrix *matrix)
{
    int64_t rows = 0;
    for (size_t i = 0; i < count; i++) {
        struct kgen_checkpoint_tensor tensor;
        if (!kgen_checkpoint_find(checkpoint, names[i], &tensor) || tensor.matrix.format == NULL ||
            tensor.experts != NULL || tensor.conversion != NULL || tensor.row_step > 1 ||
            !formats_agree(&tensor.matrix, matrix))
            return false;
        if (tensor.packed != NULL ? !names_agree(tensor.packed, names, count) ||
                                        kgen_problem_get(&tensor.packed->problem, "layout") != layout
                                  : layout != KGEN_STORED)
            return false;
        if (!take_arrays(&tensor, rows, matrix))
            return false;
        rows += tensor.matrix.N;
    }
    return rows == matrix->N;
}

const float *kgen_checkpoint_values_in_place(const struct kgen_checkpoint *checkpoint,
                                             const char *const *names, size_t count)
{
    const unsigned char *begin = NULL;
    int64_t elements = 0;
    for (size_t i = 0; i < count; i++) {
        struct kgen_checkpoint_tensor tensor;
        if (!kgen_checkpoint_find(checkpoint, names[i], &tensor) || !tensor.plain ||
            tensor.dtype != KGEN_F32 || tensor.row_step > 1)
            return NULL;
        begin = i == 0 ? tensor.data : begin;
        if (tensor.data != begin + elements * (int64_t)sizeof(float) || !is_aligned(begin))
            return NULL;
        elements += tensor.elements;
    }
    return (const float *)(const void *)begin;
}
