/* SPDX-License-Identifier: MIT */
/* make install, and a program that uses what it put there. tests/install.sh does the work. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model_fixture.h"

#define SEED UINT64_C(77)

static void test_install(void **state)
{
    const struct api_fixture *fixture = *state;
    if (system("command -v pkg-config >/dev/null && command -v nm >/dev/null") != 0) {
        print_message("skipped: there is no pkg-config or no nm\n");
        skip();
    }
    char command[256];
    model_write(fixture, "model.gguf", &model_shape, SEED);
    snprintf(command, sizeof command, "sh tests/install.sh %s", fixture->folder);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_install, api_setup, api_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
