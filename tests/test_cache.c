/* SPDX-License-Identifier: MIT */
/* The cache: what is remembered is found again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "cache_fixture.h"

/* The same values in the run that measured and in the runs after it. */
static void test_round_trip(void **state)
{
    struct cache_fixture *fixture = *state;
    struct kgen_cache *cache = cache_reopen(fixture, NULL);
    struct kgen_record records[KGEN_VERDICT_COUNT];
    for (int i = 0; i < KGEN_VERDICT_COUNT; i++) {
        records[i] = cache_sample(UINT64_C(0xfedcba9876543210) + (uint64_t)i);
        records[i].verdict = (enum kgen_verdict)i;
        records[i].chosen = i == 0;
        records[i].detail = i == 0 ? "" : "y[17] = \"3.5\" \\ \t tab, µ, case \x01";
        cache_append(cache, &records[i]);
        cache_assert_same(kgen_cache_find(cache, records[i].key), &records[i]);
    }
    struct kgen_record before = *kgen_cache_find(cache, records[3].key);
    double cold = before.cold_seconds, hot = before.hot_seconds;
    cache = cache_reopen(fixture, cache);
    assert_int_equal(kgen_cache_count(cache), KGEN_VERDICT_COUNT);
    for (int i = 0; i < KGEN_VERDICT_COUNT; i++) {
        cache_assert_same(kgen_cache_find(cache, records[i].key), &records[i]);
        assert_ptr_equal(kgen_cache_find(cache, records[i].key), kgen_cache_at(cache, (size_t)i));
    }
    assert_true(kgen_cache_find(cache, records[3].key)->cold_seconds == cold);
    assert_true(kgen_cache_find(cache, records[3].key)->hot_seconds == hot);
    assert_null(kgen_cache_find(cache, 1));
    assert_null(kgen_cache_at(cache, KGEN_VERDICT_COUNT));
    assert_string_equal(kgen_cache_path(cache), fixture->folder);
    kgen_cache_close(cache);
    assert_int_equal(fixture->warnings, 0);
}

static void test_line_layout(void **state)
{
    struct cache_fixture *fixture = *state;
    struct kgen_cache *cache = cache_reopen(fixture, NULL);
    struct kgen_record record = cache_sample(0x1f);
    cache_append(cache, &record);
    kgen_cache_close(cache);
    struct kgen_text text = cache_get_file(fixture);
    assert_string_equal(
        text.data,
        "{\"key\":\"000000000000001f\",\"schema\":1,\"machine\":\"00112233445566aa\","
        "\"problem\":" CACHE_PROBLEM
        ",\"variant\":\"qmv_i8 avx512 rows=4 prefetch=512\",\"engine\":\"tcc 0.9.27 lowering 1\","
        "\"effort\":\"measure\",\"verdict\":\"passed\",\"detail\":\"\",\"error_of_bound\":0.25,"
        "\"cases\":31,\"compile_us\":900,\"cold_us\":311,\"hot_us\":100.5,\"final_us\":310,\"read_us\":300,"
        "\"repeats\":12,\"noise\":0.125,\"among\":\" 01234567 89abcdef\",\"chosen\":true}\n");
    kgen_text_free(&text);
}

/* Records of earlier versions, and of times whose noise is not known, have no such member. */
static void test_noise(void **state)
{
    static const struct {
        const char *member;
        bool good;
        double noise;
    } lines[] = {{"", true, 0},
                 {"\"noise\":7.98,", true, 7.98},
                 {"\"noise\":null,", true, 0},
                 {"\"noise\":-1,", false, 0},
                 {"\"noise\":\"x\",", false, 0}};
    for (size_t i = 0; i < KGEN_COUNT_OF(lines); i++) {
        struct cache_fixture *fixture = *state;
        struct kgen_cache *cache = cache_reopen(fixture, NULL);
        struct kgen_record record = cache_sample(0x2f);
        cache_append(cache, &record);
        kgen_cache_close(cache);
        struct kgen_text text = cache_get_file(fixture), changed = {0};
        const char *member = strstr(text.data, "\"noise\":");
        assert_non_null(member);
        kgen_text_append(&changed, text.data, (size_t)(member - text.data));
        kgen_text_printf(&changed, "%s%s", lines[i].member, strchr(member, ',') + 1);
        cache_put_file(fixture, changed.data, changed.length);
        cache = cache_reopen(fixture, NULL);
        const struct kgen_record *found = kgen_cache_find(cache, 0x2f);
        assert_int_equal(found != NULL, lines[i].good);
        assert_true(found == NULL || (found->noise == lines[i].noise && found->repeats == 12));
        assert_int_equal(kgen_cache_clear(cache, NULL), 0);
        kgen_cache_close(cache);
        kgen_text_free(&text);
        kgen_text_free(&changed);
    }
}

static void test_later_record_replaces(void **state)
{
    struct cache_fixture *fixture = *state;
    struct kgen_cache *cache = cache_reopen(fixture, NULL);
    struct kgen_record record = cache_sample(5), other = cache_sample(6);
    record.chosen = false;
    cache_append(cache, &record);
    cache_append(cache, &other);
    struct kgen_record again = *kgen_cache_find(cache, 5);
    again.chosen = true; /* its strings belong to the entry that it replaces */
    cache_append(cache, &again);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(kgen_cache_count(cache), 2);
        assert_true(kgen_cache_find(cache, 5)->chosen);
        assert_int_equal(kgen_cache_at(cache, 0)->key, 5);
        cache = cache_reopen(fixture, cache);
    }
    kgen_cache_close(cache);
}

static void test_numbers_json_cannot_hold(void **state)
{
    struct cache_fixture *fixture = *state;
    const double values[] = {INFINITY, -INFINITY, NAN, -0.0};
    struct kgen_cache *cache = cache_reopen(fixture, NULL);
    for (size_t i = 0; i < KGEN_COUNT_OF(values); i++) {
        struct kgen_record record = cache_sample(i + 1);
        record.verdict = KGEN_WRONG_ELEMENT;
        record.error_of_bound = record.hot_seconds = values[i];
        record.detail = "bad utf-8: \xff\xc0\xed\xa0\x80.";
        cache_append(cache, &record);
        struct kgen_error error = {0};
        int result = kgen_cache_set_fact(cache, "m", "odd", values[i], &error);
        assert_int_equal(result, isfinite(values[i]) ? 0 : -1);
    }
    cache = cache_reopen(fixture, cache);
    for (size_t i = 0; i < KGEN_COUNT_OF(values); i++) {
        const struct kgen_record *found = kgen_cache_find(cache, i + 1);
        assert_non_null(found);
        assert_true(isfinite(values[i]) ? found->error_of_bound == 0 : isinf(found->error_of_bound));
        assert_true(found->hot_seconds == 0 && !signbit(found->hot_seconds));
        assert_string_equal(found->detail, "bad utf-8: ?????.");
    }
    kgen_cache_close(cache);
    struct kgen_text text = cache_get_file(fixture);
    for (char *line = strtok(text.data, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        json_t *root = json_loads(line, 0, NULL);
        assert_non_null(root);
        json_decref(root);
        assert_null(strstr(line, ":-0"));
    }
    kgen_text_free(&text);
    assert_int_equal(fixture->warnings, 0);
}

static void test_problem_must_be_an_object(void **state)
{
    struct cache_fixture *fixture = *state;
    const char *problems[] = {"", "[]", "{", "{\"a\":1}\n", "qmv", NULL};
    struct kgen_cache *cache = cache_reopen(fixture, NULL);
    for (size_t i = 0; i < KGEN_COUNT_OF(problems); i++) {
        struct kgen_record record = cache_sample(9);
        struct kgen_error error = {0};
        record.problem = problems[i];
        assert_int_equal(kgen_cache_append(cache, &record, &error), -1);
        assert_int_equal(error.code, KGEN_ERROR_USAGE);
    }
    assert_int_equal(kgen_cache_count(cache), 0);
    kgen_cache_close(cache);
}

static void test_facts(void **state)
{
    struct cache_fixture *fixture = *state;
    struct kgen_cache *cache = cache_reopen(fixture, NULL);
    struct kgen_error error = {0};
    double value = 0;
    assert_int_equal(kgen_cache_fact(cache, "m", "read_bandwidth_1", &value), -1);
    assert_int_equal(kgen_cache_set_fact(cache, "m", "read_bandwidth_1", 1e9, &error), 0);
    assert_int_equal(kgen_cache_set_fact(cache, "m", "read_bandwidth_1", 42123456789.0, &error), 0);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(kgen_cache_fact(cache, "m", "read_bandwidth_1", &value), 0);
        assert_true(fabs(value - 42123456789.0) < 100);
        assert_int_equal(kgen_cache_fact(cache, "n", "read_bandwidth_1", &value), -1);
        assert_int_equal(kgen_cache_fact(cache, "m", "read_bandwidth_2", &value), -1);
        assert_int_equal(kgen_cache_count(cache), 0);
        cache = cache_reopen(fixture, cache);
    }
    kgen_cache_close(cache);
}

static void test_memory_only(void **state)
{
    struct cache_fixture *fixture = *state;
    struct kgen_error error = {0};
    struct kgen_cache *cache = kgen_cache_open(NULL, cache_note, fixture, &error);
    assert_non_null(cache);
    struct kgen_record record = cache_sample(4);
    cache_append(cache, &record);
    cache_assert_same(kgen_cache_find(cache, 4), &record);
    assert_string_equal(kgen_cache_path(cache), "");
    assert_int_equal(kgen_cache_clear(cache, &error), 0);
    assert_int_equal(kgen_cache_count(cache), 0);
    kgen_cache_close(cache);
    assert_int_equal(fixture->warnings, 0);
}

static void test_keys(void **state)
{
    (void)state;
    const uint64_t key = kgen_record_key("m", "p", 1, "e");
    assert_int_equal(key, kgen_record_key("m", "p", 1, "e"));
    const uint64_t others[] = {kgen_record_key("n", "p", 1, "e"), kgen_record_key("m", "q", 1, "e"),
                               kgen_record_key("m", "p", 2, "e"), kgen_record_key("m", "p", 1, "f"),
                               kgen_record_key("mp", "", 1, "e")};
    for (size_t i = 0; i < KGEN_COUNT_OF(others); i++)
        assert_true(others[i] != key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CACHE_TEST(test_round_trip),
        CACHE_TEST(test_line_layout),
        CACHE_TEST(test_noise),
        CACHE_TEST(test_later_record_replaces),
        CACHE_TEST(test_numbers_json_cannot_hold),
        CACHE_TEST(test_problem_must_be_an_object),
        CACHE_TEST(test_facts),
        CACHE_TEST(test_memory_only),
        cmocka_unit_test(test_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
