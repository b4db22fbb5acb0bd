/* SPDX-License-Identifier: MIT */
/* The references against values worked out by hand, or in another way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/prove/fill.h"
#include "runtime/prove/reference.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void assert_near(double got, double expected, double tolerance)
{
    if (!(fabs(got - expected) <= tolerance))
        fail_msg("%.17g, expected %.17g +- %g", got, expected, tolerance);
}

/* --- packed values and narrow floats
 * ------------------------------------------------------------------------ */

static void test_packed_values_by_hand(void **state)
{
    static const unsigned char bytes[] = {0x35, 0xc9, 0x7e, 0x81, 0xf0};
    static const struct {
        int64_t bits, i;
        unsigned value;
    } table[] = {
        {1, 0, 1},
        {1, 1, 0},
        {1, 2, 1},
        {1, 8, 1},
        {2, 0, 1},
        {2, 1, 1},
        {2, 2, 3},
        {2, 3, 0},
        {4, 0, 5},
        {4, 1, 3},
        {4, 2, 9},
        {4, 3, 0xc},
        {8, 0, 0x35},
        {8, 4, 0xf0},
        /* 0x7ec935 = 011 111 101 100 100 100 110 101 */
        {3, 0, 5},
        {3, 1, 6},
        {3, 2, 4},
        {3, 3, 4},
        {3, 4, 4},
        {3, 5, 5},
        {3, 6, 7},
        {3, 7, 3},
        /* = 011111 101100 100100 110101 */
        {6, 0, 0x35},
        {6, 1, 0x24},
        {6, 2, 0x2c},
        {6, 3, 0x1f},
        /* 0xf0817ec935 = 11110 00010 00000 10111 11101 10010 01001 10101 */
        {5, 0, 21},
        {5, 1, 9},
        {5, 2, 18},
        {5, 3, 29},
        {5, 4, 23},
        {5, 5, 0},
        {5, 6, 2},
        {5, 7, 30},
    };
    (void)state;
    for (size_t i = 0; i < KGEN_COUNT_OF(table); i++) {
        unsigned value = kgen_packed_value(bytes, table[i].bits, table[i].i);
        if (value != table[i].value)
            fail_msg("value %d of %d bits: %u, expected %u", (int)table[i].i, (int)table[i].bits, value,
                     table[i].value);
    }
}

/* Every value of every width comes back, and no byte beyond the row is read. */
static void test_packed_values_come_back(void **state)
{
    static const int64_t widths[] = {1, 2, 3, 4, 5, 6, 8};
    (void)state;
    size_t count = 0;
    for (size_t w = 0; w < KGEN_COUNT_OF(widths); w++) {
        int64_t bits = widths[w], K = 288;
        size_t bytes = (size_t)(K * bits / 8);
        unsigned char *row = calloc(bytes, 1); /* exactly as long, for a sanitizer's sake */
        assert_non_null(row);
        struct kgen_random random = {7};
        unsigned values[288];
        for (int64_t i = 0; i < K; i++) {
            values[i] = (unsigned)kgen_random_below(&random, 1 << bits);
            for (int64_t b = 0; b < bits; b++)
                if ((values[i] >> b & 1) != 0)
                    row[(i * bits + b) / 8] |= (unsigned char)(1u << (i * bits + b) % 8);
        }
        for (int64_t i = 0; i < K; i++, count++)
            assert_int_equal(kgen_packed_value(row, bits, i), values[i]);
        free(row);
    }
    assert_int_equal(count, 7 * 288);
}

static void test_narrow_floats(void **state)
{
    static const struct {
        float value;
        uint16_t f16, bf16;
    } table[] = {
        {0.0f, 0, 0},
        {-0.0f, 0x8000, 0x8000},
        {1.0f, 0x3c00, 0x3f80},
        {-2.5f, 0xc100, 0xc020},
        {65504.0f, 0x7bff, 0x4780},
        {65519.0f, 0x7bff, 0x4780},
        {65520.0f, 0x7c00, 0x4780},
        {1e30f, 0x7c00, 0x714a},
        {0x1p-14f, 0x0400, 0x3880},
        {0x1p-24f, 0x0001, 0x3380},
        {0x1p-25f, 0x0000, 0x3300}, /* a tie, to even */
        {0x1.8p-24f, 0x0002, 0x33c0},
        {0x1.ff8p-15f, 0x03ff, 0x3880},
        {0x1.ffcp-15f, 0x0400, 0x3880},
        {0x1.002p0f, 0x3c00, 0x3f80}, /* ties */
        {0x1.006p0f, 0x3c02, 0x3f80},
        {0x1.01p0f, 0x3c04, 0x3f80},
        {0x1.03p0f, 0x3c0c, 0x3f82},
        {FLT_MAX, 0x7c00, 0x7f80},
        {-INFINITY, 0xfc00, 0xff80},
        {1e-40f, 0, 0x0001},
    };
    (void)state;
    for (size_t i = 0; i < KGEN_COUNT_OF(table); i++) {
        uint16_t f16 = kgen_to_f16(table[i].value), bf16 = kgen_to_bf16(table[i].value);
        if (f16 != table[i].f16 || bf16 != table[i].bf16)
            fail_msg("%a: f16 %04x, expected %04x; bf16 %04x, expected %04x", (double)table[i].value, f16,
                     table[i].f16, bf16, table[i].bf16);
    }
    /* Every number comes back; a NaN stays one. */
    for (unsigned bits = 0; bits < 65536; bits++) {
        uint16_t half = (uint16_t)bits;
        double f16 = kgen_dtype_value(&half, KGEN_F16, 0), bf16 = kgen_dtype_value(&half, KGEN_BF16, 0);
        if (isnan(f16))
            assert_true(isnan(f16) && (kgen_to_f16((float)f16) & 0x7fff) > 0x7c00);
        else
            assert_int_equal(kgen_to_f16((float)f16), bits);
        if (isnan(bf16))
            assert_true((kgen_to_bf16((float)bf16) & 0x7fff) > 0x7f80);
        else
            assert_int_equal(kgen_to_bf16((float)bf16), bits);
    }
    const float single = 0.1f;
    assert_true(kgen_dtype_value(&single, KGEN_F32, 0) == (double)0.1f);
}

/* --- qmv and dequantize
 * --------------------------------------------------------------------------------------- */

static struct kgen_problem small(enum kgen_op op, int64_t mode)
{
    struct kgen_problem problem;
    kgen_problem_init(&problem, op);
    problem.N = 2;
    problem.K = 64;
    problem.bits = 4;
    problem.group_size = 32;
    problem.mode = mode;
    problem.scales = KGEN_F32;
    problem.activations = KGEN_F32;
    return problem;
}

/* Row 0: q = k % 16; row 1: q = 15. Scales 0.5, -2 and 1, 4; biases (or zeros) 3, -1 and 2, 0. */
static void small_inputs(unsigned char *weights, float *scales, float *biases)
{
    static const float s[] = {0.5f, -2, 1, 4}, b[] = {3, -1, 2, 0};
    for (int i = 0; i < 32; i++) {
        weights[i] = (unsigned char)(2 * i % 16 | (2 * i + 1) % 16 << 4);
        weights[32 + i] = 0xff;
    }
    memcpy(scales, s, sizeof s);
    memcpy(biases, b, sizeof b);
}

static void test_dequantize_by_hand(void **state)
{
    static const struct {
        int64_t mode;
        double w0[3], w1[3]; /* row 0: k = 0, 7, 33; row 1: k = 0, 31, 63 */
    } table[] = {
        {KGEN_AFFINE, {3, 6.5, -3}, {17, 17, 60}},
        {KGEN_SYMMETRIC, {-4, -0.5, 14}, {7, 7, 28}},
        {KGEN_ZERO_POINT, {-1.5, 2, -4}, {13, 13, 60}},
    };
    (void)state;
    for (size_t i = 0; i < KGEN_COUNT_OF(table); i++) {
        struct kgen_problem problem = small(KGEN_OP_DEQUANTIZE, table[i].mode);
        unsigned char weights[64];
        float scales[4], biases[4];
        small_inputs(weights, scales, biases);
        struct kgen_arguments arguments = {.buffers = {weights, scales, biases}};
        double y[128], bound[128];
        assert_int_equal(kgen_reference(&problem, &arguments, y, bound, NULL, NULL), 0);
        assert_true(y[0] == table[i].w0[0] && y[7] == table[i].w0[1] && y[33] == table[i].w0[2]);
        assert_true(y[64] == table[i].w1[0] && y[64 + 31] == table[i].w1[1] && y[64 + 63] == table[i].w1[2]);
        assert_true(bound[7] > 0 && bound[7] < 1e-5);
    }
}

static void test_qmv_is_the_product(void **state)
{
    static const int64_t modes[] = {KGEN_AFFINE, KGEN_SYMMETRIC, KGEN_ZERO_POINT};
    (void)state;
    for (size_t m = 0; m < KGEN_COUNT_OF(modes); m++) {
        struct kgen_problem problem = small(KGEN_OP_DEQUANTIZE, modes[m]);
        unsigned char weights[64];
        float scales[4], biases[4], x[64];
        small_inputs(weights, scales, biases);
        struct kgen_arguments arguments = {.buffers = {weights, scales, biases, x}};
        double w[128], w_bound[128], y[2], bound[2];
        kgen_reference(&problem, &arguments, w, w_bound, NULL, NULL);
        for (int k = 0; k < 64; k++)
            x[k] = (float)((k * 7 + 3) % 11 - 5) * 0.25f;
        problem.op = KGEN_OP_QMV;
        assert_int_equal(kgen_reference(&problem, &arguments, y, bound, NULL, NULL), 0);
        for (int n = 0; n < 2; n++) {
            double sum = 0;
            for (int k = 0; k < 64; k++)
                sum += w[n * 64 + k] * (double)x[k];
            assert_true(y[n] == sum); /* all of it is exact */
        }
        /* i8 and i16 say the same, less sharply. */
        double i16[2], i8[2];
        problem.activations = KGEN_I16;
        kgen_reference(&problem, &arguments, y, i16, NULL, NULL);
        problem.activations = KGEN_I8;
        kgen_reference(&problem, &arguments, y, i8, NULL, NULL);
        assert_true(bound[0] > 0 && bound[0] < i16[0] && i16[0] < i8[0] && i8[0] < 50 * i16[0] + 10);
    }
}

/* The bound of qmv by its formula, for numbers simple enough to do by hand. */
static void test_qmv_bound_by_hand(void **state)
{
    (void)state;
    struct kgen_problem problem = small(KGEN_OP_QMV, KGEN_AFFINE);
    unsigned char weights[64];
    float scales[4], biases[4], x[64] = {0};
    small_inputs(weights, scales, biases);
    x[33] = 2.0f; /* q = 1, so |s q| + |b| = 2 + 1, w = -3 */
    x[34] = 1.0f; /* q = 2, so 4 + 1, w = -5 */
    struct kgen_arguments arguments = {.buffers = {weights, scales, biases, x}};
    double y[2], bound[2];
    kgen_reference(&problem, &arguments, y, bound, NULL, NULL);
    assert_true(y[0] == -11);
    assert_near(bound[0], (32 + 2 + 16) * 0x1p-24 * (3 * 2 + 5 * 1), 1e-30);
    /* Of the group's 2 and 1 only the 1 is off, by at most half of 2/127. */
    problem.activations = KGEN_I8;
    kgen_reference(&problem, &arguments, y, bound, NULL, NULL);
    assert_near(bound[0], 50 * 0x1p-24 * 11 + 5.0 / 127, 1e-6);
}

/* --- the other ops
 * ---------------------------------------------------------------------------------------------- */

static void test_rms_norm_by_hand(void **state)
{
    (void)state;
    struct kgen_problem problem;
    kgen_problem_init(&problem, KGEN_OP_RMS_NORM);
    problem.rows = 2;
    problem.size = 2;
    problem.eps = 0;
    problem.residual = 0;
    problem.weight_plus_one = 0;
    float x[] = {3, 4, 1, 0}, w[] = {1, 0.5f}, residual[] = {0, -2, 4, -1};
    struct kgen_arguments arguments = {
        .buffers = {[KGEN_BUFFER_X] = x, [KGEN_BUFFER_WEIGHT] = w, [KGEN_BUFFER_RESIDUAL] = residual}};
    double y[4], bound[4], h[4], h_bound[4];
    kgen_reference(&problem, &arguments, y, bound, NULL, NULL);
    double r0 = 1 / sqrt(12.5), r1 = 1 / sqrt(0.5);
    assert_near(y[0], 3 * r0, 1e-15);
    assert_near(y[1], 2 * r0, 1e-15);
    assert_near(y[2], r1, 1e-15);
    assert_true(y[3] == 0);
    problem.weight_plus_one = 1;
    kgen_reference(&problem, &arguments, y, bound, NULL, NULL);
    assert_near(y[0], 6 * r0, 1e-15);
    assert_near(y[1], 6 * r0, 1e-15);
    problem.eps = 12.5;
    kgen_reference(&problem, &arguments, y, bound, NULL, NULL);
    assert_near(y[0], 6.0 / 5, 1e-15);
    problem.eps = 0;
    problem.residual = 1;
    problem.weight_plus_one = 0;
    kgen_reference(&problem, &arguments, y, bound, h, h_bound);
    static const double sums[] = {3, 2, 5, -1};
    for (int i = 0; i < 4; i++)
        assert_true(h[i] == sums[i] && h_bound[i] == 0x1p-24 * fabs(sums[i]));
    assert_near(y[2], 5 / sqrt(13), 1e-15);
    assert_near(y[3], -0.5 / sqrt(13), 1e-15);
    assert_true(residual[1] == -2.0f); /* only read */
}

static void test_rope_by_hand(void **state)
{
    (void)state;
    struct kgen_problem problem;
    kgen_problem_init(&problem, KGEN_OP_ROPE);
    problem.heads = 2;
    problem.head_dim = 6;
    problem.rotary_dim = 4;
    problem.theta = 10000;
    float x[12];
    for (int i = 0; i < 12; i++)
        x[i] = (float)(i + 1);
    struct kgen_arguments arguments = {.buffers = {[KGEN_BUFFER_X] = x}, .position = 100};
    /* Frequencies 1 and 0.01: angles 100 and 1. */
    double c0 = cos(100.0), s0 = sin(100.0), c1 = cos(1.0), s1 = sin(1.0);
    double y[12], bound[12];
    problem.pairing = KGEN_HALF_SPLIT; /* (1, 3) and (2, 4) */
    kgen_reference(&problem, &arguments, y, bound, NULL, NULL);
    assert_near(y[0], 1 * c0 - 3 * s0, 1e-12);
    assert_near(y[2], 3 * c0 + 1 * s0, 1e-12);
    assert_near(y[1], 2 * c1 - 4 * s1, 1e-12);
    assert_near(y[3], 4 * c1 + 2 * s1, 1e-12);
    assert_near(y[6], 7 * c0 - 9 * s0, 1e-12);
    assert_true(y[4] == 5 && y[5] == 6 && y[11] == 12);
    assert_true(bound[4] == 0 && bound[11] == 0);
    assert_near(bound[0], 0x1p-24 * (4 * (1 * fabs(c0) + 3 * fabs(s0)) + 1 + 3), 1e-20);
    problem.pairing = KGEN_INTERLEAVED; /* (1, 2) and (3, 4) */
    kgen_reference(&problem, &arguments, y, bound, NULL, NULL);
    assert_near(y[0], 1 * c0 - 2 * s0, 1e-12);
    assert_near(y[1], 2 * c0 + 1 * s0, 1e-12);
    assert_near(y[2], 3 * c1 - 4 * s1, 1e-12);
    assert_near(y[3], 4 * c1 + 3 * s1, 1e-12);
    arguments.position = 0;
    kgen_reference(&problem, &arguments, y, bound, NULL, NULL);
    for (int i = 0; i < 12; i++)
        assert_true(y[i] == i + 1);
}

static void test_swiglu_and_add_by_hand(void **state)
{
    (void)state;
    struct kgen_problem problem;
    kgen_problem_init(&problem, KGEN_OP_SWIGLU);
    problem.size = 6;
    float gate[] = {0, 1, -1, 1e4f, -1e4f, -100}, up[] = {5, 2, 2, 0.5f, 3, 2};
    struct kgen_arguments arguments = {.buffers = {[KGEN_BUFFER_X] = gate, [KGEN_BUFFER_X2] = up}};
    double y[6], bound[6];
    kgen_reference(&problem, &arguments, y, bound, NULL, NULL);
    assert_true(y[0] == 0);
    assert_near(y[1], 2 * 0.7310585786300049, 1e-15);
    assert_near(y[2], -2 * 0.2689414213699951, 1e-15);
    assert_true(y[3] == 5000 && y[4] == 0);
    assert_near(y[5], -200 * exp(-100), 1e-55);
    assert_true(bound[5] >= fabs(y[5]) && bound[4] < 1e-30 && bound[1] < 2e-6); /* zero will do far down */
    problem.op = KGEN_OP_ADD;
    kgen_reference(&problem, &arguments, y, bound, NULL, NULL);
    assert_true(y[3] == 10000.5 && bound[3] == 10000.5 * 0x1p-24);
    assert_true(fabs((double)nextafterf(10000.5f, 1e9f) - y[3]) > bound[3]);
}

/* --- operations and fills
 * ------------------------------------------------------------------------------------------ */

static void test_sizes_and_bytes(void **state)
{
    (void)state;
    struct kgen_problem problem = small(KGEN_OP_QMV, KGEN_AFFINE);
    problem.scales = KGEN_F16;
    problem.bits = 3;
    size_t sizes[KGEN_BUFFER_COUNT];
    kgen_operation_sizes(&problem, sizes);
    static const size_t expected[KGEN_BUFFER_COUNT] = {2 * 24, 2 * 2 * 2, 2 * 2 * 2, 64 * 4, 0,
                                                       0,      0,         2 * 4,     0};
    assert_memory_equal(sizes, expected, sizeof sizes);
    assert_true(kgen_operation_bytes(&problem) == 48 + 8 + 8 + 256 + 8);
    problem.mode = KGEN_SYMMETRIC;
    assert_true(kgen_operation_bytes(&problem) == 48 + 8 + 256 + 8);
    assert_int_equal(kgen_operation_range(&problem), 2);
    kgen_operation_set_range(&problem, 9);
    assert_int_equal(problem.N, 9);
    kgen_problem_init(&problem, KGEN_OP_RMS_NORM);
    problem.rows = 3;
    problem.size = 10;
    problem.residual = 1;
    assert_int_equal(kgen_operation_range(&problem), 3);
    assert_true(kgen_operation_bytes(&problem) == 4 * (30 + 10 + 2 * 30 + 30)); /* the residual both ways */
    assert_string_equal(kgen_buffer_name(KGEN_BUFFER_WEIGHTS), "weights");
    assert_string_equal(kgen_buffer_name(KGEN_BUFFER_WORKSPACE), "workspace");
}

static unsigned char touched[1000];

static void touch(const float *a, const float *b, float *y, size_t begin, size_t end)
{
    (void)a, (void)b, (void)y;
    for (size_t i = begin; i < end; i++)
        touched[i]++;
}

/* Each element in one part, for every division; by a team too. */
static void test_division_over_threads(void **state)
{
    static const size_t ranges[] = {1, 2, 3, 16, 127, 128, 300, 999, 1000};
    (void)state;
    size_t count = 0;
    for (size_t r = 0; r < KGEN_COUNT_OF(ranges); r++) {
        for (size_t parts = 1; parts < 9; parts++, count++) {
            assert_int_equal(kgen_operation_part(ranges[r], 0, parts), 0);
            assert_int_equal(kgen_operation_part(ranges[r], parts, parts), ranges[r]);
            for (size_t i = 0; i < parts; i++)
                assert_true(kgen_operation_part(ranges[r], i, parts) <=
                            kgen_operation_part(ranges[r], i + 1, parts));
            struct kgen_kernel kernel = {.run = (void *)touch};
            kgen_problem_init(&kernel.problem, KGEN_OP_ADD);
            kernel.problem.size = (int64_t)ranges[r];
            struct kgen_arguments arguments = {0};
            memset(touched, 0, sizeof touched);
            struct kgen_team *team = kgen_team_new((int)parts, NULL);
            assert_non_null(team);
            kgen_kernel_run_team(&kernel, &arguments, team);
            kgen_team_free(team);
            for (size_t i = 0; i < sizeof touched; i++)
                assert_int_equal(touched[i], i < ranges[r]);
        }
    }
    assert_int_equal(count, 72);
    assert_int_equal(kgen_operation_part(4096, 1, 2), 2048);
    assert_int_equal(kgen_operation_part(4099, 1, 2) % 16, 0);
}

static void test_random_numbers(void **state)
{
    (void)state;
    struct kgen_random random = {0};
    /* The first outputs of splitmix64 for the seed 0. */
    assert_true(kgen_random_next(&random) == UINT64_C(0xe220a8397b1dcdaf));
    assert_true(kgen_random_next(&random) == UINT64_C(0x6e789e6aa1b965f4));
    double sum = 0, squares = 0;
    for (int i = 0; i < 100000; i++) {
        double value = (double)kgen_random_normal(&random);
        assert_true(fabs(value) <= 3.5);
        sum += value;
        squares += value * value;
    }
    assert_near(sum / 100000, 0, 0.02);
    assert_near(squares / 100000, 1, 0.02);
}

/* Every fill of every op gives finite references and bounds, the same ones for the same seed. */
static void test_fills(void **state)
{
    (void)state;
    size_t done = 0;
    for (int op = 0; op < KGEN_OP_COUNT; op++) {
        struct kgen_problem problem;
        kgen_problem_init(&problem, (enum kgen_op)op);
        problem.N = 3, problem.K = 256, problem.bits = 4, problem.group_size = 64, problem.rows = 2,
        problem.size = 300, problem.residual = op % 2;
        problem.heads = 2, problem.head_dim = 16, problem.rotary_dim = 8, problem.activations = KGEN_I8;
        size_t count, sizes[KGEN_BUFFER_COUNT];
        kgen_operation_sizes(&problem, sizes);
        const struct kgen_fill *fills = kgen_fills((enum kgen_op)op, &count);
        assert_true(count > 0);
        size_t y_count = sizes[KGEN_BUFFER_Y] / sizeof(float);
        double *values = calloc(8 * y_count, sizeof *values);
        assert_non_null(values);
        for (size_t f = 0; f < count; f++, done++) {
            for (size_t again = 0; again < 2; again++) {
                struct kgen_random random = {11};
                struct kgen_arguments arguments = {0};
                for (int i = 0; i < KGEN_BUFFER_COUNT; i++)
                    arguments.buffers[i] = sizes[i] > 0 ? malloc(sizes[i]) : NULL;
                double *y = values + again * 4 * y_count;
                fills[f].fill(&problem, &random, &arguments);
                kgen_reference(&problem, &arguments, y, y + y_count, y + 2 * y_count, y + 3 * y_count);
                if (fills[f].sharpen != NULL)
                    fills[f].sharpen(&problem, y + y_count, y_count);
                for (int i = 0; i < KGEN_BUFFER_COUNT; i++)
                    free(arguments.buffers[i]);
                for (size_t i = 0; i < 4 * y_count; i++)
                    if (!isfinite(y[i]) || (i / y_count == 0 && fabs(y[i]) > (double)FLT_MAX))
                        fail_msg("op %d, %s: value %zu is %g", op, fills[f].name, i, y[i]);
            }
            assert_memory_equal(values, values + 4 * y_count, 4 * y_count * sizeof *values);
        }
        free(values);
    }
    assert_true(done >= 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packed_values_by_hand),
        cmocka_unit_test(test_packed_values_come_back),
        cmocka_unit_test(test_narrow_floats),
        cmocka_unit_test(test_dequantize_by_hand),
        cmocka_unit_test(test_qmv_is_the_product),
        cmocka_unit_test(test_qmv_bound_by_hand),
        cmocka_unit_test(test_rms_norm_by_hand),
        cmocka_unit_test(test_rope_by_hand),
        cmocka_unit_test(test_swiglu_and_add_by_hand),
        cmocka_unit_test(test_sizes_and_bytes),
        cmocka_unit_test(test_division_over_threads),
        cmocka_unit_test(test_random_numbers),
        cmocka_unit_test(test_fills),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
