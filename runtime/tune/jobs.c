/* SPDX-License-Identifier: MIT */
/* What runs in the worker processes, and what the tuner makes of it. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "runtime/tune/internal.h"

#include "runtime/process/turn.h"
#include "runtime/process/worker.h"
#include "runtime/tune/contest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const char function[] = "kernel";

/* Seconds a stage may take before it counts as hung. */
static double stage_limit(const struct kgen_tuning *tuning)
{
    const double limit = tuning->tuner->options.stage_limit_seconds;
    return limit > 0 ? limit : 60;
}

/* Limits of the first timing of each candidate, and samples of each finalist, by effort. */
static const struct kgen_timing_limits timing_limits[] = {
    [KGEN_ESTIMATE] = {0, 0, 0, 0},
    [KGEN_MEASURE] = {5, 0.008, 100, 0},
    [KGEN_PATIENT] = {9, 0.03, 300, 0},
    [KGEN_EXHAUSTIVE] = {25, 0.1, 1000, 0},
};
static const unsigned final_rounds[] = {
    [KGEN_ESTIMATE] = 0, [KGEN_MEASURE] = 11, [KGEN_PATIENT] = 31, [KGEN_EXHAUSTIVE] = 75};

/* A candidate that costs so many times as much as the best so far is not worth more samples. */
static const double hopeless_factor = 1.5;

struct candidate_result {
    struct kgen_verification verification;
    double compile_seconds;
    struct kgen_timing timing;
};

struct batch {
    struct kgen_tuning *tuning;
    double *best_cost; /* shared with the children; 0 until one was timed */
    struct kgen_error *error;
    bool failed; /* a record could not be kept */
};

static void fail(struct kgen_verification *verification, enum kgen_verdict verdict,
                 const struct kgen_error *error)
{
    verification->verdict = verdict;
    kgen_error_format(error, verification->detail, sizeof verification->detail);
}

/* From a variant to its callable functions. Returns NULL with the reason in verification. */
static struct kgen_code *compile(const struct kgen_tuning *tuning, const struct kgen_variant *variant,
                                 struct kgen_kernel *kernel, struct kgen_verification *verification)
{
    const struct kgen_tune_options *options = &tuning->tuner->options;
    struct kgen_error error = {0};
    struct kgen_text text = {0};
    struct kgen_code *code = NULL;
    if (kgen_variant_text(variant, &tuning->problem, function, &text, &error) == 0)
        code = kgen_jit_compile(options->engine, kgen_template_name(variant->tmpl), text.data, variant->isa,
                                &options->cc, &error);
    if (code != NULL && kgen_kernel_find(&tuning->problem, code, function, kernel, &error) != 0) {
        kgen_code_free(code);
        code = NULL;
    }
    if (code == NULL)
        fail(verification, error.code == KGEN_ERROR_CANDIDATE ? KGEN_NO_CANDIDATE : KGEN_COMPILE_FAILED,
             &error);
    kgen_text_free(&text);
    return code;
}

static void time_candidate(const struct batch *batch, const struct kgen_kernel *kernel,
                           struct candidate_result *result)
{
    const struct kgen_tuner *tuner = batch->tuning->tuner;
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
        limits.hopeless_cost = *batch->best_cost * hopeless_factor;
        kgen_timed_measure(&timed, &limits, reader, &result->timing);
        kgen_timed_close(&timed);
    }
    if (error.code != KGEN_ERROR_NONE)
        fail(&result->verification, KGEN_WORKER_EXITED, &error);
    kgen_reader_close(reader);
    kgen_team_free(team);
}

/* In the child: waiting is no fault of the candidate. */
static int take_turn(struct kgen_worker *worker, enum kgen_turn_kind kind)
{
    kgen_worker_stage(worker, "wait", 2 * KGEN_TURN_SECONDS);
    return kgen_turn_take(kind);
}

/* In the child: one candidate, from text to time. */
static void candidate_job(size_t index, void *result_memory, struct kgen_worker *worker, void *context)
{
    struct batch *batch = context;
    const struct kgen_tuning *tuning = batch->tuning;
    struct candidate_result *result = result_memory;
    const struct kgen_variant *variant = &tuning->variants.items[tuning->pending[index]];
    struct kgen_error error = {0};
    struct kgen_kernel kernel;

    int turn = take_turn(worker, KGEN_TURN_WORK);
    kgen_worker_stage(worker, "compile", stage_limit(tuning));
    const double start = kgen_clock();
    struct kgen_code *code = compile(tuning, variant, &kernel, &result->verification);
    result->compile_seconds = kgen_clock() - start;
    if (code == NULL) {
        kgen_turn_end(turn);
        return;
    }
    kgen_worker_stage(worker, "verify", stage_limit(tuning));
    struct kgen_verify_options options = {.seed = tuning->tuner->options.seed,
                                          .threads = tuning->tuner->options.threads,
                                          .guards = kgen_worker_guards(worker)};
    if (kgen_verify_with(tuning->cases, &kernel, &options, &result->verification, &error) != 0)
        fail(&result->verification, KGEN_WORKER_EXITED, &error);
    kgen_turn_end(turn);
    if (result->verification.verdict == KGEN_PASSED && tuning->tuner->options.effort > KGEN_ESTIMATE) {
        turn = take_turn(worker, KGEN_TURN_MEASURE);
        kgen_worker_stage(worker, "time", stage_limit(tuning));
        time_candidate(batch, &kernel, result);
        kgen_turn_end(turn);
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
    };
    const int appended = kgen_cache_append(tuning->tuner->cache, &record, error);
    kgen_text_free(&name);
    return appended;
}

static size_t count_recorded(const struct kgen_tuning *tuning)
{
    size_t count = 0;
    for (size_t i = 0; i < tuning->variants.count; i++)
        count += kgen_tuning_has_record(tuning, i);
    return count;
}

/* In the parent: a candidate is done, or ended its child. */
static int candidate_report(size_t index, const struct kgen_outcome *outcome, const void *result_memory,
                            void *context)
{
    struct batch *batch = context;
    struct kgen_tuning *tuning = batch->tuning;
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
        (*batch->best_cost == 0 || cost < *batch->best_cost))
        *batch->best_cost = cost;
    if (tuning->progress != NULL)
        tuning->progress(tuning->progress_context, &tuning->problem,
                         kgen_cache_find(tuning->tuner->cache, tuning->keys[variant]),
                         (unsigned)count_recorded(tuning), (unsigned)tuning->variants.count);
    return kgen_tuner_stopped(tuning->tuner);
}

/* What the timing of this problem needs, made once. */
static int fill_buffers(struct kgen_tuning *tuning, struct kgen_error *error)
{
    struct kgen_tuner *tuner = tuning->tuner;
    if (tuner->options.effort > KGEN_ESTIMATE && !tuning->filled) {
        if (kgen_timing_buffers_fill(&tuner->buffers, &tuning->problem,
                                     kgen_machine_last_level_cache(tuner->machine), tuner->options.seed,
                                     error) != 0)
            return -1;
        tuning->filled = true;
    }
    return 0;
}

static int make_cases(struct kgen_tuning *tuning, struct kgen_error *error)
{
    if (tuning->cases == NULL)
        tuning->cases = kgen_verify_cases_new(&tuning->problem, tuning->tuner->options.seed, error);
    return tuning->cases != NULL ? 0 : -1;
}

int kgen_tuning_run_candidates(struct kgen_tuning *tuning, struct kgen_error *error)
{
    struct kgen_tuner *tuner = tuning->tuner;
    if (kgen_tuner_stopped(tuner))
        return 1;
    struct batch batch = {.tuning = tuning, .error = error};
    void *shared = mmap(NULL, sizeof(double), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    batch.best_cost = shared;
    *batch.best_cost = tuning->best_cost;
    int result = -1;
    if (fill_buffers(tuning, error) == 0 && make_cases(tuning, error) == 0) {
        const struct kgen_worker_options options = {.limit_seconds = stage_limit(tuning),
                                                    .cancel = tuner->options.cancel};
        result = kgen_workers_run(&options, tuning->pending_count, sizeof(struct candidate_result),
                                  candidate_job, candidate_report, &batch, error);
    }
    tuning->best_cost = *batch.best_cost;
    munmap(shared, sizeof(double));
    return batch.failed ? -1 : result;
}

struct final_result {
    double seconds[KGEN_FINALISTS];
    double read_seconds; /* of the same bytes; 0 where the op is not timed cold */
};

struct final {
    struct kgen_tuning *tuning;
    const size_t *indexes;
    size_t count;
    struct kgen_error *error;
    struct kgen_outcome outcome;
    struct final_result result;
};

/* In the child: the finalists in turns. */
static void final_job(size_t index, void *result_memory, struct kgen_worker *worker, void *context)
{
    (void)index;
    const struct final *final = context;
    const struct kgen_tuning *tuning = final->tuning;
    const struct kgen_tuner *tuner = tuning->tuner;
    struct final_result *result = result_memory;
    struct kgen_code *codes[KGEN_FINALISTS] = {NULL};
    struct kgen_contestant contestants[KGEN_FINALISTS] = {{.seconds = 0}};
    struct kgen_verification failure = {0};
    const struct kgen_contest contest = {tuner->machine, tuner->templates, &tuner->buffers,
                                         final_rounds[tuner->options.effort]};
    kgen_worker_stage(worker, "compile", stage_limit(tuning));
    bool compiled = true;
    for (size_t i = 0; i < final->count && compiled; i++) {
        codes[i] =
            compile(tuning, &tuning->variants.items[final->indexes[i]], &contestants[i].kernel, &failure);
        compiled = codes[i] != NULL;
    }
    const int turn = take_turn(worker, KGEN_TURN_MEASURE);
    kgen_worker_stage(worker, "time", stage_limit(tuning));
    if (compiled && kgen_contest_run(&contest, contestants, final->count, &result->read_seconds, NULL) == 0) {
        for (size_t i = 0; i < final->count; i++)
            result->seconds[i] = contestants[i].seconds;
    }
    kgen_turn_end(turn);
    for (size_t i = 0; i < final->count; i++)
        kgen_code_free(codes[i]);
}

static int final_report(size_t index, const struct kgen_outcome *outcome, const void *result, void *context)
{
    (void)index;
    struct final *final = context;
    final->outcome = *outcome;
    memcpy(&final->result, result, sizeof final->result);
    return 0;
}

int kgen_tuning_run_final(struct kgen_tuning *tuning, const size_t *indexes, size_t count,
                          struct kgen_error *error)
{
    struct kgen_tuner *tuner = tuning->tuner;
    struct final final = {.tuning = tuning, .indexes = indexes, .count = count, .error = error};
    if (fill_buffers(tuning, error) != 0)
        return -1;
    const struct kgen_worker_options options = {.limit_seconds = stage_limit(tuning),
                                                .cancel = tuner->options.cancel};
    int result =
        kgen_workers_run(&options, 1, sizeof(struct final_result), final_job, final_report, &final, error);
    if (result != 0)
        return result;
    tuning->compiled += (unsigned)count;
    for (size_t i = 0; i < count && final.outcome.kind == KGEN_OUTCOME_DONE; i++) {
        if (final.result.seconds[i] <= 0)
            continue;
        struct kgen_record record = *kgen_cache_find(tuner->cache, tuning->keys[indexes[i]]);
        record.final_seconds = final.result.seconds[i];
        record.read_seconds = final.result.read_seconds;
        if (kgen_cache_append(tuner->cache, &record, error) != 0)
            return -1;
    }
    return 0;
}
