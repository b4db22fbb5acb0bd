/* SPDX-License-Identifier: MIT */
/* The templates that travel inside the library. gen/template/embed/embed.c writes the table at build time. */
#ifndef KGEN_TEMPLATE_EMBEDDED_H
#define KGEN_TEMPLATE_EMBEDDED_H

#include "gen/template/template.h"

struct kgen_embedded_file {
    const char *path; /* "c/qmv_f32.c.in" */
    const char *text;
    size_t length;
};

/* Ends with an entry whose path is NULL. */
extern const struct kgen_embedded_file kgen_embedded_files[];

/* kgen_templates_open for another table that ends in the same way; for tests and fuzzing. The texts are
 * copied. */
struct kgen_templates *kgen_templates_open_table(const struct kgen_embedded_file *files, const char *target,
                                                 struct kgen_error *error);

#endif
