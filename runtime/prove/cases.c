/* SPDX-License-Identifier: MIT */
#include "runtime/prove/cases.h"

#include "gen/ops/dtype.h"
#include "gen/ops/layout.h"

#include <stdlib.h>
#include <string.h>

/* States have room for so many positions: some blocks of any kernel, and a part of one; less in the quick
 * check of kernels that were proven before. */
enum { PROOF_ROOM = 331, QUICK_ROOM = 40, PROOF_TAIL = 11 };

/* Rows with more floats than this are long: few of them are proven at once. */
#define LONG_ROW_BYTES ((size_t)65536 * sizeof(float))

/* Around the row tiles of kernels, with remainders of each. */
static const size_t row_ranges[] = {1, 2, 3, 5, 7, 8, 9, 16, 17, 33, 0};
static const size_t long_row_ranges[] = {1, 2, 3, 5, 9, 0};
/* Around tiles of 16 rows, and the four of them that kernels take at once. */
static const size_t tile_ranges[] = {1, 3, 8, 15, 16, 17, 33, 70, 0};
static const size_t long_tile_ranges[] = {1, 3, 17, 70, 0};
/* Around the vectors of kernels; the greatest is the problem's own size. */
static const size_t element_ranges[] = {1, 2, 7, 8, 15, 16, 17, 31, 33, 63, 65, 127, 129, 0};
static const size_t quick_ranges[] = {9, 0};

bool kgen_role_is_result(enum kgen_role role)
{
    return role == KGEN_OUTPUT || role == KGEN_UPDATED || role == KGEN_STATE;
}

bool kgen_role_is_input(enum kgen_role role)
{
    return role == KGEN_INPUT || role == KGEN_WEIGHTS || role == KGEN_UPDATED || role == KGEN_STATE;
}

const size_t *kgen_verify_ranges(const struct kgen_verify_cases *cases)
{
    const struct kgen_problem *problem = &cases->problem;
    if (cases->quick)
        return quick_ranges;
    if (problem->op->proof_ranges != NULL)
        return problem->op->proof_ranges;
    if (problem->op->elementwise)
        return element_ranges;
    const bool is_long = (size_t)kgen_problem_get(problem, "K") * sizeof(float) > LONG_ROW_BYTES;
    if (kgen_problem_get(problem, "layout") == KGEN_TILES16)
        return is_long ? long_tile_ranges : tile_ranges;
    return is_long ? long_row_ranges : row_ranges;
}

/* Whether a range of another length has results, or weights, that are not a part of those of the case. */
static bool has_whole_buffers(const struct kgen_problem *problem)
{
    struct kgen_buffers buffers;
    kgen_problem_buffers(problem, &buffers);
    for (size_t i = 0; i < buffers.count; i++) {
        const bool weights = buffers.items[i].array >= 0;
        if ((kgen_role_is_result(buffers.items[i].role) || weights) && buffers.items[i].range_bytes == 0)
            return true;
    }
    return false;
}

static size_t count_ranges(const struct kgen_verify_cases *cases)
{
    if (cases->problem.op->fixed_range)
        return 1;
    const size_t *ranges = kgen_verify_ranges(cases);
    size_t count = 0;
    while (ranges[count] != 0)
        count++;
    return count;
}

/* Fewer units of the range where each takes long: at least least. */
static size_t affordable_rows(const struct kgen_problem *problem, size_t rows, double operations_max,
                              size_t least)
{
    const double each = kgen_problem_operations(problem) / (double)kgen_problem_range_outer(problem);
    while (rows > least && (double)rows * each > operations_max)
        rows--;
    return rows;
}

/* Few rows where they are long: each element of a result takes time. At least two, as the second lies
 * elsewhere.
 */
static size_t quick_rows(const struct kgen_problem *problem, size_t rows)
{
    enum { BYTES_MAX = 32768, OPERATIONS_MAX = 2000000 };
    struct kgen_buffers buffers;
    kgen_problem_buffers(problem, &buffers);
    for (size_t i = 0; i < buffers.count; i++) {
        const size_t bytes = kgen_role_is_result(buffers.items[i].role) ? buffers.items[i].range_bytes : 0;
        if (rows * bytes > BYTES_MAX)
            rows = BYTES_MAX / bytes > 2 ? BYTES_MAX / bytes : 2;
    }
    return problem->op->range_stride != NULL ? affordable_rows(problem, rows, OPERATIONS_MAX, 2) : rows;
}

/* The greatest range of a case. */
static size_t case_range(const struct kgen_verify_cases *cases, size_t index)
{
    if (cases->problem.op->fixed_range)
        return kgen_problem_range_outer(&cases->problem);
    if (cases->whole)
        return kgen_verify_ranges(cases)[count_ranges(cases) - 1 - index % count_ranges(cases)];
    enum { ELEMENTS_MAX = 40000, QUICK_ELEMENTS_MAX = 2000, LATER_ROWS = 9, OPERATIONS_MAX = 100000000 };
    const size_t elements_max = cases->quick ? QUICK_ELEMENTS_MAX : ELEMENTS_MAX;
    const size_t range = kgen_problem_range_outer(&cases->problem);
    if (cases->problem.op->elementwise)
        return range < elements_max ? range : elements_max + 1;
    const size_t *ranges = kgen_verify_ranges(cases);
    if (cases->quick)
        return quick_rows(&cases->problem, *ranges);
    size_t greatest = 0;
    while (*ranges != 0)
        greatest = *ranges++;
    if (index == 0 || greatest <= LATER_ROWS)
        return greatest;
    return cases->problem.op->range_stride != NULL
               ? affordable_rows(&cases->problem, LATER_ROWS, OPERATIONS_MAX, 3)
               : LATER_ROWS;
}

static uint64_t case_seed(const struct kgen_verify_cases *cases, const struct kgen_verify_case *item)
{
    uint64_t hash = kgen_hash(KGEN_HASH_START, &cases->seed, sizeof cases->seed);
    return kgen_hash_string(hash, item->generator->name);
}

static int out_of_memory(struct kgen_error *error)
{
    return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory for the cases of a proof");
}

/* Makes the buffers of the placement at the end, and fills them in the layout of checkpoints. */
static int case_fill(const struct kgen_verify_cases *cases, struct kgen_verify_case *item,
                     const struct kgen_problem *stored, struct kgen_arguments *arguments,
                     struct kgen_error *error)
{
    struct kgen_buffers buffers;
    kgen_problem_buffers(stored, &buffers);
    for (size_t i = 0; i < buffers.count; i++) {
        struct kgen_guard_buffer *at_end = &item->inputs[KGEN_AT_END][i];
        const size_t bytes = buffers.items[i].bytes;
        if (!kgen_role_is_input(buffers.items[i].role) || bytes == 0)
            continue;
        if (kgen_guard_buffer_new(at_end, bytes, error) != 0)
            return -1;
        arguments->buffers[i] = kgen_guard_buffer_place(at_end, KGEN_AT_END, bytes, 1);
    }
    struct kgen_random random = {case_seed(cases, item)};
    item->generator->fill(stored, &random, arguments);
    memcpy(item->scalars, arguments->scalars, sizeof item->scalars);
    return 0;
}

/* Puts an input into one placement, in the layout of the problem. */
static int place_input(struct kgen_guard_buffer *buffer, enum kgen_placement placement,
                       const struct kgen_problem *problem, const struct kgen_problem_buffer *described,
                       const void *stored, struct kgen_error *error)
{
    if (kgen_guard_buffer_new(buffer, described->bytes, error) != 0)
        return -1;
    void *data = kgen_guard_buffer_place(buffer, placement, described->bytes, 1);
    if (described->array >= 0)
        kgen_layout_pack(problem, described->array, stored, data);
    else
        memcpy(data, stored, described->bytes);
    if (kgen_guard_buffer_protect(buffer, true) != 0)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "cannot protect a buffer");
    return 0;
}

/* Puts the buffers, which lie in the placement at the end as checkpoints have them, into the layout that the
 * problem wants, and copies them to the placement at the start, which a quick proof does not use. */
static int case_place(struct kgen_verify_case *item, const struct kgen_problem *problem, bool quick,
                      const struct kgen_arguments *arguments, struct kgen_error *error)
{
    struct kgen_buffers buffers;
    kgen_problem_buffers(problem, &buffers);
    for (size_t i = 0; i < buffers.count; i++) {
        if (arguments->buffers[i] == NULL)
            continue;
        const struct kgen_problem_buffer *buffer = &buffers.items[i];
        struct kgen_guard_buffer *at_end = &item->inputs[KGEN_AT_END][i], packed = {0};
        if (!quick && place_input(&item->inputs[KGEN_AT_START][i], KGEN_AT_START, problem, buffer,
                                  arguments->buffers[i], error) != 0)
            return -1;
        if (buffer->tile_rows == 1) {
            if (kgen_guard_buffer_protect(at_end, true) != 0)
                return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "cannot protect a buffer");
            continue;
        }
        const int status = place_input(&packed, KGEN_AT_END, problem, buffer, arguments->buffers[i], error);
        kgen_guard_buffer_free(at_end);
        *at_end = packed;
        if (status != 0)
            return -1;
    }
    return 0;
}

static int expected_new(struct kgen_expected *expected, const struct kgen_buffers *buffers,
                        struct kgen_error *error)
{
    for (size_t i = 0; i < buffers->count; i++) {
        const struct kgen_problem_buffer *buffer = &buffers->items[i];
        if (!kgen_role_is_result(buffer->role))
            continue;
        const size_t count = buffer->bytes / kgen_dtype_bytes(buffer->dtype);
        expected->values[i] = calloc(count, sizeof(double));
        expected->bounds[i] = calloc(count, sizeof(double));
        if (expected->values[i] == NULL || expected->bounds[i] == NULL)
            return out_of_memory(error);
    }
    return 0;
}

static int case_new(struct kgen_verify_cases *cases, size_t index, const struct kgen_generator *generator,
                    struct kgen_error *error)
{
    struct kgen_verify_case *item = &cases->items[index];
    *item = (struct kgen_verify_case){.generator = generator, .range = case_range(cases, index)};
    cases->count = index + 1;
    struct kgen_problem problem = cases->problem;
    kgen_problem_set_range(&problem, item->range);
    struct kgen_problem stored = problem;
    kgen_problem_set(&stored, "layout", KGEN_STORED);
    struct kgen_buffers buffers;
    kgen_problem_buffers(&stored, &buffers);
    struct kgen_arguments arguments = {0};
    if (expected_new(&item->expected, &buffers, error) != 0 ||
        case_fill(cases, item, &stored, &arguments, error) != 0)
        return -1;
    problem.op->reference(&stored, &arguments, &item->expected);
    if (generator->tighten != NULL)
        generator->tighten(&stored, &item->expected);
    return case_place(item, &problem, cases->quick, &arguments, error);
}

static int results_new(struct kgen_verify_cases *cases, struct kgen_error *error)
{
    struct kgen_problem problem = cases->problem;
    kgen_problem_set_range(&problem, case_range(cases, 0)); /* the greatest of all */
    struct kgen_buffers buffers;
    kgen_problem_buffers(&problem, &buffers);
    for (size_t i = 0; i < buffers.count; i++) {
        if (!kgen_role_is_result(buffers.items[i].role))
            continue;
        const size_t gaps = buffers.items[i].strided_rows * KGEN_STRIDE_GAP;
        const size_t bytes = buffers.items[i].bytes + gaps * kgen_dtype_bytes(buffers.items[i].dtype);
        if (kgen_guard_buffer_new(&cases->results[i], bytes, error) != 0)
            return -1;
        cases->first_results[i] = malloc(bytes);
        if (cases->first_results[i] == NULL)
            return out_of_memory(error);
    }
    return 0;
}

/* Where calls read some of the positions only, there is room for others before them. */
static int64_t room_for(const struct kgen_problem *problem, bool quick)
{
    const int64_t room = quick ? QUICK_ROOM : PROOF_ROOM, read = kgen_problem_room_read(problem);
    return 2 * read + PROOF_TAIL > room && read > 0 ? 2 * read + PROOF_TAIL : room;
}

static struct kgen_verify_cases *cases_new(const struct kgen_problem *problem, bool quick, uint64_t seed,
                                           struct kgen_error *error)
{
    struct kgen_verify_cases *cases = calloc(1, sizeof *cases);
    if (cases == NULL) {
        out_of_memory(error);
        return NULL;
    }
    cases->problem = kgen_problem_for_proof(problem, room_for(problem, quick));
    cases->seed = seed;
    cases->quick = quick;
    cases->whole = problem->op->fixed_range || has_whole_buffers(problem);
    const size_t for_each = cases->whole ? count_ranges(cases) : 1;
    const size_t count = for_each * (quick ? 1 : problem->op->generator_count);
    int status = results_new(cases, error);
    cases->items = calloc(count, sizeof *cases->items);
    if (cases->items == NULL)
        status = out_of_memory(error);
    for (size_t i = 0; status == 0 && i < count; i++)
        status = case_new(cases, i, &problem->op->generators[i / for_each], error);
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
        for (int b = 0; b < KGEN_BUFFERS_MAX; b++) {
            for (int place = 0; place < KGEN_PLACEMENT_COUNT; place++)
                kgen_guard_buffer_free(&item->inputs[place][b]);
            free(item->expected.values[b]);
            free(item->expected.bounds[b]);
        }
    }
    free(cases->items);
    for (int b = 0; b < KGEN_BUFFERS_MAX; b++) {
        kgen_guard_buffer_free(&cases->results[b]);
        free(cases->first_results[b]);
    }
    free(cases);
}
