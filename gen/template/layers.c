/* SPDX-License-Identifier: MIT */
/* One set of templates over another: those of the user over those in the binary. */
#include "gen/template/internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool has_item(const struct kgen_templates *set, const char *name)
{
    for (size_t i = 0; i < set->count; i++) {
        if (strcmp(set->items[i]->name, name) == 0)
            return true;
    }
    return false;
}

struct kgen_templates *kgen_templates_lay(struct kgen_templates *over, struct kgen_templates *under,
                                          struct kgen_error *error)
{
    struct kgen_templates *set = over != NULL && under != NULL ? calloc(1, sizeof *set) : NULL;
    struct kgen_templates_item **items =
        set != NULL ? calloc(over->count + under->count + 1, sizeof(struct kgen_templates_item *)) : NULL;
    if (items == NULL) {
        if (over != NULL && under != NULL)
            kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
        free(set);
        kgen_templates_free(over);
        kgen_templates_free(under);
        return NULL;
    }
    *set =
        (struct kgen_templates){.items = items, .over = over, .under = under, .own = over->own && under->own};
    for (size_t i = 0; i < over->count; i++)
        items[set->count++] = over->items[i];
    for (size_t i = 0; i < under->count; i++) {
        if (!has_item(over, under->items[i]->name))
            items[set->count++] = under->items[i];
    }
    qsort(items, set->count, sizeof(struct kgen_templates_item *), kgen_templates_compare_items);
    return set;
}

int kgen_templates_user_folder(struct kgen_text *folder)
{
    static const struct {
        const char *variable, *below;
    } places[] = {{"KGEN_TEMPLATES_DIR", ""},
                  {"XDG_DATA_HOME", "/kgen/templates"},
                  {"HOME", "/.local/share/kgen/templates"}};
    for (size_t i = 0; i < KGEN_COUNT_OF(places); i++) {
        const char *value = getenv(places[i].variable);
        if (value == NULL || (value[0] == '\0' && i > 0))
            continue;
        if (value[0] == '\0')
            return -1;
        kgen_text_printf(folder, "%s%s", value, places[i].below);
        return folder->failed ? -1 : 0;
    }
    return -1;
}

struct kgen_templates *kgen_templates_open_used(const char *folder, const char *target,
                                                struct kgen_error *error)
{
    struct kgen_templates *set = folder != NULL ? kgen_templates_open(folder, target, error)
                                                : kgen_templates_open_embedded(target, error);
    struct kgen_text own = {0}, path = {0};
    struct stat status;
    if (set != NULL && folder == NULL && kgen_templates_user_folder(&own) == 0) {
        kgen_text_printf(&path, "%s/%s", own.data, target);
        if (!path.failed && stat(path.data, &status) == 0)
            set = kgen_templates_lay(kgen_templates_open(own.data, target, error), set, error);
    }
    kgen_text_free(&own);
    kgen_text_free(&path);
    return set;
}

bool kgen_templates_are_own(const struct kgen_templates *templates)
{
    return templates->own;
}

bool kgen_templates_own(const struct kgen_templates *templates, const struct kgen_template *tmpl)
{
    for (const struct kgen_templates *set = templates; set->over != NULL;) {
        set = kgen_templates_find(set->over, tmpl->name) == tmpl ? set->over : set->under;
        templates = set;
    }
    return templates->own;
}
