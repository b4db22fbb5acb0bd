/* SPDX-License-Identifier: MIT */
/* softmax: its reference by hand, and the proof of kernels, right ones and broken ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "prove.h"

#include "gen/ops/buffers.h"

#include <math.h>
#include <string.h>

static struct kgen_problem problem_of(int64_t rows, int64_t size)
{
    struct kgen_problem problem;
    kgen_problem_init(&problem, kgen_op_find("softmax"));
    kgen_problem_set(&problem, "rows", rows);
    kgen_problem_set(&problem, "size", size);
    assert_int_equal(kgen_problem_check(&problem, NULL, 0, 0, NULL), 0);
    return problem;
}

static void test_reference_by_hand(void **state)
{
    (void)state;
    const struct kgen_problem problem = problem_of(2, 3);
    float x[] = {0, 0.6931471806f, -1000, 500, 500, 500};
    double y[6], bound[6];
    const struct kgen_arguments arguments = {.buffers = {x}};
    struct kgen_expected expected = {.values = {NULL, y}, .bounds = {NULL, bound}};
    problem.op->reference(&problem, &arguments, &expected);
    static const double sums[] = {1.0 / 3, 2.0 / 3, 0, 1.0 / 3, 1.0 / 3, 1.0 / 3};
    for (int i = 0; i < 6; i++) {
        assert_true(fabs(y[i] - sums[i]) < 1e-8);
        assert_true(bound[i] > 0 && bound[i] < 2e-6);
    }
    assert_true(bound[2] < 1e-37);
}

/* ---- kernels ---- */

enum { SIZE = 77 };

static enum fault { RIGHT, SUBTRACTS_NOTHING, FORGETS_LAST_IN_SUM, FORGETS_LAST_IN_MAX, SUMS_ALL_ROWS } fault;

static void run(void *const *buffers, const int64_t *scalars, size_t begin, size_t end)
{
    (void)scalars;
    float carried = 0;
    for (size_t row = begin; row < end; row++) {
        const float *x = (const float *)buffers[0] + row * SIZE;
        float *y = (float *)buffers[1] + row * SIZE;
        float greatest = x[0], sum = carried, values[SIZE];
        for (int i = 1; i < (fault == FORGETS_LAST_IN_MAX ? SIZE - 1 : SIZE); i++)
            greatest = fmaxf(greatest, x[i]);
        for (int i = 0; i < SIZE; i++) {
            values[i] = expf(fault == SUBTRACTS_NOTHING ? x[i] : x[i] - greatest);
            sum += fault == FORGETS_LAST_IN_SUM && i == SIZE - 1 ? 0 : values[i];
        }
        for (int i = 0; i < SIZE; i++)
            y[i] = values[i] / sum;
        carried = fault == SUMS_ALL_ROWS ? sum : 0;
    }
}

static void test_kernels_are_proven(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum fault fault;
        bool passes;
    } cases[] = {
        {"right", RIGHT, true},
        {"subtracts nothing", SUBTRACTS_NOTHING, false},
        {"forgets the last element in the sum", FORGETS_LAST_IN_SUM, false},
        {"forgets the last element in the maximum", FORGETS_LAST_IN_MAX, false},
        {"adds the sum of the row before", SUMS_ALL_ROWS, false},
    };
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++, executed++) {
        const struct kgen_kernel kernel = {.problem = problem_of(9, SIZE), .run = run};
        fault = cases[i].fault;
        const struct kgen_verification v = prove(&kernel);
        if ((v.verdict == KGEN_PASSED) != cases[i].passes)
            fail_msg("%s: %s: %s", cases[i].name, kgen_verdict_name(v.verdict), v.detail);
    }
    assert_int_equal(executed, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference_by_hand),
        cmocka_unit_test(test_kernels_are_proven),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
