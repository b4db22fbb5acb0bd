/* SPDX-License-Identifier: MIT */
/* The stages of the proof: each looks at all that is changed before the next begins. */
#include "runtime/command/interrupt.h"
#include "runtime/command/try/try.h"

static const struct {
    const char *name;
    enum kgen_proof_part part;
} stages[KGEN_TRY_STAGES] = {{"smoke", KGEN_PROVE_SMOKE},
                             {"shapes", KGEN_PROVE_SHAPES},
                             {"stability", KGEN_PROVE_SPECIAL},
                             {"determinism", KGEN_PROVE_REPEATABILITY},
                             /* the proof as tuning has it: all of the above, and the edges */
                             {"edges", KGEN_PROVE_ALL}};

void kgen_try_name_stages(struct kgen_try *trial)
{
    for (size_t i = 0; i < KGEN_TRY_STAGES; i++) {
        trial->stages[i].name = stages[i].name;
        trial->stages[i].part = stages[i].part;
    }
}

static void describe_failure(struct kgen_try *trial, struct kgen_try_stage *stage,
                             const struct kgen_try_pair *pair)
{
    const struct kgen_verification *failed = &stage->proof.verification;
    kgen_variant_name(&pair->variants.items[stage->proof.variant], &stage->where);
    kgen_text_printf(&stage->where, ", problem %zu: ", pair->problem + 1);
    kgen_problem_describe(&trial->problems[pair->problem].entry->problem, &stage->where);
    kgen_try_because(trial, "%s: %s: %s: %s", stage->name, stage->where.failed ? "" : stage->where.data,
                     kgen_verdict_name(failed->verdict), failed->detail);
}

/* Proves the variants of a changed template for a problem. */
static int prove_pair(struct kgen_try *trial, struct kgen_try_stage *stage, const struct kgen_try_pair *pair,
                      struct kgen_error *error)
{
    struct kgen_try_problem *problem = &trial->problems[pair->problem];
    const struct kgen_trial_options options = {.machine = &trial->session.machine,
                                               .templates = trial->with,
                                               .threads = trial->session.threads,
                                               .seed = KGEN_PROOF_SEED,
                                               .cancel = &kgen_interrupted};
    const size_t passed = stage->proof.passed;
    if (problem->cases == NULL)
        problem->cases = kgen_verify_cases_new(&problem->entry->problem, KGEN_PROOF_SEED, error);
    if (problem->cases == NULL)
        return -1;
    const int result =
        kgen_trial_prove(&options, &problem->entry->problem, problem->cases, pair->variants.items,
                         pair->variants.count, stage->part, &stage->proof, error);
    if (result != 0)
        return result;
    if (stage->proof.failed) {
        describe_failure(trial, stage, pair);
        return 1;
    }
    if (stage->proof.passed > passed)
        return 0;
    kgen_text_puts(&stage->where, kgen_template_name(pair->tmpl));
    kgen_try_because(trial, "%s: no variant of %s is a candidate for problem %zu on this machine",
                     stage->name, kgen_template_name(pair->tmpl), pair->problem + 1);
    stage->proof.failed = true;
    stage->proof.verification.verdict = KGEN_NO_CANDIDATE;
    return 1;
}

int kgen_try_prove(struct kgen_try *trial, struct kgen_error *error)
{
    int result = 0;
    for (size_t i = 0; i < KGEN_TRY_STAGES && result == 0; i++) {
        struct kgen_try_stage *stage = &trial->stages[i];
        stage->begun = true;
        for (size_t j = 0; j < trial->pair_count && result == 0; j++)
            result = prove_pair(trial, stage, &trial->pairs[j], error);
        if (result == 0 && !trial->options.quiet)
            kgen_say("kgen: %s: %zu variant%s passed", stage->name, stage->proof.passed,
                     kgen_plural(stage->proof.passed));
    }
    for (size_t i = 0; i < trial->problem_count; i++) {
        kgen_verify_cases_free(trial->problems[i].cases);
        trial->problems[i].cases = NULL;
    }
    return result;
}
