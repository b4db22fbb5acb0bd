/* SPDX-License-Identifier: MIT */
/* kgen SPEC: tune every problem of a spec, write the winners' sources, print what was chosen. kgen tune SPEC:
 * the same without the sources. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gen/base/clock.h"
#include "gen/base/file.h"
#include "runtime/command/dry_run.h"
#include "runtime/command/interrupt.h"
#include "runtime/command/locked.h"
#include "runtime/command/output.h"
#include "runtime/command/report/report.h"
#include "runtime/command/tuning.h"

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
    double begin; /* on kgen_clock */
    bool time_limit_met;
};

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
            kgen_error_set(&error, KGEN_ERROR_CANDIDATE, NULL, 0, 0, "no candidate of %s passed", described);
            kgen_error_hint(&error, "kgen explain %s %zu%s shows how each failed", run->options->arguments[0],
                            i + 1, kgen_options_repeated(run->options));
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
    case KGEN_ENDED_TIME_LIMIT:
        return KGEN_EXIT_TIME_LIMIT;
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

/* Gives the read bandwidth, as far as it can be measured. Returns whether it is known. */
static bool find_bandwidth(struct run *run, struct kgen_bandwidth *bandwidth)
{
    struct kgen_error error = {0};
    const bool known = kgen_session_known_bandwidth(run->session, bandwidth) == 0;
    if (known && run->options->no_retune)
        return true;
    if (!known)
        kgen_progress_note(&run->progress, "measuring the read bandwidth");
    else if (kgen_bandwidth_is_noisy(bandwidth))
        kgen_progress_note(&run->progress, "measuring the read bandwidth again: it was noisy");
    const int result = kgen_session_bandwidth(run->session, false, bandwidth, &error);
    kgen_progress_clear(&run->progress);
    if (result != 0) {
        char text[1024];
        kgen_say_warning("the read bandwidth is not known: %s", kgen_error_format(&error, text, sizeof text));
    } else if (kgen_bandwidth_is_noisy(bandwidth) && !run->options->quiet) {
        kgen_say_warning(
            "the machine is busy: the speed of its memory varies by %.0f%% (noise), and so may the "
            "times of this run",
            bandwidth->noise * 100);
    }
    return result == 0;
}

/* Says how the search ended, and what a later run does. */
static void say_ending(const struct run *run, enum kgen_ending ending, bool complete, const char *folder)
{
    if (ending == KGEN_ENDED_INTERRUPTED)
        say_how_to_go_on(run);
    else if (ending == KGEN_ENDED_TIME_LIMIT && !run->options->quiet)
        kgen_say("kgen: the time limit of %g s ended the search early; all that was chosen is proven, and a "
                 "later run goes on from here (exit status %d)",
                 run->options->time_limit_seconds, KGEN_EXIT_TIME_LIMIT);
    else if (!complete && folder != NULL)
        kgen_say("kgen: nothing written");
    if (ending != KGEN_ENDED_INTERRUPTED && !run->options->quiet)
        kgen_warn_of_noise(run->choices, run->count);
}

/* Tunes, writes and reports. */
static int work(struct run *run, const char *folder)
{
    struct kgen_error error = {0};
    struct kgen_bandwidth bandwidth;
    const bool known = find_bandwidth(run, &bandwidth);
    const int tuned = kgen_session_tune(run->session, run->options, run->begin, &run->progress, run->choices,
                                        &run->count, &error);
    if (tuned < 0) {
        kgen_say_error(&error);
        return error.code == KGEN_ERROR_TEMPLATE || error.code == KGEN_ERROR_USAGE ? KGEN_EXIT_USAGE
                                                                                   : KGEN_EXIT_FAILED;
    }
    run->time_limit_met = tuned == 1;
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
        .seconds = kgen_clock() - run->begin,
        .folder = complete ? folder : NULL,
        .shipped = writes ? &shipped : NULL,
        .ending = ending,
    };
    if (kgen_report_print(&report) != 0)
        return KGEN_EXIT_FAILED;
    say_ending(run, ending, complete, folder);
    return exit_status(ending);
}

/* Gives the output folder, and creates it where it does not exist. */
static int open_folder(const struct run *run, struct kgen_text *folder, struct kgen_error *error)
{
    if (kgen_output_folder(run->options, run->session->spec, folder, error) != 0)
        return -1;
    if (!run->options->force &&
        kgen_emit_check_folder(run->session->spec, run->options->prefix, run->options->quantiser,
                               run->options->emit_model, folder->data, error) != 0)
        return -1;
    return check_folder(folder->data, error);
}

static int run_all(struct run *run)
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
        status = work(run, folder.data);
    }
    free(run->choices);
    kgen_text_free(&folder);
    return status;
}

int kgen_command_generate(const struct kgen_options *options)
{
    struct kgen_session session = {0};
    struct kgen_error error = {0};
    struct run run = {.options = options, .session = &session, .begin = kgen_clock()};
    int status;
    if (kgen_session_open(&session, options, options->arguments[0], &error) != 0)
        status = kgen_fail(&error);
    else if (options->check || options->locked)
        status = kgen_locked(&session, options);
    else if (kgen_check_isa(options, session.machine.isas) != 0)
        status = KGEN_EXIT_NO_CANDIDATE;
    else
        status = options->dry_run ? kgen_dry_run(&session, options) : run_all(&run);
    kgen_session_close(&session);
    return kgen_finish_output(status);
}
