/* SPDX-License-Identifier: MIT */
/* Which tokens stay with which probabilities, and which are drawn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "gen/ops/random.h"
#include "runtime/model/sampler.h"

#define SEED UINT64_C(73)

enum { VOCABULARY = 6, MOST = 6 };

/* The logarithms of 0.4, 0.1, 0.3, 0.1, 0.06 and 0.04, and 2. */
static const float usual[VOCABULARY] = {1.0837093f,   -0.30258509f, 0.79602728f,
                                        -0.30258509f, -0.81341072f, -1.2188758f};
#define MINUS_INFINITY (-INFINITY)

static struct kgen_sampler *make(const struct kgen_sampling *sampling, int64_t vocabulary)
{
    struct kgen_error error = {0};
    struct kgen_sampler *sampler = kgen_sampler_new(sampling, vocabulary, &error);
    if (sampler == NULL)
        fail_msg("%s", error.message);
    return sampler;
}

/* Nothing is cut off, nothing is changed. */
static const struct kgen_sampling plain = {
    .temperature = 1, .top_p = 1, .repeat_penalty = 1, .repeat_last = 3};

/* ---- which tokens stay ---- */

struct kept_case {
    const char *name;
    double temperature;
    int64_t top_k;
    double top_p, min_p;
    size_t count;
    int32_t tokens[MOST];
    double weights[MOST]; /* probabilities before they are divided by their sum */
};

static const struct kept_case kept_cases[] = {
    {"all", 1, 0, 1, 0, 6, {0, 1, 2, 3, 4, 5}, {.4, .1, .3, .1, .06, .04}},
    {"all, hotter",
     2,
     0,
     1,
     0,
     6,
     {0, 1, 2, 3, 4, 5},
     {.632455532, .316227766, .547722558, .316227766, .244948974, .2}},
    {"colder", .5, 0, 1, 0, 6, {0, 1, 2, 3, 4, 5}, {.16, .01, .09, .01, .0036, .0016}},
    {"top-k 1", 1, 1, 1, 0, 1, {0}, {.4}},
    {"top-k 2", 1, 2, 1, 0, 2, {0, 2}, {.4, .3}},
    {"top-k of equals", 1, 3, 1, 0, 3, {0, 2, 1}, {.4, .3, .1}},
    {"top-k of all", 1, 6, 1, 0, 6, {0, 1, 2, 3, 4, 5}, {.4, .1, .3, .1, .06, .04}},
    {"top-k beyond all", 1, 100, 1, 0, 6, {0, 1, 2, 3, 4, 5}, {.4, .1, .3, .1, .06, .04}},
    {"top-p 0", 1, 0, 0, 0, 1, {0}, {.4}},
    {"top-p within the first", 1, 0, .39, 0, 1, {0}, {.4}},
    {"top-p beyond the first", 1, 0, .41, 0, 2, {0, 2}, {.4, .3}},
    {"top-p 0.85", 1, 0, .85, 0, 4, {0, 2, 1, 3}, {.4, .3, .1, .1}},
    {"top-p is of temperature 1", 4, 0, .41, 0, 2, {0, 2}, {.795270729, .740082804}},
    {"top-p of those of top-k", 1, 2, .56, 0, 1, {0}, {.4}},
    {"top-p of those of top-k, both", 1, 2, .58, 0, 2, {0, 2}, {.4, .3}},
    {"min-p 1", 1, 0, 1, 1, 1, {0}, {.4}},
    {"min-p 0.5", 1, 0, 1, .5, 2, {0, 2}, {.4, .3}},
    {"min-p 0.2", 1, 0, 1, .2, 4, {0, 2, 1, 3}, {.4, .3, .1, .1}},
    {"min-p is of temperature 1", 4, 0, 1, .5, 2, {0, 2}, {.795270729, .740082804}},
    {"top-p is not of those of min-p", 1, 0, .65, .2, 2, {0, 2}, {.4, .3}},
    {"all three", 1, 3, .9, .2, 3, {0, 2, 1}, {.4, .3, .1}},
};

static void check_kept(const char *name, const struct kgen_sampler *sampler, const struct kept_case *item)
{
    size_t count;
    double sum = 0;
    const struct kgen_sampled *kept = kgen_sampler_kept(sampler, &count);
    if (count != item->count)
        fail_msg("%s: %zu tokens stay, expected %zu", name, count, item->count);
    for (size_t i = 0; i < count; i++)
        sum += item->weights[i];
    for (size_t i = 0; i < count; i++) {
        if (kept[i].token != item->tokens[i] || !(fabs(kept[i].probability - item->weights[i] / sum) < 1e-7))
            fail_msg("%s: token %d with %.9f, expected %d with %.9f", name, (int)kept[i].token,
                     kept[i].probability, (int)item->tokens[i], item->weights[i] / sum);
    }
}

static void test_kept(void **state)
{
    (void)state;
    for (size_t i = 0; i < KGEN_COUNT_OF(kept_cases); i++) {
        const struct kept_case *item = &kept_cases[i];
        struct kgen_sampling sampling = plain;
        struct kgen_error error = {0};
        int32_t token = -1;
        sampling.temperature = item->temperature;
        sampling.top_k = item->top_k;
        sampling.top_p = item->top_p;
        sampling.min_p = item->min_p;
        struct kgen_sampler *sampler = make(&sampling, VOCABULARY);
        for (int round = 0; round < 3; round++) {
            assert_int_equal(kgen_sampler_next(sampler, usual, &token, &error), 0);
            check_kept(item->name, sampler, item);
            bool found = false;
            for (size_t j = 0; j < item->count; j++)
                found = found || item->tokens[j] == token;
            assert_true(found);
        }
        kgen_sampler_free(sampler);
    }
}

/* The order of a large vocabulary is that of a plain search for the greatest, and the probabilities are those
 * of the C library's exponential function. */
static void test_large_vocabulary(void **state)
{
    (void)state;
    enum { COUNT = 5000, KEPT = 700 };
    static float logits[COUNT];
    static bool taken[COUNT];
    struct kgen_random random = {SEED};
    struct kgen_sampling sampling = plain;
    struct kgen_error error = {0};
    int32_t token;
    size_t count;
    double sum = 0;
    sampling.top_k = KEPT;
    /* Many are equal. */
    for (size_t i = 0; i < COUNT; i++)
        logits[i] = (float)kgen_random_below(&random, 900) * 0.01f;
    struct kgen_sampler *sampler = make(&sampling, COUNT);
    assert_int_equal(kgen_sampler_next(sampler, logits, &token, &error), 0);
    const struct kgen_sampled *kept = kgen_sampler_kept(sampler, &count);
    assert_int_equal(count, KEPT);
    for (size_t i = 0; i < count; i++)
        sum += exp((double)kept[i].logit);
    for (size_t i = 0; i < count; i++) {
        size_t best = COUNT;
        for (size_t j = 0; j < COUNT; j++) {
            if (!taken[j] && (best == COUNT || logits[j] > logits[best]))
                best = j;
        }
        taken[best] = true;
        assert_int_equal(kept[i].token, best);
        if (!(fabs(kept[i].probability * sum / exp((double)logits[best]) - 1) < 1e-12))
            fail_msg("rank %zu, seed %llu: %.17g", i, (unsigned long long)SEED, kept[i].probability);
    }
    kgen_sampler_free(sampler);
}

/* ---- biases and penalties ---- */

struct change_case {
    const char *name;
    double penalty;
    int64_t last;
    struct kgen_logit_bias biases[3];
    size_t bias_count;
    int32_t history[5];
    size_t history_count;
    float logits[4], expected[4]; /* -inf: does not stay */
    int32_t greedy;
};

static const struct change_case change_cases[] = {
    {"nothing", 1, 64, {{0}}, 0, {0, 1}, 2, {2, -2, 0, 1}, {2, -2, 0, 1}, 0},
    {"a penalty", 2, 64, {{0}}, 0, {0, 1, 2}, 3, {3, -2, 0, 1.75f}, {1.5f, -4, 0, 1.75f}, 3},
    {"once for each token", 2, 64, {{0}}, 0, {0, 0, 0, 0}, 4, {3, -2, 0, 1}, {1.5f, -2, 0, 1}, 0},
    {"a reward", .5, 64, {{0}}, 0, {3, 1}, 2, {3, -2, 0, 2}, {3, -1, 0, 4}, 3},
    {"the last 2 of 5", 2, 2, {{0}}, 0, {0, 0, 3, 1, 3}, 5, {2, -2, 0, 4}, {2, -4, 0, 2}, 0},
    {"the last 1 of 5", 2, 1, {{0}}, 0, {0, 0, 3, 1, 2}, 5, {2, -2, 6, 4}, {2, -2, 3, 4}, 3},
    {"none of 5", 2, 0, {{0}}, 0, {0, 0, 3, 1, 3}, 5, {2, -2, 0, 4}, {2, -2, 0, 4}, 3},
    {"all of 5", 2, -1, {{0}}, 0, {0, 0, 3, 1, 3}, 5, {2, -2, 0, 4}, {1, -4, 0, 2}, 3},
    {"others than the vocabulary's", 2, -1, {{0}}, 0, {-1, 4, 1000000}, 3, {2, -2, 0, 4}, {2, -2, 0, 4}, 3},
    {"a bias", 1, 64, {{1, 5}}, 1, {0}, 0, {2, -2, 0, 1}, {2, 3, 0, 1}, 1},
    {"biases add up", 1, 64, {{1, 5}, {0, -1}, {1, 1}}, 3, {0}, 0, {2, -2, 0, 1}, {1, 4, 0, 1}, 1},
    {"a bias before the penalty", 2, 64, {{1, 6}}, 1, {1}, 1, {1, -2, 0, 1}, {1, 2, 0, 1}, 1},
    {"a token that is ruled out",
     1,
     64,
     {{0, MINUS_INFINITY}},
     1,
     {0},
     0,
     {2, -2, 0, 1},
     {MINUS_INFINITY, -2, 0, 1},
     3},
    {"one that is left",
     2,
     64,
     {{0}},
     0,
     {0, 1, 2},
     3,
     {MINUS_INFINITY, MINUS_INFINITY, -8, MINUS_INFINITY},
     {MINUS_INFINITY, MINUS_INFINITY, -16, MINUS_INFINITY},
     2},
};

static void check_change(const struct change_case *item, double temperature)
{
    struct kgen_sampling sampling = plain;
    struct kgen_error error = {0};
    int32_t token;
    size_t count, at = 0;
    sampling.temperature = temperature;
    sampling.repeat_penalty = item->penalty;
    sampling.repeat_last = item->last;
    sampling.biases = item->biases;
    sampling.bias_count = item->bias_count;
    struct kgen_sampler *sampler = make(&sampling, 4);
    for (size_t i = 0; i < item->history_count; i++)
        kgen_sampler_accept(sampler, item->history[i]);
    assert_int_equal(kgen_sampler_next(sampler, item->logits, &token, &error), 0);
    const struct kgen_sampled *kept = kgen_sampler_kept(sampler, &count);
    if (temperature == 0 && (token != item->greedy || count != 1 || kept[0].token != item->greedy))
        fail_msg("%s: token %d, expected %d", item->name, (int)token, (int)item->greedy);
    for (int32_t i = 0; temperature > 0 && i < 4; i++) {
        if (item->expected[i] == MINUS_INFINITY)
            continue;
        if (at == count || kept[at].token != i || kept[at].logit != item->expected[i])
            fail_msg("%s: token %d, expected %d with %g", item->name, at < count ? (int)kept[at].token : -1,
                     (int)i, (double)item->expected[i]);
        at++;
    }
    assert_int_equal(temperature > 0 ? at : 1, count);
    kgen_sampler_free(sampler);
}

static void test_biases_and_penalties(void **state)
{
    (void)state;
    for (size_t i = 0; i < KGEN_COUNT_OF(change_cases); i++) {
        check_change(&change_cases[i], 0);
        check_change(&change_cases[i], 1);
    }
}

/* Of equal logits greedy takes the first. */
static void test_greedy(void **state)
{
    (void)state;
    static const float logits[] = {-1, 3, 3, -0.0f};
    struct kgen_error error = {0};
    int32_t token;
    struct kgen_sampler *sampler = make(&kgen_sampling_usual, 4);
    assert_int_equal(kgen_sampler_next(sampler, logits, &token, &error), 0);
    assert_int_equal(token, 1);
    kgen_sampler_free(sampler);
}

/* ---- drawing ---- */

/* What these seeds draw is fixed: it is the same on every machine. */
static void test_fixed_sequences(void **state)
{
    (void)state;
    static const struct {
        uint64_t seed;
        double temperature;
        const char *tokens;
    } cases[] = {
        {0, 1, "310500020402222212033240"},          {1, 1, "225112320212121023230010"},
        {UINT64_MAX, 1, "340123402003030210010210"}, {0, 3, "420501041524223224044351"},
        {0, 0.01, "000000000000000000000000"},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        for (int64_t top_k = 0; top_k <= 6; top_k += 6) {
            struct kgen_sampling sampling = plain;
            struct kgen_error error = {0};
            char tokens[25] = "";
            sampling.seed = cases[i].seed;
            sampling.temperature = cases[i].temperature;
            sampling.top_k = top_k;
            struct kgen_sampler *sampler = make(&sampling, VOCABULARY);
            for (size_t j = 0; j < 24; j++) {
                int32_t token;
                assert_int_equal(kgen_sampler_next(sampler, usual, &token, &error), 0);
                tokens[j] = (char)('0' + token);
            }
            assert_string_equal(tokens, cases[i].tokens);
            kgen_sampler_free(sampler);
        }
    }
}

/* Over many draws each token comes as often as its probability says: the numbers are fixed by the seed, and
 * five standard deviations are allowed. */
static void test_shares(void **state)
{
    (void)state;
    enum { DRAWS = 40000 };
    static const double shares[VOCABULARY] = {.4, .1, .3, .1, .06, .04};
    struct kgen_sampling sampling = plain;
    struct kgen_error error = {0};
    size_t counts[VOCABULARY] = {0};
    sampling.seed = SEED;
    struct kgen_sampler *sampler = make(&sampling, VOCABULARY);
    for (size_t i = 0; i < DRAWS; i++) {
        int32_t token;
        assert_int_equal(kgen_sampler_next(sampler, usual, &token, &error), 0);
        counts[token]++;
    }
    for (size_t i = 0; i < VOCABULARY; i++) {
        const double expected = DRAWS * shares[i], deviation = sqrt(expected * (1 - shares[i]));
        if (!(fabs((double)counts[i] - expected) <= 5 * deviation))
            fail_msg("token %zu came %zu times, expected %.0f; seed %llu", i, counts[i], expected,
                     (unsigned long long)SEED);
    }
    kgen_sampler_free(sampler);
}

/* ---- errors ---- */

static void test_bad_logits(void **state)
{
    (void)state;
    static const struct {
        float logits[3];
        float bias; /* of token 2 */
        const char *message;
    } cases[] = {
        {{1, NAN, 2}, 0, "the logit of token 1 is nan"},
        {{1, 2, NAN}, MINUS_INFINITY, "the logit of token 2 is nan"},
        {{1, 2, INFINITY}, 0, "the logit of token 2 is inf"},
        {{1, 2, INFINITY}, MINUS_INFINITY, "the logit of token 2"},
        {{1, 2, 3e38f}, 3e38f, "the logit of token 2 is inf"},
        {{MINUS_INFINITY, MINUS_INFINITY, MINUS_INFINITY}, 0, "all logits are -inf"},
        {{MINUS_INFINITY, MINUS_INFINITY, 1}, MINUS_INFINITY, "all logits are -inf"},
    };
    for (size_t i = 0; i < 2 * KGEN_COUNT_OF(cases); i++) {
        const struct kgen_logit_bias bias = {2, cases[i / 2].bias};
        struct kgen_sampling sampling = plain;
        struct kgen_error error = {0};
        int32_t token = -7;
        sampling.temperature = i % 2 == 0 ? 0 : 1;
        sampling.biases = &bias;
        sampling.bias_count = 1;
        struct kgen_sampler *sampler = make(&sampling, 3);
        assert_int_equal(kgen_sampler_next(sampler, cases[i / 2].logits, &token, &error), -1);
        assert_int_equal(error.code, KGEN_ERROR_SPEC);
        assert_int_equal(token, -7);
        if (strstr(error.message, cases[i / 2].message) == NULL)
            fail_msg("'%s', expected '%s'", error.message, cases[i / 2].message);
        kgen_sampler_free(sampler);
    }
}

static void test_bad_settings(void **state)
{
    (void)state;
    static const struct kgen_logit_bias negative = {-1, 0}, beyond = {4, 0}, infinite = {0, INFINITY},
                                        nan = {0, NAN};
    static const struct {
        struct kgen_sampling sampling;
        const char *message;
    } cases[] = {
        {{.temperature = -1, .repeat_penalty = 1}, "temperature"},
        {{.temperature = NAN, .repeat_penalty = 1}, "temperature"},
        {{.temperature = INFINITY, .repeat_penalty = 1}, "temperature"},
        {{.top_k = -1, .repeat_penalty = 1}, "top-k"},
        {{.top_p = -0.1, .repeat_penalty = 1}, "top-p"},
        {{.top_p = 1.1, .repeat_penalty = 1}, "top-p"},
        {{.min_p = NAN, .repeat_penalty = 1}, "min-p"},
        {{.repeat_penalty = 0}, "repeat-penalty"},
        {{.repeat_penalty = 1e-60}, "repeat-penalty"},
        {{.repeat_penalty = INFINITY}, "repeat-penalty"},
        {{.repeat_penalty = 1, .repeat_last = -2}, "repeat-last-n"},
        {{.repeat_penalty = 1, .repeat_last = KGEN_REPEAT_LAST_MAX + 1}, "repeat-last-n"},
        {{.repeat_penalty = 1, .biases = &negative, .bias_count = 1}, "token -1"},
        {{.repeat_penalty = 1, .biases = &beyond, .bias_count = 1}, "has 4 tokens"},
        {{.repeat_penalty = 1, .biases = &infinite, .bias_count = 1}, "a number or -inf"},
        {{.repeat_penalty = 1, .biases = &nan, .bias_count = 1}, "a number or -inf"},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_error error = {0};
        assert_null(kgen_sampler_new(&cases[i].sampling, 4, &error));
        assert_int_equal(error.code, KGEN_ERROR_USAGE);
        if (strstr(error.message, cases[i].message) == NULL)
            fail_msg("'%s', expected '%s'", error.message, cases[i].message);
    }
    kgen_sampler_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept),
        cmocka_unit_test(test_large_vocabulary),
        cmocka_unit_test(test_biases_and_penalties),
        cmocka_unit_test(test_greedy),
        cmocka_unit_test(test_fixed_sequences),
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_bad_logits),
        cmocka_unit_test(test_bad_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
