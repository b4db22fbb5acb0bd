/* SPDX-License-Identifier: MIT */
/* Timing one kernel, cold (each call on inputs no cache holds) and hot (each call on the same inputs). */
#ifndef KGEN_TIMING_H
#define KGEN_TIMING_H

#include "gen/base/clock.h"
#include "runtime/tune/reader.h"
#include "runtime/tune/timing_buffers.h"

struct kgen_timing {
    double cold_seconds, hot_seconds; /* medians of one call, prepare included */
    double read_seconds; /* median of merely reading the same cold bytes, in turns with the calls; 0 without a
                            reader */
    unsigned repeats;    /* of the measurement that counts */
    double noise;        /* of its samples, see kgen_noise */
};

struct kgen_timing_limits {
    unsigned least_repeats; /* at least so many samples ... */
    double least_seconds;   /* ... and until so much time is spent ... */
    unsigned most_repeats;  /* ... but no more than this */
    double hopeless_cost;   /* stop after two samples when the cost of both is greater; 0: never */
};

/* A kernel with its buffers and threads, ready to be timed. */
struct kgen_timed {
    struct kgen_kernel kernel;
    struct kgen_kernel hot_kernel; /* of so few rows that their weights stay in cache */
    double hot_scale;              /* rows of kernel over rows of hot_kernel */
    struct kgen_arguments arguments;
    void *own[KGEN_BUFFERS_MAX]; /* of the arguments, those that are owned */
    const struct kgen_timing_buffers *buffers;
    size_t next_copy;
    struct kgen_team *team; /* borrowed; NULL for one thread */
    unsigned batch;         /* calls a sample, so that a sample is long against the clock */
};

/* Whether a problem is ranked by its cold time: that is so where it reads weights, or a state, such as the
 * caches of one layer, which all other layers have pushed out of cache since the step before. Activations are
 * still in cache when the next op of a decode step reads them. */
bool kgen_timing_is_cold(const struct kgen_problem *problem);

/* Allocates outputs and workspace, and runs the kernel a few times. team (NULL for one thread) is used where
 * the problem asks for several threads, and must outlive timed. Call it in a worker process: the kernel may
 * be bad. */
int kgen_timed_open(struct kgen_timed *timed, const struct kgen_kernel *kernel,
                    const struct kgen_timing_buffers *buffers, struct kgen_team *team,
                    struct kgen_error *error);
void kgen_timed_close(struct kgen_timed *timed);
/* One sample: seconds of one call. Hot weights that no cache holds are timed on as many rows as stay in
 * cache, and scaled. */
double kgen_timed_sample(struct kgen_timed *timed, bool cold);
/* Samples until the limits are met. reader may be NULL. */
void kgen_timed_measure(struct kgen_timed *timed, const struct kgen_timing_limits *limits,
                        struct kgen_reader *reader, struct kgen_timing *timing);

/* The cost by which candidates of one problem are ranked. Where cold is false: the hot time. Else the cold
 * time plus a fifth of the hot time, over the time of reading alone where that is known. Over reading alone,
 * because the memory may be faster at one moment than at another. A share of the hot time, because candidates
 * that are all as fast as the memory still differ in what they compute, and the one that computes less is
 * faster when the memory is faster. */
double kgen_timing_cost(bool cold, double cold_seconds, double hot_seconds, double read_seconds);

/* Times whose samples have more noise than this say little: something else ran on the machine. */
#define KGEN_NOISY 0.5

/* The median; sorts the values. */
double kgen_median(double *values, size_t count);
/* The noise in measurements of one thing: the distance between the quartiles over the median; 0 of fewer than
 * four. Sorts the values. */
double kgen_noise(double *values, size_t count);

#endif
