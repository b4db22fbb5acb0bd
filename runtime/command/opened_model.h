/* SPDX-License-Identifier: MIT */
/* A model that a command has opened: its context, its kernels, its tokenizer. */
#ifndef KGEN_OPENED_MODEL_H
#define KGEN_OPENED_MODEL_H

#include "runtime/api/model.h"
#include "runtime/command/command.h"
#include "runtime/command/json.h"
#include "runtime/model/tokenizer/tokenizer.h"

/* Zero-initialise it. */
struct kgen_opened_model {
    const struct kgen_options *options;
    struct kgen_context *context;
    struct kgen_model *model;
    struct kgen_tokenizer *tokenizer; /* NULL of kgen bench and profile, which have no text */
    const struct kgen_text *config;   /* NULL, or the spec of a model whose weights are random; borrowed */
    bool live;                        /* a line on stderr, which is a terminal, is rewritten */
    double seconds;                   /* from the start until the weights were loaded */
    /* NULL, or set before opening: changes the context before the kernels are chosen, such as its templates.
     */
    int (*arrange)(void *arrange_context, struct kgen_context *context, struct kgen_error *error);
    void *arrange_context;
};

/* Opens the checkpoint that the options name: tunes what is not in the cache, within --tune-seconds, and
 * loads the weights, with progress on stderr. The caches have room for as many positions as --context says,
 * but for least_context at least; where both are 0 for those of the checkpoint, at most 4096. Returns an exit
 * status, and has printed the error where it is not KGEN_EXIT_DONE. */
int kgen_opened_model_open(struct kgen_opened_model *opened, const struct kgen_options *options,
                           int64_t least_context);
/* Also where opening has failed. */
void kgen_opened_model_close(struct kgen_opened_model *opened);

/* Rewrites the line of progress; without a terminal, or with -q, it does nothing. */
void kgen_opened_model_show(const struct kgen_opened_model *opened, const char *format, ...)
    KGEN_PRINTF(2, 3);
/* Removes that line. */
void kgen_opened_model_clear(const struct kgen_opened_model *opened);

/* "i8 activations (output projection i24)", or "i24 activations" where they have one precision. Returns text.
 */
#define KGEN_PRECISION_TEXT 64
const char *kgen_opened_model_precision(const struct kgen_opened_model *opened,
                                        char text[KGEN_PRECISION_TEXT]);

/* Bytes that threads of the model read of main memory in a second, as kgen machine measures it: from the
 * cache of results, or measured now and kept there, in about half a second. 0: not known, as with --no-cache.
 */
double kgen_opened_model_bandwidth(const struct kgen_opened_model *opened);
/* Bytes that a step reads: of weights, and of the caches, of which so many positions are filled. */
double kgen_opened_model_step_bytes(const struct kgen_opened_model *opened, double positions);
/* What the memory of the process consists of: a new reference for JSON, or a line on stderr. */
json_t *kgen_opened_model_memory_json(const struct kgen_opened_model *opened);
void kgen_opened_model_say_memory(const struct kgen_opened_model *opened);

/* count in a second; 0 where no time has passed. */
double kgen_rate(double count, double seconds);
/* Of this process; 0: not known. */
double kgen_peak_megabytes(void);

#endif
