/* SPDX-License-Identifier: MIT */
/* Errors of what reads the text of a variant, a compiler or the lowering, at their places in the template. */
#ifndef KGEN_PLACE_H
#define KGEN_PLACE_H

#include "gen/target/variant.h"

/* found is an error whose line, from 1, is one of the text that kgen_variant_text gives for function; line 0:
 * of none. Sets error (which may be NULL) to it, at the file and line of the template, or of what it
 * includes, that this line comes from; the message begins with the line of the text. Behind the last line of
 * the text stand the functions of kgen_variant_callable_text, which belong to no template: an error there is
 * one of the whole template. Returns -1. */
int kgen_place_error(const struct kgen_variant *variant, const struct kgen_problem *problem,
                     const char *function, const struct kgen_error *found, struct kgen_error *error);

#endif
