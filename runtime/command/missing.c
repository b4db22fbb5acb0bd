/* SPDX-License-Identifier: MIT */
#include "runtime/command/missing.h"
#include "gen/base/nearest.h"
#include "gen/ops/example.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static void hint_op(const struct kgen_op *op, struct kgen_error *error)
{
    struct kgen_problem problem;
    struct kgen_text text = {0};
    if (kgen_problem_example(op, &problem) == 0)
        kgen_problem_write_required(&problem, &text);
    if (text.length > 0 && !text.failed)
        kgen_error_hint(error,
                        "%s is an op, and kgen list ops describes it; a problem of it is: kgen run '%s'",
                        op->name, text.data);
    kgen_text_free(&text);
}

/* Whether a name is the wanted one and an ending: "qwen.json" for "qwen". */
static bool has_ending(const char *name, const char *wanted)
{
    const size_t length = strlen(wanted);
    return strncmp(name, wanted, length) == 0 && name[length] == '.';
}

static void hint_file(const char *path, struct kgen_error *error)
{
    const char *slash = strrchr(path, '/');
    const char *wanted = slash != NULL ? slash + 1 : path;
    const int folder_length = (int)(wanted - path);
    struct kgen_text folder = {0};
    kgen_text_printf(&folder, "%.*s", folder_length, path);
    DIR *directory = folder.failed ? NULL : opendir(folder_length > 0 ? folder.data : ".");
    struct kgen_nearest nearest;
    kgen_nearest_start(&nearest, wanted, strlen(wanted));
    bool ended = false;
    for (const struct dirent *entry; directory != NULL && !ended && (entry = readdir(directory)) != NULL;) {
        const char *name = entry->d_name;
        /* A name that was cut for the search would be no path. */
        if ((name[0] == '.' && wanted[0] != '.') || strlen(name) >= sizeof nearest.best)
            continue;
        ended = has_ending(name, wanted);
        if (ended)
            kgen_error_hint(error, "did you mean '%.*s%s'?", folder_length, path, name);
        else
            kgen_nearest_offer(&nearest, name, strlen(name));
    }
    if (nearest.best[0] != '\0')
        kgen_error_hint(error, "did you mean '%.*s%s'?", folder_length, path, nearest.best);
    if (directory != NULL)
        closedir(directory);
    kgen_text_free(&folder);
}

/* A folder where a spec was wanted. */
static void hint_beside(const char *folder, struct kgen_error *error)
{
    struct kgen_text path = {0};
    struct stat status;
    kgen_text_printf(&path, "%s.json", folder);
    if (!path.failed && lstat(path.data, &status) == 0 && S_ISREG(status.st_mode))
        kgen_error_hint(error, "did you mean '%s'?", path.data);
    kgen_text_free(&path);
}

void kgen_hint_missing(const char *path, struct kgen_error *error)
{
    struct stat status;
    if (path[0] == '\0' || error->hint[0] != '\0')
        return;
    if (lstat(path, &status) == 0) {
        if (S_ISDIR(status.st_mode))
            hint_beside(path, error);
        return;
    }
    if (errno != ENOENT)
        return;
    const struct kgen_op *op = kgen_op_find(path);
    if (op != NULL)
        hint_op(op, error);
    else
        hint_file(path, error);
}
