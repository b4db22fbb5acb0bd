/* SPDX-License-Identifier: MIT */
/* Worker processes: jobs that may crash, hang or exit run in a child, one after another; a job that breaks
 * its child costs that job alone, and a new child goes on with the next. */
#ifndef KGEN_WORKER_H
#define KGEN_WORKER_H

#include "gen/base/base.h"

enum kgen_guard_kind {
    KGEN_GUARD_NONE,
    KGEN_GUARD_BEFORE,   /* pages before a buffer that may not be touched */
    KGEN_GUARD_BEHIND,   /* pages behind it */
    KGEN_GUARD_READ_ONLY /* the pages of a buffer that may only be read */
};

/* Guard pages, noted in memory shared with the parent, so that it can name the buffer a fault hit. */
struct kgen_guard {
    enum kgen_guard_kind kind;
    uintptr_t begin, end;
    char buffer[24]; /* the name of the buffer they guard */
};
struct kgen_guard_list {
    volatile unsigned count;
    struct kgen_guard items[32];
};

enum kgen_outcome_kind {
    KGEN_OUTCOME_DONE,      /* the job returned; its result is valid */
    KGEN_OUTCOME_SIGNAL,    /* the child died of a signal */
    KGEN_OUTCOME_TIMED_OUT, /* the child was killed after its limit */
    KGEN_OUTCOME_EXITED     /* the child ended by itself within the job */
};

/* How a job ended, and what is known of it. */
struct kgen_outcome {
    enum kgen_outcome_kind kind;
    int signal;          /* KGEN_OUTCOME_SIGNAL */
    int exit_status;     /* KGEN_OUTCOME_EXITED */
    bool fault;          /* the signal was a memory fault at fault_address */
    bool fault_is_write; /* false as well where the processor does not tell */
    uintptr_t fault_address;
    const char *guarded_buffer; /* the buffer whose guard it hit, or NULL; valid during the report */
    enum kgen_guard_kind guard_kind;
    size_t guard_distance; /* bytes from the buffer to the address; 0 is the first byte outside */
    char stage[24];        /* what the job last said it was doing */
};

/* Whether a cancel flag (may be NULL) is up. Another thread or a signal handler may raise it at any time. */
static inline bool kgen_is_cancelled(const volatile int *cancel)
{
    return cancel != NULL && __atomic_load_n(cancel, __ATOMIC_RELAXED) != 0;
}

struct kgen_worker;

/* Runs in the child. result is shared memory of result_bytes, zeroed before the job. */
typedef void kgen_job(size_t index, void *result, struct kgen_worker *worker, void *context);
/* Runs in the parent, in the order of the jobs. result is what the job wrote, as far as it came. Returns 0 to
 * go on, anything else to stop. */
typedef int kgen_job_report(size_t index, const struct kgen_outcome *outcome, const void *result,
                            void *context);

/* In the child: says what the job is doing, and starts its time limit anew, in seconds. */
void kgen_worker_stage(struct kgen_worker *worker, const char *stage, double limit_seconds);
struct kgen_guard_list *kgen_worker_guards(struct kgen_worker *worker);

struct kgen_worker_options {
    double limit_seconds;       /* for a stage, until the job sets its own */
    size_t memory_bytes;        /* address space a child may add; 0: no limit */
    const volatile int *cancel; /* NULL, or becomes not 0 to stop */
};

/* Runs jobs 0 to count-1. A child is a fork of the caller: a job sees the caller's memory as it was when its
 * child was made (at the first job, or after one that failed), and what it changes stays its own. In the
 * child stdin and stdout are /dev/null, other files than stderr are closed, signals have their default
 * actions, no core is dumped, and the death of the calling thread ends it. It is a process group of its own,
 * killed as a whole: what it starts goes with it.
 *
 * Returns 0 when all were reported, 1 when stopped by cancel or by a report, -1 when no child could be made.
 * Leaves no child and no signal handler behind. */
int kgen_workers_run(const struct kgen_worker_options *options, size_t count, size_t result_bytes,
                     kgen_job *job, kgen_job_report *report, void *context, struct kgen_error *error);

#endif
