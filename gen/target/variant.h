/* SPDX-License-Identifier: MIT */
/* A variant: a template with every parameter fixed, for one instruction set. */
#ifndef KGEN_VARIANT_H
#define KGEN_VARIANT_H

#include "gen/template/template.h"

struct kgen_variant {
    const struct kgen_template *tmpl; /* borrowed from its set */
    enum kgen_isa isa;
    int64_t values[KGEN_PARAM_MAX]; /* in the order of the template's parameters */
    unsigned unused;                /* a bit (1 << index) for each parameter that makes no difference here */
};

struct kgen_variants {
    struct kgen_variant *items; /* owned */
    size_t count;
};

/* Lists every variant that solves the problem with the instruction sets of isas (bits 1 << isa), in a fixed
 * order: by isa from the widest, template name, then parameters with the defaults first. None is no error:
 * count is 0. The problem has passed kgen_problem_check. Fails with KGEN_ERROR_TEMPLATE where a $require
 * cannot be evaluated. */
int kgen_variants_list(const struct kgen_templates *templates, const struct kgen_problem *problem,
                       unsigned isas, struct kgen_variants *variants, struct kgen_error *error);
/* The same of one template only, which is of the problem's op. */
int kgen_variants_of_template(const struct kgen_template *tmpl, const struct kgen_problem *problem,
                              unsigned isas, struct kgen_variants *variants, struct kgen_error *error);
void kgen_variants_free(struct kgen_variants *variants);

/* Binds what a template sees of an instruction set: isa, the names of all, vector_bytes, lanes, registers. */
void kgen_bind_isa(struct kgen_bindings *bindings, enum kgen_isa isa);

/* Appends the vector C of the variant. Its main function is called function, the others function_prepare and
 * so on. */
int kgen_variant_text(const struct kgen_variant *variant, const struct kgen_problem *problem,
                      const char *function, struct kgen_text *out, struct kgen_error *error);

/* The same, and says where each line comes from; see kgen_template_instantiate_lines. */
int kgen_variant_text_lines(const struct kgen_variant *variant, const struct kgen_problem *problem,
                            const char *function, struct kgen_text *out, struct kgen_line_map *lines,
                            struct kgen_error *error);

/* The same text without lines, followed by the functions that kgen_signature_calls describes: what is
 * compiled to be called. */
int kgen_variant_callable_text(const struct kgen_variant *variant, const struct kgen_problem *problem,
                               const char *function, struct kgen_text *out, struct kgen_error *error);
/* Says why the variant is no candidate for the problem: the reason of the first $require line that does not
 * hold, or of a parameter. Returns 1 where it is one; 0 where it is not, with the reason appended; -1 on an
 * error. */
int kgen_variant_check(const struct kgen_variant *variant, const struct kgen_problem *problem,
                       struct kgen_text *reason, struct kgen_error *error);

/* Counts the instructions that one call executes, prepare included: see kgen_lower_count. range is of the
 * problem: its rows, heads or elements. */
int kgen_variant_count(const struct kgen_variant *variant, const struct kgen_problem *problem, int64_t range,
                       double *instructions, struct kgen_error *error);

/* Appends "qmv_i8 avx512 rows=4 prefetch=512". */
void kgen_variant_name(const struct kgen_variant *variant, struct kgen_text *out);

/* Of all that decides its code apart from the problem: template text, isa, parameters, KGEN_VERSION. */
uint64_t kgen_variant_hash(const struct kgen_variant *variant);

#endif
