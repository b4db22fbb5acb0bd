/* SPDX-License-Identifier: MIT */
#include "runtime/prove/layout.h"

#include <string.h>

size_t kgen_layout_word_bytes(const struct kgen_problem *problem, enum kgen_buffer buffer)
{
    return buffer == KGEN_BUFFER_WEIGHTS ? 4 : (size_t)kgen_dtype_bytes(problem->scales);
}

static size_t row_bytes(const struct kgen_problem *problem, enum kgen_buffer buffer)
{
    if (buffer == KGEN_BUFFER_WEIGHTS)
        return (size_t)kgen_weight_row_bytes(problem);
    return (size_t)(problem->K / problem->group_size * kgen_dtype_bytes(problem->scales));
}

/* Rows of a tile: fewer than 16 in the last one. */
static void pack_tile(const unsigned char *stored, unsigned char *packed, size_t rows, size_t bytes,
                      size_t word_bytes)
{
    for (size_t row = 0; row < rows; row++) {
        for (size_t word = 0; word < bytes / word_bytes; word++)
            memcpy(packed + (word * KGEN_TILE_ROWS + row) * word_bytes,
                   stored + row * bytes + word * word_bytes, word_bytes);
    }
}

void kgen_layout_pack(const struct kgen_problem *problem, enum kgen_buffer buffer, const void *stored,
                      void *packed)
{
    const size_t bytes = row_bytes(problem, buffer), rows = (size_t)problem->N;
    if (problem->layout != KGEN_TILES16) {
        memcpy(packed, stored, rows * bytes);
        return;
    }
    const unsigned char *from = stored;
    unsigned char *to = packed;
    for (size_t row = 0; row < rows; row += KGEN_TILE_ROWS) {
        const size_t left = rows - row < KGEN_TILE_ROWS ? rows - row : KGEN_TILE_ROWS;
        if (left < KGEN_TILE_ROWS)
            memset(to + row * bytes, 0, KGEN_TILE_ROWS * bytes);
        pack_tile(from + row * bytes, to + row * bytes, left, bytes, kgen_layout_word_bytes(problem, buffer));
    }
}
