/* SPDX-License-Identifier: MIT */
/* No vector operation touches memory beyond the elements it names: each runs against pages that may not be
 * touched, at either end, for every count. */
#include "gen/base/isa.h"
#include "runtime/jit/jit.h"
#include "runtime/machine/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* What a statement reads at p, or writes to p. COUNT is replaced by a literal, and by n. */
static const struct access {
    const char *statement;
    int element;      /* bytes */
    bool whole_only;  /* the count is the number of lanes */
    bool one_element; /* it is 1 */
} accesses[] = {
    {"kv_store_int(out, kv_as_int(kv_load_first((const float *)p, COUNT)));", 4, false, false},
    {"kv_store_int(out, kv_load_int_first(p, COUNT));", 4, false, false},
    {"kv_store_int(out, kv_as_int(kv_load_f16_first((const uint16_t *)p, COUNT)));", 2, false, false},
    {"kv_store_int(out, kv_as_int(kv_load_bf16_first((const uint16_t *)p, COUNT)));", 2, false, false},
    {"kv_store_first((float *)p, kv_set(1.5f), COUNT);", 4, false, false},
    {"kv_store_int(out, kv_as_int(kv_load((const float *)p)));", 4, true, false},
    {"kv_store_int(out, kv_as_int(kv_load_f16((const uint16_t *)p)));", 2, true, false},
    {"kv_store_int(out, kv_as_int(kv_load_bf16((const uint16_t *)p)));", 2, true, false},
    {"kv_store_int(out, kv_load_int(p));", 4, true, false},
    {"kv_store_int(out, kv_as_int(kv_add(kv_zero(), kv_load((const float *)p))));", 4, true, false},
    {"kv_store((float *)p, kv_set(1.5f));", 4, true, false},
    {"kv_store_int(p, kv_set_i32(-2));", 4, true, false},
    {"kv_store_i8((int8_t *)p, kv_set_i32(100));", 1, true, false},
    {"kv_store_f16((uint16_t *)p, kv_set(1.5f));", 2, true, false},
    {"kv_store_i16((int16_t *)p, kv_set_i32(1000));", 2, true, false},
    {"kv_store_int(out, kv_as_int(kv_broadcast((const float *)p)));", 4, false, true},
    {"kv_store_int(out, kv_as_int(kv_add(kv_zero(), kv_broadcast((const float *)p))));", 4, false, true},
    {"kv_store_sum((float *)p, kv_set(1.5f));", 4, false, true},
    {"kv_store_max((float *)p, kv_set(1.5f));", 4, false, true},
};

struct guarded {
    uint8_t *begin, *end; /* one page between two that may not be touched */
};

static struct guarded guarded_page(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    FILE *zero = tmpfile();
    assert_non_null(zero);
    assert_int_equal(ftruncate(fileno(zero), (off_t)(3 * page)), 0);
    uint8_t *map = mmap(NULL, 3 * page, PROT_NONE, MAP_PRIVATE, fileno(zero), 0);
    fclose(zero);
    assert_ptr_not_equal(map, MAP_FAILED);
    assert_int_equal(mprotect(map + page, page, PROT_READ | PROT_WRITE), 0);
    return (struct guarded){map + page, map + 2 * page};
}

/* `void access_A_C(uint8_t *p, uint8_t *out, int n)` for each access and count; C is -1 for the count n. */
static void put_function(struct kgen_text *text, size_t access, int count)
{
    const char *statement = accesses[access].statement, *at = strstr(statement, "COUNT");
    char name[16];
    snprintf(name, sizeof name, count < 0 ? "n" : "%d", count);
    kgen_text_printf(text,
                     "KV_TARGET void access_%zu_%s(uint8_t *p, uint8_t *out, int n)\n{\n    (void)p, "
                     "(void)out, (void)n;\n    ",
                     access, name);
    if (at != NULL)
        kgen_text_printf(text, "%.*s%s%s", (int)(at - statement), statement, name, at + strlen("COUNT"));
    else
        kgen_text_puts(text, statement);
    kgen_text_puts(text, "\n}\n");
}

typedef void access_function(uint8_t *p, uint8_t *out, int n);

static access_function *find(const struct kgen_code *code, size_t access, int count)
{
    char name[40];
    snprintf(name, sizeof name, count < 0 ? "access_%zu_n" : "access_%zu_%d", access, count);
    void *symbol = kgen_code_symbol(code, name);
    access_function *function;
    assert_non_null(symbol);
    memcpy(&function, &symbol, sizeof function);
    return function;
}

/* Runs in a child: what it touches wrongly kills it. The number of the access lies in shared memory. */
static int run_all(const struct kgen_code *code, int lanes, struct guarded page, volatile int *progress)
{
    uint8_t before[64], out[64];
    int runs = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(accesses); i++) {
        const struct access *access = &accesses[i];
        int first = access->whole_only ? lanes : access->one_element ? 1 : 0;
        int last = access->one_element ? 1 : lanes;
        for (int count = first; count <= last; count++) {
            for (int form = 0; form < 4; form++) {
                access_function *function = find(code, i, form % 2 == 0 ? -1 : count);
                progress[0] = (int)i;
                progress[1] = count;
                progress[2] = form;
                uint8_t *p = form < 2 ? page.end - count * access->element : page.begin;
                /* What lies beside the elements within the page stays as it was. */
                uint8_t *beside = form < 2 ? p - 64 : p + count * access->element;
                memset(page.begin, 0x3c, (size_t)(page.end - page.begin));
                memset(before, 0x3c, sizeof before);
                function(p, out, count);
                if (memcmp(beside, before, sizeof before) != 0)
                    return -1;
                runs++;
            }
        }
    }
    return runs;
}

static void check(enum kgen_engine engine, enum kgen_isa isa)
{
    struct kgen_machine machine;
    kgen_machine_detect(&machine);
    if ((machine.isas & 1u << isa) == 0) {
        print_message("skipped: this machine has no %s\n", kgen_isa_info(isa)->needs);
        skip();
    }
    int lanes = kgen_isa_info(isa)->vector_bytes / 4;
    lanes = lanes > 0 ? lanes : 4;
    struct kgen_text text = {0};
    for (size_t i = 0; i < KGEN_COUNT_OF(accesses); i++) {
        put_function(&text, i, -1);
        for (int count = 0; count <= lanes; count++)
            put_function(&text, i, count);
    }
    struct kgen_error error = {0};
    struct kgen_cc_options options = {.flags = "-O1"};
    struct kgen_code *code = kgen_jit_compile(engine, "accesses.c", text.data, isa, &options, &error);
    if (code == NULL)
        fail_msg("%d: %s", error.line, error.message);
    struct guarded page = guarded_page();
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_equal(ftruncate(fileno(file), 16), 0);
    volatile int *progress = mmap(NULL, 16, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
    assert_ptr_not_equal(progress, MAP_FAILED);
    pid_t child = fork();
    if (child == 0) {
        progress[3] = run_all(code, lanes, page, progress);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (status != 0 || progress[3] <= 0)
        fail_msg("%s %s: %s with %s count %d %s (signal %d)", kgen_engine_name(engine),
                 kgen_isa_info(isa)->name, accesses[progress[0]].statement,
                 progress[2] % 2 == 0 ? "variable" : "literal", progress[1],
                 progress[2] < 2 ? "before a forbidden page" : "after a forbidden page",
                 WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    assert_true(progress[3] > 300 * lanes / 16);
    print_message("%s %s: %d accesses\n", kgen_engine_name(engine), kgen_isa_info(isa)->name, progress[3]);
    munmap((void *)(uintptr_t)progress, 16);
    munmap(page.begin - (page.end - page.begin), 3 * (size_t)(page.end - page.begin));
    fclose(file);
    kgen_code_free(code);
    kgen_text_free(&text);
}

static void test_tcc_avx512(void **state)
{
    (void)state;
    check(KGEN_ENGINE_TCC, KGEN_ISA_AVX512);
}
static void test_tcc_avx2(void **state)
{
    (void)state;
    check(KGEN_ENGINE_TCC, KGEN_ISA_AVX2);
}
static void test_cc_avx512(void **state)
{
    (void)state;
    check(KGEN_ENGINE_CC, KGEN_ISA_AVX512);
}
static void test_cc_avx2(void **state)
{
    (void)state;
    check(KGEN_ENGINE_CC, KGEN_ISA_AVX2);
}
static void test_cc_plain(void **state)
{
    (void)state;
    check(KGEN_ENGINE_CC, KGEN_ISA_GENERIC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tcc_avx512), cmocka_unit_test(test_tcc_avx2), cmocka_unit_test(test_cc_avx512),
        cmocka_unit_test(test_cc_avx2),    cmocka_unit_test(test_cc_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
