/* SPDX-License-Identifier: MIT */
/* Emitted sources: the same bytes each time, no warning under four compilers, and results inside the bound.
 */
#define _DEFAULT_SOURCE /* mkdtemp */
#include "gen/base/file.h"
#include "gen/emit/emit.h"
#include "gen/ops/signature.h"
#include "runtime/prove/reference.h"
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

/* Shapes that fit nothing, every width of weights, every op. */
static const char spec_text[] =
    "{\"kgen_schema\": 1, \"name\": \"odd-shapes\", \"problems\": [\n"
    "{\"op\": \"qmv\", \"N\": 37, \"K\": 288, \"bits\": 4, \"group_size\": 32, \"activations\": [\"f32\", "
    "\"i16\", \"i8\"]},\n"
    "{\"op\": \"qmv\", \"N\": 7, \"K\": 4864, \"bits\": 4, \"group_size\": 64, \"activations\": [\"f32\", "
    "\"i8\"]},\n"
    "{\"op\": \"qmv\", \"N\": 5, \"K\": 96, \"bits\": 3, \"group_size\": 32, \"activations\": [\"f32\", "
    "\"i16\", \"i8\"], \"scales\": \"bf16\"},\n"
    "{\"op\": \"qmv\", \"N\": 1, \"K\": 32, \"bits\": 5, \"group_size\": 32, \"activations\": [\"f32\", "
    "\"i8\"], \"mode\": \"symmetric\"},\n"
    "{\"op\": \"qmv\", \"N\": 9, \"K\": 640, \"bits\": 6, \"group_size\": 128, \"activations\": [\"f32\", "
    "\"i16\", \"i8\"], \"mode\": \"zero_point\", \"scales\": \"f32\"},\n"
    "{\"op\": \"qmv\", \"N\": 11, \"K\": 512, \"bits\": 8, \"group_size\": 64, \"activations\": [\"f32\", "
    "\"i16\", \"i8\"]},\n"
    "{\"op\": \"qmv\", \"N\": 3, \"K\": 320, \"bits\": 2, \"group_size\": 64, \"activations\": [\"f32\", "
    "\"i16\", \"i8\"]},\n"
    "{\"op\": \"qmv\", \"N\": 6, \"K\": 1152, \"bits\": 1, \"group_size\": 128, \"activations\": [\"f32\", "
    "\"i16\", \"i8\"]},\n"
    "{\"op\": \"qmv\", \"N\": 37, \"K\": 288, \"bits\": 4, \"group_size\": 32, \"activations\": [\"f32\", "
    "\"i16\", \"i8\"], \"layout\": \"tiles16\"},\n"
    "{\"op\": \"qmv\", \"N\": 19, \"K\": 192, \"bits\": 3, \"group_size\": 64, \"activations\": [\"f32\", "
    "\"i8\"], \"mode\": \"symmetric\", \"scales\": \"f32\", \"layout\": \"tiles16\"},\n"
    "{\"op\": \"dequantize\", \"N\": 3, \"K\": 288, \"bits\": 4, \"group_size\": 32},\n"
    "{\"op\": \"dequantize\", \"N\": 3, \"K\": 192, \"bits\": 5, \"group_size\": 64, \"mode\": "
    "\"symmetric\", \"scales\": \"f32\"},\n"
    "{\"op\": \"dequantize\", \"N\": 2, \"K\": 128, \"bits\": 3, \"group_size\": 128, \"mode\": "
    "\"zero_point\", \"scales\": \"bf16\"},\n"
    "{\"op\": \"rms_norm\", \"size\": 133, \"rows\": 3},\n"
    "{\"op\": \"rms_norm\", \"size\": 4096, \"residual\": true},\n"
    "{\"op\": \"rms_norm\", \"size\": 64, \"rows\": 5, \"weight_plus_one\": true},\n"
    "{\"op\": \"rope\", \"heads\": 5, \"head_dim\": 128},\n"
    "{\"op\": \"rope\", \"heads\": 3, \"head_dim\": 80, \"rotary_dim\": 20, \"pairing\": \"interleaved\"},\n"
    "{\"op\": \"swiglu\", \"size\": 1003},\n"
    "{\"op\": \"add\", \"size\": 77}\n]}\n";

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
    assert_true(variants.count > 0);
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
    kgen_emission_write(emission, folder, &error);
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
        if (entry->d_name[0] == '.')
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
    stored.layout = problem->op == KGEN_OP_QMV ? KGEN_STORED : problem->layout;
    return stored;
}

static void write_packing(const struct fixture *fixture, const struct kgen_problem *problem, const size_t *at,
                          struct kgen_text *text)
{
    const struct {
        size_t at;
        long long words, word_bytes;
    } arrays[] = {
        {at[KGEN_BUFFER_WEIGHTS], problem->K * problem->bits / 32, 4},
        {at[KGEN_BUFFER_SCALES], problem->K / problem->group_size, kgen_dtype_bytes(problem->scales)},
        {at[KGEN_BUFFER_BIASES], problem->K / problem->group_size, kgen_dtype_bytes(problem->scales)},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(arrays); i++) {
        if (arrays[i].at != SIZE_MAX)
            kgen_text_printf(text, "        %s_pack_tiles16(input + %zu, packed[%zu], %lld, %lld, %lld);\n",
                             fixture->spec->identifier, arrays[i].at, i, (long long)problem->N,
                             arrays[i].words, arrays[i].word_bytes);
    }
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
    struct kgen_text text = {0}, path = {0};
    kgen_text_puts(
        &text,
        "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include \"qmv.h\"\n"
        "#include \"dequantize.h\"\n#include \"rms_norm.h\"\n#include \"rope.h\"\n#include \"swiglu.h\"\n"
        "#include \"add.h\"\n"
        "static unsigned char input[1 << 20], packed[3][1 << 17];\n_Alignas(64) static unsigned char "
        "workspace[1 << 20];\n"
        "static float output[1 << 18], residual[1 << 18];\n"
        "static void get(int i)\n{\n    char name[32];\n    sprintf(name, \"in%d.bin\", i);\n"
        "    FILE *file = fopen(name, \"rb\");\n    if (file == NULL || fread(input, 1, sizeof input, file) "
        "== 0)\n"
        "        exit(9);\n    fclose(file);\n}\n"
        "static void put(const char *what, const float *from, int i, size_t bytes)\n{\n    char name[32];\n"
        "    sprintf(name, \"%s%d.bin\", what, i);\n"
        "    FILE *file = fopen(name, \"wb\");\n    if (file == NULL || fwrite(from, 1, bytes, file) != "
        "bytes)\n"
        "        exit(9);\n    fclose(file);\n}\n"
        "int main(int argc, char **argv)\n{\n    const char *which = argc > 1 ? argv[1] : \"\";\n"
        "    int found = 0;\n");
    for (size_t s = 0; s < KGEN_COUNT_OF(kinds); s++) {
        kgen_text_printf(&text, "#if %s\n    if (strcmp(which, \"%s\") == 0) {\n        found = 1;\n",
                         kinds[s].guard, kinds[s].name);
        for (size_t i = 0; i < fixture->spec->count; i++) {
            const struct kgen_problem *problem = &fixture->spec->entries[i].problem;
            const struct kgen_problem stored = as_stored(problem);
            struct kgen_timing_buffers buffers = {0};
            struct kgen_text name = {0};
            size_t sizes[KGEN_BUFFER_COUNT];
            kgen_operation_sizes(problem, sizes);
            assert_int_equal(kgen_timing_buffers_fill(&buffers, &stored, 0, 1, NULL), 0);
            const size_t *at = buffers.offsets;
            if (kinds[s].isa == KGEN_ISA_COUNT) {
                kgen_text_printf(&name, "%s_", fixture->spec->identifier);
                kgen_problem_name(problem, &name);
            } else {
                kgen_text_puts(&name, kgen_emission_kernel(fixture->emission, i, kinds[s].isa)->name.data);
            }
            const size_t range = kgen_operation_range(problem);
            kgen_text_printf(&text, "        get(%zu);\n        memset(output, 255, sizeof output);\n", i);
            /* Two ranges, as two threads would. */
            const size_t ranges[2][2] = {{0, range / 2}, {range / 2, range}};
            if (problem->op == KGEN_OP_QMV)
                kgen_text_printf(
                    &text,
                    "        if (%s_workspace_size() > sizeof workspace)\n            return 8;\n"
                    "        %s_prepare((const float *)(const void *)(input + %zu), workspace);\n",
                    name.data, name.data, at[KGEN_BUFFER_X]);
            if (problem->layout == KGEN_TILES16)
                write_packing(fixture, problem, at, &text);
            if (problem->op == KGEN_OP_ROPE)
                kgen_text_printf(&text, "        %s_prepare(77, workspace);\n", name.data);
            if (problem->residual)
                kgen_text_puts(&text, "        for (int j = 0; j < 1 << 18; j++)\n"
                                      "            residual[j] = (float)(j * 37 % 201 - 100) / 64;\n");
            for (int part = 0; part < 2; part++) {
                const char *x = "(const float *)(const void *)(input + ";
                const size_t begin = ranges[part][0], end = ranges[part][1];
                kgen_text_printf(&text, "        %s(", name.data);
                switch (problem->op) {
                case KGEN_OP_QMV:
                case KGEN_OP_DEQUANTIZE:
                    if (problem->layout == KGEN_TILES16) {
                        kgen_text_puts(&text, "packed[0], packed[1], packed[2], workspace, output");
                        break;
                    }
                    kgen_text_printf(&text, "input + %zu, input + %zu, input + %zu, %soutput",
                                     at[KGEN_BUFFER_WEIGHTS], at[KGEN_BUFFER_SCALES],
                                     at[KGEN_BUFFER_BIASES] == SIZE_MAX ? 0 : at[KGEN_BUFFER_BIASES],
                                     problem->op == KGEN_OP_QMV ? "workspace, " : "");
                    break;
                case KGEN_OP_RMS_NORM:
                    kgen_text_printf(&text, "%s%zu), %s%zu), %soutput", x, at[KGEN_BUFFER_X], x,
                                     at[KGEN_BUFFER_WEIGHT], problem->residual ? "residual, " : "");
                    break;
                case KGEN_OP_ROPE:
                    kgen_text_printf(&text, "%s%zu), workspace, output", x, at[KGEN_BUFFER_X]);
                    break;
                default:
                    kgen_text_printf(&text, "%s%zu), %s%zu), output", x, at[KGEN_BUFFER_X], x,
                                     at[KGEN_BUFFER_X2]);
                }
                kgen_text_printf(&text, ", %zu, %zu);\n", begin, end);
            }
            kgen_text_printf(&text, "        put(\"out\", output, %zu, %zu);\n", i, sizes[KGEN_BUFFER_Y]);
            if (problem->residual)
                kgen_text_printf(&text, "        put(\"residual\", residual, %zu, %zu);\n", i,
                                 sizes[KGEN_BUFFER_RESIDUAL]);
            struct kgen_text input_path = {0};
            kgen_text_printf(&input_path, "%s/in%zu.bin", fixture->folder, i);
            assert_int_equal(
                kgen_file_write(input_path.data, (const char *)buffers.arena, buffers.copy_bytes, NULL), 0);
            kgen_text_free(&input_path);
            kgen_text_free(&name);
            kgen_timing_buffers_free(&buffers);
        }
        kgen_text_puts(&text, "    }\n#endif\n");
    }
    kgen_text_puts(&text, "    return found ? 0 : 7;\n}\n");
    kgen_text_printf(&path, "%s/driver.c", fixture->folder);
    assert_int_equal(kgen_file_write(path.data, text.data, text.length, NULL), 0);
    kgen_text_free(&path);
    kgen_text_free(&text);
}

/* Holds a file of the driver's against what is expected. */
static void compare_file(const struct fixture *fixture, const char *what, const char *name, size_t entry,
                         const double *expected, const double *bound, size_t count)
{
    struct kgen_text path = {0}, output = {0};
    kgen_text_printf(&path, "%s/%s%zu.bin", fixture->folder, name, entry);
    assert_int_equal(kgen_file_read(path.data, 1 << 24, &output, NULL), 0);
    assert_int_equal(output.length, count * sizeof(float));
    for (size_t i = 0; i < count; i++) {
        float value;
        memcpy(&value, output.data + sizeof value * i, sizeof value);
        if (!(fabs((double)value - expected[i]) <= bound[i]))
            fail_msg("%s: entry %zu, %s[%zu] = %.9g, expected %.9g +- %.3g", what, entry, name, i,
                     (double)value, expected[i], bound[i]);
    }
    unlink(path.data);
    kgen_text_free(&path);
    kgen_text_free(&output);
}

/* Holds the driver's outputs against the reference. Returns the number of elements looked at; adds to
 * residuals those of residuals. */
static size_t compare_outputs(const struct fixture *fixture, const char *what, size_t *residuals)
{
    size_t elements = 0;
    for (size_t i = 0; i < fixture->spec->count; i++) {
        const struct kgen_problem stored = as_stored(&fixture->spec->entries[i].problem);
        const struct kgen_problem *problem = &stored;
        struct kgen_timing_buffers buffers = {0};
        struct kgen_arguments arguments = {.position = 77};
        size_t sizes[KGEN_BUFFER_COUNT];
        kgen_operation_sizes(problem, sizes);
        const size_t count = sizes[KGEN_BUFFER_Y] / sizeof(float);
        assert_int_equal(kgen_timing_buffers_fill(&buffers, problem, 0, 1, NULL), 0);
        kgen_timing_buffers_point(&buffers, 0, &arguments);
        double *numbers = calloc(4 * count, sizeof *numbers);
        float *residual = calloc(count, sizeof *residual);
        assert_non_null(numbers);
        assert_non_null(residual);
        for (size_t j = 0; j < count; j++)
            residual[j] = (float)((int)(j * 37 % 201) - 100) / 64; /* as the driver does */
        arguments.buffers[KGEN_BUFFER_RESIDUAL] = residual;
        assert_int_equal(kgen_reference(problem, &arguments, numbers, numbers + count, numbers + 2 * count,
                                        numbers + 3 * count),
                         0);
        compare_file(fixture, what, "out", i, numbers, numbers + count, count);
        if (problem->residual) {
            compare_file(fixture, what, "residual", i, numbers + 2 * count, numbers + 3 * count, count);
            *residuals += count;
        }
        elements += count;
        free(numbers);
        free(residual);
        kgen_timing_buffers_free(&buffers);
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
    if (run("cd %s && for f in *.c; do %s %s -c $f -o $f.o >>log 2>&1 || { cat log; exit 1; }; done; test ! "
            "-s log",
            fixture->folder, build->compiler, build->flags) != 0)
        fail_msg("%s: does not compile without warnings", build->name);
    const char *const link_flags = strstr(build->flags, "-static") != NULL ? "-static" : "";
    assert_int_equal(run("cd %s && %s %s -o example $(ls *.c.o | grep -v driver) -lm", fixture->folder,
                         build->compiler, link_flags),
                     0);
    assert_int_equal(run("cd %s && %s ./example >example.log || { cat example.log; exit 1; }",
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
    run("cd %s && rm -f *.o driver example log", fixture->folder);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bytes_each_time), cmocka_unit_test(gcc_optimised),
        cmocka_unit_test(gcc_unoptimised),      cmocka_unit_test(clang_optimised),
        cmocka_unit_test(tcc_generic),          cmocka_unit_test(aarch64_neon),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
