/* SPDX-License-Identifier: MIT */
/* What the tests share that prove many variants of many problems. */
#ifndef SHAPES_H
#define SHAPES_H

#include "gen/spec/spec.h"
#include "gen/target/variant.h"
#include "runtime/prove/verify.h"

/* Appends a problem to a list of them, after a comma where there is one before. */
void shapes_add(struct kgen_text *list, const char *format, ...) KGEN_PRINTF(2, 3);
/* Reads a list of problems as a spec; fails the test where it is not valid. */
struct kgen_spec *shapes_spec(const struct kgen_text *list);

/* Skips the test, and says so, where this machine lacks the instruction set. */
void shapes_need(enum kgen_isa isa);

/* The verdict on a job of a worker whose result is a struct kgen_verification. */
struct kgen_verification shapes_verdict(const struct kgen_outcome *outcome, const void *result);
/* Fails the test, and names the problem, the variant and the seed. */
void shapes_fail(const struct kgen_problem *problem, const struct kgen_variant *variant, const char *compiler,
                 unsigned seed, const struct kgen_verification *result);

#endif
