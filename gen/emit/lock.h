/* SPDX-License-Identifier: MIT */
/* The lock of an output, kgen.lock: the choice that its sources were made from, as JSON. With it and the spec
 * any machine makes the same sources, without tuning.
 *
 * It says which command, spec and kgen made it, on which machine, and for each problem the variants that are
 * written: template with the hash of its text, parameters, and which of them was tuned, for how many threads.
 */
#ifndef KGEN_LOCK_H
#define KGEN_LOCK_H

#include "gen/spec/spec.h"
#include "gen/target/variant.h"

#define KGEN_LOCK_SCHEMA 1
/* The name of the file, behind the prefix of the output. */
#define KGEN_LOCK_NAME "kgen.lock"
/* A larger one is refused. */
#define KGEN_LOCK_BYTES_MAX ((size_t)64 << 20)

/* What is written for one entry of the spec. */
struct kgen_lock_entry {
    int64_t threads;                              /* for which it was tuned */
    struct kgen_variant variants[KGEN_ISA_COUNT]; /* tmpl is NULL where none is written */
    bool tuned;                                   /* one of them was chosen, that of tuned_isa */
    enum kgen_isa tuned_isa;
};

/* The strings are owned. */
struct kgen_lock {
    char *version;   /* of the kgen that wrote it */
    char *command;   /* kgen_emit_input.command */
    char *machine;   /* kgen_emit_input.machine, may be NULL */
    char *spec_hash; /* of the spec's bytes then, as the comments of the sources have it */
    bool quantiser, model;
    struct kgen_lock_entry *entries; /* owned; one for each entry of the spec, in its order */
    size_t count;
};

/* Reads a lock and fits it to a spec and templates. prefix is that of the output, or NULL. Returns 0; 1 where
 * the lock is whole and does not fit, because the spec or the templates have changed since; -1 where it
 * cannot be read. Fills error in both cases, with the place in the file. Free the lock in every case. */
int kgen_lock_read(const char *path, const char *prefix, const struct kgen_spec *spec,
                   const struct kgen_templates *templates, struct kgen_lock *lock, struct kgen_error *error);
/* Frees what it holds. */
void kgen_lock_free(struct kgen_lock *lock);

#endif
