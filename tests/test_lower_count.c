/* SPDX-License-Identifier: MIT */
/* Counting instructions: what loops are worth, and that better code counts less. */
#include "gen/target/lower/lower.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define FUNCTION(body) "void f(const float *x, float *y, size_t begin, size_t end)\n{\n" body "\n}\n"
#define STATEMENT "kv_f32 v = kv_load(x); kv_store(y, kv_add(v, v));"

static double count(const char *text, enum kgen_isa isa, int64_t range)
{
    struct kgen_error error = {0};
    double instructions = -1;
    if (kgen_lower_count("t.c", text, isa, range, &instructions, &error) != 0)
        fail_msg("%s:%d:%d: %s", text, error.line, error.column, error.message);
    return instructions;
}

/* How often the marks in the text are run. */
static const struct {
    const char *text;
    int64_t range;
    double runs;
} loops[] = {
    {FUNCTION("{@}"), 100, 1},
    {FUNCTION("for (int i = 0; i < 10; i++) {@}"), 100, 10},
    {FUNCTION("for (int i = 2; i < 10; i++) {@}"), 100, 8},
    {FUNCTION("for (int i = 0; i < 10; i += 4) {@}"), 100, 3},
    {FUNCTION("for (int i = 12; i < 10; i++) {@}"), 100, 0},
    {FUNCTION("for (int i = 0; i < 0x10; i++) {@}"), 100, 16},
    {FUNCTION("for (int i = 0; i < 10; i++) { for (int j = 0; j < 6; j += 2) {@} }"), 1, 30},
    {FUNCTION("for (size_t i = begin; i < end; i++) {@}"), 100, 100},
    {FUNCTION("for (size_t i = begin; i < end; i += 8) {@}"), 100, 13},
    {FUNCTION("size_t i = begin; for (; i + 8 <= end; i += 8) {@}"), 100, 12},
    {FUNCTION("size_t i = begin; for (; i + 8 <= end; i += 8) {@}"
              "for (; i + 1 <= end; i += 1) {@}"),
     100, 16},
    {FUNCTION("for (size_t i = begin; i < end; i++) { for (int j = 0; j < 5; j++) {@} }"), 7, 35},
    {FUNCTION("for (int i = 0; i < 10; i++) y[i] = 0; {@}"), 100, 1},
    /* A statement of a loop without braces is no block: the next block counts once. */
    {FUNCTION("for (int i = 0; i < 10; i++) kv_store(y, kv_zero()); {@}"), 100, 1},
    {FUNCTION("for (int i = 0; i < 10; i += 4) kv_prefetch(x + i); {@}"), 100, 1},
    {FUNCTION("for (int i = 0; i < 10; i++) for (int j = 0; j < 8; j++) kv_prefetch(x + j); {@}"), 100, 1},
    {FUNCTION("for (int i = 0; i < 10; i++) { for (int j = 0; j < 8; j++) kv_prefetch(x + j); @}"), 100, 10},
    {FUNCTION("for (int i = 0; j < 10; i++) {@}"), 100, 1},
    /* Functions count where they are called. */
    {FUNCTION("for (int i = 0; i < 5; i++) {@}") "void g(void)\n{\n}\n", 100, 5},
    {FUNCTION("@") "void g(const float *x, float *y)\n{\nf(x, y, 0, 1);\nf(x, y, 0, 1);\n}\n", 100, 2},
    {FUNCTION(
         "for (int i = 0; i < 5; i++) {@}") "void g(const float *x, float *y, size_t begin, size_t end)\n{\n"
                                            "for (; begin + 4 <= end; begin += 4)\nf(x, y, 0, 1);\n{@}\n}\n",
     100, 5 * 25 + 1},
    /* Of these no bound is known: they count once. */
    {FUNCTION("for (int i = 10; i > 0; i--) {@}"), 100, 1},
    {FUNCTION("while (begin < end) {@}"), 100, 1},
    {FUNCTION("for (;;) {@}"), 100, 1},
};

/* The text with a statement at each mark, so many times. */
static double count_marked(const char *text, int times, enum kgen_isa isa, int64_t range)
{
    struct kgen_text filled = {0};
    for (; *text != '\0'; text++) {
        if (*text != '@')
            kgen_text_append(&filled, text, 1);
        for (int i = 0; *text == '@' && i < times; i++)
            kgen_text_puts(&filled, "kv_store(y, kv_load(x));");
    }
    const double instructions = count(filled.data, isa, range);
    kgen_text_free(&filled);
    return instructions;
}

static void test_loops(void **state)
{
    (void)state;
    size_t executed = 0;
    static const enum kgen_isa isas[] = {KGEN_ISA_AVX2, KGEN_ISA_AVX512};
    for (size_t isa = 0; isa < KGEN_COUNT_OF(isas); isa++) {
        for (size_t i = 0; i < KGEN_COUNT_OF(loops); i++, executed++) {
            /* A second statement is two more instructions, on the same addresses. */
            const double added = count_marked(loops[i].text, 2, isas[isa], loops[i].range) -
                                 count_marked(loops[i].text, 1, isas[isa], loops[i].range);
            if (added != 2 * loops[i].runs)
                fail_msg("%s: run %g times, not %g", loops[i].text, added / 2, loops[i].runs);
        }
    }
    assert_int_equal(executed, 2 * KGEN_COUNT_OF(loops));
}

/* Pairs of the same work, the first in fewer instructions. */
static const struct {
    const char *fewer, *more;
} pairs[] = {
    {FUNCTION("kv_store(y, kv_add(kv_load(x), kv_load(x + 16)));"),
     FUNCTION("kv_store(y, kv_add(kv_sqrt(kv_sqrt(kv_load(x))), kv_load(x + 16)));")},
    {FUNCTION("for (int i = 0; i < 8; i += 4) { kv_store(y, kv_load(x)); kv_store(y + 16, kv_load(x + 16)); "
              "kv_store(y + 32, kv_load(x + 32)); kv_store(y + 48, kv_load(x + 48)); }"),
     FUNCTION("for (int i = 0; i < 8; i++) { kv_store(y, kv_load(x)); }")},
    {FUNCTION("size_t i = begin; for (; i + 4 <= end; i += 4) {" STATEMENT "}"),
     FUNCTION("size_t i = begin; for (; i + 2 <= end; i += 2) {" STATEMENT "}")},
};

static void test_fewer_is_less(void **state)
{
    (void)state;
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(pairs); i++, executed++)
        assert_true(count(pairs[i].fewer, KGEN_ISA_AVX512, 100) < count(pairs[i].more, KGEN_ISA_AVX512, 100));
    assert_int_equal(executed, 3);
}

static void test_prefetches_count_nothing(void **state)
{
    (void)state;
    assert_true(
        count(FUNCTION("kv_prefetch(x); kv_prefetch(x + 16); kv_prefetch(x + 32);"), KGEN_ISA_AVX512, 1) <
        count(FUNCTION("kv_store(y, kv_load(x)); kv_store(y + 16, kv_load(x + 16));"), KGEN_ISA_AVX512, 1));
}

/* A loop of prefetches is unrolled: it counts what its prefetches count, whatever the number of them. */
static void test_prefetch_loops_count_as_prefetches(void **state)
{
    (void)state;
    static const char *const pairs_of_text[][2] = {
        {FUNCTION("for (int i = 0; i < 2048; i += 64) kv_prefetch(x + i + 8192);"),
         FUNCTION("kv_prefetch(x + 8192);")},
        {FUNCTION("for (int k = 0; k < 6; k++) { for (int i = 0; i < 2048; i += 64) kv_prefetch(x + i); }"),
         FUNCTION("for (int k = 0; k < 6; k++) { kv_prefetch(x); }")},
        /* The operands of the last statement of a block count as often as the block. */
        {FUNCTION("kv_store(y, kv_zero()); for (int k = 0; k < 6; k++) kv_store(y, kv_load(x));"),
         FUNCTION("kv_store(y, kv_zero()); for (int k = 0; k < 6; k++) { kv_store(y, kv_load(x)); }")},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(pairs_of_text); i++) {
        const double first = count(pairs_of_text[i][0], KGEN_ISA_AVX512, 1);
        const double second = count(pairs_of_text[i][1], KGEN_ISA_AVX512, 1);
        if (first != second)
            fail_msg("%s counts %g, %s %g", pairs_of_text[i][0], first, pairs_of_text[i][1], second);
    }
}

static void test_errors(void **state)
{
    (void)state;
    struct kgen_error error = {0};
    double instructions;
    assert_int_equal(
        kgen_lower_count("t.c", FUNCTION("kv_f32 a = kv_ad(a);"), KGEN_ISA_AVX512, 1, &instructions, &error),
        -1);
    assert_int_equal(error.line, 3);
    error = (struct kgen_error){0};
    assert_int_equal(
        kgen_lower_count("t.c", FUNCTION("{" STATEMENT "}"), KGEN_ISA_NEON, 1, &instructions, &error), -1);
    assert_int_equal(error.code, KGEN_ERROR_USAGE);
    /* Plain C is counted by its statements. */
    assert_true(
        count(FUNCTION("for (size_t i = begin; i < end; i++) { y[i] = x[i]; }"), KGEN_ISA_GENERIC, 50) >
        count(FUNCTION("for (size_t i = begin; i < end; i++) { y[i] = x[i]; }"), KGEN_ISA_GENERIC, 10));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loops),
        cmocka_unit_test(test_fewer_is_less),
        cmocka_unit_test(test_prefetches_count_nothing),
        cmocka_unit_test(test_prefetch_loops_count_as_prefetches),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
