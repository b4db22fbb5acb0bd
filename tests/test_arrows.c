/* SPDX-License-Identifier: MIT */
/* Includes point downwards: tests/arrows.sh holds it, and is held here by copies with an include that points
 * up. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static void test_tree(void **state)
{
    (void)state;
    assert_int_equal(system("sh tests/arrows.sh >&2"), 0);
}

struct planted {
    const char *file;
    const char *line;   /* appended to the file */
    const char *expect; /* in what the check says; NULL where it accepts the line */
};

static const struct planted planted[] = {
    {"gen/base/base.c", "#include \"gen/ops/problem.h\"",
     "gen/base/base.c includes gen/ops/problem.h, which is higher"},
    {"gen/emit/emit.h", "#include \"runtime/process/team.h\"",
     "gen/emit/emit.h includes runtime/process/team.h, which is higher"},
    {"runtime/cache/cache.c", "#include \"runtime/tune/tune.h\"",
     "runtime/cache/cache.c includes runtime/tune/tune.h, which is higher"},
    {"runtime/tune/tune.c", "  #  include <runtime/kgen.h>",
     "runtime/tune/tune.c includes runtime/kgen.h, which is higher"},
    {"runtime/api/plan.c", "#include \"runtime/command/command.h\"",
     "runtime/api/plan.c includes runtime/command/command.h, which is higher"},
    {"runtime/command/report/page.c", "#include \"html.h\"",
     "runtime/command/report/page.c includes html.h: write the path"},
    {"runtime/new/new.c", "#include \"gen/base/base.h\"",
     "runtime/new/new.c: its folder is not in the order"},
    {"runtime/command/report/page.c", "#include \"runtime/kgen.h\"", NULL},
    {"runtime/api/plan.c", "#include \"runtime/kgen.h\"", NULL},
    {"gen/base/base.c", "/* #include \"gen/ops/problem.h\" */", NULL},
};

static void test_planted(void **state)
{
    (void)state;
    char folder[] = "/tmp/kgen-arrows-XXXXXX", command[1024], said[4096];
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < sizeof planted / sizeof *planted; i++) {
        const struct planted *plant = &planted[i];
        snprintf(command, sizeof command,
                 "cp -r gen runtime %s && mkdir -p \"$(dirname %s/%s)\" && printf '%%s\\n' '%s' >>%s/%s && "
                 "sh tests/arrows.sh %s; status=$?; rm -rf %s/gen %s/runtime; exit $status",
                 folder, folder, plant->file, plant->line, folder, plant->file, folder, folder, folder);
        FILE *output = popen(command, "r");
        assert_non_null(output);
        said[fread(said, 1, sizeof said - 1, output)] = '\0';
        const int status = pclose(output);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) != (plant->expect != NULL) ||
            (plant->expect != NULL ? strstr(said, plant->expect) == NULL : said[0] != '\0'))
            fail_msg("%s with %s: exit status %d, %s", plant->file, plant->line, WEXITSTATUS(status), said);
    }
    snprintf(command, sizeof command, "mkdir %s/gen %s/runtime && sh tests/arrows.sh %s", folder, folder,
             folder);
    FILE *output = popen(command, "r");
    assert_non_null(output);
    said[fread(said, 1, sizeof said - 1, output)] = '\0';
    assert_int_not_equal(pclose(output), 0);
    assert_string_equal(said, "no include was found in gen/ and runtime/\n");
    snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tree), cmocka_unit_test(test_planted)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
