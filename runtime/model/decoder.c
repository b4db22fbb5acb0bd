/* SPDX-License-Identifier: MIT */
#include "runtime/model/decoder_internal.h"

#include <stdlib.h>
#include <string.h>

void kgen_decoder_free(struct kgen_decoder *decoder)
{
    if (decoder == NULL)
        return;
    kgen_decoder_batch_free(decoder);
    kgen_decoder_weights_free(decoder);
    for (size_t i = 0; decoder->states != NULL && i < decoder->graph->state_count; i++)
        decoder->device->deallocate(KGEN_MEMORY_FILLED_SLOWLY, decoder->states[i], decoder->state_bytes[i]);
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
    free(decoder->states);
    free(decoder->state_bytes);
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

/* Allocates the caches of a node. A cache is as large as the buffer of the node's op that it is bound to. */
static int bind_states(struct kgen_decoder *decoder, size_t index, struct kgen_error *error)
{
    const struct kgen_graph *graph = decoder->graph;
    const struct kgen_problem *problem = &graph->nodes[index].problem;
    struct kgen_buffers buffers;
    kgen_problem_buffers(problem, &buffers);
    for (size_t i = 0; i < graph->state_count; i++) {
        if (graph->states[i].node != index)
            continue;
        const int buffer = kgen_buffers_find(&buffers, graph->states[i].buffer);
        if (buffer < 0)
            return kgen_error_set(error, KGEN_ERROR_SPEC, NULL, 0, 0, "%s: %s has no buffer %s",
                                  graph->nodes[index].name, problem->op->name, graph->states[i].buffer);
        decoder->state_bytes[i] = buffers.items[buffer].bytes;
        decoder->states[i] =
            decoder->device->allocate(KGEN_MEMORY_FILLED_SLOWLY, buffers.items[buffer].bytes, error);
        if (decoder->states[i] == NULL)
            return fail_memory(error);
        decoder->calls[index].arguments.buffers[buffer] = decoder->states[i];
        decoder->sizes.caches += buffers.items[buffer].bytes;
        const int64_t context = kgen_problem_get(problem, "context");
        if (decoder->context == 0 || context < decoder->context)
            decoder->context = context;
    }
    return 0;
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
    if (bind_states(decoder, index, error) != 0 || bind_own(decoder, call, error) != 0)
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
    decoder->states = calloc(graph->state_count + 1, sizeof *decoder->states);
    decoder->state_bytes = calloc(graph->state_count + 1, sizeof *decoder->state_bytes);
    decoder->activations = decoder->device->allocate(
        KGEN_MEMORY_SMALL, (size_t)(decoder->arena.bytes > 0 ? decoder->arena.bytes : 1), error);
    if (decoder->calls == NULL || decoder->states == NULL || decoder->state_bytes == NULL ||
        decoder->activations == NULL)
        return fail_memory(error);
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
    return kgen_decoder_batch_new(decoder, parts, error);
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

static int check_position(const struct kgen_decoder *decoder, int64_t position, int64_t count,
                          struct kgen_error *error)
{
    if (position < 0 || count > decoder->context || position > decoder->context - count) {
        kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "the caches have room for %lld positions",
                       (long long)decoder->context);
        kgen_error_hint(error, "ask for a larger context");
        return -1;
    }
    if (position > decoder->filled)
        return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0,
                              "position %lld is asked for, %lld are filled", (long long)position,
                              (long long)decoder->filled);
    return 0;
}

int kgen_decoder_check(const struct kgen_decoder *decoder, const int32_t *tokens, size_t count,
                       int64_t position, struct kgen_error *error)
{
    if (count == 0)
        return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "there are no tokens to run");
    for (size_t i = 0; i < count; i++) {
        if (tokens[i] < 0 || tokens[i] >= decoder->vocabulary)
            return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "token %ld is not below %lld",
                                  (long)tokens[i], (long long)decoder->vocabulary);
    }
    return check_position(decoder, position, count > INT64_MAX ? INT64_MAX : (int64_t)count, error);
}

const float *kgen_decoder_step(struct kgen_decoder *decoder, int64_t token, int64_t position,
                               struct kgen_error *error)
{
    if (token < 0 || token >= decoder->vocabulary) {
        kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "token %lld is not below %lld", (long long)token,
                       (long long)decoder->vocabulary);
        return NULL;
    }
    if (check_position(decoder, position, 1, error) != 0)
        return NULL;
    if (kgen_decoder_jobs_run(decoder, token, position, error) != 0)
        return NULL;
    decoder->filled = position + 1;
    return decoder->logits;
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
    if (decoder->context > 0)
        sizes->filled_caches =
            (size_t)((double)sizes->caches * (double)decoder->filled / (double)decoder->context);
}
