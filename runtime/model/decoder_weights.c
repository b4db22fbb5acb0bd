/* SPDX-License-Identifier: MIT */
/* The weights of a decoder: read from the checkpoint into the layout that the kernels want. */
#include "gen/ops/layout.h"
#include "gen/ops/random.h"
#include "runtime/model/decoder_internal.h"

#include <stdlib.h>
#include <string.h>

static int fail_memory(struct kgen_error *error)
{
    return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "no memory for the weights");
}

/* The rows of a vector's elements, or of a matrix; of a stack of matrices those of all. */
static int64_t rows_of_weight(const struct kgen_graph_weight *weight)
{
    return weight->rank == 3 ? weight->shape[0] * weight->shape[1] : weight->shape[0];
}

/* The elements of a vector, or of a table of vectors. */
static int64_t elements_of(const struct kgen_graph_weight *weight)
{
    int64_t elements = 1;
    for (size_t i = 0; i < weight->rank; i++)
        elements *= weight->shape[i];
    return elements;
}

/* The elements of all vectors of a node that are bound to a buffer. */
static int64_t elements_of_buffer(const struct kgen_graph *graph, const struct kgen_graph_node *node,
                                  const char *buffer)
{
    int64_t elements = 0;
    for (size_t i = 0; i < node->weight_count; i++) {
        if (strcmp(node->weights[i].buffer, buffer) == 0)
            elements += elements_of(&graph->weights[node->weights[i].index]);
    }
    return elements;
}

/* Whether the buffers of two nodes are bound to the same weights, in the same order. */
static bool same_weights(const struct kgen_graph_node *a, const struct kgen_graph_node *b, const char *buffer)
{
    size_t i = 0, j = 0;
    for (;; i++, j++) {
        while (i < a->weight_count && strcmp(a->weights[i].buffer, buffer) != 0)
            i++;
        while (j < b->weight_count && strcmp(b->weights[j].buffer, buffer) != 0)
            j++;
        if (i == a->weight_count || j == b->weight_count)
            return i == a->weight_count && j == b->weight_count;
        if (a->weights[i].index != b->weights[j].index)
            return false;
    }
}

/* The weights of an earlier node that this one can use, or NULL. */
static const struct kgen_decoder_weights *find_shared(const struct kgen_decoder *decoder, size_t node,
                                                      const char *buffer)
{
    const struct kgen_graph_node *nodes = decoder->graph->nodes;
    for (size_t i = 0; i < decoder->weight_count; i++) {
        const struct kgen_decoder_weights *weights = &decoder->weights[i];
        if (strcmp(weights->buffer, buffer) == 0 && !decoder->calls[weights->node].selects_rows &&
            kgen_problem_get(&nodes[weights->node].problem, "layout") ==
                kgen_problem_get(&nodes[node].problem, "layout") &&
            kgen_problem_format(&nodes[weights->node].problem) == kgen_problem_format(&nodes[node].problem) &&
            same_weights(&nodes[weights->node], &nodes[node], buffer))
            return weights;
    }
    return NULL;
}

static struct kgen_decoder_weights *add_weights(struct kgen_decoder *decoder, size_t node, const char *buffer,
                                                struct kgen_error *error)
{
    if (decoder->weight_count == decoder->weight_capacity) {
        const size_t capacity = decoder->weight_capacity * 2 + 16;
        struct kgen_decoder_weights *grown = realloc(decoder->weights, capacity * sizeof *grown);
        if (grown == NULL) {
            fail_memory(error);
            return NULL;
        }
        decoder->weights = grown;
        decoder->weight_capacity = capacity;
    }
    struct kgen_decoder_weights *weights = &decoder->weights[decoder->weight_count++];
    *weights = (struct kgen_decoder_weights){.node = node, .buffer = buffer};
    return weights;
}

static unsigned char *allocate(struct kgen_decoder *decoder, struct kgen_decoder_weights *weights,
                               size_t array, size_t bytes, struct kgen_error *error)
{
    weights->arrays[array] = kgen_slabs_allocate(&decoder->slabs, bytes, error);
    if (weights->arrays[array] != NULL)
        decoder->sizes.weights += bytes;
    return weights->arrays[array];
}

void kgen_decoder_weights_free(struct kgen_decoder *decoder)
{
    kgen_slabs_free(&decoder->slabs);
    free(decoder->weights);
}

/* ---- matrices ---- */

/* Rows that are read and packed at once: a multiple of those of a tile. */
enum { CHUNK_ROWS = 1024 };
/* Rows of random weights that differ. */
enum { FILLED_ROWS = 16 };

/* The loading of one matrix, of which the threads take chunks. */
struct loading {
    const struct kgen_decoder *decoder;
    size_t node;
    const char *buffer;
    struct kgen_matrix matrix; /* whole, in the layout of the problem */
    int64_t matrix_rows;       /* of each where the weights are several */
    bool packs;                /* the layout is not that of checkpoints */
    struct kgen_error *errors; /* of each thread */
};

/* Random weights, as models have them, as rows `at` and on of a matrix. A few rows come again and again. */
static void fill_rows(const struct kgen_matrix *matrix, int64_t at, int64_t count, uint64_t seed)
{
    struct kgen_random random = {seed};
    struct kgen_matrix first = *matrix;
    first.N = count < FILLED_ROWS ? count : FILLED_ROWS;
    for (size_t i = 0; i < matrix->format->array_count; i++)
        first.arrays[i] =
            (unsigned char *)matrix->arrays[i] + at * matrix->format->arrays[i].row_bytes(matrix);
    matrix->format->fill(&first, KGEN_WEIGHTS_ORDINARY, &random);
    for (size_t i = 0; i < matrix->format->array_count; i++) {
        const size_t bytes = (size_t)matrix->format->arrays[i].row_bytes(matrix);
        unsigned char *rows = first.arrays[i];
        for (size_t row = FILLED_ROWS; bytes > 0 && row < (size_t)count; row++)
            memcpy(rows + row * bytes, rows + (row - FILLED_ROWS) * bytes, bytes);
    }
}

/* Reads rows begin to end of all weights of a buffer, which lie one below the other, in the layout of
 * checkpoints to rows `at` and on. */
static int read_rows(const struct loading *loading, int64_t begin, int64_t end,
                     const struct kgen_matrix *matrix, int64_t at, struct kgen_error *error)
{
    const struct kgen_graph *graph = loading->decoder->graph;
    const struct kgen_graph_node *node = &graph->nodes[loading->node];
    int64_t first = 0;
    if (loading->decoder->checkpoint == NULL) {
        fill_rows(matrix, at, end - begin, (uint64_t)loading->node + 1);
        return 0;
    }
    for (size_t i = 0; i < node->weight_count; i++) {
        if (strcmp(node->weights[i].buffer, loading->buffer) != 0)
            continue;
        const struct kgen_graph_weight *weight = &graph->weights[node->weights[i].index];
        const int64_t count = rows_of_weight(weight);
        const int64_t from = begin > first ? begin : first;
        const int64_t to = end < first + count ? end : first + count;
        if (from < to) {
            const struct kgen_checkpoint *checkpoint = loading->decoder->checkpoint;
            if (kgen_checkpoint_matrix(checkpoint, weight->name, from - first, to - first, matrix,
                                       at + from - begin, error) != 0)
                return -1;
            kgen_checkpoint_let_go(checkpoint, weight->name, from - first, to - first);
        }
        first += count;
    }
    return 0;
}

/* Packs rows, of which begin is the first, into their place. They are rows of one matrix. */
static void pack_rows(const struct loading *loading, int64_t begin, const struct kgen_matrix *rows)
{
    struct kgen_problem problem = loading->decoder->graph->nodes[loading->node].problem;
    const int64_t N = loading->matrix_rows, matrix = begin / N;
    begin = matrix * (kgen_layout_rows(&problem) / kgen_problem_matrices(&problem)) + begin % N;
    kgen_problem_set(&problem, "N", rows->N);
    kgen_problem_set(&problem, "experts", 1);
    for (size_t i = 0; i < rows->format->array_count; i++) {
        const int64_t row_bytes = rows->format->arrays[i].row_bytes(rows);
        if (row_bytes > 0)
            kgen_layout_pack(&problem, (int)i, rows->arrays[i],
                             (unsigned char *)loading->matrix.arrays[i] + begin * row_bytes);
    }
}

static int load_chunk(const struct loading *loading, int64_t begin, int64_t end, struct kgen_error *error)
{
    if (!loading->packs)
        return read_rows(loading, begin, end, &loading->matrix, begin, error);
    struct kgen_matrix rows = loading->matrix;
    rows.N = end - begin;
    int result = 0;
    for (size_t i = 0; i < rows.format->array_count; i++) {
        rows.arrays[i] = malloc((size_t)(rows.format->arrays[i].row_bytes(&rows) * rows.N) + 1);
        if (rows.arrays[i] == NULL)
            result = fail_memory(error);
    }
    if (result == 0)
        result = read_rows(loading, begin, end, &rows, 0, error);
    if (result == 0)
        pack_rows(loading, begin, &rows);
    for (size_t i = 0; i < rows.format->array_count; i++)
        free(rows.arrays[i]);
    return result;
}

/* Chunks are of one matrix. */
static void load_part(void *context, size_t part, size_t parts)
{
    const struct loading *loading = context;
    const int64_t N = loading->matrix_rows, matrices = loading->matrix.N / N;
    const int64_t chunks = (N + CHUNK_ROWS - 1) / CHUNK_ROWS;
    for (int64_t chunk = (int64_t)part; chunk < matrices * chunks; chunk += (int64_t)parts) {
        const int64_t first = chunk / chunks * N, at = chunk % chunks * CHUNK_ROWS;
        const int64_t end = at + CHUNK_ROWS < N ? at + CHUNK_ROWS : N;
        if (load_chunk(loading, first + at, first + end, &loading->errors[part]) != 0)
            return;
    }
}

static int allocate_arrays(struct kgen_decoder *decoder, struct kgen_decoder_weights *weights,
                           struct kgen_matrix *matrix, struct kgen_error *error)
{
    struct kgen_buffers buffers;
    kgen_problem_buffers(&decoder->graph->nodes[weights->node].problem, &buffers);
    for (size_t i = 0; i < buffers.count; i++) {
        const int array = buffers.items[i].array;
        if (array < 0)
            continue;
        matrix->arrays[array] = allocate(decoder, weights, (size_t)array, buffers.items[i].bytes, error);
        if (matrix->arrays[array] == NULL)
            return -1;
    }
    return 0;
}

static int load_matrix(struct kgen_decoder *decoder, struct kgen_decoder_weights *weights,
                       struct kgen_error *error)
{
    const struct kgen_problem *problem = &decoder->graph->nodes[weights->node].problem;
    struct loading loading = {.decoder = decoder,
                              .node = weights->node,
                              .buffer = weights->buffer,
                              .packs = kgen_problem_get(problem, "layout") == KGEN_TILES16};
    kgen_problem_matrix(problem, NULL, &loading.matrix);
    loading.matrix_rows = kgen_problem_get(problem, "N");
    if (allocate_arrays(decoder, weights, &loading.matrix, error) != 0)
        return -1;
    loading.errors = calloc(decoder->threads, sizeof *loading.errors);
    if (loading.errors == NULL)
        return fail_memory(error);
    kgen_team_run(decoder->team, load_part, &loading);
    int result = 0;
    for (size_t i = 0; i < decoder->threads && result == 0; i++) {
        if (loading.errors[i].code != KGEN_ERROR_NONE) {
            if (error != NULL)
                *error = loading.errors[i];
            result = -1;
        }
    }
    free(loading.errors);
    return result;
}

/* ---- vectors ---- */

static int read_vectors(struct kgen_decoder *decoder, struct kgen_decoder_weights *weights,
                        struct kgen_error *error)
{
    const struct kgen_graph_node *node = &decoder->graph->nodes[weights->node];
    const int64_t count = elements_of_buffer(decoder->graph, node, weights->buffer);
    unsigned char *memory = allocate(decoder, weights, 0, (size_t)count * sizeof(float), error);
    if (memory == NULL)
        return -1;
    float *to = (float *)(void *)memory;
    struct kgen_random random = {(uint64_t)weights->node + 1};
    if (decoder->checkpoint == NULL) {
        for (int64_t i = 0; i < count; i++)
            to[i] = 0.5f + kgen_random_uniform(&random);
        return 0;
    }
    for (size_t i = 0; i < node->weight_count; i++) {
        const struct kgen_graph_weight *weight = &decoder->graph->weights[node->weights[i].index];
        if (strcmp(node->weights[i].buffer, weights->buffer) != 0)
            continue;
        if (kgen_checkpoint_values(decoder->checkpoint, weight->name, to, elements_of(weight), error) != 0)
            return -1;
        to += elements_of(weight);
    }
    return 0;
}

/* ---- in place ---- */

/* Whether the weights of a node that are bound to a buffer lie in the checkpoint as its kernel reads them,
 * which are then used there. */
static bool find_in_place(struct kgen_decoder *decoder, struct kgen_decoder_weights *weights, bool is_matrix)
{
    const struct kgen_graph_node *node = &decoder->graph->nodes[weights->node];
    const char *names[KGEN_GRAPH_WEIGHTS_MAX];
    size_t count = 0;
    if (!decoder->in_place || decoder->checkpoint == NULL)
        return false;
    for (size_t i = 0; i < node->weight_count; i++) {
        if (strcmp(node->weights[i].buffer, weights->buffer) == 0)
            names[count++] = decoder->graph->weights[node->weights[i].index].name;
    }
    if (!is_matrix) {
        const float *values = kgen_checkpoint_values_in_place(decoder->checkpoint, names, count);
        weights->arrays[0] = (unsigned char *)(uintptr_t)values;
        weights->in_place = values != NULL;
        return weights->in_place;
    }
    struct kgen_matrix matrix;
    kgen_problem_matrix(&node->problem, NULL, &matrix);
    if (!kgen_checkpoint_in_place(decoder->checkpoint, names, count,
                                  kgen_problem_get(&node->problem, "layout"), &matrix))
        return false;
    for (size_t i = 0; i < matrix.format->array_count; i++)
        weights->arrays[i] = matrix.arrays[i];
    weights->in_place = true;
    return true;
}

/* Counts the bytes of weights that are used in place. */
static void count_in_place(struct kgen_decoder *decoder, const struct kgen_decoder_weights *weights)
{
    const struct kgen_graph_node *node = &decoder->graph->nodes[weights->node];
    struct kgen_buffers buffers;
    kgen_problem_buffers(&node->problem, &buffers);
    for (size_t i = 0; i < buffers.count; i++) {
        if (strcmp(buffers.items[i].declared->name, weights->buffer) == 0)
            decoder->sizes.in_place_weights += buffers.items[i].bytes;
    }
}

/* ---- nodes ---- */

/* What a call reads of an array: of experts those that are chosen. */
static size_t read_bytes(const struct kgen_problem *problem, const struct kgen_problem_buffer *buffer)
{
    if (buffer->array < 0 || !kgen_problem_has(problem, "experts"))
        return buffer->bytes;
    return buffer->bytes / (size_t)kgen_problem_get(problem, "experts") *
           (size_t)kgen_problem_get(problem, "experts_per_token");
}

/* Points the buffers of a call at weights, and counts what a step reads of them. */
static void bind(struct kgen_decoder *decoder, size_t node, const char *buffer,
                 const struct kgen_decoder_weights *weights)
{
    struct kgen_decoder_call *call = &decoder->calls[node];
    struct kgen_buffers buffers;
    kgen_problem_buffers(&decoder->graph->nodes[node].problem, &buffers);
    for (size_t i = 0; i < buffers.count; i++) {
        const struct kgen_problem_buffer *item = &buffers.items[i];
        const bool matrix = item->array >= 0 && strcmp(item->declared->name, buffer) == 0;
        if (!matrix && strcmp(item->name, buffer) != 0)
            continue;
        unsigned char *array = weights->arrays[matrix ? item->array : 0];
        call->arguments.buffers[i] = array;
        decoder->sizes.read_weights += read_bytes(&decoder->graph->nodes[node].problem, item);
    }
}

/* Allocates a row of the node's matrix, which each step fills. */
static int add_row(struct kgen_decoder *decoder, size_t node, const char *buffer, struct kgen_error *error)
{
    const struct kgen_graph_node *described = &decoder->graph->nodes[node];
    struct kgen_decoder_call *call = &decoder->calls[node];
    struct kgen_decoder_weights *weights = add_weights(decoder, node, buffer, error);
    if (weights == NULL)
        return -1;
    kgen_problem_matrix(&described->problem, NULL, &call->row);
    call->rows_of = decoder->graph->weights[described->weights[0].index].name;
    for (size_t i = 0; i < call->row.format->array_count; i++) {
        const size_t bytes = (size_t)(call->row.format->arrays[i].row_bytes(&call->row) * call->row.N);
        call->row.arrays[i] = bytes > 0 ? allocate(decoder, weights, i, bytes, error) : NULL;
        if (bytes > 0 && call->row.arrays[i] == NULL)
            return -1;
    }
    if (decoder->checkpoint == NULL)
        fill_rows(&call->row, 0, call->row.N, (uint64_t)node + 1);
    bind(decoder, node, buffer, weights);
    return 0;
}

static int load_buffer(struct kgen_decoder *decoder, size_t node, const char *buffer,
                       struct kgen_error *error)
{
    if (decoder->calls[node].selects_rows)
        return add_row(decoder, node, buffer, error);
    const struct kgen_decoder_weights *shared = find_shared(decoder, node, buffer);
    if (shared != NULL) {
        bind(decoder, node, buffer, shared);
        return 0;
    }
    struct kgen_decoder_weights *weights = add_weights(decoder, node, buffer, error);
    if (weights == NULL)
        return -1;
    struct kgen_buffers buffers;
    kgen_problem_buffers(&decoder->graph->nodes[node].problem, &buffers);
    const int found = kgen_buffers_of_role(&buffers, KGEN_WEIGHTS);
    const bool is_matrix = found >= 0 && strcmp(buffers.items[found].declared->name, buffer) == 0;
    const bool in_place = find_in_place(decoder, weights, is_matrix);
    if (in_place)
        count_in_place(decoder, weights);
    if (is_matrix)
        *(in_place ? &decoder->sizes.in_place : &decoder->sizes.packed) += 1;
    const int result = in_place    ? 0
                       : is_matrix ? load_matrix(decoder, weights, error)
                                   : read_vectors(decoder, weights, error);
    if (result == 0)
        bind(decoder, node, buffer, weights);
    return result;
}

int kgen_decoder_load(struct kgen_decoder *decoder, size_t node, struct kgen_error *error)
{
    const struct kgen_graph_node *described = &decoder->graph->nodes[node];
    for (size_t i = 0; i < described->weight_count; i++) {
        bool earlier = false;
        for (size_t j = 0; j < i; j++)
            earlier = earlier || strcmp(described->weights[j].buffer, described->weights[i].buffer) == 0;
        if (!earlier && load_buffer(decoder, node, described->weights[i].buffer, error) != 0)
            return -1;
    }
    return 0;
}

void kgen_decoder_let_go(const struct kgen_decoder *decoder)
{
    const struct kgen_graph *graph = decoder->graph;
    for (size_t i = 0; decoder->checkpoint != NULL && i < decoder->weight_count; i++) {
        const struct kgen_decoder_weights *weights = &decoder->weights[i];
        const struct kgen_graph_node *node = &graph->nodes[weights->node];
        for (size_t j = 0; j < node->weight_count && !weights->in_place; j++) {
            const struct kgen_graph_weight *weight = &graph->weights[node->weights[j].index];
            if (weight->rank > 1)
                kgen_checkpoint_let_go(decoder->checkpoint, weight->name, 0, rows_of_weight(weight));
        }
    }
}
