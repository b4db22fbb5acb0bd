/* SPDX-License-Identifier: MIT */
/* The members of a decoder. Shared by the files decoder*.c. */
#ifndef KGEN_DECODER_INTERNAL_H
#define KGEN_DECODER_INTERNAL_H

#include "gen/ops/format.h"
#include "runtime/jit/device.h"
#include "runtime/model/arena.h"
#include "runtime/model/decoder.h"
#include "runtime/model/slabs.h"

/* A node, ready to run. */
struct kgen_decoder_call {
    const struct kgen_kernel *kernel;
    size_t range; /* of the kernel */
    struct kgen_arguments arguments;
    int position_scalar;             /* -1: none */
    size_t first_state, state_count; /* of the graph; those of other nodes may lie between them */
    bool selects_rows; /* the token is the row of a matrix, which is read from the checkpoint at each step */
    const char *rows_of;       /* the name of that matrix */
    struct kgen_matrix row;    /* that row, in the arrays that the call has */
    void *workspace, *scratch; /* owned */
};

/* Weights in memory: a matrix or a vector that a buffer of a node is bound to, and other nodes may share. */
struct kgen_decoder_weights {
    size_t node; /* the first that uses them */
    const char *buffer;
    unsigned char *arrays[KGEN_FORMAT_ARRAYS_MAX]; /* a vector has one; in the slabs, or in place */
    bool in_place;                                 /* in the checkpoint */
};

/* Memory that the kernel of a node reads: an array of weights, or a cache. */
struct kgen_decoder_stream {
    size_t buffer;         /* of the call */
    size_t unit_bytes;     /* of an array: what one more of what the kernel's range counts adds; else 0 */
    size_t position_bytes; /* of a cache */
};

/* Nodes of a step that need no more than one start of the team: one thread runs them in their order. Where
 * is_shared is set it only prepares the last, which all threads share. */
struct kgen_decoder_job {
    size_t begin, end;
    bool is_shared;
    size_t parts; /* of the shared node */
    struct kgen_decoder_stream streams[KGEN_BUFFERS_MAX];
    size_t stream_count;
};

struct kgen_decoder_batch;

struct kgen_decoder {
    const struct kgen_graph *graph;
    const struct kgen_checkpoint *checkpoint;
    const struct kgen_device_functions *device;
    bool in_place; /* weights are used in the checkpoint where they lie there as kernels read them */
    struct kgen_arena arena;
    unsigned char *activations;
    struct kgen_decoder_call *calls; /* of each node */
    struct kgen_decoder_job *jobs;   /* of a step */
    size_t job_count;
    struct kgen_decoder_batch *batch; /* for several rows of a prompt at once; NULL: none */
    /* For a token of each of several sequences at once, by buckets; NULL: none. */
    struct kgen_decoder_batch *sequence_batches[KGEN_GRAPH_BUCKETS_MAX];
    int *state_buffers;               /* of each state of the graph, in the call of its node */
    int *page_buffers;                /* of its table of pages; -1: none */
    struct kgen_paged_caches *caches; /* NULL: there are no pages */
    struct kgen_sequence *own;        /* NULL: not needed yet */
    struct kgen_decoder_weights *weights;
    size_t weight_count, weight_capacity;
    struct kgen_slabs slabs; /* of the weights */
    struct kgen_team *team;
    size_t threads; /* of the team */
    const float *logits;
    int64_t vocabulary, context;
    struct kgen_decoder_sizes sizes;
    struct kgen_decoder_time *times; /* of each node; NULL: not taken */
    double *busy;                    /* of each thread, in the node at hand; owned */
    double marked;                   /* when the node at hand began */
};

/* Loads the weights of a node and binds them to its call. */
int kgen_decoder_load(struct kgen_decoder *decoder, size_t node, struct kgen_error *error);
/* Lets go of the pages of the checkpoint that hold matrices which were packed. Reading the last rows of one
 * may have brought back those of another, as pages come in large pieces. */
void kgen_decoder_let_go(const struct kgen_decoder *decoder);
void kgen_decoder_weights_free(struct kgen_decoder *decoder);

/* Makes decoder->batch, where the graph has prompt_rows, and decoder->sequence_batches. The calls of single
 * rows are there. */
int kgen_decoder_batches_new(struct kgen_decoder *decoder, const struct kgen_decoder_parts *parts,
                             struct kgen_error *error);
void kgen_decoder_batches_free(struct kgen_decoder *decoder);
/* Points the prompt's calls at the states of a sequence. */
void kgen_decoder_batch_bind(struct kgen_decoder *decoder, const struct kgen_sequence *sequence);

/* Makes the jobs of a step. The calls are there. */
int kgen_decoder_jobs_new(struct kgen_decoder *decoder, struct kgen_error *error);
/* Runs them. The token and the position are in range. */
int kgen_decoder_jobs_run(struct kgen_decoder *decoder, int64_t token, int64_t position,
                          struct kgen_error *error);
/* Begins the time of the first node, and ends that of a node, where times are taken. */
void kgen_decoder_mark_begin(struct kgen_decoder *decoder);
void kgen_decoder_mark(struct kgen_decoder *decoder, size_t node);

/* Sets what differs from step to step: the position, and the row of the token. */
int kgen_decoder_set(const struct kgen_decoder *decoder, struct kgen_decoder_call *call, int64_t token,
                     int64_t position, struct kgen_error *error);
/* The rows of a batch that run now. */
struct kgen_decoder_rows {
    const int32_t *tokens;
    int64_t count;
    /* Of a prompt: the position of the first row, whether its logits are asked for, and where those of each
     * row go, or NULL. */
    int64_t position;
    bool is_last;
    float *all;
    /* The sequence of each row; NULL: a prompt. */
    struct kgen_sequence *const *sequences;
};
int kgen_decoder_batch_run(struct kgen_decoder_batch *batch, const struct kgen_decoder_rows *rows,
                           struct kgen_error *error);
/* The rows that there is room for, and the logits of the first of a batch of sequences. */
int64_t kgen_decoder_batch_rows(const struct kgen_decoder_batch *batch);
const float *kgen_decoder_batch_logits(const struct kgen_decoder_batch *batch);

/* Points the states of a node, and the tables of their pages, at those of a sequence. */
void kgen_decoder_bind(const struct kgen_decoder *decoder, size_t node, const struct kgen_sequence *sequence,
                       struct kgen_arguments *arguments);
/* Runs the call of a node once. */
int kgen_decoder_run(const struct kgen_decoder *decoder, struct kgen_decoder_call *call, int64_t token,
                     int64_t position, struct kgen_error *error);

#endif
