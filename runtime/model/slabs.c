/* SPDX-License-Identifier: MIT */
#include "runtime/model/slabs.h"

#include <stdlib.h>

/* What is not touched of a slab takes no memory. */
enum { ALIGNMENT = 64, HUGE_PAGE = 2 << 20, SLAB_BYTES = 64 << 20 };

/* Adds a slab with room for so many bytes. */
static struct kgen_slab *add_slab(struct kgen_slabs *slabs, size_t bytes, struct kgen_error *error)
{
    if (slabs->count == slabs->capacity) {
        const size_t capacity = slabs->capacity * 2 + 16;
        struct kgen_slab *grown = realloc(slabs->items, capacity * sizeof *grown);
        if (grown == NULL) {
            kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "no memory for the weights");
            return NULL;
        }
        slabs->items = grown;
        slabs->capacity = capacity;
    }
    const size_t room = bytes < SLAB_BYTES ? SLAB_BYTES : bytes;
    unsigned char *memory = slabs->device->allocate(KGEN_MEMORY_LARGE, room + HUGE_PAGE, error);
    if (memory == NULL)
        return NULL;
    struct kgen_slab *slab = &slabs->items[slabs->count++];
    *slab = (struct kgen_slab){memory, room + HUGE_PAGE, (size_t)(-(uintptr_t)memory % HUGE_PAGE)};
    return slab;
}

unsigned char *kgen_slabs_allocate(struct kgen_slabs *slabs, size_t bytes, struct kgen_error *error)
{
    if (bytes > PTRDIFF_MAX - 2 * (size_t)HUGE_PAGE) {
        kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "no memory for weights of %zu bytes", bytes);
        return NULL;
    }
    const size_t rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct kgen_slab *slab = slabs->count > 0 ? &slabs->items[slabs->count - 1] : NULL;
    if (slab == NULL || slab->bytes - slab->used < rounded)
        slab = add_slab(slabs, rounded, error);
    if (slab == NULL)
        return NULL;
    unsigned char *memory = slab->memory + slab->used;
    slab->used += rounded;
    return memory;
}

void kgen_slabs_free(struct kgen_slabs *slabs)
{
    for (size_t i = 0; i < slabs->count; i++)
        slabs->device->deallocate(KGEN_MEMORY_LARGE, slabs->items[i].memory, slabs->items[i].bytes);
    free(slabs->items);
    *slabs = (struct kgen_slabs){.device = slabs->device};
}
