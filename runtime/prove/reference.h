/* SPDX-License-Identifier: MIT */
/* The reference of each op, in double precision, and the bound on the error that a right kernel stays within.
 *
 * The bound of an element is c * u * S, u = 2^-24, S the sum of the magnitudes of the terms that any
 * evaluation in the affine form adds up, and c the number of roundings a sensible order of summation makes.
 * i8 and i16 add half a quantisation step of the activations. reference.c lists c and S of each op and says
 * why. */
#ifndef KGEN_REFERENCE_H
#define KGEN_REFERENCE_H

#include "runtime/jit/kernel.h"

/* Value i of a row of weights packed as one little-endian bit stream. */
unsigned kgen_packed_value(const unsigned char *row, int64_t bits, int64_t i);
/* Element i of an array of scales of a dtype word. */
double kgen_dtype_value(const void *array, int64_t dtype, int64_t i);
/* IEEE binary16, round to nearest even, and bfloat16 likewise. */
uint16_t kgen_to_f16(float value);
uint16_t kgen_to_bf16(float value);

/* Computes every element of y and its bound into expected and bound (as many doubles as y has floats) from
 * the input buffers. For rms_norm with residual, residual_expected and residual_bound get the new residual;
 * otherwise they are unused and may be NULL. Only reads arguments. */
int kgen_reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                   double *expected, double *bound, double *residual_expected, double *residual_bound);

#endif
