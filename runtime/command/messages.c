/* SPDX-License-Identifier: MIT */
#include "runtime/command/command.h"
#include "runtime/command/missing.h"

#include <stdio.h>

void kgen_say_error(const struct kgen_error *error)
{
    struct kgen_error without_hint = *error, hinted = *error;
    without_hint.hint[0] = '\0';
    char text[1024];
    fprintf(stderr, "kgen: error: %s\n", kgen_error_format(&without_hint, text, sizeof text));
    if (error->code == KGEN_ERROR_IO)
        kgen_hint_missing(error->source, &hinted);
    if (hinted.hint[0] != '\0')
        fprintf(stderr, "  hint: %s\n", hinted.hint);
}

void kgen_say_warning(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("kgen: warning: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

void kgen_say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

const char *kgen_plural(size_t count)
{
    return count == 1 ? "" : "s";
}

void kgen_say_log(void *context, int level, const char *message)
{
    const struct kgen_options *options = context;
    if (level == KGEN_MESSAGE_WARNING)
        kgen_say_warning("%s", message);
    else if (options->verbose)
        kgen_say("kgen: %s", message);
}

int kgen_fail(const struct kgen_error *error)
{
    kgen_say_error(error);
    switch (error->code) {
    case KGEN_ERROR_USAGE:
    case KGEN_ERROR_SPEC:
    case KGEN_ERROR_TEMPLATE:
    case KGEN_ERROR_IO:
        return KGEN_EXIT_USAGE;
    default:
        return KGEN_EXIT_FAILED;
    }
}

int kgen_finish_output(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    perror("kgen: error: cannot write the result");
    return KGEN_EXIT_FAILED;
}

int kgen_check_isa(const struct kgen_options *options, unsigned isas)
{
    if (!options->isa_given || (isas >> options->isa & 1) != 0)
        return 0;
    const struct kgen_isa_info *info = kgen_isa_info(options->isa);
    struct kgen_error error = {0};
    struct kgen_text has = {0};
    kgen_isas_write(isas, &has);
    kgen_error_set(&error, KGEN_ERROR_CANDIDATE, NULL, 0, 0, "this machine cannot run %s (%s)", info->name,
                   info->needs);
    kgen_error_hint(&error, "it can run: %s", has.failed ? "" : has.data);
    kgen_say_error(&error);
    kgen_text_free(&has);
    return -1;
}
