/* SPDX-License-Identifier: MIT */
/* The calls of kernels' functions in the step of a model, with their arguments. */
#include "gen/emit/model.h"
#include "gen/ops/buffers.h"
#include "gen/ops/layout.h"
#include "gen/ops/signature.h"

#include <string.h>

static const struct kgen_problem *problem_of(const struct kgen_emit_model_call *call)
{
    return &call->model->emission->input.spec->entries[call->entry].problem;
}

static const struct kgen_graph_node *node_of(const struct kgen_emit_model_call *call)
{
    return &call->model->graph->nodes[call->node];
}

/* What is added to a place or a position to come to the row of the call; NULL: nothing. */
static const char *row_of(const struct kgen_emit_model_call *call)
{
    return call->rows == KGEN_EMIT_MODEL_ROW    ? "step->row"
           : call->rows == KGEN_EMIT_MODEL_EACH ? "row"
                                                : NULL;
}

/* ---- tensors ---- */

static bool is_gathered(const struct kgen_emit_model_call *call, size_t tensor)
{
    return call->rows == KGEN_EMIT_MODEL_BATCH && !kgen_graph_selects_rows(node_of(call)) &&
           call->model->graph->tensors[tensor].view_of != KGEN_GRAPH_NONE;
}

static int64_t elements_of(const struct kgen_graph_tensor *tensor)
{
    return tensor->bytes / 4;
}

/* Elements of a row of the tensors before this one of a node that are gathered. */
static int64_t gathered_before(const struct kgen_emit_model_call *call, size_t operand)
{
    const struct kgen_graph_node *node = node_of(call);
    int64_t elements = 0;
    for (size_t i = 0; i < operand; i++) {
        if (is_gathered(call, node->tensors[i].index))
            elements += elements_of(&call->model->graph->tensors[node->tensors[i].index]);
    }
    return elements;
}

/* The place of a tensor among those of a step. */
static void put_place(const struct kgen_emit_model_call *call, size_t index, struct kgen_text *text)
{
    const struct kgen_graph_tensor *tensor = &call->model->graph->tensors[index];
    const struct kgen_emit_model_slot *slot = &call->model->slots[call->model->slot_of[index]];
    kgen_text_printf(text, "step->%s", slot->name.data);
    if (row_of(call) != NULL && !slot->result)
        kgen_text_printf(text, " + %s * %lld", row_of(call), (long long)slot->elements);
    if (tensor->view_of != KGEN_GRAPH_NONE && tensor->offset > 0)
        kgen_text_printf(text, " + %lld", (long long)tensor->offset);
}

static void put_tensor(const struct kgen_emit_model_call *call, size_t operand, struct kgen_text *text)
{
    const size_t index = node_of(call)->tensors[operand].index;
    if (!is_gathered(call, index)) {
        put_place(call, index, text);
        return;
    }
    const int64_t before = gathered_before(call, operand);
    kgen_text_puts(text, "step->gathered");
    if (before > 0)
        kgen_text_printf(text, " + %lld * step->rows", (long long)before);
}

void kgen_emit_model_put_gather(const struct kgen_emit_model_call *call, bool back, struct kgen_text *text)
{
    const struct kgen_graph_node *node = node_of(call);
    for (size_t i = 0; i < node->tensor_count; i++) {
        const struct kgen_graph_operand *operand = &node->tensors[i];
        if (!is_gathered(call, operand->index) ||
            operand->access == (back ? KGEN_GRAPH_READ : KGEN_GRAPH_WRITE))
            continue;
        const struct kgen_graph_tensor *tensor = &call->model->graph->tensors[operand->index];
        const struct kgen_emit_model_slot *slot = &call->model->slots[call->model->slot_of[operand->index]];
        struct kgen_text own = {0}, apart = {0};
        put_tensor(call, i, &own);
        put_place(call, operand->index, &apart);
        text->failed = text->failed || own.failed || apart.failed;
        if (!text->failed)
            kgen_text_printf(
                text, "    copy_rows(step, (struct copy){%s, %lld, %s, %lld, %lld});\n",
                back ? apart.data : own.data, (long long)(back ? slot->elements : elements_of(tensor)),
                back ? own.data : apart.data, (long long)(back ? elements_of(tensor) : slot->elements),
                (long long)elements_of(tensor));
        kgen_text_free(&own);
        kgen_text_free(&apart);
    }
    const int64_t gathered = gathered_before(call, node->tensor_count);
    if (gathered > call->model->gathered)
        call->model->gathered = gathered;
}

/* ---- weights ---- */

/* The row of the token from an array of a matrix, which lies in tiles or row by row. Those from tiles are
 * copied to step->row_of, where offset says how many bytes others took. */
static void put_selected(const struct kgen_emit_model_call *call,
                         const struct kgen_emit_model_weights *weights, int array, const char *pointer,
                         int64_t *offset, struct kgen_text *text)
{
    const struct kgen_graph_node *first = &call->model->graph->nodes[weights->node];
    struct kgen_matrix matrix;
    kgen_problem_matrix(&first->problem, NULL, &matrix);
    const struct kgen_format_array *described = &matrix.format->arrays[array];
    const int64_t bytes = described->row_bytes(&matrix);
    const char *row = row_of(call);
    const bool tiles =
        !kgen_graph_selects_rows(first) && kgen_problem_get(&first->problem, "layout") == KGEN_TILES16;
    if (tiles) {
        const int64_t word = described->word_bytes(&matrix);
        kgen_text_printf(text, "row_of_tiles(%s, step->tokens[%s], %lld, %lld, step->row_of + %lld)", pointer,
                         row != NULL ? row : "0", (long long)(bytes / word), (long long)word,
                         (long long)*offset);
        *offset +=
            (bytes + KGEN_EMIT_MODEL_ALIGNMENT - 1) / KGEN_EMIT_MODEL_ALIGNMENT * KGEN_EMIT_MODEL_ALIGNMENT;
        if (*offset > call->model->row_bytes)
            call->model->row_bytes = *offset;
    } else {
        kgen_text_printf(text, "row_of_array(%s, step->tokens[%s], %lld)", pointer, row != NULL ? row : "0",
                         (long long)bytes);
    }
}

/* Appends the argument for a buffer that weights are bound to. Returns whether there are such. */
static bool put_weights(const struct kgen_emit_model_call *call, const struct kgen_problem_buffer *buffer,
                        int64_t *offset, struct kgen_text *text)
{
    const struct kgen_graph_node *node = node_of(call);
    const char *bound = buffer->array >= 0 ? buffer->declared->name : buffer->name;
    bool found = false;
    for (size_t i = 0; i < node->weight_count; i++)
        found = found || strcmp(node->weights[i].buffer, bound) == 0;
    const struct kgen_emit_model_weights *weights =
        found ? kgen_emit_model_find(call->model, call->node, bound) : NULL;
    if (weights == NULL)
        return false;
    struct kgen_text pointer = {0};
    kgen_text_printf(&pointer, "step->%s->%s_%s",
                     call->model->graph->nodes[weights->node].layer >= 0 ? "layer" : "weights",
                     weights->name.data, weights->is_vector ? weights->buffer : buffer->name);
    text->failed = text->failed || pointer.failed;
    if (!text->failed && kgen_graph_selects_rows(node))
        put_selected(call, weights, buffer->array, pointer.data, offset, text);
    else if (!text->failed)
        kgen_text_puts(text, pointer.data);
    kgen_text_free(&pointer);
    return true;
}

/* ---- the other arguments ---- */

static void put_workspace(const struct kgen_emit_model_call *call, struct kgen_text *text)
{
    const struct kgen_emit_model_table *table =
        call->rows == KGEN_EMIT_MODEL_BATCH ? NULL : kgen_emit_model_table(call->model, call->entry);
    if (table != NULL) {
        kgen_text_printf(text, "step->%s", table->name.data);
        if (row_of(call) != NULL)
            kgen_text_printf(text, " + %s * step->%s_stride", row_of(call), table->name.data);
        return;
    }
    call->model->used[call->entry] |= call->rows == KGEN_EMIT_MODEL_ONE || call->rows == KGEN_EMIT_MODEL_ROW
                                          ? KGEN_EMIT_MODEL_STEP
                                      : call->rows == KGEN_EMIT_MODEL_EACH ? KGEN_EMIT_MODEL_ROWS
                                                                           : KGEN_EMIT_MODEL_PROMPT;
    kgen_text_puts(text, call->rows == KGEN_EMIT_MODEL_EACH
                             ? "step->workspace + part * step->workspace_stride"
                             : "step->workspace");
}

static void put_state(const struct kgen_emit_model_call *call, size_t state, struct kgen_text *text)
{
    const long long offset = call->model->state_offsets[state];
    if (offset > 0)
        kgen_text_printf(text, "(void *)(step->state + %lld)", offset);
    else
        kgen_text_puts(text, "(void *)step->state");
}

static void put_buffer(const struct kgen_emit_model_call *call, const struct kgen_problem_buffer *buffer,
                       int64_t *offset, struct kgen_text *text)
{
    const struct kgen_graph_node *node = node_of(call);
    for (size_t i = 0; i < node->tensor_count; i++) {
        if (strcmp(node->tensors[i].buffer, buffer->name) == 0) {
            put_tensor(call, i, text);
            return;
        }
    }
    for (size_t i = 0; i < call->model->graph->state_count; i++) {
        const struct kgen_graph_state *state = &call->model->graph->states[i];
        if (state->node == call->node && strcmp(state->buffer, buffer->name) == 0) {
            put_state(call, i, text);
            return;
        }
    }
    if (buffer->role == KGEN_WORKSPACE) {
        put_workspace(call, text);
    } else if (buffer->role == KGEN_SCRATCH) {
        call->model->used[call->entry] |=
            call->rows == KGEN_EMIT_MODEL_BATCH ? KGEN_EMIT_MODEL_PROMPT : KGEN_EMIT_MODEL_STEP;
        kgen_text_puts(text, call->in_part ? "scratch_of(step, part)" : "step->scratch");
    } else if (!put_weights(call, buffer, offset, text)) {
        kgen_error_set(call->model->error, KGEN_ERROR_SPEC, NULL, 0, 0, "%s: nothing is bound to %s of %s",
                       node->name, buffer->name, problem_of(call)->op->name);
        text->failed = true;
    }
}

static void put_scalar(const struct kgen_emit_model_call *call, const struct kgen_scalar *scalar,
                       struct kgen_text *text)
{
    const struct kgen_graph_node *node = node_of(call);
    for (size_t i = 0; i < node->tensor_count; i++) {
        if (strcmp(node->tensors[i].buffer, scalar->name) != 0)
            continue;
        kgen_text_puts(text, "step->position");
        if (row_of(call) != NULL)
            kgen_text_printf(text, " + (int64_t)%s", row_of(call));
        return;
    }
    if (call->rows == KGEN_EMIT_MODEL_BATCH && strcmp(scalar->name, "rows") == 0)
        kgen_text_puts(text, "(int64_t)step->rows");
    else
        kgen_text_printf(text, "%lld", (long long)kgen_scalar_typical(problem_of(call), scalar));
}

/* Appends a call. What is too long for a line goes on in lines of its own, as full as they can be: the names
 * of functions are too long to align arguments behind them. Takes the arguments over. */
static void lay_out_call(const struct kgen_text *function, struct kgen_text *arguments, size_t count,
                         const char *indent, struct kgen_text *text)
{
    size_t column = strlen(indent) + function->length + strlen("();");
    bool failed = function->failed;
    for (size_t i = 0; i < count; i++) {
        failed = failed || arguments[i].failed;
        column += arguments[i].length + (i > 0 ? 2 : 0);
    }
    text->failed = text->failed || failed;
    const bool breaks = column > KGEN_EMIT_WIDTH;
    if (!failed)
        kgen_text_printf(text, "%s%s(", indent, function->data);
    column = KGEN_EMIT_WIDTH;
    for (size_t i = 0; i < count && !failed; i++) {
        const size_t length = arguments[i].length + 2;
        const bool new_line = breaks && column + length > KGEN_EMIT_WIDTH;
        if (new_line)
            kgen_text_printf(text, "\n%s    ", indent);
        else if (i > 0)
            kgen_text_puts(text, " ");
        column = new_line ? strlen(indent) + 4 + length : column + length;
        kgen_text_printf(text, "%s%s", arguments[i].data, i + 1 < count ? "," : "");
    }
    kgen_text_puts(text, ");\n");
    for (size_t i = 0; i < count; i++)
        kgen_text_free(&arguments[i]);
}

void kgen_emit_model_put_call(const struct kgen_emit_model_call *call, unsigned part, const char *indent,
                              const char *begin, const char *end, struct kgen_text *text)
{
    const struct kgen_problem *problem = problem_of(call);
    if (!kgen_op_has_part(problem->op, part))
        return;
    struct kgen_buffers buffers;
    struct kgen_text arguments[KGEN_BUFFERS_MAX + KGEN_SCALARS_MAX + 2] = {{0}}, function = {0};
    size_t count = 0;
    int64_t offset = 0;
    kgen_problem_buffers(problem, &buffers);
    kgen_emit_function_name(&call->model->emission->input, call->entry, &function);
    kgen_text_puts(&function, part == KGEN_PREPARE ? "_prepare" : part == KGEN_FINISH ? "_finish" : "");
    for (size_t i = 0; i < buffers.count; i++) {
        if ((buffers.items[i].declared->parts & part) != 0)
            put_buffer(call, &buffers.items[i], &offset, &arguments[count++]);
    }
    for (size_t i = 0; i < problem->op->scalar_count; i++) {
        if ((problem->op->scalars[i].parts & part) != 0)
            put_scalar(call, &problem->op->scalars[i], &arguments[count++]);
    }
    if (part == KGEN_RUN) {
        kgen_text_puts(&arguments[count++], begin);
        kgen_text_puts(&arguments[count++], end);
    }
    lay_out_call(&function, arguments, count, indent, text);
    kgen_text_free(&function);
}
