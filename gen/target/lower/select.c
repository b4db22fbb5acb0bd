/* SPDX-License-Identifier: MIT */
/* From an operation on registers to its instructions. */
#include "gen/target/lower/select.h"

#include <string.h>

static const struct kgen_node *skip_renames(const struct kgen_node *node)
{
    while (node->kind == KGEN_NODE_CALL && (node->operation->flags & KGEN_OPERATION_RENAMES) != 0)
        node = node->args[0];
    return node;
}

struct kgen_value kgen_evaluate(struct kgen_lowering *lowering, const struct kgen_node *node, int target)
{
    node = skip_renames(node);
    if (node->kind == KGEN_NODE_VARIABLE)
        return (struct kgen_value){.reg = lowering->variables[node->variable].reg};
    return node->operation->select(lowering, node, target);
}

void kgen_value_give(struct kgen_lowering *lowering, struct kgen_value value)
{
    if (value.temporary)
        kgen_register_give(lowering, value.reg);
}

struct kgen_value kgen_result(struct kgen_lowering *lowering, int target, struct kgen_value *values,
                              int count)
{
    struct kgen_value result = {.reg = target};
    for (int i = 0; i < count; i++) {
        if (!values[i].temporary)
            continue;
        if (target < 0 && !result.temporary)
            result = values[i];
        else
            kgen_value_give(lowering, values[i]);
    }
    if (target < 0 && !result.temporary)
        result = (struct kgen_value){.reg = kgen_register_take(lowering), .temporary = true};
    return result;
}

void kgen_emit_move(struct kgen_lowering *lowering, int target, int source)
{
    if (target != source)
        EMIT(lowering, 0, ZYDIS_MNEMONIC_VMOVAPS, whole(lowering, target), whole(lowering, source));
}

void kgen_emit_vzeroupper(struct kgen_lowering *lowering)
{
    kgen_lower_emit(lowering, &(struct kgen_instruction){.mnemonic = ZYDIS_MNEMONIC_VZEROUPPER});
}

/* Whether an argument can be a memory operand of its instruction. */
static bool foldable(const struct kgen_lowering *lowering, const struct kgen_node *node, bool lanes_32)
{
    node = skip_renames(node);
    if (node->kind != KGEN_NODE_CALL)
        return false;
    return (node->operation->flags & KGEN_OPERATION_LOADS) != 0 ||
           (lanes_32 && lowering->evex && node->operation->select == kgen_select_broadcast);
}

static struct kgen_value fold(const struct kgen_node *node)
{
    node = skip_renames(node);
    return (struct kgen_value){.memory = node,
                               .embedded = (node->operation->flags & KGEN_OPERATION_LOADS) == 0};
}

static bool lanes_32(const struct kgen_node *node)
{
    return (node->operation->flags & KGEN_OPERATION_LANES_32) != 0;
}

static bool mentions(const struct kgen_lowering *lowering, const struct kgen_node *node, int reg)
{
    if (node->kind == KGEN_NODE_VARIABLE)
        return lowering->variables[node->variable].reg == reg;
    if (node->kind == KGEN_NODE_CALL) {
        for (size_t i = 0; i < strlen(node->operation->args); i++) {
            if (mentions(lowering, node->args[i], reg))
                return true;
        }
    }
    return false;
}

/* Evaluates the first count arguments, but leaves the one of index folded (or -1) in memory. The preferred
 * one, or else the first that can, is computed in target where no other argument reads target. */
static void evaluate_arguments(struct kgen_lowering *lowering, const struct kgen_node *node, int count,
                               int folded, int preferred, int target, struct kgen_value *values)
{
    int heir = -1;
    for (int k = 0; k <= count && target >= 0 && heir < 0; k++) {
        int i = k == 0 ? preferred : k - 1;
        if (i < 0 || i == folded || skip_renames(node->args[i])->kind != KGEN_NODE_CALL)
            continue;
        heir = i;
        for (int j = 0; j < count; j++) {
            if (j != i && mentions(lowering, node->args[j], target))
                heir = -1;
        }
    }
    for (int i = 0; i < count; i++)
        values[i] = i == folded ? fold(node->args[i])
                                : kgen_evaluate(lowering, node->args[i], i == heir ? target : -1);
}

/* The operand for a value; a memory operand finds its general register now, so this comes right before the
 * instruction. */
static struct kgen_arg operand(struct kgen_lowering *lowering, struct kgen_value value)
{
    if (value.memory == NULL)
        return whole(lowering, value.reg);
    return kgen_address(lowering, value.memory->args[0], value.embedded ? 4 : lowering->vector_bytes);
}

static int embedded_flag(struct kgen_value value)
{
    return value.embedded ? KGEN_EMBEDDED_32 : 0;
}

static int evex_flag(const struct kgen_lowering *lowering)
{
    return lowering->evex ? KGEN_EVEX : 0;
}

struct kgen_value kgen_select_rename(struct kgen_lowering *lowering, const struct kgen_node *node, int target)
{
    return kgen_evaluate(lowering, node->args[0], target);
}

static void emit_zero(struct kgen_lowering *lowering, int reg)
{
    /* Writing the low part of a register clears the rest. */
    if (reg < 16)
        EMIT(lowering, 0, ZYDIS_MNEMONIC_VPXOR, kgen_vector(reg, 16), kgen_vector(reg, 16),
             kgen_vector(reg, 16));
    else
        EMIT(lowering, KGEN_EVEX, ZYDIS_MNEMONIC_VPXORD, whole(lowering, reg), whole(lowering, reg),
             whole(lowering, reg));
}

struct kgen_value kgen_select_zero(struct kgen_lowering *lowering, const struct kgen_node *node, int target)
{
    (void)node;
    struct kgen_value result = kgen_result(lowering, target, NULL, 0);
    emit_zero(lowering, result.reg);
    return result;
}

static void emit_from_general(struct kgen_lowering *lowering, int reg, int general)
{
    if (lowering->evex) {
        EMIT(lowering, KGEN_EVEX, ZYDIS_MNEMONIC_VPBROADCASTD, whole(lowering, reg),
             kgen_general(general, 4));
    } else {
        EMIT(lowering, 0, ZYDIS_MNEMONIC_VMOVD, kgen_vector(reg, 16), kgen_general(general, 4));
        EMIT(lowering, 0, ZYDIS_MNEMONIC_VPBROADCASTD, whole(lowering, reg), kgen_vector(reg, 16));
    }
}

/* kv_set and kv_set_i32: the same 32 bits in every lane. */
struct kgen_value kgen_select_set(struct kgen_lowering *lowering, const struct kgen_node *node, int target)
{
    const struct kgen_node *c = node->args[0];
    struct kgen_value result = kgen_result(lowering, target, NULL, 0);
    if (!c->is_literal) {
        uint8_t general = 0;
        kgen_group_operands(lowering, &c, 1, &general);
        emit_from_general(lowering, result.reg, general);
        return result;
    }
    uint32_t bits = (uint32_t)c->literal;
    if (c->type == KGEN_TYPE_LITERAL)
        memcpy(&bits, &c->number, sizeof bits);
    if (bits == 0) {
        emit_zero(lowering, result.reg);
    } else {
        EMIT(lowering, 0, ZYDIS_MNEMONIC_MOV, kgen_general(KGEN_R8, 4), kgen_immediate((int32_t)bits));
        emit_from_general(lowering, result.reg, KGEN_R8);
    }
    return result;
}

struct kgen_value kgen_select_unary(struct kgen_lowering *lowering, const struct kgen_node *node, int target)
{
    struct kgen_value value;
    evaluate_arguments(lowering, node, 1, foldable(lowering, node->args[0], lanes_32(node)) ? 0 : -1, -1,
                       target, &value);
    struct kgen_arg source = operand(lowering, value);
    struct kgen_value result = kgen_result(lowering, target, &value, 1);
    EMIT(lowering, embedded_flag(value), mnemonic_of(lowering, node), whole(lowering, result.reg), source);
    return result;
}

/* One operand and an immediate: to the nearest, and no exception for the inexact. */
struct kgen_value kgen_select_round(struct kgen_lowering *lowering, const struct kgen_node *node, int target)
{
    struct kgen_value value;
    evaluate_arguments(lowering, node, 1, foldable(lowering, node->args[0], true) ? 0 : -1, -1, target,
                       &value);
    struct kgen_arg source = operand(lowering, value);
    struct kgen_value result = kgen_result(lowering, target, &value, 1);
    EMIT(lowering, embedded_flag(value) | evex_flag(lowering), mnemonic_of(lowering, node),
         whole(lowering, result.reg), source, kgen_immediate(8));
    return result;
}

struct kgen_value kgen_select_abs(struct kgen_lowering *lowering, const struct kgen_node *node, int target)
{
    struct kgen_value value;
    evaluate_arguments(lowering, node, 1, -1, -1, target, &value);
    struct kgen_value result = kgen_result(lowering, target, &value, 1);
    struct kgen_arg to = whole(lowering, result.reg);
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPSLLD, to, whole(lowering, value.reg), kgen_immediate(1));
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPSRLD, to, to, kgen_immediate(1));
    return result;
}

struct kgen_value kgen_select_shift(struct kgen_lowering *lowering, const struct kgen_node *node, int target)
{
    struct kgen_value value;
    bool folds = lowering->evex && foldable(lowering, node->args[0], lanes_32(node));
    evaluate_arguments(lowering, node, 1, folds ? 0 : -1, -1, target, &value);
    struct kgen_arg source = operand(lowering, value);
    struct kgen_value result = kgen_result(lowering, target, &value, 1);
    EMIT(lowering, embedded_flag(value), mnemonic_of(lowering, node), whole(lowering, result.reg), source,
         kgen_immediate(node->args[1]->literal));
    return result;
}

struct kgen_value kgen_select_binary(struct kgen_lowering *lowering, const struct kgen_node *node, int target)
{
    bool commutes = (node->operation->flags & KGEN_OPERATION_COMMUTES) != 0;
    int folded = foldable(lowering, node->args[1], lanes_32(node))               ? 1
                 : commutes && foldable(lowering, node->args[0], lanes_32(node)) ? 0
                                                                                 : -1;
    struct kgen_value values[2];
    evaluate_arguments(lowering, node, 2, folded, 0, target, values);
    int last = folded == 0 ? 0 : 1;
    struct kgen_arg source = operand(lowering, values[last]);
    struct kgen_value result = kgen_result(lowering, target, values, 2);
    EMIT(lowering, embedded_flag(values[last]), mnemonic_of(lowering, node), whole(lowering, result.reg),
         whole(lowering, values[1 - last].reg), source);
    return result;
}

/* Permutations: the instruction has the indices first. */
struct kgen_value kgen_select_indexed(struct kgen_lowering *lowering, const struct kgen_node *node,
                                      int target)
{
    struct kgen_value values[2];
    evaluate_arguments(lowering, node, 2, foldable(lowering, node->args[0], true) ? 0 : -1, 1, target,
                       values);
    struct kgen_arg source = operand(lowering, values[0]);
    struct kgen_value result = kgen_result(lowering, target, values, 2);
    EMIT(lowering, embedded_flag(values[0]), mnemonic_of(lowering, node), whole(lowering, result.reg),
         whole(lowering, values[1].reg), source);
    return result;
}

/* The value itself where its register is the statement's own, and may be overwritten; else a new register. */
static struct kgen_value scratch(struct kgen_lowering *lowering, struct kgen_value value)
{
    if (value.temporary)
        return value;
    return (struct kgen_value){.reg = kgen_register_take(lowering), .temporary = true};
}

static struct kgen_value permute2_avx2(struct kgen_lowering *lowering, const struct kgen_node *node,
                                       int target)
{
    struct kgen_value v[3], from[3];
    evaluate_arguments(lowering, node, 3, -1, -1, -1, v);
    from[0] = scratch(lowering, v[0]);
    from[1] = scratch(lowering, v[1]);
    from[2] = v[2];
    struct kgen_arg index = whole(lowering, v[2].reg);
    struct kgen_arg a = whole(lowering, from[0].reg), b = whole(lowering, from[1].reg);
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPERMPS, a, index, whole(lowering, v[0].reg));
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPERMPS, b, index, whole(lowering, v[1].reg));
    /* Bit 3 of an index says which half; the blend looks at the sign. */
    int mask = target >= 0 ? target : scratch(lowering, v[2]).reg;
    struct kgen_arg to = whole(lowering, mask);
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPSLLD, to, index, kgen_immediate(28));
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VBLENDVPS, to, a, b, to);
    kgen_value_give(lowering, from[0]);
    kgen_value_give(lowering, from[1]);
    if (target < 0)
        return (struct kgen_value){.reg = mask, .temporary = true};
    kgen_value_give(lowering, from[2]);
    return (struct kgen_value){.reg = target};
}

struct kgen_value kgen_select_permute2(struct kgen_lowering *lowering, const struct kgen_node *node,
                                       int target)
{
    if (!lowering->evex)
        return permute2_avx2(lowering, node, target);
    struct kgen_value v[3];
    evaluate_arguments(lowering, node, 3, foldable(lowering, node->args[1], true) ? 1 : -1, -1, target, v);
    struct kgen_arg b = operand(lowering, v[1]);
    bool over_index = v[2].temporary || v[2].reg == target;
    bool over_a = v[0].temporary || v[0].reg == target;
    int flags = KGEN_EVEX | embedded_flag(v[1]);
    if (over_index && !(over_a && v[0].reg == target)) {
        EMIT(lowering, flags, ZYDIS_MNEMONIC_VPERMI2PS, whole(lowering, v[2].reg), whole(lowering, v[0].reg),
             b);
        kgen_value_give(lowering, v[0]);
        kgen_value_give(lowering, v[1]);
        return v[2];
    }
    struct kgen_value result = v[0];
    if (!over_a) {
        bool usable = target >= 0 && (v[1].memory != NULL || v[1].reg != target);
        result = usable ? (struct kgen_value){.reg = target}
                        : (struct kgen_value){.reg = kgen_register_take(lowering), .temporary = true};
        kgen_emit_move(lowering, result.reg, v[0].reg);
    }
    EMIT(lowering, flags, ZYDIS_MNEMONIC_VPERMT2PS, whole(lowering, result.reg), whole(lowering, v[2].reg),
         b);
    kgen_value_give(lowering, v[1]);
    kgen_value_give(lowering, v[2]);
    return result;
}

/* The other orders of the fused multiply-add 231 that stands in the table. */
static uint16_t fma_132(uint16_t mnemonic)
{
    return mnemonic == ZYDIS_MNEMONIC_VFMADD231PS ? ZYDIS_MNEMONIC_VFMADD132PS : ZYDIS_MNEMONIC_VFNMADD132PS;
}

static uint16_t fma_213(uint16_t mnemonic)
{
    return mnemonic == ZYDIS_MNEMONIC_VFMADD231PS ? ZYDIS_MNEMONIC_VFMADD213PS : ZYDIS_MNEMONIC_VFNMADD213PS;
}

struct kgen_value kgen_select_fma(struct kgen_lowering *lowering, const struct kgen_node *node, int target)
{
    int folded = foldable(lowering, node->args[1], true)   ? 1
                 : foldable(lowering, node->args[0], true) ? 0
                                                           : -1;
    struct kgen_value v[3];
    evaluate_arguments(lowering, node, 3, folded, 2, target, v);
    struct kgen_value a = v[0], b = v[1], c = v[2];
    if (folded == 0) {
        a = v[1];
        b = v[0];
    }
    uint16_t mnemonic = mnemonic_of(lowering, node);
    bool b_in_register = b.memory == NULL;
    struct kgen_arg last = operand(lowering, b);
    int flags = embedded_flag(b);
    struct kgen_value result;
    /* The result overwrites one of the three: best the target, else one that is the statement's own. */
    int over = target >= 0 && c.reg == target                    ? 2
               : target >= 0 && a.reg == target                  ? 0
               : target >= 0 && b_in_register && b.reg == target ? 1
               : c.temporary                                     ? 2
               : a.temporary                                     ? 0
               : b.temporary                                     ? 1
                                                                 : -1;
    if (over == 0) {
        result = a;
        if (b_in_register)
            EMIT(lowering, flags, fma_213(mnemonic), whole(lowering, a.reg), last, whole(lowering, c.reg));
        else
            EMIT(lowering, flags, fma_132(mnemonic), whole(lowering, a.reg), whole(lowering, c.reg), last);
    } else if (over == 1) {
        result = b;
        EMIT(lowering, flags, fma_213(mnemonic), last, whole(lowering, a.reg), whole(lowering, c.reg));
    } else {
        result = over == 2 ? c : kgen_result(lowering, target, NULL, 0);
        kgen_emit_move(lowering, result.reg, c.reg);
        EMIT(lowering, flags, mnemonic, whole(lowering, result.reg), whole(lowering, a.reg), last);
    }
    if (over != 0)
        kgen_value_give(lowering, a);
    if (over != 1)
        kgen_value_give(lowering, b);
    if (over == 0 || over == 1)
        kgen_value_give(lowering, c);
    return result;
}

/* AVX-512 accumulates in one instruction: dst += products of two. */
static struct kgen_value dot_vnni(struct kgen_lowering *lowering, const struct kgen_node *node, int target)
{
    struct kgen_value v[3];
    bool swap = mnemonic_of(lowering, node) == ZYDIS_MNEMONIC_VPDPWSSD &&
                !foldable(lowering, node->args[2], true) && foldable(lowering, node->args[1], true);
    int last = swap ? 1 : 2;
    evaluate_arguments(lowering, node, 3, foldable(lowering, node->args[last], true) ? last : -1, 0, target,
                       v);
    struct kgen_arg source = operand(lowering, v[last]);
    struct kgen_value result = v[0], other = v[3 - last];
    if (!v[0].temporary && v[0].reg != target) {
        bool usable = target >= 0 && other.reg != target && (v[last].memory != NULL || v[last].reg != target);
        result = usable ? (struct kgen_value){.reg = target}
                        : (struct kgen_value){.reg = kgen_register_take(lowering), .temporary = true};
        kgen_emit_move(lowering, result.reg, v[0].reg);
    }
    EMIT(lowering, KGEN_EVEX | embedded_flag(v[last]), mnemonic_of(lowering, node),
         whole(lowering, result.reg), whole(lowering, other.reg), source);
    kgen_value_give(lowering, v[1]);
    kgen_value_give(lowering, v[2]);
    return result;
}

/* A register with 1 in every 16 bits. It stays for later operations of the same asm statement. */
static int ones_register(struct kgen_lowering *lowering)
{
    int ones = lowering->group.ones;
    if (ones >= 0)
        return ones;
    ones = kgen_register_take(lowering);
    lowering->group.ones = ones;
    struct kgen_arg to = whole(lowering, ones);
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPCMPEQW, to, to, to);
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPSRLW, to, to, kgen_immediate(15));
    return ones;
}

struct kgen_value kgen_select_dot(struct kgen_lowering *lowering, const struct kgen_node *node, int target)
{
    if (lowering->evex)
        return dot_vnni(lowering, node, target);
    struct kgen_value v[3];
    evaluate_arguments(lowering, node, 3, foldable(lowering, node->args[2], false) ? 2 : -1, 0, target, v);
    int product = kgen_register_take(lowering);
    struct kgen_arg p = whole(lowering, product);
    struct kgen_arg source = operand(lowering, v[2]);
    EMIT(lowering, 0, mnemonic_of(lowering, node), p, whole(lowering, v[1].reg), source);
    if (mnemonic_of(lowering, node) == ZYDIS_MNEMONIC_VPMADDUBSW)
        EMIT(lowering, 0, ZYDIS_MNEMONIC_VPMADDWD, p, p, whole(lowering, ones_register(lowering)));
    struct kgen_value result = kgen_result(lowering, target, v, 3);
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPADDD, whole(lowering, result.reg), whole(lowering, v[0].reg), p);
    kgen_register_give(lowering, product);
    return result;
}

/* Without VNNI: the even bytes and the odd bytes widened to 16 bits, so that nothing saturates. */
struct kgen_value kgen_select_dot_u8i8(struct kgen_lowering *lowering, const struct kgen_node *node,
                                       int target)
{
    if (lowering->evex)
        return dot_vnni(lowering, node, target);
    struct kgen_value v[3];
    evaluate_arguments(lowering, node, 3, -1, 0, target, v);
    int bytes = kgen_register_take(lowering), other = kgen_register_take(lowering);
    struct kgen_arg u = whole(lowering, bytes), s = whole(lowering, other);
    struct kgen_arg unsigned_bytes = whole(lowering, v[1].reg), signed_bytes = whole(lowering, v[2].reg);
    bool free_target = target >= 0 && target != v[1].reg && target != v[2].reg;
    struct kgen_value sum = free_target ? (struct kgen_value){.reg = target} : scratch(lowering, v[0]);
    struct kgen_arg even_sum = whole(lowering, sum.reg);
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPSLLW, u, unsigned_bytes, kgen_immediate(8));
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPSRLW, u, u, kgen_immediate(8));
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPSLLW, s, signed_bytes, kgen_immediate(8));
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPSRAW, s, s, kgen_immediate(8));
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPMADDWD, u, u, s);
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPADDD, even_sum, whole(lowering, v[0].reg), u);
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPSRLW, u, unsigned_bytes, kgen_immediate(8));
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPSRAW, s, signed_bytes, kgen_immediate(8));
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPMADDWD, u, u, s);
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPADDD, even_sum, even_sum, u);
    kgen_register_give(lowering, bytes);
    kgen_register_give(lowering, other);
    if (free_target)
        kgen_value_give(lowering, v[0]);
    kgen_value_give(lowering, v[1]);
    kgen_value_give(lowering, v[2]);
    return sum;
}
