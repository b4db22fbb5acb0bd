/* SPDX-License-Identifier: MIT */
#include "gen/base/isa.h"

#include <string.h>

static const struct kgen_isa_info isas[KGEN_ISA_COUNT] = {
    [KGEN_ISA_GENERIC] = {"generic", 0, 0, "plain C", "", "KV_ISA_PLAIN"},
    [KGEN_ISA_NEON] = {"neon", 16, 32, "AArch64 Advanced SIMD", "", "KV_ISA_NEON"},
    [KGEN_ISA_AVX2] = {"avx2", 32, 16, "AVX2, FMA, F16C, BMI2", "-mavx2 -mfma -mf16c -mbmi2", "KV_ISA_AVX2"},
    [KGEN_ISA_AVX512] = {"avx512", 64, 32, "AVX-512 F, BW, VL, DQ and VNNI",
                         "-mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni -mfma -mf16c",
                         "KV_ISA_AVX512"},
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
