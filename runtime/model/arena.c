/* SPDX-License-Identifier: MIT */
#include "runtime/model/arena.h"

#include <stdlib.h>

static int64_t aligned(int64_t bytes)
{
    return (bytes + KGEN_ARENA_ALIGNMENT - 1) / KGEN_ARENA_ALIGNMENT * KGEN_ARENA_ALIGNMENT;
}

static bool has_memory(const struct kgen_graph_tensor *tensor)
{
    return tensor->view_of == KGEN_GRAPH_NONE;
}

/* A tensor that no node uses is kept apart from all others. */
static bool are_needed_together(const struct kgen_graph_tensor *a, const struct kgen_graph_tensor *b)
{
    if (a->first == KGEN_GRAPH_NONE || b->first == KGEN_GRAPH_NONE)
        return true;
    return a->first <= b->last && b->first <= a->last;
}

/* The lowest offset at which the tensor meets none of those before it that it may not share bytes with. */
static int64_t find_place(const struct kgen_arena *arena, const struct kgen_graph *graph, size_t index)
{
    const struct kgen_graph_tensor *tensor = &graph->tensors[index];
    int64_t place = 0;
    for (size_t i = 0; i < index;) {
        const struct kgen_graph_tensor *other = &graph->tensors[i];
        const int64_t end = arena->offsets[i] + aligned(other->bytes);
        if (has_memory(other) && !other->result && are_needed_together(tensor, other) && place < end &&
            arena->offsets[i] < place + aligned(tensor->bytes)) {
            place = end;
            i = 0; /* those before may be in the way now */
        } else {
            i++;
        }
    }
    return place;
}

int kgen_arena_plan(struct kgen_arena *arena, const struct kgen_graph *graph, struct kgen_error *error)
{
    *arena = (struct kgen_arena){.offsets = calloc(graph->tensor_count + 1, sizeof *arena->offsets)};
    if (arena->offsets == NULL)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    for (size_t i = 0; i < graph->tensor_count; i++) {
        const struct kgen_graph_tensor *tensor = &graph->tensors[i];
        if (!has_memory(tensor) || tensor->result)
            continue;
        arena->offsets[i] = find_place(arena, graph, i);
        const int64_t end = arena->offsets[i] + aligned(tensor->bytes);
        arena->bytes = end > arena->bytes ? end : arena->bytes;
    }
    arena->row_bytes = arena->bytes;
    for (size_t i = 0; i < graph->tensor_count; i++) {
        if (!has_memory(&graph->tensors[i]) || !graph->tensors[i].result)
            continue;
        arena->offsets[i] = arena->bytes;
        arena->bytes += aligned(graph->tensors[i].bytes);
    }
    for (size_t i = 0; i < graph->tensor_count; i++) {
        const struct kgen_graph_tensor *tensor = &graph->tensors[i];
        if (!has_memory(tensor)) {
            int64_t elements = 1;
            for (size_t j = 0; j < tensor->rank; j++)
                elements *= tensor->shape[j];
            const int64_t width = elements > 0 ? tensor->bytes / elements : 0;
            arena->offsets[i] = arena->offsets[tensor->view_of] + tensor->offset * width;
        }
    }
    return 0;
}

void kgen_arena_free(struct kgen_arena *arena)
{
    free(arena->offsets);
    *arena = (struct kgen_arena){0};
}
