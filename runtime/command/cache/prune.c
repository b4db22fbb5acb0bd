/* SPDX-License-Identifier: MIT */
/* kgen cache prune: removes the records whose keys no variant has any more. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/command/cache/parts.h"
#include "runtime/command/json.h"

#define ALL_ISAS ((1u << KGEN_ISA_COUNT) - 1)

/* The records, sorted by problem, so that the variants of a problem are listed once. */
struct pruning {
    const struct kgen_cache_call *call;
    struct kgen_text engine;            /* the present version of TinyCC; records of others are removed */
    const struct kgen_record **records; /* owned */
    size_t count;
    uint64_t *keys; /* of those to remove; owned */
    size_t stale, foreign, passed_over;
};

static int compare_problems(const void *a, const void *b)
{
    const struct kgen_record *const *x = a, *const *y = b;
    return strcmp((*x)->problem, (*y)->problem);
}

static bool is_current(const struct pruning *pruning, const struct kgen_record *record,
                       const struct kgen_variants *variants)
{
    if (strncmp(record->engine, "tcc ", 4) == 0 && strcmp(record->engine, pruning->engine.data) != 0)
        return false;
    for (size_t i = 0; i < variants->count; i++) {
        const uint64_t hash = kgen_variant_hash(&variants->items[i]);
        if (kgen_record_key(record->machine, record->problem, hash, record->engine) == record->key)
            return true;
    }
    return false;
}

/* Marks the records of one problem that are to be removed. */
static int mark_removed(struct pruning *pruning, const struct kgen_record **records, size_t count,
                        struct kgen_error *error)
{
    const struct kgen_session *session = pruning->call->session;
    struct kgen_problem problem;
    struct kgen_variants variants = {0};
    /* A problem that fails its check was written by another version: none of its records is current. */
    if (kgen_record_problem(records[0], &problem, NULL) == 0 &&
        kgen_variants_list(session->templates, &problem, ALL_ISAS, &variants, error) != 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        const bool foreign = pruning->call->options->other_machines &&
                             strcmp(records[i]->machine, session->machine.identity) != 0;
        /* Templates of other folders, and those embedded where a folder is given, cannot be asked. */
        const bool asked = records[i]->own == kgen_templates_are_own(session->templates);
        const bool stale = !foreign && asked && !is_current(pruning, records[i], &variants);
        pruning->passed_over += !foreign && !asked;
        if (foreign || stale)
            pruning->keys[pruning->stale + pruning->foreign] = records[i]->key;
        pruning->foreign += foreign;
        pruning->stale += stale;
    }
    kgen_variants_free(&variants);
    return 0;
}

static int prune(struct pruning *pruning, struct kgen_error *error)
{
    struct kgen_session *session = pruning->call->session;
    session->templates =
        kgen_templates_open(pruning->call->options->templates, pruning->call->options->target, error);
    if (session->templates == NULL ||
        kgen_engine_describe(KGEN_ENGINE_TCC, NULL, &pruning->engine, error) != 0)
        return -1;
    const size_t total = kgen_cache_count(session->cache);
    pruning->records = calloc(total + 1, sizeof *pruning->records);
    pruning->keys = calloc(total + 1, sizeof *pruning->keys);
    if (pruning->records == NULL || pruning->keys == NULL)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    for (size_t i = 0; i < total; i++) {
        const struct kgen_record *record = kgen_cache_at(session->cache, i);
        if (record != NULL)
            pruning->records[pruning->count++] = record;
    }
    qsort(pruning->records, pruning->count, sizeof *pruning->records, compare_problems);
    for (size_t begin = 0, end; begin < pruning->count; begin = end) {
        for (end = begin + 1; end < pruning->count &&
                              strcmp(pruning->records[end]->problem, pruning->records[begin]->problem) == 0;)
            end++;
        if (mark_removed(pruning, pruning->records + begin, end - begin, error) != 0)
            return -1;
    }
    const size_t doomed = pruning->stale + pruning->foreign;
    if (doomed == 0 || pruning->call->options->dry_run)
        return 0;
    return kgen_cache_remove(session->cache, pruning->keys, doomed, error);
}

int kgen_cache_prune(const struct kgen_cache_call *call)
{
    struct pruning pruning = {.call = call};
    struct kgen_error error = {0};
    int status = KGEN_EXIT_DONE;
    const bool dry = call->options->dry_run;
    if (prune(&pruning, &error) != 0)
        status = kgen_fail(&error);
    else if (call->options->json)
        status = kgen_json_print(json_pack(
                     "{s:I, s:I, s:I, s:I, s:b}", "stale", (json_int_t)pruning.stale, "of_other_machines",
                     (json_int_t)pruning.foreign, "passed_over", (json_int_t)pruning.passed_over, "kept",
                     (json_int_t)(pruning.count - pruning.stale - pruning.foreign), "dry_run", dry)) == 0
                     ? status
                     : KGEN_EXIT_FAILED;
    else
        printf("%zu record%s of earlier versions and %zu of other machines %s, %zu stay\n", pruning.stale,
               kgen_plural(pruning.stale), pruning.foreign, dry ? "would go" : "removed",
               pruning.count - pruning.stale - pruning.foreign);
    if (status == KGEN_EXIT_DONE && pruning.passed_over > 0 && !call->options->json && !call->options->quiet)
        kgen_say("kgen: %zu of those that stay are of %s and were not looked at", pruning.passed_over,
                 call->options->templates != NULL ? "the templates of kgen"
                                                  : "templates of one's own (--templates DIR)");
    free(pruning.records);
    free(pruning.keys);
    kgen_text_free(&pruning.engine);
    return status;
}
