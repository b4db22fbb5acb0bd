/* SPDX-License-Identifier: MIT */
/* Finds the place of a value in JSON text. jansson keeps no places after parsing, and errors need them. */
#ifndef KGEN_JSON_PLACE_H
#define KGEN_JSON_PLACE_H

#include "gen/base/base.h"

/* One step from a value to a value within it. A chain of steps ends at the root, which is NULL. Callers keep
 * the steps on their stack. */
struct kgen_json_path {
    const struct kgen_json_path *parent;
    const char *key; /* a member of an object; NULL for an element of an array */
    size_t index;    /* of the element */
};

/* Byte offsets into the text. */
struct kgen_json_place {
    size_t key;        /* of the quote that opens the member's key; equal to begin elsewhere */
    size_t begin, end; /* the value */
};

/* Finds the value of a path in text that jansson accepts. Returns 0, or -1 where there is none. */
int kgen_json_find(const char *text, size_t length, const struct kgen_json_path *path,
                   struct kgen_json_place *place);

/* The line and column of an offset, from 1; columns count characters. */
void kgen_json_line(const char *text, size_t offset, int *line, int *column);

#endif
