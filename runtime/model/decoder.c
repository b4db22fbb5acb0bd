/* SPDX-License-Identifier: MIT */
#include "runtime/model/decoder_internal.h"

#include <stdlib.h>
#include <string.h>

void kgen_decoder_free(struct kgen_decoder *decoder)
{
    if (decoder == NULL)
        return;
    kgen_decoder_batches_free(decoder);
    kgen_decoder_weights_free(decoder);
    kgen_sequence_free(decoder->own);
    kgen_paged_caches_free(decoder->caches);
    decoder->device->deallocate(KGEN_MEMORY_SMALL, decoder->activations, (size_t)decoder->arena.bytes);
    for (size_t i = 0; decoder->calls != NULL && i < decoder->graph->node_count; i++) {
        decoder->device->deallocate(KGEN_MEMORY_SMALL, decoder->calls[i].workspace, 0);
        decoder->device->deallocate(KGEN_MEMORY_SMALL, decoder->calls[i].scratch, 0);
    }
    kgen_team_free(decoder->team);
    kgen_arena_free(&decoder->arena);
    free(decoder->calls);
    free(decoder->jobs);
    free(decoder->busy);
    free(decoder->state_buffers);
    free(decoder->page_buffers);
    free(decoder);
}

static int fail_memory(struct kgen_error *error)
{
    return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "no memory for the model");
}

/* The number of elements of a tensor. */
static int64_t elements_of(const struct kgen_graph_tensor *tensor)
{
    int64_t elements = 1;
    for (size_t i = 0; i < tensor->rank; i++)
        elements *= tensor->shape[i];
    return elements;
}

/* ---- the parts of a call ---- */

/* Binds the tensors of a node: activations to buffers, the position to a scalar. A tensor that is neither is
 * the token, which selects rows of the weights. */
static void bind_tensors(struct kgen_decoder *decoder, const struct kgen_graph_node *node,
                         struct kgen_decoder_call *call)
{
    struct kgen_buffers buffers;
    kgen_problem_buffers(&node->problem, &buffers);
    call->position_scalar = -1;
    for (size_t i = 0; i < node->tensor_count; i++) {
        const struct kgen_graph_operand *operand = &node->tensors[i];
        const int buffer = kgen_buffers_find(&buffers, operand->buffer);
        const int scalar = kgen_scalar_find(node->problem.op, operand->buffer);
        if (buffer >= 0)
            call->arguments.buffers[buffer] = decoder->activations + decoder->arena.offsets[operand->index];
        else if (scalar >= 0)
            call->position_scalar = scalar;
        else
            call->selects_rows = true; /* as kgen_graph_selects_rows */
    }
}

/* Finds the buffers that the states of a node are bound to. */
static int find_states(struct kgen_decoder *decoder, size_t index, struct kgen_error *error)
{
    const struct kgen_graph *graph = decoder->graph;
    struct kgen_decoder_call *call = &decoder->calls[index];
    struct kgen_buffers buffers;
    kgen_problem_buffers(&graph->nodes[index].problem, &buffers);
    for (size_t i = 0; i < graph->state_count; i++) {
        if (graph->states[i].node != index)
            continue;
        const int buffer = kgen_buffers_find(&buffers, graph->states[i].buffer);
        if (buffer < 0)
            return kgen_error_set(error, KGEN_ERROR_SPEC, NULL, 0, 0, "%s: %s has no buffer %s",
                                  graph->nodes[index].name, graph->nodes[index].problem.op->name,
                                  graph->states[i].buffer);
        decoder->state_buffers[i] = buffer;
        decoder->page_buffers[i] = kgen_buffers_find(&buffers, "pages");
        call->first_state = call->state_count == 0 ? i : call->first_state;
        call->state_count = i + 1 - call->first_state;
    }
    return 0;
}

void kgen_decoder_bind(const struct kgen_decoder *decoder, size_t node, const struct kgen_sequence *sequence,
                       struct kgen_arguments *arguments)
{
    const struct kgen_decoder_call *call = &decoder->calls[node];
    for (size_t i = call->first_state; i < call->first_state + call->state_count; i++) {
        if (decoder->graph->states[i].node != node)
            continue;
        arguments->buffers[decoder->state_buffers[i]] = sequence->states[i];
        if (decoder->page_buffers[i] >= 0)
            arguments->buffers[decoder->page_buffers[i]] = kgen_sequence_table(sequence, i);
    }
}

/* Allocates the workspace and the scratch of a call. */
static int bind_own(struct kgen_decoder *decoder, struct kgen_decoder_call *call, struct kgen_error *error)
{
    const struct kgen_kernel *kernel = call->kernel;
    struct kgen_buffers buffers;
    kgen_problem_buffers(&kernel->problem, &buffers);
    const int workspace = kgen_buffers_of_role(&buffers, KGEN_WORKSPACE);
    const int scratch = kgen_buffers_of_role(&buffers, KGEN_SCRATCH);
    if (workspace >= 0 && kernel->workspace_bytes > 0) {
        call->workspace = decoder->device->allocate(KGEN_MEMORY_SMALL, kernel->workspace_bytes, error);
        call->arguments.buffers[workspace] = call->workspace;
        if (call->workspace == NULL)
            return fail_memory(error);
    }
    if (scratch >= 0 && kernel->scratch_bytes > 0) {
        call->scratch = decoder->device->allocate(
            KGEN_MEMORY_SMALL, kernel->scratch_bytes * (size_t)kernel->problem.threads, error);
        call->arguments.buffers[scratch] = call->scratch;
        if (call->scratch == NULL)
            return fail_memory(error);
    }
    return 0;
}

static int make_call(struct kgen_decoder *decoder, const struct kgen_decoder_parts *parts, size_t index,
                     struct kgen_error *error)
{
    const struct kgen_graph_node *node = &decoder->graph->nodes[index];
    struct kgen_decoder_call *call = &decoder->calls[index];
    if (node->status != KGEN_GRAPH_DERIVED || node->entry_count == 0)
        return kgen_error_set(error, KGEN_ERROR_SPEC, NULL, 0, 0, "%s cannot run: %s: %s", node->name,
                              node->op, kgen_graph_status_name(node->status));
    call->kernel = parts->kernels[node->entries[0]];
    for (size_t i = 0; i < node->problem.op->scalar_count; i++)
        call->arguments.scalars[i] = kgen_scalar_typical(&node->problem, &node->problem.op->scalars[i]);
    call->range = kgen_problem_range(&call->kernel->problem);
    bind_tensors(decoder, node, call);
    if (find_states(decoder, index, error) != 0 || bind_own(decoder, call, error) != 0)
        return -1;
    return kgen_decoder_load(decoder, index, error);
}

static int find_logits(struct kgen_decoder *decoder, struct kgen_error *error)
{
    for (size_t i = 0; i < decoder->graph->tensor_count; i++) {
        const struct kgen_graph_tensor *tensor = &decoder->graph->tensors[i];
        if (!tensor->result)
            continue;
        decoder->logits = (const float *)(const void *)(decoder->activations + decoder->arena.offsets[i]);
        decoder->vocabulary = elements_of(tensor);
        return 0;
    }
    return kgen_error_set(error, KGEN_ERROR_SPEC, NULL, 0, 0, "the graph has no result");
}

static int open_decoder(struct kgen_decoder *decoder, const struct kgen_decoder_parts *parts,
                        struct kgen_error *error)
{
    const struct kgen_graph *graph = parts->graph;
    if (kgen_arena_plan(&decoder->arena, graph, error) != 0)
        return -1;
    decoder->calls = calloc(graph->node_count + 1, sizeof *decoder->calls);
    decoder->state_buffers = calloc(graph->state_count + 1, sizeof *decoder->state_buffers);
    decoder->page_buffers = calloc(graph->state_count + 1, sizeof *decoder->page_buffers);
    decoder->activations = decoder->device->allocate(
        KGEN_MEMORY_SMALL, (size_t)(decoder->arena.bytes > 0 ? decoder->arena.bytes : 1), error);
    if (decoder->calls == NULL || decoder->state_buffers == NULL || decoder->page_buffers == NULL ||
        decoder->activations == NULL)
        return fail_memory(error);
    if (kgen_paged_caches_new(graph, parts->pages, &decoder->caches, error) != 0)
        return -1;
    decoder->context = kgen_sequence_most(graph);
    decoder->sizes.caches = kgen_sequence_bytes(graph, decoder->context);
    decoder->sizes.activations = (size_t)decoder->arena.bytes;
    decoder->threads = parts->threads > 1 ? (size_t)parts->threads : 1;
    decoder->team = kgen_team_new(parts->threads, error);
    if (decoder->team == NULL || find_logits(decoder, error) != 0)
        return -1;
    for (size_t i = 0; i < graph->node_count; i++) {
        if (make_call(decoder, parts, i, error) != 0)
            return -1;
        if (parts->progress != NULL)
            parts->progress(parts->progress_context, i + 1, graph->node_count);
    }
    kgen_decoder_let_go(decoder);
    if (kgen_decoder_jobs_new(decoder, error) != 0)
        return -1;
    return kgen_decoder_batches_new(decoder, parts, error);
}

struct kgen_decoder *kgen_decoder_new(const struct kgen_decoder_parts *parts, struct kgen_error *error)
{
    struct kgen_decoder *decoder = calloc(1, sizeof *decoder);
    if (decoder == NULL) {
        fail_memory(error);
        return NULL;
    }
    decoder->graph = parts->graph;
    decoder->checkpoint = parts->checkpoint;
    decoder->in_place = parts->in_place;
    decoder->device = kgen_device_cpu();
    decoder->slabs.device = decoder->device;
    if (open_decoder(decoder, parts, error) == 0)
        return decoder;
    kgen_decoder_free(decoder);
    return NULL;
}

/* ---- a step ---- */

int kgen_decoder_set(const struct kgen_decoder *decoder, struct kgen_decoder_call *call, int64_t token,
                     int64_t position, struct kgen_error *error)
{
    if (call->position_scalar >= 0)
        call->arguments.scalars[call->position_scalar] = position;
    return call->selects_rows && decoder->checkpoint != NULL
               ? kgen_checkpoint_matrix(decoder->checkpoint, call->rows_of, token, token + 1, &call->row, 0,
                                        error)
               : 0;
}

int kgen_decoder_run(const struct kgen_decoder *decoder, struct kgen_decoder_call *call, int64_t token,
                     int64_t position, struct kgen_error *error)
{
    if (kgen_decoder_set(decoder, call, token, position, error) != 0)
        return -1;
    kgen_kernel_run_team(call->kernel, &call->arguments,
                         call->kernel->problem.threads > 1 ? decoder->team : NULL);
    return 0;
}

struct kgen_sequence *kgen_decoder_sequence_new(const struct kgen_decoder *decoder, int64_t context,
                                                struct kgen_error *error)
{
    return kgen_sequence_new(decoder->graph, decoder->caches, context, error);
}

int64_t kgen_decoder_page_size(const struct kgen_decoder *decoder)
{
    return decoder->caches != NULL ? decoder->caches->page_size : 0;
}

int64_t kgen_decoder_pages(const struct kgen_decoder *decoder)
{
    return decoder->caches != NULL ? kgen_pages_count(decoder->caches->group[0].pages) : 0;
}

int64_t kgen_decoder_pages_left(const struct kgen_decoder *decoder)
{
    int64_t least = decoder->caches != NULL ? INT64_MAX : 0;
    for (size_t i = 0; decoder->caches != NULL && i < decoder->caches->group_count; i++) {
        const int64_t left = kgen_pages_left(decoder->caches->group[i].pages);
        least = left < least ? left : least;
    }
    return least;
}

int64_t kgen_decoder_vocabulary(const struct kgen_decoder *decoder)
{
    return decoder->vocabulary;
}

int64_t kgen_decoder_context(const struct kgen_decoder *decoder)
{
    return decoder->context;
}

void kgen_decoder_query(const struct kgen_decoder *decoder, struct kgen_decoder_sizes *sizes)
{
    *sizes = decoder->sizes;
    if (decoder->own != NULL && decoder->context > 0)
        sizes->filled_caches = kgen_sequence_bytes(decoder->graph, decoder->own->filled);
}
