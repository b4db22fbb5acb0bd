/* SPDX-License-Identifier: MIT */
/* The named constants that fields of problems hold: dtypes, weight formats, orders of elements. Each is a
 * number of its own, so that a template may compare any field with any of them. */
#ifndef KGEN_CONSTANT_H
#define KGEN_CONSTANT_H

#include "gen/base/base.h"

enum kgen_constant {
    KGEN_CONSTANT_NONE,
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
    KGEN_Q6_K, /* w = d * s * (q - 32), ggml's blocks of 256 */
    KGEN_Q3_K,
    KGEN_Q2_K,
    KGEN_IQ4_NL,     /* w = d * number[q], ggml's blocks of 32 */
    KGEN_GGML_MXFP4, /* the same with a power of two */
    KGEN_I24,
    KGEN_MXFP4, /* MLX's floating-point modes: arrays of numbers and of scales, which are bytes */
    KGEN_MXFP8,
    KGEN_NVFP4,
    KGEN_Q4_0,    /* w = d * (q - 8), ggml's blocks of 32 */
    KGEN_SOFTMAX, /* scoring of a router */
    KGEN_SIGMOID,
    KGEN_YARN, /* rope_scaling */
    KGEN_PROPORTIONAL,
    KGEN_CONSTANT_COUNT
};

/* The name of a constant in specs and templates: "f32", "affine", "half", "interleaved", "none", "llama3",
 * ... */
const char *kgen_constant_name(int64_t constant);
/* The constant of that name, or KGEN_CONSTANT_NONE. */
enum kgen_constant kgen_constant_find(const char *name);

#endif
