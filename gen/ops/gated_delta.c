/* SPDX-License-Identifier: MIT */
/* gated_delta: a step of linear attention by the gated delta rule. Each head keeps a matrix, its state, of
 * which old values fade, and which learns what it lacks of the value at a key. */
#include "gen/ops/bound.h"
#include "gen/ops/buffers.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { HEADS_MAX = 4096, DIM_MAX = 1024 };

static const struct kgen_field fields[] = {
    KGEN_SIZE_FIELD("heads", "h", HEADS_MAX, "heads of values, each with a state"),
    KGEN_SIZE_FIELD("key_heads", "kh", HEADS_MAX, "heads of queries and keys, of which heads is a multiple"),
    KGEN_SIZE_FIELD("key_dim", "k", DIM_MAX, "elements of a query and of a key"),
    KGEN_SIZE_FIELD("value_dim", "v", DIM_MAX, "elements of a value"),
    KGEN_REAL_FIELD("eps", "eps", 1e-6, 1e-12, 1, "added to the sums of squares of queries and keys"),
};

#define QKV_SHAPE "2 * key_heads * key_dim + heads * value_dim"

static const struct kgen_buffer buffers[] = {
    {"qkv", KGEN_INPUT, "f32", QKV_SHAPE, KGEN_RUN, NULL, NULL},
    {"a", KGEN_INPUT, "f32", "heads", KGEN_PREPARE, NULL, NULL},
    {"b", KGEN_INPUT, "f32", "heads", KGEN_PREPARE, NULL, NULL},
    {"A_log", KGEN_INPUT, "f32", "heads", KGEN_PREPARE, NULL, NULL},
    {"dt_bias", KGEN_INPUT, "f32", "heads", KGEN_PREPARE, NULL, NULL},
    {"state", KGEN_STATE, "f32", "heads, key_dim, value_dim", KGEN_RUN, NULL, NULL},
    {"workspace", KGEN_WORKSPACE, NULL, NULL, KGEN_PREPARE | KGEN_RUN, NULL, NULL},
    {"y", KGEN_OUTPUT, "f32", "heads, value_dim", KGEN_RUN, NULL, NULL},
};

enum { QKV, A, B, A_LOG, DT_BIAS, STATE, WORKSPACE, Y };

struct shape {
    int64_t heads, key_heads, key_dim, value_dim;
    double eps;
};

static struct shape shape_of(const struct kgen_problem *problem)
{
    return (struct shape){kgen_problem_get(problem, "heads"), kgen_problem_get(problem, "key_heads"),
                          kgen_problem_get(problem, "key_dim"), kgen_problem_get(problem, "value_dim"),
                          kgen_problem_real(problem, "eps")};
}

static int check(const struct kgen_problem *problem, const struct kgen_check_place *place)
{
    const struct shape shape = shape_of(problem);
    if (shape.heads % shape.key_heads == 0)
        return 0;
    return kgen_check_fail(place, "gated_delta: \"heads\" %lld is not a multiple of \"key_heads\" %lld",
                           (long long)shape.heads, (long long)shape.key_heads);
}

/* For an element of the state a product and a sum each for what it has of the key, for the decay, for what it
 * learns, and for the query. */
static double operations(const struct kgen_problem *problem)
{
    const struct shape shape = shape_of(problem);
    return 7 * (double)shape.heads * (double)shape.key_dim * (double)shape.value_dim;
}

static void names(const struct kgen_problem *problem, const struct kgen_name_receiver *receiver)
{
    const double scale = 1 / sqrt((double)kgen_problem_get(problem, "key_dim"));
    receiver->reals(receiver->context, "query_scale", &scale, 1);
}

/* ---- the reference ---- */

/* What a head has besides its state: the inverse norms of its query and key, of which the first has the scale
 * of queries in it, its decay and its rate, and their relative errors.
 *
 * The sum of n squares is off by n u of itself, so the inverse of its root by half of that, and a few more.
 * The decay is exp(-t), t = exp(A_log) softplus(x), x = a + dt_bias: x is rounded once, which softplus, whose
 * slope is at most itself and at most 1, passes on as |x| u of itself at most; t is off by |x| + 12
 * roundings, and the decay by t times that and a few of its own. The rate is a sigmoid. */
struct head {
    const float *q, *k, *v;
    double query_factor, key_factor, decay, rate;
    double norm_error, decay_error, rate_error;
};

static double inverse_norm(const float *x, int64_t count, double eps)
{
    double squares = eps;
    for (int64_t i = 0; i < count; i++)
        squares += (double)x[i] * (double)x[i];
    return 1 / sqrt(squares);
}

static struct head head_of(const struct shape *shape, const struct kgen_arguments *arguments, int64_t index)
{
    const float *qkv = arguments->buffers[QKV], *a = arguments->buffers[A], *b = arguments->buffers[B];
    const float *a_log = arguments->buffers[A_LOG], *dt_bias = arguments->buffers[DT_BIAS];
    const int64_t keys = shape->key_heads * shape->key_dim;
    const int64_t key = index / (shape->heads / shape->key_heads) * shape->key_dim;
    const double x = (double)a[index] + (double)dt_bias[index];
    const double softplus = fmax(x, 0) + log1p(exp(-fabs(x))), t = exp((double)a_log[index]) * softplus;
    struct head head = {
        .q = qkv + key, .k = qkv + keys + key, .v = qkv + 2 * keys + index * shape->value_dim};
    head.query_factor = inverse_norm(head.q, shape->key_dim, shape->eps) / sqrt((double)shape->key_dim);
    head.key_factor = inverse_norm(head.k, shape->key_dim, shape->eps);
    head.decay = exp(-t);
    head.rate = 1 / (1 + exp(-(double)b[index]));
    head.norm_error = ((double)shape->key_dim / 2 + 8) * KGEN_UNIT;
    head.decay_error = (t * (fabs(x) + 12) + 4) * KGEN_UNIT;
    head.rate_error = 16 * KGEN_UNIT;
    return head;
}

/* Column j of a head's state, S, and element j of y, with their errors.
 *
 * What the faded state has at the key is m = d sum k S: a term passes through key_dim + 6 roundings, and has
 * the errors of d and k. The change is c = r (v - m), and S' = d S + k c; y = sum q S'. The errors are those
 * of the parts, times what they are multiplied by. What lies below the normal numbers may become 0: a kernel
 * may take the factor of the key, which is at most 1 / sqrt(eps), out of the sum. */
static void run_column(const struct shape *shape, const struct head *head, const float *state, double *values,
                       double *bounds, int64_t j, double *y, double *y_bound)
{
    const double roundings = ((double)shape->key_dim + 6) * KGEN_UNIT;
    const double slack = (double)FLT_MIN * ((double)shape->key_dim + 8) * (1 / sqrt(shape->eps) + 2);
    double sum = 0, magnitude = 0;
    for (int64_t i = 0; i < shape->key_dim; i++) {
        const double term = (double)head->k[i] * head->key_factor * (double)state[i * shape->value_dim + j];
        sum += term;
        magnitude += fabs(term);
    }
    const double v = (double)head->v[j], lacking = v - head->decay * sum, change = head->rate * lacking;
    const double off =
        magnitude * (head->decay * (roundings + head->norm_error + head->decay_error) + 2 * (double)FLT_MIN) +
        slack;
    const double change_error = head->rate * (off + KGEN_UNIT * fabs(lacking)) +
                                (head->rate_error + 2 * KGEN_UNIT) * fabs(change) +
                                2 * (double)FLT_MIN * (fabs(lacking) + 1);
    double result = 0, result_magnitude = 0, result_error = 0;
    for (int64_t i = 0; i < shape->key_dim; i++) {
        const int64_t at = i * shape->value_dim + j;
        const double k = (double)head->k[i] * head->key_factor, q = (double)head->q[i] * head->query_factor;
        const double kept = head->decay * (double)state[at], learnt = k * change, value = kept + learnt;
        const double error = fabs(kept) * (head->decay_error + 2 * KGEN_UNIT) + fabs(k) * change_error +
                             fabs(learnt) * (head->norm_error + 4 * KGEN_UNIT) + KGEN_UNIT * fabs(value) +
                             2 * (double)FLT_MIN * fabs((double)state[at]) + slack;
        values[at] = value;
        bounds[at] = error;
        result += q * value;
        result_magnitude += fabs(q * value);
        result_error += fabs(q) * error;
    }
    *y = result;
    *y_bound = result_error + result_magnitude * (roundings + head->norm_error) + slack;
}

static void reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                      struct kgen_expected *expected)
{
    const struct shape shape = shape_of(problem);
    for (int64_t index = 0; index < shape.heads; index++) {
        const struct head head = head_of(&shape, arguments, index);
        const int64_t at = index * shape.key_dim * shape.value_dim, y = index * shape.value_dim;
        for (int64_t j = 0; j < shape.value_dim; j++)
            run_column(&shape, &head, (const float *)arguments->buffers[STATE] + at,
                       expected->values[STATE] + at, expected->bounds[STATE] + at, j,
                       &expected->values[Y][y + j], &expected->bounds[Y][y + j]);
    }
}

/* ---- inputs ---- */

static void fill_random(const struct kgen_problem *problem, struct kgen_random *random,
                        struct kgen_arguments *arguments)
{
    const struct shape shape = shape_of(problem);
    const int64_t keys = shape.key_heads * shape.key_dim, values = shape.heads * shape.value_dim;
    float *a_log = arguments->buffers[A_LOG];
    kgen_random_fill_normal(random, arguments->buffers[QKV], 2 * keys + values);
    kgen_random_fill_normal(random, arguments->buffers[STATE], values * shape.key_dim);
    for (int i = A; i <= DT_BIAS; i++)
        kgen_random_fill_normal(random, arguments->buffers[i], shape.heads);
    for (int64_t i = 0; i < shape.heads; i++)
        a_log[i] -= 1.0f;
}

/* Queries and keys so small that eps counts. */
static void fill_small(const struct kgen_problem *problem, struct kgen_random *random,
                       struct kgen_arguments *arguments)
{
    const struct shape shape = shape_of(problem);
    float *qkv = arguments->buffers[QKV];
    fill_random(problem, random, arguments);
    for (int64_t i = 0; i < 2 * shape.key_heads * shape.key_dim; i++)
        qkv[i] *= 1e-4f;
}

/* Decays and rates from 0 to 1: their arguments leave the range of exp() on either side. */
static void fill_gates(const struct kgen_problem *problem, struct kgen_random *random,
                       struct kgen_arguments *arguments)
{
    const struct shape shape = shape_of(problem);
    float *a = arguments->buffers[A], *b = arguments->buffers[B], *a_log = arguments->buffers[A_LOG];
    fill_random(problem, random, arguments);
    for (int64_t i = 0; i < shape.heads; i++) {
        a[i] = 220.0f * kgen_random_uniform(random) - 110.0f;
        b[i] = 220.0f * kgen_random_uniform(random) - 110.0f;
        a_log[i] = 12.0f * kgen_random_uniform(random) - 6.0f;
    }
}

/* An empty state, as at the beginning of a sequence, and of every other head queries of 0. */
static void fill_empty(const struct kgen_problem *problem, struct kgen_random *random,
                       struct kgen_arguments *arguments)
{
    const struct shape shape = shape_of(problem);
    float *qkv = arguments->buffers[QKV];
    fill_random(problem, random, arguments);
    memset(arguments->buffers[STATE], 0,
           (size_t)(shape.heads * shape.key_dim * shape.value_dim) * sizeof(float));
    for (int64_t i = 0; i < shape.key_heads; i += 2)
        memset(qkv + i * shape.key_dim, 0, (size_t)shape.key_dim * sizeof *qkv);
}

/* Great and tiny numbers in the state. */
static void fill_extreme(const struct kgen_problem *problem, struct kgen_random *random,
                         struct kgen_arguments *arguments)
{
    const struct shape shape = shape_of(problem);
    fill_random(problem, random, arguments);
    kgen_random_fill_extreme(random, arguments->buffers[STATE], shape.heads * shape.key_dim * shape.value_dim,
                             1e15f);
}

static const struct kgen_generator generators[] = {
    {"random", fill_random, NULL}, {"small", fill_small, NULL},     {"gates", fill_gates, NULL},
    {"empty", fill_empty, NULL},   {"extreme", fill_extreme, NULL},
};

const struct kgen_op kgen_op_gated_delta = {
    .name = "gated_delta",
    .summary = "A step of linear attention by the gated delta rule, which updates the states of heads.",
    .formula =
        "qkv has the queries of all key heads, their keys, then the values of all heads; the heads of\n"
        "values that share a key head follow one another. For heads head_begin to head_end, S = "
        "state[head],\n"
        "q = q / sqrt(sum(q^2) + eps) / sqrt(key_dim), k = k / sqrt(sum(k^2) + eps),\n"
        "g = exp(-exp(A_log) * softplus(a + dt_bias)), beta = sigmoid(b): S *= g, S += k (beta (v - S^T "
        "k))^T,\n"
        "y = S^T q. Softplus(x) is log(1 + exp(x)).\n",
    .fields = fields,
    .field_count = KGEN_COUNT_OF(fields),
    .buffers = buffers,
    .buffer_count = KGEN_COUNT_OF(buffers),
    .range = "heads",
    .range_name = "head",
    .fixed_range = true,
    .threaded = true,
    .check = check,
    .names = names,
    .operations = operations,
    .reference = reference,
    .generators = generators,
    .generator_count = KGEN_COUNT_OF(generators),
};
