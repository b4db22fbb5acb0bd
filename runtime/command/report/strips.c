/* SPDX-License-Identifier: MIT */
/* Charts with one row for each problem: times in units of the winner's, and errors in units of the bound. */
#include "runtime/command/report/html.h"

#include <math.h>

#define WIDTH 1000
#define ROW 24
#define LABEL_CHARACTERS 36

/* What a chart shows of a candidate; 0 where it has nothing to show. */
typedef double strip_value(const struct kgen_report_problem *problem, const struct kgen_ranked *ranked);

struct strips {
    const struct kgen_report_data *data;
    struct kgen_text *html;
    strip_value *value;
    bool peers; /* the peers' times belong in it */
    const char *id, *title, *description, *axis, *suffix;
    double mark; /* of the line that all is held against */
    struct kgen_frame frame;
    struct kgen_scale x;
};

static double relative_time(const struct kgen_report_problem *problem, const struct kgen_ranked *ranked)
{
    const double winner = kgen_report_winner_seconds(problem);
    return winner > 0 && ranked->seconds > 0 ? ranked->seconds / winner : 0;
}

/* In percent. An error of nothing at all stands at the left end. */
static double error_share(const struct kgen_report_problem *problem, const struct kgen_ranked *ranked)
{
    (void)problem;
    return fmax(100 * ranked->record->error_of_bound, 0.01);
}

/* A peer's place in the chart; 0 where it has none. */
static double peer_value(const struct strips *strips, const struct kgen_report_problem *problem,
                         const struct kgen_peer *peer)
{
    const double winner = kgen_report_winner_seconds(problem);
    return strips->peers && winner > 0 && kgen_report_peer_problem(strips->data, peer) == problem
               ? peer->seconds / winner
               : 0;
}

static size_t shown_of(const struct strips *strips, const struct kgen_report_problem *problem)
{
    size_t count = 0;
    for (size_t k = 0; k < problem->evidence.passed; k++)
        count += strips->value(problem, &problem->evidence.records[k]) > 0;
    return count;
}

/* The rows and the scale. Returns false where there is nothing to show. */
static bool lay_out(struct strips *strips)
{
    const struct kgen_report_data *data = strips->data;
    size_t rows = 0;
    double low = strips->mark, high = strips->mark;
    for (size_t i = 0; i < data->count; i++) {
        const struct kgen_report_problem *problem = &data->problems[i];
        rows += shown_of(strips, problem) > 0;
        for (size_t k = 0; k < problem->evidence.passed; k++) {
            const double value = strips->value(problem, &problem->evidence.records[k]);
            low = value > 0 ? fmin(low, value) : low;
            high = fmax(high, value);
        }
        for (size_t k = 0; k < data->peers.count; k++) {
            const double value = peer_value(strips, problem, &data->peers.items[k]);
            low = value > 0 ? fmin(low, value) : low;
            high = fmax(high, value);
        }
    }
    if (rows == 0)
        return false;
    kgen_range_widen(&low, &high, 0.03);
    strips->frame = (struct kgen_frame){300, 985, 24, 24 + (double)rows * ROW};
    strips->x = (struct kgen_scale){low, high, strips->frame.left, strips->frame.right, true};
    return true;
}

/* Dots that would hide each other are spread over the height of the row, by their rank alone. */
static double height_of(double middle, size_t rank)
{
    static const double offsets[] = {0, -4, 4, -7, 2, 6, -2};
    return middle + offsets[rank % KGEN_COUNT_OF(offsets)];
}

static void draw_row(const struct strips *strips, const struct kgen_report_problem *problem, double middle)
{
    struct kgen_text *html = strips->html;
    const struct kgen_frame *frame = &strips->frame;
    const struct kgen_evidence *evidence = &problem->evidence;
    kgen_text_printf(html, "<path class=\"row\" d=\"M%.1f %.1fH%.1f\"/>", frame->left, middle + ROW / 2.0,
                     frame->right);
    kgen_text_printf(html,
                     "<a href=\"#p%zu\"><text class=\"label\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">",
                     problem->number, frame->left - 10, middle + 4);
    kgen_html_shortened(html, problem->label.data, LABEL_CHARACTERS);
    kgen_text_printf(html, "<tspan class=\"number\" dx=\"8\">%zu</tspan><title>", problem->number);
    kgen_html_printf(html, "%zu. %s", problem->number, problem->description.data);
    kgen_text_puts(html, "</title></text></a>\n");
    for (size_t k = evidence->passed; k-- > 0;) {
        const struct kgen_ranked *ranked = &evidence->records[k];
        const double value = strips->value(problem, ranked);
        if (value <= 0 || ranked == evidence->chosen)
            continue;
        kgen_svg_mark_begin(html, problem->series, false, kgen_scale_at(&strips->x, value),
                            height_of(middle, k));
        kgen_html_candidate(html, problem, ranked);
        kgen_svg_mark_end(html);
    }
    for (size_t k = 0; k < strips->data->peers.count; k++) {
        const struct kgen_peer *peer = &strips->data->peers.items[k];
        const double value = peer_value(strips, problem, peer);
        if (value <= 0)
            continue;
        kgen_svg_peer_begin(html, kgen_scale_at(&strips->x, value), middle);
        kgen_html_peer(html, problem, peer);
        kgen_svg_mark_end(html);
    }
    if (evidence->chosen != NULL && strips->value(problem, evidence->chosen) > 0) {
        kgen_svg_mark_begin(html, problem->series, true,
                            kgen_scale_at(&strips->x, strips->value(problem, evidence->chosen)), middle);
        kgen_html_candidate(html, problem, evidence->chosen);
        kgen_svg_mark_end(html);
    }
}

static void draw(const struct strips *strips)
{
    struct kgen_text *html = strips->html;
    const struct kgen_frame *frame = &strips->frame;
    kgen_text_puts(html, "<figure>\n");
    kgen_svg_begin(html, strips->id, WIDTH, frame->bottom + 48, strips->title, strips->description);
    kgen_svg_x_axis(html, &strips->x, frame, strips->suffix, strips->axis);
    const double mark = kgen_scale_at(&strips->x, strips->mark);
    kgen_text_printf(html, "<path class=\"roof\" d=\"M%.1f %.1fV%.1f\"/>\n", mark, frame->top, frame->bottom);
    double middle = frame->top + ROW / 2.0;
    for (size_t i = 0; i < strips->data->count; i++) {
        if (shown_of(strips, &strips->data->problems[i]) == 0)
            continue;
        draw_row(strips, &strips->data->problems[i], middle);
        middle += ROW;
    }
    kgen_svg_end(html);
    kgen_html_legend(html, strips->data,
                     strips->peers && strips->data->peers.count > strips->data->foreign_peers);
    kgen_text_puts(html, "</figure>\n");
}

/* The values of a problem's candidates in rising order are those of its records only for times, so quantiles
 * are counted: the least value that at least a share of the candidates does not exceed. */
static double quantile(const struct strips *strips, const struct kgen_report_problem *problem, double share)
{
    const struct kgen_evidence *evidence = &problem->evidence;
    const double needed = share * (double)shown_of(strips, problem);
    double best = 0;
    for (size_t i = 0; i < evidence->passed; i++) {
        const double value = strips->value(problem, &evidence->records[i]);
        size_t below = 0;
        for (size_t k = 0; k < evidence->passed; k++) {
            const double other = strips->value(problem, &evidence->records[k]);
            below += other > 0 && other <= value;
        }
        if (value > 0 && (double)below >= needed && (best <= 0 || value < best))
            best = value;
    }
    return best;
}

static void write_table(const struct strips *strips, const char *caption, const char *titles)
{
    struct kgen_text *html = strips->html;
    kgen_text_puts(html, "<details><summary>The numbers</summary>\n");
    kgen_html_table_begin(html, caption, titles);
    for (size_t i = 0; i < strips->data->count; i++) {
        const struct kgen_report_problem *problem = &strips->data->problems[i];
        const struct kgen_ranked *chosen = problem->evidence.chosen;
        const size_t shown = shown_of(strips, problem);
        if (shown == 0)
            continue;
        kgen_text_puts(html, "<tr>");
        kgen_html_number(html, "%.0f", (double)problem->number);
        kgen_html_cell(html, "%s", problem->description.data);
        kgen_html_number(html, "%.0f", (double)shown);
        kgen_html_number(html, "%.3g", chosen != NULL ? strips->value(problem, chosen) : 0);
        kgen_html_number(html, "%.3g", quantile(strips, problem, 0));
        kgen_html_number(html, "%.3g", quantile(strips, problem, 0.5));
        kgen_html_number(html, "%.3g", quantile(strips, problem, 1));
        kgen_text_puts(html, "</tr>\n");
    }
    kgen_html_table_end(html);
    kgen_text_puts(html, "</details>\n");
}

void kgen_html_relative(const struct kgen_report_data *data, struct kgen_text *html)
{
    struct strips strips = {
        .data = data,
        .html = html,
        .value = relative_time,
        .peers = true,
        .id = "relative",
        .title = "Time of each candidate relative to the winner",
        .description = "One row a problem, one mark a candidate; the winner stands at 1. The table below "
                       "holds the least, the median and the greatest of each row.",
        .axis = "time of one call, the winner's = 1× (log)",
        .suffix = "×",
        .mark = 1,
    };
    if (!lay_out(&strips))
        return;
    kgen_text_puts(html,
                   "<section id=\"times\">\n<h2>Time relative to the winner</h2>\n"
                   "<p>How much the choice matters: the farther the marks reach to the right, the more a "
                   "wrong choice would cost. The winners come from a final round in which the fastest "
                   "were timed again, in turns; a mark to the left of 1× was faster in its first "
                   "timing, and not in the final round.</p>\n");
    draw(&strips);
    write_table(&strips, "Time relative to the winner", ">#|problem|>timed|>winner|>least|>median|>greatest");
    kgen_text_puts(html, "</section>\n");
}

void kgen_html_errors(const struct kgen_report_data *data, struct kgen_text *html)
{
    struct strips strips = {
        .data = data,
        .html = html,
        .value = error_share,
        .id = "error",
        .title = "Greatest error of each candidate in percent of its bound",
        .description = "One row a problem, one mark a candidate that passed; 100% is the bound. The table "
                       "below holds the least, the median and the greatest of each row.",
        .axis = "greatest |y − reference| in percent of the bound (log)",
        .suffix = "%",
        .mark = 100,
    };
    if (!lay_out(&strips))
        return;
    kgen_text_puts(html,
                   "<section id=\"errors\">\n<h2>Error against bound</h2>\n"
                   "<p>The greatest error over all elements of all test inputs, held against the forward "
                   "error bound of each element. A candidate beyond 100% is not chosen, nor even "
                   "timed: it stands among the failures.</p>\n");
    draw(&strips);
    write_table(&strips, "Error in percent of the bound",
                ">#|problem|>passed|>winner %|>least %|>median %|>greatest %");
    kgen_text_puts(html, "</section>\n");
}
