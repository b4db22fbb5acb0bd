/* SPDX-License-Identifier: MIT */
/* The prepared inputs of one problem: for internal use by verify.c. */
#ifndef KGEN_VERIFY_CASES_H
#define KGEN_VERIFY_CASES_H

#include "runtime/prove/fill.h"
#include "runtime/process/guard_buffer.h"
#include "runtime/prove/verify.h"

/* What an output element holds until it is written: a NaN that no operation makes. */
#define KGEN_POISON UINT32_C(0x7fc5a3b9)

/* One kind of input for up to `range` rows, heads or elements. Smaller ranges use a part of it: at the end
 * of their guard buffers the last ones, at the start the first ones. */
struct kgen_verify_case {
    const struct kgen_fill *fill;
    size_t range;
    int64_t position;
    /* The same bytes in both placements, read-only. */
    struct kgen_guard_buffer inputs[KGEN_PLACEMENT_COUNT][KGEN_BUFFER_COUNT];
    double *expected, *bound; /* of y */
    double *residual_expected, *residual_bound;
};

struct kgen_verify_cases {
    struct kgen_problem problem;
    uint64_t seed;
    bool quick;
    size_t count;
    struct kgen_verify_case *items;
    /* Scratch with room for the greatest range. */
    struct kgen_guard_buffer y, residual;
    void *first_y, *first_residual; /* copies of the first run's output */
};

/* The ranges that the first case is run with; ends with 0. None is greater than the range of the case. */
const size_t *kgen_verify_ranges(const struct kgen_verify_cases *cases);

#endif
