/* SPDX-License-Identifier: MIT */
/* The page of kgen report: HTML that is well-formed XML as well, with charts as inline SVG and no script.
 * Every chart stands beside a table of the same numbers. Internal to runtime/command/report, but for
 * kgen_html_page.
 *
 * Functions append to a kgen_text, whose failed says when memory has run out. Strings from anywhere but this
 * program's text go through the escaping functions. */
#ifndef KGEN_REPORT_HTML_H
#define KGEN_REPORT_HTML_H

#include "runtime/command/report/data.h"

/* Begins a page: all up to the body's tag, with a title of two parts. */
void kgen_html_head(const char *title, const char *name, struct kgen_text *html);
/* Appends the whole page. */
void kgen_html_page(const struct kgen_report_data *data, struct kgen_text *html);

/* ---- report_html_text.c ---- */

/* Appends text so that it stands for itself in content and in attributes. What XML cannot hold (control
 * characters, bytes that are not UTF-8) becomes U+FFFD. */
void kgen_html_escape(struct kgen_text *html, const char *text);
/* Formats, then escapes all of it. */
void kgen_html_printf(struct kgen_text *html, const char *format, ...) KGEN_PRINTF(2, 3);
/* The first `most` characters, "…" in place of the last where there are more, escaped. */
void kgen_html_shortened(struct kgen_text *html, const char *text, size_t most);

/* "301.1 µs", "12.0 ms"; "–" for 0, not timed. */
void kgen_html_time(struct kgen_text *html, double seconds);

/* A table whose titles are separated by '|'; a title that begins with '>' is that of a column of numbers. */
void kgen_html_table_begin(struct kgen_text *html, const char *caption, const char *titles);
void kgen_html_table_end(struct kgen_text *html);
/* Cells of text, and of numbers, escaped; "–" where the value is not known (not finite, or not positive).
 * The format of a number has one conversion, for a double. */
void kgen_html_cell(struct kgen_text *html, const char *format, ...) KGEN_PRINTF(2, 3);
void kgen_html_number(struct kgen_text *html, const char *format, double value);
void kgen_html_time_cell(struct kgen_text *html, double seconds);

/* ---- report_html_axis.c ---- */

/* From numbers to pixels. from may be greater than to. */
struct kgen_scale {
    double low, high; /* positive where log */
    double from, to;
    bool log;
};
double kgen_scale_at(const struct kgen_scale *scale, double value);

#define KGEN_TICK_MAX 24
/* Round numbers on the scale, at least gap pixels apart. Returns how many; it may be none. */
size_t kgen_scale_ticks(const struct kgen_scale *scale, double gap, double ticks[KGEN_TICK_MAX]);

/* Widens a logarithmic range by a share of its length on either side, to at least a factor of 1.1 in all. */
void kgen_range_widen(double *low, double *high, double share);

struct kgen_frame {
    double left, right, top, bottom;
};
/* Grid lines and labels under a horizontal scale, its title beneath. suffix follows each number: "×". */
void kgen_svg_x_axis(struct kgen_text *html, const struct kgen_scale *scale, const struct kgen_frame *frame,
                     const char *suffix, const char *title);
/* The same to the left of a vertical one; its title above, at the left edge. */
void kgen_svg_y_axis(struct kgen_text *html, const struct kgen_scale *scale, const struct kgen_frame *frame,
                     const char *title);

/* ---- report_html_mark.c ---- */

/* Opens a chart that scales to the page's width; id is unique in the page. Title and description are for
 * those who cannot see it. */
void kgen_svg_begin(struct kgen_text *html, const char *id, double width, double height, const char *title,
                    const char *description);
void kgen_svg_end(struct kgen_text *html);
/* A mark of a series; large for winners. Up to kgen_svg_mark_end everything is its hover text, escaped by the
 * caller. */
void kgen_svg_mark_begin(struct kgen_text *html, size_t series, bool large, double x, double y);
void kgen_svg_mark_end(struct kgen_text *html);
/* A peer's mark, likewise. */
void kgen_svg_peer_begin(struct kgen_text *html, double x, double y);
/* Which mark is which. */
void kgen_html_legend(struct kgen_text *html, const struct kgen_report_data *data, bool peers);

/* The hover text of a candidate, and of a peer. */
void kgen_html_candidate(struct kgen_text *html, const struct kgen_report_problem *problem,
                         const struct kgen_ranked *ranked);
void kgen_html_peer(struct kgen_text *html, const struct kgen_report_problem *problem,
                    const struct kgen_peer *peer);

/* ---- the sections of the page; each appends nothing where it has nothing to show ---- */
void kgen_html_summary(const struct kgen_report_data *data, struct kgen_text *html);
void kgen_html_roofline(const struct kgen_report_data *data, struct kgen_text *html);
void kgen_html_relative(const struct kgen_report_data *data, struct kgen_text *html);
void kgen_html_errors(const struct kgen_report_data *data, struct kgen_text *html);
void kgen_html_peers(const struct kgen_report_data *data, struct kgen_text *html);
void kgen_html_failures(const struct kgen_report_data *data, struct kgen_text *html);
void kgen_html_problems(const struct kgen_report_data *data, struct kgen_text *html);
/* Small charts of time against each tuning parameter of one problem, and their table. */
void kgen_html_parameters(const struct kgen_report_problem *problem, struct kgen_text *html);

#endif
