/* SPDX-License-Identifier: MIT */
/* A cache in a folder of its own, and what its log says. For tests with cmocka. */
#ifndef KGEN_CACHE_FIXTURE_H
#define KGEN_CACHE_FIXTURE_H

#include "runtime/cache/cache.h"

#define CACHE_PROBLEM "{\"op\":\"qmv\",\"N\":7,\"eps\":1e-06}"

struct cache_fixture {
    char folder[64];
    char file[96]; /* of its records */
    int warnings;
    char last[2048]; /* message */
};

int cache_setup(void **state);
int cache_teardown(void **state);
#define CACHE_TEST(function) cmocka_unit_test_setup_teardown(function, cache_setup, cache_teardown)

/* A log whose context is a fixture. */
void cache_note(void *context, int level, const char *message);
/* Closes cache (NULL is fine) and opens the folder's. */
struct kgen_cache *cache_reopen(struct cache_fixture *fixture, struct kgen_cache *cache);

/* A record of a winner. */
struct kgen_record cache_sample(uint64_t key);
void cache_append(struct kgen_cache *cache, const struct kgen_record *record);
void cache_assert_same(const struct kgen_record *found, const struct kgen_record *expected);

/* The bytes of the file of records. */
void cache_put_file(const struct cache_fixture *fixture, const char *data, size_t length);
struct kgen_text cache_get_file(const struct cache_fixture *fixture);
size_t cache_count_lines(const struct cache_fixture *fixture);

/* Appends the line of a valid record with this key. */
void cache_add_line(struct kgen_text *text, unsigned key, const char *schema, bool newline);

#endif
