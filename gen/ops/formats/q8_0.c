/* SPDX-License-Identifier: MIT */
/* ggml's Q8_0: w = d * q, in blocks of an f16 d and 32 int8 q. */
#include "gen/ops/dtype.h"
#include "gen/ops/format.h"

#include <math.h>
#include <string.h>

enum { VALUES = 32, BYTES = 34, LEVELS = 127 };

static int64_t row_bytes(const struct kgen_matrix *matrix)
{
    return matrix->K / VALUES * BYTES;
}

static int64_t word_bytes(const struct kgen_matrix *matrix)
{
    (void)matrix;
    return BYTES;
}

static const struct kgen_format_array arrays[] = {
    {"weights", "N, K", row_bytes, word_bytes, false},
};

static unsigned char *block_of(const struct kgen_matrix *matrix, int64_t row, int64_t block)
{
    return (unsigned char *)matrix->arrays[0] + row * row_bytes(matrix) + block * BYTES;
}

static void decode(const struct kgen_matrix *matrix, int64_t row, int64_t first, int64_t count,
                   double *values, double *magnitudes)
{
    for (int64_t k = first; k < first + count; k++) {
        const unsigned char *block = block_of(matrix, row, k / VALUES);
        const int8_t q = (int8_t)block[2 + k % VALUES];
        values[k - first] = kgen_dtype_value(block, KGEN_F16, 0) * q;
        magnitudes[k - first] = fabs(values[k - first]);
    }
}

/* As ggml does: the greatest magnitude becomes 127 or -127. The integers are rounded with the scale that has
 * not been rounded to f16, halves away from zero. */
static void quantise(const struct kgen_matrix *matrix, int64_t row, const float *values)
{
    for (int64_t i = 0; i < matrix->K / VALUES; i++, values += VALUES) {
        unsigned char *block = block_of(matrix, row, i);
        float greatest = 0;
        for (int k = 0; k < VALUES; k++)
            greatest = fmaxf(greatest, fabsf(values[k]));
        const float scale = greatest / LEVELS, reciprocal = scale > 0 ? 1 / scale : 0;
        kgen_dtype_store(block, KGEN_F16, 0, scale);
        for (int k = 0; k < VALUES; k++)
            block[2 + k] = (unsigned char)(int8_t)roundf(values[k] * reciprocal);
    }
}

/* A scale as models have them, 1 or -1, or one that is hard to read. */
static float make_scale(enum kgen_weights_kind kind, struct kgen_random *random)
{
    static const float odd[] = {0x1p-24f, -0x1p-24f, 0x3ffp-24f, 0x1p-14f, 0.0f,
                                -0.0f,    1.0f,      -1000.0f,   3e-5f};
    if (kind == KGEN_WEIGHTS_UNIT || kind == KGEN_WEIGHTS_GREATEST)
        return kgen_random_sign(random);
    if (kind == KGEN_WEIGHTS_ODD)
        return odd[kgen_random_below(random, (int64_t)KGEN_COUNT_OF(odd))];
    return 0.0005f + 0.002f * kgen_random_uniform(random);
}

static void fill(const struct kgen_matrix *matrix, enum kgen_weights_kind kind, struct kgen_random *random)
{
    for (int64_t row = 0; row < matrix->N; row++) {
        for (int64_t i = 0; i < matrix->K / VALUES; i++) {
            unsigned char *block = block_of(matrix, row, i);
            kgen_dtype_store(block, KGEN_F16, 0, make_scale(kind, random));
            for (int k = 0; k < VALUES; k += 8) {
                const uint64_t bits = kgen_random_next(random);
                memcpy(block + 2 + k, &bits, 8);
            }
            if (kind == KGEN_WEIGHTS_GREATEST)
                memset(block + 2, row % 3 == 1 ? -128 : 127, VALUES);
        }
    }
}

const struct kgen_format kgen_format_q8_0 = {
    .scheme = KGEN_Q8_0,
    .summary = "w = d * q, in ggml's blocks of 32",
    .layout = "weights: N rows of K / 32 blocks of 34 bytes, each an f16 d, then 32 int8 q.\n",
    .arrays = arrays,
    .array_count = KGEN_COUNT_OF(arrays),
    .bits = 8,
    .group_size = VALUES,
    .scale_dtype = KGEN_F16,
    .block_values = VALUES,
    .block_bytes = BYTES,
    .decode = decode,
    .quantise = quantise,
    .fill = fill,
};
