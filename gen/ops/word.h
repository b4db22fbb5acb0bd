/* SPDX-License-Identifier: MIT */
/* The words that fields of problems hold: dtypes, weight formats, orders of elements. Each is a number of its
 * own, so that a template may compare any field with any word. */
#ifndef KGEN_WORD_H
#define KGEN_WORD_H

#include "gen/base/base.h"

enum kgen_word {
    KGEN_WORD_NONE,
    KGEN_F32,
    KGEN_F16,
    KGEN_BF16,
    KGEN_I16,
    KGEN_I8,
    KGEN_AFFINE,      /* w = scale * q + bias */
    KGEN_SYMMETRIC,   /* w = scale * (q - 2^(bits-1)); there are no biases */
    KGEN_ZERO_POINT,  /* w = scale * (q - zero); the array biases holds the zeros */
    KGEN_HALF_SPLIT,  /* RoPE pairs i with i + rotary_dim/2 */
    KGEN_INTERLEAVED, /* RoPE pairs 2i with 2i+1 */
    KGEN_UNSCALED,    /* rope_scaling */
    KGEN_LINEAR,
    KGEN_LLAMA3,
    KGEN_STORED,  /* layout: weights as checkpoints have them */
    KGEN_TILES16, /* layout: 16 rows side by side; gen/ops/layout.h */
    KGEN_I32,
    KGEN_Q8_0, /* w = d * q, ggml's blocks of 32 */
    KGEN_WORD_COUNT
};

/* The name of a word in specs and templates: "f32", "affine", "half", "interleaved", "none", "llama3", ... */
const char *kgen_word_name(int64_t word);
/* The word of that name, or KGEN_WORD_NONE. */
enum kgen_word kgen_word_find(const char *name);

#endif
