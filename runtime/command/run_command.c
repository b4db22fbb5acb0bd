/* SPDX-License-Identifier: MIT */
/* kgen run: one variant, compiled, proven and timed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/command/arguments.h"
#include "runtime/command/evidence.h"
#include "runtime/command/interrupt.h"
#include "runtime/command/json.h"
#include "runtime/command/select.h"
#include "runtime/command/table.h"
#include "runtime/tune/once.h"

struct run {
    const struct kgen_options *options;
    struct kgen_session session;
    struct kgen_named_template named;
    const struct kgen_problem *problem;
    struct kgen_variant variant;
    struct kgen_text name, engine, described; /* of the variant, of the engine, of the problem */
    bool recorded;                            /* the variant is the choice of the cache */
    struct kgen_once once;
};

static int fail_memory(struct kgen_error *error)
{
    return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
}

/* ---- what to run ---- */

/* Finds the problem among the arguments. *used is the number of arguments that name it. Where a spec has one
 * problem only, the next argument may name the variant. */
static int find_problem(struct run *run, size_t *used, struct kgen_error *error)
{
    const struct kgen_options *options = run->options;
    const struct kgen_spec *spec = run->session.spec;
    const char *source = options->arguments[0], *wanted = NULL;
    *used = 1;
    if (options->argument_count > 1 && !kgen_is_problem_text(source) &&
        strchr(options->arguments[1], '=') == NULL) {
        bool selected = true;
        if (spec->count == 1 &&
            kgen_entry_is_selected(&spec->entries[0], 1, options->arguments[1], &selected, NULL) != 0)
            return fail_memory(error);
        if (selected) {
            wanted = options->arguments[1];
            *used = 2;
        }
    }
    run->problem = kgen_session_find_problem(&run->session, source, wanted, NULL, error);
    return run->problem != NULL ? 0 : -1;
}

/* Gives the name of the variant that a run has chosen for the problem. */
static int find_choice(struct run *run, struct kgen_text *name, struct kgen_error *error)
{
    const struct kgen_options *options = run->options;
    struct kgen_evidence evidence = {0};
    if (kgen_session_open_cache(&run->session, options, error) != 0 ||
        kgen_evidence_collect(&run->session, run->problem, run->engine.data, &evidence, error) != 0)
        return -1;
    int result = 0;
    if (evidence.chosen != NULL) {
        /* With --isa its template and parameters count alone. */
        struct kgen_text variant = {0};
        kgen_variant_name(&evidence.chosen->variant, &variant);
        const char *parameters = variant.failed ? "" : strchr(variant.data, ' ') + 1;
        if (options->isa_given)
            kgen_text_printf(name, "%s%s", kgen_template_name(evidence.chosen->variant.tmpl),
                             parameters + strcspn(parameters, " "));
        else
            kgen_text_puts(name, variant.failed ? "" : variant.data);
        name->failed = name->failed || variant.failed;
        kgen_text_free(&variant);
        run->recorded = !options->isa_given;
    } else {
        result = kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0,
                                "the cache has no choice for this problem on this machine with %d thread%s",
                                (int)run->problem->threads, kgen_plural((size_t)run->problem->threads));
        kgen_error_hint(error, "name a template (kgen list templates), or run kgen SPEC first");
    }
    kgen_evidence_free(&evidence);
    return result;
}

/* Finds the variant: that of the words, or the recorded choice with what the words change. */
static int find_variant(struct run *run, char *const *words, size_t count, struct kgen_error *error)
{
    const struct kgen_options *options = run->options;
    struct kgen_text name = {0};
    if (count > 0 && strchr(words[0], '=') == NULL) {
        kgen_text_puts(&name, words[0]);
        words++;
        count--;
    } else if (find_choice(run, &name, error) != 0) {
        kgen_text_free(&name);
        return -1;
    }
    /* "qmv avx512 rows=1": the template's name, and words of its own. */
    char **all = calloc(count + 1, sizeof *all);
    int result = all == NULL || name.failed ? fail_memory(error) : 0;
    if (result == 0) {
        char *blank = strchr(name.data, ' ');
        if (blank != NULL)
            *blank = '\0';
        all[0] = blank != NULL ? blank + 1 : name.data + name.length;
        for (size_t i = 0; i < count; i++)
            all[i + 1] = words[i];
        run->recorded = run->recorded && count == 0;
        result = kgen_named_template_open(&run->named, &run->session, options, name.data, error);
    }
    if (result == 0)
        result = kgen_variant_of_words(run->named.tmpl, run->problem, options, all, count + 1,
                                       run->session.machine.isas, false, &run->variant, error);
    free(all);
    kgen_text_free(&name);
    return result;
}

/* ---- the result ---- */

static bool is_right(const struct run *run)
{
    return run->once.verification.verdict == KGEN_PASSED;
}

static void print_time(const struct run *run, struct kgen_table *table, const char *name, double seconds,
                       double read_seconds)
{
    kgen_table_cell(table, "%s", name);
    kgen_table_time(table, seconds);
    kgen_table_cell(table, "%.1f", kgen_problem_bytes(run->problem) / seconds * 1e-9);
    kgen_table_time(table, read_seconds);
    kgen_table_cell(table, "%.0f%%", 100 * read_seconds / seconds);
}

static int print_times(const struct run *run)
{
    static const struct kgen_column columns[] = {{"", false, 0},
                                                 {"µs", true, 0},
                                                 {"GB/s", true, 0},
                                                 {"reading alone µs", true, 0},
                                                 {"of reading alone", true, 0}};
    struct kgen_table table = {.columns = columns, .column_count = KGEN_COUNT_OF(columns)};
    const struct kgen_once *once = &run->once;
    print_time(run, &table, "cold", once->timing.cold_seconds, once->timing.read_seconds);
    print_time(run, &table, "hot", once->timing.hot_seconds, once->hot_read_seconds);
    const int result = kgen_table_print(&table, stdout);
    kgen_table_free(&table);
    return result;
}

static void print_counters(const struct kgen_once *once)
{
    const double *values = once->counts.values;
    const char *gap = "";
    for (int i = 0; i < KGEN_COUNTER_COUNT; i++) {
        if (values[i] < 0)
            continue;
        if (gap[0] == '\0')
            printf("a %s call: ", once->counted_cold ? "cold" : "hot");
        struct kgen_text name = {0};
        kgen_text_puts(&name, kgen_counter_name((enum kgen_counter)i));
        for (size_t j = 0; j < name.length; j++)
            name.data[j] = name.data[j] == '_' ? ' ' : name.data[j];
        printf("%s%.0f %s", gap, values[i], name.failed ? "" : name.data);
        kgen_text_free(&name);
        gap = ", ";
    }
    if (values[KGEN_COUNTER_CYCLES] > 0 && values[KGEN_COUNTER_INSTRUCTIONS] >= 0)
        printf("; %.2f instructions a cycle",
               values[KGEN_COUNTER_INSTRUCTIONS] / values[KGEN_COUNTER_CYCLES]);
    if (gap[0] != '\0')
        putchar('\n');
    if (once->counters.reason[0] != '\0')
        printf("%s: %s\n", gap[0] != '\0' ? "not all hardware counters" : "no hardware counters",
               once->counters.reason);
}

static int print_text(const struct run *run)
{
    const struct kgen_once *once = &run->once;
    const struct kgen_verification *verification = &once->verification;
    printf("%s, %d thread%s\n%s%s, compiled by %s in %.2f ms\n", run->described.data,
           (int)run->problem->threads, kgen_plural((size_t)run->problem->threads), run->name.data,
           run->recorded ? " (the recorded choice)" : "", run->engine.data, once->compile_seconds * 1e3);
    if (!is_right(run)) {
        printf("wrong: %s: %s\n", kgen_verdict_name(verification->verdict), verification->detail);
        return 0;
    }
    printf("right: proven on %u inputs, error/bound %.3f\n", verification->cases,
           verification->error_of_bound);
    if (print_times(run) != 0)
        return -1;
    print_counters(once);
    return 0;
}

static json_t *counters_json(const struct kgen_once *once)
{
    if (!once->timed)
        return json_null();
    json_t *object = json_pack("{s:s}", "call", once->counted_cold ? "cold" : "hot");
    for (int i = 0; i < KGEN_COUNTER_COUNT; i++) {
        const double value = once->counts.values[i];
        json_object_set_new(object, kgen_counter_name((enum kgen_counter)i),
                            value >= 0 ? kgen_json_number(value) : json_null());
    }
    if (once->counters.reason[0] != '\0')
        json_object_set_new(object, "reason", kgen_json_string(once->counters.reason));
    return object;
}

static int print_json(const struct run *run)
{
    const struct kgen_once *once = &run->once;
    const struct kgen_verification *verification = &once->verification;
    return kgen_json_print(json_pack(
        "{s:o, s:s, s:o, s:s, s:b, s:s, s:b, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:o}",
        "problem", kgen_json_problem(run->problem), "variant", run->name.data, "parameters",
        kgen_json_parameters(&run->variant), "engine", run->engine.data, "recorded_choice", run->recorded,
        "verdict", kgen_verdict_name(verification->verdict), "right", is_right(run), "detail",
        kgen_json_string(verification->detail), "cases", (json_int_t)verification->cases, "error_of_bound",
        kgen_json_number(verification->error_of_bound), "compile_us",
        kgen_json_positive(once->compile_seconds * 1e6), "cold_us",
        kgen_json_positive(once->timing.cold_seconds * 1e6), "read_us",
        kgen_json_positive(once->timing.read_seconds * 1e6), "hot_us",
        kgen_json_positive(once->timing.hot_seconds * 1e6), "hot_read_us",
        kgen_json_positive(once->hot_read_seconds * 1e6), "repeats", (json_int_t)once->timing.repeats,
        "read_bytes", (json_int_t)once->read_bytes, "counters", counters_json(once)));
}

/* ---- the command ---- */

/* Returns 0; 1 when interrupted; -1. */
static int run_variant(struct run *run, struct kgen_error *error)
{
    const struct kgen_options *options = run->options;
    size_t used;
    if (kgen_session_open_problem(&run->session, options, options->arguments[0], error) != 0 ||
        kgen_engine_describe(options->engine, NULL, &run->engine, error) != 0 ||
        find_problem(run, &used, error) != 0 ||
        find_variant(run, options->arguments + used, options->argument_count - used, error) != 0)
        return -1;
    kgen_problem_describe(run->problem, &run->described);
    kgen_variant_name(&run->variant, &run->name);
    if (run->described.failed || run->name.failed)
        return fail_memory(error);
    const struct kgen_once_options once_options = {.machine = &run->session.machine,
                                                   .templates = run->session.templates,
                                                   .engine = options->engine,
                                                   .threads = run->session.threads,
                                                   .seed = KGEN_PROOF_SEED,
                                                   .cancel = &kgen_interrupted};
    kgen_interrupt_catch();
    const int result = kgen_once_run(&once_options, run->problem, &run->variant, &run->once, error);
    if (result == 0 && (options->json ? print_json(run) : print_text(run)) != 0)
        return kgen_error_set(error, KGEN_ERROR_IO, NULL, 0, 0, "no result");
    return result;
}

static int status_of(const struct run *run)
{
    if (is_right(run))
        return KGEN_EXIT_DONE;
    return run->once.verification.verdict == KGEN_NO_CANDIDATE ? KGEN_EXIT_NO_CANDIDATE : KGEN_EXIT_FAILED;
}

int kgen_command_run(const struct kgen_options *options)
{
    struct run run = {.options = options};
    struct kgen_error error = {0};
    const int result = run_variant(&run, &error);
    int status = result == 1 ? KGEN_EXIT_INTERRUPTED : KGEN_EXIT_NO_CANDIDATE;
    if (result == 0)
        status = status_of(&run);
    else if (result < 0 && error.code == KGEN_ERROR_CANDIDATE)
        kgen_say_error(&error);
    else if (result < 0)
        status = kgen_fail(&error);
    kgen_text_free(&run.name);
    kgen_text_free(&run.engine);
    kgen_text_free(&run.described);
    kgen_named_template_free(&run.named);
    kgen_session_close(&run.session);
    return kgen_finish_output(status);
}
