/* SPDX-License-Identifier: MIT */
#include "runtime/model/paged_caches.h"

#include "gen/ops/buffers.h"
#include "runtime/jit/device.h"

#include <stdlib.h>

int64_t kgen_paged_state(const struct kgen_graph *graph, size_t state)
{
    const struct kgen_problem *problem = &graph->nodes[graph->states[state].node].problem;
    return kgen_problem_has(problem, "page_size") ? kgen_problem_get(problem, "page_size") : 0;
}

size_t kgen_state_bytes(const struct kgen_graph *graph, size_t state, int64_t positions)
{
    struct kgen_problem problem = graph->nodes[graph->states[state].node].problem;
    struct kgen_buffers buffers;
    if (positions == 0)
        return 0;
    kgen_problem_set(&problem, "context", positions);
    kgen_problem_set(&problem, "page_size", 0);
    kgen_problem_buffers(&problem, &buffers);
    const int buffer = kgen_buffers_find(&buffers, graph->states[state].buffer);
    return buffer >= 0 ? buffers.items[buffer].bytes : 0;
}

/* ---- the memory ---- */

static int fail_memory(struct kgen_error *error)
{
    return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "no memory for the pages of caches");
}

/* The group of a state, which is made where there is none yet. */
static size_t group_of(struct kgen_paged_caches *caches, size_t state)
{
    const struct kgen_problem *problem = &caches->graph->nodes[caches->graph->states[state].node].problem;
    const int64_t window = kgen_problem_get(problem, "window");
    const int64_t context = kgen_problem_get(problem, "context");
    const int64_t entries = (context + caches->page_size - 1) / caches->page_size;
    size_t i = 0;
    while (i < caches->group_count &&
           (caches->group[i].window != window || caches->group[i].entries != entries))
        i++;
    if (i == caches->group_count)
        caches->group[caches->group_count++] = (struct kgen_page_group){.window = window, .entries = entries};
    return i;
}

static int allocate_state(struct kgen_paged_caches *caches, size_t state, struct kgen_error *error)
{
    const int64_t count = kgen_pages_count(caches->group[caches->groups[state]].pages);
    size_t bytes;
    if (__builtin_mul_overflow(caches->page_bytes[state], (size_t)count, &bytes))
        return fail_memory(error);
    caches->states[state] = kgen_device_cpu()->allocate(KGEN_MEMORY_FILLED_SLOWLY, bytes, error);
    return caches->states[state] != NULL ? 0 : -1;
}

static int make(struct kgen_paged_caches *caches, int64_t pages, struct kgen_error *error)
{
    const struct kgen_graph *graph = caches->graph;
    caches->states = calloc(graph->state_count, sizeof *caches->states);
    caches->page_bytes = calloc(graph->state_count, sizeof *caches->page_bytes);
    caches->groups = calloc(graph->state_count, sizeof *caches->groups);
    caches->group = calloc(graph->state_count, sizeof *caches->group);
    if (caches->states == NULL || caches->page_bytes == NULL || caches->groups == NULL ||
        caches->group == NULL)
        return fail_memory(error);
    for (size_t i = 0; i < graph->state_count; i++) {
        if (kgen_paged_state(graph, i) > 0)
            caches->groups[i] = group_of(caches, i);
    }
    const int64_t sequences = graph->sequences > 1 ? graph->sequences : 1;
    for (size_t i = 0; i < caches->group_count; i++) {
        struct kgen_page_group *group = &caches->group[i];
        group->pages =
            kgen_pages_new(pages > 0 ? pages : sequences * group->entries, caches->page_size, error);
        if (group->pages == NULL)
            return -1;
    }
    for (size_t i = 0; i < graph->state_count; i++) {
        if (kgen_paged_state(graph, i) == 0)
            continue;
        caches->page_bytes[i] = kgen_state_bytes(graph, i, caches->page_size);
        if (allocate_state(caches, i, error) != 0)
            return -1;
    }
    return 0;
}

int kgen_paged_caches_new(const struct kgen_graph *graph, int64_t pages, struct kgen_paged_caches **caches,
                          struct kgen_error *error)
{
    int64_t page_size = 0;
    *caches = NULL;
    for (size_t i = 0; i < graph->state_count; i++) {
        const int64_t of_state = kgen_paged_state(graph, i);
        if (of_state > 0 && page_size > 0 && of_state != page_size)
            return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0,
                                  "the caches have pages of %lld and of %lld positions", (long long)page_size,
                                  (long long)of_state);
        page_size = of_state > 0 ? of_state : page_size;
    }
    if (page_size == 0)
        return 0;
    *caches = calloc(1, sizeof **caches);
    if (*caches == NULL)
        return fail_memory(error);
    (*caches)->graph = graph;
    (*caches)->page_size = page_size;
    if (make(*caches, pages, error) == 0)
        return 0;
    kgen_paged_caches_free(*caches);
    *caches = NULL;
    return -1;
}

void kgen_paged_caches_free(struct kgen_paged_caches *caches)
{
    if (caches == NULL)
        return;
    for (size_t i = 0; caches->states != NULL && caches->group != NULL && i < caches->graph->state_count;
         i++) {
        if (caches->states[i] != NULL)
            kgen_device_cpu()->deallocate(
                KGEN_MEMORY_FILLED_SLOWLY, caches->states[i],
                caches->page_bytes[i] * (size_t)kgen_pages_count(caches->group[caches->groups[i]].pages));
    }
    for (size_t i = 0; caches->group != NULL && i < caches->group_count; i++)
        kgen_pages_free(caches->group[i].pages);
    free(caches->states);
    free(caches->page_bytes);
    free(caches->groups);
    free(caches->group);
    free(caches);
}
