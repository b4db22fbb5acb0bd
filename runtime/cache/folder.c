/* SPDX-License-Identifier: MIT */
/* Which folder holds the cache, and which of the files in it belong to the cache. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gen/base/strings.h"
#include "runtime/cache/cache.h"
#include "runtime/cache/claim.h"
#include "runtime/cache/file.h"
#include "runtime/jit/objects.h"

static bool ends_with(const char *text, const char *suffix)
{
    return kgen_string_ends(text, strlen(text), suffix);
}

/* The file of records, temporary files of compacting it, and lock files. */
static bool is_records_file(const char *name)
{
    size_t length = strlen(KGEN_CACHE_RECORDS);
    if (strncmp(name, KGEN_CACHE_RECORDS, length) != 0)
        return strcmp(name, KGEN_CLAIMS_LOCKS) == 0;
    return name[length] == '\0' || (name[length] == '.' && ends_with(name, ".tmp")) ||
           strcmp(name + length, KGEN_CACHE_LOCK_SUFFIX) == 0;
}

/* <16 hexadecimal digits>, and with more behind them. */
static bool is_claim_file(const char *name)
{
    return strspn(name, "0123456789abcdef") == 16 && (name[16] == '\0' || name[16] == '.');
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

/* Removes the files of the cache from a folder in it, and then the folder if it is empty. */
static int remove_within(const char *folder, const char *name, bool is_ours(const char *name),
                         struct kgen_error *error)
{
    struct kgen_text path = {0};
    kgen_text_printf(&path, "%s/%s", folder, name);
    int result = 0;
    if (path.failed)
        result = kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    else
        result = remove_files(path.data, is_ours, error);
    if (!path.failed)
        rmdir(path.data);
    kgen_text_free(&path);
    return result;
}

int kgen_cache_folder_clear(const char *folder, struct kgen_error *error)
{
    int result = remove_files(folder, is_records_file, error);
    struct kgen_text objects = {0};
    kgen_text_printf(&objects, "%s/" KGEN_CACHE_OBJECTS, folder);
    if (!objects.failed)
        kgen_objects_remove_abandoned(objects.data, 0);
    kgen_text_free(&objects);
    if (remove_within(folder, KGEN_CACHE_OBJECTS, is_object_file, error) != 0 ||
        remove_within(folder, KGEN_CLAIMS_FILES, is_claim_file, error) != 0)
        result = -1;
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
