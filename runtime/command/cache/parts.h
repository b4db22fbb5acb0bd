/* SPDX-License-Identifier: MIT */
/* The parts of kgen cache. */
#ifndef KGEN_CACHE_PARTS_H
#define KGEN_CACHE_PARTS_H

#include "runtime/cache/exchange.h"
#include "runtime/command/command.h"

/* What a subcommand works on: the arguments after its name, and a session whose cache is open. */
struct kgen_cache_call {
    const struct kgen_options *options;
    struct kgen_session *session;
    char *const *arguments;
    size_t count;
};

/* Each subcommand prints its errors and returns an exit status. */
int kgen_cache_list(const struct kgen_cache_call *call);
int kgen_cache_show(const struct kgen_cache_call *call);
int kgen_cache_export_command(const struct kgen_cache_call *call);
int kgen_cache_import_command(const struct kgen_cache_call *call); /* merge, too */
int kgen_cache_prune(const struct kgen_cache_call *call);
int kgen_cache_verify(const struct kgen_cache_call *call);

/* A kgen_record_filter: whether --machine and --problem select a record. context: the struct kgen_options. */
bool kgen_cache_selects(void *context, const struct kgen_record *record);

#endif
