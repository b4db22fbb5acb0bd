/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spec_fixture.h"

#include <stdlib.h>
#include <string.h>

struct kgen_spec *spec_parse(const char *text, const struct kgen_spec_options *options)
{
    struct kgen_error error = {0};
    struct kgen_spec *spec = kgen_spec_parse("dir/Test-1.json", text, strlen(text), options, &error);
    if (spec == NULL) {
        char shown[1200];
        fail_msg("%s", kgen_error_format(&error, shown, sizeof shown));
    }
    return spec;
}

struct kgen_spec *spec_read(const char *path, const struct kgen_spec_options *options)
{
    struct kgen_error error = {0};
    struct kgen_spec *spec = kgen_spec_read(path, options, &error);
    if (spec == NULL) {
        char shown[1200];
        fail_msg("%s", kgen_error_format(&error, shown, sizeof shown));
    }
    return spec;
}

void spec_compare(const struct kgen_spec *spec, const struct spec_expected *expected, size_t count)
{
    size_t cases = 0;
    for (size_t i = 0; i < spec->count && i < count; i++, cases++) {
        struct kgen_text name = {0};
        kgen_problem_name(&spec->entries[i].problem, &name);
        if (strcmp(name.data, expected[i].name) != 0 || spec->entries[i].calls != expected[i].calls ||
            strcmp(spec->entries[i].tensors, expected[i].tensors) != 0)
            fail_msg("entry %zu is %s x%lld (%s), expected %s x%lld (%s)", i, name.data,
                     (long long)spec->entries[i].calls, spec->entries[i].tensors, expected[i].name,
                     (long long)expected[i].calls, expected[i].tensors);
        kgen_text_free(&name);
    }
    assert_int_equal(spec->count, count);
    assert_int_equal(cases, count);
    assert_true(cases > 0);
}

bool spec_warns(const struct kgen_spec *spec, const char *part)
{
    for (size_t i = 0; i < spec->warning_count; i++) {
        if (strstr(spec->warnings[i], part) != NULL)
            return true;
    }
    return false;
}

void spec_compare_op(struct kgen_spec *spec, const struct kgen_op *op, const struct spec_expected *expected,
                     size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < spec->count; i++) {
        if (spec->entries[i].problem.op == op)
            spec->entries[kept++] = spec->entries[i];
        else
            free(spec->entries[i].tensors);
    }
    spec->count = kept;
    spec_compare(spec, expected, count);
    kgen_spec_free(spec);
}
