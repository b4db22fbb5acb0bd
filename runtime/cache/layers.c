/* SPDX-License-Identifier: MIT */
/* The layers below the user's cache: that of the system, and the records that ship with kgen. */
#include "runtime/cache/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Where the installed files lie; the Makefile says it. */
#ifndef KGEN_DATA_FOLDER
#define KGEN_DATA_FOLDER "/usr/local/share/kgen"
#endif
#define SYSTEM_FOLDER "/usr/share/kgen/cache"

const struct kgen_cache *kgen_cache_beneath(const struct kgen_cache *cache)
{
    return cache->beneath;
}

static bool lies_beneath(const struct kgen_cache *cache, const char *path)
{
    for (; cache != NULL; cache = cache->beneath) {
        if (cache->file.path != NULL && strcmp(cache->file.path, path) == 0)
            return true;
    }
    return false;
}

static int add_file(struct kgen_cache *cache, const char *path, struct kgen_error *error)
{
    if (lies_beneath(cache, path))
        return 0;
    struct kgen_cache *layer = kgen_cache_new(path, cache->messages->log, cache->messages->context, error);
    if (layer == NULL)
        return -1;
    struct kgen_error file_error = {0};
    if (kgen_cache_file_open_read(&layer->file, path, &file_error) != 0) {
        kgen_cache_warn_error(cache, &file_error, "its records are not used");
        kgen_cache_close(layer);
        return 0;
    }
    if (kgen_cache_load(layer) != 0) {
        kgen_cache_close(layer);
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    }
    struct kgen_cache **last = &cache->beneath;
    while (*last != NULL)
        last = &(*last)->beneath;
    *last = layer;
    return 0;
}

static int is_records(const struct dirent *item)
{
    const char *dot = strrchr(item->d_name, '.');
    return item->d_name[0] != '.' && dot != NULL && strcmp(dot, ".jsonl") == 0;
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int add_folder(struct kgen_cache *cache, const char *folder, struct kgen_error *error)
{
    struct dirent **items = NULL;
    const int count = scandir(folder, &items, is_records, compare_names);
    if (count < 0 && errno != ENOENT) {
        struct kgen_error list_error = {0};
        kgen_error_set(&list_error, KGEN_ERROR_IO, folder, 0, 0, "cannot list the folder: %s",
                       strerror(errno));
        kgen_cache_warn_error(cache, &list_error, "its records are not used");
    }
    int result = 0;
    for (int i = 0; i < count; i++) {
        struct kgen_text path = {0};
        kgen_text_printf(&path, "%s/%s", folder, items[i]->d_name);
        if (path.failed)
            result = kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
        if (result == 0)
            result = add_file(cache, path.data, error);
        kgen_text_free(&path);
        free(items[i]);
    }
    free(items);
    return result;
}

int kgen_cache_add_layer(struct kgen_cache *cache, const char *path, struct kgen_error *error)
{
    struct stat status = {0};
    if (stat(path, &status) != 0 && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    return S_ISDIR(status.st_mode) ? add_folder(cache, path, error) : add_file(cache, path, error);
}

struct kgen_cache *kgen_cache_open_layers(const char *folder, kgen_message_log *log, void *log_context,
                                          struct kgen_error *error)
{
    struct kgen_cache *cache = kgen_cache_open(folder, log, log_context, error);
    const char *named = getenv("KGEN_SYSTEM_CACHE_DIR");
    const bool is_named = named != NULL && named[0] != '\0';
    const char *const layers[] = {is_named ? named : SYSTEM_FOLDER,
                                  is_named ? NULL : KGEN_DATA_FOLDER "/cache", KGEN_DATA_FOLDER "/records"};
    for (size_t i = 0; cache != NULL && i < KGEN_COUNT_OF(layers); i++) {
        if (layers[i] != NULL && kgen_cache_add_layer(cache, layers[i], error) != 0) {
            kgen_cache_close(cache);
            cache = NULL;
        }
    }
    return cache;
}
