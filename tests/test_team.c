/* SPDX-License-Identifier: MIT */
/* Teams: every part of a job is run once, by threads that do not meet in their own memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include "runtime/process/team.h"

enum { PARTS_MAX = 64, THREADS_MAX = 8 };

struct work {
    atomic_int runs[PARTS_MAX];
    atomic_int inside[THREADS_MAX]; /* parts that the thread runs now */
    atomic_int met;                 /* two parts at once with one thread's index */
    size_t threads;
    atomic_size_t sum;
};

static void count_part(void *context, size_t part, size_t parts, size_t thread)
{
    struct work *work = context;
    assert_true(part < parts && thread < work->threads);
    if (atomic_fetch_add(&work->inside[thread], 1) != 0)
        atomic_fetch_add(&work->met, 1);
    atomic_fetch_add(&work->runs[part], 1);
    if (part % 3 == 0)
        sched_yield();
    atomic_fetch_sub(&work->inside[thread], 1);
}

static void test_each_part_once(void **state)
{
    (void)state;
    static const size_t parts[] = {0, 1, 2, 3, 7, 8, 9, 64};
    size_t executed = 0;
    for (int threads = 1; threads <= THREADS_MAX; threads++) {
        struct kgen_team *team = kgen_team_new(threads, NULL);
        assert_non_null(team);
        assert_int_equal(kgen_team_threads(team), threads);
        for (size_t i = 0; i < 40 * KGEN_COUNT_OF(parts); i++, executed++) {
            const size_t count = parts[i % KGEN_COUNT_OF(parts)];
            struct work work = {.threads = (size_t)threads};
            kgen_team_share(team, count, count_part, &work);
            assert_int_equal(work.met, 0);
            for (size_t part = 0; part < PARTS_MAX; part++)
                assert_int_equal(work.runs[part], part < count);
        }
        kgen_team_free(team);
    }
    struct work alone = {.threads = 1};
    kgen_team_share(NULL, 5, count_part, &alone);
    assert_int_equal(alone.runs[4], 1);
    assert_int_equal(executed, 8 * 40 * 8);
}

static void add_part(void *context, size_t part, size_t parts)
{
    struct work *work = context;
    atomic_fetch_add(&work->sum, part + 1);
    assert_int_equal(parts, work->threads);
}

/* As many parts as threads; more jobs than a thread polls for, and threads that slept meanwhile. */
static void test_many_jobs(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 4; threads++) {
        struct kgen_team *team = kgen_team_new(threads, NULL);
        size_t expected = 0;
        struct work work = {.threads = (size_t)threads};
        for (size_t i = 0; i < 3000; i++) {
            kgen_team_run(team, add_part, &work);
            expected += (size_t)(threads * (threads + 1) / 2);
            if (i % 1000 == 500)
                nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
            if (i % 100 == 0)
                kgen_team_wake(team);
        }
        assert_int_equal(work.sum, expected);
        kgen_team_free(team);
    }
}

static void note_part(void *context, size_t part, size_t parts)
{
    struct work *work = context;
    atomic_fetch_add(&work->runs[part], 1);
    atomic_fetch_add(&work->sum, 1);
    while (atomic_load(&work->sum) < parts)
        sched_yield();
}

/* Threads run at once: parts that wait for each other end. */
static void test_threads_run_together(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    struct kgen_team *team = kgen_team_new(THREADS, NULL);
    for (int i = 0; i < 20; i++) {
        struct work work = {.threads = THREADS};
        kgen_team_run_together(team, note_part, &work);
        for (size_t part = 0; part < THREADS; part++)
            assert_int_equal(work.runs[part], 1);
    }
    struct work alone = {.threads = 1};
    kgen_team_run_together(NULL, note_part, &alone);
    assert_int_equal(alone.runs[0], 1);
    kgen_team_free(team);
}

static void test_number_of_parts(void **state)
{
    (void)state;
    static const struct {
        int threads;
        size_t bytes, least, most;
    } cases[] = {{1, 1 << 30, 1, 1}, {2, 0, 2, 2},      {2, 4096, 2, 2},    {2, 1 << 20, 3, 16},
                 {2, 300000, 4, 4},  {3, 400000, 6, 6}, {4, 1 << 30, 8, 64}};
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_team *team = kgen_team_new(cases[i].threads, NULL);
        const size_t parts = kgen_team_parts(team, cases[i].bytes);
        assert_in_range(parts, cases[i].least, cases[i].most);
        assert_int_equal(parts % (size_t)cases[i].threads, 0);
        kgen_team_free(team);
    }
    assert_int_equal(kgen_team_parts(NULL, 1 << 30), 1);
    assert_int_equal(kgen_team_threads(NULL), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_part_once),
        cmocka_unit_test(test_many_jobs),
        cmocka_unit_test(test_threads_run_together),
        cmocka_unit_test(test_number_of_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
