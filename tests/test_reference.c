/* SPDX-License-Identifier: MIT */
/* The references against values worked out by hand, or in another way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gen/ops/buffers.h"
#include "gen/ops/dtype.h"
#include "gen/ops/format.h"
#include "runtime/jit/kernel.h"

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

static struct kgen_problem small(const struct kgen_op *op, int64_t mode)
{
    struct kgen_problem problem;
    kgen_problem_init(&problem, op);
    kgen_problem_set(&problem, "N", 2);
    kgen_problem_set(&problem, "K", 64);
    kgen_problem_set(&problem, "bits", 4);
    kgen_problem_set(&problem, "group_size", 32);
    kgen_problem_set(&problem, "scheme", mode);
    kgen_problem_set(&problem, "scale_dtype", KGEN_F32);
    kgen_problem_set(&problem, "activation_dtype", KGEN_F32);
    return problem;
}

/* Points arguments at the buffers of the problem by their names; what the problem has not is left out. */
struct named {
    const char *name;
    void *data;
};
static struct kgen_arguments bind(const struct kgen_problem *problem, const struct named *named, size_t count)
{
    struct kgen_arguments arguments = {0};
    struct kgen_buffers list;
    kgen_problem_buffers(problem, &list);
    for (size_t i = 0; i < count; i++) {
        const int index = kgen_buffers_find(&list, named[i].name);
        if (index >= 0)
            arguments.buffers[index] = named[i].data;
    }
    return arguments;
}
#define BIND(problem, ...)                                                                                   \
    bind(problem, (const struct named[]){__VA_ARGS__}, KGEN_COUNT_OF(((const struct named[]){__VA_ARGS__})))

/* The reference of the problem's op: y, and the updated residual where there is one. */
static void reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments, double *y,
                      double *bound, double *residual, double *residual_bound)
{
    struct kgen_expected expected = {0};
    struct kgen_buffers list;
    kgen_problem_buffers(problem, &list);
    const int y_index = kgen_buffers_find(&list, "y"), updated = kgen_buffers_find(&list, "residual");
    expected.values[y_index] = y;
    expected.bounds[y_index] = bound;
    if (updated >= 0) {
        expected.values[updated] = residual;
        expected.bounds[updated] = residual_bound;
    }
    problem->op->reference(problem, arguments, &expected);
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
        struct kgen_problem problem = small(kgen_op_find("dequantize"), table[i].mode);
        unsigned char weights[64];
        float scales[4], biases[4];
        small_inputs(weights, scales, biases);
        const struct kgen_arguments arguments =
            BIND(&problem, {"weights", weights}, {"scales", scales}, {"biases", biases});
        double y[128], bound[128];
        reference(&problem, &arguments, y, bound, NULL, NULL);
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
        struct kgen_problem problem = small(kgen_op_find("dequantize"), modes[m]);
        unsigned char weights[64];
        float scales[4], biases[4], x[64];
        small_inputs(weights, scales, biases);
        struct kgen_arguments arguments =
            BIND(&problem, {"weights", weights}, {"scales", scales}, {"biases", biases});
        double w[128], w_bound[128], y[2], bound[2];
        reference(&problem, &arguments, w, w_bound, NULL, NULL);
        for (int k = 0; k < 64; k++)
            x[k] = (float)((k * 7 + 3) % 11 - 5) * 0.25f;
        problem = small(kgen_op_find("qmv"), modes[m]);
        arguments = BIND(&problem, {"weights", weights}, {"scales", scales}, {"biases", biases}, {"x", x});
        reference(&problem, &arguments, y, bound, NULL, NULL);
        for (int n = 0; n < 2; n++) {
            double sum = 0;
            for (int k = 0; k < 64; k++)
                sum += w[n * 64 + k] * (double)x[k];
            assert_true(y[n] == sum); /* all of it is exact */
        }
        /* Integers say the same, the narrower the less sharply. */
        double i24[2], i16[2], i8[2];
        kgen_problem_set(&problem, "activation_dtype", KGEN_I24);
        reference(&problem, &arguments, y, i24, NULL, NULL);
        kgen_problem_set(&problem, "activation_dtype", KGEN_I16);
        reference(&problem, &arguments, y, i16, NULL, NULL);
        kgen_problem_set(&problem, "activation_dtype", KGEN_I8);
        reference(&problem, &arguments, y, i8, NULL, NULL);
        assert_true(bound[0] > 0 && bound[0] < i24[0] && i24[0] < 2 * bound[0] && i24[0] < i16[0] &&
                    i16[0] < i8[0] && i8[0] < 50 * i16[0] + 10);
    }
}

/* The bound of qmv by its formula, for numbers simple enough to do by hand. */
static void test_qmv_bound_by_hand(void **state)
{
    (void)state;
    struct kgen_problem problem = small(kgen_op_find("qmv"), KGEN_AFFINE);
    unsigned char weights[64];
    float scales[4], biases[4], x[64] = {0};
    small_inputs(weights, scales, biases);
    x[33] = 2.0f; /* q = 1, so |s q| + |b| = 2 + 1, w = -3 */
    x[34] = 1.0f; /* q = 2, so 4 + 1, w = -5 */
    const struct kgen_arguments arguments =
        BIND(&problem, {"weights", weights}, {"scales", scales}, {"biases", biases}, {"x", x});
    double y[2], bound[2];
    reference(&problem, &arguments, y, bound, NULL, NULL);
    assert_true(y[0] == -11);
    assert_near(bound[0], (32 + 2 + 16) * 0x1p-24 * (3 * 2 + 5 * 1), 1e-30);
    /* Of the group's 2 and 1 only the 1 is off, by at most half of 2/127. */
    kgen_problem_set(&problem, "activation_dtype", KGEN_I8);
    reference(&problem, &arguments, y, bound, NULL, NULL);
    assert_near(bound[0], 50 * 0x1p-24 * 11 + 5.0 / 127, 1e-6);
}

/* --- the other ops
 * ---------------------------------------------------------------------------------------------- */

static void test_rms_norm_by_hand(void **state)
{
    (void)state;
    struct kgen_problem problem;
    kgen_problem_init(&problem, kgen_op_find("rms_norm"));
    kgen_problem_set(&problem, "rows", 2);
    kgen_problem_set(&problem, "size", 2);
    kgen_problem_set_real(&problem, "eps", 0);
    kgen_problem_set(&problem, "residual", 0);
    kgen_problem_set(&problem, "weight_plus_one", 0);
    float x[] = {3, 4, 1, 0}, w[] = {1, 0.5f}, residual[] = {0, -2, 4, -1};
    struct kgen_arguments arguments = BIND(&problem, {"x", x}, {"weight", w});
    double y[4], bound[4], h[4], h_bound[4];
    reference(&problem, &arguments, y, bound, NULL, NULL);
    double r0 = 1 / sqrt(12.5), r1 = 1 / sqrt(0.5);
    assert_near(y[0], 3 * r0, 1e-15);
    assert_near(y[1], 2 * r0, 1e-15);
    assert_near(y[2], r1, 1e-15);
    assert_true(y[3] == 0);
    kgen_problem_set(&problem, "weight_plus_one", 1);
    reference(&problem, &arguments, y, bound, NULL, NULL);
    assert_near(y[0], 6 * r0, 1e-15);
    assert_near(y[1], 6 * r0, 1e-15);
    kgen_problem_set_real(&problem, "eps", 12.5);
    reference(&problem, &arguments, y, bound, NULL, NULL);
    assert_near(y[0], 6.0 / 5, 1e-15);
    kgen_problem_set_real(&problem, "eps", 0);
    kgen_problem_set(&problem, "residual", 1);
    kgen_problem_set(&problem, "weight_plus_one", 0);
    arguments = BIND(&problem, {"x", x}, {"weight", w}, {"residual", residual});
    reference(&problem, &arguments, y, bound, h, h_bound);
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
    kgen_problem_init(&problem, kgen_op_find("rope"));
    kgen_problem_set(&problem, "heads", 2);
    kgen_problem_set(&problem, "head_dim", 6);
    kgen_problem_set(&problem, "rotary_dim", 4);
    kgen_problem_set_real(&problem, "theta", 10000);
    float x[12];
    for (int i = 0; i < 12; i++)
        x[i] = (float)(i + 1);
    struct kgen_arguments arguments = BIND(&problem, {"x", x});
    arguments.scalars[0] = 100;
    /* Frequencies 1 and 0.01: angles 100 and 1. */
    double c0 = cos(100.0), s0 = sin(100.0), c1 = cos(1.0), s1 = sin(1.0);
    double y[12], bound[12];
    kgen_problem_set(&problem, "pairing", KGEN_HALF_SPLIT); /* (1, 3) and (2, 4) */
    reference(&problem, &arguments, y, bound, NULL, NULL);
    assert_near(y[0], 1 * c0 - 3 * s0, 1e-12);
    assert_near(y[2], 3 * c0 + 1 * s0, 1e-12);
    assert_near(y[1], 2 * c1 - 4 * s1, 1e-12);
    assert_near(y[3], 4 * c1 + 2 * s1, 1e-12);
    assert_near(y[6], 7 * c0 - 9 * s0, 1e-12);
    assert_true(y[4] == 5 && y[5] == 6 && y[11] == 12);
    assert_true(bound[4] == 0 && bound[11] == 0);
    assert_near(bound[0], 0x1p-24 * (4 * (1 * fabs(c0) + 3 * fabs(s0)) + 1 + 3), 1e-20);
    kgen_problem_set(&problem, "pairing", KGEN_INTERLEAVED); /* (1, 2) and (3, 4) */
    reference(&problem, &arguments, y, bound, NULL, NULL);
    assert_near(y[0], 1 * c0 - 2 * s0, 1e-12);
    assert_near(y[1], 2 * c0 + 1 * s0, 1e-12);
    assert_near(y[2], 3 * c1 - 4 * s1, 1e-12);
    assert_near(y[3], 4 * c1 + 3 * s1, 1e-12);
    arguments.scalars[0] = 0;
    reference(&problem, &arguments, y, bound, NULL, NULL);
    for (int i = 0; i < 12; i++)
        assert_true(y[i] == i + 1);
}

static void test_swiglu_and_add_by_hand(void **state)
{
    (void)state;
    struct kgen_problem problem;
    kgen_problem_init(&problem, kgen_op_find("swiglu"));
    kgen_problem_set(&problem, "size", 6);
    float gate[] = {0, 1, -1, 1e4f, -1e4f, -100}, up[] = {5, 2, 2, 0.5f, 3, 2};
    const struct kgen_arguments arguments = BIND(&problem, {"gate", gate}, {"up", up});
    double y[6], bound[6];
    reference(&problem, &arguments, y, bound, NULL, NULL);
    assert_true(y[0] == 0);
    assert_near(y[1], 2 * 0.7310585786300049, 1e-15);
    assert_near(y[2], -2 * 0.2689414213699951, 1e-15);
    assert_true(y[3] == 5000 && y[4] == 0);
    assert_near(y[5], -200 * exp(-100), 1e-55);
    assert_true(bound[5] >= fabs(y[5]) && bound[4] < 1e-30 && bound[1] < 2e-6); /* zero will do far down */
    problem.op = kgen_op_find("add");
    reference(&problem, &arguments, y, bound, NULL, NULL);
    assert_true(y[3] == 10000.5 && bound[3] == 10000.5 * 0x1p-24);
    assert_true(fabs((double)nextafterf(10000.5f, 1e9f) - y[3]) > bound[3]);
}

/* --- operations and fills
 * ------------------------------------------------------------------------------------------ */

static void test_sizes_and_bytes(void **state)
{
    (void)state;
    struct kgen_problem problem = small(kgen_op_find("qmv"), KGEN_AFFINE);
    kgen_problem_set(&problem, "scale_dtype", KGEN_F16);
    kgen_problem_set(&problem, "bits", 3);
    static const struct {
        const char *name;
        size_t bytes;
    } expected[] = {{"weights", 2 * 24}, {"scales", 2 * 2 * 2}, {"biases", 2 * 2 * 2},
                    {"x", 64 * 4},       {"workspace", 0},      {"y", 2 * 4}};
    struct kgen_buffers buffers;
    kgen_problem_buffers(&problem, &buffers);
    assert_int_equal(buffers.count, KGEN_COUNT_OF(expected));
    for (size_t i = 0; i < buffers.count; i++) {
        assert_string_equal(buffers.items[i].name, expected[i].name);
        assert_int_equal(buffers.items[i].bytes, expected[i].bytes);
    }
    assert_true(kgen_problem_bytes(&problem) == 48 + 8 + 8 + 256 + 8);
    kgen_problem_set(&problem, "scheme", KGEN_SYMMETRIC);
    assert_true(kgen_problem_bytes(&problem) == 48 + 8 + 256 + 8);
    assert_int_equal(kgen_problem_range(&problem), 2);
    kgen_problem_set_range(&problem, 9);
    assert_int_equal(kgen_problem_get(&problem, "N"), 9);
    kgen_problem_init(&problem, kgen_op_find("rms_norm"));
    kgen_problem_set(&problem, "rows", 3);
    kgen_problem_set(&problem, "size", 10);
    kgen_problem_set(&problem, "residual", 1);
    assert_int_equal(kgen_problem_range(&problem), 3);
    assert_true(kgen_problem_bytes(&problem) == 4 * (30 + 10 + 2 * 30 + 30)); /* the residual both ways */
}

static unsigned char touched[1000];

static void touch(void *const *buffers, const int64_t *scalars, size_t begin, size_t end)
{
    (void)buffers, (void)scalars;
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
            assert_int_equal(kgen_range_part(ranges[r], 0, parts), 0);
            assert_int_equal(kgen_range_part(ranges[r], parts, parts), ranges[r]);
            for (size_t i = 0; i < parts; i++)
                assert_true(kgen_range_part(ranges[r], i, parts) <= kgen_range_part(ranges[r], i + 1, parts));
            struct kgen_kernel kernel = {.run = touch};
            kgen_problem_init(&kernel.problem, kgen_op_find("add"));
            kgen_problem_set(&kernel.problem, "size", (int64_t)ranges[r]);
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
    assert_int_equal(kgen_range_part(4096, 1, 2), 2048);
    assert_int_equal(kgen_range_part(4099, 1, 2) % 16, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packed_values_by_hand),  cmocka_unit_test(test_packed_values_come_back),
        cmocka_unit_test(test_narrow_floats),          cmocka_unit_test(test_dequantize_by_hand),
        cmocka_unit_test(test_qmv_is_the_product),     cmocka_unit_test(test_qmv_bound_by_hand),
        cmocka_unit_test(test_rms_norm_by_hand),       cmocka_unit_test(test_rope_by_hand),
        cmocka_unit_test(test_swiglu_and_add_by_hand), cmocka_unit_test(test_sizes_and_bytes),
        cmocka_unit_test(test_division_over_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
