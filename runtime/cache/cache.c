/* SPDX-License-Identifier: MIT */
#include "runtime/cache/cache.h"

#include "gen/base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cache/internal.h"

/* Shorter files are not worth compacting. */
#define COMPACT_LINES 1000
/* How often reading and replacing the file are tried again where another process wrote in between. */
#define REMOVE_TRIES 20
/* The usual bytes of a record's line. */
#define USUAL_LINE 400

static void say(const struct kgen_cache *cache, int level, const char *text)
{
    if (cache->messages->log != NULL)
        cache->messages->log(cache->messages->context, level, text);
}

void kgen_cache_warn(const struct kgen_cache *cache, const char *text)
{
    say(cache, KGEN_MESSAGE_WARNING, text);
}

void kgen_cache_warn_error(const struct kgen_cache *cache, const struct kgen_error *error,
                           const char *consequence)
{
    char place[1024], text[1280];
    kgen_error_format(error, place, sizeof place);
    snprintf(text, sizeof text, "%s; %s", place, consequence);
    kgen_cache_warn(cache, text);
}

/* Steps through the lines of the image. *at points to the next line, and is NULL after the last. */
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
    size_t foreign; /* of another schema version */
};

static int index_image(struct kgen_cache *cache, struct line_counts *counts)
{
    const char *at = cache->image, *line;
    size_t length;
    if (kgen_cache_index_reserve(&cache->records, cache->image_length / USUAL_LINE) != 0)
        return -1;
    while (next_line(cache, &at, &line, &length)) {
        uint64_t key;
        enum kgen_line_kind kind = kgen_line_classify(line, length, &key);
        struct kgen_cache_index *index = kind == KGEN_LINE_RECORD ? &cache->records : &cache->facts;
        counts->lines++;
        if ((kind == KGEN_LINE_RECORD || kind == KGEN_LINE_FACT) &&
            kgen_cache_index_put(index, key, line, length, NULL) != 0)
            return -1;
        /* The last line may be incomplete: another process may be writing it, or was killed. */
        if (kind == KGEN_LINE_BAD && at != NULL && counts->bad++ == 0)
            counts->first_bad = counts->lines;
        counts->foreign += kind == KGEN_LINE_FOREIGN;
        counts->kept += kind == KGEN_LINE_FOREIGN || kind == KGEN_LINE_BAD;
    }
    counts->kept += cache->records.count + cache->facts.count;
    return 0;
}

/* Rewrites the file without the lines that later ones replace. Lines of other schema versions and damaged
 * lines stay. */
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
            keep = kgen_cache_index_find(kind == KGEN_LINE_RECORD ? &cache->records : &cache->facts, key)
                       ->line == line;
        if (keep) {
            kgen_text_append(&text, line, length);
            kgen_text_puts(&text, "\n");
        }
    }
    struct kgen_error error = {0};
    const int replaced = text.failed ? 1
                                     : kgen_cache_file_replace(&cache->file, cache->image_length, text.data,
                                                               text.length, &error);
    if (replaced == 0)
        cache->read_to = text.length;
    else if (replaced < 0)
        kgen_cache_warn_error(cache, &error, "the cache was not compacted");
    kgen_text_free(&text);
}

int kgen_cache_load(struct kgen_cache *cache)
{
    struct kgen_error error = {0};
    if (kgen_cache_file_read(&cache->file, 0, &cache->image, &cache->image_length, &error) != 0) {
        kgen_cache_warn_error(cache, &error, "earlier results are not used");
        return error.code == KGEN_ERROR_MEMORY ? -1 : 0;
    }
    cache->read_to = cache->image_length;
    while (cache->read_to > 0 && cache->image[cache->read_to - 1] != '\n')
        cache->read_to--;
    struct line_counts counts = {0};
    if (index_image(cache, &counts) != 0)
        return -1;
    if (counts.bad > 0) {
        char text[1024];
        snprintf(text, sizeof text, "%.600s:%zu: %zu damaged %s of the cache ignored, this is the first",
                 cache->file.path, counts.first_bad, counts.bad, counts.bad == 1 ? "line" : "lines");
        kgen_cache_warn(cache, text);
    }
    if (counts.foreign > 0) {
        char text[1024];
        snprintf(text, sizeof text,
                 "%.600s: %zu records of another version of the cache are passed over, and left in place",
                 cache->file.path, counts.foreign);
        say(cache, cache->records.count == 0 ? 0 : 1, text);
    }
    if (counts.lines > COMPACT_LINES && counts.lines > 2 * counts.kept && cache->file.writable)
        compact(cache);
    return 0;
}

/* Opens the file of a folder for writing, or at least for reading; warns where it cannot be written. */
static void open_file(struct kgen_cache *cache, const char *folder)
{
    struct kgen_error error = {0};
    struct kgen_text path = {0};
    kgen_text_printf(&path, "%s/" KGEN_CACHE_RECORDS, folder);
    bool made = kgen_folder_make(folder, &error) == 0;
    if (path.failed)
        kgen_cache_warn(cache, "out of memory; nothing will be remembered");
    else if (kgen_cache_file_open(&cache->file, path.data, &error) != 0 || !made)
        kgen_cache_warn_error(cache, &error, "nothing new will be remembered");
    kgen_text_free(&path);
}

struct kgen_cache *kgen_cache_new(const char *folder, kgen_message_log *log, void *log_context,
                                  struct kgen_error *error)
{
    struct kgen_cache *cache = calloc(1, sizeof *cache);
    struct kgen_cache_messages *messages = calloc(1, sizeof *messages);
    if (cache != NULL && messages != NULL) {
        *messages = (struct kgen_cache_messages){.log = log, .context = log_context};
        cache->messages = messages;
        cache->file.descriptor = -1;
        cache->claims.descriptor = -1;
        cache->folder = strdup(folder);
        if (cache->folder != NULL)
            return cache;
    }
    free(messages);
    free(cache);
    kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    return NULL;
}

struct kgen_cache *kgen_cache_open(const char *folder, kgen_message_log *log, void *log_context,
                                   struct kgen_error *error)
{
    struct kgen_cache *cache = kgen_cache_new(folder != NULL ? folder : "", log, log_context, error);
    if (cache == NULL)
        return NULL;
    if (folder != NULL)
        open_file(cache, folder);
    const bool opened = cache->file.descriptor >= 0;
    if (!opened)
        cache->folder[0] = '\0';
    if (opened && (kgen_cache_load(cache) != 0 || kgen_claims_open(&cache->claims, folder, error) != 0)) {
        kgen_cache_close(cache);
        kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
        return NULL;
    }
    return cache;
}

void kgen_cache_close(struct kgen_cache *cache)
{
    while (cache != NULL) {
        struct kgen_cache *beneath = cache->beneath;
        kgen_claims_close(&cache->claims);
        kgen_cache_file_close(&cache->file);
        kgen_cache_index_free(&cache->records);
        kgen_cache_index_free(&cache->facts);
        free(cache->image);
        free(cache->folder);
        free(cache->messages);
        free(cache);
        cache = beneath;
    }
}

const struct kgen_record *kgen_cache_entry_record(const struct kgen_cache *cache,
                                                  struct kgen_cache_entry *entry)
{
    if (entry->parsed == NULL && !entry->damaged) {
        entry->parsed = kgen_line_parse_record(entry->line, entry->length, entry->key);
        entry->damaged = entry->parsed == NULL;
        if (entry->damaged && !cache->messages->damage_reported) {
            cache->messages->damage_reported = true;
            char text[1024];
            snprintf(text, sizeof text, "%.600s: a damaged record is ignored", cache->file.path);
            kgen_cache_warn(cache, text);
        }
    }
    return entry->parsed != NULL ? &entry->parsed->record : NULL;
}

const struct kgen_record *kgen_cache_find(const struct kgen_cache *cache, uint64_t key)
{
    for (; cache != NULL; cache = cache->beneath) {
        struct kgen_cache_entry *entry = kgen_cache_index_find(&cache->records, key);
        const struct kgen_record *record = entry != NULL ? kgen_cache_entry_record(cache, entry) : NULL;
        if (record != NULL)
            return record;
    }
    return NULL;
}

bool kgen_cache_is_chosen(const struct kgen_cache *cache, uint64_t key)
{
    for (; cache != NULL; cache = cache->beneath) {
        const struct kgen_cache_entry *entry = kgen_cache_index_find(&cache->records, key);
        if (entry != NULL && !entry->damaged)
            return kgen_line_is_chosen(entry->line, entry->length);
    }
    return false;
}

size_t kgen_cache_count(const struct kgen_cache *cache)
{
    return cache->records.count;
}

const struct kgen_record *kgen_cache_at(const struct kgen_cache *cache, size_t index)
{
    return index < cache->records.count ? kgen_cache_entry_record(cache, &cache->records.entries[index])
                                        : NULL;
}

int kgen_cache_remember(struct kgen_cache *cache, struct kgen_cache_index *index, uint64_t key,
                        struct kgen_text *line, struct kgen_error *error)
{
    if (kgen_cache_index_put(index, key, line->data, line->length - 1, line->data) != 0) {
        kgen_text_free(line);
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    }
    if (!cache->file.writable)
        return 0;
    struct kgen_error write_error = {0};
    if (kgen_cache_file_append(&cache->file, line->data, line->length, &write_error) != 0) {
        cache->file.writable = false;
        kgen_cache_warn_error(cache, &write_error, "nothing more will be remembered");
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
    /* The record is parsed now, so that it can be found even when memory runs out later. */
    struct kgen_parsed_record *parsed = kgen_line_parse_record(line.data, line.length - 1, record->key);
    if (parsed == NULL) {
        kgen_text_free(&line);
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory for a record");
    }
    if (kgen_cache_remember(cache, &cache->records, record->key, &line, error) != 0) {
        kgen_parsed_record_free(parsed);
        return -1;
    }
    kgen_cache_index_find(&cache->records, record->key)->parsed = parsed;
    return 0;
}

/* Indexes whole lines that this process or another has appended. */
static int index_appended_lines(struct kgen_cache *cache, const char *lines, size_t length)
{
    for (const char *at = lines, *end; (end = memchr(at, '\n', length - (size_t)(at - lines))) != NULL;) {
        uint64_t key;
        const size_t line_length = (size_t)(end - at);
        const enum kgen_line_kind kind = kgen_line_classify(at, line_length, &key);
        struct kgen_cache_index *index = kind == KGEN_LINE_RECORD ? &cache->records : &cache->facts;
        if (kind == KGEN_LINE_RECORD || kind == KGEN_LINE_FACT) {
            const struct kgen_cache_entry *known = kgen_cache_index_find(index, key);
            const bool same =
                known != NULL && known->length == line_length && memcmp(known->line, at, line_length) == 0;
            char *line = same ? NULL : strndup(at, line_length);
            if (!same && (line == NULL || kgen_cache_index_put(index, key, line, line_length, line) != 0)) {
                free(line);
                return -1;
            }
        }
        at = end + 1;
        cache->read_to += line_length + 1;
    }
    return 0;
}

int kgen_cache_refresh(struct kgen_cache *cache, struct kgen_error *error)
{
    if (!cache->file.writable)
        return 0;
    struct kgen_error file_error = {0};
    const int renewed = kgen_cache_file_renew(&cache->file, &file_error);
    char *lines = NULL;
    size_t length = 0;
    if (renewed == 1)
        cache->read_to = 0;
    if (renewed < 0 ||
        kgen_cache_file_read(&cache->file, cache->read_to, &lines, &length, &file_error) != 0) {
        cache->file.writable = false;
        kgen_cache_warn_error(cache, &file_error, "nothing more will be remembered");
        return 0;
    }
    const int result = index_appended_lines(cache, lines, length);
    free(lines);
    return result == 0 ? 0 : kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
}

bool kgen_cache_claim(struct kgen_cache *cache, uint64_t key)
{
    return !cache->file.writable || kgen_claims_take(&cache->claims, key);
}

void kgen_cache_release(struct kgen_cache *cache, uint64_t key)
{
    if (cache->claims.folder != NULL)
        kgen_claims_drop(&cache->claims, key);
}

const char *kgen_cache_path(const struct kgen_cache *cache)
{
    return cache->folder;
}

int kgen_cache_clear(struct kgen_cache *cache, struct kgen_error *error)
{
    kgen_cache_index_free(&cache->records);
    kgen_cache_index_free(&cache->facts);
    cache->read_to = 0;
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

static int compare_keys(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Replaces the file by its image without the records of the keys, which are sorted. Returns 1 where another
 * process wrote in the meantime. */
static int rewrite_without(struct kgen_cache *cache, const uint64_t *keys, size_t count,
                           struct kgen_error *error)
{
    struct kgen_text text = {0};
    const char *at = cache->image, *line;
    size_t length;
    while (next_line(cache, &at, &line, &length)) {
        uint64_t key;
        if (kgen_line_classify(line, length, &key) == KGEN_LINE_RECORD && count > 0 &&
            bsearch(&key, keys, count, sizeof key, compare_keys) != NULL)
            continue;
        kgen_text_append(&text, line, length);
        if (at != NULL)
            kgen_text_puts(&text, "\n");
    }
    const int result = text.failed ? kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory")
                                   : kgen_cache_file_replace(&cache->file, cache->image_length, text.data,
                                                             text.length, error);
    kgen_text_free(&text);
    return result;
}

static int reload(struct kgen_cache *cache, struct kgen_error *error)
{
    free(cache->image);
    cache->image = NULL;
    cache->image_length = 0;
    kgen_cache_index_free(&cache->records);
    kgen_cache_index_free(&cache->facts);
    if (kgen_cache_load(cache) != 0)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    return 0;
}

int kgen_cache_remove(struct kgen_cache *cache, const uint64_t *keys, size_t count, struct kgen_error *error)
{
    if (!cache->file.writable)
        return kgen_error_set(error, KGEN_ERROR_IO, cache->file.path, 0, 0, "the cache cannot be written");
    uint64_t *sorted = malloc((count + 1) * sizeof *sorted);
    if (sorted == NULL)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    memcpy(sorted, keys, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_keys);
    int result = 1;
    for (int try = 0; result == 1 && try < REMOVE_TRIES; try++) {
        struct kgen_error file_error = {0};
        if (kgen_cache_file_renew(&cache->file, &file_error) < 0 || reload(cache, error) != 0)
            result = -1;
        else
            result = rewrite_without(cache, sorted, count, error);
    }
    free(sorted);
    if (result == 1)
        return kgen_error_set(error, KGEN_ERROR_IO, cache->file.path, 0, 0,
                              "other processes keep writing the cache; try again when they are done");
    return result == 0 ? reload(cache, error) : -1;
}
