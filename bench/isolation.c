/* SPDX-License-Identifier: MIT */
/* `make bench-isolation`: candidates proven and timed in a second, and what it costs that they run in worker
 * processes. Tries every candidate of a spec's widest instruction set, in turns with the same in this very
 * process, where a crash would be the end: the linker puts in_this_process() in the place of
 * kgen_workers_run().
 *
 *     isolation SPEC [ROUNDS] */
#include "runtime/process/worker.h"
#include "runtime/tune/timing.h"
#include "runtime/tune/tune.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ROUNDS = 99 };

int __real_kgen_workers_run(const struct kgen_worker_options *options, size_t count, size_t result_bytes,
                            kgen_job *job, kgen_job_report *report, void *context, struct kgen_error *error);
void __real_kgen_worker_stage(struct kgen_worker *worker, const char *stage, double limit_seconds);
struct kgen_guard_list *__real_kgen_worker_guards(struct kgen_worker *worker);
int __wrap_kgen_workers_run(const struct kgen_worker_options *options, size_t count, size_t result_bytes,
                            kgen_job *job, kgen_job_report *report, void *context, struct kgen_error *error);
void __wrap_kgen_worker_stage(struct kgen_worker *worker, const char *stage, double limit_seconds);
struct kgen_guard_list *__wrap_kgen_worker_guards(struct kgen_worker *worker);

/* What the wrapped functions go by; jobs in this process get no worker. */
static bool isolated = true;
static struct kgen_guard_list guards;

void __wrap_kgen_worker_stage(struct kgen_worker *worker, const char *stage, double limit_seconds)
{
    if (worker != NULL)
        __real_kgen_worker_stage(worker, stage, limit_seconds);
}

struct kgen_guard_list *__wrap_kgen_worker_guards(struct kgen_worker *worker)
{
    return worker != NULL ? __real_kgen_worker_guards(worker) : &guards;
}

static int in_this_process(size_t count, size_t result_bytes, kgen_job *job, kgen_job_report *report,
                           void *context, struct kgen_error *error)
{
    static const struct kgen_outcome done = {.kind = KGEN_OUTCOME_DONE};
    void *result = calloc(1, result_bytes);
    if (result == NULL)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    int status = 0;
    for (size_t i = 0; status == 0 && i < count; i++) {
        memset(result, 0, result_bytes);
        job(i, result, NULL, context);
        status = report(i, &done, result, context) != 0;
    }
    free(result);
    return status;
}

int __wrap_kgen_workers_run(const struct kgen_worker_options *options, size_t count, size_t result_bytes,
                            kgen_job *job, kgen_job_report *report, void *context, struct kgen_error *error)
{
    if (!isolated)
        return in_this_process(count, result_bytes, job, report, context, error);
    return __real_kgen_workers_run(options, count, result_bytes, job, report, context, error);
}

struct round {
    double seconds;
    unsigned candidates, failed;
};

/* Every candidate of the spec, with a cache in memory alone. */
static int run_round(const struct kgen_spec *spec, const struct kgen_templates *templates,
                     const struct kgen_machine *machine, struct round *round, struct kgen_error *error)
{
    /* One share of one: all candidates are tried, and no winner is looked for. */
    const struct kgen_tune_options options = {
        .effort = KGEN_EFFORT_MEASURE, .threads = machine->threads, .seed = 1, .shards = 1};
    struct kgen_cache *cache = kgen_cache_open(NULL, NULL, NULL, error);
    struct kgen_tuner *tuner =
        cache != NULL ? kgen_tuner_new(templates, machine, cache, &options, error) : NULL;
    int result = tuner != NULL ? 0 : -1;
    *round = (struct round){.seconds = 0};
    const double begin = kgen_clock();
    for (size_t i = 0; result == 0 && i < spec->count; i++) {
        struct kgen_choice choice;
        result = kgen_tune(tuner, &spec->entries[i].problem, NULL, NULL, &choice, error);
        if (result == 0) {
            round->candidates += choice.compiled;
            round->failed += choice.failed;
        }
    }
    round->seconds = kgen_clock() - begin;
    kgen_tuner_free(tuner);
    kgen_cache_close(cache);
    return result;
}

static int run_rounds(const char *path, int rounds, struct kgen_error *error)
{
    double rates[2][MOST_ROUNDS], costs[MOST_ROUNDS];
    unsigned candidates = 0;
    struct kgen_machine machine;
    kgen_machine_detect(&machine);
    struct kgen_spec *spec = kgen_spec_read(path, NULL, error);
    struct kgen_templates *templates = spec != NULL ? kgen_templates_open(NULL, "c", error) : NULL;
    int result = templates != NULL ? 0 : -1;
    for (int i = 0; result == 0 && i < rounds; i++) {
        struct round both[2];
        for (int j = 0; result == 0 && j < 2; j++) {
            isolated = (i + j) % 2 == 0; /* each goes first as often as the other */
            struct round *round = &both[isolated];
            result = run_round(spec, templates, &machine, round, error);
            rates[isolated][i] = round->candidates / round->seconds;
        }
        costs[i] = both[1].seconds / both[0].seconds - 1;
        candidates = both[1].candidates;
        if (result == 0)
            printf("%u candidates (%u failed): %.2f s in worker processes, %.2f s in this one\n", candidates,
                   both[1].failed, both[1].seconds, both[0].seconds);
    }
    if (result == 0)
        printf("%s: %s, %d threads: %.1f candidates proven and timed in a second, %.1f without worker "
               "processes, which cost %.1f %% (medians of %d rounds)\n",
               path, machine.name, machine.threads, kgen_median(rates[1], (size_t)rounds),
               kgen_median(rates[0], (size_t)rounds), 100 * kgen_median(costs, (size_t)rounds), rounds);
    kgen_templates_free(templates);
    kgen_spec_free(spec);
    return result;
}

int main(int argc, char **argv)
{
    struct kgen_error error = {0};
    const int rounds = argc > 2 ? atoi(argv[2]) : 5;
    if (argc < 2 || rounds < 1 || rounds > MOST_ROUNDS) {
        fprintf(stderr, "usage: isolation SPEC [ROUNDS]\n");
        return 2;
    }
    if (run_rounds(argv[1], rounds, &error) != 0) {
        char text[1024];
        fprintf(stderr, "isolation: %s\n", kgen_error_format(&error, text, sizeof text));
        return 1;
    }
    return 0;
}
