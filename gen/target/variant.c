/* SPDX-License-Identifier: MIT */
/* Variants: which there are for a problem, and their text. */
#include "gen/target/variant.h"

#include "gen/target/target.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The names that a template sees for one problem, and the strings behind them. */
struct context {
    struct kgen_bindings bindings;
    struct kgen_text literals; /* every string, each terminated */
    const char **frequencies;  /* owned; into literals */
    size_t fixed;              /* bindings of the problem; those of the variant follow */
};

/* Appends the shortest of the usual precisions that reads back as the same double, as a C literal in any
 * locale. */
static void append_literal(struct kgen_text *text, double value)
{
    char digits[64];
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (strtod(digits, NULL) == value)
            break;
    }
    bool is_real = false;
    for (const char *at = digits; *at != '\0';) {
        size_t plain = strspn(at, "0123456789+-e");
        is_real = is_real || memchr(at, 'e', plain) != NULL;
        kgen_text_append(text, at, plain);
        at += plain;
        size_t point = strcspn(at, "0123456789+-e");
        if (point > 0) {
            kgen_text_append(text, ".", 1);
            is_real = true;
        }
        at += point;
    }
    kgen_text_append(text, ".0", is_real ? 0 : 2);
    kgen_text_append(text, "", 1);
}

static int fail_memory(struct kgen_error *error)
{
    return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
}

static int append_real(struct context *context, const char *name, double value, struct kgen_error *error)
{
    if (!isfinite(value))
        return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "%s is not a finite number", name);
    append_literal(&context->literals, value);
    return 0;
}

/* Writes every literal of the problem. They are bound afterwards, when their text no longer moves. */
static int write_literals(struct context *context, const struct kgen_problem *problem, size_t frequencies,
                          struct kgen_error *error)
{
    const struct kgen_op_info *op = kgen_op_info(problem->op);
    for (size_t i = 0; i < op->field_count; i++) {
        const struct kgen_field *field = &op->fields[i];
        if (field->kind == KGEN_FIELD_REAL &&
            append_real(context, field->name, kgen_field_get_real(problem, field), error) != 0)
            return -1;
    }
    for (size_t i = 0; i < frequencies; i++) {
        if (append_real(context, "a RoPE frequency", kgen_rope_frequency(problem, (int64_t)i), error) != 0)
            return -1;
    }
    return context->literals.failed ? fail_memory(error) : 0;
}

/* How C text reads scales and biases of each dtype. */
static void bind_scales(struct kgen_bindings *bindings, int64_t dtype)
{
    kgen_bind_text(bindings, "scale_type", dtype == KGEN_F32 ? "float" : "uint16_t");
    kgen_bind_text(bindings, "load_scales",
                   dtype == KGEN_F32   ? "kv_load"
                   : dtype == KGEN_F16 ? "kv_load_f16"
                                       : "kv_load_bf16");
    kgen_bind_text(bindings, "scale_to_f32",
                   dtype == KGEN_F32   ? ""
                   : dtype == KGEN_F16 ? "kv_f16_to_f32"
                                       : "kv_bf16_to_f32");
}

static int bind_problem(struct context *context, const struct kgen_problem *problem, struct kgen_error *error)
{
    struct kgen_bindings *bindings = &context->bindings;
    const struct kgen_op_info *op = kgen_op_info(problem->op);
    bool is_rope = problem->op == KGEN_OP_ROPE && problem->rotary_dim > 0;
    size_t frequencies = is_rope ? (size_t)problem->rotary_dim / 2 : 0;
    if (write_literals(context, problem, frequencies, error) != 0)
        return -1;
    const char *literal = context->literals.data;
    for (size_t i = 0; i < op->field_count; i++) {
        const struct kgen_field *field = &op->fields[i];
        if (field->kind == KGEN_FIELD_REAL) {
            kgen_bind_text(bindings, field->name, literal);
            literal += strlen(literal) + 1;
        } else if (field->kind == KGEN_FIELD_WORD) {
            const int64_t word = kgen_field_get(problem, field);
            kgen_bind_word(bindings, field->name, word, kgen_word_name((enum kgen_word)word));
        } else {
            kgen_bind_value(bindings, field->name, kgen_field_get(problem, field));
        }
        if (strcmp(field->name, "scales") == 0)
            bind_scales(bindings, problem->scales);
    }
    if (is_rope) {
        context->frequencies = malloc((frequencies + 1) * sizeof *context->frequencies);
        if (context->frequencies == NULL)
            return fail_memory(error);
        for (size_t i = 0; i < frequencies; i++) {
            context->frequencies[i] = literal;
            literal += strlen(literal) + 1;
        }
        kgen_bind_table(bindings, "inverse_frequency", context->frequencies, frequencies);
    }
    return 0;
}

void kgen_bind_isa(struct kgen_bindings *bindings, enum kgen_isa isa)
{
    const struct kgen_isa_info *info = kgen_isa_info(isa);
    for (int i = 0; i < KGEN_ISA_COUNT; i++)
        kgen_bind_value(bindings, kgen_isa_info((enum kgen_isa)i)->name, i);
    kgen_bind_word(bindings, "isa", isa, info->name);
    kgen_bind_value(bindings, "vector_bytes", info->vector_bytes);
    kgen_bind_value(bindings, "lanes", info->vector_bytes / 4);
    kgen_bind_value(bindings, "registers", info->registers);
}

static int context_open(struct context *context, const struct kgen_problem *problem, const char *function,
                        struct kgen_error *error)
{
    *context = (struct context){0};
    struct kgen_bindings *bindings = &context->bindings;
    for (int word = 0; word < KGEN_WORD_COUNT; word++)
        kgen_bind_value(bindings, kgen_word_name((enum kgen_word)word), word);
    kgen_bind_text(bindings, "function", function);
    if (bind_problem(context, problem, error) != 0)
        return -1;
    context->fixed = bindings->count;
    return 0;
}

static void context_close(struct context *context)
{
    kgen_bindings_free(&context->bindings);
    kgen_text_free(&context->literals);
    free(context->frequencies);
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
    set_values(&variant, 0);
    bind_variant(context, &variant);
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
            const struct kgen_template *tmpl = kgen_templates_at(templates, i);
            if (kgen_template_op(tmpl) == problem->op && (kgen_template_isas(tmpl) & isas & 1u << isa) != 0)
                result = list_variants(&context, tmpl, (enum kgen_isa)isa, variants, &capacity, error);
        }
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
    struct context context;
    int result = context_open(&context, problem, function, error);
    if (result == 0) {
        bind_variant(&context, variant);
        result = kgen_template_instantiate(variant->tmpl, &context.bindings, out, error);
    }
    context_close(&context);
    return result;
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
