/* SPDX-License-Identifier: MIT */
/* A small problem of each op, for help and documents. */
#ifndef KGEN_EXAMPLE_H
#define KGEN_EXAMPLE_H

#include "gen/ops/problem.h"

/* Makes a small problem of the op that passes kgen_problem_check: its required fields have small sizes, the
 * others their defaults. Returns 0, or -1 where no small sizes fit. */
int kgen_problem_example(const struct kgen_op *op, struct kgen_problem *problem);

/* Appends the JSON text of a problem as a person writes it: the op and its required fields. */
void kgen_problem_write_required(const struct kgen_problem *problem, struct kgen_text *text);

#endif
