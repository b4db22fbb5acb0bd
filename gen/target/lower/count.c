/* SPDX-License-Identifier: MIT */
/* The number of instructions that a text executes. */
#include "gen/target/lower/internal.h"

#include <Zydis/Mnemonic.h>

/* TinyCC makes about so many instructions of a statement of C, and of one turn of a loop. */
enum { STATEMENT_INSTRUCTIONS = 3, LOOP_INSTRUCTIONS = 5 };

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
        (struct kgen_counted_function){name, counting->instructions, false};
}

double kgen_count_total(const struct kgen_counting *counting)
{
    double total = 0;
    for (int i = 0; i < counting->function_count; i++)
        total += counting->functions[i].called ? 0 : counting->functions[i].instructions;
    return total;
}

/* Counts the function that is called at a token, if the text defines it. */
static void count_call(struct kgen_lowering *lowering, int token)
{
    struct kgen_counting *counting = &lowering->counting;
    for (int i = 0; i < counting->function_count; i++) {
        struct kgen_counted_function *function = &counting->functions[i];
        if (!kgen_tokens_equal(lowering, function->token, token))
            continue;
        function->called = true;
        kgen_count_instructions(lowering, function->instructions * counting->next_runs);
        counting->next_runs = 1;
    }
}

void kgen_count_instructions(struct kgen_lowering *lowering, double instructions)
{
    if (lowering->counting.on && lowering->block_count > 0)
        lowering->counting.instructions += instructions * lowering->blocks[lowering->block_count - 1].runs;
}

void kgen_count_instruction(struct kgen_lowering *lowering, const struct kgen_instruction *instruction)
{
    if (instruction->mnemonic != ZYDIS_MNEMONIC_PREFETCHT0)
        kgen_count_instructions(lowering, 1);
}

double kgen_count_runs(struct kgen_lowering *lowering)
{
    const double outer = lowering->block_count > 0 ? lowering->blocks[lowering->block_count - 1].runs : 1;
    const double runs = lowering->counting.next_runs;
    lowering->counting.next_runs = 1;
    return outer * runs;
}

/* Returns how often the body of the loop at a token is run, and takes its share of the range. */
static double count_loop(struct kgen_lowering *lowering, int token)
{
    struct kgen_counting *counting = &lowering->counting;
    struct kgen_loop loop;
    if (!kgen_loop_read(lowering, token, &loop))
        return 1;
    if (loop.is_literal)
        return (double)kgen_loop_turns(&loop);
    /* `i < end` runs for the rest of the range, `i + 4 <= end` leaves what is less than a step. */
    const int64_t step = loop.increment;
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
