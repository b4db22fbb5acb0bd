/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* getrandom */
#include "gen/base/file.h"

#include "gen/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static int io_error(struct kgen_error *error, const char *path, const char *what)
{
    return kgen_error_set(error, KGEN_ERROR_IO, path, 0, 0, "%s: %s", what, strerror(errno));
}

int kgen_file_read(const char *path, size_t limit, struct kgen_text *text, struct kgen_error *error)
{
    kgen_text_clear(text);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return io_error(error, path, "cannot open the file");
    struct stat status;
    int result = -1;
    if (fstat(fileno(file), &status) != 0) {
        io_error(error, path, "cannot examine the file");
    } else if (S_ISDIR(status.st_mode)) {
        kgen_error_set(error, KGEN_ERROR_IO, path, 0, 0, "this is a folder, not a file");
    } else {
        char block[16384];
        size_t length;
        while ((length = fread(block, 1, sizeof block, file)) > 0 && text->length <= limit)
            kgen_text_append(text, block, length);
        if (ferror(file))
            io_error(error, path, "cannot read the file");
        else if (text->length > limit)
            kgen_error_set(error, KGEN_ERROR_IO, path, 0, 0, "the file is larger than %zu bytes", limit);
        else if (text->failed)
            kgen_error_set(error, KGEN_ERROR_MEMORY, path, 0, 0, "out of memory");
        else
            result = 0;
    }
    fclose(file);
    if (result == 0 && text->data == NULL)
        kgen_text_append(text, "", 0);
    return result;
}

static bool file_holds(const char *path, const char *data, size_t length)
{
    struct stat status;
    if (stat(path, &status) != 0 || !S_ISREG(status.st_mode) || (size_t)status.st_size != length)
        return false;
    struct kgen_text text = {0};
    bool same = kgen_file_read(path, length, &text, NULL) == 0 && text.length == length &&
                memcmp(text.data, data, length) == 0;
    kgen_text_free(&text);
    return same;
}

static int write_all(int descriptor, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t written = write(descriptor, data, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -1;
        data += written;
        length -= (size_t)written;
    }
    return 0;
}

/* A number that others cannot foresee. Where the system has no random numbers, one that differs between
 * calls. */
static uint64_t random_number(int try)
{
    uint64_t number;
    if (getrandom(&number, sizeof number, 0) == (ssize_t)sizeof number)
        return number;
    const int64_t values[] = {kgen_clock_nanoseconds(), (int64_t)getpid(), try, (int64_t)(intptr_t)&number};
    return kgen_hash(KGEN_HASH_START, values, sizeof values);
}

int kgen_file_create_temporary(const char *path, struct kgen_text *name, struct kgen_error *error)
{
    enum { TRIES = 100 };
    const size_t length = name->length;
    for (int try = 0; try < TRIES; try++) {
        name->length = length;
        kgen_text_printf(name, "%s.%016" PRIx64 ".tmp", path, random_number(try));
        if (name->failed)
            return kgen_error_set(error, KGEN_ERROR_MEMORY, path, 0, 0, "out of memory");
        const int descriptor = open(name->data, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (descriptor >= 0)
            return descriptor;
        if (errno != EEXIST)
            break;
    }
    return io_error(error, path, "cannot write the file");
}

int kgen_file_stage(const char *path, const char *data, size_t length, struct kgen_text *name,
                    struct kgen_error *error)
{
    kgen_text_clear(name);
    if (file_holds(path, data, length))
        return 0;
    const int descriptor = kgen_file_create_temporary(path, name, error);
    bool written = descriptor >= 0 && write_all(descriptor, data, length) == 0;
    if (descriptor >= 0 && close(descriptor) != 0)
        written = false;
    if (!written && descriptor >= 0) {
        io_error(error, path, "cannot write the file");
        unlink(name->data);
    }
    if (!written)
        kgen_text_clear(name);
    return written ? 0 : -1;
}

int kgen_file_place(struct kgen_text *name, const char *path, struct kgen_error *error)
{
    if (rename(name->data, path) != 0)
        return io_error(error, path, "cannot put the file in place");
    kgen_text_clear(name);
    return 0;
}

int kgen_file_write(const char *path, const char *data, size_t length, struct kgen_error *error)
{
    struct kgen_text name = {0};
    int result = kgen_file_stage(path, data, length, &name, error);
    if (result == 0 && name.length > 0 && (result = kgen_file_place(&name, path, error)) != 0)
        unlink(name.data);
    kgen_text_free(&name);
    return result;
}

int kgen_folder_make(const char *path, struct kgen_error *error)
{
    struct kgen_text part = {0};
    int result = 0;
    for (const char *end = path; result == 0 && *end != '\0';) {
        end += 1;
        end += strcspn(end, "/");
        kgen_text_clear(&part);
        kgen_text_append(&part, path, (size_t)(end - path));
        if (part.failed) {
            result = kgen_error_set(error, KGEN_ERROR_MEMORY, path, 0, 0, "out of memory");
        } else if (mkdir(part.data, 0777) != 0 && errno != EEXIST) {
            result = io_error(error, part.data, "cannot make the folder");
        }
    }
    struct stat status;
    if (result == 0 && (stat(path, &status) != 0 || !S_ISDIR(status.st_mode)))
        result = kgen_error_set(error, KGEN_ERROR_IO, path, 0, 0, "this is not a folder");
    kgen_text_free(&part);
    return result;
}
