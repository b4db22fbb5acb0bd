/* SPDX-License-Identifier: MIT */
/* The trial of a change to templates: its variants are proven part by part, and the best of them is timed in
 * turns with what it would replace. No record is kept. */
#ifndef KGEN_TRIAL_H
#define KGEN_TRIAL_H

#include "gen/target/variant.h"
#include "runtime/machine/machine.h"
#include "runtime/prove/verify.h"

struct kgen_trial_options {
    const struct kgen_machine *machine;
    const struct kgen_templates *templates; /* of which the reader is one; borrowed */
    int threads;                            /* of the proof; times are taken with those of the problem */
    uint64_t seed;
    const volatile int *cancel; /* NULL, or becomes not 0 to stop */
    /* NULL, or gives the seconds of a variant in a session, in place of timing it. A test sets it, so that
     * its verdict does not depend on measured time. */
    double (*sample)(void *context, const struct kgen_problem *problem, const struct kgen_variant *variant,
                     unsigned session);
    void *context;
};

/* What became of several variants in one part of a proof. */
struct kgen_trial_proof {
    size_t passed, no_candidate; /* variants; the latter want more registers than there are, for instance */
    size_t cases;                /* inputs that they ran on */
    bool failed;
    size_t variant; /* the one that failed */
    struct kgen_verification verification;
};

/* Compiles each variant through TinyCC and proves it in a worker process, until one fails. KGEN_PROVE_SMOKE
 * ends with the first that passes, too. Counts are added to proof. Returns 0; 1 when cancelled; -1 on an
 * error. */
int kgen_trial_prove(const struct kgen_trial_options *options, const struct kgen_problem *problem,
                     struct kgen_verify_cases *cases, const struct kgen_variant *variants, size_t count,
                     enum kgen_proof_part part, struct kgen_trial_proof *proof, struct kgen_error *error);

enum { KGEN_COMPARISON_SESSIONS = 32, KGEN_COMPARISON_RIVALS = 2 };

/* How much faster a change must be, and how sure that must be, for a change that serves problems. */
#define KGEN_COMPARISON_GAIN 0.01
#define KGEN_COMPARISON_DOUBT 0.01

enum kgen_comparison_result {
    KGEN_COMPARISON_SAME, /* neither of the two is sure */
    KGEN_COMPARISON_FASTER,
    KGEN_COMPARISON_SLOWER
};

/* A change held against what is in use, in several sessions. A session is a process of its own, in which all
 * are compiled anew and run in turns, in another order: so that where code and buffers happen to lie does not
 * decide.
 */
struct kgen_comparison {
    unsigned sessions;
    /* Of each session the time of a rival over that of the change: of the faster one, and of the first. A
     * change is faster where the former say so, and slower where the latter do. */
    double ratios[KGEN_COMPARISON_SESSIONS], first_ratios[KGEN_COMPARISON_SESSIONS];
    double seconds, rival_seconds; /* medians of the sessions, of the change and of the first rival */
    double ratio;                  /* the median of ratios: greater than 1 is faster */
    double low, high;              /* between which it lies with the confidence that is asked for */
    /* Of the sign test over the sessions: how likely it is that so many are faster, or slower, by
     * KGEN_COMPARISON_GAIN where the true median is not. */
    double doubt_faster, doubt_slower;
    enum kgen_comparison_result result;
};

/* The sessions that a comparison takes which is one of several: enough to be as sure of all together, with
 * one session that says otherwise. */
unsigned kgen_comparison_sessions(size_t comparisons);
/* Fills all of a comparison that follows from its sessions and their ratios. comparisons: of how many it is
 * one. */
void kgen_comparison_judge(struct kgen_comparison *comparison, size_t comparisons);

/* Compares a proven variant with one or two rivals, the first of which is in use. seconds: about the time of
 * a call, which decides how often each runs in a session. Returns 0; 1 when cancelled; -1 on an error, also
 * where a kernel crashes. */
int kgen_trial_compare(const struct kgen_trial_options *options, const struct kgen_problem *problem,
                       const struct kgen_variant *change, const struct kgen_variant *rivals,
                       size_t rival_count, double seconds, size_t comparisons,
                       struct kgen_comparison *comparison, struct kgen_error *error);

#endif
