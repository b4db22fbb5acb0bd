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
/* A map of zeros is fine. */
void kgen_file_map_close(struct kgen_file_map *map);

#endif
