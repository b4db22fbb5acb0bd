/* SPDX-License-Identifier: MIT */
/* Variants: which there are for a problem, and their text. */
#include "gen/target/variant.h"

#include "gen/ops/signature.h"
#include "gen/target/target.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Tables of numbers that an op gives, at the most. */
enum { TABLES_MAX = 4 };

/* The names that a template sees for one problem, and the strings behind them. */
struct context {
    struct kgen_bindings bindings;
    char **strings; /* owned, each of them too */
    size_t string_count, string_capacity;
    const char **tables[TABLES_MAX]; /* owned; into strings */
    size_t table_count;
    bool failed;  /* memory ran out */
    size_t fixed; /* bindings of the problem; those of the variant follow */
};

/* Keeps a copy of text, which may be NULL where memory ran out. Returns the copy. */
static const char *keep(struct context *context, const char *text)
{
    if (context->string_count == context->string_capacity) {
        const size_t larger = context->string_capacity == 0 ? 32 : context->string_capacity * 2;
        char **strings = realloc(context->strings, larger * sizeof *strings);
        if (strings == NULL) {
            context->failed = true;
            return "";
        }
        context->strings = strings;
        context->string_capacity = larger;
    }
    char *copy = text != NULL ? strdup(text) : NULL;
    if (copy == NULL) {
        context->failed = true;
        return "";
    }
    context->strings[context->string_count++] = copy;
    return copy;
}

/* A double as a literal of C. */
static const char *keep_literal(struct context *context, double value)
{
    struct kgen_text text = {0};
    kgen_text_real(&text, value);
    if (!text.failed && strpbrk(text.data, ".e") == NULL)
        kgen_text_puts(&text, ".0");
    const char *kept = keep(context, text.failed ? NULL : text.data);
    kgen_text_free(&text);
    return kept;
}

static int fail_memory(struct kgen_error *error)
{
    return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
}

/* ---- what the op gives ---- */

static void receive_text(void *context, const char *name, const char *value)
{
    struct context *c = context;
    kgen_bind_text(&c->bindings, name, keep(c, value));
}

static void receive_integer(void *context, const char *name, int64_t value)
{
    kgen_bind_value(&((struct context *)context)->bindings, name, value);
}

static void receive_reals(void *context, const char *name, const double *values, size_t count)
{
    struct context *c = context;
    const char **table = c->table_count < TABLES_MAX ? malloc((count + 1) * sizeof *table) : NULL;
    if (table == NULL) {
        c->failed = true;
        return;
    }
    c->tables[c->table_count++] = table;
    for (size_t i = 0; i < count; i++)
        table[i] = keep_literal(c, values[i]);
    kgen_bind_table(&c->bindings, name, table, count);
}

static void bind_fields(struct context *context, const struct kgen_problem *problem)
{
    const struct kgen_op *op = problem->op;
    for (size_t i = 0; i < op->field_count; i++) {
        const struct kgen_field *field = &op->fields[i];
        const int64_t value = problem->values[i].integer;
        if (field->kind == KGEN_FIELD_REAL)
            kgen_bind_text(&context->bindings, field->name, keep_literal(context, problem->values[i].real));
        else if (field->kind == KGEN_FIELD_CONSTANT)
            kgen_bind_constant(&context->bindings, field->name, value, kgen_constant_name(value));
        else
            kgen_bind_value(&context->bindings, field->name, value);
    }
    const struct kgen_name_receiver receiver = {context, receive_text, receive_integer, receive_reals};
    if (op->names != NULL)
        op->names(problem, &receiver);
}

/* The parameters of each part of the kernel, as the text of a template has them behind "KV_TARGET void
 * ${function}(". */
static void bind_parameters(struct context *context, const struct kgen_problem *problem, const char *function)
{
    static const struct {
        unsigned part;
        const char *name, *suffix;
    } parts[] = {{KGEN_PREPARE, "prepare_parameters", "_prepare"},
                 {KGEN_RUN, "parameters", ""},
                 {KGEN_FINISH, "finish_parameters", "_finish"}};
    for (size_t i = 0; i < KGEN_COUNT_OF(parts); i++) {
        struct kgen_text text = {0};
        const size_t column = strlen("KV_TARGET void (") + strlen(function) + strlen(parts[i].suffix);
        if (!kgen_op_has_part(problem->op, parts[i].part))
            continue;
        kgen_signature_parameters(problem, parts[i].part, column, &text);
        kgen_bind_text(&context->bindings, parts[i].name, keep(context, text.failed ? NULL : text.data));
        kgen_text_free(&text);
    }
}

static int bind_problem(struct context *context, const struct kgen_problem *problem, const char *function,
                        struct kgen_error *error)
{
    for (size_t i = 0; i < problem->op->field_count; i++) {
        const struct kgen_field *field = &problem->op->fields[i];
        if (field->kind == KGEN_FIELD_REAL && !isfinite(problem->values[i].real))
            return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "%s is not a finite number",
                                  field->name);
    }
    bind_fields(context, problem);
    bind_parameters(context, problem, function);
    return context->failed ? fail_memory(error) : 0;
}

void kgen_bind_isa(struct kgen_bindings *bindings, enum kgen_isa isa)
{
    const struct kgen_isa_info *info = kgen_isa_info(isa);
    for (int i = 0; i < KGEN_ISA_COUNT; i++)
        kgen_bind_value(bindings, kgen_isa_info((enum kgen_isa)i)->name, i);
    kgen_bind_constant(bindings, "isa", isa, info->name);
    kgen_bind_value(bindings, "vector_bytes", info->vector_bytes);
    kgen_bind_value(bindings, "lanes", info->vector_bytes / 4);
    kgen_bind_value(bindings, "registers", info->registers);
}

static int context_open(struct context *context, const struct kgen_problem *problem, const char *function,
                        struct kgen_error *error)
{
    *context = (struct context){0};
    struct kgen_bindings *bindings = &context->bindings;
    for (int word = 0; word < KGEN_CONSTANT_COUNT; word++)
        kgen_bind_value(bindings, kgen_constant_name(word), word);
    kgen_bind_text(bindings, "function", function);
    if (bind_problem(context, problem, function, error) != 0)
        return -1;
    context->fixed = bindings->count;
    return 0;
}

static void context_close(struct context *context)
{
    kgen_bindings_free(&context->bindings);
    for (size_t i = 0; i < context->string_count; i++)
        free(context->strings[i]);
    free(context->strings);
    for (size_t i = 0; i < context->table_count; i++)
        free(context->tables[i]);
}

static void bind_variant(struct context *context, const struct kgen_variant *variant)
{
    struct kgen_bindings *bindings = &context->bindings;
    bindings->count = context->fixed;
    kgen_bind_isa(bindings, variant->isa);
    for (size_t i = 0; i < kgen_template_param_count(variant->tmpl); i++)
        kgen_bind_value(bindings, kgen_template_param(variant->tmpl, i)->name, variant->values[i]);
}

/* Sets the values of the variant with this number, 0 for the defaults. The last parameter changes fastest.
 * Returns false beyond the last variant. */
static bool set_values(struct kgen_variant *variant, size_t number)
{
    for (size_t i = kgen_template_param_count(variant->tmpl); i-- > 0;) {
        const struct kgen_param *param = kgen_template_param(variant->tmpl, i);
        variant->values[i] = param->values[number % param->count];
        number /= param->count;
    }
    return number == 0;
}

static int add_variant(struct kgen_variants *variants, size_t *capacity, const struct kgen_variant *variant,
                       struct kgen_error *error)
{
    if (variants->count == *capacity) {
        size_t larger = *capacity == 0 ? 64 : *capacity * 2;
        struct kgen_variant *items = realloc(variants->items, larger * sizeof *items);
        if (items == NULL)
            return fail_memory(error);
        variants->items = items;
        *capacity = larger;
    }
    variants->items[variants->count++] = *variant;
    return 0;
}

static int list_variants(struct context *context, const struct kgen_template *tmpl, enum kgen_isa isa,
                         struct kgen_variants *variants, size_t *capacity, struct kgen_error *error)
{
    struct kgen_variant variant = {.tmpl = tmpl, .isa = isa};
    context->bindings.count = context->fixed;
    kgen_bind_isa(&context->bindings, isa);
    struct kgen_conditions *conditions = kgen_conditions_open(tmpl, &context->bindings, error);
    int result = conditions != NULL ? 0 : -1;
    for (size_t number = 0; result == 0 && set_values(&variant, number); number++) {
        const char *reason;
        int allowed = kgen_conditions_allow(conditions, variant.values, &variant.unused, &reason);
        if (allowed < 0 || (allowed > 0 && add_variant(variants, capacity, &variant, error) != 0))
            result = -1;
    }
    kgen_conditions_close(conditions);
    return result;
}

int kgen_variants_list(const struct kgen_templates *templates, const struct kgen_problem *problem,
                       unsigned isas, struct kgen_variants *variants, struct kgen_error *error)
{
    *variants = (struct kgen_variants){0};
    struct context context;
    size_t capacity = 0;
    int result = context_open(&context, problem, "kernel", error);
    for (int isa = KGEN_ISA_COUNT; result == 0 && isa-- > 0;) {
        for (size_t i = 0; result == 0 && i < kgen_templates_count(templates); i++) {
            const struct kgen_template *tmpl;
            result = kgen_templates_serving(templates, i, problem->op, &tmpl, error);
            if (result == 0 && tmpl != NULL && (kgen_template_isas(tmpl) & isas & 1u << isa) != 0)
                result = list_variants(&context, tmpl, (enum kgen_isa)isa, variants, &capacity, error);
        }
    }
    context_close(&context);
    if (result != 0)
        kgen_variants_free(variants);
    return result;
}

int kgen_variants_of_template(const struct kgen_template *tmpl, const struct kgen_problem *problem,
                              unsigned isas, struct kgen_variants *variants, struct kgen_error *error)
{
    *variants = (struct kgen_variants){0};
    struct context context;
    size_t capacity = 0;
    int result = context_open(&context, problem, "kernel", error);
    for (int isa = KGEN_ISA_COUNT; result == 0 && isa-- > 0;) {
        if ((kgen_template_isas(tmpl) & isas & 1u << isa) != 0)
            result = list_variants(&context, tmpl, (enum kgen_isa)isa, variants, &capacity, error);
    }
    context_close(&context);
    if (result != 0)
        kgen_variants_free(variants);
    return result;
}

void kgen_variants_free(struct kgen_variants *variants)
{
    free(variants->items);
    *variants = (struct kgen_variants){0};
}

int kgen_variant_text(const struct kgen_variant *variant, const struct kgen_problem *problem,
                      const char *function, struct kgen_text *out, struct kgen_error *error)
{
    return kgen_variant_text_lines(variant, problem, function, out, NULL, error);
}

int kgen_variant_text_lines(const struct kgen_variant *variant, const struct kgen_problem *problem,
                            const char *function, struct kgen_text *out, struct kgen_line_map *lines,
                            struct kgen_error *error)
{
    struct context context;
    int result = context_open(&context, problem, function, error);
    if (result == 0) {
        bind_variant(&context, variant);
        result = kgen_template_instantiate_lines(variant->tmpl, &context.bindings, out, lines, error);
    }
    context_close(&context);
    return result;
}

int kgen_variant_check(const struct kgen_variant *variant, const struct kgen_problem *problem,
                       struct kgen_text *reason, struct kgen_error *error)
{
    struct context context;
    const char *why = "";
    unsigned unused;
    int result = context_open(&context, problem, "kernel", error);
    if (result == 0) {
        bind_variant(&context, variant);
        result = kgen_template_allows(variant->tmpl, &context.bindings, &unused, &why, error);
        if (result == 0)
            kgen_text_puts(reason, why);
    }
    context_close(&context);
    return result;
}

int kgen_variant_callable_text(const struct kgen_variant *variant, const struct kgen_problem *problem,
                               const char *function, struct kgen_text *out, struct kgen_error *error)
{
    if (kgen_variant_text(variant, problem, function, out, error) != 0)
        return -1;
    kgen_signature_calls(problem, function, out);
    return out->failed ? fail_memory(error) : 0;
}

int kgen_variant_count(const struct kgen_variant *variant, const struct kgen_problem *problem, int64_t range,
                       double *instructions, struct kgen_error *error)
{
    struct kgen_text text = {0};
    int result = kgen_variant_text(variant, problem, "kernel", &text, error);
    if (result == 0)
        result = kgen_target_of_isa(variant->isa)
                     ->count(kgen_template_name(variant->tmpl), text.data, variant->isa, range, instructions,
                             error);
    kgen_text_free(&text);
    return result;
}

void kgen_variant_name(const struct kgen_variant *variant, struct kgen_text *out)
{
    kgen_text_printf(out, "%s %s", kgen_template_name(variant->tmpl), kgen_isa_info(variant->isa)->name);
    for (size_t i = 0; i < kgen_template_param_count(variant->tmpl); i++) {
        if ((variant->unused >> i & 1) == 0)
            kgen_text_printf(out, " %s=%" PRId64, kgen_template_param(variant->tmpl, i)->name,
                             variant->values[i]);
    }
}

uint64_t kgen_variant_hash(const struct kgen_variant *variant)
{
    uint64_t template_hash = kgen_template_hash(variant->tmpl);
    uint64_t hash = kgen_hash_string(KGEN_HASH_START, KGEN_VERSION);
    hash = kgen_hash(hash, &template_hash, sizeof template_hash);
    hash = kgen_hash_string(hash, kgen_isa_info(variant->isa)->name);
    for (size_t i = 0; i < kgen_template_param_count(variant->tmpl); i++) {
        hash = kgen_hash_string(hash, kgen_template_param(variant->tmpl, i)->name);
        hash = kgen_hash(hash, &variant->values[i], sizeof variant->values[i]);
    }
    return hash;
}
