/* SPDX-License-Identifier: MIT */
/* The shared objects that the cc engine keeps: for which machine, whose they are, and what killed compilers
 * leave. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utime.h>

#include "runtime/jit/jit.h"
#include "runtime/jit/objects.h"
#include "runtime/machine/machine.h"

static const char text[] = "int f(int a) { return a + 1; }";

struct fixture {
    char parent[64], folder[96];
    struct kgen_cc_options options;
    struct kgen_error error;
};

static int setup(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){.parent = "/tmp/kgen-objects-XXXXXX"};
    if (mkdtemp(fixture.parent) == NULL)
        return -1;
    snprintf(fixture.folder, sizeof fixture.folder, "%s/cache/objects", fixture.parent);
    fixture.options = (struct kgen_cc_options){.flags = "-O1", .folder = fixture.folder};
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    const struct fixture *fixture = *state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", fixture->parent);
    return system(command);
}

/* Whether the text compiles, or loads, and gives what it should. */
static bool works(struct fixture *fixture)
{
    fixture->error = (struct kgen_error){0};
    struct kgen_code *code =
        kgen_jit_compile(KGEN_ENGINE_CC, "t.c", text, KGEN_ISA_GENERIC, &fixture->options, &fixture->error);
    if (code == NULL)
        return false;
    int (*function)(int);
    void *symbol = kgen_code_symbol(code, "f");
    assert_non_null(symbol);
    memcpy(&function, &symbol, sizeof function);
    assert_int_equal(function(1), 2);
    kgen_code_free(code);
    return true;
}

/* Counts what lies in the folder; path becomes that of the last. */
static size_t list(const struct fixture *fixture, char *path, size_t size)
{
    DIR *listing = opendir(fixture->folder);
    assert_non_null(listing);
    size_t count = 0;
    for (const struct dirent *item; (item = readdir(listing)) != NULL;) {
        if (item->d_name[0] == '.')
            continue;
        snprintf(path, size, "%s/%s", fixture->folder, item->d_name);
        count++;
    }
    closedir(listing);
    return count;
}

static void test_key_has_the_machine(void **state)
{
    struct fixture *fixture = *state;
    char path[512];
    struct kgen_machine machine;
    kgen_machine_detect(&machine);
    assert_true(works(fixture));
    fixture->options.machine = machine.identity;
    assert_true(works(fixture));
    assert_int_equal(list(fixture, path, sizeof path), 1);
    fixture->options.machine = "0123456789abcdef";
    assert_true(works(fixture));
    assert_int_equal(list(fixture, path, sizeof path), 2);
}

static void test_made_for_the_user_alone(void **state)
{
    struct fixture *fixture = *state;
    char path[512];
    struct stat status;
    const mode_t mask = umask(0);
    assert_true(works(fixture));
    umask(mask);
    assert_int_equal(stat(fixture->folder, &status), 0);
    assert_int_equal(status.st_mode & 077, 0);
    assert_int_equal(list(fixture, path, sizeof path), 1);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 022, 0);
    assert_true(works(fixture));
}

static void expect_refused(struct fixture *fixture, const char *path, const char *message)
{
    if (works(fixture))
        fail_msg("%s was taken, though %s", path, message);
    assert_int_equal(fixture->error.code, KGEN_ERROR_IO);
    assert_string_equal(fixture->error.source, path);
    if (strstr(fixture->error.message, message) == NULL)
        fail_msg("%s", fixture->error.message);
}

static void test_others_may_write(void **state)
{
    struct fixture *fixture = *state;
    char path[512];
    assert_true(works(fixture));
    assert_int_equal(list(fixture, path, sizeof path), 1);
    static const mode_t modes[] = {0777, 0770, 0720, 0702};
    for (size_t i = 0; i < KGEN_COUNT_OF(modes); i++) {
        assert_int_equal(chmod(fixture->folder, modes[i]), 0);
        expect_refused(fixture, fixture->folder, "other users may write the folder");
        assert_non_null(strstr(fixture->error.hint, "chmod go-w"));
        assert_int_equal(chmod(fixture->folder, 0755), 0);
        assert_int_equal(chmod(path, modes[i]), 0);
        expect_refused(fixture, path, "other users may write the file");
        assert_int_equal(chmod(path, 0755), 0);
        assert_true(works(fixture));
    }
}

static void test_belongs_to_another(void **state)
{
    struct fixture *fixture = *state;
    char path[512];
    if (geteuid() != 0) {
        print_message("skipped: only root can give files away\n");
        skip();
    }
    assert_true(works(fixture));
    assert_int_equal(list(fixture, path, sizeof path), 1);
    assert_int_equal(chown(path, 12345, 12345), 0);
    expect_refused(fixture, path, "belongs to user 12345");
    assert_int_equal(chown(path, 0, 0), 0);
    assert_int_equal(chown(fixture->folder, 12345, 12345), 0);
    expect_refused(fixture, fixture->folder, "belongs to user 12345");
}

static void test_link_is_not_followed(void **state)
{
    struct fixture *fixture = *state;
    char path[512], aside[128];
    snprintf(aside, sizeof aside, "%s/aside.so", fixture->parent);
    assert_true(works(fixture));
    assert_int_equal(list(fixture, path, sizeof path), 1);
    assert_int_equal(rename(path, aside), 0);
    assert_int_equal(symlink(aside, path), 0);
    expect_refused(fixture, path, "not a regular file");
}

static void make_abandoned(const struct fixture *fixture, const char *name, long age)
{
    char path[256], command[1024];
    snprintf(path, sizeof path, "%s/%s", fixture->folder, name);
    snprintf(command, sizeof command, "mkdir -p %s && echo x >%s/kernel.c && echo x >%s/kernel.so", path,
             path, path);
    assert_int_equal(system(command), 0);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(
        utime(path, &(struct utimbuf){.actime = status.st_mtime - age, .modtime = status.st_mtime - age}), 0);
}

static void test_abandoned_folders(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *name;
        long age;
        bool stays;
    } cases[] = {
        {"0123456789abcdef.so.Ab3xYz", 7200, false}, {"0123456789abcdef.so.Ab3xYy", 0, true},
        {"0123456789abcdef.so.Ab3xY", 7200, true},   {"0123456789abcde.so.Ab3xYz", 7200, true},
        {"0123456789abcdef.xx.Ab3xYz", 7200, true},
    };
    assert_int_equal(kgen_objects_folder(fixture->folder, NULL), 0);
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++)
        make_abandoned(fixture, cases[i].name, cases[i].age);
    assert_true(works(fixture));
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s", fixture->folder, cases[i].name);
        if ((access(path, F_OK) == 0) != cases[i].stays)
            fail_msg("%s: %s", cases[i].name, cases[i].stays ? "is gone" : "is still there");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_key_has_the_machine, setup, teardown),
        cmocka_unit_test_setup_teardown(test_made_for_the_user_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_others_may_write, setup, teardown),
        cmocka_unit_test_setup_teardown(test_belongs_to_another, setup, teardown),
        cmocka_unit_test_setup_teardown(test_link_is_not_followed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_abandoned_folders, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
