/* SPDX-License-Identifier: MIT */
/* Which kernels an output has, what they are called, and which of them its public functions call first. */
#include "gen/base/file.h"
#include "gen/emit/internal.h"

#include "emit_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

/* The first two problems, which differ in N alone. */
static const char *const qmv_names[] = {"m_qmv_n48_k256_b4_g32_f16_f32", "m_qmv_n80_k256_b4_g32_f16_f32"};

/* Copies the body of the function that the text defines as "void NAME(". */
static void body_of(const char *text, const char *name, char *body, size_t size)
{
    char start[160];
    snprintf(start, sizeof start, "\nvoid %s(", name);
    const char *at = strstr(text, start);
    if (at == NULL)
        fail_msg("no function %s", name);
    const char *end = strstr(at, "\n}\n");
    assert_non_null(end);
    snprintf(body, size, "%.*s", (int)(end - at), at);
}

/* Where the kernel for an instruction set is called in a body; NULL: nowhere. */
static const char *call_of(const char *body, const char *isa)
{
    char call[32];
    snprintf(call, sizeof call, "_%s(", isa);
    return strstr(body, call);
}

static void the_winner_comes_first(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        enum kgen_isa winner;
        unsigned machine_isas, isas;
        const char *order[5]; /* of the calls; others must not be made */
    } cases[] = {
        {"AVX-512 won", KGEN_ISA_AVX512, X86, 0, {"avx512", "avx2", "neon", "generic"}},
        {"AVX2 won on a machine with AVX-512", KGEN_ISA_AVX2, X86, 0, {"avx2", "neon", "generic"}},
        {"AVX2 won, as there is no AVX-512",
         KGEN_ISA_AVX2,
         X86 & ~(1u << KGEN_ISA_AVX512),
         0,
         {"avx512", "avx2", "neon", "generic"}},
        {"plain C won", KGEN_ISA_GENERIC, X86, 0, {"neon", "generic"}},
        {"only AVX2 is wanted", KGEN_ISA_AVX2, X86, 1u << KGEN_ISA_AVX2, {"avx2", "generic"}},
        {"only plain C is wanted", KGEN_ISA_GENERIC, X86, 1u << KGEN_ISA_GENERIC, {"generic"}},
        {"NEON won", KGEN_ISA_NEON, 1u << KGEN_ISA_NEON, 0, {"avx512", "avx2", "neon", "generic"}},
    };
    static const char *const isas[] = {"avx512", "avx2", "neon", "generic"};
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_variant tuned[5];
        char body[4000];
        emit_tune(tuned, cases[i].winner, 0);
        struct kgen_emission *emission = emit_new(tuned, cases[i].machine_isas, cases[i].isas);
        body_of(emit_file(emission, "qmv.c"), qmv_names[0], body, sizeof body);
        const char *last = body;
        for (size_t j = 0; cases[i].order[j] != NULL; j++) {
            const char *call = call_of(body, cases[i].order[j]);
            if (call == NULL || call < last)
                fail_msg("%s: %s is not called, or too early, in%s", cases[i].what, cases[i].order[j], body);
            last = call;
        }
        for (size_t j = 0; j < KGEN_COUNT_OF(isas); j++) {
            bool wanted = false;
            for (size_t k = 0; cases[i].order[k] != NULL; k++)
                wanted = wanted || strcmp(cases[i].order[k], isas[j]) == 0;
            char file[32];
            snprintf(file, sizeof file, "qmv_%s.c", isas[j]);
            if (!wanted && (call_of(body, isas[j]) != NULL || emit_file(emission, file) != NULL))
                fail_msg("%s: there is code for %s", cases[i].what, isas[j]);
        }
        kgen_emission_free(emission);
    }
}

static size_t count_of(const char *text, const char *what)
{
    size_t count = 0;
    for (; (text = strstr(text, what)) != NULL; text++)
        count++;
    return count;
}

static void equal_kernels_are_written_once(void **state)
{
    (void)state;
    struct kgen_variant tuned[5];
    char body[4000];
    emit_tune(tuned, KGEN_ISA_AVX2, 0);
    for (size_t i = 0; i < emit_spec->count; i++)
        emit_spec->entries[i].problem.threads = i == 0 ? 6 : 1;
    struct kgen_emission *emission = emit_new(tuned, X86, 0);
    const char *kernels = emit_file(emission, "qmv_avx2.c");
    assert_int_equal(count_of(kernels, "\nKV_TARGET void m_qmv_k256_b4_g32_f16_f32_avx2("), 1);
    assert_int_equal(count_of(kernels, "\nKV_TARGET void m_qmv_k512_b4_g32_f16_f32_avx2("), 1);
    assert_non_null(strstr(kernels, "chosen on a test for 6 threads"));
    assert_null(strstr(kernels, "n48"));
    assert_null(strstr(kernels, "n80"));
    assert_int_equal(count_of(emit_file(emission, "add_avx2.c"), "\nKV_TARGET void m_add_avx2("), 1);
    /* Each problem keeps its function; the second calls the first. */
    body_of(emit_file(emission, "qmv.c"), qmv_names[0], body, sizeof body);
    assert_non_null(strstr(body, "m_qmv_k256_b4_g32_f16_f32_avx2("));
    body_of(emit_file(emission, "qmv.c"), qmv_names[1], body, sizeof body);
    assert_non_null(strstr(body, "m_qmv_n48_k256_b4_g32_f16_f32("));
    assert_ptr_equal(kgen_emission_kernel(emission, 0, KGEN_ISA_AVX2),
                     kgen_emission_kernel(emission, 1, KGEN_ISA_AVX2));
    kgen_emission_free(emission);
}

static void different_winners_are_named_after_their_problems(void **state)
{
    (void)state;
    struct kgen_variant tuned[5];
    emit_tune(tuned, KGEN_ISA_AVX2, 0);
    tuned[1] = emit_variant(1, KGEN_ISA_AVX2, 1);
    struct kgen_emission *emission = emit_new(tuned, X86, 0);
    assert_string_equal(kgen_emission_kernel(emission, 0, KGEN_ISA_AVX2)->name.data,
                        "m_qmv_n48_k256_b4_g32_f16_f32_avx2");
    assert_string_equal(kgen_emission_kernel(emission, 1, KGEN_ISA_AVX2)->name.data,
                        "m_qmv_n80_k256_b4_g32_f16_f32_avx2");
    /* Of plain C there is still one. */
    assert_string_equal(kgen_emission_kernel(emission, 1, KGEN_ISA_GENERIC)->name.data,
                        "m_qmv_k256_b4_g32_f16_f32_generic");
    kgen_emission_free(emission);
}

/* The names that a spec's tensors give to functions. */
static void functions_are_named_by_tensors(void **state)
{
    (void)state;
    static const char text[] =
        "{\"name\": \"t\", \"problems\": [\n"
        "{\"op\": \"qmv\", \"N\": 48, \"K\": 256, \"bits\": 4, \"group_size\": 32, \"activation_dtype\": "
        "[\"f32\", "
        "\"i8\"], \"tensors\": \"layers.*.mlp.{gate,up}_proj, lm_head (embed_tokens)\"},\n"
        "{\"op\": \"qmv\", \"N\": 80, \"K\": 256, \"bits\": 4, \"group_size\": 32, \"tensors\": "
        "\"layers.0-3,5.mlp.down_proj\"},\n"
        "{\"op\": \"add\", \"size\": 7, \"tensors\": \"add_n8\"}, {\"op\": \"add\", \"size\": 8, "
        "\"tensors\": \"twice\"},\n"
        "{\"op\": \"add\", \"size\": 9, \"tensors\": \"twice\"}]}\n";
    static const char *const defined[] = {
        "#define t_layers_mlp_gate_up_proj t_qmv_n48_k256_b4_g32_f16_f32\n",
        "#define t_layers_mlp_gate_up_proj_i8 t_qmv_n48_k256_b4_g32_f16_i8\n",
        "#define t_lm_head t_qmv_n48_k256_b4_g32_f16_f32\n",
        "#define t_layers_0to3_5_mlp_down_proj t_qmv_n80_k256_b4_g32_f16_f32\n",
        "#define t_lm_head_i8_prepare t_qmv_n48_k256_b4_g32_f16_i8_prepare\n",
    };
    struct kgen_spec *const usual = emit_spec;
    struct kgen_error error = {0};
    emit_spec = kgen_spec_parse("t.json", text, strlen(text), NULL, &error);
    emit_check(&error);
    struct kgen_variant tuned[6] = {{0}};
    struct kgen_emission *emission = emit_new(tuned, 0, 0);
    const char *header = emit_file(emission, "tensors.h");
    assert_non_null(header);
    for (size_t i = 0; i < KGEN_COUNT_OF(defined); i++) {
        if (strstr(header, defined[i]) == NULL)
            fail_msg("tensors.h lacks %s", defined[i]);
    }
    assert_null(strstr(header, "twice"));           /* it means two functions */
    assert_null(strstr(header, "define t_add_n8")); /* it is the name of another one */
    kgen_emission_write(emission, "named", false, &error);
    emit_check(&error);
    if (system("cd named && cc -std=c11 -Wall -Wextra -c tensors.h -o tensors.o") != 0)
        fail_msg("tensors.h does not compile");
    kgen_emission_free(emission);
    kgen_spec_free(emit_spec);
    emit_spec = usual;
    emission = emit_new(tuned, 0, 0);
    assert_null(emit_file(emission, "tensors.h")); /* the usual spec names none */
    kgen_emission_free(emission);
}

/* What the command writes with --isa. */
static void the_command_writes_the_isa_that_was_asked_for(void **state)
{
    (void)state;
    struct kgen_text text = {0};
    struct kgen_error error = {0};
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
        printf("skipped: this machine lacks AVX2\n");
        skip();
    }
#else
    printf("skipped: this machine lacks AVX2\n");
    skip();
#endif
    kgen_test_put_file("m.json", emit_spec_text);
    kgen_test_expect("m.json --isa avx2 --effort estimate -o only", 0, NULL, NULL);
    assert_true(kgen_test_exists("only/qmv_avx2.c"));
    assert_false(kgen_test_exists("only/qmv_avx512.c"));
    assert_false(kgen_test_exists("only/qmv_neon.c"));
    kgen_file_read("only/qmv.c", 1 << 22, &text, &error);
    emit_check(&error);
    assert_non_null(strstr(text.data, "_avx2("));
    assert_null(strstr(text.data, "avx512"));
    kgen_text_free(&text);
}

/* Looks at every line of an output. Returns their number. */
static size_t check_lines(const char *spec_name, const struct kgen_emission *emission)
{
    size_t lines = 0;
    for (size_t i = 0; i < emission->files->count; i++) {
        const struct kgen_emit_file *file = &emission->files->items[i];
        for (const char *line = file->text.data; *line != '\0'; lines++) {
            const size_t length = strcspn(line, "\n");
            const char *zero = strstr(line, " + 0");
            if (length > KGEN_EMIT_WIDTH)
                fail_msg("%s: %s has a line of %zu characters: %.*s", spec_name, file->name.data, length,
                         (int)length, line);
            if (zero != NULL && zero < line + length && strchr(".x", zero[4]) == NULL)
                fail_msg("%s: %s adds 0: %.*s", spec_name, file->name.data, (int)length, line);
            if (length > 0 && line[length - 1] == ' ')
                fail_msg("%s: %s ends a line with a blank: %.*s", spec_name, file->name.data, (int)length,
                         line);
            line += length + (line[length] == '\n');
        }
    }
    return lines;
}

/* Every spec that ships, with the first variants and with some of each template. */
static void lines_are_short(void **state)
{
    (void)state;
    static const char *const names[] = {"qwen", "qwen3-0.6b", "llama-3.1-8b", "bonsai-8b"};
    struct kgen_spec *const small = emit_spec;
    for (size_t i = 0; i < KGEN_COUNT_OF(names); i++) {
        struct kgen_text path = {0};
        struct kgen_error error = {0};
        kgen_text_printf(&path, "%s/specs/%s.json", kgen_test_source, names[i]);
        emit_spec = kgen_spec_read(path.data, NULL, &error);
        emit_check(&error);
        struct kgen_variant *tuned = calloc(emit_spec->count, sizeof *tuned);
        assert_non_null(tuned);
        for (size_t turn = 0; turn < 4; turn++) {
            static const enum kgen_isa isas[] = {KGEN_ISA_AVX512, KGEN_ISA_AVX2, KGEN_ISA_NEON};
            for (size_t entry = 0; turn > 0 && entry < emit_spec->count; entry++) {
                struct kgen_variants variants = {0};
                const enum kgen_isa isa = isas[(entry + turn) % KGEN_COUNT_OF(isas)];
                kgen_variants_list(emit_templates, &emit_spec->entries[entry].problem, 1u << isa, &variants,
                                   &error);
                emit_check(&error);
                tuned[entry] = variants.items[(entry * 13 + turn * 29) % variants.count];
                kgen_variants_free(&variants);
            }
            struct kgen_emission *emission = emit_new(tuned, 0, 0);
            assert_true(check_lines(names[i], emission) > 3000);
            kgen_emission_free(emission);
        }
        free(tuned);
        kgen_spec_free(emit_spec);
        kgen_text_free(&path);
    }
    emit_spec = small;
}

static void text_is_laid_out(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"    a = f(x + 0, y + 0);\n", "    a = f(x, y);\n"},
        {"    a = x + 0 * y + 0x10 + 0.5f;\n", "    a = x + 0 * y + 0x10 + 0.5f;\n"},
        {"void f(int a,\n              int b)\n{\n}\n", "void f(int a, int b)\n{\n}\n"},
        {"int aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa(int bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb, int "
         "cccccccccccccccccccccccccccccccccccccccccccccccc,\n  int d);\n",
         "int aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa(int bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb,\n"
         "                                    int cccccccccccccccccccccccccccccccccccccccccccccccc, int "
         "d);\n"},
        {"/* aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa "
         "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb */\n",
         "/* aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
         " * bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb */\n"},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_text out = {0};
        kgen_emit_lay_out(cases[i][0], strlen(cases[i][0]), &out);
        assert_string_equal(out.data, cases[i][1]);
        kgen_text_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_winner_comes_first),
        cmocka_unit_test(equal_kernels_are_written_once),
        cmocka_unit_test(different_winners_are_named_after_their_problems),
        cmocka_unit_test(functions_are_named_by_tensors),
        cmocka_unit_test(the_command_writes_the_isa_that_was_asked_for),
        cmocka_unit_test(text_is_laid_out),
        cmocka_unit_test(lines_are_short),
    };
    return cmocka_run_group_tests(tests, emit_set_up, emit_tear_down);
}
