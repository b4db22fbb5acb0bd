/* SPDX-License-Identifier: MIT */
/* Derives the products of a step's matrices: those of one format become one node, whose output is then split.
 */
#include "gen/ops/format.h"
#include "gen/spec/reader.h"

#include <string.h>

/* A matrix of a step, and the format it has in this layer. */
struct part {
    const struct kgen_step_matrix *matrix;
    int64_t shape[KGEN_GRAPH_RANK_MAX]; /* of its output */
    size_t rank;
    int64_t rows;
    struct kgen_spec_format format;
    bool done;
};

/* The parts that one node computes. */
struct group {
    const struct part *parts[KGEN_STEP_MATRICES_MAX];
    size_t count;
    int64_t rows, columns;
    int64_t experts; /* 0: the parts are single matrices */
    struct kgen_text name, label;
};

static bool formats_equal(const struct kgen_spec_format *a, const struct kgen_spec_format *b)
{
    return a->quantised == b->quantised && a->bits == b->bits && a->group_size == b->group_size &&
           a->scheme == b->scheme && a->scale_dtype == b->scale_dtype;
}

static int read_part(struct kgen_derivation *derivation, const struct kgen_step_matrix *matrix,
                     struct part *part)
{
    *part = (struct part){.matrix = matrix, .rows = 1};
    if (kgen_derive_shape(derivation, matrix->shape, part->shape, &part->rank) != 0)
        return -1;
    for (size_t i = 0; i < part->rank; i++)
        part->rows *= part->shape[i];
    struct kgen_text name = {0};
    kgen_derive_expand(derivation, matrix->name, &name);
    int result = name.failed ? kgen_spec_fail_memory(derivation->reader)
                             : kgen_spec_formats_find(derivation->reader, derivation->formats, name.data,
                                                      &part->format);
    kgen_text_free(&name);
    return result;
}

/* ---- names ---- */

/* The name of a matrix without what all of the layer, or of the model, have in common. */
static const char *short_name(const struct kgen_step_matrix *matrix)
{
    static const char *const prefixes[] = {"model.layers.%.", "model."};
    for (size_t i = 0; i < KGEN_COUNT_OF(prefixes); i++) {
        if (strncmp(matrix->name, prefixes[i], strlen(prefixes[i])) == 0)
            return matrix->name + strlen(prefixes[i]);
    }
    return matrix->name;
}

/* Where the last part of a name begins, and where the ending does that all names of the group have: "_proj".
 */
static const char *leaf_of(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot != NULL ? dot + 1 : name;
}

static const char *ending_of(const struct group *group)
{
    const char *ending = strrchr(leaf_of(group->parts[0]->matrix->name), '_');
    for (size_t i = 1; i < group->count && ending != NULL; i++) {
        const char *other = strrchr(leaf_of(group->parts[i]->matrix->name), '_');
        if (other == NULL || strcmp(other, ending) != 0)
            ending = NULL;
    }
    return ending != NULL ? ending : "";
}

/* Whether all parts are row ranges of one tensor. */
static bool is_one_tensor(const struct group *group)
{
    for (size_t i = 1; i < group->count; i++) {
        if (strcmp(group->parts[i]->matrix->name, group->parts[0]->matrix->name) != 0)
            return false;
    }
    return true;
}

/* Writes "mlp.down_proj" as both; of several "mlp.gate_up_proj" as the name and "mlp.{gate,up}_proj" as the
 * label. */
static void write_names(struct group *group)
{
    const char *first = short_name(group->parts[0]->matrix);
    if (group->count == 1 || is_one_tensor(group)) {
        kgen_text_puts(&group->name, first);
        kgen_text_puts(&group->label, first);
        return;
    }
    const char *ending = ending_of(group);
    size_t longest = 0;
    kgen_text_append(&group->name, first, (size_t)(leaf_of(first) - first));
    kgen_text_append(&group->label, first, (size_t)(leaf_of(first) - first));
    for (size_t i = 0; i < group->count; i++) {
        size_t length = strlen(leaf_of(group->parts[i]->matrix->name)) - strlen(ending);
        longest = length > longest ? length : longest;
    }
    for (size_t i = 0; i < group->count; i++) {
        const char *leaf = leaf_of(group->parts[i]->matrix->name);
        int length = (int)(strlen(leaf) - strlen(ending));
        kgen_text_printf(&group->name, "%s%.*s", i > 0 && longest > 1 ? "_" : "", length, leaf);
        kgen_text_printf(&group->label, "%s%.*s", i > 0 ? "," : "{", length, leaf);
    }
    kgen_text_puts(&group->name, ending);
    kgen_text_printf(&group->label, "}%s", ending);
}

/* ---- nodes ---- */

static int set_format(struct kgen_derivation *derivation, size_t node, const struct kgen_spec_format *format)
{
    const struct kgen_spec_reader *reader = derivation->reader;
    struct kgen_problem *problem = &derivation->graph->nodes[node].problem;
    kgen_problem_set(problem, "bits", format->bits);
    kgen_problem_set(problem, "group_size", format->group_size);
    kgen_problem_set(problem, "scheme", format->scheme);
    kgen_problem_set(problem, "scale_dtype", kgen_spec_formats_scale_dtype(reader, format));
    /* What a model says of all its matrices holds for those whose format can have it. */
    const struct kgen_format *row = kgen_format_find(format->scheme);
    kgen_problem_set(problem, "layout", row != NULL && row->tiles ? reader->layout : KGEN_STORED);
    return 0;
}

/* Makes the output of a group. With split each of several parts gets a view of it. */
static int add_outputs(struct kgen_derivation *derivation, size_t node, const struct group *group, bool split)
{
    struct kgen_graph *graph = derivation->graph;
    const struct part *first = group->parts[0];
    size_t output;
    if (group->count == 1)
        return kgen_derive_output(derivation, node, "y", first->shape, first->rank, &output) != 0
                   ? -1
                   : kgen_derive_symbol(derivation, first->matrix->symbol, output);
    if (kgen_derive_output(derivation, node, "y", &group->rows, 1, &output) != 0)
        return -1;
    int64_t offset = 0;
    for (size_t i = 0; i < group->count && split; i++) {
        const struct part *part = group->parts[i];
        struct kgen_text name = {0};
        kgen_text_printf(&name, "%s.%s", graph->nodes[node].name, part->matrix->symbol);
        size_t view = name.failed
                          ? KGEN_GRAPH_NONE
                          : kgen_graph_add_view(graph, name.data, output, offset, part->shape, part->rank);
        kgen_text_free(&name);
        if (view == KGEN_GRAPH_NONE)
            return kgen_spec_fail_memory(derivation->reader);
        if (kgen_derive_symbol(derivation, part->matrix->symbol, view) != 0)
            return -1;
        offset += part->rows;
    }
    return 0;
}

static int add_matrices(struct kgen_derivation *derivation, size_t node, const struct group *group)
{
    const bool whole = is_one_tensor(group);
    for (size_t i = 0; i < (whole ? 1 : group->count); i++) {
        const struct part *part = group->parts[i];
        struct kgen_text name = {0};
        const int64_t shape[] = {group->experts, whole ? group->rows : part->rows, group->columns};
        const size_t single = group->experts == 0;
        kgen_text_printf(&name, "%s.weight", part->matrix->name);
        int result =
            name.failed ? kgen_spec_fail_memory(derivation->reader)
                        : kgen_derive_weight(derivation, node, "weights", name.data, shape + single,
                                             KGEN_COUNT_OF(shape) - single,
                                             part->format.quantised ? KGEN_GRAPH_QUANTISED : KGEN_GRAPH_PLAIN,
                                             &part->format);
        kgen_text_free(&name);
        if (result != 0)
            return -1;
    }
    return 0;
}

static int add_product(struct kgen_derivation *derivation, const struct kgen_step *step,
                       const struct group *group, size_t *node)
{
    const struct kgen_spec_format *format = &group->parts[0]->format;
    const struct kgen_quantity *blamed = kgen_spec_quantity(derivation->model, step->columns);
    struct kgen_json_path path = {NULL, blamed != NULL ? blamed->key : NULL, 0};
    int64_t rows = group->rows;
    bool derived;
    if (kgen_derive_node(derivation, step->name != NULL ? step->name : group->name.data,
                         step->label != NULL ? step->label : group->label.data, step->op, node,
                         &derived) != 0 ||
        (step->rows != NULL && kgen_derive_value(derivation, step->rows, &rows) != 0))
        return -1;
    struct kgen_graph_node *added = &derivation->graph->nodes[*node];
    if (derived && !format->quantised)
        added->status = KGEN_GRAPH_NOT_QUANTISED;
    if (kgen_derive_field(derivation, *node, "N", rows) != 0 ||
        kgen_derive_field(derivation, *node, "K", group->columns) != 0 ||
        (group->experts > 0 && kgen_derive_field(derivation, *node, "experts", group->experts) != 0) ||
        kgen_derive_fields(derivation, step, *node) != 0)
        return -1;
    if (added->status == KGEN_GRAPH_DERIVED &&
        (set_format(derivation, *node, format) != 0 ||
         kgen_spec_check_problem(derivation->reader, blamed != NULL ? &path : NULL, &added->problem,
                                 added->label) != 0))
        return -1;
    return kgen_derive_inputs(derivation, step, *node) != 0 ? -1 : add_matrices(derivation, *node, group);
}

/* Adds the biases of a group to the output of its node, which the symbols then mean. */
static int add_bias(struct kgen_derivation *derivation, size_t product, const struct group *group)
{
    struct kgen_graph *graph = derivation->graph;
    struct kgen_text name = {0}, label = {0};
    kgen_text_printf(&name, "%s.bias", group->name.data);
    kgen_text_printf(&label, "%s.bias", group->label.data);
    size_t node, output = graph->nodes[product].tensors[graph->nodes[product].tensor_count - 1].index;
    bool derived;
    int result = name.failed || label.failed
                     ? kgen_spec_fail_memory(derivation->reader)
                     : kgen_derive_node(derivation, name.data, label.data, "add", &node, &derived);
    kgen_text_free(&name);
    kgen_text_free(&label);
    if (result != 0 || kgen_derive_field(derivation, node, "size", group->rows) != 0 ||
        kgen_spec_check_problem(derivation->reader, NULL, &graph->nodes[node].problem,
                                graph->nodes[node].label) != 0 ||
        kgen_derive_bind(derivation, node, "a", output, KGEN_GRAPH_READ) != 0)
        return -1;
    const bool whole = is_one_tensor(group);
    for (size_t i = 0; i < (whole ? 1 : group->count); i++) {
        const struct part *part = group->parts[i];
        struct kgen_text weight = {0};
        kgen_text_printf(&weight, "%s.bias", part->matrix->name);
        result = weight.failed
                     ? kgen_spec_fail_memory(derivation->reader)
                     : kgen_derive_weight(derivation, node, "b", weight.data,
                                          whole ? &group->rows : &part->rows, 1, KGEN_GRAPH_PLAIN, NULL);
        kgen_text_free(&weight);
        if (result != 0)
            return -1;
    }
    return add_outputs(derivation, node, group, true);
}

/* Whether the step itself says what is written, as that of the embedding does. */
static bool names_output(const struct kgen_step *step)
{
    for (size_t i = 0; i < KGEN_GRAPH_OPERANDS_MAX && step->tensors[i].buffer != NULL; i++) {
        if (step->tensors[i].access == KGEN_GRAPH_WRITE)
            return true;
    }
    return false;
}

static int add_group(struct kgen_derivation *derivation, const struct kgen_step *step, struct group *group)
{
    size_t node;
    int64_t bias = 0;
    write_names(group);
    if (group->name.failed || group->label.failed)
        return kgen_spec_fail_memory(derivation->reader);
    if (kgen_derive_value(derivation, step->columns, &group->columns) != 0 ||
        (step->bias != NULL && kgen_derive_value(derivation, step->bias, &bias) != 0) ||
        (step->experts != NULL && kgen_derive_value(derivation, step->experts, &group->experts) != 0) ||
        add_product(derivation, step, group, &node) != 0 ||
        (names_output(step) ? kgen_derive_outputs(derivation, step, node)
                            : add_outputs(derivation, node, group, bias == 0)) != 0)
        return -1;
    return bias != 0 ? add_bias(derivation, node, group) : 0;
}

int kgen_derive_product(struct kgen_derivation *derivation, const struct kgen_step *step)
{
    struct part parts[KGEN_STEP_MATRICES_MAX];
    size_t count = 0;
    if (step->ignored != NULL)
        kgen_spec_formats_ignore(derivation->formats, step->ignored);
    for (; count < KGEN_STEP_MATRICES_MAX && step->matrices[count].name != NULL; count++) {
        if (read_part(derivation, &step->matrices[count], &parts[count]) != 0)
            return -1;
    }
    for (size_t i = 0; i < count; i++) {
        struct group group = {.count = 0};
        for (size_t j = i; j < count && !parts[i].done; j++) {
            if (parts[j].done || !formats_equal(&parts[i].format, &parts[j].format) ||
                (j > i && derivation->reader->separate))
                continue;
            group.parts[group.count++] = &parts[j];
            group.rows += parts[j].rows;
        }
        for (size_t j = 0; j < group.count; j++)
            parts[group.parts[j] - parts].done = true;
        int result = group.count > 0 ? add_group(derivation, step, &group) : 0;
        kgen_text_free(&group.name);
        kgen_text_free(&group.label);
        if (result != 0)
            return -1;
    }
    return 0;
}
