/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* madvise */
#include "runtime/cache/file.h"

#include "gen/base/file.h"

#include "runtime/cache/claim.h"
#include "runtime/cache/locks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A process holds the lock for about a millisecond. One that holds it for longer was stopped. */
#define LOCK_TRIES 250
/* Where a file is the lock, an append takes some round trips to a server and its disk. */
#define FILE_LOCK_TRIES 2500
#define LOCK_PAUSE_NANOSECONDS 2000000L
#define READ_LIMIT ((size_t)1 << 31)

static int io_error(struct kgen_error *error, const char *path, const char *what)
{
    return kgen_error_set(error, KGEN_ERROR_IO, path, 0, 0, "%s: %s", what, strerror(errno));
}

#define OPEN_FLAGS (O_CLOEXEC | O_NOCTTY | O_NONBLOCK)

static int check_regular(struct kgen_cache_file *file, struct kgen_error *error)
{
    struct stat status;
    if (fstat(file->descriptor, &status) == 0 && S_ISREG(status.st_mode))
        return 0;
    close(file->descriptor);
    file->descriptor = -1;
    file->writable = false;
    return kgen_error_set(error, KGEN_ERROR_IO, file->path, 0, 0, "the cache is not a regular file");
}

static int open_descriptor(struct kgen_cache_file *file, struct kgen_error *error)
{
    file->descriptor = open(file->path, O_RDWR | O_APPEND | O_CREAT | OPEN_FLAGS, 0666);
    file->writable = file->descriptor >= 0;
    int result = file->writable ? 0 : io_error(error, file->path, "cannot write the cache");
    if (file->descriptor < 0)
        file->descriptor = open(file->path, O_RDONLY | OPEN_FLAGS);
    if (file->descriptor >= 0 && check_regular(file, error) != 0)
        result = -1;
    return result;
}

static int set_path(struct kgen_cache_file *file, const char *path, struct kgen_error *error)
{
    *file = (struct kgen_cache_file){.path = strdup(path), .descriptor = -1};
    if (file->path == NULL)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, path, 0, 0, "out of memory");
    return 0;
}

int kgen_cache_file_open(struct kgen_cache_file *file, const char *path, struct kgen_error *error)
{
    return set_path(file, path, error) != 0 ? -1 : open_descriptor(file, error);
}

int kgen_cache_file_open_read(struct kgen_cache_file *file, const char *path, struct kgen_error *error)
{
    if (set_path(file, path, error) != 0)
        return -1;
    file->descriptor = open(path, O_RDONLY | OPEN_FLAGS);
    if (file->descriptor < 0)
        return io_error(error, path, "cannot read the cache");
    return check_regular(file, error);
}

static int append_locked(struct kgen_cache_file *file, const char *line, size_t length, bool locked,
                         struct kgen_error *error);

/* Lines for which there was no lock are appended without it at the end: another process may write into one of
 * them, which readers then ignore, but without this all of them would be lost. */
void kgen_cache_file_close(struct kgen_cache_file *file)
{
    if (file->waiting.length > 0) {
        file->no_wait = false;
        kgen_cache_file_append(file, "", 0, NULL);
        if (file->waiting.length > 0 && file->descriptor >= 0)
            append_locked(file, file->waiting.data, file->waiting.length, false, NULL);
        kgen_text_free(&file->waiting);
    }
    if (file->descriptor >= 0)
        close(file->descriptor);
    free(file->path);
    *file = (struct kgen_cache_file){.descriptor = -1};
}

/* Memory for size bytes. Where they are many, in huge pages if the kernel grants them: with small ones, most
 * of the time of reading a large file goes into page faults. */
static char *allocate(size_t size)
{
#ifdef MADV_HUGEPAGE
    const size_t huge = (size_t)2 << 20;
    if (size > 2 * huge) {
        char *bytes = aligned_alloc(huge, (size + huge - 1) / huge * huge);
        if (bytes != NULL)
            madvise(bytes, size / huge * huge, MADV_HUGEPAGE);
        return bytes;
    }
#endif
    return malloc(size);
}

int kgen_cache_file_read(const struct kgen_cache_file *file, size_t from, char **data, size_t *length,
                         struct kgen_error *error)
{
    struct stat status;
    if (fstat(file->descriptor, &status) != 0)
        return io_error(error, file->path, "cannot examine the cache");
    if (status.st_size < 0 || (uintmax_t)status.st_size > READ_LIMIT)
        return kgen_error_set(error, KGEN_ERROR_IO, file->path, 0, 0, "the cache is larger than %zu bytes",
                              READ_LIMIT);
    size_t size = (size_t)status.st_size > from ? (size_t)status.st_size - from : 0;
    char *bytes = allocate(size + 1);
    if (bytes == NULL)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, file->path, 0, 0, "out of memory");
    size_t done = 0;
    while (done < size) {
        ssize_t got = pread(file->descriptor, bytes + done, size - done, (off_t)(from + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            free(bytes);
            return io_error(error, file->path, "cannot read the cache");
        }
        if (got == 0)
            break;
        done += (size_t)got;
    }
    bytes[done] = '\0';
    *data = bytes;
    *length = done;
    return 0;
}

/* Whether the path still names the open file: compacting and clearing the cache replace it. */
static bool is_current(const struct kgen_cache_file *file)
{
    struct stat mine, named;
    return fstat(file->descriptor, &mine) == 0 && stat(file->path, &named) == 0 &&
           mine.st_dev == named.st_dev && mine.st_ino == named.st_ino;
}

static int reopen(struct kgen_cache_file *file, struct kgen_error *error)
{
    close(file->descriptor);
    return open_descriptor(file, error);
}

int kgen_cache_file_renew(struct kgen_cache_file *file, struct kgen_error *error)
{
    const bool replaced = !is_current(file);
    /* A network file system shows what other hosts wrote only after the file is opened again. */
    if ((replaced || file->by_lock_file) && reopen(file, error) != 0)
        return -1;
    return replaced;
}

static bool lock_path(const struct kgen_cache_file *file, struct kgen_text *path)
{
    kgen_text_printf(path, "%s" KGEN_CACHE_LOCK_SUFFIX, file->path);
    return !path->failed;
}

/* 1 locked, 0 held by another, -1 there is no lock. */
static int try_lock(struct kgen_cache_file *file)
{
    if (!file->locks_tried) {
        file->locks_tried = true;
        file->by_lock_file = !kgen_locks_exclude(file->path);
    }
    if (!file->by_lock_file) {
        if (flock(file->descriptor, LOCK_EX | LOCK_NB) == 0)
            return 1;
        if (errno == EWOULDBLOCK || errno == EINTR)
            return 0;
        file->by_lock_file = true;
    }
    struct kgen_text path = {0};
    const int taken = lock_path(file, &path) ? kgen_claim_file_take(path.data) : -1;
    kgen_text_free(&path);
    return taken;
}

static void unlock_file(struct kgen_cache_file *file)
{
    struct kgen_text path = {0};
    if (!file->by_lock_file) {
        flock(file->descriptor, LOCK_UN);
        return;
    }
    /* A network file system may hold back what was written, but the host that has the lock next must see it.
     * Where this fails the line is lost, as on a full disk. */
    fdatasync(file->descriptor);
    if (lock_path(file, &path))
        kgen_claim_file_drop(path.data);
    kgen_text_free(&path);
}

enum locked { LOCKED, HELD_BY_ANOTHER, NO_LOCK };

/* Locks the file that the path names, waiting for a short time. Returns -1 when it cannot be opened again. */
static int lock_file(struct kgen_cache_file *file, struct kgen_error *error)
{
    for (int try = 0; try < (file->by_lock_file ? FILE_LOCK_TRIES : LOCK_TRIES); try++) {
        if (!is_current(file) && reopen(file, error) != 0)
            return -1;
        const int locked = try_lock(file);
        if (locked < 0)
            return NO_LOCK;
        if (locked == 1) {
            const int renewed = kgen_cache_file_renew(file, error);
            if (renewed == 0 || (renewed == 1 && file->by_lock_file)) {
                file->no_wait = false;
                return LOCKED;
            }
            unlock_file(file);
            if (renewed < 0)
                return -1;
        }
        if (file->no_wait)
            break;
        if (locked == 0)
            nanosleep(&(struct timespec){.tv_nsec = LOCK_PAUSE_NANOSECONDS}, NULL);
    }
    file->no_wait = true;
    return HELD_BY_ANOTHER;
}

/* Whether the file ends within a line. */
static bool ends_in_line(const struct kgen_cache_file *file, off_t size)
{
    char last = '\n';
    return size > 0 && pread(file->descriptor, &last, 1, size - 1) == 1 && last != '\n';
}

static int append_locked(struct kgen_cache_file *file, const char *line, size_t length, bool locked,
                         struct kgen_error *error)
{
    struct stat status;
    if (fstat(file->descriptor, &status) != 0)
        return io_error(error, file->path, "cannot examine the cache");
    struct kgen_text text = {0};
    if (ends_in_line(file, status.st_size))
        kgen_text_puts(&text, "\n");
    kgen_text_append(&text, line, length);
    if (text.failed) {
        kgen_text_free(&text);
        return kgen_error_set(error, KGEN_ERROR_MEMORY, file->path, 0, 0, "out of memory");
    }
    ssize_t written;
    do
        written = write(file->descriptor, text.data, text.length);
    while (written < 0 && errno == EINTR);
    int result = 0;
    if (written < 0) {
        result = io_error(error, file->path, "cannot write the cache");
    } else if ((size_t)written < text.length) {
        result = kgen_error_set(error, KGEN_ERROR_IO, file->path, 0, 0,
                                "cannot write the cache: the disk is full");
        /* Without the lock, another process may have written behind it: the part of the line stays, and
         * readers ignore it. */
        if (locked && ftruncate(file->descriptor, status.st_size) != 0)
            result = -1;
    }
    kgen_text_free(&text);
    return result;
}

/* Keeps a line that could not be written. */
static int keep_for_next_append(struct kgen_cache_file *file, const char *line, size_t length,
                                struct kgen_error *error)
{
    kgen_text_append(&file->waiting, line, length);
    if (file->waiting.failed)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, file->path, 0, 0, "out of memory");
    return 0;
}

int kgen_cache_file_append(struct kgen_cache_file *file, const char *line, size_t length,
                           struct kgen_error *error)
{
    int locked = lock_file(file, error);
    if (locked < 0)
        return -1;
    if (locked == HELD_BY_ANOTHER && file->by_lock_file)
        return keep_for_next_append(file, line, length, error);
    int result = 0;
    if (file->waiting.length > 0) {
        result = keep_for_next_append(file, line, length, error);
        line = file->waiting.data;
        length = file->waiting.length;
    }
    if (result == 0)
        result = append_locked(file, line, length, locked == LOCKED, error);
    kgen_text_free(&file->waiting);
    if (locked == LOCKED)
        unlock_file(file);
    return result;
}

int kgen_cache_file_replace(struct kgen_cache_file *file, size_t expected_length, const char *data,
                            size_t length, struct kgen_error *error)
{
    int locked = lock_file(file, error);
    if (locked != LOCKED)
        return locked < 0 ? -1 : 1;
    struct stat status;
    int result = 1;
    if (fstat(file->descriptor, &status) == 0 && (uintmax_t)status.st_size == expected_length)
        result = kgen_file_write(file->path, data, length, error);
    unlock_file(file);
    if (result == 0 && !is_current(file))
        result = reopen(file, error);
    return result;
}
