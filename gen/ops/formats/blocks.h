/* SPDX-License-Identifier: MIT */
/* What the formats of one array share whose rows are blocks: format->block_values weights in
 * format->block_bytes bytes. */
#ifndef KGEN_FORMATS_BLOCKS_H
#define KGEN_FORMATS_BLOCKS_H

#include "gen/ops/format.h"

extern const struct kgen_format_array kgen_block_arrays[1];

unsigned char *kgen_block_at(const struct kgen_matrix *matrix, int64_t row, int64_t block);

/* A scale as models have them, between ordinary and five times that; 1 or -1; or one that is hard to read. */
float kgen_block_scale(enum kgen_weights_kind kind, float ordinary, struct kgen_random *random);
void kgen_block_fill(unsigned char *bytes, size_t count, struct kgen_random *random);

/* Decodes by the value of each weight of a block. A kernel makes it of no other terms. */
typedef double kgen_block_value(const unsigned char *block, int64_t i);
void kgen_block_decode(const struct kgen_matrix *matrix, int64_t row, int64_t first, int64_t count,
                       kgen_block_value *value, double *values, double *magnitudes);

/* Calls a function for each block of all rows, or of one with its values. */
typedef void kgen_block_fill_one(unsigned char *block, int64_t row, enum kgen_weights_kind kind,
                                 struct kgen_random *random);
void kgen_block_fill_all(const struct kgen_matrix *matrix, enum kgen_weights_kind kind,
                         struct kgen_random *random, kgen_block_fill_one *fill_one);
typedef void kgen_block_quantise_one(unsigned char *block, const float *values);
void kgen_block_quantise_row(const struct kgen_matrix *matrix, int64_t row, const float *values,
                             kgen_block_quantise_one *quantise_one);

/* The greatest magnitude of each group of values; returns the greatest of all. */
float kgen_block_greatest(const float *values, int groups, int group_size, float *greatest);

#endif
