/* SPDX-License-Identifier: MIT */
/* kgen new-template, the sections on a template of one's own in README.md and templates/README.md
 * (tests/own_template.sh does these), and the section of templates/README.md on the ops. KGEN_README_UPDATE=1
 * renews the latter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "command_fixture.h"
#include "gen/base/file.h"
#include "gen/ops/example.h"

/* What kgen new-template says of the template that it wrote. The caller frees it. */
static json_t *make_template(const char *op)
{
    struct kgen_text line = {0};
    kgen_text_printf(&line, "new-template %s my_%s --templates mine --json", op, op);
    struct kgen_test_outcome outcome = kgen_test_run(line.data);
    if (outcome.status != 0)
        fail_msg("kgen %s: exit status %d\n%s", line.data, outcome.status, outcome.err.data);
    json_t *root = json_loads(outcome.out.data, 0, NULL);
    assert_non_null(root);
    kgen_test_outcome_free(&outcome);
    kgen_text_free(&line);
    return root;
}

/* Runs a command as it was printed, "kgen ...", by a shell. Its output is in the file "said". */
static int run_printed(const char *command)
{
    struct kgen_text line = {0};
    assert_memory_equal(command, "kgen ", 5);
    kgen_text_printf(&line, "%s %s >said 2>&1", kgen_test_binary, command + 5);
    const int status = system(line.data);
    kgen_text_free(&line);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void expect_said(const char *command, const char *part)
{
    struct kgen_text said = {0};
    assert_int_equal(kgen_file_read("said", 1 << 20, &said, NULL), 0);
    if (strstr(said.data, part) == NULL)
        fail_msg("%s: expected '%s' in\n%s", command, part, said.data);
    kgen_text_free(&said);
}

/* The template of every op is right, whatever its parameter. */
static void test_every_op(void **state)
{
    (void)state;
    size_t executed = 0;
    for (size_t i = 0; i < kgen_op_count(); i++) {
        const char *op = kgen_op_at(i)->name;
        json_t *root = make_template(op);
        const char *run = json_string_value(json_object_get(root, "run"));
        const char *expand = json_string_value(json_object_get(root, "expand"));
        struct kgen_text other = {0};
        kgen_text_printf(&other, "%s attempt=1", expand);
        if (run_printed(run) != 0)
            expect_said(run, "exit status 0");
        expect_said(run, "\nright: proven on ");
        assert_int_equal(run_printed(other.data), 0);
        expect_said(other.data, "Attempt 1");
        kgen_text_free(&other);
        json_decref(root);
        executed++;
    }
    assert_int_equal(executed, kgen_op_count());
    assert_int_not_equal(executed, 0);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *line, *err;
    } cases[] = {
        {"new-template ad mine", "did you mean 'add'"},
        {"new-template add 1st", "a template cannot be called '1st'"},
        {"new-template add ../up", "a template cannot be called '../up'"},
        {"new-template add min", "this is the name of a function"},
        {"new-template add kept --templates kept", "kept/c/kept.c.in: this file is there already"},
        {"new-template add kept --templates said.txt", "said.txt"},
        {"new-template add", "an argument is missing"},
        {"list --markdown", "--markdown goes with kgen list ops"},
        {"list ops --markdown --json", "--markdown goes with kgen list ops"},
    };
    size_t executed = 0;
    struct kgen_text before = {0}, after = {0};
    kgen_test_put_file("said.txt", "a file\n");
    kgen_test_expect("new-template add kept --templates kept", 0, "kept/c/kept.c.in\n", NULL);
    assert_int_equal(kgen_file_read("kept/c/kept.c.in", 1 << 20, &before, NULL), 0);
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        kgen_test_expect(cases[i].line, 2, NULL, cases[i].err);
        executed++;
    }
    assert_int_equal(kgen_file_read("kept/c/kept.c.in", 1 << 20, &after, NULL), 0);
    assert_string_equal(before.data, after.data);
    kgen_text_free(&before);
    kgen_text_free(&after);
    assert_int_equal(executed, KGEN_COUNT_OF(cases));
}

static void test_readme(void **state)
{
    (void)state;
    struct kgen_text command = {0};
    kgen_text_printf(&command, "mkdir readme && cd %s && sh tests/own_template.sh %s %s/readme",
                     kgen_test_source, kgen_test_binary, kgen_test_folder);
    assert_int_equal(system(command.data), 0);
    kgen_text_free(&command);
}

static void test_ops_are_described(void **state)
{
    (void)state;
    static const char begin[] = "kgen list ops --markdown prints. -->\n\n";
    static const char end[] = "\n<!-- end of kgen list ops --markdown -->\n";
    struct kgen_text path = {0}, text = {0}, renewed = {0};
    kgen_text_printf(&path, "%s/templates/README.md", kgen_test_source);
    assert_int_equal(kgen_file_read(path.data, 1 << 20, &text, NULL), 0);
    const char *from = strstr(text.data, begin), *to = strstr(text.data, end);
    assert_non_null(from);
    assert_non_null(to);
    struct kgen_test_outcome outcome = kgen_test_run("list ops --markdown");
    assert_int_equal(outcome.status, 0);
    for (size_t i = 0; i < kgen_op_count(); i++) {
        struct kgen_text title = {0};
        kgen_text_printf(&title, "### %s\n", kgen_op_at(i)->name);
        assert_non_null(strstr(outcome.out.data, title.data));
        kgen_text_free(&title);
    }
    from += strlen(begin);
    kgen_text_append(&renewed, text.data, (size_t)(from - text.data));
    kgen_text_puts(&renewed, outcome.out.data);
    kgen_text_puts(&renewed, to);
    assert_false(renewed.failed);
    if (getenv("KGEN_README_UPDATE") != NULL)
        assert_int_equal(kgen_file_write(path.data, renewed.data, renewed.length, NULL), 0);
    else if (strcmp(renewed.data, text.data) != 0)
        fail_msg("templates/README.md does not describe the ops as they are; renew it with\n"
                 "KGEN_README_UPDATE=1 build/tests/test_own_template");
    kgen_test_outcome_free(&outcome);
    kgen_text_free(&path);
    kgen_text_free(&text);
    kgen_text_free(&renewed);
}

static int set_up(void **state)
{
    (void)state;
    return kgen_test_command_setup();
}

static int tear_down(void **state)
{
    (void)state;
    return kgen_test_command_teardown();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_op),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_readme),
        cmocka_unit_test(test_ops_are_described),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
