/* SPDX-License-Identifier: MIT */
/* What a folder holds, against what an output would leave there. */
#include "gen/base/file.h"
#include "gen/emit/internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int add(struct kgen_emit_differences *differences, enum kgen_emit_state state, const char *name)
{
    if (differences->count == differences->capacity) {
        const size_t larger = differences->capacity * 2 + 16;
        struct kgen_emit_difference *items = realloc(differences->items, larger * sizeof *items);
        if (items == NULL)
            return -1;
        differences->items = items;
        differences->capacity = larger;
    }
    char *copy = strdup(name);
    if (copy == NULL)
        return -1;
    differences->items[differences->count++] = (struct kgen_emit_difference){state, copy};
    return 0;
}

static int add_surplus(void *context, const char *folder, const char *name)
{
    (void)folder;
    return add(context, KGEN_EMIT_SURPLUS, name);
}

/* Compares one file, byte for byte. What cannot be read, and what is no regular file, differs. */
static int compare_file(const struct kgen_emit_file *file, const char *folder,
                        struct kgen_emit_differences *differences)
{
    struct kgen_text path = {0}, found = {0};
    struct stat status;
    int result = 0;
    kgen_text_printf(&path, "%s/%s", folder, file->name.data);
    if (path.failed)
        result = -1;
    else if (lstat(path.data, &status) != 0)
        result = add(differences, KGEN_EMIT_MISSING, file->name.data);
    else if (!S_ISREG(status.st_mode) || kgen_file_read(path.data, file->text.length, &found, NULL) != 0 ||
             found.length != file->text.length || memcmp(found.data, file->text.data, found.length) != 0)
        result = add(differences, KGEN_EMIT_DIFFERS, file->name.data);
    kgen_text_free(&path);
    kgen_text_free(&found);
    return result;
}

static int by_state_and_name(const void *a, const void *b)
{
    const struct kgen_emit_difference *x = a, *y = b;
    return x->state != y->state ? (int)x->state - (int)y->state : strcmp(x->name, y->name);
}

int kgen_emission_compare(const struct kgen_emission *emission, const char *folder,
                          struct kgen_emit_differences *differences, struct kgen_error *error)
{
    const struct kgen_emit_files *files = emission->files;
    *differences = (struct kgen_emit_differences){.files = files->count};
    for (size_t i = 0; i < files->count; i++) {
        if (files->items[i].name.failed || files->items[i].text.failed ||
            compare_file(&files->items[i], folder, differences) != 0)
            return kgen_emit_fail_memory(error);
    }
    if (kgen_emit_each_stale(files, folder, add_surplus, differences) != 0)
        return kgen_emit_fail_memory(error);
    if (differences->count > 0)
        qsort(differences->items, differences->count, sizeof *differences->items, by_state_and_name);
    return 0;
}

void kgen_emit_differences_free(struct kgen_emit_differences *differences)
{
    for (size_t i = 0; i < differences->count; i++)
        free(differences->items[i].name);
    free(differences->items);
    *differences = (struct kgen_emit_differences){0};
}
