/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* F_OFD_SETLK */
#include "runtime/process/measure_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gen/base/clock.h"

/* The bytes of the file that are locked. A process locks QUEUE exclusively while it waits for MEASURE, in
 * either mode. Without it a stream of shared holders would keep an exclusive one waiting for ever. */
enum lock_byte { QUEUE, MEASURE };

#define PAUSE_NANOSECONDS 1000000L

static int open_file(const char *path)
{
    const int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    struct stat status;
    if (file >= 0 && (fstat(file, &status) != 0 || !S_ISREG(status.st_mode) || status.st_uid != geteuid())) {
        close(file);
        return -1;
    }
    return file;
}

static int set_lock(int file, enum lock_byte byte, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    return fcntl(file, F_OFD_SETLK, &lock);
}

static int wait_for_lock(int file, enum lock_byte byte, short type, double until)
{
    while (set_lock(file, byte, type) != 0) {
        if ((errno != EAGAIN && errno != EACCES && errno != EINTR) || kgen_clock() > until)
            return -1;
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_NANOSECONDS}, NULL);
    }
    return 0;
}

int kgen_measure_lock_take_at(const char *path, enum kgen_measure_lock_mode mode, double seconds)
{
    const int file = open_file(path);
    if (file < 0)
        return -1;
    const double until = kgen_clock() + seconds;
    if (wait_for_lock(file, QUEUE, F_WRLCK, until) == 0 &&
        wait_for_lock(file, MEASURE, mode == KGEN_LOCK_SHARED ? F_RDLCK : F_WRLCK, until) == 0) {
        set_lock(file, QUEUE, F_UNLCK);
        return file;
    }
    close(file);
    return -1;
}

int kgen_measure_lock_take(enum kgen_measure_lock_mode mode)
{
    char path[64];
    snprintf(path, sizeof path, "/dev/shm/kgen-%ld.measure", (long)geteuid());
    return kgen_measure_lock_take_at(path, mode, KGEN_MEASURE_LOCK_SECONDS);
}

void kgen_measure_lock_release(int lock)
{
    if (lock >= 0)
        close(lock);
}
