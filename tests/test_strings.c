/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gen/base/isa.h"
#include "gen/base/strings.h"

#include <stdio.h>
#include <string.h>

static void test_begins_and_ends(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
        bool begins, ends;
    } cases[] = {{"", "", true, true},           {"a.tmp", "", true, true},
                 {"", ".tmp", false, false},     {"tmp", ".tmp", false, false},
                 {".tmp", ".tmp", true, true},   {"a.tmp", ".tmp", false, true},
                 {".tmp.", ".tmp", true, false}, {"a.tmP", ".tmp", false, false}};
    size_t done = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++, done++) {
        /* The text is not terminated: what follows must not count. */
        char text[16];
        const size_t length = strlen(cases[i].text);
        snprintf(text, sizeof text, "%s.tmp", cases[i].text);
        if (kgen_string_begins(text, length, cases[i].part) != cases[i].begins ||
            kgen_string_ends(text, length, cases[i].part) != cases[i].ends)
            fail_msg("\"%s\" and \"%s\"", cases[i].text, cases[i].part);
    }
    assert_true(done > 0);
}

static void test_find(void **state)
{
    (void)state;
    static const char *const names[] = {"tcc", "cc", "cc"};
    assert_int_equal(kgen_string_find(names, 3, "tcc"), 0);
    assert_int_equal(kgen_string_find(names, 3, "cc"), 1);
    assert_int_equal(kgen_string_find(names, 1, "cc"), -1);
    assert_int_equal(kgen_string_find(names, 3, "c"), -1);
    assert_int_equal(kgen_string_find(names, 3, ""), -1);
    assert_int_equal(kgen_string_find(NULL, 0, "tcc"), -1);
}

/* Sets of instruction sets are gone through and written from the last to the first. */
static void test_isas(void **state)
{
    (void)state;
    static const struct {
        unsigned isas;
        const char *text;
    } cases[] = {{0, ""},
                 {1u << KGEN_ISA_GENERIC, "generic"},
                 {1u << KGEN_ISA_AVX512, "avx512"},
                 {1u << KGEN_ISA_GENERIC | 1u << KGEN_ISA_AVX2, "avx2, generic"},
                 {(1u << KGEN_ISA_COUNT) - 1, "avx512, avx2, neon, generic"}};
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_text text = {0};
        kgen_isas_write(cases[i].isas, &text);
        assert_string_equal(text.data != NULL ? text.data : "", cases[i].text);
        kgen_text_free(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_begins_and_ends),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_isas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
