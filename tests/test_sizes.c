/* SPDX-License-Identifier: MIT */
/* Files and functions stay short: tests/sizes.sh holds it, and is held here by folders with one that is too
 * long. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void test_tree(void **state)
{
    (void)state;
    assert_int_equal(system("sh tests/sizes.sh >&2"), 0);
}

/* A file: first, repeated a number of times, and last. */
struct planted {
    const char *file, *first, *repeated;
    int times;
    const char *last;
    const char *expect; /* what the check says; NULL where it accepts the file */
};

#define FUNCTION "int f(int x)\n{\n"
#define STATEMENT "    x++;\n"
#define END "}\n"

static const struct planted planted[] = {
    {"gen/a.c", FUNCTION, STATEMENT, 58, END, NULL},
    {"gen/a.c", FUNCTION, STATEMENT, 59, END,
     "gen/a.c:2: this function has 61 lines besides its tables, 60 is the most\n"},
    {"runtime/a/b.c", "int f(int x) { return x; }\n\nint g(int x)\n{\n", STATEMENT, 70, END,
     "runtime/a/b.c:4: this function has 72 lines besides its tables, 60 is the most\n"},
    {"bench/a.h", "static inline " FUNCTION, STATEMENT, 80, END,
     "bench/a.h:2: this function has 82 lines besides its tables, 60 is the most\n"},
    /* Tables, in a function and outside of it. */
    {"tests/a.c", FUNCTION "    static const int table[] = {\n", "        1,\n", 100, "    };\n" END, NULL},
    {"tests/a.c", FUNCTION "    const struct point table[] = {{1, 2},\n", "        {1, 2},\n", 100,
     "                                  {3, 4}};\n" END, NULL},
    {"tests/a.c", FUNCTION "    static const struct {\n        int x;\n    } table[] = {\n", "        {1},\n",
     100, "    };\n" END, NULL},
    {"tests/a.c", FUNCTION "    static const int table[] = {\n        1,\n    };\n", STATEMENT, 60, END,
     "tests/a.c:2: this function has 62 lines besides its tables, 60 is the most\n"},
    {"tests/a.c", FUNCTION "    const int one = 1;\n    const int *two[] = {&one};\n", STATEMENT, 60, END,
     "tests/a.c:2: this function has 64 lines besides its tables, 60 is the most\n"},
    {"tests/a.c", FUNCTION END "const int table[] = {\n", "    1,\n", 100, "};\n", NULL},
    /* Files. */
    {"gen/a.c", FUNCTION END, "\n", 597, "", NULL},
    {"gen/a.c", FUNCTION END, "\n", 598, "",
     "gen/a.c:601: the file has 601 lines, 600 is the most: split it by subject\n"},
    {"tests/a.sh", "", "true\n", 601, "",
     "tests/a.sh:601: the file has 601 lines, 600 is the most: split it by subject\n"},
    {"tests/listing.txt", "", "add\n", 700, "", NULL},
};

/* Writes the file of a plant under that name. */
static void write_file(const char *folder, const char *name, const struct planted *plant)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    for (char *slash = strchr(path + strlen(folder) + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(plant->first, file);
    for (int i = 0; i < plant->times; i++)
        fputs(plant->repeated, file);
    fputs(plant->last, file);
    assert_int_equal(fclose(file), 0);
}

/* Runs the check on a folder. Returns its exit status, and what it says in said. */
static int check(const char *folder, char *said, size_t size)
{
    char command[256];
    snprintf(command, sizeof command, "sh tests/sizes.sh %s", folder);
    FILE *output = popen(command, "r");
    assert_non_null(output);
    said[fread(said, 1, size - 1, output)] = '\0';
    const int status = pclose(output);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_planted(void **state)
{
    (void)state;
    static const struct planted short_function = {NULL, FUNCTION, "", 0, END, NULL};
    char folder[] = "/tmp/kgen-sizes-XXXXXX", said[4096], command[128];
    assert_non_null(mkdtemp(folder));
    assert_int_not_equal(check(folder, said, sizeof said), 0);
    assert_string_equal(said, "no source file was found in gen/, runtime/, tests/ and bench/\n");
    size_t done = 0;
    for (size_t i = 0; i < sizeof planted / sizeof *planted; i++, done++) {
        const struct planted *plant = &planted[i];
        write_file(folder, "runtime/short.c", &short_function);
        write_file(folder, plant->file, plant);
        const int status = check(folder, said, sizeof said);
        if (status != (plant->expect != NULL) ||
            strcmp(said, plant->expect != NULL ? plant->expect : "") != 0)
            fail_msg("%zu, %s with %d lines of %s: exit status %d, %s", i, plant->file, plant->times,
                     plant->repeated, status, said);
        snprintf(command, sizeof command, "rm -rf %s/*", folder);
        assert_int_equal(system(command), 0);
    }
    assert_true(done > 0);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tree), cmocka_unit_test(test_planted)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
