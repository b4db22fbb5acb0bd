/* SPDX-License-Identifier: MIT */
/* Loading kernels into this process, in which libtcc must not run: child processes compile them into memory
 * that they share with it, and check them there. */
#ifndef KGEN_LOAD_H
#define KGEN_LOAD_H

#include "gen/target/variant.h"
#include "runtime/prove/verify.h"

enum kgen_check { KGEN_CHECK_NONE, KGEN_CHECK_QUICK, KGEN_CHECK_FULL };

/* One kernel to load. */
struct kgen_load {
    /* in; borrowed */
    const struct kgen_problem *problem;
    const struct kgen_variant *variant;
    enum kgen_check check;
    /* out */
    struct kgen_verification verification; /* KGEN_PASSED: the kernel can be called */
    struct kgen_kernel kernel;
};

/* Pages of code: readable and executable, never writable in this process. Those behind the code of each child
 * process are not accessible. */
struct kgen_code_pages {
    void *memory; /* NULL where there is none */
    size_t size;  /* of the mapping */
    size_t used;  /* bytes of the pages that hold code */
};
/* A zeroed struct is fine. */
void kgen_code_pages_free(struct kgen_code_pages *pages);

/* Loads kernels. A kernel that does not compile, fails its check, or ends the child gets its
 * verdict in verification, and the others are loaded all the same. The pages of a kernel become read-only in
 * the child before its check, so that neither it nor a later kernel can change them. There is a child for
 * each of the threads, at most KGEN_WORKERS_MAX, which take the kernels as they come; a full check uses all
 * threads. Returns 0, 1 when cancelled, -1 on an error. The caller frees pages, which hold the code, after
 * the last call of a kernel. */
int kgen_kernels_load(struct kgen_load *loads, size_t count, int threads, const volatile int *cancel,
                      struct kgen_code_pages *pages, struct kgen_error *error);

#endif
