/* SPDX-License-Identifier: MIT */
/* The C signature of each op's functions, as text for the emitted sources. The signatures themselves are
 * described in runtime/jit/kernel.h. */
#ifndef KGEN_SIGNATURE_H
#define KGEN_SIGNATURE_H

#include "gen/ops/problem.h"

struct kgen_signature {
    const char *parameters;         /* "const float *a, ..., size_t begin, size_t end" */
    const char *arguments;          /* the same names, to pass on */
    const char *prepare_parameters; /* NULL where the op has no prepare and no workspace */
    const char *prepare_arguments;
    const char *contract; /* what the arguments are, for the emitted header: lines of a comment */
};

/* Of the problem's op; for rms_norm it depends on residual. Never NULL. */
const struct kgen_signature *kgen_signature(const struct kgen_problem *problem);

#endif
