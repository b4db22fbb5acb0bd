/* SPDX-License-Identifier: MIT */
/* The inputs that candidates are timed on: so many copies of them that no cache holds all. */
#ifndef KGEN_TIMING_BUFFERS_H
#define KGEN_TIMING_BUFFERS_H

#include "runtime/jit/device.h"
#include "runtime/machine/machine.h"

struct kgen_timing_buffers {
    const struct kgen_device_functions *device; /* the one whose memory it is, and that times kernels on it */
    unsigned char *arena;                       /* huge pages where the system grants them */
    size_t arena_bytes;
    size_t copy_bytes; /* from one copy of the inputs to the next */
    size_t copies;
    size_t offsets[KGEN_BUFFERS_MAX]; /* of each input in a copy; SIZE_MAX where the op has none */
};

/* Allocates copies of the problem's inputs and states that together exceed twice the last-level cache, filled
 * with random weights and scales of ordinary size. Keeps and reuses the arena of an earlier problem.
 * Zero-initialise before the first call. */
int kgen_timing_buffers_fill(struct kgen_timing_buffers *buffers, const struct kgen_problem *problem,
                             size_t cache_bytes, uint64_t seed, struct kgen_error *error);
void kgen_timing_buffers_free(struct kgen_timing_buffers *buffers);

/* The bytes of a copy (taken modulo the number of copies): buffers->copy_bytes of them. */
const void *kgen_timing_buffers_copy(const struct kgen_timing_buffers *buffers, size_t copy);

/* Points the inputs of arguments at a copy (taken modulo the number of copies). Outputs are left as they are.
 */
void kgen_timing_buffers_point(const struct kgen_timing_buffers *buffers, size_t copy,
                               struct kgen_arguments *arguments);

#endif
