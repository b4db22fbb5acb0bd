/* SPDX-License-Identifier: MIT */
/* Shared by the files of the tuner. */
#ifndef KGEN_TUNE_INTERNAL_H
#define KGEN_TUNE_INTERNAL_H

#include "runtime/cache/effort.h"
#include "runtime/process/measure_lock.h"
#include "runtime/process/worker.h"
#include "runtime/prove/verify.h"
#include "runtime/tune/timing.h"
#include "runtime/tune/tune.h"

/* The most candidates of the final round, in which the best are timed again, in turns. */
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
    bool noisy; /* the latest final round was: there is something else that runs on the machine */
    bool first; /* the first proven candidate is wanted: first.c */
};

/* In memory shared with the worker processes. */
struct kgen_tuning_shared {
    double best_cost; /* of the candidates timed by this process; 0 until one was */
    double slowness;  /* of the machine, before the jobs that run now; at least 1 */
};

/* The tuning of one problem. */
struct kgen_tuning {
    struct kgen_tuner *tuner;
    struct kgen_problem problem;
    struct kgen_text problem_text;
    struct kgen_variants variants;
    struct kgen_text groups; /* of variants, by name: choices.c */
    uint64_t *keys;          /* of the records of the variants */
    double *instructions;    /* of one call, as far as they were counted; else 0 */
    size_t *waiting;         /* the variants that have no record yet that suffices */
    size_t waiting_count;
    size_t *pending; /* those of them that this process has claimed, and tries next */
    size_t pending_count;
    struct kgen_verify_cases *cases; /* NULL until needed */
    double reference_seconds;        /* that the references of the cases took: plain C in double precision */
    struct kgen_variant hung;        /* the latest one that hung; tmpl is NULL where none did */
    bool filled;                     /* the tuner's buffers hold this problem's inputs */
    struct kgen_tuning_shared *shared;
    unsigned compiled;
    enum kgen_made made;          /* of what first.c chose */
    kgen_tune_progress *progress; /* may be NULL */
    void *progress_context;
};

/* Seconds of the tuner's clock. */
double kgen_tuner_clock(const struct kgen_tuner *tuner);

/* Whether the tuner was cancelled or its time is up. */
bool kgen_tuner_stopped(const struct kgen_tuner *tuner);

/* Fills indexes with the fastest proven variants, best first, at most room of them; returns how many. */
size_t kgen_tuning_best(const struct kgen_tuning *tuning, size_t *indexes, size_t room);

/* The record of a variant, or NULL. Valid as those of kgen_cache_find. */
const struct kgen_record *kgen_tuning_record(const struct kgen_tuning *tuning, size_t variant);

/* Whether a variant has a record that answers what the effort asks. */
bool kgen_tuning_has_record(const struct kgen_tuning *tuning, size_t variant);

/* ---- choices.c ---- */

/* Whether a choice holds for the variants that are considered now. */
enum kgen_standing {
    KGEN_STANDS_NOT,       /* it was made without some of them */
    KGEN_STANDING_UNKNOWN, /* it was made by an earlier version, which did not say */
    KGEN_STANDS
};

/* Lists the variants that are considered, with their groups and keys: those of kgen_tune_variants, and those
 * of the other instruction sets as well where an earlier search has chosen among them. */
int kgen_tuning_list_variants(struct kgen_tuning *tuning, struct kgen_error *error);

/* Whether a variant is the first of its template and instruction set. Its parameters are those that its
 * author trusts most. */
bool kgen_variants_begin_group(const struct kgen_variants *variants, size_t variant);

/* How many variants, from the first, are of the widest instruction set. */
size_t kgen_variants_of_widest(const struct kgen_variants *variants);

/* The variant that a run, this or another, has chosen at this effort or a greater one, and whose choice
 * stands at least so well; or variants.count. */
size_t kgen_tuning_chosen(const struct kgen_tuning *tuning, enum kgen_standing least);

/* Notes in the records which variant is the winner now, and among what. */
int kgen_tuning_mark_chosen(struct kgen_tuning *tuning, size_t chosen, struct kgen_error *error);

/* Whether the search for this problem is over: a winner was chosen, and the templates hold nothing new since.
 */
bool kgen_tuning_is_settled(const struct kgen_tuning *tuning);

/* Tries candidates as the effort says; tune_search.c describes how. Returns 0; 1 when stopped; -1. */
int kgen_tuning_search(struct kgen_tuning *tuning, struct kgen_error *error);

/* Lists the variants that won similar problems in this run: those of the problems that differ least first, of
 * these the latest. A variant may be listed more than once. Returns how many. */
size_t kgen_tuning_list_similar(const struct kgen_tuning *tuning, size_t indexes[KGEN_WINNERS]);

/* Returns when every waiting variant has a record, made by this process or by another one that uses the same
 * cache and had claimed the variant. Returns 0; 1 when stopped; -1. */
int kgen_tuning_run_waiting(struct kgen_tuning *tuning, struct kgen_error *error);

/* Claims the final round of the problem, waiting for another process that has it. Returns 0 with the claim;
 * 2 where another process has chosen meanwhile, among what this one considers, unless the round is run again;
 * 1 when stopped; -1. */
int kgen_tuning_claim_final(struct kgen_tuning *tuning, bool again, struct kgen_error *error);
void kgen_tuning_release_final(struct kgen_tuning *tuning);

/* ---- what candidates and finalists share ---- */

/* Runs jobs in worker processes as kgen_workers_run does, after one of its own that says how slow the machine
 * is just now (shared->slowness). Job and report get the indexes from 0 to count - 1. */
int kgen_tuning_run_jobs(struct kgen_tuning *tuning, size_t count, size_t result_bytes, kgen_job *job,
                         kgen_job_report *report, void *context, struct kgen_error *error);

/* Seconds that a stage of a variant may take before it counts as hung: the limit of the options, times how
 * slow the machine is, but no more than KGEN_STAGE_LIMIT_MOST unless the options say more. */
double kgen_tuning_stage_limit(const struct kgen_tuning *tuning, const struct kgen_variant *variant);
/* So that all stages of a candidate end before its claim may be taken over. */
#define KGEN_STAGE_LIMIT_MOST 150.0

/* The same for the proof of a variant, which makes the same calls as the reference: unless the options give a
 * limit, it follows from the time that the reference took. It is shorter where another variant of the same
 * template and instruction set hung. */
double kgen_tuning_proof_limit(const struct kgen_tuning *tuning, const struct kgen_variant *variant);
/* Notes that a variant hung: those of the same template and instruction set that still wait are tried last.
 * first is the index of the first pending one that may be moved. */
void kgen_tuning_note_hung(struct kgen_tuning *tuning, size_t variant, size_t first);

/* In a worker: waits for the lock of measure_lock.h, which is no fault of the candidate and has a limit of
 * its own. */
int kgen_tuning_take_lock(struct kgen_worker *worker, enum kgen_measure_lock_mode mode);

/* In a worker: compiles a variant to the functions of a kernel. Returns NULL with the reason in verification.
 */
struct kgen_code *kgen_tuning_compile(const struct kgen_tuning *tuning, const struct kgen_variant *variant,
                                      struct kgen_kernel *kernel, struct kgen_verification *verification);

/* Fills the tuner's buffers with this problem's inputs where that has not been done. */
int kgen_tuning_fill_buffers(struct kgen_tuning *tuning, struct kgen_error *error);

/* Tells the caller's progress of the record of a variant. */
void kgen_tuning_tell(const struct kgen_tuning *tuning, size_t variant);

/* Compiles, proves and times the pending variants in worker processes, and records each. Returns 0; 1 when
 * stopped; -1. */
int kgen_tuning_run_candidates(struct kgen_tuning *tuning, struct kgen_error *error);

/* Times the given proven variants again, in turns, and records it. Returns 0; 1 when stopped; 2 where one of
 * them crashed, hung or could not be compiled, which is told and recorded: it has passed no longer; 3 where
 * the rounds have more noise than noise_most (0: any will do), and nothing is recorded; -1. */
int kgen_tuning_run_final(struct kgen_tuning *tuning, const size_t *indexes, size_t count, double noise_most,
                          struct kgen_error *error);

/* Sorts variants that have records by their cost, the best first; those that were not timed come last. */
void kgen_tuning_sort(const struct kgen_tuning *tuning, size_t *indexes, size_t count);

/* ---- again.c ---- */

/* Whether the choice is to be timed again: the options ask for it, or it was made in a noisy moment and the
 * machine has not been noisy since. */
bool kgen_tuning_wants_again(const struct kgen_tuning *tuning, size_t chosen);
/* Times the choice and the best besides it again, and chooses among them. Where nothing but noise was the
 * reason, times that are as noisy again are not kept. Returns 0; 1 when stopped, with the choice as it was;
 * -1. */
int kgen_tuning_time_again(struct kgen_tuning *tuning, size_t *chosen, struct kgen_error *error);

/* ---- first.c ---- */

/* Proves one variant after the other until one passes, those first that are likely to be fast: tuning->made
 * says where it comes from. Returns 0 (*chosen is variants.count where none passes); 1 when stopped; -1. */
int kgen_tuning_find_first(struct kgen_tuning *tuning, size_t *chosen, struct kgen_error *error);

#endif
