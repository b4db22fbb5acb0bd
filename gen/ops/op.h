/* SPDX-License-Identifier: MIT */
/* An op as data: all that kgen knows of it stands in one struct kgen_op, in one file gen/ops/<name>.c.
 *
 * From it follow the C signatures of kernels and their headers, the calls of compiled kernels, the buffers
 * of proofs and timings, the public API's buffers by name, and what `kgen list` prints. No other file asks
 * which op a problem is of.
 *
 * A kernel `f` of an op has up to three parts, which are C functions. `f_prepare` runs once for each call,
 * before the others, and fills the workspace. `f` runs on parts of the range, by any number of threads.
 * `f_finish` runs once, after every part of the range is done. */
#ifndef KGEN_OP_H
#define KGEN_OP_H

#include "gen/ops/constant.h"
#include "gen/ops/random.h"

/* The largest N, rows, heads. */
#define KGEN_SIZE_MAX (INT64_C(1) << 31)
/* The largest number of elements of a row: kernels count its bytes as floats in an int. */
#define KGEN_ROW_MAX (INT64_C(1) << 28)
#define KGEN_FIELDS_MAX 16
#define KGEN_BUFFERS_MAX 16
#define KGEN_SCALARS_MAX 4
/* The value of scalars in timings, where they may have it: of a position, the middle of a conversation. */
#define KGEN_TYPICAL 1000

struct kgen_problem;

/* ---- fields ---- */

enum kgen_field_kind { KGEN_FIELD_INTEGER, KGEN_FIELD_REAL, KGEN_FIELD_BOOLEAN, KGEN_FIELD_CONSTANT };

/* One property of a problem: its shape, a dtype, a format. */
struct kgen_field {
    const char *name;   /* in specs and templates */
    const char *former; /* NULL, or the name in earlier specs, which are still read */
    enum kgen_field_kind kind;
    bool required;        /* in a spec; otherwise default_value */
    double default_value; /* a kgen_constant for KGEN_FIELD_CONSTANT */
    double minimum, maximum;
    const int *allowed;  /* NULL, or the only values (integers or kgen_constants), ended by -1 */
    const char *meaning; /* one phrase, for `kgen list` */
    /* How the field stands in the name of a problem: before its value, or for a boolean in place of it. */
    const char *tag;
    bool tag_at_default;   /* false: a value that is the default is left out of the name */
    bool text_at_default;  /* false: the canonical text leaves the default out, as the field came later */
    const char *used_when; /* NULL, or an expression: the name has the field where it is not 0 */
};

/* ---- buffers ---- */

enum kgen_role {
    KGEN_INPUT,     /* read */
    KGEN_WEIGHTS,   /* a matrix [N, K] of the problem's weight format, which may be several arrays; read */
    KGEN_UPDATED,   /* read and written in place */
    KGEN_OUTPUT,    /* written, every element */
    KGEN_STATE,     /* kept between calls, such as a cache; read, and written where the op says */
    KGEN_WORKSPACE, /* written by the first part that is given it, read by the others; its size is the
                       kernel's to say */
    KGEN_SCRATCH    /* of one thread, undefined at every call of run; its size is the kernel's to say */
};

/* The parts of a kernel, as bits. */
enum { KGEN_PREPARE = 1, KGEN_RUN = 2, KGEN_FINISH = 4 };

/* shape, when: expressions of fields, as kgen_problem_evaluate reads them. */
struct kgen_buffer {
    const char *name;
    enum kgen_role role;
    const char *dtype;     /* "f32", "i32", ...; NULL where the format or the kernel decides */
    const char *shape;     /* "rows, size"; NULL for a workspace and scratch */
    unsigned parts;        /* those that are given the buffer */
    const char *when;      /* NULL, or: a problem has the buffer where this is not 0 */
    const char *may_alias; /* NULL, or the inputs that an output may be the same memory as: "gate up" */
};

/* An integer that may differ from call to call. kgen_scalar_maximum says the greatest value of a problem. */
struct kgen_scalar {
    const char *name;
    int64_t minimum, maximum;
    const char *at_most; /* NULL, or an expression of fields: the value is not greater than this either */
    unsigned parts;
    const char *meaning;
    const char *typical; /* NULL, or an expression of fields: the value in timings */
};

/* ---- values ---- */

/* The buffers of one call, in the order of kgen_problem_buffers, and its scalars. */
struct kgen_arguments {
    void *buffers[KGEN_BUFFERS_MAX];
    int64_t scalars[KGEN_SCALARS_MAX];
};

/* What a reference computes: for each output, updated and state buffer, by its index, the value of every
 * element and the bound on the error of a right kernel. An element of a state or an output that is a NaN
 * keeps its bits. The arrays belong to the caller; others are NULL. */
struct kgen_expected {
    double *values[KGEN_BUFFERS_MAX];
    double *bounds[KGEN_BUFFERS_MAX];
};

/* One kind of input on which kernels are proven. */
struct kgen_generator {
    const char *name;
    /* Fills every input, weights, updated and state buffer of the problem, in the layout that checkpoints
     * have, and sets the scalars. */
    void (*fill)(const struct kgen_problem *problem, struct kgen_random *random,
                 struct kgen_arguments *arguments);
    /* NULL, or lowers the bounds to what these inputs allow: they are chosen so that a right kernel has
     * hardly anything to round, and one wrong bit of one weight is seen. */
    void (*tighten)(const struct kgen_problem *problem, struct kgen_expected *expected);
};

/* Where the error of a check goes. */
struct kgen_check_place {
    const char *source;
    int line, column;
    struct kgen_error *error;
};

/* Receives the names that an op gives to its templates besides its fields. context is the receiver's. */
struct kgen_name_receiver {
    void *context;
    void (*text)(void *context, const char *name, const char *value);
    void (*integer)(void *context, const char *name, int64_t value);
    void (*reals)(void *context, const char *name, const double *values, size_t count);
};

/* ---- the op ---- */

struct kgen_op {
    const char *name;    /* "qmv" */
    const char *summary; /* one sentence */
    const char *formula; /* for headers: lines of text without a comment's marks, each ended by "\n" */
    const struct kgen_field *fields;
    size_t field_count;
    const struct kgen_buffer *buffers; /* in the order of a kernel's parameters */
    size_t buffer_count;
    const struct kgen_scalar *scalars;
    size_t scalar_count;

    const char *range;       /* the field that run's range counts: "N", "rows" */
    const char *range_inner; /* NULL, or a second field: the range counts pairs, (i, j) as i * inner + j */
    const char *range_name;  /* of one of them in parameters: "row" gives row_begin and row_end; or "" */
    bool elementwise;        /* the range counts elements: a kernel serves its problem's size and less */
    /* A kernel serves its problem's range only, whole or in parts: where things lie depends on it. Outputs
     * lie in the order of the range. */
    bool fixed_range;
    /* NULL, or the scalar that says how many elements lie from a row of an output to the next. The range
     * counts the last dimension of outputs then, which is a column of such rows. */
    const char *range_stride;
    bool scattered; /* of a fixed range: outputs do not lie in its order */
    /* NULL, or the field that says for how many positions a state has room. Kernels serve less room, too:
     * proofs and timings are done with less. */
    const char *room;
    bool threaded; /* one call is long enough for several threads */

    /* NULL, or sets what follows from other fields where a spec does not say it. */
    void (*complete)(struct kgen_problem *problem);
    /* NULL, or checks what no single field can. Returns 0, or -1 after kgen_check_fail. */
    int (*check)(const struct kgen_problem *problem, const struct kgen_check_place *check);
    /* NULL, or makes the problem whose one call does what `rows` calls of this one do, each activation of
     * which is that many of this one's, one after the other. Where its op has a scalar named "rows", that
     * says how many of them a call has; elsewhere its range does. Returns false where one call gains nothing. */
    bool (*batched)(const struct kgen_problem *problem, int64_t rows, struct kgen_problem *batch);
    /* NULL, or gives more names to templates. */
    void (*names)(const struct kgen_problem *problem, const struct kgen_name_receiver *receiver);
    /* Arithmetic operations of one call. */
    double (*operations)(const struct kgen_problem *problem);
    /* Computes in double precision what the outputs hold. Only reads arguments. */
    void (*reference)(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                      struct kgen_expected *expected);
    const struct kgen_generator *generators; /* the first is plain random numbers */
    size_t generator_count;
    const size_t *proof_ranges; /* NULL, or the lengths of range that proofs use, ended by 0 */
};

/* The ops, in the order of `kgen list`. */
size_t kgen_op_count(void);
const struct kgen_op *kgen_op_at(size_t index);
/* The op of that name, or NULL. */
const struct kgen_op *kgen_op_find(const char *name);
/* The field of that name, or that former name; NULL where the op has none. */
const struct kgen_field *kgen_op_field(const struct kgen_op *op, const char *name);

/* Shorthands for the tables of ops. */
#define KGEN_SIZE_FIELD(name, tag, maximum, meaning)                                                         \
    {                                                                                                        \
        name, NULL, KGEN_FIELD_INTEGER, true, 0, 1, maximum, NULL, meaning, tag, true, true, NULL            \
    }
#define KGEN_CHOICE_FIELD(name, tag, allowed, meaning)                                                       \
    {                                                                                                        \
        name, NULL, KGEN_FIELD_INTEGER, true, 0, 1, KGEN_SIZE_MAX, allowed, meaning, tag, true, true, NULL   \
    }
#define KGEN_INTEGER_FIELD(name, tag, default_value, minimum, maximum, meaning)                              \
    {                                                                                                        \
        name, NULL, KGEN_FIELD_INTEGER, false, default_value, minimum, maximum, NULL, meaning, tag, true,    \
            true, NULL                                                                                       \
    }
#define KGEN_BOOLEAN_FIELD(name, tag, meaning)                                                               \
    {                                                                                                        \
        name, NULL, KGEN_FIELD_BOOLEAN, false, 0, 0, 1, NULL, meaning, tag, false, true, NULL                \
    }
#define KGEN_REAL_FIELD(name, tag, default_value, minimum, maximum, meaning)                                 \
    {                                                                                                        \
        name, NULL, KGEN_FIELD_REAL, false, default_value, minimum, maximum, NULL, meaning, tag, true, true, \
            NULL                                                                                             \
    }
#define KGEN_CONSTANT_FIELD(name, former, default_constant, allowed, meaning, tag_at_default,                \
                            text_at_default)                                                                 \
    {                                                                                                        \
        name, former, KGEN_FIELD_CONSTANT, false, default_constant, 0, KGEN_CONSTANT_COUNT, allowed,         \
            meaning, "", tag_at_default, text_at_default, NULL                                               \
    }
#define KGEN_ARRAY(array) array, KGEN_COUNT_OF(array)

#endif
