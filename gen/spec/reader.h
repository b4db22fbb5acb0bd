/* SPDX-License-Identifier: MIT */
/* Declarations shared by the files of the spec reader. Nothing outside gen/spec includes this. */
#ifndef KGEN_SPEC_INTERNAL_H
#define KGEN_SPEC_INTERNAL_H

#include "gen/spec/families/family.h"
#include "gen/spec/json_place.h"
#include "gen/spec/spec.h"

#include <jansson.h>

/* A step of the model that an entry serves: its label, such as "mlp.down_proj", and the layers that have it.
 */
struct kgen_spec_use {
    char *label;
    bool in_layers;
    int64_t first, last;     /* the last run of layers, which may still grow */
    int64_t count;           /* layers */
    struct kgen_text ranges; /* the runs before that: "0-3,5," */
};
struct kgen_spec_uses {
    struct kgen_spec_use *items;
    size_t count;
};

/* A spec while it is read. */
struct kgen_spec_reader {
    const char *source, *text;
    const char *file_name; /* its last part names a spec that has no name */
    size_t length;
    const struct kgen_spec_options *options; /* not NULL */
    struct kgen_error *error;
    struct kgen_spec *spec;
    struct kgen_spec_uses *uses; /* of each entry of spec */
    int64_t layers;              /* of the model */
    int64_t scale_dtype;         /* KGEN_CONSTANT_NONE where neither spec nor options say */
    bool scale_dtype_follows;    /* it is that of the checkpoint: neither spec nor options say */
    int64_t activation_dtypes[KGEN_SPEC_PRECISIONS_MAX];
    size_t activation_count;
    int64_t output_activation_dtype; /* of the output projection; KGEN_CONSTANT_NONE: as the others */
    int64_t layout;                  /* the default of the field of every qmv */
    bool separate;                   /* products of one format stay apart: "fuse_products" is false */
    bool has_text_config; /* what describes the model is an object within the config, KGEN_SPEC_TEXT_CONFIG */
};

/* ---- json.c: values with errors that say where. path is that of the object, root NULL. ---- */

/* Sets KGEN_ERROR_SPEC at the value of the path; the _key form at the key in front of it. Returns -1. */
int kgen_spec_fail(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                   const char *format, ...) KGEN_PRINTF(3, 4);
int kgen_spec_fail_key(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                       const char *format, ...) KGEN_PRINTF(3, 4);
int kgen_spec_fail_memory(const struct kgen_spec_reader *reader);
/* Replaces control characters by "?", as texts of a spec are printed on terminals. */
void kgen_spec_make_printable(char *text);

/* The text of a value as the spec has it, shortened and made printable. Returns buffer. */
#define KGEN_SPEC_EXCERPT 48
const char *kgen_spec_excerpt(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                              char buffer[KGEN_SPEC_EXCERPT]);

/* Adds the hint "did you mean" where one of the names is near to the word. Returns whether one is. */
bool kgen_spec_hint_near(const struct kgen_spec_reader *reader, const char *word, const char *const *names,
                         size_t count);
/* The same; where none is near the hint lists all names. */
void kgen_spec_hint_nearest(const struct kgen_spec_reader *reader, const char *word, const char *const *names,
                            size_t count);
/* Fails for the first key of the object that is not among the names. owner is for the message. */
int kgen_spec_check_keys(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                         json_t *object, const char *owner, const char *const *names, size_t count);

/* Whether the value at path is Infinity, -Infinity or NaN, and the number. */
bool kgen_spec_nonfinite(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                         const json_t *value, double *number);

/* Reads a member; a real may be Infinity, -Infinity or NaN. Returns 1 and the value; 0 where it is absent or
 * null; -1 and an error where it is of another kind or outside the limits. */
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

/* Finds the member of a field by its name or its former name; *value is NULL where there is none. *key is the
 * name that was met. Returns 0, or -1 and fills the error where the object at path has both names. */
int kgen_spec_member(const struct kgen_spec_reader *reader, const struct kgen_json_path *path, json_t *object,
                     const struct kgen_field *field, const char **key, json_t **value);
/* Reads the value at path into a field of a problem; owner is for messages. */
int kgen_spec_field(const struct kgen_spec_reader *reader, const struct kgen_json_path *path, json_t *value,
                    const char *owner, const struct kgen_field *field, struct kgen_problem *problem);
/* The field of an op by name; it must exist. */
const struct kgen_field *kgen_spec_find_field(const char *op, const char *name);
/* Reads the constant of a precision, or a list of different ones, into precisions. */
int kgen_spec_activation_dtypes(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                                json_t *value, int64_t words[KGEN_SPEC_PRECISIONS_MAX], size_t *count);

/* ---- entries.c: the problems found ---- */

/* Checks a problem and adds it, or adds to the calls of the entry that has it. label may be NULL; layer is -1
 * outside the layers, and else does not decrease from call to call. path is where an error points to. */
int kgen_spec_add(struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                  const struct kgen_problem *problem, const char *label, int64_t layer, int64_t calls);
/* Checks a problem; label may be NULL. */
int kgen_spec_check_problem(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                            const struct kgen_problem *problem, const char *label);
/* Adds the problem of a node of the spec's graph, once for each precision of activations that the spec asks
 * for; that of the output projection once where it has a precision of its own. */
int kgen_spec_add_node(struct kgen_spec_reader *reader, struct kgen_graph_node *node);
/* Adds a problem of a node, likewise, and its entries to a list of them. */
int kgen_spec_add_problems(struct kgen_spec_reader *reader, const struct kgen_graph_node *node,
                           const struct kgen_problem *problem, size_t entries[KGEN_GRAPH_ENTRIES_MAX],
                           size_t *entry_count);
/* Makes the graph of a list of problems: a node for each entry, and no edges. */
int kgen_spec_graph_of_list(struct kgen_spec_reader *reader);
int kgen_spec_use(struct kgen_spec_uses *uses, const char *label, int64_t layer);
/* Appends "layers.0-3,5.mlp.down_proj, lm_head"; "layers.*" where all of the layers. */
void kgen_spec_uses_write(struct kgen_spec_uses *uses, int64_t layers, struct kgen_text *text);
void kgen_spec_uses_free(struct kgen_spec_uses *uses);
int kgen_spec_warn(struct kgen_spec_reader *reader, const char *format, ...) KGEN_PRINTF(2, 3);
/* Writes the texts of the entries and frees the uses. */
int kgen_spec_entries_finish(struct kgen_spec_reader *reader);
void kgen_spec_entries_discard(struct kgen_spec_reader *reader);

/* ---- quantization.c: the format of each tensor ---- */

struct kgen_spec_format {
    bool quantised;
    int64_t bits, group_size, scheme;
    int64_t scale_dtype; /* 0 where no quantisation object says it: that of the whole spec */
};

struct kgen_spec_override {
    const char *pattern;
    bool matched;                   /* a tensor that problems are derived from */
    bool ignored;                   /* another tensor that exists */
    struct kgen_spec_format format; /* members that it does not give are 0 */
};

struct kgen_spec_formats {
    struct kgen_spec_format base; /* bits 0 where neither the spec nor an option gives them */
    const char *key;              /* of the next: "quantization" or "quantization_config" */
    json_t *quantization;         /* borrowed; NULL where the config has none */
    json_t *seen;                 /* the tensors found in it */
    struct kgen_spec_override *overrides;
    size_t override_count;
    bool mixed;            /* some tensor differs from base */
    bool mxfp4;            /* the matrices are of that format, but those of the modules that a list names */
    json_t *not_converted; /* borrowed, or NULL */
};

/* Reads "quantization" or "quantization_config", and "overrides" of a config. Free formats in every case. */
int kgen_spec_formats_read(struct kgen_spec_reader *reader, json_t *config,
                           struct kgen_spec_formats *formats);
/* The format of a tensor, named as in checkpoints: "model.layers.0.mlp.down_proj". */
int kgen_spec_formats_find(const struct kgen_spec_reader *reader, struct kgen_spec_formats *formats,
                           const char *tensor, struct kgen_spec_format *format);
/* Marks a tensor that exists and that nothing is derived from: a name that means it is no error. */
void kgen_spec_formats_ignore(struct kgen_spec_formats *formats, const char *tensor);
/* The dtype of the scales of a tensor of the format. */
int64_t kgen_spec_formats_scale_dtype(const struct kgen_spec_reader *reader,
                                      const struct kgen_spec_format *format);
/* Once all tensors were asked for: fails for a name or pattern that met none of them, but lets the family's
 * other_weights pass. */
int kgen_spec_formats_finish(struct kgen_spec_reader *reader, struct kgen_spec_formats *formats,
                             const struct kgen_family *family);
void kgen_spec_formats_free(struct kgen_spec_formats *formats);

/* ---- config.c, and files for position embedding and attention: a Hugging Face config ---- */

struct kgen_quantity {
    const char *name, *key; /* key NULL: not from the config */
    int64_t value;
};

/* A quantity that differs between layers. */
struct kgen_layer_flag {
    const char *quantity;
    bool set[KGEN_LAYERS_MAX];
};

struct kgen_spec_model {
    const struct kgen_family *family;
    struct kgen_quantity quantities[64];
    size_t quantity_count;
    struct kgen_layer_flag layer_flags[4];
    size_t layer_flag_count;
    /* Rows of KGEN_CONFIG_FULL_LAYERS. */
    const struct kgen_config_key *full_layers[4];
    size_t full_layer_count;
    /* Of some ops, the fields that the config gives to all of its problems, or to those of the layers where a
     * quantity is not 0: the last that there is for a layer counts. */
    struct {
        struct kgen_problem problem;
        const char *when; /* NULL: of all layers, and outside them */
    } prototypes[12];
    size_t prototype_count;
};

int kgen_spec_config_read(struct kgen_spec_reader *reader, json_t *config, struct kgen_spec_model *model);
/* Adds a prototype, with its fields at their defaults. There must be such an op. when may be NULL. */
struct kgen_problem *kgen_spec_prototype(struct kgen_spec_model *model, const char *op, const char *when);
/* Adds the prototypes of the position embedding. *supported becomes false, with a warning, where the op
 * cannot do what the config asks for. */
int kgen_spec_position_read(struct kgen_spec_reader *reader, json_t *config, struct kgen_spec_model *model,
                            bool *supported);
/* Reads a member of the object at path into a field of rope. Returns as kgen_spec_real. */
int kgen_spec_rope_number(const struct kgen_spec_reader *reader, const struct kgen_json_path *path,
                          json_t *object, const char *key, const char *field_name, struct kgen_problem *rope);
/* Adds the quantities of attention that no key of a family gives, and its prototype: see families/family.h.
 */
int kgen_spec_attention_read(struct kgen_spec_reader *reader, json_t *config, struct kgen_spec_model *model);
int kgen_spec_add_quantity(const struct kgen_spec_reader *reader, struct kgen_spec_model *model,
                           const char *name, const char *key, int64_t value);
/* The first quantity of an expression, or NULL. */
const struct kgen_quantity *kgen_spec_quantity(const struct kgen_spec_model *model, const char *expression);
/* The value of an expression (families/family.h) in a layer, or with -1 outside the layers; it ends at a ",".
 * Fails where a table names a quantity that is not there. */
int kgen_spec_evaluate(const struct kgen_spec_reader *reader, const struct kgen_spec_model *model,
                       int64_t layer, const char *expression, int64_t *value);

/* ---- derive.c, product.c: the graph of a model ---- */

#define KGEN_SYMBOLS_MAX 32

struct kgen_derivation {
    struct kgen_spec_reader *reader;
    const struct kgen_spec_model *model;
    struct kgen_spec_formats *formats;
    struct kgen_graph *graph;
    int64_t layer;
    struct {
        const char *name;
        size_t tensor;
    } symbols[KGEN_SYMBOLS_MAX];
    size_t symbol_count;
};

/* Adds the nodes of all steps of the family to reader->spec->graph. */
int kgen_spec_derive(struct kgen_spec_reader *reader, const struct kgen_spec_model *model,
                     struct kgen_spec_formats *formats);
/* Adds the nodes of a step that has matrices. */
int kgen_derive_product(struct kgen_derivation *derivation, const struct kgen_step *step);

/* Shared by the two files. Each returns 0, or -1 with an error set. */
int kgen_derive_value(const struct kgen_derivation *derivation, const char *expression, int64_t *value);
int kgen_derive_shape(const struct kgen_derivation *derivation, const char *text,
                      int64_t shape[KGEN_GRAPH_RANK_MAX], size_t *rank);
/* Adds a node named name within the layer. *derived says whether there is such an op; its problem is then set
 * up with what the config says of the op. */
int kgen_derive_node(struct kgen_derivation *derivation, const char *name, const char *label, const char *op,
                     size_t *node, bool *derived);
/* Sets a field of a node's problem or, where it is not derived, adds a size. */
int kgen_derive_field(struct kgen_derivation *derivation, size_t node, const char *field, int64_t value);
/* Sets the fields that the step's table gives. */
int kgen_derive_fields(struct kgen_derivation *derivation, const struct kgen_step *step, size_t node);
int kgen_derive_bind(struct kgen_derivation *derivation, size_t node, const char *buffer, size_t tensor,
                     enum kgen_graph_access access);
/* Binds the tensors that the step reads or updates. */
int kgen_derive_inputs(struct kgen_derivation *derivation, const struct kgen_step *step, size_t node);
/* Makes a tensor with the name of the node, which writes it, and of its buffer where that is not y. */
int kgen_derive_output(struct kgen_derivation *derivation, size_t node, const char *buffer,
                       const int64_t *shape, size_t rank, size_t *tensor);
/* Makes the tensors that the step writes, and binds their symbols to them. */
int kgen_derive_outputs(struct kgen_derivation *derivation, const struct kgen_step *step, size_t node);
/* Appends a name with the number of the layer in place of "%". */
void kgen_derive_expand(const struct kgen_derivation *derivation, const char *name, struct kgen_text *text);
/* Binds a buffer to the weight of that name, "%" and all. quantised is that of KGEN_GRAPH_QUANTISED. */
int kgen_derive_weight(struct kgen_derivation *derivation, size_t node, const char *buffer, const char *name,
                       const int64_t *shape, size_t rank, enum kgen_graph_format format,
                       const struct kgen_spec_format *quantised);
int kgen_derive_symbol(struct kgen_derivation *derivation, const char *name, size_t tensor);

/* ---- batch.c ---- */

/* Adds the problems of several rows, for the nodes of the spec's graph that have them, after all others. */
int kgen_spec_add_batches(struct kgen_spec_reader *reader, json_t *config);

/* ---- the two kinds of spec ---- */

/* problems.c */
int kgen_spec_read_problems(struct kgen_spec_reader *reader, json_t *root);
/* model.c */
int kgen_spec_read_model(struct kgen_spec_reader *reader, json_t *root);

#endif
