/* SPDX-License-Identifier: MIT */
/* The encoding of one machine instruction, by Zydis. */
#ifndef KGEN_ENCODE_H
#define KGEN_ENCODE_H

#include "gen/base/base.h"

/* The general registers, by their numbers in encodings. */
enum {
    KGEN_RAX,
    KGEN_RCX,
    KGEN_RDX,
    KGEN_RBX,
    KGEN_RSP,
    KGEN_RBP,
    KGEN_RSI,
    KGEN_RDI,
    KGEN_R8,
    KGEN_R9,
    KGEN_R10,
    KGEN_R11
};

enum kgen_operand_kind {
    KGEN_OPERAND_VECTOR,
    KGEN_OPERAND_GENERAL,
    KGEN_OPERAND_MASK,
    KGEN_OPERAND_MEMORY,
    KGEN_OPERAND_IMMEDIATE
};

struct kgen_operand {
    uint8_t kind;
    uint8_t reg;   /* its number; memory: of the base register */
    uint8_t bytes; /* the size of a register or memory operand */
    bool indexed;  /* memory: the addressing mode has the index r8, scaled by 2 */
    int64_t value; /* an immediate; the displacement of a memory operand */
};

#define KGEN_EVEX                                                                                            \
    1 /* encode with EVEX where the operands do not call for it: there is no VEX form, or it is of another   \
   instruction set */
#define KGEN_ZEROING 2      /* lanes that the mask leaves out become 0 */
#define KGEN_BROADCAST_32 4 /* the memory operand is one 32-bit element for all lanes */

#define KGEN_OPERAND_MAX 4
struct kgen_instruction {
    uint16_t mnemonic; /* ZydisMnemonic */
    uint8_t count;     /* of operands */
    uint8_t mask;      /* mask register 1 to 7; 0: none */
    uint8_t flags;
    struct kgen_operand operands[KGEN_OPERAND_MAX];
};

#define KGEN_INSTRUCTION_BYTES 15

/* Writes the shortest encoding to bytes, which has room for KGEN_INSTRUCTION_BYTES, and returns its length; 0
 * where there is no such instruction. */
size_t kgen_encode(const struct kgen_instruction *instruction, uint8_t *bytes);

/* "vaddps"; never NULL for an instruction that exists. */
const char *kgen_mnemonic_name(uint16_t mnemonic);

#endif
