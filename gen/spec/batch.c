/* SPDX-License-Identifier: MIT */
/* Adds the problems that run several rows at once: of a prompt, or a token of each of several sequences. */
#include "gen/ops/buffers.h"
#include "gen/spec/reader.h"

#include <string.h>

/* Whether all tensors of a node can have many rows, one after the other. Those of a view lie apart: ops that
 * gain nothing from rows at once are rather run row by row. What a step is run for is computed once for a
 * prompt. */
static bool has_rows(const struct kgen_graph *graph, const struct kgen_graph_node *node,
                     const struct kgen_problem *batch, bool of_prompt)
{
    const bool gathers = kgen_scalar_find(batch->op, "rows") >= 0;
    for (size_t i = 0; i < node->tensor_count; i++) {
        const struct kgen_graph_tensor *tensor = &graph->tensors[node->tensors[i].index];
        if ((tensor->result && of_prompt) || (tensor->view_of != KGEN_GRAPH_NONE && !gathers))
            return false;
    }
    return true;
}

/* Whether the batch reads weights as one row does. A bias that is added to each row, say, is not repeated. */
static bool has_same_weights(const struct kgen_graph_node *node, const struct kgen_problem *batch)
{
    struct kgen_buffers one, many;
    if (kgen_graph_selects_rows(node))
        return true;
    kgen_problem_buffers(&node->problem, &one);
    kgen_problem_buffers(batch, &many);
    for (size_t i = 0; i < one.count; i++) {
        bool bound = one.items[i].array >= 0;
        for (size_t j = 0; j < node->weight_count; j++)
            bound = bound || strcmp(node->weights[j].buffer, one.items[i].name) == 0;
        const int other = kgen_buffers_find(&many, one.items[i].name);
        if (bound && (other < 0 || many.items[other].bytes != one.items[i].bytes))
            return false;
    }
    return true;
}

static bool is_problem(const struct kgen_problem *problem)
{
    struct kgen_error error = {0};
    struct kgen_problem checked = *problem;
    kgen_problem_complete(&checked);
    return kgen_problem_check(&checked, NULL, 0, 0, &error) == 0;
}

/* Adds the problem of so many rows. of_prompt: they are positions of one sequence, and not those of so many
 * sequences. */
static int add_batch(struct kgen_spec_reader *reader, struct kgen_graph_node *node, int64_t rows,
                     bool of_prompt, size_t entries[KGEN_GRAPH_ENTRIES_MAX], size_t *entry_count)
{
    struct kgen_problem batch;
    if (node->status != KGEN_GRAPH_DERIVED || node->problem.op->batched == NULL)
        return 0;
    if (!node->problem.op->batched(&node->problem, rows, &batch) || !is_problem(&batch) ||
        !has_rows(reader->spec->graph, node, &batch, of_prompt) || !has_same_weights(node, &batch))
        return 0;
    return kgen_spec_add_problems(reader, node, &batch, entries, entry_count);
}

static bool keeps_state(const struct kgen_graph *graph, size_t node)
{
    for (size_t i = 0; i < graph->state_count; i++) {
        if (graph->states[i].node == node)
            return true;
    }
    return false;
}

/* Nodes with caches run sequence by sequence, as each sequence has its own. */
static int add_sequence_batches(struct kgen_spec_reader *reader, size_t bucket)
{
    struct kgen_graph *graph = reader->spec->graph;
    for (size_t i = 0; i < graph->node_count; i++) {
        struct kgen_graph_node *node = &graph->nodes[i];
        if (!keeps_state(graph, i) &&
            add_batch(reader, node, INT64_C(2) << bucket, false, node->sequence_batches[bucket],
                      &node->sequence_batch_counts[bucket]) != 0)
            return -1;
    }
    return 0;
}

/* The positions that all caches have room for. */
static int64_t least_context(const struct kgen_graph *graph)
{
    int64_t least = INT64_MAX;
    for (size_t i = 0; i < graph->state_count; i++) {
        if (graph->states[i].is_recurrent)
            continue;
        const int64_t context = kgen_problem_get(&graph->nodes[graph->states[i].node].problem, "context");
        least = context < least ? context : least;
    }
    return least;
}

/* Reads the option, or kgen's own key. No more rows than the caches have room for. */
static int read_rows(const struct kgen_spec_reader *reader, json_t *config, int64_t *rows)
{
    *rows = 1;
    if (kgen_spec_integer(reader, NULL, config, "prompt_rows", 1, KGEN_SPEC_PROMPT_ROWS_MAX, rows) < 0)
        return -1;
    if (reader->options->prompt_rows != 0)
        *rows = reader->options->prompt_rows;
    const int64_t context = least_context(reader->spec->graph);
    *rows = *rows < context ? *rows : context;
    return 0;
}

int kgen_spec_add_batches(struct kgen_spec_reader *reader, json_t *config)
{
    struct kgen_graph *graph = reader->spec->graph;
    if (read_rows(reader, config, &graph->prompt_rows) != 0)
        return -1;
    for (size_t i = 0; graph->prompt_rows > 1 && i < graph->node_count; i++) {
        struct kgen_graph_node *node = &graph->nodes[i];
        if (add_batch(reader, node, graph->prompt_rows, true, node->batches, &node->batch_count) != 0)
            return -1;
    }
    graph->sequences = 1;
    if (kgen_spec_integer(reader, NULL, config, "sequences", 1, KGEN_GRAPH_SEQUENCES_MAX, &graph->sequences) <
        0)
        return -1;
    for (size_t i = 0; i < kgen_graph_buckets(graph->sequences); i++) {
        if (add_sequence_batches(reader, i) != 0)
            return -1;
    }
    return 0;
}
