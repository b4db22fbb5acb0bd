/* SPDX-License-Identifier: MIT */
/* Which kernels an output has, what they are called, and which of them its public functions call first. */
#include "gen/base/file.h"
#include "gen/emit/internal.h"

#include "command_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

/* Three matrices of which two rows have the same form, and one that has another. */
static const char spec_text[] = "{\"kgen_schema\": 1, \"name\": \"m\", \"problems\": [\n"
                                "{\"op\": \"qmv\", \"N\": 48, \"K\": 256, \"bits\": 4, \"group_size\": 32},\n"
                                "{\"op\": \"qmv\", \"N\": 80, \"K\": 256, \"bits\": 4, \"group_size\": 32},\n"
                                "{\"op\": \"qmv\", \"N\": 48, \"K\": 512, \"bits\": 4, \"group_size\": 32},\n"
                                "{\"op\": \"add\", \"size\": 77}, {\"op\": \"add\", \"size\": 78}]}\n";

enum { X86 = 1u << KGEN_ISA_AVX512 | 1u << KGEN_ISA_AVX2 | 1u << KGEN_ISA_GENERIC };

/* The first two problems, which differ in N alone. */
static const char *const qmv_names[] = {"m_qmv_n48_k256_b4_g32_f16_f32", "m_qmv_n80_k256_b4_g32_f16_f32"};

static struct kgen_templates *templates;
static struct kgen_spec *spec;

static void check(const struct kgen_error *error)
{
    char text[1200];
    if (error->code != KGEN_ERROR_NONE)
        fail_msg("%s", kgen_error_format(error, text, sizeof text));
}

static struct kgen_variant variant_of(size_t entry, enum kgen_isa isa, size_t number)
{
    struct kgen_error error = {0};
    struct kgen_variants variants = {0};
    kgen_variants_list(templates, &spec->entries[entry].problem, 1u << isa, &variants, &error);
    check(&error);
    assert_true(number < variants.count);
    const struct kgen_variant variant = variants.items[number];
    kgen_variants_free(&variants);
    return variant;
}

/* Every problem's winner is a variant of this instruction set, for qmv number and for add the first. */
static void tune(struct kgen_variant *tuned, enum kgen_isa isa, size_t number)
{
    for (size_t i = 0; i < spec->count; i++)
        tuned[i] = variant_of(i, isa, i < 3 ? number : 0);
}

static struct kgen_emission *emit(const struct kgen_variant *tuned, unsigned machine_isas, unsigned isas)
{
    struct kgen_error error = {0};
    const struct kgen_emit_input input = {.spec = spec,
                                          .templates = templates,
                                          .tuned = tuned,
                                          .command = "kgen m.json",
                                          .machine = "a test",
                                          .machine_isas = machine_isas,
                                          .isas = isas};
    struct kgen_emission *emission = kgen_emission_new(&input, &error);
    check(&error);
    assert_non_null(emission);
    return emission;
}

/* The text of a file, or NULL where there is none of that name. */
static const char *file_of(const struct kgen_emission *emission, const char *name)
{
    for (size_t i = 0; i < emission->files->count; i++) {
        if (strcmp(emission->files->items[i].name.data, name) == 0)
            return emission->files->items[i].text.data;
    }
    return NULL;
}

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
        tune(tuned, cases[i].winner, 0);
        struct kgen_emission *emission = emit(tuned, cases[i].machine_isas, cases[i].isas);
        body_of(file_of(emission, "qmv.c"), qmv_names[0], body, sizeof body);
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
            if (!wanted && (call_of(body, isas[j]) != NULL || file_of(emission, file) != NULL))
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
    tune(tuned, KGEN_ISA_AVX2, 0);
    struct kgen_emission *emission = emit(tuned, X86, 0);
    const char *kernels = file_of(emission, "qmv_avx2.c");
    assert_int_equal(count_of(kernels, "\nKV_TARGET void m_qmv_k256_b4_g32_f16_f32_avx2("), 1);
    assert_int_equal(count_of(kernels, "\nKV_TARGET void m_qmv_k512_b4_g32_f16_f32_avx2("), 1);
    assert_null(strstr(kernels, "n48"));
    assert_null(strstr(kernels, "n80"));
    assert_int_equal(count_of(file_of(emission, "add_avx2.c"), "\nKV_TARGET void m_add_avx2("), 1);
    /* Each problem keeps its function; the second calls the first. */
    body_of(file_of(emission, "qmv.c"), qmv_names[0], body, sizeof body);
    assert_non_null(strstr(body, "m_qmv_k256_b4_g32_f16_f32_avx2("));
    body_of(file_of(emission, "qmv.c"), qmv_names[1], body, sizeof body);
    assert_non_null(strstr(body, "m_qmv_n48_k256_b4_g32_f16_f32("));
    assert_ptr_equal(kgen_emission_kernel(emission, 0, KGEN_ISA_AVX2),
                     kgen_emission_kernel(emission, 1, KGEN_ISA_AVX2));
    kgen_emission_free(emission);
}

static void different_winners_are_named_after_their_problems(void **state)
{
    (void)state;
    struct kgen_variant tuned[5];
    tune(tuned, KGEN_ISA_AVX2, 0);
    tuned[1] = variant_of(1, KGEN_ISA_AVX2, 1);
    struct kgen_emission *emission = emit(tuned, X86, 0);
    assert_string_equal(kgen_emission_kernel(emission, 0, KGEN_ISA_AVX2)->name.data,
                        "m_qmv_n48_k256_b4_g32_f16_f32_avx2");
    assert_string_equal(kgen_emission_kernel(emission, 1, KGEN_ISA_AVX2)->name.data,
                        "m_qmv_n80_k256_b4_g32_f16_f32_avx2");
    /* Of plain C there is still one. */
    assert_string_equal(kgen_emission_kernel(emission, 1, KGEN_ISA_GENERIC)->name.data,
                        "m_qmv_k256_b4_g32_f16_f32_generic");
    kgen_emission_free(emission);
}

static void stale_files_are_removed(void **state)
{
    (void)state;
    struct kgen_variant tuned[5];
    struct kgen_error error = {0};
    tune(tuned, KGEN_ISA_AVX2, 0);
    struct kgen_emission *all = emit(tuned, 0, 0), *one = emit(tuned, X86, 1u << KGEN_ISA_AVX2);
    kgen_emission_write(all, "stale", false, &error);
    check(&error);
    assert_true(kgen_test_exists("stale/qmv_avx512.c"));
    kgen_test_put_file("stale/add_avx512.c", "/* A user's own file. */\n");
    kgen_test_put_file("stale/rope.h", "/* Generated by kgen 0.0.1: kgen old.json. Do not edit. */\n");
    kgen_test_put_file("stale/rope.mk", "# Generated by kgen 0.0.1.\n");
    kgen_test_put_file("stale/notes.md", "Generated by kgen, says the author.\n");
    kgen_emission_write(one, "stale", false, &error);
    check(&error);
    assert_false(kgen_test_exists("stale/qmv_avx512.c"));
    assert_false(kgen_test_exists("stale/rope.h"));
    assert_false(kgen_test_exists("stale/rope.mk"));
    assert_true(kgen_test_exists("stale/add_avx512.c"));
    assert_true(kgen_test_exists("stale/notes.md"));
    assert_true(kgen_test_exists("stale/qmv_avx2.c"));
    kgen_emission_free(all);
    kgen_emission_free(one);
}

/* All the bytes of a folder, with the names. */
static struct kgen_text bytes_of(const char *folder)
{
    struct kgen_text text = {0};
    char command[256], block[4096];
    snprintf(command, sizeof command, "find %s -type f | sort | xargs tail -n +1", folder);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t length;
    while ((length = fread(block, 1, sizeof block, pipe)) > 0)
        kgen_text_append(&text, block, length);
    assert_int_equal(pclose(pipe), 0);
    assert_true(text.length > 0);
    return text;
}

/* What kgen did not write stays, and then nothing is written at all. */
static void files_of_others_stay(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool always; /* every output of the spec has it, so that it is found before the tuning */
    } cases[] = {{"qmv.h", true},         {"add.c", true},         {"Makefile", true},   {"main.c", true},
                 {"kgen_vector.h", true}, {"qmv_avx512.c", false}, {"add_avx2.c", false}};
    struct kgen_variant tuned[5];
    tune(tuned, KGEN_ISA_AVX2, 0);
    struct kgen_emission *all = emit(tuned, 0, 0);
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        char folder[64], path[128];
        struct kgen_error early = {0}, late = {0}, error = {0};
        snprintf(folder, sizeof folder, "others%zu", i);
        snprintf(path, sizeof path, "%s/%s", folder, cases[i].name);
        assert_int_equal(mkdir(folder, 0777), 0);
        assert_int_equal(kgen_emit_check_folder(spec, folder, &error), 0);
        kgen_test_put_file(path, "/* A user's own file. Generated by kgen it is not. */\n");
        struct kgen_text before = bytes_of(folder);
        assert_int_equal(kgen_emit_check_folder(spec, folder, &early), cases[i].always ? -1 : 0);
        assert_int_equal(kgen_emission_write(all, folder, false, &late), -1);
        assert_int_equal(late.code, KGEN_ERROR_IO);
        assert_non_null(strstr(late.message, cases[i].name));
        struct kgen_text after = bytes_of(folder);
        assert_string_equal(before.data, after.data);
        kgen_emission_write(all, folder, true, &error);
        check(&error);
        assert_int_equal(kgen_emit_check_folder(spec, folder, &error), 0);
        kgen_text_free(&before);
        kgen_text_free(&after);
    }
    kgen_emission_free(all);
}

/* A folder stands where a file should be. The files before it are not written either. */
static void all_or_nothing(void **state)
{
    (void)state;
    struct kgen_variant tuned[5];
    struct kgen_error error = {0};
    tune(tuned, KGEN_ISA_AVX2, 0);
    struct kgen_emission *all = emit(tuned, 0, 0);
    assert_int_equal(mkdir("half", 0777), 0);
    assert_int_equal(mkdir("half/Makefile", 0777), 0);
    assert_int_equal(kgen_emission_write(all, "half", true, &error), -1);
    assert_non_null(strstr(error.message, "Makefile"));
    assert_int_equal(system("test \"$(ls -A half)\" = Makefile"), 0);
    kgen_emission_free(all);
}

static void the_command_refuses_before_it_tunes(void **state)
{
    (void)state;
    kgen_test_put_file("mine.json", "{\"problems\": [{\"op\": \"add\", \"size\": 64}]}\n");
    assert_int_equal(mkdir("own", 0777), 0);
    kgen_test_put_file("own/add.c", "int mine;\n");
    kgen_test_expect("mine.json --effort estimate --cache refused -o own", 2, NULL,
                     "a file that kgen did not write is in the way: add.c");
    assert_false(kgen_test_exists("refused"));
    assert_false(kgen_test_exists("own/add.h"));
    kgen_test_expect("mine.json --effort estimate --cache refused -o own --force", 0, "written to own/",
                     NULL);
    kgen_test_expect("mine.json --effort estimate --cache refused -o own", 0, "written to own/", NULL);
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
    kgen_test_put_file("m.json", spec_text);
    kgen_test_expect("m.json --isa avx2 --effort estimate -o only", 0, NULL, NULL);
    assert_true(kgen_test_exists("only/qmv_avx2.c"));
    assert_false(kgen_test_exists("only/qmv_avx512.c"));
    assert_false(kgen_test_exists("only/qmv_neon.c"));
    kgen_file_read("only/qmv.c", 1 << 22, &text, &error);
    check(&error);
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
    struct kgen_spec *const small = spec;
    for (size_t i = 0; i < KGEN_COUNT_OF(names); i++) {
        struct kgen_text path = {0};
        struct kgen_error error = {0};
        kgen_text_printf(&path, "%s/specs/%s.json", kgen_test_source, names[i]);
        spec = kgen_spec_read(path.data, NULL, &error);
        check(&error);
        struct kgen_variant *tuned = calloc(spec->count, sizeof *tuned);
        assert_non_null(tuned);
        for (size_t turn = 0; turn < 4; turn++) {
            static const enum kgen_isa isas[] = {KGEN_ISA_AVX512, KGEN_ISA_AVX2, KGEN_ISA_NEON};
            for (size_t entry = 0; turn > 0 && entry < spec->count; entry++) {
                struct kgen_variants variants = {0};
                const enum kgen_isa isa = isas[(entry + turn) % KGEN_COUNT_OF(isas)];
                kgen_variants_list(templates, &spec->entries[entry].problem, 1u << isa, &variants, &error);
                check(&error);
                tuned[entry] = variants.items[(entry * 13 + turn * 29) % variants.count];
                kgen_variants_free(&variants);
            }
            struct kgen_emission *emission = emit(tuned, 0, 0);
            assert_true(check_lines(names[i], emission) > 3000);
            kgen_emission_free(emission);
        }
        free(tuned);
        kgen_spec_free(spec);
        kgen_text_free(&path);
    }
    spec = small;
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

static int set_up(void **state)
{
    (void)state;
    struct kgen_error error = {0};
    if (kgen_test_command_setup() != 0)
        return -1;
    templates = kgen_templates_open(NULL, "c", &error);
    check(&error);
    spec = kgen_spec_parse("m.json", spec_text, strlen(spec_text), NULL, &error);
    check(&error);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kgen_spec_free(spec);
    kgen_templates_free(templates);
    return kgen_test_command_teardown();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_winner_comes_first),
        cmocka_unit_test(equal_kernels_are_written_once),
        cmocka_unit_test(different_winners_are_named_after_their_problems),
        cmocka_unit_test(stale_files_are_removed),
        cmocka_unit_test(files_of_others_stay),
        cmocka_unit_test(all_or_nothing),
        cmocka_unit_test(the_command_refuses_before_it_tunes),
        cmocka_unit_test(the_command_writes_the_isa_that_was_asked_for),
        cmocka_unit_test(text_is_laid_out),
        cmocka_unit_test(lines_are_short),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
