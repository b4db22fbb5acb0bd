/* SPDX-License-Identifier: MIT */
/* libFuzzer target of the spec reader. What it accepts must hold, and what it refuses must say why. */
#include "gen/spec/spec.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Indices point to what is there, and lifetimes hold the uses. */
static void check_graph(const struct kgen_spec *spec)
{
    const struct kgen_graph *graph = spec->graph;
    for (size_t i = 0; i < graph->node_count; i++) {
        const struct kgen_graph_node *node = &graph->nodes[i];
        if ((node->entry_count == 0) != (node->status != KGEN_GRAPH_DERIVED))
            abort();
        for (size_t j = 0; j < node->entry_count; j++) {
            if (node->entries[j] >= spec->count)
                abort();
        }
        for (size_t j = 0; j < node->tensor_count; j++) {
            size_t index = node->tensors[j].index;
            if (index >= graph->tensor_count || graph->tensors[index].first > i ||
                graph->tensors[index].last < i)
                abort();
        }
    }
    if (kgen_graph_peak(graph, NULL) < 0)
        abort();
}

static void check(const struct kgen_spec *spec, const struct kgen_error *error)
{
    if (spec == NULL) {
        if (error->code == KGEN_ERROR_NONE || error->message[0] == '\0')
            abort();
        return;
    }
    if (spec->name == NULL || spec->identifier == NULL || spec->summary == NULL)
        abort();
    check_graph(spec);
    for (size_t i = 0; i < spec->count; i++) {
        struct kgen_text text = {0};
        kgen_problem_write(&spec->entries[i].problem, &text);
        kgen_problem_name(&spec->entries[i].problem, &text);
        if (spec->entries[i].tensors == NULL || spec->entries[i].calls < 1 ||
            kgen_problem_check(&spec->entries[i].problem, NULL, 0, 0, NULL) != 0)
            abort();
        kgen_text_free(&text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct kgen_spec_options options[] = {{0}, {.bits = 4, .group_size = 32}};
    for (size_t i = 0; i < KGEN_COUNT_OF(options); i++) {
        struct kgen_error error = {0};
        struct kgen_spec *spec = kgen_spec_parse("fuzz.json", (const char *)data, size, &options[i], &error);
        check(spec, &error);
        kgen_spec_free(spec);
    }
    return 0;
}
