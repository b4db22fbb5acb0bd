/* SPDX-License-Identifier: MIT */
/* Choosing the next token from logits.
 *
 * The steps, in this order, which is that of llama.cpp:
 *
 *  1. logit bias: the value of each bias is added to the logit of its token; several for one token add up.
 *  2. repetition penalty: the logit of each token that is among the last repeat_last ones, once however often
 *     it is there, is divided by repeat_penalty where it is greater than 0, and else multiplied by it.
 *  3. greedy: with temperature 0 the token of the greatest logit is taken, of equal ones the first, and the
 *     steps that follow are left out.
 *  4. top-k: the top_k tokens of the greatest logits stay, of equal ones the first.
 *  5. top-p: of their probabilities p = softmax(logits), from the greatest on, those stay that it takes to
 *     reach top_p. The token that reaches it stays, too.
 *  6. min-p: those stay whose probability is at least min_p times the greatest.
 *  7. temperature: one of those that stayed is drawn with the probabilities softmax(logits / temperature).
 *
 * The same logits, tokens, settings and seed give the same token on every machine: the random numbers and the
 * exponential function are kgen's own, in double precision and a fixed order. */
#ifndef KGEN_SAMPLER_H
#define KGEN_SAMPLER_H

#include "gen/base/base.h"

struct kgen_logit_bias {
    int32_t token;
    float value; /* -INFINITY: never this token */
};

struct kgen_sampling {
    double temperature;    /* 0: greedy */
    int64_t top_k;         /* 0: all */
    double top_p;          /* 0 to 1; 1: all; the most likely token always stays */
    double min_p;          /* 0 to 1; 0: all */
    double repeat_penalty; /* greater than 0; 1: none */
    int64_t repeat_last;   /* tokens back from the end; 0: none, -1: all */
    uint64_t seed;
    const struct kgen_logit_bias *biases; /* read by kgen_sampler_new only */
    size_t bias_count;
};

/* Greedy without a penalty; once a temperature is set: top-k 40, top-p 0.95, min-p 0.05, as llama.cpp's users
 * have it. Penalties count the last 64 tokens. */
extern const struct kgen_sampling kgen_sampling_usual;

enum { KGEN_REPEAT_LAST_MAX = 1 << 20 };

struct kgen_sampler; /* used by one thread at a time */

/* Makes a sampler for logits of so many tokens. Returns NULL with KGEN_ERROR_USAGE where a setting is out of
 * its range or a bias names a token that is not there, or with KGEN_ERROR_MEMORY. */
struct kgen_sampler *kgen_sampler_new(const struct kgen_sampling *sampling, int64_t vocabulary,
                                      struct kgen_error *error);
/* NULL is fine. */
void kgen_sampler_free(struct kgen_sampler *sampler);

/* Tells of a token of the text, of the prompt or chosen, for the repetition penalty. Tokens that are not in
 * the vocabulary are passed over. */
void kgen_sampler_accept(struct kgen_sampler *sampler, int32_t token);

/* Chooses a token; it does not accept it. Returns 0, or -1 with KGEN_ERROR_SPEC where a logit is NaN or
 * +inf (of the model, or after biases and penalties), or where all are -inf, so that no token is possible. A
 * token of logit -inf is never chosen. */
int kgen_sampler_next(struct kgen_sampler *sampler, const float *logits, int32_t *token,
                      struct kgen_error *error);

/* What a choice was made among. */
struct kgen_sampled {
    int32_t token;
    float logit; /* after biases and penalties */
    double probability;
};
/* The tokens that stayed at the last choice, from the most likely on; those of equal logits by their ids.
 * Where nothing was cut off they are in the order of their ids. Valid until the next call. */
const struct kgen_sampled *kgen_sampler_kept(const struct kgen_sampler *sampler, size_t *count);

#endif
