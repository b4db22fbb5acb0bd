/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* F_OFD_SETLK */
#include "runtime/cache/locks.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/file.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/statfs.h>

/* The magic numbers of statfs(2) for file systems that several hosts may have mounted. */
static bool is_shared_by_hosts(int file)
{
    static const uint32_t kinds[] = {
        0x6969,     /* nfs */
        0xff534d42, /* cifs */
        0xfe534d42, /* smb2 */
        0x517b,     /* smbfs */
        0x0bd00bd0, /* lustre */
        0x65735546, /* fuse, as of sshfs and glusterfs */
        0x01021997, /* 9p */
        0x5346414f, /* afs */
        0x6b414653, /* kafs */
        0x00c36400, /* ceph */
        0x47504653, /* gpfs */
        0x7461636f, /* ocfs2 */
        0x01161970, /* gfs2 */
        0x19830326, /* fhgfs (beegfs) */
        0xaad7aaea, /* panfs */
        0x20030528, /* orangefs (pvfs2) */
    };
    struct statfs about;
    if (fstatfs(file, &about) != 0)
        return false;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if ((uint32_t)about.f_type == kinds[i])
            return true;
    }
    return false;
}
#else
static bool is_shared_by_hosts(int file)
{
    (void)file;
    return false;
}
#endif

/* The offsets of claims are less. */
#define PROBED_BYTE (INT64_MAX - 1)

enum answer { GRANTED, TAKEN, NO_LOCKS };

static enum answer answer_of(int result)
{
    if (result == 0)
        return GRANTED;
    return errno == EWOULDBLOCK || errno == EAGAIN || errno == EACCES || errno == EINTR ? TAKEN : NO_LOCKS;
}

static enum answer lock_whole(int file)
{
    return answer_of(flock(file, LOCK_EX | LOCK_NB));
}

static enum answer lock_byte(int file)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = PROBED_BYTE, .l_len = 1};
    return answer_of(fcntl(file, F_OFD_SETLK, &lock));
}

/* A lock that is refused shows that locks exclude, even where another process holds it. */
static bool excludes(int first, int second, enum answer lock(int file))
{
    enum answer answer = lock(first);
    if (answer == GRANTED)
        answer = lock(second);
    return answer == TAKEN;
}

bool kgen_locks_exclude(const char *path)
{
    const int flags = O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    const int first = open(path, flags), second = open(path, flags);
    const bool opened = first >= 0 && second >= 0;
    const bool result = !opened || (!is_shared_by_hosts(first) && excludes(first, second, lock_whole) &&
                                    excludes(first, second, lock_byte));
    if (first >= 0)
        close(first);
    if (second >= 0)
        close(second);
    return result;
}
