/* SPDX-License-Identifier: MIT */
/* How each op is called: its buffers, the signature of its kernel, its range.
 *
 * A kernel called `f` for one problem is one to three functions:
 *
 *   qmv         size_t f_workspace_size(void);
 *               void f_prepare(const float *x, void *workspace);
 *               void f(const void *weights, const void *scales, const void *biases,
 *                      const void *workspace, float *y, size_t row_begin, size_t row_end);
 *   dequantize  void f(const void *weights, const void *scales, const void *biases,
 *                      float *y, size_t row_begin, size_t row_end);
 *   rms_norm    void f(const float *x, const float *weight, float *y, size_t row_begin, size_t row_end);
 *   residual    void f(const float *x, const float *weight, float *residual, float *y,
 *                      size_t row_begin, size_t row_end);
 *   rope        size_t f_workspace_size(void);
 *               void f_prepare(int64_t position, void *workspace);
 *               void f(const float *x, const void *workspace, float *y, size_t head_begin, size_t head_end);
 *   swiglu      void f(const float *gate, const float *up, float *y, size_t begin, size_t end);
 *   add         void f(const float *a, const float *b, float *y, size_t begin, size_t end);
 *
 * Pointers need the alignment of their element only, except workspace: 64 bytes. biases is unused and may be
 * NULL for the symmetric mode. Row r of y of dequantize starts at y + r * K. y may equal x in rms_norm, rope,
 * swiglu (gate or up) and add. Different threads may run disjoint ranges of one call at once, after prepare
 * has returned. Results do not depend on how a range is divided. */
#ifndef KGEN_OPERATION_H
#define KGEN_OPERATION_H

#include "gen/ops/problem.h"
#include "runtime/jit/jit.h"
#include "runtime/process/team.h"

enum kgen_buffer {
    KGEN_BUFFER_WEIGHTS,
    KGEN_BUFFER_SCALES,
    KGEN_BUFFER_BIASES,
    KGEN_BUFFER_X,        /* x, gate, a */
    KGEN_BUFFER_X2,       /* up, b */
    KGEN_BUFFER_WEIGHT,   /* of rms_norm */
    KGEN_BUFFER_RESIDUAL, /* in and out */
    KGEN_BUFFER_Y,
    KGEN_BUFFER_WORKSPACE,
    KGEN_BUFFER_COUNT
};

/* "weights", "scales", ... */
const char *kgen_buffer_name(enum kgen_buffer buffer);

/* The bytes of each buffer of the problem; 0 where the op has none. The workspace is 0 here: the kernel says
 * it. */
void kgen_operation_sizes(const struct kgen_problem *problem, size_t sizes[KGEN_BUFFER_COUNT]);

/* The number of rows, heads or elements a kernel's range runs over. */
size_t kgen_operation_range(const struct kgen_problem *problem);
/* Makes it the same problem with another number of rows, heads or elements. */
void kgen_operation_set_range(struct kgen_problem *problem, size_t range);
/* Where part `part` (0 to parts) begins when a range is divided over threads. Long ranges are cut at
 * multiples of 16, so that no two threads write to one cache line and row tiles stay whole. */
size_t kgen_operation_part(size_t range, size_t part, size_t parts);

/* Bytes that one call must move from and to memory at the least: weights, scales, biases, inputs, outputs. */
double kgen_operation_bytes(const struct kgen_problem *problem);

/* The functions of one kernel. */
struct kgen_kernel {
    struct kgen_problem problem;
    void *run;              /* of the type above */
    void *prepare;          /* NULL where the op has none */
    size_t workspace_bytes; /* 0 where the op has none */
};

/* Looks the functions of `function` up. Fails with KGEN_ERROR_COMPILE where one is missing. */
int kgen_kernel_find(const struct kgen_problem *problem, const struct kgen_code *code, const char *function,
                     struct kgen_kernel *kernel, struct kgen_error *error);

struct kgen_arguments {
    void *buffers[KGEN_BUFFER_COUNT];
    int64_t position; /* rope */
};

/* Calls prepare, where the op has one. */
void kgen_kernel_prepare(const struct kgen_kernel *kernel, const struct kgen_arguments *arguments);
/* Calls the kernel on [begin, end). */
void kgen_kernel_run(const struct kgen_kernel *kernel, const struct kgen_arguments *arguments, size_t begin,
                     size_t end);
/* Calls the kernel on its whole range, divided over the team. NULL: in the calling thread. */
void kgen_kernel_run_divided(const struct kgen_kernel *kernel, const struct kgen_arguments *arguments,
                             struct kgen_team *team);
/* The same after prepare. */
void kgen_kernel_run_team(const struct kgen_kernel *kernel, const struct kgen_arguments *arguments,
                          struct kgen_team *team);

#endif
