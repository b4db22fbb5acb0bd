/* SPDX-License-Identifier: MIT */
/* The processor's counters of events, where the system lets this process read them: perf_event_open of Linux.
 */
#ifndef KGEN_COUNTERS_H
#define KGEN_COUNTERS_H

#include "gen/base/base.h"

enum kgen_counter {
    KGEN_COUNTER_CYCLES,
    KGEN_COUNTER_INSTRUCTIONS,
    KGEN_COUNTER_CACHE_MISSES, /* of the last-level cache */
    KGEN_COUNTER_COUNT
};

/* Counts events of the calling thread, and of threads that it makes after opening, outside of the kernel. */
struct kgen_counters {
    int files[KGEN_COUNTER_COUNT]; /* -1: this one is not counted */
    char reason[160];              /* why one that is not counted is not; "" where all are */
};

/* What was counted: events, or -1 for a counter that did not count. Where there are more counters than the
 * processor has at once, each value is scaled up from the time in which it counted. */
struct kgen_counts {
    double values[KGEN_COUNTER_COUNT];
};

/* "cycles", "instructions", "cache_misses". */
const char *kgen_counter_name(enum kgen_counter counter);

/* Opens what may be opened, stopped and at 0. Returns how many count. Plain data: it may lie in memory shared
 * with other processes. */
int kgen_counters_open(struct kgen_counters *counters);
void kgen_counters_close(struct kgen_counters *counters);
/* From start to stop events are added up, which may be done several times. */
void kgen_counters_start(struct kgen_counters *counters);
void kgen_counters_stop(struct kgen_counters *counters);
void kgen_counters_read(const struct kgen_counters *counters, struct kgen_counts *counts);

#endif
