/* SPDX-License-Identifier: MIT */
/* Shared by the files that write the step of a model: model*.c. */
#ifndef KGEN_EMIT_MODEL_H
#define KGEN_EMIT_MODEL_H

#include "gen/emit/internal.h"
#include "gen/ops/format.h"

/* Places of buffers begin at multiples of so many bytes. */
#define KGEN_EMIT_MODEL_ALIGNMENT 64

/* Memory of activations: of a tensor, or of those of the same name in several layers, one after the other. */
struct kgen_emit_model_slot {
    struct kgen_text name;   /* of the member of struct step: "mlp_swiglu" */
    struct kgen_text tensor; /* without its layer */
    const char *type;        /* of an element */
    int64_t elements;        /* of a row */
    size_t last;             /* the last node that uses it */
    bool result;             /* the logits, which the caller gives */
};

/* Weights that a buffer of a node is bound to, and perhaps those of other nodes: a matrix, or a vector. */
struct kgen_emit_model_weights {
    struct kgen_text name; /* of the node, as an identifier: members are called name_array */
    size_t node;           /* the first that uses them */
    const char *buffer;
    bool is_vector;
};

/* A function that runs a part of a node. */
struct kgen_emit_model_function {
    struct kgen_text name;
    struct kgen_text text; /* with KGEN_EMIT_MODEL_NAME in place of its name */
};
#define KGEN_EMIT_MODEL_NAME "@"

/* A workspace that depends on positions alone: it is prepared once, and not at each call. */
struct kgen_emit_model_table {
    size_t entry;          /* whose _prepare fills it */
    struct kgen_text name; /* of the member of struct step */
};

struct kgen_emit_model {
    const struct kgen_emission *emission;
    const struct kgen_graph *graph;
    struct kgen_emit_model_slot *slots; /* owned, as all lists are */
    size_t *slot_of;                    /* of each tensor; SIZE_MAX: none */
    struct kgen_emit_model_weights *weights;
    struct kgen_emit_model_function *functions;
    struct kgen_emit_model_table *tables;
    size_t slot_count, weight_count, function_count, function_capacity, table_count;
    int64_t *state_offsets; /* of each state, from those of its layer on */
    int64_t state_bytes, row_bytes, gathered;
    /* Entries whose workspaces and scratch the step uses, and the prompt besides; a bit of each below. */
    unsigned char *used;
    struct kgen_error *error; /* of what went wrong first */
};
/* What an entry is used for. */
enum { KGEN_EMIT_MODEL_STEP = 1, KGEN_EMIT_MODEL_PROMPT = 2, KGEN_EMIT_MODEL_ROWS = 4 };

/* model_plan.c: makes slots, weights, tables and the offsets of states. Returns 0 or -1 with an error. */
int kgen_emit_model_plan(struct kgen_emit_model *model);
void kgen_emit_model_free(struct kgen_emit_model *model);
/* The weights that a buffer of a node is bound to. */
const struct kgen_emit_model_weights *kgen_emit_model_find(const struct kgen_emit_model *model, size_t node,
                                                           const char *buffer);
/* Whether nodes of a layer follow one another from begin to end, both set. layer -1: those before the layers
 * where *begin is 0, else those after them. */
void kgen_emit_model_group(const struct kgen_emit_model *model, int64_t layer, bool after, size_t *begin,
                           size_t *end);
/* The bytes of the states of nodes. */
int64_t kgen_emit_model_state_bytes(const struct kgen_emit_model *model, size_t begin, size_t end);
/* The entry of a node's call for one row, or for the rows of a prompt; SIZE_MAX: none. */
size_t kgen_emit_model_entry(const struct kgen_emit_model *model, size_t node);
size_t kgen_emit_model_batch(const struct kgen_emit_model *model, size_t node);
/* The table that the call of an entry uses, or NULL. */
const struct kgen_emit_model_table *kgen_emit_model_table(const struct kgen_emit_model *model, size_t entry);
bool kgen_emit_model_keeps_state(const struct kgen_emit_model *model, size_t node);

/* model_call.c: which rows a call has. */
enum kgen_emit_model_rows {
    KGEN_EMIT_MODEL_ONE,   /* the only one, of a step */
    KGEN_EMIT_MODEL_ROW,   /* step->row of a prompt */
    KGEN_EMIT_MODEL_EACH,  /* the local variable row */
    KGEN_EMIT_MODEL_BATCH, /* all of a prompt at once */
};
struct kgen_emit_model_call {
    struct kgen_emit_model *model;
    size_t node, entry;
    enum kgen_emit_model_rows rows;
    bool in_part; /* it stands in a function that runs a part, and has a scratch of that part */
};
/* Appends a statement that calls a part of the kernel's function: KGEN_PREPARE, KGEN_RUN, KGEN_FINISH.
 * Nothing where it has no such part. begin and end are expressions, for KGEN_RUN. */
void kgen_emit_model_put_call(const struct kgen_emit_model_call *call, unsigned part, const char *indent,
                              const char *begin, const char *end, struct kgen_text *text);
/* Appends copies of views to or from rows of their own, of a call for all rows. */
void kgen_emit_model_put_gather(const struct kgen_emit_model_call *call, bool back, struct kgen_text *text);

/* model_nodes.c: appends the statements of a node in a step; or in a prompt, with those of the nodes that
 * follow up to end where they run row by row as this one does. That returns the next node. */
void kgen_emit_model_put_step(struct kgen_emit_model *model, size_t node, struct kgen_text *text);
size_t kgen_emit_model_put_prompt(struct kgen_emit_model *model, size_t node, size_t end,
                                  struct kgen_text *text);

/* model_bind.c: appends the members of the structs of weights, and the functions that find them. */
void kgen_emit_model_put_members(const struct kgen_emit_model *model, bool of_layers, struct kgen_text *text);
void kgen_emit_model_put_bind(const struct kgen_emit_model *model, size_t begin, size_t end,
                              struct kgen_text *text);
int64_t kgen_emit_model_weight_bytes(const struct kgen_emit_model *model);

/* model_layers.c: writes a function for each kind of layer, and what calls them. */
struct kgen_emit_model_pass {
    const char *name;       /* of the functions, before "layer_0" */
    const char *parameters; /* "struct step *step" */
    const char *call;       /* the arguments, with "#" in place of the number of the layer */
    const char *within;     /* the arguments of a call within such a function */
    /* Appends the statements of nodes. */
    void (*put)(struct kgen_emit_model *model, size_t begin, size_t end, struct kgen_text *text);
};
/* functions receives the functions, text the statements of the nodes before the layers, of the layers, and of
 * those after. Returns 0, or -1 when memory runs out. */
int kgen_emit_model_put_layers(struct kgen_emit_model *model, const struct kgen_emit_model_pass *pass,
                               struct kgen_text *functions, struct kgen_text *text);

/* Appends a name as a part of an identifier; of one in a layer without that. */
void kgen_emit_model_put_identifier(const char *name, struct kgen_text *text);

#endif
