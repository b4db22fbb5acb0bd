/* SPDX-License-Identifier: MIT */
/* Which candidates are tried, and in what order.
 *
 * A space of few variants is tried whole, and so is every space with the effort exhaustive, all but very
 * large ones with patient, and those that are divided into shares. In a larger one the search climbs:
 *
 *   1. It begins with what was proven and not timed before, with the winners of similar problems in this run,
 * with the first variant of each template and instruction set, whose parameters are those that its author
 * trusts most, and with the variants that execute the fewest instructions (kgen_variant_count).
 *   2. It tries the neighbours of the best, which differ in one parameter; then those of the second best, and
 *      so on down to a number that depends on the effort, as one time is not to be trusted. Whenever a better
 *      one turns up it goes on from there. It ends where none is left to try.
 *
 * The search leaves out variants that cannot win: those with so many instructions that they would take longer
 * than the best, even at the least time for an instruction that was measured for this problem. With the
 * effort measure it ends where the best is as fast as reading its bytes and its hot time is much shorter than
 * that.
 *
 * Candidates are tried in the order of their instructions, so that good ones come early: then the timing of
 * bad ones ends after two samples, and a search that a time limit ends has tried the good ones. */
#include "runtime/tune/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    SMALL_SPACE = 24,   /* so many variants are all tried with the effort measure, */
    LARGE_SPACE = 1024, /* and so many with patient */
    SIMILAR = 3,        /* winners of similar problems to begin with, */
    CHEAPEST = 2        /* and variants of few instructions */
};

/* The neighbours of so many of the best are tried. */
static const size_t leaders[] = {
    [KGEN_EFFORT_MEASURE] = 3, [KGEN_EFFORT_PATIENT] = 8, [KGEN_EFFORT_EXHAUSTIVE] = 8};

/* A variant that would take so many times as long as the best is left out. */
static const double hopeless_factor = 1.25;

/* The best is at the limit of the memory when its cold time and its hot time, over that of reading, are no
 * more than these. */
static const double limit_cold = 1.03, limit_hot = 0.7;

static bool tries_all(const struct kgen_tuning *tuning)
{
    const struct kgen_tune_options *options = &tuning->tuner->options;
    const size_t count = tuning->variants.count;
    return options->shards > 0 || options->effort == KGEN_EFFORT_EXHAUSTIVE || count <= SMALL_SPACE ||
           (options->effort == KGEN_EFFORT_PATIENT && count <= LARGE_SPACE);
}

bool kgen_tuning_is_settled(const struct kgen_tuning *tuning)
{
    if (kgen_tuning_chosen(tuning, KGEN_STANDING_UNKNOWN) == tuning->variants.count)
        return false;
    const struct kgen_tune_options *options = &tuning->tuner->options;
    for (size_t i = 0; i < tuning->variants.count; i++) {
        const bool wanted = options->shards > 0
                                ? kgen_shard_has(tuning->keys[i], options->shard, options->shards)
                                : tries_all(tuning) || kgen_variants_begin_group(&tuning->variants, i);
        if (wanted && !kgen_tuning_has_record(tuning, i))
            return false;
    }
    return true;
}

/* Infinite where the variant cannot be lowered, or not be counted. */
static double instructions_of(struct kgen_tuning *tuning, size_t variant)
{
    double *instructions = &tuning->instructions[variant];
    if (*instructions == 0 &&
        kgen_variant_count(&tuning->variants.items[variant], &tuning->problem,
                           (int64_t)kgen_problem_range(&tuning->problem), instructions, NULL) != 0)
        *instructions = INFINITY;
    return *instructions;
}

/* Whether a variant was proven and not timed: by an estimate, or for want of time. Of these one may be in
 * use.
 */
static bool is_proven_only(const struct kgen_tuning *tuning, size_t variant)
{
    const struct kgen_record *record = kgen_tuning_record(tuning, variant);
    return record != NULL && record->verdict == KGEN_PASSED &&
           kgen_record_seconds(&tuning->problem, record) <= 0;
}

/* Variants that were proven only come first, whatever they execute. */
static double rank_of(struct kgen_tuning *tuning, size_t variant)
{
    return is_proven_only(tuning, variant) ? 0 : instructions_of(tuning, variant);
}

static void sort_waiting(struct kgen_tuning *tuning)
{
    size_t *waiting = tuning->waiting;
    for (size_t i = 1; i < tuning->waiting_count; i++) {
        const size_t moved = waiting[i];
        const double rank = rank_of(tuning, moved);
        size_t j = i;
        for (; j > 0 && rank_of(tuning, waiting[j - 1]) > rank; j--)
            waiting[j] = waiting[j - 1];
        waiting[j] = moved;
    }
}

/* Adds a variant to those that are tried next. */
static void add(struct kgen_tuning *tuning, size_t variant)
{
    if (kgen_tuning_has_record(tuning, variant))
        return;
    for (size_t i = 0; i < tuning->waiting_count; i++) {
        if (tuning->waiting[i] == variant)
            return;
    }
    tuning->waiting[tuning->waiting_count++] = variant;
}

static int run_all(struct kgen_tuning *tuning, struct kgen_error *error)
{
    const struct kgen_tune_options *options = &tuning->tuner->options;
    for (size_t i = 0; i < tuning->variants.count; i++) {
        if (!kgen_tuning_has_record(tuning, i) &&
            (options->shards == 0 || kgen_shard_has(tuning->keys[i], options->shard, options->shards)))
            tuning->waiting[tuning->waiting_count++] = i;
    }
    sort_waiting(tuning);
    return kgen_tuning_run_waiting(tuning, error);
}

/* In how many fields two problems of one op differ. */
static int differences(const struct kgen_problem *a, const struct kgen_problem *b)
{
    int count = a->threads != b->threads;
    for (size_t i = 0; i < a->op->field_count; i++)
        count += a->op->fields[i].kind == KGEN_FIELD_REAL ? a->values[i].real != b->values[i].real
                                                          : a->values[i].integer != b->values[i].integer;
    return count;
}

static bool same_variant(const struct kgen_variant *a, const struct kgen_variant *b)
{
    return a->tmpl == b->tmpl && a->isa == b->isa &&
           memcmp(a->values, b->values, kgen_template_param_count(a->tmpl) * sizeof *a->values) == 0;
}

size_t kgen_tuning_list_similar(const struct kgen_tuning *tuning, size_t indexes[KGEN_WINNERS])
{
    const struct kgen_tuner *tuner = tuning->tuner;
    const size_t known = tuner->winner_count < KGEN_WINNERS ? tuner->winner_count : KGEN_WINNERS;
    size_t count = 0;
    for (int most = 1; most <= 3; most++) {
        for (size_t i = 1; i <= known; i++) {
            const struct kgen_winner *winner = &tuner->winners[(tuner->winner_count - i) % KGEN_WINNERS];
            if (winner->problem.op != tuning->problem.op ||
                differences(&winner->problem, &tuning->problem) != most)
                continue;
            for (size_t j = 0; j < tuning->variants.count && count < KGEN_WINNERS; j++) {
                if (same_variant(&winner->variant, &tuning->variants.items[j]))
                    indexes[count++] = j;
            }
        }
    }
    return count;
}

static void add_similar(struct kgen_tuning *tuning)
{
    size_t similar[KGEN_WINNERS];
    const size_t count = kgen_tuning_list_similar(tuning, similar);
    const size_t room = tuning->waiting_count + SIMILAR;
    for (size_t i = 0; i < count && tuning->waiting_count < room; i++)
        add(tuning, similar[i]);
}

/* One variant of each of the least numbers of instructions. */
static void add_cheapest(struct kgen_tuning *tuning)
{
    double floor = 0;
    for (int n = 0; n < CHEAPEST; n++) {
        size_t cheapest = tuning->variants.count;
        for (size_t i = 0; i < tuning->variants.count; i++) {
            const double instructions = instructions_of(tuning, i);
            if (instructions > floor && isfinite(instructions) &&
                (cheapest == tuning->variants.count || instructions < instructions_of(tuning, cheapest)))
                cheapest = i;
        }
        if (cheapest == tuning->variants.count)
            return;
        floor = instructions_of(tuning, cheapest);
        add(tuning, cheapest);
    }
}

static int run_beginnings(struct kgen_tuning *tuning, struct kgen_error *error)
{
    for (size_t i = 0; i < tuning->variants.count; i++) {
        if (is_proven_only(tuning, i))
            add(tuning, i);
    }
    add_similar(tuning);
    for (size_t i = 0; i < tuning->variants.count; i++) {
        if (kgen_variants_begin_group(&tuning->variants, i))
            add(tuning, i);
    }
    const int result = kgen_tuning_run_waiting(tuning, error);
    if (result != 0)
        return result;
    add_cheapest(tuning);
    return kgen_tuning_run_waiting(tuning, error);
}

/* The least seconds an instruction took, of all that were timed hot. */
static double least_seconds_of_instruction(struct kgen_tuning *tuning)
{
    double least = 0;
    for (size_t i = 0; i < tuning->variants.count; i++) {
        const struct kgen_record *record = kgen_tuning_record(tuning, i);
        if (record == NULL || record->verdict != KGEN_PASSED || record->hot_seconds <= 0)
            continue;
        const double seconds = record->hot_seconds / instructions_of(tuning, i);
        if (least == 0 || seconds < least)
            least = seconds;
    }
    return least;
}

static bool are_neighbours(const struct kgen_variant *a, const struct kgen_variant *b)
{
    if (a->tmpl != b->tmpl || a->isa != b->isa)
        return false;
    int differing = 0;
    for (size_t i = 0; i < kgen_template_param_count(a->tmpl); i++)
        differing += a->values[i] != b->values[i];
    return differing == 1;
}

/* Adds the neighbours of a variant, without those that cannot win against the best. */
static void add_neighbours(struct kgen_tuning *tuning, size_t leader, size_t best)
{
    const double seconds_each = least_seconds_of_instruction(tuning);
    const double longest =
        hopeless_factor * kgen_record_seconds(&tuning->problem, kgen_tuning_record(tuning, best));
    for (size_t i = 0; i < tuning->variants.count; i++) {
        if (!are_neighbours(&tuning->variants.items[i], &tuning->variants.items[leader]) ||
            kgen_tuning_has_record(tuning, i))
            continue;
        const double instructions = instructions_of(tuning, i);
        if (!isfinite(instructions) || instructions * seconds_each <= longest)
            add(tuning, i);
    }
    sort_waiting(tuning);
}

static bool is_at_limit(const struct kgen_tuning *tuning, size_t best)
{
    const struct kgen_record *record = kgen_tuning_record(tuning, best);
    return tuning->tuner->options.effort == KGEN_EFFORT_MEASURE && record->read_seconds > 0 &&
           record->cold_seconds <= limit_cold * record->read_seconds &&
           record->hot_seconds <= limit_hot * record->read_seconds;
}

static int climb(struct kgen_tuning *tuning, struct kgen_error *error)
{
    enum { MOST_LEADERS = 8 };
    size_t best[MOST_LEADERS];
    int result = run_beginnings(tuning, error);
    while (result == 0) {
        const size_t count = kgen_tuning_best(tuning, best, leaders[tuning->tuner->options.effort]);
        if (count == 0 || is_at_limit(tuning, best[0]))
            break;
        for (size_t i = 0; i < count && tuning->waiting_count == 0; i++)
            add_neighbours(tuning, best[i], best[0]);
        if (tuning->waiting_count == 0)
            break;
        result = kgen_tuning_run_waiting(tuning, error);
    }
    return result;
}

int kgen_tuning_search(struct kgen_tuning *tuning, struct kgen_error *error)
{
    tuning->waiting_count = 0;
    if (tries_all(tuning))
        return run_all(tuning, error);
    int result = climb(tuning, error);
    /* Where nothing that was tried is right, anything may be. */
    size_t best;
    if (result == 0 && kgen_tuning_best(tuning, &best, 1) == 0)
        result = run_all(tuning, error);
    return result;
}
