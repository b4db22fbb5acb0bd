/* SPDX-License-Identifier: MIT */
/* Emission: the tuned kernels of a spec as C sources that need nothing of kgen.
 *
 * For each op of the spec: <op>.h with one function a problem, <op>.c with the choice at run time and the
 * plain C variants, and <op>_avx512.c, <op>_avx2.c, <op>_neon.c with the variants for those instruction sets.
 * Beside them kgen_vector.h, an example main.c and a Makefile. The text depends on the input alone: no dates,
 * no paths. */
#ifndef KGEN_EMIT_H
#define KGEN_EMIT_H

#include "gen/spec/spec.h"
#include "gen/target/variant.h"

struct kgen_emit_input {
    const struct kgen_spec *spec;
    const struct kgen_templates *templates;
    /* One for each entry of the spec: the variant tuned for this machine. tmpl is NULL where there is none;
     * the default variant then stands in, as it does for every other instruction set. */
    const struct kgen_variant *tuned;
    const char *command; /* the command that makes it, without paths of this machine */
    const char
        *machine; /* the processor on which tuned was found to be the fastest; NULL where nothing was timed */
};

/* Writes the sources into folder, which it makes. Files that would not change are left alone. Every text is
 * made before the first file is written, so that an error in a template leaves the folder as it was. */
int kgen_emit(const struct kgen_emit_input *input, const char *folder, struct kgen_error *error);

#endif
