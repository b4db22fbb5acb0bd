/* SPDX-License-Identifier: MIT */
/* The graph of one decode step: its ops in the order in which they run, the tensors between them, and the
 * weights and state that they use. Everything is referred to by its index, which never changes once it is
 * added. */
#ifndef KGEN_GRAPH_H
#define KGEN_GRAPH_H

#include "gen/ops/problem.h"

#define KGEN_GRAPH_NONE SIZE_MAX
#define KGEN_GRAPH_RANK_MAX 3

enum kgen_graph_access { KGEN_GRAPH_READ, KGEN_GRAPH_WRITE, KGEN_GRAPH_UPDATE };

struct kgen_graph_use {
    size_t node;
    enum kgen_graph_access access;
};

/* Activations. A view is a part of the memory of another tensor, which is not itself a view. */
struct kgen_graph_tensor {
    char *name;        /* "layers.0.mlp.down_proj", that of the node which writes it; owned */
    const char *dtype; /* "f32", "i32" */
    size_t rank;
    int64_t shape[KGEN_GRAPH_RANK_MAX];
    int64_t bytes;
    size_t view_of;              /* KGEN_GRAPH_NONE: it has memory of its own */
    int64_t offset;              /* of a view: elements from the beginning of that tensor */
    bool result;                 /* what the step is run for: it outlives the last node */
    struct kgen_graph_use *uses; /* in the order of the nodes; those of its views are theirs; owned */
    size_t use_count, use_capacity;
    /* Set by kgen_graph_finish. The first and the last node that use the tensor or, of one with memory of its
     * own, any of its views. An input lives from node 0. Both KGEN_GRAPH_NONE where no node uses it. */
    size_t first, last;
};

enum kgen_graph_format {
    KGEN_GRAPH_PLAIN,     /* not quantised, in the dtype of the checkpoint */
    KGEN_GRAPH_QUANTISED, /* bits, group_size, scheme and scale_dtype say how */
    KGEN_GRAPH_UNKNOWN    /* of nodes that kgen does not derive */
};

struct kgen_graph_weight {
    char *name; /* as in checkpoints: "model.layers.0.mlp.down_proj.weight"; "*" stands for each expert; owned
                 */
    size_t rank;
    int64_t shape[KGEN_GRAPH_RANK_MAX]; /* before quantisation */
    enum kgen_graph_format format;
    int64_t bits, group_size;
    int64_t scheme, scale_dtype; /* constants */
};

/* What outlives a step: caches, of which the first dimension is the number of positions, the context of the
 * node's problem; and states of one size, which stand for all positions before. */
struct kgen_graph_state {
    char *name;         /* "layers.0.self_attn.k_cache"; owned */
    const char *buffer; /* of the node's op: "k_cache" */
    size_t rank;
    int64_t shape[KGEN_GRAPH_RANK_MAX]; /* of one position; of a state of one size all of it */
    bool is_recurrent;                  /* it has one size */
    size_t node;                        /* that reads it and adds a position to it */
};

enum kgen_graph_status {
    KGEN_GRAPH_DERIVED,      /* the node has a problem */
    KGEN_GRAPH_NO_OP,        /* there is no op of that name yet */
    KGEN_GRAPH_UNSUPPORTED,  /* there is one, but it cannot do what the model asks for */
    KGEN_GRAPH_NOT_QUANTISED /* its weights are not quantised, which no op serves yet */
};
/* "derived", "no op", "unsupported", "not quantised". */
const char *kgen_graph_status_name(enum kgen_graph_status status);

/* A buffer of a node's op, by its name there, and what it is bound to. */
struct kgen_graph_operand {
    const char *buffer;
    size_t index; /* of a tensor or a weight */
    enum kgen_graph_access access;
};

struct kgen_graph_size {
    const char *name;
    int64_t value;
};

#define KGEN_GRAPH_OPERANDS_MAX 6
#define KGEN_GRAPH_WEIGHTS_MAX 4
#define KGEN_GRAPH_SIZES_MAX 6
#define KGEN_GRAPH_ENTRIES_MAX 4

/* Buckets of sequences that run at once: 2, 4, 8 and 16. A call of one serves as many sequences and fewer. */
#define KGEN_GRAPH_BUCKETS_MAX 4
#define KGEN_GRAPH_SEQUENCES_MAX (1 << KGEN_GRAPH_BUCKETS_MAX)

struct kgen_graph_node {
    char *name;     /* unique: "layers.0.self_attn.qkv_proj"; owned */
    char *label;    /* for people, without the layer: "self_attn.{q,k,v}_proj"; owned */
    const char *op; /* a name, also where there is no such op; static, or that of the op */
    int64_t layer;  /* -1 outside the layers */
    enum kgen_graph_status status;
    struct kgen_problem problem;                        /* where it is derived */
    struct kgen_graph_size sizes[KGEN_GRAPH_SIZES_MAX]; /* where it is not: what is known of its shape */
    size_t size_count;
    /* The entries of the spec that serve it, one for each precision of activations. */
    size_t entries[KGEN_GRAPH_ENTRIES_MAX];
    size_t entry_count;
    /* The same for prompt_rows rows at once, where there is such a problem; else batch_count is 0. */
    size_t batches[KGEN_GRAPH_ENTRIES_MAX];
    size_t batch_count;
    /* The same for a token of each of 2 << bucket sequences. */
    size_t sequence_batches[KGEN_GRAPH_BUCKETS_MAX][KGEN_GRAPH_ENTRIES_MAX];
    size_t sequence_batch_counts[KGEN_GRAPH_BUCKETS_MAX];
    struct kgen_graph_operand tensors[KGEN_GRAPH_OPERANDS_MAX];
    size_t tensor_count;
    /* Several weights of one buffer are concatenated by rows, in this order. */
    struct kgen_graph_operand weights[KGEN_GRAPH_WEIGHTS_MAX];
    size_t weight_count;
};

struct kgen_graph {
    struct kgen_graph_node *nodes;
    struct kgen_graph_tensor *tensors;
    struct kgen_graph_weight *weights;
    struct kgen_graph_state *states;
    size_t node_count, tensor_count, weight_count, state_count;
    size_t node_capacity, tensor_capacity, weight_capacity, state_capacity;
    int64_t layers;      /* of the model; 0 for a list of problems */
    int64_t prompt_rows; /* the greatest number of tokens of a prompt that run at once; 1: no batches */
    int64_t sequences; /* the greatest number of sequences that run at once, a token of each; 1: one by one */
};

/* Returns NULL when memory runs out. free: NULL is fine. */
struct kgen_graph *kgen_graph_new(void);
void kgen_graph_free(struct kgen_graph *graph);

/* Each adds something and returns its index, or KGEN_GRAPH_NONE when memory runs out. Names are copied; op,
 * dtype and buffer are not. shape has rank elements of at least 1. */
size_t kgen_graph_add_node(struct kgen_graph *graph, const char *name, const char *label, const char *op,
                           int64_t layer);
size_t kgen_graph_add_tensor(struct kgen_graph *graph, const char *name, const char *dtype,
                             const int64_t *shape, size_t rank);
size_t kgen_graph_add_view(struct kgen_graph *graph, const char *name, size_t tensor, int64_t offset,
                           const int64_t *shape, size_t rank);
/* Nodes may share a weight: look first whether it is there. */
size_t kgen_graph_find_weight(const struct kgen_graph *graph, const char *name);
size_t kgen_graph_add_weight(struct kgen_graph *graph, const char *name, const int64_t *shape, size_t rank);
size_t kgen_graph_add_state(struct kgen_graph *graph, const char *name, size_t node, const char *buffer,
                            const int64_t *shape, size_t rank);

/* Binds a buffer of a node, the last that was added, to a tensor. buffer is not copied. Returns -1 when
 * memory or the room for operands runs out. */
int kgen_graph_bind(struct kgen_graph *graph, size_t node, const char *buffer, size_t tensor,
                    enum kgen_graph_access access);
/* The same for a weight. */
int kgen_graph_bind_weight(struct kgen_graph *graph, size_t node, const char *buffer, size_t weight);

/* The number of buckets that so many sequences need: the last has room for all of them. */
size_t kgen_graph_buckets(int64_t sequences);

/* Whether one of the node's tensors is the token, which selects a row of its weights. */
bool kgen_graph_selects_rows(const struct kgen_graph_node *node);

/* Sets the lifetimes of the tensors. Call it once all nodes are there. */
void kgen_graph_finish(struct kgen_graph *graph);

/* The first node that writes a tensor, or the tensor that it is a view of; KGEN_GRAPH_NONE: it is an input.
 */
size_t kgen_graph_producer(const struct kgen_graph *graph, size_t tensor);

/* The last node before a node that wrote what a tensor holds, or KGEN_GRAPH_NONE: nothing did, it is an
 * input. */
size_t kgen_graph_writer(const struct kgen_graph *graph, size_t tensor, size_t node);

/* The greatest number of bytes of tensors that live at one node, a lower bound of the arena of a step.
 * *node is the first node where it is so; NULL is fine. Returns -1 when memory runs out. */
int64_t kgen_graph_peak(const struct kgen_graph *graph, size_t *node);

#endif
