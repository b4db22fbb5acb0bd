/* SPDX-License-Identifier: MIT */
/* kgen perplexity: how well a checkpoint foretells a text. */
#include <stdio.h>
#include <stdlib.h>

#include "gen/base/clock.h"
#include "gen/base/file.h"
#include "runtime/command/interrupt.h"
#include "runtime/command/json.h"
#include "runtime/command/opened_model.h"
#include "runtime/model/divergence.h"
#include "runtime/model/likelihood.h"
#include "runtime/model/logits_file.h"

#define TEXT_LIMIT ((size_t)1 << 30)

enum { USUAL_WINDOW = 512 };

struct scoring {
    const struct kgen_options *options;
    struct kgen_opened_model opened;
    struct kgen_text text;
    struct kgen_token_ids ids;
    int64_t window, skip;
    struct kgen_likelihood likelihood;
    struct kgen_logits_file base; /* of --kl-divergence */
    double *base_log_p;
    struct kgen_divergence divergence;
    struct kgen_logits_writer *saved; /* of --save-logits */
    int64_t steps;
    double seconds;
};

/* ---- the windows ---- */

/* Takes the logits at a position of the window that begins at an id. */
static int take_logits(struct scoring *scoring, int64_t begin, int64_t position, const float *logits,
                       struct kgen_error *error)
{
    const int64_t window = begin / scoring->window,
                  vocabulary = kgen_decoder_vocabulary(scoring->opened.model->decoder);
    const int32_t next = scoring->ids.ids[begin + position + 1];
    const double loss = kgen_likelihood_add(&scoring->likelihood, logits, vocabulary, next);
    if (!(loss == loss))
        return kgen_error_set(error, KGEN_ERROR_SPEC, NULL, 0, 0,
                              "the model gives logits that are no numbers, at token %lld",
                              (long long)(begin + position));
    const bool whole = begin + scoring->window <= (int64_t)scoring->ids.count;
    if (scoring->base_log_p != NULL && window < scoring->base.windows) {
        kgen_logits_file_row(&scoring->base, window, position, scoring->base_log_p);
        kgen_divergence_add(&scoring->divergence, scoring->base_log_p, logits, vocabulary);
    }
    if (scoring->saved != NULL && whole)
        return kgen_logits_writer_add(scoring->saved, logits, error);
    return 0;
}

/* Runs the window that begins at an id, from an empty cache: what does not count as a prompt, then token by
 * token. */
static int score_window(struct scoring *scoring, int64_t begin, struct kgen_error *error)
{
    struct kgen_decoder *decoder = scoring->opened.model->decoder;
    int32_t *ids = scoring->ids.ids + begin;
    const int64_t rest = (int64_t)scoring->ids.count - begin;
    const int64_t length = rest < scoring->window ? rest : scoring->window;
    if (scoring->skip >= length - 1) /* the last id has no next one: none would count */
        return 0;
    const int32_t first = ids[0];
    if (kgen_tokenizer_adds_bos(scoring->opened.tokenizer))
        ids[0] = (int32_t)kgen_tokenizer_bos(scoring->opened.tokenizer);
    int result = 0;
    if (scoring->skip > 0 && kgen_decoder_prompt(decoder, ids, (size_t)scoring->skip, 0, error) == NULL)
        result = -1;
    scoring->steps += scoring->skip;
    for (int64_t i = scoring->skip; result == 0 && i < length - 1 && !kgen_interrupted; i++) {
        const float *logits = kgen_decoder_step(decoder, ids[i], i, error);
        result = logits == NULL ? -1 : take_logits(scoring, begin, i, logits, error);
        scoring->steps++;
    }
    ids[0] = first;
    return result;
}

static int score(struct scoring *scoring, struct kgen_error *error)
{
    const int64_t count = (int64_t)scoring->ids.count;
    const double begin = kgen_clock();
    for (int64_t i = 0; i < count && !kgen_interrupted; i += scoring->window) {
        if (scoring->likelihood.count > 0)
            kgen_opened_model_show(&scoring->opened, "token %lld of %lld, perplexity %.4f so far",
                                   (long long)i, (long long)count,
                                   kgen_likelihood_perplexity(&scoring->likelihood));
        else
            kgen_opened_model_show(&scoring->opened, "token %lld of %lld", (long long)i, (long long)count);
        if (score_window(scoring, i, error) != 0)
            return -1;
    }
    scoring->seconds = kgen_clock() - begin;
    return 0;
}

/* ---- the text ---- */

static int read_options(struct scoring *scoring, struct kgen_error *error)
{
    const struct kgen_options *options = scoring->options;
    scoring->window = options->window > 0 ? options->window : USUAL_WINDOW;
    scoring->skip = options->skip >= 0 ? options->skip : scoring->window / 2;
    if (scoring->skip > scoring->window - 2)
        return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0,
                              "no token counts: --skip must be at least 2 below --window");
    if (options->kl_divergence != NULL &&
        kgen_logits_file_open(&scoring->base, options->kl_divergence, error) != 0)
        return -1;
    if (options->prompt_file != NULL)
        return kgen_file_read(options->prompt_file, TEXT_LIMIT, &scoring->text, error);
    kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "there is no text");
    kgen_error_hint(error, "-f FILE names it");
    return -1;
}

static int encode(struct scoring *scoring, struct kgen_error *error)
{
    if (kgen_tokenizer_encode(scoring->opened.tokenizer, scoring->text.data, scoring->text.length,
                              KGEN_ENCODE_ADD_SPECIAL, &scoring->ids, error) != 0)
        return -1;
    if ((int64_t)scoring->ids.count >= scoring->skip + 2)
        return 0;
    kgen_error_set(error, KGEN_ERROR_USAGE, scoring->options->prompt_file, 0, 0,
                   "the text has %zu tokens, and none counts", scoring->ids.count);
    kgen_error_hint(error, "it takes at least %lld; --window and --skip say so",
                    (long long)scoring->skip + 2);
    return -1;
}

/* ---- files of logits ---- */

static int check_base(struct scoring *scoring, struct kgen_error *error)
{
    const char *path = scoring->options->kl_divergence;
    const int64_t vocabulary = kgen_decoder_vocabulary(scoring->opened.model->decoder);
    const struct kgen_logits_file *base = &scoring->base;
    if (base->window != scoring->window || base->vocabulary != vocabulary) {
        kgen_error_set(error, KGEN_ERROR_SPEC, path, 0, 0,
                       "the logits are of windows of %d tokens and a vocabulary of %d, not of %lld and %lld",
                       base->window, base->vocabulary, (long long)scoring->window, (long long)vocabulary);
        kgen_error_hint(error, "--window gives the window");
        return -1;
    }
    const int64_t count = (int64_t)base->window * base->windows;
    for (int64_t i = 0; i < count; i++)
        if (i >= (int64_t)scoring->ids.count || kgen_logits_file_id(base, i) != scoring->ids.ids[i])
            return kgen_error_set(error, KGEN_ERROR_SPEC, path, 0, 0,
                                  "the logits are of another text: token %lld differs", (long long)i);
    scoring->base_log_p = calloc((size_t)vocabulary, sizeof *scoring->base_log_p);
    return scoring->base_log_p != NULL
               ? 0
               : kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
}

static int open_files(struct scoring *scoring, struct kgen_error *error)
{
    const struct kgen_options *options = scoring->options;
    const int64_t windows = (int64_t)scoring->ids.count / scoring->window;
    if (options->kl_divergence == NULL && options->save_logits == NULL)
        return 0;
    if (scoring->skip != scoring->window / 2)
        return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0,
                              "files of logits skip half of each window: --skip cannot be %lld",
                              (long long)scoring->skip);
    if (windows == 0)
        return kgen_error_set(error, KGEN_ERROR_USAGE, options->prompt_file, 0, 0,
                              "files of logits take whole windows: the text has %zu tokens, a window %lld",
                              scoring->ids.count, (long long)scoring->window);
    if (options->kl_divergence != NULL && check_base(scoring, error) != 0)
        return -1;
    if (options->save_logits == NULL)
        return 0;
    scoring->saved = kgen_logits_writer_new(options->save_logits, (int32_t)scoring->window,
                                            (int32_t)kgen_decoder_vocabulary(scoring->opened.model->decoder),
                                            (int32_t)windows, scoring->ids.ids, error);
    return scoring->saved != NULL ? 0 : -1;
}

/* ---- the result ---- */

static json_t *divergence_json(const struct scoring *scoring)
{
    const struct kgen_divergence *divergence = &scoring->divergence;
    if (divergence->count == 0)
        return json_null();
    return json_pack("{s:I, s:f, s:f, s:f, s:f}", "positions", (json_int_t)divergence->count, "mean",
                     kgen_divergence_mean(divergence), "standard_error", kgen_divergence_error(divergence),
                     "greatest", divergence->greatest, "same_top",
                     (double)divergence->same_top / (double)divergence->count);
}

static int print_json(const struct scoring *scoring)
{
    const struct scoring *s = scoring;
    return kgen_json_print(json_pack(
        "{s:s, s:s, s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "kgen", KGEN_VERSION,
        "checkpoint", s->options->arguments[0], "activation_dtype", s->opened.model->activation_dtype,
        "output_activation_dtype", s->opened.model->output_activation_dtype, "threads",
        s->opened.context->settings.threads, "tokens", (json_int_t)s->ids.count, "window",
        (json_int_t)s->window, "skip", (json_int_t)s->skip, "counted", (json_int_t)s->likelihood.count, "nll",
        kgen_json_number(kgen_likelihood_mean(&s->likelihood)), "perplexity",
        kgen_json_number(kgen_likelihood_perplexity(&s->likelihood)), "standard_error",
        kgen_json_number(kgen_likelihood_error(&s->likelihood)), "kl_divergence", divergence_json(s),
        "seconds", kgen_json_positive(s->seconds), "tokens_per_second",
        kgen_json_positive(kgen_rate((double)s->steps, s->seconds))));
}

static void print_text(const struct scoring *scoring)
{
    const struct kgen_divergence *divergence = &scoring->divergence;
    printf("perplexity %.5f +- %.5f: %lld of %zu tokens, windows of %lld, of which the first %lld do not "
           "count\n",
           kgen_likelihood_perplexity(&scoring->likelihood), kgen_likelihood_error(&scoring->likelihood),
           (long long)scoring->likelihood.count, scoring->ids.count, (long long)scoring->window,
           (long long)scoring->skip);
    if (divergence->count > 0)
        printf("KL divergence from %s %.3g +- %.1g, greatest %.3g: %lld positions, same most likely token in "
               "%.2f %%\n",
               scoring->options->kl_divergence, kgen_divergence_mean(divergence),
               kgen_divergence_error(divergence), divergence->greatest, (long long)divergence->count,
               100 * (double)divergence->same_top / (double)divergence->count);
}

static int run(struct scoring *scoring)
{
    struct kgen_error error = {0};
    if (read_options(scoring, &error) != 0)
        return kgen_fail(&error);
    const int opened = kgen_opened_model_open(&scoring->opened, scoring->options, scoring->window);
    if (opened != KGEN_EXIT_DONE)
        return opened;
    int result = -1;
    if (encode(scoring, &error) == 0 && open_files(scoring, &error) == 0)
        result = score(scoring, &error);
    if (result == 0 && scoring->saved != NULL && !kgen_interrupted)
        result = kgen_logits_writer_finish(scoring->saved, &error);
    kgen_opened_model_clear(&scoring->opened);
    if (result != 0)
        return kgen_fail(&error);
    if (kgen_interrupted)
        return KGEN_EXIT_INTERRUPTED;
    if (scoring->options->json)
        return print_json(scoring) == 0 ? KGEN_EXIT_DONE : KGEN_EXIT_FAILED;
    print_text(scoring);
    char precision[KGEN_PRECISION_TEXT];
    if (!scoring->options->quiet)
        kgen_say("kgen: %s, %.1f tokens/s", kgen_opened_model_precision(&scoring->opened, precision),
                 kgen_rate((double)scoring->steps, scoring->seconds));
    return KGEN_EXIT_DONE;
}

int kgen_command_perplexity(const struct kgen_options *options)
{
    struct scoring scoring = {.options = options};
    kgen_interrupt_catch();
    const int status = run(&scoring);
    kgen_text_free(&scoring.text);
    kgen_token_ids_free(&scoring.ids);
    kgen_logits_writer_free(scoring.saved);
    kgen_logits_file_close(&scoring.base);
    free(scoring.base_log_p);
    kgen_opened_model_close(&scoring.opened);
    return kgen_finish_output(status);
}
