/* SPDX-License-Identifier: MIT */
/* Runs a kernel on the prepared cases and says what it did wrong first. */
#include "runtime/prove/cases.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* One kernel on one case, range and placement. */
struct trial {
    struct kgen_verify_cases *cases;
    const struct kgen_verify_case *item;
    struct kgen_kernel kernel; /* its problem has the range of the trial */
    const struct kgen_verify_options *options;
    struct kgen_verification *result;
    struct kgen_guard_buffer workspace;
    struct kgen_team *team; /* NULL where one thread is asked for */
    enum kgen_placement placement;
    size_t range;
    size_t first;    /* index of the first row: beyond 0, buffers are passed as parts of greater ones */
    size_t case_row; /* of the case; first - case_row is a multiple of 16 where rows lie in tiles */
    size_t sizes[KGEN_BUFFER_COUNT];
    size_t row_bytes[KGEN_BUFFER_COUNT]; /* what one more row adds to each buffer */
    float *y, *residual;                 /* where the rows of the trial lie */
    struct kgen_arguments arguments;
    unsigned freshness; /* so that each run finds other garbage in the workspace */
    const char *how;    /* the run at hand, for people */
};

static void describe(const struct trial *t, char *text, size_t size)
{
    snprintf(text, size, "case %s, range %zu-%zu, %s, %s, seed %llu", t->item->fill->name, t->first,
             t->first + t->range, t->placement == KGEN_AT_END ? "at end" : "at start", t->how,
             (unsigned long long)t->cases->seed);
}

/* Says what the trial is about to do, in case it does not come back. */
static void announce(struct trial *t, const char *how)
{
    t->how = how;
    describe(t, t->result->detail, sizeof t->result->detail);
}

static int verdict(struct trial *t, enum kgen_verdict verdict, const char *format, ...) KGEN_PRINTF(3, 4);

/* Returns 1: the trial is over. */
static int verdict(struct trial *t, enum kgen_verdict verdict, const char *format, ...)
{
    char what[112], where[136];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    describe(t, where, sizeof where);
    t->result->verdict = verdict;
    snprintf(t->result->detail, sizeof t->result->detail, "%s (%s)", what, where);
    return 1;
}

static uint32_t float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static bool in_place_allowed(enum kgen_op op)
{
    return op == KGEN_OP_RMS_NORM || op == KGEN_OP_ROPE || op == KGEN_OP_SWIGLU || op == KGEN_OP_ADD;
}

/* The bytes of an input that belong to the trial. */
static const void *input(const struct trial *t, enum kgen_buffer buffer)
{
    return kgen_guard_buffer_place(&t->item->inputs[t->placement][buffer], t->placement, t->sizes[buffer], 1);
}

/* A pointer to row 0 of a buffer whose row `first` is at data; nothing lies there. */
static void *row_zero(const struct trial *t, enum kgen_buffer buffer, const void *data)
{
    return (void *)((uintptr_t)data - t->first * t->row_bytes[buffer]);
}

static bool lies_in_tiles(const struct trial *t, enum kgen_buffer buffer)
{
    return t->cases->problem.layout == KGEN_TILES16 && buffer <= KGEN_BUFFER_BIASES;
}

/* Rows in tiles are not taken apart: the buffer holds those of the whole case. */
static void arrange_tiles(struct trial *t, enum kgen_buffer buffer)
{
    struct kgen_problem whole = t->cases->problem;
    size_t sizes[KGEN_BUFFER_COUNT];
    kgen_operation_set_range(&whole, t->item->range);
    kgen_operation_sizes(&whole, sizes);
    t->sizes[buffer] = sizes[buffer];
    if (t->sizes[buffer] == 0)
        return;
    t->row_bytes[buffer] = sizes[buffer] / (size_t)kgen_packed_rows(&whole);
    t->arguments.buffers[buffer] =
        (void *)((uintptr_t)input(t, buffer) - (t->first - t->case_row) * t->row_bytes[buffer]);
}

static void trial_arrange(struct trial *t)
{
    struct kgen_problem more = t->cases->problem;
    kgen_operation_set_range(&more, t->range + 1);
    kgen_operation_sizes(&more, t->row_bytes);
    kgen_operation_set_range(&t->kernel.problem, t->range);
    kgen_operation_sizes(&t->kernel.problem, t->sizes);
    t->arguments = (struct kgen_arguments){.position = t->item->position};
    struct kgen_guard_list *guards = t->options->guards;
    if (guards != NULL)
        guards->count = 0;
    for (enum kgen_buffer i = 0; i < KGEN_BUFFER_COUNT; i++) {
        t->row_bytes[i] -= t->sizes[i];
        if (t->sizes[i] == 0 || i == KGEN_BUFFER_Y || i == KGEN_BUFFER_RESIDUAL)
            continue;
        if (lies_in_tiles(t, i))
            arrange_tiles(t, i);
        else
            t->arguments.buffers[i] = row_zero(t, i, input(t, i));
        kgen_guard_buffer_note(&t->item->inputs[t->placement][i], guards, kgen_buffer_name(i), true);
    }
    t->y = kgen_guard_buffer_place(&t->cases->y, t->placement, t->sizes[KGEN_BUFFER_Y], 1);
    t->arguments.buffers[KGEN_BUFFER_Y] = row_zero(t, KGEN_BUFFER_Y, t->y);
    kgen_guard_buffer_note(&t->cases->y, guards, kgen_buffer_name(KGEN_BUFFER_Y), false);
    if (t->sizes[KGEN_BUFFER_RESIDUAL] > 0) {
        t->residual =
            kgen_guard_buffer_place(&t->cases->residual, t->placement, t->sizes[KGEN_BUFFER_RESIDUAL], 1);
        t->arguments.buffers[KGEN_BUFFER_RESIDUAL] = row_zero(t, KGEN_BUFFER_RESIDUAL, t->residual);
        kgen_guard_buffer_note(&t->cases->residual, guards, kgen_buffer_name(KGEN_BUFFER_RESIDUAL), false);
    }
    if (t->kernel.workspace_bytes > 0) {
        t->arguments.buffers[KGEN_BUFFER_WORKSPACE] =
            kgen_guard_buffer_place(&t->workspace, t->placement, t->kernel.workspace_bytes, 64);
        kgen_guard_buffer_note(&t->workspace, guards, kgen_buffer_name(KGEN_BUFFER_WORKSPACE), true);
    }
}

/* Puts poison and canaries where results will be, and garbage into the workspace. */
static void freshen(struct trial *t)
{
    kgen_guard_buffer_set_canaries(&t->cases->y, t->y, t->sizes[KGEN_BUFFER_Y]);
    const uint32_t poison = KGEN_POISON;
    for (size_t i = 0; i < t->sizes[KGEN_BUFFER_Y] / sizeof(float); i++)
        memcpy(&t->y[i], &poison, sizeof poison);
    if (t->residual != NULL) {
        kgen_guard_buffer_set_canaries(&t->cases->residual, t->residual, t->sizes[KGEN_BUFFER_RESIDUAL]);
        memcpy(t->residual, input(t, KGEN_BUFFER_RESIDUAL), t->sizes[KGEN_BUFFER_RESIDUAL]);
    }
    void *workspace = t->arguments.buffers[KGEN_BUFFER_WORKSPACE];
    if (workspace != NULL) {
        static const int garbage[] = {0xff, 0x5a, 0x01};
        kgen_guard_buffer_protect(&t->workspace, false);
        kgen_guard_buffer_set_canaries(&t->workspace, workspace, t->kernel.workspace_bytes);
        memset(workspace, garbage[t->freshness++ % 3], t->kernel.workspace_bytes);
    }
}

/* Freshens, and prepares the workspace, which from then on is an input: read-only. */
static void prepare(struct trial *t)
{
    freshen(t);
    kgen_kernel_prepare(&t->kernel, &t->arguments);
    if (t->workspace.begin != NULL)
        kgen_guard_buffer_protect(&t->workspace, true);
}

static int check_canaries(struct trial *t)
{
    const struct {
        const struct kgen_guard_buffer *buffer;
        const void *data;
        size_t size;
        enum kgen_buffer name;
    } outputs[] = {
        {&t->cases->y, t->y, t->sizes[KGEN_BUFFER_Y], KGEN_BUFFER_Y},
        {&t->cases->residual, t->residual, t->sizes[KGEN_BUFFER_RESIDUAL], KGEN_BUFFER_RESIDUAL},
        {&t->workspace, t->arguments.buffers[KGEN_BUFFER_WORKSPACE], t->kernel.workspace_bytes,
         KGEN_BUFFER_WORKSPACE},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(outputs); i++) {
        if (outputs[i].data == NULL)
            continue;
        const void *changed =
            kgen_guard_buffer_changed_canary(outputs[i].buffer, outputs[i].data, outputs[i].size);
        if (changed != NULL)
            return verdict(t, KGEN_WRITE_PAST_END, "wrote outside of %s: at byte %td of its %zu",
                           kgen_buffer_name(outputs[i].name),
                           (const char *)changed - (const char *)outputs[i].data, outputs[i].size);
    }
    return 0;
}

/* Holds one output against its expected values. */
static int check_output(struct trial *t, const char *name, const float *y, size_t count,
                        const double *expected, const double *bound)
{
    for (size_t i = 0; i < count; i++) {
        double error = fabs((double)y[i] - expected[i]);
        if (error <= bound[i]) { /* false for a NaN */
            if (error > t->result->error_of_bound * bound[i])
                t->result->error_of_bound = error / bound[i];
            continue;
        }
        if (float_bits(y[i]) == KGEN_POISON)
            return verdict(t, KGEN_UNWRITTEN_ELEMENT, "%s[%zu] was not written", name, i);
        if (bound[i] > 0 && error / bound[i] > t->result->error_of_bound)
            t->result->error_of_bound = error / bound[i];
        return verdict(t, KGEN_WRONG_ELEMENT, "%s[%zu] = %.9g, expected %.9g +- %.2g", name, i, (double)y[i],
                       expected[i], bound[i]);
    }
    return 0;
}

static int check_outputs(struct trial *t)
{
    /* At the end of its buffer the trial has the last rows of the case. */
    size_t skipped = t->placement == KGEN_AT_END ? t->item->range - t->range : 0;
    size_t skip = skipped * t->row_bytes[KGEN_BUFFER_Y] / sizeof(float);
    if (check_output(t, "y", t->y, t->sizes[KGEN_BUFFER_Y] / sizeof(float), t->item->expected + skip,
                     t->item->bound + skip) != 0)
        return 1;
    if (t->residual == NULL)
        return 0;
    return check_output(t, "residual", t->residual, t->sizes[KGEN_BUFFER_RESIDUAL] / sizeof(float),
                        t->item->residual_expected + skip, t->item->residual_bound + skip);
}

/* Compares the outputs with those of the first run, bit by bit. */
static int check_same(struct trial *t, enum kgen_verdict kind)
{
    size_t y_bytes = t->sizes[KGEN_BUFFER_Y], residual_bytes = t->sizes[KGEN_BUFFER_RESIDUAL];
    bool y_differs = memcmp(t->y, t->cases->first_y, y_bytes) != 0;
    if (!y_differs &&
        (t->residual == NULL || memcmp(t->residual, t->cases->first_residual, residual_bytes) == 0))
        return check_canaries(t);
    const char *name = y_differs ? "y" : "residual";
    const float *now = y_differs ? t->y : t->residual;
    const float *first = y_differs ? t->cases->first_y : t->cases->first_residual;
    size_t i = 0;
    while (float_bits(now[i]) == float_bits(first[i]))
        i++;
    return verdict(t, kind, "%s[%zu] = %.9g, in the first run %.9g", name, i, (double)now[i],
                   (double)first[i]);
}

static int run_first(struct trial *t)
{
    announce(t, "one run");
    prepare(t);
    kgen_kernel_run(&t->kernel, &t->arguments, t->first, t->first + t->range);
    if (check_canaries(t) != 0 || check_outputs(t) != 0)
        return 1;
    memcpy(t->cases->first_y, t->y, t->sizes[KGEN_BUFFER_Y]);
    if (t->residual != NULL)
        memcpy(t->cases->first_residual, t->residual, t->sizes[KGEN_BUFFER_RESIDUAL]);
    return 0;
}

static int run_again(struct trial *t)
{
    announce(t, "the second run");
    prepare(t);
    kgen_kernel_run(&t->kernel, &t->arguments, t->first, t->first + t->range);
    return check_same(t, KGEN_NOT_REPEATABLE);
}

/* Whether elements [begin, end) rows of the outputs are as they were before the run. */
static int check_untouched(struct trial *t, size_t begin, size_t end)
{
    size_t row = t->row_bytes[KGEN_BUFFER_Y] / sizeof(float);
    for (size_t i = begin * row; i < end * row; i++)
        if (float_bits(t->y[i]) != KGEN_POISON)
            return verdict(t, KGEN_WRITE_PAST_END, "y[%zu] is outside of the range and was written", i);
    size_t row_bytes = t->row_bytes[KGEN_BUFFER_RESIDUAL];
    const char *residual = input(t, KGEN_BUFFER_RESIDUAL);
    if (t->residual != NULL && memcmp((const char *)t->residual + begin * row_bytes,
                                      residual + begin * row_bytes, (end - begin) * row_bytes) != 0)
        return verdict(t, KGEN_WRITE_PAST_END, "the residual was changed outside of the range");
    return 0;
}

/* The range in three parts, the middle one first, cut at odd places. */
static int run_divided(struct trial *t)
{
    size_t begin = t->range > 4 ? 3 : 1;
    size_t end = t->range > 8 ? t->range - 5 : t->range;
    announce(t, "divided");
    prepare(t);
    kgen_kernel_run(&t->kernel, &t->arguments, t->first + begin, t->first + end);
    if (check_canaries(t) != 0 || check_untouched(t, 0, begin) != 0 || check_untouched(t, end, t->range) != 0)
        return 1;
    kgen_kernel_run(&t->kernel, &t->arguments, t->first + begin, t->first + begin);
    kgen_kernel_run(&t->kernel, &t->arguments, t->first + end, t->first + t->range);
    kgen_kernel_run(&t->kernel, &t->arguments, t->first, t->first + begin);
    return check_same(t, KGEN_THREADS_DIFFER);
}

static void run_part(void *context, size_t part, size_t parts)
{
    const struct trial *t = context;
    kgen_kernel_run(&t->kernel, &t->arguments, t->first + kgen_operation_part(t->range, part, parts),
                    t->first + kgen_operation_part(t->range, part + 1, parts));
}

static int run_threads(struct trial *t)
{
    announce(t, "several threads");
    prepare(t);
    kgen_team_run(t->team, run_part, t);
    return check_same(t, KGEN_THREADS_DIFFER);
}

static int run_in_place(struct trial *t, enum kgen_buffer buffer)
{
    announce(t, buffer == KGEN_BUFFER_X ? "y = x" : "y = x2");
    prepare(t);
    memcpy(t->y, input(t, buffer), t->sizes[buffer]);
    struct kgen_arguments arguments = t->arguments;
    arguments.buffers[buffer] = arguments.buffers[KGEN_BUFFER_Y];
    kgen_kernel_run(&t->kernel, &arguments, t->first, t->first + t->range);
    return check_canaries(t) != 0 || check_outputs(t) != 0;
}

/* Returns 1 when the kernel failed, with the verdict in t->result. */
static int run_trial(struct trial *t)
{
    bool greatest = t->range == t->item->range;
    bool first_case = t->item == t->cases->items;
    bool with_threads = t->team != NULL && first_case && t->first == 0 &&
                        (t->range == 3 || (greatest && t->placement == KGEN_AT_END));
    trial_arrange(t);
    t->result->cases++;
    if (run_first(t) != 0 || run_again(t) != 0)
        return 1;
    if (t->range > 1 && run_divided(t) != 0)
        return 1;
    if (with_threads && run_threads(t) != 0)
        return 1;
    if (!greatest || !in_place_allowed(t->kernel.problem.op))
        return 0;
    if (run_in_place(t, KGEN_BUFFER_X) != 0)
        return 1;
    return t->sizes[KGEN_BUFFER_X2] > 0 && run_in_place(t, KGEN_BUFFER_X2) != 0;
}

static int try_range(struct trial *t, enum kgen_placement placement, size_t range, size_t first)
{
    t->placement = placement;
    t->range = range;
    t->first = first;
    t->case_row = placement == KGEN_AT_END ? t->item->range - range : 0;
    if (t->cases->problem.layout == KGEN_TILES16) {
        const size_t beyond = first > t->case_row ? first - t->case_row : 0;
        t->first = t->case_row + beyond / KGEN_TILE_ROWS * KGEN_TILE_ROWS;
    }
    return run_trial(t);
}

static int try_last_rows(struct trial *t)
{
    size_t problem_range = kgen_operation_range(&t->cases->problem);
    size_t last = problem_range < 5 ? problem_range : 5;
    if (last > t->item->range)
        last = t->item->range;
    return try_range(t, KGEN_AT_END, last, problem_range - last);
}

/* Every range at the end of its pages; the greatest and an odd one at the start as well; and the last rows of
 * the problem itself, without the memory before them, for the sake of their great offsets. */
static int try_first_case(struct trial *t, const size_t *ranges)
{
    size_t odd = t->item->range;
    for (; *ranges != 0 && *ranges <= t->item->range; ranges++) {
        if (try_range(t, KGEN_AT_END, *ranges, 0) != 0)
            return 1;
        if (*ranges % 2 == 1 && *ranges < t->item->range)
            odd = *ranges;
    }
    if (t->item->range > ranges[-1] && try_range(t, KGEN_AT_END, t->item->range, 0) != 0)
        return 1;
    return try_range(t, KGEN_AT_START, t->item->range, 0) != 0 || try_range(t, KGEN_AT_START, odd, 0) != 0 ||
           try_last_rows(t) != 0;
}

/* Enough to see that a kernel proven before is still the one that was proven. */
static int try_quickly(struct trial *t)
{
    return try_range(t, KGEN_AT_END, t->item->range, 0) != 0 || try_last_rows(t) != 0;
}

int kgen_verify_with(struct kgen_verify_cases *cases, const struct kgen_kernel *kernel,
                     const struct kgen_verify_options *options, struct kgen_verification *result,
                     struct kgen_error *error)
{
    *result = (struct kgen_verification){.verdict = KGEN_PASSED};
    struct trial t = {.cases = cases, .kernel = *kernel, .options = options, .result = result};
    t.kernel.problem = cases->problem;
    if (kernel->workspace_bytes > 0 &&
        kgen_guard_buffer_new(&t.workspace, kernel->workspace_bytes + 64, error) != 0)
        return -1;
    if (options->threads > 1 && (t.team = kgen_team_new(options->threads, error)) == NULL) {
        kgen_guard_buffer_free(&t.workspace);
        return -1;
    }
    int failed = 0;
    for (size_t i = 0; i < cases->count && !failed; i++) {
        t.item = &cases->items[i];
        if (cases->quick)
            failed = try_quickly(&t);
        else if (i == 0)
            failed = try_first_case(&t, kgen_verify_ranges(cases));
        else
            failed = try_range(&t, KGEN_AT_END, t.item->range, 0) != 0 ||
                     try_range(&t, KGEN_AT_START, t.item->range, 0) != 0;
    }
    if (!failed)
        result->detail[0] = '\0';
    if (options->guards != NULL)
        options->guards->count = 0;
    kgen_team_free(t.team);
    kgen_guard_buffer_free(&t.workspace);
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
