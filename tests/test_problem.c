/* SPDX-License-Identifier: MIT */
/* Problems: fields, checks, canonical text, names, RoPE frequencies. */
#include "gen/ops/dtype.h"
#include "gen/ops/layout.h"
#include "gen/ops/rope.h"

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
    kgen_problem_init(&problem, kgen_op_find("qmv"));
    kgen_problem_set(&problem, "N", N);
    kgen_problem_set(&problem, "K", K);
    kgen_problem_set(&problem, "bits", bits);
    kgen_problem_set(&problem, "group_size", group_size);
    return problem;
}

static struct kgen_problem rope(int64_t heads, int64_t head_dim)
{
    struct kgen_problem problem;
    kgen_problem_init(&problem, kgen_op_find("rope"));
    kgen_problem_set(&problem, "heads", heads);
    kgen_problem_set(&problem, "head_dim", head_dim);
    kgen_problem_set(&problem, "rotary_dim", head_dim);
    return problem;
}

static struct kgen_problem rope_llama3(void)
{
    struct kgen_problem problem = rope(32, 128);
    kgen_problem_set_real(&problem, "theta", 500000);
    kgen_problem_set(&problem, "scaling", KGEN_LLAMA3);
    kgen_problem_set_real(&problem, "factor", 8);
    return problem;
}

/* As gpt-oss has it. */
static struct kgen_problem rope_yarn(void)
{
    struct kgen_problem problem = rope(64, 64);
    kgen_problem_set_real(&problem, "theta", 150000);
    kgen_problem_set(&problem, "scaling", KGEN_YARN);
    kgen_problem_set_real(&problem, "factor", 32);
    kgen_problem_set(&problem, "original_max_position_embeddings", 4096);
    kgen_problem_set(&problem, "truncate", 0);
    return problem;
}

/* As Gemma 4 has it. */
static struct kgen_problem rope_proportional(void)
{
    struct kgen_problem problem = rope(16, 512);
    kgen_problem_set_real(&problem, "theta", 1e6);
    kgen_problem_set(&problem, "scaling", KGEN_PROPORTIONAL);
    kgen_problem_set(&problem, "rotated_dim", 128);
    return problem;
}

static struct kgen_problem with_values(const struct kgen_op *op, const char *const *names,
                                       const int64_t *values, size_t count)
{
    struct kgen_problem problem;
    kgen_problem_init(&problem, op);
    for (size_t i = 0; i < count; i++)
        kgen_problem_set(&problem, names[i], values[i]);
    return problem;
}

/* A valid problem of each op. */
static struct kgen_problem sample(const struct kgen_op *op)
{
    struct kgen_problem problem = qmv(4096, 12288, 4, 64);
    if (op == kgen_op_find("qmm")) {
        static const char *const names[] = {"M", "N", "K", "bits", "group_size"};
        static const int64_t values[] = {512, 4096, 12288, 4, 64};
        return with_values(op, names, values, KGEN_COUNT_OF(names));
    }
    if (op == kgen_op_find("gather_qmv") || op == kgen_op_find("gather_qmm") ||
        op == kgen_op_find("weighted_sum") || op == kgen_op_find("gather_add") ||
        op == kgen_op_find("scale_rows") || op == kgen_op_find("causal_conv1d") ||
        op == kgen_op_find("gated_delta")) {
        static const char *const names[] = {
            "experts", "experts_per_token", "N",     "K",         "bits",    "group_size", "rows", "size",
            "M",       "channels",          "heads", "key_heads", "key_dim", "value_dim"};
        static const int64_t values[] = {128, 8, 768, 2048, 4, 64, 8, 4096, 512, 10240, 64, 16, 128, 128};
        return with_values(op, names, values, KGEN_COUNT_OF(names));
    }
    if (op == kgen_op_find("router")) {
        static const char *const names[] = {"experts", "experts_per_token", "rows",
                                            "groups",  "groups_per_token",  "scoring"};
        static const int64_t values[] = {128, 8, 8, 4, 2, KGEN_SIGMOID};
        return with_values(op, names, values, KGEN_COUNT_OF(names));
    }
    if (op == kgen_op_find("mla_decode") || op == kgen_op_find("split")) {
        static const char *const names[] = {"heads", "kv_lora_rank", "qk_rope_head_dim", "context", "rows",
                                            "first", "second"};
        static const int64_t values[] = {128, 512, 64, 4096, 128, 128, 64};
        return with_values(op, names, values, KGEN_COUNT_OF(names));
    }
    if (op == kgen_op_find("rope")) {
        problem = rope_llama3();
        kgen_problem_set(&problem, "rotary_dim", 64);
        return problem;
    }
    if (op == kgen_op_find("attention_decode") || op == kgen_op_find("attention_prefill")) {
        static const char *const names[] = {"heads", "kv_heads", "head_dim", "context", "M"};
        static const int64_t values[] = {32, 4, 128, 4096, 256};
        kgen_problem_init(&problem, op);
        for (size_t i = 0; i < KGEN_COUNT_OF(names); i++)
            kgen_problem_set(&problem, names[i], values[i]);
        kgen_problem_set_real(&problem, "scale", 0.5);
        return problem;
    }
    if (op != kgen_op_find("qmv") && op != kgen_op_find("dequantize")) {
        kgen_problem_init(&problem, op);
        kgen_problem_set(&problem, "size", 4096);
    }
    const struct kgen_problem before = problem;
    kgen_problem_init(&problem, op);
    for (size_t i = 0; i < op->field_count; i++)
        problem.values[i] =
            kgen_op_field(before.op, op->fields[i].name) != NULL
                ? *kgen_problem_value_of(&before, kgen_op_field(before.op, op->fields[i].name))
                : problem.values[i];
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
    for (int i = KGEN_CONSTANT_NONE + 1; i < KGEN_CONSTANT_COUNT; i++) {
        assert_non_null(kgen_constant_name((int64_t)i));
        for (int j = 0; j < i; j++)
            assert_string_not_equal(kgen_constant_name((int64_t)i), kgen_constant_name((int64_t)j));
    }
    assert_string_equal(kgen_constant_name(KGEN_HALF_SPLIT), "half");
    assert_string_equal(kgen_constant_name(KGEN_UNSCALED), "none");
}

static void test_ops(void **state)
{
    (void)state;
    for (size_t i = 0; i < kgen_op_count(); i++) {
        const struct kgen_op *op = kgen_op_at(i);
        assert_ptr_equal(kgen_op_find(op->name), op);
        assert_true(op->field_count > 0 && op->field_count <= KGEN_FIELDS_MAX);
        assert_true(op->buffer_count > 0 && op->scalar_count <= KGEN_SCALARS_MAX);
        assert_non_null(kgen_op_field(op, op->range));
        for (size_t j = 0; j < op->field_count; j++) {
            assert_true(op->fields[j].meaning[0] != '\0');
            assert_ptr_equal(kgen_op_field(op, op->fields[j].name), &op->fields[j]);
        }
    }
    assert_null(kgen_op_find("no_such_op"));
    assert_null(kgen_op_find(""));
}

static void test_defaults_hold(void **state)
{
    (void)state;
    size_t cases = 0;
    for (size_t i = 0; i < kgen_op_count(); i++) {
        struct kgen_problem problem;
        kgen_problem_init(&problem, kgen_op_at(i));
        assert_int_equal(problem.threads, 1);
        for (size_t j = 0; j < problem.op->field_count; j++, cases++)
            assert_int_equal(kgen_field_holds(&problem, &problem.op->fields[j]),
                             !problem.op->fields[j].required);
    }
    assert_true(cases > 20);
}

static void test_describe(void **state)
{
    (void)state;
    static const struct {
        const char *op, *field, *text;
    } cases[] = {
        {"qmv", "N", "an integer from 1 to 2147483648"},
        {"qmv", "bits", "1, 2, 3, 4, 5, 6, 8, 16 or 32"},
        {"qmv", "scheme",
         "\"affine\", \"symmetric\", \"zero_point\", \"q8_0\", \"q6_k\", \"q3_k\", \"q2_k\", \"iq4_nl\", "
         "\"ggml_mxfp4\", \"mxfp4\", \"mxfp8\", \"nvfp4\", \"f32\", \"f16\" or \"bf16\""},
        {"rms_norm", "residual", "true or false"},
        {"rms_norm", "eps", "a number from 1e-12 to 1"},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_text text = {0};
        kgen_field_describe(kgen_op_field(kgen_op_find(cases[i].op), cases[i].field), &text);
        assert_string_equal(text.data, cases[i].text);
        kgen_text_free(&text);
    }
}

/* ---- checks ---- */

static void test_check(void **state)
{
    (void)state;
    struct kgen_problem odd = rope(8, 128), wide = rope(8, 128), unused = rope(8, 128), order = rope_llama3();
    kgen_problem_set(&odd, "rotary_dim", 63);
    kgen_problem_set(&wide, "rotary_dim", 130);
    kgen_problem_set_real(&unused, "factor", 8);
    kgen_problem_set_real(&order, "high_freq_factor", 1);
    struct kgen_problem low = rope(8, 128), linear = rope(8, 128), zero_rotary = rope(8, 128);
    kgen_problem_set_real(&low, "low_freq_factor", 2);
    kgen_problem_set(&linear, "scaling", KGEN_LINEAR);
    kgen_problem_set(&linear, "original_max_position_embeddings", 4096);
    kgen_problem_set(&zero_rotary, "rotary_dim", 0);
    struct kgen_problem betas = rope_yarn(), base = rope_yarn(), rotated = rope_proportional(),
                        truncated = rope(8, 128);
    kgen_problem_set_real(&betas, "beta_slow", 32);
    kgen_problem_set_real(&base, "theta", 1);
    kgen_problem_set(&rotated, "rotated_dim", 514);
    kgen_problem_set(&truncated, "truncate", 0);
    struct kgen_problem mode = qmv(1, 64, 4, 64), threads = qmv(1, 64, 4, 64),
                        nan_eps = sample(kgen_op_find("rms_norm"));
    kgen_problem_set(&mode, "scheme", KGEN_I8);
    struct kgen_problem half_block = qmv(1, 384, 6, 16);
    kgen_problem_set(&half_block, "scheme", KGEN_Q6_K);
    threads.threads = 0;
    kgen_problem_set_real(&nan_eps, "eps", NAN);
    struct kgen_problem rows = sample(kgen_op_find("rms_norm"));
    kgen_problem_set(&rows, "rows", KGEN_SIZE_MAX);
    kgen_problem_set(&rows, "size", KGEN_ROW_MAX + 1);
    const struct {
        struct kgen_problem problem;
        const char *message; /* a part of it */
    } cases[] = {
        {qmv(1, 100, 4, 64), "K 100 is not a multiple of group_size 64"},
        {qmv(0, 64, 4, 64), "\"N\" of qmv must be an integer from 1 to 2147483648, not 0"},
        {qmv(-1, 64, 4, 64), "not -1"},
        {qmv(KGEN_SIZE_MAX + 1, 64, 4, 64), "not 2147483649"},
        {qmv(1, KGEN_ROW_MAX + 64, 4, 64),
         "\"K\" of qmv must be an integer from 1 to 268435456, not 268435520"},
        {qmv(1, 64, 7, 64), "\"bits\" of qmv must be 1, 2, 3, 4, 5, 6, 8, 16 or 32, not 7"},
        {qmv(1, 64, 16, 64), "\"bits\" of the scheme affine is at most 8, not 16"},
        {qmv(1, 64, 4, 16), "\"group_size\" of the scheme affine is at least 32, not 16"},
        {half_block, "K 384 is not a multiple of the scheme's blocks of 256"},
        {qmv(1, 96, 4, 48), "\"group_size\" of qmv must be 16, 32, 64 or 128, not 48"},
        {mode, "\"scheme\" of qmv must be \"affine\", \"symmetric\", \"zero_point\", \"q8_0\", \"q6_k\", "
               "\"q3_k\", \"q2_k\", "
               "\"iq4_nl\", \"ggml_mxfp4\", \"mxfp4\", \"mxfp8\", \"nvfp4\", \"f32\", \"f16\" or \"bf16\", "
               "not \"i8\""},
        {threads, "threads 0"},
        {odd, "rotary_dim 63 is not a positive even number"},
        {wide, "rotary_dim 130 is more than head_dim 128"},
        {zero_rotary, "rotary_dim 0"},
        {unused, "\"factor\" means nothing with scaling \"none\""},
        {low, "\"low_freq_factor\" means nothing with scaling \"none\""},
        {linear, "\"original_max_position_embeddings\" means nothing with scaling \"linear\""},
        {order, "low_freq_factor must be less"},
        {betas, "beta_slow must be less than beta_fast"},
        {base, "theta must be more than 1 with scaling \"yarn\""},
        {rotated, "rotated_dim 514 is not an even number from 2 to rotary_dim"},
        {truncated, "\"truncate\" means nothing with scaling \"none\""},
        {nan_eps, "\"eps\" of rms_norm"},
        {rows, "\"size\" of rms_norm must be an integer from 1 to 268435456"},
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
    for (size_t op = 0; op < kgen_op_count(); op++) {
        struct kgen_problem problem = sample(kgen_op_at(op));
        assert_int_equal(kgen_problem_check(&problem, NULL, 0, 0, NULL), 0);
    }
    struct kgen_problem edge = qmv(KGEN_SIZE_MAX, KGEN_ROW_MAX, 8, 32);
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
    struct kgen_problem problem = qmv(4096, 12288, 4, 64), norm = sample(kgen_op_find("rms_norm"));
    problem.threads = 2;
    kgen_problem_set(&norm, "residual", 1);
    char *text = text_of(&problem), *norm_text = text_of(&norm);
    assert_string_equal(
        text, "{\"op\":\"qmv\",\"N\":4096,\"K\":12288,\"bits\":4,\"group_size\":64,\"scheme\":\"affine\","
              "\"scale_dtype\":\"f16\",\"activation_dtype\":\"f32\",\"threads\":2}");
    assert_string_equal(norm_text, "{\"op\":\"rms_norm\",\"rows\":1,\"size\":4096,\"residual\":true,"
                                   "\"weight_plus_one\":false,\"eps\":1e-06,\"threads\":1}");
    free(text);
    free(norm_text);
    /* The layout came later: at its default it is left out. */
    kgen_problem_set(&problem, "layout", KGEN_TILES16);
    text = text_of(&problem);
    assert_string_equal(
        text, "{\"op\":\"qmv\",\"N\":4096,\"K\":12288,\"bits\":4,\"group_size\":64,\"scheme\":\"affine\","
              "\"scale_dtype\":\"f16\",\"activation_dtype\":\"f32\",\"layout\":\"tiles16\",\"threads\":2}");
    free(text);
    kgen_problem_set(&problem, "N", 17);
    assert_int_equal(kgen_layout_rows(&problem), 32);
    kgen_problem_set(&problem, "layout", KGEN_STORED);
    assert_int_equal(kgen_layout_rows(&problem), 17);
}

static void test_names(void **state)
{
    (void)state;
    struct kgen_problem affine = qmv(4096, 12288, 4, 64), symmetric = affine,
                        norm = sample(kgen_op_find("rms_norm"));
    kgen_problem_set(&affine, "activation_dtype", KGEN_I8);
    struct kgen_problem tiles = affine;
    kgen_problem_set(&tiles, "layout", KGEN_TILES16);
    kgen_problem_set(&symmetric, "scheme", KGEN_SYMMETRIC);
    kgen_problem_set(&norm, "residual", 1);
    kgen_problem_set(&norm, "weight_plus_one", 1);
    struct kgen_problem plain = rope(32, 128), linear = rope(32, 128), scaled = rope_llama3(),
                        huge = rope(1, 2);
    kgen_problem_set_real(&huge, "theta", 1e20);
    kgen_problem_set(&plain, "pairing", KGEN_INTERLEAVED);
    kgen_problem_set(&linear, "scaling", KGEN_LINEAR);
    kgen_problem_set_real(&linear, "factor", 2.5);
    const struct {
        struct kgen_problem problem;
        const char *name;
    } cases[] = {
        {affine, "qmv_n4096_k12288_b4_g64_f16_i8"},
        {tiles, "qmv_n4096_k12288_b4_g64_f16_i8_tiles16"},
        {symmetric, "qmv_n4096_k12288_b4_g64_symmetric_f16_f32"},
        {sample(kgen_op_find("dequantize")), "dequantize_n4096_k12288_b4_g64_f16"},
        {norm, "rms_norm_r1_s4096_residual_plus_one_eps1em06"},
        {plain, "rope_h32_d128_r128_interleaved_t10000"},
        {linear, "rope_h32_d128_r128_half_t10000_linear_f2p5"},
        {huge, "rope_h1_d2_r2_half_t1e20"},
        {scaled, "rope_h32_d128_r128_half_t500000_llama3_f8_l1_h4_o8192"},
        {rope_yarn(), "rope_h64_d64_r64_half_t150000_yarn_f32_o4096_bf32_bs1_untruncated_a1"},
        {rope_proportional(), "rope_h16_d512_r512_half_t1000000_proportional_f1_p128"},
        {sample(kgen_op_find("swiglu")), "swiglu_n4096"},
        {sample(kgen_op_find("add")), "add_n4096"},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        char *name = name_of(&cases[i].problem);
        assert_string_equal(name, cases[i].name);
        free(name);
    }
}

/* Another value that the field may have, or false where there is none. */
static bool change(struct kgen_problem *problem, size_t index)
{
    const struct kgen_field *field = &problem->op->fields[index];
    union kgen_value *value = &problem->values[index];
    const int64_t before = value->integer;
    if (field->kind == KGEN_FIELD_REAL) {
        value->real = value->real > 0 ? value->real * 1.0000001 : 0.5;
        return true;
    }
    if (field->kind == KGEN_FIELD_BOOLEAN) {
        value->integer = 1 - before;
        return true;
    }
    for (const int *allowed = field->allowed; allowed != NULL && *allowed != -1; allowed++) {
        value->integer = *allowed;
        /* A scaling that leaves parameters unused is another problem only with them at their defaults. */
        if (*allowed != before && kgen_problem_check(problem, NULL, 0, 0, NULL) == 0)
            return true;
    }
    value->integer = before;
    if (field->allowed != NULL)
        return false;
    value->integer = before > 128 ? before - 128 : before > 2 ? before - 2 : before + 1;
    if (kgen_problem_check(problem, NULL, 0, 0, NULL) != 0)
        value->integer = before > 0 ? 2 * before : 16; /* of what must be a multiple */
    return true;
}

/* Changing any one field changes the text and the name; the same problem has the same. Returns the number of
 * fields. */
static size_t check_differ(const struct kgen_problem *sample_problem)
{
    struct kgen_problem first = *sample_problem, copy;
    size_t cases = 0;
    memset(&copy, 0xA5, sizeof copy); /* what a problem does not use must not matter */
    copy.op = first.op;
    copy.threads = 1;
    memcpy(copy.values, first.values, first.op->field_count * sizeof first.values[0]);
    assert_true(kgen_problem_equal(&first, &copy));
    char *text = text_of(&first), *name = name_of(&first), *copy_text = text_of(&copy);
    assert_string_equal(text, copy_text);
    for (size_t i = 0; i < first.op->field_count; i++) {
        struct kgen_problem other = first;
        int64_t used = 1;
        const char *used_when = first.op->fields[i].used_when;
        if (used_when != NULL)
            assert_true(kgen_problem_evaluate(used_when, &first, &used));
        if (used == 0 || !change(&other, i))
            continue;
        if (kgen_problem_check(&other, NULL, 0, 0, NULL) != 0)
            fail_msg("%s.%s: the changed problem is not valid", first.op->name, first.op->fields[i].name);
        char *other_text = text_of(&other), *other_name = name_of(&other);
        assert_false(kgen_problem_equal(&first, &other));
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
    return cases;
}

static void test_differ(void **state)
{
    (void)state;
    const struct kgen_problem scaled[] = {rope_yarn(), rope_proportional()};
    size_t cases = 0;
    for (size_t op = 0; op < kgen_op_count(); op++) {
        const struct kgen_problem problem = sample(kgen_op_at(op));
        cases += check_differ(&problem);
    }
    for (size_t i = 0; i < KGEN_COUNT_OF(scaled); i++)
        cases += check_differ(&scaled[i]);
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
        struct kgen_buffers buffers;
        kgen_problem_buffers(&problem, &buffers);
        assert_int_equal(buffers.items[0].range_bytes, cases[i].bytes);
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
    kgen_problem_set_real(&plain, "theta", 1e6);
    kgen_problem_set(&linear, "scaling", KGEN_LINEAR);
    kgen_problem_set_real(&linear, "theta", 1e6);
    kgen_problem_set_real(&linear, "factor", 4);
    struct kgen_problem yarn = rope_yarn(), truncated = rope_yarn(), proportional = rope_proportional();
    kgen_problem_set(&truncated, "truncate", 1);
    /* Worked out apart, from the wavelengths as in _compute_llama3_parameters; 29 to 35 are between its
     * limits. Those of YaRN as in _compute_yarn_parameters: from 8.09 to 17.4, or 8 to 18. */
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
        {&yarn, 0, 1},
        {&yarn, 8, 0.050813274815461475},
        {&yarn, 9, 0.03170569618466377},
        {&yarn, 17, 0.00012931870124506317},
        {&yarn, 18, 3.8308812373753384e-05},
        {&yarn, 31, 3.0235114281192144e-07},
        {&truncated, 8, 0.050813274815461475},
        {&truncated, 9, 0.031620752275346484},
        {&truncated, 17, 0.0002279477957951252},
        {&truncated, 18, 3.8308812373753384e-05},
        {&proportional, 15, 0.44507940623559955},
        {&proportional, 63, 0.033376246942920386},
        {&proportional, 64, 0},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        double frequency = kgen_rope_frequency(cases[i].problem, cases[i].index);
        if (fabs(frequency - cases[i].frequency) > 1e-13 * cases[i].frequency)
            fail_msg("case %zu: %.17g, expected %.17g", i, frequency, cases[i].frequency);
    }
    struct kgen_problem partial = rope(8, 128);
    kgen_problem_set(&partial, "rotary_dim", 64);
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
