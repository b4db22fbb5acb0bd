/* SPDX-License-Identifier: MIT */
/* Packed weights and narrow floating-point numbers, one value at a time. */
#include "gen/ops/dtype.h"

#include <math.h>
#include <string.h>

unsigned kgen_packed_value(const unsigned char *row, int64_t bits, int64_t i)
{
    int64_t first = i * bits;
    unsigned shift = (unsigned)(first % 8);
    unsigned word = row[first / 8];
    /* The next byte is read only where the value reaches into it: it may lie beyond the row. */
    if (shift + (unsigned)bits > 8)
        word |= (unsigned)row[first / 8 + 1] << 8;
    return (word >> shift) & ((1u << bits) - 1);
}

static uint32_t float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float bits_float(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Numbers other than 0, denormals, infinities and NaNs are a float of the same bits, whose exponent counts
 * from another number. */
static double f16_value(uint16_t half)
{
    const uint32_t exponent = half >> 10 & 31, fraction = half & 1023, sign = (uint32_t)(half & 0x8000) << 16;
    if (exponent == 31)
        return (double)bits_float(sign | 0x7f800000 | fraction << 13);
    if (exponent == 0)
        return (sign != 0 ? -1 : 1) * (double)fraction * 0x1p-24;
    return (double)bits_float(sign | (exponent + 112) << 23 | fraction << 13);
}

static const struct {
    size_t bytes;
    const char *c_type;
} dtypes[KGEN_CONSTANT_COUNT] = {
    [KGEN_F32] = {4, "float"},    [KGEN_F16] = {2, "uint16_t"}, [KGEN_BF16] = {2, "uint16_t"},
    [KGEN_I32] = {4, "int32_t"},  [KGEN_I16] = {2, "int16_t"},  [KGEN_I8] = {1, "int8_t"},
    [KGEN_Q8_0] = {1, "uint8_t"}, [KGEN_Q4_0] = {1, "uint8_t"},
};

size_t kgen_dtype_bytes(int64_t dtype)
{
    return dtypes[dtype].bytes;
}

const char *kgen_dtype_c_type(int64_t dtype)
{
    return dtypes[dtype].c_type;
}

double kgen_dtype_value(const void *array, int64_t dtype, int64_t i)
{
    switch (dtype) {
    case KGEN_F16:
        return f16_value(((const uint16_t *)array)[i]);
    case KGEN_BF16:
        return (double)bits_float((uint32_t)((const uint16_t *)array)[i] << 16);
    case KGEN_I32:
        return ((const int32_t *)array)[i];
    case KGEN_I16:
        return ((const int16_t *)array)[i];
    case KGEN_I8:
        return ((const int8_t *)array)[i];
    case KGEN_Q8_0:
    case KGEN_Q4_0:
        return ((const uint8_t *)array)[i];
    default:
        return (double)((const float *)array)[i];
    }
}

void kgen_dtype_store(void *array, int64_t dtype, int64_t i, float value)
{
    if (dtype == KGEN_F16)
        ((uint16_t *)array)[i] = kgen_to_f16(value);
    else if (dtype == KGEN_BF16)
        ((uint16_t *)array)[i] = kgen_to_bf16(value);
    else
        ((float *)array)[i] = value;
}

uint16_t kgen_to_f16(float value)
{
    uint32_t bits = float_bits(value);
    uint32_t sign = bits >> 16 & 0x8000;
    uint32_t magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000)
        return (uint16_t)(sign | 0x7e00);
    if (magnitude >= float_bits(65520.0f)) /* half way from the greatest number to the next */
        return (uint16_t)(sign | 0x7c00);
    if (magnitude < float_bits(0x1p-14f))
        return (uint16_t)(sign | (uint32_t)rintf(ldexpf(fabsf(value), 24)));
    uint32_t even = magnitude >> 13 & 1;
    return (uint16_t)(sign | (magnitude - (UINT32_C(112) << 23) + 0xfff + even) >> 13);
}

uint16_t kgen_to_bf16(float value)
{
    uint32_t bits = float_bits(value);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 0x40);
    uint32_t even = bits >> 16 & 1;
    return (uint16_t)((bits + 0x7fff + even) >> 16);
}

void kgen_packed_store(unsigned char *row, int64_t bits, int64_t i, unsigned value)
{
    const int64_t first = i * bits;
    const unsigned shift = (unsigned)(first % 8);
    const unsigned word = value << shift;
    row[first / 8] = (unsigned char)(row[first / 8] | (word & 0xff));
    if (shift + (unsigned)bits > 8)
        row[first / 8 + 1] = (unsigned char)(row[first / 8 + 1] | word >> 8);
}
