/* SPDX-License-Identifier: MIT */
/* The step of a model as C: compiled by gcc and clang, its logits are those of the decoder in memory, bit for
 * bit, with one thread and two. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api_fixture.h"
#include "gen/base/file.h"
#include "gen/emit/internal.h"
#include "gguf_fixture.h"
#include "package_fixture.h"
#include "runtime/api/model.h"

#define SEED UINT64_C(79)

enum { CONTEXT = 48, STEPS = 16, PROMPT = 11, PROMPT_ROWS = 8 };

struct model_case {
    const char *name;
    struct kgen_test_llama shape;
    struct kgen_test_llama_types types;
    const struct kgen_test_packing *packing;
    const char *cache_dtype;
    int64_t prompt_rows;
};

static const struct model_case cases[] = {
    {"tiles, tied, norms of q and k",
     {.hidden = 64,
      .intermediate = 96,
      .layers = 3,
      .heads = 4,
      .kv_heads = 2,
      .head_dim = 32,
      .vocab = 50,
      .eps = 1e-6f,
      .theta = 1000000,
      .tied = true,
      .architecture = "qwen3"},
     {KGEN_GGUF_TENSOR_Q8_0, KGEN_GGUF_TENSOR_Q4_1, KGEN_GGUF_TENSOR_Q4_0, KGEN_GGUF_TENSOR_Q8_0,
      KGEN_GGUF_TENSOR_F32},
     &kgen_test_in_tiles,
     "f16",
     PROMPT_ROWS},
    {"stored, not tied, biases",
     {.hidden = 96,
      .intermediate = 160,
      .layers = 2,
      .heads = 3,
      .kv_heads = 1,
      .head_dim = 32,
      .vocab = 70,
      .architecture = "qwen2"},
     {KGEN_GGUF_TENSOR_Q8_0, KGEN_GGUF_TENSOR_Q4_0, KGEN_GGUF_TENSOR_Q4_1, KGEN_GGUF_TENSOR_Q8_0,
      KGEN_GGUF_TENSOR_F32},
     &kgen_test_as_stored,
     "f32",
     1},
};

/* Writes the logits of steps, and those after a prompt, to a file. Its parts run on threads of their own. */
static const char drive[] =
    "#define main generate_main\n"
    "#include \"example/generate.c\"\n"
    "#undef main\n"
    "#include <pthread.h>\n"
    "struct thread { pthread_t thread; MODEL(_part) *part; void *job; size_t index, parts; };\n"
    "static void *run_thread(void *context)\n"
    "{\n"
    "    struct thread *thread = context;\n"
    "    thread->part(thread->job, thread->index, thread->parts);\n"
    "    return NULL;\n"
    "}\n"
    "static void run_threads(void *context, MODEL(_part) *part, void *job, size_t parts)\n"
    "{\n"
    "    struct thread threads[8];\n"
    "    (void)context;\n"
    "    for (size_t i = 0; i < parts; i++) {\n"
    "        threads[i] = (struct thread){.part = part, .job = job, .index = i, .parts = parts};\n"
    "        if (pthread_create(&threads[i].thread, NULL, run_thread, &threads[i]) != 0)\n"
    "            abort();\n"
    "    }\n"
    "    for (size_t i = 0; i < parts; i++)\n"
    "        pthread_join(threads[i].thread, NULL);\n"
    "}\n"
    "int main(int argc, char **argv)\n"
    "{\n"
    "    static struct MODEL(_model) model;\n"
    "    static float logits[MODEL(_vocabulary)];\n"
    "    int32_t tokens[64];\n"
    "    struct package package;\n"
    "    FILE *file = fopen(argv[2], \"wb\");\n"
    "    if (argc != 5 || file == NULL || open_package(&package, argv[1]) != 0 ||\n"
    "        MODEL(_bind)(&model.weights, find_array, &package) != 0)\n"
    "        return 1;\n"
    "    model.threads = (size_t)atoi(argv[3]);\n"
    "    model.rows = (size_t)atoi(argv[4]);\n"
    "    model.run = model.threads > 1 ? run_threads : NULL;\n"
    "    const size_t sizes[] = {MODEL(_state_size)(), MODEL(_scratch_size)(model.threads, model.rows)};\n"
    "    unsigned char *memory[] = {aligned_alloc(64, sizes[0] + 64), aligned_alloc(64, sizes[1] + 64)};\n"
    "    for (size_t i = 0; i < 2; i++)\n"
    "        memset(memory[i], 0xff, sizes[i] + 64); /* NaNs: nothing of before is read */\n"
    "    model.state = memory[0];\n"
    "    model.scratch = memory[1];\n"
    "    for (int i = 0; i < 64; i++)\n"
    "        tokens[i] = (i * 7919 + 13) % MODEL(_vocabulary);\n"
    "    for (int i = 0; i < STEPS; i++) {\n"
    "        if (MODEL(_step)(&model, tokens[i], i, logits) != 0)\n"
    "            return 1;\n"
    "        fwrite(logits, sizeof logits, 1, file);\n"
    "    }\n"
    "    if (run_tokens(&model, tokens, PROMPT, 3, logits) != 0)\n"
    "        return 1;\n"
    "    fwrite(logits, sizeof logits, 1, file);\n"
    "    if (MODEL(_step)(&model, -1, 0, logits) != -1 || MODEL(_step)(&model, 0, CONTEXT, logits) != -1 ||\n"
    "        MODEL(_step)(&model, MODEL(_vocabulary), 0, logits) != -1)\n"
    "        return 1;\n"
    "    if (run_tokens(&model, tokens, CONTEXT, 0, logits) != 0 ||\n"
    "        run_tokens(&model, tokens, CONTEXT, 1, logits) == 0)\n"
    "        return 1;\n"
    "    for (size_t i = 0; i < 2 * 64; i++) {\n"
    "        if (memory[i / 64][sizes[i / 64] + i % 64] != 0xff)\n"
    "            return 1;\n"
    "    }\n"
    "    return fclose(file) != 0;\n"
    "}\n";

static int run(const char *format, ...)
{
    char command[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    return system(command);
}

static void check(const struct kgen_error *error)
{
    char text[1200];
    if (error->code != KGEN_ERROR_NONE)
        fail_msg("%s", kgen_error_format(error, text, sizeof text));
}

static struct kgen_model *open_package(struct kgen_context *context, const char *path,
                                       const struct model_case *item)
{
    const struct kgen_model_options options = {
        .cache_dtype = item->cache_dtype, .context = CONTEXT, .prompt_rows = item->prompt_rows};
    struct kgen_status status = {0};
    struct kgen_model *model = kgen_model_of_checkpoint(context, path, &options, &status);
    char text[1024];
    if (model == NULL)
        fail_msg("%s: %s", item->name, kgen_status_format(&status, text, sizeof text));
    return model;
}

/* The variant of a function of the plan, by its name. */
static struct kgen_variant find_variant(const struct kgen_templates *templates,
                                        const struct kgen_function *function)
{
    struct kgen_error error = {0};
    struct kgen_variants variants = {0};
    struct kgen_variant found = {0};
    kgen_variants_list(templates, &function->kernel.problem, 1u << function->isa, &variants, &error);
    check(&error);
    for (size_t i = 0; i < variants.count; i++) {
        struct kgen_text name = {0};
        kgen_variant_name(&variants.items[i], &name);
        if (strcmp(name.data, function->variant.data) == 0)
            found = variants.items[i];
        kgen_text_free(&name);
    }
    kgen_variants_free(&variants);
    assert_non_null(found.tmpl);
    return found;
}

/* The sources of the kernels that the model has in memory. */
static struct kgen_emission *emit(const struct kgen_model *model, const struct kgen_templates *templates,
                                  struct kgen_variant *tuned)
{
    struct kgen_error error = {0};
    unsigned isas = 0;
    for (size_t i = 0; i < model->spec->count; i++) {
        tuned[i] = find_variant(templates, &model->plan->functions[i]);
        isas |= 1u << tuned[i].isa;
    }
    const struct kgen_emit_input input = {.spec = model->spec,
                                          .templates = templates,
                                          .tuned = tuned,
                                          .prefix = "tiny",
                                          .command = "a test",
                                          .isas = isas,
                                          .model = true};
    struct kgen_emission *emission = kgen_emission_new(&input, &error);
    check(&error);
    return emission;
}

static void expect_same_files(const struct kgen_emission *one, const struct kgen_emission *other)
{
    assert_int_equal(one->files->count, other->files->count);
    for (size_t i = 0; i < one->files->count; i++) {
        assert_string_equal(one->files->items[i].name.data, other->files->items[i].name.data);
        assert_string_equal(one->files->items[i].text.data, other->files->items[i].text.data);
    }
}

/* Writes the sources into the fixture's folder, and compiles their kernels. */
static void write_sources(const struct api_fixture *fixture, const struct kgen_model *model)
{
    struct kgen_error error = {0};
    struct kgen_variant *tuned = calloc(model->spec->count, sizeof *tuned);
    struct kgen_templates *templates = kgen_templates_open(NULL, "c", &error);
    check(&error);
    assert_non_null(tuned);
    struct kgen_emission *emission = emit(model, templates, tuned), *again = emit(model, templates, tuned);
    char folder[128], path[160];
    expect_same_files(emission, again);
    snprintf(folder, sizeof folder, "%s/out", fixture->folder);
    kgen_emission_write(emission, folder, false, &error);
    check(&error);
    snprintf(path, sizeof path, "%s/drive.c", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(drive, file);
    fclose(file);
    kgen_emission_free(emission);
    kgen_emission_free(again);
    kgen_templates_free(templates);
    free(tuned);
    assert_int_equal(run("cd %s && mv tiny_example example && gcc -O1 -std=c11 -c $(ls *.c | grep -v -e "
                         "model.c -e drive.c)",
                         folder),
                     0);
}

/* The logits that the decoder in memory gives for what the program does. */
static float *expect_logits(const struct kgen_model *model)
{
    struct kgen_error error = {0};
    const size_t vocabulary = (size_t)kgen_decoder_vocabulary(model->decoder);
    float *expected = calloc((STEPS + 1) * vocabulary, sizeof *expected);
    int32_t tokens[CONTEXT];
    assert_non_null(expected);
    for (int32_t i = 0; i < CONTEXT; i++)
        tokens[i] = (i * 7919 + 13) % (int32_t)vocabulary;
    for (int64_t i = 0; i <= STEPS; i++) {
        const float *logits = i < STEPS ? kgen_decoder_step(model->decoder, tokens[i], i, &error)
                                        : kgen_decoder_prompt(model->decoder, tokens, PROMPT, 3, &error);
        assert_non_null(logits);
        memcpy(expected + (size_t)i * vocabulary, logits, vocabulary * sizeof *logits);
    }
    return expected;
}

/* Compiles the step with a compiler, runs it and compares. Returns the logits compared. */
static size_t check_compiler(const struct api_fixture *fixture, const struct model_case *item,
                             const char *compiler, const float *expected, size_t vocabulary)
{
    static const char flags[] = "-O2 -std=c11 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror";
    struct kgen_error error = {0};
    const size_t count = (STEPS + 1) * vocabulary;
    size_t compared = 0;
    if (run("command -v %s >/dev/null", compiler) != 0) {
        print_message("skipped: there is no %s\n", compiler);
        return 0;
    }
    assert_int_equal(run("cd %s/out && %s %s -c tiny_model.c && %s %s '-DMODEL(name)=tiny##name' -DSTEPS=%d "
                         "-DPROMPT=%d -DCONTEXT=%d -o drive drive.c *.o -lm -lpthread",
                         fixture->folder, compiler, flags, compiler, flags, STEPS, PROMPT, CONTEXT),
                     0);
    for (int threads = 1; threads <= 2; threads++) {
        struct kgen_text found = {0};
        char path[128];
        assert_int_equal(run("cd %s && out/drive model.kgen logits %d %lld", fixture->folder, threads,
                             (long long)item->prompt_rows),
                         0);
        snprintf(path, sizeof path, "%s/logits", fixture->folder);
        kgen_file_read(path, SIZE_MAX, &found, &error);
        check(&error);
        assert_int_equal(found.length, count * sizeof *expected);
        const float *logits = (const float *)(const void *)found.data;
        for (size_t i = 0; i < count; i++, compared++) {
            if (memcmp(&logits[i], &expected[i], sizeof *logits) != 0)
                fail_msg("%s, seed %llu, %s, %d threads: logit %zu of step %zu is %.9g, in memory %.9g",
                         item->name, (unsigned long long)SEED, compiler, threads, i % vocabulary,
                         i / vocabulary, (double)logits[i], (double)expected[i]);
        }
        kgen_text_free(&found);
    }
    return compared;
}

static void test_logits_are_those_in_memory(void **state)
{
    static const char *const compilers[] = {"gcc", "clang"};
    struct api_fixture *fixture = *state;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        const struct model_case *item = &cases[i];
        char gguf[128], package[128];
        size_t compared = 0;
        snprintf(gguf, sizeof gguf, "%s/model.gguf", fixture->folder);
        snprintf(package, sizeof package, "%s/model.kgen", fixture->folder);
        kgen_test_write_llama(gguf, &item->shape, SEED, &item->types);
        kgen_test_pack_well(gguf, package, item->packing);
        struct kgen_settings settings = api_settings(fixture, KGEN_ESTIMATE);
        settings.threads = 2;
        struct kgen_context *context = api_open(&settings);
        struct kgen_model *model = open_package(context, package, item);
        float *expected = expect_logits(model);
        write_sources(fixture, model);
        for (size_t j = 0; j < KGEN_COUNT_OF(compilers); j++)
            compared += check_compiler(fixture, item, compilers[j], expected, (size_t)item->shape.vocab);
        assert_true(compared > 0);
        free(expected);
        kgen_model_close(model);
        kgen_close(context);
        assert_int_equal(
            run("rm -r %s/out %s/model.* %s/logits", fixture->folder, fixture->folder, fixture->folder), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_logits_are_those_in_memory, api_setup, api_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
