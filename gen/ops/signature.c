/* SPDX-License-Identifier: MIT */
#include "gen/ops/signature.h"

#include "gen/ops/dtype.h"

#include <string.h>

enum { LINE_MAX_LENGTH = 110, INDENT = 4 };

bool kgen_op_has_part(const struct kgen_op *op, unsigned part)
{
    if (part == KGEN_RUN)
        return true;
    for (size_t i = 0; i < op->buffer_count; i++) {
        if ((op->buffers[i].parts & part) != 0)
            return true;
    }
    return false;
}

bool kgen_op_has_role(const struct kgen_op *op, enum kgen_role role)
{
    for (size_t i = 0; i < op->buffer_count; i++) {
        if (op->buffers[i].role == role)
            return true;
    }
    return false;
}

const char *kgen_role_name(enum kgen_role role)
{
    static const char *const names[] = {
        [KGEN_INPUT] = "input",     [KGEN_WEIGHTS] = "weights", [KGEN_UPDATED] = "updated",
        [KGEN_OUTPUT] = "output",   [KGEN_STATE] = "state",     [KGEN_WORKSPACE] = "workspace",
        [KGEN_SCRATCH] = "scratch",
    };
    return names[role];
}

/* Whether the part only reads the buffer. A workspace is written by the first part that is given it. */
static bool is_read_only(const struct kgen_problem_buffer *buffer, unsigned part)
{
    const unsigned parts = buffer->declared->parts;
    if (buffer->role == KGEN_WORKSPACE)
        return part != (parts & (0 - parts));
    return buffer->role == KGEN_INPUT || buffer->role == KGEN_WEIGHTS;
}

static const char *c_type(const struct kgen_problem_buffer *buffer)
{
    return buffer->dtype == KGEN_CONSTANT_NONE ? "void" : kgen_dtype_c_type(buffer->dtype);
}

/* Joins parameters by commas, and breaks lines. */
struct list {
    struct kgen_text *text;
    size_t column;
    bool breaks, any;
};

static void add(struct list *list, const char *qualifier, const char *type, const char *name,
                const char *suffix)
{
    const size_t length = strlen(qualifier) + strlen(type) + strlen(name) + strlen(suffix);
    if (list->any) {
        const bool breaks = list->breaks && list->column + length + 3 > LINE_MAX_LENGTH;
        kgen_text_puts(list->text, breaks ? ",\n" : ", ");
        list->column += 2;
        if (breaks) {
            kgen_text_printf(list->text, "%*s", INDENT, "");
            list->column = INDENT;
        }
    }
    kgen_text_printf(list->text, "%s%s%s%s", qualifier, type, name, suffix);
    list->column += length;
    list->any = true;
}

static void add_all(struct list *list, const struct kgen_problem *problem, unsigned part, bool types)
{
    const struct kgen_op *op = problem->op;
    struct kgen_buffers buffers;
    kgen_problem_buffers(problem, &buffers);
    for (size_t i = 0; i < buffers.count; i++) {
        const struct kgen_problem_buffer *buffer = &buffers.items[i];
        if ((buffer->declared->parts & part) == 0)
            continue;
        if (types)
            add(list, is_read_only(buffer, part) ? "const " : "", c_type(buffer), " *", buffer->name);
        else
            add(list, "", "", buffer->name, "");
    }
    for (size_t i = 0; i < op->scalar_count; i++) {
        if ((op->scalars[i].parts & part) != 0)
            add(list, types ? "int64_t " : "", "", op->scalars[i].name, "");
    }
    if (part != KGEN_RUN)
        return;
    const char *separator = op->range_name[0] != '\0' ? "_" : "";
    char begin[64] = "", end[64] = "";
    strcat(strcat(strcat(begin, op->range_name), separator), "begin");
    strcat(strcat(strcat(end, op->range_name), separator), "end");
    add(list, types ? "size_t " : "", "", begin, "");
    add(list, types ? "size_t " : "", "", end, "");
}

void kgen_signature_parameters(const struct kgen_problem *problem, unsigned part, size_t column,
                               struct kgen_text *text)
{
    struct list list = {.text = text, .column = column, .breaks = true};
    add_all(&list, problem, part, true);
}

void kgen_signature_arguments(const struct kgen_problem *problem, unsigned part, struct kgen_text *text)
{
    struct list list = {.text = text};
    add_all(&list, problem, part, false);
}

static void write_call(const struct kgen_problem *problem, const char *function, unsigned part,
                       struct kgen_text *text)
{
    const struct kgen_op *op = problem->op;
    const char *suffix = part == KGEN_PREPARE ? "_prepare" : part == KGEN_FINISH ? "_finish" : "";
    struct kgen_buffers buffers;
    struct list list = {.text = text};
    kgen_problem_buffers(problem, &buffers);
    kgen_text_printf(text, "\nvoid %s_call%s(void *const *buffers, const int64_t *scalars%s)\n{\n", function,
                     suffix, part == KGEN_RUN ? ", size_t begin, size_t end" : "");
    bool uses_scalars = false;
    for (size_t i = 0; i < op->scalar_count; i++)
        uses_scalars = uses_scalars || (op->scalars[i].parts & part) != 0;
    if (!uses_scalars)
        kgen_text_puts(text, "    (void)scalars;\n");
    kgen_text_printf(text, "    %s%s(", function, suffix);
    char index[32];
    for (size_t i = 0; i < buffers.count; i++) {
        if ((buffers.items[i].declared->parts & part) == 0)
            continue;
        index[0] = (char)('0' + i / 10);
        index[1] = (char)('0' + i % 10);
        index[2] = '\0';
        add(&list, "", "buffers[", index[0] == '0' ? index + 1 : index, "]");
    }
    for (size_t i = 0; i < op->scalar_count; i++) {
        if ((op->scalars[i].parts & part) == 0)
            continue;
        index[0] = (char)('0' + i);
        index[1] = '\0';
        add(&list, "", "scalars[", index, "]");
    }
    if (part == KGEN_RUN)
        add(&list, "", "begin, end", "", "");
    kgen_text_puts(text, ");\n}\n");
}

void kgen_signature_calls(const struct kgen_problem *problem, const char *function, struct kgen_text *text)
{
    for (unsigned part = KGEN_PREPARE; part <= KGEN_FINISH; part *= 2) {
        if (kgen_op_has_part(problem->op, part))
            write_call(problem, function, part, text);
    }
}

static void describe_buffer(const struct kgen_buffer *buffer, const char *prefix, struct kgen_text *text)
{
    static const char *const roles[] = {
        [KGEN_UPDATED] = ", updated in place",
        [KGEN_OUTPUT] = ", written",
        [KGEN_STATE] = ", kept between calls",
        [KGEN_SCRATCH] = "",
    };
    kgen_text_printf(text, "%s%s", prefix, buffer->name);
    if (buffer->shape != NULL)
        kgen_text_printf(text, " [%s]", buffer->shape);
    if (buffer->dtype != NULL)
        kgen_text_printf(text, " of %s", buffer->dtype);
    if (buffer->role == KGEN_WORKSPACE || buffer->role == KGEN_SCRATCH)
        kgen_text_printf(text, ": %sbytes as _%s_size() says, aligned to 64",
                         buffer->role == KGEN_SCRATCH ? "of one thread, " : "", buffer->name);
    else if (roles[buffer->role] != NULL)
        kgen_text_puts(text, roles[buffer->role]);
    if (buffer->when != NULL)
        kgen_text_printf(text, ", of problems with %s", buffer->when);
    if (buffer->may_alias != NULL)
        kgen_text_printf(text, "; may be the same memory as %s", buffer->may_alias);
    kgen_text_puts(text, "\n");
}

void kgen_signature_describe(const struct kgen_op *op, const char *prefix, struct kgen_text *text)
{
    for (size_t i = 0; i < op->buffer_count; i++) {
        if (op->buffers[i].role != KGEN_WEIGHTS)
            describe_buffer(&op->buffers[i], prefix, text);
    }
    for (size_t i = 0; i < op->scalar_count; i++) {
        const struct kgen_scalar *scalar = &op->scalars[i];
        kgen_text_printf(text, "%s%s: %s, %lld to ", prefix, scalar->name, scalar->meaning,
                         (long long)scalar->minimum);
        if (scalar->at_most != NULL)
            kgen_text_printf(text, "%s\n", scalar->at_most);
        else
            kgen_text_printf(text, "%lld\n", (long long)scalar->maximum);
    }
}
