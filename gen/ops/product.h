/* SPDX-License-Identifier: MIT */
/* What the ops share that multiply a matrix of weights by rows of activations: qmv by one, qmm by up to M,
 * gather_qmv several matrices by one row or by one each. */
#ifndef KGEN_PRODUCT_H
#define KGEN_PRODUCT_H

#include "gen/ops/op.h"

extern const int kgen_product_precisions[], kgen_product_layouts[];

/* The fields that say how a kernel multiplies. */
#define KGEN_PRODUCT_FIELDS                                                                                  \
    KGEN_CONSTANT_FIELD("activation_dtype", "activations", KGEN_F32, kgen_product_precisions,                \
                        "precision of x inside the kernel; x is f32 in memory", true, true),                 \
        KGEN_CONSTANT_FIELD("layout", NULL, KGEN_STORED, kgen_product_layouts,                               \
                            "order of weights, scales and biases: as stored, or 16 rows side by side",       \
                            false, false)

/* The greatest number of rows of x: the field M, one for each chosen expert, or 1. */
int64_t kgen_product_rows(const struct kgen_problem *problem);
/* A product and a sum for each weight and row. */
double kgen_product_operations(const struct kgen_problem *problem);

/* For the buffers "x" [M, K] and "y" [M, N] and the scalar "rows", where the op has it; where it has the
 * buffer "ids", row j of y is of the matrix whose number is ids[j]. Elements of y in rows that the call does
 * not have are NaNs in expected: they are not written. */
void kgen_product_reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                            struct kgen_expected *expected);

/* Inputs of all. Each has another number of rows: all, or some fewer. */
enum { KGEN_PRODUCT_GENERATORS = 8 };
extern const struct kgen_generator kgen_product_generators[KGEN_PRODUCT_GENERATORS];

#endif
