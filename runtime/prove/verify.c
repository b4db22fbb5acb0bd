/* SPDX-License-Identifier: MIT */
/* Runs a kernel on the prepared cases and says what it did wrong first. */
#include "runtime/prove/proof.h"

#include "gen/ops/dtype.h"
#include "gen/ops/layout.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void describe(const struct kgen_proof *p, char *text, size_t size)
{
    snprintf(text, size, "case %s, range %zu-%zu, %s, %s, seed %llu", p->item->generator->name, p->first,
             p->first + p->range, p->placement == KGEN_AT_END ? "at end" : "at start", p->how,
             (unsigned long long)p->cases->seed);
}

/* Says what the proof is about to do, in case it does not come back. */
static void announce(struct kgen_proof *p, const char *how)
{
    p->how = how;
    describe(p, p->result->detail, sizeof p->result->detail);
}

static int fail(struct kgen_proof *p, enum kgen_verdict verdict, const char *format, ...) KGEN_PRINTF(3, 4);

/* Returns 1: the proof is over. */
static int fail(struct kgen_proof *p, enum kgen_verdict verdict, const char *format, ...)
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

/* ---- checking ---- */

static int check_canary(struct kgen_proof *p, size_t buffer, const struct kgen_guard_buffer *memory,
                        size_t bytes)
{
    if (bytes == 0)
        return 0;
    const void *changed = kgen_guard_buffer_changed_canary(memory, p->data[buffer], bytes);
    if (changed == NULL)
        return 0;
    return fail(p, KGEN_WRITE_PAST_END, "wrote outside of %s: at byte %td of its %zu",
                p->buffers.items[buffer].name, (const char *)changed - (const char *)p->data[buffer], bytes);
}

static int check_canaries(struct kgen_proof *p)
{
    int failed = 0;
    for (size_t i = 0; i < p->buffers.count && !failed; i++) {
        if (kgen_proof_is_result(p, i))
            failed = check_canary(p, i, &p->cases->results[i], p->buffers.items[i].bytes);
        else if (p->buffers.items[i].role == KGEN_WORKSPACE)
            failed = check_canary(p, i, &p->workspace, p->kernel.workspace_bytes);
        else if (p->buffers.items[i].role == KGEN_SCRATCH)
            failed = check_canary(p, i, &p->scratch, kgen_proof_scratch_bytes(p));
    }
    return failed;
}

static size_t element_bytes(const struct kgen_proof *p, size_t buffer)
{
    return kgen_dtype_bytes(p->buffers.items[buffer].dtype);
}

/* Whether an element still holds the bytes that reset put there. */
static bool is_poison(const struct kgen_proof *p, size_t buffer, size_t element)
{
    const uint32_t poison = KGEN_POISON;
    const size_t width = element_bytes(p, buffer), offset = element * width;
    return memcmp((const unsigned char *)p->data[buffer] + offset,
                  (const unsigned char *)&poison + offset % sizeof poison, width) == 0;
}

/* Whether an element of a state or an output, for which a NaN is expected, is as it was before the call. */
static bool is_kept(const struct kgen_proof *p, size_t buffer, size_t element)
{
    const size_t width = element_bytes(p, buffer);
    if (p->buffers.items[buffer].role == KGEN_OUTPUT)
        return is_poison(p, buffer, element);
    return p->buffers.items[buffer].role == KGEN_STATE &&
           memcmp((const unsigned char *)p->data[buffer] + element * width,
                  (const unsigned char *)kgen_proof_input(p, buffer) + element * width, width) == 0;
}

/* Where the i-th element of a result lies: they are counted row by row where the range counts columns. */
static size_t element_place(const struct kgen_proof *p, size_t buffer, size_t i)
{
    return p->buffers.items[buffer].strided_rows > 0 ? i / p->range * p->stride + i % p->range : i;
}

/* Where the value lies that is expected of it. At the end of its buffer the proof has the last rows of the
 * case, or the last columns. */
static size_t expected_place(const struct kgen_proof *p, size_t buffer, size_t i)
{
    const struct kgen_problem_buffer *described = &p->buffers.items[buffer];
    const size_t skipped = p->placement == KGEN_AT_END ? p->item->range - p->range : 0;
    return described->strided_rows > 0 ? i / p->range * p->item->range + skipped + i % p->range
                                       : skipped * described->range_bytes / element_bytes(p, buffer) + i;
}

/* Holds the element at a place of a result against its expected value. */
static int check_element(struct kgen_proof *p, size_t buffer, size_t at, double expected, double bound)
{
    const struct kgen_problem_buffer *described = &p->buffers.items[buffer];
    const double value = kgen_dtype_value(p->data[buffer], described->dtype, (int64_t)at);
    const double error = fabs(value - expected);
    if (error <= bound) { /* false for a NaN */
        if (error > p->result->error_of_bound * bound)
            p->result->error_of_bound = error / bound;
        return 0;
    }
    if (isnan(expected) && is_kept(p, buffer, at))
        return 0;
    if (isnan(expected) && described->role == KGEN_OUTPUT)
        return fail(p, KGEN_WRITE_PAST_END, "%s[%zu] does not belong to the call and was written",
                    described->name, at);
    if (described->role == KGEN_OUTPUT && is_poison(p, buffer, at))
        return fail(p, KGEN_UNWRITTEN_ELEMENT, "%s[%zu] was not written", described->name, at);
    if (bound > 0 && error / bound > p->result->error_of_bound)
        p->result->error_of_bound = error / bound;
    return fail(p, KGEN_WRONG_ELEMENT, "%s[%zu] = %.9g, expected %.9g +- %.2g", described->name, at, value,
                expected, bound);
}

static int check_result(struct kgen_proof *p, size_t buffer)
{
    const struct kgen_problem_buffer *described = &p->buffers.items[buffer];
    const size_t rows = described->strided_rows;
    const size_t count = rows > 0 ? rows * p->range : described->bytes / element_bytes(p, buffer);
    for (size_t i = 0; i < count; i++) {
        const size_t expected = expected_place(p, buffer, i);
        if (check_element(p, buffer, element_place(p, buffer, i), p->item->expected.values[buffer][expected],
                          p->item->expected.bounds[buffer][expected]) != 0)
            return 1;
    }
    /* What lies between rows is nobody's. */
    for (size_t i = 0; rows > 0 && i < (rows - 1) * KGEN_STRIDE_GAP; i++) {
        const size_t at = i / KGEN_STRIDE_GAP * p->stride + p->range + i % KGEN_STRIDE_GAP;
        if (!is_poison(p, buffer, at))
            return fail(p, KGEN_WRITE_PAST_END, "%s[%zu] lies between its rows and was written",
                        described->name, at);
    }
    return 0;
}

static int check_results(struct kgen_proof *p)
{
    int failed = 0;
    for (size_t i = 0; i < p->buffers.count && !failed; i++) {
        if (kgen_proof_is_result(p, i))
            failed = check_result(p, i);
    }
    return failed;
}

/* Compares the results with those of the first run, bit by bit. */
static int check_same(struct kgen_proof *p, enum kgen_verdict kind)
{
    for (size_t i = 0; i < p->buffers.count; i++) {
        const struct kgen_problem_buffer *described = &p->buffers.items[i];
        if (!kgen_proof_is_result(p, i) ||
            memcmp(p->data[i], p->cases->first_results[i], described->bytes) == 0)
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

/* Whether an element of a result is as it was before the run. */
static int check_element_untouched(struct kgen_proof *p, size_t buffer, size_t at)
{
    const struct kgen_problem_buffer *described = &p->buffers.items[buffer];
    const size_t width = element_bytes(p, buffer);
    const bool same = described->role == KGEN_UPDATED
                          ? memcmp((unsigned char *)p->data[buffer] + at * width,
                                   (unsigned char *)kgen_proof_input(p, buffer) + at * width, width) == 0
                          : is_poison(p, buffer, at);
    return same ? 0
                : fail(p, KGEN_WRITE_PAST_END, "%s[%zu] is outside of the range and was written",
                       described->name, at);
}

/* Whether rows, or columns, [begin, end) of the results are as they were before the run. Results that do not
 * grow with the range belong to finish. */
static int check_untouched(struct kgen_proof *p, size_t begin, size_t end)
{
    int failed = 0;
    for (size_t i = 0; i < p->buffers.count; i++) {
        const struct kgen_problem_buffer *described = &p->buffers.items[i];
        if (!kgen_proof_is_result(p, i) || described->range_bytes == 0)
            continue;
        const size_t rows = described->strided_rows > 0 ? described->strided_rows : 1;
        const size_t each = rows > 1 ? 1 : described->range_bytes / element_bytes(p, i);
        for (size_t row = 0; row < rows; row++) {
            for (size_t at = begin * each; at < end * each && !failed; at++)
                failed = check_element_untouched(p, i, row * p->stride + at);
        }
    }
    return failed;
}

/* ---- runs ---- */

static void run_range(struct kgen_proof *p, size_t begin, size_t end)
{
    const size_t inner = kgen_problem_range_inner(&p->kernel.problem);
    kgen_kernel_run(&p->kernel, &p->arguments, (p->first + begin) * inner, (p->first + end) * inner);
}

static void run_whole(struct kgen_proof *p)
{
    kgen_proof_prepare(p);
    run_range(p, 0, p->range);
    kgen_kernel_finish(&p->kernel, &p->arguments);
}

static int run_first(struct kgen_proof *p)
{
    announce(p, "one run");
    run_whole(p);
    if (check_canaries(p) != 0 || check_results(p) != 0)
        return 1;
    for (size_t i = 0; i < p->buffers.count; i++) {
        if (kgen_proof_is_result(p, i))
            memcpy(p->cases->first_results[i], p->data[i], p->buffers.items[i].bytes);
    }
    return 0;
}

static int run_again(struct kgen_proof *p)
{
    announce(p, "the second run");
    run_whole(p);
    return check_same(p, KGEN_NOT_REPEATABLE);
}

/* The range in three parts, the middle one first, cut at odd places. */
static int run_divided(struct kgen_proof *p)
{
    const size_t begin = p->range > 4 ? 3 : 1;
    const size_t end = p->range > 8 ? p->range - 5 : p->range;
    announce(p, "divided");
    kgen_proof_prepare(p);
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
    const struct kgen_proof *p = context;
    struct kgen_arguments own = p->arguments;
    const int scratch = kgen_buffers_of_role(&p->buffers, KGEN_SCRATCH);
    if (scratch >= 0)
        own.buffers[scratch] = (unsigned char *)own.buffers[scratch] + part * p->kernel.scratch_bytes;
    const size_t inner = kgen_problem_range_inner(&p->kernel.problem), range = p->range * inner;
    kgen_kernel_run(&p->kernel, &own, p->first * inner + kgen_range_part(range, part, parts),
                    p->first * inner + kgen_range_part(range, part + 1, parts));
}

static int run_threads(struct kgen_proof *p)
{
    announce(p, "several threads");
    kgen_proof_prepare(p);
    kgen_team_run_together(p->team, run_part, p);
    kgen_kernel_finish(&p->kernel, &p->arguments);
    return check_same(p, KGEN_THREADS_DIFFER);
}

/* The output is the same memory as an input that it may be. */
static int run_in_place(struct kgen_proof *p, size_t output, size_t source)
{
    char how[64];
    snprintf(how, sizeof how, "%s = %s", p->buffers.items[output].name, p->buffers.items[source].name);
    announce(p, how);
    kgen_proof_reset(p);
    memcpy(p->data[output], kgen_proof_input(p, source), p->buffers.items[source].bytes);
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

static int run_all_in_place(struct kgen_proof *p)
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
static int run_proof(struct kgen_proof *p)
{
    const bool greatest = p->range == p->item->range;
    const bool first_case = p->item == p->cases->items || p->cases->whole;
    const bool repeats = p->options->part == KGEN_PROVE_REPEATABILITY;
    const bool with_threads = p->team != NULL && first_case && p->first == 0 &&
                              (p->range == 3 || (greatest && (repeats || p->placement == KGEN_AT_END)));
    kgen_proof_arrange(p);
    p->result->cases++;
    if (run_first(p) != 0)
        return 1;
    if (p->options->part != KGEN_PROVE_ALL && !repeats)
        return 0;
    if (run_again(p) != 0)
        return 1;
    if (p->range > 1 && run_divided(p) != 0)
        return 1;
    if (with_threads && run_threads(p) != 0)
        return 1;
    return greatest && !repeats ? run_all_in_place(p) : 0;
}

static int try_range(struct kgen_proof *p, enum kgen_placement placement, size_t range, size_t first)
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

static int try_last_rows(struct kgen_proof *p)
{
    size_t problem_range = kgen_problem_range_outer(&p->cases->problem);
    size_t last = problem_range < 5 ? problem_range : 5;
    if (last > p->item->range)
        last = p->item->range;
    return try_range(p, KGEN_AT_END, last, problem_range - last);
}

/* Every range at the end of its pages; the greatest and an odd one at the start as well; and the last rows of
 * the problem itself, without the memory before them, for the sake of their great offsets. */
static int try_first_case(struct kgen_proof *p, const size_t *ranges)
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

static int try_whole(struct kgen_proof *p)
{
    return try_range(p, KGEN_AT_END, p->item->range, 0) != 0 ||
           (!p->cases->quick && try_range(p, KGEN_AT_START, p->item->range, 0) != 0);
}

/* Enough to see that a kernel proven before is still the one that was proven. */
static int try_quickly(struct kgen_proof *p)
{
    return try_range(p, KGEN_AT_END, p->item->range, 0) != 0 || try_last_rows(p) != 0;
}

/* The runs of one part of a proof, on one case: at the start of their buffers, where what lies behind their
 * end may be read. */
static int try_part(struct kgen_proof *p)
{
    const struct kgen_verify_cases *cases = p->cases;
    const bool first = p->item == cases->items, usual = p->item->generator == cases->items[0].generator;
    const enum kgen_proof_part part = p->options->part;
    if ((part == KGEN_PROVE_SMOKE && !first) || (part == KGEN_PROVE_SHAPES && !usual) ||
        (part == KGEN_PROVE_SPECIAL && usual))
        return 0;
    const size_t *ranges = kgen_verify_ranges(cases);
    for (; part == KGEN_PROVE_SHAPES && !cases->whole && *ranges != 0; ranges++) {
        if (*ranges < p->item->range && try_range(p, KGEN_AT_START, *ranges, 0) != 0)
            return 1;
    }
    return try_range(p, KGEN_AT_START, p->item->range, 0);
}

/* The memory and threads of a proof. */
static int open_proof(struct kgen_proof *p, struct kgen_error *error)
{
    if (p->kernel.workspace_bytes > 0 &&
        kgen_guard_buffer_new(&p->workspace, p->kernel.workspace_bytes + KGEN_ALIGNMENT, error) != 0)
        return -1;
    if (kgen_proof_scratch_bytes(p) > 0 &&
        kgen_guard_buffer_new(&p->scratch, kgen_proof_scratch_bytes(p) + KGEN_ALIGNMENT, error) != 0)
        return -1;
    if (p->options->threads > 1 && (p->team = kgen_team_new(p->options->threads, error)) == NULL)
        return -1;
    return 0;
}

static void close_proof(struct kgen_proof *p)
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
    struct kgen_proof p = {.cases = cases, .kernel = *kernel, .options = options, .result = result};
    p.kernel.problem = cases->problem;
    if (open_proof(&p, error) != 0) {
        close_proof(&p);
        return -1;
    }
    int failed = 0;
    for (size_t i = 0; i < cases->count && !failed; i++) {
        p.item = &cases->items[i];
        if (options->part != KGEN_PROVE_ALL)
            failed = try_part(&p);
        else if (cases->whole)
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
