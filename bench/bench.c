/* SPDX-License-Identifier: MIT */
/* `make bench`: each qmv of a spec in one run, side by side: the tuned candidate through TinyCC, the same
 * variant by cc -O3, the generic variant through TinyCC and by cc -O3. Prints times, GB/s, shares of the read
 * bandwidth measured in the same run, compile times and ratios; with --json FILE writes them as JSON as well.
 * Weights are cold: rotated over copies that exceed twice the last-level cache. */
#define _DEFAULT_SOURCE
#include "runtime/jit/compile.h"
#include "runtime/process/worker.h"
#include "runtime/tune/bandwidth.h"
#include "runtime/tune/contest.h"
#include "runtime/tune/tune.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum contender { TUNED_TCC, TUNED_CC, GENERIC_TCC, GENERIC_CC, CONTENDERS };

static const char *const contender_names[CONTENDERS] = {"tuned, TinyCC", "tuned, cc -O3", "generic, TinyCC",
                                                        "generic, cc -O3"};
static const char *const contender_keys[CONTENDERS] = {"tuned_tcc", "tuned_cc", "generic_tcc", "generic_cc"};

struct result {
    double seconds[CONTENDERS];
    double compile_seconds[CONTENDERS];
    double read_seconds; /* to merely read the same bytes */
    char failure[160];
};

struct bench {
    const struct kgen_templates *templates;
    struct kgen_machine machine;
    struct kgen_timing_buffers buffers;
    const struct kgen_choice *choice;
    struct kgen_variant generic;
    struct result result;
    struct kgen_outcome outcome;
    unsigned rounds;
};

static struct kgen_code *compile(const struct bench *bench, enum contender contender,
                                 struct kgen_kernel *kernel, double *seconds, struct kgen_error *error)
{
    const bool tuned = contender == TUNED_TCC || contender == TUNED_CC;
    const struct kgen_variant *variant = tuned ? &bench->choice->variant : &bench->generic;
    const enum kgen_engine engine =
        contender == TUNED_TCC || contender == GENERIC_TCC ? KGEN_ENGINE_TCC : KGEN_ENGINE_CC;
    const struct kgen_compile_options options = {.engine = engine};
    const double start = kgen_clock();
    struct kgen_code *code = kgen_kernel_compile(variant, &bench->choice->problem, &options, kernel, error);
    *seconds = kgen_clock() - start;
    return code;
}

/* In the child: all contenders in turns. The generic variant is slow through TinyCC: three samples are
 * enough. */
static void job(size_t index, void *memory, struct kgen_worker *worker, void *context)
{
    (void)index;
    const struct bench *bench = context;
    struct result *result = memory;
    struct kgen_code *codes[CONTENDERS] = {NULL};
    struct kgen_contestant contestants[CONTENDERS] = {[GENERIC_TCC] = {.most_rounds = 3}};
    const struct kgen_contest contest = {.machine = &bench->machine,
                                         .templates = bench->templates,
                                         .buffers = &bench->buffers,
                                         .rounds = bench->rounds};
    struct kgen_error error = {0};
    kgen_worker_stage(worker, "compile", 120);
    for (int i = 0; i < CONTENDERS && error.code == KGEN_ERROR_NONE; i++)
        codes[i] =
            compile(bench, (enum contender)i, &contestants[i].kernel, &result->compile_seconds[i], &error);
    kgen_worker_stage(worker, "time", 600);
    if (error.code == KGEN_ERROR_NONE)
        kgen_contest_run(&contest, contestants, CONTENDERS, &result->read_seconds, &error);
    if (error.code != KGEN_ERROR_NONE)
        kgen_error_format(&error, result->failure, sizeof result->failure);
    for (int i = 0; i < CONTENDERS; i++) {
        result->seconds[i] = contestants[i].seconds;
        kgen_code_free(codes[i]);
    }
}

static int report(size_t index, const struct kgen_outcome *outcome, const void *result, void *context)
{
    (void)index;
    struct bench *bench = context;
    bench->outcome = *outcome;
    memcpy(&bench->result, result, sizeof bench->result);
    return 0;
}

static int run(struct bench *bench, const struct kgen_choice *choice, struct kgen_error *error)
{
    bench->choice = choice;
    struct kgen_variants generic = {0};
    if (kgen_variants_list(bench->templates, &choice->problem, 1u << KGEN_ISA_GENERIC, &generic, error) != 0)
        return -1;
    if (generic.count == 0)
        return kgen_error_set(error, KGEN_ERROR_TEMPLATE, NULL, 0, 0, "there is no generic variant");
    bench->generic = generic.items[0];
    kgen_variants_free(&generic);
    if (kgen_timing_buffers_fill(&bench->buffers, &choice->problem,
                                 kgen_machine_last_level_cache(&bench->machine), 1, error) != 0)
        return -1;
    const struct kgen_worker_options options = {.limit_seconds = 120};
    if (kgen_workers_run(&options, 1, sizeof(struct result), job, report, bench, error) != 0)
        return -1;
    if (bench->outcome.kind != KGEN_OUTCOME_DONE)
        return kgen_error_set(error, KGEN_ERROR_CANDIDATE, NULL, 0, 0,
                              "the benchmark's process ended in stage %s", bench->outcome.stage);
    if (bench->result.failure[0] != '\0')
        return kgen_error_set(error, KGEN_ERROR_COMPILE, NULL, 0, 0, "%s", bench->result.failure);
    return 0;
}

static void print_problem(const struct bench *bench, const struct kgen_choice *choice)
{
    const struct kgen_problem *problem = &choice->problem;
    const double bytes = kgen_problem_bytes(problem);
    struct kgen_text name = {0};
    kgen_variant_name(&choice->variant, &name);
    printf(
        "\nqmv N=%lld K=%lld bits=%lld group_size=%lld activation_dtype=%s, %.0f MB, %d threads, cold: %s\n",
        (long long)kgen_problem_get(problem, "N"), (long long)kgen_problem_get(problem, "K"),
        (long long)kgen_problem_get(problem, "bits"), (long long)kgen_problem_get(problem, "group_size"),
        kgen_constant_name(kgen_problem_get(problem, "activation_dtype")), bytes / 1e6, (int)problem->threads,
        name.data);
    kgen_text_free(&name);
    printf("  %-16s %10.1f us %7.1f GB/s\n", "reading alone", bench->result.read_seconds * 1e6,
           bytes / bench->result.read_seconds / 1e9);
    for (int i = 0; i < CONTENDERS; i++) {
        const double rate = bytes / bench->result.seconds[i];
        printf("  %-16s %10.1f us %7.1f GB/s %5.1f%% of reading alone, %6.2f times TinyCC's tuned time, "
               "compiled in %.2f ms\n",
               contender_names[i], bench->result.seconds[i] * 1e6, rate / 1e9,
               100 * bench->result.read_seconds / bench->result.seconds[i],
               bench->result.seconds[i] / bench->result.seconds[TUNED_TCC],
               bench->result.compile_seconds[i] * 1e3);
    }
}

static json_t *problem_json(const struct bench *bench, const struct kgen_choice *choice)
{
    struct kgen_text problem = {0}, name = {0};
    kgen_problem_write(&choice->problem, &problem);
    kgen_variant_name(&choice->variant, &name);
    json_t *item =
        json_pack("{s:o, s:s, s:f, s:f}", "problem", json_loads(problem.data, 0, NULL), "variant", name.data,
                  "bytes", kgen_problem_bytes(&choice->problem), "read_us", bench->result.read_seconds * 1e6);
    for (int i = 0; i < CONTENDERS; i++)
        json_object_set_new(item, contender_keys[i],
                            json_pack("{s:f, s:f}", "cold_us", bench->result.seconds[i] * 1e6, "compile_us",
                                      bench->result.compile_seconds[i] * 1e6));
    kgen_text_free(&problem);
    kgen_text_free(&name);
    return item;
}

/* Sums of logarithms, for geometric means. */
struct ratios {
    double cc, generic_tcc, generic_cc;
    unsigned count;
};

static void add_ratios(struct ratios *ratios, const struct result *result)
{
    const double *seconds = result->seconds;
    ratios->cc += log(seconds[TUNED_CC] / seconds[TUNED_TCC]);
    ratios->generic_tcc += log(seconds[GENERIC_TCC] / seconds[TUNED_TCC]);
    ratios->generic_cc += log(seconds[GENERIC_CC] / seconds[TUNED_TCC]);
    ratios->count++;
}

static void print_ratios(const char *title, const struct ratios *ratios)
{
    if (ratios->count == 0)
        return;
    const double n = ratios->count;
    printf("%s, geometric means over %u problems:\n"
           "  tuned by TinyCC / tuned by cc -O3 -march=native    %6.3f (time ratio, 1 is equal)\n"
           "  generic by TinyCC / tuned by TinyCC                %6.1f\n"
           "  generic by cc -O3 -march=native / tuned by TinyCC  %6.2f\n",
           title, ratios->count, exp(-ratios->cc / n), exp(ratios->generic_tcc / n),
           exp(ratios->generic_cc / n));
}

static void warn(void *context, int level, const char *message)
{
    (void)context;
    (void)level;
    fprintf(stderr, "bench: %s\n", message);
}

static int fail(const struct kgen_error *error)
{
    char text[1200];
    fprintf(stderr, "bench: %s\n", kgen_error_format(error, text, sizeof text));
    return 1;
}

/* Writes what was measured to a file. problems is taken over. Returns the exit status. */
static int write_json(const char *path, const struct bench *bench, const char *spec,
                      const struct kgen_bandwidth *bandwidth, json_t *problems)
{
    json_t *document =
        json_pack("{s:s, s:i, s:s, s:f, s:f, s:o}", "machine", bench->machine.name, "threads",
                  bench->machine.threads, "spec", spec, "read_bandwidth_one_thread", bandwidth->one_thread,
                  "read_bandwidth", bandwidth->all_threads, "problems", problems);
    const bool failed =
        path != NULL && json_dump_file(document, path, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) != 0;
    if (failed)
        fprintf(stderr, "bench: cannot write %s\n", path);
    json_decref(document);
    return failed;
}

int main(int argc, char **argv)
{
    const char *spec_path = "specs/qwen.json", *json_path = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0 && i + 1 < argc)
            json_path = argv[++i];
        else
            spec_path = argv[i];
    }
    struct kgen_error error = {0};
    struct bench bench = {.rounds = 15};
    kgen_machine_detect(&bench.machine);
    struct kgen_spec *spec = kgen_spec_read(spec_path, NULL, &error);
    struct kgen_templates *templates = spec != NULL ? kgen_templates_open(NULL, "c", &error) : NULL;
    struct kgen_text folder = {0};
    if (templates == NULL)
        return fail(&error);
    bench.templates = templates;
    const bool has_folder = kgen_cache_folder(NULL, &folder) == 0;
    struct kgen_cache *cache = kgen_cache_open(has_folder ? folder.data : NULL, warn, NULL, &error);
    const struct kgen_tune_options options = {
        .effort = KGEN_EFFORT_MEASURE, .threads = bench.machine.threads, .seed = 1};
    struct kgen_tuner *tuner =
        cache != NULL ? kgen_tuner_new(templates, &bench.machine, cache, &options, &error) : NULL;
    struct kgen_bandwidth bandwidth;
    if (tuner == NULL ||
        kgen_bandwidth_measure(&bench.machine, templates, bench.machine.threads, &bandwidth, &error) != 0)
        return fail(&error);
    printf("%s, %d threads, %s; spec %s\n", bench.machine.name, bench.machine.threads,
           kgen_isa_info(kgen_machine_best_isa(&bench.machine))->needs, spec->name);
    printf("read bandwidth: %.1f GB/s with 1 thread, %.1f GB/s with %d\n", bandwidth.one_thread / 1e9,
           bandwidth.all_threads / 1e9, bandwidth.threads);

    json_t *items = json_array();
    struct ratios all = {0}, four_bits = {0};
    for (size_t i = 0; i < spec->count; i++) {
        struct kgen_choice choice;
        if (!kgen_problem_has(&spec->entries[i].problem, "activation_dtype"))
            continue;
        if (kgen_tune(tuner, &spec->entries[i].problem, NULL, NULL, &choice, &error) < 0 ||
            choice.variant.tmpl == NULL || run(&bench, &choice, &error) != 0)
            return fail(&error);
        print_problem(&bench, &choice);
        json_array_append_new(items, problem_json(&bench, &choice));
        add_ratios(&all, &bench.result);
        if (kgen_problem_get(&choice.problem, "bits") == 4)
            add_ratios(&four_bits, &bench.result);
    }
    printf("\n");
    print_ratios("all qmv", &all);
    if (four_bits.count != all.count)
        print_ratios("4 bits", &four_bits);
    const int status = write_json(json_path, &bench, spec->name, &bandwidth, items);
    kgen_timing_buffers_free(&bench.buffers);
    kgen_tuner_free(tuner);
    kgen_cache_close(cache);
    kgen_templates_free(templates);
    kgen_spec_free(spec);
    kgen_text_free(&folder);
    return status;
}
