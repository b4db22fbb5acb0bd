/* SPDX-License-Identifier: MIT */
/* The positions of one sequence: what the states of a graph hold of it, which are caches of keys and values,
 * and recurrent states, of one size, which stand for all positions before. */
#ifndef KGEN_SEQUENCE_H
#define KGEN_SEQUENCE_H

#include "runtime/model/paged_caches.h"

/* Used by one thread at a time. */
struct kgen_sequence {
    const struct kgen_graph *graph;
    void **states;   /* memory of each state of the graph; that of states with pages is the caches' */
    size_t *bytes;   /* of each that is owned; else 0; owned */
    int64_t context; /* positions that there is room for */
    int64_t filled;  /* positions from 0 on that are there; kgen_sequence_truncate makes it less */
    /* The least position above 0 to which it can go back: what windows see there may have been given back. */
    int64_t earliest;
    struct kgen_page_tables pages; /* without caches where no state has pages */
};

/* The positions that all caches of a graph have room for; 0 where it has none. */
int64_t kgen_sequence_most(const struct kgen_graph *graph);
/* The bytes of all states with room for so many positions. */
size_t kgen_sequence_bytes(const struct kgen_graph *graph, int64_t positions);

/* Makes an empty sequence for 1 to kgen_sequence_most positions. Kernels may read all the positions that they
 * are made for, so that as many addresses are taken; memory is that of the positions which are filled. caches
 * has the pages of states with pages, and takes none yet; NULL where no state has pages. It and the graph
 * must outlive the sequence. Returns NULL with KGEN_ERROR_MEMORY. */
struct kgen_sequence *kgen_sequence_new(const struct kgen_graph *graph, struct kgen_paged_caches *caches,
                                        int64_t context, struct kgen_error *error);
/* NULL is fine. */
void kgen_sequence_free(struct kgen_sequence *sequence);

/* Makes `to`, of the same graph and caches, hold the positions of `from`, which it has room for. Pages are
 * shared until one of them writes to them. */
void kgen_sequence_copy(struct kgen_sequence *to, const struct kgen_sequence *from);
/* Forgets the positions from one on, which is not above filled. Fails with KGEN_ERROR_USAGE where windows no
 * longer have the positions before it, and where the sequence has recurrent states, unless that is none of
 * its positions, or all. */
int kgen_sequence_truncate(struct kgen_sequence *sequence, int64_t position, struct kgen_error *error);

/* The table of the pages of a state; NULL where it has none. */
int32_t *kgen_sequence_table(const struct kgen_sequence *sequence, size_t state);

/* A run fills count positions after those that are filled, `rows` of them at once. kgen_sequence_begin fails
 * with KGEN_ERROR_MEMORY where there are not enough pages for all of it; before the first position it makes
 * recurrent states those of no position. kgen_sequence_reserve comes before
 * the positions from one on, count of them, are written, and fails so, too. kgen_sequence_end comes at the
 * end, with the positions that were added; -1 where running them failed, which empties a sequence with
 * recurrent states, as some may have gone on. */
int kgen_sequence_begin(struct kgen_sequence *sequence, int64_t count, int64_t rows,
                        struct kgen_error *error);
int kgen_sequence_reserve(struct kgen_sequence *sequence, int64_t position, int64_t count,
                          struct kgen_error *error);
void kgen_sequence_end(struct kgen_sequence *sequence, int64_t added);

/* Writes the positions that are filled to kgen_sequence_bytes(graph, filled) bytes of memory, or makes a
 * sequence hold those that were written, so many positions, of a sequence with that `earliest`. Reading fails
 * with KGEN_ERROR_MEMORY where there are not enough free pages; the sequence is then as it was. */
void kgen_sequence_write(const struct kgen_sequence *sequence, unsigned char *to);
int kgen_sequence_read(struct kgen_sequence *sequence, const unsigned char *from, int64_t filled,
                       int64_t earliest, struct kgen_error *error);
/* The least position above 0 to which it can go back; 0: any. */
int64_t kgen_sequence_earliest(const struct kgen_sequence *sequence);

#endif
