/* SPDX-License-Identifier: MIT */
/* The prepared inputs of one problem: for internal use by verify.c. */
#ifndef KGEN_VERIFY_CASES_H
#define KGEN_VERIFY_CASES_H

#include "runtime/process/guard_buffer.h"
#include "runtime/prove/verify.h"

/* What an output element holds until it is written: a NaN that no instruction makes, repeated over the bytes
 * of the buffer. */
#define KGEN_POISON UINT32_C(0x7fc5a3b9)

/* Elements between the rows of an output whose columns the range counts: those of nobody. */
#define KGEN_STRIDE_GAP ((size_t)3)

/* One kind of input for up to `range` rows, heads or elements. Smaller ranges use a part of it: at the end
 * of their guard buffers the last ones, at the start the first ones. */
struct kgen_verify_case {
    const struct kgen_generator *generator;
    size_t range;
    int64_t scalars[KGEN_SCALARS_MAX];
    /* The same bytes in both placements, read-only; none for outputs, workspace and scratch. Updated buffers
     * and states have what they hold before the call. */
    struct kgen_guard_buffer inputs[KGEN_PLACEMENT_COUNT][KGEN_BUFFERS_MAX];
    struct kgen_expected expected; /* its arrays are owned */
};

struct kgen_verify_cases {
    struct kgen_problem problem;
    uint64_t seed;
    bool quick;
    /* Some result is of all rows together, or the range is fixed: a case for each range, of which no part is
     * run alone. */
    bool whole;
    size_t count;
    struct kgen_verify_case *items;
    /* Of each output, updated and state buffer: memory for the greatest range, and a copy of what the first
     * run gave. */
    struct kgen_guard_buffer results[KGEN_BUFFERS_MAX];
    void *first_results[KGEN_BUFFERS_MAX];
};

/* Whether a call writes buffers of the role. */
bool kgen_role_is_result(enum kgen_role role);
/* Whether a call reads buffers of the role as they were before it. */
bool kgen_role_is_input(enum kgen_role role);

/* The ranges that the first case is run with; ends with 0. None is greater than the range of the case. */
const size_t *kgen_verify_ranges(const struct kgen_verify_cases *cases);

#endif
