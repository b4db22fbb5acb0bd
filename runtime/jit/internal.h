/* SPDX-License-Identifier: MIT */
/* Shared by the engines. */
#ifndef KGEN_JIT_INTERNAL_H
#define KGEN_JIT_INTERNAL_H

#include "runtime/jit/jit.h"

struct kgen_code {
    enum kgen_engine engine;
    void *handle; /* TCCState, or what dlopen gave */
    void *memory; /* pages of TinyCC's code that the struct owns; NULL: TinyCC or the caller owns them */
    size_t size;
};

/* Appends a #line directive, so that compilers report lines of source. */
void kgen_jit_put_line(struct kgen_text *out, const char *source);

/* area NULL: the code lies in memory of its own. */
int kgen_jit_tcc(struct kgen_code *code, const char *source, const char *vector_c, enum kgen_isa isa,
                 struct kgen_code_area *area, struct kgen_error *error);
void *kgen_jit_tcc_symbol(const struct kgen_code *code, const char *name);
void kgen_jit_tcc_free(struct kgen_code *code);
/* Runs libtcc in a worker process. */
int kgen_jit_tcc_describe(struct kgen_text *out, struct kgen_error *error);

int kgen_jit_cc(struct kgen_code *code, const char *source, const char *vector_c, enum kgen_isa isa,
                const struct kgen_cc_options *options, struct kgen_error *error);
int kgen_jit_cc_describe(const struct kgen_cc_options *options, struct kgen_text *out,
                         struct kgen_error *error);

#endif
