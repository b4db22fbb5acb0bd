/* SPDX-License-Identifier: MIT */
/* README.md's project in C++ and CMake that takes an output as its own. tests/vendor.sh does the work. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "command_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

static void test_readme(void **state)
{
    (void)state;
    enum { NO_CMAKE = 77 };
    struct kgen_text command = {0};
    kgen_text_printf(&command, "cd %s && sh tests/vendor.sh %s %s", kgen_test_source, kgen_test_binary,
                     kgen_test_folder);
    assert_false(command.failed);
    const int status = system(command.data);
    kgen_text_free(&command);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == NO_CMAKE) {
        print_message("skipped: there is no cmake or no c++\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
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
        cmocka_unit_test(test_readme),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
