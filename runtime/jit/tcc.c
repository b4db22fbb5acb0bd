/* SPDX-License-Identifier: MIT */
/* TinyCC in memory. It loads no library and reads no header: the functions that kernels use are given here.
 */
#include "gen/target/lower/lower.h"
#include "gen/target/target.h"
#include "runtime/jit/internal.h"
#include "runtime/process/worker.h"

#include <errno.h>
#include <libtcc.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Limits of the worker that asks TinyCC for its version. */
enum { VERSION_SECONDS = 4, VERSION_TRIES = 3 };

/* Memory functions that keep vector registers, as kernels hold values in them: the C library's use them. */
static void *copy_forward(void *to, const void *from, size_t length)
{
#if defined(__x86_64__)
    void *d = to;
    __asm__ volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(length) : : "memory");
#else
    memcpy(to, from, length);
#endif
    return to;
}

static void *copy_any(void *to, const void *from, size_t length)
{
#if defined(__x86_64__)
    if ((uintptr_t)to - (uintptr_t)from >= length)
        return copy_forward(to, from, length);
    unsigned char *d = (unsigned char *)to + length - 1;
    const unsigned char *s = (const unsigned char *)from + length - 1;
    if (length > 0)
        __asm__ volatile("std\n\trep movsb\n\tcld" : "+D"(d), "+S"(s), "+c"(length) : : "memory");
#else
    memmove(to, from, length);
#endif
    return to;
}

static void *fill(void *to, int byte, size_t length)
{
#if defined(__x86_64__)
    void *d = to;
    __asm__ volatile("rep stosb" : "+D"(d), "+c"(length) : "a"(byte) : "memory");
#else
    memset(to, byte, length);
#endif
    return to;
}

/* TinyCC calls these for conversions from and to 64-bit unsigned integers. */
static float float_of_u64(uint64_t value)
{
    return (float)value;
}
static double double_of_u64(uint64_t value)
{
    return (double)value;
}
static uint64_t u64_of_float(float value)
{
    return (uint64_t)value;
}
static uint64_t u64_of_double(double value)
{
    return (uint64_t)value;
}

/* ISO C has no conversion from a function pointer to an object pointer; POSIX has. */
#define SYMBOL(name, function)                                                                               \
    {                                                                                                        \
        name, (void (*)(void))function                                                                       \
    }

static const struct {
    const char *name;
    void (*function)(void);
} symbols[] = {
    SYMBOL("memcpy", copy_forward),
    SYMBOL("memmove", copy_any),
    SYMBOL("memset", fill),
    SYMBOL("__floatundisf", float_of_u64),
    SYMBOL("__floatundidf", double_of_u64),
    SYMBOL("__fixunssfdi", u64_of_float),
    SYMBOL("__fixunsdfdi", u64_of_double),
    SYMBOL("sqrtf", sqrtf),
    SYMBOL("sqrt", sqrt),
    SYMBOL("expf", expf),
    SYMBOL("exp", exp),
    SYMBOL("sinf", sinf),
    SYMBOL("sin", sin),
    SYMBOL("cosf", cosf),
    SYMBOL("cos", cos),
    SYMBOL("fmaf", fmaf),
    SYMBOL("fabsf", fabsf),
    SYMBOL("rintf", rintf),
};

static const char declarations[] =
    "void*memcpy(void*,const void*,size_t);void*memmove(void*,const void*,size_t);"
    "void*memset(void*,int,size_t);"
    "float sqrtf(float);float expf(float);float sinf(float);float cosf(float);"
    "float fabsf(float);float rintf(float);float fmaf(float,float,float);"
    "double sqrt(double);double exp(double);double sin(double);double cos(double);\n";

struct report {
    const char *source;
    struct kgen_error *error;
};

/* TinyCC's messages have the form "file:line: error: text". Warnings are ignored. */
static void on_message(void *opaque, const char *message)
{
    struct report *report = opaque;
    const char *found = strstr(message, "error: ");
    if (found == NULL || strstr(message, "warning: ") != NULL)
        return;
    int line = 0;
    size_t length = strlen(report->source);
    if (strncmp(message, report->source, length) == 0 && message[length] == ':')
        line = atoi(message + length + 1);
    kgen_error_set(report->error, KGEN_ERROR_COMPILE, report->source, line, 0, "TinyCC: %s",
                   found + strlen("error: "));
}

/* Puts the code into memory of the state's own, or into area. */
static int relocate(TCCState *state, struct kgen_code_area *area, struct kgen_error *error)
{
    if (area == NULL)
        return tcc_relocate(state, TCC_RELOCATE_AUTO) < 0 ? -1 : 0;
    const int needed = tcc_relocate(state, NULL);
    if (needed < 0)
        return -1;
    if ((size_t)needed > area->size)
        return kgen_error_set(error, KGEN_ERROR_COMPILE, NULL, 0, 0,
                              "the code of %d bytes does not fit into %zu", needed, area->size);
    area->used = (size_t)needed;
    if (tcc_relocate(state, area->memory) < 0)
        return -1;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (mprotect(area->memory, (area->used + page - 1) / page * page, PROT_READ | PROT_EXEC) != 0)
        return kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "cannot make memory executable: %s",
                              strerror(errno));
    return 0;
}

static int compile(TCCState *state, const struct kgen_text *text, struct kgen_code_area *area,
                   struct kgen_error *error)
{
    if (tcc_set_output_type(state, TCC_OUTPUT_MEMORY) != 0)
        return -1;
    for (size_t i = 0; i < KGEN_COUNT_OF(symbols); i++) {
        void *address;
        memcpy(&address, &symbols[i].function, sizeof address);
        tcc_add_symbol(state, symbols[i].name, address);
    }
    if (tcc_compile_string(state, text->data) != 0)
        return -1;
    return relocate(state, area, error);
}

int kgen_jit_tcc(struct kgen_code *code, const char *source, const char *vector_c, enum kgen_isa isa,
                 struct kgen_code_area *area, struct kgen_error *error)
{
    const struct kgen_target *target = kgen_target_of_isa(isa);
    struct kgen_text text = {0};
    kgen_text_puts(&text, target->prelude());
    kgen_text_puts(&text, declarations);
    kgen_jit_put_line(&text, source);
    int result = target->lower(source, vector_c, isa, &text, error);
    if (result == 0 && text.failed)
        result = kgen_error_set(error, KGEN_ERROR_MEMORY, source, 0, 0, "out of memory");
    TCCState *state = result == 0 ? tcc_new() : NULL;
    if (state != NULL) {
        struct report report = {source, error};
        tcc_set_error_func(state, &report, on_message);
        tcc_set_options(state, "-nostdlib -nostdinc");
        result = compile(state, &text, area, error);
        tcc_set_error_func(state, NULL, NULL);
        if (result != 0) {
            kgen_error_set(error, KGEN_ERROR_COMPILE, source, 0, 0, "TinyCC refused the text");
            tcc_delete(state);
        }
    } else if (result == 0) {
        result = kgen_error_set(error, KGEN_ERROR_COMPILE, source, 0, 0, "TinyCC did not start");
    }
    kgen_text_free(&text);
    code->handle = state;
    return result;
}

void *kgen_jit_tcc_symbol(const struct kgen_code *code, const char *name)
{
    return tcc_get_symbol(code->handle, name);
}

void kgen_jit_tcc_free(struct kgen_code *code)
{
    tcc_delete(code->handle);
}

static void version_job(size_t index, void *result, struct kgen_worker *worker, void *context)
{
    (void)index;
    (void)worker;
    (void)context;
    struct kgen_code code = {0};
    if (kgen_jit_tcc(&code, "version", "int version = __TINYC__;", KGEN_ISA_GENERIC, NULL, NULL) == 0)
        memcpy(result, tcc_get_symbol(code.handle, "version"), sizeof(int));
}

struct version {
    int number; /* 0: not known */
    bool hung;
};

static int version_report(size_t index, const struct kgen_outcome *outcome, const void *result, void *context)
{
    (void)index;
    struct version *version = context;
    version->hung = outcome->kind == KGEN_OUTCOME_TIMED_OUT;
    if (outcome->kind == KGEN_OUTCOME_DONE)
        memcpy(&version->number, result, sizeof version->number);
    return 0;
}

/* The version is that of the library at hand, which only a compilation tells. A child may hang for a lock
 * that another thread of the host held when it was forked, as of an allocator that does not care for forks;
 * the next one hardly will. */
int kgen_jit_tcc_describe(struct kgen_text *out, struct kgen_error *error)
{
    struct version found = {0, true};
    const struct kgen_worker_options options = {.limit_seconds = VERSION_SECONDS};
    for (int try = 0; found.hung && try < VERSION_TRIES; try++) {
        if (kgen_workers_run(&options, 1, sizeof(int), version_job, version_report, &found, error) != 0)
            return -1;
    }
    if (found.hung)
        return kgen_error_set(
            error, KGEN_ERROR_COMPILE, NULL, 0, 0,
            "TinyCC did not compile one line within %d seconds, in each of %d child processes",
            VERSION_SECONDS, VERSION_TRIES);
    const int version = found.number;
    if (version == 0)
        return kgen_error_set(error, KGEN_ERROR_COMPILE, NULL, 0, 0, "TinyCC does not compile one line");
    kgen_text_printf(out, "tcc %d.%d.%d lowering %d", version / 10000, version / 100 % 100, version % 100,
                     KGEN_LOWER_VERSION);
    return out->failed ? kgen_error_set(error, KGEN_ERROR_MEMORY, NULL, 0, 0, "out of memory") : 0;
}
