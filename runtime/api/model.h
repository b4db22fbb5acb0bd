/* SPDX-License-Identifier: MIT */
/* A model from a checkpoint, with kernels from a plan, ready to decode. Internal to libkgen and the command.
 */
#ifndef KGEN_MODEL_H
#define KGEN_MODEL_H

#include "runtime/api/plan.h"
#include "runtime/model/decoder.h"
#include "runtime/model/tokenizer/tokenizer.h"

#include <pthread.h>
#include <stdatomic.h>

enum { KGEN_MODEL_NAMES = 4, KGEN_MODEL_NAME_MAX = 16 };

struct kgen_model {
    struct kgen_checkpoint *checkpoint; /* NULL: random weights; owned, as all that follows */
    struct kgen_spec *spec;
    struct kgen_plan *plan;
    struct kgen_decoder *decoder;
    bool in_place; /* whether weights may be used in the file */
    bool separate; /* products with several matrices are separate, as the matrices are in the file */
    /* Of products, of weights, of keys and values: what the options said, or their defaults, in names. */
    const char *activation_dtype, *layout, *cache_dtype;
    const char *output_activation_dtype; /* of the output projection, likewise */
    char names[KGEN_MODEL_NAMES][KGEN_MODEL_NAME_MAX];
    int threads;
    struct kgen_tokenizer *tokenizer; /* NULL: none; kgen_model_open opens it */
    uint64_t identity;                /* of what states hold; kgen_model_open sets it */
    pthread_mutex_t lock;             /* held while the decoder runs */
    atomic_size_t uses;               /* the model itself, until it is closed, and its states */
};

/* Where the weights are that kernels read. */
enum kgen_model_weights {
    /* Those of a package in its file; others packed into memory, unless free memory is short. */
    KGEN_MODEL_WEIGHTS_AUTO,
    KGEN_MODEL_WEIGHTS_IN_PLACE, /* in the file, as far as they lie there as kernels read them */
    KGEN_MODEL_WEIGHTS_PACKED    /* packed into memory of their own */
};

struct kgen_model_options {
    const char *activation_dtype;        /* of products; NULL: that of a package, else "i24" */
    const char *output_activation_dtype; /* of the output projection; NULL: "i24" where products have "i8",
                                          * else as they */
    /* Of weights; NULL: that of a package; "stored" where most weights of another checkpoint are to be used
     * in place and can be; else "tiles16" for integers and "stored" for floats. */
    const char *layout;
    const char *cache_dtype; /* of keys and values; NULL: "f16" */
    int64_t context;         /* positions that the caches have room for; 0: the checkpoint's, at most 4096 */
    /* NULL, or the text of a config: nothing is opened, path only names it, and the weights are random. */
    const struct kgen_text *config;
    int64_t prompt_rows; /* tokens of a prompt that run at once; 0: 512, or the context where that is less */
    int64_t sequences;   /* that run at once, 1 to 16; 0: 1 */
    int64_t page_size;   /* positions of a page of the caches, a multiple of 16; 0: they have no pages */
    int64_t pages;       /* for each kind of layer; 0: as many as these sequences need */
    enum kgen_model_weights weights;
    uint64_t available_memory; /* bytes; 0: what the system says */
    /* NULL, or is told of the nodes whose weights are loaded. */
    void (*progress)(void *context, size_t done, size_t count);
    void *progress_context;
};

/* Appends the config of an open checkpoint with what the options say: the spec of the model that
 * kgen_model_of_checkpoint makes with packed weights. */
int kgen_model_write_config(struct kgen_checkpoint *checkpoint, const struct kgen_model_options *options,
                            struct kgen_text *text, struct kgen_error *error);

/* Opens a checkpoint, plans its kernels in the context, and loads its weights, without a tokenizer. Returns
 * NULL with the status of kgen_plan_text, KGEN_BAD_SPEC where the checkpoint is not valid or kgen cannot run
 * all of the model, KGEN_IO_FAILED or KGEN_OUT_OF_MEMORY. */
struct kgen_model *kgen_model_of_checkpoint(struct kgen_context *context, const char *path,
                                            const struct kgen_model_options *options,
                                            struct kgen_status *status);

/* Counts one more use of a model, which kgen_model_close ends. */
struct kgen_model *kgen_model_use(struct kgen_model *model);

/* Copies a struct of the caller's, of which `size` bytes are known to him, to one of to_size bytes, which has
 * its defaults. maker is the function that sets its size. Fails with KGEN_BAD_ARGUMENT where size is less
 * than the least, or what lies beyond to_size is not 0. */
int kgen_model_copy_sized(void *to, size_t to_size, const void *from, size_t size, size_t least,
                          const char *maker, struct kgen_status *status);

/* A sequence of tokens. */
struct kgen_model_state {
    struct kgen_model *model; /* a use of it */
    struct kgen_sequence *sequence;
    float *logits; /* one for each token of the vocabulary; owned */
    bool has_logits;
};

#endif
