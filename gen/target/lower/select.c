/* SPDX-License-Identifier: MIT */
/* Instruction selection for vector operations on registers. */
#include "gen/target/lower/select.h"

#include <string.h>

static const struct kgen_vector_expr *skip_renames(const struct kgen_vector_expr *expr)
{
    while (expr->kind == KGEN_EXPR_CALL && (expr->vector_op->flags & KGEN_VECTOR_OP_RENAMES) != 0)
        expr = expr->args[0];
    return expr;
}

struct kgen_vector_value kgen_select(struct kgen_lowering *lowering, const struct kgen_vector_expr *expr,
                                     int destination)
{
    expr = skip_renames(expr);
    if (expr->kind == KGEN_EXPR_VARIABLE)
        return (struct kgen_vector_value){.reg = lowering->variables[expr->variable].reg};
    return expr->vector_op->select(lowering, expr, destination);
}

void kgen_vector_value_release(struct kgen_lowering *lowering, struct kgen_vector_value value)
{
    if (value.temporary)
        kgen_register_release(lowering, value.reg);
}

struct kgen_vector_value kgen_result_register(struct kgen_lowering *lowering, int destination,
                                              struct kgen_vector_value *values, int count)
{
    struct kgen_vector_value result = {.reg = destination};
    for (int i = 0; i < count; i++) {
        if (!values[i].temporary)
            continue;
        if (destination < 0 && !result.temporary)
            result = values[i];
        else
            kgen_vector_value_release(lowering, values[i]);
    }
    if (destination < 0 && !result.temporary)
        result = (struct kgen_vector_value){.reg = kgen_register_allocate(lowering), .temporary = true};
    return result;
}

void kgen_emit_move(struct kgen_lowering *lowering, int destination, int source)
{
    if (destination != source)
        EMIT(lowering, 0, ZYDIS_MNEMONIC_VMOVAPS, kgen_full_vector(lowering, destination),
             kgen_full_vector(lowering, source));
}

void kgen_emit_vzeroupper(struct kgen_lowering *lowering)
{
    kgen_emit_instruction(lowering, &(struct kgen_instruction){.mnemonic = ZYDIS_MNEMONIC_VZEROUPPER});
}

/* Whether an argument can be a memory operand. broadcasts: also one element for all lanes, with EVEX. */
static bool is_foldable(const struct kgen_lowering *lowering, const struct kgen_vector_expr *expr,
                        bool broadcasts)
{
    expr = skip_renames(expr);
    if (expr->kind != KGEN_EXPR_CALL)
        return false;
    return (expr->vector_op->flags & KGEN_VECTOR_OP_LOADS) != 0 ||
           (broadcasts && lowering->evex && expr->vector_op->select == kgen_select_broadcast);
}

static struct kgen_vector_value fold(const struct kgen_vector_expr *expr)
{
    expr = skip_renames(expr);
    return (struct kgen_vector_value){.load = expr,
                                      .broadcast = (expr->vector_op->flags & KGEN_VECTOR_OP_LOADS) == 0};
}

static bool broadcasts_32(const struct kgen_vector_expr *expr)
{
    return (expr->vector_op->flags & KGEN_VECTOR_OP_BROADCASTS_32) != 0;
}

static bool mentions(const struct kgen_lowering *lowering, const struct kgen_vector_expr *expr, int reg)
{
    if (expr->kind == KGEN_EXPR_VARIABLE)
        return lowering->variables[expr->variable].reg == reg;
    if (expr->kind == KGEN_EXPR_CALL) {
        for (size_t i = 0; i < strlen(expr->vector_op->args); i++) {
            if (mentions(lowering, expr->args[i], reg))
                return true;
        }
    }
    return false;
}

/* Selects the first count arguments, except that the one of index folded (or -1) becomes a memory operand.
 * One of them is computed in destination, unless another argument reads destination: the preferred one, or
 * else the first that can. */
static void select_arguments(struct kgen_lowering *lowering, const struct kgen_vector_expr *expr, int count,
                             int folded, int preferred, int destination, struct kgen_vector_value *values)
{
    int direct = -1;
    for (int k = 0; k <= count && destination >= 0 && direct < 0; k++) {
        int i = k == 0 ? preferred : k - 1;
        if (i < 0 || i == folded || skip_renames(expr->args[i])->kind != KGEN_EXPR_CALL)
            continue;
        direct = i;
        for (int j = 0; j < count; j++) {
            if (j != i && mentions(lowering, expr->args[j], destination))
                direct = -1;
        }
    }
    for (int i = 0; i < count; i++)
        values[i] = i == folded ? fold(expr->args[i])
                                : kgen_select(lowering, expr->args[i], i == direct ? destination : -1);
}

/* Makes the operand for a value. A load gets the general register of its address here, so call this right
 * before the instruction is emitted. */
static struct kgen_operand operand_of(struct kgen_lowering *lowering, struct kgen_vector_value value)
{
    if (value.load == NULL)
        return kgen_full_vector(lowering, value.reg);
    return kgen_address(lowering, value.load->args[0], value.broadcast ? 4 : lowering->vector_bytes);
}

static int broadcast_flag(struct kgen_vector_value value)
{
    return value.broadcast ? KGEN_BROADCAST_32 : 0;
}

static int evex_flag(const struct kgen_lowering *lowering)
{
    return lowering->evex ? KGEN_EVEX : 0;
}

struct kgen_vector_value kgen_select_rename(struct kgen_lowering *lowering,
                                            const struct kgen_vector_expr *expr, int destination)
{
    return kgen_select(lowering, expr->args[0], destination);
}

void kgen_emit_zero(struct kgen_lowering *lowering, int reg)
{
    /* Writing the low part of a register clears the rest. */
    if (reg < 16)
        EMIT(lowering, 0, ZYDIS_MNEMONIC_VPXOR, kgen_vector(reg, 16), kgen_vector(reg, 16),
             kgen_vector(reg, 16));
    else
        EMIT(lowering, KGEN_EVEX, ZYDIS_MNEMONIC_VPXORD, kgen_full_vector(lowering, reg),
             kgen_full_vector(lowering, reg), kgen_full_vector(lowering, reg));
}

struct kgen_vector_value kgen_select_zero(struct kgen_lowering *lowering, const struct kgen_vector_expr *expr,
                                          int destination)
{
    (void)expr;
    struct kgen_vector_value result = kgen_result_register(lowering, destination, NULL, 0);
    kgen_emit_zero(lowering, result.reg);
    return result;
}

static void emit_from_general(struct kgen_lowering *lowering, int reg, int general)
{
    if (lowering->evex) {
        EMIT(lowering, KGEN_EVEX, ZYDIS_MNEMONIC_VPBROADCASTD, kgen_full_vector(lowering, reg),
             kgen_general(general, 4));
    } else {
        EMIT(lowering, 0, ZYDIS_MNEMONIC_VMOVD, kgen_vector(reg, 16), kgen_general(general, 4));
        EMIT(lowering, 0, ZYDIS_MNEMONIC_VPBROADCASTD, kgen_full_vector(lowering, reg), kgen_vector(reg, 16));
    }
}

/* kv_set and kv_set_i32 put the same 32 bits into every lane. */
struct kgen_vector_value kgen_select_set(struct kgen_lowering *lowering, const struct kgen_vector_expr *expr,
                                         int destination)
{
    const struct kgen_vector_expr *c = expr->args[0];
    struct kgen_vector_value result = kgen_result_register(lowering, destination, NULL, 0);
    if (!c->is_literal) {
        uint8_t general = 0;
        kgen_asm_add_inputs(lowering, &c, 1, &general);
        emit_from_general(lowering, result.reg, general);
        return result;
    }
    uint32_t bits = (uint32_t)c->literal;
    if (c->type == KGEN_TYPE_LITERAL)
        memcpy(&bits, &c->number, sizeof bits);
    if (bits == 0) {
        kgen_emit_zero(lowering, result.reg);
    } else {
        EMIT(lowering, 0, ZYDIS_MNEMONIC_MOV, kgen_general(KGEN_R8, 4), kgen_immediate((int32_t)bits));
        emit_from_general(lowering, result.reg, KGEN_R8);
    }
    return result;
}

struct kgen_vector_value kgen_select_unary(struct kgen_lowering *lowering,
                                           const struct kgen_vector_expr *expr, int destination)
{
    struct kgen_vector_value value;
    select_arguments(lowering, expr, 1, is_foldable(lowering, expr->args[0], broadcasts_32(expr)) ? 0 : -1,
                     -1, destination, &value);
    struct kgen_operand source = operand_of(lowering, value);
    struct kgen_vector_value result = kgen_result_register(lowering, destination, &value, 1);
    EMIT(lowering, broadcast_flag(value), kgen_mnemonic_of(lowering, expr),
         kgen_full_vector(lowering, result.reg), source);
    return result;
}

/* The immediate 8 rounds to the nearest and raises no exception for an inexact result. */
struct kgen_vector_value kgen_select_round(struct kgen_lowering *lowering,
                                           const struct kgen_vector_expr *expr, int destination)
{
    struct kgen_vector_value value;
    select_arguments(lowering, expr, 1, is_foldable(lowering, expr->args[0], true) ? 0 : -1, -1, destination,
                     &value);
    struct kgen_operand source = operand_of(lowering, value);
    struct kgen_vector_value result = kgen_result_register(lowering, destination, &value, 1);
    EMIT(lowering, broadcast_flag(value) | evex_flag(lowering), kgen_mnemonic_of(lowering, expr),
         kgen_full_vector(lowering, result.reg), source, kgen_immediate(8));
    return result;
}

struct kgen_vector_value kgen_select_abs(struct kgen_lowering *lowering, const struct kgen_vector_expr *expr,
                                         int destination)
{
    struct kgen_vector_value value;
    select_arguments(lowering, expr, 1, -1, -1, destination, &value);
    struct kgen_vector_value result = kgen_result_register(lowering, destination, &value, 1);
    struct kgen_operand to = kgen_full_vector(lowering, result.reg);
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPSLLD, to, kgen_full_vector(lowering, value.reg), kgen_immediate(1));
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPSRLD, to, to, kgen_immediate(1));
    return result;
}

struct kgen_vector_value kgen_select_shift(struct kgen_lowering *lowering,
                                           const struct kgen_vector_expr *expr, int destination)
{
    struct kgen_vector_value value;
    bool folds = lowering->evex && is_foldable(lowering, expr->args[0], broadcasts_32(expr));
    select_arguments(lowering, expr, 1, folds ? 0 : -1, -1, destination, &value);
    struct kgen_operand source = operand_of(lowering, value);
    struct kgen_vector_value result = kgen_result_register(lowering, destination, &value, 1);
    EMIT(lowering, broadcast_flag(value), kgen_mnemonic_of(lowering, expr),
         kgen_full_vector(lowering, result.reg), source, kgen_immediate(expr->args[1]->literal));
    return result;
}

struct kgen_vector_value kgen_select_binary(struct kgen_lowering *lowering,
                                            const struct kgen_vector_expr *expr, int destination)
{
    bool commutes = (expr->vector_op->flags & KGEN_VECTOR_OP_COMMUTES) != 0;
    int folded = is_foldable(lowering, expr->args[1], broadcasts_32(expr))               ? 1
                 : commutes && is_foldable(lowering, expr->args[0], broadcasts_32(expr)) ? 0
                                                                                         : -1;
    struct kgen_vector_value values[2];
    select_arguments(lowering, expr, 2, folded, 0, destination, values);
    int last = folded == 0 ? 0 : 1;
    struct kgen_operand source = operand_of(lowering, values[last]);
    struct kgen_vector_value result = kgen_result_register(lowering, destination, values, 2);
    EMIT(lowering, broadcast_flag(values[last]), kgen_mnemonic_of(lowering, expr),
         kgen_full_vector(lowering, result.reg), kgen_full_vector(lowering, values[1 - last].reg), source);
    return result;
}

/* Permutations have the indices before the vector, unlike their vector operations. */
struct kgen_vector_value kgen_select_indexed(struct kgen_lowering *lowering,
                                             const struct kgen_vector_expr *expr, int destination)
{
    struct kgen_vector_value values[2];
    select_arguments(lowering, expr, 2, is_foldable(lowering, expr->args[0], true) ? 0 : -1, 1, destination,
                     values);
    struct kgen_operand source = operand_of(lowering, values[0]);
    struct kgen_vector_value result = kgen_result_register(lowering, destination, values, 2);
    EMIT(lowering, broadcast_flag(values[0]), kgen_mnemonic_of(lowering, expr),
         kgen_full_vector(lowering, result.reg), kgen_full_vector(lowering, values[1].reg), source);
    return result;
}

/* Returns a register to overwrite: that of the value if it is a temporary, else a new one. */
static struct kgen_vector_value writable(struct kgen_lowering *lowering, struct kgen_vector_value value)
{
    if (value.temporary)
        return value;
    return (struct kgen_vector_value){.reg = kgen_register_allocate(lowering), .temporary = true};
}

static struct kgen_vector_value permute2_avx2(struct kgen_lowering *lowering,
                                              const struct kgen_vector_expr *expr, int destination)
{
    struct kgen_vector_value v[3], from[3];
    select_arguments(lowering, expr, 3, -1, -1, -1, v);
    from[0] = writable(lowering, v[0]);
    from[1] = writable(lowering, v[1]);
    from[2] = v[2];
    struct kgen_operand index = kgen_full_vector(lowering, v[2].reg);
    struct kgen_operand a = kgen_full_vector(lowering, from[0].reg),
                        b = kgen_full_vector(lowering, from[1].reg);
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPERMPS, a, index, kgen_full_vector(lowering, v[0].reg));
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPERMPS, b, index, kgen_full_vector(lowering, v[1].reg));
    /* Bit 3 of an index chooses between a and b; the blend reads the sign bit. */
    int mask = destination >= 0 ? destination : writable(lowering, v[2]).reg;
    struct kgen_operand to = kgen_full_vector(lowering, mask);
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPSLLD, to, index, kgen_immediate(28));
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VBLENDVPS, to, a, b, to);
    kgen_vector_value_release(lowering, from[0]);
    kgen_vector_value_release(lowering, from[1]);
    if (destination < 0)
        return (struct kgen_vector_value){.reg = mask, .temporary = true};
    kgen_vector_value_release(lowering, from[2]);
    return (struct kgen_vector_value){.reg = destination};
}

struct kgen_vector_value kgen_select_permute2(struct kgen_lowering *lowering,
                                              const struct kgen_vector_expr *expr, int destination)
{
    if (!lowering->evex)
        return permute2_avx2(lowering, expr, destination);
    struct kgen_vector_value v[3];
    select_arguments(lowering, expr, 3, is_foldable(lowering, expr->args[1], true) ? 1 : -1, -1, destination,
                     v);
    struct kgen_operand b = operand_of(lowering, v[1]);
    bool over_index = v[2].temporary || v[2].reg == destination;
    bool over_a = v[0].temporary || v[0].reg == destination;
    int flags = KGEN_EVEX | broadcast_flag(v[1]);
    if (over_index && !(over_a && v[0].reg == destination)) {
        EMIT(lowering, flags, ZYDIS_MNEMONIC_VPERMI2PS, kgen_full_vector(lowering, v[2].reg),
             kgen_full_vector(lowering, v[0].reg), b);
        kgen_vector_value_release(lowering, v[0]);
        kgen_vector_value_release(lowering, v[1]);
        return v[2];
    }
    struct kgen_vector_value result = v[0];
    if (!over_a) {
        bool usable = destination >= 0 && (v[1].load != NULL || v[1].reg != destination);
        result = usable
                     ? (struct kgen_vector_value){.reg = destination}
                     : (struct kgen_vector_value){.reg = kgen_register_allocate(lowering), .temporary = true};
        kgen_emit_move(lowering, result.reg, v[0].reg);
    }
    EMIT(lowering, flags, ZYDIS_MNEMONIC_VPERMT2PS, kgen_full_vector(lowering, result.reg),
         kgen_full_vector(lowering, v[2].reg), b);
    kgen_vector_value_release(lowering, v[1]);
    kgen_vector_value_release(lowering, v[2]);
    return result;
}

/* The table has the order 231 of each fused multiply-add; these are the other two. */
static uint16_t fma_132(uint16_t mnemonic)
{
    return mnemonic == ZYDIS_MNEMONIC_VFMADD231PS ? ZYDIS_MNEMONIC_VFMADD132PS : ZYDIS_MNEMONIC_VFNMADD132PS;
}

static uint16_t fma_213(uint16_t mnemonic)
{
    return mnemonic == ZYDIS_MNEMONIC_VFMADD231PS ? ZYDIS_MNEMONIC_VFMADD213PS : ZYDIS_MNEMONIC_VFNMADD213PS;
}

struct kgen_vector_value kgen_select_fma(struct kgen_lowering *lowering, const struct kgen_vector_expr *expr,
                                         int destination)
{
    int folded = is_foldable(lowering, expr->args[1], true)   ? 1
                 : is_foldable(lowering, expr->args[0], true) ? 0
                                                              : -1;
    struct kgen_vector_value v[3];
    select_arguments(lowering, expr, 3, folded, 2, destination, v);
    struct kgen_vector_value a = v[0], b = v[1], c = v[2];
    if (folded == 0) {
        a = v[1];
        b = v[0];
    }
    uint16_t mnemonic = kgen_mnemonic_of(lowering, expr);
    bool b_in_register = b.load == NULL;
    struct kgen_operand last = operand_of(lowering, b);
    int flags = broadcast_flag(b);
    struct kgen_vector_value result;
    /* The instruction overwrites one of the three: at best the one in destination, else a temporary. */
    int over = destination >= 0 && c.reg == destination                    ? 2
               : destination >= 0 && a.reg == destination                  ? 0
               : destination >= 0 && b_in_register && b.reg == destination ? 1
               : c.temporary                                               ? 2
               : a.temporary                                               ? 0
               : b.temporary                                               ? 1
                                                                           : -1;
    if (over == 0) {
        result = a;
        if (b_in_register)
            EMIT(lowering, flags, fma_213(mnemonic), kgen_full_vector(lowering, a.reg), last,
                 kgen_full_vector(lowering, c.reg));
        else
            EMIT(lowering, flags, fma_132(mnemonic), kgen_full_vector(lowering, a.reg),
                 kgen_full_vector(lowering, c.reg), last);
    } else if (over == 1) {
        result = b;
        EMIT(lowering, flags, fma_213(mnemonic), last, kgen_full_vector(lowering, a.reg),
             kgen_full_vector(lowering, c.reg));
    } else {
        result = over == 2 ? c : kgen_result_register(lowering, destination, NULL, 0);
        kgen_emit_move(lowering, result.reg, c.reg);
        EMIT(lowering, flags, mnemonic, kgen_full_vector(lowering, result.reg),
             kgen_full_vector(lowering, a.reg), last);
    }
    if (over != 0)
        kgen_vector_value_release(lowering, a);
    if (over != 1)
        kgen_vector_value_release(lowering, b);
    if (over == 0 || over == 1)
        kgen_vector_value_release(lowering, c);
    return result;
}

/* VNNI adds the products to the accumulator in one instruction. */
static struct kgen_vector_value dot_vnni(struct kgen_lowering *lowering, const struct kgen_vector_expr *expr,
                                         int destination)
{
    struct kgen_vector_value v[3];
    bool swap = kgen_mnemonic_of(lowering, expr) == ZYDIS_MNEMONIC_VPDPWSSD &&
                !is_foldable(lowering, expr->args[2], true) && is_foldable(lowering, expr->args[1], true);
    int last = swap ? 1 : 2;
    select_arguments(lowering, expr, 3, is_foldable(lowering, expr->args[last], true) ? last : -1, 0,
                     destination, v);
    struct kgen_operand source = operand_of(lowering, v[last]);
    struct kgen_vector_value result = v[0], other = v[3 - last];
    if (!v[0].temporary && v[0].reg != destination) {
        bool usable = destination >= 0 && other.reg != destination &&
                      (v[last].load != NULL || v[last].reg != destination);
        result = usable
                     ? (struct kgen_vector_value){.reg = destination}
                     : (struct kgen_vector_value){.reg = kgen_register_allocate(lowering), .temporary = true};
        kgen_emit_move(lowering, result.reg, v[0].reg);
    }
    EMIT(lowering, KGEN_EVEX | broadcast_flag(v[last]), kgen_mnemonic_of(lowering, expr),
         kgen_full_vector(lowering, result.reg), kgen_full_vector(lowering, other.reg), source);
    kgen_vector_value_release(lowering, v[1]);
    kgen_vector_value_release(lowering, v[2]);
    return result;
}

/* Returns a register that holds 1 in every 16 bits. It keeps that value until the asm statement ends. */
static int ones_register(struct kgen_lowering *lowering)
{
    int ones = lowering->pending.ones;
    if (ones >= 0)
        return ones;
    ones = kgen_register_allocate(lowering);
    lowering->pending.ones = ones;
    struct kgen_operand to = kgen_full_vector(lowering, ones);
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPCMPEQW, to, to, to);
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPSRLW, to, to, kgen_immediate(15));
    return ones;
}

struct kgen_vector_value kgen_select_dot(struct kgen_lowering *lowering, const struct kgen_vector_expr *expr,
                                         int destination)
{
    if (lowering->evex)
        return dot_vnni(lowering, expr, destination);
    struct kgen_vector_value v[3];
    select_arguments(lowering, expr, 3, is_foldable(lowering, expr->args[2], false) ? 2 : -1, 0, destination,
                     v);
    int product = kgen_register_allocate(lowering);
    struct kgen_operand p = kgen_full_vector(lowering, product);
    struct kgen_operand source = operand_of(lowering, v[2]);
    EMIT(lowering, 0, kgen_mnemonic_of(lowering, expr), p, kgen_full_vector(lowering, v[1].reg), source);
    if (kgen_mnemonic_of(lowering, expr) == ZYDIS_MNEMONIC_VPMADDUBSW)
        EMIT(lowering, 0, ZYDIS_MNEMONIC_VPMADDWD, p, p, kgen_full_vector(lowering, ones_register(lowering)));
    struct kgen_vector_value result = kgen_result_register(lowering, destination, v, 3);
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPADDD, kgen_full_vector(lowering, result.reg),
         kgen_full_vector(lowering, v[0].reg), p);
    kgen_register_release(lowering, product);
    return result;
}

/* Without VNNI, the even and the odd bytes are widened to 16 bits, so that nothing saturates. */
struct kgen_vector_value kgen_select_dot_u8i8(struct kgen_lowering *lowering,
                                              const struct kgen_vector_expr *expr, int destination)
{
    if (lowering->evex)
        return dot_vnni(lowering, expr, destination);
    struct kgen_vector_value v[3];
    select_arguments(lowering, expr, 3, -1, 0, destination, v);
    int bytes = kgen_register_allocate(lowering), other = kgen_register_allocate(lowering);
    struct kgen_operand u = kgen_full_vector(lowering, bytes), s = kgen_full_vector(lowering, other);
    struct kgen_operand unsigned_bytes = kgen_full_vector(lowering, v[1].reg),
                        signed_bytes = kgen_full_vector(lowering, v[2].reg);
    bool is_free = destination >= 0 && destination != v[1].reg && destination != v[2].reg;
    struct kgen_vector_value sum =
        is_free ? (struct kgen_vector_value){.reg = destination} : writable(lowering, v[0]);
    struct kgen_operand even_sum = kgen_full_vector(lowering, sum.reg);
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPSLLW, u, unsigned_bytes, kgen_immediate(8));
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPSRLW, u, u, kgen_immediate(8));
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPSLLW, s, signed_bytes, kgen_immediate(8));
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPSRAW, s, s, kgen_immediate(8));
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPMADDWD, u, u, s);
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPADDD, even_sum, kgen_full_vector(lowering, v[0].reg), u);
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPSRLW, u, unsigned_bytes, kgen_immediate(8));
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPSRAW, s, signed_bytes, kgen_immediate(8));
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPMADDWD, u, u, s);
    EMIT(lowering, 0, ZYDIS_MNEMONIC_VPADDD, even_sum, even_sum, u);
    kgen_register_release(lowering, bytes);
    kgen_register_release(lowering, other);
    if (is_free)
        kgen_vector_value_release(lowering, v[0]);
    kgen_vector_value_release(lowering, v[1]);
    kgen_vector_value_release(lowering, v[2]);
    return sum;
}
