/* SPDX-License-Identifier: MIT */
#include "plain_kernels.h"

#include "runtime/prove/reference.h"

#include <math.h>
#include <string.h>

static struct kgen_problem problem;
plain_place *plain_misplace;
unsigned plain_flip;
size_t plain_flip_row;
int64_t plain_flip_k;

/* The workspace of qmv: the activations, quantised or not, then a step and a sum for each group. */
static size_t qmv_workspace_bytes(void)
{
    return (size_t)(problem.K + 2 * (problem.K / problem.group_size)) * sizeof(float);
}

void plain_qmv_prepare(const float *x, void *workspace)
{
    int64_t groups = problem.K / problem.group_size;
    float *values = workspace, *steps = values + problem.K, *sums = steps + groups;
    float levels = problem.activations == KGEN_I8 ? 127.0f : 32767.0f;
    for (int64_t g = 0; g < groups; g++) {
        float greatest = 0, sum = 0;
        for (int64_t k = g * problem.group_size; k < (g + 1) * problem.group_size; k++)
            greatest = fmaxf(greatest, fabsf(x[k]));
        float inverse = greatest > 1e-30f ? levels / greatest : 0.0f;
        bool quantised = problem.activations != KGEN_F32;
        for (int64_t k = g * problem.group_size; k < (g + 1) * problem.group_size; k++) {
            values[k] = quantised ? rintf(x[k] * inverse) : x[k];
            sum += values[k];
        }
        steps[g] = quantised ? greatest / levels : 1.0f;
        sums[g] = sum;
    }
}

static unsigned weight(const unsigned char *row, size_t n, int64_t k)
{
    if (plain_misplace != NULL)
        k = plain_misplace(n, k);
    unsigned q = kgen_packed_value(row, problem.bits, k);
    return n == plain_flip_row && k == plain_flip_k ? q ^ plain_flip : q;
}

void plain_qmv(const void *weights, const void *scales, const void *biases, const void *workspace, float *y,
               size_t row_begin, size_t row_end)
{
    int64_t groups = problem.K / problem.group_size;
    const float *values = workspace, *steps = values + problem.K, *sums = steps + groups;
    for (size_t n = row_begin; n < row_end; n++) {
        const unsigned char *row =
            (const unsigned char *)weights + n * (size_t)kgen_weight_row_bytes(&problem);
        float result = 0;
        for (int64_t g = 0; g < groups; g++) {
            float sum = 0;
            for (int64_t k = g * problem.group_size; k < (g + 1) * problem.group_size; k++)
                sum += (float)weight(row, n, k) * values[k];
            int64_t at = (int64_t)n * groups + g;
            float scale = (float)kgen_dtype_value(scales, problem.scales, at);
            float bias = -scale * (float)(1 << (problem.bits - 1));
            if (problem.mode != KGEN_SYMMETRIC)
                bias = (float)kgen_dtype_value(biases, problem.scales, at);
            if (problem.mode == KGEN_ZERO_POINT)
                bias *= -scale;
            result += steps[g] * (scale * sum + bias * sums[g]);
        }
        y[n] = result;
    }
}

static void plain_dequantize(const void *weights, const void *scales, const void *biases, float *y,
                             size_t row_begin, size_t row_end)
{
    for (size_t n = row_begin; n < row_end; n++) {
        const unsigned char *row =
            (const unsigned char *)weights + n * (size_t)kgen_weight_row_bytes(&problem);
        for (int64_t k = 0; k < problem.K; k++) {
            int64_t at = (int64_t)n * (problem.K / problem.group_size) + k / problem.group_size;
            float scale = (float)kgen_dtype_value(scales, problem.scales, at);
            float q = (float)weight(row, n, k);
            if (problem.mode == KGEN_SYMMETRIC)
                q -= (float)(1 << (problem.bits - 1));
            float bias =
                problem.mode == KGEN_SYMMETRIC ? 0 : (float)kgen_dtype_value(biases, problem.scales, at);
            y[(int64_t)n * problem.K + k] =
                problem.mode == KGEN_ZERO_POINT ? scale * (q - bias) : scale * q + bias;
        }
    }
}

static void norm_row(const float *h, const float *w, float *y)
{
    float squares = 0;
    for (int64_t i = 0; i < problem.size; i++)
        squares += h[i] * h[i];
    float r = 1.0f / sqrtf(squares / (float)problem.size + (float)problem.eps);
    for (int64_t i = 0; i < problem.size; i++)
        y[i] = h[i] * r * (problem.weight_plus_one ? 1.0f + w[i] : w[i]);
}

static void plain_rms_norm(const float *x, const float *w, float *y, size_t row_begin, size_t row_end)
{
    for (size_t row = row_begin; row < row_end; row++)
        norm_row(x + row * (size_t)problem.size, w, y + row * (size_t)problem.size);
}

static void plain_residual(const float *x, const float *w, float *residual, float *y, size_t row_begin,
                           size_t row_end)
{
    for (size_t row = row_begin; row < row_end; row++) {
        size_t first = row * (size_t)problem.size;
        for (size_t i = first; i < first + (size_t)problem.size; i++)
            residual[i] += x[i];
        norm_row(residual + first, w, y + first);
    }
}

static void plain_rope_prepare(int64_t position, void *workspace)
{
    float *table = workspace;
    for (int64_t i = 0; i < problem.rotary_dim / 2; i++) {
        double angle = (double)position * kgen_rope_frequency(&problem, i);
        table[2 * i] = (float)cos(angle);
        table[2 * i + 1] = (float)sin(angle);
    }
}

static void plain_rope(const float *x, const void *workspace, float *y, size_t head_begin, size_t head_end)
{
    const float *table = workspace;
    for (size_t head = head_begin; head < head_end; head++) {
        const float *from = x + head * (size_t)problem.head_dim;
        float *to = y + head * (size_t)problem.head_dim;
        for (int64_t i = 0; i < problem.rotary_dim / 2; i++) {
            bool interleaved = problem.pairing == KGEN_INTERLEAVED;
            int64_t one = interleaved ? 2 * i : i, two = interleaved ? 2 * i + 1 : i + problem.rotary_dim / 2;
            float a = from[one], b = from[two];
            to[one] = a * table[2 * i] - b * table[2 * i + 1];
            to[two] = b * table[2 * i] + a * table[2 * i + 1];
        }
        for (int64_t i = problem.rotary_dim; i < problem.head_dim; i++)
            to[i] = from[i];
    }
}

static void plain_swiglu(const float *gate, const float *up, float *y, size_t begin, size_t end)
{
    for (size_t i = begin; i < end; i++)
        y[i] = gate[i] / (1.0f + expf(-gate[i])) * up[i];
}

void plain_add(const float *a, const float *b, float *y, size_t begin, size_t end)
{
    for (size_t i = begin; i < end; i++)
        y[i] = a[i] + b[i];
}

struct kgen_kernel plain_kernel(const struct kgen_problem *of)
{
    problem = *of;
    plain_misplace = NULL;
    plain_flip = 0;
    struct kgen_kernel kernel = {.problem = *of};
    switch (of->op) {
    case KGEN_OP_QMV:
        kernel.run = (void *)plain_qmv;
        kernel.prepare = (void *)plain_qmv_prepare;
        kernel.workspace_bytes = qmv_workspace_bytes();
        break;
    case KGEN_OP_DEQUANTIZE:
        kernel.run = (void *)plain_dequantize;
        break;
    case KGEN_OP_RMS_NORM:
        kernel.run = of->residual ? (void *)plain_residual : (void *)plain_rms_norm;
        break;
    case KGEN_OP_ROPE:
        kernel.run = (void *)plain_rope;
        kernel.prepare = (void *)plain_rope_prepare;
        kernel.workspace_bytes = (size_t)of->rotary_dim * sizeof(float);
        break;
    case KGEN_OP_SWIGLU:
        kernel.run = (void *)plain_swiglu;
        break;
    case KGEN_OP_ADD:
        kernel.run = (void *)plain_add;
        break;
    case KGEN_OP_COUNT:
        break;
    }
    return kernel;
}
