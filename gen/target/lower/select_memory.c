/* SPDX-License-Identifier: MIT */
/* Instruction selection for loads and stores. No instruction touches memory beyond the elements that the
 * vector operation names. */
#include "gen/target/lower/select.h"

static struct kgen_operand address_from(const struct kgen_vector_expr *pointer, int base, int bytes)
{
    return kgen_memory(base, pointer->literal * pointer->element_bytes, bytes);
}

struct kgen_operand kgen_address(struct kgen_lowering *lowering, const struct kgen_vector_expr *pointer,
                                 int bytes)
{
    uint8_t base = 0;
    kgen_asm_add_inputs(lowering, &pointer, 1, &base);
    return address_from(pointer, base, bytes);
}

/* EVEX: puts the mask of the first count lanes into k1. general holds the count, unless it is a literal. */
static void emit_mask(struct kgen_lowering *lowering, const struct kgen_vector_expr *count, int general)
{
    int holds = count->is_literal ? (int)count->literal : KGEN_MASK_REGISTER + general;
    if (lowering->pending.mask == holds)
        return;
    lowering->pending.mask = holds;
    struct kgen_operand r8 = kgen_general(KGEN_R8, 4);
    int64_t ones = count->is_literal ? (1 << count->literal) - 1 : 0xffff;
    EMIT(lowering, 0, ZYDIS_MNEMONIC_MOV, r8, kgen_immediate(ones));
    if (!count->is_literal)
        EMIT(lowering, 0, ZYDIS_MNEMONIC_BZHI, r8, r8, kgen_general(general, 4));
    EMIT(lowering, 0, ZYDIS_MNEMONIC_KMOVW, kgen_mask(1), r8);
}

/* VEX: masks are vector registers with all ones in the first count lanes, which are widened from bytes. */
static void emit_vector_mask(struct kgen_lowering *lowering, int reg, const struct kgen_vector_expr *count,
                             int general)
{
    struct kgen_operand r8 = kgen_general(KGEN_R8, 8), r9 = kgen_general(KGEN_R9, 4);
    if (count->is_literal) {
        int64_t bytes = (int64_t)(UINT64_MAX >> (64 - 8 * count->literal));
        EMIT(lowering, 0, ZYDIS_MNEMONIC_MOV, r8, kgen_immediate(bytes));
    } else {
        EMIT(lowering, 0, ZYDIS_MNEMONIC_MOV, r9, kgen_general(general, 4));
        EMIT(lowering, 0, ZYDIS_MNEMONIC_SHL, r9, kgen_immediate(3));
        EMIT(lowering, 0, ZYDIS_MNEMONIC_MOV, r8, kgen_immediate(-1));
        EMIT(lowering, 0, ZYDIS_MNEMONIC_BZHI, r8, r8, kgen_general(KGEN_R9, 8));
    }
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VMOVQ, kgen_vector(reg, 16), r8);
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPMOVSXBD, kgen_full_vector(lowering, reg), kgen_vector(reg, 16));
}

struct kgen_vector_value kgen_select_load(struct kgen_lowering *lowering, const struct kgen_vector_expr *expr,
                                          int destination)
{
    struct kgen_operand source = kgen_address(lowering, expr->args[0], lowering->vector_bytes);
    struct kgen_vector_value result = kgen_result_register(lowering, destination, NULL, 0);
    EMIT(lowering, 0, kgen_mnemonic_of(lowering, expr), kgen_full_vector(lowering, result.reg), source);
    return result;
}

struct kgen_vector_value kgen_select_broadcast(struct kgen_lowering *lowering,
                                               const struct kgen_vector_expr *expr, int destination)
{
    struct kgen_operand source = kgen_address(lowering, expr->args[0], 4);
    struct kgen_vector_value result = kgen_result_register(lowering, destination, NULL, 0);
    EMIT(lowering, 0, kgen_mnemonic_of(lowering, expr), kgen_full_vector(lowering, result.reg), source);
    return result;
}

struct kgen_vector_value kgen_select_load_first(struct kgen_lowering *lowering,
                                                const struct kgen_vector_expr *expr, int destination)
{
    const struct kgen_vector_expr *count = expr->args[1];
    struct kgen_vector_value result = kgen_result_register(lowering, destination, NULL, 0);
    if (count->is_literal && count->literal == 0) {
        kgen_emit_zero(lowering, result.reg);
        return result;
    }
    uint8_t general[2] = {0};
    kgen_asm_add_inputs(lowering, expr->args, 2, general);
    struct kgen_operand source = address_from(expr->args[0], general[0], lowering->vector_bytes);
    struct kgen_operand to = kgen_full_vector(lowering, result.reg);
    if (count->is_literal && count->literal == lowering->lanes) {
        EMIT(lowering, 0, ZYDIS_MNEMONIC_VMOVUPS, to, source);
    } else if (lowering->evex) {
        emit_mask(lowering, count, general[1]);
        EMIT_MASKED(lowering, KGEN_ZEROING, kgen_mnemonic_of(lowering, expr), to, source);
    } else {
        int mask = kgen_register_allocate(lowering);
        emit_vector_mask(lowering, mask, count, general[1]);
        EMIT(lowering, 0, kgen_mnemonic_of(lowering, expr), to, kgen_full_vector(lowering, mask), source);
        kgen_register_release(lowering, mask);
    }
    return result;
}

/* bfloat16 that was widened as an integer is in the lower half of its lane, and belongs in the upper. */
static void finish_half(struct kgen_lowering *lowering, const struct kgen_vector_expr *expr, int reg)
{
    if (kgen_mnemonic_of(lowering, expr) == ZYDIS_MNEMONIC_VPMOVZXWD)
        EMIT(lowering, 0, ZYDIS_MNEMONIC_VPSLLD, kgen_full_vector(lowering, reg),
             kgen_full_vector(lowering, reg), kgen_immediate(16));
}

struct kgen_vector_value kgen_select_load_half(struct kgen_lowering *lowering,
                                               const struct kgen_vector_expr *expr, int destination)
{
    struct kgen_operand source = kgen_address(lowering, expr->args[0], lowering->vector_bytes / 2);
    struct kgen_vector_value result = kgen_result_register(lowering, destination, NULL, 0);
    EMIT(lowering, 0, kgen_mnemonic_of(lowering, expr), kgen_full_vector(lowering, result.reg), source);
    finish_half(lowering, expr, result.reg);
    return result;
}

/* VEX, a literal count: loads the 16-bit elements in pieces of 8, 4 and 2 bytes. */
static void emit_pieces(struct kgen_lowering *lowering, int reg, const struct kgen_vector_expr *pointer,
                        int base, int count)
{
    struct kgen_operand to = kgen_vector(reg, 16), from = address_from(pointer, base, 0);
    int done = 0;
    if (count >= 4) {
        from.bytes = 8;
        EMIT(lowering, 0, ZYDIS_MNEMONIC_VMOVQ, to, from);
        done = 4;
    } else if (count >= 2) {
        from.bytes = 4;
        EMIT(lowering, 0, ZYDIS_MNEMONIC_VMOVD, to, from);
        done = 2;
    } else {
        EMIT(lowering, 0, ZYDIS_MNEMONIC_VPXOR, to, to, to);
    }
    from.value += 2 * done;
    if (count - done >= 2) {
        from.bytes = 4;
        EMIT(lowering, 0, ZYDIS_MNEMONIC_VPINSRD, to, to, from, kgen_immediate(done / 2));
        done += 2;
        from.value += 4;
    }
    if (count > done) {
        from.bytes = 2;
        EMIT(lowering, 0, ZYDIS_MNEMONIC_VPINSRW, to, to, from, kgen_immediate(done));
    }
}

/* Writes a short jump at byte `from` of the asm statement. */
static void emit_jump(struct kgen_lowering *lowering, uint8_t opcode, size_t from, size_t to)
{
    char *bytes = lowering->pending.bytes.data;
    if (lowering->failed || bytes == NULL || lowering->pending.bytes.length < from + 2)
        return;
    bytes[from] = (char)opcode;
    bytes[from + 1] = (char)((int)to - (int)from - 2);
}

/* VEX, any count: copies the elements to the 128 bytes below the stack pointer, which the ABI leaves to the
 * function, and loads them from there. */
static void emit_copy(struct kgen_lowering *lowering, int reg, const struct kgen_vector_expr *pointer,
                      int base, int count)
{
    struct kgen_text *bytes = &lowering->pending.bytes;
    struct kgen_operand x = kgen_vector(reg, 16), r8 = kgen_general(KGEN_R8, 4);
    struct kgen_operand from = address_from(pointer, base, 2), to = kgen_memory(KGEN_RSP, -18, 2);
    struct kgen_operand copy = kgen_memory(KGEN_RSP, -16, 16);
    from.value -= 2;
    from.indexed = to.indexed = true;
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPXOR, x, x, x);
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VMOVDQU, copy, x);
    EMIT(lowering, 0, ZYDIS_MNEMONIC_MOV, r8, kgen_general(count, 4));
    size_t enter = bytes->length;
    kgen_text_append(bytes, "..", 2);
    size_t loop = bytes->length;
    EMIT(lowering, 0, ZYDIS_MNEMONIC_MOVZX, kgen_general(KGEN_R9, 4), from);
    EMIT(lowering, 0, ZYDIS_MNEMONIC_MOV, to, kgen_general(KGEN_R9, 2));
    EMIT(lowering, 0, ZYDIS_MNEMONIC_SUB, r8, kgen_immediate(1));
    emit_jump(lowering, 0xeb, enter, bytes->length);
    EMIT(lowering, 0, ZYDIS_MNEMONIC_TEST, r8, r8);
    size_t leave = bytes->length;
    kgen_text_append(bytes, "..", 2);
    emit_jump(lowering, 0x75, leave, loop);
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VMOVDQU, x, copy);
}

struct kgen_vector_value kgen_select_load_half_first(struct kgen_lowering *lowering,
                                                     const struct kgen_vector_expr *expr, int destination)
{
    const struct kgen_vector_expr *pointer = expr->args[0], *count = expr->args[1];
    if (count->is_literal && count->literal == lowering->lanes)
        return kgen_select_load_half(lowering, expr, destination);
    struct kgen_vector_value result = kgen_result_register(lowering, destination, NULL, 0);
    struct kgen_operand to = kgen_full_vector(lowering, result.reg);
    if (count->is_literal && count->literal == 0) {
        kgen_emit_zero(lowering, result.reg);
        return result;
    }
    uint8_t general[2] = {0};
    kgen_asm_add_inputs(lowering, expr->args, 2, general);
    if (lowering->evex) {
        emit_mask(lowering, count, general[1]);
        EMIT_MASKED(lowering, KGEN_ZEROING, kgen_mnemonic_of(lowering, expr), to,
                    address_from(pointer, general[0], lowering->vector_bytes / 2));
    } else {
        if (count->is_literal)
            emit_pieces(lowering, result.reg, pointer, general[0], (int)count->literal);
        else
            emit_copy(lowering, result.reg, pointer, general[0], general[1]);
        EMIT(lowering, 0, kgen_mnemonic_of(lowering, expr), to, kgen_vector(result.reg, 16));
    }
    finish_half(lowering, expr, result.reg);
    return result;
}

static struct kgen_vector_value stored(struct kgen_lowering *lowering, struct kgen_vector_value value)
{
    lowering->pending.stores = true;
    kgen_vector_value_release(lowering, value);
    return (struct kgen_vector_value){.reg = -1};
}

struct kgen_vector_value kgen_select_store(struct kgen_lowering *lowering,
                                           const struct kgen_vector_expr *expr, int destination)
{
    struct kgen_vector_value value = kgen_select(lowering, expr->args[1], destination);
    struct kgen_operand to = kgen_address(lowering, expr->args[0], lowering->vector_bytes);
    EMIT(lowering, 0, kgen_mnemonic_of(lowering, expr), to, kgen_full_vector(lowering, value.reg));
    return stored(lowering, value);
}

struct kgen_vector_value kgen_select_store_first(struct kgen_lowering *lowering,
                                                 const struct kgen_vector_expr *expr, int destination)
{
    const struct kgen_vector_expr *count = expr->args[2];
    struct kgen_vector_value value = kgen_select(lowering, expr->args[1], destination);
    if (count->is_literal && count->literal == 0)
        return stored(lowering, value);
    uint8_t general[2] = {0};
    kgen_asm_add_inputs(lowering, (const struct kgen_vector_expr *[]){expr->args[0], count}, 2, general);
    struct kgen_operand to = address_from(expr->args[0], general[0], lowering->vector_bytes);
    struct kgen_operand source = kgen_full_vector(lowering, value.reg);
    if (count->is_literal && count->literal == lowering->lanes) {
        EMIT(lowering, 0, ZYDIS_MNEMONIC_VMOVUPS, to, source);
    } else if (lowering->evex) {
        emit_mask(lowering, count, general[1]);
        EMIT_MASKED(lowering, 0, kgen_mnemonic_of(lowering, expr), to, source);
    } else {
        int mask = kgen_register_allocate(lowering);
        emit_vector_mask(lowering, mask, count, general[1]);
        EMIT(lowering, 0, kgen_mnemonic_of(lowering, expr), to, kgen_full_vector(lowering, mask), source);
        kgen_register_release(lowering, mask);
    }
    return stored(lowering, value);
}

struct kgen_vector_value kgen_select_store_narrow(struct kgen_lowering *lowering,
                                                  const struct kgen_vector_expr *expr, int destination)
{
    struct kgen_vector_value value = kgen_select(lowering, expr->args[1], destination);
    uint16_t mnemonic = kgen_mnemonic_of(lowering, expr);
    struct kgen_operand to =
        kgen_address(lowering, expr->args[0], lowering->lanes * expr->vector_op->element_bytes);
    if (lowering->evex) {
        EMIT(lowering, KGEN_EVEX, mnemonic, to, kgen_full_vector(lowering, value.reg));
        return stored(lowering, value);
    }
    int half = kgen_register_allocate(lowering);
    struct kgen_operand x = kgen_vector(half, 16);
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VEXTRACTI128, x, kgen_full_vector(lowering, value.reg),
         kgen_immediate(1));
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPACKSSDW, x, kgen_vector(value.reg, 16), x);
    if (mnemonic == ZYDIS_MNEMONIC_VPACKSSWB) {
        EMIT(lowering, 0, ZYDIS_MNEMONIC_VPACKSSWB, x, x, x);
        EMIT(lowering, 0, ZYDIS_MNEMONIC_VMOVQ, to, x);
    } else {
        EMIT(lowering, 0, ZYDIS_MNEMONIC_VMOVDQU, to, x);
    }
    kgen_register_release(lowering, half);
    return stored(lowering, value);
}

struct kgen_vector_value kgen_select_store_half(struct kgen_lowering *lowering,
                                                const struct kgen_vector_expr *expr, int destination)
{
    struct kgen_vector_value value = kgen_select(lowering, expr->args[1], destination);
    struct kgen_operand to = kgen_address(lowering, expr->args[0], lowering->vector_bytes / 2);
    /* The immediate 0 rounds to the nearest, ties to even. */
    EMIT(lowering, lowering->evex ? KGEN_EVEX : 0, kgen_mnemonic_of(lowering, expr), to,
         kgen_full_vector(lowering, value.reg), kgen_immediate(0));
    return stored(lowering, value);
}

/* kv_store_sum and kv_store_max combine the lower and the upper half until one lane is left. */
struct kgen_vector_value kgen_select_store_reduced(struct kgen_lowering *lowering,
                                                   const struct kgen_vector_expr *expr, int destination)
{
    struct kgen_vector_value value = kgen_select(lowering, expr->args[1], destination);
    int sum = kgen_register_allocate(lowering), upper = kgen_register_allocate(lowering);
    bool is_max = kgen_mnemonic_of(lowering, expr) == ZYDIS_MNEMONIC_VMAXPS;
    uint16_t combine = kgen_mnemonic_of(lowering, expr);
    struct kgen_operand x = kgen_vector(sum, 16), u = kgen_vector(upper, 16),
                        lower = kgen_vector(value.reg, 16);
    if (lowering->evex) {
        struct kgen_operand y = kgen_vector(sum, 32);
        EMIT(lowering, KGEN_EVEX, ZYDIS_MNEMONIC_VEXTRACTF32X8, y, kgen_full_vector(lowering, value.reg),
             kgen_immediate(1));
        EMIT(lowering, 0, combine, y, kgen_vector(value.reg, 32), y);
        EMIT(lowering, KGEN_EVEX, ZYDIS_MNEMONIC_VEXTRACTF32X4, u, y, kgen_immediate(1));
        lower = x;
    } else {
        EMIT(lowering, 0, ZYDIS_MNEMONIC_VEXTRACTF128, u, kgen_full_vector(lowering, value.reg),
             kgen_immediate(1));
    }
    EMIT(lowering, 0, combine, x, lower, u);
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VMOVHLPS, u, x, x);
    EMIT(lowering, 0, combine, x, x, u);
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VMOVSHDUP, u, x);
    EMIT(lowering, 0, is_max ? ZYDIS_MNEMONIC_VMAXSS : ZYDIS_MNEMONIC_VADDSS, x, x, u);
    struct kgen_operand to = kgen_address(lowering, expr->args[0], 4);
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VMOVSS, to, x);
    kgen_register_release(lowering, sum);
    kgen_register_release(lowering, upper);
    return stored(lowering, value);
}

void kgen_emit_prefetch(struct kgen_lowering *lowering, const struct kgen_vector_expr *pointer)
{
    struct kgen_operand address = kgen_address(lowering, pointer, 1);
    EMIT(lowering, 0, ZYDIS_MNEMONIC_PREFETCHT0, address);
}

struct kgen_vector_value kgen_select_prefetch(struct kgen_lowering *lowering,
                                              const struct kgen_vector_expr *expr, int destination)
{
    (void)destination;
    kgen_emit_prefetch(lowering, expr->args[0]);
    return (struct kgen_vector_value){.reg = -1};
}
