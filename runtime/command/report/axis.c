/* SPDX-License-Identifier: MIT */
/* Scales and axes. */
#include "runtime/command/report/html.h"

#include <math.h>

double kgen_scale_at(const struct kgen_scale *scale, double value)
{
    double share;
    if (scale->log)
        share = log(fmax(value, 1e-300) / scale->low) / log(scale->high / scale->low);
    else
        share = (value - scale->low) / (scale->high - scale->low);
    return scale->from + fmin(fmax(share, 0), 1) * (scale->to - scale->from);
}

/* Appends a tick. Returns false where it stands too near the last one, or there are too many. */
static bool add_tick(const struct kgen_scale *scale, double gap, double value, double ticks[KGEN_TICK_MAX],
                     size_t *count)
{
    if (value < scale->low * (1 - 1e-9) || value > scale->high * (1 + 1e-9))
        return true;
    if (*count == KGEN_TICK_MAX ||
        (*count > 0 && fabs(kgen_scale_at(scale, value) - kgen_scale_at(scale, ticks[*count - 1])) < gap))
        return false;
    ticks[(*count)++] = value;
    return true;
}

static bool even_ticks(const struct kgen_scale *scale, double gap, double step, double ticks[KGEN_TICK_MAX],
                       size_t *count)
{
    *count = 0;
    const double first = ceil(scale->low / step - 1e-9), last = floor(scale->high / step + 1e-9);
    if (last - first >= KGEN_TICK_MAX)
        return false;
    for (double i = first; i <= last; i++) {
        if (!add_tick(scale, gap, i * step, ticks, count))
            return false;
    }
    return true;
}

/* One in every `decades` decades, times each of the digits. */
static bool decade_ticks(const struct kgen_scale *scale, double gap, const int *digits, int decades,
                         double ticks[KGEN_TICK_MAX], size_t *count)
{
    *count = 0;
    const int first = (int)floor(log10(scale->low)), last = (int)ceil(log10(scale->high));
    for (int decade = first; decade <= last; decade++) {
        if (decade % decades != 0)
            continue;
        for (const int *digit = digits; *digit != 0; digit++) {
            if (!add_tick(scale, gap, *digit * pow(10, decade), ticks, count))
                return false;
        }
    }
    return true;
}

size_t kgen_scale_ticks(const struct kgen_scale *scale, double gap, double ticks[KGEN_TICK_MAX])
{
    static const int fine[] = {1, 2, 5, 0}, coarse[] = {1, 3, 0}, whole[] = {1, 0};
    size_t count = 0;
    if (scale->log && scale->high / scale->low > 8) {
        if (decade_ticks(scale, gap, fine, 1, ticks, &count) ||
            decade_ticks(scale, gap, coarse, 1, ticks, &count))
            return count;
        for (int decades = 1; decades <= 64; decades *= 2) {
            if (decade_ticks(scale, gap, whole, decades, ticks, &count))
                return count;
        }
    }
    /* The finest steps that fit. */
    const double decade = pow(10, floor(log10(scale->high - scale->low)) - 2);
    for (double power = decade; power <= decade * 1e4; power *= 10) {
        for (const int *digit = fine; *digit != 0; digit++) {
            if (even_ticks(scale, gap, *digit * power, ticks, &count))
                return count;
        }
    }
    return count;
}

void kgen_range_widen(double *low, double *high, double share)
{
    const double factor = fmax(pow(*high / *low, share), sqrt(1.1));
    *low /= factor;
    *high *= factor;
}

void kgen_svg_x_axis(struct kgen_text *html, const struct kgen_scale *scale, const struct kgen_frame *frame,
                     const char *suffix, const char *title)
{
    double ticks[KGEN_TICK_MAX];
    const size_t count = kgen_scale_ticks(scale, 42, ticks);
    for (size_t i = 0; i < count; i++) {
        const double x = kgen_scale_at(scale, ticks[i]);
        kgen_text_printf(html, "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/>", x, frame->top, frame->bottom);
        kgen_text_printf(html,
                         "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%.6g%s</text>\n",
                         x, frame->bottom + 16, ticks[i], suffix);
    }
    kgen_text_printf(html, "<text class=\"axis\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">",
                     (frame->left + frame->right) / 2, frame->bottom + 36);
    kgen_html_escape(html, title);
    kgen_text_puts(html, "</text>\n");
}

void kgen_svg_y_axis(struct kgen_text *html, const struct kgen_scale *scale, const struct kgen_frame *frame,
                     const char *title)
{
    double ticks[KGEN_TICK_MAX];
    const size_t count = kgen_scale_ticks(scale, 22, ticks);
    for (size_t i = 0; i < count; i++) {
        const double y = kgen_scale_at(scale, ticks[i]);
        kgen_text_printf(html, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>", frame->left, y, frame->right);
        kgen_text_printf(html, "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%.6g</text>\n",
                         frame->left - 6, y + 4, ticks[i]);
    }
    kgen_text_printf(html, "<text class=\"axis\" x=\"2\" y=\"%.1f\">", frame->top - 8);
    kgen_html_escape(html, title);
    kgen_text_puts(html, "</text>\n");
}
