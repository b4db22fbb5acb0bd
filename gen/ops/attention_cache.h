/* SPDX-License-Identifier: MIT */
/* The caches of keys and values: where the elements of a position lie, and how they are stored.
 *
 * Caches of floats have elements of their dtype in tiles of 16 positions. Caches of q8_0 and q4_0 have the
 * same tiles in bytes. In a tile, a head has a block for every 32 of its elements: first the scales of the 16
 * positions, f16, then their numbers in words of four bytes. The numbers are those of ggml's blocks of these
 * names: an element is scale * number, with a number from -127 to 127, or from -8 to 7 in four bits.
 *
 * For element i of a block and the position p of a tile, with e = i for q8_0 and e = i % 16 for q4_0, which
 * has element e in the lower half of a byte and element e + 16 in its upper half, the number lies in
 *     keys:   byte e % 4 of the word e / 4 * 16 + p,
 *     values: byte p % 4 of the word p / 4 * (32 or 16) + e. */
#ifndef KGEN_OPS_ATTENTION_CACHE_H
#define KGEN_OPS_ATTENTION_CACHE_H

#include "gen/base/base.h"

/* Positions of a tile; elements of a block. */
enum { KGEN_ATTENTION_TILE = 16, KGEN_ATTENTION_BLOCK = 32 };

struct kgen_attention_cache {
    int64_t kv_heads, head_dim, dtype;
    bool values; /* otherwise keys */
};

/* Whether caches of a dtype have blocks. */
bool kgen_attention_cache_quantised(int64_t dtype);

/* Stores head_dim floats as those of a position and head. Floats are rounded to nearest even. Numbers of q8_0
 * are x / d rounded to nearest even, d = greatest |x| / 127; numbers of q4_0 are x / d + 8.5 without its
 * fraction, 15 at most, less 8, where d = -m / 8 and m is the first of the greatest magnitude. x / d is x
 * times 1 / d, all in floats; it is 0 where |d| is less than 1e-30. The scale is d, rounded to f16. */
void kgen_attention_cache_store(const struct kgen_attention_cache *cache, void *elements, int64_t position,
                                int64_t kv, const float *x);
/* Makes a position and head hold what no result may depend on: NaNs. */
void kgen_attention_cache_spoil(const struct kgen_attention_cache *cache, void *elements, int64_t position,
                                int64_t kv);
/* Element i of a position and head. Exact. */
double kgen_attention_cache_value(const struct kgen_attention_cache *cache, const void *elements,
                                  int64_t position, int64_t kv, int64_t i);

#endif
