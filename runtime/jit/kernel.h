/* SPDX-License-Identifier: MIT */
/* Compiled kernels, and calls of them: gen/ops/signature.h describes the functions. */
#ifndef KGEN_KERNEL_H
#define KGEN_KERNEL_H

#include "gen/ops/buffers.h"
#include "runtime/jit/jit.h"
#include "runtime/process/team.h"

/* Workspaces and scratch are aligned to so many bytes. */
#define KGEN_ALIGNMENT ((size_t)64)

typedef void kgen_kernel_part(void *const *buffers, const int64_t *scalars);
typedef void kgen_kernel_range(void *const *buffers, const int64_t *scalars, size_t begin, size_t end);

/* The functions of one kernel. */
struct kgen_kernel {
    struct kgen_problem problem;
    kgen_kernel_range *run;
    kgen_kernel_part *prepare, *finish; /* NULL where the op has none */
    size_t workspace_bytes;             /* 0 where the op has none */
    size_t scratch_bytes;               /* of one thread, rounded up to KGEN_ALIGNMENT */
    int scratch;                        /* the index of that buffer, where scratch_bytes is not 0 */
    double unit_bytes;                  /* moved for one of what the range counts */
};

/* Looks the functions of `function` up in code compiled from kgen_variant_callable_text. Fails with
 * KGEN_ERROR_COMPILE where one is missing. */
int kgen_kernel_find(const struct kgen_problem *problem, const struct kgen_code *code, const char *function,
                     struct kgen_kernel *kernel, struct kgen_error *error);

/* Where part `part` (0 to parts) begins when a range is divided over threads. Long ranges are cut at
 * multiples of 16, so that no two threads write to one cache line and row tiles stay whole. */
size_t kgen_range_part(size_t range, size_t part, size_t parts);

/* Call one part of the kernel; nothing happens where it has none. arguments hold a pointer for each buffer of
 * the problem, workspace and scratch among them. */
void kgen_kernel_prepare(const struct kgen_kernel *kernel, const struct kgen_arguments *arguments);
void kgen_kernel_run(const struct kgen_kernel *kernel, const struct kgen_arguments *arguments, size_t begin,
                     size_t end);
void kgen_kernel_finish(const struct kgen_kernel *kernel, const struct kgen_arguments *arguments);

/* Calls the kernel on its whole range, which the threads of the team share part by part, and finish after it.
 * NULL: in the calling thread. The scratch among arguments has room for every thread of the team:
 * scratch_bytes each. */
void kgen_kernel_run_divided(const struct kgen_kernel *kernel, const struct kgen_arguments *arguments,
                             struct kgen_team *team);
/* The number of parts that the threads of a team share a kernel's range in. */
size_t kgen_kernel_parts(const struct kgen_kernel *kernel, const struct kgen_team *team);
/* Calls the kernel on one of the parts of its range, which is kgen_problem_range, in the thread of that
 * index. */
void kgen_kernel_run_part(const struct kgen_kernel *kernel, const struct kgen_arguments *arguments,
                          size_t range, size_t part, size_t parts, size_t thread);
/* The same as kgen_kernel_run_divided after prepare. */
void kgen_kernel_run_team(const struct kgen_kernel *kernel, const struct kgen_arguments *arguments,
                          struct kgen_team *team);

#endif
