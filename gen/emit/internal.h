/* SPDX-License-Identifier: MIT */
/* Shared by the files of the emission. */
#ifndef KGEN_EMIT_INTERNAL_H
#define KGEN_EMIT_INTERNAL_H

#include "gen/emit/emit.h"

struct kgen_emit_file {
    struct kgen_text name;
    struct kgen_text text;
};

/* Room for five files an op, and the support header, main.c and Makefile. */
struct kgen_emit_files {
    struct kgen_emit_file items[5 * KGEN_OP_COUNT + 3];
    size_t count;
};

/* Adds an empty file called name followed by suffix. Never NULL within the room above. */
struct kgen_emit_file *kgen_emit_add(struct kgen_emit_files *files, const char *name, const char *suffix);

/* The comment at the top of each file. */
void kgen_emit_preamble(const struct kgen_emit_input *input, struct kgen_text *text);

/* The name of the function that solves an entry of the spec. */
void kgen_emit_function_name(const struct kgen_emit_input *input, size_t entry, struct kgen_text *text);

/* Adds main.c and Makefile. */
int kgen_emit_example(const struct kgen_emit_input *input, struct kgen_emit_files *files,
                      struct kgen_error *error);

#endif
