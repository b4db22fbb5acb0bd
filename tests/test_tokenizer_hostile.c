/* SPDX-License-Identifier: MIT */
/* Vocabularies that cannot be right are refused, or do no harm. */
#define _GNU_SOURCE
#include "tests/tokenizer_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEGABYTE ((size_t)1 << 20)

/* Breaks a vocabulary that smollm would take. */
typedef void breaker(struct small_vocabulary *small);

static void no_tokens(struct small_vocabulary *small)
{
    small->vocabulary.token_count = 0;
}

static void too_many_tokens(struct small_vocabulary *small)
{
    small->vocabulary.token_count = SIZE_MAX;
}

static void too_many_merges(struct small_vocabulary *small)
{
    small->vocabulary.merge_count = SIZE_MAX / 32;
}

static void no_pre_tokenizer(struct small_vocabulary *small)
{
    small->vocabulary.pre = (struct kgen_token_text){NULL, 0};
}

static void strange_pre_tokenizer(struct small_vocabulary *small)
{
    small->vocabulary.pre = (struct kgen_token_text){"strange", 7};
}

static void bos_that_is_not(struct small_vocabulary *small)
{
    small->vocabulary.bos = 99999;
    small->vocabulary.add_bos = KGEN_TOKEN_ADD_YES;
}

static void eos_that_is_not(struct small_vocabulary *small)
{
    small->vocabulary.add_eos = KGEN_TOKEN_ADD_YES;
}

static void endless_token(struct small_vocabulary *small)
{
    small->tokens[3].length = SIZE_MAX;
}

static void endless_merge(struct small_vocabulary *small)
{
    small_merge(small, "a b");
    small->merges[0].length = SIZE_MAX / 2;
}

static void long_special(struct small_vocabulary *small)
{
    char *text = malloc(MEGABYTE);
    assert_non_null(text);
    memset(text, 'a', MEGABYTE);
    small_token_of(small, text, MEGABYTE, KGEN_TOKEN_CONTROL);
    free(text);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        breaker *breaks;
        const char *message;
    } rows[] = {
        {no_tokens, "a vocabulary of 0 tokens"},
        {too_many_tokens, "a vocabulary of"},
        {too_many_merges, "a vocabulary of"},
        {no_pre_tokenizer, "the pre-tokenizer '' is not known"},
        {strange_pre_tokenizer, "the pre-tokenizer 'strange' is not known"},
        {bos_that_is_not, "wants text to begin with a token that it has not"},
        {eos_that_is_not, "wants text to end with a token that it has not"},
        {endless_token, "token 3 has"},
        {endless_merge, "merge 0 has"},
        {long_special, "special token 256 has 1048576 bytes"},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(rows); i++) {
        struct small_vocabulary small;
        struct kgen_error error = {0};
        small_start(&small, "smollm");
        small.vocabulary.source = "hostile.gguf";
        rows[i].breaks(&small);
        assert_null(kgen_tokenizer_new(&small.vocabulary, &error));
        assert_int_equal(error.code, KGEN_ERROR_SPEC);
        assert_string_equal(error.source, "hostile.gguf");
        if (strstr(error.message, rows[i].message) == NULL)
            fail_msg("row %zu: %s", i, error.message);
        small_free(&small);
    }
}

static void test_senseless_merges(void **state)
{
    (void)state;
    static const char *const merges[] = {
        "",      " ",         "  ",        "a",     "a ",  " a",    "a  b",  "ab a",
        "a ba",  "ba b",      "b ab",      "a a",   "a a", "aa a",  "a aa",  "aaa a",
        "aab b", "\xFF \xFE", "\xC4 \xA0", "a b c", "b a", "ab ab", "ba ba", "baba baba",
    };
    struct small_vocabulary small;
    small_start(&small, "smollm");
    for (size_t i = 0; i < KGEN_COUNT_OF(merges); i++)
        small_merge(&small, merges[i]);
    struct kgen_tokenizer *tokenizer = small_new(&small);
    /* What they merge to is no token, and comes as its bytes. */
    const char text[] = "abababaabbaaab abba";
    struct kgen_text back = round_trip(tokenizer, text, sizeof text - 1);
    assert_string_equal(back.data, text);
    kgen_text_free(&back);
    struct kgen_text lots = {0};
    uint64_t random = 5;
    for (int i = 0; i < 5000; i++)
        kgen_text_puts(&lots, next_random(&random) % 2 ? "a" : "b");
    back = round_trip(tokenizer, lots.data, lots.length);
    assert_string_equal(back.data, lots.data);
    kgen_text_free(&back);
    kgen_text_free(&lots);
    kgen_tokenizer_free(tokenizer);
    small_free(&small);
}

static void test_strange_tokens(void **state)
{
    (void)state;
    struct small_vocabulary small;
    small_start(&small, "llama-bpe");
    const int32_t first = small_token(&small, "same", KGEN_TOKEN_NORMAL);
    small_token(&small, "same", KGEN_TOKEN_NORMAL);
    const int32_t special = small_token(&small, "<x>", KGEN_TOKEN_CONTROL);
    small_token(&small, "<x>", KGEN_TOKEN_CONTROL);
    const int32_t empty = small_token(&small, "", KGEN_TOKEN_CONTROL);
    const int32_t foreign = small_token(&small, "\xE4\xBD\xA0", KGEN_TOKEN_NORMAL);
    small_token_of(&small, "\0\0", 2, KGEN_TOKEN_NORMAL);
    small.types[small_token(&small, "typed", KGEN_TOKEN_NORMAL)] = INT32_MIN;
    small.types[small_token(&small, "typed", KGEN_TOKEN_NORMAL)] = 77;
    small_token(&small, "<0xZZ>", KGEN_TOKEN_BYTE);
    small.vocabulary.eos = INT64_MAX;
    small.vocabulary.bos = INT64_MIN;
    char *text = malloc(MEGABYTE);
    assert_non_null(text);
    memset(text, 'z', MEGABYTE);
    const int32_t large = small_token_of(&small, text, MEGABYTE, KGEN_TOKEN_NORMAL);
    struct kgen_tokenizer *tokenizer = small_new(&small);
    char expected[32];
    snprintf(expected, sizeof expected, "%d %d", first, special);
    assert_string_equal(ids_of(tokenizer, "same<x>", 7, KGEN_ENCODE_PARSE_SPECIAL), expected);
    snprintf(expected, sizeof expected, "%d", large);
    assert_string_equal(ids_of(tokenizer, text, MEGABYTE, 0), expected);
    assert_int_equal(kgen_tokenizer_bos(tokenizer), -1);
    assert_int_equal(kgen_tokenizer_eos(tokenizer), -1);
    /* No byte begins it: it can be decoded, and is never given. */
    assert_string_equal(ids_of(tokenizer, "\xE4\xBD\xA0", 3, 0), "228 189 160");
    struct kgen_text decoded = {0};
    for (size_t id = 0; id < kgen_tokenizer_count(tokenizer); id++)
        assert_int_equal(kgen_tokenizer_decode(tokenizer, (int64_t)id, true, &decoded, NULL), 0);
    kgen_text_clear(&decoded);
    assert_int_equal(kgen_tokenizer_decode(tokenizer, foreign, true, &decoded, NULL), 0);
    assert_int_equal(kgen_tokenizer_decode(tokenizer, empty, true, &decoded, NULL), 0);
    assert_string_equal(decoded.data, "\xE4\xBD\xA0");
    kgen_text_free(&decoded);
    kgen_tokenizer_free(tokenizer);
    free(text);
    small_free(&small);
}

/* Bytes that no token has are left out. */
static void test_missing_bytes(void **state)
{
    (void)state;
    struct small_vocabulary small;
    small_start(&small, "smollm");
    small.tokens[98] = small.tokens[97];
    struct kgen_tokenizer *tokenizer = small_new(&small);
    assert_string_equal(ids_of(tokenizer, "abcb", 4, 0), "97 99");
    kgen_tokenizer_free(tokenizer);
    small.vocabulary.types = NULL;
    small.vocabulary.token_count = 1;
    tokenizer = small_new(&small);
    assert_string_equal(ids_of(tokenizer, "abcb", 4, 0), "");
    kgen_tokenizer_free(tokenizer);
    small_free(&small);
}

static void test_long_text(void **state)
{
    (void)state;
    struct small_vocabulary small;
    small_start(&small, "smollm");
    struct kgen_tokenizer *tokenizer = small_new(&small);
    struct kgen_token_ids ids = {0};
    struct kgen_error error = {0};
    assert_int_equal(kgen_tokenizer_encode(tokenizer, "", (size_t)1 << 30, 0, &ids, &error), -1);
    assert_int_equal(error.code, KGEN_ERROR_USAGE);
    kgen_token_ids_free(&ids);
    kgen_tokenizer_free(tokenizer);
    small_free(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),        cmocka_unit_test(test_senseless_merges),
        cmocka_unit_test(test_strange_tokens), cmocka_unit_test(test_missing_bytes),
        cmocka_unit_test(test_long_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
