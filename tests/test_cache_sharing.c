/* SPDX-License-Identifier: MIT */
/* Several openings of one cache, in one process and in many: no record is lost or torn. The writes of this
 * program go through one of its own, which the Makefile puts in place of the C library's. */
#define _DEFAULT_SOURCE /* flock */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cache_fixture.h"
#include "runtime/cache/claim.h"
#include "runtime/cache/file.h"
#include "without_locks.h"

static void test_compaction(void **state)
{
    struct cache_fixture *fixture = *state;
    struct kgen_text text = {0};
    kgen_text_puts(&text, "{\"schema\":99}\n");
    kgen_text_puts(&text, "bad\n");
    for (unsigned i = 0; i < 1200; i++)
        cache_add_line(&text, 1 + i % 100, "1", true);
    kgen_text_puts(&text, "{\"fact\":\"f\",\"schema\":1,\"machine\":\"m\",\"value\":1}\n");
    kgen_text_puts(&text, "{\"fact\":\"f\",\"schema\":1,\"machine\":\"m\",\"value\":2}\n");
    kgen_text_puts(&text, "{\"key\":\"00");
    cache_put_file(fixture, text.data, text.length);
    kgen_text_free(&text);

    struct kgen_cache *other = cache_reopen(fixture, NULL);
    assert_int_equal(cache_count_lines(fixture), 103);
    struct kgen_cache *cache = cache_reopen(fixture, NULL);
    assert_int_equal(kgen_cache_count(cache), 100);
    double value = 0;
    assert_int_equal(kgen_cache_fact(cache, "m", "f", &value), 0);
    assert_true(value == 2);
    /* Both the one that compacted and one that opened later go on with the new file. */
    struct kgen_record record = cache_sample(1000), second = cache_sample(1001);
    cache_append(other, &record);
    cache_append(cache, &second);
    kgen_cache_close(other);
    cache = cache_reopen(fixture, cache);
    assert_int_equal(kgen_cache_count(cache), 102);
    kgen_cache_close(cache);
}

static void test_no_compaction_without_the_lock(void **state)
{
    struct cache_fixture *fixture = *state;
    struct kgen_text text = {0};
    for (unsigned i = 0; i < 1200; i++)
        cache_add_line(&text, 1, "1", true);
    cache_put_file(fixture, text.data, text.length);
    kgen_text_free(&text);
    int descriptor = open(fixture->file, O_RDWR);
    assert_int_equal(flock(descriptor, LOCK_EX), 0);
    struct kgen_cache *cache = cache_reopen(fixture, NULL);
    assert_int_equal(kgen_cache_count(cache), 1);
    assert_int_equal(cache_count_lines(fixture), 1200);
    close(descriptor);
    cache = cache_reopen(fixture, cache);
    assert_int_equal(cache_count_lines(fixture), 1);
    kgen_cache_close(cache);
}

/* A file replaced or removed by another process while it is open. */
static void test_replaced_while_open(void **state)
{
    struct cache_fixture *fixture = *state;
    struct kgen_cache *cache = cache_reopen(fixture, NULL);
    struct kgen_record record = cache_sample(1);
    assert_int_equal(unlink(fixture->file), 0);
    cache_append(cache, &record);
    assert_int_equal(cache_count_lines(fixture), 1);
    kgen_cache_close(cache);
    assert_int_equal(fixture->warnings, 0);
}

static void test_lock_held_by_a_stopped_process(void **state)
{
    struct cache_fixture *fixture = *state;
    struct kgen_cache *cache = cache_reopen(fixture, NULL);
    int descriptor = open(fixture->file, O_RDWR);
    assert_int_equal(flock(descriptor, LOCK_EX), 0);
    struct kgen_record record = cache_sample(1);
    cache_append(cache, &record);
    close(descriptor);
    kgen_cache_close(cache);
    assert_int_equal(cache_count_lines(fixture), 1);
}

/* ---- many processes ---- */

/* Whether a write at the end of a file goes where its end was a moment ago, in two halves, as from a host
 * that has not seen yet what the others wrote. */
static bool appends_are_torn;

ssize_t __real_write(int file, const void *data, size_t length);
ssize_t __wrap_write(int file, const void *data, size_t length);

ssize_t __wrap_write(int file, const void *data, size_t length)
{
    struct stat status;
    const int flags = fcntl(file, F_GETFL);
    if (!appends_are_torn || flags < 0 || (flags & O_APPEND) == 0 || fstat(file, &status) != 0)
        return __real_write(file, data, length);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    const int plain = open(path, O_WRONLY | O_CLOEXEC);
    const size_t half = length / 2;
    const struct timespec pause = {.tv_nsec = 200000};
    nanosleep(&pause, NULL);
    ssize_t written = pwrite(plain, data, half, status.st_size);
    nanosleep(&pause, NULL);
    if (written == (ssize_t)half)
        written += pwrite(plain, (const char *)data + half, length - half, status.st_size + (off_t)half);
    close(plain);
    return written;
}

#define WRITERS 8
#define WRITER_RECORDS 100

/* Processes that append records, each after it has done something to itself (NULL: nothing). */
static void run_writers(struct cache_fixture *fixture, void prepare(void))
{
    pid_t children[WRITERS];
    for (unsigned i = 0; i < WRITERS; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            if (prepare != NULL)
                prepare();
            struct kgen_cache *cache = kgen_cache_open(fixture->folder, cache_note, fixture, NULL);
            for (unsigned j = 0; j < WRITER_RECORDS; j++) {
                struct kgen_record record = cache_sample(i * 1000 + j);
                if (kgen_cache_append(cache, &record, NULL) != 0)
                    _exit(1);
            }
            kgen_cache_close(cache);
            _exit(fixture->warnings);
        }
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        int status = -1;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    struct kgen_cache *cache = cache_reopen(fixture, NULL);
    assert_int_equal(kgen_cache_count(cache), WRITERS * WRITER_RECORDS);
    for (size_t i = 0; i < kgen_cache_count(cache); i++)
        assert_non_null(kgen_cache_at(cache, i));
    kgen_cache_close(cache);
    assert_int_equal(fixture->warnings, 0);
}

static void test_several_writers(void **state)
{
    run_writers(*state, NULL);
}

/* On file systems without locks, or with locks that exclude nobody, where appending is not atomic either. */
static void run_writers_on_network(struct cache_fixture *fixture, void prepare(void))
{
    if (kgen_test_can_refuse_locks() != 0) {
        print_message("skipped: this kernel lets no process refuse itself locks (seccomp)\n");
        skip();
    }
    appends_are_torn = true;
    run_writers(fixture, prepare);
    appends_are_torn = false;
}

static void test_locks_refused(void **state)
{
    run_writers_on_network(*state, kgen_test_refuse_locks);
}

static void test_locks_granted_to_all(void **state)
{
    run_writers_on_network(*state, kgen_test_grant_locks);
}

/* In a child: without locks, and with the file that stands for one held by another. */
static int append_while_held(struct cache_fixture *fixture, const char *lock, bool drops)
{
    kgen_test_refuse_locks();
    struct kgen_cache *cache = kgen_cache_open(fixture->folder, cache_note, fixture, NULL);
    for (uint64_t key = 1; key <= 2; key++) {
        const struct kgen_record record = cache_sample(key);
        if (kgen_cache_append(cache, &record, NULL) != 0 || kgen_cache_find(cache, key) == NULL)
            return 1;
    }
    if (cache_count_lines(fixture) != 0)
        return 2;
    if (drops)
        kgen_claim_file_drop(lock);
    kgen_cache_close(cache);
    return cache_count_lines(fixture) == 2 ? 0 : 3;
}

static void append_in_child(struct cache_fixture *fixture, bool drops)
{
    if (kgen_test_can_refuse_locks() != 0) {
        print_message("skipped: this kernel lets no process refuse itself locks (seccomp)\n");
        skip();
    }
    char lock[128];
    snprintf(lock, sizeof lock, "%s" KGEN_CACHE_LOCK_SUFFIX, fixture->file);
    assert_int_equal(kgen_claim_file_take(lock), 1);
    const pid_t child = fork();
    if (child == 0)
        _exit(append_while_held(fixture, lock, drops));
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(access(lock, F_OK), drops ? -1 : 0);
    if (!drops)
        kgen_claim_file_drop(lock);
}

/* What cannot be written for want of a lock file is written later. */
static void test_lines_wait(void **state)
{
    append_in_child(*state, true);
}

/* Where the lock file is held to the end, the lines are written all the same. */
static void test_lines_wait_in_vain(void **state)
{
    append_in_child(*state, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CACHE_TEST(test_compaction),           CACHE_TEST(test_no_compaction_without_the_lock),
        CACHE_TEST(test_replaced_while_open),  CACHE_TEST(test_lock_held_by_a_stopped_process),
        CACHE_TEST(test_several_writers),      CACHE_TEST(test_locks_refused),
        CACHE_TEST(test_locks_granted_to_all), CACHE_TEST(test_lines_wait),
        CACHE_TEST(test_lines_wait_in_vain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
