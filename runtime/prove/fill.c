/* SPDX-License-Identifier: MIT */
#include "runtime/prove/fill.h"

#include "runtime/prove/reference.h"

#include <math.h>
#include <string.h>

uint64_t kgen_random_next(struct kgen_random *random)
{
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

int64_t kgen_random_below(struct kgen_random *random, int64_t count)
{
    return (int64_t)(kgen_random_next(random) % (uint64_t)count);
}

float kgen_random_uniform(struct kgen_random *random)
{
    return (float)(kgen_random_next(random) >> 40) * 0x1p-24f;
}

float kgen_random_normal(struct kgen_random *random)
{
    /* The sum of four uniform numbers of 16 bits has variance 1/3. */
    uint64_t bits = kgen_random_next(random);
    int64_t sum = 0;
    for (int shift = 0; shift < 64; shift += 16)
        sum += (int64_t)(bits >> shift & 0xffff);
    return ((float)sum - 131070.0f) * (0x1p-16f * 1.7320508f);
}

static float random_sign(struct kgen_random *random)
{
    return (kgen_random_next(random) & 1) != 0 ? 1.0f : -1.0f;
}

static void fill_normal(float *x, int64_t count, struct kgen_random *random)
{
    for (int64_t i = 0; i < count; i++)
        x[i] = kgen_random_normal(random);
}

/* Normal numbers with, here and there, what floats are feared for: great ones, tiny ones, denormals, zeros.
 */
static void fill_extreme(float *x, int64_t count, float great, struct kgen_random *random)
{
    const float specials[] = {0.0f, -0.0f, 1e-40f, -0x1p-149f, 1.0f / great, -1.0f / great, great, -great};
    for (int64_t i = 0; i < count; i++) {
        x[i] = kgen_random_normal(random);
        int64_t choice = kgen_random_below(random, 3 * (int64_t)KGEN_COUNT_OF(specials));
        if (choice < (int64_t)KGEN_COUNT_OF(specials))
            x[i] = specials[choice];
    }
}

/* --- quantised matrices ------------------------------------------------------------------------------- */

static void put(void *array, int64_t dtype, int64_t i, float value)
{
    if (dtype == KGEN_F32)
        ((float *)array)[i] = value;
    else
        ((uint16_t *)array)[i] = dtype == KGEN_F16 ? kgen_to_f16(value) : kgen_to_bf16(value);
}

static void fill_weights(const struct kgen_problem *problem, struct kgen_random *random, void *weights)
{
    size_t bytes = (size_t)(problem->N * kgen_weight_row_bytes(problem));
    for (size_t i = 0; i < bytes; i += 8) {
        uint64_t bits = kgen_random_next(random);
        memcpy((unsigned char *)weights + i, &bits, bytes - i < 8 ? bytes - i : 8);
    }
}

static int64_t scale_count(const struct kgen_problem *problem)
{
    return problem->N * (problem->K / problem->group_size);
}

/* Scales as models have them, some of them negative, with biases or zeros that put q's middle near 0. */
static void fill_scales(const struct kgen_problem *problem, struct kgen_random *random,
                        const struct kgen_arguments *arguments)
{
    float middle = (float)(1 << (problem->bits - 1));
    for (int64_t i = 0; i < scale_count(problem); i++) {
        float scale = 0.005f + 0.02f * kgen_random_uniform(random);
        if (kgen_random_below(random, 4) == 0)
            scale = -scale;
        put(arguments->buffers[KGEN_BUFFER_SCALES], problem->scales, i, scale);
        if (problem->mode == KGEN_AFFINE)
            put(arguments->buffers[KGEN_BUFFER_BIASES], problem->scales, i,
                -scale * (middle + kgen_random_normal(random)));
        else if (problem->mode == KGEN_ZERO_POINT)
            put(arguments->buffers[KGEN_BUFFER_BIASES], problem->scales, i,
                (float)kgen_random_below(random, 1 << problem->bits));
    }
}

/* Scales of 1 and -1 and integer biases: with x of 1, 0 and -1 every product and sum is an integer. */
static void fill_unit_scales(const struct kgen_problem *problem, struct kgen_random *random,
                             const struct kgen_arguments *arguments)
{
    for (int64_t i = 0; i < scale_count(problem); i++) {
        put(arguments->buffers[KGEN_BUFFER_SCALES], problem->scales, i, random_sign(random));
        if (problem->mode != KGEN_SYMMETRIC) {
            float bias = (float)kgen_random_below(random, 1 << problem->bits);
            put(arguments->buffers[KGEN_BUFFER_BIASES], problem->scales, i,
                problem->mode == KGEN_AFFINE ? -bias : bias);
        }
    }
}

/* Scales that are tiny, great, zero, and f16 denormals. */
static void fill_odd_scales(const struct kgen_problem *problem, struct kgen_random *random,
                            const struct kgen_arguments *arguments)
{
    static const float scales[] = {0x1p-24f, -0x1p-24f, 0x3ffp-24f, 0x1p-14f, 0.0f,
                                   -0.0f,    1.0f,      -1000.0f,   3e-5f};
    for (int64_t i = 0; i < scale_count(problem); i++) {
        float scale = scales[kgen_random_below(random, (int64_t)KGEN_COUNT_OF(scales))];
        put(arguments->buffers[KGEN_BUFFER_SCALES], problem->scales, i, scale);
        if (problem->mode == KGEN_SYMMETRIC)
            continue;
        float bias = scales[kgen_random_below(random, (int64_t)KGEN_COUNT_OF(scales))];
        if (problem->mode == KGEN_ZERO_POINT)
            bias = 0.5f * (float)kgen_random_below(random, 2 << problem->bits);
        put(arguments->buffers[KGEN_BUFFER_BIASES], problem->scales, i, bias);
    }
}

static float *x_of(const struct kgen_problem *problem, const struct kgen_arguments *arguments)
{
    return problem->op == KGEN_OP_QMV ? arguments->buffers[KGEN_BUFFER_X] : NULL;
}

static void quantised_random(const struct kgen_problem *problem, struct kgen_random *random,
                             struct kgen_arguments *arguments)
{
    fill_weights(problem, random, arguments->buffers[KGEN_BUFFER_WEIGHTS]);
    fill_scales(problem, random, arguments);
    if (x_of(problem, arguments) != NULL)
        fill_normal(x_of(problem, arguments), problem->K, random);
}

static void quantised_scales(const struct kgen_problem *problem, struct kgen_random *random,
                             struct kgen_arguments *arguments)
{
    quantised_random(problem, random, arguments);
    fill_odd_scales(problem, random, arguments);
}

/* Every bit of a row 1, or 0, and x in runs of one sign: the greatest sums, which narrow integers overflow.
 */
static void quantised_greatest(const struct kgen_problem *problem, struct kgen_random *random,
                               struct kgen_arguments *arguments)
{
    size_t row_bytes = (size_t)kgen_weight_row_bytes(problem);
    unsigned char *weights = arguments->buffers[KGEN_BUFFER_WEIGHTS];
    for (int64_t n = 0; n < problem->N; n++)
        memset(weights + (size_t)n * row_bytes, n % 3 == 1 ? 0 : 0xff, row_bytes);
    fill_unit_scales(problem, random, arguments);
    float *x = x_of(problem, arguments);
    for (int64_t k = 0; x != NULL && k < problem->K; k++)
        x[k] = (k / 16 + k / problem->group_size) % 2 == 0 ? 1.0f : -1.0f;
}

/* Every weight counts, with either sign, and neighbours with opposite signs: those of even places with the
 * next, or with the one before. */
static void fill_signs(const struct kgen_problem *problem, struct kgen_random *random,
                       const struct kgen_arguments *arguments, int64_t paired_with_one_before)
{
    fill_weights(problem, random, arguments->buffers[KGEN_BUFFER_WEIGHTS]);
    fill_unit_scales(problem, random, arguments);
    float *x = arguments->buffers[KGEN_BUFFER_X];
    for (int64_t k = 0; k < problem->K; k++)
        x[k] = (k + paired_with_one_before) % 2 == 1 && k > 0 ? -x[k - 1] : random_sign(random);
}

static void qmv_signs(const struct kgen_problem *problem, struct kgen_random *random,
                      struct kgen_arguments *arguments)
{
    fill_signs(problem, random, arguments, 0);
}

static void qmv_other_signs(const struct kgen_problem *problem, struct kgen_random *random,
                            struct kgen_arguments *arguments)
{
    fill_signs(problem, random, arguments, 1);
}

/* One weight of each group counts, at another place in each group: a value in the wrong place shows. */
static void qmv_sparse(const struct kgen_problem *problem, struct kgen_random *random,
                       struct kgen_arguments *arguments)
{
    qmv_signs(problem, random, arguments);
    float *x = arguments->buffers[KGEN_BUFFER_X];
    int64_t start = kgen_random_below(random, problem->group_size);
    for (int64_t k = 0; k < problem->K; k++) {
        int64_t place = (start + k / problem->group_size * 37) % problem->group_size;
        if (k % problem->group_size != place)
            x[k] = 0.0f;
    }
}

/* Great and tiny activations. */
static void qmv_extreme(const struct kgen_problem *problem, struct kgen_random *random,
                        struct kgen_arguments *arguments)
{
    quantised_random(problem, random, arguments);
    float *x = arguments->buffers[KGEN_BUFFER_X];
    for (int64_t k = 0; k < problem->K; k += problem->group_size)
        if (k / problem->group_size % 3 != 1)
            fill_extreme(x + k, problem->group_size, k % 3 == 0 ? 1e30f : 100.0f, random);
}

/* Groups of zeros and of denormals, whose quantisation step is nothing. */
static void qmv_zero(const struct kgen_problem *problem, struct kgen_random *random,
                     struct kgen_arguments *arguments)
{
    static const float values[] = {0.0f, 1e-40f, -0.0f};
    quantised_random(problem, random, arguments);
    float *x = arguments->buffers[KGEN_BUFFER_X];
    for (int64_t k = 0; k < problem->K; k++)
        x[k] = values[(size_t)(k / problem->group_size) % KGEN_COUNT_OF(values)];
}

/* Where all terms are integers and their magnitudes add up to less than 2^24, every order of float summation
 * is exact; activations of 1 and -1 are so after quantisation too, up to the factor of each group. One
 * weight's lowest bit is 1, four times this bound. */
static void sharpen_integers(const struct kgen_problem *problem, double *bound, size_t count)
{
    if (problem->K > (INT64_C(1) << 24) / (2 << problem->bits))
        return;
    for (size_t i = 0; i < count; i++)
        bound[i] = fmin(bound[i], 0.25);
}

/* --- the other ops -------------------------------------------------------------------------------------- */

static int64_t element_count(const struct kgen_problem *problem)
{
    size_t sizes[KGEN_BUFFER_COUNT];
    kgen_operation_sizes(problem, sizes);
    return (int64_t)(sizes[KGEN_BUFFER_X] / sizeof(float));
}

static void rms_norm_random(const struct kgen_problem *problem, struct kgen_random *random,
                            struct kgen_arguments *arguments)
{
    fill_normal(arguments->buffers[KGEN_BUFFER_X], element_count(problem), random);
    if (problem->residual)
        fill_normal(arguments->buffers[KGEN_BUFFER_RESIDUAL], element_count(problem), random);
    float *weight = arguments->buffers[KGEN_BUFFER_WEIGHT];
    for (int64_t i = 0; i < problem->size; i++)
        weight[i] = (problem->weight_plus_one ? 0.0f : 1.0f) + 0.3f * kgen_random_normal(random);
}

/* The squares are integers, so their sum is exact and one missing element shows. */
static void rms_norm_integers(const struct kgen_problem *problem, struct kgen_random *random,
                              struct kgen_arguments *arguments)
{
    rms_norm_random(problem, random, arguments);
    float *x = arguments->buffers[KGEN_BUFFER_X];
    float *residual = problem->residual ? arguments->buffers[KGEN_BUFFER_RESIDUAL] : NULL;
    for (int64_t i = 0; i < element_count(problem); i++) {
        float h = random_sign(random) * (float)(1 + kgen_random_below(random, 3));
        x[i] = residual != NULL ? 8.0f * h : h;
        if (residual != NULL)
            residual[i] = -7.0f * h;
    }
}

/* An exact sum leaves the roundings of the mean, the root, the quotient and two products. */
static void sharpen_rms_norm(const struct kgen_problem *problem, double *bound, size_t count)
{
    if (problem->size > (INT64_C(1) << 24) / 9)
        return;
    for (size_t i = 0; i < count; i++)
        bound[i] *= 16 / ((double)problem->size / 8 + 16);
}

static void rms_norm_extreme(const struct kgen_problem *problem, struct kgen_random *random,
                             struct kgen_arguments *arguments)
{
    rms_norm_random(problem, random, arguments);
    for (int64_t row = 0; row < problem->rows; row++) /* great numbers would hide the others of their row */
        fill_extreme((float *)arguments->buffers[KGEN_BUFFER_X] + row * problem->size, problem->size,
                     row % 2 == 0 ? 1e15f : 10.0f, random);
}

static void rms_norm_zero(const struct kgen_problem *problem, struct kgen_random *random,
                          struct kgen_arguments *arguments)
{
    rms_norm_random(problem, random, arguments);
    if (problem->eps < 1e-30) /* 0 / 0 */
        return;
    memset(arguments->buffers[KGEN_BUFFER_X], 0, (size_t)element_count(problem) * sizeof(float));
    if (problem->residual)
        memset(arguments->buffers[KGEN_BUFFER_RESIDUAL], 0, (size_t)element_count(problem) * sizeof(float));
}

static void rope_at(const struct kgen_problem *problem, struct kgen_random *random,
                    struct kgen_arguments *arguments, int64_t position)
{
    fill_normal(arguments->buffers[KGEN_BUFFER_X], element_count(problem), random);
    arguments->position = position;
}

static void rope_far(const struct kgen_problem *problem, struct kgen_random *random,
                     struct kgen_arguments *arguments)
{
    rope_at(problem, random, arguments, 40959);
}

static void rope_middle(const struct kgen_problem *problem, struct kgen_random *random,
                        struct kgen_arguments *arguments)
{
    rope_at(problem, random, arguments, 4095);
}

static void rope_first(const struct kgen_problem *problem, struct kgen_random *random,
                       struct kgen_arguments *arguments)
{
    rope_at(problem, random, arguments, 0);
}

static void rope_extreme(const struct kgen_problem *problem, struct kgen_random *random,
                         struct kgen_arguments *arguments)
{
    fill_extreme(arguments->buffers[KGEN_BUFFER_X], element_count(problem), 1e30f, random);
    arguments->position = 1;
}

static void binary_random(const struct kgen_problem *problem, struct kgen_random *random,
                          struct kgen_arguments *arguments)
{
    fill_normal(arguments->buffers[KGEN_BUFFER_X], problem->size, random);
    fill_normal(arguments->buffers[KGEN_BUFFER_X2], problem->size, random);
}

static void binary_extreme(const struct kgen_problem *problem, struct kgen_random *random,
                           struct kgen_arguments *arguments)
{
    fill_extreme(arguments->buffers[KGEN_BUFFER_X], problem->size, 1e18f, random);
    fill_extreme(arguments->buffers[KGEN_BUFFER_X2], problem->size, 1e18f, random);
}

/* Gates from -110 to 110 evenly, where exp() leaves the floats on either side, and a few far beyond. */
static void swiglu_gates(const struct kgen_problem *problem, struct kgen_random *random,
                         struct kgen_arguments *arguments)
{
    static const float far[] = {-1e4f, 1e4f, -1000.0f, 1000.0f, -88.5f, 88.5f, -0.0f, 1e-40f};
    float *gate = arguments->buffers[KGEN_BUFFER_X];
    for (int64_t i = 0; i < problem->size; i++) {
        gate[i] = 220.0f * kgen_random_uniform(random) - 110.0f;
        if (i % 5 == 2)
            gate[i] = far[i / 5 % (int64_t)KGEN_COUNT_OF(far)];
    }
    fill_normal(arguments->buffers[KGEN_BUFFER_X2], problem->size, random);
}

static const struct kgen_fill qmv_fills[] = {
    {"random", quantised_random, NULL},
    {"signs", qmv_signs, sharpen_integers},
    {"other signs", qmv_other_signs, sharpen_integers},
    {"sparse", qmv_sparse, sharpen_integers},
    {"greatest", quantised_greatest, sharpen_integers},
    {"extreme", qmv_extreme, NULL},
    {"scales", quantised_scales, NULL},
    {"zero", qmv_zero, NULL},
};
static const struct kgen_fill dequantize_fills[] = {
    {"random", quantised_random, NULL},
    {"greatest", quantised_greatest, NULL},
    {"scales", quantised_scales, NULL},
};
static const struct kgen_fill rms_norm_fills[] = {
    {"random", rms_norm_random, NULL},
    {"integers", rms_norm_integers, sharpen_rms_norm},
    {"extreme", rms_norm_extreme, NULL},
    {"zero", rms_norm_zero, NULL},
};
static const struct kgen_fill rope_fills[] = {
    {"position 40959", rope_far, NULL},
    {"position 4095", rope_middle, NULL},
    {"position 1, extreme", rope_extreme, NULL},
    {"position 0", rope_first, NULL},
};
static const struct kgen_fill swiglu_fills[] = {
    {"random", binary_random, NULL},
    {"gates", swiglu_gates, NULL},
    {"extreme", binary_extreme, NULL},
};
static const struct kgen_fill add_fills[] = {
    {"random", binary_random, NULL},
    {"extreme", binary_extreme, NULL},
};

const struct kgen_fill *kgen_fills(enum kgen_op op, size_t *count)
{
#define FILLS(array)                                                                                         \
    {                                                                                                        \
        array, KGEN_COUNT_OF(array)                                                                          \
    }
    static const struct {
        const struct kgen_fill *fills;
        size_t count;
    } of_op[KGEN_OP_COUNT] = {
        [KGEN_OP_QMV] = FILLS(qmv_fills),           [KGEN_OP_DEQUANTIZE] = FILLS(dequantize_fills),
        [KGEN_OP_RMS_NORM] = FILLS(rms_norm_fills), [KGEN_OP_ROPE] = FILLS(rope_fills),
        [KGEN_OP_SWIGLU] = FILLS(swiglu_fills),     [KGEN_OP_ADD] = FILLS(add_fills),
    };
#undef FILLS
    *count = of_op[op].count;
    return of_op[op].fills;
}
