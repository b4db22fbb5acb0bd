/* SPDX-License-Identifier: MIT */
/* What the tests of the template language share. */
#ifndef KGEN_TEMPLATE_FIXTURE_H
#define KGEN_TEMPLATE_FIXTURE_H

#include "gen/template/embedded.h"

#define HEAD "$template t \"A template.\"\n"

/* N 4, group_size 64, big INT64_MAX, scheme 7 and the word affine, function "kernel", table of "0.5" and
 * "0.25". */
extern struct kgen_bindings kgen_test_template_bindings;
/* For cmocka. */
int kgen_test_template_setup(void **state);
int kgen_test_template_teardown(void **state);

/* A set of t.c.in, and a.inc and b.inc where they are not NULL. */
struct kgen_templates *kgen_test_template_open(const char *text, const char *a, const char *b,
                                               struct kgen_error *error);
/* The text of t.c.in for the bindings. */
int kgen_test_template_instantiate(const char *text, const char *a, const char *b, struct kgen_text *out,
                                   struct kgen_error *error);

#endif
