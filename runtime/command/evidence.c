/* SPDX-License-Identifier: MIT */
#include "runtime/command/evidence.h"

#include <stdlib.h>
#include <string.h>

/* The rank of a record: 0 final round, 1 timed, 2 proven, 3 failed. */
static int class_of(const struct kgen_ranked *ranked)
{
    if (ranked->record->verdict != KGEN_PASSED)
        return 3;
    if (ranked->record->final_seconds > 0)
        return 0;
    return ranked->seconds > 0 ? 1 : 2;
}

static int compare_records(const void *a, const void *b)
{
    const struct kgen_ranked *x = a, *y = b;
    const int class_x = class_of(x), class_y = class_of(y);
    if (class_x != class_y)
        return class_x - class_y;
    if (x->record->verdict != y->record->verdict)
        return (int)x->record->verdict - (int)y->record->verdict;
    if (class_x < 2 && (x->cost < y->cost || x->cost > y->cost))
        return x->cost < y->cost ? -1 : 1;
    return strcmp(x->record->variant, y->record->variant);
}

static void count_records(struct kgen_evidence *evidence)
{
    for (size_t i = 0; i < evidence->count; i++) {
        const struct kgen_ranked *ranked = &evidence->records[i];
        const bool passed = ranked->record->verdict == KGEN_PASSED;
        evidence->passed += passed;
        evidence->failed += !passed;
        evidence->timed += passed && ranked->seconds > 0;
        evidence->in_final_round += class_of(ranked) == 0;
        if (ranked->record->chosen && passed && evidence->chosen == NULL)
            evidence->chosen = ranked;
    }
}

static size_t count_all(const struct kgen_session *session, const char *problem)
{
    size_t count = 0;
    for (size_t i = 0; i < kgen_cache_count(session->cache); i++) {
        const struct kgen_record *record = kgen_cache_at(session->cache, i);
        count += record != NULL && strcmp(record->machine, session->machine.identity) == 0 &&
                 strcmp(record->problem, problem) == 0;
    }
    return count;
}

int kgen_evidence_collect(const struct kgen_session *session, const struct kgen_problem *problem,
                          const char *engine, struct kgen_evidence *evidence, struct kgen_error *error)
{
    *evidence = (struct kgen_evidence){0};
    struct kgen_variants variants = {0};
    struct kgen_text text = {0};
    kgen_problem_write(problem, &text);
    if (text.failed)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    if (kgen_variants_list(session->templates, problem, session->machine.isas, &variants, error) != 0) {
        kgen_text_free(&text);
        return -1;
    }
    evidence->candidates = variants.count;
    evidence->records = calloc(variants.count + 1, sizeof *evidence->records);
    const char *machine = session->machine.identity;
    for (size_t i = 0; evidence->records != NULL && i < variants.count; i++) {
        const uint64_t key =
            kgen_record_key(machine, text.data, kgen_variant_hash(&variants.items[i]), engine);
        const struct kgen_record *record = kgen_cache_find(session->cache, key);
        if (record != NULL)
            evidence->records[evidence->count++] =
                (struct kgen_ranked){.record = record,
                                     .variant = variants.items[i],
                                     .seconds = kgen_record_seconds(problem, record),
                                     .cost = kgen_record_cost(problem, record)};
    }
    int result = 0;
    if (evidence->records == NULL) {
        result = kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    } else {
        qsort(evidence->records, evidence->count, sizeof *evidence->records, compare_records);
        count_records(evidence);
        const size_t all = count_all(session, text.data);
        evidence->stale = all > evidence->count ? all - evidence->count : 0;
    }
    kgen_variants_free(&variants);
    kgen_text_free(&text);
    return result;
}

void kgen_evidence_free(struct kgen_evidence *evidence)
{
    free(evidence->records);
    *evidence = (struct kgen_evidence){0};
}

/* The fastest besides the winner that was timed in the same way, or NULL. */
static const struct kgen_ranked *find_rival(const struct kgen_evidence *evidence)
{
    for (size_t i = 0; i < evidence->count; i++) {
        const struct kgen_ranked *ranked = &evidence->records[i];
        if (ranked != evidence->chosen && class_of(ranked) == class_of(evidence->chosen))
            return ranked;
    }
    return NULL;
}

static void reason_of_order(const struct kgen_evidence *evidence, struct kgen_text *text)
{
    const struct kgen_record *chosen = evidence->chosen->record;
    const double seconds = evidence->chosen->seconds;
    if (seconds <= 0) {
        kgen_text_printf(text, "proven, and chosen by estimate: nothing was timed");
        return;
    }
    if (chosen->final_seconds > 0)
        kgen_text_printf(text, "re-timed against the %zu fastest in a final round", evidence->in_final_round);
    else
        kgen_text_printf(text, "timed in one round, of %u repeats", chosen->repeats);
    const struct kgen_ranked *rival = find_rival(evidence);
    if (rival == NULL) {
        kgen_text_puts(text, "; there was no other to compare with");
        return;
    }
    const double behind = 100 * (rival->cost / evidence->chosen->cost - 1);
    if (behind >= 0)
        kgen_text_printf(text, "; the next, %s, takes %.1f%% longer", rival->record->variant, behind);
    else
        kgen_text_printf(text, "; by now %s has been measured %.1f%% faster, at effort %s",
                         rival->record->variant, -behind, rival->record->effort);
}

static void reason_of_winner(const struct kgen_evidence *evidence, struct kgen_text *text)
{
    const struct kgen_record *chosen = evidence->chosen->record;
    reason_of_order(evidence, text);
    if (kgen_record_is_noisy(chosen))
        kgen_text_printf(text, "; the machine was busy then (noise %.0f%%): a later run times it again",
                         chosen->noise * 100);
}

void kgen_evidence_reason(const struct kgen_evidence *evidence, struct kgen_text *text)
{
    if (evidence->chosen != NULL)
        reason_of_winner(evidence, text);
    else if (evidence->count == 0)
        kgen_text_puts(text, "no candidate has been tried");
    else if (evidence->passed == 0)
        kgen_text_puts(text, "every candidate that was tried failed");
    else
        kgen_text_puts(text, "no winner was chosen: the run that tried these did not end");
}
