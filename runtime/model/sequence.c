/* SPDX-License-Identifier: MIT */
#include "runtime/model/sequence.h"

#include "runtime/jit/device.h"

#include <stdlib.h>
#include <string.h>

int64_t kgen_sequence_most(const struct kgen_graph *graph)
{
    int64_t most = 0;
    for (size_t i = 0; i < graph->state_count; i++) {
        const int64_t context = kgen_problem_get(&graph->nodes[graph->states[i].node].problem, "context");
        if (!graph->states[i].is_recurrent)
            most = most == 0 || context < most ? context : most;
    }
    return most;
}

size_t kgen_sequence_bytes(const struct kgen_graph *graph, int64_t positions)
{
    size_t bytes = 0;
    for (size_t i = 0; i < graph->state_count; i++)
        bytes += kgen_state_bytes(graph, i, positions);
    return bytes;
}

static int allocate_states(struct kgen_sequence *sequence, struct kgen_error *error)
{
    const struct kgen_graph *graph = sequence->graph;
    sequence->states = calloc(graph->state_count + 1, sizeof *sequence->states);
    sequence->bytes = calloc(graph->state_count + 1, sizeof *sequence->bytes);
    if (sequence->states == NULL || sequence->bytes == NULL)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "no memory for the caches");
    for (size_t i = 0; i < graph->state_count; i++) {
        const struct kgen_problem *problem = &graph->nodes[graph->states[i].node].problem;
        if (kgen_paged_state(graph, i) > 0) {
            sequence->states[i] = sequence->pages.caches->states[i];
            continue;
        }
        const int64_t context = graph->states[i].is_recurrent ? 1 : kgen_problem_get(problem, "context");
        sequence->bytes[i] = kgen_state_bytes(graph, i, context);
        sequence->states[i] =
            kgen_device_cpu()->allocate(KGEN_MEMORY_FILLED_SLOWLY, sequence->bytes[i], error);
        if (sequence->states[i] == NULL)
            return -1;
    }
    return 0;
}

struct kgen_sequence *kgen_sequence_new(const struct kgen_graph *graph, struct kgen_paged_caches *caches,
                                        int64_t context, struct kgen_error *error)
{
    struct kgen_sequence *sequence = calloc(1, sizeof *sequence);
    if (sequence == NULL) {
        kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "no memory for the caches");
        return NULL;
    }
    sequence->graph = graph;
    sequence->context = context;
    if ((caches == NULL || kgen_page_tables_new(&sequence->pages, caches, error) == 0) &&
        allocate_states(sequence, error) == 0)
        return sequence;
    kgen_sequence_free(sequence);
    return NULL;
}

void kgen_sequence_free(struct kgen_sequence *sequence)
{
    if (sequence == NULL)
        return;
    for (size_t i = 0;
         sequence->states != NULL && sequence->bytes != NULL && i < sequence->graph->state_count; i++) {
        if (sequence->bytes[i] > 0)
            kgen_device_cpu()->deallocate(KGEN_MEMORY_FILLED_SLOWLY, sequence->states[i], sequence->bytes[i]);
    }
    kgen_page_tables_free(&sequence->pages);
    free(sequence->states);
    free(sequence->bytes);
    free(sequence);
}

static bool is_recurrent(const struct kgen_graph *graph)
{
    for (size_t i = 0; i < graph->state_count; i++) {
        if (graph->states[i].is_recurrent)
            return true;
    }
    return false;
}

void kgen_sequence_copy(struct kgen_sequence *to, const struct kgen_sequence *from)
{
    for (size_t i = 0; i < from->graph->state_count; i++) {
        if (from->bytes[i] > 0)
            memcpy(to->states[i], from->states[i], kgen_state_bytes(from->graph, i, from->filled));
    }
    if (from->pages.caches != NULL)
        kgen_page_tables_share(&to->pages, &from->pages);
    to->filled = from->filled;
    to->earliest = from->earliest;
}

int64_t kgen_sequence_earliest(const struct kgen_sequence *sequence)
{
    return sequence->earliest > sequence->pages.earliest ? sequence->earliest : sequence->pages.earliest;
}

int kgen_sequence_truncate(struct kgen_sequence *sequence, int64_t position, struct kgen_error *error)
{
    const int64_t earliest = kgen_sequence_earliest(sequence);
    if (position > 0 && position < sequence->filled && is_recurrent(sequence->graph)) {
        kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0,
                       "%lld of %lld positions are asked for, and the states of linear attention cannot go "
                       "back",
                       (long long)position, (long long)sequence->filled);
        kgen_error_hint(error, "begin at position 0, or copy the state where it is to be taken up again");
        return -1;
    }
    if (position > 0 && position < earliest && position < sequence->filled) {
        kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0,
                       "the caches of layers with windows no longer have what comes before position %lld",
                       (long long)position);
        kgen_error_hint(error, "go back to 0, or to %lld and later", (long long)earliest);
        return -1;
    }
    if (sequence->pages.caches != NULL)
        kgen_page_tables_truncate(&sequence->pages, position);
    if (position == 0)
        sequence->earliest = 0;
    sequence->filled = position;
    return 0;
}

/* ---- runs ---- */

int32_t *kgen_sequence_table(const struct kgen_sequence *sequence, size_t state)
{
    const struct kgen_page_tables *pages = &sequence->pages;
    return pages->caches != NULL && pages->caches->states[state] != NULL
               ? pages->tables[pages->caches->groups[state]]
               : NULL;
}

int kgen_sequence_begin(struct kgen_sequence *sequence, int64_t count, int64_t rows, struct kgen_error *error)
{
    if (sequence->pages.caches != NULL &&
        kgen_page_tables_check(&sequence->pages, sequence->filled, count, rows, error) != 0)
        return -1;
    for (size_t i = 0; sequence->filled == 0 && i < sequence->graph->state_count; i++) {
        if (sequence->graph->states[i].is_recurrent)
            memset(sequence->states[i], 0, sequence->bytes[i]);
    }
    return 0;
}

int kgen_sequence_reserve(struct kgen_sequence *sequence, int64_t position, int64_t count,
                          struct kgen_error *error)
{
    if (sequence->pages.caches == NULL)
        return 0;
    kgen_page_tables_roll(&sequence->pages, sequence->filled, position);
    return kgen_page_tables_reserve(&sequence->pages, position, count, error);
}

void kgen_sequence_end(struct kgen_sequence *sequence, int64_t added)
{
    if (added >= 0)
        sequence->filled += added;
    else if (is_recurrent(sequence->graph))
        sequence->filled = 0;
    if (sequence->pages.caches == NULL)
        return;
    kgen_page_tables_truncate(&sequence->pages, sequence->filled);
    kgen_page_tables_roll(&sequence->pages, 0, sequence->filled);
}

/* ---- bytes ---- */

void kgen_sequence_write(const struct kgen_sequence *sequence, unsigned char *to)
{
    for (size_t i = 0; i < sequence->graph->state_count; i++) {
        const size_t bytes = kgen_state_bytes(sequence->graph, i, sequence->filled);
        if (sequence->bytes[i] > 0)
            memcpy(to, sequence->states[i], bytes);
        else
            kgen_page_tables_write(&sequence->pages, i, sequence->filled, to);
        to += bytes;
    }
}

static int read_pages(struct kgen_sequence *sequence, const unsigned char *from, int64_t filled,
                      struct kgen_error *error)
{
    const unsigned char **places = calloc(sequence->graph->state_count + 1, sizeof *places);
    if (places == NULL)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "no memory for the caches");
    for (size_t i = 0; i < sequence->graph->state_count; i++) {
        places[i] = from;
        from += kgen_state_bytes(sequence->graph, i, filled);
    }
    const int result = kgen_page_tables_read(&sequence->pages, places, filled, error);
    free(places);
    return result;
}

int kgen_sequence_read(struct kgen_sequence *sequence, const unsigned char *from, int64_t filled,
                       int64_t earliest, struct kgen_error *error)
{
    if (sequence->pages.caches != NULL && read_pages(sequence, from, filled, error) != 0)
        return -1;
    for (size_t i = 0; i < sequence->graph->state_count; i++) {
        const size_t bytes = kgen_state_bytes(sequence->graph, i, filled);
        if (sequence->bytes[i] > 0)
            memcpy(sequence->states[i], from, bytes);
        from += bytes;
    }
    sequence->filled = filled;
    sequence->earliest = earliest;
    return 0;
}
