/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* mkdtemp */
#include "tune_fixture.h"

#include "gen/base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void tune_fixture_open(struct tune_fixture *fixture)
{
    *fixture = (struct tune_fixture){.folder = "/tmp/kgen-tune-XXXXXX"};
    assert_non_null(mkdtemp(fixture->folder));
    kgen_machine_detect(&fixture->machine);
}

void tune_fixture_close(struct tune_fixture *fixture)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", fixture->folder);
    kgen_templates_free(fixture->templates);
    assert_int_equal(system(command), 0);
}

void tune_put_template(struct tune_fixture *fixture, const char *name, const char *text)
{
    struct kgen_text path = {0};
    struct kgen_error error = {0};
    kgen_text_printf(&path, "%s/templates/c", fixture->folder);
    assert_int_equal(kgen_folder_make(path.data, NULL), 0);
    kgen_text_printf(&path, "/%s.c.in", name);
    assert_int_equal(kgen_file_write(path.data, text, strlen(text), NULL), 0);
    kgen_text_clear(&path);
    kgen_text_printf(&path, "%s/templates", fixture->folder);
    kgen_templates_free(fixture->templates);
    fixture->templates = kgen_templates_open(path.data, "c", &error);
    if (fixture->templates == NULL)
        fail_msg("%s:%d: %s", error.source, error.line, error.message);
    kgen_text_free(&path);
}
