/* SPDX-License-Identifier: MIT */
/* Tokenizers from tokenizer.json. */
#define _GNU_SOURCE
#include "gen/base/file.h"
#include "runtime/model/tokenizer/chat.h"
#include "runtime/model/tokenizer/tokenizer_file.h"
#include "runtime/model/tokenizer/vocabulary_json.h"
#include "tests/tokenizer_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define S "\xE2\x96\x81" /* U+2581, the space of plain text */
#define G "\xC4\xA0"     /* U+0120, the space of bytes */

/* ' is " in these texts. */
static void quote(const char *text, struct kgen_text *json)
{
    for (; *text != '\0'; text++)
        kgen_text_append(json, *text == '\'' ? "\"" : text, 1);
    assert_false(json->failed);
}

static struct kgen_tokenizer *parse(const char *text, const char *config, struct kgen_error *error)
{
    struct kgen_text json = {0}, other = {0};
    quote(text, &json);
    quote(config != NULL ? config : "", &other);
    const struct kgen_tokenizer_json files = {
        .source = "made.json", .tokenizer = {json.data, json.length}, .config = {other.data, other.length}};
    struct kgen_tokenizer *tokenizer = kgen_tokenizer_parse_json(&files, error);
    kgen_text_free(&json);
    kgen_text_free(&other);
    return tokenizer;
}

/* ---- what is read ---- */

#define BYTES_MODEL                                                                                          \
    "'model': {'type': 'BPE', 'vocab': {'a': 0, 'b': 1, '" G "': 2, 'ab': 3, '" G                            \
    "a': 4, '1': 5, '2': 6, '12': 7, '.': 8, '..': 9, 'bb': 10}, 'merges': ['a b', '" G                      \
    " a', ['1', '2'], '. .', 'b b']"
#define BYTES "{" BYTES_MODEL "}, 'decoder': {'type': 'ByteLevel'}, 'pre_tokenizer': "
#define LEVEL "{'type': 'ByteLevel', 'use_regex': false}"

/* a, b and the space; bytes; an accent that is no token is two bytes. */
#define PLAIN_MODEL                                                                                          \
    "'model': {'type': 'BPE', 'unk_token': '<unk>', 'vocab': {'<unk>': 0, '<s>': 1, '</s>': 2, 'a': 3, "     \
    "'b': 4, '" S "': 5, 'ab': 6, '" S "a': 7, '" S S                                                        \
    "': 8, '<0xC3>': 9, '<0xA9>': 10}, 'merges': ['a b', '" S " a', '" S " " S "']"
#define PLAIN "{" PLAIN_MODEL ", 'byte_fallback': true}, "
#define LLAMA                                                                                                \
    "'normalizer': {'type': 'Sequence', 'normalizers': [{'type': 'Prepend', 'prepend': '" S                  \
    "'}, {'type': 'Replace', 'pattern': {'String': ' '}, 'content': '" S "'}]}"
#define GEMMA                                                                                                \
    "'normalizer': {'type': 'Replace', 'pattern': {'String': ' '}, 'content': '" S                           \
    "'}, 'pre_tokenizer': {'type': 'Split', 'pattern': {'String': ' '}, 'behavior': 'MergedWithPrevious'}"
#define META(more) "'pre_tokenizer': {'type': 'Metaspace', 'replacement': '" S "'" more "}"

#define UNIGRAM                                                                                              \
    "{'model': {'type': 'Unigram', 'unk_id': 0, 'vocab': [['<unk>', 0], ['" S                                \
    "', -2], ['a', -4], ['b', -4], ['ab', -7], ['" S "a', -5]]}, "

static const struct {
    const char *json, *text, *ids;
} reads[] = {
    {BYTES LEVEL "}", "ab a12", "3 4 7"},
    {BYTES "{'type': 'ByteLevel'}}", "ab a12", "3 4 7"},
    {BYTES "{'type': 'ByteLevel', 'add_prefix_space': true}}", "ab", "2 3"},
    {BYTES "{'type': 'ByteLevel', 'add_prefix_space': true}}", " ab", "2 3"},
    {BYTES "{'type': 'Sequence', 'pretokenizers': [{'type': 'Digits', 'individual_digits': true}, " LEVEL
           "]}}",
     "12", "5 6"},
    {BYTES "{'type': 'Sequence', 'pretokenizers': [{'type': 'Digits'}, " LEVEL "]}}", "12", "7"},
    {BYTES "{'type': 'Sequence', 'pretokenizers': [{'type': 'Punctuation'}, " LEVEL "]}}", "..", "8 8"},
    {BYTES "{'type': 'Sequence', 'pretokenizers': [{'type': 'Punctuation', 'behavior': 'Contiguous'}, " LEVEL
           "]}}",
     "..", "9"},
    {BYTES "{'type': 'Sequence', 'pretokenizers': [{'type': 'Split', 'pattern': {'Regex': "
           "'[^\\\\s]|\\\\s+'}, 'behavior': 'Isolated'}, " LEVEL "]}}",
     "ab a", "0 1 2 0"},
    {BYTES "{'type': 'Sequence', 'pretokenizers': [{'type': 'Split', 'pattern': {'String': '.'}, 'behavior': "
           "'Isolated'}, " LEVEL "]}}",
     "ab..", "3 8 8"},
    /* A bracket in a class, and one that comes first there. */
    {BYTES "{'type': 'Split', 'pattern': {'Regex': '[][:digit:]]'}, 'behavior': 'Isolated'}}", "12", "5 6"},
    {PLAIN LLAMA "}", "ab a", "5 6 7"},
    {PLAIN LLAMA "}", " a", "5 7"},
    {PLAIN LLAMA "}", "\xC3\xA9", "5 9 10"},
    {PLAIN LLAMA "}", "xx", "5 0 0"},
    {"{" PLAIN_MODEL ", 'fuse_unk': true}, " LLAMA "}", "xxa", "5 0 3"},
    {PLAIN GEMMA "}", "ab a  ", "6 7 8"},
    {PLAIN META("") "}", "a  a", "7 5 7"},
    {PLAIN META(", 'split': false") "}", "b  b", "5 4 8 4"},
    {PLAIN META(", 'prepend_scheme': 'never'") "}", "a a", "3 7"},
    {PLAIN META(", 'prepend_scheme': 'always'") "}", " a", "7"},
    {PLAIN META(", 'add_prefix_space': false") "}", "a", "3"},
    {PLAIN META(", 'prepend_scheme': 'first'") ", 'added_tokens': [{'id': 11, 'content': '|'}]}", "a|a",
     "7 11 3"},
    {UNIGRAM META("") "}", "ab a  xx", "1 4 5 1 1 0"},
    {UNIGRAM META("") ", 'normalizer': {'type': 'Replace', 'pattern': {'Regex': ' {2,}'}, 'content': ' '}}",
     "ab  a ", "1 4 5"},
    {UNIGRAM META("") ", 'added_tokens': [{'id': 9, 'content': 'ab', 'lstrip': true, 'rstrip': true}]}",
     "a ab b", "5 9 1 3"},
};

static void test_reads(void **state)
{
    (void)state;
    for (size_t i = 0; i < KGEN_COUNT_OF(reads); i++) {
        struct kgen_error error = {0};
        struct kgen_tokenizer *tokenizer = parse(reads[i].json, NULL, &error);
        if (tokenizer == NULL)
            fail_msg("row %zu: %s", i, error.message);
        const char *ids = ids_of(tokenizer, reads[i].text, strlen(reads[i].text), 3);
        if (strcmp(ids, reads[i].ids) != 0)
            fail_msg("row %zu, '%s': %s in place of %s", i, reads[i].text, ids, reads[i].ids);
        kgen_tokenizer_free(tokenizer);
    }
}

/* ---- the ends of a text ---- */

#define TEMPLATE(single)                                                                                     \
    "'post_processor': {'type': 'TemplateProcessing', 'single': [" single                                    \
    "], 'special_tokens': {'<s>': {'id': '<s>', 'ids': [1], 'tokens': ['<s>']}}}"
#define SPECIAL(id) "{'SpecialToken': {'id': '" id "', 'type_id': 0}}"
#define TEXT "{'Sequence': {'id': 'A', 'type_id': 0}}"

static const struct {
    const char *processor, *config, *ids;
    int32_t bos, eos;
} ends[] = {
    {"'post_processor': null", NULL, "7", -1, -1},
    {"'post_processor': null", "{'bos_token': '<s>', 'eos_token': {'content': '</s>'}}", "7", 1, 2},
    {"'post_processor': null", "{'bos_token': '<s>', 'add_bos_token': true}", "1 7", 1, -1},
    {"'post_processor': null", "{'eos_token': '</s>', 'add_eos_token': true, 'x': 1000000000000000000000000}",
     "7 2", -1, 2},
    {TEMPLATE(SPECIAL("<s>") ", " TEXT), NULL, "1 7", 1, -1},
    {TEMPLATE(SPECIAL("<s>") ", " TEXT ", " SPECIAL("</s>")), NULL, "1 7 2", 1, 2},
    {TEMPLATE(TEXT), "{'bos_token': '<s>', 'add_bos_token': true}", "7", 1, -1},
    {"'post_processor': {'type': 'Sequence', 'processors': [{'type': 'ByteLevel'}, {'type': "
     "'RobertaProcessing', 'cls': ['<s>', 1], 'sep': ['</s>', 2]}]}",
     NULL, "1 7 2", 1, 2},
};

static void test_ends(void **state)
{
    (void)state;
    for (size_t i = 0; i < KGEN_COUNT_OF(ends); i++) {
        struct kgen_error error = {0};
        struct kgen_text json = {0};
        kgen_text_printf(&json, "%s%s}", PLAIN LLAMA ", ", ends[i].processor);
        struct kgen_tokenizer *tokenizer = parse(json.data, ends[i].config, &error);
        if (tokenizer == NULL)
            fail_msg("row %zu: %s", i, error.message);
        assert_string_equal(ids_of(tokenizer, "a", 1, KGEN_ENCODE_ADD_SPECIAL), ends[i].ids);
        assert_int_equal(kgen_tokenizer_bos(tokenizer), ends[i].bos);
        assert_int_equal(kgen_tokenizer_eos(tokenizer), ends[i].eos);
        assert_int_equal(kgen_tokenizer_unknown(tokenizer), 0);
        kgen_tokenizer_free(tokenizer);
        kgen_text_free(&json);
    }
}

/* What a token decodes to, and which are special. */
static void test_tokens(void **state)
{
    (void)state;
    struct kgen_error error = {0};
    struct kgen_text text = {0};
    struct kgen_tokenizer *tokenizer =
        parse(PLAIN LLAMA ", 'added_tokens': [{'id': 1, 'content': '<s>', 'special': true}, {'id': 20, "
                          "'content': '<x>'}]}",
              NULL, &error);
    assert_non_null(tokenizer);
    assert_int_equal(kgen_tokenizer_count(tokenizer), 21);
    assert_int_equal(kgen_tokenizer_type(tokenizer, 1), KGEN_TOKEN_CONTROL);
    assert_int_equal(kgen_tokenizer_type(tokenizer, 20), KGEN_TOKEN_USER_DEFINED);
    assert_int_equal(kgen_tokenizer_type(tokenizer, 15), KGEN_TOKEN_UNUSED);
    assert_int_equal(kgen_tokenizer_type(tokenizer, 9), KGEN_TOKEN_BYTE);
    for (int64_t id = 0; id < 21; id++)
        assert_int_equal(kgen_tokenizer_decode(tokenizer, id, false, &text, &error), 0);
    assert_string_equal(text.data, "<unk></s>ab ab a  \xC3\xA9<x>");
    kgen_text_free(&text);
    kgen_tokenizer_free(tokenizer);
}

/* ---- files ---- */

static void put(const char *folder, const char *name, const char *text)
{
    struct kgen_text path = {0}, json = {0};
    struct kgen_error error = {0};
    kgen_text_printf(&path, "%s/%s", folder, name);
    quote(text, &json);
    assert_int_equal(kgen_file_write(path.data, json.data, json.length, &error), 0);
    kgen_text_free(&path);
    kgen_text_free(&json);
}

#define CHAT "<|im_start|><|im_end|>add_generation_prompt"

static void test_folder(void **state)
{
    (void)state;
    static const struct {
        const char *config, *jinja;
        bool chatml;
    } rows[] = {
        {NULL, NULL, false},
        {"{'chat_template': '" CHAT "'}", NULL, true},
        {"{'chat_template': [{'name': 'tool_use', 'template': 'x'}, {'name': 'default', 'template': '" CHAT
         "'}]}",
         NULL, true},
        {"{'chat_template': 'x'}", CHAT, true},
        {"{'chat_template': 17}", NULL, false},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(rows); i++) {
        char folder[] = "/tmp/kgen-test-XXXXXX", command[64], path[64];
        struct kgen_error error = {0};
        assert_non_null(mkdtemp(folder));
        put(folder, "tokenizer.json", PLAIN LLAMA "}");
        if (rows[i].config != NULL)
            put(folder, "tokenizer_config.json", rows[i].config);
        if (rows[i].jinja != NULL)
            put(folder, "chat_template.jinja", rows[i].jinja);
        snprintf(path, sizeof path, "%s%s", folder, i % 2 == 0 ? "" : "/tokenizer.json");
        struct kgen_tokenizer *tokenizer = kgen_tokenizer_from_file(path, &error);
        if (tokenizer == NULL)
            fail_msg("row %zu: %s", i, error.message);
        const char *kind = kgen_chat_kind(tokenizer);
        assert_int_equal(kind != NULL && strcmp(kind, "chatml") == 0, rows[i].chatml);
        kgen_tokenizer_free(tokenizer);
        snprintf(command, sizeof command, "rm -r %s", folder);
        assert_int_equal(system(command), 0);
    }
}

static void test_missing(void **state)
{
    (void)state;
    struct kgen_error error = {0};
    assert_null(kgen_tokenizer_from_json("/nowhere/at/all", &error));
    assert_int_equal(error.code, KGEN_ERROR_IO);
    assert_non_null(strstr(error.source, "/nowhere/at/all"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads),  cmocka_unit_test(test_ends),    cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_folder), cmocka_unit_test(test_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
