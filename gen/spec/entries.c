/* SPDX-License-Identifier: MIT */
/* Collects problems into distinct entries, each with the tensors and layers that it serves. */
#include "gen/spec/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Returns the index of the entry with this problem, which it adds where there is none. Returns SIZE_MAX when
 * memory runs out. */
static size_t find_entry(struct kgen_spec_reader *reader, const struct kgen_problem *problem)
{
    struct kgen_spec *spec = reader->spec;
    for (size_t i = 0; i < spec->count; i++) {
        if (kgen_problem_equal(&spec->entries[i].problem, problem))
            return i;
    }
    struct kgen_spec_entry *entries = realloc(spec->entries, (spec->count + 1) * sizeof *entries);
    if (entries == NULL)
        return SIZE_MAX;
    spec->entries = entries;
    struct kgen_spec_uses *uses = realloc(reader->uses, (spec->count + 1) * sizeof *uses);
    if (uses == NULL)
        return SIZE_MAX;
    reader->uses = uses;
    entries[spec->count] = (struct kgen_spec_entry){.problem = *problem};
    uses[spec->count] = (struct kgen_spec_uses){0};
    return spec->count++;
}

int kgen_spec_check_problem(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                            const struct kgen_problem *problem, const char *label)
{
    struct kgen_error found = {0};
    if (kgen_problem_check(problem, NULL, 0, 0, &found) == 0)
        return 0;
    if (found.code == KGEN_ERROR_MEMORY)
        return kgen_spec_fail_memory(reader);
    if (label != NULL)
        kgen_spec_fail(reader, path, "%s (for %s)", found.message, label);
    else
        kgen_spec_fail(reader, path, "%s", found.message);
    if (found.hint[0] != '\0')
        kgen_error_hint(reader->error, "%s", found.hint);
    return -1;
}

/* Adds calls to the entry of a checked problem. Returns its index, or SIZE_MAX when memory runs out. */
static size_t add_calls(struct kgen_spec_reader *reader, const struct kgen_problem *problem,
                        const char *label, int64_t layer, int64_t calls)
{
    size_t index = find_entry(reader, problem);
    if (index == SIZE_MAX || (label != NULL && kgen_spec_use(&reader->uses[index], label, layer) != 0)) {
        kgen_spec_fail_memory(reader);
        return SIZE_MAX;
    }
    reader->spec->entries[index].calls += calls;
    return index;
}

int kgen_spec_add(struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                  const struct kgen_problem *problem, const char *label, int64_t layer, int64_t calls)
{
    if (kgen_spec_check_problem(reader, path, problem, label) != 0)
        return -1;
    return add_calls(reader, problem, label, layer, calls) != SIZE_MAX ? 0 : -1;
}

/* Whether a node writes what the step is run for. */
static bool writes_result(const struct kgen_graph *graph, const struct kgen_graph_node *node)
{
    bool result = false;
    for (size_t i = 0; i < node->tensor_count; i++)
        result = result || (node->tensors[i].access != KGEN_GRAPH_READ &&
                            graph->tensors[node->tensors[i].index].result);
    return result;
}

int kgen_spec_add_problems(struct kgen_spec_reader *reader, const struct kgen_graph_node *node,
                           const struct kgen_problem *problem, size_t entries[KGEN_GRAPH_ENTRIES_MAX],
                           size_t *entry_count)
{
    const bool precise = kgen_problem_has(problem, "activation_dtype");
    const bool of_output =
        reader->output_activation_dtype != KGEN_CONSTANT_NONE && writes_result(reader->spec->graph, node);
    const int64_t *dtypes = of_output ? &reader->output_activation_dtype : reader->activation_dtypes;
    const size_t count = precise && !of_output ? reader->activation_count : 1;
    for (size_t i = 0; i < count; i++) {
        struct kgen_problem each = *problem;
        if (precise)
            kgen_problem_set(&each, "activation_dtype", dtypes[i]);
        size_t entry = add_calls(reader, &each, node->label, node->layer, 1);
        if (entry == SIZE_MAX)
            return -1;
        entries[(*entry_count)++] = entry;
    }
    return 0;
}

int kgen_spec_add_node(struct kgen_spec_reader *reader, struct kgen_graph_node *node)
{
    return kgen_spec_add_problems(reader, node, &node->problem, node->entries, &node->entry_count);
}

int kgen_spec_graph_of_list(struct kgen_spec_reader *reader)
{
    struct kgen_spec *spec = reader->spec;
    for (size_t i = 0; i < spec->count; i++) {
        const struct kgen_spec_entry *entry = &spec->entries[i];
        struct kgen_text name = {0};
        kgen_problem_name(&entry->problem, &name);
        size_t index = name.failed ? KGEN_GRAPH_NONE
                                   : kgen_graph_add_node(spec->graph, name.data, entry->tensors,
                                                         entry->problem.op->name, -1);
        kgen_text_free(&name);
        if (index == KGEN_GRAPH_NONE)
            return kgen_spec_fail_memory(reader);
        struct kgen_graph_node *node = &spec->graph->nodes[index];
        node->problem = entry->problem;
        node->entries[node->entry_count++] = i;
    }
    return 0;
}

/* ---- labels and layers of an entry ---- */

static void write_run(struct kgen_text *text, int64_t first, int64_t last)
{
    kgen_text_printf(text, "%lld", (long long)first);
    if (last > first)
        kgen_text_printf(text, "-%lld", (long long)last);
}

static int extend_use(struct kgen_spec_use *use, int64_t layer)
{
    if (!use->in_layers || layer == use->last)
        return 0;
    use->count++;
    if (layer != use->last + 1) {
        write_run(&use->ranges, use->first, use->last);
        kgen_text_puts(&use->ranges, ",");
        use->first = layer;
    }
    use->last = layer;
    return use->ranges.failed ? -1 : 0;
}

int kgen_spec_use(struct kgen_spec_uses *uses, const char *label, int64_t layer)
{
    for (size_t i = 0; i < uses->count; i++) {
        struct kgen_spec_use *use = &uses->items[i];
        if (use->in_layers == (layer >= 0) && strcmp(use->label, label) == 0)
            return extend_use(use, layer);
    }
    struct kgen_spec_use *items = realloc(uses->items, (uses->count + 1) * sizeof *items);
    if (items == NULL)
        return -1;
    uses->items = items;
    char *copy = strdup(label);
    if (copy == NULL)
        return -1;
    items[uses->count++] = (struct kgen_spec_use){
        .label = copy, .in_layers = layer >= 0, .first = layer, .last = layer, .count = 1};
    return 0;
}

void kgen_spec_uses_write(struct kgen_spec_uses *uses, int64_t layers, struct kgen_text *text)
{
    for (size_t i = 0; i < uses->count; i++) {
        struct kgen_spec_use *use = &uses->items[i];
        kgen_text_puts(text, i == 0 ? "" : ", ");
        if (use->in_layers && use->count == layers) {
            kgen_text_puts(text, "layers.*.");
        } else if (use->in_layers) {
            kgen_text_puts(text, "layers.");
            kgen_text_append(text, use->ranges.data, use->ranges.length);
            write_run(text, use->first, use->last);
            kgen_text_puts(text, ".");
        }
        kgen_text_puts(text, use->label);
    }
}

void kgen_spec_uses_free(struct kgen_spec_uses *uses)
{
    for (size_t i = 0; i < uses->count; i++) {
        free(uses->items[i].label);
        kgen_text_free(&uses->items[i].ranges);
    }
    free(uses->items);
    *uses = (struct kgen_spec_uses){0};
}

/* ---- warnings, and the texts of the entries ---- */

int kgen_spec_warn(struct kgen_spec_reader *reader, const char *format, ...)
{
    struct kgen_spec *spec = reader->spec;
    struct kgen_text text = {0};
    va_list arguments;
    va_start(arguments, format);
    kgen_text_vprintf(&text, format, arguments);
    va_end(arguments);
    char **warnings = realloc(spec->warnings, (spec->warning_count + 1) * sizeof *warnings);
    if (warnings != NULL)
        spec->warnings = warnings;
    if (warnings == NULL || text.failed) {
        kgen_text_free(&text);
        return kgen_spec_fail_memory(reader);
    }
    kgen_spec_make_printable(text.data);
    spec->warnings[spec->warning_count++] = text.data;
    return 0;
}

int kgen_spec_entries_finish(struct kgen_spec_reader *reader)
{
    struct kgen_spec *spec = reader->spec;
    for (size_t i = 0; i < spec->count; i++) {
        struct kgen_text text = {0};
        kgen_text_puts(&text, "");
        kgen_spec_uses_write(&reader->uses[i], reader->layers, &text);
        spec->entries[i].tensors = text.data;
        if (text.failed)
            return kgen_spec_fail_memory(reader);
        kgen_spec_make_printable(text.data);
    }
    return 0;
}

void kgen_spec_entries_discard(struct kgen_spec_reader *reader)
{
    for (size_t i = 0; i < reader->spec->count && reader->uses != NULL; i++)
        kgen_spec_uses_free(&reader->uses[i]);
    free(reader->uses);
    reader->uses = NULL;
}
