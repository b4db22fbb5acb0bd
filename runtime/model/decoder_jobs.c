/* SPDX-License-Identifier: MIT */
/* The jobs of a step, made once. The small nodes between two matrices, and the preparing of the second, are
 * part 0 of the job that shares the second. Threads that wait for it meanwhile fetch the weights of their
 * parts, or the caches of keys and values, into their processors' caches. */
#include "gen/base/clock.h"
#include "runtime/model/decoder_internal.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

/* A waiting thread fetches at most so many bytes, in steps of FETCH_STEP, between which it looks whether the
 * node is prepared. */
enum { FETCH_BYTES = 1 << 19, FETCH_STEP = 256, LINE = 64 };
/* How often it looks before it gives the processor to others each time. */
enum { LOOKS = 4000 };

/* ---- making ---- */

/* The arrays of weights that the kernel of a node reads along its range, and its caches of positions. */
static void find_streams(const struct kgen_decoder_call *call, struct kgen_decoder_job *job)
{
    struct kgen_buffers buffers;
    kgen_problem_buffers(&call->kernel->problem, &buffers);
    for (size_t i = 0; i < buffers.count; i++) {
        const struct kgen_problem_buffer *buffer = &buffers.items[i];
        const bool is_state = buffer->role == KGEN_STATE;
        if (!is_state &&
            (buffer->array < 0 || buffer->range_bytes == 0 || call->arguments.buffers[i] == NULL))
            continue;
        /* Of a window the positions that come first are not read. */
        const struct kgen_problem *problem = &call->kernel->problem;
        if (is_state && kgen_problem_has(problem, "window") && kgen_problem_get(problem, "window") > 0)
            continue;
        if (is_state && !kgen_problem_has(problem, "context")) {
            job->streams[job->stream_count++] =
                (struct kgen_decoder_stream){i, buffer->bytes / call->range, 0};
            continue;
        }
        /* Pages lie apart. */
        if (is_state && kgen_problem_has(problem, "page_size") && kgen_problem_get(problem, "page_size") > 0)
            continue;
        const int64_t context = is_state ? kgen_problem_get(problem, "context") : 1;
        job->streams[job->stream_count++] = (struct kgen_decoder_stream){
            i, is_state ? 0 : buffer->range_bytes, is_state ? buffer->bytes / (size_t)context : 0};
    }
}

int kgen_decoder_jobs_new(struct kgen_decoder *decoder, struct kgen_error *error)
{
    const size_t count = decoder->graph->node_count;
    decoder->jobs = calloc(count + 1, sizeof *decoder->jobs);
    if (decoder->jobs == NULL)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "no memory for the model");
    size_t begin = 0;
    for (size_t i = 0; i < count; i++) {
        const struct kgen_decoder_call *call = &decoder->calls[i];
        const bool is_shared = call->kernel->problem.threads > 1;
        if (!is_shared && i + 1 < count)
            continue;
        struct kgen_decoder_job *job = &decoder->jobs[decoder->job_count++];
        *job = (struct kgen_decoder_job){.begin = begin, .end = i + 1, .is_shared = is_shared};
        if (is_shared) {
            job->parts = kgen_kernel_parts(call->kernel, decoder->team);
            find_streams(call, job);
        }
        begin = i + 1;
    }
    return 0;
}

/* ---- times ---- */

int kgen_decoder_watch(struct kgen_decoder *decoder, struct kgen_decoder_time *times,
                       struct kgen_error *error)
{
    if (times != NULL && decoder->busy == NULL) {
        decoder->busy = calloc(decoder->threads, sizeof *decoder->busy);
        if (decoder->busy == NULL)
            return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    }
    decoder->times = times;
    return 0;
}

void kgen_decoder_mark_begin(struct kgen_decoder *decoder)
{
    if (decoder->times != NULL)
        decoder->marked = kgen_clock();
}

void kgen_decoder_mark(struct kgen_decoder *decoder, size_t node)
{
    if (decoder->times == NULL)
        return;
    const double now = kgen_clock();
    decoder->times[node].seconds += now - decoder->marked;
    decoder->marked = now;
}

/* The time of a node that was shared, whose threads were busy for so long. */
static void mark_shared(struct kgen_decoder *decoder, size_t node)
{
    struct kgen_decoder_time *time = &decoder->times[node];
    time->is_shared = true;
    for (size_t i = 0; i < decoder->threads; i++) {
        time->run += decoder->busy[i] / (double)decoder->threads;
        decoder->busy[i] = 0;
    }
    kgen_decoder_mark(decoder, node);
}

/* ---- a step ---- */

enum state { PREPARING, PREPARED, FAILED };

struct job_run {
    struct kgen_decoder *decoder;
    const struct kgen_decoder_job *job;
    int64_t token, position;
    struct kgen_error *error;
    atomic_int state;
};

/* Runs the nodes of a job that are not shared. */
static int run_alone(const struct job_run *run)
{
    struct kgen_decoder *decoder = run->decoder;
    const struct kgen_decoder_job *job = run->job;
    for (size_t i = job->begin; i < job->end; i++) {
        struct kgen_decoder_call *call = &decoder->calls[i];
        if (kgen_decoder_set(decoder, call, run->token, run->position, run->error) != 0)
            return -1;
        kgen_kernel_prepare(call->kernel, &call->arguments);
        if (job->is_shared && i + 1 == job->end)
            return 0;
        kgen_kernel_run(call->kernel, &call->arguments, 0, call->range);
        kgen_kernel_finish(call->kernel, &call->arguments);
        kgen_decoder_mark(decoder, i);
    }
    return 0;
}

static void fetch(const unsigned char *begin, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += LINE)
        __builtin_prefetch(begin + i, 0, 2);
}

/* Waits until the shared node is prepared, and fetches what a part reads meanwhile. */
static enum state wait_fetching(const struct job_run *run, size_t part)
{
    const struct kgen_decoder_job *job = run->job;
    const struct kgen_decoder_call *call = &run->decoder->calls[job->end - 1];
    const size_t range = call->range;
    const size_t begin = kgen_range_part(range, part, job->parts);
    const size_t units = kgen_range_part(range, part + 1, job->parts) - begin;
    size_t left = FETCH_BYTES;
    int state = atomic_load(&run->state);
    for (size_t i = 0; i < job->stream_count; i++) {
        const struct kgen_decoder_stream *stream = &job->streams[i];
        const size_t all = units * stream->unit_bytes + (size_t)(run->position + 1) * stream->position_bytes;
        const size_t bytes = all < left ? all : left;
        const unsigned char *from = call->arguments.buffers[stream->buffer];
        for (size_t at = 0; at < bytes && state == PREPARING; at += FETCH_STEP) {
            fetch(from + begin * stream->unit_bytes + at, bytes - at < FETCH_STEP ? bytes - at : FETCH_STEP);
            state = atomic_load(&run->state);
        }
        left -= bytes;
    }
    for (int looks = 0; state == PREPARING; looks++) {
        if (looks >= LOOKS)
            sched_yield();
        state = atomic_load(&run->state);
    }
    return (enum state)state;
}

/* Part 0 makes the node ready that the other parts share. */
static void run_part(void *context, size_t part, size_t parts, size_t thread)
{
    struct job_run *run = context;
    struct kgen_decoder *decoder = run->decoder;
    const size_t node = run->job->end - 1;
    const struct kgen_decoder_call *call = &decoder->calls[node];
    if (part == 0) {
        const int result = run_alone(run);
        if (decoder->times != NULL)
            decoder->times[node].prepare += kgen_clock() - decoder->marked;
        atomic_store(&run->state, result == 0 ? PREPARED : FAILED);
        return;
    }
    if (wait_fetching(run, part - 1) != PREPARED)
        return;
    const double begin = decoder->times != NULL ? kgen_clock() : 0;
    kgen_kernel_run_part(call->kernel, &call->arguments, call->range, part - 1, parts - 1, thread);
    if (decoder->times != NULL)
        decoder->busy[thread] += kgen_clock() - begin;
}

static int run_job(struct job_run *run)
{
    struct kgen_decoder *decoder = run->decoder;
    const size_t node = run->job->end - 1;
    if (!run->job->is_shared)
        return run_alone(run);
    kgen_team_share(decoder->team, run->job->parts + 1, run_part, run);
    if (atomic_load(&run->state) == FAILED)
        return -1;
    const double begin = decoder->times != NULL ? kgen_clock() : 0;
    kgen_kernel_finish(decoder->calls[node].kernel, &decoder->calls[node].arguments);
    if (decoder->times != NULL) {
        decoder->times[node].finish += kgen_clock() - begin;
        mark_shared(decoder, node);
    }
    return 0;
}

int kgen_decoder_jobs_run(struct kgen_decoder *decoder, int64_t token, int64_t position,
                          struct kgen_error *error)
{
    kgen_decoder_mark_begin(decoder);
    for (size_t i = 0; i < decoder->job_count; i++) {
        struct job_run run = {decoder, &decoder->jobs[i], token, position, error, PREPARING};
        if (run_job(&run) != 0)
            return -1;
    }
    return 0;
}
