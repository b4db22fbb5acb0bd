/* SPDX-License-Identifier: MIT */
#include "timing.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A sample shorter than this says more about the clock than about the kernel. */
static const double shortest_sample = 20e-6;

enum { MOST_SAMPLES = 1000, WORKSPACE_ALIGNMENT = 64 };

double kgen_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

bool kgen_timing_is_cold(const struct kgen_problem *problem)
{
    return problem->op == KGEN_OP_QMV || problem->op == KGEN_OP_DEQUANTIZE;
}

static void *allocate(size_t bytes)
{
    const size_t rounded = (bytes + WORKSPACE_ALIGNMENT - 1) / WORKSPACE_ALIGNMENT * WORKSPACE_ALIGNMENT;
    void *memory = aligned_alloc(WORKSPACE_ALIGNMENT, rounded);
    if (memory != NULL)
        memset(memory, 0, rounded);
    return memory;
}

int kgen_timed_open(struct kgen_timed *timed, const struct kgen_kernel *kernel,
                    const struct kgen_timing_buffers *buffers, struct kgen_team *team,
                    struct kgen_error *error)
{
    memset(timed, 0, sizeof *timed);
    timed->kernel = *kernel;
    timed->buffers = buffers;
    timed->team = kernel->problem.threads > 1 ? team : NULL;
    timed->arguments.position = 1000;
    timed->batch = 1;
    size_t sizes[KGEN_BUFFER_COUNT];
    kgen_operation_sizes(&kernel->problem, sizes);
    sizes[KGEN_BUFFER_WORKSPACE] = kernel->workspace_bytes;
    static const enum kgen_buffer own[] = {KGEN_BUFFER_Y, KGEN_BUFFER_RESIDUAL, KGEN_BUFFER_WORKSPACE};
    for (size_t i = 0; i < KGEN_COUNT_OF(own); i++) {
        if (sizes[own[i]] == 0)
            continue;
        timed->arguments.buffers[own[i]] = allocate(sizes[own[i]]);
        if (timed->arguments.buffers[own[i]] == NULL) {
            kgen_timed_close(timed);
            return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
        }
    }
    kgen_timed_sample(timed, true); /* starts the threads and touches the outputs */
    const double seconds = kgen_timed_sample(timed, false);
    if (seconds < shortest_sample)
        timed->batch = (unsigned)(shortest_sample / (seconds + 1e-9)) + 1;
    return 0;
}

void kgen_timed_close(struct kgen_timed *timed)
{
    free(timed->arguments.buffers[KGEN_BUFFER_Y]);
    free(timed->arguments.buffers[KGEN_BUFFER_RESIDUAL]);
    free(timed->arguments.buffers[KGEN_BUFFER_WORKSPACE]);
    memset(timed, 0, sizeof *timed);
}

double kgen_timed_sample(struct kgen_timed *timed, bool cold)
{
    if (!cold)
        kgen_timing_buffers_point(timed->buffers, 0, &timed->arguments);
    const double start = kgen_clock();
    for (unsigned i = 0; i < timed->batch; i++) {
        if (cold)
            kgen_timing_buffers_point(timed->buffers, timed->next_copy++, &timed->arguments);
        kgen_kernel_run_team(&timed->kernel, &timed->arguments, timed->team);
    }
    return (kgen_clock() - start) / timed->batch;
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

static double measure(struct kgen_timed *timed, bool cold, const struct kgen_timing_limits *limits,
                      unsigned *repeats)
{
    double samples[MOST_SAMPLES];
    unsigned count = 0;
    const unsigned most = limits->most_repeats < MOST_SAMPLES ? limits->most_repeats : MOST_SAMPLES;
    const double start = kgen_clock();
    while (count < most && (count < limits->least_repeats || kgen_clock() - start < limits->least_seconds)) {
        samples[count++] = kgen_timed_sample(timed, cold);
        if (count == 2 && limits->hopeless_seconds > 0 && samples[0] > limits->hopeless_seconds &&
            samples[1] > limits->hopeless_seconds)
            break;
    }
    *repeats = count;
    return kgen_median(samples, count);
}

void kgen_timed_measure(struct kgen_timed *timed, const struct kgen_timing_limits *limits,
                        struct kgen_timing *timing)
{
    const bool cold_counts = kgen_timing_is_cold(&timed->kernel.problem);
    /* The time that does not count is taken with few samples. */
    const struct kgen_timing_limits brief = {1, 0.001, 3, 0};
    unsigned unused;
    unsigned *cold_repeats = cold_counts ? &timing->repeats : &unused;
    unsigned *hot_repeats = cold_counts ? &unused : &timing->repeats;
    timing->cold_seconds = measure(timed, true, cold_counts ? limits : &brief, cold_repeats);
    timing->hot_seconds = measure(timed, false, cold_counts ? &brief : limits, hot_repeats);
}
