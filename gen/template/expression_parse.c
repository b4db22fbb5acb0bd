/* SPDX-License-Identifier: MIT */
/* From the text of an expression to its tree. */
#include "gen/template/expression.h"

#include "gen/base/nearest.h"

#include <stdlib.h>
#include <string.h>

struct parser {
    struct kgen_expressions *expressions;
    struct kgen_cursor *cursor;
    int depth;
};

struct binary_operator {
    const char *text;
    int precedence; /* a greater one binds tighter */
    enum kgen_operator kind;
};

/* Those that begin with another one stand before it. */
static const struct binary_operator operators[] = {
    {"||", 1, KGEN_OR},         {"&&", 2, KGEN_AND},
    {"==", 6, KGEN_EQUAL},      {"!=", 6, KGEN_UNEQUAL},
    {"<<", 8, KGEN_SHIFT_LEFT}, {">>", 8, KGEN_SHIFT_RIGHT},
    {"<=", 7, KGEN_LESS_EQUAL}, {">=", 7, KGEN_GREATER_EQUAL},
    {"<", 7, KGEN_LESS},        {">", 7, KGEN_GREATER},
    {"|", 3, KGEN_BIT_OR},      {"^", 4, KGEN_BIT_XOR},
    {"&", 5, KGEN_BIT_AND},     {"+", 9, KGEN_ADD},
    {"-", 9, KGEN_SUBTRACT},    {"*", 10, KGEN_MULTIPLY},
    {"/", 10, KGEN_DIVIDE},     {"%", 10, KGEN_REMAINDER},
};

struct function {
    const char *name;
    int arguments;
    enum kgen_operator kind;
};

static const struct function functions[] = {
    {"min", 2, KGEN_MIN},           {"max", 2, KGEN_MAX}, {"abs", 1, KGEN_ABS},
    {"ceil_div", 2, KGEN_CEIL_DIV}, {"hex", 1, KGEN_HEX}, {"plus", 1, KGEN_PLUS},
};

int kgen_cursor_column(const struct kgen_cursor *cursor)
{
    return (int)(cursor->at - cursor->start) + 1;
}

void kgen_cursor_skip_blanks(struct kgen_cursor *cursor)
{
    while (cursor->at < cursor->end && (*cursor->at == ' ' || *cursor->at == '\t'))
        cursor->at++;
}

bool kgen_cursor_take(struct kgen_cursor *cursor, char character)
{
    kgen_cursor_skip_blanks(cursor);
    if (cursor->at == cursor->end || *cursor->at != character)
        return false;
    cursor->at++;
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

size_t kgen_cursor_take_name(struct kgen_cursor *cursor, const char **name)
{
    kgen_cursor_skip_blanks(cursor);
    *name = cursor->at;
    if (cursor->at < cursor->end && is_name_start(*cursor->at)) {
        while (cursor->at < cursor->end && (is_name_start(*cursor->at) || is_digit(*cursor->at)))
            cursor->at++;
    }
    return (size_t)(cursor->at - *name);
}

int kgen_cursor_take_keyword(struct kgen_cursor *cursor, const char *keyword, const char *expected)
{
    struct kgen_cursor ahead = *cursor;
    const char *name;
    size_t length = kgen_cursor_take_name(&ahead, &name);
    if (length != strlen(keyword) || memcmp(name, keyword, length) != 0)
        return kgen_cursor_unexpected(cursor, expected);
    *cursor = ahead;
    return 0;
}

int kgen_cursor_unexpected(struct kgen_cursor *cursor, const char *expected)
{
    kgen_cursor_skip_blanks(cursor);
    int column = kgen_cursor_column(cursor);
    if (cursor->at == cursor->end)
        return kgen_error_set(cursor->error, KGEN_ERROR_TEMPLATE, cursor->source, cursor->line, column,
                              "expected %s, found the end of the line", expected);
    struct kgen_cursor rest = *cursor;
    const char *name;
    size_t length = kgen_cursor_take_name(&rest, &name);
    unsigned char character = (unsigned char)*cursor->at;
    if (length == 0 && (character < 0x20 || character > 0x7e))
        return kgen_error_set(cursor->error, KGEN_ERROR_TEMPLATE, cursor->source, cursor->line, column,
                              "expected %s, found the byte 0x%02x", expected, (unsigned)character);
    length = length == 0 ? 1 : length;
    kgen_error_set(cursor->error, KGEN_ERROR_TEMPLATE, cursor->source, cursor->line, column,
                   "expected %s, found '%.*s'", expected, (int)(length > 63 ? 63 : length), cursor->at);
    if (character == '=')
        kgen_error_hint(cursor->error, "values are compared with ==");
    return -1;
}

static const struct function *find_function(const char *name, size_t length)
{
    for (size_t i = 0; i < KGEN_COUNT_OF(functions); i++) {
        if (strlen(functions[i].name) == length && memcmp(functions[i].name, name, length) == 0)
            return &functions[i];
    }
    return NULL;
}

bool kgen_expression_is_function(const char *name, size_t length)
{
    return find_function(name, length) != NULL;
}

static int32_t fail(const struct parser *parser, int column, const char *message)
{
    kgen_error_set(parser->cursor->error, KGEN_ERROR_TEMPLATE, parser->cursor->source, parser->cursor->line,
                   column, "%s", message);
    return KGEN_ABSENT;
}

static int32_t fail_memory(const struct parser *parser)
{
    kgen_error_set(parser->cursor->error, KGEN_ERROR_MEMORY, parser->cursor->source, 0, 0, "out of memory");
    return KGEN_ABSENT;
}

static int32_t fail_depth(const struct parser *parser, int column)
{
    kgen_error_set(parser->cursor->error, KGEN_ERROR_TEMPLATE, parser->cursor->source, parser->cursor->line,
                   column, "the expression is nested more than %d deep", KGEN_EXPRESSION_DEPTH);
    kgen_error_hint(parser->cursor->error, "name parts of it with $let");
    return KGEN_ABSENT;
}

static int32_t fail_table(const struct kgen_cursor *cursor, int column)
{
    kgen_error_set(cursor->error, KGEN_ERROR_TEMPLATE, cursor->source, cursor->line, column,
                   "an entry of a table is text, which can only be printed");
    kgen_error_hint(cursor->error, "write it in a ${...} of its own");
    return KGEN_ABSENT;
}

static int32_t fail_text(const struct kgen_cursor *cursor, int column)
{
    kgen_error_set(cursor->error, KGEN_ERROR_TEMPLATE, cursor->source, cursor->line, column,
                   "a text can only be printed, or be given a name by $let");
    return KGEN_ABSENT;
}

/* Adds a node whose operands are parsed; an operand that failed makes it fail. */
static int32_t add_node(struct parser *parser, struct kgen_expression_node node, int operands)
{
    struct kgen_expressions *pool = parser->expressions;
    const int32_t operand[3] = {node.a, node.b, node.c};
    node.depth = 1;
    for (int i = 0; i < operands; i++) {
        if (operand[i] == KGEN_ABSENT)
            return KGEN_ABSENT;
        const struct kgen_expression_node *child = &pool->nodes[operand[i]];
        if (child->kind == KGEN_ENTRY)
            return fail_table(parser->cursor, child->column);
        if (child->kind == KGEN_TEXT && (node.kind != KGEN_CONDITIONAL || i == 0))
            return fail_text(parser->cursor, child->column);
        if (child->depth >= node.depth)
            node.depth = child->depth + 1;
    }
    if (node.depth > KGEN_EXPRESSION_DEPTH)
        return fail_depth(parser, node.column);
    if (pool->count >= INT32_MAX ||
        !kgen_array_reserve((void **)&pool->nodes, pool->count, &pool->capacity, sizeof *pool->nodes))
        return fail_memory(parser);
    pool->nodes[pool->count] = node;
    return (int32_t)pool->count++;
}

static int32_t parse_conditional(struct parser *parser);

/* Adds one piece of a text: its characters, and the expression after them or KGEN_ABSENT. */
static int32_t add_piece(struct parser *parser, const char *start, const char *end, int column,
                         int32_t printed)
{
    int32_t index = add_node(parser,
                             (struct kgen_expression_node){.kind = KGEN_TEXT,
                                                           .column = column,
                                                           .start = start,
                                                           .value = end - start,
                                                           .a = printed,
                                                           .b = KGEN_ABSENT},
                             0);
    if (index == KGEN_ABSENT || printed == KGEN_ABSENT)
        return index;
    struct kgen_expression_node *piece = &parser->expressions->nodes[index];
    piece->depth = parser->expressions->nodes[printed].depth + 1;
    return piece->depth > KGEN_EXPRESSION_DEPTH ? fail_depth(parser, column) : index;
}

/* Reads pieces up to the end of the cursor, which is that of the text. */
static int32_t parse_pieces(struct parser *parser, int column)
{
    struct kgen_cursor *cursor = parser->cursor;
    int32_t first = KGEN_ABSENT, last = KGEN_ABSENT;
    for (;;) {
        const char *start = cursor->at;
        while (cursor->at < cursor->end && *cursor->at != '$')
            cursor->at++;
        const char *end = cursor->at;
        int32_t printed = KGEN_ABSENT;
        if (cursor->at < cursor->end) {
            if (cursor->at + 1 == cursor->end || cursor->at[1] != '{')
                return fail(parser, kgen_cursor_column(cursor), "a '$' in a text stands before '{'");
            cursor->at += 2;
            printed = parse_conditional(parser);
            if (printed == KGEN_ABSENT)
                return KGEN_ABSENT;
            if (!kgen_cursor_take(cursor, '}')) {
                kgen_cursor_unexpected(cursor, "'}' or an operator");
                return KGEN_ABSENT;
            }
        }
        int32_t piece = add_piece(parser, start, end, column, printed);
        if (piece == KGEN_ABSENT)
            return KGEN_ABSENT;
        if (last == KGEN_ABSENT)
            first = piece;
        else
            parser->expressions->nodes[last].b = piece;
        last = piece;
        if (cursor->at == cursor->end && printed == KGEN_ABSENT)
            return first;
    }
}

/* A text in double quotes; it ends at the next quote, so its ${...} hold no text. */
static int32_t parse_text(struct parser *parser)
{
    struct kgen_cursor *cursor = parser->cursor;
    const int column = kgen_cursor_column(cursor);
    const char *line_end = cursor->end;
    cursor->at++;
    cursor->end = memchr(cursor->at, '"', (size_t)(line_end - cursor->at));
    if (cursor->end == NULL) {
        cursor->end = line_end;
        return fail(parser, column, "the text has no closing quote on this line");
    }
    int32_t text = parse_pieces(parser, column);
    if (text != KGEN_ABSENT)
        cursor->at = cursor->end + 1;
    cursor->end = line_end;
    return text;
}

static int digit_value(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 16;
}

static int32_t parse_literal(struct parser *parser)
{
    struct kgen_cursor *cursor = parser->cursor;
    int column = kgen_cursor_column(cursor);
    int base = 10;
    const char *first = cursor->at;
    if (*first == '0' && cursor->end - first > 1 && (first[1] == 'x' || first[1] == 'X')) {
        base = 16;
        cursor->at += 2;
    } else if (*first == '0' && cursor->end - first > 1 && is_digit(first[1])) {
        return fail(parser, column, "a decimal number does not begin with 0");
    }
    const char *digits = cursor->at;
    int64_t value = 0;
    for (; cursor->at < cursor->end && digit_value(*cursor->at) < base; cursor->at++) {
        if (__builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, digit_value(*cursor->at), &value))
            return fail(parser, column, "the number does not fit in 64 bits");
    }
    if (cursor->at == digits ||
        (cursor->at < cursor->end && (is_name_start(*cursor->at) || is_digit(*cursor->at))))
        return fail(parser, column, "a number is decimal or 0x and hexadecimal digits, without a suffix");
    return add_node(parser,
                    (struct kgen_expression_node){.kind = KGEN_LITERAL, .column = column, .value = value}, 0);
}

static int32_t parse_call(struct parser *parser, const char *name, size_t length, int column)
{
    struct kgen_cursor *cursor = parser->cursor;
    const struct function *function = find_function(name, length);
    if (function == NULL) {
        kgen_error_set(cursor->error, KGEN_ERROR_TEMPLATE, cursor->source, cursor->line, column,
                       "unknown function '%.*s'", (int)(length > 63 ? 63 : length), name);
        struct kgen_nearest nearest;
        kgen_nearest_start(&nearest, name, length);
        for (size_t i = 0; i < KGEN_COUNT_OF(functions); i++)
            kgen_nearest_offer(&nearest, functions[i].name, strlen(functions[i].name));
        kgen_nearest_hint(&nearest, cursor->error);
        kgen_error_hint(cursor->error, "the functions are min, max, abs, ceil_div, hex and plus");
        return KGEN_ABSENT;
    }
    int32_t argument[2] = {KGEN_ABSENT, KGEN_ABSENT};
    for (int i = 0; i < function->arguments; i++) {
        argument[i] = parse_conditional(parser);
        if (argument[i] == KGEN_ABSENT)
            return KGEN_ABSENT;
        bool last = i + 1 == function->arguments;
        if (!kgen_cursor_take(cursor, last ? ')' : ',')) {
            kgen_cursor_unexpected(cursor, last ? "')'" : "','");
            return KGEN_ABSENT;
        }
    }
    struct kgen_expression_node node = {
        .kind = function->kind, .column = column, .a = argument[0], .b = argument[1]};
    return add_node(parser, node, function->arguments);
}

static int32_t parse_name(struct parser *parser)
{
    struct kgen_cursor *cursor = parser->cursor;
    int column = kgen_cursor_column(cursor);
    const char *name;
    size_t length = kgen_cursor_take_name(cursor, &name);
    if (kgen_cursor_take(cursor, '('))
        return parse_call(parser, name, length, column);
    if (find_function(name, length) != NULL) {
        kgen_cursor_unexpected(cursor, "'(' after the name of a function");
        return KGEN_ABSENT;
    }
    struct kgen_expression_node node = {.kind = KGEN_NAME, .column = column};
    node.name = kgen_names_add(&parser->expressions->names, name, length);
    if (node.name == KGEN_ABSENT)
        return fail_memory(parser);
    if (!kgen_cursor_take(cursor, '['))
        return add_node(parser, node, 0);
    node.kind = KGEN_ENTRY;
    node.a = parse_conditional(parser);
    if (node.a != KGEN_ABSENT && !kgen_cursor_take(cursor, ']')) {
        kgen_cursor_unexpected(cursor, "']'");
        return KGEN_ABSENT;
    }
    return add_node(parser, node, 1);
}

static int32_t parse_unary(struct parser *parser)
{
    struct kgen_cursor *cursor = parser->cursor;
    kgen_cursor_skip_blanks(cursor);
    int column = kgen_cursor_column(cursor);
    if (parser->depth == KGEN_EXPRESSION_DEPTH)
        return fail_depth(parser, column);
    char next = cursor->at < cursor->end ? *cursor->at : '\0';
    parser->depth++;
    int32_t node = KGEN_ABSENT;
    if (is_name_start(next)) {
        node = parse_name(parser);
    } else if (is_digit(next)) {
        node = parse_literal(parser);
    } else if (next == '"') {
        node = parse_text(parser);
    } else if (next == '!' || next == '~' || next == '-') {
        cursor->at++;
        enum kgen_operator kind = next == '!' ? KGEN_NOT : next == '~' ? KGEN_INVERT : KGEN_NEGATE;
        int32_t operand = parse_unary(parser);
        node =
            add_node(parser, (struct kgen_expression_node){.kind = kind, .column = column, .a = operand}, 1);
    } else if (next == '(') {
        cursor->at++;
        node = parse_conditional(parser);
        if (node != KGEN_ABSENT && !kgen_cursor_take(cursor, ')')) {
            kgen_cursor_unexpected(cursor, "')' or an operator");
            node = KGEN_ABSENT;
        }
    } else {
        kgen_cursor_unexpected(cursor, "a number, a name or '('");
    }
    parser->depth--;
    return node;
}

static const struct binary_operator *next_operator(struct kgen_cursor *cursor)
{
    kgen_cursor_skip_blanks(cursor);
    size_t left = (size_t)(cursor->end - cursor->at);
    for (size_t i = 0; i < KGEN_COUNT_OF(operators); i++) {
        size_t length = strlen(operators[i].text);
        if (length <= left && memcmp(cursor->at, operators[i].text, length) == 0)
            return &operators[i];
    }
    return NULL;
}

/* Operands joined by operators of at least this precedence. */
static int32_t parse_binary(struct parser *parser, int precedence)
{
    int32_t left = parse_unary(parser);
    while (left != KGEN_ABSENT) {
        const struct binary_operator *next = next_operator(parser->cursor);
        if (next == NULL || next->precedence < precedence)
            break;
        struct kgen_expression_node node = {.kind = next->kind, .a = left};
        node.column = kgen_cursor_column(parser->cursor);
        parser->cursor->at += strlen(next->text);
        node.b = parse_binary(parser, next->precedence + 1);
        left = add_node(parser, node, 2);
    }
    return left;
}

static int32_t parse_conditional(struct parser *parser)
{
    int32_t condition = parse_binary(parser, 1);
    kgen_cursor_skip_blanks(parser->cursor);
    int column = kgen_cursor_column(parser->cursor);
    if (condition == KGEN_ABSENT || !kgen_cursor_take(parser->cursor, '?'))
        return condition;
    if (parser->depth == KGEN_EXPRESSION_DEPTH)
        return fail_depth(parser, column);
    parser->depth++;
    struct kgen_expression_node node = {.kind = KGEN_CONDITIONAL, .column = column, .a = condition};
    node.b = parse_conditional(parser);
    node.c = KGEN_ABSENT;
    if (node.b != KGEN_ABSENT) {
        if (kgen_cursor_take(parser->cursor, ':'))
            node.c = parse_conditional(parser);
        else
            kgen_cursor_unexpected(parser->cursor, "':'");
    }
    parser->depth--;
    return add_node(parser, node, 3);
}

int32_t kgen_expression_parse(struct kgen_expressions *expressions, struct kgen_cursor *cursor,
                              bool printable)
{
    struct parser parser = {.expressions = expressions, .cursor = cursor};
    int32_t root = parse_conditional(&parser);
    if (root == KGEN_ABSENT || printable)
        return root;
    const struct kgen_expression_node *node = &expressions->nodes[root];
    if (node->kind == KGEN_ENTRY)
        return fail_table(cursor, node->column);
    return node->kind == KGEN_TEXT ? fail_text(cursor, node->column) : root;
}

int32_t kgen_expression_parse_text(struct kgen_expressions *expressions, struct kgen_cursor *cursor)
{
    struct parser parser = {.expressions = expressions, .cursor = cursor};
    kgen_cursor_skip_blanks(cursor);
    if (cursor->at < cursor->end && *cursor->at == '"')
        return parse_text(&parser);
    kgen_cursor_unexpected(cursor, "a text in double quotes");
    return KGEN_ABSENT;
}
