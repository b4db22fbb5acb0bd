/* SPDX-License-Identifier: MIT */
/* The measurement of the read bandwidth works with every instruction set of the machine. How fast is not
 * tested. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../runtime/machine.h"

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
        machine.isas = 1u << KGEN_ISA_SCALAR | 1u << isa;
        struct kgen_bandwidth bandwidth = {0};
        if (kgen_bandwidth_measure(&machine, templates, 2, &bandwidth, &error) != 0)
            fail_msg("%s: %s", kgen_isa_info((enum kgen_isa)isa)->name, error.message);
        assert_int_equal(bandwidth.threads, 2);
        assert_true(bandwidth.one_thread > 1e7 && bandwidth.one_thread < 1e14);
        assert_true(bandwidth.all_threads > 1e7 && bandwidth.all_threads < 1e14);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_instruction_set),
        cmocka_unit_test(test_one_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
