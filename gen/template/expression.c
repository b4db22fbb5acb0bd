/* SPDX-License-Identifier: MIT */
/* The names of expressions, and what expressions are worth. */
#include "gen/template/expression.h"

#include "gen/base/nearest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool kgen_array_reserve(void **items, size_t count, size_t *capacity, size_t item_size)
{
    if (count < *capacity)
        return true;
    size_t larger = *capacity < 16 ? 16 : *capacity * 2;
    void *moved = realloc(*items, larger * item_size);
    if (moved == NULL)
        return false;
    *items = moved;
    *capacity = larger;
    return true;
}

/* The place of the name in the table: where it is, or where it would be. */
static size_t names_probe(const struct kgen_names *names, const char *start, size_t length)
{
    size_t mask = names->table_size - 1;
    size_t place = (size_t)kgen_hash(KGEN_HASH_START, start, length) & mask;
    for (;; place = (place + 1) & mask) {
        int32_t number = names->table[place];
        if (number == KGEN_ABSENT)
            return place;
        const struct kgen_name *name = &names->items[number];
        if (name->length == length && memcmp(name->start, start, length) == 0)
            return place;
    }
}

int32_t kgen_names_find(const struct kgen_names *names, const char *start, size_t length)
{
    return names->table_size == 0 ? KGEN_ABSENT : names->table[names_probe(names, start, length)];
}

static bool names_grow(struct kgen_names *names)
{
    size_t size = names->table_size == 0 ? 64 : names->table_size * 2;
    int32_t *table = malloc(size * sizeof *table);
    if (table == NULL)
        return false;
    for (size_t i = 0; i < size; i++)
        table[i] = KGEN_ABSENT;
    free(names->table);
    names->table = table;
    names->table_size = size;
    for (size_t i = 0; i < names->count; i++)
        table[names_probe(names, names->items[i].start, names->items[i].length)] = (int32_t)i;
    return true;
}

int32_t kgen_names_add(struct kgen_names *names, const char *start, size_t length)
{
    if (names->count * 2 >= names->table_size && !names_grow(names))
        return KGEN_ABSENT;
    size_t place = names_probe(names, start, length);
    if (names->table[place] == KGEN_ABSENT) {
        if (!kgen_array_reserve((void **)&names->items, names->count, &names->capacity, sizeof *names->items))
            return KGEN_ABSENT;
        names->items[names->count] = (struct kgen_name){start, length};
        names->table[place] = (int32_t)names->count++;
    }
    return names->table[place];
}

void kgen_expressions_free(struct kgen_expressions *expressions)
{
    free(expressions->nodes);
    free(expressions->names.items);
    free(expressions->names.table);
    *expressions = (struct kgen_expressions){0};
}

static int fail(struct kgen_scope *scope, const struct kgen_node *node, const char *format, ...)
    KGEN_PRINTF(3, 4);
static int fail(struct kgen_scope *scope, const struct kgen_node *node, const char *format, ...)
{
    char message[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return kgen_error_set(scope->error, KGEN_ERROR_TEMPLATE, scope->source, scope->line, node->column, "%s",
                          message);
}

static int name_length(const struct kgen_name *name)
{
    return (int)(name->length > 63 ? 63 : name->length);
}

static int fail_unknown(struct kgen_scope *scope, const struct kgen_node *node)
{
    const struct kgen_names *names = &scope->expressions->names;
    const struct kgen_name *name = &names->items[node->name];
    fail(scope, node, "unknown name '%.*s'", name_length(name), name->start);
    struct kgen_nearest nearest;
    kgen_nearest_start(&nearest, name->start, name->length);
    for (size_t i = 0; scope->bindings != NULL && i < scope->bindings->count; i++)
        kgen_nearest_offer(&nearest, scope->bindings->items[i].name, strlen(scope->bindings->items[i].name));
    for (size_t i = 0; i < names->count; i++) {
        if (scope->slots[i].kind == KGEN_SLOT_INTEGER)
            kgen_nearest_offer(&nearest, names->items[i].start, names->items[i].length);
    }
    kgen_nearest_hint(&nearest, scope->error);
    return -1;
}

static int evaluate_name(struct kgen_scope *scope, const struct kgen_node *node, int64_t *value)
{
    const struct kgen_slot *slot = &scope->slots[node->name];
    if (slot->kind == KGEN_SLOT_INTEGER) {
        *value = slot->value;
        return 0;
    }
    if (slot->kind == KGEN_SLOT_UNKNOWN)
        return fail_unknown(scope, node);
    const char *name = slot->binding->name;
    if (slot->kind == KGEN_SLOT_TEXT) {
        fail(scope, node, "'%.63s' stands for text, which can only be printed", name);
        kgen_error_hint(scope->error, "write ${%.63s}", name);
    } else {
        fail(scope, node, "'%.63s' is a table of text, of which only an entry can be printed", name);
        kgen_error_hint(scope->error, "write ${%.63s[i]}", name);
    }
    return -1;
}

static int evaluate_unary(struct kgen_scope *scope, const struct kgen_node *node, int64_t *value)
{
    int64_t a;
    if (kgen_expression_evaluate(scope, node->a, &a) != 0)
        return -1;
    switch (node->operation) {
    case KGEN_NOT:
        *value = !a;
        return 0;
    case KGEN_INVERT:
        *value = ~a;
        return 0;
    case KGEN_NEGATE:
    case KGEN_ABS:
        if (a == INT64_MIN)
            return fail(scope, node, "overflow: -(%" PRId64 ") does not fit in 64 bits", a);
        *value = node->operation == KGEN_ABS && a >= 0 ? a : -a;
        return 0;
    default: /* KGEN_HEX */
        *value = a;
        return 0;
    }
}

static int divide(struct kgen_scope *scope, const struct kgen_node *node, int64_t a, int64_t b,
                  int64_t *value)
{
    if (b == 0)
        return fail(scope, node, "division by zero: %" PRId64 " divided by 0", a);
    if (a == INT64_MIN && b == -1)
        return fail(scope, node, "overflow: %" PRId64 " divided by -1 does not fit in 64 bits", a);
    if (node->operation == KGEN_REMAINDER)
        *value = a % b;
    else
        *value = a / b + (node->operation == KGEN_CEIL_DIV && a % b != 0 && (a < 0) == (b < 0));
    return 0;
}

static int shift(struct kgen_scope *scope, const struct kgen_node *node, int64_t a, int64_t b, int64_t *value)
{
    if (b < 0 || b > 63)
        return fail(scope, node, "a shift by %" PRId64 " is out of the range 0 to 63", b);
    if (node->operation == KGEN_SHIFT_RIGHT) {
        *value = a >= 0 ? a >> b : ~(~a >> b);
        return 0;
    }
    if (b == 63 ? a != 0 && a != -1 : __builtin_mul_overflow(a, INT64_C(1) << b, value))
        return fail(scope, node, "overflow: %" PRId64 " << %" PRId64 " does not fit in 64 bits", a, b);
    if (b == 63)
        *value = a == 0 ? 0 : INT64_MIN;
    return 0;
}

static int arithmetic(struct kgen_scope *scope, const struct kgen_node *node, int64_t a, int64_t b,
                      int64_t *value)
{
    bool overflow;
    char sign;
    if (node->operation == KGEN_ADD) {
        sign = '+';
        overflow = __builtin_add_overflow(a, b, value);
    } else if (node->operation == KGEN_SUBTRACT) {
        sign = '-';
        overflow = __builtin_sub_overflow(a, b, value);
    } else {
        sign = '*';
        overflow = __builtin_mul_overflow(a, b, value);
    }
    if (!overflow)
        return 0;
    return fail(scope, node, "overflow: %" PRId64 " %c %" PRId64 " does not fit in 64 bits", a, sign, b);
}

static int evaluate_binary(struct kgen_scope *scope, const struct kgen_node *node, int64_t *value)
{
    int64_t a, b;
    if (kgen_expression_evaluate(scope, node->a, &a) != 0 ||
        kgen_expression_evaluate(scope, node->b, &b) != 0)
        return -1;
    switch (node->operation) {
    case KGEN_MIN:
        *value = a < b ? a : b;
        return 0;
    case KGEN_MAX:
        *value = a > b ? a : b;
        return 0;
    case KGEN_BIT_OR:
        *value = a | b;
        return 0;
    case KGEN_BIT_XOR:
        *value = a ^ b;
        return 0;
    case KGEN_BIT_AND:
        *value = a & b;
        return 0;
    case KGEN_EQUAL:
        *value = a == b;
        return 0;
    case KGEN_UNEQUAL:
        *value = a != b;
        return 0;
    case KGEN_LESS:
        *value = a < b;
        return 0;
    case KGEN_LESS_EQUAL:
        *value = a <= b;
        return 0;
    case KGEN_GREATER:
        *value = a > b;
        return 0;
    case KGEN_GREATER_EQUAL:
        *value = a >= b;
        return 0;
    case KGEN_SHIFT_LEFT:
    case KGEN_SHIFT_RIGHT:
        return shift(scope, node, a, b, value);
    case KGEN_DIVIDE:
    case KGEN_REMAINDER:
    case KGEN_CEIL_DIV:
        return divide(scope, node, a, b, value);
    default: /* KGEN_ADD, KGEN_SUBTRACT, KGEN_MULTIPLY */
        return arithmetic(scope, node, a, b, value);
    }
}

/* Those that evaluate only what they need. */
static int evaluate_choice(struct kgen_scope *scope, const struct kgen_node *node, int64_t *value)
{
    int64_t a, b;
    if (kgen_expression_evaluate(scope, node->a, &a) != 0)
        return -1;
    if (node->operation == KGEN_CONDITIONAL)
        return kgen_expression_evaluate(scope, a != 0 ? node->b : node->c, value);
    *value = node->operation == KGEN_OR;
    if ((a != 0) == (node->operation == KGEN_OR))
        return 0;
    if (kgen_expression_evaluate(scope, node->b, &b) != 0)
        return -1;
    *value = b != 0;
    return 0;
}

int kgen_expression_evaluate(struct kgen_scope *scope, int32_t root, int64_t *value)
{
    const struct kgen_node *node = &scope->expressions->nodes[root];
    if (scope->steps-- <= 0)
        return fail(scope, node, "the template does not come to an end: too many steps");
    switch (node->operation) {
    case KGEN_LITERAL:
        *value = node->value;
        return 0;
    case KGEN_NAME:
        return evaluate_name(scope, node, value);
    case KGEN_ENTRY: /* refused by the parser wherever a number is wanted */
        return fail(scope, node, "an entry of a table can only be printed");
    case KGEN_HEX:
    case KGEN_ABS:
    case KGEN_NOT:
    case KGEN_INVERT:
    case KGEN_NEGATE:
        return evaluate_unary(scope, node, value);
    case KGEN_CONDITIONAL:
    case KGEN_OR:
    case KGEN_AND:
        return evaluate_choice(scope, node, value);
    default:
        return evaluate_binary(scope, node, value);
    }
}

static int print_entry(struct kgen_scope *scope, const struct kgen_node *node, struct kgen_text *out)
{
    const struct kgen_slot *slot = &scope->slots[node->name];
    int64_t index;
    if (slot->kind == KGEN_SLOT_UNKNOWN)
        return fail_unknown(scope, node);
    if (slot->kind != KGEN_SLOT_TABLE) {
        const struct kgen_name *name = &scope->expressions->names.items[node->name];
        return fail(scope, node, "'%.*s' is not a table", name_length(name), name->start);
    }
    if (kgen_expression_evaluate(scope, node->a, &index) != 0)
        return -1;
    const struct kgen_binding *table = slot->binding;
    if (index < 0 || (uint64_t)index >= table->table_count)
        return fail(scope, node, "entry %" PRId64 " of the table '%.63s', which has %zu", index, table->name,
                    table->table_count);
    kgen_text_puts(out, table->table[index]);
    return 0;
}

static void print_number(uint64_t magnitude, bool negative, unsigned base, struct kgen_text *out)
{
    char digits[24];
    char *first = digits + sizeof digits;
    do {
        *--first = "0123456789abcdef"[magnitude % base];
        magnitude /= base;
    } while (magnitude != 0);
    if (base == 16) {
        *--first = 'x';
        *--first = '0';
    }
    if (negative)
        *--first = '-';
    kgen_text_append(out, first, (size_t)(digits + sizeof digits - first));
}

int kgen_expression_print(struct kgen_scope *scope, int32_t root, struct kgen_text *out)
{
    const struct kgen_node *node = &scope->expressions->nodes[root];
    if (node->operation == KGEN_ENTRY)
        return print_entry(scope, node, out);
    if (node->operation == KGEN_NAME && scope->slots[node->name].kind == KGEN_SLOT_TEXT) {
        kgen_text_puts(out, scope->slots[node->name].binding->text);
        return 0;
    }
    int64_t value;
    if (kgen_expression_evaluate(scope, root, &value) != 0)
        return -1;
    if (node->operation == KGEN_HEX)
        print_number((uint64_t)value, false, 16, out);
    else
        print_number(value < 0 ? -(uint64_t)value : (uint64_t)value, value < 0, 10, out);
    return 0;
}
