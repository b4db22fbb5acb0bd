/* SPDX-License-Identifier: MIT */
/* Every weight format that there is: what it quantises it decodes to nearly the same, all that it fills is
 * finite, and its packed integers are read as they were stored. */
#include "gen/ops/dtype.h"
#include "gen/ops/format.h"
#include "gen/ops/weights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

enum { SEED = 11, ROWS = 3, COLUMNS = 768, BYTES_MAX = ROWS * COLUMNS * 4 };

/* The arrays of a matrix, filled with a pattern that no row may leave where it writes. */
struct arrays {
    _Alignas(64) unsigned char bytes[KGEN_FORMAT_ARRAYS_MAX][BYTES_MAX];
};

static void describe(const struct kgen_matrix *matrix, char text[128])
{
    snprintf(text, 128, "%s, %d bits, group_size %d, %s, seed %d", kgen_constant_name(matrix->format->scheme),
             (int)matrix->bits, (int)matrix->group_size, kgen_constant_name(matrix->scale_dtype), SEED);
}

/* Calls a function for every matrix [3, 768] that a format may have. */
static void for_each_matrix(void (*function)(const struct kgen_matrix *matrix))
{
    static struct arrays arrays;
    size_t calls = 0;
    for (size_t f = 0; f < kgen_format_count(); f++) {
        const struct kgen_format *format = kgen_format_at(f);
        size_t of_format = 0;
        for (const int *bits = kgen_weight_bits; *bits != -1; bits++) {
            for (const int *group = kgen_weight_group_sizes; *group != -1; group++) {
                for (const int *dtype = kgen_scale_dtypes; *dtype != -1; dtype++) {
                    if ((format->bits != 0 ? format->bits != *bits : *bits > 8) ||
                        (format->group_size != 0 ? format->group_size != *group : *group < 32) ||
                        (format->scale_dtype != 0 && format->scale_dtype != *dtype))
                        continue;
                    struct kgen_matrix matrix = {format, ROWS, COLUMNS, *bits, *group, *dtype, {NULL}};
                    memset(&arrays, 0x5a, sizeof arrays);
                    for (size_t i = 0; i < format->array_count; i++) {
                        assert_true(ROWS * format->arrays[i].row_bytes(&matrix) <= BYTES_MAX);
                        matrix.arrays[i] = arrays.bytes[i];
                    }
                    function(&matrix);
                    of_format++;
                }
            }
        }
        assert_true(of_format > 0);
        calls += of_format;
    }
    print_message("%zu matrices of %zu formats\n", calls, kgen_format_count());
}

/* ---- quantise, then decode ---- */

/* The error of MLX's rule: half a step, or how far the range goes beyond the numbers. The scale is changed so
 * that the edge, the end of the greater magnitude, is met; then the numbers may end before the other end.
 * With 1 bit both ends are met. */
static double affine_error(double least, double greatest, double levels)
{
    if (levels < 2)
        return (greatest - least) / 2;
    const bool low = -least > greatest;
    const double edge = low ? least : greatest, range = greatest - least;
    double scale = fmax(range / levels, 1e-7) * (low ? 1 : -1);
    const double q = rint(edge / scale);
    if (fabs(q) > 0)
        scale = edge / q;
    return fmax(fabs(scale) / 2, range - levels * fabs(scale));
}

/* The error of a value of a group of which these are the least and the greatest: half a step, and what the
 * rounding of the scale and the bias adds. */
static double allowed(const struct kgen_matrix *matrix, double least, double greatest)
{
    const double levels = (double)((INT64_C(1) << matrix->bits) - 1), most = fmax(-least, greatest);
    const double middle = (double)(INT64_C(1) << (matrix->bits - 1));
    const double rounding = matrix->scale_dtype == KGEN_F32   ? 0x1p-24
                            : matrix->scale_dtype == KGEN_F16 ? 0x1p-11
                                                              : 0x1p-8;
    double error = 0;
    switch (matrix->format->scheme) {
    case KGEN_AFFINE:
        error = affine_error(least, greatest, levels);
        break;
    case KGEN_ZERO_POINT:
        error = (fmax(greatest, 0) - fmin(least, 0)) / levels / 2;
        break;
    case KGEN_F32:
    case KGEN_F16:
    case KGEN_BF16: /* rounding alone */
        break;
    case KGEN_Q6_K: /* the steps of scales are a part of those of the greatest weights, which are below 4 */
        error = (most / 31 + 4.0 / 31 / 127) / 2;
        break;
    case KGEN_Q3_K:
        error = (most / 3 + 4.0 / 3 / 31) / 2;
        break;
    case KGEN_Q2_K: /* a group goes from at most a step of the minima below its own on */
        error = ((fmax(greatest, 0) - fmin(least, 0) + 4.0 / 15) / 3 + (8 + 4.0 / 15) / 3 / 15) / 2;
        break;
    case KGEN_IQ4_NL: /* numbers end at 113 */
        error = most * 14 / 127;
        break;
    case KGEN_GGML_MXFP4: /* the scale is less than double what it must be, and the widest step is a third */
        error = most / 3;
        break;
    case KGEN_MXFP4: /* as of ggml's, and half of the widest step of e4m3 is 16 of 448 */
        error = most / 3;
        break;
    case KGEN_MXFP8:
        error = most * 2 * 16 / 448;
        break;
    case KGEN_NVFP4: /* the scale is at most 17/16 of what it must be */
        error = most / 6 * 17 / 16;
        break;
    default: /* with 1 bit there are -scale and 0 */
        error = matrix->bits == 1 ? most : most / (middle - 1) / 2;
        break;
    }
    return error + (rounding + 0x1p-21) * (most + greatest - least);
}

static void check_row(const struct kgen_matrix *matrix, int64_t row, const float *values)
{
    double decoded[COLUMNS], magnitudes[COLUMNS];
    char what[128];
    matrix->format->decode(matrix, row, 0, COLUMNS, decoded, magnitudes);
    describe(matrix, what);
    for (int64_t first = 0; first < COLUMNS; first += matrix->group_size) {
        double least = (double)values[first], greatest = least;
        for (int64_t k = first; k < first + matrix->group_size; k++) {
            least = fmin(least, (double)values[k]);
            greatest = fmax(greatest, (double)values[k]);
        }
        const double bound = allowed(matrix, least, greatest);
        for (int64_t k = first; k < first + matrix->group_size; k++) {
            if (!(fabs(decoded[k] - (double)values[k]) <= bound))
                fail_msg("%s: [%d][%d] is %g, quantised %g; allowed are %g", what, (int)row, (int)k,
                         (double)values[k], decoded[k], bound);
            if (!(magnitudes[k] >= fabs(decoded[k]) * (1 - 1e-12)))
                fail_msg("%s: [%d][%d] is %g, its magnitude %g", what, (int)row, (int)k, decoded[k],
                         magnitudes[k]);
        }
    }
}

/* Rows of both signs, of one sign, and with groups of zeros. */
static void quantise_and_decode(const struct kgen_matrix *matrix)
{
    struct kgen_random random = {SEED};
    float values[ROWS][COLUMNS];
    for (int row = 0; row < ROWS; row++) {
        kgen_random_fill_normal(&random, values[row], COLUMNS);
        for (int k = 0; k < COLUMNS; k++)
            values[row][k] = row == 1 ? fabsf(values[row][k]) : row == 2 && k < 128 ? 0 : values[row][k];
    }
    for (int row = ROWS - 1; row >= 0; row--)
        matrix->format->quantise(matrix, row, values[row]);
    for (int row = 0; row < ROWS; row++)
        check_row(matrix, row, values[row]);
    for (size_t i = 0; i < matrix->format->array_count; i++) {
        const unsigned char *array = matrix->arrays[i];
        for (int64_t at = ROWS * matrix->format->arrays[i].row_bytes(matrix); at < BYTES_MAX; at++)
            assert_int_equal(array[at], 0x5a);
    }
}

static void test_quantise(void **state)
{
    (void)state;
    for_each_matrix(quantise_and_decode);
}

/* ---- fill, then decode ---- */

static void fill_and_decode(const struct kgen_matrix *matrix)
{
    struct kgen_random random = {SEED};
    double values[COLUMNS], magnitudes[COLUMNS], part[5], part_magnitudes[5];
    char what[128];
    describe(matrix, what);
    for (int kind = KGEN_WEIGHTS_ORDINARY; kind <= KGEN_WEIGHTS_ODD; kind++) {
        const bool exact = kind == KGEN_WEIGHTS_UNIT || kind == KGEN_WEIGHTS_GREATEST;
        matrix->format->fill(matrix, (enum kgen_weights_kind)kind, &random);
        for (int64_t row = 0; row < ROWS; row++) {
            matrix->format->decode(matrix, row, 0, COLUMNS, values, magnitudes);
            for (int k = 0; k < COLUMNS; k++) {
                if (!isfinite(values[k]) || !isfinite(magnitudes[k]))
                    fail_msg("%s: kind %d: [%d][%d] is %g", what, kind, (int)row, k, values[k]);
                if (exact && (rint(values[k]) < values[k] || rint(values[k]) > values[k] ||
                              magnitudes[k] > (double)kgen_matrix_unit_greatest(matrix)))
                    fail_msg("%s: kind %d: [%d][%d] is %g, its magnitude %g", what, kind, (int)row, k,
                             values[k], magnitudes[k]);
            }
            matrix->format->decode(matrix, row, 61, 5, part, part_magnitudes);
            assert_memory_equal(part, values + 61, sizeof part);
            assert_memory_equal(part_magnitudes, magnitudes + 61, sizeof part);
        }
    }
}

static void test_fill(void **state)
{
    (void)state;
    for_each_matrix(fill_and_decode);
}

/* ---- packed integers ---- */

static void test_packed(void **state)
{
    (void)state;
    for (const int *bits = kgen_weight_bits; *bits <= 8; bits++) {
        unsigned char row[COLUMNS] = {0};
        struct kgen_random random = {SEED};
        unsigned values[COLUMNS];
        for (int i = 0; i < COLUMNS; i++) {
            values[i] = (unsigned)kgen_random_below(&random, INT64_C(1) << *bits);
            kgen_packed_store(row, *bits, i, values[i]);
        }
        for (int i = 0; i < COLUMNS; i++) {
            unsigned slow = 0;
            for (int bit = 0; bit < *bits; bit++) {
                const int at = i * *bits + bit;
                slow |= ((unsigned)row[at / 8] >> at % 8 & 1u) << bit;
            }
            if (kgen_packed_value(row, *bits, i) != values[i] || slow != values[i])
                fail_msg("%d bits, seed %d: value %d is %u, stored %u", *bits, SEED, i,
                         kgen_packed_value(row, *bits, i), values[i]);
        }
        for (int at = COLUMNS * *bits / 8; at < COLUMNS; at++)
            assert_int_equal(row[at], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_quantise), cmocka_unit_test(test_fill),
                                       cmocka_unit_test(test_packed)};
    return cmocka_run_group_tests_name("format", tests, NULL, NULL);
}
