/* SPDX-License-Identifier: MIT */
/* Elements of buffers by their dtype, one value at a time: for references and inputs, not for kernels. */
#ifndef KGEN_DTYPE_H
#define KGEN_DTYPE_H

#include "gen/ops/constant.h"

/* Bytes of one element; 0 for a constant that is no dtype. The elements of q8_0 and q4_0 are the bytes of
 * their blocks. */
size_t kgen_dtype_bytes(int64_t dtype);
/* The type of an element in C: "float", "uint16_t" for f16 and bf16, "uint8_t" for bytes of blocks; NULL for
 * a constant that is no dtype. */
const char *kgen_dtype_c_type(int64_t dtype);

/* Element i of an array. Exact for every dtype. */
double kgen_dtype_value(const void *array, int64_t dtype, int64_t i);
/* Stores a value as element i of an array of f32, f16 or bf16, rounded to nearest even. */
void kgen_dtype_store(void *array, int64_t dtype, int64_t i, float value);

/* IEEE binary16 and bfloat16, rounded to nearest even. */
uint16_t kgen_to_f16(float value);
uint16_t kgen_to_bf16(float value);

/* Value i of a row of weights that is one little-endian bit stream. */
unsigned kgen_packed_value(const unsigned char *row, int64_t bits, int64_t i);
/* Sets it; the bits must be 0 before. */
void kgen_packed_store(unsigned char *row, int64_t bits, int64_t i, unsigned value);

#endif
