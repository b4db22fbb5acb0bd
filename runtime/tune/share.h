/* SPDX-License-Identifier: MIT */
/* Several problems tuned within one time limit. */
#ifndef KGEN_TUNE_SHARE_H
#define KGEN_TUNE_SHARE_H

#include "runtime/tune/tune.h"

struct kgen_tune_item {
    const struct kgen_problem *problem; /* borrowed */
    double calls;                       /* in a step of the model */
    bool retune;                        /* kgen_tune_options.retune for this one */
};

/* What a caller may follow; members may be NULL. */
struct kgen_tune_watch {
    void (*begin)(void *context, size_t item); /* before an item, which may come up more than once */
    kgen_tune_progress *candidate;
    void *context; /* of both */
};

/* Tunes the items and fills a choice for each.
 *
 * Without a time limit in the tuner's options, and with shards, one item follows the other; with the effort
 * estimate likewise, and the limit does not count, as no item gets more than a proof. With a time limit
 * each item first gets one proven candidate, however long that takes: the best that the cache knows, else the
 * first that passes of those that first.c lists. What is left of the time is shared: a quarter of it evenly,
 * the rest by the bytes that the items move in a step (calls x bytes), which stand for their time there. The
 * items of the most bytes come first, and what one leaves over goes to the next ones, in further passes too.
 * An item is left out while filling its buffers would take more than half of what is left. Where the time was
 * up before an item was timed, it gets the winner of a similar item, if that passes.
 *
 * *done is the number of choices, from the first, that are filled. Returns 0; 1 where the search of an item
 * was stopped by the time limit or cancel; -1 on an error. The tuner's time limit counts from kgen_tuner_new,
 * and is over afterwards. */
int kgen_tune_all(struct kgen_tuner *tuner, const struct kgen_tune_item *items, size_t count,
                  const struct kgen_tune_watch *watch, struct kgen_choice *choices, size_t *done,
                  struct kgen_error *error);

#endif
