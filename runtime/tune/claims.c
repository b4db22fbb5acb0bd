/* SPDX-License-Identifier: MIT */
/* Several processes at one cache: each candidate is tried by one of them. */
#include "runtime/tune/internal.h"

#include <time.h>

/* So many candidates are claimed at once: few enough that others find some, enough that starting a worker
 * process for them costs little. */
enum { BATCH = 16 };

#define PAUSE_NANOSECONDS 10000000L

static void pause_a_moment(void)
{
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_NANOSECONDS}, NULL);
}

static void release(struct kgen_trial *trial)
{
    for (size_t i = 0; i < trial->pending_count; i++)
        kgen_cache_release(trial->tuner->cache, trial->keys[trial->pending[i]]);
    trial->pending_count = 0;
}

/* Moves waiting variants that can be claimed to those pending, and forgets those that have got a record. */
static int claim_batch(struct kgen_trial *trial, struct kgen_error *error)
{
    struct kgen_cache *cache = trial->tuner->cache;
    size_t left = 0, claimed = 0;
    for (size_t i = 0; i < trial->waiting_count; i++) {
        const size_t variant = trial->waiting[i];
        if (claimed < BATCH && kgen_cache_claim(cache, trial->keys[variant]))
            trial->pending[claimed++] = variant;
        else
            trial->waiting[left++] = variant;
    }
    trial->waiting_count = left;
    trial->pending_count = claimed;
    /* Who had a claim before may have done the work: its record was written before it released the claim. */
    if (kgen_cache_refresh(cache, error) != 0) {
        release(trial);
        return -1;
    }
    size_t waiting = 0, pending = 0;
    for (size_t i = 0; i < left; i++) {
        if (!kgen_trial_has_record(trial, trial->waiting[i]))
            trial->waiting[waiting++] = trial->waiting[i];
    }
    for (size_t i = 0; i < claimed; i++) {
        const size_t variant = trial->pending[i];
        if (kgen_trial_has_record(trial, variant))
            kgen_cache_release(cache, trial->keys[variant]);
        else
            trial->pending[pending++] = variant;
    }
    trial->waiting_count = waiting;
    trial->pending_count = pending;
    return 0;
}

int kgen_trial_run_waiting(struct kgen_trial *trial, struct kgen_error *error)
{
    int result = 0;
    while (result == 0 && trial->waiting_count > 0) {
        if (kgen_tuner_stopped(trial->tuner))
            return 1;
        if (claim_batch(trial, error) != 0)
            return -1;
        if (trial->pending_count > 0)
            result = kgen_trial_run_candidates(trial, error);
        else if (trial->waiting_count > 0)
            pause_a_moment();
        release(trial);
    }
    return result;
}

static uint64_t final_key(const struct kgen_trial *trial)
{
    const struct kgen_tuner *tuner = trial->tuner;
    return kgen_record_key(tuner->machine->identity, trial->problem_text.data, KGEN_HASH_START,
                           tuner->engine.data);
}

int kgen_trial_claim_final(struct kgen_trial *trial, struct kgen_error *error)
{
    struct kgen_tuner *tuner = trial->tuner;
    for (;;) {
        const bool claimed = kgen_cache_claim(tuner->cache, final_key(trial));
        int result = kgen_cache_refresh(tuner->cache, error);
        if (result == 0 && kgen_trial_chosen(trial) < trial->variants.count)
            result = 2;
        else if (result == 0 && kgen_tuner_stopped(tuner))
            result = 1;
        else if (result == 0 && claimed)
            return 0;
        if (claimed)
            kgen_trial_release_final(trial);
        if (result != 0)
            return result;
        pause_a_moment();
    }
}

void kgen_trial_release_final(struct kgen_trial *trial)
{
    kgen_cache_release(trial->tuner->cache, final_key(trial));
}
