/* SPDX-License-Identifier: MIT */
#include "gen/ops/formats/grouped.h"

#include "gen/ops/dtype.h"

#include <math.h>
#include <string.h>

const char kgen_grouped_layout[] =
    "weights: N rows of K * bits / 8 bytes, each one little-endian bit stream, lowest bits first.\n"
    "scales, biases: [N, K / group_size].\n";

static int64_t weights_row(const struct kgen_matrix *matrix)
{
    return matrix->K / 8 * matrix->bits;
}

static int64_t weights_word(const struct kgen_matrix *matrix)
{
    (void)matrix;
    return 4;
}

static int64_t scale_bytes(const struct kgen_matrix *matrix)
{
    return (int64_t)kgen_dtype_bytes(matrix->scale_dtype);
}

static int64_t scales_row(const struct kgen_matrix *matrix)
{
    return matrix->K / matrix->group_size * scale_bytes(matrix);
}

const struct kgen_format_array kgen_grouped_arrays[KGEN_GROUPED_ARRAYS] = {
    {"weights", "N, K", weights_row, weights_word, true},
    {"scales", "N, K / group_size", scales_row, scale_bytes, false},
    {"biases", "N, K / group_size", scales_row, scale_bytes, false},
};

static void fill_weights(const struct kgen_matrix *matrix, enum kgen_weights_kind kind,
                         struct kgen_random *random)
{
    const size_t row_bytes = (size_t)weights_row(matrix);
    unsigned char *weights = matrix->arrays[KGEN_GROUPED_WEIGHTS];
    if (kind == KGEN_WEIGHTS_GREATEST) {
        for (int64_t n = 0; n < matrix->N; n++)
            memset(weights + (size_t)n * row_bytes, n % 3 == 1 ? 0 : 0xff, row_bytes);
        return;
    }
    const size_t bytes = (size_t)matrix->N * row_bytes;
    for (size_t i = 0; i < bytes; i += 8) {
        uint64_t bits = kgen_random_next(random);
        memcpy(weights + i, &bits, bytes - i < 8 ? bytes - i : 8);
    }
}

/* A scale as models have them, some of them negative; 1 or -1; or tiny, great, zero, an f16 denormal. */
static float make_scale(enum kgen_weights_kind kind, struct kgen_random *random)
{
    static const float odd[] = {0x1p-24f, -0x1p-24f, 0x3ffp-24f, 0x1p-14f, 0.0f,
                                -0.0f,    1.0f,      -1000.0f,   3e-5f};
    if (kind == KGEN_WEIGHTS_UNIT || kind == KGEN_WEIGHTS_GREATEST)
        return kgen_random_sign(random);
    if (kind == KGEN_WEIGHTS_ODD)
        return odd[kgen_random_below(random, (int64_t)KGEN_COUNT_OF(odd))];
    const float scale = 0.005f + 0.02f * kgen_random_uniform(random);
    return kgen_random_below(random, 4) == 0 ? -scale : scale;
}

void kgen_grouped_fill(const struct kgen_matrix *matrix, enum kgen_weights_kind kind,
                       struct kgen_random *random, kgen_grouped_biases *biases)
{
    fill_weights(matrix, kind, random);
    const int64_t groups = matrix->N * (matrix->K / matrix->group_size);
    for (int64_t i = 0; i < groups; i++) {
        const float scale = make_scale(kind, random);
        kgen_dtype_store(matrix->arrays[KGEN_GROUPED_SCALES], matrix->scale_dtype, i, scale);
        if (biases != NULL)
            biases(matrix, kind, random, i, scale);
    }
}

void kgen_grouped_decode(const struct kgen_matrix *matrix, int64_t row, int64_t first, int64_t count,
                         kgen_grouped_offset *offset, double *values, double *magnitudes)
{
    const unsigned char *bits =
        (const unsigned char *)matrix->arrays[KGEN_GROUPED_WEIGHTS] + row * weights_row(matrix);
    const int64_t groups = matrix->K / matrix->group_size;
    int64_t decoded = -1; /* the group of scale and constant */
    double scale = 0, constant = 0;
    for (int64_t k = first; k < first + count; k++) {
        const int64_t group = row * groups + k / matrix->group_size;
        if (group != decoded) {
            decoded = group;
            scale = kgen_dtype_value(matrix->arrays[KGEN_GROUPED_SCALES], matrix->scale_dtype, group);
            constant = offset(matrix, group, scale);
        }
        const double scaled = scale * kgen_packed_value(bits, matrix->bits, k);
        values[k - first] = scaled + constant;
        magnitudes[k - first] = fabs(scaled) + fabs(constant);
    }
}

void kgen_grouped_store(const struct kgen_matrix *matrix, int64_t row, int64_t group, const float *values,
                        float offset, float scale, float zero)
{
    unsigned char *bits = (unsigned char *)matrix->arrays[KGEN_GROUPED_WEIGHTS] + row * weights_row(matrix);
    const float most = (float)((1 << matrix->bits) - 1);
    if (group == 0)
        memset(bits, 0, (size_t)weights_row(matrix));
    for (int64_t i = 0; i < matrix->group_size; i++) {
        const float q = rintf((values[i] - offset) / scale + zero);
        kgen_packed_store(bits, matrix->bits, group * matrix->group_size + i,
                          (unsigned)fminf(fmaxf(q, 0.0f), most));
    }
}

void kgen_grouped_names(const struct kgen_problem *problem, const struct kgen_name_receiver *receiver)
{
    const int64_t dtype = kgen_problem_get(problem, "scale_dtype");
    receiver->text(receiver->context, "scale_type", kgen_dtype_c_type(dtype));
    receiver->text(receiver->context, "load_scales",
                   dtype == KGEN_F32   ? "kv_load"
                   : dtype == KGEN_F16 ? "kv_load_f16"
                                       : "kv_load_bf16");
    receiver->text(receiver->context, "scale_to_f32",
                   dtype == KGEN_F32   ? ""
                   : dtype == KGEN_F16 ? "kv_f16_to_f32"
                                       : "kv_bf16_to_f32");
}
