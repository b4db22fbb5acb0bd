/* SPDX-License-Identifier: MIT */
#include "gen/spec/families/family.h"

/* A row for each family. */
#define FAMILIES(ROW)                                                                                        \
    ROW(llama)                                                                                               \
    ROW(mistral)                                                                                             \
    ROW(qwen2)                                                                                               \
    ROW(qwen3)                                                                                               \
    ROW(qwen3_moe) ROW(mixtral) ROW(gemma2) ROW(gemma3) ROW(phi3) ROW(glm4) ROW(gpt_oss) ROW(qwen3_5)

#define DECLARE(name) extern const struct kgen_family kgen_family_##name;
#define ADDRESS(name) &kgen_family_##name,

FAMILIES(DECLARE)
const struct kgen_family *const kgen_families[] = {FAMILIES(ADDRESS) NULL};

const struct kgen_absent_op kgen_absent_ops[] = {
    {"moe_experts",
     "the routed experts of {layers} ({experts} experts of {expert_size}, {experts_per_token} for a "
     "token) are not derived: there is no op for them yet."},
    {"moe_router", "the router of {layers} ({experts} scores from {hidden_size} elements, the best "
                   "{experts_per_token}) is not derived: there is no op for it yet."},
    {NULL, NULL},
};
