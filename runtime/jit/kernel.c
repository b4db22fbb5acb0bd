/* SPDX-License-Identifier: MIT */
#include "runtime/jit/kernel.h"

#include "gen/ops/signature.h"

#include <string.h>

typedef size_t size_function(void);

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

static int find_size(const struct kgen_problem *problem, enum kgen_role role, const struct kgen_code *code,
                     const char *function, const char *suffix, size_t *size, struct kgen_error *error)
{
    if (!kgen_op_has_role(problem->op, role))
        return 0;
    void *found = find_symbol(code, function, suffix, error);
    if (found == NULL)
        return -1;
    *size = (((size_function *)found)() + KGEN_ALIGNMENT - 1) / KGEN_ALIGNMENT * KGEN_ALIGNMENT;
    return 0;
}

static int find_part(const struct kgen_problem *problem, unsigned part, const struct kgen_code *code,
                     const char *function, const char *suffix, kgen_kernel_part **found,
                     struct kgen_error *error)
{
    if (!kgen_op_has_part(problem->op, part))
        return 0;
    *found = (kgen_kernel_part *)find_symbol(code, function, suffix, error);
    return *found != NULL ? 0 : -1;
}

int kgen_kernel_find(const struct kgen_problem *problem, const struct kgen_code *code, const char *function,
                     struct kgen_kernel *kernel, struct kgen_error *error)
{
    struct kgen_buffers buffers;
    kgen_problem_buffers(problem, &buffers);
    *kernel = (struct kgen_kernel){.problem = *problem};
    kernel->scratch = kgen_buffers_of_role(&buffers, KGEN_SCRATCH);
    kernel->unit_bytes = kgen_problem_bytes(problem) / (double)kgen_problem_range(problem);
    kernel->run = (kgen_kernel_range *)find_symbol(code, function, "_call", error);
    if (kernel->run == NULL ||
        find_part(problem, KGEN_PREPARE, code, function, "_call_prepare", &kernel->prepare, error) != 0 ||
        find_part(problem, KGEN_FINISH, code, function, "_call_finish", &kernel->finish, error) != 0 ||
        find_size(problem, KGEN_WORKSPACE, code, function, "_workspace_size", &kernel->workspace_bytes,
                  error) != 0)
        return -1;
    return find_size(problem, KGEN_SCRATCH, code, function, "_scratch_size", &kernel->scratch_bytes, error);
}

size_t kgen_range_part(size_t range, size_t part, size_t parts)
{
    if (part == parts)
        return range;
    size_t begin = range / parts * part + range % parts * part / parts;
    return range >= 64 * parts ? begin / 16 * 16 : begin;
}

void kgen_kernel_prepare(const struct kgen_kernel *kernel, const struct kgen_arguments *arguments)
{
    if (kernel->prepare != NULL)
        kernel->prepare(arguments->buffers, arguments->scalars);
}

void kgen_kernel_run(const struct kgen_kernel *kernel, const struct kgen_arguments *arguments, size_t begin,
                     size_t end)
{
    kernel->run(arguments->buffers, arguments->scalars, begin, end);
}

void kgen_kernel_finish(const struct kgen_kernel *kernel, const struct kgen_arguments *arguments)
{
    if (kernel->finish != NULL)
        kernel->finish(arguments->buffers, arguments->scalars);
}

void kgen_kernel_run_part(const struct kgen_kernel *kernel, const struct kgen_arguments *arguments,
                          size_t range, size_t part, size_t parts, size_t thread)
{
    const size_t begin = kgen_range_part(range, part, parts), end = kgen_range_part(range, part + 1, parts);
    if (kernel->scratch_bytes == 0 || thread == 0) {
        kgen_kernel_run(kernel, arguments, begin, end);
        return;
    }
    struct kgen_arguments own = *arguments;
    own.buffers[kernel->scratch] =
        (unsigned char *)own.buffers[kernel->scratch] + thread * kernel->scratch_bytes;
    kgen_kernel_run(kernel, &own, begin, end);
}

/* Not more than are cut where tiles of rows are. */
size_t kgen_kernel_parts(const struct kgen_kernel *kernel, const struct kgen_team *team)
{
    const size_t range = kgen_problem_range(&kernel->problem);
    const size_t threads = kgen_team_threads(team), most = range / 64;
    const size_t parts = kgen_team_parts(team, (size_t)(kernel->unit_bytes * (double)range));
    return parts <= most || parts <= threads ? parts : most > threads ? most : threads;
}

struct call {
    const struct kgen_kernel *kernel;
    const struct kgen_arguments *arguments;
    size_t range;
};

static void run_part(void *context, size_t part, size_t parts, size_t thread)
{
    const struct call *call = context;
    kgen_kernel_run_part(call->kernel, call->arguments, call->range, part, parts, thread);
}

void kgen_kernel_run_divided(const struct kgen_kernel *kernel, const struct kgen_arguments *arguments,
                             struct kgen_team *team)
{
    const size_t range = kgen_problem_range(&kernel->problem);
    struct call call = {kernel, arguments, range};
    if (team == NULL)
        kgen_kernel_run(kernel, arguments, 0, range);
    else
        kgen_team_share(team, kgen_kernel_parts(kernel, team), run_part, &call);
    kgen_kernel_finish(kernel, arguments);
}

void kgen_kernel_run_team(const struct kgen_kernel *kernel, const struct kgen_arguments *arguments,
                          struct kgen_team *team)
{
    kgen_kernel_prepare(kernel, arguments);
    kgen_kernel_run_divided(kernel, arguments, team);
}
