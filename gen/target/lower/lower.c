/* SPDX-License-Identifier: MIT */
#include "gen/target/lower/internal.h"

#include <stdlib.h>
#include <string.h>

/* A place to go back to, and the walk itself. */
struct walk {
    int token;          /* the next one */
    const char *copied; /* the text before it is in the output */
    int parentheses;
    int lines;    /* line ends that were not copied, and follow the open asm statement */
    int function; /* the token of the `{` that the function being read begins with */
    size_t out_length;
    const char *function_copied;
    int float_names;
    int file_float_names; /* of names declared outside of functions */
};

const char *kgen_lower_prelude(void)
{
    return "typedef signed char int8_t;typedef short int16_t;typedef int int32_t;typedef long int64_t;"
           "typedef unsigned char uint8_t;typedef unsigned short uint16_t;typedef unsigned uint32_t;"
           "typedef unsigned long uint64_t;typedef unsigned long size_t;typedef long ptrdiff_t;"
           "typedef long intptr_t;typedef unsigned long uintptr_t;\n"
           "#define NULL ((void*)0)\n"
           "#define KV_TARGET\n"
           "static inline float kv_f16_to_f32(uint16_t h){union{uint32_t u;float f;}v;"
           "uint32_t s=(uint32_t)(h&0x8000)<<16,e=h>>10&31,m=h&0x3ff;"
           "if(e==31)v.u=s|0x7f800000|(m?0x400000|m<<13:0);"
           "else if(e)v.u=s|(e+112)<<23|m<<13;"
           "else{v.f=(float)(int)m*5.9604644775390625e-8f;v.u|=s;}return v.f;}\n"
           "static inline float kv_bf16_to_f32(uint16_t b){union{uint32_t u;float f;}v;"
           "v.u=(uint32_t)b<<16;return v.f;}\n";
}

static bool is(const struct kgen_lowering *lowering, int token, const char *text)
{
    return token >= 0 && kgen_token_is(lowering, token, text);
}

static void copy_until(struct kgen_lowering *lowering, struct walk *walk, const char *end)
{
    kgen_text_append(lowering->out, walk->copied, (size_t)(end - walk->copied));
    walk->copied = end;
}

static void skip_until(struct walk *walk, const char *end)
{
    for (; walk->copied < end; walk->copied++)
        walk->lines += *walk->copied == '\n';
}

static void end_group(struct kgen_lowering *lowering, struct walk *walk)
{
    kgen_group_flush(lowering);
    for (; walk->lines > 0; walk->lines--)
        kgen_text_append(lowering->out, "\n", 1);
}

static bool group_is_open(const struct kgen_lowering *lowering)
{
    return lowering->group.bytes.length > 0;
}

/* ---- scopes ---- */

static void open_scope(struct kgen_lowering *lowering, int token)
{
    if (lowering->scope_count == KGEN_SCOPE_MAX) {
        kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, token, "blocks are nested too deeply");
        return;
    }
    const double runs = kgen_count_scope(lowering);
    lowering->scopes[lowering->scope_count++] =
        (struct kgen_scope){.variables = lowering->variable_count, .runs = runs};
}

static bool outer_has_vectors(const struct kgen_lowering *lowering, int scopes)
{
    for (int i = 0; i < scopes; i++) {
        if (lowering->scopes[i].has_vectors)
            return true;
    }
    return false;
}

/* Ends the innermost scope. Where it is the last with vectors, SSE code may follow it. */
static void close_scope(struct kgen_lowering *lowering, struct walk *walk, int token)
{
    const struct kgen_scope *scope = &lowering->scopes[lowering->scope_count - 1];
    while (lowering->variable_count > scope->variables)
        kgen_register_give(lowering, lowering->variables[--lowering->variable_count].reg);
    if (scope->has_vectors && !outer_has_vectors(lowering, lowering->scope_count - 1)) {
        if (!group_is_open(lowering))
            copy_until(lowering, walk, lowering->tokens.items[token].start);
        kgen_emit_vzeroupper(lowering);
    }
    end_group(lowering, walk);
    lowering->scope_count--;
}

/* ---- vector statements ---- */

static int finish_statement(struct kgen_lowering *lowering, int token)
{
    if (lowering->failed)
        return -1;
    if (!is(lowering, token, ";"))
        return kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, token,
                                "expected ';' at the end of the vector statement");
    return token + 1;
}

/* Computes an expression into the register of a variable. */
static int assign(struct kgen_lowering *lowering, int variable, int begin)
{
    int end = begin;
    const struct kgen_node *node = kgen_parse_expression(lowering, begin, &end);
    if (node == NULL)
        return -1;
    struct kgen_variable *v = &lowering->variables[variable];
    char given =
        node->kind == KGEN_NODE_CALL ? node->operation->result : lowering->variables[node->variable].type;
    if (given != v->type)
        return kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, begin, "this is %s, and the variable %s",
                                given == KGEN_TYPE_F32   ? "a kv_f32"
                                : given == KGEN_TYPE_INT ? "a kv_int"
                                                         : "no value",
                                v->type == KGEN_TYPE_F32 ? "a kv_f32" : "a kv_int");
    struct kgen_value value = kgen_evaluate(lowering, node, v->reg);
    kgen_emit_move(lowering, v->reg, value.reg);
    kgen_value_give(lowering, value);
    v->assigned = true;
    return finish_statement(lowering, end);
}

static int declaration(struct kgen_lowering *lowering, int token)
{
    int name = token + 1;
    if (lowering->tokens.items[name].kind != KGEN_TOKEN_NAME)
        return kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, name,
                                "expected the name of a vector variable");
    if (is(lowering, name + 1, "["))
        return kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, name, "there are no arrays of vectors");
    if (is(lowering, name + 1, ","))
        return kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, name + 1,
                                "a statement declares one vector variable");
    int scope_start = lowering->scopes[lowering->scope_count - 1].variables;
    if (kgen_find_variable(lowering, name) >= scope_start)
        return kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, name, "%.*s is declared already in this block",
                                lowering->tokens.items[name].length, lowering->tokens.items[name].start);
    if (lowering->variable_count == KGEN_VARIABLE_MAX)
        return kgen_lower_error(lowering, KGEN_ERROR_CANDIDATE, name,
                                "more than %d vector variables at a time", KGEN_VARIABLE_MAX);
    int variable = lowering->variable_count++;
    lowering->variables[variable] =
        (struct kgen_variable){.token = name,
                               .type = is(lowering, token, "kv_f32") ? KGEN_TYPE_F32 : KGEN_TYPE_INT,
                               .reg = kgen_register_take(lowering)};
    return is(lowering, name + 1, "=") ? assign(lowering, variable, name + 2)
                                       : finish_statement(lowering, name + 1);
}

static int prefetch_loop(struct kgen_lowering *lowering, int token)
{
    struct kgen_prefetch_loop loop;
    if (!kgen_prefetch_loop_read(lowering, token, &loop))
        return -1;
    kgen_prefetch_loop_emit(lowering, &loop);
    return lowering->failed ? -1 : loop.after;
}

static int store(struct kgen_lowering *lowering, int token)
{
    int end = token;
    const struct kgen_node *node = kgen_parse_expression(lowering, token, &end);
    if (node == NULL)
        return -1;
    if (node->kind != KGEN_NODE_CALL || node->operation->result != KGEN_TYPE_NOTHING)
        return kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, token, "the value of this is not used");
    kgen_evaluate(lowering, node, -1);
    return finish_statement(lowering, end);
}

enum statement { NOT_VECTOR, DECLARATION, ASSIGNMENT, CALL, PREFETCH_LOOP };

/* What a token begins where it begins a statement. */
static enum statement statement_at(const struct kgen_lowering *lowering, int token)
{
    const struct kgen_token *t = &lowering->tokens.items[token];
    if (t->kind != KGEN_TOKEN_NAME)
        return NOT_VECTOR;
    if (t->length > 3 && memcmp(t->start, "kv_", 3) == 0) {
        if (is(lowering, token, "kv_f32") || is(lowering, token, "kv_int"))
            return DECLARATION;
        if (is(lowering, token, "kv_f16_to_f32") || is(lowering, token, "kv_bf16_to_f32"))
            return NOT_VECTOR;
        return is(lowering, token + 1, "(") ? CALL : NOT_VECTOR;
    }
    struct kgen_prefetch_loop loop;
    if (is(lowering, token, "for"))
        return kgen_prefetch_loop_read(lowering, token, &loop) ? PREFETCH_LOOP : NOT_VECTOR;
    return is(lowering, token + 1, "=") && kgen_find_variable(lowering, token) >= 0 ? ASSIGNMENT : NOT_VECTOR;
}

static bool begins_statement(const struct kgen_lowering *lowering, int token, bool *alone)
{
    static const char *const before[] = {";", "{", "}", ")", ":", "else", "do"};
    for (size_t i = 0; i < KGEN_COUNT_OF(before); i++) {
        if (is(lowering, token - 1, before[i])) {
            *alone = i >= 3;
            return true;
        }
    }
    return false;
}

static void vector_statement(struct kgen_lowering *lowering, struct walk *walk, enum statement kind,
                             bool alone)
{
    const struct kgen_token *tokens = lowering->tokens.items;
    int token = walk->token;
    lowering->statement = token;
    lowering->node_count = 0;
    struct kgen_scope *scope = &lowering->scopes[lowering->scope_count - 1];
    const double runs = scope->runs;
    scope->has_vectors = true;
    scope->runs = kgen_count_scope(lowering);
    if (group_is_open(lowering))
        skip_until(walk, tokens[token].start);
    else
        copy_until(lowering, walk, tokens[token].start);
    if (alone && kind == DECLARATION && !is(lowering, token - 1, ":")) {
        kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, token,
                         "a declaration is no statement: put it in a block");
        return;
    }
    if (alone)
        kgen_text_puts(lowering->out, "{");
    int end = kind == DECLARATION     ? declaration(lowering, token)
              : kind == ASSIGNMENT    ? assign(lowering, kgen_find_variable(lowering, token), token + 2)
              : kind == PREFETCH_LOOP ? prefetch_loop(lowering, token)
                                      : store(lowering, token);
    if (end < 0)
        return;
    skip_until(walk, tokens[end - 1].start + 1);
    walk->token = end;
    if (alone || lowering->group.sealed || !group_is_open(lowering))
        end_group(lowering, walk);
    scope->runs = runs;
    if (alone)
        kgen_text_puts(lowering->out, "}");
}

/* ---- C ---- */

/* Refuses a vector outside of vector statements. */
static void check_no_vector(struct kgen_lowering *lowering, int token)
{
    const struct kgen_token *t = &lowering->tokens.items[token];
    bool is_type = is(lowering, token, "kv_f32") || is(lowering, token, "kv_int");
    if (t->kind != KGEN_TOKEN_NAME || is(lowering, token - 1, ".") || is(lowering, token - 1, "->"))
        return;
    if (is_type || kgen_operation_find(t->start, (size_t)t->length) != NULL) {
        kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, token, "%.*s stands in C, where there are no vectors",
                         t->length, t->start);
        kgen_error_hint(lowering->error, "a vector statement is a declaration, an assignment or a store");
    } else if (kgen_find_variable(lowering, token) >= 0) {
        kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, token,
                         "%.*s is a vector, and stands in a C expression", t->length, t->start);
    }
}

/* Before `return`, the upper halves are cleared as at the end of the scope: the two become one block. */
static void return_statement(struct kgen_lowering *lowering, struct walk *walk)
{
    const struct kgen_token *tokens = lowering->tokens.items;
    copy_until(lowering, walk, tokens[walk->token].start);
    kgen_text_puts(lowering->out, "{");
    kgen_emit_vzeroupper(lowering);
    kgen_group_flush(lowering);
    int end = walk->token;
    while (tokens[end].kind != KGEN_TOKEN_END && !is(lowering, end, ";"))
        end++;
    kgen_c_expression(lowering, (struct kgen_span){walk->token + 1, end});
    if (lowering->failed)
        return;
    copy_until(lowering, walk, tokens[end].start + tokens[end].length);
    kgen_text_puts(lowering->out, "}");
    walk->token = tokens[end].kind == KGEN_TOKEN_END ? end : end + 1;
}

/* ---- functions ---- */

static void begin_function(struct kgen_lowering *lowering, struct walk *walk, int first_register)
{
    lowering->pool = (struct kgen_pool){.first = first_register, .most_token = walk->token};
    lowering->variable_count = 0;
    lowering->scope_count = 0;
    lowering->checked.count = 0;
    lowering->facts.uses_float = lowering->facts.float_signature || lowering->facts.float_members;
    lowering->facts.calls_other = false;
    lowering->group.ones = -1;
    kgen_group_reset(lowering);
    kgen_count_begin_function(lowering);
    open_scope(lowering, walk->token);
    walk->token++;
}

/* The name of the function whose body begins at a token. */
static int function_name(const struct kgen_lowering *lowering, int body)
{
    int depth = 0;
    for (int i = body - 1; i > 0; i--) {
        depth += is(lowering, i, ")") - is(lowering, i, "(");
        if (depth == 0)
            return i - 1;
    }
    return body;
}

static void end_function(struct kgen_lowering *lowering, struct walk *walk, bool has_vectors)
{
    struct kgen_pool *pool = &lowering->pool;
    int name = function_name(lowering, walk->function);
    const struct kgen_token *t = &lowering->tokens.items[name];
    bool again = lowering->facts.uses_float && pool->used_low && pool->first == 0;
    if (!again && pool->most + pool->first > lowering->registers) {
        const char *isa = lowering->isa->name;
        kgen_lower_error(lowering, KGEN_ERROR_CANDIDATE, pool->most_token,
                         pool->first > 0
                             ? "%.*s needs %d vector registers; %s has %d, of which its scalar floating "
                               "point takes %d"
                             : "%.*s needs %d vector registers; %s has %d",
                         t->length, t->start, pool->most, isa, lowering->registers, pool->first);
        return;
    }
    if (again) {
        /* Floating point in its C clobbers the low registers: do it again without them. */
        lowering->out->length = walk->out_length;
        walk->copied = walk->function_copied;
        walk->token = walk->function;
        walk->lines = 0;
        lowering->facts.float_pointers.count = walk->float_names;
        begin_function(lowering, walk, 8);
        return;
    }
    kgen_count_end_function(lowering, name);
    if (!has_vectors && !lowering->facts.calls_other)
        kgen_list_add(lowering, &lowering->facts.plain_functions, name);
    lowering->facts.float_signature = false;
    lowering->facts.float_pointers.count = walk->file_float_names;
}

/* At depth 0: declarations, and the heads of functions. */
static void outside(struct kgen_lowering *lowering, struct walk *walk)
{
    int token = walk->token++;
    if (is(lowering, token, ";")) {
        lowering->facts.float_signature = false;
        walk->file_float_names = lowering->facts.float_pointers.count;
    } else if (is(lowering, token, "{") && is(lowering, token - 1, ")")) {
        walk->token = walk->function = token;
        walk->out_length = lowering->out->length;
        walk->function_copied = walk->copied;
        walk->float_names = lowering->facts.float_pointers.count;
        begin_function(lowering, walk, 0);
    } else if (is(lowering, token, "{")) {
        int close = kgen_matching(lowering, token);
        lowering->facts.float_signature = false;
        for (int i = token; i < close && !lowering->failed; i++) {
            check_no_vector(lowering, i);
            if (!is(lowering, token - 1, "="))
                kgen_c_token(lowering, i);
        }
        lowering->facts.float_members |= lowering->facts.float_signature;
        lowering->facts.float_signature = false;
        walk->token = close + 1;
    } else {
        check_no_vector(lowering, token);
        kgen_c_token(lowering, token);
    }
}

static void inside(struct kgen_lowering *lowering, struct walk *walk)
{
    int token = walk->token;
    bool alone = false;
    if (walk->parentheses == 0 && begins_statement(lowering, token, &alone)) {
        enum statement kind = statement_at(lowering, token);
        if (kind != NOT_VECTOR) {
            vector_statement(lowering, walk, kind, alone);
            return;
        }
    }
    if (is(lowering, token, "}")) {
        bool has_vectors = lowering->scopes[0].has_vectors || lowering->pool.most > 0;
        close_scope(lowering, walk, token);
        walk->token++;
        if (lowering->scope_count == 0)
            end_function(lowering, walk, has_vectors);
        return;
    }
    end_group(lowering, walk);
    if (is(lowering, token, "return") && outer_has_vectors(lowering, lowering->scope_count)) {
        return_statement(lowering, walk);
        return;
    }
    if (is(lowering, token, "{"))
        open_scope(lowering, token);
    if (walk->parentheses == 0)
        kgen_count_c_token(lowering, token);
    walk->parentheses += is(lowering, token, "(") - is(lowering, token, ")");
    check_no_vector(lowering, token);
    if (!lowering->failed)
        kgen_c_token(lowering, token);
    walk->token++;
}

static int lower_text(struct kgen_lowering *lowering, const char *text)
{
    struct walk walk = {.copied = text};
    kgen_c_find_address_taken(lowering);
    kgen_group_reset(lowering);
    while (!lowering->failed && lowering->tokens.items[walk.token].kind != KGEN_TOKEN_END) {
        if (lowering->scope_count == 0)
            outside(lowering, &walk);
        else
            inside(lowering, &walk);
    }
    if (!lowering->failed && lowering->scope_count > 0)
        kgen_matching(lowering, walk.function);
    if (!lowering->failed)
        copy_until(lowering, &walk, lowering->tokens.items[walk.token].start);
    return lowering->failed ? -1 : 0;
}

static void lowering_free(struct kgen_lowering *lowering)
{
    free(lowering->tokens.items);
    free(lowering->checked.items);
    free(lowering->facts.float_pointers.items);
    free(lowering->facts.plain_functions.items);
    free(lowering->facts.address_taken.items);
    kgen_text_free(&lowering->group.bytes);
    kgen_text_free(&lowering->group.checks);
    free(lowering);
}

static int lower(const char *source, const char *vector_c, enum kgen_isa isa, struct kgen_counting *counting,
                 struct kgen_text *out, struct kgen_error *error)
{
    const struct kgen_isa_info *info = kgen_isa_info(isa);
    if (info->encoding == KGEN_ENCODING_NONE)
        return kgen_error_set(error, KGEN_ERROR_USAGE, source, 0, 0, "there is no lowering to %s",
                              info->name);
    struct kgen_lowering *lowering = calloc(1, sizeof *lowering);
    if (lowering == NULL)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, source, 0, 0, "out of memory");
    lowering->source = source;
    lowering->isa = info;
    lowering->evex = info->encoding == KGEN_ENCODING_EVEX;
    lowering->vector_bytes = info->vector_bytes;
    lowering->lanes = info->vector_bytes / 4;
    lowering->registers = info->registers;
    lowering->out = out;
    lowering->error = error;
    lowering->group.ones = -1;
    lowering->counting = *counting;
    int result = kgen_tokenize(lowering, vector_c);
    if (result == 0)
        result = lower_text(lowering, vector_c);
    if (result == 0 && out->failed)
        result = kgen_error_set(error, KGEN_ERROR_MEMORY, source, 0, 0, "out of memory");
    *counting = lowering->counting;
    lowering_free(lowering);
    return result;
}

int kgen_lower(const char *source, const char *vector_c, enum kgen_isa isa, struct kgen_text *out,
               struct kgen_error *error)
{
    if (kgen_isa_info(isa)->encoding == KGEN_ENCODING_VERBATIM) {
        kgen_text_puts(out, vector_c);
        return out->failed ? kgen_error_set(error, KGEN_ERROR_MEMORY, source, 0, 0, "out of memory") : 0;
    }
    struct kgen_counting counting = {.on = false};
    return lower(source, vector_c, isa, &counting, out, error);
}

int kgen_lower_count(const char *source, const char *vector_c, enum kgen_isa isa, int64_t range,
                     double *instructions, struct kgen_error *error)
{
    struct kgen_counting counting = {.on = true, .range = range};
    struct kgen_text unread = {0};
    const int result = lower(source, vector_c, isa, &counting, &unread, error);
    kgen_text_free(&unread);
    *instructions = kgen_count_total(&counting);
    return result;
}
