/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* F_OFD_SETLK, strtok_r */
#include "runtime/cache/claim.h"

#include "runtime/cache/locks.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The owner of a claim, as one line: host, boot of its kernel, pid namespace, pid, start of the process. */
#define OWNER_SIZE 400
/* On a file system without hard links a file gets its line after it was created. A file without one after
 * this time has lost its owner, or its owner has been stopped for as long. */
#define EMPTY_SECONDS 30

int kgen_claims_open(struct kgen_claims *claims, const char *folder, struct kgen_error *error)
{
    *claims = (struct kgen_claims){.folder = strdup(folder), .descriptor = -1};
    if (claims->folder == NULL)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    return 0;
}

void kgen_claims_close(struct kgen_claims *claims)
{
    if (claims->descriptor >= 0)
        close(claims->descriptor);
    free(claims->folder);
    *claims = (struct kgen_claims){.descriptor = -1};
}

static int set_lock(const struct kgen_claims *claims, uint64_t key, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)(key >> 2), .l_len = 1};
    int result;
    do
        result = fcntl(claims->descriptor, F_OFD_SETLK, &lock);
    while (result != 0 && errno == EINTR);
    return result;
}

static int open_locks(struct kgen_claims *claims)
{
    struct kgen_text path = {0};
    kgen_text_printf(&path, "%s/" KGEN_CLAIMS_LOCKS, claims->folder);
    if (!path.failed)
        claims->descriptor = open(path.data, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
    claims->files = claims->descriptor >= 0 && !kgen_locks_exclude(path.data);
    kgen_text_free(&path);
    return claims->descriptor >= 0 ? 0 : -1;
}

static bool claim_path(const struct kgen_claims *claims, uint64_t key, struct kgen_text *path)
{
    kgen_text_printf(path, "%s/" KGEN_CLAIMS_FILES "/%016" PRIx64, claims->folder, key);
    return !path->failed;
}

static bool take_file(const struct kgen_claims *claims, uint64_t key)
{
    struct kgen_text path = {0};
    kgen_text_printf(&path, "%s/" KGEN_CLAIMS_FILES, claims->folder);
    if (!path.failed)
        mkdir(path.data, 0777); /* where that fails, so does the file */
    kgen_text_clear(&path);
    const bool taken = !claim_path(claims, key, &path) || kgen_claim_file_take(path.data) != 0;
    kgen_text_free(&path);
    return taken;
}

bool kgen_claims_take(struct kgen_claims *claims, uint64_t key)
{
    if (claims->files)
        return take_file(claims, key);
    if (claims->descriptor < 0 && open_locks(claims) != 0)
        return true;
    if (claims->files)
        return take_file(claims, key);
    if (set_lock(claims, key, F_WRLCK) == 0)
        return true;
    if (errno == EAGAIN || errno == EACCES)
        return false;
    claims->files = true;
    return take_file(claims, key);
}

void kgen_claims_drop(struct kgen_claims *claims, uint64_t key)
{
    struct kgen_text path = {0};
    if (!claims->files && claims->descriptor >= 0)
        set_lock(claims, key, F_UNLCK);
    else if (claims->files && claim_path(claims, key, &path))
        kgen_claim_file_drop(path.data);
    kgen_text_free(&path);
}

static void read_small(const char *path, char *text, size_t size)
{
    text[0] = '\0';
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return;
    const ssize_t length = read(descriptor, text, size - 1);
    close(descriptor);
    text[length > 0 ? length : 0] = '\0';
}

/* The moment a process started, in ticks since boot; 0 where there is no such process. */
static unsigned long long start_of(long pid)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    read_small(path, text, sizeof text);
    const char *at = strrchr(text, ')'); /* the name before it may hold anything */
    for (int field = 2; at != NULL && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at != NULL ? strtoull(at, NULL, 10) : 0;
}

/* "host boot namespace": within it, a pid can be looked up. */
static void place_here(char place[OWNER_SIZE])
{
    char host[128] = "", boot[64], space[64] = "";
    gethostname(host, sizeof host - 1);
    read_small("/proc/sys/kernel/random/boot_id", boot, sizeof boot);
    boot[strcspn(boot, "\n")] = '\0';
    const ssize_t length = readlink("/proc/self/ns/pid", space, sizeof space - 1);
    space[length > 0 ? length : 0] = '\0';
    snprintf(place, OWNER_SIZE, "%s %s %s", host[0] != '\0' ? host : "-", boot[0] != '\0' ? boot : "-",
             space[0] != '\0' ? space : "-");
}

/* Whether the owner of a claim is known to be dead. */
static bool is_dead(const char *owner)
{
    char here[OWNER_SIZE];
    place_here(here);
    const size_t host = strcspn(here, " "), place = strlen(here);
    if (strncmp(owner, here, host + 1) != 0)
        return false; /* of another host: its age decides */
    if (strncmp(owner, here, place) != 0 || owner[place] != ' ') {
        /* Of this host: before it was booted, or of another container. */
        const size_t boot = host + 1 + strcspn(here + host + 1, " ");
        return strncmp(owner, here, boot + 1) != 0;
    }
    char *end;
    const long pid = strtol(owner + place, &end, 10);
    const unsigned long long start = strtoull(end, NULL, 10);
    if (pid <= 0 || (kill((pid_t)pid, 0) != 0 && errno == ESRCH))
        return true;
    return start != 0 && start_of(pid) != start;
}

static bool is_stale(const char *path, const char *owner)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return false;
    const double age = difftime(time(NULL), status.st_mtime);
    const bool complete = strchr(owner, '\n') != NULL;
    if (complete && is_dead(owner))
        return true;
    return age > (complete ? KGEN_CLAIM_SECONDS : EMPTY_SECONDS);
}

/* Removes a stale file, unless another process has done so first. */
static void remove_stale(const char *path, const char *owner)
{
    struct kgen_text aside = {0};
    char now[OWNER_SIZE];
    kgen_text_printf(&aside, "%s.%ld.stale", path, (long)getpid());
    if (!aside.failed && rename(path, aside.data) == 0) {
        read_small(aside.data, now, sizeof now);
        if (strcmp(now, owner) == 0 || rename(aside.data, path) != 0)
            unlink(aside.data);
    }
    kgen_text_free(&aside);
}

/* Creates a file that names this process as its owner. Returns 0, or -1 with errno. */
static int create_file(const char *path)
{
    const int descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor < 0)
        return -1;
    char place[OWNER_SIZE];
    place_here(place);
    dprintf(descriptor, "%s %ld %llu\n", place, (long)getpid(), start_of((long)getpid()));
    close(descriptor);
    return 0;
}

/* Creates the file of a claim, whole: a process that is killed here leaves no file without an owner. Returns
 * 0, or -1 with errno, EEXIST where there is one. */
static int create_whole(const char *path)
{
    struct kgen_text own = {0};
    struct stat status;
    kgen_text_printf(&own, "%s.%ld.%lx.tmp", path, (long)getpid(), (unsigned long)pthread_self());
    if (own.failed) {
        errno = ENOMEM;
        return -1;
    }
    unlink(own.data); /* of a process that had the same number, and was killed */
    int result = create_file(own.data);
    if (result == 0 && link(own.data, path) != 0) {
        const int reason = errno;
        /* A server may have made the link and its answer been lost. */
        result = stat(own.data, &status) == 0 && status.st_nlink == 2 ? 0 : -1;
        errno = reason;
    }
    const int reason = errno;
    unlink(own.data);
    kgen_text_free(&own);
    errno = reason;
    return result;
}

int kgen_claim_file_take(const char *path)
{
    for (int try = 0; try < 3; try++) {
        if (create_whole(path) == 0)
            return 1;
        if (errno != EEXIST && create_file(path) == 0)
            return 1;
        if (errno != EEXIST)
            return -1;
        char owner[OWNER_SIZE];
        read_small(path, owner, sizeof owner);
        if (!is_stale(path, owner))
            return 0;
        remove_stale(path, owner);
    }
    return 0;
}

void kgen_claim_file_drop(const char *path)
{
    unlink(path);
}
