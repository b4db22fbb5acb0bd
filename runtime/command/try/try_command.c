/* SPDX-License-Identifier: MIT */
/* kgen try: whether changed templates are right, and faster than those in use. */
#include <stdlib.h>

#include "runtime/command/interrupt.h"
#include "runtime/command/json.h"
#include "runtime/command/try/try.h"

void kgen_try_because(struct kgen_try *trial, const char *format, ...)
{
    struct kgen_text text = {0};
    va_list arguments;
    va_start(arguments, format);
    kgen_text_vprintf(&text, format, arguments);
    va_end(arguments);
    /* Where memory runs out the array is not made, and printing fails. */
    if (text.failed || json_array_append_new(trial->reasons, kgen_json_string(text.data)) != 0) {
        json_decref(trial->reasons);
        trial->reasons = NULL;
    }
    kgen_text_free(&text);
}

static int check_options(const struct kgen_options *options, struct kgen_error *error)
{
    struct kgen_text folder = {0};
    int result = 0;
    if (options->keep && options->templates != NULL) {
        result = kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0,
                                "--keep and --templates exclude each other: what is kept competes with the "
                                "templates that are in use without --templates");
    } else if (options->keep && kgen_templates_user_folder(&folder) != 0) {
        result = kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0,
                                "no folder for the user's templates is known");
        kgen_error_hint(error, "set KGEN_TEMPLATES_DIR, XDG_DATA_HOME or HOME");
    }
    kgen_text_free(&folder);
    return result;
}

/* Runs all steps until the verdict is found. *status is that of a replay that failed, else KGEN_EXIT_DONE. */
static int run(struct kgen_try *trial, int *status, struct kgen_error *error)
{
    int result = check_options(&trial->options, error);
    if (result == 0)
        result = kgen_try_open(trial, error);
    if (result == 0)
        result = kgen_try_prove(trial, error);
    if (result == 0)
        result = kgen_try_time(trial, error);
    if (result == 0 && trial->options.pack != NULL)
        result = kgen_try_replay(trial, status);
    if (result == 0 && trial->keep && trial->options.keep)
        result = kgen_try_keep(trial, error);
    return result;
}

static void free_trial(struct kgen_try *trial)
{
    for (size_t i = 0; i < trial->pair_count; i++)
        kgen_variants_free(&trial->pairs[i].variants);
    for (size_t i = 0; i < KGEN_TRY_STAGES; i++)
        kgen_text_free(&trial->stages[i].where);
    free(trial->pairs);
    free(trial->problems);
    free(trial->changed);
    kgen_cache_close(trial->cache);
    kgen_templates_free(trial->with);
    kgen_session_close(&trial->session);
    json_decref(trial->reasons);
    json_decref(trial->kept);
}

int kgen_command_try(const struct kgen_options *options)
{
    struct kgen_try trial = {.options = *options,
                             .folder = options->arguments[0],
                             .source = options->arguments[1],
                             .reasons = json_array(),
                             .kept = json_array()};
    struct kgen_error error = {0};
    int status = KGEN_EXIT_DONE;
    kgen_try_name_stages(&trial);
    kgen_interrupt_catch();
    const int result = run(&trial, &status, &error);
    if (result < 0)
        status = kgen_fail(&error);
    else if (kgen_interrupted)
        status = KGEN_EXIT_INTERRUPTED;
    else if (status == KGEN_EXIT_DONE && kgen_try_print(&trial) != 0)
        status = KGEN_EXIT_FAILED;
    else if (status == KGEN_EXIT_DONE)
        status = trial.keep ? KGEN_EXIT_DONE : KGEN_EXIT_REVERT;
    free_trial(&trial);
    return kgen_finish_output(status);
}
