/* SPDX-License-Identifier: MIT */
/* The lowering: vector C becomes C that TinyCC compiles, each vector statement an asm statement of encoded
 * bytes. templates/README.md describes vector C.
 *
 * A vector variable owns one register from its declaration to the end of its scope; there is no spilling. */
#ifndef KGEN_LOWER_H
#define KGEN_LOWER_H

#include "gen/base/isa.h"

/* The version of the code that the lowering makes; part of every cache key. Raise it when that code changes.
 */
#define KGEN_LOWER_VERSION 2

/* Appends the lowered text to out, in the encoding of the instruction set; text whose encoding is
 * KGEN_ENCODING_VERBATIM is copied. The result includes nothing and needs the prelude of kgen_lower_prelude
 * before it. Errors: KGEN_ERROR_USAGE for an instruction set without a lowering, KGEN_ERROR_TEMPLATE with
 * source:line:column for text that is not vector C, KGEN_ERROR_CANDIDATE where it needs more registers than
 * there are. */
int kgen_lower(const char *source, const char *vector_c, enum kgen_isa isa, struct kgen_text *out,
               struct kgen_error *error);

/* Counts the instructions that the text executes when each of its functions is called once, over range rows
 * or elements: those of the vector statements exactly, those of the C around them, as TinyCC compiles it, by
 * rule of thumb. Loops count as often as literal bounds say; a loop up to a variable (`row + 2 <= row_end`)
 * runs through the range, or what earlier ones of its function have left of it; a function of the text counts
 * where a statement calls it; all other code counts once.
 * Costs a fraction of compiling. Errors as kgen_lower; text without vector statements is counted by its C
 * alone. */
int kgen_lower_count(const char *source, const char *vector_c, enum kgen_isa isa, int64_t range,
                     double *instructions, struct kgen_error *error);

/* The C declarations that lowered text needs: fixed-width types, NULL, KV_TARGET, scalar conversions.
 * Constant. */
const char *kgen_lower_prelude(void);

#endif
