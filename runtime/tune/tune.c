/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "runtime/tune/tune.h"

#include "runtime/jit/objects.h"
#include "runtime/tune/internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct kgen_tuner *kgen_tuner_new(const struct kgen_templates *templates, const struct kgen_machine *machine,
                                  struct kgen_cache *cache, const struct kgen_tune_options *options,
                                  struct kgen_error *error)
{
    struct kgen_tuner *tuner = calloc(1, sizeof *tuner);
    if (tuner == NULL) {
        kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
        return NULL;
    }
    tuner->templates = templates;
    tuner->machine = machine;
    tuner->cache = cache;
    tuner->options = *options;
    tuner->start = kgen_tuner_clock(tuner);
    if (tuner->options.cc.machine == NULL)
        tuner->options.cc.machine = machine->identity;
    /* A folder that is refused is no fault of the candidates, so it gets no record. */
    const bool keeps_objects = options->engine == KGEN_ENGINE_CC && options->cc.folder != NULL;
    if ((keeps_objects && kgen_objects_folder(options->cc.folder, error) != 0) ||
        kgen_engine_describe(options->engine, &options->cc, &tuner->engine, error) != 0 ||
        kgen_cache_set_machine(cache, machine, error) != 0) {
        kgen_tuner_free(tuner);
        return NULL;
    }
    return tuner;
}

void kgen_tuner_free(struct kgen_tuner *tuner)
{
    if (tuner == NULL)
        return;
    kgen_timing_buffers_free(&tuner->buffers);
    kgen_text_free(&tuner->engine);
    free(tuner);
}

double kgen_tuner_clock(const struct kgen_tuner *tuner)
{
    const struct kgen_tune_times *times = &tuner->options.times;
    return times->clock != NULL ? times->clock(times->context) : kgen_clock();
}

bool kgen_tuner_stopped(const struct kgen_tuner *tuner)
{
    if (kgen_is_cancelled(tuner->options.cancel))
        return true;
    return tuner->options.time_limit_seconds > 0 &&
           kgen_tuner_clock(tuner) - tuner->start > tuner->options.time_limit_seconds;
}

/* The list begins with the widest. */
size_t kgen_variants_of_widest(const struct kgen_variants *variants)
{
    size_t count = 0;
    while (count < variants->count && variants->items[count].isa == variants->items[0].isa)
        count++;
    return count;
}

int kgen_tune_variants(const struct kgen_tune_options *options, const struct kgen_machine *machine,
                       const struct kgen_templates *templates, const struct kgen_problem *problem,
                       struct kgen_variants *variants, struct kgen_error *error)
{
    const unsigned isas = options->isas != 0 ? options->isas : machine->isas;
    *variants = (struct kgen_variants){0};
    if (kgen_variants_list(templates, problem, isas, variants, error) != 0)
        return -1;
    if (options->effort < KGEN_EFFORT_PATIENT)
        variants->count = kgen_variants_of_widest(variants);
    return 0;
}

void kgen_tuner_note(struct kgen_tuner *tuner, const struct kgen_problem *problem,
                     const struct kgen_variant *winner)
{
    tuner->winners[tuner->winner_count++ % KGEN_WINNERS] = (struct kgen_winner){*problem, *winner};
}

/* Whether a record answers what this effort asks: a failure does, a time does when it was taken at least as
 * carefully. */
static bool record_suffices(const struct kgen_tuner *tuner, const struct kgen_record *record)
{
    return record != NULL &&
           (record->verdict != KGEN_PASSED || kgen_record_effort(record) >= tuner->options.effort);
}

const struct kgen_record *kgen_tuning_record(const struct kgen_tuning *tuning, size_t variant)
{
    return kgen_cache_find(tuning->tuner->cache, tuning->keys[variant]);
}

bool kgen_tuning_has_record(const struct kgen_tuning *tuning, size_t variant)
{
    return record_suffices(tuning->tuner, kgen_tuning_record(tuning, variant));
}

/* The low bits of a hash are as good as the others, but the cache's tables are made of them. */
bool kgen_shard_has(uint64_t record_key, unsigned shard, unsigned shards)
{
    return (record_key >> 32) % shards == shard;
}

int kgen_tune_threads(const struct kgen_problem *problem, int threads)
{
    return problem->op->threaded ? threads : 1;
}

double kgen_record_seconds(const struct kgen_problem *problem, const struct kgen_record *record)
{
    if (record->final_seconds > 0)
        return record->final_seconds;
    return kgen_timing_is_cold(problem) ? record->cold_seconds : record->hot_seconds;
}

double kgen_record_cost(const struct kgen_problem *problem, const struct kgen_record *record)
{
    const double seconds = kgen_record_seconds(problem, record);
    const bool cold = kgen_timing_is_cold(problem);
    return kgen_timing_cost(cold, seconds, cold ? record->hot_seconds : seconds, record->read_seconds);
}

static int open_tuning(struct kgen_tuner *tuner, const struct kgen_problem *problem,
                       struct kgen_tuning *tuning, struct kgen_error *error)
{
    memset(tuning, 0, sizeof *tuning);
    tuning->tuner = tuner;
    void *shared =
        mmap(NULL, sizeof *tuning->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    tuning->shared = shared;
    tuning->shared->slowness = 1;
    tuning->problem = *problem;
    tuning->problem.threads = kgen_tune_threads(problem, tuner->options.threads);
    kgen_problem_write(&tuning->problem, &tuning->problem_text);
    if (tuning->problem_text.failed)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    /* Which variants are considered depends on what others have chosen. */
    if (kgen_cache_refresh(tuner->cache, error) != 0)
        return -1;
    if (kgen_tuning_list_variants(tuning, error) != 0)
        return -1;
    const size_t count = tuning->variants.count;
    tuning->instructions = calloc(count + 1, sizeof *tuning->instructions);
    tuning->waiting = calloc(count + 1, sizeof *tuning->waiting);
    tuning->pending = calloc(count + 1, sizeof *tuning->pending);
    if (tuning->instructions == NULL || tuning->waiting == NULL || tuning->pending == NULL)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    return 0;
}

static void close_tuning(struct kgen_tuning *tuning)
{
    kgen_variants_free(&tuning->variants);
    kgen_text_free(&tuning->problem_text);
    kgen_text_free(&tuning->groups);
    kgen_verify_cases_free(tuning->cases);
    free(tuning->keys);
    free(tuning->instructions);
    free(tuning->waiting);
    free(tuning->pending);
    if (tuning->shared != NULL)
        munmap(tuning->shared, sizeof *tuning->shared);
}

bool kgen_record_is_noisy(const struct kgen_record *record)
{
    return record->noise > KGEN_NOISY;
}

/* Whether variant a is slower than variant b; both have records. What was not timed is slower than what was.
 */
static bool slower(const struct kgen_tuning *tuning, size_t a, size_t b)
{
    const struct kgen_record *record_a = kgen_tuning_record(tuning, a);
    const struct kgen_record *record_b = kgen_tuning_record(tuning, b);
    const double cost_a = kgen_record_cost(&tuning->problem, record_a);
    const double cost_b = kgen_record_cost(&tuning->problem, record_b);
    return cost_b > 0 && (cost_a > cost_b || cost_a <= 0);
}

void kgen_tuning_sort(const struct kgen_tuning *tuning, size_t *indexes, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        for (size_t j = i; j > 0; j--) {
            if (!slower(tuning, indexes[j - 1], indexes[j]))
                break;
            const size_t swapped = indexes[j];
            indexes[j] = indexes[j - 1];
            indexes[j - 1] = swapped;
        }
    }
}

size_t kgen_tuning_best(const struct kgen_tuning *tuning, size_t *indexes, size_t room)
{
    size_t count = 0;
    for (size_t i = 0; i < tuning->variants.count; i++) {
        const struct kgen_record *record = kgen_tuning_record(tuning, i);
        if (record == NULL || record->verdict != KGEN_PASSED)
            continue;
        if (count < room)
            indexes[count++] = i;
        else if (slower(tuning, indexes[count - 1], i))
            indexes[count - 1] = i;
        kgen_tuning_sort(tuning, indexes, count);
    }
    return count;
}

const char *kgen_made_name(enum kgen_made made)
{
    static const char *const names[] = {
        [KGEN_MADE_NOT] = "none",
        [KGEN_MADE_TUNED] = "tuned",
        [KGEN_MADE_SO_FAR] = "best so far",
        [KGEN_MADE_THREADS] = "as for other threads, not timed",
        [KGEN_MADE_SIMILAR] = "as for a similar problem, not timed",
        [KGEN_MADE_RELATED] = "as on another machine, not timed",
        [KGEN_MADE_ESTIMATE] = "estimate, not timed",
    };
    return names[made];
}

/* result is that of the search: 0 where it came to its end. */
static enum kgen_made made_by(const struct kgen_tuning *tuning, const struct kgen_record *record, int result)
{
    if (kgen_record_seconds(&tuning->problem, record) <= 0)
        return tuning->made != KGEN_MADE_NOT ? tuning->made : KGEN_MADE_ESTIMATE;
    return record->chosen && result == 0 ? KGEN_MADE_TUNED : KGEN_MADE_SO_FAR;
}

static void fill_choice(const struct kgen_tuning *tuning, size_t chosen, int result,
                        struct kgen_choice *choice)
{
    memset(choice, 0, sizeof *choice);
    choice->problem = tuning->problem;
    choice->candidates = (unsigned)tuning->variants.count;
    choice->compiled = tuning->compiled;
    choice->from_cache = tuning->compiled == 0;
    double *compile_seconds = calloc(tuning->variants.count + 1, sizeof *compile_seconds);
    size_t compiled = 0;
    for (size_t i = 0; i < tuning->variants.count; i++) {
        const struct kgen_record *record = kgen_tuning_record(tuning, i);
        if (record == NULL)
            continue;
        if (compile_seconds != NULL && record->compile_seconds > 0)
            compile_seconds[compiled++] = record->compile_seconds;
        choice->failed += record->verdict != KGEN_PASSED;
        choice->proven += record->verdict == KGEN_PASSED;
        choice->timed += record->cold_seconds > 0 || record->hot_seconds > 0;
    }
    choice->compile_seconds = compile_seconds != NULL ? kgen_median(compile_seconds, compiled) : 0;
    free(compile_seconds);
    /* The record is there, but for want of memory to read it. */
    const struct kgen_record *record =
        chosen < tuning->variants.count ? kgen_tuning_record(tuning, chosen) : NULL;
    if (record != NULL) {
        choice->variant = tuning->variants.items[chosen];
        choice->record = *record;
        choice->made = made_by(tuning, record, result);
    }
}

/* The final round, which is for one process: the others take what it chose. */
static int run_final(struct kgen_tuning *tuning, size_t *chosen, struct kgen_error *error)
{
    const int claimed = kgen_tuning_claim_final(tuning, false, error);
    if (claimed == 2)
        *chosen = kgen_tuning_chosen(tuning, KGEN_STANDS);
    if (claimed != 0)
        return claimed == 2 ? 0 : claimed;
    size_t best[KGEN_FINALISTS];
    const size_t room =
        tuning->tuner->options.effort >= KGEN_EFFORT_PATIENT ? KGEN_FINALISTS : KGEN_FINALISTS / 2;
    size_t count;
    int stopped;
    /* Where a finalist fails, the next best takes its place. */
    do {
        count = kgen_tuning_best(tuning, best, room);
        stopped = count > 1 ? kgen_tuning_run_final(tuning, best, count, 0, error) : 0;
    } while (stopped == 2);
    *chosen = count > 0 ? best[0] : tuning->variants.count;
    if (stopped == 0 && count > 0) {
        /* The finalists were timed side by side, so only their times are compared. */
        kgen_tuning_sort(tuning, best, count);
        *chosen = best[0];
        stopped = kgen_tuning_mark_chosen(tuning, *chosen, error);
    }
    kgen_tuning_release_final(tuning);
    return stopped;
}

static int run_search(struct kgen_tuning *tuning, size_t *chosen, struct kgen_error *error)
{
    int stopped = kgen_tuning_search(tuning, error);
    if (stopped < 0)
        return -1;
    size_t best;
    *chosen = kgen_tuning_best(tuning, &best, 1) > 0 ? best : tuning->variants.count;
    if (stopped == 0 && tuning->tuner->options.shards == 0)
        stopped = run_final(tuning, chosen, error);
    return stopped;
}

int kgen_tune(struct kgen_tuner *tuner, const struct kgen_problem *problem, kgen_tune_progress *progress,
              void *context, struct kgen_choice *choice, struct kgen_error *error)
{
    struct kgen_tuning tuning;
    int result = open_tuning(tuner, problem, &tuning, error);
    if (result == 0) {
        tuning.progress = progress;
        tuning.progress_context = context;
        size_t chosen = kgen_tuning_chosen(&tuning, KGEN_STANDS_NOT);
        if (tuner->options.effort == KGEN_EFFORT_ESTIMATE)
            result = chosen == tuning.variants.count ? kgen_tuning_find_first(&tuning, &chosen, error) : 0;
        else if (!kgen_tuning_is_settled(&tuning))
            result = run_search(&tuning, &chosen, error);
        else if (kgen_tuning_wants_again(&tuning, chosen))
            result = kgen_tuning_time_again(&tuning, &chosen, error);
        if (result >= 0)
            fill_choice(&tuning, chosen, result, choice);
        /* What was not timed is no example where others are timed. */
        const bool untimed_counts = tuner->options.effort == KGEN_EFFORT_ESTIMATE && !tuner->first;
        if (result >= 0 && choice->variant.tmpl != NULL &&
            (untimed_counts || kgen_record_seconds(&choice->problem, &choice->record) > 0))
            kgen_tuner_note(tuner, &choice->problem, &choice->variant);
    }
    close_tuning(&tuning);
    return result;
}
