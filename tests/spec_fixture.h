/* SPDX-License-Identifier: MIT */
/* What the tests of accepted specs share. */
#ifndef SPEC_FIXTURE_H
#define SPEC_FIXTURE_H

#include "gen/spec/spec.h"

/* Parses a text as dir/Test-1.json, or reads a file; fails the test where kgen refuses it. */
struct kgen_spec *spec_parse(const char *text, const struct kgen_spec_options *options);
struct kgen_spec *spec_read(const char *path, const struct kgen_spec_options *options);

/* An entry as a table has it: the name of its problem, its calls and its tensors. */
struct spec_expected {
    const char *name;
    int64_t calls;
    const char *tensors;
};

/* Compares all entries of a spec. */
void spec_compare(const struct kgen_spec *spec, const struct spec_expected *expected, size_t count);
/* Compares those entries whose problem is of an op, in order, and frees the spec. */
void spec_compare_op(struct kgen_spec *spec, const struct kgen_op *op, const struct spec_expected *expected,
                     size_t count);
/* Whether one of the spec's warnings has that part. */
bool spec_warns(const struct kgen_spec *spec, const char *part);

#endif
