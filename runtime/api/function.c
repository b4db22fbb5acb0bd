/* SPDX-License-Identifier: MIT */
/* Calling the functions of a plan, and what is known of them. */
#include "runtime/api/plan.h"

#include "runtime/process/team.h"

#include <stdlib.h>
#include <string.h>

const char *kgen_origin_name(enum kgen_origin origin)
{
    static const char *const names[] = {"record",          "tuned",   "sibling", "microarchitecture",
                                        "instruction_set", "default", "generic"};
    return (size_t)origin < KGEN_COUNT_OF(names) ? names[origin] : NULL;
}

void kgen_function_query(const struct kgen_function *function, struct kgen_function_facts *facts, size_t size)
{
    const struct kgen_function_facts known = {
        .name = function->name.data,
        .problem = function->problem_text.data,
        .op = function->kernel.problem.op->name,
        .tensors = function->tensors.data,
        .variant = function->variant.data,
        .origin = function->origin,
        .threads = (int)function->kernel.problem.threads,
        .checked = function->checked,
        .error_of_bound = function->error_of_bound,
        .seconds = function->seconds,
        .bytes = kgen_problem_bytes(&function->kernel.problem),
        .calls = function->calls,
    };
    memset(facts, 0, size);
    memcpy(facts, &known, size < sizeof known ? size : sizeof known);
}

/* ---- the range ---- */

size_t kgen_function_range(const struct kgen_function *function)
{
    return kgen_problem_range(&function->kernel.problem);
}

size_t kgen_function_part(const struct kgen_function *function, size_t part, size_t parts)
{
    return part >= parts ? kgen_function_range(function)
                         : kgen_range_part(kgen_function_range(function), part, parts);
}

/* ---- calls ---- */

/* Checks that the buffers of the parts are there. */
static int check_call(const struct kgen_function *function, const struct kgen_call *call, unsigned parts,
                      struct kgen_status *status)
{
    struct kgen_buffers buffers;
    kgen_problem_buffers(&function->kernel.problem, &buffers);
    for (size_t i = 0; i < buffers.count; i++) {
        const struct kgen_problem_buffer *buffer = &buffers.items[i];
        const bool aligned = buffer->role == KGEN_WORKSPACE || buffer->role == KGEN_SCRATCH;
        if ((buffer->declared->parts & parts) == 0)
            continue;
        if (call->buffers[i] == NULL && kgen_function_buffer_size(function, buffer->name) > 0)
            return kgen_status_set(status, KGEN_BAD_ARGUMENT, "%s: the call has no %s", function->name.data,
                                   buffer->name);
        if (aligned && (uintptr_t)call->buffers[i] % KGEN_ALIGNMENT != 0)
            return kgen_status_set(status, KGEN_BAD_ARGUMENT, "%s: the %s is not aligned to %zu bytes",
                                   function->name.data, buffer->name, KGEN_ALIGNMENT);
    }
    return 0;
}

static struct kgen_arguments arguments_of(const struct kgen_call *call)
{
    struct kgen_arguments arguments;
    _Static_assert(sizeof arguments.buffers == sizeof call->buffers, "as many buffers");
    _Static_assert(sizeof arguments.scalars == sizeof call->scalars, "as many scalars");
    memcpy(arguments.buffers, call->buffers, sizeof arguments.buffers);
    memcpy(arguments.scalars, call->scalars, sizeof arguments.scalars);
    return arguments;
}

int kgen_function_run(const struct kgen_function *function, const struct kgen_call *call,
                      struct kgen_threads *threads, struct kgen_status *status)
{
    if (check_call(function, call, KGEN_PREPARE | KGEN_RUN | KGEN_FINISH, status) != 0)
        return -1;
    const struct kgen_arguments arguments = arguments_of(call);
    kgen_kernel_run_team(&function->kernel, &arguments, (struct kgen_team *)threads);
    return 0;
}

int kgen_function_prepare(const struct kgen_function *function, const struct kgen_call *call,
                          struct kgen_status *status)
{
    if (check_call(function, call, KGEN_PREPARE, status) != 0)
        return -1;
    const struct kgen_arguments arguments = arguments_of(call);
    kgen_kernel_prepare(&function->kernel, &arguments);
    return 0;
}

int kgen_function_finish(const struct kgen_function *function, const struct kgen_call *call,
                         struct kgen_status *status)
{
    if (check_call(function, call, KGEN_FINISH, status) != 0)
        return -1;
    const struct kgen_arguments arguments = arguments_of(call);
    kgen_kernel_finish(&function->kernel, &arguments);
    return 0;
}

int kgen_function_run_range(const struct kgen_function *function, const struct kgen_call *call, size_t begin,
                            size_t end, struct kgen_status *status)
{
    if (check_call(function, call, KGEN_RUN, status) != 0)
        return -1;
    if (begin > end || end > kgen_function_range(function))
        return kgen_status_set(status, KGEN_BAD_ARGUMENT, "%s: %zu to %zu is no part of its range of %zu",
                               function->name.data, begin, end, kgen_function_range(function));
    const struct kgen_arguments arguments = arguments_of(call);
    if (begin < end)
        kgen_kernel_run(&function->kernel, &arguments, begin, end);
    return 0;
}

kgen_run_function *kgen_function_run_pointer(const struct kgen_function *function)
{
    return function->kernel.run;
}

kgen_part_function *kgen_function_prepare_pointer(const struct kgen_function *function)
{
    return function->kernel.prepare;
}

kgen_part_function *kgen_function_finish_pointer(const struct kgen_function *function)
{
    return function->kernel.finish;
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
