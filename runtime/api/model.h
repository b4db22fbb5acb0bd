/* SPDX-License-Identifier: MIT */
/* A model from a checkpoint, with kernels from a plan, ready to decode. Internal to libkgen and the command.
 */
#ifndef KGEN_MODEL_H
#define KGEN_MODEL_H

#include "runtime/api/plan.h"
#include "runtime/model/decoder.h"

struct kgen_model {
    struct kgen_checkpoint *checkpoint; /* owned, as all that follows */
    struct kgen_spec *spec;
    struct kgen_plan *plan;
    struct kgen_decoder *decoder;
    /* Of products, of weights, of keys and values: what the options said, or their defaults. Not owned. */
    const char *activation_dtype, *layout, *cache_dtype;
};

struct kgen_model_options {
    /* The strings must outlive the model. */
    const char *activation_dtype; /* of products; NULL: "i24" */
    const char *layout;           /* of weights; NULL: "tiles16" for integers, else "stored" */
    const char *cache_dtype;      /* of keys and values; NULL: "f16" */
    int64_t context;     /* positions that the caches have room for; 0: the checkpoint's, at most 4096 */
    int64_t prompt_rows; /* tokens of a prompt that run at once; 0: 512, or the context where that is less */
    /* NULL, or is told of the nodes whose weights are loaded. */
    void (*progress)(void *context, size_t done, size_t count);
    void *progress_context;
};

/* Appends the config of an open checkpoint with what the options say: the spec of the model that
 * kgen_model_open makes. */
int kgen_model_write_config(const struct kgen_checkpoint *checkpoint,
                            const struct kgen_model_options *options, struct kgen_text *text,
                            struct kgen_error *error);

/* Opens a checkpoint, plans its kernels in the context, and loads its weights. context must outlive the
 * model. Returns NULL with the status of kgen_plan_text, KGEN_BAD_SPEC where the checkpoint is not valid or
 * kgen cannot run all of the model, KGEN_IO_FAILED or KGEN_OUT_OF_MEMORY. */
struct kgen_model *kgen_model_open(struct kgen_context *context, const char *path,
                                   const struct kgen_model_options *options, struct kgen_status *status);
/* NULL is fine. */
void kgen_model_close(struct kgen_model *model);

#endif
