/* SPDX-License-Identifier: MIT */
/* Compiles vector C to code in memory: with TinyCC, or with the system's compiler through a shared object. */
#ifndef KGEN_JIT_H
#define KGEN_JIT_H

#include "gen/base/isa.h"

enum kgen_engine { KGEN_ENGINE_TCC, KGEN_ENGINE_CC };

/* Settings of the cc engine. NULL members take the default. */
struct kgen_cc_options {
    const char *compiler; /* default: $CC, else "cc" */
    const char *flags;    /* default: "-O3 -march=native" */
    /* Keeps shared objects under the hash of their text, command and machine; default: none are kept. A
     * folder or file that other users may write is refused with KGEN_ERROR_IO. */
    const char *folder;
    const char *machine; /* the identity of the machine (machine.h); default: it is detected */
    const char *header;  /* the text of kgen_vector.h; default: that of the templates in the binary */
};

/* A compiled piece of code and its memory. */
struct kgen_code;

/* Lowers and compiles vector C text. source names it in errors. options may be NULL and matters to the cc
 * engine only. The TinyCC engine lowers the text first; it may call exit() on internal errors and only one
 * compilation may run at a time in a process, so call it in a worker process (worker.h). Returns NULL and
 * fills error on failure; otherwise the caller frees it. */
struct kgen_code *kgen_jit_compile(enum kgen_engine engine, const char *source, const char *vector_c,
                                   enum kgen_isa isa, const struct kgen_cc_options *options,
                                   struct kgen_error *error);

/* Address space that is enough for the code of any kernel. */
#define KGEN_CODE_AREA_BYTES ((size_t)512 << 10)

/* Memory of the caller's for code: whole pages, readable and writable. */
struct kgen_code_area {
    void *memory;
    size_t size;
    size_t used; /* set to the bytes that the code takes */
};
/* As kgen_jit_compile with TinyCC, but the code lies in area, and stays there after kgen_code_free. On
 * success the pages that it takes are readable and executable, and no longer writable, in the calling
 * process. */
struct kgen_code *kgen_jit_compile_into(struct kgen_code_area *area, const char *source, const char *vector_c,
                                        enum kgen_isa isa, struct kgen_error *error);
/* As kgen_jit_compile with TinyCC, but neither the code nor its data can be written: any kernel is so. */
struct kgen_code *kgen_jit_compile_read_only(const char *source, const char *vector_c, enum kgen_isa isa,
                                             struct kgen_error *error);
/* The address of a function or object, or NULL. */
void *kgen_code_symbol(const struct kgen_code *code, const char *name);
/* NULL is fine. */
void kgen_code_free(struct kgen_code *code);

const char *kgen_engine_name(enum kgen_engine engine);
int kgen_engine_parse(const char *name, enum kgen_engine *engine);
/* The engine with its version and flags, as part of a cache key: "tcc 0.9.27 lowering 1", "cc (Debian 12.2.0)
 * -O3 -march=native". */
int kgen_engine_describe(enum kgen_engine engine, const struct kgen_cc_options *options,
                         struct kgen_text *out, struct kgen_error *error);

#endif
