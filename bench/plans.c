/* SPDX-License-Identifier: MIT */
/* `make bench-plans`: what efforts and time limits buy. Makes a plan of a spec for each argument, each from
 * an empty cache, and says how long that took, and how long the next start-ups take from the cache it left.
 * Then times the functions of all plans against each other in turns, problem by problem.
 *
 *     plans SPEC EFFORT[:SECONDS]...
 *
 * Times are over those of the first plan. */
#define _GNU_SOURCE /* nftw, mkdtemp */
#include "runtime/api/plan.h"
#include "runtime/process/worker.h"
#include "runtime/tune/contest.h"

#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STARTS = 31, ROUNDS = 31 };

struct entrant {
    const char *name;
    char folder[64];
    struct kgen_settings settings;
    struct kgen_plan *plan;
    double sum, spread; /* of the logarithms of time ratios, and of their magnitudes */
};

struct times {
    double seconds[KGEN_CONTESTANTS], read_seconds;
};

/* The functions of all entrants for one problem. */
struct heat {
    struct kgen_contest contest;
    struct kgen_contestant contestants[KGEN_CONTESTANTS];
    size_t count;
    struct times times;
    bool done;
};

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

static int parse(struct entrant *entrant, const char *name)
{
    char effort[32];
    const char *colon = strchr(name, ':');
    const int length = colon != NULL ? (int)(colon - name) : (int)strlen(name);
    snprintf(effort, sizeof effort, "%.*s", length, name);
    *entrant = (struct entrant){.name = name, .folder = "/tmp/kgen-plans-XXXXXX"};
    kgen_settings_init(&entrant->settings, sizeof entrant->settings);
    entrant->settings.cache_folder = entrant->folder;
    if (colon != NULL)
        entrant->settings.seconds = atof(colon + 1);
    enum kgen_search_effort parsed;
    if (kgen_effort_parse(effort, &parsed) != 0)
        return -1;
    entrant->settings.effort = (enum kgen_effort)parsed;
    return 0;
}

/* Opens a context, makes the plan, and says how long both took together. */
static struct kgen_plan *start(const struct kgen_settings *settings, const char *spec, double *seconds,
                               struct kgen_status *status)
{
    const double begin = kgen_clock();
    struct kgen_context *context = kgen_open(settings, status);
    struct kgen_plan *plan = context != NULL ? kgen_plan_file(context, spec, status) : NULL;
    *seconds = kgen_clock() - begin;
    kgen_close(context);
    return plan;
}

static int make_plan(struct entrant *entrant, const char *spec, struct kgen_status *status)
{
    double cold, warm[STARTS];
    if (mkdtemp(entrant->folder) == NULL)
        return -1;
    entrant->plan = start(&entrant->settings, spec, &cold, status);
    if (entrant->plan == NULL)
        return -1;
    struct kgen_settings cached = entrant->settings;
    cached.cache_only = 1;
    for (int i = 0; i < STARTS; i++) {
        struct kgen_plan *plan = start(&cached, spec, &warm[i], status);
        if (plan == NULL)
            return -1;
        kgen_plan_free(plan);
    }
    struct kgen_plan_facts facts;
    kgen_plan_query(entrant->plan, &facts, sizeof facts);
    const double median = kgen_median(warm, STARTS); /* which sorts */
    printf("%-16s %8.3f s from an empty cache: %zu problems, %zu tuned, %zu fallbacks%s; "
           "%.1f ms from its cache (%.1f to %.1f)\n",
           entrant->name, cold, entrant->plan->count, facts.searched, facts.fallbacks,
           facts.time_was_up ? ", time was up" : "", median * 1e3, warm[0] * 1e3, warm[STARTS - 1] * 1e3);
    return 0;
}

/* In the child. */
static void run_heat(size_t index, void *memory, struct kgen_worker *worker, void *context)
{
    (void)index;
    struct heat *heat = context;
    struct times *times = memory;
    kgen_worker_stage(worker, "time", 600);
    if (kgen_contest_run(&heat->contest, heat->contestants, heat->count, &times->read_seconds, NULL) != 0)
        return;
    for (size_t i = 0; i < heat->count; i++)
        times->seconds[i] = heat->contestants[i].seconds;
}

static int take_times(size_t index, const struct kgen_outcome *outcome, const void *times, void *context)
{
    (void)index;
    struct heat *heat = context;
    memcpy(&heat->times, times, sizeof heat->times);
    heat->done = outcome->kind == KGEN_OUTCOME_DONE && heat->times.seconds[0] > 0;
    return 0;
}

static void print_heat(const struct heat *heat, struct entrant *entrants,
                       const struct kgen_function *function)
{
    printf("%-44s", function->name.data);
    for (size_t i = 0; i < heat->count; i++) {
        const double ratio = heat->times.seconds[i] / heat->times.seconds[0];
        entrants[i].sum += log(ratio);
        entrants[i].spread += fabs(log(ratio));
        printf(" %10.2f us %5.3f", heat->times.seconds[i] * 1e6, ratio);
    }
    printf("\n");
}

/* Problem by problem. */
static int compare(struct entrant *entrants, size_t count, struct kgen_error *error)
{
    struct kgen_machine machine;
    struct kgen_timing_buffers buffers = {0};
    kgen_machine_detect(&machine);
    struct kgen_templates *templates = kgen_templates_open(NULL, "c", error);
    int result = templates != NULL ? 0 : -1;
    for (size_t index = 0; result == 0 && index < entrants[0].plan->count; index++) {
        struct heat heat = {
            .contest = {.machine = &machine, .templates = templates, .buffers = &buffers, .rounds = ROUNDS},
            .count = count};
        for (size_t i = 0; i < count; i++)
            heat.contestants[i].kernel = entrants[i].plan->functions[index].kernel;
        const struct kgen_problem *problem = &heat.contestants[0].kernel.problem;
        const struct kgen_worker_options options = {.limit_seconds = 600};
        if (kgen_timing_buffers_fill(&buffers, problem, kgen_machine_last_level_cache(&machine), 1, error) !=
                0 ||
            kgen_workers_run(&options, 1, sizeof(struct times), run_heat, take_times, &heat, error) != 0)
            result = -1;
        else if (!heat.done)
            result = kgen_error_set(error, KGEN_ERROR_CANDIDATE, NULL, 0, 0, "a contest ended its process");
        else
            print_heat(&heat, entrants, &entrants[0].plan->functions[index]);
    }
    kgen_timing_buffers_free(&buffers);
    kgen_templates_free(templates);
    return result;
}

int main(int argc, char **argv)
{
    struct entrant entrants[KGEN_CONTESTANTS];
    struct kgen_status status = {0};
    struct kgen_error error = {0};
    const size_t count = argc > 2 ? (size_t)argc - 2 : 0;
    if (count == 0 || count > KGEN_CONTESTANTS) {
        fprintf(stderr, "usage: plans SPEC EFFORT[:SECONDS]... (at most %d)\n", KGEN_CONTESTANTS);
        return 2;
    }
    for (size_t i = 0; i < count; i++) {
        if (parse(&entrants[i], argv[i + 2]) != 0) {
            fprintf(stderr, "plans: no effort: %s\n", argv[i + 2]);
            return 2;
        }
    }
    int result = 0;
    for (size_t i = 0; result == 0 && i < count; i++)
        result = make_plan(&entrants[i], argv[1], &status);
    if (result == 0)
        result = compare(entrants, count, &error);
    if (status.code != KGEN_OK || error.code != KGEN_ERROR_NONE) {
        char text[1024];
        fprintf(stderr, "plans: %s\n",
                status.code != KGEN_OK ? kgen_status_format(&status, text, sizeof text)
                                       : kgen_error_format(&error, text, sizeof text));
    } else if (result == 0) {
        printf("\nover %zu problems, against %s:\n", entrants[0].plan->count, entrants[0].name);
        for (size_t i = 1; i < count; i++)
            printf("  %-16s %6.1f %% of its speed (geometric mean); times differ by %.1f %%\n",
                   entrants[i].name, 100 * exp(-entrants[i].sum / (double)entrants[0].plan->count),
                   100 * (exp(entrants[i].spread / (double)entrants[0].plan->count) - 1));
    }
    for (size_t i = 0; i < count; i++) {
        if (entrants[i].plan != NULL)
            nftw(entrants[i].folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
        kgen_plan_free(entrants[i].plan);
    }
    return result == 0 ? 0 : 1;
}
