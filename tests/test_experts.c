/* SPDX-License-Identifier: MIT */
/* The ops of mixtures of experts: their references by hand, the proof of kernels for every width, precision,
 * format and layout, and of kernels with a planted fault. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gen/ops/buffers.h"
#include "gen/ops/format.h"
#include "prove.h"
#include "runtime/jit/compile.h"
#include "shapes.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SEED = 7, THREADS = 2 };

/* ---- the references ---- */

/* Three experts with weights of 1, 2 and 3 in the first row and twice as much in the second; the last and the
 * first are chosen. */
static void test_gather_by_hand(void **state)
{
    (void)state;
    enum { EXPERTS = 3, CHOSEN = 2, N = 2, K = 32 };
    struct kgen_problem problem = quantised_problem(kgen_op_find("gather_qmv"), N, K, 8, 32);
    kgen_problem_set(&problem, "experts", EXPERTS);
    kgen_problem_set(&problem, "experts_per_token", CHOSEN);
    kgen_problem_set(&problem, "scale_dtype", KGEN_F32);
    uint8_t weights[EXPERTS * N * K];
    float scales[EXPERTS * N], biases[EXPERTS * N] = {0}, x[CHOSEN * K];
    double y[CHOSEN * N], bound[CHOSEN * N];
    memset(weights, 1, sizeof weights);
    for (int i = 0; i < EXPERTS * N; i++)
        scales[i] = (float)((i / N + 1) * (i % N + 1));
    for (int i = 0; i < CHOSEN * K; i++)
        x[i] = i < K ? 1.0f : -0.5f;
    static const double expected_values[2][CHOSEN * N] = {{96, 192, 32, 64}, {96, 192, -16, -32}};
    for (int each = 0; each < 2; each++) {
        kgen_problem_set(&problem, "x_per_expert", each);
        assert_int_equal(kgen_problem_check(&problem, NULL, 0, 0, NULL), 0);
        const struct kgen_arguments arguments = {.buffers = {weights, scales, biases, x, (int32_t[]){2, 0}}};
        struct kgen_expected expected = {0};
        struct kgen_buffers buffers;
        kgen_problem_buffers(&problem, &buffers);
        const int at = kgen_buffers_find(&buffers, "y");
        assert_int_equal(kgen_buffers_find(&buffers, "ids"), 4);
        expected.values[at] = y;
        expected.bounds[at] = bound;
        problem.op->reference(&problem, &arguments, &expected);
        for (int i = 0; i < CHOSEN * N; i++) {
            assert_true(fabs(y[i] - expected_values[each][i]) < 1e-9);
            assert_true(bound[i] > 0 && bound[i] < 1e-2);
        }
    }
}

static struct kgen_problem router(int64_t rows, int64_t experts, int64_t chosen, int64_t scoring,
                                  int64_t normalised)
{
    struct kgen_problem problem;
    kgen_problem_init(&problem, kgen_op_find("router"));
    kgen_problem_set(&problem, "rows", rows);
    kgen_problem_set(&problem, "experts", experts);
    kgen_problem_set(&problem, "experts_per_token", chosen);
    kgen_problem_set(&problem, "scoring", scoring);
    kgen_problem_set(&problem, "normalised", normalised);
    assert_int_equal(kgen_problem_check(&problem, NULL, 0, 0, NULL), 0);
    return problem;
}

static void test_router_by_hand(void **state)
{
    (void)state;
    enum { ROWS = 2, EXPERTS = 4, CHOSEN = 3 };
    /* Logarithms of 1, 4, 2, 1, and equal scores, of which the first are taken. */
    static const float scores[ROWS * EXPERTS] = {0.0f, 1.38629436f, 0.69314718f, 0.0f,
                                                 2.0f, 2.0f,        2.0f,        2.0f};
    static const struct {
        int64_t scoring, normalised;
        double y[ROWS * CHOSEN];
    } rows[] = {
        {KGEN_SOFTMAX, 0, {0.5, 0.25, 0.125, 0.25, 0.25, 0.25}},
        {KGEN_SOFTMAX, 1, {4.0 / 7, 2.0 / 7, 1.0 / 7, 1.0 / 3, 1.0 / 3, 1.0 / 3}},
        {KGEN_SIGMOID, 0, {0.8, 2.0 / 3, 0.5, 0.880797, 0.880797, 0.880797}},
        {KGEN_SIGMOID, 1, {0.406780, 0.338983, 0.254237, 1.0 / 3, 1.0 / 3, 1.0 / 3}},
    };
    static const double ids[ROWS * CHOSEN] = {1, 2, 0, 0, 1, 2};
    for (size_t i = 0; i < KGEN_COUNT_OF(rows); i++) {
        const struct kgen_problem problem =
            router(ROWS, EXPERTS, CHOSEN, rows[i].scoring, rows[i].normalised);
        double numbers[ROWS * CHOSEN], exact[ROWS * CHOSEN], y[ROWS * CHOSEN], bound[ROWS * CHOSEN];
        float x[ROWS * EXPERTS];
        memcpy(x, scores, sizeof x);
        const struct kgen_arguments arguments = {.buffers = {x}};
        struct kgen_expected expected = {.values = {NULL, numbers, y}, .bounds = {NULL, exact, bound}};
        problem.op->reference(&problem, &arguments, &expected);
        for (int j = 0; j < ROWS * CHOSEN; j++) {
            assert_true(numbers[j] >= ids[j] && numbers[j] <= ids[j] && exact[j] <= 0);
            assert_true(fabs(y[j] - rows[i].y[j]) < 1e-6);
            assert_true(bound[j] > 0 && bound[j] < 1e-5);
        }
    }
}

/* Two groups of two: the first has the greatest sigmoid, the second, by the biases, the greater sum, of which
 * the bias is no part of the weights. */
static void test_groups_by_hand(void **state)
{
    (void)state;
    struct kgen_problem problem = router(1, 4, 2, KGEN_SIGMOID, 1);
    kgen_problem_set(&problem, "corrected", 1);
    kgen_problem_set(&problem, "groups", 2);
    kgen_problem_set_real(&problem, "factor", 3);
    assert_int_equal(kgen_problem_check(&problem, NULL, 0, 0, NULL), 0);
    /* Sigmoids of 0.8, 0.2, 0.5 and 0.25. */
    float x[] = {1.38629436f, -1.38629436f, 0.0f, -1.09861229f}, bias[] = {0, 0, 0.25f, 0.75f};
    double numbers[2], exact[2], y[2], bound[2];
    const struct kgen_arguments arguments = {.buffers = {x, bias}};
    struct kgen_expected expected = {.values = {NULL, NULL, numbers, y},
                                     .bounds = {NULL, NULL, exact, bound}};
    problem.op->reference(&problem, &arguments, &expected);
    assert_true(numbers[0] >= 3 && numbers[0] <= 3 && numbers[1] >= 2 && numbers[1] <= 2);
    assert_true(fabs(y[0] - 1) < 1e-6 && fabs(y[1] - 2) < 1e-6 && bound[0] > 0 && bound[0] < 1e-5);
}

static void test_weighted_sum_by_hand(void **state)
{
    (void)state;
    struct kgen_problem problem;
    kgen_problem_init(&problem, kgen_op_find("weighted_sum"));
    kgen_problem_set(&problem, "rows", 2);
    kgen_problem_set(&problem, "size", 3);
    float x[] = {1, 2, 3, 10, 20, 30}, weights[] = {0.5f, -0.25f};
    double y[3], bound[3];
    const struct kgen_arguments arguments = {.buffers = {x, weights}};
    struct kgen_expected expected = {.values = {NULL, NULL, y}, .bounds = {NULL, NULL, bound}};
    problem.op->reference(&problem, &arguments, &expected);
    for (int i = 0; i < 3; i++) {
        assert_true(fabs(y[i] + 2.0 * (i + 1)) < 1e-12);
        assert_true(bound[i] > 0 && bound[i] < 1e-5);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"gather_qmv", "router", "gather_add"};
    for (size_t i = 0; i < KGEN_COUNT_OF(names); i++) {
        struct kgen_problem problem = quantised_problem(kgen_op_find(names[i]), 8, 64, 4, 32);
        struct kgen_error error = {0};
        kgen_problem_set(&problem, "size", 8);
        kgen_problem_set(&problem, "experts", 4);
        kgen_problem_set(&problem, "experts_per_token", 5);
        assert_int_equal(kgen_problem_check(&problem, NULL, 0, 0, &error), -1);
        assert_non_null(strstr(error.message, "\"experts_per_token\" is 5, and there are 4 experts"));
    }
}

/* ---- every variant ---- */

static const char *const activations[] = {"f32", "i24", "i16", "i8"};

/* Every width, group size and precision, in both layouts: with rows that do not fill a tile, and x common or
 * of each expert. */
static void add_groups(struct kgen_text *text)
{
    static const int all_bits[] = {1, 2, 3, 4, 5, 6, 8}, groups[] = {32, 64, 128}, rows[] = {1, 16, 37};
    static const char *const formats[] = {"\"scheme\": \"affine\", \"scale_dtype\": \"f16\"",
                                          "\"scheme\": \"symmetric\", \"scale_dtype\": \"bf16\"",
                                          "\"scheme\": \"zero_point\", \"scale_dtype\": \"f32\""};
    size_t turn = 0;
    for (size_t b = 0; b < KGEN_COUNT_OF(all_bits); b++) {
        for (size_t a = 0; a < KGEN_COUNT_OF(activations); a++, turn++)
            shapes_add(
                text,
                "{\"op\": \"gather_qmv\", \"experts\": %d, \"experts_per_token\": %d, \"x_per_expert\": "
                "%s, \"N\": %d, \"K\": %d, \"bits\": %d, \"group_size\": %d, %s, "
                "\"activation_dtype\": \"%s\", \"layout\": \"%s\"}",
                3 + (int)turn % 4, 1 + (int)turn % 3, turn % 2 == 0 ? "true" : "false", rows[turn % 3], 384,
                all_bits[b], groups[(turn + b) % 3], formats[(turn / 2 + b) % 3], activations[a],
                (turn / 2 + b) % 2 == 0 ? "tiles16" : "stored");
    }
    /* Activations in chunks, and sums that are looked up. */
    shapes_add(text,
               "{\"op\": \"gather_qmv\", \"experts\": 3, \"experts_per_token\": 2, \"N\": 21, \"K\": 12288, "
               "\"bits\": 4, \"group_size\": 64}");
    shapes_add(text,
               "{\"op\": \"gather_qmv\", \"experts\": 3, \"experts_per_token\": 2, \"N\": 70, \"K\": 256, "
               "\"bits\": 2, \"group_size\": 64, \"layout\": \"tiles16\", \"x_per_expert\": true}");
}

static void add_blocks(struct kgen_text *text)
{
    size_t turn = 0;
    for (size_t f = 0; f < kgen_format_count(); f++) {
        const struct kgen_format *format = kgen_format_at(f);
        if (format->block_values == 0)
            continue;
        shapes_add(text,
                   "{\"op\": \"gather_qmv\", \"experts\": 5, \"experts_per_token\": 3, \"x_per_expert\": %s, "
                   "\"N\": 37, \"K\": %d, \"scheme\": \"%s\", \"scale_dtype\": \"%s\", "
                   "\"activation_dtype\": \"%s\"}",
                   turn % 2 == 0 ? "true" : "false", 3 * (int)format->block_values,
                   kgen_constant_name(format->scheme), kgen_constant_name(format->scale_dtype),
                   activations[turn % 4]);
        turn++;
    }
    assert_true(turn > 0);
}

static void add_others(struct kgen_text *text)
{
    static const int experts[][2] = {{1, 1}, {8, 2}, {9, 9}, {37, 6}, {128, 8}, {256, 33}};
    for (size_t i = 0; i < KGEN_COUNT_OF(experts); i++) {
        for (int kind = 0; kind < 4; kind++)
            shapes_add(text,
                       "{\"op\": \"router\", \"rows\": 3, \"experts\": %d, \"experts_per_token\": %d, "
                       "\"scoring\": \"%s\", \"normalised\": %s}",
                       experts[i][0], experts[i][1], kind < 2 ? "softmax" : "sigmoid",
                       kind % 2 == 0 ? "true" : "false");
        if (experts[i][0] % 4 == 0)
            shapes_add(text,
                       "{\"op\": \"router\", \"rows\": 3, \"experts\": %d, \"experts_per_token\": %d, "
                       "\"scoring\": \"%s\", \"normalised\": true, \"corrected\": %s, \"groups\": 4, "
                       "\"groups_per_token\": 2, \"factor\": 2.5}",
                       experts[i][0], experts[i][1], i % 2 == 0 ? "sigmoid" : "softmax",
                       i % 2 == 0 ? "true" : "false");
        shapes_add(text, "{\"op\": \"weighted_sum\", \"rows\": %d, \"size\": %d}", experts[i][1],
                   experts[i][0] + 13);
        shapes_add(text, "{\"op\": \"gather_add\", \"experts\": %d, \"experts_per_token\": %d, \"size\": %d}",
                   experts[i][0], experts[i][1], experts[i][0] + 13);
        shapes_add(text, "{\"op\": \"scale_rows\", \"rows\": %d, \"size\": %d, \"experts\": %d}",
                   experts[i][1], i % 2 == 0 ? 1 : 45, i < 3 ? experts[i][0] : 0);
    }
}

struct batch {
    const struct kgen_problem *problem;
    const struct kgen_variants *variants;
    struct kgen_verify_cases *cases;
    size_t passed, not_candidates;
};

/* In the child. */
static void job(size_t index, void *memory, struct kgen_worker *worker, void *context)
{
    const struct batch *batch = context;
    struct kgen_verification *result = memory;
    struct kgen_error error = {0};
    struct kgen_kernel kernel;
    const struct kgen_compile_options compile_options = {.engine = KGEN_ENGINE_TCC};
    kgen_worker_stage(worker, "compile", 60);
    struct kgen_code *code = kgen_kernel_compile(&batch->variants->items[index], batch->problem,
                                                 &compile_options, &kernel, &error);
    if (code == NULL) {
        kgen_verification_not_compiled(result, &error);
        return;
    }
    kgen_worker_stage(worker, "verify", 60);
    const struct kgen_verify_options options = {
        .seed = SEED, .threads = THREADS, .guards = kgen_worker_guards(worker)};
    if (kgen_verify_with(batch->cases, &kernel, &options, result, &error) != 0) {
        result->verdict = KGEN_WORKER_EXITED;
        kgen_error_format(&error, result->detail, sizeof result->detail);
    }
    kgen_code_free(code);
}

static int report(size_t index, const struct kgen_outcome *outcome, const void *memory, void *context)
{
    struct batch *batch = context;
    const struct kgen_verification result = shapes_verdict(outcome, memory);
    batch->passed += result.verdict == KGEN_PASSED;
    batch->not_candidates += result.verdict == KGEN_NO_CANDIDATE;
    if (result.verdict == KGEN_PASSED || result.verdict == KGEN_NO_CANDIDATE)
        return 0;
    shapes_fail(batch->problem, &batch->variants->items[index], "tcc", SEED, &result);
    return 1;
}

/* Puts some variants from everywhere in the list first. Returns how many. */
static size_t put_some_first(struct kgen_variants *variants)
{
    enum { MOST = 4 };
    const size_t step = variants->count / MOST + 1;
    size_t count = 0;
    for (size_t i = 0; i < variants->count; i += step, count++) {
        const struct kgen_variant moved = variants->items[count];
        variants->items[count] = variants->items[i];
        variants->items[i] = moved;
    }
    return count;
}

/* Proves some variants of a problem or, where none of these can be a candidate, all. Returns how many passed.
 */
static size_t prove_some(const struct kgen_templates *templates, const struct kgen_problem *problem,
                         enum kgen_isa isa)
{
    struct kgen_variants variants = {0};
    struct kgen_error error = {0};
    if (kgen_variants_list(templates, problem, 1u << isa, &variants, &error) != 0)
        fail_msg("%s:%d: %s", error.source, error.line, error.message);
    const size_t counts[] = {put_some_first(&variants), variants.count};
    struct batch batch = {problem, &variants, kgen_verify_cases_new(problem, SEED, &error), 0, 0};
    assert_non_null(batch.cases);
    const struct kgen_worker_options options = {.limit_seconds = 60};
    for (size_t i = 0; i < KGEN_COUNT_OF(counts) && batch.passed == 0; i++)
        assert_int_equal(kgen_workers_run(&options, counts[i], sizeof(struct kgen_verification), job, report,
                                          &batch, &error),
                         0);
    kgen_verify_cases_free(batch.cases);
    kgen_variants_free(&variants);
    return batch.passed;
}

static void prove_variants(enum kgen_isa isa)
{
    shapes_need(isa);
    struct kgen_text problems = {0};
    struct kgen_error error = {0};
    add_groups(&problems);
    add_blocks(&problems);
    add_others(&problems);
    struct kgen_spec *spec = shapes_spec(&problems);
    struct kgen_templates *templates = kgen_templates_open(NULL, "c", &error);
    if (templates == NULL)
        fail_msg("%s:%d: %s", error.source, error.line, error.message);
    size_t passed = 0;
    for (size_t i = 0; i < spec->count; i++) {
        const size_t proven = prove_some(templates, &spec->entries[i].problem, isa);
        if (proven == 0)
            fail_msg("no variant of problem %zu can be a candidate for %s", i, kgen_isa_info(isa)->name);
        passed += proven;
    }
    printf("%s: %zu variants of %zu problems proven\n", kgen_isa_info(isa)->name, passed, spec->count);
    assert_true(passed >= spec->count);
    kgen_templates_free(templates);
    kgen_spec_free(spec);
    kgen_text_free(&problems);
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

/* A replacement in the text of a kernel in plain C, which the proof must find. */
static const struct {
    const char *problem, *right, *wrong;
    enum kgen_verdict verdict;
} faults[] = {
#define GATHER                                                                                               \
    "{\"op\": \"gather_qmv\", \"experts\": 6, \"experts_per_token\": 3, \"N\": 20, \"K\": 128, \"bits\": "   \
    "4, "                                                                                                    \
    "\"group_size\": 64, \"x_per_expert\": true"
    {GATHER "}", "ids[j]", "ids[j]", KGEN_PASSED},
    {GATHER "}", "ids[j]", "j", KGEN_WRONG_ELEMENT},
    {GATHER "}", "(size_t)ids[j] * rows", "((size_t)ids[j] + 1) % 6 * rows", KGEN_WRONG_ELEMENT},
    {GATHER "}", "(const uint8_t *)scales + expert_row", "(const uint8_t *)scales + 0 * expert_row",
     KGEN_WRONG_ELEMENT},
    {GATHER "}", "packed >> (4 * i) & 15", "packed >> (4 * i) & 14", KGEN_WRONG_ELEMENT},
    {GATHER "}", "workspace + j *", "workspace + 0 * j *", KGEN_WRONG_ELEMENT},
    {GATHER "}", "y + j * (size_t)y_stride", "y + j * (size_t)expert_rows", KGEN_WRONG_ELEMENT},
    {GATHER ", \"layout\": \"tiles16\"}", "((size_t)expert_rows + 15) / 16 * 16", "(size_t)expert_rows",
     KGEN_WRONG_ELEMENT},
#define ROUTER "{\"op\": \"router\", \"experts\": 20, \"experts_per_token\": 4, \"normalised\": true}"
    {ROUTER, "i < 20", "i < 20", KGEN_PASSED},
    {ROUTER, "i < 20", "i < 19", KGEN_WRONG_ELEMENT},
    {ROUTER, "score > weight[at - 1]", "score >= weight[at - 1]", KGEN_WRONG_ELEMENT},
    {ROUTER, "j < 4; j++)\n            sum", "j < 3; j++)\n            sum", KGEN_WRONG_ELEMENT},
#define GROUPS                                                                                               \
    "{\"op\": \"router\", \"experts\": 24, \"experts_per_token\": 5, \"scoring\": \"sigmoid\", "             \
    "\"normalised\": true, \"corrected\": true, \"groups\": 6, \"groups_per_token\": 3, \"factor\": 2.5}"
    {GROUPS, "+ bias[i]", "+ bias[i]", KGEN_PASSED},
    {GROUPS, "+ bias[i]", "", KGEN_WRONG_ELEMENT},
    {GROUPS, "weight[j] = input[chosen[j]]", "weight[j] = corrected[chosen[j]]", KGEN_WRONG_ELEMENT},
    {GROUPS, "first + second", "first", KGEN_WRONG_ELEMENT},
    {GROUPS, "n < 3", "n < 4", KGEN_WRONG_ELEMENT},
    {GROUPS, "n < 3", "n < 2", KGEN_WRONG_ELEMENT},
    {GROUPS, "if (!taken[i / 4])", "if (!taken[i / 8])", KGEN_WRONG_ELEMENT},
    {GROUPS, "scores[g] > scores[best]", "scores[g] >= scores[best]", KGEN_WRONG_ELEMENT},
    {GROUPS, "weight[j] *= 2.5", "weight[j] *= 2.4", KGEN_WRONG_ELEMENT},
    {"{\"op\": \"weighted_sum\", \"rows\": 3, \"size\": 50}", "j < 3", "j < 2", KGEN_WRONG_ELEMENT},
#define GATHER_ADD "{\"op\": \"gather_add\", \"experts\": 6, \"experts_per_token\": 3, \"size\": 50}"
    {GATHER_ADD, "ids[row]", "row", KGEN_WRONG_ELEMENT},
    {GATHER_ADD, "i < 50", "i < 49", KGEN_UNWRITTEN_ELEMENT},
#define SCALE_ROWS "{\"op\": \"scale_rows\", \"rows\": 3, \"size\": 5, \"experts\": 6}"
    {SCALE_ROWS, "ids[row]", "row", KGEN_WRONG_ELEMENT},
    {SCALE_ROWS, "* factor", "+ factor", KGEN_WRONG_ELEMENT},
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
    kgen_templates_free(templates);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gather_by_hand),
        cmocka_unit_test(test_router_by_hand),
        cmocka_unit_test(test_groups_by_hand),
        cmocka_unit_test(test_weighted_sum_by_hand),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_planted_faults),
        cmocka_unit_test(generic),
        cmocka_unit_test(avx2),
        cmocka_unit_test(avx512),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
