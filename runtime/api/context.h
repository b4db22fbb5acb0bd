/* SPDX-License-Identifier: MIT */
/* The members of a context, and the functions that pass errors and messages to the host. Internal to
 * runtime/api.
 */
#ifndef KGEN_CONTEXT_H
#define KGEN_CONTEXT_H

#include "runtime/cache/cache.h"
#include "runtime/kgen.h"
#include "runtime/tune/tune.h"

enum { KGEN_THREADS_MAX = 1024 };

struct kgen_context {
    struct kgen_settings settings; /* the strings are owned */
    int verbose;                   /* messages up to this level go out; -1: none */
    struct kgen_templates *templates;
    struct kgen_machine machine;
    struct kgen_cache *cache;
    struct kgen_text engine; /* kgen_engine_describe */
};

/* The effort of the settings, as the tuner and the records call it. */
enum kgen_search_effort kgen_context_effort(const struct kgen_context *context);

/* Fills status unless it already holds an error; status may be NULL. Returns -1. */
int kgen_status_set(struct kgen_status *status, enum kgen_status_code code, const char *format, ...)
    KGEN_PRINTF(3, 4);
/* Fills status in the same way from an internal error. */
int kgen_status_from(struct kgen_status *status, const struct kgen_error *error);

/* Passes a message to the host, where its log level includes it. */
void kgen_context_log(const struct kgen_context *context, int level, const char *format, ...)
    KGEN_PRINTF(3, 4);

#endif
