/* SPDX-License-Identifier: MIT */
#include "runtime/tune/timing_buffers.h"

#include "gen/ops/dtype.h"
#include "gen/ops/format.h"
#include "gen/ops/layout.h"
#include "runtime/process/team.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 4096, FILL_BLOCK = 1 << 20 };

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

struct random_fill {
    unsigned char *arena;
    size_t bytes;
    uint64_t seed;
};

/* The bits depend on the seed and not on the number of parts. */
static void fill_part(void *context, size_t part, size_t parts)
{
    const struct random_fill *fill = context;
    const size_t blocks = (fill->bytes + FILL_BLOCK - 1) / FILL_BLOCK;
    for (size_t block = blocks * part / parts; block < blocks * (part + 1) / parts; block++) {
        uint64_t state = kgen_hash(fill->seed * 2 + 1, &block, sizeof block) | 1;
        const size_t begin = block * FILL_BLOCK;
        const size_t end = fill->bytes - begin < FILL_BLOCK ? fill->bytes : begin + FILL_BLOCK;
        for (size_t i = begin; i + 8 <= end; i += 8) {
            const uint64_t word = next_random(&state);
            memcpy(fill->arena + i, &word, 8);
        }
    }
}

/* Makes the arena at least so large. The first touch of its pages takes longer than filling them, so all
 * threads share it. */
static int reserve(struct kgen_timing_buffers *buffers, size_t bytes, int threads, uint64_t seed,
                   struct kgen_error *error)
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
    struct kgen_team *team = kgen_team_new(threads, error);
    if (team == NULL) {
        kgen_timing_buffers_free(buffers);
        return -1;
    }
    struct random_fill fill = {arena, bytes, seed};
    kgen_team_run(team, fill_part, &fill);
    kgen_team_free(team);
    return 0;
}

/* Whether the buffer is one of the inputs of which there are copies. */
static bool is_copied(const struct kgen_problem_buffer *buffer)
{
    return buffer->bytes > 0 &&
           (buffer->role == KGEN_INPUT || buffer->role == KGEN_WEIGHTS || buffer->role == KGEN_STATE);
}

/* Indices are 0, 1, 2, ... and over again: of the matrices that timings have. */
static void fill_indices(unsigned char *to, size_t count, size_t matrices)
{
    for (size_t i = 0; i < count; i++) {
        const int32_t index = (int32_t)(i % matrices);
        memcpy(to + i * sizeof index, &index, sizeof index);
    }
}

/* Fills a buffer by repeating one short run of numbers between -1 and 1. */
static void fill_numbers(unsigned char *to, const struct kgen_problem_buffer *buffer, uint64_t *state)
{
    unsigned char pattern[4096];
    const size_t width = kgen_dtype_bytes(buffer->dtype);
    /* Any two bytes of blocks are an ordinary f16, as a scale must be. */
    for (size_t i = 0; width == 1 && i < sizeof pattern; i++)
        pattern[i] = (unsigned char)(0x28 + (next_random(state) >> 40) % 16);
    for (size_t i = 0; width > 1 && i < sizeof pattern / width; i++)
        kgen_dtype_store(pattern, buffer->dtype, (int64_t)i,
                         2 * (float)(next_random(state) >> 40) * 0x1p-24f - 1);
    for (size_t done = 0; done < buffer->bytes; done += sizeof pattern)
        memcpy(to + done, pattern,
               buffer->bytes - done < sizeof pattern ? buffer->bytes - done : sizeof pattern);
}

/* Ordinary weights of a few rows, in the layout of the problem, of which copies are made. */
struct sample_rows {
    struct kgen_problem problem;
    struct kgen_buffers buffers;
    void *arrays[KGEN_FORMAT_ARRAYS_MAX]; /* owned */
    size_t bytes[KGEN_FORMAT_ARRAYS_MAX];
};

static int sample_new(struct sample_rows *sample, const struct kgen_problem *problem, uint64_t seed)
{
    struct kgen_matrix matrix;
    struct kgen_random random = {seed};
    *sample = (struct sample_rows){.problem = *problem};
    kgen_problem_set_range(&sample->problem, KGEN_TILE_ROWS);
    kgen_problem_buffers(&sample->problem, &sample->buffers);
    kgen_problem_matrix(&sample->problem, NULL, &matrix);
    for (size_t i = 0; i < matrix.format->array_count; i++) {
        const size_t bytes = (size_t)(matrix.format->arrays[i].row_bytes(&matrix) * matrix.N);
        sample->bytes[i] = bytes;
        matrix.arrays[i] = malloc(bytes);
        sample->arrays[i] = malloc(bytes);
        if (matrix.arrays[i] == NULL || sample->arrays[i] == NULL)
            return -1;
    }
    matrix.format->fill(&matrix, KGEN_WEIGHTS_ORDINARY, &random);
    for (size_t i = 0; i < matrix.format->array_count; i++) {
        kgen_layout_pack(&sample->problem, (int)i, matrix.arrays[i], sample->arrays[i]);
        free(matrix.arrays[i]);
    }
    return 0;
}

static void sample_free(struct sample_rows *sample)
{
    for (size_t i = 0; i < KGEN_FORMAT_ARRAYS_MAX; i++)
        free(sample->arrays[i]);
}

static void fill_rows(unsigned char *to, const struct kgen_problem_buffer *buffer,
                      const struct sample_rows *sample)
{
    const size_t bytes = sample->bytes[buffer->array];
    for (size_t done = 0; done < buffer->bytes; done += bytes)
        memcpy(to + done, sample->arrays[buffer->array],
               buffer->bytes - done < bytes ? buffer->bytes - done : bytes);
}

/* The arena is full of random bits, which are ordinary weights of some formats. */
static void fill_copy(unsigned char *copy, const struct kgen_timing_buffers *buffers,
                      const struct kgen_buffers *list, const struct kgen_problem *problem,
                      const struct sample_rows *sample, uint64_t *state)
{
    const struct kgen_format *format = kgen_problem_format(problem);
    for (size_t i = 0; i < list->count; i++) {
        const struct kgen_problem_buffer *buffer = &list->items[i];
        unsigned char *to = copy + buffers->offsets[i];
        if (buffers->offsets[i] == SIZE_MAX)
            continue;
        if (buffer->dtype == KGEN_I32)
            fill_indices(to, buffer->bytes / sizeof(int32_t), (size_t)kgen_problem_matrices(problem));
        else if (buffer->array < 0)
            fill_numbers(to, buffer, state);
        else if (!format->arrays[buffer->array].any_bits)
            fill_rows(to, buffer, sample);
    }
}

int kgen_timing_buffers_fill(struct kgen_timing_buffers *buffers, const struct kgen_problem *problem,
                             size_t cache_bytes, uint64_t seed, struct kgen_error *error)
{
    struct kgen_buffers list;
    /* A state has as many positions as a typical call reads, so that merely reading a copy reads the same
     * bytes as the call. */
    const struct kgen_problem typical = kgen_problem_typical(problem);
    kgen_problem_buffers(&typical, &list);
    size_t copy_bytes = 0;
    for (size_t i = 0; i < KGEN_BUFFERS_MAX; i++) {
        const bool copied = i < list.count && is_copied(&list.items[i]);
        buffers->offsets[i] = copied ? copy_bytes : SIZE_MAX;
        if (copied)
            copy_bytes += (list.items[i].bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
    copy_bytes = copy_bytes > 0 ? copy_bytes : ALIGNMENT; /* there are ops that read nothing */
    buffers->copy_bytes = copy_bytes;
    buffers->copies = 2 * cache_bytes / copy_bytes + 2;
    if (reserve(buffers, buffers->copies * copy_bytes, (int)problem->threads, seed, error) != 0)
        return -1;
    const struct kgen_format *format = kgen_problem_format(problem);
    struct sample_rows sample = {0};
    if (format != NULL && sample_new(&sample, &typical, seed) != 0)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    uint64_t state = seed * 2 + 1;
    for (size_t copy = 0; copy < buffers->copies; copy++)
        fill_copy(buffers->arena + copy * copy_bytes, buffers, &list, &typical, &sample, &state);
    sample_free(&sample);
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
    for (size_t i = 0; i < KGEN_BUFFERS_MAX; i++) {
        if (buffers->offsets[i] != SIZE_MAX)
            arguments->buffers[i] = base + buffers->offsets[i];
    }
}

const void *kgen_timing_buffers_copy(const struct kgen_timing_buffers *buffers, size_t copy)
{
    return buffers->arena + copy % buffers->copies * buffers->copy_bytes;
}
