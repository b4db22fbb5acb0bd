/* SPDX-License-Identifier: MIT */
#include "runtime/command/report/html.h"

#include <math.h>
#include <string.h>

/* The bytes of the UTF-8 character at text that XML can hold; 0 where there is none. */
static size_t character_at(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (at[0] < 0x80)
        return at[0] >= ' ' || at[0] == '\t' || at[0] == '\n' ? at[0] != 0x7f : 0;
    const size_t length = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : at[0] >= 0xc2 ? 2 : 0;
    if (length == 0 || at[0] > 0xf4)
        return 0;
    uint32_t code = at[0] & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (at[i] & 0x3fu);
    }
    const bool surrogate = code >= 0xd800 && code < 0xe000, control = code < 0xa0;
    return code < least[length] || code > 0x10ffff || surrogate || control || (code & 0xfffe) == 0xfffe
               ? 0
               : length;
}

static void escape_one(struct kgen_text *html, const char **text)
{
    const size_t length = character_at(*text);
    switch (length == 0 ? 0 : **text) {
    case '&':
        kgen_text_puts(html, "&amp;");
        break;
    case '<':
        kgen_text_puts(html, "&lt;");
        break;
    case '>':
        kgen_text_puts(html, "&gt;");
        break;
    case '"':
        kgen_text_puts(html, "&quot;");
        break;
    case '\'':
        kgen_text_puts(html, "&#39;");
        break;
    default:
        if (length > 0)
            kgen_text_append(html, *text, length);
        else
            kgen_text_puts(html, "\xef\xbf\xbd");
    }
    *text += length > 0 ? length : 1;
}

void kgen_html_escape(struct kgen_text *html, const char *text)
{
    while (*text != '\0')
        escape_one(html, &text);
}

static void escape_printed(struct kgen_text *html, const char *format, va_list arguments)
{
    struct kgen_text text = {0};
    kgen_text_vprintf(&text, format, arguments);
    if (text.failed)
        html->failed = true;
    else if (text.data != NULL)
        kgen_html_escape(html, text.data);
    kgen_text_free(&text);
}

void kgen_html_printf(struct kgen_text *html, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    escape_printed(html, format, arguments);
    va_end(arguments);
}

void kgen_html_shortened(struct kgen_text *html, const char *text, size_t most)
{
    size_t length = 0;
    for (const char *at = text; *at != '\0'; length++) {
        const size_t bytes = character_at(at);
        at += bytes > 0 ? bytes : 1;
    }
    for (size_t i = 0; i < length && i < (length > most ? most - 1 : most); i++)
        escape_one(html, &text);
    if (length > most)
        kgen_text_puts(html, "…");
}

void kgen_html_time(struct kgen_text *html, double seconds)
{
    const bool long_one = seconds >= 0.01;
    const double value = seconds * (long_one ? 1e3 : 1e6);
    if (!(value > 0) || !isfinite(value))
        kgen_text_puts(html, "–");
    else
        kgen_text_printf(html, "%.*f %s",
                         value < 10    ? 3
                         : value < 100 ? 2
                                       : 1,
                         value, long_one ? "ms" : "µs");
}

void kgen_html_table_begin(struct kgen_text *html, const char *caption, const char *titles)
{
    kgen_text_puts(html, "<div class=\"scroll\"><table>\n<caption>");
    kgen_html_escape(html, caption);
    kgen_text_puts(html, "</caption>\n<thead><tr>");
    while (titles != NULL) {
        const char *end = strchr(titles, '|');
        const size_t length = end != NULL ? (size_t)(end - titles) : strlen(titles);
        const bool number = titles[0] == '>';
        kgen_text_puts(html, number ? "<th scope=\"col\" class=\"n\">" : "<th scope=\"col\">");
        kgen_text_append(html, titles + number, length - number);
        kgen_text_puts(html, "</th>");
        titles = end != NULL ? end + 1 : NULL;
    }
    kgen_text_puts(html, "</tr></thead>\n<tbody>\n");
}

void kgen_html_table_end(struct kgen_text *html)
{
    kgen_text_puts(html, "</tbody></table></div>\n");
}

void kgen_html_cell(struct kgen_text *html, const char *format, ...)
{
    va_list arguments;
    kgen_text_puts(html, "<td>");
    va_start(arguments, format);
    escape_printed(html, format, arguments);
    va_end(arguments);
    kgen_text_puts(html, "</td>");
}

void kgen_html_number(struct kgen_text *html, const char *format, double value)
{
    kgen_text_puts(html, "<td class=\"n\">");
    if (isfinite(value) && value > 0)
        kgen_text_printf(html, format, value);
    else
        kgen_text_puts(html, "–");
    kgen_text_puts(html, "</td>");
}
void kgen_html_time_cell(struct kgen_text *html, double seconds)
{
    kgen_text_puts(html, "<td class=\"n\">");
    kgen_html_time(html, seconds);
    kgen_text_puts(html, "</td>");
}
