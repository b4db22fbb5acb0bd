/* SPDX-License-Identifier: MIT */
/* The files of an output in memory. */
#include "gen/emit/internal.h"

#include <stdlib.h>

void kgen_emit_preamble(const struct kgen_emit_input *input, struct kgen_text *text)
{
    kgen_text_printf(
        text,
        "/* " KGEN_EMIT_MARK KGEN_VERSION ": %s (spec %016llx). Do not edit.\n"
        " * Generated files carry no licence obligation: use them as if you had written them. */\n",
        input->command, (unsigned long long)input->spec->hash);
}

struct kgen_text *kgen_emit_add(struct kgen_emit_files *files, const char *name, const char *suffix,
                                struct kgen_error *error)
{
    if (files->count == files->capacity) {
        const size_t larger = files->capacity * 2 + 16;
        struct kgen_emit_file *items = realloc(files->items, larger * sizeof *items);
        if (items == NULL) {
            kgen_emit_fail_memory(error);
            return NULL;
        }
        files->items = items;
        files->capacity = larger;
    }
    struct kgen_emit_file *file = &files->items[files->count++];
    *file = (struct kgen_emit_file){0};
    kgen_text_printf(&file->name, "%s%s", name, suffix);
    return &file->text;
}

void kgen_emit_free_files(struct kgen_emit_files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        kgen_text_free(&files->items[i].name);
        kgen_text_free(&files->items[i].text);
    }
    free(files->items);
    *files = (struct kgen_emit_files){0};
}
