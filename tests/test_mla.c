/* SPDX-License-Identifier: MIT */
/* The ops of multi-head latent attention, mla_decode, split and arange: references by hand, the proof of
 * kernels for every width, and of kernels with a planted fault. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "prove.h"
#include "runtime/jit/compile.h"
#include "shapes.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- the references ---- */

/* Three positions, of which the second has the score ln 3 by its rotated part and the others 0; the values
 * are 1, 2 and 5, the last of which is appended. */
static void test_mla_by_hand(void **state)
{
    (void)state;
    enum { HEADS = 2, RANK = 8, ROPE = 8, ROW = RANK + ROPE, CONTEXT = 4 };
    struct kgen_problem problem;
    kgen_problem_init(&problem, kgen_op_find("mla_decode"));
    kgen_problem_set(&problem, "heads", HEADS);
    kgen_problem_set(&problem, "kv_lora_rank", RANK);
    kgen_problem_set(&problem, "qk_rope_head_dim", ROPE);
    kgen_problem_set(&problem, "context", CONTEXT);
    kgen_problem_set_real(&problem, "scale", 0.5);
    assert_int_equal(kgen_problem_check(&problem, NULL, 0, 0, NULL), 0);
    float q[HEADS * RANK] = {0}, q_rope[HEADS * ROPE], k[RANK], k_rope[ROPE] = {0},
                    cache[CONTEXT * ROW] = {0};
    double stored[CONTEXT * ROW], y[HEADS * RANK], bound[HEADS * RANK];
    for (int i = 0; i < HEADS * ROPE; i++)
        q_rope[i] = i % ROPE == 0;
    for (int i = 0; i < RANK; i++) {
        k[i] = 5;
        cache[i] = 1;
        cache[ROW + i] = 2;
    }
    cache[ROW + RANK] = 2 * 1.09861229f;
    const struct kgen_arguments arguments = {.buffers = {q, q_rope, k, k_rope, cache}, .scalars = {2}};
    struct kgen_expected expected = {.values = {[4] = stored, [7] = y}, .bounds = {[7] = bound}};
    problem.op->reference(&problem, &arguments, &expected);
    for (int i = 0; i < HEADS * RANK; i++) {
        assert_true(fabs(y[i] - (1 + 3 * 2 + 5) / 5.0) < 1e-6);
        assert_true(bound[i] > 0 && bound[i] < 1e-4);
    }
    for (int i = 0; i < ROW; i++)
        assert_true(fabs(stored[2 * ROW + i] - (i < RANK ? 5 : 0)) < 1e-12);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *field, *message;
        int64_t value;
    } cases[] = {
        {"kv_lora_rank", "kv_lora_rank 12 is not a multiple of 8", 12},
        {"qk_rope_head_dim", "qk_rope_head_dim 12 is not a multiple of 8", 12},
        {"cache_dtype", "\"cache_dtype\"", KGEN_Q8_0},
        {"head_parts", "\"head_parts\"", 0},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_problem problem;
        struct kgen_error error = {0};
        kgen_problem_init(&problem, kgen_op_find("mla_decode"));
        kgen_problem_set(&problem, "heads", 4);
        kgen_problem_set(&problem, "kv_lora_rank", 16);
        kgen_problem_set(&problem, "qk_rope_head_dim", 16);
        kgen_problem_set(&problem, "context", 16);
        kgen_problem_set(&problem, cases[i].field, cases[i].value);
        assert_int_equal(kgen_problem_check(&problem, NULL, 0, 0, &error), -1);
        if (strstr(error.message, cases[i].message) == NULL)
            fail_msg("\"%s\" does not hold \"%s\"", error.message, cases[i].message);
    }
}

/* ---- every width ---- */

#define MLA(heads, rank, rope, context, more)                                                                \
    "{\"op\": \"mla_decode\", \"heads\": " #heads ", \"kv_lora_rank\": " #rank                               \
    ", \"qk_rope_head_dim\": " #rope ", \"context\": " #context more "}"

static const char *const problems[] = {
    MLA(8, 64, 16, 150, ", \"head_parts\": 2"),
    MLA(5, 24, 8, 70, ", \"cache_dtype\": \"f16\", \"head_parts\": 3, \"key_parts\": 2, \"scale\": 0.3"),
    MLA(16, 40, 24, 300, ", \"cache_dtype\": \"bf16\", \"head_parts\": 1"),
    MLA(1, 8, 8, 1, ""),
    "{\"op\": \"split\", \"rows\": 5, \"first\": 37, \"second\": 16}",
    "{\"op\": \"split\", \"first\": 3, \"second\": 70}",
    "{\"op\": \"arange\", \"size\": 21}",
};

/* Proves some variants of each problem. */
static void prove_problems(enum kgen_isa isa)
{
    enum { MOST = 8 };
    shapes_need(isa);
    struct kgen_error error = {0};
    struct kgen_templates *templates = kgen_templates_open(NULL, "c", &error);
    assert_non_null(templates);
    size_t passed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(problems); i++) {
        struct kgen_text list = {0};
        struct kgen_variants variants = {0};
        shapes_add(&list, "%s", problems[i]);
        struct kgen_spec *spec = shapes_spec(&list);
        const struct kgen_problem *problem = &spec->entries[0].problem;
        assert_int_equal(kgen_variants_list(templates, problem, 1u << isa, &variants, &error), 0);
        assert_true(variants.count > 0);
        for (size_t v = 0; v < variants.count; v += variants.count / MOST + 1, passed++) {
            const struct kgen_compile_options options = {.engine = KGEN_ENGINE_TCC};
            struct kgen_kernel kernel;
            struct kgen_code *code =
                kgen_kernel_compile(&variants.items[v], problem, &options, &kernel, &error);
            if (code == NULL)
                fail_msg("%s: %s", problems[i], error.message);
            const struct kgen_verification result = prove(&kernel);
            assert_verdict(problems[i], &result, KGEN_PASSED);
            kgen_code_free(code);
        }
        kgen_variants_free(&variants);
        kgen_spec_free(spec);
        kgen_text_free(&list);
    }
    printf("%s: %zu variants proven\n", kgen_isa_info(isa)->name, passed);
    assert_true(passed >= KGEN_COUNT_OF(problems));
    kgen_templates_free(templates);
}

static void generic(void **state)
{
    (void)state;
    prove_problems(KGEN_ISA_GENERIC);
}

static void avx2(void **state)
{
    (void)state;
    prove_problems(KGEN_ISA_AVX2);
}

static void avx512(void **state)
{
    (void)state;
    prove_problems(KGEN_ISA_AVX512);
}

/* ---- planted faults ---- */

#define SMALL MLA(6, 16, 8, 200, ", \"head_parts\": 2, \"key_parts\": 3")
#define SPLIT "{\"op\": \"split\", \"rows\": 5, \"first\": 37, \"second\": 16}"

/* A replacement in the text of a kernel in plain C, which the proof must find. */
static const struct {
    const char *problem, *right, *wrong;
    enum kgen_verdict verdict;
} faults[] = {
    {SMALL, "i < 24; i += 8", "i < 24; i += 8", KGEN_PASSED},
    {SMALL, "i < 24; i += 8", "i < 16; i += 8", KGEN_WRONG_ELEMENT}, /* scores without the rotated part */
    {SMALL, "(size_t)position + 1", "(size_t)position + 0", KGEN_WRONG_ELEMENT},
    {SMALL, "kv_cache + (size_t)position * 24", "kv_cache + (size_t)position * 16", KGEN_WRONG_ELEMENT},
    {SMALL, "q_rope[h * 8 + i]", "q_rope[i]", KGEN_WRONG_ELEMENT},
    {SMALL, "q[h * 16 + i]", "q[i]", KGEN_WRONG_ELEMENT},
    {SMALL, "sum *= factor", "sum *= 1", KGEN_WRONG_ELEMENT},
    {SMALL, "to[i] /= sum", "to[i] /= sum + 1", KGEN_WRONG_ELEMENT},
    {SMALL, "= part * tiles / parts * 16", "= (part + 1) * tiles / (parts + 1) * 16", KGEN_WRONG_ELEMENT},
    {SPLIT, "input[37 + i]", "input[36 + i]", KGEN_WRONG_ELEMENT},
    {SPLIT, "b[row * 16 + i]", "b[i]", KGEN_WRONG_ELEMENT},
    {"{\"op\": \"arange\", \"size\": 21}", "(int32_t)i", "(int32_t)i + 1", KGEN_WRONG_ELEMENT},
};

static void test_planted_faults(void **state)
{
    (void)state;
    struct kgen_error error = {0};
    struct kgen_templates *templates = kgen_templates_open(NULL, "c", &error);
    assert_non_null(templates);
    for (size_t i = 0; i < KGEN_COUNT_OF(faults); i++) {
        struct kgen_text list = {0}, text = {0}, broken = {0};
        struct kgen_variants variants = {0};
        shapes_add(&list, "%s", faults[i].problem);
        struct kgen_spec *spec = shapes_spec(&list);
        const struct kgen_problem *problem = &spec->entries[0].problem;
        assert_int_equal(kgen_variants_list(templates, problem, 1u << KGEN_ISA_GENERIC, &variants, &error),
                         0);
        assert_int_equal(kgen_variant_callable_text(&variants.items[0], problem, "kernel", &text, &error), 0);
        const char *at = strstr(text.data, faults[i].right);
        if (at == NULL)
            fail_msg("the text has no \"%s\":\n%s", faults[i].right, text.data);
        kgen_text_append(&broken, text.data, (size_t)(at - text.data));
        kgen_text_printf(&broken, "%s%s", faults[i].wrong, at + strlen(faults[i].right));
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
    kgen_templates_free(templates);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mla_by_hand),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_planted_faults),
        cmocka_unit_test(generic),
        cmocka_unit_test(avx2),
        cmocka_unit_test(avx512),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
