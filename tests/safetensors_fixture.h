/* SPDX-License-Identifier: MIT */
/* safetensors files, and a small model as mlx-lm saves it, made by tests. What cannot be done ends the
 * program with a message. */
#ifndef SAFETENSORS_FIXTURE_H
#define SAFETENSORS_FIXTURE_H

#include "gen/base/base.h"

/* A tensor to be written: random numbers that follow from its name and a seed. */
struct kgen_test_tensor {
    char name[80];
    const char *dtype; /* "F32", "F16", "BF16": normal numbers; others: random bytes */
    size_t rank;
    int64_t shape[2];
    uint64_t seed; /* in the place of the name's */
};

#define KGEN_TEST_TENSORS_MAX 40

struct kgen_test_tensors {
    struct kgen_test_tensor items[KGEN_TEST_TENSORS_MAX];
    size_t count;
};

/* The tensor of a name. */
struct kgen_test_tensor *kgen_test_tensor_find(struct kgen_test_tensors *tensors, const char *name);
void kgen_test_tensor_add(struct kgen_test_tensors *tensors, const char *name, const char *dtype, size_t rank,
                          int64_t rows, int64_t columns);
void kgen_test_tensor_remove(struct kgen_test_tensors *tensors, const char *name);

/* The tensors of a Qwen3 of one layer: hidden and intermediate 32, 2 heads of 16, 1 of keys and values, vocab
 * 20, tied. With bits the matrices are packed in groups of 32, else they are of BF16. */
void kgen_test_qwen3_tensors(struct kgen_test_tensors *tensors, int64_t bits);
/* Its config.json, and more members, each with a comma behind it; "" for none. */
void kgen_test_qwen3_config(const char *more, struct kgen_text *config);

/* Appends the file of tensors, one after the other, to text. */
void kgen_test_safetensors_write(const struct kgen_test_tensors *tensors, uint64_t seed,
                                 struct kgen_text *text);
/* Appends a file of a header and bytes. */
void kgen_test_safetensors_put(const char *header, size_t header_length, const char *data, size_t length,
                               struct kgen_text *text);

#endif
