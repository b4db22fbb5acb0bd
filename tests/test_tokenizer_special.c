/* SPDX-License-Identifier: MIT */
/* Special tokens, decoding, and what is known of tokens. */
#define _GNU_SOURCE
#include "tests/tokenizer_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#define FFFD "\xEF\xBF\xBD"

/* 256 <s>, 257 <|im_end|>, 258 <u>, 259 <u>x, 260 unknown, 261 unused, 262 "tab\t" with a space, 263 <|end|>.
 */
static void start_specials(struct small_vocabulary *small)
{
    small_start(small, "smollm");
    small_token(small, "<s>", KGEN_TOKEN_CONTROL);
    small_token(small, "<|im_end|>", KGEN_TOKEN_CONTROL);
    small_token(small, "<u>", KGEN_TOKEN_USER_DEFINED);
    small_token(small, "<u>x", KGEN_TOKEN_USER_DEFINED);
    small_token(small, "<unk>", KGEN_TOKEN_UNKNOWN);
    small_token(small, "unused", KGEN_TOKEN_UNUSED);
    small_token(small, " tab\t", KGEN_TOKEN_USER_DEFINED);
    small_token(small, "<|end|>", KGEN_TOKEN_CONTROL);
    small->vocabulary.bos = 256;
    small->vocabulary.eos = 257;
    small->vocabulary.unknown = 260;
}

static void test_parsing(void **state)
{
    (void)state;
    const unsigned add = KGEN_ENCODE_ADD_SPECIAL, parse = KGEN_ENCODE_PARSE_SPECIAL;
    const struct {
        const char *text;
        unsigned flags;
        const char *ids;
    } rows[] = {
        {"a<s>b", parse, "97 256 98"},
        {"<s>", 0, "60 115 62"},
        {"<s><|im_end|><s", parse, "256 257 60 115"},
        {"<u>", 0, "258"},
        {"<u>y<u>x<u", 0, "258 121 259 60 117"},
        {"<<u>x>", parse, "60 259 62"},
        {"<unk>", parse, "260"},
        {"<unk>", 0, "60 117 110 107 62"},
        {"unused", parse, "117 110 117 115 101 100"},
        {"a tab\tb", 0, "97 262 98"},
        {"", add, "256 257"},
        {"a", add, "256 97 257"},
        {"<s>a", add | parse, "256 256 97 257"},
    };
    struct small_vocabulary small;
    start_specials(&small);
    small.vocabulary.add_bos = small.vocabulary.add_eos = KGEN_TOKEN_ADD_YES;
    struct kgen_tokenizer *tokenizer = small_new(&small);
    small_free(&small);
    for (size_t i = 0; i < KGEN_COUNT_OF(rows); i++)
        assert_string_equal(ids_of(tokenizer, rows[i].text, strlen(rows[i].text), rows[i].flags),
                            rows[i].ids);
    kgen_tokenizer_free(tokenizer);
}

/* The file decides whether bos is added, and where it does not the pre-tokenizer's models do. */
static void test_adding(void **state)
{
    (void)state;
    static const struct {
        const char *pre;
        enum kgen_token_add bos;
        bool has_bos, adds;
    } rows[] = {
        {"smollm", KGEN_TOKEN_ADD_DEFAULT, true, false},     {"smollm", KGEN_TOKEN_ADD_YES, true, true},
        {"llama-bpe", KGEN_TOKEN_ADD_DEFAULT, true, true},   {"llama-bpe", KGEN_TOKEN_ADD_NO, true, false},
        {"llama-bpe", KGEN_TOKEN_ADD_DEFAULT, false, false}, {"tekken", KGEN_TOKEN_ADD_DEFAULT, true, true},
        {"gemma4", KGEN_TOKEN_ADD_NO, true, true},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(rows); i++) {
        struct small_vocabulary small;
        small_start(&small, rows[i].pre);
        small.vocabulary.bos = rows[i].has_bos ? 7 : -1;
        small.vocabulary.add_bos = rows[i].bos;
        struct kgen_tokenizer *tokenizer = small_new(&small);
        assert_int_equal(kgen_tokenizer_adds_bos(tokenizer), rows[i].adds);
        assert_false(kgen_tokenizer_adds_eos(tokenizer));
        assert_string_equal(ids_of(tokenizer, "", 0, KGEN_ENCODE_ADD_SPECIAL), rows[i].adds ? "7" : "");
        kgen_tokenizer_free(tokenizer);
        small_free(&small);
    }
}

static void test_decoding(void **state)
{
    (void)state;
    static const struct {
        int64_t id;
        bool special;
        const char *text; /* NULL: an error */
    } rows[] = {
        {97, false, "a"},        {32, false, " "},        {0xE9, false, "\xE9"}, {256, true, "<s>"},
        {256, false, ""},        {258, false, "<u>"},     {260, true, "<unk>"},  {260, false, ""},
        {261, true, ""},         {262, false, " tab\t"},  {-1, true, NULL},      {264, true, NULL},
        {INT64_MAX, true, NULL}, {INT64_MIN, true, NULL},
    };
    struct small_vocabulary small;
    start_specials(&small);
    struct kgen_tokenizer *tokenizer = small_new(&small);
    for (size_t i = 0; i < KGEN_COUNT_OF(rows); i++) {
        struct kgen_text text = {0};
        struct kgen_error error = {0};
        const int result = kgen_tokenizer_decode(tokenizer, rows[i].id, rows[i].special, &text, &error);
        assert_int_equal(result, rows[i].text == NULL ? -1 : 0);
        assert_int_equal(error.code, rows[i].text == NULL ? KGEN_ERROR_USAGE : KGEN_ERROR_NONE);
        assert_string_equal(text.data != NULL ? text.data : "", rows[i].text != NULL ? rows[i].text : "");
        kgen_text_free(&text);
    }
    kgen_tokenizer_free(tokenizer);
    small_free(&small);
}

static void test_queries(void **state)
{
    (void)state;
    struct small_vocabulary small;
    start_specials(&small);
    small.vocabulary.padding = 1000;
    small.vocabulary.chat_template = (struct kgen_token_text){"{{ x }}", 7};
    struct kgen_tokenizer *tokenizer = small_new(&small);
    small_free(&small);
    assert_int_equal(kgen_tokenizer_count(tokenizer), 264);
    assert_int_equal(kgen_tokenizer_bos(tokenizer), 256);
    assert_int_equal(kgen_tokenizer_eos(tokenizer), 257);
    assert_int_equal(kgen_tokenizer_unknown(tokenizer), 260);
    assert_int_equal(kgen_tokenizer_padding(tokenizer), -1);
    assert_int_equal(kgen_tokenizer_type(tokenizer, 97), KGEN_TOKEN_NORMAL);
    assert_int_equal(kgen_tokenizer_type(tokenizer, 261), KGEN_TOKEN_UNUSED);
    assert_int_equal(kgen_tokenizer_type(tokenizer, -5), KGEN_TOKEN_UNDEFINED);
    assert_int_equal(kgen_tokenizer_special(tokenizer, "<|im_end|>"), 257);
    assert_int_equal(kgen_tokenizer_special(tokenizer, "<u>"), 258);
    assert_int_equal(kgen_tokenizer_special(tokenizer, "<u>y"), -1);
    assert_int_equal(kgen_tokenizer_special(tokenizer, "a<u>"), -1);
    assert_int_equal(kgen_tokenizer_special(tokenizer, "unused"), -1);
    assert_int_equal(kgen_tokenizer_special(tokenizer, ""), -1);
    assert_memory_equal(kgen_tokenizer_chat_template(tokenizer).data, "{{ x }}", 7);
    kgen_tokenizer_free(tokenizer);
    kgen_tokenizer_free(NULL);
}

/* "<|end|>" ends what a model says, except where the vocabulary has others for that. */
static void test_ends(void **state)
{
    (void)state;
    for (int harmony = 0; harmony < 2; harmony++) {
        struct small_vocabulary small;
        start_specials(&small);
        small.vocabulary.eos = 10;
        const int32_t back = small_token(&small, "<|return|>", KGEN_TOKEN_CONTROL);
        if (harmony)
            small_token(&small, "<|call|>", KGEN_TOKEN_CONTROL);
        struct kgen_tokenizer *tokenizer = small_new(&small);
        assert_true(kgen_tokenizer_ends(tokenizer, 10));
        assert_true(kgen_tokenizer_ends(tokenizer, 257));
        assert_true(kgen_tokenizer_ends(tokenizer, back));
        assert_int_equal(kgen_tokenizer_ends(tokenizer, 263), !harmony);
        assert_false(kgen_tokenizer_ends(tokenizer, 256));
        assert_false(kgen_tokenizer_ends(tokenizer, -1));
        assert_false(kgen_tokenizer_ends(tokenizer, 100000));
        kgen_tokenizer_free(tokenizer);
        small_free(&small);
    }
}

/* However the bytes are cut, the same characters come, each as soon as it is whole. */
static void test_stream(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *text;
    } rows[] = {
        {"plain", "plain"},
        {"\xC3\xA9t\xC3\xA9", "\xC3\xA9t\xC3\xA9"},
        {"\xF0\x9F\xA6\x99\xE4\xBD\xA0", "\xF0\x9F\xA6\x99\xE4\xBD\xA0"},
        {"a\x80z", "a" FFFD "z"},
        {"\xE4\xBDz", FFFD "z"},
        {"\xF0\x9F\xA6", FFFD},
        {"\xF0\x9F\xE4\xBD\xA0", FFFD "\xE4\xBD\xA0"},
        {"\xC0\xAF", FFFD FFFD},
        {"\xED\xA0\x80", FFFD FFFD FFFD},
        {"\xF4\x90\x80\x80", FFFD FFFD FFFD FFFD},
        {"\xE4", FFFD},
    };
    size_t cases = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(rows); i++) {
        const size_t length = strlen(rows[i].bytes);
        for (size_t step = 1; step <= length; step++, cases++) {
            struct kgen_utf8_stream stream = {0};
            struct kgen_text text = {0};
            for (size_t at = 0; at < length; at += step)
                kgen_utf8_stream_put(&stream, rows[i].bytes + at, at + step < length ? step : length - at,
                                     &text);
            kgen_utf8_stream_end(&stream, &text);
            assert_string_equal(text.data, rows[i].text);
            assert_int_equal(stream.count, 0);
            kgen_text_free(&text);
        }
    }
    assert_true(cases > 20);
    struct kgen_utf8_stream stream = {0};
    struct kgen_text text = {0};
    kgen_utf8_stream_put(&stream, "a\xE4\xBD", 3, &text);
    assert_string_equal(text.data, "a");
    kgen_utf8_stream_put(&stream, "\xA0", 1, &text);
    assert_string_equal(text.data, "a\xE4\xBD\xA0");
    kgen_text_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parsing), cmocka_unit_test(test_adding), cmocka_unit_test(test_decoding),
        cmocka_unit_test(test_queries), cmocka_unit_test(test_ends),   cmocka_unit_test(test_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
