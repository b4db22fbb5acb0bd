/* SPDX-License-Identifier: MIT */
#include "gen/ops/layout.h"

#include "gen/ops/format.h"

#include <string.h>

int64_t kgen_layout_rows(const struct kgen_problem *problem)
{
    const int64_t rows = kgen_problem_get(problem, "N"), matrices = kgen_problem_matrices(problem);
    if (kgen_problem_get(problem, "layout") != KGEN_TILES16)
        return matrices * rows;
    return matrices * ((rows + KGEN_TILE_ROWS - 1) / KGEN_TILE_ROWS * KGEN_TILE_ROWS);
}

/* Rows of a tile: fewer than 16 in the last one. */
static inline void pack_words(const unsigned char *stored, unsigned char *packed, size_t rows, size_t bytes,
                              size_t word_bytes)
{
    for (size_t row = 0; row < rows; row++) {
        for (size_t word = 0; word < bytes / word_bytes; word++)
            memcpy(packed + (word * KGEN_TILE_ROWS + row) * word_bytes,
                   stored + row * bytes + word * word_bytes, word_bytes);
    }
}

/* The usual words have a size that the compiler knows: copying them takes no calls. */
static void pack_tile(const unsigned char *stored, unsigned char *packed, size_t rows, size_t bytes,
                      size_t word_bytes)
{
    if (word_bytes == 4)
        pack_words(stored, packed, rows, bytes, 4);
    else if (word_bytes == 2)
        pack_words(stored, packed, rows, bytes, 2);
    else
        pack_words(stored, packed, rows, bytes, word_bytes);
}

static void pack_matrix(const unsigned char *from, unsigned char *to, size_t rows, size_t bytes,
                        size_t word_bytes)
{
    for (size_t first = 0; first < rows; first += KGEN_TILE_ROWS) {
        const size_t left = rows - first < KGEN_TILE_ROWS ? rows - first : KGEN_TILE_ROWS;
        if (left < KGEN_TILE_ROWS)
            memset(to + first * bytes, 0, KGEN_TILE_ROWS * bytes);
        pack_tile(from + first * bytes, to + first * bytes, left, bytes, word_bytes);
    }
}

void kgen_layout_pack(const struct kgen_problem *problem, int array, const void *stored, void *packed)
{
    struct kgen_matrix matrix;
    kgen_problem_matrix(problem, NULL, &matrix);
    const struct kgen_format_array *row = &matrix.format->arrays[array];
    const size_t bytes = (size_t)row->row_bytes(&matrix), all = (size_t)matrix.N;
    if (kgen_problem_get(problem, "layout") != KGEN_TILES16) {
        memcpy(packed, stored, all * bytes);
        return;
    }
    const size_t rows = (size_t)kgen_problem_get(problem, "N");
    const unsigned char *from = stored;
    unsigned char *to = packed;
    for (size_t done = 0; done < all; done += rows) {
        pack_matrix(from, to, rows, bytes, (size_t)row->word_bytes(&matrix));
        from += rows * bytes;
        to += (rows + KGEN_TILE_ROWS - 1) / KGEN_TILE_ROWS * KGEN_TILE_ROWS * bytes;
    }
}

void kgen_layout_unpack_row(const struct kgen_problem *problem, int array, const void *packed, int64_t row,
                            void *stored)
{
    struct kgen_matrix matrix;
    kgen_problem_matrix(problem, NULL, &matrix);
    const struct kgen_format_array *described = &matrix.format->arrays[array];
    const size_t bytes = (size_t)described->row_bytes(&matrix);
    const unsigned char *from = packed;
    if (kgen_problem_get(problem, "layout") != KGEN_TILES16) {
        memcpy(stored, from + (size_t)row * bytes, bytes);
        return;
    }
    const size_t word_bytes = (size_t)described->word_bytes(&matrix);
    /* Each of several matrices begins with a tile of its own. */
    const int64_t rows = kgen_problem_get(problem, "N");
    row = row / rows * (kgen_layout_rows(problem) / kgen_problem_matrices(problem)) + row % rows;
    const size_t within = (size_t)row % KGEN_TILE_ROWS;
    from += ((size_t)row - within) * bytes + within * word_bytes;
    for (size_t word = 0; word < bytes / word_bytes; word++)
        memcpy((unsigned char *)stored + word * word_bytes, from + word * KGEN_TILE_ROWS * word_bytes,
               word_bytes);
}
