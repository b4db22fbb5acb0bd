/* SPDX-License-Identifier: MIT */
/* What the formats affine, symmetric and zero_point share: weights [N, K * bits / 32] of 32-bit words, each
 * row one little-endian bit stream, lowest bits first; scales, and biases or zeros, [N, K / group_size] in
 * scale_dtype. (MLX's layout.) */
#ifndef KGEN_FORMATS_GROUPED_H
#define KGEN_FORMATS_GROUPED_H

#include "gen/ops/format.h"

enum { KGEN_GROUPED_WEIGHTS, KGEN_GROUPED_SCALES, KGEN_GROUPED_BIASES, KGEN_GROUPED_ARRAYS };

extern const struct kgen_format_array kgen_grouped_arrays[KGEN_GROUPED_ARRAYS];

/* The arrays of the format, for headers of C. */
extern const char kgen_grouped_layout[];

/* Fills weights and scales; biases is called for each group, to store its bias or zero. */
typedef void kgen_grouped_biases(const struct kgen_matrix *matrix, enum kgen_weights_kind kind,
                                 struct kgen_random *random, int64_t group, float scale);
void kgen_grouped_fill(const struct kgen_matrix *matrix, enum kgen_weights_kind kind,
                       struct kgen_random *random, kgen_grouped_biases *biases);

/* Decodes: w = scale * q + offset, with the offset of each group of all that the function gives. */
typedef double kgen_grouped_offset(const struct kgen_matrix *matrix, int64_t group, double scale);
void kgen_grouped_decode(const struct kgen_matrix *matrix, int64_t row, int64_t first, int64_t count,
                         kgen_grouped_offset *offset, double *values, double *magnitudes);

/* Stores the integers of a group: q = rint((w - offset) / scale + zero), within 0 and 2^bits - 1. */
void kgen_grouped_store(const struct kgen_matrix *matrix, int64_t row, int64_t group, const float *values,
                        float offset, float scale, float zero);

/* Names for templates: how C text reads the scales. */
void kgen_grouped_names(const struct kgen_problem *problem, const struct kgen_name_receiver *receiver);

#endif
