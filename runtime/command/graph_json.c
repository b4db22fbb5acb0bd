/* SPDX-License-Identifier: MIT */
/* The graph of a spec as JSON: what kgen SPEC --dry-run --json and kgen graph SPEC --json print. */
#include "runtime/command/json.h"

static json_t *shape_json(const int64_t *shape, size_t rank)
{
    json_t *list = json_array();
    for (size_t i = 0; i < rank; i++)
        json_array_append_new(list, json_integer(shape[i]));
    return list;
}

static json_t *index_json(size_t index)
{
    return index == KGEN_GRAPH_NONE ? json_null() : json_integer((json_int_t)index);
}

static json_t *operands_json(const struct kgen_graph *graph, const struct kgen_graph_node *node)
{
    static const char *const accesses[] = {"read", "write", "update"};
    json_t *list = json_array();
    for (size_t i = 0; i < node->tensor_count; i++) {
        const struct kgen_graph_operand *operand = &node->tensors[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "buffer", operand->buffer, "tensor",
                                              graph->tensors[operand->index].name, "access",
                                              accesses[operand->access]));
    }
    return list;
}

static json_t *node_json(const struct kgen_graph *graph, const struct kgen_graph_node *node)
{
    json_t *problems = json_array(), *sizes = json_object(), *weights = json_array();
    for (size_t i = 0; i < node->entry_count; i++)
        json_array_append_new(problems, json_integer((json_int_t)node->entries[i] + 1));
    for (size_t i = 0; i < node->size_count; i++)
        json_object_set_new(sizes, node->sizes[i].name, json_integer(node->sizes[i].value));
    for (size_t i = 0; i < node->weight_count; i++)
        json_array_append_new(weights, json_pack("{s:s, s:s}", "buffer", node->weights[i].buffer, "weight",
                                                 graph->weights[node->weights[i].index].name));
    return json_pack("{s:s, s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "name", node->name, "label",
                     kgen_json_string(node->label), "op", node->op, "status",
                     kgen_graph_status_name(node->status), "layer",
                     node->layer >= 0 ? json_integer(node->layer) : json_null(), "problems", problems,
                     "sizes", sizes, "tensors", operands_json(graph, node), "weights", weights);
}

static json_t *tensor_json(const struct kgen_graph *graph, size_t index)
{
    const struct kgen_graph_tensor *tensor = &graph->tensors[index];
    json_t *consumers = json_array();
    for (size_t i = 0; i < tensor->use_count; i++) {
        if (tensor->uses[i].access != KGEN_GRAPH_WRITE)
            json_array_append_new(consumers, json_integer((json_int_t)tensor->uses[i].node));
    }
    const bool view = tensor->view_of != KGEN_GRAPH_NONE;
    return json_pack(
        "{s:s, s:s, s:o, s:I, s:o, s:I, s:o, s:o, s:o, s:o}", "name", tensor->name, "dtype", tensor->dtype,
        "shape", shape_json(tensor->shape, tensor->rank), "bytes", (json_int_t)tensor->bytes, "view_of",
        view ? json_string(graph->tensors[tensor->view_of].name) : json_null(), "offset",
        (json_int_t)tensor->offset, "producer", index_json(kgen_graph_producer(graph, index)), "consumers",
        consumers, "first", index_json(tensor->first), "last", index_json(tensor->last));
}

static json_t *weight_json(const struct kgen_graph_weight *weight)
{
    json_t *format = NULL;
    if (weight->format == KGEN_GRAPH_QUANTISED)
        format = json_pack("{s:I, s:I, s:s, s:s}", "bits", (json_int_t)weight->bits, "group_size",
                           (json_int_t)weight->group_size, "scheme",
                           kgen_constant_name((enum kgen_constant)weight->scheme), "scale_dtype",
                           kgen_constant_name((enum kgen_constant)weight->scale_dtype));
    else
        format = weight->format == KGEN_GRAPH_PLAIN ? json_string("plain") : json_null();
    return json_pack("{s:s, s:o, s:o}", "name", weight->name, "shape",
                     shape_json(weight->shape, weight->rank), "format", format);
}

json_t *kgen_json_graph(const struct kgen_graph *graph)
{
    json_t *nodes = json_array(), *tensors = json_array(), *weights = json_array(), *state = json_array();
    for (size_t i = 0; i < graph->node_count; i++)
        json_array_append_new(nodes, node_json(graph, &graph->nodes[i]));
    for (size_t i = 0; i < graph->tensor_count; i++)
        json_array_append_new(tensors, tensor_json(graph, i));
    for (size_t i = 0; i < graph->weight_count; i++)
        json_array_append_new(weights, weight_json(&graph->weights[i]));
    for (size_t i = 0; i < graph->state_count; i++) {
        const struct kgen_graph_state *one = &graph->states[i];
        json_array_append_new(state,
                              json_pack("{s:s, s:s, s:o, s:I}", "name", one->name, "buffer", one->buffer,
                                        one->is_recurrent ? "shape" : "shape_of_position",
                                        shape_json(one->shape, one->rank), "node", (json_int_t)one->node));
    }
    size_t node = 0;
    const int64_t peak = kgen_graph_peak(graph, &node);
    return json_pack("{s:I, s:I, s:I, s:o, s:o, s:o, s:o}", "layers", (json_int_t)graph->layers, "peak_bytes",
                     (json_int_t)peak, "peak_node", (json_int_t)node, "nodes", nodes, "tensors", tensors,
                     "weights", weights, "state", state);
}
