/* SPDX-License-Identifier: MIT */
/* kgen bench: which tests it runs and how it shows them. How fast they are is not looked at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "command_fixture.h"
#include "gen/base/file.h"
#include "gguf_fixture.h"

#define SEED UINT64_C(74)

static int setup(void **state)
{
    (void)state;
    static const char *const tokens[] = {"a", "b", "ab"};
    static const char *const merges[] = {"a b"};
    struct kgen_test_tokenizer tokenizer = {.model = "gpt2",
                                            .pre = "smollm",
                                            .tokens = tokens,
                                            .count = KGEN_COUNT_OF(tokens),
                                            .merges = merges,
                                            .merge_count = KGEN_COUNT_OF(merges)};
    struct kgen_test_llama shape = kgen_test_small_llama;
    if (kgen_test_command_setup() != 0)
        return -1;
    shape.vocab = KGEN_COUNT_OF(tokens);
    shape.context = 64;
    shape.tokenizer = &tokenizer;
    kgen_test_write_llama("model.gguf", &shape, SEED, &kgen_test_mixed_types);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return kgen_test_command_teardown();
}

static json_t *bench(const char *arguments)
{
    char line[256];
    snprintf(line, sizeof line, "bench model.gguf --json --tune-seconds 0.01 %s", arguments);
    struct kgen_test_outcome outcome = kgen_test_run(line);
    if (outcome.status != 0)
        fail_msg("%s: exit status %d\n%s", line, outcome.status, outcome.err.data);
    json_t *root = json_loads(outcome.out.data, 0, NULL);
    if (!json_is_array(root))
        fail_msg("%s: %s", line, outcome.out.data);
    kgen_test_outcome_free(&outcome);
    return root;
}

static void assert_number(const json_t *item, const char *key, int64_t expected)
{
    const json_t *value = json_object_get(item, key);
    if (!json_is_integer(value) || json_integer_value(value) != expected)
        fail_msg("%s: %s is %lld, expected %lld", json_string_value(json_object_get(item, "test")), key,
                 (long long)json_integer_value(value), (long long)expected);
}

struct expected_test {
    const char *name;
    int64_t tokens, depth;
};

/* The tests run in their order, and the caches have room for what they need and for what is asked for. */
static void test_which_tests_run(void **state)
{
    (void)state;
    static const struct {
        const char *arguments;
        int64_t repeats, context;
        struct expected_test tests[4];
        size_t count;
    } cases[] = {
        {"--tests tg3 --repeats 1", 1, 3, {{"tg3", 3, 0}}, 1},
        {"--tests tg1@d100 -r 2", 2, 101, {{"tg1@d100", 1, 100}}, 1},
        {"--tests pp20,tg3@d9,tg3,pp2@d0 -r 3 --context 12",
         3,
         20,
         {{"pp20", 20, 0}, {"tg3@d9", 3, 9}, {"tg3", 3, 0}, {"pp2@d0", 2, 0}},
         4},
        {"--tests tg2,tg2 --context 40 --threads 1 --activation-dtype i8",
         5,
         40,
         {{"tg2", 2, 0}, {"tg2", 2, 0}},
         2},
    };
    size_t tests = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        json_t *root = bench(cases[i].arguments);
        assert_int_equal(json_array_size(root), cases[i].count);
        for (size_t j = 0; j < cases[i].count; j++, tests++) {
            const json_t *item = json_array_get(root, j);
            const struct expected_test *expected = &cases[i].tests[j];
            assert_string_equal(json_string_value(json_object_get(item, "test")), expected->name);
            assert_number(item, "tokens", expected->tokens);
            assert_number(item, "depth", expected->depth);
            assert_number(item, "repeats", cases[i].repeats);
            assert_number(item, "context", cases[i].context);
            const double least = json_real_value(json_object_get(item, "least_tokens_per_second"));
            const double most = json_real_value(json_object_get(item, "most_tokens_per_second"));
            const double median = json_real_value(json_object_get(item, "tokens_per_second"));
            assert_true(least > 0 && least <= median && median <= most);
        }
        json_decref(root);
    }
    assert_int_equal(tests, 8);
    json_t *root = bench("--tests tg1 --threads 1 --activation-dtype i8");
    assert_number(json_array_get(root, 0), "threads", 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(root, 0), "activation_dtype")),
                        "i8");
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(root, 0), "output_activation_dtype")), "i24");
    json_decref(root);
}

/* With --batch a test of text is followed by that of several sequences. */
static void test_batch(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t tokens, depth, sequences;
    } expected[] = {
        {"pp9", 9, 0, 1}, {"tg3@d5", 3, 5, 1}, {"tg3@d5x3", 3, 5, 3}, {"tg2", 2, 0, 1}, {"tg2x3", 2, 0, 3}};
    json_t *root = bench("--tests pp9,tg3@d5,tg2 -r 2 --batch 3");
    assert_int_equal(json_array_size(root), KGEN_COUNT_OF(expected));
    for (size_t i = 0; i < KGEN_COUNT_OF(expected); i++) {
        const json_t *item = json_array_get(root, i);
        assert_string_equal(json_string_value(json_object_get(item, "test")), expected[i].name);
        assert_number(item, "tokens", expected[i].tokens);
        assert_number(item, "depth", expected[i].depth);
        assert_number(item, "sequences", expected[i].sequences);
        assert_number(item, "repeats", 2);
        const double rate = json_real_value(json_object_get(item, "tokens_per_second"));
        const double seconds = json_real_value(json_object_get(item, "seconds"));
        const double tokens = (double)(expected[i].tokens * expected[i].sequences);
        assert_true(rate * seconds > 0.999 * tokens && rate * seconds < 1.001 * tokens);
    }
    json_decref(root);
    root = bench("--tests tg2 -r 1 --batch 1");
    assert_int_equal(json_array_size(root), 1);
    json_decref(root);
    kgen_test_expect("bench model.gguf --batch 17", 2, NULL, "--batch cannot be '17'");
}

static void test_table(void **state)
{
    (void)state;
    kgen_test_expect("bench model.gguf --tune-seconds 0.01 --tests tg3@d2 -r 1", 0, "tg3@d2", NULL);
    kgen_test_expect("bench model.gguf --tune-seconds 0.01 --tests tg3 -r 1 -q", 0, "prompts run ", NULL);
}

/* Waits until the model is open: kgen then says on stderr what was tuned. */
static void wait_for_note(const char *path)
{
    for (int i = 0; i < 3000; i++) {
        struct kgen_text text = {0};
        struct kgen_error error = {0};
        const bool found = kgen_file_read(path, 1 << 20, &text, &error) == 0 && text.length > 0 &&
                           strstr(text.data, "kgen: ") != NULL;
        kgen_text_free(&text);
        if (found)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    fail_msg("%s stays empty", path);
}

/* After Ctrl-C the tests that are finished are shown: the second one, of ten million tokens, is not. */
static void test_interrupted(void **state)
{
    (void)state;
    const pid_t child =
        kgen_test_start("bench model.gguf --json --tune-seconds 0.01 --cache interrupted-cache "
                        "--tests tg1,pp10000 -r 1000",
                        "interrupted");
    wait_for_note("interrupted.err");
    assert_int_equal(kill(-child, SIGINT), 0); /* the whole group, as a terminal does */
    struct kgen_test_outcome outcome = kgen_test_finish(child, "interrupted");
    json_t *root = json_loads(outcome.out.data, 0, NULL);
    if (outcome.status != 130 || !json_is_array(root))
        fail_msg("exit status %d: %s", outcome.status, outcome.err.data);
    assert_true(json_array_size(root) <= 2);
    json_decref(root);
    kgen_test_outcome_free(&outcome);
}

static void test_bad_input(void **state)
{
    (void)state;
    static const struct {
        const char *line, *err;
    } cases[] = {
        {"bench", "an argument is missing"},
        {"bench none.gguf", "none.gguf"},
        {"bench model.gguf --tests ''", "--tests cannot be ''"},
        {"bench model.gguf --tests tg", "--tests cannot be 'tg'"},
        {"bench model.gguf --tests tg0", "--tests cannot be 'tg0'"},
        {"bench model.gguf --tests tg-1", "--tests cannot be 'tg-1'"},
        {"bench model.gguf --tests xx128", "--tests cannot be 'xx128'"},
        {"bench model.gguf --tests tg1,", "--tests cannot be 'tg1,'"},
        {"bench model.gguf --tests tg1@4", "--tests cannot be 'tg1@4'"},
        {"bench model.gguf --tests tg1@d", "--tests cannot be 'tg1@d'"},
        {"bench model.gguf --tests tg1@d1048576", "--tests cannot be 'tg1@d1048576'"},
        {"bench model.gguf --tests tg99999999999999999999", "--tests cannot be"},
        {"bench model.gguf --tests tg1000000000000000000000000000000000", "--tests cannot be"},
        {"bench model.gguf --repeats 0", "--repeats cannot be '0'"},
        {"bench model.gguf --repeats 1001", "--repeats cannot be '1001'"},
        {"bench model.gguf -p a", "takes no option --prompt"},
        {"generate model.gguf --tests tg1", "takes no option --tests"},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++)
        kgen_test_expect(cases[i].line, 2, NULL, cases[i].err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_which_tests_run), cmocka_unit_test(test_batch),
        cmocka_unit_test(test_table),           cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_bad_input),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
