/* SPDX-License-Identifier: MIT */
/* Text to tokens and back. */
#define _GNU_SOURCE
#include "tests/tokenizer_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEED UINT64_C(0x70cef15)
#define SPACE_TEXT "\xC4\xA0" /* a space, as GPT-2 writes it */

/* Tokens 256 and on: he, ll, hell, hello, Gw, Gwo, aa, aaaa, bc, ab. xy is merged, but no token. */
static void start_words(struct small_vocabulary *small, const char *pre)
{
    static const char *const merges[][2] = {
        {"h", "e"}, {"l", "l"},   {"he", "ll"}, {"hell", "o"}, {SPACE_TEXT, "w"}, {SPACE_TEXT "w", "o"},
        {"a", "a"}, {"aa", "aa"}, {"b", "c"},   {"a", "b"},
    };
    small_start(small, pre);
    for (size_t i = 0; i < KGEN_COUNT_OF(merges); i++)
        small_merge_to_token(small, merges[i][0], merges[i][1]);
    small_merge(small, "x y");
}

static void test_merges(void **state)
{
    (void)state;
    static const struct {
        const char *text, *ids;
    } rows[] = {
        {"", ""},
        {"h", "104"},
        {"hello", "259"},
        {"hell", "258"},
        {"hel", "256 108"},
        {"hello wo", "259 261"},
        {"hello  wo", "259 32 261"},
        {"ello", "101 257 111"},
        {"aaa", "262 97"},
        {"aaaaa", "263 97"},
        {"aaaaaaa", "263 262 97"},
        /* bc comes before ab. */
        {"abc", "97 264"},
        {"ab", "265"},
        {"xyz", "120 121 122"},
        {"\xE4\xBD\xA0", "228 189 160"},
        {"\n\t", "10 9"},
    };
    struct small_vocabulary small;
    start_words(&small, "gpt-2");
    struct kgen_tokenizer *tokenizer = small_new(&small);
    small_free(&small);
    for (size_t i = 0; i < KGEN_COUNT_OF(rows); i++)
        assert_string_equal(ids_of(tokenizer, rows[i].text, strlen(rows[i].text), 3), rows[i].ids);
    assert_string_equal(ids_of(tokenizer, "\0", 1, 0), "0");
    kgen_tokenizer_free(tokenizer);
}

/* llama 3's words that are tokens are not split; those of others are. */
static void test_whole_words(void **state)
{
    (void)state;
    static const struct {
        const char *pre, *ids;
    } rows[] = {{"llama-bpe", "266"}, {"gpt-2", "261 114 108 100"}};
    for (size_t i = 0; i < KGEN_COUNT_OF(rows); i++) {
        struct small_vocabulary small;
        start_words(&small, rows[i].pre);
        small_token(&small, SPACE_TEXT "world", KGEN_TOKEN_NORMAL);
        struct kgen_tokenizer *tokenizer = small_new(&small);
        assert_string_equal(ids_of(tokenizer, " world", 6, 0), rows[i].ids);
        kgen_tokenizer_free(tokenizer);
        small_free(&small);
    }
}

/* Merges one pair after the other in an array of strings, as the definition says. Writes the lengths. */
static size_t merge_plainly(const struct small_vocabulary *small, const char *word, size_t length,
                            size_t *lengths)
{
    size_t count = length;
    for (size_t i = 0; i < count; i++)
        lengths[i] = 1;
    for (bool merged = true; merged;) {
        merged = false;
        for (size_t rank = 0; rank < small->vocabulary.merge_count && !merged; rank++) {
            const char *left = small->merges[rank].data, *right = strchr(left, ' ') + 1;
            const size_t left_length = (size_t)(right - left) - 1, right_length = strlen(right);
            size_t at = 0;
            for (size_t i = 0; i + 1 < count; at += lengths[i++]) {
                if (lengths[i] != left_length || lengths[i + 1] != right_length ||
                    memcmp(word + at, left, left_length) != 0 ||
                    memcmp(word + at + left_length, right, right_length) != 0)
                    continue;
                lengths[i] += lengths[i + 1];
                memmove(lengths + i + 1, lengths + i + 2, (count - i - 2) * sizeof *lengths);
                count--;
                merged = true;
                break;
            }
        }
    }
    return count;
}

static void check_word(const struct small_vocabulary *small, const struct kgen_tokenizer *tokenizer,
                       const char *word, size_t length)
{
    size_t lengths[400];
    struct kgen_token_ids ids = {0};
    const size_t count = merge_plainly(small, word, length, lengths);
    assert_int_equal(kgen_tokenizer_encode(tokenizer, word, length, 0, &ids, NULL), 0);
    if (ids.count != count)
        fail_msg("%zu tokens of %.*s, expected %zu", ids.count, (int)length, word, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(small->tokens[ids.ids[i]].length, lengths[i]);
    kgen_token_ids_free(&ids);
}

/* Random merges of four letters, on words that are searched and words that are queued. */
static void test_against_definition(void **state)
{
    (void)state;
    uint64_t random = SEED;
    size_t cases = 0;
    for (int round = 0; round < 30; round++) {
        struct small_vocabulary small;
        small_start(&small, "gpt-2");
        char pieces[64][40] = {"a", "b", "c", "d"};
        size_t piece_count = 4;
        while (piece_count < 40) {
            const char *left = pieces[next_random(&random) % piece_count];
            const char *right = pieces[next_random(&random) % piece_count];
            if (strlen(left) + strlen(right) >= sizeof pieces[0])
                continue;
            small_merge_to_token(&small, left, right);
            snprintf(pieces[piece_count++], sizeof pieces[0], "%s%s", left, right);
        }
        struct kgen_tokenizer *tokenizer = small_new(&small);
        for (size_t length = 1; length <= 400; length += length < 60 ? 1 : 67, cases++) {
            char word[400];
            for (size_t i = 0; i < length; i++)
                word[i] = (char)('a' + (length % 3 == 0 ? i / 40 : next_random(&random)) % 4);
            check_word(&small, tokenizer, word, length);
        }
        kgen_tokenizer_free(tokenizer);
        small_free(&small);
    }
    assert_true(cases > 1000);
}

/* What is not UTF-8: see tokenizer.h. */
static void test_broken_utf8(void **state)
{
    (void)state;
#define BAD "\xEF\xBF\xBD"
    static const struct {
        const char *text;
        size_t length;
        const char *read;
        size_t read_length;
    } rows[] = {
        {"\x80", 1, BAD, 3},
        {"a\xC3", 2, "a" BAD, 4},
        {"a\xC3z", 3, "a" BAD "z", 5},
        {"\xE2\x82", 2, BAD BAD, 6},
        {"\xFF\xFE", 2, BAD BAD, 6},
        {"\xC0\x80", 2, "\0", 1},
        {"\xE0\x80\xA0z", 4, " z", 2},
        {"\xED\xA0\x80", 3, "\xED\xA0\x80", 3},
        {"\xF0\x80\x80\xC1", 4, BAD BAD BAD BAD, 12},
        {"\xF4\x90\x80\x80", 4, BAD BAD BAD BAD, 12},
        {"\xF8\x88\x80\x80\x80", 5, BAD BAD BAD BAD BAD, 15},
        {"\xF4\x8F\xBF\xBF", 4, "\xF4\x8F\xBF\xBF", 4},
    };
    struct small_vocabulary small;
    start_words(&small, "smollm");
    struct kgen_tokenizer *tokenizer = small_new(&small);
    for (size_t i = 0; i < KGEN_COUNT_OF(rows); i++) {
        struct kgen_text back = round_trip(tokenizer, rows[i].text, rows[i].length);
        if (back.length != rows[i].read_length || memcmp(back.data, rows[i].read, back.length) != 0)
            fail_msg("row %zu: %zu bytes", i, back.length);
        kgen_text_free(&back);
    }
    kgen_tokenizer_free(tokenizer);
    small_free(&small);
}

static size_t put_random_character(uint64_t *random, char *text)
{
    static const uint32_t limits[] = {0x80, 0x80, 0x800, 0x10000, 0x110000};
    uint32_t code = (uint32_t)(next_random(random) % limits[next_random(random) % KGEN_COUNT_OF(limits)]);
    if (code >= 0xD800 && code < 0xE000)
        code = 0x4F60;
    if (code < 0x80) {
        text[0] = (char)code;
        return 1;
    }
    const size_t bytes = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = bytes; i-- > 1; code >>= 6)
        text[i] = (char)(0x80 | (code & 0x3F));
    text[0] = (char)((0xF00 >> bytes & 0xFF) | code);
    return bytes;
}

/* UTF-8 comes back as it was; other bytes come back as something that comes back as it was. */
static void test_round_trip(void **state)
{
    (void)state;
    static const char *const pres[] = {"smollm",         "gpt-2",       "llama-bpe", "qwen2",
                                       "qwen35",         "gpt-4o",      "tekken",    "deepseek-llm",
                                       "deepseek-coder", "deepseek-v3", "falcon"};
    uint64_t random = SEED;
    size_t cases = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(pres); i++) {
        struct small_vocabulary small;
        start_words(&small, pres[i]);
        struct kgen_tokenizer *tokenizer = small_new(&small);
        for (int round = 0; round < 60; round++, cases++) {
            char text[2048];
            size_t length = 0;
            const bool broken = round % 3 == 0;
            while (length < 20 + (size_t)round * 30) {
                if (broken)
                    text[length++] = (char)next_random(&random);
                else
                    length += put_random_character(&random, text + length);
            }
            struct kgen_text back = round_trip(tokenizer, text, length);
            struct kgen_text again = round_trip(tokenizer, back.data, back.length);
            const struct kgen_text *first =
                broken ? &back : &(struct kgen_text){.data = text, .length = length};
            if (again.length != first->length || memcmp(again.data, first->data, again.length) != 0)
                fail_msg("%s, round %d of seed %llu", pres[i], round, (unsigned long long)SEED);
            kgen_text_free(&back);
            kgen_text_free(&again);
        }
        kgen_tokenizer_free(tokenizer);
        small_free(&small);
    }
    assert_true(cases > 100);
}

/* A word of a million letters ends, and is merged by the same rules. */
static void test_long_word(void **state)
{
    (void)state;
    struct small_vocabulary small;
    start_words(&small, "llama-bpe");
    struct kgen_tokenizer *tokenizer = small_new(&small);
    const size_t length = (size_t)1 << 20;
    char *word = malloc(length);
    struct kgen_token_ids ids = {0};
    assert_non_null(word);
    memset(word, 'a', length);
    assert_int_equal(kgen_tokenizer_encode(tokenizer, word, length, 3, &ids, NULL), 0);
    assert_int_equal(ids.count, length / 4);
    for (size_t i = 0; i < ids.count; i++)
        assert_int_equal(ids.ids[i], 263);
    /* So do a million spaces, which no pattern may try one by one. */
    memset(word, ' ', length);
    word[length - 1] = '\n';
    ids.count = 0;
    assert_int_equal(kgen_tokenizer_encode(tokenizer, word, length, 3, &ids, NULL), 0);
    assert_int_equal(ids.count, length);
    kgen_token_ids_free(&ids);
    free(word);
    kgen_tokenizer_free(tokenizer);
    small_free(&small);
}

/* Plain text: spaces are U+2581, what no token covers becomes tokens of bytes. */
static void test_plain_text(void **state)
{
    (void)state;
#define LOW "\xE2\x96\x81"
    struct small_vocabulary small;
    small_start(&small, "gemma4");
    for (unsigned byte = 0; byte < 256; byte++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", byte);
        assert_int_equal(small_token(&small, name, KGEN_TOKEN_BYTE), 256 + byte);
    }
    const int32_t low = small_token(&small, LOW, KGEN_TOKEN_NORMAL);
    const int32_t lines = small_token(&small, "\n\n\n", KGEN_TOKEN_NORMAL);
    const int32_t word = small_merge_to_token(&small, LOW, "a");
    small.vocabulary.bos = small_token(&small, "<bos>", KGEN_TOKEN_CONTROL);
    struct kgen_tokenizer *tokenizer = small_new(&small);
    char expected[128];
    const char text[] = "a  a\xC3\xA9\n\n\n";
    /* U+00E9 is a token of small_start's. */
    snprintf(expected, sizeof expected, "%d 97 %d %d 233 %d", (int)small.vocabulary.bos, low, word, lines);
    assert_string_equal(ids_of(tokenizer, text, sizeof text - 1, KGEN_ENCODE_ADD_SPECIAL), expected);
    snprintf(expected, sizeof expected, "%d %d %d %d", 256 + 0xE4, 256 + 0xBD, 256 + 0xA0, word);
    assert_string_equal(ids_of(tokenizer, "\xE4\xBD\xA0 a", 5, 0), expected);
    struct kgen_text back = round_trip(tokenizer, text, sizeof text - 1);
    assert_string_equal(back.data, text);
    kgen_text_free(&back);
    back = round_trip(tokenizer, "\xE4\xBD\xA0 a", 5);
    assert_string_equal(back.data, "\xE4\xBD\xA0 a");
    kgen_text_free(&back);
    kgen_tokenizer_free(tokenizer);
    small_free(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merges),
        cmocka_unit_test(test_whole_words),
        cmocka_unit_test(test_against_definition),
        cmocka_unit_test(test_broken_utf8),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_long_word),
        cmocka_unit_test(test_plain_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
