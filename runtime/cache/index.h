/* SPDX-License-Identifier: MIT */
/* An index of the latest line of each key. Internal to the cache. */
#ifndef KGEN_CACHE_INDEX_H
#define KGEN_CACHE_INDEX_H

#include "runtime/cache/record.h"

/* The latest line of a key. Records are parsed when they are first asked for. */
struct kgen_cache_entry {
    uint64_t key;
    const char *line; /* without its newline */
    size_t length;
    char *own_line; /* NULL where the line lies in the image of the file; owned */
    struct kgen_parsed_record *parsed;
    bool damaged;
};

/* Entries in the order of their keys' first appearance, and a hash table of their indices plus one.
 * Zero-initialise. */
struct kgen_cache_index {
    struct kgen_cache_entry *entries;
    size_t count, capacity;
    uint32_t *slots;
    size_t slot_count;                  /* a power of two, or 0 */
    struct kgen_parsed_record *retired; /* replaced by later lines; their readers may still hold them */
};

/* Allocates room for a number of keys. Returns -1 when memory runs out. */
int kgen_cache_index_reserve(struct kgen_cache_index *index, size_t keys);
/* NULL where there is none. */
struct kgen_cache_entry *kgen_cache_index_find(const struct kgen_cache_index *index, uint64_t key);
/* Makes line the latest of its key. Takes own_line (may be NULL) over when it succeeds. Returns -1 when
 * memory runs out. */
int kgen_cache_index_put(struct kgen_cache_index *index, uint64_t key, const char *line, size_t length,
                         char *own_line);
void kgen_cache_index_free(struct kgen_cache_index *index);

#endif
