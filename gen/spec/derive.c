/* SPDX-License-Identifier: MIT */
/* Makes the graph of a model from the steps of its family. */
#include "gen/spec/reader.h"

#include <stdio.h>
#include <string.h>

int kgen_derive_value(const struct kgen_derivation *derivation, const char *expression, int64_t *value)
{
    return kgen_spec_evaluate(derivation->reader, derivation->model, derivation->layer, expression, value);
}

int kgen_derive_shape(const struct kgen_derivation *derivation, const char *text,
                      int64_t shape[KGEN_GRAPH_RANK_MAX], size_t *rank)
{
    *rank = 0;
    while (*rank < KGEN_GRAPH_RANK_MAX) {
        if (kgen_derive_value(derivation, text, &shape[(*rank)++]) != 0)
            return -1;
        const char *comma = strchr(text, ',');
        if (comma == NULL)
            return 0;
        text = comma + 1;
    }
    return kgen_spec_fail(derivation->reader, NULL, "a shape has at most %d dimensions", KGEN_GRAPH_RANK_MAX);
}

/* ---- symbols ---- */

int kgen_derive_symbol(struct kgen_derivation *derivation, const char *name, size_t tensor)
{
    size_t i = 0;
    while (i < derivation->symbol_count && strcmp(derivation->symbols[i].name, name) != 0)
        i++;
    if (i == KGEN_SYMBOLS_MAX)
        return kgen_spec_fail(derivation->reader, NULL, "%s has more than %d symbols",
                              derivation->model->family->architecture, KGEN_SYMBOLS_MAX);
    derivation->symbols[i].name = name;
    derivation->symbols[i].tensor = tensor;
    if (i == derivation->symbol_count)
        derivation->symbol_count++;
    return 0;
}

static int find_symbol(const struct kgen_derivation *derivation, const char *name, size_t *tensor)
{
    for (size_t i = 0; i < derivation->symbol_count; i++) {
        if (strcmp(derivation->symbols[i].name, name) == 0) {
            *tensor = derivation->symbols[i].tensor;
            return 0;
        }
    }
    return kgen_spec_fail(derivation->reader, NULL,
                          "a step of %s uses \"%s\", which no step before it writes",
                          derivation->model->family->architecture, name);
}

/* ---- nodes ---- */

/* Sets up a problem with what the config says of its op. *derived says whether there is such an op. */
static int start_problem(const struct kgen_derivation *derivation, const char *op,
                         struct kgen_problem *problem, bool *derived)
{
    const struct kgen_spec_model *model = derivation->model;
    problem->op = kgen_op_find(op);
    *derived = problem->op != NULL;
    if (!*derived)
        return 0;
    kgen_problem_init(problem, problem->op);
    for (size_t i = 0; i < model->prototype_count; i++) {
        const char *when = model->prototypes[i].when;
        int64_t wanted = 1;
        if (model->prototypes[i].problem.op != problem->op || (when != NULL && derivation->layer < 0))
            continue;
        if (when != NULL && kgen_derive_value(derivation, when, &wanted) != 0)
            return -1;
        if (wanted != 0)
            *problem = model->prototypes[i].problem;
    }
    return 0;
}

int kgen_derive_node(struct kgen_derivation *derivation, const char *name, const char *label, const char *op,
                     size_t *node, bool *derived)
{
    struct kgen_text full = {0};
    if (derivation->layer >= 0)
        kgen_text_printf(&full, "layers.%lld.", (long long)derivation->layer);
    kgen_text_puts(&full, name);
    *node = full.failed ? KGEN_GRAPH_NONE
                        : kgen_graph_add_node(derivation->graph, full.data, label, op, derivation->layer);
    kgen_text_free(&full);
    if (*node == KGEN_GRAPH_NONE)
        return kgen_spec_fail_memory(derivation->reader);
    struct kgen_graph_node *added = &derivation->graph->nodes[*node];
    if (start_problem(derivation, op, &added->problem, derived) != 0)
        return -1;
    added->status = *derived ? KGEN_GRAPH_DERIVED : KGEN_GRAPH_NO_OP;
    return 0;
}

int kgen_derive_field(struct kgen_derivation *derivation, size_t node, const char *field, int64_t value)
{
    struct kgen_graph_node *at = &derivation->graph->nodes[node];
    if (at->status == KGEN_GRAPH_DERIVED) {
        if (!kgen_problem_has(&at->problem, field))
            return kgen_spec_fail(derivation->reader, NULL, "%s has no field \"%s\" (for %s)", at->op, field,
                                  at->label);
        kgen_problem_set(&at->problem, field, value);
        return 0;
    }
    if (at->size_count == KGEN_GRAPH_SIZES_MAX)
        return kgen_spec_fail(derivation->reader, NULL, "%s has more than %d sizes", at->op,
                              KGEN_GRAPH_SIZES_MAX);
    at->sizes[at->size_count++] = (struct kgen_graph_size){field, value};
    return 0;
}

int kgen_derive_fields(struct kgen_derivation *derivation, const struct kgen_step *step, size_t node)
{
    for (size_t i = 0; i < KGEN_GRAPH_SIZES_MAX && step->fields[i].field != NULL; i++) {
        int64_t value;
        if (kgen_derive_value(derivation, step->fields[i].value, &value) != 0 ||
            kgen_derive_field(derivation, node, step->fields[i].field, value) != 0)
            return -1;
    }
    return 0;
}

int kgen_derive_bind(struct kgen_derivation *derivation, size_t node, const char *buffer, size_t tensor,
                     enum kgen_graph_access access)
{
    return kgen_graph_bind(derivation->graph, node, buffer, tensor, access) == 0
               ? 0
               : kgen_spec_fail_memory(derivation->reader);
}

int kgen_derive_inputs(struct kgen_derivation *derivation, const struct kgen_step *step, size_t node)
{
    for (size_t i = 0; i < KGEN_GRAPH_OPERANDS_MAX && step->tensors[i].buffer != NULL; i++) {
        const struct kgen_step_tensor *operand = &step->tensors[i];
        size_t tensor;
        if (operand->access != KGEN_GRAPH_WRITE &&
            (find_symbol(derivation, operand->symbol, &tensor) != 0 ||
             kgen_derive_bind(derivation, node, operand->buffer, tensor, operand->access) != 0))
            return -1;
    }
    return 0;
}

/* That of the buffer in the table of the node's op. */
static const char *dtype_of(const struct kgen_graph_node *node, const char *buffer)
{
    const struct kgen_op *op = kgen_op_find(node->op);
    for (size_t i = 0; op != NULL && i < op->buffer_count; i++) {
        if (strcmp(op->buffers[i].name, buffer) == 0 && op->buffers[i].dtype != NULL)
            return op->buffers[i].dtype;
    }
    return "f32";
}

int kgen_derive_output(struct kgen_derivation *derivation, size_t node, const char *buffer,
                       const int64_t *shape, size_t rank, size_t *tensor)
{
    struct kgen_graph *graph = derivation->graph;
    struct kgen_text name = {0};
    kgen_text_puts(&name, graph->nodes[node].name);
    if (buffer[0] != 'y') /* what a node writes besides */
        kgen_text_printf(&name, ".%s", buffer);
    *tensor = name.failed ? KGEN_GRAPH_NONE
                          : kgen_graph_add_tensor(graph, name.data, dtype_of(&graph->nodes[node], buffer),
                                                  shape, rank);
    kgen_text_free(&name);
    if (*tensor == KGEN_GRAPH_NONE)
        return kgen_spec_fail_memory(derivation->reader);
    return kgen_derive_bind(derivation, node, buffer, *tensor, KGEN_GRAPH_WRITE);
}

int kgen_derive_outputs(struct kgen_derivation *derivation, const struct kgen_step *step, size_t node)
{
    for (size_t i = 0; i < KGEN_GRAPH_OPERANDS_MAX && step->tensors[i].buffer != NULL; i++) {
        const struct kgen_step_tensor *operand = &step->tensors[i];
        int64_t shape[KGEN_GRAPH_RANK_MAX];
        size_t rank, tensor;
        if (operand->access == KGEN_GRAPH_WRITE &&
            (kgen_derive_shape(derivation, operand->shape, shape, &rank) != 0 ||
             kgen_derive_output(derivation, node, operand->buffer, shape, rank, &tensor) != 0 ||
             kgen_derive_symbol(derivation, operand->symbol, tensor) != 0))
            return -1;
    }
    return 0;
}

/* ---- weights and state ---- */

void kgen_derive_expand(const struct kgen_derivation *derivation, const char *name, struct kgen_text *text)
{
    const char *mark = strchr(name, '%');
    if (mark == NULL)
        kgen_text_puts(text, name);
    else
        kgen_text_printf(text, "%.*s%lld%s", (int)(mark - name), name, (long long)derivation->layer,
                         mark + 1);
}

int kgen_derive_weight(struct kgen_derivation *derivation, size_t node, const char *buffer, const char *name,
                       const int64_t *shape, size_t rank, enum kgen_graph_format format,
                       const struct kgen_spec_format *quantised)
{
    struct kgen_graph *graph = derivation->graph;
    struct kgen_text full = {0};
    kgen_derive_expand(derivation, name, &full);
    size_t weight = KGEN_GRAPH_NONE;
    if (!full.failed && derivation->layer < 0) /* layers share none */
        weight = kgen_graph_find_weight(graph, full.data);
    if (!full.failed && weight == KGEN_GRAPH_NONE)
        weight = kgen_graph_add_weight(graph, full.data, shape, rank);
    kgen_text_free(&full);
    if (weight == KGEN_GRAPH_NONE || kgen_graph_bind_weight(graph, node, buffer, weight) != 0)
        return kgen_spec_fail_memory(derivation->reader);
    struct kgen_graph_weight *added = &graph->weights[weight];
    added->format = format;
    if (format == KGEN_GRAPH_QUANTISED) {
        added->bits = quantised->bits;
        added->group_size = quantised->group_size;
        added->scheme = quantised->scheme;
        added->scale_dtype = kgen_spec_formats_scale_dtype(derivation->reader, quantised);
    }
    return 0;
}

/* Whether the problem of a node has no buffer of that name, though its op has. */
static bool lacks_buffer(const struct kgen_graph_node *node, const char *name)
{
    for (size_t i = 0; node->problem.op != NULL && i < node->problem.op->buffer_count; i++) {
        const struct kgen_buffer *buffer = &node->problem.op->buffers[i];
        int64_t there = 1;
        if (strcmp(buffer->name, name) == 0 && buffer->when != NULL &&
            kgen_problem_evaluate(buffer->when, &node->problem, &there))
            return there == 0;
    }
    return false;
}

static int add_weights(struct kgen_derivation *derivation, const struct kgen_step *step, size_t node)
{
    for (size_t i = 0; i < KGEN_GRAPH_WEIGHTS_MAX && step->weights[i].buffer != NULL; i++) {
        const struct kgen_step_weight *weight = &step->weights[i];
        if (lacks_buffer(&derivation->graph->nodes[node], weight->buffer))
            continue;
        int64_t shape[KGEN_GRAPH_RANK_MAX];
        size_t rank;
        if (kgen_derive_shape(derivation, weight->shape, shape, &rank) != 0 ||
            kgen_derive_weight(derivation, node, weight->buffer, weight->name, shape, rank,
                               weight->known ? KGEN_GRAPH_PLAIN : KGEN_GRAPH_UNKNOWN, NULL) != 0)
            return -1;
    }
    return 0;
}

/* The shape of a buffer of a node's problem. */
static int shape_of_buffer(const struct kgen_derivation *derivation, size_t node, const char *buffer,
                           int64_t shape[KGEN_GRAPH_RANK_MAX], size_t *rank)
{
    const struct kgen_problem *problem = &derivation->graph->nodes[node].problem;
    const char *text = NULL;
    *rank = 0;
    for (size_t i = 0; problem->op != NULL && i < problem->op->buffer_count; i++)
        text = strcmp(problem->op->buffers[i].name, buffer) == 0 ? problem->op->buffers[i].shape : text;
    while (text != NULL && *rank < KGEN_GRAPH_RANK_MAX &&
           kgen_problem_evaluate(text, problem, &shape[(*rank)++])) {
        text = strchr(text, ',');
        if (text++ == NULL)
            return 0;
    }
    return kgen_spec_fail(derivation->reader, NULL, "the shape of %s of %s is not known", buffer,
                          derivation->graph->nodes[node].op);
}

static int add_states(struct kgen_derivation *derivation, const struct kgen_step *step, size_t node)
{
    for (size_t i = 0; i < KGEN_COUNT_OF(step->states) && step->states[i].buffer != NULL; i++) {
        int64_t shape[KGEN_GRAPH_RANK_MAX];
        size_t rank;
        const bool is_recurrent = step->states[i].shape == NULL;
        if ((is_recurrent ? shape_of_buffer(derivation, node, step->states[i].buffer, shape, &rank)
                          : kgen_derive_shape(derivation, step->states[i].shape, shape, &rank)) != 0)
            return -1;
        struct kgen_text name = {0};
        kgen_text_printf(&name, "layers.%lld.%s", (long long)derivation->layer, step->states[i].name);
        size_t state = name.failed ? KGEN_GRAPH_NONE
                                   : kgen_graph_add_state(derivation->graph, name.data, node,
                                                          step->states[i].buffer, shape, rank);
        kgen_text_free(&name);
        if (state == KGEN_GRAPH_NONE)
            return kgen_spec_fail_memory(derivation->reader);
        derivation->graph->states[state].is_recurrent = is_recurrent;
    }
    return 0;
}

/* ---- steps ---- */

static int add_step(struct kgen_derivation *derivation, const struct kgen_step *step)
{
    size_t node;
    bool derived;
    int64_t supported = 1;
    if (kgen_derive_node(derivation, step->name, step->name, step->op, &node, &derived) != 0 ||
        (step->supported != NULL && kgen_derive_value(derivation, step->supported, &supported) != 0))
        return -1;
    struct kgen_graph_node *added = &derivation->graph->nodes[node];
    if (derived && supported == 0)
        added->status = KGEN_GRAPH_UNSUPPORTED;
    if (kgen_derive_fields(derivation, step, node) != 0)
        return -1;
    if (added->status == KGEN_GRAPH_DERIVED && step->real_field != NULL)
        kgen_problem_set_real(&added->problem, step->real_field, step->real_value);
    if (added->status == KGEN_GRAPH_DERIVED) {
        kgen_problem_complete(&added->problem);
        if (kgen_spec_check_problem(derivation->reader, NULL, &added->problem, added->label) != 0)
            return -1;
    }
    return kgen_derive_inputs(derivation, step, node) != 0 || add_weights(derivation, step, node) != 0 ||
                   add_states(derivation, step, node) != 0
               ? -1
               : kgen_derive_outputs(derivation, step, node);
}

/* Evaluates the condition of a step in this layer. */
static int holds(const struct kgen_derivation *derivation, const char *condition, bool *result)
{
    int64_t value = 1;
    bool negated = condition != NULL && *condition == '!';
    if (condition != NULL && kgen_derive_value(derivation, condition + negated, &value) != 0)
        return -1;
    *result = (value != 0) != negated;
    return 0;
}

static int add_steps(struct kgen_derivation *derivation, const struct kgen_step *steps)
{
    for (const struct kgen_step *step = steps; step->op != NULL; step++) {
        bool wanted;
        if (holds(derivation, step->when, &wanted) != 0)
            return -1;
        if (wanted && (step->matrices[0].name != NULL ? kgen_derive_product(derivation, step)
                                                      : add_step(derivation, step)) != 0)
            return -1;
    }
    return 0;
}

/* Adds the inputs that a program gives for each decode step. */
static int add_inputs(struct kgen_derivation *derivation)
{
    static const char *const names[] = {"token", "position"};
    for (size_t i = 0; i < KGEN_COUNT_OF(names); i++) {
        size_t tensor = kgen_graph_add_tensor(derivation->graph, names[i], "i32", (int64_t[]){1}, 1);
        if (tensor == KGEN_GRAPH_NONE)
            return kgen_spec_fail_memory(derivation->reader);
        if (kgen_derive_symbol(derivation, names[i], tensor) != 0)
            return -1;
    }
    return 0;
}

int kgen_spec_derive(struct kgen_spec_reader *reader, const struct kgen_spec_model *model,
                     struct kgen_spec_formats *formats)
{
    struct kgen_graph *graph = reader->spec->graph;
    struct kgen_derivation derivation = {
        .reader = reader, .model = model, .formats = formats, .graph = graph, .layer = -1};
    const struct kgen_recipe *recipe = model->family->recipe;
    int64_t layers;
    size_t result;
    if (kgen_derive_value(&derivation, "layers", &layers) != 0 || add_inputs(&derivation) != 0 ||
        add_steps(&derivation, recipe->before) != 0)
        return -1;
    for (int64_t layer = 0; layer < layers; layer++) {
        derivation.layer = layer;
        for (size_t i = 0; i < KGEN_RECIPE_PARTS_MAX && recipe->layer[i] != NULL; i++) {
            if (add_steps(&derivation, recipe->layer[i]) != 0)
                return -1;
        }
    }
    derivation.layer = -1;
    graph->layers = layers;
    if (add_steps(&derivation, recipe->after) != 0 || find_symbol(&derivation, "logits", &result) != 0)
        return -1;
    graph->tensors[result].result = true;
    return 0;
}
