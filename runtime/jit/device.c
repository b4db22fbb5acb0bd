/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS, madvise */
#include "runtime/jit/device.h"

#include "gen/base/clock.h"
#include "gen/base/word_list.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SMALL_ALIGNMENT ((size_t)64)

static void *allocate_small(size_t bytes)
{
    const size_t rounded = (bytes + SMALL_ALIGNMENT - 1) / SMALL_ALIGNMENT * SMALL_ALIGNMENT;
    void *memory = aligned_alloc(SMALL_ALIGNMENT, rounded);
    if (memory != NULL)
        memset(memory, 0, rounded);
    return memory;
}

static void *allocate_pages(size_t bytes, bool huge)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
#ifdef MADV_HUGEPAGE
    madvise(memory, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
#else
    (void)huge;
#endif
    return memory;
}

static void *cpu_allocate(enum kgen_memory kind, size_t bytes, struct kgen_error *error)
{
    void *memory = NULL;
    if (bytes <= PTRDIFF_MAX)
        memory = kind == KGEN_MEMORY_SMALL ? allocate_small(bytes)
                                           : allocate_pages(bytes, kind == KGEN_MEMORY_LARGE);
    if (memory == NULL)
        kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "no memory for a buffer of %zu bytes", bytes);
    return memory;
}

static void cpu_deallocate(enum kgen_memory kind, void *memory, size_t bytes)
{
    if (kind == KGEN_MEMORY_SMALL)
        free(memory);
    else if (memory != NULL)
        munmap(memory, bytes);
}

static int cpu_write(void *memory, size_t offset, const void *from, size_t bytes, struct kgen_error *error)
{
    (void)error;
    memcpy((unsigned char *)memory + offset, from, bytes);
    return 0;
}

static int cpu_read(const void *memory, size_t offset, void *to, size_t bytes, struct kgen_error *error)
{
    (void)error;
    memcpy(to, (const unsigned char *)memory + offset, bytes);
    return 0;
}

static void *cpu_map(void *memory)
{
    return memory;
}

static double cpu_time(const struct kgen_timed_calls *calls, double *prepare_seconds)
{
    kgen_team_wake(calls->team);
    const double start = kgen_clock();
    if (calls->prepare_once)
        kgen_kernel_prepare(calls->kernel, calls->arguments);
    const double prepared = kgen_clock();
    for (unsigned i = 0; i < calls->count; i++) {
        if (calls->next != NULL)
            calls->next(calls->context, calls->arguments);
        if (calls->prepare_once)
            kgen_kernel_run_divided(calls->kernel, calls->arguments, calls->team);
        else
            kgen_kernel_run_team(calls->kernel, calls->arguments, calls->team);
    }
    *prepare_seconds = calls->prepare_once ? prepared - start : 0;
    return kgen_clock() - start;
}

static const struct kgen_device_functions devices[] = {
    {.name = "cpu",
     .targets = "c",
     .compile = kgen_kernel_compile,
     .symbol = kgen_code_symbol,
     .release = kgen_code_free,
     .allocate = cpu_allocate,
     .deallocate = cpu_deallocate,
     .write = cpu_write,
     .read = cpu_read,
     .map = cpu_map,
     .run = kgen_kernel_run_team,
     .time = cpu_time},
};

const struct kgen_device_functions *kgen_device_of_target(const struct kgen_target *target)
{
    for (size_t i = 0; i < KGEN_COUNT_OF(devices); i++) {
        if (kgen_word_list_has(devices[i].targets, target->name, strlen(target->name)))
            return &devices[i];
    }
    return NULL;
}

const struct kgen_device_functions *kgen_device_of_isa(enum kgen_isa isa)
{
    return kgen_device_of_target(kgen_target_of_isa(isa));
}

const struct kgen_device_functions *kgen_device_cpu(void)
{
    return &devices[0];
}
