/* SPDX-License-Identifier: MIT */
#include "gen/ops/problem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of any buffer of a problem: well below 2^63. */
#define BYTES_MAX (INT64_C(1) << 62)

void kgen_text_real(struct kgen_text *text, double value)
{
    char digits[40];
    if (value == floor(value) && fabs(value) < 1e15) {
        snprintf(digits, sizeof digits, "%.0f", value);
    } else {
        for (int precision = 1; precision <= 17; precision++) {
            snprintf(digits, sizeof digits, "%.*g", precision, value);
            if (strtod(digits, NULL) == value)
                break;
        }
    }
    /* What is not part of a number is the decimal point of the locale, which may take several bytes. */
    for (const char *c = digits; *c != '\0';) {
        size_t plain = strspn(c, "0123456789+-e");
        kgen_text_append(text, c, plain);
        c += plain;
        if (*c != '\0') {
            kgen_text_puts(text, ".");
            c += strcspn(c, "0123456789+-e");
        }
    }
}

void kgen_problem_init(struct kgen_problem *problem, enum kgen_op op)
{
    *problem = (struct kgen_problem){.op = op, .threads = 1};
    const struct kgen_op_info *info = kgen_op_info(op);
    for (size_t i = 0; i < info->field_count; i++) {
        const struct kgen_field *field = &info->fields[i];
        if (field->kind == KGEN_FIELD_REAL)
            kgen_field_set_real(problem, field, field->default_value);
        else
            kgen_field_set(problem, field, (int64_t)field->default_value);
    }
}

/* A value as the canonical text has it: valid JSON where the field holds what it may. */
static void value_write(const struct kgen_problem *problem, const struct kgen_field *field,
                        struct kgen_text *text)
{
    int64_t value = field->kind == KGEN_FIELD_REAL ? 0 : kgen_field_get(problem, field);
    switch (field->kind) {
    case KGEN_FIELD_REAL:
        kgen_text_real(text, kgen_field_get_real(problem, field));
        break;
    case KGEN_FIELD_BOOLEAN:
        if (value == 0 || value == 1) {
            kgen_text_puts(text, value == 1 ? "true" : "false");
            break;
        }
        kgen_text_printf(text, "%lld", (long long)value);
        break;
    case KGEN_FIELD_WORD:
        if (value >= 0 && value < KGEN_WORD_COUNT) {
            kgen_text_printf(text, "\"%s\"", kgen_word_name((enum kgen_word)value));
            break;
        }
        kgen_text_printf(text, "%lld", (long long)value);
        break;
    case KGEN_FIELD_INTEGER:
        kgen_text_printf(text, "%lld", (long long)value);
        break;
    }
}

/* Where an error of a check goes. */
struct check {
    const struct kgen_problem *problem;
    const char *op;
    const char *source;
    int line, column;
    struct kgen_error *error;
};

#define FAIL(check, ...)                                                                                     \
    kgen_error_set((check)->error, KGEN_ERROR_SPEC, (check)->source, (check)->line, (check)->column,         \
                   __VA_ARGS__)

static int check_field(const struct check *check, const struct kgen_field *field)
{
    if (kgen_field_holds(check->problem, field))
        return 0;
    struct kgen_text expected = {0}, found = {0};
    kgen_field_describe(field, &expected);
    value_write(check->problem, field, &found);
    if (expected.failed || found.failed)
        kgen_error_set(check->error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    else
        FAIL(check, "\"%s\" of %s must be %s, not %s", field->name, check->op, expected.data, found.data);
    kgen_text_free(&expected);
    kgen_text_free(&found);
    return -1;
}

/* The greatest array of a problem has a * b floats. */
static int check_product(const struct check *check, const char *a_name, int64_t a, const char *b_name,
                         int64_t b)
{
    if (a <= BYTES_MAX / 4 / b)
        return 0;
    return FAIL(check, "%s: %s %lld times %s %lld is more than memory can be", check->op, a_name,
                (long long)a, b_name, (long long)b);
}

static int check_weight(const struct check *check)
{
    const struct kgen_problem *problem = check->problem;
    int64_t K = problem->K, group_size = problem->group_size;
    if (K % group_size != 0) {
        FAIL(check, "%s: K %lld is not a multiple of group_size %lld", check->op, (long long)K,
             (long long)group_size);
        kgen_error_hint(check->error, "%lld is", (long long)((K / group_size + 1) * group_size));
        return -1;
    }
    return check_product(check, "N", problem->N, "K", K);
}

static int check_rope(const struct check *check)
{
    const struct kgen_problem *problem = check->problem;
    int64_t rotary_dim = problem->rotary_dim;
    if (rotary_dim < 2 || rotary_dim % 2 != 0)
        return FAIL(check, "rope: rotary_dim %lld is not a positive even number", (long long)rotary_dim);
    if (rotary_dim > problem->head_dim)
        return FAIL(check, "rope: rotary_dim %lld is more than head_dim %lld", (long long)rotary_dim,
                    (long long)problem->head_dim);
    /* Unused parameters stay at their defaults, so that equal problems have equal text. */
    const char *unused = NULL;
    if (problem->scaling == KGEN_UNSCALED && problem->factor != 1)
        unused = "factor";
    if (problem->scaling != KGEN_LLAMA3) {
        struct kgen_problem plain;
        kgen_problem_init(&plain, KGEN_OP_ROPE);
        if (problem->low_freq_factor != plain.low_freq_factor)
            unused = "low_freq_factor";
        if (problem->high_freq_factor != plain.high_freq_factor)
            unused = "high_freq_factor";
        if (problem->original_max_position_embeddings != plain.original_max_position_embeddings)
            unused = "original_max_position_embeddings";
    } else if (problem->low_freq_factor >= problem->high_freq_factor) {
        return FAIL(check, "rope: low_freq_factor must be less than high_freq_factor");
    }
    if (unused != NULL) {
        FAIL(check, "rope: \"%s\" means nothing with scaling \"%s\"", unused,
             kgen_word_name((enum kgen_word)problem->scaling));
        kgen_error_hint(check->error, "set \"scaling\", or leave \"%s\" out", unused);
        return -1;
    }
    return check_product(check, "heads", problem->heads, "head_dim", problem->head_dim);
}

int kgen_problem_check(const struct kgen_problem *problem, const char *source, int line, int column,
                       struct kgen_error *error)
{
    const struct kgen_op_info *info = kgen_op_info(problem->op);
    struct check check = {problem, info->name, source, line, column, error};
    for (size_t i = 0; i < info->field_count; i++) {
        if (check_field(&check, &info->fields[i]) != 0)
            return -1;
    }
    if (problem->threads < 1)
        return FAIL(&check, "%s: threads %lld is less than 1", info->name, (long long)problem->threads);
    switch (problem->op) {
    case KGEN_OP_QMV:
    case KGEN_OP_DEQUANTIZE:
        return check_weight(&check);
    case KGEN_OP_RMS_NORM:
        return check_product(&check, "rows", problem->rows, "size", problem->size);
    case KGEN_OP_ROPE:
        return check_rope(&check);
    case KGEN_OP_SWIGLU:
    case KGEN_OP_ADD:
    case KGEN_OP_COUNT:
        break;
    }
    return 0;
}

void kgen_problem_write(const struct kgen_problem *problem, struct kgen_text *text)
{
    const struct kgen_op_info *info = kgen_op_info(problem->op);
    kgen_text_printf(text, "{\"op\":\"%s\"", info->name);
    for (size_t i = 0; i < info->field_count; i++) {
        const struct kgen_field *field = &info->fields[i];
        if (field->later && kgen_field_get(problem, field) == (int64_t)field->default_value)
            continue;
        kgen_text_printf(text, ",\"%s\":", field->name);
        value_write(problem, field, text);
    }
    kgen_text_printf(text, ",\"threads\":%lld}", (long long)problem->threads);
}

/* A prefix and a number in the letters of identifiers: 1.5e-06 is 1p5em06. */
static void name_real(struct kgen_text *text, const char *prefix, double value)
{
    struct kgen_text real = {0};
    kgen_text_real(&real, value);
    kgen_text_puts(text, prefix);
    for (size_t i = 0; i < real.length; i++) {
        char c = real.data[i];
        if (c != '+')
            kgen_text_append(text, c == '.' ? "p" : c == '-' ? "m" : &c, 1);
    }
    text->failed = text->failed || real.failed;
    kgen_text_free(&real);
}

static void name_integer(struct kgen_text *text, const char *prefix, int64_t value)
{
    kgen_text_printf(text, "%s%lld", prefix, (long long)value);
}

static void name_word(struct kgen_text *text, int64_t word)
{
    kgen_text_printf(text, "_%s", kgen_word_name((enum kgen_word)word));
}

static void name_rope(const struct kgen_problem *problem, struct kgen_text *text)
{
    name_integer(text, "_h", problem->heads);
    name_integer(text, "_d", problem->head_dim);
    name_integer(text, "_r", problem->rotary_dim);
    name_word(text, problem->pairing);
    name_real(text, "_t", problem->theta);
    if (problem->scaling == KGEN_UNSCALED)
        return;
    name_word(text, problem->scaling);
    name_real(text, "_f", problem->factor);
    if (problem->scaling == KGEN_LLAMA3) {
        name_real(text, "_l", problem->low_freq_factor);
        name_real(text, "_h", problem->high_freq_factor);
        name_integer(text, "_o", problem->original_max_position_embeddings);
    }
}

void kgen_problem_name(const struct kgen_problem *problem, struct kgen_text *text)
{
    kgen_text_puts(text, kgen_op_info(problem->op)->name);
    switch (problem->op) {
    case KGEN_OP_QMV:
    case KGEN_OP_DEQUANTIZE:
        name_integer(text, "_n", problem->N);
        name_integer(text, "_k", problem->K);
        name_integer(text, "_b", problem->bits);
        name_integer(text, "_g", problem->group_size);
        if (problem->mode != KGEN_AFFINE)
            name_word(text, problem->mode);
        name_word(text, problem->scales);
        if (problem->op == KGEN_OP_QMV)
            name_word(text, problem->activations);
        if (problem->op == KGEN_OP_QMV && problem->layout != KGEN_STORED)
            name_word(text, problem->layout);
        break;
    case KGEN_OP_RMS_NORM:
        name_integer(text, "_r", problem->rows);
        name_integer(text, "_s", problem->size);
        kgen_text_puts(text, problem->residual != 0 ? "_residual" : "");
        kgen_text_puts(text, problem->weight_plus_one != 0 ? "_plus_one" : "");
        name_real(text, "_eps", problem->eps);
        break;
    case KGEN_OP_ROPE:
        name_rope(problem, text);
        break;
    case KGEN_OP_SWIGLU:
    case KGEN_OP_ADD:
        name_integer(text, "_n", problem->size);
        break;
    case KGEN_OP_COUNT:
        break;
    }
}

double kgen_rope_frequency(const struct kgen_problem *problem, int64_t index)
{
    const double two_pi = 6.283185307179586476925286766559;
    double frequency = pow(problem->theta, -2.0 * (double)index / (double)problem->rotary_dim);
    if (problem->scaling == KGEN_LINEAR)
        return frequency / problem->factor;
    if (problem->scaling != KGEN_LLAMA3)
        return frequency;
    /* Turns within the original context: few turns are slowed by the factor, many are kept, between the two
     * limits the frequency goes from one to the other. */
    double low = problem->low_freq_factor, high = problem->high_freq_factor;
    double turns = (double)problem->original_max_position_embeddings * frequency / two_pi;
    if (turns > high)
        return frequency;
    if (turns < low)
        return frequency / problem->factor;
    double smooth = (turns - low) / (high - low);
    return (1 - smooth) * frequency / problem->factor + smooth * frequency;
}

int64_t kgen_weight_row_bytes(const struct kgen_problem *problem)
{
    return problem->K / 8 * problem->bits;
}

int64_t kgen_packed_rows(const struct kgen_problem *problem)
{
    if (problem->op != KGEN_OP_QMV || problem->layout != KGEN_TILES16)
        return problem->N;
    return (problem->N + KGEN_TILE_ROWS - 1) / KGEN_TILE_ROWS * KGEN_TILE_ROWS;
}

int64_t kgen_dtype_bytes(int64_t word)
{
    return word == KGEN_F32 ? 4 : 2;
}
