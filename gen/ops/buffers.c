/* SPDX-License-Identifier: MIT */
#include "gen/ops/buffers.h"

#include "gen/ops/dtype.h"
#include "gen/ops/format.h"
#include "gen/ops/layout.h"

#include <string.h>

/* Bytes of any buffer of a problem: well below 2^63. */
#define BYTES_MAX (INT64_C(1) << 62)

/* The dtype that a table names: "f32", or the field that holds it. */
static enum kgen_constant dtype_of(const struct kgen_problem *problem, const char *dtype)
{
    if (dtype == NULL)
        return KGEN_CONSTANT_NONE;
    if (kgen_problem_has(problem, dtype))
        return (enum kgen_constant)kgen_problem_get(problem, dtype);
    return kgen_constant_find(dtype);
}

/* The elements of a shape such as "rows, size". Returns false where they do not fit. */
static bool count_elements(const struct kgen_problem *problem, const char *shape, int64_t *elements)
{
    bool fits = true;
    *elements = 1;
    for (const char *at = shape; at != NULL && fits; at = strchr(at, ',')) {
        int64_t size = 0;
        at += *at == ',';
        fits = kgen_problem_evaluate(at, problem, &size) &&
               !__builtin_mul_overflow(*elements, size, elements) && *elements <= BYTES_MAX / 4;
    }
    return fits;
}

static bool is_present(const struct kgen_problem *problem, const struct kgen_buffer *declared)
{
    int64_t value = 1;
    return declared->when == NULL || (kgen_problem_evaluate(declared->when, problem, &value) && value != 0);
}

static void add_weights(const struct kgen_problem *problem, const struct kgen_buffer *declared,
                        struct kgen_buffers *buffers)
{
    struct kgen_matrix matrix;
    kgen_problem_matrix(problem, NULL, &matrix);
    const bool tiled = kgen_problem_get(problem, "layout") == KGEN_TILES16;
    const bool has_matrices = kgen_problem_has(problem, "experts");
    const size_t rows = (size_t)kgen_layout_rows(problem);
    for (size_t i = 0; i < matrix.format->array_count; i++) {
        const struct kgen_format_array *array = &matrix.format->arrays[i];
        const size_t row_bytes = (size_t)array->row_bytes(&matrix);
        buffers->items[buffers->count++] =
            (struct kgen_problem_buffer){.name = array->name,
                                         .shape = array->shape,
                                         .declared = declared,
                                         .role = KGEN_WEIGHTS,
                                         .bytes = rows * row_bytes,
                                         .range_bytes = has_matrices ? 0 : row_bytes,
                                         .tile_rows = tiled ? KGEN_TILE_ROWS : 1,
                                         .array = (int)i};
    }
}

static void add_plain(const struct kgen_problem *problem, const struct kgen_buffer *declared,
                      struct kgen_buffers *buffers)
{
    struct kgen_problem_buffer *buffer = &buffers->items[buffers->count++];
    *buffer = (struct kgen_problem_buffer){.name = declared->name,
                                           .shape = declared->shape,
                                           .declared = declared,
                                           .role = declared->role,
                                           .dtype = dtype_of(problem, declared->dtype),
                                           .tile_rows = 1,
                                           .array = -1};
    if (declared->shape == NULL)
        return;
    int64_t elements = 0, more_elements = 0;
    const size_t width = kgen_dtype_bytes(buffer->dtype);
    count_elements(problem, declared->shape, &elements);
    buffer->bytes = (size_t)elements * width;
    if (problem->op->range_stride != NULL && declared->role == KGEN_OUTPUT)
        buffer->strided_rows = (size_t)elements / kgen_problem_range_outer(problem);
    if (problem->op->fixed_range) {
        buffer->range_bytes = declared->role == KGEN_OUTPUT && !problem->op->scattered
                                  ? buffer->bytes / kgen_problem_range_outer(problem)
                                  : 0;
        return;
    }
    struct kgen_problem more = *problem;
    kgen_problem_set_range(&more, kgen_problem_range_outer(problem) + 1);
    count_elements(&more, declared->shape, &more_elements);
    buffer->range_bytes = (size_t)(more_elements - elements) * width;
}

void kgen_problem_buffers(const struct kgen_problem *problem, struct kgen_buffers *buffers)
{
    buffers->count = 0;
    for (size_t i = 0; i < problem->op->buffer_count; i++) {
        const struct kgen_buffer *declared = &problem->op->buffers[i];
        if (!is_present(problem, declared))
            continue;
        if (declared->role == KGEN_WEIGHTS && declared->dtype == NULL)
            add_weights(problem, declared, buffers);
        else
            add_plain(problem, declared, buffers);
    }
}

int kgen_buffers_find(const struct kgen_buffers *buffers, const char *name)
{
    for (size_t i = 0; i < buffers->count; i++) {
        if (strcmp(buffers->items[i].name, name) == 0)
            return (int)i;
    }
    return -1;
}

int kgen_buffers_of_role(const struct kgen_buffers *buffers, enum kgen_role role)
{
    for (size_t i = 0; i < buffers->count; i++) {
        if (buffers->items[i].role == role)
            return (int)i;
    }
    return -1;
}

void *kgen_argument(const struct kgen_problem *problem, const struct kgen_arguments *arguments,
                    const char *name)
{
    struct kgen_buffers buffers;
    kgen_problem_buffers(problem, &buffers);
    const int index = kgen_buffers_find(&buffers, name);
    return index >= 0 ? arguments->buffers[index] : NULL;
}

int kgen_scalar_find(const struct kgen_op *op, const char *name)
{
    for (size_t i = 0; i < op->scalar_count; i++) {
        if (strcmp(op->scalars[i].name, name) == 0)
            return (int)i;
    }
    return -1;
}

bool kgen_problem_has_weights(const struct kgen_problem *problem)
{
    for (size_t i = 0; i < problem->op->buffer_count; i++) {
        if (problem->op->buffers[i].role == KGEN_WEIGHTS)
            return true;
    }
    return false;
}

static int fail_size(const struct kgen_problem *problem, const struct kgen_buffer *declared,
                     const struct kgen_check_place *check)
{
    struct kgen_text sizes = {0};
    for (const char *at = declared->shape; at != NULL; at = strchr(at, ',')) {
        int64_t size = 0;
        at += *at == ',' ? 2 : 0;
        kgen_problem_evaluate(at, problem, &size);
        kgen_text_printf(&sizes, "%s%.*s %lld", at == declared->shape ? "" : " times ", (int)strcspn(at, ","),
                         at, (long long)size);
    }
    kgen_check_fail(check, "%s: %s is more than memory can be", problem->op->name,
                    sizes.failed ? "the size" : sizes.data);
    kgen_text_free(&sizes);
    return -1;
}

int kgen_buffers_check(const struct kgen_problem *problem, const struct kgen_check_place *check)
{
    for (size_t i = 0; i < problem->op->buffer_count; i++) {
        const struct kgen_buffer *declared = &problem->op->buffers[i];
        int64_t elements;
        if (declared->shape != NULL && !count_elements(problem, declared->shape, &elements))
            return fail_size(problem, declared, check);
    }
    return 0;
}
