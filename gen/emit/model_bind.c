/* SPDX-License-Identifier: MIT */
/* The weights of a model as members of structs, and the statements that find them by name. */
#include "gen/emit/model.h"
#include "gen/ops/buffers.h"
#include "gen/ops/dtype.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An array of weights: a vector, or a part of a matrix. */
struct array {
    const char *name; /* behind that of the weights in members */
    const char *type; /* of an element in C */
    int64_t bytes;
    bool of_matrix;
};

static const struct kgen_graph_weight *weight_at(const struct kgen_emit_model *model,
                                                 const struct kgen_emit_model_weights *weights, size_t index)
{
    const struct kgen_graph_node *node = &model->graph->nodes[weights->node];
    for (size_t i = 0; i < node->weight_count; i++) {
        if (strcmp(node->weights[i].buffer, weights->buffer) == 0 && index-- == 0)
            return &model->graph->weights[node->weights[i].index];
    }
    return NULL;
}

/* Lists the arrays of weights and returns their number. */
static size_t list_arrays(const struct kgen_emit_model *model, const struct kgen_emit_model_weights *weights,
                          struct array arrays[KGEN_FORMAT_ARRAYS_MAX])
{
    const struct kgen_graph_node *node = &model->graph->nodes[weights->node];
    const struct kgen_graph_weight *weight;
    struct kgen_buffers buffers;
    size_t count = 0;
    if (weights->is_vector) {
        arrays[0] = (struct array){.name = weights->buffer, .type = "float"};
        for (size_t i = 0; (weight = weight_at(model, weights, i)) != NULL; i++)
            arrays[0].bytes += weight->shape[0] * (int64_t)sizeof(float);
        return 1;
    }
    struct kgen_matrix matrix;
    kgen_problem_matrix(&node->problem, NULL, &matrix);
    kgen_problem_buffers(&node->problem, &buffers);
    for (size_t i = 0; i < buffers.count; i++) {
        const struct kgen_problem_buffer *buffer = &buffers.items[i];
        if (buffer->array < 0)
            continue;
        const char *type = buffer->dtype == KGEN_CONSTANT_NONE ? NULL : kgen_dtype_c_type(buffer->dtype);
        /* Of rows that are selected the node has one. */
        arrays[count++] = (struct array){buffer->name, type != NULL ? type : "void",
                                         kgen_graph_selects_rows(node)
                                             ? weight_at(model, weights, 0)->shape[0] *
                                                   matrix.format->arrays[buffer->array].row_bytes(&matrix)
                                             : (int64_t)buffer->bytes,
                                         true};
    }
    return count;
}

int64_t kgen_emit_model_weight_bytes(const struct kgen_emit_model *model)
{
    int64_t bytes = 0;
    for (size_t i = 0; i < model->weight_count; i++) {
        struct array arrays[KGEN_FORMAT_ARRAYS_MAX];
        const size_t count = list_arrays(model, &model->weights[i], arrays);
        for (size_t j = 0; j < count; j++)
            bytes += (arrays[j].bytes + KGEN_EMIT_MODEL_ALIGNMENT - 1) / KGEN_EMIT_MODEL_ALIGNMENT *
                     KGEN_EMIT_MODEL_ALIGNMENT;
    }
    return bytes;
}

static int64_t layer_of(const struct kgen_emit_model *model, const struct kgen_emit_model_weights *weights)
{
    return model->graph->nodes[weights->node].layer;
}

/* Where the number of a layer stands in the name of one of its weights, and behind it; NULL: nowhere. */
static const char *find_number(const char *name, int64_t layer, const char **behind)
{
    char number[40];
    const int length = snprintf(number, sizeof number, ".%lld.", (long long)layer);
    const char *found = layer >= 0 ? strstr(name, number) : NULL;
    if (found != NULL)
        *behind = found + length - 1;
    return found != NULL ? found + 1 : NULL;
}

/* ---- members ---- */

/* Appends the names of the weights, those of a layer with "*". */
static void put_names(const struct kgen_emit_model *model, const struct kgen_emit_model_weights *weights,
                      struct kgen_text *text)
{
    const struct kgen_graph_weight *weight;
    for (size_t i = 0; (weight = weight_at(model, weights, i)) != NULL; i++) {
        const char *behind, *number = find_number(weight->name, layer_of(model, weights), &behind);
        kgen_text_puts(text, i > 0 ? ", " : "");
        if (number != NULL)
            kgen_text_printf(text, "%.*s*%s", (int)(number - weight->name), weight->name, behind);
        else
            kgen_text_puts(text, weight->name);
    }
}

/* Whether there is such a member already, of weights before these; its type may be another one. */
static bool is_member(const struct kgen_emit_model *model, size_t index, const struct array *array)
{
    const struct kgen_emit_model_weights *weights = &model->weights[index];
    for (size_t i = 0; i < index; i++) {
        const struct kgen_emit_model_weights *other = &model->weights[i];
        struct array arrays[KGEN_FORMAT_ARRAYS_MAX];
        if (strcmp(other->name.data, weights->name.data) != 0 ||
            (layer_of(model, other) >= 0) != (layer_of(model, weights) >= 0))
            continue;
        const size_t count = list_arrays(model, other, arrays);
        for (size_t j = 0; j < count; j++) {
            if (strcmp(arrays[j].name, array->name) == 0)
                return true;
        }
    }
    return false;
}

/* The type that a member has in all layers, or void. */
static const char *common_type(const struct kgen_emit_model *model, size_t index, const struct array *array)
{
    const struct kgen_emit_model_weights *weights = &model->weights[index];
    const char *type = array->type;
    for (size_t i = index + 1; i < model->weight_count; i++) {
        struct array arrays[KGEN_FORMAT_ARRAYS_MAX];
        if (strcmp(model->weights[i].name.data, weights->name.data) != 0)
            continue;
        const size_t count = list_arrays(model, &model->weights[i], arrays);
        for (size_t j = 0; j < count; j++) {
            if (strcmp(arrays[j].name, array->name) == 0 && strcmp(arrays[j].type, type) != 0)
                type = "void";
        }
    }
    return type;
}

void kgen_emit_model_put_members(const struct kgen_emit_model *model, bool of_layers, struct kgen_text *text)
{
    for (size_t i = 0; i < model->weight_count; i++) {
        struct array arrays[KGEN_FORMAT_ARRAYS_MAX];
        const size_t count = list_arrays(model, &model->weights[i], arrays);
        bool any = false;
        if ((layer_of(model, &model->weights[i]) >= 0) != of_layers)
            continue;
        for (size_t j = 0; j < count; j++) {
            if (is_member(model, i, &arrays[j]))
                continue;
            if (!any) {
                kgen_text_puts(text, "    /* ");
                put_names(model, &model->weights[i], text);
                kgen_text_puts(text, " */\n");
            }
            any = true;
            kgen_text_printf(text, "    const %s *%s_%s;\n", common_type(model, i, &arrays[j]),
                             model->weights[i].name.data, arrays[j].name);
        }
    }
}

/* ---- statements ---- */

/* Appends the statement that finds an array. Arrays of a matrix are called as packages call them: the name
 * of the first weights without ".weight", and that of the array. */
static void put_statement(const struct kgen_emit_model *model, const struct kgen_emit_model_weights *weights,
                          const struct array *array, struct kgen_text *text)
{
    static const char ending[] = ".weight";
    const char *name = weight_at(model, weights, 0)->name, *behind = name;
    const size_t length = strlen(name), end = sizeof ending - 1;
    const size_t kept =
        array->of_matrix && length > end && strcmp(name + length - end, ending) == 0 ? length - end : length;
    const char *number = find_number(name, layer_of(model, weights), &behind);
    kgen_text_printf(text, "    %s->%s_%s = ", layer_of(model, weights) >= 0 ? "layer" : "weights",
                     weights->name.data, array->name);
    if (number != NULL)
        kgen_text_printf(text, "in_layer(finder, \"%.*s\", number, \"%.*s", (int)(number - name), name,
                         (int)(name + kept - behind), behind);
    else
        kgen_text_printf(text, "find(finder, \"%.*s", (int)kept, name);
    kgen_text_printf(text, "%s%s\", %lld);\n", array->of_matrix ? "." : "",
                     array->of_matrix ? array->name : "", (long long)array->bytes);
}

void kgen_emit_model_put_bind(const struct kgen_emit_model *model, size_t begin, size_t end,
                              struct kgen_text *text)
{
    for (size_t i = 0; i < model->weight_count; i++) {
        const struct kgen_emit_model_weights *weights = &model->weights[i];
        struct array arrays[KGEN_FORMAT_ARRAYS_MAX];
        if (weights->node < begin || weights->node >= end)
            continue;
        const size_t count = list_arrays(model, weights, arrays);
        for (size_t j = 0; j < count; j++)
            put_statement(model, weights, &arrays[j], text);
    }
}
