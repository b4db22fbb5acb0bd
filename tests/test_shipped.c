/* SPDX-License-Identifier: MIT */
/* The chosen kernels are proven as they are written: through the system's compiler. Templates whose text is
 * right for TinyCC and wrong for others show it. */
#include "command_fixture.h"
#include "gen/base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define TEMPLATE(body)                                                                                       \
    "$template add_generic \"y = a + b in plain C\"\n$op add\n$isa generic\n"                                \
    "void ${function}(const float *a, const float *b, float *y, size_t begin, size_t end)\n{\n"              \
    "    for (size_t i = begin; i < end; i++)\n"                                                             \
    "        y[i] = a[i] + b[i];\n" body "}\n"

static const char spec_text[] = "{\"kgen_schema\": 1, \"name\": \"two\", \"problems\": [\n"
                                "{\"op\": \"add\", \"size\": 77}, {\"op\": \"swiglu\", \"size\": 50}]}\n";

static const char options[] = "two.json --isa generic --effort estimate --templates t";

static void use_template(const char *text)
{
    kgen_test_put_file("t/c/add_generic.c.in", text);
}

/* The compilers that the tests stand in for $CC count the compilations in the file "compilations". */
static void use_compiler(const char *name)
{
    char path[256];
    if (name[0] == '/')
        snprintf(path, sizeof path, "%s", name);
    else
        snprintf(path, sizeof path, "%s/%s", kgen_test_folder, name);
    setenv("CC", path, 1);
}

static size_t compilations(void)
{
    struct stat status;
    return stat("compilations", &status) == 0 ? (size_t)status.st_size / 2 : 0;
}

static void failures_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *what, *text, *message;
    } cases[] = {
        {"a wrong element",
         TEMPLATE("#ifndef __TINYC__\n    if (end > 40)\n        y[end - 1] = 5.0f;\n#endif\n"),
         ": wrong_element: y["},
        {"a write past the end", TEMPLATE("#ifndef __TINYC__\n    y[end] = 5.0f;\n#endif\n"),
         ": write_past_end: "},
        {"a text that other compilers refuse",
         TEMPLATE("#ifndef __TINYC__\n    no_such_function();\n    no_such_name = 1;\n#endif\n"),
         ": compile_failed: t/c/add_generic.c.in:"},
        {"a crash", TEMPLATE("#ifndef __TINYC__\n    *(volatile int *)8 = 0;\n#endif\n"), ": crashed: "},
    };
    setenv("CC", "gcc", 1);
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        char line[256];
        use_template(cases[i].text);
        snprintf(line, sizeof line, "%s -o bad", options);
        struct kgen_test_outcome outcome = kgen_test_run(line);
        if (outcome.status != 1)
            fail_msg("%s: exit status %d\n%s%s", cases[i].what, outcome.status, outcome.out.data,
                     outcome.err.data);
        if (strstr(outcome.err.data, "kgen: error: add size=77: the kernel as written, add_generic generic, "
                                     "fails through ") == NULL ||
            strstr(outcome.err.data, cases[i].message) == NULL)
            fail_msg("%s: %s", cases[i].what, outcome.err.data);
        assert_non_null(strstr(outcome.err.data, "nothing written"));
        assert_false(kgen_test_exists("bad/add.c"));
        kgen_test_outcome_free(&outcome);
    }
    /* What failed is not remembered as proven. */
    char line[256];
    snprintf(line, sizeof line, "%s -o bad --json", options);
    kgen_test_expect(line, 1, "\"status\": \"failed\"", NULL);
    kgen_test_expect(line, 1, "\"failed\": 1", NULL);
}

static void one_kernel_is_no_plural(void **state)
{
    (void)state;
    use_compiler("counting-cc");
    kgen_test_put_file("one.json", "{\"problems\": [{\"op\": \"add\", \"size\": 77}]}");
    kgen_test_expect("one.json --isa generic --effort estimate --no-cache -o one", 0,
                     "\n1 kernel proven as written, through ", NULL);
    assert_int_equal(unlink("compilations"), 0);
}

static void a_proof_is_remembered(void **state)
{
    (void)state;
    char line[256];
    use_template(TEMPLATE(""));
    use_compiler("counting-cc");
    snprintf(line, sizeof line, "%s -o good", options);
    kgen_test_expect(line, 0, "2 kernels proven as written, through ", NULL);
    assert_int_equal(compilations(), 1);
    kgen_test_expect(line, 0, "2 kernels proven as written, through ", NULL);
    assert_int_equal(compilations(), 1);
    snprintf(line, sizeof line, "%s -o good --json", options);
    kgen_test_expect(line, 0, "\"from_cache\": 2", NULL);
    assert_int_equal(compilations(), 1);
    /* Another text is another fact. */
    use_template(TEMPLATE("    /* a remark */\n"));
    kgen_test_expect(line, 0, "\"from_cache\": 1", NULL);
    assert_int_equal(compilations(), 2);
    /* So is another compiler. */
    use_compiler("other-cc");
    kgen_test_expect(line, 0, "\"from_cache\": 0", NULL);
    assert_int_equal(compilations(), 3);
}

/* kgen_vector.h is part of what ships, whichever templates it comes from. */
static void the_header_counts(void **state)
{
    (void)state;
    static const char path[] = "t/c/kgen_vector.h.in";
    struct kgen_text header = {0}, changed = {0};
    char line[256];
    assert_int_equal(kgen_file_read(path, 1 << 20, &header, NULL), 0);
    use_template(TEMPLATE(""));
    setenv("CC", "gcc", 1);
    snprintf(line, sizeof line, "%s -o header --json", options);
    kgen_test_expect(line, 0, "\"proven\": 2", NULL);
    kgen_test_expect(line, 0, "\"from_cache\": 2", NULL);
    kgen_text_printf(&changed, "%s/* a remark */\n", header.data);
    kgen_test_put_file(path, changed.data);
    kgen_test_expect(line, 0, "\"from_cache\": 0", NULL);
    kgen_text_clear(&changed);
    kgen_text_printf(&changed, "%s#ifndef __TINYC__\nstatic int no_such_name = other;\n#endif\n",
                     header.data);
    kgen_test_put_file(path, changed.data);
    kgen_test_expect(line, 1, "\"failed\": 1", ": compile_failed: ");
    kgen_test_put_file(path, header.data);
    kgen_text_free(&header);
    kgen_text_free(&changed);
}

static void without_a_compiler_it_says_so(void **state)
{
    (void)state;
    char line[256];
    use_template(TEMPLATE(""));
    use_compiler("/no/such/compiler");
    snprintf(line, sizeof line, "%s -o without", options);
    kgen_test_expect(line, 0, "not proven through cc: no compiler (cannot run /no/such/compiler: ", NULL);
    assert_true(kgen_test_exists("without/add.c"));
    snprintf(line, sizeof line, "%s -o without --json", options);
    kgen_test_expect(line, 0, "\"not_proven\": \"no compiler (cannot run ", NULL);
    /* One that is a compiler of something else is no failure of the kernels. */
    use_compiler("useless-cc");
    snprintf(line, sizeof line, "%s -o without", options);
    kgen_test_expect(line, 0, "not proven through cc: the compiler compiles no generic", NULL);
}

static int set_up(void **state)
{
    (void)state;
    if (kgen_test_command_setup() != 0)
        return -1;
    kgen_test_put_file("two.json", spec_text);
    char command[PATH_MAX + 32];
    snprintf(command, sizeof command, "cp -r '%s/templates' t", kgen_test_source);
    if (system(command) != 0)
        return -1;
    static const struct {
        const char *name, *text;
    } compilers[] = {
        {"counting-cc", "#!/bin/sh\n[ \"$1\" = --version ] || echo 1 >>compilations\nexec gcc \"$@\"\n"},
        {"other-cc", "#!/bin/sh\nif [ \"$1\" = --version ]; then echo 'other 1.0'; exit; fi\n"
                     "echo 1 >>compilations\nexec gcc \"$@\"\n"},
        {"useless-cc", "#!/bin/sh\n[ \"$1\" = --version ] && echo 'useless 1.0'\n"},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(compilers); i++) {
        kgen_test_put_file(compilers[i].name, compilers[i].text);
        if (chmod(compilers[i].name, 0755) != 0)
            return -1;
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return kgen_test_command_teardown();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures_are_told),
        cmocka_unit_test(one_kernel_is_no_plural),
        cmocka_unit_test(a_proof_is_remembered),
        cmocka_unit_test(the_header_counts),
        cmocka_unit_test(without_a_compiler_it_says_so),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
