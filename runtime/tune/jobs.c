/* SPDX-License-Identifier: MIT */
/* Jobs in worker processes, and the limits of their stages. */
#include "runtime/jit/device.h"
#include "runtime/tune/internal.h"

#include <stdio.h>
#include <string.h>

/* A worker process starts, compiles an empty function and reports back within this time on a machine with
 * nothing else to do. */
static const double ordinary_seconds = 0.01;

/* Seconds that a stage may take where the options do not say. */
static const double usual_seconds = 60;

/* Seconds that starting a process or waiting for the measure lock may take, whatever the candidate's limit.
 */
static const double wait_seconds = 2 * KGEN_MEASURE_LOCK_SECONDS;

/* The proof of a variant may take so many seconds, and so many times as long as the references: TinyCC's
 * plain C is some 20 times slower than they are, and a kernel is called up to six times for each. */
static const double proof_seconds = 10, proof_factor = 150;
/* Of that, the share for a variant of which a sibling hung. */
static const double suspect_share = 0.25;

static double limit_of(const struct kgen_tuning *tuning, const struct kgen_variant *variant, double usual)
{
    const struct kgen_tune_options *options = &tuning->tuner->options;
    double limit = options->stage_limit_seconds > 0 ? options->stage_limit_seconds : usual;
    if (options->times.stage_limit != NULL)
        limit = options->times.stage_limit(options->times.context, variant);
    const double most = limit > KGEN_STAGE_LIMIT_MOST ? limit : KGEN_STAGE_LIMIT_MOST;
    const double scaled = limit * tuning->shared->slowness;
    return scaled < most ? scaled : most;
}

double kgen_tuning_stage_limit(const struct kgen_tuning *tuning, const struct kgen_variant *variant)
{
    return limit_of(tuning, variant, usual_seconds);
}

static bool are_siblings(const struct kgen_variant *a, const struct kgen_variant *b)
{
    return a->tmpl == b->tmpl && a->isa == b->isa;
}

double kgen_tuning_proof_limit(const struct kgen_tuning *tuning, const struct kgen_variant *variant)
{
    double limit = proof_seconds + proof_factor * tuning->reference_seconds;
    if (are_siblings(variant, &tuning->hung))
        limit *= suspect_share;
    return limit_of(tuning, variant, limit < usual_seconds ? limit : usual_seconds);
}

/* Moves the siblings of the variant that hung behind the others, which keep their order. */
static void put_siblings_last(const struct kgen_tuning *tuning, size_t *list, size_t count)
{
    size_t others = 0;
    for (size_t i = 0; i < count; i++) {
        const size_t moved = list[i];
        if (are_siblings(&tuning->variants.items[moved], &tuning->hung))
            continue;
        memmove(list + others + 1, list + others, (i - others) * sizeof *list);
        list[others++] = moved;
    }
}

void kgen_tuning_note_hung(struct kgen_tuning *tuning, size_t variant, size_t first)
{
    tuning->hung = tuning->variants.items[variant];
    put_siblings_last(tuning, tuning->pending + first, tuning->pending_count - first);
    put_siblings_last(tuning, tuning->waiting, tuning->waiting_count);
}

int kgen_tuning_take_lock(struct kgen_worker *worker, enum kgen_measure_lock_mode mode)
{
    kgen_worker_stage(worker, "wait", wait_seconds);
    return kgen_measure_lock_take(mode);
}

struct kgen_code *kgen_tuning_compile(const struct kgen_tuning *tuning, const struct kgen_variant *variant,
                                      struct kgen_kernel *kernel, struct kgen_verification *verification)
{
    const struct kgen_compile_options options = {.engine = tuning->tuner->options.engine,
                                                 .cc = &tuning->tuner->options.cc};
    struct kgen_error error = {0};
    struct kgen_code *code =
        kgen_device_of_isa(variant->isa)->compile(variant, &tuning->problem, &options, kernel, &error);
    if (code == NULL)
        kgen_verification_not_compiled(verification, &error);
    return code;
}

int kgen_tuning_fill_buffers(struct kgen_tuning *tuning, struct kgen_error *error)
{
    struct kgen_tuner *tuner = tuning->tuner;
    if (tuner->options.effort > KGEN_EFFORT_ESTIMATE && !tuning->filled) {
        if (kgen_timing_buffers_fill(&tuner->buffers, &tuning->problem,
                                     kgen_machine_last_level_cache(tuner->machine), tuner->options.seed,
                                     error) != 0)
            return -1;
        tuning->filled = true;
    }
    return 0;
}

static size_t count_recorded(const struct kgen_tuning *tuning)
{
    size_t count = 0;
    for (size_t i = 0; i < tuning->variants.count; i++)
        count += kgen_tuning_has_record(tuning, i);
    return count;
}

void kgen_tuning_tell(const struct kgen_tuning *tuning, size_t variant)
{
    if (tuning->progress != NULL)
        tuning->progress(tuning->progress_context, &tuning->problem, kgen_tuning_record(tuning, variant),
                         (unsigned)count_recorded(tuning), (unsigned)tuning->variants.count);
}

/* Jobs behind one that measures the machine. */
struct jobs {
    struct kgen_tuning *tuning;
    kgen_job *job;
    kgen_job_report *report;
    void *context;
    double start;
};

/* What any job does, and nothing else: so it takes the longer the slower the machine is. */
static void empty_job(void)
{
    static const char text[] = "void kernel(void)\n{\n}\n";
    kgen_code_free(kgen_jit_compile(KGEN_ENGINE_TCC, "empty", text, KGEN_ISA_GENERIC, NULL, NULL));
}

static void run_job(size_t index, void *result, struct kgen_worker *worker, void *context)
{
    const struct jobs *jobs = context;
    if (index == 0)
        empty_job();
    else
        jobs->job(index - 1, result, worker, jobs->context);
}

static int report_job(size_t index, const struct kgen_outcome *outcome, const void *result, void *context)
{
    const struct jobs *jobs = context;
    if (index > 0)
        return jobs->report(index - 1, outcome, result, jobs->context);
    const double slowness = (kgen_tuner_clock(jobs->tuning->tuner) - jobs->start) / ordinary_seconds;
    jobs->tuning->shared->slowness = slowness > 1 ? slowness : 1;
    return 0;
}

int kgen_tuning_run_jobs(struct kgen_tuning *tuning, size_t count, size_t result_bytes, kgen_job *job,
                         kgen_job_report *report, void *context, struct kgen_error *error)
{
    const struct kgen_worker_options options = {.limit_seconds = wait_seconds,
                                                .cancel = tuning->tuner->options.cancel};
    struct jobs jobs = {tuning, job, report, context, kgen_tuner_clock(tuning->tuner)};
    return kgen_workers_run(&options, count + 1, result_bytes, run_job, report_job, &jobs, error);
}
