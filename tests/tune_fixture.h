/* SPDX-License-Identifier: MIT */
/* A folder with templates of a test's own, for tests of the tuner. */
#ifndef KGEN_TUNE_FIXTURE_H
#define KGEN_TUNE_FIXTURE_H

#include "gen/template/template.h"
#include "runtime/machine/machine.h"

struct tune_fixture {
    char folder[64];
    struct kgen_templates *templates; /* NULL before the first tune_put_template */
    struct kgen_machine machine;      /* this one */
};

/* Fail the test on an error. Close removes the folder. */
void tune_fixture_open(struct tune_fixture *fixture);
void tune_fixture_close(struct tune_fixture *fixture);

/* Writes the template <name>.c.in, and opens all that were written. */
void tune_put_template(struct tune_fixture *fixture, const char *name, const char *text);

#endif
