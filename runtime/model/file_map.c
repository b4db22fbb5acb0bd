/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* madvise */
#include "runtime/model/file_map.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int io_error(struct kgen_error *error, const char *path, const char *what)
{
    return kgen_error_set(error, KGEN_ERROR_IO, path, 0, 0, "%s: %s", what, strerror(errno));
}

static int map_file(const char *path, int descriptor, struct kgen_file_map *map, struct kgen_error *error)
{
    struct stat status;
    if (fstat(descriptor, &status) != 0)
        return io_error(error, path, "cannot read the file");
    if (!S_ISREG(status.st_mode))
        return kgen_error_set(error, KGEN_ERROR_IO, path, 0, 0, "this is not a regular file");
    if (status.st_size == 0)
        return kgen_error_set(error, KGEN_ERROR_SPEC, path, 0, 0, "at byte 0: the file is empty");
    const size_t size = (size_t)status.st_size;
    void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (data == MAP_FAILED)
        return io_error(error, path, "cannot map the file");
    *map = (struct kgen_file_map){data, size};
    return 0;
}

int kgen_file_map_open(const char *path, struct kgen_file_map *map, struct kgen_error *error)
{
    /* Not to wait for the other end of a pipe. */
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    *map = (struct kgen_file_map){0};
    if (descriptor < 0)
        return io_error(error, path, "cannot open the file");
    const int result = map_file(path, descriptor, map, error);
    close(descriptor);
    return result;
}

void kgen_file_map_let_go(const void *data, size_t bytes)
{
    const long page = sysconf(_SC_PAGESIZE);
    if (page <= 0 || bytes == 0)
        return;
    const uintptr_t size = (uintptr_t)page;
    const uintptr_t begin = (uintptr_t)data / size * size;
    const uintptr_t end = ((uintptr_t)data + bytes + size - 1) / size * size;
    madvise((void *)begin, end - begin, MADV_DONTNEED);
}

void kgen_file_map_close(struct kgen_file_map *map)
{
    if (map->data != NULL)
        munmap((void *)(uintptr_t)map->data, map->size);
    *map = (struct kgen_file_map){0};
}
