/* SPDX-License-Identifier: MIT */
/* Bindings, and what a template says of itself. */
#include "gen/template/internal.h"

#include <stdlib.h>

static void bind(struct kgen_bindings *bindings, struct kgen_binding binding)
{
    if (bindings->failed || !kgen_array_reserve((void **)&bindings->items, bindings->count,
                                                &bindings->capacity, sizeof *bindings->items)) {
        bindings->failed = true;
        return;
    }
    bindings->items[bindings->count++] = binding;
}

void kgen_bind_value(struct kgen_bindings *bindings, const char *name, int64_t value)
{
    bind(bindings, (struct kgen_binding){.name = name, .value = value});
}

void kgen_bind_constant(struct kgen_bindings *bindings, const char *name, int64_t value, const char *word)
{
    bind(bindings, (struct kgen_binding){.name = name, .value = value, .word = word});
}

void kgen_bind_text(struct kgen_bindings *bindings, const char *name, const char *text)
{
    bind(bindings, (struct kgen_binding){.name = name, .text = text});
}

void kgen_bind_table(struct kgen_bindings *bindings, const char *name, const char *const *table, size_t count)
{
    bind(bindings, (struct kgen_binding){.name = name, .table = table, .table_count = count});
}

void kgen_bindings_free(struct kgen_bindings *bindings)
{
    free(bindings->items);
    *bindings = (struct kgen_bindings){0};
}

void kgen_template_free(struct kgen_template *tmpl)
{
    if (tmpl == NULL)
        return;
    for (size_t i = 0; i < tmpl->reason_count; i++)
        free(tmpl->reasons[i]);
    free(tmpl->reasons);
    for (size_t i = 0; i < tmpl->file_count; i++) {
        free(tmpl->files[i].takes.items);
        free(tmpl->files[i].gives.items);
        free(tmpl->files[i].includes.items);
    }
    free(tmpl->choices.items);
    kgen_expressions_free(&tmpl->expressions);
    free(tmpl->items);
    free(tmpl->files);
    free(tmpl->name);
    free(tmpl->summary);
    if (tmpl->own_file != NULL)
        kgen_template_file_free(tmpl->own_file);
    free(tmpl->own_file);
    free(tmpl);
}

const char *kgen_template_name(const struct kgen_template *tmpl)
{
    return tmpl->name;
}

const char *kgen_template_summary(const struct kgen_template *tmpl)
{
    return tmpl->summary;
}

const char *kgen_template_source(const struct kgen_template *tmpl)
{
    return tmpl->file->source;
}

const char *kgen_template_file_text(const struct kgen_template *tmpl)
{
    return tmpl->file->text;
}

const struct kgen_op *kgen_template_op(const struct kgen_template *tmpl)
{
    return tmpl->op;
}

const struct kgen_op *kgen_template_other_op(const struct kgen_template *tmpl)
{
    return tmpl->other_op;
}

bool kgen_template_serves(const struct kgen_template *tmpl, const struct kgen_op *op)
{
    return op != NULL && (tmpl->op == op || tmpl->other_op == op);
}

unsigned kgen_template_isas(const struct kgen_template *tmpl)
{
    return tmpl->isas;
}

size_t kgen_template_param_count(const struct kgen_template *tmpl)
{
    return tmpl->param_count;
}

const struct kgen_param *kgen_template_param(const struct kgen_template *tmpl, size_t index)
{
    return &tmpl->params[index];
}

uint64_t kgen_template_hash(const struct kgen_template *tmpl)
{
    return tmpl->hash;
}
