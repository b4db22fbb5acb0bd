/* SPDX-License-Identifier: MIT */
/* The statements of a node: its call in a step, and for the rows of a prompt; and the functions that run a
 * part of it. */
#include "gen/emit/model.h"
#include "gen/ops/op.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_SIZE = 48 };

static const struct kgen_problem *problem_at(const struct kgen_emit_model *model, size_t entry)
{
    return &model->emission->input.spec->entries[entry].problem;
}

/* ---- functions that run a part ---- */

static bool is_named(const struct kgen_emit_model *model, const char *name)
{
    for (size_t i = 0; i < model->function_count; i++) {
        if (strcmp(model->functions[i].name.data, name) == 0)
            return true;
    }
    return false;
}

/* The function that has this text, which is added where there is none. NULL when memory runs out. Takes the
 * text over. */
static const char *find_function(struct kgen_emit_model *model, const char *kind, size_t node,
                                 struct kgen_text *text)
{
    if (model->function_count == model->function_capacity) {
        const size_t capacity = model->function_capacity * 2 + 64;
        struct kgen_emit_model_function *grown = realloc(model->functions, capacity * sizeof *grown);
        if (grown == NULL)
            text->failed = true;
        model->functions = grown != NULL ? grown : model->functions;
        model->function_capacity = grown != NULL ? capacity : model->function_capacity;
    }
    for (size_t i = 0; i < model->function_count && !text->failed; i++) {
        if (strcmp(model->functions[i].text.data, text->data) == 0) {
            kgen_text_free(text);
            return model->functions[i].name.data;
        }
    }
    struct kgen_emit_model_function function = {.text = *text};
    for (int number = 1; !text->failed && !function.name.failed; number++) {
        kgen_text_clear(&function.name);
        kgen_text_printf(&function.name, "%s_", kind);
        kgen_emit_model_put_identifier(model->graph->nodes[node].name, &function.name);
        if (number > 1)
            kgen_text_printf(&function.name, "_%d", number);
        if (!function.name.failed && !is_named(model, function.name.data))
            break;
    }
    if (text->failed || function.name.failed) {
        kgen_text_free(text);
        kgen_text_free(&function.name);
        return NULL;
    }
    model->functions[model->function_count] = function;
    return model->functions[model->function_count++].name.data;
}

/* Appends the statement that shares a function among threads. */
static void put_share(const char *function, const char *indent, struct kgen_text *text)
{
    if (function == NULL)
        text->failed = true;
    else
        kgen_text_printf(text, "%sshare(step, %s);\n", indent, function);
}

static void begin_part(struct kgen_text *text)
{
    kgen_text_puts(text, "static void " KGEN_EMIT_MODEL_NAME "(void *job, size_t part, size_t parts)\n{\n"
                         "    const struct step *step = job;\n");
}

/* A function that runs a part of the range. */
static const char *add_range_part(const struct kgen_emit_model_call *call, const char *kind,
                                  const char *range)
{
    struct kgen_text text = {0};
    struct kgen_emit_model_call in_part = *call;
    char begin[NUMBER_SIZE + 32], end[NUMBER_SIZE + 32];
    in_part.in_part = true;
    snprintf(begin, sizeof begin, "part_of(%s, part, parts)", range);
    snprintf(end, sizeof end, "part_of(%s, part + 1, parts)", range);
    begin_part(&text);
    kgen_emit_model_put_call(&in_part, KGEN_RUN, "    ", begin, end, &text);
    kgen_text_puts(&text, "}\n");
    return find_function(call->model, kind, call->node, &text);
}

/* ---- calls ---- */

/* Appends the calls of all parts of a kernel, which threads share where it is long enough. */
static void put_calls(const struct kgen_emit_model_call *call, bool shared, const char *kind,
                      const char *range, const char *indent, struct kgen_text *text)
{
    if (call->rows == KGEN_EMIT_MODEL_BATCH || kgen_emit_model_table(call->model, call->entry) == NULL)
        kgen_emit_model_put_call(call, KGEN_PREPARE, indent, NULL, NULL, text);
    if (shared)
        put_share(add_range_part(call, kind, range), indent, text);
    else
        kgen_emit_model_put_call(call, KGEN_RUN, indent, "0", range, text);
    kgen_emit_model_put_call(call, KGEN_FINISH, indent, NULL, NULL, text);
}

static void write_range(const struct kgen_problem *problem, char range[NUMBER_SIZE])
{
    snprintf(range, NUMBER_SIZE, "%zu", kgen_problem_range(problem));
}

void kgen_emit_model_put_step(struct kgen_emit_model *model, size_t node, struct kgen_text *text)
{
    const struct kgen_emit_model_call call = {.model = model,
                                              .node = node,
                                              .entry = kgen_emit_model_entry(model, node),
                                              .rows = KGEN_EMIT_MODEL_ONE};
    char range[NUMBER_SIZE];
    write_range(problem_at(model, call.entry), range);
    put_calls(&call, problem_at(model, call.entry)->op->threaded, "run", range, "    ", text);
}

/* ---- the rows of a prompt ---- */

static bool writes_result(const struct kgen_emit_model *model, size_t node)
{
    const struct kgen_graph_node *described = &model->graph->nodes[node];
    for (size_t i = 0; i < described->tensor_count; i++) {
        if (model->graph->tensors[described->tensors[i].index].result)
            return true;
    }
    return false;
}

static bool has_rows_scalar(const struct kgen_op *op)
{
    for (size_t i = 0; i < op->scalar_count; i++) {
        if (strcmp(op->scalars[i].name, "rows") == 0)
            return true;
    }
    return false;
}

/* The range of a call for all rows, of which each has as much as the next. */
static void write_batch_range(const struct kgen_emit_model_call *call, char range[NUMBER_SIZE])
{
    const struct kgen_problem *problem = problem_at(call->model, call->entry);
    const size_t rows = (size_t)call->model->graph->prompt_rows, of_row = kgen_problem_range(problem) / rows;
    if (has_rows_scalar(problem->op))
        write_range(problem, range);
    else if (of_row == 1)
        snprintf(range, NUMBER_SIZE, "step->rows");
    else
        snprintf(range, NUMBER_SIZE, "%zu * step->rows", of_row);
}

static void put_batch(const struct kgen_emit_model_call *call, struct kgen_text *text)
{
    char range[NUMBER_SIZE];
    write_batch_range(call, range);
    kgen_emit_model_put_gather(call, false, text);
    put_calls(call, true, "batch", range, "    ", text);
    kgen_emit_model_put_gather(call, true, text);
}

/* Rows one after the other, each shared by the threads where it is long enough. */
static void put_serial(const struct kgen_emit_model_call *call, bool last_only, struct kgen_text *text)
{
    const struct kgen_problem *problem = problem_at(call->model, call->entry);
    const size_t batch = kgen_emit_model_batch(call->model, call->node);
    char range[NUMBER_SIZE];
    write_range(problem, range);
    if (call->entry == batch) /* a kernel for many rows, for one of them */
        snprintf(range, sizeof range, "%zu",
                 kgen_problem_range(problem) / (size_t)call->model->graph->prompt_rows);
    kgen_text_puts(text, last_only ? "    if (step->is_last) {\n        step->row = step->rows - 1;\n"
                                   : "    for (step->row = 0; step->row < step->rows; step->row++) {\n");
    put_calls(call, problem->op->threaded, "row", range, "        ", text);
    kgen_text_puts(text, "    }\n");
}

/* Whether threads share the rows of a node, each of which a thread runs alone. */
static bool shares_rows(const struct kgen_emit_model *model, size_t node)
{
    return kgen_emit_model_batch(model, node) == SIZE_MAX && !writes_result(model, node) &&
           !kgen_graph_selects_rows(&model->graph->nodes[node]) &&
           !kgen_emit_model_keeps_state(model, node) &&
           !problem_at(model, kgen_emit_model_entry(model, node))->op->threaded;
}

/* A function that runs some of the rows of a prompt, one after the other, each through the nodes. */
static const char *add_rows_part(struct kgen_emit_model *model, size_t begin, size_t end)
{
    struct kgen_text text = {0}, body = {0};
    size_t statements = 0;
    for (size_t node = begin; node < end; node++) {
        const struct kgen_emit_model_call call = {.model = model,
                                                  .node = node,
                                                  .entry = kgen_emit_model_entry(model, node),
                                                  .rows = KGEN_EMIT_MODEL_EACH,
                                                  .in_part = true};
        char range[NUMBER_SIZE];
        write_range(problem_at(model, call.entry), range);
        put_calls(&call, false, NULL, range, "        ", &body);
    }
    for (const char *at = body.failed ? "" : body.data; (at = strchr(at, ';')) != NULL; at++)
        statements++;
    begin_part(&text);
    kgen_text_printf(&text,
                     "    const size_t end = part_of(step->rows, part + 1, parts);\n"
                     "    for (size_t row = part_of(step->rows, part, parts); row < end; row++)%s\n%s%s}\n",
                     statements > 1 ? " {" : "", body.failed ? "" : body.data,
                     statements > 1 ? "    }\n" : "");
    text.failed = text.failed || body.failed;
    kgen_text_free(&body);
    return find_function(model, "rows", begin, &text);
}

size_t kgen_emit_model_put_prompt(struct kgen_emit_model *model, size_t node, size_t end,
                                  struct kgen_text *text)
{
    struct kgen_emit_model_call call = {.model = model,
                                        .node = node,
                                        .entry = kgen_emit_model_entry(model, node),
                                        .rows = KGEN_EMIT_MODEL_ROW};
    const size_t batch = kgen_emit_model_batch(model, node);
    const bool last_only = writes_result(model, node);
    size_t next = node + 1;
    if (shares_rows(model, node)) {
        while (next < end && shares_rows(model, next))
            next++;
        put_share(add_rows_part(model, node, next), "    ", text);
        return next;
    }
    if (batch != SIZE_MAX && !last_only)
        call.entry = batch;
    if (batch != SIZE_MAX && !last_only && !kgen_graph_selects_rows(&model->graph->nodes[node])) {
        call.rows = KGEN_EMIT_MODEL_BATCH;
        put_batch(&call, text);
    } else {
        put_serial(&call, last_only, text);
    }
    return next;
}
