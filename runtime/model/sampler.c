/* SPDX-License-Identifier: MIT */
#include "runtime/model/sampler.h"

#include <math.h>
#include <stdlib.h>

#include "gen/ops/random.h"

/* Fused operations would round otherwise than separate ones. gcc fuses none in strict C11. */
#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#endif

const struct kgen_sampling kgen_sampling_usual = {
    .top_k = 40, .top_p = 0.95, .min_p = 0.05, .repeat_penalty = 1, .repeat_last = 64};

struct kgen_sampler {
    struct kgen_sampling sampling;
    struct kgen_random random;
    int64_t vocabulary;
    float *biases;   /* of each token */
    int64_t *counts; /* how often each is among the last tokens */
    /* The last tokens, a ring; not used where all count. */
    int32_t *ring;
    int64_t ring_at, ring_count;
    /* The tokens that are possible. From heap_count on they are taken from the heap, the greatest last. */
    struct kgen_sampled *all;
    size_t count, heap_count;
    struct kgen_sampled *kept;
    size_t kept_count;
};

/* ---- settings ---- */

static int check(const struct kgen_sampling *sampling, int64_t vocabulary, struct kgen_error *error)
{
    const struct {
        const char *name, *expected;
        bool right;
    } checks[] = {
        {"temperature", "0 or greater", sampling->temperature >= 0 && isfinite(sampling->temperature)},
        {"top-k", "0 or greater", sampling->top_k >= 0},
        {"top-p", "from 0 to 1", sampling->top_p >= 0 && sampling->top_p <= 1},
        {"min-p", "from 0 to 1", sampling->min_p >= 0 && sampling->min_p <= 1},
        {"repeat-penalty", "greater than 0",
         sampling->repeat_penalty > 0 && isfinite((float)sampling->repeat_penalty) &&
             (float)sampling->repeat_penalty > 0},
        {"repeat-last-n", "from -1 to 1048576",
         sampling->repeat_last >= -1 && sampling->repeat_last <= KGEN_REPEAT_LAST_MAX},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(checks); i++) {
        if (!checks[i].right)
            return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "the %s must be %s", checks[i].name,
                                  checks[i].expected);
    }
    for (size_t i = 0; i < sampling->bias_count; i++) {
        const struct kgen_logit_bias *bias = &sampling->biases[i];
        if (bias->token < 0 || bias->token >= vocabulary)
            return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0,
                                  "the logit bias of token %ld: the vocabulary has %lld tokens",
                                  (long)bias->token, (long long)vocabulary);
        if (isnan(bias->value) || bias->value == INFINITY)
            return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0,
                                  "the logit bias of token %ld must be a number or -inf", (long)bias->token);
    }
    return 0;
}

struct kgen_sampler *kgen_sampler_new(const struct kgen_sampling *sampling, int64_t vocabulary,
                                      struct kgen_error *error)
{
    if (check(sampling, vocabulary, error) != 0)
        return NULL;
    const size_t count = (size_t)vocabulary + 1,
                 last = sampling->repeat_last > 0 ? (size_t)sampling->repeat_last : 1;
    struct kgen_sampler *sampler = calloc(1, sizeof *sampler);
    if (sampler != NULL) {
        sampler->biases = calloc(count, sizeof *sampler->biases);
        sampler->counts = calloc(count, sizeof *sampler->counts);
        sampler->ring = calloc(last, sizeof *sampler->ring);
        sampler->all = calloc(count, sizeof *sampler->all);
        sampler->kept = calloc(count, sizeof *sampler->kept);
    }
    if (sampler == NULL || sampler->biases == NULL || sampler->counts == NULL || sampler->ring == NULL ||
        sampler->all == NULL || sampler->kept == NULL) {
        kgen_sampler_free(sampler);
        kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "no memory for the sampler");
        return NULL;
    }
    sampler->sampling = *sampling;
    sampler->sampling.biases = NULL;
    sampler->random.state = sampling->seed;
    sampler->vocabulary = vocabulary;
    for (size_t i = 0; i < sampling->bias_count; i++)
        sampler->biases[sampling->biases[i].token] += sampling->biases[i].value;
    return sampler;
}

void kgen_sampler_free(struct kgen_sampler *sampler)
{
    if (sampler == NULL)
        return;
    free(sampler->biases);
    free(sampler->counts);
    free(sampler->ring);
    free(sampler->all);
    free(sampler->kept);
    free(sampler);
}

void kgen_sampler_accept(struct kgen_sampler *sampler, int32_t token)
{
    const int64_t last = sampler->sampling.repeat_last;
    if (token < 0 || token >= sampler->vocabulary || last == 0)
        return;
    if (last > 0) {
        if (sampler->ring_count == last)
            sampler->counts[sampler->ring[sampler->ring_at]]--;
        else
            sampler->ring_count++;
        sampler->ring[sampler->ring_at] = token;
        sampler->ring_at = (sampler->ring_at + 1) % last;
    }
    sampler->counts[token]++;
}

/* ---- which tokens stay ---- */

/* Fills all with the tokens that are possible, and gives the place of the most likely one. */
static int take_logits(struct kgen_sampler *sampler, const float *logits, size_t *best,
                       struct kgen_error *error)
{
    const float penalty = (float)sampler->sampling.repeat_penalty;
    sampler->count = 0;
    *best = 0;
    for (int64_t i = 0; i < sampler->vocabulary; i++) {
        float logit = logits[i] + sampler->biases[i];
        if (sampler->counts[i] > 0)
            logit = logit > 0 ? logit / penalty : logit * penalty;
        if (isnan(logit) || logit == INFINITY)
            return kgen_error_set(error, KGEN_ERROR_SPEC, NULL, 0, 0,
                                  "the logit of token %lld is %g, which the model should not give",
                                  (long long)i, (double)logit);
        if (logit == -INFINITY)
            continue;
        sampler->all[sampler->count] = (struct kgen_sampled){.token = (int32_t)i, .logit = logit};
        if (logit > sampler->all[*best].logit)
            *best = sampler->count;
        sampler->count++;
    }
    return sampler->count > 0 ? 0
                              : kgen_error_set(error, KGEN_ERROR_SPEC, NULL, 0, 0,
                                               "no token is possible: all logits are -inf");
}

/* e^x for x <= 0, with a relative error below 1e-15: x = n ln 2 + r with |r| <= ln 2 / 2, and 14 terms of the
 * series of e^r. */
static double exponential(double x)
{
    static const double factors[] = {1.0,
                                     1.0,
                                     1.0 / 2,
                                     1.0 / 6,
                                     1.0 / 24,
                                     1.0 / 120,
                                     1.0 / 720,
                                     1.0 / 5040,
                                     1.0 / 40320,
                                     1.0 / 362880,
                                     1.0 / 3628800,
                                     1.0 / 39916800,
                                     1.0 / 479001600,
                                     1.0 / 6227020800};
    /* Of ln 2, so that n times the first part is exact. */
    static const double high = 0x1.62e42feep-1, low = 0x1.a39ef35793c76p-33;
    if (x < -745)
        return 0;
    const double n = floor(x * 0x1.71547652b82fep+0 + 0.5);
    const double r = (x - n * high) - n * low;
    double sum = 0;
    for (size_t i = KGEN_COUNT_OF(factors); i-- > 0;)
        sum = sum * r + factors[i];
    return ldexp(sum, (int)n);
}

/* Whether a comes after b. */
static bool after(const struct kgen_sampled *a, const struct kgen_sampled *b)
{
    return a->logit < b->logit || (a->logit == b->logit && a->token > b->token);
}

static void sift_down(struct kgen_sampled *heap, size_t count, size_t at)
{
    const struct kgen_sampled moved = heap[at];
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && after(&heap[child], &heap[child + 1]))
            child++;
        if (!after(&moved, &heap[child]))
            break;
        heap[at] = heap[child];
    }
    heap[at] = moved;
}

static void make_heap(struct kgen_sampler *sampler)
{
    sampler->heap_count = sampler->count;
    for (size_t i = sampler->count / 2; i-- > 0;)
        sift_down(sampler->all, sampler->count, i);
}

/* The token of a rank, from 0, the most likely. Those before it must have been asked for. */
static const struct kgen_sampled *ranked(struct kgen_sampler *sampler, size_t rank)
{
    struct kgen_sampled *all = sampler->all;
    if (sampler->count - sampler->heap_count <= rank) {
        const struct kgen_sampled top = all[0];
        sampler->heap_count--;
        all[0] = all[sampler->heap_count];
        sift_down(all, sampler->heap_count, 0);
        all[sampler->heap_count] = top;
    }
    return &all[sampler->count - 1 - rank];
}

/* Fills kept. greatest is the greatest logit. */
static void cut(struct kgen_sampler *sampler, double greatest)
{
    const struct kgen_sampling *sampling = &sampler->sampling;
    const bool some = sampling->top_k > 0 && (uint64_t)sampling->top_k < sampler->count;
    const size_t most = some ? (size_t)sampling->top_k : sampler->count;
    double mass = 0, reached = 0;
    sampler->kept_count = 0;
    if (!some && sampling->top_p == 1 && sampling->min_p == 0) {
        for (; sampler->kept_count < most; sampler->kept_count++)
            sampler->kept[sampler->kept_count] = sampler->all[sampler->kept_count];
        return;
    }
    for (size_t i = 0; !some && sampling->top_p < 1 && i < most; i++)
        mass += exponential((double)sampler->all[i].logit - greatest);
    make_heap(sampler);
    for (size_t i = 0; some && sampling->top_p < 1 && i < most; i++)
        mass += exponential((double)ranked(sampler, i)->logit - greatest);
    for (size_t i = 0; i < most && (i == 0 || sampling->top_p == 1 || reached < sampling->top_p * mass);
         i++) {
        const struct kgen_sampled *next = ranked(sampler, i);
        const double weight = exponential((double)next->logit - greatest);
        if (weight < sampling->min_p)
            break;
        reached += weight;
        sampler->kept[sampler->kept_count++] = *next;
    }
}

static int32_t draw(struct kgen_sampler *sampler, double greatest)
{
    struct kgen_sampled *kept = sampler->kept;
    double sum = 0, reached = 0;
    for (size_t i = 0; i < sampler->kept_count; i++) {
        kept[i].probability = exponential(((double)kept[i].logit - greatest) / sampler->sampling.temperature);
        sum += kept[i].probability;
    }
    const double drawn = (double)(kgen_random_next(&sampler->random) >> 11) * 0x1p-53 * sum;
    int32_t token = -1;
    for (size_t i = 0; i < sampler->kept_count; i++) {
        /* Where rounding leaves the sum behind what was drawn, the last possible one is taken. */
        if (reached <= drawn && kept[i].probability > 0)
            token = kept[i].token;
        reached += kept[i].probability;
        kept[i].probability /= sum;
    }
    return token;
}

int kgen_sampler_next(struct kgen_sampler *sampler, const float *logits, int32_t *token,
                      struct kgen_error *error)
{
    size_t best;
    if (take_logits(sampler, logits, &best, error) != 0)
        return -1;
    const double greatest = (double)sampler->all[best].logit;
    if (sampler->sampling.temperature > 0) {
        cut(sampler, greatest);
        *token = draw(sampler, greatest);
        return 0;
    }
    *token = sampler->all[best].token;
    sampler->kept[0] = sampler->all[best];
    sampler->kept[0].probability = 1;
    sampler->kept_count = 1;
    return 0;
}

const struct kgen_sampled *kgen_sampler_kept(const struct kgen_sampler *sampler, size_t *count)
{
    *count = sampler->kept_count;
    return sampler->kept;
}
