/* SPDX-License-Identifier: MIT */
/* One kernel on one case: for internal use by verify.c and arrange.c. */
#ifndef KGEN_PROOF_H
#define KGEN_PROOF_H

#include "runtime/prove/cases.h"

/* One kernel on one case, range and placement. */
struct kgen_proof {
    struct kgen_verify_cases *cases;
    const struct kgen_verify_case *item;
    struct kgen_kernel kernel; /* its problem has the range of the proof */
    const struct kgen_verify_options *options;
    struct kgen_verification *result;
    struct kgen_buffers buffers; /* of the kernel's problem, with the bytes of arrays in tiles below */
    struct kgen_guard_buffer workspace, scratch;
    struct kgen_team *team; /* NULL where one thread is asked for */
    enum kgen_placement placement;
    size_t range;
    size_t first;    /* index of the first row: beyond 0, buffers are passed as parts of greater ones */
    size_t case_row; /* of the case; first - case_row is a multiple of 16 where rows lie in tiles */
    size_t stride;   /* elements from row to row, where the range counts columns */
    void *data[KGEN_BUFFERS_MAX]; /* where the rows of the proof lie */
    struct kgen_arguments arguments;
    unsigned garbage; /* counts runs, so that each finds other garbage in the workspace */
    const char *how;  /* the run at hand, for people */
};

/* Whether a call writes the buffer. */
bool kgen_proof_is_result(const struct kgen_proof *p, size_t buffer);
/* The scratch of all threads. */
size_t kgen_proof_scratch_bytes(const struct kgen_proof *p);
/* The bytes of an input that belong to the proof. */
void *kgen_proof_input(const struct kgen_proof *p, size_t buffer);

/* Points the arguments at the buffers of the case, for its range and placement. */
void kgen_proof_arrange(struct kgen_proof *p);
/* Puts poison and canaries where results will be, what they hold before into updated buffers and states, and
 * garbage into the workspace and scratch. */
void kgen_proof_reset(struct kgen_proof *p);
/* Resets, and prepares the workspace. Where no part writes it any more it is read-only from then on. */
void kgen_proof_prepare(struct kgen_proof *p);

#endif
