/* SPDX-License-Identifier: MIT */
#include "gen/template/lines.h"

#include "gen/template/expression.h"

#include <stdlib.h>

static void add(struct kgen_line_map *map, struct kgen_text_origin origin)
{
    if (!kgen_array_reserve((void **)&map->items, map->count, &map->capacity, sizeof *map->items))
        map->failed = true;
    else
        map->items[map->count++] = origin;
}

void kgen_line_map_note(struct kgen_line_map *map, const char *text, size_t length,
                        struct kgen_text_origin place, bool is_copied)
{
    for (size_t i = 0; i < length && !map->failed; i++) {
        if (!map->inside)
            add(map, place);
        map->inside = text[i] != '\n';
        if (!map->inside && is_copied)
            place.line++;
    }
}

const struct kgen_text_origin *kgen_line_map_find(const struct kgen_line_map *map, int line)
{
    return line > 0 && (size_t)line <= map->count ? &map->items[line - 1] : NULL;
}

void kgen_line_map_free(struct kgen_line_map *map)
{
    free(map->items);
    *map = (struct kgen_line_map){0};
}
