/* SPDX-License-Identifier: MIT */
/* Calling the functions of a plan, and what is known of them. */
#include "runtime/prove/layout.h"
#include "runtime/api/plan.h"

#include "runtime/process/team.h"

#include <stdlib.h>
#include <string.h>

const char *kgen_rung_name(enum kgen_rung rung)
{
    static const char *const names[] = {"record",          "tuned",   "sibling", "microarchitecture",
                                        "instruction_set", "default", "plain"};
    return (size_t)rung < KGEN_COUNT_OF(names) ? names[rung] : NULL;
}

void kgen_function_query(const struct kgen_function *function, struct kgen_function_facts *facts, size_t size)
{
    const struct kgen_function_facts known = {
        .name = function->name.data,
        .problem = function->problem_text.data,
        .op = kgen_op_info(function->kernel.problem.op)->name,
        .tensors = function->tensors.data,
        .variant = function->variant.data,
        .rung = function->rung,
        .threads = (int)function->kernel.problem.threads,
        .checked = function->checked,
        .error_of_bound = function->error_of_bound,
        .seconds = function->seconds,
        .bytes = kgen_operation_bytes(&function->kernel.problem),
        .calls = function->calls,
    };
    memset(facts, 0, size);
    memcpy(facts, &known, size < sizeof known ? size : sizeof known);
}

/* ---- buffers ---- */

static void all_sizes(const struct kgen_function *function, size_t sizes[KGEN_BUFFER_COUNT])
{
    kgen_operation_sizes(&function->kernel.problem, sizes);
    sizes[KGEN_BUFFER_WORKSPACE] = function->kernel.workspace_bytes;
}

size_t kgen_function_buffer_size(const struct kgen_function *function, const char *buffer)
{
    size_t sizes[KGEN_BUFFER_COUNT];
    all_sizes(function, sizes);
    for (int i = 0; i < KGEN_BUFFER_COUNT; i++) {
        if (strcmp(kgen_buffer_name((enum kgen_buffer)i), buffer) == 0)
            return sizes[i];
    }
    return 0;
}

size_t kgen_function_workspace_size(const struct kgen_function *function)
{
    return function->kernel.workspace_bytes;
}

size_t kgen_function_range(const struct kgen_function *function)
{
    return kgen_operation_range(&function->kernel.problem);
}

size_t kgen_function_part(const struct kgen_function *function, size_t part, size_t parts)
{
    return part >= parts ? kgen_function_range(function)
                         : kgen_operation_part(kgen_function_range(function), part, parts);
}

/* ---- calls ---- */

/* Kernels take what they only read as plain pointers too. */
static void *unqualified(const void *pointer)
{
    return (void *)(uintptr_t)pointer;
}

/* Points arguments at the buffers of a call. wanted has a bit (1 << buffer) for each that must be there. */
static int point(const struct kgen_function *function, const struct kgen_call *call, unsigned wanted,
                 struct kgen_arguments *arguments, struct kgen_status *status)
{
    *arguments = (struct kgen_arguments){.buffers = {[KGEN_BUFFER_WEIGHTS] = unqualified(call->weights),
                                                     [KGEN_BUFFER_SCALES] = unqualified(call->scales),
                                                     [KGEN_BUFFER_BIASES] = unqualified(call->biases),
                                                     [KGEN_BUFFER_X] = unqualified(call->x),
                                                     [KGEN_BUFFER_X2] = unqualified(call->x2),
                                                     [KGEN_BUFFER_WEIGHT] = unqualified(call->weight),
                                                     [KGEN_BUFFER_RESIDUAL] = call->residual,
                                                     [KGEN_BUFFER_Y] = call->y,
                                                     [KGEN_BUFFER_WORKSPACE] = call->workspace},
                                         .position = call->position};
    size_t sizes[KGEN_BUFFER_COUNT];
    all_sizes(function, sizes);
    for (int i = 0; i < KGEN_BUFFER_COUNT; i++) {
        if (sizes[i] > 0 && (wanted >> i & 1) != 0 && arguments->buffers[i] == NULL)
            return kgen_status_set(status, KGEN_BAD_ARGUMENT, "%s: the call has no %s", function->name.data,
                                   kgen_buffer_name((enum kgen_buffer)i));
    }
    if ((uintptr_t)call->workspace % 64 != 0 && sizes[KGEN_BUFFER_WORKSPACE] > 0)
        return kgen_status_set(status, KGEN_BAD_ARGUMENT, "%s: the workspace is not aligned to 64 bytes",
                               function->name.data);
    return 0;
}

#define BIT(buffer) (1u << (buffer))

/* prepare turns x into the workspace for qmv; the other ops read x as they run. */
static unsigned wanted_to_prepare(const struct kgen_function *function)
{
    return function->kernel.problem.op == KGEN_OP_QMV ? BIT(KGEN_BUFFER_X) | BIT(KGEN_BUFFER_WORKSPACE)
                                                      : BIT(KGEN_BUFFER_WORKSPACE);
}

static unsigned wanted_to_run(const struct kgen_function *function)
{
    return function->kernel.problem.op == KGEN_OP_QMV ? ~BIT(KGEN_BUFFER_X) : ~0u;
}

int kgen_function_run(const struct kgen_function *function, const struct kgen_call *call,
                      struct kgen_threads *threads, struct kgen_status *status)
{
    struct kgen_arguments arguments;
    if (point(function, call, ~0u, &arguments, status) != 0)
        return -1;
    kgen_kernel_run_team(&function->kernel, &arguments, (struct kgen_team *)threads);
    return 0;
}

int kgen_function_prepare(const struct kgen_function *function, const struct kgen_call *call,
                          struct kgen_status *status)
{
    struct kgen_arguments arguments;
    if (point(function, call, wanted_to_prepare(function), &arguments, status) != 0)
        return -1;
    kgen_kernel_prepare(&function->kernel, &arguments);
    return 0;
}

int kgen_function_run_range(const struct kgen_function *function, const struct kgen_call *call, size_t begin,
                            size_t end, struct kgen_status *status)
{
    struct kgen_arguments arguments;
    if (point(function, call, wanted_to_run(function), &arguments, status) != 0)
        return -1;
    if (begin > end || end > kgen_function_range(function))
        return kgen_status_set(status, KGEN_BAD_ARGUMENT, "%s: %zu to %zu is no part of its range of %zu",
                               function->name.data, begin, end, kgen_function_range(function));
    if (begin < end)
        kgen_kernel_run(&function->kernel, &arguments, begin, end);
    return 0;
}

kgen_code_pointer *kgen_function_pointer(const struct kgen_function *function, const char *part)
{
    const void *object = strcmp(part, "run") == 0              ? function->kernel.run
                         : strcmp(part, "prepare") == 0        ? function->kernel.prepare
                         : strcmp(part, "workspace_size") == 0 ? function->workspace_size
                                                               : NULL;
    kgen_code_pointer *pointer = NULL;
    memcpy(&pointer, &object, sizeof pointer); /* POSIX has this conversion, ISO C has not */
    return pointer;
}

/* ---- threads ---- */

struct kgen_threads *kgen_threads_open(int count, struct kgen_status *status)
{
    if (count < 1 || count > KGEN_THREADS_MAX) {
        kgen_status_set(status, KGEN_BAD_ARGUMENT, "a team has 1 to %d threads, not %d", KGEN_THREADS_MAX,
                        count);
        return NULL;
    }
    struct kgen_error error = {0};
    struct kgen_team *team = kgen_team_new(count, &error);
    if (team == NULL)
        kgen_status_from(status, &error);
    return (struct kgen_threads *)team;
}

void kgen_threads_close(struct kgen_threads *threads)
{
    kgen_team_free((struct kgen_team *)threads);
}

/* ---- packed weights ---- */

int kgen_function_layout(const struct kgen_function *function)
{
    return function->kernel.problem.layout == KGEN_TILES16 ? KGEN_LAYOUT_TILES16 : KGEN_LAYOUT_STORED;
}

/* The buffer of a name, or KGEN_BUFFER_COUNT where the function has none of that name to pack. */
static enum kgen_buffer find_packed(const struct kgen_function *function, const char *name)
{
    static const enum kgen_buffer buffers[] = {KGEN_BUFFER_WEIGHTS, KGEN_BUFFER_SCALES, KGEN_BUFFER_BIASES};
    for (size_t i = 0; i < KGEN_COUNT_OF(buffers); i++) {
        if (strcmp(kgen_buffer_name(buffers[i]), name) == 0 && kgen_function_buffer_size(function, name) > 0)
            return buffers[i];
    }
    return KGEN_BUFFER_COUNT;
}

size_t kgen_function_packed_size(const struct kgen_function *function, const char *buffer)
{
    return find_packed(function, buffer) != KGEN_BUFFER_COUNT ? kgen_function_buffer_size(function, buffer)
                                                              : 0;
}

size_t kgen_function_packed_offset(const struct kgen_function *function, const char *buffer, size_t row)
{
    const struct kgen_problem *problem = &function->kernel.problem;
    const size_t size = kgen_function_packed_size(function, buffer), rows = kgen_function_range(function);
    if (size == 0 || row > rows)
        return SIZE_MAX;
    if (row == rows)
        return size;
    if (problem->layout == KGEN_TILES16 && row % KGEN_TILE_ROWS != 0)
        return SIZE_MAX;
    return size / (size_t)kgen_packed_rows(problem) * row;
}

int kgen_function_pack(const struct kgen_function *function, const char *buffer, size_t begin, size_t end,
                       const void *stored, void *packed, struct kgen_status *status)
{
    const enum kgen_buffer which = find_packed(function, buffer);
    if (which == KGEN_BUFFER_COUNT)
        return kgen_status_set(status, KGEN_BAD_ARGUMENT, "%s has no %s to pack", function->name.data,
                               buffer);
    const size_t offset = kgen_function_packed_offset(function, buffer, begin);
    if (begin > end || offset == SIZE_MAX || kgen_function_packed_offset(function, buffer, end) == SIZE_MAX)
        return kgen_status_set(status, KGEN_BAD_ARGUMENT, "%s: rows %zu to %zu are not to be packed alone",
                               function->name.data, begin, end);
    struct kgen_problem part = function->kernel.problem;
    part.N = (int64_t)(end - begin);
    if (begin < end)
        kgen_layout_pack(&part, which, stored, (unsigned char *)packed + offset);
    return 0;
}
