/* SPDX-License-Identifier: MIT */
/* Every template, with each value of each of its parameters, through gcc and clang: the text as it is
 * emitted is compiled against kgen_vector.h and proven against the references. All kernels of an instruction
 * set are compiled in one piece, as compilers take longest over the header of intrinsics. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gen/emit/internal.h"
#include "gen/ops/format.h"
#include "gen/ops/signature.h"
#include "shapes.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEED = 11, THREADS = 2, MAX_KERNELS = 400, MAX_TEMPLATES = 128 };

static const char *const compilers[] = {"gcc", "clang"};
enum { COMPILERS = KGEN_COUNT_OF(compilers) };

/* One kernel: a variant for a problem, under the name k<number>. */
struct kernel {
    size_t entry;
    struct kgen_variant variant;
};

struct suite {
    enum kgen_isa isa;
    struct kgen_templates *templates;
    struct kgen_spec *spec;
    struct kernel kernels[MAX_KERNELS]; /* those of a problem side by side */
    size_t count;
    /* Which values of which parameters of which templates have a kernel. */
    bool has[MAX_TEMPLATES][KGEN_PARAM_MAX][KGEN_PARAM_VALUE_MAX];
    struct kgen_code *codes[COMPILERS];
    /* In the worker: */
    struct kgen_verify_cases *cases;
    size_t cases_entry;
    /* In the parent: */
    size_t proven;
};

static void check(const struct kgen_error *error)
{
    char text[1200];
    if (error->code != KGEN_ERROR_NONE)
        fail_msg("%s", kgen_error_format(error, text, sizeof text));
}

/* Every width of weights with every precision of activations and each layout; the formats in turns. */
static void add_matrices(struct kgen_text *text)
{
    static const int all_bits[] = {1, 2, 3, 4, 5, 6, 8}, groups[] = {32, 64, 128};
    static const char *const formats[] = {"\"scheme\": \"affine\", \"scale_dtype\": \"f16\"",
                                          "\"scheme\": \"symmetric\", \"scale_dtype\": \"bf16\"",
                                          "\"scheme\": \"zero_point\", \"scale_dtype\": \"f32\""};
    static const char *const activations[] = {"f32", "i24", "i16", "i8"}, *const layouts[] = {"stored",
                                                                                              "tiles16"};
    size_t turn = 0;
    for (size_t b = 0; b < KGEN_COUNT_OF(all_bits); b++) {
        const int bits = all_bits[b];
        for (size_t a = 0; a < KGEN_COUNT_OF(activations); a++, turn++) {
            for (size_t l = 0; l < KGEN_COUNT_OF(layouts); l++)
                shapes_add(text,
                           "{\"op\": \"qmv\", \"N\": 37, \"K\": %d, \"bits\": %d, \"group_size\": %d, %s, "
                           "\"activation_dtype\": \"%s\", \"layout\": \"%s\"}",
                           groups[(turn + l) % 3] * (l == 0 ? 19 : 5), bits, groups[(turn + l) % 3],
                           formats[(turn / 3 + a + l) % 3], activations[a], layouts[l]);
        }
        shapes_add(text,
                   "{\"op\": \"dequantize\", \"N\": 3, \"K\": 384, \"bits\": %d, \"group_size\": %d, %s}",
                   bits, groups[b % 3], formats[b % 3]);
    }
    /* Activations that the first-level cache does not hold. */
    static const int long_rows[][3] = {{12288, 4, 64}, {14336, 2, 64}, {10240, 4, 64}, {9728, 3, 32}};
    for (size_t i = 0; i < KGEN_COUNT_OF(long_rows); i++)
        shapes_add(text, "{\"op\": \"qmv\", \"N\": 37, \"K\": %d, \"bits\": %d, \"group_size\": %d, %s}",
                   long_rows[i][0], long_rows[i][1], long_rows[i][2], formats[i % 3]);
}

/* Several rows of activations, few and more than a block of them. */
static void add_rows(struct kgen_text *text)
{
    static const char *const activations[] = {"i8", "i24", "f32", "i16"};
    for (int i = 0; i < 8; i++)
        shapes_add(text,
                   "{\"op\": \"qmm\", \"M\": %d, \"N\": 37, \"K\": 320, \"bits\": %d, \"group_size\": %d, "
                   "\"scheme\": "
                   "\"%s\", \"activation_dtype\": \"%s\", \"layout\": \"tiles16\"}",
                   i < 4 ? 16 : 70,
                   i % 3 == 0   ? 4
                   : i % 3 == 1 ? 8
                                : 3,
                   i % 2 == 0 ? 32 : 64, i % 2 == 0 ? "affine" : "symmetric", activations[i % 4]);
    shapes_add(text, "{\"op\": \"qmm\", \"M\": 7, \"N\": 37, \"K\": 256, \"bits\": 4, \"group_size\": 32, "
                     "\"activation_dtype\": \"i8\", \"layout\": \"tiles16\"}");
}

/* Every format whose rows are blocks. */
static void add_blocks(struct kgen_text *text)
{
    size_t formats = 0;
    for (size_t f = 0; f < kgen_format_count(); f++) {
        const struct kgen_format *format = kgen_format_at(f);
        if (format->block_values == 0)
            continue;
        char fields[96];
        snprintf(fields, sizeof fields, "\"K\": %d, \"scheme\": \"%s\", \"scale_dtype\": \"%s\"",
                 (int)format->block_values * 3, kgen_constant_name(format->scheme),
                 kgen_constant_name(format->scale_dtype));
        shapes_add(text, "{\"op\": \"qmv\", \"N\": 37, %s}", fields);
        shapes_add(text, "{\"op\": \"dequantize\", \"N\": 3, %s}", fields);
        shapes_add(text, "{\"op\": \"qmm\", \"M\": 9, \"N\": 37, %s}", fields);
        shapes_add(text, "{\"op\": \"qmm\", \"M\": 5, \"N\": 20, %s, \"activation_dtype\": \"i8\"}", fields);
        formats++;
    }
    assert_true(formats > 0);
}

static const char others[] =
    "{\"op\": \"rms_norm\", \"size\": 133, \"rows\": 3},\n"
    "{\"op\": \"rms_norm\", \"size\": 4097, \"rows\": 2, \"residual\": true, \"weight_plus_one\": true},\n"
    "{\"op\": \"rope\", \"heads\": 5, \"head_dim\": 128},\n"
    "{\"op\": \"rope\", \"heads\": 5, \"head_dim\": 80, \"rotary_dim\": 20, \"pairing\": \"interleaved\"},\n"
    "{\"op\": \"swiglu\", \"size\": 1003},\n"
    "{\"op\": \"softmax\", \"size\": 133, \"rows\": 3},\n"
    "{\"op\": \"softmax\", \"size\": 3, \"rows\": 3},\n"
    "{\"op\": \"attention_decode\", \"heads\": 9, \"kv_heads\": 1, \"head_dim\": 72, \"context\": 200, "
    "\"cache_dtype\": \"f16\"},\n"
    "{\"op\": \"attention_decode\", \"heads\": 3, \"kv_heads\": 3, \"head_dim\": 8, \"context\": 40, "
    "\"cache_dtype\": \"bf16\"},\n"
    "{\"op\": \"attention_prefill\", \"M\": 20, \"heads\": 6, \"kv_heads\": 2, \"head_dim\": 40, "
    "\"context\": 90, \"cache_dtype\": \"f16\"},\n"
    "{\"op\": \"attention_decode\", \"heads\": 6, \"kv_heads\": 2, \"head_dim\": 64, \"context\": 70, "
    "\"cache_dtype\": \"q8_0\"},\n"
    "{\"op\": \"attention_decode\", \"heads\": 2, \"kv_heads\": 1, \"head_dim\": 32, \"context\": 40, "
    "\"cache_dtype\": \"q4_0\"},\n"
    "{\"op\": \"attention_prefill\", \"M\": 9, \"heads\": 2, \"kv_heads\": 1, \"head_dim\": 64, "
    "\"context\": 40, \"cache_dtype\": \"q4_0\"},\n"
    "{\"op\": \"add\", \"size\": 1003},\n"
    "{\"op\": \"layer_norm\", \"rows\": 3, \"size\": 133}, {\"op\": \"layer_norm\", \"size\": 64, \"bias\": "
    "true},\n"
    "{\"op\": \"geglu\", \"size\": 77}, {\"op\": \"geglu\", \"size\": 77, \"exact\": true},\n"
    "{\"op\": \"clamped_swiglu\", \"size\": 77}, {\"op\": \"scale\", \"size\": 77, \"factor\": 3},\n"
    "{\"op\": \"softcap\", \"size\": 77},\n"
    "{\"op\": \"attention_decode\", \"heads\": 6, \"kv_heads\": 2, \"head_dim\": 72, \"context\": 90, "
    "\"window\": 21, \"softcap\": 3, \"sinks\": true},\n"
    "{\"op\": \"attention_prefill\", \"M\": 12, \"heads\": 6, \"kv_heads\": 2, \"head_dim\": 72, "
    "\"context\": 90, \"window\": 21, \"softcap\": 3, \"sinks\": true},\n"
    "{\"op\": \"attention_decode\", \"heads\": 2, \"kv_heads\": 1, \"head_dim\": 32, \"context\": 40, "
    "\"cache_dtype\": \"q8_0\", \"window\": 21},\n"
    "{\"op\": \"attention_decode\", \"heads\": 6, \"kv_heads\": 2, \"head_dim\": 40, \"context\": 90, "
    "\"cache_dtype\": \"f16\", \"window\": 53, \"page_size\": 48},\n"
    "{\"op\": \"attention_decode\", \"heads\": 2, \"kv_heads\": 1, \"head_dim\": 32, \"context\": 90, "
    "\"cache_dtype\": \"q4_0\", \"page_size\": 16},\n"
    "{\"op\": \"attention_prefill\", \"M\": 12, \"heads\": 2, \"kv_heads\": 1, \"head_dim\": 32, "
    "\"context\": 90, "
    "\"cache_dtype\": \"q8_0\", \"page_size\": 32},\n"
    "{\"op\": \"gather_qmv\", \"experts\": 5, \"experts_per_token\": 3, \"N\": 37, \"K\": 192, \"bits\": 4, "
    "\"group_size\": 64, \"activation_dtype\": \"i24\", \"layout\": \"tiles16\", \"x_per_expert\": true},\n"
    "{\"op\": \"gather_qmv\", \"experts\": 4, \"experts_per_token\": 2, \"N\": 9, \"K\": 288, \"bits\": 6, "
    "\"group_size\": 32, \"scheme\": \"symmetric\"},\n"
    "{\"op\": \"gather_qmv\", \"experts\": 3, \"experts_per_token\": 2, \"N\": 5, \"K\": 512, \"scheme\": "
    "\"q6_k\"},\n"
    "{\"op\": \"router\", \"rows\": 2, \"experts\": 37, \"experts_per_token\": 5},\n"
    "{\"op\": \"router\", \"experts\": 40, \"experts_per_token\": 18, \"scoring\": \"sigmoid\", "
    "\"normalised\": true},\n"
    "{\"op\": \"weighted_sum\", \"rows\": 3, \"size\": 77},\n"
    "{\"op\": \"gather_add\", \"experts\": 5, \"experts_per_token\": 3, \"size\": 77},\n"
    "{\"op\": \"scale_rows\", \"rows\": 3, \"size\": 77, \"experts\": 5},\n"
    "{\"op\": \"rms_norm\", \"rows\": 3, \"size\": 77, \"unweighted\": true},\n"
    "{\"op\": \"mla_decode\", \"heads\": 19, \"head_parts\": 2, \"kv_lora_rank\": 72, \"qk_rope_head_dim\": "
    "24, "
    "\"context\": 90, \"cache_dtype\": \"bf16\"},\n"
    "{\"op\": \"causal_conv1d\", \"channels\": 77}, {\"op\": \"causal_conv1d\", \"channels\": 20, "
    "\"kernel_size\": 3},\n"
    "{\"op\": \"gated_delta\", \"heads\": 6, \"key_heads\": 2, \"key_dim\": 24, \"value_dim\": 131},\n"
    "{\"op\": \"gated_rms_norm\", \"rows\": 3, \"size\": 133}, {\"op\": \"sigmoid_gate\", \"size\": 77}";

static size_t template_index(const struct suite *suite, const struct kgen_template *tmpl)
{
    size_t index = 0;
    while (kgen_templates_at(suite->templates, index) != tmpl)
        index++;
    assert_true(index < MAX_TEMPLATES);
    return index;
}

static size_t value_index(const struct kgen_param *param, int64_t value)
{
    size_t index = 0;
    while (param->values[index] != value)
        index++;
    return index;
}

/* Counts the values of parameters that a variant is the first to have, and notes them if asked to. */
static size_t news_of(struct suite *suite, const struct kgen_variant *variant, bool note)
{
    const size_t index = template_index(suite, variant->tmpl);
    size_t news = 0;
    for (size_t i = 0; i < kgen_template_param_count(variant->tmpl); i++) {
        if ((variant->unused >> i & 1) != 0)
            continue;
        const size_t value = value_index(kgen_template_param(variant->tmpl, i), variant->values[i]);
        news += !suite->has[index][i][value];
        suite->has[index][i][value] = suite->has[index][i][value] || note;
    }
    return news;
}

static void add_kernel(struct suite *suite, size_t entry, const struct kgen_variant *variant)
{
    assert_true(suite->count < MAX_KERNELS);
    suite->kernels[suite->count++] = (struct kernel){entry, *variant};
    news_of(suite, variant, true);
}

/* Of each template that solves a problem one variant, another each time; and all that have a value of a
 * parameter that no kernel has had yet. */
static void choose_kernels(struct suite *suite, size_t entry)
{
    struct kgen_error error = {0};
    struct kgen_variants variants = {0};
    kgen_variants_list(suite->templates, &suite->spec->entries[entry].problem, 1u << suite->isa, &variants,
                       &error);
    check(&error);
    if (variants.count == 0)
        fail_msg("no variant of problem %zu for %s", entry + 1, kgen_isa_info(suite->isa)->name);
    for (size_t begin = 0, end; begin < variants.count; begin = end) {
        const struct kgen_template *tmpl = variants.items[begin].tmpl;
        for (end = begin; end < variants.count && variants.items[end].tmpl == tmpl;)
            end++;
        const size_t one = begin + (entry * 31 + 5) % (end - begin);
        add_kernel(suite, entry, &variants.items[one]);
        for (size_t i = begin; i < end; i++) {
            if (news_of(suite, &variants.items[i], false) > 0)
                add_kernel(suite, entry, &variants.items[i]);
        }
    }
    kgen_variants_free(&variants);
}

/* Values that an instruction set has too few registers for. */
static bool is_beyond(const struct suite *suite, const char *tmpl, const char *param, int64_t value)
{
    return suite->isa == KGEN_ISA_AVX2 && value == 8 &&
           (((strcmp(tmpl, "qmm_tiles") == 0 || strcmp(tmpl, "qmm_blocks") == 0) &&
             strcmp(param, "rows_at_once") == 0) ||
            (strcmp(tmpl, "mla_decode") == 0 && strcmp(param, "heads_at_once") == 0) ||
            (strcmp(tmpl, "gated_delta") == 0 && strcmp(param, "unroll") == 0));
}

/* Every other value must have been met that there is. */
static void check_coverage(const struct suite *suite)
{
    size_t values = 0;
    for (size_t t = 0; t < kgen_templates_count(suite->templates); t++) {
        const struct kgen_template *tmpl = kgen_templates_at(suite->templates, t);
        if (kgen_template_op(tmpl) == NULL || (kgen_template_isas(tmpl) >> suite->isa & 1) == 0)
            continue;
        for (size_t i = 0; i < kgen_template_param_count(tmpl); i++) {
            const struct kgen_param *param = kgen_template_param(tmpl, i);
            for (size_t v = 0; v < param->count; v++, values++) {
                if (!suite->has[t][i][v] &&
                    !is_beyond(suite, kgen_template_name(tmpl), param->name, (int64_t)param->values[v]))
                    fail_msg("no problem of this test has a variant of %s for %s with %s=%lld",
                             kgen_template_name(tmpl), kgen_isa_info(suite->isa)->name, param->name,
                             (long long)param->values[v]);
            }
        }
    }
    assert_true(suite->isa == KGEN_ISA_GENERIC || values >= 20);
}

/* The text of all kernels, as it would be emitted. */
static void put_texts(const struct suite *suite, struct kgen_text *out)
{
    struct kgen_error error = {0};
    for (size_t i = 0; i < suite->count; i++) {
        const struct kernel *kernel = &suite->kernels[i];
        struct kgen_text text = {0};
        char name[24];
        snprintf(name, sizeof name, "k%zu", i);
        kgen_variant_text(&kernel->variant, &suite->spec->entries[kernel->entry].problem, name, &text,
                          &error);
        check(&error);
        kgen_emit_lay_out(text.data, text.length, out);
        kgen_signature_calls(&suite->spec->entries[kernel->entry].problem, name, out);
        kgen_text_free(&text);
    }
    assert_false(out->failed);
}

/* In the worker: proves a kernel as one compiler made it. */
static void job(size_t index, void *memory, struct kgen_worker *worker, void *context)
{
    struct suite *suite = context;
    struct kgen_verification *result = memory;
    const struct kernel *kernel = &suite->kernels[index / COMPILERS];
    const struct kgen_problem *problem = &suite->spec->entries[kernel->entry].problem;
    struct kgen_error error = {0};
    struct kgen_kernel callable;
    char name[24];
    snprintf(name, sizeof name, "k%zu", index / COMPILERS);
    kgen_worker_stage(worker, "verify", 120);
    if (suite->cases == NULL || suite->cases_entry != kernel->entry) {
        kgen_verify_cases_free(suite->cases);
        suite->cases = kgen_verify_cases_new(problem, SEED, &error);
        suite->cases_entry = kernel->entry;
    }
    const struct kgen_verify_options options = {
        .seed = SEED, .threads = THREADS, .guards = kgen_worker_guards(worker)};
    if (suite->cases == NULL ||
        kgen_kernel_find(problem, suite->codes[index % COMPILERS], name, &callable, &error) != 0 ||
        kgen_verify_with(suite->cases, &callable, &options, result, &error) != 0) {
        result->verdict = KGEN_WORKER_EXITED;
        kgen_error_format(&error, result->detail, sizeof result->detail);
    }
}

static int report(size_t index, const struct kgen_outcome *outcome, const void *memory, void *context)
{
    struct suite *suite = context;
    const struct kernel *kernel = &suite->kernels[index / COMPILERS];
    const struct kgen_verification result = shapes_verdict(outcome, memory);
    if (result.verdict == KGEN_PASSED) {
        suite->proven++;
        return 0;
    }
    shapes_fail(&suite->spec->entries[kernel->entry].problem, &kernel->variant, compilers[index % COMPILERS],
                SEED, &result);
    return 1;
}

static void open_suite(struct suite *suite, enum kgen_isa isa)
{
    struct kgen_text problems = {0};
    struct kgen_error error = {0};
    suite->isa = isa;
    add_matrices(&problems);
    add_rows(&problems);
    add_blocks(&problems);
    shapes_add(&problems, "%s", others);
    suite->spec = shapes_spec(&problems);
    suite->templates = kgen_templates_open(NULL, "c", &error);
    check(&error);
    for (size_t i = 0; i < suite->spec->count; i++)
        choose_kernels(suite, i);
    check_coverage(suite);
    kgen_text_free(&problems);
}

struct compilation {
    const char *compiler, *text;
    enum kgen_isa isa;
    struct kgen_code *code;
    struct kgen_error error;
};

static void *compile(void *context)
{
    struct compilation *compilation = context;
    const struct kgen_cc_options options = {.compiler = compilation->compiler, .flags = "-O1"};
    compilation->code = kgen_jit_compile(KGEN_ENGINE_CC, "kernels.c", compilation->text, compilation->isa,
                                         &options, &compilation->error);
    return NULL;
}

/* With all compilers at once. */
static void compile_all(struct suite *suite, const struct kgen_text *text)
{
    struct compilation compilations[COMPILERS];
    pthread_t threads[COMPILERS];
    for (size_t i = 0; i < COMPILERS; i++) {
        compilations[i] =
            (struct compilation){.compiler = compilers[i], .text = text->data, .isa = suite->isa};
        assert_int_equal(pthread_create(&threads[i], NULL, compile, &compilations[i]), 0);
    }
    for (size_t i = 0; i < COMPILERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        check(&compilations[i].error);
        suite->codes[i] = compilations[i].code;
    }
}

static void prove(enum kgen_isa isa)
{
    struct kgen_error error = {0};
    struct kgen_text text = {0};
    struct suite *suite = calloc(1, sizeof *suite);
    assert_non_null(suite);
    open_suite(suite, isa);
    put_texts(suite, &text);
    compile_all(suite, &text);
    const struct kgen_worker_options options = {.limit_seconds = 120};
    kgen_workers_run(&options, suite->count * COMPILERS, sizeof(struct kgen_verification), job, report, suite,
                     &error);
    check(&error);
    printf("%s: %zu kernels of %zu problems proven through %d compilers\n", kgen_isa_info(isa)->name,
           suite->count, suite->spec->count, COMPILERS);
    assert_true(suite->count >= suite->spec->count);
    assert_int_equal(suite->proven, suite->count * COMPILERS);
    for (size_t i = 0; i < COMPILERS; i++)
        kgen_code_free(suite->codes[i]);
    kgen_templates_free(suite->templates);
    kgen_spec_free(suite->spec);
    kgen_text_free(&text);
    free(suite);
}

static void prove_here(enum kgen_isa isa)
{
    shapes_need(isa);
    prove(isa);
}

static void generic(void **state)
{
    (void)state;
    prove_here(KGEN_ISA_GENERIC);
}

static void avx2(void **state)
{
    (void)state;
    prove_here(KGEN_ISA_AVX2);
}

static void avx512(void **state)
{
    (void)state;
    prove_here(KGEN_ISA_AVX512);
}

/* Elsewhere test_emit runs them in an emulator. */
static void neon(void **state)
{
    (void)state;
    prove_here(KGEN_ISA_NEON);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(generic), cmocka_unit_test(avx2),
                                       cmocka_unit_test(avx512), cmocka_unit_test(neon)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
