/* SPDX-License-Identifier: MIT */
/* A problem: an op with its shape, dtypes, weight format and thread count. It is the thing that is tuned. */
#ifndef KGEN_PROBLEM_H
#define KGEN_PROBLEM_H

#include "gen/ops/op.h"

union kgen_value {
    int64_t integer; /* integers, booleans (0, 1) and constants */
    double real;
};

struct kgen_problem {
    const struct kgen_op *op;
    union kgen_value values[KGEN_FIELDS_MAX]; /* of the op's fields, in their order */
    int64_t threads;                          /* set by the tuner, not by a spec */
};

/* Makes a problem of an op with every field at its default and threads 1. Required fields are 0. */
void kgen_problem_init(struct kgen_problem *problem, const struct kgen_op *op);

/* Whether its op has a field of that name, or former name. */
bool kgen_problem_has(const struct kgen_problem *problem, const char *name);
/* The value of an integer, boolean or constant field; 0 where the op has no such field. */
int64_t kgen_problem_get(const struct kgen_problem *problem, const char *name);
/* The value of a real field; 0 where the op has no such field. */
double kgen_problem_real(const struct kgen_problem *problem, const char *name);
/* Set a field; nothing happens where the op has no such field. */
void kgen_problem_set(struct kgen_problem *problem, const char *name, int64_t value);
void kgen_problem_set_real(struct kgen_problem *problem, const char *name, double value);

/* The same by the field itself, which is one of the problem's op. */
union kgen_value *kgen_problem_value(struct kgen_problem *problem, const struct kgen_field *field);
const union kgen_value *kgen_problem_value_of(const struct kgen_problem *problem,
                                              const struct kgen_field *field);

/* Whether the field of the problem has a value that it may have: within its limits, or one of the allowed. */
bool kgen_field_holds(const struct kgen_problem *problem, const struct kgen_field *field);
/* Appends what the field may have: "an integer from 1 to 2147483648", "16, 32, 64 or 128", "true or false".
 */
void kgen_field_describe(const struct kgen_field *field, struct kgen_text *text);

/* Sets what follows from other fields, then checks that every field holds, and what no single field can: K a
 * multiple of group_size, buffers that fit into memory, no parameter that is not used. source, line, column
 * go into the error. */
int kgen_problem_check(const struct kgen_problem *problem, const char *source, int line, int column,
                       struct kgen_error *error);
void kgen_problem_complete(struct kgen_problem *problem);
/* For the checks of ops: sets an error at the place of the check. Returns -1. */
int kgen_check_fail(const struct kgen_check_place *check, const char *format, ...) KGEN_PRINTF(2, 3);

/* Whether op, every field and threads are equal. */
bool kgen_problem_equal(const struct kgen_problem *a, const struct kgen_problem *b);

/* Appends the canonical text: a JSON object on one line, "op" first, then the fields in the order of their
 * table, then threads. Equal problems give equal text, others another. */
void kgen_problem_write(const struct kgen_problem *problem, struct kgen_text *text);
/* Appends the identifier of the problem, without threads: lower-case letters, digits and underscores, such as
 * qmv_n4096_k12288_b4_g64_f16_i8. Different problems of one op differ in it. */
void kgen_problem_name(const struct kgen_problem *problem, struct kgen_text *text);
/* The same without the field that the range counts, where kernels may be equal for all its values. */
void kgen_problem_kernel_name(const struct kgen_problem *problem, struct kgen_text *text);

/* The least and the greatest value that a scalar may have, and the one that timings use. */
int64_t kgen_scalar_minimum(const struct kgen_problem *problem, const struct kgen_scalar *scalar);
int64_t kgen_scalar_maximum(const struct kgen_problem *problem, const struct kgen_scalar *scalar);
int64_t kgen_scalar_typical(const struct kgen_problem *problem, const struct kgen_scalar *scalar);
/* The same problem with room for at most so many positions; itself where its op has no room. */
struct kgen_problem kgen_problem_with_room(const struct kgen_problem *problem, int64_t most);
/* The positions that a call reads at most; 0: all of them. */
int64_t kgen_problem_room_read(const struct kgen_problem *problem);
/* The same problem with the room that timings use: what a call at the typical position fills. */
struct kgen_problem kgen_problem_typical(const struct kgen_problem *problem);
/* The same with the room that proofs use, positions unless the op says another. */
struct kgen_problem kgen_problem_for_proof(const struct kgen_problem *problem, int64_t positions);

/* Arithmetic operations of one call, and the bytes that it must move from and to memory at the least; of a
 * call with typical scalars where the op has room for states. */
double kgen_problem_operations(const struct kgen_problem *problem);
double kgen_problem_bytes(const struct kgen_problem *problem);

/* The number of rows, heads, elements, or pairs, that the range of a call runs over. */
size_t kgen_problem_range(const struct kgen_problem *problem);
/* The value of the field that the range counts, and that of its second field; 1 where the op has none. */
size_t kgen_problem_range_outer(const struct kgen_problem *problem);
size_t kgen_problem_range_inner(const struct kgen_problem *problem);
/* Makes it the same problem with another value of the field that the range counts. */
void kgen_problem_set_range(struct kgen_problem *problem, size_t range);
/* For tables of ops, as batched: the same problem with so many times the range. */
bool kgen_problem_multiply_range(const struct kgen_problem *problem, int64_t rows,
                                 struct kgen_problem *batch);

/* Evaluates an expression of integers, names of integer fields, + - * / ( ), comparisons == != < > with
 * result 0 or 1, and constants such as affine. Division rounds down. A name that is neither gives 0.
 * Returns false where the value does not fit in 62 bits. Tables of ops hold only valid expressions, which
 * the tests evaluate. */
bool kgen_problem_evaluate(const char *expression, const struct kgen_problem *problem, int64_t *value);

#endif
