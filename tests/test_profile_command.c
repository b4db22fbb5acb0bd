/* SPDX-License-Identifier: MIT */
/* kgen profile: which lines it has, that they add up, and what it refuses. How long anything takes is not
 * looked at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "command_fixture.h"
#include "gen/base/file.h"
#include "gguf_fixture.h"

#define SEED UINT64_C(91)

/* Two layers, of which a part can be taken. */
static const char small_config[] =
    "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", \"hidden_size\": 128,"
    " \"intermediate_size\": 256, \"num_hidden_layers\": 2, \"num_attention_heads\": 4,"
    " \"num_key_value_heads\": 2, \"head_dim\": 32, \"vocab_size\": 96, \"rms_norm_eps\": 1e-05,"
    " \"rope_theta\": 10000, \"max_position_embeddings\": 64, \"tie_word_embeddings\": true,"
    " \"quantization\": {\"bits\": 4, \"group_size\": 32}}";

/* More than any machine that runs tests has memory for. */
static const char large_config[] =
    "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", \"hidden_size\": 32768,"
    " \"intermediate_size\": 131072, \"num_hidden_layers\": 900, \"num_attention_heads\": 256,"
    " \"num_key_value_heads\": 256, \"head_dim\": 128, \"vocab_size\": 96, \"rms_norm_eps\": 1e-05,"
    " \"rope_theta\": 10000, \"max_position_embeddings\": 64, \"tie_word_embeddings\": true,"
    " \"quantization\": {\"bits\": 8, \"group_size\": 32}}";

static int setup(void **state)
{
    (void)state;
    if (kgen_test_command_setup() != 0)
        return -1;
    kgen_test_write_llama("model.gguf", &kgen_test_small_llama, SEED, &kgen_test_mixed_types);
    kgen_test_put_file("small.json", small_config);
    kgen_test_put_file("large.json", large_config);
    kgen_test_put_file("list.json", "{\"problems\": [{\"op\": \"swiglu\", \"size\": 64}]}");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return kgen_test_command_teardown();
}

static json_t *profile(const char *arguments)
{
    char line[256];
    snprintf(line, sizeof line, "profile --json --tune-seconds 0.01 --threads 2 -r 3 %s", arguments);
    struct kgen_test_outcome outcome = kgen_test_run(line);
    if (outcome.status != 0)
        fail_msg("%s: exit status %d\n%s", line, outcome.status, outcome.err.data);
    json_t *root = json_loads(outcome.out.data, 0, NULL);
    if (!json_is_object(root))
        fail_msg("%s: %s", line, outcome.out.data);
    kgen_test_outcome_free(&outcome);
    return root;
}

static int64_t integer(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value))
        fail_msg("%s is no whole number", key);
    return json_integer_value(value);
}

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_number(value))
        fail_msg("%s is no number", key);
    return json_number_value(value);
}

/* Holds the lines of one kind against the sum. */
static void check_sum(const json_t *part, const char *lines_key)
{
    static const char *const keys[] = {"nodes",           "seconds",         "least_seconds",
                                       "prepare_seconds", "waiting_seconds", "bytes"};
    const json_t *lines = json_object_get(part, lines_key), *sum = json_object_get(part, "sum");
    assert_true(json_array_size(lines) > 0);
    for (size_t i = 0; i < KGEN_COUNT_OF(keys); i++) {
        double total = 0;
        for (size_t j = 0; j < json_array_size(lines); j++)
            total += number(json_array_get(lines, j), keys[i]);
        if (!(fabs(total - number(sum, keys[i])) <= 1e-9 * total))
            fail_msg("%s: %s is %g, its lines have %g", lines_key, keys[i], number(sum, keys[i]), total);
    }
}

static const json_t *find_line(const json_t *part, const char *tensors)
{
    const json_t *lines = json_object_get(part, "nodes");
    for (size_t i = 0; i < json_array_size(lines); i++) {
        const json_t *line = json_array_get(lines, i);
        if (strcmp(json_string_value(json_object_get(line, "tensors")), tensors) == 0)
            return line;
    }
    fail_msg("there is no line for %s", tensors);
    return NULL;
}

static void check_part(const json_t *part, int64_t tokens, int64_t position, int64_t layers)
{
    static const char *const of_layers[] = {"self_attn.{q,k,v}_proj", "mlp.down_proj", "mlp.swiglu",
                                            "self_attn.attention"};
    assert_int_equal(integer(part, "tokens"), tokens);
    assert_int_equal(integer(part, "position"), position);
    assert_int_equal(integer(part, "runs"), 3);
    assert_true(number(part, "least_seconds") > 0);
    assert_true(number(part, "least_seconds") <= number(part, "seconds"));
    check_sum(part, "nodes");
    check_sum(part, "ops");
    for (size_t i = 0; i < KGEN_COUNT_OF(of_layers); i++) {
        const json_t *line = find_line(part, of_layers[i]);
        assert_int_equal(integer(line, "nodes"), layers);
        assert_true(number(line, "least_seconds") > 0);
        assert_true(number(line, "least_seconds") <= number(line, "seconds"));
        assert_true(number(line, "prepare_seconds") + number(line, "waiting_seconds") >= 0);
        assert_int_equal(json_is_true(json_object_get(line, "is_matrix")),
                         strstr(of_layers[i], "_proj") != NULL);
    }
    assert_true(number(find_line(part, "mlp.down_proj"), "bytes") > 0);
    assert_true(number(find_line(part, "mlp.swiglu"), "bytes") <= 0);
}

static void test_checkpoint(void **state)
{
    (void)state;
    json_t *root = profile("model.gguf --context 40");
    const int64_t layers = kgen_test_small_llama.layers;
    assert_int_equal(integer(root, "layers"), layers);
    assert_int_equal(integer(root, "model_layers"), layers);
    assert_true(json_is_false(json_object_get(root, "random_weights")));
    assert_true(json_is_null(json_object_get(root, "prompt")));
    check_part(json_object_get(root, "step"), 1, 39, layers);
    assert_true(number(find_line(json_object_get(root, "step"), "mlp.down_proj"), "waiting_seconds") > 0);
    json_decref(root);
}

/* A prompt beside the step; random weights of all layers and of some. */
static void test_spec(void **state)
{
    (void)state;
    static const struct {
        const char *arguments;
        int64_t layers, prompt;
    } cases[] = {{"small.json --context 40 --prompt 7", 2, 7}, {"small.json --context 40 --layers 1", 1, 0}};
    size_t parts = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        json_t *root = profile(cases[i].arguments);
        assert_int_equal(integer(root, "layers"), cases[i].layers);
        assert_int_equal(integer(root, "model_layers"), 2);
        assert_true(json_is_true(json_object_get(root, "random_weights")));
        check_part(json_object_get(root, "step"), 1, 39, cases[i].layers);
        parts++;
        if (cases[i].prompt > 0) {
            check_part(json_object_get(root, "prompt"), cases[i].prompt, 0, cases[i].layers);
            parts++;
        }
        json_decref(root);
    }
    assert_int_equal(parts, 3);
}

static void test_table_and_page(void **state)
{
    (void)state;
    kgen_test_expect(
        "profile small.json --layers 1 --tune-seconds 0.01 --threads 2 -r 2 --context 20 --prompt 5 "
        "--html page.html",
        0, "the first 1 of 2 layers", "written to page.html");
    struct kgen_text page = {0};
    struct kgen_error error = {0};
    assert_int_equal(kgen_file_read("page.html", 1 << 20, &page, &error), 0);
    static const char *const parts[] = {"<title>kgen profile: small.json",
                                        "2 runs at position 19.",
                                        "2 runs at position 0.",
                                        "<svg ",
                                        "mlp.down_proj",
                                        "A prompt",
                                        "waiting for other threads",
                                        "</html>"};
    for (size_t i = 0; i < KGEN_COUNT_OF(parts); i++) {
        if (strstr(page.data, parts[i]) == NULL)
            fail_msg("the page has no '%s'", parts[i]);
    }
    assert_null(strstr(page.data, "nan"));
    kgen_text_free(&page);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *line, *message;
        int status;
    } cases[] = {
        {"profile large.json", "of memory are free", 1},
        {"profile large.json", "--layers ", 1},
        {"profile list.json", "a list of problems has no steps", 2},
        {"profile small.json --layers 3", "the model has 2", 2},
        {"profile small.json --layers 0", "--layers cannot be '0'", 2},
        {"profile model.gguf --layers 1", "--layers is for specs", 2},
        {"profile small.json --prompt many", "--prompt cannot be 'many'", 2},
        {"profile small.json --prompt 0", "--prompt cannot be '0'", 2},
        {"profile missing.json", "missing.json", 2},
        {"profile missing.gguf", "missing.gguf", 2},
        {"profile small.json --html nowhere/page.html --tune-seconds 0.01 -r 1 --context 8", "nowhere", 2},
        {"bench model.gguf --html page.html", "takes no option --html", 2},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++)
        kgen_test_expect(cases[i].line, cases[i].status, NULL, cases[i].message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checkpoint),
        cmocka_unit_test(test_spec),
        cmocka_unit_test(test_table_and_page),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests_name("profile_command", tests, setup, teardown);
}
