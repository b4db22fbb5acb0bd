/* SPDX-License-Identifier: MIT */
/* Settings and contexts. */
#include "runtime/api/context.h"
#include "gen/target/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *kgen_version(void)
{
    return KGEN_VERSION;
}

/* ---- errors ---- */

int kgen_status_set(struct kgen_status *status, enum kgen_status_code code, const char *format, ...)
{
    if (status == NULL || status->code != KGEN_OK)
        return -1;
    *status = (struct kgen_status){.code = code};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(status->message, sizeof status->message, format, arguments);
    va_end(arguments);
    return -1;
}

int kgen_status_from(struct kgen_status *status, const struct kgen_error *error)
{
    static const enum kgen_status_code codes[] = {
        [KGEN_ERROR_NONE] = KGEN_INTERNAL,         [KGEN_ERROR_USAGE] = KGEN_BAD_ARGUMENT,
        [KGEN_ERROR_SPEC] = KGEN_BAD_SPEC,         [KGEN_ERROR_TEMPLATE] = KGEN_INTERNAL,
        [KGEN_ERROR_CANDIDATE] = KGEN_NO_FUNCTION, [KGEN_ERROR_COMPILE] = KGEN_INTERNAL,
        [KGEN_ERROR_IO] = KGEN_IO_FAILED,          [KGEN_ERROR_MEMORY] = KGEN_OUT_OF_MEMORY,
    };
    if (status == NULL || status->code != KGEN_OK)
        return -1;
    *status = (struct kgen_status){.code = codes[error->code], .line = error->line, .column = error->column};
    memcpy(status->source, error->source, sizeof status->source);
    memcpy(status->message, error->message, sizeof status->message);
    memcpy(status->hint, error->hint, sizeof status->hint);
    return -1;
}

_Static_assert(sizeof((struct kgen_status *)0)->source == sizeof((struct kgen_error *)0)->source &&
                   sizeof((struct kgen_status *)0)->message == sizeof((struct kgen_error *)0)->message &&
                   sizeof((struct kgen_status *)0)->hint == sizeof((struct kgen_error *)0)->hint,
               "what an error says fits a status");

char *kgen_status_format(const struct kgen_status *status, char *text, size_t size)
{
    struct kgen_error error = {.line = status->line, .column = status->column};
    memcpy(error.source, status->source, sizeof error.source);
    memcpy(error.message, status->message, sizeof error.message);
    memcpy(error.hint, status->hint, sizeof error.hint);
    return size > 0 ? kgen_error_format(&error, text, size) : text;
}

/* ---- messages ---- */

_Static_assert((int)KGEN_ESTIMATE == (int)KGEN_EFFORT_ESTIMATE &&
                   (int)KGEN_MEASURE == (int)KGEN_EFFORT_MEASURE &&
                   (int)KGEN_PATIENT == (int)KGEN_EFFORT_PATIENT &&
                   (int)KGEN_EXHAUSTIVE == (int)KGEN_EFFORT_EXHAUSTIVE,
               "the efforts of kgen.h are those of the tuner");
_Static_assert((int)KGEN_LOG_WARNING == (int)KGEN_MESSAGE_WARNING, "a warning has one level");

enum kgen_search_effort kgen_context_effort(const struct kgen_context *context)
{
    return (enum kgen_search_effort)context->settings.effort;
}

static int verbose_of_environment(void)
{
    const char *value = getenv("KGEN_VERBOSE");
    const bool known = value != NULL && value[0] >= '1' && value[0] <= '3' && value[1] == '\0';
    return known ? value[0] - '0' : -1;
}

void kgen_context_log(const struct kgen_context *context, int level, const char *format, ...)
{
    if (level > context->verbose)
        return;
    struct kgen_text text = {0};
    va_list arguments;
    va_start(arguments, format);
    kgen_text_vprintf(&text, format, arguments);
    va_end(arguments);
    if (text.failed)
        text.length = 0;
    else if (context->settings.log != NULL)
        context->settings.log(context->settings.log_context, level, text.data);
    else
        fprintf(stderr, "kgen: %s%s\n", level == KGEN_LOG_WARNING ? "warning: " : "", text.data);
    kgen_text_free(&text);
}

/* Passes the messages of the cache on. */
static void cache_log(void *context, int level, const char *message)
{
    kgen_context_log(context, level, "%s", message);
}

/* ---- settings ---- */

void kgen_settings_init(struct kgen_settings *settings, size_t size)
{
    const struct kgen_settings defaults = {
        .size = size, .effort = KGEN_MEASURE, .log_level = KGEN_LOG_CHOICE};
    memset(settings, 0, size);
    memcpy(settings, &defaults, size < sizeof defaults ? size : sizeof defaults);
}

/* Copies the caller's settings, whose struct may be of another version of the header. */
static int read_settings(struct kgen_settings *to, const struct kgen_settings *from,
                         struct kgen_status *status)
{
    kgen_settings_init(to, sizeof *to);
    if (from == NULL)
        return 0;
    if (from->size < offsetof(struct kgen_settings, log_level))
        return kgen_status_set(status, KGEN_BAD_ARGUMENT,
                               "the settings were not made by kgen_settings_init: their size is %zu",
                               from->size);
    const unsigned char *bytes = (const unsigned char *)from;
    for (size_t i = sizeof *to; i < from->size; i++) {
        if (bytes[i] != 0)
            return kgen_status_set(status, KGEN_BAD_ARGUMENT,
                                   "the settings are of a later version than the library, %s", KGEN_VERSION);
    }
    memcpy(to, from, from->size < sizeof *to ? from->size : sizeof *to);
    to->size = sizeof *to;
    return 0;
}

static int check_settings(const struct kgen_settings *settings, struct kgen_status *status)
{
    if ((int)settings->effort < KGEN_ESTIMATE || settings->effort > KGEN_EXHAUSTIVE)
        return kgen_status_set(status, KGEN_BAD_ARGUMENT, "settings: there is no effort %d",
                               (int)settings->effort);
    if (!(settings->seconds >= 0 && settings->seconds <= 1e9))
        return kgen_status_set(status, KGEN_BAD_ARGUMENT, "settings: seconds must be 0 to 1e9");
    if (settings->threads < 0 || settings->threads > KGEN_THREADS_MAX)
        return kgen_status_set(status, KGEN_BAD_ARGUMENT, "settings: threads must be 0 to %d",
                               KGEN_THREADS_MAX);
    if (settings->cache_only && settings->no_cache)
        return kgen_status_set(status, KGEN_BAD_ARGUMENT,
                               "settings: cache_only and no_cache leave nothing to go by");
    return 0;
}

/* ---- contexts ---- */

static int copy_string(const char **string, struct kgen_error *error)
{
    if (*string == NULL)
        return 0;
    *string = strdup(*string);
    return *string != NULL ? 0 : kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
}

static int open_cache(struct kgen_context *context, struct kgen_error *error)
{
    struct kgen_text folder = {0};
    if (context->settings.no_cache) {
        context->cache = kgen_cache_open(NULL, cache_log, context, error);
    } else {
        const bool known = kgen_cache_folder(context->settings.cache_folder, &folder) == 0;
        if (!known)
            kgen_context_log(
                context, KGEN_LOG_WARNING,
                "no folder for the cache is known; nothing will be remembered (set KGEN_CACHE_DIR)");
        context->cache = kgen_cache_open_layers(known ? folder.data : NULL, cache_log, context, error);
    }
    kgen_text_free(&folder);
    return context->cache != NULL ? 0 : -1;
}

static int open_context(struct kgen_context *context, struct kgen_error *error)
{
    struct kgen_settings *settings = &context->settings;
    const char *templates = settings->templates_folder;
    settings->templates_folder = NULL; /* not owned yet */
    if (copy_string(&settings->cache_folder, error) != 0)
        return -1;
    settings->templates_folder = templates;
    if (copy_string(&settings->templates_folder, error) != 0)
        return -1;
    context->templates = kgen_templates_open_used(settings->templates_folder, kgen_target_at(0)->name, error);
    if (context->templates == NULL)
        return -1;
    kgen_machine_detect(&context->machine);
    if (settings->threads == 0)
        settings->threads =
            context->machine.threads < KGEN_THREADS_MAX ? context->machine.threads : KGEN_THREADS_MAX;
    if (kgen_engine_describe(KGEN_ENGINE_TCC, NULL, &context->engine, error) != 0)
        return -1;
    return open_cache(context, error);
}

struct kgen_context *kgen_open(const struct kgen_settings *settings, struct kgen_status *status)
{
    struct kgen_context *context = calloc(1, sizeof *context);
    if (context == NULL) {
        kgen_status_set(status, KGEN_OUT_OF_MEMORY, "out of memory");
        return NULL;
    }
    if (read_settings(&context->settings, settings, status) != 0 ||
        check_settings(&context->settings, status) != 0) {
        free(context);
        return NULL;
    }
    const int verbose = verbose_of_environment();
    context->verbose = context->settings.log != NULL && context->settings.log_level > verbose
                           ? context->settings.log_level
                           : verbose;
    struct kgen_error error = {0};
    if (open_context(context, &error) == 0)
        return context;
    kgen_status_from(status, &error);
    kgen_close(context);
    return NULL;
}

void kgen_close(struct kgen_context *context)
{
    if (context == NULL)
        return;
    kgen_cache_close(context->cache);
    kgen_templates_free(context->templates);
    kgen_text_free(&context->engine);
    free((char *)(uintptr_t)context->settings.cache_folder);
    free((char *)(uintptr_t)context->settings.templates_folder);
    free(context);
}

const char *kgen_machine_identity(const struct kgen_context *context)
{
    return context->machine.identity;
}
