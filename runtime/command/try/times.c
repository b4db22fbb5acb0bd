/* SPDX-License-Identifier: MIT */
/* The changed templates against those in use: each side is tuned, and the best of both are timed in turns. */
#include <stdlib.h>
#include <string.h>

#include "runtime/cache/exchange.h"
#include "runtime/command/evidence.h"
#include "runtime/command/interrupt.h"
#include "runtime/command/try/try.h"

static int fail_memory(struct kgen_error *error)
{
    return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
}

/* ---- tuning ---- */

/* Tunes the problems that changed templates serve, and gives their choices. */
static int tune(struct kgen_try *trial, const struct kgen_templates *templates, struct kgen_cache *cache,
                struct kgen_choice *choices, struct kgen_error *error)
{
    const struct kgen_tune_options options = {.effort = KGEN_EFFORT_MEASURE,
                                              .engine = KGEN_ENGINE_TCC,
                                              .threads = trial->session.threads,
                                              .cancel = &kgen_interrupted,
                                              .seed = KGEN_PROOF_SEED,
                                              .log = kgen_say_log,
                                              .log_context = &trial->options};
    struct kgen_tuner *tuner = kgen_tuner_new(templates, &trial->session.machine, cache, &options, error);
    int result = tuner != NULL ? 0 : -1;
    for (size_t i = 0; i < trial->problem_count && result == 0; i++) {
        if (trial->problems[i].served)
            result = kgen_tune(tuner, &trial->problems[i].entry->problem, NULL, NULL, &choices[i], error);
    }
    kgen_tuner_free(tuner);
    return result;
}

/* Opens a cache in memory with what the session's cache knows of this machine, for the templates with the
 * change: nothing of a change that may be reverted stays in the user's cache. */
static int open_cache(struct kgen_try *trial, struct kgen_error *error)
{
    struct kgen_text lines = {0};
    struct kgen_import counts = {0};
    trial->cache = kgen_cache_open_layers(NULL, kgen_say_log, &trial->options, error);
    int result = trial->cache != NULL ? 0 : -1;
    if (result == 0 && kgen_cache_export(trial->session.cache, NULL, NULL, &lines, error) < 0)
        result = -1;
    if (result == 0)
        result = kgen_cache_import(trial->cache, lines.data != NULL ? lines.data : "", lines.length, NULL,
                                   NULL, &counts, error);
    kgen_text_free(&lines);
    return result;
}

/* ---- what is compared ---- */

/* Takes the fastest of the changed variants that were timed. */
static int find_change(struct kgen_try *trial, struct kgen_try_problem *problem, const char *engine,
                       struct kgen_error *error)
{
    const struct kgen_session with = {.machine = trial->session.machine,
                                      .templates = trial->with,
                                      .spec = trial->session.spec,
                                      .cache = trial->cache,
                                      .threads = trial->session.threads};
    struct kgen_evidence evidence = {0};
    if (kgen_evidence_collect(&with, &problem->entry->problem, engine, &evidence, error) != 0)
        return -1;
    for (size_t i = 0; i < evidence.count && problem->change.tmpl == NULL; i++) {
        const struct kgen_ranked *ranked = &evidence.records[i];
        if (ranked->record->verdict == KGEN_PASSED && ranked->seconds > 0 &&
            kgen_try_is_changed(trial, ranked->variant.tmpl))
            problem->change = ranked->variant;
    }
    kgen_evidence_free(&evidence);
    return 0;
}

/* Whether a variant has a parameter of that name, with that value as far as it matters. */
static bool has_value(const struct kgen_variant *variant, const char *name, int64_t value)
{
    for (size_t i = 0; i < kgen_template_param_count(variant->tmpl); i++) {
        if (strcmp(kgen_template_param(variant->tmpl, i)->name, name) == 0)
            return variant->values[i] == value || (variant->unused & 1u << i) != 0;
    }
    return false;
}

/* Whether the change has all parameters of a variant in use, with the same values as far as they matter. It
 * may have more of them. */
static bool has_values_of(const struct kgen_variant *change, const struct kgen_variant *variant)
{
    bool same = true;
    for (size_t i = 0; i < kgen_template_param_count(variant->tmpl) && same; i++)
        same = (variant->unused & 1u << i) != 0 ||
               has_value(change, kgen_template_param(variant->tmpl, i)->name, variant->values[i]);
    return same;
}

/* Finds what the values of the change's parameters give with a template in use, of several the one with most
 * parameters: so a luckier choice of these does not count for the change. */
static int find_same_values(const struct kgen_try *trial, const struct kgen_try_problem *problem,
                            struct kgen_variant *rival, struct kgen_error *error)
{
    const struct kgen_templates *templates = trial->session.templates;
    for (size_t i = 0; i < kgen_templates_count(templates); i++) {
        const struct kgen_template *tmpl;
        struct kgen_variants variants;
        if (kgen_templates_serving(templates, i, problem->entry->problem.op, &tmpl, error) != 0)
            return -1;
        if (tmpl == NULL || (rival->tmpl != NULL &&
                             kgen_template_param_count(tmpl) <= kgen_template_param_count(rival->tmpl)))
            continue;
        if (kgen_variants_of_template(tmpl, &problem->entry->problem, 1u << problem->change.isa, &variants,
                                      error) != 0)
            return -1;
        for (size_t j = 0; j < variants.count; j++) {
            if (has_values_of(&problem->change, &variants.items[j])) {
                *rival = variants.items[j];
                break;
            }
        }
        kgen_variants_free(&variants);
    }
    if (rival->tmpl != NULL && kgen_variant_hash(rival) == kgen_variant_hash(&problem->in_use))
        rival->tmpl = NULL;
    return 0;
}

/* A rival that no search has tried may be none: it is proven first. */
static int drop_unproven(const struct kgen_problem *problem, const struct kgen_trial_options *options,
                         struct kgen_variant *rival, struct kgen_error *error)
{
    struct kgen_trial_proof proof = {0};
    struct kgen_verify_cases *cases =
        rival->tmpl != NULL ? kgen_verify_cases_new_quick(problem, options->seed, error) : NULL;
    if (rival->tmpl == NULL || cases == NULL)
        return rival->tmpl == NULL ? 0 : -1;
    const int result = kgen_trial_prove(options, problem, cases, rival, 1, KGEN_PROVE_ALL, &proof, error);
    kgen_verify_cases_free(cases);
    if (proof.passed == 0)
        rival->tmpl = NULL;
    return result;
}

static int compare(struct kgen_try *trial, struct kgen_try_problem *problem, double seconds,
                   size_t comparisons, struct kgen_error *error)
{
    struct kgen_variant rivals[KGEN_COMPARISON_RIVALS] = {problem->in_use};
    const struct kgen_trial_options options = {.machine = &trial->session.machine,
                                               .templates = trial->with,
                                               .threads = trial->session.threads,
                                               .seed = KGEN_PROOF_SEED,
                                               .cancel = &kgen_interrupted};
    int result = find_same_values(trial, problem, &rivals[1], error);
    if (result == 0)
        result = drop_unproven(&problem->entry->problem, &options, &rivals[1], error);
    if (result == 0)
        result = kgen_trial_compare(&options, &problem->entry->problem, &problem->change, rivals,
                                    rivals[1].tmpl != NULL ? 2 : 1, seconds, comparisons,
                                    &problem->comparison, error);
    problem->compared = result == 0;
    return result;
}

/* Fills what is compared of each problem; returns how many comparisons that are. */
static int find_sides(struct kgen_try *trial, const struct kgen_choice *before,
                      const struct kgen_choice *after, size_t *comparisons, struct kgen_error *error)
{
    struct kgen_text engine = {0};
    int result = kgen_engine_describe(KGEN_ENGINE_TCC, NULL, &engine, error);
    for (size_t i = 0; i < trial->problem_count && result == 0; i++) {
        struct kgen_try_problem *problem = &trial->problems[i];
        if (!problem->served)
            continue;
        problem->in_use = before[i].variant;
        if (problem->in_use.tmpl != NULL) {
            const struct kgen_template *now =
                kgen_templates_find(trial->with, kgen_template_name(problem->in_use.tmpl));
            problem->replaced = kgen_template_hash(now) != kgen_template_hash(problem->in_use.tmpl);
        }
        if (after[i].variant.tmpl != NULL &&
            (problem->replaced || kgen_try_is_changed(trial, after[i].variant.tmpl)))
            problem->change = after[i].variant;
        else
            result = find_change(trial, problem, engine.data, error);
        *comparisons += problem->change.tmpl != NULL && problem->in_use.tmpl != NULL;
    }
    kgen_text_free(&engine);
    return result;
}

static int compare_all(struct kgen_try *trial, const struct kgen_choice *before, size_t comparisons,
                       struct kgen_error *error)
{
    int result = 0;
    for (size_t i = 0; i < trial->problem_count && result == 0; i++) {
        struct kgen_try_problem *problem = &trial->problems[i];
        if (problem->in_use.tmpl != NULL && problem->change.tmpl != NULL)
            result = compare(trial, problem, kgen_record_seconds(&problem->entry->problem, &before[i].record),
                             comparisons, error);
    }
    return result;
}

/* ---- the verdict ---- */

static void judge_problem(struct kgen_try *trial, size_t index, bool *faster, bool *slower)
{
    const struct kgen_try_problem *problem = &trial->problems[index];
    const struct kgen_comparison *comparison = &problem->comparison;
    if (problem->in_use.tmpl == NULL && problem->change.tmpl != NULL) {
        *faster = true;
        kgen_try_because(trial, "problem %zu: nothing in use solves it", index + 1);
    } else if (problem->compared && comparison->result == KGEN_COMPARISON_FASTER) {
        *faster = true;
        kgen_try_because(trial, "problem %zu: %.2f times as fast (%.2f to %.2f)", index + 1,
                         comparison->ratio, comparison->low, comparison->high);
    } else if (problem->compared && comparison->result == KGEN_COMPARISON_SLOWER && problem->replaced) {
        *slower = true;
        kgen_try_because(trial, "problem %zu: %.2f times as fast (%.2f to %.2f), and %s is replaced",
                         index + 1, comparison->ratio, comparison->low, comparison->high,
                         kgen_template_name(problem->in_use.tmpl));
    }
}

int kgen_try_time(struct kgen_try *trial, struct kgen_error *error)
{
    struct kgen_choice *before = calloc(trial->problem_count + 1, sizeof *before);
    struct kgen_choice *after = calloc(trial->problem_count + 1, sizeof *after);
    size_t comparisons = 0;
    bool faster = false, slower = false;
    int result = before != NULL && after != NULL ? 0 : fail_memory(error);
    if (result == 0)
        result = kgen_session_open_cache(&trial->session, &trial->options, error);
    if (result == 0)
        result = tune(trial, trial->session.templates, trial->session.cache, before, error);
    if (result == 0)
        result = open_cache(trial, error);
    if (result == 0)
        result = tune(trial, trial->with, trial->cache, after, error);
    if (result == 0)
        result = find_sides(trial, before, after, &comparisons, error);
    if (result == 0)
        result = compare_all(trial, before, comparisons, error);
    for (size_t i = 0; i < trial->problem_count && result == 0; i++)
        judge_problem(trial, i, &faster, &slower);
    free(before);
    free(after);
    if (result == 0 && !faster)
        kgen_try_because(trial, "on no problem is it surely faster by %.0f %%", 100 * KGEN_COMPARISON_GAIN);
    trial->keep = result == 0 && faster && !slower;
    return result != 0 ? result : !trial->keep;
}
