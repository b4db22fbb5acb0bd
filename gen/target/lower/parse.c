/* SPDX-License-Identifier: MIT */
/* Tokens, and the tree of one vector statement. */
#include "gen/target/lower/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int kgen_lower_error(struct kgen_lowering *lowering, enum kgen_error_code code, int token, const char *format,
                     ...)
{
    char message[sizeof lowering->error->message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    const struct kgen_token *place = &lowering->tokens.items[token];
    lowering->failed = true;
    return kgen_error_set(lowering->error, code, lowering->source, place->line, place->column, "%s", message);
}

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Where blanks and comments from p on end: at the start of a comment that does not end. */
static const char *skip_blanks(const char *p)
{
    for (;;) {
        while (*p == ' ' || (*p >= '\t' && *p <= '\r') || (p[0] == '\\' && p[1] == '\n'))
            p++;
        if (p[0] == '/' && p[1] == '/') {
            p += strcspn(p, "\n");
        } else if (p[0] == '/' && p[1] == '*') {
            const char *end = strstr(p + 2, "*/");
            if (end == NULL)
                return p;
            p = end + 2;
        } else {
            return p;
        }
    }
}

static int number_length(const char *p)
{
    const char *start = p;
    while (
        is_name_start(*p) || is_digit(*p) || *p == '.' ||
        ((*p == '+' || *p == '-') && (strchr("pP", p[-1]) != NULL ||
                                      (strchr("eE", p[-1]) != NULL && start[1] != 'x' && start[1] != 'X'))))
        p++;
    return (int)(p - start);
}

static int string_length(const char *p)
{
    const char quote = *p;
    const char *start = p++;
    while (*p != quote && *p != '\0' && *p != '\n')
        p += p[0] == '\\' && p[1] != '\0' ? 2 : 1;
    return *p == quote ? (int)(p + 1 - start) : 0;
}

static int directive_length(const char *p)
{
    const char *start = p;
    while (*p != '\0' && *p != '\n')
        p += p[0] == '\\' && p[1] != '\0' ? 2 : 1;
    return (int)(p - start);
}

static int sign_length(const char *p)
{
    bool twice = p[1] == p[0];
    switch (p[0]) {
    case '<':
    case '>':
        return twice && p[2] == '=' ? 3 : twice || p[1] == '=' ? 2 : 1;
    case '-':
        return twice || p[1] == '=' || p[1] == '>' ? 2 : 1;
    case '+':
    case '&':
    case '|':
    case '=':
        return twice || p[1] == '=' ? 2 : 1;
    case '*':
    case '/':
    case '%':
    case '^':
    case '!':
        return p[1] == '=' ? 2 : 1;
    case '.':
        return twice && p[2] == '.' ? 3 : 1;
    default:
        return 1;
    }
}

static int add_token(struct kgen_lowering *lowering, struct kgen_token token)
{
    struct kgen_tokens *tokens = &lowering->tokens;
    if (tokens->count == tokens->capacity) {
        int capacity = tokens->capacity == 0 ? 4096 : tokens->capacity * 2;
        struct kgen_token *items = realloc(tokens->items, (size_t)capacity * sizeof *items);
        if (items == NULL)
            return kgen_error_set(lowering->error, KGEN_ERROR_MEMORY, lowering->source, 0, 0,
                                  "out of memory");
        tokens->items = items;
        tokens->capacity = capacity;
    }
    tokens->items[tokens->count++] = token;
    return 0;
}

int kgen_tokenize(struct kgen_lowering *lowering, const char *text)
{
    const char *p = text, *line_start = text;
    int line = 1;
    bool line_is_blank = true; /* so far */
    for (;;) {
        const char *next = skip_blanks(p);
        struct kgen_token token = {.start = next};
        for (const char *c = p; c < next; c++) {
            if (*c == '\n') {
                line++;
                line_start = c + 1;
                line_is_blank = true;
            }
        }
        token.line = line;
        token.column = (int)(next - line_start) + 1;
        if (next[0] == '/' && next[1] == '*')
            return kgen_error_set(lowering->error, KGEN_ERROR_TEMPLATE, lowering->source, line, token.column,
                                  "this comment does not end");
        if (*next == '\0') {
            token.kind = KGEN_TOKEN_END;
        } else if (*next == '#' && line_is_blank) {
            token.kind = KGEN_TOKEN_DIRECTIVE;
            token.length = directive_length(next);
        } else if (is_name_start(*next)) {
            token.kind = KGEN_TOKEN_NAME;
            while (is_name_start(next[token.length]) || is_digit(next[token.length]))
                token.length++;
        } else if (is_digit(*next) || (*next == '.' && is_digit(next[1]))) {
            token.kind = KGEN_TOKEN_NUMBER;
            token.length = number_length(next);
        } else if (*next == '"' || *next == '\'') {
            token.kind = KGEN_TOKEN_STRING;
            token.length = string_length(next);
            if (token.length == 0)
                return kgen_error_set(lowering->error, KGEN_ERROR_TEMPLATE, lowering->source, line,
                                      token.column, "this literal does not end");
        } else {
            token.kind = KGEN_TOKEN_SIGN;
            token.length = sign_length(next);
        }
        for (int i = 0; i < token.length; i++) {
            if (next[i] == '\n') {
                line++;
                line_start = next + i + 1;
            }
        }
        line_is_blank = false;
        if (add_token(lowering, token) != 0)
            return -1;
        if (token.kind == KGEN_TOKEN_END)
            return 0;
        p = next + token.length;
    }
}

bool kgen_token_is(const struct kgen_lowering *lowering, int token, const char *text)
{
    const struct kgen_token *t = &lowering->tokens.items[token];
    if (t->length == 0 || *t->start != *text)
        return false;
    return strncmp(t->start, text, (size_t)t->length) == 0 && text[t->length] == '\0';
}

bool kgen_tokens_equal(const struct kgen_lowering *lowering, int a, int b)
{
    const struct kgen_token *s = &lowering->tokens.items[a], *t = &lowering->tokens.items[b];
    return s->length == t->length && *s->start == *t->start &&
           memcmp(s->start, t->start, (size_t)s->length) == 0;
}

static char sign_of(const struct kgen_lowering *lowering, int token)
{
    const struct kgen_token *t = &lowering->tokens.items[token];
    return t->kind == KGEN_TOKEN_SIGN && t->length == 1 ? *t->start : '\0';
}

int kgen_matching(struct kgen_lowering *lowering, int open)
{
    int depth = 0;
    for (int i = open; lowering->tokens.items[i].kind != KGEN_TOKEN_END; i++) {
        char sign = sign_of(lowering, i);
        if (sign == '(' || sign == '[' || sign == '{')
            depth++;
        else if ((sign == ')' || sign == ']' || sign == '}') && --depth == 0)
            return i;
    }
    return kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, open, "this bracket is not closed");
}

int kgen_find_variable(const struct kgen_lowering *lowering, int token)
{
    for (int i = lowering->variable_count - 1; i >= 0; i--) {
        if (kgen_tokens_equal(lowering, lowering->variables[i].token, token))
            return i;
    }
    return -1;
}

static struct kgen_node *new_node(struct kgen_lowering *lowering, enum kgen_node_kind kind, int token)
{
    if (lowering->node_count == KGEN_NODE_MAX) {
        kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, token, "this vector statement is too long");
        return NULL;
    }
    struct kgen_node *node = &lowering->nodes[lowering->node_count++];
    *node = (struct kgen_node){.kind = kind, .token = token};
    return node;
}

bool kgen_read_integer(const struct kgen_lowering *lowering, struct kgen_span span, int64_t *value)
{
    bool negative = span.end - span.begin == 2 && sign_of(lowering, span.begin) == '-';
    if (span.end - span.begin != (negative ? 2 : 1))
        return false;
    const struct kgen_token *token = &lowering->tokens.items[span.end - 1];
    if (token->kind != KGEN_TOKEN_NUMBER)
        return false;
    char *end;
    unsigned long long magnitude = strtoull(token->start, &end, 0);
    while (end < token->start + token->length && strchr("uUlL", *end) != NULL)
        end++;
    if (end != token->start + token->length || magnitude > INT64_MAX)
        return false;
    *value = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    return true;
}

static bool read_float(const struct kgen_lowering *lowering, struct kgen_span span, float *value)
{
    bool has_sign = sign_of(lowering, span.begin) == '-' || sign_of(lowering, span.begin) == '+';
    if (span.end - span.begin != (has_sign ? 2 : 1))
        return false;
    const struct kgen_token *token = &lowering->tokens.items[span.end - 1];
    if (token->kind != KGEN_TOKEN_NUMBER)
        return false;
    char *end;
    *value = strtof(token->start, &end);
    if (end == token->start + token->length - 1 && (*end == 'f' || *end == 'F')) {
        end++;
    } else {
        *value = (float)strtod(token->start, &end);
    }
    if (sign_of(lowering, span.begin) == '-')
        *value = -*value;
    return end == token->start + token->length;
}

/* Whether the operators outside of brackets bind no weaker than `+`. */
static bool is_sum(const struct kgen_lowering *lowering, struct kgen_span span)
{
    int depth = 0;
    for (int i = span.begin; i < span.end; i++) {
        const struct kgen_token *token = &lowering->tokens.items[i];
        char c = sign_of(lowering, i);
        if (c == '(' || c == '[')
            depth++;
        else if (c == ')' || c == ']')
            depth--;
        else if (depth == 0 && token->kind == KGEN_TOKEN_SIGN &&
                 !(token->length == 1 && strchr("+-*/%.&", c)) && !kgen_token_is(lowering, i, "->") &&
                 !kgen_token_is(lowering, i, "++") && !kgen_token_is(lowering, i, "--"))
            return false;
    }
    return true;
}

/* Whether a token is `+` or `-` between two operands of the span. */
static bool is_binary_sign(const struct kgen_lowering *lowering, struct kgen_span span, int token)
{
    char sign = sign_of(lowering, token);
    if (token <= span.begin || (sign != '+' && sign != '-'))
        return false;
    const struct kgen_token *before = &lowering->tokens.items[token - 1];
    char last = sign_of(lowering, token - 1);
    return before->kind == KGEN_TOKEN_NAME || before->kind == KGEN_TOKEN_NUMBER || last == ')' || last == ']';
}

static bool read_offset(const struct kgen_lowering *lowering, int token, int64_t *offset)
{
    return kgen_read_integer(lowering, (struct kgen_span){token, token + 1}, offset) &&
           *offset <= KGEN_OFFSET_MAX;
}

/* Takes `+ 64` or `- 64` off the end of a span. */
static bool take_literal(const struct kgen_lowering *lowering, struct kgen_span *span, int64_t *literal)
{
    int64_t offset;
    const int sign = span->end - 2;
    if (!is_binary_sign(lowering, *span, sign) || !read_offset(lowering, sign + 1, &offset))
        return false;
    *literal += sign_of(lowering, sign) == '-' ? -offset : offset;
    span->end = sign;
    return true;
}

/* Takes `+ i`, `+ i * 4` or `+ 4 * i` off the end of a span, where i is the name at token variable. */
static bool take_variable(const struct kgen_lowering *lowering, struct kgen_span *span, int variable,
                          int64_t *scale)
{
    int64_t factor = 1;
    const int last = span->end - 1, first = sign_of(lowering, last - 1) == '*' ? last - 2 : last;
    const bool is_first = kgen_tokens_equal(lowering, first, variable);
    const bool is_last = kgen_tokens_equal(lowering, last, variable);
    if (!is_binary_sign(lowering, *span, first - 1) || sign_of(lowering, first - 1) != '+' ||
        (!is_first && !is_last))
        return false;
    if (first != last && !read_offset(lowering, is_first ? last : first, &factor))
        return false;
    *scale += factor;
    span->end = first - 1;
    return true;
}

void kgen_split_address(const struct kgen_lowering *lowering, struct kgen_span *span, int variable,
                        int64_t *literal, int64_t *scale)
{
    *literal = *scale = 0;
    if (!is_sum(lowering, *span))
        return;
    while (*literal <= KGEN_OFFSET_MAX && *literal >= -KGEN_OFFSET_MAX && *scale <= KGEN_OFFSET_MAX &&
           (take_literal(lowering, span, literal) ||
            (variable >= 0 && take_variable(lowering, span, variable, scale))))
        ;
}

/* The C expression from begin to the comma or bracket that ends it. */
static struct kgen_node *parse_c(struct kgen_lowering *lowering, const struct kgen_operation *operation,
                                 char type, int begin, int *end)
{
    int depth = 0, i = begin;
    for (; lowering->tokens.items[i].kind != KGEN_TOKEN_END; i++) {
        char sign = sign_of(lowering, i);
        if (depth == 0 && (sign == ',' || sign == ')'))
            break;
        if (sign == '(' || sign == '[')
            depth++;
        else if (sign == ')' || sign == ']')
            depth--;
        else if (sign == ';' || sign == '{' || sign == '}')
            break;
    }
    struct kgen_node *node = new_node(lowering, KGEN_NODE_C, begin);
    if (node == NULL)
        return NULL;
    *end = i;
    node->span = (struct kgen_span){begin, i};
    node->type = type;
    node->element = operation->element;
    if (i == begin) {
        kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, begin, "%s wants an argument here", operation->name);
        return NULL;
    }
    if (type == KGEN_TYPE_LITERAL) {
        node->is_literal = read_float(lowering, node->span, &node->number);
        if (!node->is_literal)
            kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, begin, "%s wants a float literal",
                             operation->name);
    } else if (type == KGEN_TYPE_POINTER) {
        int64_t scale;
        kgen_split_address(lowering, &node->span, -1, &node->literal, &scale);
    } else {
        node->is_literal = kgen_read_integer(lowering, node->span, &node->literal);
        int64_t low = type == KGEN_TYPE_VALUE ? INT32_MIN : 0, high = operation->width - 1;
        if (type == KGEN_TYPE_VALUE)
            high = UINT32_MAX;
        else if (type == KGEN_TYPE_COUNT)
            high = lowering->lanes;
        if (type == KGEN_TYPE_IMMEDIATE && !node->is_literal)
            kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, begin, "%s wants an integer literal",
                             operation->name);
        else if (node->is_literal && (node->literal < low || node->literal > high))
            kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, begin, "%lld is not from %lld to %lld",
                             (long long)node->literal, (long long)low, (long long)high);
    }
    if (!node->is_literal)
        kgen_c_expression(lowering, node->span);
    return lowering->failed ? NULL : node;
}

static const char *type_name(char type)
{
    return type == KGEN_TYPE_F32 ? "a kv_f32" : type == KGEN_TYPE_INT ? "a kv_int" : "nothing";
}

static const struct kgen_node *parse_call(struct kgen_lowering *lowering,
                                          const struct kgen_operation *operation, int begin, int *end)
{
    struct kgen_node *node = new_node(lowering, KGEN_NODE_CALL, begin);
    if (node == NULL)
        return NULL;
    node->operation = operation;
    int expected = (int)strlen(operation->args), i = begin + 2;
    for (int k = 0; k < expected; k++) {
        char type = operation->args[k];
        const struct kgen_node *arg =
            type == KGEN_TYPE_F32 || type == KGEN_TYPE_INT
                ? sign_of(lowering, i) == ')' ? NULL : kgen_parse_expression(lowering, i, end)
                : parse_c(lowering, operation, type, i, end);
        if (lowering->failed)
            return NULL;
        if (arg == NULL) {
            kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, begin, "%s takes %d argument%s, not %d",
                             operation->name, expected, expected == 1 ? "" : "s", k);
            return NULL;
        }
        if (arg->kind != KGEN_NODE_C) {
            char given = arg->kind == KGEN_NODE_CALL ? arg->operation->result
                                                     : lowering->variables[arg->variable].type;
            if (given != type) {
                kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, arg->token,
                                 "argument %d of %s is %s, this is %s", k + 1, operation->name,
                                 type_name(type), type_name(given));
                return NULL;
            }
        }
        node->args[k] = arg;
        i = *end;
        char wanted = k == expected - 1 ? ')' : ',';
        if (sign_of(lowering, i) != wanted) {
            if (sign_of(lowering, i) == ',' || sign_of(lowering, i) == ')')
                kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, begin, "%s takes %d argument%s, not %s%d",
                                 operation->name, expected, expected == 1 ? "" : "s",
                                 wanted == ')' ? "more than " : "", k + 1);
            else
                kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, i, "expected '%c' in the arguments of %s",
                                 wanted, operation->name);
            return NULL;
        }
        i++;
    }
    if (expected == 0 && sign_of(lowering, i++) != ')') {
        kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, begin, "%s takes no argument", operation->name);
        return NULL;
    }
    *end = i;
    return node;
}

const struct kgen_node *kgen_parse_expression(struct kgen_lowering *lowering, int begin, int *end)
{
    const struct kgen_token *token = &lowering->tokens.items[begin];
    if (sign_of(lowering, begin) == '(') {
        const struct kgen_node *inner = kgen_parse_expression(lowering, begin + 1, end);
        if (inner != NULL && sign_of(lowering, *end) != ')') {
            kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, *end, "expected ')'");
            return NULL;
        }
        *end += 1;
        return inner;
    }
    if (token->kind == KGEN_TOKEN_NAME && sign_of(lowering, begin + 1) == '(') {
        const struct kgen_operation *operation = kgen_operation_find(token->start, (size_t)token->length);
        if (operation != NULL)
            return parse_call(lowering, operation, begin, end);
        kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, begin, "%.*s is not a vector operation",
                         token->length, token->start);
        kgen_operation_suggest(token->start, (size_t)token->length, lowering->error);
        return NULL;
    }
    int variable = token->kind == KGEN_TOKEN_NAME ? kgen_find_variable(lowering, begin) : -1;
    if (variable < 0) {
        kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, begin,
                         token->kind == KGEN_TOKEN_NAME
                             ? "%.*s is not a vector variable in scope"
                             : "expected a vector operation or variable before '%.*s'",
                         token->length, token->start);
        return NULL;
    }
    if (!lowering->variables[variable].assigned) {
        kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, begin, "%.*s has no value yet", token->length,
                         token->start);
        return NULL;
    }
    struct kgen_node *node = new_node(lowering, KGEN_NODE_VARIABLE, begin);
    if (node == NULL)
        return NULL;
    node->variable = variable;
    *end = begin + 1;
    return node;
}
