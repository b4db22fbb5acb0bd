/* SPDX-License-Identifier: MIT */
/* Shared by worker.c and worker_child.c: the memory that parent and child share, and the child's functions.
 */
#ifndef KGEN_WORKER_CHILD_H
#define KGEN_WORKER_CHILD_H

#include "gen/base/clock.h"
#include "runtime/process/worker.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <sys/types.h>

/* Lies in memory that parent and child share, followed by the result. The parent writes to it only while the
 * child waits for a job. */
struct kgen_worker_shared {
    _Atomic int64_t deadline; /* of the stage, on kgen_clock_nanoseconds */
    char stage[24];
    /* Written by the child's signal handler. */
    volatile int signal;
    volatile bool fault, fault_is_write;
    volatile uintptr_t fault_address;
    struct kgen_guard_list guards;
    alignas(64) unsigned char result[];
};

struct kgen_worker {
    struct kgen_worker_shared *shared;
    size_t number;
    int socket; /* the child receives the index of a job and sends one byte when the job is done */
};

struct kgen_worker_job {
    kgen_job *run;
    void *context;
    size_t memory_bytes;
};

/* Runs the child: set-up, then jobs until the socket is closed. parent is the process that forked it. */
_Noreturn void kgen_worker_child(struct kgen_worker *worker, pid_t parent, const struct kgen_worker_job *job);

#endif
