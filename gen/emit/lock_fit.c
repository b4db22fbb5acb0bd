/* SPDX-License-Identifier: MIT */
/* Fits the problems of a lock to a spec, and their variants to the templates. */
#include "gen/emit/internal.h"
#include "gen/emit/lock_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANY_THREADS_MAX 1024

/* ---- variants ---- */

static int find_template(struct kgen_lock_reader *reader, const struct kgen_json_path *path, json_t *object,
                         const struct kgen_problem *problem, enum kgen_isa isa,
                         const struct kgen_template **tmpl)
{
    const struct kgen_json_path name_path = {path, "template", 0};
    const json_t *name = kgen_lock_member(reader, path, object, "template", JSON_STRING);
    if (name == NULL)
        return -1;
    const char *wanted = json_string_value(name);
    *tmpl = kgen_templates_find(reader->templates, wanted);
    if (*tmpl == NULL)
        return kgen_lock_misfit(reader, &name_path, "there is no template '%.60s' any more", wanted);
    if (!kgen_template_serves(*tmpl, problem->op) || (kgen_template_isas(*tmpl) >> isa & 1) == 0)
        return kgen_lock_misfit(reader, &name_path, "the template %s is not for the op %s with %s", wanted,
                                problem->op->name, kgen_isa_info(isa)->name);
    return 0;
}

/* Whether a variant has exactly these parameters; those that make no difference are not among them. */
static bool has_parameters(const struct kgen_variant *variant, const json_t *parameters)
{
    size_t used = 0;
    for (size_t i = 0; i < kgen_template_param_count(variant->tmpl); i++) {
        const json_t *value = json_object_get(parameters, kgen_template_param(variant->tmpl, i)->name);
        const bool unused = (variant->unused >> i & 1) != 0;
        if (unused ? value != NULL
                   : !json_is_integer(value) || json_integer_value(value) != variant->values[i])
            return false;
        used += !unused;
    }
    return used == json_object_size(parameters);
}

/* Says what is wrong with parameters that no variant has. */
static int explain_parameters(struct kgen_lock_reader *reader, const struct kgen_json_path *path,
                              json_t *parameters, const struct kgen_template *tmpl)
{
    const char *key;
    json_t *value;
    json_object_foreach(parameters, key, value)
    {
        const struct kgen_json_path member = {path, key, 0};
        const struct kgen_param *param = NULL;
        bool known = false;
        for (size_t i = 0; i < kgen_template_param_count(tmpl) && param == NULL; i++) {
            if (strcmp(kgen_template_param(tmpl, i)->name, key) == 0)
                param = kgen_template_param(tmpl, i);
        }
        if (param == NULL)
            return kgen_lock_misfit_key(reader, &member, "the template %s has no parameter '%.60s' any more",
                                        kgen_template_name(tmpl), key);
        if (!json_is_integer(value))
            return kgen_lock_fail(reader, &member, "a parameter must be an integer");
        for (size_t i = 0; i < param->count; i++)
            known = known || param->values[i] == json_integer_value(value);
        if (!known)
            return kgen_lock_misfit(reader, &member, "the template %s has no value %lld for %s any more",
                                    kgen_template_name(tmpl), (long long)json_integer_value(value), key);
    }
    return kgen_lock_misfit(reader, path, "the template %s has no variant of these parameters any more",
                            kgen_template_name(tmpl));
}

static int check_hash(struct kgen_lock_reader *reader, const struct kgen_json_path *path, json_t *object,
                      const struct kgen_template *tmpl)
{
    const struct kgen_json_path hash_path = {path, "hash", 0};
    const json_t *hash = kgen_lock_member(reader, path, object, "hash", JSON_STRING);
    char now[KGEN_EMIT_HASH_SIZE];
    if (hash == NULL)
        return -1;
    snprintf(now, sizeof now, "%016" PRIx64, kgen_template_hash(tmpl));
    if (strcmp(now, json_string_value(hash)) == 0)
        return 0;
    return kgen_lock_misfit(reader, &hash_path, "the template %s has changed since its variant was chosen",
                            kgen_template_name(tmpl));
}

static int read_variant(struct kgen_lock_reader *reader, const struct kgen_json_path *path, json_t *object,
                        const struct kgen_problem *problem, struct kgen_lock_entry *entry)
{
    const struct kgen_json_path isa_path = {path, "isa", 0}, parameters_path = {path, "parameters", 0};
    if (!json_is_object(object))
        return kgen_lock_fail(reader, path, "a variant must be an object");
    const json_t *name = kgen_lock_member(reader, path, object, "isa", JSON_STRING);
    enum kgen_isa isa;
    if (name == NULL)
        return -1;
    if (kgen_isa_parse(json_string_value(name), &isa) != 0)
        return kgen_lock_misfit(reader, &isa_path, "kgen %s knows no instruction set '%.40s'", KGEN_VERSION,
                                json_string_value(name));
    if (entry->variants[isa].tmpl != NULL)
        return kgen_lock_fail(reader, &isa_path, "there are two variants for %s", json_string_value(name));
    const struct kgen_template *tmpl = NULL;
    json_t *parameters = kgen_lock_member(reader, path, object, "parameters", JSON_OBJECT);
    struct kgen_variants variants = {0};
    if (parameters == NULL || find_template(reader, path, object, problem, isa, &tmpl) != 0 ||
        kgen_variants_list(reader->templates, problem, 1u << isa, &variants, reader->error) != 0)
        return -1;
    for (size_t i = 0; i < variants.count && entry->variants[isa].tmpl == NULL; i++) {
        if (variants.items[i].tmpl == tmpl && has_parameters(&variants.items[i], parameters))
            entry->variants[isa] = variants.items[i];
    }
    kgen_variants_free(&variants);
    if (entry->variants[isa].tmpl == NULL)
        return explain_parameters(reader, &parameters_path, parameters, tmpl);
    return check_hash(reader, path, object, tmpl);
}

static int read_variants(struct kgen_lock_reader *reader, const struct kgen_json_path *path, json_t *object,
                         const struct kgen_problem *problem, struct kgen_lock_entry *entry)
{
    const struct kgen_json_path list_path = {path, "variants", 0}, tuned_path = {path, "tuned", 0};
    json_t *list = kgen_lock_member(reader, path, object, "variants", JSON_ARRAY);
    if (list == NULL)
        return -1;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const struct kgen_json_path element = {&list_path, NULL, i};
        if (read_variant(reader, &element, json_array_get(list, i), problem, entry) != 0)
            return -1;
    }
    if (entry->variants[KGEN_ISA_GENERIC].tmpl == NULL)
        return kgen_lock_fail(reader, &list_path, "there is no variant in plain C (generic)");
    if (json_is_null(json_object_get(object, "tuned")))
        return 0;
    const json_t *tuned = kgen_lock_member(reader, path, object, "tuned", JSON_STRING);
    if (tuned == NULL)
        return -1;
    if (kgen_isa_parse(json_string_value(tuned), &entry->tuned_isa) != 0 ||
        entry->variants[entry->tuned_isa].tmpl == NULL)
        return kgen_lock_fail(reader, &tuned_path,
                              "there is no variant for the tuned instruction set '%.40s'",
                              json_string_value(tuned));
    entry->tuned = true;
    return 0;
}

/* ---- problems ---- */

/* The canonical text of a problem without its threads, which end it. */
static int write_problem(const struct kgen_problem *problem, struct kgen_text *text)
{
    struct kgen_problem any = *problem;
    any.threads = 1;
    kgen_problem_write(&any, text);
    if (text->failed)
        return -1;
    *strstr(text->data, ",\"threads\":") = '\0';
    return 0;
}

/* Appends the text of a problem of the lock as kgen writes it, also where somebody laid the file out anew,
 * and without its threads. */
static void put_found(const struct kgen_lock_reader *reader, const struct kgen_json_path *path,
                      struct kgen_text *text)
{
    struct kgen_json_place place;
    if (kgen_json_find(reader->text.data, reader->text.length, path, &place) != 0)
        return;
    for (size_t at = place.begin; at < place.end; at++) {
        if (strchr(" \t\r\n", reader->text.data[at]) == NULL)
            kgen_text_append(text, reader->text.data + at, 1);
    }
    char *threads = text->failed || text->data == NULL ? NULL : strstr(text->data, ",\"threads\":");
    if (threads != NULL)
        *threads = '\0';
}

static int read_threads(struct kgen_lock_reader *reader, const struct kgen_json_path *path, json_t *problem,
                        struct kgen_lock_entry *entry)
{
    const struct kgen_json_path threads_path = {path, "threads", 0};
    const json_t *threads = kgen_lock_member(reader, path, problem, "threads", JSON_INTEGER);
    if (threads == NULL)
        return -1;
    entry->threads = json_integer_value(threads);
    if (entry->threads < 1 || entry->threads > ANY_THREADS_MAX)
        return kgen_lock_fail(reader, &threads_path, "\"threads\" must be from 1 to %d", ANY_THREADS_MAX);
    return 0;
}

static int read_problem(struct kgen_lock_reader *reader, const struct kgen_json_path *path, json_t *object,
                        const struct kgen_text *texts)
{
    const struct kgen_json_path problem_path = {path, "problem", 0};
    if (!json_is_object(object))
        return kgen_lock_fail(reader, path, "an element of \"problems\" must be an object");
    json_t *problem = kgen_lock_member(reader, path, object, "problem", JSON_OBJECT);
    if (problem == NULL)
        return -1;
    struct kgen_text found = {0};
    size_t entry = 0;
    put_found(reader, &problem_path, &found);
    if (found.failed || found.data == NULL) {
        kgen_text_free(&found);
        return kgen_emit_fail_memory(reader->error);
    }
    while (entry < reader->spec->count && strcmp(texts[entry].data, found.data) != 0)
        entry++;
    int result = 0;
    if (entry == reader->spec->count)
        result = kgen_lock_misfit(reader, &problem_path, "the spec has no such problem any more: %.200s}",
                                  found.data);
    else if (reader->lock->entries[entry].threads != 0)
        result = kgen_lock_fail(reader, &problem_path, "this problem stands in the lock twice");
    kgen_text_free(&found);
    struct kgen_lock_entry *locked = &reader->lock->entries[entry];
    if (result != 0 || read_threads(reader, &problem_path, problem, locked) != 0)
        return -1;
    return read_variants(reader, path, object, &reader->spec->entries[entry].problem, locked);
}

static int read_problems(struct kgen_lock_reader *reader, json_t *problems, const struct kgen_text *texts)
{
    const struct kgen_json_path path = {NULL, "problems", 0};
    for (size_t i = 0; i < json_array_size(problems); i++) {
        const struct kgen_json_path element = {&path, NULL, i};
        if (read_problem(reader, &element, json_array_get(problems, i), texts) != 0)
            return -1;
    }
    for (size_t i = 0; i < reader->spec->count; i++) {
        if (reader->lock->entries[i].threads == 0)
            return kgen_lock_misfit_key(reader, &path, "problem %zu of the spec is not in the lock: %.200s}",
                                        i + 1, texts[i].data);
    }
    return 0;
}

int kgen_lock_fit(struct kgen_lock_reader *reader, json_t *problems)
{
    const size_t count = reader->spec->count;
    struct kgen_text *texts = calloc(count + 1, sizeof *texts);
    int result = texts != NULL ? 0 : kgen_emit_fail_memory(reader->error);
    for (size_t i = 0; i < count && result == 0; i++) {
        if (write_problem(&reader->spec->entries[i].problem, &texts[i]) != 0)
            result = kgen_emit_fail_memory(reader->error);
    }
    if (result == 0)
        result = read_problems(reader, problems, texts);
    for (size_t i = 0; texts != NULL && i < count; i++)
        kgen_text_free(&texts[i]);
    free(texts);
    return result;
}
