/* SPDX-License-Identifier: MIT */
/* The file of the cache: lines appended in one write under a lock, by any number of processes. Internal to
 * the cache. */
#ifndef KGEN_CACHE_FILE_H
#define KGEN_CACHE_FILE_H

#include "gen/base/base.h"

/* Its name in the cache's folder. */
#define KGEN_CACHE_RECORDS "records.jsonl"
/* Appended to it, the name of the file that stands for a lock. */
#define KGEN_CACHE_LOCK_SUFFIX ".lock"

struct kgen_cache_file {
    char *path;     /* owned; NULL: no file */
    int descriptor; /* -1: not open */
    bool writable;
    bool probed;    /* whether locks exclude is known */
    bool lockless;  /* they do not: a file beside it stands for one */
    bool impatient; /* waiting for the lock was in vain; appends try it without waiting until one gets it */
    struct kgen_text waiting; /* lines that could not be written for want of the lock, for the next append */
};

/* Opens the file, made if need be. A file that can only be read is opened all the same, with writable false
 * and the reason in error: the result is then -1, but descriptor is not. */
int kgen_cache_file_open(struct kgen_cache_file *file, const char *path, struct kgen_error *error);
/* Opens a file that is there, only to read it. */
int kgen_cache_file_open_read(struct kgen_cache_file *file, const char *path, struct kgen_error *error);
void kgen_cache_file_close(struct kgen_cache_file *file);

/* Reads the file from a place on into data, which the caller frees. */
int kgen_cache_file_read(const struct kgen_cache_file *file, size_t from, char **data, size_t *length,
                         struct kgen_error *error);

/* Makes sure that what is read next is what the path names now. Returns 0; 1 where another file has taken its
 * place since the last call; -1 where it cannot be opened again, and then it is no longer writable. */
int kgen_cache_file_renew(struct kgen_cache_file *file, struct kgen_error *error);

/* Appends a line that ends with a newline. Where the file ends within a line, it is first ended. A line that
 * does not fit on the disk is taken back whole. Where the lock cannot be had, the line is appended without it
 * on a file system with locks of its own; on others, where appends overwrite each other, it waits for the
 * next append or the closing of the file. */
int kgen_cache_file_append(struct kgen_cache_file *file, const char *line, size_t length,
                           struct kgen_error *error);

/* Replaces the contents, by a rename, provided that they are still expected_length bytes. Returns 0 when
 * replaced, 1 when another process has changed or locked the file, -1 on an error. */
int kgen_cache_file_replace(struct kgen_cache_file *file, size_t expected_length, const char *data,
                            size_t length, struct kgen_error *error);

/* Removes what a cache keeps in a folder, and nothing else. */
int kgen_cache_folder_clear(const char *folder, struct kgen_error *error);

#endif
