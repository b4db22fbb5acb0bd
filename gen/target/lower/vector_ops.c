/* SPDX-License-Identifier: MIT */
/* The table of vector operations. templates/README.md describes them. */
#include "gen/base/nearest.h"
#include "gen/target/lower/select.h"

#include <string.h>

#define M(name) ZYDIS_MNEMONIC_##name
#define BOTH(name)                                                                                           \
    {                                                                                                        \
        M(name), M(name)                                                                                     \
    }
#define ONLY(name512, name2)                                                                                 \
    {                                                                                                        \
        M(name512), M(name2)                                                                                 \
    }
#define COMMUTES KGEN_VECTOR_OP_COMMUTES
#define BROADCASTS_32 KGEN_VECTOR_OP_BROADCASTS_32
#define LOADS KGEN_VECTOR_OP_LOADS
#define RENAMES KGEN_VECTOR_OP_RENAMES

/* Sorted by name. */
static const struct kgen_vector_op vector_ops[] = {
    /* name, result, arguments, bytes of an element, limit of an immediate, flags, mnemonics, selector */
    {"kv_abs", 'f', "f", 0, 0, 0, BOTH(VPSRLD), kgen_select_abs},
    {"kv_add", 'f', "ff", 0, 0, COMMUTES | BROADCASTS_32, BOTH(VADDPS), kgen_select_binary},
    {"kv_add_i16", 'i', "ii", 0, 0, COMMUTES, BOTH(VPADDW), kgen_select_binary},
    {"kv_add_i32", 'i', "ii", 0, 0, COMMUTES | BROADCASTS_32, BOTH(VPADDD), kgen_select_binary},
    {"kv_add_i8", 'i', "ii", 0, 0, COMMUTES, BOTH(VPADDB), kgen_select_binary},
    {"kv_and", 'i', "ii", 0, 0, COMMUTES | BROADCASTS_32, ONLY(VPANDD, VPAND), kgen_select_binary},
    {"kv_as_f32", 'f', "i", 0, 0, RENAMES, BOTH(VMOVAPS), kgen_select_rename},
    {"kv_as_int", 'i', "f", 0, 0, RENAMES, BOTH(VMOVAPS), kgen_select_rename},
    {"kv_broadcast", 'f', "p", 4, 0, 0, BOTH(VBROADCASTSS), kgen_select_broadcast},
    {"kv_cvt_f32", 'f', "i", 0, 0, BROADCASTS_32, BOTH(VCVTDQ2PS), kgen_select_unary},
    {"kv_cvt_i32", 'i', "f", 0, 0, BROADCASTS_32, BOTH(VCVTPS2DQ), kgen_select_unary},
    {"kv_div", 'f', "ff", 0, 0, BROADCASTS_32, BOTH(VDIVPS), kgen_select_binary},
    {"kv_dot_i16", 'i', "iii", 0, 0, BROADCASTS_32, ONLY(VPDPWSSD, VPMADDWD), kgen_select_dot},
    {"kv_dot_u7i8", 'i', "iii", 0, 0, BROADCASTS_32, ONLY(VPDPBUSD, VPMADDUBSW), kgen_select_dot},
    {"kv_dot_u8i8", 'i', "iii", 0, 0, BROADCASTS_32, ONLY(VPDPBUSD, VPMADDWD), kgen_select_dot_u8i8},
    {"kv_fma", 'f', "fff", 0, 0, BROADCASTS_32, BOTH(VFMADD231PS), kgen_select_fma},
    {"kv_fnma", 'f', "fff", 0, 0, BROADCASTS_32, BOTH(VFNMADD231PS), kgen_select_fma},
    {"kv_load", 'f', "p", 4, 0, LOADS, BOTH(VMOVUPS), kgen_select_load},
    {"kv_load_bf16", 'f', "p", 2, 0, 0, BOTH(VPMOVZXWD), kgen_select_load_half},
    {"kv_load_bf16_first", 'f', "pc", 2, 0, 0, BOTH(VPMOVZXWD), kgen_select_load_half_first},
    {"kv_load_f16", 'f', "p", 2, 0, 0, BOTH(VCVTPH2PS), kgen_select_load_half},
    {"kv_load_f16_first", 'f', "pc", 2, 0, 0, BOTH(VCVTPH2PS), kgen_select_load_half_first},
    {"kv_load_first", 'f', "pc", 4, 0, 0, ONLY(VMOVUPS, VMASKMOVPS), kgen_select_load_first},
    {"kv_load_int", 'i', "p", 1, 0, LOADS, ONLY(VMOVDQU32, VMOVDQU), kgen_select_load},
    {"kv_load_int_first", 'i', "pc", 1, 0, 0, ONLY(VMOVDQU32, VPMASKMOVD), kgen_select_load_first},
    {"kv_max", 'f', "ff", 0, 0, BROADCASTS_32, BOTH(VMAXPS), kgen_select_binary},
    {"kv_min", 'f', "ff", 0, 0, BROADCASTS_32, BOTH(VMINPS), kgen_select_binary},
    {"kv_mul", 'f', "ff", 0, 0, COMMUTES | BROADCASTS_32, BOTH(VMULPS), kgen_select_binary},
    {"kv_mul_i16", 'i', "ii", 0, 0, COMMUTES, BOTH(VPMULLW), kgen_select_binary},
    {"kv_mul_i32", 'i', "ii", 0, 0, COMMUTES | BROADCASTS_32, BOTH(VPMULLD), kgen_select_binary},
    {"kv_or", 'i', "ii", 0, 0, COMMUTES | BROADCASTS_32, ONLY(VPORD, VPOR), kgen_select_binary},
    {"kv_permute", 'f', "fi", 0, 0, BROADCASTS_32, BOTH(VPERMPS), kgen_select_indexed},
    {"kv_permute2", 'f', "ffi", 0, 0, BROADCASTS_32, ONLY(VPERMT2PS, VPERMPS), kgen_select_permute2},
    {"kv_permute_i32", 'i', "ii", 0, 0, BROADCASTS_32, BOTH(VPERMD), kgen_select_indexed},
    {"kv_prefetch", '-', "p", 1, 0, 0, BOTH(PREFETCHT0), kgen_select_prefetch},
    {"kv_round", 'f', "f", 0, 0, BROADCASTS_32, ONLY(VRNDSCALEPS, VROUNDPS), kgen_select_round},
    {"kv_set", 'f', "l", 0, 0, 0, BOTH(VBROADCASTSS), kgen_select_set},
    {"kv_set_i32", 'i', "e", 0, 0, 0, BOTH(VPBROADCASTD), kgen_select_set},
    {"kv_shl_u16", 'i', "in", 0, 16, 0, BOTH(VPSLLW), kgen_select_shift},
    {"kv_shl_u32", 'i', "in", 0, 32, BROADCASTS_32, BOTH(VPSLLD), kgen_select_shift},
    {"kv_shl_u64", 'i', "in", 0, 64, 0, BOTH(VPSLLQ), kgen_select_shift},
    {"kv_shr_i32", 'i', "in", 0, 32, BROADCASTS_32, BOTH(VPSRAD), kgen_select_shift},
    {"kv_shr_u16", 'i', "in", 0, 16, 0, BOTH(VPSRLW), kgen_select_shift},
    {"kv_shr_u32", 'i', "in", 0, 32, BROADCASTS_32, BOTH(VPSRLD), kgen_select_shift},
    {"kv_shr_u64", 'i', "in", 0, 64, 0, BOTH(VPSRLQ), kgen_select_shift},
    {"kv_shr_var_u32", 'i', "ii", 0, 0, BROADCASTS_32, BOTH(VPSRLVD), kgen_select_binary},
    {"kv_shuffle_bytes", 'i', "ii", 0, 0, 0, BOTH(VPSHUFB), kgen_select_binary},
    {"kv_sqrt", 'f', "f", 0, 0, BROADCASTS_32, BOTH(VSQRTPS), kgen_select_unary},
    {"kv_store", '-', "pf", 4, 0, 0, BOTH(VMOVUPS), kgen_select_store},
    {"kv_store_f16", '-', "pf", 2, 0, 0, BOTH(VCVTPS2PH), kgen_select_store_half},
    {"kv_store_first", '-', "pfc", 4, 0, 0, ONLY(VMOVUPS, VMASKMOVPS), kgen_select_store_first},
    {"kv_store_i16", '-', "pi", 2, 0, 0, ONLY(VPMOVSDW, VPACKSSDW), kgen_select_store_narrow},
    {"kv_store_i8", '-', "pi", 1, 0, 0, ONLY(VPMOVSDB, VPACKSSWB), kgen_select_store_narrow},
    {"kv_store_int", '-', "pi", 1, 0, 0, ONLY(VMOVDQU32, VMOVDQU), kgen_select_store},
    {"kv_store_max", '-', "pf", 4, 0, 0, ONLY(VMAXPS, VMAXPS), kgen_select_store_reduced},
    {"kv_store_sum", '-', "pf", 4, 0, 0, ONLY(VADDPS, VADDPS), kgen_select_store_reduced},
    {"kv_sub", 'f', "ff", 0, 0, BROADCASTS_32, BOTH(VSUBPS), kgen_select_binary},
    {"kv_sub_i16", 'i', "ii", 0, 0, 0, BOTH(VPSUBW), kgen_select_binary},
    {"kv_sub_i32", 'i', "ii", 0, 0, BROADCASTS_32, BOTH(VPSUBD), kgen_select_binary},
    {"kv_sub_i8", 'i', "ii", 0, 0, 0, BOTH(VPSUBB), kgen_select_binary},
    {"kv_xor", 'i', "ii", 0, 0, COMMUTES | BROADCASTS_32, ONLY(VPXORD, VPXOR), kgen_select_binary},
    {"kv_zero", 'f', "", 0, 0, 0, ONLY(VPXORD, VPXOR), kgen_select_zero},
    {"kv_zero_int", 'i', "", 0, 0, 0, ONLY(VPXORD, VPXOR), kgen_select_zero},
};

const struct kgen_vector_op *kgen_vector_op_at(size_t index)
{
    return index < KGEN_COUNT_OF(vector_ops) ? &vector_ops[index] : NULL;
}

static int compare(const char *name, size_t length, const char *other)
{
    int order = strncmp(name, other, length);
    return order != 0 ? order : -(other[length] != '\0');
}

const struct kgen_vector_op *kgen_vector_op_find(const char *name, size_t length)
{
    if (length < 4 || memcmp(name, "kv_", 3) != 0)
        return NULL;
    size_t low = 0, high = KGEN_COUNT_OF(vector_ops);
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = compare(name, length, vector_ops[middle].name);
        if (order == 0)
            return &vector_ops[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

void kgen_vector_op_suggest(const char *name, size_t length, struct kgen_error *error)
{
    struct kgen_nearest nearest;
    kgen_nearest_start(&nearest, name, length);
    for (size_t i = 0; i < KGEN_COUNT_OF(vector_ops); i++)
        kgen_nearest_offer(&nearest, vector_ops[i].name, strlen(vector_ops[i].name));
    kgen_nearest_hint(&nearest, error);
}
