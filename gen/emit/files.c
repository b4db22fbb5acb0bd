/* SPDX-License-Identifier: MIT */
/* The files of an output in memory. */
#include "gen/emit/internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

const char *kgen_emit_identifier(const struct kgen_emit_input *input)
{
    return input->prefix != NULL ? input->prefix : input->spec->identifier;
}

int kgen_emit_check_prefix(const char *prefix, struct kgen_error *error)
{
    enum { LENGTH_MAX = 60 };
    size_t length = 0;
    while (prefix != NULL &&
           (isalpha((unsigned char)prefix[length]) ||
            (length > 0 && (isdigit((unsigned char)prefix[length]) || prefix[length] == '_'))))
        length++;
    if (prefix == NULL || (length > 0 && length <= LENGTH_MAX && prefix[length] == '\0'))
        return 0;
    kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "'%.80s' cannot begin the names of functions",
                   prefix);
    kgen_error_hint(error, "a prefix has at most %d letters, digits and '_', and begins with a letter",
                    LENGTH_MAX);
    return -1;
}

bool kgen_emit_has_op(const struct kgen_emit_input *input, const struct kgen_op *op)
{
    for (size_t i = 0; i < input->spec->count; i++) {
        if (input->spec->entries[i].problem.op == op)
            return true;
    }
    return false;
}

void kgen_emit_file_name(const char *prefix, const char *name, const char *suffix, struct kgen_text *text)
{
    if (prefix != NULL)
        kgen_text_printf(text, "%s_", prefix);
    kgen_text_printf(text, "%s%s", name, suffix);
}

void kgen_emit_lock_path(const char *prefix, const char *folder, struct kgen_text *path)
{
    kgen_text_printf(path, "%s/", folder);
    kgen_emit_file_name(prefix, KGEN_LOCK_NAME, "", path);
}

void kgen_emit_put_mark(const struct kgen_emit_input *input, struct kgen_text *text)
{
    kgen_text_puts(text, KGEN_EMIT_MARK KGEN_VERSION);
    if (input->prefix != NULL)
        kgen_text_printf(text, KGEN_EMIT_PREFIX_MARK "%s", input->prefix);
}

void kgen_emit_mark(const struct kgen_emit_input *input, const char *opening, struct kgen_text *text)
{
    kgen_text_puts(text, opening);
    kgen_emit_put_mark(input, text);
    kgen_text_printf(text, ". Do not edit.\n%sGenerated files carry no licence obligation.\n", opening);
}

void kgen_emit_preamble(const struct kgen_emit_input *input, struct kgen_text *text)
{
    struct kgen_text comment = {0};
    kgen_text_puts(&comment, "/* ");
    kgen_emit_put_mark(input, &comment);
    kgen_text_printf(
        &comment,
        ": %s (spec %016llx). Do not edit.\n"
        " * Generated files carry no licence obligation: use them as if you had written them. */\n",
        input->command, (unsigned long long)input->spec->hash);
    text->failed = text->failed || comment.failed;
    if (!comment.failed)
        kgen_emit_lay_out(comment.data, comment.length, text);
    kgen_text_free(&comment);
}

struct kgen_text *kgen_emit_add(struct kgen_emit_files *files, const struct kgen_emit_input *input,
                                const char *name, const char *suffix, struct kgen_error *error)
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
    kgen_emit_file_name(input != NULL ? input->prefix : NULL, name, suffix, &file->name);
    return &file->text;
}

bool kgen_emit_has_file(const struct kgen_emit_files *files, const char *name)
{
    for (size_t i = 0; i < files->count; i++) {
        if (strcmp(files->items[i].name.data, name) == 0)
            return true;
    }
    return false;
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
