/* SPDX-License-Identifier: MIT */
/* Kernels that are loaded together cannot change each other: the code of each is read-only before the next
 * runs. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen/base/file.h"
#include "runtime/api/load.h"

static const char text[] =
    "$template planted \"right sums, and a write to code\"\n"
    "$op add\n"
    "$isa generic\n"
    "$param way = 0, 1, 2, 3\n"
    "void ${function}(const float *a, const float *b, float *y, size_t begin, size_t end)\n"
    "{\n"
    "    for (size_t i = begin; i < end; i++)\n"
    "        y[i] = a[i] + b[i];\n"
    "$if way == 1\n" /* the pages before those of this kernel hold an earlier one */
    "    for (int i = 0; i < 64; i++)\n"
    "        ((volatile unsigned char *)(((size_t)(void *)${function} & ~(size_t)4095) - 4096))[i] = 0xcc;\n"
    "$elif way == 2\n" /* this kernel's own */
    "    *(volatile unsigned char *)(void *)${function} = *(volatile unsigned char *)(void *)${function};\n"
    "$elif way == 3\n"
    "    static int calls;\n"
    "    calls++;\n"
    "$end\n"
    "}\n";

enum { WAYS = 4, SIZE = 100 };

struct fixture {
    char folder[64];
    struct kgen_templates *templates;
    struct kgen_problem problem;
    struct kgen_variants variants;
};

static int setup(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){.folder = "/tmp/kgen-load-XXXXXX"};
    if (mkdtemp(fixture.folder) == NULL)
        return -1;
    char path[128];
    struct kgen_error error = {0};
    snprintf(path, sizeof path, "%s/c", fixture.folder);
    if (kgen_folder_make(path, &error) != 0)
        return -1;
    snprintf(path, sizeof path, "%s/c/planted.c.in", fixture.folder);
    if (kgen_file_write(path, text, strlen(text), &error) != 0)
        return -1;
    fixture.templates = kgen_templates_open(fixture.folder, "c", &error);
    if (fixture.templates == NULL)
        fail_msg("%s:%d: %s", error.source, error.line, error.message);
    kgen_problem_init(&fixture.problem, kgen_op_find("add"));
    kgen_problem_set(&fixture.problem, "size", SIZE);
    fixture.problem.threads = 1;
    if (kgen_variants_list(fixture.templates, &fixture.problem, 1u << KGEN_ISA_GENERIC, &fixture.variants,
                           &error) != 0)
        fail_msg("%s", error.message);
    assert_int_equal(fixture.variants.count, WAYS);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    kgen_variants_free(&fixture->variants);
    kgen_templates_free(fixture->templates);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", fixture->folder);
    return system(command);
}

/* A kernel that is called with what the right one gets. */
static void expect_sums(const struct kgen_kernel *kernel)
{
    float a[SIZE], b[SIZE], y[SIZE];
    for (int i = 0; i < SIZE; i++) {
        a[i] = (float)i;
        b[i] = 1000;
    }
    kernel->run((void *[]){a, b, y}, NULL, 0, SIZE);
    for (int i = 0; i < SIZE; i++)
        assert_true(y[i] == (float)(i + 1000));
}

static void test_code_is_read_only(void **state)
{
    const struct fixture *fixture = *state;
    /* The right kernel, then one that writes to code or data, then the right one again. */
    for (int run = 0; run < WAYS * 2; run++) {
        /* All kernels in one child process, then one in each. */
        const int way = run / 2, threads = run % 2 == 0 ? 1 : 3;
        const int ways[] = {0, way, 0};
        struct kgen_load loads[3];
        struct kgen_code_pages pages;
        struct kgen_error error = {0};
        for (int i = 0; i < 3; i++)
            loads[i] = (struct kgen_load){.problem = &fixture->problem,
                                          .variant = &fixture->variants.items[ways[i]],
                                          .check = KGEN_CHECK_QUICK};
        if (kgen_kernels_load(loads, 3, threads, NULL, &pages, &error) != 0)
            fail_msg("%s", error.message);
        for (int i = 0; i < 3; i++) {
            const enum kgen_verdict wanted = ways[i] == 0 ? KGEN_PASSED : KGEN_CRASHED;
            const struct kgen_verification *found = &loads[i].verification;
            if (found->verdict != wanted)
                fail_msg("way %d of %d, %d threads: %s: %s", ways[i], way, threads,
                         kgen_verdict_name(found->verdict), found->detail);
            if (wanted == KGEN_PASSED)
                expect_sums(&loads[i].kernel);
            else if (strstr(found->detail, "SIGSEGV: a write at") == NULL)
                fail_msg("way %d: %s", way, found->detail);
        }
        assert_true(pages.used > 0 && pages.used < pages.size);
        kgen_code_pages_free(&pages);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_code_is_read_only, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
