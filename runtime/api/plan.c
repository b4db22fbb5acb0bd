/* SPDX-License-Identifier: MIT */
/* Making plans. */
#include "runtime/api/plan.h"

#include "runtime/tune/timing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The part of a time limit that is reserved for compiling and checking the functions: for all, and for each.
 */
static const double reserve_seconds = 0.05, reserve_each_seconds = 0.008;

struct making {
    struct kgen_context *context;
    struct kgen_plan *plan;
    struct kgen_selection *selections; /* as many as the plan has functions */
    struct kgen_selected *choices;
    struct kgen_load *loads;
    size_t *asked; /* the functions of a round */
    bool *served;
    double begin;
    struct kgen_error error;
};

static int fail_memory(struct kgen_error *error)
{
    return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
}

static int open_function(struct making *making, size_t index, const struct kgen_spec_entry *entry)
{
    struct kgen_function *function = &making->plan->functions[index];
    struct kgen_problem problem = entry->problem;
    problem.threads = kgen_tune_threads(&problem, making->context->settings.threads);
    function->kernel.problem = problem;
    function->calls = (double)entry->calls;
    kgen_problem_name(&problem, &function->name);
    kgen_problem_write(&problem, &function->problem_text);
    kgen_text_puts(&function->tensors, entry->tensors != NULL ? entry->tensors : "");
    if (function->name.failed || function->problem_text.failed || function->tensors.failed)
        return fail_memory(&making->error);
    return kgen_selection_open(&making->selections[index], making->context, &function->kernel.problem,
                               function->problem_text.data, &making->error);
}

static int open_making(struct making *making, const struct kgen_spec *spec)
{
    const size_t count = spec->count;
    making->plan = calloc(1, sizeof *making->plan);
    if (making->plan == NULL)
        return fail_memory(&making->error);
    making->plan->functions = calloc(count + 1, sizeof *making->plan->functions);
    making->plan->pages = calloc(KGEN_ORIGIN_GENERIC + 1, sizeof *making->plan->pages);
    making->selections = calloc(count + 1, sizeof *making->selections);
    making->choices = calloc(count + 1, sizeof *making->choices);
    making->loads = calloc(count + 1, sizeof *making->loads);
    making->asked = calloc(count + 1, sizeof *making->asked);
    making->served = calloc(count + 1, sizeof *making->served);
    if (making->plan->functions == NULL || making->plan->pages == NULL || making->selections == NULL ||
        making->choices == NULL || making->loads == NULL || making->asked == NULL || making->served == NULL)
        return fail_memory(&making->error);
    making->plan->count = count;
    for (size_t i = 0; i < count; i++) {
        if (open_function(making, i, &spec->entries[i]) != 0)
            return -1;
    }
    return 0;
}

static void close_making(struct making *making)
{
    for (size_t i = 0; making->selections != NULL && making->plan != NULL && i < making->plan->count; i++)
        kgen_selection_close(&making->selections[i]);
    free(making->selections);
    free(making->choices);
    free(making->loads);
    free(making->asked);
    free(making->served);
}

static bool is_cancelled(const struct kgen_context *context)
{
    return kgen_is_cancelled(context->settings.cancel);
}

/* Sets the best of each selection from the cache, or else by a search. */
static int find_best(struct making *making)
{
    const struct kgen_settings *settings = &making->context->settings;
    const bool searches = settings->effort > KGEN_ESTIMATE && !settings->cache_only;
    size_t wanting = 0;
    for (size_t i = 0; i < making->plan->count; i++)
        wanting += !kgen_selection_recorded(
            &making->selections[i], searches ? kgen_context_effort(making->context) : KGEN_EFFORT_ESTIMATE,
            !searches);
    if (wanting == 0 || !searches)
        return 0;
    const double begin = kgen_clock();
    double deadline = 0;
    if (settings->seconds > 0)
        deadline = making->begin + settings->seconds - reserve_seconds -
                   reserve_each_seconds * (double)making->plan->count;
    const int result = settings->seconds > 0 && deadline <= begin
                           ? 1
                           : kgen_plan_search(making->context, making->selections, making->plan->count,
                                              deadline, &making->error);
    making->plan->facts.search_seconds = kgen_clock() - begin;
    making->plan->facts.time_was_up = result == 1;
    /* Where the time did not suffice for a search, an earlier winner is better than none. */
    for (size_t i = 0; i < making->plan->count; i++) {
        if (!making->selections[i].has_best)
            kgen_selection_recorded(&making->selections[i], KGEN_EFFORT_ESTIMATE, true);
    }
    return result < 0 ? -1 : 0;
}

/* Writes the text of a problem without its number of rows. */
static void write_kind(const struct kgen_problem *problem, struct kgen_text *text)
{
    struct kgen_problem kind = *problem;
    kgen_problem_set_range(&kind, 1);
    kgen_text_clear(text);
    kgen_problem_write(&kind, text);
}

/* Gives each selection without a best a sibling: the one of the nearest number of rows. */
static int find_siblings(struct making *making)
{
    const struct kgen_plan *plan = making->plan;
    struct kgen_text wanted = {0}, text = {0};
    for (size_t i = 0; i < plan->count; i++) {
        if (making->selections[i].has_best)
            continue;
        const double bytes = kgen_problem_bytes(making->selections[i].problem);
        double least = 0;
        write_kind(making->selections[i].problem, &wanted);
        for (size_t j = 0; j < plan->count && !wanted.failed; j++) {
            const struct kgen_selection *other = &making->selections[j];
            write_kind(other->problem, &text);
            if (!other->has_best || text.failed || strcmp(text.data, wanted.data) != 0)
                continue;
            const double distance = fabs(kgen_problem_bytes(other->problem) - bytes);
            if (making->selections[i].sibling == NULL || distance < least) {
                making->selections[i].sibling = &other->best.variant;
                least = distance;
            }
        }
    }
    const bool failed = wanted.failed || text.failed;
    kgen_text_free(&wanted);
    kgen_text_free(&text);
    return failed ? fail_memory(&making->error) : 0;
}

static enum kgen_check check_of(const struct making *making, enum kgen_origin origin)
{
    if (origin > KGEN_ORIGIN_TUNED)
        return KGEN_CHECK_FULL;
    return making->context->settings.no_check ? KGEN_CHECK_NONE : KGEN_CHECK_QUICK;
}

static void log_choice(const struct making *making, const struct kgen_function *function)
{
    char speed[96] = "not timed";
    const double bytes = kgen_problem_bytes(&function->kernel.problem);
    if (function->seconds > 0)
        snprintf(speed, sizeof speed, "%.2f us, %.1f GB/s", function->seconds * 1e6,
                 bytes / function->seconds * 1e-9);
    kgen_context_log(making->context, KGEN_LOG_CHOICE, "%s: %s (%s), %s, error %.3f of its bound",
                     function->name.data, function->variant.data, kgen_origin_name(function->origin), speed,
                     function->error_of_bound);
}

static void log_text(const struct making *making, size_t index)
{
    if (making->context->verbose < KGEN_LOG_TEXT)
        return;
    struct kgen_text text = {0};
    const struct kgen_function *function = &making->plan->functions[index];
    if (kgen_variant_text(&making->choices[index].variant, &function->kernel.problem, "kernel", &text,
                          NULL) == 0)
        kgen_context_log(making->context, KGEN_LOG_TEXT, "%s is\n%s", function->name.data, text.data);
    kgen_text_free(&text);
}

/* Stores the result of a round for one function, where it passed. */
static int take(struct making *making, size_t index, const struct kgen_load *load)
{
    struct kgen_function *function = &making->plan->functions[index];
    const struct kgen_selected *choice = &making->choices[index];
    kgen_text_clear(&function->variant);
    kgen_variant_name(&choice->variant, &function->variant);
    if (function->variant.failed)
        return fail_memory(&making->error);
    if (load->verification.verdict != KGEN_PASSED) {
        kgen_context_log(making->context, KGEN_LOG_WARNING, "%s: %s (%s) is passed over: %s%s%s",
                         function->name.data, function->variant.data, kgen_origin_name(choice->origin),
                         kgen_verdict_name(load->verification.verdict),
                         load->verification.detail[0] != '\0' ? ": " : "", load->verification.detail);
        return 0;
    }
    making->served[index] = true;
    function->kernel = load->kernel;
    function->origin = choice->origin;
    function->isa = choice->variant.isa;
    function->seconds = choice->seconds;
    function->checked = load->check != KGEN_CHECK_NONE;
    function->error_of_bound = choice->error_of_bound > load->verification.error_of_bound
                                   ? choice->error_of_bound
                                   : load->verification.error_of_bound;
    struct kgen_plan_facts *facts = &making->plan->facts;
    facts->recorded += choice->origin == KGEN_ORIGIN_RECORD;
    facts->searched += choice->origin == KGEN_ORIGIN_TUNED;
    facts->fallbacks += choice->origin > KGEN_ORIGIN_TUNED;
    log_choice(making, function);
    log_text(making, index);
    return 0;
}

static int fail_unserved(struct making *making, size_t index)
{
    const struct kgen_function *function = &making->plan->functions[index];
    if (making->selections[index].variants.count == 0)
        return kgen_error_set(&making->error, KGEN_ERROR_CANDIDATE, NULL, 0, 0,
                              "no template solves %s on this machine", function->name.data);
    kgen_error_set(&making->error, KGEN_ERROR_CANDIDATE, NULL, 0, 0, "no variant of %s passed its check: %s",
                   function->name.data, making->loads[index].verification.detail);
    kgen_error_hint(&making->error, "KGEN_VERBOSE=1 shows how each failed");
    return -1;
}

/* One round: tries the next variant of every function that has none yet. Returns 1 where all are served, -1
 * on an error, else 0. */
static int run_round(struct making *making)
{
    struct kgen_plan *plan = making->plan;
    size_t count = 0;
    for (size_t i = 0; i < plan->count; i++) {
        if (making->served[i])
            continue;
        if (!kgen_selection_next(&making->selections[i], &making->choices[i]))
            return fail_unserved(making, i);
        making->asked[count] = i;
        making->loads[count++] = (struct kgen_load){.problem = &plan->functions[i].kernel.problem,
                                                    .variant = &making->choices[i].variant,
                                                    .check = check_of(making, making->choices[i].origin)};
    }
    if (count == 0)
        return 1;
    struct kgen_code_pages *pages = &plan->pages[plan->page_count++];
    if (kgen_kernels_load(making->loads, count, making->context->settings.threads,
                          making->context->settings.cancel, pages, &making->error) != 0)
        return -1;
    plan->facts.code_bytes += pages->used;
    for (size_t i = 0; i < count; i++) {
        if (take(making, making->asked[i], &making->loads[i]) != 0)
            return -1;
    }
    return 0;
}

static int make(struct making *making, const struct kgen_spec *spec)
{
    if (open_making(making, spec) != 0 || find_best(making) != 0 || find_siblings(making) != 0)
        return -1;
    if (is_cancelled(making->context))
        return -1;
    int result;
    do {
        result = run_round(making);
    } while (result == 0);
    making->plan->facts.seconds = kgen_clock() - making->begin;
    return result == 1 ? 0 : -1;
}

/* Makes the plan of a spec, which is NULL where reading it has filled error. Frees the spec. */
static struct kgen_plan *plan_new(struct kgen_context *context, struct kgen_spec *spec, double begin,
                                  const struct kgen_error *spec_error, struct kgen_status *status)
{
    if (spec == NULL) {
        kgen_status_from(status, spec_error);
        return NULL;
    }
    for (size_t i = 0; i < spec->warning_count; i++)
        kgen_context_log(context, KGEN_LOG_WARNING, "%s: %s", spec->name, spec->warnings[i]);
    struct making making = {.context = context, .begin = begin};
    const int result = make(&making, spec);
    close_making(&making);
    kgen_spec_free(spec);
    if (result == 0)
        return making.plan;
    kgen_plan_free(making.plan);
    if (is_cancelled(context))
        kgen_status_set(status, KGEN_CANCELLED, "cancelled; what was learned is kept");
    else
        kgen_status_from(status, &making.error);
    return NULL;
}

struct kgen_plan *kgen_plan_file(struct kgen_context *context, const char *path, struct kgen_status *status)
{
    struct kgen_error error = {0};
    const double begin = kgen_clock();
    return plan_new(context, kgen_spec_read(path, NULL, &error), begin, &error, status);
}

struct kgen_plan *kgen_plan_text(struct kgen_context *context, const char *name, const char *text,
                                 size_t length, struct kgen_status *status)
{
    struct kgen_error error = {0};
    const double begin = kgen_clock();
    return plan_new(context, kgen_spec_parse(name, text, length, NULL, &error), begin, &error, status);
}

void kgen_plan_free(struct kgen_plan *plan)
{
    if (plan == NULL)
        return;
    for (size_t i = 0; i < plan->count; i++) {
        struct kgen_function *function = &plan->functions[i];
        kgen_text_free(&function->name);
        kgen_text_free(&function->problem_text);
        kgen_text_free(&function->tensors);
        kgen_text_free(&function->variant);
    }
    for (size_t i = 0; i < plan->page_count; i++)
        kgen_code_pages_free(&plan->pages[i]);
    free(plan->functions);
    free(plan->pages);
    free(plan);
}

size_t kgen_plan_count(const struct kgen_plan *plan)
{
    return plan->count;
}

const struct kgen_function *kgen_plan_at(const struct kgen_plan *plan, size_t index)
{
    return index < plan->count ? &plan->functions[index] : NULL;
}

void kgen_plan_query(const struct kgen_plan *plan, struct kgen_plan_facts *facts, size_t size)
{
    memset(facts, 0, size);
    memcpy(facts, &plan->facts, size < sizeof plan->facts ? size : sizeof plan->facts);
}
