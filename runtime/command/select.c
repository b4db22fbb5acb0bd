/* SPDX-License-Identifier: MIT */
#include "runtime/command/select.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "gen/spec/tensors.h"
#include "runtime/command/arguments.h"

/* Whether the text is the canonical one of the problem, with any number of threads. */
static bool is_text_of(const struct kgen_problem *problem, const char *text)
{
    struct kgen_text canonical = {0};
    kgen_problem_write(problem, &canonical);
    json_t *left = canonical.failed ? NULL : json_loads(canonical.data, 0, NULL);
    json_t *right = json_loads(text, 0, NULL);
    json_object_del(left, "threads");
    json_object_del(right, "threads");
    const bool same = left != NULL && right != NULL && json_equal(left, right);
    json_decref(left);
    json_decref(right);
    kgen_text_free(&canonical);
    return same;
}

int kgen_entry_is_selected(const struct kgen_spec_entry *entry, size_t number, const char *wanted,
                           bool *selected, struct kgen_error *error)
{
    *selected = wanted == NULL;
    if (wanted == NULL)
        return 0;
    if (wanted[0] != '\0' && strspn(wanted, "0123456789") == strlen(wanted)) {
        *selected = strtoull(wanted, NULL, 10) == number;
        return 0;
    }
    if (kgen_is_problem_text(wanted)) {
        *selected = is_text_of(&entry->problem, wanted);
        return 0;
    }
    struct kgen_text text = {0};
    kgen_problem_name(&entry->problem, &text);
    kgen_text_puts(&text, "\n");
    kgen_problem_describe(&entry->problem, &text);
    kgen_text_puts(&text, "\n");
    kgen_problem_write(&entry->problem, &text);
    *selected =
        !text.failed && (strstr(text.data, wanted) != NULL || strstr(entry->tensors, wanted) != NULL ||
                         kgen_tensors_have(entry->tensors, wanted));
    const bool failed = text.failed;
    kgen_text_free(&text);
    return failed ? kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory") : 0;
}

int kgen_fail_unselected(const struct kgen_options *options, const char *wanted, size_t count,
                         struct kgen_error *error)
{
    const char *spec = options->arguments[0];
    kgen_error_set(error, KGEN_ERROR_USAGE, NULL, 0, 0, "no problem of %s is called '%s'", spec,
                   wanted != NULL ? wanted : "");
    kgen_error_hint(error,
                    "a number from 1 to %zu, a tensor, or a part of a name: kgen %s%s --dry-run lists them",
                    count, spec, kgen_options_repeated(options));
    return -1;
}
