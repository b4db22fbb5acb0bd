/* SPDX-License-Identifier: MIT */
/* The bounds on the error of kernels.
 *
 * A bound is c * u * S + slack, where u = 2^-24 is the relative error of one float rounding, S the sum of the
 * magnitudes of the terms that are added up, and c the number of roundings that a term passes through. The
 * slack is what underflow may cost: a product below the smallest normal number FLT_MIN = 2^-126 is rounded
 * absolutely, not relatively, and a kernel may flush it to zero. Each op's file gives its c and S, and says
 * why. */
#ifndef KGEN_BOUND_H
#define KGEN_BOUND_H

#define KGEN_UNIT 0x1p-24

#endif
