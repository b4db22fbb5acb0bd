/* SPDX-License-Identifier: MIT */
/* Whole files of tokenizers that were damaged: cut short, with bits turned over, with great numbers, and with
 * tokens and merges that are there twice, in circles or a megabyte long. What is refused says why; what is
 * taken encodes and decodes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gen/ops/random.h"
#include "runtime/model/tokenizer/vocabulary_json.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEED = 6, PLACES = 200, FLIPS = 3000, ROOM = 32, LONG = 1 << 20 };

/* ' stands for ". */
static const char *const files[] = {
    "{'version': '1.0', 'truncation': null, 'added_tokens': [{'id': 5, 'content': '<s>', 'special': true}, "
    "{'id': 6, 'content': '<tool>', 'special': false, 'lstrip': true, 'rstrip': true}], 'normalizer': "
    "{'type': 'NFC'}, 'pre_tokenizer': {'type': 'Sequence', 'pretokenizers': [{'type': 'Split', 'pattern': "
    "{'Regex': '[^\\\\s]+|\\\\s+'}, 'behavior': 'Isolated'}, {'type': 'Digits', 'individual_digits': true}, "
    "{'type': 'ByteLevel', 'add_prefix_space': false}]}, 'post_processor': {'type': 'TemplateProcessing', "
    "'single': [{'SpecialToken': {'id': '<s>', 'type_id': 0}}, {'Sequence': {'id': 'A', 'type_id': 0}}]}, "
    "'decoder': {'type': 'ByteLevel'}, 'model': {'type': 'BPE', 'fuse_unk': false, 'byte_fallback': false, "
    "'vocab': {'a': 0, 'b': 1, 'ab': 2, '\\u0120': 3, 'aba': 4}, 'merges': ['a b', 'ab a', ['aba', 'b']]}}",
    "{'added_tokens': [{'id': 6, 'content': '</s>', 'special': true}], 'normalizer': {'type': 'Sequence', "
    "'normalizers': [{'type': 'Prepend', 'prepend': '\xE2\x96\x81'}, {'type': 'Replace', 'pattern': "
    "{'String': ' '}, 'content': '\xE2\x96\x81'}]}, 'model': {'type': 'BPE', 'unk_token': '<unk>', "
    "'byte_fallback': true, 'vocab': {'<unk>': 0, 'a': 1, 'b': 2, 'ab': 3, '\xE2\x96\x81': 4, '<0x21>': 5}, "
    "'merges': ['a b']}}",
    "{'pre_tokenizer': {'type': 'Metaspace', 'replacement': '\xE2\x96\x81', 'prepend_scheme': 'always'}, "
    "'post_processor': {'type': 'TemplateProcessing', 'single': [{'Sequence': {'id': 'A'}}, {'SpecialToken': "
    "{'id': '</s>'}}]}, 'added_tokens': [{'id': 5, 'content': '</s>', 'special': true}], 'model': {'type': "
    "'Unigram', 'unk_id': 0, 'vocab': [['<unk>', 0], ['\xE2\x96\x81', -2.5], ['a', -4], ['b', -4], ['ab', "
    "-7.25]]}}",
};

enum outcome { REFUSED, TAKEN };

/* Reads a copy of its own size, so that a sanitizer sees what is read beyond it. */
static enum outcome exercise(const char *text, size_t length, struct kgen_error *error)
{
    static const char sample[] = "ab aba <s>12 !\xC3\xA9<tool> b";
    char *copy = malloc(length > 0 ? length : 1);
    assert_non_null(copy);
    memcpy(copy, text, length);
    const struct kgen_tokenizer_json json = {.source = "hostile.json", .tokenizer = {copy, length}};
    struct kgen_tokenizer *tokenizer = kgen_tokenizer_parse_json(&json, error);
    free(copy);
    if (tokenizer == NULL) {
        assert_int_equal(error->code, KGEN_ERROR_SPEC);
        assert_string_equal(error->source, "hostile.json");
        assert_true(error->message[0] != '\0');
        return REFUSED;
    }
    for (unsigned flags = 0; flags < 4; flags++) {
        struct kgen_token_ids ids = {0};
        struct kgen_text back = {0};
        struct kgen_error failed = {0};
        /* A pattern of the file may take too long. */
        if (kgen_tokenizer_encode(tokenizer, sample, sizeof sample - 1, flags, &ids, &failed) != 0)
            assert_int_equal(failed.code, KGEN_ERROR_SPEC);
        for (size_t i = 0; i < ids.count; i++)
            assert_int_equal(kgen_tokenizer_decode(tokenizer, ids.ids[i], true, &back, NULL), 0);
        kgen_token_ids_free(&ids);
        kgen_text_free(&back);
    }
    kgen_tokenizer_free(tokenizer);
    return TAKEN;
}

/* Returns the text with " in the place of ', and room for a number more; the caller frees it. */
static char *quoted(const char *text)
{
    const size_t length = strlen(text);
    char *copy = malloc(length + ROOM);
    assert_non_null(copy);
    for (size_t i = 0; i <= length; i++)
        copy[i] = text[i] == '\'' ? '"' : text[i];
    return copy;
}

static void test_whole_and_cut(void **state)
{
    size_t cases = 0;
    (void)state;
    for (size_t i = 0; i < KGEN_COUNT_OF(files); i++) {
        char *text = quoted(files[i]);
        const size_t length = strlen(text);
        if (exercise(text, length, &(struct kgen_error){0}) != TAKEN)
            fail_msg("file %zu is refused", i);
        for (size_t j = 0; j < PLACES; j++, cases++) {
            if (exercise(text, length * j / PLACES, &(struct kgen_error){0}) != REFUSED)
                fail_msg("the first %zu of %zu bytes of file %zu are taken", length * j / PLACES, length, i);
        }
        free(text);
    }
    assert_int_equal(cases, PLACES * KGEN_COUNT_OF(files));
}

static void test_bit_flips(void **state)
{
    struct kgen_random random = {SEED};
    size_t outcomes[2] = {0};
    (void)state;
    for (size_t i = 0; i < FLIPS; i++) {
        char *text = quoted(files[i % KGEN_COUNT_OF(files)]);
        const size_t length = strlen(text);
        for (int64_t flips = 1 + kgen_random_below(&random, 3); flips > 0; flips--) {
            const int64_t bit = kgen_random_below(&random, 8 * (int64_t)length);
            text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
        }
        outcomes[exercise(text, length, &(struct kgen_error){0})]++;
        free(text);
    }
    if (outcomes[REFUSED] == 0 || outcomes[TAKEN] == 0)
        fail_msg("seed %d: %zu refused, %zu taken", SEED, outcomes[REFUSED], outcomes[TAKEN]);
}

/* Each number of a file in turn becomes another one. */
static void test_numbers(void **state)
{
    static const char *const numbers[] = {"-1",
                                          "9223372036854775807",
                                          "9223372036854775808",
                                          "-9223372036854775808",
                                          "18446744073709551615",
                                          "4294967295",
                                          "2147483648",
                                          "16777216",
                                          "1e300",
                                          "-1e-300",
                                          "0.5",
                                          "0",
                                          "null",
                                          "'5'",
                                          "[]"};
    size_t outcomes[2] = {0};
    (void)state;
    for (size_t i = 0; i < KGEN_COUNT_OF(files); i++) {
        for (size_t at = 0; files[i][at] != '\0'; at++) {
            /* A number stands behind a blank or a bracket. */
            if (!isdigit((unsigned char)files[i][at]) || (files[i][at - 1] != ' ' && files[i][at - 1] != '-'))
                continue;
            const size_t digits = strspn(files[i] + at, "0123456789.");
            for (size_t j = 0; j < KGEN_COUNT_OF(numbers); j++) {
                struct kgen_text text = {0};
                kgen_text_append(&text, files[i], at - (files[i][at - 1] == '-'));
                kgen_text_puts(&text, numbers[j]);
                kgen_text_puts(&text, files[i] + at + digits);
                char *json = quoted(text.data);
                outcomes[exercise(json, text.length, &(struct kgen_error){0})]++;
                free(json);
                kgen_text_free(&text);
            }
        }
    }
    assert_true(outcomes[REFUSED] > 100 && outcomes[TAKEN] > 20);
}

/* Puts a text in the place of each "%" of a row. */
static void write_row(const char *row, const char *put, struct kgen_text *text)
{
    for (; *row != '\0'; row++) {
        if (*row == '%')
            kgen_text_puts(text, put);
        else
            kgen_text_append(text, row, 1);
    }
}

#define LEVEL ", 'decoder': {'type': 'ByteLevel'}}"

static const struct {
    const char *json;    /* % is a megabyte of "ab" */
    const char *message; /* NULL: it is taken */
} rows[] = {
    /* Merges in circles, of what there is not, that are there twice, and of nothing. */
    {"{'model': {'type': 'BPE', 'vocab': {'a': 0, 'b': 1, 'ab': 2}, 'merges': ['a b', 'ab a', 'aba b', "
     "'b a', 'ba ab', 'ab ab', 'abab ab', 'ab abab']}" LEVEL,
     NULL},
    {"{'model': {'type': 'BPE', 'vocab': {'a': 0, 'b': 1, 'ab': 2}, 'merges': ['a b', 'a b', 'a b']}" LEVEL,
     NULL},
    {"{'model': {'type': 'BPE', 'vocab': {'a': 0}, 'merges': ['x y', 'xy z', '', ' ', 'a']}" LEVEL, NULL},
    {"{'model': {'type': 'BPE', 'vocab': {'a': 0}, 'merges': [['', ''], ['a', '']]}" LEVEL, NULL},
    /* A megabyte: a token, a merge, an added token, a pattern, a key. */
    {"{'model': {'type': 'BPE', 'vocab': {'a': 0, 'b': 1, '%': 2}, 'merges': ['a b']}" LEVEL, NULL},
    {"{'model': {'type': 'BPE', 'vocab': {'a': 0, 'b': 1}, 'merges': ['a b', '% %']}" LEVEL, NULL},
    {"{'model': {'type': 'BPE', 'vocab': {'a': 0}, 'merges': []}, 'added_tokens': [{'id': 1, 'content': '%', "
     "'special': true}]" LEVEL,
     "special token 1 has 1048576 bytes, and 1024 are the most"},
    {"{'model': {'type': 'BPE', 'vocab': {'a': 0}, 'merges': []}, 'pre_tokenizer': {'type': 'Split', "
     "'behavior': 'Isolated', 'pattern': {'Regex': '%'}}" LEVEL,
     "the pattern 'abab"},
    {"{'%': 1, 'model': {'type': 'BPE', 'vocab': {'a': 0}, 'merges': []}" LEVEL, NULL},
    {"{'model': {'type': '%', 'vocab': {'a': 0}, 'merges': []}" LEVEL, "model.type: 'abab"},
    {"{'model': {'type': 'Unigram', 'unk_id': 0, 'vocab': [['<unk>', 0], ['%', -1]]}, 'pre_tokenizer': "
     "{'type': 'Metaspace'}}",
     "token 1 has 1048576 bytes, and 1024 are the most"},
    /* Texts, ids and keys that are there twice, of which the last counts; and an id far beyond the others. */
    {"{'model': {'type': 'BPE', 'vocab': {'a': 0, 'a': 1}, 'merges': []}" LEVEL, NULL},
    {"{'model': {'type': 'BPE', 'vocab': {'a': 0, 'b': 0}, 'merges': []}" LEVEL, NULL},
    {"{'model': {'type': 'BPE', 'vocab': {'a': 0, 'b': 70000}, 'merges': []}" LEVEL,
     "'b' has no id from 0 to"},
    {"{'model': {'type': 'Unigram', 'unk_id': 0, 'vocab': [['a', 0], ['a', -1]]}, 'pre_tokenizer': {'type': "
     "'Metaspace'}}",
     NULL},
    {"{'model': {'type': 'BPE', 'vocab': {'a': 0}, 'merges': []}, 'added_tokens': [{'id': 1, 'content': "
     "'x'}, {'id': 1, 'content': 'y'}]" LEVEL,
     NULL},
    /* Strings that do not end, or end within a character. */
    {"{'model': {'type': 'BPE', 'vocab': {'a", "premature end of input"},
    {"{'model': {'type': 'BPE', 'vocab': {'a\\", "invalid escape"},
    {"{'model': {'type': 'BPE', 'vocab': {'a\\u00", "invalid escape"},
    {"{'model': {'type': 'BPE', 'vocab': {'\xE2\x96", "unable to decode byte 0xe2"},
    {"{'model': {'type': 'BPE', 'vocab': {'\xE2\x96': 0}, 'merges': []}" LEVEL, "unable to decode byte 0xe2"},
    {"{'model': {'type': 'BPE', 'vocab': {'\\udc00': 0}, 'merges': []}" LEVEL, "invalid Unicode"},
};

static void test_rows(void **state)
{
    struct kgen_text large = {0};
    size_t cases = 0;
    (void)state;
    for (size_t i = 0; i < LONG / 2; i++)
        kgen_text_puts(&large, "ab");
    for (size_t i = 0; i < KGEN_COUNT_OF(rows); i++, cases++) {
        struct kgen_text text = {0};
        write_row(rows[i].json, large.data, &text);
        char *json = quoted(text.data);
        struct kgen_error error = {0};
        const enum outcome outcome = exercise(json, text.length, &error);
        if (outcome != (rows[i].message != NULL ? REFUSED : TAKEN) ||
            (outcome == REFUSED && strstr(error.message, rows[i].message) == NULL))
            fail_msg("row %zu, %s: %.100s", i, rows[i].json, outcome == TAKEN ? "taken" : error.message);
        free(json);
        kgen_text_free(&text);
    }
    kgen_text_free(&large);
    assert_int_equal(cases, KGEN_COUNT_OF(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_and_cut),
        cmocka_unit_test(test_bit_flips),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_rows),
    };
    return cmocka_run_group_tests_name("hostile tokenizer.json", tests, NULL, NULL);
}
