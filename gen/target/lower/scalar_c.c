/* SPDX-License-Identifier: MIT */
/* What the C between vector statements does to vector registers.
 *
 * TinyCC computes floating point in xmm0 to xmm7, and a function that is called may change every vector
 * register. Both are found from the tokens alone: no types are known but those of names that were declared as
 * pointers to float or double. */
#include "gen/target/lower/internal.h"

#include <stdlib.h>
#include <string.h>

static bool list_has(const struct kgen_lowering *lowering, const struct kgen_token_list *list, int token)
{
    for (int i = 0; i < list->count; i++) {
        if (kgen_tokens_equal(lowering, list->items[i], token))
            return true;
    }
    return false;
}

static bool is_kind(const struct kgen_lowering *lowering, int token, enum kgen_token_kind kind)
{
    return lowering->tokens.items[token].kind == kind;
}

static bool is_one_of(const struct kgen_lowering *lowering, int token, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (kgen_token_is(lowering, token, words[i]))
            return true;
    }
    return false;
}

bool kgen_c_is_conversion(const struct kgen_lowering *lowering, int token)
{
    static const char *const names[] = {"kv_f16_to_f32", "kv_bf16_to_f32", "kv_f32_to_f16", "kv_f32_to_bf16"};
    return is_one_of(lowering, token, names, KGEN_COUNT_OF(names));
}

/* Whether a token ends an operand, so that an operator after it is binary. */
static bool ends_operand(const struct kgen_lowering *lowering, int token)
{
    return token >= 0 &&
           (is_kind(lowering, token, KGEN_TOKEN_NAME) || is_kind(lowering, token, KGEN_TOKEN_NUMBER) ||
            kgen_token_is(lowering, token, ")") || kgen_token_is(lowering, token, "]"));
}

static bool is_float_word(const struct kgen_lowering *lowering, int token)
{
    return kgen_token_is(lowering, token, "float") || kgen_token_is(lowering, token, "double");
}

static bool is_float_literal(const struct kgen_token *token)
{
    if (token->kind != KGEN_TOKEN_NUMBER)
        return false;
    bool hexadecimal = token->length > 1 && token->start[0] == '0' && (token->start[1] | 32) == 'x';
    for (int i = 0; i < token->length; i++) {
        char c = (char)(token->start[i] | 32);
        if (token->start[i] == '.' || c == (hexadecimal ? 'p' : 'e'))
            return true;
    }
    return false;
}

/* Whether a name between two tokens may stand for floats. */
static bool mentions_float(const struct kgen_lowering *lowering, int begin, int end)
{
    for (int i = begin; i < end; i++) {
        if (is_float_word(lowering, i) || list_has(lowering, &lowering->facts.float_pointers, i))
            return true;
    }
    return false;
}

/* Reads a declaration with `float` or `double` at a token: it declares a pointer or an array, whose name is
 * remembered, or a value. */
static void float_declaration(struct kgen_lowering *lowering, int token)
{
    static const char *const qualifiers[] = {"const",      "volatile",     "restrict",
                                             "__restrict", "__restrict__", "*"};
    struct kgen_c_facts *facts = &lowering->facts;
    bool pointer = false;
    int name = token + 1;
    while (is_one_of(lowering, name, qualifiers, KGEN_COUNT_OF(qualifiers)))
        pointer |= kgen_token_is(lowering, name++, "*");
    bool named = is_kind(lowering, name, KGEN_TOKEN_NAME);
    if (named && kgen_token_is(lowering, name + 1, "["))
        pointer = true;
    if (named && pointer)
        kgen_token_list_add(lowering, &facts->float_pointers, name);
    if (pointer)
        return;
    facts->uses_float = true;
    if (lowering->block_count == 0)
        facts->float_signature = true;
}

/* Notes what the call of the name at a token does. */
static void call(struct kgen_lowering *lowering, int token)
{
    static const char *const keywords[] = {
        "if", "for",  "while", "switch",        "return", "sizeof", "_Alignof", "_Static_assert",
        "do", "else", "case",  "__attribute__", "asm"};
    /* The TinyCC engine has versions of these that use no vector register. */
    static const char *const harmless[] = {"memcpy", "memset", "memmove"};
    struct kgen_c_facts *facts = &lowering->facts;
    if (is_one_of(lowering, token, keywords, KGEN_COUNT_OF(keywords)) ||
        is_one_of(lowering, token, harmless, KGEN_COUNT_OF(harmless)))
        return;
    facts->uses_float = true;
    if (kgen_c_is_conversion(lowering, token) || list_has(lowering, &facts->plain_functions, token))
        return;
    facts->calls_other = true;
    if (lowering->variable_count > 0) {
        const struct kgen_token *name = &lowering->tokens.items[token];
        kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, token,
                         "%.*s is called where vectors are live, and may change every vector register",
                         name->length, name->start);
        kgen_error_hint(lowering->error, "call it outside of the scope of the vector variables");
    }
}

void kgen_c_token(struct kgen_lowering *lowering, int token)
{
    struct kgen_c_facts *facts = &lowering->facts;
    const struct kgen_token *t = &lowering->tokens.items[token];
    if (t->kind == KGEN_TOKEN_NAME) {
        bool member = token > 0 &&
                      (kgen_token_is(lowering, token - 1, ".") || kgen_token_is(lowering, token - 1, "->"));
        if (is_float_word(lowering, token)) {
            float_declaration(lowering, token);
        } else if (!member && lowering->block_count > 0 && kgen_token_is(lowering, token + 1, "(")) {
            call(lowering, token);
        } else if (list_has(lowering, &facts->float_pointers, token)) {
            bool declared = facts->float_pointers.items[facts->float_pointers.count - 1] == token;
            bool indexed =
                kgen_token_is(lowering, token + 1, "[") && !kgen_token_is(lowering, token - 1, "&");
            if (!declared && (indexed || kgen_token_is(lowering, token - 1, "*")))
                facts->uses_float = true;
        }
    } else if (is_float_literal(t)) {
        facts->uses_float = true;
    } else if (kgen_token_is(lowering, token, "(") && token > 1 && kgen_token_is(lowering, token - 1, "*") &&
               !(ends_operand(lowering, token - 2) && !kgen_token_is(lowering, token - 2, ")"))) {
        int close = kgen_token_matching(lowering, token);
        if (mentions_float(lowering, token, close))
            facts->uses_float = true;
    } else if (kgen_token_is(lowering, token, "[") && token > 0 && kgen_token_is(lowering, token - 1, ")")) {
        int open = token - 1;
        for (int depth = 0; open > 0; open--) {
            depth += kgen_token_is(lowering, open, ")") - kgen_token_is(lowering, open, "(");
            if (depth == 0)
                break;
        }
        if (mentions_float(lowering, open, token))
            facts->uses_float = true;
    }
}

void kgen_c_expression(struct kgen_lowering *lowering, struct kgen_span span)
{
    for (int i = span.begin; i < span.end && !lowering->failed; i++) {
        const struct kgen_token *token = &lowering->tokens.items[i];
        if (token->kind == KGEN_TOKEN_NAME) {
            const struct kgen_vector_op *vector_op = kgen_vector_op_find(token->start, (size_t)token->length);
            if (vector_op != NULL || kgen_find_variable(lowering, i) >= 0) {
                kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, i,
                                 "a C expression is wanted here, and %.*s is a vector%s", token->length,
                                 token->start, vector_op != NULL ? " operation" : "");
                return;
            }
        }
        kgen_c_token(lowering, i);
    }
}

void kgen_c_find_address_taken(struct kgen_lowering *lowering)
{
    for (int i = 0; i + 2 < lowering->tokens.count; i++) {
        if (kgen_token_is(lowering, i, "&") && !ends_operand(lowering, i - 1) &&
            is_kind(lowering, i + 1, KGEN_TOKEN_NAME) && !kgen_token_is(lowering, i + 2, "[") &&
            !kgen_token_is(lowering, i + 2, "->") && !kgen_token_is(lowering, i + 2, "."))
            kgen_token_list_add(lowering, &lowering->facts.address_taken, i + 1);
    }
}

bool kgen_c_has_effects(const struct kgen_lowering *lowering, struct kgen_span span)
{
    static const char *const writing[] = {
        "++", "--", "=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="};
    for (int i = span.begin; i < span.end; i++) {
        if (is_kind(lowering, i, KGEN_TOKEN_SIGN) && is_one_of(lowering, i, writing, KGEN_COUNT_OF(writing)))
            return true;
        if (is_kind(lowering, i, KGEN_TOKEN_NAME) && kgen_token_is(lowering, i + 1, "(") &&
            !kgen_token_is(lowering, i, "sizeof"))
            return true;
    }
    return false;
}

bool kgen_c_reads_memory(const struct kgen_lowering *lowering, struct kgen_span span)
{
    for (int i = span.begin; i < span.end; i++) {
        if (kgen_token_is(lowering, i, "[") || kgen_token_is(lowering, i, "->") ||
            kgen_token_is(lowering, i, "."))
            return true;
        if (kgen_token_is(lowering, i, "*") && (i == span.begin || !ends_operand(lowering, i - 1)))
            return true;
        if (kgen_token_is(lowering, i, "*") && i > span.begin && kgen_token_is(lowering, i - 1, ")") &&
            i + 1 < span.end && is_kind(lowering, i + 1, KGEN_TOKEN_NAME))
            return true; /* perhaps (T)*p */
        if (is_kind(lowering, i, KGEN_TOKEN_NAME) && list_has(lowering, &lowering->facts.address_taken, i))
            return true;
    }
    return false;
}
