/* SPDX-License-Identifier: MIT */
/* What the ops share that multiply a matrix of weights by rows of activations: qmv by one, qmm by up to M,
 * gather_qmv several matrices by one row or by one each, gather_qmm the same for each of up to M tokens. */
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

/* The greatest number of rows of x: the field M, or 1, times the chosen experts where each has its own. */
int64_t kgen_product_rows(const struct kgen_problem *problem);
/* A product and a sum for each weight and row. */
double kgen_product_operations(const struct kgen_problem *problem);

/* For ops of several experts: checks experts_per_token and the format. */
int kgen_experts_check(const struct kgen_problem *problem, const struct kgen_check_place *place);
/* For ops of several experts: what templates of the op for one matrix need to compute one expert, besides the
 * names of weights: the parameters of that function, and the arguments for its weights, where expert_row is
 * row 0 of its matrix. */
void kgen_experts_names(const struct kgen_problem *problem, const char *op,
                        const struct kgen_name_receiver *receiver);

/* For the buffers "x" [M, K] and "y" [M, N] and the scalar "rows", where the op has it; where it has the
 * buffer "ids", row j of y is of the matrix whose number is ids[j]. Elements of y in rows that the call does
 * not have are NaNs in expected: they are not written. */
void kgen_product_reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                            struct kgen_expected *expected);

/* Inputs of all. Each has another number of rows: all, or some fewer. */
enum { KGEN_PRODUCT_GENERATORS = 8 };
extern const struct kgen_generator kgen_product_generators[KGEN_PRODUCT_GENERATORS];

#endif
