/* SPDX-License-Identifier: MIT */
/* kgen bench: how fast a checkpoint runs, by the tests of llama-bench. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen/base/clock.h"
#include "gen/ops/random.h"
#include "runtime/command/interrupt.h"
#include "runtime/command/json.h"
#include "runtime/command/opened_model.h"
#include "runtime/command/table.h"
#include "runtime/tune/timing.h"

#define USUAL_TESTS "pp512,tg128,tg128@d4096"
#define SEED 1

enum { TESTS_MAX = 64, POSITIONS_MAX = 1 << 20, USUAL_REPEATS = 5, REPEATS_MAX = 1000, WARM_UP = 16 };

/* "tg128@d4096": 128 tokens of text at depth 4096. */
struct bench_test {
    char name[32];
    int64_t tokens, depth;
    size_t repeats;             /* made; 0: the test was not run */
    double median, least, most; /* seconds */
};

struct bench {
    struct kgen_opened_model opened;
    struct bench_test tests[TESTS_MAX];
    size_t count;
    int32_t *tokens; /* of each position */
    int64_t positions;
};

/* ---- the tests ---- */

static int read_test(const char *text, size_t length, struct bench_test *test)
{
    char *end;
    *test = (struct bench_test){0};
    if (length >= sizeof test->name || length < 3)
        return -1;
    memcpy(test->name, text, length);
    const char *number = test->name + 2;
    if ((strncmp(test->name, "pp", 2) != 0 && strncmp(test->name, "tg", 2) != 0) || *number < '0' ||
        *number > '9')
        return -1;
    test->tokens = strtoll(number, &end, 10);
    if (strncmp(end, "@d", 2) == 0 && end[2] >= '0' && end[2] <= '9')
        test->depth = strtoll(end + 2, &end, 10);
    return *end == '\0' && test->tokens > 0 && test->tokens <= POSITIONS_MAX &&
                   test->depth <= POSITIONS_MAX && test->tokens + test->depth <= POSITIONS_MAX
               ? 0
               : -1;
}

static int read_tests(struct bench *bench, const char *list, struct kgen_error *error)
{
    for (const char *at = list;; at++) {
        const size_t length = strcspn(at, ",");
        struct bench_test *test = &bench->tests[bench->count];
        if (bench->count == TESTS_MAX || read_test(at, length, test) != 0) {
            kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "--tests cannot be '%s'", list);
            kgen_error_hint(error, "up to %d of ppN, tgN, ppN@dD and tgN@dD with commas, N + D up to %d",
                            TESTS_MAX, POSITIONS_MAX);
            return -1;
        }
        if (test->tokens + test->depth > bench->positions)
            bench->positions = test->tokens + test->depth;
        bench->count++;
        at += length;
        if (*at == '\0')
            return 0;
    }
}

/* Which tokens do not matter for the time; they are the same in each run. */
static int choose_tokens(struct bench *bench, struct kgen_error *error)
{
    struct kgen_random random = {SEED};
    bench->tokens = calloc((size_t)bench->positions, sizeof *bench->tokens);
    if (bench->tokens == NULL)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    const int64_t vocabulary = kgen_decoder_vocabulary(bench->opened.model->decoder);
    for (int64_t i = 0; i < bench->positions; i++)
        bench->tokens[i] = (int32_t)kgen_random_below(&random, vocabulary);
    return 0;
}

/* ---- running ---- */

/* Runs positions begin to end - 1, as a prompt or one by one. Stops early after a signal. */
static int run_positions(const struct bench *bench, int64_t begin, int64_t end, bool prompt,
                         struct kgen_error *error)
{
    struct kgen_decoder *decoder = bench->opened.model->decoder;
    const int64_t most = prompt ? kgen_decoder_prompt_rows(decoder) : 1;
    for (int64_t i = begin; i < end && !kgen_interrupted; i += most) {
        const int64_t count = end - i < most ? end - i : most;
        if (kgen_decoder_prompt(decoder, bench->tokens + i, (size_t)count, i, error) == NULL)
            return -1;
    }
    return 0;
}

static bool is_prompt(const struct bench_test *test)
{
    return test->name[0] == 'p';
}

/* Fills the caches up to the depth of a test. */
static int fill(const struct bench *bench, const struct bench_test *test, struct kgen_error *error)
{
    const int64_t rows = kgen_decoder_prompt_rows(bench->opened.model->decoder),
                  piece = rows > 64 ? rows : 64;
    for (int64_t i = 0; i < test->depth && !kgen_interrupted; i += piece) {
        const int64_t end = i + piece < test->depth ? i + piece : test->depth;
        kgen_opened_model_show(&bench->opened, "%s: filling the caches, %lld of %lld positions", test->name,
                               (long long)i, (long long)test->depth);
        if (run_positions(bench, i, end, true, error) != 0)
            return -1;
    }
    return 0;
}

/* Runs a test: the depth and some tokens untimed, then the tokens again and again. */
static int run_test(const struct bench *bench, struct bench_test *test, struct kgen_error *error)
{
    const int64_t end = test->depth + test->tokens;
    const size_t wanted =
        bench->opened.options->repeats > 0 ? (size_t)bench->opened.options->repeats : USUAL_REPEATS;
    double seconds[REPEATS_MAX];
    size_t made = 0;
    if (fill(bench, test, error) != 0 ||
        run_positions(bench, test->depth, test->tokens < WARM_UP ? end : test->depth + WARM_UP,
                      is_prompt(test), error) != 0)
        return -1;
    for (; made < wanted && !kgen_interrupted; made++) {
        kgen_opened_model_show(&bench->opened, "%s: run %zu of %zu", test->name, made + 1, wanted);
        const double begin = kgen_clock();
        if (run_positions(bench, test->depth, end, is_prompt(test), error) != 0)
            return -1;
        seconds[made] = kgen_clock() - begin;
        if (kgen_interrupted)
            break;
    }
    kgen_opened_model_clear(&bench->opened);
    if (made == 0)
        return 0;
    test->repeats = made;
    test->median = kgen_median(seconds, made);
    test->least = test->most = seconds[0];
    for (size_t i = 1; i < made; i++) {
        test->least = seconds[i] < test->least ? seconds[i] : test->least;
        test->most = seconds[i] > test->most ? seconds[i] : test->most;
    }
    return 0;
}

/* ---- the result ---- */

static double rate_of(const struct bench_test *test, double seconds)
{
    return kgen_rate((double)test->tokens, seconds);
}

static int print_json(const struct bench *bench)
{
    struct kgen_decoder_sizes sizes;
    kgen_decoder_query(bench->opened.model->decoder, &sizes);
    json_t *list = json_array();
    for (size_t i = 0; i < bench->count; i++) {
        const struct bench_test *test = &bench->tests[i];
        if (test->repeats == 0)
            continue;
        json_array_append_new(
            list,
            json_pack("{s:s, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:s, s:i, s:s, s:s, s:I, s:o}", "test",
                      test->name, "tokens_per_second", kgen_json_positive(rate_of(test, test->median)),
                      "least_tokens_per_second", kgen_json_positive(rate_of(test, test->most)),
                      "most_tokens_per_second", kgen_json_positive(rate_of(test, test->least)), "seconds",
                      kgen_json_positive(test->median), "tokens", (json_int_t)test->tokens, "depth",
                      (json_int_t)test->depth, "repeats", (json_int_t)test->repeats, "context",
                      (json_int_t)kgen_decoder_context(bench->opened.model->decoder), "activation_dtype",
                      bench->opened.model->activation_dtype, "threads",
                      bench->opened.context->settings.threads, "checkpoint",
                      bench->opened.options->arguments[0], "kgen", KGEN_VERSION, "weight_bytes",
                      (json_int_t)sizes.read_weights, "weight_bytes_per_second",
                      kgen_json_positive(rate_of(test, test->median) * (double)sizes.read_weights)));
    }
    return kgen_json_print(list);
}

static int print_text(const struct bench *bench)
{
    static const struct kgen_column columns[] = {
        {"test", false, 0},    {"tokens/s", true, 0},     {"least", true, 0}, {"most", true, 0},
        {"ms/token", true, 0}, {"weights GB/s", true, 0}, {"runs", true, 0}};
    struct kgen_table table = {.columns = columns, .column_count = KGEN_COUNT_OF(columns)};
    struct kgen_decoder_sizes sizes;
    kgen_decoder_query(bench->opened.model->decoder, &sizes);
    for (size_t i = 0; i < bench->count; i++) {
        const struct bench_test *test = &bench->tests[i];
        if (test->repeats == 0)
            continue;
        kgen_table_cell(&table, "%s", test->name);
        kgen_table_cell(&table, "%.2f", rate_of(test, test->median));
        kgen_table_cell(&table, "%.2f", rate_of(test, test->most));
        kgen_table_cell(&table, "%.2f", rate_of(test, test->least));
        kgen_table_cell(&table, "%.3f", test->median * 1e3 / (double)test->tokens);
        kgen_table_cell(&table, "%.1f", rate_of(test, test->median) * (double)sizes.read_weights * 1e-9);
        kgen_table_cell(&table, "%zu", test->repeats);
    }
    const int result = kgen_table_print(&table, stdout);
    kgen_table_free(&table);
    printf("\n%s: %s activations, %d threads, context %lld; medians; prompts run %lld tokens at a time\n",
           bench->opened.options->arguments[0], bench->opened.model->activation_dtype,
           bench->opened.context->settings.threads,
           (long long)kgen_decoder_context(bench->opened.model->decoder),
           (long long)kgen_decoder_prompt_rows(bench->opened.model->decoder));
    return result;
}

static int run(struct bench *bench, const struct kgen_options *options)
{
    struct kgen_error error = {0};
    int result = read_tests(bench, options->tests != NULL ? options->tests : USUAL_TESTS, &error);
    if (result != 0)
        return kgen_fail(&error);
    const int opened = kgen_opened_model_open(&bench->opened, options, bench->positions);
    if (opened != KGEN_EXIT_DONE)
        return opened;
    result = choose_tokens(bench, &error);
    for (size_t i = 0; result == 0 && i < bench->count && !kgen_interrupted; i++)
        result = run_test(bench, &bench->tests[i], &error);
    kgen_opened_model_clear(&bench->opened);
    if (result != 0)
        return kgen_fail(&error);
    if ((options->json ? print_json(bench) : print_text(bench)) != 0)
        return KGEN_EXIT_FAILED;
    return kgen_interrupted ? KGEN_EXIT_INTERRUPTED : KGEN_EXIT_DONE;
}

int kgen_command_bench(const struct kgen_options *options)
{
    struct bench bench = {0};
    kgen_interrupt_catch();
    const int status = run(&bench, options);
    free(bench.tokens);
    kgen_opened_model_close(&bench.opened);
    return kgen_finish_output(status);
}
