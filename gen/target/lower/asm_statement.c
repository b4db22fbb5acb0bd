/* SPDX-License-Identifier: MIT */
/* Register allocation, and asm statements. Consecutive vector statements become one asm statement, as long as
 * the C expressions in them fit into its general registers.
 *
 * TinyCC neither moves nor removes an asm statement and keeps no value in a register from one statement to
 * the next, so an asm statement needs no `volatile` and no list of clobbers. r8 to r11 are free within one.
 */
#include "gen/target/lower/internal.h"

#include <string.h>

static const struct {
    const char *constraint;
    uint8_t reg;
} input_registers[KGEN_ASM_INPUT_MAX] = {
    {"S", KGEN_RSI}, {"D", KGEN_RDI}, {"d", KGEN_RDX}, {"c", KGEN_RCX}, {"a", KGEN_RAX},
};

int kgen_register_allocate(struct kgen_lowering *lowering)
{
    struct kgen_register_allocator *allocator = &lowering->allocator;
    int reg = allocator->first;
    while (allocator->allocated[reg])
        reg++;
    if (reg >= lowering->registers && lowering->pending.ones >= 0) {
        reg = lowering->pending.ones;
        lowering->pending.ones = -1;
        allocator->in_use--;
    }
    allocator->allocated[reg] = true;
    allocator->used_xmm0_to_7 |= reg < 8;
    if (++allocator->in_use > allocator->peak) {
        allocator->peak = allocator->in_use;
        allocator->peak_token = lowering->statement;
    }
    return reg;
}

void kgen_register_release(struct kgen_lowering *lowering, int reg)
{
    lowering->allocator.allocated[reg] = false;
    lowering->allocator.in_use--;
}

void kgen_asm_begin(struct kgen_lowering *lowering)
{
    struct kgen_asm_statement *pending = &lowering->pending;
    if (pending->ones >= 0)
        kgen_register_release(lowering, pending->ones);
    pending->input_count = 0;
    kgen_text_clear(&pending->bytes);
    kgen_text_clear(&pending->checks);
    pending->stores = pending->sealed = false;
    pending->mask = pending->ones = -1;
}

/* Writes bytes into a C string literal whose content is a string of the assembler. A byte that means
 * something to the assembler is escaped twice. */
static void put_bytes(struct kgen_text *out, const char *bytes, size_t length)
{
    char text[1024];
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        bool printable = byte >= ' ' && byte <= '~';
        if (printable && byte != '"' && byte != '\\' && byte != '%' && byte != '?') {
            text[used++] = (char)byte;
        } else {
            text[used++] = '\\';
            if (byte < 0x80)
                text[used++] = '\\';
            text[used++] = (char)('0' + (byte >> 6));
            text[used++] = (char)('0' + (byte >> 3 & 7));
            text[used++] = (char)('0' + (byte & 7));
        }
        if (used > sizeof text - 8) {
            kgen_text_append(out, text, used);
            used = 0;
        }
    }
    kgen_text_append(out, text, used);
}

/* Writes tokens on one line, with blanks where the text has blanks or comments. */
static void put_tokens(struct kgen_lowering *lowering, struct kgen_text *out, struct kgen_span span)
{
    for (int i = span.begin; i < span.end; i++) {
        const struct kgen_token *token = &lowering->tokens.items[i];
        if (i > span.begin && token->start != token[-1].start + token[-1].length)
            kgen_text_append(out, " ", 1);
        kgen_text_append(out, token->start, (size_t)token->length);
    }
}

void kgen_asm_end(struct kgen_lowering *lowering)
{
    struct kgen_asm_statement *pending = &lowering->pending;
    struct kgen_text *out = lowering->out;
    /* TinyCC loads each input from the stack. */
    kgen_count_instructions(lowering, pending->input_count);
    kgen_text_append(out, pending->checks.data, pending->checks.length);
    if (pending->bytes.length > 0) {
        kgen_text_puts(out, "asm(\".ascii \\\"");
        put_bytes(out, pending->bytes.data, pending->bytes.length);
        kgen_text_puts(out, "\\\"\"");
        for (int i = 0; i < pending->input_count; i++) {
            const struct kgen_asm_input *operand = &pending->inputs[i];
            kgen_text_puts(out, i == 0 ? "::\"" : ",\"");
            kgen_text_puts(out, input_registers[i].constraint);
            kgen_text_puts(out, operand->is_pointer ? "\"(" : "\"((int)(");
            put_tokens(lowering, out, operand->span);
            kgen_text_puts(out, operand->is_pointer ? ")" : "))");
        }
        kgen_text_puts(out, ");");
    }
    if (pending->bytes.failed || pending->checks.failed)
        out->failed = true;
    kgen_asm_begin(lowering);
}

static bool same_span(const struct kgen_lowering *lowering, struct kgen_span a, struct kgen_span b)
{
    if (a.end - a.begin != b.end - b.begin)
        return false;
    for (int i = 0; i < a.end - a.begin; i++) {
        if (!kgen_tokens_equal(lowering, a.begin + i, b.begin + i))
            return false;
    }
    return true;
}

/* The lowering turns a literal offset into bytes and knows no types; a static assertion checks the size of
 * the pointer's elements. */
static void check_element(struct kgen_lowering *lowering, const struct kgen_vector_expr *expr)
{
    struct kgen_token_list *checked = &lowering->checked;
    for (int i = 0; i + 2 < checked->count; i += 3) {
        struct kgen_span span = {checked->items[i], checked->items[i + 1]};
        if (checked->items[i + 2] == expr->element_bytes && same_span(lowering, span, expr->span))
            return;
    }
    kgen_token_list_add(lowering, checked, expr->span.begin);
    kgen_token_list_add(lowering, checked, expr->span.end);
    kgen_token_list_add(lowering, checked, expr->element_bytes);
    struct kgen_text *checks = &lowering->pending.checks;
    kgen_text_puts(checks, "_Static_assert(sizeof*(");
    put_tokens(lowering, checks, expr->span);
    kgen_text_printf(
        checks, ")==%d,\"the literal offset counts %s here, and the pointer has elements of another size\");",
        expr->element_bytes,
        expr->element_bytes == 1   ? "bytes"
        : expr->element_bytes == 2 ? "elements of 2 bytes"
                                   : "elements of 4 bytes");
}

/* The input of the present asm statement that is this expression, or -1. */
static int find_input(const struct kgen_lowering *lowering, const struct kgen_vector_expr *expr)
{
    const struct kgen_asm_statement *pending = &lowering->pending;
    for (int i = 0; i < pending->input_count; i++) {
        const struct kgen_asm_input *operand = &pending->inputs[i];
        if (operand->has_effects) {
            if (operand->span.begin == expr->span.begin)
                return i;
        } else if (same_span(lowering, operand->span, expr->span)) {
            return i;
        }
    }
    return -1;
}

/* Whether an expression may become an input of the present asm statement. */
static bool may_join(const struct kgen_lowering *lowering, const struct kgen_vector_expr *expr)
{
    const struct kgen_asm_statement *pending = &lowering->pending;
    if (pending->bytes.length == 0 && pending->input_count == 0)
        return true;
    return pending->input_count < KGEN_ASM_INPUT_MAX && !kgen_c_has_effects(lowering, expr->span) &&
           !(pending->stores && kgen_c_reads_memory(lowering, expr->span));
}

void kgen_asm_add_inputs(struct kgen_lowering *lowering, const struct kgen_vector_expr *const *exprs,
                         int count, uint8_t *registers)
{
    struct kgen_asm_statement *pending = &lowering->pending;
    for (int attempt = 0, i = 0; i < count; i++) {
        if (exprs[i]->is_literal)
            continue;
        int operand = find_input(lowering, exprs[i]);
        if (operand < 0 && !may_join(lowering, exprs[i]) && attempt == 0) {
            /* A new asm statement has room for all of them. */
            kgen_asm_end(lowering);
            attempt = 1;
            i = -1;
            continue;
        }
        if (operand < 0) {
            operand = pending->input_count++;
            bool has_effects = kgen_c_has_effects(lowering, exprs[i]->span);
            pending->inputs[operand] =
                (struct kgen_asm_input){exprs[i]->span, exprs[i]->type == KGEN_TYPE_POINTER, has_effects};
            pending->sealed |= has_effects;
        }
        if (exprs[i]->type == KGEN_TYPE_POINTER && exprs[i]->literal != 0)
            check_element(lowering, exprs[i]);
        registers[i] = input_registers[operand].reg;
    }
}

void kgen_emit_instruction(struct kgen_lowering *lowering, const struct kgen_instruction *instruction)
{
    if (lowering->failed || lowering->allocator.peak + lowering->allocator.first > lowering->registers)
        return;
    uint8_t bytes[KGEN_INSTRUCTION_BYTES] = {0};
    kgen_count_instruction(lowering, instruction);
    size_t length = lowering->counting.on ? 1 : kgen_encode(instruction, bytes);
    if (length == 0)
        kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, lowering->statement,
                         "%s cannot be encoded with the operands of this statement",
                         kgen_mnemonic_name(instruction->mnemonic));
    kgen_text_append(&lowering->pending.bytes, (const char *)bytes, length);
}
