/* SPDX-License-Identifier: MIT */
#include "generic_kernels.h"

#include "gen/ops/dtype.h"
#include "gen/ops/rope.h"

#include <math.h>
#include <string.h>

static struct kgen_problem problem;
/* Fields of the problem, for inner loops. */
static struct {
    int64_t K, activation_dtype, bits, group_size, head_dim, pairing, rotary_dim, scale_dtype, scheme, size,
        weight_plus_one;
    double eps;
} field;
generic_place *generic_misplace;
unsigned generic_flip;
size_t generic_flip_row;
int64_t generic_flip_k;

/* The workspace of qmv: the activations, quantised or not, then a step and a sum for each group. */
static size_t qmv_workspace_bytes(void)
{
    return (size_t)(field.K + 2 * (field.K / field.group_size)) * sizeof(float);
}

void generic_qmv_prepare(const float *x, void *workspace)
{
    int64_t groups = field.K / field.group_size;
    float *values = workspace, *steps = values + field.K, *sums = steps + groups;
    float levels = field.activation_dtype == KGEN_I8    ? 127.0f
                   : field.activation_dtype == KGEN_I24 ? 8193532.0f
                                                        : 32767.0f;
    for (int64_t g = 0; g < groups; g++) {
        float greatest = 0, sum = 0;
        for (int64_t k = g * field.group_size; k < (g + 1) * field.group_size; k++)
            greatest = fmaxf(greatest, fabsf(x[k]));
        float inverse = greatest > 1e-30f ? levels / greatest : 0.0f;
        bool quantised = field.activation_dtype != KGEN_F32;
        for (int64_t k = g * field.group_size; k < (g + 1) * field.group_size; k++) {
            values[k] = quantised ? rintf(x[k] * inverse) : x[k];
            sum += values[k];
        }
        steps[g] = quantised ? greatest / levels : 1.0f;
        sums[g] = sum;
    }
}

static unsigned weight(const unsigned char *row, size_t n, int64_t k)
{
    if (generic_misplace != NULL)
        k = generic_misplace(n, k);
    unsigned q = kgen_packed_value(row, field.bits, k);
    return n == generic_flip_row && k == generic_flip_k ? q ^ generic_flip : q;
}

void generic_qmv(const void *weights, const void *scales, const void *biases, const void *workspace, float *y,
                 size_t row_begin, size_t row_end)
{
    int64_t groups = field.K / field.group_size;
    const float *values = workspace, *steps = values + field.K, *sums = steps + groups;
    for (size_t n = row_begin; n < row_end; n++) {
        const unsigned char *row = (const unsigned char *)weights + n * (size_t)(field.K / 8 * field.bits);
        float result = 0;
        for (int64_t g = 0; g < groups; g++) {
            float sum = 0;
            for (int64_t k = g * field.group_size; k < (g + 1) * field.group_size; k++)
                sum += (float)weight(row, n, k) * values[k];
            int64_t at = (int64_t)n * groups + g;
            float scale = (float)kgen_dtype_value(scales, field.scale_dtype, at);
            float bias = -scale * (float)(1 << (field.bits - 1));
            if (field.scheme != KGEN_SYMMETRIC)
                bias = (float)kgen_dtype_value(biases, field.scale_dtype, at);
            if (field.scheme == KGEN_ZERO_POINT)
                bias *= -scale;
            result += steps[g] * (scale * sum + bias * sums[g]);
        }
        y[n] = result;
    }
}

static void generic_dequantize(const void *weights, const void *scales, const void *biases, float *y,
                               size_t row_begin, size_t row_end)
{
    for (size_t n = row_begin; n < row_end; n++) {
        const unsigned char *row = (const unsigned char *)weights + n * (size_t)(field.K / 8 * field.bits);
        for (int64_t k = 0; k < field.K; k++) {
            int64_t at = (int64_t)n * (field.K / field.group_size) + k / field.group_size;
            float scale = (float)kgen_dtype_value(scales, field.scale_dtype, at);
            float q = (float)weight(row, n, k);
            if (field.scheme == KGEN_SYMMETRIC)
                q -= (float)(1 << (field.bits - 1));
            float bias =
                field.scheme == KGEN_SYMMETRIC ? 0 : (float)kgen_dtype_value(biases, field.scale_dtype, at);
            y[(int64_t)n * field.K + k] =
                field.scheme == KGEN_ZERO_POINT ? scale * (q - bias) : scale * q + bias;
        }
    }
}

static void norm_row(const float *h, const float *w, float *y)
{
    float squares = 0;
    for (int64_t i = 0; i < field.size; i++)
        squares += h[i] * h[i];
    float r = 1.0f / sqrtf(squares / (float)field.size + (float)field.eps);
    for (int64_t i = 0; i < field.size; i++)
        y[i] = h[i] * r * (field.weight_plus_one ? 1.0f + w[i] : w[i]);
}

static void generic_rms_norm(const float *x, const float *w, float *y, size_t row_begin, size_t row_end)
{
    for (size_t row = row_begin; row < row_end; row++)
        norm_row(x + row * (size_t)field.size, w, y + row * (size_t)field.size);
}

static void generic_residual(const float *x, const float *w, float *residual, float *y, size_t row_begin,
                             size_t row_end)
{
    for (size_t row = row_begin; row < row_end; row++) {
        size_t first = row * (size_t)field.size;
        for (size_t i = first; i < first + (size_t)field.size; i++)
            residual[i] += x[i];
        norm_row(residual + first, w, y + first);
    }
}

static void generic_rope_prepare(int64_t position, void *workspace)
{
    float *table = workspace;
    for (int64_t i = 0; i < field.rotary_dim / 2; i++) {
        double angle = (double)position * kgen_rope_frequency(&problem, i);
        double factor = kgen_problem_real(&problem, "attention_factor");
        table[2 * i] = (float)(factor * cos(angle));
        table[2 * i + 1] = (float)(factor * sin(angle));
    }
}

static void generic_rope(const float *x, const void *workspace, float *y, size_t head_begin, size_t head_end)
{
    const float *table = workspace;
    for (size_t head = head_begin; head < head_end; head++) {
        const float *from = x + head * (size_t)field.head_dim;
        float *to = y + head * (size_t)field.head_dim;
        for (int64_t i = 0; i < field.rotary_dim / 2; i++) {
            bool interleaved = field.pairing == KGEN_INTERLEAVED;
            int64_t one = interleaved ? 2 * i : i, two = interleaved ? 2 * i + 1 : i + field.rotary_dim / 2;
            float a = from[one], b = from[two];
            to[one] = a * table[2 * i] - b * table[2 * i + 1];
            to[two] = b * table[2 * i] + a * table[2 * i + 1];
        }
        for (int64_t i = field.rotary_dim; i < field.head_dim; i++)
            to[i] = from[i];
    }
}

static void generic_swiglu(const float *gate, const float *up, float *y, size_t begin, size_t end)
{
    for (size_t i = begin; i < end; i++)
        y[i] = gate[i] / (1.0f + expf(-gate[i])) * up[i];
}

void generic_add(const float *a, const float *b, float *y, size_t begin, size_t end)
{
    for (size_t i = begin; i < end; i++)
        y[i] = a[i] + b[i];
}

/* ---- calls through arrays of pointers ---- */

static void (*run_function)(void);
static void (*prepare_function)(void);

typedef void qmv_run(const void *, const void *, const void *, const void *, float *, size_t, size_t);
typedef void dequantize_run(const void *, const void *, const void *, float *, size_t, size_t);
typedef void two_inputs_run(const float *, const float *, float *, size_t, size_t);
typedef void residual_run(const float *, const float *, float *, float *, size_t, size_t);
typedef void rope_run(const float *, const void *, float *, size_t, size_t);
typedef void qmv_prepare(const float *, void *);
typedef void rope_prepare(int64_t, void *);

/* The pointer of a buffer by its name; NULL where the problem has none. */
static void *at(void *const *buffers, const char *name)
{
    struct kgen_buffers list;
    kgen_problem_buffers(&problem, &list);
    const int index = kgen_buffers_find(&list, name);
    return index >= 0 ? buffers[index] : NULL;
}

static void call_run(void *const *b, const int64_t *scalars, size_t begin, size_t end)
{
    (void)scalars;
    const char *op = problem.op->name;
    float *y = at(b, "y");
    if (strcmp(op, "qmv") == 0)
        ((qmv_run *)run_function)(at(b, "weights"), at(b, "scales"), at(b, "biases"), at(b, "workspace"), y,
                                  begin, end);
    else if (strcmp(op, "dequantize") == 0)
        ((dequantize_run *)run_function)(at(b, "weights"), at(b, "scales"), at(b, "biases"), y, begin, end);
    else if (at(b, "residual") != NULL)
        ((residual_run *)run_function)(at(b, "x"), at(b, "weight"), at(b, "residual"), y, begin, end);
    else if (strcmp(op, "rope") == 0)
        ((rope_run *)run_function)(at(b, "x"), at(b, "workspace"), y, begin, end);
    else
        ((two_inputs_run *)run_function)(b[0], b[1], y, begin, end);
}

static void call_prepare(void *const *b, const int64_t *scalars)
{
    if (strcmp(problem.op->name, "rope") == 0)
        ((rope_prepare *)prepare_function)(scalars[0], at(b, "workspace"));
    else
        ((qmv_prepare *)prepare_function)(at(b, "x"), at(b, "workspace"));
}

void generic_replace(struct kgen_kernel *kernel, void (*run)(void), void (*prepare)(void))
{
    if (run != NULL)
        run_function = run;
    if (prepare != NULL)
        prepare_function = prepare;
    kernel->run = call_run;
    kernel->prepare = prepare_function != NULL ? call_prepare : NULL;
}

struct kgen_kernel generic_kernel(const struct kgen_problem *of)
{
    static const struct {
        const char *op;
        void (*run)(void), (*prepare)(void);
    } functions[] = {
        {"qmv", (void (*)(void))generic_qmv, (void (*)(void))generic_qmv_prepare},
        {"dequantize", (void (*)(void))generic_dequantize, NULL},
        {"rms_norm", (void (*)(void))generic_rms_norm, NULL},
        {"rope", (void (*)(void))generic_rope, (void (*)(void))generic_rope_prepare},
        {"swiglu", (void (*)(void))generic_swiglu, NULL},
        {"add", (void (*)(void))generic_add, NULL},
    };
    problem = *of;
    field.K = kgen_problem_get(of, "K");
    field.activation_dtype = kgen_problem_get(of, "activation_dtype");
    field.bits = kgen_problem_get(of, "bits");
    field.group_size = kgen_problem_get(of, "group_size");
    field.head_dim = kgen_problem_get(of, "head_dim");
    field.pairing = kgen_problem_get(of, "pairing");
    field.rotary_dim = kgen_problem_get(of, "rotary_dim");
    field.scale_dtype = kgen_problem_get(of, "scale_dtype");
    field.scheme = kgen_problem_get(of, "scheme");
    field.size = kgen_problem_get(of, "size");
    field.weight_plus_one = kgen_problem_get(of, "weight_plus_one");
    field.eps = kgen_problem_real(of, "eps");
    generic_misplace = NULL;
    generic_flip = 0;
    run_function = prepare_function = NULL;
    struct kgen_kernel kernel = {.problem = *of};
    for (size_t i = 0; i < KGEN_COUNT_OF(functions); i++) {
        if (strcmp(functions[i].op, of->op->name) == 0)
            generic_replace(&kernel, functions[i].run, functions[i].prepare);
    }
    if (kgen_problem_get(of, "residual") != 0)
        generic_replace(&kernel, (void (*)(void))generic_residual, NULL);
    if (strcmp(of->op->name, "qmv") == 0)
        kernel.workspace_bytes = qmv_workspace_bytes();
    if (strcmp(of->op->name, "rope") == 0)
        kernel.workspace_bytes = (size_t)kgen_problem_get(of, "rotary_dim") * sizeof(float);
    return kernel;
}
