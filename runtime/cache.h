/* SPDX-License-Identifier: MIT */
/* The cache: a log of facts, one JSON object a line, in <folder>/records.jsonl.
 *
 * A record says what became of one candidate for one problem on one machine. It is appended in one write
 * under a lock; later records of the same key replace earlier ones. A line cut short is ignored, a bad line
 * is a warning, and neither stops anything. */
#ifndef KGEN_CACHE_H
#define KGEN_CACHE_H

#include "verify.h"

#define KGEN_CACHE_SCHEMA 1

/* The folder within the cache's folder for compiled shared objects: what kgen_cc_options.folder should be. */
#define KGEN_CACHE_OBJECTS "objects"

/* Strings are owned by the cache that a record came from, or borrowed by a record that a caller fills. */
struct kgen_record {
    uint64_t key;        /* kgen_record_key */
    const char *machine; /* kgen_machine.identity */
    const char *problem; /* kgen_problem_write */
    const char *variant; /* kgen_variant_name */
    const char *engine;  /* kgen_engine_describe */
    const char *effort;  /* at which it was timed: "measure", ... */
    enum kgen_verdict verdict;
    const char *detail; /* how it failed; empty where it passed */
    double error_of_bound;
    unsigned cases;
    double compile_seconds;
    double cold_seconds, hot_seconds; /* medians of one call; 0 where not timed */
    unsigned repeats;
    double final_seconds; /* cold, re-timed among the best; 0 where it was not among them */
    double read_seconds;  /* to merely read the same cold bytes with as many threads, in turns with the final;
                             0 if not known */
    bool chosen;          /* the winner for this problem at this effort */
};

/* The hash of everything that changes code or meaning. */
uint64_t kgen_record_key(const char *machine, const char *problem, uint64_t variant_hash, const char *engine);

/* Messages of the library. level: 0 warning, 1 information. */
typedef void kgen_log(void *context, int level, const char *message);

struct kgen_cache; /* one thread at a time; several processes at once are fine */

/* The folder: explicit (may be NULL), else $KGEN_CACHE_DIR, else $XDG_CACHE_HOME/kgen, else
 * $HOME/.cache/kgen. Returns 0, or -1 where there is none of them. */
int kgen_cache_folder(const char *explicit_folder, struct kgen_text *folder);

/* Opens the cache of a folder, made if need be, and reads its records. A folder that cannot be made or
 * written gives a warning through log and a cache that only remembers in memory. folder NULL: in memory only.
 * Returns NULL only when memory runs out. */
struct kgen_cache *kgen_cache_open(const char *folder, kgen_log *log, void *log_context,
                                   struct kgen_error *error);
void kgen_cache_close(struct kgen_cache *cache);

/* The latest record of a key, or NULL. Valid until the next append. */
const struct kgen_record *kgen_cache_find(const struct kgen_cache *cache, uint64_t key);
size_t kgen_cache_count(const struct kgen_cache *cache);
/* In the order in which their keys first appeared. Records are parsed when first asked for: NULL where one
 * proves damaged (a warning, once). */
const struct kgen_record *kgen_cache_at(const struct kgen_cache *cache, size_t index);
/* Remembers a record, and writes it where the cache has a file. The strings are copied. A failed write is a
 * warning, once, and ends the writing. Fails where record->problem is not a JSON object on one line. */
int kgen_cache_append(struct kgen_cache *cache, const struct kgen_record *record, struct kgen_error *error);
/* Empties the cache and removes its files, compiled shared objects included. */
int kgen_cache_clear(struct kgen_cache *cache, struct kgen_error *error);
/* The folder; "" where there is none, or nothing of it can be read. */
const char *kgen_cache_path(const struct kgen_cache *cache);

/* Small facts beside the records, such as the measured bandwidth: a name and a finite number for a machine.
 * Found: 0; else -1. */
int kgen_cache_fact(const struct kgen_cache *cache, const char *machine, const char *name, double *value);
int kgen_cache_set_fact(struct kgen_cache *cache, const char *machine, const char *name, double value,
                        struct kgen_error *error);

#endif
