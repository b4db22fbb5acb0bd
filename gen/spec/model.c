/* SPDX-License-Identifier: MIT */
/* Reads a model: its config, the graph of a decode step, and from the graph's nodes the problems. */
#include "gen/spec/reader.h"

#include <string.h>

static int gather_problems(struct kgen_spec_reader *reader)
{
    struct kgen_graph *graph = reader->spec->graph;
    for (size_t i = 0; i < graph->node_count; i++) {
        if (graph->nodes[i].status == KGEN_GRAPH_DERIVED && kgen_spec_add_node(reader, &graph->nodes[i]) != 0)
            return -1;
    }
    return 0;
}

/* ---- what is not derived ---- */

/* The block of a label, "mlp" of "mlp.experts"; a label without a block is its own. */
static void write_block(const char *label, struct kgen_text *text)
{
    const char *dot = strrchr(label, '.');
    kgen_text_append(text, label, dot != NULL ? (size_t)(dot - label) : strlen(label));
}

/* Writes "layers.0-3.mlp": where the nodes of an op stand that does not exist. */
static int write_places(const struct kgen_spec_reader *reader, const char *op, struct kgen_text *places)
{
    const struct kgen_graph *graph = reader->spec->graph;
    struct kgen_spec_uses uses = {0};
    int result = 0;
    for (size_t i = 0; i < graph->node_count && result == 0; i++) {
        const struct kgen_graph_node *node = &graph->nodes[i];
        if (node->status != KGEN_GRAPH_NO_OP || strcmp(node->op, op) != 0)
            continue;
        struct kgen_text block = {0};
        write_block(node->label, &block);
        if (block.failed || kgen_spec_use(&uses, block.data, node->layer) != 0)
            result = -1;
        kgen_text_free(&block);
    }
    if (result == 0)
        kgen_spec_uses_write(&uses, reader->layers, places);
    kgen_spec_uses_free(&uses);
    return result != 0 || places->failed ? kgen_spec_fail_memory(reader) : 0;
}

/* Writes a warning with the values of what it has in braces. */
static int fill_in(const struct kgen_spec_reader *reader, const struct kgen_spec_model *model,
                   const char *warning, const char *places, struct kgen_text *text)
{
    for (const char *at = warning; *at != '\0';) {
        const size_t plain = strcspn(at, "{");
        kgen_text_append(text, at, plain);
        at += plain;
        if (*at == '\0')
            break;
        char name[40] = "";
        const size_t length = strcspn(++at, "}");
        if (length < sizeof name)
            memcpy(name, at, length);
        at += length + (at[length] == '}');
        int64_t value = 0;
        if (strcmp(name, "layers") == 0)
            kgen_text_puts(text, places);
        else if (kgen_spec_evaluate(reader, model, -1, name, &value) != 0)
            return -1;
        else
            kgen_text_printf(text, "%lld", (long long)value);
    }
    return text->failed ? kgen_spec_fail_memory(reader) : 0;
}

static int warn_of_op(struct kgen_spec_reader *reader, const struct kgen_spec_model *model, const char *op,
                      const char *warning)
{
    struct kgen_text places = {0}, text = {0};
    int result = write_places(reader, op, &places);
    if (result == 0 && places.length > 0) {
        result = fill_in(reader, model, warning, places.data, &text);
        if (result == 0)
            result = kgen_spec_warn(reader, "%s", text.data);
    }
    kgen_text_free(&places);
    kgen_text_free(&text);
    return result;
}

static bool is_told(const char *op)
{
    for (const struct kgen_absent_op *row = kgen_absent_ops; row->op != NULL; row++) {
        if (strcmp(row->op, op) == 0)
            return true;
    }
    return false;
}

/* One warning for each op that recipes name and that does not exist: those of the table, then any other. */
static int warn_of_ops(struct kgen_spec_reader *reader, const struct kgen_spec_model *model)
{
    const struct kgen_graph *graph = reader->spec->graph;
    for (const struct kgen_absent_op *row = kgen_absent_ops; row->op != NULL; row++) {
        if (warn_of_op(reader, model, row->op, row->warning) != 0)
            return -1;
    }
    for (size_t i = 0; i < graph->node_count; i++) {
        const struct kgen_graph_node *node = &graph->nodes[i];
        if (node->status == KGEN_GRAPH_NO_OP && !is_told(node->op) &&
            kgen_spec_warn(reader, "%s is not derived: there is no op \"%s\" yet.", node->name, node->op) !=
                0)
            return -1;
    }
    return 0;
}

static int warn_of_formats(struct kgen_spec_reader *reader)
{
    const struct kgen_graph *graph = reader->spec->graph;
    struct kgen_spec_uses uses = {0};
    struct kgen_text text = {0};
    int result = 0;
    for (size_t i = 0; i < graph->node_count && result == 0; i++) {
        const struct kgen_graph_node *node = &graph->nodes[i];
        if (node->status == KGEN_GRAPH_NOT_QUANTISED && kgen_spec_use(&uses, node->label, node->layer) != 0)
            result = kgen_spec_fail_memory(reader);
    }
    if (result == 0)
        kgen_spec_uses_write(&uses, reader->layers, &text);
    if (result == 0 && text.failed)
        result = kgen_spec_fail_memory(reader);
    if (result == 0 && text.length > 0)
        result = kgen_spec_warn(reader, "not quantised, which no op serves yet: %s.", text.data);
    kgen_spec_uses_free(&uses);
    kgen_text_free(&text);
    return result;
}

/* ---- the model ---- */

static int summarise(struct kgen_spec_reader *reader, const struct kgen_spec_model *model,
                     const struct kgen_spec_formats *formats)
{
    struct kgen_text summary = {0};
    int64_t hidden_size = 0;
    if (kgen_spec_evaluate(reader, model, -1, "hidden_size", &hidden_size) != 0)
        return -1;
    kgen_text_printf(&summary, "%s, %lld layers, hidden %lld", model->family->architecture,
                     (long long)reader->layers, (long long)hidden_size);
    if (formats->base.bits != 0)
        kgen_text_printf(&summary, ", %lld bit%s, group %lld", (long long)formats->base.bits,
                         formats->base.bits == 1 ? "" : "s", (long long)formats->base.group_size);
    if (formats->mixed)
        kgen_text_puts(&summary, ", mixed");
    reader->spec->summary = summary.data;
    return summary.failed ? kgen_spec_fail_memory(reader) : 0;
}

/* The dtype of the scales follows that of the checkpoint, as in MLX. */
static int choose_scales(struct kgen_spec_reader *reader, json_t *config)
{
    static const struct {
        const char *name;
        int64_t word;
    } types[] = {{"bfloat16", KGEN_BF16}, {"float16", KGEN_F16}, {"float32", KGEN_F32}};
    if (reader->scale_dtype != KGEN_CONSTANT_NONE)
        return 0;
    const char *type = "float16";
    int found = kgen_spec_string(reader, NULL, config, "torch_dtype", &type);
    if (found == 0)
        found = kgen_spec_string(reader, NULL, config, "dtype", &type);
    if (found < 0)
        return -1;
    reader->scale_dtype_follows = true;
    reader->scale_dtype = KGEN_F16;
    for (size_t i = 0; i < KGEN_COUNT_OF(types); i++) {
        if (strcmp(types[i].name, type) == 0)
            reader->scale_dtype = types[i].word;
    }
    return 0;
}

static bool is_known_type(const char *type)
{
    for (size_t i = 0; type != NULL && kgen_families[i] != NULL; i++) {
        if (strcmp(kgen_families[i]->model_type, type) == 0)
            return true;
    }
    return false;
}

/* Of a model of several parts, such as text and images, the text's. It inherits the keys that only the whole
 * has. The config of a text that no family knows is left as it is. Returns a new reference, or NULL. */
static json_t *find_text_config(struct kgen_spec_reader *reader, json_t *root)
{
    json_t *text = NULL;
    const int found = kgen_spec_object(reader, NULL, root, KGEN_SPEC_TEXT_CONFIG, &text);
    if (found < 0)
        return NULL;
    if (found == 0 || !is_known_type(json_string_value(json_object_get(text, "model_type"))))
        return json_incref(root);
    json_t *whole = json_copy(root), *own = json_copy(text);
    bool failed = whole == NULL || own == NULL;
    if (!failed) {
        json_object_del(whole, "architectures");
        json_object_del(whole, "model_type");
        json_object_del(whole, KGEN_SPEC_TEXT_CONFIG);
        failed = json_object_update_missing(own, whole) != 0;
    }
    json_decref(whole);
    if (failed) {
        json_decref(own);
        kgen_spec_fail_memory(reader);
        return NULL;
    }
    reader->has_text_config = true;
    return own;
}

static int read_config(struct kgen_spec_reader *reader, json_t *root)
{
    struct kgen_spec_model model;
    struct kgen_spec_formats formats = {0};
    int result = -1;
    if (kgen_spec_config_read(reader, root, &model) == 0 && choose_scales(reader, root) == 0 &&
        kgen_spec_formats_read(reader, root, &formats) == 0 &&
        kgen_spec_derive(reader, &model, &formats) == 0) {
        reader->layers = reader->spec->graph->layers;
        result = gather_problems(reader) != 0 || kgen_spec_add_batches(reader, root) != 0 ||
                         kgen_spec_formats_finish(reader, &formats, model.family) != 0 ||
                         warn_of_formats(reader) != 0 || warn_of_ops(reader, &model) != 0 ||
                         summarise(reader, &model, &formats) != 0
                     ? -1
                     : 0;
    }
    kgen_spec_formats_free(&formats);
    return result;
}

int kgen_spec_read_model(struct kgen_spec_reader *reader, json_t *root)
{
    json_t *config = find_text_config(reader, root);
    const int result = config != NULL ? read_config(reader, config) : -1;
    json_decref(config);
    return result;
}
