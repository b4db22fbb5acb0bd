/* SPDX-License-Identifier: MIT */
/* The roofline: operations a second against operations a byte, under the lines of the read bandwidth. */
#include "runtime/command/report/html.h"

#include <math.h>
#include <stdlib.h>

#define WIDTH 1000
#define HEIGHT 520
#define LABEL_GAP 13
#define COLUMN_WIDTH 60 /* winners nearer than this share a column of labels */

static const struct kgen_frame frame = {64, 930, 34, 466};

struct roofline {
    const struct kgen_report_data *data;
    struct kgen_text *html;
    struct kgen_scale x, y;
};

static double intensity_of(const struct kgen_report_problem *problem)
{
    return problem->operations / problem->bytes;
}

/* Marks of one intensity are told apart by standing side by side: qmv with f32, i16 and i8 activations. */
static double mark_x(const struct roofline *roofline, const struct kgen_report_problem *problem)
{
    const int64_t precision = kgen_problem_get(&problem->entry->problem, "activation_dtype");
    const double beside = precision == KGEN_F32 ? -9 : precision == KGEN_I8 ? 9 : 0;
    return kgen_scale_at(&roofline->x, intensity_of(problem)) + beside;
}

static void extend(double range[2], double value)
{
    if (range[0] <= 0 || value < range[0])
        range[0] = value;
    if (value > range[1])
        range[1] = value;
}

/* Returns false where nothing was timed. */
static bool find_scales(struct roofline *roofline)
{
    const struct kgen_report_data *data = roofline->data;
    double x[2] = {0}, y[2] = {0};
    for (size_t i = 0; i < data->count; i++) {
        const struct kgen_report_problem *problem = &data->problems[i];
        for (size_t k = 0; k < problem->evidence.passed; k++) {
            const double seconds = problem->evidence.records[k].seconds;
            if (seconds <= 0)
                continue;
            extend(x, intensity_of(problem));
            extend(y, problem->operations / seconds * 1e-9);
        }
    }
    if (x[0] <= 0)
        return false;
    for (size_t i = 0; i < data->peers.count; i++) {
        const struct kgen_report_problem *problem = kgen_report_peer_problem(data, &data->peers.items[i]);
        if (problem == NULL)
            continue;
        extend(x, intensity_of(problem));
        extend(y, problem->operations / data->peers.items[i].seconds * 1e-9);
    }
    if (data->bandwidth_known) {
        extend(y, x[1] * data->bandwidth.all_threads * 1e-9);
        extend(y, x[0] * data->bandwidth.one_thread * 1e-9);
    }
    kgen_range_widen(&x[0], &x[1], 0.08);
    x[0] /= 1.5;
    x[1] *= 1.5;
    kgen_range_widen(&y[0], &y[1], 0.05);
    roofline->x = (struct kgen_scale){x[0], x[1], frame.left, frame.right, true};
    roofline->y = (struct kgen_scale){y[0], y[1], frame.bottom, frame.top, true};
    return true;
}

/* Where along a line from x1 to x2 its label is farthest from every mark. */
static double free_share(const struct roofline *roofline, double x1, double x2)
{
    double best = 0.5, distance = -1;
    for (int i = 4; i <= 16; i++) {
        const double share = i / 20.0, x = x1 + share * (x2 - x1);
        double nearest = fmin(x - x1, x2 - x);
        for (size_t k = 0; k < roofline->data->count; k++)
            nearest = fmin(nearest, fabs(mark_x(roofline, &roofline->data->problems[k]) - x));
        if (nearest > distance) {
            distance = nearest;
            best = share;
        }
    }
    return best;
}

/* The line of a bandwidth, as far as it lies in the frame, its label along it where there is room. */
static void draw_bandwidth(const struct roofline *roofline, double bandwidth, int threads, double offset)
{
    const struct kgen_scale *x = &roofline->x, *y = &roofline->y;
    const double rate = bandwidth * 1e-9;
    const double first = fmax(x->low, y->low / rate), last = fmin(x->high, y->high / rate);
    if (first >= last)
        return;
    const double x1 = kgen_scale_at(x, first), y1 = kgen_scale_at(y, first * rate);
    const double x2 = kgen_scale_at(x, last), y2 = kgen_scale_at(y, last * rate);
    kgen_text_printf(roofline->html, "<path class=\"roof%s\" d=\"M%.1f %.1fL%.1f %.1f\"/>\n",
                     threads == 1 ? " one" : "", x1, y1, x2, y2);
    const double angle = atan2(y2 - y1, x2 - x1), middle = free_share(roofline, x1, x2);
    kgen_text_printf(roofline->html,
                     "<text class=\"note halo\" transform=\"translate(%.1f %.1f) rotate(%.2f)\" dy=\"%.0f\" "
                     "text-anchor=\"middle\">memory reads %.1f GB/s with %d %s</text>\n",
                     x1 + middle * (x2 - x1), y1 + middle * (y2 - y1), angle * 57.29578, offset, rate,
                     threads, threads == 1 ? "thread" : "threads");
}

static void draw_marks(const struct roofline *roofline, bool winners)
{
    for (size_t i = 0; i < roofline->data->count; i++) {
        const struct kgen_report_problem *problem = &roofline->data->problems[i];
        const double x = mark_x(roofline, problem);
        for (size_t k = 0; k < problem->evidence.passed; k++) {
            const struct kgen_ranked *ranked = &problem->evidence.records[k];
            if (ranked->seconds <= 0 || (ranked == problem->evidence.chosen) != winners)
                continue;
            const double rate = problem->operations / ranked->seconds * 1e-9;
            kgen_svg_mark_begin(roofline->html, problem->series, winners, x,
                                kgen_scale_at(&roofline->y, rate));
            kgen_html_candidate(roofline->html, problem, ranked);
            kgen_svg_mark_end(roofline->html);
        }
    }
}

static void draw_peers(const struct roofline *roofline)
{
    const struct kgen_peers *peers = &roofline->data->peers;
    for (size_t i = 0; i < peers->count; i++) {
        const struct kgen_report_problem *problem =
            kgen_report_peer_problem(roofline->data, &peers->items[i]);
        if (problem == NULL)
            continue;
        kgen_svg_peer_begin(
            roofline->html, mark_x(roofline, problem),
            kgen_scale_at(&roofline->y, problem->operations / peers->items[i].seconds * 1e-9));
        kgen_html_peer(roofline->html, problem, &peers->items[i]);
        kgen_svg_mark_end(roofline->html);
    }
}

/* A winner's number beside its mark. */
struct label {
    size_t number;
    double x, y;   /* of the mark */
    double column; /* where its column of labels stands */
    double at;     /* the label's height, once spread */
};

static int compare_x(const void *a, const void *b)
{
    const struct label *p = a, *q = b;
    if (p->x < q->x || p->x > q->x)
        return p->x < q->x ? -1 : 1;
    return p->number < q->number ? -1 : 1;
}

static int compare_y(const void *a, const void *b)
{
    const struct label *p = a, *q = b;
    if (p->y < q->y || p->y > q->y)
        return p->y < q->y ? -1 : 1;
    return p->number < q->number ? -1 : 1;
}

/* Puts the labels of one column under each other, none nearer than LABEL_GAP, as near to their marks as that
 * allows: pushed down from above, then up from the bottom. */
static void spread(struct label *labels, size_t count)
{
    qsort(labels, count, sizeof *labels, compare_y);
    double column = 0;
    for (size_t i = 0; i < count; i++)
        column = fmax(column, labels[i].x);
    for (size_t i = 0; i < count; i++) {
        labels[i].column = column + 18;
        labels[i].at = i > 0 ? fmax(labels[i].y, labels[i - 1].at + LABEL_GAP) : labels[i].y;
    }
    double limit = frame.bottom;
    for (size_t i = count; i-- > 0; limit = labels[i].at - LABEL_GAP)
        labels[i].at = fmin(labels[i].at, limit);
}

static void draw_labels(const struct roofline *roofline)
{
    const struct kgen_report_data *data = roofline->data;
    struct label *labels = calloc(data->count + 1, sizeof *labels);
    if (labels == NULL) {
        roofline->html->failed = true;
        return;
    }
    size_t count = 0;
    for (size_t i = 0; i < data->count; i++) {
        const struct kgen_report_problem *problem = &data->problems[i];
        const double seconds = kgen_report_winner_seconds(problem);
        if (seconds > 0)
            labels[count++] = (struct label){
                .number = problem->number,
                .x = mark_x(roofline, problem),
                .y = kgen_scale_at(&roofline->y, problem->operations / seconds * 1e-9),
            };
    }
    qsort(labels, count, sizeof *labels, compare_x);
    for (size_t begin = 0, end; begin < count; begin = end) {
        for (end = begin + 1; end < count && labels[end].x - labels[begin].x < COLUMN_WIDTH; end++)
            ;
        spread(labels + begin, end - begin);
    }
    for (size_t i = 0; i < count; i++)
        kgen_text_printf(
            roofline->html,
            "<path class=\"lead\" d=\"M%.1f %.1fL%.1f %.1f\"/>"
            "<a href=\"#p%zu\"><text class=\"number halo\" x=\"%.1f\" y=\"%.1f\">%zu</text></a>\n",
            labels[i].x + 7, labels[i].y, labels[i].column - 2, labels[i].at, labels[i].number,
            labels[i].column, labels[i].at + 4, labels[i].number);
    free(labels);
}

static void write_table(const struct kgen_report_data *data, struct kgen_text *html)
{
    kgen_text_puts(html, "<details><summary>The winners' numbers</summary>\n");
    kgen_html_table_begin(html, "Winners in the roofline",
                          ">#|problem|timed|>operations|>bytes|>operations a byte|>GB/s|>Gop/s");
    for (size_t i = 0; i < data->count; i++) {
        const struct kgen_report_problem *problem = &data->problems[i];
        const double seconds = kgen_report_winner_seconds(problem);
        kgen_text_puts(html, "<tr>");
        kgen_html_number(html, "%.0f", (double)problem->number);
        kgen_html_cell(html, "%s", problem->description.data);
        kgen_html_cell(html, "%s", problem->cold ? "cold" : "hot");
        kgen_html_number(html, "%.0f", problem->operations);
        kgen_html_number(html, "%.0f", problem->bytes);
        kgen_html_number(html, "%.3f", intensity_of(problem));
        kgen_html_number(html, "%.1f", seconds > 0 ? problem->bytes / seconds * 1e-9 : 0);
        kgen_html_number(html, "%.1f", seconds > 0 ? problem->operations / seconds * 1e-9 : 0);
        kgen_text_puts(html, "</tr>\n");
    }
    kgen_html_table_end(html);
    kgen_text_puts(html, "</details>\n");
}

void kgen_html_roofline(const struct kgen_report_data *data, struct kgen_text *html)
{
    struct roofline roofline = {.data = data, .html = html};
    if (!find_scales(&roofline))
        return;
    kgen_text_puts(html,
                   "<section id=\"roofline\">\n<h2>Roofline</h2>\n"
                   "<p>Every candidate that was timed; the numbers are those of the winners in the table "
                   "above. ");
    if (data->bandwidth_known)
        kgen_text_puts(
            html, "A kernel on a line moves its bytes as fast as memory was measured to give them. "
                  "Kernels with weights or caches are timed cold, from memory; the others find their data in "
                  "cache, and may stand above the lines. Problems of qmv with f32, i16 and i8 "
                  "activations stand side by side where they do the same operations a byte.");
    else
        kgen_text_puts(html,
                       "The read bandwidth of this machine is not in the cache, so there is no line of it.");
    kgen_text_puts(html, "</p>\n<figure>\n");
    kgen_svg_begin(html, "roof", WIDTH, HEIGHT, "Roofline of all candidates",
                   "Billions of operations a second against operations a byte, both logarithmic, with the "
                   "measured read bandwidth as diagonal lines. The table below holds the winners' numbers.");
    kgen_svg_x_axis(html, &roofline.x, &frame, "", "operations a byte (log)");
    kgen_svg_y_axis(html, &roofline.y, &frame, "billions of operations a second (log)");
    draw_marks(&roofline, false);
    if (data->bandwidth_known) {
        const bool one = data->bandwidth.threads > 1;
        draw_bandwidth(&roofline, data->bandwidth.all_threads, data->bandwidth.threads, -6);
        if (one)
            draw_bandwidth(&roofline, data->bandwidth.one_thread, 1, 15);
    }
    draw_peers(&roofline);
    draw_marks(&roofline, true);
    draw_labels(&roofline);
    kgen_svg_end(html);
    kgen_html_legend(html, data, data->peers.count > data->foreign_peers);
    kgen_text_puts(html, "</figure>\n");
    write_table(data, html);
    kgen_text_puts(html, "</section>\n");
}
