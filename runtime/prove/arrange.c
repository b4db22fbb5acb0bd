/* SPDX-License-Identifier: MIT */
/* Where the buffers of a proof lie, and what they hold before each run. */
#include "runtime/prove/proof.h"

#include "gen/ops/dtype.h"
#include "gen/ops/layout.h"

#include <string.h>

bool kgen_proof_is_result(const struct kgen_proof *p, size_t buffer)
{
    return kgen_role_is_result(p->buffers.items[buffer].role);
}

size_t kgen_proof_scratch_bytes(const struct kgen_proof *p)
{
    return (p->options->threads > 1 ? (size_t)p->options->threads : 1) * p->kernel.scratch_bytes;
}

void *kgen_proof_input(const struct kgen_proof *p, size_t buffer)
{
    return kgen_guard_buffer_place(&p->item->inputs[p->placement][buffer], p->placement,
                                   p->buffers.items[buffer].bytes, 1);
}

/* ---- arranging ---- */

/* Rows in tiles are not taken apart: the buffer holds those of the whole case. */
static void arrange_tiles(struct kgen_proof *p, size_t buffer)
{
    struct kgen_problem_buffer *described = &p->buffers.items[buffer];
    const size_t rows = (p->item->range + described->tile_rows - 1) / described->tile_rows;
    described->bytes = rows * described->tile_rows * described->range_bytes;
    p->data[buffer] = kgen_proof_input(p, buffer);
    p->arguments.buffers[buffer] =
        (void *)((uintptr_t)p->data[buffer] - (p->first - p->case_row) * described->range_bytes);
}

/* Points at row 0 of a buffer whose row `first` is at data, or at column 0 of one whose column `first` is
 * there; nothing may lie there. */
static void arrange_rows(struct kgen_proof *p, size_t buffer, void *data)
{
    const struct kgen_problem_buffer *described = &p->buffers.items[buffer];
    const size_t bytes =
        described->strided_rows > 0 ? kgen_dtype_bytes(described->dtype) : described->range_bytes;
    p->data[buffer] = data;
    p->arguments.buffers[buffer] = (void *)((uintptr_t)data - p->first * bytes);
}

/* Where the range counts columns, rows of them lie a few elements apart: those must stay as they are. */
static void arrange_strides(struct kgen_proof *p)
{
    const struct kgen_op *op = p->kernel.problem.op;
    if (op->range_stride == NULL)
        return;
    p->stride = p->range + KGEN_STRIDE_GAP;
    p->arguments.scalars[kgen_scalar_find(op, op->range_stride)] = (int64_t)p->stride;
    for (size_t i = 0; i < p->buffers.count; i++) {
        struct kgen_problem_buffer *described = &p->buffers.items[i];
        if (described->strided_rows > 0)
            described->bytes =
                ((described->strided_rows - 1) * p->stride + p->range) * kgen_dtype_bytes(described->dtype);
    }
}

static void arrange_memory(struct kgen_proof *p, size_t buffer, struct kgen_guard_buffer *memory,
                           size_t bytes, bool read_only)
{
    if (bytes == 0)
        return;
    p->data[buffer] = kgen_guard_buffer_place(memory, p->placement, bytes, KGEN_ALIGNMENT);
    p->arguments.buffers[buffer] = p->data[buffer];
    kgen_guard_buffer_note(memory, p->options->guards, p->buffers.items[buffer].name, read_only);
}

static void arrange_buffer(struct kgen_proof *p, size_t buffer)
{
    const struct kgen_problem_buffer *described = &p->buffers.items[buffer];
    struct kgen_guard_buffer *result = &p->cases->results[buffer];
    if (described->role == KGEN_WORKSPACE) {
        arrange_memory(p, buffer, &p->workspace, p->kernel.workspace_bytes, true);
    } else if (described->role == KGEN_SCRATCH) {
        arrange_memory(p, buffer, &p->scratch, kgen_proof_scratch_bytes(p), false);
    } else if (kgen_proof_is_result(p, buffer)) {
        arrange_rows(p, buffer, kgen_guard_buffer_place(result, p->placement, described->bytes, 1));
        kgen_guard_buffer_note(result, p->options->guards, described->name, false);
    } else {
        if (described->tile_rows > 1 && described->range_bytes > 0)
            arrange_tiles(p, buffer);
        else
            arrange_rows(p, buffer, kgen_proof_input(p, buffer));
        kgen_guard_buffer_note(&p->item->inputs[p->placement][buffer], p->options->guards, described->name,
                               true);
    }
}

void kgen_proof_arrange(struct kgen_proof *p)
{
    kgen_problem_set_range(&p->kernel.problem, p->range);
    kgen_problem_buffers(&p->kernel.problem, &p->buffers);
    p->arguments = (struct kgen_arguments){0};
    memcpy(p->arguments.scalars, p->item->scalars, sizeof p->arguments.scalars);
    arrange_strides(p);
    if (p->options->guards != NULL)
        p->options->guards->count = 0;
    for (size_t i = 0; i < p->buffers.count; i++)
        arrange_buffer(p, i);
}

static void put_garbage(struct kgen_proof *p, const struct kgen_guard_buffer *memory, void *data,
                        size_t bytes)
{
    static const int garbage[] = {0xff, 0x5a, 0x01};
    if (bytes == 0)
        return;
    kgen_guard_buffer_protect(memory, false);
    kgen_guard_buffer_set_canaries(memory, data, bytes);
    memset(data, garbage[p->garbage % 3], bytes);
}

void kgen_proof_reset(struct kgen_proof *p)
{
    const uint32_t poison = KGEN_POISON;
    for (size_t i = 0; i < p->buffers.count; i++) {
        const struct kgen_problem_buffer *described = &p->buffers.items[i];
        if (kgen_proof_is_result(p, i))
            kgen_guard_buffer_set_canaries(&p->cases->results[i], p->data[i], described->bytes);
        if (kgen_role_is_input(described->role) && kgen_proof_is_result(p, i))
            memcpy(p->data[i], kgen_proof_input(p, i), described->bytes);
        else if (kgen_proof_is_result(p, i))
            for (size_t at = 0; at < described->bytes; at += sizeof poison)
                memcpy((unsigned char *)p->data[i] + at, &poison,
                       described->bytes - at < sizeof poison ? described->bytes - at : sizeof poison);
        else if (described->role == KGEN_WORKSPACE)
            put_garbage(p, &p->workspace, p->data[i], p->kernel.workspace_bytes);
        else if (described->role == KGEN_SCRATCH)
            put_garbage(p, &p->scratch, p->data[i], kgen_proof_scratch_bytes(p));
    }
    p->garbage++;
}

void kgen_proof_prepare(struct kgen_proof *p)
{
    kgen_proof_reset(p);
    kgen_kernel_prepare(&p->kernel, &p->arguments);
    if (p->workspace.begin != NULL && p->kernel.finish == NULL)
        kgen_guard_buffer_protect(&p->workspace, true);
}
