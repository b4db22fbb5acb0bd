/* SPDX-License-Identifier: MIT */
#include "runtime/prove/cases.h"

#include "runtime/prove/layout.h"
#include "runtime/prove/reference.h"

#include <stdlib.h>
#include <string.h>

/* Around the row tiles of kernels, with remainders of each. */
static const size_t row_ranges[] = {1, 2, 3, 5, 7, 8, 9, 16, 17, 33, 0};
/* Few, where rows are so long that many of them would take too long. */
static const size_t long_row_ranges[] = {1, 2, 3, 5, 9, 0};
/* Around tiles of 16 rows, and the four of them that kernels take at once. */
static const size_t tile_ranges[] = {1, 3, 8, 15, 16, 17, 33, 70, 0};
static const size_t long_tile_ranges[] = {1, 3, 17, 70, 0};
static const size_t head_ranges[] = {1, 2, 3, 5, 8, 0};
static const size_t norm_ranges[] = {1, 2, 3, 7, 0};
/* Around the vectors of kernels; the greatest is the problem's own size. */
static const size_t element_ranges[] = {1, 2, 7, 8, 15, 16, 17, 31, 33, 63, 65, 127, 129, 0};

static const size_t quick_ranges[] = {9, 0};

const size_t *kgen_verify_ranges(const struct kgen_verify_cases *cases)
{
    const struct kgen_problem *problem = &cases->problem;
    if (cases->quick)
        return quick_ranges;
    switch (problem->op) {
    case KGEN_OP_QMV:
    case KGEN_OP_DEQUANTIZE:
        if (problem->layout == KGEN_TILES16)
            return problem->K <= 65536 ? tile_ranges : long_tile_ranges;
        return problem->K <= 65536 ? row_ranges : long_row_ranges;
    case KGEN_OP_RMS_NORM:
        return norm_ranges;
    case KGEN_OP_ROPE:
        return head_ranges;
    default:
        return element_ranges;
    }
}

/* The greatest range of a case. */
static size_t case_range(const struct kgen_verify_cases *cases, size_t index)
{
    enum { ELEMENTS_MAX = 40000, QUICK_ELEMENTS_MAX = 2000, LATER_ROWS = 9 };
    const struct kgen_problem *problem = &cases->problem;
    const size_t elements_max = cases->quick ? QUICK_ELEMENTS_MAX : ELEMENTS_MAX;
    size_t range = kgen_operation_range(problem);
    if (problem->op == KGEN_OP_SWIGLU || problem->op == KGEN_OP_ADD)
        return range < elements_max ? range : elements_max + 1;
    const size_t *ranges = kgen_verify_ranges(cases);
    size_t greatest = 0;
    while (*ranges != 0)
        greatest = *ranges++;
    return index > 0 && greatest > LATER_ROWS ? LATER_ROWS : greatest;
}

static uint64_t case_seed(const struct kgen_verify_cases *cases, const struct kgen_verify_case *item)
{
    uint64_t hash = kgen_hash(KGEN_HASH_START, &cases->seed, sizeof cases->seed);
    return kgen_hash_string(hash, item->fill->name);
}

/* Fills the buffers of the first placement, copies them to the others, and makes them read-only. */
static int case_fill(const struct kgen_verify_cases *cases, struct kgen_verify_case *item,
                     const struct kgen_problem *problem, struct kgen_arguments *arguments,
                     struct kgen_error *error)
{
    size_t sizes[KGEN_BUFFER_COUNT];
    kgen_operation_sizes(problem, sizes);
    sizes[KGEN_BUFFER_Y] = 0;
    for (int place = 0; place < KGEN_PLACEMENT_COUNT; place++)
        for (int i = 0; i < KGEN_BUFFER_COUNT; i++)
            if (sizes[i] > 0 && kgen_guard_buffer_new(&item->inputs[place][i], sizes[i], error) != 0)
                return -1;
    for (int i = 0; i < KGEN_BUFFER_COUNT; i++)
        if (sizes[i] > 0)
            arguments->buffers[i] =
                kgen_guard_buffer_place(&item->inputs[KGEN_AT_END][i], KGEN_AT_END, sizes[i], 1);
    struct kgen_random random = {case_seed(cases, item)};
    item->fill->fill(problem, &random, arguments);
    item->position = arguments->position;
    for (int i = 0; i < KGEN_BUFFER_COUNT; i++) {
        if (sizes[i] == 0)
            continue;
        const struct kgen_guard_buffer *start = &item->inputs[KGEN_AT_START][i];
        memcpy(start->begin, arguments->buffers[i], sizes[i]);
        if (kgen_guard_buffer_protect(start, true) != 0 ||
            kgen_guard_buffer_protect(&item->inputs[KGEN_AT_END][i], true) != 0)
            return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "cannot protect a buffer");
    }
    return 0;
}

static int out_of_memory(struct kgen_error *error)
{
    return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory for the cases of a proof");
}

/* Puts an input of the case into the layout of the problem, in place of what is there. */
static int case_pack(struct kgen_verify_case *item, const struct kgen_problem *problem,
                     enum kgen_buffer buffer, const void *stored, struct kgen_error *error)
{
    size_t sizes[KGEN_BUFFER_COUNT];
    kgen_operation_sizes(problem, sizes);
    /* The stored bytes are read from the placement at the end, which goes last. */
    static const enum kgen_placement places[] = {KGEN_AT_START, KGEN_AT_END};
    for (size_t i = 0; i < KGEN_COUNT_OF(places) && sizes[buffer] > 0; i++) {
        struct kgen_guard_buffer packed;
        if (kgen_guard_buffer_new(&packed, sizes[buffer], error) != 0)
            return -1;
        kgen_layout_pack(problem, buffer, stored,
                         kgen_guard_buffer_place(&packed, places[i], sizes[buffer], 1));
        struct kgen_guard_buffer *input = &item->inputs[places[i]][buffer];
        kgen_guard_buffer_free(input);
        *input = packed;
        if (kgen_guard_buffer_protect(input, true) != 0)
            return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "cannot protect a buffer");
    }
    return 0;
}

static int case_new(struct kgen_verify_cases *cases, size_t index, const struct kgen_fill *fill,
                    struct kgen_error *error)
{
    struct kgen_verify_case *item = &cases->items[index];
    *item = (struct kgen_verify_case){.fill = fill, .range = case_range(cases, index)};
    cases->count = index + 1;
    struct kgen_problem problem = cases->problem;
    kgen_operation_set_range(&problem, item->range);
    const struct kgen_problem packed = problem;
    problem.layout = KGEN_STORED;
    size_t sizes[KGEN_BUFFER_COUNT];
    kgen_operation_sizes(&problem, sizes);
    size_t y_count = sizes[KGEN_BUFFER_Y] / sizeof(float);
    size_t residual_count = sizes[KGEN_BUFFER_RESIDUAL] / sizeof(float);
    item->expected = calloc(y_count, sizeof(double));
    item->bound = calloc(y_count, sizeof(double));
    item->residual_expected = calloc(residual_count + 1, sizeof(double));
    item->residual_bound = calloc(residual_count + 1, sizeof(double));
    if (item->expected == NULL || item->bound == NULL || item->residual_expected == NULL ||
        item->residual_bound == NULL)
        return out_of_memory(error);
    struct kgen_arguments arguments = {0};
    if (case_fill(cases, item, &problem, &arguments, error) != 0)
        return -1;
    kgen_reference(&problem, &arguments, item->expected, item->bound, item->residual_expected,
                   item->residual_bound);
    if (fill->sharpen != NULL)
        fill->sharpen(&problem, item->bound, y_count);
    static const enum kgen_buffer packs[] = {KGEN_BUFFER_WEIGHTS, KGEN_BUFFER_SCALES, KGEN_BUFFER_BIASES};
    for (size_t i = 0; i < KGEN_COUNT_OF(packs) && packed.layout == KGEN_TILES16; i++) {
        if (case_pack(item, &packed, packs[i], arguments.buffers[packs[i]], error) != 0)
            return -1;
    }
    return 0;
}

static int scratch_new(struct kgen_verify_cases *cases, struct kgen_error *error)
{
    struct kgen_problem problem = cases->problem;
    kgen_operation_set_range(&problem, case_range(cases, 0)); /* the greatest of all */
    size_t sizes[KGEN_BUFFER_COUNT];
    kgen_operation_sizes(&problem, sizes);
    if (kgen_guard_buffer_new(&cases->y, sizes[KGEN_BUFFER_Y], error) != 0 ||
        kgen_guard_buffer_new(&cases->residual, sizes[KGEN_BUFFER_RESIDUAL], error) != 0)
        return -1;
    cases->first_y = malloc(sizes[KGEN_BUFFER_Y]);
    cases->first_residual = malloc(sizes[KGEN_BUFFER_RESIDUAL] + 1);
    return cases->first_y == NULL || cases->first_residual == NULL ? out_of_memory(error) : 0;
}

static struct kgen_verify_cases *cases_new(const struct kgen_problem *problem, bool quick, uint64_t seed,
                                           struct kgen_error *error)
{
    struct kgen_verify_cases *cases = calloc(1, sizeof *cases);
    if (cases == NULL) {
        out_of_memory(error);
        return NULL;
    }
    cases->problem = *problem;
    cases->seed = seed;
    cases->quick = quick;
    size_t count;
    const struct kgen_fill *fills = kgen_fills(problem->op, &count);
    if (quick)
        count = 1;
    int status = scratch_new(cases, error);
    cases->items = calloc(count, sizeof *cases->items);
    if (cases->items == NULL)
        status = out_of_memory(error);
    for (size_t i = 0; status == 0 && i < count; i++)
        status = case_new(cases, i, &fills[i], error);
    if (status == 0)
        return cases;
    kgen_verify_cases_free(cases);
    return NULL;
}

struct kgen_verify_cases *kgen_verify_cases_new(const struct kgen_problem *problem, uint64_t seed,
                                                struct kgen_error *error)
{
    return cases_new(problem, false, seed, error);
}

struct kgen_verify_cases *kgen_verify_cases_new_quick(const struct kgen_problem *problem, uint64_t seed,
                                                      struct kgen_error *error)
{
    return cases_new(problem, true, seed, error);
}

void kgen_verify_cases_free(struct kgen_verify_cases *cases)
{
    if (cases == NULL)
        return;
    for (size_t i = 0; i < cases->count; i++) {
        struct kgen_verify_case *item = &cases->items[i];
        for (int place = 0; place < KGEN_PLACEMENT_COUNT; place++)
            for (int b = 0; b < KGEN_BUFFER_COUNT; b++)
                kgen_guard_buffer_free(&item->inputs[place][b]);
        free(item->expected);
        free(item->bound);
        free(item->residual_expected);
        free(item->residual_bound);
    }
    free(cases->items);
    kgen_guard_buffer_free(&cases->y);
    kgen_guard_buffer_free(&cases->residual);
    free(cases->first_y);
    free(cases->first_residual);
    free(cases);
}
