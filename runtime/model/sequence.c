/* SPDX-License-Identifier: MIT */
#include "runtime/model/sequence.h"

#include "gen/ops/buffers.h"
#include "runtime/jit/device.h"

#include <stdlib.h>
#include <string.h>

/* The bytes of a state with room for so many positions. Positions lie one after the other, in tiles, so that
 * they are also those of the first positions of a larger one. A recurrent state has one size. */
static size_t state_bytes(const struct kgen_graph *graph, size_t state, int64_t positions)
{
    struct kgen_problem problem = graph->nodes[graph->states[state].node].problem;
    struct kgen_buffers buffers;
    if (positions == 0)
        return 0;
    kgen_problem_set(&problem, "context", positions);
    kgen_problem_buffers(&problem, &buffers);
    const int buffer = kgen_buffers_find(&buffers, graph->states[state].buffer);
    return buffer >= 0 ? buffers.items[buffer].bytes : 0;
}

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
        bytes += state_bytes(graph, i, positions);
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
        const int64_t context = graph->states[i].is_recurrent ? 1 : kgen_problem_get(problem, "context");
        sequence->bytes[i] = state_bytes(graph, i, context);
        sequence->states[i] =
            kgen_device_cpu()->allocate(KGEN_MEMORY_FILLED_SLOWLY, sequence->bytes[i], error);
        if (sequence->states[i] == NULL)
            return -1;
    }
    return 0;
}

struct kgen_sequence *kgen_sequence_new(const struct kgen_graph *graph, int64_t context,
                                        struct kgen_error *error)
{
    struct kgen_sequence *sequence = calloc(1, sizeof *sequence);
    if (sequence == NULL) {
        kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "no memory for the caches");
        return NULL;
    }
    sequence->graph = graph;
    sequence->context = context;
    if (allocate_states(sequence, error) == 0)
        return sequence;
    kgen_sequence_free(sequence);
    return NULL;
}

void kgen_sequence_free(struct kgen_sequence *sequence)
{
    if (sequence == NULL)
        return;
    for (size_t i = 0;
         sequence->states != NULL && sequence->bytes != NULL && i < sequence->graph->state_count; i++)
        kgen_device_cpu()->deallocate(KGEN_MEMORY_FILLED_SLOWLY, sequence->states[i], sequence->bytes[i]);
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

int kgen_sequence_truncate(struct kgen_sequence *sequence, int64_t positions, struct kgen_error *error)
{
    if (positions > 0 && positions < sequence->filled && is_recurrent(sequence->graph)) {
        kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0,
                       "%lld of %lld positions are asked for, and the states of linear attention cannot go "
                       "back",
                       (long long)positions, (long long)sequence->filled);
        kgen_error_hint(error, "begin at position 0, or copy the state where it is to be taken up again");
        return -1;
    }
    sequence->filled = positions;
    return 0;
}

void kgen_sequence_begin(struct kgen_sequence *sequence)
{
    for (size_t i = 0; i < sequence->graph->state_count; i++) {
        if (sequence->graph->states[i].is_recurrent)
            memset(sequence->states[i], 0, sequence->bytes[i]);
    }
}

void kgen_sequence_fail(struct kgen_sequence *sequence)
{
    if (is_recurrent(sequence->graph))
        sequence->filled = 0;
}

void kgen_sequence_copy(struct kgen_sequence *to, const struct kgen_sequence *from)
{
    for (size_t i = 0; i < from->graph->state_count; i++)
        memcpy(to->states[i], from->states[i], state_bytes(from->graph, i, from->filled));
    to->filled = from->filled;
}

void kgen_sequence_write(const struct kgen_sequence *sequence, unsigned char *to)
{
    for (size_t i = 0; i < sequence->graph->state_count; i++) {
        const size_t bytes = state_bytes(sequence->graph, i, sequence->filled);
        memcpy(to, sequence->states[i], bytes);
        to += bytes;
    }
}

void kgen_sequence_read(struct kgen_sequence *sequence, const unsigned char *from, int64_t filled)
{
    for (size_t i = 0; i < sequence->graph->state_count; i++) {
        const size_t bytes = state_bytes(sequence->graph, i, filled);
        memcpy(sequence->states[i], from, bytes);
        from += bytes;
    }
    sequence->filled = filled;
}
