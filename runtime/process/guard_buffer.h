/* SPDX-License-Identifier: MIT */
/* Buffers between pages that must not be accessed, so that an overrun is a fault. */
#ifndef KGEN_GUARD_BUFFER_H
#define KGEN_GUARD_BUFFER_H

#include "runtime/process/worker.h"

enum kgen_placement {
    KGEN_AT_END,   /* the last byte lies before a guard page */
    KGEN_AT_START, /* the first byte lies behind a guard page */
    KGEN_PLACEMENT_COUNT
};

struct kgen_guard_buffer {
    unsigned char *begin, *end; /* whole pages that may be accessed; NULL where there is no buffer */
    size_t guard_bytes;         /* on either side of those pages */
};

/* Maps at least size bytes between guards of 64 KB. Returns 0, or -1 for want of memory. Forked processes get
 * their own copy. */
int kgen_guard_buffer_new(struct kgen_guard_buffer *buffer, size_t size, struct kgen_error *error);
/* A zeroed buffer is fine. */
void kgen_guard_buffer_free(struct kgen_guard_buffer *buffer);

/* Returns the address for size bytes with this placement. At the end it is a multiple of alignment (a power
 * of two), which leaves up to alignment - 1 bytes before the guard. */
void *kgen_guard_buffer_place(const struct kgen_guard_buffer *buffer, enum kgen_placement placement,
                              size_t size, size_t alignment);
/* Makes the buffer read-only or writable. Returns 0 or -1. */
int kgen_guard_buffer_protect(const struct kgen_guard_buffer *buffer, bool read_only);

/* Fills the bytes around [data, data + size) with canaries, up to 64 KB on either side. */
void kgen_guard_buffer_set_canaries(const struct kgen_guard_buffer *buffer, const void *data, size_t size);
/* Returns the overwritten canary that is nearest to data, or NULL. */
const void *kgen_guard_buffer_changed_canary(const struct kgen_guard_buffer *buffer, const void *data,
                                             size_t size);

/* Adds the guards of the buffer to list under a name, and with read_only the buffer itself. list may be NULL.
 */
void kgen_guard_buffer_note(const struct kgen_guard_buffer *buffer, struct kgen_guard_list *list,
                            const char *name, bool read_only);

#endif
