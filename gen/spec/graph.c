/* SPDX-License-Identifier: MIT */
#include "gen/spec/graph.h"

#include "gen/ops/buffers.h"

#include <stdlib.h>
#include <string.h>

const char *kgen_graph_status_name(enum kgen_graph_status status)
{
    static const char *const names[] = {"derived", "no op", "unsupported", "not quantised"};
    return names[status];
}

struct kgen_graph *kgen_graph_new(void)
{
    return calloc(1, sizeof(struct kgen_graph));
}

void kgen_graph_free(struct kgen_graph *graph)
{
    if (graph == NULL)
        return;
    for (size_t i = 0; i < graph->node_count; i++) {
        free(graph->nodes[i].name);
        free(graph->nodes[i].label);
    }
    for (size_t i = 0; i < graph->tensor_count; i++) {
        free(graph->tensors[i].name);
        free(graph->tensors[i].uses);
    }
    for (size_t i = 0; i < graph->weight_count; i++)
        free(graph->weights[i].name);
    for (size_t i = 0; i < graph->state_count; i++)
        free(graph->states[i].name);
    free(graph->nodes);
    free(graph->tensors);
    free(graph->weights);
    free(graph->states);
    free(graph);
}

/* Makes room for one more item. Returns the array, or NULL when memory runs out; the old one then stands. */
static void *grow(void *items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return items;
    size_t wanted = *capacity == 0 ? 16 : *capacity * 2;
    void *grown = realloc(items, wanted * size);
    if (grown != NULL)
        *capacity = wanted;
    return grown;
}

size_t kgen_graph_add_node(struct kgen_graph *graph, const char *name, const char *label, const char *op,
                           int64_t layer)
{
    struct kgen_graph_node *nodes =
        grow(graph->nodes, graph->node_count, &graph->node_capacity, sizeof *nodes);
    if (nodes == NULL)
        return KGEN_GRAPH_NONE;
    graph->nodes = nodes;
    struct kgen_graph_node node = {.name = strdup(name), .label = strdup(label), .op = op, .layer = layer};
    if (node.name == NULL || node.label == NULL) {
        free(node.name);
        free(node.label);
        return KGEN_GRAPH_NONE;
    }
    nodes[graph->node_count] = node;
    return graph->node_count++;
}

static int64_t elements_of(const int64_t *shape, size_t rank)
{
    int64_t elements = 1;
    for (size_t i = 0; i < rank; i++)
        elements *= shape[i];
    return elements;
}

size_t kgen_graph_add_tensor(struct kgen_graph *graph, const char *name, const char *dtype,
                             const int64_t *shape, size_t rank)
{
    struct kgen_graph_tensor *tensors =
        grow(graph->tensors, graph->tensor_count, &graph->tensor_capacity, sizeof *tensors);
    if (tensors == NULL)
        return KGEN_GRAPH_NONE;
    graph->tensors = tensors;
    struct kgen_graph_tensor tensor = {.name = strdup(name),
                                       .dtype = dtype,
                                       .rank = rank,
                                       .bytes = elements_of(shape, rank) * 4, /* f32 and i32 */
                                       .view_of = KGEN_GRAPH_NONE,
                                       .first = KGEN_GRAPH_NONE,
                                       .last = KGEN_GRAPH_NONE};
    if (tensor.name == NULL)
        return KGEN_GRAPH_NONE;
    memcpy(tensor.shape, shape, rank * sizeof *shape);
    tensors[graph->tensor_count] = tensor;
    return graph->tensor_count++;
}

size_t kgen_graph_add_view(struct kgen_graph *graph, const char *name, size_t tensor, int64_t offset,
                           const int64_t *shape, size_t rank)
{
    size_t view = kgen_graph_add_tensor(graph, name, graph->tensors[tensor].dtype, shape, rank);
    if (view != KGEN_GRAPH_NONE) {
        graph->tensors[view].view_of = tensor;
        graph->tensors[view].offset = offset;
    }
    return view;
}

size_t kgen_graph_find_weight(const struct kgen_graph *graph, const char *name)
{
    for (size_t i = 0; i < graph->weight_count; i++) {
        if (strcmp(graph->weights[i].name, name) == 0)
            return i;
    }
    return KGEN_GRAPH_NONE;
}

size_t kgen_graph_add_weight(struct kgen_graph *graph, const char *name, const int64_t *shape, size_t rank)
{
    struct kgen_graph_weight *weights =
        grow(graph->weights, graph->weight_count, &graph->weight_capacity, sizeof *weights);
    if (weights == NULL)
        return KGEN_GRAPH_NONE;
    graph->weights = weights;
    struct kgen_graph_weight weight = {.name = strdup(name), .rank = rank};
    if (weight.name == NULL)
        return KGEN_GRAPH_NONE;
    memcpy(weight.shape, shape, rank * sizeof *shape);
    weights[graph->weight_count] = weight;
    return graph->weight_count++;
}

size_t kgen_graph_add_state(struct kgen_graph *graph, const char *name, size_t node, const char *buffer,
                            const int64_t *shape, size_t rank)
{
    struct kgen_graph_state *states =
        grow(graph->states, graph->state_count, &graph->state_capacity, sizeof *states);
    if (states == NULL)
        return KGEN_GRAPH_NONE;
    graph->states = states;
    struct kgen_graph_state state = {.name = strdup(name), .buffer = buffer, .rank = rank, .node = node};
    if (state.name == NULL)
        return KGEN_GRAPH_NONE;
    memcpy(state.shape, shape, rank * sizeof *shape);
    states[graph->state_count] = state;
    return graph->state_count++;
}

int kgen_graph_bind(struct kgen_graph *graph, size_t node, const char *buffer, size_t tensor,
                    enum kgen_graph_access access)
{
    struct kgen_graph_node *binding = &graph->nodes[node];
    struct kgen_graph_tensor *bound = &graph->tensors[tensor];
    if (binding->tensor_count == KGEN_GRAPH_OPERANDS_MAX)
        return -1;
    struct kgen_graph_use *uses = grow(bound->uses, bound->use_count, &bound->use_capacity, sizeof *uses);
    if (uses == NULL)
        return -1;
    bound->uses = uses;
    uses[bound->use_count++] = (struct kgen_graph_use){node, access};
    binding->tensors[binding->tensor_count++] = (struct kgen_graph_operand){buffer, tensor, access};
    return 0;
}

int kgen_graph_bind_weight(struct kgen_graph *graph, size_t node, const char *buffer, size_t weight)
{
    struct kgen_graph_node *binding = &graph->nodes[node];
    if (binding->weight_count == KGEN_GRAPH_WEIGHTS_MAX)
        return -1;
    binding->weights[binding->weight_count++] = (struct kgen_graph_operand){buffer, weight, KGEN_GRAPH_READ};
    return 0;
}

static void extend(struct kgen_graph_tensor *tensor, size_t first, size_t last)
{
    if (tensor->first == KGEN_GRAPH_NONE || first < tensor->first)
        tensor->first = first;
    if (tensor->last == KGEN_GRAPH_NONE || last > tensor->last)
        tensor->last = last;
}

void kgen_graph_finish(struct kgen_graph *graph)
{
    for (size_t i = 0; i < graph->tensor_count; i++) {
        struct kgen_graph_tensor *tensor = &graph->tensors[i];
        if (tensor->use_count == 0)
            continue;
        bool input = tensor->view_of == KGEN_GRAPH_NONE && tensor->uses[0].access != KGEN_GRAPH_WRITE;
        extend(tensor, input ? 0 : tensor->uses[0].node, tensor->uses[tensor->use_count - 1].node);
        if (tensor->result)
            tensor->last = graph->node_count - 1;
        if (tensor->view_of != KGEN_GRAPH_NONE)
            extend(&graph->tensors[tensor->view_of], tensor->first, tensor->last);
    }
}

static size_t last_write(const struct kgen_graph_tensor *tensor, size_t node)
{
    for (size_t i = tensor->use_count; i > 0; i--) {
        const struct kgen_graph_use *use = &tensor->uses[i - 1];
        if (use->node < node && use->access != KGEN_GRAPH_READ)
            return use->node;
    }
    return KGEN_GRAPH_NONE;
}

size_t kgen_graph_writer(const struct kgen_graph *graph, size_t tensor, size_t node)
{
    size_t writer = last_write(&graph->tensors[tensor], node);
    size_t whole = graph->tensors[tensor].view_of;
    if (whole == KGEN_GRAPH_NONE)
        return writer;
    size_t of_whole = last_write(&graph->tensors[whole], node);
    if (writer == KGEN_GRAPH_NONE || (of_whole != KGEN_GRAPH_NONE && of_whole > writer))
        return of_whole;
    return writer;
}

size_t kgen_graph_producer(const struct kgen_graph *graph, size_t tensor)
{
    const struct kgen_graph_tensor *first = &graph->tensors[tensor];
    if (first->view_of != KGEN_GRAPH_NONE)
        first = &graph->tensors[first->view_of];
    return first->use_count > 0 && first->uses[0].access == KGEN_GRAPH_WRITE ? first->uses[0].node
                                                                             : KGEN_GRAPH_NONE;
}

int64_t kgen_graph_peak(const struct kgen_graph *graph, size_t *node)
{
    int64_t peak = 0;
    if (node != NULL)
        *node = 0;
    int64_t *changes = calloc(graph->node_count + 1, sizeof *changes);
    if (changes == NULL)
        return -1;
    for (size_t i = 0; i < graph->tensor_count; i++) {
        const struct kgen_graph_tensor *tensor = &graph->tensors[i];
        if (tensor->view_of != KGEN_GRAPH_NONE || tensor->first == KGEN_GRAPH_NONE)
            continue;
        changes[tensor->first] += tensor->bytes;
        changes[tensor->last + 1] -= tensor->bytes;
    }
    int64_t live = 0;
    for (size_t i = 0; i < graph->node_count; i++) {
        live += changes[i];
        if (live > peak) {
            peak = live;
            if (node != NULL)
                *node = i;
        }
    }
    free(changes);
    return peak;
}

/* A tensor that is neither a buffer of the op nor one of its scalars. */
size_t kgen_graph_buckets(int64_t sequences)
{
    size_t buckets = 0;
    while (buckets < KGEN_GRAPH_BUCKETS_MAX && sequences > INT64_C(1) << buckets)
        buckets++;
    return buckets;
}

bool kgen_graph_selects_rows(const struct kgen_graph_node *node)
{
    struct kgen_buffers buffers;
    kgen_problem_buffers(&node->problem, &buffers);
    for (size_t i = 0; i < node->tensor_count; i++) {
        const char *name = node->tensors[i].buffer;
        if (kgen_buffers_find(&buffers, name) < 0 && kgen_scalar_find(node->problem.op, name) < 0)
            return true;
    }
    return false;
}
