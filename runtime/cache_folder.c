/* SPDX-License-Identifier: MIT */
/* Where the cache is, and what of a folder is the cache's. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache.h"
#include "cache_file.h"

static bool ends_with(const char *text, const char *suffix)
{
    size_t length = strlen(text), suffix_length = strlen(suffix);
    return length >= suffix_length && strcmp(text + length - suffix_length, suffix) == 0;
}

/* The records, and what an interrupted compaction leaves. */
static bool is_records_file(const char *name)
{
    size_t length = strlen(KGEN_CACHE_RECORDS);
    return strncmp(name, KGEN_CACHE_RECORDS, length) == 0 &&
           (name[length] == '\0' || (name[length] == '.' && ends_with(name, ".tmp")));
}

/* Shared objects, and what an interrupted compilation leaves. */
static bool is_object_file(const char *name)
{
    return ends_with(name, ".so") || ends_with(name, ".tmp");
}

static int remove_files(const char *folder, bool is_ours(const char *name), struct kgen_error *error)
{
    DIR *listing = opendir(folder);
    if (listing == NULL) {
        if (errno == ENOENT)
            return 0;
        return kgen_error_set(error, KGEN_ERROR_IO, folder, 0, 0, "cannot list the folder: %s",
                              strerror(errno));
    }
    int result = 0;
    const struct dirent *item;
    while (result == 0 && (item = readdir(listing)) != NULL) {
        if (is_ours(item->d_name) && unlinkat(dirfd(listing), item->d_name, 0) != 0 && errno != ENOENT)
            result = kgen_error_set(error, KGEN_ERROR_IO, folder, 0, 0, "cannot remove %s: %s", item->d_name,
                                    strerror(errno));
    }
    closedir(listing);
    return result;
}

int kgen_cache_folder_clear(const char *folder, struct kgen_error *error)
{
    struct kgen_text objects = {0};
    kgen_text_printf(&objects, "%s/" KGEN_CACHE_OBJECTS, folder);
    if (objects.failed)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    int result = remove_files(folder, is_records_file, error);
    if (remove_files(objects.data, is_object_file, error) != 0)
        result = -1;
    rmdir(objects.data); /* stays where it holds something else */
    kgen_text_free(&objects);
    return result;
}

/* An empty variable counts as unset. */
static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

int kgen_cache_folder(const char *explicit_folder, struct kgen_text *folder)
{
    const char *own = environment("KGEN_CACHE_DIR");
    const char *caches = environment("XDG_CACHE_HOME");
    const char *home = environment("HOME");
    if (explicit_folder != NULL)
        kgen_text_puts(folder, explicit_folder);
    else if (own != NULL)
        kgen_text_puts(folder, own);
    else if (caches != NULL && caches[0] == '/') /* the XDG rules: a relative path is to be ignored */
        kgen_text_printf(folder, "%s/kgen", caches);
    else if (home != NULL)
        kgen_text_printf(folder, "%s/.cache/kgen", home);
    else
        return -1;
    return folder->failed ? -1 : 0;
}
