/* SPDX-License-Identifier: MIT */
#include "gen/ops/attention.h"

#include "gen/ops/attention_cache.h"
#include "gen/ops/bound.h"
#include "gen/ops/dtype.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD_DIM_MULTIPLE = 8, TILE = KGEN_ATTENTION_TILE, BLOCK = KGEN_ATTENTION_BLOCK };
enum {
    Q = KGEN_ATTENTION_Q,
    K = KGEN_ATTENTION_K,
    V = KGEN_ATTENTION_V,
    K_CACHE = KGEN_ATTENTION_K_CACHE,
    V_CACHE = KGEN_ATTENTION_V_CACHE,
    SINKS = KGEN_ATTENTION_SINKS
};

const int kgen_attention_cache_dtypes[] = {KGEN_F32, KGEN_F16, KGEN_BF16, KGEN_Q8_0, KGEN_Q4_0, -1};

/* What the fields say, for loops. */
struct shape {
    int64_t heads, kv_heads, head_dim, context, group, row;
    int64_t room; /* positions of the tiles, the last of which may be larger than the context */
    int64_t rows; /* the most that a call may have */
    int64_t cache_dtype;
    int64_t window;       /* at least 1: 0 of the problem is the context */
    int64_t tile_row;     /* elements of a tile for each of a row: positions, or bytes of blocks */
    int64_t page_size;    /* 0: none */
    const int32_t *pages; /* of a call; NULL: none */
    bool sinks;
    double scale, softcap;
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
                          .rows = kgen_problem_has(problem, "M") ? kgen_problem_get(problem, "M") : 1,
                          .cache_dtype = kgen_problem_get(problem, "cache_dtype"),
                          .window = kgen_problem_get(problem, "window"),
                          .sinks = kgen_problem_get(problem, "sinks") != 0,
                          .page_size = kgen_problem_get(problem, "page_size"),
                          .scale = kgen_problem_real(problem, "scale"),
                          .softcap = kgen_problem_real(problem, "softcap")};
    shape.group = shape.heads / shape.kv_heads;
    shape.row = shape.kv_heads * shape.head_dim;
    const int64_t unit = shape.page_size > 0 ? shape.page_size : TILE;
    shape.room = (shape.context + unit - 1) / unit * unit;
    shape.tile_row = shape.cache_dtype == KGEN_Q8_0 ? TILE + 1 : shape.cache_dtype == KGEN_Q4_0 ? 9 : TILE;
    if (!(shape.scale > 0))
        shape.scale = usual_scale(problem);
    if (shape.window == 0)
        shape.window = shape.context;
    return shape;
}

/* The same, of a call. */
static struct shape shape_of_call(const struct kgen_problem *problem, const struct kgen_arguments *arguments)
{
    struct shape shape = shape_of(problem);
    if (shape.page_size > 0)
        shape.pages = arguments->buffers[shape.sinks ? SINKS + 1 : SINKS];
    return shape;
}

int kgen_attention_output(const struct kgen_problem *problem, int first)
{
    return first + (kgen_problem_get(problem, "sinks") != 0) + (kgen_problem_get(problem, "page_size") != 0);
}

/* Where a position lies among those of the caches. */
static int64_t place_of(const struct shape *shape, int64_t position)
{
    return shape->pages != NULL ? (int64_t)shape->pages[position / shape->page_size] * shape->page_size +
                                      position % shape->page_size
                                : position;
}

/* The first position that a query at a position sees. */
static int64_t first_seen(const struct shape *shape, int64_t position)
{
    return position >= shape->window ? position + 1 - shape->window : 0;
}

double kgen_attention_positions(const struct kgen_problem *problem, double rows)
{
    const struct shape shape = shape_of(problem);
    return fmin((double)shape.context - (rows - 1) / 2, (double)shape.window);
}

/* The usual scale is 0, so that equal problems have equal text. */
void kgen_attention_complete(struct kgen_problem *problem)
{
    const double scale = kgen_problem_real(problem, "scale"), usual = usual_scale(problem);
    if (scale >= usual && scale <= usual)
        kgen_problem_set_real(problem, "scale", 0);
}

int kgen_attention_check(const struct kgen_problem *problem, const struct kgen_check_place *place)
{
    const int64_t heads = kgen_problem_get(problem, "heads"),
                  kv_heads = kgen_problem_get(problem, "kv_heads");
    const int64_t head_dim = kgen_problem_get(problem, "head_dim");
    if (heads % kv_heads != 0)
        return kgen_check_fail(place, "%s: heads %lld is not a multiple of kv_heads %lld", problem->op->name,
                               (long long)heads, (long long)kv_heads);
    if (head_dim % HEAD_DIM_MULTIPLE != 0)
        return kgen_check_fail(place, "%s: head_dim %lld is not a multiple of %d", problem->op->name,
                               (long long)head_dim, HEAD_DIM_MULTIPLE);
    const int64_t dtype = kgen_problem_get(problem, "cache_dtype");
    if (kgen_attention_cache_quantised(dtype) && head_dim % BLOCK != 0)
        return kgen_check_fail(place,
                               "%s: head_dim %lld is not a multiple of %d, as the blocks of %s caches need; "
                               "f16, bf16 and f32 caches take it",
                               problem->op->name, (long long)head_dim, BLOCK, kgen_constant_name(dtype));
    const int64_t page_size = kgen_problem_get(problem, "page_size");
    if (page_size % TILE != 0)
        return kgen_check_fail(place, "%s: page_size %lld is not a multiple of %d", problem->op->name,
                               (long long)page_size, TILE);
    return 0;
}

void kgen_attention_names(const struct kgen_problem *problem, const struct kgen_name_receiver *receiver)
{
    const struct shape shape = shape_of(problem);
    receiver->reals(receiver->context, "score_scale", &shape.scale, 1);
    receiver->integer(receiver->context, "group", shape.group);
    receiver->text(receiver->context, "cache_type", kgen_dtype_c_type(shape.cache_dtype));
    receiver->integer(receiver->context, "softcapped", shape.softcap > 0);
    if (shape.softcap > 0)
        receiver->reals(receiver->context, "score_cap", (double[]){shape.softcap, -2 / shape.softcap}, 2);
}

/* The cache of K or V. */
static struct kgen_attention_cache cache_of(const struct shape *shape, int b)
{
    return (struct kgen_attention_cache){shape->kv_heads, shape->head_dim, shape->cache_dtype, b == V};
}

/* Where an element of a position lies among the values of a cache: b is K or V. */
static int64_t cache_index(const struct shape *shape, int b, int64_t position, int64_t kv, int64_t i)
{
    const int64_t head = (position / TILE * shape->kv_heads + kv) * TILE * shape->head_dim;
    const int64_t place = position % TILE;
    return head + (b == K ? i * TILE + place : place * shape->head_dim + i);
}

/* ---- the reference ---- */

/* A query head with its keys and values, which are those of the caches after the call. */
struct head {
    const float *q;
    const double *keys, *values;
    int64_t kv, first, last; /* the positions that it sees */
    double sink;             /* -HUGE_VAL: none */
};

/* Where keys are integers, a kernel may make integers of q, too: of 24 bits, in three slices, of which the
 * greatest of a block of q has about 2^23. They are off by 1.5 at most, so that the score is off by less than
 * 4 u times this. */
static double size_of_slices(const struct shape *shape, const float *q, const double *key)
{
    double size = 0;
    for (int64_t first = 0; kgen_attention_cache_quantised(shape->cache_dtype) && first < shape->head_dim;
         first += BLOCK) {
        double greatest = 0, keys = 0;
        for (int64_t i = first; i < first + BLOCK; i++) {
            greatest = fmax(greatest, fabs((double)q[i]));
            keys += fabs(key[i * TILE]);
        }
        size += greatest * keys;
    }
    return size;
}

/* The bound on the relative error of exp(s - m) where s is off by error. */
static double weight_error(double error, double distance, double positions)
{
    return expm1(error + KGEN_UNIT * (distance + positions + 24));
}

/* The weights of the positions, before they are divided by their sum, and bounds on their relative error.
 * Returns the sum; *sink_error is what the error of the sink's weight adds to it. */
static double weigh(const struct shape *shape, const struct head *head, double *weights, double *errors,
                    double *sink_error)
{
    const double positions = (double)(head->last - head->first) + 1;
    double greatest = head->sink;
    for (int64_t j = head->first; j <= head->last; j++) {
        const double *key = head->keys + cache_index(shape, K, j, head->kv, 0);
        double dot = 0, size = 0;
        for (int64_t i = 0; i < shape->head_dim; i++) {
            const double product = (double)head->q[i] * key[i * TILE];
            dot += product;
            size += fabs(product) + (double)FLT_MIN * (1 + fabs(key[i * TILE]));
        }
        const double slices = size_of_slices(shape, head->q, key);
        weights[j] = shape->scale * dot;
        errors[j] = (((double)shape->head_dim + 24) * size + 4 * slices) * KGEN_UNIT * shape->scale;
        if (shape->softcap > 0) {
            weights[j] = shape->softcap * tanh(weights[j] / shape->softcap);
            errors[j] += 8 * KGEN_UNIT * shape->softcap;
        }
        greatest = fmax(greatest, weights[j]);
    }
    const double sink = exp(head->sink - greatest); /* 0 where there is none */
    *sink_error = sink > 0 ? sink * weight_error(0, greatest - head->sink, positions) : 0;
    double sum = sink;
    for (int64_t j = head->first; j <= head->last; j++) {
        errors[j] = weight_error(errors[j], greatest - weights[j], positions);
        weights[j] = exp(weights[j] - greatest);
        sum += weights[j];
    }
    return sum;
}

/* y = sum w_j v_j with w_j = p_j / sum p, p_j = exp(s_j - m), s_j = scale sum q k_j, m the greatest s_j. Keys
 * and values are those of the caches, rounded to their dtype: that rounding is not an error.
 *
 * s_j is off by c u S_j: S_j is the sum of the magnitudes, and c = head_dim + 24 roundings are met by a
 * serial sum, with the scale applied to q or to the sum. Whatever m a kernel subtracts falls out of w; the
 * difference is rounded once, so that p_j is off by |s_j - m| u. A kernel that meets a greater score block by
 * block, or puts parts of the positions together, multiplies p_j by exp(m - m') each time: the differences
 * add up to no more than |s_j - m|, and each factor adds 6 u, which is less than u for each position where
 * blocks have 8 positions or more, with 24 u for the last of them. So the relative error of p_j is r_j =
 * exp(u (c S_j + |s_j
 * - m| + positions + 24)) - 1.
 *
 * The sums over positions may be serial, with a rounding for each position. The sum of p is off by R = sum
 * w_j r_j and these, so that y is off by sum w_j |v_j| (r_j + R + (2 positions + 8) u), over 1 - R. What
 * lies below the normal numbers may become 0.
 *
 * With a soft cap, s_j becomes cap tanh(s_j / cap), which is no steeper than s_j: its error grows by that of
 * the tangent times the cap. (1 - e) / (1 + e) with e = exp(-2 |t|) is off by 8 u: e by 2 u and by 2 |t| e u
 * twice, where 2 |t| e is less than 0.4, 1 - e and 1 + e and the quotient by a rounding each. A sink is a
 * score without an error of its own and without a value: it only adds to the sum of p. */
static void attend(const struct shape *shape, const struct head *head, double *weights, double *errors,
                   double *y, double *bound)
{
    double mean_error = 0;
    const double sum = weigh(shape, head, weights, errors, &mean_error);
    const double positions = (double)(head->last - head->first) + 1;
    mean_error /= sum;
    for (int64_t j = head->first; j <= head->last; j++) {
        weights[j] /= sum;
        mean_error += weights[j] * errors[j];
    }
    const double shared = mean_error + (2 * positions + 8) * KGEN_UNIT;
    for (int64_t i = 0; i < shape->head_dim; i++) {
        /* Weights times scales underflow before they are multiplied by numbers of 7 bits. */
        double size = 0, slack = positions * (kgen_attention_cache_quantised(shape->cache_dtype) ? 128 : 1);
        y[i] = bound[i] = 0;
        for (int64_t j = head->first; j <= head->last; j++) {
            const double value = head->values[cache_index(shape, V, j, head->kv, i)];
            y[i] += weights[j] * value;
            bound[i] += weights[j] * errors[j] * fabs(value);
            size += weights[j] * fabs(value);
            slack += fabs(value);
        }
        bound[i] = (bound[i] + shared * size) / (1 - fmin(mean_error, 0.5)) + (double)FLT_MIN * slack;
    }
}

/* A cache after the call: the rows from the position on are new, the rest as it was. Sets its values, in the
 * order of caches of floats, and unless it is NULL what is expected of its elements. Returns whether there
 * was memory for it. */
static bool append(const struct shape *shape, const struct kgen_arguments *arguments, int b, int64_t rows,
                   double *values, double *expected)
{
    const struct kgen_attention_cache cache = cache_of(shape, b);
    const float *from = arguments->buffers[b];
    const int64_t elements = shape->room / TILE * shape->row * shape->tile_row;
    const size_t bytes = (size_t)elements * kgen_dtype_bytes(shape->cache_dtype);
    unsigned char *stored = values != NULL ? malloc(bytes) : NULL;
    if (stored == NULL)
        return false;
    memcpy(stored, arguments->buffers[b + K_CACHE - K], bytes);
    for (int64_t i = 0; i < rows * shape->kv_heads; i++)
        kgen_attention_cache_store(&cache, stored,
                                   place_of(shape, arguments->scalars[0] + i / shape->kv_heads),
                                   i % shape->kv_heads, from + i * shape->head_dim);
    for (int64_t i = 0; expected != NULL && i < elements; i++)
        expected[i] = kgen_dtype_value(stored, shape->cache_dtype, i);
    for (int64_t j = first_seen(shape, arguments->scalars[0]); j < arguments->scalars[0] + rows; j++) {
        for (int64_t i = 0; i < shape->row; i++) {
            const int64_t kv = i / shape->head_dim, at = i % shape->head_dim;
            values[cache_index(shape, b, j, kv, at)] =
                kgen_attention_cache_value(&cache, stored, place_of(shape, j), kv, at);
        }
    }
    free(stored);
    return true;
}

/* The rows of a call. */
static int64_t rows_of(const struct kgen_problem *problem, const struct kgen_arguments *arguments)
{
    return kgen_problem_has(problem, "M") ? arguments->scalars[1] : 1;
}

void kgen_attention_reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                              struct kgen_expected *expected, int y)
{
    const struct shape shape = shape_of_call(problem, arguments);
    const int64_t position = arguments->scalars[0], rows = rows_of(problem, arguments);
    const int64_t width = shape.heads * shape.head_dim;
    const float *sinks = shape.sinks ? arguments->buffers[SINKS] : NULL;
    double *weights = calloc(2 * (size_t)(position + rows), sizeof *weights);
    double *errors = weights != NULL ? weights + position + rows : NULL;
    double *caches[2];
    bool ready = weights != NULL;
    for (int b = 0; b < 2; b++) {
        caches[b] = calloc((size_t)(shape.room * shape.row), sizeof *caches[b]);
        ready = append(&shape, arguments, K + b, rows, caches[b], expected->values[K_CACHE + b]) && ready;
    }
    for (int64_t i = 0; ready && i < rows * shape.heads; i++) {
        const int64_t last = position + i / shape.heads;
        const struct head head = {(const float *)arguments->buffers[Q] + i * shape.head_dim,
                                  caches[0],
                                  caches[1],
                                  i % shape.heads / shape.group,
                                  first_seen(&shape, last),
                                  last,
                                  sinks != NULL ? (double)sinks[i % shape.heads] : -HUGE_VAL};
        attend(&shape, &head, weights, errors, expected->values[y] + i * shape.head_dim,
               expected->bounds[y] + i * shape.head_dim);
    }
    for (int64_t i = rows * width; i < shape.rows * width; i++)
        expected->values[y][i] = NAN;
    free(caches[0]);
    free(caches[1]);
    free(weights);
}

/* ---- inputs ---- */

/* Pages in any order. Those that hold no position that a row sees are none of the caches. */
static void fill_pages(const struct shape *shape, struct kgen_random *random, int32_t *pages, int64_t seen,
                       int64_t end)
{
    const int64_t count = shape->room / shape->page_size;
    for (int64_t i = 0; i < count; i++) {
        const int64_t other = kgen_random_below(random, i + 1);
        pages[i] = pages[other];
        pages[other] = (int32_t)i;
    }
    for (int64_t i = 0; i < count; i++) {
        if ((i + 1) * shape->page_size <= seen || i * shape->page_size >= end)
            pages[i] = -1;
    }
}

/* Random numbers; where no position is filled, and where none of the rows sees one, the caches hold NaNs, of
 * which nothing may depend. */
static void fill_at(const struct kgen_problem *problem, struct kgen_random *random,
                    struct kgen_arguments *arguments, int64_t position, int64_t rows)
{
    const struct shape shape = shape_of_call(problem, arguments);
    const int64_t seen = first_seen(&shape, position);
    float *q = arguments->buffers[Q];
    arguments->scalars[0] = position;
    if (shape.page_size > 0)
        fill_pages(&shape, random, arguments->buffers[shape.sinks ? SINKS + 1 : SINKS], seen,
                   position + rows);
    if (kgen_problem_has(problem, "M"))
        arguments->scalars[1] = rows;
    kgen_random_fill_normal(random, q, rows * shape.heads * shape.head_dim);
    for (int64_t i = rows * shape.heads * shape.head_dim; i < shape.rows * shape.heads * shape.head_dim; i++)
        q[i] = NAN;
    for (int b = K; b <= V; b++) {
        float *from = arguments->buffers[b];
        void *elements = arguments->buffers[b + K_CACHE - K];
        const struct kgen_attention_cache cache = cache_of(&shape, b);
        float row[KGEN_ATTENTION_HEAD_DIM_MAX];
        kgen_random_fill_normal(random, from, rows * shape.row);
        kgen_random_fill_normal(random, from + rows * shape.row, (shape.rows - rows) * shape.row);
        for (int64_t i = 0; i < shape.room * shape.kv_heads; i++)
            kgen_attention_cache_spoil(&cache, elements, i / shape.kv_heads, i % shape.kv_heads);
        for (int64_t i = seen * shape.kv_heads; i < position * shape.kv_heads; i++) {
            kgen_random_fill_normal(random, row, shape.head_dim);
            kgen_attention_cache_store(&cache, elements, place_of(&shape, i / shape.kv_heads),
                                       i % shape.kv_heads, row);
        }
    }
    if (shape.sinks)
        kgen_random_fill_normal(random, arguments->buffers[SINKS], shape.heads);
}

/* As many rows as may be, unless the reference would take long. */
static int64_t rows_at(const struct kgen_problem *problem, int64_t position)
{
    const int64_t work_max = 6000000;
    const struct shape shape = shape_of(problem);
    const int64_t room = shape.context - position;
    const int64_t most = shape.rows < room ? shape.rows : room;
    const int64_t cheap = work_max / (shape.heads * shape.head_dim * shape.context) + 1;
    return most < cheap ? most : cheap;
}

/* One of the last quarter of positions, at no particular place in a block of them; of a call with many rows
 * one of the third. */
static int64_t late_position(const struct kgen_problem *problem, struct kgen_random *random)
{
    const int64_t context = kgen_problem_get(problem, "context");
    const int64_t before = kgen_problem_get(problem, "M") > 1 ? context / 4 : 0;
    return context - 1 - before - kgen_random_below(random, context / 4 + 1);
}

/* Fewer rows than may be, so that further ones are seen to be left alone. */
static void fill_random(const struct kgen_problem *problem, struct kgen_random *random,
                        struct kgen_arguments *arguments)
{
    const int64_t position = late_position(problem, random), most = rows_at(problem, position);
    fill_at(problem, random, arguments, position,
            most > 1 ? most - 1 - kgen_random_below(random, (most + 3) / 4) : 1);
}

static void fill_first(const struct kgen_problem *problem, struct kgen_random *random,
                       struct kgen_arguments *arguments)
{
    fill_at(problem, random, arguments, 0, rows_at(problem, 0));
}

static void fill_last(const struct kgen_problem *problem, struct kgen_random *random,
                      struct kgen_arguments *arguments)
{
    fill_at(problem, random, arguments, kgen_problem_get(problem, "context") - 1, 1);
}

/* Scores of some hundreds of either sign, of which exp itself overflows or is 0: only differences count. */
static void fill_great(const struct kgen_problem *problem, struct kgen_random *random,
                       struct kgen_arguments *arguments)
{
    const struct shape shape = shape_of(problem);
    fill_random(problem, random, arguments);
    const float factor = (float)(150 / sqrt((double)shape.head_dim) / shape.scale);
    float *q = arguments->buffers[Q];
    for (int64_t i = 0; i < rows_of(problem, arguments) * shape.heads * shape.head_dim; i++)
        q[i] *= factor;
}

/* Sets the row of a filled position and a head, in the caches or still to be appended. */
static void set(const struct shape *shape, const struct kgen_arguments *arguments, int b, int64_t position,
                int64_t kv, const float *x)
{
    const int64_t first = arguments->scalars[0];
    const struct kgen_attention_cache cache = cache_of(shape, b);
    if (position >= first)
        memcpy((float *)arguments->buffers[b] + (position - first) * shape->row + kv * shape->head_dim, x,
               (size_t)shape->head_dim * sizeof *x);
    else
        kgen_attention_cache_store(&cache, arguments->buffers[b + K_CACHE - K], place_of(shape, position), kv,
                                   x);
}

/* Makes the key of each position the first new one times a factor that grows by `slope` over the positions.
 */
static void fill_alike(const struct kgen_problem *problem, struct kgen_random *random,
                       struct kgen_arguments *arguments, float slope)
{
    const struct shape shape = shape_of_call(problem, arguments);
    fill_random(problem, random, arguments);
    const float *newest = arguments->buffers[K];
    const int64_t last = arguments->scalars[0] + rows_of(problem, arguments) - 1;
    for (int64_t j = last; j >= first_seen(&shape, arguments->scalars[0]); j--) {
        const float factor = 1 + slope * ((float)j / (float)(last + (last == 0)) - 1);
        for (int64_t kv = 0; j != arguments->scalars[0] && kv < shape.kv_heads; kv++) {
            float row[KGEN_ATTENTION_HEAD_DIM_MAX];
            for (int64_t i = 0; i < shape.head_dim; i++)
                row[i] = newest[kv * shape.head_dim + i] * factor;
            set(&shape, arguments, K, j, kv, row);
        }
    }
}

/* Keys that are alike up to a factor, which grows with the position: each block of positions has a greater
 * score than those before it, or a smaller one where the score of the query is negative. */
static void fill_rising(const struct kgen_problem *problem, struct kgen_random *random,
                        struct kgen_arguments *arguments)
{
    fill_alike(problem, random, arguments, 1);
}

/* Every position counts as much as any other, so that one too many or too few is seen. */
static void fill_equal(const struct kgen_problem *problem, struct kgen_random *random,
                       struct kgen_arguments *arguments)
{
    fill_alike(problem, random, arguments, 0);
}

/* Values up to the greatest that cannot overflow, tiny ones and zeros. */
static void fill_extreme(const struct kgen_problem *problem, struct kgen_random *random,
                         struct kgen_arguments *arguments)
{
    const struct shape shape = shape_of_call(problem, arguments);
    const bool half = shape.cache_dtype == KGEN_F16 || kgen_attention_cache_quantised(shape.cache_dtype);
    const float great = half ? 6e4f : 1e30f;
    float row[KGEN_ATTENTION_HEAD_DIM_MAX];
    fill_random(problem, random, arguments);
    const int64_t position = arguments->scalars[0];
    for (int64_t j = first_seen(&shape, position); j < position + rows_of(problem, arguments); j++) {
        for (int64_t kv = 0; kv < shape.kv_heads; kv++) {
            kgen_random_fill_extreme(random, row, shape.head_dim, great);
            set(&shape, arguments, V, j, kv, row);
        }
    }
}

const struct kgen_generator kgen_attention_generators[KGEN_ATTENTION_GENERATORS] = {
    {"random", fill_random, NULL},          {"first position", fill_first, NULL},
    {"last position", fill_last, NULL},     {"great scores", fill_great, NULL},
    {"rising scores", fill_rising, NULL},   {"equal keys", fill_equal, NULL},
    {"extreme values", fill_extreme, NULL},
};
