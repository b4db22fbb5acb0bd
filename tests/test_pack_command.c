/* SPDX-License-Identifier: MIT */
/* kgen pack, and the commands that read what it writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command_fixture.h"
#include "gen/base/file.h"
#include "gguf_fixture.h"

#define SEED UINT64_C(75)
#define QUICK " --tune-seconds 0.01"

static const char *const tokens[] = {"<s>", "</s>", "a", "b", "c", "d", "ab", "abc", "e", "f"};
static const int32_t types[KGEN_COUNT_OF(tokens)] = {3, 3, 1, 1, 1, 1, 1, 1, 1, 1};
static const char *const merges[] = {"a b", "ab c"};

static const struct kgen_test_tokenizer tokenizer = {.model = "gpt2",
                                                     .pre = "smollm",
                                                     .tokens = tokens,
                                                     .types = types,
                                                     .count = KGEN_COUNT_OF(tokens),
                                                     .merges = merges,
                                                     .merge_count = KGEN_COUNT_OF(merges),
                                                     .bos = 0,
                                                     .eos = 1};

static const struct kgen_test_llama shape = {.hidden = 64,
                                             .intermediate = 96,
                                             .layers = 2,
                                             .heads = 4,
                                             .kv_heads = 2,
                                             .head_dim = 16,
                                             .vocab = KGEN_COUNT_OF(tokens),
                                             .context = 64,
                                             .tied = true,
                                             .tokenizer = &tokenizer};

/* The least token.bin of llama2.c: each of six tokens has a score, a length and its bytes. */
static int write_llama2c_tokenizer(void)
{
    static const char *const pieces[] = {"<unk>", "<s>", "</s>", "a", "b", "ab"};
    struct kgen_text text = {0};
    kgen_test_put(&text, 5, 4);
    for (size_t i = 0; i < KGEN_COUNT_OF(pieces); i++) {
        kgen_test_put(&text, 0, 4);
        kgen_test_put(&text, strlen(pieces[i]), 4);
        kgen_text_puts(&text, pieces[i]);
    }
    const int result = kgen_file_write("tokenizer.bin", text.data, text.length, NULL);
    kgen_text_free(&text);
    return result;
}

static int setup(void **state)
{
    (void)state;
    if (kgen_test_command_setup() != 0)
        return -1;
    kgen_test_write_llama("model.gguf", &shape, SEED, &kgen_test_mixed_types);
    struct kgen_test_llama other = shape;
    other.tokenizer = NULL;
    kgen_test_write_llama("none.gguf", &other, SEED, &kgen_test_mixed_types);
    kgen_test_put_file("tokenizer.json",
                       "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 3, \"b\": 1, \"ab\": 2}, "
                       "\"merges\": [\"a b\"]}, \"decoder\": {\"type\": \"ByteLevel\"}}");
    kgen_test_put_file("overrides.json", "{\"*.down_proj\": {\"bits\": 8}}");
    kgen_test_put_file("note.txt", "a note");
    return write_llama2c_tokenizer();
}

static int teardown(void **state)
{
    (void)state;
    return kgen_test_command_teardown();
}

/* Runs a line with --json. */
static json_t *run(const char *line)
{
    char whole[PATH_MAX + 256];
    snprintf(whole, sizeof whole, "%s --json", line);
    struct kgen_test_outcome outcome = kgen_test_run(whole);
    if (outcome.status != 0)
        fail_msg("%s: exit status %d\n%s", whole, outcome.status, outcome.err.data);
    json_t *root = json_loads(outcome.out.data, 0, NULL);
    assert_non_null(root);
    kgen_test_outcome_free(&outcome);
    return root;
}

static json_int_t integer(const json_t *root, const char *key)
{
    const json_t *value = json_object_get(root, key);
    if (!json_is_integer(value))
        fail_msg("there is no integer \"%s\"", key);
    return json_integer_value(value);
}

/* The text of a package is that of its checkpoint, read in place or packed. */
static void test_text(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "generate model.kgen -p abca -n 12" QUICK,
        "generate model.kgen -p abca -n 12 --no-mmap" QUICK,
        "generate model.kgen -p abca -n 12 --mmap" QUICK,
        "generate model.gguf -p abca -n 12 --mmap" QUICK,
    };
    kgen_test_expect("pack model.gguf -o model.kgen", 0, "model.kgen: ", NULL);
    json_t *expected = run("generate model.gguf -p abca -n 12" QUICK);
    for (size_t i = 0; i < KGEN_COUNT_OF(lines); i++) {
        json_t *root = run(lines[i]);
        const json_t *memory = json_object_get(root, "memory");
        assert_true(
            json_equal(json_object_get(root, "prompt_tokens"), json_object_get(expected, "prompt_tokens")));
        assert_true(json_equal(json_object_get(root, "tokens"), json_object_get(expected, "tokens")));
        assert_true(json_equal(json_object_get(root, "text"), json_object_get(expected, "text")));
        if (i % 2 == 0)
            assert_true(integer(memory, "weights_in_place") > 10000);
        else
            assert_true(integer(memory, "packed_weights") > 10000);
        json_decref(root);
    }
    json_decref(expected);
    kgen_test_expect("bench model.kgen --tests pp4,tg4 -r 1" QUICK, 0, "pp4", NULL);
    kgen_test_put_file("text.txt", "abcabcaabbccdeffedabcabc");
    kgen_test_expect("perplexity model.kgen -f text.txt --window 8" QUICK, 0, "perplexity", NULL);
    kgen_test_expect(
        "generate model.kgen -p a -n 2 --layout stored" QUICK, 0, NULL,
        "of the package are packed again: it has the layout tiles16, and the kernels read stored");
}

/* What a run prints of bytes and memory. */
static void test_figures(void **state)
{
    (void)state;
    json_t *root = run("generate model.gguf -p abca -n 12 --logit-bias 1=-inf" QUICK);
    const double bytes = json_number_value(json_object_get(root, "bytes_per_token"));
    const double rate = json_number_value(json_object_get(root, "bytes_per_second"));
    const double bandwidth = json_number_value(json_object_get(root, "read_bandwidth"));
    const double share = json_number_value(json_object_get(root, "bandwidth_share"));
    const json_t *memory = json_object_get(root, "memory");
    /* Of 64 positions, which the caches have room for, 2 of the prompt and half of 12 are read on average. */
    const double caches = (double)integer(memory, "caches") * 8 / 64;
    const double weights = json_number_value(json_object_get(root, "weight_bytes_per_second")) / rate * bytes;
    assert_true(weights > 10000 && weights < 2 * (double)integer(memory, "packed_weights"));
    if (!(fabs(bytes - weights - caches) < 1))
        fail_msg("%g bytes a token, of which %g of weights; %g expected of caches", bytes, weights, caches);
    assert_true(bandwidth > 0);
    assert_true(share > 0.999 * rate / bandwidth && share < 1.001 * rate / bandwidth);
    /* The last token that was chosen is not in the caches, and the other 13 fill a tile of 16 positions. */
    assert_int_equal(integer(memory, "filled_caches"), integer(memory, "caches") * 16 / 64);
    json_decref(root);
    kgen_test_expect("generate model.gguf -p abca -n 3 --logit-bias 1=-inf" QUICK, 0, NULL,
                     "of the bandwidth of");
    kgen_test_expect("generate model.gguf -p abca -n 3" QUICK, 0, NULL, "kgen: peak memory ");
}

static void test_tokenizers(void **state)
{
    (void)state;
    static const struct {
        const char *pack, *tokenizer;
        int first;
    } cases[] = {
        {"pack model.gguf -o t.kgen --tokenizer tokenizer.json", "tokenizer.json", 2},
        {"pack none.gguf -o t.kgen --tokenizer tokenizer.bin", "tokenizer.bin", 1},
        {"pack none.gguf -o t.kgen --tokenizer model.gguf", "model.gguf", 6},
        {"pack t.kgen -o t.kgen", "model.gguf", 6},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        char line[256];
        json_decref(run(cases[i].pack));
        json_t *packed = run("generate t.kgen -p ab -n 1 --logit-bias 2=1e6" QUICK);
        snprintf(line, sizeof line, "generate none.gguf -p ab -n 1 --logit-bias 2=1e6 --tokenizer %s" QUICK,
                 cases[i].tokenizer);
        json_t *beside = run(line);
        const json_t *ids = json_object_get(packed, "prompt_tokens");
        assert_int_equal(json_integer_value(json_array_get(ids, 0)), cases[i].first);
        assert_true(json_equal(ids, json_object_get(beside, "prompt_tokens")));
        json_decref(packed);
        json_decref(beside);
    }
    kgen_test_expect("pack none.gguf -o none.kgen", 0, NULL, NULL);
    kgen_test_expect("generate none.kgen -p a" QUICK, 2, NULL, "the checkpoint has no tokenizer");
}

static void test_quantising(void **state)
{
    (void)state;
    char line[PATH_MAX + 128];
    snprintf(line, sizeof line,
             "pack %s/tests/models/llama-f16 -o q.kgen --bits 4 --group-size 32 --overrides overrides.json "
             "--tokenizer tokenizer.json",
             kgen_test_source);
    json_t *root = run(line);
    assert_int_equal(integer(root, "matrices"), 8);
    assert_int_equal(integer(root, "quantised"), 8);
    assert_string_equal(json_string_value(json_object_get(root, "layout")), "tiles16");
    json_decref(root);
    root = run("inspect --check q.kgen");
    assert_true(json_is_true(json_object_get(root, "checked")));
    assert_true(json_is_true(json_object_get(root, "valid")));
    assert_string_equal(json_string_value(json_object_get(root, "container")), "package");
    size_t eight = 0, four = 0;
    for (size_t i = 0; i < json_array_size(json_object_get(root, "tensors")); i++) {
        const json_t *tensor = json_array_get(json_object_get(root, "tensors"), i);
        const char *type = json_string_value(json_object_get(tensor, "type"));
        eight += strcmp(type, "affine 8-bit tiles16") == 0 ? 1 : 0;
        four += strcmp(type, "affine 4-bit tiles16") == 0 ? 1 : 0;
    }
    assert_int_equal(eight, 1);
    assert_int_equal(four, 7);
    json_decref(root);
    json_decref(run("generate q.kgen -p ab -n 4 --logit-bias 2=1e6" QUICK));
}

static void damage(const char *from, const char *to)
{
    struct kgen_text file = {0};
    assert_int_equal(kgen_file_read(from, (size_t)1 << 24, &file, NULL), 0);
    file.data[file.length - 100] = (char)(file.data[file.length - 100] ^ 4);
    assert_int_equal(kgen_file_write(to, file.data, file.length, NULL), 0);
    kgen_text_free(&file);
}

static void test_bad_input(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int status;
        const char *err;
    } cases[] = {
        {"pack", 2, "an argument is missing"},
        {"pack model.gguf", 2, "-o FILE.kgen names it"},
        {"pack nothing.gguf -o x.kgen", 2, "cannot open the file"},
        {"pack model.gguf -o note.txt", 2, "this is there already, and is no package"},
        {"pack model.gguf -o model.gguf", 2, "this is there already, and is no package"},
        {"pack model.gguf -o x.kgen --group-size 64", 2, "are for --bits, which is not given"},
        {"pack model.gguf -o x.kgen --bits 4", 2, "every matrix is quantised already"},
        {"pack model.gguf -o x.kgen --overrides no.json", 2, "no.json"},
        {"pack model.gguf -o x.kgen --tokenizer note.txt", 2, "no tokenizer of llama2.c"},
        {"pack model.gguf -o no/x.kgen", 2, "cannot write the file"},
        {"pack model.gguf -o x.kgen --mmap", 2, "takes no option --mmap"},
        {"generate model.gguf -p a --mmap --no-mmap", 2, "--mmap and --no-mmap exclude each other"},
        {"inspect --check model.gguf", 2, "only packages have hashes"},
        {"inspect --check damaged.kgen", 1, "does not have the bytes that were written"},
    };
    kgen_test_expect("pack model.gguf -o good.kgen", 0, NULL, NULL);
    kgen_test_expect("pack model.gguf -o good.kgen", 0, NULL, NULL); /* a package is replaced */
    damage("good.kgen", "damaged.kgen");
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++)
        kgen_test_expect(cases[i].line, cases[i].status, NULL, cases[i].err);
    assert_false(kgen_test_exists("x.kgen"));
    char experts[PATH_MAX + 64];
    snprintf(experts, sizeof experts, "pack %s/tests/models/qwen3-moe-q4 -o experts.kgen", kgen_test_source);
    kgen_test_expect(experts, 0, "layout tiles16", NULL);
    kgen_test_expect("inspect --check experts.kgen", 0, "every byte is as it was written", NULL);
    kgen_test_expect("inspect --check good.kgen", 0, "every byte is as it was written", NULL);
    kgen_test_expect("inspect damaged.kgen", 0, "every weight of the model is there", NULL);
    kgen_test_expect("pack model.gguf -o note.txt --force", 0, NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),       cmocka_unit_test(test_figures),
        cmocka_unit_test(test_tokenizers), cmocka_unit_test(test_quantising),
        cmocka_unit_test(test_bad_input),
    };
    return cmocka_run_group_tests_name("kgen pack", tests, setup, teardown);
}
