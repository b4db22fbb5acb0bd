/* SPDX-License-Identifier: MIT */
/* kgen perplexity: how well a checkpoint foretells a text. */
#include <stdio.h>

#include "gen/base/clock.h"
#include "gen/base/file.h"
#include "runtime/command/interrupt.h"
#include "runtime/command/json.h"
#include "runtime/command/opened_model.h"
#include "runtime/model/likelihood.h"

#define TEXT_LIMIT ((size_t)1 << 30)

enum { USUAL_WINDOW = 512 };

struct scoring {
    const struct kgen_options *options;
    struct kgen_opened_model opened;
    struct kgen_text text;
    struct kgen_token_ids ids;
    int64_t window, skip;
    struct kgen_likelihood likelihood;
    int64_t steps;
    double seconds;
};

/* ---- the windows ---- */

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
        if (logits == NULL) {
            result = -1;
            break;
        }
        scoring->steps++;
        const double loss =
            kgen_likelihood_add(&scoring->likelihood, logits, kgen_decoder_vocabulary(decoder), ids[i + 1]);
        if (!(loss == loss))
            result = kgen_error_set(error, KGEN_ERROR_SPEC, NULL, 0, 0,
                                    "the model gives logits that are no numbers, at token %lld",
                                    (long long)(begin + i));
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

/* ---- the result ---- */

static int print_json(const struct scoring *scoring)
{
    const struct scoring *s = scoring;
    return kgen_json_print(json_pack(
        "{s:s, s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o}", "kgen", KGEN_VERSION,
        "checkpoint", s->options->arguments[0], "activation_dtype", s->opened.model->activation_dtype,
        "threads", s->opened.context->settings.threads, "tokens", (json_int_t)s->ids.count, "window",
        (json_int_t)s->window, "skip", (json_int_t)s->skip, "counted", (json_int_t)s->likelihood.count, "nll",
        kgen_json_number(kgen_likelihood_mean(&s->likelihood)), "perplexity",
        kgen_json_number(kgen_likelihood_perplexity(&s->likelihood)), "standard_error",
        kgen_json_number(kgen_likelihood_error(&s->likelihood)), "seconds", kgen_json_positive(s->seconds),
        "tokens_per_second", kgen_json_positive(kgen_rate((double)s->steps, s->seconds))));
}

static int run(struct scoring *scoring)
{
    struct kgen_error error = {0};
    if (read_options(scoring, &error) != 0)
        return kgen_fail(&error);
    const int opened = kgen_opened_model_open(&scoring->opened, scoring->options, scoring->window);
    if (opened != KGEN_EXIT_DONE)
        return opened;
    const int result = encode(scoring, &error) != 0 || score(scoring, &error) != 0 ? -1 : 0;
    kgen_opened_model_clear(&scoring->opened);
    if (result != 0)
        return kgen_fail(&error);
    if (kgen_interrupted)
        return KGEN_EXIT_INTERRUPTED;
    if (scoring->options->json)
        return print_json(scoring) == 0 ? KGEN_EXIT_DONE : KGEN_EXIT_FAILED;
    printf("perplexity %.5f +- %.5f: %lld of %zu tokens, windows of %lld, of which the first %lld do not "
           "count\n",
           kgen_likelihood_perplexity(&scoring->likelihood), kgen_likelihood_error(&scoring->likelihood),
           (long long)scoring->likelihood.count, scoring->ids.count, (long long)scoring->window,
           (long long)scoring->skip);
    if (!scoring->options->quiet)
        kgen_say("kgen: %s activations, %.1f tokens/s", scoring->opened.model->activation_dtype,
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
    kgen_opened_model_close(&scoring.opened);
    return kgen_finish_output(status);
}
