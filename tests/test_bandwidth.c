/* SPDX-License-Identifier: MIT */
/* The measurement of the read bandwidth works with every instruction set of the machine. How fast is not
 * tested. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/tune/bandwidth.h"
#include "runtime/tune/timing.h"

static void test_every_instruction_set(void **state)
{
    (void)state;
    struct kgen_error error = {0};
    struct kgen_machine machine;
    kgen_machine_detect(&machine);
    struct kgen_templates *templates = kgen_templates_open(NULL, "c", &error);
    assert_non_null(templates);
    const unsigned all = machine.isas;
    size_t executed = 0;
    for (int isa = 0; isa < KGEN_ISA_COUNT; isa++) {
        if ((all >> isa & 1) == 0)
            continue;
        machine.isas = 1u << KGEN_ISA_GENERIC | 1u << isa;
        struct kgen_bandwidth bandwidth = {0};
        if (kgen_bandwidth_measure(&machine, templates, 2, &bandwidth, &error) != 0)
            fail_msg("%s: %s", kgen_isa_info((enum kgen_isa)isa)->name, error.message);
        assert_int_equal(bandwidth.threads, 2);
        assert_true(bandwidth.one_thread > 1e7 && bandwidth.one_thread < 1e14);
        assert_true(bandwidth.all_threads > 1e7 && bandwidth.all_threads < 1e14);
        assert_true(bandwidth.noise >= 0 && bandwidth.noise < 100);
        executed++;
    }
    assert_true(executed > 0);
    kgen_templates_free(templates);
}

static void test_one_thread(void **state)
{
    (void)state;
    struct kgen_error error = {0};
    struct kgen_machine machine;
    kgen_machine_detect(&machine);
    struct kgen_templates *templates = kgen_templates_open(NULL, "c", &error);
    assert_non_null(templates);
    struct kgen_bandwidth bandwidth = {0};
    assert_int_equal(kgen_bandwidth_measure(&machine, templates, 1, &bandwidth, &error), 0);
    assert_true(bandwidth.one_thread > 0);
    assert_true(bandwidth.all_threads >= bandwidth.one_thread &&
                bandwidth.all_threads <= bandwidth.one_thread);
    assert_int_equal(kgen_bandwidth_measure(&machine, templates, 0, &bandwidth, &error), -1);
    assert_int_equal(error.code, KGEN_ERROR_USAGE);
    kgen_templates_free(templates);
}

static const struct {
    double values[9];
    size_t count;
    double median, noise;
} series[] = {
    {{0}, 0, 0, 0},
    {{7}, 1, 7, 0},
    {{2, 1}, 2, 1.5, 0},
    {{3, 1, 2}, 3, 2, 0},
    {{4, 1, 3, 2}, 4, 2.5, 1 / 2.5},
    {{5, 5, 5, 5, 5}, 5, 5, 0},
    {{5, 5, 1000, 5, 5, 5, 5, 5}, 8, 5, 0}, /* one that is far off is no noise */
    {{1, 2, 3, 4, 5, 6, 7, 8}, 8, 4.5, 3 / 4.5},
    {{9, 8, 7, 6, 5, 4, 3, 2, 1}, 9, 5, 4.0 / 5},
};

static void test_noise(void **state)
{
    (void)state;
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(series); i++, executed++) {
        double values[9];
        memcpy(values, series[i].values, sizeof values);
        assert_float_equal(kgen_median(values, series[i].count), series[i].median, 1e-9);
        memcpy(values, series[i].values, sizeof values);
        assert_float_equal(kgen_noise(values, series[i].count), series[i].noise, 1e-6);
    }
    assert_true(executed > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_instruction_set),
        cmocka_unit_test(test_one_thread),
        cmocka_unit_test(test_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
