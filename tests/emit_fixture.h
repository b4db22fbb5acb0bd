/* SPDX-License-Identifier: MIT */
/* What the tests of the emission share: a small spec, winners for it, and what is made of them; in a folder
 * of command_fixture.h. */
#ifndef KGEN_EMIT_FIXTURE_H
#define KGEN_EMIT_FIXTURE_H

#include "command_fixture.h"
#include "gen/emit/internal.h"

enum { X86 = 1u << KGEN_ISA_AVX512 | 1u << KGEN_ISA_AVX2 | 1u << KGEN_ISA_GENERIC };

/* Three matrices of which two rows have the same form, and one that has another; two of another op. */
extern const char emit_spec_text[];
extern struct kgen_templates *emit_templates;
extern struct kgen_spec *emit_spec; /* of that text; a test may put another one in its place for a while */

/* For the group's setup and teardown. */
int emit_set_up(void **state);
int emit_tear_down(void **state);

/* Fails the test where there is an error. */
void emit_check(const struct kgen_error *error);
/* A variant of an entry by its number. */
struct kgen_variant emit_variant(size_t entry, enum kgen_isa isa, size_t number);
/* Every problem's winner is a variant of this instruction set, for qmv number and for add the first. */
void emit_tune(struct kgen_variant *tuned, enum kgen_isa isa, size_t number);
struct kgen_emission *emit_prefixed(const char *prefix, const struct kgen_variant *tuned,
                                    unsigned machine_isas, unsigned isas);
struct kgen_emission *emit_new(const struct kgen_variant *tuned, unsigned machine_isas, unsigned isas);
/* The text of a file, or NULL where there is none of that name. */
const char *emit_file(const struct kgen_emission *emission, const char *name);

#endif
