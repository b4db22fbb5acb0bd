/* SPDX-License-Identifier: MIT */
#include "runtime/tune/timing.h"

#include "gen/ops/signature.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Samples are made longer than this by calling the kernel several times, because the clock is not exact. */
static const double shortest_sample = 20e-6;

/* Weights of this size stay in the second-level caches of two cores. */
#define HOT_BYTES ((double)(512 << 10))

enum { MOST_SAMPLES = 1000 };

bool kgen_timing_is_cold(const struct kgen_problem *problem)
{
    return kgen_problem_has_weights(problem) || kgen_op_has_role(problem->op, KGEN_STATE);
}

static void *allocate(const struct kgen_timed *timed, size_t bytes)
{
    return timed->buffers->device->allocate(KGEN_MEMORY_SMALL, bytes, NULL);
}

/* The bytes of a buffer that is not among the copies of the inputs; 0 for one that is. */
static size_t own_bytes(const struct kgen_timed *timed, const struct kgen_problem_buffer *buffer)
{
    const struct kgen_kernel *kernel = &timed->kernel;
    switch (buffer->role) {
    case KGEN_WORKSPACE:
        return kernel->workspace_bytes;
    case KGEN_SCRATCH:
        return kernel->scratch_bytes * (timed->team != NULL ? (size_t)kernel->problem.threads : 1);
    case KGEN_OUTPUT:
    case KGEN_UPDATED:
        return buffer->bytes;
    default:
        return 0;
    }
}

static int allocate_own(struct kgen_timed *timed)
{
    struct kgen_buffers buffers;
    kgen_problem_buffers(&timed->kernel.problem, &buffers);
    for (size_t i = 0; i < buffers.count; i++) {
        const size_t bytes = own_bytes(timed, &buffers.items[i]);
        if (bytes == 0)
            continue;
        timed->own[i] = timed->arguments.buffers[i] = allocate(timed, bytes);
        if (timed->own[i] == NULL)
            return -1;
    }
    return 0;
}

int kgen_timed_open(struct kgen_timed *timed, const struct kgen_kernel *kernel,
                    const struct kgen_timing_buffers *buffers, struct kgen_team *team,
                    struct kgen_error *error)
{
    memset(timed, 0, sizeof *timed);
    timed->kernel = *kernel;
    timed->buffers = buffers;
    timed->team = kernel->problem.threads > 1 ? team : NULL;
    /* The buffers have room for no more. */
    const struct kgen_problem typical = kgen_problem_typical(&kernel->problem);
    for (size_t i = 0; i < typical.op->scalar_count; i++)
        timed->arguments.scalars[i] = kgen_scalar_typical(&typical, &typical.op->scalars[i]);
    timed->hot_kernel = *kernel;
    timed->hot_scale = 1;
    timed->batch = 1;
    const double bytes = kgen_problem_bytes(&kernel->problem);
    if (kgen_timing_is_cold(&kernel->problem) && bytes > HOT_BYTES && !kernel->problem.op->fixed_range) {
        const double rows = (double)kgen_problem_range_outer(&kernel->problem);
        const double hot_rows = rows * HOT_BYTES / bytes;
        kgen_problem_set_range(&timed->hot_kernel.problem, hot_rows > 1 ? (size_t)hot_rows : 1);
        timed->hot_scale = rows / (double)kgen_problem_range_outer(&timed->hot_kernel.problem);
    }
    if (allocate_own(timed) != 0) {
        kgen_timed_close(timed);
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    }
    kgen_timed_sample(timed, true); /* starts the threads and touches the outputs */
    const double seconds = kgen_timed_sample(timed, kgen_timing_is_cold(&kernel->problem));
    if (seconds < shortest_sample)
        timed->batch = (unsigned)(shortest_sample / (seconds + 1e-9)) + 1;
    return 0;
}

void kgen_timed_close(struct kgen_timed *timed)
{
    for (size_t i = 0; i < KGEN_BUFFERS_MAX && timed->buffers != NULL; i++)
        timed->buffers->device->deallocate(KGEN_MEMORY_SMALL, timed->own[i], 0);
    memset(timed, 0, sizeof *timed);
}

static void point_at_next_copy(void *context, struct kgen_arguments *arguments)
{
    struct kgen_timed *timed = context;
    kgen_timing_buffers_point(timed->buffers, timed->next_copy++, arguments);
}

static double cold_sample(struct kgen_timed *timed)
{
    double prepare_seconds;
    const struct kgen_timed_calls calls = {.kernel = &timed->kernel,
                                           .arguments = &timed->arguments,
                                           .next = point_at_next_copy,
                                           .context = timed,
                                           .count = timed->batch,
                                           .team = timed->team};
    return timed->buffers->device->time(&calls, &prepare_seconds) / timed->batch;
}

/* A hot sample may run few of the rows and scale their time to all rows. The time of prepare is not scaled.
 */
static double hot_sample(struct kgen_timed *timed)
{
    double prepare_seconds;
    const struct kgen_timed_calls calls = {.kernel = &timed->hot_kernel,
                                           .arguments = &timed->arguments,
                                           .count = timed->batch,
                                           .prepare_once = timed->hot_scale > 1,
                                           .team = timed->team};
    kgen_timing_buffers_point(timed->buffers, 0, &timed->arguments);
    const double seconds = timed->buffers->device->time(&calls, &prepare_seconds);
    return prepare_seconds + (seconds - prepare_seconds) / timed->batch * timed->hot_scale;
}

double kgen_timed_sample(struct kgen_timed *timed, bool cold)
{
    return cold ? cold_sample(timed) : hot_sample(timed);
}

static int compare_doubles(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

double kgen_median(double *values, size_t count)
{
    if (count == 0)
        return 0;
    qsort(values, count, sizeof *values, compare_doubles);
    return count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

double kgen_noise(double *values, size_t count)
{
    const double median = kgen_median(values, count);
    if (count < 4 || median <= 0)
        return 0;
    return (values[count - 1 - count / 4] - values[count / 4]) / median;
}

double kgen_timing_cost(bool cold, double cold_seconds, double hot_seconds, double read_seconds)
{
    if (!cold)
        return hot_seconds;
    return (cold_seconds + 0.2 * hot_seconds) / (read_seconds > 0 ? read_seconds : 1);
}

/* Samples of a kernel, and of the reader in turns with it. */
struct samples {
    double kernel[MOST_SAMPLES], read[MOST_SAMPLES];
    unsigned count;
};

static bool is_hopeless(const struct samples *samples, double hopeless_cost)
{
    if (samples->count != 2 || hopeless_cost <= 0)
        return false;
    return kgen_timing_cost(true, samples->kernel[0], 0, samples->read[0]) > hopeless_cost &&
           kgen_timing_cost(true, samples->kernel[1], 0, samples->read[1]) > hopeless_cost;
}

static void take_samples(struct kgen_timed *timed, bool cold, struct kgen_reader *reader,
                         const struct kgen_timing_limits *limits, struct samples *samples)
{
    const struct kgen_timing_buffers *buffers = timed->buffers;
    const unsigned most = limits->most_repeats < MOST_SAMPLES ? limits->most_repeats : MOST_SAMPLES;
    const double start = kgen_clock();
    samples->count = 0;
    while (samples->count < most &&
           (samples->count < limits->least_repeats || kgen_clock() - start < limits->least_seconds)) {
        samples->read[samples->count] = 0;
        if (reader != NULL)
            samples->read[samples->count] =
                kgen_reader_pass(reader, kgen_timing_buffers_copy(buffers, timed->next_copy++),
                                 buffers->copy_bytes, timed->team);
        samples->kernel[samples->count++] = kgen_timed_sample(timed, cold);
        if (is_hopeless(samples, limits->hopeless_cost))
            break;
    }
}

/* The noise of the samples as they were taken. */
static double noise_of(const struct samples *samples)
{
    double seconds[MOST_SAMPLES];
    memcpy(seconds, samples->kernel, samples->count * sizeof *seconds);
    return kgen_noise(seconds, samples->count);
}

void kgen_timed_measure(struct kgen_timed *timed, const struct kgen_timing_limits *limits,
                        struct kgen_reader *reader, struct kgen_timing *timing)
{
    const bool cold_counts = kgen_timing_is_cold(&timed->kernel.problem);
    /* The time that does not count is taken with few samples. */
    const struct kgen_timing_limits brief = {3, 0.0005, 25, 0};
    struct samples samples;
    take_samples(timed, true, cold_counts ? reader : NULL, cold_counts ? limits : &brief, &samples);
    timing->repeats = samples.count;
    timing->noise = noise_of(&samples);
    /* The memory may change its speed between samples by more than kernels differ, so each sample is divided
     * by the reading next to it. */
    for (unsigned i = 0; i < samples.count && cold_counts && reader != NULL; i++)
        samples.kernel[i] /= samples.read[i];
    timing->cold_seconds = kgen_median(samples.kernel, samples.count);
    timing->read_seconds = kgen_median(samples.read, samples.count);
    if (cold_counts && reader != NULL)
        timing->cold_seconds *= timing->read_seconds;
    take_samples(timed, false, NULL, cold_counts ? &brief : limits, &samples);
    if (!cold_counts) {
        timing->repeats = samples.count;
        timing->noise = noise_of(&samples);
    }
    timing->hot_seconds = kgen_median(samples.kernel, samples.count);
}
