/* SPDX-License-Identifier: MIT */
/* How operations become instructions: what lower_ops.c's table names, and what the files that implement it
 * share. */
#ifndef KGEN_LOWER_SELECT_H
#define KGEN_LOWER_SELECT_H

#include "gen/target/lower/internal.h"

#include <Zydis/Mnemonic.h>

typedef struct kgen_value kgen_selector(struct kgen_lowering *lowering, const struct kgen_node *node,
                                        int target);

/* lower_select.c */
kgen_selector kgen_select_zero, kgen_select_set, kgen_select_unary, kgen_select_round, kgen_select_abs,
    kgen_select_binary, kgen_select_indexed, kgen_select_permute2, kgen_select_fma, kgen_select_shift,
    kgen_select_dot, kgen_select_dot_u8i8, kgen_select_rename;
/* lower_memory.c */
kgen_selector kgen_select_load, kgen_select_broadcast, kgen_select_load_first, kgen_select_load_half,
    kgen_select_load_half_first, kgen_select_store, kgen_select_store_first, kgen_select_store_narrow,
    kgen_select_store_sum, kgen_select_prefetch;

/* Emits one instruction: its flags, its mnemonic, its operands. */
#define EMIT(lowering, flags_, mnemonic_, ...)                                                               \
    kgen_lower_emit(lowering,                                                                                \
                    &(struct kgen_instruction){.mnemonic = (uint16_t)(mnemonic_),                            \
                                               .count = KGEN_COUNT_OF(((struct kgen_arg[]){__VA_ARGS__})),   \
                                               .flags = (uint8_t)(flags_),                                   \
                                               .args = {__VA_ARGS__}})
/* The same, under mask k1. */
#define EMIT_MASKED(lowering, flags_, mnemonic_, ...)                                                        \
    kgen_lower_emit(lowering,                                                                                \
                    &(struct kgen_instruction){.mnemonic = (uint16_t)(mnemonic_),                            \
                                               .count = KGEN_COUNT_OF(((struct kgen_arg[]){__VA_ARGS__})),   \
                                               .mask = 1,                                                    \
                                               .flags = (uint8_t)(flags_),                                   \
                                               .args = {__VA_ARGS__}})

static inline struct kgen_arg kgen_vector(int reg, int bytes)
{
    return (struct kgen_arg){.kind = KGEN_ARG_VECTOR, .reg = (uint8_t)reg, .bytes = (uint8_t)bytes};
}
static inline struct kgen_arg kgen_general(int reg, int bytes)
{
    return (struct kgen_arg){.kind = KGEN_ARG_GENERAL, .reg = (uint8_t)reg, .bytes = (uint8_t)bytes};
}
static inline struct kgen_arg kgen_mask(int reg)
{
    return (struct kgen_arg){.kind = KGEN_ARG_MASK, .reg = (uint8_t)reg};
}
static inline struct kgen_arg kgen_memory(int base, int64_t displacement, int bytes)
{
    return (struct kgen_arg){
        .kind = KGEN_ARG_MEMORY, .reg = (uint8_t)base, .bytes = (uint8_t)bytes, .value = displacement};
}
static inline struct kgen_arg kgen_immediate(int64_t value)
{
    return (struct kgen_arg){.kind = KGEN_ARG_IMMEDIATE, .value = value};
}

/* The instruction of an operation under the encoding in use. */
static inline uint16_t mnemonic_of(const struct kgen_lowering *lowering, const struct kgen_node *node)
{
    return node->operation->mnemonic[lowering->evex ? 0 : 1];
}
/* A vector register in its full width. */
static inline struct kgen_arg whole(const struct kgen_lowering *lowering, int reg)
{
    return kgen_vector(reg, lowering->vector_bytes);
}

/* lower_select.c: */
/* The register for a result: target, or the register of one of the values that is the statement's own, or a
 * new one. The other values of the statement's own are given back. */
struct kgen_value kgen_result(struct kgen_lowering *lowering, int target, struct kgen_value *values,
                              int count);
/* lower_memory.c: */
void kgen_emit_prefetch(struct kgen_lowering *lowering, const struct kgen_node *pointer);
/* The memory operand that a pointer node names. */
struct kgen_arg kgen_address(struct kgen_lowering *lowering, const struct kgen_node *pointer, int bytes);

#endif
