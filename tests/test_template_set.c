/* SPDX-License-Identifier: MIT */
/* Sets of templates: of a folder, and of the binary. */
#include "gen/base/file.h"
#include "template_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(kgen_file_write(path, text, strlen(text), NULL), 0);
}

static void test_folder(void **state)
{
    (void)state;
    char folder[] = "/tmp/kgen-templates-XXXXXX", target[64], expected[128];
    assert_non_null(mkdtemp(folder));
    struct kgen_error error = {0};
    snprintf(target, sizeof target, "%s/c", folder);
    assert_null(kgen_templates_open(folder, "c", &error));
    assert_int_equal(error.code, KGEN_ERROR_IO);
    assert_string_equal(error.source, target);
    assert_string_not_equal(error.hint, "");
    assert_int_equal(mkdir(target, 0777), 0);
    error = (struct kgen_error){0};
    assert_null(kgen_templates_open(folder, "c", &error));
    assert_int_equal(error.code, KGEN_ERROR_IO);
    assert_string_equal(error.message, "there are no templates in this folder");
    assert_string_not_equal(error.hint, "");

    static const char *const names[] = {"zz.c.in", "b.h.in", "part.inc", "README.md", ".hidden.c.in"};
    write_file(target, names[0], "$template zz \"Last.\"\n$include \"part.inc\"\n");
    write_file(target, names[1], "$template b \"First.\"\nb\n");
    write_file(target, names[2], "${N}\n");
    write_file(target, names[3], "not ${ a template");
    write_file(target, names[4], "not ${ a template");
    error = (struct kgen_error){0};
    struct kgen_templates *set = kgen_templates_open(folder, "c", &error);
    assert_string_equal(error.message, "");
    assert_non_null(set);
    assert_int_equal(kgen_templates_count(set), 2);
    assert_string_equal(kgen_template_name(kgen_templates_at(set, 0)), "b");
    assert_string_equal(kgen_template_name(kgen_templates_at(set, 1)), "zz");
    assert_ptr_equal(kgen_templates_find(set, "zz"), kgen_templates_at(set, 1));
    assert_null(kgen_templates_find(set, "part"));
    struct kgen_text out = {0};
    assert_int_equal(
        kgen_template_instantiate(kgen_templates_at(set, 1), &kgen_test_template_bindings, &out, &error), 0);
    assert_string_equal(out.data, "4\n");
    kgen_text_free(&out);
    kgen_templates_free(set);

    write_file(target, "part.inc", "a\n ${N y}\n");
    snprintf(expected, sizeof expected, "%s/part.inc", target);
    assert_null(kgen_templates_open(folder, "c", &error));
    assert_string_equal(error.source, expected);
    assert_int_equal(error.line, 2);
    assert_int_equal(error.column, 6);

    write_file(target, "part.inc", "");
    write_file(target, "zz.h.in", "$template zz \"Again.\"\n");
    error = (struct kgen_error){0};
    assert_null(kgen_templates_open(folder, "c", &error));
    assert_string_equal(error.message, "another file, zz.c.in, holds a template of the same name");
    for (size_t i = 0; i < KGEN_COUNT_OF(names); i++) {
        snprintf(expected, sizeof expected, "%s/%s", target, names[i]);
        unlink(expected);
    }
    snprintf(expected, sizeof expected, "%s/zz.h.in", target);
    unlink(expected);
    assert_int_equal(rmdir(target), 0);
    assert_int_equal(rmdir(folder), 0);
}

/* What the first lines of a template in the binary say is what the parser reads. */
static void test_first_lines(void **state)
{
    (void)state;
    struct kgen_error error = {0};
    struct kgen_templates *parsed = kgen_templates_open(NULL, "c", &error);
    struct kgen_templates *embedded = kgen_templates_open_embedded("c", &error);
    assert_non_null(parsed);
    assert_non_null(embedded);
    assert_int_equal(kgen_templates_count(embedded), kgen_templates_count(parsed));
    size_t served = 0;
    for (size_t i = 0; i < kgen_templates_count(parsed); i++) {
        const struct kgen_template *all = kgen_templates_at(parsed, i), *tmpl;
        assert_string_equal(kgen_templates_name_at(embedded, i), kgen_template_name(all));
        for (size_t j = 0; j < kgen_op_count(); j++) {
            const struct kgen_op *op = kgen_op_at(j);
            assert_int_equal(kgen_templates_serving(embedded, i, op, &tmpl, &error), 0);
            if ((tmpl != NULL) != kgen_template_serves(all, op))
                fail_msg("%s and the op %s", kgen_template_name(all), op->name);
            served += tmpl != NULL;
        }
        assert_int_equal(kgen_templates_serving(embedded, i, NULL, &tmpl, &error), 0);
        assert_null(tmpl);
        tmpl = kgen_templates_at(embedded, i);
        assert_int_equal(kgen_template_hash(tmpl), kgen_template_hash(all));
        assert_ptr_equal(kgen_templates_find(embedded, kgen_template_name(all)), tmpl);
    }
    assert_int_not_equal(served, 0);
    kgen_templates_free(embedded);
    kgen_templates_free(parsed);
}

/* Several threads may be the first to ask for a template. */
static void *ask_for_all(void *context)
{
    const struct kgen_templates *set = context;
    return kgen_templates_parse(set, NULL) == 0 ? context : NULL;
}

static void test_asked_by_threads(void **state)
{
    (void)state;
    struct kgen_templates *set = kgen_templates_open_embedded("c", NULL);
    pthread_t threads[4];
    for (size_t i = 0; i < KGEN_COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_for_all, set), 0);
    for (size_t i = 0; i < KGEN_COUNT_OF(threads); i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_ptr_equal(result, set);
    }
    kgen_templates_free(set);
}

/* A set over another: names of the upper one count, and each template has the includes of its own set. */
static void test_layers(void **state)
{
    (void)state;
    char folder[] = "/tmp/kgen-templates-XXXXXX", target[64], path[128];
    assert_non_null(mkdtemp(folder));
    snprintf(target, sizeof target, "%s/c", folder);
    assert_int_equal(mkdir(target, 0777), 0);
    static const char *const names[] = {"add.c.in", "mine.c.in", "prefetch.inc"};
    write_file(target, names[0], "$template add \"Of the user.\"\n$op add\n$isa generic\nx\n");
    write_file(target, names[1],
               "$template mine \"Of the user.\"\n$op add\n$isa generic\n$include \"prefetch.inc\"\n");
    write_file(target, names[2], "another text\n");
    struct kgen_error error = {0};
    struct kgen_templates *embedded = kgen_templates_open(NULL, "c", &error);
    assert_int_equal(setenv("KGEN_TEMPLATES_DIR", folder, 1), 0);
    struct kgen_templates *used = kgen_templates_open_used(NULL, "c", &error);
    assert_non_null(used);
    assert_int_equal(kgen_templates_count(used), kgen_templates_count(embedded) + 1);
    assert_false(kgen_templates_are_own(used));
    size_t own = 0;
    for (size_t i = 0; i < kgen_templates_count(used); i++) {
        const struct kgen_template *tmpl = kgen_templates_at(used, i);
        const char *name = kgen_template_name(tmpl);
        assert_true(i == 0 || strcmp(kgen_template_name(kgen_templates_at(used, i - 1)), name) < 0);
        assert_ptr_equal(kgen_templates_find(used, name), tmpl);
        const struct kgen_template *other = kgen_templates_find(embedded, name);
        const bool same = other != NULL && kgen_template_hash(other) == kgen_template_hash(tmpl);
        assert_int_equal(same, !kgen_templates_own(used, tmpl));
        own += !same;
    }
    assert_int_equal(own, 2);
    assert_non_null(kgen_templates_find(used, "kgen_vector"));
    kgen_templates_free(used);

    /* A folder that is named stands alone; an empty value says that there is none. */
    used = kgen_templates_open_used(folder, "c", &error);
    assert_int_equal(kgen_templates_count(used), 2);
    kgen_templates_free(used);
    assert_int_equal(setenv("KGEN_TEMPLATES_DIR", "", 1), 0);
    used = kgen_templates_open_used(NULL, "c", &error);
    assert_int_equal(kgen_templates_count(used), kgen_templates_count(embedded));
    kgen_templates_free(used);
    assert_null(kgen_templates_lay(NULL, embedded, &error)); /* frees what it was given */
    for (size_t i = 0; i < KGEN_COUNT_OF(names); i++) {
        snprintf(path, sizeof path, "%s/%s", target, names[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(target), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void test_user_folder(void **state)
{
    (void)state;
    static const struct {
        const char *named, *data, *home, *expected; /* NULL: not set, there is none */
    } cases[] = {{"/named", "/data", "/home", "/named"},
                 {"", "/data", "/home", NULL},
                 {NULL, "/data", "/home", "/data/kgen/templates"},
                 {NULL, "", "/home", "/home/.local/share/kgen/templates"},
                 {NULL, NULL, "/home", "/home/.local/share/kgen/templates"},
                 {NULL, NULL, NULL, NULL}};
    static const char *const variables[] = {"KGEN_TEMPLATES_DIR", "XDG_DATA_HOME", "HOME"};
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        const char *const values[] = {cases[i].named, cases[i].data, cases[i].home};
        struct kgen_text folder = {0};
        for (size_t j = 0; j < KGEN_COUNT_OF(variables); j++)
            assert_int_equal(values[j] != NULL ? setenv(variables[j], values[j], 1) : unsetenv(variables[j]),
                             0);
        assert_int_equal(kgen_templates_user_folder(&folder), cases[i].expected != NULL ? 0 : -1);
        if (cases[i].expected != NULL)
            assert_string_equal(folder.data, cases[i].expected);
        kgen_text_free(&folder);
        executed++;
    }
    assert_int_equal(setenv("KGEN_TEMPLATES_DIR", "", 1), 0);
    assert_int_equal(executed, KGEN_COUNT_OF(cases));
}

/* What a folder lacks: support texts and files to include are those of the binary, templates of ops are not.
 */
static void test_stand_ins(void **state)
{
    (void)state;
    char folder[] = "/tmp/kgen-templates-XXXXXX", target[64], path[128];
    assert_non_null(mkdtemp(folder));
    snprintf(target, sizeof target, "%s/c", folder);
    assert_int_equal(mkdir(target, 0777), 0);
    write_file(target, "t.c.in", "$template t \"T.\"\n$include \"scale_floats.inc\"\n");
    struct kgen_error error = {0};
    struct kgen_templates *set = kgen_templates_open(folder, "c", &error);
    assert_string_equal(error.message, "");
    assert_int_equal(kgen_templates_count(set), 1);
    assert_non_null(kgen_templates_find(set, "kgen_vector"));
    assert_null(kgen_templates_find(set, "add"));
    const uint64_t hash = kgen_template_hash(kgen_templates_at(set, 0));
    kgen_templates_free(set);

    write_file(target, "scale_floats.inc", "of this folder\n");
    set = kgen_templates_open(folder, "c", &error);
    assert_non_null(set);
    assert_true(kgen_template_hash(kgen_templates_at(set, 0)) != hash);
    struct kgen_text out = {0};
    assert_int_equal(
        kgen_template_instantiate(kgen_templates_at(set, 0), &kgen_test_template_bindings, &out, &error), 0);
    assert_string_equal(out.data, "of this folder\n");
    kgen_text_free(&out);
    kgen_templates_free(set);
    static const char *const names[] = {"t.c.in", "scale_floats.inc"};
    for (size_t i = 0; i < KGEN_COUNT_OF(names); i++) {
        snprintf(path, sizeof path, "%s/%s", target, names[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(target), 0);
    assert_int_equal(rmdir(folder), 0);
}

/* The templates in the binary all parse. */
static void test_embedded(void **state)
{
    (void)state;
    struct kgen_error error = {0};
    assert_null(kgen_templates_open(NULL, "cobol", &error));
    assert_int_equal(error.code, KGEN_ERROR_USAGE);
    assert_string_equal(error.message, "there are no templates for target 'cobol'");
    if (kgen_embedded_files[0].path == NULL) {
        print_message("skipped: no templates are embedded\n");
        skip();
    }
    error = (struct kgen_error){0};
    struct kgen_templates *set = kgen_templates_open(NULL, "c", &error);
    char text[1024];
    if (set == NULL)
        fail_msg("%s", kgen_error_format(&error, text, sizeof text));
    assert_int_not_equal(kgen_templates_count(set), 0);
    kgen_templates_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folder),           cmocka_unit_test(test_first_lines),
        cmocka_unit_test(test_asked_by_threads), cmocka_unit_test(test_layers),
        cmocka_unit_test(test_user_folder),      cmocka_unit_test(test_stand_ins),
        cmocka_unit_test(test_embedded),
    };
    return cmocka_run_group_tests_name("template_set", tests, kgen_test_template_setup,
                                       kgen_test_template_teardown);
}
