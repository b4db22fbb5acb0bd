/* SPDX-License-Identifier: MIT */
/* causal_conv1d, gated_delta, gated_rms_norm and sigmoid_gate: their references by hand, every variant
 * through TinyCC, and faults planted in kernels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "prove.h"
#include "shapes.h"

#include "gen/template/template.h"
#include "runtime/jit/device.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- the references ---- */

static double silu(double x)
{
    return x / (1 + exp(-x));
}

/* Two channels of two taps. */
static void test_convolution_by_hand(void **state)
{
    (void)state;
    struct kgen_problem problem;
    kgen_problem_init(&problem, kgen_op_find("causal_conv1d"));
    kgen_problem_set(&problem, "channels", 2);
    kgen_problem_set(&problem, "kernel_size", 2);
    float x[] = {3, -1}, weight[] = {10, 1, 0.5f, 2}, kept[] = {0.25f, 8};
    double next[2], next_bound[2], y[2], bound[2];
    const struct kgen_arguments arguments = {.buffers = {x, weight, kept}};
    struct kgen_expected expected = {.values = {[2] = next, [3] = y},
                                     .bounds = {[2] = next_bound, [3] = bound}};
    problem.op->reference(&problem, &arguments, &expected);
    static const double sums[] = {10 * 0.25 + 3, 0.5 * 8 - 2};
    for (int i = 0; i < 2; i++) {
        assert_true(fabs(y[i] - silu(sums[i])) < 1e-12);
        assert_true(bound[i] > 0 && bound[i] < 1e-4);
        assert_true(next[i] >= (double)x[i] && next[i] <= (double)x[i] && next_bound[i] <= 0);
    }
}

/* One head, keys of two elements, one value: the numbers are those of the formula. */
static void test_delta_by_hand(void **state)
{
    (void)state;
    static const char *const names[] = {"heads", "key_heads", "key_dim", "value_dim"};
    static const int64_t sizes[] = {1, 1, 2, 1};
    struct kgen_problem problem;
    kgen_problem_init(&problem, kgen_op_find("gated_delta"));
    for (size_t i = 0; i < KGEN_COUNT_OF(names); i++)
        kgen_problem_set(&problem, names[i], sizes[i]);
    kgen_problem_set_real(&problem, "eps", 1e-12);
    /* q = (0, 2), k = (3, 4), v = 10; softplus(1) = 1.3132..., sigmoid(0) = 1/2. */
    float qkv[] = {0, 2, 3, 4, 10}, a[] = {0.75f}, b[] = {0}, a_log[] = {0}, dt_bias[] = {0.25f},
          S[] = {1, -1};
    double next[2], next_bound[2], y[1], bound[1];
    const struct kgen_arguments arguments = {.buffers = {qkv, a, b, a_log, dt_bias, S}};
    struct kgen_expected expected = {.values = {[5] = next, [7] = y},
                                     .bounds = {[5] = next_bound, [7] = bound}};
    problem.op->reference(&problem, &arguments, &expected);
    const double decay = 1 / (1 + exp(1.0)); /* exp(-softplus(1)) */
    const double change = 0.5 * (10 - decay * (0.6 - 0.8));
    assert_true(fabs(next[0] - (decay + 0.6 * change)) < 1e-9);
    assert_true(fabs(next[1] - (-decay + 0.8 * change)) < 1e-9);
    assert_true(fabs(y[0] - (-decay + 0.8 * change) / sqrt(2)) < 1e-9);
    assert_true(bound[0] > 0 && bound[0] < 1e-4 && next_bound[0] > 0 && next_bound[0] < 1e-4);
}

static void test_gates_by_hand(void **state)
{
    (void)state;
    struct kgen_problem problem;
    double y[2], bound[2];
    kgen_problem_init(&problem, kgen_op_find("gated_rms_norm"));
    kgen_problem_set(&problem, "size", 2);
    kgen_problem_set_real(&problem, "eps", 0.5);
    float x[] = {1, -2}, gate[] = {1, -1}, weight[] = {3, 1};
    const struct kgen_arguments norm = {.buffers = {x, gate, weight}};
    struct kgen_expected expected = {.values = {[3] = y}, .bounds = {[3] = bound}};
    problem.op->reference(&problem, &norm, &expected);
    assert_true(fabs(y[0] - 3 / sqrt(3) * silu(1)) < 1e-12);
    assert_true(fabs(y[1] + 2 / sqrt(3) * silu(-1)) < 1e-12);
    kgen_problem_init(&problem, kgen_op_find("sigmoid_gate"));
    kgen_problem_set(&problem, "size", 2);
    const struct kgen_arguments sigmoid = {.buffers = {x, gate}};
    expected = (struct kgen_expected){.values = {[2] = y}, .bounds = {[2] = bound}};
    problem.op->reference(&problem, &sigmoid, &expected);
    assert_true(fabs(y[0] - 0.7310585786300049) < 1e-12 && fabs(y[1] + 2 * 0.2689414213699951) < 1e-12);
    assert_true(bound[0] > 0 && bound[0] < 1e-5);
}

static void test_refused(void **state)
{
    (void)state;
    struct kgen_problem problem;
    struct kgen_error error = {0};
    kgen_problem_init(&problem, kgen_op_find("gated_delta"));
    kgen_problem_set(&problem, "heads", 6);
    kgen_problem_set(&problem, "key_heads", 4);
    kgen_problem_set(&problem, "key_dim", 8);
    kgen_problem_set(&problem, "value_dim", 8);
    assert_int_equal(kgen_problem_check(&problem, NULL, 0, 0, &error), -1);
    assert_non_null(strstr(error.message, "\"heads\" 6 is not a multiple of \"key_heads\" 4"));
}

/* ---- every variant ---- */

static const char problems[] =
    "{\"op\": \"causal_conv1d\", \"channels\": 1}, {\"op\": \"causal_conv1d\", \"channels\": 133},\n"
    "{\"op\": \"causal_conv1d\", \"channels\": 64, \"kernel_size\": 2},\n"
    "{\"op\": \"causal_conv1d\", \"channels\": 39, \"kernel_size\": 3},\n"
    "{\"op\": \"causal_conv1d\", \"channels\": 50, \"kernel_size\": 8},\n"
    "{\"op\": \"gated_delta\", \"heads\": 1, \"key_heads\": 1, \"key_dim\": 1, \"value_dim\": 1},\n"
    "{\"op\": \"gated_delta\", \"heads\": 6, \"key_heads\": 2, \"key_dim\": 12, \"value_dim\": 20},\n"
    "{\"op\": \"gated_delta\", \"heads\": 19, \"key_heads\": 19, \"key_dim\": 33, \"value_dim\": 64},\n"
    "{\"op\": \"gated_delta\", \"heads\": 4, \"key_heads\": 2, \"key_dim\": 128, \"value_dim\": 131, "
    "\"eps\": 1e-4},\n"
    "{\"op\": \"gated_rms_norm\", \"rows\": 3, \"size\": 7}, {\"op\": \"gated_rms_norm\", \"rows\": 4, "
    "\"size\": 133},\n"
    "{\"op\": \"sigmoid_gate\", \"size\": 3}, {\"op\": \"sigmoid_gate\", \"size\": 333}";

/* Compiles a variant and proves it. */
static void prove_variant(const struct kgen_variant *variant, const struct kgen_problem *problem)
{
    const struct kgen_compile_options options = {.engine = KGEN_ENGINE_TCC};
    struct kgen_error error = {0};
    struct kgen_kernel kernel;
    struct kgen_code *code = kgen_kernel_compile(variant, problem, &options, &kernel, &error);
    if (code == NULL)
        fail_msg("%s:%d: %s", error.source, error.line, error.message);
    const struct kgen_verification v = prove(&kernel);
    if (v.verdict != KGEN_PASSED)
        shapes_fail(problem, variant, "tcc", 1, &v);
    kgen_code_free(code);
}

static void prove_variants(enum kgen_isa isa)
{
    shapes_need(isa);
    struct kgen_text list = {0};
    struct kgen_error error = {0};
    shapes_add(&list, "%s", problems);
    struct kgen_spec *spec = shapes_spec(&list);
    struct kgen_templates *templates = kgen_templates_open(NULL, "c", &error);
    if (templates == NULL)
        fail_msg("%s:%d: %s", error.source, error.line, error.message);
    size_t proven = 0;
    for (size_t i = 0; i < spec->count; i++) {
        struct kgen_variants variants = {0};
        if (kgen_variants_list(templates, &spec->entries[i].problem, 1u << isa, &variants, &error) != 0)
            fail_msg("%s:%d: %s", error.source, error.line, error.message);
        for (size_t j = 0; j < variants.count; j++, proven++)
            prove_variant(&variants.items[j], &spec->entries[i].problem);
        assert_true(variants.count > 0);
        kgen_variants_free(&variants);
    }
    printf("%s: %zu variants of %zu problems proven\n", kgen_isa_info(isa)->name, proven, spec->count);
    assert_true(proven >= spec->count && spec->count == 13);
    kgen_templates_free(templates);
    kgen_spec_free(spec);
    kgen_text_free(&list);
}

static void generic(void **state)
{
    (void)state;
    prove_variants(KGEN_ISA_GENERIC);
}

static void avx2(void **state)
{
    (void)state;
    prove_variants(KGEN_ISA_AVX2);
}

static void avx512(void **state)
{
    (void)state;
    prove_variants(KGEN_ISA_AVX512);
}

/* ---- planted faults ---- */

#define CONV "{\"op\": \"causal_conv1d\", \"channels\": 20}"
#define DELTA "{\"op\": \"gated_delta\", \"heads\": 4, \"key_heads\": 2, \"key_dim\": 16, \"value_dim\": 24}"
#define NORM "{\"op\": \"gated_rms_norm\", \"rows\": 3, \"size\": 50}"

/* A replacement in the text of a kernel in plain C, which the proof must find. */
static const struct {
    const char *problem, *right, *wrong;
    enum kgen_verdict verdict;
} faults[] = {
    {CONV, "tap < 4", "tap < 4", KGEN_PASSED},
    {CONV, "tap < 4", "tap < 3", KGEN_WRONG_ELEMENT},
    {CONV, "taps[tap]", "taps[3 - tap]", KGEN_WRONG_ELEMENT},
    {CONV, "(size_t)(tap - 1) * 20", "(size_t)(tap - 1) * 0", KGEN_WRONG_ELEMENT},
    {CONV, "sum < 0.0f ? e : 1.0f", "1.0f", KGEN_WRONG_ELEMENT},
    {DELTA, "decay * keys * sum", "decay * keys * sum", KGEN_PASSED},
    {DELTA, "decay * keys * sum", "keys * sum", KGEN_WRONG_ELEMENT},      /* reads what did not fade */
    {DELTA, "rate * keys * (value", "keys * (value", KGEN_WRONG_ELEMENT}, /* learns all at once */
    {DELTA, "head / 2 * 16", "head % 2 * 16", KGEN_WRONG_ELEMENT},        /* another key head */
    {DELTA, "queries += query[i] * query[i]", "queries += 0.0f", KGEN_WRONG_ELEMENT}, /* not normalised */
    {DELTA, "keys = 1e-06f", "keys = 0.0f", KGEN_WRONG_ELEMENT},                      /* eps */
    {DELTA, "0.25f / sqrtf", "1.0f / sqrtf", KGEN_WRONG_ELEMENT},                     /* the scale */
    {DELTA, "sum += query[i] * element", "sum += query[i] * (element - key[i] * change)", KGEN_WRONG_ELEMENT},
    {DELTA, "a[i] + dt_bias[i]", "a[i]", KGEN_WRONG_ELEMENT},
    {DELTA, "(x > 0.0f ? x : 0.0f) + ", "", KGEN_WRONG_ELEMENT},
    {DELTA, "int n = 17", "int n = 5", KGEN_WRONG_ELEMENT}, /* too short a series */
    {DELTA, "b[i] < 0.0f ? e : 1.0f", "1.0f", KGEN_WRONG_ELEMENT},
    {NORM, "input[i] * scale", "input[i] * scale", KGEN_PASSED},
    {NORM, " + 1e-06f", "", KGEN_WRONG_ELEMENT},
    {NORM, "gates[i] < 0.0f ? e : 1.0f", "1.0f", KGEN_WRONG_ELEMENT},
    {NORM, " * weight[i]", "", KGEN_WRONG_ELEMENT},
    {"{\"op\": \"sigmoid_gate\", \"size\": 40}", "gate[i] < 0.0f ? e : 1.0f", "1.0f", KGEN_WRONG_ELEMENT},
};

/* Replaces the first occurrence. */
static void replace(const struct kgen_text *text, const char *right, const char *wrong,
                    struct kgen_text *result)
{
    const char *at = strstr(text->data, right);
    if (at == NULL)
        fail_msg("the text has no \"%s\":\n%s", right, text->data);
    kgen_text_append(result, text->data, (size_t)(at - text->data));
    kgen_text_printf(result, "%s%s", wrong, at + strlen(right));
}

static void plant(const struct kgen_templates *templates, size_t i)
{
    struct kgen_text list = {0}, text = {0}, broken = {0};
    struct kgen_variants variants = {0};
    struct kgen_error error = {0};
    shapes_add(&list, "%s", faults[i].problem);
    struct kgen_spec *spec = shapes_spec(&list);
    const struct kgen_problem *problem = &spec->entries[0].problem;
    assert_int_equal(kgen_variants_list(templates, problem, 1u << KGEN_ISA_GENERIC, &variants, &error), 0);
    assert_true(variants.count > 0);
    assert_int_equal(kgen_variant_callable_text(&variants.items[0], problem, "kernel", &text, &error), 0);
    replace(&text, faults[i].right, faults[i].wrong, &broken);
    struct kgen_kernel kernel;
    struct kgen_code *code = kgen_jit_compile_read_only("broken", broken.data, KGEN_ISA_GENERIC, &error);
    if (code == NULL || kgen_kernel_find(problem, code, "kernel", &kernel, &error) != 0)
        fail_msg("fault %zu: %s", i, error.message);
    const struct kgen_verification v = prove(&kernel);
    char what[80];
    snprintf(what, sizeof what, "fault %zu, \"%.50s\"", i, faults[i].wrong);
    assert_verdict(what, &v, faults[i].verdict);
    kgen_code_free(code);
    kgen_variants_free(&variants);
    kgen_spec_free(spec);
    kgen_text_free(&list);
    kgen_text_free(&text);
    kgen_text_free(&broken);
}

static void test_planted_faults(void **state)
{
    (void)state;
    struct kgen_error error = {0};
    struct kgen_templates *templates = kgen_templates_open(NULL, "c", &error);
    assert_non_null(templates);
    for (size_t i = 0; i < KGEN_COUNT_OF(faults); i++)
        plant(templates, i);
    kgen_templates_free(templates);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_convolution_by_hand),
        cmocka_unit_test(test_delta_by_hand),
        cmocka_unit_test(test_gates_by_hand),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_planted_faults),
        cmocka_unit_test(generic),
        cmocka_unit_test(avx2),
        cmocka_unit_test(avx512),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
