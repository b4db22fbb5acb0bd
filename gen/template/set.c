/* SPDX-License-Identifier: MIT */
/* The templates of one target: those in the binary, or those of a folder. */
#include "gen/base/file.h"
#include "gen/base/nearest.h"
#include "gen/template/embedded.h"
#include "gen/template/internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int fail_memory(struct kgen_error *error, const char *source)
{
    return kgen_error_set(error, KGEN_ERROR_MEMORY, source, 0, 0, "out of memory");
}

void kgen_template_file_free(struct kgen_template_file *file)
{
    free(file->name);
    free(file->source);
    free(file->text);
    *file = (struct kgen_template_file){0};
}

/* Copies text without the carriage returns before line ends. Returns the length of the copy. */
static size_t copy_text(char *copy, const char *text, size_t length)
{
    size_t written = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] != '\r' || i + 1 == length || text[i + 1] != '\n')
            copy[written++] = text[i];
    }
    copy[written] = '\0';
    return written;
}

static int fail_nul(const struct kgen_template_file *file, const char *nul, struct kgen_error *error)
{
    int line = 1;
    const char *line_start = file->text;
    for (const char *at = file->text; at < nul; at++) {
        if (*at == '\n') {
            line++;
            line_start = at + 1;
        }
    }
    return kgen_error_set(error, KGEN_ERROR_TEMPLATE, file->source, line, (int)(nul - line_start) + 1,
                          "a template is text, and this is a zero byte");
}

int kgen_template_file_make(struct kgen_template_file *file, const char *name, const char *source,
                            const char *text, size_t length, struct kgen_error *error)
{
    *file = (struct kgen_template_file){0};
    if (length > KGEN_TEMPLATE_FILE_MAX)
        return kgen_error_set(error, KGEN_ERROR_TEMPLATE, source, 0, 0,
                              "the template is larger than %zu bytes", KGEN_TEMPLATE_FILE_MAX);
    file->name = strdup(name);
    file->source = strdup(source);
    file->text = malloc(length + 1);
    int result = 0;
    if (file->name == NULL || file->source == NULL || file->text == NULL) {
        result = fail_memory(error, source);
    } else {
        file->length = copy_text(file->text, text, length);
        const char *nul = memchr(file->text, '\0', file->length);
        if (nul != NULL)
            result = fail_nul(file, nul, error);
    }
    if (result != 0)
        kgen_template_file_free(file);
    return result;
}

/* "qmv.inc" of "templates/c/qmv.inc" */
static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

struct kgen_template *kgen_template_parse(const char *source, const char *text, size_t length,
                                          const struct kgen_templates *templates, struct kgen_error *error)
{
    struct kgen_template_file *file = malloc(sizeof *file);
    if (file == NULL) {
        fail_memory(error, source);
        return NULL;
    }
    struct kgen_template *tmpl = NULL;
    if (kgen_template_file_make(file, base_name(source), source, text, length, error) == 0)
        tmpl = kgen_template_parse_file(file, templates, false, error);
    if (tmpl != NULL) {
        tmpl->own_file = file;
    } else {
        kgen_template_file_free(file);
        free(file);
    }
    return tmpl;
}

const struct kgen_template_file *kgen_templates_file(const struct kgen_templates *set, const char *name,
                                                     size_t length)
{
    for (size_t i = 0; set != NULL && i < set->file_count; i++) {
        const char *known = set->files[i].name;
        if (strlen(known) == length && memcmp(known, name, length) == 0)
            return &set->files[i];
    }
    return NULL;
}

const struct kgen_template_file *kgen_templates_file_at(const struct kgen_templates *set, size_t index)
{
    return set != NULL && index < set->file_count ? &set->files[index] : NULL;
}

static bool ends_in(const char *name, const char *ending)
{
    size_t length = strlen(name), ending_length = strlen(ending);
    return length > ending_length && strcmp(name + length - ending_length, ending) == 0;
}

void kgen_templates_hint(const struct kgen_templates *set, const char *name, size_t length,
                         struct kgen_error *error)
{
    struct kgen_nearest nearest;
    kgen_nearest_start(&nearest, name, length);
    for (size_t i = 0; set != NULL && i < set->file_count; i++) {
        if (ends_in(set->files[i].name, ".inc"))
            kgen_nearest_offer(&nearest, set->files[i].name, strlen(set->files[i].name));
    }
    kgen_nearest_hint(&nearest, error);
}

static int add_file(struct kgen_templates *set, const char *name, const char *source, const char *text,
                    size_t length, struct kgen_error *error)
{
    if (!kgen_array_reserve((void **)&set->files, set->file_count, &set->file_capacity, sizeof *set->files))
        return fail_memory(error, source);
    if (kgen_template_file_make(&set->files[set->file_count], name, source, text, length, error) != 0)
        return -1;
    set->file_count++;
    return 0;
}

static int load_table(struct kgen_templates *set, const struct kgen_embedded_file *files, const char *target,
                      struct kgen_error *error)
{
    size_t target_length = strlen(target);
    struct kgen_text source = {0};
    int result = 0;
    for (const struct kgen_embedded_file *file = files; result == 0 && file->path != NULL; file++) {
        if (strncmp(file->path, target, target_length) != 0 || file->path[target_length] != '/')
            continue;
        kgen_text_clear(&source);
        kgen_text_printf(&source, "templates/%s", file->path);
        if (source.failed)
            result = fail_memory(error, target);
        else
            result = add_file(set, base_name(file->path), source.data, file->text, file->length, error);
    }
    kgen_text_free(&source);
    if (result == 0 && set->file_count == 0)
        return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "there are no templates for target '%s'",
                              target);
    return result;
}

/* Whether the template solves an op; the others are what kernels of any op need, such as kgen_vector.h.in. */
static bool has_op(const char *text)
{
    return strncmp(text, "$op ", 4) == 0 || strstr(text, "\n$op ") != NULL;
}

/* What templates of a folder may refer to: files to include, and templates that solve no op. Those that the
 * folder does not have are the ones of the binary. */
static int load_stand_ins(struct kgen_templates *set, const char *target, struct kgen_error *error)
{
    const size_t own_count = set->file_count;
    struct kgen_templates all = {0};
    struct kgen_error none = {0};
    int result = load_table(&all, kgen_embedded_files, target, &none);
    if (result != 0 && none.code == KGEN_ERROR_USAGE)
        result = 0; /* the binary has none for this target */
    else if (result != 0)
        fail_memory(error, target);
    for (size_t i = 0; result == 0 && i < all.file_count; i++) {
        const struct kgen_template_file *file = &all.files[i];
        bool is_there = false;
        for (size_t j = 0; j < own_count && !is_there; j++)
            is_there = strcmp(set->files[j].name, file->name) == 0;
        if (is_there || (!ends_in(file->name, ".inc") && has_op(file->text)))
            continue;
        result = add_file(set, file->name, file->source, file->text, file->length, error);
        if (result == 0)
            set->files[set->file_count - 1].stands_in = true;
    }
    for (size_t i = 0; i < all.file_count; i++)
        kgen_template_file_free(&all.files[i]);
    free(all.files);
    return result;
}

static int load_file(struct kgen_templates *set, const char *folder, const char *name,
                     struct kgen_error *error)
{
    struct kgen_text path = {0}, text = {0};
    kgen_text_printf(&path, "%s/%s", folder, name);
    int result = -1;
    if (path.failed)
        fail_memory(error, folder);
    else if (kgen_file_read(path.data, KGEN_TEMPLATE_FILE_MAX, &text, error) == 0)
        result = add_file(set, name, path.data, text.data, text.length, error);
    kgen_text_free(&path);
    kgen_text_free(&text);
    return result;
}

/* Loads the files of a folder that are templates or may be included, or with includes the latter alone. */
static int load_folder(struct kgen_templates *set, const char *folder, bool includes,
                       struct kgen_error *error)
{
    static const char hint[] = "a folder of templates holds a folder for each target, as in c/qmv_f32.c.in";
    DIR *directory = opendir(folder);
    if (directory == NULL) {
        kgen_error_set(error, KGEN_ERROR_IO, folder, 0, 0, "cannot read the folder of templates: %s",
                       strerror(errno));
        kgen_error_hint(error, "%s", hint);
        return -1;
    }
    int result = 0;
    for (const struct dirent *entry; result == 0 && (entry = readdir(directory)) != NULL;) {
        const char *name = entry->d_name;
        const bool is_template = ends_in(name, ".c.in") || ends_in(name, ".h.in");
        if (name[0] != '.' && (ends_in(name, ".inc") || (is_template && !includes)))
            result = load_file(set, folder, name, error);
    }
    closedir(directory);
    if (result == 0 && set->file_count == 0 && !includes) {
        result = kgen_error_set(error, KGEN_ERROR_IO, folder, 0, 0, "there are no templates in this folder");
        kgen_error_hint(error, "%s", hint);
    }
    return result;
}

static int compare_files(const void *a, const void *b)
{
    return strcmp(((const struct kgen_template_file *)a)->name, ((const struct kgen_template_file *)b)->name);
}

static bool is_included(const struct kgen_templates *set, const struct kgen_template_file *file)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct kgen_template *tmpl = set->items[i]->tmpl;
        for (size_t j = 0; j < tmpl->file_count; j++) {
            if (tmpl->files[j].file == file)
                return true;
        }
    }
    return false;
}

static int add_item(struct kgen_templates *set, const struct kgen_template_file *file, bool parsed,
                    struct kgen_error *error)
{
    struct kgen_templates_item ***items = file->stands_in ? &set->support : &set->items;
    size_t *count = file->stands_in ? &set->support_count : &set->count;
    if (!kgen_array_reserve((void **)items, *count, file->stands_in ? &set->support_capacity : &set->capacity,
                            sizeof **items))
        return fail_memory(error, file->source);
    struct kgen_templates_item *item = kgen_templates_item_new(set, file, parsed, error);
    if (item != NULL)
        (*items)[(*count)++] = item;
    return item != NULL ? 0 : -1;
}

/* A file that no template includes is parsed alone, for its errors. */
static int parse_alone(const struct kgen_templates *set, const struct kgen_template_file *file,
                       struct kgen_error *error)
{
    struct kgen_template *tmpl = kgen_template_parse_file(file, set, true, error);
    kgen_template_free(tmpl);
    return tmpl != NULL ? 0 : -1;
}

static int parse_files_alone(const struct kgen_templates *set, struct kgen_error *error)
{
    for (size_t i = 0; i < set->file_count; i++) {
        const struct kgen_template_file *file = &set->files[i];
        if (ends_in(file->name, ".inc") && !file->stands_in && !is_included(set, file) &&
            parse_alone(set, file, error) != 0)
            return -1;
    }
    return 0;
}

static int make_items(struct kgen_templates *set, bool parsed, struct kgen_error *error)
{
    qsort(set->files, set->file_count, sizeof *set->files, compare_files);
    for (size_t i = 0; i < set->file_count; i++) {
        if (!ends_in(set->files[i].name, ".inc") && add_item(set, &set->files[i], parsed, error) != 0)
            return -1;
    }
    if (parsed && parse_files_alone(set, error) != 0)
        return -1;
    if (set->count > 0)
        qsort(set->items, set->count, sizeof(struct kgen_templates_item *), kgen_templates_compare_items);
    for (size_t i = 1; i < set->count; i++) {
        if (kgen_templates_compare_items(&set->items[i - 1], &set->items[i]) == 0)
            return kgen_error_set(error, KGEN_ERROR_TEMPLATE, set->items[i]->file->source, 0, 0,
                                  "another file, %s, holds a template of the same name",
                                  set->items[i - 1]->file->name);
    }
    return 0;
}

/* Makes a set of the files that are loaded, or frees one whose files could not be. */
static struct kgen_templates *finish(struct kgen_templates *set, int loaded, bool parsed,
                                     struct kgen_error *error)
{
    if (loaded == 0 && make_items(set, parsed, error) == 0)
        return set;
    kgen_templates_free(set);
    return NULL;
}

static struct kgen_templates *open_table(const struct kgen_embedded_file *files, const char *target,
                                         bool parsed, struct kgen_error *error)
{
    struct kgen_templates *set = calloc(1, sizeof *set);
    if (set == NULL) {
        fail_memory(error, NULL);
        return NULL;
    }
    return finish(set, load_table(set, files, target, error), parsed, error);
}

struct kgen_templates *kgen_templates_open_table(const struct kgen_embedded_file *files, const char *target,
                                                 struct kgen_error *error)
{
    return open_table(files, target, true, error);
}

struct kgen_templates *kgen_templates_open_embedded(const char *target, struct kgen_error *error)
{
    return open_table(kgen_embedded_files, target, false, error);
}

struct kgen_templates *kgen_templates_open(const char *folder, const char *target, struct kgen_error *error)
{
    if (folder == NULL)
        return kgen_templates_open_table(kgen_embedded_files, target, error);
    struct kgen_templates *set = calloc(1, sizeof *set);
    struct kgen_text path = {0};
    kgen_text_printf(&path, "%s/%s", folder, target);
    if (set == NULL || path.failed) {
        fail_memory(error, folder);
        free(set);
        set = NULL;
    } else {
        set->own = true;
        int loaded = load_folder(set, path.data, false, error);
        if (loaded == 0)
            loaded = load_stand_ins(set, target, error);
        set = finish(set, loaded, true, error);
    }
    kgen_text_free(&path);
    return set;
}

struct kgen_templates *kgen_templates_open_includes(const char *folder, const char *target,
                                                    struct kgen_error *error)
{
    struct kgen_templates *set = calloc(1, sizeof *set);
    if (set == NULL) {
        fail_memory(error, folder);
        return NULL;
    }
    set->own = true;
    if (load_folder(set, folder, true, error) == 0 && load_stand_ins(set, target, error) == 0) {
        qsort(set->files, set->file_count, sizeof *set->files, compare_files);
        return set;
    }
    kgen_templates_free(set);
    return NULL;
}

void kgen_templates_free(struct kgen_templates *templates)
{
    if (templates == NULL)
        return;
    for (size_t i = 0; i < templates->count && templates->over == NULL; i++)
        kgen_templates_item_free(templates->items[i]);
    kgen_templates_free(templates->over);
    kgen_templates_free(templates->under);
    for (size_t i = 0; i < templates->support_count; i++)
        kgen_templates_item_free(templates->support[i]);
    for (size_t i = 0; i < templates->file_count; i++)
        kgen_template_file_free(&templates->files[i]);
    free(templates->items);
    free(templates->support);
    free(templates->files);
    free(templates);
}
