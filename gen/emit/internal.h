/* SPDX-License-Identifier: MIT */
/* Shared by the files of the emission. */
#ifndef KGEN_EMIT_INTERNAL_H
#define KGEN_EMIT_INTERNAL_H

#include "gen/emit/emit.h"

/* The greatest length of a line of C in the output. */
#define KGEN_EMIT_WIDTH 120

struct kgen_emission {
    struct kgen_emit_input input;
    struct kgen_emit_kernel *kernels; /* owned */
    size_t count;
    size_t *of_entry; /* owned; KGEN_ISA_COUNT an entry: index of the kernel plus one; 0: none */
    struct kgen_emit_files *files;
};

/* kernels.c: chooses the variants, makes their texts, finds those that are equal, and names them. */
int kgen_emit_make_kernels(struct kgen_emission *emission, struct kgen_error *error);
/* The first entry whose kernels are the same as those of this one: often the entry itself. */
size_t kgen_emit_same_kernels(const struct kgen_emission *emission, size_t entry);
/* Appends the name of the public function of an entry. */
void kgen_emit_function_name(const struct kgen_emit_input *input, size_t entry, struct kgen_text *text);

/* parts.c: the C functions of a problem, in the order in which they are called. */
struct kgen_emit_part {
    const char *result;          /* "void" or "size_t" */
    const char *suffix;          /* of the function's name: "_workspace_size", "_prepare", "" */
    struct kgen_text parameters; /* "const float *x, void *workspace" */
    struct kgen_text arguments;  /* the same names, to pass on */
};
struct kgen_emit_parts {
    struct kgen_emit_part items[5];
    size_t count;
};
/* Returns 0, or -1 when memory ran out. Free the parts in either case. */
int kgen_emit_parts_make(const struct kgen_problem *problem, struct kgen_emit_parts *parts);
void kgen_emit_parts_free(struct kgen_emit_parts *parts);

/* dispatch.c: appends the public functions of an entry, which call the kernel for the machine. */
void kgen_emit_dispatch(const struct kgen_emission *emission, size_t entry, struct kgen_text *text);

/* sources.c: adds the files of one op, where the spec has any of its problems. */
int kgen_emit_sources(const struct kgen_emission *emission, const struct kgen_op *op,
                      struct kgen_error *error);

/* layout.c: appends C text with its lines broken at KGEN_EMIT_WIDTH columns, each function's parameters
 * aligned, and without "+ 0". The meaning stays the same. */
void kgen_emit_lay_out(const char *text, size_t length, struct kgen_text *out);

/* example.c: adds main.c and Makefile. */
int kgen_emit_example(const struct kgen_emission *emission, struct kgen_error *error);

/* files.c */
struct kgen_emit_file {
    struct kgen_text name;
    struct kgen_text text;
};
struct kgen_emit_files {
    struct kgen_emit_file *items; /* owned, as the texts are */
    size_t count, capacity;
};
/* Adds an empty file called name followed by suffix, and returns its text, which is valid until the next is
 * added. NULL when memory runs out. */
struct kgen_text *kgen_emit_add(struct kgen_emit_files *files, const char *name, const char *suffix,
                                struct kgen_error *error);
int kgen_emit_write_files(const struct kgen_emit_files *files, const char *folder, struct kgen_error *error);
/* Removes a file of the folder where an earlier run of kgen wrote it. */
void kgen_emit_remove_stale(const char *folder, const char *name);
void kgen_emit_free_files(struct kgen_emit_files *files);

/* The comment at the top of each file. */
void kgen_emit_preamble(const struct kgen_emit_input *input, struct kgen_text *text);

static inline int kgen_emit_fail_memory(struct kgen_error *error)
{
    return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
}

#endif
