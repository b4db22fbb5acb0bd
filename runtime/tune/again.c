/* SPDX-License-Identifier: MIT */
/* A choice that is known, timed again: because the caller asks for it, or because it was made in a noisy
 * moment. Whether the machine is quiet now shows in the rounds themselves: where they are as noisy as before,
 * what is known stays, and the other noisy choices of this run wait for a later one. */
#include "runtime/tune/internal.h"

bool kgen_tuning_wants_again(const struct kgen_tuning *tuning, size_t chosen)
{
    const struct kgen_tuner *tuner = tuning->tuner;
    if (chosen == tuning->variants.count || tuner->options.shards > 0)
        return false;
    const struct kgen_record *record = kgen_tuning_record(tuning, chosen);
    const bool waits = tuner->options.keep_noisy || tuner->noisy;
    return tuner->options.retune || (record != NULL && kgen_record_is_noisy(record) && !waits);
}

/* The best variants, and the choice among them. */
static size_t list_finalists(const struct kgen_tuning *tuning, size_t chosen, size_t best[KGEN_FINALISTS])
{
    const size_t count = kgen_tuning_best(tuning, best, KGEN_FINALISTS);
    for (size_t i = 0; i < count; i++) {
        if (best[i] == chosen)
            return count;
    }
    if (count > 0 && chosen < tuning->variants.count)
        best[count - 1] = chosen;
    return count;
}

static int run_rounds(struct kgen_tuning *tuning, size_t *chosen, struct kgen_error *error)
{
    size_t best[KGEN_FINALISTS], count;
    int result;
    do {
        const struct kgen_record *record =
            *chosen < tuning->variants.count ? kgen_tuning_record(tuning, *chosen) : NULL;
        const bool asked = tuning->tuner->options.retune;
        /* Another process may have timed it meanwhile, or it may have failed in the round before. */
        if (record != NULL && !asked && !kgen_record_is_noisy(record))
            return 0;
        count = list_finalists(tuning, *chosen, best);
        result = count > 0 ? kgen_tuning_run_final(tuning, best, count,
                                                   asked || record == NULL ? 0 : record->noise, error)
                           : 0;
        if (result == 2)
            *chosen = kgen_tuning_chosen(tuning, KGEN_STANDS_NOT);
    } while (result == 2);
    if (result != 0)
        return result == 3 ? 0 : result;
    kgen_tuning_sort(tuning, best, count);
    *chosen = count > 0 ? best[0] : tuning->variants.count;
    return count > 0 ? kgen_tuning_mark_chosen(tuning, *chosen, error) : 0;
}

int kgen_tuning_time_again(struct kgen_tuning *tuning, size_t *chosen, struct kgen_error *error)
{
    int result = kgen_tuning_claim_final(tuning, true, error);
    if (result != 0)
        return result;
    *chosen = kgen_tuning_chosen(tuning, KGEN_STANDS_NOT);
    result = run_rounds(tuning, chosen, error);
    kgen_tuning_release_final(tuning);
    return result;
}
