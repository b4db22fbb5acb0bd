/* SPDX-License-Identifier: MIT */
/* The buffers of one problem: those that its op declares and the problem has, with a matrix of weights taken
 * apart into the arrays of its format. */
#ifndef KGEN_BUFFERS_H
#define KGEN_BUFFERS_H

#include "gen/ops/problem.h"

struct kgen_problem_buffer {
    const char *name; /* of the buffer, or of the array of the weight format: "scales" */
    const struct kgen_buffer *declared;
    const char *shape; /* NULL for a workspace and scratch */
    enum kgen_role role;
    enum kgen_constant dtype; /* KGEN_CONSTANT_NONE: bytes of a weight format, or a workspace */
    size_t bytes;             /* 0 for a workspace and scratch: the kernel says it */
    size_t range_bytes;  /* what one more unit of the range adds at the end; 0 where it adds nothing, or in
                            several places. Where the range is fixed: the part of an output that is one
                            unit's, else 0 */
    size_t strided_rows; /* 0, or the rows of which the range counts the columns: kgen_op.range_stride */
    size_t tile_rows;    /* rows that lie side by side and are not taken apart: 1, or 16 */
    int array;           /* of the weight format, or -1 */
};

struct kgen_buffers {
    struct kgen_problem_buffer items[KGEN_BUFFERS_MAX];
    size_t count;
};

/* Lists the buffers, in the order of a kernel's parameters. The problem has passed kgen_problem_check. */
void kgen_problem_buffers(const struct kgen_problem *problem, struct kgen_buffers *buffers);
/* The index of the buffer of that name, or -1. */
int kgen_buffers_find(const struct kgen_buffers *buffers, const char *name);
/* The pointer of the buffer of that name among arguments; NULL where the problem has none. Looks the name up
 * at each call: not for inner loops. */
void *kgen_argument(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                    const char *name);
/* The index of the scalar of that name, or -1. */
int kgen_scalar_find(const struct kgen_op *op, const char *name);
/* The index of the first buffer of a role, or -1. */
int kgen_buffers_of_role(const struct kgen_buffers *buffers, enum kgen_role role);

/* Whether a problem reads weights: what is not in cache when a decode step comes to it. */
bool kgen_problem_has_weights(const struct kgen_problem *problem);

/* Checks that every buffer of the problem fits into memory. */
int kgen_buffers_check(const struct kgen_problem *problem, const struct kgen_check_place *check);

#endif
