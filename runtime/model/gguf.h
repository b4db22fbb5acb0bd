/* SPDX-License-Identifier: MIT */
/* GGUF, the file format of ggml's models: metadata by key, and tensors. Versions 2 and 3, little-endian.
 *
 * A file is mapped, not read: texts, values and tensors point into the map. Everything is checked when the
 * file is opened, so the accessors cannot fail on what it holds; a file that another process shortens
 * meanwhile raises SIGBUS, as every map does. An open file never changes: threads may share it. */
#ifndef KGEN_GGUF_H
#define KGEN_GGUF_H

#include "gen/base/base.h"

/* Bytes of the file, not terminated. They need not be UTF-8, and may hold zeros. */
struct kgen_gguf_text {
    const char *data;
    size_t length;
};
bool kgen_gguf_text_is(struct kgen_gguf_text text, const char *string);
/* Copies a text for people: at most size - 1 bytes, cut texts end in "...", what is not printable ASCII is
 * '?'. size is at least 4. Returns shown. */
const char *kgen_gguf_show(struct kgen_gguf_text text, char *shown, size_t size);

/* The types of values, by their numbers in the file. */
enum kgen_gguf_type {
    KGEN_GGUF_U8,
    KGEN_GGUF_I8,
    KGEN_GGUF_U16,
    KGEN_GGUF_I16,
    KGEN_GGUF_U32,
    KGEN_GGUF_I32,
    KGEN_GGUF_F32,
    KGEN_GGUF_BOOL,
    KGEN_GGUF_STRING,
    KGEN_GGUF_ARRAY,
    KGEN_GGUF_U64,
    KGEN_GGUF_I64,
    KGEN_GGUF_F64,
    KGEN_GGUF_TYPE_COUNT
};
/* "u8", "f32", "string", "array", ... */
const char *kgen_gguf_type_name(enum kgen_gguf_type type);

struct kgen_gguf_value {
    struct kgen_gguf_text key;
    enum kgen_gguf_type type;
    enum kgen_gguf_type element; /* of an array that of its elements; else type */
    uint64_t count;              /* of an array its elements; else 1 */
    const unsigned char *data;   /* the first element, as the file has it */
    size_t bytes;                /* of all elements */
};

/* A type of ggml's tensors: so many values in a block of so many bytes. */
struct kgen_gguf_tensor_type {
    uint32_t number;  /* in the file */
    const char *name; /* "Q4_0" */
    int64_t block_values, block_bytes;
};
/* Their numbers, of those that kgen reads. */
enum {
    KGEN_GGUF_TENSOR_F32 = 0,
    KGEN_GGUF_TENSOR_F16 = 1,
    KGEN_GGUF_TENSOR_Q4_0 = 2,
    KGEN_GGUF_TENSOR_Q4_1 = 3,
    KGEN_GGUF_TENSOR_Q5_0 = 6,
    KGEN_GGUF_TENSOR_Q5_1 = 7,
    KGEN_GGUF_TENSOR_Q8_0 = 8,
    KGEN_GGUF_TENSOR_Q2_K = 10,
    KGEN_GGUF_TENSOR_Q3_K = 11,
    KGEN_GGUF_TENSOR_Q4_K = 12,
    KGEN_GGUF_TENSOR_Q5_K = 13,
    KGEN_GGUF_TENSOR_Q6_K = 14,
    KGEN_GGUF_TENSOR_IQ4_NL = 20,
    KGEN_GGUF_TENSOR_BF16 = 30,
    KGEN_GGUF_TENSOR_MXFP4 = 39
};
/* NULL for a number that is not known. */
const struct kgen_gguf_tensor_type *kgen_gguf_tensor_type(uint32_t number);

#define KGEN_GGUF_RANK_MAX 4

struct kgen_gguf_tensor {
    struct kgen_gguf_text name;
    const struct kgen_gguf_tensor_type *type;
    unsigned rank;                    /* at least 1 */
    int64_t dims[KGEN_GGUF_RANK_MAX]; /* ggml's order: of a matrix first its columns; 1 from rank on */
    uint64_t offset;                  /* from the beginning of the file */
    uint64_t bytes;
    const unsigned char *data;
};

struct kgen_gguf;

/* Opens a file. Returns NULL and fills error: KGEN_ERROR_IO where it cannot be read, KGEN_ERROR_SPEC where it
 * is not a GGUF file or is damaged, with the byte in the message. The caller closes it; NULL is fine. */
struct kgen_gguf *kgen_gguf_open(const char *path, struct kgen_error *error);
/* The same of bytes in memory, which are not copied and must outlive it. source is for errors. */
struct kgen_gguf *kgen_gguf_parse(const char *source, const void *data, size_t size,
                                  struct kgen_error *error);
void kgen_gguf_close(struct kgen_gguf *gguf);

const char *kgen_gguf_source(const struct kgen_gguf *gguf);
uint32_t kgen_gguf_version(const struct kgen_gguf *gguf);
/* Bytes of the file, and the byte at which the tensors' data begins. */
size_t kgen_gguf_size(const struct kgen_gguf *gguf);
size_t kgen_gguf_data_begin(const struct kgen_gguf *gguf);
uint64_t kgen_gguf_alignment(const struct kgen_gguf *gguf);

/* In the order of the file. */
size_t kgen_gguf_value_count(const struct kgen_gguf *gguf);
const struct kgen_gguf_value *kgen_gguf_value_at(const struct kgen_gguf *gguf, size_t index);
size_t kgen_gguf_tensor_count(const struct kgen_gguf *gguf);
const struct kgen_gguf_tensor *kgen_gguf_tensor_at(const struct kgen_gguf *gguf, size_t index);

/* NULL where there is none of that name. */
const struct kgen_gguf_value *kgen_gguf_find(const struct kgen_gguf *gguf, const char *key);
const struct kgen_gguf_tensor *kgen_gguf_find_tensor(const struct kgen_gguf *gguf, const char *name);

/* The value of a key. Each returns 1, 0 where there is no such key, or -1 and an error that names the key
 * where its type is another. Integers of any type that fit are read as int64_t, and as reals, too. */
int kgen_gguf_string(const struct kgen_gguf *gguf, const char *key, struct kgen_gguf_text *text,
                     struct kgen_error *error);
int kgen_gguf_integer(const struct kgen_gguf *gguf, const char *key, int64_t *integer,
                      struct kgen_error *error);
int kgen_gguf_real(const struct kgen_gguf *gguf, const char *key, double *real, struct kgen_error *error);
int kgen_gguf_boolean(const struct kgen_gguf *gguf, const char *key, bool *boolean, struct kgen_error *error);
/* An array whose elements have a type; KGEN_GGUF_I64 stands for every type of integers, KGEN_GGUF_F64 for
 * those of reals. */
int kgen_gguf_array(const struct kgen_gguf *gguf, const char *key, enum kgen_gguf_type element,
                    const struct kgen_gguf_value **array, struct kgen_error *error);

/* Element index of a value of integers or booleans, or of reals; index is less than count. A u64 above
 * INT64_MAX is INT64_MAX. */
int64_t kgen_gguf_integer_at(const struct kgen_gguf_value *value, uint64_t index);
double kgen_gguf_real_at(const struct kgen_gguf_value *value, uint64_t index);

/* Walks the strings of a value, which have no index in the file: start, then next until it returns false. */
struct kgen_gguf_strings {
    const unsigned char *at;
    size_t bytes;
    uint64_t left;
};
struct kgen_gguf_strings kgen_gguf_strings_start(const struct kgen_gguf_value *value);
bool kgen_gguf_strings_next(struct kgen_gguf_strings *strings, struct kgen_gguf_text *text);

#endif
