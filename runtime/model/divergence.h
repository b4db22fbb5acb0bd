/* SPDX-License-Identifier: MIT */
/* How far a model's probabilities are from another's, the base, along a text. */
#ifndef KGEN_DIVERGENCE_H
#define KGEN_DIVERGENCE_H

#include "gen/base/base.h"

/* Zero-initialise it. */
struct kgen_divergence {
    int64_t count;                 /* positions */
    double sum, squares, greatest; /* of the Kullback-Leibler divergences */
    int64_t same_top;              /* positions whose most likely token is the base's */
};

/* Adds a position: sum over tokens of p_base (log p_base - log p), natural logarithms, with p from the logits
 * and p_base from log p of count tokens; tokens whose p_base is below e^-16 of the greatest do not count, as
 * in llama-perplexity. Returns the divergence, which is NaN where a logit is. */
double kgen_divergence_add(struct kgen_divergence *divergence, const double *base_log_p, const float *logits,
                           int64_t count);

/* The mean, and its standard error. NaN where no position was added. */
double kgen_divergence_mean(const struct kgen_divergence *divergence);
double kgen_divergence_error(const struct kgen_divergence *divergence);

#endif
