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

/* "tg128@d4096": 128 tokens of text at depth 4096; "tg128x8": of each of 8 sequences at once. */
struct bench_test {
    char name[40];
    int64_t tokens, depth;
    size_t sequences;
    size_t repeats;             /* made; 0: the test was not run */
    double median, least, most; /* seconds */
};

struct bench {
    struct kgen_opened_model opened;
    struct bench_test tests[TESTS_MAX];
    size_t count;
    int32_t *tokens; /* of each position */
    int64_t positions;
    struct kgen_sequence *sequences[KGEN_GRAPH_SEQUENCES_MAX]; /* owned; as many as --batch says */
    size_t sequence_count;
};

/* ---- the tests ---- */

static bool is_prompt(const struct bench_test *test)
{
    return test->name[0] == 'p';
}

static int read_test(const char *text, size_t length, struct bench_test *test)
{
    char *end;
    *test = (struct bench_test){.sequences = 1};
    if (length > 31 || length < 3)
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

/* Adds the same test of several sequences. */
static void add_batch(struct bench *bench, size_t sequences)
{
    const struct bench_test *one = &bench->tests[bench->count - 1];
    struct bench_test *test = &bench->tests[bench->count++];
    *test = *one;
    test->sequences = sequences;
    snprintf(test->name + strlen(test->name), sizeof test->name - strlen(test->name), "x%zu", sequences);
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
        if (bench->sequence_count > 1 && !is_prompt(test) && bench->count < TESTS_MAX)
            add_batch(bench, bench->sequence_count);
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

static int open_sequences(struct bench *bench, struct kgen_error *error)
{
    const struct kgen_model *model = bench->opened.model;
    for (size_t i = 0; i < bench->sequence_count; i++) {
        bench->sequences[i] =
            kgen_decoder_sequence_new(model->decoder, kgen_decoder_context(model->decoder), error);
        if (bench->sequences[i] == NULL)
            return -1;
    }
    return 0;
}

/* Runs positions begin to end - 1 of the first sequence, as a prompt or one by one. Stops early after a
 * signal. */
static int run_positions(const struct bench *bench, int64_t begin, int64_t end, bool prompt,
                         struct kgen_error *error)
{
    struct kgen_decoder *decoder = bench->opened.model->decoder;
    const int64_t most = prompt ? kgen_decoder_prompt_rows(decoder) : 1;
    bench->sequences[0]->filled = begin;
    for (int64_t i = begin; i < end && !kgen_interrupted; i += most) {
        const int64_t count = end - i < most ? end - i : most;
        if (kgen_decoder_sequence(decoder, bench->sequences[0], bench->tokens + i, (size_t)count, NULL,
                                  error) == NULL)
            return -1;
    }
    return 0;
}

/* Runs positions begin to end - 1 of several sequences, one of each at once. */
static int run_batch(const struct bench *bench, size_t count, int64_t begin, int64_t end,
                     struct kgen_error *error)
{
    int32_t tokens[KGEN_GRAPH_SEQUENCES_MAX];
    for (size_t j = 0; j < count; j++)
        bench->sequences[j]->filled = begin;
    for (int64_t i = begin; i < end && !kgen_interrupted; i++) {
        for (size_t j = 0; j < count; j++)
            tokens[j] = bench->tokens[(i + (int64_t)j * 7) % bench->positions];
        if (kgen_decoder_batch(bench->opened.model->decoder, bench->sequences, tokens, count, error) == NULL)
            return -1;
    }
    return 0;
}

/* Runs positions of a test from its depth on. */
static int run_tokens(const struct bench *bench, const struct bench_test *test, int64_t count,
                      struct kgen_error *error)
{
    const int64_t end = test->depth + count;
    return test->sequences > 1 ? run_batch(bench, test->sequences, test->depth, end, error)
                               : run_positions(bench, test->depth, end, is_prompt(test), error);
}

/* Fills the caches of all sequences up to the depth of a test. */
static int fill(const struct bench *bench, const struct bench_test *test, struct kgen_error *error)
{
    const int64_t rows = kgen_decoder_prompt_rows(bench->opened.model->decoder),
                  piece = rows > 64 ? rows : 64;
    if (kgen_sequence_truncate(bench->sequences[0], 0, error) != 0)
        return -1;
    for (int64_t i = 0; i < test->depth && !kgen_interrupted; i += piece) {
        const int64_t end = i + piece < test->depth ? i + piece : test->depth;
        kgen_opened_model_show(&bench->opened, "%s: filling the caches, %lld of %lld positions", test->name,
                               (long long)i, (long long)test->depth);
        if (run_positions(bench, i, end, true, error) != 0)
            return -1;
    }
    for (size_t i = 1; i < bench->sequence_count; i++)
        kgen_sequence_copy(bench->sequences[i], bench->sequences[0]);
    return 0;
}

/* Notes how long the runs of a test took. */
static void finish_test(struct bench_test *test, double *seconds, size_t made)
{
    if (made == 0)
        return;
    test->repeats = made;
    test->median = kgen_median(seconds, made);
    test->least = test->most = seconds[0];
    for (size_t i = 1; i < made; i++) {
        test->least = seconds[i] < test->least ? seconds[i] : test->least;
        test->most = seconds[i] > test->most ? seconds[i] : test->most;
    }
}

/* Runs a test, and that of several sequences which follows it, in turns: the depth and some tokens untimed,
 * then the tokens again and again. */
static int run_test(const struct bench *bench, struct bench_test *tests, size_t count,
                    struct kgen_error *error)
{
    const size_t wanted =
        bench->opened.options->repeats > 0 ? (size_t)bench->opened.options->repeats : USUAL_REPEATS;
    double seconds[2][REPEATS_MAX];
    size_t made = 0;
    if (fill(bench, &tests[0], error) != 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (run_tokens(bench, &tests[i], tests[i].tokens < WARM_UP ? tests[i].tokens : WARM_UP, error) != 0)
            return -1;
    }
    for (; made < wanted && !kgen_interrupted; made++) {
        for (size_t i = 0; i < count; i++) {
            kgen_opened_model_show(&bench->opened, "%s: run %zu of %zu", tests[i].name, made + 1, wanted);
            const double begin = kgen_clock();
            if (run_tokens(bench, &tests[i], tests[i].tokens, error) != 0)
                return -1;
            seconds[i][made] = kgen_clock() - begin;
        }
        if (kgen_interrupted)
            break;
    }
    kgen_opened_model_clear(&bench->opened);
    for (size_t i = 0; i < count; i++)
        finish_test(&tests[i], seconds[i], made);
    return 0;
}

static int run_tests(struct bench *bench, struct kgen_error *error)
{
    for (size_t i = 0; i < bench->count && !kgen_interrupted;) {
        const size_t count = i + 1 < bench->count && bench->tests[i + 1].sequences > 1 ? 2 : 1;
        if (run_test(bench, &bench->tests[i], count, error) != 0)
            return -1;
        i += count;
    }
    return 0;
}

/* ---- the result ---- */

static double rate_of(const struct bench_test *test, double seconds)
{
    return kgen_rate((double)test->tokens * (double)test->sequences, seconds);
}

/* Bytes of weights in a second, which all sequences read once a step. */
static double weights_rate(const struct bench_test *test, const struct kgen_decoder_sizes *sizes)
{
    return kgen_rate((double)test->tokens * (double)sizes->read_weights, test->median);
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
            json_pack(
                "{s:s, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:i, s:s, s:s, s:I, s:o}", "test",
                test->name, "tokens_per_second", kgen_json_positive(rate_of(test, test->median)),
                "least_tokens_per_second", kgen_json_positive(rate_of(test, test->most)),
                "most_tokens_per_second", kgen_json_positive(rate_of(test, test->least)), "seconds",
                kgen_json_positive(test->median), "tokens", (json_int_t)test->tokens, "depth",
                (json_int_t)test->depth, "sequences", (json_int_t)test->sequences, "repeats",
                (json_int_t)test->repeats, "context",
                (json_int_t)kgen_decoder_context(bench->opened.model->decoder), "activation_dtype",
                bench->opened.model->activation_dtype, "output_activation_dtype",
                bench->opened.model->output_activation_dtype, "threads",
                bench->opened.context->settings.threads, "checkpoint", bench->opened.options->arguments[0],
                "kgen", KGEN_VERSION, "weight_bytes", (json_int_t)sizes.read_weights,
                "weight_bytes_per_second", kgen_json_positive(weights_rate(test, &sizes))));
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
    char precision[KGEN_PRECISION_TEXT];
    kgen_decoder_query(bench->opened.model->decoder, &sizes);
    for (size_t i = 0; i < bench->count; i++) {
        const struct bench_test *test = &bench->tests[i];
        if (test->repeats == 0)
            continue;
        kgen_table_cell(&table, "%s", test->name);
        kgen_table_cell(&table, "%.2f", rate_of(test, test->median));
        kgen_table_cell(&table, "%.2f", rate_of(test, test->most));
        kgen_table_cell(&table, "%.2f", rate_of(test, test->least));
        kgen_table_cell(&table, "%.3f", 1e3 / rate_of(test, test->median));
        kgen_table_cell(&table, "%.1f", weights_rate(test, &sizes) * 1e-9);
        kgen_table_cell(&table, "%zu", test->repeats);
    }
    const int result = kgen_table_print(&table, stdout);
    kgen_table_free(&table);
    printf("\n%s: %s, %d threads, context %lld; medians; prompts run %lld tokens at a time\n",
           bench->opened.options->arguments[0], kgen_opened_model_precision(&bench->opened, precision),
           bench->opened.context->settings.threads,
           (long long)kgen_decoder_context(bench->opened.model->decoder),
           (long long)kgen_decoder_prompt_rows(bench->opened.model->decoder));
    return result;
}

static int run(struct bench *bench, const struct kgen_options *options)
{
    struct kgen_error error = {0};
    bench->sequence_count = options->batch > 1 ? (size_t)options->batch : 1;
    int result = read_tests(bench, options->tests != NULL ? options->tests : USUAL_TESTS, &error);
    if (result != 0)
        return kgen_fail(&error);
    const int opened = kgen_opened_model_open(&bench->opened, options, bench->positions);
    if (opened != KGEN_EXIT_DONE)
        return opened;
    result = choose_tokens(bench, &error);
    if (result == 0)
        result = open_sequences(bench, &error);
    if (result == 0)
        result = run_tests(bench, &error);
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
    for (size_t i = 0; i < bench.sequence_count; i++)
        kgen_sequence_free(bench.sequences[i]);
    kgen_opened_model_close(&bench.opened);
    return kgen_finish_output(status);
}
