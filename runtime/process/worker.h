/* SPDX-License-Identifier: MIT */
/* Worker processes. Jobs that may crash, hang or exit run in a child process, one after another, or in
 * several beside each other. A job that ends its child is reported as such, and a new child runs the next
 * job. */
#ifndef KGEN_WORKER_H
#define KGEN_WORKER_H

#include "gen/base/base.h"

enum kgen_guard_kind {
    KGEN_GUARD_NONE,
    KGEN_GUARD_BEFORE,   /* pages before a buffer that may not be touched */
    KGEN_GUARD_BEHIND,   /* pages behind it */
    KGEN_GUARD_READ_ONLY /* the pages of a buffer that may only be read */
};

/* Guard pages. They are listed in memory shared with the parent, which names the buffer that a fault hit. */
struct kgen_guard {
    enum kgen_guard_kind kind;
    uintptr_t begin, end;
    char buffer[24]; /* the name of the buffer that the pages guard */
};
struct kgen_guard_list {
    volatile unsigned count;
    struct kgen_guard items[32];
};

enum kgen_outcome_kind {
    KGEN_OUTCOME_DONE,      /* the job returned; its result is valid */
    KGEN_OUTCOME_SIGNAL,    /* the child died of a signal */
    KGEN_OUTCOME_TIMED_OUT, /* the child was killed after its limit */
    KGEN_OUTCOME_EXITED     /* the child called exit during the job */
};

#define KGEN_WORKERS_MAX 4

/* How a job ended. */
struct kgen_outcome {
    enum kgen_outcome_kind kind;
    size_t worker;       /* kgen_worker_number of the child that ran it */
    int signal;          /* KGEN_OUTCOME_SIGNAL */
    int exit_status;     /* KGEN_OUTCOME_EXITED */
    bool fault;          /* the signal was a memory fault at fault_address */
    bool fault_is_write; /* false also where the processor does not report it */
    uintptr_t fault_address;
    const char *guarded_buffer; /* the buffer whose guard was hit, or NULL; valid during the report */
    enum kgen_guard_kind guard_kind;
    size_t guard_distance; /* bytes from the buffer to the address; 0 is the first byte outside */
    char stage[24];        /* the job's last kgen_worker_stage */
};

/* Whether a cancel flag (may be NULL) is set. Another thread or a signal handler may set it at any time. */
static inline bool kgen_is_cancelled(const volatile int *cancel)
{
    return cancel != NULL && __atomic_load_n(cancel, __ATOMIC_RELAXED) != 0;
}

struct kgen_worker;

/* Runs in the child. result is shared memory of result_bytes, zeroed before the job. */
typedef void kgen_job(size_t index, void *result, struct kgen_worker *worker, void *context);
/* Runs in the parent when a job has ended; with one child in the order of the jobs. result is what the job
 * has written, complete or not. Returns 0 to go on, anything else to stop. */
typedef int kgen_job_report(size_t index, const struct kgen_outcome *outcome, const void *result,
                            void *context);

/* In the child: names the stage that the job begins, and restarts its time limit, in seconds. */
void kgen_worker_stage(struct kgen_worker *worker, const char *stage, double limit_seconds);
struct kgen_guard_list *kgen_worker_guards(struct kgen_worker *worker);
/* In the child: which of the children that run at once it is, from 0. One that ends is followed by one of the
 * same number. */
size_t kgen_worker_number(const struct kgen_worker *worker);

struct kgen_worker_options {
    double limit_seconds;       /* of the first stage, until the job begins another */
    size_t memory_bytes;        /* address space that a child may add to the parent's; 0: no limit */
    const volatile int *cancel; /* NULL, or becomes not 0 to stop */
    size_t workers;             /* children that run at once, at most KGEN_WORKERS_MAX; 0: one */
};

/* Runs jobs 0 to count-1, begun in this order. A child is a fork of the caller: a job sees the caller's
 * memory as it was when its child was made (at the first job, or after one that failed), and its changes are
 * not seen by the caller. In the child stdin and stdout are /dev/null, other files than stderr are closed,
 * signals have their default actions, and no core is dumped. The child ends when the calling thread ends. It
 * has a process group of its own, which is killed with it.
 *
 * Returns 0 when all were reported, 1 when stopped by cancel or by a report, -1 when no child could be made.
 * No child and no signal handler remains. */
int kgen_workers_run(const struct kgen_worker_options *options, size_t count, size_t result_bytes,
                     kgen_job *job, kgen_job_report *report, void *context, struct kgen_error *error);

#endif
