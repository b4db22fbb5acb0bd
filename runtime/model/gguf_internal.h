/* SPDX-License-Identifier: MIT */
#ifndef KGEN_GGUF_INTERNAL_H
#define KGEN_GGUF_INTERNAL_H

#include "runtime/model/file_map.h"
#include "runtime/model/gguf.h"

struct kgen_gguf {
    char *source;
    const unsigned char *data;
    size_t size;
    struct kgen_file_map map; /* of data; empty: it is the caller's */
    uint32_t version;
    uint64_t alignment;
    size_t data_begin;
    struct kgen_gguf_value *values; /* in the file's order */
    struct kgen_gguf_tensor *tensors;
    size_t value_count, tensor_count;
    const struct kgen_gguf_value **values_by_key; /* sorted */
    const struct kgen_gguf_tensor **tensors_by_name;
};

/* Bytes of a value of fixed size; 0 for strings and arrays. */
size_t kgen_gguf_type_bytes(enum kgen_gguf_type type);
/* Little-endian, at any address. */
uint64_t kgen_gguf_load(const unsigned char *data, size_t bytes);
/* As strcmp. */
int kgen_gguf_text_compare(struct kgen_gguf_text a, struct kgen_gguf_text b);
/* gguf_parse.c: reads the header. Everything else of gguf is set. */
int kgen_gguf_read(struct kgen_gguf *gguf, struct kgen_error *error);

#endif
