/* SPDX-License-Identifier: MIT */
/* The functions of kgen.h and their errors, but for buffers (test_api_buffers.c) and for where functions come
 * from (test_api_origin.c). */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void test_status(void **state)
{
    (void)state;
    struct kgen_status status = {0};
    char text[64], one[1] = {'x'};
    assert_ptr_equal(kgen_status_format(&status, text, sizeof text), text);
    assert_string_equal(text, "");
    status =
        (struct kgen_status){.line = 3, .column = 7, .source = "a.json", .message = "bad", .hint = "mend it"};
    assert_string_equal(kgen_status_format(&status, text, sizeof text), "a.json:3:7: bad; mend it");
    assert_string_equal(kgen_status_format(&status, text, 8), "a.json:");
    kgen_status_format(&status, one, 0);
    assert_int_equal(one[0], 'x');
    assert_true(strlen(kgen_version()) > 0);
}

static void test_settings(void **state)
{
    struct api_fixture *fixture = *state;
    const struct kgen_settings plain = api_settings(fixture, KGEN_ESTIMATE);
    struct kgen_settings cases[8];
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        cases[i] = plain;
    cases[0].size = 0;
    cases[1].effort = (enum kgen_effort)9;
    cases[2].effort = (enum kgen_effort) - 1;
    cases[3].seconds = -1;
    cases[4].seconds = 1e300;
    cases[5].threads = -1;
    cases[6].threads = 1025;
    cases[7].cache_only = cases[7].no_cache = 1;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct kgen_status status = {0};
        assert_null(kgen_open(&cases[i], &status));
        assert_int_equal(status.code, KGEN_BAD_ARGUMENT);
        assert_null(kgen_open(&cases[i], NULL));
    }
    /* The first error stays. */
    struct kgen_status status = {0};
    assert_null(kgen_open(&cases[1], &status));
    assert_null(kgen_open(&cases[3], &status));
    assert_non_null(strstr(status.message, "effort 9"));
    /* Of a later version of the header: what it adds must be 0. */
    struct {
        struct kgen_settings settings;
        int64_t added; /* leaves no padding, whose bytes could be anything */
    } later = {plain, 0};
    later.settings.size = sizeof later;
    kgen_close(api_open(&later.settings));
    later.added = 1;
    status = (struct kgen_status){0};
    assert_null(kgen_open(&later.settings, &status));
    assert_non_null(strstr(status.message, "later version"));
    /* kgen_settings_init respects the size. */
    struct kgen_settings short_settings;
    memset(&short_settings, 0x55, sizeof short_settings);
    kgen_settings_init(&short_settings, offsetof(struct kgen_settings, seconds));
    assert_int_equal(short_settings.effort, KGEN_MEASURE);
    assert_int_equal(short_settings.threads, 0x55555555);
}

static void test_open(void **state)
{
    struct api_fixture *fixture = *state;
    struct kgen_settings settings = api_settings(fixture, KGEN_ESTIMATE);
    struct kgen_status status = {0};
    struct kgen_context *context = kgen_open(&settings, &status);
    assert_int_equal(status.code, KGEN_OK);
    assert_int_equal(strlen(kgen_machine_identity(context)), 16);
    kgen_close(context);
    kgen_close(NULL);
    settings.templates_folder = "/nowhere";
    assert_null(kgen_open(&settings, &status));
    assert_int_equal(status.code, KGEN_IO_FAILED);
    /* A cache that cannot be is a warning. */
    settings = api_settings(fixture, KGEN_ESTIMATE);
    settings.cache_folder = "/proc/nowhere";
    api_forget_messages(fixture);
    kgen_close(api_open(&settings));
    assert_int_equal(fixture->counts[KGEN_LOG_WARNING], 1);
    /* The defaults, with a cache that the environment names. */
    setenv("KGEN_CACHE_DIR", fixture->folder, 1);
    context = kgen_open(NULL, NULL);
    unsetenv("KGEN_CACHE_DIR");
    assert_non_null(context);
    kgen_close(context);
}

static void test_plan_errors(void **state)
{
    struct api_fixture *fixture = *state;
    const struct kgen_settings settings = api_settings(fixture, KGEN_ESTIMATE);
    struct kgen_context *context = api_open(&settings);
    struct kgen_status status = {0};
    assert_null(kgen_plan_file(context, "/nowhere.json", &status));
    assert_int_equal(status.code, KGEN_IO_FAILED);
    assert_null(kgen_plan_file(context, "/nowhere.json", NULL));
    status = (struct kgen_status){0};
    const char text[] = "{\"kgen_schema\":1,\n \"problems\":[{\"op\":\"qmw\"}]}";
    assert_null(kgen_plan_text(context, "my.json", text, strlen(text), &status));
    assert_int_equal(status.code, KGEN_BAD_SPEC);
    assert_string_equal(status.source, "my.json");
    assert_int_equal(status.line, 2);
    assert_true(status.column > 0);
    assert_non_null(strstr(status.hint, "qmv"));

    static const struct {
        const char *problem, *message;
        int line;
    } cases[] = {
        {"{}", "a problem needs \"op\"", 3},
        {"{\"op\":\"mul\"}", "there is no op \"mul\"", 3},
        {"{\"op\":\"add\"}", "add needs \"size\"", 3},
        {"{\"op\":\"add\",\"size\":-3}", "\"size\" of add must be", 3},
        {"{\"op\":\"add\",\"size\":8,\"K\":8}", "unknown key \"K\"", 3},
        {"{\"op\":\"rope\",\"heads\":1,\"head_dim\":8,\"scheme\":\"affine\"}", "unknown key \"scheme\"", 3},
        {"{\"op\":\"rope\",\"heads\":1,\"head_dim\":8,\"pairing\":\"f16\"}", "\"pairing\" of rope must be",
         3},
        {"{\"op\":\"rope\",\"heads\":1,\"head_dim\":8,\"pairing\":\"sideways\"}",
         "\"pairing\" of rope must be", 3},
        {"{\"op\":\"rope\",\"heads\":1,\"head_dim\":8,\"theta\":1e13}", "\"theta\" of rope must be", 3},
        {"{\"op\":\"qmv\",\"N\":1,\"K\":65,\"bits\":4,\"group_size\":64}", "not a multiple of group_size", 3},
        {"{\"op\":\"qmv\",\"N\":1,\"K\":64,\"bits\":7,\"group_size\":64}", "\"bits\" of qmv must be", 3},
        {"{\"op\":\"qmv\",\"N\":1,\"K\":64,\"bits\":4,\"group_size\":64,\n\"mode\":\"affine\",\"scheme\":"
         "\"affine\"}",
         "are one field", 4},
        {"{\"op\":\"add\",\"size\":8", "", 3},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *const problems[] = {"{\"op\":\"add\",\"size\":8}", cases[i].problem};
        status = (struct kgen_status){0};
        assert_null(api_plan(context, problems, 2, &status));
        assert_int_equal(status.code, KGEN_BAD_SPEC);
        assert_string_equal(status.source, "problems.json");
        if (strstr(status.message, cases[i].message) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", status.message, cases[i].message);
        assert_int_equal(status.line, cases[i].line);
    }
    status = (struct kgen_status){0};
    assert_null(api_plan(context, NULL, 0, &status));
    assert_int_equal(status.code, KGEN_BAD_SPEC);
    status = (struct kgen_status){0};
    assert_null(kgen_plan_text(context, "nothing.json", "", 0, &status));
    assert_int_equal(status.code, KGEN_BAD_SPEC);
    /* Any name will do. */
    static const char *const names[] = {"", "<my program>", "...", "a/b c"};
    static const char good[] = "{\"problems\":[{\"op\":\"add\",\"size\":8}]}";
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct kgen_plan *plan = kgen_plan_text(context, names[i], good, strlen(good), NULL);
        assert_non_null(plan);
        kgen_plan_free(plan);
    }
    kgen_close(context);
}

static void test_functions(void **state)
{
    struct api_fixture *fixture = *state;
    const struct kgen_settings settings = api_settings(fixture, KGEN_ESTIMATE);
    struct kgen_context *context = api_open(&settings);
    struct kgen_status status = {0};
    struct kgen_plan *plan = api_plan(context, api_problems, api_problem_count, &status);
    assert_string_equal(status.message, "");
    kgen_close(context); /* plans outlive it */
    assert_int_equal(kgen_plan_count(plan), api_problem_count);
    assert_null(kgen_plan_at(plan, api_problem_count));
    struct kgen_threads *threads = kgen_threads_open(3, &status);
    size_t compared = 0;
    for (size_t i = 0; i < kgen_plan_count(plan); i++) {
        const struct kgen_function *function = kgen_plan_at(plan, i);
        struct kgen_function_facts facts;
        kgen_function_query(function, &facts, sizeof facts);
        char op[32];
        snprintf(op, sizeof op, "{\"op\":\"%s\",", facts.op);
        assert_memory_equal(api_problems[i], op, strlen(op));
        assert_non_null(strstr(facts.problem, facts.op));
        assert_int_equal(facts.origin, KGEN_ORIGIN_DEFAULT);
        assert_true(facts.checked && facts.error_of_bound <= 1 && facts.bytes > 0);
        assert_true(facts.seconds <= 0 && facts.calls >= 1);
        assert_ptr_equal(kgen_plan_find(plan, facts.name, NULL, NULL), function);
        compared += api_compute(function, threads);
    }
    assert_true(compared > 5000);
    assert_int_equal(api_compute(api_function_of_parts(), threads), 4 * (100 + 1));
    struct kgen_plan_facts facts;
    kgen_plan_query(plan, &facts, sizeof facts);
    assert_int_equal(facts.fallbacks, api_problem_count);
    assert_int_equal(facts.recorded + facts.searched, 0);
    assert_true(facts.seconds > 0 && facts.code_bytes > 0);
    /* A caller with an older, shorter struct. */
    struct kgen_function_facts cut;
    memset(&cut, 0x55, sizeof cut);
    kgen_function_query(kgen_plan_at(plan, 0), &cut, offsetof(struct kgen_function_facts, op));
    assert_non_null(strstr(cut.name, "qmv"));
    assert_int_equal(((const unsigned char *)&cut.op)[0], 0x55);
    kgen_threads_close(threads);
    kgen_plan_free(plan);
    kgen_plan_free(NULL);
}

static void test_threads_and_origins(void **state)
{
    (void)state;
    const int counts[] = {0, -1, 1025};
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        struct kgen_status status = {0};
        assert_null(kgen_threads_open(counts[i], &status));
        assert_int_equal(status.code, KGEN_BAD_ARGUMENT);
    }
    kgen_threads_close(NULL);
    for (int origin = KGEN_ORIGIN_RECORD; origin <= KGEN_ORIGIN_GENERIC; origin++)
        assert_non_null(kgen_origin_name((enum kgen_origin)origin));
    assert_string_equal(kgen_origin_name(KGEN_ORIGIN_GENERIC), "generic");
    assert_null(kgen_origin_name((enum kgen_origin)(KGEN_ORIGIN_GENERIC + 1)));
    assert_null(kgen_origin_name((enum kgen_origin) - 1));
}

/* ---- names ---- */

static void test_find(void **state)
{
    struct api_fixture *fixture = *state;
    const struct kgen_settings settings = api_settings(fixture, KGEN_ESTIMATE);
    struct kgen_context *context = api_open(&settings);
    struct kgen_status plan_status = {0};
    struct kgen_plan *plan = kgen_plan_file(context, "specs/qwen.json", &plan_status);
    assert_string_equal(plan_status.message, "");
    static const struct {
        const char *name, *activation_dtype, *found; /* NULL: KGEN_NOT_FOUND */
        const char *says;                            /* of the error */
    } cases[] = {
        {"model.layers.7.mlp.down_proj.weight", NULL, "qmv_n4096_k12288_b4_g64_f16_i24", NULL},
        {"layers.*.mlp.down_proj", "i8", "qmv_n4096_k12288_b4_g64_f16_i8", NULL},
        {"mlp.down_proj", "i24", "qmv_n4096_k12288_b4_g64_f16_i24", NULL},
        {"layers.35.mlp.down_proj", NULL, "qmv_n4096_k12288_b4_g64_f16_i24", NULL},
        {"self_attn.q_proj", NULL, "qmv_n6144_k4096_b4_g64_f16_i24", NULL},
        {"layers.0.self_attn.v_proj", "i8", "qmv_n6144_k4096_b4_g64_f16_i8", NULL},
        {"self_attn.qkv_proj", NULL, "qmv_n6144_k4096_b4_g64_f16_i24", NULL},
        {"layers.*.self_attn.{q,k,v}_proj", NULL, "qmv_n6144_k4096_b4_g64_f16_i24", NULL},
        {"mlp.gate_up_proj", NULL, "qmv_n24576_k4096_b4_g64_f16_i24", NULL},
        {"mlp.up_proj", NULL, "qmv_n24576_k4096_b4_g64_f16_i24", NULL},
        {"lm_head", "i8", "qmv_n151936_k4096_b4_g64_f16_i8", NULL},
        {"embed_tokens", NULL, "dequantize_n1_k4096_b4_g64_f16", NULL},
        {"model.norm.weight", NULL, "rms_norm_r1_s4096_residual_eps1em06", NULL},
        {"layers.0.input_layernorm", NULL, "rms_norm_r1_s4096_eps1em06", NULL},
        {"layers.1.input_layernorm", NULL, "rms_norm_r1_s4096_residual_eps1em06", NULL},
        {"layers.35.input_layernorm", "i8", "rms_norm_r1_s4096_residual_eps1em06", NULL},
        {"self_attn.k_rope", NULL, "rope_h8_d128_r128_half_t1000000", NULL},
        {"swiglu_n12288", NULL, "swiglu_n12288", NULL},
        {"qmv_n4096_k12288_b4_g64_f16_i8", NULL, "qmv_n4096_k12288_b4_g64_f16_i8", NULL},
        {"input_layernorm", NULL, NULL, "may be"},
        {"layers.*.input_layernorm", NULL, NULL, "may be"},
        {"layers.36.input_layernorm", NULL, NULL, "no function"},
        {"layers.x.mlp.up_proj", NULL, NULL, "no function"},
        {"layers.-1.mlp.up_proj", NULL, NULL, "no function"},
        {"layers.", NULL, NULL, "no function"},
        {"layers.3.lm_head", NULL, NULL, "no function"},
        {"mlp.down_proj", "i16", NULL, "activation_dtype i16"},
        {"mlp.dwn_proj", NULL, NULL, "no function"},
        {"self_attn.qk_proj", NULL, NULL, "no function"},
        {"self_attn.qkvq_proj", NULL, NULL, "no function"},
        {"self_attn._proj", NULL, NULL, "no function"},
        {"", NULL, NULL, "no function"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct kgen_status status = {0};
        const struct kgen_function *found =
            kgen_plan_find(plan, cases[i].name, cases[i].activation_dtype, &status);
        struct kgen_function_facts facts = {.name = "nothing"};
        if (found != NULL)
            kgen_function_query(found, &facts, sizeof facts);
        const char *wanted = cases[i].found != NULL ? cases[i].found : "nothing";
        if (strcmp(facts.name, wanted) != 0)
            fail_msg("\"%s\" found %s, not %s", cases[i].name, facts.name, wanted);
        if (cases[i].says != NULL && strstr(status.message, cases[i].says) == NULL)
            fail_msg("\"%s\": \"%s\" does not say \"%s\"", cases[i].name, status.message, cases[i].says);
        assert_int_equal(status.code, found != NULL ? KGEN_OK : KGEN_NOT_FOUND);
    }
    struct kgen_status status = {0};
    kgen_plan_find(plan, "mlp.dwn_proj", NULL, &status);
    assert_non_null(strstr(status.hint, "mlp.down_proj"));
    assert_null(kgen_plan_find(plan, "nothing", NULL, NULL));
    kgen_plan_free(plan);
    kgen_close(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status),
        cmocka_unit_test_setup_teardown(test_settings, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_open, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_plan_errors, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_functions, api_setup, api_teardown),
        cmocka_unit_test(test_threads_and_origins),
        cmocka_unit_test_setup_teardown(test_find, api_setup, api_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
