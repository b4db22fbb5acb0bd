/* SPDX-License-Identifier: MIT */
#include "gen/target/lower/encode.h"

#include <Zydis/Encoder.h>
#include <Zydis/Mnemonic.h>

#include <string.h>

static ZydisRegister vector_register(const struct kgen_operand *operand)
{
    ZydisRegister first = operand->bytes == 64   ? ZYDIS_REGISTER_ZMM0
                          : operand->bytes == 32 ? ZYDIS_REGISTER_YMM0
                                                 : ZYDIS_REGISTER_XMM0;
    return first + (ZydisRegister)operand->reg;
}

static ZydisRegister general_register(const struct kgen_operand *operand)
{
    ZydisRegister first = operand->bytes == 8   ? ZYDIS_REGISTER_RAX
                          : operand->bytes == 4 ? ZYDIS_REGISTER_EAX
                                                : ZYDIS_REGISTER_AX;
    return first + (ZydisRegister)operand->reg;
}

static void set_operand(ZydisEncoderOperand *to, const struct kgen_operand *from)
{
    switch ((enum kgen_operand_kind)from->kind) {
    case KGEN_OPERAND_VECTOR:
        to->type = ZYDIS_OPERAND_TYPE_REGISTER;
        to->reg.value = vector_register(from);
        break;
    case KGEN_OPERAND_GENERAL:
        to->type = ZYDIS_OPERAND_TYPE_REGISTER;
        to->reg.value = general_register(from);
        break;
    case KGEN_OPERAND_MASK:
        to->type = ZYDIS_OPERAND_TYPE_REGISTER;
        to->reg.value = ZYDIS_REGISTER_K0 + (ZydisRegister)from->reg;
        break;
    case KGEN_OPERAND_MEMORY:
        to->type = ZYDIS_OPERAND_TYPE_MEMORY;
        to->mem.base = ZYDIS_REGISTER_RAX + (ZydisRegister)from->reg;
        to->mem.index = from->indexed ? ZYDIS_REGISTER_R8 : ZYDIS_REGISTER_NONE;
        to->mem.scale = from->indexed ? 2 : 0;
        to->mem.displacement = from->value;
        to->mem.size = from->bytes;
        break;
    case KGEN_OPERAND_IMMEDIATE:
        to->type = ZYDIS_OPERAND_TYPE_IMMEDIATE;
        to->imm.s = from->value;
        break;
    }
}

static bool needs_evex(const struct kgen_instruction *instruction)
{
    if (instruction->mask != 0 || (instruction->flags & (KGEN_EVEX | KGEN_ZEROING | KGEN_BROADCAST_32)) != 0)
        return true;
    for (int i = 0; i < instruction->count; i++) {
        const struct kgen_operand *operand = &instruction->operands[i];
        if (operand->kind == KGEN_OPERAND_VECTOR && (operand->reg >= 16 || operand->bytes == 64))
            return true;
    }
    return false;
}

/* Zydis wants the mask of an EVEX instruction as an operand, k0 for none; these instructions have no mask. */
static bool has_mask(uint16_t mnemonic)
{
    return mnemonic != ZYDIS_MNEMONIC_VMOVD && mnemonic != ZYDIS_MNEMONIC_VMOVQ &&
           mnemonic != ZYDIS_MNEMONIC_VMOVHLPS;
}

static ZydisBroadcastMode broadcast_mode(const struct kgen_instruction *instruction)
{
    if ((instruction->flags & KGEN_BROADCAST_32) == 0)
        return ZYDIS_BROADCAST_MODE_INVALID;
    return instruction->operands[0].bytes == 64 ? ZYDIS_BROADCAST_MODE_1_TO_16 : ZYDIS_BROADCAST_MODE_1_TO_8;
}

size_t kgen_encode(const struct kgen_instruction *instruction, uint8_t *bytes)
{
    ZydisEncoderRequest request;
    memset(&request, 0, sizeof request);
    request.machine_mode = ZYDIS_MACHINE_MODE_LONG_64;
    request.mnemonic = instruction->mnemonic;
    bool evex = needs_evex(instruction);
    if (evex) {
        request.allowed_encodings = ZYDIS_ENCODABLE_ENCODING_EVEX;
        request.evex.broadcast = broadcast_mode(instruction);
        request.evex.zeroing_mask = (instruction->flags & KGEN_ZEROING) != 0;
    } else {
        request.allowed_encodings = ZYDIS_ENCODABLE_ENCODING_VEX | ZYDIS_ENCODABLE_ENCODING_LEGACY;
    }
    ZydisEncoderOperand *operand = request.operands;
    for (int i = 0; i < instruction->count; i++) {
        /* The number of a register that is the fourth operand is in an immediate. */
        operand->reg.is4 = i == 3;
        set_operand(operand++, &instruction->operands[i]);
        if (i == 0 && evex && has_mask(instruction->mnemonic)) {
            const struct kgen_operand mask = {.kind = KGEN_OPERAND_MASK, .reg = instruction->mask};
            set_operand(operand++, &mask);
        }
    }
    request.operand_count = (ZyanU8)(operand - request.operands);
    ZyanUSize length = KGEN_INSTRUCTION_BYTES;
    if (ZYAN_FAILED(ZydisEncoderEncodeInstruction(&request, bytes, &length)))
        return 0;
    return length;
}

const char *kgen_mnemonic_name(uint16_t mnemonic)
{
    return ZydisMnemonicGetString(mnemonic);
}
