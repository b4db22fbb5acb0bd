/* SPDX-License-Identifier: MIT */
/* Files are written under names that others cannot foresee, and never through a link that others have
 * planted. */
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

#include "gen/base/file.h"

/* The random numbers that the library draws, in their order; the last one stays. Without any, none can be
 * had. */
static const uint64_t *draws;
static size_t draw_count, drawn;

ssize_t __wrap_getrandom(void *buffer, size_t length, unsigned flags);
ssize_t __wrap_getrandom(void *buffer, size_t length, unsigned flags)
{
    (void)flags;
    if (draw_count == 0)
        return -1;
    const size_t index = drawn < draw_count ? drawn : draw_count - 1;
    drawn++;
    assert_int_equal(length, sizeof *draws);
    memcpy(buffer, &draws[index], sizeof *draws);
    return (ssize_t)length;
}

struct fixture {
    char folder[64], path[96], victim[96];
};

static const char secret[] = "keep this";

static void put(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_not_equal(fputs(text, file), EOF);
    assert_int_equal(fclose(file), 0);
}

static void expect(const char *path, const char *text)
{
    struct kgen_text read = {0};
    struct kgen_error error = {0};
    if (kgen_file_read(path, 1000, &read, &error) != 0)
        fail_msg("%s", error.message);
    assert_string_equal(read.data, text);
    kgen_text_free(&read);
}

static size_t count_files(const char *folder)
{
    DIR *listing = opendir(folder);
    assert_non_null(listing);
    size_t count = 0;
    for (const struct dirent *item; (item = readdir(listing)) != NULL;)
        count += item->d_name[0] != '.';
    closedir(listing);
    return count;
}

static int setup(void **state)
{
    static struct fixture fixture;
    snprintf(fixture.folder, sizeof fixture.folder, "/tmp/kgen-file-XXXXXX");
    if (mkdtemp(fixture.folder) == NULL)
        return -1;
    snprintf(fixture.path, sizeof fixture.path, "%s/out", fixture.folder);
    snprintf(fixture.victim, sizeof fixture.victim, "%s/victim", fixture.folder);
    put(fixture.victim, secret);
    draws = NULL;
    draw_count = drawn = 0;
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    const struct fixture *fixture = *state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", fixture->folder);
    return system(command);
}

static int write_text(const struct fixture *fixture, const char *text)
{
    struct kgen_error error = {0};
    const int result = kgen_file_write(fixture->path, text, strlen(text), &error);
    assert_int_equal(result == 0, error.code == KGEN_ERROR_NONE);
    return result;
}

/* The name of the process was all there was to foresee. */
static void test_link_at_the_process_id(void **state)
{
    const struct fixture *fixture = *state;
    char name[160];
    snprintf(name, sizeof name, "%s.%ld.tmp", fixture->path, (long)getpid());
    assert_int_equal(symlink(fixture->victim, name), 0);
    assert_int_equal(write_text(fixture, "new"), 0);
    expect(fixture->path, "new");
    expect(fixture->victim, secret);
    assert_int_equal(count_files(fixture->folder), 3);
}

static void test_link_at_the_random_name(void **state)
{
    const struct fixture *fixture = *state;
    static const uint64_t numbers[] = {0x1234, 0x1234, 0x5678, 0x9abc};
    draws = numbers;
    draw_count = sizeof numbers / sizeof *numbers;
    char link_name[160], file_name[160];
    snprintf(link_name, sizeof link_name, "%s.%016x.tmp", fixture->path, 0x1234);
    snprintf(file_name, sizeof file_name, "%s.%016x.tmp", fixture->path, 0x5678);
    assert_int_equal(symlink(fixture->victim, link_name), 0);
    put(file_name, "another's");
    assert_int_equal(write_text(fixture, "new"), 0);
    expect(fixture->path, "new");
    expect(fixture->victim, secret);
    expect(file_name, "another's");
    assert_int_equal(drawn, 4);
    assert_int_equal(count_files(fixture->folder), 4);
}

/* Where every name is taken, the file is not written. */
static void test_all_names_taken(void **state)
{
    const struct fixture *fixture = *state;
    static const uint64_t number = 7;
    draws = &number;
    draw_count = 1;
    char name[160];
    snprintf(name, sizeof name, "%s.%016x.tmp", fixture->path, 7);
    assert_int_equal(symlink("/nowhere/at/all", name), 0);
    assert_int_equal(write_text(fixture, "new"), -1);
    assert_int_not_equal(access(fixture->path, F_OK), 0);
    assert_int_equal(count_files(fixture->folder), 2);
}

static void test_without_random_numbers(void **state)
{
    const struct fixture *fixture = *state;
    struct kgen_text first = {0}, second = {0};
    const int one = kgen_file_create_temporary(fixture->path, &first, NULL);
    const int two = kgen_file_create_temporary(fixture->path, &second, NULL);
    assert_true(one >= 0 && two >= 0);
    assert_string_not_equal(first.data, second.data);
    close(one);
    close(two);
    kgen_text_free(&first);
    kgen_text_free(&second);
}

static void test_replaced_or_left_alone(void **state)
{
    const struct fixture *fixture = *state;
    struct stat first, second;
    assert_int_equal(write_text(fixture, "one"), 0);
    assert_int_equal(stat(fixture->path, &first), 0);
    assert_int_equal(write_text(fixture, "one"), 0);
    assert_int_equal(stat(fixture->path, &second), 0);
    assert_true(first.st_ino == second.st_ino);
    assert_int_equal(write_text(fixture, "two"), 0);
    expect(fixture->path, "two");
    /* A link at the name itself is replaced; what it names stays. */
    assert_int_equal(unlink(fixture->path), 0);
    assert_int_equal(symlink(fixture->victim, fixture->path), 0);
    assert_int_equal(write_text(fixture, "three"), 0);
    expect(fixture->path, "three");
    expect(fixture->victim, secret);
    /* Nothing is left where the file cannot be put in place. */
    assert_int_equal(unlink(fixture->path), 0);
    assert_int_equal(mkdir(fixture->path, 0777), 0);
    assert_int_equal(write_text(fixture, "four"), -1);
    assert_int_equal(count_files(fixture->folder), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_link_at_the_process_id, setup, teardown),
        cmocka_unit_test_setup_teardown(test_link_at_the_random_name, setup, teardown),
        cmocka_unit_test_setup_teardown(test_all_names_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_random_numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replaced_or_left_alone, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
