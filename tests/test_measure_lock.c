/* SPDX-License-Identifier: MIT */
/* The lock under which kernels are measured: shared or exclusive, and fair to who waits for it exclusively.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/process/measure_lock.h"

/* No verdict depends on these: the first is as good as for ever, the second ends what waits in vain. */
static const double patience = 60, at_once = 0;

static char folder[64], path[96];

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/kgen-lock-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/lock", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static int take(enum kgen_measure_lock_mode mode, double seconds)
{
    return kgen_measure_lock_take_at(path, mode, seconds);
}

static void test_modes(void **state)
{
    (void)state;
    static const struct {
        enum kgen_measure_lock_mode held, asked;
        int granted;
    } cases[] = {
        {KGEN_LOCK_SHARED, KGEN_LOCK_SHARED, 1},
        {KGEN_LOCK_SHARED, KGEN_LOCK_EXCLUSIVE, 0},
        {KGEN_LOCK_EXCLUSIVE, KGEN_LOCK_SHARED, 0},
        {KGEN_LOCK_EXCLUSIVE, KGEN_LOCK_EXCLUSIVE, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int held = take(cases[i].held, patience);
        assert_true(held >= 0);
        const int asked = take(cases[i].asked, at_once);
        if ((asked >= 0) != cases[i].granted)
            fail_msg("case %zu: %s", i, asked >= 0 ? "granted" : "refused");
        kgen_measure_lock_release(asked);
        kgen_measure_lock_release(held);
        const int again = take(KGEN_LOCK_EXCLUSIVE, patience);
        assert_true(again >= 0);
        kgen_measure_lock_release(again);
    }
    kgen_measure_lock_release(-1);
}

/* Waits until a process is in the queue. */
static void await_queue(void)
{
    const int file = open(path, O_RDWR | O_CLOEXEC);
    assert_true(file >= 0);
    struct flock lock;
    do {
        lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
        assert_int_equal(fcntl(file, F_OFD_GETLK, &lock), 0);
        poll(NULL, 0, 1);
    } while (lock.l_type == F_UNLCK);
    close(file);
}

/* Who waits for the exclusive lock goes before those that come after it. */
static void test_waiting_exclusively(void **state)
{
    (void)state;
    const int held = take(KGEN_LOCK_SHARED, patience);
    assert_true(held >= 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(held); /* it would keep the parent's lock */
        _exit(take(KGEN_LOCK_EXCLUSIVE, patience) >= 0 ? 0 : 1);
    }
    await_queue();
    assert_int_equal(take(KGEN_LOCK_SHARED, at_once), -1);
    kgen_measure_lock_release(held);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    /* Its lock has ended with it. */
    const int after = take(KGEN_LOCK_EXCLUSIVE, patience);
    assert_true(after >= 0);
    kgen_measure_lock_release(after);
}

static void test_file(void **state)
{
    (void)state;
    const mode_t mask = umask(0);
    const int lock = take(KGEN_LOCK_SHARED, patience);
    umask(mask);
    struct stat status;
    assert_int_equal(fstat(lock, &status), 0);
    assert_int_equal(status.st_mode & 077, 0);
    kgen_measure_lock_release(lock);
    /* A link in its place is not followed. */
    char target[128];
    snprintf(target, sizeof target, "%s.target", path);
    assert_int_equal(rename(path, target), 0);
    assert_int_equal(symlink(target, path), 0);
    assert_int_equal(take(KGEN_LOCK_SHARED, patience), -1);
    assert_int_equal(unlink(target), 0);
    if (geteuid() != 0) {
        print_message("skipped: only root can give the file away\n");
        return;
    }
    assert_int_equal(unlink(path), 0);
    kgen_measure_lock_release(take(KGEN_LOCK_SHARED, patience));
    assert_int_equal(chown(path, 12345, 12345), 0);
    assert_int_equal(take(KGEN_LOCK_SHARED, patience), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_modes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_waiting_exclusively, setup, teardown),
        cmocka_unit_test_setup_teardown(test_file, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
