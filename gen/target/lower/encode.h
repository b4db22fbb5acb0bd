/* SPDX-License-Identifier: MIT */
/* One machine instruction at a time, encoded by Zydis. */
#ifndef KGEN_ENCODE_H
#define KGEN_ENCODE_H

#include "gen/base/base.h"

/* General registers by their hardware numbers. */
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

enum kgen_arg_kind { KGEN_ARG_VECTOR, KGEN_ARG_GENERAL, KGEN_ARG_MASK, KGEN_ARG_MEMORY, KGEN_ARG_IMMEDIATE };

struct kgen_arg {
    uint8_t kind;
    uint8_t reg;   /* the register; the base register of a memory operand */
    uint8_t bytes; /* of a register or memory operand */
    bool indexed;  /* memory: two bytes times r8 are added to the address */
    int64_t value; /* an immediate; the displacement of a memory operand */
};

#define KGEN_EVEX 1        /* has no VEX form, or one of another instruction set */
#define KGEN_ZEROING 2     /* lanes that the mask leaves out become 0 */
#define KGEN_EMBEDDED_32 4 /* the memory operand is one 32-bit element for all lanes */

#define KGEN_ARG_MAX 4
struct kgen_instruction {
    uint16_t mnemonic; /* ZydisMnemonic */
    uint8_t count;     /* of args */
    uint8_t mask;      /* mask register 1 to 7; 0: none */
    uint8_t flags;
    struct kgen_arg args[KGEN_ARG_MAX];
};

#define KGEN_INSTRUCTION_BYTES 15

/* Writes the shortest encoding to bytes, which has room for KGEN_INSTRUCTION_BYTES, and returns its length; 0
 * where there is no such instruction. */
size_t kgen_encode(const struct kgen_instruction *instruction, uint8_t *bytes);

/* "vaddps"; never NULL for an instruction that exists. */
const char *kgen_mnemonic_name(uint16_t mnemonic);

#endif
