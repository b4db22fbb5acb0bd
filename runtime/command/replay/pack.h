/* SPDX-License-Identifier: MIT */
/* A pack: what a model answered to some prompts, and how fast, kept as a baseline. A JSON file: which
 * checkpoint it is of, the settings it was made with, and of each prompt the tokens of the greedy response
 * with the margin of each choice. runtime/text.md describes it. */
#ifndef KGEN_REPLAY_PACK_H
#define KGEN_REPLAY_PACK_H

#include <jansson.h>

#include "runtime/machine/machine.h"
#include "runtime/model/checkpoint.h"
#include "runtime/model/tokenizer/tokenizer.h"

/* Of the schema, which the key "kgen_pack" says. */
enum { KGEN_PACK_VERSION = 1 };

/* Which checkpoint: nothing of it depends on its path or on kgen's version. The values of the weights do not
 * count. */
struct kgen_pack_identity {
    char container[16]; /* "GGUF", "safetensors" */
    int64_t files, bytes;
    char hash[17]; /* of the metadata and of the tensors' names, types and shapes, in hexadecimal */
};

/* What the numbers depend on. */
struct kgen_pack_settings {
    int64_t activation_dtype, layout, cache_dtype; /* constants */
    int64_t context, prompt_rows, threads;
    bool chat; /* the prompts are in the chat template */
};

struct kgen_pack_times {
    double prompt_seconds, first_token_seconds; /* from the beginning of the prompt, both */
    double text_seconds;                        /* of the tokens after the first */
};

struct kgen_pack_prompt {
    struct kgen_text text; /* UTF-8, without NUL */
    struct kgen_token_ids prompt, tokens;
    double *margins; /* of each token: its logit less the greatest of the others; owned */
    bool ended;      /* by a token that ends the text, which is the last of tokens */
    struct kgen_pack_times times;
};

/* Zero-initialise it; kgen_pack_free frees what it holds. */
struct kgen_pack {
    char version[32]; /* of kgen */
    struct kgen_machine machine;
    struct kgen_pack_identity identity;
    struct kgen_pack_settings settings;
    struct kgen_pack_prompt *prompts;
    size_t count;
    double peak_megabytes;
    json_t *dispatch; /* kgen_replay_dispatch */
};
void kgen_pack_free(struct kgen_pack *pack);

/* The identity of an open checkpoint. Fails where its config cannot be made. */
int kgen_pack_identify(const struct kgen_checkpoint *checkpoint, struct kgen_pack_identity *identity,
                       struct kgen_error *error);

/* Reads a file of prompts: one a line, blank ones left out; or, where it begins with '[', a JSON list of
 * strings. Fails with KGEN_ERROR_USAGE and the place. */
int kgen_pack_read_prompts(const char *path, struct kgen_pack *pack, struct kgen_error *error);

/* Reads a file. Fails with KGEN_ERROR_USAGE where it is no pack, or one that cannot be right, and names the
 * line and the key. Token ids are only held against the range of int32_t. */
int kgen_pack_read(const char *path, struct kgen_pack *pack, struct kgen_error *error);

/* Fails with KGEN_ERROR_USAGE where the pack, which was read from path, is of another checkpoint than
 * identity, that of source, and says in what they differ. */
int kgen_pack_check_identity(const struct kgen_pack *pack, const char *path,
                             const struct kgen_pack_identity *identity, const char *source,
                             struct kgen_error *error);

/* Fails with KGEN_ERROR_USAGE where path is there and is neither an empty file nor a pack of any version,
 * which force allows, and with KGEN_ERROR_IO where no file can be written beside it. */
int kgen_pack_check_output(const char *path, bool force, struct kgen_error *error);
/* Writes a file: under a temporary name, then renamed. */
int kgen_pack_write(const struct kgen_pack *pack, const char *path, struct kgen_error *error);

/* Pieces of JSON. Each returns a new reference, or NULL when memory runs out. */
json_t *kgen_pack_settings_json(const struct kgen_pack_settings *settings);
json_t *kgen_pack_identity_json(const struct kgen_pack_identity *identity);
json_t *kgen_pack_ids_json(const struct kgen_token_ids *ids);

#endif
