/* SPDX-License-Identifier: MIT */
/* The table of targets: what it finds, and that its rows agree with the templates and the engines. */
#include "gen/base/word_list.h"
#include "gen/target/target.h"
#include "gen/template/template.h"
#include "runtime/jit/jit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_find(void **state)
{
    (void)state;
    struct kgen_error error = {0};
    assert_ptr_equal(kgen_target_find("c", &error), kgen_target_at(0));
    assert_int_equal(error.code, KGEN_ERROR_NONE);
    assert_null(kgen_target_find("cc", &error));
    assert_int_equal(error.code, KGEN_ERROR_USAGE);
    assert_string_equal(error.message, "there is no target cc");
    assert_null(kgen_target_find("", NULL));
    for (size_t i = 0; kgen_target_at(i) != NULL; i++)
        assert_ptr_equal(kgen_target_find(kgen_target_at(i)->name, NULL), kgen_target_at(i));
}

/* Each instruction set belongs to one target, whose first engine is one that is known. */
static void test_instruction_sets(void **state)
{
    (void)state;
    unsigned seen = 0;
    for (size_t i = 0; kgen_target_at(i) != NULL; i++) {
        assert_int_equal(seen & kgen_target_at(i)->isas, 0);
        seen |= kgen_target_at(i)->isas;
        for (int isa = 0; isa < KGEN_ISA_COUNT; isa++) {
            if ((kgen_target_at(i)->isas >> isa & 1) != 0)
                assert_ptr_equal(kgen_target_of_isa((enum kgen_isa)isa), kgen_target_at(i));
        }
    }
    assert_int_equal(seen, (1u << KGEN_ISA_COUNT) - 1);
}

static void test_engines(void **state)
{
    (void)state;
    static const struct {
        const char *engine;
        enum kgen_isa isa;
        bool compiles;
    } cases[] = {
        {"tcc", KGEN_ISA_GENERIC, true},  {"tcc", KGEN_ISA_AVX2, true},   {"tcc", KGEN_ISA_AVX512, true},
        {"tcc", KGEN_ISA_NEON, false},    {"cc", KGEN_ISA_GENERIC, true}, {"cc", KGEN_ISA_NEON, true},
        {"cc", KGEN_ISA_AVX512, true},    {"c", KGEN_ISA_AVX2, false},    {"", KGEN_ISA_AVX2, false},
        {"tcc cc", KGEN_ISA_AVX2, false},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        const struct kgen_target *target = kgen_target_of_isa(cases[i].isa);
        if (kgen_target_has_engine(target, cases[i].engine, cases[i].isa) != cases[i].compiles)
            fail_msg("%s and %s: not %d", cases[i].engine, kgen_isa_info(cases[i].isa)->name,
                     cases[i].compiles);
    }
    for (size_t i = 0; kgen_target_at(i) != NULL; i++) {
        const char *list = kgen_target_at(i)->engines, *word;
        size_t length, count = 0;
        while ((word = kgen_word_next(&list, &length)) != NULL) {
            char name[32];
            enum kgen_engine engine;
            snprintf(name, sizeof name, "%.*s", (int)length, word);
            assert_int_equal(kgen_engine_parse(name, &engine), 0);
            count++;
        }
        assert_true(count > 0);
    }
}

/* Every target has templates, the support header among them, for its own instruction sets alone. */
static void test_templates(void **state)
{
    (void)state;
    size_t kernels = 0;
    for (size_t i = 0; kgen_target_at(i) != NULL; i++) {
        const struct kgen_target *target = kgen_target_at(i);
        struct kgen_error error = {0};
        struct kgen_templates *set = kgen_templates_open(NULL, target->name, &error);
        if (set == NULL)
            fail_msg("%s: %s", target->name, error.message);
        struct kgen_text built_in = {0}, from_set = {0};
        assert_int_equal(kgen_target_put_support(target, NULL, &built_in, &error), 0);
        assert_int_equal(kgen_target_put_support(target, set, &from_set, &error), 0);
        assert_string_equal(built_in.data, from_set.data);
        kgen_text_free(&built_in);
        kgen_text_free(&from_set);
        for (size_t j = 0; j < kgen_templates_count(set); j++) {
            const unsigned isas = kgen_template_isas(kgen_templates_at(set, j));
            assert_int_equal(isas & ~target->isas, 0);
            kernels += isas != 0;
        }
        kgen_templates_free(set);
    }
    assert_true(kernels > 0);
}

/* What the row calls gives what the lowering gives. */
static void test_functions(void **state)
{
    (void)state;
    static const char text[] =
        "void f(float *x)\n{\n    kv_store(x, kv_add(kv_load(x), kv_load(x + 16)));\n}\n";
    const struct kgen_target *target = kgen_target_of_isa(KGEN_ISA_AVX2);
    struct kgen_text out = {0};
    struct kgen_error error = {0};
    double instructions = 0;
    assert_int_equal(target->lower("t.c", text, KGEN_ISA_AVX2, &out, &error), 0);
    assert_non_null(strstr(out.data, "asm("));
    assert_int_equal(target->count("t.c", text, KGEN_ISA_AVX2, 1, &instructions, &error), 0);
    assert_true(instructions >= 3);
    assert_non_null(strstr(target->prelude(), "uint8_t"));
    kgen_text_free(&out);
}

static void test_word_lists(void **state)
{
    (void)state;
    static const struct {
        const char *list, *wanted;
        bool has_all;
    } cases[] = {
        {"", "", true},        {"a b", "", true},  {"a b", "b a", true},
        {" a  b ", "b", true}, {"ab", "a", false}, {"a", "ab", false},
        {"a b", "c", false},   {"", "a", false},   {"a b c", "c d", false},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        if (kgen_word_list_has_all(cases[i].list, cases[i].wanted) != cases[i].has_all)
            fail_msg("'%s' in '%s'", cases[i].wanted, cases[i].list);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),      cmocka_unit_test(test_instruction_sets),
        cmocka_unit_test(test_engines),   cmocka_unit_test(test_templates),
        cmocka_unit_test(test_functions), cmocka_unit_test(test_word_lists),
    };
    return cmocka_run_group_tests_name("target", tests, NULL, NULL);
}
