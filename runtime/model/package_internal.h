/* SPDX-License-Identifier: MIT */
/* What the files package_write.c, package_plan.c and package_header.c share. */
#ifndef KGEN_PACKAGE_INTERNAL_H
#define KGEN_PACKAGE_INTERNAL_H

#include "runtime/model/package_write.h"

#define KGEN_PACKAGE_TENSOR_MAX (KGEN_CHECKPOINT_NAME_MAX + 16)

/* An array of weights, a tensor of the file. */
struct kgen_package_array {
    char name[KGEN_PACKAGE_TENSOR_MAX];
    uint64_t bytes, offset; /* from the beginning of the data */
    uint64_t hash;
};

/* Weights of the graph that lie one below the other. */
struct kgen_package_item {
    const struct kgen_graph_weight *weights[KGEN_PACKAGE_NAMES_MAX];
    size_t count;
    bool vector;
    int64_t experts;             /* 0: none; else the only weight is so many matrices */
    int64_t rows;                /* of all; of vectors their elements */
    struct kgen_problem problem; /* of a matrix */
    struct kgen_package_array arrays[KGEN_FORMAT_ARRAYS_MAX];
    size_t array_count;
};

struct kgen_package_plan {
    const struct kgen_package_parts *parts;
    struct kgen_package_item *items;
    size_t count, capacity;
    uint64_t data_bytes;
};

/* package_plan.c: the rows of a weight of the graph, of all its experts; of a vector its elements. */
int64_t kgen_package_rows(const struct kgen_graph_weight *weight);
/* Lists the weights of the graph, and places them. Everything of plan but parts is zero. */
int kgen_package_plan(struct kgen_package_plan *plan, struct kgen_error *error);

/* package_header.c: writes everything before the data, with the hashes that the arrays have. Its length does
 * not depend on them. */
int kgen_package_header(const struct kgen_package_plan *plan, struct kgen_text *header,
                        struct kgen_error *error);

#endif
