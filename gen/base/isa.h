/* SPDX-License-Identifier: MIT */
/* The instruction sets kgen writes kernels for. isa.c has a row for each; what is done for one and not for
 * another is a column here. */
#ifndef KGEN_ISA_H
#define KGEN_ISA_H

#include "gen/base/base.h"

/* In the order in which code that dispatches at run time tries them, last to first: later ones are faster
 * where the machine has them. */
enum kgen_isa {
    KGEN_ISA_GENERIC, /* plain C, any machine */
    KGEN_ISA_NEON,    /* AArch64 Advanced SIMD */
    KGEN_ISA_AVX2,    /* AVX2, FMA, F16C, BMI2 */
    KGEN_ISA_AVX512,  /* AVX-512 F, BW, VL, DQ and VNNI */
    KGEN_ISA_COUNT
};

/* What the lowering for TinyCC does with the vector statements of an instruction set. */
enum kgen_encoding {
    KGEN_ENCODING_NONE,     /* there is no lowering: another engine must compile the text */
    KGEN_ENCODING_VERBATIM, /* the text has no vector statements, and stays as it is */
    KGEN_ENCODING_VEX,      /* 16 registers, masks in vector registers */
    KGEN_ENCODING_EVEX      /* 32 registers, mask registers, embedded broadcasts, VNNI */
};

struct kgen_isa_info {
    const char *name;        /* as in `--isa` and `$isa`; the end of emitted files' names */
    int vector_bytes;        /* 0 for generic */
    int registers;           /* vector registers; 0 for generic */
    const char *needs;       /* for people: "AVX2, FMA, F16C" */
    const char *features;    /* what a processor must have, in gcc's names, separated by blanks */
    const char *cc_flags;    /* what gcc and clang need to compile its kernels outside of KV_TARGET */
    const char *header_name; /* the KV_ISA_... macro that kgen_vector.h wants, e.g. "KV_ISA_AVX2" */
    enum kgen_encoding encoding;
    /* In emitted code: */
    const char *guard;           /* the macro under which its kernels are compiled; NULL: always */
    const char *test;            /* the function that asks the processor; NULL: the guard is enough */
    const char *tested_features; /* what that function asks for, as in features; NULL where test is */
};

/* Never NULL for a valid isa. */
const struct kgen_isa_info *kgen_isa_info(enum kgen_isa isa);

/* Returns 0 and the instruction set of that name, or -1 for an unknown name. "scalar", an older name of
 * generic that records may hold, is understood too. */
int kgen_isa_parse(const char *name, enum kgen_isa *isa);

/* Sets of instruction sets are bits 1 << isa. */

/* Those of a processor with these features, separated by blanks. generic is always among them. */
unsigned kgen_isas_of_features(const char *features);
/* Those that TinyCC compiles. */
unsigned kgen_isas_of_tcc(void);
/* Removes the last of a set and stores it in isa. Returns false where the set is empty. */
bool kgen_isas_take(unsigned *isas, enum kgen_isa *isa);
/* Appends the names of a set, the last first: "avx512, avx2, generic". */
void kgen_isas_write(unsigned isas, struct kgen_text *text);
/* The one with the longest vectors; generic for an empty set. */
enum kgen_isa kgen_isas_widest(unsigned isas);

#endif
