/* SPDX-License-Identifier: MIT */
/* Several rows at once, of a prompt or one of each of several sequences: each tensor has so many rows, one
 * after the other. A node with a kernel for several rows is one call. Another node is called once for each
 * row, by all threads where it keeps no state that the rows share. */
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
    /* The buffer of each tensor of the node in the call for one row, or -1. */
    int places[KGEN_GRAPH_OPERANDS_MAX];
    /* Of row by row, where prepare reads nothing but scalars: workspaces of all rows, which nodes with the
     * same kernel share, and the batch that they are prepared for. */
    struct batch_call *prepared_by; /* NULL: none; itself, or an earlier call */
    unsigned char *prepared;        /* owned */
    uint64_t prepared_run;
    bool last_only; /* writes what a step is run for */
    bool keeps_state;
};

/* Of what all rows of a batch take: a prompt of fewer rows takes no more of it than they need. */
static const enum kgen_memory of_rows = KGEN_MEMORY_FILLED_SLOWLY;

struct kgen_decoder_batch {
    struct kgen_decoder *decoder;
    int64_t rows;  /* room */
    size_t bucket; /* of sequences; KGEN_GRAPH_NONE: a prompt */
    unsigned char *activations;
    size_t activation_bytes;
    unsigned char *results; /* of sequences, each row with its own; NULL: those of one row */
    size_t result_bytes;
    /* For the node at hand, as large as any needs. */
    unsigned char *gathered, *workspace, *scratch;
    size_t gathered_bytes, workspace_bytes, scratch_bytes;
    struct batch_call *calls; /* of each node */
    int *state_buffers;       /* of each state, in the calls for several rows; -1: not there */
    int *page_buffers;        /* of its table of pages; -1: none */
    struct kgen_decoder_rows at_hand;
    uint64_t runs; /* made, that at hand included */
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

/* The arena's places for one row, each as many times as there are rows. What a step is run for, which comes
 * last there, has one row in a prompt. */
static unsigned char *address_of(const struct kgen_decoder_batch *batch, size_t index, int64_t row)
{
    const struct kgen_arena *arena = &batch->decoder->arena;
    const size_t base = memory_of(batch, index);
    const bool result = tensor_at(batch, base)->result;
    if (result && batch->results == NULL)
        return batch->decoder->activations + arena->offsets[index];
    return (result ? batch->results : batch->activations) +
           (arena->offsets[base] - (result ? arena->row_bytes : 0)) * batch->rows +
           (arena->offsets[index] - arena->offsets[base]) + row * tensor_at(batch, base)->bytes;
}

/* The position of a row. */
static int64_t position_of(const struct kgen_decoder_batch *batch, int64_t row)
{
    const struct kgen_decoder_rows *rows = &batch->at_hand;
    return rows->sequences != NULL ? rows->sequences[row]->filled : rows->position + row;
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

/* Takes the weights of a batched call from the call for one row. */
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
    for (size_t i = 0; i < batch->decoder->graph->state_count; i++) {
        if (batch->decoder->graph->states[i].node != index)
            continue;
        batch->state_buffers[i] = kgen_buffers_find(&buffers, batch->decoder->graph->states[i].buffer);
        batch->page_buffers[i] = kgen_buffers_find(&buffers, "pages");
    }
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

/* The entry of the spec whose kernel runs a node for all rows, or KGEN_GRAPH_NONE. */
static size_t entry_of(const struct kgen_decoder_batch *batch, const struct kgen_graph_node *node)
{
    if (batch->bucket == KGEN_GRAPH_NONE)
        return node->batch_count > 0 ? node->batches[0] : KGEN_GRAPH_NONE;
    return node->sequence_batch_counts[batch->bucket] > 0 ? node->sequence_batches[batch->bucket][0]
                                                          : KGEN_GRAPH_NONE;
}

static int make_call(struct kgen_decoder_batch *batch, const struct kgen_decoder_parts *parts, size_t index,
                     struct kgen_error *error)
{
    const struct kgen_decoder *decoder = batch->decoder;
    const struct kgen_graph_node *node = &decoder->graph->nodes[index];
    struct batch_call *call = &batch->calls[index];
    for (size_t i = 0; i < node->tensor_count; i++)
        call->last_only = call->last_only || (batch->bucket == KGEN_GRAPH_NONE &&
                                              tensor_at(batch, node->tensors[i].index)->result);
    call->keeps_state = decoder->calls[index].state_count > 0;
    struct kgen_buffers of_one;
    kgen_problem_buffers(&decoder->calls[index].kernel->problem, &of_one);
    for (size_t i = 0; i < node->tensor_count; i++)
        call->places[i] = kgen_buffers_find(&of_one, node->tensors[i].buffer);
    const size_t entry = entry_of(batch, node);
    if (entry != KGEN_GRAPH_NONE && (!parts->plain[entry] || parts->plain[node->entries[0]])) {
        call->kernel = parts->kernels[entry];
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

/* Makes a batch of so many rows, which is the decoder's from the beginning. */
static int make_batch(struct kgen_decoder *decoder, const struct kgen_decoder_parts *parts, int64_t rows,
                      size_t bucket, struct kgen_decoder_batch **place, struct kgen_error *error)
{
    const struct kgen_graph *graph = decoder->graph;
    struct kgen_decoder_batch *batch = *place = calloc(1, sizeof *batch);
    if (batch == NULL)
        return fail_memory(error);
    batch->decoder = decoder;
    batch->rows = rows;
    batch->bucket = bucket;
    batch->calls = calloc(graph->node_count + 1, sizeof *batch->calls);
    batch->state_buffers = calloc(graph->state_count + 1, sizeof *batch->state_buffers);
    batch->page_buffers = calloc(graph->state_count + 1, sizeof *batch->page_buffers);
    batch->activation_bytes = (size_t)(decoder->arena.row_bytes * rows);
    batch->activations = allocate(batch, of_rows, batch->activation_bytes, error);
    if (bucket != KGEN_GRAPH_NONE) {
        batch->result_bytes = (size_t)((decoder->arena.bytes - decoder->arena.row_bytes) * rows);
        batch->results = allocate(batch, of_rows, batch->result_bytes, error);
        if (batch->results == NULL)
            return -1;
    }
    if (batch->calls == NULL || batch->state_buffers == NULL || batch->page_buffers == NULL ||
        batch->activations == NULL)
        return fail_memory(error);
    for (size_t i = 0; i < graph->state_count; i++)
        batch->state_buffers[i] = batch->page_buffers[i] = -1;
    for (size_t i = 0; i < graph->node_count; i++) {
        if (make_call(batch, parts, i, error) != 0)
            return -1;
    }
    return allocate_shared(batch, error);
}

int kgen_decoder_batches_new(struct kgen_decoder *decoder, const struct kgen_decoder_parts *parts,
                             struct kgen_error *error)
{
    const int64_t asked = decoder->graph->prompt_rows;
    if (asked > 1 && make_batch(decoder, parts, asked, KGEN_GRAPH_NONE, &decoder->batch, error) != 0)
        return -1;
    for (size_t i = 0; i < kgen_graph_buckets(decoder->graph->sequences); i++) {
        if (make_batch(decoder, parts, INT64_C(2) << i, i, &decoder->sequence_batches[i], error) != 0)
            return -1;
    }
    return 0;
}

static void free_batch(struct kgen_decoder_batch *batch)
{
    if (batch == NULL)
        return;
    const struct kgen_device_functions *device = batch->decoder->device;
    for (size_t i = 0; batch->calls != NULL && i < batch->decoder->graph->node_count; i++) {
        device->deallocate(KGEN_MEMORY_SMALL, batch->calls[i].prepared, 0);
        for (size_t j = 0; j < KGEN_FORMAT_ARRAYS_MAX; j++)
            device->deallocate(KGEN_MEMORY_SMALL, batch->calls[i].rows.arrays[j], 0);
    }
    device->deallocate(of_rows, batch->activations, batch->activation_bytes);
    device->deallocate(of_rows, batch->results, batch->result_bytes);
    device->deallocate(of_rows, batch->gathered, batch->gathered_bytes);
    device->deallocate(of_rows, batch->workspace, batch->workspace_bytes);
    device->deallocate(of_rows, batch->scratch, batch->scratch_bytes);
    free(batch->calls);
    free(batch->state_buffers);
    free(batch->page_buffers);
    free(batch);
}

void kgen_decoder_batches_free(struct kgen_decoder *decoder)
{
    free_batch(decoder->batch);
    for (size_t i = 0; i < KGEN_GRAPH_BUCKETS_MAX; i++)
        free_batch(decoder->sequence_batches[i]);
}

void kgen_decoder_batch_bind(struct kgen_decoder *decoder, const struct kgen_sequence *sequence)
{
    struct kgen_decoder_batch *batch = decoder->batch;
    for (size_t i = 0; batch != NULL && i < decoder->graph->state_count; i++) {
        void **buffers = batch->calls[decoder->graph->states[i].node].arguments.buffers;
        if (batch->state_buffers[i] >= 0)
            buffers[batch->state_buffers[i]] = sequence->states[i];
        if (batch->page_buffers[i] >= 0)
            buffers[batch->page_buffers[i]] = kgen_sequence_table(sequence, i);
    }
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
    const size_t count = (size_t)batch->at_hand.count;
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
        for (int64_t row = 0; bytes > 0 && row < batch->at_hand.count; row++)
            memcpy((unsigned char *)rows->arrays[i] + row * (int64_t)bytes, one->row.arrays[i], bytes);
    }
    for (int64_t i = 0; batch->decoder->checkpoint != NULL && i < batch->at_hand.count; i++) {
        if (kgen_checkpoint_matrix(batch->decoder->checkpoint, one->rows_of, batch->at_hand.tokens[i],
                                   batch->at_hand.tokens[i] + 1, &batch->calls[node].rows, i, error) != 0)
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
        call->arguments.scalars[call->rows_scalar] = batch->at_hand.count;
    else
        kgen_problem_set_range(&kernel.problem, kgen_problem_range_outer(&kernel.problem) *
                                                    (size_t)batch->at_hand.count / (size_t)batch->rows);
    if (call->position_scalar >= 0)
        call->arguments.scalars[call->position_scalar] = batch->at_hand.position;
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

/* Points the tensors of a node, and its states where rows are those of sequences, at a row. */
static void set_row(const struct kgen_decoder_batch *batch, size_t index, int64_t row,
                    struct kgen_arguments *arguments)
{
    const struct kgen_graph_node *node = &batch->decoder->graph->nodes[index];
    const int *places = batch->calls[index].places;
    const int position = batch->decoder->calls[index].position_scalar;
    for (size_t i = 0; i < node->tensor_count; i++) {
        if (places[i] >= 0)
            arguments->buffers[places[i]] = address_of(batch, node->tensors[i].index, row);
    }
    if (position >= 0)
        arguments->scalars[position] = position_of(batch, row);
    if (batch->at_hand.sequences != NULL)
        kgen_decoder_bind(batch->decoder, index, batch->at_hand.sequences[row], arguments);
}

struct rows_job {
    struct kgen_decoder_batch *batch;
    size_t node;
    bool is_prepared;
};

static void run_rows_part(void *context, size_t part, size_t parts, size_t thread)
{
    const struct rows_job *job = context;
    const struct kgen_decoder_batch *batch = job->batch;
    const struct batch_call *call = &batch->calls[job->node];
    const struct kgen_kernel *kernel = batch->decoder->calls[job->node].kernel;
    const size_t count = (size_t)batch->at_hand.count;
    struct kgen_arguments arguments = call->arguments;
    set_own(batch, call, kernel, thread, &arguments);
    const size_t end = kgen_range_part(count, part + 1, parts);
    for (size_t row = kgen_range_part(count, part, parts); row < end; row++) {
        set_row(batch, job->node, (int64_t)row, &arguments);
        if (call->prepared_by != NULL)
            arguments.buffers[call->workspace] = call->prepared_by->prepared + row * kernel->workspace_bytes;
        if (!job->is_prepared)
            kgen_kernel_prepare(kernel, &arguments);
        kgen_kernel_run_divided(kernel, &arguments, NULL);
    }
}

/* Rows shared by all threads. Those of sequences may take a different time each. */
static void run_rows(struct kgen_decoder_batch *batch, size_t node)
{
    struct batch_call *owner = batch->calls[node].prepared_by;
    struct rows_job job = {batch, node, false};
    if (owner != NULL) {
        job.is_prepared = owner->prepared_run == batch->runs;
        owner->prepared_run = batch->runs;
    }
    const size_t threads = kgen_team_threads(batch->decoder->team);
    kgen_team_share(batch->decoder->team,
                    batch->at_hand.sequences != NULL ? (size_t)batch->at_hand.count : threads, run_rows_part,
                    &job);
}

/* Rows one after the other, each by as many threads as the kernel is for. */
static int run_serial(struct kgen_decoder_batch *batch, size_t node, struct kgen_error *error)
{
    const struct kgen_decoder_rows *rows = &batch->at_hand;
    struct kgen_decoder_call call = batch->decoder->calls[node];
    const bool last_only = batch->calls[node].last_only;
    for (int64_t row = last_only && rows->all == NULL ? rows->count - 1 : 0; row < rows->count; row++) {
        set_row(batch, node, row, &call.arguments);
        if (kgen_decoder_run(batch->decoder, &call, rows->tokens[row], position_of(batch, row), error) != 0)
            return -1;
        const int64_t vocabulary = batch->decoder->vocabulary;
        if (last_only && rows->all != NULL)
            memcpy(rows->all + row * vocabulary, batch->decoder->logits,
                   (size_t)vocabulary * sizeof *rows->all);
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
    return batch->at_hand.position <=
           kgen_scalar_maximum(problem, &problem->op->scalars[call->position_scalar]);
}

/* Whether the rows of a node that has no kernel for several run one after the other. Rows of sequences share
 * no state; where there are enough of them each takes one thread. */
static bool runs_serially(const struct kgen_decoder_batch *batch, size_t node)
{
    const struct batch_call *call = &batch->calls[node];
    const struct kgen_decoder_call *one = &batch->decoder->calls[node];
    if (call->keeps_state && batch->at_hand.sequences != NULL)
        return (size_t)batch->at_hand.count < 2 * kgen_team_threads(batch->decoder->team);
    return call->last_only || call->keeps_state || one->selects_rows || one->kernel->problem.threads > 1;
}

static int run_node(struct kgen_decoder_batch *batch, size_t node, struct kgen_error *error)
{
    const struct batch_call *call = &batch->calls[node];
    if (call->last_only && !batch->at_hand.is_last && batch->at_hand.all == NULL)
        return 0;
    if (is_served(batch, call))
        return run_batched(batch, node, error);
    if (runs_serially(batch, node))
        return run_serial(batch, node, error);
    run_rows(batch, node);
    return 0;
}

int kgen_decoder_batch_run(struct kgen_decoder_batch *batch, const struct kgen_decoder_rows *rows,
                           struct kgen_error *error)
{
    batch->at_hand = *rows;
    batch->runs++;
    kgen_decoder_mark_begin(batch->decoder);
    for (size_t i = 0; i < batch->decoder->graph->node_count; i++) {
        if (run_node(batch, i, error) != 0)
            return -1;
        kgen_decoder_mark(batch->decoder, i);
    }
    return 0;
}

int64_t kgen_decoder_batch_rows(const struct kgen_decoder_batch *batch)
{
    return batch->rows;
}

const float *kgen_decoder_batch_logits(const struct kgen_decoder_batch *batch)
{
    for (size_t i = 0; i < batch->decoder->graph->tensor_count; i++) {
        if (tensor_at(batch, i)->result)
            return (const float *)(const void *)address_of(batch, i, 0);
    }
    return NULL;
}
