/* SPDX-License-Identifier: MIT */
/* Whatever the file of a cache holds: what is good is found, and the rest does no harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cache_fixture.h"

/* What a file may hold besides good lines, and what is to become of it. */
static const struct {
    const char *label, *text;
    int warnings;
    const char *message;
} odd_lines[] = {
    {"words", "not json at all\n", 1, "records.jsonl:2: 1 damaged line "},
    {"two bad lines", "x\n[1,2]\n", 1, "records.jsonl:2: 2 damaged lines "},
    {"an object of no kind", "{\"schema\":1}\n", 1, ":2: 1 damaged"},
    {"an object without a schema", "{}\n", 1, ":2: 1 damaged"},
    {"a key that is none", "{\"key\":\"xyz\",\"schema\":1}\n", 1, ":2: 1 damaged"},
    {"a fact without a value", "{\"fact\":\"f\",\"schema\":1,\"machine\":\"m\"}\n", 1, ":2: 1 damaged"},
    {"deep nesting", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n", 1, ":2: 1 damaged"},
    {"a number too large", "{\"schema\":1e999}\n", 1, ":2: 1 damaged"},
    {"blank lines", "\n  \n\r\n", 0, ""},
    {"another schema", "{\"schema\":2,\"anything\":true}\n", 0, ""},
    {"a record of another schema", "{\"key\":\"00000000000000ff\",\"schema\":2,\"x\":1,\"chosen\":true}\n", 0,
     ""},
    {"a line cut short", "{\"key\":\"0000000000\n", 0, ""},
    {"a line cut after its first letters", "{\"k\n", 0, ""},
    {"a fact cut short", "{\"fact\":\"read_band\n", 0, ""},
};

/* Whatever stands in the last line may be a line that another process is writing. */
static void test_odd_last_line(void **state)
{
    struct cache_fixture *fixture = *state;
    struct kgen_text text = {0};
    cache_add_line(&text, 1, "1", true);
    kgen_text_puts(&text, "tail of something");
    cache_put_file(fixture, text.data, text.length);
    struct kgen_cache *cache = cache_reopen(fixture, NULL);
    assert_int_equal(kgen_cache_count(cache), 1);
    assert_int_equal(fixture->warnings, 0);
    kgen_cache_close(cache);
    kgen_text_free(&text);
}

static void test_odd_lines(void **state)
{
    struct cache_fixture *fixture = *state;
    size_t cases = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(odd_lines); i++, cases++) {
        struct kgen_text text = {0};
        cache_add_line(&text, 1, "1", true);
        kgen_text_puts(&text, odd_lines[i].text);
        cache_add_line(&text, 2, "1", true);
        cache_put_file(fixture, text.data, text.length);
        fixture->warnings = 0;
        fixture->last[0] = '\0';
        struct kgen_cache *cache = cache_reopen(fixture, NULL);
        print_message("case: %s\n", odd_lines[i].label);
        assert_int_equal(fixture->warnings, odd_lines[i].warnings);
        assert_non_null(strstr(fixture->last, odd_lines[i].message));
        assert_int_equal(kgen_cache_count(cache), 2);
        assert_non_null(kgen_cache_find(cache, 1));
        assert_non_null(kgen_cache_find(cache, 2));
        kgen_cache_close(cache);
        struct kgen_text after = cache_get_file(fixture);
        assert_string_equal(after.data, text.data);
        kgen_text_free(&after);
        kgen_text_free(&text);
    }
    assert_true(cases > 0);
}

/* Every way to cut the last line short: it is ignored, and the next one is not glued to it. */
static void test_cut_anywhere(void **state)
{
    struct cache_fixture *fixture = *state;
    struct kgen_text text = {0};
    cache_add_line(&text, 1, "1", true);
    size_t first = text.length;
    cache_add_line(&text, 2, "1", true);
    size_t cases = 0;
    for (size_t length = first; length <= text.length; length++, cases++) {
        cache_put_file(fixture, text.data, length);
        fixture->warnings = 0;
        struct kgen_cache *cache = cache_reopen(fixture, NULL);
        bool whole = length + 1 >= text.length;
        assert_int_equal(kgen_cache_count(cache), whole ? 2 : 1);
        struct kgen_record record = cache_sample(3);
        cache_append(cache, &record);
        cache = cache_reopen(fixture, cache);
        assert_int_equal(kgen_cache_count(cache), whole ? 3 : 2);
        cache_assert_same(kgen_cache_find(cache, 3), &record);
        assert_true(kgen_cache_find(cache, 1)->cold_seconds > 0);
        kgen_cache_close(cache);
        assert_int_equal(fixture->warnings, 0);
    }
    assert_true(cases > 100);
    kgen_text_free(&text);
}

/* A record that begins and ends well and is damaged between: found when it is asked for. */
static void test_damage_within(void **state)
{
    struct cache_fixture *fixture = *state;
    static const struct {
        const char *from, *to;
    } edits[] = {
        {"\"verdict\":\"passed\"", "\"verdict\":\"gassed\""},
        {"\"cases\":1", "\"cases\":-1"},
        {"\"cases\":1", "\"cases\":\"\""},
        {"\"cold_us\":1", "\"cold_us\":-"},
        {"\"problem\":{", "\"problex\":{"},
        {"\"variant\":\"v\"", "\"variant\":333"},
        {"\"repeats\":1", "\"repeats\"\x01"
                          "1"},
        {"\"machine\":\"00\"", "\"machine\":null"},
        {"\"schema\":1,", "\"schema\":1,\"key\":\"0000000000000002\","},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(edits); i++) {
        struct kgen_text line = {0}, text = {0};
        cache_add_line(&line, 1, "1", true);
        char *at = strstr(line.data, edits[i].from);
        assert_non_null(at);
        kgen_text_append(&text, line.data, (size_t)(at - line.data));
        kgen_text_puts(&text, edits[i].to);
        kgen_text_puts(&text, at + strlen(edits[i].from));
        cache_put_file(fixture, text.data, text.length);
        fixture->warnings = 0;
        struct kgen_cache *cache = cache_reopen(fixture, NULL);
        assert_null(kgen_cache_find(cache, 1));
        assert_int_equal(fixture->warnings, 1);
        if (kgen_cache_count(cache) > 0)
            assert_null(kgen_cache_at(cache, 0));
        struct kgen_record record = cache_sample(1);
        cache_append(cache, &record);
        cache_assert_same(kgen_cache_find(cache, 1), &record);
        kgen_cache_close(cache);
        kgen_text_free(&line);
        kgen_text_free(&text);
    }
}

/* A file that went through another JSON tool. */
static void test_other_layout(void **state)
{
    struct cache_fixture *fixture = *state;
    struct kgen_text line = {0};
    cache_add_line(&line, 7, "1", false);
    json_t *root = json_loads(line.data, 0, NULL);
    char *text = json_dumps(root, JSON_SORT_KEYS);
    assert_non_null(text);
    cache_put_file(fixture, text, strlen(text));
    struct kgen_cache *cache = cache_reopen(fixture, NULL);
    const struct kgen_record *found = kgen_cache_find(cache, 7);
    assert_non_null(found);
    json_t *problem = json_loads(found->problem, 0, NULL);
    assert_true(json_equal(problem, json_object_get(root, "problem")));
    json_decref(problem);
    json_decref(root);
    free(text);
    kgen_text_free(&line);
    kgen_cache_close(cache);
    assert_int_equal(fixture->warnings, 0);
}

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

static void test_random_bytes(void **state)
{
    struct cache_fixture *fixture = *state;
    uint64_t seed = 42;
    for (int round = 0; round < 200; round++) {
        char bytes[4096];
        size_t length = next_random(&seed) % sizeof bytes;
        for (size_t i = 0; i < length; i++)
            bytes[i] = (char)next_random(&seed);
        cache_put_file(fixture, bytes, length);
        struct kgen_cache *cache = cache_reopen(fixture, NULL);
        struct kgen_record record = cache_sample(1);
        cache_append(cache, &record);
        cache = cache_reopen(fixture, cache);
        cache_assert_same(kgen_cache_find(cache, 1), &record);
        kgen_cache_close(cache);
    }
    assert_true(fixture->warnings > 0);
}

/* One byte of a good file changed, at every place: never a crash, and the other record stays. */
static void test_flipped_bytes(void **state)
{
    struct cache_fixture *fixture = *state;
    struct kgen_text text = {0};
    cache_add_line(&text, 1, "1", true);
    size_t first = text.length;
    cache_add_line(&text, 2, "1", true);
    static const char replacements[] = {'\0', '"', '}', '{', 'x', (char)0xff};
    for (size_t i = 0; i < first - 1; i++) {
        char old = text.data[i];
        text.data[i] = replacements[i % sizeof replacements];
        cache_put_file(fixture, text.data, text.length);
        struct kgen_cache *cache = cache_reopen(fixture, NULL);
        assert_non_null(kgen_cache_find(cache, 2));
        for (size_t j = 0; j < kgen_cache_count(cache); j++)
            (void)kgen_cache_at(cache, j);
        kgen_cache_close(cache);
        text.data[i] = old;
    }
    kgen_text_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CACHE_TEST(test_odd_lines),     CACHE_TEST(test_odd_last_line), CACHE_TEST(test_cut_anywhere),
        CACHE_TEST(test_damage_within), CACHE_TEST(test_other_layout),  CACHE_TEST(test_random_bytes),
        CACHE_TEST(test_flipped_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
