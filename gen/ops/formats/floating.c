/* SPDX-License-Identifier: MIT */
/* MLX's floating-point modes: w = scale * number, with one scale a group of consecutive columns.
 *
 * mxfp4 and nvfp4 have numbers of the type E2M1, of 4 bits, the first of two in the low nibble; mxfp8 has
 * those of the type e4m3, of 8 bits. Scales are bytes: powers of two (e8m0) or, of nvfp4, e4m3. */
#include "gen/ops/formats/blocks.h"

#include <math.h>
#include <string.h>

enum { WEIGHTS, SCALES, ARRAYS };
enum { VALUES = 32, GROUP_NVFP4 = 16, E8M0_BIAS = 127, E8M0_MAX = 254 };

static int64_t weights_row(const struct kgen_matrix *matrix)
{
    return matrix->K * matrix->bits / 8;
}

/* Rows of both arrays are divided only between blocks. */
static int64_t weights_word(const struct kgen_matrix *matrix)
{
    return matrix->format->block_bytes;
}

static int64_t scales_row(const struct kgen_matrix *matrix)
{
    return matrix->K / matrix->group_size;
}

static int64_t scales_word(const struct kgen_matrix *matrix)
{
    return matrix->format->block_values / matrix->group_size;
}

static const struct kgen_format_array arrays[ARRAYS] = {
    {"weights", "N, K", weights_row, weights_word, false},
    {"scales", "N, K / group_size", scales_row, scales_word, false},
};

/* ---- numbers ---- */

static const float numbers_e2m1[16] = {0, .5f, 1, 1.5f, 2, 3, 4, 6, -0.f, -.5f, -1, -1.5f, -2, -3, -4, -6};

/* e4m3 has no infinities; 0x7f and 0xff, its NaNs, do not occur in weights. */
static double value_e4m3(unsigned byte)
{
    const int exponent = (int)(byte >> 3 & 15), fraction = (int)(byte & 7);
    const double value = exponent == 0 ? ldexp(fraction, -9) : ldexp(8 + fraction, exponent - 10);
    return byte & 0x80 ? -value : value;
}

/* To nearest, ties to even, and not beyond 448. */
static unsigned char store_e4m3(float value)
{
    const float size = fabsf(value);
    unsigned bits = 0x7e;
    if (size < 0x1p-6f) {
        bits = (unsigned)rintf(size * 0x1p9f);
    } else if (size < 448) {
        int exponent;
        const float fraction = frexpf(size, &exponent); /* 1/2 to 1 */
        bits = (unsigned)(exponent + 6) << 3;
        bits += (unsigned)rintf(fraction * 16) - 8; /* 8 more is the next exponent */
    }
    return (unsigned char)(bits | (signbit(value) ? 0x80 : 0));
}

static double value_e8m0(unsigned byte)
{
    return ldexp(1, (int)byte - E8M0_BIAS);
}

/* The nearest; of two that are as near the first, as MLX has them. That of a NaN or an infinity is 0. */
static unsigned nearest_e2m1(float value)
{
    unsigned best = 0;
    for (unsigned i = 1; i < 16; i++) {
        if (fabsf(value - numbers_e2m1[i]) < fabsf(value - numbers_e2m1[best]))
            best = i;
    }
    return best;
}

/* ---- decoding ---- */

static void decode(const struct kgen_matrix *matrix, int64_t row, int64_t first, int64_t count,
                   double *values, double *magnitudes)
{
    const unsigned char *weights = (unsigned char *)matrix->arrays[WEIGHTS] + row * weights_row(matrix);
    const unsigned char *scales = (unsigned char *)matrix->arrays[SCALES] + row * scales_row(matrix);
    for (int64_t k = first; k < first + count; k++) {
        const unsigned scale = scales[k / matrix->group_size];
        const double number = matrix->bits == 8 ? value_e4m3(weights[k])
                                                : (double)numbers_e2m1[weights[k / 2] >> k % 2 * 4 & 15];
        values[k - first] =
            number * (matrix->group_size == GROUP_NVFP4 ? value_e4m3(scale) : value_e8m0(scale));
        magnitudes[k - first] = fabs(values[k - first]);
    }
}

/* ---- quantising ---- */

/* The scale that the greatest magnitude asks for, as MLX makes it since 0.32 bit for bit: e8m0 is the least
 * power of two with which it is within the numbers. (MLX before took the power whose logarithm is nearest,
 * and a byte that wraps around for magnitudes near the least of float.) */
static unsigned char store_scale(float wanted, bool e4m3, float *scale)
{
    if (e4m3) {
        const unsigned char byte = store_e4m3(wanted);
        *scale = (float)value_e4m3(byte);
        return byte;
    }
    int exponent = 0;
    if (wanted > 0 && frexpf(wanted, &exponent) <= 0.5f)
        exponent--;
    exponent += E8M0_BIAS;
    const unsigned char byte = (unsigned char)(exponent < 0 ? 0 : exponent > E8M0_MAX ? E8M0_MAX : exponent);
    *scale = (float)value_e8m0(byte);
    return byte;
}

static void quantise(const struct kgen_matrix *matrix, int64_t row, const float *values)
{
    unsigned char *weights = (unsigned char *)matrix->arrays[WEIGHTS] + row * weights_row(matrix);
    unsigned char *scales = (unsigned char *)matrix->arrays[SCALES] + row * scales_row(matrix);
    const float greatest_number = matrix->bits == 8 ? 448 : 6;
    memset(weights, 0, (size_t)weights_row(matrix));
    for (int64_t k = 0; k < matrix->K; k += matrix->group_size) {
        float greatest, scale;
        kgen_block_greatest(values + k, 1, (int)matrix->group_size, &greatest);
        scales[k / matrix->group_size] =
            store_scale(greatest / greatest_number, matrix->group_size == GROUP_NVFP4, &scale);
        for (int64_t i = k; i < k + matrix->group_size; i++) {
            if (matrix->bits == 8)
                weights[i] = store_e4m3(values[i] / scale);
            else
                weights[i / 2] =
                    (unsigned char)(weights[i / 2] | nearest_e2m1(values[i] / scale) << i % 2 * 4);
        }
    }
}

/* ---- filling ---- */

/* The scale 2 makes integers of all numbers of E2M1; those of e4m3 are integers from 8 on, and a few below.
 */
static unsigned char make_scale(const struct kgen_matrix *matrix, enum kgen_weights_kind kind,
                                struct kgen_random *random)
{
    static const unsigned char odd_e8m0[] = {0, 1, 2, 63, 64, 126, 127, 150, 200};
    static const unsigned char odd_e4m3[] = {0, 0x80, 1, 7, 8, 0x81, 0x38, 0xb8, 0x7e, 0xfe};
    const bool e4m3 = matrix->group_size == GROUP_NVFP4;
    if (kind == KGEN_WEIGHTS_ODD)
        return e4m3 ? odd_e4m3[kgen_random_below(random, (int64_t)KGEN_COUNT_OF(odd_e4m3))]
                    : odd_e8m0[kgen_random_below(random, (int64_t)KGEN_COUNT_OF(odd_e8m0))];
    if (kind == KGEN_WEIGHTS_ORDINARY)
        return (unsigned char)(e4m3 ? 1 + kgen_random_below(random, 24)
                                    : (matrix->bits == 8 ? 110 : 116) + kgen_random_below(random, 6));
    return e4m3 ? 0x40 : matrix->bits == 8 ? E8M0_BIAS : E8M0_BIAS + 1;
}

static unsigned char make_e4m3(enum kgen_weights_kind kind, unsigned byte)
{
    if ((byte & 0x7f) == 0x7f)
        byte ^= 1;
    if (kind == KGEN_WEIGHTS_UNIT && fabs(value_e4m3(byte)) < 8)
        byte = store_e4m3((float)((byte & 15) - 7));
    return (unsigned char)byte;
}

static void fill(const struct kgen_matrix *matrix, enum kgen_weights_kind kind, struct kgen_random *random)
{
    const size_t row_bytes = (size_t)weights_row(matrix);
    for (int64_t row = 0; row < matrix->N; row++) {
        unsigned char *weights = (unsigned char *)matrix->arrays[WEIGHTS] + (size_t)row * row_bytes;
        unsigned char *scales = (unsigned char *)matrix->arrays[SCALES] + row * scales_row(matrix);
        kgen_block_fill(weights, row_bytes, random);
        for (size_t i = 0; i < row_bytes && matrix->bits == 8; i++)
            weights[i] = make_e4m3(kind, weights[i]);
        if (kind == KGEN_WEIGHTS_GREATEST)
            memset(weights, (matrix->bits == 8 ? 0x7e : 0x77) | (row % 3 == 1 ? 0x88 : 0), row_bytes);
        for (int64_t i = 0; i < scales_row(matrix); i++)
            scales[i] = make_scale(matrix, kind, random);
    }
}

/* ---- rows ---- */

#define FLOATING(name, constant, text, numbers, bit_count, group, greatest, of_scales)                       \
    const struct kgen_format kgen_format_##name = {                                                          \
        .scheme = constant,                                                                                  \
        .summary = "w = scale * number, with " text,                                                         \
        .layout = "weights: N rows of K * bits / 8 bytes, " numbers ".\n"                                    \
                  "scales: [N, K / group_size], bytes: " of_scales ".\n",                                    \
        .arrays = arrays,                                                                                    \
        .array_count = ARRAYS,                                                                               \
        .bits = bit_count,                                                                                   \
        .group_size = group,                                                                                 \
        .scale_dtype = KGEN_F32,                                                                             \
        .unit_greatest = greatest,                                                                           \
        .block_values = VALUES,                                                                              \
        .block_bytes = VALUES * (bit_count) / 8,                                                             \
        .affine_beside = true,                                                                               \
        .decode = decode,                                                                                    \
        .quantise = quantise,                                                                                \
        .fill = fill,                                                                                        \
    };
#define E2M1 "each two numbers of E2M1, the first in the low nibble"
#define E8M0 "2^(scale - 127), e8m0"

FLOATING(mxfp4, KGEN_MXFP4, "numbers of 4 bits and powers of two", E2M1, 4, 32, 12, E8M0)
FLOATING(mxfp8, KGEN_MXFP8, "numbers of 8 bits and powers of two", "numbers of e4m3", 8, 32, 448, E8M0)
FLOATING(nvfp4, KGEN_NVFP4, "numbers of 4 bits and scales of 8", E2M1, 4, GROUP_NVFP4, 12, "e4m3")
