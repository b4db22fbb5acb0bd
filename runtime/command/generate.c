/* SPDX-License-Identifier: MIT */
/* kgen SPEC: tune every problem of a spec, write the winners' sources, print what was chosen. kgen tune SPEC:
 * the same without the sources. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gen/base/file.h"
#include "runtime/command/dry_run.h"
#include "runtime/command/interrupt.h"
#include "runtime/command/output.h"
#include "runtime/command/progress.h"
#include "runtime/command/report/report.h"

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Makes the folder and a file in it, so that hours of tuning do not end in a folder that cannot be written.
 */
static int check_folder(const char *folder, struct kgen_error *error)
{
    if (kgen_folder_make(folder, error) != 0) {
        kgen_error_hint(error, "-o names another folder for the output");
        return -1;
    }
    struct kgen_text name = {0};
    kgen_text_printf(&name, "%s/.kgen-XXXXXX", folder);
    const int descriptor = name.failed ? -1 : mkstemp(name.data);
    if (descriptor < 0) {
        kgen_error_set(error, KGEN_ERROR_IO, folder, 0, 0, "cannot write the output folder: %s",
                       strerror(errno));
        kgen_error_hint(error, "-o names another folder for the output");
    } else {
        close(descriptor);
        unlink(name.data);
    }
    kgen_text_free(&name);
    return descriptor < 0 ? -1 : 0;
}

/* The state of one run. */
struct run {
    const struct kgen_options *options;
    struct kgen_session *session;
    struct kgen_choice *choices; /* owned */
    size_t count;                /* of choices */
    struct kgen_progress progress;
    bool time_limit_met;
};

static int tune_entry(struct run *run, struct kgen_tuner *tuner, size_t index, struct kgen_error *error)
{
    const struct kgen_problem *problem = &run->session->spec->entries[index].problem;
    struct kgen_text described = {0};
    kgen_problem_describe(problem, &described);
    kgen_progress_begin(&run->progress, index + 1, described.failed ? "" : described.data,
                        kgen_problem_bytes(problem));
    const int result =
        kgen_tune(tuner, problem, kgen_progress_candidate, &run->progress, &run->choices[index], error);
    kgen_progress_clear(&run->progress);
    kgen_text_free(&described);
    return result;
}

/* Tunes one problem after the other until all are done, one cannot be tuned, or a signal came. */
static int tune_all(struct run *run, struct kgen_error *error)
{
    const struct kgen_options *options = run->options;
    struct kgen_text objects = {0};
    const char *cache_folder = kgen_cache_path(run->session->cache);
    if (cache_folder[0] != '\0')
        kgen_text_printf(&objects, "%s/" KGEN_CACHE_OBJECTS, cache_folder);
    const struct kgen_tune_options tune_options = {
        .effort = options->effort,
        .engine = options->engine,
        .cc = {.folder = objects.data},
        .isas = options->isa_given ? 1u << options->isa : 0,
        .threads = run->session->threads,
        .time_limit_seconds = options->time_limit_seconds,
        .cancel = &kgen_interrupted,
        .seed = KGEN_PROOF_SEED,
        .shard = options->shard,
        .shards = options->shards,
        .log = kgen_say_log,
        .log_context = (void *)(uintptr_t)options,
    };
    struct kgen_tuner *tuner = kgen_tuner_new(run->session->templates, &run->session->machine,
                                              run->session->cache, &tune_options, error);
    int result = tuner != NULL ? 0 : -1;
    for (size_t i = 0; result == 0 && i < run->session->spec->count && !kgen_interrupted; i++) {
        const int tuned = tune_entry(run, tuner, i, error);
        if (tuned < 0) {
            result = -1;
        } else if (tuned == 0 || !kgen_interrupted) {
            run->time_limit_met = run->time_limit_met || tuned == 1;
            run->count = i + 1;
        }
    }
    kgen_tuner_free(tuner);
    kgen_text_free(&objects);
    return result;
}

/* Says which problems have no proven candidate. */
static enum kgen_ending judge(const struct run *run)
{
    if (kgen_interrupted)
        return KGEN_ENDED_INTERRUPTED;
    enum kgen_ending ending = run->time_limit_met ? KGEN_ENDED_TIME_LIMIT : KGEN_ENDED_DONE;
    for (size_t i = 0; i < run->count; i++) {
        const struct kgen_choice *choice = &run->choices[i];
        /* With --shard, a problem may have no candidate in the share. */
        const bool elsewhere = run->options->shards > 0 && (choice->proven > 0 || choice->failed == 0);
        if (choice->variant.tmpl != NULL || (elsewhere && choice->candidates > 0))
            continue;
        struct kgen_error error = {0};
        struct kgen_text problem = {0};
        kgen_problem_describe(&choice->problem, &problem);
        const char *described = problem.failed ? "" : problem.data;
        if (choice->candidates == 0) {
            kgen_error_set(&error, KGEN_ERROR_CANDIDATE, NULL, 0, 0, "no template solves %s on this machine",
                           described);
            kgen_error_hint(&error,
                            "kgen list templates shows for which instruction sets there are templates");
            ending = KGEN_ENDED_NO_CANDIDATE;
        } else {
            const bool untried = run->time_limit_met && choice->proven + choice->failed < choice->candidates;
            kgen_error_set(&error, KGEN_ERROR_CANDIDATE, NULL, 0, 0,
                           untried ? "the time limit left %s without a proven candidate"
                                   : "no candidate of %s passed",
                           described);
            if (untried)
                kgen_error_hint(&error, "run again to go on from here; the cache keeps what was learned");
            else
                kgen_error_hint(&error, "kgen explain %s %zu%s shows how each failed",
                                run->options->arguments[0], i + 1, kgen_options_repeated(run->options));
            if (ending != KGEN_ENDED_NO_CANDIDATE)
                ending = KGEN_ENDED_FAILED;
        }
        kgen_say_error(&error);
        kgen_text_free(&problem);
    }
    return ending;
}

static void say_how_to_go_on(const struct run *run)
{
    const char *folder = kgen_cache_path(run->session->cache);
    kgen_say("kgen: interrupted after %zu of %zu problem%s%s", run->count, run->session->spec->count,
             kgen_plural(run->session->spec->count),
             run->options->command == KGEN_COMMAND_GENERATE ? "; nothing written" : "");
    if (folder[0] != '\0')
        kgen_say("  what was learned stays in %s; run again to go on from here", folder);
}

static int exit_status(enum kgen_ending ending)
{
    switch (ending) {
    case KGEN_ENDED_INTERRUPTED:
        return KGEN_EXIT_INTERRUPTED;
    case KGEN_ENDED_NO_CANDIDATE:
        return KGEN_EXIT_NO_CANDIDATE;
    case KGEN_ENDED_FAILED:
        return KGEN_EXIT_FAILED;
    default:
        return KGEN_EXIT_DONE;
    }
}

/* Proves and writes the sources. A failed proof changes the outcome of the run. */
static int write_output(struct run *run, const char *folder, enum kgen_ending *ending,
                        struct kgen_shipped *shipped, struct kgen_error *error)
{
    const struct kgen_output output = {
        .options = run->options,
        .session = run->session,
        .choices = run->choices,
        .count = run->count,
        .seed = KGEN_PROOF_SEED,
        .cancel = &kgen_interrupted,
    };
    bool compiled = false;
    for (size_t i = 0; i < run->count; i++)
        compiled = compiled || run->choices[i].compiled > 0;
    if (compiled)
        kgen_progress_note(&run->progress, "proving what is written through the compiler");
    const int result = kgen_output_write(&output, folder, shipped, error);
    kgen_progress_clear(&run->progress);
    if (result == 0 && shipped->failed_entry != SIZE_MAX) {
        kgen_output_say_failure(&output, shipped);
        *ending = KGEN_ENDED_FAILED;
    } else if (result == 1) {
        *ending = KGEN_ENDED_INTERRUPTED;
    }
    return result < 0 ? -1 : 0;
}

/* Tunes, writes and reports. */
static int work(struct run *run, const char *folder, double begin)
{
    struct kgen_error error = {0}, bandwidth_error = {0};
    struct kgen_bandwidth bandwidth;
    if (kgen_session_known_bandwidth(run->session, &bandwidth) != 0)
        kgen_progress_note(&run->progress, "measuring the read bandwidth");
    const bool known = kgen_session_bandwidth(run->session, false, &bandwidth, &bandwidth_error) == 0;
    kgen_progress_clear(&run->progress);
    if (!known) {
        char text[1024];
        kgen_say_warning("the read bandwidth is not known: %s",
                         kgen_error_format(&bandwidth_error, text, sizeof text));
    }
    if (tune_all(run, &error) != 0) {
        kgen_say_error(&error);
        return error.code == KGEN_ERROR_TEMPLATE ? KGEN_EXIT_USAGE : KGEN_EXIT_FAILED;
    }
    enum kgen_ending ending = judge(run);
    struct kgen_shipped shipped = {.failed_entry = SIZE_MAX};
    bool complete = ending == KGEN_ENDED_DONE || ending == KGEN_ENDED_TIME_LIMIT;
    const bool writes = complete && folder != NULL;
    if (writes && write_output(run, folder, &ending, &shipped, &error) != 0)
        return kgen_fail(&error);
    complete = ending == KGEN_ENDED_DONE || ending == KGEN_ENDED_TIME_LIMIT;
    const struct kgen_report report = {
        .options = run->options,
        .session = run->session,
        .bandwidth = known ? &bandwidth : NULL,
        .choices = run->choices,
        .count = run->count,
        .seconds = seconds_now() - begin,
        .folder = complete ? folder : NULL,
        .shipped = writes ? &shipped : NULL,
        .ending = ending,
    };
    if (kgen_report_print(&report) != 0)
        return KGEN_EXIT_FAILED;
    if (ending == KGEN_ENDED_INTERRUPTED)
        say_how_to_go_on(run);
    else if (ending == KGEN_ENDED_TIME_LIMIT && !run->options->quiet)
        kgen_say(
            "kgen: the time limit was met; these are the best so far, and a later run goes on from here");
    else if (!complete && folder != NULL)
        kgen_say("kgen: nothing written");
    return exit_status(ending);
}

/* Gives the output folder, and creates it where it does not exist. */
static int open_folder(const struct run *run, struct kgen_text *folder, struct kgen_error *error)
{
    if (kgen_emit_check_prefix(run->options->prefix, error) != 0)
        return -1;
    if (run->options->output != NULL)
        kgen_text_puts(folder, run->options->output);
    else
        kgen_text_printf(folder, "out/%s", run->session->spec->name);
    if (folder->failed)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    while (folder->length > 1 && folder->data[folder->length - 1] == '/')
        folder->data[--folder->length] = '\0';
    if (!run->options->force &&
        kgen_emit_check_folder(run->session->spec, run->options->prefix, folder->data, error) != 0)
        return -1;
    return check_folder(folder->data, error);
}

static int run_all(struct run *run, double begin)
{
    const struct kgen_options *options = run->options;
    struct kgen_session *session = run->session;
    const bool writes = options->command == KGEN_COMMAND_GENERATE;
    struct kgen_error error = {0};
    struct kgen_text folder = {0};
    int status;
    run->choices = calloc(session->spec->count + 1, sizeof *run->choices);
    if (run->choices == NULL)
        kgen_error_set(&error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    if (run->choices == NULL || (writes && open_folder(run, &folder, &error) != 0) ||
        kgen_session_open_cache(session, options, &error) != 0) {
        status = kgen_fail(&error);
    } else {
        kgen_interrupt_catch();
        kgen_progress_init(&run->progress, options, session->spec->count);
        status = work(run, folder.data, begin);
    }
    free(run->choices);
    kgen_text_free(&folder);
    return status;
}

int kgen_command_generate(const struct kgen_options *options)
{
    const double begin = seconds_now();
    struct kgen_session session = {0};
    struct kgen_error error = {0};
    struct run run = {.options = options, .session = &session};
    int status;
    if (kgen_session_open(&session, options, options->arguments[0], &error) != 0)
        status = kgen_fail(&error);
    else if (kgen_check_isa(options, session.machine.isas) != 0)
        status = KGEN_EXIT_NO_CANDIDATE;
    else
        status = options->dry_run ? kgen_dry_run(&session, options) : run_all(&run, begin);
    kgen_session_close(&session);
    return kgen_finish_output(status);
}
