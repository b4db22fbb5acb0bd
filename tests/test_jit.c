/* SPDX-License-Identifier: MIT */
/* The engines: from text to addresses, and what they say of text that is wrong. */
#include "gen/target/lower/lower.h"
#include "runtime/jit/jit.h"
#include "runtime/machine/machine.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* libtcc loses a few bytes of a text that it refuses. LeakSanitizer asks for this by name. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:tcc_realloc";
}

typedef int int_function(int);

static struct kgen_code *compile(enum kgen_engine engine, const char *text,
                                 const struct kgen_cc_options *options)
{
    struct kgen_error error = {0};
    struct kgen_code *code = kgen_jit_compile(engine, "t.c", text, KGEN_ISA_GENERIC, options, &error);
    if (code == NULL)
        fail_msg("%d: %s", error.line, error.message);
    return code;
}

static int call(const struct kgen_code *code, const char *name, int argument)
{
    int_function *function;
    void *symbol = kgen_code_symbol(code, name);
    assert_non_null(symbol);
    memcpy(&function, &symbol, sizeof function);
    return function(argument);
}

static void test_symbols(void **state)
{
    (void)state;
    for (int engine = KGEN_ENGINE_TCC; engine <= KGEN_ENGINE_CC; engine++) {
        struct kgen_code *one =
            compile((enum kgen_engine)engine, "int f(int a) { return a + 1; }\nint v = 7;", NULL);
        struct kgen_code *two = compile((enum kgen_engine)engine, "int f(int a) { return a + 2; }", NULL);
        assert_int_equal(call(one, "f", 1), 2);
        assert_int_equal(call(two, "f", 1), 3);
        assert_int_equal(*(int *)kgen_code_symbol(one, "v"), 7);
        assert_null(kgen_code_symbol(one, "g"));
        kgen_code_free(one);
        assert_int_equal(call(two, "f", 2), 4);
        kgen_code_free(two);
    }
    kgen_code_free(NULL);
}

/* What TinyCC's code needs of a C library comes from the engine. */
static void test_tcc_has_what_it_needs(void **state)
{
    (void)state;
    static const char text[] =
        "struct big { char bytes[200]; };\n"
        "int copies(int n) { struct big a = {{1, 2, 3}}, b = a; char c[8] = {0}; memmove(b.bytes + 1, "
        "b.bytes, 100);\n"
        "    memmove(b.bytes, b.bytes + 1, 3); return b.bytes[0] * 1000 + b.bytes[1] * 100 + b.bytes[2] * 10 "
        "+ b.bytes[3] "
        "+ c[7]; }\n"
        "int conversions(int n) { uint64_t u = (uint64_t)n << 62; double d = (double)u; float f = (float)u;\n"
        "    return (uint64_t)d == u && (uint64_t)f == u && d == 4611686018427387904.0 * n; }\n"
        "int roots(int n) { return (int)sqrtf((float)n) * 100 + (int)sqrt((double)n); }\n"
        "int waves(int n) { return cos(0.0) == 1.0 && sin(0.0) == 0.0 && cosf(0.0f) == 1.0f && sinf(0.0f) == "
        "0.0f &&\n"
        "    exp(0.0) == 1.0 && expf(0.0f) == 1.0f && fmaf(2.0f, 3.0f, 4.0f) == 10.0f && fabsf(-1.0f) == "
        "1.0f &&\n"
        "    rintf(2.5f) == 2.0f; }\n";
    struct kgen_code *code = compile(KGEN_ENGINE_TCC, text, NULL);
    assert_int_equal(call(code, "copies", 0), 1233);
    assert_int_equal(call(code, "conversions", 2), 1);
    assert_int_equal(call(code, "conversions", 3), 1);
    assert_int_equal(call(code, "roots", 49), 707);
    assert_int_equal(call(code, "waves", 0), 1);
    kgen_code_free(code);
}

static void test_errors_have_places(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int line;
        const char *message;
    } cases[] = {
        {"int f(int a)\n{\n    return b;\n}\n", 3, "b"},
        {"int f(int a)\n{\n    return a\n}\n", 3, ""},
        {"#error by hand\n", 1, "by hand"},
    };
    for (int engine = KGEN_ENGINE_TCC; engine <= KGEN_ENGINE_CC; engine++) {
        for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
            struct kgen_error error = {0};
            assert_null(kgen_jit_compile((enum kgen_engine)engine, "some/t.c", cases[i].text,
                                         KGEN_ISA_GENERIC, NULL, &error));
            assert_int_equal(error.code, KGEN_ERROR_COMPILE);
            assert_string_equal(error.source, "some/t.c");
            assert_in_range(error.line, cases[i].line, cases[i].line + 1);
            if (strstr(error.message, cases[i].message) == NULL)
                fail_msg("%s", error.message);
        }
        struct kgen_error error = {0};
        assert_null(kgen_jit_compile((enum kgen_engine)engine, "t.c",
                                     "int g(int);\nint f(int a) { return g(a); }", KGEN_ISA_GENERIC, NULL,
                                     &error));
        assert_int_equal(error.code, KGEN_ERROR_COMPILE);
        assert_non_null(strstr(error.message, "g"));
    }
}

/* A literal offset that the lowering turned into bytes has its element size checked by TinyCC. */
static void test_offsets_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool right;
    } cases[] = {
        {"void f(float *x) { kv_store(x + 4, kv_zero()); }", true},
        {"void f(int *x) { kv_store_int(x, kv_zero_int()); }", true},
        {"void f(int *x) { kv_store_int(x + 4, kv_zero_int()); }", false},
        {"void f(int *x) { kv_store_int((uint8_t *)x + 4, kv_zero_int()); }", true},
        {"void f(uint8_t *x) { kv_store(x + 4, kv_zero()); }", false},
        {"void f(uint8_t *x, float *y) { kv_store(y, kv_load_f16(x + 2)); }", false},
        {"void f(double *x) { kv_prefetch(x + 64); }", false},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_error error = {0};
        struct kgen_code *code =
            kgen_jit_compile(KGEN_ENGINE_TCC, "t.c", cases[i].text, KGEN_ISA_AVX2, NULL, &error);
        if ((code != NULL) != cases[i].right)
            fail_msg("%s: %s", cases[i].text, error.message);
        kgen_code_free(code);
    }
}

/* Statements that C takes for one stay one, whatever becomes of them. */
static void test_statements_without_braces(void **state)
{
    (void)state;
    static const char text[] = "static float out[96];\n"
                               "KV_TARGET int f(int n)\n{\n"
                               "    memset(out, 0, sizeof out);\n"
                               "    if (n > 1)\n"
                               "        kv_store(out + 16, kv_set(1.0f));\n"
                               "    else if (n > 0)\n"
                               "        kv_store(&out[32] + 8, kv_set(1.0f));\n"
                               "    else\n"
                               "        kv_store(out + 64, kv_set(1.0f));\n"
                               "    switch (n) {\n"
                               "    case 1: kv_store(out + 80, kv_set(1.0f)); break;\n"
                               "    default: kv_store(out + 88, kv_set(1.0f));\n"
                               "    }\n"
                               "    for (int i = 0; i < n; i++)\n"
                               "        kv_store(out + 8, kv_add(kv_load(out + 8), kv_set(2.0f)));\n"
                               "    int32_t sum = 0;\n"
                               "    for (int i = 0; i < 12; i++)\n"
                               "        sum = sum * 3 + (int)out[8 * i];\n"
                               "    return sum;\n"
                               "}\n";
    struct kgen_machine machine;
    kgen_machine_detect(&machine);
    if ((machine.isas & 1u << KGEN_ISA_AVX2) == 0) {
        print_message("skipped: this machine has no AVX2\n");
        skip();
    }
    int results[2][4];
    for (int engine = KGEN_ENGINE_TCC; engine <= KGEN_ENGINE_CC; engine++) {
        struct kgen_error error = {0};
        struct kgen_code *code =
            kgen_jit_compile((enum kgen_engine)engine, "t.c", text, KGEN_ISA_AVX2, NULL, &error);
        if (code == NULL)
            fail_msg("%d: %s", error.line, error.message);
        for (int n = 0; n < 4; n++)
            results[engine][n] = call(code, "f", n);
        kgen_code_free(code);
    }
    assert_memory_equal(results[0], results[1], sizeof results[0]);
}

static void test_compiler_is_missing_or_fails(void **state)
{
    (void)state;
    static const struct {
        struct kgen_cc_options options;
        const char *message;
    } cases[] = {
        {{.compiler = "/no/such/compiler"}, "cannot run /no/such/compiler"},
        {{.compiler = "false"}, "refused"},
        {{.compiler = " "}, "no name"},
        {{.flags = "-no-such-flag"}, "no-such-flag"},
        {{.flags = "; touch /tmp/kgen-injected"}, "refused"},
        {{.flags = "-O1", .folder = "/dev/null/folder"}, ""},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_error error = {0};
        assert_null(
            kgen_jit_compile(KGEN_ENGINE_CC, "t.c", "int f;", KGEN_ISA_GENERIC, &cases[i].options, &error));
        assert_int_not_equal(error.code, KGEN_ERROR_NONE);
        if (strstr(error.message, cases[i].message) == NULL)
            fail_msg("%zu: %s", i, error.message);
    }
    assert_int_not_equal(access("/tmp/kgen-injected", F_OK), 0);
}

/* Counts the files of a folder; the last one's path is put in path. */
static size_t list(const char *folder, char *path, size_t size)
{
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, size, "%s/%s", folder, entry->d_name);
        count++;
    }
    closedir(directory);
    return count;
}

static void test_objects_are_kept(void **state)
{
    (void)state;
    char folder[] = "/tmp/kgen-objects-XXXXXX", path[600];
    assert_non_null(mkdtemp(folder));
    struct kgen_cc_options options = {.flags = "-O1", .folder = folder};
    kgen_code_free(compile(KGEN_ENGINE_CC, "int f(int a) { return a + 1; }", &options));
    assert_int_equal(list(folder, path, sizeof path), 1);
    struct stat first, second;
    assert_int_equal(stat(path, &first), 0);
    struct kgen_code *code = compile(KGEN_ENGINE_CC, "int f(int a) { return a + 1; }", &options);
    assert_int_equal(call(code, "f", 1), 2);
    kgen_code_free(code);
    assert_int_equal(stat(path, &second), 0);
    assert_true(first.st_ino == second.st_ino && first.st_mtim.tv_nsec == second.st_mtim.tv_nsec);
    /* One that was cut short is compiled again. */
    assert_int_equal(truncate(path, 100), 0);
    code = compile(KGEN_ENGINE_CC, "int f(int a) { return a + 1; }", &options);
    assert_int_equal(call(code, "f", 1), 2);
    kgen_code_free(code);
    assert_int_equal(list(folder, path, sizeof path), 1);
    unlink(path);
    /* Other text and other flags are other objects. */
    kgen_code_free(compile(KGEN_ENGINE_CC, "int f(int a) { return a + 1; }", &options));
    kgen_code_free(compile(KGEN_ENGINE_CC, "int f(int a) { return a + 3; }", &options));
    options.flags = "-O2";
    kgen_code_free(compile(KGEN_ENGINE_CC, "int f(int a) { return a + 1; }", &options));
    assert_int_equal(list(folder, path, sizeof path), 3);
    while (list(folder, path, sizeof path) > 0)
        unlink(path);
    assert_int_equal(rmdir(folder), 0);
}

static void test_names(void **state)
{
    (void)state;
    enum kgen_engine engine;
    assert_int_equal(kgen_engine_parse("tcc", &engine), 0);
    assert_int_equal(engine, KGEN_ENGINE_TCC);
    assert_int_equal(kgen_engine_parse("cc", &engine), 0);
    assert_string_equal(kgen_engine_name(engine), "cc");
    assert_int_equal(kgen_engine_parse("gcc", &engine), -1);
    struct kgen_text text = {0};
    struct kgen_error error = {0};
    char lowering[32];
    assert_int_equal(kgen_engine_describe(KGEN_ENGINE_TCC, NULL, &text, &error), 0);
    snprintf(lowering, sizeof lowering, " lowering %d", KGEN_LOWER_VERSION);
    assert_non_null(strstr(text.data, "tcc 0."));
    assert_non_null(strstr(text.data, lowering));
    kgen_text_clear(&text);
    struct kgen_cc_options options = {.compiler = "gcc", .flags = "-O1 -g"};
    assert_int_equal(kgen_engine_describe(KGEN_ENGINE_CC, &options, &text, &error), 0);
    assert_memory_equal(text.data, "gcc (", 5);
    assert_string_equal(text.data + text.length - 7, " -O1 -g");
    assert_null(strchr(text.data, '\n'));
    kgen_text_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_symbols),
        cmocka_unit_test(test_tcc_has_what_it_needs),
        cmocka_unit_test(test_errors_have_places),
        cmocka_unit_test(test_offsets_are_checked),
        cmocka_unit_test(test_statements_without_braces),
        cmocka_unit_test(test_compiler_is_missing_or_fails),
        cmocka_unit_test(test_objects_are_kept),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
