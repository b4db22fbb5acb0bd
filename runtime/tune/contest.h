/* SPDX-License-Identifier: MIT */
/* A contest times several kernels of one problem side by side: in each round every kernel gives one sample,
 * in turns, so that a slow moment of the machine slows all of them. The final round of a search is a contest
 * of its best candidates; the benchmarks use it as well. */
#ifndef KGEN_CONTEST_H
#define KGEN_CONTEST_H

#include "runtime/machine/machine.h"
#include "runtime/tune/timing.h"

enum { KGEN_CONTESTANTS = 8, KGEN_CONTEST_ROUNDS = 256 };

struct kgen_contest {
    const struct kgen_machine *machine;
    const struct kgen_templates *templates;
    const struct kgen_timing_buffers *buffers; /* filled for the problem */
    unsigned rounds;                           /* 1 to KGEN_CONTEST_ROUNDS */
    /* NULL, or called with the index of the kernel that runs next, before each of its samples. */
    void (*before)(void *context, size_t kernel);
    void *context;
};

struct kgen_contestant {
    struct kgen_kernel kernel;
    unsigned most_rounds; /* of a slow one; 0: all rounds */
    double seconds;       /* out: of one call, cold where the op reads weights, else hot */
    double noise;         /* out: of the rounds (kgen_noise), the same for all */
};

/* Times up to KGEN_CONTESTANTS kernels. Where the op reads weights, *read_seconds is the median time that
 * merely reading the same bytes takes with as many threads, in turns with the kernels; otherwise 0. Cold
 * copies are handed out in one sequence, so that none finds in cache what another has just read. Compiles the
 * reader, so call it in a worker process. */
int kgen_contest_run(const struct kgen_contest *contest, struct kgen_contestant *contestants, size_t count,
                     double *read_seconds, struct kgen_error *error);

#endif
