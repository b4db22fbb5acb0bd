/* SPDX-License-Identifier: MIT */
/* The buffers of functions: what there are, calls that lack one, and packed weights. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api_fixture.h"

#include <stdlib.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* In the order of api_problems, of every op; shape NULL: not looked at; bytes 0: some. */
static const struct {
    size_t problem;
    struct kgen_buffer_facts facts;
} buffers[] = {
    {0, {"weights", "weights", "", "N, K", "", 40 * 128}},
    {0, {"scales", "weights", "", NULL, "", 40 * 4 * 2}},
    {0, {"biases", "weights", "", NULL, "", 40 * 4 * 2}},
    {0, {"x", "input", "f32", "K", "", 256 * 4}},
    {0, {"workspace", "workspace", "", "", "", 0}},
    {0, {"y", "output", "f32", "N", "", 40 * 4}},
    {2, {"weights", "weights", "", "N, K", "", 33 * 128}}, /* symmetric: no biases */
    {2, {"scales", "weights", "", NULL, "", 33 * 4 * 4}},
    {2, {"x", "input", "f32", "K", "", 128 * 4}},
    {2, {"workspace", "workspace", "", "", "", 0}},
    {2, {"y", "output", "f32", "N", "", 33 * 4}},
    {3, {"weights", "weights", "", "N, K", "", 48 * 128}}, /* whole tiles */
    {3, {"scales", "weights", "", NULL, "", 48 * 4 * 2}},
    {3, {"biases", "weights", "", NULL, "", 48 * 4 * 2}},
    {3, {"x", "input", "f32", "K", "", 256 * 4}},
    {3, {"workspace", "workspace", "", "", "", 0}},
    {3, {"y", "output", "f32", "N", "", 40 * 4}},
    {4, {"weights", "weights", "", "N, K", "", 5 * 48}},
    {4, {"scales", "weights", "", NULL, "", 5 * 2 * 2}},
    {4, {"biases", "weights", "", NULL, "", 5 * 2 * 2}},
    {4, {"y", "output", "f32", "N, K", "", 5 * 128 * 4}},
    {5, {"x", "input", "f32", "rows, size", "", 300 * 4}},
    {5, {"weight", "input", "f32", "size", "", 100 * 4}},
    {5, {"y", "output", "f32", "rows, size", "x", 300 * 4}},
    {6, {"x", "input", "f32", "rows, size", "", 64 * 4}},
    {6, {"weight", "input", "f32", "size", "", 64 * 4}},
    {6, {"residual", "updated", "f32", "rows, size", "", 64 * 4}},
    {6, {"y", "output", "f32", "rows, size", "x", 64 * 4}},
    {7, {"x", "input", "f32", "heads, head_dim", "", 256 * 4}},
    {7, {"workspace", "workspace", "", "", "", 0}},
    {7, {"y", "output", "f32", "heads, head_dim", "x", 256 * 4}},
    {9, {"gate", "input", "f32", "size", "", 4000}},
    {9, {"up", "input", "f32", "size", "", 4000}},
    {9, {"y", "output", "f32", "size", "gate up", 4000}},
    {10, {"a", "input", "f32", "size", "", 77 * 4}},
    {10, {"b", "input", "f32", "size", "", 77 * 4}},
    {10, {"y", "output", "f32", "size", "a b", 77 * 4}},
};

static void check_buffer(const struct kgen_function *function, size_t index,
                         const struct kgen_buffer_facts *wanted)
{
    struct kgen_buffer_facts facts;
    kgen_function_buffer_query(function, index, &facts, sizeof facts);
    assert_string_equal(facts.name, wanted->name);
    assert_string_equal(facts.role, wanted->role);
    assert_string_equal(facts.dtype, wanted->dtype);
    assert_string_equal(wanted->shape != NULL ? facts.shape : "", wanted->shape != NULL ? wanted->shape : "");
    assert_string_equal(facts.may_alias, wanted->may_alias);
    assert_true(facts.bytes > 0);
    assert_int_equal(facts.bytes, wanted->bytes > 0 ? wanted->bytes : facts.bytes);
    assert_int_equal(kgen_function_buffer(function, wanted->name), index);
    assert_int_equal(kgen_function_buffer_size(function, wanted->name), facts.bytes);
}

static void test_buffers(void **state)
{
    const struct kgen_settings settings = api_settings(*state, KGEN_ESTIMATE);
    struct kgen_context *context = api_open(&settings);
    struct kgen_plan *plan = api_plan(context, api_problems, api_problem_count, NULL);
    size_t index = 0;
    for (size_t i = 0; i < COUNT_OF(buffers); i++, index++) {
        const struct kgen_function *function = kgen_plan_at(plan, buffers[i].problem);
        check_buffer(function, index, &buffers[i].facts);
        if (i + 1 < COUNT_OF(buffers) && buffers[i + 1].problem == buffers[i].problem)
            continue;
        assert_int_equal(kgen_function_buffer_count(function), index + 1);
        index = (size_t)-1;
    }
    static const char *const absent[] = {"", "weights", "x2", "X", "position", "scratch"};
    const struct kgen_function *add = kgen_plan_at(plan, 10);
    for (size_t i = 0; i < COUNT_OF(absent); i++) {
        assert_int_equal(kgen_function_buffer(add, absent[i]), -1);
        assert_int_equal(kgen_function_buffer_size(add, absent[i]), 0);
    }
    check_buffer(api_function_of_parts(), 2,
                 &(struct kgen_buffer_facts){"scratch", "scratch", "", "", "", 64});
    /* Beyond the last, and a caller with an older, shorter struct. */
    struct kgen_buffer_facts facts;
    for (index = 3; index <= SIZE_MAX / 2; index *= 1000) {
        kgen_function_buffer_query(add, index, &facts, sizeof facts);
        assert_int_equal(strlen(facts.name) + strlen(facts.role) + strlen(facts.dtype) + strlen(facts.shape) +
                             strlen(facts.may_alias) + facts.bytes,
                         0);
    }
    memset(&facts, 0x55, sizeof facts);
    kgen_function_buffer_query(add, 1, &facts, offsetof(struct kgen_buffer_facts, role));
    assert_string_equal(facts.name, "b");
    assert_int_equal(((const unsigned char *)&facts.role)[0], 0x55);
    kgen_plan_free(plan);
    kgen_close(context);
}

/* ---- calls ---- */

/* Ops without prepare or finish: the calls do nothing. */
static void check_absent_parts(const struct kgen_function *add)
{
    float a[77] = {1}, y[77] = {5};
    const struct kgen_call nothing = {0}, call = {.buffers = {a, a, y}};
    assert_int_equal(kgen_function_prepare(add, &nothing, NULL), 0);
    assert_int_equal(kgen_function_finish(add, &nothing, NULL), 0);
    assert_int_equal(kgen_function_prepare(add, &call, NULL), 0);
    assert_int_equal(kgen_function_finish(add, &call, NULL), 0);
    assert_true(a[0] >= 1 && a[0] <= 1 && y[0] >= 5 && y[0] <= 5);
    assert_null(kgen_function_prepare_pointer(add));
    assert_null(kgen_function_finish_pointer(add));
    assert_non_null(kgen_function_run_pointer(add));
}

/* Whether run, run_range, prepare and finish take a call without one buffer, or with it out of line. */
static void check_one_wrong(const struct kgen_function *function, const struct kgen_call *call,
                            const char *name, bool aligned, const char *needed_by)
{
    const int index = kgen_function_buffer(function, name);
    struct kgen_call wrong = *call;
    struct kgen_status statuses[4] = {{0}};
    wrong.buffers[index] = aligned ? NULL : (unsigned char *)wrong.buffers[index] + 8;
    assert_int_equal(kgen_function_run(function, &wrong, NULL, &statuses[0]), -1);
    kgen_function_run_range(function, &wrong, 0, 1, &statuses[1]);
    kgen_function_prepare(function, &wrong, &statuses[2]);
    kgen_function_finish(function, &wrong, &statuses[3]);
    for (size_t i = 0; i < COUNT_OF(statuses); i++) {
        const bool fails = strchr(needed_by, "*rpf"[i]) != NULL || i == 0;
        if ((statuses[i].code == KGEN_BAD_ARGUMENT) != fails)
            fail_msg("%s, part %zu: \"%s\"", name, i, statuses[i].message);
        assert_int_equal(strstr(statuses[i].message, name) != NULL, fails);
    }
}

static void test_call_errors(void **state)
{
    struct api_fixture *fixture = *state;
    const struct kgen_settings settings = api_settings(fixture, KGEN_ESTIMATE);
    struct kgen_context *context = api_open(&settings);
    const char *const problems[] = {api_problems[0], api_problems[10]};
    struct kgen_plan *plan = api_plan(context, problems, 2, NULL);
    const struct kgen_function *qmv = kgen_plan_at(plan, 0), *parts = api_function_of_parts();
    unsigned char *memory = aligned_alloc(64, 1 << 16);
    memset(memory, 0, 1 << 16);
    struct kgen_call call = {0};
    for (size_t i = 0; i < 6; i++)
        call.buffers[i] = memory + i * 8192;
    check_absent_parts(kgen_plan_at(plan, 1));
    static const struct {
        const char *name, *needed_by; /* r: run, p: prepare, f: finish */
    } cases[] = {{"weights", "r"}, {"scales", "r"},     {"biases", "r"},
                 {"x", "p"},       {"workspace", "rp"}, {"y", "r"}};
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        check_one_wrong(qmv, &call, cases[i].name, true, cases[i].needed_by);
    check_one_wrong(qmv, &call, "workspace", false, "rp");
    for (int aligned = 0; aligned < 2; aligned++) {
        check_one_wrong(parts, &call, "workspace", aligned, "rpf");
        check_one_wrong(parts, &call, "scratch", aligned, "r");
    }
    check_one_wrong(parts, &call, "sum", true, "f");
    struct kgen_call without_x = call;
    without_x.buffers[kgen_function_buffer(qmv, "x")] = NULL;
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
    assert_non_null(kgen_function_prepare_pointer(qmv));
    assert_null(kgen_function_finish_pointer(qmv));
    free(memory);
    kgen_plan_free(plan);
    kgen_close(context);
}

/* ---- packed weights ---- */

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
    static const char *const problems[] = {
        "{\"op\":\"qmv\",\"N\":7,\"K\":96,\"bits\":3,\"group_size\":32}", "{\"op\":\"add\",\"size\":4}",
        ("{\"op\":\"qmv\",\"N\":19,\"K\":64,\"bits\":2,\"group_size\":32,\"scheme\":\"symmetric\","
         "\"layout\":\"tiles16\"}")};
    struct kgen_plan *plan = api_plan(context, problems, 3, NULL);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_buffers, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_call_errors, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_packing, api_setup, api_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
