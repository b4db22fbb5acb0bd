/* SPDX-License-Identifier: MIT */
/* Memory for weights: a few large pieces, of which arrays are cut. They lie in huge pages where the system
 * has them, which an array of less than some megabytes alone would not: in small pages a step looks up a page
 * for every 4 KiB that it reads, and the processor's prefetching ends with each. */
#ifndef KGEN_SLABS_H
#define KGEN_SLABS_H

#include "runtime/jit/device.h"

struct kgen_slab {
    unsigned char *memory;
    size_t bytes, used;
};

/* Zero-initialise it, but for device. Used by one thread at a time. */
struct kgen_slabs {
    const struct kgen_device_functions *device;
    struct kgen_slab *items; /* owned */
    size_t count, capacity;
};

/* Returns zeroed memory, aligned to 64 bytes, that lives as long as the slabs; or NULL with
 * KGEN_ERROR_MEMORY. Arrays that are allocated one after the other lie one after the other. */
unsigned char *kgen_slabs_allocate(struct kgen_slabs *slabs, size_t bytes, struct kgen_error *error);
void kgen_slabs_free(struct kgen_slabs *slabs);

#endif
