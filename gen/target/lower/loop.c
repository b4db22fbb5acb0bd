/* SPDX-License-Identifier: MIT */
/* Loops with literal bounds: their headers, and the loops of prefetches that are unrolled. */
#include "gen/target/lower/select.h"

/* More prefetches than this stay a loop, whose own instructions no longer matter. */
#define UNROLL_MAX 256

static bool is(const struct kgen_lowering *lowering, int token, const char *text)
{
    return kgen_token_is(lowering, token, text);
}

/* Finds the three parts of `for (init; condition; step)` and the token after the closing parenthesis. */
static bool find_parts(const struct kgen_lowering *lowering, int token, struct kgen_loop *loop)
{
    int semicolons[2], count = 0, depth = 0, i = token + 2;
    if (!is(lowering, token, "for") || !is(lowering, token + 1, "("))
        return false;
    for (; lowering->tokens.items[i].kind != KGEN_TOKEN_END; i++) {
        if (depth == 0 && is(lowering, i, ")"))
            break;
        depth += is(lowering, i, "(") - is(lowering, i, ")");
        if (depth == 0 && is(lowering, i, ";") && count < 2)
            semicolons[count++] = i;
    }
    if (count < 2 || lowering->tokens.items[i].kind == KGEN_TOKEN_END)
        return false;
    *loop = (struct kgen_loop){.init = {token + 2, semicolons[0]},
                               .condition = {semicolons[0] + 1, semicolons[1]},
                               .step = {semicolons[1] + 1, i},
                               .body = i + 1};
    return true;
}

/* Returns what `i++` or `i += 4` adds to i; 0 for another step. */
static int64_t read_step(const struct kgen_lowering *lowering, struct kgen_span step)
{
    int64_t value;
    if (step.end - step.begin == 2 && is(lowering, step.begin + 1, "++"))
        return 1;
    if (step.end - step.begin == 3 && is(lowering, step.begin + 1, "+=") &&
        kgen_read_integer(lowering, (struct kgen_span){step.begin + 2, step.end}, &value))
        return value;
    return 0;
}

/* Reads the bounds of `int i = 0; i < 16; i++`. */
static bool read_bounds(const struct kgen_lowering *lowering, struct kgen_loop *loop)
{
    const int begin = loop->init.end - 1, variable = loop->condition.begin;
    return loop->init.end - loop->init.begin >= 3 && is(lowering, begin - 1, "=") &&
           kgen_read_integer(lowering, (struct kgen_span){begin, begin + 1}, &loop->begin) &&
           is(lowering, variable + 1, "<") &&
           kgen_read_integer(lowering, (struct kgen_span){variable + 2, loop->condition.end}, &loop->end) &&
           kgen_tokens_equal(lowering, begin - 2, variable);
}

bool kgen_loop_read(const struct kgen_lowering *lowering, int token, struct kgen_loop *loop)
{
    if (!find_parts(lowering, token, loop))
        return false;
    const int64_t step = read_step(lowering, loop->step);
    if (step <= 0 || !kgen_tokens_equal(lowering, loop->condition.begin, loop->step.begin))
        return false;
    loop->increment = step;
    loop->is_literal = read_bounds(lowering, loop);
    return true;
}

int64_t kgen_loop_turns(const struct kgen_loop *loop)
{
    return loop->end > loop->begin ? (loop->end - loop->begin - 1) / loop->increment + 1 : 0;
}

/* Whether `TYPE i = 0` declares the loop's variable with a type that holds the literals that are unrolled. */
static bool declares_counter(const struct kgen_lowering *lowering, const struct kgen_loop *loop)
{
    static const char *const types[] = {"int",     "unsigned", "long",    "size_t",  "ptrdiff_t",
                                        "int32_t", "uint32_t", "int64_t", "uint64_t"};
    if (loop->init.end - loop->init.begin != 4)
        return false;
    for (size_t i = 0; i < KGEN_COUNT_OF(types); i++) {
        if (is(lowering, loop->init.begin, types[i]))
            return true;
    }
    return false;
}

static bool mentions(const struct kgen_lowering *lowering, struct kgen_span span, int name)
{
    for (int i = span.begin; i < span.end; i++) {
        if (kgen_tokens_equal(lowering, i, name))
            return true;
    }
    return false;
}

/* Reads `kv_prefetch(ADDRESS);` from token begin on. Returns the token after it, or -1. */
static int read_prefetch(const struct kgen_lowering *lowering, int begin, struct kgen_span *address)
{
    int depth = 1, i = begin + 2;
    if (!is(lowering, begin, "kv_prefetch") || !is(lowering, begin + 1, "("))
        return -1;
    for (; lowering->tokens.items[i].kind != KGEN_TOKEN_END; i++) {
        depth += is(lowering, i, "(") - is(lowering, i, ")");
        if (depth == 0)
            break;
        if (is(lowering, i, ";") || (depth == 1 && is(lowering, i, ",")))
            return -1;
    }
    *address = (struct kgen_span){begin + 2, i};
    return depth == 0 && is(lowering, i + 1, ";") ? i + 2 : -1;
}

bool kgen_prefetch_loop_read(const struct kgen_lowering *lowering, int token, struct kgen_prefetch_loop *loop)
{
    struct kgen_loop *head = &loop->head;
    if (!kgen_loop_read(lowering, token, head) || !head->is_literal || !declares_counter(lowering, head) ||
        head->end > KGEN_OFFSET_MAX || kgen_loop_turns(head) > UNROLL_MAX)
        return false;
    const bool braced = is(lowering, head->body, "{");
    const int variable = head->condition.begin;
    const int end = read_prefetch(lowering, head->body + braced, &loop->base);
    if (end < 0 || (braced && !is(lowering, end, "}")))
        return false;
    loop->after = end + braced;
    kgen_split_address(lowering, &loop->base, variable, &loop->offset, &loop->scale);
    return loop->scale != 0 && loop->scale <= KGEN_OFFSET_MAX / UNROLL_MAX &&
           loop->scale * head->end <= KGEN_OFFSET_MAX && !mentions(lowering, loop->base, variable) &&
           !kgen_c_has_effects(lowering, loop->base);
}

void kgen_prefetch_loop_emit(struct kgen_lowering *lowering, const struct kgen_prefetch_loop *loop)
{
    struct kgen_vector_expr pointer = {.kind = KGEN_EXPR_C,
                                       .token = loop->base.begin,
                                       .span = loop->base,
                                       .type = KGEN_TYPE_POINTER,
                                       .element_bytes = 1};
    kgen_c_expression(lowering, loop->base);
    const int64_t turns = kgen_loop_turns(&loop->head);
    for (int64_t i = 0; i < turns && !lowering->failed; i++) {
        pointer.literal = loop->offset + loop->scale * (loop->head.begin + i * loop->head.increment);
        kgen_emit_prefetch(lowering, &pointer);
    }
}
