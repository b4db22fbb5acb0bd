/* SPDX-License-Identifier: MIT */
/* safetensors, the file format of Hugging Face's and MLX's weights: a header in JSON, then the tensors'
 * bytes.
 *
 * A file is mapped, not read. Everything is checked when it is opened: dtypes, shapes, and that the tensors
 * fill the bytes behind the header without a gap and without sharing any. An open file never changes: threads
 * may share it. */
#ifndef KGEN_SAFETENSORS_H
#define KGEN_SAFETENSORS_H

#include "gen/base/base.h"

/* The type of elements. */
struct kgen_safetensors_dtype {
    const char *name; /* "BF16" */
    int64_t bits;
};

#define KGEN_SAFETENSORS_RANK_MAX 4

struct kgen_safetensors_tensor {
    const char *name; /* terminated UTF-8 */
    const struct kgen_safetensors_dtype *dtype;
    size_t rank;
    int64_t shape[KGEN_SAFETENSORS_RANK_MAX]; /* of a matrix first its rows */
    int64_t elements;
    uint64_t offset; /* from the beginning of the file */
    uint64_t bytes;
    const unsigned char *data;
};

struct kgen_safetensors;

/* Opens a file. Returns NULL and fills error: KGEN_ERROR_IO where it cannot be read, KGEN_ERROR_SPEC where it
 * is not a safetensors file or is damaged, with the byte or the tensor in the message, KGEN_ERROR_MEMORY. The
 * caller closes it; NULL is fine. */
struct kgen_safetensors *kgen_safetensors_open(const char *path, struct kgen_error *error);
/* The same of bytes in memory, which are not copied and must outlive it. source is for errors. */
struct kgen_safetensors *kgen_safetensors_parse(const char *source, const void *data, size_t size,
                                                struct kgen_error *error);
void kgen_safetensors_close(struct kgen_safetensors *file);

const char *kgen_safetensors_source(const struct kgen_safetensors *file);
size_t kgen_safetensors_size(const struct kgen_safetensors *file); /* bytes of the file */

/* In the order of their bytes. */
size_t kgen_safetensors_count(const struct kgen_safetensors *file);
const struct kgen_safetensors_tensor *kgen_safetensors_at(const struct kgen_safetensors *file, size_t index);

#endif
