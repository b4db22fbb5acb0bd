/* SPDX-License-Identifier: MIT */
/* The template and the variant that arguments name. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "gen/base/file.h"
#include "gen/base/nearest.h"
#include "gen/base/strings.h"
#include "runtime/command/arguments.h"

/* A template is larger than no file that is meant to be one. */
#define TEMPLATE_BYTES_MAX ((size_t)1 << 20)

/* What the words say. */
struct wanted {
    const struct kgen_template *tmpl;
    bool isa_given;
    enum kgen_isa isa;
    bool given[KGEN_PARAM_MAX];
    int64_t values[KGEN_PARAM_MAX];
};

static int fail_memory(struct kgen_error *error)
{
    return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
}

/* ---- the template ---- */

static int read_own(struct kgen_named_template *named, const struct kgen_options *options, const char *path,
                    struct kgen_error *error)
{
    struct kgen_text text = {0}, folder = {0};
    const char *slash = strrchr(path, '/');
    if (slash != NULL)
        kgen_text_append(&folder, path, (size_t)(slash - path) + 1);
    else
        kgen_text_puts(&folder, ".");
    if (kgen_file_read(path, TEMPLATE_BYTES_MAX, &text, error) == 0 && folder.failed)
        fail_memory(error);
    else if (text.data != NULL)
        named->includes = kgen_templates_open_includes(folder.data, options->target, error);
    if (named->includes != NULL)
        named->own = kgen_template_parse(path, text.data, text.length, named->includes, error);
    named->tmpl = named->own;
    kgen_text_free(&text);
    kgen_text_free(&folder);
    return named->own != NULL ? 0 : -1;
}

int kgen_named_template_open(struct kgen_named_template *named, const struct kgen_session *session,
                             const struct kgen_options *options, const char *name, struct kgen_error *error)
{
    *named = (struct kgen_named_template){0};
    if (strchr(name, '/') != NULL || kgen_string_ends(name, strlen(name), ".c.in")) {
        if (read_own(named, options, name, error) != 0)
            return -1;
    } else {
        named->tmpl = kgen_templates_find(session->templates, name);
    }
    if (named->tmpl != NULL && kgen_template_op(named->tmpl) != NULL)
        return 0;
    if (named->tmpl != NULL) {
        kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "the template %s solves no op", name);
    } else {
        struct kgen_nearest nearest;
        kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "there is no template '%s'", name);
        kgen_nearest_start(&nearest, name, strlen(name));
        for (size_t i = 0; i < kgen_templates_count(session->templates); i++) {
            const char *known = kgen_templates_name_at(session->templates, i);
            kgen_nearest_offer(&nearest, known, strlen(known));
        }
        kgen_nearest_hint(&nearest, error);
    }
    kgen_error_hint(
        error, "kgen list templates shows those there are; a file has a '/' in its name or ends in .c.in");
    return -1;
}

void kgen_named_template_free(struct kgen_named_template *named)
{
    kgen_template_free(named->own);
    kgen_templates_free(named->includes);
    *named = (struct kgen_named_template){0};
}

/* ---- the words ---- */

static int fail_value(const struct kgen_param *param, const char *value, struct kgen_error *error)
{
    struct kgen_text list = {0};
    for (size_t i = 0; i < param->count; i++)
        kgen_text_printf(&list, "%s%" PRId64, i > 0 ? ", " : "", param->values[i]);
    kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "%s cannot be '%s'", param->name, value);
    kgen_error_hint(error, "the template has the values %s", list.failed ? "" : list.data);
    kgen_text_free(&list);
    return -1;
}

static int read_value(struct wanted *wanted, size_t index, const char *value, struct kgen_error *error)
{
    const struct kgen_param *param = kgen_template_param(wanted->tmpl, index);
    char *end;
    const long long number = strtoll(value, &end, 0);
    for (size_t i = 0; i < param->count && end != value && *end == '\0'; i++) {
        if (param->values[i] != number)
            continue;
        wanted->given[index] = true;
        wanted->values[index] = number;
        return 0;
    }
    return fail_value(param, value, error);
}

/* "rows=4", or the name of an instruction set. */
static int read_word(struct wanted *wanted, const char *word, struct kgen_error *error)
{
    const char *equals = strchr(word, '=');
    const size_t length = equals != NULL ? (size_t)(equals - word) : strlen(word);
    const size_t count = kgen_template_param_count(wanted->tmpl);
    const char *name = kgen_template_name(wanted->tmpl);
    enum kgen_isa isa;
    if (equals == NULL && kgen_isa_parse(word, &isa) == 0) {
        if (wanted->isa_given && wanted->isa != isa)
            return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0,
                                  "two instruction sets are named: %s and %s",
                                  kgen_isa_info(wanted->isa)->name, word);
        wanted->isa_given = true;
        wanted->isa = isa;
        return 0;
    }
    struct kgen_nearest nearest;
    kgen_nearest_start(&nearest, word, length);
    for (size_t i = 0; i < count; i++) {
        const char *known = kgen_template_param(wanted->tmpl, i)->name;
        if (equals != NULL && strlen(known) == length && memcmp(known, word, length) == 0)
            return read_value(wanted, i, equals + 1, error);
        kgen_nearest_offer(&nearest, known, strlen(known));
    }
    if (equals != NULL)
        kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "the template %s has no parameter '%.*s'", name,
                       (int)length, word);
    else
        kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0,
                       "'%s' is neither PARAM=VALUE nor the name of an instruction set", word);
    kgen_nearest_hint(&nearest, error);
    kgen_error_hint(error, count > 0 ? "kgen list templates shows the parameters" : "it has no parameters");
    return -1;
}

static int read_words(struct wanted *wanted, char *const *words, size_t count, struct kgen_error *error)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < count; i++) {
        char *copy = strdup(words[i]), *rest = NULL;
        if (copy == NULL)
            return fail_memory(error);
        for (char *word = strtok_r(copy, " ", &rest); result == 0 && word != NULL;
             word = strtok_r(NULL, " ", &rest))
            result = read_word(wanted, word, error);
        free(copy);
    }
    return result;
}

/* ---- the variant ---- */

static bool fits(const struct wanted *wanted, const struct kgen_variant *variant)
{
    for (size_t i = 0; i < kgen_template_param_count(wanted->tmpl); i++) {
        if (wanted->given[i] && variant->values[i] != wanted->values[i])
            return false;
    }
    return true;
}

/* Looks among the variants of one instruction set. Returns 0; 1 where there is none; -1. */
static int find(const struct wanted *wanted, const struct kgen_problem *problem, enum kgen_isa isa,
                struct kgen_variant *variant, struct kgen_error *error)
{
    struct kgen_variants variants;
    if (kgen_variants_of_template(wanted->tmpl, problem, 1u << isa, &variants, error) != 0)
        return -1;
    int result = 1;
    for (size_t i = 0; result == 1 && i < variants.count; i++) {
        if (fits(wanted, &variants.items[i])) {
            *variant = variants.items[i];
            result = 0;
        }
    }
    kgen_variants_free(&variants);
    return result;
}

/* Says why the template has no variant for the instruction set. */
static int fail_refused(const struct wanted *wanted, const struct kgen_problem *problem, enum kgen_isa isa,
                        struct kgen_error *error)
{
    struct kgen_variant variant = {.tmpl = wanted->tmpl, .isa = isa};
    struct kgen_text reason = {0};
    for (size_t i = 0; i < kgen_template_param_count(wanted->tmpl); i++)
        variant.values[i] =
            wanted->given[i] ? wanted->values[i] : kgen_template_param(wanted->tmpl, i)->values[0];
    if (kgen_variant_check(&variant, problem, &reason, error) >= 0)
        kgen_error_set(
            error, KGEN_ERROR_CANDIDATE, NULL, 0, 0, "the template %s has no such variant for %s: %s",
            kgen_template_name(wanted->tmpl), kgen_isa_info(isa)->name,
            reason.length > 0 && !reason.failed ? reason.data : "its parameters exclude each other");
    kgen_text_free(&reason);
    return -1;
}

static int fail_isa(const struct wanted *wanted, struct kgen_error *error)
{
    const unsigned own = kgen_template_isas(wanted->tmpl);
    const char *name = kgen_template_name(wanted->tmpl), *isa = kgen_isa_info(wanted->isa)->name;
    struct kgen_text names = {0};
    kgen_isas_write(own, &names);
    if (!wanted->isa_given)
        kgen_error_set(error, KGEN_ERROR_CANDIDATE, NULL, 0, 0,
                       "this machine has none of the instruction sets of the template %s", name);
    else if ((own >> wanted->isa & 1) == 0)
        kgen_error_set(error, KGEN_ERROR_CANDIDATE, NULL, 0, 0, "the template %s is not written for %s", name,
                       isa);
    else
        kgen_error_set(error, KGEN_ERROR_CANDIDATE, NULL, 0, 0, "this machine cannot run %s", isa);
    kgen_error_hint(error, "the template is for %s", names.failed ? "" : names.data);
    kgen_text_free(&names);
    return -1;
}

int kgen_variant_of_words(const struct kgen_template *tmpl, const struct kgen_problem *problem,
                          const struct kgen_options *options, char *const *words, size_t count, unsigned isas,
                          bool any, struct kgen_variant *variant, struct kgen_error *error)
{
    struct wanted wanted = {.tmpl = tmpl, .isa_given = options->isa_given, .isa = options->isa};
    if (!kgen_template_serves(tmpl, problem->op))
        return kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0,
                              "the template %s solves %s, and the problem is of %s", kgen_template_name(tmpl),
                              kgen_template_op(tmpl)->name, problem->op->name);
    if (read_words(&wanted, words, count, error) != 0)
        return -1;
    const unsigned own = kgen_template_isas(tmpl);
    unsigned tried = own & isas;
    if (wanted.isa_given)
        tried = own & (any ? ~0u : isas) & 1u << wanted.isa;
    else if (tried == 0 && any)
        tried = own;
    if (tried == 0)
        return fail_isa(&wanted, error);
    const enum kgen_isa widest = kgen_isas_widest(tried);
    enum kgen_isa isa;
    int found = 1;
    while (found == 1 && kgen_isas_take(&tried, &isa))
        found = find(&wanted, problem, isa, variant, error);
    return found == 1 ? fail_refused(&wanted, problem, widest, error) : found;
}
