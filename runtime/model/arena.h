/* SPDX-License-Identifier: MIT */
/* Places for the activations of a graph in one block of memory. Two tensors share bytes only where no node
 * uses one while the other is still needed. */
#ifndef KGEN_ARENA_H
#define KGEN_ARENA_H

#include "gen/spec/graph.h"

/* Tensors begin at multiples of so many bytes. */
#define KGEN_ARENA_ALIGNMENT ((int64_t)64)

struct kgen_arena {
    int64_t *offsets; /* of each tensor of the graph, views included; owned */
    int64_t bytes;    /* of the block */
    /* The part of the block before the results, which come last: of a batch, each row has that much. */
    int64_t row_bytes;
};

/* Returns 0, or -1 with KGEN_ERROR_MEMORY. */
int kgen_arena_plan(struct kgen_arena *arena, const struct kgen_graph *graph, struct kgen_error *error);
/* Accepts a zeroed arena. */
void kgen_arena_free(struct kgen_arena *arena);

#endif
