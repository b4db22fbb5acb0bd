/* SPDX-License-Identifier: MIT */
/* Asm statements: consecutive vector statements become one, as far as their addresses find general registers.
 *
 * TinyCC neither moves nor drops an asm statement and keeps no value in a register from one statement to the
 * next, so none needs `volatile` or a list of what it clobbers. r8 to r11 are free within a statement. */
#include "gen/target/lower/internal.h"

#include <string.h>

static const struct {
    const char *constraint;
    uint8_t reg;
} operand_registers[KGEN_OPERAND_MAX] = {
    {"S", KGEN_RSI}, {"D", KGEN_RDI}, {"d", KGEN_RDX}, {"c", KGEN_RCX}, {"a", KGEN_RAX},
};

int kgen_register_take(struct kgen_lowering *lowering)
{
    struct kgen_pool *pool = &lowering->pool;
    int reg = pool->first;
    while (pool->taken[reg])
        reg++;
    if (reg >= lowering->registers && lowering->group.ones >= 0) {
        reg = lowering->group.ones;
        lowering->group.ones = -1;
        pool->in_use--;
    }
    pool->taken[reg] = true;
    pool->used_low |= reg < 8;
    if (++pool->in_use > pool->most) {
        pool->most = pool->in_use;
        pool->most_token = lowering->statement;
    }
    return reg;
}

void kgen_register_give(struct kgen_lowering *lowering, int reg)
{
    lowering->pool.taken[reg] = false;
    lowering->pool.in_use--;
}

void kgen_group_reset(struct kgen_lowering *lowering)
{
    struct kgen_group *group = &lowering->group;
    if (group->ones >= 0)
        kgen_register_give(lowering, group->ones);
    group->operand_count = 0;
    kgen_text_clear(&group->bytes);
    kgen_text_clear(&group->checks);
    group->stores = group->sealed = false;
    group->mask = group->ones = -1;
}

/* Writes the bytes within a string literal that holds an assembler's string. Most stand for themselves or for
 * one escape of C; those that mean something to the assembler are escaped twice. */
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

/* Writes tokens on one line. */
static void put_tokens(struct kgen_lowering *lowering, struct kgen_text *out, struct kgen_span span)
{
    for (int i = span.begin; i < span.end; i++) {
        const struct kgen_token *token = &lowering->tokens.items[i];
        if (i > span.begin && token->start != token[-1].start + token[-1].length)
            kgen_text_append(out, " ", 1);
        kgen_text_append(out, token->start, (size_t)token->length);
    }
}

void kgen_group_flush(struct kgen_lowering *lowering)
{
    struct kgen_group *group = &lowering->group;
    struct kgen_text *out = lowering->out;
    /* Each operand is fetched from the stack. */
    kgen_count_instructions(lowering, group->operand_count);
    kgen_text_append(out, group->checks.data, group->checks.length);
    if (group->bytes.length > 0) {
        kgen_text_puts(out, "asm(\".ascii \\\"");
        put_bytes(out, group->bytes.data, group->bytes.length);
        kgen_text_puts(out, "\\\"\"");
        for (int i = 0; i < group->operand_count; i++) {
            const struct kgen_operand *operand = &group->operands[i];
            kgen_text_puts(out, i == 0 ? "::\"" : ",\"");
            kgen_text_puts(out, operand_registers[i].constraint);
            kgen_text_puts(out, operand->is_pointer ? "\"(" : "\"((int)(");
            put_tokens(lowering, out, operand->span);
            kgen_text_puts(out, operand->is_pointer ? ")" : "))");
        }
        kgen_text_puts(out, ");");
    }
    if (group->bytes.failed || group->checks.failed)
        out->failed = true;
    kgen_group_reset(lowering);
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

/* A literal offset is turned into bytes here, where no type is known; so have the compiler check the type. */
static void check_element(struct kgen_lowering *lowering, const struct kgen_node *node)
{
    struct kgen_token_list *checked = &lowering->checked;
    for (int i = 0; i + 2 < checked->count; i += 3) {
        struct kgen_span span = {checked->items[i], checked->items[i + 1]};
        if (checked->items[i + 2] == node->element && same_span(lowering, span, node->span))
            return;
    }
    kgen_list_add(lowering, checked, node->span.begin);
    kgen_list_add(lowering, checked, node->span.end);
    kgen_list_add(lowering, checked, node->element);
    struct kgen_text *checks = &lowering->group.checks;
    kgen_text_puts(checks, "_Static_assert(sizeof*(");
    put_tokens(lowering, checks, node->span);
    kgen_text_printf(
        checks, ")==%d,\"the literal offset counts %s here, and the pointer has elements of another size\");",
        node->element,
        node->element == 1   ? "bytes"
        : node->element == 2 ? "elements of 2 bytes"
                             : "elements of 4 bytes");
}

/* The operand of the present statement that holds the expression, or -1 where it must be added. */
static int find_operand(const struct kgen_lowering *lowering, const struct kgen_node *node)
{
    const struct kgen_group *group = &lowering->group;
    for (int i = 0; i < group->operand_count; i++) {
        const struct kgen_operand *operand = &group->operands[i];
        if (operand->has_effects) {
            if (operand->span.begin == node->span.begin)
                return i;
        } else if (same_span(lowering, operand->span, node->span)) {
            return i;
        }
    }
    return -1;
}

/* Whether an expression that the present statement does not hold may join it. */
static bool may_join(const struct kgen_lowering *lowering, const struct kgen_node *node)
{
    const struct kgen_group *group = &lowering->group;
    if (group->bytes.length == 0 && group->operand_count == 0)
        return true;
    return group->operand_count < KGEN_OPERAND_MAX && !kgen_c_has_effects(lowering, node->span) &&
           !(group->stores && kgen_c_reads_memory(lowering, node->span));
}

void kgen_group_operands(struct kgen_lowering *lowering, const struct kgen_node *const *nodes, int count,
                         uint8_t *registers)
{
    struct kgen_group *group = &lowering->group;
    for (int attempt = 0, i = 0; i < count; i++) {
        if (nodes[i]->is_literal)
            continue;
        int operand = find_operand(lowering, nodes[i]);
        if (operand < 0 && !may_join(lowering, nodes[i]) && attempt == 0) {
            /* Begin again in a new statement, where all of them find room. */
            kgen_group_flush(lowering);
            attempt = 1;
            i = -1;
            continue;
        }
        if (operand < 0) {
            operand = group->operand_count++;
            bool has_effects = kgen_c_has_effects(lowering, nodes[i]->span);
            group->operands[operand] =
                (struct kgen_operand){nodes[i]->span, nodes[i]->type == KGEN_TYPE_POINTER, has_effects};
            group->sealed |= has_effects;
        }
        if (nodes[i]->type == KGEN_TYPE_POINTER && nodes[i]->literal != 0)
            check_element(lowering, nodes[i]);
        registers[i] = operand_registers[operand].reg;
    }
}

void kgen_lower_emit(struct kgen_lowering *lowering, const struct kgen_instruction *instruction)
{
    if (lowering->failed || lowering->pool.most + lowering->pool.first > lowering->registers)
        return;
    uint8_t bytes[KGEN_INSTRUCTION_BYTES] = {0};
    kgen_count_instruction(lowering, instruction);
    size_t length = lowering->counting.on ? 1 : kgen_encode(instruction, bytes);
    if (length == 0)
        kgen_lower_error(lowering, KGEN_ERROR_TEMPLATE, lowering->statement,
                         "%s cannot be encoded with the operands of this statement",
                         kgen_mnemonic_name(instruction->mnemonic));
    kgen_text_append(&lowering->group.bytes, (const char *)bytes, length);
}
