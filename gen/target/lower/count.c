/* SPDX-License-Identifier: MIT */
/* How many instructions a text executes, from the literal bounds of its loops. */
#include "gen/target/lower/internal.h"

#include <Zydis/Mnemonic.h>
#include <stdlib.h>
#include <string.h>

/* What TinyCC makes of an ordinary statement of C, and of one turn of a loop. */
enum { STATEMENT_INSTRUCTIONS = 3, LOOP_INSTRUCTIONS = 5 };

/* The three parts of `for (init; condition; step)`, as runs of tokens. */
struct loop {
    struct kgen_span init, condition, step;
};

void kgen_count_begin_function(struct kgen_lowering *lowering)
{
    lowering->counting.left = lowering->counting.range;
    lowering->counting.next_runs = 1;
    lowering->counting.instructions = 0;
}

void kgen_count_end_function(struct kgen_lowering *lowering, int name)
{
    struct kgen_counting *counting = &lowering->counting;
    if (!counting->on || counting->function_count == KGEN_COUNTED_MAX)
        return;
    counting->functions[counting->function_count++] =
        (struct kgen_counted){name, counting->instructions, false};
}

double kgen_count_total(const struct kgen_counting *counting)
{
    double total = 0;
    for (int i = 0; i < counting->function_count; i++)
        total += counting->functions[i].called ? 0 : counting->functions[i].instructions;
    return total;
}

/* Counts the function that is called here, if it is one of this text. */
static void count_call(struct kgen_lowering *lowering, int token)
{
    struct kgen_counting *counting = &lowering->counting;
    for (int i = 0; i < counting->function_count; i++) {
        struct kgen_counted *function = &counting->functions[i];
        if (!kgen_tokens_equal(lowering, function->token, token))
            continue;
        function->called = true;
        kgen_count_instructions(lowering, function->instructions * counting->next_runs);
        counting->next_runs = 1;
    }
}

void kgen_count_instructions(struct kgen_lowering *lowering, double instructions)
{
    if (lowering->counting.on && lowering->scope_count > 0)
        lowering->counting.instructions += instructions * lowering->scopes[lowering->scope_count - 1].runs;
}

void kgen_count_instruction(struct kgen_lowering *lowering, const struct kgen_instruction *instruction)
{
    if (instruction->mnemonic != ZYDIS_MNEMONIC_PREFETCHT0)
        kgen_count_instructions(lowering, 1);
}

double kgen_count_scope(struct kgen_lowering *lowering)
{
    const double outer = lowering->scope_count > 0 ? lowering->scopes[lowering->scope_count - 1].runs : 1;
    const double runs = lowering->counting.next_runs;
    lowering->counting.next_runs = 1;
    return outer * runs;
}

static bool find_parts(struct kgen_lowering *lowering, int token, struct loop *loop)
{
    int semicolons[2], count = 0, depth = 0;
    const int open = token + 1;
    if (!kgen_token_is(lowering, open, "("))
        return false;
    int i = open + 1;
    for (; lowering->tokens.items[i].kind != KGEN_TOKEN_END; i++) {
        if (depth == 0 && kgen_token_is(lowering, i, ")"))
            break;
        depth += kgen_token_is(lowering, i, "(") - kgen_token_is(lowering, i, ")");
        if (depth == 0 && kgen_token_is(lowering, i, ";") && count < 2)
            semicolons[count++] = i;
    }
    if (count < 2)
        return false;
    *loop =
        (struct loop){{open + 1, semicolons[0]}, {semicolons[0] + 1, semicolons[1]}, {semicolons[1] + 1, i}};
    return true;
}

/* A run of one token that is a number. */
static bool is_number(const struct kgen_lowering *lowering, struct kgen_span span, int64_t *value)
{
    const struct kgen_token *token = &lowering->tokens.items[span.begin];
    if (span.end - span.begin != 1 || token->kind != KGEN_TOKEN_NUMBER)
        return false;
    *value = strtoll(token->start, NULL, 0);
    return true;
}

/* What the variable grows by: `i++`, `i += 4`; 0 where it is another step. */
static int64_t read_step(const struct kgen_lowering *lowering, const struct loop *loop)
{
    const int sign = loop->step.begin + 1;
    int64_t step;
    if (loop->step.end - loop->step.begin == 2 && kgen_token_is(lowering, sign, "++"))
        return 1;
    if (loop->step.end > sign && kgen_token_is(lowering, sign, "+=") &&
        is_number(lowering, (struct kgen_span){sign + 1, loop->step.end}, &step))
        return step;
    return 0;
}

/* `int i = 0; i < 16;`: the bounds are literal. */
static bool read_bounds(const struct kgen_lowering *lowering, const struct loop *loop, int64_t *begin,
                        int64_t *end)
{
    const int first = loop->init.end - 1, less = loop->condition.begin + 1;
    return loop->init.end - loop->init.begin >= 3 && kgen_token_is(lowering, first - 1, "=") &&
           is_number(lowering, (struct kgen_span){first, first + 1}, begin) &&
           kgen_token_is(lowering, less, "<") &&
           is_number(lowering, (struct kgen_span){less + 1, loop->condition.end}, end);
}

static double count_loop(struct kgen_lowering *lowering, int token)
{
    struct kgen_counting *counting = &lowering->counting;
    struct loop loop;
    int64_t begin, end;
    const int64_t step = find_parts(lowering, token, &loop) ? read_step(lowering, &loop) : 0;
    if (step <= 0)
        return 1;
    if (read_bounds(lowering, &loop, &begin, &end))
        return end > begin ? (double)((end - begin + step - 1) / step) : 0;
    /* `i < end` takes a last step that is not whole, `i + 4 <= end` leaves it. */
    const bool takes_all = kgen_token_is(lowering, loop.condition.begin + 1, "<");
    const int64_t runs = (counting->left + (takes_all ? step - 1 : 0)) / step;
    counting->left = takes_all ? 0 : counting->left - runs * step;
    return (double)runs;
}

void kgen_count_c_token(struct kgen_lowering *lowering, int token)
{
    if (!lowering->counting.on)
        return;
    if (kgen_token_is(lowering, token, "for")) {
        lowering->counting.next_runs = count_loop(lowering, token);
        kgen_count_instructions(lowering, lowering->counting.next_runs * LOOP_INSTRUCTIONS);
    } else if (kgen_token_is(lowering, token, ";")) {
        kgen_count_instructions(lowering, STATEMENT_INSTRUCTIONS);
        lowering->counting.next_runs = 1;
    } else if (kgen_token_is(lowering, token + 1, "(")) {
        count_call(lowering, token);
    }
}
