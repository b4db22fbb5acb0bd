/* SPDX-License-Identifier: MIT */
/* The parent's side of the workers: it gives jobs to one child at a time and enforces time limits. */
#define _GNU_SOURCE /* MAP_ANONYMOUS, SOCK_CLOEXEC */
#include "runtime/process/worker.h"

#include "runtime/process/worker_child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* The cancel flag is read at this interval. */
enum { CANCEL_MILLISECONDS = 50 };

struct pool {
    const struct kgen_worker_options *options;
    struct kgen_worker_job job;
    struct kgen_worker_shared *shared;
    size_t result_bytes;
    pid_t child; /* 0 where there is none */
    int socket;
};

static bool is_cancelled(const struct pool *pool)
{
    return kgen_is_cancelled(pool->options->cancel);
}

static int child_start(struct pool *pool, struct kgen_error *error)
{
    int sockets[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0)
        return kgen_error_set(error, KGEN_ERROR_IO, NULL, 0, 0, "cannot make a socket: %s", strerror(errno));
    /* Signals are blocked until the child has set their default actions, so that no handler of the host runs
     * in the child. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t parent = getpid();
    pid_t child = fork();
    int fork_errno = errno;
    if (child == 0) {
        close(sockets[0]);
        struct kgen_worker worker = {pool->shared, sockets[1]};
        kgen_worker_child(&worker, parent, &pool->job);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(sockets[1]);
    if (child < 0) {
        close(sockets[0]);
        return kgen_error_set(error, KGEN_ERROR_IO, NULL, 0, 0, "cannot make a worker process: %s",
                              strerror(fork_errno));
    }
    setpgid(child, child); /* the child does the same: either may run first */
    pool->child = child;
    pool->socket = sockets[0];
    return 0;
}

/* Waits until the child has ended, and reaps it. Returns its wait status; -1 where the host has reaped it. */
static int child_reap(struct pool *pool)
{
    siginfo_t information;
    while (waitid(P_PID, (id_t)pool->child, &information, WEXITED | WNOWAIT) != 0 && errno == EINTR)
        continue;
    kill(-pool->child, SIGKILL); /* processes that it started; its id is not reused before waitpid */
    int status;
    if (waitpid(pool->child, &status, 0) != pool->child)
        status = -1;
    close(pool->socket);
    pool->child = 0;
    return status;
}

static void child_kill(struct pool *pool)
{
    if (pool->child == 0)
        return;
    kill(pool->child, SIGKILL);
    child_reap(pool);
}

/* Sends the index of a job to the child. Returns false where the child has ended. */
static bool child_send(struct pool *pool, size_t index)
{
    struct kgen_worker_shared *shared = pool->shared;
    memset(shared, 0, sizeof *shared + pool->result_bytes);
    atomic_store(&shared->deadline, kgen_clock_nanoseconds() + (int64_t)(pool->options->limit_seconds * 1e9));
    ssize_t sent;
    do {
        sent = send(pool->socket, &index, sizeof index, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)sizeof index;
}

enum waited { WAITED_DONE, WAITED_ENDED, WAITED_TIME_OUT, WAITED_CANCEL };

static enum waited child_wait(struct pool *pool)
{
    struct pollfd watched = {.fd = pool->socket, .events = POLLIN};
    for (;;) {
        if (is_cancelled(pool))
            return WAITED_CANCEL;
        int64_t left = atomic_load(&pool->shared->deadline) - kgen_clock_nanoseconds();
        int64_t milliseconds = left / 1000000 + 1;
        if (milliseconds > CANCEL_MILLISECONDS)
            milliseconds = CANCEL_MILLISECONDS;
        int ready = poll(&watched, 1, left > 0 ? (int)milliseconds : 0);
        if (ready > 0) {
            char byte;
            ssize_t length = recv(pool->socket, &byte, 1, 0);
            if (length < 0 && errno == EINTR)
                continue;
            return length == 1 ? WAITED_DONE : WAITED_ENDED;
        }
        if (ready == 0 && left <= 0 && atomic_load(&pool->shared->deadline) <= kgen_clock_nanoseconds())
            return WAITED_TIME_OUT;
    }
}

static void outcome_find_guard(struct kgen_outcome *outcome, const struct kgen_guard_list *guards)
{
    unsigned count = guards->count;
    for (unsigned i = 0; i < count && i < KGEN_COUNT_OF(guards->items); i++) {
        const struct kgen_guard *guard = &guards->items[i];
        uintptr_t address = outcome->fault_address;
        if (address < guard->begin || address >= guard->end)
            continue;
        outcome->guarded_buffer = guard->buffer;
        outcome->guard_kind = guard->kind;
        outcome->guard_distance =
            guard->kind == KGEN_GUARD_BEFORE ? guard->end - 1 - address : address - guard->begin;
        return;
    }
}

/* Fills the outcome of a job during which the child ended. */
static void outcome_of_end(struct kgen_outcome *outcome, const struct kgen_worker_shared *shared, int status)
{
    if (status == -1 ? shared->signal != 0 : WIFSIGNALED(status)) {
        outcome->kind = KGEN_OUTCOME_SIGNAL;
        outcome->signal = status == -1 ? shared->signal : WTERMSIG(status);
    } else {
        outcome->kind = KGEN_OUTCOME_EXITED;
        outcome->exit_status = status == -1 ? -1 : WEXITSTATUS(status);
    }
    outcome->fault =
        outcome->kind == KGEN_OUTCOME_SIGNAL && shared->fault && shared->signal == outcome->signal;
    if (outcome->fault) {
        outcome->fault_is_write = shared->fault_is_write;
        outcome->fault_address = shared->fault_address;
        outcome_find_guard(outcome, &shared->guards);
    }
}

/* Runs one job to its end. Returns 0 with its outcome, 1 when cancelled, -1 when no child could be made. */
static int run_job(struct pool *pool, size_t index, struct kgen_outcome *outcome, struct kgen_error *error)
{
    *outcome = (struct kgen_outcome){.kind = KGEN_OUTCOME_DONE};
    /* The child may have ended after its last job; a new one is made then. */
    if (pool->child != 0 && !child_send(pool, index))
        child_kill(pool);
    if (pool->child == 0) {
        if (child_start(pool, error) != 0)
            return -1;
        child_send(pool, index); /* where the child has ended already, child_wait reports it */
    }
    switch (child_wait(pool)) {
    case WAITED_CANCEL:
        child_kill(pool);
        return 1;
    case WAITED_TIME_OUT:
        child_kill(pool);
        outcome->kind = KGEN_OUTCOME_TIMED_OUT;
        break;
    case WAITED_ENDED:
        outcome_of_end(outcome, pool->shared, child_reap(pool));
        break;
    case WAITED_DONE:
        break;
    }
    snprintf(outcome->stage, sizeof outcome->stage, "%.*s", (int)sizeof outcome->stage - 1,
             pool->shared->stage);
    return 0;
}

int kgen_workers_run(const struct kgen_worker_options *options, size_t count, size_t result_bytes,
                     kgen_job *job, kgen_job_report *report, void *context, struct kgen_error *error)
{
    struct pool pool = {
        .options = options,
        .job = {job, context, options->memory_bytes},
        .result_bytes = result_bytes,
    };
    size_t shared_bytes = sizeof *pool.shared + result_bytes;
    pool.shared = mmap(NULL, shared_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (pool.shared == MAP_FAILED)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory for a result of %zu bytes",
                              result_bytes);
    int status = 0;
    for (size_t index = 0; status == 0 && index < count; index++) {
        struct kgen_outcome outcome;
        status = is_cancelled(&pool) ? 1 : run_job(&pool, index, &outcome, error);
        if (status == 0 && report(index, &outcome, pool.shared->result, context) != 0)
            status = 1;
    }
    child_kill(&pool);
    munmap(pool.shared, shared_bytes);
    return status;
}
