/* SPDX-License-Identifier: MIT */
/* The instruction sets kgen writes kernels for. */
#ifndef KGEN_ISA_H
#define KGEN_ISA_H

#include "gen/base/base.h"

enum kgen_isa {
    KGEN_ISA_GENERIC, /* plain C, any machine */
    KGEN_ISA_NEON,    /* AArch64 Advanced SIMD */
    KGEN_ISA_AVX2,    /* AVX2, FMA, F16C, BMI2 */
    KGEN_ISA_AVX512,  /* AVX-512 F, BW, VL, DQ and VNNI */
    KGEN_ISA_COUNT
};

struct kgen_isa_info {
    const char *name;        /* as in `--isa` and `$isa` */
    int vector_bytes;        /* 0 for generic */
    int registers;           /* vector registers; 0 for generic */
    const char *needs;       /* for people: "AVX2, FMA, F16C" */
    const char *cc_flags;    /* what gcc and clang need to compile its kernels */
    const char *header_name; /* the KV_ISA_... macro that kgen_vector.h wants, e.g. "KV_ISA_AVX2" */
};

/* Never NULL for a valid isa. */
const struct kgen_isa_info *kgen_isa_info(enum kgen_isa isa);

/* Returns 0 and the instruction set of that name, or -1 for an unknown name. "scalar", an older name of
 * generic that records may hold, is understood too. */
int kgen_isa_parse(const char *name, enum kgen_isa *isa);

#endif
