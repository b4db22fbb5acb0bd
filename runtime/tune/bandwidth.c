/* SPDX-License-Identifier: MIT */
/* The read bandwidth of main memory.
 *
 * The buffer is put in huge pages where the kernel grants them. With pages of 4 KiB the walks of the page
 * table cost a fifth of the bandwidth and more, and the shares of the bandwidth that kgen prints would be too
 * high. */
/* madvise and MAP_ANONYMOUS are not in POSIX. */
#define _DEFAULT_SOURCE
#include "runtime/tune/bandwidth.h"

#include <string.h>
#include <sys/mman.h>

#include "runtime/process/measure_lock.h"
#include "runtime/process/worker.h"
#include "runtime/tune/reader.h"
#include "runtime/tune/timing.h"

#define PASSES 15
#define BUFFER_LEAST ((size_t)256 << 20)
#define LIMIT_SECONDS 30.0

struct result {
    bool measured;
    double one_thread, all_threads, noise;
    struct kgen_error error;
};

/* The context of the child's job and of its report. */
struct exchange {
    const struct kgen_machine *machine;
    const struct kgen_templates *templates;
    size_t bytes;
    int threads;
    struct result result;
};

/* The memory is written, because pages that were never written are all the same page of zeros. */
static void *make_buffer(size_t bytes, struct kgen_error *error)
{
    void *data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) {
        kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0,
                       "no %zu MiB of memory to measure the bandwidth with", bytes >> 20);
        return NULL;
    }
#if defined(MADV_HUGEPAGE)
    madvise(data, bytes, MADV_HUGEPAGE);
#endif
    memset(data, 1, bytes);
    return data;
}

/* Bytes per second of the best pass, which other work on the machine disturbed least. The limit is that of a
 * pass, as a busy machine may need long for all of them. */
static double read_best(struct kgen_worker *worker, struct kgen_reader *reader, const void *data,
                        size_t bytes, struct kgen_team *team, double *noise)
{
    double best = 0, seconds[PASSES];
    for (size_t i = 0; i < PASSES; i++) {
        kgen_worker_stage(worker, "read_bandwidth", LIMIT_SECONDS);
        seconds[i] = kgen_reader_pass(reader, data, bytes, team);
        const double rate = (double)bytes / seconds[i];
        best = rate > best ? rate : best;
    }
    *noise = kgen_noise(seconds, PASSES);
    return best;
}

static void work(size_t index, void *shared, struct kgen_worker *worker, void *context)
{
    (void)index;
    const struct exchange *exchange = context;
    struct result *result = shared;
    kgen_worker_stage(worker, "wait", 2 * KGEN_MEASURE_LOCK_SECONDS);
    const int lock = kgen_measure_lock_take(KGEN_LOCK_EXCLUSIVE);
    kgen_worker_stage(worker, "read_bandwidth", LIMIT_SECONDS);
    struct kgen_reader *reader =
        kgen_reader_open(exchange->machine, exchange->templates, exchange->threads, &result->error);
    struct kgen_team *team = reader != NULL ? kgen_team_new(exchange->threads, &result->error) : NULL;
    if (team != NULL)
        kgen_team_pin(team);
    void *data = team != NULL ? make_buffer(exchange->bytes, &result->error) : NULL;
    if (data != NULL) {
        result->one_thread = read_best(worker, reader, data, exchange->bytes, NULL, &result->noise);
        result->all_threads = exchange->threads == 1
                                  ? result->one_thread
                                  : read_best(worker, reader, data, exchange->bytes, team, &result->noise);
        result->measured = true;
        munmap(data, exchange->bytes);
    }
    kgen_team_free(team);
    kgen_reader_close(reader);
    kgen_measure_lock_release(lock);
}

static int take_result(size_t index, const struct kgen_outcome *outcome, const void *shared, void *context)
{
    (void)index;
    struct exchange *exchange = context;
    struct result *to = &exchange->result;
    if (outcome->kind == KGEN_OUTCOME_DONE)
        memcpy(to, shared, sizeof *to);
    else if (outcome->kind == KGEN_OUTCOME_TIMED_OUT)
        kgen_error_set(&to->error, KGEN_ERROR_CANDIDATE, NULL, 0, 0,
                       "a pass of measuring the read bandwidth took more than %.0f seconds", LIMIT_SECONDS);
    else if (outcome->kind == KGEN_OUTCOME_SIGNAL)
        kgen_error_set(&to->error, KGEN_ERROR_CANDIDATE, NULL, 0, 0,
                       "measuring the read bandwidth died of signal %d", outcome->signal);
    else
        kgen_error_set(&to->error, KGEN_ERROR_CANDIDATE, NULL, 0, 0,
                       "measuring the read bandwidth ended with exit status %d", outcome->exit_status);
    return 0;
}

/* Four times the last-level cache, so that what a pass leaves there is little of what the next reads. */
static size_t buffer_bytes(const struct kgen_machine *machine)
{
    size_t bytes = 4 * kgen_machine_last_level_cache(machine);
    if (bytes < BUFFER_LEAST)
        bytes = BUFFER_LEAST;
    return (bytes + KGEN_READER_MULTIPLE - 1) / KGEN_READER_MULTIPLE * KGEN_READER_MULTIPLE;
}

int kgen_bandwidth_measure(const struct kgen_machine *machine, const struct kgen_templates *templates,
                           int threads, struct kgen_bandwidth *bandwidth, struct kgen_error *error)
{
    if (threads < 1)
        return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "the bandwidth of %d threads", threads);
    struct exchange exchange = {
        .machine = machine, .templates = templates, .bytes = buffer_bytes(machine), .threads = threads};
    const struct kgen_worker_options options = {.limit_seconds = LIMIT_SECONDS};
    if (kgen_workers_run(&options, 1, sizeof(struct result), work, take_result, &exchange, error) != 0)
        return -1;
    if (!exchange.result.measured) {
        if (error != NULL && error->code == KGEN_ERROR_NONE)
            *error = exchange.result.error;
        return -1;
    }
    *bandwidth = (struct kgen_bandwidth){threads, exchange.result.one_thread, exchange.result.all_threads,
                                         exchange.result.noise};
    return 0;
}
