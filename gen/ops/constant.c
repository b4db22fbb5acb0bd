/* SPDX-License-Identifier: MIT */
#include "gen/ops/constant.h"

#include <string.h>

static const char *const names[KGEN_CONSTANT_COUNT] = {
    [KGEN_CONSTANT_NONE] = "",
    [KGEN_F32] = "f32",
    [KGEN_F16] = "f16",
    [KGEN_BF16] = "bf16",
    [KGEN_I16] = "i16",
    [KGEN_I8] = "i8",
    [KGEN_AFFINE] = "affine",
    [KGEN_SYMMETRIC] = "symmetric",
    [KGEN_ZERO_POINT] = "zero_point",
    [KGEN_HALF_SPLIT] = "half",
    [KGEN_INTERLEAVED] = "interleaved",
    [KGEN_UNSCALED] = "none",
    [KGEN_LINEAR] = "linear",
    [KGEN_LLAMA3] = "llama3",
    [KGEN_STORED] = "stored",
    [KGEN_TILES16] = "tiles16",
    [KGEN_I32] = "i32",
    [KGEN_Q8_0] = "q8_0",
    [KGEN_Q6_K] = "q6_k",
    [KGEN_Q3_K] = "q3_k",
    [KGEN_Q2_K] = "q2_k",
    [KGEN_IQ4_NL] = "iq4_nl",
    [KGEN_GGML_MXFP4] = "ggml_mxfp4",
    [KGEN_I24] = "i24",
    [KGEN_MXFP4] = "mxfp4",
    [KGEN_MXFP8] = "mxfp8",
    [KGEN_NVFP4] = "nvfp4",
    [KGEN_Q4_0] = "q4_0",
    [KGEN_SOFTMAX] = "softmax",
    [KGEN_SIGMOID] = "sigmoid",
    [KGEN_YARN] = "yarn",
    [KGEN_PROPORTIONAL] = "proportional",
};

const char *kgen_constant_name(int64_t constant)
{
    return names[constant];
}

enum kgen_constant kgen_constant_find(const char *name)
{
    for (int constant = KGEN_CONSTANT_NONE + 1; constant < KGEN_CONSTANT_COUNT; constant++) {
        if (strcmp(names[constant], name) == 0)
            return (enum kgen_constant)constant;
    }
    return KGEN_CONSTANT_NONE;
}
