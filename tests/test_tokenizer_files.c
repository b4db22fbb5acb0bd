/* SPDX-License-Identifier: MIT */
/* Tokenizers of files that are not part of the repository: those of folders where there are such. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <glob.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command_fixture.h"
#include "gen/base/file.h"
#include "runtime/model/tokenizer/tokenizer_file.h"

/* ---- generate ---- */

static int setup(void **state)
{
    (void)state;
    return kgen_test_command_setup();
}

static int teardown(void **state)
{
    (void)state;
    return kgen_test_command_teardown();
}

/* Checkpoints of llama2.c and their tokenizer. $KGEN_TEST_MODELS, or ../shared/models. */
static void find_models(struct kgen_text *folder)
{
    const char *given = getenv("KGEN_TEST_MODELS");
    if (given != NULL)
        kgen_text_puts(folder, given);
    else
        kgen_text_printf(folder, "%s/../shared/models", kgen_test_source);
    kgen_text_puts(folder, "/");
    assert_false(folder->failed);
}

static const struct {
    const char *model, *more;
    uint64_t hash; /* of the ids that tests/oracle/llama.py gives, each behind it a blank */
} texts[] = {
    {"stories260K.bin", "", UINT64_C(0x746e99a3fc1dc16a)},
    {"stories260K.bin", " --isa avx2", UINT64_C(0x746e99a3fc1dc16a)},
    {"stories260K.bin", " --isa generic", UINT64_C(0x746e99a3fc1dc16a)},
    {"llama2xs.bin", "", UINT64_C(0xd5a8c1cabc27fa43)},
    {"llama2xs.bin", " --isa generic", UINT64_C(0xd5a8c1cabc27fa43)},
};

/* 200 greedy tokens are those of double precision; the nearest of two logits are 0.004 apart. */
static void test_text(void **state)
{
    (void)state;
    struct kgen_text folder = {0};
    size_t done = 0;
    find_models(&folder);
    for (size_t i = 0; i < KGEN_COUNT_OF(texts); i++) {
        struct kgen_text line = {0}, ids = {0};
        kgen_text_printf(&line, "%s%s", folder.data, texts[i].model);
        const bool there = kgen_test_exists(line.data);
        kgen_text_clear(&line);
        kgen_text_printf(&line, "generate %s%s --tokenizer %stok512.bin -f prompt.txt -n 200 --json -q",
                         folder.data, texts[i].model, folder.data);
        kgen_text_printf(&line, " --tune-seconds 0.01 --threads 1%s", texts[i].more);
        kgen_test_put_file("prompt.txt", "Once upon a time");
        struct kgen_test_outcome outcome = {0};
        if (there)
            outcome = kgen_test_run(line.data);
        /* 3: the machine has not this instruction set. */
        if (there && outcome.status != 3) {
            json_t *root = json_loads(outcome.out.data != NULL ? outcome.out.data : "", 0, NULL), *id;
            size_t index;
            if (outcome.status != 0 || root == NULL)
                fail_msg("%s: exit status %d: %s", line.data, outcome.status, outcome.err.data);
            json_array_foreach(json_object_get(root, "tokens"), index, id)
                kgen_text_printf(&ids, "%d ", (int)json_integer_value(id));
            if (kgen_hash(KGEN_HASH_START, ids.data, ids.length) != texts[i].hash)
                fail_msg("%s: other tokens than the oracle's: %s", line.data, ids.data);
            json_decref(root);
            done++;
        }
        kgen_test_outcome_free(&outcome);
        kgen_text_free(&line);
        kgen_text_free(&ids);
    }
    if (done == 0) {
        print_message("skipped: there are no checkpoints in %s; KGEN_TEST_MODELS names their folder\n",
                      folder.data);
        kgen_text_free(&folder);
        skip();
    }
    kgen_text_free(&folder);
}

/* ---- llama.cpp's vectors ---- */

/* Reads numbers of a line; at is behind it then. */
static size_t read_line(const char **at, int32_t *ids, size_t most)
{
    size_t count = 0;
    const char *end = strchr(*at, '\n');
    while (count < most) {
        char *behind;
        const long id = strtol(*at, &behind, 10);
        if (behind == *at || (end != NULL && behind > end))
            break;
        ids[count++] = (int32_t)id;
        *at = behind;
    }
    *at = end != NULL ? end + 1 : *at + strlen(*at);
    return count;
}

/* Texts are between lines of the mark, their ids in as many lines. Returns how many texts there are. */
static size_t compare(const char *vocabulary, const char *texts_path, const char *ids_path)
{
    static const char mark[] = "\n__ggml_vocab_test__\n";
    struct kgen_text input = {0}, output = {0};
    struct kgen_error error = {0};
    struct kgen_tokenizer *tokenizer = kgen_tokenizer_from_file(vocabulary, &error);
    size_t count = 0;
    if (tokenizer == NULL) {
        /* Of a kind that is not known: said, not failed. */
        assert_non_null(strstr(error.message, "are not known"));
        print_message("skipped: %s: %s\n", vocabulary, error.message);
        return 0;
    }
    if (kgen_file_read(texts_path, SIZE_MAX / 2, &input, &error) != 0 ||
        kgen_file_read(ids_path, SIZE_MAX / 2, &output, &error) != 0)
        fail_msg("%s: %s", error.source, error.message);
    const char *line = output.data;
    for (const char *at = input.data, *next; at < input.data + input.length; at = next, count++) {
        int32_t expected[4096];
        const char *end = strstr(at, mark);
        const size_t length = end != NULL ? (size_t)(end - at) : strlen(at);
        next = end != NULL ? end + sizeof mark - 1 : at + length;
        const size_t expected_count = read_line(&line, expected, KGEN_COUNT_OF(expected));
        struct kgen_token_ids ids = {0};
        assert_int_equal(kgen_tokenizer_encode(tokenizer, at, length, 0, &ids, &error), 0);
        if (ids.count != expected_count ||
            (ids.count > 0 && memcmp(ids.ids, expected, ids.count * sizeof *expected) != 0))
            fail_msg("%s: text %zu has other ids: '%.*s'", vocabulary, count, (int)length, at);
        kgen_token_ids_free(&ids);
        if (length == 0 && end == NULL)
            break;
    }
    kgen_text_free(&input);
    kgen_text_free(&output);
    kgen_tokenizer_free(tokenizer);
    return count;
}

/* Every ggml-vocab-*.gguf of $KGEN_TEST_VOCABULARIES that has its texts and ids beside it. */
static void test_vectors(void **state)
{
    (void)state;
    const char *folder = getenv("KGEN_TEST_VOCABULARIES");
    if (folder == NULL) {
        print_message(
            "skipped: KGEN_TEST_VOCABULARIES names no folder with ggml-vocab-*.gguf, .inp and .out\n");
        skip();
    }
    struct kgen_text pattern = {0};
    glob_t found;
    size_t count = 0;
    kgen_text_printf(&pattern, "%s/ggml-vocab-*.gguf.inp", folder);
    assert_int_equal(glob(pattern.data, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *texts_path = found.gl_pathv[i];
        struct kgen_text vocabulary = {0}, ids = {0};
        kgen_text_append(&vocabulary, texts_path, strlen(texts_path) - 4);
        kgen_text_printf(&ids, "%s.out", vocabulary.data);
        count += compare(vocabulary.data, texts_path, ids.data);
        kgen_text_free(&vocabulary);
        kgen_text_free(&ids);
    }
    globfree(&found);
    kgen_text_free(&pattern);
    assert_true(count > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_text), cmocka_unit_test(test_vectors)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
