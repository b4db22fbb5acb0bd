/* SPDX-License-Identifier: MIT */
/* MLX's affine format: w = scale * q + bias, one scale and bias a group of consecutive columns. */
#include "gen/ops/dtype.h"
#include "gen/ops/formats/grouped.h"

#include <math.h>

static void store_bias(const struct kgen_matrix *matrix, int64_t group, float bias)
{
    kgen_dtype_store(matrix->arrays[KGEN_GROUPED_BIASES], matrix->scale_dtype, group, bias);
}

static void make_bias(const struct kgen_matrix *matrix, enum kgen_weights_kind kind,
                      struct kgen_random *random, int64_t group, float scale)
{
    static const float odd[] = {0x1p-24f, -0x1p-24f, 0x3ffp-24f, 0x1p-14f, 0.0f,
                                -0.0f,    1.0f,      -1000.0f,   3e-5f};
    float bias = -scale * ((float)(1 << (matrix->bits - 1)) + kgen_random_normal(random));
    if (kind == KGEN_WEIGHTS_UNIT || kind == KGEN_WEIGHTS_GREATEST)
        bias = -(float)kgen_random_below(random, 1 << matrix->bits);
    if (kind == KGEN_WEIGHTS_ODD)
        bias = odd[kgen_random_below(random, (int64_t)KGEN_COUNT_OF(odd))];
    store_bias(matrix, group, bias);
}

static void fill(const struct kgen_matrix *matrix, enum kgen_weights_kind kind, struct kgen_random *random)
{
    kgen_grouped_fill(matrix, kind, random, make_bias);
}

static double offset(const struct kgen_matrix *matrix, int64_t group, double scale)
{
    (void)scale;
    return kgen_dtype_value(matrix->arrays[KGEN_GROUPED_BIASES], matrix->scale_dtype, group);
}

static void decode(const struct kgen_matrix *matrix, int64_t row, int64_t first, int64_t count,
                   double *values, double *magnitudes)
{
    kgen_grouped_decode(matrix, row, first, count, offset, values, magnitudes);
}

/* As MLX quantises, bit for bit: the end of the range with the greater magnitude is met exactly where it is
 * not 0. NaNs count neither as the least nor as the greatest. */
static void choose_scale(float least, float most, int64_t bits, float *scale, float *bias)
{
    const float range = most - least, step = range / (float)((1 << bits) - 1);
    *scale = step < 1e-7f ? 1e-7f : step;
    *bias = least;
    if (bits == 1)
        return; /* MLX has no quantiser for 1 bit; checkpoints have the least and the range */
    const bool least_is_greater = fabsf(least) > fabsf(most);
    const float edge = least_is_greater ? least : most;
    *scale = least_is_greater ? *scale : -*scale;
    *bias = 0;
    const float steps = rintf(edge / *scale);
    if (fabsf(steps) > 0) {
        *scale = edge / steps;
        *bias = edge;
    }
}

static void quantise(const struct kgen_matrix *matrix, int64_t row, const float *values)
{
    const int64_t groups = matrix->K / matrix->group_size;
    for (int64_t g = 0; g < groups; g++) {
        const float *group = values + g * matrix->group_size;
        float least = INFINITY, most = -INFINITY, scale, bias;
        for (int64_t i = 0; i < matrix->group_size; i++) {
            least = group[i] < least ? group[i] : least;
            most = group[i] > most ? group[i] : most;
        }
        choose_scale(least, most, matrix->bits, &scale, &bias);
        kgen_grouped_store(matrix, row, g, group, bias, scale, 0);
        kgen_dtype_store(matrix->arrays[KGEN_GROUPED_SCALES], matrix->scale_dtype, row * groups + g, scale);
        store_bias(matrix, row * groups + g, bias);
    }
}

const struct kgen_format kgen_format_affine = {
    .scheme = KGEN_AFFINE,
    .summary = "w = scale * q + bias",
    .layout = kgen_grouped_layout,
    .arrays = kgen_grouped_arrays,
    .array_count = KGEN_GROUPED_ARRAYS,
    .tiles = true,
    .decode = decode,
    .quantise = quantise,
    .fill = fill,
    .names = kgen_grouped_names,
};
