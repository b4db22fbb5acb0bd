/* SPDX-License-Identifier: MIT */
/* Tokenizers from the metadata of GGUF files. */
#define _GNU_SOURCE
#include "runtime/model/tokenizer/vocabulary_gguf.h"
#include "tests/gguf_fixture.h"
#include "tests/tokenizer_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <string.h>

#define KEY "tokenizer.ggml."

/* What a file has besides; 0 and NULL leave a key out. */
struct row {
    const char *model, *pre;
    bool tokens, merges;
    size_t types; /* how many */
    bool wrong_id, wrong_add;
    const char *message; /* of the error; NULL: it is taken */
};

static const struct row rows[] = {
    {"gpt2", "smollm", true, true, 6, false, false, NULL},
    {"gpt2", "smollm", true, true, 0, false, false, NULL},
    {"gpt2", NULL, true, true, 6, false, false, NULL},
    {"gemma4", NULL, true, true, 6, false, false, NULL},
    {"gpt2", "unheard", true, true, 6, false, false, "the pre-tokenizer 'unheard' is not known"},
    {"bert", "default", true, true, 6, false, false, "tokenizers of the kind 'bert' are not known"},
    {NULL, "smollm", true, true, 6, false, false, "tokenizers of the kind '' are not known"},
    {"gpt2", "smollm", false, true, 0, false, false, "there is no tokenizer.ggml.tokens"},
    {"gpt2", "smollm", true, false, 6, false, false, "there is no tokenizer.ggml.merges"},
    {"gpt2", "smollm", true, true, 4, false, false, "tokenizer.ggml.token_type has 4 elements for 6 tokens"},
    {"gpt2", "smollm", true, true, 6, true, false, "tokenizer.ggml.bos_token_id"},
    {"gpt2", "smollm", true, true, 6, false, true, "tokenizer.ggml.add_bos_token"},
};

static void make(const struct row *row, struct kgen_text *bytes)
{
    static const char *const tokens[] = {"<s>", "a", "b", "ab", "<u>", "\xC3\xA9"}, *const merges[] = {"a b"};
    static const int32_t types[] = {3, 1, 1, 1, 4, 1};
    struct kgen_test_gguf file = {0};
    if (row->model != NULL)
        kgen_test_gguf_string(&file, KEY "model", row->model);
    if (row->pre != NULL)
        kgen_test_gguf_string(&file, KEY "pre", row->pre);
    if (row->tokens)
        kgen_test_gguf_strings(&file, KEY "tokens", tokens, KGEN_COUNT_OF(tokens));
    if (row->merges)
        kgen_test_gguf_strings(&file, KEY "merges", merges, KGEN_COUNT_OF(merges));
    if (row->types > 0)
        kgen_test_gguf_i32s(&file, KEY "token_type", types, row->types);
    if (row->wrong_id)
        kgen_test_gguf_string(&file, KEY "bos_token_id", "0");
    else
        kgen_test_gguf_u32(&file, KEY "bos_token_id", 0);
    if (row->wrong_add)
        kgen_test_gguf_u32(&file, KEY "add_bos_token", 1);
    else
        kgen_test_gguf_bool(&file, KEY "add_bos_token", true);
    kgen_test_gguf_u32(&file, KEY "eos_token_id", 4);
    kgen_test_gguf_string(&file, "tokenizer.chat_template", "{{ x }}");
    kgen_test_gguf_finish(&file, bytes);
}

static void check(const struct row *row, const struct kgen_tokenizer *tokenizer)
{
    assert_int_equal(kgen_tokenizer_count(tokenizer), 6);
    assert_int_equal(kgen_tokenizer_bos(tokenizer), 0);
    assert_int_equal(kgen_tokenizer_eos(tokenizer), 4);
    assert_int_equal(kgen_tokenizer_unknown(tokenizer), -1);
    assert_int_equal(kgen_tokenizer_padding(tokenizer), -1);
    assert_true(kgen_tokenizer_adds_bos(tokenizer));
    assert_false(kgen_tokenizer_adds_eos(tokenizer));
    assert_int_equal(kgen_tokenizer_type(tokenizer, 0),
                     row->types > 0 ? KGEN_TOKEN_CONTROL : KGEN_TOKEN_NORMAL);
    assert_int_equal(kgen_tokenizer_chat_template(tokenizer).length, 7);
    assert_string_equal(ids_of(tokenizer, "abba<u>", 7, KGEN_ENCODE_ADD_SPECIAL),
                        row->types > 0 ? "0 3 2 1 4" : "0 3 2 1");
    /* It stands for a character in plain text, and else for one of its bytes. */
    assert_string_equal(ids_of(tokenizer, "\xC3\xA9", 2, 0), strcmp(row->model, "gemma4") == 0 ? "5" : "");
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < KGEN_COUNT_OF(rows); i++) {
        struct kgen_text bytes = {0};
        struct kgen_error error = {0};
        make(&rows[i], &bytes);
        struct kgen_gguf *gguf = kgen_gguf_parse("made.gguf", bytes.data, bytes.length, &error);
        assert_non_null(gguf);
        struct kgen_tokenizer *tokenizer = kgen_tokenizer_from_gguf(gguf, &error);
        if ((tokenizer == NULL) != (rows[i].message != NULL))
            fail_msg("row %zu: %s", i, error.message);
        if (tokenizer == NULL) {
            assert_int_equal(error.code, KGEN_ERROR_SPEC);
            assert_string_equal(error.source, "made.gguf");
            assert_non_null(strstr(error.message, rows[i].message));
        }
        /* It keeps nothing of the file. */
        kgen_gguf_close(gguf);
        kgen_text_free(&bytes);
        if (tokenizer != NULL)
            check(&rows[i], tokenizer);
        kgen_tokenizer_free(tokenizer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
