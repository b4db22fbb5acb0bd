/* SPDX-License-Identifier: MIT */
/* Emission: the tuned kernels of a spec as C sources that need nothing of kgen.
 *
 * For each op of the spec: <op>.h with one function a problem, <op>.c with the choice at run time and the
 * plain C kernels, <op>_<isa>.c with the kernels for each other instruction set, and <op>_kernels.h, which
 * declares them. Beside them kgen_vector.h, tensors.h with names by tensor, sources.mk and sources.cmake,
 * example/ with a program and its Makefile, and kgen.lock, which says what was chosen. Kernels whose text is
 * equal are written once. The text depends on the input alone: no dates, no paths. */
#ifndef KGEN_EMIT_H
#define KGEN_EMIT_H

#include "gen/emit/lock.h"

struct kgen_emit_input {
    const struct kgen_spec *spec;
    const struct kgen_templates *templates;
    /* One for each entry of the spec: the variant tuned for this machine. tmpl is NULL where there is none;
     * then the default variant is written, as for every other instruction set. */
    const struct kgen_variant *tuned;
    /* NULL, or what the names of functions and files begin with, before "_": a part of a C identifier.
     * Without it functions begin with the spec's name, and files with nothing. kgen_vector.h always has this
     * name. */
    const char *prefix;
    const char *command;   /* the command that makes it, without paths of this machine */
    const char *machine;   /* the processor on which tuned was found; NULL where nothing was timed */
    unsigned machine_isas; /* its instruction sets (bits 1 << isa) */
    unsigned isas;         /* the instruction sets to write besides plain C (bits); 0: all */
    /* NULL, or what is written, in place of a choice among the instruction sets: machine_isas and isas do not
     * count then. tuned, machine, quantiser and model are the lock's. */
    const struct kgen_lock *lock;
    bool quantiser; /* also quantise.h and quantise.c, for weights of the scheme affine */
    bool model;     /* also <name>_model.h and <name>_model.c: the step of the model */
};

/* One kernel of the output: a variant's text, shared by all problems for which it is the same. */
struct kgen_emit_kernel {
    struct kgen_text name; /* of its main function */
    struct kgen_text text; /* vector C, as it is written */
    struct kgen_variant variant;
    size_t entry; /* the first entry of the spec that uses it */
    bool tuned;   /* it is the tuned variant of an entry, not a default */
};

/* Every text of an output, made before the first file is written. One thread at a time. The input must stay
 * as it is until kgen_emission_free. */
struct kgen_emission;

/* Makes the texts. Returns NULL and fills error where a template fails, where a problem has no plain C, or
 * when memory runs out. */
struct kgen_emission *kgen_emission_new(const struct kgen_emit_input *input, struct kgen_error *error);
/* NULL is fine. */
void kgen_emission_free(struct kgen_emission *emission);

/* The kernel that an entry of the spec uses with an instruction set, or NULL. */
const struct kgen_emit_kernel *kgen_emission_kernel(const struct kgen_emission *emission, size_t entry,
                                                    enum kgen_isa isa);

/* The text of kgen_vector.h, which every kernel includes. */
const char *kgen_emission_header(const struct kgen_emission *emission);

/* Writes the sources into folder, which it makes: all of them, or none where one cannot be written. Files
 * that would not change are left alone. Files that kgen wrote before and that are no longer among them are
 * removed. Fails with KGEN_ERROR_IO where a file in the way was not written by kgen, unless force is set. */
int kgen_emission_write(const struct kgen_emission *emission, const char *folder, bool force,
                        struct kgen_error *error);

/* How a file of a folder differs from what kgen_emission_write would leave there. */
enum kgen_emit_state {
    KGEN_EMIT_DIFFERS,
    KGEN_EMIT_MISSING,
    KGEN_EMIT_SURPLUS /* it would be removed */
};
struct kgen_emit_difference {
    enum kgen_emit_state state;
    char *name; /* within the folder; owned */
};
struct kgen_emit_differences {
    struct kgen_emit_difference *items; /* owned; by state, then by name */
    size_t count, capacity;
    size_t files; /* of the output */
};

/* Compares a folder with the output; writes nothing. Returns 0 with the differences, or -1 when memory runs
 * out. Free them in either case. */
int kgen_emission_compare(const struct kgen_emission *emission, const char *folder,
                          struct kgen_emit_differences *differences, struct kgen_error *error);
void kgen_emit_differences_free(struct kgen_emit_differences *differences);

/* Appends the path of the lock of an output: "out/qwen/kgen.lock", with a prefix "out/qwen/big_kgen.lock". */
void kgen_emit_lock_path(const char *prefix, const char *folder, struct kgen_text *path);

/* Fails with KGEN_ERROR_USAGE where a prefix cannot begin names: it has at most 60 letters, digits and "_",
 * and begins with a letter. NULL is fine. */
int kgen_emit_check_prefix(const char *prefix, struct kgen_error *error);

/* Fails with KGEN_ERROR_USAGE where a quantiser has nothing to do: no problem has weights that are affine. */
int kgen_emit_check_quantiser(const struct kgen_spec *spec, struct kgen_error *error);

/* Fails with KGEN_ERROR_USAGE where the spec is a list of problems, which has no step, and with
 * KGEN_ERROR_SPEC where a node of its graph cannot run. */
int kgen_emit_check_model(const struct kgen_spec *spec, struct kgen_error *error);

/* Fails like kgen_emission_write where folder holds a file that every output of the spec would replace: to
 * say so before the tuning. quantiser and model are those of the input. A folder that does not exist is fine.
 */
int kgen_emit_check_folder(const struct kgen_spec *spec, const char *prefix, bool quantiser, bool model,
                           const char *folder, struct kgen_error *error);

#endif
