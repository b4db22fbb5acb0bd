/* SPDX-License-Identifier: MIT */
/* What a model family is: the keys that it reads from a config, and the steps of its layers, as tables. A new
 * family is a file beside this one and a line in families.c; dense.c has the tables that most families share.
 */
#ifndef KGEN_FAMILY_H
#define KGEN_FAMILY_H

#include "gen/spec/graph.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Far above any model, and low enough that one spec is read in well under a second. */
#define KGEN_LAYERS_MAX 1024
#define KGEN_EXPERTS_MAX 65536
#define KGEN_HEAD_DIM_MAX 8192

/* Expressions are numbers and names of quantities with "*" and "+" between them: "heads*head_dim". Shapes
 * are expressions with "," between them.
 *
 * Besides the quantities that keys give there are these. first_layer is 1 in the first layer, else 0.
 * position_supported is 0 where the config asks for a position embedding that its op cannot do.
 * gating_supported is 0 where the activation of the mlp is not one of the family's op of gating. context is
 * the number of positions that the caches have room for, and attention_supported 0 where the op of attention
 * cannot do what is asked for. window is the number of positions that attention sees, 0 where it sees all, in
 * the layers where sliding is 1. final_softcap is 1 where the logits have a soft cap. */

enum kgen_config_kind {
    KGEN_CONFIG_END,
    KGEN_CONFIG_INTEGER, /* an integer from 1 to maximum */
    KGEN_CONFIG_FLAG,    /* true or false; where the key is absent, standard or false */
    KGEN_CONFIG_DERIVED, /* no key: the value of standard */
    /* 1 in every step-th layer, else 0: in layers step - 1, 2 step - 1, ...; 0 also in the layers that a list
       names */
    KGEN_CONFIG_LAYERS,
    KGEN_CONFIG_COUNT, /* an integer from 0 to maximum */
    /* No key: in the layers without a window the quantity is that which standard names, where the quantity
       that divides names is not 0. */
    KGEN_CONFIG_FULL_LAYERS
};

/* One quantity, and the key of the config that gives it. */
struct kgen_config_key {
    enum kgen_config_kind kind;
    const char *quantity;
    const char *key;      /* of KGEN_CONFIG_LAYERS that of the step, 1 where absent */
    const char *standard; /* where the key is absent: an expression, or "a/b"; NULL: the key is required */
    int64_t maximum;
    const char *divides; /* NULL, or a quantity that must be a multiple of this one */
    const char *except;  /* of KGEN_CONFIG_LAYERS: the key of the list of layers */
};

#define REQUIRED(quantity, key, maximum)                                                                     \
    {                                                                                                        \
        KGEN_CONFIG_INTEGER, quantity, key, NULL, maximum, NULL, NULL                                        \
    }
#define OPTIONAL(quantity, key, standard, maximum)                                                           \
    {                                                                                                        \
        KGEN_CONFIG_INTEGER, quantity, key, standard, maximum, NULL, NULL                                    \
    }
#define COUNT(quantity, key, maximum)                                                                        \
    {                                                                                                        \
        KGEN_CONFIG_COUNT, quantity, key, "0", maximum, NULL, NULL                                           \
    }
#define FULL_LAYERS(quantity, other, condition)                                                              \
    {                                                                                                        \
        KGEN_CONFIG_FULL_LAYERS, quantity, NULL, other, 0, condition, NULL                                   \
    }
#define FLAG(quantity, key)                                                                                  \
    {                                                                                                        \
        KGEN_CONFIG_FLAG, quantity, key, NULL, 1, NULL, NULL                                                 \
    }
#define DERIVED(quantity, expression)                                                                        \
    {                                                                                                        \
        KGEN_CONFIG_DERIVED, quantity, NULL, expression, 0, NULL, NULL                                       \
    }
#define SOME_LAYERS(quantity, step, except)                                                                  \
    {                                                                                                        \
        KGEN_CONFIG_LAYERS, quantity, step, "1", KGEN_LAYERS_MAX, NULL, except                               \
    }
#define KEYS_END                                                                                             \
    {                                                                                                        \
        KGEN_CONFIG_END, NULL, NULL, NULL, 0, NULL, NULL                                                     \
    }

/* A field of a step's op, and the expression that gives it. */
struct kgen_step_field {
    const char *field, *value;
};

/* A buffer of a step's op and the symbol that it is bound to. A symbol names what was last written under it.
 */
struct kgen_step_tensor {
    const char *buffer, *symbol;
    enum kgen_graph_access access;
    const char *shape; /* of KGEN_GRAPH_WRITE, which makes a tensor */
};
#define READS(buffer, symbol)                                                                                \
    {                                                                                                        \
        buffer, symbol, KGEN_GRAPH_READ, NULL                                                                \
    }
#define UPDATES(buffer, symbol)                                                                              \
    {                                                                                                        \
        buffer, symbol, KGEN_GRAPH_UPDATE, NULL                                                              \
    }
#define WRITES(buffer, symbol, shape)                                                                        \
    {                                                                                                        \
        buffer, symbol, KGEN_GRAPH_WRITE, shape                                                              \
    }

/* In the names of weights "%" is the number of the layer. */
struct kgen_step_weight {
    const char *buffer, *name, *shape;
    bool known; /* false: an expert's, whose format is not read */
};

/* What outlives a step, bound to a buffer of the step's op. */
struct kgen_step_state {
    const char *buffer, *name;
    const char *shape; /* of one position; NULL: it has no positions, and is as large as the buffer */
};

/* A matrix of a product: the rows are the product of its shape, which is that of its output. Where all
 * matrices of a step have one name, they are row ranges of one tensor, in this order. */
struct kgen_step_matrix {
    const char *name;   /* without ".weight": "model.layers.%.self_attn.q_proj" */
    const char *symbol; /* of its output */
    const char *shape;
};

#define KGEN_STEP_MATRICES_MAX 4

struct kgen_step {
    const char *op; /* may be one that does not exist yet: kgen_absent_ops says what to tell then */
    const char
        *name; /* within the layer, or the model: "self_attn.q_norm"; of a product made of its matrices */
    const char *when;      /* NULL, or a quantity that must not be 0; "!quantity": that must be 0 */
    const char *supported; /* NULL, or a quantity that is 0 where the op cannot do what the config asks for */
    struct kgen_step_field fields[KGEN_GRAPH_SIZES_MAX];
    const char *real_field; /* NULL, or a real field that has its own value, and not that of the config */
    double real_value;
    struct kgen_step_tensor tensors[KGEN_GRAPH_OPERANDS_MAX];
    struct kgen_step_weight weights[KGEN_GRAPH_WEIGHTS_MAX];
    struct kgen_step_state states[2];
    /* A product of matrices that share their input: those of one format become one node. The format of each
     * is that which the config gives for its name. */
    struct kgen_step_matrix matrices[KGEN_STEP_MATRICES_MAX];
    const char *columns; /* of each matrix */
    const char *experts; /* NULL, or how many matrices of that shape each of them is, one below the other */
    const char *rows;    /* NULL: those of the matrices; else how many of them a step uses */
    const char *bias;    /* NULL, or a quantity: not 0 where a bias is added to each output */
    const char *label;   /* NULL, or what people see in place of the names of the matrices */
    const char *ignored; /* NULL, or a weight that a config may name though the step does not use it */
};

#define KGEN_RECIPE_PARTS_MAX 6

/* Lists of steps, each of which ends with a step without op. */
struct kgen_recipe {
    const struct kgen_step *before;
    const struct kgen_step *layer[KGEN_RECIPE_PARTS_MAX]; /* one after the other, in each layer */
    const struct kgen_step *after;
};

struct kgen_family {
    const char *architecture, *model_type;
    const struct kgen_config_key *shared; /* NULL, or keys of which own replaces those of the same quantity */
    const struct kgen_config_key *own;    /* after those */
    const struct kgen_recipe *recipe;
    const char *other_weights; /* NULL, or a pattern of weights that a config may name and no step asks for */
    const char *gating;        /* the op of the mlp's gating; NULL: that of silu */
    /* NULL, or a JSON object: the keys, with their values, that hold where the config does not have them. */
    const char *standards;
};

/* Ends with NULL. */
extern const struct kgen_family *const kgen_families[];

/* Ops that recipes name and that do not exist yet. The warning is about all nodes of the op: {layers} are the
 * layers and the block they stand in, {quantity} its value. The table's order is that of the warnings; it
 * ends with a row without op. */
struct kgen_absent_op {
    const char *op, *warning;
};
extern const struct kgen_absent_op kgen_absent_ops[];

/* dense.c: a decoder with grouped attention and a gated mlp, whole and in parts. */
extern const struct kgen_config_key kgen_dense_keys[];
extern const struct kgen_step kgen_dense_before[], kgen_dense_attention[], kgen_dense_mlp[],
    kgen_dense_after[];
extern const struct kgen_recipe kgen_dense_recipe;
/* In place of kgen_dense_mlp: gate and up are rows of one tensor. */
extern const struct kgen_step kgen_fused_mlp[];
/* gemma2.c: the recipe of Gemma 2 and 3. */
extern const struct kgen_recipe kgen_gemma_recipe;

#endif
