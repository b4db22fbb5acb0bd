/* SPDX-License-Identifier: MIT */
/* A checkpoint: what the execution of a model needs of a file of weights, whatever its container. Tensors go
 * by their names in Hugging Face's checkpoints, which are those of the graph's weights:
 * "model.layers.3.self_attn.q_proj.weight". Read are GGUF files of the architectures llama,
 * qwen2, qwen3, qwen3moe, gemma2, gemma3, phi3, glm4 and gpt-oss; checkpoints of llama2.c of version 0
 * (runtime/model/llama2c.h); and folders as Hugging Face's libraries and mlx-lm save them, of families that
 * specs know: config.json, and safetensors files with tensors of F32, F16 and BF16, or matrices that MLX
 * quantised; and packages of kgen (runtime/model/package.h).
 *
 * A program opens the file, makes the config of it, reads that as a spec, checks the file against the graph,
 * and reads each weight of the graph:
 *
 *     checkpoint = kgen_checkpoint_open(path, &error);
 *     kgen_checkpoint_config(checkpoint, &config, &error);
 *     spec = kgen_spec_parse(path, config.data, config.length, &options, &error);
 *     kgen_checkpoint_check(checkpoint, spec->graph, &mismatches, &error);
 *
 * An open checkpoint never changes: threads may share it. Errors are KGEN_ERROR_IO where a file cannot be
 * read, KGEN_ERROR_SPEC where it holds what is damaged or not supported, KGEN_ERROR_MEMORY. */
#ifndef KGEN_CHECKPOINT_H
#define KGEN_CHECKPOINT_H

#include "gen/ops/format.h"
#include "gen/spec/graph.h"
#include "runtime/model/gguf.h"

struct kgen_checkpoint;
struct kgen_package;
struct kgen_package_weights;

/* Maps a file, or the files of a folder: model.safetensors or, where there is none, those that
 * model.safetensors.index.json names. Returns NULL and fills error. The caller frees it; NULL is fine. */
struct kgen_checkpoint *kgen_checkpoint_open(const char *path, struct kgen_error *error);
/* The same of bytes in memory, which are not copied and must outlive it. source is for errors. */
struct kgen_checkpoint *kgen_checkpoint_parse(const char *source, const void *data, size_t size,
                                              struct kgen_error *error);
/* The same of a folder: the texts of its config.json, which is copied, and of its model.safetensors. */
struct kgen_checkpoint *kgen_checkpoint_parse_folder(const char *source, const char *config,
                                                     size_t config_length, const void *data, size_t size,
                                                     struct kgen_error *error);
void kgen_checkpoint_free(struct kgen_checkpoint *checkpoint);

/* The container as GGUF, NULL where the checkpoint is a folder. Its metadata also hold the tokenizer
 * ("tokenizer.ggml.tokens"). Of a checkpoint of llama2.c it is a GGUF file in memory with the same weights,
 * without a tokenizer. It lives as long as the checkpoint.
 */
const struct kgen_gguf *kgen_checkpoint_gguf(const struct kgen_checkpoint *checkpoint);
/* The package that the file is; else NULL. It lives as long as the checkpoint. */
const struct kgen_package *kgen_checkpoint_package(const struct kgen_checkpoint *checkpoint);
const char *kgen_checkpoint_source(const struct kgen_checkpoint *checkpoint);

struct kgen_checkpoint_facts {
    const char *container; /* "GGUF", "safetensors", "package" */
    size_t files;
    uint64_t bytes; /* of those files */
};
void kgen_checkpoint_query(const struct kgen_checkpoint *checkpoint, struct kgen_checkpoint_facts *facts);

/* Clears config and writes the text of a config.json that kgen_spec_parse reads, named after the file. Fails
 * where the architecture, or something that the metadata ask for, is not supported, and names it. What is
 * wrong with single tensors is left to kgen_checkpoint_check. */
int kgen_checkpoint_config(const struct kgen_checkpoint *checkpoint, struct kgen_text *config,
                           struct kgen_error *error);

/* ---- tensors ---- */

#define KGEN_CHECKPOINT_NAME_MAX 128

struct kgen_checkpoint_tensor {
    struct kgen_gguf_text stored_name;   /* in the file: "blk.3.attn_q.weight" */
    char name[KGEN_CHECKPOINT_NAME_MAX]; /* Hugging Face's; empty where there is none */
    const char *type;                    /* "Q4_0", "F32" */
    size_t rank;
    int64_t shape[KGEN_GGUF_RANK_MAX]; /* rows first, as in the graph */
    int64_t elements;
    uint64_t bytes;
    const unsigned char *data; /* in the file's map */
    /* How kgen_checkpoint_matrix gives it: arrays of this format, with N, K, bits, group_size and scale_dtype
     * set and no arrays. The matrices of experts, of three dimensions, are one below the other: N is the rows
     * of all. format is NULL where kgen has no format for the tensor. */
    struct kgen_matrix matrix;
    bool plain; /* kgen_checkpoint_values reads it */

    /* How the rows are read; of no use to callers. */
    int64_t dtype;                                       /* of a plain tensor */
    const struct kgen_checkpoint_conversion *conversion; /* NULL: the arrays have the bytes of the matrix */
    const unsigned char *arrays[KGEN_FORMAT_ARRAYS_MAX];
    /* NULL, or the matrix of each expert, where the file has them apart; owned by the checkpoint. */
    const struct kgen_checkpoint_tensor *const *experts;
    bool copied; /* data is in memory, and not in the file's map */
    const struct kgen_package_weights *packed; /* of a package: what it is a part of, and where; else NULL */
    int64_t first_row;
    int64_t row_step; /* 0, or what lies from a row, or an element of a plain tensor, to the next: first_row +
                       * i row_step */
};

/* In the order of the file. */
size_t kgen_checkpoint_tensor_count(const struct kgen_checkpoint *checkpoint);
void kgen_checkpoint_tensor_at(const struct kgen_checkpoint *checkpoint, size_t index,
                               struct kgen_checkpoint_tensor *tensor);
/* By Hugging Face's name. Returns whether it is there. */
bool kgen_checkpoint_find(const struct kgen_checkpoint *checkpoint, const char *name,
                          struct kgen_checkpoint_tensor *tensor);

/* Reads all elements of a plain tensor (F32, F16, BF16) as f32, which is exact. count is the number of
 * elements that values has room for, and must be that of the tensor. */
int kgen_checkpoint_values(const struct kgen_checkpoint *checkpoint, const char *name, float *values,
                           int64_t count, struct kgen_error *error);

/* Reads rows begin to end - 1 of a matrix into rows at, at + 1, ... of the arrays of matrix, in the layout
 * stored. The format, K, bits, group_size and scale_dtype of matrix must be those of the tensor
 * (kgen_checkpoint_tensor.matrix, and the config); N is that of the arrays, into which several tensors may go
 * one after the other. The weights keep their exact values. Distinct rows may be read by several threads. */
int kgen_checkpoint_matrix(const struct kgen_checkpoint *checkpoint, const char *name, int64_t begin,
                           int64_t end, const struct kgen_matrix *matrix, int64_t at,
                           struct kgen_error *error);

/* Finds matrices, count names, one below the other in the file as a kernel reads them: in a layout (a
 * constant) and a format. Returns false where they do not lie there so, or not at addresses that kernels can
 * read. Else sets the arrays of matrix to them, which live as long as the checkpoint and must not be written.
 */
bool kgen_checkpoint_in_place(const struct kgen_checkpoint *checkpoint, const char *const *names,
                              size_t count, int64_t layout, struct kgen_matrix *matrix);
/* The same of plain tensors of F32. NULL: they do not lie so. */
const float *kgen_checkpoint_values_in_place(const struct kgen_checkpoint *checkpoint,
                                             const char *const *names, size_t count);

/* Lets go of the memory that rows begin to end - 1 of a matrix take in this process, which are read from the
 * file again where they are asked for. Does nothing where the checkpoint is not mapped from a file. Threads
 * may read the same rows meanwhile. */
void kgen_checkpoint_let_go(const struct kgen_checkpoint *checkpoint, const char *name, int64_t begin,
                            int64_t end);

/* ---- whether it is whole ---- */

/* What is wrong with one tensor. */
struct kgen_checkpoint_mismatch {
    char *name; /* Hugging Face's, or that of the file where it has no other; owned */
    char *what; /* a sentence; owned */
};

struct kgen_checkpoint_mismatches {
    struct kgen_checkpoint_mismatch *items;
    size_t count, capacity;
};

/* Holds the file against the weights of a graph of its config: each must be there, with the shape and the
 * format that the graph has, and be readable by the functions above; and no tensor may be left over, as
 * leaving it out would change what the model computes. Lists everything that is not so, those of the graph
 * first. Returns 0, also where there are mismatches, or -1 when memory runs out. Zero-initialise mismatches,
 * and free them. */
int kgen_checkpoint_check(const struct kgen_checkpoint *checkpoint, const struct kgen_graph *graph,
                          struct kgen_checkpoint_mismatches *mismatches, struct kgen_error *error);
void kgen_checkpoint_mismatches_free(struct kgen_checkpoint_mismatches *mismatches);

#endif
