/* SPDX-License-Identifier: MIT */
/* Several rows of a prompt at once: each tensor has prompt_rows rows, one after the other. A node with a
 * kernel for several rows is one call. Another node is called once for each row, by all threads where it
 * keeps no state. */
#include "runtime/model/decoder_internal.h"

#include <stdlib.h>
#include <string.h>

/* A tensor of a batched node whose rows lie apart, as views do, in memory of its own. */
struct gathered {
    size_t tensor;
    int buffer;
    enum kgen_graph_access access;
};

struct batch_call {
    const struct kgen_kernel *kernel; /* for several rows; NULL: the node runs row by row */
    struct kgen_arguments arguments;  /* its own; of row by row, those of the call for one row */
    int rows_scalar;                  /* -1: the range says how many */
    int position_scalar;              /* -1: none */
    struct gathered gathered[KGEN_GRAPH_OPERANDS_MAX];
    size_t gathered_count;
    struct kgen_matrix rows; /* selected rows of weights; the arrays are owned */
    int workspace, scratch;  /* the buffers of that role, or -1 */
    /* Of row by row, where prepare reads nothing but scalars: workspaces of all rows, which nodes with the
     * same kernel share, and the batch that they are prepared for. */
    struct batch_call *prepared_by; /* NULL: none; itself, or an earlier call */
    unsigned char *prepared;        /* owned */
    int64_t prepared_position, prepared_count;
    bool last_only; /* writes what a step is run for */
    bool keeps_state;
};

/* Of what all rows of a batch take: a prompt of fewer rows takes no more of it than they need. */
static const enum kgen_memory of_rows = KGEN_MEMORY_FILLED_SLOWLY;

struct kgen_decoder_batch {
    struct kgen_decoder *decoder;
    int64_t rows; /* room */
    unsigned char *activations;
    size_t activation_bytes;
    /* For the node at hand, as large as any needs. */
    unsigned char *gathered, *workspace, *scratch;
    size_t gathered_bytes, workspace_bytes, scratch_bytes;
    struct batch_call *calls; /* of each node */
    int64_t position;         /* of the first row of the batch at hand, and its rows */
    int64_t count;
    const int32_t *tokens;
    bool is_last; /* its logits are asked for */
};

static int fail_memory(struct kgen_error *error)
{
    return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "no memory for prompts");
}

/* ---- where tensors lie ---- */

static const struct kgen_graph_tensor *tensor_at(const struct kgen_decoder_batch *batch, size_t index)
{
    return &batch->decoder->graph->tensors[index];
}

static size_t memory_of(const struct kgen_decoder_batch *batch, size_t index)
{
    const size_t base = tensor_at(batch, index)->view_of;
    return base == KGEN_GRAPH_NONE ? index : base;
}

/* The bytes from row to row of a tensor. What a step is run for has one row. */
static int64_t stride_of(const struct kgen_decoder_batch *batch, size_t index)
{
    const struct kgen_graph_tensor *base = tensor_at(batch, memory_of(batch, index));
    return base->result ? 0 : base->bytes;
}

/* The arena's places for one row, each as many times as there are rows. */
static unsigned char *address_of(const struct kgen_decoder_batch *batch, size_t index, int64_t row)
{
    const int64_t *offsets = batch->decoder->arena.offsets;
    const size_t base = memory_of(batch, index);
    if (tensor_at(batch, base)->result)
        return batch->decoder->activations + offsets[index];
    return batch->activations + offsets[base] * batch->rows + (offsets[index] - offsets[base]) +
           row * stride_of(batch, index);
}

/* ---- making ---- */

static unsigned char *allocate(const struct kgen_decoder_batch *batch, enum kgen_memory kind, size_t bytes,
                               struct kgen_error *error)
{
    unsigned char *memory = batch->decoder->device->allocate(kind, bytes, error);
    if (memory == NULL)
        fail_memory(error);
    else
        batch->decoder->sizes.activations += bytes;
    return memory;
}

/* Notes what the kernel needs for itself, so many workspaces and scratches. */
static void note_own(struct kgen_decoder_batch *batch, struct batch_call *call,
                     const struct kgen_kernel *kernel, size_t workspaces, size_t scratches)
{
    struct kgen_buffers buffers;
    kgen_problem_buffers(&kernel->problem, &buffers);
    call->workspace = kgen_buffers_of_role(&buffers, KGEN_WORKSPACE);
    call->scratch = kgen_buffers_of_role(&buffers, KGEN_SCRATCH);
    if (batch->workspace_bytes < kernel->workspace_bytes * workspaces)
        batch->workspace_bytes = kernel->workspace_bytes * workspaces;
    if (batch->scratch_bytes < kernel->scratch_bytes * scratches)
        batch->scratch_bytes = kernel->scratch_bytes * scratches;
}

/* Sets the workspace and the scratch among arguments to those of a thread. */
static void set_own(const struct kgen_decoder_batch *batch, const struct batch_call *call,
                    const struct kgen_kernel *kernel, size_t thread, struct kgen_arguments *arguments)
{
    if (call->workspace >= 0)
        arguments->buffers[call->workspace] = batch->workspace + thread * kernel->workspace_bytes;
    if (call->scratch >= 0)
        arguments->buffers[call->scratch] = batch->scratch + thread * kernel->scratch_bytes;
}

/* Takes the weights and states of a batched call from the call for one row. */
static void bind_weights(const struct kgen_decoder_call *one, const struct kgen_buffers *buffers,
                         struct kgen_arguments *arguments)
{
    struct kgen_buffers of_one;
    kgen_problem_buffers(&one->kernel->problem, &of_one);
    for (size_t i = 0; i < buffers->count; i++) {
        const int same = kgen_buffers_find(&of_one, buffers->items[i].name);
        if (same >= 0)
            arguments->buffers[i] = one->arguments.buffers[same];
    }
}

/* Allocates the rows of weights that the tokens of a batch select. */
static int bind_rows(const struct kgen_decoder_batch *batch, struct batch_call *call,
                     const struct kgen_buffers *buffers, struct kgen_error *error)
{
    kgen_problem_matrix(&call->kernel->problem, NULL, &call->rows);
    for (size_t i = 0; i < buffers->count; i++) {
        const int array = buffers->items[i].array;
        if (array < 0 || buffers->items[i].bytes == 0)
            continue;
        call->rows.arrays[array] = allocate(batch, KGEN_MEMORY_SMALL, buffers->items[i].bytes, error);
        if (call->rows.arrays[array] == NULL)
            return -1;
        call->arguments.buffers[i] = call->rows.arrays[array];
    }
    return 0;
}

static void bind_tensors(struct kgen_decoder_batch *batch, const struct kgen_graph_node *node,
                         const struct kgen_buffers *buffers, struct batch_call *call)
{
    size_t bytes = 0;
    for (size_t i = 0; i < node->tensor_count; i++) {
        const struct kgen_graph_operand *operand = &node->tensors[i];
        const int buffer = kgen_buffers_find(buffers, operand->buffer);
        if (buffer < 0)
            continue;
        call->arguments.buffers[buffer] = address_of(batch, operand->index, 0);
        if (tensor_at(batch, operand->index)->view_of == KGEN_GRAPH_NONE)
            continue;
        call->gathered[call->gathered_count++] = (struct gathered){operand->index, buffer, operand->access};
        bytes += buffers->items[buffer].bytes;
    }
    batch->gathered_bytes = bytes > batch->gathered_bytes ? bytes : batch->gathered_bytes;
}

static int make_batched(struct kgen_decoder_batch *batch, size_t index, struct kgen_error *error)
{
    const struct kgen_graph_node *node = &batch->decoder->graph->nodes[index];
    const struct kgen_decoder_call *one = &batch->decoder->calls[index];
    struct batch_call *call = &batch->calls[index];
    struct kgen_buffers buffers;
    kgen_problem_buffers(&call->kernel->problem, &buffers);
    const struct kgen_op *op = call->kernel->problem.op;
    call->rows_scalar = kgen_scalar_find(op, "rows");
    call->position_scalar = kgen_scalar_find(op, "position");
    for (size_t i = 0; i < op->scalar_count; i++)
        call->arguments.scalars[i] = kgen_scalar_typical(&call->kernel->problem, &op->scalars[i]);
    bind_weights(one, &buffers, &call->arguments);
    bind_tensors(batch, node, &buffers, call);
    note_own(batch, call, call->kernel, 1, batch->decoder->threads);
    return one->selects_rows ? bind_rows(batch, call, &buffers, error) : 0;
}

/* Whether prepare fills the workspace from scalars alone, such as the position. */
static bool prepares_from_scalars(const struct kgen_op *op)
{
    bool workspace = false;
    for (size_t i = 0; i < op->buffer_count; i++) {
        if ((op->buffers[i].parts & KGEN_PREPARE) != 0 && op->buffers[i].role != KGEN_WORKSPACE)
            return false;
        workspace = workspace || op->buffers[i].role == KGEN_WORKSPACE;
    }
    return workspace;
}

/* Finds the workspaces of all rows of a node that runs row by row, or makes them. */
static int bind_prepared(struct kgen_decoder_batch *batch, size_t index, struct kgen_error *error)
{
    struct batch_call *call = &batch->calls[index];
    const struct kgen_decoder_call *calls = batch->decoder->calls;
    const struct kgen_kernel *kernel = calls[index].kernel;
    if (call->keeps_state || !prepares_from_scalars(kernel->problem.op))
        return 0;
    for (size_t i = 0; i < index && call->prepared_by == NULL; i++) {
        if (batch->calls[i].prepared_by != NULL && calls[i].kernel == kernel)
            call->prepared_by = batch->calls[i].prepared_by;
    }
    if (call->prepared_by != NULL)
        return 0;
    call->prepared_by = call;
    call->prepared = allocate(batch, KGEN_MEMORY_SMALL, kernel->workspace_bytes * (size_t)batch->rows, error);
    return call->prepared != NULL ? 0 : -1;
}

/* Whether a node keeps something from row to row, so that rows run one after the other. */
static bool keeps_state(const struct kgen_graph *graph, size_t node)
{
    for (size_t i = 0; i < graph->state_count; i++) {
        if (graph->states[i].node == node)
            return true;
    }
    return false;
}

static int make_call(struct kgen_decoder_batch *batch, const struct kgen_decoder_parts *parts, size_t index,
                     struct kgen_error *error)
{
    const struct kgen_decoder *decoder = batch->decoder;
    const struct kgen_graph_node *node = &decoder->graph->nodes[index];
    struct batch_call *call = &batch->calls[index];
    for (size_t i = 0; i < node->tensor_count; i++)
        call->last_only = call->last_only || tensor_at(batch, node->tensors[i].index)->result;
    call->keeps_state = keeps_state(decoder->graph, index);
    if (node->batch_count > 0 && (!parts->plain[node->batches[0]] || parts->plain[node->entries[0]])) {
        call->kernel = parts->kernels[node->batches[0]];
        return make_batched(batch, index, error);
    }
    call->arguments = decoder->calls[index].arguments;
    note_own(batch, call, decoder->calls[index].kernel, decoder->threads, decoder->threads);
    return bind_prepared(batch, index, error);
}

static int allocate_shared(struct kgen_decoder_batch *batch, struct kgen_error *error)
{
    unsigned char **memory[] = {&batch->gathered, &batch->workspace, &batch->scratch};
    const size_t bytes[] = {batch->gathered_bytes, batch->workspace_bytes, batch->scratch_bytes};
    for (size_t i = 0; i < KGEN_COUNT_OF(memory); i++) {
        if (bytes[i] > 0 && (*memory[i] = allocate(batch, of_rows, bytes[i], error)) == NULL)
            return -1;
    }
    return 0;
}

int kgen_decoder_batch_new(struct kgen_decoder *decoder, const struct kgen_decoder_parts *parts,
                           struct kgen_error *error)
{
    const int64_t asked = decoder->graph->prompt_rows;
    if (asked <= 1)
        return 0;
    struct kgen_decoder_batch *batch = calloc(1, sizeof *batch);
    decoder->batch = batch;
    if (batch == NULL)
        return fail_memory(error);
    batch->decoder = decoder;
    batch->rows = asked;
    batch->calls = calloc(decoder->graph->node_count + 1, sizeof *batch->calls);
    batch->activation_bytes = (size_t)(decoder->arena.row_bytes * asked);
    batch->activations = allocate(batch, of_rows, batch->activation_bytes, error);
    if (batch->calls == NULL || batch->activations == NULL)
        return fail_memory(error);
    for (size_t i = 0; i < decoder->graph->node_count; i++) {
        if (make_call(batch, parts, i, error) != 0)
            return -1;
    }
    return allocate_shared(batch, error);
}

void kgen_decoder_batch_free(struct kgen_decoder *decoder)
{
    struct kgen_decoder_batch *batch = decoder->batch;
    if (batch == NULL)
        return;
    const struct kgen_device_functions *device = decoder->device;
    for (size_t i = 0; batch->calls != NULL && i < decoder->graph->node_count; i++) {
        device->deallocate(KGEN_MEMORY_SMALL, batch->calls[i].prepared, 0);
        for (size_t j = 0; j < KGEN_FORMAT_ARRAYS_MAX; j++)
            device->deallocate(KGEN_MEMORY_SMALL, batch->calls[i].rows.arrays[j], 0);
    }
    device->deallocate(of_rows, batch->activations, batch->activation_bytes);
    device->deallocate(of_rows, batch->gathered, batch->gathered_bytes);
    device->deallocate(of_rows, batch->workspace, batch->workspace_bytes);
    device->deallocate(of_rows, batch->scratch, batch->scratch_bytes);
    free(batch->calls);
    free(batch);
    decoder->batch = NULL;
}

/* ---- a batch ---- */

/* Copies the rows of gathered tensors to or from memory of their own, and points the call there. */
struct copying {
    struct kgen_decoder_batch *batch;
    struct batch_call *call;
    bool back;
};

static void copy_rows(void *context, size_t part, size_t parts)
{
    const struct copying *copying = context;
    const struct kgen_decoder_batch *batch = copying->batch;
    const size_t count = (size_t)batch->count;
    const size_t begin = kgen_range_part(count, part, parts), end = kgen_range_part(count, part + 1, parts);
    for (size_t i = 0; i < copying->call->gathered_count; i++) {
        const struct gathered *gathered = &copying->call->gathered[i];
        const size_t bytes = (size_t)tensor_at(batch, gathered->tensor)->bytes;
        unsigned char *own = copying->call->arguments.buffers[gathered->buffer];
        if (gathered->access == (copying->back ? KGEN_GRAPH_READ : KGEN_GRAPH_WRITE))
            continue;
        for (size_t row = begin; row < end; row++) {
            unsigned char *apart = address_of(batch, gathered->tensor, (int64_t)row);
            memcpy(copying->back ? apart : own + row * bytes, copying->back ? own + row * bytes : apart,
                   bytes);
        }
    }
}

static void place_gathered(const struct kgen_decoder_batch *batch, struct batch_call *call)
{
    unsigned char *at = batch->gathered;
    for (size_t i = 0; i < call->gathered_count; i++) {
        call->arguments.buffers[call->gathered[i].buffer] = at;
        at += tensor_at(batch, call->gathered[i].tensor)->bytes * batch->rows;
    }
}

static int select_rows(const struct kgen_decoder_batch *batch, size_t node, struct kgen_error *error)
{
    const struct kgen_decoder_call *one = &batch->decoder->calls[node];
    const struct kgen_matrix *rows = &batch->calls[node].rows;
    for (size_t i = 0; batch->decoder->checkpoint == NULL && i < rows->format->array_count; i++) {
        /* Random weights: every token has the row that the call for one row has. */
        const size_t bytes = (size_t)rows->format->arrays[i].row_bytes(rows);
        for (int64_t row = 0; bytes > 0 && row < batch->count; row++)
            memcpy((unsigned char *)rows->arrays[i] + row * (int64_t)bytes, one->row.arrays[i], bytes);
    }
    for (int64_t i = 0; batch->decoder->checkpoint != NULL && i < batch->count; i++) {
        if (kgen_checkpoint_matrix(batch->decoder->checkpoint, one->rows_of, batch->tokens[i],
                                   batch->tokens[i] + 1, &batch->calls[node].rows, i, error) != 0)
            return -1;
    }
    return 0;
}

static int run_batched(struct kgen_decoder_batch *batch, size_t node, struct kgen_error *error)
{
    struct batch_call *call = &batch->calls[node];
    const struct kgen_decoder *decoder = batch->decoder;
    struct kgen_kernel kernel = *call->kernel;
    struct copying copying = {batch, call, false};
    if (decoder->calls[node].selects_rows && select_rows(batch, node, error) != 0)
        return -1;
    if (call->rows_scalar >= 0)
        call->arguments.scalars[call->rows_scalar] = batch->count;
    else
        kgen_problem_set_range(&kernel.problem, kgen_problem_range_outer(&kernel.problem) *
                                                    (size_t)batch->count / (size_t)batch->rows);
    if (call->position_scalar >= 0)
        call->arguments.scalars[call->position_scalar] = batch->position;
    if (call->gathered_count > 0) {
        place_gathered(batch, call);
        kgen_team_run(decoder->team, copy_rows, &copying);
    }
    set_own(batch, call, &kernel, 0, &call->arguments);
    kgen_kernel_run_team(&kernel, &call->arguments, decoder->team);
    copying.back = true;
    if (call->gathered_count > 0)
        kgen_team_run(decoder->team, copy_rows, &copying);
    return 0;
}

/* Points the tensors of a node at a row. */
static void set_row(const struct kgen_decoder_batch *batch, size_t index, const struct kgen_buffers *buffers,
                    int64_t row, struct kgen_arguments *arguments)
{
    const struct kgen_graph_node *node = &batch->decoder->graph->nodes[index];
    const int position = batch->decoder->calls[index].position_scalar;
    for (size_t i = 0; i < node->tensor_count; i++) {
        const int buffer = kgen_buffers_find(buffers, node->tensors[i].buffer);
        if (buffer >= 0)
            arguments->buffers[buffer] = address_of(batch, node->tensors[i].index, row);
    }
    if (position >= 0)
        arguments->scalars[position] = batch->position + row;
}

struct rows_job {
    struct kgen_decoder_batch *batch;
    size_t node;
    bool is_prepared;
};

static void run_rows_part(void *context, size_t part, size_t parts)
{
    const struct rows_job *job = context;
    const struct kgen_decoder_batch *batch = job->batch;
    const struct batch_call *call = &batch->calls[job->node];
    const struct kgen_kernel *kernel = batch->decoder->calls[job->node].kernel;
    const size_t count = (size_t)batch->count;
    struct kgen_arguments arguments = call->arguments;
    struct kgen_buffers buffers;
    kgen_problem_buffers(&kernel->problem, &buffers);
    set_own(batch, call, kernel, part, &arguments);
    const size_t end = kgen_range_part(count, part + 1, parts);
    for (size_t row = kgen_range_part(count, part, parts); row < end; row++) {
        set_row(batch, job->node, &buffers, (int64_t)row, &arguments);
        if (call->prepared_by != NULL)
            arguments.buffers[call->workspace] = call->prepared_by->prepared + row * kernel->workspace_bytes;
        if (!job->is_prepared)
            kgen_kernel_prepare(kernel, &arguments);
        kgen_kernel_run_divided(kernel, &arguments, NULL);
    }
}

/* Rows shared by all threads. */
static void run_rows(struct kgen_decoder_batch *batch, size_t node)
{
    struct batch_call *owner = batch->calls[node].prepared_by;
    struct rows_job job = {batch, node, false};
    if (owner != NULL) {
        job.is_prepared =
            owner->prepared_position == batch->position && owner->prepared_count >= batch->count;
        owner->prepared_position = batch->position;
        owner->prepared_count = job.is_prepared ? owner->prepared_count : batch->count;
    }
    kgen_team_run(batch->decoder->team, run_rows_part, &job);
}

/* Rows one after the other, each by as many threads as the kernel is for. */
static int run_serial(struct kgen_decoder_batch *batch, size_t node, struct kgen_error *error)
{
    struct kgen_decoder_call call = batch->decoder->calls[node];
    struct kgen_buffers buffers;
    kgen_problem_buffers(&call.kernel->problem, &buffers);
    for (int64_t row = batch->calls[node].last_only ? batch->count - 1 : 0; row < batch->count; row++) {
        set_row(batch, node, &buffers, row, &call.arguments);
        if (kgen_decoder_run(batch->decoder, &call, batch->tokens[row], batch->position + row, error) != 0)
            return -1;
    }
    return 0;
}

/* Whether a node's kernel for several rows serves the batch: its position may be as late as leaves room for
 * all the rows that the kernel is for, also where a batch has fewer. */
static bool is_served(const struct kgen_decoder_batch *batch, const struct batch_call *call)
{
    if (call->kernel == NULL || call->position_scalar < 0)
        return call->kernel != NULL;
    const struct kgen_problem *problem = &call->kernel->problem;
    return batch->position <= kgen_scalar_maximum(problem, &problem->op->scalars[call->position_scalar]);
}

static int run_node(struct kgen_decoder_batch *batch, size_t node, struct kgen_error *error)
{
    const struct batch_call *call = &batch->calls[node];
    const struct kgen_decoder_call *one = &batch->decoder->calls[node];
    if (call->last_only && !batch->is_last)
        return 0;
    if (is_served(batch, call))
        return run_batched(batch, node, error);
    if (call->last_only || call->keeps_state || one->selects_rows || one->kernel->problem.threads > 1)
        return run_serial(batch, node, error);
    run_rows(batch, node);
    return 0;
}

static int run_batch(struct kgen_decoder_batch *batch, struct kgen_error *error)
{
    kgen_decoder_mark_begin(batch->decoder);
    for (size_t i = 0; i < batch->decoder->graph->node_count; i++) {
        if (run_node(batch, i, error) != 0)
            return -1;
        kgen_decoder_mark(batch->decoder, i);
    }
    batch->decoder->filled = batch->position + batch->count;
    return 0;
}

const float *kgen_decoder_prompt(struct kgen_decoder *decoder, const int32_t *tokens, size_t count,
                                 int64_t position, struct kgen_error *error)
{
    struct kgen_decoder_batch *batch = decoder->batch;
    if (kgen_decoder_check(decoder, tokens, count, position, error) != 0)
        return NULL;
    const size_t most = batch != NULL ? (size_t)batch->rows : 1;
    for (size_t i = 0; i < count;) {
        const size_t rows = count - i < most ? count - i : most;
        if (rows == 1) {
            if (kgen_decoder_step(decoder, tokens[i], position + (int64_t)i, error) == NULL)
                return NULL;
        } else {
            batch->tokens = tokens + i;
            batch->position = position + (int64_t)i;
            batch->count = (int64_t)rows;
            batch->is_last = i + rows == count;
            if (run_batch(batch, error) != 0)
                return NULL;
        }
        i += rows;
    }
    return decoder->logits;
}

int64_t kgen_decoder_prompt_rows(const struct kgen_decoder *decoder)
{
    return decoder->batch != NULL ? decoder->batch->rows : 1;
}
