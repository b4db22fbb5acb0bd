/* SPDX-License-Identifier: MIT */
/* From a variant to a kernel that can be called. */
#ifndef KGEN_COMPILE_H
#define KGEN_COMPILE_H

#include "gen/target/variant.h"
#include "runtime/jit/kernel.h"

struct kgen_compile_options {
    enum kgen_engine engine;
    const struct kgen_cc_options *cc; /* for the cc engine; may be NULL */
    struct kgen_code_area *area;      /* for TinyCC: where the code is to lie; NULL: in memory of its own */
};

/* Instantiates the variant's template for the problem, compiles the text and finds the kernel's functions.
 * The code is read-only when this returns: a kernel cannot change itself or another. Call it in a worker
 * process, as TinyCC may exit or hang. What the lowering or the compiler refuses is an error at a line of the
 * template: see kgen_place_error. Returns the code, which the caller frees after the last call of the
 * kernel; NULL with KGEN_ERROR_CANDIDATE where the variant cannot be compiled for this machine, else
 * KGEN_ERROR_COMPILE or what went wrong. */
struct kgen_code *kgen_kernel_compile(const struct kgen_variant *variant, const struct kgen_problem *problem,
                                      const struct kgen_compile_options *options, struct kgen_kernel *kernel,
                                      struct kgen_error *error);

#endif
