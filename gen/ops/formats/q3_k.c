/* SPDX-License-Identifier: MIT */
/* ggml's Q3_K: w = d * s * (q - 4), in blocks of 256 q of 3 bits with 16 s of 6 bits and an f16 d. */
#include "gen/ops/dtype.h"
#include "gen/ops/formats/blocks.h"

#include <math.h>
#include <string.h>

enum { VALUES = 256, BYTES = 110, GROUP = 16, GROUPS = 16, LOW = 32, SCALES = 96, D = 108, MIDDLE = 4 };

/* Scale j, stored as s + 32: 4 bits of it in a nibble of the first 8 bytes, 2 in one of the other 4. */
static int scale_of(const unsigned char *block, int64_t j)
{
    const unsigned char *scales = block + SCALES;
    return ((scales[j % 8] >> (j / 8 * 4) & 15) | (scales[8 + j % 4] >> (j / 4 * 2) & 3) << 4) - 32;
}

/* The bits must be 0 before. */
static void store_scale(unsigned char *block, int64_t j, int scale)
{
    unsigned char *scales = block + SCALES;
    scales[j % 8] = (unsigned char)(scales[j % 8] | ((scale + 32) & 15) << (j / 8 * 4));
    scales[8 + j % 4] = (unsigned char)(scales[8 + j % 4] | (scale + 32) >> 4 << (j / 4 * 2));
}

/* Bit i / 32 of byte i % 32 is the high bit; the others are pairs, those of 128 values in 32 bytes. */
static double value(const unsigned char *block, int64_t i)
{
    const int q =
        (block[LOW + i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3) | (block[i % 32] >> (i / 32) & 1) << 2;
    return kgen_dtype_value(block + D, KGEN_F16, 0) * (scale_of(block, i / GROUP) * (q - MIDDLE));
}

static void decode(const struct kgen_matrix *matrix, int64_t row, int64_t first, int64_t count,
                   double *values, double *magnitudes)
{
    kgen_block_decode(matrix, row, first, count, value, values, magnitudes);
}

static void store(unsigned char *block, int i, int q)
{
    unsigned char *low = &block[LOW + i / 128 * 32 + i % 32], *high = &block[i % 32];
    *low = (unsigned char)(*low | (q & 3) << (i / 32 % 4 * 2));
    *high = (unsigned char)(*high | q >> 2 << (i / 32));
}

/* The greatest magnitude of a group becomes at most 3; ggml searches for better scales. */
static void quantise_block(unsigned char *block, const float *values)
{
    enum { SCALE_MAX = 31 };
    float greatest[GROUPS];
    const float most = kgen_block_greatest(values, GROUPS, GROUP, greatest);
    memset(block, 0, BYTES);
    kgen_dtype_store(block + D, KGEN_F16, 0, most / (MIDDLE - 1) / SCALE_MAX);
    const float d = (float)kgen_dtype_value(block + D, KGEN_F16, 0);
    for (int g = 0; g < GROUPS; g++) {
        const float scale = d > 0 ? fminf(ceilf(greatest[g] / (MIDDLE - 1) / d), SCALE_MAX) : 0;
        store_scale(block, g, (int)scale);
        for (int k = g * GROUP; k < (g + 1) * GROUP; k++) {
            const float q = scale > 0 ? rintf(values[k] / (d * scale)) : 0;
            store(block, k, MIDDLE + (int)fmaxf(fminf(q, MIDDLE - 1), -MIDDLE));
        }
    }
}

static void fill_block(unsigned char *block, int64_t row, enum kgen_weights_kind kind,
                       struct kgen_random *random)
{
    const bool unit = kind == KGEN_WEIGHTS_UNIT || kind == KGEN_WEIGHTS_GREATEST;
    kgen_block_fill(block, D, random);
    if (unit)
        memset(block + SCALES, 0, D - SCALES);
    for (int g = 0; g < GROUPS && unit; g++)
        store_scale(block, g, kgen_random_sign(random) < 0 ? -1 : 1);
    if (kind == KGEN_WEIGHTS_GREATEST)
        memset(block, row % 3 == 1 ? 0 : 0xff, SCALES);
    kgen_dtype_store(block + D, KGEN_F16, 0, kgen_block_scale(kind, 4e-4f, random));
}

static void quantise(const struct kgen_matrix *matrix, int64_t row, const float *values)
{
    kgen_block_quantise_row(matrix, row, values, quantise_block);
}

static void fill(const struct kgen_matrix *matrix, enum kgen_weights_kind kind, struct kgen_random *random)
{
    kgen_block_fill_all(matrix, kind, random, fill_block);
}

const struct kgen_format kgen_format_q3_k = {
    .scheme = KGEN_Q3_K,
    .summary = "w = d * s * (q - 4), in ggml's blocks of 256",
    .layout = "weights: N rows of K / 256 blocks of 110 bytes, each 32 bytes with the high bit of q, 64 with "
              "the low 2,\n"
              "12 with 16 s of 6 bits, each of 16 q, and an f16 d.\n",
    .arrays = kgen_block_arrays,
    .array_count = KGEN_COUNT_OF(kgen_block_arrays),
    .bits = 3,
    .group_size = GROUP,
    .scale_dtype = KGEN_F16,
    .block_values = VALUES,
    .block_bytes = BYTES,
    .block_integers = 4,
    .decode = decode,
    .quantise = quantise,
    .fill = fill,
};
