/* SPDX-License-Identifier: MIT */
#include "runtime/command/locked.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/command/interrupt.h"
#include "runtime/command/locked_report.h"
#include "runtime/command/output.h"
#include "runtime/command/progress.h"

/* Every option that shapes the output must be one that the lock was made with. The command lines have the
 * options in one order and one form. */
static int check_options(const struct kgen_locked_run *run, struct kgen_error *error)
{
    const char *made = run->lock.command;
    for (const char *at = strstr(run->options->reproduce.data, " --"), *next; at != NULL; at = next) {
        next = strstr(at + 1, " --");
        const size_t length = next != NULL ? (size_t)(next - at) : strlen(at);
        bool found = false;
        for (const char *place = made; !found && (place = strstr(place, " --")) != NULL; place++)
            found = strncmp(place, at, length) == 0 && (place[length] == ' ' || place[length] == '\0');
        if (found)
            continue;
        kgen_error_set(error, KGEN_ERROR_USAGE, run->path.data, 0, 0,
                       "the lock was made without '%.*s', by: %.200s", (int)length - 1, at + 1, made);
        kgen_error_hint(error, "leave the option out, or choose anew without --locked and --check");
        return -1;
    }
    return 0;
}

/* Takes the choices of the lock: threads, and the tuned variants, of which those that this machine cannot run
 * are left out of the proof. */
static int take_choices(struct kgen_locked_run *run, struct kgen_error *error)
{
    struct kgen_spec *spec = run->session->spec;
    run->tuned = calloc(spec->count + 1, sizeof *run->tuned);
    run->proven = calloc(spec->count + 1, sizeof *run->proven);
    if (run->tuned == NULL || run->proven == NULL)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    for (size_t i = 0; i < spec->count; i++) {
        const struct kgen_lock_entry *entry = &run->lock.entries[i];
        spec->entries[i].problem.threads = entry->threads;
        if (!entry->tuned)
            continue;
        run->tuned[i] = entry->variants[entry->tuned_isa];
        if ((run->session->machine.isas >> entry->tuned_isa & 1) != 0)
            run->proven[i] = run->tuned[i];
        else
            run->not_here++;
    }
    return 0;
}

static struct kgen_emission *new_emission(const struct kgen_locked_run *run, struct kgen_error *error)
{
    const struct kgen_emit_input input = {
        .spec = run->session->spec,
        .templates = run->session->templates,
        .tuned = run->tuned,
        .prefix = run->options->prefix,
        .command = run->lock.command,
        .machine = run->lock.machine,
        .quantiser = run->lock.quantiser,
        .model = run->lock.model,
        .lock = &run->lock,
    };
    return kgen_emission_new(&input, error);
}

/* Proves the tuned kernels that this machine can run. Returns 0, 1 when interrupted, -1. */
static int prove(struct kgen_locked_run *run, const struct kgen_emission *emission, struct kgen_error *error)
{
    const struct kgen_shipped_options options = {
        .cache = run->session->cache,
        .machine = run->session->machine.identity,
        .cc = {.flags = KGEN_SHIPPED_FLAGS},
        .seed = KGEN_PROOF_SEED,
        .threads = run->session->threads,
        .cancel = &kgen_interrupted,
    };
    struct kgen_progress progress = {0};
    kgen_progress_init(&progress, run->options, run->session->spec->count);
    kgen_progress_note(&progress, "proving what is written through the compiler");
    const int result = kgen_shipped_prove(&options, emission, run->session->spec, run->proven,
                                          run->session->spec->count, &run->shipped, error);
    kgen_progress_clear(&progress);
    return result;
}

static void say_failure(const struct kgen_locked_run *run)
{
    const struct kgen_shipped *shipped = &run->shipped;
    struct kgen_error error = {0};
    struct kgen_text problem = {0}, variant = {0};
    kgen_problem_describe(&run->session->spec->entries[shipped->failed_entry].problem, &problem);
    kgen_variant_name(&run->tuned[shipped->failed_entry], &variant);
    kgen_error_set(&error, KGEN_ERROR_CANDIDATE, problem.failed ? NULL : problem.data, 0, 0,
                   "the kernel of the lock, %s, fails through %s: %s: %s", variant.failed ? "" : variant.data,
                   shipped->compiler, kgen_verdict_name(shipped->failure.verdict), shipped->failure.detail);
    kgen_error_hint(&error, "nothing was written; kgen SPEC without --locked chooses anew");
    kgen_say_error(&error);
    kgen_text_free(&problem);
    kgen_text_free(&variant);
}

static int write_locked(struct kgen_locked_run *run, const struct kgen_emission *emission)
{
    struct kgen_error error = {0};
    if (kgen_session_open_cache(run->session, run->options, &error) != 0)
        return kgen_fail(&error);
    kgen_interrupt_catch();
    const int result = prove(run, emission, &error);
    if (result < 0)
        return kgen_fail(&error);
    if (result > 0) {
        kgen_say("kgen: interrupted; nothing written");
        return KGEN_EXIT_INTERRUPTED;
    }
    const bool failed = run->shipped.failed_entry != SIZE_MAX;
    if (failed)
        say_failure(run);
    else if (kgen_emission_write(emission, run->folder.data, run->options->force, &error) != 0)
        return kgen_fail(&error);
    const int printed = failed && !run->options->json ? 0 : kgen_locked_print(run);
    return failed || printed != 0 ? KGEN_EXIT_FAILED : KGEN_EXIT_DONE;
}

static int check_locked(const struct kgen_locked_run *run, const struct kgen_emission *emission)
{
    struct kgen_error error = {0};
    struct kgen_emit_differences differences;
    int status = KGEN_EXIT_FAILED;
    if (kgen_emission_compare(emission, run->folder.data, &differences, &error) != 0)
        status = kgen_fail(&error);
    else if (kgen_locked_print_differences(run, &differences) == 0 && differences.count == 0)
        status = KGEN_EXIT_DONE;
    kgen_emit_differences_free(&differences);
    return status;
}

/* Says that the lock does not fit any more. An option that it was made without comes first, as it may be the
 * reason. */
static int refuse(const struct kgen_locked_run *run, const struct kgen_error *error)
{
    struct kgen_error other = {0};
    if (run->lock.command != NULL && check_options(run, &other) != 0)
        return kgen_fail(&other);
    kgen_say_error(error);
    if (run->lock.command != NULL && strcmp(run->lock.command, run->options->reproduce.data) != 0)
        kgen_say("  the lock was made by: %s", run->lock.command);
    if (run->options->json)
        kgen_locked_print_misfit(run, error);
    return KGEN_EXIT_FAILED;
}

static int work(struct kgen_locked_run *run)
{
    struct kgen_error error = {0};
    const struct kgen_options *options = run->options;
    if (kgen_output_folder(options, run->session->spec, &run->folder, &error) != 0)
        return kgen_fail(&error);
    kgen_emit_lock_path(options->prefix, run->folder.data, &run->path);
    if (run->path.failed)
        return kgen_fail(&(struct kgen_error){.code = KGEN_ERROR_MEMORY, .message = "out of memory"});
    const int read = kgen_lock_read(run->path.data, options->prefix, run->session->spec,
                                    run->session->templates, &run->lock, &error);
    if (read > 0)
        return refuse(run, &error);
    struct kgen_emission *emission = NULL;
    if (read == 0 && check_options(run, &error) == 0 && take_choices(run, &error) == 0)
        emission = new_emission(run, &error);
    if (emission == NULL)
        return kgen_fail(&error);
    if (strcmp(run->lock.version, KGEN_VERSION) != 0 && !options->quiet)
        kgen_say_warning("%s is of kgen %s; what kgen %s writes may differ", run->path.data,
                         run->lock.version, KGEN_VERSION);
    const int status = options->check ? check_locked(run, emission) : write_locked(run, emission);
    kgen_emission_free(emission);
    return status;
}

int kgen_locked(struct kgen_session *session, const struct kgen_options *options)
{
    struct kgen_locked_run run = {
        .options = options, .session = session, .shipped = {.failed_entry = SIZE_MAX}};
    const int status = work(&run);
    kgen_lock_free(&run.lock);
    kgen_text_free(&run.folder);
    kgen_text_free(&run.path);
    free(run.tuned);
    free(run.proven);
    return status;
}
