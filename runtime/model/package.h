/* SPDX-License-Identifier: MIT */
/* Packages: GGUF files in which the weights of a model lie as its kernels read them, so that they are used in
 * the file's map, which processes share. kgen_checkpoint_open reads one as any other checkpoint;
 * package_write.h makes one.
 *
 * The metadata have these keys besides "general." and the tokenizer:
 *
 *     kgen.package.version     u32, KGEN_PACKAGE_VERSION
 *     kgen.package.layout      u32, KGEN_LAYOUT_VERSION of gen/ops/layout.h
 *     kgen.package.made_by     string, the version of kgen
 *     kgen.package.config      string, a config.json that kgen_spec_parse reads
 *     kgen.package.activation_dtype, kgen.package.layout_name
 *                              strings, for which the weights were packed: the defaults of a run
 *     kgen.package.weights     string, a JSON list with an object for each matrix or vector that a kernel
 * reads: "names" of the tensors of a checkpoint that lie one below the other, "rows" of each; of a matrix
 * "columns", "mode", "bits", "group_size", "scale_dtype", "layout", and "experts" where the rows are those of
 * so many matrices; "tensors", the names of the arrays in
 * this file (I8; vectors are F32); "hashes", FNV-1a (64 bits) of the bytes of each, in hexadecimal digits
 *     kgen.package.hash        u64, FNV-1a of all bytes before the data, in which these eight are zero
 *
 * The alignment is 64 bytes at least. What is opened is checked against the hash of the metadata and the
 * sizes; kgen_package_check reads the weights, too. */
#ifndef KGEN_PACKAGE_H
#define KGEN_PACKAGE_H

#include "gen/ops/buffers.h"
#include "gen/ops/format.h"
#include "runtime/model/checkpoint.h"

#define KGEN_PACKAGE_VERSION 1
#define KGEN_PACKAGE_ALIGNMENT 64

#define KGEN_PACKAGE_NAMES_MAX 4

/* Tensors of a checkpoint that lie one below the other: a matrix, or a vector. */
struct kgen_package_weights {
    const char *names[KGEN_PACKAGE_NAMES_MAX];
    int64_t rows[KGEN_PACKAGE_NAMES_MAX]; /* of a vector its elements */
    size_t count;
    bool vector;
    int64_t experts; /* 0: none; else the rows are those of so many matrices, one below the other */
    struct kgen_problem problem; /* of a matrix: a product with it, which says its format and layout */
    const struct kgen_gguf_tensor *arrays[KGEN_FORMAT_ARRAYS_MAX]; /* NULL: there is no such array */
    uint64_t hashes[KGEN_FORMAT_ARRAYS_MAX];
    char type[40]; /* for people: "affine 4-bit tiles16" */
};

struct kgen_package; /* never changes: threads may share it */

/* Whether a file says that it is a package. */
bool kgen_package_is(const struct kgen_gguf *gguf);
/* Reads the metadata. gguf must outlive the package. Returns NULL and fills error with KGEN_ERROR_SPEC where
 * it is of another version, made for other layouts, or damaged; KGEN_ERROR_MEMORY. */
struct kgen_package *kgen_package_read(const struct kgen_gguf *gguf, struct kgen_error *error);
/* NULL is fine. */
void kgen_package_free(struct kgen_package *package);

size_t kgen_package_weights_count(const struct kgen_package *package);
const struct kgen_package_weights *kgen_package_weights_at(const struct kgen_package *package, size_t index);

/* The texts live as long as the file. */
struct kgen_package_facts {
    struct kgen_gguf_text made_by, config;
    enum kgen_constant activation_dtype, layout;
};
void kgen_package_query(const struct kgen_package *package, struct kgen_package_facts *facts);

/* The tensors of the checkpoint, one for each name. tensor_find: NULL where there is none of that name. */
size_t kgen_package_tensor_count(const struct kgen_package *package);
const struct kgen_checkpoint_tensor *kgen_package_tensor_at(const struct kgen_package *package, size_t index);
const struct kgen_checkpoint_tensor *kgen_package_tensor_find(const struct kgen_package *package,
                                                              const char *name);

/* Holds the bytes of every array against its hash. Returns 0, or -1 and an error that names the first one
 * that is not as it was written. progress (NULL: none) is told of the bytes read, and ends the check where it
 * does not return 0; that gives KGEN_ERROR_NONE and -1. */
int kgen_package_check(const struct kgen_package *package,
                       int (*progress)(void *context, uint64_t done, uint64_t bytes), void *context,
                       struct kgen_error *error);

/* Clears problem and sets it to a product with a matrix of a graph, or one that a package describes. rows are
 * those of all experts, which are 0 where there is a single matrix. */
void kgen_package_problem(struct kgen_problem *problem, const struct kgen_graph_weight *format,
                          int64_t experts, int64_t rows, int64_t columns, int64_t layout);

#endif
