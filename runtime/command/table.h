/* SPDX-License-Identifier: MIT */
/* Text in aligned columns. */
#ifndef KGEN_TABLE_H
#define KGEN_TABLE_H

#include "gen/base/base.h"
#include <stdio.h>

struct kgen_column {
    const char *title;
    bool right;  /* aligned to the right */
    size_t most; /* longer cells are cut short, "..." at their end; 0: never */
};

/* Zero-initialise, then set columns and column_count. Cells are added row by row. */
struct kgen_table {
    const struct kgen_column *columns;
    size_t column_count;
    char **cells; /* owned */
    size_t count, capacity;
    bool failed; /* out of memory */
};

void kgen_table_cell(struct kgen_table *table, const char *format, ...) KGEN_PRINTF(2, 3);
/* A time in microseconds, with three figures at the least; "-" for 0, not timed. */
void kgen_table_time(struct kgen_table *table, double seconds);
/* Prints the titles and the rows. Returns -1 where memory has run out. */
int kgen_table_print(const struct kgen_table *table, FILE *file);
void kgen_table_free(struct kgen_table *table);

#endif
