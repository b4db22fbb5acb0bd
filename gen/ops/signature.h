/* SPDX-License-Identifier: MIT */
/* The C signatures of a problem's kernels, from the table of its op.
 *
 * For a kernel f of an op that has all parts:
 *
 *     size_t f_workspace_size(void);
 *     size_t f_scratch_size(void);
 *     void f_prepare(..., void *workspace);
 *     void f(..., size_t row_begin, size_t row_end);
 *     void f_finish(...);
 *
 * Parameters are the buffers that the part is given, in the order of the op's table, then its scalars as
 * int64_t, then for f the range. Pointers need the alignment of their element only, workspace and scratch 64
 * bytes. Different threads may run disjoint ranges of one call at once, after prepare has returned, each with
 * scratch of its own; finish runs after all of them. Results do not depend on how a range is divided. */
#ifndef KGEN_SIGNATURE_H
#define KGEN_SIGNATURE_H

#include "gen/ops/buffers.h"

/* Whether kernels of the op have the part: KGEN_PREPARE, KGEN_RUN, KGEN_FINISH. */
bool kgen_op_has_part(const struct kgen_op *op, unsigned part);
/* Whether kernels of the op say the size of a workspace, of scratch. */
bool kgen_op_has_role(const struct kgen_op *op, enum kgen_role role);

/* Appends the parameters of a part, "const float *a, ..., size_t begin, size_t end", where column characters
 * of the line are written already. The list is broken into lines of at most 110 characters, which begin with
 * 4 blanks. The second function appends the names alone, to pass on. */
void kgen_signature_parameters(const struct kgen_problem *problem, unsigned part, size_t column,
                               struct kgen_text *text);
void kgen_signature_arguments(const struct kgen_problem *problem, unsigned part, struct kgen_text *text);

/* Appends C functions that call the kernel `function` with an array of pointers, in the order of
 * kgen_problem_buffers, and an array of scalars:
 *
 *     void f_call_prepare(void *const *buffers, const int64_t *scalars);
 *     void f_call(void *const *buffers, const int64_t *scalars, size_t begin, size_t end);
 *     void f_call_finish(void *const *buffers, const int64_t *scalars); */
void kgen_signature_calls(const struct kgen_problem *problem, const char *function, struct kgen_text *text);

/* "input", "weights", "updated", "output", "state", "workspace", "scratch". */
const char *kgen_role_name(enum kgen_role role);

/* Appends what the parameters are, a line each, every line begun with prefix: "x [rows, size] of f32". Arrays
 * of weights are left out: gen/ops/format.h describes them. */
void kgen_signature_describe(const struct kgen_op *op, const char *prefix, struct kgen_text *text);

#endif
