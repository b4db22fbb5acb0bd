/* SPDX-License-Identifier: MIT */
#include "runtime/command/tuning.h"

#include <stdlib.h>

#include "gen/base/clock.h"
#include "runtime/command/interrupt.h"
#include "runtime/command/select.h"
#include "runtime/tune/share.h"

/* Seconds that proving what is written through the system's compiler takes: at all, and for each problem. At
 * most half of the time limit is kept back for them. */
static const double proof_seconds = 0.2, proof_seconds_each = 0.07;

struct tuning {
    const struct kgen_session *session;
    struct kgen_progress *progress;
    struct kgen_text described; /* the problem that progress shows */
};

static void begin_item(void *context, size_t item)
{
    struct tuning *tuning = context;
    const struct kgen_problem *problem = &tuning->session->spec->entries[item].problem;
    kgen_progress_clear(tuning->progress);
    kgen_text_clear(&tuning->described);
    kgen_problem_describe(problem, &tuning->described);
    kgen_progress_begin(tuning->progress, item + 1, tuning->described.failed ? "" : tuning->described.data,
                        kgen_problem_bytes(problem));
}

static void show_candidate(void *context, const struct kgen_problem *problem,
                           const struct kgen_record *record, unsigned done, unsigned total)
{
    const struct tuning *tuning = context;
    kgen_progress_candidate(tuning->progress, problem, record, done, total);
}

/* Fills an item for each problem of the spec. */
static int list_items(const struct kgen_session *session, const struct kgen_options *options,
                      struct kgen_tune_item *items, struct kgen_error *error)
{
    const char *wanted = options->argument_count > 1 ? options->arguments[1] : NULL;
    size_t selected = 0;
    for (size_t i = 0; i < session->spec->count; i++) {
        const struct kgen_spec_entry *entry = &session->spec->entries[i];
        items[i] = (struct kgen_tune_item){.problem = &entry->problem, .calls = (double)entry->calls};
        if (options->retune && kgen_entry_is_selected(entry, i + 1, wanted, &items[i].retune, error) != 0)
            return -1;
        selected += items[i].retune;
    }
    if (!options->retune || selected > 0)
        return 0;
    return kgen_fail_unselected(options, wanted, session->spec->count, error);
}

/* The seconds that are left for tuning; 0: no limit. */
static double limit_of(const struct kgen_session *session, const struct kgen_options *options, double begin)
{
    const double limit = options->time_limit_seconds;
    if (limit <= 0)
        return 0;
    double kept = proof_seconds + proof_seconds_each * (double)session->spec->count;
    if (options->command != KGEN_COMMAND_GENERATE)
        kept = 0;
    const double left = limit - (kgen_clock() - begin) - (kept < limit / 2 ? kept : limit / 2);
    return left > 1e-9 ? left : 1e-9;
}

static int tune_items(struct kgen_session *session, const struct kgen_tune_options *tune_options,
                      const struct kgen_tune_item *items, struct kgen_progress *progress,
                      struct kgen_choice *choices, size_t *done, struct kgen_error *error)
{
    struct tuning tuning = {.session = session, .progress = progress};
    const struct kgen_tune_watch watch = {begin_item, show_candidate, &tuning};
    struct kgen_tuner *tuner =
        kgen_tuner_new(session->templates, &session->machine, session->cache, tune_options, error);
    const int result =
        tuner != NULL ? kgen_tune_all(tuner, items, session->spec->count, &watch, choices, done, error) : -1;
    kgen_progress_clear(progress);
    kgen_tuner_free(tuner);
    kgen_text_free(&tuning.described);
    return result;
}

int kgen_session_tune(struct kgen_session *session, const struct kgen_options *options, double begin,
                      struct kgen_progress *progress, struct kgen_choice *choices, size_t *done,
                      struct kgen_error *error)
{
    struct kgen_text objects = {0};
    const char *cache_folder = kgen_cache_path(session->cache);
    if (cache_folder[0] != '\0')
        kgen_text_printf(&objects, "%s/" KGEN_CACHE_OBJECTS, cache_folder);
    const struct kgen_tune_options tune_options = {
        .effort = options->effort,
        .engine = options->engine,
        .cc = {.folder = objects.data},
        .isas = options->isa_given ? 1u << options->isa : 0,
        .threads = session->threads,
        .time_limit_seconds = limit_of(session, options, begin),
        .cancel = &kgen_interrupted,
        .seed = KGEN_PROOF_SEED,
        .keep_noisy = options->no_retune,
        .shard = options->shard,
        .shards = options->shards,
        .log = kgen_say_log,
        .log_context = (void *)(uintptr_t)options,
    };
    struct kgen_tune_item *items = calloc(session->spec->count + 1, sizeof *items);
    int result = -1;
    *done = 0;
    if (items == NULL)
        kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    else if (list_items(session, options, items, error) == 0)
        result = tune_items(session, &tune_options, items, progress, choices, done, error);
    free(items);
    kgen_text_free(&objects);
    return result;
}

void kgen_warn_of_noise(const struct kgen_choice *choices, size_t count)
{
    size_t noisy = 0;
    double most = 0;
    for (size_t i = 0; i < count; i++) {
        if (choices[i].variant.tmpl == NULL || !kgen_record_is_noisy(&choices[i].record))
            continue;
        noisy++;
        most = choices[i].record.noise > most ? choices[i].record.noise : most;
    }
    if (noisy > 0)
        kgen_say_warning(
            "%zu of %zu problem%s %s timed while the machine was busy (noise of up to %.0f%%); a later "
            "run times %s again if it is quiet then",
            noisy, count, kgen_plural(count), noisy == 1 ? "was" : "were", most * 100,
            noisy == 1 ? "it" : "them");
}
