/* SPDX-License-Identifier: MIT */
/* Problems: fields, checks, canonical text, names, RoPE frequencies. */
#include "gen/ops/problem.h"

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct kgen_problem qmv(int64_t N, int64_t K, int64_t bits, int64_t group_size)
{
    struct kgen_problem problem;
    kgen_problem_init(&problem, KGEN_OP_QMV);
    problem.N = N;
    problem.K = K;
    problem.bits = bits;
    problem.group_size = group_size;
    return problem;
}

static struct kgen_problem rope(int64_t heads, int64_t head_dim)
{
    struct kgen_problem problem;
    kgen_problem_init(&problem, KGEN_OP_ROPE);
    problem.heads = heads;
    problem.head_dim = head_dim;
    problem.rotary_dim = head_dim;
    return problem;
}

static struct kgen_problem rope_llama3(void)
{
    struct kgen_problem problem = rope(32, 128);
    problem.theta = 500000;
    problem.scaling = KGEN_LLAMA3;
    problem.factor = 8;
    return problem;
}

/* A valid problem of each op. */
static struct kgen_problem sample(enum kgen_op op)
{
    struct kgen_problem problem = qmv(4096, 12288, 4, 64);
    if (op == KGEN_OP_ROPE) {
        problem = rope_llama3();
        problem.rotary_dim = 64;
        return problem;
    }
    if (op != KGEN_OP_QMV && op != KGEN_OP_DEQUANTIZE) {
        kgen_problem_init(&problem, op);
        problem.size = 4096;
    }
    problem.op = op;
    return problem;
}

static char *text_of(const struct kgen_problem *problem)
{
    struct kgen_text text = {0};
    kgen_problem_write(problem, &text);
    assert_false(text.failed);
    return text.data;
}

static char *name_of(const struct kgen_problem *problem)
{
    struct kgen_text text = {0};
    kgen_problem_name(problem, &text);
    assert_false(text.failed);
    return text.data;
}

/* ---- tables ---- */

static void test_words(void **state)
{
    (void)state;
    for (int i = KGEN_WORD_NONE + 1; i < KGEN_WORD_COUNT; i++) {
        assert_non_null(kgen_word_name((enum kgen_word)i));
        for (int j = 0; j < i; j++)
            assert_string_not_equal(kgen_word_name((enum kgen_word)i), kgen_word_name((enum kgen_word)j));
    }
    assert_string_equal(kgen_word_name(KGEN_HALF_SPLIT), "half");
    assert_string_equal(kgen_word_name(KGEN_UNSCALED), "none");
}

static void test_ops(void **state)
{
    (void)state;
    for (int i = 0; i < KGEN_OP_COUNT; i++) {
        const struct kgen_op_info *info = kgen_op_info((enum kgen_op)i);
        enum kgen_op op = KGEN_OP_COUNT;
        assert_int_equal(kgen_op_parse(info->name, &op), 0);
        assert_int_equal(op, i);
        assert_true(info->field_count > 0);
        for (size_t j = 0; j < info->field_count; j++) {
            assert_true(info->fields[j].meaning[0] != '\0');
            assert_true(info->fields[j].offset + sizeof(int64_t) <= sizeof(struct kgen_problem));
        }
    }
    enum kgen_op op;
    assert_int_equal(kgen_op_parse("qmm", &op), -1);
    assert_int_equal(kgen_op_parse("", &op), -1);
}

static void test_defaults_hold(void **state)
{
    (void)state;
    size_t cases = 0;
    for (int i = 0; i < KGEN_OP_COUNT; i++) {
        struct kgen_problem problem;
        kgen_problem_init(&problem, (enum kgen_op)i);
        assert_int_equal(problem.threads, 1);
        const struct kgen_op_info *info = kgen_op_info((enum kgen_op)i);
        for (size_t j = 0; j < info->field_count; j++, cases++)
            assert_int_equal(kgen_field_holds(&problem, &info->fields[j]), !info->fields[j].required);
    }
    assert_true(cases > 20);
}

static void test_describe(void **state)
{
    (void)state;
    static const struct {
        enum kgen_op op;
        const char *field, *text;
    } cases[] = {
        {KGEN_OP_QMV, "N", "an integer from 1 to 2147483648"},
        {KGEN_OP_QMV, "bits", "1, 2, 3, 4, 5, 6 or 8"},
        {KGEN_OP_QMV, "mode", "\"affine\", \"symmetric\" or \"zero_point\""},
        {KGEN_OP_RMS_NORM, "residual", "true or false"},
        {KGEN_OP_RMS_NORM, "eps", "a number from 1e-12 to 1"},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        const struct kgen_op_info *info = kgen_op_info(cases[i].op);
        size_t j = 0;
        while (strcmp(info->fields[j].name, cases[i].field) != 0)
            j++;
        struct kgen_text text = {0};
        kgen_field_describe(&info->fields[j], &text);
        assert_string_equal(text.data, cases[i].text);
        kgen_text_free(&text);
    }
}

/* ---- checks ---- */

static void test_check(void **state)
{
    (void)state;
    struct kgen_problem odd = rope(8, 128), wide = rope(8, 128), unused = rope(8, 128), order = rope_llama3();
    odd.rotary_dim = 63;
    wide.rotary_dim = 130;
    unused.factor = 8;
    order.high_freq_factor = 1;
    struct kgen_problem low = rope(8, 128), linear = rope(8, 128), zero_rotary = rope(8, 128);
    low.low_freq_factor = 2;
    linear.scaling = KGEN_LINEAR;
    linear.original_max_position_embeddings = 4096;
    zero_rotary.rotary_dim = 0;
    struct kgen_problem mode = qmv(1, 64, 4, 64), threads = qmv(1, 64, 4, 64),
                        nan_eps = sample(KGEN_OP_RMS_NORM);
    mode.mode = KGEN_F32;
    threads.threads = 0;
    nan_eps.eps = NAN;
    struct kgen_problem rows = sample(KGEN_OP_RMS_NORM);
    rows.rows = rows.size = KGEN_SIZE_MAX;
    const struct {
        struct kgen_problem problem;
        const char *message; /* a part of it */
    } cases[] = {
        {qmv(1, 100, 4, 64), "K 100 is not a multiple of group_size 64"},
        {qmv(0, 64, 4, 64), "\"N\" of qmv must be an integer from 1 to 2147483648, not 0"},
        {qmv(-1, 64, 4, 64), "not -1"},
        {qmv(KGEN_SIZE_MAX + 1, 64, 4, 64), "not 2147483649"},
        {qmv(KGEN_SIZE_MAX, KGEN_SIZE_MAX, 4, 64), "more than memory"},
        {qmv(1, 64, 7, 64), "\"bits\" of qmv must be 1, 2, 3, 4, 5, 6 or 8, not 7"},
        {qmv(1, 96, 4, 48), "\"group_size\" of qmv must be 32, 64 or 128, not 48"},
        {mode, "\"mode\" of qmv must be \"affine\", \"symmetric\" or \"zero_point\", not \"f32\""},
        {threads, "threads 0"},
        {odd, "rotary_dim 63 is not a positive even number"},
        {wide, "rotary_dim 130 is more than head_dim 128"},
        {zero_rotary, "rotary_dim 0"},
        {unused, "\"factor\" means nothing with scaling \"none\""},
        {low, "\"low_freq_factor\" means nothing with scaling \"none\""},
        {linear, "\"original_max_position_embeddings\" means nothing with scaling \"linear\""},
        {order, "low_freq_factor must be less"},
        {nan_eps, "\"eps\" of rms_norm"},
        {rows, "rows 2147483648 times size 2147483648"},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_error error = {0};
        assert_int_equal(kgen_problem_check(&cases[i].problem, "a.json", 3, 5, &error), -1);
        assert_int_equal(error.code, KGEN_ERROR_SPEC);
        assert_int_equal(error.line, 3);
        assert_int_equal(error.column, 5);
        assert_string_equal(error.source, "a.json");
        if (strstr(error.message, cases[i].message) == NULL)
            fail_msg("case %zu: \"%s\" does not hold \"%s\"", i, error.message, cases[i].message);
    }
    for (int op = 0; op < KGEN_OP_COUNT; op++) {
        struct kgen_problem problem = sample((enum kgen_op)op);
        assert_int_equal(kgen_problem_check(&problem, NULL, 0, 0, NULL), 0);
    }
    struct kgen_problem edge = qmv(KGEN_SIZE_MAX, KGEN_SIZE_MAX / 8, 8, 32);
    assert_int_equal(kgen_problem_check(&edge, NULL, 0, 0, NULL), 0);
}

/* ---- text and names ---- */

static void test_real(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0, "0"},
                 {1, "1"},
                 {1000000, "1000000"},
                 {1e-6, "1e-06"},
                 {0.1, "0.1"},
                 {1.0 / 3, "0.3333333333333333"},
                 {1e15, "1e+15"},
                 {5e-324, "5e-324"},
                 {-2.5, "-2.5"},
                 {0.1 + 0.2, "0.30000000000000004"},
                 {1.5e-5, "1.5e-05"}};
    /* The locale of the host must not matter; where one with a comma is installed, this sees it. */
    static const char *const locales[] = {"C", "de_DE.UTF-8", "fr_FR.UTF-8", "de_DE"};
    for (size_t l = 0; l < KGEN_COUNT_OF(locales); l++) {
        if (setlocale(LC_ALL, locales[l]) == NULL)
            continue;
        for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
            struct kgen_text text = {0};
            kgen_text_real(&text, cases[i].value);
            assert_string_equal(text.data, cases[i].text);
            kgen_text_free(&text);
        }
    }
    setlocale(LC_ALL, "C");
}

static void test_write(void **state)
{
    (void)state;
    struct kgen_problem problem = qmv(4096, 12288, 4, 64), norm = sample(KGEN_OP_RMS_NORM);
    problem.threads = 2;
    norm.residual = 1;
    char *text = text_of(&problem), *norm_text = text_of(&norm);
    assert_string_equal(
        text, "{\"op\":\"qmv\",\"N\":4096,\"K\":12288,\"bits\":4,\"group_size\":64,\"mode\":\"affine\","
              "\"scales\":\"f16\",\"activations\":\"f32\",\"threads\":2}");
    assert_string_equal(norm_text, "{\"op\":\"rms_norm\",\"rows\":1,\"size\":4096,\"residual\":true,"
                                   "\"weight_plus_one\":false,\"eps\":1e-06,\"threads\":1}");
    free(text);
    free(norm_text);
    /* The layout came later: at its default it is left out. */
    problem.layout = KGEN_TILES16;
    text = text_of(&problem);
    assert_string_equal(
        text, "{\"op\":\"qmv\",\"N\":4096,\"K\":12288,\"bits\":4,\"group_size\":64,\"mode\":\"affine\","
              "\"scales\":\"f16\",\"activations\":\"f32\",\"layout\":\"tiles16\",\"threads\":2}");
    free(text);
    problem.N = 17;
    assert_int_equal(kgen_packed_rows(&problem), 32);
    problem.layout = KGEN_STORED;
    assert_int_equal(kgen_packed_rows(&problem), 17);
}

static void test_names(void **state)
{
    (void)state;
    struct kgen_problem affine = qmv(4096, 12288, 4, 64), symmetric = affine, norm = sample(KGEN_OP_RMS_NORM);
    affine.activations = KGEN_I8;
    struct kgen_problem tiles = affine;
    tiles.layout = KGEN_TILES16;
    symmetric.mode = KGEN_SYMMETRIC;
    norm.residual = norm.weight_plus_one = 1;
    struct kgen_problem plain = rope(32, 128), linear = rope(32, 128), scaled = rope_llama3(),
                        huge = rope(1, 2);
    huge.theta = 1e20;
    plain.pairing = KGEN_INTERLEAVED;
    linear.scaling = KGEN_LINEAR;
    linear.factor = 2.5;
    const struct {
        struct kgen_problem problem;
        const char *name;
    } cases[] = {
        {affine, "qmv_n4096_k12288_b4_g64_f16_i8"},
        {tiles, "qmv_n4096_k12288_b4_g64_f16_i8_tiles16"},
        {symmetric, "qmv_n4096_k12288_b4_g64_symmetric_f16_f32"},
        {sample(KGEN_OP_DEQUANTIZE), "dequantize_n4096_k12288_b4_g64_f16"},
        {norm, "rms_norm_r1_s4096_residual_plus_one_eps1em06"},
        {plain, "rope_h32_d128_r128_interleaved_t10000"},
        {linear, "rope_h32_d128_r128_half_t10000_linear_f2p5"},
        {huge, "rope_h1_d2_r2_half_t1e20"},
        {scaled, "rope_h32_d128_r128_half_t500000_llama3_f8_l1_h4_o8192"},
        {sample(KGEN_OP_SWIGLU), "swiglu_n4096"},
        {sample(KGEN_OP_ADD), "add_n4096"},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        char *name = name_of(&cases[i].problem);
        assert_string_equal(name, cases[i].name);
        free(name);
    }
}

/* Another value that the field may have, or false where there is none. */
static bool change(struct kgen_problem *problem, const struct kgen_field *field)
{
    struct kgen_problem before = *problem;
    if (field->kind == KGEN_FIELD_REAL) {
        kgen_field_set_real(problem, field, kgen_field_get_real(problem, field) * 1.0000001);
        return true;
    }
    int64_t value = kgen_field_get(problem, field);
    if (field->kind == KGEN_FIELD_BOOLEAN) {
        kgen_field_set(problem, field, 1 - value);
        return true;
    }
    for (const int *allowed = field->allowed; allowed != NULL && *allowed != -1; allowed++) {
        if (*allowed == value)
            continue;
        kgen_field_set(problem, field, *allowed);
        /* A scaling that leaves parameters unused is another problem only with them at their defaults. */
        if (kgen_problem_check(problem, NULL, 0, 0, NULL) == 0)
            return true;
    }
    *problem = before;
    if (field->allowed != NULL)
        return false;
    kgen_field_set(problem, field, value > 128 ? value - 128 : value > 2 ? value - 2 : value + 1);
    return true;
}

/* Changing any one field changes the text and the name; the same problem has the same. */
static void test_differ(void **state)
{
    (void)state;
    size_t cases = 0;
    for (int op = 0; op < KGEN_OP_COUNT; op++) {
        const struct kgen_op_info *info = kgen_op_info((enum kgen_op)op);
        struct kgen_problem first = sample((enum kgen_op)op), copy;
        memset(&copy, 0xA5, sizeof copy); /* what a problem does not use must not matter */
        copy.op = first.op;
        copy.threads = 1;
        for (size_t i = 0; i < info->field_count; i++) {
            if (info->fields[i].kind == KGEN_FIELD_REAL)
                kgen_field_set_real(&copy, &info->fields[i], kgen_field_get_real(&first, &info->fields[i]));
            else
                kgen_field_set(&copy, &info->fields[i], kgen_field_get(&first, &info->fields[i]));
        }
        char *text = text_of(&first), *name = name_of(&first), *copy_text = text_of(&copy);
        assert_string_equal(text, copy_text);
        for (size_t i = 0; i < info->field_count; i++) {
            struct kgen_problem other = first;
            if (!change(&other, &info->fields[i]))
                continue;
            if (kgen_problem_check(&other, NULL, 0, 0, NULL) != 0)
                fail_msg("%s.%s: the changed problem is not valid", info->name, info->fields[i].name);
            char *other_text = text_of(&other), *other_name = name_of(&other);
            assert_string_not_equal(text, other_text);
            assert_string_not_equal(name, other_name);
            assert_int_equal(strspn(other_name, "abcdefghijklmnopqrstuvwxyz0123456789_"), strlen(other_name));
            free(other_text);
            free(other_name);
            cases++;
        }
        free(text);
        free(name);
        free(copy_text);
    }
    assert_true(cases >= 28);
}

static void test_bytes(void **state)
{
    (void)state;
    static const struct {
        int64_t K, bits, group_size, bytes;
    } cases[] = {
        {4096, 4, 64, 2048}, {32, 1, 32, 4}, {96, 3, 32, 36}, {4096, 5, 64, 2560}, {288, 6, 32, 216}};
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_problem problem = qmv(7, cases[i].K, cases[i].bits, cases[i].group_size);
        assert_int_equal(kgen_weight_row_bytes(&problem), cases[i].bytes);
    }
    assert_int_equal(kgen_dtype_bytes(KGEN_F32), 4);
    assert_int_equal(kgen_dtype_bytes(KGEN_F16), 2);
    assert_int_equal(kgen_dtype_bytes(KGEN_BF16), 2);
}

/* ---- frequencies ---- */

static void test_rope_frequency(void **state)
{
    (void)state;
    struct kgen_problem plain = rope(8, 128), linear = plain, llama3 = rope_llama3();
    plain.theta = 1e6;
    linear.scaling = KGEN_LINEAR;
    linear.theta = 1e6;
    linear.factor = 4;
    /* Worked out apart, from the wavelengths as in _compute_llama3_parameters; 29 to 35 are between its
     * limits. */
    const struct {
        const struct kgen_problem *problem;
        int64_t index;
        double frequency;
    } cases[] = {
        {&plain, 0, 1},
        {&plain, 1, 0.8058421877614819},
        {&plain, 63, 1.2409377607517195e-06},
        {&linear, 0, 0.25},
        {&linear, 63, 1.2409377607517195e-06 / 4},
        {&llama3, 0, 1},
        {&llama3, 1, 0.8146172338565447},
        {&llama3, 28, 0.003211445994752591},
        {&llama3, 29, 0.002166570763503359},
        {&llama3, 32, 0.0005248461609929547},
        {&llama3, 36, 7.78465527393245e-05},
        {&llama3, 63, 3.068925988914511e-07},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        double frequency = kgen_rope_frequency(cases[i].problem, cases[i].index);
        if (fabs(frequency - cases[i].frequency) > 1e-13 * cases[i].frequency)
            fail_msg("case %zu: %.17g, expected %.17g", i, frequency, cases[i].frequency);
    }
    struct kgen_problem partial = rope(8, 128);
    partial.rotary_dim = 64;
    assert_true(fabs(kgen_rope_frequency(&partial, 16) - 0.01) < 1e-15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),          cmocka_unit_test(test_ops),
        cmocka_unit_test(test_defaults_hold),  cmocka_unit_test(test_describe),
        cmocka_unit_test(test_check),          cmocka_unit_test(test_real),
        cmocka_unit_test(test_write),          cmocka_unit_test(test_names),
        cmocka_unit_test(test_differ),         cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_rope_frequency),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
