/* SPDX-License-Identifier: MIT */
/* The config of a model's folder: its config.json, with the formats that the tensors have. */
#include "runtime/model/checkpoint_folder.h"

#include <stdlib.h>
#include <string.h>

static int fail_memory(const struct kgen_checkpoint_folder *folder, struct kgen_error *error)
{
    return kgen_error_set(error, KGEN_ERROR_MEMORY, folder->source, 0, 0, "out of memory");
}

/* Other forms of quantised weights than MLX's name their method. */
static int check_method(const struct kgen_checkpoint_folder *folder, struct kgen_error *error)
{
    const char *method = json_string_value(
        json_object_get(json_object_get(folder->config, "quantization_config"), "quant_method"));
    if (method == NULL || strcmp(method, "mxfp4") == 0 ||
        json_object_get(folder->config, "quantization") != NULL)
        return 0;
    kgen_error_set(error, KGEN_ERROR_SPEC, folder->source, 0, 0,
                   "config.json says the quantisation method \"%.40s\", whose weights are not read", method);
    kgen_error_hint(
        error, "weights that are not quantised are read, those that mlx-lm quantised, and gpt-oss in mxfp4");
    return -1;
}

/* Where the config says nothing, the embeddings are the head if there is no other. */
static int set_tied(const struct kgen_checkpoint_folder *folder, json_t *config, struct kgen_error *error)
{
    if (json_object_get(config, "tie_word_embeddings") != NULL)
        return 0;
    const bool tied = kgen_checkpoint_folder_find(folder, "lm_head.weight") == NULL;
    return json_object_set_new(config, "tie_word_embeddings", json_boolean(tied)) == 0
               ? 0
               : fail_memory(folder, error);
}

/* Of models with linear attention mlx-lm has the weights of norms whole, and Hugging Face's library less one.
 * Where the taps of convolutions lie tells whose a folder is. */
static int set_norms(const struct kgen_checkpoint_folder *folder, json_t *config, struct kgen_error *error)
{
    static const char ending[] = ".conv1d.weight";
    for (size_t i = 0; i < folder->count; i++) {
        const struct kgen_checkpoint_tensor *tensor = &folder->tensors[i];
        const size_t length = strlen(tensor->name), size = strlen(ending);
        if (length <= size || strcmp(tensor->name + length - size, ending) != 0 || tensor->rank != 3)
            continue;
        return json_object_set_new(config, "norm_weights_less_one", json_boolean(tensor->shape[2] != 1)) == 0
                   ? 0
                   : fail_memory(folder, error);
    }
    return 0;
}

static int write(const struct kgen_checkpoint *checkpoint, json_t *config, struct kgen_text *text,
                 struct kgen_error *error)
{
    const struct kgen_checkpoint_folder *folder = checkpoint->folder;
    char name[KGEN_CHECKPOINT_SPEC_NAME_MAX];
    /* The formats are those of the tensors, which were held against this object. */
    json_object_del(config, "quantization");
    json_object_del(config, "quantization_config");
    if (json_object_get(config, "name") == NULL) {
        kgen_checkpoint_spec_name(folder->last_name, name);
        if (json_object_set_new(config, "name", json_string(name)) != 0)
            return fail_memory(folder, error);
    }
    if (set_tied(folder, config, error) != 0 || set_norms(folder, config, error) != 0 ||
        kgen_checkpoint_formats_write(checkpoint, config, error) != 0)
        return -1;
    char *written = json_dumps(config, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    kgen_text_puts(text, written != NULL ? written : "");
    const bool failed = written == NULL || text->failed;
    free(written);
    return failed ? fail_memory(folder, error) : 0;
}

int kgen_checkpoint_folder_config(const struct kgen_checkpoint *checkpoint, struct kgen_text *config,
                                  struct kgen_error *error)
{
    const struct kgen_checkpoint_folder *folder = checkpoint->folder;
    kgen_text_clear(config);
    if (check_method(folder, error) != 0)
        return -1;
    json_t *copy = json_copy(folder->config);
    const int result = copy == NULL ? fail_memory(folder, error) : write(checkpoint, copy, config, error);
    json_decref(copy);
    return result;
}
