/* SPDX-License-Identifier: MIT */
/* Several problems within one time limit: each gets a proven candidate, what is left is shared, and each
 * choice says how it was made. The clock is the test's: each candidate takes a second. */
#include "runtime/tune/share.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tune_fixture.h"

enum { ITEMS = 3, VARIANTS = 4 };

/* The items; the second moves the most bytes in a step, the third the least. */
static const struct {
    int64_t size;
    double calls;
} sizes[ITEMS] = {{4096, 4}, {8192, 36}, {1024, 1}};

struct fixture {
    struct tune_fixture base;
    struct kgen_problem problems[ITEMS];
    struct kgen_choice choices[ITEMS];
    unsigned tried[ITEMS]; /* candidates of each item, in the last run */
    size_t item;           /* the one at work */
    size_t done;
    int cancel_after; /* so many candidates; 0: never */
    volatile int cancel;
};

static double now; /* of the tuner's clock */

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    tune_fixture_open(&fixture->base);
    fixture->base.machine.isas = 1u << KGEN_ISA_GENERIC;
    /* The time that filling buffers takes is estimated from these. */
    fixture->base.machine.l2_bytes = fixture->base.machine.l3_bytes = 1 << 16;
    for (size_t i = 0; i < ITEMS; i++) {
        kgen_problem_init(&fixture->problems[i], kgen_op_find("add"));
        kgen_problem_set(&fixture->problems[i], "size", sizes[i].size);
    }
    now = 0;
    tune_put_template(
        &fixture->base, "sum",
        "$template sum \"an addition\"\n$op add\n$isa generic\n$param microseconds = 7, 5, 3, 9\n"
        "void ${function}(const float *a, const float *b, float *y, size_t begin, size_t end)\n"
        "{\n    for (size_t i = begin; i < end; i++)\n        y[i] = a[i] + b[i];\n}\n");
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

static double read_clock(void *context)
{
    (void)context;
    return now;
}

static double no_limit(void *context, const struct kgen_variant *variant)
{
    (void)context, (void)variant;
    return 1000;
}

static void give_time(void *context, const struct kgen_problem *problem, const struct kgen_variant *variant,
                      bool final, struct kgen_timing *timing)
{
    (void)context, (void)problem, (void) final;
    timing->hot_seconds = timing->cold_seconds = 1e-6 * (double)variant->values[0];
    timing->repeats = 1;
}

static void begin_item(void *context, size_t item)
{
    ((struct fixture *)context)->item = item;
}

static void pass_time(void *context, const struct kgen_problem *problem, const struct kgen_record *record,
                      unsigned done, unsigned total)
{
    struct fixture *fixture = context;
    (void)problem, (void)record, (void)done, (void)total;
    now++;
    fixture->tried[fixture->item]++;
    fixture->cancel = --fixture->cancel_after == 0;
}

/* Tunes the items with the records of earlier runs. */
static int tune(struct fixture *fixture, double limit, enum kgen_search_effort effort, bool keep)
{
    struct kgen_error error = {0};
    struct kgen_cache *cache = kgen_cache_open(fixture->base.folder, NULL, NULL, &error);
    const struct kgen_tune_options options = {
        .effort = effort,
        .threads = 1,
        .seed = 3,
        .time_limit_seconds = limit,
        .cancel = &fixture->cancel,
        .times = {.clock = read_clock, .measure = give_time, .stage_limit = no_limit}};
    const struct kgen_tune_watch watch = {begin_item, pass_time, fixture};
    struct kgen_tune_item items[ITEMS];
    for (size_t i = 0; i < ITEMS; i++)
        items[i] = (struct kgen_tune_item){.problem = &fixture->problems[i], .calls = sizes[i].calls};
    struct kgen_tuner *tuner =
        kgen_tuner_new(fixture->base.templates, &fixture->base.machine, cache, &options, &error);
    assert_non_null(tuner);
    memset(fixture->tried, 0, sizeof fixture->tried);
    const int result = kgen_tune_all(tuner, items, ITEMS, &watch, fixture->choices, &fixture->done, &error);
    if (result < 0)
        fail_msg("%s", error.message);
    kgen_tuner_free(tuner);
    if (!keep)
        assert_int_equal(kgen_cache_clear(cache, NULL), 0);
    kgen_cache_close(cache);
    return result;
}

#define ALL(value)                                                                                           \
    {                                                                                                        \
        value, value, value                                                                                  \
    }

/* A time limit, and what becomes of the items. Their first candidates take the first three seconds. */
static const struct {
    double limit;
    enum kgen_search_effort effort;
    int result;
    enum kgen_made made[ITEMS];
    unsigned tried[ITEMS];
    int winners[ITEMS]; /* microseconds of the variants */
} cases[] = {
    /* There is no time for more than a proof. */
    {0.5, KGEN_EFFORT_MEASURE, 1, ALL(KGEN_MADE_ESTIMATE), ALL(1), ALL(7)},
    {2.5, KGEN_EFFORT_MEASURE, 1, ALL(KGEN_MADE_ESTIMATE), ALL(1), ALL(7)},
    /* What is left goes to the greatest, and the others get what was the best there. */
    {4.5,
     KGEN_EFFORT_MEASURE,
     1,
     {KGEN_MADE_SIMILAR, KGEN_MADE_SO_FAR, KGEN_MADE_SIMILAR},
     {2, 3, 2},
     {5, 5, 5}},
    /* It is enough for the greatest, and for something of the next one. */
    {8.6,
     KGEN_EFFORT_MEASURE,
     1,
     {KGEN_MADE_SO_FAR, KGEN_MADE_TUNED, KGEN_MADE_SIMILAR},
     {3, 5, 2},
     {5, 3, 5}},
    {1000, KGEN_EFFORT_MEASURE, 0, ALL(KGEN_MADE_TUNED), ALL(5), ALL(3)},
    /* Without a limit nothing is proven twice. */
    {0, KGEN_EFFORT_MEASURE, 0, ALL(KGEN_MADE_TUNED), ALL(4), ALL(3)},
    {0.5, KGEN_EFFORT_ESTIMATE, 0, ALL(KGEN_MADE_ESTIMATE), ALL(1), ALL(7)},
};

static void limits_leave_nothing_out(void **state)
{
    struct fixture *fixture = *state;
    for (size_t c = 0; c < KGEN_COUNT_OF(cases); c++) {
        now = 0;
        assert_int_equal(tune(fixture, cases[c].limit, cases[c].effort, false), cases[c].result);
        assert_int_equal(fixture->done, ITEMS);
        for (size_t i = 0; i < ITEMS; i++) {
            const struct kgen_choice *choice = &fixture->choices[i];
            if (choice->made != cases[c].made[i] || fixture->tried[i] != cases[c].tried[i] ||
                choice->variant.tmpl == NULL || choice->variant.values[0] != cases[c].winners[i])
                fail_msg("limit %g, item %zu: %s, %u tried", cases[c].limit, i, kgen_made_name(choice->made),
                         fixture->tried[i]);
            assert_int_equal(choice->compiled > 0, !choice->from_cache);
        }
    }
}

static void a_later_run_goes_on(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(tune(fixture, 4.5, KGEN_EFFORT_MEASURE, true), 1);
    assert_int_equal(fixture->tried[1], 3);
    /* With as little time the other two of it are timed, and one of the next item, which is better known then
     * than what was only proven. */
    assert_int_equal(tune(fixture, 2.2, KGEN_EFFORT_MEASURE, true), 1);
    assert_int_equal(fixture->tried[1], VARIANTS - 2);
    assert_int_equal(fixture->tried[0], 1);
    assert_int_equal(fixture->choices[0].made, KGEN_MADE_SO_FAR);
    assert_true(fixture->choices[0].record.hot_seconds > 0);
    assert_int_equal(tune(fixture, 0, KGEN_EFFORT_MEASURE, true), 0);
    assert_int_equal(fixture->tried[1], 0);
    assert_int_equal(fixture->tried[0], VARIANTS - 1);
    for (size_t i = 0; i < ITEMS; i++)
        assert_int_equal(fixture->choices[i].made, KGEN_MADE_TUNED);
    /* A limit does no harm where all is known. */
    assert_int_equal(tune(fixture, 1e-3, KGEN_EFFORT_MEASURE, true), 0);
    for (size_t i = 0; i < ITEMS; i++) {
        assert_int_equal(fixture->tried[i], 0);
        assert_int_equal(fixture->choices[i].made, KGEN_MADE_TUNED);
        assert_true(fixture->choices[i].from_cache);
    }
}

/* Ctrl-C keeps the choices that are there. */
static void a_cancel_ends_it(void **state)
{
    static const struct {
        double limit;
        int after;
        size_t done;
    } cancels[] = {{1000, 2, 1}, {1000, 4, ITEMS}, {0, 6, 1}};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < KGEN_COUNT_OF(cancels); i++) {
        now = 0;
        fixture->cancel = 0;
        fixture->cancel_after = cancels[i].after;
        assert_int_equal(tune(fixture, cancels[i].limit, KGEN_EFFORT_MEASURE, false), 1);
        if (fixture->done != cancels[i].done)
            fail_msg("cancel %zu: %zu choices", i, fixture->done);
        for (size_t j = 0; j < fixture->done; j++)
            assert_non_null(fixture->choices[j].variant.tmpl);
    }
}

/* What another machine chose is proven first; then this machine's own order. */
static void another_machine_shows_the_way(void **state)
{
    struct fixture *fixture = *state;
    char identity[sizeof fixture->base.machine.identity];
    memcpy(identity, fixture->base.machine.identity, sizeof identity);
    memcpy(fixture->base.machine.identity, "00000000000000aa", sizeof identity);
    assert_int_equal(tune(fixture, 0, KGEN_EFFORT_MEASURE, true), 0);
    memcpy(fixture->base.machine.identity, identity, sizeof identity);
    now = 0;
    assert_int_equal(tune(fixture, 0.5, KGEN_EFFORT_MEASURE, true), 1);
    for (size_t i = 0; i < ITEMS; i++) {
        assert_int_equal(fixture->choices[i].made, KGEN_MADE_RELATED);
        assert_int_equal(fixture->choices[i].variant.values[0], 3);
        assert_int_equal(fixture->tried[i], 1);
    }
    /* It is the first that is timed. */
    assert_int_equal(tune(fixture, 0.5, KGEN_EFFORT_MEASURE, true), 1);
    assert_int_equal(fixture->choices[1].made, KGEN_MADE_SO_FAR);
    assert_int_equal(fixture->choices[1].variant.values[0], 3);
}

static void take_a_microsecond(void *context, const struct kgen_problem *problem,
                               const struct kgen_variant *variant, bool final, struct kgen_timing *timing)
{
    (void)context, (void)problem, (void)variant, (void) final;
    timing->hot_seconds = timing->cold_seconds = 1e-6;
}

/* The winner for two threads is the first to be tried for one. */
static void other_threads_show_the_way(void **state)
{
    struct fixture *fixture = *state;
    struct kgen_error error = {0};
    struct kgen_problem problem;
    struct kgen_choice choices[2];
    struct kgen_templates *templates = kgen_templates_open(NULL, "c", &error);
    struct kgen_cache *cache = kgen_cache_open(NULL, NULL, NULL, &error);
    kgen_problem_init(&problem, kgen_op_find("qmv"));
    kgen_problem_set(&problem, "N", 32);
    kgen_problem_set(&problem, "K", 64);
    kgen_problem_set(&problem, "bits", 4);
    kgen_problem_set(&problem, "group_size", 64);
    fixture->base.machine.threads = 2;
    for (int threads = 2; threads > 0; threads--) {
        const struct kgen_tune_options options = {
            .effort = KGEN_EFFORT_MEASURE,
            .threads = threads,
            .seed = 3,
            .time_limit_seconds = threads == 1 ? 1e-9 : 0,
            .times = {.measure = take_a_microsecond, .stage_limit = no_limit}};
        const struct kgen_tune_watch watch = {0};
        const struct kgen_tune_item item = {.problem = &problem};
        struct kgen_tuner *tuner = kgen_tuner_new(templates, &fixture->base.machine, cache, &options, &error);
        assert_non_null(tuner);
        assert_int_equal(
            kgen_tune_all(tuner, &item, 1, &watch, &choices[threads - 1], &fixture->done, &error),
            threads == 1);
        kgen_tuner_free(tuner);
    }
    assert_int_equal(choices[1].made, KGEN_MADE_TUNED);
    assert_int_equal(choices[0].made, KGEN_MADE_THREADS);
    assert_string_equal(choices[0].record.variant, choices[1].record.variant);
    assert_int_equal(choices[0].compiled, 1);
    kgen_cache_close(cache);
    kgen_templates_free(templates);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(limits_leave_nothing_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_later_run_goes_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_cancel_ends_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_machine_shows_the_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_threads_show_the_way, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
