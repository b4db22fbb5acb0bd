/* SPDX-License-Identifier: MIT */
/* What libkgen does to the process it runs in: many start-ups, many threads, nothing left behind. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api_fixture.h"
#include "sanitizers.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { START_UPS = 1000, THREADS = 16, ROUNDS = 3 };

static size_t count_entries(const char *folder)
{
    size_t count = 0;
    DIR *entries = opendir(folder);
    assert_non_null(entries);
    while (readdir(entries) != NULL)
        count++;
    closedir(entries);
    return count;
}

static size_t count_mappings(void)
{
    size_t count = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    assert_non_null(maps);
    for (int c; (c = fgetc(maps)) != EOF;)
        count += c == '\n';
    fclose(maps);
    return count;
}

static size_t resident_pages(void)
{
    unsigned long all = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu %lu", &all, &resident), 2);
    fclose(file);
    return resident;
}

/* From nothing to a sum and back. */
static void start_up(const struct kgen_settings *settings)
{
    static const char *const problem = "{\"op\":\"add\",\"size\":50}";
    struct kgen_status status = {0};
    struct kgen_context *context = kgen_open(settings, &status);
    struct kgen_plan *plan = context != NULL ? api_plan(context, &problem, 1, &status) : NULL;
    if (plan == NULL)
        fail_msg("%s", status.message);
    float a[50], b[50], y[50];
    for (int i = 0; i < 50; i++) {
        a[i] = (float)i;
        b[i] = 1;
    }
    const struct kgen_function *add = kgen_plan_at(plan, 0);
    struct kgen_call call = {0};
    kgen_call_set(&call, add, "a", a, &status);
    kgen_call_set(&call, add, "b", b, &status);
    kgen_call_set(&call, add, "y", y, &status);
    assert_int_equal(kgen_function_run(add, &call, NULL, &status), 0);
    assert_int_equal(status.code, KGEN_OK);
    assert_true(y[49] >= 50 && y[49] <= 50);
    kgen_plan_free(plan);
    kgen_close(context);
}

static void test_start_ups(void **state)
{
    struct api_fixture *fixture = *state;
    struct kgen_settings settings = api_settings(fixture, KGEN_MEASURE);
    settings.log = NULL;
    for (int i = 0; i < 50; i++)
        start_up(&settings);
    const size_t files = count_entries("/proc/self/fd"), threads = count_entries("/proc/self/task");
    const size_t mappings = count_mappings(), pages = resident_pages();
    for (int i = 0; i < START_UPS; i++)
        start_up(&settings);
    assert_int_equal(count_entries("/proc/self/fd"), files);
    assert_int_equal(count_entries("/proc/self/task"), threads);
    assert_in_range(count_mappings(), 1, mappings + 8);
#if !defined(KGEN_TEST_ADDRESS_SANITIZER) && !defined(KGEN_TEST_THREAD_SANITIZER)
    assert_in_range(resident_pages(), 1, pages + 256); /* a leak of 1 KB each would be as much */
#else
    (void)pages;
#endif
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void host_handler(int number)
{
    (void)number;
}

static void test_nothing_left(void **state)
{
    struct api_fixture *fixture = *state;
    struct kgen_settings settings = api_settings(fixture, KGEN_MEASURE);
    struct sigaction before[NSIG], after;
    memset(before, 0, sizeof before);
    sigset_t mask_before, mask_after;
    const struct sigaction mine = {.sa_handler = host_handler, .sa_flags = SA_RESTART};
    sigaction(SIGCHLD, &mine, NULL);
    sigaction(SIGUSR1, &mine, NULL);
    for (int i = 1; i < NSIG; i++)
        sigaction(i, NULL, &before[i]);
    sigprocmask(SIG_SETMASK, NULL, &mask_before);
    /* A child of the host's is the host's to wait for. */
    const pid_t child = fork();
    if (child == 0)
        _exit(7);
    start_up(&settings);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 7);
    for (int i = 1; i < NSIG; i++) {
        memset(&after, 0, sizeof after);
        sigaction(i, NULL, &after);
        assert_ptr_equal(after.sa_handler, before[i].sa_handler);
        assert_int_equal(after.sa_flags, before[i].sa_flags);
    }
    sigprocmask(SIG_SETMASK, NULL, &mask_after);
    for (int i = 1; i < NSIG; i++)
        assert_int_equal(sigismember(&mask_after, i), sigismember(&mask_before, i));
    /* With SIGCHLD ignored no one can wait for children; that must do no harm. */
    signal(SIGCHLD, SIG_IGN);
    start_up(&settings);
    signal(SIGCHLD, SIG_DFL);
    signal(SIGUSR1, SIG_DFL);
    assert_int_equal(fixture->counts[KGEN_LOG_WARNING], 0);
}

/* A function goes on working in a child of the host's. */
static void test_fork_of_host(void **state)
{
    struct api_fixture *fixture = *state;
    const struct kgen_settings settings = api_settings(fixture, KGEN_ESTIMATE);
    struct kgen_context *context = api_open(&settings);
    struct kgen_plan *plan = api_plan(context, api_problems, 1, NULL);
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0)
        _exit(api_compute(kgen_plan_at(plan, 0), NULL) > 0 ? 0 : 1);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    kgen_plan_free(plan);
    kgen_close(context);
}

/* For searches and checks that a thread makes. */
static struct kgen_settings settings_of_thread(struct api_fixture *fixture, enum kgen_effort effort)
{
    struct kgen_settings settings = api_settings(fixture, effort);
    settings.log = NULL; /* the fixture is for one thread */
#if defined(KGEN_TEST_THREAD_SANITIZER)
    settings.threads = 1; /* it does not follow the threads of a child that a thread has forked */
#endif
    return settings;
}

struct thread {
    pthread_t thread;
    struct kgen_settings settings;
    const struct kgen_plan *shared;
    struct kgen_status status;
    size_t compared;
};

/* A context of its own, and the functions of a plan that all threads share. */
static void *work(void *argument)
{
    struct thread *thread = argument;
    for (int round = 0; round < ROUNDS; round++) {
        struct kgen_context *context = kgen_open(&thread->settings, &thread->status);
        struct kgen_plan *plan =
            context != NULL ? api_plan(context, api_problems, api_problem_count, &thread->status) : NULL;
        for (size_t i = 0; plan != NULL && i < kgen_plan_count(plan); i++) {
            thread->compared += api_compute(kgen_plan_at(plan, i), NULL);
            thread->compared += api_compute(kgen_plan_at(thread->shared, i), NULL);
        }
        kgen_plan_find(thread->shared, "a", NULL, NULL);
        kgen_plan_free(plan);
        kgen_close(context);
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct api_fixture *fixture = *state;
    const struct kgen_settings settings = settings_of_thread(fixture, KGEN_ESTIMATE);
    struct kgen_context *context = api_open(&settings);
    struct kgen_plan *shared = api_plan(context, api_problems, api_problem_count, NULL);
    struct thread threads[THREADS];
    memset(threads, 0, sizeof threads);
    for (int i = 0; i < THREADS; i++) {
        threads[i].settings = settings;
        threads[i].shared = shared;
        assert_int_equal(pthread_create(&threads[i].thread, NULL, work, &threads[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i].thread, NULL);
    for (int i = 0; i < THREADS; i++) {
        assert_string_equal(threads[i].status.message, "");
        assert_true(threads[i].compared > 0);
        assert_int_equal(threads[i].compared, threads[0].compared);
    }
    kgen_plan_free(shared);
    kgen_close(context);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* Every thread of a team has scratch of its own, one after the other; a thread that comes late uses none. */
static void test_scratch_of_team(void **state)
{
    (void)state;
    enum { TEAM = 3, SLOT = 64 };
    const struct kgen_function *parts = api_function_of_parts();
    unsigned char *scratch = aligned_alloc(64, (TEAM + 1) * SLOT), untouched[SLOT];
    memset(scratch, 0xff, (TEAM + 1) * SLOT);
    memset(untouched, 0xff, SLOT);
    assert_int_equal(kgen_function_buffer_size(parts, "scratch"), SLOT);
    struct kgen_call call = {0};
    for (size_t i = 0; i < kgen_function_buffer_count(parts); i++)
        call.buffers[i] = aligned_alloc(64, 512);
    memset(call.buffers[kgen_function_buffer(parts, "x")], 0, 512);
    free(call.buffers[kgen_function_buffer(parts, "scratch")]);
    kgen_call_set(&call, parts, "scratch", scratch, NULL);
    struct kgen_threads *threads = kgen_threads_open(TEAM, NULL);
    assert_int_equal(kgen_function_run(parts, &call, threads, NULL), 0);
    kgen_threads_close(threads);
    size_t used = 0;
    for (size_t i = 0; i < TEAM; i++)
        used += memcmp(scratch + i * SLOT, untouched, SLOT) != 0;
    assert_in_range(used, 1, TEAM);
    assert_memory_equal(scratch + TEAM * SLOT, untouched, SLOT);
    for (size_t i = 0; i < kgen_function_buffer_count(parts); i++)
        free(call.buffers[i]);
}

static volatile int cancel_flag;

static void *cancel_soon(void *argument)
{
    (void)argument;
    usleep(300000);
    __atomic_store_n(&cancel_flag, 1, __ATOMIC_RELAXED);
    return NULL;
}

/* The search of a whole model, ended by another thread. */
static void test_cancelled_by_thread(void **state)
{
    struct api_fixture *fixture = *state;
    struct kgen_settings settings = settings_of_thread(fixture, KGEN_EXHAUSTIVE);
    settings.cancel = &cancel_flag;
    cancel_flag = 0;
    struct kgen_context *context = api_open(&settings);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, NULL), 0);
    struct kgen_status status = {0};
    struct kgen_plan *plan = kgen_plan_file(context, "specs/qwen3-0.6b.json", &status);
    pthread_join(thread, NULL);
    assert_null(plan);
    assert_int_equal(status.code, KGEN_CANCELLED);
    kgen_close(context);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* Searches at once at one cache: none is done twice, all are kept. */
static void *search(void *argument)
{
    static const char *const problem = "{\"op\":\"rms_norm\",\"size\":256}";
    struct thread *thread = argument;
    struct kgen_context *context = kgen_open(&thread->settings, &thread->status);
    struct kgen_plan *plan = context != NULL ? api_plan(context, &problem, 1, &thread->status) : NULL;
    if (plan != NULL)
        thread->compared = api_compute(kgen_plan_at(plan, 0), NULL);
    kgen_plan_free(plan);
    kgen_close(context);
    return NULL;
}

static void test_searching_threads(void **state)
{
    struct api_fixture *fixture = *state;
    enum { SEARCHES = 4 };
    struct thread threads[SEARCHES];
    memset(threads, 0, sizeof threads);
    for (int i = 0; i < SEARCHES; i++) {
        threads[i].settings = settings_of_thread(fixture, KGEN_MEASURE);
        assert_int_equal(pthread_create(&threads[i].thread, NULL, search, &threads[i]), 0);
    }
    for (int i = 0; i < SEARCHES; i++) {
        pthread_join(threads[i].thread, NULL);
        assert_string_equal(threads[i].status.message, "");
        assert_true(threads[i].compared > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_start_ups, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_nothing_left, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_fork_of_host, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_threads, api_setup, api_teardown),
        cmocka_unit_test(test_scratch_of_team),
        cmocka_unit_test_setup_teardown(test_cancelled_by_thread, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_searching_threads, api_setup, api_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
