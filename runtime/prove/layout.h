/* SPDX-License-Identifier: MIT */
/* Layouts of quantised matrices other than that of checkpoints: kgen_packed_rows describes them. */
#ifndef KGEN_LAYOUT_H
#define KGEN_LAYOUT_H

#include "runtime/jit/kernel.h"

/* The bytes of a word of a buffer in a tile: of 32 bits of weights, or of one scale or bias. */
size_t kgen_layout_word_bytes(const struct kgen_problem *problem, enum kgen_buffer buffer);

/* Packs a buffer of the problem, weights, scales or biases, from the layout of checkpoints, N rows of it, to
 * that of the problem: kgen_operation_sizes bytes. Rows beyond N become zeros. The two must not overlap. */
void kgen_layout_pack(const struct kgen_problem *problem, enum kgen_buffer buffer, const void *stored,
                      void *packed);

#endif
