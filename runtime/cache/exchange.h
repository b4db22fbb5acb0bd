/* SPDX-License-Identifier: MIT */
/* Export and import of records as lines of text. */
#ifndef KGEN_CACHE_EXCHANGE_H
#define KGEN_CACHE_EXCHANGE_H

#include "runtime/cache/cache.h"

/* Reads the problem of a record back, and checks it: what it returns has passed kgen_problem_check, and has 1
 * to KGEN_RECORD_THREADS threads. Returns 0; -1 with the reason in error (may be NULL) where it is of an op
 * that this version does not know, or cannot be. */
int kgen_record_problem(const struct kgen_record *record, struct kgen_problem *problem,
                        struct kgen_error *error);
#define KGEN_RECORD_THREADS 1024

/* Says whether a record is exported. */
typedef bool kgen_record_filter(void *context, const struct kgen_record *record);

/* Appends the lines of the records that a filter wants (NULL: all), and of the facts of their machines.
 * Layers beneath are left out. Returns the number of records, or -1. */
long kgen_cache_export(const struct kgen_cache *cache, kgen_record_filter *wants, void *context,
                       struct kgen_text *lines, struct kgen_error *error);

struct kgen_import {
    size_t taken;    /* records that are new here, or better than what was here */
    size_t known;    /* records that are not */
    size_t facts;    /* about machines, that are new here */
    size_t rejected; /* lines */
};
/* Called with the number of a line that was rejected, from 1, and the reason. */
typedef void kgen_import_rejection(void *context, size_t line, const char *reason);

/* Imports the records and facts of a text of lines, and adds to counts. A record whose key the cache has
 * already is taken where it comes from a greater effort, or from the same effort and the final round. A line
 * that is no good record or fact is rejected, and the import goes on. Returns -1 when memory runs out. */
int kgen_cache_import(struct kgen_cache *cache, const char *lines, size_t length,
                      kgen_import_rejection *reject, void *context, struct kgen_import *counts,
                      struct kgen_error *error);

#endif
