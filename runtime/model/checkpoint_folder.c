/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* realpath */
/* Opening a model's folder: its config, and its files of tensors. */
#include "runtime/model/checkpoint_folder.h"
#include "gen/base/file.h"
#include "gen/spec/json_load.h"
#include "gen/spec/spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INDEX "model.safetensors.index.json"
#define SINGLE "model.safetensors"

enum { INDEX_BYTES_MAX = 32 << 20, FILES_MAX = 10000 };

static int fail_memory(const char *source, struct kgen_error *error)
{
    return kgen_error_set(error, KGEN_ERROR_MEMORY, source, 0, 0, "out of memory");
}

static int path_in(const struct kgen_checkpoint_folder *folder, const char *name, struct kgen_text *path,
                   struct kgen_error *error)
{
    const size_t length = strlen(folder->source);
    kgen_text_clear(path);
    kgen_text_printf(path, "%s%s%s", folder->source, folder->source[length - 1] == '/' ? "" : "/", name);
    return path->failed ? fail_memory(folder->source, error) : 0;
}

/* An object of JSON. */
static json_t *parse_object(const char *source, const char *text, size_t length, struct kgen_error *error)
{
    json_error_t json;
    json_t *root = kgen_json_load(text, length, &json);
    if (json_is_object(root))
        return root;
    if (root != NULL)
        kgen_error_set(error, KGEN_ERROR_SPEC, source, 0, 0, "this is not a JSON object");
    else
        kgen_error_set(error, KGEN_ERROR_SPEC, source, json.line, json.column, "%s", json.text);
    json_decref(root);
    return NULL;
}

static json_t *read_object(const char *path, size_t limit, struct kgen_error *error)
{
    struct kgen_text text = {0};
    json_t *root = NULL;
    if (kgen_file_read(path, limit, &text, error) == 0)
        root = parse_object(path, text.data, text.length, error);
    kgen_text_free(&text);
    return root;
}

/* Takes the file. */
static int add_file(struct kgen_checkpoint_folder *folder, struct kgen_safetensors *file,
                    struct kgen_error *error)
{
    if (file == NULL)
        return -1;
    struct kgen_safetensors **files =
        realloc(folder->files, (folder->file_count + 1) * sizeof *folder->files);
    if (files == NULL) {
        kgen_safetensors_close(file);
        return fail_memory(folder->source, error);
    }
    folder->files = files;
    files[folder->file_count++] = file;
    folder->bytes += kgen_safetensors_size(file);
    return 0;
}

/* ---- the index ---- */

/* The file of the folder that a name of the index means, or NULL. */
static const struct kgen_safetensors *find_file(const struct kgen_checkpoint_folder *folder, const char *name)
{
    for (size_t i = 0; i < folder->file_count; i++) {
        const char *source = kgen_safetensors_source(folder->files[i]), *slash = strrchr(source, '/');
        if (strcmp(slash != NULL ? slash + 1 : source, name) == 0)
            return folder->files[i];
    }
    return NULL;
}

static int open_shard(struct kgen_checkpoint_folder *folder, const char *index, const char *name,
                      struct kgen_error *error)
{
    struct kgen_text path = {0};
    if (name[0] == '\0' || strchr(name, '/') != NULL || folder->file_count == FILES_MAX)
        return kgen_error_set(error, KGEN_ERROR_SPEC, index, 0, 0,
                              "\"%.80s\" is not the name of a file beside the index, or one of more than %d",
                              name, FILES_MAX);
    int result = path_in(folder, name, &path, error);
    if (result == 0 && access(path.data, F_OK) != 0) {
        result =
            kgen_error_set(error, KGEN_ERROR_IO, path.data, 0, 0, "the file is missing: " INDEX " names it");
        kgen_error_hint(error, "copy it beside the others, or download the model again");
    }
    if (result == 0)
        result = add_file(folder, kgen_safetensors_open(path.data, error), error);
    kgen_text_free(&path);
    return result;
}

/* Each name must be in the file that the index says. */
static int check_index(const struct kgen_checkpoint_folder *folder, const char *index, json_t *map,
                       struct kgen_error *error)
{
    json_t *there = json_object();
    for (size_t i = 0; i < folder->file_count; i++) {
        for (size_t j = 0; j < kgen_safetensors_count(folder->files[i]); j++) {
            const char *name = kgen_safetensors_at(folder->files[i], j)->name;
            /* A name that two files have is told later. */
            if (there == NULL || json_object_set_new(there, name, json_integer((json_int_t)i)) != 0) {
                json_decref(there);
                return fail_memory(folder->source, error);
            }
        }
    }
    const char *name;
    json_t *value;
    int result = 0;
    json_object_foreach(map, name, value)
    {
        const json_t *found = json_object_get(there, name);
        if (result != 0 || (found != NULL && folder->files[json_integer_value(found)] ==
                                                 find_file(folder, json_string_value(value))))
            continue;
        char shown[KGEN_CHECKPOINT_NAME_MAX];
        result =
            kgen_error_set(error, KGEN_ERROR_SPEC, index, 0, 0, "the tensor %s is not in %s",
                           kgen_gguf_show((struct kgen_gguf_text){name, strlen(name)}, shown, sizeof shown),
                           json_string_value(value));
    }
    json_decref(there);
    return result;
}

static int open_shards(struct kgen_checkpoint_folder *folder, const char *index, struct kgen_error *error)
{
    json_t *root = read_object(index, INDEX_BYTES_MAX, error);
    json_t *map = json_object_get(root, "weight_map"), *value;
    const char *name;
    int result = root == NULL ? -1 : 0;
    if (result == 0 && (!json_is_object(map) || json_object_size(map) == 0))
        result = kgen_error_set(error, KGEN_ERROR_SPEC, index, 0, 0,
                                "there is no \"weight_map\" with the file of each tensor");
    json_object_foreach(map, name, value)
    {
        if (result != 0)
            break;
        if (!json_is_string(value))
            result = kgen_error_set(error, KGEN_ERROR_SPEC, index, 0, 0,
                                    "the file of the tensor %.100s is not a string", name);
        else if (find_file(folder, json_string_value(value)) == NULL)
            result = open_shard(folder, index, json_string_value(value), error);
    }
    if (result == 0)
        result = check_index(folder, index, map, error);
    json_decref(root);
    return result;
}

/* Of both the single file counts, as in Hugging Face's library. */
static int open_files(struct kgen_checkpoint_folder *folder, struct kgen_error *error)
{
    struct kgen_text path = {0};
    int result = path_in(folder, SINGLE, &path, error);
    if (result == 0 && access(path.data, F_OK) == 0) {
        result = add_file(folder, kgen_safetensors_open(path.data, error), error);
    } else if (result == 0) {
        result = path_in(folder, INDEX, &path, error);
        if (result == 0 && access(path.data, F_OK) != 0) {
            result = kgen_error_set(error, KGEN_ERROR_IO, folder->source, 0, 0,
                                    "the folder has neither " SINGLE " nor " INDEX);
            kgen_error_hint(error, "weights are read from safetensors files, or from a GGUF file");
        }
        if (result == 0)
            result = open_shards(folder, path.data, error);
    }
    kgen_text_free(&path);
    return result;
}

/* ---- opening ---- */

static struct kgen_checkpoint_folder *make(const char *source, struct kgen_error *error)
{
    struct kgen_checkpoint_folder *folder = calloc(1, sizeof *folder);
    char *real = realpath(source, NULL); /* so that "." has a name */
    const char *path = real != NULL ? real : source, *slash = strrchr(path, '/');
    if (folder != NULL) {
        folder->source = strdup(source);
        folder->last_name = strdup(slash != NULL ? slash + 1 : path);
    }
    free(real);
    if (folder != NULL && folder->source != NULL && folder->last_name != NULL)
        return folder;
    kgen_checkpoint_folder_free(folder);
    fail_memory(source, error);
    return NULL;
}

struct kgen_checkpoint_folder *kgen_checkpoint_folder_open(const char *path, struct kgen_error *error)
{
    struct kgen_text file = {0};
    struct kgen_checkpoint_folder *folder = make(path, error);
    int result = folder == NULL ? -1 : path_in(folder, "config.json", &file, error);
    if (result == 0 && access(file.data, F_OK) != 0)
        result = kgen_error_set(error, KGEN_ERROR_IO, path, 0, 0, "this is a folder without a config.json");
    if (result == 0) {
        folder->config = read_object(file.data, KGEN_SPEC_BYTES_MAX, error);
        result = folder->config == NULL || open_files(folder, error) != 0 ||
                         kgen_checkpoint_folder_describe(folder, error) != 0
                     ? -1
                     : 0;
    }
    kgen_text_free(&file);
    if (result == 0)
        return folder;
    kgen_checkpoint_folder_free(folder);
    return NULL;
}

struct kgen_checkpoint_folder *kgen_checkpoint_folder_parse(const char *source, const char *config,
                                                            size_t config_length, const void *data,
                                                            size_t size, struct kgen_error *error)
{
    struct kgen_checkpoint_folder *folder = make(source, error);
    if (folder == NULL)
        return NULL;
    folder->config = parse_object(source, config, config_length, error);
    if (folder->config != NULL &&
        add_file(folder, kgen_safetensors_parse(source, data, size, error), error) == 0 &&
        kgen_checkpoint_folder_describe(folder, error) == 0)
        return folder;
    kgen_checkpoint_folder_free(folder);
    return NULL;
}

void kgen_checkpoint_folder_free(struct kgen_checkpoint_folder *folder)
{
    if (folder == NULL)
        return;
    for (size_t i = 0; i < folder->file_count; i++)
        kgen_safetensors_close(folder->files[i]);
    json_decref(folder->config);
    free(folder->files);
    free(folder->tensors);
    free(folder->by_name);
    free(folder->experts);
    free(folder->stacks);
    for (size_t i = 0; i < folder->copy_count; i++)
        free(folder->copies[i]);
    free(folder->copies);
    free(folder->source);
    free(folder->last_name);
    free(folder);
}

const struct kgen_checkpoint_tensor *kgen_checkpoint_folder_find(const struct kgen_checkpoint_folder *folder,
                                                                 const char *name)
{
    size_t begin = 0, end = folder->count;
    while (begin < end) {
        const size_t middle = begin + (end - begin) / 2;
        const int order = strcmp(name, folder->by_name[middle]->name);
        if (order == 0)
            return folder->by_name[middle];
        if (order < 0)
            end = middle;
        else
            begin = middle + 1;
    }
    return NULL;
}
