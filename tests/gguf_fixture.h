/* SPDX-License-Identifier: MIT */
/* GGUF files made by tests: piece by piece, or whole models of the architectures llama, qwen2 and
 * qwen3 with random weights.
 * What cannot be done ends the program with a message. */
#ifndef GGUF_FIXTURE_H
#define GGUF_FIXTURE_H

#include "runtime/model/gguf.h"

/* ---- piece by piece ---- */

/* Zero-initialise, add values and tensors in any order, then finish. */
struct kgen_test_gguf {
    uint32_t version, alignment; /* 0: 3, 32. Another alignment than 32 becomes a value of its own */
    struct kgen_text values, tensors, data;
    uint64_t value_count, tensor_count;
};

/* Little-endian numbers, and a text behind its length. */
void kgen_test_put(struct kgen_text *text, uint64_t number, size_t bytes);
void kgen_test_put_string(struct kgen_text *text, const char *data, size_t length);

void kgen_test_gguf_integer(struct kgen_test_gguf *file, const char *key, enum kgen_gguf_type type,
                            int64_t value);
void kgen_test_gguf_u32(struct kgen_test_gguf *file, const char *key, uint32_t value);
void kgen_test_gguf_f32(struct kgen_test_gguf *file, const char *key, float value);
void kgen_test_gguf_bool(struct kgen_test_gguf *file, const char *key, bool value);
void kgen_test_gguf_string(struct kgen_test_gguf *file, const char *key, const char *value);
void kgen_test_gguf_strings(struct kgen_test_gguf *file, const char *key, const char *const *strings,
                            size_t count);
void kgen_test_gguf_i32s(struct kgen_test_gguf *file, const char *key, const int32_t *values, size_t count);
void kgen_test_gguf_f32s(struct kgen_test_gguf *file, const char *key, const float *values, size_t count);
/* Any value: its bytes as they lie behind the type. */
void kgen_test_gguf_raw(struct kgen_test_gguf *file, const char *key, enum kgen_gguf_type type,
                        const void *data, size_t length);

/* A tensor of a type's number; dims in ggml's order. data has as many bytes as the tensor takes, or is NULL:
 * zeros. */
void kgen_test_gguf_tensor(struct kgen_test_gguf *file, const char *name, uint32_t type, unsigned rank,
                           const int64_t *dims, const void *data);
/* The same with random weights as models have them, standard deviation about deviation, mean 0, or 1 where
 * ones is set. Types: F32, F16, BF16 and those of ggml_blocks.h; others get random bytes. */
void kgen_test_gguf_random(struct kgen_test_gguf *file, const char *name, uint32_t type, unsigned rank,
                           const int64_t *dims, float deviation, bool ones, uint64_t seed);

/* Writes the file's bytes into text, which is empty, and frees the writer. */
void kgen_test_gguf_finish(struct kgen_test_gguf *file, struct kgen_text *text);

/* ---- whole models ---- */

/* NULL or 0: left out. Arrays have count elements. */
struct kgen_test_tokenizer {
    const char *model, *pre; /* "gpt2", "smollm" */
    const char *const *tokens;
    const float *scores;
    const int32_t *types;
    size_t count;
    const char *const *merges;
    size_t merge_count;
    uint32_t bos, eos;
    bool add_bos;
    const char *chat_template;
};

/* Columns of matrices must be multiples of 32 where their types are blocks. */
struct kgen_test_llama {
    int64_t hidden, intermediate, layers, heads, kv_heads, head_dim, vocab;
    float eps, theta;                            /* 0: 1e-5, 10000 */
    int64_t context;                             /* 0: 256 */
    bool tied;                                   /* there is no output.weight */
    const struct kgen_test_tokenizer *tokenizer; /* NULL: none */
    const char *architecture;                    /* NULL: "llama"; or "qwen2", "qwen3", "qwen3moe" */
    float rope_factor;    /* 0: none; else of Llama 3's scaling, whose factors rope_freqs.weight has */
    int64_t rope_context; /* 0: 8192; else the positions that the scaling is from, which the metadata say */
    int64_t experts; /* 0: none; else in place of the mlp of every layer, each of intermediate elements */
    int64_t experts_per_token;
};

/* Numbers of ggml's types: KGEN_GGUF_TENSOR_Q4_0. */
struct kgen_test_llama_types {
    uint32_t embedding, attention, mlp, output, norm;
};

/* A small shape: hidden 64, intermediate 96, 2 layers, 4 heads, 2 of keys and values, head_dim 16, vocab 50,
 * not tied; and Q4_0, Q4_1, Q8_0, Q8_0 (the embedding), F32. */
extern const struct kgen_test_llama kgen_test_small_llama;
extern const struct kgen_test_llama_types kgen_test_mixed_types;

/* The factor by which Llama 3's scaling divides the frequency of a pair: between 1 and 4 turns in its
 * positions. 1 where the shape has no rope_factor. */
double kgen_test_rope_factor(const struct kgen_test_llama *shape, int64_t pair);

/* Adds the metadata, and the tensors; between the two a test may add its own. */
void kgen_test_llama_values(struct kgen_test_gguf *file, const struct kgen_test_llama *shape);
void kgen_test_llama_tensors(struct kgen_test_gguf *file, const struct kgen_test_llama *shape, uint64_t seed,
                             const struct kgen_test_llama_types *types);

/* A model as bytes, or as a file. The same arguments give the same bytes. */
void kgen_test_make_llama(const struct kgen_test_llama *shape, uint64_t seed,
                          const struct kgen_test_llama_types *types, struct kgen_text *text);
void kgen_test_write_llama(const char *path, const struct kgen_test_llama *shape, uint64_t seed,
                           const struct kgen_test_llama_types *types);

#endif
