/* SPDX-License-Identifier: MIT */
/* Opening checkpoints, and their tensors. */
#include "runtime/model/checkpoint_internal.h"
#include "runtime/model/llama2c.h"

#include <stdlib.h>
#include <string.h>

/* Takes the file and the image. */
static struct kgen_checkpoint *make(struct kgen_gguf *gguf, struct kgen_text *image, struct kgen_error *error)
{
    struct kgen_checkpoint *checkpoint = gguf != NULL ? calloc(1, sizeof *checkpoint) : NULL;
    if (checkpoint == NULL) {
        if (gguf != NULL)
            kgen_error_set(error, KGEN_ERROR_MEMORY, kgen_gguf_source(gguf), 0, 0, "out of memory");
        kgen_gguf_close(gguf);
        kgen_text_free(image);
        return NULL;
    }
    checkpoint->gguf = gguf;
    checkpoint->image = *image;
    return checkpoint;
}

struct kgen_checkpoint *kgen_checkpoint_open(const char *path, struct kgen_error *error)
{
    struct kgen_text image = {0};
    const int made = kgen_llama2c_read(path, &image, error);
    struct kgen_gguf *gguf = NULL;
    if (made == 0)
        gguf = kgen_gguf_open(path, error);
    else if (made > 0)
        gguf = kgen_gguf_parse(path, image.data, image.length, error);
    return make(gguf, &image, error);
}

struct kgen_checkpoint *kgen_checkpoint_parse(const char *source, const void *data, size_t size,
                                              struct kgen_error *error)
{
    struct kgen_text image = {0};
    struct kgen_gguf *gguf = NULL;
    if (!kgen_llama2c_is(data, size))
        gguf = kgen_gguf_parse(source, data, size, error);
    else if (kgen_llama2c_convert(source, data, size, &image, error) == 0)
        gguf = kgen_gguf_parse(source, image.data, image.length, error);
    return make(gguf, &image, error);
}

void kgen_checkpoint_free(struct kgen_checkpoint *checkpoint)
{
    if (checkpoint == NULL)
        return;
    kgen_gguf_close(checkpoint->gguf);
    kgen_text_free(&checkpoint->image);
    free(checkpoint);
}

const struct kgen_gguf *kgen_checkpoint_gguf(const struct kgen_checkpoint *checkpoint)
{
    return checkpoint->gguf;
}

const char *kgen_checkpoint_source(const struct kgen_checkpoint *checkpoint)
{
    return kgen_gguf_source(checkpoint->gguf);
}

static void fill_tensor(const struct kgen_gguf_tensor *stored, struct kgen_checkpoint_tensor *tensor)
{
    *tensor = (struct kgen_checkpoint_tensor){.stored_name = stored->name,
                                              .type = stored->type->name,
                                              .rank = stored->rank,
                                              .elements = 1,
                                              .bytes = stored->bytes,
                                              .data = stored->data};
    kgen_checkpoint_name_from_gguf(stored->name, tensor->name);
    for (size_t i = 0; i < tensor->rank; i++) {
        tensor->shape[i] = stored->dims[tensor->rank - 1 - i];
        tensor->elements *= tensor->shape[i];
    }
    kgen_checkpoint_describe(stored, tensor);
}

size_t kgen_checkpoint_tensor_count(const struct kgen_checkpoint *checkpoint)
{
    return kgen_gguf_tensor_count(checkpoint->gguf);
}

void kgen_checkpoint_tensor_at(const struct kgen_checkpoint *checkpoint, size_t index,
                               struct kgen_checkpoint_tensor *tensor)
{
    fill_tensor(kgen_gguf_tensor_at(checkpoint->gguf, index), tensor);
}

bool kgen_checkpoint_find(const struct kgen_checkpoint *checkpoint, const char *name,
                          struct kgen_checkpoint_tensor *tensor)
{
    char stored_name[KGEN_CHECKPOINT_NAME_MAX];
    if (!kgen_checkpoint_name_to_gguf(name, stored_name))
        return false;
    const struct kgen_gguf_tensor *stored = kgen_gguf_find_tensor(checkpoint->gguf, stored_name);
    if (stored != NULL)
        fill_tensor(stored, tensor);
    return stored != NULL;
}
