/* SPDX-License-Identifier: MIT */
#include "runtime/jit/objects.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gen/base/file.h"

static int io_error(struct kgen_error *error, const char *path, const char *what)
{
    return kgen_error_set(error, KGEN_ERROR_IO, path, 0, 0, "%s: %s", what, strerror(errno));
}

/* what: "folder", "file". */
static int check_owner(const struct stat *status, const char *path, const char *what,
                       struct kgen_error *error)
{
    const uid_t own = geteuid();
    if (status->st_uid != own && status->st_uid != 0) {
        kgen_error_set(error, KGEN_ERROR_IO, path, 0, 0,
                       "the %s of compiled kernels belongs to user %lu, and this is user %lu", what,
                       (unsigned long)status->st_uid, (unsigned long)own);
        kgen_error_hint(error, "use a cache folder of your own (--cache, KGEN_CACHE_DIR)");
        return -1;
    }
    if ((status->st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        kgen_error_set(error, KGEN_ERROR_IO, path, 0, 0,
                       "other users may write the %s of compiled kernels (its mode is %04o)", what,
                       (unsigned)status->st_mode & 07777);
        kgen_error_hint(error, "chmod go-w %s, once what it holds is known to be yours", path);
        return -1;
    }
    return 0;
}

static int make_folder(const char *folder, struct kgen_error *error)
{
    struct kgen_text parent = {0};
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/')
        length--;
    while (length > 0 && folder[length - 1] != '/')
        length--;
    int result = 0;
    if (length > 1) {
        kgen_text_append(&parent, folder, length);
        result = parent.failed ? kgen_error_set(error, KGEN_ERROR_MEMORY, folder, 0, 0, "out of memory")
                               : kgen_folder_make(parent.data, error);
    }
    if (result == 0 && mkdir(folder, 0700) != 0 && errno != EEXIST)
        result = io_error(error, folder, "cannot make the folder");
    kgen_text_free(&parent);
    return result;
}

int kgen_objects_folder(const char *folder, struct kgen_error *error)
{
    struct stat status;
    if (make_folder(folder, error) != 0)
        return -1;
    if (stat(folder, &status) != 0)
        return io_error(error, folder, "cannot examine the folder");
    if (!S_ISDIR(status.st_mode))
        return kgen_error_set(error, KGEN_ERROR_IO, folder, 0, 0, "this is not a folder");
    return check_owner(&status, folder, "folder", error);
}

int kgen_objects_check(const char *path, struct kgen_error *error)
{
    struct stat status;
    if (lstat(path, &status) != 0)
        return errno == ENOENT ? 0 : io_error(error, path, "cannot examine the file");
    if (!S_ISREG(status.st_mode))
        return kgen_error_set(error, KGEN_ERROR_IO, path, 0, 0, "this is not a regular file");
    return check_owner(&status, path, "file", error) == 0 ? 1 : -1;
}

/* "<16 hexadecimal digits>.so.<6 characters of mkdtemp>" */
static bool is_compilers_folder(const char *name)
{
    return strspn(name, "0123456789abcdef") == 16 && strncmp(name + 16, ".so.", 4) == 0 &&
           strlen(name) == 16 + 4 + 6;
}

/* Removes the files of a folder, and the folder. */
static void remove_folder(int parent, const char *name)
{
    const int descriptor = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *listing = descriptor >= 0 ? fdopendir(descriptor) : NULL;
    if (listing == NULL) {
        if (descriptor >= 0)
            close(descriptor);
        return;
    }
    for (const struct dirent *item; (item = readdir(listing)) != NULL;)
        unlinkat(descriptor, item->d_name, 0); /* fails for . and .. */
    closedir(listing);
    unlinkat(parent, name, AT_REMOVEDIR);
}

void kgen_objects_remove_abandoned(const char *folder, double seconds)
{
    DIR *listing = opendir(folder);
    if (listing == NULL)
        return;
    const time_t now = time(NULL);
    for (const struct dirent *item; (item = readdir(listing)) != NULL;) {
        struct stat status;
        if (is_compilers_folder(item->d_name) &&
            fstatat(dirfd(listing), item->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISDIR(status.st_mode) && status.st_uid == geteuid() &&
            difftime(now, status.st_mtime) >= seconds)
            remove_folder(dirfd(listing), item->d_name);
    }
    closedir(listing);
}
