/* SPDX-License-Identifier: MIT */
/* The read bandwidth of main memory.
 *
 * The buffer is put in huge pages where the kernel grants them. With pages of 4 KiB the walks of the page
 * table cost a fifth of the bandwidth and more, and every share of the bandwidth that kgen prints would
 * flatter. */
/* madvise and MAP_ANONYMOUS are not in POSIX. */
#define _DEFAULT_SOURCE
#include "machine.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "jit.h"
#include "worker.h"

#define TEMPLATE_NAME "read_bandwidth"
#define FUNCTION_NAME "kgen_read"
#define PASSES 15
#define BUFFER_LEAST ((size_t)256 << 20)
#define PART_MULTIPLE ((size_t)4096)
#define SINK_BYTES 64
#define LIMIT_SECONDS 30.0

typedef void read_function(const uint8_t *data, size_t bytes, uint8_t *sink);

/* What the child is told. */
struct measurement {
    const char *text;
    enum kgen_isa isa;
    size_t bytes;
    int threads;
};

struct result {
    bool measured;
    double one_thread, all_threads;
    struct kgen_error error;
};

/* The context of the child's job and of its report. */
struct exchange {
    struct measurement task;
    struct result result;
};

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* TinyCC's lowering knows the vectors of x86-64 only. */
static enum kgen_isa widest_of_tcc(const struct kgen_machine *machine)
{
    enum kgen_isa isa = kgen_machine_best_isa(machine);
    return isa == KGEN_ISA_AVX512 || isa == KGEN_ISA_AVX2 ? isa : KGEN_ISA_SCALAR;
}

static int instantiate(const struct kgen_templates *templates, enum kgen_isa isa, struct kgen_text *text,
                       struct kgen_error *error)
{
    const struct kgen_template *tmpl = kgen_templates_find(templates, TEMPLATE_NAME);
    if (tmpl == NULL)
        return kgen_error_set(error, KGEN_ERROR_TEMPLATE, NULL, 0, 0,
                              "there is no template " TEMPLATE_NAME " to measure the bandwidth with");
    if ((kgen_template_isas(tmpl) >> isa & 1) == 0)
        return kgen_error_set(error, KGEN_ERROR_TEMPLATE, NULL, 0, 0,
                              "the template " TEMPLATE_NAME " is not written for %s",
                              kgen_isa_info(isa)->name);
    struct kgen_bindings bindings = {0};
    const struct kgen_isa_info *info = kgen_isa_info(isa);
    kgen_bind_text(&bindings, "function", FUNCTION_NAME);
    kgen_bind_value(&bindings, "isa", isa);
    for (int i = 0; i < KGEN_ISA_COUNT; i++)
        kgen_bind_value(&bindings, kgen_isa_info((enum kgen_isa)i)->name, i);
    kgen_bind_value(&bindings, "vector_bytes", info->vector_bytes);
    kgen_bind_value(&bindings, "lanes", info->vector_bytes / 4);
    kgen_bind_value(&bindings, "registers", info->registers);
    int result = bindings.failed ? kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory")
                                 : kgen_template_instantiate(tmpl, &bindings, text, error);
    kgen_bindings_free(&bindings);
    return result;
}

/* Reads the whole buffer once, each thread its part. Returns bytes per second. */
static double read_once(read_function *read, const uint8_t *data, size_t bytes, int threads,
                        uint8_t (*sinks)[SINK_BYTES])
{
    double begin = seconds_now();
#pragma omp parallel num_threads(threads)
    {
        const size_t count = (size_t)omp_get_num_threads(), index = (size_t)omp_get_thread_num();
        const size_t part = bytes / count / PART_MULTIPLE * PART_MULTIPLE;
        read(data + index * part, index + 1 < count ? part : bytes - index * part, sinks[index]);
    }
    return (double)bytes / (seconds_now() - begin);
}

/* The best pass: what the memory can do, not what else the machine was doing. */
static double read_best(read_function *read, const uint8_t *data, size_t bytes, int threads,
                        uint8_t (*sinks)[SINK_BYTES])
{
    double best = read_once(read, data, bytes, threads, sinks);
    for (size_t i = 1; i < PASSES; i++) {
        const double pass = read_once(read, data, bytes, threads, sinks);
        best = pass > best ? pass : best;
    }
    return best;
}

/* Memory that is really there: pages never written would all be one page of zeros. */
static uint8_t *make_buffer(size_t bytes, int threads, struct kgen_error *error)
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
    uint8_t *begin = data;
#pragma omp parallel for num_threads(threads)
    for (size_t i = 0; i < bytes / PART_MULTIPLE; i++)
        memset(begin + i * PART_MULTIPLE, (int)(i & 127) + 1, PART_MULTIPLE);
    return data;
}

static void measure(read_function *read, const struct measurement *task, struct result *result)
{
    uint8_t(*sinks)[SINK_BYTES] = aligned_alloc(SINK_BYTES, (size_t)task->threads * SINK_BYTES);
    if (sinks == NULL) {
        kgen_error_set(&result->error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
        return;
    }
    uint8_t *data = make_buffer(task->bytes, task->threads, &result->error);
    if (data != NULL) {
        result->one_thread = read_best(read, data, task->bytes, 1, sinks);
        result->all_threads = task->threads == 1 ? result->one_thread
                                                 : read_best(read, data, task->bytes, task->threads, sinks);
        result->measured = true;
        munmap(data, task->bytes);
    }
    free(sinks);
}

static void work(size_t index, void *shared, struct kgen_worker *worker, void *context)
{
    (void)index;
    const struct exchange *exchange = context;
    const struct measurement *task = &exchange->task;
    struct result *result = shared;
    kgen_worker_stage(worker, "read_bandwidth", LIMIT_SECONDS);
    struct kgen_code *code =
        kgen_jit_compile(KGEN_ENGINE_TCC, TEMPLATE_NAME, task->text, task->isa, NULL, &result->error);
    if (code == NULL)
        return;
    void *symbol = kgen_code_symbol(code, FUNCTION_NAME);
    read_function *read;
    memcpy(&read, &symbol, sizeof read);
    if (read != NULL)
        measure(read, task, result);
    else
        kgen_error_set(&result->error, KGEN_ERROR_COMPILE, TEMPLATE_NAME, 0, 0,
                       "the compiled template has no function " FUNCTION_NAME);
    kgen_code_free(code);
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
                       "measuring the read bandwidth took more than %.0f seconds", LIMIT_SECONDS);
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
    return (bytes + PART_MULTIPLE - 1) / PART_MULTIPLE * PART_MULTIPLE;
}

int kgen_bandwidth_measure(const struct kgen_machine *machine, const struct kgen_templates *templates,
                           int threads, struct kgen_bandwidth *bandwidth, struct kgen_error *error)
{
    struct exchange exchange = {0};
    exchange.task.isa = widest_of_tcc(machine);
    exchange.task.bytes = buffer_bytes(machine);
    exchange.task.threads = threads;
    struct kgen_text text = {0};
    if (threads < 1)
        return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "the bandwidth of %d threads", threads);
    if (instantiate(templates, exchange.task.isa, &text, error) != 0) {
        kgen_text_free(&text);
        return -1;
    }
    exchange.task.text = text.data;
    const struct kgen_worker_options options = {.limit_seconds = LIMIT_SECONDS};
    int result = kgen_workers_run(&options, 1, sizeof(struct result), work, take_result, &exchange, error);
    kgen_text_free(&text);
    if (result != 0)
        return -1;
    if (!exchange.result.measured) {
        if (error != NULL && error->code == KGEN_ERROR_NONE)
            *error = exchange.result.error;
        return -1;
    }
    *bandwidth = (struct kgen_bandwidth){threads, exchange.result.one_thread, exchange.result.all_threads};
    return 0;
}
