/* SPDX-License-Identifier: MIT */
/* Blocks of ggml's types by their definitions: slow decoders that know the bytes and nothing of kgen. */
#ifndef GGML_BLOCKS_H
#define GGML_BLOCKS_H

#include "gen/ops/random.h"

#include <stddef.h>
#include <stdint.h>

/* An f16 by its definition, from two bytes that lie anywhere. */
double ggml_slow_f16(const unsigned char *bytes);

/* Weight i of a block of a type that kgen reads as a matrix: KGEN_GGUF_TENSOR_Q4_K. */
double ggml_slow_value(uint32_t type, const unsigned char *block, int i);

/* Fills whole blocks with any bytes, but for numbers that are infinite or NaN. */
void ggml_fill_random(uint32_t type, unsigned char *data, size_t bytes, struct kgen_random *random);

/* Sets the scales of blocks such that weights have about this deviation. Returns whether the type has any. */
int ggml_set_scales(uint32_t type, unsigned char *data, size_t bytes, float deviation,
                    struct kgen_random *random);

#endif
