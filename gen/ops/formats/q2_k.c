/* SPDX-License-Identifier: MIT */
/* ggml's Q2_K: w = d * s * q - least * m, in blocks of 256 q of 2 bits with 16 pairs of s and m of 4 bits and
 * two f16. */
#include "gen/ops/dtype.h"
#include "gen/ops/formats/blocks.h"

#include <math.h>
#include <string.h>

enum { VALUES = 256, BYTES = 84, GROUP = 16, GROUPS = 16, Q = 16, D = 80, LEVELS = 3, PAIR_MAX = 15 };

static void decode(const struct kgen_matrix *matrix, int64_t row, int64_t first, int64_t count,
                   double *values, double *magnitudes)
{
    for (int64_t k = first; k < first + count; k++) {
        const unsigned char *block = kgen_block_at(matrix, row, k / VALUES);
        const int64_t i = k % VALUES;
        const unsigned pair = block[i / GROUP],
                       q = (unsigned)block[Q + i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3;
        const double scaled = kgen_dtype_value(block + D, KGEN_F16, 0) * (double)((pair & 15) * q);
        const double least = kgen_dtype_value(block + D, KGEN_F16, 1) * (pair >> 4);
        values[k - first] = scaled - least;
        magnitudes[k - first] = fabs(scaled) + fabs(least);
    }
}

/* Steps of a group from m steps of the least below 0 on. */
static void quantise_group(unsigned char *block, int g, const float *values, float d, float least, int m)
{
    float greatest = 0;
    for (int k = 0; k < GROUP; k++)
        greatest = fmaxf(greatest, values[k] + least * (float)m);
    const float scale = d > 0 ? fminf(ceilf(greatest / LEVELS / d), PAIR_MAX) : 0;
    block[g] = (unsigned char)((int)scale | m << 4);
    for (int k = 0; k < GROUP; k++) {
        const float q = scale > 0 ? rintf((values[k] + least * (float)m) / (d * scale)) : 0;
        const int i = g * GROUP + k;
        unsigned char *to = &block[Q + i / 128 * 32 + i % 32];
        *to = (unsigned char)(*to | (int)fmaxf(fminf(q, LEVELS), 0) << (i / 32 % 4 * 2));
    }
}

/* Each group goes from its least number, or 0, to its greatest; ggml searches for better scales. */
static void quantise_block(unsigned char *block, const float *values)
{
    float below[GROUPS] = {0}, most_below = 0, most_range = 0;
    for (int k = 0; k < VALUES; k++)
        below[k / GROUP] = fmaxf(below[k / GROUP], -values[k]);
    for (int g = 0; g < GROUPS; g++)
        most_below = fmaxf(most_below, below[g]);
    for (int k = 0; k < VALUES; k++)
        most_range = fmaxf(most_range, values[k] + below[k / GROUP] + most_below / PAIR_MAX);
    memset(block, 0, BYTES);
    kgen_dtype_store(block + D, KGEN_F16, 0, most_range / LEVELS / PAIR_MAX);
    kgen_dtype_store(block + D, KGEN_F16, 1, most_below / PAIR_MAX);
    const float d = (float)kgen_dtype_value(block + D, KGEN_F16, 0);
    const float least = (float)kgen_dtype_value(block + D, KGEN_F16, 1);
    for (int g = 0; g < GROUPS; g++)
        quantise_group(block, g, values + g * GROUP, d, least,
                       least > 0 ? (int)fminf(ceilf(below[g] / least), PAIR_MAX) : 0);
}

static void fill_block(unsigned char *block, int64_t row, enum kgen_weights_kind kind,
                       struct kgen_random *random)
{
    kgen_block_fill(block, D, random);
    if (kind == KGEN_WEIGHTS_UNIT || kind == KGEN_WEIGHTS_GREATEST)
        memset(block, 0x11, GROUPS);
    if (kind == KGEN_WEIGHTS_GREATEST)
        memset(block + Q, row % 3 == 1 ? 0 : 0xff, D - Q);
    kgen_dtype_store(block + D, KGEN_F16, 0, kgen_block_scale(kind, 1e-3f, random));
    kgen_dtype_store(block + D, KGEN_F16, 1, kgen_block_scale(kind, 1e-3f, random));
}

static void quantise(const struct kgen_matrix *matrix, int64_t row, const float *values)
{
    kgen_block_quantise_row(matrix, row, values, quantise_block);
}

static void fill(const struct kgen_matrix *matrix, enum kgen_weights_kind kind, struct kgen_random *random)
{
    kgen_block_fill_all(matrix, kind, random, fill_block);
}

const struct kgen_format kgen_format_q2_k = {
    .scheme = KGEN_Q2_K,
    .summary = "w = d * s * q - least * m, in ggml's blocks of 256",
    .layout = "weights: N rows of K / 256 blocks of 84 bytes, each 16 bytes with an s (low) and an m of 4 "
              "bits for 16 q,\n"
              "64 with the q of 2 bits, and the f16 d and least.\n",
    .arrays = kgen_block_arrays,
    .array_count = KGEN_COUNT_OF(kgen_block_arrays),
    .bits = 2,
    .group_size = GROUP,
    .scale_dtype = KGEN_F16,
    .block_values = VALUES,
    .block_bytes = BYTES,
    .decode = decode,
    .quantise = quantise,
    .fill = fill,
};
