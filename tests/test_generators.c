/* SPDX-License-Identifier: MIT */
/* Random numbers, and the inputs that ops generate from them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gen/ops/buffers.h"
#include "gen/ops/format.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

static void test_random_numbers(void **state)
{
    (void)state;
    struct kgen_random random = {0};
    /* The first outputs of splitmix64 for the seed 0. */
    assert_true(kgen_random_next(&random) == UINT64_C(0xe220a8397b1dcdaf));
    assert_true(kgen_random_next(&random) == UINT64_C(0x6e789e6aa1b965f4));
    double sum = 0, squares = 0;
    for (int i = 0; i < 100000; i++) {
        double value = (double)kgen_random_normal(&random);
        assert_true(fabs(value) <= 3.5);
        sum += value;
        squares += value * value;
    }
    assert_true(fabs(sum / 100000) <= 0.02);
    assert_true(fabs(squares / 100000 - 1) <= 0.02);
}

/* A valid problem of an op, of few elements. */
static struct kgen_problem few(const struct kgen_op *op)
{
    static const struct {
        const char *field;
        int64_t value;
    } values[] = {{"N", 3},
                  {"M", 12},
                  {"K", 256},
                  {"bits", 4},
                  {"group_size", 64},
                  {"rows", 2},
                  {"size", 300},
                  {"heads", 2},
                  {"head_dim", 16},
                  {"rotary_dim", 8},
                  {"kv_heads", 1},
                  {"context", 40},
                  {"residual", 1},
                  {"activation_dtype", KGEN_I8},
                  {"experts", 7},
                  {"experts_per_token", 3},
                  {"first", 5},
                  {"second", 3},
                  {"kv_lora_rank", 16},
                  {"qk_rope_head_dim", 8},
                  {"channels", 40},
                  {"key_heads", 1},
                  {"key_dim", 8},
                  {"value_dim", 12}};
    struct kgen_problem problem;
    kgen_problem_init(&problem, op);
    for (size_t i = 0; i < KGEN_COUNT_OF(values); i++)
        kgen_problem_set(&problem, values[i].field, values[i].value);
    struct kgen_error error = {0};
    if (kgen_problem_check(&problem, NULL, 0, 0, &error) != 0)
        fail_msg("%s", error.message);
    return problem;
}

/* What a generator makes of a problem: the results of the reference, a hash of them, and whether all are
 * finite. */
static uint64_t run_generator(const struct kgen_problem *problem, const struct kgen_generator *generator)
{
    struct kgen_random random = {11};
    struct kgen_arguments arguments = {0};
    struct kgen_expected expected = {0};
    struct kgen_buffers list;
    uint64_t hash = KGEN_HASH_START;
    kgen_problem_buffers(problem, &list);
    for (size_t i = 0; i < list.count; i++) {
        arguments.buffers[i] = malloc(list.items[i].bytes + 1);
        if (list.items[i].role == KGEN_OUTPUT || list.items[i].role == KGEN_UPDATED ||
            (list.items[i].role == KGEN_STATE && !kgen_problem_has(problem, "context"))) {
            expected.values[i] = calloc(list.items[i].bytes / 4, sizeof(double));
            expected.bounds[i] = calloc(list.items[i].bytes / 4, sizeof(double));
        }
    }
    generator->fill(problem, &random, &arguments);
    problem->op->reference(problem, &arguments, &expected);
    if (generator->tighten != NULL)
        generator->tighten(problem, &expected);
    for (size_t i = 0; i < list.count; i++) {
        for (size_t j = 0; expected.values[i] != NULL && j < list.items[i].bytes / 4; j++) {
            const double value = expected.values[i][j], bound = expected.bounds[i][j];
            if (kgen_scalar_find(problem->op, "rows") >= 0 && isnan(value) && bound <= 0)
                continue; /* an element that is not written */
            if (!isfinite(value) || !isfinite(bound) || fabs(value) > (double)FLT_MAX || bound < 0)
                fail_msg("%s, %s: %s[%zu] is %g +- %g", problem->op->name, generator->name,
                         list.items[i].name, j, value, bound);
            hash = kgen_hash(hash, &value, sizeof value);
            hash = kgen_hash(hash, &bound, sizeof bound);
        }
        free(arguments.buffers[i]);
        free(expected.values[i]);
        free(expected.bounds[i]);
    }
    return hash;
}

/* Every generator of every op, with every weight format, gives finite references and bounds, the same ones
 * for the same seed, and others than the generator before. */
static void test_generators(void **state)
{
    (void)state;
    size_t done = 0;
    for (size_t i = 0; i < kgen_op_count(); i++) {
        const struct kgen_op *op = kgen_op_at(i);
        const bool weights = kgen_op_field(op, "scheme") != NULL;
        assert_true(op->generator_count > 0);
        for (size_t f = 0; f < (weights ? kgen_format_count() : 1); f++) {
            struct kgen_problem problem = few(op);
            if (weights) {
                const struct kgen_format *format = kgen_format_at(f);
                kgen_problem_set(&problem, "scheme", format->scheme);
                if (format->bits != 0)
                    kgen_problem_set(&problem, "bits", format->bits);
                if (format->group_size != 0)
                    kgen_problem_set(&problem, "group_size", format->group_size);
            }
            uint64_t before = 0;
            for (size_t g = 0; g < op->generator_count; g++, done++) {
                const uint64_t hash = run_generator(&problem, &op->generators[g]);
                assert_true(hash == run_generator(&problem, &op->generators[g]));
                assert_true(hash != before);
                before = hash;
            }
        }
    }
    assert_true(done >= 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_numbers),
        cmocka_unit_test(test_generators),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
