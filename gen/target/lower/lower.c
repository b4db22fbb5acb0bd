/* SPDX-License-Identifier: MIT */
#include "gen/target/lower/internal.h"

#include <stdlib.h>
#include <string.h>

/* The walk over the tokens, and where the function being read began: its body may have to be lowered twice.
 */
struct walk {
    int token;            /* the next one */
    const char *copied;   /* the text before it is in the output */
    int parentheses;      /* open ones */
    int lines;            /* line ends that were left out, to be written after the open asm statement */
    int file_float_names; /* facts.float_pointers that were declared outside of functions */
    /* At the `{` of the function: */
    int function; /* its token */
    size_t function_out_length;
    const char *function_copied;
    int function_float_names;
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
           "v.u=(uint32_t)b<<16;return v.f;}\n"
           "static inline uint16_t kv_f32_to_f16(float f){union{float f;uint32_t u;}v;v.f=f;"
           "uint32_t s=v.u>>16&0x8000,u=v.u&0x7fffffff;"
           "if(u>0x7f800000)return s|0x7e00|(u>>13&0x3ff);"
           "if(u>=0x477ff000)return s|0x7c00;"
           "if(u<0x38800000){v.u=u;v.f+=0.5f;return s|(v.u-0x3f000000);}"
           "return s|(u+0xfff+(u>>13&1)-0x38000000)>>13;}\n"
           "static inline uint16_t kv_f32_to_bf16(float f){union{float f;uint32_t u;}v;v.f=f;"
           "if((v.u&0x7fffffff)>0x7f800000)return v.u>>16|0x40;"
           "return (v.u+0x7fff+(v.u>>16&1))>>16;}\n";
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

static void end_asm(struct kgen_lowering *lowering, struct walk *walk)
{
    kgen_asm_end(lowering);
    for (; walk->lines > 0; walk->lines--)
        kgen_text_append(lowering->out, "\n", 1);
}

static bool asm_is_open(const struct kgen_lowering *lowering)
{
    return lowering->pending.bytes.length > 0;
}

/* ---- blocks ---- */

static void open_block(struct kgen_lowering *lowering, int token)
{
    if (lowering->block_count == KGEN_BLOCK_MAX) {
        kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, token, "blocks are nested too deeply");
        return;
    }
    const double runs = kgen_count_runs(lowering);
    lowering->blocks[lowering->block_count++] =
        (struct kgen_block){.variables = lowering->variable_count, .runs = runs};
}

/* Whether one of the outermost count blocks has vectors. */
static bool outer_has_vectors(const struct kgen_lowering *lowering, int count)
{
    for (int i = 0; i < count; i++) {
        if (lowering->blocks[i].has_vectors)
            return true;
    }
    return false;
}

/* Ends the innermost block. If no block around it has vectors, SSE code may follow, which is slow unless the
 * upper halves of the registers are cleared. */
static void close_block(struct kgen_lowering *lowering, struct walk *walk, int token)
{
    const struct kgen_block *block = &lowering->blocks[lowering->block_count - 1];
    while (lowering->variable_count > block->variables)
        kgen_register_release(lowering, lowering->variables[--lowering->variable_count].reg);
    if (block->has_vectors && !outer_has_vectors(lowering, lowering->block_count - 1)) {
        if (!asm_is_open(lowering))
            copy_until(lowering, walk, lowering->tokens.items[token].start);
        kgen_emit_vzeroupper(lowering);
    }
    end_asm(lowering, walk);
    lowering->block_count--;
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

/* Lowers `variable = expression;`, whose expression begins at a token. Returns the token after it, or -1. */
static int assign(struct kgen_lowering *lowering, int variable, int begin)
{
    int end = begin;
    const struct kgen_vector_expr *expr = kgen_vector_expr_parse(lowering, begin, &end);
    if (expr == NULL)
        return -1;
    struct kgen_variable *v = &lowering->variables[variable];
    const char type = kgen_vector_expr_type(lowering, expr);
    if (type != v->type)
        return kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, begin, "this is %s, and the variable %s",
                                kgen_type_name(type), kgen_type_name(v->type));
    struct kgen_vector_value value = kgen_select(lowering, expr, v->reg);
    kgen_emit_move(lowering, v->reg, value.reg);
    kgen_vector_value_release(lowering, value);
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
    int block_start = lowering->blocks[lowering->block_count - 1].variables;
    if (kgen_find_variable(lowering, name) >= block_start)
        return kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, name, "%.*s is declared already in this block",
                                lowering->tokens.items[name].length, lowering->tokens.items[name].start);
    if (lowering->variable_count == KGEN_VARIABLE_MAX)
        return kgen_lower_error(lowering, KGEN_ERROR_CANDIDATE, name,
                                "more than %d vector variables at a time", KGEN_VARIABLE_MAX);
    int variable = lowering->variable_count++;
    lowering->variables[variable] =
        (struct kgen_variable){.token = name,
                               .type = is(lowering, token, "kv_f32") ? KGEN_TYPE_F32 : KGEN_TYPE_INT,
                               .reg = kgen_register_allocate(lowering)};
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
    const struct kgen_vector_expr *expr = kgen_vector_expr_parse(lowering, token, &end);
    if (expr == NULL)
        return -1;
    if (expr->kind != KGEN_EXPR_CALL || expr->vector_op->result != KGEN_TYPE_NOTHING)
        return kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, token, "the value of this is not used");
    kgen_select(lowering, expr, -1);
    return finish_statement(lowering, end);
}

/* The kinds of vector statements. */
enum statement { NOT_VECTOR, DECLARATION, ASSIGNMENT, CALL, PREFETCH_LOOP };

/* The vector statement that begins at a token, which is the first of a statement. */
static enum statement statement_at(const struct kgen_lowering *lowering, int token)
{
    const struct kgen_token *t = &lowering->tokens.items[token];
    if (t->kind != KGEN_TOKEN_NAME)
        return NOT_VECTOR;
    if (t->length > 3 && memcmp(t->start, "kv_", 3) == 0) {
        if (is(lowering, token, "kv_f32") || is(lowering, token, "kv_int"))
            return DECLARATION;
        if (kgen_c_is_conversion(lowering, token))
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
    lowering->expr_count = 0;
    struct kgen_block *block = &lowering->blocks[lowering->block_count - 1];
    const double runs = block->runs;
    block->has_vectors = true;
    block->runs = kgen_count_runs(lowering);
    if (asm_is_open(lowering))
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
    if (alone || lowering->pending.sealed || !asm_is_open(lowering))
        end_asm(lowering, walk);
    block->runs = runs;
    if (alone)
        kgen_text_puts(lowering->out, "}");
}

/* ---- C ---- */

/* Refuses vectors outside of vector statements. */
static void check_no_vector(struct kgen_lowering *lowering, int token)
{
    const struct kgen_token *t = &lowering->tokens.items[token];
    bool is_type = is(lowering, token, "kv_f32") || is(lowering, token, "kv_int");
    if (t->kind != KGEN_TOKEN_NAME || is(lowering, token - 1, ".") || is(lowering, token - 1, "->"))
        return;
    if (is_type || kgen_vector_op_find(t->start, (size_t)t->length) != NULL) {
        kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, token, "%.*s stands in C, where there are no vectors",
                         t->length, t->start);
        kgen_error_hint(lowering->error, "a vector statement is a declaration, an assignment or a store");
    } else if (kgen_find_variable(lowering, token) >= 0) {
        kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, token,
                         "%.*s is a vector, and stands in a C expression", t->length, t->start);
    }
}

/* Lowers `return ...;`. The upper halves are cleared before it; both go into a block, in case the return is
 * the body of an if. */
static void return_statement(struct kgen_lowering *lowering, struct walk *walk)
{
    const struct kgen_token *tokens = lowering->tokens.items;
    copy_until(lowering, walk, tokens[walk->token].start);
    kgen_text_puts(lowering->out, "{");
    kgen_emit_vzeroupper(lowering);
    kgen_asm_end(lowering);
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
    lowering->allocator =
        (struct kgen_register_allocator){.first = first_register, .peak_token = walk->token};
    lowering->variable_count = 0;
    lowering->block_count = 0;
    lowering->checked.count = 0;
    lowering->facts.uses_float = lowering->facts.float_signature || lowering->facts.float_members;
    lowering->facts.calls_other = false;
    lowering->pending.ones = -1;
    kgen_asm_begin(lowering);
    kgen_count_begin_function(lowering);
    open_block(lowering, walk->token);
    walk->token++;
}

/* Returns the name of the function whose body begins at a token. */
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
    struct kgen_register_allocator *allocator = &lowering->allocator;
    int name = function_name(lowering, walk->function);
    const struct kgen_token *t = &lowering->tokens.items[name];
    bool again = lowering->facts.uses_float && allocator->used_xmm0_to_7 && allocator->first == 0;
    if (!again && allocator->peak + allocator->first > lowering->registers) {
        const char *isa = lowering->isa->name;
        kgen_lower_error(lowering, KGEN_ERROR_CANDIDATE, allocator->peak_token,
                         allocator->first > 0
                             ? "%.*s needs %d vector registers; %s has %d, of which its scalar floating "
                               "point takes %d"
                             : "%.*s needs %d vector registers; %s has %d",
                         t->length, t->start, allocator->peak, isa, lowering->registers, allocator->first);
        return;
    }
    if (again) {
        /* TinyCC computes its floating point in the registers that were allocated: lower it again without
         * them. */
        lowering->out->length = walk->function_out_length;
        walk->copied = walk->function_copied;
        walk->token = walk->function;
        walk->lines = 0;
        lowering->facts.float_pointers.count = walk->function_float_names;
        begin_function(lowering, walk, 8);
        return;
    }
    kgen_count_end_function(lowering, name);
    if (!has_vectors && !lowering->facts.calls_other)
        kgen_token_list_add(lowering, &lowering->facts.plain_functions, name);
    lowering->facts.float_signature = false;
    lowering->facts.float_pointers.count = walk->file_float_names;
}

/* Whether the declaration that ends at a token is one of a function. The names of its parameters end with it.
 */
static bool is_prototype(const struct kgen_lowering *lowering, int end)
{
    if (!is(lowering, end - 1, ")"))
        return false;
    const int name = function_name(lowering, end);
    return lowering->tokens.items[name].kind == KGEN_TOKEN_NAME && !is(lowering, name, "__attribute__");
}

/* Reads a token outside of functions. */
static void outside(struct kgen_lowering *lowering, struct walk *walk)
{
    int token = walk->token++;
    if (is(lowering, token, ";")) {
        lowering->facts.float_signature = false;
        if (is_prototype(lowering, token))
            lowering->facts.float_pointers.count = walk->file_float_names;
        walk->file_float_names = lowering->facts.float_pointers.count;
    } else if (is(lowering, token, "{") && is(lowering, token - 1, ")")) {
        walk->token = walk->function = token;
        walk->function_out_length = lowering->out->length;
        walk->function_copied = walk->copied;
        walk->function_float_names = lowering->facts.float_pointers.count;
        begin_function(lowering, walk, 0);
    } else if (is(lowering, token, "{")) {
        int close = kgen_token_matching(lowering, token);
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

/* Reads a token or a vector statement inside a function. */
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
        bool has_vectors = lowering->blocks[0].has_vectors || lowering->allocator.peak > 0;
        close_block(lowering, walk, token);
        walk->token++;
        if (lowering->block_count == 0)
            end_function(lowering, walk, has_vectors);
        return;
    }
    end_asm(lowering, walk);
    if (is(lowering, token, "return") && outer_has_vectors(lowering, lowering->block_count)) {
        return_statement(lowering, walk);
        return;
    }
    if (is(lowering, token, "{"))
        open_block(lowering, token);
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
    kgen_asm_begin(lowering);
    while (!lowering->failed && lowering->tokens.items[walk.token].kind != KGEN_TOKEN_END) {
        if (lowering->block_count == 0)
            outside(lowering, &walk);
        else
            inside(lowering, &walk);
    }
    if (!lowering->failed && lowering->block_count > 0)
        kgen_token_matching(lowering, walk.function);
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
    kgen_text_free(&lowering->pending.bytes);
    kgen_text_free(&lowering->pending.checks);
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
    lowering->pending.ones = -1;
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
