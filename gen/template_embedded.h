/* SPDX-License-Identifier: MIT */
/* The templates that travel inside the library. gen/embed/embed.c writes the table at build time. */
#ifndef KGEN_TEMPLATE_EMBEDDED_H
#define KGEN_TEMPLATE_EMBEDDED_H

#include <stddef.h>

struct kgen_embedded_file {
    const char *path; /* "c/qmv_f32.c.in" */
    const char *text;
    size_t length;
};

/* Ends with an entry whose path is NULL. */
extern const struct kgen_embedded_file kgen_embedded_files[];

#endif
