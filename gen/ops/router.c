/* SPDX-License-Identifier: MIT */
/* router: which experts a token goes to, and what each of them counts. */
#include "gen/ops/bound.h"
#include "gen/ops/buffers.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* The greatest number of chosen experts. */
enum { CHOSEN_MAX = 256, EXPERTS_MAX = 65536 };
/* The greatest number of experts with corrected scores, and of groups: kernels have room for them. */
enum { CORRECTED_MAX = 4096, GROUPS_MAX = 256 };

static const int scorings[] = {KGEN_SOFTMAX, KGEN_SIGMOID, -1};

static const struct kgen_field fields[] = {
    KGEN_INTEGER_FIELD("rows", "r", 1, 1, KGEN_SIZE_MAX, "tokens"),
    KGEN_SIZE_FIELD("experts", "e", EXPERTS_MAX, "scores of a token"),
    KGEN_SIZE_FIELD("experts_per_token", "top", CHOSEN_MAX, "experts that are chosen, at most experts"),
    KGEN_CONSTANT_FIELD("scoring", NULL, KGEN_SOFTMAX, scorings, "what makes weights of scores", true, true),
    KGEN_BOOLEAN_FIELD("normalised", "normalised", "the weights of the chosen experts add up to 1"),
    {"corrected", NULL, KGEN_FIELD_BOOLEAN, false, 0, 0, 1, NULL,
     "a bias is added to the sigmoids for the choice, and not for the weights", "corrected", false, false,
     NULL},
    {"groups", NULL, KGEN_FIELD_INTEGER, false, 1, 1, GROUPS_MAX, NULL,
     "groups of experts, of one size, one after the other", "g", false, false, NULL},
    {"groups_per_token", NULL, KGEN_FIELD_INTEGER, false, 1, 1, GROUPS_MAX, NULL,
     "groups that experts are chosen from, at most groups", "gt", false, false, NULL},
    {"factor", NULL, KGEN_FIELD_REAL, false, 1, 1e-6, 1e6, NULL, "of the weights, in the end", "f", false,
     false, NULL},
};

static const struct kgen_buffer buffers[] = {
    {"x", KGEN_INPUT, "f32", "rows, experts", KGEN_RUN, NULL, NULL},
    {"bias", KGEN_INPUT, "f32", "experts", KGEN_RUN, "corrected", NULL},
    {"ids", KGEN_OUTPUT, "i32", "rows, experts_per_token", KGEN_RUN, NULL, NULL},
    {"y", KGEN_OUTPUT, "f32", "rows, experts_per_token", KGEN_RUN, NULL, NULL},
};

/* bias is there where corrected is not 0. */
enum { X, BIAS };

static int ids_of(const struct kgen_problem *problem)
{
    return BIAS + (kgen_problem_get(problem, "corrected") != 0);
}

static int check_groups(const struct kgen_problem *problem, const struct kgen_check_place *place)
{
    const int64_t experts = kgen_problem_get(problem, "experts"),
                  groups = kgen_problem_get(problem, "groups");
    const int64_t taken = kgen_problem_get(problem, "groups_per_token");
    const int64_t chosen = kgen_problem_get(problem, "experts_per_token");
    if (experts % groups != 0)
        return kgen_check_fail(place, "router: %lld experts are not a multiple of %lld groups",
                               (long long)experts, (long long)groups);
    if (taken > groups)
        return kgen_check_fail(place, "router: \"groups_per_token\" is %lld, and there are %lld groups",
                               (long long)taken, (long long)groups);
    if (chosen > taken * (experts / groups))
        return kgen_check_fail(place,
                               "router: \"experts_per_token\" is %lld, and %lld groups have %lld experts",
                               (long long)chosen, (long long)taken, (long long)(taken * (experts / groups)));
    return 0;
}

static int check(const struct kgen_problem *problem, const struct kgen_check_place *place)
{
    const int64_t experts = kgen_problem_get(problem, "experts"),
                  groups = kgen_problem_get(problem, "groups");
    const int64_t chosen = kgen_problem_get(problem, "experts_per_token");
    if (chosen > experts)
        return kgen_check_fail(place, "router: \"experts_per_token\" is %lld, and there are %lld experts",
                               (long long)chosen, (long long)experts);
    if (kgen_problem_get(problem, "corrected") != 0) {
        if (kgen_problem_get(problem, "scoring") != KGEN_SIGMOID)
            return kgen_check_fail(place, "router: \"corrected\" needs \"scoring\" sigmoid");
        if (experts > CORRECTED_MAX)
            return kgen_check_fail(place, "router: %lld experts; with \"corrected\" %d are the most",
                                   (long long)experts, CORRECTED_MAX);
        if (groups > 1 && experts < 2 * groups)
            return kgen_check_fail(place,
                                   "router: %lld groups of %lld experts; with \"corrected\" a group "
                                   "has 2 or more",
                                   (long long)groups, (long long)experts);
    }
    return check_groups(problem, place);
}

static void names(const struct kgen_problem *problem, const struct kgen_name_receiver *receiver)
{
    const double factor = kgen_problem_real(problem, "factor");
    receiver->integer(receiver->context, "scaled", factor < 1 || factor > 1);
}

/* A comparison, a subtraction, an exponential, an addition and a product for each score. */
static double operations(const struct kgen_problem *problem)
{
    return 5 * (double)kgen_problem_get(problem, "rows") * (double)kgen_problem_get(problem, "experts");
}

/* ---- the choice ---- */

/* What the experts of a row are chosen by, of those of the groups that are taken. */
struct choice {
    int64_t experts, groups;
    const float *scores;
    bool taken[GROUPS_MAX];
};

static bool may_be_chosen(const struct choice *choice, int64_t expert)
{
    return choice->taken[expert / (choice->experts / choice->groups)];
}

/* Whether expert a goes before b: the greater score, of equal ones the first. */
static bool is_before(const float *x, int64_t a, int64_t b)
{
    return x[a] > x[b] || (x[a] >= x[b] && a < b);
}

/* The expert that follows another in the order of the scores; last -1: the first of all. -1: there is none.
 */
static int64_t next_expert(const struct choice *choice, int64_t last)
{
    const float *x = choice->scores;
    int64_t next = -1;
    for (int64_t i = 0; i < choice->experts; i++) {
        if (i != last && may_be_chosen(choice, i) && (last < 0 || is_before(x, last, i)) &&
            (next < 0 || is_before(x, i, next)))
            next = i;
    }
    return next;
}

/* The score of a group: its greatest, or with a correction the sum of its two greatest. */
static float score_of_group(const struct choice *choice, int64_t group, bool corrected)
{
    const int64_t size = choice->experts / choice->groups;
    const float *x = choice->scores + group * size;
    float first = x[0], second = -HUGE_VALF;
    for (int64_t i = 1; i < size; i++) {
        second = fmaxf(second, fminf(first, x[i]));
        first = fmaxf(first, x[i]);
    }
    return corrected ? first + second : first;
}

/* Takes the groups of greatest score, of equal ones the first. Returns by how much the last of them exceeds
 * those that are left, in parts of its score or of 1. */
static float take_groups(const struct kgen_problem *problem, struct choice *choice)
{
    const bool corrected = kgen_problem_get(problem, "corrected") != 0;
    float scores[GROUPS_MAX], gap = HUGE_VALF;
    int64_t last = 0;
    for (int64_t g = 0; g < choice->groups; g++) {
        scores[g] = choice->groups > 1 ? score_of_group(choice, g, corrected) : 0;
        choice->taken[g] = false;
    }
    for (int64_t n = 0; n < kgen_problem_get(problem, "groups_per_token"); n++) {
        int64_t best = -1;
        for (int64_t g = 0; g < choice->groups; g++) {
            if (!choice->taken[g] && (best < 0 || scores[g] > scores[best]))
                best = g;
        }
        choice->taken[last = best] = true;
    }
    for (int64_t g = 0; g < choice->groups; g++) {
        if (!choice->taken[g])
            gap = fminf(gap, (scores[last] - scores[g]) / (1 + fabsf(scores[last])));
    }
    return gap;
}

/* The scores by which the experts of a row are chosen: those of the row, or with a correction the sums of
 * their sigmoids and the biases, which room has place for. */
static const float *choice_scores(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                                  int64_t row, float room[CORRECTED_MAX])
{
    const int64_t experts = kgen_problem_get(problem, "experts");
    const float *x = (const float *)arguments->buffers[X] + row * experts, *bias = arguments->buffers[BIAS];
    if (kgen_problem_get(problem, "corrected") == 0)
        return x;
    for (int64_t i = 0; i < experts; i++)
        room[i] = (float)(1 / (1 + exp(-(double)x[i]))) + bias[i];
    return room;
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

/* The scores are compared as they are, so the choice is exact. With a correction it is that of the inputs, of
 * which none has scores that are nearly equal. The factor is one rounding more. */
static void reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                      struct kgen_expected *expected)
{
    const int64_t rows = kgen_problem_get(problem, "rows"), experts = kgen_problem_get(problem, "experts");
    const int64_t count = kgen_problem_get(problem, "experts_per_token");
    const int ids = ids_of(problem), y = ids + 1;
    const double factor = kgen_problem_real(problem, "factor");
    for (int64_t row = 0; row < rows; row++) {
        const float *x = (const float *)arguments->buffers[X] + row * experts;
        double *values = expected->values[y] + row * count, *bounds = expected->bounds[y] + row * count;
        float room[CORRECTED_MAX];
        struct choice choice = {experts,
                                kgen_problem_get(problem, "groups"),
                                choice_scores(problem, arguments, row, room),
                                {false}};
        int64_t expert = -1;
        take_groups(problem, &choice);
        for (int64_t j = 0; j < count; j++) {
            expert = next_expert(&choice, expert);
            const struct weight weight = weigh(problem, x, expert);
            expected->values[ids][row * count + j] = (double)expert;
            expected->bounds[ids][row * count + j] = 0;
            values[j] = weight.value;
            bounds[j] = weight.bound;
        }
        if (kgen_problem_get(problem, "normalised") != 0)
            normalise(count, values, bounds);
        for (int64_t j = 0; j < count; j++) {
            values[j] *= factor;
            bounds[j] = bounds[j] * factor + 2 * KGEN_UNIT * values[j];
        }
    }
}

/* ---- inputs ---- */

static int64_t element_count(const struct kgen_problem *problem)
{
    return kgen_problem_get(problem, "rows") * kgen_problem_get(problem, "experts");
}

/* Whether the choice of a row does not hang on roundings: of experts and of groups that follow one another in
 * their order, the scores differ by much more, or are made of equal numbers, which with few different ones
 * those of groups are, too, where they are equal. */
static bool is_decided(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                       int64_t row, bool few)
{
    const float least = 4e-6f;
    const int64_t experts = kgen_problem_get(problem, "experts");
    const float *x = (const float *)arguments->buffers[X] + row * experts, *bias = arguments->buffers[BIAS];
    float room[CORRECTED_MAX];
    struct choice choice = {
        experts, kgen_problem_get(problem, "groups"), choice_scores(problem, arguments, row, room), {false}};
    const float gap = take_groups(problem, &choice);
    if (gap < least && !(few && gap <= 0))
        return false;
    int64_t last = next_expert(&choice, -1);
    for (int64_t j = 0; j < kgen_problem_get(problem, "experts_per_token"); j++) {
        const int64_t next = next_expert(&choice, last);
        const bool equal = next < 0 || (memcmp(&x[next], &x[last], sizeof *x) == 0 &&
                                        memcmp(&bias[next], &bias[last], sizeof *bias) == 0);
        if (!equal && room[last] - room[next] < least * (1 + fabsf(room[last])))
            return false;
        last = next;
    }
    return true;
}

/* Draws the biases, and again the rows of which the choice would hang on roundings. */
static void correct(const struct kgen_problem *problem, struct kgen_random *random,
                    struct kgen_arguments *arguments, bool few)
{
    const int64_t experts = kgen_problem_get(problem, "experts");
    float *x = arguments->buffers[X], *bias = arguments->buffers[BIAS];
    if (kgen_problem_get(problem, "corrected") == 0)
        return;
    for (int64_t i = 0; i < experts; i++)
        bias[i] = few ? 0.25f : 0.5f * kgen_random_normal(random);
    /* Sigmoids of which no two sums are equal but for those of the same. */
    for (int64_t i = 0; few && i < element_count(problem); i++)
        x[i] = x[i] > 0 ? 2 : x[i];
    for (int64_t row = 0; row < kgen_problem_get(problem, "rows"); row++) {
        for (int tries = 0; tries < 1000 && !is_decided(problem, arguments, row, few); tries++) {
            for (int64_t i = 0; i < experts; i++)
                x[row * experts + i] = 2.0f * kgen_random_normal(random);
        }
    }
}

static void fill_random(const struct kgen_problem *problem, struct kgen_random *random,
                        struct kgen_arguments *arguments)
{
    float *x = arguments->buffers[0];
    for (int64_t i = 0; i < element_count(problem); i++)
        x[i] = 4.0f * kgen_random_normal(random);
    correct(problem, random, arguments, false);
}

/* Few different scores: the first of equal ones is chosen. */
static void fill_equal(const struct kgen_problem *problem, struct kgen_random *random,
                       struct kgen_arguments *arguments)
{
    float *x = arguments->buffers[0];
    for (int64_t i = 0; i < element_count(problem); i++)
        x[i] = (float)kgen_random_below(random, 3) - 1.0f;
    correct(problem, random, arguments, true);
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
    correct(problem, random, arguments, false);
}

/* Far below 0, where exp itself is 0: for softmax only the differences count. */
static void fill_low(const struct kgen_problem *problem, struct kgen_random *random,
                     struct kgen_arguments *arguments)
{
    float *x = arguments->buffers[0];
    for (int64_t i = 0; i < element_count(problem); i++)
        x[i] = -1000.0f + kgen_random_normal(random);
    correct(problem, random, arguments, false);
}

static void fill_extreme(const struct kgen_problem *problem, struct kgen_random *random,
                         struct kgen_arguments *arguments)
{
    kgen_random_fill_extreme(random, arguments->buffers[0], element_count(problem), 1e30f);
    correct(problem, random, arguments, false);
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
        "experts, or sigmoid(x); where normalised divided by the sum of those chosen, plus 1e-20, and in "
        "the\n"
        "end multiplied by factor. Where corrected, sigmoid(x) + bias is in the place of x for the choice.\n"
        "With groups, the experts are those of the groups_per_token groups of greatest score, which is the\n"
        "greatest of the group or, where corrected, the sum of its two greatest.\n",
    .fields = fields,
    .field_count = KGEN_COUNT_OF(fields),
    .buffers = buffers,
    .buffer_count = KGEN_COUNT_OF(buffers),
    .range = "rows",
    .range_name = "row",
    .batched = kgen_problem_multiply_range,
    .check = check,
    .names = names,
    .operations = operations,
    .reference = reference,
    .generators = generators,
    .generator_count = KGEN_COUNT_OF(generators),
    .proof_ranges = proof_ranges,
};
