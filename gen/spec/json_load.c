/* SPDX-License-Identifier: MIT */
#include "gen/spec/json_load.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* DEL, which JSON strings may hold and nobody writes. */
#define MARK '\x7f'

static const char *const names[] = {"Infinity", "-Infinity", "NaN"};

static bool ends_value(const char *text, size_t length, size_t at)
{
    return at == length || memchr(" \t\r\n,]}", text[at], 7) != NULL;
}

static bool begins_value(const char *text, size_t at)
{
    return at > 0 && memchr(" \t\r\n,[:", text[at - 1], 7) != NULL;
}

/* The length of the name that stands at a place as a whole value, or 0. A name before a colon is no value. */
static size_t match(const char *text, size_t length, size_t at)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t size = strlen(names[i]);
        if (length - at < size || memcmp(text + at, names[i], size) != 0)
            continue;
        if (!begins_value(text, at) || !ends_value(text, length, at + size))
            return 0;
        size_t next = at + size;
        while (next < length && memchr(" \t\r\n", text[next], 4) != NULL)
            next++;
        return next < length && text[next] == ':' ? 0 : size;
    }
    return 0;
}

static size_t skip_string(const char *text, size_t length, size_t at)
{
    for (at++; at < length && text[at] != '"'; at++)
        at += text[at] == '\\';
    return at + 1;
}

/* Puts a string of the same length in the place of a name: the mark and, of an infinity, its sign. */
static void replace(char *at, size_t size)
{
    char sign = *at == '-' ? '-' : '+';
    memset(at, '.', size);
    at[0] = at[size - 1] = '"';
    at[1] = MARK;
    if (size > 3)
        at[2] = sign;
}

json_t *kgen_json_load(const char *text, size_t length, json_error_t *error)
{
    char *copy = NULL;
    for (size_t at = 0; at < length;) {
        size_t size = text[at] == '"' ? 0 : match(text, length, at);
        if (size > 0 && copy == NULL) {
            copy = malloc(length);
            if (copy != NULL)
                memcpy(copy, text, length);
        }
        if (size > 0 && copy != NULL)
            replace(copy + at, size);
        at = text[at] == '"' ? skip_string(text, length, at) : at + (size > 0 ? size : 1);
    }
    json_t *value = json_loadb(copy != NULL ? copy : text, length, JSON_REJECT_DUPLICATES, error);
    free(copy);
    return value;
}

bool kgen_json_marked(const json_t *value, double *number)
{
    const char *string = json_string_value(value);
    if (string == NULL || string[0] != MARK)
        return false;
    *number = string[1] == '\0' ? (double)NAN : string[1] == '-' ? -(double)INFINITY : (double)INFINITY;
    return true;
}
