/* SPDX-License-Identifier: MIT */
/* Loads and stores. None touches memory beyond the elements it names. */
#include "gen/target/lower/select.h"

static struct kgen_arg address_from(const struct kgen_node *pointer, int base, int bytes)
{
    return kgen_memory(base, pointer->literal * pointer->element, bytes);
}

struct kgen_arg kgen_address(struct kgen_lowering *lowering, const struct kgen_node *pointer, int bytes)
{
    uint8_t base = 0;
    kgen_group_operands(lowering, &pointer, 1, &base);
    return address_from(pointer, base, bytes);
}

/* Puts the mask of the first lanes in k1. general holds the count where it is no literal. */
static void emit_mask(struct kgen_lowering *lowering, const struct kgen_node *count, int general)
{
    int holds = count->is_literal ? (int)count->literal : KGEN_MASK_REGISTER + general;
    if (lowering->group.mask == holds)
        return;
    lowering->group.mask = holds;
    struct kgen_arg r8 = kgen_general(KGEN_R8, 4);
    int64_t ones = count->is_literal ? (1 << count->literal) - 1 : 0xffff;
    EMIT(lowering, 0, ZYDIS_MNEMONIC_MOV, r8, kgen_immediate(ones));
    if (!count->is_literal)
        EMIT(lowering, 0, ZYDIS_MNEMONIC_BZHI, r8, r8, kgen_general(general, 4));
    EMIT(lowering, 0, ZYDIS_MNEMONIC_KMOVW, kgen_mask(1), r8);
}

/* AVX2 has its masks in vector registers: all ones in the first lanes, widened from a byte each. */
static void emit_vector_mask(struct kgen_lowering *lowering, int reg, const struct kgen_node *count,
                             int general)
{
    struct kgen_arg r8 = kgen_general(KGEN_R8, 8), r9 = kgen_general(KGEN_R9, 4);
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
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPMOVSXBD, whole(lowering, reg), kgen_vector(reg, 16));
}

struct kgen_value kgen_select_load(struct kgen_lowering *lowering, const struct kgen_node *node, int target)
{
    struct kgen_arg source = kgen_address(lowering, node->args[0], lowering->vector_bytes);
    struct kgen_value result = kgen_result(lowering, target, NULL, 0);
    EMIT(lowering, 0, mnemonic_of(lowering, node), whole(lowering, result.reg), source);
    return result;
}

struct kgen_value kgen_select_broadcast(struct kgen_lowering *lowering, const struct kgen_node *node,
                                        int target)
{
    struct kgen_arg source = kgen_address(lowering, node->args[0], 4);
    struct kgen_value result = kgen_result(lowering, target, NULL, 0);
    EMIT(lowering, 0, mnemonic_of(lowering, node), whole(lowering, result.reg), source);
    return result;
}

static void emit_zero(struct kgen_lowering *lowering, int reg)
{
    struct kgen_arg to = whole(lowering, reg);
    if (lowering->evex)
        EMIT(lowering, KGEN_EVEX, ZYDIS_MNEMONIC_VPXORD, to, to, to);
    else
        EMIT(lowering, 0, ZYDIS_MNEMONIC_VPXOR, to, to, to);
}

struct kgen_value kgen_select_load_first(struct kgen_lowering *lowering, const struct kgen_node *node,
                                         int target)
{
    const struct kgen_node *count = node->args[1];
    struct kgen_value result = kgen_result(lowering, target, NULL, 0);
    if (count->is_literal && count->literal == 0) {
        emit_zero(lowering, result.reg);
        return result;
    }
    uint8_t general[2] = {0};
    kgen_group_operands(lowering, node->args, 2, general);
    struct kgen_arg source = address_from(node->args[0], general[0], lowering->vector_bytes);
    struct kgen_arg to = whole(lowering, result.reg);
    if (count->is_literal && count->literal == lowering->lanes) {
        EMIT(lowering, 0, ZYDIS_MNEMONIC_VMOVUPS, to, source);
    } else if (lowering->evex) {
        emit_mask(lowering, count, general[1]);
        EMIT_MASKED(lowering, KGEN_ZEROING, mnemonic_of(lowering, node), to, source);
    } else {
        int mask = kgen_register_take(lowering);
        emit_vector_mask(lowering, mask, count, general[1]);
        EMIT(lowering, 0, mnemonic_of(lowering, node), to, whole(lowering, mask), source);
        kgen_register_give(lowering, mask);
    }
    return result;
}

/* bfloat16, widened as integers, stands in the wrong half of its lane. */
static void finish_half(struct kgen_lowering *lowering, const struct kgen_node *node, int reg)
{
    if (mnemonic_of(lowering, node) == ZYDIS_MNEMONIC_VPMOVZXWD)
        EMIT(lowering, 0, ZYDIS_MNEMONIC_VPSLLD, whole(lowering, reg), whole(lowering, reg),
             kgen_immediate(16));
}

struct kgen_value kgen_select_load_half(struct kgen_lowering *lowering, const struct kgen_node *node,
                                        int target)
{
    struct kgen_arg source = kgen_address(lowering, node->args[0], lowering->vector_bytes / 2);
    struct kgen_value result = kgen_result(lowering, target, NULL, 0);
    EMIT(lowering, 0, mnemonic_of(lowering, node), whole(lowering, result.reg), source);
    finish_half(lowering, node, result.reg);
    return result;
}

/* AVX2, a literal count: the 16-bit elements are put in place one piece after another. */
static void emit_pieces(struct kgen_lowering *lowering, int reg, const struct kgen_node *pointer, int base,
                        int count)
{
    struct kgen_arg to = kgen_vector(reg, 16), from = address_from(pointer, base, 0);
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

static void emit_jump(struct kgen_lowering *lowering, uint8_t opcode, size_t from, size_t to)
{
    /* A short jump at byte `from` of the statement. */
    char *bytes = lowering->group.bytes.data;
    if (lowering->failed || bytes == NULL || lowering->group.bytes.length < from + 2)
        return;
    bytes[from] = (char)opcode;
    bytes[from + 1] = (char)((int)to - (int)from - 2);
}

/* AVX2, any count: the elements are copied below the stack pointer, where an ABI leaves 128 bytes to us. */
static void emit_copy(struct kgen_lowering *lowering, int reg, const struct kgen_node *pointer, int base,
                      int count)
{
    struct kgen_text *bytes = &lowering->group.bytes;
    struct kgen_arg x = kgen_vector(reg, 16), r8 = kgen_general(KGEN_R8, 4);
    struct kgen_arg from = address_from(pointer, base, 2), to = kgen_memory(KGEN_RSP, -18, 2);
    struct kgen_arg copy = kgen_memory(KGEN_RSP, -16, 16);
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

struct kgen_value kgen_select_load_half_first(struct kgen_lowering *lowering, const struct kgen_node *node,
                                              int target)
{
    const struct kgen_node *pointer = node->args[0], *count = node->args[1];
    if (count->is_literal && count->literal == lowering->lanes)
        return kgen_select_load_half(lowering, node, target);
    struct kgen_value result = kgen_result(lowering, target, NULL, 0);
    struct kgen_arg to = whole(lowering, result.reg);
    if (count->is_literal && count->literal == 0) {
        emit_zero(lowering, result.reg);
        return result;
    }
    uint8_t general[2] = {0};
    kgen_group_operands(lowering, node->args, 2, general);
    if (lowering->evex) {
        emit_mask(lowering, count, general[1]);
        EMIT_MASKED(lowering, KGEN_ZEROING, mnemonic_of(lowering, node), to,
                    address_from(pointer, general[0], lowering->vector_bytes / 2));
    } else {
        if (count->is_literal)
            emit_pieces(lowering, result.reg, pointer, general[0], (int)count->literal);
        else
            emit_copy(lowering, result.reg, pointer, general[0], general[1]);
        EMIT(lowering, 0, mnemonic_of(lowering, node), to, kgen_vector(result.reg, 16));
    }
    finish_half(lowering, node, result.reg);
    return result;
}

static struct kgen_value stored(struct kgen_lowering *lowering, struct kgen_value value)
{
    lowering->group.stores = true;
    kgen_value_give(lowering, value);
    return (struct kgen_value){.reg = -1};
}

struct kgen_value kgen_select_store(struct kgen_lowering *lowering, const struct kgen_node *node, int target)
{
    struct kgen_value value = kgen_evaluate(lowering, node->args[1], target);
    struct kgen_arg to = kgen_address(lowering, node->args[0], lowering->vector_bytes);
    EMIT(lowering, 0, mnemonic_of(lowering, node), to, whole(lowering, value.reg));
    return stored(lowering, value);
}

struct kgen_value kgen_select_store_first(struct kgen_lowering *lowering, const struct kgen_node *node,
                                          int target)
{
    const struct kgen_node *count = node->args[2];
    struct kgen_value value = kgen_evaluate(lowering, node->args[1], target);
    if (count->is_literal && count->literal == 0)
        return stored(lowering, value);
    uint8_t general[2] = {0};
    kgen_group_operands(lowering, (const struct kgen_node *[]){node->args[0], count}, 2, general);
    struct kgen_arg to = address_from(node->args[0], general[0], lowering->vector_bytes);
    struct kgen_arg source = whole(lowering, value.reg);
    if (count->is_literal && count->literal == lowering->lanes) {
        EMIT(lowering, 0, ZYDIS_MNEMONIC_VMOVUPS, to, source);
    } else if (lowering->evex) {
        emit_mask(lowering, count, general[1]);
        EMIT_MASKED(lowering, 0, mnemonic_of(lowering, node), to, source);
    } else {
        int mask = kgen_register_take(lowering);
        emit_vector_mask(lowering, mask, count, general[1]);
        EMIT(lowering, 0, mnemonic_of(lowering, node), to, whole(lowering, mask), source);
        kgen_register_give(lowering, mask);
    }
    return stored(lowering, value);
}

struct kgen_value kgen_select_store_narrow(struct kgen_lowering *lowering, const struct kgen_node *node,
                                           int target)
{
    struct kgen_value value = kgen_evaluate(lowering, node->args[1], target);
    uint16_t mnemonic = mnemonic_of(lowering, node);
    struct kgen_arg to = kgen_address(lowering, node->args[0], lowering->lanes * node->operation->element);
    if (lowering->evex) {
        EMIT(lowering, KGEN_EVEX, mnemonic, to, whole(lowering, value.reg));
        return stored(lowering, value);
    }
    int half = kgen_register_take(lowering);
    struct kgen_arg x = kgen_vector(half, 16);
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VEXTRACTI128, x, whole(lowering, value.reg), kgen_immediate(1));
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPACKSSDW, x, kgen_vector(value.reg, 16), x);
    if (mnemonic == ZYDIS_MNEMONIC_VPACKSSWB) {
        EMIT(lowering, 0, ZYDIS_MNEMONIC_VPACKSSWB, x, x, x);
        EMIT(lowering, 0, ZYDIS_MNEMONIC_VMOVQ, to, x);
    } else {
        EMIT(lowering, 0, ZYDIS_MNEMONIC_VMOVDQU, to, x);
    }
    kgen_register_give(lowering, half);
    return stored(lowering, value);
}

/* kv_store_sum and kv_store_max: the lower half and the upper half are combined until one lane is left. */
struct kgen_value kgen_select_store_sum(struct kgen_lowering *lowering, const struct kgen_node *node,
                                        int target)
{
    struct kgen_value value = kgen_evaluate(lowering, node->args[1], target);
    int sum = kgen_register_take(lowering), upper = kgen_register_take(lowering);
    bool is_max = mnemonic_of(lowering, node) == ZYDIS_MNEMONIC_VMAXPS;
    uint16_t combine = mnemonic_of(lowering, node);
    struct kgen_arg x = kgen_vector(sum, 16), u = kgen_vector(upper, 16), lower = kgen_vector(value.reg, 16);
    if (lowering->evex) {
        struct kgen_arg y = kgen_vector(sum, 32);
        EMIT(lowering, KGEN_EVEX, ZYDIS_MNEMONIC_VEXTRACTF32X8, y, whole(lowering, value.reg),
             kgen_immediate(1));
        EMIT(lowering, 0, combine, y, kgen_vector(value.reg, 32), y);
        EMIT(lowering, KGEN_EVEX, ZYDIS_MNEMONIC_VEXTRACTF32X4, u, y, kgen_immediate(1));
        lower = x;
    } else {
        EMIT(lowering, 0, ZYDIS_MNEMONIC_VEXTRACTF128, u, whole(lowering, value.reg), kgen_immediate(1));
    }
    EMIT(lowering, 0, combine, x, lower, u);
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VMOVHLPS, u, x, x);
    EMIT(lowering, 0, combine, x, x, u);
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VMOVSHDUP, u, x);
    EMIT(lowering, 0, is_max ? ZYDIS_MNEMONIC_VMAXSS : ZYDIS_MNEMONIC_VADDSS, x, x, u);
    struct kgen_arg to = kgen_address(lowering, node->args[0], 4);
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VMOVSS, to, x);
    kgen_register_give(lowering, sum);
    kgen_register_give(lowering, upper);
    return stored(lowering, value);
}

void kgen_emit_prefetch(struct kgen_lowering *lowering, const struct kgen_node *pointer)
{
    struct kgen_arg address = kgen_address(lowering, pointer, 1);
    EMIT(lowering, 0, ZYDIS_MNEMONIC_PREFETCHT0, address);
}

struct kgen_value kgen_select_prefetch(struct kgen_lowering *lowering, const struct kgen_node *node,
                                       int target)
{
    (void)target;
    kgen_emit_prefetch(lowering, node->args[0]);
    return (struct kgen_value){.reg = -1};
}
