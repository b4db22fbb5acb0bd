/* SPDX-License-Identifier: MIT */
/* Files mapped into memory, for reading. A file that another process shortens meanwhile raises SIGBUS, as
 * every map does. */
#ifndef KGEN_FILE_MAP_H
#define KGEN_FILE_MAP_H

#include "gen/base/base.h"

struct kgen_file_map {
    const unsigned char *data;
    size_t size; /* bytes */
};

/* Maps a regular file. Fails with KGEN_ERROR_IO where it cannot be read, with KGEN_ERROR_SPEC where it is
 * empty. Thread-safe. */
int kgen_file_map_open(const char *path, struct kgen_file_map *map, struct kgen_error *error);
/* Tells the system that bytes of a map are not needed for now, so that their pages no longer count as memory
 * of this process. They are read from the file again where they are used. data lies within a map.
 * Thread-safe. */
void kgen_file_map_let_go(const void *data, size_t bytes);
/* A map of zeros is fine. */
void kgen_file_map_close(struct kgen_file_map *map);

#endif
