/* SPDX-License-Identifier: MIT */
/* Which variants a template allows, and its text for given bindings. */
#include "gen/template/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The size of a kgen_text_block, or more for a long text. */
#define TEXT_BLOCK ((size_t)4096)

/* What a name meant before the block that is open gave it a value. */
struct shadowed {
    int32_t name;
    struct kgen_slot slot;
};

/* Memory for texts; the next block is an older one. */
struct kgen_text_block {
    struct kgen_text_block *next;
    size_t used, size;
    char data[];
};

struct instance {
    const struct kgen_template *tmpl;
    struct kgen_evaluation evaluation;
    struct shadowed *shadowed; /* owned */
    size_t shadowed_count, shadowed_capacity;
    int level;                     /* open blocks */
    struct kgen_text_block *texts; /* owned: the texts that $let made */
    size_t text_bytes;             /* their length */
    struct kgen_text scratch;      /* owned */
    struct kgen_text *out;         /* NULL while conditions are evaluated */
    struct kgen_line_map *lines;   /* NULL, or where the lines of out come from */
    int outer_line;                /* see struct kgen_text_origin */
    size_t start;                  /* the length of out before */
    unsigned unused;               /* see kgen_template_allows */
    const char *reason;            /* why the variant is not allowed, or NULL */
};

struct kgen_conditions {
    struct instance instance;
    int32_t params[KGEN_PARAM_MAX]; /* the numbers of their names, or KGEN_ABSENT */
    /* What the items before the first that depends on a parameter have left: they are walked once. */
    int32_t first;                       /* that item, or KGEN_ABSENT where no condition depends on any */
    const char *reason;                  /* of a requirement among them that does not hold */
    unsigned unused;                     /* parameters */
    size_t shadowed_count;               /* the names that they made are kept */
    const struct kgen_text_block *block; /* where their texts end */
    size_t block_used;
};

static int fail_memory(struct kgen_evaluation *evaluation)
{
    return kgen_error_set(evaluation->error, KGEN_ERROR_MEMORY, evaluation->source, 0, 0, "out of memory");
}

/* Gives every name of the template its binding. A later binding of a name replaces an earlier one. */
static int evaluation_open(struct kgen_evaluation *evaluation, const struct kgen_template *tmpl,
                           const struct kgen_bindings *bindings, struct kgen_error *error)
{
    const struct kgen_names *names = &tmpl->expressions.names;
    *evaluation = (struct kgen_evaluation){.expressions = &tmpl->expressions,
                                           .bindings = bindings,
                                           .steps = KGEN_TEMPLATE_STEPS_MAX,
                                           .source = tmpl->file->source,
                                           .error = error};
    evaluation->slots = calloc(names->count + 1, sizeof *evaluation->slots);
    if (evaluation->slots == NULL || bindings->failed)
        return fail_memory(evaluation);
    for (size_t i = 0; i < bindings->count; i++) {
        const struct kgen_binding *binding = &bindings->items[i];
        int32_t name = kgen_names_find(names, binding->name, strlen(binding->name));
        if (name == KGEN_ABSENT)
            continue;
        evaluation->slots[name] = kgen_slot_of_binding(binding);
    }
    return 0;
}

/* Gives a name a meaning until the block that is open ends. */
static int assign(struct instance *instance, int32_t name, struct kgen_slot meaning)
{
    struct kgen_slot *slot = &instance->evaluation.slots[name];
    if (slot->level != instance->level) {
        if (!kgen_array_reserve((void **)&instance->shadowed, instance->shadowed_count,
                                &instance->shadowed_capacity, sizeof *instance->shadowed))
            return fail_memory(&instance->evaluation);
        instance->shadowed[instance->shadowed_count++] = (struct shadowed){name, *slot};
    }
    *slot = meaning;
    slot->level = instance->level;
    return 0;
}

static void restore(struct instance *instance, size_t count)
{
    while (instance->shadowed_count > count) {
        const struct shadowed *last = &instance->shadowed[--instance->shadowed_count];
        instance->evaluation.slots[last->name] = last->slot;
    }
}

static int walk(struct instance *instance, int32_t first);

static int evaluate(struct instance *instance, const struct kgen_item *item, int32_t root, int64_t *value)
{
    instance->evaluation.line = item->line;
    return kgen_expression_evaluate(&instance->evaluation, root, value);
}

/* Walks a block of its own; name, where there is one, has the value in it. */
static int walk_block(struct instance *instance, int32_t body, int32_t name, int64_t value)
{
    size_t mark = instance->shadowed_count;
    const struct kgen_slot meaning = {.kind = KGEN_SLOT_INTEGER, .value = value};
    instance->level++;
    int result = name == KGEN_ABSENT ? 0 : assign(instance, name, meaning);
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
    return kgen_error_set(instance->evaluation.error, KGEN_ERROR_TEMPLATE, instance->evaluation.source,
                          item->line, item->column, "%s", message);
}

static int spend_step(struct instance *instance, const struct kgen_item *item)
{
    if (instance->evaluation.steps-- > 0)
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
        return kgen_error_set(instance->evaluation.error, KGEN_ERROR_TEMPLATE, instance->evaluation.source,
                              item->line, instance->tmpl->expressions.nodes[item->as.loop.step].column,
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

/* Keeps a text as long as the instance. */
static const char *keep_text(struct instance *instance, const struct kgen_item *item,
                             const struct kgen_text *text)
{
    struct kgen_text_block *block = instance->texts;
    instance->text_bytes += text->length;
    if (instance->text_bytes > KGEN_TEMPLATE_OUTPUT_MAX) {
        fail_item(instance, item, "the texts that $let names grow beyond 16 MiB");
        return NULL;
    }
    if (text->failed || block == NULL || block->size - block->used < text->length) {
        const size_t size = text->length > TEXT_BLOCK ? text->length : TEXT_BLOCK;
        block = text->failed ? NULL : malloc(sizeof *block + size);
        if (block == NULL) {
            fail_memory(&instance->evaluation);
            return NULL;
        }
        *block = (struct kgen_text_block){.next = instance->texts, .size = size};
        instance->texts = block;
    }
    char *copy = block->data + block->used;
    if (text->length > 0)
        memcpy(copy, text->data, text->length);
    block->used += text->length;
    return copy;
}

static int walk_let(struct instance *instance, const struct kgen_item *item)
{
    struct kgen_slot meaning;
    bool is_new;
    instance->evaluation.line = item->line;
    kgen_text_clear(&instance->scratch);
    if (kgen_expression_assign(&instance->evaluation, item->expression, &meaning, &instance->scratch,
                               &is_new) != 0)
        return -1;
    if (is_new) {
        meaning.text = keep_text(instance, item, &instance->scratch);
        meaning.length = instance->scratch.length;
        if (meaning.text == NULL)
            return -1;
    }
    return assign(instance, item->as.let.name, meaning);
}

static int walk_assert(struct instance *instance, const struct kgen_item *item)
{
    int64_t value;
    if (evaluate(instance, item, item->expression, &value) != 0)
        return -1;
    if (value != 0)
        return 0;
    size_t length = item->as.text.length;
    return kgen_error_set(instance->evaluation.error, KGEN_ERROR_TEMPLATE, instance->evaluation.source,
                          item->line, item->column, "assertion failed: %.*s",
                          (int)(length > 400 ? 400 : length), item->as.text.start);
}

static int fail_no_choice(struct instance *instance, const struct kgen_item *item, const char *name)
{
    const struct kgen_template *tmpl = instance->tmpl;
    char list[256] = "";
    for (int32_t i = 0; i < item->as.include.count; i++) {
        const size_t length = strlen(list);
        const int32_t file = tmpl->choices.items[item->as.include.first + i];
        snprintf(list + length, sizeof list - length, "%s%s", i > 0 ? ", " : "",
                 tmpl->files[file].file->name);
    }
    kgen_error_set(instance->evaluation.error, KGEN_ERROR_TEMPLATE, instance->evaluation.source, item->line,
                   item->column, "there is no file '%.127s' beside the template", name);
    if (item->as.include.count == 0)
        kgen_error_hint(instance->evaluation.error, "no file has a name of this form");
    else
        kgen_error_hint(instance->evaluation.error, "there are %.200s", list);
    return -1;
}

/* The file to include; its name may depend on values. */
static int find_file(struct instance *instance, const struct kgen_item *item, int32_t *file)
{
    *file = item->as.include.file;
    if (*file != KGEN_ABSENT)
        return 0;
    instance->evaluation.line = item->line;
    kgen_text_clear(&instance->scratch);
    kgen_text_append(&instance->scratch, "", 0);
    if (kgen_expression_print(&instance->evaluation, item->expression, &instance->scratch) != 0)
        return -1;
    if (instance->scratch.failed)
        return fail_memory(&instance->evaluation);
    for (int32_t i = 0; i < item->as.include.count; i++) {
        *file = instance->tmpl->choices.items[item->as.include.first + i];
        if (strcmp(instance->tmpl->files[*file].file->name, instance->scratch.data) == 0)
            return 0;
    }
    return fail_no_choice(instance, item, instance->scratch.data);
}

/* Every name of the list must have a value. */
static int check_values(struct instance *instance, const struct kgen_numbers *names, int line, int column,
                        const char *format)
{
    for (size_t i = 0; i < names->count; i++) {
        if (instance->evaluation.slots[names->items[i]].kind != KGEN_SLOT_UNKNOWN)
            continue;
        const struct kgen_name *name = &instance->tmpl->expressions.names.items[names->items[i]];
        char message[160];
        const int length = (int)(name->length > 63 ? 63 : name->length);
        snprintf(message, sizeof message, "%s '%.*s'", format, length, name->start);
        return kgen_error_set(instance->evaluation.error, KGEN_ERROR_TEMPLATE, instance->evaluation.source,
                              line, column, "%s", message);
    }
    return 0;
}

/* Walks an included file as a block of its own, and keeps what it gives. */
static int walk_file(struct instance *instance, const struct kgen_parsed_file *file)
{
    const size_t mark = instance->shadowed_count;
    struct kgen_slot *given = calloc(file->gives.count + 1, sizeof *given);
    if (given == NULL)
        return fail_memory(&instance->evaluation);
    instance->level++;
    int result = walk(instance, file->body);
    if (result == 0 && instance->reason == NULL)
        result = check_values(instance, &file->gives, file->out_line, 1, "this file gives no value to");
    for (size_t i = 0; i < file->gives.count; i++)
        given[i] = instance->evaluation.slots[file->gives.items[i]];
    instance->level--;
    restore(instance, mark);
    for (size_t i = 0; result == 0 && i < file->gives.count; i++)
        result = assign(instance, file->gives.items[i], given[i]);
    free(given);
    return result;
}

static int walk_include(struct instance *instance, const struct kgen_item *item)
{
    int32_t number;
    if (find_file(instance, item, &number) != 0)
        return -1;
    const struct kgen_parsed_file *file = &instance->tmpl->files[number];
    const char *source = instance->evaluation.source;
    const int outer_line = instance->outer_line;
    if (check_values(instance, &file->takes, item->line, item->column,
                     "the included file takes a name that has no value here:") != 0)
        return -1;
    instance->evaluation.source = file->file->source;
    instance->outer_line = outer_line > 0 ? outer_line : item->line;
    int result = walk_file(instance, file);
    instance->evaluation.source = source;
    instance->outer_line = outer_line;
    return result;
}

/* A $require, or the condition of a parameter: each says whether the variant is allowed. */
static int walk_condition(struct instance *instance, const struct kgen_item *item)
{
    const struct kgen_template *tmpl = instance->tmpl;
    int64_t value;
    if (instance->out != NULL)
        return 0;
    if (evaluate(instance, item, item->expression, &value) != 0)
        return -1;
    if (value != 0)
        return 0;
    if (item->kind == KGEN_ITEM_REQUIRE) {
        instance->reason = tmpl->reasons[item->as.declared.index];
        return 0;
    }
    const struct kgen_param *param = &tmpl->params[item->as.declared.index];
    const int32_t name = kgen_names_find(&tmpl->expressions.names, param->name, strlen(param->name));
    if (name != KGEN_ABSENT && instance->evaluation.slots[name].kind == KGEN_SLOT_UNKNOWN)
        return fail_item(instance, item, "the parameter has no value");
    instance->unused |= 1u << item->as.declared.index;
    if (name != KGEN_ABSENT && instance->evaluation.slots[name].value != param->values[0])
        instance->reason = "a parameter that makes no difference here has another value than its first";
    return 0;
}

static int walk_text(struct instance *instance, const struct kgen_item *item)
{
    struct kgen_text *out = instance->out;
    const size_t start = out->length;
    int result = 0;
    if (item->kind == KGEN_ITEM_TEXT) {
        kgen_text_append(out, item->as.text.start, item->as.text.length);
    } else {
        instance->evaluation.line = item->line;
        result = kgen_expression_print(&instance->evaluation, item->expression, out);
    }
    const struct kgen_text_origin place = {instance->evaluation.source, item->line, instance->outer_line};
    if (instance->lines != NULL && result == 0 && !out->failed)
        kgen_line_map_note(instance->lines, out->data + start, out->length - start, place,
                           item->kind == KGEN_ITEM_TEXT);
    return result;
}

static int walk_item(struct instance *instance, const struct kgen_item *item)
{
    switch (item->kind) {
    case KGEN_ITEM_TEXT:
    case KGEN_ITEM_PRINT:
        return walk_text(instance, item);
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
    case KGEN_ITEM_REQUIRE:
    case KGEN_ITEM_WHEN:
        return walk_condition(instance, item);
    }
    return -1;
}

static int check_out(struct instance *instance, const struct kgen_item *item)
{
    if (instance->out->length - instance->start > KGEN_TEMPLATE_OUTPUT_MAX)
        return fail_item(instance, item, "the text of the template grows beyond 16 MiB");
    const bool failed = instance->out->failed || (instance->lines != NULL && instance->lines->failed);
    return failed ? fail_memory(&instance->evaluation) : 0;
}

static int walk(struct instance *instance, int32_t first)
{
    const struct kgen_item *items = instance->tmpl->items;
    for (int32_t i = first; i != KGEN_ABSENT && instance->reason == NULL; i = items[i].next) {
        if (spend_step(instance, &items[i]) != 0 || walk_item(instance, &items[i]) != 0)
            return -1;
        if (instance->out != NULL && check_out(instance, &items[i]) != 0)
            return -1;
        if (instance->out == NULL && i == instance->tmpl->last_condition)
            break;
    }
    return 0;
}

static void close_instance(struct instance *instance)
{
    while (instance->texts != NULL) {
        struct kgen_text_block *next = instance->texts->next;
        free(instance->texts);
        instance->texts = next;
    }
    free(instance->evaluation.slots);
    free(instance->shadowed);
    kgen_text_free(&instance->scratch);
}

/* Walks the items up to the first that cannot be evaluated without values of the parameters. An item that is
 * wrong in itself is met again, and reported, by kgen_conditions_allow. */
static void walk_fixed(struct kgen_conditions *conditions)
{
    struct instance *instance = &conditions->instance;
    const struct kgen_template *tmpl = instance->tmpl;
    struct kgen_error *const error = instance->evaluation.error;
    struct kgen_error ignored = {0};
    conditions->first = tmpl->last_condition != KGEN_ABSENT ? tmpl->files[0].body : KGEN_ABSENT;
    instance->evaluation.error = &ignored;
    instance->level = 1;
    while (conditions->first != KGEN_ABSENT && instance->reason == NULL) {
        const struct kgen_item *item = &tmpl->items[conditions->first];
        const size_t mark = instance->shadowed_count;
        if (walk_item(instance, item) != 0) {
            restore(instance, mark);
            instance->level = 1;
            break;
        }
        conditions->first = conditions->first == tmpl->last_condition ? KGEN_ABSENT : item->next;
    }
    instance->level = 0;
    instance->evaluation.error = error;
    conditions->reason = instance->reason;
    conditions->unused = instance->unused;
    conditions->shadowed_count = instance->shadowed_count;
    conditions->block = instance->texts;
    conditions->block_used = instance->texts != NULL ? instance->texts->used : 0;
}

struct kgen_conditions *kgen_conditions_open(const struct kgen_template *tmpl,
                                             const struct kgen_bindings *bindings, struct kgen_error *error)
{
    struct kgen_conditions *conditions = calloc(1, sizeof *conditions);
    if (conditions == NULL) {
        kgen_error_set(error, KGEN_ERROR_MEMORY, tmpl->file->source, 0, 0, "out of memory");
        return NULL;
    }
    conditions->instance.tmpl = tmpl;
    for (size_t i = 0; i < tmpl->param_count; i++)
        conditions->params[i] =
            kgen_names_find(&tmpl->expressions.names, tmpl->params[i].name, strlen(tmpl->params[i].name));
    if (evaluation_open(&conditions->instance.evaluation, tmpl, bindings, error) == 0) {
        walk_fixed(conditions);
        return conditions;
    }
    kgen_conditions_close(conditions);
    return NULL;
}

void kgen_conditions_close(struct kgen_conditions *conditions)
{
    if (conditions != NULL)
        close_instance(&conditions->instance);
    free(conditions);
}

/* Forgets what the last evaluation left, and gives the parameters their values, which may be NULL. */
static void begin_evaluation(struct kgen_conditions *conditions, const int64_t *values)
{
    struct instance *instance = &conditions->instance;
    for (size_t i = 0; values != NULL && i < instance->tmpl->param_count; i++) {
        if (conditions->params[i] != KGEN_ABSENT)
            instance->evaluation.slots[conditions->params[i]] =
                (struct kgen_slot){.kind = KGEN_SLOT_INTEGER, .value = values[i]};
    }
    instance->evaluation.steps = KGEN_TEMPLATE_STEPS_MAX;
    instance->evaluation.source = instance->tmpl->file->source;
    instance->reason = NULL;
    instance->unused = conditions->unused;
    instance->text_bytes = 0;
    if (instance->texts != NULL)
        instance->texts->used = instance->texts == conditions->block ? conditions->block_used : 0;
}

int kgen_conditions_allow(struct kgen_conditions *conditions, const int64_t *values, unsigned *unused,
                          const char **reason)
{
    struct instance *instance = &conditions->instance;
    *unused = conditions->unused;
    if (conditions->reason != NULL)
        *reason = conditions->reason;
    if (conditions->reason != NULL || conditions->first == KGEN_ABSENT)
        return conditions->reason == NULL;
    begin_evaluation(conditions, values);
    instance->level = 2; /* so that the names that are made from here on are forgotten again */
    int result = walk(instance, conditions->first);
    instance->level = 0;
    restore(instance, conditions->shadowed_count);
    *unused = instance->unused;
    if (result != 0)
        return -1;
    if (instance->reason != NULL)
        *reason = instance->reason;
    return instance->reason == NULL;
}

int kgen_template_allows(const struct kgen_template *tmpl, const struct kgen_bindings *bindings,
                         unsigned *unused, const char **reason, struct kgen_error *error)
{
    *unused = 0;
    struct kgen_conditions *conditions = kgen_conditions_open(tmpl, bindings, error);
    int result = conditions != NULL ? kgen_conditions_allow(conditions, NULL, unused, reason) : -1;
    kgen_conditions_close(conditions);
    return result;
}

int kgen_template_instantiate(const struct kgen_template *tmpl, const struct kgen_bindings *bindings,
                              struct kgen_text *out, struct kgen_error *error)
{
    return kgen_template_instantiate_lines(tmpl, bindings, out, NULL, error);
}

int kgen_template_instantiate_lines(const struct kgen_template *tmpl, const struct kgen_bindings *bindings,
                                    struct kgen_text *out, struct kgen_line_map *lines,
                                    struct kgen_error *error)
{
    struct instance instance = {.tmpl = tmpl, .out = out, .lines = lines, .start = out->length};
    int result = evaluation_open(&instance.evaluation, tmpl, bindings, error);
    if (result == 0) {
        kgen_text_append(out, "", 0);
        result = walk(&instance, tmpl->files[0].body);
    }
    close_instance(&instance);
    if (result != 0 && out->data != NULL) {
        out->length = instance.start;
        out->data[out->length] = '\0';
    }
    return result;
}
