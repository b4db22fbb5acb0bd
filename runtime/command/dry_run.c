/* SPDX-License-Identifier: MIT */
#include "runtime/command/dry_run.h"

#include <stdio.h>
#include <string.h>

#include "runtime/command/json.h"
#include "runtime/command/table.h"

/* Lists the variants that a search of this effort would try; for estimate the one that it would take. */
static int list_variants(const struct kgen_session *session, const struct kgen_options *options,
                         const struct kgen_problem *problem, struct kgen_variants *variants,
                         struct kgen_error *error)
{
    const struct kgen_tune_options tune_options = {.effort = options->effort,
                                                   .isas = options->isa_given ? 1u << options->isa : 0};
    if (kgen_tune_variants(&tune_options, &session->machine, session->templates, problem, variants, error) !=
        0)
        return -1;
    if (options->effort == KGEN_EFFORT_ESTIMATE && variants->count > 1)
        variants->count = 1;
    return 0;
}

/* Appends one row, or one object, for each template and instruction set among the variants. */
static void count_templates(const struct kgen_variants *variants, struct kgen_text *text, json_t *list)
{
    for (size_t i = 0, next; i < variants->count; i = next) {
        const struct kgen_variant *first = &variants->items[i];
        for (next = i + 1; next < variants->count; next++) {
            const struct kgen_variant *variant = &variants->items[next];
            if (variant->tmpl != first->tmpl || variant->isa != first->isa)
                break;
        }
        const char *name = kgen_template_name(first->tmpl), *isa = kgen_isa_info(first->isa)->name;
        kgen_text_printf(text, "%s%s %s %zu", i > 0 ? ", " : "", name, isa, next - i);
        if (list != NULL)
            json_array_append_new(list, json_pack("{s:s, s:s, s:I}", "template", name, "isa", isa,
                                                  "candidates", (json_int_t)(next - i)));
    }
}

/* What is printed as a table or as JSON. */
struct listing {
    struct kgen_table table;
    json_t *problems; /* NULL without --json */
    size_t total, unsolved;
};

static int add_entry(const struct kgen_session *session, const struct kgen_options *options, size_t index,
                     struct listing *listing, struct kgen_error *error)
{
    const struct kgen_spec_entry *entry = &session->spec->entries[index];
    struct kgen_variants variants = {0};
    if (list_variants(session, options, &entry->problem, &variants, error) != 0)
        return -1;
    struct kgen_text problem = {0}, name = {0}, templates = {0};
    json_t *list = listing->problems != NULL ? json_array() : NULL;
    kgen_problem_describe(&entry->problem, &problem);
    kgen_problem_name(&entry->problem, &name);
    count_templates(&variants, &templates, list);
    if (variants.count == 0)
        kgen_text_puts(&templates, "none for this machine");
    int result = 0;
    if (problem.failed || name.failed || templates.failed) {
        result = kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
        json_decref(list);
    } else if (listing->problems != NULL) {
        json_array_append_new(listing->problems,
                              json_pack("{s:I, s:s, s:o, s:o, s:I, s:I, s:o}", "number",
                                        (json_int_t)index + 1, "name", name.data, "problem",
                                        kgen_json_problem(&entry->problem), "tensors",
                                        kgen_json_string(entry->tensors), "calls", (json_int_t)entry->calls,
                                        "candidates", (json_int_t)variants.count, "templates", list));
    } else {
        kgen_table_cell(&listing->table, "%zu", index + 1);
        kgen_table_cell(&listing->table, "%s", problem.data);
        kgen_table_cell(&listing->table, "%s", entry->tensors);
        kgen_table_cell(&listing->table, "%zu", variants.count);
        kgen_table_cell(&listing->table, "%s", templates.data);
    }
    listing->total += variants.count;
    listing->unsolved += variants.count == 0;
    kgen_text_free(&problem);
    kgen_text_free(&name);
    kgen_text_free(&templates);
    kgen_variants_free(&variants);
    return result;
}

static int print(const struct kgen_session *session, const struct kgen_options *options,
                 struct listing *listing)
{
    if (options->json) {
        json_t *problems = listing->problems;
        listing->problems = NULL;
        return kgen_json_print(json_pack(
            "{s:s, s:s, s:s, s:o, s:o, s:o, s:i, s:s, s:o, s:I, s:o}", "kgen", KGEN_VERSION, "status",
            "dry_run", "spec", session->spec->name, "summary", kgen_json_string(session->spec->summary),
            "warnings", kgen_json_warnings(session->spec), "machine", kgen_json_machine(&session->machine),
            "threads", session->threads, "effort", kgen_effort_name(options->effort), "problems", problems,
            "candidates", (json_int_t)listing->total, "graph", kgen_json_graph(session->spec->graph)));
    }
    if (kgen_table_print(&listing->table, stdout) != 0) {
        fputs("kgen: error: out of memory\n", stderr);
        return -1;
    }
    printf("\n%s: %s\n%zu problem%s, %zu candidate%s; nothing compiled, nothing written\n",
           session->spec->name, session->spec->summary, session->spec->count,
           kgen_plural(session->spec->count), listing->total, kgen_plural(listing->total));
    return 0;
}

int kgen_dry_run(const struct kgen_session *session, const struct kgen_options *options)
{
    static const struct kgen_column columns[] = {
        {"#", true, 0},          {"problem", false, 0},   {"tensors", false, 40},
        {"candidates", true, 0}, {"templates", false, 0},
    };
    struct listing listing = {.table = {.columns = columns, .column_count = KGEN_COUNT_OF(columns)},
                              .problems = options->json ? json_array() : NULL};
    struct kgen_error error = {0};
    int status = KGEN_EXIT_DONE;
    for (size_t i = 0; i < session->spec->count && status == KGEN_EXIT_DONE; i++) {
        if (add_entry(session, options, i, &listing, &error) != 0)
            status = kgen_fail(&error);
    }
    if (status == KGEN_EXIT_DONE && print(session, options, &listing) != 0)
        status = KGEN_EXIT_FAILED;
    if (status == KGEN_EXIT_DONE && listing.unsolved > 0)
        status = KGEN_EXIT_NO_CANDIDATE;
    json_decref(listing.problems);
    kgen_table_free(&listing.table);
    return status;
}
