/* SPDX-License-Identifier: MIT */
#include "gen/ops/problem.h"

#include "gen/ops/buffers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void kgen_problem_init(struct kgen_problem *problem, const struct kgen_op *op)
{
    *problem = (struct kgen_problem){.op = op, .threads = 1};
    for (size_t i = 0; i < op->field_count; i++) {
        const struct kgen_field *field = &op->fields[i];
        if (field->kind == KGEN_FIELD_REAL)
            problem->values[i].real = field->default_value;
        else
            problem->values[i].integer = (int64_t)field->default_value;
    }
}

/* ---- values ---- */

union kgen_value *kgen_problem_value(struct kgen_problem *problem, const struct kgen_field *field)
{
    return &problem->values[field - problem->op->fields];
}

const union kgen_value *kgen_problem_value_of(const struct kgen_problem *problem,
                                              const struct kgen_field *field)
{
    return &problem->values[field - problem->op->fields];
}

bool kgen_problem_has(const struct kgen_problem *problem, const char *name)
{
    return kgen_op_field(problem->op, name) != NULL;
}

int64_t kgen_problem_get(const struct kgen_problem *problem, const char *name)
{
    const struct kgen_field *field = kgen_op_field(problem->op, name);
    return field != NULL ? kgen_problem_value_of(problem, field)->integer : 0;
}

double kgen_problem_real(const struct kgen_problem *problem, const char *name)
{
    const struct kgen_field *field = kgen_op_field(problem->op, name);
    return field != NULL ? kgen_problem_value_of(problem, field)->real : 0;
}

void kgen_problem_set(struct kgen_problem *problem, const char *name, int64_t value)
{
    const struct kgen_field *field = kgen_op_field(problem->op, name);
    if (field != NULL)
        kgen_problem_value(problem, field)->integer = value;
}

void kgen_problem_set_real(struct kgen_problem *problem, const char *name, double value)
{
    const struct kgen_field *field = kgen_op_field(problem->op, name);
    if (field != NULL)
        kgen_problem_value(problem, field)->real = value;
}

static bool values_equal(const struct kgen_field *field, const union kgen_value *a, const union kgen_value *b)
{
    return field->kind == KGEN_FIELD_REAL ? !(a->real < b->real || a->real > b->real)
                                          : a->integer == b->integer;
}

bool kgen_problem_equal(const struct kgen_problem *a, const struct kgen_problem *b)
{
    bool equal = a->op == b->op && a->threads == b->threads;
    for (size_t i = 0; equal && i < a->op->field_count; i++)
        equal = values_equal(&a->op->fields[i], &a->values[i], &b->values[i]);
    return equal;
}

size_t kgen_problem_range_outer(const struct kgen_problem *problem)
{
    return (size_t)kgen_problem_get(problem, problem->op->range);
}

size_t kgen_problem_range_inner(const struct kgen_problem *problem)
{
    return problem->op->range_inner != NULL ? (size_t)kgen_problem_get(problem, problem->op->range_inner) : 1;
}

size_t kgen_problem_range(const struct kgen_problem *problem)
{
    return kgen_problem_range_outer(problem) * kgen_problem_range_inner(problem);
}

void kgen_problem_set_range(struct kgen_problem *problem, size_t range)
{
    kgen_problem_set(problem, problem->op->range, (int64_t)range);
}

bool kgen_problem_multiply_range(const struct kgen_problem *problem, int64_t rows, struct kgen_problem *batch)
{
    *batch = *problem;
    kgen_problem_set(batch, problem->op->range, kgen_problem_get(problem, problem->op->range) * rows);
    return true;
}

int64_t kgen_scalar_minimum(const struct kgen_problem *problem, const struct kgen_scalar *scalar)
{
    const char *stride = problem->op->range_stride;
    const int64_t range = (int64_t)kgen_problem_range_outer(problem);
    return stride != NULL && strcmp(scalar->name, stride) == 0 && range > scalar->minimum ? range
                                                                                          : scalar->minimum;
}

int64_t kgen_scalar_maximum(const struct kgen_problem *problem, const struct kgen_scalar *scalar)
{
    int64_t at_most;
    if (scalar->at_most == NULL || !kgen_problem_evaluate(scalar->at_most, problem, &at_most))
        return scalar->maximum;
    return at_most < scalar->maximum ? at_most : scalar->maximum;
}

int64_t kgen_scalar_typical(const struct kgen_problem *problem, const struct kgen_scalar *scalar)
{
    const int64_t maximum = kgen_scalar_maximum(problem, scalar);
    int64_t typical;
    if (scalar->typical != NULL && kgen_problem_evaluate(scalar->typical, problem, &typical))
        return typical;
    return KGEN_TYPICAL < scalar->minimum ? scalar->minimum : KGEN_TYPICAL > maximum ? maximum : KGEN_TYPICAL;
}

struct kgen_problem kgen_problem_with_room(const struct kgen_problem *problem, int64_t most)
{
    struct kgen_problem less = *problem;
    const char *room = problem->op->room;
    if (room != NULL && kgen_problem_get(problem, room) > most)
        kgen_problem_set(&less, room, most);
    return less;
}

int64_t kgen_problem_room_read(const struct kgen_problem *problem)
{
    int64_t read = 0;
    const char *expression = problem->op->room_read;
    return expression != NULL && kgen_problem_evaluate(expression, problem, &read) ? read : 0;
}

static struct kgen_problem with_room_of(const struct kgen_problem *problem, const char *expression,
                                        int64_t positions)
{
    int64_t most = positions;
    if (expression != NULL && !kgen_problem_evaluate(expression, problem, &most))
        most = positions;
    return kgen_problem_with_room(problem, most);
}

struct kgen_problem kgen_problem_typical(const struct kgen_problem *problem)
{
    const int64_t read = kgen_problem_room_read(problem), positions = KGEN_TYPICAL + 1;
    return with_room_of(problem, problem->op->timing_room, read > 0 && read < positions ? read : positions);
}

struct kgen_problem kgen_problem_for_proof(const struct kgen_problem *problem, int64_t positions)
{
    return with_room_of(problem, problem->op->proof_room, positions);
}

double kgen_problem_operations(const struct kgen_problem *problem)
{
    const struct kgen_problem typical = kgen_problem_typical(problem);
    return problem->op->operations(&typical);
}

double kgen_problem_bytes(const struct kgen_problem *problem)
{
    const struct kgen_problem typical = kgen_problem_typical(problem);
    struct kgen_buffers buffers;
    kgen_problem_buffers(&typical, &buffers);
    double bytes = 0;
    for (size_t i = 0; i < buffers.count; i++) {
        const bool twice = buffers.items[i].role == KGEN_UPDATED;
        bytes += (double)buffers.items[i].bytes * (twice ? 2 : 1);
    }
    return bytes;
}

/* ---- checks ---- */

static bool is_default(const struct kgen_field *field, const union kgen_value *value)
{
    union kgen_value normal;
    if (field->kind == KGEN_FIELD_REAL)
        normal.real = field->default_value;
    else
        normal.integer = (int64_t)field->default_value;
    return values_equal(field, value, &normal);
}

bool kgen_field_holds(const struct kgen_problem *problem, const struct kgen_field *field)
{
    const union kgen_value *value = kgen_problem_value_of(problem, field);
    if (field->kind == KGEN_FIELD_REAL)
        return value->real >= field->minimum && value->real <= field->maximum;
    for (const int *allowed = field->allowed; allowed != NULL && *allowed != -1; allowed++) {
        if (value->integer == *allowed)
            return true;
    }
    return field->allowed == NULL && value->integer >= (int64_t)field->minimum &&
           value->integer <= (int64_t)field->maximum;
}

void kgen_field_describe(const struct kgen_field *field, struct kgen_text *text)
{
    if (field->allowed != NULL) {
        for (const int *allowed = field->allowed; *allowed != -1; allowed++) {
            if (allowed != field->allowed)
                kgen_text_puts(text, allowed[1] == -1 ? " or " : ", ");
            if (field->kind == KGEN_FIELD_CONSTANT)
                kgen_text_printf(text, "\"%s\"", kgen_constant_name(*allowed));
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

/* A value as the canonical text has it: valid JSON where the field holds what it may. */
static void write_value(const struct kgen_field *field, const union kgen_value *value, struct kgen_text *text)
{
    if (field->kind == KGEN_FIELD_REAL)
        kgen_text_real(text, value->real);
    else if (field->kind == KGEN_FIELD_BOOLEAN && (value->integer == 0 || value->integer == 1))
        kgen_text_puts(text, value->integer == 1 ? "true" : "false");
    else if (field->kind == KGEN_FIELD_CONSTANT && value->integer >= 0 &&
             value->integer < KGEN_CONSTANT_COUNT)
        kgen_text_printf(text, "\"%s\"", kgen_constant_name(value->integer));
    else
        kgen_text_printf(text, "%lld", (long long)value->integer);
}

int kgen_check_fail(const struct kgen_check_place *check, const char *format, ...)
{
    struct kgen_text message = {0};
    va_list arguments;
    va_start(arguments, format);
    kgen_text_vprintf(&message, format, arguments);
    va_end(arguments);
    if (message.failed)
        kgen_error_set(check->error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    else
        kgen_error_set(check->error, KGEN_ERROR_SPEC, check->source, check->line, check->column, "%s",
                       message.data);
    kgen_text_free(&message);
    return -1;
}

static int check_field(const struct kgen_problem *problem, const struct kgen_field *field,
                       const struct kgen_check_place *check)
{
    if (kgen_field_holds(problem, field))
        return 0;
    struct kgen_text expected = {0}, found = {0};
    kgen_field_describe(field, &expected);
    write_value(field, kgen_problem_value_of(problem, field), &found);
    if (expected.failed || found.failed)
        kgen_error_set(check->error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    else
        kgen_check_fail(check, "\"%s\" of %s must be %s, not %s", field->name, problem->op->name,
                        expected.data, found.data);
    kgen_text_free(&expected);
    kgen_text_free(&found);
    return -1;
}

void kgen_problem_complete(struct kgen_problem *problem)
{
    if (problem->op->complete != NULL)
        problem->op->complete(problem);
}

int kgen_problem_check(const struct kgen_problem *problem, const char *source, int line, int column,
                       struct kgen_error *error)
{
    const struct kgen_op *op = problem->op;
    const struct kgen_check_place check = {source, line, column, error};
    for (size_t i = 0; i < op->field_count; i++) {
        if (check_field(problem, &op->fields[i], &check) != 0)
            return -1;
    }
    if (problem->threads < 1)
        return kgen_check_fail(&check, "%s: threads %lld is less than 1", op->name,
                               (long long)problem->threads);
    if (op->check != NULL && op->check(problem, &check) != 0)
        return -1;
    return kgen_buffers_check(problem, &check);
}

/* ---- text ---- */

void kgen_problem_write(const struct kgen_problem *problem, struct kgen_text *text)
{
    kgen_text_printf(text, "{\"op\":\"%s\"", problem->op->name);
    for (size_t i = 0; i < problem->op->field_count; i++) {
        const struct kgen_field *field = &problem->op->fields[i];
        if (!field->text_at_default && is_default(field, &problem->values[i]))
            continue;
        kgen_text_printf(text, ",\"%s\":", field->name);
        write_value(field, &problem->values[i], text);
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

static void name_field(const struct kgen_problem *problem, const struct kgen_field *field,
                       struct kgen_text *text)
{
    const union kgen_value *value = kgen_problem_value_of(problem, field);
    int64_t used = 1;
    if (field->used_when != NULL)
        kgen_problem_evaluate(field->used_when, problem, &used);
    if (used == 0 || (!field->tag_at_default && is_default(field, value)))
        return;
    kgen_text_printf(text, "_%s", field->tag);
    if (field->kind == KGEN_FIELD_REAL)
        name_real(text, "", value->real);
    else if (field->kind == KGEN_FIELD_CONSTANT)
        kgen_text_puts(text, kgen_constant_name(value->integer));
    else if (field->kind == KGEN_FIELD_INTEGER)
        kgen_text_printf(text, "%lld", (long long)value->integer);
}

static void name_without(const struct kgen_problem *problem, const struct kgen_field *without,
                         struct kgen_text *text)
{
    kgen_text_puts(text, problem->op->name);
    for (size_t i = 0; i < problem->op->field_count; i++) {
        if (&problem->op->fields[i] != without)
            name_field(problem, &problem->op->fields[i], text);
    }
}

void kgen_problem_name(const struct kgen_problem *problem, struct kgen_text *text)
{
    name_without(problem, NULL, text);
}

void kgen_problem_kernel_name(const struct kgen_problem *problem, struct kgen_text *text)
{
    name_without(problem, kgen_op_field(problem->op, problem->op->range), text);
}
