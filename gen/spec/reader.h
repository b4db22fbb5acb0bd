/* SPDX-License-Identifier: MIT */
/* What the files of the spec reader share. Nothing outside gen/spec*.c includes this. */
#ifndef KGEN_SPEC_INTERNAL_H
#define KGEN_SPEC_INTERNAL_H

#include "gen/spec/json_place.h"
#include "gen/spec/spec.h"

#include <jansson.h>

/* What serves an entry: a label such as "mlp.down_proj", and the layers it stands in. */
struct kgen_spec_use {
    char *label;
    bool in_layers;
    int64_t first, last;     /* the run of layers that is still growing */
    int64_t count;           /* layers */
    struct kgen_text ranges; /* the runs before it: "0-3,5," */
};
struct kgen_spec_uses {
    struct kgen_spec_use *items;
    size_t count;
};

/* A spec while it is read. */
struct kgen_spec_reader {
    const char *source, *text;
    size_t length;
    const struct kgen_spec_options *options; /* not NULL */
    struct kgen_error *error;
    struct kgen_spec *spec;
    struct kgen_spec_uses *uses; /* of each entry of spec */
    int64_t layers;              /* of the model */
    int64_t scales;              /* KGEN_WORD_NONE where neither spec nor options say */
    int64_t activations[3];
    size_t activation_count;
    int64_t layout; /* of every qmv that does not say its own */
};

/* ---- spec_json.c: values with errors that say where. path is that of the object, root NULL. ---- */

/* Sets KGEN_ERROR_SPEC at the value of the path; the _key form at the key in front of it. Returns -1. */
int kgen_spec_fail(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                   const char *format, ...) KGEN_PRINTF(3, 4);
int kgen_spec_fail_key(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                       const char *format, ...) KGEN_PRINTF(3, 4);
int kgen_spec_fail_memory(const struct kgen_spec_reader *reader);
/* Replaces control characters: what a spec says is shown on terminals. */
void kgen_spec_make_printable(char *text);

/* The text of a value as the spec has it, shortened and made printable. Returns buffer. */
#define KGEN_SPEC_EXCERPT 48
const char *kgen_spec_excerpt(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                              char buffer[KGEN_SPEC_EXCERPT]);

/* The name at the least edit distance, case aside. *close says whether the word is likely a slip of it. */
const char *kgen_spec_nearest(const char *word, const char *const *names, size_t count, bool *close);
/* Adds the hint that names the nearest. */
void kgen_spec_hint_nearest(const struct kgen_spec_reader *reader, const char *word, const char *const *names,
                            size_t count);
/* Fails for the first key of the object that is not among the names. owner is for the message. */
int kgen_spec_check_keys(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                         json_t *object, const char *owner, const char *const *names, size_t count);

/* Reads a member. Returns 1 and the value; 0 where it is absent or null; -1 and an error where it is of
 * another kind or outside the limits. */
int kgen_spec_integer(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                      json_t *object, const char *key, int64_t minimum, int64_t maximum, int64_t *value);
int kgen_spec_real(const struct kgen_spec_reader *reader, const struct kgen_json_path *path, json_t *object,
                   const char *key, double *value);
int kgen_spec_boolean(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                      json_t *object, const char *key, bool *value);
int kgen_spec_string(const struct kgen_spec_reader *reader, const struct kgen_json_path *path, json_t *object,
                     const char *key, const char **value);
int kgen_spec_object(const struct kgen_spec_reader *reader, const struct kgen_json_path *path, json_t *object,
                     const char *key, json_t **value);

/* Reads the value at path into a field of a problem; owner is for messages. */
int kgen_spec_field(const struct kgen_spec_reader *reader, const struct kgen_json_path *path, json_t *value,
                    const char *owner, const struct kgen_field *field, struct kgen_problem *problem);
/* The field of an op by name; it must exist. */
const struct kgen_field *kgen_spec_find_field(enum kgen_op op, const char *name);
/* Reads a precision word, or a list of different ones, into words. */
int kgen_spec_activations(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                          json_t *value, int64_t words[3], size_t *count);

/* ---- spec_entries.c: the problems found ---- */

/* Checks a problem and adds it, or adds to the calls of the entry that has it. label may be NULL; layer is -1
 * outside the layers, and else does not decrease from call to call. path is where an error points to. */
int kgen_spec_add(struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                  const struct kgen_problem *problem, const char *label, int64_t layer, int64_t calls);
/* The same for a problem with activations: one entry for each that the spec asks for. */
int kgen_spec_add_each(struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                       const struct kgen_problem *problem, const char *label, int64_t layer);
int kgen_spec_use(struct kgen_spec_uses *uses, const char *label, int64_t layer);
/* Appends "layers.0-3,5.mlp.down_proj, lm_head"; "layers.*" where all of the layers. */
void kgen_spec_uses_write(struct kgen_spec_uses *uses, int64_t layers, struct kgen_text *text);
void kgen_spec_uses_free(struct kgen_spec_uses *uses);
int kgen_spec_warn(struct kgen_spec_reader *reader, const char *format, ...) KGEN_PRINTF(2, 3);
/* Writes the texts of the entries and frees the uses. */
int kgen_spec_entries_finish(struct kgen_spec_reader *reader);
void kgen_spec_entries_discard(struct kgen_spec_reader *reader);

/* ---- spec_quantization.c: which tensor is quantised how ---- */

struct kgen_spec_format {
    bool quantised;
    int64_t bits, group_size, mode;
};

struct kgen_spec_override {
    const char *pattern;
    bool matched;                   /* a tensor that problems are derived from */
    bool ignored;                   /* another tensor that exists */
    struct kgen_spec_format format; /* 0 where it says nothing */
};

struct kgen_spec_formats {
    struct kgen_spec_format base; /* bits 0 where nobody says */
    json_t *quantization;         /* borrowed; NULL where the config has none */
    json_t *seen;                 /* the tensors found in it */
    struct kgen_spec_override *overrides;
    size_t override_count;
    bool mixed; /* some tensor differs from base */
};

/* Reads "quantization" and "overrides" of a config. Free formats in every case. */
int kgen_spec_formats_read(const struct kgen_spec_reader *reader, json_t *config,
                           struct kgen_spec_formats *formats);
/* The format of a tensor, named as in checkpoints: "model.layers.0.mlp.down_proj". */
int kgen_spec_formats_find(const struct kgen_spec_reader *reader, struct kgen_spec_formats *formats,
                           const char *tensor, struct kgen_spec_format *format);
/* Marks a tensor that exists and that nothing is derived from: a name that means it is no error. */
void kgen_spec_formats_ignore(struct kgen_spec_formats *formats, const char *tensor);
/* Once all tensors were asked for: fails for a name or pattern that met none of them. ignored is a pattern of
 * names to let pass, or NULL. */
int kgen_spec_formats_finish(struct kgen_spec_reader *reader, struct kgen_spec_formats *formats,
                             const char *ignored);
void kgen_spec_formats_free(struct kgen_spec_formats *formats);

/* ---- spec_config.c: a Hugging Face config ---- */

struct kgen_spec_architecture {
    const char *name, *model_type;
    int64_t default_head_dim;              /* 0: hidden_size / num_attention_heads */
    bool qk_norm;                          /* an RMSNorm on each head of q and k */
    bool qkv_bias;                         /* always, whatever the config says */
    bool attention_bias_key, mlp_bias_key; /* the config may ask for biases */
    bool experts;
};

struct kgen_spec_model {
    const struct kgen_spec_architecture *architecture;
    int64_t vocab_size, hidden_size, intermediate_size, layers;
    int64_t heads, kv_heads, head_dim;
    int64_t experts, experts_per_token, expert_size, sparse_step;
    json_t *dense_layers; /* mlp_only_layers, or NULL */
    double eps;
    bool attention_bias, mlp_bias, tied;
    bool has_rope, has_swiglu;
    struct kgen_problem rope; /* without heads */
};

int kgen_spec_config_read(struct kgen_spec_reader *reader, json_t *config, struct kgen_spec_model *model);

/* ---- the two kinds of spec ---- */

/* spec_problems.c */
int kgen_spec_read_problems(struct kgen_spec_reader *reader, json_t *root);
/* spec_model.c */
int kgen_spec_read_model(struct kgen_spec_reader *reader, json_t *root);

#endif
