/* SPDX-License-Identifier: MIT */
/* Right kernels in plain C for any problem: what the tests of verification break in one place. */
#ifndef GENERIC_KERNELS_H
#define GENERIC_KERNELS_H

#include "runtime/jit/kernel.h"

/* The kernel of a problem. One problem at a time: kernels have no argument that names it. */
struct kgen_kernel generic_kernel(const struct kgen_problem *problem);

/* Breaks how qmv reads its weights: value i of a row is what place(row, i) says; NULL for none. */
typedef int64_t generic_place(size_t row, int64_t i);
extern generic_place *generic_misplace;
/* Flips these bits of weight (row, k); 0 for none. */
extern unsigned generic_flip;
extern size_t generic_flip_row;
extern int64_t generic_flip_k;

/* Puts functions of the op's C signature in the place of the kernel's; NULL keeps the one there is. */
void generic_replace(struct kgen_kernel *kernel, void (*run)(void), void (*prepare)(void));

void generic_qmv(const void *weights, const void *scales, const void *biases, const void *workspace, float *y,
                 size_t row_begin, size_t row_end);
void generic_qmv_prepare(const float *x, void *workspace);
void generic_add(const float *a, const float *b, float *y, size_t begin, size_t end);

#endif
