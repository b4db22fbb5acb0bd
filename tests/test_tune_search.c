/* SPDX-License-Identifier: MIT */
/* The search in a space that is too large to be tried whole: it finds the fastest by trying few, goes on
 * where it was, and begins a similar problem where the last one ended. */
#include "runtime/tune/tune.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tune_fixture.h"

/* Additions with a detour that is the longer the farther the parameters are from the best: a=3 b=1 c=2. The
 * loop is one whose turns are counted, or one whose turns nobody knows. Their times are given, not measured.
 */
#define COUNTED "for (volatile int turn = 0; turn < ${detour}; turn++) {\n        }\n"
#define UNKNOWN "volatile int turn = 0;\n        while (turn < ${detour})\n            turn++;\n"
#define DETOURS(loop)                                                                                        \
    "$template detours \"add, by way of some detours\"\n"                                                    \
    "$op add\n"                                                                                              \
    "$isa generic\n"                                                                                         \
    "$param a = 0, 1, 2, 3\n"                                                                                \
    "$param b = 0, 1, 2, 3\n"                                                                                \
    "$param c = 0, 1, 2, 3, 4, 5\n"                                                                          \
    "$let detour = 2 * (abs(a - 3) + abs(b - 1) + abs(c - 2))\n"                                             \
    "void ${function}(const float *x, const float *x2, float *y, size_t begin, size_t end)\n"                \
    "{\n"                                                                                                    \
    "    for (size_t i = begin; i < end; i++) {\n"                                                           \
    "        " loop "        y[i] = x[i] + x2[i];\n"                                                         \
    "    }\n"                                                                                                \
    "}\n"
static const int64_t fastest[] = {3, 1, 2};
enum { VARIANTS = 4 * 4 * 6, FEW = VARIANTS / 2 };

/* Of an addition: a microsecond, and as much for each step from the best. Of what is timed cold: twice the
 * time of reading. */
static void give_time(void *context, const struct kgen_problem *problem, const struct kgen_variant *variant,
                      bool final, struct kgen_timing *timing)
{
    (void)context, (void) final;
    if (kgen_timing_is_cold(problem)) {
        *timing = (struct kgen_timing){
            .cold_seconds = 20e-6, .hot_seconds = 10e-6, .read_seconds = 10e-6, .repeats = 1};
        return;
    }
    int64_t steps = 1;
    for (size_t i = 0; i < KGEN_COUNT_OF(fastest); i++)
        steps += llabs(variant->values[i] - fastest[i]);
    timing->hot_seconds = timing->cold_seconds = 1e-6 * (double)steps;
    timing->repeats = 1;
}

struct fixture {
    struct tune_fixture base;
    struct kgen_cache *cache;
    struct kgen_tuner *tuner;
    char first[64]; /* the variant that was tried first */
    unsigned tried;
    bool cancels; /* a search, after its first candidate */
    volatile int cancel;
};

static int set_up_with(void **state, const char *detours)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    tune_fixture_open(&fixture->base);
    tune_put_template(&fixture->base, "detours", detours);
    fixture->cache = kgen_cache_open(NULL, NULL, NULL, NULL);
    assert_non_null(fixture->cache);
    *state = fixture;
    return 0;
}

static int set_up(void **state)
{
    return set_up_with(state, DETOURS(UNKNOWN));
}

static int set_up_counted(void **state)
{
    return set_up_with(state, DETOURS(COUNTED));
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    kgen_tuner_free(fixture->tuner);
    kgen_cache_close(fixture->cache);
    tune_fixture_close(&fixture->base);
    free(fixture);
    return 0;
}

static void open_tuner(struct fixture *fixture, enum kgen_search_effort effort)
{
    const struct kgen_tune_options options = {.effort = effort,
                                              .threads = 1,
                                              .seed = 3,
                                              .cancel = &fixture->cancel,
                                              .times = {.measure = give_time}};
    fixture->cancel = 0;
    kgen_tuner_free(fixture->tuner);
    fixture->tuner =
        kgen_tuner_new(fixture->base.templates, &fixture->base.machine, fixture->cache, &options, NULL);
    assert_non_null(fixture->tuner);
}

static void note(void *context, const struct kgen_problem *problem, const struct kgen_record *record,
                 unsigned done, unsigned total)
{
    struct fixture *fixture = context;
    (void)problem;
    assert_in_range(done, 1, total);
    assert_int_equal(record->verdict, KGEN_PASSED);
    fixture->cancel = fixture->cancels;
    if (fixture->tried++ == 0)
        snprintf(fixture->first, sizeof fixture->first, "%s", record->variant);
}

static struct kgen_choice tune(struct fixture *fixture, int64_t size)
{
    struct kgen_error error = {0};
    struct kgen_choice choice;
    struct kgen_problem problem;
    kgen_problem_init(&problem, kgen_op_find("add"));
    kgen_problem_set(&problem, "size", size);
    fixture->tried = 0;
    if (kgen_tune(fixture->tuner, &problem, note, fixture, &choice, &error) != 0)
        fail_msg("%s", error.message);
    assert_int_equal(choice.candidates, VARIANTS);
    assert_non_null(choice.variant.tmpl);
    assert_memory_equal(choice.variant.values, fastest, sizeof fastest);
    return choice;
}

static void few_are_tried(void **state)
{
    struct fixture *fixture = *state;
    open_tuner(fixture, KGEN_EFFORT_MEASURE);
    struct kgen_choice choice = tune(fixture, 100);
    assert_in_range(fixture->tried, 5, FEW);
    assert_int_equal(choice.proven, fixture->tried);
    /* It is over: neither a search nor a count of it is left to do. */
    choice = tune(fixture, 100);
    assert_int_equal(fixture->tried, 0);
    assert_true(choice.from_cache);
}

static void counting_shows_the_way(void **state)
{
    struct fixture *fixture = *state;
    open_tuner(fixture, KGEN_EFFORT_MEASURE);
    tune(fixture, 100);
    assert_in_range(fixture->tried, 2, 4); /* the first, and those of the fewest instructions */
}

static void more_effort_tries_all(void **state)
{
    struct fixture *fixture = *state;
    open_tuner(fixture, KGEN_EFFORT_MEASURE);
    tune(fixture, 100);
    const unsigned measured = fixture->tried;
    assert_in_range(measured, 5, FEW);
    open_tuner(fixture, KGEN_EFFORT_PATIENT);
    const struct kgen_choice choice = tune(fixture, 100);
    assert_int_equal(fixture->tried, VARIANTS);
    assert_int_equal(choice.proven, VARIANTS);
}

static void similar_problems_begin_at_the_winner(void **state)
{
    struct fixture *fixture = *state;
    open_tuner(fixture, KGEN_EFFORT_MEASURE);
    tune(fixture, 100);
    assert_string_equal(fixture->first, "detours generic a=0 b=0 c=0");
    const unsigned before = fixture->tried;
    tune(fixture, 120);
    assert_string_equal(fixture->first, "detours generic a=3 b=1 c=2");
    assert_true(fixture->tried < before);
    /* A tuner that is told of a winner does the same. */
    struct kgen_problem problem;
    kgen_problem_init(&problem, kgen_op_find("add"));
    kgen_problem_set(&problem, "size", 100);
    struct kgen_variants variants;
    assert_int_equal(
        kgen_variants_list(fixture->base.templates, &problem, 1u << KGEN_ISA_GENERIC, &variants, NULL), 0);
    open_tuner(fixture, KGEN_EFFORT_MEASURE);
    struct kgen_text told = {0};
    kgen_variant_name(&variants.items[7], &told);
    kgen_tuner_note(fixture->tuner, &problem, &variants.items[7]);
    tune(fixture, 140);
    assert_string_equal(fixture->first, told.data);
    kgen_text_free(&told);
    kgen_variants_free(&variants);
}

/* Cut anywhere, a search goes on where it was: what was tried is not tried again. */
static void a_cut_search_goes_on(void **state)
{
    struct fixture *fixture = *state;
    struct kgen_problem problem;
    struct kgen_choice choice;
    enum { CUTS = 9 };
    kgen_problem_init(&problem, kgen_op_find("add"));
    kgen_problem_set(&problem, "size", 100);
    for (unsigned cuts = 1; cuts <= CUTS; cuts++) {
        open_tuner(fixture, KGEN_EFFORT_MEASURE);
        fixture->tried = 0;
        fixture->cancels = true;
        assert_int_equal(kgen_tune(fixture->tuner, &problem, note, fixture, &choice, NULL), 1);
        assert_int_equal(fixture->tried, 1);
        assert_int_equal(choice.proven, cuts);
        assert_non_null(choice.variant.tmpl);
    }
    fixture->cancels = false;
    open_tuner(fixture, KGEN_EFFORT_MEASURE);
    choice = tune(fixture, 100);
    assert_int_equal(choice.proven, CUTS + fixture->tried);
}

/* Keeps a record of the first variant: as fast as reading its bytes, with a hot time of so many microseconds.
 */
static void seed_record(struct fixture *fixture, const struct kgen_problem *problem,
                        const struct kgen_variant *variant, double read_microseconds)
{
    struct kgen_text engine = {0}, name = {0}, text = {0};
    assert_int_equal(kgen_engine_describe(KGEN_ENGINE_TCC, NULL, &engine, NULL), 0);
    kgen_variant_name(variant, &name);
    kgen_problem_write(problem, &text);
    const struct kgen_record record = {
        .key = kgen_record_key(fixture->base.machine.identity, text.data, kgen_variant_hash(variant),
                               engine.data),
        .machine = fixture->base.machine.identity,
        .problem = text.data,
        .variant = name.data,
        .engine = engine.data,
        .effort = "measure",
        .verdict = KGEN_PASSED,
        .detail = "",
        .cold_seconds = 50e-6,
        .read_seconds = read_microseconds * 1e-6,
        .hot_seconds = 1e-6,
    };
    assert_int_equal(kgen_cache_append(fixture->cache, &record, NULL), 0);
    kgen_text_free(&engine);
    kgen_text_free(&name);
    kgen_text_free(&text);
}

/* Some may want more registers than there are. */
static void count(void *context, const struct kgen_problem *problem, const struct kgen_record *record,
                  unsigned done, unsigned total)
{
    (void)problem, (void)record, (void)done, (void)total;
    ((struct fixture *)context)->tried++;
}

/* The candidates tried beside a first one for whose bytes reading takes this long. */
static unsigned tried_beside(struct fixture *fixture, const struct kgen_problem *problem,
                             const struct kgen_variant *first, double read_microseconds)
{
    struct kgen_choice choice;
    kgen_cache_close(fixture->cache);
    fixture->cache = kgen_cache_open(NULL, NULL, NULL, NULL);
    assert_non_null(fixture->cache);
    seed_record(fixture, problem, first, read_microseconds);
    open_tuner(fixture, KGEN_EFFORT_MEASURE);
    fixture->tried = 0;
    assert_int_equal(kgen_tune(fixture->tuner, problem, count, fixture, &choice, NULL), 0);
    return fixture->tried;
}

/* At the limit of the memory, and computing in much less time: nothing is left to gain. */
static void the_limit_of_the_memory_ends_it(void **state)
{
    struct fixture *fixture = *state;
    struct kgen_problem problem;
    struct kgen_variants variants;
    const struct kgen_tune_options options = {.effort = KGEN_EFFORT_MEASURE};
    kgen_templates_free(fixture->base.templates);
    fixture->base.templates = kgen_templates_open(NULL, "c", NULL);
    kgen_problem_init(&problem, kgen_op_find("qmv"));
    kgen_problem_set(&problem, "N", 64);
    kgen_problem_set(&problem, "K", 1024);
    kgen_problem_set(&problem, "bits", 4);
    kgen_problem_set(&problem, "group_size", 64);
    assert_int_equal(kgen_tune_variants(&options, &fixture->base.machine, fixture->base.templates, &problem,
                                        &variants, NULL),
                     0);
    if (variants.count <= 24) {
        kgen_variants_free(&variants);
        printf("skipped: this machine has no instruction set for which qmv has many variants\n");
        skip();
    }
    const unsigned at_limit = tried_beside(fixture, &problem, &variants.items[0], 100);
    const unsigned short_of_it = tried_beside(fixture, &problem, &variants.items[0], 30);
    kgen_variants_free(&variants);
    assert_in_range(at_limit, 0, 2); /* those of the fewest instructions, which it begins with */
    assert_true(short_of_it > 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(few_are_tried, set_up, tear_down),
        cmocka_unit_test_setup_teardown(counting_shows_the_way, set_up_counted, tear_down),
        cmocka_unit_test_setup_teardown(more_effort_tries_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(similar_problems_begin_at_the_winner, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_cut_search_goes_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_limit_of_the_memory_ends_it, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
