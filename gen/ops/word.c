/* SPDX-License-Identifier: MIT */
#include "gen/ops/word.h"

#include <string.h>

static const char *const names[KGEN_WORD_COUNT] = {
    [KGEN_WORD_NONE] = "",
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
};

const char *kgen_word_name(int64_t word)
{
    return names[word];
}

enum kgen_word kgen_word_find(const char *name)
{
    for (int word = KGEN_WORD_NONE + 1; word < KGEN_WORD_COUNT; word++) {
        if (strcmp(names[word], name) == 0)
            return (enum kgen_word)word;
    }
    return KGEN_WORD_NONE;
}
