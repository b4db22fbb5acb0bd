/* SPDX-License-Identifier: MIT */
/* The symmetric format: w = scale * (q - 2^(bits-1)), without biases. */
#include "gen/ops/dtype.h"
#include "gen/ops/formats/grouped.h"

#include <math.h>

static void fill(const struct kgen_matrix *matrix, enum kgen_weights_kind kind, struct kgen_random *random)
{
    kgen_grouped_fill(matrix, kind, random, NULL);
}

static double offset(const struct kgen_matrix *matrix, int64_t group, double scale)
{
    (void)group;
    return -scale * (double)(1 << (matrix->bits - 1));
}

static void decode(const struct kgen_matrix *matrix, int64_t row, int64_t first, int64_t count,
                   double *values, double *magnitudes)
{
    kgen_grouped_decode(matrix, row, first, count, offset, values, magnitudes);
}

/* The greatest magnitude of a group becomes the greatest integer of its sign, or -1 with 1 bit. */
static void quantise(const struct kgen_matrix *matrix, int64_t row, const float *values)
{
    const int64_t groups = matrix->K / matrix->group_size;
    const float middle = (float)(1 << (matrix->bits - 1));
    const float most = matrix->bits == 1 ? 1 : middle - 1;
    for (int64_t g = 0; g < groups; g++) {
        const float *group = values + g * matrix->group_size;
        float greatest = 0;
        for (int64_t i = 0; i < matrix->group_size; i++)
            greatest = fmaxf(greatest, fabsf(group[i]));
        const float scale = greatest > 0 ? greatest / most : 1;
        kgen_grouped_store(matrix, row, g, group, 0, scale, middle);
        kgen_dtype_store(matrix->arrays[KGEN_GROUPED_SCALES], matrix->scale_dtype, row * groups + g, scale);
    }
}

const struct kgen_format kgen_format_symmetric = {
    .scheme = KGEN_SYMMETRIC,
    .summary = "w = scale * (q - 2^(bits-1))",
    .layout = "weights: N rows of K * bits / 8 bytes, each one little-endian bit stream, lowest bits first.\n"
              "scales: [N, K / group_size].\n",
    .arrays = kgen_grouped_arrays,
    .array_count = KGEN_GROUPED_BIASES,
    .tiles = true,
    .decode = decode,
    .quantise = quantise,
    .fill = fill,
    .names = kgen_grouped_names,
};
