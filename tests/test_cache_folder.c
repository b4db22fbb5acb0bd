/* SPDX-License-Identifier: MIT */
/* The folder of a cache: where it is, what is in it, and folders and disks that take nothing. */
#define _DEFAULT_SOURCE /* setenv */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache_fixture.h"

/* Works in memory, with one warning. */
static void use_unwritable(struct cache_fixture *fixture, const char *folder)
{
    struct kgen_error error = {0};
    fixture->warnings = 0;
    struct kgen_cache *cache = kgen_cache_open(folder, cache_note, fixture, &error);
    assert_non_null(cache);
    for (uint64_t key = 1; key < 4; key++) {
        struct kgen_record record = cache_sample(key);
        cache_append(cache, &record);
        cache_assert_same(kgen_cache_find(cache, key), &record);
    }
    assert_int_equal(fixture->warnings, 1);
    kgen_cache_close(cache);
}

static void test_unusable_folders(void **state)
{
    struct cache_fixture *fixture = *state;
    use_unwritable(fixture, "/dev/null");
    use_unwritable(fixture, "/dev/null/below/a/file");
    use_unwritable(fixture, "/proc/kgen");
    assert_int_equal(mkdir(fixture->file, 0777), 0);
    use_unwritable(fixture, fixture->folder); /* records.jsonl is a folder */
    assert_int_equal(rmdir(fixture->file), 0);
    assert_int_equal(mkfifo(fixture->file, 0666), 0);
    use_unwritable(fixture, fixture->folder);
}

/* In a child, since root must give its rights up to be refused anything. */
static int in_child(struct cache_fixture *fixture, void work(struct cache_fixture *fixture))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        work(fixture);
        _exit(0);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    return status;
}

static void read_as_nobody(struct cache_fixture *fixture)
{
    if (getuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        _exit(2);
    struct kgen_cache *cache = kgen_cache_open(fixture->folder, cache_note, fixture, NULL);
    struct kgen_record record = cache_sample(2);
    bool right = cache != NULL && fixture->warnings == 1 && kgen_cache_find(cache, 1) != NULL &&
                 kgen_cache_append(cache, &record, NULL) == 0 && kgen_cache_find(cache, 2) != NULL &&
                 fixture->warnings == 1;
    kgen_cache_close(cache);
    if (!right)
        _exit(3);
}

static void test_read_only_file(void **state)
{
    struct cache_fixture *fixture = *state;
    struct kgen_cache *cache = cache_reopen(fixture, NULL);
    struct kgen_record record = cache_sample(1);
    cache_append(cache, &record);
    kgen_cache_close(cache);
    assert_int_equal(chmod(fixture->file, 0444), 0);
    assert_int_equal(chmod(fixture->folder, 0555), 0);
    int status = in_child(fixture, read_as_nobody);
    assert_int_equal(chmod(fixture->folder, 0755), 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(cache_count_lines(fixture), 1);
}

/* A file that may not grow behaves as a full disk does. */
static void fill_the_disk(struct cache_fixture *fixture)
{
    struct rlimit limit = {.rlim_cur = 3000, .rlim_max = 3000};
    if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR || setrlimit(RLIMIT_FSIZE, &limit) != 0)
        _exit(2);
    struct kgen_cache *cache = kgen_cache_open(fixture->folder, cache_note, fixture, NULL);
    for (uint64_t key = 1; key <= 20; key++) {
        struct kgen_record record = cache_sample(key);
        if (kgen_cache_append(cache, &record, NULL) != 0)
            _exit(3);
    }
    for (uint64_t key = 1; key <= 20; key++) {
        if (kgen_cache_find(cache, key) == NULL)
            _exit(4);
    }
    if (fixture->warnings != 1)
        _exit(5);
    kgen_cache_close(cache);
}

static void test_full_disk(void **state)
{
    struct cache_fixture *fixture = *state;
    int status = in_child(fixture, fill_the_disk);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    struct kgen_text text = cache_get_file(fixture);
    assert_int_equal(text.data[text.length - 1], '\n'); /* the line that did not fit was taken back */
    kgen_text_free(&text);
    struct kgen_cache *cache = cache_reopen(fixture, NULL);
    assert_in_range(kgen_cache_count(cache), 3, 19);
    assert_int_equal(kgen_cache_count(cache), cache_count_lines(fixture));
    assert_int_equal(fixture->warnings, 0);
    kgen_cache_close(cache);
}

static void make_file(const char *folder, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
}

static void test_clear(void **state)
{
    struct cache_fixture *fixture = *state;
    struct kgen_cache *cache = cache_reopen(fixture, NULL);
    struct kgen_record record = cache_sample(1);
    cache_append(cache, &record);
    char objects[128], kept[128];
    snprintf(objects, sizeof objects, "%s/" KGEN_CACHE_OBJECTS, fixture->folder);
    snprintf(kept, sizeof kept, "%s/notes.txt", fixture->folder);
    assert_int_equal(mkdir(objects, 0777), 0);
    make_file(objects, "0123456789abcdef.so");
    make_file(fixture->folder, "records.jsonl.77.tmp");
    make_file(fixture->folder, "notes.txt");
    struct kgen_error error = {0};
    assert_int_equal(kgen_cache_clear(cache, &error), 0);
    assert_int_equal(kgen_cache_count(cache), 0);
    assert_int_equal(access(fixture->file, F_OK), -1);
    assert_int_equal(access(objects, F_OK), -1);
    assert_int_equal(access(kept, F_OK), 0);
    cache_append(cache, &record);
    cache = cache_reopen(fixture, cache);
    assert_int_equal(kgen_cache_count(cache), 1);
    assert_int_equal(kgen_cache_clear(cache, &error), 0);
    kgen_cache_close(cache);
    assert_int_equal(unlink(kept), 0);
    assert_int_equal(fixture->warnings, 0);
    assert_int_equal(rmdir(fixture->folder), 0); /* nothing else was left */
}

static void test_folder(void **state)
{
    (void)state;
    static const struct {
        const char *given, *own, *caches, *home, *expected;
    } cases[] = {
        {"given", "/own", "/caches", "/home", "given"},         {NULL, "/own", "/caches", "/home", "/own"},
        {NULL, NULL, "/caches", "/home", "/caches/kgen"},       {NULL, "", "", "/home", "/home/.cache/kgen"},
        {NULL, NULL, "relative", "/home", "/home/.cache/kgen"}, {NULL, NULL, NULL, NULL, NULL},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        const char *names[] = {"KGEN_CACHE_DIR", "XDG_CACHE_HOME", "HOME"};
        const char *values[] = {cases[i].own, cases[i].caches, cases[i].home};
        for (size_t j = 0; j < KGEN_COUNT_OF(names); j++)
            assert_int_equal(values[j] != NULL ? setenv(names[j], values[j], 1) : unsetenv(names[j]), 0);
        struct kgen_text folder = {0};
        assert_int_equal(kgen_cache_folder(cases[i].given, &folder), cases[i].expected != NULL ? 0 : -1);
        if (cases[i].expected != NULL)
            assert_string_equal(folder.data, cases[i].expected);
        kgen_text_free(&folder);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CACHE_TEST(test_unusable_folders), CACHE_TEST(test_read_only_file),
        CACHE_TEST(test_full_disk),        CACHE_TEST(test_clear),
        cmocka_unit_test(test_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
