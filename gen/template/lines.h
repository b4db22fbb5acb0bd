/* SPDX-License-Identifier: MIT */
/* Where the lines of an instance come from: the line of the template, or of a file that it includes. */
#ifndef KGEN_TEMPLATE_LINES_H
#define KGEN_TEMPLATE_LINES_H

#include "gen/base/base.h"

/* The place that gave the first character of a line. */
struct kgen_text_origin {
    const char *source; /* "templates/c/qmv_block.inc"; owned by the template */
    int line;           /* from 1 */
    int outer_line;     /* the line of the template itself on which that file is included; 0 where it is the
                           template */
};

/* One origin for each line. Zero-initialise it. Valid as long as the template. */
struct kgen_line_map {
    struct kgen_text_origin *items; /* owned; the first is that of line 1 */
    size_t count, capacity;
    bool inside; /* the last line has no end yet */
    bool failed; /* out of memory */
};

/* Notes that text, of length bytes, was appended to the instance. It comes from a place; its own lines are
 * those that follow it where is_copied, and all come from that one line otherwise. */
void kgen_line_map_note(struct kgen_line_map *map, const char *text, size_t length,
                        struct kgen_text_origin place, bool is_copied);
/* The origin of a line, from 1; NULL where the instance has no such line. */
const struct kgen_text_origin *kgen_line_map_find(const struct kgen_line_map *map, int line);
void kgen_line_map_free(struct kgen_line_map *map);

#endif
