/* SPDX-License-Identifier: MIT */
/* Buffers of each op, and calls of kernels through the signatures of operation.h. */
#include "runtime/jit/kernel.h"

#include <string.h>

typedef size_t workspace_size_function(void);
typedef void qmv_prepare_function(const float *x, void *workspace);
typedef void rope_prepare_function(int64_t position, void *workspace);
typedef void qmv_function(const void *weights, const void *scales, const void *biases, const void *workspace,
                          float *y, size_t row_begin, size_t row_end);
typedef void dequantize_function(const void *weights, const void *scales, const void *biases, float *y,
                                 size_t row_begin, size_t row_end);
typedef void rms_norm_function(const float *x, const float *weight, float *y, size_t row_begin,
                               size_t row_end);
typedef void residual_function(const float *x, const float *weight, float *residual, float *y,
                               size_t row_begin, size_t row_end);
typedef void rope_function(const float *x, const void *workspace, float *y, size_t head_begin,
                           size_t head_end);
typedef void binary_function(const float *a, const float *b, float *y, size_t begin, size_t end);

const char *kgen_buffer_name(enum kgen_buffer buffer)
{
    static const char *const names[KGEN_BUFFER_COUNT] = {
        "weights", "scales", "biases", "x", "x2", "weight", "residual", "y", "workspace",
    };
    return names[buffer];
}

static void quantised_sizes(const struct kgen_problem *problem, size_t sizes[KGEN_BUFFER_COUNT])
{
    const int64_t rows = kgen_packed_rows(problem);
    int64_t groups = rows * (problem->K / problem->group_size);
    size_t scale_bytes = (size_t)(groups * kgen_dtype_bytes(problem->scales));
    sizes[KGEN_BUFFER_WEIGHTS] = (size_t)(rows * kgen_weight_row_bytes(problem));
    sizes[KGEN_BUFFER_SCALES] = scale_bytes;
    sizes[KGEN_BUFFER_BIASES] = problem->mode == KGEN_SYMMETRIC ? 0 : scale_bytes;
}

void kgen_operation_sizes(const struct kgen_problem *problem, size_t sizes[KGEN_BUFFER_COUNT])
{
    memset(sizes, 0, KGEN_BUFFER_COUNT * sizeof sizes[0]);
    size_t elements;
    switch (problem->op) {
    case KGEN_OP_QMV:
        quantised_sizes(problem, sizes);
        sizes[KGEN_BUFFER_X] = (size_t)problem->K * sizeof(float);
        sizes[KGEN_BUFFER_Y] = (size_t)problem->N * sizeof(float);
        break;
    case KGEN_OP_DEQUANTIZE:
        quantised_sizes(problem, sizes);
        sizes[KGEN_BUFFER_Y] = (size_t)problem->N * (size_t)problem->K * sizeof(float);
        break;
    case KGEN_OP_RMS_NORM:
        elements = (size_t)problem->rows * (size_t)problem->size;
        sizes[KGEN_BUFFER_WEIGHT] = (size_t)problem->size * sizeof(float);
        sizes[KGEN_BUFFER_X] = sizes[KGEN_BUFFER_Y] = elements * sizeof(float);
        sizes[KGEN_BUFFER_RESIDUAL] = problem->residual ? elements * sizeof(float) : 0;
        break;
    case KGEN_OP_ROPE:
        elements = (size_t)problem->heads * (size_t)problem->head_dim;
        sizes[KGEN_BUFFER_X] = sizes[KGEN_BUFFER_Y] = elements * sizeof(float);
        break;
    case KGEN_OP_SWIGLU:
    case KGEN_OP_ADD:
        elements = (size_t)problem->size;
        sizes[KGEN_BUFFER_X] = sizes[KGEN_BUFFER_X2] = sizes[KGEN_BUFFER_Y] = elements * sizeof(float);
        break;
    case KGEN_OP_COUNT:
        break;
    }
}

/* The field that the range of the op's kernels runs over. */
static int64_t *range_field(struct kgen_problem *problem)
{
    switch (problem->op) {
    case KGEN_OP_QMV:
    case KGEN_OP_DEQUANTIZE:
        return &problem->N;
    case KGEN_OP_RMS_NORM:
        return &problem->rows;
    case KGEN_OP_ROPE:
        return &problem->heads;
    default:
        return &problem->size;
    }
}

size_t kgen_operation_range(const struct kgen_problem *problem)
{
    struct kgen_problem copy = *problem;
    return (size_t)*range_field(&copy);
}

void kgen_operation_set_range(struct kgen_problem *problem, size_t range)
{
    *range_field(problem) = (int64_t)range;
}

double kgen_operation_bytes(const struct kgen_problem *problem)
{
    size_t sizes[KGEN_BUFFER_COUNT];
    kgen_operation_sizes(problem, sizes);
    double bytes = (double)sizes[KGEN_BUFFER_RESIDUAL]; /* written as well as read */
    for (int i = 0; i < KGEN_BUFFER_COUNT; i++)
        bytes += (double)sizes[i];
    return bytes;
}

static void *find_symbol(const struct kgen_code *code, const char *function, const char *suffix,
                         struct kgen_error *error)
{
    struct kgen_text name = {0};
    kgen_text_printf(&name, "%s%s", function, suffix);
    void *symbol = NULL;
    if (name.failed)
        kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    else if ((symbol = kgen_code_symbol(code, name.data)) == NULL)
        kgen_error_set(error, KGEN_ERROR_COMPILE, NULL, 0, 0, "the compiled code defines no %s", name.data);
    kgen_text_free(&name);
    return symbol;
}

int kgen_kernel_find(const struct kgen_problem *problem, const struct kgen_code *code, const char *function,
                     struct kgen_kernel *kernel, struct kgen_error *error)
{
    *kernel = (struct kgen_kernel){.problem = *problem};
    kernel->run = find_symbol(code, function, "", error);
    if (kernel->run == NULL)
        return -1;
    if (problem->op != KGEN_OP_QMV && problem->op != KGEN_OP_ROPE)
        return 0;
    kernel->prepare = find_symbol(code, function, "_prepare", error);
    if (kernel->prepare == NULL)
        return -1;
    void *size = find_symbol(code, function, "_workspace_size", error);
    if (size == NULL)
        return -1;
    kernel->workspace_bytes = ((workspace_size_function *)size)();
    return 0;
}

void kgen_kernel_prepare(const struct kgen_kernel *kernel, const struct kgen_arguments *arguments)
{
    void *workspace = arguments->buffers[KGEN_BUFFER_WORKSPACE];
    if (kernel->problem.op == KGEN_OP_QMV)
        ((qmv_prepare_function *)kernel->prepare)(arguments->buffers[KGEN_BUFFER_X], workspace);
    else if (kernel->problem.op == KGEN_OP_ROPE)
        ((rope_prepare_function *)kernel->prepare)(arguments->position, workspace);
}

void kgen_kernel_run(const struct kgen_kernel *kernel, const struct kgen_arguments *arguments, size_t begin,
                     size_t end)
{
    void *const *b = arguments->buffers;
    float *y = b[KGEN_BUFFER_Y];
    switch (kernel->problem.op) {
    case KGEN_OP_QMV:
        ((qmv_function *)kernel->run)(b[KGEN_BUFFER_WEIGHTS], b[KGEN_BUFFER_SCALES], b[KGEN_BUFFER_BIASES],
                                      b[KGEN_BUFFER_WORKSPACE], y, begin, end);
        break;
    case KGEN_OP_DEQUANTIZE:
        ((dequantize_function *)kernel->run)(b[KGEN_BUFFER_WEIGHTS], b[KGEN_BUFFER_SCALES],
                                             b[KGEN_BUFFER_BIASES], y, begin, end);
        break;
    case KGEN_OP_RMS_NORM:
        if (kernel->problem.residual)
            ((residual_function *)kernel->run)(b[KGEN_BUFFER_X], b[KGEN_BUFFER_WEIGHT],
                                               b[KGEN_BUFFER_RESIDUAL], y, begin, end);
        else
            ((rms_norm_function *)kernel->run)(b[KGEN_BUFFER_X], b[KGEN_BUFFER_WEIGHT], y, begin, end);
        break;
    case KGEN_OP_ROPE:
        ((rope_function *)kernel->run)(b[KGEN_BUFFER_X], b[KGEN_BUFFER_WORKSPACE], y, begin, end);
        break;
    case KGEN_OP_SWIGLU:
    case KGEN_OP_ADD:
        ((binary_function *)kernel->run)(b[KGEN_BUFFER_X], b[KGEN_BUFFER_X2], y, begin, end);
        break;
    case KGEN_OP_COUNT:
        break;
    }
}

size_t kgen_operation_part(size_t range, size_t part, size_t parts)
{
    if (part == parts)
        return range;
    size_t begin = range / parts * part + range % parts * part / parts;
    return range >= 64 * parts ? begin / 16 * 16 : begin;
}

struct call {
    const struct kgen_kernel *kernel;
    const struct kgen_arguments *arguments;
};

static void run_part(void *context, size_t part, size_t parts)
{
    const struct call *call = context;
    const size_t range = kgen_operation_range(&call->kernel->problem);
    kgen_kernel_run(call->kernel, call->arguments, kgen_operation_part(range, part, parts),
                    kgen_operation_part(range, part + 1, parts));
}

void kgen_kernel_run_divided(const struct kgen_kernel *kernel, const struct kgen_arguments *arguments,
                             struct kgen_team *team)
{
    struct call call = {kernel, arguments};
    kgen_team_run(team, run_part, &call);
}

void kgen_kernel_run_team(const struct kgen_kernel *kernel, const struct kgen_arguments *arguments,
                          struct kgen_team *team)
{
    kgen_kernel_prepare(kernel, arguments);
    kgen_kernel_run_divided(kernel, arguments, team);
}
