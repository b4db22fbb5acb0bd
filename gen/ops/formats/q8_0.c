/* SPDX-License-Identifier: MIT */
/* ggml's Q8_0: w = d * q, in blocks of an f16 d and 32 int8 q. */
#include "gen/ops/dtype.h"
#include "gen/ops/formats/blocks.h"

#include <math.h>
#include <string.h>

enum { VALUES = 32, BYTES = 34, LEVELS = 127 };

static double value(const unsigned char *block, int64_t i)
{
    return kgen_dtype_value(block, KGEN_F16, 0) * (int8_t)block[2 + i];
}

static void decode(const struct kgen_matrix *matrix, int64_t row, int64_t first, int64_t count,
                   double *values, double *magnitudes)
{
    kgen_block_decode(matrix, row, first, count, value, values, magnitudes);
}

/* As ggml does: the greatest magnitude becomes 127 or -127. The integers are rounded with the scale that has
 * not been rounded to f16, halves away from zero. */
static void quantise(const struct kgen_matrix *matrix, int64_t row, const float *values)
{
    for (int64_t i = 0; i < matrix->K / VALUES; i++, values += VALUES) {
        unsigned char *block = kgen_block_at(matrix, row, i);
        float greatest = 0;
        for (int k = 0; k < VALUES; k++)
            greatest = fmaxf(greatest, fabsf(values[k]));
        const float scale = greatest / LEVELS, reciprocal = scale > 0 ? 1 / scale : 0;
        kgen_dtype_store(block, KGEN_F16, 0, scale);
        for (int k = 0; k < VALUES; k++)
            block[2 + k] = (unsigned char)(int8_t)roundf(values[k] * reciprocal);
    }
}

static void fill(const struct kgen_matrix *matrix, enum kgen_weights_kind kind, struct kgen_random *random)
{
    for (int64_t row = 0; row < matrix->N; row++) {
        for (int64_t i = 0; i < matrix->K / VALUES; i++) {
            unsigned char *block = kgen_block_at(matrix, row, i);
            kgen_dtype_store(block, KGEN_F16, 0, kgen_block_scale(kind, 0.0005f, random));
            kgen_block_fill(block + 2, VALUES, random);
            if (kind == KGEN_WEIGHTS_GREATEST)
                memset(block + 2, row % 3 == 1 ? -128 : 127, VALUES);
        }
    }
}

const struct kgen_format kgen_format_q8_0 = {
    .scheme = KGEN_Q8_0,
    .summary = "w = d * q, in ggml's blocks of 32",
    .layout = "weights: N rows of K / 32 blocks of 34 bytes, each an f16 d, then 32 int8 q.\n",
    .arrays = kgen_block_arrays,
    .array_count = KGEN_COUNT_OF(kgen_block_arrays),
    .bits = 8,
    .group_size = VALUES,
    .scale_dtype = KGEN_F16,
    .block_values = VALUES,
    .block_bytes = BYTES,
    .block_integers = 128,
    .decode = decode,
    .quantise = quantise,
    .fill = fill,
};
