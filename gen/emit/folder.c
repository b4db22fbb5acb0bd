/* SPDX-License-Identifier: MIT */
/* The folder of an output: which of its files kgen wrote, and how new ones take their places. */
#include "gen/base/file.h"
#include "gen/emit/internal.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* At most so many files are named in an error. */
enum { NAMED_MAX = 4 };

enum { PREFIX_SIZE = 72 };

/* What every output has besides kgen_vector.h and the files of its ops. */
static const char *const fixed_names[] = {"sources.mk", "sources.cmake", "example/main.c", "example/Makefile",
                                          KGEN_LOCK_NAME};

/* And what the quantiser adds. */
static const char *const quantiser_names[] = {"quantise.h", "quantise.c"};

enum found { NOTHING, OURS, FOREIGN, FOLDER };

/* Whether a file begins with the comment that kgen puts at the top of each file, and with which prefix; "":
 * none. */
static bool has_mark(const char *path, char prefix[PREFIX_SIZE])
{
    static const char *const openings[] = {"/* ", "# ", KGEN_EMIT_LOCK_OPENING};
    char start[160] = "";
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    start[fread(start, 1, sizeof start - 1, file)] = '\0';
    fclose(file);
    for (size_t i = 0; i < KGEN_COUNT_OF(openings); i++) {
        const size_t length = strlen(openings[i]);
        if (strncmp(start, openings[i], length) != 0 ||
            strncmp(start + length, KGEN_EMIT_MARK, sizeof KGEN_EMIT_MARK - 1) != 0)
            continue;
        start[strcspn(start, "\n")] = '\0';
        const char *at = strstr(start, KGEN_EMIT_PREFIX_MARK);
        at = at != NULL ? at + sizeof KGEN_EMIT_PREFIX_MARK - 1 : "";
        snprintf(prefix, PREFIX_SIZE, "%.*s", (int)strcspn(at, ".: "), at);
        return true;
    }
    return false;
}

static enum found look(const char *path, char prefix[PREFIX_SIZE])
{
    struct stat status;
    if (lstat(path, &status) != 0)
        return NOTHING;
    if (S_ISDIR(status.st_mode))
        return FOLDER;
    return S_ISREG(status.st_mode) && has_mark(path, prefix) ? OURS : FOREIGN;
}

/* The files in the way of an output. */
struct obstacles {
    struct kgen_text names;
    size_t count;
};

static int collect(const char *folder, const char *name, bool force, struct obstacles *obstacles)
{
    struct kgen_text path = {0};
    kgen_text_printf(&path, "%s/%s", folder, name);
    const bool failed = path.failed;
    char prefix[PREFIX_SIZE];
    const enum found found = failed ? NOTHING : look(path.data, prefix);
    kgen_text_free(&path);
    if (found == FOLDER || (found == FOREIGN && !force)) {
        if (obstacles->count < NAMED_MAX)
            kgen_text_printf(&obstacles->names, "%s%s", obstacles->count > 0 ? ", " : "", name);
        obstacles->count++;
    }
    return failed ? -1 : 0;
}

/* Returns 0 where nothing is in the way. Frees what obstacles holds. */
static int refuse(const char *folder, struct obstacles *obstacles, bool force, struct kgen_error *error)
{
    const size_t more = obstacles->count > NAMED_MAX ? obstacles->count - NAMED_MAX : 0;
    int result = 0;
    if (obstacles->names.failed) {
        result = kgen_emit_fail_memory(error);
    } else if (obstacles->count > 0) {
        if (more > 0)
            kgen_text_printf(&obstacles->names, " and %zu more", more);
        result = kgen_error_set(error, KGEN_ERROR_IO, folder, 0, 0, "%s in the way: %s",
                                obstacles->count == 1 ? "a file that kgen did not write is"
                                                      : "files that kgen did not write are",
                                obstacles->names.failed ? "" : obstacles->names.data);
        kgen_error_hint(error, force ? "-o names another folder; --force replaces files, not folders"
                                     : "-o names another folder; --force replaces them");
    }
    kgen_text_free(&obstacles->names);
    return result;
}

/* Collects those of the names that are in the way. */
static int collect_names(const char *folder, const char *prefix, const char *const *names, size_t count,
                         struct obstacles *obstacles)
{
    struct kgen_text name = {0};
    int result = 0;
    for (size_t i = 0; i < count; i++) {
        kgen_text_clear(&name);
        kgen_emit_file_name(prefix, names[i], "", &name);
        result |= name.failed ? -1 : collect(folder, name.data, false, obstacles);
    }
    kgen_text_free(&name);
    return result;
}

/* The same for the files of a model's step. */
static int collect_model(const struct kgen_spec *spec, const char *prefix, const char *folder,
                         struct obstacles *obstacles)
{
    static const char *const endings[] = {"_model.h", "_model.c"};
    struct kgen_text name = {0};
    int result = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(endings); i++) {
        kgen_text_clear(&name);
        kgen_text_printf(&name, "%s%s", prefix != NULL ? prefix : spec->identifier, endings[i]);
        result |= name.failed ? -1 : collect(folder, name.data, false, obstacles);
    }
    kgen_text_free(&name);
    return result;
}

int kgen_emit_check_folder(const struct kgen_spec *spec, const char *prefix, bool quantiser, bool model,
                           const char *folder, struct kgen_error *error)
{
    struct obstacles obstacles = {0};
    struct kgen_text name = {0};
    static const char *const endings[] = {".h", "_kernels.h", ".c"};
    int result = collect(folder, "kgen_vector.h", false, &obstacles);
    result |= collect_names(folder, prefix, fixed_names, KGEN_COUNT_OF(fixed_names), &obstacles);
    if (quantiser)
        result |= collect_names(folder, prefix, quantiser_names, KGEN_COUNT_OF(quantiser_names), &obstacles);
    if (model)
        result |= collect_model(spec, prefix, folder, &obstacles);
    for (size_t op = 0; op < kgen_op_count(); op++) {
        bool used = false;
        for (size_t i = 0; i < spec->count; i++)
            used = used || spec->entries[i].problem.op == kgen_op_at(op);
        for (size_t ending = 0; used && ending < KGEN_COUNT_OF(endings); ending++) {
            kgen_text_clear(&name);
            kgen_emit_file_name(prefix, kgen_op_at(op)->name, endings[ending], &name);
            result |= name.failed ? -1 : collect(folder, name.data, false, &obstacles);
        }
    }
    kgen_text_free(&name);
    obstacles.names.failed = obstacles.names.failed || result != 0;
    return refuse(folder, &obstacles, false, error);
}

static int check_files(const struct kgen_emit_files *files, const char *folder, bool force,
                       struct kgen_error *error)
{
    struct obstacles obstacles = {0};
    for (size_t i = 0; i < files->count; i++) {
        if (collect(folder, files->items[i].name.data, force, &obstacles) != 0)
            obstacles.names.failed = true;
    }
    return refuse(folder, &obstacles, force, error);
}

/* A file that waits beside its place. */
struct staged {
    struct kgen_text path, temporary; /* temporary is empty where the file would not change */
};

static int stage(const char *folder, const struct kgen_emit_file *file, struct staged *staged,
                 struct kgen_error *error)
{
    kgen_text_printf(&staged->path, "%s/%s", folder, file->name.data);
    if (staged->path.failed)
        return kgen_emit_fail_memory(error);
    char *slash = strrchr(staged->path.data, '/');
    *slash = '\0';
    const int made = kgen_folder_make(staged->path.data, error);
    *slash = '/';
    if (made != 0)
        return -1;
    return kgen_file_stage(staged->path.data, file->text.data, file->text.length, &staged->temporary, error);
}

/* Writes every file under a temporary name, and renames them when all are there. */
static int put_files(const struct kgen_emit_files *files, const char *folder, struct kgen_error *error)
{
    struct staged *staged = calloc(files->count + 1, sizeof *staged);
    if (staged == NULL)
        return kgen_emit_fail_memory(error);
    int result = 0;
    for (size_t i = 0; i < files->count && result == 0; i++)
        result = stage(folder, &files->items[i], &staged[i], error);
    for (size_t i = 0; i < files->count && result == 0; i++) {
        if (staged[i].temporary.length > 0)
            result = kgen_file_place(&staged[i].temporary, staged[i].path.data, error);
    }
    for (size_t i = 0; i < files->count; i++) {
        if (staged[i].temporary.length > 0)
            unlink(staged[i].temporary.data);
        kgen_text_free(&staged[i].temporary);
        kgen_text_free(&staged[i].path);
    }
    free(staged);
    return result;
}

static int each_stale_within(const struct kgen_emit_files *files, const char *folder, const char *within,
                             kgen_emit_stale_action *action, void *context)
{
    struct kgen_text place = {0};
    kgen_text_printf(&place, "%s/%s", folder, within);
    DIR *directory = place.failed ? NULL : opendir(place.data);
    const char *wanted = files->prefix != NULL ? files->prefix : "";
    int result = place.failed ? -1 : 0;
    for (const struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        struct kgen_text path = {0}, name = {0};
        char prefix[PREFIX_SIZE];
        kgen_text_printf(&path, "%s%s", place.data, entry->d_name);
        kgen_text_printf(&name, "%s%s", within, entry->d_name);
        if (path.failed || name.failed ||
            (!kgen_emit_has_file(files, name.data) && look(path.data, prefix) == OURS &&
             strcmp(prefix, wanted) == 0 && action(context, folder, name.data) != 0))
            result = -1;
        kgen_text_free(&path);
        kgen_text_free(&name);
    }
    if (directory != NULL)
        closedir(directory);
    kgen_text_free(&place);
    return result;
}

int kgen_emit_each_stale(const struct kgen_emit_files *files, const char *folder,
                         kgen_emit_stale_action *action, void *context)
{
    struct kgen_text example = {0};
    kgen_emit_file_name(files->prefix, "example/", "", &example);
    int result = each_stale_within(files, folder, "", action, context);
    if (example.failed || each_stale_within(files, folder, example.data, action, context) != 0)
        result = -1;
    kgen_text_free(&example);
    return result;
}

static int remove_stale(void *context, const char *folder, const char *name)
{
    (void)context;
    struct kgen_text path = {0};
    kgen_text_printf(&path, "%s/%s", folder, name);
    if (!path.failed)
        unlink(path.data);
    kgen_text_free(&path);
    return 0;
}

int kgen_emit_write_files(const struct kgen_emit_files *files, const char *folder, bool force,
                          struct kgen_error *error)
{
    for (size_t i = 0; i < files->count; i++) {
        if (files->items[i].name.failed || files->items[i].text.failed)
            return kgen_emit_fail_memory(error);
    }
    if (kgen_folder_make(folder, error) != 0 || check_files(files, folder, force, error) != 0 ||
        put_files(files, folder, error) != 0)
        return -1;
    kgen_emit_each_stale(files, folder, remove_stale, NULL);
    return 0;
}
