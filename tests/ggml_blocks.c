/* SPDX-License-Identifier: MIT */
#include "ggml_blocks.h"

#include "gen/ops/dtype.h"
#include "runtime/model/gguf.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

double ggml_slow_f16(const unsigned char *bytes)
{
    const unsigned bits = bytes[0] | (unsigned)bytes[1] << 8;
    const int exponent = (int)(bits >> 10 & 31);
    const double fraction = (double)(bits & 1023) / 1024;
    const double value = exponent == 0 ? ldexp(fraction, -14) : ldexp(1 + fraction, exponent - 15);
    return bits >> 15 != 0 ? -value : value;
}

static int signed_byte(unsigned byte)
{
    return byte < 128 ? (int)byte : (int)byte - 256;
}

/* ---- blocks of 32 ---- */

/* The first half of the values is in the low nibbles. */
static unsigned nibble(const unsigned char *nibbles, int i)
{
    return i < 16 ? nibbles[i] & 15u : nibbles[i - 16] >> 4;
}

static double q4_0(const unsigned char *block, int i)
{
    return ggml_slow_f16(block) * ((int)nibble(block + 2, i) - 8);
}

static double q4_1(const unsigned char *block, int i)
{
    return ggml_slow_f16(block) * nibble(block + 4, i) + ggml_slow_f16(block + 2);
}

static double q5_0(const unsigned char *block, int i)
{
    const unsigned high = (unsigned)block[2 + i / 8] >> i % 8 & 1u;
    return ggml_slow_f16(block) * ((int)(nibble(block + 6, i) + 16 * high) - 16);
}

static double q5_1(const unsigned char *block, int i)
{
    const unsigned high = (unsigned)block[4 + i / 8] >> i % 8 & 1u;
    return ggml_slow_f16(block) * (nibble(block + 8, i) + 16 * high) + ggml_slow_f16(block + 2);
}

static double q8_0(const unsigned char *block, int i)
{
    return ggml_slow_f16(block) * signed_byte(block[2 + i]);
}

/* ---- blocks of 256 ---- */

/* Scale j of Q4_K and Q5_K, or the minimum. */
static unsigned pair(const unsigned char *block, int j, bool minimum)
{
    const unsigned char *bytes = block + 4;
    if (j < 4)
        return bytes[minimum ? j + 4 : j] & 63u;
    return ((unsigned)bytes[j + 4] >> (minimum ? 4 : 0) & 15u) + 16 * (bytes[minimum ? j : j - 4] / 64u);
}

static double q45_k(const unsigned char *block, int i, unsigned q)
{
    return ggml_slow_f16(block) * pair(block, i / 32, false) * q -
           ggml_slow_f16(block + 2) * pair(block, i / 32, true);
}

static double q4_k(const unsigned char *block, int i)
{
    return q45_k(block, i, (unsigned)block[16 + i / 64 * 32 + i % 32] >> (i / 32 % 2 * 4) & 15u);
}

static double q5_k(const unsigned char *block, int i)
{
    const unsigned high = (unsigned)block[16 + i % 32] >> i / 32 & 1u;
    return q45_k(block, i,
                 ((unsigned)block[48 + i / 64 * 32 + i % 32] >> (i / 32 % 2 * 4) & 15u) + 16 * high);
}

static double q6_k(const unsigned char *block, int i)
{
    const int half = i / 128, quarter = i / 32 % 4, k = i % 32;
    const unsigned char low = block[64 * half + 32 * (quarter % 2) + k], high = block[128 + 32 * half + k];
    const unsigned q = (quarter < 2 ? low & 15u : low >> 4) + 16 * (high >> 2 * quarter & 3u);
    return ggml_slow_f16(block + 208) * signed_byte(block[192 + i / 16]) * ((int)q - 32);
}

/* 16 scales of 6 bits, each 4 bits of one byte and 2 of another. */
static int scale_of_12_bytes(const unsigned char *bytes, int j)
{
    const unsigned low = j < 8 ? bytes[j] & 15u : bytes[j - 8] >> 4;
    return (int)(low + 16 * ((unsigned)bytes[8 + j % 4] >> 2 * (j / 4) & 3u)) - 32;
}

static double q3_k(const unsigned char *block, int i)
{
    const unsigned low = (unsigned)block[32 + i / 128 * 32 + i % 32] >> 2 * (i / 32 % 4) & 3u;
    const int q = (int)low - ((block[i % 32] >> i / 32 & 1) != 0 ? 0 : 4);
    return ggml_slow_f16(block + 108) * scale_of_12_bytes(block + 96, i / 16) * q;
}

static double q2_k(const unsigned char *block, int i)
{
    const unsigned q = (unsigned)block[16 + i / 128 * 32 + i % 32] >> 2 * (i / 32 % 4) & 3u,
                   both = block[i / 16];
    return ggml_slow_f16(block + 80) * (both % 16) * q - ggml_slow_f16(block + 82) * (both / 16);
}

static double iq4_nl(const unsigned char *block, int i)
{
    static const int table[] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
    return ggml_slow_f16(block) * table[nibble(block + 2, i)];
}

/* A nibble is a sign, two bits of exponent and one of mantissa. */
static double mxfp4(const unsigned char *block, int i)
{
    const unsigned q = nibble(block + 1, i), exponent = q >> 1 & 3, mantissa = q & 1;
    const double value = exponent == 0 ? 0.5 * mantissa : ldexp(1 + 0.5 * mantissa, (int)exponent - 1);
    return ldexp(q > 7 ? -value : value, block[0] - 127);
}

/* ---- plain numbers ---- */

static double f32(const unsigned char *number, int i)
{
    float value;
    (void)i;
    memcpy(&value, number, sizeof value);
    return (double)value;
}

static double f16(const unsigned char *number, int i)
{
    (void)i;
    return ggml_slow_f16(number);
}

static double bf16(const unsigned char *number, int i)
{
    const unsigned char upper[4] = {0, 0, number[0], number[1]};
    return f32(upper, i);
}

/* ---- the types ---- */

static const struct type {
    uint32_t number;
    double (*value)(const unsigned char *block, int i);
    float levels;  /* the weights are uniform over so many scales; 0: the numbers are no blocks */
    int halves[2]; /* where its f16 are; -1: no more */
} types[] = {
    {KGEN_GGUF_TENSOR_Q4_0, q4_0, 16, {0, -1}},       {KGEN_GGUF_TENSOR_Q4_1, q4_1, 16, {0, 2}},
    {KGEN_GGUF_TENSOR_Q5_0, q5_0, 32, {0, -1}},       {KGEN_GGUF_TENSOR_Q5_1, q5_1, 32, {0, 2}},
    {KGEN_GGUF_TENSOR_Q8_0, q8_0, 256, {0, -1}},      {KGEN_GGUF_TENSOR_Q4_K, q4_k, 16 * 32, {0, 2}},
    {KGEN_GGUF_TENSOR_Q5_K, q5_k, 32 * 32, {0, 2}},   {KGEN_GGUF_TENSOR_Q6_K, q6_k, 64 * 128, {208, -1}},
    {KGEN_GGUF_TENSOR_Q3_K, q3_k, 8 * 32, {108, -1}}, {KGEN_GGUF_TENSOR_Q2_K, q2_k, 4 * 8, {80, 82}},
    {KGEN_GGUF_TENSOR_IQ4_NL, iq4_nl, 240, {0, -1}},  {KGEN_GGUF_TENSOR_MXFP4, mxfp4, 0, {-1, -1}},
    {KGEN_GGUF_TENSOR_F32, f32, 0, {2, -1}},          {KGEN_GGUF_TENSOR_F16, f16, 0, {0, -1}},
    {KGEN_GGUF_TENSOR_BF16, bf16, 0, {0, -1}},
};

static const struct type *type_of(uint32_t number)
{
    for (size_t i = 0; i < KGEN_COUNT_OF(types); i++) {
        if (types[i].number == number)
            return &types[i];
    }
    return NULL;
}

double ggml_slow_value(uint32_t type, const unsigned char *block, int i)
{
    const struct type *row = type_of(type);
    if (row == NULL)
        abort();
    return row->value(block, i);
}

void ggml_fill_random(uint32_t type, unsigned char *data, size_t bytes, struct kgen_random *random)
{
    const struct type *row = type_of(type);
    const size_t block = (size_t)kgen_gguf_tensor_type(type)->block_bytes;
    for (size_t i = 0; i < bytes; i++)
        data[i] = (unsigned char)kgen_random_next(random);
    for (size_t at = 0; at < bytes && row != NULL; at += block) {
        for (int i = 0; i < 2 && row->halves[i] >= 0; i++) {
            unsigned char *high = &data[at + (size_t)row->halves[i] + 1];
            *high = (*high & 0x7c) == 0x7c ? *high ^ 0x40 : *high;
        }
    }
}

int ggml_set_scales(uint32_t type, unsigned char *data, size_t bytes, float deviation,
                    struct kgen_random *random)
{
    const struct type *row = type_of(type);
    const size_t block = (size_t)kgen_gguf_tensor_type(type)->block_bytes;
    for (size_t at = 0; at < bytes && type == KGEN_GGUF_TENSOR_MXFP4; at += block)
        data[at] =
            (unsigned char)(127 + (int)floorf(log2f(deviation / 3)) + (int)kgen_random_below(random, 2));
    if (row == NULL || row->levels <= 0)
        return 0;
    for (size_t at = 0; at < bytes; at += block) {
        const float scale = deviation * 3.464f / row->levels * (0.75f + 0.5f * kgen_random_uniform(random));
        /* So that the mean is 0. */
        const bool pairs = kgen_gguf_tensor_type(type)->block_values == 256;
        const float least = scale * (row->levels - 1) / 2;
        const uint16_t half = kgen_to_f16(scale),
                       other = kgen_to_f16(pairs ? least / (type == KGEN_GGUF_TENSOR_Q2_K ? 8 : 32) : -least);
        memcpy(data + at + row->halves[0], &half, 2);
        if (row->halves[1] >= 0)
            memcpy(data + at + row->halves[1], &other, 2);
    }
    return 1;
}
