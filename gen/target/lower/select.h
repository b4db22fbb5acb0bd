/* SPDX-License-Identifier: MIT */
/* What the files of instruction selection share, and the selectors that the table of vector operations
 * names. */
#ifndef KGEN_LOWER_SELECT_H
#define KGEN_LOWER_SELECT_H

#include "gen/target/lower/internal.h"

#include <Zydis/Mnemonic.h>

/* select.c */
kgen_selector kgen_select_zero, kgen_select_set, kgen_select_unary, kgen_select_round, kgen_select_abs,
    kgen_select_binary, kgen_select_indexed, kgen_select_permute2, kgen_select_fma, kgen_select_shift,
    kgen_select_dot, kgen_select_dot_u8i8, kgen_select_rename;
/* Chooses the register of a result: destination, or that of a temporary among the operands, or a new one. The
 * other temporaries are released. */
struct kgen_vector_value kgen_result_register(struct kgen_lowering *lowering, int destination,
                                              struct kgen_vector_value *operands, int count);
void kgen_emit_zero(struct kgen_lowering *lowering, int reg);

/* select_memory.c */
kgen_selector kgen_select_load, kgen_select_broadcast, kgen_select_load_first, kgen_select_load_half,
    kgen_select_load_half_first, kgen_select_store, kgen_select_store_first, kgen_select_store_narrow,
    kgen_select_store_half, kgen_select_store_reduced, kgen_select_prefetch;
/* The memory operand at a pointer, whose addressing mode is a base register and a displacement. */
struct kgen_operand kgen_address(struct kgen_lowering *lowering, const struct kgen_vector_expr *pointer,
                                 int bytes);
void kgen_emit_prefetch(struct kgen_lowering *lowering, const struct kgen_vector_expr *pointer);

/* Emits one instruction: its flags, its mnemonic, its operands. */
#define EMIT(lowering, flags_, mnemonic_, ...)                                                               \
    kgen_emit_instruction(                                                                                   \
        lowering, &(struct kgen_instruction){.mnemonic = (uint16_t)(mnemonic_),                              \
                                             .count = KGEN_COUNT_OF(((struct kgen_operand[]){__VA_ARGS__})), \
                                             .flags = (uint8_t)(flags_),                                     \
                                             .operands = {__VA_ARGS__}})
/* The same, under mask k1. */
#define EMIT_MASKED(lowering, flags_, mnemonic_, ...)                                                        \
    kgen_emit_instruction(                                                                                   \
        lowering, &(struct kgen_instruction){.mnemonic = (uint16_t)(mnemonic_),                              \
                                             .count = KGEN_COUNT_OF(((struct kgen_operand[]){__VA_ARGS__})), \
                                             .mask = 1,                                                      \
                                             .flags = (uint8_t)(flags_),                                     \
                                             .operands = {__VA_ARGS__}})

static inline struct kgen_operand kgen_vector(int reg, int bytes)
{
    return (struct kgen_operand){.kind = KGEN_OPERAND_VECTOR, .reg = (uint8_t)reg, .bytes = (uint8_t)bytes};
}
static inline struct kgen_operand kgen_general(int reg, int bytes)
{
    return (struct kgen_operand){.kind = KGEN_OPERAND_GENERAL, .reg = (uint8_t)reg, .bytes = (uint8_t)bytes};
}
static inline struct kgen_operand kgen_mask(int reg)
{
    return (struct kgen_operand){.kind = KGEN_OPERAND_MASK, .reg = (uint8_t)reg};
}
static inline struct kgen_operand kgen_memory(int base, int64_t displacement, int bytes)
{
    return (struct kgen_operand){
        .kind = KGEN_OPERAND_MEMORY, .reg = (uint8_t)base, .bytes = (uint8_t)bytes, .value = displacement};
}
static inline struct kgen_operand kgen_immediate(int64_t value)
{
    return (struct kgen_operand){.kind = KGEN_OPERAND_IMMEDIATE, .value = value};
}
/* A vector register in its full width. */
static inline struct kgen_operand kgen_full_vector(const struct kgen_lowering *lowering, int reg)
{
    return kgen_vector(reg, lowering->vector_bytes);
}

/* The mnemonic of a vector operation in the encoding in use. */
static inline uint16_t kgen_mnemonic_of(const struct kgen_lowering *lowering,
                                        const struct kgen_vector_expr *call)
{
    return call->vector_op->mnemonic[lowering->evex ? 0 : 1];
}

#endif
