/* SPDX-License-Identifier: MIT */
/* Which variant is chosen, and what the choice was made among.
 *
 * The record of a winner names the groups of variants that it was chosen among. A group is all variants of
 * one template for one instruction set; its name is a hash of the template's text. A choice stands for any
 * set of these groups: a template that is new or has changed is a group that the record does not name, and
 * then the search goes on. Records of earlier versions name no groups. */
#include "runtime/tune/internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { GROUP_DIGITS = 8 };

bool kgen_variants_begin_group(const struct kgen_variants *variants, size_t variant)
{
    const struct kgen_variant *items = variants->items;
    return variant == 0 || items[variant].tmpl != items[variant - 1].tmpl ||
           items[variant].isa != items[variant - 1].isa;
}

/* Appends the names of all groups, each with a blank before it. */
static void name_groups(const struct kgen_variants *variants, struct kgen_text *groups)
{
    kgen_text_puts(groups, "");
    for (size_t i = 0; i < variants->count; i++) {
        if (kgen_variants_begin_group(variants, i))
            kgen_text_printf(groups, " %0*" PRIx32, GROUP_DIGITS,
                             (uint32_t)(kgen_variant_hash(&variants->items[i]) >> 32));
    }
}

/* How many of the groups are among the others. */
static size_t count_common(const char *groups, const char *others)
{
    size_t common = 0;
    char name[GROUP_DIGITS + 2];
    for (; strlen(groups) > GROUP_DIGITS; groups += GROUP_DIGITS + 1) {
        memcpy(name, groups, GROUP_DIGITS + 1);
        name[GROUP_DIGITS + 1] = '\0';
        common += strstr(others, name) != NULL;
    }
    return common;
}

static size_t count_groups(const char *groups)
{
    return strlen(groups) / (GROUP_DIGITS + 1);
}

bool kgen_choice_stands(const struct kgen_record *choice, const struct kgen_variants *variants,
                        enum kgen_search_effort effort)
{
    const struct kgen_variants narrow = {variants->items, kgen_variants_of_widest(variants)};
    struct kgen_text all_groups = {0}, groups = {0};
    name_groups(variants, &all_groups);
    name_groups(&narrow, &groups);
    const size_t among = count_groups(choice->among), all = count_groups(all_groups.data);
    bool result = among == 0;
    if (!result && !all_groups.failed && !groups.failed) {
        const bool narrow_choice =
            effort < KGEN_EFFORT_PATIENT && count_common(choice->among, groups.data) == among;
        result = narrow_choice ? count_common(groups.data, choice->among) == count_groups(groups.data)
                               : count_common(all_groups.data, choice->among) == all;
    }
    kgen_text_free(&all_groups);
    kgen_text_free(&groups);
    return result;
}

/* The record of a variant that was chosen at this effort or a greater one, or NULL. */
static const struct kgen_record *choice_at(const struct kgen_tuning *tuning, size_t variant)
{
    /* Few are chosen, and telling so takes no parsing. */
    if (!kgen_cache_is_chosen(tuning->tuner->cache, tuning->keys[variant]))
        return NULL;
    const struct kgen_record *record = kgen_tuning_record(tuning, variant);
    const bool counts = record != NULL && record->chosen && record->verdict == KGEN_PASSED &&
                        kgen_record_effort(record) >= tuning->tuner->options.effort;
    return counts ? record : NULL;
}

static bool stands(const struct kgen_tuning *tuning, const struct kgen_record *record)
{
    return count_common(tuning->groups.data, record->among) == count_groups(tuning->groups.data);
}

size_t kgen_tuning_chosen(const struct kgen_tuning *tuning, enum kgen_standing least)
{
    size_t chosen = tuning->variants.count;
    enum kgen_standing best_standing = least;
    double best_cost = 0;
    for (size_t i = 0; i < tuning->variants.count; i++) {
        const struct kgen_record *record = choice_at(tuning, i);
        if (record == NULL)
            continue;
        const enum kgen_standing standing = record->among[0] == '\0' ? KGEN_STANDING_UNKNOWN
                                            : stands(tuning, record) ? KGEN_STANDS
                                                                     : KGEN_STANDS_NOT;
        const double cost = kgen_record_cost(&tuning->problem, record);
        if (standing < best_standing ||
            (standing == best_standing && chosen < tuning->variants.count && cost >= best_cost))
            continue;
        chosen = i;
        best_standing = standing;
        best_cost = cost;
    }
    return chosen;
}

int kgen_tuning_mark_chosen(struct kgen_tuning *tuning, size_t chosen, struct kgen_error *error)
{
    for (size_t i = 0; i < tuning->variants.count; i++) {
        const struct kgen_record *found = kgen_tuning_record(tuning, i);
        const char *among = i == chosen ? tuning->groups.data : "";
        if (found == NULL || (found->chosen == (i == chosen) && strcmp(found->among, among) == 0))
            continue;
        struct kgen_record record = *found;
        record.chosen = i == chosen;
        record.among = among;
        if (kgen_cache_append(tuning->tuner->cache, &record, error) != 0)
            return -1;
    }
    return 0;
}

/* Whether one of the variants was chosen among some of the narrow groups and others. */
static bool was_chosen_among_more(const struct kgen_tuning *tuning, const char *narrow)
{
    for (size_t i = 0; i < tuning->variants.count; i++) {
        const struct kgen_record *record = choice_at(tuning, i);
        if (record == NULL)
            continue;
        const size_t common = count_common(record->among, narrow);
        if (record->among[0] == '\0' ? kgen_record_effort(record) >= KGEN_EFFORT_PATIENT
                                     : common > 0 && common < count_groups(record->among))
            return true;
    }
    return false;
}

/* Names the groups of the first count variants. */
static int name_first_groups(struct kgen_tuning *tuning, size_t count, struct kgen_error *error)
{
    const struct kgen_variants first = {tuning->variants.items, count};
    kgen_text_clear(&tuning->groups);
    name_groups(&first, &tuning->groups);
    return tuning->groups.failed ? kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory") : 0;
}

int kgen_tuning_list_variants(struct kgen_tuning *tuning, struct kgen_error *error)
{
    const struct kgen_tuner *tuner = tuning->tuner;
    struct kgen_variants *variants = &tuning->variants;
    const unsigned isas = tuner->options.isas != 0 ? tuner->options.isas : tuner->machine->isas;
    if (kgen_variants_list(tuner->templates, &tuning->problem, isas, variants, error) != 0)
        return -1;
    tuning->keys = calloc(variants->count + 1, sizeof *tuning->keys);
    if (tuning->keys == NULL)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    for (size_t i = 0; i < variants->count; i++)
        tuning->keys[i] = kgen_record_key(tuner->machine->identity, tuning->problem_text.data,
                                          kgen_variant_hash(&variants->items[i]), tuner->engine.data);
    if (tuner->options.effort < KGEN_EFFORT_PATIENT) {
        const size_t narrow = kgen_variants_of_widest(variants);
        if (name_first_groups(tuning, narrow, error) != 0)
            return -1;
        if (!was_chosen_among_more(tuning, tuning->groups.data))
            variants->count = narrow;
    }
    return name_first_groups(tuning, variants->count, error);
}
