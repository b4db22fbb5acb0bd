/* SPDX-License-Identifier: MIT */
/* Devices: what a target's kernels are compiled by and run on. gen/target/target.h is the part of a target
 * that makes text; this is the part that runs it. device.c has a row for each kind of device. The prover and
 * the timer call kernels and own memory through the row, so that they are the same for every device. */
#ifndef KGEN_DEVICE_H
#define KGEN_DEVICE_H

#include "gen/target/target.h"
#include "runtime/jit/compile.h"

/* What the memory of a device is for. */
enum kgen_memory {
    KGEN_MEMORY_SMALL, /* results and workspaces: zeroed, aligned to 64 bytes */
    KGEN_MEMORY_LARGE, /* weights that exceed the caches: zeroed, aligned to pages, in huge pages where the
                          system has them */
    KGEN_MEMORY_FILLED_SLOWLY /* caches of positions: zeroed, aligned to pages, and taken from the system page
                                 by page as they are filled */
};

/* Calls of a kernel that are timed together. */
struct kgen_timed_calls {
    const struct kgen_kernel *kernel;
    struct kgen_arguments *arguments;
    /* Changes the arguments before each call; NULL: every call has the same. */
    void (*next)(void *context, struct kgen_arguments *arguments);
    void *context;
    unsigned count;
    bool prepare_once;      /* one prepare before all calls; else one in each */
    struct kgen_team *team; /* NULL: one thread */
};

struct kgen_device_functions {
    const char *name;    /* "cpu" */
    const char *targets; /* the names of the targets whose kernels it runs, separated by blanks */

    /* As kgen_kernel_compile, kgen_code_symbol and kgen_code_free. */
    struct kgen_code *(*compile)(const struct kgen_variant *variant, const struct kgen_problem *problem,
                                 const struct kgen_compile_options *options, struct kgen_kernel *kernel,
                                 struct kgen_error *error);
    void *(*symbol)(const struct kgen_code *code, const char *name);
    void (*release)(struct kgen_code *code);

    /* Allocates memory of the device. NULL and KGEN_ERROR_MEMORY where there is none. What is returned goes
     * into arguments; only read and write access it from the host. */
    void *(*allocate)(enum kgen_memory kind, size_t bytes, struct kgen_error *error);
    /* With the kind and bytes of allocate. NULL is fine. */
    void (*deallocate)(enum kgen_memory kind, void *memory, size_t bytes);
    /* Copy bytes to and from memory of the device, beginning at an offset, and wait until that is done. */
    int (*write)(void *memory, size_t offset, const void *from, size_t bytes, struct kgen_error *error);
    int (*read)(const void *memory, size_t offset, void *to, size_t bytes, struct kgen_error *error);
    /* The host's address of the memory, where host and device share it; else NULL. */
    void *(*map)(void *memory);

    /* Calls the kernel once on its whole range, prepare included, and waits for it. team (NULL for one
     * thread) is used by devices whose threads are the host's. */
    void (*run)(const struct kgen_kernel *kernel, const struct kgen_arguments *arguments,
                struct kgen_team *team);
    /* Seconds that the calls take together. *prepare_seconds is the part of the one prepare, 0 without
     * prepare_once. */
    double (*time)(const struct kgen_timed_calls *calls, double *prepare_seconds);
};

/* The device that runs a target's kernels in this process; NULL where this build has none. */
const struct kgen_device_functions *kgen_device_of_target(const struct kgen_target *target);
/* The device for the kernels of an instruction set: that of its target. */
const struct kgen_device_functions *kgen_device_of_isa(enum kgen_isa isa);
/* The device whose threads are the host's. */
const struct kgen_device_functions *kgen_device_cpu(void);

#endif
