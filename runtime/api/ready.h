/* SPDX-License-Identifier: MIT */
/* Kernels made ready to be called in this process, though libtcc may not run in it: a child compiles them
 * into memory that both share, and checks them there. */
#ifndef KGEN_READY_H
#define KGEN_READY_H

#include "gen/target/variant.h"
#include "runtime/prove/verify.h"

enum kgen_check { KGEN_CHECK_NONE, KGEN_CHECK_QUICK, KGEN_CHECK_FULL };

/* One kernel to make ready. */
struct kgen_ready {
    /* given; borrowed */
    const struct kgen_problem *problem;
    const struct kgen_variant *variant;
    enum kgen_check check;
    /* found */
    struct kgen_verification verification; /* KGEN_PASSED: the kernel can be called */
    struct kgen_kernel kernel;
    void *workspace_size; /* the function, or NULL */
};

/* Pages of code: readable and executable, never writable in this process. */
struct kgen_code_pages {
    void *memory; /* NULL where there is none */
    size_t size;
};
/* A zeroed struct is fine. */
void kgen_code_pages_free(struct kgen_code_pages *pages);

/* Makes kernels ready, in their order. One that does not compile, or fails its check, or ends its child, gets
 * its verdict and costs nothing else. threads is for the full check. Returns 0, 1 when cancelled, -1 on an
 * error; pages, which the caller frees, hold the code of those that passed. */
int kgen_make_ready(struct kgen_ready *items, size_t count, int threads, const volatile int *cancel,
                    struct kgen_code_pages *pages, struct kgen_error *error);

#endif
