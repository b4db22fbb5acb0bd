/* SPDX-License-Identifier: MIT */
/* The format with zero points: w = scale * (q - zero). The array biases holds the zeros. */
#include "gen/ops/dtype.h"
#include "gen/ops/formats/grouped.h"

#include <math.h>

static void make_zero(const struct kgen_matrix *matrix, enum kgen_weights_kind kind,
                      struct kgen_random *random, int64_t group, float scale)
{
    (void)scale;
    float zero = (float)kgen_random_below(random, 1 << matrix->bits);
    if (kind == KGEN_WEIGHTS_ODD)
        zero = 0.5f * (float)kgen_random_below(random, 2 << matrix->bits);
    kgen_dtype_store(matrix->arrays[KGEN_GROUPED_BIASES], matrix->scale_dtype, group, zero);
}

static void fill(const struct kgen_matrix *matrix, enum kgen_weights_kind kind, struct kgen_random *random)
{
    kgen_grouped_fill(matrix, kind, random, make_zero);
}

static double offset(const struct kgen_matrix *matrix, int64_t group, double scale)
{
    return -scale * kgen_dtype_value(matrix->arrays[KGEN_GROUPED_BIASES], matrix->scale_dtype, group);
}

static void decode(const struct kgen_matrix *matrix, int64_t row, int64_t first, int64_t count,
                   double *values, double *magnitudes)
{
    kgen_grouped_decode(matrix, row, first, count, offset, values, magnitudes);
}

/* The zero is the integer that stands for 0, so that 0 is exact. */
static void quantise(const struct kgen_matrix *matrix, int64_t row, const float *values)
{
    const int64_t groups = matrix->K / matrix->group_size;
    const float most = (float)((1 << matrix->bits) - 1);
    for (int64_t g = 0; g < groups; g++) {
        const float *group = values + g * matrix->group_size;
        float least = 0, greatest = 0;
        for (int64_t i = 0; i < matrix->group_size; i++) {
            least = fminf(least, group[i]);
            greatest = fmaxf(greatest, group[i]);
        }
        const float scale = greatest > least ? (greatest - least) / most : 1;
        const float zero = rintf(-least / scale);
        kgen_grouped_store(matrix, row, g, group, 0, scale, zero);
        kgen_dtype_store(matrix->arrays[KGEN_GROUPED_SCALES], matrix->scale_dtype, row * groups + g, scale);
        kgen_dtype_store(matrix->arrays[KGEN_GROUPED_BIASES], matrix->scale_dtype, row * groups + g, zero);
    }
}

const struct kgen_format kgen_format_zero_point = {
    .scheme = KGEN_ZERO_POINT,
    .summary = "w = scale * (q - zero); biases holds the zeros",
    .layout = kgen_grouped_layout,
    .arrays = kgen_grouped_arrays,
    .array_count = KGEN_GROUPED_ARRAYS,
    .tiles = true,
    .decode = decode,
    .quantise = quantise,
    .fill = fill,
    .names = kgen_grouped_names,
};
