/* SPDX-License-Identifier: MIT */
#include "cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache_file.h"
#include "cache_record.h"

/* Shorter files are not worth compacting. */
#define COMPACT_LINES 1000

/* The latest line of a key. Records are parsed when they are first asked for. */
struct entry {
    uint64_t key;
    const char *line;
    size_t length;
    char *own_line; /* NULL where the line lies in the image of the file; owned */
    struct kgen_parsed_record *parsed;
    bool damaged;
};

/* Entries in the order of their keys' first appearance, and a hash table of their indices plus one. */
struct index {
    struct entry *entries;
    size_t count, capacity;
    uint32_t *slots;
    size_t slot_count; /* a power of two, or 0 */
};

struct messages {
    kgen_log *log;
    void *context;
    bool told_damage;
};

struct kgen_cache {
    char *folder; /* "" where there is none */
    struct kgen_cache_file file;
    char *image; /* the file as it was when opened */
    size_t image_length;
    struct index records, facts;
    struct messages *messages;
};

static void warn(const struct kgen_cache *cache, const char *text)
{
    if (cache->messages->log != NULL)
        cache->messages->log(cache->messages->context, 0, text);
}

static void warn_error(const struct kgen_cache *cache, const struct kgen_error *error,
                       const char *consequence)
{
    char place[1024], text[1280];
    kgen_error_format(error, place, sizeof place);
    snprintf(text, sizeof text, "%s; %s", place, consequence);
    warn(cache, text);
}

static size_t slot_of(const struct index *index, uint64_t key)
{
    size_t mask = index->slot_count - 1;
    size_t slot = (size_t)(key ^ key >> 32) & mask;
    while (index->slots[slot] != 0 && index->entries[index->slots[slot] - 1].key != key)
        slot = (slot + 1) & mask;
    return slot;
}

static struct entry *index_find(const struct index *index, uint64_t key)
{
    if (index->slot_count == 0)
        return NULL;
    uint32_t found = index->slots[slot_of(index, key)];
    return found != 0 ? &index->entries[found - 1] : NULL;
}

static int index_grow(struct index *index)
{
    size_t capacity = index->capacity == 0 ? 256 : index->capacity * 2;
    uint32_t *slots = calloc(capacity * 2, sizeof *slots);
    struct entry *entries = realloc(index->entries, capacity * sizeof *entries);
    if (entries != NULL) {
        index->entries = entries;
    }
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

static void entry_clear(struct entry *entry)
{
    free(entry->own_line);
    kgen_parsed_record_free(entry->parsed);
}

/* Makes line the latest of its key. Takes own_line over when it succeeds. */
static int index_put(struct index *index, uint64_t key, const char *line, size_t length, char *own_line)
{
    if (index->count == index->capacity && index_grow(index) != 0)
        return -1;
    size_t slot = slot_of(index, key);
    if (index->slots[slot] == 0) {
        index->slots[slot] = (uint32_t)++index->count;
        index->entries[index->count - 1] = (struct entry){0};
    }
    struct entry *entry = &index->entries[index->slots[slot] - 1];
    entry_clear(entry);
    *entry = (struct entry){.key = key, .line = line, .length = length, .own_line = own_line};
    return 0;
}

static void index_free(struct index *index)
{
    for (size_t i = 0; i < index->count; i++)
        entry_clear(&index->entries[i]);
    free(index->entries);
    free(index->slots);
    *index = (struct index){0};
}

/* Steps through the lines of the image: at is the next one, or NULL after the last. */
static bool next_line(const struct kgen_cache *cache, const char **at, const char **line, size_t *length)
{
    const char *limit = cache->image + cache->image_length;
    if (*at == NULL || *at == limit)
        return false;
    const char *end = memchr(*at, '\n', (size_t)(limit - *at));
    *line = *at;
    *length = (size_t)((end != NULL ? end : limit) - *at);
    *at = end != NULL ? end + 1 : NULL;
    return true;
}

struct line_counts {
    size_t lines, kept;
    size_t bad, first_bad;
};

static int index_image(struct kgen_cache *cache, struct line_counts *counts)
{
    const char *at = cache->image, *line;
    size_t length;
    while (next_line(cache, &at, &line, &length)) {
        uint64_t key;
        enum kgen_line_kind kind = kgen_line_classify(line, length, &key);
        struct index *index = kind == KGEN_LINE_RECORD ? &cache->records : &cache->facts;
        counts->lines++;
        if ((kind == KGEN_LINE_RECORD || kind == KGEN_LINE_FACT) &&
            index_put(index, key, line, length, NULL) != 0)
            return -1;
        /* The last line may be one that is being written, or was cut short in any way. */
        if (kind == KGEN_LINE_BAD && at != NULL && counts->bad++ == 0)
            counts->first_bad = counts->lines;
        counts->kept += kind == KGEN_LINE_FOREIGN || kind == KGEN_LINE_BAD;
    }
    counts->kept += cache->records.count + cache->facts.count;
    return 0;
}

/* Rewrites the file with what it still says: the latest line of each key, and the lines that are not ours to
 * judge. */
static void compact(struct kgen_cache *cache)
{
    struct kgen_text text = {0};
    const char *at = cache->image, *line;
    size_t length;
    while (next_line(cache, &at, &line, &length)) {
        uint64_t key;
        enum kgen_line_kind kind = kgen_line_classify(line, length, &key);
        bool keep = kind == KGEN_LINE_FOREIGN || kind == KGEN_LINE_BAD;
        if (kind == KGEN_LINE_RECORD || kind == KGEN_LINE_FACT)
            keep = index_find(kind == KGEN_LINE_RECORD ? &cache->records : &cache->facts, key)->line == line;
        if (keep) {
            kgen_text_append(&text, line, length);
            kgen_text_puts(&text, "\n");
        }
    }
    struct kgen_error error = {0};
    if (!text.failed &&
        kgen_cache_file_replace(&cache->file, cache->image_length, text.data, text.length, &error) < 0)
        warn_error(cache, &error, "the cache was not compacted");
    kgen_text_free(&text);
}

static int load(struct kgen_cache *cache)
{
    struct kgen_error error = {0};
    if (kgen_cache_file_read(&cache->file, &cache->image, &cache->image_length, &error) != 0) {
        warn_error(cache, &error, "earlier results are not used");
        return error.code == KGEN_ERROR_MEMORY ? -1 : 0;
    }
    struct line_counts counts = {0};
    if (index_image(cache, &counts) != 0)
        return -1;
    if (counts.bad > 0) {
        char text[1024];
        snprintf(text, sizeof text, "%.600s:%zu: %zu damaged %s of the cache ignored, this is the first",
                 cache->file.path, counts.first_bad, counts.bad, counts.bad == 1 ? "line" : "lines");
        warn(cache, text);
    }
    if (counts.lines > COMPACT_LINES && counts.lines > 2 * counts.kept && cache->file.writable)
        compact(cache);
    return 0;
}

/* Opens the file of a folder as far as it can be. */
static void open_file(struct kgen_cache *cache, const char *folder)
{
    struct kgen_error error = {0};
    struct kgen_text path = {0};
    kgen_text_printf(&path, "%s/" KGEN_CACHE_RECORDS, folder);
    bool made = kgen_folder_make(folder, &error) == 0;
    if (path.failed)
        warn(cache, "out of memory; nothing will be remembered");
    else if (kgen_cache_file_open(&cache->file, path.data, &error) != 0 || !made)
        warn_error(cache, &error, "nothing new will be remembered");
    kgen_text_free(&path);
}

struct kgen_cache *kgen_cache_open(const char *folder, kgen_log *log, void *log_context,
                                   struct kgen_error *error)
{
    struct kgen_cache *cache = calloc(1, sizeof *cache);
    struct messages *messages = calloc(1, sizeof *messages);
    if (cache == NULL || messages == NULL) {
        free(cache);
        free(messages);
        kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
        return NULL;
    }
    *messages = (struct messages){.log = log, .context = log_context};
    cache->messages = messages;
    cache->file.descriptor = -1;
    if (folder != NULL)
        open_file(cache, folder);
    cache->folder = strdup(cache->file.descriptor >= 0 ? folder : "");
    if (cache->folder == NULL || (cache->file.descriptor >= 0 && load(cache) != 0)) {
        kgen_cache_close(cache);
        kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
        return NULL;
    }
    return cache;
}

void kgen_cache_close(struct kgen_cache *cache)
{
    if (cache == NULL)
        return;
    kgen_cache_file_close(&cache->file);
    index_free(&cache->records);
    index_free(&cache->facts);
    free(cache->image);
    free(cache->folder);
    free(cache->messages);
    free(cache);
}

static const struct kgen_record *entry_record(const struct kgen_cache *cache, struct entry *entry)
{
    if (entry->parsed == NULL && !entry->damaged) {
        entry->parsed = kgen_line_parse_record(entry->line, entry->length, entry->key);
        entry->damaged = entry->parsed == NULL;
        if (entry->damaged && !cache->messages->told_damage) {
            cache->messages->told_damage = true;
            char text[1024];
            snprintf(text, sizeof text, "%.600s: a damaged record is ignored", cache->file.path);
            warn(cache, text);
        }
    }
    return entry->parsed != NULL ? &entry->parsed->record : NULL;
}

const struct kgen_record *kgen_cache_find(const struct kgen_cache *cache, uint64_t key)
{
    struct entry *entry = index_find(&cache->records, key);
    return entry != NULL ? entry_record(cache, entry) : NULL;
}

size_t kgen_cache_count(const struct kgen_cache *cache)
{
    return cache->records.count;
}

const struct kgen_record *kgen_cache_at(const struct kgen_cache *cache, size_t index)
{
    return index < cache->records.count ? entry_record(cache, &cache->records.entries[index]) : NULL;
}

/* Remembers a line, which it takes over, and writes it. */
static int remember(struct kgen_cache *cache, struct index *index, uint64_t key, struct kgen_text *line,
                    struct kgen_error *error)
{
    if (index_put(index, key, line->data, line->length - 1, line->data) != 0) {
        kgen_text_free(line);
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    }
    if (!cache->file.writable)
        return 0;
    struct kgen_error write_error = {0};
    if (kgen_cache_file_append(&cache->file, line->data, line->length, &write_error) != 0) {
        cache->file.writable = false;
        warn_error(cache, &write_error, "nothing more will be remembered");
    }
    return 0;
}

int kgen_cache_append(struct kgen_cache *cache, const struct kgen_record *record, struct kgen_error *error)
{
    struct kgen_text line = {0};
    if (kgen_line_write_record(record, &line, error) != 0) {
        kgen_text_free(&line);
        return -1;
    }
    return remember(cache, &cache->records, record->key, &line, error);
}

int kgen_cache_fact(const struct kgen_cache *cache, const char *machine, const char *name, double *value)
{
    const struct entry *entry = index_find(&cache->facts, kgen_fact_key(machine, name));
    return entry != NULL ? kgen_line_parse_fact(entry->line, entry->length, machine, name, value) : -1;
}

int kgen_cache_set_fact(struct kgen_cache *cache, const char *machine, const char *name, double value,
                        struct kgen_error *error)
{
    struct kgen_text line = {0};
    if (kgen_line_write_fact(machine, name, value, &line, error) != 0) {
        kgen_text_free(&line);
        return -1;
    }
    return remember(cache, &cache->facts, kgen_fact_key(machine, name), &line, error);
}

const char *kgen_cache_path(const struct kgen_cache *cache)
{
    return cache->folder;
}

int kgen_cache_clear(struct kgen_cache *cache, struct kgen_error *error)
{
    index_free(&cache->records);
    index_free(&cache->facts);
    return cache->folder[0] != '\0' ? kgen_cache_folder_clear(cache->folder, error) : 0;
}

uint64_t kgen_record_key(const char *machine, const char *problem, uint64_t variant_hash, const char *engine)
{
    const int schema = KGEN_CACHE_SCHEMA;
    uint64_t hash = kgen_hash(KGEN_HASH_START, &schema, sizeof schema);
    hash = kgen_hash_string(hash, machine);
    hash = kgen_hash_string(hash, problem);
    hash = kgen_hash(hash, &variant_hash, sizeof variant_hash);
    return kgen_hash_string(hash, engine);
}
