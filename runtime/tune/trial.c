/* SPDX-License-Identifier: MIT */
#include "runtime/tune/trial.h"

#include "runtime/jit/device.h"
#include "runtime/process/measure_lock.h"
#include "runtime/tune/contest.h"

#include <string.h>

/* Seconds that each stage of a job may take: as `kgen cache verify` has them. */
static const double stage_seconds = 120;

/* A session takes about so long, with so many rounds. */
static const double session_seconds = 0.1;
enum { LEAST_ROUNDS = 5, MOST_ROUNDS = 21 };

static int take_lock(struct kgen_worker *worker, enum kgen_measure_lock_mode mode)
{
    kgen_worker_stage(worker, "wait", 2 * KGEN_MEASURE_LOCK_SECONDS);
    return kgen_measure_lock_take(mode);
}

static struct kgen_code *compile(const struct kgen_variant *variant, const struct kgen_problem *problem,
                                 struct kgen_kernel *kernel, struct kgen_verification *verification)
{
    const struct kgen_compile_options options = {.engine = KGEN_ENGINE_TCC};
    struct kgen_error error = {0};
    struct kgen_code *code =
        kgen_device_of_isa(variant->isa)->compile(variant, problem, &options, kernel, &error);
    if (code == NULL)
        kgen_verification_not_compiled(verification, &error);
    return code;
}

/* ---- proof ---- */

struct proving {
    const struct kgen_trial_options *options;
    const struct kgen_problem *problem;
    struct kgen_verify_cases *cases;
    const struct kgen_variant *variants;
    enum kgen_proof_part part;
    struct kgen_trial_proof *proof;
    bool ended; /* by a variant, and not by the cancel flag */
};

/* In the child. */
static void prove(size_t index, void *result, struct kgen_worker *worker, void *context)
{
    const struct proving *proving = context;
    struct kgen_verification *verification = result;
    const struct kgen_verify_options options = {.seed = proving->options->seed,
                                                .threads = proving->options->threads,
                                                .guards = kgen_worker_guards(worker),
                                                .part = proving->part};
    struct kgen_error error = {0};
    struct kgen_kernel kernel;
    const int lock = take_lock(worker, KGEN_LOCK_SHARED);
    kgen_worker_stage(worker, "compile", stage_seconds);
    struct kgen_code *code = compile(&proving->variants[index], proving->problem, &kernel, verification);
    if (code != NULL) {
        kgen_worker_stage(worker, "verify", stage_seconds);
        if (kgen_verify_with(proving->cases, &kernel, &options, verification, &error) != 0)
            kgen_verification_fail(verification, KGEN_WORKER_EXITED, &error);
        kgen_code_free(code);
    }
    kgen_measure_lock_release(lock);
}

static int prove_report(size_t index, const struct kgen_outcome *outcome, const void *result, void *context)
{
    struct proving *proving = context;
    struct kgen_trial_proof *proof = proving->proof;
    struct kgen_verification verification;
    memcpy(&verification, result, sizeof verification);
    kgen_outcome_verdict(outcome, &verification);
    if (verification.verdict == KGEN_NO_CANDIDATE) {
        proof->no_candidate++;
        return 0;
    }
    proof->cases += verification.cases;
    proof->passed += verification.verdict == KGEN_PASSED;
    proof->failed = verification.verdict != KGEN_PASSED;
    if (proof->failed) {
        proof->variant = index;
        proof->verification = verification;
    }
    proving->ended = proof->failed || proving->part == KGEN_PROVE_SMOKE;
    return proving->ended;
}

int kgen_trial_prove(const struct kgen_trial_options *options, const struct kgen_problem *problem,
                     struct kgen_verify_cases *cases, const struct kgen_variant *variants, size_t count,
                     enum kgen_proof_part part, struct kgen_trial_proof *proof, struct kgen_error *error)
{
    struct proving proving = {options, problem, cases, variants, part, proof, false};
    const struct kgen_worker_options worker_options = {.limit_seconds = stage_seconds,
                                                       .cancel = options->cancel};
    const int result = kgen_workers_run(&worker_options, count, sizeof(struct kgen_verification), prove,
                                        prove_report, &proving, error);
    return result == 1 && proving.ended ? 0 : result;
}

/* ---- times ---- */

enum { CONTESTANTS = 1 + KGEN_COMPARISON_RIVALS };

struct session_result {
    double seconds[CONTESTANTS];
    struct kgen_verification verification;
};

struct comparing {
    const struct kgen_trial_options *options;
    const struct kgen_problem *problem;
    const struct kgen_timing_buffers *buffers;
    const struct kgen_variant *variants[CONTESTANTS]; /* the change, then its rivals */
    size_t count;
    unsigned rounds, session;
    struct session_result result;
};

static void run_contest(const struct comparing *comparing, struct kgen_contestant *contestants,
                        struct session_result *result)
{
    const struct kgen_contest contest = {.machine = comparing->options->machine,
                                         .templates = comparing->options->templates,
                                         .buffers = comparing->buffers,
                                         .rounds = comparing->rounds};
    struct kgen_error error = {0};
    double read_seconds;
    if (kgen_contest_run(&contest, contestants, comparing->count, &read_seconds, &error) != 0)
        kgen_verification_fail(&result->verification, KGEN_WORKER_EXITED, &error);
    for (size_t i = 0; i < comparing->count; i++)
        result->seconds[(i + comparing->session) % comparing->count] = contestants[i].seconds;
}

/* In the child: one session, whose number says which kernel comes first. */
static void hold_session(size_t index, void *result_memory, struct kgen_worker *worker, void *context)
{
    (void)index;
    const struct comparing *comparing = context;
    struct session_result *result = result_memory;
    struct kgen_code *codes[CONTESTANTS] = {NULL};
    struct kgen_contestant contestants[CONTESTANTS] = {{.seconds = 0}};
    kgen_worker_stage(worker, "compile", stage_seconds);
    for (size_t i = 0; i < comparing->count && result->verification.verdict == KGEN_PASSED; i++)
        codes[i] = compile(comparing->variants[(i + comparing->session) % comparing->count],
                           comparing->problem, &contestants[i].kernel, &result->verification);
    if (result->verification.verdict == KGEN_PASSED) {
        const int lock = take_lock(worker, KGEN_LOCK_EXCLUSIVE);
        kgen_worker_stage(worker, "time", stage_seconds);
        run_contest(comparing, contestants, result);
        kgen_measure_lock_release(lock);
    }
    for (size_t i = 0; i < comparing->count; i++)
        kgen_code_free(codes[i]);
}

static int session_report(size_t index, const struct kgen_outcome *outcome, const void *result, void *context)
{
    (void)index;
    struct comparing *comparing = context;
    memcpy(&comparing->result, result, sizeof comparing->result);
    kgen_outcome_verdict(outcome, &comparing->result.verification);
    return 0;
}

/* Times a session in a process of its own. */
static int time_session(struct comparing *comparing, struct kgen_error *error)
{
    const struct kgen_worker_options options = {.limit_seconds = stage_seconds,
                                                .cancel = comparing->options->cancel};
    const int result = kgen_workers_run(&options, 1, sizeof(struct session_result), hold_session,
                                        session_report, comparing, error);
    const struct kgen_verification *verification = &comparing->result.verification;
    if (result != 0 || verification->verdict == KGEN_PASSED)
        return result;
    return kgen_error_set(error, KGEN_ERROR_CANDIDATE, NULL, 0, 0,
                          "a proven kernel failed when it was timed: %s: %s",
                          kgen_verdict_name(verification->verdict), verification->detail);
}

static void take_samples(struct comparing *comparing)
{
    const struct kgen_trial_options *options = comparing->options;
    for (size_t i = 0; i < comparing->count; i++)
        comparing->result.seconds[i] =
            options->sample(options->context, comparing->problem, comparing->variants[i], comparing->session);
}

static int hold_sessions(struct comparing *comparing, struct kgen_comparison *comparison,
                         struct kgen_error *error)
{
    double changes[KGEN_COMPARISON_SESSIONS], rivals[KGEN_COMPARISON_SESSIONS];
    for (unsigned i = 0; i < comparison->sessions; i++) {
        const double *seconds = comparing->result.seconds;
        comparing->session = i;
        if (comparing->options->sample != NULL) {
            take_samples(comparing);
        } else {
            const int result = time_session(comparing, error);
            if (result != 0)
                return result;
        }
        double rival = seconds[1];
        for (size_t j = 2; j < comparing->count; j++)
            rival = seconds[j] < rival ? seconds[j] : rival;
        changes[i] = seconds[0];
        rivals[i] = seconds[1];
        comparison->ratios[i] = rival / seconds[0];
        comparison->first_ratios[i] = seconds[1] / seconds[0];
    }
    comparison->seconds = kgen_median(changes, comparison->sessions);
    comparison->rival_seconds = kgen_median(rivals, comparison->sessions);
    return 0;
}

int kgen_trial_compare(const struct kgen_trial_options *options, const struct kgen_problem *problem,
                       const struct kgen_variant *change, const struct kgen_variant *rivals,
                       size_t rival_count, double seconds, size_t comparisons,
                       struct kgen_comparison *comparison, struct kgen_error *error)
{
    struct kgen_timing_buffers buffers = {0};
    struct comparing comparing = {.options = options,
                                  .problem = problem,
                                  .buffers = &buffers,
                                  .variants = {change},
                                  .count = 1 + rival_count,
                                  .rounds = MOST_ROUNDS};
    for (size_t i = 0; i < rival_count; i++)
        comparing.variants[1 + i] = &rivals[i];
    while (comparing.rounds > LEAST_ROUNDS &&
           comparing.rounds * seconds * (double)comparing.count > session_seconds)
        comparing.rounds--;
    *comparison = (struct kgen_comparison){.sessions = kgen_comparison_sessions(comparisons)};
    int result = 0;
    if (options->sample == NULL)
        result = kgen_timing_buffers_fill(&buffers, problem, kgen_machine_last_level_cache(options->machine),
                                          options->seed, error);
    if (result == 0)
        result = hold_sessions(&comparing, comparison, error);
    kgen_timing_buffers_free(&buffers);
    if (result == 0)
        kgen_comparison_judge(comparison, comparisons);
    return result;
}
