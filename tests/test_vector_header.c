/* SPDX-License-Identifier: MIT */
/* kgen_vector.h compiles without a warning, at the compilers' baseline flags, for every instruction set. */
#include "gen/base/file.h"
#include "gen/base/isa.h"
#include "gen/target/target.h"
#include "runtime/jit/internal.h"
#include "runtime/process/program.h"
#include "vector_ops.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct {
    const char *compiler;
    enum kgen_isa isa;
    const char *flag;
    int lanes;
} builds[] = {
    {"gcc", KGEN_ISA_AVX512, "-O0", 16},
    {"gcc", KGEN_ISA_AVX512, "-O2", 16},
    {"gcc", KGEN_ISA_AVX2, "-O0", 8},
    {"gcc", KGEN_ISA_AVX2, "-O2", 8},
    {"gcc", KGEN_ISA_GENERIC, "-O2", 4},
    {"gcc", KGEN_ISA_GENERIC, "-DKV_BYTES=64", 16},
    {"clang", KGEN_ISA_AVX512, "-O0", 16},
    {"clang", KGEN_ISA_AVX512, "-O2", 16},
    {"clang", KGEN_ISA_AVX2, "-O0", 8},
    {"clang", KGEN_ISA_AVX2, "-O2", 8},
    {"clang", KGEN_ISA_GENERIC, "-O2", 4},
    {"tcc", KGEN_ISA_GENERIC, "-O0", 4},
    {"tcc", KGEN_ISA_GENERIC, "-DKV_BYTES=32", 8},
    {"aarch64-linux-gnu-gcc", KGEN_ISA_NEON, "-O0", 4},
    {"aarch64-linux-gnu-gcc", KGEN_ISA_NEON, "-O2", 4},
    {"aarch64-linux-gnu-gcc", KGEN_ISA_NEON, "-march=armv8.2-a+dotprod", 4},
    {"aarch64-linux-gnu-gcc", KGEN_ISA_GENERIC, "-O2", 4},
};

static void test_no_warnings(void **state)
{
    (void)state;
    static struct vector_case cases[VECTOR_CASE_MAX];
    char folder[] = "/tmp/kgen-header-XXXXXX", source[64], object[64];
    assert_non_null(mkdtemp(folder));
    snprintf(source, sizeof source, "%s/cases.c", folder);
    snprintf(object, sizeof object, "%s/cases.o", folder);
    size_t compiled = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(builds); i++) {
        struct kgen_text text = {0}, header = {0}, output = {0};
        struct kgen_error error = {0};
        char path[64];
        snprintf(path, sizeof path, "%s/kgen_vector.h", folder);
        assert_int_equal(kgen_target_put_support(kgen_target_at(0), NULL, &header, &error), 0);
        assert_int_equal(kgen_file_write(path, header.data, header.length, &error), 0);
        kgen_text_printf(&text, "#define %s\n#include \"kgen_vector.h\"\n",
                         kgen_isa_info(builds[i].isa)->header_name);
        vector_cases(builds[i].lanes, false, cases, &text);
        assert_int_equal(kgen_file_write(source, text.data, text.length, &error), 0);
        const char *arguments[] = {
            builds[i].compiler, "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
            builds[i].flag,     "-c",       source,  "-o",      object,       NULL};
        int status = kgen_program_run(arguments, &output, &error);
        if (status < 0)
            print_message("skipped: %s is not installed\n", builds[i].compiler);
        else if (status > 0 || output.length > 0)
            fail_msg("%s %s: %s", builds[i].compiler, builds[i].flag, output.data);
        else
            compiled++;
        unlink(path);
        unlink(source);
        unlink(object);
        kgen_text_free(&text);
        kgen_text_free(&header);
        kgen_text_free(&output);
    }
    assert_int_equal(rmdir(folder), 0);
    print_message("%zu builds\n", compiled);
    assert_true(compiled > 0);
}

/* The scalar conversions of the header are exact, and the same as those that lowered text gets. */
static void test_scalar_conversions(void **state)
{
    (void)state;
    static const char text[] = "void convert(const uint16_t *in, float *out)\n"
                               "{\n"
                               "    for (int i = 0; i < 65536; i++) {\n"
                               "        out[i] = kv_f16_to_f32(in[i]);\n"
                               "        out[65536 + i] = kv_bf16_to_f32(in[i]);\n"
                               "    }\n"
                               "}\n";
    static uint16_t in[65536];
    static float out[2][2 * 65536];
    for (int i = 0; i < 65536; i++)
        in[i] = (uint16_t)i;
    for (int engine = KGEN_ENGINE_TCC; engine <= KGEN_ENGINE_CC; engine++) {
        struct kgen_error error = {0};
        struct kgen_code *code =
            kgen_jit_compile((enum kgen_engine)engine, "convert.c", text, KGEN_ISA_GENERIC, NULL, &error);
        if (code == NULL)
            fail_msg("%s", error.message);
        void (*convert)(const uint16_t *, float *);
        void *symbol = kgen_code_symbol(code, "convert");
        memcpy(&convert, &symbol, sizeof convert);
        convert(in, out[engine]);
        kgen_code_free(code);
    }
    assert_memory_equal(out[0], out[1], sizeof out[0]);
    for (int i = 0; i < 65536; i++) {
        /* binary16 by its definition */
        int exponent = i >> 10 & 31, fraction = i & 1023;
        double value = exponent == 0 ? fraction : fraction + 1024;
        for (int e = exponent == 0 ? 1 : exponent; e != 25; e += e < 25 ? 1 : -1)
            value = e < 25 ? value / 2 : value * 2;
        if (exponent < 31 && (double)out[0][i] != (i & 0x8000 ? -value : value))
            fail_msg("%04x: %g is not %g", i, (double)out[0][i], value);
        uint32_t bits, wide = (uint32_t)i << 16;
        memcpy(&bits, &out[0][i], 4);
        if (exponent == 31)
            assert_true((bits & 0x7f800000) == 0x7f800000 && (bits >> 31) == (uint32_t)i >> 15 &&
                        ((bits & 0x7fffff) != 0) == (fraction != 0));
        assert_memory_equal(&out[0][65536 + i], &wide, 4);
    }
}

/* Rounding to binary16, against the nearest of the 65,536 values by their distance; the same by every engine.
 */
static void test_rounding_to_f16(void **state)
{
    (void)state;
    static const char text[] = "void convert(const float *in, uint16_t *out, int n)\n"
                               "{\n"
                               "    for (int i = 0; i < n; i++)\n"
                               "        out[i] = kv_f32_to_f16(in[i]);\n"
                               "}\n"
                               "void widen(float *out)\n"
                               "{\n"
                               "    for (int i = 0; i < 65536; i++)\n"
                               "        out[i] = kv_f16_to_f32(i);\n"
                               "}\n";
    enum { STEPS = 31743 }; /* between the values from 0 to 65504 */
    static float values[65536], in[4 * STEPS];
    static uint16_t out[4 * STEPS];
    for (int engine = KGEN_ENGINE_TCC; engine <= KGEN_ENGINE_CC; engine++) {
        struct kgen_error error = {0};
        struct kgen_code *code =
            kgen_jit_compile((enum kgen_engine)engine, "convert.c", text, KGEN_ISA_GENERIC, NULL, &error);
        if (code == NULL)
            fail_msg("%s", error.message);
        void (*convert)(const float *, uint16_t *, int), (*widen)(float *);
        void *symbol = kgen_code_symbol(code, "convert");
        memcpy(&convert, &symbol, sizeof convert);
        symbol = kgen_code_symbol(code, "widen");
        memcpy(&widen, &symbol, sizeof widen);
        widen(values);
        for (int i = 0; i < STEPS; i++) {
            const float middle = values[i] + (values[i + 1] - values[i]) / 2;
            in[4 * i] = values[i];
            in[4 * i + 1] = nextafterf(middle, 0);
            in[4 * i + 2] = middle;
            in[4 * i + 3] = -nextafterf(middle, INFINITY);
        }
        convert(in, out, 4 * STEPS);
        for (int i = 0; i < STEPS; i++) {
            const int expected[] = {i, i, i + i % 2, (i + 1) | 0x8000};
            for (int k = 0; k < 4; k++) {
                if (out[4 * i + k] != expected[k])
                    fail_msg("%.9g gives %04x, not %04x", (double)in[4 * i + k], out[4 * i + k], expected[k]);
            }
        }
        const float special[] = {65519.99f, 65520.0f, -INFINITY, 1e30f, NAN, 1e-30f, -0.0f};
        const uint16_t expected[] = {0x7bff, 0x7c00, 0xfc00, 0x7c00, 0x7e00, 0, 0x8000};
        convert(special, out, KGEN_COUNT_OF(special));
        assert_memory_equal(out, expected, sizeof expected);
        kgen_code_free(code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_warnings),
                                       cmocka_unit_test(test_scalar_conversions),
                                       cmocka_unit_test(test_rounding_to_f16)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
