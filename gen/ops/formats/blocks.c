/* SPDX-License-Identifier: MIT */
#include "gen/ops/formats/blocks.h"

#include <math.h>
#include <string.h>

static int64_t row_bytes(const struct kgen_matrix *matrix)
{
    return matrix->K / matrix->format->block_values * matrix->format->block_bytes;
}

static int64_t word_bytes(const struct kgen_matrix *matrix)
{
    return matrix->format->block_bytes;
}

const struct kgen_format_array kgen_block_arrays[1] = {
    {"weights", "N, K", row_bytes, word_bytes, false},
};

unsigned char *kgen_block_at(const struct kgen_matrix *matrix, int64_t row, int64_t block)
{
    return (unsigned char *)matrix->arrays[0] + row * row_bytes(matrix) + block * matrix->format->block_bytes;
}

float kgen_block_scale(enum kgen_weights_kind kind, float ordinary, struct kgen_random *random)
{
    static const float odd[] = {0x1p-24f, -0x1p-24f, 0x3ffp-24f, 0x1p-14f, 0.0f,
                                -0.0f,    1.0f,      -1000.0f,   3e-5f};
    if (kind == KGEN_WEIGHTS_UNIT || kind == KGEN_WEIGHTS_GREATEST)
        return kgen_random_sign(random);
    if (kind == KGEN_WEIGHTS_ODD)
        return odd[kgen_random_below(random, (int64_t)KGEN_COUNT_OF(odd))];
    return ordinary * (1 + 4 * kgen_random_uniform(random));
}

void kgen_block_fill(unsigned char *bytes, size_t count, struct kgen_random *random)
{
    for (size_t i = 0; i < count; i += 8) {
        const uint64_t bits = kgen_random_next(random);
        memcpy(bytes + i, &bits, count - i < 8 ? count - i : 8);
    }
}

void kgen_block_decode(const struct kgen_matrix *matrix, int64_t row, int64_t first, int64_t count,
                       kgen_block_value *value, double *values, double *magnitudes)
{
    const int64_t block_values = matrix->format->block_values;
    for (int64_t k = first; k < first + count; k++) {
        values[k - first] = value(kgen_block_at(matrix, row, k / block_values), k % block_values);
        magnitudes[k - first] = fabs(values[k - first]);
    }
}

void kgen_block_fill_all(const struct kgen_matrix *matrix, enum kgen_weights_kind kind,
                         struct kgen_random *random, kgen_block_fill_one *fill_one)
{
    for (int64_t row = 0; row < matrix->N; row++) {
        for (int64_t i = 0; i < matrix->K / matrix->format->block_values; i++)
            fill_one(kgen_block_at(matrix, row, i), row, kind, random);
    }
}

void kgen_block_quantise_row(const struct kgen_matrix *matrix, int64_t row, const float *values,
                             kgen_block_quantise_one *quantise_one)
{
    const int64_t block_values = matrix->format->block_values;
    for (int64_t i = 0; i < matrix->K / block_values; i++)
        quantise_one(kgen_block_at(matrix, row, i), values + i * block_values);
}

float kgen_block_greatest(const float *values, int groups, int group_size, float *greatest)
{
    float most = 0;
    for (int g = 0; g < groups; g++) {
        greatest[g] = 0;
        for (int k = 0; k < group_size; k++)
            greatest[g] = fmaxf(greatest[g], fabsf(values[g * group_size + k]));
        most = fmaxf(most, greatest[g]);
    }
    return most;
}
