/* SPDX-License-Identifier: MIT */
/* The verdict of kgen try, for people and for programs. */
#include <stdio.h>

#include "runtime/command/json.h"
#include "runtime/command/table.h"
#include "runtime/command/try/try.h"

static const char *const results[] = {[KGEN_COMPARISON_SAME] = "same",
                                      [KGEN_COMPARISON_FASTER] = "faster",
                                      [KGEN_COMPARISON_SLOWER] = "slower"};

static const char *verdict_of(const struct kgen_try *trial)
{
    return trial->keep ? "keep" : "revert";
}

static const char *stage_result(const struct kgen_try_stage *stage)
{
    if (!stage->begun)
        return "not run";
    return stage->proof.failed ? "failed" : "passed";
}

/* ---- JSON ---- */

/* The problems that a changed template serves. */
static size_t count_served(const struct kgen_try *trial, const struct kgen_template *tmpl)
{
    size_t count = 0;
    for (size_t i = 0; i < trial->pair_count; i++)
        count += trial->pairs[i].tmpl == tmpl;
    return count;
}

static json_t *changed_json(const struct kgen_try *trial)
{
    json_t *list = json_array();
    for (size_t i = 0; i < trial->changed_count; i++) {
        const struct kgen_template *tmpl = trial->changed[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:I}", "template", kgen_template_name(tmpl),
                                              "op", kgen_template_op(tmpl)->name, "file",
                                              kgen_json_string(kgen_template_source(tmpl)), "problem_count",
                                              (json_int_t)count_served(trial, tmpl)));
    }
    return list;
}

static json_t *failure_json(const struct kgen_try_stage *stage)
{
    const struct kgen_verification *failed = &stage->proof.verification;
    if (!stage->proof.failed)
        return json_null();
    return json_pack("{s:o, s:s, s:o, s:o}", "where",
                     kgen_json_string(stage->where.data != NULL ? stage->where.data : ""), "verdict",
                     kgen_verdict_name(failed->verdict), "detail", kgen_json_string(failed->detail),
                     "error_of_bound", kgen_json_number(failed->error_of_bound));
}

static json_t *stages_json(const struct kgen_try *trial)
{
    json_t *list = json_array();
    for (size_t i = 0; i < KGEN_TRY_STAGES; i++) {
        const struct kgen_try_stage *stage = &trial->stages[i];
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:I, s:I, s:I, s:o}", "stage", stage->name, "result",
                                        stage_result(stage), "passed", (json_int_t)stage->proof.passed,
                                        "no_candidate", (json_int_t)stage->proof.no_candidate, "inputs",
                                        (json_int_t)stage->proof.cases, "failure", failure_json(stage)));
    }
    return list;
}

static json_t *variant_json(const struct kgen_variant *variant)
{
    struct kgen_text name = {0};
    if (variant->tmpl == NULL)
        return json_null();
    kgen_variant_name(variant, &name);
    json_t *value = name.failed ? NULL : kgen_json_string(name.data);
    kgen_text_free(&name);
    return value;
}

static json_t *comparison_json(const struct kgen_try_problem *problem)
{
    const struct kgen_comparison *comparison = &problem->comparison;
    if (!problem->compared)
        return json_null();
    json_t *ratios = json_array();
    for (unsigned i = 0; i < comparison->sessions; i++)
        json_array_append_new(ratios, kgen_json_number(comparison->ratios[i]));
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "result", results[comparison->result],
                     "ratio", kgen_json_number(comparison->ratio), "low", kgen_json_number(comparison->low),
                     "high", kgen_json_number(comparison->high), "in_use_us",
                     kgen_json_positive(comparison->rival_seconds * 1e6), "change_us",
                     kgen_json_positive(comparison->seconds * 1e6), "doubt_faster",
                     kgen_json_number(comparison->doubt_faster), "doubt_slower",
                     kgen_json_number(comparison->doubt_slower), "session_ratios", ratios);
}

static json_t *problems_json(const struct kgen_try *trial)
{
    json_t *list = json_array();
    for (size_t i = 0; i < trial->problem_count; i++) {
        const struct kgen_try_problem *problem = &trial->problems[i];
        if (problem->served)
            json_array_append_new(
                list, json_pack("{s:I, s:o, s:o, s:I, s:o, s:o, s:b, s:o}", "number", (json_int_t)i + 1,
                                "problem", kgen_json_problem(&problem->entry->problem), "tensors",
                                kgen_json_string(problem->entry->tensors), "calls",
                                (json_int_t)problem->entry->calls, "in_use", variant_json(&problem->in_use),
                                "change", variant_json(&problem->change), "replaced", problem->replaced,
                                "comparison", comparison_json(problem)));
    }
    return list;
}

static json_t *replay_json(const struct kgen_try_replay *replay)
{
    if (!replay->ran)
        return json_null();
    return json_pack("{s:b, s:I, s:I, s:I, s:o, s:I}", "drift", replay->drifts, "tokens",
                     (json_int_t)replay->tokens, "different_tokens", (json_int_t)replay->different,
                     "explained_tokens", (json_int_t)replay->explained, "time_ratio",
                     kgen_json_positive(replay->time_ratio), "changed_nodes", (json_int_t)replay->nodes);
}

static int print_json(const struct kgen_try *trial)
{
    return kgen_json_print(json_pack(
        "{s:s, s:s, s:O, s:o, s:o, s:o, s:o, s:O}", "kgen", KGEN_VERSION, "verdict", verdict_of(trial),
        "reasons", trial->reasons, "templates", changed_json(trial), "stages", stages_json(trial), "problems",
        problems_json(trial), "replay", replay_json(&trial->replay), "kept", trial->kept));
}

/* ---- text ---- */

static int print_stages(const struct kgen_try *trial)
{
    static const struct kgen_column columns[] = {
        {"stage", false, 0}, {"", false, 0}, {"variants", true, 0}, {"inputs", true, 0}};
    struct kgen_table table = {.columns = columns, .column_count = KGEN_COUNT_OF(columns)};
    for (size_t i = 0; i < KGEN_TRY_STAGES; i++) {
        const struct kgen_try_stage *stage = &trial->stages[i];
        kgen_table_cell(&table, "%s", stage->name);
        kgen_table_cell(&table, "%s", stage_result(stage));
        kgen_table_cell(&table, "%zu", stage->proof.passed);
        kgen_table_cell(&table, "%zu", stage->proof.cases);
    }
    const int result = kgen_table_print(&table, stdout);
    kgen_table_free(&table);
    return result;
}

static void cell_of_variant(struct kgen_table *table, const struct kgen_variant *variant)
{
    struct kgen_text name = {0};
    if (variant->tmpl != NULL)
        kgen_variant_name(variant, &name);
    kgen_table_cell(table, "%s", name.data != NULL && !name.failed ? name.data : "-");
    kgen_text_free(&name);
}

static int print_problems(const struct kgen_try *trial)
{
    static const struct kgen_column columns[] = {
        {"#", true, 0},  {"in use", false, 60}, {"µs", true, 0},       {"change", false, 60},
        {"µs", true, 0}, {"ratio", true, 0},    {"between", false, 0}, {"", false, 0}};
    struct kgen_table table = {.columns = columns, .column_count = KGEN_COUNT_OF(columns)};
    size_t count = 0;
    for (size_t i = 0; i < trial->problem_count; i++) {
        const struct kgen_try_problem *problem = &trial->problems[i];
        const struct kgen_comparison *comparison = &problem->comparison;
        if (!problem->compared)
            continue;
        kgen_table_cell(&table, "%zu", i + 1);
        cell_of_variant(&table, &problem->in_use);
        kgen_table_time(&table, comparison->rival_seconds);
        cell_of_variant(&table, &problem->change);
        kgen_table_time(&table, comparison->seconds);
        kgen_table_cell(&table, "%.3f", comparison->ratio);
        kgen_table_cell(&table, "%.3f to %.3f", comparison->low, comparison->high);
        kgen_table_cell(&table, "%s", results[comparison->result]);
        count++;
    }
    int result = 0;
    if (count > 0) {
        putchar('\n');
        result = kgen_table_print(&table, stdout);
    }
    kgen_table_free(&table);
    return result;
}

static int print_text(const struct kgen_try *trial)
{
    for (size_t i = 0; i < trial->changed_count; i++) {
        const size_t served = count_served(trial, trial->changed[i]);
        printf("%s: %s of %s, %zu problem%s\n", kgen_template_source(trial->changed[i]),
               kgen_template_name(trial->changed[i]), kgen_template_op(trial->changed[i])->name, served,
               kgen_plural(served));
    }
    if (trial->stages[0].begun && print_stages(trial) != 0)
        return -1;
    if (print_problems(trial) != 0)
        return -1;
    if (trial->replay.ran)
        printf("\nreplay: %zu of %zu tokens differ, %zu of them explained; %.2f times the seconds of the "
               "pack; %zu "
               "nodes run a changed template\n",
               trial->replay.different, trial->replay.tokens, trial->replay.explained,
               trial->replay.time_ratio, trial->replay.nodes);
    printf("\nverdict: %s\n", verdict_of(trial));
    for (size_t i = 0; i < json_array_size(trial->reasons); i++)
        printf("  %s\n", json_string_value(json_array_get(trial->reasons, i)));
    for (size_t i = 0; i < json_array_size(trial->kept); i++)
        printf("kept: %s\n", json_string_value(json_array_get(trial->kept, i)));
    return 0;
}

int kgen_try_print(const struct kgen_try *trial)
{
    if (trial->reasons == NULL || trial->kept == NULL) {
        fputs("kgen: error: out of memory\n", stderr);
        return -1;
    }
    return trial->options.json ? print_json(trial) : print_text(trial);
}
