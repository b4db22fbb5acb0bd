/* SPDX-License-Identifier: MIT */
/* Opening GGUF files, and what they hold by name. gguf_parse.c reads the header, gguf_value.c the values. */
#include "runtime/model/gguf_internal.h"

#include <stdlib.h>
#include <string.h>

/* Takes the map, which is empty where data is not the file's. */
static struct kgen_gguf *make(const char *source, const void *data, size_t size, struct kgen_file_map map,
                              struct kgen_error *error)
{
    struct kgen_gguf *gguf = calloc(1, sizeof *gguf);
    char *copy = strdup(source);
    if (gguf == NULL || copy == NULL) {
        kgen_error_set(error, KGEN_ERROR_MEMORY, source, 0, 0, "out of memory");
        kgen_file_map_close(&map);
        free(gguf);
        free(copy);
        return NULL;
    }
    *gguf = (struct kgen_gguf){.source = copy, .data = data, .size = size, .map = map};
    if (kgen_gguf_read(gguf, error) == 0)
        return gguf;
    kgen_gguf_close(gguf);
    return NULL;
}

struct kgen_gguf *kgen_gguf_parse(const char *source, const void *data, size_t size, struct kgen_error *error)
{
    return make(source, data, size, (struct kgen_file_map){0}, error);
}

struct kgen_gguf *kgen_gguf_open(const char *path, struct kgen_error *error)
{
    struct kgen_file_map map;
    return kgen_file_map_open(path, &map, error) == 0 ? make(path, map.data, map.size, map, error) : NULL;
}

void kgen_gguf_close(struct kgen_gguf *gguf)
{
    if (gguf == NULL)
        return;
    kgen_file_map_close(&gguf->map);
    free(gguf->values);
    free(gguf->tensors);
    free(gguf->values_by_key);
    free(gguf->tensors_by_name);
    free(gguf->source);
    free(gguf);
}

const char *kgen_gguf_source(const struct kgen_gguf *gguf)
{
    return gguf->source;
}

uint32_t kgen_gguf_version(const struct kgen_gguf *gguf)
{
    return gguf->version;
}

size_t kgen_gguf_size(const struct kgen_gguf *gguf)
{
    return gguf->size;
}

size_t kgen_gguf_data_begin(const struct kgen_gguf *gguf)
{
    return gguf->data_begin;
}

uint64_t kgen_gguf_alignment(const struct kgen_gguf *gguf)
{
    return gguf->alignment;
}

size_t kgen_gguf_value_count(const struct kgen_gguf *gguf)
{
    return gguf->value_count;
}

const struct kgen_gguf_value *kgen_gguf_value_at(const struct kgen_gguf *gguf, size_t index)
{
    return &gguf->values[index];
}

size_t kgen_gguf_tensor_count(const struct kgen_gguf *gguf)
{
    return gguf->tensor_count;
}

const struct kgen_gguf_tensor *kgen_gguf_tensor_at(const struct kgen_gguf *gguf, size_t index)
{
    return &gguf->tensors[index];
}

const struct kgen_gguf_value *kgen_gguf_find(const struct kgen_gguf *gguf, const char *key)
{
    const struct kgen_gguf_text wanted = {key, strlen(key)};
    size_t begin = 0, end = gguf->value_count;
    while (begin < end) {
        const size_t middle = begin + (end - begin) / 2;
        const int order = kgen_gguf_text_compare(wanted, gguf->values_by_key[middle]->key);
        if (order == 0)
            return gguf->values_by_key[middle];
        if (order < 0)
            end = middle;
        else
            begin = middle + 1;
    }
    return NULL;
}

const struct kgen_gguf_tensor *kgen_gguf_find_tensor(const struct kgen_gguf *gguf, const char *name)
{
    const struct kgen_gguf_text wanted = {name, strlen(name)};
    size_t begin = 0, end = gguf->tensor_count;
    while (begin < end) {
        const size_t middle = begin + (end - begin) / 2;
        const int order = kgen_gguf_text_compare(wanted, gguf->tensors_by_name[middle]->name);
        if (order == 0)
            return gguf->tensors_by_name[middle];
        if (order < 0)
            end = middle;
        else
            begin = middle + 1;
    }
    return NULL;
}
