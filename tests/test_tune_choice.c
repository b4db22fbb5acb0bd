/* SPDX-License-Identifier: MIT */
/* Which variant is the winner, run after run: a choice stands for the templates that it was made among, and
 * no longer. The times are given by the templates' own parameter. */
#include "runtime/tune/tune.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tune_fixture.h"

struct fixture {
    struct tune_fixture base;
    unsigned tried;   /* by the last run */
    int cancel_after; /* so many candidates; 0: never */
    volatile int cancel;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    tune_fixture_open(&fixture->base);
    /* Templates of avx2 are plain C here, so that any machine may have it. */
    fixture->base.machine.isas = 1u << KGEN_ISA_GENERIC | 1u << KGEN_ISA_AVX2;
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    tune_fixture_close(&fixture->base);
    free(fixture);
    return 0;
}

/* Writes a right template of `add` whose one variant takes so many microseconds, and opens all there are. */
static void add_template(struct fixture *fixture, const char *name, const char *isa, int microseconds)
{
    struct kgen_text text = {0};
    kgen_text_printf(&text,
                     "$template %s \"an addition\"\n$op add\n$isa %s\n$param microseconds = %d\n"
                     "void ${function}(const float *a, const float *b, float *y, size_t begin, size_t end)\n"
                     "{\n    for (size_t i = begin; i < end; i++)\n        y[i] = a[i] + b[i];\n}\n",
                     name, isa, microseconds);
    tune_put_template(&fixture->base, name, text.data);
    kgen_text_free(&text);
}

static void give_time(void *context, const struct kgen_problem *problem, const struct kgen_variant *variant,
                      bool final, struct kgen_timing *timing)
{
    (void)context, (void)problem, (void) final;
    timing->hot_seconds = timing->cold_seconds = 1e-6 * (double)variant->values[0];
    timing->repeats = 1;
}

static double no_limit(void *context, const struct kgen_variant *variant)
{
    (void)context, (void)variant;
    return 1000;
}

static void count_candidate(void *context, const struct kgen_problem *problem,
                            const struct kgen_record *record, unsigned done, unsigned total)
{
    struct fixture *fixture = context;
    (void)problem, (void)done, (void)total;
    assert_int_equal(record->verdict, KGEN_PASSED);
    fixture->cancel = ++fixture->tried == (unsigned)fixture->cancel_after;
}

static void count_chosen(const struct kgen_cache *cache, unsigned expected)
{
    unsigned chosen = 0;
    for (size_t i = 0; i < kgen_cache_count(cache); i++)
        chosen += kgen_cache_at(cache, i)->chosen;
    assert_int_equal(chosen, expected);
}

/* Tunes {"op": "add", "size": 4096} among all templates, with the records of earlier runs, and expects the
 * winner of this name to have won from so many candidates. */
static struct kgen_choice tune(struct fixture *fixture, enum kgen_search_effort effort, unsigned isas,
                               int result, const char *winner, unsigned candidates)
{
    struct kgen_error error = {0};
    struct kgen_choice choice;
    struct kgen_problem problem;
    struct kgen_cache *cache = kgen_cache_open(fixture->base.folder, NULL, NULL, &error);
    const struct kgen_tune_options options = {.effort = effort,
                                              .isas = isas,
                                              .threads = 1,
                                              .seed = 3,
                                              .cancel = &fixture->cancel,
                                              .times = {.measure = give_time, .stage_limit = no_limit}};
    assert_non_null(cache);
    struct kgen_tuner *tuner =
        kgen_tuner_new(fixture->base.templates, &fixture->base.machine, cache, &options, &error);
    assert_non_null(tuner);
    kgen_problem_init(&problem, kgen_op_find("add"));
    kgen_problem_set(&problem, "size", 4096);
    fixture->tried = 0;
    fixture->cancel = 0;
    const int tuned = kgen_tune(tuner, &problem, count_candidate, fixture, &choice, &error);
    if (tuned != result)
        fail_msg("%d in place of %d: %s", tuned, result, error.message);
    assert_non_null(choice.variant.tmpl);
    assert_string_equal(kgen_template_name(choice.variant.tmpl), winner);
    assert_int_equal(choice.candidates, candidates);
    if (result == 0) {
        assert_true(choice.record.chosen);
        count_chosen(cache, isas != 0 ? 2 : 1);
    }
    kgen_tuner_free(tuner);
    kgen_cache_close(cache);
    return choice;
}

/* A run that finds everything in the cache. */
static void tune_again(struct fixture *fixture, enum kgen_search_effort effort, const char *winner,
                       unsigned candidates)
{
    const struct kgen_choice choice = tune(fixture, effort, 0, 0, winner, candidates);
    assert_true(choice.from_cache);
    assert_int_equal(fixture->tried, 0);
}

static void a_better_template_wins(void **state)
{
    struct fixture *fixture = *state;
    add_template(fixture, "slow", "generic", 5000);
    tune(fixture, KGEN_EFFORT_MEASURE, 0, 0, "slow", 1);
    add_template(fixture, "fast", "generic", 1);
    tune(fixture, KGEN_EFFORT_MEASURE, 0, 0, "fast", 2);
    assert_int_equal(fixture->tried, 1);
    tune_again(fixture, KGEN_EFFORT_MEASURE, "fast", 2);
    /* A worse one is tried and loses; the choice was made among it as well, so that it stays. */
    add_template(fixture, "slower", "generic", 9000);
    tune(fixture, KGEN_EFFORT_MEASURE, 0, 0, "fast", 3);
    assert_int_equal(fixture->tried, 1);
    tune_again(fixture, KGEN_EFFORT_MEASURE, "fast", 3);
}

/* A run that ends before the final round has tried the better one and chosen nothing. */
static void it_wins_after_a_cut_run(void **state)
{
    struct fixture *fixture = *state;
    add_template(fixture, "slow", "generic", 5000);
    tune(fixture, KGEN_EFFORT_MEASURE, 0, 0, "slow", 1);
    add_template(fixture, "fast", "generic", 1);
    fixture->cancel_after = 1;
    tune(fixture, KGEN_EFFORT_MEASURE, 0, 1, "fast", 2);
    fixture->cancel_after = 0;
    tune(fixture, KGEN_EFFORT_MEASURE, 0, 0, "fast", 2);
    assert_int_equal(fixture->tried, 0);
    tune_again(fixture, KGEN_EFFORT_MEASURE, "fast", 2);
}

/* Records of earlier versions do not say what a choice was made among. */
static void choices_of_earlier_versions(void **state)
{
    struct fixture *fixture = *state;
    char command[256];
    add_template(fixture, "slow", "generic", 5000);
    tune(fixture, KGEN_EFFORT_MEASURE, 0, 0, "slow", 1);
    snprintf(command, sizeof command,
             "sed -i 's/,\"among\":\"[^\"]*\"//' %s/records.jsonl && ! grep -q among %s/*.jsonl",
             fixture->base.folder, fixture->base.folder);
    assert_int_equal(system(command), 0);
    tune_again(fixture, KGEN_EFFORT_MEASURE, "slow", 1);
    add_template(fixture, "fast", "generic", 1);
    tune(fixture, KGEN_EFFORT_MEASURE, 0, 0, "fast", 2);
    tune_again(fixture, KGEN_EFFORT_MEASURE, "fast", 2);
}

/* What a greater effort found among all instruction sets is used as it is. */
static void less_effort_takes_what_more_found(void **state)
{
    struct fixture *fixture = *state;
    add_template(fixture, "plain", "generic", 1);
    add_template(fixture, "vectors", "avx2", 2);
    tune(fixture, KGEN_EFFORT_PATIENT, 0, 0, "plain", 2);
    tune_again(fixture, KGEN_EFFORT_MEASURE, "plain", 2);
    tune_again(fixture, KGEN_EFFORT_ESTIMATE, "plain", 2);
    /* Nor is the search that goes on narrower than it was. */
    add_template(fixture, "new_vectors", "avx2", 3);
    tune(fixture, KGEN_EFFORT_MEASURE, 0, 0, "plain", 3);
    tune_again(fixture, KGEN_EFFORT_MEASURE, "plain", 3);
    add_template(fixture, "new_plain", "generic", 7);
    tune(fixture, KGEN_EFFORT_MEASURE, 0, 0, "plain", 4);
}

/* Without that, a measured search is of the widest instruction set, whatever was chosen for another. */
static void a_choice_for_one_instruction_set(void **state)
{
    struct fixture *fixture = *state;
    add_template(fixture, "plain", "generic", 1);
    add_template(fixture, "vectors", "avx2", 2);
    tune(fixture, KGEN_EFFORT_MEASURE, 0, 0, "vectors", 1);
    tune(fixture, KGEN_EFFORT_MEASURE, 1u << KGEN_ISA_GENERIC, 0, "plain", 1);
    const struct kgen_choice choice =
        tune(fixture, KGEN_EFFORT_MEASURE, 1u << KGEN_ISA_AVX2, 0, "vectors", 1);
    assert_true(choice.from_cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_better_template_wins, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_wins_after_a_cut_run, set_up, tear_down),
        cmocka_unit_test_setup_teardown(choices_of_earlier_versions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(less_effort_takes_what_more_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_choice_for_one_instruction_set, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
