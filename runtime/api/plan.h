/* SPDX-License-Identifier: MIT */
/* The members of plans and functions. Internal to runtime/api. */
#ifndef KGEN_PLAN_H
#define KGEN_PLAN_H

#include "runtime/api/context.h"
#include "runtime/api/load.h"

struct kgen_function {
    struct kgen_kernel kernel; /* its problem has the threads it was tuned for */
    struct kgen_text name, problem_text, tensors, variant;
    enum kgen_origin origin;
    enum kgen_isa isa;
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

/* A variant that was selected for a problem, and where it comes from. */
struct kgen_selected {
    struct kgen_variant variant;
    enum kgen_origin origin;
    double error_of_bound, seconds; /* of its record on this machine; 0 where there is none */
};

/* The variants to try for one problem, in the order of their origins. */
struct kgen_selection {
    const struct kgen_context *context;
    const struct kgen_problem *problem; /* with threads */
    const char *problem_text;
    struct kgen_variants variants; /* all that this machine can run; owned */
    bool *tried;                   /* of each of them; owned */
    int next;                      /* the origin to try next */
    /* The best for another number of rows in this plan, or NULL; borrowed. */
    const struct kgen_variant *sibling;
    bool has_best; /* best was found by kgen_selection_recorded or set after a search */
    struct kgen_selected best;
};

/* Lists the variants of a problem. problem and problem_text are borrowed. Returns 0, or -1 on an error. */
int kgen_selection_open(struct kgen_selection *selection, const struct kgen_context *context,
                        const struct kgen_problem *problem, const char *problem_text,
                        struct kgen_error *error);
/* Accepts a zeroed selection. */
void kgen_selection_close(struct kgen_selection *selection);

/* Looks in the cache for a winner of at least this effort whose choice stands (kgen_choice_stands); with
 * any_proven for any winner, and then for the best variant that was proven but never chosen. Returns true
 * where there is one, and makes it the best. */
bool kgen_selection_recorded(struct kgen_selection *selection, enum kgen_search_effort effort,
                             bool any_proven);

/* Gives the next variant to try. Returns false where none is left. */
bool kgen_selection_next(struct kgen_selection *selection, struct kgen_selected *choice);

/* Searches for the selections that have no best yet, until deadline on kgen_clock (0: none), and sets the
 * best of each that has a proven variant. Returns 0, 1 when the time was up, -1 on an error. */
int kgen_plan_search(struct kgen_context *context, struct kgen_selection *selections, size_t count,
                     double deadline, struct kgen_error *error);

#endif
