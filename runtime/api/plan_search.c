/* SPDX-License-Identifier: MIT */
/* The search of a plan: time is shared out evenly among the problems, and what one leaves over goes to the
 * next ones. The cheap ones come first, as they leave most. */
#include "runtime/api/plan.h"

#include "runtime/tune/internal.h"
#include "runtime/tune/timing.h"

#include <stdlib.h>

/* A problem is left out where its set-up alone takes this many times its share of the time. */
#define LEAST_SHARES 4
/* No pass begins with less time than this. */
#define LEAST_SECONDS 0.1

static int compare_bytes(const void *a, const void *b)
{
    const struct kgen_selection *const *left = a, *const *right = b;
    const double left_bytes = kgen_problem_bytes((*left)->problem);
    const double right_bytes = kgen_problem_bytes((*right)->problem);
    return (left_bytes > right_bytes) - (left_bytes < right_bytes);
}

static void log_candidate(void *context, const struct kgen_problem *problem, const struct kgen_record *record,
                          unsigned done, unsigned total)
{
    if (record != NULL)
        kgen_context_log(context, KGEN_LOG_CANDIDATE, "candidate %u of %u: %s: %s%s%s, %.2f us", done, total,
                         record->variant, kgen_verdict_name(record->verdict),
                         record->detail[0] != '\0' ? ": " : "", record->detail,
                         kgen_record_seconds(problem, record) * 1e6);
}

static void log_message(void *context, int level, const char *message)
{
    kgen_context_log(context, level, "%s", message);
}

/* Estimates the seconds that it takes to allocate and fill the memory for timing a problem. The system's page
 * faults take most of them.
 */
static double setup_seconds(const struct kgen_context *context, const struct kgen_tuner *tuner,
                            const struct kgen_problem *problem)
{
    const double bytes_each_second = 4e8;
    const double bytes =
        2 * ((double)kgen_machine_last_level_cache(&context->machine) + kgen_problem_bytes(problem));
    return bytes <= (double)tuner->buffers.arena_bytes ? 0 : bytes / bytes_each_second;
}

/* Searches one problem until kgen_clock reaches a time (0: no limit). */
static int search_one(struct kgen_context *context, struct kgen_tuner *tuner,
                      struct kgen_selection *selection, double until, struct kgen_error *error)
{
    struct kgen_choice choice;
    tuner->options.time_limit_seconds = until > 0 ? until - tuner->start : 0;
    const int result = kgen_tune(tuner, selection->problem, log_candidate, context, &choice, error);
    if (result >= 0 && choice.variant.tmpl != NULL) {
        selection->best = (struct kgen_selected){
            choice.variant,
            choice.from_cache && !selection->has_best ? KGEN_ORIGIN_RECORD : KGEN_ORIGIN_TUNED,
            choice.record.error_of_bound, kgen_record_seconds(selection->problem, &choice.record)};
        selection->has_best = true;
    }
    return result;
}

static bool is_cancelled(const struct kgen_context *context)
{
    return kgen_is_cancelled(context->settings.cancel);
}

/* Searches each problem once. order and count keep those that are not finished. Returns the number of
 * problems that were searched, or -1. */
static int search_pass(struct kgen_context *context, struct kgen_tuner *tuner, struct kgen_selection **order,
                       size_t *count, double deadline, struct kgen_error *error)
{
    int searched = 0;
    size_t left = 0;
    for (size_t i = 0; i < *count; i++) {
        const double now = kgen_clock();
        const double share = (deadline - now) / (double)(*count - i);
        const bool limited = deadline > 0;
        struct kgen_selection *selection = order[i];
        order[left++] = selection;
        if (is_cancelled(context) || (limited && now >= deadline) ||
            (limited && setup_seconds(context, tuner, selection->problem) > LEAST_SHARES * share))
            continue;
        const int result = search_one(context, tuner, selection, limited ? now + share : 0, error);
        if (result < 0)
            return -1;
        searched++;
        left -= result == 0;
    }
    *count = left;
    return searched;
}

/* Makes passes until every problem is finished or the time is up: time that one pass leaves is used by the
 * next. */
static int search_all(struct kgen_context *context, struct kgen_tuner *tuner, struct kgen_selection **order,
                      size_t count, double deadline, struct kgen_error *error)
{
    int searched;
    do {
        searched = search_pass(context, tuner, order, &count, deadline, error);
    } while (searched > 0 && count > 0 && !is_cancelled(context) && kgen_clock() + LEAST_SECONDS < deadline);
    return searched < 0 ? -1 : count > 0;
}

int kgen_plan_search(struct kgen_context *context, struct kgen_selection *selections, size_t count,
                     double deadline, struct kgen_error *error)
{
    const struct kgen_tune_options options = {
        .effort = kgen_context_effort(context),
        .engine = KGEN_ENGINE_TCC,
        .threads = context->settings.threads,
        .cancel = context->settings.cancel,
        .seed = KGEN_PROOF_SEED,
        .log = log_message,
        .log_context = context,
    };
    struct kgen_selection **order = calloc(count + 1, sizeof(struct kgen_selection *));
    if (order == NULL)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    size_t wanting = 0;
    for (size_t i = 0; i < count; i++) {
        if (!selections[i].has_best)
            order[wanting++] = &selections[i];
    }
    int result = -1;
    struct kgen_tuner *tuner =
        kgen_tuner_new(context->templates, &context->machine, context->cache, &options, error);
    if (tuner != NULL) {
        for (size_t i = 0; i < count; i++) {
            if (selections[i].has_best)
                kgen_tuner_note(tuner, selections[i].problem, &selections[i].best.variant);
        }
        qsort(order, wanting, sizeof(struct kgen_selection *), compare_bytes);
        result = search_all(context, tuner, order, wanting, deadline, error);
    }
    kgen_tuner_free(tuner);
    free(order);
    return result;
}
