/* SPDX-License-Identifier: MIT */
/* A profile as tables, and as JSON. */
#include <stdio.h>

#include "runtime/command/json.h"
#include "runtime/command/profile/profile.h"
#include "runtime/command/table.h"

/* ---- tables ---- */

static void number_cell(struct kgen_table *table, const char *suffix, double value)
{
    if (value > 0)
        kgen_table_cell(table, "%.1f%s", value, suffix);
    else
        kgen_table_cell(table, "-");
}

static void line_cells(const struct kgen_profile *profile, const struct kgen_profile_part *part,
                       const struct kgen_profile_line *line, const char *name, struct kgen_table *table)
{
    const bool is_step = part == &profile->step;
    const double share = is_step && line->bytes > 0 ? line->bytes : 0;
    kgen_table_cell(table, "%s", name);
    kgen_table_cell(table, "%s", line->label != NULL ? line->label : "");
    kgen_table_cell(table, "%zu", line->nodes);
    kgen_table_time(table, line->seconds);
    kgen_table_time(table, line->least);
    number_cell(table, "%", 100 * line->seconds / part->sum.seconds);
    number_cell(table, "", line->bytes * 1e-6);
    number_cell(table, "", line->seconds > 0 ? share / line->seconds * 1e-9 : 0);
    number_cell(table, "%", 100 * kgen_profile_share(profile, share, line->seconds));
    kgen_table_time(table, line->prepare);
    kgen_table_time(table, line->waiting);
}

static int print_lines(const struct kgen_profile *profile, const struct kgen_profile_part *part,
                       const struct kgen_profile_line *lines, size_t count)
{
    static const struct kgen_column columns[] = {
        {"op", false, 0},          {"tensors", false, 40}, {"nodes", true, 0},  {"us", true, 0},
        {"least", true, 0},        {"of all", true, 0},    {"MB", true, 0},     {"GB/s", true, 0},
        {"of bandwidth", true, 0}, {"prepare", true, 0},   {"waiting", true, 0}};
    struct kgen_table table = {.columns = columns, .column_count = KGEN_COUNT_OF(columns)};
    for (size_t i = 0; i < count; i++)
        line_cells(profile, part, &lines[i], lines[i].op, &table);
    line_cells(profile, part, &part->sum, "all", &table);
    const int result = kgen_table_print(&table, stdout);
    kgen_table_free(&table);
    return result;
}

static int print_part(const struct kgen_profile *profile, const struct kgen_profile_part *part,
                      const char *name)
{
    printf("\n%s: median %.3f ms, least %.3f ms of %zu runs; its nodes %.3f ms, the rest %.3f ms\n", name,
           part->seconds * 1e3, part->least * 1e3, part->runs, part->sum.seconds * 1e3,
           (part->seconds - part->sum.seconds) * 1e3);
    if (print_lines(profile, part, part->lines, part->line_count) != 0)
        return -1;
    printf("\nby op:\n");
    return print_lines(profile, part, part->ops, part->op_count);
}

static void print_shares(const struct kgen_profile *profile)
{
    const struct kgen_profile_part *step = &profile->step;
    const double matrices = kgen_profile_share(profile, step->matrices.bytes, step->matrices.seconds);
    const double whole = kgen_profile_share(profile, step->matrices.bytes, step->seconds);
    printf("\nmatrices: %.1f MB in %.3f ms", step->matrices.bytes * 1e-6, step->matrices.seconds * 1e3);
    if (matrices > 0)
        printf(", %.2f times reading alone at %.1f GB/s; the step %.2f times, %.0f%% of reading",
               1 / matrices,
               kgen_bandwidth_of(&profile->bandwidth, profile->opened.context->settings.threads) * 1e-9,
               1 / whole, 100 * whole);
    if (matrices > 0)
        printf("; the least times %.2f and %.2f",
               1 / kgen_profile_share(profile, step->matrices.bytes, step->matrices.least),
               1 / kgen_profile_share(profile, step->matrices.bytes, step->least));
    printf("\n");
}

int kgen_profile_print(const struct kgen_profile *profile)
{
    const struct kgen_model *model = profile->opened.model;
    char name[64], precision[KGEN_PRECISION_TEXT];
    printf("%s: %lld layers, %s, %s, %d threads, context %lld\n", profile->source, (long long)profile->layers,
           profile->opened.config != NULL ? "random weights" : "its weights",
           kgen_opened_model_precision(&profile->opened, precision),
           profile->opened.context->settings.threads, (long long)kgen_decoder_context(model->decoder));
    if (profile->model_layers > profile->layers)
        printf("the first %lld of %lld layers\n", (long long)profile->layers,
               (long long)profile->model_layers);
    snprintf(name, sizeof name, "a step at position %lld", (long long)profile->step.position);
    if (print_part(profile, &profile->step, name) != 0)
        return -1;
    print_shares(profile);
    if (profile->prompt.runs == 0)
        return 0;
    snprintf(name, sizeof name, "a prompt of %lld tokens", (long long)profile->prompt.tokens);
    return print_part(profile, &profile->prompt, name);
}

/* ---- JSON ---- */

static json_t *line_json(const struct kgen_profile *profile, const struct kgen_profile_part *part,
                         const struct kgen_profile_line *line)
{
    const double bytes = part == &profile->step ? line->bytes : 0;
    return json_pack("{s:s?, s:s?, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:o, s:b}", "op", line->op, "tensors",
                     line->label, "nodes", (json_int_t)line->nodes, "seconds", line->seconds, "least_seconds",
                     line->least, "prepare_seconds", line->prepare, "waiting_seconds", line->waiting,
                     "least_waiting_seconds", line->least_waiting, "bytes", line->bytes, "bandwidth_share",
                     kgen_json_positive(kgen_profile_share(profile, bytes, line->seconds)), "is_matrix",
                     line->is_matrix);
}

static json_t *lines_json(const struct kgen_profile *profile, const struct kgen_profile_part *part,
                          const struct kgen_profile_line *lines, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, line_json(profile, part, &lines[i]));
    return list;
}

static json_t *part_json(const struct kgen_profile *profile, const struct kgen_profile_part *part)
{
    if (part->runs == 0)
        return json_null();
    return json_pack(
        "{s:I, s:I, s:I, s:f, s:f, s:o, s:o, s:o, s:o}", "tokens", (json_int_t)part->tokens, "position",
        (json_int_t)part->position, "runs", (json_int_t)part->runs, "seconds", part->seconds, "least_seconds",
        part->least, "nodes", lines_json(profile, part, part->lines, part->line_count), "ops",
        lines_json(profile, part, part->ops, part->op_count), "sum", line_json(profile, part, &part->sum),
        "matrices", line_json(profile, part, &part->matrices));
}

int kgen_profile_print_json(const struct kgen_profile *profile)
{
    const struct kgen_model *model = profile->opened.model;
    const bool is_random = profile->opened.config != NULL;
    struct kgen_decoder_sizes sizes;
    kgen_decoder_query(model->decoder, &sizes);
    return kgen_json_print(json_pack(
        "{s:s, s:o, s:b, s:I, s:I, s:s, s:s, s:i, s:I, s:I, s:o, s:o, s:o}", "kgen", KGEN_VERSION, "model",
        kgen_json_string(profile->source), "random_weights", is_random, "layers", (json_int_t)profile->layers,
        "model_layers", (json_int_t)(profile->model_layers > 0 ? profile->model_layers : profile->layers),
        "activation_dtype", model->activation_dtype, "output_activation_dtype",
        model->output_activation_dtype, "threads", profile->opened.context->settings.threads, "context",
        (json_int_t)kgen_decoder_context(model->decoder), "weight_bytes", (json_int_t)sizes.read_weights,
        "bandwidth", kgen_json_bandwidth(profile->bandwidth_known ? &profile->bandwidth : NULL), "step",
        part_json(profile, &profile->step), "prompt", part_json(profile, &profile->prompt)));
}
