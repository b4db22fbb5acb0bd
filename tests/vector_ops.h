/* SPDX-License-Identifier: MIT */
/* Every vector operation, as functions to be compiled by every engine for every instruction set. */
#ifndef KGEN_TESTS_VECTOR_OPS_H
#define KGEN_TESTS_VECTOR_OPS_H

#include "gen/base/base.h"

/* One letter for each argument: f and i vectors of any bits, u a vector of bytes up to 127, s one of 32-bit
 * lanes up to 31; p a pointer, c a count, e an int, n an immediate, l a float literal. */
struct vector_op {
    const char *name;
    char result; /* f, i or - */
    const char *args;
    const char *pointee; /* of p */
    int width;           /* n is less than this */
    bool makes_nan;      /* where its result is a NaN, its payload is free */
};

extern const struct vector_op vector_ops[];
extern const size_t vector_op_count;

/* A function `void case_N(const uint8_t *a, const uint8_t *b, const uint8_t *c, uint8_t *out, int n)`. The
 * inputs are VECTOR_CASE_BYTES each, and so is out. */
struct vector_case {
    const struct vector_op *op;
    char line[200]; /* its statement */
};
#define VECTOR_CASE_BYTES 256
#define VECTOR_CASE_MAX 4000
typedef void vector_function(const uint8_t *a, const uint8_t *b, const uint8_t *c, uint8_t *out, int n);

/* Appends the functions for vectors of that many lanes: one for each vector operation, or all that might
 * differ. Returns how many. */
size_t vector_cases(int lanes, bool all, struct vector_case *cases, struct kgen_text *text);

/* Fills the inputs of a case: special values, random bits, small integers. */
void vector_inputs(const struct vector_case *test, uint64_t seed, uint8_t inputs[3][VECTOR_CASE_BYTES]);

/* The first of the bytes in which the outputs differ, or -1. */
int vector_difference(const struct vector_case *test, const uint8_t *a, const uint8_t *b);

#endif
