/* SPDX-License-Identifier: MIT */
/* Timing one kernel, cold (each call on inputs no cache holds) and hot (each call on the same inputs). */
#ifndef KGEN_TIMING_H
#define KGEN_TIMING_H

#include "reader.h"
#include "timing_buffers.h"

struct kgen_timing {
    double cold_seconds, hot_seconds; /* medians of one call, prepare included */
    double read_seconds; /* median of merely reading the same cold bytes, in turns with the calls; 0 without a
                            reader */
    unsigned repeats;    /* of the measurement that counts */
};

struct kgen_timing_limits {
    unsigned least_repeats; /* at least so many samples ... */
    double least_seconds;   /* ... and until so much time is spent ... */
    unsigned most_repeats;  /* ... but no more than this */
    double hopeless_cost;   /* stop after two samples when the cost of both is greater; 0: never */
};

/* Everything a kernel needs to be timed. */
struct kgen_timed {
    struct kgen_kernel kernel;
    struct kgen_arguments arguments;
    const struct kgen_timing_buffers *buffers;
    size_t next_copy;
    struct kgen_team *team; /* borrowed; NULL for one thread */
    unsigned batch;         /* calls a sample, so that a sample is long against the clock */
};

/* Seconds of a monotonic clock. */
double kgen_clock(void);

/* Whether the time that counts for a problem is the cold one: where it reads weights. Activations are still
 * in cache when the next op of a decode step reads them. */
bool kgen_timing_is_cold(const struct kgen_problem *problem);

/* Allocates outputs and workspace, and runs the kernel a few times. team (NULL for one thread) is used where
 * the problem asks for several threads, and must outlive timed. Call it in a worker process: the kernel may
 * be bad. */
int kgen_timed_open(struct kgen_timed *timed, const struct kgen_kernel *kernel,
                    const struct kgen_timing_buffers *buffers, struct kgen_team *team,
                    struct kgen_error *error);
void kgen_timed_close(struct kgen_timed *timed);
/* One sample: seconds of one call. */
double kgen_timed_sample(struct kgen_timed *timed, bool cold);
/* Samples until the limits are met. reader may be NULL. */
void kgen_timed_measure(struct kgen_timed *timed, const struct kgen_timing_limits *limits,
                        struct kgen_reader *reader, struct kgen_timing *timing);

/* What candidates of one problem are ranked by: cold_seconds over read_seconds where both are known, so that
 * the memory may be faster at one moment than at another; else seconds. */
double kgen_timing_cost(bool cold, double seconds, double read_seconds);

/* The median; sorts the values. */
double kgen_median(double *values, size_t count);

#endif
