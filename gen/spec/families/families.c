/* SPDX-License-Identifier: MIT */
#include "gen/spec/families/family.h"

/* A row for each family. */
/* clang-format off: a row is a line. */
#define FAMILIES(ROW)                                                                                        \
    ROW(llama)                                                                                               \
    ROW(mistral)                                                                                             \
    ROW(qwen2)                                                                                               \
    ROW(qwen3)                                                                                               \
    ROW(qwen3_moe)                                                                                           \
    ROW(mixtral)                                                                                             \
    ROW(gemma2)                                                                                              \
    ROW(gemma3)                                                                                              \
    ROW(phi3)                                                                                                \
    ROW(glm4)                                                                                                \
    ROW(gpt_oss)                                                                                             \
    ROW(gemma4)                                                                                              \
    ROW(deepseek_v3)                                                                                         \
    ROW(deepseek_v2)                                                                                         \
    ROW(qwen3_5)
/* clang-format on */

#define DECLARE(name) extern const struct kgen_family kgen_family_##name;
#define ADDRESS(name) &kgen_family_##name,

FAMILIES(DECLARE)
const struct kgen_family *const kgen_families[] = {FAMILIES(ADDRESS) NULL};

const struct kgen_absent_op kgen_absent_ops[] = {
    {"per_layer_input",
     "the inputs of each layer of {layers} (\"hidden_size_per_layer_input\", {per_layer_size} "
     "elements) are not derived: there is no op for them yet."},
    {"shared_cache", "the caches that the last {kv_shared} layers share (\"num_kv_shared_layers\"), and the "
                     "width of their mlp, "
                     "are not derived: {layers} are as if they shared none."},
    {NULL, NULL},
};
