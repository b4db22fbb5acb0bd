/* SPDX-License-Identifier: MIT */
/* The templates of a set, each parsed at once or when it is first asked for. */
#include "gen/template/internal.h"

#include <stdlib.h>
#include <string.h>

int kgen_templates_compare_items(const void *a, const void *b)
{
    const struct kgen_templates_item *const *left = a, *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

/* ---- what the first lines say ---- */

/* Takes the next word of a line, behind blanks; NULL at the end of the line. The caller frees it. */
static char *take_word(const char **at)
{
    *at += strspn(*at, " \t");
    const size_t length = strcspn(*at, " \t\n");
    char *word = length > 0 ? strndup(*at, length) : NULL;
    *at += length;
    return word;
}

static const struct kgen_op *take_op(const char **at)
{
    char *word = take_word(at);
    const struct kgen_op *op = word != NULL ? kgen_op_find(word) : NULL;
    free(word);
    return op;
}

/* Reads the lines $template and $op of the declarations that a file begins with. */
static void read_head(struct kgen_templates_item *item)
{
    for (const char *at = item->file->text; *at == '$'; at += strcspn(at, "\n"), at += *at == '\n') {
        if (strncmp(at, "$template ", 10) == 0 && item->name == NULL) {
            at += 10;
            item->name = take_word(&at);
        } else if (strncmp(at, "$op ", 4) == 0) {
            at += 4;
            item->op = take_op(&at);
            item->other = take_op(&at);
        }
    }
}

/* ---- items ---- */

struct kgen_templates_item *kgen_templates_item_new(const struct kgen_templates *set,
                                                    const struct kgen_template_file *file, bool parsed,
                                                    struct kgen_error *error)
{
    struct kgen_templates_item *item = calloc(1, sizeof *item);
    if (item == NULL) {
        kgen_error_set(error, KGEN_ERROR_MEMORY, file->source, 0, 0, "out of memory");
        return NULL;
    }
    item->set = set;
    item->file = file;
    if (!parsed)
        read_head(item);
    if (item->name == NULL) {
        const struct kgen_template *tmpl = kgen_templates_item_parse(item, error);
        item->name = tmpl != NULL ? strdup(tmpl->name) : NULL;
        if (tmpl != NULL && item->name == NULL)
            kgen_error_set(error, KGEN_ERROR_MEMORY, file->source, 0, 0, "out of memory");
        item->op = tmpl != NULL ? tmpl->op : NULL;
        item->other = tmpl != NULL ? tmpl->other_op : NULL;
    }
    if (item->name != NULL)
        return item;
    kgen_templates_item_free(item);
    return NULL;
}

void kgen_templates_item_free(struct kgen_templates_item *item)
{
    if (item == NULL)
        return;
    kgen_template_free(item->tmpl);
    free(item->name);
    free(item);
}

const struct kgen_template *kgen_templates_item_parse(struct kgen_templates_item *item,
                                                      struct kgen_error *error)
{
    struct kgen_template *tmpl = atomic_load_explicit(&item->tmpl, memory_order_acquire);
    if (tmpl != NULL)
        return tmpl;
    /* No lock: a child process may be forked while another thread is here. */
    struct kgen_template *made = kgen_template_parse_file(item->file, item->set, false, error);
    if (made == NULL || atomic_compare_exchange_strong(&item->tmpl, &tmpl, made))
        return made;
    kgen_template_free(made);
    return tmpl;
}

/* ---- the items of a set ---- */

size_t kgen_templates_count(const struct kgen_templates *templates)
{
    return templates->count;
}

const char *kgen_templates_name_at(const struct kgen_templates *templates, size_t index)
{
    return templates->items[index]->name;
}

const struct kgen_template *kgen_templates_at(const struct kgen_templates *templates, size_t index)
{
    return kgen_templates_item_parse(templates->items[index], NULL);
}

int kgen_templates_parse(const struct kgen_templates *templates, struct kgen_error *error)
{
    for (size_t i = 0; i < templates->count; i++) {
        if (kgen_templates_item_parse(templates->items[i], error) == NULL)
            return -1;
    }
    return 0;
}

int kgen_templates_serving(const struct kgen_templates *templates, size_t index, const struct kgen_op *op,
                           const struct kgen_template **tmpl, struct kgen_error *error)
{
    struct kgen_templates_item *item = templates->items[index];
    *tmpl = NULL;
    if (op == NULL || (item->op != op && item->other != op))
        return 0;
    *tmpl = kgen_templates_item_parse(item, error);
    return *tmpl != NULL ? 0 : -1;
}

static struct kgen_templates_item *find_item(struct kgen_templates_item *const *items, size_t count,
                                             const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(items[i]->name, name) == 0)
            return items[i];
    }
    return NULL;
}

const struct kgen_template *kgen_templates_find(const struct kgen_templates *templates, const char *name)
{
    struct kgen_templates_item *item = find_item(templates->items, templates->count, name);
    if (item == NULL)
        item = find_item(templates->support, templates->support_count, name);
    if (item != NULL)
        return kgen_templates_item_parse(item, NULL);
    if (templates->over == NULL)
        return NULL;
    const struct kgen_template *found = kgen_templates_find(templates->over, name);
    return found != NULL ? found : kgen_templates_find(templates->under, name);
}
