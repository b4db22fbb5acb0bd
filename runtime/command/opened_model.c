/* SPDX-License-Identifier: MIT */
#include "runtime/command/opened_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gen/base/clock.h"
#include "runtime/command/interrupt.h"
#include "runtime/model/tokenizer/tokenizer_file.h"

static void say_log(void *context, int level, const char *message)
{
    (void)context;
    if (level == KGEN_LOG_WARNING)
        kgen_say_warning("%s", message);
}

static int fail_status(const struct kgen_status *status)
{
    struct kgen_error error = {.code = status->code == KGEN_IO_FAILED ? KGEN_ERROR_IO : KGEN_ERROR_USAGE,
                               .line = status->line,
                               .column = status->column};
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

static struct kgen_context *open_context(const struct kgen_opened_model *opened, struct kgen_status *status)
{
    const struct kgen_options *options = opened->options;
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

void kgen_opened_model_clear(const struct kgen_opened_model *opened)
{
    if (opened->live)
        fputs("\r\033[K", stderr);
}

void kgen_opened_model_show(const struct kgen_opened_model *opened, const char *format, ...)
{
    va_list arguments;
    if (!opened->live)
        return;
    kgen_opened_model_clear(opened);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
}

static void show_loading(void *context, size_t done, size_t count)
{
    if (done % 16 == 0 || done == count)
        kgen_opened_model_show(context, "loading weights: %zu of %zu nodes", done, count);
}

static void say_plan(const struct kgen_opened_model *opened)
{
    struct kgen_plan_facts facts;
    kgen_plan_query(opened->model->plan, &facts, sizeof facts);
    if (opened->options->quiet)
        return;
    if (facts.search_seconds > 0)
        kgen_say("kgen: tuned %zu kernel%s for this machine in %.1f s%s", facts.searched,
                 kgen_plural(facts.searched), facts.search_seconds,
                 facts.time_was_up ? "; the time was up, and a later run goes on"
                                   : "; later runs start from the cache");
    if (facts.fallbacks > 0)
        kgen_say("kgen: %zu of %zu kernels were not tuned on this machine", facts.fallbacks,
                 kgen_plan_count(opened->model->plan));
}

/* The name of a constant that the command line gives, or NULL. */
static const char *name_of(int64_t constant)
{
    return constant != KGEN_CONSTANT_NONE ? kgen_constant_name(constant) : NULL;
}

static bool needs_text(const struct kgen_options *options)
{
    return options->command != KGEN_COMMAND_BENCH && options->command != KGEN_COMMAND_PROFILE;
}

static bool is_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* Opens a tokenizer that is a file of its own, before anything is tuned. */
static int open_own_tokenizer(struct kgen_opened_model *opened, struct kgen_error *error)
{
    const struct kgen_options *options = opened->options;
    const char *path = options->tokenizer != NULL ? options->tokenizer : options->arguments[0];
    if (!needs_text(options) || (options->tokenizer == NULL && !is_folder(path)))
        return 0;
    opened->tokenizer = kgen_tokenizer_from_file(path, error);
    return opened->tokenizer != NULL ? 0 : -1;
}

/* Opens the tokenizer of the checkpoint, unless there is another. */
static int open_tokenizer(struct kgen_opened_model *opened, struct kgen_error *error)
{
    const char *source = opened->options->arguments[0];
    if (!needs_text(opened->options))
        return 0;
    const struct kgen_gguf *gguf = kgen_checkpoint_gguf(opened->model->checkpoint);
    const bool own = opened->tokenizer != NULL;
    if (!own && (gguf == NULL || !kgen_tokenizer_is_in(gguf))) {
        kgen_error_set(error, KGEN_ERROR_SPEC, source, 0, 0, "the checkpoint has no tokenizer");
        kgen_error_hint(error, "--tokenizer FILE names one");
        return -1;
    }
    if (!own && (opened->tokenizer = kgen_tokenizer_from_metadata(gguf, error)) == NULL)
        return -1;
    const size_t tokens = kgen_tokenizer_count(opened->tokenizer);
    const int64_t rows = kgen_decoder_vocabulary(opened->model->decoder);
    if (!own || (int64_t)tokens <= rows)
        return 0;
    return kgen_error_set(error, KGEN_ERROR_SPEC,
                          opened->options->tokenizer != NULL ? opened->options->tokenizer : source, 0, 0,
                          "the tokenizer has %zu tokens, and the model knows %lld", tokens, (long long)rows);
}

int kgen_opened_model_open(struct kgen_opened_model *opened, const struct kgen_options *options,
                           int64_t least_context)
{
    struct kgen_status status = {0};
    struct kgen_error error = {0};
    const double begin = kgen_clock();
    const int64_t given = options->spec.context;
    opened->options = options;
    if (open_own_tokenizer(opened, &error) != 0)
        return kgen_fail(&error);
    opened->live =
        !options->quiet && !options->verbose && isatty(STDERR_FILENO) && getenv("NO_COLOR") == NULL;
    const struct kgen_model_options model_options = {
        .activation_dtype = name_of(options->spec.activation_dtypes[0]),
        .output_activation_dtype = name_of(options->spec.output_activation_dtype),
        .layout = name_of(options->spec.layout),
        .cache_dtype = name_of(options->spec.cache_dtype),
        .context = given < least_context ? least_context : given,
        .prompt_rows = options->spec.prompt_rows,
        .config = opened->config,
        .weights = options->mmap      ? KGEN_MODEL_WEIGHTS_IN_PLACE
                   : options->no_mmap ? KGEN_MODEL_WEIGHTS_PACKED
                                      : KGEN_MODEL_WEIGHTS_AUTO,
        .sequences = options->batch,
        .progress = show_loading,
        .progress_context = opened};
    opened->context = open_context(opened, &status);
    if (opened->context != NULL && opened->arrange != NULL &&
        opened->arrange(opened->arrange_context, opened->context, &error) != 0)
        return kgen_fail(&error);
    if (opened->context != NULL && options->isa_given) {
        if (kgen_check_isa(options, opened->context->machine.isas) != 0)
            return KGEN_EXIT_NO_CANDIDATE;
        opened->context->machine.isas = 1u << options->isa | 1u << KGEN_ISA_GENERIC;
    }
    if (opened->context != NULL) {
        kgen_opened_model_show(opened, "preparing the kernels");
        opened->model =
            kgen_model_of_checkpoint(opened->context, options->arguments[0], &model_options, &status);
        kgen_opened_model_clear(opened);
    }
    if (opened->model == NULL)
        return fail_status(&status);
    if (open_tokenizer(opened, &error) != 0)
        return kgen_fail(&error);
    opened->seconds = kgen_clock() - begin;
    say_plan(opened);
    return KGEN_EXIT_DONE;
}

const char *kgen_opened_model_precision(const struct kgen_opened_model *opened,
                                        char text[KGEN_PRECISION_TEXT])
{
    const struct kgen_model *model = opened->model;
    const bool one = strcmp(model->activation_dtype, model->output_activation_dtype) == 0;
    snprintf(text, KGEN_PRECISION_TEXT, "%s activations%s%s%s", model->activation_dtype,
             one ? "" : " (output projection ", one ? "" : model->output_activation_dtype, one ? "" : ")");
    return text;
}

void kgen_opened_model_close(struct kgen_opened_model *opened)
{
    kgen_tokenizer_free(opened->tokenizer);
    kgen_model_close(opened->model);
    kgen_close(opened->context);
    *opened = (struct kgen_opened_model){0};
}

/* ---- figures ---- */

double kgen_opened_model_bandwidth(const struct kgen_opened_model *opened)
{
    const struct kgen_context *context = opened->context;
    struct kgen_session session = {.machine = context->machine,
                                   .templates = context->templates,
                                   .cache = context->cache,
                                   .threads = context->settings.threads};
    struct kgen_bandwidth bandwidth;
    struct kgen_error ignored = {0};
    if (context->settings.no_cache)
        return 0;
    /* A noisy one will do: another measurement beside the same programs would be no better. */
    if (kgen_session_known_bandwidth(&session, &bandwidth) != 0 &&
        kgen_session_bandwidth(&session, false, &bandwidth, &ignored) != 0)
        return 0;
    return kgen_bandwidth_of(&bandwidth, session.threads);
}

double kgen_opened_model_step_bytes(const struct kgen_opened_model *opened, double positions)
{
    struct kgen_decoder_sizes sizes;
    kgen_decoder_query(opened->model->decoder, &sizes);
    const int64_t context = kgen_decoder_context(opened->model->decoder);
    return (double)sizes.read_weights +
           (context > 0 ? (double)sizes.caches * positions / (double)context : 0);
}

json_t *kgen_opened_model_memory_json(const struct kgen_opened_model *opened)
{
    struct kgen_decoder_sizes sizes;
    kgen_decoder_query(opened->model->decoder, &sizes);
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "packed_weights", (json_int_t)sizes.weights,
                     "weights_in_place", (json_int_t)sizes.in_place_weights, "caches",
                     (json_int_t)sizes.caches, "filled_caches", (json_int_t)sizes.filled_caches,
                     "activations", (json_int_t)sizes.activations);
}

void kgen_opened_model_say_memory(const struct kgen_opened_model *opened)
{
    const double mega = 1 << 20;
    struct kgen_decoder_sizes sizes;
    kgen_decoder_query(opened->model->decoder, &sizes);
    kgen_say(
        "kgen: peak memory %.0f MB: weights %.1f packed and %.1f in the file, caches %.1f (room for %.0f), "
        "activations at most %.1f",
        kgen_peak_megabytes(), (double)sizes.weights / mega, (double)sizes.in_place_weights / mega,
        (double)sizes.filled_caches / mega, (double)sizes.caches / mega, (double)sizes.activations / mega);
}

double kgen_rate(double count, double seconds)
{
    return seconds > 0 ? count / seconds : 0;
}

double kgen_peak_megabytes(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (double)usage.ru_maxrss / 1024 : 0;
}
