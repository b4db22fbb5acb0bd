/* SPDX-License-Identifier: MIT */
/* kgen graph SPEC: the graph of one decode step in Graphviz's DOT, or as JSON. Layers that agree are drawn
 * once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/command/json.h"

struct edge {
    size_t from, to; /* nodes; from may be node_count + the index of an input tensor */
    size_t tensor;
};

struct drawing {
    const struct kgen_spec *spec;
    const struct kgen_graph *graph;
    size_t *begin;  /* of each layer, its first node; one more at the end */
    int64_t *shown; /* of each layer, the layer that is drawn in its place */
    struct edge *edges;
    size_t edge_count;
};

/* ---- layers that agree ---- */

static bool nodes_agree(const struct kgen_graph_node *a, const struct kgen_graph_node *b)
{
    if (strcmp(a->label, b->label) != 0 || strcmp(a->op, b->op) != 0 || a->status != b->status ||
        a->entry_count != b->entry_count || a->tensor_count != b->tensor_count)
        return false;
    for (size_t i = 0; i < a->entry_count; i++) {
        if (a->entries[i] != b->entries[i])
            return false;
    }
    return true;
}

static bool layers_agree(const struct drawing *drawing, int64_t a, int64_t b)
{
    const size_t *begin = drawing->begin;
    const size_t count = begin[a + 1] - begin[a];
    if (begin[b + 1] - begin[b] != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!nodes_agree(&drawing->graph->nodes[begin[a] + i], &drawing->graph->nodes[begin[b] + i]))
            return false;
    }
    return true;
}

/* Finds where each layer begins and, unless all are wanted, the first layer that agrees with it. */
static void group_layers(struct drawing *drawing, bool all)
{
    const struct kgen_graph *graph = drawing->graph;
    for (size_t i = 0; i < graph->node_count; i++) {
        const int64_t layer = graph->nodes[i].layer;
        if (layer < 0)
            continue;
        if (i == 0 || graph->nodes[i - 1].layer != layer)
            drawing->begin[layer] = i;
        drawing->begin[layer + 1] = i + 1;
    }
    for (int64_t layer = 0; layer < graph->layers; layer++) {
        drawing->shown[layer] = layer;
        for (int64_t other = 0; other < layer && !all; other++) {
            if (drawing->shown[other] == other && layers_agree(drawing, other, layer)) {
                drawing->shown[layer] = other;
                break;
            }
        }
    }
}

static size_t shown_node(const struct drawing *drawing, size_t node)
{
    const int64_t layer = drawing->graph->nodes[node].layer;
    if (layer < 0)
        return node;
    return drawing->begin[drawing->shown[layer]] + (node - drawing->begin[layer]);
}

/* ---- edges ---- */

static int compare_edges(const void *a, const void *b)
{
    const struct edge *left = a, *right = b;
    if (left->to != right->to)
        return left->to < right->to ? -1 : 1;
    if (left->from != right->from)
        return left->from < right->from ? -1 : 1;
    return (left->tensor > right->tensor) - (left->tensor < right->tensor);
}

/* One edge for each tensor that a node reads, between the nodes that are drawn. */
static int collect_edges(struct drawing *drawing)
{
    const struct kgen_graph *graph = drawing->graph;
    drawing->edges = calloc(graph->node_count * KGEN_GRAPH_OPERANDS_MAX + 1, sizeof *drawing->edges);
    if (drawing->edges == NULL)
        return -1;
    for (size_t i = 0; i < graph->node_count; i++) {
        const struct kgen_graph_node *node = &graph->nodes[i];
        for (size_t j = 0; j < node->tensor_count; j++) {
            const size_t tensor = node->tensors[j].index;
            if (node->tensors[j].access == KGEN_GRAPH_WRITE)
                continue;
            const size_t writer = kgen_graph_writer(graph, tensor, i);
            drawing->edges[drawing->edge_count++] = (struct edge){
                writer != KGEN_GRAPH_NONE ? shown_node(drawing, writer) : graph->node_count + tensor,
                shown_node(drawing, i), tensor};
        }
    }
    qsort(drawing->edges, drawing->edge_count, sizeof *drawing->edges, compare_edges);
    return 0;
}

/* ---- DOT ---- */

/* Prints text within quotes. */
static void print_escaped(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        putchar(*text);
    }
}

static void print_node(const struct drawing *drawing, size_t index)
{
    const struct kgen_graph_node *node = &drawing->graph->nodes[index];
    struct kgen_text problem = {0};
    if (node->status == KGEN_GRAPH_DERIVED) {
        kgen_problem_describe(&drawing->spec->entries[node->entries[0]].problem, &problem);
    } else {
        kgen_text_puts(&problem, node->op);
        for (size_t i = 0; i < node->size_count; i++)
            kgen_text_printf(&problem, " %s=%lld", node->sizes[i].name, (long long)node->sizes[i].value);
        kgen_text_printf(&problem, " (%s)", kgen_graph_status_name(node->status));
    }
    printf("n%zu [label=\"", index);
    print_escaped(node->label[0] != '\0' ? node->label : node->name);
    printf("\\n");
    print_escaped(problem.failed ? "?" : problem.data);
    printf("\"%s];\n", node->status == KGEN_GRAPH_DERIVED ? "" : ", style=dashed");
    kgen_text_free(&problem);
}

static void print_states(const struct drawing *drawing, size_t node)
{
    for (size_t i = 0; i < drawing->graph->state_count; i++) {
        const struct kgen_graph_state *state = &drawing->graph->states[i];
        const char *dot = strrchr(state->name, '.');
        if (state->node == node)
            printf("    s%zu [label=\"%s\", shape=cylinder];\n    s%zu -> n%zu [dir=both];\n", i,
                   dot != NULL ? dot + 1 : state->name, i, node);
    }
}

/* Prints "layer 3", or "layers 0-3,5 (5)": those that are drawn as this one. */
static void print_layers(const struct drawing *drawing, int64_t layer)
{
    int64_t count = 0, layers = drawing->graph->layers;
    for (int64_t i = layer; i < layers; i++)
        count += drawing->shown[i] == layer;
    printf(count == 1 ? "layer " : "layers ");
    for (int64_t i = layer; i < layers; i++) {
        if (drawing->shown[i] != layer)
            continue;
        int64_t last = i;
        while (last + 1 < layers && drawing->shown[last + 1] == layer)
            last++;
        printf(i == layer ? "%lld" : ",%lld", (long long)i);
        if (last > i)
            printf("-%lld", (long long)last);
        i = last;
    }
    if (count > 1)
        printf(" (%lld)", (long long)count);
}

static void print_nodes(const struct drawing *drawing)
{
    const struct kgen_graph *graph = drawing->graph;
    for (size_t i = 0; i < graph->node_count; i++) {
        if (graph->nodes[i].layer < 0) {
            printf("  ");
            print_node(drawing, i);
        }
    }
    for (int64_t layer = 0; layer < graph->layers; layer++) {
        if (drawing->shown[layer] != layer)
            continue;
        printf("  subgraph cluster_%lld {\n    label=\"", (long long)layer);
        print_layers(drawing, layer);
        printf("\";\n");
        for (size_t i = drawing->begin[layer]; i < drawing->begin[layer + 1]; i++) {
            printf("    ");
            print_node(drawing, i);
            print_states(drawing, i);
        }
        printf("  }\n");
    }
}

static void print_edges(const struct drawing *drawing)
{
    const struct kgen_graph *graph = drawing->graph;
    for (size_t i = 0; i < graph->tensor_count; i++) {
        if (graph->tensors[i].view_of == KGEN_GRAPH_NONE && kgen_graph_producer(graph, i) == KGEN_GRAPH_NONE)
            printf("  t%zu [label=\"%s\", shape=ellipse];\n", i, graph->tensors[i].name);
    }
    for (size_t i = 0; i < drawing->edge_count; i++) {
        const struct edge *edge = &drawing->edges[i];
        const struct kgen_graph_tensor *tensor = &graph->tensors[edge->tensor];
        if (i > 0 && edge[-1].from == edge->from && edge[-1].to == edge->to)
            continue;
        if (edge->from >= graph->node_count) {
            printf("  t%zu -> n%zu;\n", edge->from - graph->node_count, edge->to);
            continue;
        }
        printf("  n%zu -> n%zu [label=\"", edge->from, edge->to);
        for (size_t j = 0; j < tensor->rank; j++)
            printf("%s%lld", j > 0 ? " x " : "", (long long)tensor->shape[j]);
        /* An edge backwards leads from a layer to the next that is drawn as the same. */
        printf("\"%s];\n", edge->from >= edge->to ? ", style=dashed, constraint=false" : "");
    }
}

static int print_dot(const struct kgen_spec *spec, bool all)
{
    struct drawing drawing = {.spec = spec, .graph = spec->graph};
    const size_t layers = (size_t)spec->graph->layers;
    drawing.begin = calloc(layers + 1, sizeof *drawing.begin);
    drawing.shown = calloc(layers + 1, sizeof *drawing.shown);
    int result = -1;
    if (drawing.begin != NULL && drawing.shown != NULL) {
        group_layers(&drawing, all);
        result = collect_edges(&drawing);
    }
    if (result == 0) {
        printf("digraph \"%s\" {\n  label=\"%s: %s\";\n  node [shape=box];\n", spec->name, spec->name,
               spec->summary);
        print_nodes(&drawing);
        print_edges(&drawing);
        printf("}\n");
    }
    free(drawing.begin);
    free(drawing.shown);
    free(drawing.edges);
    return result;
}

int kgen_command_graph(const struct kgen_options *options)
{
    struct kgen_error error = {0};
    struct kgen_spec *spec = kgen_command_spec(options, options->arguments[0], &error);
    if (spec == NULL)
        return kgen_fail(&error);
    int status = KGEN_EXIT_DONE;
    if (options->json) {
        if (kgen_json_print(json_pack("{s:s, s:s, s:o, s:o}", "kgen", KGEN_VERSION, "spec", spec->name,
                                      "summary", kgen_json_string(spec->summary), "graph",
                                      kgen_json_graph(spec->graph))) != 0)
            status = KGEN_EXIT_FAILED;
    } else if (print_dot(spec, options->all_layers) != 0) {
        kgen_error_set(&error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
        status = kgen_fail(&error);
    }
    kgen_spec_free(spec);
    return kgen_finish_output(status);
}
