/* SPDX-License-Identifier: MIT */
/* kgen inspect: what it prints of a whole model, of one with mismatches, and of what is no model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "command_fixture.h"
#include "gen/base/file.h"
#include "gguf_fixture.h"
#include "safetensors_fixture.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { SEED = 8 };

/* A model as mlx-lm saves it. */
static int write_folder(void)
{
    struct kgen_test_tensors tensors;
    struct kgen_text text = {0}, config = {0};
    kgen_test_qwen3_tensors(&tensors, 4);
    kgen_test_safetensors_write(&tensors, SEED, &text);
    kgen_test_qwen3_config("\"quantization\": {\"bits\": 4, \"group_size\": 32}, ", &config);
    const int result =
        kgen_folder_make("folder", NULL) != 0 ||
                kgen_file_write("folder/model.safetensors", text.data, text.length, NULL) != 0 ||
                kgen_file_write("folder/config.json", config.data, config.length, NULL) != 0
            ? -1
            : 0;
    kgen_text_free(&text);
    kgen_text_free(&config);
    return result;
}

static int setup(void **state)
{
    static const char *const tokens[] = {"a", "b\xff", "c"};
    static const struct kgen_test_tokenizer tokenizer = {.model = "gpt2", .tokens = tokens, .count = 3};
    struct kgen_test_llama shape = kgen_test_small_llama;
    struct kgen_test_llama_types types = kgen_test_mixed_types;
    struct kgen_test_gguf file = {0};
    struct kgen_text text = {0};
    (void)state;
    if (kgen_test_command_setup() != 0)
        return -1;
    shape.tokenizer = &tokenizer;
    kgen_test_write_llama("whole.gguf", &shape, SEED, &types);
    types.mlp = 24; /* I8 */
    types.norm = KGEN_GGUF_TENSOR_F16;
    kgen_test_write_llama("plain.gguf", &kgen_test_small_llama, SEED, &types);
    kgen_test_gguf_string(&file, "general.architecture", "mamba");
    kgen_test_gguf_tensor(&file, "t", KGEN_GGUF_TENSOR_F32, 3, (const int64_t[]){4, 2, 3}, NULL);
    kgen_test_gguf_finish(&file, &text);
    const int result = kgen_file_write("other.gguf", text.data, text.length, NULL);
    kgen_text_free(&text);
    kgen_test_put_file("text.gguf", "no model");
    kgen_test_put_file("lone.safetensors", "no model");
    return result != 0 ? result : write_folder();
}

static int teardown(void **state)
{
    (void)state;
    return kgen_test_command_teardown();
}

static void test_text(void **state)
{
    static const struct {
        const char *line;
        int status;
        const char *out, *err;
    } table[] = {
        {"inspect whole.gguf", 0, "whole.gguf: GGUF version 3, ", NULL},
        {"inspect whole.gguf", 0, "general.architecture", NULL},
        {"inspect whole.gguf", 0, "3 of string", NULL},
        {"inspect whole.gguf", 0, "model.layers.1.mlp.down_proj.weight", NULL},
        {"inspect whole.gguf", 0, "64 x 96", NULL},
        {"inspect whole.gguf", 0, "\"rope_pairing\": \"interleaved\"", NULL},
        {"inspect whole.gguf", 0, "21 tensors, ", NULL},
        {"inspect whole.gguf", 0, "6 of Q4_1 (23040 bytes)", NULL},
        {"inspect whole.gguf", 0, "LlamaForCausalLM, 2 layers, hidden 64", NULL},
        {"inspect whole.gguf", 0, "every weight of the model is there, and can be read", NULL},
        {"inspect plain.gguf", 1, "mismatch: model.layers.0.mlp.gate_proj.weight is a matrix of type I8",
         NULL},
        {"inspect plain.gguf", 1, "mismatch: model.layers.1.mlp.down_proj.weight is a matrix of type I8",
         NULL},
        {"inspect plain.gguf", 1, "6 mismatches: the model cannot be run", NULL},
        {"inspect other.gguf", 2, "3 x 2 x 4",
         "error: other.gguf: the architecture \"mamba\" is not supported"},
        {"inspect text.gguf", 2, NULL, "error: text.gguf: at byte 0: this is not a GGUF file"},
        {"inspect folder", 0, "folder: safetensors, 1 file, ", NULL},
        {"inspect folder/", 0, "model.layers.0.mlp.down_proj.weight", NULL},
        {"inspect folder", 0, "affine 4-bit", NULL},
        {"inspect folder", 0, "Qwen3ForCausalLM, 1 layers, hidden 32, 4 bits, group 32", NULL},
        {"inspect folder", 0, "every weight of the model is there, and can be read", NULL},
        {"inspect lone.safetensors", 2, NULL, "a safetensors file alone is no model"},
        {"generate folder -p a", 2, NULL, "error: folder/tokenizer.json"},
        {"perplexity folder -f text.gguf", 2, NULL, "error: folder/tokenizer.json"},
        {"bench folder --tests tg4 --repeats 1 --tune-seconds 0.1 --no-cache", 0, "tg4", NULL},
        {"inspect absent.gguf", 2, NULL, "absent.gguf: cannot open the file"},
        {"inspect", 2, NULL, "an argument is missing: kgen inspect CHECKPOINT"},
        {"inspect a b", 2, NULL, "one argument too many"},
        {"inspect whole.gguf --threads 2", 2, NULL, "kgen inspect takes no option --threads"},
        {"inspect --help", 0, "usage: kgen inspect CHECKPOINT [options]", NULL},
        {"--help", 0, "kgen inspect CHECKPOINT", NULL},
    };
    (void)state;
    size_t cases = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(table); i++, cases++)
        kgen_test_expect(table[i].line, table[i].status, table[i].out, table[i].err);
    assert_int_equal(cases, KGEN_COUNT_OF(table));
}

static json_t *run_json(const char *line, int status)
{
    struct kgen_test_outcome outcome = kgen_test_run(line);
    json_error_t error;
    assert_int_equal(outcome.status, status);
    json_t *root = json_loads(outcome.out.data, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL)
        fail_msg("kgen %s: %s", line, error.text);
    kgen_test_outcome_free(&outcome);
    return root;
}

static void test_json(void **state)
{
    (void)state;
    json_t *root = run_json("inspect whole.gguf --json", 0);
    const json_t *tensors = json_object_get(root, "tensors"), *first = json_array_get(tensors, 0);
    assert_true(json_is_true(json_object_get(root, "valid")));
    assert_true(json_is_null(json_object_get(root, "error")));
    assert_int_equal(json_array_size(tensors), 21);
    assert_int_equal(json_array_size(json_object_get(root, "mismatches")), 0);
    assert_string_equal(json_string_value(json_object_get(first, "stored_name")), "token_embd.weight");
    assert_string_equal(json_string_value(json_object_get(first, "name")), "model.embed_tokens.weight");
    assert_string_equal(json_string_value(json_object_get(first, "type")), "Q8_0");
    assert_string_equal(json_string_value(json_object_get(first, "scheme")), "symmetric");
    assert_int_equal(json_integer_value(json_array_get(json_object_get(first, "shape"), 0)), 50);
    json_int_t bytes = 0;
    size_t i, count = 0;
    json_t *item;
    json_array_foreach(tensors, i, item) bytes += json_integer_value(json_object_get(item, "bytes"));
    assert_int_equal(json_integer_value(json_object_get(root, "tensor_bytes")), bytes);
    json_array_foreach(json_object_get(root, "types"), i, item)
    {
        count += (size_t)json_integer_value(json_object_get(item, "tensors"));
        bytes -= json_integer_value(json_object_get(item, "bytes"));
    }
    assert_int_equal(count, 21);
    assert_int_equal(bytes, 0);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(root, "config"), "vocab_size")), 50);
    bool tokens = false;
    json_array_foreach(json_object_get(root, "metadata"), i, item)
    {
        const json_t *value = json_object_get(item, "value");
        if (strcmp(json_string_value(json_object_get(item, "key")), "tokenizer.ggml.tokens") != 0)
            continue;
        tokens = true;
        assert_string_equal(json_string_value(json_array_get(value, 0)), "a");
        assert_string_equal(json_string_value(json_array_get(value, 1)), "b?");
    }
    assert_true(tokens);
    json_decref(root);
    root = run_json("inspect folder --json", 0);
    assert_string_equal(json_string_value(json_object_get(root, "container")), "safetensors");
    assert_int_equal(json_integer_value(json_object_get(root, "files")), 1);
    assert_true(json_is_null(json_object_get(root, "version")));
    assert_int_equal(json_array_size(json_object_get(root, "tensors")), 13);
    assert_true(json_is_true(json_object_get(root, "valid")));
    json_decref(root);
    root = run_json("inspect plain.gguf --json", 1);
    assert_true(json_is_false(json_object_get(root, "valid")));
    assert_int_equal(json_array_size(json_object_get(root, "mismatches")), 6);
    json_decref(root);
    root = run_json("inspect other.gguf --json", 2);
    assert_true(json_is_false(json_object_get(root, "valid")));
    assert_true(json_is_null(json_object_get(root, "config")));
    assert_non_null(strstr(json_string_value(json_object_get(root, "error")), "\"mamba\" is not supported"));
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_text), cmocka_unit_test(test_json)};
    return cmocka_run_group_tests_name("inspect", tests, setup, teardown);
}
