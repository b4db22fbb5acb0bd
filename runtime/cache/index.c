/* SPDX-License-Identifier: MIT */
#include "runtime/cache/index.h"

#include <stdlib.h>
#include <string.h>

static size_t slot_of(const struct kgen_cache_index *index, uint64_t key)
{
    size_t mask = index->slot_count - 1;
    size_t slot = (size_t)(key ^ key >> 32) & mask;
    while (index->slots[slot] != 0 && index->entries[index->slots[slot] - 1].key != key)
        slot = (slot + 1) & mask;
    return slot;
}

struct kgen_cache_entry *kgen_cache_index_find(const struct kgen_cache_index *index, uint64_t key)
{
    if (index->slot_count == 0)
        return NULL;
    uint32_t found = index->slots[slot_of(index, key)];
    return found != 0 ? &index->entries[found - 1] : NULL;
}

/* capacity is a power of two. */
static int index_resize(struct kgen_cache_index *index, size_t capacity)
{
    uint32_t *slots = calloc(capacity * 2, sizeof *slots);
    struct kgen_cache_entry *entries = realloc(index->entries, capacity * sizeof *entries);
    if (entries != NULL)
        index->entries = entries;
    if (entries == NULL || slots == NULL || capacity >= UINT32_MAX) {
        free(slots);
        return -1;
    }
    free(index->slots);
    index->slots = slots;
    index->slot_count = capacity * 2;
    index->capacity = capacity;
    for (size_t i = 0; i < index->count; i++)
        slots[slot_of(index, index->entries[i].key)] = (uint32_t)(i + 1);
    return 0;
}

static int index_grow(struct kgen_cache_index *index)
{
    return index_resize(index, index->capacity == 0 ? 256 : index->capacity * 2);
}

int kgen_cache_index_reserve(struct kgen_cache_index *index, size_t keys)
{
    size_t capacity = index->capacity == 0 ? 256 : index->capacity;
    while (capacity < keys && capacity < UINT32_MAX / 2)
        capacity *= 2;
    return capacity == index->capacity ? 0 : index_resize(index, capacity);
}

static void retire(struct kgen_cache_index *index, struct kgen_parsed_record *parsed)
{
    if (parsed == NULL)
        return;
    parsed->next = index->retired;
    index->retired = parsed;
}

int kgen_cache_index_put(struct kgen_cache_index *index, uint64_t key, const char *line, size_t length,
                         char *own_line)
{
    if (index->count == index->capacity && index_grow(index) != 0)
        return -1;
    size_t slot = slot_of(index, key);
    if (index->slots[slot] == 0) {
        index->slots[slot] = (uint32_t)++index->count;
        index->entries[index->count - 1] = (struct kgen_cache_entry){0};
    }
    struct kgen_cache_entry *entry = &index->entries[index->slots[slot] - 1];
    free(entry->own_line);
    retire(index, entry->parsed);
    *entry = (struct kgen_cache_entry){.key = key, .line = line, .length = length, .own_line = own_line};
    return 0;
}

void kgen_cache_index_free(struct kgen_cache_index *index)
{
    for (size_t i = 0; i < index->count; i++) {
        free(index->entries[i].own_line);
        kgen_parsed_record_free(index->entries[i].parsed);
    }
    while (index->retired != NULL) {
        struct kgen_parsed_record *next = index->retired->next;
        kgen_parsed_record_free(index->retired);
        index->retired = next;
    }
    free(index->entries);
    free(index->slots);
    *index = (struct kgen_cache_index){0};
}
