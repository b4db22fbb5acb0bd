/* SPDX-License-Identifier: MIT */
/* kgen profile: where the time of a decode step goes, node by node. */
#include <stdlib.h>
#include <string.h>

#include "gen/base/clock.h"
#include "gen/base/file.h"
#include "gen/ops/random.h"
#include "runtime/command/interrupt.h"
#include "runtime/command/profile/profile.h"
#include "runtime/command/report/profile.h"
#include "runtime/tune/timing.h"

#define SEED 1

enum { USUAL_CONTEXT = 256, STEP_RUNS = 50, PROMPT_RUNS = 5, WARM_UP = 3, FILL_PIECE = 64 };

/* ---- running ---- */

/* Runs the tokens of a part once. */
static int run_once(const struct kgen_profile *profile, const int32_t *tokens, int64_t position,
                    int64_t count, struct kgen_error *error)
{
    struct kgen_decoder *decoder = profile->opened.model->decoder;
    return kgen_decoder_prompt(decoder, tokens + position, (size_t)count, position, error) != NULL ? 0 : -1;
}

/* Runs a part again and again, at the same positions, and makes its lines. */
static int run_part(struct kgen_profile *profile, struct kgen_profile_part *part, size_t wanted,
                    const int32_t *tokens, struct kgen_error *error)
{
    struct kgen_decoder *decoder = profile->opened.model->decoder;
    const struct kgen_graph *graph = profile->opened.model->spec->graph;
    struct kgen_decoder_time *times = calloc(wanted * graph->node_count + 1, sizeof *times);
    double *seconds = calloc(wanted, sizeof *seconds);
    int result = 0;
    if (times == NULL || seconds == NULL)
        result = kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    for (int i = 0; result == 0 && i < WARM_UP; i++)
        result = run_once(profile, tokens, part->position, part->tokens, error);
    while (result == 0 && part->runs < wanted && !kgen_interrupted) {
        result = kgen_decoder_watch(decoder, times + part->runs * graph->node_count, error);
        const double begin = kgen_clock();
        if (result == 0)
            result = run_once(profile, tokens, part->position, part->tokens, error);
        seconds[part->runs++] = kgen_clock() - begin;
    }
    kgen_decoder_watch(decoder, NULL, NULL);
    if (result == 0)
        result = kgen_profile_lines(graph, times, part, error);
    if (result == 0 && part->runs > 0) {
        part->seconds = kgen_median(seconds, part->runs);
        part->least = seconds[0]; /* sorted */
    }
    free(seconds);
    free(times);
    return result;
}

/* Fills the caches up to the position of the step. */
static int fill(const struct kgen_profile *profile, const int32_t *tokens, struct kgen_error *error)
{
    for (int64_t i = 0; i < profile->step.position && !kgen_interrupted; i += FILL_PIECE) {
        const int64_t left = profile->step.position - i;
        if (run_once(profile, tokens, i, left < FILL_PIECE ? left : FILL_PIECE, error) != 0)
            return -1;
    }
    return 0;
}

static int run_parts(struct kgen_profile *profile, const struct kgen_options *options,
                     struct kgen_error *error)
{
    struct kgen_decoder *decoder = profile->opened.model->decoder;
    const int64_t context = kgen_decoder_context(decoder);
    const size_t runs = (size_t)options->repeats;
    struct kgen_random random = {SEED};
    int32_t *tokens = calloc((size_t)context, sizeof *tokens);
    if (tokens == NULL)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    for (int64_t i = 0; i < context; i++)
        tokens[i] = (int32_t)kgen_random_below(&random, kgen_decoder_vocabulary(decoder));
    profile->step.tokens = 1;
    profile->step.position = context - 1;
    kgen_opened_model_show(&profile->opened, "running prompts and steps");
    int result = fill(profile, tokens, error);
    if (result == 0)
        result = run_part(profile, &profile->step, runs > 0 ? runs : STEP_RUNS, tokens, error);
    if (result == 0 && profile->prompt.tokens > 0)
        result = run_part(profile, &profile->prompt, runs > 0 ? runs : PROMPT_RUNS, tokens, error);
    kgen_opened_model_clear(&profile->opened);
    free(tokens);
    return result;
}

/* The read bandwidth, from the cache or measured. */
static void find_bandwidth(struct kgen_profile *profile)
{
    const struct kgen_context *context = profile->opened.context;
    struct kgen_session session = {.machine = context->machine,
                                   .templates = context->templates,
                                   .cache = context->cache,
                                   .threads = context->settings.threads};
    struct kgen_error error = {0};
    char text[1024];
    kgen_opened_model_show(&profile->opened, "measuring the read bandwidth");
    profile->bandwidth_known = kgen_session_bandwidth(&session, false, &profile->bandwidth, &error) == 0;
    kgen_opened_model_clear(&profile->opened);
    if (!profile->bandwidth_known)
        kgen_say_warning("the read bandwidth is not known: %s", kgen_error_format(&error, text, sizeof text));
    else if (kgen_bandwidth_is_noisy(&profile->bandwidth) && !profile->opened.options->quiet)
        kgen_say_warning(
            "the machine is busy: the speed of its memory varies by %.0f%%, and so may the times",
            profile->bandwidth.noise * 100);
}

/* ---- the command ---- */

static int read_prompt(struct kgen_profile *profile, const char *text, struct kgen_error *error)
{
    char *end;
    if (text == NULL)
        return 0;
    profile->prompt.tokens = strtoll(text, &end, 10);
    if (*text >= '0' && *text <= '9' && *end == '\0' && profile->prompt.tokens > 0 &&
        profile->prompt.tokens <= 1 << 20)
        return 0;
    kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "--prompt cannot be '%s'", text);
    kgen_error_hint(error, "for kgen profile the number of tokens of a prompt, such as 512");
    return -1;
}

static int write_html(const struct kgen_profile *profile, const char *path, struct kgen_error *error)
{
    struct kgen_text html = {0};
    kgen_html_profile(profile, &html);
    const int result = html.failed ? kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory")
                                   : kgen_file_write(path, html.data, html.length, error);
    kgen_text_free(&html);
    return result;
}

static int run(struct kgen_profile *profile, const struct kgen_options *options)
{
    struct kgen_error error = {0};
    profile->source = options->arguments[0];
    const bool is_spec = kgen_profile_is_spec(profile->source);
    if (read_prompt(profile, options->prompt, &error) != 0)
        return kgen_fail(&error);
    if (is_spec && kgen_profile_read_spec(profile, options, &error) != 0)
        return kgen_fail(&error);
    if (!is_spec && options->layers > 0) {
        kgen_error_set(&error, KGEN_ERROR_USAGE, NULL, 0, 0,
                       "--layers is for specs, whose weights are random");
        return kgen_fail(&error);
    }
    profile->opened.config = is_spec ? &profile->config : NULL;
    const int64_t least = options->spec.context > 0 ? options->spec.context : USUAL_CONTEXT;
    const int opened = kgen_opened_model_open(
        &profile->opened, options, least > profile->prompt.tokens ? least : profile->prompt.tokens);
    if (opened != KGEN_EXIT_DONE)
        return opened;
    profile->layers = profile->opened.model->spec->graph->layers;
    find_bandwidth(profile);
    if (run_parts(profile, options, &error) != 0 ||
        (options->html != NULL && !kgen_interrupted && write_html(profile, options->html, &error) != 0))
        return kgen_fail(&error);
    if (kgen_interrupted)
        return KGEN_EXIT_INTERRUPTED;
    const int printed = options->json ? kgen_profile_print_json(profile) : kgen_profile_print(profile);
    if (printed == 0 && options->html != NULL && !options->json)
        kgen_say("kgen: written to %s", options->html);
    return printed == 0 ? KGEN_EXIT_DONE : KGEN_EXIT_FAILED;
}

int kgen_command_profile(const struct kgen_options *options)
{
    struct kgen_profile profile = {0};
    kgen_interrupt_catch();
    const int status = run(&profile, options);
    kgen_profile_lines_free(&profile.step);
    kgen_profile_lines_free(&profile.prompt);
    kgen_opened_model_close(&profile.opened);
    kgen_text_free(&profile.config);
    return kgen_finish_output(status);
}
