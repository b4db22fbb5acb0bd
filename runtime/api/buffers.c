/* SPDX-License-Identifier: MIT */
/* The buffers of functions, the calls that point at them, and the packing of weights. */
#include "runtime/api/plan.h"

#include "gen/ops/format.h"
#include "gen/ops/layout.h"
#include "gen/ops/signature.h"

#include <string.h>

static size_t bytes_of(const struct kgen_function *function, const struct kgen_problem_buffer *buffer)
{
    return buffer->role == KGEN_WORKSPACE ? function->kernel.workspace_bytes
           : buffer->role == KGEN_SCRATCH ? function->kernel.scratch_bytes
                                          : buffer->bytes;
}

static const char *or_empty(const char *text)
{
    return text != NULL ? text : "";
}

size_t kgen_function_buffer_count(const struct kgen_function *function)
{
    struct kgen_buffers buffers;
    kgen_problem_buffers(&function->kernel.problem, &buffers);
    return buffers.count;
}

void kgen_function_buffer_query(const struct kgen_function *function, size_t index,
                                struct kgen_buffer_facts *facts, size_t size)
{
    struct kgen_buffer_facts known = {.name = "", .role = "", .dtype = "", .shape = "", .may_alias = ""};
    struct kgen_buffers buffers;
    kgen_problem_buffers(&function->kernel.problem, &buffers);
    if (index < buffers.count) {
        const struct kgen_problem_buffer *buffer = &buffers.items[index];
        known = (struct kgen_buffer_facts){.name = buffer->name,
                                           .role = kgen_role_name(buffer->role),
                                           .dtype = kgen_constant_name(buffer->dtype),
                                           .shape = or_empty(buffer->shape),
                                           .may_alias = or_empty(buffer->declared->may_alias),
                                           .bytes = bytes_of(function, buffer)};
    }
    memset(facts, 0, size);
    memcpy(facts, &known, size < sizeof known ? size : sizeof known);
}

int kgen_function_buffer(const struct kgen_function *function, const char *name)
{
    struct kgen_buffers buffers;
    kgen_problem_buffers(&function->kernel.problem, &buffers);
    return kgen_buffers_find(&buffers, name);
}

size_t kgen_function_buffer_size(const struct kgen_function *function, const char *name)
{
    struct kgen_buffers buffers;
    kgen_problem_buffers(&function->kernel.problem, &buffers);
    const int index = kgen_buffers_find(&buffers, name);
    return index >= 0 ? bytes_of(function, &buffers.items[index]) : 0;
}

/* ---- calls ---- */

int kgen_call_set(struct kgen_call *call, const struct kgen_function *function, const char *name,
                  const void *data, struct kgen_status *status)
{
    const int index = kgen_function_buffer(function, name);
    if (index < 0)
        return kgen_status_set(status, KGEN_NOT_FOUND, "%s has no buffer \"%s\"", function->name.data, name);
    call->buffers[index] = (void *)(uintptr_t)data;
    return 0;
}

int kgen_call_set_scalar(struct kgen_call *call, const struct kgen_function *function, const char *name,
                         int64_t value, struct kgen_status *status)
{
    const struct kgen_op *op = function->kernel.problem.op;
    const int index = kgen_scalar_find(op, name);
    if (index < 0)
        return kgen_status_set(status, KGEN_NOT_FOUND, "%s has no scalar \"%s\"", function->name.data, name);
    const int64_t minimum = kgen_scalar_minimum(&function->kernel.problem, &op->scalars[index]);
    const int64_t maximum = kgen_scalar_maximum(&function->kernel.problem, &op->scalars[index]);
    if (value < minimum || value > maximum)
        return kgen_status_set(status, KGEN_BAD_ARGUMENT, "%s: %s is %lld to %lld, not %lld",
                               function->name.data, name, (long long)minimum, (long long)maximum,
                               (long long)value);
    call->scalars[index] = value;
    return 0;
}

/* ---- packed weights ---- */

int kgen_function_layout(const struct kgen_function *function)
{
    return kgen_problem_get(&function->kernel.problem, "layout") == KGEN_TILES16 ? KGEN_LAYOUT_TILES16
                                                                                 : KGEN_LAYOUT_STORED;
}

/* Finds an array of weights. Returns false where the function has none of that name. */
static bool find_packed(const struct kgen_function *function, const char *name,
                        struct kgen_problem_buffer *found)
{
    struct kgen_buffers buffers;
    kgen_problem_buffers(&function->kernel.problem, &buffers);
    const int index = kgen_buffers_find(&buffers, name);
    if (index < 0 || buffers.items[index].array < 0)
        return false;
    *found = buffers.items[index];
    return true;
}

size_t kgen_function_packed_size(const struct kgen_function *function, const char *buffer)
{
    struct kgen_problem_buffer found;
    return find_packed(function, buffer, &found) ? found.bytes : 0;
}

size_t kgen_function_packed_offset(const struct kgen_function *function, const char *buffer, size_t row)
{
    struct kgen_problem_buffer found;
    const size_t rows = kgen_function_range(function);
    if (!find_packed(function, buffer, &found) || row > rows)
        return SIZE_MAX;
    if (row == rows)
        return found.bytes;
    if (row > 0 && found.range_bytes == 0)
        return SIZE_MAX;
    return row % found.tile_rows == 0 ? found.range_bytes * row : SIZE_MAX;
}

int kgen_function_pack(const struct kgen_function *function, const char *buffer, size_t begin, size_t end,
                       const void *stored, void *packed, struct kgen_status *status)
{
    struct kgen_problem_buffer found;
    if (!find_packed(function, buffer, &found))
        return kgen_status_set(status, KGEN_BAD_ARGUMENT, "%s has no %s to pack", function->name.data,
                               buffer);
    const size_t offset = kgen_function_packed_offset(function, buffer, begin);
    if (begin > end || offset == SIZE_MAX || kgen_function_packed_offset(function, buffer, end) == SIZE_MAX)
        return kgen_status_set(status, KGEN_BAD_ARGUMENT, "%s: rows %zu to %zu are not to be packed alone",
                               function->name.data, begin, end);
    struct kgen_problem part = function->kernel.problem;
    kgen_problem_set_range(&part, end - begin);
    if (begin < end)
        kgen_layout_pack(&part, found.array, stored, (unsigned char *)packed + offset);
    return 0;
}
