/* SPDX-License-Identifier: MIT */
/* The experts of gpt-oss as Hugging Face's library saves them: "X.gate_up_proj_blocks" and "_scales" are
 * mxfp4, whose rows are in turn of gate_proj and up_proj, "_bias" has their biases. They become tensors as
 * mlx-lm names them. */
#include "gen/ops/formats/grouped.h"
#include "runtime/model/checkpoint_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GROUP = 32, BLOCK_BYTES = GROUP / 2 };

static const struct part {
    const char *ending; /* in the file */
    const char *name;   /* ".mlp.experts.gate_proj.weight" */
    int64_t first, step;
} parts[] = {
    {".mlp.experts.gate_up_proj_blocks", ".mlp.experts.gate_proj.weight", 0, 2},
    {".mlp.experts.gate_up_proj_blocks", ".mlp.experts.up_proj.weight", 1, 2},
    {".mlp.experts.down_proj_blocks", ".mlp.experts.down_proj.weight", 0, 1},
    {".mlp.experts.gate_up_proj_bias", ".mlp.experts.gate_proj.bias", 0, 2},
    {".mlp.experts.gate_up_proj_bias", ".mlp.experts.up_proj.bias", 1, 2},
    {".mlp.experts.down_proj_bias", ".mlp.experts.down_proj.bias", 0, 1},
};

static bool ends_with(const char *name, const char *ending)
{
    const size_t length = strlen(name), size = strlen(ending);
    return length > size && strcmp(name + length - size, ending) == 0;
}

static bool is_scales(const char *name)
{
    return ends_with(name, ".mlp.experts.gate_up_proj_scales") ||
           ends_with(name, ".mlp.experts.down_proj_scales");
}

static int fail(const struct kgen_checkpoint_folder *folder, const struct kgen_checkpoint_tensor *tensor,
                const char *what, struct kgen_error *error)
{
    char shown[KGEN_CHECKPOINT_NAME_MAX];
    return kgen_error_set(error, KGEN_ERROR_SPEC, folder->source, 0, 0, "the tensor %s %s",
                          kgen_gguf_show(tensor->stored_name, shown, sizeof shown), what);
}

/* The scales beside blocks, [experts, rows, groups] of bytes, where the blocks are [experts, rows, groups,
 * 16]. */
static int find_scales(const struct kgen_checkpoint_folder *folder,
                       const struct kgen_checkpoint_tensor *blocks,
                       const struct kgen_checkpoint_tensor **scales, struct kgen_error *error)
{
    char name[KGEN_CHECKPOINT_NAME_MAX];
    const char *stored = blocks->stored_name.data;
    const size_t before = strlen(stored) - strlen("blocks");
    *scales = NULL;
    if (before + strlen("scales") < sizeof name) {
        snprintf(name, sizeof name, "%.*sscales", (int)before, stored);
        *scales = kgen_checkpoint_folder_find(folder, name);
    }
    if (*scales == NULL)
        return fail(folder, blocks, "has no scales beside it", error);
    if (blocks->rank != 4 || blocks->shape[3] != BLOCK_BYTES || strcmp(blocks->type, "U8") != 0)
        return fail(folder, blocks, "is not U8 of the shape [experts, rows, groups, 16]", error);
    if ((*scales)->rank != 3 || strcmp((*scales)->type, "U8") != 0 ||
        memcmp((*scales)->shape, blocks->shape, 3 * sizeof blocks->shape[0]) != 0)
        return fail(folder, *scales, "is not U8 of the shape that the blocks have", error);
    return 0;
}

/* Makes a tensor of the matrices of all experts. */
static int make_matrix(const struct kgen_checkpoint_folder *folder,
                       const struct kgen_checkpoint_tensor *blocks, const struct part *part,
                       struct kgen_checkpoint_tensor *made, struct kgen_error *error)
{
    const struct kgen_checkpoint_tensor *scales;
    if (find_scales(folder, blocks, &scales, error) != 0)
        return -1;
    if (blocks->shape[1] % part->step != 0)
        return fail(folder, blocks, "has an odd number of rows for each expert", error);
    const struct kgen_format *format = kgen_format_find(KGEN_MXFP4);
    const int64_t rows = blocks->shape[1] / part->step, columns = blocks->shape[2] * GROUP;
    made->type = kgen_constant_name(format->scheme);
    made->rank = 3;
    made->shape[0] = blocks->shape[0];
    made->shape[1] = rows;
    made->shape[2] = columns;
    made->elements = blocks->shape[0] * rows * columns;
    made->bytes = (blocks->bytes + scales->bytes) / (uint64_t)part->step;
    made->matrix = (struct kgen_matrix){.format = format,
                                        .N = blocks->shape[0] * rows,
                                        .K = columns,
                                        .bits = format->bits,
                                        .group_size = format->group_size,
                                        .scale_dtype = format->scale_dtype};
    made->arrays[KGEN_GROUPED_WEIGHTS] = blocks->data;
    made->arrays[KGEN_GROUPED_SCALES] = scales->data;
    return 0;
}

/* Makes the tensor of a part. */
static int make(const struct kgen_checkpoint_folder *folder, const struct kgen_checkpoint_tensor *stored,
                const struct part *part, struct kgen_checkpoint_tensor *made, struct kgen_error *error)
{
    const size_t before = strlen(stored->stored_name.data) - strlen(part->ending);
    *made = *stored;
    made->first_row = part->first;
    made->row_step = part->step;
    if (before + strlen(part->name) >= sizeof made->name)
        return fail(folder, stored, "has too long a name", error);
    snprintf(made->name, sizeof made->name, "%.*s%s", (int)before, stored->stored_name.data, part->name);
    made->stored_name = (struct kgen_gguf_text){made->name, strlen(made->name)};
    if (ends_with(part->ending, "_blocks"))
        return make_matrix(folder, stored, part, made, error);
    const size_t last = stored->rank - 1;
    if (stored->rank != 2 || stored->shape[last] % part->step != 0)
        return fail(folder, stored, "is not a matrix of the biases of gate and up", error);
    made->shape[last] = stored->shape[last] / part->step;
    made->elements = stored->elements / part->step;
    made->bytes = stored->bytes / (uint64_t)part->step;
    made->matrix = (struct kgen_matrix){.format = NULL};
    return 0;
}

static int make_all(const struct kgen_checkpoint_folder *folder, struct kgen_checkpoint_tensor *tensors,
                    size_t *count, struct kgen_error *error)
{
    for (size_t i = 0; i < folder->count; i++) {
        const struct kgen_checkpoint_tensor *stored = &folder->tensors[i];
        size_t made = 0;
        for (size_t j = 0; j < KGEN_COUNT_OF(parts); j++) {
            if (!ends_with(stored->stored_name.data, parts[j].ending))
                continue;
            if (make(folder, stored, &parts[j], &tensors[*count + made++], error) != 0)
                return -1;
        }
        if (made == 0 && !is_scales(stored->stored_name.data))
            tensors[*count + made++] = *stored;
        *count += made;
    }
    return 0;
}

int kgen_checkpoint_folder_split(struct kgen_checkpoint_folder *folder, struct kgen_error *error)
{
    bool any = false;
    for (size_t i = 0; i < folder->count && !any; i++)
        any = ends_with(folder->tensors[i].stored_name.data, parts[0].ending);
    if (!any)
        return 0;
    struct kgen_checkpoint_tensor *tensors = calloc(2 * folder->count, sizeof *tensors);
    const struct kgen_checkpoint_tensor **by_name = calloc(2 * folder->count, sizeof *by_name);
    size_t count = 0;
    int result = 0;
    if (tensors == NULL || by_name == NULL)
        result = kgen_error_set(error, KGEN_ERROR_MEMORY, folder->source, 0, 0, "out of memory");
    else
        result = make_all(folder, tensors, &count, error);
    if (result != 0) {
        free(tensors);
        free(by_name);
        return -1;
    }
    free(folder->tensors);
    free(folder->by_name);
    folder->tensors = tensors;
    folder->by_name = by_name;
    folder->count = count;
    kgen_checkpoint_folder_sort(folder);
    return 0;
}
