/* SPDX-License-Identifier: MIT */
/* kgen perplexity, held against a decoder in double precision, and the sums that it is made of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command_fixture.h"
#include "llama_reference.h"
#include "runtime/model/likelihood.h"

#define SEED UINT64_C(75)
/* Of -log p: what the logits of test_decoder may differ by, twice, with room to spare. */
#define TOLERANCE 1e-3

enum { TEXT = 45 };

/* A letter is a token. */
static const char *const tokens[] = {"a", "b", "c", "d", "e", "f", "g", "h", "<s>", "ab"};
static const int32_t types[KGEN_COUNT_OF(tokens)] = {1, 1, 1, 1, 1, 1, 1, 1, 3, 1};
/* Never applies: no text has "ab". */
static const char *const merges[] = {"a b"};
static const char letters[] = "hgfedcbahcfaedgbfhdcagehbcfdegahfcbedghacdebg";

static struct kgen_test_llama shape;

static void write_model(const char *path, bool add_bos)
{
    const struct kgen_test_tokenizer tokenizer = {.model = "gpt2",
                                                  .pre = "smollm",
                                                  .tokens = tokens,
                                                  .types = types,
                                                  .count = KGEN_COUNT_OF(tokens),
                                                  .merges = merges,
                                                  .merge_count = KGEN_COUNT_OF(merges),
                                                  .bos = 8,
                                                  .add_bos = add_bos};
    shape = kgen_test_small_llama;
    shape.vocab = KGEN_COUNT_OF(tokens);
    shape.context = 64;
    shape.tokenizer = &tokenizer;
    kgen_test_write_llama(path, &shape, SEED, &kgen_test_mixed_types);
    shape.tokenizer = NULL;
}

static int setup(void **state)
{
    (void)state;
    if (kgen_test_command_setup() != 0)
        return -1;
    write_model("model.gguf", false);
    write_model("bos.gguf", true);
    kgen_test_put_file("text.txt", letters);
    kgen_test_put_file("short.txt", "cba");
    kgen_test_put_file("empty.txt", "");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return kgen_test_command_teardown();
}

/* ---- against double precision ---- */

struct window_case {
    const char *model, *arguments;
    int64_t window, skip, counted;
};

static const struct window_case window_cases[] = {
    {"model.gguf", "--window 45", 45, 22, 22},
    {"model.gguf", "--window 45 --skip 0", 45, 0, 44},
    {"model.gguf", "--window 100 --skip 10", 100, 10, 34},
    {"model.gguf", "--window 9 --skip 4", 9, 4, 20},
    {"model.gguf", "--window 8", 8, 4, 15},            /* of the last window of 5 none counts */
    {"model.gguf", "--window 11 --skip 0", 11, 0, 40}, /* the last window has one token */
    {"model.gguf", "--window 2 --skip 0 --context 64", 2, 0, 22},
    {"bos.gguf", "--window 9 --skip 0", 9, 0, 40},
    {"bos.gguf", "--window 9", 9, 4, 20},
};

/* The same, written plainly. Returns how many tokens count. */
static int64_t expect(const struct window_case *item, const int64_t *ids, int64_t count, double *nll)
{
    struct kgen_error error = {0};
    struct kgen_checkpoint *checkpoint = kgen_checkpoint_open(item->model, &error);
    assert_non_null(checkpoint);
    struct llama_reference *reference = llama_reference_new(checkpoint, &shape, 64);
    int64_t counted = 0;
    double total = 0;
    for (int64_t i = 0; i + 1 < count; i++) {
        const int64_t position = i % item->window;
        const bool replaced = position == 0 && strcmp(item->model, "bos.gguf") == 0;
        const double *logits = llama_reference_step(reference, replaced ? 8 : ids[i], position);
        double sum = 0;
        if (position + 1 == item->window || position < item->skip)
            continue;
        for (int64_t j = 0; j < shape.vocab; j++)
            sum += exp(logits[j] - logits[ids[i + 1]]);
        total += log(sum);
        counted++;
    }
    llama_reference_free(reference);
    kgen_checkpoint_free(checkpoint);
    *nll = total / (double)counted;
    return counted;
}

static json_t *perplexity(const struct window_case *item)
{
    char line[256];
    snprintf(line, sizeof line, "perplexity %s -f text.txt --json --tune-seconds 0.01 %s", item->model,
             item->arguments);
    struct kgen_test_outcome outcome = kgen_test_run(line);
    if (outcome.status != 0)
        fail_msg("%s: exit status %d\n%s", line, outcome.status, outcome.err.data);
    json_t *root = json_loads(outcome.out.data, 0, NULL);
    assert_non_null(root);
    kgen_test_outcome_free(&outcome);
    return root;
}

static double number(const json_t *root, const char *key)
{
    return json_number_value(json_object_get(root, key));
}

static void test_against_double_precision(void **state)
{
    (void)state;
    size_t compared = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(window_cases); i++) {
        const struct window_case *item = &window_cases[i];
        int64_t ids[TEXT + 1];
        double nll;
        /* The vocabulary's beginning, where it is added, is a token of the text as the others are. */
        const int64_t before = strcmp(item->model, "bos.gguf") == 0 ? 1 : 0;
        ids[0] = 8;
        for (int64_t j = 0; j < TEXT; j++)
            ids[before + j] = letters[j] - 'a';
        const int64_t counted = expect(item, ids, TEXT + before, &nll);
        json_t *root = perplexity(item);
        assert_int_equal(counted, item->counted);
        assert_int_equal((int64_t)number(root, "counted"), counted);
        assert_int_equal((int64_t)number(root, "tokens"), TEXT + before);
        assert_int_equal((int64_t)number(root, "window"), item->window);
        assert_int_equal((int64_t)number(root, "skip"), item->skip);
        if (!(fabs(number(root, "nll") - nll) < TOLERANCE) ||
            !(fabs(number(root, "perplexity") / exp(number(root, "nll")) - 1) < 1e-12))
            fail_msg("%s %s, seed %llu: nll %.9f, perplexity %.9f, expected nll %.9f", item->model,
                     item->arguments, (unsigned long long)SEED, number(root, "nll"),
                     number(root, "perplexity"), nll);
        json_decref(root);
        compared++;
    }
    assert_int_equal(compared, KGEN_COUNT_OF(window_cases));
    kgen_test_expect("perplexity model.gguf -f text.txt --window 9 --tune-seconds 0.01 --activation-dtype i8",
                     0, "20 of 45 tokens, windows of 9", "i8 activations");
}

static void test_bad_input(void **state)
{
    (void)state;
    static const struct {
        const char *line, *err;
    } cases[] = {
        {"perplexity", "an argument is missing"},
        {"perplexity model.gguf", "there is no text"},
        {"perplexity model.gguf -f none.txt", "none.txt"},
        {"perplexity none.gguf -f text.txt", "none.gguf"},
        {"perplexity model.gguf -f text.txt --tune-seconds 0.01", "has 45 tokens, and none counts"},
        {"perplexity model.gguf -f short.txt --window 4 --tune-seconds 0.01",
         "has 3 tokens, and none counts"},
        {"perplexity model.gguf -f empty.txt --window 4 --tune-seconds 0.01",
         "has 0 tokens, and none counts"},
        {"perplexity model.gguf -f text.txt --window 1", "--window cannot be '1'"},
        {"perplexity model.gguf -f text.txt --skip -1", "--skip cannot be '-1'"},
        {"perplexity model.gguf -f text.txt --window 9 --skip 8", "--skip must be at least 2 below"},
        {"perplexity model.gguf -p a", "takes no option --prompt"},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++)
        kgen_test_expect(cases[i].line, 2, NULL, cases[i].err);
}

/* ---- the sums ---- */

static void test_sums(void **state)
{
    (void)state;
    static const float even[] = {3, 3, 3, 3}, sure[] = {-1000, 1000, -1000, -INFINITY},
                       nan[] = {0, NAN, 0, 0};
    struct kgen_likelihood likelihood = {0};
    assert_true(isnan(kgen_likelihood_mean(&likelihood)));
    assert_true(isnan(kgen_likelihood_perplexity(&likelihood)));
    assert_true(isnan(kgen_likelihood_error(&likelihood)));
    for (int64_t token = 0; token < 4; token++)
        assert_true(fabs(kgen_likelihood_add(&likelihood, even, 4, token) - log(4)) < 1e-14);
    assert_true(fabs(kgen_likelihood_perplexity(&likelihood) - 4) < 1e-12);
    assert_true(kgen_likelihood_error(&likelihood) < 1e-6);
    /* Four times log 4 and four times 0: mean log 2, variance of the sample (log 2)^2 8 / 7. */
    for (int i = 0; i < 4; i++)
        assert_true(kgen_likelihood_add(&likelihood, sure, 4, 1) == 0);
    assert_int_equal(likelihood.count, 8);
    assert_true(fabs(kgen_likelihood_perplexity(&likelihood) - 2) < 1e-12);
    assert_true(fabs(kgen_likelihood_error(&likelihood) - 2 * log(2) / sqrt(7)) < 1e-12);
    assert_true(fabs(kgen_likelihood_add(&likelihood, sure, 4, 0) - 2000) < 1e-9);
    assert_true(kgen_likelihood_add(&likelihood, sure, 4, 3) == INFINITY);
    for (int64_t token = 0; token < 4; token++)
        assert_true(isnan(kgen_likelihood_add(&(struct kgen_likelihood){0}, nan, 4, token)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_against_double_precision),
        cmocka_unit_test(test_bad_input),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
