/* SPDX-License-Identifier: MIT */
/* Tokens of C, the literals among them, and errors at a token. */
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

/* Skips blanks and comments. A comment that does not end is not skipped. */
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

/* A text being read. */
struct reader {
    const char *next;
    const char *line_start;
    int line;
    bool line_is_blank; /* up to next */
};

/* Moves the reader to p, counting lines. */
static void advance(struct reader *reader, const char *p)
{
    for (; reader->next < p; reader->next++) {
        if (*reader->next == '\n') {
            reader->line++;
            reader->line_start = reader->next + 1;
            reader->line_is_blank = true;
        }
    }
}

/* Fills in the kind and the length of the token at p. */
static void classify(const char *p, bool line_is_blank, struct kgen_token *token)
{
    if (*p == '\0') {
        token->kind = KGEN_TOKEN_END;
    } else if (*p == '#' && line_is_blank) {
        token->kind = KGEN_TOKEN_DIRECTIVE;
        token->length = directive_length(p);
    } else if (is_name_start(*p)) {
        token->kind = KGEN_TOKEN_NAME;
        while (is_name_start(p[token->length]) || is_digit(p[token->length]))
            token->length++;
    } else if (is_digit(*p) || (*p == '.' && is_digit(p[1]))) {
        token->kind = KGEN_TOKEN_NUMBER;
        token->length = number_length(p);
    } else if (*p == '"' || *p == '\'') {
        token->kind = KGEN_TOKEN_STRING;
        token->length = string_length(p);
    } else {
        token->kind = KGEN_TOKEN_SIGN;
        token->length = sign_length(p);
    }
}

int kgen_tokenize(struct kgen_lowering *lowering, const char *text)
{
    struct reader reader = {text, text, 1, true};
    struct kgen_token token;
    do {
        advance(&reader, skip_blanks(reader.next));
        token = (struct kgen_token){
            .start = reader.next, .line = reader.line, .column = (int)(reader.next - reader.line_start) + 1};
        classify(reader.next, reader.line_is_blank, &token);
        const bool comment = token.start[0] == '/' && token.start[1] == '*';
        if (comment || (token.kind == KGEN_TOKEN_STRING && token.length == 0))
            return kgen_error_set(lowering->error, KGEN_ERROR_TEMPLATE, lowering->source, token.line,
                                  token.column, "this %s does not end", comment ? "comment" : "literal");
        if (add_token(lowering, token) != 0)
            return -1;
        advance(&reader, token.start + token.length);
        reader.line_is_blank = false;
    } while (token.kind != KGEN_TOKEN_END);
    return 0;
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

char kgen_token_sign(const struct kgen_lowering *lowering, int token)
{
    const struct kgen_token *t = &lowering->tokens.items[token];
    return t->kind == KGEN_TOKEN_SIGN && t->length == 1 ? *t->start : '\0';
}

int kgen_token_matching(struct kgen_lowering *lowering, int open)
{
    int depth = 0;
    for (int i = open; lowering->tokens.items[i].kind != KGEN_TOKEN_END; i++) {
        char sign = kgen_token_sign(lowering, i);
        if (sign == '(' || sign == '[' || sign == '{')
            depth++;
        else if ((sign == ')' || sign == ']' || sign == '}') && --depth == 0)
            return i;
    }
    return kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, open, "this bracket is not closed");
}

bool kgen_read_integer(const struct kgen_lowering *lowering, struct kgen_span span, int64_t *value)
{
    bool negative = span.end - span.begin == 2 && kgen_token_sign(lowering, span.begin) == '-';
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

bool kgen_read_float(const struct kgen_lowering *lowering, struct kgen_span span, float *value)
{
    bool has_sign =
        kgen_token_sign(lowering, span.begin) == '-' || kgen_token_sign(lowering, span.begin) == '+';
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
    if (kgen_token_sign(lowering, span.begin) == '-')
        *value = -*value;
    return end == token->start + token->length;
}

int kgen_token_list_add(struct kgen_lowering *lowering, struct kgen_token_list *list, int token)
{
    if (list->count == list->capacity) {
        int capacity = list->capacity == 0 ? 32 : list->capacity * 2;
        int *items = realloc(list->items, (size_t)capacity * sizeof *items);
        if (items == NULL) {
            lowering->failed = true;
            return kgen_error_set(lowering->error, KGEN_ERROR_MEMORY, lowering->source, 0, 0,
                                  "out of memory");
        }
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = token;
    return 0;
}
