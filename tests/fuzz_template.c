/* SPDX-License-Identifier: MIT */
/* libFuzzer: any bytes are a template, or an error with a place, and every instance comes to an end. A zero
 * byte ends one file and begins the next: a.inc, b.inc, c.inc, which the template may include.
 *
 * clang -g -O1 -fsanitize=fuzzer,address,undefined with every file of gen/ and build/templates.c */
#include "gen/template/embedded.h"

#include <stdlib.h>
#include <string.h>

#define FILES 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int result, const struct kgen_error *error)
{
    if (result < 0 && (error->code != KGEN_ERROR_TEMPLATE || error->source[0] == '\0' || error->line < 1 ||
                       error->column < 1 || error->message[0] == '\0'))
        abort();
}

static void instantiate(const struct kgen_template *tmpl)
{
    static const char *const table[] = {"1.5", "0.25"};
    static const char *const values[] = {"N",   "K",      "bits", "group_size",   "scales", "f16",
                                         "isa", "avx512", "rows", "vector_bytes", "lanes",  "i"};
    struct kgen_bindings bindings = {0};
    for (size_t i = 0; i < KGEN_COUNT_OF(values); i++)
        kgen_bind_value(&bindings, values[i], (int64_t)i * 3 + 1);
    kgen_bind_text(&bindings, "function", "kernel");
    kgen_bind_table(&bindings, "inverse_frequency", table, KGEN_COUNT_OF(table));
    struct kgen_error error = {0};
    const char *reason;
    unsigned unused;
    check(kgen_template_allows(tmpl, &bindings, &unused, &reason, &error), &error);
    struct kgen_text out = {0};
    error = (struct kgen_error){0};
    check(kgen_template_instantiate(tmpl, &bindings, &out, &error), &error);
    kgen_text_free(&out);
    kgen_bindings_free(&bindings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const paths[FILES] = {"c/fuzz.c.in", "c/a.inc", "c/b.inc", "c/c.inc"};
    struct kgen_embedded_file files[FILES + 1] = {{NULL, NULL, 0}};
    const char *at = (const char *)data, *end = at + size;
    for (size_t i = 0; i < FILES; i++) {
        const char *zero = at < end && i + 1 < FILES ? memchr(at, '\0', (size_t)(end - at)) : NULL;
        const char *stop = zero != NULL ? zero : end;
        files[i] = (struct kgen_embedded_file){paths[i], at, (size_t)(stop - at)};
        at = zero != NULL ? zero + 1 : end;
    }
    struct kgen_error error = {0};
    struct kgen_templates *set = kgen_templates_open_table(files, "c", &error);
    check(set == NULL ? -1 : 0, &error);
    for (size_t i = 0; set != NULL && i < kgen_templates_count(set); i++)
        instantiate(kgen_templates_at(set, i));
    kgen_templates_free(set);
    return 0;
}
