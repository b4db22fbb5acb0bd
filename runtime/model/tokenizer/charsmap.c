/* SPDX-License-Identifier: MIT */
#include "runtime/model/tokenizer/charsmap.h"

static uint32_t number_at(const char *data)
{
    const unsigned char *at = (const unsigned char *)data;
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint32_t unit_at(const struct kgen_charsmap *map, size_t index)
{
    return number_at(map->data.data + 4 + 4 * index);
}

int kgen_charsmap_make(struct kgen_charsmap *map, const char *data, size_t length, const char *source,
                       struct kgen_error *error)
{
    if (length == 0)
        return 0;
    const size_t size = length < 4 ? 0 : number_at(data);
    if (size < 4 || size % 4 != 0 || size >= length - 4 || data[length - 1] != '\0')
        return kgen_error_set(error, KGEN_ERROR_SPEC, source, 0, 0,
                              "the precompiled charsmap of %zu bytes is damaged", length);
    kgen_text_append(&map->data, data, length);
    if (map->data.failed)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, source, 0, 0, "out of memory");
    map->units = size / 4;
    map->texts = 4 + size;
    return 0;
}

void kgen_charsmap_free(struct kgen_charsmap *map)
{
    kgen_text_free(&map->data);
    *map = (struct kgen_charsmap){0};
}

static size_t offset_of(uint32_t unit)
{
    return (size_t)(unit >> 10) << (unit >> 6 & 8);
}

size_t kgen_charsmap_match(const struct kgen_charsmap *map, const char *text, size_t length,
                           const char **replacement)
{
    size_t matched = 0;
    if (map->units == 0)
        return 0;
    size_t node = offset_of(unit_at(map, 0));
    for (size_t i = 0; i < length && text[i] != '\0'; i++) {
        const unsigned char byte = (unsigned char)text[i];
        node ^= byte;
        if (node >= map->units)
            break;
        const uint32_t unit = unit_at(map, node);
        if ((unit & UINT32_C(0x800000FF)) != byte)
            break;
        node ^= offset_of(unit);
        if ((unit & 0x100) == 0)
            continue;
        if (node >= map->units)
            break;
        const size_t at = map->texts + (unit_at(map, node) & UINT32_C(0x7FFFFFFF));
        if (at >= map->data.length)
            break;
        *replacement = map->data.data + at;
        matched = i + 1;
    }
    return matched;
}
