/* SPDX-License-Identifier: MIT */
/* Targets: the languages kernels are written in. target.c has a row for each; to add one is to add a row, a
 * folder of templates, and the engines that compile it. */
#ifndef KGEN_TARGET_H
#define KGEN_TARGET_H

#include "gen/template/template.h"

struct kgen_target {
    const char *name;          /* as in `--target`; its templates lie in templates/<name>/ */
    const char *summary;       /* a phrase for people */
    const char *source_ending; /* of emitted kernels: ".c" */
    const char *header_ending; /* of emitted declarations; NULL where there are none */
    const char *support;       /* the template of the header that its kernels include: "kgen_vector" */
    unsigned isas;             /* the instruction sets its templates may name, bits 1 << isa */
    const char *engines;       /* the names of the engines that compile it, separated by blanks; the first is
                                  the default */
    /* For an engine that compiles in memory and reads no header. Both as in lower.h. */
    const char *(*prelude)(void);
    int (*lower)(const char *source, const char *text, enum kgen_isa isa, struct kgen_text *out,
                 struct kgen_error *error);
    /* Counts the instructions of a kernel as kgen_lower_count does. */
    int (*count)(const char *source, const char *text, enum kgen_isa isa, int64_t range, double *instructions,
                 struct kgen_error *error);
};

/* In a fixed order, the default first; NULL past the last. */
const struct kgen_target *kgen_target_at(size_t index);
/* NULL for an unknown name. Then error, which may be NULL, is set to KGEN_ERROR_USAGE, with the nearest name
 * as a hint. */
const struct kgen_target *kgen_target_find(const char *name, struct kgen_error *error);
/* The target that has an instruction set; each belongs to one. */
const struct kgen_target *kgen_target_of_isa(enum kgen_isa isa);
/* Whether the engine of that name compiles the target's kernels for the instruction set. */
bool kgen_target_has_engine(const struct kgen_target *target, const char *engine, enum kgen_isa isa);

/* Appends the text of the target's support header, from a set of its templates. NULL: from those built in. */
int kgen_target_put_support(const struct kgen_target *target, const struct kgen_templates *templates,
                            struct kgen_text *out, struct kgen_error *error);

#endif
