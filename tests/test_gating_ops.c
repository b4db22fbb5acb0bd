/* SPDX-License-Identifier: MIT */
/* geglu, clamped_swiglu, scale, softcap and layer_norm: their references by hand, and the proof of kernels,
 * right ones and broken ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "prove.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SIZE = 100, ROWS = 3 };

static struct kgen_problem problem_of(const char *op, const char *flag)
{
    struct kgen_problem problem;
    kgen_problem_init(&problem, kgen_op_find(op));
    kgen_problem_set(&problem, "size", SIZE);
    kgen_problem_set(&problem, "rows", ROWS);
    if (flag != NULL)
        kgen_problem_set(&problem, flag, 1);
    return problem;
}

/* ---- the references ---- */

static void test_references_by_hand(void **state)
{
    (void)state;
    static const struct {
        const char *op, *flag;
        float a, b;
        double right;
    } cases[] = {
        {"geglu", NULL, 1, 2, 2 * 0.8411919906082768},
        {"geglu", NULL, -1, 2, -2 * 0.15880800939172324},
        {"geglu", "exact", 1, 2, 2 * 0.8413447460685429},
        {"geglu", "exact", -3, 1, -3 * 0.0013498980316300933},
        {"clamped_swiglu", NULL, 1, 2, 3 * 0.8457957659328212},
        {"clamped_swiglu", NULL, 9, 9, 8 * 6.9999531748}, /* 7 and 7 */
        {"clamped_swiglu", NULL, -9, -9, -6 * -2.003179e-6},
        {"softcap", NULL, 30, 0, 30 * 0.7615941559557649},
        {"softcap", NULL, -3000, 0, -30},
        {"scale", NULL, 7, 0, 7},
    };
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++, executed++) {
        struct kgen_problem problem = problem_of(cases[i].op, cases[i].flag);
        float a[SIZE] = {cases[i].a}, b[SIZE] = {cases[i].b};
        double y[SIZE], bound[SIZE];
        const bool two = problem.op->buffer_count == 3;
        const struct kgen_arguments arguments = {.buffers = {a, b}};
        struct kgen_expected expected = {.values = {[1] = y}, .bounds = {[1] = bound}};
        if (two)
            expected = (struct kgen_expected){.values = {[2] = y}, .bounds = {[2] = bound}};
        problem.op->reference(&problem, &arguments, &expected);
        if (!(fabs(y[0] - cases[i].right) <= 1e-4 * fabs(cases[i].right)))
            fail_msg("%s(%g, %g) is %.17g, not %.17g", cases[i].op, (double)cases[i].a, (double)cases[i].b,
                     y[0], cases[i].right);
        if (strcmp(cases[i].op, "geglu") == 0)
            assert_true(fabs(y[0] - cases[i].right) < 1e-12);
        assert_true(bound[0] > 0 && bound[0] <= 1e-4);
    }
    assert_int_equal(executed, 10);
}

/* Rows of 0, 2, 0, 2, ...: the mean is 1, the variance 1. */
static void test_layer_norm_by_hand(void **state)
{
    (void)state;
    struct kgen_problem problem = problem_of("layer_norm", "bias");
    float x[ROWS * SIZE], weight[SIZE], bias[SIZE];
    double y[ROWS * SIZE], bound[ROWS * SIZE];
    for (int i = 0; i < ROWS * SIZE; i++)
        x[i] = (float)(i % 2 * 2);
    for (int i = 0; i < SIZE; i++) {
        weight[i] = (float)i;
        bias[i] = 5;
    }
    kgen_problem_set_real(&problem, "eps", 3);
    const struct kgen_arguments arguments = {.buffers = {x, weight, bias}};
    struct kgen_expected expected = {.values = {[3] = y}, .bounds = {[3] = bound}};
    problem.op->reference(&problem, &arguments, &expected);
    for (int i = 0; i < ROWS * SIZE; i++) {
        assert_true(fabs(y[i] - ((i % 2 != 0 ? 0.5 : -0.5) * (i % SIZE) + 5)) < 1e-12);
        assert_true(bound[i] > 0 && bound[i] < 1e-3);
    }
}

/* ---- kernels ---- */

static enum fault {
    RIGHT,
    WRONG_GELU, /* the other one */
    LEAVES_UP,
    CLAMPS_THE_GATE_BELOW,
    ADDS_NO_ONE,
    OMITS_ALPHA,
    CLAMPS,
    ROUNDS_THE_FACTOR,
    OMITS_THE_MEAN,
    DIVIDES_BY_ONE_LESS,
    OMITS_EPS,
    OMITS_THE_BIAS,
    SUMS_UP_SQUARES
} fault;

static float gelu(float g, bool exact)
{
    if (exact)
        return g * (0.5f * erfcf(-g * 0.70710678f));
    const float s = g * (1.5957691216f + 0.0713548163f * g * g);
    return g / (1 + expf(-s));
}

static void run_geglu(void *const *b, const int64_t *scalars, size_t begin, size_t end)
{
    (void)scalars;
    for (size_t i = begin; i < end; i++)
        ((float *)b[2])[i] = gelu(((const float *)b[0])[i], fault == WRONG_GELU) * ((const float *)b[1])[i];
}

static void run_exact(void *const *b, const int64_t *scalars, size_t begin, size_t end)
{
    (void)scalars;
    for (size_t i = begin; i < end; i++)
        ((float *)b[2])[i] = gelu(((const float *)b[0])[i], fault != WRONG_GELU) * ((const float *)b[1])[i];
}

static void run_clamped(void *const *b, const int64_t *scalars, size_t begin, size_t end)
{
    (void)scalars;
    for (size_t i = begin; i < end; i++) {
        float g = fminf(((const float *)b[0])[i], 7), u = ((const float *)b[1])[i];
        g = fault == CLAMPS_THE_GATE_BELOW ? fmaxf(g, -7) : g;
        u = fault == LEAVES_UP ? u : fmaxf(-7, fminf(u, 7));
        ((float *)b[2])[i] =
            g / (1 + expf(-g * (fault == OMITS_ALPHA ? 1 : 1.702f))) * (u + (fault != ADDS_NO_ONE));
    }
}

static void run_softcap(void *const *b, const int64_t *scalars, size_t begin, size_t end)
{
    (void)scalars;
    for (size_t i = begin; i < end; i++) {
        const float x = ((const float *)b[0])[i];
        ((float *)b[1])[i] = fault == CLAMPS ? fmaxf(-30, fminf(x, 30)) : 30 * tanhf(x / 30);
    }
}

static void run_scale(void *const *b, const int64_t *scalars, size_t begin, size_t end)
{
    (void)scalars;
    for (size_t i = begin; i < end; i++)
        ((float *)b[1])[i] = ((const float *)b[0])[i] * (fault == ROUNDS_THE_FACTOR ? 34.0f : 33.9411255f);
}

static void run_layer_norm(void *const *b, const int64_t *scalars, size_t begin, size_t end)
{
    (void)scalars;
    const float *weight = b[1], *bias = b[2];
    for (size_t row = begin; row < end; row++) {
        const float *x = (const float *)b[0] + row * SIZE;
        float *y = (float *)b[3] + row * SIZE, sum = 0, squares = 0, all = 0;
        for (size_t i = 0; i < SIZE; i++)
            sum += x[i];
        const float mean = fault == OMITS_THE_MEAN ? 0 : sum / SIZE;
        for (size_t i = 0; i < SIZE; i++) {
            squares += (x[i] - mean) * (x[i] - mean);
            all += x[i] * x[i];
        }
        if (fault == SUMS_UP_SQUARES) /* which is exact in real numbers only */
            squares = fmaxf(all - SIZE * mean * mean, 0);
        const float variance = squares / (fault == DIVIDES_BY_ONE_LESS ? SIZE - 1.0f : SIZE);
        const float r = 1 / sqrtf(variance + (fault == OMITS_EPS ? 1e-12f : 1e-5f));
        for (size_t i = 0; i < SIZE; i++)
            y[i] = (x[i] - mean) * r * weight[i] + (fault == OMITS_THE_BIAS ? 0 : bias[i]);
    }
}

static void test_kernels_are_proven(void **state)
{
    (void)state;
    static const struct {
        const char *op, *flag;
        void (*run)(void *const *b, const int64_t *scalars, size_t begin, size_t end);
        enum fault fault;
    } cases[] = {
        {"geglu", NULL, run_geglu, RIGHT},
        {"geglu", NULL, run_geglu, WRONG_GELU},
        {"geglu", "exact", run_exact, RIGHT},
        {"geglu", "exact", run_exact, WRONG_GELU},
        {"clamped_swiglu", NULL, run_clamped, RIGHT},
        {"clamped_swiglu", NULL, run_clamped, LEAVES_UP},
        {"clamped_swiglu", NULL, run_clamped, CLAMPS_THE_GATE_BELOW},
        {"clamped_swiglu", NULL, run_clamped, ADDS_NO_ONE},
        {"clamped_swiglu", NULL, run_clamped, OMITS_ALPHA},
        {"softcap", NULL, run_softcap, RIGHT},
        {"softcap", NULL, run_softcap, CLAMPS},
        {"scale", NULL, run_scale, RIGHT},
        {"scale", NULL, run_scale, ROUNDS_THE_FACTOR},
        {"layer_norm", "bias", run_layer_norm, RIGHT},
        {"layer_norm", "bias", run_layer_norm, OMITS_THE_MEAN},
        {"layer_norm", "bias", run_layer_norm, DIVIDES_BY_ONE_LESS},
        {"layer_norm", "bias", run_layer_norm, OMITS_EPS},
        {"layer_norm", "bias", run_layer_norm, OMITS_THE_BIAS},
        {"layer_norm", "bias", run_layer_norm, SUMS_UP_SQUARES},
    };
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++, executed++) {
        struct kgen_kernel kernel = {.problem = problem_of(cases[i].op, cases[i].flag), .run = cases[i].run};
        kgen_problem_set_real(&kernel.problem, "factor", 33.941125496954278);
        fault = cases[i].fault;
        const struct kgen_verification v = prove(&kernel);
        char name[80];
        snprintf(name, sizeof name, "%s, fault %d", cases[i].op, (int)fault);
        assert_verdict(name, &v, fault == RIGHT ? KGEN_PASSED : KGEN_WRONG_ELEMENT);
    }
    assert_int_equal(executed, 19);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_references_by_hand),
        cmocka_unit_test(test_layer_norm_by_hand),
        cmocka_unit_test(test_kernels_are_proven),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
