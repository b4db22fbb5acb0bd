/* SPDX-License-Identifier: MIT */
/* MXFP4 in ggml's order: w = 2^(e - 128) * number, in blocks of a byte e and 32 indices of 4 bits into the
 * doubled numbers of the type E2M1. */
#include "gen/ops/formats/blocks.h"

#include <math.h>
#include <string.h>

enum { VALUES = 32, BYTES = 17, GROUP = VALUES, NIBBLES = 1, BIAS = 128, GREATEST = 12 };

static const int numbers[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

static double scale_of(const unsigned char *block)
{
    return ldexp(1, block[0] - BIAS);
}

static double value(const unsigned char *block, int64_t i)
{
    const unsigned char byte = block[NIBBLES + i % (VALUES / 2)];
    return scale_of(block) * numbers[i < VALUES / 2 ? byte & 15 : byte >> 4];
}

static void decode(const struct kgen_matrix *matrix, int64_t row, int64_t first, int64_t count,
                   double *values, double *magnitudes)
{
    kgen_block_decode(matrix, row, first, count, value, values, magnitudes);
}

/* The index of the number that is nearest. */
static int nearest(float value)
{
    int best = 0;
    for (int i = 1; i < 16; i++) {
        if (fabsf(value - (float)numbers[i]) < fabsf(value - (float)numbers[best]))
            best = i;
    }
    return best;
}

/* The least scale with which the greatest magnitude is within the numbers. */
static void quantise_block(unsigned char *block, const float *values)
{
    float greatest;
    kgen_block_greatest(values, 1, VALUES, &greatest);
    int exponent = 0;
    while (exponent < 254 && ldexpf(GREATEST, exponent - BIAS) < greatest)
        exponent++;
    memset(block, 0, BYTES);
    block[0] = (unsigned char)exponent;
    for (int k = 0; k < VALUES; k++) {
        unsigned char *to = &block[NIBBLES + k % (VALUES / 2)];
        const int index = nearest(ldexpf(values[k], BIAS - exponent));
        *to = (unsigned char)(*to | index << (k < VALUES / 2 ? 0 : 4));
    }
}

static void fill_block(unsigned char *block, int64_t row, enum kgen_weights_kind kind,
                       struct kgen_random *random)
{
    static const unsigned char odd[] = {0, 1, 2, 63, 64, 127, 128, 150, 200};
    kgen_block_fill(block, BYTES, random);
    if (kind == KGEN_WEIGHTS_GREATEST)
        memset(block + NIBBLES, row % 3 == 1 ? 0xff : 0x77, VALUES / 2);
    if (kind == KGEN_WEIGHTS_ODD)
        block[0] = odd[kgen_random_below(random, (int64_t)KGEN_COUNT_OF(odd))];
    else
        block[0] = kind == KGEN_WEIGHTS_ORDINARY ? (unsigned char)(116 + kgen_random_below(random, 6)) : BIAS;
}

static void quantise(const struct kgen_matrix *matrix, int64_t row, const float *values)
{
    kgen_block_quantise_row(matrix, row, values, quantise_block);
}

static void fill(const struct kgen_matrix *matrix, enum kgen_weights_kind kind, struct kgen_random *random)
{
    kgen_block_fill_all(matrix, kind, random, fill_block);
}

const struct kgen_format kgen_format_ggml_mxfp4 = {
    .scheme = KGEN_GGML_MXFP4,
    .summary = "w = 2^(e - 128) * number[q], in blocks of 32",
    .layout =
        "weights: N rows of K / 32 blocks of 17 bytes, each an e, then 16 bytes with q 0 to 15 in their low "
        "nibbles and\n"
        "q 16 to 31 in the high ones; the numbers are 0, 1, 2, 3, 4, 6, 8, 12, then the same negative.\n",
    .arrays = kgen_block_arrays,
    .array_count = KGEN_COUNT_OF(kgen_block_arrays),
    .bits = 4,
    .group_size = GROUP,
    .scale_dtype = KGEN_F32,
    .block_values = VALUES,
    .block_bytes = BYTES,
    .block_integers = 12,
    .decode = decode,
    .quantise = quantise,
    .fill = fill,
};
