/* SPDX-License-Identifier: MIT */
#include "gen/ops/attention_cache.h"

#include "gen/ops/dtype.h"

#include <math.h>

enum { TILE = KGEN_ATTENTION_TILE, BLOCK = KGEN_ATTENTION_BLOCK, HALF = BLOCK / 2 };

/* Below it the scale is 0 in f16. */
#define SMALLEST_SCALE 1e-30f

bool kgen_attention_cache_quantised(int64_t dtype)
{
    return dtype == KGEN_Q8_0 || dtype == KGEN_Q4_0;
}

/* ---- floats ---- */

static int64_t element_at(const struct kgen_attention_cache *cache, int64_t position, int64_t kv, int64_t i)
{
    const int64_t head = (position / TILE * cache->kv_heads + kv) * TILE * cache->head_dim;
    const int64_t place = position % TILE;
    return head + (cache->values ? place * cache->head_dim + i : i * TILE + place);
}

/* ---- blocks ---- */

/* The block of the elements from BLOCK * index on. */
static int64_t block_at(const struct kgen_attention_cache *cache, int64_t position, int64_t kv, int64_t index)
{
    const int64_t scales = 2 * TILE;
    const int64_t bytes = scales + TILE * (cache->dtype == KGEN_Q8_0 ? BLOCK : HALF);
    return ((position / TILE * cache->kv_heads + kv) * (cache->head_dim / BLOCK) + index) * bytes;
}

/* Where the number of element i lies in its block. */
static int64_t number_at(const struct kgen_attention_cache *cache, int64_t position, int64_t i)
{
    const int64_t scales = 2 * TILE, place = position % TILE;
    const int64_t row = cache->dtype == KGEN_Q8_0 ? BLOCK : HALF, e = i % row;
    return scales +
           (cache->values ? (place / 4 * row + e) * 4 + place % 4 : (e / 4 * TILE + place) * 4 + e % 4);
}

/* The product as a float: fused with no sum. */
static float product(float a, float b)
{
    return (float)((double)a * (double)b);
}

/* Quantises a block. Returns the scale. */
static float quantise(int64_t dtype, const float *x, int numbers[BLOCK])
{
    float greatest = 0;
    for (int i = 0; i < BLOCK; i++)
        greatest = fabsf(x[i]) > fabsf(greatest) ? x[i] : greatest;
    const float scale = dtype == KGEN_Q8_0 ? fabsf(greatest) / 127.0f : greatest / -8.0f;
    const float inverse = fabsf(scale) < SMALLEST_SCALE ? 0 : 1.0f / scale;
    for (int i = 0; i < BLOCK; i++) {
        const float number = product(x[i], inverse);
        numbers[i] = dtype == KGEN_Q8_0 ? (int)rintf(number) : (int)fminf(number + 8.5f, 15.5f) - 8;
    }
    return scale;
}

static void store_block(const struct kgen_attention_cache *cache, unsigned char *block, int64_t position,
                        uint16_t scale, const int numbers[BLOCK])
{
    block[position % TILE * 2] = (unsigned char)(scale & 255);
    block[position % TILE * 2 + 1] = (unsigned char)(scale >> 8);
    for (int i = 0; cache->dtype == KGEN_Q8_0 && i < BLOCK; i++)
        block[number_at(cache, position, i)] = (unsigned char)(numbers[i] & 255);
    for (int i = 0; cache->dtype == KGEN_Q4_0 && i < HALF; i++)
        block[number_at(cache, position, i)] =
            (unsigned char)((numbers[i] & 15) | (numbers[i + HALF] & 15) << 4);
}

static double block_value(const struct kgen_attention_cache *cache, const unsigned char *block,
                          int64_t position, int64_t i)
{
    const unsigned char *scale = block + position % TILE * 2;
    const uint16_t bits = (uint16_t)(scale[0] | scale[1] << 8);
    const int byte = block[number_at(cache, position, i)];
    const int number =
        cache->dtype == KGEN_Q8_0 ? (byte ^ 128) - 128 : ((byte >> (i / HALF * 4) & 15) ^ 8) - 8;
    return kgen_dtype_value(&bits, KGEN_F16, 0) * number;
}

/* ---- both ---- */

void kgen_attention_cache_store(const struct kgen_attention_cache *cache, void *elements, int64_t position,
                                int64_t kv, const float *x)
{
    if (!kgen_attention_cache_quantised(cache->dtype)) {
        for (int64_t i = 0; i < cache->head_dim; i++)
            kgen_dtype_store(elements, cache->dtype, element_at(cache, position, kv, i), x[i]);
        return;
    }
    for (int64_t b = 0; b < cache->head_dim / BLOCK; b++) {
        int numbers[BLOCK];
        const float scale = quantise(cache->dtype, x + b * BLOCK, numbers);
        store_block(cache, (unsigned char *)elements + block_at(cache, position, kv, b), position,
                    kgen_to_f16(scale), numbers);
    }
}

void kgen_attention_cache_spoil(const struct kgen_attention_cache *cache, void *elements, int64_t position,
                                int64_t kv)
{
    if (!kgen_attention_cache_quantised(cache->dtype)) {
        for (int64_t i = 0; i < cache->head_dim; i++)
            kgen_dtype_store(elements, cache->dtype, element_at(cache, position, kv, i), NAN);
        return;
    }
    for (int64_t b = 0; b < cache->head_dim / BLOCK; b++) {
        static const int numbers[BLOCK] = {-8, 7, 1, -3};
        store_block(cache, (unsigned char *)elements + block_at(cache, position, kv, b), position,
                    kgen_to_f16(NAN), numbers);
    }
}

double kgen_attention_cache_value(const struct kgen_attention_cache *cache, const void *elements,
                                  int64_t position, int64_t kv, int64_t i)
{
    if (!kgen_attention_cache_quantised(cache->dtype))
        return kgen_dtype_value(elements, cache->dtype, element_at(cache, position, kv, i));
    return block_value(cache, (const unsigned char *)elements + block_at(cache, position, kv, i / BLOCK),
                       position, i % BLOCK);
}
