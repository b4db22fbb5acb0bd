/* SPDX-License-Identifier: MIT */
/* How likely a text is to a model, summed up token by token. */
#ifndef KGEN_LIKELIHOOD_H
#define KGEN_LIKELIHOOD_H

#include "gen/base/base.h"

/* Zero-initialise it. */
struct kgen_likelihood {
    int64_t count;       /* tokens */
    double sum, squares; /* of -log p, natural logarithms */
};

/* Adds a token, 0 to count - 1, that followed where the model gave these logits: p = softmax(logits)[token].
 * Returns -log p, which is NaN where a logit is. */
double kgen_likelihood_add(struct kgen_likelihood *likelihood, const float *logits, int64_t count,
                           int64_t token);

/* The mean of -log p; e to it; and the standard error of that, from how -log p varies from token to token, 0
 * where there are less than two. NaN where no token was added. */
double kgen_likelihood_mean(const struct kgen_likelihood *likelihood);
double kgen_likelihood_perplexity(const struct kgen_likelihood *likelihood);
double kgen_likelihood_error(const struct kgen_likelihood *likelihood);

#endif
