/* SPDX-License-Identifier: MIT */
/* One variant, compiled, proven and timed by itself; no record is kept. For people who write templates. */
#ifndef KGEN_TUNE_ONCE_H
#define KGEN_TUNE_ONCE_H

#include "gen/target/variant.h"
#include "runtime/jit/jit.h"
#include "runtime/machine/machine.h"
#include "runtime/process/counters.h"
#include "runtime/prove/verify.h"
#include "runtime/tune/timing.h"

struct kgen_once_options {
    const struct kgen_machine *machine;
    const struct kgen_templates *templates; /* of which the reader is one; borrowed */
    enum kgen_engine engine;
    int threads; /* of the proof; the timing has those of the problem */
    uint64_t seed;
    const volatile int *cancel; /* NULL, or becomes not 0 to stop */
};

/* Plain data. */
struct kgen_once {
    struct kgen_verification verification;
    double compile_seconds;
    bool timed; /* false where the proof failed */
    /* Medians. read_seconds is of reading the bytes of a call once, cold, for any op. */
    struct kgen_timing timing;
    double hot_read_seconds; /* of reading the same bytes where a cache holds them: 512 KiB at most, scaled */
    double read_bytes;       /* that both read */
    /* Events of one call, cold where kgen_timing_is_cold, else hot; counters says why there are none. Threads
     * that wait for others count as well. */
    bool counted_cold;
    struct kgen_counters counters; /* closed; its reason holds */
    struct kgen_counts counts;
};

/* Does so in a worker process, and lets nothing else measure at the same time. What is wrong with the kernel
 * is in once->verification. Returns 0; 1 when cancelled; -1 on an error. */
int kgen_once_run(const struct kgen_once_options *options, const struct kgen_problem *problem,
                  const struct kgen_variant *variant, struct kgen_once *once, struct kgen_error *error);

#endif
