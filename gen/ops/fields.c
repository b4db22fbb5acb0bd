/* SPDX-License-Identifier: MIT */
/* The words, the fields of each op, and access to them. A new field is a line here and a member of struct
 * kgen_problem. */
#include "gen/ops/problem.h"

#include <stddef.h>
#include <string.h>

static const char *const words[KGEN_WORD_COUNT] = {
    [KGEN_WORD_NONE] = "",
    [KGEN_F32] = "f32",
    [KGEN_F16] = "f16",
    [KGEN_BF16] = "bf16",
    [KGEN_I16] = "i16",
    [KGEN_I8] = "i8",
    [KGEN_AFFINE] = "affine",
    [KGEN_SYMMETRIC] = "symmetric",
    [KGEN_ZERO_POINT] = "zero_point",
    [KGEN_HALF_SPLIT] = "half",
    [KGEN_INTERLEAVED] = "interleaved",
    [KGEN_UNSCALED] = "none",
    [KGEN_LINEAR] = "linear",
    [KGEN_LLAMA3] = "llama3",
    [KGEN_STORED] = "stored",
    [KGEN_TILES16] = "tiles16",
};

static const int bits_allowed[] = {1, 2, 3, 4, 5, 6, 8, -1};
static const int group_sizes[] = {32, 64, 128, -1};
static const int modes[] = {KGEN_AFFINE, KGEN_SYMMETRIC, KGEN_ZERO_POINT, -1};
static const int scale_types[] = {KGEN_F16, KGEN_BF16, KGEN_F32, -1};
static const int precisions[] = {KGEN_F32, KGEN_I16, KGEN_I8, -1};
static const int layouts[] = {KGEN_STORED, KGEN_TILES16, -1};
static const int pairings[] = {KGEN_HALF_SPLIT, KGEN_INTERLEAVED, -1};
static const int scalings[] = {KGEN_UNSCALED, KGEN_LINEAR, KGEN_LLAMA3, -1};

#define AT(member) offsetof(struct kgen_problem, member)

/* clang-format off */
#define SIZE(name, meaning) \
    {#name, KGEN_FIELD_INTEGER, AT(name), true, 0, 1, KGEN_SIZE_MAX, NULL, meaning, false}
#define CHOICE(name, allowed, meaning) \
    {#name, KGEN_FIELD_INTEGER, AT(name), true, 0, 1, KGEN_SIZE_MAX, allowed, meaning, false}
#define WORD(name, default_word, allowed, meaning) \
    {#name, KGEN_FIELD_WORD, AT(name), false, default_word, 0, KGEN_WORD_COUNT, allowed, meaning, false}
#define BOOLEAN(name, meaning) \
    {#name, KGEN_FIELD_BOOLEAN, AT(name), false, 0, 0, 1, NULL, meaning, false}
#define INTEGER(name, default_value, minimum, maximum, meaning) \
    {#name, KGEN_FIELD_INTEGER, AT(name), false, default_value, minimum, maximum, NULL, meaning, false}
#define REAL(name, default_value, minimum, maximum, meaning) \
    {#name, KGEN_FIELD_REAL, AT(name), false, default_value, minimum, maximum, NULL, meaning, false}

#define WEIGHT_FIELDS \
    SIZE(N, "rows of W"), \
    SIZE(K, "columns of W, a multiple of group_size"), \
    CHOICE(bits, bits_allowed, "bits of a weight"), \
    CHOICE(group_size, group_sizes, "columns that share a scale"), \
    WORD(mode, KGEN_AFFINE, modes, "how a weight is made of its bits, scale and bias"), \
    WORD(scales, KGEN_F16, scale_types, "dtype of scales and biases")
/* clang-format on */

static const struct kgen_field qmv_fields[] = {
    WEIGHT_FIELDS,
    WORD(activations, KGEN_F32, precisions, "precision of x inside the kernel; x is f32 in memory"),
    {"layout", KGEN_FIELD_WORD, AT(layout), false, KGEN_STORED, 0, KGEN_WORD_COUNT, layouts,
     "order of weights, scales and biases: as stored, or 16 rows side by side", true},
};

static const struct kgen_field dequantize_fields[] = {
    WEIGHT_FIELDS,
};

static const struct kgen_field rms_norm_fields[] = {
    INTEGER(rows, 1, 1, KGEN_SIZE_MAX, "vectors that are normalised"),
    SIZE(size, "elements of a vector"),
    BOOLEAN(residual, "residual += x comes first, and the sum is normalised"),
    BOOLEAN(weight_plus_one, "the weight is stored less one"),
    REAL(eps, 1e-6, 1e-12, 1, "added to the mean of the squares"),
};

static const struct kgen_field rope_fields[] = {
    SIZE(heads, "vectors that are rotated"),
    {"head_dim", KGEN_FIELD_INTEGER, AT(head_dim), true, 0, 1, 8192, NULL, "elements of a vector", false},
    INTEGER(rotary_dim, 0, 0, 8192, "elements that are rotated, even; 0: head_dim"),
    WORD(pairing, KGEN_HALF_SPLIT, pairings, "element i turns with i + rotary_dim/2 (half), or 2i with 2i+1"),
    REAL(theta, 10000, 1, 1e12, "base of the frequencies"),
    WORD(scaling, KGEN_UNSCALED, scalings, "of the frequencies, as rope_scaling of Hugging Face"),
    REAL(factor, 1, 1, 1e6, "of linear and llama3 scaling"),
    REAL(low_freq_factor, 1, 1e-3, 1e6, "of llama3 scaling"),
    REAL(high_freq_factor, 4, 1e-3, 1e6, "of llama3 scaling, greater than low_freq_factor"),
    INTEGER(original_max_position_embeddings, 8192, 1, KGEN_SIZE_MAX, "of llama3 scaling"),
};

static const struct kgen_field swiglu_fields[] = {
    SIZE(size, "elements of gate, up and y"),
};

static const struct kgen_field add_fields[] = {
    SIZE(size, "elements of a, b and y"),
};

#define FIELDS(array) array, KGEN_COUNT_OF(array)

static const struct kgen_op_info ops[KGEN_OP_COUNT] = {
    [KGEN_OP_QMV] = {"qmv", "Multiplies a quantised matrix by a vector: y[N] = W[N,K] x[K].",
                     FIELDS(qmv_fields)},
    [KGEN_OP_DEQUANTIZE] = {"dequantize", "Expands rows of a quantised matrix to floats: y[N,K] = W[N,K].",
                            FIELDS(dequantize_fields)},
    [KGEN_OP_RMS_NORM] = {"rms_norm",
                          "Normalises rows by their root mean square, after an optional residual add.",
                          FIELDS(rms_norm_fields)},
    [KGEN_OP_ROPE] = {"rope", "Rotates the heads of one position: rotary position embedding.",
                      FIELDS(rope_fields)},
    [KGEN_OP_SWIGLU] = {"swiglu", "Gates one vector by another: y = silu(gate) * up.", FIELDS(swiglu_fields)},
    [KGEN_OP_ADD] = {"add", "Adds two vectors: y = a + b.", FIELDS(add_fields)},
};

const char *kgen_word_name(enum kgen_word word)
{
    return words[word];
}

const struct kgen_op_info *kgen_op_info(enum kgen_op op)
{
    return &ops[op];
}

int kgen_op_parse(const char *name, enum kgen_op *op)
{
    for (size_t i = 0; i < KGEN_COUNT_OF(ops); i++) {
        if (strcmp(ops[i].name, name) == 0) {
            *op = (enum kgen_op)i;
            return 0;
        }
    }
    return -1;
}

int64_t kgen_field_get(const struct kgen_problem *problem, const struct kgen_field *field)
{
    int64_t value;
    memcpy(&value, (const char *)problem + field->offset, sizeof value);
    return value;
}

void kgen_field_set(struct kgen_problem *problem, const struct kgen_field *field, int64_t value)
{
    memcpy((char *)problem + field->offset, &value, sizeof value);
}

double kgen_field_get_real(const struct kgen_problem *problem, const struct kgen_field *field)
{
    double value;
    memcpy(&value, (const char *)problem + field->offset, sizeof value);
    return value;
}

void kgen_field_set_real(struct kgen_problem *problem, const struct kgen_field *field, double value)
{
    memcpy((char *)problem + field->offset, &value, sizeof value);
}

bool kgen_field_holds(const struct kgen_problem *problem, const struct kgen_field *field)
{
    if (field->kind == KGEN_FIELD_REAL) {
        double real = kgen_field_get_real(problem, field);
        return real >= field->minimum && real <= field->maximum;
    }
    int64_t value = kgen_field_get(problem, field);
    for (const int *allowed = field->allowed; allowed != NULL && *allowed != -1; allowed++) {
        if (value == *allowed)
            return true;
    }
    return field->allowed == NULL && value >= (int64_t)field->minimum && value <= (int64_t)field->maximum;
}

void kgen_field_describe(const struct kgen_field *field, struct kgen_text *text)
{
    if (field->allowed != NULL) {
        for (const int *allowed = field->allowed; *allowed != -1; allowed++) {
            if (allowed != field->allowed)
                kgen_text_puts(text, allowed[1] == -1 ? " or " : ", ");
            if (field->kind == KGEN_FIELD_WORD)
                kgen_text_printf(text, "\"%s\"", words[*allowed]);
            else
                kgen_text_printf(text, "%d", *allowed);
        }
    } else if (field->kind == KGEN_FIELD_BOOLEAN) {
        kgen_text_puts(text, "true or false");
    } else {
        kgen_text_puts(text, field->kind == KGEN_FIELD_REAL ? "a number from " : "an integer from ");
        kgen_text_real(text, field->minimum);
        kgen_text_puts(text, " to ");
        kgen_text_real(text, field->maximum);
    }
}
