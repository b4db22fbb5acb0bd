/* SPDX-License-Identifier: MIT */
/* kgen explain: the candidates of an earlier run in the order of their times, from the cache alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/command/evidence.h"
#include "runtime/command/json.h"
#include "runtime/command/select.h"
#include "runtime/command/table.h"
#include "runtime/tune/timing.h"

/* Rows shown of a problem, unless it was asked for by name. */
#define FEW 5

struct explanation {
    const struct kgen_options *options;
    struct kgen_session session;
    struct kgen_text engine;
    struct kgen_bandwidth bandwidth;
    bool bandwidth_known;
    struct kgen_evidence *evidence; /* one for each entry of the spec; owned */
    bool *selected;                 /* likewise */
};

static int print_passed(const struct explanation *explanation, const struct kgen_evidence *evidence,
                        const struct kgen_problem *problem, size_t most)
{
    const double bytes = kgen_problem_bytes(problem);
    static const struct kgen_column columns[] = {
        {"", false, 0},          {"variant", false, 0}, {"cold µs", true, 0},      {"final µs", true, 0},
        {"hot µs", true, 0},     {"GB/s", true, 0},     {"of bandwidth", true, 0}, {"error/bound", true, 0},
        {"compile ms", true, 0},
    };
    struct kgen_table table = {.columns = columns, .column_count = KGEN_COUNT_OF(columns)};
    for (size_t i = 0; i < evidence->passed && i < most; i++) {
        const struct kgen_record *record = evidence->records[i].record;
        const double seconds = evidence->records[i].seconds;
        kgen_table_cell(&table, &evidence->records[i] == evidence->chosen ? "*" : " ");
        kgen_table_cell(&table, "%s", record->variant);
        kgen_table_time(&table, record->cold_seconds);
        kgen_table_time(&table, record->final_seconds);
        kgen_table_time(&table, record->hot_seconds);
        if (seconds > 0)
            kgen_table_cell(&table, "%.1f", bytes / seconds * 1e-9);
        else
            kgen_table_cell(&table, "-");
        const double share = kgen_bandwidth_share(
            explanation->bandwidth_known ? &explanation->bandwidth : NULL, problem, record);
        if (share > 0)
            kgen_table_cell(&table, "%.0f%%", 100 * share);
        else
            kgen_table_cell(&table, "-");
        kgen_table_cell(&table, "%.3f", record->error_of_bound);
        kgen_table_cell(&table, "%.2f", record->compile_seconds * 1e3);
    }
    const int result = evidence->passed > 0 ? kgen_table_print(&table, stdout) : 0;
    kgen_table_free(&table);
    if (evidence->passed > most)
        printf("... and %zu more that passed\n", evidence->passed - most);
    return result;
}

static int print_failed(const struct kgen_evidence *evidence, size_t most)
{
    static const struct kgen_column columns[] = {
        {"failed", false, 0},
        {"how", false, 0},
        {"what happened", false, 0},
    };
    struct kgen_table table = {.columns = columns, .column_count = KGEN_COUNT_OF(columns)};
    for (size_t i = 0; i < evidence->failed && i < most; i++) {
        const struct kgen_record *record = evidence->records[evidence->passed + i].record;
        kgen_table_cell(&table, "%s", record->variant);
        kgen_table_cell(&table, "%s", kgen_verdict_name(record->verdict));
        kgen_table_cell(&table, "%s", record->detail);
    }
    const int result = evidence->failed > 0 ? kgen_table_print(&table, stdout) : 0;
    kgen_table_free(&table);
    if (evidence->failed > most)
        printf("... and %zu more that failed\n", evidence->failed - most);
    return result;
}

static int print_entry(const struct explanation *explanation, size_t index,
                       const struct kgen_evidence *evidence)
{
    const struct kgen_spec_entry *entry = &explanation->session.spec->entries[index];
    const size_t most = explanation->options->argument_count > 1 ? SIZE_MAX : FEW;
    struct kgen_text problem = {0}, reason = {0};
    kgen_problem_describe(&entry->problem, &problem);
    kgen_evidence_reason(evidence, &reason);
    int result = problem.failed || reason.failed ? -1 : 0;
    if (result == 0) {
        printf("%zu. %s\n", index + 1, problem.data);
        printf("   %s%s%d %s, %.4g MB a call, ranked by %s times\n", entry->tensors,
               entry->tensors[0] != '\0' ? "; " : "", (int)entry->problem.threads,
               entry->problem.threads == 1 ? "thread" : "threads", kgen_problem_bytes(&entry->problem) * 1e-6,
               kgen_timing_is_cold(&entry->problem) ? "cold" : "hot");
        printf("   %zu candidate%s: %zu passed, %zu timed, %zu failed, %zu not tried\n", evidence->candidates,
               kgen_plural(evidence->candidates), evidence->passed, evidence->timed, evidence->failed,
               evidence->candidates - evidence->count);
        if (evidence->stale > 0)
            printf(
                "   passed over in the cache: %zu of other versions of a template or of kgen, or of another "
                "compiler than %s\n",
                evidence->stale, explanation->engine.data);
        if (evidence->chosen != NULL)
            printf("   chosen: %s\n", evidence->chosen->record->variant);
        printf("   %s\n", reason.data);
        result = print_passed(explanation, evidence, &entry->problem, most) != 0 ||
                         print_failed(evidence, most) != 0
                     ? -1
                     : 0;
    }
    kgen_text_free(&problem);
    kgen_text_free(&reason);
    return result;
}

static json_t *entry_json(const struct explanation *explanation, size_t index,
                          const struct kgen_evidence *evidence)
{
    const struct kgen_spec_entry *entry = &explanation->session.spec->entries[index];
    struct kgen_text name = {0}, reason = {0};
    kgen_problem_name(&entry->problem, &name);
    kgen_evidence_reason(evidence, &reason);
    json_t *records = json_array();
    for (size_t i = 0; i < evidence->count; i++)
        json_array_append_new(records, kgen_json_record(evidence->records[i].record));
    json_t *object = json_pack(
        "{s:I, s:s, s:o, s:o, s:f, s:I, s:I, s:I, s:I, s:I, s:o, s:s, s:o}", "number", (json_int_t)index + 1,
        "name", name.failed ? "" : name.data, "problem", kgen_json_problem(&entry->problem), "tensors",
        kgen_json_string(entry->tensors), "bytes", kgen_problem_bytes(&entry->problem), "candidates",
        (json_int_t)evidence->candidates, "passed", (json_int_t)evidence->passed, "timed",
        (json_int_t)evidence->timed, "failed", (json_int_t)evidence->failed, "passed_over",
        (json_int_t)evidence->stale, "chosen",
        evidence->chosen != NULL ? kgen_json_string(evidence->chosen->record->variant) : json_null(),
        "reason", reason.failed ? "" : reason.data, "records", records);
    kgen_text_free(&name);
    kgen_text_free(&reason);
    return object;
}

/* Collects the evidence of the selected problems. */
static int collect(struct explanation *explanation, struct kgen_error *error)
{
    const struct kgen_options *options = explanation->options;
    const struct kgen_session *session = &explanation->session;
    const size_t count = session->spec->count;
    explanation->evidence = calloc(count + 1, sizeof *explanation->evidence);
    explanation->selected = calloc(count + 1, sizeof *explanation->selected);
    if (explanation->evidence == NULL || explanation->selected == NULL)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    const char *wanted = options->argument_count > 1 ? options->arguments[1] : NULL;
    size_t selected = 0, records = 0;
    for (size_t i = 0; i < count; i++) {
        struct kgen_evidence *evidence = &explanation->evidence[i];
        if (kgen_entry_is_selected(&session->spec->entries[i], i + 1, wanted, &explanation->selected[i],
                                   error) != 0)
            return -1;
        if (!explanation->selected[i])
            continue;
        if (kgen_evidence_collect(session, &session->spec->entries[i].problem, explanation->engine.data,
                                  evidence, error) != 0)
            return -1;
        selected++;
        records += evidence->count + evidence->stale;
    }
    const char *repeat = kgen_options_repeated(options);
    const char *spec = options->arguments[0], *folder = kgen_cache_path(session->cache);
    if (selected == 0) {
        kgen_fail_unselected(options, wanted, count, error);
    } else if (records == 0) {
        kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0,
                       "the cache (%s) knows nothing of this on this machine with %d thread%s",
                       folder[0] != '\0' ? folder : "none", session->threads,
                       kgen_plural((size_t)session->threads));
        kgen_error_hint(error, "run kgen %s%s first", spec, repeat);
    }
    return selected == 0 || records == 0 ? -1 : 0;
}

static int print_text(const struct explanation *explanation, struct kgen_error *error)
{
    bool first = true;
    for (size_t i = 0; i < explanation->session.spec->count; i++) {
        if (!explanation->selected[i])
            continue;
        if (!first)
            putchar('\n');
        first = false;
        if (print_entry(explanation, i, &explanation->evidence[i]) != 0)
            return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
    }
    return 0;
}

static int print_json(const struct explanation *explanation, struct kgen_error *error)
{
    const struct kgen_session *session = &explanation->session;
    json_t *problems = json_array();
    for (size_t i = 0; i < session->spec->count; i++) {
        if (explanation->selected[i])
            json_array_append_new(problems, entry_json(explanation, i, &explanation->evidence[i]));
    }
    json_t *root =
        json_pack("{s:s, s:s, s:o, s:o, s:i, s:s, s:o}", "kgen", KGEN_VERSION, "spec", session->spec->name,
                  "machine", kgen_json_machine(&session->machine), "read_bandwidth",
                  kgen_json_bandwidth(explanation->bandwidth_known ? &explanation->bandwidth : NULL),
                  "threads", session->threads, "engine", explanation->engine.data, "problems", problems);
    return kgen_json_print(root) == 0 ? 0 : kgen_error_set(error, KGEN_ERROR_IO, NULL, 0, 0, "no result");
}

static int explain(struct explanation *explanation, struct kgen_error *error)
{
    const struct kgen_options *options = explanation->options;
    struct kgen_session *session = &explanation->session;
    if (kgen_session_open(session, options, options->arguments[0], error) != 0 ||
        kgen_session_open_cache(session, options, error) != 0 ||
        (options->machine != NULL &&
         kgen_session_other_machine(session, options, options->machine, error) != 0) ||
        kgen_engine_describe(options->engine, NULL, &explanation->engine, error) != 0)
        return -1;
    explanation->bandwidth_known = kgen_session_known_bandwidth(session, &explanation->bandwidth) == 0;
    if (collect(explanation, error) != 0)
        return -1;
    return options->json ? print_json(explanation, error) : print_text(explanation, error);
}

int kgen_command_explain(const struct kgen_options *options)
{
    struct explanation explanation = {.options = options};
    struct kgen_error error = {0};
    const int status = explain(&explanation, &error) == 0 ? KGEN_EXIT_DONE : kgen_fail(&error);
    for (size_t i = 0; explanation.evidence != NULL && i < explanation.session.spec->count; i++)
        kgen_evidence_free(&explanation.evidence[i]);
    free(explanation.evidence);
    free(explanation.selected);
    kgen_text_free(&explanation.engine);
    kgen_session_close(&explanation.session);
    return kgen_finish_output(status);
}
