/* SPDX-License-Identifier: MIT */
/* Several processes at one cache: each candidate is tried by one of them. */
#include "runtime/tune/internal.h"

#include <time.h>

/* The candidates that a process claims at once: few, so that other processes find some, but enough that
 * starting a worker process costs little for each. */
enum { BATCH = 16 };

#define PAUSE_NANOSECONDS 10000000L

static void pause_a_moment(void)
{
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_NANOSECONDS}, NULL);
}

static void release(struct kgen_tuning *tuning)
{
    for (size_t i = 0; i < tuning->pending_count; i++)
        kgen_cache_release(tuning->tuner->cache, tuning->keys[tuning->pending[i]]);
    tuning->pending_count = 0;
}

/* Moves waiting variants that can be claimed to those pending, and forgets those that have got a record. */
static int claim_batch(struct kgen_tuning *tuning, struct kgen_error *error)
{
    struct kgen_cache *cache = tuning->tuner->cache;
    size_t left = 0, claimed = 0;
    for (size_t i = 0; i < tuning->waiting_count; i++) {
        const size_t variant = tuning->waiting[i];
        if (claimed < BATCH && kgen_cache_claim(cache, tuning->keys[variant]))
            tuning->pending[claimed++] = variant;
        else
            tuning->waiting[left++] = variant;
    }
    tuning->waiting_count = left;
    tuning->pending_count = claimed;
    /* A process that had the claim before may have done the work. It wrote the record before it released the
     * claim. */
    if (kgen_cache_refresh(cache, error) != 0) {
        release(tuning);
        return -1;
    }
    size_t waiting = 0, pending = 0;
    for (size_t i = 0; i < left; i++) {
        if (!kgen_tuning_has_record(tuning, tuning->waiting[i]))
            tuning->waiting[waiting++] = tuning->waiting[i];
    }
    for (size_t i = 0; i < claimed; i++) {
        const size_t variant = tuning->pending[i];
        if (kgen_tuning_has_record(tuning, variant))
            kgen_cache_release(cache, tuning->keys[variant]);
        else
            tuning->pending[pending++] = variant;
    }
    tuning->waiting_count = waiting;
    tuning->pending_count = pending;
    return 0;
}

int kgen_tuning_run_waiting(struct kgen_tuning *tuning, struct kgen_error *error)
{
    int result = 0;
    while (result == 0 && tuning->waiting_count > 0) {
        if (kgen_tuner_stopped(tuning->tuner))
            return 1;
        if (claim_batch(tuning, error) != 0)
            return -1;
        if (tuning->pending_count > 0)
            result = kgen_tuning_run_candidates(tuning, error);
        else if (tuning->waiting_count > 0)
            pause_a_moment();
        release(tuning);
    }
    return result;
}

static uint64_t final_key(const struct kgen_tuning *tuning)
{
    const struct kgen_tuner *tuner = tuning->tuner;
    return kgen_record_key(tuner->machine->identity, tuning->problem_text.data, KGEN_HASH_START,
                           tuner->engine.data);
}

int kgen_tuning_claim_final(struct kgen_tuning *tuning, bool again, struct kgen_error *error)
{
    struct kgen_tuner *tuner = tuning->tuner;
    for (;;) {
        const bool claimed = kgen_cache_claim(tuner->cache, final_key(tuning));
        int result = kgen_cache_refresh(tuner->cache, error);
        if (result == 0 && !again && kgen_tuning_chosen(tuning, KGEN_STANDS) < tuning->variants.count)
            result = 2;
        else if (result == 0 && kgen_tuner_stopped(tuner))
            result = 1;
        else if (result == 0 && claimed)
            return 0;
        if (claimed)
            kgen_tuning_release_final(tuning);
        if (result != 0)
            return result;
        pause_a_moment();
    }
}

void kgen_tuning_release_final(struct kgen_tuning *tuning)
{
    kgen_cache_release(tuning->tuner->cache, final_key(tuning));
}
