/* SPDX-License-Identifier: MIT */
/* ggml's Q6_K: w = d * s * (q - 32), in blocks of 256 q of 6 bits with 16 int8 scales s and an f16 d. */
#include "gen/ops/dtype.h"
#include "gen/ops/formats/blocks.h"

#include <math.h>
#include <string.h>

enum { VALUES = 256, BYTES = 210, GROUP = 16, HIGH = 128, SCALES = 192, D = 208, MIDDLE = 32 };

/* Where the bits of a value are: 128 values are in 64 bytes of nibbles and 32 bytes of pairs of bits. */
struct place {
    int64_t low, high;
    int low_shift, high_shift;
};

static struct place place_of(int64_t i)
{
    const int64_t half = i / 128, quarter = i / 32 % 4, k = i % 32;
    return (struct place){64 * half + 32 * (quarter % 2) + k, HIGH + 32 * half + k, quarter < 2 ? 0 : 4,
                          2 * (int)quarter};
}

static double value(const unsigned char *block, int64_t i)
{
    const struct place place = place_of(i);
    const int q = (block[place.low] >> place.low_shift & 15) | (block[place.high] >> place.high_shift & 3)
                                                                   << 4;
    const int scale = (int8_t)block[SCALES + i / GROUP];
    return kgen_dtype_value(block + D, KGEN_F16, 0) * (scale * (q - MIDDLE));
}

static void decode(const struct kgen_matrix *matrix, int64_t row, int64_t first, int64_t count,
                   double *values, double *magnitudes)
{
    kgen_block_decode(matrix, row, first, count, value, values, magnitudes);
}

static void store(unsigned char *block, int64_t i, int q)
{
    const struct place place = place_of(i);
    block[place.low] = (unsigned char)(block[place.low] | (q & 15) << place.low_shift);
    block[place.high] = (unsigned char)(block[place.high] | (q >> 4) << place.high_shift);
}

/* The greatest magnitude of a group becomes at most 31; ggml searches for better scales. */
static void quantise_block(unsigned char *block, const float *values)
{
    float greatest[VALUES / GROUP];
    const float most = kgen_block_greatest(values, VALUES / GROUP, GROUP, greatest);
    memset(block, 0, BYTES);
    kgen_dtype_store(block + D, KGEN_F16, 0, most / (MIDDLE - 1) / INT8_MAX);
    const float d = (float)kgen_dtype_value(block + D, KGEN_F16, 0);
    for (int g = 0; g < VALUES / GROUP; g++) {
        const float scale = d > 0 ? fminf(ceilf(greatest[g] / (MIDDLE - 1) / d), INT8_MAX) : 0;
        block[SCALES + g] = (unsigned char)scale;
        for (int k = g * GROUP; k < (g + 1) * GROUP; k++) {
            const float q = scale > 0 ? rintf(values[k] / (d * scale)) : 0;
            store(block, k, MIDDLE + (int)fmaxf(fminf(q, MIDDLE - 1), -MIDDLE));
        }
    }
}

static void quantise(const struct kgen_matrix *matrix, int64_t row, const float *values)
{
    kgen_block_quantise_row(matrix, row, values, quantise_block);
}

static void fill_block(unsigned char *block, int64_t row, enum kgen_weights_kind kind,
                       struct kgen_random *random)
{
    const bool unit = kind == KGEN_WEIGHTS_UNIT || kind == KGEN_WEIGHTS_GREATEST;
    kgen_block_fill(block, D, random);
    for (int g = 0; g < VALUES / GROUP && unit; g++)
        block[SCALES + g] = kgen_random_sign(random) < 0 ? 0xff : 1;
    if (kind == KGEN_WEIGHTS_GREATEST)
        memset(block, row % 3 == 1 ? 0 : 0xff, SCALES);
    kgen_dtype_store(block + D, KGEN_F16, 0, kgen_block_scale(kind, 1e-5f, random));
}

static void fill(const struct kgen_matrix *matrix, enum kgen_weights_kind kind, struct kgen_random *random)
{
    kgen_block_fill_all(matrix, kind, random, fill_block);
}

const struct kgen_format kgen_format_q6_k = {
    .scheme = KGEN_Q6_K,
    .summary = "w = d * s * (q - 32), in ggml's blocks of 256",
    .layout = "weights: N rows of K / 256 blocks of 210 bytes, each 128 bytes with the low 4 bits of q, 64 "
              "with the\n"
              "high 2, 16 int8 s, each of 16 q, and an f16 d.\n",
    .arrays = kgen_block_arrays,
    .array_count = KGEN_COUNT_OF(kgen_block_arrays),
    .bits = 6,
    .group_size = GROUP,
    .scale_dtype = KGEN_F16,
    .block_values = VALUES,
    .block_bytes = BYTES,
    .block_integers = 32,
    .decode = decode,
    .quantise = quantise,
    .fill = fill,
};
