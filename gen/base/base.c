/* SPDX-License-Identifier: MIT */
#include "gen/base/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int kgen_error_set(struct kgen_error *error, enum kgen_error_code code, const char *source, int line,
                   int column, const char *format, ...)
{
    if (error == NULL || error->code != KGEN_ERROR_NONE)
        return -1;
    error->code = code;
    error->line = line;
    error->column = column;
    snprintf(error->source, sizeof error->source, "%s", source != NULL ? source : "");
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    return -1;
}

void kgen_error_hint(struct kgen_error *error, const char *format, ...)
{
    if (error == NULL || error->hint[0] != '\0')
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->hint, sizeof error->hint, format, arguments);
    va_end(arguments);
}

char *kgen_error_format(const struct kgen_error *error, char *text, size_t size)
{
    char place[sizeof error->source + 32] = "";
    if (error->source[0] != '\0') {
        if (error->line > 0 && error->column > 0)
            snprintf(place, sizeof place, "%s:%d:%d: ", error->source, error->line, error->column);
        else if (error->line > 0)
            snprintf(place, sizeof place, "%s:%d: ", error->source, error->line);
        else
            snprintf(place, sizeof place, "%s: ", error->source);
    }
    const char *separator = error->hint[0] != '\0' ? "; " : "";
    snprintf(text, size, "%s%s%s%s", place, error->message, separator, error->hint);
    return text;
}

static bool text_reserve(struct kgen_text *text, size_t extra)
{
    if (text->failed)
        return false;
    if (extra < text->capacity - text->length)
        return true;
    size_t capacity = text->capacity < 256 ? 256 : text->capacity * 2;
    while (capacity - text->length <= extra)
        capacity *= 2;
    char *data = realloc(text->data, capacity);
    if (data == NULL) {
        text->failed = true;
        return false;
    }
    text->data = data;
    text->capacity = capacity;
    return true;
}

void kgen_text_append(struct kgen_text *text, const char *data, size_t length)
{
    if (!text_reserve(text, length))
        return;
    if (length > 0)
        memcpy(text->data + text->length, data, length);
    text->length += length;
    text->data[text->length] = '\0';
}

void kgen_text_puts(struct kgen_text *text, const char *string)
{
    kgen_text_append(text, string, strlen(string));
}

void kgen_text_vprintf(struct kgen_text *text, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length < 0) {
        text->failed = true;
        return;
    }
    if (!text_reserve(text, (size_t)length))
        return;
    vsnprintf(text->data + text->length, (size_t)length + 1, format, arguments);
    text->length += (size_t)length;
}

void kgen_text_printf(struct kgen_text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    kgen_text_vprintf(text, format, arguments);
    va_end(arguments);
}

void kgen_text_clear(struct kgen_text *text)
{
    text->length = 0;
    if (text->data != NULL)
        text->data[0] = '\0';
}

void kgen_text_free(struct kgen_text *text)
{
    free(text->data);
    *text = (struct kgen_text){0};
}

uint64_t kgen_hash(uint64_t hash, const void *data, size_t length)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    return hash;
}

uint64_t kgen_hash_string(uint64_t hash, const char *string)
{
    return kgen_hash(hash, string, strlen(string) + 1);
}
