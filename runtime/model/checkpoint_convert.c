/* SPDX-License-Identifier: MIT */
/* Matrices of ggml's types in weight formats of kgen that hold the same values. */
#include "gen/ops/dtype.h"
#include "runtime/model/checkpoint_internal.h"

#include <string.h>

enum { GROUP = 32, HALF = GROUP / 2, PAIRS = 8 };

const char kgen_checkpoint_types[] =
    "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, "
    "IQ4_NL and MXFP4";

/* ---- integers ---- */

/* Byte j of a block of ggml holds the values j (low bits) and j + 16; kgen's have 2j and 2j + 1. */
static void convert_nibbles(const unsigned char *in, unsigned char *out)
{
    for (int j = 0; j < HALF / 2; j++) {
        const unsigned first = in[2 * j], second = in[2 * j + 1];
        out[j] = (unsigned char)((first & 15) | (second & 15) << 4);
        out[j + HALF / 2] = (unsigned char)(first >> 4 | (second & 0xf0));
    }
}

/* 32 values of 5 bits as one stream of bits. */
static void pack_fives(const unsigned char *values, unsigned char *out)
{
    for (int i = 0; i < GROUP; i += 8, out += 5) {
        uint64_t bits = 0;
        for (int j = 0; j < 8; j++)
            bits |= (uint64_t)values[i + j] << (5 * j);
        for (int j = 0; j < 5; j++)
            out[j] = (unsigned char)(bits >> (8 * j));
    }
}

/* Bit j of the first four bytes is bit 4 of value j; then come nibbles. */
static void convert_fives(const unsigned char *in, unsigned char *out)
{
    const uint32_t high = in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16 | (uint32_t)in[3] << 24;
    unsigned char values[GROUP];
    for (int j = 0; j < HALF; j++) {
        values[j] = (unsigned char)((in[4 + j] & 15) | (high >> j & 1) << 4);
        values[j + HALF] = (unsigned char)(in[4 + j] >> 4 | (high >> (j + HALF) & 1) << 4);
    }
    pack_fives(values, out);
}

/* ---- blocks of 32 ---- */

/* d * (q - 8): the format symmetric has just that. */
static void convert_q4_0(const unsigned char *blocks, int64_t count, unsigned char *const *rows)
{
    for (int64_t i = 0; i < count; i++, blocks += 18) {
        memcpy(rows[1] + 2 * i, blocks, 2);
        convert_nibbles(blocks + 2, rows[0] + HALF * i);
    }
}

static void convert_q4_1(const unsigned char *blocks, int64_t count, unsigned char *const *rows)
{
    for (int64_t i = 0; i < count; i++, blocks += 20) {
        memcpy(rows[1] + 2 * i, blocks, 2);
        memcpy(rows[2] + 2 * i, blocks + 2, 2);
        convert_nibbles(blocks + 4, rows[0] + HALF * i);
    }
}

/* d * (q - 16). */
static void convert_q5_0(const unsigned char *blocks, int64_t count, unsigned char *const *rows)
{
    for (int64_t i = 0; i < count; i++, blocks += 22) {
        memcpy(rows[1] + 2 * i, blocks, 2);
        convert_fives(blocks + 2, rows[0] + 20 * i);
    }
}

static void convert_q5_1(const unsigned char *blocks, int64_t count, unsigned char *const *rows)
{
    for (int64_t i = 0; i < count; i++, blocks += 24) {
        memcpy(rows[1] + 2 * i, blocks, 2);
        memcpy(rows[2] + 2 * i, blocks + 2, 2);
        convert_fives(blocks + 4, rows[0] + 20 * i);
    }
}

/* d * q, and symmetric has scale * (q - 128). */
static void convert_q8_0(const unsigned char *blocks, int64_t count, unsigned char *const *rows)
{
    for (int64_t i = 0; i < count; i++, blocks += 34) {
        memcpy(rows[1] + 2 * i, blocks, 2);
        for (int j = 0; j < GROUP; j++)
            rows[0][GROUP * i + j] = blocks[2 + j] ^ 0x80;
    }
}

/* ---- blocks of 256 with 8 pairs of a scale and a minimum ---- */

/* Pairs of 6 bits: those of the first four are bytes of their own, whose upper bits the others share. */
static void read_pair(const unsigned char *bytes, int j, unsigned *scale, unsigned *minimum)
{
    const unsigned first = bytes[j], second = bytes[j + 4];
    *scale = j < 4 ? first & 63 : (second & 15) | (unsigned)bytes[j - 4] >> 6 << 4;
    *minimum = j < 4 ? second & 63 : second >> 4 | first >> 6 << 4;
}

/* A block begins anywhere where the alignment of the file is 1. */
static float read_f16(const unsigned char *bytes)
{
    uint16_t half;
    memcpy(&half, bytes, sizeof half);
    return (float)kgen_dtype_value(&half, KGEN_F16, 0);
}

/* w = d * scale * q - dmin * minimum. The products of an f16 and an integer of 6 bits are exact in f32. */
static void convert_pairs(const unsigned char *block, void *scales, void *biases)
{
    const float d = read_f16(block), least = read_f16(block + 2);
    for (int j = 0; j < PAIRS; j++) {
        unsigned scale, minimum;
        read_pair(block + 4, j, &scale, &minimum);
        ((float *)scales)[j] = d * (float)scale;
        ((float *)biases)[j] = -(least * (float)minimum);
    }
}

/* Of 64 values the first 32 are in the low nibbles of 32 bytes, the others in the high ones. */
static void convert_q4_k(const unsigned char *blocks, int64_t count, unsigned char *const *rows)
{
    for (int64_t i = 0; i < count; i++, blocks += 144) {
        const unsigned char *q = blocks + 16;
        unsigned char *out = rows[0] + 128 * i;
        convert_pairs(blocks, rows[1] + 4 * PAIRS * i, rows[2] + 4 * PAIRS * i);
        for (int part = 0; part < PAIRS; part++, out += HALF) {
            const unsigned char *in = q + part / 2 * GROUP;
            const int shift = part % 2 * 4;
            for (int j = 0; j < HALF; j++)
                out[j] = (unsigned char)((in[2 * j] >> shift & 15) | (in[2 * j + 1] >> shift & 15) << 4);
        }
    }
}

/* The same, and bit `part` of byte j of 32 is bit 4 of value j of that part. */
static void convert_q5_k(const unsigned char *blocks, int64_t count, unsigned char *const *rows)
{
    for (int64_t i = 0; i < count; i++, blocks += 176) {
        const unsigned char *high = blocks + 16, *q = blocks + 48;
        convert_pairs(blocks, rows[1] + 4 * PAIRS * i, rows[2] + 4 * PAIRS * i);
        for (int part = 0; part < PAIRS; part++) {
            unsigned char values[GROUP];
            for (int j = 0; j < GROUP; j++)
                values[j] = (unsigned char)((q[part / 2 * GROUP + j] >> (part % 2 * 4) & 15) |
                                            (high[j] >> part & 1) << 4);
            pack_fives(values, rows[0] + 160 * i + 20 * part);
        }
    }
}

/* ---- the types ---- */

static const struct kgen_checkpoint_conversion conversions[] = {
    {KGEN_GGUF_TENSOR_Q4_0, KGEN_SYMMETRIC, 4, KGEN_F16, convert_q4_0},
    {KGEN_GGUF_TENSOR_Q4_1, KGEN_AFFINE, 4, KGEN_F16, convert_q4_1},
    {KGEN_GGUF_TENSOR_Q5_0, KGEN_SYMMETRIC, 5, KGEN_F16, convert_q5_0},
    {KGEN_GGUF_TENSOR_Q5_1, KGEN_AFFINE, 5, KGEN_F16, convert_q5_1},
    {KGEN_GGUF_TENSOR_Q8_0, KGEN_SYMMETRIC, 8, KGEN_F16, convert_q8_0},
    {KGEN_GGUF_TENSOR_Q4_K, KGEN_AFFINE, 4, KGEN_F32, convert_q4_k},
    {KGEN_GGUF_TENSOR_Q5_K, KGEN_AFFINE, 5, KGEN_F32, convert_q5_k},
    {KGEN_GGUF_TENSOR_Q6_K, KGEN_Q6_K, 6, KGEN_F16, NULL},
    {KGEN_GGUF_TENSOR_Q3_K, KGEN_Q3_K, 3, KGEN_F16, NULL},
    {KGEN_GGUF_TENSOR_Q2_K, KGEN_Q2_K, 2, KGEN_F16, NULL},
    {KGEN_GGUF_TENSOR_IQ4_NL, KGEN_IQ4_NL, 4, KGEN_F16, NULL},
    {KGEN_GGUF_TENSOR_MXFP4, KGEN_GGML_MXFP4, 4, KGEN_F32, NULL},
    {KGEN_GGUF_TENSOR_F16, KGEN_F16, 16, KGEN_F16, NULL},
    {KGEN_GGUF_TENSOR_BF16, KGEN_BF16, 16, KGEN_BF16, NULL},
    {KGEN_GGUF_TENSOR_F32, KGEN_F32, 32, KGEN_F32, NULL},
};

const struct kgen_checkpoint_conversion *kgen_checkpoint_conversion_of(uint32_t type)
{
    for (size_t i = 0; i < KGEN_COUNT_OF(conversions); i++) {
        if (conversions[i].type == type)
            return &conversions[i];
    }
    return NULL;
}

int64_t kgen_checkpoint_conversion_group(const struct kgen_checkpoint_conversion *conversion)
{
    const struct kgen_format *format = kgen_format_find(conversion->scheme);
    return format->group_size != 0 ? format->group_size : GROUP;
}
