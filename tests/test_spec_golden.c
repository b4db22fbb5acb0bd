/* SPDX-License-Identifier: MIT */
/* The problems, tensors, calls and warnings of whole specs, compared with tests/specs/expected.txt. Records
 * are keyed by problems and shown by their tensors, so that a change here is a change for users: when one is
 * meant, KGEN_WRITE_EXPECTED=1 writes the file anew. */
#include "gen/base/file.h"
#include "gen/spec/spec.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define EXPECTED "tests/specs/expected.txt"
#define FILE_MAX ((size_t)4 << 20)

static const char *const patterns[] = {"specs/*.json", "tests/specs/*.json", "../shared/configs/*.json"};

static const struct kgen_spec_options options[] = {
    {0}, {.bits = 4, .group_size = 64, .activation_dtypes = {KGEN_F32, KGEN_I8}}};

static void write_section(const char *path, size_t option, struct kgen_text *text)
{
    struct kgen_error error = {0};
    struct kgen_spec *spec = kgen_spec_read(path, &options[option], &error);
    kgen_text_printf(text, "== %s %zu\n", path, option);
    if (spec == NULL) {
        kgen_text_printf(text, "error %d:%d: %s\n", error.line, error.column, error.message);
        return;
    }
    kgen_text_printf(text, "%s: %s\n", spec->name, spec->summary);
    for (size_t i = 0; i < spec->count; i++) {
        kgen_problem_name(&spec->entries[i].problem, text);
        kgen_text_printf(text, " x%lld %s\n", (long long)spec->entries[i].calls, spec->entries[i].tensors);
    }
    for (size_t i = 0; i < spec->warning_count; i++)
        kgen_text_printf(text, "warning %s\n", spec->warnings[i]);
    kgen_spec_free(spec);
}

/* The section of expected that begins with the first line of wanted, which ends before the next "== ". */
static const char *find_section(const char *expected, const char *wanted, size_t *length)
{
    const size_t head = (size_t)(strchr(wanted, '\n') - wanted) + 1;
    for (const char *at = expected; at != NULL; at = strstr(at, "\n== ")) {
        at += *at == '\n';
        if (strncmp(at, wanted, head) != 0)
            continue;
        const char *end = strstr(at, "\n== ");
        *length = end != NULL ? (size_t)(end - at) + 1 : strlen(at);
        return at;
    }
    return NULL;
}

static void fail_at_difference(const char *expected, size_t length, const char *got)
{
    size_t at = 0, line = 0;
    while (at < length && expected[at] == got[at]) {
        at++;
        if (expected[at - 1] == '\n')
            line = at;
    }
    fail_msg("%.*s: expected\n%.*s\ngot\n%.*s", (int)strcspn(got, "\n"), got,
             (int)strcspn(expected + line, "\n"), expected + line, (int)strcspn(got + line, "\n"),
             got + line);
}

static void test_specs(void **state)
{
    (void)state;
    struct kgen_text expected = {0}, all = {0};
    const bool write = getenv("KGEN_WRITE_EXPECTED") != NULL;
    struct kgen_error error = {0};
    if (!write)
        assert_int_equal(kgen_file_read(EXPECTED, FILE_MAX, &expected, &error), 0);
    size_t compared = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(patterns); i++) {
        glob_t files;
        if (glob(patterns[i], 0, NULL, &files) != 0) {
            print_message("skipped: nothing matches %s\n", patterns[i]);
            continue;
        }
        for (size_t j = 0; j < files.gl_pathc * KGEN_COUNT_OF(options); j++, compared++) {
            struct kgen_text text = {0};
            write_section(files.gl_pathv[j / KGEN_COUNT_OF(options)], j % KGEN_COUNT_OF(options), &text);
            size_t length = 0;
            const char *section = write ? NULL : find_section(expected.data, text.data, &length);
            if (!write && section == NULL && patterns[i][0] != '.')
                fail_msg("%s has no section for:\n%s", EXPECTED, text.data);
            if (!write && section == NULL) {
                print_message("skipped: %s has no section for %s", EXPECTED, text.data);
                kgen_text_free(&text);
                continue;
            }
            if (!write && (length != text.length || memcmp(section, text.data, length) != 0))
                fail_at_difference(section, length, text.data);
            kgen_text_append(&all, text.data, text.length);
            kgen_text_free(&text);
        }
        globfree(&files);
    }
    assert_true(compared >= 16);
    if (write)
        assert_int_equal(kgen_file_write(EXPECTED, all.data, all.length, &error), 0);
    kgen_text_free(&expected);
    kgen_text_free(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_specs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
