/* SPDX-License-Identifier: MIT */
/* Shared by the files of the cache. */
#ifndef KGEN_CACHE_INTERNAL_H
#define KGEN_CACHE_INTERNAL_H

#include "runtime/cache/claim.h"
#include "runtime/cache/file.h"
#include "runtime/cache/index.h"

struct kgen_cache_messages {
    kgen_message_log *log;
    void *context;
    bool damage_reported;
};

struct kgen_cache {
    char *folder; /* "" where there is none; of a layer beneath, the path of its file */
    struct kgen_cache_file file;
    char *image; /* the file as it was when opened */
    size_t image_length;
    size_t read_to; /* the end of the last whole line that is known */
    struct kgen_cache_index records, facts;
    struct kgen_claims claims;
    struct kgen_cache_messages *messages;
    struct kgen_cache *beneath; /* owned */
};

/* A cache with no file. */
struct kgen_cache *kgen_cache_new(const char *folder, kgen_message_log *log, void *log_context,
                                  struct kgen_error *error);
/* Reads the file. Returns -1 only when memory runs out. */
int kgen_cache_load(struct kgen_cache *cache);
void kgen_cache_warn(const struct kgen_cache *cache, const char *text);
void kgen_cache_warn_error(const struct kgen_cache *cache, const struct kgen_error *error,
                           const char *consequence);

/* The record of an entry, parsed; NULL where it is damaged, with a warning. */
const struct kgen_record *kgen_cache_entry_record(const struct kgen_cache *cache,
                                                  struct kgen_cache_entry *entry);

/* Indexes a line, which it takes over, and appends it to the file. */
int kgen_cache_remember(struct kgen_cache *cache, struct kgen_cache_index *index, uint64_t key,
                        struct kgen_text *line, struct kgen_error *error);

#endif
