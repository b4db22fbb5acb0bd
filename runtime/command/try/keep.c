/* SPDX-License-Identifier: MIT */
/* --keep: the changed templates become the user's. They are first put together with what the user has in a
 * folder of their own, where each must be the kernel that it was, and then renamed into place one by one. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gen/base/file.h"
#include "gen/template/expression.h"
#include "runtime/command/json.h"
#include "runtime/command/try/try.h"

#define FILE_BYTES_MAX ((size_t)1 << 20)

struct file {
    char *name; /* owned */
    struct kgen_text text;
};

struct keeping {
    struct kgen_try *trial;
    struct kgen_text folder, source,
        rehearsal;          /* of the user, of DIR, and where both are put together: with c/ */
    struct kgen_text stage; /* the parent of rehearsal */
    struct file *files;     /* to install; owned */
    size_t count, capacity;
};

static int fail_memory(struct kgen_error *error)
{
    return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static bool ends_in(const char *name, const char *ending)
{
    const size_t length = strlen(name), wanted = strlen(ending);
    return name[0] != '.' && length > wanted && strcmp(name + length - wanted, ending) == 0;
}

static int add_file(struct keeping *keeping, const char *name, const char *text, size_t length,
                    struct kgen_error *error)
{
    if (!kgen_array_reserve((void **)&keeping->files, keeping->count, &keeping->capacity,
                            sizeof *keeping->files))
        return fail_memory(error);
    struct file *file = &keeping->files[keeping->count];
    *file = (struct file){.name = strdup(name)};
    kgen_text_puts(&file->text, "");
    kgen_text_append(&file->text, text, length);
    keeping->count += file->name != NULL;
    return file->name != NULL && !file->text.failed ? 0 : fail_memory(error);
}

/* Calls use with each file of a folder that a set of templates reads: name and text. A folder that is not
 * there has none. */
static int visit(const char *folder, bool includes_only,
                 int (*use)(struct keeping *keeping, const char *name, const char *text, size_t length,
                            struct kgen_error *error),
                 struct keeping *keeping, struct kgen_error *error)
{
    DIR *directory = opendir(folder);
    int result = 0;
    if (directory == NULL && errno != ENOENT)
        return kgen_error_set(error, KGEN_ERROR_IO, folder, 0, 0, "cannot read the folder: %s",
                              strerror(errno));
    for (const struct dirent *entry;
         result == 0 && directory != NULL && (entry = readdir(directory)) != NULL;) {
        struct kgen_text path = {0}, text = {0};
        const char *name = entry->d_name;
        if (!ends_in(name, ".inc") && (includes_only || (!ends_in(name, ".c.in") && !ends_in(name, ".h.in"))))
            continue;
        kgen_text_printf(&path, "%s/%s", folder, name);
        result = path.failed ? fail_memory(error) : kgen_file_read(path.data, FILE_BYTES_MAX, &text, error);
        if (result == 0)
            result = use(keeping, name, text.data, text.length, error);
        kgen_text_free(&path);
        kgen_text_free(&text);
    }
    if (directory != NULL)
        closedir(directory);
    return result;
}

static int rehearse(struct keeping *keeping, const char *name, const char *text, size_t length,
                    struct kgen_error *error)
{
    struct kgen_text path = {0};
    kgen_text_printf(&path, "%s/%s", keeping->rehearsal.data, name);
    const int result = path.failed ? fail_memory(error) : kgen_file_write(path.data, text, length, error);
    kgen_text_free(&path);
    return result;
}

/* Lists what is installed: the changed templates, and the files of the folder that they may include. */
static int list_files(struct keeping *keeping, struct kgen_error *error)
{
    const struct kgen_try *trial = keeping->trial;
    for (size_t i = 0; i < trial->changed_count; i++) {
        const char *text = kgen_template_file_text(trial->changed[i]);
        if (add_file(keeping, base_name(kgen_template_source(trial->changed[i])), text, strlen(text),
                     error) != 0)
            return -1;
    }
    return visit(keeping->source.data, true, add_file, keeping, error);
}

/* Fails where a template of one set is another kernel in the other, or is missing there. */
static int check_same(const struct kgen_templates *all, const struct kgen_template *tmpl, const char *what,
                      struct kgen_error *error)
{
    const struct kgen_template *now = kgen_templates_find(all, kgen_template_name(tmpl));
    if (now != NULL && kgen_template_hash(now) == kgen_template_hash(tmpl))
        return 0;
    kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0,
                   "%s, %s, would become another kernel: a file that it includes differs", what,
                   kgen_template_source(tmpl));
    kgen_error_hint(error, "give the files to include of one of them other names; nothing was kept");
    return -1;
}

static int check_rehearsal(struct keeping *keeping, struct kgen_error *error)
{
    struct kgen_try *trial = keeping->trial;
    struct kgen_text user = {0};
    struct kgen_templates *before = NULL;
    struct stat status;
    struct kgen_templates *all = kgen_templates_open(keeping->stage.data, trial->options.target, error);
    int result = all != NULL ? 0 : -1;
    for (size_t i = 0; i < trial->changed_count && result == 0; i++)
        result = check_same(all, trial->changed[i], "the changed template", error);
    if (result == 0 && kgen_templates_user_folder(&user) == 0 && stat(keeping->folder.data, &status) == 0) {
        before = kgen_templates_open(user.data, trial->options.target, error);
        result = before != NULL ? 0 : -1;
    }
    for (size_t i = 0; before != NULL && i < kgen_templates_count(before) && result == 0; i++) {
        const struct kgen_template *tmpl = kgen_templates_at(before, i);
        bool replaced = false;
        for (size_t j = 0; j < trial->changed_count; j++)
            replaced =
                replaced || strcmp(kgen_template_name(trial->changed[j]), kgen_template_name(tmpl)) == 0;
        result = replaced ? 0 : check_same(all, tmpl, "a template of the user's", error);
    }
    kgen_templates_free(all);
    kgen_templates_free(before);
    kgen_text_free(&user);
    return result;
}

static int place(struct keeping *keeping, const struct file *file, struct kgen_error *error)
{
    struct kgen_text path = {0};
    kgen_text_printf(&path, "%s/%s", keeping->folder.data, file->name);
    int result = path.failed ? fail_memory(error)
                             : kgen_file_write(path.data, file->text.data != NULL ? file->text.data : "",
                                               file->text.length, error);
    if (result == 0 && json_array_append_new(keeping->trial->kept, kgen_json_string(path.data)) != 0)
        result = fail_memory(error);
    kgen_text_free(&path);
    return result;
}

static int remove_file(struct keeping *keeping, const char *name, const char *text, size_t length,
                       struct kgen_error *error)
{
    struct kgen_text path = {0};
    (void)text, (void)length, (void)error;
    kgen_text_printf(&path, "%s/%s", keeping->rehearsal.data, name);
    if (!path.failed)
        unlink(path.data);
    kgen_text_free(&path);
    return 0;
}

static int name_folders(struct keeping *keeping, struct kgen_error *error)
{
    const struct kgen_try *trial = keeping->trial;
    const char *target = trial->options.target;
    struct kgen_text user = {0};
    if (kgen_templates_user_folder(&user) != 0) {
        kgen_text_free(&user);
        kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "no folder for the user's templates is known");
        kgen_error_hint(error, "set KGEN_TEMPLATES_DIR, XDG_DATA_HOME or HOME");
        return -1;
    }
    kgen_text_printf(&keeping->folder, "%s/%s", user.data, target);
    kgen_text_printf(&keeping->source, "%s/%s", trial->folder, target);
    kgen_text_printf(&keeping->stage, "%s/.kept.%ld.tmp", user.data, (long)getpid());
    kgen_text_printf(&keeping->rehearsal, "%s/%s", keeping->stage.data, target);
    kgen_text_free(&user);
    return keeping->folder.failed || keeping->source.failed || keeping->stage.failed ||
                   keeping->rehearsal.failed
               ? fail_memory(error)
               : kgen_folder_make(keeping->rehearsal.data, error);
}

int kgen_try_keep(struct kgen_try *trial, struct kgen_error *error)
{
    struct keeping keeping = {.trial = trial};
    int result = name_folders(&keeping, error);
    if (result == 0)
        result = list_files(&keeping, error);
    if (result == 0)
        result = visit(keeping.folder.data, false, rehearse, &keeping, error);
    for (size_t i = 0; i < keeping.count && result == 0; i++)
        result = rehearse(&keeping, keeping.files[i].name, keeping.files[i].text.data,
                          keeping.files[i].text.length, error);
    if (result == 0)
        result = check_rehearsal(&keeping, error);
    if (result == 0)
        result = kgen_folder_make(keeping.folder.data, error);
    /* What is included comes first, so that a template never lies there without it. */
    for (size_t i = keeping.count; i > 0 && result == 0; i--)
        result = place(&keeping, &keeping.files[i - 1], error);
    struct kgen_error ignored = {0};
    if (keeping.rehearsal.data != NULL && !keeping.rehearsal.failed) {
        visit(keeping.rehearsal.data, false, remove_file, &keeping, &ignored);
        rmdir(keeping.rehearsal.data);
        rmdir(keeping.stage.data);
    }
    for (size_t i = 0; i < keeping.count; i++) {
        free(keeping.files[i].name);
        kgen_text_free(&keeping.files[i].text);
    }
    free(keeping.files);
    kgen_text_free(&keeping.folder);
    kgen_text_free(&keeping.source);
    kgen_text_free(&keeping.rehearsal);
    kgen_text_free(&keeping.stage);
    return result;
}
