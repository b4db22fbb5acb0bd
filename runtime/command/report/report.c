/* SPDX-License-Identifier: MIT */
#include "runtime/command/report/report.h"

#include <stdio.h>
#include <stdlib.h>

#include "runtime/command/json.h"
#include "runtime/command/table.h"
#include "runtime/tune/timing.h"

/* Of the table; one more is shown where a choice was not made by a whole search, or in a noisy moment. */
enum { COLUMNS_ALWAYS = 8 };

struct totals {
    unsigned proven, failed, timed, compiled;
};

static struct totals add_up(const struct kgen_report *report)
{
    struct totals totals = {0};
    for (size_t i = 0; i < report->count; i++) {
        totals.proven += report->choices[i].proven;
        totals.failed += report->choices[i].failed;
        totals.timed += report->choices[i].timed;
        totals.compiled += report->choices[i].compiled;
    }
    return totals;
}

/* The time of one call that counts; 0 where it was not timed. */
static double seconds_of(const struct kgen_choice *choice)
{
    return choice->variant.tmpl != NULL ? kgen_record_seconds(&choice->problem, &choice->record) : 0;
}

/* Bytes per second, likewise. */
static double rate_of(const struct kgen_choice *choice)
{
    const double seconds = seconds_of(choice);
    return seconds > 0 ? kgen_problem_bytes(&choice->problem) / seconds : 0;
}

/* The share of the read bandwidth, where the weights came from memory; else 0. */
static double share_of(const struct kgen_report *report, const struct kgen_choice *choice)
{
    return choice->variant.tmpl != NULL
               ? kgen_bandwidth_share(report->bandwidth, &choice->problem, &choice->record)
               : 0;
}

/* How a choice was made, and whether its time is to be trusted. */
static void describe_making(const struct kgen_choice *choice, struct kgen_text *text)
{
    kgen_text_puts(text, kgen_made_name(choice->made));
    if (choice->variant.tmpl != NULL && kgen_record_is_noisy(&choice->record))
        kgen_text_printf(text, ", noise %.0f%%", choice->record.noise * 100);
}

/* Whether there is a choice of which a reader should know how it was made. */
static bool shows_making(const struct kgen_report *report)
{
    for (size_t i = 0; i < report->count; i++) {
        const struct kgen_choice *choice = &report->choices[i];
        if (choice->variant.tmpl != NULL &&
            (choice->made != KGEN_MADE_TUNED || kgen_record_is_noisy(&choice->record)))
            return true;
    }
    return false;
}

static void add_choice(struct kgen_table *table, const struct kgen_report *report, size_t index)
{
    const struct kgen_choice *choice = &report->choices[index];
    const struct kgen_spec_entry *entry = &report->session->spec->entries[index];
    struct kgen_text problem = {0}, variant = {0};
    kgen_problem_describe(&choice->problem, &problem);
    if (choice->variant.tmpl != NULL)
        kgen_variant_name(&choice->variant, &variant);
    else
        kgen_text_printf(&variant, choice->candidates > 0 ? "none of %u candidate%s passed" : "no candidate",
                         choice->proven + choice->failed, kgen_plural(choice->proven + choice->failed));
    if (problem.failed || variant.failed)
        table->failed = true;
    kgen_table_cell(table, "%zu", index + 1);
    kgen_table_cell(table, "%s", problem.failed ? "" : problem.data);
    kgen_table_cell(table, "%s", entry->tensors);
    kgen_table_cell(table, "%s", variant.failed ? "" : variant.data);
    const double rate = rate_of(choice);
    kgen_table_time(table, seconds_of(choice));
    if (rate > 0)
        kgen_table_cell(table, "%.1f", rate * 1e-9);
    else
        kgen_table_cell(table, "-");
    const double share = share_of(report, choice);
    if (share > 0)
        kgen_table_cell(table, "%.0f%%", 100 * share);
    else
        kgen_table_cell(table, "-");
    if (choice->variant.tmpl != NULL)
        kgen_table_cell(table, "%.3f", choice->record.error_of_bound);
    else
        kgen_table_cell(table, "-");
    /* The last column, where it is shown. */
    if (table->column_count > COLUMNS_ALWAYS) {
        kgen_text_clear(&variant);
        describe_making(choice, &variant);
        kgen_table_cell(table, "%s", variant.failed ? "" : variant.data);
    }
    kgen_text_free(&problem);
    kgen_text_free(&variant);
}

static int print_table(const struct kgen_report *report)
{
    static const struct kgen_column columns[] = {
        {"#", true, 0},       {"problem", false, 56}, {"tensors", false, 34},    {"variant", false, 76},
        {"µs", true, 0},      {"GB/s", true, 0},      {"of bandwidth", true, 0}, {"error/bound", true, 0},
        {"choice", false, 0},
    };
    struct kgen_table table = {.columns = columns, .column_count = COLUMNS_ALWAYS + shows_making(report)};
    for (size_t i = 0; i < report->count; i++)
        add_choice(&table, report, i);
    int result = report->count > 0 ? kgen_table_print(&table, stdout) : 0;
    kgen_table_free(&table);
    return result;
}

/* The median over the problems of the median over their candidates. */
static double median_compile_seconds(const struct kgen_report *report)
{
    double *seconds = calloc(report->count + 1, sizeof *seconds);
    if (seconds == NULL)
        return 0;
    size_t known = 0;
    for (size_t i = 0; i < report->count; i++) {
        if (report->choices[i].compile_seconds > 0)
            seconds[known++] = report->choices[i].compile_seconds;
    }
    const double median = kgen_median(seconds, known);
    free(seconds);
    return median;
}

void kgen_report_print_shipped(const struct kgen_shipped *shipped)
{
    if (shipped == NULL)
        return;
    if (shipped->reason[0] != '\0')
        printf("not proven through cc: %s\n", shipped->reason);
    else if (shipped->failed_entry == SIZE_MAX)
        printf("%u kernel%s proven as written, through %s\n", shipped->proven, kgen_plural(shipped->proven),
               shipped->compiler);
}

json_t *kgen_report_shipped_json(const struct kgen_shipped *shipped)
{
    if (shipped == NULL)
        return json_null();
    return json_pack("{s:o, s:I, s:I, s:o, s:o}", "compiler",
                     shipped->compiler[0] != '\0' ? kgen_json_string(shipped->compiler) : json_null(),
                     "proven", (json_int_t)shipped->proven, "from_cache", (json_int_t)shipped->from_cache,
                     "not_proven",
                     shipped->reason[0] != '\0' ? kgen_json_string(shipped->reason) : json_null(), "failed",
                     shipped->failed_entry != SIZE_MAX ? json_integer((json_int_t)shipped->failed_entry + 1)
                                                       : json_null());
}

static void print_summary(const struct kgen_report *report)
{
    const struct totals totals = add_up(report);
    const char *spec = report->options->arguments[0], *repeat = kgen_options_repeated(report->options);
    if (report->options->shards > 0)
        printf("share %u of %u of the candidates; no winner is chosen: merge the shares, then kgen %s%s\n",
               report->options->shard + 1, report->options->shards, spec, repeat);
    printf("\n%s: %s\n", report->session->spec->name, report->session->spec->summary);
    printf("%s, %d %s", report->session->machine.name, report->session->threads,
           report->session->threads == 1 ? "thread" : "threads");
    if (report->bandwidth != NULL)
        printf(", reads %.1f GB/s (%.1f with 1 thread), noise %.0f%%; weights and caches are timed cold, the "
               "other ops "
               "hot;\n"
               "of bandwidth: against merely reading the same bytes, in turns with the kernel",
               report->bandwidth->all_threads * 1e-9, report->bandwidth->one_thread * 1e-9,
               report->bandwidth->noise * 100);
    printf("\n%u candidate%s proven, %u timed, %u failed", totals.proven, kgen_plural(totals.proven),
           totals.timed, totals.failed);
    if (totals.failed > 0)
        printf(" (see kgen explain %s%s)", spec, repeat);
    if (totals.compiled > 0)
        printf("; %u compiled in this run of %.1f s\n", totals.compiled, report->seconds);
    else
        printf("; all from the cache, in %.2f s\n", report->seconds);
    const double compile_seconds = median_compile_seconds(report);
    if (compile_seconds > 0)
        printf("from template to callable kernel: %.2f ms by %s (median)\n", compile_seconds * 1e3,
               kgen_engine_name(report->options->engine));
    kgen_report_print_shipped(report->shipped);
    if (report->folder != NULL)
        printf("written to %s/\n", report->folder);
}

static json_t *choice_json(const struct kgen_report *report, size_t index)
{
    const struct kgen_choice *choice = &report->choices[index];
    const struct kgen_spec_entry *entry = &report->session->spec->entries[index];
    struct kgen_text name = {0};
    kgen_problem_name(&choice->problem, &name);
    json_t *object =
        json_pack("{s:I, s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "number", (json_int_t)index + 1,
                  "name", name.failed ? "" : name.data, "problem", kgen_json_problem(&choice->problem),
                  "tensors", kgen_json_string(entry->tensors), "calls", (json_int_t)entry->calls,
                  "candidates", (json_int_t)choice->candidates, "proven", (json_int_t)choice->proven, "timed",
                  (json_int_t)choice->timed, "failed", (json_int_t)choice->failed, "compiled",
                  (json_int_t)choice->compiled, "from_cache", choice->from_cache);
    kgen_text_free(&name);
    if (choice->variant.tmpl == NULL) {
        json_object_set_new(object, "variant", json_null());
        return object;
    }
    const double rate = rate_of(choice);
    struct kgen_text variant = {0};
    kgen_variant_name(&choice->variant, &variant);
    json_t *chosen = json_pack(
        "{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "name",
        variant.failed ? "" : variant.data, "template", kgen_template_name(choice->variant.tmpl), "isa",
        kgen_isa_info(choice->variant.isa)->name, "made", kgen_made_name(choice->made), "noise",
        kgen_json_positive(choice->record.noise), "parameters", kgen_json_parameters(&choice->variant), "us",
        kgen_json_positive(seconds_of(choice) * 1e6), "timing",
        kgen_timing_is_cold(&choice->problem) ? "cold" : "hot", "cold_us",
        kgen_json_positive(choice->record.cold_seconds * 1e6), "hot_us",
        kgen_json_positive(choice->record.hot_seconds * 1e6), "compile_us",
        kgen_json_positive(choice->record.compile_seconds * 1e6), "gb_per_s", kgen_json_positive(rate * 1e-9),
        "share_of_bandwidth", kgen_json_positive(share_of(report, choice)), "error_of_bound",
        kgen_json_number(choice->record.error_of_bound));
    kgen_text_free(&variant);
    json_object_set_new(object, "variant", chosen);
    return object;
}

static int print_json(const struct kgen_report *report)
{
    static const char *const endings[] = {"done", "time_limit", "failed", "no_candidate", "interrupted"};
    const struct totals totals = add_up(report);
    json_t *problems = json_array();
    for (size_t i = 0; i < report->count; i++)
        json_array_append_new(problems, choice_json(report, i));
    return kgen_json_print(json_pack(
        "{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:i, s:s, s:s, s:o, s:{s:I, s:I, s:I, s:I}, s:o, s:o, s:o}",
        "kgen", KGEN_VERSION, "status", endings[report->ending], "spec", report->session->spec->name,
        "summary", kgen_json_string(report->session->spec->summary), "warnings",
        kgen_json_warnings(report->session->spec), "machine", kgen_json_machine(&report->session->machine),
        "read_bandwidth", kgen_json_bandwidth(report->bandwidth), "threads", report->session->threads,
        "engine", kgen_engine_name(report->options->engine), "effort",
        kgen_effort_name(report->options->effort), "problems", problems, "candidates", "proven",
        (json_int_t)totals.proven, "timed", (json_int_t)totals.timed, "failed", (json_int_t)totals.failed,
        "compiled", (json_int_t)totals.compiled, "seconds", kgen_json_number(report->seconds), "through_cc",
        kgen_report_shipped_json(report->shipped), "folder",
        report->folder != NULL ? kgen_json_string(report->folder) : json_null()));
}

int kgen_report_print(const struct kgen_report *report)
{
    if (report->options->json)
        return print_json(report);
    if (report->options->shards == 0 && print_table(report) != 0) {
        fputs("kgen: error: out of memory\n", stderr);
        return -1;
    }
    print_summary(report);
    return 0;
}
