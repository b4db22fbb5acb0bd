/* SPDX-License-Identifier: MIT */
/* Caches in pages, which the sequences of a decoder share: the memory of the pages, and for each sequence a
 * table that says which page has which positions. Layers that see the same window have one table and pages of
 * the same numbers; those that see a window give back the pages that lie before it. */
#ifndef KGEN_PAGED_CACHES_H
#define KGEN_PAGED_CACHES_H

#include "gen/spec/graph.h"
#include "runtime/model/pages.h"

/* Layers of the same window. */
struct kgen_page_group {
    int64_t window;           /* 0: they see all positions */
    int64_t entries;          /* of a table: the pages of all positions that kernels are made for */
    struct kgen_pages *pages; /* owned */
};

/* Never changes once it is made, but for the memory of the states and what struct kgen_pages guards. */
struct kgen_paged_caches {
    const struct kgen_graph *graph;
    int64_t page_size;
    void **states;      /* memory of all pages of each state; NULL: the state has no pages; owned */
    size_t *page_bytes; /* of each state; owned */
    size_t *groups;     /* of each state; owned */
    struct kgen_page_group *group; /* owned */
    size_t group_count;
};

/* The positions of a page of a state; 0: it has no pages. */
int64_t kgen_paged_state(const struct kgen_graph *graph, size_t state);
/* The bytes of a state without pages, with room for so many positions. Positions lie one after the other, in
 * tiles, so that they are also those of the first positions of a larger one, and of a page. */
size_t kgen_state_bytes(const struct kgen_graph *graph, size_t state, int64_t positions);

/* Makes so many pages for each group of layers, 0: as many as sequences of the whole context need, as many of
 * them as the graph runs at once. Their memory is taken from the system as they are filled. Sets *caches to
 * NULL where the graph has no pages. The graph must outlive them, and they all sequences. Fails with
 * KGEN_ERROR_MEMORY, and KGEN_ERROR_USAGE where not all states have pages of one size. */
int kgen_paged_caches_new(const struct kgen_graph *graph, int64_t pages, struct kgen_paged_caches **caches,
                          struct kgen_error *error);
/* NULL is fine. */
void kgen_paged_caches_free(struct kgen_paged_caches *caches);

/* The tables of a sequence, one for each group: the page of each page_size positions, -1: none. */
struct kgen_page_tables {
    struct kgen_paged_caches *caches;
    int32_t **tables; /* owned */
    /* The least position above 0 to which the sequence can go back: what a window shows there is not given
     * back. */
    int64_t earliest;
};

/* Makes empty tables. Fails with KGEN_ERROR_MEMORY. */
int kgen_page_tables_new(struct kgen_page_tables *tables, struct kgen_paged_caches *caches,
                         struct kgen_error *error);
/* Gives all pages back. Zeros are fine. */
void kgen_page_tables_free(struct kgen_page_tables *tables);
/* Makes the positions from `position` on, count of them, writable: each has a page, which no other sequence
 * has. What a shared page holds before `position` is copied. Fails with KGEN_ERROR_MEMORY where there are too
 * few free pages; pages that it took stay then. */
int kgen_page_tables_reserve(struct kgen_page_tables *tables, int64_t position, int64_t count,
                             struct kgen_error *error);
/* Fails as kgen_page_tables_reserve would, of a run of count positions that takes so many at once and gives
 * back what windows no longer show, and takes none. May ask for two pages more of windows than it takes. */
int kgen_page_tables_check(struct kgen_page_tables *tables, int64_t position, int64_t count, int64_t rows,
                           struct kgen_error *error);
/* Gives back the pages from a position on. */
void kgen_page_tables_truncate(struct kgen_page_tables *tables, int64_t position);
/* Gives back the pages that no query from a position on sees. Those with positions below `kept` stay: a run
 * that fails goes back there. */
void kgen_page_tables_roll(struct kgen_page_tables *tables, int64_t kept, int64_t position);
/* Makes `to`, of the same caches, have the pages of `from`, in the place of those that it had. */
void kgen_page_tables_share(struct kgen_page_tables *to, const struct kgen_page_tables *from);
/* Writes the first positions of a state to kgen_state_bytes bytes: zeros for those given back. */
void kgen_page_tables_write(const struct kgen_page_tables *tables, size_t state, int64_t positions,
                            unsigned char *to);
/* Makes the tables hold what was written of all states that have pages, so many positions, in the place of
 * what they held. from has the bytes of each state of the graph. Fails with KGEN_ERROR_MEMORY; the tables
 * are then as they were. */
int kgen_page_tables_read(struct kgen_page_tables *tables, const unsigned char *const *from,
                          int64_t positions, struct kgen_error *error);

#endif
