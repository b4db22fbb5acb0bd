/* SPDX-License-Identifier: MIT */
/* The inside of plans and functions. Internal to the public API. */
#ifndef KGEN_PLAN_H
#define KGEN_PLAN_H

#include "runtime/api/context.h"
#include "runtime/api/load.h"

struct kgen_function {
    struct kgen_kernel kernel; /* its problem has the threads it was tuned for */
    struct kgen_text name, problem_text, tensors, variant;
    enum kgen_rung rung;
    bool checked;
    double error_of_bound, seconds, calls;
};

struct kgen_plan {
    struct kgen_function *functions;
    size_t count;
    struct kgen_code_pages *pages; /* of each round of compiling */
    size_t page_count;
    struct kgen_plan_facts facts;
};

/* A variant for a problem, and where it comes from. */
struct kgen_choice_made {
    struct kgen_variant variant;
    enum kgen_rung rung;
    double error_of_bound, seconds; /* of its record on this machine; 0 where there is none */
};

/* The ladder of one problem: what to try for it, one rung after the other. */
struct kgen_ladder {
    const struct kgen_context *context;
    const struct kgen_problem *problem; /* with threads */
    const char *problem_text;
    struct kgen_variants variants; /* all that this machine can run; owned */
    bool *tried;                   /* of each of them; owned */
    int next;                      /* rung */
    const struct kgen_variant
        *sibling;  /* the best for another number of rows in this plan, or NULL; borrowed */
    bool has_best; /* best was found by kgen_ladder_recorded or set after a search */
    struct kgen_choice_made best;
};

/* problem and problem_text are borrowed. */
int kgen_ladder_open(struct kgen_ladder *ladder, const struct kgen_context *context,
                     const struct kgen_problem *problem, const char *problem_text, struct kgen_error *error);
/* A zeroed ladder is fine. */
void kgen_ladder_close(struct kgen_ladder *ladder);

/* Looks for the winner in the cache, of at least this effort, whose choice stands (kgen_choice_stands); with
 * any_proven for any winner, and for the best of those that were never chosen. True where there is one, which
 * is then the first thing to try. */
bool kgen_ladder_recorded(struct kgen_ladder *ladder, enum kgen_search_effort effort, bool any_proven);

/* Steps to the next variant to try. False where there is none left. */
bool kgen_ladder_step(struct kgen_ladder *ladder, struct kgen_choice_made *choice);

/* Searches variants for the ladders that have no best yet, until deadline on kgen_clock (0: none), and sets
 * the best of each that has a proven one. Returns 0, 1 when the time was up, -1 on an error. */
int kgen_plan_search(struct kgen_context *context, struct kgen_ladder *ladders, size_t count, double deadline,
                     struct kgen_error *error);

#endif
