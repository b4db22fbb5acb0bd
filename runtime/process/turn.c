/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* F_OFD_SETLK */
#include "runtime/process/turn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gen/base/clock.h"

/* Bytes of the file. Who comes takes the door for as long as it takes to get the room: shared to work,
 * exclusive to measure. */
enum place { DOOR, ROOM };

#define PAUSE_NANOSECONDS 1000000L

static int open_file(void)
{
    char path[64];
    snprintf(path, sizeof path, "/dev/shm/kgen-%ld.turns", (long)geteuid());
    const int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    struct stat status;
    if (file >= 0 && (fstat(file, &status) != 0 || !S_ISREG(status.st_mode) || status.st_uid != geteuid())) {
        close(file); /* someone else's */
        return -1;
    }
    return file;
}

static int set(int file, enum place place, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = place, .l_len = 1};
    return fcntl(file, F_OFD_SETLK, &lock);
}

static int wait_for(int file, enum place place, short type, double until)
{
    while (set(file, place, type) != 0) {
        if ((errno != EAGAIN && errno != EACCES && errno != EINTR) || kgen_clock() > until)
            return -1;
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_NANOSECONDS}, NULL);
    }
    return 0;
}

int kgen_turn_take(enum kgen_turn_kind kind)
{
    const int file = open_file();
    if (file < 0)
        return -1;
    const double until = kgen_clock() + KGEN_TURN_SECONDS;
    if (wait_for(file, DOOR, F_WRLCK, until) == 0 &&
        wait_for(file, ROOM, kind == KGEN_TURN_WORK ? F_RDLCK : F_WRLCK, until) == 0) {
        set(file, DOOR, F_UNLCK);
        return file;
    }
    close(file);
    return -1;
}

void kgen_turn_end(int turn)
{
    if (turn >= 0)
        close(turn);
}
