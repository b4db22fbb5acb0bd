/* SPDX-License-Identifier: MIT */
/* Compiling, proving and timing candidates in worker processes, and the records of what became of them. */
#include "runtime/tune/internal.h"

#include <string.h>

/* Limits of the first timing of each candidate, by effort. */
static const struct kgen_timing_limits timing_limits[] = {
    [KGEN_EFFORT_ESTIMATE] = {0, 0, 0, 0},
    [KGEN_EFFORT_MEASURE] = {5, 0.008, 100, 0},
    [KGEN_EFFORT_PATIENT] = {9, 0.03, 300, 0},
    [KGEN_EFFORT_EXHAUSTIVE] = {25, 0.1, 1000, 0},
};
/* The timing of a candidate that costs so many times as much as the best ends after two samples. */
static const double hopeless_factor = 1.5;

struct candidate_result {
    struct kgen_verification verification;
    double compile_seconds;
    struct kgen_timing timing;
};

struct batch {
    struct kgen_tuning *tuning;
    struct kgen_error *error;
    bool failed; /* a record could not be kept */
};

static void time_kernel(const struct kgen_tuning *tuning, const struct kgen_kernel *kernel,
                        struct candidate_result *result)
{
    const struct kgen_tuner *tuner = tuning->tuner;
    struct kgen_timed timed;
    struct kgen_error error = {0};
    const int threads = (int)kernel->problem.threads;
    struct kgen_team *team = kgen_team_new(threads, &error);
    struct kgen_reader *reader = NULL;
    if (team != NULL)
        kgen_team_pin(team);
    if (kgen_timing_is_cold(&kernel->problem))
        reader = kgen_reader_open(tuner->machine, tuner->templates, threads, &error);
    if (error.code == KGEN_ERROR_NONE &&
        kgen_timed_open(&timed, kernel, &tuner->buffers, team, &error) == 0) {
        struct kgen_timing_limits limits = timing_limits[tuner->options.effort];
        limits.hopeless_cost = tuning->shared->best_cost * hopeless_factor;
        kgen_timed_measure(&timed, &limits, reader, &result->timing);
        kgen_timed_close(&timed);
    }
    if (error.code != KGEN_ERROR_NONE)
        kgen_verification_fail(&result->verification, KGEN_WORKER_EXITED, &error);
    kgen_reader_close(reader);
    kgen_team_free(team);
}

static void time_candidate(const struct kgen_tuning *tuning, const struct kgen_variant *variant,
                           const struct kgen_kernel *kernel, struct candidate_result *result)
{
    const struct kgen_tune_times *times = &tuning->tuner->options.times;
    if (times->measure != NULL)
        times->measure(times->context, &tuning->problem, variant, false, &result->timing);
    else
        time_kernel(tuning, kernel, result);
}

/* In the child: one candidate, from text to time. */
static void candidate_job(size_t index, void *result_memory, struct kgen_worker *worker, void *context)
{
    const struct batch *batch = context;
    const struct kgen_tuning *tuning = batch->tuning;
    struct candidate_result *result = result_memory;
    const struct kgen_variant *variant = &tuning->variants.items[tuning->pending[index]];
    struct kgen_error error = {0};
    struct kgen_kernel kernel;
    const double limit = kgen_tuning_stage_limit(tuning, variant);

    int lock = kgen_tuning_take_lock(worker, KGEN_LOCK_SHARED);
    kgen_worker_stage(worker, "compile", limit);
    const double start = kgen_clock();
    struct kgen_code *code = kgen_tuning_compile(tuning, variant, &kernel, &result->verification);
    result->compile_seconds = kgen_clock() - start;
    if (code == NULL) {
        kgen_measure_lock_release(lock);
        return;
    }
    kgen_worker_stage(worker, "verify", kgen_tuning_proof_limit(tuning, variant));
    struct kgen_verify_options options = {.seed = tuning->tuner->options.seed,
                                          .threads = tuning->tuner->options.threads,
                                          .guards = kgen_worker_guards(worker)};
    if (kgen_verify_with(tuning->cases, &kernel, &options, &result->verification, &error) != 0)
        kgen_verification_fail(&result->verification, KGEN_WORKER_EXITED, &error);
    kgen_measure_lock_release(lock);
    if (result->verification.verdict == KGEN_PASSED && tuning->tuner->options.effort > KGEN_EFFORT_ESTIMATE) {
        lock = kgen_tuning_take_lock(worker, KGEN_LOCK_EXCLUSIVE);
        kgen_worker_stage(worker, "time", limit);
        time_candidate(tuning, variant, &kernel, result);
        kgen_measure_lock_release(lock);
    }
    kgen_code_free(code);
}

static int append_record(struct kgen_tuning *tuning, size_t variant, const struct candidate_result *result,
                         struct kgen_error *error)
{
    struct kgen_text name = {0};
    kgen_variant_name(&tuning->variants.items[variant], &name);
    if (name.failed)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    const struct kgen_record record = {
        .key = tuning->keys[variant],
        .machine = tuning->tuner->machine->identity,
        .problem = tuning->problem_text.data,
        .variant = name.data,
        .engine = tuning->tuner->engine.data,
        .effort = kgen_effort_name(tuning->tuner->options.effort),
        .verdict = result->verification.verdict,
        .detail = result->verification.detail,
        .error_of_bound = result->verification.error_of_bound,
        .cases = result->verification.cases,
        .compile_seconds = result->compile_seconds,
        .cold_seconds = result->timing.cold_seconds,
        .hot_seconds = result->timing.hot_seconds,
        .read_seconds = result->timing.read_seconds,
        .repeats = result->timing.repeats,
        .noise = result->timing.noise,
        .own = kgen_templates_own(tuning->tuner->templates, tuning->variants.items[variant].tmpl),
    };
    const int appended = kgen_cache_append(tuning->tuner->cache, &record, error);
    kgen_text_free(&name);
    return appended;
}

/* In the parent: a candidate is done, or ended its child. */
static int candidate_report(size_t index, const struct kgen_outcome *outcome, const void *result_memory,
                            void *context)
{
    struct batch *batch = context;
    struct kgen_tuning *tuning = batch->tuning;
    struct kgen_tuning_shared *shared = tuning->shared;
    const size_t variant = tuning->pending[index];
    struct candidate_result result;
    memcpy(&result, result_memory, sizeof result);
    tuning->compiled++;
    if (outcome->kind != KGEN_OUTCOME_DONE) {
        memset(&result.timing, 0, sizeof result.timing);
        kgen_outcome_verdict(outcome, &result.verification);
    }
    if (append_record(tuning, variant, &result, batch->error) != 0) {
        batch->failed = true;
        return 1;
    }
    const double cost = kgen_timing_cost(kgen_timing_is_cold(&tuning->problem), result.timing.cold_seconds,
                                         result.timing.hot_seconds, result.timing.read_seconds);
    if (result.verification.verdict == KGEN_PASSED && cost > 0 &&
        (shared->best_cost == 0 || cost < shared->best_cost))
        shared->best_cost = cost;
    if (outcome->kind == KGEN_OUTCOME_TIMED_OUT)
        kgen_tuning_note_hung(tuning, variant, index + 1);
    kgen_tuning_tell(tuning, variant);
    return kgen_tuner_stopped(tuning->tuner);
}

static int make_cases(struct kgen_tuning *tuning, struct kgen_error *error)
{
    if (tuning->cases == NULL) {
        const double start = kgen_clock();
        tuning->cases = kgen_verify_cases_new(&tuning->problem, tuning->tuner->options.seed, error);
        tuning->reference_seconds = kgen_clock() - start;
    }
    return tuning->cases != NULL ? 0 : -1;
}

int kgen_tuning_run_candidates(struct kgen_tuning *tuning, struct kgen_error *error)
{
    if (kgen_tuner_stopped(tuning->tuner))
        return 1;
    if (kgen_tuning_fill_buffers(tuning, error) != 0 || make_cases(tuning, error) != 0)
        return -1;
    struct batch batch = {.tuning = tuning, .error = error};
    const int result = kgen_tuning_run_jobs(tuning, tuning->pending_count, sizeof(struct candidate_result),
                                            candidate_job, candidate_report, &batch, error);
    return batch.failed ? -1 : result;
}
