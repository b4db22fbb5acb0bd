/* SPDX-License-Identifier: MIT */
/* Which weights a package has, and where they lie in it. */
#include "runtime/model/package_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(const struct kgen_package_plan *plan, struct kgen_error *error, enum kgen_error_code code,
                const char *name, const char *what)
{
    return kgen_error_set(error, code, kgen_checkpoint_source(plan->parts->checkpoint), 0, 0, "%s%s%s", name,
                          name[0] != '\0' ? " " : "", what);
}

static bool is_plain(const struct kgen_matrix *matrix)
{
    const int64_t scheme = matrix->format->scheme;
    return scheme == KGEN_F32 || scheme == KGEN_F16 || scheme == KGEN_BF16;
}

static bool formats_agree(const struct kgen_matrix *matrix, const struct kgen_graph_weight *weight)
{
    return matrix->format->scheme == weight->scheme && matrix->bits == weight->bits &&
           matrix->group_size == weight->group_size && matrix->scale_dtype == weight->scale_dtype;
}

int64_t kgen_package_rows(const struct kgen_graph_weight *weight)
{
    return weight->rank == 3 ? weight->shape[0] * weight->shape[1] : weight->shape[0];
}

/* Whether the weight can be made of the checkpoint's tensor. */
static int check_weight(const struct kgen_package_plan *plan, const struct kgen_graph_weight *weight,
                        struct kgen_error *error)
{
    struct kgen_checkpoint_tensor tensor;
    if (!kgen_checkpoint_find(plan->parts->checkpoint, weight->name, &tensor))
        return fail(plan, error, KGEN_ERROR_SPEC, weight->name, "is not in the checkpoint");
    if (weight->rank == 1)
        return 0; /* which reading checks */
    if (tensor.matrix.format == NULL || tensor.matrix.N != kgen_package_rows(weight) ||
        tensor.matrix.K != weight->shape[weight->rank - 1])
        return fail(plan, error, KGEN_ERROR_SPEC, weight->name, "has a format or a shape that is not read");
    if (is_plain(&tensor.matrix) || formats_agree(&tensor.matrix, weight))
        return 0;
    fail(plan, error, KGEN_ERROR_SPEC, weight->name, "is quantised already, and wanted in another format");
    kgen_error_hint(error,
                    "it is %s; pack the checkpoint that is not quantised, or leave it out of --overrides",
                    tensor.type);
    return -1;
}

static struct kgen_package_item *add_item(struct kgen_package_plan *plan, struct kgen_error *error)
{
    if (plan->count == plan->capacity) {
        const size_t capacity = plan->capacity * 2 + 64;
        struct kgen_package_item *items = realloc(plan->items, capacity * sizeof *items);
        if (items == NULL) {
            fail(plan, error, KGEN_ERROR_MEMORY, "", "out of memory");
            return NULL;
        }
        plan->items = items;
        plan->capacity = capacity;
    }
    plan->items[plan->count] = (struct kgen_package_item){.count = 0};
    return &plan->items[plan->count++];
}

static bool is_planned(const struct kgen_package_plan *plan, const struct kgen_graph_weight *weight)
{
    for (size_t i = 0; i < plan->count; i++) {
        for (size_t j = 0; j < plan->items[i].count; j++) {
            if (plan->items[i].weights[j] == weight)
                return true;
        }
    }
    return false;
}

/* Appends an array behind those before, aligned. */
static void place(struct kgen_package_plan *plan, struct kgen_package_item *item, const char *ending,
                  uint64_t bytes)
{
    struct kgen_package_array *array = &item->arrays[item->array_count++];
    const char *name = item->weights[0]->name;
    const size_t length = strlen(name) - (item->vector ? 0 : strlen(".weight"));
    snprintf(array->name, sizeof array->name, "%.*s%s%s", (int)length, name, item->vector ? "" : ".", ending);
    array->bytes = bytes;
    array->offset = plan->data_bytes;
    plan->data_bytes +=
        (bytes + KGEN_PACKAGE_ALIGNMENT - 1) / KGEN_PACKAGE_ALIGNMENT * KGEN_PACKAGE_ALIGNMENT;
}

static void place_matrix(struct kgen_package_plan *plan, struct kgen_package_item *item, int64_t layout)
{
    struct kgen_buffers buffers;
    const struct kgen_graph_weight *first = item->weights[0];
    kgen_package_problem(&item->problem, first, item->experts, item->rows, first->shape[first->rank - 1],
                         layout);
    kgen_problem_buffers(&item->problem, &buffers);
    for (size_t i = 0; i < buffers.count; i++) {
        if (buffers.items[i].array >= 0)
            place(plan, item, buffers.items[i].name, buffers.items[i].bytes);
    }
}

/* Adds the weights of a node that are bound to a buffer, unless they are there. */
static int add_weights(struct kgen_package_plan *plan, const struct kgen_graph_node *node, const char *buffer,
                       int64_t layout, struct kgen_error *error)
{
    const struct kgen_graph *graph = plan->parts->graph;
    struct kgen_package_item item = {.count = 0};
    for (size_t i = 0; i < node->weight_count; i++) {
        const struct kgen_graph_weight *weight = &graph->weights[node->weights[i].index];
        if (strcmp(node->weights[i].buffer, buffer) != 0)
            continue;
        if (is_planned(plan, weight))
            return 0;
        if (check_weight(plan, weight, error) != 0)
            return -1;
        item.weights[item.count++] = weight;
        item.rows += kgen_package_rows(weight);
        item.experts = weight->rank == 3 ? weight->shape[0] : 0;
    }
    if (item.experts > 0 && item.count > 1)
        return fail(plan, error, KGEN_ERROR_SPEC, item.weights[0]->name,
                    "has experts that other weights follow, which packages do not hold");
    item.vector = item.weights[0]->rank == 1;
    if (item.vector)
        place(plan, &item, "", (uint64_t)item.rows * sizeof(float));
    else
        place_matrix(plan, &item, layout);
    struct kgen_package_item *added = add_item(plan, error);
    if (added == NULL)
        return -1;
    *added = item;
    return 0;
}

/* First the weights that are multiplied, in the layout of their nodes; then rows to select that nothing else
 * reads, as checkpoints have them. */
static int add_node(struct kgen_package_plan *plan, const struct kgen_graph_node *node, bool selecting,
                    struct kgen_error *error)
{
    if (node->status != KGEN_GRAPH_DERIVED)
        return fail(plan, error, KGEN_ERROR_SPEC, node->name, "cannot run");
    if (kgen_graph_selects_rows(node) != selecting)
        return 0;
    const int64_t layout = selecting ? KGEN_STORED : kgen_problem_get(&node->problem, "layout");
    for (size_t i = 0; i < node->weight_count; i++) {
        if (add_weights(plan, node, node->weights[i].buffer, layout, error) != 0)
            return -1;
    }
    return 0;
}

int kgen_package_plan(struct kgen_package_plan *plan, struct kgen_error *error)
{
    const struct kgen_graph *graph = plan->parts->graph;
    for (int selecting = 0; selecting < 2; selecting++) {
        for (size_t i = 0; i < graph->node_count; i++) {
            if (add_node(plan, &graph->nodes[i], selecting != 0, error) != 0)
                return -1;
        }
    }
    return 0;
}
