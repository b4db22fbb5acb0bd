/* SPDX-License-Identifier: MIT */
/* Every variant of every template, through TinyCC, proven on shapes that fit nothing, for each instruction
 * set that this machine has. A failure prints the problem, the variant and the seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gen/ops/format.h"
#include "runtime/jit/compile.h"
#include "shapes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEED = 7, THREADS = 2 };

/* Every width of weights and group size, with schemes and dtypes of scales in turn, for shapes that fit
 * nothing. */
static void add_qmv(struct kgen_text *text)
{
    static const int all_bits[] = {1, 2, 3, 4, 5, 6, 8}, groups[] = {32, 64, 128}, rows[] = {1, 7, 4097};
    static const int columns[] = {32, 96, 288, 4864}, multiples[] = {1, 3, 9, 19};
    static const char *const formats[] = {"\"scheme\": \"affine\", \"scale_dtype\": \"f16\"",
                                          "\"scheme\": \"symmetric\", \"scale_dtype\": \"bf16\"",
                                          "\"scheme\": \"zero_point\", \"scale_dtype\": \"f32\"",
                                          "\"scheme\": \"affine\", \"scale_dtype\": \"bf16\""};
    static const char *const activations[] = {"f32", "i24", "i16", "i8"};
    size_t turn = 0;
    for (size_t b = 0; b < KGEN_COUNT_OF(all_bits); b++) {
        for (size_t g = 0; g < KGEN_COUNT_OF(groups); g++) {
            for (size_t a = 0; a < KGEN_COUNT_OF(activations); a++, turn++) {
                const size_t k = (turn + turn / KGEN_COUNT_OF(columns)) % KGEN_COUNT_OF(columns);
                const int K = columns[k] % groups[g] == 0 ? columns[k] : groups[g] * multiples[k];
                shapes_add(text,
                           "{\"op\": \"qmv\", \"N\": %d, \"K\": %d, \"bits\": %d, \"group_size\": %d, %s, "
                           "\"activation_dtype\": \"%s\"}",
                           rows[turn % 3], K, all_bits[b], groups[g], formats[(turn / 3 + b) % 4],
                           activations[a]);
            }
            shapes_add(text,
                       "{\"op\": \"dequantize\", \"N\": 3, \"K\": %d, \"bits\": %d, \"group_size\": %d, %s}",
                       groups[g] * 3, all_bits[b], groups[g], formats[(turn + g) % 4]);
        }
    }
}

/* Activations that the first-level cache does not hold, which some variants take in chunks: with a tail that
 * is no whole block, with widths that are spread, and with each kind of scales. */
static void add_long_qmv(struct kgen_text *text)
{
    static const struct {
        int K, bits, group_size;
        const char *format;
    } problems[] = {
        {12288, 4, 64, "\"scheme\": \"affine\", \"scale_dtype\": \"f16\""},
        {11008, 4, 64, "\"scheme\": \"symmetric\", \"scale_dtype\": \"bf16\""},
        {14336, 2, 128, "\"scheme\": \"zero_point\", \"scale_dtype\": \"f32\""},
        {9728, 3, 32, "\"scheme\": \"affine\", \"scale_dtype\": \"bf16\""},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(problems); i++)
        shapes_add(text, "{\"op\": \"qmv\", \"N\": 37, \"K\": %d, \"bits\": %d, \"group_size\": %d, %s}",
                   problems[i].K, problems[i].bits, problems[i].group_size, problems[i].format);
}

/* Rows side by side: every width, group size and precision, with rows that do not fill a tile. */
static void add_tiles(struct kgen_text *text)
{
    static const int all_bits[] = {1, 2, 3, 4, 5, 6, 8}, groups[] = {32, 64, 128}, rows[] = {1, 16, 37};
    static const char *const formats[] = {"\"scheme\": \"affine\", \"scale_dtype\": \"f16\"",
                                          "\"scheme\": \"symmetric\", \"scale_dtype\": \"bf16\"",
                                          "\"scheme\": \"zero_point\", \"scale_dtype\": \"f32\""};
    static const char *const activations[] = {"f32", "i24", "i16", "i8"};
    size_t turn = 0;
    for (size_t b = 0; b < KGEN_COUNT_OF(all_bits); b++) {
        for (size_t g = 0; g < KGEN_COUNT_OF(groups); g++) {
            for (size_t a = 0; a < KGEN_COUNT_OF(activations); a++, turn++)
                shapes_add(text,
                           "{\"op\": \"qmv\", \"N\": %d, \"K\": %d, \"bits\": %d, \"group_size\": %d, %s, "
                           "\"activation_dtype\": \"%s\", \"layout\": \"tiles16\"}",
                           rows[turn % 3], groups[g] * (turn % 2 == 0 ? 3 : 8), all_bits[b], groups[g],
                           formats[(turn / 3 + b) % 3], activations[a]);
        }
    }
}

/* Every format whose rows are blocks. The precisions of activations, which make no difference to the kernels
 * yet, in turns. */
static void add_blocks(struct kgen_text *text)
{
    static const char *const activations[] = {"f32", "i24", "i16", "i8"};
    static const int rows[] = {1, 7, 37, 1025}, blocks[] = {1, 3, 9, 4};
    size_t turn = 0;
    for (size_t f = 0; f < kgen_format_count(); f++) {
        const struct kgen_format *format = kgen_format_at(f);
        for (size_t i = 0; i < KGEN_COUNT_OF(rows) && format->block_values != 0; i++, turn++) {
            char fields[128];
            snprintf(fields, sizeof fields,
                     "\"N\": %d, \"K\": %d, \"scheme\": \"%s\", \"scale_dtype\": \"%s\"", rows[i],
                     blocks[i] * (int)format->block_values, kgen_constant_name(format->scheme),
                     kgen_constant_name(format->scale_dtype));
            shapes_add(text, "{\"op\": \"qmv\", %s, \"activation_dtype\": \"%s\"}", fields,
                       activations[(turn + turn / 4) % 4]);
            shapes_add(text, "{\"op\": \"dequantize\", %s}", fields);
        }
    }
    assert_true(turn > 0);
}

static void add_attention(struct kgen_text *text)
{
    static const int attentions[][4] = {{32, 8, 128, 4096}, {8, 1, 64, 300},  {7, 1, 40, 70},
                                        {3, 3, 8, 40},      {10, 2, 576, 90}, {2, 2, 72, 1}};
    for (size_t i = 0; i < KGEN_COUNT_OF(attentions); i++)
        shapes_add(text,
                   "{\"op\": \"attention_decode\", \"heads\": %d, \"kv_heads\": %d, \"head_dim\": %d, "
                   "\"context\": %d, \"cache_dtype\": \"%s\"%s}",
                   attentions[i][0], attentions[i][1], attentions[i][2], attentions[i][3],
                   i % 3 == 0   ? "f16"
                   : i % 3 == 1 ? "f32"
                                : "bf16",
                   i == 1 ? ", \"scale\": 0.5, \"key_parts\": 3" : "");
    static const int prefills[][5] = {
        {40, 9, 3, 64, 200}, {7, 8, 1, 40, 70}, {33, 3, 3, 8, 60}, {1, 2, 2, 72, 1}};
    for (size_t i = 0; i < KGEN_COUNT_OF(prefills); i++)
        shapes_add(
            text,
            "{\"op\": \"attention_prefill\", \"M\": %d, \"heads\": %d, \"kv_heads\": %d, \"head_dim\": %d, "
            "\"context\": %d, \"cache_dtype\": \"%s\"%s}",
            prefills[i][0], prefills[i][1], prefills[i][2], prefills[i][3], prefills[i][4],
            i % 3 == 0   ? "f16"
            : i % 3 == 1 ? "f32"
                         : "bf16",
            i == 1 ? ", \"scale\": 0.5, \"row_parts\": 3" : "");
    static const char *const masks[] = {"\"window\": 37", "\"softcap\": 2, \"sinks\": true, \"window\": 70",
                                        "\"sinks\": true, \"cache_dtype\": \"f16\"",
                                        "\"softcap\": 30, \"window\": 1, \"cache_dtype\": \"bf16\""};
    for (size_t i = 0; i < KGEN_COUNT_OF(masks); i++) {
        static const char shape[] = "\"heads\": 6, \"kv_heads\": 2, \"head_dim\": 40, \"context\": 300";
        shapes_add(text, "{\"op\": \"attention_decode\", %s, %s}", shape, masks[i]);
        shapes_add(text, "{\"op\": \"attention_prefill\", \"M\": 37, %s, %s}", shape, masks[i]);
    }
    static const int quantised[][4] = {{4, 1, 64, 150}, {3, 1, 96, 70}, {2, 2, 32, 17}};
    for (size_t i = 0; i < 2 * KGEN_COUNT_OF(quantised); i++) {
        const int *shape = quantised[i / 2];
        const char *dtype = i % 2 == 0 ? "q8_0" : "q4_0";
        shapes_add(text,
                   "{\"op\": \"attention_decode\", \"heads\": %d, \"kv_heads\": %d, \"head_dim\": %d, "
                   "\"context\": %d, \"cache_dtype\": \"%s\"}",
                   shape[0], shape[1], shape[2], shape[3], dtype);
        if (i < 4)
            shapes_add(text,
                       "{\"op\": \"attention_prefill\", \"M\": 11, \"heads\": %d, \"kv_heads\": %d, "
                       "\"head_dim\": %d, \"context\": %d, \"cache_dtype\": \"%s\"}",
                       shape[0], shape[1], shape[2], shape[3], dtype);
        shapes_add(text,
                   "{\"op\": \"attention_decode\", \"heads\": %d, \"kv_heads\": %d, \"head_dim\": %d, "
                   "\"context\": %d, \"cache_dtype\": \"%s\", \"window\": 37, \"sinks\": true}",
                   shape[0], shape[1], shape[2], shape[3], dtype);
    }
    /* Pages of one tile, of one that is no power of two, and of all positions. */
    static const char *const pages[] = {
        "\"page_size\": 16, \"cache_dtype\": \"f32\"",
        "\"page_size\": 48, \"cache_dtype\": \"f16\", \"window\": 70, \"sinks\": true",
        "\"page_size\": 32, \"cache_dtype\": \"bf16\", \"softcap\": 2",
        "\"page_size\": 256, \"cache_dtype\": \"q8_0\", \"window\": 37",
        "\"page_size\": 64, \"cache_dtype\": \"q8_0\", \"sinks\": true",
        "\"page_size\": 80, \"cache_dtype\": \"q4_0\", \"window\": 70, \"softcap\": 2"};
    for (size_t i = 0; i < KGEN_COUNT_OF(pages); i++) {
        static const char shape[] = "\"heads\": 4, \"kv_heads\": 2, \"head_dim\": 64, \"context\": 300";
        shapes_add(text, "{\"op\": \"attention_decode\", %s, %s}", shape, pages[i]);
        if (i % 2 == 1)
            shapes_add(text, "{\"op\": \"attention_prefill\", \"M\": 37, %s, %s}", shape, pages[i]);
    }
}

static void add_others(struct kgen_text *text)
{
    static const int sizes[] = {1, 7, 31, 33, 133, 4097};
    for (size_t i = 0; i < KGEN_COUNT_OF(sizes); i++) {
        shapes_add(
            text,
            "{\"op\": \"rms_norm\", \"size\": %d, \"rows\": 3, \"residual\": %s, \"weight_plus_one\": %s}",
            sizes[i], i % 2 == 0 ? "true" : "false", i % 3 == 0 ? "true" : "false");
        shapes_add(
            text, "{\"op\": \"rms_norm\", \"size\": %d, \"rows\": 3, \"residual\": %s, \"unweighted\": true}",
            sizes[i], i % 2 == 0 ? "false" : "true");
        shapes_add(text, "{\"op\": \"softmax\", \"size\": %d, \"rows\": 3}", sizes[i]);
        shapes_add(text, "{\"op\": \"swiglu\", \"size\": %d}", sizes[i]);
        shapes_add(text, "{\"op\": \"add\", \"size\": %d}", sizes[i]);
        shapes_add(text, "{\"op\": \"layer_norm\", \"size\": %d, \"rows\": 3, \"bias\": %s}", sizes[i],
                   i % 2 == 0 ? "true" : "false");
        shapes_add(text, "{\"op\": \"geglu\", \"size\": %d, \"exact\": %s}", sizes[i],
                   i % 2 == 0 ? "true" : "false");
        shapes_add(text, "{\"op\": \"clamped_swiglu\", \"size\": %d}", sizes[i]);
        shapes_add(text, "{\"op\": \"scale\", \"size\": %d, \"factor\": 33.5}", sizes[i]);
        shapes_add(text, "{\"op\": \"softcap\", \"size\": %d, \"cap\": 3}", sizes[i]);
    }
    add_attention(text);
    static const int dims[][2] = {{128, 128}, {64, 64}, {80, 20}, {96, 48}, {2, 2}, {256, 64}};
    for (size_t i = 0; i < KGEN_COUNT_OF(dims); i++) {
        for (int pairing = 0; pairing < 2; pairing++)
            shapes_add(
                text,
                "{\"op\": \"rope\", \"heads\": 5, \"head_dim\": %d, \"rotary_dim\": %d, \"pairing\": \"%s\"}",
                dims[i][0], dims[i][1], pairing == 0 ? "half" : "interleaved");
    }
    shapes_add(
        text,
        "{\"op\": \"rope\", \"heads\": 8, \"head_dim\": 64, \"theta\": 500000, \"scaling\": \"llama3\", "
        "\"factor\": 32, \"low_freq_factor\": 1, \"high_freq_factor\": 4, "
        "\"original_max_position_embeddings\": 8192}");
    for (int pairing = 0; pairing < 2; pairing++)
        shapes_add(
            text,
            "{\"op\": \"rope\", \"heads\": 8, \"head_dim\": 64, \"theta\": 150000, \"scaling\": \"yarn\", "
            "\"factor\": 32, \"original_max_position_embeddings\": 4096, \"truncate\": false, "
            "\"attention_factor\": 1.3465735902799727, \"pairing\": \"%s\"}",
            pairing == 0 ? "half" : "interleaved");
    shapes_add(text, "{\"op\": \"rope\", \"heads\": 3, \"head_dim\": 64, \"scaling\": \"proportional\", "
                     "\"rotated_dim\": 16}");
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
    const struct kgen_variant *variant = &batch->variants->items[index];
    struct kgen_verification *result = memory;
    struct kgen_error error = {0};
    struct kgen_kernel kernel;
    const struct kgen_compile_options compile_options = {.engine = KGEN_ENGINE_TCC};
    kgen_worker_stage(worker, "compile", 60);
    struct kgen_code *code = kgen_kernel_compile(variant, batch->problem, &compile_options, &kernel, &error);
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
    if (result.verdict == KGEN_PASSED) {
        batch->passed++;
        return 0;
    }
    if (result.verdict == KGEN_NO_CANDIDATE) {
        batch->not_candidates++;
        return 0;
    }
    shapes_fail(batch->problem, &batch->variants->items[index], "tcc", SEED, &result);
    return 1;
}

static void prove_every_variant(enum kgen_isa isa)
{
    shapes_need(isa);
    struct kgen_text problems = {0};
    struct kgen_error error = {0};
    add_qmv(&problems);
    add_long_qmv(&problems);
    add_tiles(&problems);
    add_blocks(&problems);
    add_others(&problems);
    struct kgen_spec *spec = shapes_spec(&problems);
    struct kgen_templates *templates = kgen_templates_open(NULL, "c", &error);
    if (templates == NULL)
        fail_msg("%s:%d: %s", error.source, error.line, error.message);
    size_t passed = 0, not_candidates = 0;
    for (size_t i = 0; i < spec->count; i++) {
        struct kgen_variants variants = {0};
        const struct kgen_problem *problem = &spec->entries[i].problem;
        assert_int_equal(kgen_variants_list(templates, problem, 1u << isa, &variants, &error), 0);
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
    assert_true(passed >= spec->count);
    kgen_templates_free(templates);
    kgen_spec_free(spec);
    kgen_text_free(&problems);
}

static void generic(void **state)
{
    (void)state;
    prove_every_variant(KGEN_ISA_GENERIC);
}

static void avx2(void **state)
{
    (void)state;
    prove_every_variant(KGEN_ISA_AVX2);
}

static void avx512(void **state)
{
    (void)state;
    prove_every_variant(KGEN_ISA_AVX512);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(generic), cmocka_unit_test(avx2),
                                       cmocka_unit_test(avx512)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
