/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* mkdtemp */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cache_fixture.h"
#include "gen/base/file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void cache_note(void *context, int level, const char *message)
{
    struct cache_fixture *fixture = context;
    fixture->warnings += level == 0;
    snprintf(fixture->last, sizeof fixture->last, "%s", message);
}

int cache_setup(void **state)
{
    struct cache_fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    snprintf(fixture->folder, sizeof fixture->folder, "/tmp/kgen-cache-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(fixture->file, sizeof fixture->file, "%s/records.jsonl", fixture->folder);
    *state = fixture;
    return 0;
}

int cache_teardown(void **state)
{
    struct cache_fixture *fixture = *state;
    unlink(fixture->file);
    rmdir(fixture->file);
    rmdir(fixture->folder);
    free(fixture);
    return 0;
}

struct kgen_cache *cache_reopen(struct cache_fixture *fixture, struct kgen_cache *cache)
{
    kgen_cache_close(cache);
    struct kgen_error error = {0};
    cache = kgen_cache_open(fixture->folder, cache_note, fixture, &error);
    assert_non_null(cache);
    return cache;
}

struct kgen_record cache_sample(uint64_t key)
{
    return (struct kgen_record){
        .key = key,
        .machine = "00112233445566aa",
        .problem = CACHE_PROBLEM,
        .variant = "qmv_i8 avx512 rows=4 prefetch=512",
        .engine = "tcc 0.9.27 lowering 1",
        .effort = "measure",
        .verdict = KGEN_PASSED,
        .detail = "",
        .error_of_bound = 0.25,
        .cases = 31,
        .compile_seconds = 0.0009,
        .cold_seconds = 0.000311,
        .hot_seconds = 0.0001005,
        .repeats = 12,
        .final_seconds = 0.00031,
        .read_seconds = 0.0003,
        .chosen = true,
        .noise = 0.125,
        .among = " 01234567 89abcdef",
    };
}

void cache_append(struct kgen_cache *cache, const struct kgen_record *record)
{
    struct kgen_error error = {0};
    assert_int_equal(kgen_cache_append(cache, record, &error), 0);
}

void cache_put_file(const struct cache_fixture *fixture, const char *data, size_t length)
{
    FILE *file = fopen(fixture->file, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

struct kgen_text cache_get_file(const struct cache_fixture *fixture)
{
    struct kgen_text text = {0};
    struct kgen_error error = {0};
    assert_int_equal(kgen_file_read(fixture->file, 1 << 28, &text, &error), 0);
    return text;
}

size_t cache_count_lines(const struct cache_fixture *fixture)
{
    struct kgen_text text = cache_get_file(fixture);
    size_t lines = 0;
    for (size_t i = 0; i < text.length; i++)
        lines += text.data[i] == '\n';
    kgen_text_free(&text);
    return lines;
}

void cache_assert_same(const struct kgen_record *found, const struct kgen_record *expected)
{
    assert_non_null(found);
    assert_int_equal(found->key, expected->key);
    assert_string_equal(found->machine, expected->machine);
    assert_string_equal(found->problem, expected->problem);
    assert_string_equal(found->variant, expected->variant);
    assert_string_equal(found->engine, expected->engine);
    assert_string_equal(found->effort, expected->effort);
    assert_int_equal(found->verdict, expected->verdict);
    assert_string_equal(found->detail, expected->detail);
    assert_int_equal(found->cases, expected->cases);
    assert_int_equal(found->repeats, expected->repeats);
    assert_int_equal(found->chosen, expected->chosen);
    assert_string_equal(found->among, expected->among != NULL ? expected->among : "");
    const double pairs[][2] = {
        {found->error_of_bound, expected->error_of_bound},
        {found->compile_seconds, expected->compile_seconds},
        {found->cold_seconds, expected->cold_seconds},
        {found->hot_seconds, expected->hot_seconds},
        {found->final_seconds, expected->final_seconds},
        {found->read_seconds, expected->read_seconds},
        {found->noise, expected->noise},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(pairs); i++)
        assert_true(fabs(pairs[i][0] - pairs[i][1]) <= 1e-8 * fabs(pairs[i][1]));
}

/* A line of a valid record with this key. */
void cache_add_line(struct kgen_text *text, unsigned key, const char *schema, bool newline)
{
    kgen_text_printf(
        text,
        "{\"key\":\"%016x\",\"schema\":%s,\"machine\":\"00\",\"problem\":" CACHE_PROBLEM
        ",\"variant\":\"v\",\"engine\":\"e\",\"effort\":\"measure\",\"verdict\":\"passed\",\"detail\":"
        "\"\",\"error_of_bound\":0.5,\"cases\":1,\"compile_us\":1,\"cold_us\":%u,\"hot_us\":1,"
        "\"final_us\":1,\"read_us\":1,\"repeats\":1,\"chosen\":false}%s",
        key, schema, key, newline ? "\n" : "");
}
