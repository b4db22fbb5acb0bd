/* SPDX-License-Identifier: MIT */
/* mla_decode: multi-head latent attention of one position, as of DeepSeek V2 and V3. All query heads share
 * one row of the cache for each position: kv_lora_rank elements, which are key and value, then
 * qk_rope_head_dim more of the key. */
#include "gen/ops/bound.h"
#include "gen/ops/buffers.h"
#include "gen/ops/dtype.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEADS_MAX = 4096,
    RANK_MAX = 2048,
    ROPE_MAX = 512,
    CONTEXT_MAX = 1 << 20,
    PARTS_MAX = 64,
    MULTIPLE = 8
};

static const int cache_dtypes[] = {KGEN_F32, KGEN_F16, KGEN_BF16, -1};

static const struct kgen_field fields[] = {
    KGEN_SIZE_FIELD("heads", "h", HEADS_MAX, "query heads"),
    KGEN_SIZE_FIELD("kv_lora_rank", "r", RANK_MAX, "elements of a key that are its value, a multiple of 8"),
    KGEN_SIZE_FIELD("qk_rope_head_dim", "d", ROPE_MAX, "further elements of a key, a multiple of 8"),
    KGEN_SIZE_FIELD("context", "c", CONTEXT_MAX, "positions that the cache has room for"),
    {"scale", NULL, KGEN_FIELD_REAL, false, 0, 0, 1e6, NULL,
     "factor of the scores; 0: 1 / sqrt(kv_lora_rank + qk_rope_head_dim)", "s", false, true, NULL},
    KGEN_CONSTANT_FIELD("cache_dtype", NULL, KGEN_F32, cache_dtypes, "of the cache", false, false),
    KGEN_INTEGER_FIELD("head_parts", "hp", 8, 1, PARTS_MAX, "parts of the heads, which threads share"),
    KGEN_INTEGER_FIELD("key_parts", "kp", 4, 1, PARTS_MAX, "parts of the positions, which threads share"),
};

static const struct kgen_buffer buffers[] = {
    {"q", KGEN_INPUT, "f32", "heads, kv_lora_rank", KGEN_RUN, NULL, NULL},
    {"q_rope", KGEN_INPUT, "f32", "heads, qk_rope_head_dim", KGEN_RUN, NULL, NULL},
    {"k", KGEN_INPUT, "f32", "kv_lora_rank", KGEN_PREPARE, NULL, NULL},
    {"k_rope", KGEN_INPUT, "f32", "qk_rope_head_dim", KGEN_PREPARE, NULL, NULL},
    {"kv_cache", KGEN_STATE, "cache_dtype", "context, kv_lora_rank + qk_rope_head_dim",
     KGEN_PREPARE | KGEN_RUN, NULL, NULL},
    {"workspace", KGEN_WORKSPACE, NULL, NULL, KGEN_RUN | KGEN_FINISH, NULL, NULL},
    {"scratch", KGEN_SCRATCH, NULL, NULL, KGEN_RUN, NULL, NULL},
    {"y", KGEN_OUTPUT, "f32", "heads, kv_lora_rank", KGEN_FINISH, NULL, NULL},
};

enum { Q, Q_ROPE, K, K_ROPE, CACHE, Y = 7 };

static const struct kgen_scalar scalars[] = {
    {"position", 0, CONTEXT_MAX - 1, "context - 1", KGEN_PREPARE | KGEN_RUN | KGEN_FINISH,
     "of the token in its sequence", NULL},
};

/* What the fields say, for loops. */
struct shape {
    int64_t heads, rank, rope, row, context, cache_dtype;
    double scale;
};

static struct shape shape_of(const struct kgen_problem *problem)
{
    struct shape shape = {.heads = kgen_problem_get(problem, "heads"),
                          .rank = kgen_problem_get(problem, "kv_lora_rank"),
                          .rope = kgen_problem_get(problem, "qk_rope_head_dim"),
                          .context = kgen_problem_get(problem, "context"),
                          .cache_dtype = kgen_problem_get(problem, "cache_dtype"),
                          .scale = kgen_problem_real(problem, "scale")};
    shape.row = shape.rank + shape.rope;
    if (!(shape.scale > 0))
        shape.scale = 1 / sqrt((double)shape.row);
    return shape;
}

static int check(const struct kgen_problem *problem, const struct kgen_check_place *place)
{
    static const char *const names[] = {"kv_lora_rank", "qk_rope_head_dim"};
    for (size_t i = 0; i < KGEN_COUNT_OF(names); i++) {
        const int64_t value = kgen_problem_get(problem, names[i]);
        if (value % MULTIPLE != 0)
            return kgen_check_fail(place, "mla_decode: %s %lld is not a multiple of %d", names[i],
                                   (long long)value, MULTIPLE);
    }
    return 0;
}

static void names(const struct kgen_problem *problem, const struct kgen_name_receiver *receiver)
{
    const struct shape shape = shape_of(problem);
    receiver->reals(receiver->context, "score_scale", &shape.scale, 1);
    receiver->text(receiver->context, "cache_type", kgen_dtype_c_type(shape.cache_dtype));
}

/* A product and a sum for each element of a key and of a value, for each query head. */
static double operations(const struct kgen_problem *problem)
{
    const struct shape shape = shape_of(problem);
    return 2 * (double)shape.heads * (double)(shape.row + shape.rank) * (double)shape.context;
}

/* ---- the reference ---- */

/* A query head and the rows of the cache after the call, up to the last that it sees. */
struct head {
    const float *q, *q_rope;
    const double *rows;
    int64_t positions;
};

/* The weights of the positions, before they are divided by their sum, and bounds on their relative error.
 * Returns the sum. */
static double weigh(const struct shape *shape, const struct head *head, double *weights, double *errors)
{
    const double positions = (double)head->positions;
    double greatest = -HUGE_VAL, sum = 0;
    for (int64_t j = 0; j < head->positions; j++) {
        const double *key = head->rows + j * shape->row;
        double dot = 0, size = 0;
        for (int64_t i = 0; i < shape->row; i++) {
            const double q = (double)(i < shape->rank ? head->q[i] : head->q_rope[i - shape->rank]);
            dot += q * key[i];
            size += fabs(q * key[i]) + (double)FLT_MIN * (1 + fabs(key[i]));
        }
        weights[j] = shape->scale * dot;
        errors[j] = ((double)shape->row + 24) * size * KGEN_UNIT * shape->scale;
        greatest = fmax(greatest, weights[j]);
    }
    for (int64_t j = 0; j < head->positions; j++) {
        errors[j] = expm1(errors[j] + KGEN_UNIT * (greatest - weights[j] + positions + 24));
        weights[j] = exp(weights[j] - greatest);
        sum += weights[j];
    }
    return sum;
}

/* The bounds are those of attention_decode: gen/ops/attention.c says why. c is the elements of a key + 24. */
static void attend(const struct shape *shape, const struct head *head, double *weights, double *errors,
                   double *y, double *bound)
{
    const double sum = weigh(shape, head, weights, errors), positions = (double)head->positions;
    double mean_error = 0;
    for (int64_t j = 0; j < head->positions; j++) {
        weights[j] /= sum;
        mean_error += weights[j] * errors[j];
    }
    const double shared = mean_error + (2 * positions + 8) * KGEN_UNIT;
    for (int64_t i = 0; i < shape->rank; i++) {
        double size = 0, slack = positions;
        y[i] = bound[i] = 0;
        for (int64_t j = 0; j < head->positions; j++) {
            const double value = head->rows[j * shape->row + i];
            y[i] += weights[j] * value;
            bound[i] += weights[j] * errors[j] * fabs(value);
            size += weights[j] * fabs(value);
            slack += fabs(value);
        }
        bound[i] = (bound[i] + shared * size) / (1 - fmin(mean_error, 0.5)) + (double)FLT_MIN * slack;
    }
}

/* Stores a row of the cache. */
static void store(const struct shape *shape, void *elements, int64_t position, const float *k,
                  const float *k_rope)
{
    for (int64_t i = 0; i < shape->row; i++)
        kgen_dtype_store(elements, shape->cache_dtype, position * shape->row + i,
                         i < shape->rank ? k[i] : k_rope[i - shape->rank]);
}

/* The cache after the call: the row of the position is new, the rest as it was. */
static bool append(const struct shape *shape, const struct kgen_arguments *arguments, double *rows,
                   double *expected)
{
    const int64_t position = arguments->scalars[0], elements = shape->context * shape->row;
    const size_t bytes = (size_t)elements * kgen_dtype_bytes(shape->cache_dtype);
    unsigned char *stored = rows != NULL ? malloc(bytes) : NULL;
    if (stored == NULL)
        return false;
    memcpy(stored, arguments->buffers[CACHE], bytes);
    store(shape, stored, position, arguments->buffers[K], arguments->buffers[K_ROPE]);
    for (int64_t i = 0; expected != NULL && i < elements; i++)
        expected[i] = kgen_dtype_value(stored, shape->cache_dtype, i);
    for (int64_t i = 0; i < (position + 1) * shape->row; i++)
        rows[i] = kgen_dtype_value(stored, shape->cache_dtype, i);
    free(stored);
    return true;
}

static void reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                      struct kgen_expected *expected)
{
    const struct shape shape = shape_of(problem);
    const int64_t positions = arguments->scalars[0] + 1;
    double *weights = calloc(2 * (size_t)positions, sizeof *weights);
    double *rows = calloc((size_t)(positions * shape.row), sizeof *rows);
    const bool ready = weights != NULL && append(&shape, arguments, rows, expected->values[CACHE]);
    for (int64_t h = 0; ready && h < shape.heads; h++) {
        const struct head head = {(const float *)arguments->buffers[Q] + h * shape.rank,
                                  (const float *)arguments->buffers[Q_ROPE] + h * shape.rope, rows,
                                  positions};
        attend(&shape, &head, weights, weights + positions, expected->values[Y] + h * shape.rank,
               expected->bounds[Y] + h * shape.rank);
    }
    free(rows);
    free(weights);
}

/* ---- inputs ---- */

/* Random numbers; where no position is filled the cache holds NaNs, of which nothing may depend. */
static void fill_at(const struct kgen_problem *problem, struct kgen_random *random,
                    struct kgen_arguments *arguments, int64_t position)
{
    const struct shape shape = shape_of(problem);
    float row[RANK_MAX + ROPE_MAX];
    arguments->scalars[0] = position;
    kgen_random_fill_normal(random, arguments->buffers[Q], shape.heads * shape.rank);
    kgen_random_fill_normal(random, arguments->buffers[Q_ROPE], shape.heads * shape.rope);
    kgen_random_fill_normal(random, arguments->buffers[K], shape.rank);
    kgen_random_fill_normal(random, arguments->buffers[K_ROPE], shape.rope);
    for (int64_t j = 0; j < shape.context; j++) {
        kgen_random_fill_normal(random, row, shape.row);
        for (int64_t i = 0; i < shape.row && j >= position; i++)
            row[i] = NAN;
        store(&shape, arguments->buffers[CACHE], j, row, row + shape.rank);
    }
}

/* One of the last quarter of positions, at no particular place in a block of them. */
static void fill_random(const struct kgen_problem *problem, struct kgen_random *random,
                        struct kgen_arguments *arguments)
{
    const int64_t context = kgen_problem_get(problem, "context");
    fill_at(problem, random, arguments, context - 1 - kgen_random_below(random, context / 4 + 1));
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

/* Scores of some hundreds of either sign, of which exp itself overflows or is 0: only differences count. */
static void fill_great(const struct kgen_problem *problem, struct kgen_random *random,
                       struct kgen_arguments *arguments)
{
    const struct shape shape = shape_of(problem);
    const float factor = (float)(150 / sqrt((double)shape.row) / shape.scale);
    float *q = arguments->buffers[Q], *q_rope = arguments->buffers[Q_ROPE];
    fill_random(problem, random, arguments);
    for (int64_t i = 0; i < shape.heads * shape.rank; i++)
        q[i] *= factor;
    for (int64_t i = 0; i < shape.heads * shape.rope; i++)
        q_rope[i] *= factor;
}

/* Makes the row of each position the new one times a factor that grows by slope over the positions. */
static void fill_alike(const struct kgen_problem *problem, struct kgen_random *random,
                       struct kgen_arguments *arguments, float slope)
{
    const struct shape shape = shape_of(problem);
    fill_random(problem, random, arguments);
    const float *k = arguments->buffers[K], *k_rope = arguments->buffers[K_ROPE];
    const int64_t last = arguments->scalars[0];
    for (int64_t j = 0; j < last; j++) {
        float row[RANK_MAX + ROPE_MAX];
        const float factor = 1 + slope * ((float)j / (float)last - 1);
        for (int64_t i = 0; i < shape.row; i++)
            row[i] = factor * (i < shape.rank ? k[i] : k_rope[i - shape.rank]);
        store(&shape, arguments->buffers[CACHE], j, row, row + shape.rank);
    }
}

/* Each block of positions has greater scores than those before it, or smaller ones. */
static void fill_rising(const struct kgen_problem *problem, struct kgen_random *random,
                        struct kgen_arguments *arguments)
{
    fill_alike(problem, random, arguments, 1);
}

/* Keys in which only the rotated part differs from 0, and of that as much for all positions: every position
 * counts as much as any other, so that one too many or too few is seen. */
static void fill_equal(const struct kgen_problem *problem, struct kgen_random *random,
                       struct kgen_arguments *arguments)
{
    const struct shape shape = shape_of(problem);
    float *q = arguments->buffers[Q];
    fill_random(problem, random, arguments);
    for (int64_t i = 0; i < shape.heads * shape.rank; i++)
        q[i] = 0;
    for (int64_t j = 0; j < arguments->scalars[0]; j++) {
        for (int64_t i = 0; i < shape.rope; i++)
            kgen_dtype_store(arguments->buffers[CACHE], shape.cache_dtype, j * shape.row + shape.rank + i,
                             ((const float *)arguments->buffers[K_ROPE])[i]);
    }
}

/* Values up to the greatest that cannot overflow, tiny ones and zeros, for queries that do not see them. */
static void fill_extreme(const struct kgen_problem *problem, struct kgen_random *random,
                         struct kgen_arguments *arguments)
{
    const struct shape shape = shape_of(problem);
    float *q = arguments->buffers[Q], row[RANK_MAX + ROPE_MAX];
    fill_random(problem, random, arguments);
    for (int64_t i = 0; i < shape.heads * shape.rank; i++)
        q[i] = 0;
    for (int64_t j = 0; j < arguments->scalars[0]; j++) {
        kgen_random_fill_extreme(random, row, shape.rank, shape.cache_dtype == KGEN_F16 ? 6e4f : 1e30f);
        kgen_random_fill_normal(random, row + shape.rank, shape.rope);
        store(&shape, arguments->buffers[CACHE], j, row, row + shape.rank);
    }
}

static const struct kgen_generator generators[] = {
    {"random", fill_random, NULL},          {"first position", fill_first, NULL},
    {"last position", fill_last, NULL},     {"great scores", fill_great, NULL},
    {"rising scores", fill_rising, NULL},   {"equal keys", fill_equal, NULL},
    {"extreme values", fill_extreme, NULL},
};

const struct kgen_op kgen_op_mla_decode = {
    .name = "mla_decode",
    .summary = "Attends from one position to all up to it, with keys that hold their values, for all heads.",
    .formula =
        "Multi-head latent attention. _prepare appends k and k_rope to the cache, as the row of position,\n"
        "rounded to the cache's dtype: k first. All heads h share the rows j, from 0 to position:\n"
        "y[h] = sum of w[j] * v[j], where v[j] are the first kv_lora_rank elements of kv_cache[j], with\n"
        "w = softmax(scale * (q[h], q_rope[h]) . kv_cache[j]). Nothing depends on elements beyond position.\n"
        "The range counts pairs: part p of the positions, for part i of the heads, is i * key_parts + p.\n"
        "_finish puts the parts together.\n",
    .fields = fields,
    .field_count = KGEN_COUNT_OF(fields),
    .buffers = buffers,
    .buffer_count = KGEN_COUNT_OF(buffers),
    .scalars = scalars,
    .scalar_count = KGEN_COUNT_OF(scalars),
    .range = "head_parts",
    .range_inner = "key_parts",
    .range_name = "part",
    .fixed_range = true,
    .room = "context",
    .threaded = true,
    .check = check,
    .names = names,
    .operations = operations,
    .reference = reference,
    .generators = generators,
    .generator_count = KGEN_COUNT_OF(generators),
};
