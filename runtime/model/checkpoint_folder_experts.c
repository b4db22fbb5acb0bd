/* SPDX-License-Identifier: MIT */
/* The matrices of experts, where a folder has each apart, as Hugging Face's library saves them. */
#include "runtime/model/checkpoint_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_described(const void *a, const void *b)
{
    const struct kgen_checkpoint_tensor *const *one = a, *const *other = b;
    return strcmp((*one)->name, (*other)->name);
}

void kgen_checkpoint_folder_sort(struct kgen_checkpoint_folder *folder)
{
    for (size_t i = 0; i < folder->count; i++)
        folder->by_name[i] = &folder->tensors[i];
    qsort(folder->by_name, folder->count, sizeof *folder->by_name, compare_described);
}

/* The parts of "model.layers.0.mlp.experts.12.gate_proj.weight". */
struct expert_name {
    int before; /* the length of "model.layers.0.mlp" */
    size_t number;
    const char *leaf, *stacked; /* "gate_proj.weight" as it stands, and in the name of the stack */
};

static bool read_name(const char *name, struct expert_name *read)
{
    static const char mark[] = ".experts.";
    static const struct {
        const char *leaf, *stacked;
    } leaves[] = {{"gate_proj.weight", "gate_proj.weight"}, {"up_proj.weight", "up_proj.weight"},
                  {"down_proj.weight", "down_proj.weight"}, {"w1.weight", "gate_proj.weight"},
                  {"w3.weight", "up_proj.weight"},          {"w2.weight", "down_proj.weight"}};
    const char *at = strstr(name, mark);
    if (at == NULL || strlen(name) >= KGEN_CHECKPOINT_NAME_MAX)
        return false;
    const char *digits = at + strlen(mark), *end = digits;
    while (*end >= '0' && *end <= '9' && end - digits < 6)
        end++;
    if (end == digits || *end != '.' || (*digits == '0' && end - digits > 1))
        return false;
    *read = (struct expert_name){.before = (int)(at - name), .number = strtoul(digits, NULL, 10)};
    for (size_t i = 0; i < KGEN_COUNT_OF(leaves); i++) {
        if (strcmp(end + 1, leaves[i].leaf) != 0)
            continue;
        read->leaf = leaves[i].leaf;
        read->stacked = leaves[i].stacked;
        return true;
    }
    return false;
}

static int fail(const struct kgen_checkpoint_folder *folder, const struct kgen_checkpoint_tensor *tensor,
                const char *what, struct kgen_error *error)
{
    char shown[KGEN_CHECKPOINT_NAME_MAX];
    return kgen_error_set(error, KGEN_ERROR_SPEC, folder->source, 0, 0, "the tensor %s %s",
                          kgen_gguf_show(tensor->stored_name, shown, sizeof shown), what);
}

static bool are_alike(const struct kgen_checkpoint_tensor *a, const struct kgen_checkpoint_tensor *b)
{
    const struct kgen_matrix *one = &a->matrix, *other = &b->matrix;
    return a->rank == 2 && b->rank == 2 && strcmp(a->type, b->type) == 0 && a->shape[0] == b->shape[0] &&
           a->shape[1] == b->shape[1] && one->format == other->format && one->bits == other->bits &&
           one->group_size == other->group_size && one->scale_dtype == other->scale_dtype;
}

/* Finds the matrices of all experts, of which first is that of number 0, and adds the stack of them. */
static int add_stack(struct kgen_checkpoint_folder *folder, const struct kgen_checkpoint_tensor *first,
                     const struct expert_name *name, size_t *pointer_count,
                     struct kgen_checkpoint_tensor *stack, struct kgen_error *error)
{
    const struct kgen_checkpoint_tensor **experts = folder->stacks + *pointer_count, *expert;
    const char *stored = first->name;
    size_t count = 0;
    *stack = *first;
    stack->bytes = 0;
    for (;; count++) {
        char wanted[KGEN_CHECKPOINT_NAME_MAX];
        const int length =
            snprintf(wanted, sizeof wanted, "%.*s.experts.%zu.%s", name->before, stored, count, name->leaf);
        expert = length < (int)sizeof wanted ? kgen_checkpoint_folder_find(folder, wanted) : NULL;
        if (expert == NULL)
            break;
        if (!are_alike(first, expert))
            return fail(folder, expert, "has another shape or format than that of the first expert", error);
        experts[count] = expert;
        stack->bytes += expert->bytes;
    }
    *pointer_count += count;
    stack->experts = experts;
    stack->rank = 3;
    stack->shape[2] = first->shape[1];
    stack->shape[1] = first->shape[0];
    stack->shape[0] = (int64_t)count;
    stack->elements = first->elements * (int64_t)count;
    stack->matrix.N = first->matrix.N * (int64_t)count;
    stack->plain = false; /* it is read as a matrix only */
    stack->data = NULL;
    const int length =
        snprintf(stack->name, sizeof stack->name, "%.*s.switch_mlp.%s", name->before, stored, name->stacked);
    if (length >= (int)sizeof stack->name)
        return fail(folder, first, "has too long a name", error);
    stack->stored_name = (struct kgen_gguf_text){stack->name, strlen(stack->name)};
    return 0;
}

/* Makes the new list: stacks in place of their first matrices, and all other tensors. */
static int stack_all(struct kgen_checkpoint_folder *folder, struct kgen_checkpoint_tensor *tensors,
                     size_t *count, struct kgen_error *error)
{
    size_t pointer_count = 0, stacked = 0;
    for (size_t i = 0; i < folder->count; i++) {
        const struct kgen_checkpoint_tensor *tensor = &folder->tensors[i];
        struct expert_name name;
        if (!read_name(tensor->name, &name)) {
            tensors[(*count)++] = *tensor;
            continue;
        }
        stacked++;
        if (name.number == 0 &&
            add_stack(folder, tensor, &name, &pointer_count, &tensors[(*count)++], error) != 0)
            return -1;
    }
    if (pointer_count == stacked)
        return 0;
    kgen_error_set(
        error, KGEN_ERROR_SPEC, folder->source, 0, 0,
        "there are matrices of %zu experts in all, of which %zu have others of lower numbers missing",
        stacked, stacked - pointer_count);
    kgen_error_hint(error, "a file of the folder may be missing");
    return -1;
}

int kgen_checkpoint_folder_stack(struct kgen_checkpoint_folder *folder, struct kgen_error *error)
{
    struct expert_name name;
    bool any = false;
    for (size_t i = 0; i < folder->count && !any; i++)
        any = read_name(folder->tensors[i].name, &name);
    if (!any)
        return 0;
    struct kgen_checkpoint_tensor *tensors = calloc(folder->count, sizeof *tensors);
    folder->stacks = calloc(folder->count, sizeof *folder->stacks);
    size_t count = 0;
    if (tensors == NULL || folder->stacks == NULL) {
        free(tensors);
        return kgen_error_set(error, KGEN_ERROR_MEMORY, folder->source, 0, 0, "out of memory");
    }
    if (stack_all(folder, tensors, &count, error) != 0) {
        free(tensors);
        return -1;
    }
    folder->experts = folder->tensors;
    folder->tensors = tensors;
    folder->count = count;
    kgen_checkpoint_folder_sort(folder);
    return 0;
}
