/* SPDX-License-Identifier: MIT */
/* A folder as Hugging Face's libraries and mlx-lm save a model: config.json, and its tensors in
 * model.safetensors or in the files that model.safetensors.index.json names. The members are for the files
 * checkpoint_folder*.c. */
#ifndef KGEN_CHECKPOINT_FOLDER_H
#define KGEN_CHECKPOINT_FOLDER_H

#include "runtime/model/checkpoint_internal.h"
#include "runtime/model/safetensors.h"

struct kgen_checkpoint_folder {
    char *source;    /* its path */
    char *last_name; /* the last part of its real path */
    json_t *config;
    struct kgen_safetensors **files;
    size_t file_count;
    /* A packed matrix of MLX is one tensor, with its scales and biases. In the files' order; and sorted by
     * the name that kgen gives them. */
    struct kgen_checkpoint_tensor *tensors;
    const struct kgen_checkpoint_tensor **by_name;
    size_t count;
    uint64_t bytes; /* of the files */
    /* Where the files have the matrices of each expert apart: they, and pointers to those of each stack. */
    struct kgen_checkpoint_tensor *experts;
    const struct kgen_checkpoint_tensor **stacks;
    /* The memory of tensors that were made of others. */
    unsigned char **copies;
    size_t copy_count;
};

/* checkpoint_folder.c. A model of one file in memory: data is not copied, config is. */
struct kgen_checkpoint_folder *kgen_checkpoint_folder_open(const char *path, struct kgen_error *error);
struct kgen_checkpoint_folder *kgen_checkpoint_folder_parse(const char *source, const char *config,
                                                            size_t config_length, const void *data,
                                                            size_t size, struct kgen_error *error);
void kgen_checkpoint_folder_free(struct kgen_checkpoint_folder *folder);
/* By the name that kgen gives it; NULL where there is none. */
const struct kgen_checkpoint_tensor *kgen_checkpoint_folder_find(const struct kgen_checkpoint_folder *folder,
                                                                 const char *name);

/* checkpoint_folder_names.c: writes the name that a tensor has in the text's model, "" where it is too long.
 * Returns false where the tensor belongs to another part of the model. */
bool kgen_checkpoint_folder_name(const char *stored, char name[KGEN_CHECKPOINT_NAME_MAX]);

/* checkpoint_folder_tensors.c: makes tensors and by_name. Everything else is set. */
int kgen_checkpoint_folder_describe(struct kgen_checkpoint_folder *folder, struct kgen_error *error);

/* checkpoint_folder_experts.c: puts "X.experts.0.gate_proj.weight", "X.experts.1.gate_proj.weight", ... into
 * one tensor, "X.switch_mlp.gate_proj.weight", as mlx-lm names it; also under mixtral's names w1, w2 and w3.
 */
int kgen_checkpoint_folder_stack(struct kgen_checkpoint_folder *folder, struct kgen_error *error);
/* checkpoint_folder_gpt_oss.c: puts gpt-oss's "X.experts.gate_up_proj_blocks", their scales and biases into
 * tensors as mlx-lm names them. After the tensors are described, before anything else has pointers to them.
 */
int kgen_checkpoint_folder_split(struct kgen_checkpoint_folder *folder, struct kgen_error *error);
/* checkpoint_folder_latent.c: puts "X.self_attn.embed_q.weight" and "X.self_attn.unembed_out.weight", as
 * mlx-lm names them, in the place of a plain "X.self_attn.kv_b_proj.weight", in memory. Fails where it is
 * quantised.
 */
int kgen_checkpoint_folder_split_latent(struct kgen_checkpoint_folder *folder, struct kgen_error *error);
/* Makes by_name of the tensors, which has room for them. */
void kgen_checkpoint_folder_sort(struct kgen_checkpoint_folder *folder);

/* checkpoint_folder_config.c: writes the config of a checkpoint that is a folder. */
int kgen_checkpoint_folder_config(const struct kgen_checkpoint *checkpoint, struct kgen_text *config,
                                  struct kgen_error *error);

#endif
