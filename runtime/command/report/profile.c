/* SPDX-License-Identifier: MIT */
/* A profile as a chart of bars, one for each kind of node, beside a table of the same numbers. */
#include "runtime/command/report/profile.h"

#include "runtime/command/report/html.h"

enum { WIDTH = 1000, ROW = 24, BAR = 14, LABEL_CHARACTERS = 44 };

/* The kinds of time in a bar, in their order. */
static const char *const kinds[] = {"computing", "preparing, in one thread", "waiting for other threads"};
static const size_t kind_series[] = {0, 2, 3};

static void bar(struct kgen_text *html, const struct kgen_scale *x, double y, double begin, double seconds,
                size_t kind)
{
    const double from = kgen_scale_at(x, begin * 1e6), to = kgen_scale_at(x, (begin + seconds) * 1e6);
    if (seconds <= 0)
        return;
    kgen_text_printf(html,
                     "<path class=\"s%zu w\" d=\"M%.1f %.1fH%.1fV%.1fH%.1fz\"><title>%s: ", kind_series[kind],
                     from, y - BAR / 2.0, to, y + BAR / 2.0, from, kinds[kind]);
    kgen_html_time(html, seconds);
    kgen_svg_mark_end(html);
}

static void chart(const struct kgen_profile_part *part, const char *id, const char *title,
                  struct kgen_text *html)
{
    double most = 0;
    for (size_t i = 0; i < part->line_count; i++)
        most = part->lines[i].seconds > most ? part->lines[i].seconds : most;
    if (most <= 0)
        return;
    const struct kgen_frame frame = {330, WIDTH - 15, 8, 8 + (double)part->line_count * ROW};
    const struct kgen_scale x = {0, most * 1e6, frame.left, frame.right, false};
    kgen_text_puts(html, "<figure>\n");
    kgen_svg_begin(html, id, WIDTH, frame.bottom + 44, title,
                   "A bar for each kind of node, as long as the time of all its nodes in one run.");
    kgen_svg_x_axis(html, &x, &frame, "", "µs of one run");
    for (size_t i = 0; i < part->line_count; i++) {
        const struct kgen_profile_line *line = &part->lines[i];
        const double y = frame.top + ((double)i + 0.5) * ROW;
        double rest = line->seconds - line->prepare - line->waiting;
        rest = rest > 0 ? rest : 0;
        kgen_text_printf(html, "<text class=\"label\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">",
                         frame.left - 8, y + 4);
        kgen_html_shortened(html, line->label, LABEL_CHARACTERS);
        kgen_text_puts(html, "</text>\n");
        bar(html, &x, y, 0, rest, 0);
        bar(html, &x, y, rest, line->prepare, 1);
        bar(html, &x, y, rest + line->prepare, line->waiting, 2);
    }
    kgen_svg_end(html);
    kgen_text_puts(html, "<ul class=\"legend\">\n");
    for (size_t i = 0; i < KGEN_COUNT_OF(kinds); i++)
        kgen_text_printf(html,
                         "<li><svg viewBox=\"-9 -9 18 18\" width=\"18\" height=\"18\" aria-hidden=\"true\">"
                         "<path class=\"s%zu\" d=\"M-6-6H6V6H-6z\"/></svg>%s</li>\n",
                         kind_series[i], kinds[i]);
    kgen_text_puts(html, "</ul>\n</figure>\n");
}

static void row(const struct kgen_profile *profile, const struct kgen_profile_part *part,
                const struct kgen_profile_line *line, const char *op, struct kgen_text *html)
{
    const double bytes = part == &profile->step ? line->bytes : 0;
    kgen_text_puts(html, "<tr>");
    kgen_html_cell(html, "%s", op);
    kgen_html_cell(html, "%s", line->label != NULL ? line->label : "");
    kgen_html_number(html, "%.0f", (double)line->nodes);
    kgen_html_time_cell(html, line->seconds);
    kgen_html_time_cell(html, line->least);
    kgen_html_number(html, "%.1f%%", 100 * line->seconds / part->sum.seconds);
    kgen_html_number(html, "%.1f", line->bytes * 1e-6);
    kgen_html_number(html, "%.1f", line->seconds > 0 ? bytes / line->seconds * 1e-9 : 0);
    kgen_html_number(html, "%.0f%%", 100 * kgen_profile_share(profile, bytes, line->seconds));
    kgen_html_time_cell(html, line->prepare);
    kgen_html_time_cell(html, line->waiting);
    kgen_text_puts(html, "</tr>\n");
}

static void table(const struct kgen_profile *profile, const struct kgen_profile_part *part,
                  struct kgen_text *html)
{
    kgen_html_table_begin(html, "Medians of each node, summed over the nodes of a kind",
                          "op|tensors|>nodes|>time|>least|>of all|>MB|>GB/s|>of bandwidth|>prepare|>waiting");
    for (size_t i = 0; i < part->line_count; i++)
        row(profile, part, &part->lines[i], part->lines[i].op, html);
    row(profile, part, &part->sum, "all", html);
    kgen_html_table_end(html);
}

static void section(const struct kgen_profile *profile, const struct kgen_profile_part *part, const char *id,
                    const char *title, struct kgen_text *html)
{
    if (part->runs == 0)
        return;
    kgen_text_printf(html, "<section id=\"%s\">\n<h2>%s</h2>\n<p>Median ", id, title);
    kgen_html_time(html, part->seconds);
    kgen_text_puts(html, ", least ");
    kgen_html_time(html, part->least);
    kgen_text_printf(html, ", of %zu runs at position %lld.</p>\n", part->runs, (long long)part->position);
    chart(part, id, title, html);
    table(profile, part, html);
    kgen_text_puts(html, "</section>\n");
}

void kgen_html_profile(const struct kgen_profile *profile, struct kgen_text *html)
{
    const struct kgen_model *model = profile->opened.model;
    char precision[KGEN_PRECISION_TEXT];
    kgen_html_head("kgen profile: ", profile->source, html);
    kgen_text_puts(html, "<header>\n<h1>kgen profile: ");
    kgen_html_escape(html, profile->source);
    kgen_text_puts(html, "</h1>\n<p class=\"muted\">");
    kgen_html_printf(html, "%lld layers, %s, %s, %d threads, context %lld", (long long)profile->layers,
                     profile->opened.config != NULL ? "random weights" : "the weights of the checkpoint",
                     kgen_opened_model_precision(&profile->opened, precision),
                     profile->opened.context->settings.threads,
                     (long long)kgen_decoder_context(model->decoder));
    if (profile->model_layers > profile->layers)
        kgen_html_printf(html, ", the first of %lld layers", (long long)profile->model_layers);
    if (profile->bandwidth_known)
        kgen_html_printf(html, "; memory reads %.1f GB/s",
                         kgen_bandwidth_of(&profile->bandwidth, profile->opened.context->settings.threads) *
                             1e-9);
    kgen_text_puts(html, "</p>\n</header>\n<main>\n");
    section(profile, &profile->step, "step", "A decode step", html);
    section(profile, &profile->prompt, "prompt", "A prompt", html);
    kgen_text_puts(html, "</main>\n<footer><p>kgen " KGEN_VERSION
                         ". Point at a bar for its time.</p></footer>\n</body>\n</html>\n");
}
