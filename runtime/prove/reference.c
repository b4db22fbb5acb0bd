/* SPDX-License-Identifier: MIT */
/* What each op computes, in double precision, with the bound on the error of a right kernel.
 *
 * A bound is c * u * S + slack, where u = 2^-24 is the relative error of one float rounding, S the sum of the
 * magnitudes of the terms that are added up, and c the number of roundings that a term passes through. The
 * slack is what underflow may cost: a product below the smallest normal number FLT_MIN = 2^-126 is rounded
 * absolutely, not relatively, and a kernel may flush it to zero.
 *
 *   op          S                               c                              besides
 *   qmv         sum_k (|s q_k| + |b|) |x_k|     group + K/group + 16           quantised activations, below
 *   dequantize  |s q| + |b|                     4
 *   rms_norm    |x r w|                         size/8 + 16
 *   rope        |x cos| + |x' sin|              4                              u (|x| + |x'|): the table
 *   swiglu      |y|                             16                             sigmoid off by FLT_MIN
 *   add         |y|                             1, so the nearest float
 */
#include "runtime/prove/reference.h"

#include <float.h>
#include <math.h>

static const double unit = 0x1p-24;

static const float *floats(const struct kgen_arguments *arguments, enum kgen_buffer buffer)
{
    return arguments->buffers[buffer];
}

/* The scale and the constant term of a group: w = scale * q + offset in every mode. */
struct group {
    double scale, offset;
};

static struct group group_read(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                               int64_t index)
{
    double scale = kgen_dtype_value(arguments->buffers[KGEN_BUFFER_SCALES], problem->scales, index);
    if (problem->mode == KGEN_SYMMETRIC)
        return (struct group){scale, -scale * (double)(1 << (problem->bits - 1))};
    double bias = kgen_dtype_value(arguments->buffers[KGEN_BUFFER_BIASES], problem->scales, index);
    return (struct group){scale, problem->mode == KGEN_ZERO_POINT ? -scale * bias : bias};
}

/* How far a quantised activation may be from x. A group is quantised with step = greatest / levels and
 * rounded to nearest, so half a step; its greatest magnitude and zero are met exactly. In a group of almost
 * nothing (below 2^-100) the reciprocal of the step may overflow: there any value of the group's size will
 * do. */
static double activation_error(double x, double greatest, double levels)
{
    if (levels == 0 || x == 0 || (fabs(x) == greatest && greatest >= 0x1p-100))
        return 0;
    if (greatest < 0x1p-100)
        return 2 * greatest;
    return greatest / levels / 2 * (1 + 8 * unit);
}

static double greatest_magnitude(const float *x, int64_t count)
{
    double greatest = 0;
    for (int64_t i = 0; i < count; i++)
        greatest = fmax(greatest, fabs((double)x[i]));
    return greatest;
}

/* y[n] = sum_k w[n][k] x[k].
 *
 * Kernels add up s * (sum q x) + b * (sum x) group by group, so S takes s q and b apart although they may
 * cancel in w. A serial sum within a group makes group roundings, one over the groups K/group, and 16 are
 * left for the products, the scaling, and the split of x into integers; every shorter order is within. */
static void reference_qmv(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                          double *expected, double *bound)
{
    const float *x = floats(arguments, KGEN_BUFFER_X);
    const unsigned char *weights = arguments->buffers[KGEN_BUFFER_WEIGHTS];
    int64_t groups = problem->K / problem->group_size;
    double levels = problem->activations == KGEN_I8 ? 127 : problem->activations == KGEN_I16 ? 32767 : 0;
    double c = (double)(problem->group_size + groups + 16);
    for (int64_t n = 0; n < problem->N; n++) {
        const unsigned char *row = weights + n * kgen_weight_row_bytes(problem);
        double sum = 0, magnitude = 0, quantisation = 0, underflow = 0;
        for (int64_t g = 0; g < groups; g++) {
            struct group group = group_read(problem, arguments, n * groups + g);
            int64_t first = g * problem->group_size;
            double greatest = levels != 0 ? greatest_magnitude(x + first, problem->group_size) : 0;
            for (int64_t k = first; k < first + problem->group_size; k++) {
                double q = kgen_packed_value(row, problem->bits, k);
                double w = group.scale * q + group.offset;
                double size = fabs(group.scale * q) + fabs(group.offset);
                sum += w * (double)x[k];
                magnitude += size * fabs((double)x[k]);
                quantisation += fabs(w) * activation_error((double)x[k], greatest, levels);
                underflow += size + q + 1;
            }
        }
        expected[n] = sum;
        bound[n] = c * unit * magnitude + quantisation + (double)FLT_MIN * underflow;
    }
}

/* y[n][k] = w[n][k]. */
static void reference_dequantize(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                                 double *expected, double *bound)
{
    const unsigned char *weights = arguments->buffers[KGEN_BUFFER_WEIGHTS];
    int64_t groups = problem->K / problem->group_size;
    for (int64_t n = 0; n < problem->N; n++) {
        const unsigned char *row = weights + n * kgen_weight_row_bytes(problem);
        for (int64_t k = 0; k < problem->K; k++) {
            struct group group = group_read(problem, arguments, n * groups + k / problem->group_size);
            double scaled = group.scale * kgen_packed_value(row, problem->bits, k);
            expected[n * problem->K + k] = scaled + group.offset;
            bound[n * problem->K + k] = 4 * unit * (fabs(scaled) + fabs(group.offset)) + 2 * (double)FLT_MIN;
        }
    }
}

/* y = h r w with r = 1 / sqrt(mean(h^2) + eps), where h = x, or x + residual rounded to float, which is then
 * the new residual.
 *
 * A serial sum of size squares, all positive, is off by at most size * u, of which the root leaves half;
 * size/8 is met by a serial sum of anything but equal numbers, and by every sum over lanes. */
static void reference_rms_norm(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                               double *expected, double *bound, double *residual_expected,
                               double *residual_bound)
{
    const float *x = floats(arguments, KGEN_BUFFER_X);
    const float *weight = floats(arguments, KGEN_BUFFER_WEIGHT);
    const float *residual = problem->residual ? floats(arguments, KGEN_BUFFER_RESIDUAL) : NULL;
    double size = (double)problem->size;
    for (int64_t row = 0; row < problem->rows; row++) {
        int64_t first = row * problem->size;
        double squares = 0;
        for (int64_t i = first; i < first + problem->size; i++) {
            double exact = residual != NULL ? (double)x[i] + (double)residual[i] : (double)x[i];
            double h = (double)(float)exact;
            squares += h * h;
            expected[i] = h;
            if (residual != NULL) {
                residual_expected[i] = exact;
                residual_bound[i] = unit * fabs(exact);
            }
        }
        double mean = squares / size + problem->eps;
        double r = 1 / sqrt(mean);
        double relative = (size / 8 + 16) * unit + (double)FLT_MIN / mean;
        for (int64_t i = 0; i < problem->size; i++) {
            double w = (double)weight[i];
            double h = expected[first + i];
            /* 1 + w may be multiplied out. */
            double w_size = problem->weight_plus_one ? 1 + fabs(w) : fabs(w);
            expected[first + i] = h * r * (problem->weight_plus_one ? 1 + w : w);
            bound[first + i] = relative * fabs(h * r) * w_size + (double)FLT_MIN * (w_size + 1);
        }
    }
}

/* Pairs (a, b) turn by position * frequency: (a cos - b sin, b cos + a sin). Other dims are copied, bit by
 * bit. The cosine and sine are rounded to float once, from double: u (|a| + |b|) covers that and the error of
 * a large angle. */
static void reference_rope(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                           double *expected, double *bound)
{
    int64_t half = problem->rotary_dim / 2;
    for (int64_t head = 0; head < problem->heads; head++) {
        const float *x = floats(arguments, KGEN_BUFFER_X) + head * problem->head_dim;
        double *y = expected + head * problem->head_dim;
        double *limit = bound + head * problem->head_dim;
        for (int64_t i = 0; i < problem->head_dim; i++) {
            y[i] = (double)x[i];
            limit[i] = 0;
        }
        for (int64_t i = 0; i < half; i++) {
            int64_t first = problem->pairing == KGEN_INTERLEAVED ? 2 * i : i;
            int64_t second = problem->pairing == KGEN_INTERLEAVED ? 2 * i + 1 : i + half;
            double angle = (double)arguments->position * kgen_rope_frequency(problem, i);
            double cosine = cos(angle), sine = sin(angle);
            double a = (double)x[first], b = (double)x[second];
            double table = unit * (fabs(a) + fabs(b)) + 2 * (double)FLT_MIN;
            y[first] = a * cosine - b * sine;
            y[second] = b * cosine + a * sine;
            limit[first] = 4 * unit * (fabs(a * cosine) + fabs(b * sine)) + table;
            limit[second] = 4 * unit * (fabs(b * cosine) + fabs(a * sine)) + table;
        }
    }
}

/* y = gate * sigmoid(gate) * up. Below gate = -87 the sigmoid is less than FLT_MIN and exp(-gate) about to
 * overflow: a kernel may give 0, or clamp the exponent. */
static void reference_swiglu(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                             double *expected, double *bound)
{
    const float *gate = floats(arguments, KGEN_BUFFER_X), *up = floats(arguments, KGEN_BUFFER_X2);
    for (int64_t i = 0; i < problem->size; i++) {
        double g = (double)gate[i], u = (double)up[i];
        expected[i] = g / (1 + exp(-g)) * u;
        bound[i] = 16 * unit * fabs(expected[i]) + (double)FLT_MIN * (2 * fabs(g * u) + fabs(u) + 1);
    }
}

static void reference_add(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                          double *expected, double *bound)
{
    const float *a = floats(arguments, KGEN_BUFFER_X), *b = floats(arguments, KGEN_BUFFER_X2);
    for (int64_t i = 0; i < problem->size; i++) {
        expected[i] = (double)a[i] + (double)b[i];
        bound[i] = unit * fabs(expected[i]);
    }
}

int kgen_reference(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                   double *expected, double *bound, double *residual_expected, double *residual_bound)
{
    switch (problem->op) {
    case KGEN_OP_QMV:
        reference_qmv(problem, arguments, expected, bound);
        return 0;
    case KGEN_OP_DEQUANTIZE:
        reference_dequantize(problem, arguments, expected, bound);
        return 0;
    case KGEN_OP_RMS_NORM:
        reference_rms_norm(problem, arguments, expected, bound, residual_expected, residual_bound);
        return 0;
    case KGEN_OP_ROPE:
        reference_rope(problem, arguments, expected, bound);
        return 0;
    case KGEN_OP_SWIGLU:
        reference_swiglu(problem, arguments, expected, bound);
        return 0;
    case KGEN_OP_ADD:
        reference_add(problem, arguments, expected, bound);
        return 0;
    case KGEN_OP_COUNT:
        break;
    }
    return -1;
}
