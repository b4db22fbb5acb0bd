/* SPDX-License-Identifier: MIT */
/* Holds the tensors of a checkpoint against the weights of a graph. */
#include "runtime/model/checkpoint_internal.h"

#include <stdlib.h>
#include <string.h>

struct check {
    const struct kgen_checkpoint *checkpoint;
    struct kgen_checkpoint_mismatches *mismatches;
    bool failed; /* out of memory */
};

/* Takes what. The name may come from the file. */
static void add(struct check *check, struct kgen_gguf_text name, struct kgen_text *what)
{
    struct kgen_checkpoint_mismatches *list = check->mismatches;
    if (list->count == list->capacity) {
        const size_t capacity = list->capacity == 0 ? 16 : 2 * list->capacity;
        struct kgen_checkpoint_mismatch *items = realloc(list->items, capacity * sizeof *items);
        if (items != NULL) {
            list->items = items;
            list->capacity = capacity;
        }
    }
    char shown[KGEN_CHECKPOINT_NAME_MAX];
    char *copy = strdup(kgen_gguf_show(name, shown, sizeof shown));
    if (copy == NULL || what->failed || list->count == list->capacity) {
        check->failed = true;
        free(copy);
        kgen_text_free(what);
        return;
    }
    list->items[list->count++] = (struct kgen_checkpoint_mismatch){copy, what->data};
    *what = (struct kgen_text){0};
}

static void write_shape(const int64_t *shape, size_t rank, struct kgen_text *text)
{
    for (size_t i = 0; i < rank; i++)
        kgen_text_printf(text, "%s%lld", i == 0 ? "[" : ", ", (long long)shape[i]);
    kgen_text_puts(text, "]");
}

/* The taps of a convolution of channels, [channels, 1, taps] or [channels, taps, 1], are as a vector in
 * memory.
 */
static bool is_vector(const struct kgen_checkpoint_tensor *tensor)
{
    return tensor->plain && tensor->rank == 3 && (tensor->shape[1] == 1 || tensor->shape[2] == 1);
}

static bool shapes_agree(const struct kgen_graph_weight *weight, const struct kgen_checkpoint_tensor *tensor)
{
    if (weight->rank == 1 && is_vector(tensor))
        return weight->shape[0] == tensor->elements;
    if (weight->rank != tensor->rank)
        return false;
    for (size_t i = 0; i < weight->rank; i++) {
        if (weight->shape[i] != tensor->shape[i])
            return false;
    }
    return true;
}

/* Whether a weight is read as plain numbers: a vector, or the biases of all experts. */
static bool is_plain(const struct kgen_graph_weight *weight)
{
    static const char ending[] = ".bias";
    const size_t length = strlen(weight->name), size = sizeof ending - 1;
    return weight->rank == 1 || (length > size && strcmp(weight->name + length - size, ending) == 0);
}

/* Appends what is wrong with the format, if anything. */
static void check_format(const struct kgen_graph_weight *weight, const struct kgen_checkpoint_tensor *tensor,
                         struct kgen_text *what)
{
    const struct kgen_matrix *matrix = &tensor->matrix;
    if (is_plain(weight)) {
        if (!tensor->plain)
            kgen_text_printf(what, "is %s; F32, F16 and BF16 are read as vectors", tensor->type);
    } else if (matrix->format == NULL) {
        kgen_text_printf(what, "is a matrix of type %s, which kgen has no weight format for (it has %s)",
                         tensor->type, kgen_checkpoint_types);
    } else if (weight->format != KGEN_GRAPH_QUANTISED || matrix->format->scheme != weight->scheme ||
               matrix->bits != weight->bits || matrix->group_size != weight->group_size ||
               matrix->scale_dtype != weight->scale_dtype) {
        kgen_text_printf(what, "is %s, and the spec wants another format", tensor->type);
    }
}

static void check_weight(struct check *check, const struct kgen_graph_weight *weight)
{
    struct kgen_checkpoint_tensor tensor;
    struct kgen_text what = {0};
    if (!kgen_checkpoint_find(check->checkpoint, weight->name, &tensor)) {
        kgen_text_puts(&what, "is not in the file");
    } else if (!shapes_agree(weight, &tensor)) {
        kgen_text_puts(&what, "has the shape ");
        write_shape(tensor.shape, tensor.rank, &what);
        kgen_text_puts(&what, ", and the model wants ");
        write_shape(weight->shape, weight->rank, &what);
    } else {
        check_format(weight, &tensor, &what);
    }
    if (what.length > 0 || what.failed)
        add(check, (struct kgen_gguf_text){weight->name, strlen(weight->name)}, &what);
    kgen_text_free(&what);
}

/* Whether a tensor is the head of a model whose head are its embeddings, with the same bytes. */
static bool is_tied_head(const struct check *check, const struct kgen_checkpoint_tensor *tensor)
{
    struct kgen_checkpoint_tensor embedding;
    const struct kgen_matrix *matrix = &tensor->matrix, *other = &embedding.matrix;
    if (strcmp(tensor->name, "lm_head.weight") != 0 || matrix->format == NULL ||
        !kgen_checkpoint_find(check->checkpoint, "model.embed_tokens.weight", &embedding) ||
        matrix->format != other->format || matrix->N != other->N || matrix->K != other->K ||
        matrix->bits != other->bits || matrix->group_size != other->group_size ||
        matrix->scale_dtype != other->scale_dtype || tensor->conversion != NULL)
        return false;
    for (size_t i = 0; i < matrix->format->array_count; i++) {
        const int64_t bytes = matrix->format->arrays[i].row_bytes(matrix) * matrix->N;
        if (bytes > 0 && memcmp(tensor->arrays[i], embedding.arrays[i], (size_t)bytes) != 0)
            return false;
    }
    return true;
}

static int compare_names(const void *a, const void *b)
{
    const char *const *one = a, *const *other = b;
    return strcmp(*one, *other);
}

/* names are those of the weights, sorted. */
static void check_left_over(struct check *check, const char **names, size_t count)
{
    const size_t tensors = kgen_checkpoint_tensor_count(check->checkpoint);
    for (size_t i = 0; i < tensors; i++) {
        struct kgen_checkpoint_tensor tensor;
        struct kgen_text what = {0};
        kgen_checkpoint_tensor_at(check->checkpoint, i, &tensor);
        const char *name = tensor.name;
        if (name[0] != '\0' && bsearch(&name, names, count, sizeof *names, compare_names) != NULL)
            continue;
        if (kgen_checkpoint_is_of_rope(tensor.stored_name) || is_tied_head(check, &tensor))
            continue;
        kgen_text_puts(&what, "is in the file, and nothing in the model uses it");
        add(check, name[0] != '\0' ? (struct kgen_gguf_text){name, strlen(name)} : tensor.stored_name, &what);
    }
}

int kgen_checkpoint_check(const struct kgen_checkpoint *checkpoint, const struct kgen_graph *graph,
                          struct kgen_checkpoint_mismatches *mismatches, struct kgen_error *error)
{
    struct check check = {checkpoint, mismatches, false};
    const char **names = calloc(graph->weight_count + 1, sizeof *names);
    check.failed = names == NULL;
    for (size_t i = 0; i < graph->weight_count && !check.failed; i++) {
        names[i] = graph->weights[i].name;
        check_weight(&check, &graph->weights[i]);
    }
    if (!check.failed) {
        qsort(names, graph->weight_count, sizeof *names, compare_names);
        check_left_over(&check, names, graph->weight_count);
    }
    free(names);
    return check.failed ? kgen_error_set(error, KGEN_ERROR_MEMORY, kgen_checkpoint_source(checkpoint), 0, 0,
                                         "out of memory")
                        : 0;
}

void kgen_checkpoint_mismatches_free(struct kgen_checkpoint_mismatches *mismatches)
{
    for (size_t i = 0; i < mismatches->count; i++) {
        free(mismatches->items[i].name);
        free(mismatches->items[i].what);
    }
    free(mismatches->items);
    *mismatches = (struct kgen_checkpoint_mismatches){0};
}
