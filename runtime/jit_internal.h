/* SPDX-License-Identifier: MIT */
/* What the engines share. */
#ifndef KGEN_JIT_INTERNAL_H
#define KGEN_JIT_INTERNAL_H

#include "jit.h"

struct kgen_code {
    enum kgen_engine engine;
    void *handle; /* TCCState, or what dlopen gave */
};

int kgen_jit_tcc(struct kgen_code *code, const char *source, const char *vector_c, enum kgen_isa isa,
                 struct kgen_error *error);
void *kgen_jit_tcc_symbol(const struct kgen_code *code, const char *name);
void kgen_jit_tcc_free(struct kgen_code *code);

int kgen_jit_cc(struct kgen_code *code, const char *source, const char *vector_c, enum kgen_isa isa,
                const struct kgen_cc_options *options, struct kgen_error *error);
int kgen_jit_cc_describe(const struct kgen_cc_options *options, struct kgen_text *out,
                         struct kgen_error *error);

#endif
