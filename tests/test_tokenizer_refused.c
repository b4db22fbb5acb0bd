/* SPDX-License-Identifier: MIT */
/* Files of tokenizers that cannot be right, or ask for what there is not, are refused with the place. */
#define _GNU_SOURCE
#include "runtime/model/tokenizer/vocabulary_json.h"
#include "runtime/model/tokenizer/vocabulary_llama2c.h"
#include "tests/tokenizer_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#define MEGABYTE ((size_t)1 << 20)
#define BPE "'model': {'type': 'BPE', 'vocab': {'a': 0, 'b': 1, 'ab': 2}, 'merges': ['a b']}"
#define UNIGRAM "'model': {'type': 'Unigram', 'unk_id': 0, 'vocab': [['<unk>', 0], ['a', -1]]}"
#define LEVEL "'pre_tokenizer': {'type': 'ByteLevel'}"
#define META "'pre_tokenizer': {'type': 'Metaspace'}"
#define SPLIT(pattern) "'pre_tokenizer': {'type': 'Split', 'behavior': 'Isolated', 'pattern': {" pattern "}}"

static const struct {
    const char *json, *message; /* ' is " */
} rows[] = {
    {"", "tokenizer.json: "},
    {"[]", "tokenizer.json: it must be an object"},
    {"{'model': ", "tokenizer.json: "},
    {"{'a': '\\ud800'}", "tokenizer.json: "},
    {"{}", "model: there is none"},
    {"{'model': 3}", "model: there is none"},
    {"{'model': {'type': 'WordPiece', 'vocab': {}}}", "model.type: 'WordPiece' is not supported"},
    {"{'model': {'vocab': {'a': 0}}}", "model.type: '' is not supported"},
    {"{'model': {'type': 'BPE'}}", "model.vocab: it must be an object"},
    {"{'model': {'type': 'BPE', 'vocab': {'a': 0}}}", "model.merges: it must be a list"},
    {"{'model': {'type': 'BPE', 'vocab': {'a': -1}}}", "model.vocab: 'a' has no id from 0 to"},
    {"{'model': {'type': 'BPE', 'vocab': {'a': 4294967296}}}", "model.vocab: 'a' has no id from 0 to"},
    {"{'model': {'type': 'BPE', 'vocab': {'a': 'b'}}}", "model.vocab: 'a' has no id from 0 to"},
    {"{'model': {'type': 'BPE', 'vocab': {'a': 0}, 'merges': [3]}}", "model.merges: element 0 is not"},
    {"{'model': {'type': 'BPE', 'vocab': {'a': 0}, 'merges': [['a']]}}", "model.merges: element 0 is not"},
    {"{'model': {'type': 'BPE', 'vocab': {'a': 0}, 'merges': [], 'dropout': 0.1}}", "model.dropout"},
    {"{'model': {'type': 'BPE', 'vocab': {'a': 0}, 'merges': [], 'end_of_word_suffix': '</w>'}}",
     "model: end_of_word_suffix '</w>' is not supported"},
    {"{'model': {'type': 'BPE', 'vocab': {}, 'merges': []}, " LEVEL "}", "a vocabulary of 0 tokens"},
    {"{'model': {'type': 'Unigram', 'vocab': {}}}", "model.vocab: it must be a list"},
    {"{'model': {'type': 'Unigram', 'vocab': ['a']}}", "model.vocab: element 0 is not [text, score]"},
    {"{'model': {'type': 'Unigram', 'vocab': [['a', 'b']]}}", "model.vocab: element 0 is not [text, score]"},
    {"{'model': {'type': 'Unigram', 'vocab': [['a', -1]]}, " META "}", "needs an unknown token"},
    {"{'model': {'type': 'Unigram', 'unk_id': 9, 'vocab': [['a', -1]]}, " META "}", "needs an unknown token"},
    {"{" BPE ", 'added_tokens': [{'id': 9}]}", "added_tokens: element 0 has no content"},
    {"{" BPE ", 'added_tokens': [{'id': 99999999, 'content': 'x'}]}", "added_tokens: element 0 has no"},
    {"{" BPE ", 'added_tokens': [{'id': 9, 'content': 'x', 'single_word': true}]}", "single_word"},
    {"{" BPE "}", "pre_tokenizer: neither ByteLevel nor Metaspace"},
    {"{" UNIGRAM ", " LEVEL "}", "pre_tokenizer: a Unigram model over bytes"},
    {"{" BPE ", " LEVEL ", 'normalizer': {'type': 'NFKC'}}", "normalizer: the type 'NFKC' is not supported"},
    {"{" BPE ", " LEVEL ", 'normalizer': {'type': 'Sequence'}}",
     "normalizer: a Sequence without normalizers"},
    {"{" BPE ", " LEVEL ", 'normalizer': {'type': 'Prepend', 'prepend': 'x'}}", "normalizer: only U+2581"},
    {"{" BPE ", " LEVEL ", 'normalizer': {'type': 'Replace', 'pattern': {'String': 'a'}, 'content': 'b'}}",
     "normalizer: a Replace of anything but spaces"},
    {"{" BPE ", " LEVEL ", 'normalizer': {'type': 'Strip'}}", "normalizer: Strip is supported of Unigram"},
    {"{" BPE ", " LEVEL ", 'normalizer': {'type': 'Precompiled'}}",
     "normalizer: Precompiled is supported of"},
    {"{" UNIGRAM ", " META ", 'normalizer': {'type': 'Precompiled'}}", "there is no precompiled_charsmap"},
    {"{" UNIGRAM ", " META ", 'normalizer': {'type': 'Precompiled', 'precompiled_charsmap': '%'}}", "base64"},
    {"{" UNIGRAM ", " META ", 'normalizer': {'type': 'Precompiled', 'precompiled_charsmap': 'AAAA'}}",
     "charsmap of 3 bytes is damaged"},
    {"{" BPE ", 'pre_tokenizer': {'type': 'BertPreTokenizer'}}", "the type 'BertPreTokenizer' is not"},
    {"{" BPE ", 'pre_tokenizer': {'type': 'WhitespaceSplit'}}", "WhitespaceSplit without a Precompiled"},
    {"{" BPE ", 'pre_tokenizer': {'type': 'Metaspace', 'replacement': '_'}}", "another replacement"},
    {"{" BPE ", 'pre_tokenizer': {'type': 'Split'}}", "a Split without a pattern"},
    {"{" BPE ", 'pre_tokenizer': {'type': 'Split', 'pattern': {'String': 'a'}, 'behavior': "
     "'MergedWithNext'}}",
     "the behavior 'MergedWithNext' is not supported"},
    {"{" BPE ", 'decoder': {'type': 'ByteLevel'}, " SPLIT("'Regex': '(a'") "}", "the pattern '(a' cannot be"},
    {"{" BPE ", " SPLIT("'Regex': '[a[b]]'") "}", "classes within classes"},
    {"{" BPE ", " SPLIT("'Regex': '[a&&b]'") "}", "classes within classes"},
    {"{" BPE ", " SPLIT("'Regex': '[[:a'") "}", "no end of '[:'"},
    {"{" BPE ", " SPLIT("'Regex': '\\\\h'") "}", "'\\h' in a pattern is not supported"},
    {"{" BPE ", " LEVEL ", 'post_processor': {'type': 'X'}}",
     "post_processor: the type 'X' is not supported"},
    {"{" BPE ", " LEVEL ", 'post_processor': {'type': 'TemplateProcessing'}}", "it must be a list"},
    {"{" BPE ", " LEVEL ", 'post_processor': {'type': 'TemplateProcessing', 'single': [3]}}", "neither"},
    {"{" BPE ", " LEVEL ", 'post_processor': {'type': 'TemplateProcessing', 'single': [{'SpecialToken': "
     "{'id': 'x'}}]}}",
     "a special token that the vocabulary has not"},
    {"{" BPE ", " LEVEL ", 'post_processor': {'type': 'TemplateProcessing', 'single': [{'SpecialToken': "
     "{'id': 'a'}}, {'SpecialToken': {'id': 'b'}}]}}",
     "more than one token at an end"},
    {"{" BPE ", " LEVEL ", 'post_processor': {'type': 'BertProcessing'}}", "must be [text, id]"},
};

static struct kgen_tokenizer *parse(const char *text, size_t length, struct kgen_error *error)
{
    char *json = malloc(length + 1);
    assert_non_null(json);
    for (size_t i = 0; i < length; i++)
        json[i] = text[i] == '\'' ? '"' : text[i];
    const struct kgen_tokenizer_json files = {.source = "hostile.json", .tokenizer = {json, length}};
    struct kgen_tokenizer *tokenizer = kgen_tokenizer_parse_json(&files, error);
    free(json);
    return tokenizer;
}

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < KGEN_COUNT_OF(rows); i++) {
        struct kgen_error error = {0};
        if (parse(rows[i].json, strlen(rows[i].json), &error) != NULL)
            fail_msg("row %zu: %s is taken", i, rows[i].json);
        assert_int_equal(error.code, KGEN_ERROR_SPEC);
        assert_string_equal(error.source, "hostile.json");
        if (strstr(error.message, rows[i].message) == NULL)
            fail_msg("row %zu: %s", i, error.message);
    }
}

/* What is deep, what is large, and each beginning of a file. */
static void test_deep_and_cut(void **state)
{
    (void)state;
    static const char *const opens[] = {"[", "{'a':", "{'model':{'vocab':[",
                                        "{'normalizer':{'normalizers':["};
    for (size_t i = 0; i < KGEN_COUNT_OF(opens); i++) {
        struct kgen_text text = {0};
        struct kgen_error error = {0};
        for (int depth = 0; depth < 100000; depth++)
            kgen_text_puts(&text, opens[i]);
        assert_null(parse(text.data, text.length, &error));
        assert_int_equal(error.code, KGEN_ERROR_SPEC);
        kgen_text_free(&text);
    }
    struct kgen_text nested = {0};
    struct kgen_error error = {0};
    kgen_text_puts(&nested, "{" BPE ", 'normalizer': ");
    for (int depth = 0; depth < 100; depth++)
        kgen_text_puts(&nested, "{'type': 'Sequence', 'normalizers': [");
    for (int depth = 0; depth < 100; depth++)
        kgen_text_puts(&nested, "]}");
    kgen_text_puts(&nested, "}");
    assert_null(parse(nested.data, nested.length, &error));
    assert_non_null(strstr(error.message, "normalizer: the type 'Sequence' is not supported"));
    kgen_text_free(&nested);
    static const char whole[] = "{" BPE ", " LEVEL "}";
    for (size_t length = 0; length < sizeof whole - 1; length++) {
        error = (struct kgen_error){0};
        assert_null(parse(whole, length, &error));
        assert_int_equal(error.code, KGEN_ERROR_SPEC);
    }
    struct kgen_tokenizer *tokenizer = parse(whole, sizeof whole - 1, &error);
    assert_string_equal(ids_of(tokenizer, "ab", 2, 0), "2");
    kgen_tokenizer_free(tokenizer);
}

/* Merges in a circle, a token of a megabyte, and a pattern that would try for ever. */
static void test_costly(void **state)
{
    (void)state;
    struct kgen_text text = {0};
    struct kgen_error error = {0};
    kgen_text_puts(&text, "{'model': {'type': 'BPE', 'vocab': {'a': 0, 'b': 1, '");
    for (size_t i = 0; i < MEGABYTE; i++)
        kgen_text_puts(&text, "b");
    kgen_text_puts(&text, "': 2}, 'merges': ['a b', 'ab a', 'aba b', 'b a', 'ba b', 'ab ab', 'a ba']}, "
                          "'decoder': {'type': 'ByteLevel'}}");
    struct kgen_tokenizer *tokenizer = parse(text.data, text.length, &error);
    assert_non_null(tokenizer);
    struct kgen_text lots = {0}, back;
    for (size_t i = 0; i < MEGABYTE / 8; i++)
        kgen_text_puts(&lots, "ab");
    back = round_trip(tokenizer, lots.data, lots.length);
    assert_string_equal(back.data, lots.data);
    kgen_text_free(&back);
    kgen_tokenizer_free(tokenizer);
    kgen_text_clear(&text);
    kgen_text_puts(&text, "{" BPE ", 'decoder': {'type': 'ByteLevel'}, " SPLIT("'Regex': '(a|a?)+[cd]'") "}");
    tokenizer = parse(text.data, text.length, &error);
    assert_non_null(tokenizer);
    struct kgen_token_ids ids = {0};
    kgen_text_clear(&lots);
    for (size_t i = 0; i < 64; i++)
        kgen_text_puts(&lots, "a");
    assert_int_equal(kgen_tokenizer_encode(tokenizer, lots.data, lots.length, 0, &ids, &error), -1);
    assert_int_equal(error.code, KGEN_ERROR_SPEC);
    kgen_token_ids_free(&ids);
    kgen_tokenizer_free(tokenizer);
    kgen_text_free(&lots);
    kgen_text_free(&text);
}

/* ---- llama2.c ---- */

static void put_number(struct kgen_text *file, uint32_t number)
{
    for (unsigned i = 0; i < 4; i++) {
        const char byte = (char)(unsigned char)(number >> (8 * i));
        kgen_text_append(file, &byte, 1);
    }
}

static void put_token(struct kgen_text *file, const char *text, float score)
{
    uint32_t bits;
    memcpy(&bits, &score, 4);
    put_number(file, bits);
    put_number(file, (uint32_t)strlen(text));
    kgen_text_puts(file, text);
}

static void put_file(struct kgen_text *file)
{
    static const struct {
        const char *text;
        float score;
    } tokens[] = {{"<unk>", 0}, {"\n<s>\n", 0}, {"\n</s>\n", 0}, {"<0x21>", 0}, {" ", -9},
                  {"a", -8},    {"b", -7},      {"ab", -2},      {" a", -3},    {"  ", -1}};
    put_number(file, 6);
    for (size_t i = 0; i < KGEN_COUNT_OF(tokens); i++)
        put_token(file, tokens[i].text, tokens[i].score);
}

static void test_llama2c(void **state)
{
    (void)state;
    static const struct {
        const char *text, *ids;
    } texts[] = {{"", "1"},       {"a", "1 8"},          {"ab", "1 4 7"},
                 {" a", "1 9 5"}, {"a b!", "1 8 4 6 3"}, {"?", "1 4 0"}};
    struct kgen_text file = {0}, decoded = {0};
    struct kgen_error error = {0};
    put_file(&file);
    struct kgen_tokenizer *tokenizer =
        kgen_tokenizer_parse_llama2c("tokenizer.bin", file.data, file.length, &error);
    assert_non_null(tokenizer);
    for (size_t i = 0; i < KGEN_COUNT_OF(texts); i++)
        assert_string_equal(ids_of(tokenizer, texts[i].text, strlen(texts[i].text), KGEN_ENCODE_ADD_SPECIAL),
                            texts[i].ids);
    assert_string_equal(ids_of(tokenizer, "<s>", 3, KGEN_ENCODE_PARSE_SPECIAL), "1");
    for (int64_t id = 0; id < 10; id++)
        assert_int_equal(kgen_tokenizer_decode(tokenizer, id, false, &decoded, &error), 0);
    assert_string_equal(decoded.data, "! abab a  ");
    assert_true(kgen_tokenizer_ends(tokenizer, 2));
    kgen_tokenizer_free(tokenizer);
    /* Every beginning of it is a file of fewer tokens, or none. */
    size_t taken = 0;
    for (size_t length = 0; length < file.length; length++) {
        error = (struct kgen_error){0};
        char *copy = malloc(length + 1);
        memcpy(copy, file.data, length);
        tokenizer = kgen_tokenizer_parse_llama2c("cut.bin", copy, length, &error);
        free(copy);
        taken += tokenizer != NULL;
        if (tokenizer == NULL) {
            assert_int_equal(error.code, KGEN_ERROR_SPEC);
            assert_string_equal(error.source, "cut.bin");
        }
        kgen_tokenizer_free(tokenizer);
    }
    /* Those that end with a token: all but the whole, and the one without any. */
    assert_int_equal(taken, 9);
    kgen_text_free(&decoded);
    kgen_text_free(&file);
}

static void test_llama2c_refused(void **state)
{
    (void)state;
    static const struct {
        uint32_t head, score, length;
        const char *message;
    } cases[] = {
        {0, 0, 1, "it does not begin with a length"},
        {UINT32_MAX, 0, 1, "it does not begin with a length"},
        {6, 0, 2, "token 0, at byte 4, exceeds the 13 bytes of the file"},
        {6, 0, UINT32_MAX, "token 0, at byte 4, exceeds the 13 bytes of the file"},
        {6, 0x7FC00000, 1, "the score of token 0 is not a number"},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_text file = {0};
        struct kgen_error error = {0};
        put_number(&file, cases[i].head);
        put_number(&file, cases[i].score);
        put_number(&file, cases[i].length);
        kgen_text_puts(&file, "a");
        assert_null(kgen_tokenizer_parse_llama2c("hostile.bin", file.data, file.length, &error));
        assert_int_equal(error.code, KGEN_ERROR_SPEC);
        if (strstr(error.message, cases[i].message) == NULL)
            fail_msg("row %zu: %s", i, error.message);
        kgen_text_free(&file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused), cmocka_unit_test(test_deep_and_cut),    cmocka_unit_test(test_costly),
        cmocka_unit_test(test_llama2c), cmocka_unit_test(test_llama2c_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
