/* SPDX-License-Identifier: MIT */
/* The list of ops, which has a row for each file of an op. */
#include "gen/ops/op.h"

#include <string.h>

/* clang-format off: a row is a line. */
#define OPS(ROW)                                                                                             \
    ROW(qmv)                                                                                                 \
    ROW(qmm)                                                                                                 \
    ROW(dequantize)                                                                                          \
    ROW(rms_norm)                                                                                            \
    ROW(layer_norm)                                                                                          \
    ROW(rope)                                                                                                \
    ROW(swiglu)                                                                                              \
    ROW(clamped_swiglu)                                                                                      \
    ROW(geglu)                                                                                               \
    ROW(add)                                                                                                 \
    ROW(scale)                                                                                               \
    ROW(softcap)                                                                                             \
    ROW(softmax)                                                                                             \
    ROW(attention_decode)                                                                                    \
    ROW(attention_prefill)                                                                                   \
    ROW(gather_qmv)                                                                                          \
    ROW(gather_qmm)                                                                                          \
    ROW(router)                                                                                              \
    ROW(weighted_sum)                                                                                        \
    ROW(gather_add)                                                                                          \
    ROW(scale_rows)                                                                                          \
    ROW(mla_decode)                                                                                          \
    ROW(split)                                                                                               \
    ROW(arange)                                                                                              \
    ROW(causal_conv1d)                                                                                       \
    ROW(gated_delta)                                                                                         \
    ROW(gated_rms_norm)                                                                                      \
    ROW(sigmoid_gate)
/* clang-format on */

#define DECLARE(name) extern const struct kgen_op kgen_op_##name;
#define ADDRESS(name) &kgen_op_##name,

OPS(DECLARE)
static const struct kgen_op *const ops[] = {OPS(ADDRESS)};

size_t kgen_op_count(void)
{
    return KGEN_COUNT_OF(ops);
}

const struct kgen_op *kgen_op_at(size_t index)
{
    return ops[index];
}

const struct kgen_op *kgen_op_find(const char *name)
{
    for (size_t i = 0; i < KGEN_COUNT_OF(ops); i++) {
        if (strcmp(ops[i]->name, name) == 0)
            return ops[i];
    }
    return NULL;
}

const struct kgen_field *kgen_op_field(const struct kgen_op *op, const char *name)
{
    for (size_t i = 0; i < op->field_count; i++) {
        const struct kgen_field *field = &op->fields[i];
        if (strcmp(field->name, name) == 0 || (field->former != NULL && strcmp(field->former, name) == 0))
            return field;
    }
    return NULL;
}
