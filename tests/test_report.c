/* SPDX-License-Identifier: MIT */
/* kgen report as its users call it: well-formed, self-contained, escaped, the same each time. Runs $KGEN_BIN,
 * else ./kgen, in a folder of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gen/base/base.h"
#include "gen/base/file.h"

static char binary[PATH_MAX];
static char folder[] = "/tmp/kgen-report-XXXXXX";

/* Runs a shell command line; returns its exit status, with what it printed on either stream in output. */
static int shell(const char *line, struct kgen_text *output)
{
    char block[4096];
    struct kgen_text command = {0};
    kgen_text_printf(&command, "{ %s ; } 2>&1", line);
    FILE *pipe = popen(command.data, "r");
    assert_non_null(pipe);
    size_t length;
    while ((length = fread(block, 1, sizeof block, pipe)) > 0)
        kgen_text_append(output, block, length);
    kgen_text_append(output, "", 0);
    const int status = pclose(pipe);
    kgen_text_free(&command);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int run(const char *arguments, struct kgen_text *output)
{
    struct kgen_text line = {0};
    kgen_text_printf(&line, "%s %s", binary, arguments);
    const int status = shell(line.data, output);
    kgen_text_free(&line);
    return status;
}

static void put_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static struct kgen_text page_of(const char *arguments, const char *path)
{
    struct kgen_text output = {0}, page = {0};
    struct kgen_error error = {0};
    if (run(arguments, &output) != 0)
        fail_msg("kgen %s: %s", arguments, output.data);
    kgen_text_free(&output);
    assert_int_equal(kgen_file_read(path, 1 << 26, &page, &error), 0);
    return page;
}

#define HOSTILE "<script>alert(1)</script>&\\\"']]>\\u0001\\u007f ü"
#define PEER_QMV "qmv_n32_k128_b4_g64_f16_f32"

static const struct {
    const char *path, *text;
} files[] = {
    {"small.json",
     "{\"name\": \"small\", \"problems\": [{\"op\": \"qmv\", \"N\": 32, \"K\": 128, \"bits\": 4, "
     "\"group_size\": 64, \"tensors\": \"" HOSTILE "\"}, {\"op\": \"rms_norm\", \"size\": 33}]}\n"},
    {"other.json", "{\"problems\": [{\"op\": \"add\", \"size\": 77}]}\n"},
    {"peers.json",
     "{\"peers\": [{\"name\": \"" HOSTILE "\", \"problem\": \"" PEER_QMV "\", \"seconds\": 1e-6, "
     "\"settings\": \"<b>&\"},\n{\"name\": \"x\", \"problem\": \"nope\", \"seconds\": 2}]}\n"},
    {"malformed.json", "{\"peers\": [}\n"},
    {"list.json", "[]\n"},
    {"nolist.json", "{\"peers\": 3}\n"},
    {"noname.json", "{\"peers\": [{\"problem\": \"a\", \"seconds\": 1}]}\n"},
    {"zero.json", "{\"peers\": [\n{\"name\": \"a\", \"problem\": \"a\", \"seconds\": 0}]}\n"},
    {"key.json", "{\"peers\": [\n{\"name\": \"a\", \"problem\": \"a\", \"second\": 1}]}\n"},
};

static const struct {
    const char *arguments;
    int status;
    const char *output;
} cases[] = {
    {"report --help", 0, "usage: kgen report SPEC"},
    {"report", 2, "an argument is missing"},
    {"report a b", 2, "one argument too many"},
    {"report nowhere.json", 2, "nowhere.json: cannot open"},
    {"report other.json", 2, "hint: run kgen other.json first"},
    {"report small.json --effort measure", 2, "takes no option --effort"},
    {"explain small.json --peers peers.json", 2, "takes no option --peers"},
    {"report small.json -o /dev/null/x.html", 2, "/dev/null"},
    {"report small.json -o .", 2, "error"},
    {"report small.json --machine 0123", 2, "no record of a machine '0123'"},
    {"report small.json --machine 0123", 2, "hint: it knows: "},
    {"report small.json --peers nowhere.json", 2, "nowhere.json: cannot open"},
    {"report small.json --peers malformed.json", 2, "malformed.json:1:"},
    {"report small.json --peers list.json", 2, "an array \"peers\" is missing"},
    {"report small.json --peers nolist.json", 2, "nolist.json:1:11"},
    {"report small.json --peers noname.json", 2, "\"name\" must be a string"},
    {"report small.json --peers zero.json", 2, "zero.json:2:"},
    {"report small.json --peers key.json", 2, "no other key"},
};

static void test_command_lines(void **state)
{
    (void)state;
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++, executed++) {
        struct kgen_text output = {0};
        const int status = run(cases[i].arguments, &output);
        if (status != cases[i].status || strstr(output.data, cases[i].output) == NULL)
            fail_msg("kgen %s: exit status %d, and says:\n%s", cases[i].arguments, status, output.data);
        kgen_text_free(&output);
    }
    assert_true(executed > 15);
    assert_int_not_equal(access("small.html", F_OK), 0);
}

/* Sections, charts, and every string of the user escaped. */
static void test_page(void **state)
{
    (void)state;
    struct kgen_text page = page_of("report small.json --peers peers.json -q -o page.html", "page.html");
    static const char *const present[] = {
        "<h1>kgen report: small</h1>",
        "id=\"roofline\"",
        "id=\"times\"",
        "id=\"errors\"",
        "id=\"peers\"",
        "id=\"failures\"",
        "id=\"p1\"",
        "id=\"p2\"",
        "prefers-color-scheme:dark",
        "@media print",
        "&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;&#39;]]&gt;\xef\xbf\xbd\xef\xbf\xbd ü",
        "&lt;b&gt;&amp;",
        "Left out: 1 times",
        "class=\"peer\"",
    };
    static const char *const absent[] = {"<script", "<b>",     "http:", "https:", "//",
                                         "url(",    "@import", "<link", " src=",  "\x01"};
    for (size_t i = 0; i < KGEN_COUNT_OF(present); i++) {
        if (strstr(page.data, present[i]) == NULL)
            fail_msg("the page should hold '%s'", present[i]);
    }
    for (size_t i = 0; i < KGEN_COUNT_OF(absent); i++) {
        if (strstr(page.data, absent[i]) != NULL)
            fail_msg("the page should not hold '%s': %.80s", absent[i], strstr(page.data, absent[i]));
    }
    assert_int_equal(strlen(page.data), page.length);
    kgen_text_free(&page);
}

static void test_same_twice(void **state)
{
    (void)state;
    struct kgen_text first = page_of("report small.json -o first.html", "first.html");
    struct kgen_text second = page_of("report small.json -o second.html", "second.html");
    assert_int_equal(first.length, second.length);
    assert_memory_equal(first.data, second.data, first.length);
    assert_null(strstr(first.data, folder)); /* no path */
    kgen_text_free(&first);
    kgen_text_free(&second);
}

static void test_well_formed(void **state)
{
    (void)state;
    struct kgen_text output = {0};
    if (shell("command -v xmllint", &output) != 0) {
        kgen_text_free(&output);
        printf("skipped: there is no xmllint (Debian: libxml2-utils)\n");
        skip();
    }
    kgen_text_clear(&output);
    struct kgen_text page = page_of("report small.json --peers peers.json -q -o formed.html", "formed.html");
    kgen_text_free(&page);
    if (shell("xmllint --nonet --noout formed.html", &output) != 0)
        fail_msg("not well-formed: %s", output.data);
    kgen_text_free(&output);
}

/* Records that failed, and those of another machine, are shown; --json says where the page is. */
static void test_other_records(void **state)
{
    (void)state;
    struct kgen_text output = {0};
    assert_int_equal(
        shell("mkdir other && sed -e 's/\"verdict\":\"passed\",\"detail\":\"\"/\"verdict\":\"crashed\","
              "\"detail\":\"signal <11>\"/;t' cache/records.jsonl > other/records.jsonl",
              &output),
        0);
    struct kgen_text page = page_of("report small.json --cache other -o failed.html", "failed.html");
    assert_non_null(strstr(page.data, "signal &lt;11&gt;"));
    assert_non_null(strstr(page.data, "candidates passed"));
    kgen_text_free(&page);
    kgen_text_clear(&output);
    assert_int_equal(shell("mkdir far && sed 's/\"machine\":\"[0-9a-f]*\"/\"machine\":\"0123456789abcdef\"/; "
                           "s/\"identity\":\"[0-9a-f]*\"/\"identity\":\"0123456789abcdef\"/' "
                           "cache/records.jsonl > far/records.jsonl",
                           &output),
                     0);
    page = page_of("report small.json --cache far --machine 0123456789abcdef -o far.html", "far.html");
    assert_non_null(strstr(page.data, "0123456789abcdef"));
    kgen_text_free(&page);
    kgen_text_clear(&output);
    assert_int_equal(run("report small.json --json -o json.html", &output), 0);
    assert_non_null(strstr(output.data, "\"file\": \"json.html\""));
    kgen_text_free(&output);
}

static int group_setup(void **state)
{
    (void)state;
    const char *named = getenv("KGEN_BIN");
    if (named == NULL)
        named = "kgen";
    char here[PATH_MAX] = "";
    if (named[0] != '/' && getcwd(here, sizeof here) == NULL)
        return -1;
    const int length = snprintf(binary, sizeof binary, "%s%s%s", here, named[0] != '/' ? "/" : "", named);
    if (length < 0 || (size_t)length >= sizeof binary || access(binary, X_OK) != 0) {
        fprintf(stderr, "no kgen at %s; run make, or set KGEN_BIN\n", named);
        return -1;
    }
    if (mkdtemp(folder) == NULL || chdir(folder) != 0 || setenv("KGEN_CACHE_DIR", "cache", 1) != 0)
        return -1;
    for (size_t i = 0; i < KGEN_COUNT_OF(files); i++)
        put_file(files[i].path, files[i].text);
    struct kgen_text output = {0};
    const int status = run("small.json -q -o out", &output);
    if (status != 0)
        fprintf(stderr, "%s", output.data);
    kgen_text_free(&output);
    return status;
}

static int group_teardown(void **state)
{
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return chdir("/") == 0 ? system(command) : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command_lines), cmocka_unit_test(test_page),
        cmocka_unit_test(test_same_twice),    cmocka_unit_test(test_well_formed),
        cmocka_unit_test(test_other_records),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
