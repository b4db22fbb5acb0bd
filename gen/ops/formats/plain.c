/* SPDX-License-Identifier: MIT */
/* Matrices that are not quantised: rows of K numbers of f32, f16 or bf16, which kernels read 32 at a time. */
#include "gen/ops/dtype.h"
#include "gen/ops/formats/blocks.h"

#include <math.h>

enum { VALUES = 32, GREATEST = 256 }; /* which all three hold */

static void decode(const struct kgen_matrix *matrix, int64_t row, int64_t first, int64_t count,
                   double *values, double *magnitudes)
{
    const unsigned char *numbers = kgen_block_at(matrix, row, 0);
    for (int64_t k = 0; k < count; k++) {
        values[k] = kgen_dtype_value(numbers, matrix->format->scale_dtype, first + k);
        magnitudes[k] = fabs(values[k]);
    }
}

static void quantise(const struct kgen_matrix *matrix, int64_t row, const float *values)
{
    for (int64_t k = 0; k < matrix->K; k++)
        kgen_dtype_store(kgen_block_at(matrix, row, 0), matrix->format->scale_dtype, k, values[k]);
}

/* A weight as models have them, an integer, or a number that is hard to read. */
static float make_weight(enum kgen_weights_kind kind, int64_t row, struct kgen_random *random)
{
    if (kind == KGEN_WEIGHTS_UNIT)
        return (float)(kgen_random_below(random, 2 * GREATEST + 1) - GREATEST);
    if (kind == KGEN_WEIGHTS_GREATEST)
        return row % 3 == 1 ? -GREATEST : GREATEST;
    if (kind == KGEN_WEIGHTS_ODD)
        return kgen_block_scale(kind, 0, random) * kgen_random_normal(random);
    return 0.02f * kgen_random_normal(random);
}

static void fill(const struct kgen_matrix *matrix, enum kgen_weights_kind kind, struct kgen_random *random)
{
    for (int64_t row = 0; row < matrix->N; row++) {
        for (int64_t k = 0; k < matrix->K; k++)
            kgen_dtype_store(kgen_block_at(matrix, row, 0), matrix->format->scale_dtype, k,
                             make_weight(kind, row, random));
    }
}

#define PLAIN(name, constant, size)                                                                          \
    const struct kgen_format kgen_format_##name = {                                                          \
        .scheme = constant,                                                                                  \
        .summary = "w, not quantised: " #name,                                                               \
        .layout = "weights: [N, K] of " #name ".\n",                                                         \
        .arrays = kgen_block_arrays,                                                                         \
        .array_count = KGEN_COUNT_OF(kgen_block_arrays),                                                     \
        .bits = 8 * (size),                                                                                  \
        .group_size = VALUES,                                                                                \
        .scale_dtype = constant,                                                                             \
        .unit_greatest = GREATEST,                                                                           \
        .block_values = VALUES,                                                                              \
        .block_bytes = VALUES * (size),                                                                      \
        .decode = decode,                                                                                    \
        .quantise = quantise,                                                                                \
        .fill = fill,                                                                                        \
    };
PLAIN(f32, KGEN_F32, 4)
PLAIN(f16, KGEN_F16, 2)
PLAIN(bf16, KGEN_BF16, 2)
