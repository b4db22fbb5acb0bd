/* SPDX-License-Identifier: MIT */
/* The memory that a model takes, and the memory that is free. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "api_fixture.h"
#include "gguf_fixture.h"
#include "runtime/api/model.h"
#include "runtime/machine/memory.h"

#define SEED UINT64_C(74)

/* Bytes of the map of a file that this process has in memory. */
static size_t resident(const char *path)
{
    FILE *file = fopen("/proc/self/smaps", "r");
    char line[512];
    bool within = false;
    size_t sum = 0, kilobytes;
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        if (strchr(line, '-') != NULL && strstr(line, " r") != NULL && strstr(line, "Flags") == NULL)
            within = strstr(line, path) != NULL;
        else if (within && sscanf(line, "Rss: %zu", &kilobytes) == 1)
            sum += kilobytes << 10;
    }
    fclose(file);
    return sum;
}

/* Weights that are packed into memory do not stay there a second time, as pages of the file. */
static void test_pages_are_let_go(void **state)
{
    const struct api_fixture *fixture = *state;
    static const struct kgen_test_llama shape = {.hidden = 256,
                                                 .intermediate = 2560,
                                                 .layers = 4,
                                                 .heads = 4,
                                                 .kv_heads = 2,
                                                 .head_dim = 64,
                                                 .vocab = 4096};
    char model[128];
    struct kgen_settings settings = api_settings(*state, KGEN_ESTIMATE);
    struct kgen_checkpoint_facts facts;
    snprintf(model, sizeof model, "%s/model.gguf", fixture->folder);
    kgen_test_write_llama(model, &shape, SEED, &kgen_test_mixed_types);
    struct kgen_context *context = api_open(&settings);
    struct kgen_status status = {0};
    struct kgen_model *opened =
        kgen_model_of_checkpoint(context, model, &(struct kgen_model_options){.prompt_rows = 1}, &status);
    if (opened == NULL)
        fail_msg("%s", status.message);
    kgen_checkpoint_query(opened->checkpoint, &facts);
    assert_true(facts.bytes > 7 << 20);
    const size_t kept = resident(model);
    /* The header is read, and a system may map 2 MB at once. */
    if (kept > (size_t)3 << 20)
        fail_msg("%zu of %llu bytes of the file are in memory", kept, (unsigned long long)facts.bytes);
    kgen_model_close(opened);
    kgen_close(context);
}

static void test_available_memory(void **state)
{
    (void)state;
    static const struct {
        const char *meminfo, *limit, *used;
        uint64_t available;
    } cases[] = {
        {"MemTotal: 100 kB\nMemAvailable:   50 kB\n", "", "", 51200},
        {"MemTotal: 100 kB\nMemAvailable:   50 kB\n", "max\n", "100\n", 51200},
        {"MemAvailable: 50 kB\n", "10000\n", "4000\n", 6000},
        {"MemAvailable: 50 kB\n", "100000\n", "4000\n", 51200},
        {"MemAvailable: 50 kB\n", "4000\n", "4000\n", 1},
        {"", "10000\n", "4000\n", 6000},
        {"", "", "", 0},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++)
        assert_int_equal(kgen_memory_available_of(cases[i].meminfo, cases[i].limit, cases[i].used),
                         cases[i].available);
    assert_true(kgen_memory_available() > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pages_are_let_go, api_setup, api_teardown),
        cmocka_unit_test(test_available_memory),
    };
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
