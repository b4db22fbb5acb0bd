/* SPDX-License-Identifier: MIT */
/* The file of the cache: lines appended in one write under a lock, by any number of processes. Internal to
 * the cache. */
#ifndef KGEN_CACHE_FILE_H
#define KGEN_CACHE_FILE_H

#include "gen/base/base.h"

/* Its name in the cache's folder. */
#define KGEN_CACHE_RECORDS "records.jsonl"
/* Added to that name: the file that is the lock where kernel locks cannot be relied on. */
#define KGEN_CACHE_LOCK_SUFFIX ".lock"

struct kgen_cache_file {
    char *path;     /* owned; NULL: no file */
    int descriptor; /* -1: not open */
    bool writable;
    bool locks_tried;  /* by_lock_file is known */
    bool by_lock_file; /* kernel locks cannot be relied on: a file beside it is the lock */
    bool no_wait;      /* the last wait for the lock failed; appends do not wait until one of them gets it */
    struct kgen_text
        waiting; /* lines that could not be written without the lock; the next append writes them */
};

/* Opens the file, and creates it where it does not exist. A file that can only be read is opened for reading:
 * then the result is -1 with the reason in error, writable is false, and descriptor is not -1. */
int kgen_cache_file_open(struct kgen_cache_file *file, const char *path, struct kgen_error *error);
/* Opens an existing file for reading. */
int kgen_cache_file_open_read(struct kgen_cache_file *file, const char *path, struct kgen_error *error);
void kgen_cache_file_close(struct kgen_cache_file *file);

/* Reads the file from an offset to its end into data, which the caller frees. */
int kgen_cache_file_read(const struct kgen_cache_file *file, size_t from, char **data, size_t *length,
                         struct kgen_error *error);

/* Opens the file again where its path names another file by now. Returns 0; 1 where the file was replaced
 * since the last call; -1 where it cannot be opened again, and then it is no longer writable. */
int kgen_cache_file_renew(struct kgen_cache_file *file, struct kgen_error *error);

/* Appends a line that ends with a newline. Where the file ends within a line, a newline is written first. A
 * line that does not fit on the disk is removed again. Where another process keeps the lock, the line is
 * appended without it; but where a file is the lock, and appends may overwrite each other, the line is kept
 * for the next append or the closing of the file. */
int kgen_cache_file_append(struct kgen_cache_file *file, const char *line, size_t length,
                           struct kgen_error *error);

/* Replaces the file by a rename, provided that it still has expected_length bytes. Returns 0 when it was
 * replaced, 1 when another process has changed or locked it, -1 on an error. */
int kgen_cache_file_replace(struct kgen_cache_file *file, size_t expected_length, const char *data,
                            size_t length, struct kgen_error *error);

/* Removes the files of a cache from its folder, and no others. */
int kgen_cache_folder_clear(const char *folder, struct kgen_error *error);

#endif
