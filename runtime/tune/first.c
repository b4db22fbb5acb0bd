/* SPDX-License-Identifier: MIT */
/* The first proven candidate of a problem, where there is no time for a search, or not yet.
 *
 * With the effort estimate, the variants are proven in the order of the templates, whose authors put first
 * what they trust most. Where a run tunes several problems within a time limit (share.h), others come before
 * these: what was timed for the problem so far, the winners for other numbers of threads, of similar
 * problems, and of other machines. */
#include "runtime/tune/internal.h"

#include <stdlib.h>
#include <string.h>

/* The variants in the order in which they are proven, each once, and where each comes from. */
struct ladder {
    struct kgen_tuning *tuning;
    size_t *order;       /* owned */
    enum kgen_made *how; /* of each variant; KGEN_MADE_NOT: it is not in the order. Owned */
    size_t count;
    bool same_kind; /* machines of the same microarchitecture are asked, not the others */
};

static void add(struct ladder *ladder, size_t variant, enum kgen_made how)
{
    if (ladder->how[variant] != KGEN_MADE_NOT)
        return;
    ladder->how[variant] = how;
    ladder->order[ladder->count++] = variant;
}

/* The winners for other numbers of threads on this machine. */
static int add_other_threads(struct ladder *ladder, struct kgen_error *error)
{
    const struct kgen_tuning *tuning = ladder->tuning;
    const struct kgen_tuner *tuner = tuning->tuner;
    struct kgen_problem problem = tuning->problem;
    struct kgen_text text = {0};
    const int most = problem.op->threaded ? tuner->machine->threads : 0;
    for (int threads = most; threads > 0 && !text.failed; threads--) {
        if (threads == tuning->problem.threads)
            continue;
        problem.threads = threads;
        kgen_text_clear(&text);
        kgen_problem_write(&problem, &text);
        for (size_t i = 0; i < tuning->variants.count && !text.failed; i++) {
            const uint64_t key =
                kgen_record_key(tuner->machine->identity, text.data,
                                kgen_variant_hash(&tuning->variants.items[i]), tuner->engine.data);
            if (kgen_cache_is_chosen(tuner->cache, key))
                add(ladder, i, KGEN_MADE_THREADS);
        }
    }
    const bool failed = text.failed;
    kgen_text_free(&text);
    return failed ? kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory") : 0;
}

static void add_similar(struct ladder *ladder)
{
    size_t similar[KGEN_WINNERS];
    const size_t count = kgen_tuning_list_similar(ladder->tuning, similar);
    for (size_t i = 0; i < count; i++)
        add(ladder, similar[i], KGEN_MADE_SIMILAR);
}

/* A kgen_record_visit: adds the variant that has the name of the record's. */
static int add_related(void *context, const struct kgen_record *record, const struct kgen_machine *machine)
{
    struct ladder *ladder = context;
    const struct kgen_tuning *tuning = ladder->tuning;
    const struct kgen_machine *here = tuning->tuner->machine;
    const bool same_kind = machine != NULL && strcmp(machine->architecture, here->architecture) == 0 &&
                           strcmp(machine->vendor, here->vendor) == 0 && machine->family == here->family &&
                           machine->model == here->model;
    if (same_kind != ladder->same_kind || !record->chosen || record->verdict != KGEN_PASSED)
        return 0;
    struct kgen_text name = {0};
    for (size_t i = 0; i < tuning->variants.count; i++) {
        kgen_text_clear(&name);
        kgen_variant_name(&tuning->variants.items[i], &name);
        if (!name.failed && strcmp(name.data, record->variant) == 0)
            add(ladder, i, KGEN_MADE_RELATED);
    }
    kgen_text_free(&name);
    return 0;
}

static int fill_ladder(struct ladder *ladder, struct kgen_error *error)
{
    const struct kgen_tuning *tuning = ladder->tuning;
    const struct kgen_tuner *tuner = tuning->tuner;
    if (tuner->first) {
        if (add_other_threads(ladder, error) != 0)
            return -1;
        add_similar(ladder);
        for (int same_kind = 1; same_kind >= 0; same_kind--) {
            ladder->same_kind = same_kind != 0;
            kgen_cache_find_related(tuner->cache, tuner->machine->identity, tuning->problem_text.data,
                                    tuner->engine.data, add_related, ladder);
        }
    }
    for (size_t i = 0; i < tuning->variants.count; i++)
        add(ladder, i, KGEN_MADE_ESTIMATE);
    return 0;
}

/* Proves the variants of the ladder until one passes. */
static int climb(const struct ladder *ladder, size_t *chosen, struct kgen_error *error)
{
    struct kgen_tuning *tuning = ladder->tuning;
    int stopped = 0;
    for (size_t n = 0; n < ladder->count && stopped == 0; n++) {
        const size_t i = ladder->order[n];
        const struct kgen_record *record = kgen_tuning_record(tuning, i);
        if (record == NULL) {
            tuning->waiting[0] = i;
            tuning->waiting_count = 1;
            stopped = kgen_tuning_run_waiting(tuning, error);
            record = kgen_tuning_record(tuning, i);
        }
        if (record != NULL && record->verdict == KGEN_PASSED) {
            *chosen = i;
            tuning->made = ladder->how[i];
            break;
        }
    }
    return stopped;
}

int kgen_tuning_find_first(struct kgen_tuning *tuning, size_t *chosen, struct kgen_error *error)
{
    const size_t count = tuning->variants.count;
    size_t best;
    *chosen = count;
    if (tuning->tuner->first && kgen_tuning_best(tuning, &best, 1) > 0 &&
        kgen_record_seconds(&tuning->problem, kgen_tuning_record(tuning, best)) > 0) {
        *chosen = best;
        return 0;
    }
    struct ladder ladder = {.tuning = tuning,
                            .order = calloc(count + 1, sizeof *ladder.order),
                            .how = calloc(count + 1, sizeof *ladder.how)};
    int result = -1;
    if (ladder.order == NULL || ladder.how == NULL)
        kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    else if (fill_ladder(&ladder, error) == 0)
        result = climb(&ladder, chosen, error);
    free(ladder.order);
    free(ladder.how);
    return result;
}
