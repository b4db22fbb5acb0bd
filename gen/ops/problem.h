/* SPDX-License-Identifier: MIT */
/* A problem: an op with its shape, dtypes, quantisation format and thread count. It is the thing that is
 * tuned.
 *
 * Each op has a table of fields. The table drives reading and checking JSON, the canonical text that keys the
 * cache, and the names a template sees, so that a new field is one line. */
#ifndef KGEN_PROBLEM_H
#define KGEN_PROBLEM_H

#include "gen/base/base.h"

/* The largest N, K, rows, size, heads; products of two are checked to fit in 62 bits as well. */
#define KGEN_SIZE_MAX (INT64_C(1) << 31)

enum kgen_op {
    KGEN_OP_QMV,        /* y[N] = W[N,K] x[K], W quantised */
    KGEN_OP_DEQUANTIZE, /* y[N,K] = W[N,K] */
    KGEN_OP_RMS_NORM,   /* y = x / sqrt(mean(x^2) + eps) * weight, each of `rows` rows of `size` */
    KGEN_OP_ROPE,       /* rotary position embedding of `heads` vectors of head_dim */
    KGEN_OP_SWIGLU,     /* y = silu(gate) * up, `size` elements */
    KGEN_OP_ADD,        /* y = a + b, `size` elements */
    KGEN_OP_COUNT
};

/* Every word a field can hold, each a number of its own, so that a template may compare any field with any.
 */
enum kgen_word {
    KGEN_WORD_NONE,
    KGEN_F32, /* dtypes of scales, and precision of activations */
    KGEN_F16,
    KGEN_BF16,
    KGEN_I16,
    KGEN_I8,
    KGEN_AFFINE,      /* w = scale * q + bias */
    KGEN_SYMMETRIC,   /* w = scale * (q - 2^(bits-1)); no biases */
    KGEN_ZERO_POINT,  /* w = scale * (q - zero); the biases array holds the zeros */
    KGEN_HALF_SPLIT,  /* RoPE pairs i with i + rotary_dim/2 */
    KGEN_INTERLEAVED, /* RoPE pairs 2i with 2i+1 */
    KGEN_UNSCALED,    /* rope_scaling */
    KGEN_LINEAR,
    KGEN_LLAMA3,
    KGEN_STORED,  /* layout: weights, scales and biases as checkpoints have them */
    KGEN_TILES16, /* layout: 16 rows side by side; kgen_packed_rows */
    KGEN_WORD_COUNT
};

/* The name of a word in specs and templates: "f32", "affine", "half", "interleaved", "none", "llama3", ... */
const char *kgen_word_name(enum kgen_word word);

struct kgen_problem {
    enum kgen_op op;
    /* qmv, dequantize. W is [N, K*bits/32] words of 32 bits, row-major, one little-endian bit stream a row,
     * lowest bits first; scales and biases are [N, K/group_size]. (MLX's layout.) */
    int64_t N, K;
    int64_t bits;        /* 1, 2, 3, 4, 5, 6, 8 */
    int64_t group_size;  /* 32, 64, 128 */
    int64_t mode;        /* KGEN_AFFINE, KGEN_SYMMETRIC, KGEN_ZERO_POINT */
    int64_t scales;      /* dtype of scales and biases: KGEN_F16, KGEN_BF16, KGEN_F32 */
    int64_t activations; /* precision: KGEN_F32, KGEN_I16, KGEN_I8; f32 in memory in every case */
    int64_t layout;      /* of qmv: KGEN_STORED, KGEN_TILES16 */
    /* rms_norm: rows x size; swiglu, add: size */
    int64_t rows, size;
    int64_t residual;        /* rms_norm: 1 where residual += x comes first and the sum is normalised */
    int64_t weight_plus_one; /* rms_norm: 1 where the weight is stored less one (Gemma) */
    double eps;
    /* rope */
    int64_t heads, head_dim;
    int64_t rotary_dim; /* even; the dims from rotary_dim to head_dim are copied */
    int64_t pairing;    /* KGEN_HALF_SPLIT, KGEN_INTERLEAVED */
    double theta;
    int64_t scaling; /* KGEN_UNSCALED, KGEN_LINEAR, KGEN_LLAMA3 */
    double factor, low_freq_factor, high_freq_factor;
    int64_t original_max_position_embeddings;
    /* every op */
    int64_t threads; /* set by the tuner, not by a spec */
};

enum kgen_field_kind { KGEN_FIELD_INTEGER, KGEN_FIELD_REAL, KGEN_FIELD_BOOLEAN, KGEN_FIELD_WORD };

struct kgen_field {
    const char *name; /* in specs and templates */
    enum kgen_field_kind kind;
    size_t offset;        /* in struct kgen_problem: of an int64_t, or of a double for KGEN_FIELD_REAL */
    bool required;        /* in a spec; otherwise default_value */
    double default_value; /* a kgen_word for KGEN_FIELD_WORD */
    double minimum, maximum;
    const int *allowed;  /* NULL, or the only values (integers or kgen_words), ended by -1 */
    const char *meaning; /* one phrase, for `kgen list` */
    bool later;          /* it came later: left out of the canonical text and the name at its default */
};

struct kgen_op_info {
    const char *name;    /* "qmv" */
    const char *summary; /* one sentence */
    const struct kgen_field *fields;
    size_t field_count;
};

/* Never NULL for a valid op. */
const struct kgen_op_info *kgen_op_info(enum kgen_op op);
/* Returns 0 and the op of that name, or -1. */
int kgen_op_parse(const char *name, enum kgen_op *op);

/* Reads and writes a field of an integer, boolean or word kind. */
int64_t kgen_field_get(const struct kgen_problem *problem, const struct kgen_field *field);
void kgen_field_set(struct kgen_problem *problem, const struct kgen_field *field, int64_t value);
double kgen_field_get_real(const struct kgen_problem *problem, const struct kgen_field *field);
void kgen_field_set_real(struct kgen_problem *problem, const struct kgen_field *field, double value);

/* Whether the field of the problem has a value that it may have: within its limits, or one of the allowed. */
bool kgen_field_holds(const struct kgen_problem *problem, const struct kgen_field *field);
/* Appends what the field may have: "an integer from 1 to 2147483648", "32, 64 or 128", "true or false". */
void kgen_field_describe(const struct kgen_field *field, struct kgen_text *text);

/* Makes a problem of an op with every field at its default and threads 1. Required fields are 0, and so is
 * rotary_dim, which the caller sets. */
void kgen_problem_init(struct kgen_problem *problem, enum kgen_op op);

/* Checks that every field holds, and what no single field can: K a multiple of group_size, rotary_dim at most
 * head_dim and even, products that fit, no parameter of a scaling that is not used. source, line, column go
 * into the error. */
int kgen_problem_check(const struct kgen_problem *problem, const char *source, int line, int column,
                       struct kgen_error *error);

/* Appends the canonical text: a JSON object on one line, "op" first, then every field in table order, then
 * threads; without the fields that came later, at their defaults. Equal problems give equal text. */
void kgen_problem_write(const struct kgen_problem *problem, struct kgen_text *text);

/* Appends the identifier of the problem, without threads: lower-case letters, digits and underscores, such as
 * qmv_n4096_k12288_b4_g64_f16_i8. Different problems of one op differ in it. */
void kgen_problem_name(const struct kgen_problem *problem, struct kgen_text *text);

/* The RoPE frequency of pair index (0 to rotary_dim/2 - 1), in radians per position: theta^(-2
 * index/rotary_dim), then the scaling. Llama 3's scaling follows Hugging Face transformers'
 * _compute_llama3_parameters. */
double kgen_rope_frequency(const struct kgen_problem *problem, int64_t index);

/* Bytes of one row of a quantised matrix. */
int64_t kgen_weight_row_bytes(const struct kgen_problem *problem);
/* The rows that its arrays have room for: N, with KGEN_TILES16 the next multiple of 16. A tile holds the
 * words of 16 rows in turns, word by word: that of row 0, of row 1, ..., of row 15, then the next word of
 * each. A word is 32 bits of weights, or one scale or bias. What a tile has for rows beyond N is not used. */
int64_t kgen_packed_rows(const struct kgen_problem *problem);
#define KGEN_TILE_ROWS 16
/* Bytes of one element of a dtype word: 2 or 4. */
int64_t kgen_dtype_bytes(int64_t word);

/* Appends a finite number in the fewest digits that read back as the same double, with "." whatever the
 * locale; whole numbers below 1e15 without an exponent: "1000000", "1e-06", "0.5". */
void kgen_text_real(struct kgen_text *text, double value);

#endif
