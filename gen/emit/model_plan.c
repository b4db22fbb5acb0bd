/* SPDX-License-Identifier: MIT */
/* What the step of a model needs: memory for activations by name, weights by name, places of states. */
#include "gen/emit/model.h"
#include "gen/ops/buffers.h"
#include "gen/ops/dtype.h"
#include "gen/ops/signature.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static int64_t aligned(int64_t bytes)
{
    return (bytes + KGEN_EMIT_MODEL_ALIGNMENT - 1) / KGEN_EMIT_MODEL_ALIGNMENT * KGEN_EMIT_MODEL_ALIGNMENT;
}

/* ---- names ---- */

/* The name of a node or a tensor behind "layers.N.". */
static const char *without_layer(const char *name)
{
    static const char layers[] = "layers.";
    if (strncmp(name, layers, sizeof layers - 1) != 0)
        return name;
    const char *at = name + sizeof layers - 1;
    while (isdigit((unsigned char)*at))
        at++;
    return *at == '.' ? at + 1 : name;
}

void kgen_emit_model_put_identifier(const char *name, struct kgen_text *text)
{
    for (const char *at = without_layer(name); *at != '\0'; at++)
        kgen_text_append(text, isalnum((unsigned char)*at) ? at : "_", 1);
}

/* ---- entries ---- */

size_t kgen_emit_model_entry(const struct kgen_emit_model *model, size_t node)
{
    return model->graph->nodes[node].entries[0];
}

/* Whether the kernel of an entry is plain C. */
static bool is_plain(const struct kgen_emit_model *model, size_t entry)
{
    const struct kgen_variant *tuned = &model->emission->input.tuned[entry];
    if (tuned->tmpl != NULL)
        return tuned->isa == KGEN_ISA_GENERIC;
    for (int isa = 0; isa < KGEN_ISA_COUNT; isa++) {
        if (isa != KGEN_ISA_GENERIC &&
            kgen_emission_kernel(model->emission, entry, (enum kgen_isa)isa) != NULL)
            return false;
    }
    return true;
}

/* As in memory, rows that vectors compute one by one are not computed together by plain C. */
size_t kgen_emit_model_batch(const struct kgen_emit_model *model, size_t node)
{
    const struct kgen_graph_node *described = &model->graph->nodes[node];
    if (model->graph->prompt_rows <= 1 || described->batch_count == 0)
        return SIZE_MAX;
    const size_t batch = described->batches[0];
    return is_plain(model, batch) && !is_plain(model, described->entries[0]) ? SIZE_MAX : batch;
}

bool kgen_emit_model_keeps_state(const struct kgen_emit_model *model, size_t node)
{
    for (size_t i = 0; i < model->graph->state_count; i++) {
        if (model->graph->states[i].node == node)
            return true;
    }
    return false;
}

/* ---- activations ---- */

static bool is_taken(const struct kgen_emit_model *model, const char *name)
{
    static const char *const members[] = {"model",  "weights", "layer",     "state",   "tokens", "position",
                                          "rows",   "row",     "is_last",   "logits",  "copy",   "gathered",
                                          "row_of", "scratch", "workspace", "threads", "run"};
    bool taken = strstr(name, "_stride") != NULL || strstr(name, "_tables") != NULL;
    for (size_t i = 0; i < KGEN_COUNT_OF(members); i++)
        taken = taken || strcmp(members[i], name) == 0;
    for (size_t i = 0; i < model->slot_count; i++)
        taken = taken || strcmp(model->slots[i].name.data, name) == 0;
    return taken;
}

/* The slot that a tensor of the same name of an earlier layer has left, or a new one. */
static int add_slot(struct kgen_emit_model *model, size_t index)
{
    const struct kgen_graph_tensor *tensor = &model->graph->tensors[index];
    const char *name = without_layer(tensor->name);
    const int64_t elements = tensor->bytes / 4;
    for (size_t i = 0; i < model->slot_count && !tensor->result; i++) {
        struct kgen_emit_model_slot *slot = &model->slots[i];
        if (strcmp(slot->tensor.data, name) == 0 && slot->last < tensor->first &&
            slot->elements == elements &&
            strcmp(slot->type, strcmp(tensor->dtype, "i32") == 0 ? "int32_t" : "float") == 0) {
            slot->last = tensor->last;
            model->slot_of[index] = i;
            return 0;
        }
    }
    struct kgen_emit_model_slot slot = {.type = strcmp(tensor->dtype, "i32") == 0 ? "int32_t" : "float",
                                        .elements = elements,
                                        .last = tensor->last,
                                        .result = tensor->result};
    kgen_text_puts(&slot.tensor, name);
    kgen_emit_model_put_identifier(tensor->name, &slot.name);
    if (slot.result)
        kgen_text_clear(&slot.name);
    if (slot.result)
        kgen_text_puts(&slot.name, "logits");
    while (!slot.result && !slot.name.failed && is_taken(model, slot.name.data))
        kgen_text_puts(&slot.name, "_");
    model->slots[model->slot_count] = slot;
    model->slot_of[index] = model->slot_count++;
    return slot.name.failed || slot.tensor.failed ? kgen_emit_fail_memory(model->error) : 0;
}

static int plan_slots(struct kgen_emit_model *model)
{
    const struct kgen_graph *graph = model->graph;
    model->slots = calloc(graph->tensor_count + 1, sizeof *model->slots);
    model->slot_of = calloc(graph->tensor_count + 1, sizeof *model->slot_of);
    if (model->slots == NULL || model->slot_of == NULL)
        return kgen_emit_fail_memory(model->error);
    for (size_t i = 0; i < graph->tensor_count; i++) {
        model->slot_of[i] = SIZE_MAX;
        const bool has_memory = graph->tensors[i].view_of == KGEN_GRAPH_NONE &&
                                graph->tensors[i].first != KGEN_GRAPH_NONE &&
                                kgen_graph_producer(graph, i) != KGEN_GRAPH_NONE;
        if (has_memory && add_slot(model, i) != 0)
            return -1;
    }
    for (size_t i = 0; i < graph->tensor_count; i++) {
        if (graph->tensors[i].view_of != KGEN_GRAPH_NONE)
            model->slot_of[i] = model->slot_of[graph->tensors[i].view_of];
    }
    return 0;
}

/* ---- weights ---- */

/* Whether buffers of two nodes are bound to the same weights in the same order. */
static bool are_same(const struct kgen_graph_node *a, const char *a_buffer, const struct kgen_graph_node *b,
                     const char *b_buffer)
{
    size_t i = 0, j = 0;
    for (;; i++, j++) {
        while (i < a->weight_count && strcmp(a->weights[i].buffer, a_buffer) != 0)
            i++;
        while (j < b->weight_count && strcmp(b->weights[j].buffer, b_buffer) != 0)
            j++;
        if (i == a->weight_count || j == b->weight_count)
            return i == a->weight_count && j == b->weight_count;
        if (a->weights[i].index != b->weights[j].index)
            return false;
    }
}

const struct kgen_emit_model_weights *kgen_emit_model_find(const struct kgen_emit_model *model, size_t node,
                                                           const char *buffer)
{
    const struct kgen_graph_node *nodes = model->graph->nodes;
    const bool selects = kgen_graph_selects_rows(&nodes[node]);
    for (size_t i = 0; i < model->weight_count; i++) {
        const struct kgen_emit_model_weights *weights = &model->weights[i];
        const struct kgen_problem *one = &nodes[weights->node].problem, *other = &nodes[node].problem;
        if (are_same(&nodes[weights->node], weights->buffer, &nodes[node], buffer) &&
            (selects || (kgen_problem_get(one, "layout") == kgen_problem_get(other, "layout") &&
                         kgen_problem_format(one) == kgen_problem_format(other))))
            return weights;
    }
    return NULL;
}

static int add_weights(struct kgen_emit_model *model, size_t node, const char *buffer)
{
    const struct kgen_graph_node *described = &model->graph->nodes[node];
    struct kgen_emit_model_weights *weights = &model->weights[model->weight_count++];
    struct kgen_buffers buffers;
    *weights = (struct kgen_emit_model_weights){.node = node, .buffer = buffer};
    kgen_problem_buffers(&described->problem, &buffers);
    const int found = kgen_buffers_of_role(&buffers, KGEN_WEIGHTS);
    weights->is_vector = found < 0 || strcmp(buffers.items[found].declared->name, buffer) != 0;
    kgen_emit_model_put_identifier(described->name, &weights->name);
    for (size_t i = 0; i + 1 < model->weight_count && !weights->name.failed; i++) {
        const struct kgen_emit_model_weights *other = &model->weights[i];
        if (model->graph->nodes[other->node].layer == described->layer && other->node != node &&
            strcmp(other->name.data, weights->name.data) == 0)
            return kgen_error_set(model->error, KGEN_ERROR_SPEC, NULL, 0, 0,
                                  "%s and %s have the same name in C", model->graph->nodes[other->node].name,
                                  described->name);
    }
    return weights->name.failed ? kgen_emit_fail_memory(model->error) : 0;
}

/* First those that are multiplied: rows may be selected from one of them. */
static int plan_weights(struct kgen_emit_model *model)
{
    size_t count = 0;
    for (size_t i = 0; i < model->graph->node_count; i++)
        count += model->graph->nodes[i].weight_count;
    model->weights = calloc(count + 1, sizeof *model->weights);
    if (model->weights == NULL)
        return kgen_emit_fail_memory(model->error);
    for (size_t i = 0; i < 2 * model->graph->node_count; i++) {
        const size_t node = i % model->graph->node_count;
        const struct kgen_graph_node *described = &model->graph->nodes[node];
        if (kgen_graph_selects_rows(described) != (i >= model->graph->node_count))
            continue;
        for (size_t j = 0; j < described->weight_count; j++) {
            const char *buffer = described->weights[j].buffer;
            if (kgen_emit_model_find(model, node, buffer) == NULL && add_weights(model, node, buffer) != 0)
                return -1;
        }
    }
    return 0;
}

/* ---- tables ---- */

/* Whether _prepare fills the workspace from scalars alone, such as the position. */
static bool prepares_from_scalars(const struct kgen_op *op)
{
    if (!kgen_op_has_part(op, KGEN_PREPARE) || !kgen_op_has_role(op, KGEN_WORKSPACE))
        return false;
    for (size_t i = 0; i < op->buffer_count; i++) {
        if ((op->buffers[i].parts & KGEN_PREPARE) != 0 && op->buffers[i].role != KGEN_WORKSPACE)
            return false;
    }
    return true;
}

const struct kgen_emit_model_table *kgen_emit_model_table(const struct kgen_emit_model *model, size_t entry)
{
    for (size_t i = 0; i < model->table_count; i++) {
        if (model->tables[i].entry == entry)
            return &model->tables[i];
    }
    return NULL;
}

static int plan_tables(struct kgen_emit_model *model)
{
    model->tables = calloc(model->emission->input.spec->count + 1, sizeof *model->tables);
    if (model->tables == NULL)
        return kgen_emit_fail_memory(model->error);
    for (size_t i = 0; i < model->graph->node_count; i++) {
        const size_t entry = kgen_emit_model_entry(model, i);
        if (!prepares_from_scalars(model->graph->nodes[i].problem.op) ||
            kgen_emit_model_table(model, entry) != NULL)
            continue;
        struct kgen_emit_model_table *table = &model->tables[model->table_count++];
        table->entry = entry;
        kgen_emit_model_put_identifier(model->graph->nodes[i].name, &table->name);
        kgen_text_puts(&table->name, "_tables");
        for (size_t j = 0; j + 1 < model->table_count && !table->name.failed; j++) {
            if (strcmp(model->tables[j].name.data, table->name.data) == 0)
                kgen_text_puts(&table->name, "_");
        }
        if (table->name.failed)
            return kgen_emit_fail_memory(model->error);
    }
    return 0;
}

/* ---- states ---- */

static int64_t bytes_of_state(const struct kgen_emit_model *model, const struct kgen_graph_state *state)
{
    struct kgen_buffers buffers;
    kgen_problem_buffers(&model->graph->nodes[state->node].problem, &buffers);
    const int buffer = kgen_buffers_find(&buffers, state->buffer);
    return buffer < 0 ? 0 : aligned((int64_t)buffers.items[buffer].bytes);
}

int64_t kgen_emit_model_state_bytes(const struct kgen_emit_model *model, size_t begin, size_t end)
{
    int64_t bytes = 0;
    for (size_t i = 0; i < model->graph->state_count; i++) {
        const struct kgen_graph_state *state = &model->graph->states[i];
        if (state->node >= begin && state->node < end)
            bytes += bytes_of_state(model, state);
    }
    return bytes;
}

void kgen_emit_model_group(const struct kgen_emit_model *model, int64_t layer, bool after, size_t *begin,
                           size_t *end)
{
    const struct kgen_graph_node *nodes = model->graph->nodes;
    const size_t count = model->graph->node_count;
    size_t at = 0;
    while (at < count && nodes[at].layer < 0 && (after || layer >= 0))
        at++;
    while (at < count && nodes[at].layer != layer)
        at++;
    *begin = at;
    while (at < count && nodes[at].layer == layer)
        at++;
    *end = at;
}

/* The states of a layer lie one after the other, in the order of their nodes. */
static int plan_states(struct kgen_emit_model *model)
{
    const struct kgen_graph *graph = model->graph;
    model->state_offsets = calloc(graph->state_count + 1, sizeof *model->state_offsets);
    if (model->state_offsets == NULL)
        return kgen_emit_fail_memory(model->error);
    for (int64_t layer = -1; layer <= graph->layers; layer++) {
        size_t begin, end;
        int64_t offset = 0;
        kgen_emit_model_group(model, layer < graph->layers ? layer : -1, layer == graph->layers, &begin,
                              &end);
        for (size_t i = 0; i < graph->state_count; i++) {
            if (graph->states[i].node < begin || graph->states[i].node >= end)
                continue;
            model->state_offsets[i] = offset;
            offset += bytes_of_state(model, &graph->states[i]);
        }
        model->state_bytes += offset;
    }
    return 0;
}

/* ---- the whole ---- */

int kgen_emit_model_plan(struct kgen_emit_model *model)
{
    model->used = calloc(model->emission->input.spec->count + 1, sizeof *model->used);
    if (model->used == NULL)
        return kgen_emit_fail_memory(model->error);
    return plan_slots(model) != 0 || plan_weights(model) != 0 || plan_tables(model) != 0 ||
                   plan_states(model) != 0
               ? -1
               : 0;
}

void kgen_emit_model_free(struct kgen_emit_model *model)
{
    for (size_t i = 0; i < model->slot_count; i++) {
        kgen_text_free(&model->slots[i].name);
        kgen_text_free(&model->slots[i].tensor);
    }
    for (size_t i = 0; i < model->weight_count; i++)
        kgen_text_free(&model->weights[i].name);
    for (size_t i = 0; i < model->function_count; i++) {
        kgen_text_free(&model->functions[i].name);
        kgen_text_free(&model->functions[i].text);
    }
    for (size_t i = 0; i < model->table_count; i++)
        kgen_text_free(&model->tables[i].name);
    free(model->slots);
    free(model->slot_of);
    free(model->weights);
    free(model->functions);
    free(model->tables);
    free(model->state_offsets);
    free(model->used);
}
