/* SPDX-License-Identifier: MIT */
/* <name>_model.h and <name>_model.c: the step of a model, which calls the kernels in the order of its graph.
 */
#include "gen/emit/model.h"
#include "gen/ops/buffers.h"
#include "gen/ops/signature.h"

#include <string.h>

int kgen_emit_check_model(const struct kgen_spec *spec, struct kgen_error *error)
{
    const struct kgen_graph *graph = spec->graph;
    if (graph->layers == 0) {
        kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "a list of problems has no step to write");
        kgen_error_hint(error, "leave --emit model out, or give the config.json of a model");
        return -1;
    }
    for (size_t i = 0; i < graph->node_count; i++) {
        const struct kgen_graph_node *node = &graph->nodes[i];
        if (node->status != KGEN_GRAPH_DERIVED || node->entry_count == 0) {
            kgen_error_set(error, KGEN_ERROR_SPEC, NULL, 0, 0,
                           "the step of the model cannot be written: %s (%s): %s", node->name, node->op,
                           kgen_graph_status_name(node->status));
            kgen_error_hint(error, "leave --emit model out");
            return -1;
        }
    }
    return 0;
}

/* ---- the statements of nodes ---- */

static void put_state_end(const struct kgen_emit_model *model, size_t begin, size_t end,
                          struct kgen_text *text)
{
    const int64_t bytes = kgen_emit_model_state_bytes(model, begin, end);
    if (begin < end && model->graph->nodes[begin].layer >= 0)
        kgen_text_puts(text, "    step->layer++;\n");
    if (bytes > 0)
        kgen_text_printf(text, "    step->state += %lld;\n", (long long)bytes);
}

static void put_step_nodes(struct kgen_emit_model *model, size_t begin, size_t end, struct kgen_text *text)
{
    for (size_t i = begin; i < end; i++)
        kgen_emit_model_put_step(model, i, text);
    put_state_end(model, begin, end, text);
}

static void put_prompt_nodes(struct kgen_emit_model *model, size_t begin, size_t end, struct kgen_text *text)
{
    for (size_t i = begin; i < end;)
        i = kgen_emit_model_put_prompt(model, i, end, text);
    put_state_end(model, begin, end, text);
}

static void put_bind_nodes(struct kgen_emit_model *model, size_t begin, size_t end, struct kgen_text *text)
{
    kgen_emit_model_put_bind(model, begin, end, text);
}

/* ---- functions and members ---- */

/* Appends the functions that run parts from one on. */
static void put_functions(const struct kgen_emit_model *model, size_t first, struct kgen_text *text)
{
    for (size_t i = first; i < model->function_count; i++) {
        kgen_text_puts(text, "\n");
        for (const char *at = model->functions[i].text.data; *at != '\0'; at++)
            kgen_text_append(text, *at == KGEN_EMIT_MODEL_NAME[0] ? model->functions[i].name.data : at,
                             *at == KGEN_EMIT_MODEL_NAME[0] ? model->functions[i].name.length : 1);
    }
}

static void put_fields(const struct kgen_emit_model *model, struct kgen_text *text)
{
    static const char *const types[] = {"float", "int32_t"};
    for (size_t type = 0; type < KGEN_COUNT_OF(types); type++) {
        const char *separator = types[type];
        for (size_t i = 0; i < model->slot_count; i++) {
            const struct kgen_emit_model_slot *slot = &model->slots[i];
            if (slot->result || strcmp(slot->type, types[type]) != 0)
                continue;
            kgen_text_printf(text, "%s%s *%s", separator == types[type] ? "    " : "", separator,
                             slot->name.data);
            separator = ",";
        }
        kgen_text_puts(text, separator == types[type] ? "" : ";\n");
    }
    for (size_t i = 0; i < model->table_count; i++)
        kgen_text_printf(text, "%s *%s", i == 0 ? "    unsigned char" : ",", model->tables[i].name.data);
    for (size_t i = 0; i < model->table_count; i++)
        kgen_text_printf(text, "%s %s_stride", i == 0 ? ";\n    size_t" : ",", model->tables[i].name.data);
    kgen_text_puts(text, model->table_count > 0 ? ";\n" : "");
    if (model->gathered > 0)
        kgen_text_puts(text, "    float *gathered; /* rows of views, one after the other */\n"
                             "    struct copy copy;\n");
    if (model->row_bytes > 0)
        kgen_text_puts(text, "    unsigned char *row_of; /* a matrix, which the token selects */\n");
    kgen_text_puts(text, "    unsigned char *workspace, *scratch; /* of the node at hand; of each part */\n"
                         "    size_t workspace_stride, scratch_stride;\n");
}

/* Appends a statement that lets a size be that of an entry's kernel at least. */
static void put_size(const struct kgen_emit_model *model, size_t entry, const char *size, const char *suffix,
                     const char *indent, struct kgen_text *text)
{
    kgen_text_printf(text, "%s%s = larger(%s, ", indent, size, size);
    kgen_emit_function_name(&model->emission->input, entry, text);
    kgen_text_printf(text, "%s_size());\n", suffix);
}

/* Appends the sizes of the entries that a step uses, or of those that only prompts use. */
static void put_sizes(const struct kgen_emit_model *model, bool of_prompt, const char *indent,
                      struct kgen_text *text)
{
    for (size_t i = 0; i < model->emission->input.spec->count; i++) {
        const struct kgen_op *op = model->emission->input.spec->entries[i].problem.op;
        const unsigned used = model->used[i];
        const bool in_step = (used & KGEN_EMIT_MODEL_STEP) != 0;
        const bool in_prompt = (used & KGEN_EMIT_MODEL_PROMPT) != 0 && !in_step;
        const bool is_table = kgen_emit_model_table(model, i) != NULL;
        if (kgen_op_has_role(op, KGEN_WORKSPACE) && !is_table && (of_prompt ? in_prompt : in_step))
            put_size(model, i, "workspace", "_workspace", indent, text);
        if (kgen_op_has_role(op, KGEN_WORKSPACE) && !is_table && of_prompt &&
            (used & KGEN_EMIT_MODEL_ROWS) != 0)
            put_size(model, i, "row_workspace", "_workspace", indent, text);
        if (kgen_op_has_role(op, KGEN_SCRATCH) && (of_prompt ? in_prompt : in_step))
            put_size(model, i, "scratch", "_scratch", indent, text);
    }
}

static void put_places(const struct kgen_emit_model *model, struct kgen_text *text)
{
    struct kgen_text prompt = {0};
    for (size_t i = 0; i < model->slot_count; i++) {
        if (!model->slots[i].result)
            kgen_text_printf(text, "    step->%s = take(&area, rows * %lld);\n", model->slots[i].name.data,
                             (long long)model->slots[i].elements * 4);
    }
    for (size_t i = 0; i < model->table_count; i++) {
        const char *name = model->tables[i].name.data;
        kgen_text_printf(text, "    step->%s_stride = aligned(", name);
        kgen_emit_function_name(&model->emission->input, model->tables[i].entry, text);
        kgen_text_printf(text, "_workspace_size());\n    step->%s = take(&area, rows * step->%s_stride);\n",
                         name, name);
    }
    if (model->row_bytes > 0)
        kgen_text_printf(text, "    step->row_of = take(&area, %lld);\n", (long long)model->row_bytes);
    put_sizes(model, false, "    ", text);
    if (model->gathered > 0)
        kgen_text_printf(&prompt, "        step->gathered = take(&area, rows * %lld);\n",
                         (long long)model->gathered * 4);
    put_sizes(model, true, "        ", &prompt);
    if (prompt.length > 0)
        kgen_text_printf(text, "    if (rows > 1) {\n%s    }\n", prompt.data);
    text->failed = text->failed || prompt.failed;
    kgen_text_free(&prompt);
}

/* The function that prepares what depends on positions alone. */
static void put_tables(struct kgen_emit_model *model, struct kgen_text *text)
{
    if (model->table_count == 0)
        return;
    kgen_text_puts(text, "\n/* What depends on the positions alone, which several nodes use. */\n"
                         "static void prepare_positions(struct step *step)\n{\n"
                         "    for (size_t row = 0; row < step->rows; row++) {\n");
    for (size_t i = 0; i < model->table_count; i++) {
        struct kgen_emit_model_call call = {
            .model = model, .entry = model->tables[i].entry, .rows = KGEN_EMIT_MODEL_EACH};
        while (kgen_emit_model_entry(model, call.node) != call.entry)
            call.node++;
        kgen_emit_model_put_call(&call, KGEN_PREPARE, "        ", NULL, NULL, text);
    }
    kgen_text_puts(text, "    }\n}\n");
}

/* ---- numbers ---- */

static int64_t context_of(const struct kgen_graph *graph)
{
    int64_t context = KGEN_SIZE_MAX - 1;
    for (size_t i = 0; i < graph->state_count; i++) {
        const struct kgen_problem *problem = &graph->nodes[graph->states[i].node].problem;
        const int64_t room =
            kgen_problem_has(problem, "context") ? kgen_problem_get(problem, "context") : context;
        context = room < context ? room : context;
    }
    return context;
}

static int64_t vocabulary_of(const struct kgen_graph *graph)
{
    int64_t elements = 0;
    for (size_t i = 0; i < graph->tensor_count; i++) {
        if (graph->tensors[i].result)
            elements = graph->tensors[i].bytes / (int64_t)sizeof(float);
    }
    return elements;
}

/* The last position of a first row for which all kernels for many rows have room. */
static int64_t last_position(const struct kgen_emit_model *model)
{
    int64_t last = context_of(model->graph) - 1;
    for (size_t i = 0; i < model->graph->node_count; i++) {
        const size_t batch = kgen_emit_model_batch(model, i);
        if (batch == SIZE_MAX)
            continue;
        const struct kgen_problem *problem = &model->emission->input.spec->entries[batch].problem;
        const int position = kgen_scalar_find(problem->op, "position");
        const int64_t room =
            position >= 0 ? kgen_scalar_maximum(problem, &problem->op->scalars[position]) : last;
        last = room < last ? room : last;
    }
    return last;
}

static void put_includes(const struct kgen_emit_model *model, struct kgen_text *text)
{
    const struct kgen_emit_input *input = &model->emission->input;
    for (size_t i = 0; i < kgen_op_count(); i++) {
        if (!kgen_emit_has_op(input, kgen_op_at(i)))
            continue;
        kgen_text_puts(text, "#include \"");
        kgen_emit_file_name(input->prefix, kgen_op_at(i)->name, ".h\"\n", text);
    }
}

/* ---- the files ---- */

enum text {
    INCLUDES,
    FIELDS,
    LAYER_MEMBERS,
    MEMBERS,
    BIND_FUNCTIONS,
    BIND,
    PLACES,
    TABLES,
    STEP_PARTS,
    STEP_FUNCTIONS,
    STEP,
    PROMPT_PARTS,
    PROMPT_FUNCTIONS,
    PROMPT,
    TEXT_COUNT
};
static const char *const text_names[] = {
    "includes", "fields",       "layer_members",    "members",    "bind_functions",
    "bind",     "places",       "tables",           "step_parts", "step_functions",
    "step",     "prompt_parts", "prompt_functions", "prompt"};

/* Writes all texts. Those of prompts come after those of steps, and what all of them need comes last. */
static int write_texts(struct kgen_emit_model *model, struct kgen_text texts[TEXT_COUNT])
{
    const struct kgen_emit_model_pass step = {"", "struct step *step", "step", "step", put_step_nodes};
    const struct kgen_emit_model_pass prompt = {"prompt_", "struct step *step", "step", "step",
                                                put_prompt_nodes};
    struct kgen_text parameters = {0};
    kgen_text_printf(&parameters, "struct finder *finder, struct %s_layer *layer, size_t number",
                     kgen_emit_identifier(&model->emission->input));
    const struct kgen_emit_model_pass bind = {"bind_", parameters.data, "finder, &weights->layers[#], #",
                                              "finder, layer, number", put_bind_nodes};
    int result = parameters.failed ? -1 : 0;
    if (result == 0)
        result = kgen_emit_model_put_layers(model, &bind, &texts[BIND_FUNCTIONS], &texts[BIND]);
    put_tables(model, &texts[TABLES]);
    if (result == 0)
        result = kgen_emit_model_put_layers(model, &step, &texts[STEP_FUNCTIONS], &texts[STEP]);
    put_functions(model, 0, &texts[STEP_PARTS]);
    const size_t of_step = model->function_count;
    if (result == 0 && model->graph->prompt_rows > 1)
        result = kgen_emit_model_put_layers(model, &prompt, &texts[PROMPT_FUNCTIONS], &texts[PROMPT]);
    put_functions(model, of_step, &texts[PROMPT_PARTS]);
    put_includes(model, &texts[INCLUDES]);
    put_fields(model, &texts[FIELDS]);
    put_places(model, &texts[PLACES]);
    kgen_emit_model_put_members(model, true, &texts[LAYER_MEMBERS]);
    kgen_emit_model_put_members(model, false, &texts[MEMBERS]);
    kgen_text_free(&parameters);
    for (size_t i = 0; i < TEXT_COUNT; i++) {
        kgen_text_puts(&texts[i], "");
        result = texts[i].failed ? -1 : result;
    }
    return result == 0 ? 0 : kgen_emit_fail_memory(model->error); /* the first error wins */
}

static void bind_values(const struct kgen_emit_model *model, const struct kgen_text texts[TEXT_COUNT],
                        struct kgen_bindings *bindings)
{
    const struct kgen_graph *graph = model->graph;
    kgen_bind_text(bindings, "name", kgen_emit_identifier(&model->emission->input));
    kgen_bind_text(bindings, "summary", model->emission->input.spec->summary);
    kgen_bind_value(bindings, "vocabulary", vocabulary_of(graph));
    kgen_bind_value(bindings, "context", context_of(graph));
    kgen_bind_value(bindings, "layers", graph->layers);
    kgen_bind_value(bindings, "prompt_rows", graph->prompt_rows > 1 ? graph->prompt_rows : 1);
    kgen_bind_value(bindings, "last_position", last_position(model));
    kgen_bind_value(bindings, "weight_bytes", kgen_emit_model_weight_bytes(model));
    kgen_bind_value(bindings, "state_bytes", model->state_bytes);
    kgen_bind_value(bindings, "selects_rows", strstr(texts[STEP].data, "row_of_array(") != NULL);
    kgen_bind_value(bindings, "has_scratch",
                    strstr(texts[STEP_PARTS].data, "scratch_of(") != NULL ||
                        strstr(texts[PROMPT_PARTS].data, "scratch_of(") != NULL);
    kgen_bind_value(bindings, "selects_tiles", model->row_bytes > 0);
    kgen_bind_value(bindings, "gathers", model->gathered > 0);
    kgen_bind_value(bindings, "has_tables", model->table_count > 0);
}

int kgen_emit_add_made(const struct kgen_emission *emission, const char *tmpl_name, const char *file_name,
                       const char *ending, const struct kgen_bindings *bindings, struct kgen_error *error)
{
    const struct kgen_template *tmpl = kgen_templates_find(emission->input.templates, tmpl_name);
    if (tmpl == NULL)
        return kgen_error_set(error, KGEN_ERROR_TEMPLATE, NULL, 0, 0, "there is no template %s.c.in",
                              tmpl_name);
    struct kgen_text text = {0};
    int result = kgen_template_instantiate(tmpl, bindings, &text, error);
    struct kgen_text *file =
        result == 0 ? kgen_emit_add(emission->files, NULL, file_name, ending, error) : NULL;
    if (file == NULL) {
        result = -1;
    } else {
        kgen_emit_preamble(&emission->input, file);
        kgen_emit_lay_out(text.data, text.length, file);
        file->failed = file->failed || text.failed;
    }
    kgen_text_free(&text);
    return result;
}

int kgen_emit_model(const struct kgen_emission *emission, struct kgen_error *error)
{
    struct kgen_error local = {0};
    struct kgen_emit_model model = {
        .emission = emission, .graph = emission->input.spec->graph, .error = error != NULL ? error : &local};
    struct kgen_text texts[TEXT_COUNT] = {{0}}, name = {0};
    struct kgen_bindings bindings = {0};
    if (!emission->input.model)
        return 0;
    kgen_text_printf(&name, "%s_model", kgen_emit_identifier(&emission->input));
    int result =
        name.failed ? kgen_emit_fail_memory(error) : kgen_emit_check_model(emission->input.spec, error);
    if (result == 0)
        result = kgen_emit_model_plan(&model);
    if (result == 0)
        result = write_texts(&model, texts);
    if (result == 0) {
        bind_values(&model, texts, &bindings);
        for (size_t i = 0; i < TEXT_COUNT; i++)
            kgen_bind_text(&bindings, text_names[i], texts[i].data);
        result = kgen_emit_add_made(emission, "model_header", name.data, ".h", &bindings, error);
    }
    if (result == 0)
        result = kgen_emit_add_made(emission, "model_source", name.data, ".c", &bindings, error);
    for (size_t i = 0; i < TEXT_COUNT; i++)
        kgen_text_free(&texts[i]);
    kgen_bindings_free(&bindings);
    kgen_text_free(&name);
    kgen_emit_model_free(&model);
    return result;
}
