/* SPDX-License-Identifier: MIT */
#include "runtime/tune/timing_buffers.h"

#include "runtime/prove/reference.h"

#include <string.h>

enum { ALIGNMENT = 4096 };

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static int reserve(struct kgen_timing_buffers *buffers, size_t bytes, uint64_t seed, struct kgen_error *error)
{
    if (bytes <= buffers->arena_bytes)
        return 0;
    kgen_timing_buffers_free(buffers);
    buffers->device = kgen_device_cpu();
    void *arena = buffers->device->allocate(KGEN_MEMORY_LARGE, bytes, NULL);
    if (arena == NULL)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "no memory for %zu MB of timing data",
                              bytes >> 20);
    buffers->arena = arena;
    buffers->arena_bytes = bytes;
    uint64_t state = seed * 2 + 1;
    for (size_t i = 0; i + 8 <= bytes; i += 8) {
        uint64_t word = next_random(&state);
        memcpy(buffers->arena + i, &word, 8);
    }
    return 0;
}

/* Fills a buffer by repeating one short run of numbers. */
static void fill_numbers(unsigned char *to, size_t bytes, int64_t dtype, float least, float most,
                         uint64_t *state)
{
    unsigned char pattern[4096];
    const size_t width = (size_t)kgen_dtype_bytes(dtype);
    for (size_t i = 0; i < sizeof pattern; i += width) {
        float value = least + (most - least) * (float)(next_random(state) >> 40) / 16777216.0f;
        uint16_t half = dtype == KGEN_F16 ? kgen_to_f16(value) : kgen_to_bf16(value);
        memcpy(pattern + i, dtype == KGEN_F32 ? (const void *)&value : (const void *)&half, width);
    }
    for (size_t done = 0; done < bytes; done += sizeof pattern)
        memcpy(to + done, pattern, bytes - done < sizeof pattern ? bytes - done : sizeof pattern);
}

int kgen_timing_buffers_fill(struct kgen_timing_buffers *buffers, const struct kgen_problem *problem,
                             size_t cache_bytes, uint64_t seed, struct kgen_error *error)
{
    size_t sizes[KGEN_BUFFER_COUNT];
    kgen_operation_sizes(problem, sizes);
    size_t copy_bytes = 0;
    for (int i = 0; i < KGEN_BUFFER_COUNT; i++) {
        const bool is_input = sizes[i] > 0 && i != KGEN_BUFFER_Y && i != KGEN_BUFFER_RESIDUAL;
        buffers->offsets[i] = is_input ? copy_bytes : SIZE_MAX;
        if (is_input)
            copy_bytes += (sizes[i] + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
    buffers->copy_bytes = copy_bytes;
    buffers->copies = 2 * cache_bytes / copy_bytes + 2;
    if (reserve(buffers, buffers->copies * copy_bytes, seed, error) != 0)
        return -1;
    uint64_t state = seed * 2 + 1;
    for (size_t copy = 0; copy < buffers->copies; copy++) {
        for (int i = 0; i < KGEN_BUFFER_COUNT; i++) {
            if (buffers->offsets[i] == SIZE_MAX || i == KGEN_BUFFER_WEIGHTS)
                continue;
            unsigned char *to = buffers->arena + copy * copy_bytes + buffers->offsets[i];
            if (i == KGEN_BUFFER_SCALES || i == KGEN_BUFFER_BIASES)
                fill_numbers(to, sizes[i], problem->scales, 0.001f, 0.01f, &state);
            else
                fill_numbers(to, sizes[i], KGEN_F32, -1.0f, 1.0f, &state);
        }
    }
    return 0;
}

void kgen_timing_buffers_free(struct kgen_timing_buffers *buffers)
{
    if (buffers->arena != NULL)
        buffers->device->deallocate(KGEN_MEMORY_LARGE, buffers->arena, buffers->arena_bytes);
    buffers->arena = NULL;
    buffers->arena_bytes = 0;
}

void kgen_timing_buffers_point(const struct kgen_timing_buffers *buffers, size_t copy,
                               struct kgen_arguments *arguments)
{
    unsigned char *base = buffers->arena + copy % buffers->copies * buffers->copy_bytes;
    for (int i = 0; i < KGEN_BUFFER_COUNT; i++) {
        if (buffers->offsets[i] != SIZE_MAX)
            arguments->buffers[i] = base + buffers->offsets[i];
    }
}

const void *kgen_timing_buffers_copy(const struct kgen_timing_buffers *buffers, size_t copy)
{
    return buffers->arena + copy % buffers->copies * buffers->copy_bytes;
}
