/* SPDX-License-Identifier: MIT */
/* Emitted sources: the same bytes each time, no warning under four compilers, and results inside the bound.
 */
#define _DEFAULT_SOURCE /* mkdtemp */
#include "gen/base/file.h"
#include "gen/emit/emit.h"
#include "gen/ops/dtype.h"
#include "gen/ops/format.h"
#include "gen/ops/signature.h"
#include "odd_shapes.h"
#include "runtime/tune/timing_buffers.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    struct kgen_templates *templates;
    struct kgen_spec *spec;
    struct kgen_variant *tuned; /* in turns for each instruction set: a variant that is not the default */
    struct kgen_emission *emission;
    char folder[64];
};

static void check(const struct kgen_error *error)
{
    char text[1200];
    if (error->code != KGEN_ERROR_NONE)
        fail_msg("%s", kgen_error_format(error, text, sizeof text));
}

/* Of the variants of a problem for an instruction set, one in the midst, so that it differs from the default
 * in several parameters. */
static void choose_tuned(const struct fixture *fixture, size_t entry, enum kgen_isa isa,
                         struct kgen_variant *tuned)
{
    struct kgen_error error = {0};
    struct kgen_variants variants = {0};
    kgen_variants_list(fixture->templates, &fixture->spec->entries[entry].problem, 1u << isa, &variants,
                       &error);
    check(&error);
    if (variants.count == 0) { /* some problems have plain C only */
        assert_true(isa != KGEN_ISA_GENERIC);
        choose_tuned(fixture, entry, KGEN_ISA_GENERIC, tuned);
        return;
    }
    *tuned = variants.items[(entry * 7 + 3) % variants.count];
    kgen_variants_free(&variants);
}

static struct kgen_emission *new_emission(const struct fixture *fixture)
{
    struct kgen_error error = {0};
    const struct kgen_emit_input input = {.spec = fixture->spec,
                                          .templates = fixture->templates,
                                          .tuned = fixture->tuned,
                                          .command = "kgen odd-shapes.json",
                                          .machine = "a test"};
    struct kgen_emission *emission = kgen_emission_new(&input, &error);
    check(&error);
    assert_non_null(emission);
    return emission;
}

static void emit_into(const struct fixture *fixture, const char *folder)
{
    struct kgen_error error = {0};
    struct kgen_emission *emission = new_emission(fixture);
    kgen_emission_write(emission, folder, false, &error);
    check(&error);
    kgen_emission_free(emission);
}

static int set_up(void **state)
{
    static const enum kgen_isa isas[] = {KGEN_ISA_AVX512, KGEN_ISA_AVX2, KGEN_ISA_NEON};
    static struct fixture fixture;
    struct kgen_error error = {0};
    fixture.templates = kgen_templates_open(NULL, "c", &error);
    check(&error);
    fixture.spec = kgen_spec_parse("odd-shapes.json", spec_text, strlen(spec_text), NULL, &error);
    check(&error);
    fixture.tuned = calloc(fixture.spec->count, sizeof *fixture.tuned);
    strcpy(fixture.folder, "/tmp/kgen-emit-XXXXXX");
    if (fixture.tuned == NULL || mkdtemp(fixture.folder) == NULL)
        return -1;
    for (size_t i = 0; i < fixture.spec->count; i++)
        choose_tuned(&fixture, i, isas[i % KGEN_COUNT_OF(isas)], &fixture.tuned[i]);
    fixture.emission = new_emission(&fixture);
    *state = &fixture;
    emit_into(&fixture, fixture.folder);
    return 0;
}

static int run(const char *format, ...)
{
    char command[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    return system(command);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    run("rm -rf %s %s-again", fixture->folder, fixture->folder);
    kgen_emission_free(fixture->emission);
    kgen_spec_free(fixture->spec);
    kgen_templates_free(fixture->templates);
    free(fixture->tuned);
    return 0;
}

/* Whether a text holds what only this machine and this day have. */
static const char *find_local(const char *text)
{
    static const char *const local[] = {"/tmp", "/home"};
    for (size_t i = 0; i < KGEN_COUNT_OF(local); i++) {
        if (strstr(text, local[i]) != NULL)
            return local[i];
    }
    for (const char *at = text; (at = strstr(at, "202")) != NULL; at++) {
        if (at[3] >= '0' && at[3] <= '9' && at[4] == '-')
            return "a date";
    }
    return NULL;
}

/* Looks at each file of the folder. Returns their number. */
static size_t check_files(const char *folder)
{
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    size_t files = 0;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, "example") == 0)
            continue;
        struct kgen_text path = {0}, text = {0};
        struct kgen_error error = {0};
        kgen_text_printf(&path, "%s/%s", folder, entry->d_name);
        kgen_file_read(path.data, 1 << 24, &text, &error);
        check(&error);
        assert_true(text.length > 100);
        const char *found = find_local(text.data);
        if (found != NULL)
            fail_msg("%s holds %s", entry->d_name, found);
        kgen_text_free(&path);
        kgen_text_free(&text);
        files++;
    }
    closedir(directory);
    return files;
}

static void same_bytes_each_time(void **state)
{
    const struct fixture *fixture = *state;
    char again[96], path[128];
    struct stat before, after;
    snprintf(again, sizeof again, "%s-again", fixture->folder);
    emit_into(fixture, again);
    assert_int_equal(run("diff -r %s %s", fixture->folder, again), 0);
    /* A file that would not change is left alone. */
    snprintf(path, sizeof path, "%s/qmv.c", again);
    assert_int_equal(stat(path, &before), 0);
    emit_into(fixture, again);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_true(after.st_size > 10000);
    /* A date and a path would be found. */
    assert_non_null(find_local("on 2024-02-29"));
    assert_non_null(find_local("in /tmp/x"));
    assert_true(check_files(fixture->folder) >= 27);
}

/* Inputs come as checkpoints have them; the program packs. */
static struct kgen_problem as_stored(const struct kgen_problem *problem)
{
    struct kgen_problem stored = *problem;
    kgen_problem_set(&stored, "layout", KGEN_STORED);
    return stored;
}

static const char driver_head[] =
    "static unsigned char input[1 << 20], packed[3][1 << 17];\n"
    "_Alignas(64) static unsigned char memory[1 << 20];\nstatic float output[1 << 18], updated[1 << 18];\n"
    "static void get(int i)\n{\n    char name[32];\n    sprintf(name, \"in%d.bin\", i);\n"
    "    FILE *file = fopen(name, \"rb\");\n    if (file == NULL || fread(input, 1, sizeof input, file) == "
    "0)\n"
    "        exit(9);\n    fclose(file);\n    memset(output, 255, sizeof output);\n"
    "    for (int j = 0; j < 1 << 18; j++)\n        updated[j] = (float)(j * 37 % 201 - 100) / 64;\n}\n"
    "static void put(const char *what, const void *from, int i, size_t bytes)\n{\n    char name[32];\n"
    "    sprintf(name, \"%s%d.bin\", what, i);\n"
    "    FILE *file = fopen(name, \"wb\");\n    if (file == NULL || fwrite(from, 1, bytes, file) != bytes)\n"
    "        exit(9);\n    fclose(file);\n}\n";

/* Packs an array of weights, of which the stored one begins at offset. */
static void write_packing(const struct fixture *fixture, const struct kgen_problem *problem, int array,
                          size_t offset, struct kgen_text *text)
{
    struct kgen_matrix matrix;
    kgen_problem_matrix(problem, NULL, &matrix); /* of experts whose rows fill their tiles */
    const struct kgen_format_array *described = &matrix.format->arrays[array];
    const long long word_bytes = described->word_bytes(&matrix);
    kgen_text_printf(text, "        %s_pack_tiles16(input + %zu, packed[%d], %lld, %lld, %lld);\n",
                     fixture->spec->identifier, offset, array, (long long)matrix.N,
                     (long long)described->row_bytes(&matrix) / word_bytes, word_bytes);
}

/* Whether a buffer is the first output of floats: that has memory of its own in the driver. */
static bool is_first_output(const struct kgen_problem *problem, const struct kgen_problem_buffer *buffer)
{
    struct kgen_buffers buffers;
    kgen_problem_buffers(problem, &buffers);
    for (size_t i = 0; i < buffers.count; i++) {
        if (buffers.items[i].role == KGEN_OUTPUT && buffers.items[i].dtype == KGEN_F32)
            return strcmp(buffers.items[i].name, buffer->name) == 0;
    }
    return false;
}

/* Declares a buffer under the name that it has among the parameters. */
static void write_buffer(const struct fixture *fixture, const struct kgen_problem *problem,
                         const struct kgen_problem_buffer *buffer, size_t offset, const char *function,
                         struct kgen_text *text)
{
    if (buffer->role == KGEN_WORKSPACE || buffer->role == KGEN_SCRATCH)
        kgen_text_printf(text,
                         "        if (%s_%s_size() > sizeof memory / 2)\n            exit(8);\n"
                         "        void *%s = memory%s;\n",
                         function, buffer->name, buffer->name,
                         buffer->role == KGEN_SCRATCH ? " + sizeof memory / 2" : "");
    else if (buffer->role == KGEN_STATE)
        kgen_text_printf(text, "        %s *%s = (void *)(input + %zu);\n", kgen_dtype_c_type(buffer->dtype),
                         buffer->name, offset);
    else if (buffer->role == KGEN_OUTPUT || buffer->role == KGEN_UPDATED)
        kgen_text_printf(text, "        %s *%s = (void *)%s;\n", kgen_dtype_c_type(buffer->dtype),
                         buffer->name, is_first_output(problem, buffer) ? "output" : "updated");
    else if (buffer->tile_rows > 1)
        kgen_text_printf(text, "        const void *%s = packed[%d];\n", buffer->name, buffer->array);
    else
        kgen_text_printf(text, "        const %s *%s = (const void *)(input + %zu);\n",
                         buffer->array >= 0 ? "void" : kgen_dtype_c_type(buffer->dtype), buffer->name,
                         offset);
    if (buffer->tile_rows > 1)
        write_packing(fixture, problem, buffer->array, offset, text);
}

/* Calls the parts of a function, the range as two threads would. */
static void write_calls(const struct kgen_problem *problem, const char *function, struct kgen_text *text)
{
    struct kgen_text prepare = {0}, run = {0}, finish = {0};
    const char *name = problem->op->range_name, *separator = name[0] != '\0' ? "_" : "";
    const size_t range = kgen_problem_range(problem);
    kgen_signature_arguments(problem, KGEN_PREPARE, &prepare);
    kgen_signature_arguments(problem, KGEN_RUN, &run);
    kgen_signature_arguments(problem, KGEN_FINISH, &finish);
    if (kgen_op_has_part(problem->op, KGEN_PREPARE))
        kgen_text_printf(text, "        %s_prepare(%s);\n", function, prepare.data);
    for (size_t part = 0; part < 2; part++)
        kgen_text_printf(text, "        %s%s%sbegin = %zu;\n        %s%s%send = %zu;\n        %s(%s);\n",
                         part == 0 ? "size_t " : "", name, separator, part * (range / 2),
                         part == 0 ? "size_t " : "", name, separator, part == 0 ? range / 2 : range, function,
                         run.data);
    if (kgen_op_has_part(problem->op, KGEN_FINISH))
        kgen_text_printf(text, "        %s_finish(%s);\n", function, finish.data);
    kgen_text_free(&finish);
    kgen_text_free(&prepare);
    kgen_text_free(&run);
}

/* The value of a scalar in all calls. */
static int64_t value_of(const struct kgen_problem *problem, size_t scalar)
{
    const struct kgen_scalar *declared = &problem->op->scalars[scalar];
    const struct kgen_problem typical = kgen_problem_typical(problem); /* as the inputs are */
    const int64_t maximum = kgen_scalar_maximum(&typical, declared);
    if (declared->typical != NULL)
        return kgen_scalar_typical(&typical, declared);
    return maximum < 77 ? maximum : 77;
}

/* Writes the block that calls one function on inputs from a file, and the file. */
static void write_entry(const struct fixture *fixture, size_t entry, const char *function,
                        struct kgen_text *text)
{
    const struct kgen_problem *problem = &fixture->spec->entries[entry].problem;
    const struct kgen_problem stored = as_stored(problem);
    struct kgen_timing_buffers inputs = {0};
    struct kgen_buffers buffers;
    struct kgen_text path = {0};
    kgen_problem_buffers(problem, &buffers);
    assert_int_equal(kgen_timing_buffers_fill(&inputs, &stored, 0, 1, NULL), 0);
    kgen_text_printf(text, "    {\n        get(%zu);\n", entry);
    for (size_t i = 0; i < buffers.count; i++)
        write_buffer(fixture, problem, &buffers.items[i], inputs.offsets[i], function, text);
    for (size_t i = 0; i < problem->op->scalar_count; i++)
        kgen_text_printf(text, "        int64_t %s = %lld;\n", problem->op->scalars[i].name,
                         (long long)value_of(problem, i));
    write_calls(problem, function, text);
    for (size_t i = 0; i < buffers.count; i++) {
        if (buffers.items[i].role == KGEN_OUTPUT || buffers.items[i].role == KGEN_UPDATED)
            kgen_text_printf(text, "        put(\"%s\", %s, %zu, %zu);\n", buffers.items[i].name,
                             buffers.items[i].name, entry, buffers.items[i].bytes);
    }
    kgen_text_puts(text, "    }\n");
    kgen_text_printf(&path, "%s/in%zu.bin", fixture->folder, entry);
    assert_int_equal(kgen_file_write(path.data, (const char *)inputs.arena, inputs.copy_bytes, NULL), 0);
    kgen_text_free(&path);
    kgen_timing_buffers_free(&inputs);
}

/* Writes the program that runs one variant of every function on inputs from files. */
static void write_driver(const struct fixture *fixture)
{
    static const struct {
        const char *name; /* "": the public function */
        enum kgen_isa isa;
        const char *guard;
    } kinds[] = {{"", KGEN_ISA_COUNT, "1"},
                 {"avx512", KGEN_ISA_AVX512, "defined KGEN_X86"},
                 {"avx2", KGEN_ISA_AVX2, "defined KGEN_X86"},
                 {"neon", KGEN_ISA_NEON, "defined KGEN_NEON"},
                 {"generic", KGEN_ISA_GENERIC, "1"}};
    struct kgen_text text = {0}, main_text = {0}, path = {0};
    kgen_text_puts(&text, "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n");
    for (size_t op = 0; op < kgen_op_count(); op++)
        kgen_text_printf(&text, "#include \"%s_kernels.h\"\n", kgen_op_at(op)->name);
    kgen_text_puts(&text, driver_head);
    for (size_t s = 0; s < KGEN_COUNT_OF(kinds); s++) {
        kgen_text_printf(&text, "#if %s\nstatic void run_%zu(void)\n{\n", kinds[s].guard, s);
        for (size_t i = 0; i < fixture->spec->count; i++) {
            struct kgen_text name = {0};
            if (kinds[s].isa == KGEN_ISA_COUNT) {
                kgen_text_printf(&name, "%s_", fixture->spec->identifier);
                kgen_problem_name(&fixture->spec->entries[i].problem, &name);
            } else {
                const struct kgen_emit_kernel *kernel =
                    kgen_emission_kernel(fixture->emission, i, kinds[s].isa);
                if (kernel == NULL) /* plain C only */
                    kernel = kgen_emission_kernel(fixture->emission, i, KGEN_ISA_GENERIC);
                kgen_text_puts(&name, kernel->name.data);
            }
            write_entry(fixture, i, name.data, &text);
            kgen_text_free(&name);
        }
        kgen_text_puts(&text, "}\n#endif\n");
        kgen_text_printf(&main_text,
                         "#if %s\n    if (strcmp(which, \"%s\") == 0) {\n        run_%zu();\n"
                         "        return 0;\n    }\n#endif\n",
                         kinds[s].guard, kinds[s].name, s);
    }
    kgen_text_printf(
        &text,
        "int main(int argc, char **argv)\n{\n    const char *which = argc > 1 ? argv[1] : \"\";\n"
        "%s    return 7;\n}\n",
        main_text.data);
    kgen_text_printf(&path, "%s/driver.c", fixture->folder);
    assert_int_equal(kgen_file_write(path.data, text.data, text.length, NULL), 0);
    kgen_text_free(&path);
    kgen_text_free(&main_text);
    kgen_text_free(&text);
}

/* Holds a file of the driver's against what is expected. */
static void compare_file(const struct fixture *fixture, const char *what,
                         const struct kgen_problem_buffer *buffer, size_t entry, const double *expected,
                         const double *bound)
{
    const char *name = buffer->name;
    const size_t count = buffer->bytes / kgen_dtype_bytes(buffer->dtype);
    struct kgen_text path = {0}, output = {0};
    kgen_text_printf(&path, "%s/%s%zu.bin", fixture->folder, name, entry);
    assert_int_equal(kgen_file_read(path.data, 1 << 24, &output, NULL), 0);
    assert_int_equal(output.length, buffer->bytes);
    for (size_t i = 0; i < count; i++) {
        const double value = kgen_dtype_value(output.data, buffer->dtype, (int64_t)i);
        if (!(fabs(value - expected[i]) <= bound[i]) && !(isnan(expected[i]) && isnan(value)))
            fail_msg("%s: entry %zu, %s[%zu] = %.9g, expected %.9g +- %.3g", what, entry, name, i, value,
                     expected[i], bound[i]);
    }
    unlink(path.data);
    kgen_text_free(&path);
    kgen_text_free(&output);
}

/* Holds the driver's results against the reference. Returns the number of elements looked at; adds to
 * residuals those of updated buffers. */
static size_t compare_outputs(const struct fixture *fixture, const char *what, size_t *residuals)
{
    size_t elements = 0;
    for (size_t i = 0; i < fixture->spec->count; i++) {
        const struct kgen_problem whole = as_stored(&fixture->spec->entries[i].problem);
        const struct kgen_problem stored = kgen_problem_typical(&whole);
        struct kgen_timing_buffers inputs = {0};
        struct kgen_arguments arguments = {0};
        struct kgen_expected expected = {0};
        struct kgen_buffers buffers;
        kgen_problem_buffers(&stored, &buffers);
        for (size_t s = 0; s < stored.op->scalar_count; s++)
            arguments.scalars[s] = value_of(&stored, s);
        assert_int_equal(kgen_timing_buffers_fill(&inputs, &stored, 0, 1, NULL), 0);
        kgen_timing_buffers_point(&inputs, 0, &arguments);
        float *before[KGEN_BUFFERS_MAX] = {NULL};
        for (size_t b = 0; b < buffers.count; b++) {
            const size_t count = buffers.items[b].bytes / sizeof(float);
            const bool is_compared =
                buffers.items[b].role == KGEN_OUTPUT || buffers.items[b].role == KGEN_UPDATED;
            if (!is_compared && buffers.items[b].role != KGEN_STATE)
                continue;
            expected.values[b] = calloc(2 * buffers.items[b].bytes, sizeof(double));
            expected.bounds[b] = expected.values[b] + buffers.items[b].bytes;
            if (!is_compared)
                continue;
            arguments.buffers[b] = before[b] = calloc(count, sizeof(float));
            assert_non_null(expected.values[b]);
            assert_non_null(before[b]);
            for (size_t j = 0; j < count; j++)
                before[b][j] = (float)((int)(j * 37 % 201) - 100) / 64; /* as the driver does */
        }
        stored.op->reference(&stored, &arguments, &expected);
        for (size_t b = 0; b < buffers.count; b++) {
            if (expected.values[b] == NULL)
                continue;
            const size_t count = buffers.items[b].bytes / sizeof(float);
            if (before[b] != NULL) {
                compare_file(fixture, what, &buffers.items[b], i, expected.values[b], expected.bounds[b]);
                *(buffers.items[b].role == KGEN_UPDATED ? residuals : &elements) += count;
            }
            free(expected.values[b]);
            free(before[b]);
        }
        kgen_timing_buffers_free(&inputs);
    }
    return elements;
}

static const char warnings[] = "-Wall -Wextra -Wpedantic -std=c11 -Werror";

struct build {
    const char *name, *compiler, *flags, *runner;
    const char *variants[5]; /* which of the driver's variants to run, ended by NULL */
};

static void build_and_run(const struct fixture *fixture, const struct build *build)
{
    size_t runs = 0, residuals = 0;
    if (run("command -v %s >/dev/null", build->compiler) != 0 ||
        (build->runner[0] != '\0' && run("command -v %s >/dev/null", build->runner) != 0)) {
        printf("skipped: %s needs %s %s\n", build->name, build->compiler, build->runner);
        skip();
    }
    write_driver(fixture);
    if (run("cd %s && for f in *.c example/*.c; do %s %s -c $f -o $(basename $f).o >>log 2>&1 || { cat log; "
            "exit 1; }; done; test ! "
            "-s log",
            fixture->folder, build->compiler, build->flags) != 0)
        fail_msg("%s: does not compile without warnings", build->name);
    const char *const link_flags = strstr(build->flags, "-static") != NULL ? "-static" : "";
    assert_int_equal(run("cd %s && %s %s -o program $(ls *.c.o | grep -v driver) -lm", fixture->folder,
                         build->compiler, link_flags),
                     0);
    assert_int_equal(run("cd %s && %s ./program >program.log || { cat program.log; exit 1; }",
                         fixture->folder, build->runner),
                     0);
    assert_int_equal(run("cd %s && %s %s -o driver $(ls *.c.o | grep -v main) -lm", fixture->folder,
                         build->compiler, link_flags),
                     0);
    for (size_t i = 0; build->variants[i] != NULL; i++) {
#if defined(__x86_64__)
        if (strcmp(build->variants[i], "avx512") == 0 && !__builtin_cpu_supports("avx512vnni")) {
            printf("skipped: %s for %s needs AVX-512\n", build->name, build->variants[i]);
            continue;
        }
#endif
        const int status =
            run("cd %s && %s ./driver '%s'", fixture->folder, build->runner, build->variants[i]);
        if (status != 0)
            fail_msg("%s: the driver failed for variant '%s' with status %d", build->name, build->variants[i],
                     status);
        assert_true(compare_outputs(fixture, build->name, &residuals) > 1000);
        runs++;
    }
    run("cd %s && rm -f *.o driver program program.log log", fixture->folder);
    assert_true(runs > 0);
    assert_true(residuals >= 4096);
}

#define BUILD_TEST(function, ...)                                                                            \
    static void function(void **state)                                                                       \
    {                                                                                                        \
        const struct build build = __VA_ARGS__;                                                              \
        char flags[256];                                                                                     \
        struct build full = build;                                                                           \
        snprintf(flags, sizeof flags, "%s %s",                                                               \
                 strcmp(build.compiler, "tcc") == 0 ? "-Wall -Werror" : warnings, build.flags);              \
        full.flags = flags;                                                                                  \
        build_and_run(*state, &full);                                                                        \
    }

BUILD_TEST(gcc_optimised, {"gcc -O3", "gcc", "-O3", "", {"", "avx512", "avx2", "generic", NULL}})
BUILD_TEST(gcc_unoptimised, {"gcc -O0", "gcc", "-O0", "", {"", "avx512", "avx2", "generic", NULL}})
BUILD_TEST(clang_optimised, {"clang -O2", "clang", "-O2", "", {"", "avx512", "avx2", "generic", NULL}})
BUILD_TEST(tcc_generic, {"tcc", "tcc", "", "", {"", "generic", NULL}})
BUILD_TEST(aarch64_neon, {"aarch64 gcc -O2",
                          "aarch64-linux-gnu-gcc",
                          "-O2 -static",
                          "qemu-aarch64",
                          {"", "neon", "generic", NULL}})

/* A program in C++ that includes every header and links with what a C compiler made. */
static void headers_serve_cpp(void **state)
{
    const struct fixture *fixture = *state;
    static const char *const compilers[] = {"g++ -std=c++11", "clang++ -std=c++17"};
    size_t built = 0;
    struct kgen_text text = {0}, path = {0};
    for (size_t op = 0; op < kgen_op_count(); op++)
        kgen_text_printf(&text, "#include \"%s_kernels.h\"\n", kgen_op_at(op)->name);
    kgen_text_puts(&text, "int main()\n{\n    float a[77], b[77], sum[77];\n"
                          "    for (int i = 0; i < 77; i++) {\n        a[i] = 1;\n        b[i] = 2;\n    }\n"
                          "    odd_shapes_add_n77(a, b, sum, 0, 77);\n"
                          "    return sum[76] > 2.5f && sum[76] < 3.5f ? 0 : 1;\n}\n");
    kgen_text_printf(&path, "%s/program.cpp", fixture->folder);
    assert_int_equal(kgen_file_write(path.data, text.data, text.length, NULL), 0);
    for (size_t i = 0; i < KGEN_COUNT_OF(compilers); i++) {
        if (run("command -v %s >/dev/null", i == 0 ? "g++" : "clang++") != 0) {
            printf("skipped: %s is not there\n", compilers[i]);
            continue;
        }
        if (run("cd %s && cc -std=c11 -O1 -c add.c add_avx2.c add_avx512.c add_neon.c && "
                "%s -Wall -Wextra -Wpedantic -Werror program.cpp add*.o -o program && ./program",
                fixture->folder, compilers[i]) != 0)
            fail_msg("the headers do not serve %s", compilers[i]);
        built++;
    }
    run("cd %s && rm -f *.o program program.cpp", fixture->folder);
    kgen_text_free(&text);
    kgen_text_free(&path);
    if (built == 0)
        skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bytes_each_time), cmocka_unit_test(headers_serve_cpp),
        cmocka_unit_test(gcc_optimised),        cmocka_unit_test(gcc_unoptimised),
        cmocka_unit_test(clang_optimised),      cmocka_unit_test(tcc_generic),
        cmocka_unit_test(aarch64_neon),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
