/* SPDX-License-Identifier: MIT */
/* The choice of tokens. */
#include "runtime/api/model.h"
#include "runtime/model/sampler.h"

#include <stdlib.h>
#include <string.h>

struct kgen_model_sampler {
    struct kgen_sampler *sampler; /* owned */
};

void kgen_model_sampling_init(struct kgen_model_sampling *sampling, size_t size)
{
    const struct kgen_sampling *usual = &kgen_sampling_usual;
    const struct kgen_model_sampling defaults = {.size = size,
                                                 .temperature = usual->temperature,
                                                 .top_k = usual->top_k,
                                                 .top_p = usual->top_p,
                                                 .min_p = usual->min_p,
                                                 .repeat_penalty = usual->repeat_penalty,
                                                 .repeat_last = usual->repeat_last};
    memset(sampling, 0, size);
    memcpy(sampling, &defaults, size < sizeof defaults ? size : sizeof defaults);
}

static int read_sampling(struct kgen_model_sampling *to, const struct kgen_model_sampling *from,
                         struct kgen_status *status)
{
    kgen_model_sampling_init(to, sizeof *to);
    return from == NULL ? 0
                        : kgen_model_copy_sized(to, sizeof *to, from, from->size,
                                                offsetof(struct kgen_model_sampling, bias_count),
                                                "kgen_model_sampling_init", status);
}

/* Returns NULL with the error. */
static struct kgen_sampler *make_sampler(const struct kgen_model_sampling *read, int64_t vocabulary,
                                         struct kgen_error *error)
{
    struct kgen_logit_bias *biases = calloc(read->bias_count + 1, sizeof *biases);
    if (biases == NULL) {
        kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
        return NULL;
    }
    for (size_t i = 0; i < read->bias_count; i++)
        biases[i] = (struct kgen_logit_bias){read->biases[i].token, read->biases[i].value};
    const struct kgen_sampling sampling = {.temperature = read->temperature,
                                           .top_k = read->top_k,
                                           .top_p = read->top_p,
                                           .min_p = read->min_p,
                                           .repeat_penalty = read->repeat_penalty,
                                           .repeat_last = read->repeat_last,
                                           .seed = read->seed,
                                           .biases = biases,
                                           .bias_count = read->bias_count};
    struct kgen_sampler *made = kgen_sampler_new(&sampling, vocabulary, error);
    free(biases);
    return made;
}

struct kgen_model_sampler *kgen_model_sampler_new(const struct kgen_model *model,
                                                  const struct kgen_model_sampling *sampling,
                                                  struct kgen_status *status)
{
    struct kgen_model_sampling read;
    struct kgen_error error = {0};
    if (read_sampling(&read, sampling, status) != 0)
        return NULL;
    struct kgen_model_sampler *made = calloc(1, sizeof *made);
    if (made == NULL) {
        kgen_status_set(status, KGEN_OUT_OF_MEMORY, "out of memory");
        return NULL;
    }
    made->sampler = make_sampler(&read, kgen_decoder_vocabulary(model->decoder), &error);
    if (made->sampler != NULL)
        return made;
    kgen_status_from(status, &error);
    free(made);
    return NULL;
}

void kgen_model_sampler_free(struct kgen_model_sampler *sampler)
{
    if (sampler == NULL)
        return;
    kgen_sampler_free(sampler->sampler);
    free(sampler);
}

void kgen_model_sampler_accept(struct kgen_model_sampler *sampler, const int32_t *tokens, size_t count)
{
    for (size_t i = 0; i < count; i++)
        kgen_sampler_accept(sampler->sampler, tokens[i]);
}

int32_t kgen_model_sampler_next(struct kgen_model_sampler *sampler, const float *logits,
                                struct kgen_status *status)
{
    struct kgen_error error = {0};
    int32_t token;
    if (kgen_sampler_next(sampler->sampler, logits, &token, &error) == 0) {
        kgen_sampler_accept(sampler->sampler, token);
        return token;
    }
    const bool fresh = status != NULL && status->code == KGEN_OK;
    kgen_status_from(status, &error);
    if (fresh && error.code == KGEN_ERROR_SPEC)
        status->code = KGEN_BAD_ARGUMENT;
    return -1;
}
