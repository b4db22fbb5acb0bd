/* SPDX-License-Identifier: MIT */
/* The tuner among broken candidates: each is caught, named in its record, and never chosen; the second run
 * takes everything from the cache; a limit of time or a cancel keeps what is known. */
#include "runtime/tune/internal.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tune_fixture.h"

/* A template for `add`, whose body does its work in a way of its own for each value of `way`. */
static const char head[] = "$template planted \"a right candidate among broken ones\"\n"
                           "$op add\n"
                           "$isa generic\n"
                           "$param way = ";
static const char body[] =
    "void ${function}(const float *a, const float *b, float *y, size_t begin, size_t end)\n"
    "{\n"
    "$if way == 8\n"
    "    static int calls;\n"
    "    calls++;\n"
    "$end\n"
    "$if way == 6\n"
    "    for (volatile int turn = 0; turn >= 0; turn = 1)\n"
    "        ;\n"
    "$end\n"
    "    for (size_t i = begin; i < end; i++) {\n"
    "$if way == 2\n"
    "        if (i == 11)\n"
    "            continue;\n"
    "$end\n"
    "        y[i] = a[i] + b[i];\n"
    "    }\n"
    "$if way == 1\n"
    "    if (begin <= 5 && 5 < end)\n"
    "        y[5] = a[5] - b[5];\n"
    "$elif way == 3\n"
    "    y[end] = 0;\n"
    "$elif way == 4\n"
    "    volatile float unused = a[end];\n"
    "    (void)unused;\n"
    "$elif way == 5\n"
    "    *(volatile int *)16 = 0;\n"
    "$elif way == 7\n"
    "    undeclared(y);\n"
    "$elif way == 8\n"
    "    if (calls % 2 == 0 && end > begin)\n"
    "        y[begin] = y[begin] * 1.0000001f;\n"
    "$end\n"
    "}\n";

enum { ENDLESS = 6 };

static const struct {
    int way;
    const char *name;
    enum kgen_verdict verdicts[2]; /* either is right */
} planted[] = {
    {0, "right", {KGEN_PASSED, KGEN_PASSED}},
    {1, "wrong element", {KGEN_WRONG_ELEMENT, KGEN_WRONG_ELEMENT}},
    {2, "unwritten element", {KGEN_UNWRITTEN_ELEMENT, KGEN_UNWRITTEN_ELEMENT}},
    {3, "write past the end", {KGEN_WRITE_PAST_END, KGEN_WRITE_PAST_END}},
    {4, "read past the end", {KGEN_READ_PAST_END, KGEN_READ_PAST_END}},
    {5, "crash", {KGEN_CRASHED, KGEN_CRASHED}},
    {ENDLESS, "endless loop", {KGEN_TIMED_OUT, KGEN_TIMED_OUT}},
    {7, "does not compile", {KGEN_COMPILE_FAILED, KGEN_COMPILE_FAILED}},
    {8, "state between calls", {KGEN_CRASHED, KGEN_CRASHED}}, /* a kernel's data cannot be written */
};

static double now, later;      /* of the tuner's clock; with each candidate that is done, now becomes later */
static char last_message[512]; /* of the tuner's log */

struct fixture {
    struct tune_fixture base;
    struct kgen_problem problem;
};

static void open_templates(struct fixture *fixture, const char *ways)
{
    struct kgen_text text = {0};
    kgen_text_printf(&text, "%s%s\n%s", head, ways, body);
    tune_put_template(&fixture->base, "planted", text.data);
    kgen_text_free(&text);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    tune_fixture_open(&fixture->base);
    kgen_problem_init(&fixture->problem, kgen_op_find("add"));
    kgen_problem_set(&fixture->problem, "size", 1003);
    now = later = 0;
    last_message[0] = '\0';
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

static void warn(void *context, int level, const char *message)
{
    (void)level;
    ++*(int *)context;
    print_message("%s\n", message);
}

/* ---- the clock and the limits of the tuner ---- */

static double read_clock(void *context)
{
    (void)context;
    return now;
}

static void pass_time(void *context, const struct kgen_problem *problem, const struct kgen_record *record,
                      unsigned done, unsigned total)
{
    (void)context, (void)problem, (void)record, (void)done, (void)total;
    now = later;
}

/* The loop that does not end is not waited for; what ends has all the time it wants, on however slow a
 * machine. */
static double limit_of(void *context, const struct kgen_variant *variant)
{
    (void)context;
    return variant->values[0] == ENDLESS ? 0.2 : 1000;
}

static void keep_message(void *context, int level, const char *message)
{
    (void)context, (void)level;
    snprintf(last_message, sizeof last_message, "%s", message);
}

static const struct kgen_tune_options usual = {.effort = KGEN_EFFORT_MEASURE,
                                               .threads = 2,
                                               .seed = 3,
                                               .keep_noisy = true,
                                               .log = keep_message,
                                               .times = {.clock = read_clock, .stage_limit = limit_of}};

/* Tunes the fixture's problem with the records of its folder. */
static int tune(const struct fixture *fixture, const struct kgen_tune_options *options,
                struct kgen_cache **cache, struct kgen_choice *choice)
{
    static int warnings;
    struct kgen_error error = {0};
    *cache = kgen_cache_open(fixture->base.folder, warn, &warnings, &error);
    assert_non_null(*cache);
    struct kgen_tuner *tuner =
        kgen_tuner_new(fixture->base.templates, &fixture->base.machine, *cache, options, &error);
    assert_non_null(tuner);
    const int result = kgen_tune(tuner, &fixture->problem, pass_time, NULL, choice, &error);
    if (result < 0)
        fail_msg("%s", error.message);
    kgen_tuner_free(tuner);
    assert_int_equal(warnings, 0);
    return result;
}

static void broken_candidates_are_named(void **state)
{
    struct fixture *fixture = *state;
    struct kgen_cache *cache;
    struct kgen_choice choice;
    open_templates(fixture, "8, 7, 6, 5, 4, 3, 2, 1, 0");
    assert_int_equal(tune(fixture, &usual, &cache, &choice), 0);
    assert_int_equal(choice.candidates, KGEN_COUNT_OF(planted));
    assert_int_equal(choice.proven, 1);
    assert_int_equal(choice.failed, KGEN_COUNT_OF(planted) - 1);
    assert_non_null(choice.variant.tmpl);
    assert_int_equal(choice.variant.values[0], 0);
    assert_true(choice.record.hot_seconds > 0 && choice.record.chosen);
    size_t seen = 0;
    for (size_t i = 0; i < kgen_cache_count(cache); i++) {
        const struct kgen_record *record = kgen_cache_at(cache, i);
        const char *way = strstr(record->variant, "way=");
        assert_non_null(way);
        const size_t p = (size_t)atoi(way + 4);
        assert_true(p < KGEN_COUNT_OF(planted));
        if (record->verdict != planted[p].verdicts[0] && record->verdict != planted[p].verdicts[1])
            fail_msg("%s: recorded as %s: %s", planted[p].name, kgen_verdict_name(record->verdict),
                     record->detail);
        assert_true(record->verdict == KGEN_PASSED || record->detail[0] != '\0');
        assert_true(record->verdict == KGEN_PASSED || !record->chosen);
        seen++;
    }
    assert_int_equal(seen, KGEN_COUNT_OF(planted));
    kgen_cache_close(cache);

    /* The second run compiles nothing and chooses the same. */
    struct kgen_choice again;
    assert_int_equal(tune(fixture, &usual, &cache, &again), 0);
    assert_int_equal(again.compiled, 0);
    assert_true(again.from_cache);
    assert_int_equal(again.variant.values[0], 0);
    kgen_cache_close(cache);
}

static void only_broken_candidates(void **state)
{
    struct fixture *fixture = *state;
    struct kgen_cache *cache;
    struct kgen_choice choice;
    open_templates(fixture, "5, 1");
    assert_int_equal(tune(fixture, &usual, &cache, &choice), 0);
    assert_null(choice.variant.tmpl);
    assert_int_equal(choice.failed, 2);
    kgen_cache_close(cache);
}

static void estimate_proves_and_does_not_time(void **state)
{
    struct fixture *fixture = *state;
    struct kgen_cache *cache;
    struct kgen_choice choice;
    struct kgen_tune_options options = usual;
    options.effort = KGEN_EFFORT_ESTIMATE;
    open_templates(fixture, "1, 5, 0");
    assert_int_equal(tune(fixture, &options, &cache, &choice), 0);
    assert_non_null(choice.variant.tmpl);
    assert_int_equal(choice.variant.values[0], 0);
    assert_int_equal(choice.timed, 0);
    assert_int_equal(choice.compiled, 3);
    kgen_cache_close(cache);
    /* What an estimate proved still has to be timed when more effort is asked for. */
    assert_int_equal(tune(fixture, &usual, &cache, &choice), 0);
    assert_int_equal(choice.timed, 1);
    assert_false(choice.from_cache);
    kgen_cache_close(cache);
}

static void stopping_keeps_what_is_known(void **state)
{
    struct fixture *fixture = *state;
    struct kgen_cache *cache;
    struct kgen_choice choice;
    static volatile int cancelled = 1;
    struct kgen_tune_options options = usual;
    open_templates(fixture, "0, 6");
    options.cancel = &cancelled;
    assert_int_equal(tune(fixture, &options, &cache, &choice), 1);
    assert_null(choice.variant.tmpl);
    assert_int_equal(kgen_cache_count(cache), 0);
    kgen_cache_close(cache);
    /* The time is up when the first of them is done, which is the right one. */
    options.cancel = NULL;
    options.time_limit_seconds = 0.5;
    later = 1;
    assert_int_equal(tune(fixture, &options, &cache, &choice), 1);
    assert_int_equal(kgen_cache_count(cache), 1);
    assert_non_null(choice.variant.tmpl);
    assert_int_equal(choice.variant.values[0], 0);
    kgen_cache_close(cache);
}

/* ---- limits that follow the machine ---- */

static double skip_ahead(void *context)
{
    double *seconds = context;
    return *seconds += 1e9;
}

static double brief_limit(void *context, const struct kgen_variant *variant)
{
    (void)context, (void)variant;
    return 1e-6;
}

/* Takes longer than the brief limit on every machine. */
static void take_long(void *context, const struct kgen_problem *problem, const struct kgen_variant *variant,
                      bool final, struct kgen_timing *timing)
{
    (void)context, (void)problem, (void)variant, (void) final;
    nanosleep(&(struct timespec){.tv_nsec = 400000000}, NULL);
    timing->hot_seconds = timing->cold_seconds = 1e-6;
}

/* The same candidate hangs on a machine as fast as ever, and is in time where an empty job takes very long.
 */
static void limits_follow_the_machine(void **state)
{
    struct fixture *fixture = *state;
    struct kgen_cache *cache;
    struct kgen_choice choice;
    struct kgen_tune_options options = usual;
    double seconds = 0;
    options.times = (struct kgen_tune_times){
        .clock = read_clock, .stage_limit = brief_limit, .measure = take_long, .context = &seconds};
    open_templates(fixture, "0");
    assert_int_equal(tune(fixture, &options, &cache, &choice), 0);
    assert_int_equal(kgen_cache_at(cache, 0)->verdict, KGEN_TIMED_OUT);
    assert_int_equal(kgen_cache_clear(cache, NULL), 0);
    kgen_cache_close(cache);
    options.times.clock = skip_ahead;
    assert_int_equal(tune(fixture, &options, &cache, &choice), 0);
    assert_int_equal(choice.proven, 1);
    kgen_cache_close(cache);
}

/* ---- candidates that hang ---- */

static char order[256]; /* of the candidates, as the tuner reports them */

static void keep_order(void *context, const struct kgen_problem *problem, const struct kgen_record *record,
                       unsigned done, unsigned total)
{
    (void)context, (void)problem, (void)done, (void)total;
    const size_t used = strlen(order);
    snprintf(order + used, sizeof order - used, "%s\n", record->variant);
}

/* Way 6 does not end; each of the others does more than those before it. */
#define ENDLESS_ADD(name, ways)                                                                              \
    "$template " name " \"y = a + b\"\n$op add\n$isa generic\n$param way = " ways "\n"                       \
    "void ${function}(const float *a, const float *b, float *y, size_t begin, size_t end)\n{\n"              \
    "    for (size_t i = begin; i < end;${way == 6 ? \"\" : \" i++\"}) {\n        y[i] = a[i] + b[i];\n"     \
    "$for turn in range(way == 6 ? 0 : 20 * way)\n        y[i] += 0 * a[i];\n$end\n    }\n}\n"

/* Of the template whose first variant hangs, the others are tried when all else has been. */
static void siblings_of_what_hangs_come_last(void **state)
{
    struct fixture *fixture = *state;
    struct kgen_error error = {0};
    struct kgen_choice choice;
    /* The one that hangs has the fewest instructions, so that it is tried first. */
    tune_put_template(&fixture->base, "planted", ENDLESS_ADD("planted", "6, 1, 2"));
    tune_put_template(&fixture->base, "second", ENDLESS_ADD("second", "3"));
    struct kgen_cache *cache = kgen_cache_open(fixture->base.folder, NULL, NULL, &error);
    struct kgen_tuner *tuner =
        kgen_tuner_new(fixture->base.templates, &fixture->base.machine, cache, &usual, &error);
    assert_non_null(tuner);
    order[0] = '\0';
    assert_int_equal(kgen_tune(tuner, &fixture->problem, keep_order, NULL, &choice, &error), 0);
    assert_string_equal(order, "planted generic way=6\nsecond generic way=3\nplanted generic way=1\n"
                               "planted generic way=2\n");
    kgen_tuner_free(tuner);
    kgen_cache_close(cache);
}

static double limit_of_7(void *context, const struct kgen_variant *variant)
{
    (void)context, (void)variant;
    return 7;
}

/* How long a proof may take follows from the references, and never exceeds the limit of a stage. */
static void limits_follow_the_reference(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        double reference, stage; /* seconds; stage 0: not given */
        bool sibling_hung;
        double least, most;
    } cases[] = {
        {0, 0, false, 1, 15},     {0, 0, true, 0.25, 4},   {0.1, 0, false, 20, 30}, {1, 0, false, 60, 60},
        {1000, 0, false, 60, 60}, {1000, 0, true, 15, 60}, {0, 90, false, 90, 90},
    };
    open_templates(fixture, "0");
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_tuner tuner = {.options = {.stage_limit_seconds = cases[i].stage}};
        struct kgen_tuning_shared shared = {.slowness = 1};
        struct kgen_tuning tuning = {
            .tuner = &tuner, .shared = &shared, .reference_seconds = cases[i].reference};
        const struct kgen_variant variant = {.tmpl = kgen_templates_find(fixture->base.templates, "planted"),
                                             .isa = KGEN_ISA_GENERIC};
        if (cases[i].sibling_hung)
            tuning.hung = variant;
        const double limit = kgen_tuning_proof_limit(&tuning, &variant);
        if (limit < cases[i].least || limit > cases[i].most)
            fail_msg("case %zu: the limit is %g s", i, limit);
        tuner.options.times.stage_limit = limit_of_7;
        assert_true(kgen_tuning_proof_limit(&tuning, &variant) == 7);
    }
}

/* ---- finalists that fail ---- */

enum { FASTEST = 10, SECOND, THIRD };

/* What the fastest does when it is timed again. */
enum finish { CRASHES, HANGS, EXITS };

static void fail_in_final(void *context, const struct kgen_problem *problem,
                          const struct kgen_variant *variant, bool final, struct kgen_timing *timing)
{
    const enum finish *finish = context;
    (void)problem;
    timing->hot_seconds = timing->cold_seconds = 1e-6 * (double)variant->values[0];
    if (!final || variant->values[0] != FASTEST)
        return;
    if (*finish == CRASHES)
        raise(SIGSEGV);
    if (*finish == EXITS)
        _exit(3);
    for (;;)
        pause();
}

static double limit_of_fastest(void *context, const struct kgen_variant *variant)
{
    (void)context;
    return variant->values[0] == FASTEST ? 2 : 1000;
}

static void failures_in_the_final_round_are_told(void **state)
{
    static const struct {
        enum finish finish;
        enum kgen_verdict verdict;
        const char *detail;
    } cases[] = {{CRASHES, KGEN_CRASHED, "timed again: SIGSEGV (11) in the final round"},
                 {HANGS, KGEN_TIMED_OUT, "timed again: not done within its time limit in the final round"},
                 {EXITS, KGEN_WORKER_EXITED, "timed again: the process ended with exit status 3"}};
    struct fixture *fixture = *state;
    open_templates(fixture, "10, 11, 12");
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_cache *cache;
        struct kgen_choice choice;
        struct kgen_tune_options options = usual;
        enum finish finish = cases[i].finish;
        options.times = (struct kgen_tune_times){
            .stage_limit = limit_of_fastest, .measure = fail_in_final, .context = &finish};
        assert_int_equal(tune(fixture, &options, &cache, &choice), 0);
        assert_int_equal(choice.variant.values[0], SECOND);
        assert_int_equal(choice.proven, 2);
        assert_int_equal(choice.failed, 1);
        assert_true(choice.record.final_seconds > 0);
        assert_non_null(strstr(last_message, cases[i].detail));
        assert_non_null(strstr(last_message, "add_n1003: planted generic way=10 "));
        size_t found = 0;
        for (size_t r = 0; r < kgen_cache_count(cache); r++) {
            const struct kgen_record *record = kgen_cache_at(cache, r);
            if (strstr(record->variant, "way=10") == NULL)
                continue;
            assert_int_equal(record->verdict, cases[i].verdict);
            assert_non_null(strstr(record->detail, cases[i].detail));
            found++;
        }
        assert_int_equal(found, 1);
        assert_int_equal(kgen_cache_clear(cache, NULL), 0);
        kgen_cache_close(cache);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(broken_candidates_are_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_broken_candidates, set_up, tear_down),
        cmocka_unit_test_setup_teardown(estimate_proves_and_does_not_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stopping_keeps_what_is_known, set_up, tear_down),
        cmocka_unit_test_setup_teardown(limits_follow_the_machine, set_up, tear_down),
        cmocka_unit_test_setup_teardown(siblings_of_what_hangs_come_last, set_up, tear_down),
        cmocka_unit_test_setup_teardown(limits_follow_the_reference, set_up, tear_down),
        cmocka_unit_test_setup_teardown(failures_in_the_final_round_are_told, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
