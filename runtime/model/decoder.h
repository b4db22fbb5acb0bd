/* SPDX-License-Identifier: MIT */
/* One decode step of a model in memory: the nodes of its graph in their order, each with a compiled kernel,
 * its weights, and its place in the activations and caches. */
#ifndef KGEN_DECODER_H
#define KGEN_DECODER_H

#include "gen/spec/graph.h"
#include "runtime/jit/kernel.h"
#include "runtime/model/checkpoint.h"
#include "runtime/model/sequence.h"

struct kgen_decoder; /* used by one thread at a time */

/* What a decoder is made of. */
struct kgen_decoder_parts {
    const struct kgen_graph *graph;
    /* The kernel of each entry of the spec that the graph belongs to, by the entry's index, and whether it is
     * plain C: a node whose rows vectors compute one by one does not use plain C for several at once. */
    const struct kgen_kernel *const *kernels;
    const bool *plain;
    /* From it a step reads the row of its token. NULL: weights are random, for measurements. */
    const struct kgen_checkpoint *checkpoint;
    int threads;   /* that the kernels were tuned for */
    int64_t pages; /* of caches with pages, as kgen_paged_caches_new takes them */
    /* Use weights where they lie in the checkpoint, if they lie there as the kernels read them. */
    bool in_place;
    /* NULL, or is told after each node how many of the nodes are loaded. */
    void (*progress)(void *context, size_t done, size_t count);
    void *progress_context;
};

/* Loads the weights and allocates activations. The graph, the code of the
 * kernels and the checkpoint must outlive the decoder. Returns NULL with KGEN_ERROR_SPEC where a node of the
 * graph has no kernel, with KGEN_ERROR_MEMORY, or with the error of reading the checkpoint. */
struct kgen_decoder *kgen_decoder_new(const struct kgen_decoder_parts *parts, struct kgen_error *error);
/* NULL is fine. */
void kgen_decoder_free(struct kgen_decoder *decoder);

/* The decoder has a sequence of its own, which kgen_decoder_step and kgen_decoder_prompt make at their first
 * call. Any number of others may share its weights.
 *
 * Runs one step: a token at a position, which is the one after the last step's or an earlier one. The caches
 * hold the positions before it; an earlier position takes back what was there and behind it, so that position
 * 0 begins anew: nothing of before is read. Returns the logits, a float for each token of the vocabulary,
 * valid until the next step. Returns NULL with KGEN_ERROR_USAGE where the token or the position is out of
 * range, or a position is left out, or with the error of reading the checkpoint. Where the graph has
 * recurrent states, those of linear attention, an earlier position than the next is refused, too, but for 0.
 */
const float *kgen_decoder_step(struct kgen_decoder *decoder, int64_t token, int64_t position,
                               struct kgen_error *error);

/* Runs the tokens of a prompt, count of them from a position on, as so many steps would, and returns the
 * logits after the last. As many at once as the graph's prompt_rows says; the nodes that have kernels for
 * several rows use them, the others run row by row. Fails as kgen_decoder_step does, before anything is run
 * where a token or a position is out of range; with KGEN_ERROR_USAGE where count is 0. */
const float *kgen_decoder_prompt(struct kgen_decoder *decoder, const int32_t *tokens, size_t count,
                                 int64_t position, struct kgen_error *error);
/* The number of tokens that kgen_decoder_prompt runs at once. */
int64_t kgen_decoder_prompt_rows(const struct kgen_decoder *decoder);

/* Runs the tokens of a sequence of the decoder's graph, count of them, after those that it holds. Returns the
 * logits after the last, valid until the next call. all is NULL, or receives the logits after each token,
 * count times kgen_decoder_vocabulary floats. Fails as kgen_decoder_prompt does, and with KGEN_ERROR_MEMORY;
 * the sequence then holds what it held, or nothing where it has recurrent states and some were run. */
const float *kgen_decoder_sequence(struct kgen_decoder *decoder, struct kgen_sequence *sequence,
                                   const int32_t *tokens, size_t count, float *all, struct kgen_error *error);
/* Runs one token of each of count sequences, 1 to kgen_decoder_sequences of them and no two the same, by
 * kernels for several rows. Returns the logits, those of each sequence after the other, valid until the next
 * call. Fails as kgen_decoder_sequence does, before anything is run where a token or a position is out of
 * range. */
const float *kgen_decoder_batch(struct kgen_decoder *decoder, struct kgen_sequence *const *sequences,
                                const int32_t *tokens, size_t count, struct kgen_error *error);
/* The greatest number of sequences that run at once, that of the graph; 1: one by one. */
int64_t kgen_decoder_sequences(const struct kgen_decoder *decoder);

/* Makes an empty sequence for 1 to kgen_decoder_context positions, which the decoder must outlive. Returns
 * NULL with KGEN_ERROR_MEMORY. */
struct kgen_sequence *kgen_decoder_sequence_new(const struct kgen_decoder *decoder, int64_t context,
                                                struct kgen_error *error);
/* The positions of a page of the caches, 0: they have no pages; the pages that there are for each kind of
 * layer, and those of them that are free, of the kind that has fewest. */
int64_t kgen_decoder_page_size(const struct kgen_decoder *decoder);
int64_t kgen_decoder_pages(const struct kgen_decoder *decoder);
int64_t kgen_decoder_pages_left(const struct kgen_decoder *decoder);

/* The number of tokens of the vocabulary, and the number of positions that the caches have room for. */
int64_t kgen_decoder_vocabulary(const struct kgen_decoder *decoder);
int64_t kgen_decoder_context(const struct kgen_decoder *decoder);

/* Bytes of a decoder. */
struct kgen_decoder_sizes {
    size_t weights;          /* packed into memory of its own */
    size_t in_place_weights; /* used where they lie in the checkpoint */
    size_t read_weights;     /* of both, those that one step reads */
    size_t activations;      /* of as many rows as a prompt may run at once; used as far as they are needed */
    size_t caches; /* of one sequence of as many positions as there is room for; used as far as filled */
    size_t filled_caches;    /* of the positions before the next one, all of which a step reads */
    size_t packed, in_place; /* matrices */
};
void kgen_decoder_query(const struct kgen_decoder *decoder, struct kgen_decoder_sizes *sizes);

/* The time of one node, in seconds. seconds is all the time from the end of the node before, so that the
 * seconds of all nodes are those of the step. Of it, prepare and finish are parts that one thread runs while
 * the others wait, and run is that of the threads in their parts of the node, on average. What remains of a
 * node that several threads share is waiting: to begin, and for the last to end. Of one that is not shared
 * only seconds is set. */
struct kgen_decoder_time {
    double seconds, prepare, run, finish;
    bool is_shared;
};

/* From now on each step, and each batch of a prompt, adds its times to those of the nodes: times has one for
 * each node of the graph, and must outlive that. NULL: no more. Of a batch only seconds is known. Fails with
 * KGEN_ERROR_MEMORY. */
int kgen_decoder_watch(struct kgen_decoder *decoder, struct kgen_decoder_time *times,
                       struct kgen_error *error);

#endif
