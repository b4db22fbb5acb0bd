/* SPDX-License-Identifier: MIT */
/* What the ops that read a matrix of weights share. */
#ifndef KGEN_WEIGHTS_H
#define KGEN_WEIGHTS_H

#include "gen/ops/format.h"

extern const int kgen_weight_bits[], kgen_weight_group_sizes[], kgen_scale_dtypes[];

/* The fields of a matrix W [N, K]. */
#define KGEN_WEIGHT_FIELDS                                                                                   \
    KGEN_SIZE_FIELD("N", "n", KGEN_SIZE_MAX, "rows of W"),                                                   \
        KGEN_SIZE_FIELD("K", "k", KGEN_ROW_MAX, "columns of W, a multiple of group_size"),                   \
        KGEN_CHOICE_FIELD("bits", "b", kgen_weight_bits, "bits of a weight"),                                \
        KGEN_CHOICE_FIELD("group_size", "g", kgen_weight_group_sizes, "columns that share a scale"),         \
        KGEN_CONSTANT_FIELD("scheme", "mode", KGEN_AFFINE, kgen_format_constants,                            \
                            "the weight format: how a weight is made of its bits, scale and bias", false,    \
                            true),                                                                           \
        KGEN_CONSTANT_FIELD("scale_dtype", "scales", KGEN_F16, kgen_scale_dtypes,                            \
                            "dtype of scales and biases", true, true)

/* The names that templates get for a problem with weights. */
void kgen_weights_names(const struct kgen_problem *problem, const struct kgen_name_receiver *receiver);

/* Fills the arrays of the problem's weights. */
void kgen_weights_fill(const struct kgen_problem *problem, enum kgen_weights_kind kind,
                       struct kgen_random *random, const struct kgen_arguments *arguments);

#endif
