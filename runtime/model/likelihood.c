/* SPDX-License-Identifier: MIT */
#include "runtime/model/likelihood.h"

#include <math.h>

double kgen_likelihood_add(struct kgen_likelihood *likelihood, const float *logits, int64_t count,
                           int64_t token)
{
    double greatest = (double)logits[0], sum = 0;
    for (int64_t i = 1; i < count; i++)
        greatest = fmax(greatest, (double)logits[i]);
    for (int64_t i = 0; i < count; i++)
        sum += exp((double)logits[i] - greatest);
    const double loss = greatest + log(sum) - (double)logits[token];
    likelihood->count++;
    likelihood->sum += loss;
    likelihood->squares += loss * loss;
    return loss;
}

double kgen_likelihood_mean(const struct kgen_likelihood *likelihood)
{
    return likelihood->count > 0 ? likelihood->sum / (double)likelihood->count : NAN;
}

double kgen_likelihood_perplexity(const struct kgen_likelihood *likelihood)
{
    return exp(kgen_likelihood_mean(likelihood));
}

double kgen_likelihood_error(const struct kgen_likelihood *likelihood)
{
    const double mean = kgen_likelihood_mean(likelihood), count = (double)likelihood->count;
    if (likelihood->count < 2)
        return likelihood->count == 1 ? 0 : NAN;
    const double variance = fmax(likelihood->squares / count - mean * mean, 0) * count / (count - 1);
    return exp(mean) * sqrt(variance / count);
}
