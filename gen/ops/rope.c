/* SPDX-License-Identifier: MIT */
/* rope: rotary position embedding. */
#include "gen/ops/rope.h"
#include "gen/ops/bound.h"
#include "gen/ops/buffers.h"
#include "gen/ops/rope_scaling.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

static const int pairings[] = {KGEN_HALF_SPLIT, KGEN_INTERLEAVED, -1};
static const int scalings[] = {KGEN_UNSCALED, KGEN_LINEAR, KGEN_LLAMA3, KGEN_YARN, KGEN_PROPORTIONAL, -1};

enum { HEAD_DIM_MAX = 8192 };

#define SCALING_FIELD(name, tag, kind, default_value, minimum, maximum, used_when, meaning)                  \
    {                                                                                                        \
        name, NULL, kind, false, default_value, minimum, maximum, NULL, meaning, tag, true, true, used_when  \
    }
#define LATER_FIELD(name, tag, kind, default_value, minimum, maximum, used_when, meaning)                    \
    {                                                                                                        \
        name, NULL, kind, false, default_value, minimum, maximum, NULL, meaning, tag,                        \
            kind != KGEN_FIELD_BOOLEAN, false, used_when                                                     \
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
    SCALING_FIELD("factor", "f", KGEN_FIELD_REAL, 1, 1, 1e6, "scaling != none", "of all scalings"),
    SCALING_FIELD("low_freq_factor", "l", KGEN_FIELD_REAL, 1, 1e-3, 1e6, "scaling == llama3",
                  "of llama3 scaling"),
    SCALING_FIELD("high_freq_factor", "h", KGEN_FIELD_REAL, 4, 1e-3, 1e6, "scaling == llama3",
                  "of llama3 scaling, greater than low_freq_factor"),
    SCALING_FIELD("original_max_position_embeddings", "o", KGEN_FIELD_INTEGER, 8192, 1, KGEN_SIZE_MAX,
                  "(scaling == llama3) + (scaling == yarn)", "of llama3 and yarn scaling"),
    LATER_FIELD("beta_fast", "bf", KGEN_FIELD_REAL, 32, 1e-3, 1e6, "scaling == yarn",
                "of yarn scaling, greater than beta_slow"),
    LATER_FIELD("beta_slow", "bs", KGEN_FIELD_REAL, 1, 1e-3, 1e6, "scaling == yarn", "of yarn scaling"),
    LATER_FIELD("truncate", "untruncated", KGEN_FIELD_BOOLEAN, 1, 0, 1, "scaling == yarn",
                "of yarn scaling: its limits are whole indices of pairs"),
    LATER_FIELD("attention_factor", "a", KGEN_FIELD_REAL, 1, 1e-3, 1e3, "scaling == yarn",
                "of yarn scaling: what cosines and sines are multiplied by"),
    LATER_FIELD("rotated_dim", "p", KGEN_FIELD_INTEGER, 0, 0, HEAD_DIM_MAX, "scaling == proportional",
                "of proportional scaling: elements whose pairs turn, even; 0: rotary_dim"),
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
    if (kgen_problem_get(problem, "scaling") == KGEN_PROPORTIONAL &&
        kgen_problem_get(problem, "rotated_dim") == 0)
        kgen_problem_set(problem, "rotated_dim", kgen_problem_get(problem, "rotary_dim"));
}

/* A parameter that has another value than its default though the scaling does not use it, or NULL: equal
 * problems have equal text. */
static const char *find_unused(const struct kgen_problem *problem)
{
    for (size_t i = 0; i < problem->op->field_count; i++) {
        const struct kgen_field *field = &problem->op->fields[i];
        const union kgen_value *value = kgen_problem_value_of(problem, field);
        const bool is_default =
            field->kind == KGEN_FIELD_REAL
                ? !(value->real < field->default_value || value->real > field->default_value)
                : value->integer == (int64_t)field->default_value;
        int64_t used = 1;
        if (field->used_when != NULL && !is_default &&
            kgen_problem_evaluate(field->used_when, problem, &used) && used == 0)
            return field->name;
    }
    return NULL;
}

static int check_scaling(const struct kgen_problem *problem, const struct kgen_check_place *place)
{
    const int64_t scaling = kgen_problem_get(problem, "scaling");
    const int64_t rotated = kgen_problem_get(problem, "rotated_dim");
    if (scaling == KGEN_LLAMA3 &&
        kgen_problem_real(problem, "low_freq_factor") >= kgen_problem_real(problem, "high_freq_factor"))
        return kgen_check_fail(place, "rope: low_freq_factor must be less than high_freq_factor");
    if (scaling == KGEN_YARN &&
        kgen_problem_real(problem, "beta_slow") >= kgen_problem_real(problem, "beta_fast"))
        return kgen_check_fail(place, "rope: beta_slow must be less than beta_fast");
    if (scaling == KGEN_YARN && kgen_problem_real(problem, "theta") <= 1)
        return kgen_check_fail(place, "rope: theta must be more than 1 with scaling \"yarn\"");
    if (scaling == KGEN_PROPORTIONAL &&
        (rotated < 2 || rotated % 2 != 0 || rotated > kgen_problem_get(problem, "rotary_dim")))
        return kgen_check_fail(place, "rope: rotated_dim %lld is not an even number from 2 to rotary_dim",
                               (long long)rotated);
    return 0;
}

static int check(const struct kgen_problem *problem, const struct kgen_check_place *place)
{
    const int64_t rotary_dim = kgen_problem_get(problem, "rotary_dim");
    const int64_t head_dim = kgen_problem_get(problem, "head_dim");
    if (rotary_dim < 2 || rotary_dim % 2 != 0)
        return kgen_check_fail(place, "rope: rotary_dim %lld is not a positive even number",
                               (long long)rotary_dim);
    if (rotary_dim > head_dim)
        return kgen_check_fail(place, "rope: rotary_dim %lld is more than head_dim %lld",
                               (long long)rotary_dim, (long long)head_dim);
    const char *unused = find_unused(problem);
    if (unused == NULL)
        return check_scaling(problem, place);
    kgen_check_fail(place, "rope: \"%s\" means nothing with scaling \"%s\"", unused,
                    kgen_constant_name(kgen_problem_get(problem, "scaling")));
    kgen_error_hint(place->error, "set \"scaling\", or leave \"%s\" out", unused);
    return -1;
}

double kgen_rope_frequency(const struct kgen_problem *problem, int64_t index)
{
    const int64_t scaling = kgen_problem_get(problem, "scaling");
    const double frequency = pow(kgen_problem_real(problem, "theta"),
                                 -2.0 * (double)index / (double)kgen_problem_get(problem, "rotary_dim"));
    switch (scaling) {
    case KGEN_LINEAR:
        return frequency / kgen_problem_real(problem, "factor");
    case KGEN_LLAMA3:
        return kgen_rope_llama3(problem, frequency);
    case KGEN_YARN:
        return kgen_rope_yarn(problem, frequency, index);
    case KGEN_PROPORTIONAL:
        return kgen_rope_proportional(problem, frequency, index);
    default:
        return frequency;
    }
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
 * |b sin|, with 4 roundings. The cosine and sine, times the factor, are rounded to float once, from double:
 * u (|a| + |b|) times the factor covers that and the error of a large angle. */
static void turn(double a, double b, double angle, double factor, double *y, double *bound, int64_t first,
                 int64_t second)
{
    const double cosine = factor * cos(angle), sine = factor * sin(angle);
    const double table = factor * KGEN_UNIT * (fabs(a) + fabs(b)) + 2 * (double)FLT_MIN;
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
    const double factor = kgen_problem_real(problem, "attention_factor");
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
            turn((double)x[first], (double)x[second], angle, factor, y, bound, first, second);
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
