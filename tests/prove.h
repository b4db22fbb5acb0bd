/* SPDX-License-Identifier: MIT */
/* Proofs in a worker process, for the tests of verification. */
#ifndef PROVE_H
#define PROVE_H

#include "runtime/prove/verify.h"

enum { PROVE_SEED = 42 };

/* Proves a kernel in a child, with 3 threads. */
struct kgen_verification prove(const struct kgen_kernel *kernel);
struct kgen_verification prove_within(const struct kgen_kernel *kernel, double limit_seconds);

void assert_verdict(const char *what, const struct kgen_verification *v, enum kgen_verdict expected);
void assert_passes(const char *what, const struct kgen_kernel *kernel);

/* Affine, f16 scales, f32 activations. */
struct kgen_problem quantised_problem(const struct kgen_op *op, int64_t N, int64_t K, int64_t bits,
                                      int64_t group_size);

#endif
