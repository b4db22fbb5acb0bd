/* SPDX-License-Identifier: MIT */
/* router: which experts a token goes to, and what each of them counts. Without groups of experts and without
 * a bias that corrects the choice, which some models have besides. */
#include "gen/ops/bound.h"
#include "gen/ops/buffers.h"

#include <float.h>
#include <math.h>

/* The greatest number of chosen experts. */
enum { CHOSEN_MAX = 256, EXPERTS_MAX = 65536 };

static const int scorings[] = {KGEN_SOFTMAX, KGEN_SIGMOID, -1};

static const struct kgen_field fields[] = {
    KGEN_INTEGER_FIELD("rows", "r", 1, 1, KGEN_SIZE_MAX, "tokens"),
    KGEN_SIZE_FIELD("experts", "e", EXPERTS_MAX, "scores of a token"),
    KGEN_SIZE_FIELD("experts_per_token", "top", CHOSEN_MAX, "experts that are chosen, at most experts"),
    KGEN_CONSTANT_FIELD("scoring", NULL, KGEN_SOFTMAX, scorings, "what makes weights of scores", true, true),
    KGEN_BOOLEAN_FIELD("normalised", "normalised", "the weights of the chosen experts add up to 1"),
};

static const struct kgen_buffer buffers[] = {
    {"x", KGEN_INPUT, "f32", "rows, experts", KGEN_RUN, NULL, NULL},
    {"ids", KGEN_OUTPUT, "i32", "rows, experts_per_token", KGEN_RUN, NULL, NULL},
    {"y", KGEN_OUTPUT, "f32", "rows, experts_per_token", KGEN_RUN, NULL, NULL},
};

enum { IDS = 1, Y = 2 };

static int check(const struct kgen_problem *problem, const struct kgen_check_place *place)
{
    const int64_t experts = kgen_problem_get(problem, "experts");
    const int64_t chosen = kgen_problem_get(problem, "experts_per_token");
    if (chosen <= experts)
        return 0;
    return kgen_check_fail(place, "router: \"experts_per_token\" is %lld, and there are %lld experts",
                           (long long)chosen, (long long)experts);
}

/* A comparison, a subtraction, an exponential, an addition and a product for each score. */
static double operations(const struct kgen_problem *problem)
{
    return 5 * (double)kgen_problem_get(problem, "rows") * (double)kgen_problem_get(problem, "experts");
}

/* Whether expert a goes before b: the greater score, of equal ones the first. */
static bool is_before(const float *x, int64_t a, int64_t b)
{
    return x[a] > x[b] || (x[a] >= x[b] && a < b);
}

/* The expert that follows another in the order of the scores; -1: the first of all. */
static int64_t next_expert(const float *x, int64_t experts, int64_t last)
{
    int64_t next = -1;
    for (int64_t i = 0; i < experts; i++) {
        if (i != last && (last < 0 || is_before(x, last, i)) && (next < 0 || is_before(x, i, next)))
            next = i;
    }
    return next;
}

/* The weight of a score before it is normalised, and its bound. */
struct weight {
    double value, bound;
};

/* Softmax: exp(d) / sum exp(d), with d = x - max(x), over all experts. The difference is rounded once,
 * relatively, so that exp is off by |d| u, and a few u more of its own. The sum is off by the mean of these
 * errors, weighted by exp(d), and by the roundings of a sum of positive numbers, as in softmax. Sigmoid:
 * 1 / (1 + exp(-x)), off by what exp is, as -x is exact, and three roundings. What lies below the normal
 * numbers may become 0. */
static struct weight weigh(const struct kgen_problem *problem, const float *x, int64_t expert)
{
    const int64_t experts = kgen_problem_get(problem, "experts");
    if (kgen_problem_get(problem, "scoring") == KGEN_SIGMOID) {
        const double value = 1 / (1 + exp(-(double)x[expert]));
        return (struct weight){value, 16 * KGEN_UNIT * value + 2 * (double)FLT_MIN};
    }
    double greatest = (double)x[0], sum = 0, weighted = 0;
    for (int64_t i = 1; i < experts; i++)
        greatest = fmax(greatest, (double)x[i]);
    for (int64_t i = 0; i < experts; i++) {
        const double d = (double)x[i] - greatest;
        sum += exp(d);
        weighted += exp(d) * fabs(d);
    }
    const double d = (double)x[expert] - greatest, value = exp(d) / sum;
    const double relative = fabs(d) + weighted / sum + (double)experts / 8 + 24;
    return (struct weight){value, KGEN_UNIT * value * relative + (double)FLT_MIN};
}

/* Normalised weights are p[j] / (sum of p over the chosen + 1e-20), which is 0 where all of them are. Of
 * softmax the sum over all experts is in both, and a kernel may leave it out. A quotient is off by the
 * relative errors of both, where that of the sum is the mean of those of its terms, weighted by p, and by the
 * roundings of the sum and the quotient. Where all that is chosen is next to nothing, as sigmoids can be, the
 * quotient may be anything from 0 to 1. */
#define LEAST_SUM 1e-20

static void normalise(int64_t count, double *values, double *bounds)
{
    double sum = LEAST_SUM, error = 0;
    for (int64_t j = 0; j < count; j++) {
        sum += values[j];
        error += bounds[j];
    }
    error = error / sum + (double)(count + 8) * KGEN_UNIT;
    for (int64_t j = 0; j < count; j++) {
        const double value = values[j] / sum;
        bounds[j] = error < 0.5 ? (bounds[j] / sum + value * error) * 1.5 + (double)FLT_MIN : 1;
        values[j] = value;
    }
}

/* The scores are compared as they are, so the choice is exact. */
static void reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                      struct kgen_expected *expected)
{
    const int64_t rows = kgen_problem_get(problem, "rows"), experts = kgen_problem_get(problem, "experts");
    const int64_t count = kgen_problem_get(problem, "experts_per_token");
    for (int64_t row = 0; row < rows; row++) {
        const float *x = (const float *)arguments->buffers[0] + row * experts;
        double *values = expected->values[Y] + row * count, *bounds = expected->bounds[Y] + row * count;
        int64_t expert = -1;
        for (int64_t j = 0; j < count; j++) {
            expert = next_expert(x, experts, expert);
            const struct weight weight = weigh(problem, x, expert);
            expected->values[IDS][row * count + j] = (double)expert;
            expected->bounds[IDS][row * count + j] = 0;
            values[j] = weight.value;
            bounds[j] = weight.bound;
        }
        if (kgen_problem_get(problem, "normalised") != 0)
            normalise(count, values, bounds);
    }
}

/* ---- inputs ---- */

static int64_t element_count(const struct kgen_problem *problem)
{
    return kgen_problem_get(problem, "rows") * kgen_problem_get(problem, "experts");
}

static void fill_random(const struct kgen_problem *problem, struct kgen_random *random,
                        struct kgen_arguments *arguments)
{
    float *x = arguments->buffers[0];
    for (int64_t i = 0; i < element_count(problem); i++)
        x[i] = 4.0f * kgen_random_normal(random);
}

/* Few different scores: the first of equal ones is chosen. */
static void fill_equal(const struct kgen_problem *problem, struct kgen_random *random,
                       struct kgen_arguments *arguments)
{
    float *x = arguments->buffers[0];
    for (int64_t i = 0; i < element_count(problem); i++)
        x[i] = (float)kgen_random_below(random, 3) - 1.0f;
}

/* Scores that grow and that fall with the number of the expert: the last ones are chosen, or the first. */
static void fill_sorted(const struct kgen_problem *problem, struct kgen_random *random,
                        struct kgen_arguments *arguments)
{
    float *x = arguments->buffers[0];
    const int64_t experts = kgen_problem_get(problem, "experts");
    const float step = 0.25f + kgen_random_uniform(random);
    for (int64_t i = 0; i < element_count(problem); i++)
        x[i] = (i / experts % 2 == 0 ? step : -step) * (float)(i % experts) / 4.0f;
}

/* Far below 0, where exp itself is 0: for softmax only the differences count. */
static void fill_low(const struct kgen_problem *problem, struct kgen_random *random,
                     struct kgen_arguments *arguments)
{
    float *x = arguments->buffers[0];
    for (int64_t i = 0; i < element_count(problem); i++)
        x[i] = -1000.0f + kgen_random_normal(random);
}

static void fill_extreme(const struct kgen_problem *problem, struct kgen_random *random,
                         struct kgen_arguments *arguments)
{
    kgen_random_fill_extreme(random, arguments->buffers[0], element_count(problem), 1e30f);
}

static const struct kgen_generator generators[] = {
    {"random", fill_random, NULL}, {"equal", fill_equal, NULL},     {"sorted", fill_sorted, NULL},
    {"low", fill_low, NULL},       {"extreme", fill_extreme, NULL},
};

static const size_t proof_ranges[] = {1, 2, 3, 7, 0};

const struct kgen_op kgen_op_router = {
    .name = "router",
    .summary = "Chooses the experts with the greatest scores, and weighs them: ids, y = top_k(softmax(x)).",
    .formula =
        "For rows row_begin to row_end: ids are the numbers of the experts_per_token greatest elements of "
        "x,\n"
        "the greatest first, of equal ones that with the smaller number; y are their softmax(x) over all\n"
        "experts, or sigmoid(x); where normalised divided by the sum of those chosen, plus 1e-20.\n",
    .fields = fields,
    .field_count = KGEN_COUNT_OF(fields),
    .buffers = buffers,
    .buffer_count = KGEN_COUNT_OF(buffers),
    .range = "rows",
    .range_name = "row",
    .batched = kgen_problem_multiply_range,
    .check = check,
    .operations = operations,
    .reference = reference,
    .generators = generators,
    .generator_count = KGEN_COUNT_OF(generators),
    .proof_ranges = proof_ranges,
};
