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

static int fail(struct kgen_evaluation *evaluation, const struct kgen_expression_node *node,
                const char *format, ...) KGEN_PRINTF(3, 4);
static int fail(struct kgen_evaluation *evaluation, const struct kgen_expression_node *node,
                const char *format, ...)
{
    char message[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return kgen_error_set(evaluation->error, KGEN_ERROR_TEMPLATE, evaluation->source, evaluation->line,
                          node->column, "%s", message);
}

static int name_length(const struct kgen_name *name)
{
    return (int)(name->length > 63 ? 63 : name->length);
}

static int fail_unknown(struct kgen_evaluation *evaluation, const struct kgen_expression_node *node)
{
    const struct kgen_names *names = &evaluation->expressions->names;
    const struct kgen_name *name = &names->items[node->name];
    fail(evaluation, node, "unknown name '%.*s'", name_length(name), name->start);
    struct kgen_nearest nearest;
    kgen_nearest_start(&nearest, name->start, name->length);
    for (size_t i = 0; evaluation->bindings != NULL && i < evaluation->bindings->count; i++)
        kgen_nearest_offer(&nearest, evaluation->bindings->items[i].name,
                           strlen(evaluation->bindings->items[i].name));
    for (size_t i = 0; i < names->count; i++) {
        if (evaluation->slots[i].kind == KGEN_SLOT_INTEGER)
            kgen_nearest_offer(&nearest, names->items[i].start, names->items[i].length);
    }
    kgen_nearest_hint(&nearest, evaluation->error);
    return -1;
}

static int evaluate_name(struct kgen_evaluation *evaluation, const struct kgen_expression_node *node,
                         int64_t *value)
{
    const struct kgen_slot *slot = &evaluation->slots[node->name];
    if (slot->kind == KGEN_SLOT_INTEGER) {
        *value = slot->value;
        return 0;
    }
    if (slot->kind == KGEN_SLOT_UNKNOWN)
        return fail_unknown(evaluation, node);
    const struct kgen_name *name = &evaluation->expressions->names.items[node->name];
    if (slot->kind == KGEN_SLOT_TEXT) {
        fail(evaluation, node, "'%.*s' stands for text, which can only be printed", name_length(name),
             name->start);
        kgen_error_hint(evaluation->error, "write ${%.*s}", name_length(name), name->start);
    } else {
        fail(evaluation, node, "'%.*s' is a table of text, of which only an entry can be printed",
             name_length(name), name->start);
        kgen_error_hint(evaluation->error, "write ${%.*s[i]}", name_length(name), name->start);
    }
    return -1;
}

static int evaluate_unary(struct kgen_evaluation *evaluation, const struct kgen_expression_node *node,
                          int64_t *value)
{
    int64_t a;
    if (kgen_expression_evaluate(evaluation, node->a, &a) != 0)
        return -1;
    switch (node->kind) {
    case KGEN_NOT:
        *value = !a;
        return 0;
    case KGEN_INVERT:
        *value = ~a;
        return 0;
    case KGEN_NEGATE:
    case KGEN_ABS:
        if (a == INT64_MIN)
            return fail(evaluation, node, "overflow: -(%" PRId64 ") does not fit in 64 bits", a);
        *value = node->kind == KGEN_ABS && a >= 0 ? a : -a;
        return 0;
    default: /* KGEN_HEX, KGEN_PLUS */
        *value = a;
        return 0;
    }
}

static int divide(struct kgen_evaluation *evaluation, const struct kgen_expression_node *node, int64_t a,
                  int64_t b, int64_t *value)
{
    if (b == 0)
        return fail(evaluation, node, "division by zero: %" PRId64 " divided by 0", a);
    if (a == INT64_MIN && b == -1)
        return fail(evaluation, node, "overflow: %" PRId64 " divided by -1 does not fit in 64 bits", a);
    if (node->kind == KGEN_REMAINDER)
        *value = a % b;
    else
        *value = a / b + (node->kind == KGEN_CEIL_DIV && a % b != 0 && (a < 0) == (b < 0));
    return 0;
}

static int shift(struct kgen_evaluation *evaluation, const struct kgen_expression_node *node, int64_t a,
                 int64_t b, int64_t *value)
{
    if (b < 0 || b > 63)
        return fail(evaluation, node, "a shift by %" PRId64 " is out of the range 0 to 63", b);
    if (node->kind == KGEN_SHIFT_RIGHT) {
        *value = a >= 0 ? a >> b : ~(~a >> b);
        return 0;
    }
    if (b == 63 ? a != 0 && a != -1 : __builtin_mul_overflow(a, INT64_C(1) << b, value))
        return fail(evaluation, node, "overflow: %" PRId64 " << %" PRId64 " does not fit in 64 bits", a, b);
    if (b == 63)
        *value = a == 0 ? 0 : INT64_MIN;
    return 0;
}

static int arithmetic(struct kgen_evaluation *evaluation, const struct kgen_expression_node *node, int64_t a,
                      int64_t b, int64_t *value)
{
    bool overflow;
    char sign;
    if (node->kind == KGEN_ADD) {
        sign = '+';
        overflow = __builtin_add_overflow(a, b, value);
    } else if (node->kind == KGEN_SUBTRACT) {
        sign = '-';
        overflow = __builtin_sub_overflow(a, b, value);
    } else {
        sign = '*';
        overflow = __builtin_mul_overflow(a, b, value);
    }
    if (!overflow)
        return 0;
    return fail(evaluation, node, "overflow: %" PRId64 " %c %" PRId64 " does not fit in 64 bits", a, sign, b);
}

static int evaluate_binary(struct kgen_evaluation *evaluation, const struct kgen_expression_node *node,
                           int64_t *value)
{
    int64_t a, b;
    if (kgen_expression_evaluate(evaluation, node->a, &a) != 0 ||
        kgen_expression_evaluate(evaluation, node->b, &b) != 0)
        return -1;
    switch (node->kind) {
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
        return shift(evaluation, node, a, b, value);
    case KGEN_DIVIDE:
    case KGEN_REMAINDER:
    case KGEN_CEIL_DIV:
        return divide(evaluation, node, a, b, value);
    default: /* KGEN_ADD, KGEN_SUBTRACT, KGEN_MULTIPLY */
        return arithmetic(evaluation, node, a, b, value);
    }
}

/* Those that evaluate only what they need. */
static int evaluate_choice(struct kgen_evaluation *evaluation, const struct kgen_expression_node *node,
                           int64_t *value)
{
    int64_t a, b;
    if (kgen_expression_evaluate(evaluation, node->a, &a) != 0)
        return -1;
    if (node->kind == KGEN_CONDITIONAL)
        return kgen_expression_evaluate(evaluation, a != 0 ? node->b : node->c, value);
    *value = node->kind == KGEN_OR;
    if ((a != 0) == (node->kind == KGEN_OR))
        return 0;
    if (kgen_expression_evaluate(evaluation, node->b, &b) != 0)
        return -1;
    *value = b != 0;
    return 0;
}

int kgen_expression_evaluate(struct kgen_evaluation *evaluation, int32_t root, int64_t *value)
{
    const struct kgen_expression_node *node = &evaluation->expressions->nodes[root];
    if (evaluation->steps-- <= 0)
        return fail(evaluation, node, "the template does not come to an end: too many steps");
    switch (node->kind) {
    case KGEN_LITERAL:
        *value = node->value;
        return 0;
    case KGEN_NAME:
        return evaluate_name(evaluation, node, value);
    case KGEN_ENTRY: /* refused by the parser wherever a number is wanted */
        return fail(evaluation, node, "an entry of a table can only be printed");
    case KGEN_TEXT:
        return fail(evaluation, node, "a text can only be printed");
    case KGEN_HEX:
    case KGEN_PLUS:
    case KGEN_ABS:
    case KGEN_NOT:
    case KGEN_INVERT:
    case KGEN_NEGATE:
        return evaluate_unary(evaluation, node, value);
    case KGEN_CONDITIONAL:
    case KGEN_OR:
    case KGEN_AND:
        return evaluate_choice(evaluation, node, value);
    default:
        return evaluate_binary(evaluation, node, value);
    }
}

/* Looks up the entry of a table that the node names. */
static int find_entry(struct kgen_evaluation *evaluation, const struct kgen_expression_node *node,
                      const char **text)
{
    const struct kgen_slot *slot = &evaluation->slots[node->name];
    int64_t index;
    if (slot->kind == KGEN_SLOT_UNKNOWN)
        return fail_unknown(evaluation, node);
    if (slot->kind != KGEN_SLOT_TABLE) {
        const struct kgen_name *name = &evaluation->expressions->names.items[node->name];
        return fail(evaluation, node, "'%.*s' is not a table", name_length(name), name->start);
    }
    if (kgen_expression_evaluate(evaluation, node->a, &index) != 0)
        return -1;
    const struct kgen_binding *table = slot->table;
    if (index < 0 || (uint64_t)index >= table->table_count)
        return fail(evaluation, node, "entry %" PRId64 " of the table '%.63s', which has %zu", index,
                    table->name, table->table_count);
    *text = table->table[index];
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

/* Prints a value as the function at the root of its expression says. */
static void print_value(enum kgen_operator kind, int64_t value, struct kgen_text *out)
{
    const bool negative = value < 0;
    const uint64_t magnitude = negative ? -(uint64_t)value : (uint64_t)value;
    if (kind == KGEN_HEX) {
        print_number((uint64_t)value, false, 16, out);
    } else if (kind != KGEN_PLUS) {
        print_number(magnitude, negative, 10, out);
    } else if (value != 0) {
        kgen_text_puts(out, negative ? " - " : " + ");
        print_number(magnitude, false, 10, out);
    }
}

static int print_text(struct kgen_evaluation *evaluation, const struct kgen_expression_node *node,
                      struct kgen_text *out)
{
    const struct kgen_expression_node *nodes = evaluation->expressions->nodes;
    for (;; node = &nodes[node->b]) {
        if (evaluation->steps-- <= 0)
            return fail(evaluation, node, "the template does not come to an end: too many steps");
        kgen_text_append(out, node->start, (size_t)node->value);
        if (node->a != KGEN_ABSENT && kgen_expression_print(evaluation, node->a, out) != 0)
            return -1;
        if (node->b == KGEN_ABSENT)
            return 0;
    }
}

/* The alternative that a choice between expressions comes to, however deep. */
static int choose(struct kgen_evaluation *evaluation, const struct kgen_expression_node **node)
{
    while ((*node)->kind == KGEN_CONDITIONAL) {
        int64_t condition;
        if (kgen_expression_evaluate(evaluation, (*node)->a, &condition) != 0)
            return -1;
        *node = &evaluation->expressions->nodes[condition != 0 ? (*node)->b : (*node)->c];
    }
    return 0;
}

struct kgen_slot kgen_slot_of_binding(const struct kgen_binding *binding)
{
    if (binding->text != NULL)
        return (struct kgen_slot){
            .kind = KGEN_SLOT_TEXT, .text = binding->text, .length = strlen(binding->text)};
    if (binding->table != NULL)
        return (struct kgen_slot){.kind = KGEN_SLOT_TABLE, .table = binding};
    return (struct kgen_slot){.kind = KGEN_SLOT_INTEGER,
                              .value = binding->value,
                              .text = binding->word,
                              .length = binding->word != NULL ? strlen(binding->word) : 0};
}

int kgen_expression_assign(struct kgen_evaluation *evaluation, int32_t root, struct kgen_slot *slot,
                           struct kgen_text *text, bool *is_new)
{
    const struct kgen_expression_node *node = &evaluation->expressions->nodes[root];
    *slot = (struct kgen_slot){.kind = KGEN_SLOT_TEXT};
    *is_new = false;
    if (choose(evaluation, &node) != 0)
        return -1;
    if (node->kind == KGEN_ENTRY) {
        if (find_entry(evaluation, node, &slot->text) != 0)
            return -1;
        slot->length = strlen(slot->text);
        return 0;
    }
    if (node->kind == KGEN_TEXT && node->a == KGEN_ABSENT) {
        slot->text = node->start;
        slot->length = (size_t)node->value;
        return 0;
    }
    if (node->kind == KGEN_TEXT) {
        *is_new = true;
        return print_text(evaluation, node, text);
    }
    if (node->kind == KGEN_NAME && evaluation->slots[node->name].text != NULL) {
        *slot = evaluation->slots[node->name];
        return 0;
    }
    slot->kind = KGEN_SLOT_INTEGER;
    return kgen_expression_evaluate(evaluation, (int32_t)(node - evaluation->expressions->nodes),
                                    &slot->value);
}

int kgen_expression_print(struct kgen_evaluation *evaluation, int32_t root, struct kgen_text *out)
{
    struct kgen_slot slot;
    bool is_new;
    if (kgen_expression_assign(evaluation, root, &slot, out, &is_new) != 0)
        return -1;
    if (slot.text != NULL)
        kgen_text_append(out, slot.text, slot.length);
    else if (!is_new)
        print_value(evaluation->expressions->nodes[root].kind, slot.value, out);
    return 0;
}
