/* SPDX-License-Identifier: MIT */
#include "runtime/model/divergence.h"

#include <math.h>

/* What a base of a file says of tokens that are further below the most likely is only that they are unlikely
 * (logits_file.h). A little less than 16, as the least of a row is rounded. */
#define SPAN 15.99

static double log_of_sum(const float *logits, int64_t count, int64_t *top)
{
    *top = 0;
    for (int64_t i = 1; i < count; i++)
        if (logits[i] > logits[*top])
            *top = i;
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += exp((double)logits[i] - (double)logits[*top]);
    return (double)logits[*top] + log(sum);
}

static int64_t top_of(const double *log_p, int64_t count)
{
    int64_t top = 0;
    for (int64_t i = 1; i < count; i++)
        if (log_p[i] > log_p[top])
            top = i;
    return top;
}

double kgen_divergence_add(struct kgen_divergence *divergence, const double *base_log_p, const float *logits,
                           int64_t count)
{
    int64_t top;
    const double total = log_of_sum(logits, count, &top);
    const int64_t base_top = top_of(base_log_p, count);
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        if (base_log_p[i] > base_log_p[base_top] - SPAN)
            sum += exp(base_log_p[i]) * (base_log_p[i] - ((double)logits[i] - total));
    divergence->count++;
    divergence->sum += sum;
    divergence->squares += sum * sum;
    divergence->greatest = fmax(divergence->greatest, sum);
    divergence->same_top += top == base_top;
    return sum;
}

double kgen_divergence_mean(const struct kgen_divergence *divergence)
{
    return divergence->count > 0 ? divergence->sum / (double)divergence->count : NAN;
}

double kgen_divergence_error(const struct kgen_divergence *divergence)
{
    const double mean = kgen_divergence_mean(divergence), count = (double)divergence->count;
    if (divergence->count < 2)
        return divergence->count == 1 ? 0 : NAN;
    return sqrt(fmax(divergence->squares / count - mean * mean, 0) / (count - 1));
}
