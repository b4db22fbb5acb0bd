/* SPDX-License-Identifier: MIT */
/* Time against each tuning parameter of one problem: small charts, side by side. */
#include "runtime/command/report/html.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 232
#define HEIGHT 190
#define PARAMETER_MAX 32 /* over all templates of a problem */
#define VALUE_MAX 64

/* A parameter by name, or the instruction set or the template itself. */
struct parameter {
    const char *name;
    enum { OF_TEMPLATE, THE_ISA, THE_TEMPLATE } kind;
};

/* The value of a parameter: a number, or the name that it stands for. */
struct value {
    int64_t number;
    const char *text; /* NULL: the number */
};

struct values {
    struct value items[VALUE_MAX];
    double best[VALUE_MAX]; /* the least seconds */
    size_t candidates[VALUE_MAX];
    size_t count;
};

static const struct kgen_frame frame = {52, 222, 30, 148};

/* Whether the variant has the parameter, and its value. */
static bool value_of(const struct parameter *parameter, const struct kgen_variant *variant,
                     struct value *value)
{
    *value = (struct value){0};
    if (parameter->kind == THE_ISA) {
        value->number = -(int64_t)variant->isa; /* the widest first */
        value->text = kgen_isa_info(variant->isa)->name;
        return true;
    }
    if (parameter->kind == THE_TEMPLATE) {
        value->text = kgen_template_name(variant->tmpl);
        return true;
    }
    for (size_t i = 0; i < kgen_template_param_count(variant->tmpl); i++) {
        if ((variant->unused >> i & 1) == 0 &&
            strcmp(kgen_template_param(variant->tmpl, i)->name, parameter->name) == 0) {
            value->number = variant->values[i];
            return true;
        }
    }
    return false;
}

static int compare_values(const struct value *a, const struct value *b)
{
    if (a->number != b->number)
        return a->number < b->number ? -1 : 1;
    return a->text != NULL && b->text != NULL ? strcmp(a->text, b->text) : 0;
}

static size_t index_of(const struct values *values, const struct value *value)
{
    size_t index = 0;
    while (index < values->count && compare_values(&values->items[index], value) < 0)
        index++;
    return index;
}

static void add_value(struct values *values, const struct value *value, double seconds)
{
    const size_t at = index_of(values, value);
    if (at == values->count || compare_values(&values->items[at], value) != 0) {
        if (values->count == VALUE_MAX)
            return;
        const size_t after = values->count - at;
        memmove(values->items + at + 1, values->items + at, after * sizeof *values->items);
        memmove(values->best + at + 1, values->best + at, after * sizeof *values->best);
        memmove(values->candidates + at + 1, values->candidates + at, after * sizeof *values->candidates);
        values->items[at] = *value;
        values->best[at] = seconds;
        values->candidates[at] = 0;
        values->count++;
    }
    values->best[at] = fmin(values->best[at], seconds);
    values->candidates[at]++;
}

static void collect_values(const struct kgen_report_problem *problem, const struct parameter *parameter,
                           struct values *values)
{
    *values = (struct values){.count = 0};
    for (size_t i = 0; i < problem->evidence.passed; i++) {
        const struct kgen_ranked *ranked = &problem->evidence.records[i];
        struct value value;
        if (ranked->seconds > 0 && value_of(parameter, &ranked->variant, &value))
            add_value(values, &value, ranked->seconds);
    }
}

/* The instruction set, the template, then every parameter of the templates that were timed. */
static size_t list_parameters(const struct kgen_report_problem *problem,
                              struct parameter parameters[PARAMETER_MAX])
{
    size_t count = 0;
    parameters[count++] = (struct parameter){"instruction set", THE_ISA};
    parameters[count++] = (struct parameter){"template", THE_TEMPLATE};
    for (size_t i = 0; i < problem->evidence.passed; i++) {
        const struct kgen_template *tmpl = problem->evidence.records[i].variant.tmpl;
        for (size_t k = 0; k < kgen_template_param_count(tmpl); k++) {
            const char *name = kgen_template_param(tmpl, k)->name;
            size_t at = 2;
            while (at < count && strcmp(parameters[at].name, name) != 0)
                at++;
            if (at == count && count < PARAMETER_MAX)
                parameters[count++] = (struct parameter){name, OF_TEMPLATE};
        }
    }
    return count;
}

/* The times of all candidates, so that the charts of one problem compare. */
static bool find_times(const struct kgen_report_problem *problem, double *low, double *high)
{
    *low = *high = 0;
    for (size_t i = 0; i < problem->evidence.passed; i++) {
        const double seconds = problem->evidence.records[i].seconds;
        if (seconds <= 0)
            continue;
        *low = *low > 0 ? fmin(*low, seconds) : seconds;
        *high = fmax(*high, seconds);
    }
    return *low > 0;
}

static double column_x(const struct values *values, size_t index)
{
    return frame.left + (frame.right - frame.left) * ((double)index + 0.5) / (double)values->count;
}

static void write_value(struct kgen_text *html, const struct value *value)
{
    if (value->text != NULL)
        kgen_html_escape(html, value->text);
    else
        kgen_text_printf(html, "%lld", (long long)value->number);
}

static void draw_columns(const struct values *values, const struct kgen_scale *y, double unit,
                         struct kgen_text *html)
{
    for (size_t i = 0; i < values->count; i++) {
        kgen_text_printf(html, "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">",
                         column_x(values, i), frame.bottom + 16);
        write_value(html, &values->items[i]);
        kgen_text_puts(html, "</text>\n");
    }
    kgen_text_puts(html, "<path class=\"best\" d=\"");
    for (size_t i = 0; i < values->count; i++)
        kgen_text_printf(html, "%c%.1f %.1f", i == 0 ? 'M' : 'L', column_x(values, i),
                         kgen_scale_at(y, values->best[i] * unit));
    kgen_text_puts(html, "\"/>\n");
}

static void draw_candidates(const struct kgen_report_problem *problem, const struct parameter *parameter,
                            const struct values *values, const struct kgen_scale *y, double unit,
                            struct kgen_text *html)
{
    const struct kgen_evidence *evidence = &problem->evidence;
    const double spread = fmin(14, (frame.right - frame.left) / (double)values->count * 0.5);
    for (size_t k = evidence->passed; k-- > 0;) {
        const struct kgen_ranked *ranked = &evidence->records[k];
        struct value value;
        if (ranked->seconds <= 0 || !value_of(parameter, &ranked->variant, &value))
            continue;
        const bool winner = ranked == evidence->chosen;
        const bool alone = values->candidates[index_of(values, &value)] < 4;
        const double beside = winner || alone ? 0 : ((double)(k % 5) - 2) / 4 * spread;
        kgen_svg_mark_begin(html, problem->series, winner,
                            column_x(values, index_of(values, &value)) + beside,
                            kgen_scale_at(y, ranked->seconds * unit));
        kgen_html_candidate(html, problem, ranked);
        kgen_svg_mark_end(html);
    }
}

static void draw_chart(const struct kgen_report_problem *problem, const struct parameter *parameter,
                       const struct values *values, size_t index, struct kgen_text *html)
{
    double low, high;
    if (!find_times(problem, &low, &high))
        return;
    const double unit = high >= 0.01 ? 1e3 : 1e6;
    low *= unit;
    high *= unit;
    kgen_range_widen(&low, &high, 0.06);
    const struct kgen_scale y = {low, high, frame.bottom, frame.top, true};
    char id[48], axis[32], title[160];
    snprintf(id, sizeof id, "p%zu-%zu", problem->number, index);
    snprintf(axis, sizeof axis, "%s (log)", unit < 1e4 ? "ms" : "µs");
    snprintf(title, sizeof title, "Problem %zu: time against %s", problem->number, parameter->name);
    kgen_svg_begin(html, id, WIDTH, HEIGHT, title,
                   "One mark a candidate; the line joins the best time of each value. The table below holds "
                   "the best times.");
    kgen_svg_y_axis(html, &y, &frame, axis);
    draw_columns(values, &y, unit, html);
    draw_candidates(problem, parameter, values, &y, unit, html);
    kgen_text_printf(html, "<text class=\"axis strong\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">",
                     (frame.left + frame.right) / 2, frame.bottom + 36);
    kgen_html_escape(html, parameter->name);
    kgen_text_puts(html, "</text>\n");
    kgen_svg_end(html);
}

static void write_rows(const struct parameter *parameter, const struct values *values, struct kgen_text *html)
{
    double best = values->best[0];
    for (size_t i = 1; i < values->count; i++)
        best = fmin(best, values->best[i]);
    for (size_t i = 0; i < values->count; i++) {
        kgen_text_puts(html, "<tr>");
        kgen_html_cell(html, "%s", parameter->name);
        kgen_text_puts(html, "<td class=\"n\">");
        write_value(html, &values->items[i]);
        kgen_text_puts(html, "</td>");
        kgen_html_number(html, "%.0f", (double)values->candidates[i]);
        kgen_html_time_cell(html, values->best[i]);
        kgen_html_number(html, "%.2f×", values->best[i] / best);
        kgen_text_puts(html, "</tr>\n");
    }
}

void kgen_html_parameters(const struct kgen_report_problem *problem, struct kgen_text *html)
{
    struct parameter parameters[PARAMETER_MAX];
    const size_t count = list_parameters(problem, parameters);
    struct values *values = calloc(PARAMETER_MAX, sizeof *values);
    if (values == NULL) {
        html->failed = true;
        return;
    }
    size_t shown = 0;
    for (size_t i = 0; i < count; i++) {
        collect_values(problem, &parameters[i], &values[i]);
        if (values[i].count < 2)
            continue;
        if (shown++ == 0)
            kgen_text_puts(html, "<figure class=\"multiples\">\n");
        draw_chart(problem, &parameters[i], &values[i], i, html);
    }
    if (shown > 0) {
        kgen_text_puts(html, "</figure>\n<details><summary>The best time of each value</summary>\n");
        kgen_html_table_begin(html, "Best time of each parameter value",
                              "parameter|>value|>candidates|>best time|>of the best value");
        for (size_t i = 0; i < count; i++) {
            if (values[i].count >= 2)
                write_rows(&parameters[i], &values[i], html);
        }
        kgen_html_table_end(html);
        kgen_text_puts(html, "</details>\n");
    }
    free(values);
}
