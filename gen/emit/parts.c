/* SPDX-License-Identifier: MIT */
/* The C functions that a problem has in emitted code. */
#include "gen/emit/internal.h"
#include "gen/ops/signature.h"

static void add_size(struct kgen_emit_parts *parts, const char *suffix)
{
    struct kgen_emit_part *part = &parts->items[parts->count++];
    *part = (struct kgen_emit_part){.result = "size_t", .suffix = suffix};
    kgen_text_puts(&part->parameters, "void");
    kgen_text_puts(&part->arguments, "");
}

static void add_part(struct kgen_emit_parts *parts, const struct kgen_problem *problem, unsigned which,
                     const char *suffix)
{
    if (!kgen_op_has_part(problem->op, which))
        return;
    struct kgen_emit_part *part = &parts->items[parts->count++];
    *part = (struct kgen_emit_part){.result = "void", .suffix = suffix};
    kgen_signature_parameters(problem, which, 0, &part->parameters);
    kgen_signature_arguments(problem, which, &part->arguments);
}

int kgen_emit_parts_make(const struct kgen_problem *problem, struct kgen_emit_parts *parts)
{
    *parts = (struct kgen_emit_parts){0};
    if (kgen_op_has_role(problem->op, KGEN_WORKSPACE))
        add_size(parts, "_workspace_size");
    if (kgen_op_has_role(problem->op, KGEN_SCRATCH))
        add_size(parts, "_scratch_size");
    add_part(parts, problem, KGEN_PREPARE, "_prepare");
    add_part(parts, problem, KGEN_RUN, "");
    add_part(parts, problem, KGEN_FINISH, "_finish");
    bool failed = false;
    for (size_t i = 0; i < parts->count; i++)
        failed = failed || parts->items[i].parameters.failed || parts->items[i].arguments.failed;
    return failed ? -1 : 0;
}

void kgen_emit_parts_free(struct kgen_emit_parts *parts)
{
    for (size_t i = 0; i < parts->count; i++) {
        kgen_text_free(&parts->items[i].parameters);
        kgen_text_free(&parts->items[i].arguments);
    }
}
