/* SPDX-License-Identifier: MIT */
/* Proof before timing: a kernel runs on many inputs, in buffers against guard pages, and every element is
 * held against the reference's bound. */
#ifndef KGEN_VERIFY_H
#define KGEN_VERIFY_H

#include "runtime/jit/kernel.h"
#include "runtime/process/worker.h"

/* What became of a candidate. The names are stable: they stand in cache records and in --json. */
enum kgen_verdict {
    KGEN_PASSED,            /* "passed" */
    KGEN_WRONG_ELEMENT,     /* "wrong_element": outside the bound */
    KGEN_UNWRITTEN_ELEMENT, /* "unwritten_element": an output still holds its poison */
    KGEN_WRITE_PAST_END,    /* "write_past_end": a canary changed, or a write hit a guard page */
    KGEN_READ_PAST_END,     /* "read_past_end": a read hit a guard page */
    KGEN_INPUT_CHANGED,     /* "input_changed" */
    KGEN_NOT_REPEATABLE,    /* "not_repeatable": a second run gave other bits */
    KGEN_THREADS_DIFFER,    /* "threads_differ": n threads or another division of the range gave other bits */
    KGEN_CRASHED,           /* "crashed": a signal elsewhere */
    KGEN_TIMED_OUT,         /* "timed_out" */
    KGEN_COMPILE_FAILED,    /* "compile_failed" */
    KGEN_NO_CANDIDATE,      /* "no_candidate": for instance for want of registers */
    KGEN_WORKER_EXITED,     /* "worker_exited": the compiler or the kernel ended the process */
    KGEN_VERDICT_COUNT
};
const char *kgen_verdict_name(enum kgen_verdict verdict);
int kgen_verdict_parse(const char *name, enum kgen_verdict *verdict);

/* Plain data, so that it can lie in memory shared with a worker process. */
struct kgen_verification {
    enum kgen_verdict verdict;
    double error_of_bound; /* the greatest |y - reference| / bound; at most 1 where it passed */
    unsigned cases;        /* inputs it ran on */
    char detail[256];      /* "y[17] = 3.5, expected 3.25 +- 1e-6 (case sparse, N=7, seed 42)" */
};

/* The seed of the inputs on which the command and the library prove kernels, and of their searches. */
#define KGEN_PROOF_SEED UINT64_C(20240229)
/* That of `kgen cache verify`, which holds winners to other inputs than those of their first proof. */
#define KGEN_PROOF_AGAIN_SEED UINT64_C(20250307)

/* Parts of a proof, for those who look for the first that fails. A proof is KGEN_PROVE_ALL: only the edges
 * have buffers that end at guard pages, the same memory for two buffers, and great offsets. */
enum kgen_proof_part {
    KGEN_PROVE_ALL,
    KGEN_PROVE_SMOKE,         /* one call on the first input */
    KGEN_PROVE_SHAPES,        /* one call for each range of rows or elements, on the first kind of input */
    KGEN_PROVE_SPECIAL,       /* one call on each other kind of input: extreme values, zeros, infinities */
    KGEN_PROVE_REPEATABILITY, /* a second call, the range divided, and several threads, on each input */
};

struct kgen_verify_options {
    uint64_t seed;
    int threads;                    /* also run with this many, and compare bits */
    struct kgen_guard_list *guards; /* NULL, or where to note guard pages, so that a fault can be named */
    enum kgen_proof_part part;      /* zero: the whole proof; for cases that are not quick */
};

/* Proves a kernel on the sizes around its own problem: for qmv and dequantize several small N, so that every
 * remainder of a row tile is met. A kernel must serve any range of rows or heads, also beyond its problem's
 * count; of elementwise ops only the problem's own size and less, and with a fixed range only that. States
 * have room for few positions. Runs in the calling process: a bad kernel may crash or hang it, so call it in
 * a worker process. While it runs, result->detail names the case at hand, so that a result in memory shared
 * with the parent tells what a crash came from. Returns 0 when it has a verdict, passed or not; -1 when it
 * could not work (memory). */
int kgen_verify(const struct kgen_kernel *kernel, const struct kgen_verify_options *options,
                struct kgen_verification *result, struct kgen_error *error);

/* The inputs of a problem with what is expected of them. Making them costs more than proving one kernel: make
 * them once, before the workers are forked, and prove every candidate of the problem with them. Threads of
 * the problem do not matter. One thread at a time. Returns NULL and fills error for want of memory. */
struct kgen_verify_cases;
struct kgen_verify_cases *kgen_verify_cases_new(const struct kgen_problem *problem, uint64_t seed,
                                                struct kgen_error *error);
/* Plain random inputs of few sizes only: for a kernel that was proven before. */
struct kgen_verify_cases *kgen_verify_cases_new_quick(const struct kgen_problem *problem, uint64_t seed,
                                                      struct kgen_error *error);
/* NULL is fine. */
void kgen_verify_cases_free(struct kgen_verify_cases *cases);
/* As kgen_verify, for a kernel of the problem that the cases were made for; options->seed is not used. */
int kgen_verify_with(struct kgen_verify_cases *cases, const struct kgen_kernel *kernel,
                     const struct kgen_verify_options *options, struct kgen_verification *result,
                     struct kgen_error *error);

/* Makes the verification a failed one, with the error as its detail. */
void kgen_verification_fail(struct kgen_verification *verification, enum kgen_verdict verdict,
                            const struct kgen_error *error);
/* The same for a variant that kgen_kernel_compile refused: KGEN_NO_CANDIDATE or KGEN_COMPILE_FAILED. */
void kgen_verification_not_compiled(struct kgen_verification *verification, const struct kgen_error *error);

/* The verdict on a kernel whose job did not end well. On entry verification is what the job left in its
 * result; its detail is kept as the place where it happened. Does nothing for KGEN_OUTCOME_DONE. */
void kgen_outcome_verdict(const struct kgen_outcome *outcome, struct kgen_verification *verification);

#endif
