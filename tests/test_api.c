/* SPDX-License-Identifier: MIT */
/* The functions of kgen.h and their errors, but for the ladder (test_api_ladder.c). */
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

    const struct {
        struct kgen_request request;
        const char *message;
    } cases[] = {
        {{.op = NULL}, "there is no op"},
        {{.op = "mul"}, "there is no op \"mul\""},
        {{.op = "add"}, "add needs size"},
        {{.op = "add", .size = -3}, "size must be"},
        {{.op = "add", .size = 8, .K = 8}, "add has no K"},
        {{.op = "rope", .heads = 1, .head_dim = 8, .mode = "affine"}, "rope has no mode"},
        {{.op = "rope", .heads = 1, .head_dim = 8, .pairing = "f16"}, "pairing must be"},
        {{.op = "rope", .heads = 1, .head_dim = 8, .pairing = "sideways"}, "pairing must be"},
        {{.op = "rope", .heads = 1, .head_dim = 8, .theta = 1e13}, "theta must be"},
        {{.op = "qmv", .N = 1, .K = 65, .bits = 4, .group_size = 64}, "group_size"},
        {{.op = "qmv", .N = 1, .K = 64, .bits = 7, .group_size = 64}, "bits must be"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct kgen_request requests[] = {{.op = "add", .size = 8}, cases[i].request};
        status = (struct kgen_status){0};
        assert_null(kgen_plan_requests(context, requests, 2, &status));
        assert_int_equal(status.code, KGEN_BAD_ARGUMENT);
        assert_string_equal(status.source, "requests");
        assert_int_equal(status.line, 2);
        if (strstr(status.message, cases[i].message) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", status.message, cases[i].message);
    }
    status = (struct kgen_status){0};
    assert_null(kgen_plan_requests(context, NULL, 0, &status));
    assert_int_equal(status.code, KGEN_BAD_ARGUMENT);
    kgen_close(context);
}

static void test_functions(void **state)
{
    struct api_fixture *fixture = *state;
    const struct kgen_settings settings = api_settings(fixture, KGEN_ESTIMATE);
    struct kgen_context *context = api_open(&settings);
    struct kgen_status status = {0};
    struct kgen_plan *plan = kgen_plan_requests(context, api_requests, api_request_count, &status);
    assert_string_equal(status.message, "");
    kgen_close(context); /* plans outlive it */
    assert_int_equal(kgen_plan_count(plan), api_request_count);
    assert_null(kgen_plan_at(plan, api_request_count));
    struct kgen_threads *threads = kgen_threads_open(3, &status);
    size_t compared = 0;
    for (size_t i = 0; i < kgen_plan_count(plan); i++) {
        const struct kgen_function *function = kgen_plan_at(plan, i);
        struct kgen_function_facts facts;
        kgen_function_query(function, &facts, sizeof facts);
        assert_string_equal(facts.op, api_requests[i].op);
        assert_int_equal(facts.rung, KGEN_RUNG_DEFAULT);
        assert_true(facts.checked && facts.error_of_bound <= 1 && facts.bytes > 0);
        assert_true(facts.seconds <= 0 && facts.calls >= 1);
        assert_non_null(strstr(facts.problem, api_requests[i].op));
        assert_ptr_equal(kgen_plan_find(plan, facts.name, NULL, NULL), function);
        assert_int_equal(kgen_function_buffer_size(function, "workspace"),
                         kgen_function_workspace_size(function));
        compared += api_compute(function, threads);
    }
    assert_true(compared > 5000);
    struct kgen_plan_facts facts;
    kgen_plan_query(plan, &facts, sizeof facts);
    assert_int_equal(facts.lower, api_request_count);
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

static void test_call_errors(void **state)
{
    struct api_fixture *fixture = *state;
    const struct kgen_settings settings = api_settings(fixture, KGEN_ESTIMATE);
    struct kgen_context *context = api_open(&settings);
    struct kgen_plan *plan = kgen_plan_requests(context, api_requests, 1, NULL);
    const struct kgen_function *qmv = kgen_plan_at(plan, 0);
    unsigned char *memory = aligned_alloc(64, 1 << 16);
    float *y = (float *)(void *)memory;
    const struct kgen_call call = {.weights = memory,
                                   .scales = memory,
                                   .biases = memory,
                                   .x = y,
                                   .y = y + 4096,
                                   .workspace = memory + 32768};
    struct kgen_call calls[6];
    for (size_t i = 0; i < COUNT_OF(calls); i++)
        calls[i] = call;
    calls[0].weights = NULL;
    calls[1].scales = NULL;
    calls[2].biases = NULL;
    calls[3].y = NULL;
    calls[4].workspace = NULL;
    calls[5].workspace = memory + 8;
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        struct kgen_status status = {0};
        assert_int_equal(kgen_function_run(qmv, &calls[i], NULL, &status), -1);
        assert_int_equal(status.code, KGEN_BAD_ARGUMENT);
        assert_int_equal(kgen_function_run_range(qmv, &calls[i], 0, 1, NULL), -1);
        assert_int_equal(kgen_function_prepare(qmv, &calls[i], NULL), i < 4 ? 0 : -1);
    }
    struct kgen_call without_x = call;
    without_x.x = NULL;
    assert_int_equal(kgen_function_prepare(qmv, &without_x, NULL), -1);
    assert_int_equal(kgen_function_run(qmv, &without_x, NULL, NULL), -1);
    assert_int_equal(kgen_function_prepare(qmv, &call, NULL), 0);
    assert_int_equal(kgen_function_run_range(qmv, &without_x, 0, 1, NULL), 0); /* it is in the workspace */
    struct kgen_status status = {0};
    assert_int_equal(kgen_function_run_range(qmv, &call, 3, 2, &status), -1);
    assert_int_equal(status.code, KGEN_BAD_ARGUMENT);
    assert_int_equal(kgen_function_run_range(qmv, &call, 0, 41, NULL), -1);
    assert_int_equal(kgen_function_run_range(qmv, &call, 40, 40, NULL), 0);
    assert_int_equal(kgen_function_part(qmv, 0, 4), 0);
    assert_int_equal(kgen_function_part(qmv, 4, 4), 40);
    assert_int_equal(kgen_function_part(qmv, 9, 4), 40);
    assert_int_equal(kgen_function_buffer_size(qmv, "weights"), 40 * 128);
    assert_int_equal(kgen_function_buffer_size(qmv, "x2"), 0);
    assert_int_equal(kgen_function_buffer_size(qmv, "nonsense"), 0);
    assert_non_null(kgen_function_pointer(qmv, "workspace_size"));
    assert_null(kgen_function_pointer(qmv, "nonsense"));
    free(memory);
    kgen_plan_free(plan);
    kgen_close(context);
    const int counts[] = {0, -1, 1025};
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        status = (struct kgen_status){0};
        assert_null(kgen_threads_open(counts[i], &status));
        assert_int_equal(status.code, KGEN_BAD_ARGUMENT);
    }
    kgen_threads_close(NULL);
    for (int rung = KGEN_RUNG_RECORD; rung <= KGEN_RUNG_PLAIN; rung++)
        assert_non_null(kgen_rung_name((enum kgen_rung)rung));
    assert_string_equal(kgen_rung_name(KGEN_RUNG_PLAIN), "plain");
    assert_null(kgen_rung_name((enum kgen_rung)(KGEN_RUNG_PLAIN + 1)));
    assert_null(kgen_rung_name((enum kgen_rung) - 1));
}

/* 19 rows of 4 words, in tiles of 16 rows: word w of row r is word w * 16 + r % 16 of tile r / 16. */
static void check_tiles(const struct kgen_function *tiles)
{
    uint32_t stored[19 * 4], packed[2 * 16 * 4];
    for (uint32_t i = 0; i < 19 * 4; i++)
        stored[i] = i + 1;
    memset(packed, 0xff, sizeof packed);
    assert_int_equal(kgen_function_layout(tiles), KGEN_LAYOUT_TILES16);
    assert_int_equal(kgen_function_packed_size(tiles, "weights"), sizeof packed);
    assert_int_equal(kgen_function_packed_size(tiles, "scales"), 2 * 16 * 2 * 2);
    assert_int_equal(kgen_function_packed_size(tiles, "biases"), 0); /* symmetric */
    assert_int_equal(kgen_function_packed_offset(tiles, "weights", 16), 16 * 16);
    assert_int_equal(kgen_function_packed_offset(tiles, "weights", 19), sizeof packed);
    assert_true(kgen_function_packed_offset(tiles, "weights", 17) == SIZE_MAX);
    assert_int_equal(kgen_function_pack(tiles, "weights", 16, 19, stored + 16 * 4, packed, NULL), 0);
    assert_int_equal(kgen_function_pack(tiles, "weights", 0, 16, stored, packed, NULL), 0);
    for (size_t tile = 0; tile < 2; tile++) {
        for (size_t word = 0; word < 4; word++) {
            for (size_t lane = 0; lane < 16; lane++) {
                const size_t row = tile * 16 + lane;
                assert_int_equal(packed[(tile * 4 + word) * 16 + lane],
                                 row < 19 ? stored[row * 4 + word] : 0);
            }
        }
    }
    assert_int_equal(kgen_function_pack(tiles, "weights", 3, 19, stored, packed, NULL), -1);
    assert_int_equal(kgen_function_pack(tiles, "weights", 0, 17, stored, packed, NULL), -1);
}

static void test_packing(void **state)
{
    struct api_fixture *fixture = *state;
    const struct kgen_settings settings = api_settings(fixture, KGEN_ESTIMATE);
    struct kgen_context *context = api_open(&settings);
    const struct kgen_request requests[] = {{.op = "qmv", .N = 7, .K = 96, .bits = 3, .group_size = 32},
                                            {.op = "add", .size = 4},
                                            {.op = "qmv",
                                             .N = 19,
                                             .K = 64,
                                             .bits = 2,
                                             .group_size = 32,
                                             .mode = "symmetric",
                                             .layout = "tiles16"}};
    struct kgen_plan *plan = kgen_plan_requests(context, requests, 3, NULL);
    const struct kgen_function *qmv = kgen_plan_at(plan, 0), *add = kgen_plan_at(plan, 1);
    unsigned char stored[7 * 36], packed[7 * 36];
    for (size_t i = 0; i < sizeof stored; i++)
        stored[i] = (unsigned char)(i * 31);
    assert_int_equal(kgen_function_layout(qmv), KGEN_LAYOUT_STORED);
    assert_int_equal(kgen_function_packed_size(qmv, "weights"), sizeof packed);
    assert_int_equal(kgen_function_packed_size(qmv, "scales"), 7 * 3 * 2);
    assert_int_equal(kgen_function_packed_size(qmv, "biases"), 7 * 3 * 2);
    for (size_t row = 0; row <= 7; row++)
        assert_int_equal(kgen_function_packed_offset(qmv, "weights", row), 36 * row);
    assert_true(kgen_function_packed_offset(qmv, "weights", 8) == SIZE_MAX);
    assert_int_equal(kgen_function_pack(qmv, "weights", 0, 7, stored, packed, NULL), 0);
    assert_memory_equal(stored, packed, sizeof packed);
    /* What is no buffer, or no rows, to pack. */
    const struct {
        const struct kgen_function *function;
        const char *buffer;
        size_t begin, end;
    } wrong[] = {
        {add, "weights", 0, 4},    {qmv, "x", 0, 7},       {qmv, "y", 0, 7},
        {qmv, "unheard of", 0, 7}, {qmv, "weights", 0, 8}, {qmv, "weights", 5, 4},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct kgen_status status = {0};
        assert_int_equal(kgen_function_pack(wrong[i].function, wrong[i].buffer, wrong[i].begin, wrong[i].end,
                                            stored, packed, &status),
                         -1);
        assert_int_equal(status.code, KGEN_BAD_ARGUMENT);
    }
    assert_int_equal(kgen_function_packed_size(add, "weights"), 0);
    assert_int_equal(kgen_function_packed_size(qmv, "x"), 0);
    assert_true(kgen_function_packed_offset(add, "weights", 0) == SIZE_MAX);
    check_tiles(kgen_plan_at(plan, 2));
    kgen_plan_free(plan);
    kgen_close(context);
}

static void test_find(void **state)
{
    struct api_fixture *fixture = *state;
    const struct kgen_settings settings = api_settings(fixture, KGEN_ESTIMATE);
    struct kgen_context *context = api_open(&settings);
    struct kgen_status plan_status = {0};
    struct kgen_plan *plan = kgen_plan_file(context, "specs/qwen.json", &plan_status);
    assert_string_equal(plan_status.message, "");
    static const struct {
        const char *name, *activations, *found; /* NULL: KGEN_NOT_FOUND */
        const char *says;                       /* of the error */
    } cases[] = {
        {"model.layers.7.mlp.down_proj.weight", NULL, "qmv_n4096_k12288_b4_g64_f16_f32", NULL},
        {"layers.*.mlp.down_proj", "i8", "qmv_n4096_k12288_b4_g64_f16_i8", NULL},
        {"mlp.down_proj", "f32", "qmv_n4096_k12288_b4_g64_f16_f32", NULL},
        {"layers.35.mlp.down_proj", NULL, "qmv_n4096_k12288_b4_g64_f16_f32", NULL},
        {"self_attn.q_proj", NULL, "qmv_n6144_k4096_b4_g64_f16_f32", NULL},
        {"layers.0.self_attn.v_proj", "i8", "qmv_n6144_k4096_b4_g64_f16_i8", NULL},
        {"self_attn.qkv_proj", NULL, "qmv_n6144_k4096_b4_g64_f16_f32", NULL},
        {"layers.*.self_attn.{q,k,v}_proj", NULL, "qmv_n6144_k4096_b4_g64_f16_f32", NULL},
        {"mlp.gate_up_proj", NULL, "qmv_n24576_k4096_b4_g64_f16_f32", NULL},
        {"mlp.up_proj", NULL, "qmv_n24576_k4096_b4_g64_f16_f32", NULL},
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
        {"mlp.down_proj", "i16", NULL, "activations i16"},
        {"mlp.dwn_proj", NULL, NULL, "no function"},
        {"self_attn.qk_proj", NULL, NULL, "no function"},
        {"self_attn.qkvq_proj", NULL, NULL, "no function"},
        {"self_attn._proj", NULL, NULL, "no function"},
        {"", NULL, NULL, "no function"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct kgen_status status = {0};
        const struct kgen_function *found =
            kgen_plan_find(plan, cases[i].name, cases[i].activations, &status);
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
        cmocka_unit_test_setup_teardown(test_call_errors, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_packing, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_find, api_setup, api_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
