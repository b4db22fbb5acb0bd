/* SPDX-License-Identifier: MIT */
/* Runs a kernel on the prepared cases and says what it did wrong first. */
#include "runtime/prove/cases.h"

#include "gen/ops/dtype.h"
#include "gen/ops/layout.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One kernel on one case, range and placement. */
struct proof {
    struct kgen_verify_cases *cases;
    const struct kgen_verify_case *item;
    struct kgen_kernel kernel; /* its problem has the range of the proof */
    const struct kgen_verify_options *options;
    struct kgen_verification *result;
    struct kgen_buffers buffers; /* of the kernel's problem, with the bytes of arrays in tiles below */
    struct kgen_guard_buffer workspace, scratch;
    struct kgen_team *team; /* NULL where one thread is asked for */
    enum kgen_placement placement;
    size_t range;
    size_t first;    /* index of the first row: beyond 0, buffers are passed as parts of greater ones */
    size_t case_row; /* of the case; first - case_row is a multiple of 16 where rows lie in tiles */
    void *data[KGEN_BUFFERS_MAX]; /* where the rows of the proof lie */
    struct kgen_arguments arguments;
    unsigned garbage; /* counts runs, so that each finds other garbage in the workspace */
    const char *how;  /* the run at hand, for people */
};

static void describe(const struct proof *p, char *text, size_t size)
{
    snprintf(text, size, "case %s, range %zu-%zu, %s, %s, seed %llu", p->item->generator->name, p->first,
             p->first + p->range, p->placement == KGEN_AT_END ? "at end" : "at start", p->how,
             (unsigned long long)p->cases->seed);
}

/* Says what the proof is about to do, in case it does not come back. */
static void announce(struct proof *p, const char *how)
{
    p->how = how;
    describe(p, p->result->detail, sizeof p->result->detail);
}

static int fail(struct proof *p, enum kgen_verdict verdict, const char *format, ...) KGEN_PRINTF(3, 4);

/* Returns 1: the proof is over. */
static int fail(struct proof *p, enum kgen_verdict verdict, const char *format, ...)
{
    char what[112], where[136];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    describe(p, where, sizeof where);
    p->result->verdict = verdict;
    snprintf(p->result->detail, sizeof p->result->detail, "%s (%s)", what, where);
    return 1;
}

static bool is_result(const struct proof *p, size_t buffer)
{
    return kgen_role_is_result(p->buffers.items[buffer].role);
}

/* Of all threads. */
static size_t scratch_bytes(const struct proof *p)
{
    return (p->options->threads > 1 ? (size_t)p->options->threads : 1) * p->kernel.scratch_bytes;
}

/* The bytes of an input that belong to the proof. */
static void *input(const struct proof *p, size_t buffer)
{
    return kgen_guard_buffer_place(&p->item->inputs[p->placement][buffer], p->placement,
                                   p->buffers.items[buffer].bytes, 1);
}

/* ---- arranging ---- */

/* Rows in tiles are not taken apart: the buffer holds those of the whole case. */
static void arrange_tiles(struct proof *p, size_t buffer)
{
    struct kgen_problem_buffer *described = &p->buffers.items[buffer];
    const size_t rows = (p->item->range + described->tile_rows - 1) / described->tile_rows;
    described->bytes = rows * described->tile_rows * described->range_bytes;
    p->data[buffer] = input(p, buffer);
    p->arguments.buffers[buffer] =
        (void *)((uintptr_t)p->data[buffer] - (p->first - p->case_row) * described->range_bytes);
}

/* Points at row 0 of a buffer whose row `first` is at data; nothing may lie there. */
static void arrange_rows(struct proof *p, size_t buffer, void *data)
{
    p->data[buffer] = data;
    p->arguments.buffers[buffer] =
        (void *)((uintptr_t)data - p->first * p->buffers.items[buffer].range_bytes);
}

static void arrange_memory(struct proof *p, size_t buffer, struct kgen_guard_buffer *memory, size_t bytes,
                           bool read_only)
{
    if (bytes == 0)
        return;
    p->data[buffer] = kgen_guard_buffer_place(memory, p->placement, bytes, KGEN_ALIGNMENT);
    p->arguments.buffers[buffer] = p->data[buffer];
    kgen_guard_buffer_note(memory, p->options->guards, p->buffers.items[buffer].name, read_only);
}

static void arrange_buffer(struct proof *p, size_t buffer)
{
    const struct kgen_problem_buffer *described = &p->buffers.items[buffer];
    struct kgen_guard_buffer *result = &p->cases->results[buffer];
    if (described->role == KGEN_WORKSPACE) {
        arrange_memory(p, buffer, &p->workspace, p->kernel.workspace_bytes, true);
    } else if (described->role == KGEN_SCRATCH) {
        arrange_memory(p, buffer, &p->scratch, scratch_bytes(p), false);
    } else if (is_result(p, buffer)) {
        arrange_rows(p, buffer, kgen_guard_buffer_place(result, p->placement, described->bytes, 1));
        kgen_guard_buffer_note(result, p->options->guards, described->name, false);
    } else {
        if (described->tile_rows > 1)
            arrange_tiles(p, buffer);
        else
            arrange_rows(p, buffer, input(p, buffer));
        kgen_guard_buffer_note(&p->item->inputs[p->placement][buffer], p->options->guards, described->name,
                               true);
    }
}

static void arrange(struct proof *p)
{
    kgen_problem_set_range(&p->kernel.problem, p->range);
    kgen_problem_buffers(&p->kernel.problem, &p->buffers);
    p->arguments = (struct kgen_arguments){0};
    memcpy(p->arguments.scalars, p->item->scalars, sizeof p->arguments.scalars);
    if (p->options->guards != NULL)
        p->options->guards->count = 0;
    for (size_t i = 0; i < p->buffers.count; i++)
        arrange_buffer(p, i);
}

static void put_garbage(struct proof *p, const struct kgen_guard_buffer *memory, void *data, size_t bytes)
{
    static const int garbage[] = {0xff, 0x5a, 0x01};
    if (bytes == 0)
        return;
    kgen_guard_buffer_protect(memory, false);
    kgen_guard_buffer_set_canaries(memory, data, bytes);
    memset(data, garbage[p->garbage % 3], bytes);
}

/* Puts poison and canaries where results will be, what they hold before into updated buffers and states, and
 * garbage into the workspace and scratch. */
static void reset(struct proof *p)
{
    const uint32_t poison = KGEN_POISON;
    for (size_t i = 0; i < p->buffers.count; i++) {
        const struct kgen_problem_buffer *described = &p->buffers.items[i];
        if (is_result(p, i))
            kgen_guard_buffer_set_canaries(&p->cases->results[i], p->data[i], described->bytes);
        if (kgen_role_is_input(described->role) && is_result(p, i))
            memcpy(p->data[i], input(p, i), described->bytes);
        else if (is_result(p, i))
            for (size_t at = 0; at < described->bytes; at += sizeof poison)
                memcpy((unsigned char *)p->data[i] + at, &poison,
                       described->bytes - at < sizeof poison ? described->bytes - at : sizeof poison);
        else if (described->role == KGEN_WORKSPACE)
            put_garbage(p, &p->workspace, p->data[i], p->kernel.workspace_bytes);
        else if (described->role == KGEN_SCRATCH)
            put_garbage(p, &p->scratch, p->data[i], scratch_bytes(p));
    }
    p->garbage++;
}

/* Resets, and prepares the workspace. Where no part writes it any more it is read-only from then on. */
static void prepare(struct proof *p)
{
    reset(p);
    kgen_kernel_prepare(&p->kernel, &p->arguments);
    if (p->workspace.begin != NULL && p->kernel.finish == NULL)
        kgen_guard_buffer_protect(&p->workspace, true);
}

/* ---- checking ---- */

static int check_canary(struct proof *p, size_t buffer, const struct kgen_guard_buffer *memory, size_t bytes)
{
    if (bytes == 0)
        return 0;
    const void *changed = kgen_guard_buffer_changed_canary(memory, p->data[buffer], bytes);
    if (changed == NULL)
        return 0;
    return fail(p, KGEN_WRITE_PAST_END, "wrote outside of %s: at byte %td of its %zu",
                p->buffers.items[buffer].name, (const char *)changed - (const char *)p->data[buffer], bytes);
}

static int check_canaries(struct proof *p)
{
    int failed = 0;
    for (size_t i = 0; i < p->buffers.count && !failed; i++) {
        if (is_result(p, i))
            failed = check_canary(p, i, &p->cases->results[i], p->buffers.items[i].bytes);
        else if (p->buffers.items[i].role == KGEN_WORKSPACE)
            failed = check_canary(p, i, &p->workspace, p->kernel.workspace_bytes);
        else if (p->buffers.items[i].role == KGEN_SCRATCH)
            failed = check_canary(p, i, &p->scratch, scratch_bytes(p));
    }
    return failed;
}

static size_t element_bytes(const struct proof *p, size_t buffer)
{
    return kgen_dtype_bytes(p->buffers.items[buffer].dtype);
}

/* Whether an element still holds the bytes that reset put there. */
static bool is_poison(const struct proof *p, size_t buffer, size_t element)
{
    const uint32_t poison = KGEN_POISON;
    const size_t width = element_bytes(p, buffer), offset = element * width;
    return memcmp((const unsigned char *)p->data[buffer] + offset,
                  (const unsigned char *)&poison + offset % sizeof poison, width) == 0;
}

/* Whether an element for which a NaN is expected is as it was before the call. */
static bool is_kept(const struct proof *p, size_t buffer, size_t element)
{
    if (p->buffers.items[buffer].role == KGEN_OUTPUT)
        return is_poison(p, buffer, element);
    const size_t width = element_bytes(p, buffer);
    return p->buffers.items[buffer].role == KGEN_STATE &&
           memcmp((const unsigned char *)p->data[buffer] + element * width,
                  (const unsigned char *)input(p, buffer) + element * width, width) == 0;
}

/* Holds one result against its expected values. At the end of its buffer the proof has the last rows of the
 * case. */
static int check_result(struct proof *p, size_t buffer)
{
    const struct kgen_problem_buffer *described = &p->buffers.items[buffer];
    const size_t width = element_bytes(p, buffer), count = described->bytes / width;
    const size_t skipped = p->placement == KGEN_AT_END ? p->item->range - p->range : 0;
    const size_t skip = skipped * described->range_bytes / width;
    const double *expected = p->item->expected.values[buffer] + skip;
    const double *bound = p->item->expected.bounds[buffer] + skip;
    for (size_t i = 0; i < count; i++) {
        const double value = kgen_dtype_value(p->data[buffer], described->dtype, (int64_t)i);
        const double error = fabs(value - expected[i]);
        if (error <= bound[i]) { /* false for a NaN */
            if (error > p->result->error_of_bound * bound[i])
                p->result->error_of_bound = error / bound[i];
            continue;
        }
        if (isnan(expected[i]) && is_kept(p, buffer, i))
            continue;
        if (described->role == KGEN_OUTPUT && is_poison(p, buffer, i))
            return fail(p, KGEN_UNWRITTEN_ELEMENT, "%s[%zu] was not written", described->name, i);
        if (bound[i] > 0 && error / bound[i] > p->result->error_of_bound)
            p->result->error_of_bound = error / bound[i];
        return fail(p, KGEN_WRONG_ELEMENT, "%s[%zu] = %.9g, expected %.9g +- %.2g", described->name, i, value,
                    expected[i], bound[i]);
    }
    return 0;
}

static int check_results(struct proof *p)
{
    int failed = 0;
    for (size_t i = 0; i < p->buffers.count && !failed; i++) {
        if (is_result(p, i))
            failed = check_result(p, i);
    }
    return failed;
}

/* Compares the results with those of the first run, bit by bit. */
static int check_same(struct proof *p, enum kgen_verdict kind)
{
    for (size_t i = 0; i < p->buffers.count; i++) {
        const struct kgen_problem_buffer *described = &p->buffers.items[i];
        if (!is_result(p, i) || memcmp(p->data[i], p->cases->first_results[i], described->bytes) == 0)
            continue;
        const size_t width = element_bytes(p, i);
        const unsigned char *now = p->data[i], *first = p->cases->first_results[i];
        size_t at = 0;
        while (memcmp(now + at * width, first + at * width, width) == 0)
            at++;
        return fail(p, kind, "%s[%zu] = %.9g, in the first run %.9g", described->name, at,
                    kgen_dtype_value(now, described->dtype, (int64_t)at),
                    kgen_dtype_value(first, described->dtype, (int64_t)at));
    }
    return check_canaries(p);
}

/* Whether rows [begin, end) of the results are as they were before the run. Results that do not grow with the
 * range belong to finish. */
static int check_untouched(struct proof *p, size_t begin, size_t end)
{
    for (size_t i = 0; i < p->buffers.count; i++) {
        const struct kgen_problem_buffer *described = &p->buffers.items[i];
        if (!is_result(p, i) || described->range_bytes == 0)
            continue;
        const size_t width = element_bytes(p, i);
        const unsigned char *before = described->role == KGEN_UPDATED ? input(p, i) : NULL;
        for (size_t at = begin * described->range_bytes / width; at < end * described->range_bytes / width;
             at++) {
            const bool same = before != NULL ? memcmp((unsigned char *)p->data[i] + at * width,
                                                      before + at * width, width) == 0
                                             : is_poison(p, i, at);
            if (!same)
                return fail(p, KGEN_WRITE_PAST_END, "%s[%zu] is outside of the range and was written",
                            described->name, at);
        }
    }
    return 0;
}

/* ---- runs ---- */

static void run_range(struct proof *p, size_t begin, size_t end)
{
    const size_t inner = kgen_problem_range_inner(&p->kernel.problem);
    kgen_kernel_run(&p->kernel, &p->arguments, (p->first + begin) * inner, (p->first + end) * inner);
}

static void run_whole(struct proof *p)
{
    prepare(p);
    run_range(p, 0, p->range);
    kgen_kernel_finish(&p->kernel, &p->arguments);
}

static int run_first(struct proof *p)
{
    announce(p, "one run");
    run_whole(p);
    if (check_canaries(p) != 0 || check_results(p) != 0)
        return 1;
    for (size_t i = 0; i < p->buffers.count; i++) {
        if (is_result(p, i))
            memcpy(p->cases->first_results[i], p->data[i], p->buffers.items[i].bytes);
    }
    return 0;
}

static int run_again(struct proof *p)
{
    announce(p, "the second run");
    run_whole(p);
    return check_same(p, KGEN_NOT_REPEATABLE);
}

/* The range in three parts, the middle one first, cut at odd places. */
static int run_divided(struct proof *p)
{
    const size_t begin = p->range > 4 ? 3 : 1;
    const size_t end = p->range > 8 ? p->range - 5 : p->range;
    announce(p, "divided");
    prepare(p);
    run_range(p, begin, end);
    if (check_canaries(p) != 0 || check_untouched(p, 0, begin) != 0 || check_untouched(p, end, p->range) != 0)
        return 1;
    run_range(p, begin, begin);
    run_range(p, end, p->range);
    run_range(p, 0, begin);
    kgen_kernel_finish(&p->kernel, &p->arguments);
    return check_same(p, KGEN_THREADS_DIFFER);
}

static void run_part(void *context, size_t part, size_t parts)
{
    const struct proof *p = context;
    struct kgen_arguments own = p->arguments;
    const int scratch = kgen_buffers_of_role(&p->buffers, KGEN_SCRATCH);
    if (scratch >= 0)
        own.buffers[scratch] = (unsigned char *)own.buffers[scratch] + part * p->kernel.scratch_bytes;
    const size_t inner = kgen_problem_range_inner(&p->kernel.problem), range = p->range * inner;
    kgen_kernel_run(&p->kernel, &own, p->first * inner + kgen_range_part(range, part, parts),
                    p->first * inner + kgen_range_part(range, part + 1, parts));
}

static int run_threads(struct proof *p)
{
    announce(p, "several threads");
    prepare(p);
    kgen_team_run(p->team, run_part, p);
    kgen_kernel_finish(&p->kernel, &p->arguments);
    return check_same(p, KGEN_THREADS_DIFFER);
}

/* The output is the same memory as an input that it may be. */
static int run_in_place(struct proof *p, size_t output, size_t source)
{
    char how[64];
    snprintf(how, sizeof how, "%s = %s", p->buffers.items[output].name, p->buffers.items[source].name);
    announce(p, how);
    reset(p);
    memcpy(p->data[output], input(p, source), p->buffers.items[source].bytes);
    const struct kgen_arguments apart = p->arguments;
    p->arguments.buffers[source] = p->arguments.buffers[output];
    kgen_kernel_prepare(&p->kernel, &p->arguments);
    run_range(p, 0, p->range);
    kgen_kernel_finish(&p->kernel, &p->arguments);
    p->arguments = apart;
    const int failed = check_canaries(p) != 0 || check_results(p) != 0;
    p->how = "";
    return failed;
}

static int run_all_in_place(struct proof *p)
{
    int failed = 0;
    for (size_t i = 0; i < p->buffers.count; i++) {
        const char *allowed = p->buffers.items[i].declared->may_alias;
        while (allowed != NULL && *allowed != '\0' && !failed) {
            char name[32];
            const size_t length = strcspn(allowed, " ");
            snprintf(name, sizeof name, "%.*s", (int)length, allowed);
            const int source = kgen_buffers_find(&p->buffers, name);
            if (source >= 0)
                failed = run_in_place(p, i, (size_t)source);
            allowed += length + (allowed[length] == ' ');
        }
    }
    return failed;
}

/* Returns 1 when the kernel failed, with the verdict in p->result. */
static int run_proof(struct proof *p)
{
    const bool greatest = p->range == p->item->range;
    const bool first_case = p->item == p->cases->items || p->cases->whole;
    const bool with_threads = p->team != NULL && first_case && p->first == 0 &&
                              (p->range == 3 || (greatest && p->placement == KGEN_AT_END));
    arrange(p);
    p->result->cases++;
    if (run_first(p) != 0 || run_again(p) != 0)
        return 1;
    if (p->range > 1 && run_divided(p) != 0)
        return 1;
    if (with_threads && run_threads(p) != 0)
        return 1;
    return greatest ? run_all_in_place(p) : 0;
}

static int try_range(struct proof *p, enum kgen_placement placement, size_t range, size_t first)
{
    p->placement = placement;
    p->range = range;
    p->first = first;
    p->case_row = placement == KGEN_AT_END ? p->item->range - range : 0;
    if (kgen_problem_get(&p->cases->problem, "layout") == KGEN_TILES16) {
        const size_t beyond = first > p->case_row ? first - p->case_row : 0;
        p->first = p->case_row + beyond / KGEN_TILE_ROWS * KGEN_TILE_ROWS;
    }
    return run_proof(p);
}

static int try_last_rows(struct proof *p)
{
    size_t problem_range = kgen_problem_range_outer(&p->cases->problem);
    size_t last = problem_range < 5 ? problem_range : 5;
    if (last > p->item->range)
        last = p->item->range;
    return try_range(p, KGEN_AT_END, last, problem_range - last);
}

/* Every range at the end of its pages; the greatest and an odd one at the start as well; and the last rows of
 * the problem itself, without the memory before them, for the sake of their great offsets. */
static int try_first_case(struct proof *p, const size_t *ranges)
{
    size_t odd = p->item->range;
    for (; *ranges != 0 && *ranges <= p->item->range; ranges++) {
        if (try_range(p, KGEN_AT_END, *ranges, 0) != 0)
            return 1;
        if (*ranges % 2 == 1 && *ranges < p->item->range)
            odd = *ranges;
    }
    if (p->item->range > ranges[-1] && try_range(p, KGEN_AT_END, p->item->range, 0) != 0)
        return 1;
    return try_range(p, KGEN_AT_START, p->item->range, 0) != 0 || try_range(p, KGEN_AT_START, odd, 0) != 0 ||
           try_last_rows(p) != 0;
}

static int try_whole(struct proof *p)
{
    return try_range(p, KGEN_AT_END, p->item->range, 0) != 0 ||
           (!p->cases->quick && try_range(p, KGEN_AT_START, p->item->range, 0) != 0);
}

/* Enough to see that a kernel proven before is still the one that was proven. */
static int try_quickly(struct proof *p)
{
    return try_range(p, KGEN_AT_END, p->item->range, 0) != 0 || try_last_rows(p) != 0;
}

/* The memory and threads of a proof. */
static int open_proof(struct proof *p, struct kgen_error *error)
{
    if (p->kernel.workspace_bytes > 0 &&
        kgen_guard_buffer_new(&p->workspace, p->kernel.workspace_bytes + KGEN_ALIGNMENT, error) != 0)
        return -1;
    if (scratch_bytes(p) > 0 &&
        kgen_guard_buffer_new(&p->scratch, scratch_bytes(p) + KGEN_ALIGNMENT, error) != 0)
        return -1;
    if (p->options->threads > 1 && (p->team = kgen_team_new(p->options->threads, error)) == NULL)
        return -1;
    return 0;
}

static void close_proof(struct proof *p)
{
    kgen_team_free(p->team);
    kgen_guard_buffer_free(&p->workspace);
    kgen_guard_buffer_free(&p->scratch);
}

int kgen_verify_with(struct kgen_verify_cases *cases, const struct kgen_kernel *kernel,
                     const struct kgen_verify_options *options, struct kgen_verification *result,
                     struct kgen_error *error)
{
    *result = (struct kgen_verification){.verdict = KGEN_PASSED};
    struct proof p = {.cases = cases, .kernel = *kernel, .options = options, .result = result};
    p.kernel.problem = cases->problem;
    if (open_proof(&p, error) != 0) {
        close_proof(&p);
        return -1;
    }
    int failed = 0;
    for (size_t i = 0; i < cases->count && !failed; i++) {
        p.item = &cases->items[i];
        if (cases->whole)
            failed = try_whole(&p);
        else if (cases->quick)
            failed = try_quickly(&p);
        else if (i == 0)
            failed = try_first_case(&p, kgen_verify_ranges(cases));
        else
            failed = try_whole(&p);
    }
    if (!failed)
        result->detail[0] = '\0';
    if (options->guards != NULL)
        options->guards->count = 0;
    close_proof(&p);
    return 0;
}

int kgen_verify(const struct kgen_kernel *kernel, const struct kgen_verify_options *options,
                struct kgen_verification *result, struct kgen_error *error)
{
    struct kgen_verify_cases *cases = kgen_verify_cases_new(&kernel->problem, options->seed, error);
    if (cases == NULL)
        return -1;
    int status = kgen_verify_with(cases, kernel, options, result, error);
    kgen_verify_cases_free(cases);
    return status;
}
