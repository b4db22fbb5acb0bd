/* SPDX-License-Identifier: MIT */
/* Choices of noisy moments: they are marked, and timed again when the machine is quiet. The times and their
 * noise are the test's. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "runtime/tune/tune.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "tune_fixture.h"

enum { PROBLEMS = 2 };

/* In memory that the worker processes share. */
struct moment {
    double noise, first_noise; /* of final rounds, and of the times before them */
    double scale;              /* of the times */
    unsigned finals[PROBLEMS]; /* finalists that were timed, of each problem */
};

struct fixture {
    struct tune_fixture base;
    struct kgen_problem problems[PROBLEMS];
    struct kgen_choice choices[PROBLEMS];
    struct moment *moment;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    tune_fixture_open(&fixture->base);
    fixture->base.machine.isas = 1u << KGEN_ISA_GENERIC;
    fixture->moment =
        mmap(NULL, sizeof *fixture->moment, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(fixture->moment != MAP_FAILED);
    for (size_t i = 0; i < PROBLEMS; i++) {
        kgen_problem_init(&fixture->problems[i], kgen_op_find("add"));
        kgen_problem_set(&fixture->problems[i], "size", 1000 + (int64_t)i);
    }
    tune_put_template(&fixture->base, "sum",
                      "$template sum \"an addition\"\n$op add\n$isa generic\n$param microseconds = 7, 5, 3\n"
                      "void ${function}(const float *a, const float *b, float *y, size_t begin, size_t end)\n"
                      "{\n    for (size_t i = begin; i < end; i++)\n        y[i] = a[i] + b[i];\n}\n");
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    munmap(fixture->moment, sizeof *fixture->moment);
    tune_fixture_close(&fixture->base);
    free(fixture);
    return 0;
}

static double no_limit(void *context, const struct kgen_variant *variant)
{
    (void)context, (void)variant;
    return 1000;
}

static void give_time(void *context, const struct kgen_problem *problem, const struct kgen_variant *variant,
                      bool final, struct kgen_timing *timing)
{
    struct moment *moment = context;
    timing->hot_seconds = timing->cold_seconds = 1e-6 * moment->scale * (double)variant->values[0];
    timing->noise = final ? moment->noise : moment->first_noise;
    moment->finals[kgen_problem_get(problem, "size") - 1000] += final;
}

/* Tunes the problems with the records of earlier runs, in a moment of this noise. */
static void tune(struct fixture *fixture, double noise, double scale, bool retune, bool keep_noisy)
{
    struct kgen_error error = {0};
    struct kgen_cache *cache = kgen_cache_open(fixture->base.folder, NULL, NULL, &error);
    *fixture->moment = (struct moment){.noise = noise, .first_noise = 9, .scale = scale};
    const struct kgen_tune_options options = {
        .effort = KGEN_EFFORT_MEASURE,
        .threads = 1,
        .seed = 3,
        .retune = retune,
        .keep_noisy = keep_noisy,
        .times = {.measure = give_time, .stage_limit = no_limit, .context = fixture->moment}};
    struct kgen_tuner *tuner =
        kgen_tuner_new(fixture->base.templates, &fixture->base.machine, cache, &options, &error);
    assert_non_null(tuner);
    for (size_t i = 0; i < PROBLEMS; i++) {
        struct kgen_choice *choice = &fixture->choices[i];
        assert_int_equal(kgen_tune(tuner, &fixture->problems[i], NULL, NULL, choice, &error), 0);
        assert_int_equal(choice->made, KGEN_MADE_TUNED);
        assert_int_equal(choice->variant.values[0], 3);
        assert_true(choice->record.chosen);
    }
    kgen_tuner_free(tuner);
    kgen_cache_close(cache);
}

/* Two runs: the noise of each, whether the second is to retune, or to keep what is noisy; how many finalists
 * it times of each problem, and which run's times the records have then. */
static const struct {
    double first, second;
    bool retune, keep_noisy;
    unsigned finals[PROBLEMS];
    int kept[PROBLEMS];
} cases[] = {
    {0.1, 0.1, false, false, {0, 0}, {1, 1}},
    /* Not known, as of records of earlier versions. */
    {0, 0.1, false, false, {0, 0}, {1, 1}},
    {7.98, 0.1, false, false, {3, 3}, {2, 2}},
    {7.98, 0.1, false, true, {0, 0}, {1, 1}},
    /* The machine is as noisy as it was: what is known stays, and the other problem waits. */
    {7.98, 9, false, false, {3, 0}, {1, 1}},
    /* It is less noisy, but not quiet. */
    {7.98, 2, false, false, {3, 0}, {2, 1}},
    {0.1, 0.2, true, false, {3, 3}, {2, 2}},
    {0.1, 9, true, false, {3, 3}, {2, 2}},
};

static void noisy_choices_are_timed_again(void **state)
{
    struct fixture *fixture = *state;
    for (size_t c = 0; c < KGEN_COUNT_OF(cases); c++) {
        tune(fixture, cases[c].first, 1, false, false);
        for (size_t i = 0; i < PROBLEMS; i++)
            assert_int_equal(kgen_record_is_noisy(&fixture->choices[i].record), cases[c].first > 0.5);
        tune(fixture, cases[c].second, 10, cases[c].retune, cases[c].keep_noisy);
        for (size_t i = 0; i < PROBLEMS; i++) {
            const struct kgen_record *record = &fixture->choices[i].record;
            const double noise = cases[c].kept[i] == 1 ? cases[c].first : cases[c].second;
            const double seconds = cases[c].kept[i] == 1 ? 3e-6 : 30e-6;
            if (fixture->moment->finals[i] != cases[c].finals[i] || record->noise < 0.999 * noise ||
                record->noise > 1.001 * noise || record->final_seconds < 0.999 * seconds ||
                record->final_seconds > 1.001 * seconds)
                fail_msg("case %zu, problem %zu: %u finalists, noise %g, %g s", c, i,
                         fixture->moment->finals[i], record->noise, record->final_seconds);
            assert_int_equal(fixture->choices[i].compiled, cases[c].finals[i]);
        }
        struct kgen_cache *cache = kgen_cache_open(fixture->base.folder, NULL, NULL, NULL);
        assert_int_equal(kgen_cache_clear(cache, NULL), 0);
        kgen_cache_close(cache);
    }
}

/* Once it was timed in a quiet moment it stays so. */
static void quiet_times_stay(void **state)
{
    struct fixture *fixture = *state;
    tune(fixture, 3, 1, false, false);
    tune(fixture, 0.1, 1, false, false);
    assert_int_equal(fixture->moment->finals[1], 3);
    tune(fixture, 0.1, 1, false, false);
    assert_int_equal(fixture->moment->finals[1], 0);
    assert_true(fixture->choices[1].from_cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(noisy_choices_are_timed_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(quiet_times_stay, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
