/* SPDX-License-Identifier: MIT */
#include "gen/target/place.h"

#include <stdio.h>

static void set_at_origin(const struct kgen_variant *variant, const struct kgen_error *found,
                          const struct kgen_text_origin *origin, struct kgen_error *error)
{
    const char *source = kgen_template_source(variant->tmpl);
    char column[32] = "";
    if (found->column > 0)
        snprintf(column, sizeof column, ", column %d", found->column);
    if (origin->outer_line > 0)
        kgen_error_set(error, found->code, origin->source, origin->line, 0,
                       "line %d%s of the text, included at %s:%d: %s", found->line, column, source,
                       origin->outer_line, found->message);
    else
        kgen_error_set(error, found->code, origin->source, origin->line, 0, "line %d%s of the text: %s",
                       found->line, column, found->message);
}

int kgen_place_error(const struct kgen_variant *variant, const struct kgen_problem *problem,
                     const char *function, const struct kgen_error *found, struct kgen_error *error)
{
    struct kgen_text text = {0};
    struct kgen_line_map lines = {0};
    const struct kgen_text_origin *origin = NULL;
    const bool mapped =
        found->line > 0 && kgen_variant_text_lines(variant, problem, function, &text, &lines, NULL) == 0;
    if (mapped)
        origin = kgen_line_map_find(&lines, found->line);
    if (origin != NULL) {
        set_at_origin(variant, found, origin, error);
    } else {
        kgen_error_set(error, found->code, kgen_template_source(variant->tmpl), 0, 0, "%s", found->message);
        if (mapped)
            kgen_error_hint(error, "this is in the call of the kernel: the template must define "
                                   "${function}(${parameters}), and the other functions of its op, as "
                                   "templates/README.md lists them");
    }
    if (found->hint[0] != '\0')
        kgen_error_hint(error, "%s", found->hint);
    kgen_line_map_free(&lines);
    kgen_text_free(&text);
    return -1;
}
