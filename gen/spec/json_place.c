/* SPDX-License-Identifier: MIT */
#include "gen/spec/json_place.h"

#include <jansson.h>
#include <string.h>

struct scan {
    const char *text;
    size_t length, position;
};

static char peek(const struct scan *scan)
{
    return scan->position < scan->length ? scan->text[scan->position] : '\0';
}

static void skip_blanks(struct scan *scan)
{
    while (scan->position < scan->length && strchr(" \t\r\n", scan->text[scan->position]) != NULL)
        scan->position++;
}

static void skip_string(struct scan *scan)
{
    scan->position++;
    while (scan->position < scan->length && scan->text[scan->position] != '"')
        scan->position += scan->text[scan->position] == '\\' ? 2 : 1;
    scan->position++;
}

static void skip_value(struct scan *scan)
{
    size_t depth = 0;
    do {
        char c = peek(scan);
        if (c == '"') {
            skip_string(scan);
            continue;
        }
        if (c == '{' || c == '[')
            depth++;
        if (c == '}' || c == ']')
            depth--;
        scan->position++;
        if (depth == 0 && c != '}' && c != ']') {
            while (scan->position < scan->length && strchr(",]} \t\r\n", peek(scan)) == NULL)
                scan->position++;
        }
    } while (depth > 0 && scan->position < scan->length);
}

/* Compares a string token of the text, which may have escapes, with a key. */
static bool token_is(const char *token, size_t length, const char *key)
{
    json_t *string = json_loadb(token, length, JSON_DECODE_ANY, NULL);
    bool same = json_is_string(string) && strcmp(json_string_value(string), key) == 0;
    json_decref(string);
    return same;
}

/* Moves from the start of an object or array to the value that the step names. */
static int find_step(struct scan *scan, const struct kgen_json_path *step, struct kgen_json_place *place)
{
    char open = step->key != NULL ? '{' : '[';
    if (peek(scan) != open)
        return -1;
    for (size_t index = 0; scan->position < scan->length; index++) {
        scan->position++; /* the bracket, or a comma */
        skip_blanks(scan);
        if (peek(scan) == ']' || peek(scan) == '}')
            return -1;
        bool found = step->key == NULL && index == step->index;
        place->key = scan->position;
        if (step->key != NULL) {
            skip_string(scan);
            found = scan->position <= scan->length &&
                    token_is(scan->text + place->key, scan->position - place->key, step->key);
            skip_blanks(scan);
            scan->position++; /* the colon */
            skip_blanks(scan);
        }
        if (found)
            return 0;
        skip_value(scan);
        skip_blanks(scan);
        if (peek(scan) != ',')
            return -1;
    }
    return -1;
}

static int find(struct scan *scan, const struct kgen_json_path *path, struct kgen_json_place *place)
{
    if (path == NULL) {
        skip_blanks(scan);
        place->key = scan->position;
        return 0;
    }
    return find(scan, path->parent, place) == 0 ? find_step(scan, path, place) : -1;
}

int kgen_json_find(const char *text, size_t length, const struct kgen_json_path *path,
                   struct kgen_json_place *place)
{
    struct scan scan = {text, length, 0};
    if (find(&scan, path, place) != 0)
        return -1;
    if (path == NULL || path->key == NULL)
        place->key = scan.position;
    place->begin = scan.position;
    skip_value(&scan);
    place->end = scan.position < length ? scan.position : length;
    return place->begin < place->end ? 0 : -1;
}

void kgen_json_line(const char *text, size_t offset, int *line, int *column)
{
    *line = 1;
    *column = 1;
    for (size_t i = 0; i < offset; i++) {
        if (text[i] == '\n') {
            (*line)++;
            *column = 1;
        } else if (((unsigned char)text[i] & 0xC0) != 0x80) {
            (*column)++;
        }
    }
}
