/* SPDX-License-Identifier: MIT */
/* Opening GGUF files, and what they hold by name. gguf_parse.c reads the header, gguf_value.c the values. */
#include "runtime/model/gguf_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct kgen_gguf *make(const char *source, const void *data, size_t size, bool mapped,
                              struct kgen_error *error)
{
    struct kgen_gguf *gguf = calloc(1, sizeof *gguf);
    char *copy = strdup(source);
    if (gguf == NULL || copy == NULL) {
        kgen_error_set(error, KGEN_ERROR_MEMORY, source, 0, 0, "out of memory");
        if (mapped)
            munmap((void *)(uintptr_t)data, size);
        free(gguf);
        free(copy);
        return NULL;
    }
    *gguf = (struct kgen_gguf){.source = copy, .data = data, .size = size, .mapped = mapped};
    if (kgen_gguf_read(gguf, error) == 0)
        return gguf;
    kgen_gguf_close(gguf);
    return NULL;
}

struct kgen_gguf *kgen_gguf_parse(const char *source, const void *data, size_t size, struct kgen_error *error)
{
    return make(source, data, size, false, error);
}

static int io_error(struct kgen_error *error, const char *path, const char *what)
{
    return kgen_error_set(error, KGEN_ERROR_IO, path, 0, 0, "%s: %s", what, strerror(errno));
}

/* Maps a regular file that is not empty. */
static int map_file(const char *path, int descriptor, void **data, size_t *size, struct kgen_error *error)
{
    struct stat status;
    if (fstat(descriptor, &status) != 0)
        return io_error(error, path, "cannot read the file");
    if (!S_ISREG(status.st_mode))
        return kgen_error_set(error, KGEN_ERROR_IO, path, 0, 0, "this is not a regular file");
    if (status.st_size == 0)
        return kgen_error_set(error, KGEN_ERROR_SPEC, path, 0, 0, "at byte 0: the file is empty");
    *size = (size_t)status.st_size;
    *data = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    return *data == MAP_FAILED ? io_error(error, path, "cannot map the file") : 0;
}

struct kgen_gguf *kgen_gguf_open(const char *path, struct kgen_error *error)
{
    /* Not to wait for the other end of a pipe. */
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) {
        io_error(error, path, "cannot open the file");
        return NULL;
    }
    void *data = NULL;
    size_t size = 0;
    const int result = map_file(path, descriptor, &data, &size, error);
    close(descriptor);
    return result == 0 ? make(path, data, size, true, error) : NULL;
}

void kgen_gguf_close(struct kgen_gguf *gguf)
{
    if (gguf == NULL)
        return;
    if (gguf->mapped)
        munmap((void *)(uintptr_t)gguf->data, gguf->size);
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
