/* SPDX-License-Identifier: MIT */
/* The positions of one sequence: what the states of a graph hold of it, which are caches of keys and values,
 * and recurrent states, of one size, which stand for all positions before. */
#ifndef KGEN_SEQUENCE_H
#define KGEN_SEQUENCE_H

#include "gen/spec/graph.h"

/* Used by one thread at a time. */
struct kgen_sequence {
    const struct kgen_graph *graph;
    void **states;   /* memory of each state of the graph; owned */
    size_t *bytes;   /* of each; owned */
    int64_t context; /* positions that there is room for */
    int64_t filled;  /* positions from 0 on that are there; kgen_sequence_truncate makes it less */
};

/* The positions that all caches of a graph have room for; 0 where it has none. */
int64_t kgen_sequence_most(const struct kgen_graph *graph);
/* The bytes of all states with room for so many positions. */
size_t kgen_sequence_bytes(const struct kgen_graph *graph, int64_t positions);

/* Makes an empty sequence for 1 to kgen_sequence_most positions. Kernels may read all the positions that they
 * are made for, so that as many addresses are taken; memory is that of the positions which are filled. The
 * graph must outlive it. Returns NULL with KGEN_ERROR_MEMORY. */
struct kgen_sequence *kgen_sequence_new(const struct kgen_graph *graph, int64_t context,
                                        struct kgen_error *error);
/* NULL is fine. */
void kgen_sequence_free(struct kgen_sequence *sequence);

/* Makes the sequence hold the first so many of its positions. Fails with KGEN_ERROR_USAGE where it has
 * recurrent states, unless that is none of its positions, or all. */
int kgen_sequence_truncate(struct kgen_sequence *sequence, int64_t positions, struct kgen_error *error);
/* To be called before the first position is run: makes the recurrent states those of no position. */
void kgen_sequence_begin(struct kgen_sequence *sequence);
/* To be called where running positions failed: a sequence with recurrent states, of which some may have gone
 * on, is then empty. */
void kgen_sequence_fail(struct kgen_sequence *sequence);

/* Makes `to`, of the same graph, hold the positions of `from`, which it has room for. */
void kgen_sequence_copy(struct kgen_sequence *to, const struct kgen_sequence *from);
/* Writes the positions that are filled to kgen_sequence_bytes(graph, filled) bytes of memory, or makes a
 * sequence hold those that were written, so many positions. */
void kgen_sequence_write(const struct kgen_sequence *sequence, unsigned char *to);
void kgen_sequence_read(struct kgen_sequence *sequence, const unsigned char *from, int64_t filled);

#endif
