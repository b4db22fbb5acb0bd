/* SPDX-License-Identifier: MIT */
/* kgen generate: text from a checkpoint, streamed as it comes. */
#include <stdio.h>
#include <unistd.h>

#include "gen/base/clock.h"
#include "gen/base/file.h"
#include "gen/ops/random.h"
#include "runtime/command/interrupt.h"
#include "runtime/command/json.h"
#include "runtime/command/opened_model.h"
#include "runtime/model/sampler.h"
#include "runtime/model/tokenizer/chat.h"

#define PROMPT_LIMIT ((size_t)64 << 20)

/* The default of -n. */
enum { USUAL_TOKENS = 128 };

/* One run of the command. */
struct generation {
    const struct kgen_options *options;
    struct kgen_opened_model opened;
    struct kgen_sampler *sampler;
    uint64_t seed; /* of the sampler */
    struct kgen_token_ids prompt, tokens;
    struct kgen_text text; /* of the tokens */
    struct kgen_utf8_stream stream;
    double prompt_seconds, text_seconds; /* of the text: of the tokens after the first */
    bool ended;                          /* by a token that ends the text */
};

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
        result = kgen_chat_render(generation->opened.tokenizer, &message, 1, true, &rendered, error);
        flags = KGEN_ENCODE_PARSE_SPECIAL;
    }
    const struct kgen_text *prompt = options->chat ? &rendered : &text;
    if (result == 0)
        result = kgen_tokenizer_encode(generation->opened.tokenizer, prompt->data, prompt->length, flags,
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
        kgen_sampler_new(&sampling, kgen_decoder_vocabulary(generation->opened.model->decoder), error);
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
    generation->ended = kgen_tokenizer_ends(generation->opened.tokenizer, token);
    const int result = generation->ended
                           ? 0
                           : kgen_tokenizer_decode(generation->opened.tokenizer, token, false, &bytes, error);
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
    struct kgen_decoder *decoder = generation->opened.model->decoder;
    const size_t count = generation->prompt.count, most = (size_t)kgen_decoder_prompt_rows(decoder);
    const float *logits = NULL;
    for (size_t i = 0; i < count && !kgen_interrupted; i += most) {
        logits = kgen_decoder_prompt(decoder, generation->prompt.ids + i, count - i < most ? count - i : most,
                                     (int64_t)i, error);
        if (logits == NULL)
            return NULL;
    }
    return logits;
}

/* Decodes until a token ends the text, the number of tokens is reached, the caches are full, or a signal
 * came. */
static int decode(struct generation *generation, struct kgen_error *error)
{
    struct kgen_decoder *decoder = generation->opened.model->decoder;
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

/* The bytes that a token of the text after the first read, on average. */
static double bytes_per_token(const struct generation *generation)
{
    return kgen_opened_model_step_bytes(&generation->opened, (double)generation->prompt.count +
                                                                 (double)generation->tokens.count / 2);
}

/* The bytes that the text read of weights, in a second. */
static double weight_bytes_per_second(const struct generation *generation)
{
    const double later = generation->tokens.count > 0 ? (double)generation->tokens.count - 1 : 0;
    return kgen_rate(kgen_opened_model_step_bytes(&generation->opened, 0) * later, generation->text_seconds);
}

/* Those of both in a second. */
static double bytes_per_second(const struct generation *generation)
{
    const double later = generation->tokens.count > 0 ? (double)generation->tokens.count - 1 : 0;
    return kgen_rate(bytes_per_token(generation) * later, generation->text_seconds);
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
    const double bandwidth = kgen_opened_model_bandwidth(&g->opened);
    return kgen_json_print(json_pack(
        "{s:s, s:o, s:o, s:s%, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "kgen",
        KGEN_VERSION, "prompt_tokens", json_ids(&g->prompt), "tokens", json_ids(&g->tokens), "text",
        g->text.data != NULL ? g->text.data : "", g->text.length, "ended", g->ended, "seed",
        g->options->sampling.temperature > 0 ? json_integer((json_int_t)g->seed) : json_null(),
        "open_seconds", kgen_json_number(g->opened.seconds), "prompt_seconds",
        kgen_json_number(g->prompt_seconds), "text_seconds", kgen_json_number(g->text_seconds),
        "prompt_tokens_per_second", kgen_json_positive(kgen_rate((double)g->prompt.count, g->prompt_seconds)),
        "text_tokens_per_second", kgen_json_positive(kgen_rate((double)later, g->text_seconds)),
        "weight_bytes_per_second", kgen_json_positive(weight_bytes_per_second(g)), "bytes_per_token",
        kgen_json_positive(bytes_per_token(g)), "bytes_per_second", kgen_json_positive(bytes_per_second(g)),
        "read_bandwidth", kgen_json_positive(bandwidth), "bandwidth_share",
        kgen_json_positive(kgen_rate(bytes_per_second(g), bandwidth)), "peak_memory_megabytes",
        kgen_json_positive(kgen_peak_megabytes()), "memory", kgen_opened_model_memory_json(&g->opened)));
}

static void say_rates(const struct generation *generation)
{
    const struct generation *g = generation;
    if (g->options->quiet)
        return;
    kgen_say("kgen: opened in %.2f s; prompt %zu tokens, %.1f tokens/s, %.2f s to the first token",
             g->opened.seconds, g->prompt.count, kgen_rate((double)g->prompt.count, g->prompt_seconds),
             g->prompt_seconds);
    if (g->tokens.count > 1) {
        const double bandwidth = kgen_opened_model_bandwidth(&g->opened);
        char share[64] = "";
        if (bandwidth > 0)
            snprintf(share, sizeof share, ", %.0f %% of the bandwidth of %.1f GB/s",
                     100 * bytes_per_second(g) / bandwidth, bandwidth * 1e-9);
        kgen_say("kgen: text %zu tokens, %.1f tokens/s; weights and caches read at %.1f GB/s%s",
                 g->tokens.count, kgen_rate((double)(g->tokens.count - 1), g->text_seconds),
                 bytes_per_second(g) * 1e-9, share);
    }
    kgen_opened_model_say_memory(&g->opened);
}

static int run(struct generation *generation)
{
    struct kgen_error error = {0};
    if (generation->options->prompt == NULL && generation->options->prompt_file == NULL) {
        kgen_error_set(&error, KGEN_ERROR_USAGE, NULL, 0, 0, "there is no prompt");
        kgen_error_hint(&error, "-p gives its text, -f a file");
        return kgen_fail(&error);
    }
    const int opened = kgen_opened_model_open(&generation->opened, generation->options, 0);
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
    struct generation generation = {.options = options};
    kgen_interrupt_catch();
    const int status = run(&generation);
    kgen_sampler_free(generation.sampler);
    kgen_token_ids_free(&generation.prompt);
    kgen_token_ids_free(&generation.tokens);
    kgen_text_free(&generation.text);
    kgen_opened_model_close(&generation.opened);
    return kgen_finish_output(status);
}
