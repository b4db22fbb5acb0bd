/* SPDX-License-Identifier: MIT */
#include "gen/spec/families/family.h"

/* A row for each family. */
#define FAMILIES(ROW) ROW(llama) ROW(mistral) ROW(qwen2) ROW(qwen3) ROW(qwen3_moe) ROW(mixtral)

#define DECLARE(name) extern const struct kgen_family kgen_family_##name;
#define ADDRESS(name) &kgen_family_##name,

FAMILIES(DECLARE)
const struct kgen_family *const kgen_families[] = {FAMILIES(ADDRESS) NULL};

const struct kgen_absent_op kgen_absent_ops[] = {{NULL, NULL}};
