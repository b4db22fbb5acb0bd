/* SPDX-License-Identifier: MIT */
/* The trial of a change to templates: the stage that sees a defect first, and what comparisons say. The times
 * are the test's. */
#include "runtime/tune/trial.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tune_fixture.h"

#define SEED UINT64_C(77)

static struct tune_fixture fixture;
static struct kgen_problem problem;

static int set_up(void **state)
{
    (void)state;
    tune_fixture_open(&fixture);
    kgen_problem_init(&problem, kgen_op_find("add"));
    kgen_problem_set(&problem, "size", 1000);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tune_fixture_close(&fixture);
    return 0;
}

/* ---- stages ---- */

#define SUM "        y[i] = a[i] + b[i];\n"

static const struct {
    const char *name, *body;
    int stage; /* that fails, from 0; -1: none */
    enum kgen_verdict verdict;
} defects[] = {
    {"right", SUM, -1, KGEN_PASSED},
    {"does not compile", SUM "        y[i] = no_such_name;\n", 0, KGEN_COMPILE_FAILED},
    {"a lane is wrong by a thousandth", "        y[i] = (a[i] + b[i]) * (i % 16 == 3 ? 1.001f : 1.0f);\n", 0,
     KGEN_WRONG_ELEMENT},
    {"one value of the parameter is wrong",
     "        y[i] = a[i] + b[i] + (${attempt} == 1 ? 0.001f : 0.0f);\n", 1, KGEN_WRONG_ELEMENT},
    {"one range is wrong", "        y[i] = a[i] + b[i] + (end - begin == 7 ? 0.001f : 0.0f);\n", 1,
     KGEN_WRONG_ELEMENT},
    {"great values are wrong", "        y[i] = a[i] + b[i] > 1e15f ? 1e15f : a[i] + b[i];\n", 2,
     KGEN_WRONG_ELEMENT},
    {"a division is seen", "        y[i] = a[i] + b[i] + (begin > 0 ? 1e-3f : 0.0f);\n", 3,
     KGEN_THREADS_DIFFER},
    {"reads behind the end", "        y[i] = a[i] + b[i] + 0 * *(const volatile unsigned char *)(a + end);\n",
     4, KGEN_READ_PAST_END},
    {"does not allow y = a", "        y[i] = a[i] + b[i];\n        y[begin] = a[begin] + b[begin];\n", 4,
     KGEN_WRONG_ELEMENT},
};

static void put_defect(size_t index)
{
    struct kgen_text text = {0};
    kgen_text_printf(
        &text,
        "$template sum \"an addition\"\n$op add\n$isa generic\n$param attempt = 0, 1\n"
        "void ${function}(${parameters})\n{\n    for (size_t i = begin; i < end; i++) {\n%s    }\n}\n",
        defects[index].body);
    tune_put_template(&fixture, "sum", text.data);
    kgen_text_free(&text);
}

static void test_stages(void **state)
{
    (void)state;
    static const enum kgen_proof_part parts[] = {KGEN_PROVE_SMOKE, KGEN_PROVE_SHAPES, KGEN_PROVE_SPECIAL,
                                                 KGEN_PROVE_REPEATABILITY, KGEN_PROVE_ALL};
    size_t executed = 0;
    struct kgen_error error = {0};
    struct kgen_verify_cases *cases = kgen_verify_cases_new(&problem, SEED, &error);
    assert_non_null(cases);
    for (size_t i = 0; i < KGEN_COUNT_OF(defects); i++) {
        struct kgen_variants variants;
        int failed = -1;
        put_defect(i);
        const struct kgen_trial_options options = {
            .machine = &fixture.machine, .templates = fixture.templates, .threads = 2, .seed = SEED};
        assert_int_equal(kgen_variants_of_template(kgen_templates_find(fixture.templates, "sum"), &problem,
                                                   1u << KGEN_ISA_GENERIC, &variants, &error),
                         0);
        assert_int_equal(variants.count, 2);
        for (size_t part = 0; part < KGEN_COUNT_OF(parts) && failed < 0; part++) {
            struct kgen_trial_proof proof = {0};
            if (kgen_trial_prove(&options, &problem, cases, variants.items, variants.count, parts[part],
                                 &proof, &error) != 0)
                fail_msg("%s: %s", defects[i].name, error.message);
            if (proof.failed) {
                failed = (int)part;
                if (proof.verification.verdict != defects[i].verdict)
                    fail_msg("%s: %s, seed %llu: %s", defects[i].name,
                             kgen_verdict_name(proof.verification.verdict), (unsigned long long)SEED,
                             proof.verification.detail);
            } else {
                assert_int_equal(proof.passed, part == 0 ? 1 : 2);
                assert_true(proof.cases > 0);
            }
        }
        if (failed != defects[i].stage)
            fail_msg("%s: stage %d failed, expected %d, seed %llu", defects[i].name, failed, defects[i].stage,
                     (unsigned long long)SEED);
        kgen_variants_free(&variants);
        executed++;
    }
    kgen_verify_cases_free(cases);
    assert_int_equal(executed, KGEN_COUNT_OF(defects));
}

/* ---- comparisons ---- */

/* What a session gives: the time of the change, over that of the first rival, and of the second. */
struct samples {
    double change, second;
    double noise;       /* to and fro, in turns, of the change */
    unsigned wild;      /* so many sessions ... */
    double wild_change; /* ... give this */
    const struct kgen_variant *variants;
};

static double give_sample(void *context, const struct kgen_problem *of, const struct kgen_variant *variant,
                          unsigned session)
{
    const struct samples *samples = context;
    assert_ptr_equal(of, &problem);
    if (variant == &samples->variants[1])
        return 1e-6;
    if (variant == &samples->variants[2])
        return 1e-6 * samples->second;
    if (session < samples->wild)
        return 1e-6 * samples->wild_change;
    return 1e-6 * samples->change * (session % 2 == 0 ? 1 - samples->noise : 1 + samples->noise);
}

static const struct {
    const char *name;
    struct samples samples;
    enum kgen_comparison_result result;
    double ratio;
} comparisons[] = {
    {"the same", {1, 1, 0, 0, 0, NULL}, KGEN_COMPARISON_SAME, 1},
    {"5 % slower", {1.05, 1, 0, 0, 0, NULL}, KGEN_COMPARISON_SLOWER, 1 / 1.05},
    {"5 % faster", {0.95, 1, 0, 0, 0, NULL}, KGEN_COMPARISON_FASTER, 1 / 0.95},
    {"1.1 % faster", {1 / 1.011, 1, 0, 0, 0, NULL}, KGEN_COMPARISON_FASTER, 1.011},
    {"0.9 % faster", {1 / 1.009, 1, 0, 0, 0, NULL}, KGEN_COMPARISON_SAME, 1.009},
    {"faster, and noisy", {0.9, 1, 0.05, 0, 0, NULL}, KGEN_COMPARISON_FASTER, 1 / (0.9 * 0.95)},
    {"the same, and noisy", {1, 1, 0.3, 0, 0, NULL}, KGEN_COMPARISON_SAME, 1 / 0.7},
    {"one session disagrees", {0.95, 1, 0, 1, 2, NULL}, KGEN_COMPARISON_FASTER, 1 / 0.95},
    {"two sessions disagree", {0.95, 1, 0, 2, 2, NULL}, KGEN_COMPARISON_SAME, 1 / 0.95},
    {"two sessions are much faster", {1, 1, 0, 2, 0.1, NULL}, KGEN_COMPARISON_SAME, 1},
    {"luckier parameters alone", {0.95, 0.95, 0, 0, 0, NULL}, KGEN_COMPARISON_SAME, 1},
    {"slower than other parameters alone", {1, 0.9, 0, 0, 0, NULL}, KGEN_COMPARISON_SAME, 0.9},
};

static void test_comparisons(void **state)
{
    (void)state;
    size_t executed = 0;
    const struct kgen_variant variants[3] = {{.tmpl = NULL}};
    for (size_t i = 0; i < KGEN_COUNT_OF(comparisons); i++) {
        struct samples samples = comparisons[i].samples;
        struct kgen_comparison comparison;
        struct kgen_error error = {0};
        samples.variants = variants;
        const struct kgen_trial_options options = {.sample = give_sample, .context = &samples};
        assert_int_equal(kgen_trial_compare(&options, &problem, &variants[0], &variants[1], 2, 1e-6, 1,
                                            &comparison, &error),
                         0);
        if (comparison.result != comparisons[i].result)
            fail_msg("%s: %d, expected %d (ratio %g, %g to %g)", comparisons[i].name, comparison.result,
                     comparisons[i].result, comparison.ratio, comparison.low, comparison.high);
        assert_true(comparison.ratio > comparisons[i].ratio - 1e-9 &&
                    comparison.ratio < comparisons[i].ratio + 1e-9);
        assert_true(comparison.low <= comparison.ratio && comparison.ratio <= comparison.high);
        /* The interval and the test say the same. */
        assert_int_equal(comparison.low >= 1 + KGEN_COMPARISON_GAIN,
                         comparison.result == KGEN_COMPARISON_FASTER);
        executed++;
    }
    assert_int_equal(executed, KGEN_COUNT_OF(comparisons));
}

/* The more comparisons, the more sessions: together they err no more often than one. */
static void test_sessions(void **state)
{
    (void)state;
    static const struct {
        size_t comparisons;
        unsigned sessions;
    } cases[] = {{0, 11}, {1, 11}, {2, 12}, {10, 14}, {100, 18}, {1000000, 32}};
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        assert_int_equal(kgen_comparison_sessions(cases[i].comparisons), cases[i].sessions);
        struct kgen_comparison comparison = {.sessions = cases[i].sessions};
        for (unsigned j = 0; j < comparison.sessions; j++)
            comparison.ratios[j] = comparison.first_ratios[j] = j == 0 ? 0.5 : 1.5;
        kgen_comparison_judge(&comparison, cases[i].comparisons);
        assert_int_equal(comparison.result, KGEN_COMPARISON_FASTER);
        /* (sessions + 1) of 2^sessions outcomes are so good. */
        const double doubt = (cases[i].sessions + 1.0) / (double)(UINT64_C(1) << cases[i].sessions);
        assert_true(comparison.doubt_faster > doubt * 0.999 && comparison.doubt_faster < doubt * 1.001);
        executed++;
    }
    assert_int_equal(executed, KGEN_COUNT_OF(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_stages), cmocka_unit_test(test_comparisons),
                                       cmocka_unit_test(test_sessions)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
