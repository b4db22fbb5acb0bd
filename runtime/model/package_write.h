/* SPDX-License-Identifier: MIT */
/* Writing packages: the weights of a checkpoint, quantised where they are plain and the graph says so, in the
 * layouts that the kernels of a graph read. */
#ifndef KGEN_PACKAGE_WRITE_H
#define KGEN_PACKAGE_WRITE_H

#include "runtime/model/package.h"

/* What a package is made of. */
struct kgen_package_parts {
    const struct kgen_checkpoint *checkpoint;
    const struct kgen_graph *graph; /* of the config, with the layout */
    const char *config;             /* the text of a config.json */
    enum kgen_constant activation_dtype, layout;
    /* Values of GGUF besides those of the package: "general.name", those of the tokenizer. Made by the
     * functions below. */
    const struct kgen_text *values;
    uint64_t value_count;
    int threads; /* that read and quantise */
    /* NULL, or is told of the bytes written; another result than 0 ends the writing. */
    int (*progress)(void *context, uint64_t done, uint64_t bytes);
    void *progress_context;
};

struct kgen_package_summary {
    uint64_t bytes;           /* of the file */
    size_t matrices, vectors; /* of the checkpoint */
    size_t quantised;         /* matrices that were plain */
};

/* Writes a package under a temporary name, then renames it to path. Returns 0, or -1 and leaves path as it
 * was: with KGEN_ERROR_NONE where progress has ended it; KGEN_ERROR_IO; KGEN_ERROR_SPEC where the checkpoint
 * cannot be read, a node of the graph cannot run, or the graph wants another format of a matrix that is
 * quantised already; KGEN_ERROR_MEMORY. */
int kgen_package_write(const char *path, const struct kgen_package_parts *parts,
                       struct kgen_package_summary *summary, struct kgen_error *error);

/* Append a value as GGUF has it. */
void kgen_package_put_string(struct kgen_text *values, const char *key, const char *data, size_t length);
void kgen_package_put_bytes(struct kgen_text *values, const char *key, const void *data, size_t length);
/* The same of another file. */
void kgen_package_put_value(struct kgen_text *values, const struct kgen_gguf_value *value);

#endif
