/* SPDX-License-Identifier: MIT */
/* Which variants a plan tries for a problem, and in which order. */
#include "runtime/api/plan.h"

#include <stdlib.h>
#include <string.h>

int kgen_selection_open(struct kgen_selection *selection, const struct kgen_context *context,
                        const struct kgen_problem *problem, const char *problem_text,
                        struct kgen_error *error)
{
    *selection =
        (struct kgen_selection){.context = context, .problem = problem, .problem_text = problem_text};
    if (kgen_variants_list(context->templates, problem, context->machine.isas, &selection->variants, error) !=
        0)
        return -1;
    selection->tried = calloc(selection->variants.count + 1, sizeof *selection->tried);
    return selection->tried != NULL ? 0
                                    : kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
}

void kgen_selection_close(struct kgen_selection *selection)
{
    kgen_variants_free(&selection->variants);
    free(selection->tried);
    selection->tried = NULL;
}

static uint64_t key_of(const struct kgen_selection *selection, const struct kgen_variant *variant)
{
    return kgen_record_key(selection->context->machine.identity, selection->problem_text,
                           kgen_variant_hash(variant), selection->context->engine.data);
}

/* Makes the variant the best so far if its record is better. */
static void offer(struct kgen_selection *selection, const struct kgen_variant *variant,
                  const struct kgen_record *record, double *best_cost)
{
    const double cost = kgen_record_cost(selection->problem, record);
    if (selection->has_best && cost >= *best_cost)
        return;
    *best_cost = cost;
    selection->has_best = true;
    selection->best = (struct kgen_selected){*variant, KGEN_ORIGIN_RECORD, record->error_of_bound,
                                             kgen_record_seconds(selection->problem, record)};
}

bool kgen_selection_recorded(struct kgen_selection *selection, enum kgen_search_effort effort,
                             bool any_proven)
{
    const struct kgen_cache *cache = selection->context->cache;
    double best_cost = 0;
    for (int chosen = 1; chosen >= (any_proven ? 0 : 1) && !selection->has_best; chosen--) {
        for (size_t i = 0; i < selection->variants.count; i++) {
            const struct kgen_variant *variant = &selection->variants.items[i];
            const uint64_t key = key_of(selection, variant);
            if (chosen && !kgen_cache_is_chosen(cache, key))
                continue;
            const struct kgen_record *record = kgen_cache_find(cache, key);
            enum kgen_search_effort taken = KGEN_EFFORT_ESTIMATE;
            if (record == NULL || record->verdict != KGEN_PASSED ||
                kgen_record_seconds(selection->problem, record) <= 0 ||
                kgen_effort_parse(record->effort, &taken) != 0 || taken < effort)
                continue;
            /* A choice made before templates were added does not stand where a search may follow. */
            if (!any_proven && !kgen_choice_stands(record, &selection->variants, effort))
                continue;
            offer(selection, variant, record, &best_cost);
        }
    }
    return selection->has_best;
}

/* ---- origins ---- */

/* The index of a variant, or the count. */
static size_t find_named(const struct kgen_selection *selection, const char *name)
{
    struct kgen_text text = {0};
    size_t i = 0;
    for (; i < selection->variants.count; i++) {
        kgen_text_clear(&text);
        kgen_variant_name(&selection->variants.items[i], &text);
        if (!text.failed && strcmp(text.data, name) == 0)
            break;
    }
    kgen_text_free(&text);
    return i;
}

struct search {
    const struct kgen_selection *selection;
    bool same_microarchitecture;
    size_t found;
};

/* Takes the first winner of another machine that can run here. It is proven before it is used. */
static int visit_related(void *context, const struct kgen_record *record, const struct kgen_machine *machine)
{
    struct search *search = context;
    const struct kgen_machine *here = &search->selection->context->machine;
    const bool same = machine != NULL && strcmp(machine->architecture, here->architecture) == 0 &&
                      strcmp(machine->vendor, here->vendor) == 0 && machine->family == here->family &&
                      machine->model == here->model;
    if (same != search->same_microarchitecture || record->verdict != KGEN_PASSED || !record->chosen)
        return 0;
    const size_t found = find_named(search->selection, record->variant);
    if (found == search->selection->variants.count || search->selection->tried[found])
        return 0;
    search->found = found;
    return 1;
}

static size_t find_related(const struct kgen_selection *selection, bool same_microarchitecture)
{
    struct search search = {selection, same_microarchitecture, selection->variants.count};
    kgen_cache_find_related(selection->context->cache, selection->context->machine.identity,
                            selection->problem_text, selection->context->engine.data, visit_related, &search);
    return search.found;
}

static size_t find_generic(const struct kgen_selection *selection)
{
    size_t i = 0;
    while (i < selection->variants.count && selection->variants.items[i].isa != KGEN_ISA_GENERIC)
        i++;
    return i;
}

static size_t find_variant(const struct kgen_selection *selection, const struct kgen_variant *variant)
{
    struct kgen_text name = {0};
    kgen_variant_name(variant, &name);
    const size_t found = name.failed ? selection->variants.count : find_named(selection, name.data);
    kgen_text_free(&name);
    return found;
}

static size_t find_from(const struct kgen_selection *selection, enum kgen_origin origin)
{
    switch (origin) {
    case KGEN_ORIGIN_RECORD:
    case KGEN_ORIGIN_TUNED:
        return selection->has_best && selection->best.origin == origin
                   ? find_variant(selection, &selection->best.variant)
                   : selection->variants.count;
    case KGEN_ORIGIN_SIBLING:
        return selection->sibling != NULL ? find_variant(selection, selection->sibling)
                                          : selection->variants.count;
    case KGEN_ORIGIN_MICROARCHITECTURE:
        return find_related(selection, true);
    case KGEN_ORIGIN_INSTRUCTION_SET:
        return find_related(selection, false);
    case KGEN_ORIGIN_DEFAULT:
        return 0;
    case KGEN_ORIGIN_GENERIC:
        return find_generic(selection);
    }
    return selection->variants.count;
}

bool kgen_selection_next(struct kgen_selection *selection, struct kgen_selected *choice)
{
    while (selection->next <= KGEN_ORIGIN_GENERIC) {
        const enum kgen_origin origin = (enum kgen_origin)selection->next++;
        const size_t found = find_from(selection, origin);
        if (found >= selection->variants.count || selection->tried[found])
            continue;
        selection->tried[found] = true;
        const bool known = origin <= KGEN_ORIGIN_TUNED;
        *choice = known
                      ? selection->best
                      : (struct kgen_selected){.variant = selection->variants.items[found], .origin = origin};
        return true;
    }
    return false;
}
