/* SPDX-License-Identifier: MIT */
/* The final round: the best candidates are timed again, in turns, in one worker process. */
#include "runtime/tune/internal.h"

#include "runtime/tune/contest.h"

#include <stdio.h>
#include <string.h>

/* Samples of each finalist, by effort. */
static const unsigned final_rounds[] = {[KGEN_EFFORT_ESTIMATE] = 0,
                                        [KGEN_EFFORT_MEASURE] = 11,
                                        [KGEN_EFFORT_PATIENT] = 31,
                                        [KGEN_EFFORT_EXHAUSTIVE] = 75};

struct final_result {
    double seconds[KGEN_FINALISTS];
    double read_seconds; /* of the same bytes; 0 where the op is not timed cold */
    double noise;        /* of the rounds */
    size_t at_work;      /* 1 and the index of the finalist that is compiled or runs; 0: none of them */
    struct kgen_verification verification; /* of it, or of the round */
};

struct final {
    struct kgen_tuning *tuning;
    const size_t *indexes; /* of the finalists among the variants */
    size_t count;
    struct kgen_outcome outcome;
    struct final_result result;
};

/* What a worker needs to say which finalist is at work. */
struct announcement {
    const struct final *final;
    struct final_result *result;
    struct kgen_worker *worker;
};

static const struct kgen_variant *variant_of(const struct final *final, size_t finalist)
{
    return &final->tuning->variants.items[final->indexes[finalist]];
}

/* Each finalist has the time of a stage for each of its samples. */
static void announce(void *context, size_t finalist)
{
    const struct announcement *to = context;
    to->result->at_work = finalist + 1;
    kgen_worker_stage(to->worker, "the final round",
                      kgen_tuning_stage_limit(to->final->tuning, variant_of(to->final, finalist)));
}

static void time_finalists(const struct announcement *to, struct kgen_contestant *contestants)
{
    const struct final *final = to->final;
    const struct kgen_tuner *tuner = final->tuning->tuner;
    const struct kgen_contest contest = {.machine = tuner->machine,
                                         .templates = tuner->templates,
                                         .buffers = &tuner->buffers,
                                         .rounds = final_rounds[tuner->options.effort],
                                         .before = announce,
                                         .context = (void *)(uintptr_t)to};
    struct kgen_error error = {0};
    if (kgen_contest_run(&contest, contestants, final->count, &to->result->read_seconds, &error) != 0) {
        to->result->at_work = 0;
        kgen_verification_fail(&to->result->verification, KGEN_WORKER_EXITED, &error);
        return;
    }
    for (size_t i = 0; i < final->count; i++)
        to->result->seconds[i] = contestants[i].seconds;
    to->result->noise = contestants[0].noise;
}

/* In place of time_finalists where the options give the times. */
static void take_given_times(const struct announcement *to)
{
    const struct kgen_tuning *tuning = to->final->tuning;
    const struct kgen_tune_times *times = &tuning->tuner->options.times;
    for (size_t i = 0; i < to->final->count; i++) {
        struct kgen_timing timing = {0};
        announce((void *)(uintptr_t)to, i);
        times->measure(times->context, &tuning->problem, variant_of(to->final, i), true, &timing);
        to->result->seconds[i] =
            kgen_timing_is_cold(&tuning->problem) ? timing.cold_seconds : timing.hot_seconds;
        to->result->read_seconds = timing.read_seconds;
        to->result->noise = timing.noise;
    }
}

/* In the child. */
static void final_job(size_t index, void *result_memory, struct kgen_worker *worker, void *context)
{
    (void)index;
    const struct final *final = context;
    struct final_result *result = result_memory;
    const struct announcement announcement = {final, result, worker};
    struct kgen_code *codes[KGEN_FINALISTS] = {NULL};
    struct kgen_contestant contestants[KGEN_FINALISTS] = {{.seconds = 0}};
    for (size_t i = 0; i < final->count && result->verification.verdict == KGEN_PASSED; i++) {
        announce((void *)(uintptr_t)&announcement, i);
        codes[i] = kgen_tuning_compile(final->tuning, variant_of(final, i), &contestants[i].kernel,
                                       &result->verification);
    }
    if (result->verification.verdict == KGEN_PASSED) {
        result->at_work = 0;
        const int lock = kgen_tuning_take_lock(worker, KGEN_LOCK_EXCLUSIVE);
        if (final->tuning->tuner->options.times.measure != NULL)
            take_given_times(&announcement);
        else
            time_finalists(&announcement, contestants);
        kgen_measure_lock_release(lock);
    }
    for (size_t i = 0; i < final->count; i++)
        kgen_code_free(codes[i]);
}

static int final_report(size_t index, const struct kgen_outcome *outcome, const void *result, void *context)
{
    (void)index;
    struct final *final = context;
    final->outcome = *outcome;
    memcpy(&final->result, result, sizeof final->result);
    kgen_outcome_verdict(outcome, &final->result.verification);
    return 0;
}

/* Writes the times into the records of the finalists. */
static int keep_times(const struct final *final, struct kgen_error *error)
{
    const struct kgen_tuning *tuning = final->tuning;
    for (size_t i = 0; i < final->count; i++) {
        const struct kgen_record *found = kgen_tuning_record(tuning, final->indexes[i]);
        if (final->result.seconds[i] <= 0 || found == NULL)
            continue;
        struct kgen_record record = *found;
        record.final_seconds = final->result.seconds[i];
        record.noise = final->result.noise;
        record.read_seconds = final->result.read_seconds;
        if (kgen_cache_append(tuning->tuner->cache, &record, error) != 0)
            return -1;
    }
    return 0;
}

static void tell(const struct kgen_tuning *tuning, const char *what, const char *detail,
                 const char *consequence)
{
    const struct kgen_tune_options *options = &tuning->tuner->options;
    struct kgen_text text = {0}, problem = {0};
    kgen_problem_name(&tuning->problem, &problem);
    kgen_text_printf(&text, "%s: %s %s; %s", problem.failed ? "" : problem.data, what, detail, consequence);
    if (options->log != NULL && !text.failed)
        options->log(options->log_context, KGEN_MESSAGE_WARNING, text.data);
    kgen_text_free(&text);
    kgen_text_free(&problem);
}

/* Records that a finalist failed, and says so. */
static int drop_finalist(const struct final *final, size_t finalist, struct kgen_error *error)
{
    struct kgen_tuning *tuning = final->tuning;
    struct kgen_cache *cache = tuning->tuner->cache;
    const size_t variant = final->indexes[finalist];
    const struct kgen_record *found = kgen_tuning_record(tuning, variant);
    if (found == NULL)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory for a record");
    struct kgen_record record = *found;
    struct kgen_text detail = {0};
    kgen_text_printf(&detail, "timed again: %s", final->result.verification.detail);
    record.verdict = final->result.verification.verdict;
    record.detail = detail.failed ? "" : detail.data;
    record.chosen = false;
    const int result = kgen_cache_append(cache, &record, error);
    kgen_text_free(&detail);
    if (result != 0)
        return -1;
    found = kgen_tuning_record(tuning, variant);
    struct kgen_text what = {0};
    kgen_text_printf(&what, "%s %s:", record.variant, kgen_verdict_name(record.verdict));
    tell(tuning, what.failed ? "" : what.data, found != NULL ? found->detail : "",
         "it was proven before, and is no candidate any more");
    kgen_text_free(&what);
    kgen_tuning_tell(tuning, variant);
    return 2;
}

int kgen_tuning_run_final(struct kgen_tuning *tuning, const size_t *indexes, size_t count, double noise_most,
                          struct kgen_error *error)
{
    struct final final = {.tuning = tuning, .indexes = indexes, .count = count};
    if (kgen_tuning_fill_buffers(tuning, error) != 0)
        return -1;
    const int result =
        kgen_tuning_run_jobs(tuning, 1, sizeof(struct final_result), final_job, final_report, &final, error);
    if (result != 0)
        return result;
    tuning->compiled += (unsigned)count;
    if (final.result.verification.verdict == KGEN_PASSED) {
        tuning->tuner->noisy = final.result.noise > KGEN_NOISY;
        return noise_most > 0 && final.result.noise > noise_most ? 3 : keep_times(&final, error);
    }
    if (final.result.at_work > 0)
        return drop_finalist(&final, final.result.at_work - 1, error);
    tell(tuning, "the final round failed:", final.result.verification.detail,
         "the winner is chosen by the first times");
    return 0;
}
