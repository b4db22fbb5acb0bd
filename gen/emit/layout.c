/* SPDX-License-Identifier: MIT */
/* The layout of emitted C text. A template cannot know how long names and values will be, so that lines are
 * broken here. */
#include "gen/emit/internal.h"

#include <string.h>

/* A continuation further to the right than this is indented by a step instead. */
enum { ALIGN_MAX = 60, STEP = 4 };

/* The state of a scan through a line of C text. */
struct scan {
    size_t open[32]; /* columns of the parentheses and brackets that are open */
    size_t depth;
    char quote;   /* of the literal that it is in, or 0 */
    bool returns; /* it began with "return" */
};

static void scan_character(struct scan *scan, const char *line, size_t at)
{
    const char c = line[at];
    if (scan->quote != 0) {
        if (c == scan->quote && line[at - 1] != '\\')
            scan->quote = 0;
    } else if (c == '"' || c == '\'') {
        scan->quote = c;
    } else if (c == '(' || c == '[') {
        if (scan->depth < KGEN_COUNT_OF(scan->open))
            scan->open[scan->depth] = at;
        scan->depth++;
    } else if ((c == ')' || c == ']') && scan->depth > 0) {
        scan->depth--;
    }
}

/* The penalty of breaking the line at the blank at this place, which grows with the depth of parentheses; 0
 * where the line cannot be broken. */
static unsigned badness(const struct scan *scan, const char *line, size_t at)
{
    const char before = line[at - 1];
    const unsigned level = 4 * (unsigned)scan->depth;
    if (before == ',' || before == ';')
        return level + 1;
    if (before == '=' || strchr("&|?:<>", before) != NULL)
        return level + 2;
    if (strchr("+-*/%", before) != NULL && line[at - 2] == ' ')
        return level + 3;
    return 0;
}

/* The length of the longest piece between two commas. */
static size_t longest_piece(const char *line, size_t length)
{
    size_t longest = 0, begin = 0;
    for (size_t at = 1; at <= length; at++) {
        if (at < length && (line[at] != ' ' || line[at - 1] != ','))
            continue;
        if (at - begin > longest)
            longest = at - begin;
        begin = at + 1;
    }
    return longest;
}

/* Where to break a line. */
struct place {
    size_t at;     /* of a blank; 0: nowhere */
    size_t indent; /* the column at which the rest goes on */
    struct scan scan;
};

/* The column at which the rest of a broken line goes on: behind what is open, or behind "return", where that
 * leaves room. */
static size_t indent_of(const struct scan *scan, size_t margin, const char *rest, size_t length)
{
    const size_t depth = scan->depth < KGEN_COUNT_OF(scan->open) ? scan->depth : KGEN_COUNT_OF(scan->open);
    const size_t longest = longest_piece(rest, length);
    const size_t aligned = depth > 0 ? scan->open[depth - 1] + 1 : margin + (scan->returns ? 7 : STEP);
    const size_t columns[] = {aligned, margin + STEP + STEP};
    for (size_t i = 0; i < KGEN_COUNT_OF(columns); i++) {
        if (columns[i] <= ALIGN_MAX && columns[i] + longest <= KGEN_EMIT_WIDTH)
            return columns[i];
    }
    return margin + STEP;
}

/* Finds the best blank to break a line at, within the width. scan is what is open where the line begins. */
static struct place find_place(const char *line, size_t length, size_t margin, struct scan scan)
{
    struct place best = {0};
    unsigned best_badness = 0;
    const size_t begin = strspn(line, " ");
    for (size_t at = begin; at < length && at <= KGEN_EMIT_WIDTH; at++) {
        scan_character(&scan, line, at);
        if (line[at] != ' ' || at <= begin + STEP || scan.quote != 0)
            continue;
        const unsigned here = badness(&scan, line, at);
        if (here == 0 || (best.at != 0 && here > best_badness))
            continue;
        best = (struct place){at, indent_of(&scan, margin, line + at + 1, length - at - 1), scan};
        best_badness = here;
    }
    return best;
}

static void put_blanks(struct kgen_text *out, size_t count)
{
    kgen_text_printf(out, "%*s", (int)count, "");
}

/* Appends a line of code, in several lines where it is too long. */
static void put_code(struct kgen_text *out, const char *line, size_t length)
{
    const size_t margin = strspn(line, " ");
    struct place place = {.scan.returns = strncmp(line + margin, "return ", 7) == 0};
    struct kgen_text rest = {0}, next = {0};
    kgen_text_append(&rest, line, length);
    while (rest.length > KGEN_EMIT_WIDTH && !rest.failed && !next.failed) {
        place = find_place(rest.data, rest.length, margin, place.scan);
        if (place.at == 0)
            break;
        kgen_text_append(out, rest.data, place.at);
        kgen_text_puts(out, "\n");
        kgen_text_clear(&next);
        put_blanks(&next, place.indent);
        kgen_text_append(&next, rest.data + place.at + 1, rest.length - place.at - 1);
        const struct kgen_text swap = rest;
        rest = next;
        next = swap;
    }
    kgen_text_append(out, rest.data, rest.length);
    out->failed = out->failed || rest.failed || next.failed;
    kgen_text_free(&rest);
    kgen_text_free(&next);
}

/* Appends a line of a comment, in several lines where it is too long. */
static void put_comment(struct kgen_text *out, const char *line, size_t length)
{
    const size_t blanks = strspn(line, " ");
    const size_t margin = blanks + (line[blanks] == '/'); /* of the asterisks that follow */
    size_t room = KGEN_EMIT_WIDTH;
    while (length > room) {
        size_t at = room;
        while (at > margin + 3 && line[at] != ' ')
            at--;
        if (at <= margin + 3)
            break;
        kgen_text_append(out, line, at);
        kgen_text_puts(out, "\n");
        put_blanks(out, margin);
        kgen_text_puts(out, "* ");
        line += at + 1;
        length -= at + 1;
        room = KGEN_EMIT_WIDTH - margin - 2;
    }
    kgen_text_append(out, line, length);
}

static long open_parentheses(const char *text, size_t length)
{
    long open = 0;
    for (size_t i = 0; i < length; i++)
        open += (text[i] == '(') - (text[i] == ')');
    return open;
}

/* Whether " + 0" at this place adds nothing: no operator after it binds more strongly. */
static bool is_plus_zero(const char *at)
{
    return strncmp(at, " + 0", 4) == 0 && at[4] != '\0' && strchr("),;]", at[4]) != NULL;
}

/* Takes the lines of a declaration of a function together: from a parenthesis that the line leaves open to
 * its end. Returns the bytes of text that the line was made of. */
static size_t take_line(const char *text, const char *end, struct kgen_text *line)
{
    const char *at = text;
    const bool may_join = at < end && strchr(" #/*{}\n", *at) == NULL;
    long open = 0;
    do {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline != NULL ? newline : end;
        if (at != text) {
            at += strspn(at, " ");
            kgen_text_puts(line, line->data[line->length - 1] == '(' ? "" : " ");
        }
        open += open_parentheses(at, (size_t)(stop - at));
        for (; at < stop; at++) {
            if (is_plus_zero(at))
                at += 3;
            else
                kgen_text_append(line, at, 1);
        }
        at = newline != NULL ? newline + 1 : end;
    } while (may_join && open > 0 && at < end && line->length > 0 && !line->failed);
    return (size_t)(at - text);
}

void kgen_emit_lay_out(const char *text, size_t length, struct kgen_text *out)
{
    const char *end = text + length;
    struct kgen_text line = {0};
    bool in_comment = false;
    for (const char *at = text; at < end && !line.failed;) {
        kgen_text_clear(&line);
        at += take_line(at, end, &line);
        if (line.length == 0) {
            kgen_text_puts(out, "\n");
            continue;
        }
        const char *first = line.data + strspn(line.data, " ");
        const bool comment = in_comment || strncmp(first, "/*", 2) == 0;
        in_comment = comment && strstr(line.data, "*/") == NULL;
        if (comment)
            put_comment(out, line.data, line.length);
        else if (*first == '#')
            kgen_text_append(out, line.data, line.length);
        else
            put_code(out, line.data, line.length);
        kgen_text_puts(out, "\n");
    }
    out->failed = out->failed || line.failed;
    kgen_text_free(&line);
}
