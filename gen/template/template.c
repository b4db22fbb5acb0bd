/* SPDX-License-Identifier: MIT */
/* What a template says of itself, and its text for given bindings. */
#include "gen/template/internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

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
    for (size_t i = 0; i < tmpl->requirement_count; i++)
        free(tmpl->requirements[i].reason);
    free(tmpl->requirements);
    kgen_expressions_free(&tmpl->expressions);
    free(tmpl->items);
    free(tmpl->units);
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

enum kgen_op kgen_template_op(const struct kgen_template *tmpl)
{
    return tmpl->op;
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

/* ---- Instantiation ---- */

/* What a name meant before the block that is open gave it a value. */
struct shadowed {
    int32_t name;
    struct kgen_slot slot;
};

struct instance {
    const struct kgen_template *tmpl;
    struct kgen_scope scope;
    struct shadowed *shadowed; /* owned */
    size_t shadowed_count, shadowed_capacity;
    int level; /* open blocks */
    struct kgen_text *out;
    size_t start; /* the length of out before */
};

static int fail_memory(struct kgen_scope *scope)
{
    return kgen_error_set(scope->error, KGEN_ERROR_MEMORY, scope->source, 0, 0, "out of memory");
}

/* Gives every name of the template its binding. A later binding of a name replaces an earlier one. */
static int scope_open(struct kgen_scope *scope, const struct kgen_template *tmpl,
                      const struct kgen_bindings *bindings, struct kgen_error *error)
{
    const struct kgen_names *names = &tmpl->expressions.names;
    *scope = (struct kgen_scope){.expressions = &tmpl->expressions,
                                 .bindings = bindings,
                                 .steps = KGEN_TEMPLATE_STEPS_MAX,
                                 .source = tmpl->file->source,
                                 .error = error};
    scope->slots = calloc(names->count + 1, sizeof *scope->slots);
    if (scope->slots == NULL || bindings->failed)
        return fail_memory(scope);
    for (size_t i = 0; i < bindings->count; i++) {
        const struct kgen_binding *binding = &bindings->items[i];
        int32_t name = kgen_names_find(names, binding->name, strlen(binding->name));
        if (name == KGEN_ABSENT)
            continue;
        struct kgen_slot *slot = &scope->slots[name];
        slot->kind = binding->text != NULL    ? KGEN_SLOT_TEXT
                     : binding->table != NULL ? KGEN_SLOT_TABLE
                                              : KGEN_SLOT_INTEGER;
        slot->value = binding->value;
        slot->binding = binding;
    }
    return 0;
}

static void scope_close(struct kgen_scope *scope)
{
    free(scope->slots);
}

int kgen_template_allows(const struct kgen_template *tmpl, const struct kgen_bindings *bindings,
                         const char **reason, struct kgen_error *error)
{
    struct kgen_scope scope;
    int result = scope_open(&scope, tmpl, bindings, error) == 0 ? 1 : -1;
    for (size_t i = 0; result == 1 && i < tmpl->requirement_count; i++) {
        const struct kgen_requirement *requirement = &tmpl->requirements[i];
        int64_t value;
        scope.line = requirement->line;
        if (kgen_expression_evaluate(&scope, requirement->expression, &value) != 0) {
            result = -1;
        } else if (value == 0) {
            *reason = requirement->reason;
            result = 0;
        }
    }
    scope_close(&scope);
    return result;
}

/* Names a value until the block that is open ends. */
static int name_value(struct instance *instance, int32_t name, int64_t value)
{
    struct kgen_slot *slot = &instance->scope.slots[name];
    if (slot->level != instance->level) {
        if (!kgen_array_reserve((void **)&instance->shadowed, instance->shadowed_count,
                                &instance->shadowed_capacity, sizeof *instance->shadowed))
            return fail_memory(&instance->scope);
        instance->shadowed[instance->shadowed_count++] = (struct shadowed){name, *slot};
    }
    *slot = (struct kgen_slot){.kind = KGEN_SLOT_INTEGER, .level = instance->level, .value = value};
    return 0;
}

static void restore(struct instance *instance, size_t count)
{
    while (instance->shadowed_count > count) {
        const struct shadowed *last = &instance->shadowed[--instance->shadowed_count];
        instance->scope.slots[last->name] = last->slot;
    }
}

static int walk(struct instance *instance, int32_t first);

static int evaluate(struct instance *instance, const struct kgen_item *item, int32_t root, int64_t *value)
{
    instance->scope.line = item->line;
    return kgen_expression_evaluate(&instance->scope, root, value);
}

/* Walks a block of its own; name, where there is one, has the value in it. */
static int walk_block(struct instance *instance, int32_t body, int32_t name, int64_t value)
{
    size_t mark = instance->shadowed_count;
    instance->level++;
    int result = name == KGEN_ABSENT ? 0 : name_value(instance, name, value);
    if (result == 0)
        result = walk(instance, body);
    instance->level--;
    restore(instance, mark);
    return result;
}

static int walk_branch(struct instance *instance, const struct kgen_item *item)
{
    for (;;) {
        int64_t value = 1;
        if (item->as.branch.condition != KGEN_ABSENT &&
            evaluate(instance, item, item->as.branch.condition, &value) != 0)
            return -1;
        if (value != 0)
            return walk_block(instance, item->as.branch.body, KGEN_ABSENT, 0);
        if (item->as.branch.otherwise == KGEN_ABSENT)
            return 0;
        item = &instance->tmpl->items[item->as.branch.otherwise];
    }
}

static int fail_item(struct instance *instance, const struct kgen_item *item, const char *message)
{
    return kgen_error_set(instance->scope.error, KGEN_ERROR_TEMPLATE, instance->scope.source, item->line,
                          item->column, "%s", message);
}

static int spend_step(struct instance *instance, const struct kgen_item *item)
{
    if (instance->scope.steps-- > 0)
        return 0;
    return fail_item(instance, item, "the template does not come to an end: too many steps");
}

static int walk_loop(struct instance *instance, const struct kgen_item *item)
{
    int64_t start = 0, stop, step = 1;
    if ((item->as.loop.start != KGEN_ABSENT && evaluate(instance, item, item->as.loop.start, &start) != 0) ||
        evaluate(instance, item, item->as.loop.stop, &stop) != 0 ||
        (item->as.loop.step != KGEN_ABSENT && evaluate(instance, item, item->as.loop.step, &step) != 0))
        return -1;
    if (step == 0)
        return kgen_error_set(instance->scope.error, KGEN_ERROR_TEMPLATE, instance->scope.source, item->line,
                              instance->tmpl->expressions.nodes[item->as.loop.step].column,
                              "the step of this range is 0");
    for (int64_t i = start; step > 0 ? i < stop : i > stop;) {
        if (spend_step(instance, item) != 0 ||
            walk_block(instance, item->as.loop.body, item->as.loop.name, i) != 0)
            return -1;
        if (__builtin_add_overflow(i, step, &i))
            break;
    }
    return 0;
}

static int walk_let(struct instance *instance, const struct kgen_item *item)
{
    int64_t value;
    if (evaluate(instance, item, item->expression, &value) != 0)
        return -1;
    return name_value(instance, item->as.let.name, value);
}

static int walk_assert(struct instance *instance, const struct kgen_item *item)
{
    int64_t value;
    if (evaluate(instance, item, item->expression, &value) != 0)
        return -1;
    if (value != 0)
        return 0;
    size_t length = item->as.text.length;
    return kgen_error_set(instance->scope.error, KGEN_ERROR_TEMPLATE, instance->scope.source, item->line,
                          item->column, "assertion failed: %.*s", (int)(length > 400 ? 400 : length),
                          item->as.text.start);
}

static int walk_include(struct instance *instance, const struct kgen_item *item)
{
    const struct kgen_unit *unit = &instance->tmpl->units[item->as.include.unit];
    const char *source = instance->scope.source;
    instance->scope.source = unit->file->source;
    int result = walk(instance, unit->body);
    instance->scope.source = source;
    return result;
}

static int walk_item(struct instance *instance, const struct kgen_item *item)
{
    switch (item->kind) {
    case KGEN_ITEM_TEXT:
        kgen_text_append(instance->out, item->as.text.start, item->as.text.length);
        return 0;
    case KGEN_ITEM_PRINT:
        instance->scope.line = item->line;
        return kgen_expression_print(&instance->scope, item->expression, instance->out);
    case KGEN_ITEM_BRANCH:
        return walk_branch(instance, item);
    case KGEN_ITEM_LOOP:
        return walk_loop(instance, item);
    case KGEN_ITEM_LET:
        return walk_let(instance, item);
    case KGEN_ITEM_ASSERT:
        return walk_assert(instance, item);
    case KGEN_ITEM_INCLUDE:
        return walk_include(instance, item);
    }
    return -1;
}

static int walk(struct instance *instance, int32_t first)
{
    const struct kgen_item *items = instance->tmpl->items;
    for (int32_t i = first; i != KGEN_ABSENT; i = items[i].next) {
        if (spend_step(instance, &items[i]) != 0 || walk_item(instance, &items[i]) != 0)
            return -1;
        if (instance->out->length - instance->start > KGEN_TEMPLATE_OUTPUT_MAX)
            return fail_item(instance, &items[i], "the text of the template grows beyond 16 MiB");
        if (instance->out->failed)
            return fail_memory(&instance->scope);
    }
    return 0;
}

int kgen_template_instantiate(const struct kgen_template *tmpl, const struct kgen_bindings *bindings,
                              struct kgen_text *out, struct kgen_error *error)
{
    struct instance instance = {.tmpl = tmpl, .out = out, .start = out->length};
    int result = scope_open(&instance.scope, tmpl, bindings, error);
    if (result == 0) {
        kgen_text_append(out, "", 0);
        result = walk(&instance, tmpl->units[0].body);
    }
    scope_close(&instance.scope);
    free(instance.shadowed);
    if (result != 0 && out->data != NULL) {
        out->length = instance.start;
        out->data[out->length] = '\0';
    }
    return result;
}
