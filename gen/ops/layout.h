/* SPDX-License-Identifier: MIT */
/* Layouts of weights other than that of checkpoints.
 *
 * tiles16 puts 16 rows side by side, a tile: a word of each of its rows in turns, that of row 0, of row 1,
 * ..., of row 15, then the next word of each. The format of the weights says what a word is: 32 bits of
 * weights, or one scale or bias. The last tile is whole where N is no multiple of 16; what it has for rows
 * beyond N is not used. */
#ifndef KGEN_LAYOUT_H
#define KGEN_LAYOUT_H

#include "gen/ops/buffers.h"

#define KGEN_TILE_ROWS 16

/* Files that hold packed weights say this number. It grows when a layout other than that of checkpoints puts
 * the same bytes in another order. */
#define KGEN_LAYOUT_VERSION 1

/* The rows that the arrays of a problem's weights have room for: N, with tiles16 the next multiple of 16; of
 * each matrix where there are several. */
int64_t kgen_layout_rows(const struct kgen_problem *problem);

/* Packs an array of the problem's weights (its index in the format) from the layout of checkpoints, N rows of
 * it, to that of the problem. Rows beyond N become zeros. The two must not overlap. */
void kgen_layout_pack(const struct kgen_problem *problem, int array, const void *stored, void *packed);

/* The way back for one row: copies it from an array in the problem's layout to stored, as checkpoints have
 * it.
 */
void kgen_layout_unpack_row(const struct kgen_problem *problem, int array, const void *packed, int64_t row,
                            void *stored);

#endif
