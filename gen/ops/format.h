/* SPDX-License-Identifier: MIT */
/* Weight formats: how a matrix W [N, K] lies in memory. Each is a row, in a file of gen/ops/formats; the
 * field "scheme" of a problem names it.
 *
 * A format has one to three arrays, each of N rows; a row of an array has a fixed number of bytes. The arrays
 * are parameters of kernels, in their order. */
#ifndef KGEN_FORMAT_H
#define KGEN_FORMAT_H

#include "gen/ops/problem.h"

#define KGEN_FORMAT_ARRAYS_MAX 3

/* The properties of a matrix that its format depends on. */
struct kgen_matrix {
    const struct kgen_format *format;
    int64_t N, K, bits, group_size;
    int64_t scale_dtype;
    /* Row 0 of each array. */
    void *arrays[KGEN_FORMAT_ARRAYS_MAX];
};

/* Kinds of weights for proofs and timings. */
enum kgen_weights_kind {
    KGEN_WEIGHTS_ORDINARY, /* as models have them */
    KGEN_WEIGHTS_UNIT, /* integers, at most kgen_matrix_unit_greatest: sums with x of 1, 0, -1 are exact */
    KGEN_WEIGHTS_GREATEST, /* the same, with every row of only the greatest or the least numbers */
    KGEN_WEIGHTS_ODD       /* scales that are tiny, great, zero and denormal */
};

struct kgen_format_array {
    const char *name;  /* of the kernels' parameter: "weights", "scales" */
    const char *shape; /* in fields of the problem: "N, K / group_size" */
    /* Bytes of a row; 0 where the matrix has no such array. */
    int64_t (*row_bytes)(const struct kgen_matrix *matrix);
    /* Bytes that the layout tiles16 keeps together: of 32 bits of weights, or of one scale. */
    int64_t (*word_bytes)(const struct kgen_matrix *matrix);
    bool any_bits; /* every pattern of bits is an ordinary weight */
};

struct kgen_format {
    enum kgen_constant scheme; /* the value of "scheme" */
    const char *summary;       /* the value of a weight in one line: "w = scale * q + bias" */
    const char *layout;        /* for headers: lines that say where the bytes are, each ended by "\n" */
    const struct kgen_format_array *arrays;
    size_t array_count;
    /* The only ones; 0: the problem says them, and has at most 8 bits in groups of at least 32. */
    int64_t bits, group_size, scale_dtype;
    int64_t unit_greatest; /* the greatest magnitude of integers of KGEN_WEIGHTS_UNIT; 0: 2^(bits+1) */
    /* A format whose rows of weights are blocks of so many values and bytes; 0 for others. Its scales are in
     * the blocks, or in a second array, "scales", one byte for each group of a block. Kernels for all such
     * formats get the values of a block from the format's file values_<scheme>.inc. */
    int64_t block_values, block_bytes;
    /* Of such a format: 0, or the greatest magnitude of the integers that its weights are times the scale of
     * their group. Kernels get those from the format's file integers_<scheme>.inc. */
    int64_t block_integers;
    bool tiles; /* there are kernels for the layout tiles16 */
    /* In a config with this mode a tensor with an object of its own has MLX's defaults, affine with 4 bits in
     * groups of 64, as far as its object says nothing else. (Other schemes are inherited.) */
    bool affine_beside;
    /* Decodes count weights of a row from column first on. values gets each weight, magnitudes the sum of
     * the magnitudes of the terms of which a kernel makes it up. */
    void (*decode)(const struct kgen_matrix *matrix, int64_t row, int64_t first, int64_t count,
                   double *values, double *magnitudes);
    /* Quantises a row of K floats to nearest. */
    void (*quantise)(const struct kgen_matrix *matrix, int64_t row, const float *values);
    /* Fills all rows of the arrays. */
    void (*fill)(const struct kgen_matrix *matrix, enum kgen_weights_kind kind, struct kgen_random *random);
    /* NULL, or gives names to templates besides the fields. */
    void (*names)(const struct kgen_problem *problem, const struct kgen_name_receiver *receiver);
};

/* The greatest magnitude of a weight of KGEN_WEIGHTS_UNIT or KGEN_WEIGHTS_GREATEST. */
int64_t kgen_matrix_unit_greatest(const struct kgen_matrix *matrix);

size_t kgen_format_count(void);
const struct kgen_format *kgen_format_at(size_t index);
/* The format of a value of "scheme", or NULL. */
const struct kgen_format *kgen_format_find(int64_t scheme);
/* What "scheme" may be, ended by -1. */
extern const int kgen_format_constants[];

/* The format of a problem with weights; NULL where it has none. */
const struct kgen_format *kgen_problem_format(const struct kgen_problem *problem);
/* The number of matrices that the weights of a problem are: the field experts, or 1. */
int64_t kgen_problem_matrices(const struct kgen_problem *problem);
/* The matrix of a problem, or all of them as one, one below the other. arguments may be NULL: the arrays are
 * NULL then. */
void kgen_problem_matrix(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                         struct kgen_matrix *matrix);
/* For the op's check: what the format and the fields of weights ask of each other. */
int kgen_format_check(const struct kgen_problem *problem, const struct kgen_check_place *check);
/* Sets bits and group_size, where they are 0, to those of a format that has only one. */
void kgen_format_complete(struct kgen_problem *problem);

#endif
