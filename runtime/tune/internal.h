/* SPDX-License-Identifier: MIT */
/* Shared by the files of the tuner. */
#ifndef KGEN_TUNE_INTERNAL_H
#define KGEN_TUNE_INTERNAL_H

#include "runtime/tune/timing.h"
#include "runtime/tune/tune.h"

/* So many of the best at the most are timed again, in turns, so that a moment's noise does not choose. */
enum { KGEN_FINALISTS = 8 };

/* Winners of problems of this run. */
enum { KGEN_WINNERS = 64 };
struct kgen_winner {
    struct kgen_problem problem;
    struct kgen_variant variant;
};

struct kgen_tuner {
    const struct kgen_templates *templates;
    const struct kgen_machine *machine;
    struct kgen_cache *cache;
    struct kgen_tune_options options;
    struct kgen_text engine; /* kgen_engine_describe */
    struct kgen_timing_buffers buffers;
    double start;
    struct kgen_winner winners[KGEN_WINNERS]; /* the latest ones */
    size_t winner_count;                      /* of all that were noted */
};

/* The tuning of one problem. */
struct kgen_tuning {
    struct kgen_tuner *tuner;
    struct kgen_problem problem;
    struct kgen_text problem_text;
    struct kgen_variants variants;
    uint64_t *keys;       /* of their records */
    double *instructions; /* of one call, as far as they were counted; else 0 */
    size_t *waiting;      /* the variants that have no record yet that suffices */
    size_t waiting_count;
    size_t *pending; /* those of them that this process has claimed, and tries next */
    size_t pending_count;
    struct kgen_verify_cases *cases; /* NULL until needed */
    bool filled;                     /* the tuner's buffers hold this problem's inputs */
    double best_cost;                /* of the candidates timed by this process; 0 until one was */
    unsigned compiled;
    kgen_tune_progress *progress; /* may be NULL */
    void *progress_context;
};

/* Whether the tuner was cancelled or its time is up. */
bool kgen_tuner_stopped(const struct kgen_tuner *tuner);

/* Fills indexes with the fastest proven variants, best first, at most room of them; returns how many. */
size_t kgen_tuning_best(const struct kgen_tuning *tuning, size_t *indexes, size_t room);

/* Whether a variant has a record that answers what the effort asks. */
bool kgen_tuning_has_record(const struct kgen_tuning *tuning, size_t variant);

/* The variant that a run, this or another, has chosen at this effort or a greater one, or variants.count. */
size_t kgen_tuning_chosen(const struct kgen_tuning *tuning);

/* Whether the search for this problem is over: a winner was chosen, and the templates hold nothing new since.
 */
bool kgen_tuning_is_settled(const struct kgen_tuning *tuning);

/* Tries candidates as the effort says; tune_search.c describes how. Returns 0; 1 when stopped; -1. */
int kgen_tuning_search(struct kgen_tuning *tuning, struct kgen_error *error);

/* Sees to it that every waiting variant gets a record: from this process, or from others at work on the same
 * cache, whose claims it respects. Returns 0; 1 when stopped; -1. */
int kgen_tuning_run_waiting(struct kgen_tuning *tuning, struct kgen_error *error);

/* Claims the final round of the problem, waiting for another process that has it. Returns 0 with the claim;
 * 2 where another process has chosen meanwhile; 1 when stopped; -1. */
int kgen_tuning_claim_final(struct kgen_tuning *tuning, struct kgen_error *error);
void kgen_tuning_release_final(struct kgen_tuning *tuning);

/* Compiles, proves and times the pending variants in worker processes, and records each. Returns 0; 1 when
 * stopped; -1. */
int kgen_tuning_run_candidates(struct kgen_tuning *tuning, struct kgen_error *error);

/* Times the given proven variants again, in turns, and records it. Returns 0; 1 when stopped; -1. */
int kgen_tuning_run_final(struct kgen_tuning *tuning, const size_t *indexes, size_t count,
                          struct kgen_error *error);

#endif
