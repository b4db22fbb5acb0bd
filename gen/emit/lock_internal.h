/* SPDX-License-Identifier: MIT */
/* Shared by the files that read a lock. */
#ifndef KGEN_LOCK_INTERNAL_H
#define KGEN_LOCK_INTERNAL_H

#include "gen/emit/lock.h"
#include "gen/spec/json_place.h"

#include <jansson.h>

struct kgen_lock_reader {
    const char *source;
    struct kgen_text text;
    const char *prefix;
    const struct kgen_spec *spec;
    const struct kgen_templates *templates;
    struct kgen_lock *lock;
    struct kgen_error *error; /* not NULL */
    bool misfit;              /* the error is that it does not fit, not that it cannot be read */
};

/* Each sets an error at the value of the path (the _key form: at its key) and returns -1. The first is for
 * what kgen did not write so, the second for what was right when kgen wrote it. */
int kgen_lock_fail(struct kgen_lock_reader *reader, const struct kgen_json_path *path, const char *format,
                   ...) KGEN_PRINTF(3, 4);
int kgen_lock_misfit(struct kgen_lock_reader *reader, const struct kgen_json_path *path, const char *format,
                     ...) KGEN_PRINTF(3, 4);
int kgen_lock_misfit_key(struct kgen_lock_reader *reader, const struct kgen_json_path *path,
                         const char *format, ...) KGEN_PRINTF(3, 4);

/* The member of an object, which must be there and of the type ("a string", "an array", ...); NULL and an
 * error where it is not. */
json_t *kgen_lock_member(struct kgen_lock_reader *reader, const struct kgen_json_path *path, json_t *object,
                         const char *key, json_type type);

/* lock_fit.c: fits the problems of a lock to the entries of the spec, and their variants to the templates. */
int kgen_lock_fit(struct kgen_lock_reader *reader, json_t *problems);

#endif
