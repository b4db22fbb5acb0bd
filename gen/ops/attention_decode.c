/* SPDX-License-Identifier: MIT */
/* attention_decode: the attention of one position over all positions up to it, with caches of keys and
 * values. */
#include "gen/ops/bound.h"
#include "gen/ops/buffers.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

enum { HEADS_MAX = 4096, HEAD_DIM_MAX = 576, HEAD_DIM_MULTIPLE = 8, CONTEXT_MAX = 1 << 20 };

static const struct kgen_field fields[] = {
    KGEN_SIZE_FIELD("heads", "h", HEADS_MAX, "query heads, a multiple of kv_heads"),
    KGEN_SIZE_FIELD("kv_heads", "kv", HEADS_MAX, "heads of keys and values"),
    KGEN_SIZE_FIELD("head_dim", "d", HEAD_DIM_MAX, "elements of a head, a multiple of 8"),
    KGEN_SIZE_FIELD("context", "c", CONTEXT_MAX, "positions that the caches have room for"),
    {"scale", NULL, KGEN_FIELD_REAL, false, 0, 0, 1e6, NULL, "factor of the scores; 0: 1 / sqrt(head_dim)",
     "s", false, true, NULL},
};

static const struct kgen_buffer buffers[] = {
    {"q", KGEN_INPUT, "f32", "heads, head_dim", KGEN_RUN, NULL, NULL},
    {"k", KGEN_INPUT, "f32", "kv_heads, head_dim", KGEN_PREPARE, NULL, NULL},
    {"v", KGEN_INPUT, "f32", "kv_heads, head_dim", KGEN_PREPARE, NULL, NULL},
    {"k_cache", KGEN_STATE, "f32", "context, kv_heads, head_dim", KGEN_PREPARE | KGEN_RUN, NULL, NULL},
    {"v_cache", KGEN_STATE, "f32", "context, kv_heads, head_dim", KGEN_PREPARE | KGEN_RUN, NULL, NULL},
    {"scratch", KGEN_SCRATCH, NULL, NULL, KGEN_RUN, NULL, NULL},
    {"y", KGEN_OUTPUT, "f32", "heads, head_dim", KGEN_RUN, NULL, NULL},
};

enum { Q, K, V, K_CACHE, V_CACHE, SCRATCH, Y };

static const struct kgen_scalar scalars[] = {
    {"position", 0, CONTEXT_MAX - 1, "context - 1", KGEN_PREPARE | KGEN_RUN, "of the token in its sequence",
     NULL},
};

/* What the fields say, for loops. */
struct shape {
    int64_t heads, kv_heads, head_dim, context, group, row;
    double scale;
};

static double usual_scale(const struct kgen_problem *problem)
{
    return 1 / sqrt((double)kgen_problem_get(problem, "head_dim"));
}

static struct shape shape_of(const struct kgen_problem *problem)
{
    struct shape shape = {.heads = kgen_problem_get(problem, "heads"),
                          .kv_heads = kgen_problem_get(problem, "kv_heads"),
                          .head_dim = kgen_problem_get(problem, "head_dim"),
                          .context = kgen_problem_get(problem, "context"),
                          .scale = kgen_problem_real(problem, "scale")};
    shape.group = shape.heads / shape.kv_heads;
    shape.row = shape.kv_heads * shape.head_dim;
    if (!(shape.scale > 0))
        shape.scale = usual_scale(problem);
    return shape;
}

/* The usual scale is 0, so that equal problems have equal text. */
static void complete(struct kgen_problem *problem)
{
    const double scale = kgen_problem_real(problem, "scale"), usual = usual_scale(problem);
    if (scale >= usual && scale <= usual)
        kgen_problem_set_real(problem, "scale", 0);
}

static int check(const struct kgen_problem *problem, const struct kgen_check_place *place)
{
    const int64_t heads = kgen_problem_get(problem, "heads"),
                  kv_heads = kgen_problem_get(problem, "kv_heads");
    const int64_t head_dim = kgen_problem_get(problem, "head_dim");
    if (heads % kv_heads != 0)
        return kgen_check_fail(place, "attention_decode: heads %lld is not a multiple of kv_heads %lld",
                               (long long)heads, (long long)kv_heads);
    if (head_dim % HEAD_DIM_MULTIPLE != 0)
        return kgen_check_fail(place, "attention_decode: head_dim %lld is not a multiple of %d",
                               (long long)head_dim, HEAD_DIM_MULTIPLE);
    return 0;
}

static void names(const struct kgen_problem *problem, const struct kgen_name_receiver *receiver)
{
    const struct shape shape = shape_of(problem);
    receiver->reals(receiver->context, "score_scale", &shape.scale, 1);
    receiver->integer(receiver->context, "group", shape.group);
}

/* A product and a sum for each element of a key and of a value, for each query head. */
static double operations(const struct kgen_problem *problem)
{
    const struct shape shape = shape_of(problem);
    return 4 * (double)shape.heads * (double)shape.head_dim * (double)shape.context;
}

/* ---- the reference ---- */

/* One query head, its keys and values. */
struct head {
    const float *q, *k_cache, *v_cache, *k, *v; /* of the first position; k and v those of the last */
    int64_t last;
};

static double value_at(const struct shape *shape, const float *cache, const float *newest, int64_t last,
                       int64_t position, int64_t i)
{
    return (double)(position == last ? newest[i] : cache[position * shape->row + i]);
}

/* The weights of the positions, before they are divided by their sum, and bounds on their relative error.
 * Returns the sum. */
static double weigh(const struct shape *shape, const struct head *head, double *weights, double *errors)
{
    const double positions = (double)head->last + 1;
    double greatest = -HUGE_VAL, sum = 0;
    for (int64_t j = 0; j <= head->last; j++) {
        double dot = 0, size = 0;
        for (int64_t i = 0; i < shape->head_dim; i++) {
            const double key = value_at(shape, head->k_cache, head->k, head->last, j, i);
            dot += (double)head->q[i] * key;
            size += fabs((double)head->q[i] * key) + (double)FLT_MIN * (1 + fabs(key));
        }
        weights[j] = shape->scale * dot;
        errors[j] = ((double)shape->head_dim / 8 + 24) * KGEN_UNIT * shape->scale * size;
        greatest = fmax(greatest, weights[j]);
    }
    for (int64_t j = 0; j <= head->last; j++) {
        errors[j] = expm1(errors[j] + KGEN_UNIT * (greatest - weights[j] + positions + 24));
        weights[j] = exp(weights[j] - greatest);
        sum += weights[j];
    }
    return sum;
}

/* y = sum w_j v_j with w_j = p_j / sum p, p_j = exp(s_j - m), s_j = scale sum q k_j, m the greatest s_j.
 *
 * s_j is off by c u S_j: S_j is the sum of the magnitudes, and head_dim/8 + 24 roundings are met by every sum
 * over eight lanes or more, with the scale applied to q or to the sum. Whatever m a kernel subtracts
 * falls out of w; the difference is rounded once, so that p_j is off by |s_j - m| u. A kernel that meets a
 * greater score block by block multiplies p_j by exp(m - m') each time: the differences add up to no more
 * than |s_j - m|, and each factor adds 6 u, which is less than u for each position where blocks have 8
 * positions or more. So the relative error of p_j is r_j = exp(u (c S_j + |s_j - m| + positions + 24)) - 1.
 *
 * The sums over positions may be serial, with a rounding for each position. The sum of p is off by R = sum
 * w_j r_j and these, so that y is off by sum w_j |v_j| (r_j + R + (2 positions + 8) u), over 1 - R. What
 * lies below the normal numbers may become 0. */
static void attend(const struct shape *shape, const struct head *head, double *weights, double *errors,
                   double *y, double *bound)
{
    const double sum = weigh(shape, head, weights, errors), positions = (double)head->last + 1;
    double mean_error = 0;
    for (int64_t j = 0; j <= head->last; j++) {
        weights[j] /= sum;
        mean_error += weights[j] * errors[j];
    }
    const double shared = mean_error + (2 * positions + 8) * KGEN_UNIT;
    for (int64_t i = 0; i < shape->head_dim; i++) {
        double size = 0, slack = positions;
        y[i] = bound[i] = 0;
        for (int64_t j = 0; j <= head->last; j++) {
            const double value = value_at(shape, head->v_cache, head->v, head->last, j, i);
            y[i] += weights[j] * value;
            bound[i] += weights[j] * errors[j] * fabs(value);
            size += weights[j] * fabs(value);
            slack += fabs(value);
        }
        bound[i] = (bound[i] + shared * size) / (1 - fmin(mean_error, 0.5)) + (double)FLT_MIN * slack;
    }
}

/* A state after the call: the row of the position is new, the rest as it was. */
static void append(const struct shape *shape, const float *cache, const float *row, int64_t position,
                   double *values)
{
    for (int64_t i = 0; values != NULL && i < shape->context * shape->row; i++)
        values[i] = (double)(i / shape->row == position ? row[i % shape->row] : cache[i]);
}

static void reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                      struct kgen_expected *expected)
{
    const struct shape shape = shape_of(problem);
    const int64_t position = arguments->scalars[0];
    const float *q = arguments->buffers[Q], *k = arguments->buffers[K], *v = arguments->buffers[V];
    const float *k_cache = arguments->buffers[K_CACHE], *v_cache = arguments->buffers[V_CACHE];
    double *weights = calloc(2 * ((size_t)position + 1), sizeof *weights);
    append(&shape, k_cache, k, position, expected->values[K_CACHE]);
    append(&shape, v_cache, v, position, expected->values[V_CACHE]);
    for (int64_t h = 0; weights != NULL && h < shape.heads; h++) {
        const int64_t first = h / shape.group * shape.head_dim;
        const struct head head = {
            q + h * shape.head_dim, k_cache + first, v_cache + first, k + first, v + first, position};
        attend(&shape, &head, weights, weights + position + 1, expected->values[Y] + h * shape.head_dim,
               expected->bounds[Y] + h * shape.head_dim);
    }
    free(weights);
}

/* ---- inputs ---- */

/* Random numbers; beyond the positions that are filled the caches hold NaNs, which no kernel may read. */
static void fill_at(const struct kgen_problem *problem, struct kgen_random *random,
                    struct kgen_arguments *arguments, int64_t position)
{
    const struct shape shape = shape_of(problem);
    arguments->scalars[0] = position;
    kgen_random_fill_normal(random, arguments->buffers[Q], shape.heads * shape.head_dim);
    for (int b = K; b <= V; b++) {
        float *row = arguments->buffers[b], *cache = arguments->buffers[b + K_CACHE - K];
        kgen_random_fill_normal(random, row, shape.row);
        kgen_random_fill_normal(random, cache, position * shape.row);
        for (int64_t i = position * shape.row; i < shape.context * shape.row; i++)
            cache[i] = NAN;
    }
}

/* One of the last quarter of positions, at no particular place in a block of them. */
static int64_t late_position(const struct kgen_problem *problem, struct kgen_random *random)
{
    const int64_t context = kgen_problem_get(problem, "context");
    return context - 1 - kgen_random_below(random, context / 4 + 1);
}

static void fill_random(const struct kgen_problem *problem, struct kgen_random *random,
                        struct kgen_arguments *arguments)
{
    fill_at(problem, random, arguments, late_position(problem, random));
}

static void fill_first(const struct kgen_problem *problem, struct kgen_random *random,
                       struct kgen_arguments *arguments)
{
    fill_at(problem, random, arguments, 0);
}

static void fill_last(const struct kgen_problem *problem, struct kgen_random *random,
                      struct kgen_arguments *arguments)
{
    fill_at(problem, random, arguments, kgen_problem_get(problem, "context") - 1);
}

static void multiply(float *x, int64_t count, float factor)
{
    for (int64_t i = 0; i < count; i++)
        x[i] *= factor;
}

/* Scores of some hundreds of either sign, of which exp itself overflows or is 0: only differences count. */
static void fill_great(const struct kgen_problem *problem, struct kgen_random *random,
                       struct kgen_arguments *arguments)
{
    const struct shape shape = shape_of(problem);
    fill_random(problem, random, arguments);
    const double usual = 1 / sqrt((double)shape.head_dim);
    multiply(arguments->buffers[Q], shape.heads * shape.head_dim, (float)(150 * usual / shape.scale));
}

/* Sets the row of a position, in the caches or still to be appended. */
static float *row_at(const struct shape *shape, const struct kgen_arguments *arguments, int b,
                     int64_t position)
{
    return position == arguments->scalars[0]
               ? (float *)arguments->buffers[b]
               : (float *)arguments->buffers[b + K_CACHE - K] + position * shape->row;
}

/* Keys that are alike up to a factor, which grows with the position: each block of positions has a greater
 * score than those before it, or a smaller one where the score of the query is negative. */
static void fill_rising(const struct kgen_problem *problem, struct kgen_random *random,
                        struct kgen_arguments *arguments)
{
    const struct shape shape = shape_of(problem);
    fill_random(problem, random, arguments);
    const float *newest = arguments->buffers[K];
    for (int64_t j = 0; j < arguments->scalars[0]; j++) {
        float *row = row_at(&shape, arguments, K, j);
        for (int64_t i = 0; i < shape.row; i++)
            row[i] = newest[i] * (float)j / (float)arguments->scalars[0];
    }
}

/* Every position counts as much as any other, so that one too many or too few is seen. */
static void fill_equal(const struct kgen_problem *problem, struct kgen_random *random,
                       struct kgen_arguments *arguments)
{
    const struct shape shape = shape_of(problem);
    fill_random(problem, random, arguments);
    const float *newest = arguments->buffers[K];
    for (int64_t j = 0; j < arguments->scalars[0]; j++) {
        float *row = row_at(&shape, arguments, K, j);
        for (int64_t i = 0; i < shape.row; i++)
            row[i] = newest[i];
    }
}

static void fill_extreme(const struct kgen_problem *problem, struct kgen_random *random,
                         struct kgen_arguments *arguments)
{
    const struct shape shape = shape_of(problem);
    fill_random(problem, random, arguments);
    for (int64_t j = 0; j <= arguments->scalars[0]; j++)
        kgen_random_fill_extreme(random, row_at(&shape, arguments, V, j), shape.row, 1e30f);
}

static const struct kgen_generator generators[] = {
    {"random", fill_random, NULL},          {"first position", fill_first, NULL},
    {"last position", fill_last, NULL},     {"great scores", fill_great, NULL},
    {"rising scores", fill_rising, NULL},   {"equal keys", fill_equal, NULL},
    {"extreme values", fill_extreme, NULL},
};

const struct kgen_op kgen_op_attention_decode = {
    .name = "attention_decode",
    .summary = "Attends from one position to all up to it, whose keys and values are in caches.",
    .formula =
        "_prepare appends k and v to the caches, as the row of position. Then for the query heads h\n"
        "that share the heads kv of keys and values from kv_begin to kv_end, kv = h * kv_heads / heads:\n"
        "y[h] = sum of w[j] * v_cache[j][kv] over j from 0 to position, with\n"
        "w = softmax(scale * q[h] . k_cache[j][kv]). Rows beyond position are not read.\n",
    .fields = fields,
    .field_count = KGEN_COUNT_OF(fields),
    .buffers = buffers,
    .buffer_count = KGEN_COUNT_OF(buffers),
    .scalars = scalars,
    .scalar_count = KGEN_COUNT_OF(scalars),
    .range = "kv_heads",
    .range_name = "kv",
    .fixed_range = true,
    .room = "context",
    .threaded = true,
    .complete = complete,
    .check = check,
    .names = names,
    .operations = operations,
    .reference = reference,
    .generators = generators,
    .generator_count = KGEN_COUNT_OF(generators),
};
