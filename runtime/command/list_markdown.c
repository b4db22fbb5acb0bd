/* SPDX-License-Identifier: MIT */
/* kgen list ops --markdown: what a template of each op has to define, for templates/README.md. */
#include <stdio.h>

#include "gen/ops/example.h"
#include "gen/ops/signature.h"
#include "runtime/command/list_markdown.h"

static const char *part_suffix(unsigned part)
{
    return part == KGEN_PREPARE ? "_prepare" : part == KGEN_FINISH ? "_finish" : "";
}

/* The functions of a kernel f. */
static void write_signatures(const struct kgen_problem *problem, struct kgen_text *text)
{
    const struct kgen_op *op = problem->op;
    kgen_text_puts(text, "```c\n");
    if (kgen_op_has_role(op, KGEN_WORKSPACE))
        kgen_text_puts(text, "size_t f_workspace_size(void);\n");
    if (kgen_op_has_role(op, KGEN_SCRATCH))
        kgen_text_puts(text, "size_t f_scratch_size(void);\n");
    for (unsigned part = KGEN_PREPARE; part <= KGEN_FINISH; part *= 2) {
        if (!kgen_op_has_part(op, part))
            continue;
        const size_t start = text->length;
        kgen_text_printf(text, "void f%s(", part_suffix(part));
        kgen_signature_parameters(problem, part, text->length - start, text);
        kgen_text_puts(text, ");\n");
    }
    kgen_text_puts(text, "```\n\n");
}

static void write_parts(unsigned parts, struct kgen_text *text)
{
    static const char *const names[] = {"prepare", "run", "finish"};
    const char *gap = "";
    for (size_t i = 0; i < KGEN_COUNT_OF(names); i++) {
        if ((parts >> i & 1) == 0)
            continue;
        kgen_text_printf(text, "%s%s", gap, names[i]);
        gap = ", ";
    }
}

static void write_buffer(const struct kgen_buffer *buffer, struct kgen_text *text)
{
    kgen_text_printf(text, "| `%s` | %s | ", buffer->name, kgen_role_name(buffer->role));
    if (buffer->role == KGEN_WEIGHTS)
        kgen_text_puts(text, "the arrays of the weight format");
    else if (buffer->shape == NULL)
        kgen_text_printf(text, "%sbytes as `${function}_%s_size` says, aligned to 64",
                         buffer->role == KGEN_SCRATCH ? "for each thread its own, " : "", buffer->name);
    if (buffer->shape != NULL)
        kgen_text_printf(text, "%s[%s]", buffer->role == KGEN_WEIGHTS ? " of a matrix " : "", buffer->shape);
    if (buffer->dtype != NULL)
        kgen_text_printf(text, " of %s", buffer->dtype);
    if (buffer->when != NULL)
        kgen_text_printf(text, "; of problems where `%s` is not 0", buffer->when);
    kgen_text_puts(text, " | ");
    write_parts(buffer->parts, text);
    kgen_text_printf(text, " | %s |\n", buffer->may_alias != NULL ? buffer->may_alias : "");
}

static void write_scalar(const struct kgen_scalar *scalar, struct kgen_text *text)
{
    kgen_text_printf(text, "| `%s` | scalar | `int64_t`: %s, %lld to ", scalar->name, scalar->meaning,
                     (long long)scalar->minimum);
    if (scalar->at_most != NULL)
        kgen_text_printf(text, "`%s`", scalar->at_most);
    else
        kgen_text_printf(text, "%lld", (long long)scalar->maximum);
    kgen_text_puts(text, " | ");
    write_parts(scalar->parts, text);
    kgen_text_puts(text, " | |\n");
}

static void write_range(const struct kgen_op *op, struct kgen_text *text)
{
    if (op->range_inner != NULL)
        kgen_text_printf(text, "\nThe range counts pairs of `%s` and `%s`, (i, j) as i * %s + j. ", op->range,
                         op->range_inner, op->range_inner);
    else
        kgen_text_printf(text, "\nThe range counts `%s`. ", op->range);
    if (op->fixed_range)
        kgen_text_puts(text, "A kernel serves the range of its problem only, whole or in parts.\n");
    else if (op->elementwise)
        kgen_text_puts(text, "A kernel serves the size of its problem and any that is less.\n");
    else
        kgen_text_puts(text, "A kernel serves any range, also beyond that of its problem.\n");
}

static void write_op(const struct kgen_op *op, struct kgen_text *text)
{
    struct kgen_problem problem;
    kgen_text_printf(text, "### %s\n\n%s\n", op->name, op->formula);
    if (kgen_problem_example(op, &problem) == 0) {
        kgen_text_puts(text, "The functions of a kernel `f` of `");
        kgen_problem_write_required(&problem, text);
        kgen_text_puts(text, "`:\n\n");
        write_signatures(&problem, text);
    }
    kgen_text_puts(
        text,
        "| argument | role | what it is | given to | may be the same memory as |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < op->buffer_count; i++)
        write_buffer(&op->buffers[i], text);
    for (size_t i = 0; i < op->scalar_count; i++)
        write_scalar(&op->scalars[i], text);
    write_range(op, text);
}

void kgen_list_markdown(struct kgen_text *text)
{
    for (size_t i = 0; i < kgen_op_count(); i++) {
        kgen_text_puts(text, i > 0 ? "\n" : "");
        write_op(kgen_op_at(i), text);
    }
}
