/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS, MAP_NORESERVE */
#include "gen/base/strings.h"
#include "runtime/jit/internal.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *const engine_names[] = {[KGEN_ENGINE_TCC] = "tcc", [KGEN_ENGINE_CC] = "cc"};

const char *kgen_engine_name(enum kgen_engine engine)
{
    return engine_names[engine];
}

int kgen_engine_parse(const char *name, enum kgen_engine *engine)
{
    const int found = kgen_string_find(engine_names, KGEN_COUNT_OF(engine_names), name);
    if (found >= 0)
        *engine = (enum kgen_engine)found;
    return found >= 0 ? 0 : -1;
}

int kgen_engine_describe(enum kgen_engine engine, const struct kgen_cc_options *options,
                         struct kgen_text *out, struct kgen_error *error)
{
    return engine == KGEN_ENGINE_TCC ? kgen_jit_tcc_describe(out, error)
                                     : kgen_jit_cc_describe(options, out, error);
}

void kgen_jit_put_line(struct kgen_text *out, const char *source)
{
    kgen_text_puts(out, "#line 1 \"");
    for (; *source != '\0'; source++) {
        bool plain = *source != '"' && *source != '\\' && (unsigned char)*source >= ' ';
        kgen_text_append(out, plain ? source : "_", 1);
    }
    kgen_text_puts(out, "\"\n");
}

static struct kgen_code *compile(enum kgen_engine engine, const char *source, const char *vector_c,
                                 enum kgen_isa isa, const struct kgen_cc_options *options,
                                 struct kgen_code_area *area, struct kgen_error *error)
{
    struct kgen_code *code = calloc(1, sizeof *code);
    if (code == NULL) {
        kgen_error_set(error, KGEN_ERROR_MEMORY, source, 0, 0, "out of memory");
        return NULL;
    }
    code->engine = engine;
    int result = engine == KGEN_ENGINE_TCC ? kgen_jit_tcc(code, source, vector_c, isa, area, error)
                                           : kgen_jit_cc(code, source, vector_c, isa, options, error);
    if (result != 0) {
        free(code);
        return NULL;
    }
    return code;
}

struct kgen_code *kgen_jit_compile(enum kgen_engine engine, const char *source, const char *vector_c,
                                   enum kgen_isa isa, const struct kgen_cc_options *options,
                                   struct kgen_error *error)
{
    return compile(engine, source, vector_c, isa, options, NULL, error);
}

struct kgen_code *kgen_jit_compile_into(struct kgen_code_area *area, const char *source, const char *vector_c,
                                        enum kgen_isa isa, struct kgen_error *error)
{
    return compile(KGEN_ENGINE_TCC, source, vector_c, isa, NULL, area, error);
}

struct kgen_code *kgen_jit_compile_read_only(const char *source, const char *vector_c, enum kgen_isa isa,
                                             struct kgen_error *error)
{
    void *memory = mmap(NULL, KGEN_CODE_AREA_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        kgen_error_set(error, KGEN_ERROR_MEMORY, source, 0, 0, "out of memory for code");
        return NULL;
    }
    struct kgen_code_area area = {memory, KGEN_CODE_AREA_BYTES, 0};
    struct kgen_code *code = kgen_jit_compile_into(&area, source, vector_c, isa, error);
    if (code == NULL) {
        munmap(memory, KGEN_CODE_AREA_BYTES);
        return NULL;
    }
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    code->memory = memory;
    code->size = (area.used + page - 1) / page * page;
    munmap((char *)memory + code->size, KGEN_CODE_AREA_BYTES - code->size);
    return code;
}

void *kgen_code_symbol(const struct kgen_code *code, const char *name)
{
    return code->engine == KGEN_ENGINE_TCC ? kgen_jit_tcc_symbol(code, name) : dlsym(code->handle, name);
}

void kgen_code_free(struct kgen_code *code)
{
    if (code == NULL)
        return;
    if (code->engine == KGEN_ENGINE_TCC)
        kgen_jit_tcc_free(code);
    else
        dlclose(code->handle);
    if (code->memory != NULL)
        munmap(code->memory, code->size);
    free(code);
}
