/* SPDX-License-Identifier: MIT */
/* The expression tree of one vector statement, and the addresses in it. */
#include "gen/target/lower/internal.h"

#include <string.h>

#define STATEMENT_TOKENS_MAX 8192

int kgen_find_variable(const struct kgen_lowering *lowering, int token)
{
    for (int i = lowering->variable_count - 1; i >= 0; i--) {
        if (kgen_tokens_equal(lowering, lowering->variables[i].token, token))
            return i;
    }
    return -1;
}

static struct kgen_vector_expr *new_expr(struct kgen_lowering *lowering, enum kgen_vector_expr_kind kind,
                                         int token)
{
    if (lowering->expr_count == KGEN_VECTOR_EXPR_MAX) {
        kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, token, "this vector statement is too long");
        return NULL;
    }
    struct kgen_vector_expr *expr = &lowering->exprs[lowering->expr_count++];
    *expr = (struct kgen_vector_expr){.kind = kind, .token = token};
    return expr;
}

/* Whether the operators outside of brackets bind no weaker than `+`. */
static bool is_sum(const struct kgen_lowering *lowering, struct kgen_span span)
{
    int depth = 0;
    for (int i = span.begin; i < span.end; i++) {
        const struct kgen_token *token = &lowering->tokens.items[i];
        char c = kgen_token_sign(lowering, i);
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
    char sign = kgen_token_sign(lowering, token);
    if (token <= span.begin || (sign != '+' && sign != '-'))
        return false;
    const struct kgen_token *before = &lowering->tokens.items[token - 1];
    char last = kgen_token_sign(lowering, token - 1);
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
    *literal += kgen_token_sign(lowering, sign) == '-' ? -offset : offset;
    span->end = sign;
    return true;
}

/* Takes `+ i`, `+ i * 4` or `+ 4 * i` off the end of a span, where i is the name at token variable. */
static bool take_variable(const struct kgen_lowering *lowering, struct kgen_span *span, int variable,
                          int64_t *scale)
{
    int64_t factor = 1;
    const int last = span->end - 1, first = kgen_token_sign(lowering, last - 1) == '*' ? last - 2 : last;
    const bool is_first = kgen_tokens_equal(lowering, first, variable);
    const bool is_last = kgen_tokens_equal(lowering, last, variable);
    if (!is_binary_sign(lowering, *span, first - 1) || kgen_token_sign(lowering, first - 1) != '+' ||
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

/* Finds the comma or bracket that ends the C expression from begin on. */
static int find_end(const struct kgen_lowering *lowering, int begin)
{
    int depth = 0, i = begin;
    for (; lowering->tokens.items[i].kind != KGEN_TOKEN_END; i++) {
        char sign = kgen_token_sign(lowering, i);
        if (depth == 0 && (sign == ',' || sign == ')'))
            break;
        if (sign == '(' || sign == '[')
            depth++;
        else if (sign == ')' || sign == ']')
            depth--;
        else if (sign == ';' || sign == '{' || sign == '}')
            break;
    }
    return i;
}

/* Reads an argument that is an integer, and checks the range of a literal. */
static void read_integer_argument(struct kgen_lowering *lowering, const struct kgen_vector_op *vector_op,
                                  struct kgen_vector_expr *expr)
{
    const int begin = expr->span.begin;
    int64_t low = 0, high = vector_op->immediate_limit - 1;
    if (expr->type == KGEN_TYPE_VALUE) {
        low = INT32_MIN;
        high = UINT32_MAX;
    } else if (expr->type == KGEN_TYPE_COUNT) {
        high = lowering->lanes;
    }
    expr->is_literal = kgen_read_integer(lowering, expr->span, &expr->literal);
    if (expr->type == KGEN_TYPE_IMMEDIATE && !expr->is_literal)
        kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, begin, "%s wants an integer literal",
                         vector_op->name);
    else if (expr->is_literal && (expr->literal < low || expr->literal > high))
        kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, begin, "%lld is not from %lld to %lld",
                         (long long)expr->literal, (long long)low, (long long)high);
}

/* Parses an argument that is a C expression. */
static const struct kgen_vector_expr *parse_c(struct kgen_lowering *lowering,
                                              const struct kgen_vector_op *vector_op, char type, int begin,
                                              int *end)
{
    struct kgen_vector_expr *expr = new_expr(lowering, KGEN_EXPR_C, begin);
    if (expr == NULL)
        return NULL;
    *end = find_end(lowering, begin);
    expr->span = (struct kgen_span){begin, *end};
    expr->type = type;
    expr->element_bytes = vector_op->element_bytes;
    if (*end == begin) {
        kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, begin, "%s wants an argument here", vector_op->name);
        return NULL;
    }
    if (type == KGEN_TYPE_POINTER) {
        int64_t scale;
        kgen_split_address(lowering, &expr->span, -1, &expr->literal, &scale);
    } else if (type == KGEN_TYPE_LITERAL) {
        expr->is_literal = kgen_read_float(lowering, expr->span, &expr->number);
        if (!expr->is_literal)
            kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, begin, "%s wants a float literal",
                             vector_op->name);
    } else {
        read_integer_argument(lowering, vector_op, expr);
    }
    if (!expr->is_literal)
        kgen_c_expression(lowering, expr->span);
    return lowering->failed ? NULL : expr;
}

char kgen_vector_expr_type(const struct kgen_lowering *lowering, const struct kgen_vector_expr *expr)
{
    return expr->kind == KGEN_EXPR_CALL       ? expr->vector_op->result
           : expr->kind == KGEN_EXPR_VARIABLE ? lowering->variables[expr->variable].type
                                              : expr->type;
}

const char *kgen_type_name(char type)
{
    return type == KGEN_TYPE_F32 ? "a kv_f32" : type == KGEN_TYPE_INT ? "a kv_int" : "no value";
}

/* Sets the error of a call that has another number of arguments than its vector operation. */
static void argument_count_error(struct kgen_lowering *lowering, const struct kgen_vector_op *vector_op,
                                 int token, const char *more, int given)
{
    const int expected = (int)strlen(vector_op->args);
    if (expected == 0)
        kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, token, "%s takes no argument", vector_op->name);
    else
        kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, token, "%s takes %d argument%s, not %s%d",
                         vector_op->name, expected, expected == 1 ? "" : "s", more, given);
}

/* Parses argument index of the call at a token, which begins at begin. */
static const struct kgen_vector_expr *parse_argument(struct kgen_lowering *lowering,
                                                     const struct kgen_vector_op *vector_op, int call,
                                                     int index, int begin, int *end)
{
    const char type = vector_op->args[index];
    if (type != KGEN_TYPE_F32 && type != KGEN_TYPE_INT)
        return parse_c(lowering, vector_op, type, begin, end);
    if (kgen_token_sign(lowering, begin) == ')') {
        argument_count_error(lowering, vector_op, call, "", index);
        return NULL;
    }
    const struct kgen_vector_expr *expr = kgen_vector_expr_parse(lowering, begin, end);
    if (expr != NULL && kgen_vector_expr_type(lowering, expr) != type) {
        kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, expr->token, "argument %d of %s is %s, this is %s",
                         index + 1, vector_op->name, kgen_type_name(type),
                         kgen_type_name(kgen_vector_expr_type(lowering, expr)));
        return NULL;
    }
    return expr;
}

static const struct kgen_vector_expr *parse_call(struct kgen_lowering *lowering,
                                                 const struct kgen_vector_op *vector_op, int begin, int *end)
{
    struct kgen_vector_expr *call = new_expr(lowering, KGEN_EXPR_CALL, begin);
    if (call == NULL)
        return NULL;
    call->vector_op = vector_op;
    const int expected = (int)strlen(vector_op->args);
    *end = begin + 2;
    for (int i = 0; i < expected; i++) {
        call->args[i] = parse_argument(lowering, vector_op, begin, i, *end, end);
        if (call->args[i] == NULL)
            return NULL;
        const char sign = kgen_token_sign(lowering, *end), wanted = i == expected - 1 ? ')' : ',';
        if (sign != wanted) {
            if (sign == ',' || sign == ')')
                argument_count_error(lowering, vector_op, begin, wanted == ')' ? "more than " : "", i + 1);
            else
                kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, *end, "expected '%c' in the arguments of %s",
                                 wanted, vector_op->name);
            return NULL;
        }
        *end += 1;
    }
    if (expected == 0 && kgen_token_sign(lowering, (*end)++) != ')') {
        argument_count_error(lowering, vector_op, begin, "", 0);
        return NULL;
    }
    return call;
}

static const struct kgen_vector_expr *parse_variable(struct kgen_lowering *lowering, int token, int *end)
{
    const struct kgen_token *name = &lowering->tokens.items[token];
    const int variable = name->kind == KGEN_TOKEN_NAME ? kgen_find_variable(lowering, token) : -1;
    if (variable < 0 || !lowering->variables[variable].assigned) {
        kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, token,
                         variable >= 0 ? "%.*s has no value yet"
                         : name->kind == KGEN_TOKEN_NAME
                             ? "%.*s is not a vector variable in scope"
                             : "expected a vector operation or variable before '%.*s'",
                         name->length, name->start);
        return NULL;
    }
    struct kgen_vector_expr *expr = new_expr(lowering, KGEN_EXPR_VARIABLE, token);
    if (expr != NULL)
        expr->variable = variable;
    *end = token + 1;
    return expr;
}

const struct kgen_vector_expr *kgen_vector_expr_parse(struct kgen_lowering *lowering, int begin, int *end)
{
    const struct kgen_token *token = &lowering->tokens.items[begin];
    /* Parsing recurses; this bounds its depth. */
    if (begin - lowering->statement > STATEMENT_TOKENS_MAX) {
        kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, begin, "this vector statement is too long");
        return NULL;
    }
    if (kgen_token_sign(lowering, begin) == '(') {
        const struct kgen_vector_expr *inner = kgen_vector_expr_parse(lowering, begin + 1, end);
        if (inner != NULL && kgen_token_sign(lowering, *end) != ')') {
            kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, *end, "expected ')'");
            return NULL;
        }
        *end += 1;
        return inner;
    }
    if (token->kind != KGEN_TOKEN_NAME || kgen_token_sign(lowering, begin + 1) != '(')
        return parse_variable(lowering, begin, end);
    const struct kgen_vector_op *vector_op = kgen_vector_op_find(token->start, (size_t)token->length);
    if (vector_op != NULL)
        return parse_call(lowering, vector_op, begin, end);
    kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, begin, "%.*s is not a vector operation", token->length,
                     token->start);
    kgen_vector_op_suggest(token->start, (size_t)token->length, lowering->error);
    return NULL;
}
