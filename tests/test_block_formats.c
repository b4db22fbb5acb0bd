/* SPDX-License-Identifier: MIT */
/* The weight formats whose rows are blocks of one array, against decoders that know the bytes and nothing of kgen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gen/ops/buffers.h"
#include "gen/ops/format.h"
#include "ggml_blocks.h"
#include "runtime/model/gguf.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SEED = 19 };

static const struct {
    int64_t scheme;
    uint32_t type; /* of ggml, that has the same bytes */
    int64_t bits, group_size, values, bytes;
} table[] = {
    {KGEN_Q8_0, KGEN_GGUF_TENSOR_Q8_0, 8, 32, 32, 34},
    {KGEN_Q6_K, KGEN_GGUF_TENSOR_Q6_K, 6, 16, 256, 210},
    {KGEN_Q3_K, KGEN_GGUF_TENSOR_Q3_K, 3, 16, 256, 110},
    {KGEN_Q2_K, KGEN_GGUF_TENSOR_Q2_K, 2, 16, 256, 84},
    {KGEN_IQ4_NL, KGEN_GGUF_TENSOR_IQ4_NL, 4, 32, 32, 18},
    {KGEN_GGML_MXFP4, KGEN_GGUF_TENSOR_MXFP4, 4, 32, 32, 17},
    {KGEN_F32, KGEN_GGUF_TENSOR_F32, 32, 32, 32, 128},
    {KGEN_F16, KGEN_GGUF_TENSOR_F16, 16, 32, 32, 64},
    {KGEN_BF16, KGEN_GGUF_TENSOR_BF16, 16, 32, 32, 64},
};

static void test_every_format_is_here(void **state)
{
    (void)state;
    for (size_t i = 0; i < kgen_format_count(); i++) {
        const struct kgen_format *format = kgen_format_at(i);
        bool found = format->block_values == 0 || format->array_count > 1; /* test_mlx_modes.c */
        for (size_t j = 0; j < KGEN_COUNT_OF(table); j++)
            found = found || table[j].scheme == (int64_t)format->scheme;
        if (!found)
            fail_msg("%s is not in the table", kgen_constant_name(format->scheme));
    }
}

/* Any bytes, but for numbers that are infinite or NaN; whole rows, and parts of them. */
static void check_decode(size_t index, struct kgen_random *random)
{
    enum { N = 3 };
    const struct kgen_format *format = kgen_format_find(table[index].scheme);
    const struct kgen_gguf_tensor_type *type = kgen_gguf_tensor_type(table[index].type);
    const int64_t K = 3 * format->block_values;
    struct kgen_matrix matrix = {
        format, N, K, table[index].bits, table[index].group_size, format->scale_dtype, {malloc(3840)}};
    const int64_t row_bytes = format->arrays[0].row_bytes(&matrix);
    assert_non_null(matrix.arrays[0]);
    assert_int_equal(row_bytes, 3 * table[index].bytes);
    ggml_fill_random(table[index].type, matrix.arrays[0], (size_t)(N * row_bytes), random);
    for (int64_t row = 0; row < N; row++) {
        double values[768], magnitudes[768];
        const int64_t first = kgen_random_below(random, K), count = 1 + kgen_random_below(random, K - first);
        format->decode(&matrix, row, first, count, values, magnitudes);
        for (int64_t k = first; k < first + count; k++) {
            const unsigned char *block = (unsigned char *)matrix.arrays[0] + row * row_bytes +
                                         k / type->block_values * type->block_bytes;
            const double wanted = ggml_slow_value(table[index].type, block, (int)(k % type->block_values)),
                         found = values[k - first], magnitude = magnitudes[k - first];
            if (found < wanted || found > wanted || !(magnitude >= fabs(wanted)))
                fail_msg("seed %d, %s: [%lld][%lld] is %a, not %a", SEED, type->name, (long long)row,
                         (long long)k, found, wanted);
        }
    }
    free(matrix.arrays[0]);
}

static void test_decode(void **state)
{
    (void)state;
    struct kgen_random random = {SEED};
    for (size_t i = 0; i < KGEN_COUNT_OF(table); i++) {
        for (int round = 0; round < 100; round++)
            check_decode(i, &random);
    }
}

/* What the scheme has one value of need not be said. */
static void test_problem(void **state)
{
    (void)state;
    for (size_t i = 0; i < KGEN_COUNT_OF(table); i++) {
        struct kgen_problem problem;
        struct kgen_buffers buffers;
        kgen_problem_init(&problem, kgen_op_find("qmv"));
        kgen_problem_set(&problem, "N", 5);
        kgen_problem_set(&problem, "K", 2 * table[i].values);
        kgen_problem_set(&problem, "scheme", table[i].scheme);
        kgen_problem_set(&problem, "scale_dtype", kgen_format_find(table[i].scheme)->scale_dtype);
        kgen_problem_complete(&problem);
        assert_int_equal(kgen_problem_check(&problem, NULL, 0, 0, NULL), 0);
        assert_int_equal(kgen_problem_get(&problem, "bits"), table[i].bits);
        assert_int_equal(kgen_problem_get(&problem, "group_size"), table[i].group_size);
        kgen_problem_buffers(&problem, &buffers);
        const int weights = kgen_buffers_find(&buffers, "weights");
        assert_int_equal(buffers.items[weights].bytes, 5 * 2 * table[i].bytes);
        assert_int_equal(kgen_buffers_find(&buffers, "scales"), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_format_is_here),
                                       cmocka_unit_test(test_decode), cmocka_unit_test(test_problem)};
    return cmocka_run_group_tests_name("formats of blocks", tests, NULL, NULL);
}
