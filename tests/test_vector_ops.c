/* SPDX-License-Identifier: MIT */
/* Every vector operation: TinyCC's bytes, the compiler's intrinsics and plain arrays give the same bits.
 */
#include "gen/base/file.h"
#include "gen/target/lower/internal.h"
#include "gen/target/target.h"
#include "runtime/jit/jit.h"
#include "runtime/machine/machine.h"
#include "runtime/process/program.h"
#include "vector_ops.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS 40
#define SEED 20240817

static struct vector_case cases[VECTOR_CASE_MAX];

static bool machine_has(enum kgen_isa isa)
{
    struct kgen_machine machine;
    kgen_machine_detect(&machine);
    return (machine.isas & 1u << isa) != 0;
}

static void skip_without(enum kgen_isa isa)
{
    if (!machine_has(isa)) {
        print_message("skipped: this machine has no %s\n", kgen_isa_info(isa)->needs);
        skip();
    }
}

static struct kgen_code *compile(enum kgen_engine engine, const char *text, enum kgen_isa isa,
                                 const char *flags)
{
    struct kgen_error error = {0};
    struct kgen_cc_options options = {.flags = flags};
    struct kgen_code *code = kgen_jit_compile(engine, "cases.c", text, isa, &options, &error);
    if (code == NULL) {
        char message[2000];
        fail_msg("%s", kgen_error_format(&error, message, sizeof message));
    }
    return code;
}

static vector_function *function(const struct kgen_code *code, size_t index)
{
    char name[32];
    snprintf(name, sizeof name, "case_%zu", index);
    void *symbol = kgen_code_symbol(code, name);
    assert_non_null(symbol);
    vector_function *result;
    memcpy(&result, &symbol, sizeof result);
    return result;
}

static void run(vector_function *f, uint8_t inputs[3][VECTOR_CASE_BYTES], int n, uint8_t *out)
{
    memset(out, 0xa5, VECTOR_CASE_BYTES);
    f(inputs[0], inputs[1], inputs[2], out, n);
}

static void report(const char *what, const struct vector_case *test, size_t index, uint64_t seed, int n,
                   const uint8_t *a, const uint8_t *b, int at)
{
    uint32_t x, y;
    memcpy(&x, a + at, 4);
    memcpy(&y, b + at, 4);
    fail_msg("%s: case_%zu, n=%d, seed %llu: %s byte %d: %08x, plain %08x", what, index, n,
             (unsigned long long)seed, test->line, at, x, y);
}

/* Compares code with the plain arrays. Returns the comparisons made. */
static size_t compare(const char *what, const struct kgen_code *code, const struct kgen_code *plain,
                      size_t count, int lanes)
{
    size_t compared = 0;
    for (size_t i = 0; i < count; i++) {
        vector_function *f = function(code, i), *g = function(plain, i);
        for (uint64_t round = 0; round < ROUNDS; round++) {
            uint8_t inputs[3][VECTOR_CASE_BYTES], a[VECTOR_CASE_BYTES], b[VECTOR_CASE_BYTES];
            int n = (int)(round % (uint64_t)(lanes + 1));
            vector_inputs(&cases[i], SEED + round, inputs);
            run(f, inputs, n, a);
            run(g, inputs, n, b);
            int at = vector_difference(&cases[i], a, b);
            if (at >= 0)
                report(what, &cases[i], i, SEED + round, n, a, b, at);
            compared++;
        }
    }
    return compared;
}

static void check_isa(enum kgen_isa isa)
{
    skip_without(isa);
    int lanes = kgen_isa_info(isa)->vector_bytes / 4;
    struct kgen_text text = {0};
    size_t count = vector_cases(lanes, true, cases, &text);
    assert_false(text.failed);
    assert_in_range(count, vector_op_count, VECTOR_CASE_MAX);
    char flags[64];
    snprintf(flags, sizeof flags, "-O0 -DKV_BYTES=%d", lanes * 4);
    struct kgen_code *plain = compile(KGEN_ENGINE_CC, text.data, KGEN_ISA_GENERIC, flags);
    struct kgen_code *tcc = compile(KGEN_ENGINE_TCC, text.data, isa, NULL);
    size_t compared = compare("tcc", tcc, plain, count, lanes);
    kgen_code_free(tcc);
    struct kgen_code *cc = compile(KGEN_ENGINE_CC, text.data, isa, "-O1");
    compared += compare("cc", cc, plain, count, lanes);
    kgen_code_free(cc);
    kgen_code_free(plain);
    kgen_text_free(&text);
    assert_int_equal(compared, 2 * ROUNDS * count);
    print_message("%s: %zu cases of %zu vector operations, %zu comparisons\n", kgen_isa_info(isa)->name,
                  count, vector_op_count, compared);
}

static void test_avx512(void **state)
{
    (void)state;
    check_isa(KGEN_ISA_AVX512);
}

static void test_avx2(void **state)
{
    (void)state;
    check_isa(KGEN_ISA_AVX2);
}

/* Reads inputs from standard input, writes outputs to standard output. */
static const char runner[] =
    "#include <stdio.h>\n"
    "int main(void)\n{\n"
    "    static uint8_t in[3][256], out[256];\n"
    "    int which[2];\n"
    "    while (fread(which, sizeof which, 1, stdin) == 1 && fread(in, sizeof in, 1, stdin) == 1) {\n"
    "        memset(out, 0xa5, sizeof out);\n"
    "        cases[which[0]](in[0], in[1], in[2], out, which[1]);\n"
    "        fwrite(out, sizeof out, 1, stdout);\n"
    "    }\n    return 0;\n}\n";

static bool program_works(const char *const *arguments)
{
    struct kgen_text output = {0};
    bool works = kgen_program_run(arguments, &output, NULL) == 0;
    kgen_text_free(&output);
    return works;
}

static void write_program(const char *path, const struct kgen_text *text, size_t count)
{
    struct kgen_text program = {0};
    struct kgen_error error = {0};
    kgen_text_puts(&program, "#define KV_ISA_NEON\n");
    assert_int_equal(kgen_target_put_support(kgen_target_at(0), NULL, &program, &error), 0);
    kgen_text_puts(&program, text->data);
    kgen_text_puts(&program, "static void (*const cases[])(const uint8_t *, const uint8_t *, const uint8_t "
                             "*, uint8_t *, int) = {\n");
    for (size_t i = 0; i < count; i++)
        kgen_text_printf(&program, "    case_%zu,\n", i);
    kgen_text_puts(&program, "};\n");
    kgen_text_puts(&program, runner);
    assert_int_equal(kgen_file_write(path, program.data, program.length, &error), 0);
    kgen_text_free(&program);
}

static void write_inputs(const char *path, size_t count)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    for (size_t i = 0; i < count; i++) {
        for (int round = 0; round < ROUNDS; round++) {
            uint8_t inputs[3][VECTOR_CASE_BYTES];
            int which[2] = {(int)i, round % 5};
            vector_inputs(&cases[i], SEED + (uint64_t)round, inputs);
            fwrite(which, sizeof which, 1, file);
            fwrite(inputs, sizeof inputs, 1, file);
        }
    }
    assert_int_equal(fclose(file), 0);
}

/* The NEON header runs under qemu-aarch64 and must give what plain arrays give here. */
static void check_neon(const char *flag)
{
    static const char *const compiler = "aarch64-linux-gnu-gcc", *const emulator = "qemu-aarch64";
    if (!program_works((const char *[]){compiler, "--version", NULL}) ||
        !program_works((const char *[]){emulator, "--version", NULL})) {
        print_message("skipped: %s or %s is not installed\n", compiler, emulator);
        skip();
    }
    struct kgen_text text = {0}, output = {0};
    struct kgen_error error = {0};
    size_t count = vector_cases(4, true, cases, &text);
    char folder[] = "/tmp/kgen-neon-XXXXXX", source[64], program[64], input[64], command[256];
    assert_non_null(mkdtemp(folder));
    snprintf(source, sizeof source, "%s/cases.c", folder);
    snprintf(program, sizeof program, "%s/cases", folder);
    snprintf(input, sizeof input, "%s/input", folder);
    write_program(source, &text, count);
    write_inputs(input, count);
    const char *arguments[] = {compiler, "-O1", flag, "-static", "-o", program, source, NULL};
    if (kgen_program_run(arguments, &output, &error) != 0)
        fail_msg("%s", output.data);
    struct kgen_code *plain = compile(KGEN_ENGINE_CC, text.data, KGEN_ISA_GENERIC, "-O0 -DKV_BYTES=16");
    snprintf(command, sizeof command, "%s %s < %s", emulator, program, input);
    FILE *results = popen(command, "r");
    assert_non_null(results);
    for (size_t i = 0; i < count; i++) {
        vector_function *f = function(plain, i);
        for (int round = 0; round < ROUNDS; round++) {
            uint8_t inputs[3][VECTOR_CASE_BYTES], a[VECTOR_CASE_BYTES], b[VECTOR_CASE_BYTES];
            if (fread(a, sizeof a, 1, results) != 1)
                fail_msg("the emulated program ended at case %zu", i);
            vector_inputs(&cases[i], SEED + (uint64_t)round, inputs);
            run(f, inputs, round % 5, b);
            int at = vector_difference(&cases[i], a, b);
            if (at >= 0)
                report("neon", &cases[i], i, SEED + (uint64_t)round, round % 5, a, b, at);
        }
    }
    assert_int_equal(pclose(results), 0);
    const char *rm[] = {"rm", "-r", folder, NULL};
    kgen_program_run(rm, &output, NULL);
    kgen_code_free(plain);
    kgen_text_free(&output);
    kgen_text_free(&text);
    print_message("neon %s: %zu cases\n", flag, count);
}

static void test_neon(void **state)
{
    (void)state;
    check_neon("-march=armv8-a");
}

static void test_neon_dotprod(void **state)
{
    (void)state;
    check_neon("-march=armv8.2-a+dotprod");
}

/* The table here, the table of the lowering, and the README list the same vector operations. */
static void test_table_is_complete(void **state)
{
    (void)state;
    struct kgen_text readme = {0};
    struct kgen_error error = {0};
    assert_int_equal(kgen_file_read("templates/README.md", 1 << 20, &readme, &error), 0);
    size_t count = 0;
    for (const struct kgen_vector_op *row; (row = kgen_vector_op_at(count)) != NULL; count++) {
        const struct vector_op *op = NULL;
        for (size_t i = 0; i < vector_op_count; i++) {
            if (strcmp(vector_ops[i].name, row->name) == 0)
                op = &vector_ops[i];
        }
        if (op == NULL || op->result != row->result || strlen(op->args) != strlen(row->args))
            fail_msg("%s differs", row->name);
        if (strstr(readme.data, row->name) == NULL)
            fail_msg("the README does not name %s", row->name);
        assert_ptr_equal(kgen_vector_op_find(row->name, strlen(row->name)), row);
    }
    assert_int_equal(count, vector_op_count);
    assert_int_equal(count, 63);
    kgen_text_free(&readme);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_is_complete),
        cmocka_unit_test(test_avx512),
        cmocka_unit_test(test_avx2),
        cmocka_unit_test(test_neon),
        cmocka_unit_test(test_neon_dotprod),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
