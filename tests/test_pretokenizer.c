/* SPDX-License-Identifier: MIT */
/* How the patterns split texts into words. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/model/tokenizer/pretokenizer.h"

#include "gen/base/word_list.h"

#include <string.h>

#define E_ACUTE "e\xCC\x81"             /* e and a combining acute accent */
#define CJK "\xE4\xBD\xA0\xE5\xA5\xBD"  /* U+4F60 U+597D */
#define KANA "\xE3\x81\x82\xE3\x82\xA2" /* U+3042 U+30A2 */
#define LLAMA "\xF0\x9F\xA6\x99"
#define WIDE_SPACE "\xE3\x80\x80"      /* U+3000 */
#define VOWEL_SEPARATOR "\xE1\xA0\x8E" /* U+180E, which is not white space any more */
#define ARABIC_1 "\xD9\xA1"            /* a digit */
#define UPPER_E "\xC3\x89"             /* U+00C9 */
#define LOWER_E "\xC3\xA9"             /* U+00E9 */

struct row {
    const char *name;
    const char *words[16]; /* together they are the text */
};

static const struct row splits[] = {
    {"smollm", {"Hello", ",", " world", "!"}},
    {"smollm", {"I", "'m", " we", "'ll", " he", "'", "LL", " it", "'s", " they", "'re", " '", "x"}},
    {"smollm", {"a", "1", "2", "3", " b", " ", "4"}},
    /* The digit ends the piece, so that no space is kept for it. */
    {"smollm", {"a", "   ", "1"}},
    {"smollm", {"a", "  ", " b", "\n\n", "\n", "c", "  "}},
    {"smollm", {"a", "\t", "\t", "b"}},
    {"smollm", {CJK, ",", CJK, " ", "1"}},
    {"smollm",
     {"caf"
      "e",
      "\xCC\x81", " " LLAMA LLAMA}},
    {"smollm", {ARABIC_1, ARABIC_1}},
    {"smollm", {"a", WIDE_SPACE, "b", VOWEL_SEPARATOR, "c"}},
    {"gpt-2", {"a", " 123", "abc", " 4"}},
    {"gpt-2", {"a", "  ", " b"}},
    {"gpt-2", {"x", " =", " y", "();", "\n  ", " z"}},
    {"gpt-2", {"we", "'ve", " '", "VE"}},
    {"gpt-2", {ARABIC_1 "2", CJK, "  "}},
    {"llama-bpe", {"we", "'VE", " ", " it", "'s"}},
    {"llama-bpe", {"123", "456", "7", " ", "89"}},
    {"llama-bpe", {"\"quoted", "\"\n\n", "a", ".\n", " b"}},
    {"llama-bpe", {"a", " \n \n", "  ", " b"}},
    {"llama-bpe", {"\tx", "\t", "\ty", "  "}},
    {"llama-bpe",
     {"e", "\xCC\x81"
           "a"}},
    {"llama-bpe", {"(" CJK, LLAMA "a", "!"}},
    {"qwen2", {"1", "2", "3", " ", "4", " a"}},
    {"qwen2", {"I", "'M", " ok", "...\n\n", "b"}},
    {"qwen2",
     {"e", "\xCC\x81"
           "a"}},
    {"qwen35", {E_ACUTE "a", "1", "2"}},
    {"gpt-4o", {"camel", "Case", "HTML", " Word", "123", "4"}},
    {"gpt-4o", {UPPER_E "t" LOWER_E, UPPER_E "A" UPPER_E "b's", " don't", "/\n", E_ACUTE "a"}},
    {"tekken", {UPPER_E "t" LOWER_E, UPPER_E "A" UPPER_E "b", "'s", " don", "'t", "//\n/"}},
    {"tekken", {"camel", "Case", " HTMLa", "1", "2"}},
    {"deepseek-llm", {"a", " b", "\n", "\n", "123"}},
    /* Punctuation goes from ':' to '~' there, and so has the letters of ASCII; the Chinese range has U+3000.
     */
    {"deepseek-llm",
     {"x", " ,.", " ", " y", WIDE_SPACE, "!", CJK, "a", "\xC9\x90\xC9\x91", "\xCA\x94", "   "}},
    {"deepseek-coder", {"a", " b", "\n", "1", "2"}},
    {"deepseek-v3", {"123", "4", "a", CJK KANA, ".b", " c"}},
    {"falcon", {"a", "...", " b", "123", "4"}},
    {"gemma4", {"a b  1234.", "\n\n", "c"}},
    {"default", {"a", " b", "!?", "123", "4"}},
};

struct found {
    const struct row *row;
    size_t word, at;
    bool wrong;
    struct kgen_text written;
    const char *text;
};

static int take(void *context, size_t begin, size_t length)
{
    struct found *found = context;
    kgen_text_printf(&found->written, "[%.*s]", (int)length, found->text + begin);
    const char *word = found->word < KGEN_COUNT_OF(found->row->words) ? found->row->words[found->word] : NULL;
    if (begin != found->at || word == NULL || strlen(word) != length ||
        memcmp(word, found->text + begin, length) != 0)
        found->wrong = true;
    found->word++;
    found->at = begin + length;
    return 0;
}

static void test_splits(void **state)
{
    (void)state;
    for (size_t i = 0; i < KGEN_COUNT_OF(splits); i++) {
        struct kgen_error error = {0};
        struct kgen_pretokenizer *pre =
            kgen_pretokenizer_new(NULL, splits[i].name, strlen(splits[i].name), &error);
        assert_non_null(pre);
        struct kgen_text text = {0};
        size_t count = 0;
        for (; count < KGEN_COUNT_OF(splits[i].words) && splits[i].words[count] != NULL; count++)
            kgen_text_puts(&text, splits[i].words[count]);
        struct found found = {.row = &splits[i], .text = text.data};
        assert_int_equal(kgen_pretokenizer_split(pre, text.data, text.length, take, &found, &error), 0);
        if (found.wrong || found.word != count || found.at != text.length)
            fail_msg("row %zu, %s: %s", i, splits[i].name, found.written.data);
        kgen_text_free(&found.written);
        kgen_text_free(&text);
        kgen_pretokenizer_free(pre);
    }
}

/* Every name of every row is known, and no name stands in two rows. */
static void test_names(void **state)
{
    (void)state;
    size_t count, names = 0;
    const struct kgen_pretokenizer_row *rows = kgen_pretokenizer_rows(&count);
    for (size_t i = 0; i < count; i++) {
        const char *list = rows[i].names;
        size_t length;
        for (const char *name; (name = kgen_word_next(&list, &length)) != NULL; names++) {
            struct kgen_error error = {0};
            struct kgen_pretokenizer *pre = kgen_pretokenizer_new(NULL, name, length, &error);
            if (pre == NULL)
                fail_msg("%.*s: %s", (int)length, name, error.message);
            assert_int_equal(kgen_pretokenizer_flags(pre), rows[i].flags);
            kgen_pretokenizer_free(pre);
            for (size_t j = 0; j < i; j++)
                assert_false(kgen_word_list_has(rows[j].names, name, length));
        }
    }
    assert_true(names > 20);
}

static void test_unknown_names(void **state)
{
    (void)state;
    static const char *const names[] = {"", "smollm3000", "smollm starcoder", "SMOLLM", " "};
    for (size_t i = 0; i < KGEN_COUNT_OF(names); i++) {
        struct kgen_error error = {0};
        assert_null(kgen_pretokenizer_new("file", names[i], strlen(names[i]), &error));
        assert_int_equal(error.code, KGEN_ERROR_SPEC);
        assert_string_equal(error.source, "file");
        assert_non_null(strstr(error.message, names[i]));
        assert_non_null(strstr(error.hint, "known ones are smollm, gpt-2, llama-bpe, "));
    }
}

static int add_length(void *context, size_t begin, size_t length)
{
    size_t *end = context;
    if (begin != *end || length == 0)
        return -1;
    *end += length;
    return 0;
}

/* Long runs of anything end: no pattern goes over a run again for each of its characters. */
static void test_long_runs(void **state)
{
    (void)state;
    static const char *const units[] = {"a",   "A",     "1",     " ", "\n",       ".", " \t",
                                        " \r", E_ACUTE, UPPER_E, CJK, "\xCC\x81", "'", WIDE_SPACE};
    static const char *const ends[] = {"x", "", " ", "7"};
    size_t count, cases = 0;
    const struct kgen_pretokenizer_row *rows = kgen_pretokenizer_rows(&count);
    for (size_t i = 0; i < count; i++) {
        const char *list = rows[i].names;
        size_t length;
        const char *name = kgen_word_next(&list, &length);
        struct kgen_pretokenizer *pre = kgen_pretokenizer_new(NULL, name, length, NULL);
        assert_non_null(pre);
        for (size_t j = 0; j < KGEN_COUNT_OF(units) * KGEN_COUNT_OF(ends); j++, cases++) {
            struct kgen_text text = {0};
            for (size_t k = 0; k < (size_t)1 << 15; k++)
                kgen_text_puts(&text, units[j / KGEN_COUNT_OF(ends)]);
            kgen_text_puts(&text, ends[j % KGEN_COUNT_OF(ends)]);
            size_t end = 0;
            assert_int_equal(kgen_pretokenizer_split(pre, text.data, text.length, add_length, &end, NULL), 0);
            assert_int_equal(end, text.length);
            kgen_text_free(&text);
        }
        kgen_pretokenizer_free(pre);
    }
    assert_true(cases > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_splits), cmocka_unit_test(test_names),
                                       cmocka_unit_test(test_unknown_names),
                                       cmocka_unit_test(test_long_runs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
