/* SPDX-License-Identifier: MIT */
/* kgen SPEC with --time-limit and --retune, kgen cache clear --problem, and what noise does, as users see it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command_fixture.h"
#include "runtime/cache/cache.h"
#include "runtime/machine/machine.h"

enum { ADD, NORM, ROW, MATRIX, PROBLEMS };

static const char spec[] =
    "{\"name\": \"four\", \"problems\": [{\"op\": \"add\", \"size\": 100},\n"
    " {\"op\": \"rms_norm\", \"size\": 33, \"tensors\": \"layers.*.a_norm\"},\n"
    " {\"op\": \"dequantize\", \"N\": 1, \"K\": 4096, \"bits\": 4, \"group_size\": 64},\n"
    " {\"op\": \"dequantize\", \"N\": 64, \"K\": 4096, \"bits\": 4, \"group_size\": 64}]}\n";

static int set_up(void **state)
{
    (void)state;
    if (kgen_test_command_setup() != 0)
        return -1;
    kgen_test_put_file("four.json", spec);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return kgen_test_command_teardown();
}

/* Runs kgen, which prints JSON. The caller releases it. */
static json_t *run_json(const char *line, int status)
{
    struct kgen_test_outcome outcome = kgen_test_run(line);
    if (outcome.status != status)
        fail_msg("kgen %s: exit status %d\n%s%s", line, outcome.status, outcome.out.data, outcome.err.data);
    json_t *root = json_loads(outcome.out.data, 0, NULL);
    assert_non_null(root);
    kgen_test_outcome_free(&outcome);
    return root;
}

static const json_t *problem_at(const json_t *root, size_t index)
{
    return json_array_get(json_object_get(root, "problems"), index);
}

static const char *made_of(const json_t *root, size_t index)
{
    return json_string_value(json_object_get(json_object_get(problem_at(root, index), "variant"), "made"));
}

static json_int_t compiled_of(const json_t *root, size_t index)
{
    return json_integer_value(json_object_get(problem_at(root, index), "compiled"));
}

/* A limit that leaves no time to search leaves no problem out either. */
static void test_complete(void **state)
{
    (void)state;
    json_t *root = run_json("four.json --time-limit 0.001 --json -o limited", 4);
    assert_string_equal(json_string_value(json_object_get(root, "status")), "time_limit");
    assert_string_equal(json_string_value(json_object_get(root, "folder")), "limited");
    for (size_t i = 0; i < PROBLEMS; i++) {
        assert_non_null(made_of(root, i));
        assert_string_equal(made_of(root, i), "estimate, not timed");
    }
    json_decref(root);
    static const char *const files[] = {"limited/add.c", "limited/rms_norm.c", "limited/dequantize.c",
                                        "limited/sources.mk"};
    for (size_t i = 0; i < KGEN_COUNT_OF(files); i++)
        assert_true(kgen_test_exists(files[i]));
    kgen_test_expect("tune four.json --time-limit 0.001", 4, "estimate, not timed", "(exit status 4)");
}

/* A later run goes on; what is tuned then needs no time. No share of the bandwidth is given for a row. */
static void test_goes_on(void **state)
{
    (void)state;
    json_t *root = run_json("tune four.json --json --no-retune", 0);
    for (size_t i = 0; i < PROBLEMS; i++)
        assert_string_equal(made_of(root, i), "tuned");
    const json_t *row = json_object_get(problem_at(root, ROW), "variant");
    const json_t *matrix = json_object_get(problem_at(root, MATRIX), "variant");
    assert_true(json_is_null(json_object_get(row, "share_of_bandwidth")));
    assert_true(json_is_real(json_object_get(row, "us")));
    assert_true(json_is_real(json_object_get(matrix, "share_of_bandwidth")));
    json_decref(root);
    root = run_json("tune four.json --time-limit 0.001 --json --no-retune", 0);
    assert_string_equal(json_string_value(json_object_get(root, "status")), "done");
    json_decref(root);
}

static double noise_of(const json_t *root, size_t index)
{
    return json_number_value(json_object_get(json_object_get(problem_at(root, index), "variant"), "noise"));
}

/* After test_goes_on: --retune times one problem again, or all, whatever it is called. What a busy machine
 * timed before is timed again, too. */
static void test_retune(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        unsigned again; /* bits of the problems */
    } retunes[] = {
        {"tune four.json --json --retune", 1u << ADD | 1u << NORM | 1u << ROW | 1u << MATRIX},
        {"four.json -o tuned --json --retune 2", 1u << NORM},
        {"tune four.json --json --retune rms_norm_r1_s33", 1u << NORM},
        {"tune four.json --retune layers.7.a_norm --json", 1u << NORM},
        {"tune --retune four.json \"size\":100 --json", 1u << ADD},
    };
    json_t *before = run_json("tune four.json --json --no-retune", 0);
    for (size_t c = 0; c < KGEN_COUNT_OF(retunes); c++) {
        json_t *root = run_json(retunes[c].line, 0);
        for (size_t i = 0; i < PROBLEMS; i++) {
            const bool again = (retunes[c].again >> i & 1) != 0;
            if (again ? compiled_of(root, i) == 0 : compiled_of(root, i) > 0 && noise_of(before, i) <= 0.5)
                fail_msg("kgen %s: problem %zu", retunes[c].line, i + 1);
        }
        json_decref(before);
        before = root;
    }
    json_decref(before);
}

/* A command line, its exit status, and a part of what it prints. In order: later ones rest on earlier. */
static const struct {
    const char *line;
    int status;
    const char *out, *err;
} cases[] = {
    {"four.json add", 2, NULL, "one argument too many: 'add'"},
    {"four.json --retune add more", 2, NULL, "one argument too many: 'more'"},
    {"four.json --retune nothing", 2, NULL, "no problem of four.json is called 'nothing'"},
    {"four.json --retune 5", 2, NULL, "a number from 1 to 4, a tensor, or a part of a name"},
    {"four.json --retune --no-retune", 2, NULL, "--retune and --no-retune exclude each other"},
    {"tune four.json --retune --shard 1/2", 2, NULL, "--retune and --shard exclude each other"},
    {"list --retune", 2, NULL, "kgen list takes no option --retune"},
    {"--help", 0, "4    done, with a search that the time limit ended early", ""},
    {"tune --help", 0, "--retune [PROBLEM]", ""},
    {"cache --help", 0, "remove all of it, or the records that --problem and --machine select", ""},
    {"cache clear --problem nothing", 0, "0 records removed", "'nothing' selects no record"},
    {"cache list --problem rms_norm", 0, "1 winner among", ""},
    {"cache clear --problem rms_norm --dry-run", 0, "would be removed", ""},
    {"cache list --problem rms_norm", 0, "1 winner among", ""},
    {"cache clear --problem rms_norm --json", 0, "\"removed\": ", ""},
    {"cache list --problem rms_norm", 0, "0 winners among 0 records", ""},
    {"cache list --problem add", 0, "1 winner among", ""},
    {"cache clear --problem add --machine nowhere", 0, "0 records removed", ""},
};

static void test_command_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++)
        kgen_test_expect(cases[i].line, cases[i].status, cases[i].out, cases[i].err);
    /* What was removed is tuned again, and nothing else. */
    json_t *root = run_json("tune four.json --json --no-retune", 0);
    for (size_t i = 0; i < PROBLEMS; i++)
        assert_int_equal(compiled_of(root, i) > 0, i == NORM);
    json_decref(root);
}

/* Puts a bandwidth of this noise into a cache. */
static void put_bandwidth(const char *folder, double noise)
{
    struct kgen_error error = {0};
    struct kgen_machine machine;
    char names[3][40];
    kgen_machine_detect(&machine);
    snprintf(names[0], sizeof names[0], "read_bandwidth_1");
    snprintf(names[1], sizeof names[1], "read_bandwidth_%d", machine.threads);
    snprintf(names[2], sizeof names[2], "read_noise_%d", machine.threads);
    struct kgen_cache *cache = kgen_cache_open(folder, NULL, NULL, &error);
    assert_non_null(cache);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(
            kgen_cache_set_fact(cache, machine.identity, names[i], i == 2 ? noise : 7.2e9, &error), 0);
    kgen_cache_close(cache);
}

/* A bandwidth of a noisy minute is not kept for ever. */
static void test_bandwidth(void **state)
{
    (void)state;
    static const struct {
        double noise;
        bool again;
    } bandwidths[] = {{0.05, false}, {7.98, true}, {1e9, true}};
    kgen_test_put_file("add.json", "{\"problems\": [{\"op\": \"add\", \"size\": 100}]}\n");
    for (size_t i = 0; i < KGEN_COUNT_OF(bandwidths); i++) {
        put_bandwidth("noisy", bandwidths[i].noise);
        struct kgen_test_outcome outcome = kgen_test_run("tune add.json --cache noisy --json");
        assert_int_equal(outcome.status, 0);
        assert_int_equal(strstr(outcome.err.data, "measuring the read bandwidth again") != NULL,
                         bandwidths[i].again);
        json_t *root = json_loads(outcome.out.data, 0, NULL);
        const json_t *bandwidth = json_object_get(root, "read_bandwidth");
        const double noise = json_number_value(json_object_get(bandwidth, "noise"));
        /* No machine is as noisy as the last of them. */
        assert_true(noise <= bandwidths[i].noise && noise < 1e6);
        assert_int_equal(strstr(outcome.err.data, "the machine is busy") != NULL, noise > 0.5);
        json_decref(root);
        kgen_test_outcome_free(&outcome);
    }
    put_bandwidth("noisy", 7.98);
    kgen_test_expect("tune add.json --cache noisy --no-retune --json", 0, "7.98", "");
    struct kgen_test_outcome kept = kgen_test_run("tune add.json --cache noisy --no-retune");
    assert_null(strstr(kept.err.data, "read bandwidth"));
    kgen_test_outcome_free(&kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_complete),      cmocka_unit_test(test_goes_on),   cmocka_unit_test(test_retune),
        cmocka_unit_test(test_command_lines), cmocka_unit_test(test_bandwidth),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
