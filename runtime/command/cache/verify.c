/* SPDX-License-Identifier: MIT */
/* kgen cache verify: the winners of this machine, compiled and proven again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/command/cache/parts.h"
#include "runtime/command/json.h"
#include "runtime/jit/device.h"

#define LIMIT_SECONDS 120.0

/* A proof that needs more memory than this is left out: the problem of a record may be of any size. */
#define MOST_BYTES (2.0 * (1 << 30))

struct verification {
    const struct kgen_cache_call *call;
    const struct kgen_record *record; /* the current one */
    struct kgen_problem problem;
    struct kgen_variant variant;
    enum kgen_engine engine;
    struct kgen_verification result; /* of it */
    size_t passed, failed, stale, skipped;
    json_t *list; /* NULL where text is wanted */
};

/* In the child. */
static void prove(size_t index, void *result_memory, struct kgen_worker *worker, void *context)
{
    (void)index;
    const struct verification *verification = context;
    struct kgen_verification *result = result_memory;
    struct kgen_error error = {0};
    struct kgen_kernel kernel;
    const struct kgen_compile_options compile_options = {.engine = verification->engine};
    kgen_worker_stage(worker, "compile", LIMIT_SECONDS);
    if (kgen_device_of_isa(verification->variant.isa)
            ->compile(&verification->variant, &verification->problem, &compile_options, &kernel, &error) ==
        NULL) {
        kgen_verification_not_compiled(result, &error);
        return;
    }
    const struct kgen_verify_options options = {.seed = KGEN_PROOF_AGAIN_SEED,
                                                .threads = (int)verification->problem.threads,
                                                .guards = kgen_worker_guards(worker)};
    kgen_worker_stage(worker, "verify", LIMIT_SECONDS);
    if (kgen_verify(&kernel, &options, result, &error) != 0)
        kgen_verification_fail(result, KGEN_WORKER_EXITED, &error);
}

static int take_result(size_t index, const struct kgen_outcome *outcome, const void *shared, void *context)
{
    (void)index;
    struct verification *verification = context;
    memcpy(&verification->result, shared, sizeof verification->result);
    if (outcome->kind != KGEN_OUTCOME_DONE)
        kgen_outcome_verdict(outcome, &verification->result);
    return 0;
}

static double bytes_of_range(struct kgen_problem problem, size_t range)
{
    kgen_problem_set_range(&problem, range);
    return kgen_problem_bytes(&problem);
}

/* Estimates the bytes that kgen_verify allocates: copies of the buffers for each of its cases, which have few
 * rows, or some ten thousand elements where the range is of elements. */
static double proof_bytes(const struct kgen_problem *problem)
{
    enum { COPIES = 24, ROWS = 128, ELEMENTS = 40001, ELEMENT_BYTES = 64 };
    if (problem->op->fixed_range)
        return COPIES * kgen_problem_bytes(problem);
    const double first = bytes_of_range(*problem, 1), each = bytes_of_range(*problem, 2) - first;
    return COPIES * (first + each * (each <= ELEMENT_BYTES ? ELEMENTS : ROWS));
}

/* Reads the problem of the current record. Returns false, and says why, where it cannot or should not be
 * proven. */
static bool read_problem(struct verification *verification, char *why, size_t size)
{
    struct kgen_error error = {0};
    if (kgen_record_problem(verification->record, &verification->problem, &error) != 0) {
        snprintf(why, size, "its problem cannot be: %s", error.message);
        return false;
    }
    const double bytes = proof_bytes(&verification->problem);
    if (bytes > MOST_BYTES)
        snprintf(why, size, "a proof would take about %.1f GiB of memory, and may take %.0f",
                 bytes / (1 << 30), MOST_BYTES / (1 << 30));
    return bytes <= MOST_BYTES;
}

/* Whether the record calls the variant of its key by its name. */
static bool is_named(const struct kgen_record *record, const struct kgen_variant *variant)
{
    struct kgen_text name = {0};
    kgen_variant_name(variant, &name);
    const bool same = !name.failed && strcmp(name.data, record->variant) == 0;
    kgen_text_free(&name);
    return same;
}

/* Finds the variant of the current record. Returns 0, 1 where no template gives it any more, 2 where the
 * record calls it by another name, -1 on an error. */
static int find_variant(struct verification *verification, struct kgen_error *error)
{
    const struct kgen_session *session = verification->call->session;
    const struct kgen_record *record = verification->record;
    struct kgen_variants variants = {0};
    struct kgen_text engine = {0};
    char name[16];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(record->engine, " "), record->engine);
    if (kgen_engine_parse(name, &verification->engine) != 0)
        return 1;
    if (kgen_engine_describe(verification->engine, NULL, &engine, error) != 0 ||
        kgen_variants_list(session->templates, &verification->problem, session->machine.isas, &variants,
                           error) != 0) {
        kgen_text_free(&engine);
        return -1;
    }
    int result = 1;
    for (size_t i = 0; result == 1 && i < variants.count; i++) {
        const uint64_t hash = kgen_variant_hash(&variants.items[i]);
        if (kgen_record_key(session->machine.identity, record->problem, hash, engine.data) == record->key) {
            verification->variant = variants.items[i];
            result = is_named(record, &variants.items[i]) ? 0 : 2;
        }
    }
    kgen_variants_free(&variants);
    kgen_text_free(&engine);
    return result;
}

static void say(struct verification *verification, const char *outcome, const char *detail)
{
    const struct kgen_record *record = verification->record;
    struct kgen_text problem = {0};
    struct kgen_problem read;
    if (kgen_record_problem(record, &read, NULL) == 0)
        kgen_problem_describe(&read, &problem);
    else
        kgen_text_puts(&problem, record->problem);
    const char *described = problem.failed ? "" : problem.data;
    if (verification->list != NULL)
        json_array_append_new(verification->list,
                              json_pack("{s:o, s:s, s:s, s:s, s:o}", "problem",
                                        json_loads(record->problem, 0, NULL), "variant", record->variant,
                                        "engine", record->engine, "outcome", outcome, "detail",
                                        kgen_json_string(detail)));
    else
        printf("%-12s  %s: %s%s%s\n", outcome, described, record->variant, detail[0] != '\0' ? "; " : "",
               detail);
    kgen_text_free(&problem);
}

static int verify_one(struct verification *verification, struct kgen_error *error)
{
    char why[640];
    if (!read_problem(verification, why, sizeof why)) {
        verification->skipped++;
        say(verification, "skipped", why);
        return 0;
    }
    const int found = find_variant(verification, error);
    if (found < 0)
        return -1;
    if (found == 1) {
        verification->stale++;
        say(verification, "stale", "no template or compiler of today answers to it; kgen cache prune");
        return 0;
    }
    if (found == 2) {
        verification->failed++;
        say(verification, "damaged", "the variant of its key has another name");
        return 0;
    }
    const struct kgen_worker_options options = {.limit_seconds = LIMIT_SECONDS};
    if (kgen_workers_run(&options, 1, sizeof verification->result, prove, take_result, verification, error) !=
        0)
        return -1;
    const struct kgen_verification *result = &verification->result;
    const bool passed = result->verdict == KGEN_PASSED;
    verification->passed += passed;
    verification->failed += !passed;
    say(verification, kgen_verdict_name(result->verdict), result->detail);
    if (passed || verification->call->options->dry_run)
        return 0;
    /* A winner that fails is no longer chosen: the next run tunes the problem again. */
    struct kgen_record record = *verification->record;
    record.verdict = result->verdict;
    record.detail = result->detail;
    record.chosen = false;
    return kgen_cache_append(verification->call->session->cache, &record, error);
}

static int verify(struct verification *verification, struct kgen_error *error)
{
    const struct kgen_cache_call *call = verification->call;
    struct kgen_session *session = call->session;
    session->templates = kgen_templates_open_used(call->options->templates, call->options->target, error);
    if (session->templates == NULL)
        return -1;
    int result = 0;
    for (const struct kgen_cache *at = session->cache; result == 0 && at != NULL;
         at = kgen_cache_beneath(at)) {
        const size_t count = kgen_cache_count(at);
        for (size_t i = 0; result == 0 && i < count; i++) {
            const struct kgen_record *record = kgen_cache_at(at, i);
            /* The record that a run would find for a key. */
            if (record == NULL || !record->chosen || kgen_cache_find(session->cache, record->key) != record ||
                strcmp(record->machine, session->machine.identity) != 0 ||
                !kgen_cache_selects((void *)(uintptr_t)call->options, record))
                continue;
            verification->record = record;
            result = verify_one(verification, error);
        }
    }
    return result;
}

int kgen_cache_verify(const struct kgen_cache_call *call)
{
    struct verification verification = {.call = call, .list = call->options->json ? json_array() : NULL};
    struct kgen_error error = {0};
    const int result = verify(&verification, &error);
    if (result != 0) {
        json_decref(verification.list);
        return kgen_fail(&error);
    }
    if (verification.list != NULL) {
        if (kgen_json_print(json_pack("{s:I, s:I, s:I, s:I, s:o}", "passed", (json_int_t)verification.passed,
                                      "failed", (json_int_t)verification.failed, "stale",
                                      (json_int_t)verification.stale, "skipped",
                                      (json_int_t)verification.skipped, "winners", verification.list)) != 0)
            return KGEN_EXIT_FAILED;
    } else {
        printf("%zu winner%s proven again, %zu failed, %zu stale, %zu skipped\n", verification.passed,
               kgen_plural(verification.passed), verification.failed, verification.stale,
               verification.skipped);
    }
    return verification.failed > 0 ? KGEN_EXIT_FAILED : KGEN_EXIT_DONE;
}
