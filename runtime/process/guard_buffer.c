/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "runtime/process/guard_buffer.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { GUARD_BYTES = 65536, CANARY_BYTES = 65536, CANARY = 0xa5 };

static size_t round_up(size_t size, size_t unit)
{
    return (size + unit - 1) / unit * unit;
}

int kgen_guard_buffer_new(struct kgen_guard_buffer *buffer, size_t size, struct kgen_error *error)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t guard = round_up(GUARD_BYTES, page);
    size_t usable = round_up(size == 0 ? 1 : size, page);
    *buffer = (struct kgen_guard_buffer){0};
    unsigned char *map = mmap(NULL, usable + 2 * guard, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory for a buffer of %zu bytes",
                              size);
    *buffer = (struct kgen_guard_buffer){map + guard, map + guard + usable, guard};
    if (kgen_guard_buffer_protect(buffer, false) == 0)
        return 0;
    kgen_guard_buffer_free(buffer);
    return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory for a buffer of %zu bytes",
                          size);
}

void kgen_guard_buffer_free(struct kgen_guard_buffer *buffer)
{
    if (buffer->begin != NULL)
        munmap(buffer->begin - buffer->guard_bytes,
               (size_t)(buffer->end - buffer->begin) + 2 * buffer->guard_bytes);
    *buffer = (struct kgen_guard_buffer){0};
}

void *kgen_guard_buffer_place(const struct kgen_guard_buffer *buffer, enum kgen_placement placement,
                              size_t size, size_t alignment)
{
    if (placement == KGEN_AT_START || buffer->begin == NULL)
        return buffer->begin;
    return buffer->end - round_up(size, alignment);
}

int kgen_guard_buffer_protect(const struct kgen_guard_buffer *buffer, bool read_only)
{
    return mprotect(buffer->begin, (size_t)(buffer->end - buffer->begin),
                    read_only ? PROT_READ : PROT_READ | PROT_WRITE);
}

/* The canaries before and behind the data. */
struct canaries {
    unsigned char *before, *data, *behind, *end;
};

static struct canaries canaries_find(const struct kgen_guard_buffer *buffer, const void *data, size_t size)
{
    struct canaries c = {buffer->begin, buffer->begin + ((const unsigned char *)data - buffer->begin), NULL,
                         buffer->end};
    c.behind = c.data + size;
    if (c.data - c.before > CANARY_BYTES)
        c.before = c.data - CANARY_BYTES;
    if (c.end - c.behind > CANARY_BYTES)
        c.end = c.behind + CANARY_BYTES;
    return c;
}

void kgen_guard_buffer_set_canaries(const struct kgen_guard_buffer *buffer, const void *data, size_t size)
{
    struct canaries c = canaries_find(buffer, data, size);
    memset(c.before, CANARY, (size_t)(c.data - c.before));
    memset(c.behind, CANARY, (size_t)(c.end - c.behind));
}

const void *kgen_guard_buffer_changed_canary(const struct kgen_guard_buffer *buffer, const void *data,
                                             size_t size)
{
    struct canaries c = canaries_find(buffer, data, size);
    for (const unsigned char *p = c.behind; p < c.end; p++)
        if (*p != CANARY)
            return p;
    for (const unsigned char *p = c.data; p > c.before; p--)
        if (p[-1] != CANARY)
            return p - 1;
    return NULL;
}

static void note(struct kgen_guard_list *list, enum kgen_guard_kind kind, const unsigned char *begin,
                 const unsigned char *end, const char *name)
{
    if (list->count >= KGEN_COUNT_OF(list->items))
        return;
    struct kgen_guard *guard = &list->items[list->count];
    guard->kind = kind;
    guard->begin = (uintptr_t)begin;
    guard->end = (uintptr_t)end;
    size_t length = strnlen(name, sizeof guard->buffer - 1);
    memcpy(guard->buffer, name, length);
    guard->buffer[length] = '\0';
    list->count++;
}

void kgen_guard_buffer_note(const struct kgen_guard_buffer *buffer, struct kgen_guard_list *list,
                            const char *name, bool read_only)
{
    if (list == NULL || buffer->begin == NULL)
        return;
    note(list, KGEN_GUARD_BEFORE, buffer->begin - buffer->guard_bytes, buffer->begin, name);
    note(list, KGEN_GUARD_BEHIND, buffer->end, buffer->end + buffer->guard_bytes, name);
    if (read_only)
        note(list, KGEN_GUARD_READ_ONLY, buffer->begin, buffer->end, name);
}
