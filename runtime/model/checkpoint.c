/* SPDX-License-Identifier: MIT */
/* Opening checkpoints, and their tensors. */
#include "runtime/model/checkpoint_folder.h"
#include "runtime/model/llama2c.h"
#include "runtime/model/package.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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
    if (kgen_package_is(gguf) && (checkpoint->package = kgen_package_read(gguf, error)) == NULL) {
        kgen_checkpoint_free(checkpoint);
        return NULL;
    }
    return checkpoint;
}

/* Takes the folder. */
static struct kgen_checkpoint *make_of_folder(struct kgen_checkpoint_folder *folder, struct kgen_error *error)
{
    struct kgen_checkpoint *checkpoint = folder != NULL ? calloc(1, sizeof *checkpoint) : NULL;
    if (checkpoint != NULL) {
        checkpoint->folder = folder;
        return checkpoint;
    }
    if (folder != NULL)
        kgen_error_set(error, KGEN_ERROR_MEMORY, folder->source, 0, 0, "out of memory");
    kgen_checkpoint_folder_free(folder);
    return NULL;
}

static bool is_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static struct kgen_checkpoint *set_mapped(struct kgen_checkpoint *checkpoint)
{
    if (checkpoint != NULL)
        checkpoint->mapped = true;
    return checkpoint;
}

struct kgen_checkpoint *kgen_checkpoint_open(const char *path, struct kgen_error *error)
{
    if (is_folder(path))
        return set_mapped(make_of_folder(kgen_checkpoint_folder_open(path, error), error));
    const char *dot = strrchr(path, '.');
    if (dot != NULL && strcmp(dot, ".safetensors") == 0) {
        kgen_error_set(error, KGEN_ERROR_SPEC, path, 0, 0, "a safetensors file alone is no model");
        kgen_error_hint(error, "give its folder, which has a config.json, too");
        return NULL;
    }
    struct kgen_text image = {0};
    const int made = kgen_llama2c_read(path, &image, error);
    struct kgen_gguf *gguf = NULL;
    if (made == 0)
        gguf = kgen_gguf_open(path, error);
    else if (made > 0)
        return make(kgen_gguf_parse(path, image.data, image.length, error), &image, error);
    return set_mapped(make(gguf, &image, error));
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

struct kgen_checkpoint *kgen_checkpoint_parse_folder(const char *source, const char *config,
                                                     size_t config_length, const void *data, size_t size,
                                                     struct kgen_error *error)
{
    return make_of_folder(kgen_checkpoint_folder_parse(source, config, config_length, data, size, error),
                          error);
}

void kgen_checkpoint_free(struct kgen_checkpoint *checkpoint)
{
    if (checkpoint == NULL)
        return;
    kgen_package_free(checkpoint->package);
    kgen_gguf_close(checkpoint->gguf);
    kgen_checkpoint_folder_free(checkpoint->folder);
    kgen_text_free(&checkpoint->image);
    free(checkpoint);
}

const struct kgen_gguf *kgen_checkpoint_gguf(const struct kgen_checkpoint *checkpoint)
{
    return checkpoint->gguf;
}

const struct kgen_package *kgen_checkpoint_package(const struct kgen_checkpoint *checkpoint)
{
    return checkpoint->package;
}

const char *kgen_checkpoint_source(const struct kgen_checkpoint *checkpoint)
{
    return checkpoint->folder != NULL ? checkpoint->folder->source : kgen_gguf_source(checkpoint->gguf);
}

void kgen_checkpoint_query(const struct kgen_checkpoint *checkpoint, struct kgen_checkpoint_facts *facts)
{
    if (checkpoint->folder != NULL)
        *facts = (struct kgen_checkpoint_facts){"safetensors", checkpoint->folder->file_count,
                                                checkpoint->folder->bytes};
    else
        *facts = (struct kgen_checkpoint_facts){checkpoint->package != NULL ? "package" : "GGUF", 1,
                                                kgen_gguf_size(checkpoint->gguf)};
}

static void fill_tensor(const struct kgen_gguf *gguf, const struct kgen_gguf_tensor *stored,
                        struct kgen_checkpoint_tensor *tensor)
{
    *tensor = (struct kgen_checkpoint_tensor){.stored_name = stored->name,
                                              .type = stored->type->name,
                                              .rank = stored->rank,
                                              .elements = 1,
                                              .bytes = stored->bytes,
                                              .data = stored->data};
    kgen_checkpoint_name_from_gguf(gguf, stored->name, tensor->name);
    for (size_t i = 0; i < tensor->rank; i++) {
        tensor->shape[i] = stored->dims[tensor->rank - 1 - i];
        tensor->elements *= tensor->shape[i];
    }
    kgen_checkpoint_describe(stored, tensor);
}

size_t kgen_checkpoint_tensor_count(const struct kgen_checkpoint *checkpoint)
{
    if (checkpoint->package != NULL)
        return kgen_package_tensor_count(checkpoint->package);
    return checkpoint->folder != NULL ? checkpoint->folder->count : kgen_gguf_tensor_count(checkpoint->gguf);
}

void kgen_checkpoint_tensor_at(const struct kgen_checkpoint *checkpoint, size_t index,
                               struct kgen_checkpoint_tensor *tensor)
{
    if (checkpoint->folder != NULL)
        *tensor = checkpoint->folder->tensors[index];
    else if (checkpoint->package != NULL)
        *tensor = *kgen_package_tensor_at(checkpoint->package, index);
    else
        fill_tensor(checkpoint->gguf, kgen_gguf_tensor_at(checkpoint->gguf, index), tensor);
}

bool kgen_checkpoint_find(const struct kgen_checkpoint *checkpoint, const char *name,
                          struct kgen_checkpoint_tensor *tensor)
{
    if (checkpoint->folder != NULL || checkpoint->package != NULL) {
        const struct kgen_checkpoint_tensor *found =
            checkpoint->folder != NULL ? kgen_checkpoint_folder_find(checkpoint->folder, name)
                                       : kgen_package_tensor_find(checkpoint->package, name);
        if (found != NULL)
            *tensor = *found;
        return found != NULL;
    }
    char stored_name[KGEN_CHECKPOINT_NAME_MAX];
    if (!kgen_checkpoint_name_to_gguf(checkpoint->gguf, name, stored_name))
        return false;
    const struct kgen_gguf_tensor *stored = kgen_gguf_find_tensor(checkpoint->gguf, stored_name);
    if (stored != NULL)
        fill_tensor(checkpoint->gguf, stored, tensor);
    return stored != NULL;
}
