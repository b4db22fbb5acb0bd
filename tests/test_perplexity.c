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
#include "gen/base/file.h"
#include "llama_reference.h"
#include "runtime/model/divergence.h"
#include "runtime/model/likelihood.h"
#include "runtime/model/logits_file.h"

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
                     0, "20 of 45 tokens, windows of 9", "i8 activations (output projection i24)");
    kgen_test_expect("perplexity model.gguf -f text.txt --window 9 --tune-seconds 0.01 --activation-dtype i8 "
                     "--output-activation-dtype i8",
                     0, "20 of 45 tokens", "i8 activations, ");
}

/* ---- files of logits ---- */

/* What a step of 16 bits may lose of log p, which reach over 16. */
#define STEP_ERROR (16.0 / 65535)

static void check_rows(const struct kgen_logits_file *file)
{
    struct kgen_error error = {0};
    struct kgen_checkpoint *checkpoint = kgen_checkpoint_open("model.gguf", &error);
    assert_non_null(checkpoint);
    struct llama_reference *reference = llama_reference_new(checkpoint, &shape, 64);
    size_t rows = 0;
    for (int64_t i = 0; i < (int64_t)file->windows * file->window; i++) {
        const int64_t position = i % file->window;
        assert_int_equal(kgen_logits_file_id(file, i), letters[i] - 'a');
        const double *logits = llama_reference_step(reference, letters[i] - 'a', position);
        double log_p[KGEN_COUNT_OF(tokens)], sum = 0;
        if (position < file->window / 2 || position == file->window - 1)
            continue;
        kgen_logits_file_row(file, i / file->window, position, log_p);
        for (int64_t j = 0; j < shape.vocab; j++)
            sum += exp(logits[j]);
        for (int64_t j = 0; j < shape.vocab; j++)
            if (!(fabs(log_p[j] - (logits[j] - log(sum))) < TOLERANCE + STEP_ERROR))
                fail_msg("token %lld, log p of %lld: %.9f, expected %.9f, seed %llu", (long long)i,
                         (long long)j, log_p[j], logits[j] - log(sum), (unsigned long long)SEED);
        rows++;
    }
    llama_reference_free(reference);
    kgen_checkpoint_free(checkpoint);
    assert_int_equal(rows, 5 * 4);
}

static void test_logits_are_kept(void **state)
{
    (void)state;
    kgen_test_expect(
        "perplexity model.gguf -f text.txt --window 9 --tune-seconds 0.01 --save-logits base.bin", 0,
        "20 of 45 tokens", "");
    struct kgen_logits_file file = {0};
    struct kgen_error error = {0};
    assert_int_equal(kgen_logits_file_open(&file, "base.bin", &error), 0);
    assert_int_equal(file.window, 9);
    assert_int_equal(file.windows, 5);
    assert_int_equal(file.vocabulary, shape.vocab);
    check_rows(&file);
    kgen_logits_file_close(&file);
}

/* The divergence that the command prints, and the same from the two files. */
static void test_divergence(void **state)
{
    (void)state;
    static const struct window_case same = {"model.gguf", "--window 9 --kl-divergence base.bin", 9, 4, 20};
    static const struct window_case other = {
        "model.gguf", "--window 9 --activation-dtype i8 --kl-divergence base.bin --save-logits i8.bin", 9, 4,
        20};
    json_t *root = perplexity(&same), *result = json_object_get(root, "kl_divergence");
    assert_int_equal((int64_t)number(result, "positions"), 20);
    assert_true(fabs(number(result, "mean")) < STEP_ERROR);
    assert_true(number(result, "same_top") == 1);
    json_decref(root);
    root = perplexity(&other);
    struct kgen_logits_file a = {0}, b = {0};
    struct kgen_error error = {0};
    assert_int_equal(kgen_logits_file_open(&a, "base.bin", &error), 0);
    assert_int_equal(kgen_logits_file_open(&b, "i8.bin", &error), 0);
    double sum = 0;
    for (int64_t i = 0; i < 20; i++) {
        double p[KGEN_COUNT_OF(tokens)], q[KGEN_COUNT_OF(tokens)];
        kgen_logits_file_row(&a, i / 4, 4 + i % 4, p);
        kgen_logits_file_row(&b, i / 4, 4 + i % 4, q);
        for (int64_t j = 0; j < shape.vocab; j++)
            sum += exp(p[j]) * (p[j] - q[j]);
    }
    kgen_logits_file_close(&a);
    kgen_logits_file_close(&b);
    const double mean = number(json_object_get(root, "kl_divergence"), "mean");
    json_decref(root);
    if (!(mean > 1e-9) || !(fabs(mean - sum / 20) < STEP_ERROR))
        fail_msg("mean %.9f, expected %.9f, seed %llu", mean, sum / 20, (unsigned long long)SEED);
    kgen_test_expect(
        "perplexity model.gguf -f text.txt --window 9 --tune-seconds 0.01 --kl-divergence base.bin", 0,
        "20 positions, same most likely token in 100.00 %", "");
}

static void test_divergence_sums(void **state)
{
    (void)state;
    static const float logits[] = {0, 0}, swapped[] = {-1, 1}, nan[] = {0, NAN};
    const double even[] = {log(0.5), log(0.5)}, sure[] = {0, -40};
    struct kgen_divergence divergence = {0};
    assert_true(isnan(kgen_divergence_mean(&divergence)));
    assert_true(fabs(kgen_divergence_add(&divergence, even, logits, 2)) < 1e-15);
    assert_true(fabs(kgen_divergence_add(&divergence, sure, logits, 2) - log(2)) < 1e-15);
    assert_true(fabs(kgen_divergence_add(&divergence, sure, swapped, 2) - log(1 + exp(2))) < 1e-14);
    assert_int_equal(divergence.count, 3);
    assert_int_equal(divergence.same_top, 2);
    assert_true(fabs(kgen_divergence_mean(&divergence) - (log(2) + log(1 + exp(2))) / 3) < 1e-14);
    assert_true(divergence.greatest > 2 && kgen_divergence_error(&divergence) > 0);
    assert_true(isnan(kgen_divergence_add(&divergence, even, nan, 2)));
}

static void test_bad_logits(void **state)
{
    (void)state;
    static const struct {
        const char *arguments, *err;
    } cases[] = {
        {"--window 9 --kl-divergence none.bin", "none.bin"},
        {"--window 9 --kl-divergence text.txt", "text.txt: this is no whole file of logits"},
        {"--window 9 --kl-divergence cut.bin", "cut.bin: this is no whole file of logits: its length"},
        {"--window 8 --kl-divergence base.bin",
         "windows of 9 tokens and a vocabulary of 10, not of 8 and 10"},
        {"--window 9 --skip 3 --kl-divergence base.bin", "--skip cannot be 3"},
        {"--window 100 --skip 10 --save-logits x.bin", "--skip cannot be 10"},
        {"--window 64 --save-logits x.bin --context 64", "take whole windows"},
        {"--window 9 --save-logits none/x.bin", "none/x.bin"},
    };
    struct kgen_text text = {0};
    struct kgen_error error = {0};
    assert_int_equal(kgen_file_read("base.bin", 1 << 20, &text, &error), 0);
    assert_int_equal(kgen_file_write("cut.bin", text.data, text.length - 1, &error), 0);
    kgen_text_free(&text);
    kgen_test_put_file("other.txt", "hgfedcbahcfaedgbfhdcagehbcfdegahfcbedghacdebh");
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        char line[256];
        snprintf(line, sizeof line, "perplexity model.gguf -f text.txt --tune-seconds 0.01 %s",
                 cases[i].arguments);
        kgen_test_expect(line, 2, NULL, cases[i].err);
        assert_false(kgen_test_exists("x.bin"));
    }
    kgen_test_expect(
        "perplexity model.gguf -f other.txt --tune-seconds 0.01 --window 9 --kl-divergence base.bin", 2, NULL,
        "another text: token 44 differs");
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
        cmocka_unit_test(test_logits_are_kept), /* makes base.bin */
        cmocka_unit_test(test_divergence),
        cmocka_unit_test(test_divergence_sums),
        cmocka_unit_test(test_bad_logits),
        cmocka_unit_test(test_bad_input),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
