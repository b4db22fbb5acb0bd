/* SPDX-License-Identifier: MIT */
/* Which variant runs which node of a model. */
#include "runtime/command/replay/replay.h"

#include <string.h>

static const char *variant_of(const struct kgen_function *function)
{
    return function != NULL ? function->variant.data : NULL;
}

static const char *origin_of(const struct kgen_function *function)
{
    return function != NULL ? kgen_origin_name(function->origin) : NULL;
}

/* The entry of a list for a node of that label and problem, or NULL. */
static json_t *find(const json_t *list, const char *label, const char *problem)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *entry = json_array_get(list, i);
        const char *entry_label = json_string_value(json_object_get(entry, "node"));
        const char *entry_problem = json_string_value(json_object_get(entry, "problem"));
        if (entry_label != NULL && entry_problem != NULL && strcmp(entry_label, label) == 0 &&
            strcmp(entry_problem, problem) == 0)
            return entry;
    }
    return NULL;
}

json_t *kgen_replay_dispatch(const struct kgen_model *model)
{
    const struct kgen_graph *graph = model->spec->graph;
    const struct kgen_function *functions = model->plan->functions;
    json_t *list = json_array();
    bool failed = list == NULL;
    for (size_t i = 0; i < graph->node_count && !failed; i++) {
        const struct kgen_graph_node *node = &graph->nodes[i];
        const struct kgen_function *one = &functions[node->entries[0]];
        const struct kgen_function *several = node->batch_count > 0 ? &functions[node->batches[0]] : NULL;
        json_t *entry = find(list, node->label, one->name.data);
        if (entry != NULL) {
            const json_int_t count = json_integer_value(json_object_get(entry, "count"));
            failed = json_integer_set(json_object_get(entry, "count"), count + 1) != 0;
            continue;
        }
        failed = json_array_append_new(list, json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:s?, s:s?}", "node",
                                                       node->label, "count", 1, "op", node->op, "problem",
                                                       one->name.data, "variant", variant_of(one), "origin",
                                                       origin_of(one), "prompt_variant", variant_of(several),
                                                       "prompt_origin", origin_of(several))) != 0;
    }
    if (failed) {
        json_decref(list);
        return NULL;
    }
    return list;
}
