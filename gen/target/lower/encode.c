/* SPDX-License-Identifier: MIT */
#include "gen/target/lower/encode.h"

#include <Zydis/Encoder.h>
#include <Zydis/Mnemonic.h>

#include <string.h>

static ZydisRegister vector_register(const struct kgen_arg *arg)
{
    ZydisRegister first = arg->bytes == 64   ? ZYDIS_REGISTER_ZMM0
                          : arg->bytes == 32 ? ZYDIS_REGISTER_YMM0
                                             : ZYDIS_REGISTER_XMM0;
    return first + (ZydisRegister)arg->reg;
}

static ZydisRegister general_register(const struct kgen_arg *arg)
{
    ZydisRegister first = arg->bytes == 8   ? ZYDIS_REGISTER_RAX
                          : arg->bytes == 4 ? ZYDIS_REGISTER_EAX
                                            : ZYDIS_REGISTER_AX;
    return first + (ZydisRegister)arg->reg;
}

static void set_operand(ZydisEncoderOperand *operand, const struct kgen_arg *arg)
{
    switch ((enum kgen_arg_kind)arg->kind) {
    case KGEN_ARG_VECTOR:
        operand->type = ZYDIS_OPERAND_TYPE_REGISTER;
        operand->reg.value = vector_register(arg);
        break;
    case KGEN_ARG_GENERAL:
        operand->type = ZYDIS_OPERAND_TYPE_REGISTER;
        operand->reg.value = general_register(arg);
        break;
    case KGEN_ARG_MASK:
        operand->type = ZYDIS_OPERAND_TYPE_REGISTER;
        operand->reg.value = ZYDIS_REGISTER_K0 + (ZydisRegister)arg->reg;
        break;
    case KGEN_ARG_MEMORY:
        operand->type = ZYDIS_OPERAND_TYPE_MEMORY;
        operand->mem.base = ZYDIS_REGISTER_RAX + (ZydisRegister)arg->reg;
        operand->mem.index = arg->indexed ? ZYDIS_REGISTER_R8 : ZYDIS_REGISTER_NONE;
        operand->mem.scale = arg->indexed ? 2 : 0;
        operand->mem.displacement = arg->value;
        operand->mem.size = arg->bytes;
        break;
    case KGEN_ARG_IMMEDIATE:
        operand->type = ZYDIS_OPERAND_TYPE_IMMEDIATE;
        operand->imm.s = arg->value;
        break;
    }
}

static bool needs_evex(const struct kgen_instruction *instruction)
{
    if (instruction->mask != 0 || (instruction->flags & (KGEN_EVEX | KGEN_ZEROING | KGEN_EMBEDDED_32)) != 0)
        return true;
    for (int i = 0; i < instruction->count; i++) {
        const struct kgen_arg *arg = &instruction->args[i];
        if (arg->kind == KGEN_ARG_VECTOR && (arg->reg >= 16 || arg->bytes == 64))
            return true;
    }
    return false;
}

/* EVEX forms take their mask as an operand of its own, k0 for none; these few have no place for one. */
static bool has_mask(uint16_t mnemonic)
{
    return mnemonic != ZYDIS_MNEMONIC_VMOVD && mnemonic != ZYDIS_MNEMONIC_VMOVQ &&
           mnemonic != ZYDIS_MNEMONIC_VMOVHLPS;
}

static ZydisBroadcastMode broadcast_mode(const struct kgen_instruction *instruction)
{
    if ((instruction->flags & KGEN_EMBEDDED_32) == 0)
        return ZYDIS_BROADCAST_MODE_INVALID;
    return instruction->args[0].bytes == 64 ? ZYDIS_BROADCAST_MODE_1_TO_16 : ZYDIS_BROADCAST_MODE_1_TO_8;
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
        operand->reg.is4 =
            i == 3; /* where the fourth operand is a register, its number stands in an immediate */
        set_operand(operand++, &instruction->args[i]);
        if (i == 0 && evex && has_mask(instruction->mnemonic)) {
            const struct kgen_arg mask = {.kind = KGEN_ARG_MASK, .reg = instruction->mask};
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
