/* SPDX-License-Identifier: MIT */
/* What is detected of the machine agrees with what the kernel says of it. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/machine/machine.h"

static void test_facts(void **state)
{
    (void)state;
    struct kgen_machine machine;
    kgen_machine_detect(&machine);
    assert_true(strlen(machine.architecture) > 0);
    assert_in_range(machine.threads, 1, 4096);
    assert_int_equal(strlen(machine.identity), 16);
    assert_int_equal(strspn(machine.identity, "0123456789abcdef"), 16);
    assert_true((machine.isas >> KGEN_ISA_GENERIC & 1) == 1);
    assert_true((machine.isas >> kgen_machine_best_isa(&machine) & 1) == 1);
    assert_true(kgen_machine_last_level_cache(&machine) >= machine.l2_bytes);
#if defined(__x86_64__)
    assert_true(strlen(machine.vendor) > 0);
    assert_true(strlen(machine.name) > 0);
    assert_true(machine.family > 0);
    assert_true(machine.l1d_bytes >= 4096);
#endif
}

/* The instruction sets, against the flags that the kernel lists, which it does only for what it can save. */
static void test_instruction_sets(void **state)
{
    (void)state;
    static const struct {
        enum kgen_isa isa;
        const char *flags[8];
    } needs[] = {
        {KGEN_ISA_AVX2, {"avx2", "fma", "f16c"}},
        {KGEN_ISA_AVX512,
         {"avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512_vnni"}},
        {KGEN_ISA_NEON, {"asimd"}},
    };
    FILE *file = fopen("/proc/cpuinfo", "r");
    char *line = NULL, *flags = NULL;
    size_t size = 0;
    while (file != NULL && flags == NULL && getline(&line, &size, file) > 0) {
        if (strncmp(line, "flags", 5) == 0 || strncmp(line, "Features", 8) == 0)
            flags = strdup(strchr(line, ':'));
    }
    free(line);
    if (file != NULL)
        fclose(file);
    if (flags == NULL) {
        printf("skipped: /proc/cpuinfo lists no flags\n");
        skip();
    }
    flags[strcspn(flags, "\n")] = ' ';
    struct kgen_machine machine;
    kgen_machine_detect(&machine);
    for (size_t i = 0; i < KGEN_COUNT_OF(needs); i++) {
        bool expected = true;
        for (size_t j = 0; j < KGEN_COUNT_OF(needs[i].flags) && needs[i].flags[j] != NULL; j++) {
            char flag[32];
            snprintf(flag, sizeof flag, " %s ", needs[i].flags[j]);
            expected = expected && strstr(flags, flag) != NULL;
        }
        print_message("%s: %s\n", kgen_isa_info(needs[i].isa)->name, expected ? "yes" : "no");
        assert_int_equal(machine.isas >> needs[i].isa & 1, expected);
    }
    free(flags);
}

/* Another number of threads is the same machine; records stay valid under taskset. */
static void test_affinity(void **state)
{
    (void)state;
    struct kgen_machine before, within, after;
    cpu_set_t all, one;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    kgen_machine_detect(&before);
    assert_int_equal(before.threads, CPU_COUNT(&all));
    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++) {
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    }
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    kgen_machine_detect(&within);
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
    kgen_machine_detect(&after);
    assert_int_equal(within.threads, 1);
    assert_string_equal(within.identity, before.identity);
    assert_memory_equal(&before, &after, sizeof before);
}

static void test_best_isa(void **state)
{
    (void)state;
    static const struct {
        unsigned isas;
        enum kgen_isa best;
    } cases[] = {
        {1u << KGEN_ISA_GENERIC, KGEN_ISA_GENERIC},
        {1u << KGEN_ISA_GENERIC | 1u << KGEN_ISA_NEON, KGEN_ISA_NEON},
        {1u << KGEN_ISA_GENERIC | 1u << KGEN_ISA_AVX2, KGEN_ISA_AVX2},
        {1u << KGEN_ISA_GENERIC | 1u << KGEN_ISA_AVX2 | 1u << KGEN_ISA_AVX512, KGEN_ISA_AVX512},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        const struct kgen_machine machine = {.isas = cases[i].isas};
        assert_int_equal(kgen_machine_best_isa(&machine), cases[i].best);
    }
}

/* A set of features gives the instruction sets that need no more than it. */
static void test_isas_of_features(void **state)
{
    (void)state;
    static const unsigned generic = 1u << KGEN_ISA_GENERIC, avx2 = 1u << KGEN_ISA_AVX2,
                          avx512 = 1u << KGEN_ISA_AVX512, neon = 1u << KGEN_ISA_NEON;
    static const struct {
        const char *features;
        unsigned isas;
    } cases[] = {
        {"", generic},
        {"  ", generic},
        {"asimd", generic | neon},
        {"avx2 fma f16c bmi2", generic | avx2},
        {" bmi2 f16c fma avx2 avx512f ", generic | avx2},
        {"avx2 fma f16c", generic},
        {"avx2x fma f16c bmi2", generic},
        {"avx fma f16c bmi2", generic},
        {"avx512f avx512bw avx512vl avx512dq avx512vnni", generic},
        {"avx512f avx512bw avx512vl avx512dq avx512vnni avx2 fma f16c bmi2", generic | avx2 | avx512},
        {"avx512f avx512bw avx512vl avx512dq avx2 fma f16c bmi2", generic | avx2},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        const unsigned found = kgen_isas_of_features(cases[i].features);
        if (found != cases[i].isas)
            fail_msg("'%s' gives %#x, not %#x", cases[i].features, found, cases[i].isas);
    }
}

/* The columns of each row agree with one another. */
static void test_isa_rows(void **state)
{
    (void)state;
    for (int i = 0; i < KGEN_ISA_COUNT; i++) {
        const struct kgen_isa_info *isa = kgen_isa_info((enum kgen_isa)i);
        assert_true(isa->name != NULL && isa->needs != NULL && isa->cc_flags != NULL);
        assert_int_equal(strncmp(isa->header_name, "KV_ISA_", 7), 0);
        assert_int_equal(isa->test != NULL, isa->tested_features != NULL);
        /* What is tested at run time is among what is needed, and stands under a guard. */
        if (isa->test != NULL) {
            assert_non_null(isa->guard);
            assert_int_equal(kgen_isas_of_features(isa->features) >> i & 1, 1);
        }
        const bool has_vectors = isa->encoding == KGEN_ENCODING_VEX || isa->encoding == KGEN_ENCODING_EVEX;
        assert_true(!has_vectors || isa->vector_bytes > 0);
        assert_int_equal(kgen_isas_of_tcc() >> i & 1, isa->encoding != KGEN_ENCODING_NONE);
    }
}

/* Each name, and the one that older records hold for generic. */
static void test_isa_names(void **state)
{
    (void)state;
    enum kgen_isa found;
    for (int isa = 0; isa < KGEN_ISA_COUNT; isa++) {
        assert_int_equal(kgen_isa_parse(kgen_isa_info((enum kgen_isa)isa)->name, &found), 0);
        assert_int_equal(found, isa);
    }
    assert_int_equal(kgen_isa_parse("generic", &found), 0);
    assert_int_equal(kgen_isa_parse("scalar", &found), 0);
    assert_int_equal(found, KGEN_ISA_GENERIC);
    assert_int_equal(kgen_isa_parse("plain", &found), -1);
}

static void test_last_level_cache(void **state)
{
    (void)state;
    const struct kgen_machine with = {.l1d_bytes = 1, .l2_bytes = 2, .l3_bytes = 3};
    const struct kgen_machine without = {.l1d_bytes = 1, .l2_bytes = 2};
    const struct kgen_machine unknown = {0};
    assert_int_equal(kgen_machine_last_level_cache(&with), 3);
    assert_int_equal(kgen_machine_last_level_cache(&without), 2);
    assert_int_equal(kgen_machine_last_level_cache(&unknown), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_facts),
        cmocka_unit_test(test_instruction_sets),
        cmocka_unit_test(test_affinity),
        cmocka_unit_test(test_best_isa),
        cmocka_unit_test(test_isas_of_features),
        cmocka_unit_test(test_isa_rows),
        cmocka_unit_test(test_isa_names),
        cmocka_unit_test(test_last_level_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
