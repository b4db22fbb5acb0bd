/* SPDX-License-Identifier: MIT */
/* kgen generate: text from a checkpoint, streamed as it comes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "gen/base/clock.h"
#include "gen/base/file.h"
#include "gen/ops/random.h"
#include "runtime/api/model.h"
#include "runtime/command/interrupt.h"
#include "runtime/command/json.h"
#include "runtime/model/sampler.h"
#include "runtime/model/tokenizer/chat.h"
#include "runtime/model/tokenizer/tokenizer.h"
#include "runtime/model/tokenizer/vocabulary_gguf.h"

#define PROMPT_LIMIT ((size_t)64 << 20)

/* The default of -n. */
enum { USUAL_TOKENS = 128 };

/* One run of the command. */
struct generation {
    const struct kgen_options *options;
    struct kgen_context *context;
    struct kgen_model *model;
    struct kgen_tokenizer *tokenizer;
    struct kgen_sampler *sampler;
    uint64_t seed; /* of the sampler */
    struct kgen_token_ids prompt, tokens;
    struct kgen_text text; /* of the tokens */
    struct kgen_utf8_stream stream;
    bool live; /* a line on the terminal is rewritten */
    /* Seconds: until the weights were loaded, of the prompt, of the tokens after the first. */
    double open_seconds, prompt_seconds, text_seconds;
    bool ended; /* by a token that ends the text */
};

/* ---- opening ---- */

static void say_log(void *context, int level, const char *message)
{
    (void)context;
    if (level == KGEN_LOG_WARNING)
        kgen_say_warning("%s", message);
}

static int fail_status(const struct kgen_status *status)
{
    struct kgen_error error = {.line = status->line, .column = status->column};
    snprintf(error.source, sizeof error.source, "%s", status->source);
    snprintf(error.message, sizeof error.message, "%s", status->message);
    snprintf(error.hint, sizeof error.hint, "%s", status->hint);
    kgen_say_error(&error);
    switch (status->code) {
    case KGEN_NO_FUNCTION:
        return KGEN_EXIT_NO_CANDIDATE;
    case KGEN_CANCELLED:
        return KGEN_EXIT_INTERRUPTED;
    case KGEN_BAD_ARGUMENT:
    case KGEN_BAD_SPEC:
    case KGEN_IO_FAILED:
        return KGEN_EXIT_USAGE;
    default:
        return KGEN_EXIT_FAILED;
    }
}

static struct kgen_context *open_context(const struct generation *generation, struct kgen_status *status)
{
    const struct kgen_options *options = generation->options;
    struct kgen_settings settings;
    kgen_settings_init(&settings, sizeof settings);
    settings.seconds = options->tune_seconds;
    settings.threads = options->threads;
    settings.no_cache = options->no_cache;
    settings.cache_folder = options->cache;
    settings.templates_folder = options->templates;
    settings.cancel = &kgen_interrupted;
    settings.log = options->quiet ? NULL : say_log;
    settings.log_level = KGEN_LOG_WARNING;
    return kgen_open(&settings, status);
}

static void clear_line(const struct generation *generation)
{
    if (generation->live)
        fputs("\r\033[K", stderr);
}

static void show_loading(void *context, size_t done, size_t count)
{
    const struct generation *generation = context;
    if (generation->live && (done % 16 == 0 || done == count))
        fprintf(stderr, "\r\033[Kloading weights: %zu of %zu nodes", done, count);
}

static void say_plan(const struct generation *generation)
{
    struct kgen_plan_facts facts;
    kgen_plan_query(generation->model->plan, &facts, sizeof facts);
    if (generation->options->quiet)
        return;
    if (facts.search_seconds > 0)
        kgen_say("kgen: tuned %zu kernels for this machine in %.1f s%s", facts.searched, facts.search_seconds,
                 facts.time_was_up ? "; the time was up, and a later run goes on"
                                   : "; later runs start from the cache");
    if (facts.fallbacks > 0)
        kgen_say("kgen: %zu of %zu kernels were not tuned on this machine", facts.fallbacks,
                 kgen_plan_count(generation->model->plan));
}

static const char *activation_name(const struct kgen_options *options)
{
    const int64_t dtype = options->spec.activation_dtypes[0];
    return dtype != 0 ? kgen_constant_name(dtype) : NULL;
}

static int open_model(struct generation *generation)
{
    const struct kgen_options *options = generation->options;
    struct kgen_status status = {0};
    struct kgen_error error = {0};
    const double begin = kgen_clock();
    const struct kgen_model_options model_options = {.activation_dtype = activation_name(options),
                                                     .context = options->spec.context,
                                                     .progress = show_loading,
                                                     .progress_context = generation};
    generation->context = open_context(generation, &status);
    if (generation->context != NULL) {
        if (generation->live)
            fputs("\r\033[Kpreparing the kernels", stderr);
        generation->model =
            kgen_model_open(generation->context, options->arguments[0], &model_options, &status);
        clear_line(generation);
    }
    if (generation->model == NULL)
        return fail_status(&status);
    const struct kgen_gguf *gguf = kgen_checkpoint_gguf(generation->model->checkpoint);
    generation->tokenizer = kgen_tokenizer_from_gguf(gguf, &error);
    if (generation->tokenizer == NULL)
        return kgen_fail(&error);
    generation->open_seconds = kgen_clock() - begin;
    say_plan(generation);
    return KGEN_EXIT_DONE;
}

/* ---- the prompt ---- */

static int read_prompt(const struct kgen_options *options, struct kgen_text *text, struct kgen_error *error)
{
    if (options->prompt_file != NULL)
        return kgen_file_read(options->prompt_file, PROMPT_LIMIT, text, error);
    kgen_text_puts(text, options->prompt != NULL ? options->prompt : "");
    return text->failed ? kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory") : 0;
}

static int encode_prompt(struct generation *generation, struct kgen_error *error)
{
    const struct kgen_options *options = generation->options;
    struct kgen_text text = {0}, rendered = {0};
    unsigned flags = KGEN_ENCODE_ADD_SPECIAL;
    int result = read_prompt(options, &text, error);
    if (result == 0 && options->chat) {
        const struct kgen_chat_message message = {"user", {text.data, text.length}};
        result = kgen_chat_render(generation->tokenizer, &message, 1, true, &rendered, error);
        flags = KGEN_ENCODE_PARSE_SPECIAL;
    }
    const struct kgen_text *prompt = options->chat ? &rendered : &text;
    if (result == 0)
        result = kgen_tokenizer_encode(generation->tokenizer, prompt->data, prompt->length, flags,
                                       &generation->prompt, error);
    kgen_text_free(&text);
    kgen_text_free(&rendered);
    if (result == 0 && generation->prompt.count == 0) {
        kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "the prompt is empty");
        kgen_error_hint(error, "-p gives its text, -f a file");
        result = -1;
    }
    return result;
}

/* ---- text ---- */

/* Makes the sampler. The prompt counts as text for the repetition penalty. */
static int open_sampler(struct generation *generation, struct kgen_error *error)
{
    struct kgen_sampling sampling = generation->options->sampling;
    if (!generation->options->seed_given) {
        struct kgen_random random = {(uint64_t)kgen_clock_nanoseconds() + ((uint64_t)getpid() << 40)};
        sampling.seed = kgen_random_next(&random) >> 32;
    }
    generation->seed = sampling.seed;
    generation->sampler =
        kgen_sampler_new(&sampling, kgen_decoder_vocabulary(generation->model->decoder), error);
    for (size_t i = 0; generation->sampler != NULL && i < generation->prompt.count; i++)
        kgen_sampler_accept(generation->sampler, generation->prompt.ids[i]);
    return generation->sampler != NULL ? 0 : -1;
}

/* Chooses a token, keeps it and prints its text. */
static int take_token(struct generation *generation, const float *logits, struct kgen_error *error)
{
    int32_t token;
    struct kgen_token_ids *tokens = &generation->tokens;
    struct kgen_text bytes = {0};
    const size_t before = generation->text.length;
    if (kgen_sampler_next(generation->sampler, logits, &token, error) != 0 ||
        kgen_token_ids_push(tokens, token, error) != 0)
        return -1;
    kgen_sampler_accept(generation->sampler, token);
    generation->ended = kgen_tokenizer_ends(generation->tokenizer, token);
    const int result =
        generation->ended ? 0 : kgen_tokenizer_decode(generation->tokenizer, token, false, &bytes, error);
    kgen_utf8_stream_put(&generation->stream, bytes.data, bytes.length, &generation->text);
    kgen_text_free(&bytes);
    if (!generation->options->json && generation->text.length > before) {
        fwrite(generation->text.data + before, 1, generation->text.length - before, stdout);
        fflush(stdout);
    }
    return result;
}

static const float *run_prompt(const struct generation *generation, struct kgen_error *error)
{
    const float *logits = NULL;
    for (size_t i = 0; i < generation->prompt.count && !kgen_interrupted; i++) {
        logits = kgen_decoder_step(generation->model->decoder, generation->prompt.ids[i], (int64_t)i, error);
        if (logits == NULL)
            return NULL;
    }
    return logits;
}

/* Decodes until a token ends the text, the number of tokens is reached, the caches are full, or a signal
 * came. */
static int decode(struct generation *generation, struct kgen_error *error)
{
    struct kgen_decoder *decoder = generation->model->decoder;
    const size_t wanted =
        generation->options->tokens > 0 ? (size_t)generation->options->tokens : USUAL_TOKENS;
    const double begin = kgen_clock();
    const float *logits = run_prompt(generation, error);
    if (kgen_interrupted)
        return 0;
    if (logits == NULL || take_token(generation, logits, error) != 0)
        return -1;
    const double first = kgen_clock();
    generation->prompt_seconds = first - begin;
    while (generation->tokens.count < wanted && !generation->ended && !kgen_interrupted) {
        const int64_t position = (int64_t)(generation->prompt.count + generation->tokens.count) - 1;
        if (position >= kgen_decoder_context(decoder))
            break;
        logits =
            kgen_decoder_step(decoder, generation->tokens.ids[generation->tokens.count - 1], position, error);
        if (logits == NULL || take_token(generation, logits, error) != 0)
            return -1;
    }
    generation->text_seconds = kgen_clock() - first;
    kgen_utf8_stream_end(&generation->stream, &generation->text);
    return 0;
}

/* ---- the result ---- */

static double rate(double count, double seconds)
{
    return seconds > 0 ? count / seconds : 0;
}

static double peak_megabytes(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (double)usage.ru_maxrss / 1024 : 0;
}

/* The bytes that the text read of weights, in a second. */
static double bytes_per_second(const struct generation *generation)
{
    struct kgen_decoder_sizes sizes;
    kgen_decoder_query(generation->model->decoder, &sizes);
    return rate((double)sizes.read_weights * (double)(generation->tokens.count - 1),
                generation->text_seconds);
}

static json_t *json_ids(const struct kgen_token_ids *ids)
{
    json_t *list = json_array();
    for (size_t i = 0; i < ids->count; i++)
        json_array_append_new(list, json_integer(ids->ids[i]));
    return list;
}

static int print_json(const struct generation *generation)
{
    const struct generation *g = generation;
    const size_t later = g->tokens.count > 0 ? g->tokens.count - 1 : 0;
    return kgen_json_print(json_pack(
        "{s:s, s:o, s:o, s:s%, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "kgen", KGEN_VERSION,
        "prompt_tokens", json_ids(&g->prompt), "tokens", json_ids(&g->tokens), "text",
        g->text.data != NULL ? g->text.data : "", g->text.length, "ended", g->ended, "seed",
        g->options->sampling.temperature > 0 ? json_integer((json_int_t)g->seed) : json_null(),
        "open_seconds", kgen_json_number(g->open_seconds), "prompt_seconds",
        kgen_json_number(g->prompt_seconds), "text_seconds", kgen_json_number(g->text_seconds),
        "prompt_tokens_per_second", kgen_json_positive(rate((double)g->prompt.count, g->prompt_seconds)),
        "text_tokens_per_second", kgen_json_positive(rate((double)later, g->text_seconds)),
        "weight_bytes_per_second", kgen_json_positive(bytes_per_second(g)), "peak_memory_megabytes",
        kgen_json_positive(peak_megabytes())));
}

static void say_rates(const struct generation *generation)
{
    const struct generation *g = generation;
    if (g->options->quiet)
        return;
    kgen_say("kgen: opened in %.2f s; prompt %zu tokens, %.1f tokens/s, %.2f s to the first token",
             g->open_seconds, g->prompt.count, rate((double)g->prompt.count, g->prompt_seconds),
             g->prompt_seconds);
    if (g->tokens.count > 1)
        kgen_say("kgen: text %zu tokens, %.1f tokens/s, weights read at %.1f GB/s; peak memory %.0f MB",
                 g->tokens.count, rate((double)(g->tokens.count - 1), g->text_seconds),
                 bytes_per_second(g) * 1e-9, peak_megabytes());
}

static int run(struct generation *generation)
{
    struct kgen_error error = {0};
    const int opened = open_model(generation);
    if (opened != KGEN_EXIT_DONE)
        return opened;
    if (encode_prompt(generation, &error) != 0 || open_sampler(generation, &error) != 0 ||
        decode(generation, &error) != 0)
        return kgen_fail(&error);
    if (generation->options->json) {
        if (print_json(generation) != 0)
            return KGEN_EXIT_FAILED;
    } else {
        putchar('\n');
        fflush(stdout);
        say_rates(generation);
    }
    return kgen_interrupted ? KGEN_EXIT_INTERRUPTED : KGEN_EXIT_DONE;
}

int kgen_command_text(const struct kgen_options *options)
{
    struct generation generation = {.options = options,
                                    .live = !options->quiet && !options->verbose && isatty(STDERR_FILENO) &&
                                            getenv("NO_COLOR") == NULL};
    kgen_interrupt_catch();
    const int status = run(&generation);
    kgen_sampler_free(generation.sampler);
    kgen_token_ids_free(&generation.prompt);
    kgen_token_ids_free(&generation.tokens);
    kgen_text_free(&generation.text);
    kgen_tokenizer_free(generation.tokenizer);
    kgen_model_close(generation.model);
    kgen_close(generation.context);
    return kgen_finish_output(status);
}
