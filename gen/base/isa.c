/* SPDX-License-Identifier: MIT */
#include "gen/base/isa.h"
#include "gen/base/word_list.h"

#include <string.h>

#define AVX2_FEATURES "avx2 fma f16c bmi2"
#define AVX512_FEATURES "avx512f avx512bw avx512vl avx512dq avx512vnni"

static const struct kgen_isa_info isas[KGEN_ISA_COUNT] = {
    [KGEN_ISA_GENERIC] = {.name = "generic",
                          .needs = "plain C",
                          .features = "",
                          .cc_flags = "",
                          .header_name = "KV_ISA_GENERIC",
                          .encoding = KGEN_ENCODING_VERBATIM},
    [KGEN_ISA_NEON] = {.name = "neon",
                       .vector_bytes = 16,
                       .registers = 32,
                       .needs = "AArch64 Advanced SIMD",
                       .features = "asimd",
                       .cc_flags = "",
                       .header_name = "KV_ISA_NEON",
                       .encoding = KGEN_ENCODING_NONE,
                       .guard = "KGEN_NEON"},
    [KGEN_ISA_AVX2] = {.name = "avx2",
                       .vector_bytes = 32,
                       .registers = 16,
                       .needs = "AVX2, FMA, F16C, BMI2",
                       .features = AVX2_FEATURES,
                       .cc_flags = "-mavx2 -mfma -mf16c -mbmi2",
                       .header_name = "KV_ISA_AVX2",
                       .encoding = KGEN_ENCODING_VEX,
                       .guard = "KGEN_X86",
                       .test = "kgen_cpu_has_avx2",
                       .tested_features = "avx2 fma"},
    [KGEN_ISA_AVX512] = {.name = "avx512",
                         .vector_bytes = 64,
                         .registers = 32,
                         .needs = "AVX-512 F, BW, VL, DQ and VNNI",
                         .features = AVX2_FEATURES " " AVX512_FEATURES,
                         .cc_flags = "-mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni -mfma -mf16c",
                         .header_name = "KV_ISA_AVX512",
                         .encoding = KGEN_ENCODING_EVEX,
                         .guard = "KGEN_X86",
                         .test = "kgen_cpu_has_avx512",
                         .tested_features = "avx2 fma " AVX512_FEATURES},
};

const struct kgen_isa_info *kgen_isa_info(enum kgen_isa isa)
{
    return &isas[isa];
}

int kgen_isa_parse(const char *name, enum kgen_isa *isa)
{
    if (strcmp(name, "scalar") == 0) /* what generic was called up to version 0.1.0 */
        name = isas[KGEN_ISA_GENERIC].name;
    for (size_t i = 0; i < KGEN_COUNT_OF(isas); i++) {
        if (strcmp(isas[i].name, name) == 0) {
            *isa = (enum kgen_isa)i;
            return 0;
        }
    }
    return -1;
}

unsigned kgen_isas_of_features(const char *features)
{
    unsigned found = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(isas); i++) {
        if (kgen_word_list_has_all(features, isas[i].features))
            found |= 1u << i;
    }
    return found;
}

unsigned kgen_isas_of_tcc(void)
{
    unsigned found = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(isas); i++)
        found |= isas[i].encoding != KGEN_ENCODING_NONE ? 1u << i : 0;
    return found;
}

bool kgen_isas_take(unsigned *set, enum kgen_isa *isa)
{
    for (int i = KGEN_ISA_COUNT - 1; i >= 0; i--) {
        if ((*set >> i & 1) != 0) {
            *set &= ~(1u << i);
            *isa = (enum kgen_isa)i;
            return true;
        }
    }
    return false;
}

void kgen_isas_write(unsigned set, struct kgen_text *text)
{
    enum kgen_isa isa;
    for (const char *separator = ""; kgen_isas_take(&set, &isa); separator = ", ")
        kgen_text_printf(text, "%s%s", separator, isas[isa].name);
}

enum kgen_isa kgen_isas_widest(unsigned set)
{
    enum kgen_isa widest = KGEN_ISA_GENERIC;
    for (size_t i = 0; i < KGEN_COUNT_OF(isas); i++) {
        if ((set >> i & 1) != 0 && isas[i].vector_bytes > isas[widest].vector_bytes)
            widest = (enum kgen_isa)i;
    }
    return widest;
}
