/* SPDX-License-Identifier: MIT */
/* Files, read and written whole. All functions are thread-safe. */
#ifndef KGEN_FILE_H
#define KGEN_FILE_H

#include "gen/base/base.h"

/* Reads a whole regular file into text (which it clears). Fails with KGEN_ERROR_IO on a directory, an
 * unreadable file, or one larger than limit bytes. */
int kgen_file_read(const char *path, size_t limit, struct kgen_text *text, struct kgen_error *error);

/* Writes a whole file: under a temporary name in the same folder, then renamed over path. A file that already
 * holds exactly these bytes is left alone. Nothing is left behind on failure. */
int kgen_file_write(const char *path, const char *data, size_t length, struct kgen_error *error);

/* The two steps of it, for several files that belong together. kgen_file_stage writes the file under a
 * temporary name in the same folder, and gives that name; it is empty where path already holds these bytes.
 * kgen_file_place renames it over path and empties the name. On failure the first leaves nothing behind, and
 * the second the temporary file, which the caller unlinks. */
int kgen_file_stage(const char *path, const char *data, size_t length, struct kgen_text *name,
                    struct kgen_error *error);
int kgen_file_place(struct kgen_text *name, const char *path, struct kgen_error *error);

/* Creates a file beside path for writing, under the name "<path>.<16 random hexadecimal digits>.tmp", which
 * is appended to name. Never opens a file or follows a link that exists: another name is tried then. Returns
 * a descriptor, which the caller closes before renaming or unlinking the file, or -1. */
int kgen_file_create_temporary(const char *path, struct kgen_text *name, struct kgen_error *error);

/* Makes a folder and its parents; one that exists is fine. */
int kgen_folder_make(const char *path, struct kgen_error *error);

#endif
