/* SPDX-License-Identifier: MIT */
/* Worker processes: every way a job can end is told apart, and costs that job alone. */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/process/guard_buffer.h"
#include "runtime/process/worker.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A limit in seconds that no job meets, however busy the machine is. */
#define UNREACHED 120

enum what {
    RETURN,
    EXIT_3,
    EXIT_0,
    ABORT,
    NULL_READ,
    NULL_WRITE,
    ILLEGAL,
    STAGE_HANG,
    PAST_END_READ,
    PAST_END_WRITE,
    BEFORE_START_WRITE,
    READ_ONLY_WRITE,
    STACK_OVERFLOW,
    TOO_MUCH_MEMORY,
    TERMINATE,
    HOST_HANDLER
};

struct shared_result {
    int value;
    pid_t process;
};

static struct kgen_guard_buffer guarded;
static volatile sig_atomic_t host_handler_ran;

static void host_handler(int number)
{
    host_handler_ran = number;
}

static volatile unsigned char sink;

/* Never returns in practice; volatile keeps the frames, and the compiler from knowing. */
static int overflow(volatile int depth)
{
    volatile char frame[4096];
    frame[depth % 4096] = (char)depth;
    return depth == -1 ? 0 : overflow(depth + 1) + frame[0];
}

/* Exits with 42 where a limit refuses the memory, else with 43. */
static void take_memory(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_AS, &limit);
    void *memory = mmap(NULL, 512u << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    exit(memory == MAP_FAILED && limit.rlim_cur != RLIM_INFINITY ? 42 : 43);
}

static void act(enum what what, struct kgen_worker *worker)
{
    volatile uintptr_t nowhere = 16;
    kgen_guard_buffer_note(&guarded, kgen_worker_guards(worker), "weights", what == READ_ONLY_WRITE);
    switch (what) {
    case RETURN:
        break;
    case EXIT_3:
        exit(3);
    case EXIT_0:
        exit(0);
    case ABORT:
        abort();
    case NULL_READ:
        sink = *(volatile unsigned char *)nowhere;
        break;
    case NULL_WRITE:
        *(volatile unsigned char *)nowhere = 1;
        break;
    case ILLEGAL:
        raise(SIGILL);
        break;
    case STAGE_HANG:
        kgen_worker_stage(worker, "a stage with a name that is too long", 0.05);
        for (;;)
            sink = 1;
    case PAST_END_READ:
        sink = ((volatile unsigned char *)guarded.end)[7];
        break;
    case PAST_END_WRITE:
        ((volatile unsigned char *)guarded.end)[0] = 1;
        break;
    case BEFORE_START_WRITE:
        ((volatile unsigned char *)guarded.begin)[-4] = 1;
        break;
    case READ_ONLY_WRITE:
        kgen_guard_buffer_protect(&guarded, true);
        ((volatile unsigned char *)guarded.begin)[5] = 1;
        break;
    case STACK_OVERFLOW:
        overflow(0);
        break;
    case TOO_MUCH_MEMORY:
        take_memory();
        break;
    case TERMINATE:
        raise(SIGTERM);
        break;
    case HOST_HANDLER:
        raise(SIGUSR1);
        break;
    }
}

struct expectation {
    enum what what;
    enum kgen_outcome_kind kind;
    int number; /* the signal or exit status */
    bool fault, is_write;
    const char *guarded;
    enum kgen_guard_kind guard_kind;
    size_t distance;
    const char *stage;
};

static const struct expectation table[] = {
    {RETURN, KGEN_OUTCOME_DONE, 0, .stage = ""},
    {EXIT_3, KGEN_OUTCOME_EXITED, 3, .stage = ""},
    {RETURN, KGEN_OUTCOME_DONE, 0, .stage = ""},
    {RETURN, KGEN_OUTCOME_DONE, 0, .stage = ""},
    {EXIT_0, KGEN_OUTCOME_EXITED, 0, .stage = ""},
    {ABORT, KGEN_OUTCOME_SIGNAL, SIGABRT, .stage = ""},
    {NULL_READ, KGEN_OUTCOME_SIGNAL, SIGSEGV, true, false, .stage = ""},
    {NULL_WRITE, KGEN_OUTCOME_SIGNAL, SIGSEGV, true, true, .stage = ""},
    {RETURN, KGEN_OUTCOME_DONE, 0, .stage = ""},
    {ILLEGAL, KGEN_OUTCOME_SIGNAL, SIGILL, .stage = ""},
    {STAGE_HANG, KGEN_OUTCOME_TIMED_OUT, 0, .stage = "a stage with a name tha"},
    {PAST_END_READ, KGEN_OUTCOME_SIGNAL, SIGSEGV, true, false, "weights", KGEN_GUARD_BEHIND, 7, ""},
    {PAST_END_WRITE, KGEN_OUTCOME_SIGNAL, SIGSEGV, true, true, "weights", KGEN_GUARD_BEHIND, 0, ""},
    {BEFORE_START_WRITE, KGEN_OUTCOME_SIGNAL, SIGSEGV, true, true, "weights", KGEN_GUARD_BEFORE, 3, ""},
    {READ_ONLY_WRITE, KGEN_OUTCOME_SIGNAL, SIGSEGV, true, true, "weights", KGEN_GUARD_READ_ONLY, 5, ""},
    {STACK_OVERFLOW, KGEN_OUTCOME_SIGNAL, SIGSEGV, true, true, .stage = ""},
    {TOO_MUCH_MEMORY, KGEN_OUTCOME_EXITED, 42, .stage = ""},
    {TERMINATE, KGEN_OUTCOME_SIGNAL, SIGTERM, .stage = ""},
    {HOST_HANDLER, KGEN_OUTCOME_SIGNAL, SIGUSR1, .stage = ""},
    {RETURN, KGEN_OUTCOME_DONE, 0, .stage = ""},
};

struct progress {
    size_t reported;
    size_t stop_after;
    pid_t processes[64];
    volatile int cancel;
};

static void table_job(size_t index, void *result, struct kgen_worker *worker, void *context)
{
    struct shared_result *mine = result;
    (void)context;
    assert_int_equal(mine->value, 0);
    struct stat out, null;
    assert_int_equal(fstat(STDOUT_FILENO, &out) | stat("/dev/null", &null), 0);
    assert_int_equal(out.st_rdev, null.st_rdev);
    mine->value = 100 + (int)index;
    mine->process = getpid();
    act(table[index].what, worker);
}

static int table_report(size_t index, const struct kgen_outcome *outcome, const void *result, void *context)
{
    const struct expectation *e = &table[index];
    const struct shared_result *mine = result;
    struct progress *progress = context;
    assert_int_equal(index, progress->reported++);
    progress->processes[index] = mine->process;
    assert_int_equal(mine->value, 100 + (int)index); /* what the job wrote is there even where it died */
    assert_int_not_equal(mine->process, getpid());
    assert_int_equal(outcome->kind, e->kind);
    assert_int_equal(outcome->kind == KGEN_OUTCOME_EXITED ? outcome->exit_status : outcome->signal,
                     e->number);
    assert_int_equal(outcome->fault, e->fault);
    if (e->fault)
        assert_int_equal(outcome->fault_is_write, e->is_write);
    if (e->guarded != NULL) {
        assert_non_null(outcome->guarded_buffer);
        assert_string_equal(outcome->guarded_buffer, e->guarded);
        assert_int_equal(outcome->guard_distance, e->distance);
    } else {
        assert_null(outcome->guarded_buffer);
    }
    assert_int_equal(outcome->guard_kind, e->guard_kind);
    assert_string_equal(outcome->stage, e->stage);
    return progress->stop_after == progress->reported;
}

static void assert_no_children(void)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void test_outcomes(void **state)
{
    (void)state;
    const struct kgen_worker_options options = {.limit_seconds = UNREACHED, .memory_bytes = 256u << 20};
    struct progress progress = {0};
    struct kgen_error error = {0};
    assert_int_equal(kgen_guard_buffer_new(&guarded, 100, &error), 0);
    struct sigaction action = {.sa_handler = host_handler};
    sigaction(SIGUSR1, &action, NULL);
    assert_int_equal(kgen_workers_run(&options, KGEN_COUNT_OF(table), sizeof(struct shared_result), table_job,
                                      table_report, &progress, &error),
                     0);
    assert_int_equal(progress.reported, KGEN_COUNT_OF(table));
    assert_int_equal(host_handler_ran, 0);
    /* A healthy child goes on; a broken one is replaced. */
    size_t kept = 0;
    for (size_t i = 1; i < KGEN_COUNT_OF(table); i++) {
        bool healthy = table[i - 1].kind == KGEN_OUTCOME_DONE;
        assert_int_equal(progress.processes[i] == progress.processes[i - 1], healthy);
        kept += healthy;
    }
    assert_true(kept > 0);
    assert_no_children();
    kgen_guard_buffer_free(&guarded);
}

static void test_report_stops(void **state)
{
    (void)state;
    const struct kgen_worker_options options = {.limit_seconds = UNREACHED};
    struct progress progress = {.stop_after = 1};
    assert_int_equal(kgen_workers_run(&options, KGEN_COUNT_OF(table), sizeof(struct shared_result), table_job,
                                      table_report, &progress, NULL),
                     1);
    assert_int_equal(progress.reported, 1);
    assert_no_children();
}

static void hang_job(size_t index, void *result, struct kgen_worker *worker, void *context)
{
    (void)index, (void)result, (void)worker, (void)context;
    for (;;)
        sink = 1;
}

static int never_report(size_t index, const struct kgen_outcome *outcome, const void *result, void *context)
{
    (void)index, (void)outcome, (void)result, (void)context;
    fail_msg("a cancelled job was reported");
    return 0;
}

static volatile int cancel_now;

static void cancel_handler(int number)
{
    cancel_now = number;
}

static void test_cancel(void **state)
{
    (void)state;
    const struct kgen_worker_options options = {.limit_seconds = 60, .cancel = &cancel_now};
    struct sigaction action = {.sa_handler = cancel_handler};
    sigaction(SIGALRM, &action, NULL);
    alarm(1);
    assert_int_equal(kgen_workers_run(&options, 3, 8, hang_job, never_report, NULL, NULL), 1);
    assert_int_equal(cancel_now, SIGALRM);
    /* Cancelled before it began: no job runs. */
    assert_int_equal(kgen_workers_run(&options, 3, 8, hang_job, never_report, NULL, NULL), 1);
    assert_no_children();
}

/* The limit of the first stage of a job. */
static double first_limit;

/* Works for longer than the first limit, in stages whose limits are far. */
static void slow_job(size_t index, void *result, struct kgen_worker *worker, void *context)
{
    (void)index, (void)result, (void)context;
    for (int i = 0; i < 3; i++) {
        kgen_worker_stage(worker, "slow", UNREACHED);
        const long milliseconds = (long)(first_limit * 500);
        nanosleep(&(struct timespec){milliseconds / 1000, milliseconds % 1000 * 1000000}, NULL);
    }
}

static int keep_outcome(size_t index, const struct kgen_outcome *outcome, const void *result, void *context)
{
    (void)index, (void)result;
    *(struct kgen_outcome *)context = *outcome;
    return 0;
}

/* A job that begins no stage meets the limit of the first; one that does has the limit of each stage anew. On
 * a busy machine the first stage may begin after its limit, so the limit grows until it does not. */
static void test_limits(void **state)
{
    (void)state;
    struct kgen_outcome outcome = {0};
    const struct kgen_worker_options brief = {.limit_seconds = 0.1};
    assert_int_equal(kgen_workers_run(&brief, 1, 8, hang_job, keep_outcome, &outcome, NULL), 0);
    assert_int_equal(outcome.kind, KGEN_OUTCOME_TIMED_OUT);
    assert_string_equal(outcome.stage, "");
    for (first_limit = 0.2; first_limit < 30; first_limit *= 2) {
        const struct kgen_worker_options options = {.limit_seconds = first_limit};
        assert_int_equal(kgen_workers_run(&options, 1, 8, slow_job, keep_outcome, &outcome, NULL), 0);
        if (outcome.kind == KGEN_OUTCOME_DONE)
            break;
    }
    assert_int_equal(outcome.kind, KGEN_OUTCOME_DONE);
    assert_string_equal(outcome.stage, "slow");
    assert_no_children();
}

static void grandchild_job(size_t index, void *result, struct kgen_worker *worker, void *context)
{
    (void)index, (void)context;
    pid_t grandchild = fork();
    if (grandchild == 0)
        for (;;)
            pause();
    *(volatile pid_t *)result = grandchild;
    kgen_worker_stage(worker, "hangs", 0.05);
    for (;;)
        sink = 1;
}

static int grandchild_report(size_t index, const struct kgen_outcome *outcome, const void *result,
                             void *context)
{
    (void)index;
    assert_int_equal(outcome->kind, KGEN_OUTCOME_TIMED_OUT);
    *(pid_t *)context = *(const pid_t *)result;
    return 0;
}

/* Whether the process is gone, or dead and not yet collected by its new parent. */
static bool is_dead(pid_t process)
{
    char path[64], status = '?';
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)process);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return true;
    if (fscanf(file, "%*d (%*[^)]) %c", &status) != 1)
        status = '?';
    fclose(file);
    return status == 'Z' || status == 'X';
}

static void test_group_is_killed(void **state)
{
    (void)state;
    const struct kgen_worker_options options = {.limit_seconds = UNREACHED};
    pid_t grandchild = 0;
    assert_int_equal(
        kgen_workers_run(&options, 1, sizeof(pid_t), grandchild_job, grandchild_report, &grandchild, NULL),
        0);
    assert_true(grandchild > 0);
    bool dead = false;
    for (int i = 0; i < 100 * UNREACHED && !dead; i++) {
        nanosleep(&(struct timespec){0, 10000000}, NULL);
        dead = is_dead(grandchild);
    }
    assert_true(dead);
}

static void count_job(size_t index, void *result, struct kgen_worker *worker, void *context)
{
    (void)worker, (void)context;
    *(size_t *)result = index * 3;
}

static int count_report(size_t index, const struct kgen_outcome *outcome, const void *result, void *context)
{
    assert_int_equal(outcome->kind, KGEN_OUTCOME_DONE);
    assert_int_equal(*(const size_t *)result, index * 3);
    ++*(size_t *)context;
    return 0;
}

static void test_many_jobs(void **state)
{
    (void)state;
    const struct kgen_worker_options options = {.limit_seconds = 10};
    size_t count = 0;
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    assert_int_equal(kgen_workers_run(&options, 2000, sizeof(size_t), count_job, count_report, &count, NULL),
                     0);
    clock_gettime(CLOCK_MONOTONIC, &end);
    assert_int_equal(count, 2000);
    double seconds = (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec);
    print_message("# %.1f microseconds a job\n", seconds / 2000 * 1e6);
    assert_int_equal(kgen_workers_run(&options, 0, 0, count_job, count_report, &count, NULL), 0);
    assert_no_children();
}

/* ---- several children ---- */

enum { BESIDE = 3, BESIDE_JOBS = 12, BESIDE_DIES = 5 };

struct beside {
    volatile int *begun; /* shared: jobs that have begun */
    int reports[BESIDE_JOBS];
    pid_t processes[BESIDE][2]; /* of each number, the first and the last seen */
    size_t died_in;
};

/* The first jobs wait for each other, which ends only where they run at once. */
static void beside_job(size_t index, void *result, struct kgen_worker *worker, void *context)
{
    const struct beside *beside = context;
    struct shared_result *shared = result;
    __atomic_add_fetch(beside->begun, 1, __ATOMIC_SEQ_CST);
    while (index < BESIDE && __atomic_load_n(beside->begun, __ATOMIC_SEQ_CST) < BESIDE)
        sched_yield();
    shared->value = (int)kgen_worker_number(worker);
    shared->process = getpid();
    if (index == BESIDE_DIES)
        abort();
}

static int beside_report(size_t index, const struct kgen_outcome *outcome, const void *result, void *context)
{
    struct beside *beside = context;
    const struct shared_result *shared = result;
    const bool died = outcome->kind == KGEN_OUTCOME_SIGNAL && outcome->signal == SIGABRT;
    assert_int_equal(died, index == BESIDE_DIES);
    assert_true(died || outcome->kind == KGEN_OUTCOME_DONE);
    assert_true(outcome->worker < BESIDE);
    assert_int_equal(shared->value, outcome->worker);
    beside->reports[index]++;
    pid_t *seen = beside->processes[outcome->worker];
    seen[0] = seen[0] == 0 ? shared->process : seen[0];
    seen[1] = shared->process;
    if (died)
        beside->died_in = outcome->worker;
    return 0;
}

static void test_beside_each_other(void **state)
{
    (void)state;
    struct beside beside = {
        .begun = mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)};
    assert_true(beside.begun != MAP_FAILED);
    const struct kgen_worker_options options = {.limit_seconds = UNREACHED, .workers = BESIDE};
    struct kgen_error error = {0};
    assert_int_equal(kgen_workers_run(&options, BESIDE_JOBS, sizeof(struct shared_result), beside_job,
                                      beside_report, &beside, &error),
                     0);
    for (int i = 0; i < BESIDE_JOBS; i++)
        assert_int_equal(beside.reports[i], 1);
    /* A child stays for all its jobs, but the one that died. */
    for (size_t i = 0; i < BESIDE; i++) {
        assert_int_not_equal(beside.processes[i][0], 0);
        assert_true(i == beside.died_in || beside.processes[i][0] == beside.processes[i][1]);
    }
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    munmap((void *)(uintptr_t)beside.begun, sizeof(int));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outcomes),
        cmocka_unit_test(test_report_stops),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_many_jobs),
        cmocka_unit_test(test_group_is_killed),
        cmocka_unit_test(test_beside_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
