/* SPDX-License-Identifier: MIT */
/* Shared by the files of the emission. */
#ifndef KGEN_EMIT_INTERNAL_H
#define KGEN_EMIT_INTERNAL_H

#include "gen/emit/emit.h"

/* A hash in hexadecimal digits. */
#define KGEN_EMIT_HASH_SIZE 17

/* The greatest length of a line of C in the output. */
#define KGEN_EMIT_WIDTH 120

struct kgen_emission {
    struct kgen_emit_input input;
    struct kgen_emit_kernel *kernels; /* owned */
    size_t count;
    struct kgen_variant *chosen; /* owned; KGEN_ISA_COUNT an entry; tmpl NULL: none */
    size_t *of_entry;            /* owned; KGEN_ISA_COUNT an entry: index of the kernel plus one; 0: none */
    struct kgen_emit_files *files;
};

/* files.c: what the names of functions begin with, before "_". */
const char *kgen_emit_identifier(const struct kgen_emit_input *input);
/* Appends the name of a file that has no folder. */
void kgen_emit_file_name(const char *prefix, const char *name, const char *suffix, struct kgen_text *text);
/* Whether the spec has a problem of an op. */
bool kgen_emit_has_op(const struct kgen_emit_input *input, const struct kgen_op *op);

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

/* tensors.c: adds tensors.h where the spec names tensors. */
int kgen_emit_tensors(const struct kgen_emission *emission, struct kgen_error *error);

/* quantiser.c: adds quantise.h and quantise.c where the input wants them. */
int kgen_emit_quantiser(const struct kgen_emission *emission, struct kgen_error *error);
/* Whether there is a function that quantises the weights of an entry: <its function>_quantise. */
bool kgen_emit_quantises(const struct kgen_emit_input *input, size_t entry);

/* model.c: adds <name>_model.h and <name>_model.c where the input wants them. */
int kgen_emit_model(const struct kgen_emission *emission, struct kgen_error *error);
/* Adds a file that a template makes, with the usual comment above. file_name has the prefix already. */
int kgen_emit_add_made(const struct kgen_emission *emission, const char *tmpl_name, const char *file_name,
                       const char *ending, const struct kgen_bindings *bindings, struct kgen_error *error);

/* lists.c: adds sources.mk and sources.cmake, with the sources that were added before. */
int kgen_emit_lists(const struct kgen_emission *emission, struct kgen_error *error);

/* lock_write.c: adds kgen.lock. */
int kgen_emit_lock(const struct kgen_emission *emission, struct kgen_error *error);
/* Writes the hash of the text of kgen_vector.h without its first comment, as a lock has it. */
int kgen_emit_header_hash(const struct kgen_templates *templates, char hash[KGEN_EMIT_HASH_SIZE],
                          struct kgen_error *error);

/* example.c: adds example/main.c and example/Makefile. */
int kgen_emit_example(const struct kgen_emission *emission, struct kgen_error *error);

/* files.c */
struct kgen_emit_file {
    struct kgen_text name; /* may lie in a folder: "example/main.c" */
    struct kgen_text text;
};
struct kgen_emit_files {
    struct kgen_emit_file *items; /* owned, as the texts are */
    size_t count, capacity;
    const char *prefix; /* of the input; NULL: none. Files of other prefixes are left alone */
};
/* Adds an empty file called name followed by suffix, behind the prefix of the input (NULL: none), and returns
 * its text, which is valid until the next is added. NULL when memory runs out. */
struct kgen_text *kgen_emit_add(struct kgen_emit_files *files, const struct kgen_emit_input *input,
                                const char *name, const char *suffix, struct kgen_error *error);
void kgen_emit_free_files(struct kgen_emit_files *files);

/* Whether there is a file of that name. */
bool kgen_emit_has_file(const struct kgen_emit_files *files, const char *name);

/* folder.c: puts all files into the folder, or none, and removes those that an earlier run wrote and this one
 * does not. Fails where a file that kgen did not write is in the way, unless force is set. */
int kgen_emit_write_files(const struct kgen_emit_files *files, const char *folder, bool force,
                          struct kgen_error *error);

/* Calls action with the name, within the output, of each file of the folder that an earlier run with the same
 * prefix wrote and this one does not. Returns -1 when memory ran out or an action returned it. */
typedef int kgen_emit_stale_action(void *context, const char *folder, const char *name);
int kgen_emit_each_stale(const struct kgen_emit_files *files, const char *folder,
                         kgen_emit_stale_action *action, void *context);

/* The first comment of every file begins with this, then comes the version, and where there is one the
 * prefix. */
#define KGEN_EMIT_MARK "Generated by kgen "
#define KGEN_EMIT_PREFIX_MARK " with the prefix "
/* How a lock begins, which is JSON and has no comments. */
#define KGEN_EMIT_LOCK_OPENING "{\"about\": \""
/* Appends that beginning without the opening of a comment. */
void kgen_emit_put_mark(const struct kgen_emit_input *input, struct kgen_text *text);
/* The first line of files that are not C. opening begins a comment. */
void kgen_emit_mark(const struct kgen_emit_input *input, const char *opening, struct kgen_text *text);
/* The comment at the top of each file of C. */
void kgen_emit_preamble(const struct kgen_emit_input *input, struct kgen_text *text);

static inline int kgen_emit_fail_memory(struct kgen_error *error)
{
    return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory");
}

#endif
