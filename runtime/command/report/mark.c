/* SPDX-License-Identifier: MIT */
/* Charts' frames, marks and legends. */
#include "runtime/command/report/html.h"

void kgen_svg_begin(struct kgen_text *html, const char *id, double width, double height, const char *title,
                    const char *description)
{
    kgen_text_printf(html,
                     "<svg viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" height=\"%.0f\" role=\"img\" "
                     "aria-labelledby=\"%s-t %s-d\">\n<title id=\"%s-t\">",
                     width, height, width, height, id, id, id);
    kgen_html_escape(html, title);
    kgen_text_printf(html, "</title><desc id=\"%s-d\">", id);
    kgen_html_escape(html, description);
    kgen_text_puts(html, "</desc>\n");
}

void kgen_svg_end(struct kgen_text *html)
{
    kgen_text_puts(html, "</svg>\n");
}

/* Around (0, 0), 8 units wide. Colours tell the series apart, and so do the shapes alone. */
static const char *const shapes[KGEN_SERIES_MARKS] = {
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
    "M-4.4 3.8H4.4L0-4.4z",
    "M-3.6-3.6H3.6V3.6H-3.6z",
    "M-4.4-3.8H4.4L0 4.4z",
    "M0-4.8L4.8 0L0 4.8L-4.8 0z",
    "M-1.5-4.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z",
    "M0-4.8L4.6-1.5L2.8 3.9H-2.8L-4.6-1.5z",
    "M-4.6-1.8h9.2v3.6h-9.2z",
};

void kgen_svg_mark_begin(struct kgen_text *html, size_t series, bool large, double x, double y)
{
    kgen_text_printf(html, "<path class=\"s%zu%s\" transform=\"translate(%.1f %.1f)%s\" d=\"%s\"><title>",
                     series % KGEN_SERIES_MARKS, large ? " w" : "", x, y, large ? "scale(1.5)" : "",
                     shapes[series % KGEN_SERIES_MARKS]);
}

void kgen_svg_peer_begin(struct kgen_text *html, double x, double y)
{
    kgen_text_printf(html,
                     "<path class=\"peer\" transform=\"translate(%.1f %.1f)\" "
                     "d=\"M-5-5L5 5M-5 5L5-5\"><title>",
                     x, y);
}

void kgen_svg_mark_end(struct kgen_text *html)
{
    kgen_text_puts(html, "</title></path>\n");
}

static void legend_begin(struct kgen_text *html)
{
    kgen_text_puts(html, "<li><svg viewBox=\"-9 -9 18 18\" width=\"18\" height=\"18\" aria-hidden=\"true\">");
}

void kgen_html_legend(struct kgen_text *html, const struct kgen_report_data *data, bool peers)
{
    kgen_text_puts(html, "<ul class=\"legend\">\n");
    for (size_t i = 0; i < data->series_count; i++) {
        legend_begin(html);
        kgen_text_printf(html, "<path class=\"s%zu\" d=\"%s\"/></svg>%s</li>\n", i % KGEN_SERIES_MARKS,
                         shapes[i % KGEN_SERIES_MARKS], data->series[i]);
    }
    legend_begin(html);
    kgen_text_printf(html,
                     "<path class=\"w plain\" transform=\"scale(1.5)\" d=\"%s\"/></svg>the winner</li>\n",
                     shapes[0]);
    if (peers) {
        legend_begin(html);
        kgen_text_puts(html, "<path class=\"peer\" d=\"M-5-5L5 5M-5 5L5-5\"/></svg>another program</li>\n");
    }
    kgen_text_puts(html, "</ul>\n");
}

void kgen_html_candidate(struct kgen_text *html, const struct kgen_report_problem *problem,
                         const struct kgen_ranked *ranked)
{
    kgen_html_printf(html, "%zu. %s\n%s\n", problem->number, problem->description.data,
                     ranked->record->variant);
    kgen_html_time(html, ranked->seconds);
    if (ranked->seconds > 0)
        kgen_text_printf(html, ", %.1f GB/s, %.3g Gop/s", problem->bytes / ranked->seconds * 1e-9,
                         problem->operations / ranked->seconds * 1e-9);
    kgen_text_printf(html, ", error/bound %.3f%s", ranked->record->error_of_bound,
                     ranked == problem->evidence.chosen ? "; the winner" : "");
}

void kgen_html_peer(struct kgen_text *html, const struct kgen_report_problem *problem,
                    const struct kgen_peer *peer)
{
    kgen_html_printf(html, "%zu. %s\n%s", problem->number, problem->description.data, peer->name);
    if (peer->settings[0] != '\0')
        kgen_html_printf(html, " (%s)", peer->settings);
    kgen_text_puts(html, "\n");
    kgen_html_time(html, peer->seconds);
    kgen_text_printf(html, ", %.1f GB/s", problem->bytes / peer->seconds * 1e-9);
}
