/* SPDX-License-Identifier: MIT */
/* qmm: its reference by hand, the proof of kernels for every width, precision and bucket of rows, and of
 * kernels with a planted fault. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gen/ops/buffers.h"
#include "gen/ops/format.h"
#include "gen/ops/product.h"
#include "prove.h"
#include "runtime/jit/compile.h"
#include "shapes.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SEED = 7, THREADS = 2 };

/* ---- the op ---- */

static struct kgen_problem problem_of(int64_t M, int64_t N, int64_t K)
{
    struct kgen_problem problem = quantised_problem(kgen_op_find("qmm"), N, K, 8, 32);
    kgen_problem_set(&problem, "M", M);
    kgen_problem_set(&problem, "scale_dtype", KGEN_F32);
    assert_int_equal(kgen_problem_check(&problem, NULL, 0, 0, NULL), 0);
    return problem;
}

/* Two rows of W with weights 1 and 2 + 3, three rows of x, of which a call has two. */
static void test_reference_by_hand(void **state)
{
    (void)state;
    enum { M = 3, N = 2, K = 32 };
    const struct kgen_problem problem = problem_of(M, N, K);
    uint8_t weights[N * K];
    float scales[N] = {1, 2}, biases[N] = {0, 3}, x[M * K];
    double y[M * N], bound[M * N];
    memset(weights, 1, sizeof weights);
    for (int i = 0; i < M * K; i++)
        x[i] = i < K ? 1.0f : i < 2 * K ? -0.5f : NAN;
    const struct kgen_arguments arguments = {.buffers = {weights, scales, biases, x}, .scalars = {2, N}};
    struct kgen_expected expected = {0};
    struct kgen_buffers buffers;
    kgen_problem_buffers(&problem, &buffers);
    const int at = kgen_buffers_find(&buffers, "y");
    expected.values[at] = y;
    expected.bounds[at] = bound;
    problem.op->reference(&problem, &arguments, &expected);
    static const double values[] = {32, 160, -16, -80};
    for (int i = 0; i < 4; i++) {
        assert_true(fabs(y[i] - values[i]) < 1e-9);
        assert_true(bound[i] > 0 && bound[i] < 1e-2);
    }
    assert_true(isnan(y[4]) && isnan(y[5]));
}

static void test_fields(void **state)
{
    (void)state;
    struct kgen_problem problem = problem_of(70, 48, 64);
    const struct kgen_op *op = problem.op;
    const struct kgen_scalar *rows = &op->scalars[0], *stride = &op->scalars[1];
    struct kgen_buffers buffers;
    kgen_problem_buffers(&problem, &buffers);
    const struct kgen_problem_buffer *y = &buffers.items[kgen_buffers_find(&buffers, "y")];
    assert_int_equal(y->bytes, 70 * 48 * 4);
    assert_int_equal(y->range_bytes, 70 * 4);
    assert_int_equal(y->strided_rows, 70);
    assert_int_equal(kgen_scalar_minimum(&problem, rows), 1);
    assert_int_equal(kgen_scalar_maximum(&problem, rows), 70);
    assert_int_equal(kgen_scalar_typical(&problem, rows), 70);
    assert_int_equal(kgen_scalar_minimum(&problem, stride), 48);
    assert_int_equal(kgen_scalar_typical(&problem, stride), 48);
    assert_true(fabs(kgen_problem_operations(&problem) - 2.0 * 70 * 48 * 64) < 0.5);
    for (int64_t M = 0; M <= 4097; M += 4097) {
        struct kgen_error error = {0};
        kgen_problem_set(&problem, "M", M);
        assert_int_equal(kgen_problem_check(&problem, NULL, 0, 0, &error), -1);
        assert_string_equal(error.message, M == 0
                                               ? "\"M\" of qmm must be an integer from 1 to 4096, not 0"
                                               : "\"M\" of qmm must be an integer from 1 to 4096, not 4097");
    }
}

/* The cases of a proof have every remainder of a few rows, one row, and all of them. */
static void test_rows_of_generators(void **state)
{
    (void)state;
    enum { M = 64, N = 3, K = 32 };
    const struct kgen_problem problem = problem_of(M, N, K);
    static uint8_t weights[N * K];
    static float scales[N], biases[N], x[(size_t)M * K];
    unsigned remainders = 0;
    for (size_t i = 0; i < problem.op->generator_count; i++) {
        struct kgen_random random = {SEED};
        struct kgen_arguments arguments = {.buffers = {weights, scales, biases, x}};
        problem.op->generators[i].fill(&problem, &random, &arguments);
        const int64_t rows = arguments.scalars[0];
        assert_in_range(rows, 1, M);
        assert_true(!isnan(x[rows * K - 1]));
        assert_true(rows == M || isnan(x[rows * K]));
        remainders |= 1u << (unsigned)(rows % 8);
    }
    assert_int_equal(remainders, 0xef);
}

/* ---- right kernels ---- */

/* Every width, group size and precision, with buckets of rows in turns, and rows of W that fill no tile. */
static void add_groups(struct kgen_text *text, const char *layout, int step)
{
    static const int all_bits[] = {4, 1, 2, 3, 5, 6, 8}, groups[] = {64, 32, 128};
    static const int buckets[] = {1, 2, 3, 4, 8, 20, 67, 200}, rows[] = {37, 16, 1};
    static const char *const formats[] = {"\"scheme\": \"affine\", \"scale_dtype\": \"f16\"",
                                          "\"scheme\": \"symmetric\", \"scale_dtype\": \"bf16\"",
                                          "\"scheme\": \"zero_point\", \"scale_dtype\": \"f32\""};
    static const char *const activations[] = {"i8", "i24", "f32", "i16"};
    size_t turn = 0;
    for (size_t b = 0; b < KGEN_COUNT_OF(all_bits); b++) {
        for (size_t g = 0; g < KGEN_COUNT_OF(groups); g++) {
            for (size_t a = 0; a < KGEN_COUNT_OF(activations); a++, turn++) {
                if (turn % (size_t)step != 0)
                    continue;
                shapes_add(text,
                           "{\"op\": \"qmm\", \"M\": %d, \"N\": %d, \"K\": %d, \"bits\": %d, "
                           "\"group_size\": %d, %s, \"activation_dtype\": \"%s\", \"layout\": \"%s\"}",
                           buckets[(turn + turn / 8) % 8], rows[(turn + turn / 3) % 3],
                           groups[g] * (turn % 2 == 0 ? 3 : 1), all_bits[b], groups[g],
                           formats[(turn / 3 + b) % 3], activations[a], layout);
            }
        }
    }
}

/* Every format of blocks and precision, with buckets of rows in turns; blocks that fill no chunk, or two and
 * a half. */
static void add_blocks(struct kgen_text *text, int precisions)
{
    static const char *const activations[] = {"f32", "i8", "i24", "i16"};
    static const int buckets[] = {5, 18, 1, 67, 2}, rows[] = {7, 37, 16}, columns[] = {64, 96, 1280};
    size_t turn = 0;
    for (size_t f = 0; f < kgen_format_count(); f++) {
        const struct kgen_format *format = kgen_format_at(f);
        for (int a = 0; a < precisions && format->block_values != 0; a++, turn++) {
            const int K = columns[turn % 3], least = 2 * (int)format->block_values;
            shapes_add(text,
                       "{\"op\": \"qmm\", \"M\": %d, \"N\": %d, \"K\": %d, \"scheme\": \"%s\", "
                       "\"scale_dtype\": \"%s\", \"activation_dtype\": \"%s\"}",
                       buckets[turn % 5], rows[turn / 2 % 3], K < least ? least : K,
                       kgen_constant_name(format->scheme), kgen_constant_name(format->scale_dtype),
                       activations[a]);
        }
    }
}

/* Tokens that share experts: in tiles, in blocks, and in plain C as stored. */
static void add_experts(struct kgen_text *text, bool stored)
{
    static const char *const formats[] = {
        "\"bits\": 4, \"group_size\": 64, \"layout\": \"tiles16\"",
        "\"bits\": 6, \"group_size\": 32, \"scheme\": \"symmetric\", \"layout\": \"tiles16\"",
        "\"scheme\": \"q8_0\"",
        "\"scheme\": \"mxfp4\", \"scale_dtype\": \"f32\"",
        "\"scheme\": \"q6_k\"",
        "\"bits\": 3, \"group_size\": 32",
    };
    static const char *const activations[] = {"i8", "i24", "f32"};
    static const int tokens[] = {33, 2, 70, 1};
    size_t turn = 0;
    for (size_t f = 0; f < KGEN_COUNT_OF(formats) - (stored ? 0 : 1); f++) {
        for (size_t a = 0; a < KGEN_COUNT_OF(activations); a++, turn++)
            shapes_add(text,
                       "{\"op\": \"gather_qmm\", \"M\": %d, \"experts\": %d, \"experts_per_token\": %d, "
                       "\"x_per_expert\": %s, \"N\": 37, \"K\": 256, %s, \"activation_dtype\": \"%s\"}",
                       tokens[turn % 4], 3 + (int)turn % 5, 1 + (int)turn % 3,
                       turn % 2 == 0 ? "true" : "false", formats[f], activations[a]);
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
    if (kgen_verify_with(batch->cases, &kernel, &options, result, &error) != 0)
        kgen_verification_fail(result, KGEN_WORKER_EXITED, &error);
    kgen_code_free(code);
}

static int report(size_t index, const struct kgen_outcome *outcome, const void *memory, void *context)
{
    struct batch *batch = context;
    const struct kgen_verification result = shapes_verdict(outcome, memory);
    batch->passed += result.verdict == KGEN_PASSED;
    batch->not_candidates += result.verdict == KGEN_NO_CANDIDATE;
    if (result.verdict != KGEN_PASSED && result.verdict != KGEN_NO_CANDIDATE)
        shapes_fail(batch->problem, &batch->variants->items[index], "tcc", SEED, &result);
    return 0;
}

/* Keeps one of `every` variants, another one for each problem. */
static void thin_out(struct kgen_variants *variants, size_t problem, size_t every)
{
    size_t kept = 0;
    for (size_t i = problem % every; i < variants->count; i += every)
        variants->items[kept++] = variants->items[i];
    variants->count = kept > 0 ? kept : 1;
}

static void prove_all(const struct kgen_text *problems, enum kgen_isa isa, size_t every, size_t least)
{
    struct kgen_error error = {0};
    struct kgen_spec *spec = shapes_spec(problems);
    struct kgen_templates *templates = kgen_templates_open(NULL, "c", &error);
    assert_non_null(templates);
    size_t passed = 0, not_candidates = 0;
    for (size_t i = 0; i < spec->count; i++) {
        struct kgen_variants variants = {0};
        const struct kgen_problem *problem = &spec->entries[i].problem;
        assert_int_equal(kgen_variants_list(templates, problem, 1u << isa, &variants, &error), 0);
        thin_out(&variants, i, every);
        struct batch batch = {problem, &variants, kgen_verify_cases_new(problem, SEED, &error), 0, 0};
        assert_non_null(batch.cases);
        const struct kgen_worker_options options = {.limit_seconds = 60};
        assert_int_equal(kgen_workers_run(&options, variants.count, sizeof(struct kgen_verification), job,
                                          report, &batch, &error),
                         0);
        if (batch.passed == 0)
            fail_msg("no variant of problem %zu can be a candidate for %s", i, kgen_isa_info(isa)->name);
        passed += batch.passed;
        not_candidates += batch.not_candidates;
        kgen_verify_cases_free(batch.cases);
        kgen_variants_free(&variants);
    }
    printf("%s: %zu variants of %zu problems proven, %zu want more registers\n", kgen_isa_info(isa)->name,
           passed, spec->count, not_candidates);
    assert_true(passed >= least);
    kgen_templates_free(templates);
    kgen_spec_free(spec);
}

static void prove_tiles(enum kgen_isa isa, int step, size_t every, size_t least)
{
    shapes_need(isa);
    struct kgen_text problems = {0};
    add_groups(&problems, "tiles16", step);
    prove_all(&problems, isa, every, least);
    kgen_text_free(&problems);
}

static void test_generic(void **state)
{
    (void)state;
    struct kgen_text problems = {0};
    add_groups(&problems, "stored", 3);
    add_groups(&problems, "tiles16", 5);
    add_blocks(&problems, 1);
    add_experts(&problems, true);
    prove_all(&problems, KGEN_ISA_GENERIC, 1, 28 + 17 + 12 + 18);
    kgen_text_free(&problems);
}

static void test_avx2(void **state)
{
    (void)state;
    prove_tiles(KGEN_ISA_AVX2, 5, 1, 17 * 9);
}

static void test_avx512(void **state)
{
    (void)state;
    prove_tiles(KGEN_ISA_AVX512, 1, 5, 84 * 4);
}

static void prove_blocks(enum kgen_isa isa, size_t every, size_t least)
{
    shapes_need(isa);
    struct kgen_text problems = {0};
    add_blocks(&problems, 4);
    add_experts(&problems, false);
    prove_all(&problems, isa, every, least);
    kgen_text_free(&problems);
}

static void test_blocks_avx2(void **state)
{
    (void)state;
    prove_blocks(KGEN_ISA_AVX2, 7, 12 * 4 + 15);
}

static void test_blocks_avx512(void **state)
{
    (void)state;
    prove_blocks(KGEN_ISA_AVX512, 5, 12 * 4 + 15);
}

/* ---- planted faults ---- */

/* Replaces the first `from` of a text by `to`. */
static void plant(struct kgen_text *text, const char *from, const char *to)
{
    char *at = strstr(text->data, from);
    if (at == NULL)
        fail_msg("the kernel has no \"%s\":\n%s", from, text->data);
    struct kgen_text planted = {0};
    kgen_text_append(&planted, text->data, (size_t)(at - text->data));
    kgen_text_puts(&planted, to);
    kgen_text_puts(&planted, at + strlen(from));
    kgen_text_free(text);
    *text = planted;
}

/* The verdict on the first variant of a problem, with a fault. */
static struct kgen_verification prove_planted(const struct kgen_problem *problem, enum kgen_isa isa,
                                              const char *from, const char *to)
{
    struct kgen_error error = {0};
    struct kgen_templates *templates = kgen_templates_open(NULL, "c", &error);
    struct kgen_variants variants = {0};
    struct kgen_text text = {0};
    struct kgen_kernel kernel;
    assert_non_null(templates);
    assert_int_equal(kgen_variants_list(templates, problem, 1u << isa, &variants, &error), 0);
    assert_true(variants.count > 0);
    assert_int_equal(kgen_variant_callable_text(&variants.items[0], problem, "kernel", &text, &error), 0);
    plant(&text, from, to);
    struct kgen_code *code = kgen_jit_compile_read_only("planted", text.data, isa, &error);
    if (code == NULL)
        fail_msg("%s", error.message);
    assert_int_equal(kgen_kernel_find(problem, code, "kernel", &kernel, &error), 0);
    const struct kgen_verification result = prove(&kernel);
    kgen_code_free(code);
    kgen_text_free(&text);
    kgen_variants_free(&variants);
    kgen_templates_free(templates);
    return result;
}

static void test_faults_are_seen(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum kgen_isa isa;
        const char *from, *to;
        enum kgen_verdict verdict;
        const char *detail;
    } cases[] = {
        {"none", KGEN_ISA_AVX2, "m < count;", "m < count;", KGEN_PASSED, ""},
        {"skips the last row", KGEN_ISA_AVX2, "m < count;", "m < count - 1;", KGEN_UNWRITTEN_ELEMENT, ""},
        {"skips a row of a tail", KGEN_ISA_AVX2, "m < count;", "m < (count & ~1);", KGEN_UNWRITTEN_ELEMENT,
         ""},
        {"stores a row too many", KGEN_ISA_AVX2, "m < count;", "m <= count;", KGEN_WRITE_PAST_END, ""},
        {"stores a whole tile always", KGEN_ISA_AVX2, "if (last - first == 16)", "if (1)",
         KGEN_WRITE_PAST_END, ""},
        {"a column of the tile before", KGEN_ISA_AVX2, "int i = first;", "int i = first - (first > 0);",
         KGEN_WRITE_PAST_END, ""},
        {"takes N for the stride", KGEN_ISA_AVX2, "y += y_stride;", "y += y_stride - 3;", KGEN_WRONG_ELEMENT,
         ""},
        {"takes another slice", KGEN_ISA_AVX2, "kv_cvt_f32(dot1_0_1)", "kv_cvt_f32(dot1_0_2)",
         KGEN_WRONG_ELEMENT, ""},
        {"takes the lowest slice of another row", KGEN_ISA_AVX2, "kv_cvt_f32(dot1_0_0)",
         "kv_cvt_f32(dot0_0_0)", KGEN_WRONG_ELEMENT, ""},
        {"takes the factor of the next row", KGEN_ISA_AVX2, "x_factor = slab_factor;",
         "x_factor = slab_factor + (count > 2) * 2;", KGEN_WRONG_ELEMENT, ""},
        {"takes the factor of the group before", KGEN_ISA_AVX2,
         "slab_factor += ", "slab_factor += (group > 0) * ", KGEN_WRONG_ELEMENT, ""},
        {"takes the scale of the group before", KGEN_ISA_AVX2,
         "strip_scale += ", "strip_scale += (group > 0) * ", KGEN_WRONG_ELEMENT, ""},
        {"prepares a row too few", KGEN_ISA_AVX2, "if (row < results) {", "if (row + 1 < results) {",
         KGEN_WRONG_ELEMENT, ""},
        {"none", KGEN_ISA_GENERIC, "sums[m] = 0.0f", "sums[m] = 0.0f", KGEN_PASSED, ""},
        {"begins with the sums of the row before", KGEN_ISA_GENERIC, "sums[m] = 0.0f", "sums[m] *= 0.5f",
         KGEN_WRONG_ELEMENT, ""},
        {"writes another thread's columns", KGEN_ISA_GENERIC, "(size_t)y_stride + row]",
         "(size_t)y_stride + row + (row & 1)]", KGEN_WRITE_PAST_END, ""},
        {"stores a column too many, but not in the last row", KGEN_ISA_GENERIC,
         "(size_t)y_stride + row] = sums[m];",
         "(size_t)y_stride + row] = sums[m], y[(size_t)m * (size_t)y_stride + row + (m + 1 < (int)rows && "
         "row + 1 == "
         "row_end)] = sums[m];",
         KGEN_WRITE_PAST_END, "lies between its rows"},
    };
    struct kgen_problem problem = quantised_problem(kgen_op_find("qmm"), 70, 192, 4, 64);
    kgen_problem_set(&problem, "M", 20);
    kgen_problem_set(&problem, "activation_dtype", KGEN_I24);
    kgen_problem_set(&problem, "layout", KGEN_TILES16);
    shapes_need(KGEN_ISA_AVX2);
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++, executed++) {
        const struct kgen_verification v = prove_planted(&problem, cases[i].isa, cases[i].from, cases[i].to);
        assert_verdict(cases[i].name, &v, cases[i].verdict);
        if (strstr(v.detail, cases[i].detail) == NULL)
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].name, v.detail, cases[i].detail);
    }
    assert_int_equal(executed, KGEN_COUNT_OF(cases));
}

static void test_faults_of_blocks_are_seen(void **state)
{
    (void)state;
    static const struct {
        const char *name, *from, *to;
        enum kgen_verdict verdict;
    } cases[] = {
        {"none", "row < count ? row", "row < count ? row", KGEN_PASSED},
        {"reads a row too many", "row < count ? row : count - 1", "row", KGEN_READ_PAST_END},
        {"unpacks a block too few", "? 40 - block :", "? 39 - block :", KGEN_WRONG_ELEMENT},
        {"begins each chunk with the first turn", "x + (size_t)block * ", "x + (size_t)0 * ",
         KGEN_WRONG_ELEMENT},
        {"mixes up two rows of a square", "kv_permute2(row1, row5, lower)", "kv_permute2(row5, row1, lower)",
         KGEN_WRONG_ELEMENT},
        {"takes what another slice begins with", "kv_int dot1_0 = kv_as_int(kv_broadcast(turn + 53));",
         "kv_int dot1_0 = kv_as_int(kv_broadcast(turn + 54));", KGEN_WRONG_ELEMENT},
        {"takes the scales of the group before", "scale += 16;", "scale += group > 0 ? 16 : 0;",
         KGEN_WRONG_ELEMENT},
        {"stores the tile before", "sums + first * ", "sums + 0 * ", KGEN_WRONG_ELEMENT},
        {"prepares a row too few", "left = (int)rows - first;", "left = (int)rows - 1 - first;",
         KGEN_WRONG_ELEMENT},
    };
    struct kgen_problem problem = quantised_problem(kgen_op_find("qmm"), 70, 1280, 8, 32);
    kgen_problem_set(&problem, "M", 20);
    kgen_problem_set(&problem, "scheme", KGEN_Q8_0);
    kgen_problem_set(&problem, "activation_dtype", KGEN_I24);
    shapes_need(KGEN_ISA_AVX2);
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++, executed++) {
        const struct kgen_verification v = prove_planted(&problem, KGEN_ISA_AVX2, cases[i].from, cases[i].to);
        assert_verdict(cases[i].name, &v, cases[i].verdict);
    }
    assert_int_equal(executed, KGEN_COUNT_OF(cases));
}

/* Rows that chose the same expert are multiplied together: of the wrong one, or too few of them. */
static void test_faults_of_experts_are_seen(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t scheme;
        const char *from, *to;
        enum kgen_verdict verdict;
    } cases[] = {
        {"none", KGEN_AFFINE, "ids[i] + 1", "ids[i] + 1", KGEN_PASSED},
        {"none, of blocks", KGEN_Q8_0, "ids[i] + 1", "ids[i] + 1", KGEN_PASSED},
        {"takes the matrix of the next expert", KGEN_AFFINE, "(size_t)expert * matrix_tiles",
         "(size_t)((expert + 1) % 5) * matrix_tiles", KGEN_WRONG_ELEMENT},
        {"takes the matrix of the next expert, of blocks", KGEN_Q8_0, "(size_t)expert * (size_t)expert_rows",
         "(size_t)((expert + 1) % 5) * (size_t)expert_rows", KGEN_WRONG_ELEMENT},
        {"loses the last row of an expert", KGEN_AFFINE, "rows_end = begins[expert + 1]",
         "rows_end = begins[expert + 1] - 1", KGEN_UNWRITTEN_ELEMENT},
        {"loses the last row of an expert, of blocks", KGEN_Q8_0, "all = begins[expert + 1] - begin,",
         "all = begins[expert + 1] - begin - 1,", KGEN_UNWRITTEN_ELEMENT},
        {"begins with the last row of the expert before", KGEN_AFFINE, "begin = begins[expert],",
         "begin = begins[expert] - (expert > 0),", KGEN_WRONG_ELEMENT},
        {"begins an expert in the turn of the one before", KGEN_Q8_0, "count += (begins[expert + 1] + ",
         "count += (begins[expert + 1] - 1 + ", KGEN_WRONG_ELEMENT},
        {"stores in the order of the experts", KGEN_AFFINE, "(size_t)order[row + j]", "(size_t)(row + j)",
         KGEN_WRONG_ELEMENT},
        {"takes the activations of another token", KGEN_AFFINE, "(result / 2)", "(result / 3)",
         KGEN_WRONG_ELEMENT},
    };
    shapes_need(KGEN_ISA_AVX2);
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++, executed++) {
        struct kgen_problem problem = quantised_problem(kgen_op_find("gather_qmm"), 37, 192, 8, 32);
        kgen_problem_set(&problem, "M", 11);
        kgen_problem_set(&problem, "experts", 5);
        kgen_problem_set(&problem, "experts_per_token", 2);
        kgen_problem_set(&problem, "scheme", cases[i].scheme);
        kgen_problem_set(&problem, "activation_dtype", KGEN_I24);
        kgen_problem_set(&problem, "layout", cases[i].scheme == KGEN_AFFINE ? KGEN_TILES16 : KGEN_STORED);
        const struct kgen_verification v = prove_planted(&problem, KGEN_ISA_AVX2, cases[i].from, cases[i].to);
        assert_verdict(cases[i].name, &v, cases[i].verdict);
    }
    assert_int_equal(executed, KGEN_COUNT_OF(cases));
}

/* The check of a kernel that was proven before, of a large problem: right, and with a fault. */
static void test_quick_check(void **state)
{
    (void)state;
    struct kgen_problem problem = quantised_problem(kgen_op_find("qmm"), 4096, 4096, 4, 64);
    kgen_problem_set(&problem, "M", 512);
    struct kgen_error error = {0};
    struct kgen_templates *templates = kgen_templates_open(NULL, "c", &error);
    struct kgen_variants variants = {0};
    struct kgen_verify_cases *cases = kgen_verify_cases_new_quick(&problem, SEED, &error);
    assert_non_null(templates);
    assert_non_null(cases);
    assert_int_equal(kgen_variants_list(templates, &problem, 1u << KGEN_ISA_GENERIC, &variants, &error), 0);
    for (int fault = 0; fault < 2; fault++) {
        struct kgen_text text = {0};
        struct kgen_kernel kernel;
        struct kgen_verification result;
        assert_int_equal(kgen_variant_callable_text(&variants.items[0], &problem, "kernel", &text, &error),
                         0);
        plant(&text, "+= scale *", fault ? "-= scale *" : "+= scale *");
        struct kgen_code *code = kgen_jit_compile_read_only("planted", text.data, KGEN_ISA_GENERIC, &error);
        assert_non_null(code);
        assert_int_equal(kgen_kernel_find(&problem, code, "kernel", &kernel, &error), 0);
        const struct kgen_verify_options options = {.threads = 1};
        assert_int_equal(kgen_verify_with(cases, &kernel, &options, &result, &error), 0);
        assert_verdict("quick", &result, fault ? KGEN_WRONG_ELEMENT : KGEN_PASSED);
        kgen_code_free(code);
        kgen_text_free(&text);
    }
    kgen_verify_cases_free(cases);
    kgen_variants_free(&variants);
    kgen_templates_free(templates);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference_by_hand),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_rows_of_generators),
        cmocka_unit_test(test_generic),
        cmocka_unit_test(test_avx2),
        cmocka_unit_test(test_avx512),
        cmocka_unit_test(test_blocks_avx2),
        cmocka_unit_test(test_blocks_avx512),
        cmocka_unit_test(test_faults_are_seen),
        cmocka_unit_test(test_faults_of_blocks_are_seen),
        cmocka_unit_test(test_faults_of_experts_are_seen),
        cmocka_unit_test(test_quick_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
