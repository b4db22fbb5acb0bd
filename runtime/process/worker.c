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

struct child {
    struct kgen_worker_shared *shared;
    size_t number;
    pid_t pid; /* 0 where there is none */
    int socket;
    bool busy;
    size_t index; /* of its job */
};

struct pool {
    const struct kgen_worker_options *options;
    struct kgen_worker_job job;
    size_t result_bytes;
    struct child children[KGEN_WORKERS_MAX];
    size_t count; /* of the children */
    kgen_job_report *report;
};

static bool is_cancelled(const struct pool *pool)
{
    return kgen_is_cancelled(pool->options->cancel);
}

static int child_start(const struct pool *pool, struct child *child, struct kgen_error *error)
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
    pid_t pid = fork();
    int fork_errno = errno;
    if (pid == 0) {
        close(sockets[0]);
        struct kgen_worker worker = {child->shared, child->number, sockets[1]};
        kgen_worker_child(&worker, parent, &pool->job);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(sockets[1]);
    if (pid < 0) {
        close(sockets[0]);
        return kgen_error_set(error, KGEN_ERROR_IO, NULL, 0, 0, "cannot make a worker process: %s",
                              strerror(fork_errno));
    }
    setpgid(pid, pid); /* the child does the same: either may run first */
    child->pid = pid;
    child->socket = sockets[0];
    return 0;
}

/* Waits until the child has ended, and reaps it. Returns its wait status; -1 where the host has reaped it. */
static int child_reap(struct child *child)
{
    siginfo_t information;
    while (waitid(P_PID, (id_t)child->pid, &information, WEXITED | WNOWAIT) != 0 && errno == EINTR)
        continue;
    kill(-child->pid, SIGKILL); /* processes that it started; its id is not reused before waitpid */
    int status;
    if (waitpid(child->pid, &status, 0) != child->pid)
        status = -1;
    close(child->socket);
    child->pid = 0;
    return status;
}

static void child_kill(struct child *child)
{
    if (child->pid == 0)
        return;
    kill(child->pid, SIGKILL);
    child_reap(child);
}

/* Sends the index of its job to the child. Returns false where the child has ended. */
static bool child_send(const struct pool *pool, struct child *child)
{
    struct kgen_worker_shared *shared = child->shared;
    memset(shared, 0, sizeof *shared + pool->result_bytes);
    atomic_store(&shared->deadline, kgen_clock_nanoseconds() + (int64_t)(pool->options->limit_seconds * 1e9));
    ssize_t sent;
    do {
        sent = send(child->socket, &child->index, sizeof child->index, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)sizeof child->index;
}

/* Gives a job to the child. Returns -1 when no child could be made. */
static int child_begin(const struct pool *pool, struct child *child, size_t index, struct kgen_error *error)
{
    child->index = index;
    child->busy = true;
    /* The child may have ended after its last job; a new one is made then. */
    if (child->pid != 0 && !child_send(pool, child))
        child_kill(child);
    if (child->pid == 0) {
        if (child_start(pool, child, error) != 0)
            return -1;
        child_send(pool, child); /* where the child has ended already, waiting for it tells */
    }
    return 0;
}

enum waited { WAITED_DONE, WAITED_ENDED, WAITED_TIME_OUT, WAITED_CANCEL };

static int64_t nanoseconds_left(const struct child *child)
{
    return atomic_load(&child->shared->deadline) - kgen_clock_nanoseconds();
}

/* The time until the first limit of a busy child, or until the cancel flag is read again. */
static int milliseconds_to_wait(const struct pool *pool)
{
    int64_t least = CANCEL_MILLISECONDS;
    for (size_t i = 0; i < pool->count; i++) {
        if (!pool->children[i].busy)
            continue;
        const int64_t left = nanoseconds_left(&pool->children[i]);
        const int64_t milliseconds = left > 0 ? left / 1000000 + 1 : 0;
        least = milliseconds < least ? milliseconds : least;
    }
    return (int)least;
}

/* Waits until the job of a child ends, of which at least one is busy. */
static enum waited wait_for_one(struct pool *pool, struct child **ended)
{
    for (;;) {
        if (is_cancelled(pool))
            return WAITED_CANCEL;
        struct pollfd watched[KGEN_WORKERS_MAX];
        for (size_t i = 0; i < pool->count; i++)
            watched[i] = (struct pollfd){.fd = pool->children[i].busy ? pool->children[i].socket : -1,
                                         .events = POLLIN};
        const int ready = poll(watched, (nfds_t)pool->count, milliseconds_to_wait(pool));
        for (size_t i = 0; i < pool->count; i++) {
            struct child *child = *ended = &pool->children[i];
            if (ready > 0 && watched[i].revents != 0) {
                char byte;
                const ssize_t length = recv(child->socket, &byte, 1, 0);
                if (length < 0 && errno == EINTR)
                    continue;
                return length == 1 ? WAITED_DONE : WAITED_ENDED;
            }
            if (ready == 0 && child->busy && nanoseconds_left(child) <= 0)
                return WAITED_TIME_OUT;
        }
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

/* Waits for the end of a job, and reports it. Returns 1 when stopped by cancel or by the report. */
static int finish_one(struct pool *pool)
{
    struct kgen_outcome outcome = {.kind = KGEN_OUTCOME_DONE};
    struct child *child;
    switch (wait_for_one(pool, &child)) {
    case WAITED_CANCEL:
        return 1;
    case WAITED_TIME_OUT:
        child_kill(child);
        outcome.kind = KGEN_OUTCOME_TIMED_OUT;
        break;
    case WAITED_ENDED:
        outcome_of_end(&outcome, child->shared, child_reap(child));
        break;
    case WAITED_DONE:
        break;
    }
    child->busy = false;
    outcome.worker = child->number;
    snprintf(outcome.stage, sizeof outcome.stage, "%.*s", (int)sizeof outcome.stage - 1,
             child->shared->stage);
    return pool->report(child->index, &outcome, child->shared->result, pool->job.context) != 0 ? 1 : 0;
}

static int run_jobs(struct pool *pool, size_t count, struct kgen_error *error)
{
    size_t begun = 0, reported = 0;
    while (reported < count) {
        for (size_t i = 0; i < pool->count && begun < count; i++) {
            if (pool->children[i].busy)
                continue;
            if (is_cancelled(pool))
                return 1;
            if (child_begin(pool, &pool->children[i], begun++, error) != 0)
                return -1;
        }
        if (finish_one(pool) != 0)
            return 1;
        reported++;
    }
    return 0;
}

int kgen_workers_run(const struct kgen_worker_options *options, size_t count, size_t result_bytes,
                     kgen_job *job, kgen_job_report *report, void *context, struct kgen_error *error)
{
    struct pool pool = {
        .options = options,
        .job = {job, context, options->memory_bytes},
        .result_bytes = result_bytes,
        .count = options->workers > KGEN_WORKERS_MAX ? KGEN_WORKERS_MAX : options->workers,
        .report = report,
    };
    pool.count = pool.count == 0 ? 1 : pool.count;
    /* The memory of each child begins in a page of its own. */
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t shared_bytes = (sizeof(struct kgen_worker_shared) + result_bytes + page - 1) / page * page;
    unsigned char *shared =
        mmap(NULL, shared_bytes * pool.count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory for a result of %zu bytes",
                              result_bytes);
    for (size_t i = 0; i < pool.count; i++) {
        pool.children[i].number = i;
        pool.children[i].shared = (struct kgen_worker_shared *)(void *)(shared + i * shared_bytes);
    }
    const int status = run_jobs(&pool, count, error);
    for (size_t i = 0; i < pool.count; i++)
        child_kill(&pool.children[i]);
    munmap(shared, shared_bytes * pool.count);
    return status;
}
