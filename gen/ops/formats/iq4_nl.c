/* SPDX-License-Identifier: MIT */
/* ggml's IQ4_NL: w = d * number, in blocks of an f16 d and 32 indices of 4 bits into 16 numbers. */
#include "gen/ops/dtype.h"
#include "gen/ops/formats/blocks.h"

#include <math.h>
#include <string.h>

enum { VALUES = 32, BYTES = 18, GROUP = VALUES, NIBBLES = 2 };

static const int numbers[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

static double scale_of(const unsigned char *block)
{
    return kgen_dtype_value(block, KGEN_F16, 0);
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

/* The greatest magnitude becomes -127; ggml searches for a better scale. */
static void quantise_block(unsigned char *block, const float *values)
{
    float greatest = 0;
    for (int k = 0; k < VALUES; k++)
        greatest = fabsf(values[k]) > fabsf(greatest) ? values[k] : greatest;
    const float scale = greatest / (float)numbers[0];
    memset(block, 0, BYTES);
    kgen_dtype_store(block, KGEN_F16, 0, scale);
    for (int k = 0; k < VALUES; k++) {
        const int index = scale < 0 || scale > 0 ? nearest(values[k] / scale) : 0;
        unsigned char *to = &block[NIBBLES + k % (VALUES / 2)];
        *to = (unsigned char)(*to | index << (k < VALUES / 2 ? 0 : 4));
    }
}

static void fill_block(unsigned char *block, int64_t row, enum kgen_weights_kind kind,
                       struct kgen_random *random)
{
    kgen_block_fill(block, BYTES, random);
    if (kind == KGEN_WEIGHTS_GREATEST)
        memset(block, row % 3 == 1 ? 0 : 0xff, BYTES);
    kgen_dtype_store(block, KGEN_F16, 0, kgen_block_scale(kind, 0.0005f, random));
}

static void quantise(const struct kgen_matrix *matrix, int64_t row, const float *values)
{
    kgen_block_quantise_row(matrix, row, values, quantise_block);
}

static void fill(const struct kgen_matrix *matrix, enum kgen_weights_kind kind, struct kgen_random *random)
{
    kgen_block_fill_all(matrix, kind, random, fill_block);
}

const struct kgen_format kgen_format_iq4_nl = {
    .scheme = KGEN_IQ4_NL,
    .summary = "w = d * number[q], in ggml's blocks of 32",
    .layout = "weights: N rows of K / 32 blocks of 18 bytes, each an f16 d, then 16 bytes with q 0 to 15 in "
              "their low nibbles\n"
              "and q 16 to 31 in the high ones; the numbers go from -127 to 113.\n",
    .arrays = kgen_block_arrays,
    .array_count = KGEN_COUNT_OF(kgen_block_arrays),
    .bits = 4,
    .group_size = GROUP,
    .scale_dtype = KGEN_F16,
    .unit_greatest = 127,
    .block_values = VALUES,
    .block_bytes = BYTES,
    .block_integers = 128,
    .decode = decode,
    .quantise = quantise,
    .fill = fill,
};
