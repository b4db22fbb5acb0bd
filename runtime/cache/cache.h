/* SPDX-License-Identifier: MIT */
/* The cache: a log of facts, one JSON object a line, in <folder>/records.jsonl.
 *
 * A record says what became of one candidate for one problem on one machine. It is appended in one write
 * under a lock; later records of the same key replace earlier ones. A line cut short is ignored, a bad line
 * is a warning, and neither stops anything. */
#ifndef KGEN_CACHE_H
#define KGEN_CACHE_H

#include "gen/base/log.h"
#include "runtime/cache/effort.h"
#include "runtime/machine/machine.h"
#include "runtime/prove/verify.h"

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
    double noise; /* of the samples of the time that counts: the distance between their quartiles over their
                     median; 0 where not known */
    bool own;     /* of a template that is not among those embedded: of a folder of the user's */
    bool chosen;  /* the winner for this problem at this effort */
    const char *among; /* of a winner: the names of the templates and instruction sets that it won among, for
                          the tuner; empty where that is not known */
};

/* The hash of everything that changes code or meaning. */
uint64_t kgen_record_key(const char *machine, const char *problem, uint64_t variant_hash, const char *engine);

/* The effort of a record; KGEN_EFFORT_ESTIMATE where its name is unknown. */
enum kgen_search_effort kgen_record_effort(const struct kgen_record *record);

struct kgen_cache; /* one thread at a time; several processes at once are fine */

/* Gives the folder of the cache: explicit (may be NULL), else $KGEN_CACHE_DIR, else $XDG_CACHE_HOME/kgen,
 * else $HOME/.cache/kgen. Returns 0, or -1 where there is none of them. */
int kgen_cache_folder(const char *explicit_folder, struct kgen_text *folder);

/* Opens the cache of a folder, made if need be, and reads its records. A folder that cannot be made or
 * written gives a warning through log and a cache that only remembers in memory. folder NULL: in memory only.
 * Returns NULL only when memory runs out. */
struct kgen_cache *kgen_cache_open(const char *folder, kgen_message_log *log, void *log_context,
                                   struct kgen_error *error);
/* kgen_cache_open with layers below: $KGEN_SYSTEM_CACHE_DIR, else /usr/share/kgen/cache and the cache
 * folder where kgen was installed; then the records that ship with kgen for known machines. */
struct kgen_cache *kgen_cache_open_layers(const char *folder, kgen_message_log *log, void *log_context,
                                          struct kgen_error *error);
/* Adds a layer below all others: the records of a file, or of the files *.jsonl of a folder in the order of
 * their names. Layers below the first are read and never written. A path that does not exist is no error;
 * what cannot be read is a warning. */
int kgen_cache_add_layer(struct kgen_cache *cache, const char *path, struct kgen_error *error);
/* The layer below this one, or NULL. Only functions that read may be called with it. */
const struct kgen_cache *kgen_cache_beneath(const struct kgen_cache *cache);
/* NULL is fine. */
void kgen_cache_close(struct kgen_cache *cache);

/* The latest record of a key, in the uppermost layer that has one, or NULL. Records stay valid until the
 * cache is closed or cleared; later ones do not change them. */
const struct kgen_record *kgen_cache_find(const struct kgen_cache *cache, uint64_t key);
/* Whether the latest record of a key is of a winner. Much faster than kgen_cache_find, as it parses nothing.
 */
bool kgen_cache_is_chosen(const struct kgen_cache *cache, uint64_t key);
/* The number of keys in this layer, without those below it. */
size_t kgen_cache_count(const struct kgen_cache *cache);
/* The records in the order in which their keys first appeared. A record is parsed when it is first asked for;
 * NULL, with one warning, where it is damaged. */
const struct kgen_record *kgen_cache_at(const struct kgen_cache *cache, size_t index);
/* Remembers a record, and writes it where the cache has a file. The strings are copied. A failed write is a
 * warning, once, and ends the writing. Fails where record->problem is not a JSON object on one line. */
int kgen_cache_append(struct kgen_cache *cache, const struct kgen_record *record, struct kgen_error *error);
/* Empties the cache and removes its files, compiled shared objects included. The layers below stay. */
int kgen_cache_clear(struct kgen_cache *cache, struct kgen_error *error);
/* Removes records from the cache and its file, which is replaced by a rename. The layers below stay. */
int kgen_cache_remove(struct kgen_cache *cache, const uint64_t *keys, size_t count, struct kgen_error *error);
/* The folder of the cache, or the file of a layer below it; "" where there is none, or nothing of it can be
 * read. */
const char *kgen_cache_path(const struct kgen_cache *cache);

/* Reads what other processes have appended since the cache was opened or refreshed. Fails only when memory
 * runs out. */
int kgen_cache_refresh(struct kgen_cache *cache, struct kgen_error *error);
/* Claims a piece of work for this process. True where no other process has the claim, or the cache has no
 * file that it can write. The claim ends with kgen_cache_release or with the process (claim.h). Another
 * process may have done the work before: call kgen_cache_refresh after claiming and look for its record. */
bool kgen_cache_claim(struct kgen_cache *cache, uint64_t key);
void kgen_cache_release(struct kgen_cache *cache, uint64_t key);

/* Small facts beside the records, such as the measured bandwidth: a name and a finite number for a machine.
 * Found: 0; else -1. */
int kgen_cache_fact(const struct kgen_cache *cache, const char *machine, const char *name, double *value);
int kgen_cache_set_fact(struct kgen_cache *cache, const char *machine, const char *name, double value,
                        struct kgen_error *error);

/* Keeps the description of a machine, once, so that other machines can be compared with it. */
int kgen_cache_set_machine(struct kgen_cache *cache, const struct kgen_machine *machine,
                           struct kgen_error *error);
/* Found: 0; else -1. */
int kgen_cache_machine(const struct kgen_cache *cache, const char *identity, struct kgen_machine *machine);

/* Called with a record and its machine, which is NULL where the cache has no description of it. Returns 0 to
 * go on. */
typedef int kgen_record_visit(void *context, const struct kgen_record *record,
                              const struct kgen_machine *machine);
/* Visits the records that other machines than this one have of a problem with an engine, those chosen first,
 * the upper layers before the lower. The template of a variant may have changed since: it is the same exactly
 * where record->key is kgen_record_key(record->machine, problem, kgen_variant_hash(variant), engine). Returns
 * what ended the visit, or 0. */
int kgen_cache_find_related(const struct kgen_cache *cache, const char *machine, const char *problem,
                            const char *engine, kgen_record_visit *visit, void *context);

#endif
