/* SPDX-License-Identifier: MIT */
/* The pages of one sequence. */
#include "runtime/model/paged_caches.h"

#include <stdlib.h>
#include <string.h>

static int64_t pages_up_to(const struct kgen_page_tables *tables, int64_t position)
{
    return (position + tables->caches->page_size - 1) / tables->caches->page_size;
}

/* The first page that a query at a position sees in layers of a group. */
static int64_t first_seen(const struct kgen_page_tables *tables, const struct kgen_page_group *group,
                          int64_t position)
{
    return group->window > 0 && position >= group->window
               ? (position + 1 - group->window) / tables->caches->page_size
               : 0;
}

static unsigned char *page_at(const struct kgen_paged_caches *caches, size_t state, int32_t page)
{
    return (unsigned char *)caches->states[state] + caches->page_bytes[state] * (size_t)page;
}

int kgen_page_tables_new(struct kgen_page_tables *tables, struct kgen_paged_caches *caches,
                         struct kgen_error *error)
{
    *tables = (struct kgen_page_tables){.caches = caches};
    tables->tables = calloc(caches->group_count, sizeof *tables->tables);
    bool made = tables->tables != NULL;
    for (size_t i = 0; made && i < caches->group_count; i++) {
        const size_t bytes = (size_t)caches->group[i].entries * sizeof *tables->tables[i];
        tables->tables[i] = malloc(bytes);
        made = tables->tables[i] != NULL;
        if (made)
            memset(tables->tables[i], 0xff, bytes); /* -1 */
    }
    if (made)
        return 0;
    kgen_page_tables_free(tables);
    return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "no memory for the tables of pages");
}

/* Gives back entries of a table. */
static void give_back(struct kgen_page_tables *tables, size_t group, int64_t begin, int64_t end)
{
    int32_t *table = tables->tables[group];
    for (int64_t i = begin; i < end; i++) {
        if (table[i] >= 0)
            kgen_pages_give_back(tables->caches->group[group].pages, table[i]);
        table[i] = -1;
    }
}

void kgen_page_tables_free(struct kgen_page_tables *tables)
{
    for (size_t i = 0; tables->tables != NULL && i < tables->caches->group_count; i++) {
        if (tables->tables[i] != NULL)
            give_back(tables, i, 0, tables->caches->group[i].entries);
        free(tables->tables[i]);
    }
    free(tables->tables);
    *tables = (struct kgen_page_tables){0};
}

/* Makes an entry a page of its own that holds what the shared one has of so many positions. */
static void copy_page(const struct kgen_page_tables *tables, size_t group, int32_t from, int32_t to,
                      int64_t positions)
{
    const struct kgen_paged_caches *caches = tables->caches;
    for (size_t i = 0; i < caches->graph->state_count; i++) {
        if (caches->states[i] != NULL && caches->groups[i] == group)
            memcpy(page_at(caches, i, to), page_at(caches, i, from),
                   kgen_state_bytes(caches->graph, i, positions));
    }
}

int kgen_page_tables_reserve(struct kgen_page_tables *tables, int64_t position, int64_t count,
                             struct kgen_error *error)
{
    const int64_t page_size = tables->caches->page_size, end = pages_up_to(tables, position + count);
    for (size_t i = 0; i < tables->caches->group_count; i++) {
        struct kgen_pages *pages = tables->caches->group[i].pages;
        int32_t *table = tables->tables[i];
        for (int64_t entry = position / page_size; entry < end; entry++) {
            const int32_t old = table[entry];
            if (old >= 0 && !kgen_pages_are_shared(pages, old))
                continue;
            if (kgen_pages_take(pages, &table[entry], 1, error) != 0)
                return -1;
            if (old < 0)
                continue;
            if (entry * page_size < position)
                copy_page(tables, i, old, table[entry], position - entry * page_size);
            kgen_pages_give_back(pages, old);
        }
    }
    return 0;
}

int kgen_page_tables_check(struct kgen_page_tables *tables, int64_t position, int64_t count, int64_t rows,
                           struct kgen_error *error)
{
    const int64_t page_size = tables->caches->page_size, end = pages_up_to(tables, position + count);
    for (size_t i = 0; i < tables->caches->group_count; i++) {
        const struct kgen_page_group *group = &tables->caches->group[i];
        const int64_t at_once = (group->window + rows) / page_size + 2;
        int64_t wanted = 0;
        for (int64_t entry = position / page_size; entry < end; entry++) {
            const int32_t old = tables->tables[i][entry];
            wanted += old < 0 || kgen_pages_are_shared(group->pages, old);
        }
        if (group->window > 0 && wanted > at_once)
            wanted = at_once;
        if (kgen_pages_check(group->pages, wanted, error) != 0)
            return -1;
    }
    return 0;
}

void kgen_page_tables_truncate(struct kgen_page_tables *tables, int64_t position)
{
    for (size_t i = 0; i < tables->caches->group_count; i++)
        give_back(tables, i, pages_up_to(tables, position), tables->caches->group[i].entries);
    if (position == 0)
        tables->earliest = 0;
}

void kgen_page_tables_roll(struct kgen_page_tables *tables, int64_t kept, int64_t position)
{
    const int64_t page_size = tables->caches->page_size, begin = pages_up_to(tables, kept);
    for (size_t i = 0; i < tables->caches->group_count; i++) {
        const struct kgen_page_group *group = &tables->caches->group[i];
        const int64_t end = first_seen(tables, group, position);
        if (end <= begin)
            continue;
        give_back(tables, i, begin, end);
        const int64_t earliest = end * page_size + group->window - 1;
        if (kept == 0 && earliest > tables->earliest)
            tables->earliest = earliest;
    }
}

void kgen_page_tables_share(struct kgen_page_tables *to, const struct kgen_page_tables *from)
{
    for (size_t i = 0; i < to->caches->group_count; i++) {
        const struct kgen_page_group *group = &to->caches->group[i];
        for (int64_t entry = 0; entry < group->entries; entry++) {
            if (from->tables[i][entry] >= 0)
                kgen_pages_share(group->pages, from->tables[i][entry]);
        }
        give_back(to, i, 0, group->entries);
        memcpy(to->tables[i], from->tables[i], (size_t)group->entries * sizeof *to->tables[i]);
    }
    to->earliest = from->earliest;
}

/* ---- bytes ---- */

/* Copies between the pages of a state and its positions one after the other. */
static void copy_state(const struct kgen_page_tables *tables, size_t state, int64_t positions,
                       unsigned char *out, const unsigned char *in)
{
    const struct kgen_paged_caches *caches = tables->caches;
    const int32_t *table = tables->tables[caches->groups[state]];
    for (int64_t at = 0; at < positions; at += caches->page_size) {
        const int64_t count = positions - at < caches->page_size ? positions - at : caches->page_size;
        const size_t offset = kgen_state_bytes(caches->graph, state, at);
        const size_t bytes = kgen_state_bytes(caches->graph, state, count);
        const int32_t page = table[at / caches->page_size];
        if (page < 0 && out != NULL)
            memset(out + offset, 0, bytes);
        else if (out != NULL)
            memcpy(out + offset, page_at(caches, state, page), bytes);
        else if (page >= 0)
            memcpy(page_at(caches, state, page), in + offset, bytes);
    }
}

void kgen_page_tables_write(const struct kgen_page_tables *tables, size_t state, int64_t positions,
                            unsigned char *to)
{
    copy_state(tables, state, positions, to, NULL);
}

/* Finds pages for all positions that a query after them sees: free ones. */
static int take_all(struct kgen_page_tables *tables, int64_t positions, struct kgen_error *error)
{
    const int64_t end = pages_up_to(tables, positions);
    for (size_t i = 0; i < tables->caches->group_count; i++) {
        const struct kgen_page_group *group = &tables->caches->group[i];
        const int64_t begin = first_seen(tables, group, positions);
        if (begin < end && kgen_pages_take(group->pages, tables->tables[i] + begin, end - begin, error) != 0)
            return -1;
        const int64_t earliest = begin * tables->caches->page_size + group->window - 1;
        if (begin > 0 && earliest > tables->earliest)
            tables->earliest = earliest;
    }
    return 0;
}

int kgen_page_tables_read(struct kgen_page_tables *tables, const unsigned char *const *from,
                          int64_t positions, struct kgen_error *error)
{
    struct kgen_page_tables made;
    if (kgen_page_tables_new(&made, tables->caches, error) != 0)
        return -1;
    if (take_all(&made, positions, error) != 0) {
        kgen_page_tables_free(&made);
        return -1;
    }
    for (size_t i = 0; i < made.caches->graph->state_count; i++) {
        if (made.caches->states[i] != NULL)
            copy_state(&made, i, positions, NULL, from[i]);
    }
    for (size_t i = 0; i < made.caches->group_count; i++) {
        give_back(tables, i, 0, made.caches->group[i].entries);
        memcpy(tables->tables[i], made.tables[i],
               (size_t)made.caches->group[i].entries * sizeof *made.tables[i]);
        memset(made.tables[i], 0xff, (size_t)made.caches->group[i].entries * sizeof *made.tables[i]);
    }
    tables->earliest = made.earliest;
    kgen_page_tables_free(&made);
    return 0;
}
