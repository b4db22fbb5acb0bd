/* SPDX-License-Identifier: MIT */
#ifndef KGEN_CHECKPOINT_INTERNAL_H
#define KGEN_CHECKPOINT_INTERNAL_H

#include "runtime/model/checkpoint.h"

#include <jansson.h>

/* Either gguf or folder is set. */
struct kgen_checkpoint {
    struct kgen_gguf *gguf;
    struct kgen_package *package; /* that gguf is, or NULL */
    struct kgen_text image;       /* of gguf, where it was made of another container; else empty */
    struct kgen_checkpoint_folder *folder;
    bool mapped; /* tensors lie in maps of files */
};

/* checkpoint_convert.c: a type of ggml, and the format of kgen that holds the values of its blocks exactly.
 */
struct kgen_checkpoint_conversion {
    uint32_t type;
    enum kgen_constant scheme;
    int64_t bits, scale_dtype;
    /* Converts the blocks of a row into the row's part of each array. NULL: the bytes are the same. */
    void (*convert)(const unsigned char *blocks, int64_t count, unsigned char *const *rows);
};

/* NULL where there is none. */
const struct kgen_checkpoint_conversion *kgen_checkpoint_conversion_of(uint32_t type);
int64_t kgen_checkpoint_conversion_group(const struct kgen_checkpoint_conversion *conversion);

/* The types that kgen_checkpoint_matrix reads, for messages: "Q4_0, Q4_1 and Q8_0". */
extern const char kgen_checkpoint_types[];

/* checkpoint_names.c: the name of a tensor in a GGUF file, from Hugging Face's, and the other way round, as
 * its architecture has them; where gguf is NULL, as any has. Return false where there is none. */
bool kgen_checkpoint_name_to_gguf(const struct kgen_gguf *gguf, const char *name,
                                  char stored[KGEN_CHECKPOINT_NAME_MAX]);
bool kgen_checkpoint_name_from_gguf(const struct kgen_gguf *gguf, struct kgen_gguf_text stored,
                                    char name[KGEN_CHECKPOINT_NAME_MAX]);

/* Whether a tensor only says the frequencies of rope, which the config has: rope_freqs.weight of GGUF files,
 * which kgen_checkpoint_config holds against the scaling that it writes, and the buffers
 * that older checkpoints of Hugging Face have, "model.layers.0.self_attn.rotary_emb.inv_freq", which follow
 * from the config. */
bool kgen_checkpoint_is_of_rope(struct kgen_gguf_text stored);

/* checkpoint_formats.c: adds to a config, which has num_hidden_layers, the "quantization" that the matrices
 * have: the format of most, and those of the others by their names. */
int kgen_checkpoint_formats_write(const struct kgen_checkpoint *checkpoint, json_t *config,
                                  struct kgen_error *error);
#define KGEN_CHECKPOINT_SPEC_NAME_MAX 80

/* checkpoint_config.c: a name that a spec may have, from that of a file. */
void kgen_checkpoint_spec_name(const char *file, char name[KGEN_CHECKPOINT_SPEC_NAME_MAX]);

/* Of GGUF files of deepseek2: what kgen_checkpoint_deepseek_config takes out of the config again. */
#define KGEN_DEEPSEEK_HEAD_DIM "gguf.key_length_mla"
#define KGEN_DEEPSEEK_GATING "gguf.expert_gating_func"
#define KGEN_DEEPSEEK_YARN_FACTOR "gguf.yarn_factor"
#define KGEN_DEEPSEEK_YARN_LOG "gguf.yarn_log_multiplier"
#define KGEN_DEEPSEEK_YARN_CONTEXT "gguf.yarn_context"
#define KGEN_DEEPSEEK_YARN_FAST "gguf.yarn_beta_fast"
#define KGEN_DEEPSEEK_YARN_SLOW "gguf.yarn_beta_slow"
/* checkpoint_config_deepseek.c: adds to a config, which has what the tables of checkpoint_config.c say, the
 * sizes of heads, the router's keys and rope_scaling. Returns 0, or -1 with an error set. */
int kgen_checkpoint_deepseek_config(const struct kgen_checkpoint *checkpoint, json_t *config,
                                    struct kgen_error *error);

/* checkpoint_matrix.c: sets what says how a matrix of one of ggml's types is read, where kgen has a format
 * for it. data of the tensor is set. */
void kgen_checkpoint_set_matrix(struct kgen_checkpoint_tensor *tensor, uint32_t type, int64_t N, int64_t K);
/* checkpoint_matrix.c: sets what says how a tensor is read. */
void kgen_checkpoint_describe(const struct kgen_gguf_tensor *stored, struct kgen_checkpoint_tensor *tensor);

#endif
