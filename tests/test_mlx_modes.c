/* SPDX-License-Identifier: MIT */
/* MLX's floating-point modes: quantised and decoded as MLX does, bit for bit, by stored cases and by MLX
 * itself where it is installed; every byte by its definition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "command_fixture.h"
#include "gen/base/file.h"
#include "gen/ops/buffers.h"
#include "gen/ops/format.h"
#include "mlx_modes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEED = 29, CASE = 32, ROWS = 40, COLUMNS = 256, VALUES = ROWS * COLUMNS };

static const struct {
    int64_t scheme, bits, group_size;
} modes[] = {{KGEN_MXFP4, 4, 32}, {KGEN_MXFP8, 8, 32}, {KGEN_NVFP4, 4, 16}};

static struct kgen_matrix matrix_of(size_t mode, int64_t N, int64_t K, void *weights, void *scales)
{
    return (struct kgen_matrix){kgen_format_find(modes[mode].scheme),
                                N,
                                K,
                                modes[mode].bits,
                                modes[mode].group_size,
                                KGEN_F32,
                                {weights, scales}};
}

/* ---- stored cases ---- */

static void check_case(size_t index, size_t mode)
{
    float values[CASE], wanted[CASE];
    double decoded[CASE], magnitudes[CASE];
    unsigned char weights[CASE], scales[2];
    const char *what = mlx_cases[index].what, *scheme = kgen_constant_name(modes[mode].scheme);
    const struct kgen_matrix matrix = matrix_of(mode, 1, CASE, weights, scales);
    memset(weights, 0x5a, sizeof weights);
    memcpy(values, mlx_cases[index].values, sizeof values);
    memcpy(wanted, mlx_cases[index].modes[mode].decoded, sizeof wanted);
    matrix.format->quantise(&matrix, 0, values);
    for (int64_t i = 0; i < CASE / modes[mode].group_size; i++) {
        if (scales[i] != mlx_cases[index].modes[mode].scales[i])
            fail_msg("%s, %s: scale %d is 0x%02x, not 0x%02x", scheme, what, (int)i, scales[i],
                     mlx_cases[index].modes[mode].scales[i]);
    }
    for (int64_t i = 0; i < CASE * modes[mode].bits / 8; i++) {
        if (weights[i] != mlx_cases[index].modes[mode].weights[i])
            fail_msg("%s, %s: byte %d is 0x%02x, not 0x%02x", scheme, what, (int)i, weights[i],
                     mlx_cases[index].modes[mode].weights[i]);
    }
    matrix.format->decode(&matrix, 0, 0, CASE, decoded, magnitudes);
    for (int k = 0; k < CASE; k++) {
        const double number = (double)wanted[k];
        if (decoded[k] < number || decoded[k] > number || magnitudes[k] < fabs(number))
            fail_msg("%s, %s: value %d is %a, not %a", scheme, what, k, decoded[k], number);
    }
}

static void test_stored_cases(void **state)
{
    (void)state;
    size_t cases = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(mlx_cases); i++) {
        for (size_t mode = 0; mode < KGEN_COUNT_OF(modes); mode++, cases++)
            check_case(i, mode);
    }
    assert_true(cases >= 36);
}

/* ---- every byte ---- */

/* A number of a sign, bits of an exponent of this bias, and bits of a fraction. */
static double slow_number(unsigned bits, int exponent_bits, int fraction_bits, int bias)
{
    const int exponent = (int)(bits >> fraction_bits) & ((1 << exponent_bits) - 1);
    const double fraction = ldexp((double)(bits & ((1u << fraction_bits) - 1)), -fraction_bits);
    const double value = exponent == 0 ? ldexp(fraction, 1 - bias) : ldexp(1 + fraction, exponent - bias);
    return bits >> (exponent_bits + fraction_bits) & 1 ? -value : value;
}

/* A weight of a row of 64, of which every byte of weights and of scales is the same. */
static double slow_weight(size_t mode, unsigned weight, unsigned scale, int k)
{
    const double number =
        mode == 1 ? slow_number(weight, 4, 3, 7) : slow_number(weight >> (k % 2 * 4) & 15, 2, 1, 1);
    return number * (mode == 2 ? slow_number(scale, 4, 3, 7) : ldexp(1, (int)scale - 127));
}

static void test_every_byte(void **state)
{
    (void)state;
    unsigned char weights[64], scales[4];
    double values[64], magnitudes[64];
    for (size_t mode = 0; mode < KGEN_COUNT_OF(modes); mode++) {
        const struct kgen_matrix matrix = matrix_of(mode, 1, 64, weights, scales);
        for (unsigned byte = 0; byte < 256; byte++) {
            const unsigned scale = byte * 37 % 255 == 0x7f && mode == 2 ? 0x38 : byte * 37 % 255;
            if (mode == 1 && (byte & 0x7f) == 0x7f)
                continue;
            memset(weights, (int)byte, sizeof weights);
            memset(scales, (int)scale, sizeof scales);
            matrix.format->decode(&matrix, 0, 3, 60, values, magnitudes);
            for (int k = 3; k < 63; k++) {
                const double wanted = slow_weight(mode, byte, scale, k), found = values[k - 3];
                if (found < wanted || found > wanted)
                    fail_msg("%s: byte 0x%02x, scale 0x%02x: value %d is %a, not %a",
                             kgen_constant_name(modes[mode].scheme), byte, scale, k, found, wanted);
            }
        }
    }
}

/* ---- problems ---- */

static struct kgen_problem problem_of(size_t mode, int64_t K)
{
    struct kgen_problem problem;
    kgen_problem_init(&problem, kgen_op_find("qmv"));
    kgen_problem_set(&problem, "N", 5);
    kgen_problem_set(&problem, "K", K);
    kgen_problem_set(&problem, "scheme", modes[mode].scheme);
    kgen_problem_set(&problem, "scale_dtype", KGEN_F32);
    kgen_problem_complete(&problem);
    return problem;
}

static void test_problem(void **state)
{
    (void)state;
    for (size_t mode = 0; mode < KGEN_COUNT_OF(modes); mode++) {
        struct kgen_problem problem = problem_of(mode, 96), half = problem_of(mode, 48);
        struct kgen_buffers buffers;
        struct kgen_error error = {0};
        assert_int_equal(kgen_problem_check(&problem, NULL, 0, 0, NULL), 0);
        assert_int_equal(kgen_problem_get(&problem, "bits"), modes[mode].bits);
        assert_int_equal(kgen_problem_get(&problem, "group_size"), modes[mode].group_size);
        kgen_problem_buffers(&problem, &buffers);
        assert_int_equal(buffers.items[kgen_buffers_find(&buffers, "weights")].bytes,
                         5 * 96 * modes[mode].bits / 8);
        assert_int_equal(buffers.items[kgen_buffers_find(&buffers, "scales")].bytes,
                         5 * 96 / modes[mode].group_size);
        assert_int_equal(kgen_buffers_find(&buffers, "biases"), -1);
        assert_int_equal(kgen_problem_check(&half, NULL, 0, 0, &error), -1);
        assert_non_null(strstr(error.message, "K 48 is not a multiple of"));
    }
}

/* ---- MLX itself ---- */

static const char *find_python(void)
{
    const char *named = getenv("KGEN_TEST_PYTHON");
    return named != NULL ? named : "python3";
}

static bool has_mlx(void)
{
    char command[512];
    snprintf(command, sizeof command, "'%s' -c 'import numpy, mlx.core as mx; mx.quantize' >python.txt 2>&1",
             find_python());
    return system(command) == 0;
}

/* Ordinary numbers, with other magnitudes from row to row, and numbers that lie halfway between others. */
static void make_values(float *values)
{
    struct kgen_random random = {SEED};
    kgen_random_fill_normal(&random, values, VALUES);
    for (int i = 0; i < VALUES; i++) {
        const int row = i / COLUMNS;
        if (row % 4 == 1)
            values[i] = rintf(values[i] * 8) / 4;
        values[i] = ldexpf(values[i], row % 3 == 0 ? row / 2 - 10 : -5);
    }
}

static void compare(size_t mode, const float *values, const struct kgen_text *output)
{
    const char *scheme = kgen_constant_name(modes[mode].scheme);
    static unsigned char weights[VALUES], scales[VALUES / 16];
    const struct kgen_matrix matrix = matrix_of(mode, ROWS, COLUMNS, weights, scales);
    const size_t weight_bytes = (size_t)(VALUES * modes[mode].bits / 8),
                 scale_bytes = (size_t)(VALUES / modes[mode].group_size);
    assert_int_equal(output->length, weight_bytes + scale_bytes + VALUES * sizeof(float));
    for (int row = 0; row < ROWS; row++)
        matrix.format->quantise(&matrix, row, values + row * COLUMNS);
    for (size_t i = 0; i < scale_bytes; i++) {
        if (scales[i] != (unsigned char)output->data[weight_bytes + i])
            fail_msg("%s, seed %d: scale %zu is 0x%02x, MLX has 0x%02x", scheme, SEED, i, scales[i],
                     (unsigned char)output->data[weight_bytes + i]);
    }
    for (size_t i = 0; i < weight_bytes; i++) {
        if (weights[i] != (unsigned char)output->data[i])
            fail_msg("%s, seed %d: byte %zu is 0x%02x, MLX has 0x%02x", scheme, SEED, i, weights[i],
                     (unsigned char)output->data[i]);
    }
    for (int row = 0; row < ROWS; row++) {
        double decoded[COLUMNS], magnitudes[COLUMNS];
        float wanted[COLUMNS];
        memcpy(wanted, output->data + weight_bytes + scale_bytes + (size_t)row * sizeof wanted,
               sizeof wanted);
        matrix.format->decode(&matrix, row, 0, COLUMNS, decoded, magnitudes);
        for (int k = 0; k < COLUMNS; k++) {
            if (decoded[k] < (double)wanted[k] || decoded[k] > (double)wanted[k])
                fail_msg("%s, seed %d: [%d][%d] is %a, MLX has %a", scheme, SEED, row, k, decoded[k],
                         (double)wanted[k]);
        }
    }
}

static void test_against_mlx(void **state)
{
    (void)state;
    if (!has_mlx()) {
        print_message("skipped: %s has no mlx and numpy (KGEN_TEST_PYTHON names another)\n", find_python());
        skip();
    }
    static float values[VALUES];
    make_values(values);
    assert_int_equal(kgen_file_write("values.f32", (const char *)values, sizeof values, NULL), 0);
    for (size_t mode = 0; mode < KGEN_COUNT_OF(modes); mode++) {
        char command[PATH_MAX + 600];
        struct kgen_text output = {0};
        snprintf(command, sizeof command,
                 "'%s' '%s/tests/oracle/mlx_modes.py' quantise %s %d %d values.f32 out.bin", find_python(),
                 kgen_test_source, kgen_constant_name(modes[mode].scheme), ROWS, COLUMNS);
        assert_int_equal(system(command), 0);
        assert_int_equal(kgen_file_read("out.bin", 1 << 20, &output, NULL), 0);
        compare(mode, values, &output);
        kgen_text_free(&output);
    }
}

static int setup(void **state)
{
    (void)state;
    return kgen_test_command_setup();
}

static int teardown(void **state)
{
    (void)state;
    return kgen_test_command_teardown();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_stored_cases), cmocka_unit_test(test_every_byte),
                                       cmocka_unit_test(test_problem), cmocka_unit_test(test_against_mlx)};
    return cmocka_run_group_tests_name("MLX's floating-point modes", tests, setup, teardown);
}
