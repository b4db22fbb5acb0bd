/* SPDX-License-Identifier: MIT */
/* The prompts of a pack that is to be made. */
#include "runtime/command/replay/pack.h"

#include <stdlib.h>
#include <string.h>

#include "gen/base/file.h"

#define FILE_LIMIT ((size_t)64 << 20)

/* The room is a power of two. */
static int add(struct kgen_pack *pack, const char *text, size_t length, struct kgen_error *error)
{
    const size_t count = pack->count;
    if ((count & (count - 1)) == 0) {
        struct kgen_pack_prompt *grown = realloc(pack->prompts, (count > 0 ? 2 * count : 1) * sizeof *grown);
        if (grown == NULL)
            return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
        pack->prompts = grown;
    }
    struct kgen_pack_prompt *prompt = &pack->prompts[pack->count++];
    *prompt = (struct kgen_pack_prompt){0};
    kgen_text_append(&prompt->text, text, length);
    return prompt->text.failed ? kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory") : 0;
}

/* Whether JSON can hold the text as it is. */
static bool is_utf8(const char *text, size_t length)
{
    json_t *string = json_stringn(text, length);
    json_decref(string);
    return string != NULL && memchr(text, '\0', length) == NULL;
}

static int read_lines(const char *path, const struct kgen_text *text, struct kgen_pack *pack,
                      struct kgen_error *error)
{
    const char *at = text->data, *end = at + text->length;
    for (int line = 1; at < end; line++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *next = newline != NULL ? newline + 1 : end;
        size_t length = (size_t)((newline != NULL ? newline : end) - at);
        if (length > 0 && at[length - 1] == '\r')
            length--;
        if (!is_utf8(at, length))
            return kgen_error_set(error, KGEN_ERROR_USAGE, path, line, 0,
                                  "a prompt must be UTF-8, without bytes of 0");
        bool blank = true;
        for (size_t i = 0; i < length; i++)
            blank = blank && (at[i] == ' ' || at[i] == '\t');
        if (!blank && add(pack, at, length, error) != 0)
            return -1;
        at = next;
    }
    return 0;
}

static int read_list(const char *path, const struct kgen_text *text, struct kgen_pack *pack,
                     struct kgen_error *error)
{
    json_error_t place = {0};
    int result = 0;
    json_t *list = json_loadb(text->data, text->length, 0, &place);
    if (list == NULL)
        result = kgen_error_set(error, KGEN_ERROR_USAGE, path, place.line > 0 ? place.line : 1,
                                place.column > 0 ? place.column : 1, "not valid JSON: %s", place.text);
    for (size_t i = 0; result == 0 && i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        result = json_is_string(item) ? add(pack, json_string_value(item), json_string_length(item), error)
                                      : kgen_error_set(error, KGEN_ERROR_USAGE, path, 0, 0,
                                                       "element %zu of the list must be a string", i);
    }
    json_decref(list);
    if (result != 0)
        kgen_error_hint(error, "a file that begins with '[' is a JSON list of strings; any other one has a "
                               "prompt on each line");
    return result;
}

int kgen_pack_read_prompts(const char *path, struct kgen_pack *pack, struct kgen_error *error)
{
    struct kgen_text text = {0};
    int result = kgen_file_read(path, FILE_LIMIT, &text, error);
    if (result == 0 && text.length > 0)
        result = (text.data[0] == '[' ? read_list : read_lines)(path, &text, pack, error);
    kgen_text_free(&text);
    if (result == 0 && pack->count == 0)
        result = kgen_error_set(error, KGEN_ERROR_USAGE, path, 0, 0, "there is no prompt in this file");
    return result;
}
