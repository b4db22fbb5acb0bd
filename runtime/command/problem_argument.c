/* SPDX-License-Identifier: MIT */
/* The problem that arguments name. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "gen/base/file.h"
#include "runtime/command/arguments.h"
#include "runtime/command/select.h"

static int fail_memory(struct kgen_error *error)
{
    return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
}

bool kgen_is_problem_text(const char *argument)
{
    return argument[strspn(argument, " \t\r\n")] == '{';
}

/* Reads text as a spec. Where it is one problem, {"op": ...}, it becomes a list of it, and *threads is the
 * value of its key "threads", which is taken out. */
static struct kgen_spec *parse(const char *source, const char *text, const struct kgen_options *options,
                               int *threads, struct kgen_error *error)
{
    struct kgen_text list = {0};
    json_t *root = json_loads(text, 0, NULL);
    if (json_object_get(root, "op") != NULL) {
        const json_t *value = json_object_get(root, "threads");
        *threads = json_is_integer(value) && json_integer_value(value) <= INT16_MAX
                       ? (int)json_integer_value(value)
                       : 0;
        /* A text without that key stays as it is, so that errors name its places. */
        char *rest = NULL;
        if (*threads > 0 && json_object_del(root, "threads") == 0)
            rest = json_dumps(root, JSON_REAL_PRECISION(17));
        kgen_text_printf(&list, "{\"problems\":[\n%s]}", rest != NULL ? rest : text);
        free(rest);
    } else {
        kgen_text_puts(&list, text);
    }
    json_decref(root);
    struct kgen_spec *spec = NULL;
    if (list.failed)
        fail_memory(error);
    else
        spec = kgen_spec_parse(source, list.data, list.length, &options->spec, error);
    kgen_text_free(&list);
    return spec;
}

/* The text of a file that may hold one problem; empty where it is no such file. */
static void read_problem_file(const char *path, struct kgen_text *text)
{
    struct kgen_error none = {0};
    json_error_t json_error;
    if (kgen_file_read(path, KGEN_SPEC_BYTES_MAX, text, &none) != 0) {
        kgen_text_clear(text);
        return;
    }
    json_t *root = json_loadb(text->data, text->length, 0, &json_error);
    if (json_object_get(root, "op") == NULL)
        kgen_text_clear(text);
    json_decref(root);
}

int kgen_session_open_problem(struct kgen_session *session, const struct kgen_options *options,
                              const char *source, struct kgen_error *error)
{
    struct kgen_text text = {0};
    const bool is_text = kgen_is_problem_text(source), is_input = strcmp(source, "-") == 0;
    if (is_text)
        kgen_text_puts(&text, source);
    else if (is_input && kgen_command_read_input(&text, error) != 0)
        return -1;
    else if (!is_input)
        read_problem_file(source, &text);
    if (text.length > 0)
        session->spec = parse(is_text    ? "problem"
                              : is_input ? "stdin"
                                         : source,
                              text.data, options, &session->threads, error);
    else
        session->spec = kgen_command_spec(options, source, error);
    kgen_text_free(&text);
    return session->spec != NULL ? kgen_session_start(session, options, error) : -1;
}

/* Sets the error for a problem that is not there, or not the only one: found lists the numbers of all. */
static int fail_to_find(const char *source, const char *wanted, const struct kgen_op *op,
                        const struct kgen_text *found, size_t count, size_t all, struct kgen_error *error)
{
    struct kgen_text what = {0};
    kgen_text_printf(&what, "%s%sproblem%s", op != NULL ? op->name : "", op != NULL ? " " : "",
                     count > 0 ? "s" : "");
    if (wanted != NULL)
        kgen_text_printf(&what, " called '%s'", wanted);
    if (count == 0)
        kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "%s has no %s", source,
                       what.failed ? "" : what.data);
    else
        kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "%s has %zu %s: %s", source, count,
                       what.failed ? "" : what.data, found->data);
    kgen_error_hint(
        error, "say which by a number from 1 to %zu, a tensor or a part of a name: kgen %s -n lists them",
        all, source);
    kgen_text_free(&what);
    return -1;
}

const struct kgen_problem *kgen_session_find_problem(const struct kgen_session *session, const char *source,
                                                     const char *wanted, const struct kgen_op *op,
                                                     struct kgen_error *error)
{
    const struct kgen_spec *spec = session->spec;
    const struct kgen_problem *problem = NULL;
    struct kgen_text found = {0};
    size_t count = 0;
    for (size_t i = 0; i < spec->count; i++) {
        bool selected = true;
        if (kgen_entry_is_selected(&spec->entries[i], i + 1, wanted, &selected, NULL) != 0)
            found.failed = true;
        if (!selected || (op != NULL && spec->entries[i].problem.op != op))
            continue;
        problem = &spec->entries[i].problem;
        kgen_text_printf(&found, "%s%zu", count > 0 ? ", " : "", i + 1);
        count++;
    }
    if (found.failed)
        fail_memory(error);
    else if (count != 1)
        fail_to_find(kgen_is_problem_text(source) ? "the text" : source, wanted, op, &found, count,
                     spec->count, error);
    kgen_text_free(&found);
    return count == 1 ? problem : NULL;
}
