/* SPDX-License-Identifier: MIT */
/* Proof of what ships. Candidates are proven through the engine that tunes, which for TinyCC means through
 * kgen's lowering. The sources that kgen writes go through the system's compiler and kgen_vector.h instead:
 * so the kernels that were chosen are compiled that way too, from the very text that is written, and held
 * against the same references. */
#ifndef KGEN_TUNE_SHIPPED_H
#define KGEN_TUNE_SHIPPED_H

#include "gen/emit/emit.h"
#include "runtime/cache/cache.h"
#include "runtime/jit/jit.h"
#include "runtime/prove/verify.h"

/* The flags that the emitted Makefile has. */
#define KGEN_SHIPPED_FLAGS "-O3"

struct kgen_shipped_options {
    struct kgen_cache *cache;  /* remembers what was proven */
    const char *machine;       /* kgen_machine.identity */
    struct kgen_cc_options cc; /* header is not used: it is that of the emission */
    uint64_t seed;
    int threads;                /* of the proof; 1: none besides */
    const volatile int *cancel; /* NULL, or becomes not 0 to stop */
};

struct kgen_shipped {
    char compiler[160];  /* with version and flags; "" where there is none */
    char reason[600];    /* why nothing was proven; "" where it was */
    unsigned proven;     /* problems whose chosen kernel is proven through the compiler */
    unsigned from_cache; /* of them, in an earlier run */
    size_t failed_entry; /* the first problem whose kernel failed; SIZE_MAX: none */
    struct kgen_verification failure;
};

/* Proves, for each of the first count entries of the spec, the kernel of its tuned variant. Each text is
 * proven once for a compiler, a machine and a problem; the cache remembers that. Returns 0 with the outcome
 * in shipped; 1 when cancelled; -1 on an error. */
int kgen_shipped_prove(const struct kgen_shipped_options *options, const struct kgen_emission *emission,
                       const struct kgen_spec *spec, const struct kgen_variant *tuned, size_t count,
                       struct kgen_shipped *shipped, struct kgen_error *error);

#endif
