/* SPDX-License-Identifier: MIT */
#include "runtime/tune/share.h"

#include "runtime/tune/internal.h"

#include <stdlib.h>
#include <string.h>

/* No pass begins with less time than this. */
static const double least_seconds = 0.05;
/* A time limit that is over from the beginning. */
static const double no_seconds = 1e-9;
/* The bytes that are allocated and filled in a second for timing; the system's page faults take most of it.
 */
static const double filled_bytes_per_second = 4e8;

/* Of the time that is left, the part that is shared evenly. */
static const double even_part = 0.25;
/* An item is left out where filling its buffers would take a greater part of the time that is left. */
static const double most_setup = 0.5;

struct sharing {
    struct kgen_tuner *tuner;
    const struct kgen_tune_item *items;
    const struct kgen_tune_watch *watch;
    struct kgen_choice *choices;
    struct kgen_error *error;
    double deadline; /* of the tuner's clock */
    size_t *open;    /* the items whose search is not over; owned */
    size_t open_count;
};

/* The bytes of an item in a step. */
static double weight_of(const struct kgen_tune_item *item)
{
    return kgen_problem_bytes(item->problem) * (item->calls > 1 ? item->calls : 1);
}

static bool is_cancelled(const struct sharing *sharing)
{
    return kgen_is_cancelled(sharing->tuner->options.cancel);
}

/* Tunes one item as the tuner's options say now. */
static int tune_item(struct sharing *sharing, size_t index)
{
    const struct kgen_tune_item *item = &sharing->items[index];
    const struct kgen_tune_watch *watch = sharing->watch;
    struct kgen_choice *kept = &sharing->choices[index], choice = {0};
    if (watch->begin != NULL)
        watch->begin(watch->context, index);
    sharing->tuner->options.retune = item->retune;
    const int result =
        kgen_tune(sharing->tuner, item->problem, watch->candidate, watch->context, &choice, sharing->error);
    if (result < 0)
        return -1;
    choice.candidates = kept->candidates > choice.candidates ? kept->candidates : choice.candidates;
    choice.compiled += kept->compiled;
    choice.from_cache = choice.compiled == 0;
    *kept = choice;
    return result;
}

/* Tunes the first count items in their order; returns when one is stopped by cancel. */
static int tune_in_order(struct sharing *sharing, size_t count, size_t *done)
{
    int result = 0;
    *done = 0;
    for (size_t i = 0; i < count && !is_cancelled(sharing); i++) {
        const int tuned = tune_item(sharing, i);
        if (tuned < 0)
            return -1;
        result = tuned == 0 ? result : 1;
        if (tuned == 0 || !is_cancelled(sharing))
            *done = i + 1;
    }
    return *done == count ? result : 1;
}

/* Gives the items that were not timed so far a proven candidate; with what was timed since the last time, it
 * may be another one. Sets *done only where it is not NULL. */
static int find_first(struct sharing *sharing, size_t count, size_t *done)
{
    struct kgen_tuner *tuner = sharing->tuner;
    const struct kgen_tune_options options = tuner->options;
    tuner->options.effort = KGEN_EFFORT_ESTIMATE;
    tuner->options.time_limit_seconds = 0;
    tuner->first = true;
    int result = 0;
    if (done != NULL)
        result = tune_in_order(sharing, count, done);
    for (size_t i = 0; done == NULL && i < count && result == 0; i++) {
        if (sharing->choices[i].made > KGEN_MADE_SO_FAR)
            result = tune_item(sharing, i);
    }
    tuner->first = false;
    tuner->options = options;
    return result;
}

/* Lists all items, those of the most bytes in a step first. */
static void open_items(struct sharing *sharing, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t at = i;
        for (; at > 0 && weight_of(&sharing->items[sharing->open[at - 1]]) < weight_of(&sharing->items[i]);
             at--)
            sharing->open[at] = sharing->open[at - 1];
        sharing->open[at] = i;
    }
    sharing->open_count = count;
}

/* The seconds of what is left that the open item at this place gets; 0 where they do not suffice. */
static double share_of(const struct sharing *sharing, size_t place, double left)
{
    const struct kgen_tuner *tuner = sharing->tuner;
    const struct kgen_tune_item *item = &sharing->items[sharing->open[place]];
    const double bytes =
        2 * ((double)kgen_machine_last_level_cache(tuner->machine) + kgen_problem_bytes(item->problem));
    const double setup = bytes > (double)tuner->buffers.arena_bytes ? bytes / filled_bytes_per_second : 0;
    double weights = 0;
    for (size_t i = place; i < sharing->open_count; i++)
        weights += weight_of(&sharing->items[sharing->open[i]]);
    const double share = left * (even_part / (double)(sharing->open_count - place) +
                                 (1 - even_part) * weight_of(item) / weights);
    return setup < most_setup * left ? share : 0;
}

/* Tunes each open item within its share; in the first pass also those that get none, so that their choices
 * say what the cache knows. Returns how many had time, or -1. */
static int run_pass(struct sharing *sharing, bool first_pass)
{
    struct kgen_tuner *tuner = sharing->tuner;
    size_t left = 0;
    int searched = 0;
    for (size_t i = 0; i < sharing->open_count; i++) {
        const size_t index = sharing->open[i];
        const double now = kgen_tuner_clock(tuner), share = share_of(sharing, i, sharing->deadline - now);
        tuner->options.time_limit_seconds = share > 0 ? now + share - tuner->start : no_seconds;
        const int result =
            (share > 0 || first_pass) && !is_cancelled(sharing) ? tune_item(sharing, index) : 1;
        if (result < 0)
            return -1;
        searched += share > 0;
        if (result != 0)
            sharing->open[left++] = index;
    }
    sharing->open_count = left;
    return searched;
}

static int tune_within_limit(struct sharing *sharing, size_t count, size_t *done)
{
    struct kgen_tuner *tuner = sharing->tuner;
    sharing->deadline = tuner->start + tuner->options.time_limit_seconds;
    const int result = find_first(sharing, count, done);
    if (result != 0)
        return result;
    open_items(sharing, count);
    bool first_pass = true;
    int searched;
    do {
        searched = run_pass(sharing, first_pass);
        first_pass = false;
    } while (searched > 0 && sharing->open_count > 0 && !is_cancelled(sharing) &&
             sharing->deadline - kgen_tuner_clock(tuner) > least_seconds);
    if (searched < 0 || (!is_cancelled(sharing) && find_first(sharing, count, NULL) < 0))
        return -1;
    return sharing->open_count > 0;
}

int kgen_tune_all(struct kgen_tuner *tuner, const struct kgen_tune_item *items, size_t count,
                  const struct kgen_tune_watch *watch, struct kgen_choice *choices, size_t *done,
                  struct kgen_error *error)
{
    struct sharing sharing = {
        .tuner = tuner, .items = items, .watch = watch, .choices = choices, .error = error};
    *done = 0;
    memset(choices, 0, count * sizeof *choices);
    struct kgen_tune_options *options = &tuner->options;
    if (options->effort == KGEN_EFFORT_ESTIMATE)
        options->time_limit_seconds = 0;
    if (options->time_limit_seconds <= 0 || options->shards > 0)
        return tune_in_order(&sharing, count, done);
    sharing.open = calloc(count + 1, sizeof *sharing.open);
    if (sharing.open == NULL)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    const int result = tune_within_limit(&sharing, count, done);
    free(sharing.open);
    return result;
}
