/* SPDX-License-Identifier: MIT */
#include "template_fixture.h"

#include <string.h>

static const char *const entries[] = {"0.5", "0.25"};
struct kgen_bindings kgen_test_template_bindings;

int kgen_test_template_setup(void **state)
{
    (void)state;
    kgen_bind_value(&kgen_test_template_bindings, "N", 4);
    kgen_bind_value(&kgen_test_template_bindings, "group_size", 64);
    kgen_bind_value(&kgen_test_template_bindings, "big", INT64_MAX);
    kgen_bind_constant(&kgen_test_template_bindings, "scheme", 7, "affine");
    kgen_bind_text(&kgen_test_template_bindings, "function", "old");
    kgen_bind_text(&kgen_test_template_bindings, "function", "kernel");
    kgen_bind_table(&kgen_test_template_bindings, "table", entries, KGEN_COUNT_OF(entries));
    return kgen_test_template_bindings.failed;
}

int kgen_test_template_teardown(void **state)
{
    (void)state;
    kgen_bindings_free(&kgen_test_template_bindings);
    return 0;
}

struct kgen_templates *kgen_test_template_open(const char *text, const char *a, const char *b,
                                               struct kgen_error *error)
{
    struct kgen_embedded_file files[] = {
        {"c/t.c.in", text, strlen(text)},
        {"c/a.inc", a, a != NULL ? strlen(a) : 0},
        {"c/b.inc", b, b != NULL ? strlen(b) : 0},
        {NULL, NULL, 0},
    };
    if (b == NULL)
        files[2].path = NULL;
    if (a == NULL)
        files[1].path = NULL;
    return kgen_templates_open_table(files, "c", error);
}

int kgen_test_template_instantiate(const char *text, const char *a, const char *b, struct kgen_text *out,
                                   struct kgen_error *error)
{
    struct kgen_templates *set = kgen_test_template_open(text, a, b, error);
    if (set == NULL)
        return -1;
    int result =
        kgen_template_instantiate(kgen_templates_find(set, "t"), &kgen_test_template_bindings, out, error);
    kgen_templates_free(set);
    return result;
}
