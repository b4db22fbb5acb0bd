/* SPDX-License-Identifier: MIT */
#include "runtime/tune/once.h"

#include "runtime/jit/device.h"
#include "runtime/process/measure_lock.h"

#include <string.h>

/* Seconds that each stage may take: as `kgen cache verify` has them. */
static const double stage_seconds = 120;

/* The timing takes as long as that of a patient search. */
static const struct kgen_timing_limits limits = {9, 0.05, 300, 0};

/* Samples of reading, and the least time that one takes. */
enum { READ_SAMPLES = 15, HOT_SAMPLES = 101 };
static const double hot_seconds = 0.03;
static const double shortest_sample = 20e-6;
/* Bytes that a second-level cache holds. */
#define HOT_BYTES ((size_t)512 << 10)

/* Calls whose events are counted take about so long together. */
static const double counted_seconds = 0.02;

struct run {
    const struct kgen_once_options *options;
    const struct kgen_problem *problem;
    const struct kgen_variant *variant;
    struct kgen_once *once;
};

/* The median time of reading bytes: another copy each time, or the beginning of the first. */
static double time_reading(struct kgen_reader *reader, const struct kgen_timing_buffers *buffers, bool cold,
                           size_t bytes, struct kgen_team *team)
{
    double seconds[READ_SAMPLES];
    size_t copy = 0;
    for (int i = 0; i < READ_SAMPLES; i++) {
        unsigned passes = 0;
        double sum = 0;
        while (sum < shortest_sample) {
            sum +=
                kgen_reader_pass(reader, kgen_timing_buffers_copy(buffers, cold ? copy++ : 0), bytes, team);
            passes++;
        }
        seconds[i] = sum / passes;
    }
    return kgen_median(seconds, READ_SAMPLES);
}

/* The hot time of an op that is ranked by its cold time is that of three samples in a search: too few for one
 * that a person reads. */
static double time_hot(struct kgen_timed *timed)
{
    double seconds[HOT_SAMPLES];
    size_t count = 0;
    const double start = kgen_clock();
    while (count < HOT_SAMPLES && (count < 9 || kgen_clock() - start < hot_seconds))
        seconds[count++] = kgen_timed_sample(timed, false);
    return kgen_median(seconds, count);
}

static void count_events(struct kgen_timed *timed, struct kgen_counters *counters, struct kgen_once *once)
{
    const double each = once->counted_cold ? once->timing.cold_seconds : once->timing.hot_seconds;
    const double sample = each * timed->batch;
    const unsigned samples =
        sample > 0 && counted_seconds / sample > 3 ? (unsigned)(counted_seconds / sample) : 3;
    kgen_counters_start(counters);
    for (unsigned i = 0; i < samples; i++)
        kgen_timed_sample(timed, once->counted_cold);
    kgen_counters_stop(counters);
    kgen_counters_read(counters, &once->counts);
    for (int i = 0; i < KGEN_COUNTER_COUNT; i++) {
        if (once->counts.values[i] >= 0)
            once->counts.values[i] /= (double)samples * timed->batch;
    }
}

static void measure(struct kgen_timed *timed, struct kgen_reader *reader, struct kgen_counters *counters,
                    struct kgen_once *once)
{
    const struct kgen_timing_buffers *buffers = timed->buffers;
    const size_t bytes = buffers->copy_bytes;
    const size_t hot = bytes < HOT_BYTES ? bytes : HOT_BYTES;
    once->counted_cold = kgen_timing_is_cold(&timed->kernel.problem);
    kgen_timed_measure(timed, &limits, reader, &once->timing);
    if (once->counted_cold)
        once->timing.hot_seconds = time_hot(timed);
    else
        once->timing.read_seconds = time_reading(reader, buffers, true, bytes, timed->team);
    once->hot_read_seconds =
        time_reading(reader, buffers, false, hot, timed->team) * ((double)bytes / (double)hot);
    once->read_bytes = (double)bytes;
    if (counters != NULL)
        count_events(timed, counters, once);
    once->timed = true;
}

/* In the child. The counters are opened before the threads are made, so that these are counted. */
static void time_kernel(const struct run *run, const struct kgen_kernel *kernel, struct kgen_once *once)
{
    const struct kgen_machine *machine = run->options->machine;
    const int threads = (int)run->problem->threads;
    struct kgen_timing_buffers buffers = {0};
    struct kgen_error error = {0};
    struct kgen_timed timed;
    struct kgen_reader *reader = NULL;
    for (int i = 0; i < KGEN_COUNTER_COUNT; i++)
        once->counts.values[i] = -1;
    const bool counting = kgen_counters_open(&once->counters) > 0;
    struct kgen_team *team = kgen_team_new(threads, &error);
    if (team != NULL)
        kgen_team_pin(team);
    if (team != NULL &&
        kgen_timing_buffers_fill(&buffers, run->problem, kgen_machine_last_level_cache(machine),
                                 run->options->seed, &error) == 0)
        reader = kgen_reader_open(machine, run->options->templates, threads, &error);
    if (reader != NULL && kgen_timed_open(&timed, kernel, &buffers, team, &error) == 0) {
        measure(&timed, reader, counting ? &once->counters : NULL, once);
        kgen_timed_close(&timed);
    }
    if (error.code != KGEN_ERROR_NONE)
        kgen_verification_fail(&once->verification, KGEN_WORKER_EXITED, &error);
    kgen_reader_close(reader);
    kgen_timing_buffers_free(&buffers);
    kgen_team_free(team);
    kgen_counters_close(&once->counters);
}

static int take_lock(struct kgen_worker *worker, enum kgen_measure_lock_mode mode)
{
    kgen_worker_stage(worker, "wait", 2 * KGEN_MEASURE_LOCK_SECONDS);
    return kgen_measure_lock_take(mode);
}

static void job(size_t index, void *result, struct kgen_worker *worker, void *context)
{
    (void)index;
    const struct run *run = context;
    struct kgen_once *once = result;
    struct kgen_error error = {0};
    struct kgen_kernel kernel;
    const struct kgen_compile_options compile_options = {.engine = run->options->engine};
    int lock = take_lock(worker, KGEN_LOCK_SHARED);
    kgen_worker_stage(worker, "compile", stage_seconds);
    const double start = kgen_clock();
    struct kgen_code *code = kgen_device_of_isa(run->variant->isa)
                                 ->compile(run->variant, run->problem, &compile_options, &kernel, &error);
    once->compile_seconds = kgen_clock() - start;
    if (code == NULL) {
        kgen_verification_not_compiled(&once->verification, &error);
        kgen_measure_lock_release(lock);
        return;
    }
    const struct kgen_verify_options options = {
        .seed = run->options->seed, .threads = run->options->threads, .guards = kgen_worker_guards(worker)};
    kgen_worker_stage(worker, "verify", stage_seconds);
    if (kgen_verify(&kernel, &options, &once->verification, &error) != 0)
        kgen_verification_fail(&once->verification, KGEN_WORKER_EXITED, &error);
    kgen_measure_lock_release(lock);
    if (once->verification.verdict == KGEN_PASSED) {
        lock = take_lock(worker, KGEN_LOCK_EXCLUSIVE);
        kgen_worker_stage(worker, "time", stage_seconds);
        time_kernel(run, &kernel, once);
        kgen_measure_lock_release(lock);
    }
    kgen_code_free(code);
}

static int report(size_t index, const struct kgen_outcome *outcome, const void *result, void *context)
{
    (void)index;
    const struct run *run = context;
    memcpy(run->once, result, sizeof *run->once);
    if (outcome->kind != KGEN_OUTCOME_DONE) {
        run->once->timed = false;
        kgen_outcome_verdict(outcome, &run->once->verification);
    }
    return 0;
}

int kgen_once_run(const struct kgen_once_options *options, const struct kgen_problem *problem,
                  const struct kgen_variant *variant, struct kgen_once *once, struct kgen_error *error)
{
    struct run run = {options, problem, variant, once};
    const struct kgen_worker_options worker_options = {.limit_seconds = stage_seconds,
                                                       .cancel = options->cancel};
    return kgen_workers_run(&worker_options, 1, sizeof *once, job, report, &run, error);
}
