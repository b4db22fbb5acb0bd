/* SPDX-License-Identifier: MIT */
#include "runtime/api/plan.h"

#include <stdlib.h>
#include <string.h>

int kgen_ladder_open(struct kgen_ladder *ladder, const struct kgen_context *context,
                     const struct kgen_problem *problem, const char *problem_text, struct kgen_error *error)
{
    *ladder = (struct kgen_ladder){.context = context, .problem = problem, .problem_text = problem_text};
    if (kgen_variants_list(context->templates, problem, context->machine.isas, &ladder->variants, error) != 0)
        return -1;
    ladder->tried = calloc(ladder->variants.count + 1, sizeof *ladder->tried);
    return ladder->tried != NULL ? 0 : kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
}

void kgen_ladder_close(struct kgen_ladder *ladder)
{
    kgen_variants_free(&ladder->variants);
    free(ladder->tried);
    ladder->tried = NULL;
}

static uint64_t key_of(const struct kgen_ladder *ladder, const struct kgen_variant *variant)
{
    return kgen_record_key(ladder->context->machine.identity, ladder->problem_text,
                           kgen_variant_hash(variant), ladder->context->engine.data);
}

/* Makes the variant the best so far if its record is better. */
static void offer(struct kgen_ladder *ladder, const struct kgen_variant *variant,
                  const struct kgen_record *record, double *best_cost)
{
    const double cost = kgen_record_cost(ladder->problem, record);
    if (ladder->has_best && cost >= *best_cost)
        return;
    *best_cost = cost;
    ladder->has_best = true;
    ladder->best = (struct kgen_choice_made){*variant, KGEN_RUNG_RECORD, record->error_of_bound,
                                             kgen_record_seconds(ladder->problem, record)};
}

bool kgen_ladder_recorded(struct kgen_ladder *ladder, enum kgen_search_effort effort, bool any_proven)
{
    const struct kgen_cache *cache = ladder->context->cache;
    double best_cost = 0;
    for (int chosen = 1; chosen >= (any_proven ? 0 : 1) && !ladder->has_best; chosen--) {
        for (size_t i = 0; i < ladder->variants.count; i++) {
            const struct kgen_variant *variant = &ladder->variants.items[i];
            const uint64_t key = key_of(ladder, variant);
            if (chosen && !kgen_cache_is_chosen(cache, key))
                continue;
            const struct kgen_record *record = kgen_cache_find(cache, key);
            enum kgen_search_effort taken = KGEN_EFFORT_ESTIMATE;
            if (record == NULL || record->verdict != KGEN_PASSED ||
                kgen_record_seconds(ladder->problem, record) <= 0 ||
                kgen_effort_parse(record->effort, &taken) != 0 || taken < effort)
                continue;
            /* Where a search may follow, it goes on when there are new templates. */
            if (!any_proven && !kgen_choice_stands(record, &ladder->variants, effort))
                continue;
            offer(ladder, variant, record, &best_cost);
        }
    }
    return ladder->has_best;
}

/* ---- the rungs ---- */

/* The index of a variant, or the count. */
static size_t find_named(const struct kgen_ladder *ladder, const char *name)
{
    struct kgen_text text = {0};
    size_t i = 0;
    for (; i < ladder->variants.count; i++) {
        kgen_text_clear(&text);
        kgen_variant_name(&ladder->variants.items[i], &text);
        if (!text.failed && strcmp(text.data, name) == 0)
            break;
    }
    kgen_text_free(&text);
    return i;
}

struct search {
    const struct kgen_ladder *ladder;
    bool same_microarchitecture;
    size_t found;
};

/* Any winner elsewhere will do that can run here: it is proven before it is used. */
static int visit_related(void *context, const struct kgen_record *record, const struct kgen_machine *machine)
{
    struct search *search = context;
    const struct kgen_machine *here = &search->ladder->context->machine;
    const bool same = machine != NULL && strcmp(machine->architecture, here->architecture) == 0 &&
                      strcmp(machine->vendor, here->vendor) == 0 && machine->family == here->family &&
                      machine->model == here->model;
    if (same != search->same_microarchitecture || record->verdict != KGEN_PASSED || !record->chosen)
        return 0;
    const size_t found = find_named(search->ladder, record->variant);
    if (found == search->ladder->variants.count || search->ladder->tried[found])
        return 0;
    search->found = found;
    return 1;
}

static size_t find_related(const struct kgen_ladder *ladder, bool same_microarchitecture)
{
    struct search search = {ladder, same_microarchitecture, ladder->variants.count};
    kgen_cache_find_related(ladder->context->cache, ladder->context->machine.identity, ladder->problem_text,
                            ladder->context->engine.data, visit_related, &search);
    return search.found;
}

static size_t find_plain(const struct kgen_ladder *ladder)
{
    size_t i = 0;
    while (i < ladder->variants.count && ladder->variants.items[i].isa != KGEN_ISA_GENERIC)
        i++;
    return i;
}

static size_t find_variant(const struct kgen_ladder *ladder, const struct kgen_variant *variant)
{
    struct kgen_text name = {0};
    kgen_variant_name(variant, &name);
    const size_t found = name.failed ? ladder->variants.count : find_named(ladder, name.data);
    kgen_text_free(&name);
    return found;
}

static size_t find_on(const struct kgen_ladder *ladder, enum kgen_rung rung)
{
    switch (rung) {
    case KGEN_RUNG_RECORD:
    case KGEN_RUNG_TUNED:
        return ladder->has_best && ladder->best.rung == rung ? find_variant(ladder, &ladder->best.variant)
                                                             : ladder->variants.count;
    case KGEN_RUNG_SIBLING:
        return ladder->sibling != NULL ? find_variant(ladder, ladder->sibling) : ladder->variants.count;
    case KGEN_RUNG_MICROARCHITECTURE:
        return find_related(ladder, true);
    case KGEN_RUNG_INSTRUCTION_SET:
        return find_related(ladder, false);
    case KGEN_RUNG_DEFAULT:
        return 0;
    case KGEN_RUNG_PLAIN:
        return find_plain(ladder);
    }
    return ladder->variants.count;
}

bool kgen_ladder_step(struct kgen_ladder *ladder, struct kgen_choice_made *choice)
{
    while (ladder->next <= KGEN_RUNG_PLAIN) {
        const enum kgen_rung rung = (enum kgen_rung)ladder->next++;
        const size_t found = find_on(ladder, rung);
        if (found >= ladder->variants.count || ladder->tried[found])
            continue;
        ladder->tried[found] = true;
        const bool known = rung <= KGEN_RUNG_TUNED;
        *choice = known ? ladder->best
                        : (struct kgen_choice_made){.variant = ladder->variants.items[found], .rung = rung};
        return true;
    }
    return false;
}
