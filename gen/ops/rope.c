/* SPDX-License-Identifier: MIT */
/* rope: rotary position embedding. */
#include "gen/ops/rope.h"
#include "gen/ops/bound.h"
#include "gen/ops/buffers.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

static const int pairings[] = {KGEN_HALF_SPLIT, KGEN_INTERLEAVED, -1};
static const int scalings[] = {KGEN_UNSCALED, KGEN_LINEAR, KGEN_LLAMA3, -1};

enum { HEAD_DIM_MAX = 8192 };

#define SCALING_FIELD(name, tag, kind, default_value, minimum, maximum, used_when, meaning)                  \
    {                                                                                                        \
        name, NULL, kind, false, default_value, minimum, maximum, NULL, meaning, tag, true, true, used_when  \
    }

static const struct kgen_field fields[] = {
    KGEN_SIZE_FIELD("heads", "h", KGEN_SIZE_MAX, "vectors that are rotated"),
    KGEN_SIZE_FIELD("head_dim", "d", HEAD_DIM_MAX, "elements of a vector"),
    KGEN_INTEGER_FIELD("rotary_dim", "r", 0, 0, HEAD_DIM_MAX, "elements that are rotated, even; 0: head_dim"),
    KGEN_CONSTANT_FIELD("pairing", NULL, KGEN_HALF_SPLIT, pairings,
                        "element i turns with i + rotary_dim/2 (half), or 2i with 2i+1", true, true),
    KGEN_REAL_FIELD("theta", "t", 10000, 1, 1e12, "base of the frequencies"),
    KGEN_CONSTANT_FIELD("scaling", NULL, KGEN_UNSCALED, scalings,
                        "of the frequencies, as rope_scaling of Hugging Face", false, true),
    SCALING_FIELD("factor", "f", KGEN_FIELD_REAL, 1, 1, 1e6, "scaling != none",
                  "of linear and llama3 scaling"),
    SCALING_FIELD("low_freq_factor", "l", KGEN_FIELD_REAL, 1, 1e-3, 1e6, "scaling == llama3",
                  "of llama3 scaling"),
    SCALING_FIELD("high_freq_factor", "h", KGEN_FIELD_REAL, 4, 1e-3, 1e6, "scaling == llama3",
                  "of llama3 scaling, greater than low_freq_factor"),
    SCALING_FIELD("original_max_position_embeddings", "o", KGEN_FIELD_INTEGER, 8192, 1, KGEN_SIZE_MAX,
                  "scaling == llama3", "of llama3 scaling"),
};

static const struct kgen_buffer buffers[] = {
    {"x", KGEN_INPUT, "f32", "heads, head_dim", KGEN_RUN, NULL, NULL},
    {"workspace", KGEN_WORKSPACE, NULL, NULL, KGEN_PREPARE | KGEN_RUN, NULL, NULL},
    {"y", KGEN_OUTPUT, "f32", "heads, head_dim", KGEN_RUN, NULL, "x"},
};

static const struct kgen_scalar scalars[] = {
    {"position", 0, INT64_C(1) << 40, NULL, KGEN_PREPARE, "of the token in its sequence", NULL},
};

static void complete(struct kgen_problem *problem)
{
    if (kgen_problem_get(problem, "rotary_dim") == 0)
        kgen_problem_set(problem, "rotary_dim", kgen_problem_get(problem, "head_dim"));
}

/* A parameter that has another value than its default though the scaling does not use it, or NULL: equal
 * problems have equal text. */
static const char *find_unused(const struct kgen_problem *problem)
{
    static const char *const of_llama3[] = {"low_freq_factor", "high_freq_factor"};
    const int64_t scaling = kgen_problem_get(problem, "scaling");
    if (scaling == KGEN_UNSCALED && kgen_problem_real(problem, "factor") != 1)
        return "factor";
    if (scaling == KGEN_LLAMA3)
        return NULL;
    for (size_t i = 0; i < KGEN_COUNT_OF(of_llama3); i++) {
        const double normal = kgen_op_field(problem->op, of_llama3[i])->default_value;
        if (kgen_problem_real(problem, of_llama3[i]) != normal)
            return of_llama3[i];
    }
    const char *original = "original_max_position_embeddings";
    const bool is_default =
        kgen_problem_get(problem, original) == (int64_t)kgen_op_field(problem->op, original)->default_value;
    return is_default ? NULL : original;
}

static int check(const struct kgen_problem *problem, const struct kgen_check_place *place)
{
    const int64_t rotary_dim = kgen_problem_get(problem, "rotary_dim");
    const int64_t head_dim = kgen_problem_get(problem, "head_dim");
    const int64_t scaling = kgen_problem_get(problem, "scaling");
    if (rotary_dim < 2 || rotary_dim % 2 != 0)
        return kgen_check_fail(place, "rope: rotary_dim %lld is not a positive even number",
                               (long long)rotary_dim);
    if (rotary_dim > head_dim)
        return kgen_check_fail(place, "rope: rotary_dim %lld is more than head_dim %lld",
                               (long long)rotary_dim, (long long)head_dim);
    if (scaling == KGEN_LLAMA3 &&
        kgen_problem_real(problem, "low_freq_factor") >= kgen_problem_real(problem, "high_freq_factor"))
        return kgen_check_fail(place, "rope: low_freq_factor must be less than high_freq_factor");
    const char *unused = find_unused(problem);
    if (unused == NULL)
        return 0;
    kgen_check_fail(place, "rope: \"%s\" means nothing with scaling \"%s\"", unused,
                    kgen_constant_name(scaling));
    kgen_error_hint(place->error, "set \"scaling\", or leave \"%s\" out", unused);
    return -1;
}

double kgen_rope_frequency(const struct kgen_problem *problem, int64_t index)
{
    const double two_pi = 6.283185307179586476925286766559;
    const double factor = kgen_problem_real(problem, "factor");
    const int64_t scaling = kgen_problem_get(problem, "scaling");
    const double frequency = pow(kgen_problem_real(problem, "theta"),
                                 -2.0 * (double)index / (double)kgen_problem_get(problem, "rotary_dim"));
    if (scaling == KGEN_LINEAR)
        return frequency / factor;
    if (scaling != KGEN_LLAMA3)
        return frequency;
    /* Turns within the original context: few turns are slowed by the factor, many are kept, between the two
     * limits the frequency goes from one to the other. */
    const double low = kgen_problem_real(problem, "low_freq_factor");
    const double high = kgen_problem_real(problem, "high_freq_factor");
    const double turns =
        (double)kgen_problem_get(problem, "original_max_position_embeddings") * frequency / two_pi;
    if (turns > high)
        return frequency;
    if (turns < low)
        return frequency / factor;
    const double smooth = (turns - low) / (high - low);
    return (1 - smooth) * frequency / factor + smooth * frequency;
}

static void names(const struct kgen_problem *problem, const struct kgen_name_receiver *receiver)
{
    double frequencies[HEAD_DIM_MAX / 2];
    const int64_t count = kgen_problem_get(problem, "rotary_dim") / 2;
    for (int64_t i = 0; i < count; i++)
        frequencies[i] = kgen_rope_frequency(problem, i);
    receiver->reals(receiver->context, "inverse_frequency", frequencies, (size_t)count);
}

static double operations(const struct kgen_problem *problem)
{
    return 3 * (double)kgen_problem_get(problem, "heads") * (double)kgen_problem_get(problem, "rotary_dim");
}

/* The pair (a, b) turns by position * frequency: (a cos - b sin, b cos + a sin), of magnitudes |a cos| +
 * |b sin|, with 4 roundings. The cosine and sine are rounded to float once, from double: u (|a| + |b|) covers
 * that and the error of a large angle. */
static void turn(double a, double b, double angle, double *y, double *bound, int64_t first, int64_t second)
{
    const double cosine = cos(angle), sine = sin(angle);
    const double table = KGEN_UNIT * (fabs(a) + fabs(b)) + 2 * (double)FLT_MIN;
    y[first] = a * cosine - b * sine;
    y[second] = b * cosine + a * sine;
    bound[first] = 4 * KGEN_UNIT * (fabs(a * cosine) + fabs(b * sine)) + table;
    bound[second] = 4 * KGEN_UNIT * (fabs(b * cosine) + fabs(a * sine)) + table;
}

/* Elements beyond rotary_dim are copied, bit by bit. */
static void reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                      struct kgen_expected *expected)
{
    struct kgen_buffers list;
    kgen_problem_buffers(problem, &list);
    const int output = kgen_buffers_find(&list, "y");
    const float *inputs = arguments->buffers[kgen_buffers_find(&list, "x")];
    const int64_t heads = kgen_problem_get(problem, "heads"), dim = kgen_problem_get(problem, "head_dim");
    const int64_t half = kgen_problem_get(problem, "rotary_dim") / 2;
    const bool interleaved = kgen_problem_get(problem, "pairing") == KGEN_INTERLEAVED;
    for (int64_t head = 0; head < heads; head++) {
        const float *x = inputs + head * dim;
        double *y = expected->values[output] + head * dim, *bound = expected->bounds[output] + head * dim;
        for (int64_t i = 0; i < dim; i++) {
            y[i] = (double)x[i];
            bound[i] = 0;
        }
        for (int64_t i = 0; i < half; i++) {
            const int64_t first = interleaved ? 2 * i : i, second = interleaved ? 2 * i + 1 : i + half;
            const double angle = (double)arguments->scalars[0] * kgen_rope_frequency(problem, i);
            turn((double)x[first], (double)x[second], angle, y, bound, first, second);
        }
    }
}

/* ---- inputs ---- */

static int64_t element_count(const struct kgen_problem *problem)
{
    return kgen_problem_get(problem, "heads") * kgen_problem_get(problem, "head_dim");
}

static void fill_at(const struct kgen_problem *problem, struct kgen_random *random,
                    struct kgen_arguments *arguments, int64_t position)
{
    kgen_random_fill_normal(random, kgen_argument(problem, arguments, "x"), element_count(problem));
    arguments->scalars[0] = position;
}

static void fill_far(const struct kgen_problem *problem, struct kgen_random *random,
                     struct kgen_arguments *arguments)
{
    fill_at(problem, random, arguments, 40959);
}

static void fill_middle(const struct kgen_problem *problem, struct kgen_random *random,
                        struct kgen_arguments *arguments)
{
    fill_at(problem, random, arguments, 4095);
}

static void fill_first(const struct kgen_problem *problem, struct kgen_random *random,
                       struct kgen_arguments *arguments)
{
    fill_at(problem, random, arguments, 0);
}

static void fill_extreme(const struct kgen_problem *problem, struct kgen_random *random,
                         struct kgen_arguments *arguments)
{
    kgen_random_fill_extreme(random, kgen_argument(problem, arguments, "x"), element_count(problem), 1e30f);
    arguments->scalars[0] = 1;
}

static const struct kgen_generator generators[] = {
    {"position 40959", fill_far, NULL},
    {"position 4095", fill_middle, NULL},
    {"position 1, extreme", fill_extreme, NULL},
    {"position 0", fill_first, NULL},
};

static const size_t proof_ranges[] = {1, 2, 3, 5, 8, 0};

const struct kgen_op kgen_op_rope = {
    .name = "rope",
    .summary = "Rotates the heads of one position: rotary position embedding.",
    .formula = "Rotary position embedding of heads head_begin to head_end.\n",
    .fields = fields,
    .field_count = KGEN_COUNT_OF(fields),
    .buffers = buffers,
    .buffer_count = KGEN_COUNT_OF(buffers),
    .scalars = scalars,
    .scalar_count = KGEN_COUNT_OF(scalars),
    .range = "heads",
    .range_name = "head",
    .complete = complete,
    .check = check,
    .names = names,
    .operations = operations,
    .reference = reference,
    .generators = generators,
    .generator_count = KGEN_COUNT_OF(generators),
    .proof_ranges = proof_ranges,
};
