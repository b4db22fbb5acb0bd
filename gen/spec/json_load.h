/* SPDX-License-Identifier: MIT */
/* JSON as Python's json module writes it, with Infinity, -Infinity and NaN. jansson has neither a syntax nor
 * a value for them: they become strings that begin with a mark, which kgen_json_marked tells. */
#ifndef KGEN_JSON_LOAD_H
#define KGEN_JSON_LOAD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* As json_loadb with JSON_REJECT_DUPLICATES; places in error are those of text. The caller frees the value.
 */
json_t *kgen_json_load(const char *text, size_t length, json_error_t *error);

/* Whether the value is such a string, and the number it stands for. A string of the text may begin with the
 * mark, too: where the value comes from decides. */
bool kgen_json_marked(const json_t *value, double *number);

#endif
