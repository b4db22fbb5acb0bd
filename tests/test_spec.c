/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* mkdtemp */
/* Lists of problems that are accepted, and the problems read from them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gen/base/file.h"
#include "spec_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define COMPARE(spec, expected) spec_compare(spec, expected, KGEN_COUNT_OF(expected))

static void test_list(void **state)
{
    (void)state;
    static const char text[] =
        "{\"kgen_schema\": 1, \"name\": \"mine\", \"scales\": \"bf16\", \"activations\": [\"f32\", "
        "\"i16\"],\n"
        "\"problems\": [\n"
        "{\"op\": \"qmv\", \"N\": 7, \"K\": 96, \"bits\": 3, \"group_size\": 32, \"mode\": \"symmetric\","
        " \"scales\": \"f32\", \"activations\": \"i8\", \"tensors\": \"a\", \"calls\": 3},\n"
        "{\"op\": \"qmv\", \"N\": 1, \"K\": 32, \"bits\": 8, \"group_size\": 32},\n"
        "{\"op\": \"dequantize\", \"N\": 5, \"K\": 128, \"bits\": 1, \"group_size\": 128, \"mode\": "
        "\"zero_point\"},\n"
        "{\"op\": \"rms_norm\", \"size\": 288, \"eps\": 1e-5, \"residual\": true, \"rows\": 2, "
        "\"weight_plus_one\": true},\n"
        "{\"op\": \"rope\", \"heads\": 4, \"head_dim\": 64},\n"
        "{\"op\": \"rope\", \"heads\": 4, \"head_dim\": 64, \"rotary_dim\": 0, \"tensors\": \"again\"},\n"
        "{\"op\": \"rope\", \"heads\": 4, \"head_dim\": 64, \"rotary_dim\": 32, \"pairing\": \"interleaved\","
        " \"theta\": 500000, \"scaling\": \"linear\", \"factor\": 2},\n"
        "{\"op\": \"swiglu\", \"size\": 11}, {\"op\": \"add\", \"size\": 11}, {\"op\": \"add\", \"size\": "
        "11, \"calls\": 4}\n"
        "]}";
    static const struct spec_expected expected[] = {
        {"qmv_n7_k96_b3_g32_symmetric_f32_i8", 3, "a"},
        {"qmv_n1_k32_b8_g32_bf16_f32", 1, ""},
        {"qmv_n1_k32_b8_g32_bf16_i16", 1, ""},
        {"dequantize_n5_k128_b1_g128_zero_point_bf16", 1, ""},
        {"rms_norm_r2_s288_residual_plus_one_eps1em05", 1, ""},
        {"rope_h4_d64_r64_half_t10000", 2, "again"},
        {"rope_h4_d64_r32_interleaved_t500000_linear_f2", 1, ""},
        {"swiglu_n11", 1, ""},
        {"add_n11", 5, ""},
    };
    struct kgen_spec *spec = spec_parse(text, NULL);
    COMPARE(spec, expected);
    assert_string_equal(spec->name, "mine");
    assert_string_equal(spec->identifier, "mine");
    assert_string_equal(spec->summary, "a list of 10 problems");
    assert_int_equal(spec->warning_count, 0);
    assert_true(spec->hash == kgen_hash(KGEN_HASH_START, text, strlen(text)));
    kgen_spec_free(spec);
}

/* Options replace the head of a list and fill what a problem leaves out; what a problem says stands. */
static void test_list_options(void **state)
{
    (void)state;
    static const struct kgen_spec_options options = {
        .bits = 5,
        .group_size = 64,
        .scale_dtype = KGEN_F32,
        .activation_dtypes = {KGEN_I8, KGEN_CONSTANT_NONE, KGEN_I8}};
    struct kgen_spec *spec =
        spec_parse("{\"scales\": \"bf16\", \"activations\": \"f32\", \"problems\": ["
                   "{\"op\": \"qmv\", \"N\": 2, \"K\": 128},"
                   "{\"op\": \"qmv\", \"N\": 3, \"K\": 128, \"bits\": 2, \"group_size\": 128,"
                   " \"scales\": \"f16\", \"activations\": [\"i16\", \"f32\"]}]}",
                   &options);
    static const struct spec_expected expected[] = {
        {"qmv_n2_k128_b5_g64_f32_i8", 1, ""},
        {"qmv_n3_k128_b2_g128_f16_i16", 1, ""},
        {"qmv_n3_k128_b2_g128_f16_f32", 1, ""},
    };
    COMPARE(spec, expected);
    kgen_spec_free(spec);
}

/* An option that no problem leaves open changes nothing, which a warning says. */
static void test_options_without_effect(void **state)
{
    (void)state;
    static const struct {
        const char *problem;
        struct kgen_spec_options options;
        const char *warning; /* a part; NULL: none */
    } cases[] = {
        {"{\"op\": \"qmv\", \"N\": 2, \"K\": 128, \"bits\": 2, \"group_size\": 64}",
         {.bits = 4},
         "option for bits"},
        {"{\"op\": \"qmv\", \"N\": 2, \"K\": 128, \"bits\": 2}", {.group_size = 64}, NULL},
        {"{\"op\": \"qmv\", \"N\": 2, \"K\": 128, \"bits\": 2, \"group_size\": 64}",
         {.scale_dtype = KGEN_F32, .activation_dtypes = {KGEN_I8}, .layout = KGEN_TILES16},
         NULL},
        {"{\"op\": \"qmv\", \"N\": 2, \"K\": 128, \"bits\": 2, \"group_size\": 64, \"activations\": \"f32\"}",
         {.activation_dtypes = {KGEN_I8}},
         "option for activation_dtype"},
        {"{\"op\": \"add\", \"size\": 4}", {.context = 64}, "option for context"},
        {"{\"op\": \"add\", \"size\": 4}", {.prompt_rows = 64}, "option for prompt_rows"},
        {"{\"op\": \"add\", \"size\": 4}",
         {.output_activation_dtype = KGEN_I24},
         "option for output_activation_dtype"},
        {"{\"op\": \"add\", \"size\": 4}, {\"op\": \"attention_decode\", \"heads\": 1, \"kv_heads\": 1, "
         "\"head_dim\": 8}",
         {.context = 64},
         NULL},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        char text[400];
        snprintf(text, sizeof text, "{\"problems\": [%s]}", cases[i].problem);
        struct kgen_spec *spec = spec_parse(text, &cases[i].options);
        assert_int_equal(spec->warning_count, cases[i].warning != NULL);
        if (cases[i].warning != NULL && !spec_warns(spec, cases[i].warning))
            fail_msg("case %zu warns: %s", i, spec->warnings[0]);
        kgen_spec_free(spec);
    }
}

/* The layout of the head is that of every qmv that does not say its own; the option replaces the head's. */
static void test_layouts(void **state)
{
    (void)state;
    static const char text[] =
        "{\"layout\": \"tiles16\", \"problems\": ["
        "{\"op\": \"qmv\", \"N\": 2, \"K\": 128, \"bits\": 4, \"group_size\": 64},"
        "{\"op\": \"qmv\", \"N\": 2, \"K\": 128, \"bits\": 4, \"group_size\": 64,"
        " \"layout\": \"stored\"},"
        "{\"op\": \"dequantize\", \"N\": 2, \"K\": 128, \"bits\": 4, \"group_size\": 64}]}";
    static const struct spec_expected of_head[] = {
        {"qmv_n2_k128_b4_g64_f16_f32_tiles16", 1, ""},
        {"qmv_n2_k128_b4_g64_f16_f32", 1, ""},
        {"dequantize_n2_k128_b4_g64_f16", 1, ""},
    };
    struct kgen_spec *spec = spec_parse(text, NULL);
    COMPARE(spec, of_head);
    kgen_spec_free(spec);
    static const struct kgen_spec_options options = {.layout = KGEN_STORED};
    static const struct spec_expected of_option[] = {
        {"qmv_n2_k128_b4_g64_f16_f32", 2, ""}, /* two equal problems become one */
        {"dequantize_n2_k128_b4_g64_f16", 1, ""},
    };
    spec = spec_parse(text, &options);
    COMPARE(spec, of_option);
    kgen_spec_free(spec);
}

static void test_identifiers(void **state)
{
    (void)state;
    static const struct {
        const char *name, *identifier;
    } cases[] = {
        {"qwen3-0.6b", "qwen3_0_6b"}, {"Llama-3.1", "llama_3_1"}, {"7b", "kgen_7b"}, {"_x", "kgen__x"},
        {"int", "kgen_int"},          {"integer", "integer"}};
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        char text[200];
        snprintf(text, sizeof text, "{\"name\": \"%s\", \"problems\": [{\"op\": \"add\", \"size\": 1}]}",
                 cases[i].name);
        struct kgen_spec *spec = spec_parse(text, NULL);
        assert_string_equal(spec->name, cases[i].name);
        assert_string_equal(spec->identifier, cases[i].identifier);
        kgen_spec_free(spec);
    }
    struct kgen_spec *unnamed = spec_parse("{\"problems\": [{\"op\": \"add\", \"size\": 1}]}", NULL);
    assert_string_equal(unnamed->name, "Test-1");
    assert_string_equal(unnamed->identifier, "test_1");
    assert_string_equal(unnamed->summary, "a list of 1 problem");
    kgen_spec_free(unnamed);
    kgen_spec_free(NULL);
}

/* Any name will do for a text; what a name cannot have becomes "_". */
static void test_any_name(void **state)
{
    (void)state;
    static const struct {
        const char *source, *name, *identifier;
    } cases[] = {
        {"my spec.json", "my_spec", "my_spec"},
        {"<memory>", "_memory_", "kgen__memory_"},
        {"", "spec", "spec"},
        {"a/b/", "spec", "spec"},
        {".hidden", "hidden", "hidden"},
        {"--", "spec", "spec"},
        {"int", "int", "kgen_int"},
    };
    static const char text[] = "{\"problems\": [{\"op\": \"add\", \"size\": 1}]}";
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_error error = {0};
        struct kgen_spec *spec = kgen_spec_parse(cases[i].source, text, sizeof text - 1, NULL, &error);
        if (spec == NULL)
            fail_msg("\"%s\": %s", cases[i].source, error.message);
        assert_string_equal(spec->name, cases[i].name);
        assert_string_equal(spec->identifier, cases[i].identifier);
        kgen_spec_free(spec);
    }
    char many[400];
    memset(many, 'n', sizeof many - 1);
    many[sizeof many - 1] = '\0';
    struct kgen_spec *spec = kgen_spec_parse(many, text, sizeof text - 1, NULL, NULL);
    assert_non_null(spec);
    assert_int_equal(strlen(spec->name), 100);
    kgen_spec_free(spec);
}

/* As some editors write it; places are counted behind the mark. */
static void test_byte_order_mark(void **state)
{
    (void)state;
    kgen_spec_free(spec_parse("\xef\xbb\xbf{\"problems\": [{\"op\": \"add\", \"size\": 1}]}", NULL));
    struct kgen_error error = {0};
    static const char wrong[] = "\xef\xbb\xbf{\"problems\": 1}", empty[] = "\xef\xbb\xbf";
    assert_null(kgen_spec_parse("a.json", wrong, sizeof wrong - 1, NULL, &error));
    assert_int_equal(error.line, 1);
    assert_int_equal(error.column, 14);
    error = (struct kgen_error){0};
    assert_null(kgen_spec_parse("a.json", empty, sizeof empty - 1, NULL, &error));
    assert_string_equal(error.message, "the spec is empty");
}

/* A model's folder means its config.json, and names the spec. */
static void test_folder(void **state)
{
    (void)state;
    char base[] = "/tmp/kgen-spec-XXXXXX", path[200];
    assert_non_null(mkdtemp(base));
    snprintf(path, sizeof path, "%s/Model-1B", base);
    assert_int_equal(mkdir(path, 0777), 0);
    struct kgen_error error = {0};
    assert_null(kgen_spec_read(path, NULL, &error));
    assert_string_equal(error.message, "this is a folder without a config.json");
    snprintf(path, sizeof path, "%s/Model-1B/config.json", base);
    static const char text[] = "{\"problems\": [{\"op\": \"add\", \"size\": 1}]}";
    assert_int_equal(kgen_file_write(path, text, sizeof text - 1, NULL), 0);
    static const char *const endings[] = {"", "/", "/.", "/../Model-1B//"};
    for (size_t i = 0; i < KGEN_COUNT_OF(endings); i++) {
        snprintf(path, sizeof path, "%s/Model-1B%s", base, endings[i]);
        struct kgen_spec *spec = spec_read(path, NULL);
        assert_string_equal(spec->name, "Model-1B");
        kgen_spec_free(spec);
    }
    snprintf(path, sizeof path, "rm -rf %s", base);
    assert_int_equal(system(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_list_options),
        cmocka_unit_test(test_options_without_effect),
        cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_identifiers),
        cmocka_unit_test(test_any_name),
        cmocka_unit_test(test_byte_order_mark),
        cmocka_unit_test(test_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
