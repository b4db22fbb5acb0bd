/* SPDX-License-Identifier: MIT */
/* Facts beside the records, and the records of other machines. */
#define _GNU_SOURCE /* memmem */
#include "runtime/cache/internal.h"

#include <string.h>

int kgen_cache_fact(const struct kgen_cache *cache, const char *machine, const char *name, double *value)
{
    for (; cache != NULL; cache = cache->beneath) {
        const struct kgen_cache_entry *entry =
            kgen_cache_index_find(&cache->facts, kgen_fact_key(machine, name));
        if (entry != NULL && kgen_line_parse_fact(entry->line, entry->length, machine, name, value) == 0)
            return 0;
    }
    return -1;
}

int kgen_cache_set_fact(struct kgen_cache *cache, const char *machine, const char *name, double value,
                        struct kgen_error *error)
{
    struct kgen_text line = {0};
    if (kgen_line_write_fact(machine, name, value, &line, error) != 0) {
        kgen_text_free(&line);
        return -1;
    }
    return kgen_cache_remember(cache, &cache->facts, kgen_fact_key(machine, name), &line, error);
}

int kgen_cache_machine(const struct kgen_cache *cache, const char *identity, struct kgen_machine *machine)
{
    for (; cache != NULL; cache = cache->beneath) {
        const struct kgen_cache_entry *entry =
            kgen_cache_index_find(&cache->facts, kgen_fact_key(identity, KGEN_FACT_MACHINE));
        if (entry != NULL && kgen_line_parse_machine(entry->line, entry->length, identity, machine) == 0)
            return 0;
    }
    return -1;
}

int kgen_cache_set_machine(struct kgen_cache *cache, const struct kgen_machine *machine,
                           struct kgen_error *error)
{
    const uint64_t key = kgen_fact_key(machine->identity, KGEN_FACT_MACHINE);
    if (kgen_cache_index_find(&cache->facts, key) != NULL)
        return 0;
    struct kgen_text line = {0};
    if (kgen_line_write_machine(machine, &line, error) != 0) {
        kgen_text_free(&line);
        return -1;
    }
    return kgen_cache_remember(cache, &cache->facts, key, &line, error);
}

struct related {
    const char *machine, *problem, *engine;
    kgen_record_visit *visit;
    void *context;
};

static int visit_layer(const struct related *related, const struct kgen_cache *top,
                       const struct kgen_cache *layer, bool chosen)
{
    const size_t length = strlen(related->problem);
    int ended = 0;
    for (size_t i = 0; ended == 0 && i < layer->records.count; i++) {
        struct kgen_cache_entry *entry = &layer->records.entries[i];
        /* Parsing takes most of the time, and few records are of this problem: only lines that contain its
         * text are parsed. A line in another layout is passed over. */
        if (memmem(entry->line, entry->length, related->problem, length) == NULL)
            continue;
        const struct kgen_record *record = kgen_cache_entry_record(layer, entry);
        if (record == NULL || record->chosen != chosen || strcmp(record->problem, related->problem) != 0 ||
            strcmp(record->engine, related->engine) != 0 || strcmp(record->machine, related->machine) == 0)
            continue;
        struct kgen_machine machine;
        const bool known = kgen_cache_machine(top, record->machine, &machine) == 0;
        ended = related->visit(related->context, record, known ? &machine : NULL);
    }
    return ended;
}

int kgen_cache_find_related(const struct kgen_cache *cache, const char *machine, const char *problem,
                            const char *engine, kgen_record_visit *visit, void *context)
{
    const struct related related = {machine, problem, engine, visit, context};
    int ended = 0;
    for (int pass = 0; ended == 0 && pass < 2; pass++) {
        for (const struct kgen_cache *layer = cache; ended == 0 && layer != NULL; layer = layer->beneath)
            ended = visit_layer(&related, cache, layer, pass == 0);
    }
    return ended;
}
